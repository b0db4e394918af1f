/* room: sensing */
/* Payloads of the readings log: any bytes are refused or give readings, which come back the same from a second encoding. An
 * input that does not begin with the format's name is the body of one, so that the columns are reached past zstd. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/limits.h"
#include "carbond/sensing.h"

#define HEAD_BYTES (4 + 4 + 4 + 1 + 4 + 3)

/* "CRB1", the size, and a zstd frame of one raw block: magic, single segment with a 4-byte content size, block header. */
static size_t frame(const uint8_t *body, size_t size, uint8_t *ret_data)
{
	uint8_t *to = ret_data;
	uint32_t block = (uint32_t)(size << 3 | 1);
	memcpy(to, "CRB1", 4);
	for (int i = 0; i < 4; i++)
		to[4 + i] = (uint8_t)(size >> (8 * i));
	memcpy(to + 8, "\x28\xb5\x2f\xfd\xa0", 5);
	for (int i = 0; i < 4; i++)
		to[13 + i] = (uint8_t)(size >> (8 * i));
	for (int i = 0; i < 3; i++)
		to[17 + i] = (uint8_t)(block >> (8 * i));
	memcpy(to + HEAD_BYTES, body, size);
	return HEAD_BYTES + size;
}

static int compare(const void *a, const void *b)
{
	const struct reading *left = a, *right = b;
	int order = memcmp(left->sensor.bytes, right->sensor.bytes, 16);
	if (order == 0)
		order = (left->time_us > right->time_us) - (left->time_us < right->time_us);
	if (order == 0)
		order = (left->value > right->value) - (left->value < right->value);
	return order ? order : left->quality - right->quality;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *arena;
	struct reading *readings, *again;
	size_t count, again_count, encoded_size;
	uint8_t *encoded;
	if (!arena)
		arena = arena_new(LIMIT_BATCH_ARENA_BYTES);
	assert(arena);
	arena_reset(arena);
	if (size > 0 && size < 100000 && (size < 4 || memcmp(data, "CRB1", 4) != 0)) {
		uint8_t *framed = arena_alloc(arena, size + HEAD_BYTES);
		assert(framed);
		size = frame(data, size, framed);
		data = framed;
	}
	if (readings_decode(data, size, arena, &readings, &count) != ERR_OK) {
		assert(count == 0);
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		assert(isfinite(readings[i].value) && readings[i].quality <= SERIES_MANUAL);
	assert(readings_encode(readings, count, arena, &encoded, &encoded_size) == ERR_OK);
	assert(readings_decode(encoded, encoded_size, arena, &again, &again_count) == ERR_OK && again_count == count);
	if (count == 0)
		return 0;
	qsort(readings, count, sizeof *readings, compare);
	qsort(again, count, sizeof *again, compare);
	for (size_t i = 0; i < count; i++)
		assert(compare(&readings[i], &again[i]) == 0);
	return 0;
}
