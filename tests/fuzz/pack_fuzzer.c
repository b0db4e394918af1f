/* room: mrv */
/* Any bytes as an evidence pack. A mutated pack would always fail at SHA256SUMS, so the sums are made right again first: the
 * steps behind them are reached. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/sign.h"
#include "carbond/mrv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOCK = 512, NAME = 100 };

static size_t entry_size(const uint8_t *header)
{
	char digits[12] = {0};
	memcpy(digits, header + 124, 11);
	return strtoul(digits, NULL, 8);
}

/* Rewrites the last entry, SHA256SUMS, where it is as long as it has to be. */
static void mend_sums(uint8_t *data, size_t size)
{
	char *sums = malloc(size + BLOCK);
	size_t used = 0, offset = 0;
	while (sums && offset + BLOCK <= size && data[offset]) {
		char name[NAME + 1] = {0}, hex[HASH_TEXT_SIZE];
		size_t length = entry_size(data + offset), body = offset + BLOCK;
		memcpy(name, data + offset, NAME);
		if (length > size - body || used + strlen(name) + HASH_TEXT_SIZE + 4 > size)
			break;
		if (strcmp(name, "SHA256SUMS") == 0) {
			if (length == used)
				memcpy(data + body, sums, used);
			break;
		}
		used += (size_t)sprintf(
			sums + used, "%s  %s\n", hash_text(sha256_of(NULL, data + body, length), hex), name);
		offset = body + (length + BLOCK - 1) / BLOCK * BLOCK;
	}
	free(sums);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int started;
	struct mrv_pack pack;
	struct err_info info = {0};
	if (!started && crypto_start() != ERR_OK)
		abort();
	started = 1;
	uint8_t *copy = malloc(size ? size : 1);
	if (size)
		memcpy(copy, data, size);
	for (int mended = 0; mended < 2; mended++) {
		struct arena *arena = arena_new(256u << 20);
		(void)!mrv_verify_pack(copy, size, NULL, arena, &pack, &info);
		arena_free(&arena);
		mend_sums(copy, size);
	}
	free(copy);
	return 0;
}
