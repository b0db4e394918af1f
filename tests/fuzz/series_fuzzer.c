/* room: series */
/* Any bytes are a column block or are refused; what decodes is encoded again and comes back the same. The first byte picks
 * the decoder: even a block of columns, odd a summary. */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "carbond/series.h"

#define POINTS_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_columns(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(0);
	struct series_point *points, *again;
	size_t count, again_count, encoded_size;
	uint8_t *encoded;
	if (arena && !series_decode(data, size, POINTS_MAX, arena, &points, &count)) {
		assert(series_encode(points, count, arena, &encoded, &encoded_size) == ERR_OK);
		assert(series_decode(encoded, encoded_size, POINTS_MAX, arena, &again, &again_count) == ERR_OK);
		assert(again_count == count);
		for (size_t i = 0; i < count; i++) {
			assert(isfinite(points[i].value) && points[i].quality < SERIES_QUALITY_COUNT);
			assert(again[i].time_us == points[i].time_us && again[i].value == points[i].value);
			assert(again[i].quality == points[i].quality);
		}
	}
	arena_free(&arena);
}

static void fuzz_summary(const uint8_t *data, size_t size)
{
	struct series_summary summary;
	size_t used;
	if (!series_summary_decode(data, size, &summary, &used))
		assert(used <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 2)
		fuzz_summary(data + 1, size - 1);
	else
		fuzz_columns(data + 1, size - 1);
	return 0;
}
