/* Days and months: a day's row holds the summaries of its hours, a month's row those of its days, each the newest revision
 * that is closed. Only the sensor's shard writes them, in the transaction that closes an hour. */
#include <string.h>

#include "carbond/base/clock.h"
#include "shard.h"

enum err rollup_decode(const struct rollup_row *row, struct rollup *ret_rollup)
{
	*ret_rollup = (struct rollup){
		.sensor = row->sensor_id, .level = (enum rollup_level)row->level, .start_us = row->start_us};
	const uint8_t *at = row->summaries.data;
	size_t left = row->summaries.size, used;
	while (left > 0) {
		if (ret_rollup->count == ROLLUP_PARTS_MAX)
			return ERR_STORE_CORRUPT;
		enum err err = series_summary_decode(at, left, &ret_rollup->parts[ret_rollup->count], &used);
		if (err)
			return err;
		ret_rollup->count++;
		at += used;
		left -= used;
	}
	return ERR_OK;
}

enum err rollup_read(struct store *store, struct id sensor, enum rollup_level level, int64_t start_us,
	struct arena *arena, struct rollup *ret_rollup, struct err_info *info)
{
	struct rollup_row row = {.sensor_id = sensor, .level = (int)level, .start_us = start_us};
	enum err err = store_get(store, &rollups_collection, &row, arena, info);
	if (err == ERR_NOT_FOUND) {
		*ret_rollup = (struct rollup){.sensor = sensor, .level = level, .start_us = start_us};
		return ERR_OK;
	}
	if (err)
		return err;
	err = rollup_decode(&row, ret_rollup);
	return err ? err_set(info, err, NULL, "a roll-up does not decode") : ERR_OK;
}

enum err rollup_encode(const struct rollup *rollup, struct arena *arena, struct rollup_row *ret_row)
{
	uint8_t *data = arena_alloc(arena, rollup->count * HOUR_SUMMARY_BYTES + 1);
	size_t size = 0;
	if (!data)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < rollup->count; i++) {
		size_t one;
		enum err err = series_summary_encode(&rollup->parts[i], data + size, HOUR_SUMMARY_BYTES, &one);
		if (err)
			return err;
		size += one;
	}
	*ret_row = (struct rollup_row){.sensor_id = rollup->sensor,
		.level = (int)rollup->level,
		.start_us = rollup->start_us,
		.summaries = {.data = data, .size = size}};
	return ERR_OK;
}

void rollup_put(struct rollup *rollup, const struct series_summary *part)
{
	size_t at = 0;
	while (at < rollup->count && rollup->parts[at].from_us < part->from_us)
		at++;
	bool there = at < rollup->count && rollup->parts[at].from_us == part->from_us;
	struct series_summary *place = &rollup->parts[at];
	if (part->count == 0) {
		if (there)
			memmove(place, place + 1, (--rollup->count - at) * sizeof *place);
		return;
	}
	if (!there) {
		if (rollup->count == ROLLUP_PARTS_MAX)
			return;
		memmove(place + 1, place, (rollup->count++ - at) * sizeof *place);
	}
	*place = *part;
}

void summaries_fold(
	const struct series_summary *parts, size_t count, int64_t period_us, struct series_summary *ret_total)
{
	*ret_total = (struct series_summary){.decimal = true};
	for (size_t i = 0; i < count; i++) {
		double left = 0, right = 0;
		int64_t left_us = 0, right_us = 0;
		if (i > 0)
			series_join(&parts[i - 1], &parts[i], period_us, &left, &left_us, &right, &right_us);
		series_fold(ret_total, &parts[i]);
		ret_total->integral += left + right;
		ret_total->covered_us += left_us + right_us;
	}
}
