/* The SQLite back end under the cases that hold for every back end. */
#include "conformance.h"
#include "sqlite_places.h"

static void sqlite_tamper(struct place *place, const char *stream, uint64_t seq, bool header)
{
	char sql[512];
	const char *change =
		header ? "written_at_us = written_at_us + 1" : "payload = CAST('paylOad number 70' AS BLOB)";
	snprintf(sql, sizeof sql, "UPDATE log_batches SET %s WHERE stream = '%s' AND seq = %llu", change, stream,
		(unsigned long long)seq);
	run_sql(place->folder, "value.db", sql);
}

static bool file_holds(const char *path, const char *needle)
{
	FILE *stream = fopen(path, "rb");
	if (!stream)
		return false;
	fseek(stream, 0, SEEK_END);
	size_t size = (size_t)ftell(stream);
	rewind(stream);
	char *data = malloc(size + 1);
	size = fread(data, 1, size, stream);
	fclose(stream);
	bool found = memmem(data, size, needle, strlen(needle)) != NULL;
	free(data);
	return found;
}

static bool sqlite_holds(struct place *place, const char *needle)
{
	bool found = false;
	DIR *listing = opendir(place->folder);
	for (struct dirent *entry; (entry = readdir(listing)) && !found;) {
		char path[1024];
		snprintf(path, sizeof path, "%s/%s", place->folder, entry->d_name);
		found = entry->d_type == DT_REG && file_holds(path, needle);
	}
	closedir(listing);
	return found;
}

int main(void)
{
	static const struct backend backend = {.name = "sqlite",
		.place_new = sqlite_place_new,
		.place_drop = sqlite_place_drop,
		.tamper = sqlite_tamper,
		.holds = sqlite_holds,
		.race_rounds = 300,
		.retention_s = 30};
	return conformance_run(&backend);
}
