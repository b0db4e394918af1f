/* room: sensing */
/* Payloads of readings: any bytes give a verdict on each reading; what is accepted is a finite number in its sensor's range
 * and time, and what is kept of the rest is clean, bounded and decodes again without being accepted. The first byte chooses
 * media type and source. */
#include <assert.h>
#include <math.h>

#include "../unit/sensing/directory.h"
#include "carbond/base/limits.h"
#include "carbond/base/sign.h"

static const char *const media[] = {NULL, "application/json", "application/x-ndjson", "application/senml+json"};

static void check_clean(const char *text, size_t most)
{
	assert(strlen(text) <= most);
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		assert(*c >= 0x20 || *c == '\n' || *c == '\t');
}

static void check_batch(const struct directory *directory, const struct reading_batch *batch)
{
	size_t items = batch->reading_count, judged = 0;
	for (size_t i = 0; i < batch->reading_count; i++) {
		const struct reading *reading = &batch->readings[i];
		const struct directory_sensor *sensor = directory_find_sensor(directory, reading->sensor);
		assert(sensor && !sensor->retired && isfinite(reading->value));
		assert(reading->value >= sensor->range_low && reading->value <= sensor->range_high);
		assert(reading->time_us >= NOW - sensor->oldest_us && reading->time_us <= NOW + sensor->newest_us);
		assert(reading->quality == SERIES_GOOD || reading->quality == SERIES_MANUAL);
	}
	for (size_t i = 0; i < batch->quarantined_count; i++) {
		const struct quarantined *row = &batch->quarantined[i];
		items += (size_t)row->items;
		check_clean(row->raw, QUARANTINE_RAW_BYTES);
		check_clean(row->detail, 1024);
		check_clean(row->source, 1024);
		if (row->tag)
			check_clean(row->tag, 1024);
		if (row->value)
			check_clean(row->value, 1024);
	}
	for (size_t i = 0; i < batch->verdict_count; i++)
		judged += batch->verdicts[i].count;
	assert(items == batch->item_count && judged == items && items <= LIMIT_PAYLOAD_READINGS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct directory *directory;
	static struct arena *arena;
	if (!directory) {
		assert(crypto_start() == ERR_OK);
		directory = small_directory();
		arena = arena_new(LIMIT_BATCH_ARENA_BYTES);
		assert(directory && arena);
	}
	if (size == 0)
		return 0;
	arena_reset(arena);
	struct payload_source source = {.source = "fuzz", .org = "acme", .unit = "plant-1", .now_us = NOW};
	struct reading_batch batch = {.arena = arena, .want_verdicts = true};
	if (data[0] & 4)
		source.org = NULL, source.org_id = data[0] & 8 ? OTHER : ACME;
	if (data[0] & 16)
		source.unit = NULL;
	enum err err =
		payload_decode(directory, &source, media[data[0] & 3], (const char *)data + 1, size - 1, &batch, NULL);
	assert(!err || batch.reading_count == 0);
	check_batch(directory, &batch);
	for (size_t i = 0; i < batch.quarantined_count && i < 20; i++) {
		struct reading_batch again = {.arena = arena, .want_verdicts = true};
		const char *raw = batch.quarantined[i].raw;
		err = payload_decode(directory, &source, NULL, raw, strlen(raw), &again, NULL);
		assert(batch.quarantined[i].reason == QUARANTINE_MALFORMED || err || again.reading_count == 0);
	}
	return 0;
}
