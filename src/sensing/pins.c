/* Pins: which runs of hours keep their raw readings, and how far retention has gone. One row a sensor, changed only by
 * compare-and-set, so a pin and the dropping of raw never pass each other. Threads that may block. */
#include <string.h>

#include "carbond/base/clock.h"
#include "shard.h"

#define PIN_ATTEMPTS 64    /* against other pins, closes and retention of one sensor; then ERR_BUSY */
#define PIN_RUNS_MAX 10000 /* of one sensor: periods are months long */

enum err pins_read(
	struct store *store, struct id sensor, struct arena *arena, struct pin_row *ret_row, struct err_info *info)
{
	*ret_row = (struct pin_row){.sensor_id = sensor};
	enum err err = store_get(store, &pins_collection, ret_row, arena, info);
	if (err != ERR_NOT_FOUND)
		return err;
	*ret_row = (struct pin_row){.sensor_id = sensor};
	return ERR_OK;
}

bool pins_hold(const struct pin_row *row, int64_t hour_us)
{
	const struct pin_run *runs = row->runs.items;
	for (size_t i = 0; i < row->runs.count; i++)
		if (hour_us >= runs[i].from_us && hour_us < runs[i].to_us)
			return true;
	return false;
}

enum err buckets_cited(struct store *store, struct id sensor, int64_t from_us, int64_t to_us, struct arena *arena,
	bool *ret_cited, struct err_info *info)
{
	struct pin_row row;
	enum err err = pins_read(store, sensor, arena, &row, info);
	const struct pin_run *runs = row.runs.items;
	*ret_cited = false;
	for (size_t i = 0; !err && i < row.runs.count; i++)
		*ret_cited |= runs[i].from_us < to_us && runs[i].to_us > from_us;
	return err;
}

struct store_change pins_change(struct pin_row *row)
{
	struct store_change change = {.collection = &pins_collection,
		.row = row,
		.verb = STORE_PUT,
		.condition = row->version ? STORE_EQUALS : STORE_ABSENT,
		.field = row->version ? "version" : NULL,
		.value = row->version};
	row->version++;
	return change;
}

/* Changes the row again and again until the compare-and-set holds. `edit` sets *ret_keep where nothing is to be written. */
static enum err pins_edit(struct buckets *buckets, struct id sensor,
	enum err (*edit)(struct pin_row *row, const struct pin_run *run, struct arena *arena, bool *ret_keep,
		struct err_info *info),
	const struct pin_run *run, struct err_info *info)
{
	enum err err = ERR_CONDITION_FAILED;
	for (int attempt = 0; attempt < PIN_ATTEMPTS && err == ERR_CONDITION_FAILED; attempt++) {
		struct arena *arena = arena_new(0);
		struct pin_row row;
		bool keep = false;
		if (!arena)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for pins");
		err = pins_read(buckets->options.store, sensor, arena, &row, info);
		if (!err)
			err = edit(&row, run, arena, &keep, info);
		if (!err && !keep) {
			struct store_change change = pins_change(&row);
			err = store_write(buckets->options.store, &change, 1, NULL, info);
		}
		arena_free(&arena);
	}
	if (err == ERR_CONDITION_FAILED)
		return err_set(info, ERR_BUSY, NULL, "the sensor's pins are changed by many at once");
	return err;
}

/* Hours before dropped_before still have their raw only where a pin holds them already. */
static enum err pin_add(
	struct pin_row *row, const struct pin_run *run, struct arena *arena, bool *ret_keep, struct err_info *info)
{
	struct pin_run *runs = ARENA_ARRAY(arena, struct pin_run, row->runs.count + 1);
	const struct pin_run *old = row->runs.items;
	if (!runs)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for pins");
	for (size_t i = 0; i < row->runs.count; i++) {
		runs[i] = old[i];
		if (id_equal(old[i].owner, run->owner) && old[i].from_us <= run->from_us &&
			old[i].to_us >= run->to_us) {
			*ret_keep = true;
			return ERR_OK;
		}
	}
	for (int64_t hour_us = run->from_us; hour_us < run->to_us && hour_us < row->dropped_before_us;
		hour_us += CLOCK_US_PER_HOUR)
		if (!pins_hold(row, hour_us))
			return err_set(info, ERR_RAW_EXPIRED, NULL, "raw readings of the hour have been dropped");
	if (row->runs.count >= PIN_RUNS_MAX)
		return err_set(info, ERR_TOO_LARGE, NULL, "a sensor has at most %d pins", PIN_RUNS_MAX);
	runs[row->runs.count] = *run;
	row->runs = (struct field_list){.items = runs, .count = row->runs.count + 1};
	return ERR_OK;
}

static enum err pin_remove(
	struct pin_row *row, const struct pin_run *run, struct arena *arena, bool *ret_keep, struct err_info *info)
{
	struct pin_run *runs = ARENA_ARRAY(arena, struct pin_run, row->runs.count + 1);
	const struct pin_run *old = row->runs.items;
	size_t kept = 0;
	if (!runs)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for pins");
	for (size_t i = 0; i < row->runs.count; i++) {
		if (!id_equal(old[i].owner, run->owner)) {
			runs[kept++] = old[i];
			continue;
		}
		if (old[i].from_us < row->swept_before_us) /* retention looks there again */
			row->swept_before_us = old[i].from_us;
	}
	*ret_keep = kept == row->runs.count;
	row->runs = (struct field_list){.items = runs, .count = kept};
	return ERR_OK;
}

enum err buckets_pin(struct buckets *buckets, struct id sensor, int64_t from_us, int64_t to_us, struct id owner,
	struct err_info *info)
{
	struct pin_run run = {
		.owner = owner, .from_us = clock_hour_start(from_us), .to_us = clock_hour_start(to_us - 1)};
	run.to_us += CLOCK_US_PER_HOUR;
	if (from_us >= to_us)
		return err_set(info, ERR_INVALID_FIELD, "/to_us", "to_us must be after from_us");
	return pins_edit(buckets, sensor, pin_add, &run, info);
}

enum err buckets_unpin(struct buckets *buckets, struct id sensor, struct id owner, struct err_info *info)
{
	struct pin_run run = {.owner = owner};
	return pins_edit(buckets, sensor, pin_remove, &run, info);
}
