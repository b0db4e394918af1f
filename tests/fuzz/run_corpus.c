/* Runs a fuzzer's entry point once over every file of its kept corpus (argument: the folder), so that each crasher ever
 * found stays a test in every build. Prints how many it ran; an absent folder counts as an error. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
		return 2;
	}
	DIR *folder = opendir(argv[1]);
	if (!folder) {
		perror(argv[1]);
		return 2;
	}
	int count = 0;
	for (struct dirent *entry; (entry = readdir(folder));) {
		if (entry->d_name[0] == '.')
			continue;
		char path[4096];
		snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
		FILE *file = fopen(path, "rb");
		if (!file) {
			perror(path);
			return 2;
		}
		static uint8_t data[1 << 20];
		size_t size = fread(data, 1, sizeof data, file);
		fclose(file);
		/* a copy of the exact size, so that a read past the end is seen by the address sanitizer */
		uint8_t *exact = malloc(size ? size : 1);
		for (size_t i = 0; i < size; i++)
			exact[i] = data[i];
		LLVMFuzzerTestOneInput(exact, size);
		free(exact);
		count++;
	}
	closedir(folder);
	printf("%d inputs\n", count);
	return count > 0 ? 0 : 1;
}
