/* The buckets behind the room's public face: rules, overlays and quarantine come from the room's other parts. */
#include <math.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/log.h"
#include "parts.h"
#include "quarantine.h"
#include "shard.h"

#define OVERLAYS_MAX 10000 /* of one sensor, that a query applies */
#define SENSORS_PAGE 500

static bool rules_of(void *context, struct id sensor, struct bucket_rules *ret_rules)
{
	const struct directory *directory = sensing_directory_ref(context);
	const struct directory_sensor *row = directory ? directory_find_sensor(directory, sensor) : NULL;
	if (row)
		*ret_rules = (struct bucket_rules){.org_id = row->org_id,
			.sampling_period_us = row->sampling_period_us,
			.lateness_us = row->lateness_us,
			.stale_after_us = row->stale_after_us};
	sensing_directory_unref(&directory);
	return row;
}

static enum err refuse(
	void *context, const struct refusal *refusals, size_t count, struct arena *arena, struct refused *ret_refused)
{
	struct sensing *sensing = context;
	const struct directory *directory = sensing_directory_ref(sensing);
	int64_t now_us = clock_wall_us();
	ret_refused->rows = ARENA_ARRAY(arena, struct quarantined, count);
	ret_refused->row_count = count;
	enum err err = ret_refused->rows && directory ? ERR_OK : ERR_NO_MEMORY;
	for (size_t i = 0; i < count && !err; i++) {
		const struct directory_sensor *row = directory_find_sensor(directory, refusals[i].reading.sensor);
		const struct directory_sensor unknown = {.id = refusals[i].reading.sensor, .tag = "", .unit = ""};
		err = sensing_quarantine_reading(&refusals[i].reading, row ? row : &unknown, refusals[i].reason,
			refusals[i].detail, now_us, arena, &ret_refused->rows[i]);
	}
	if (!err)
		err = sensing_quarantine_changes(
			sensing, ret_refused->rows, count, arena, &ret_refused->changes, &ret_refused->change_count);
	sensing_directory_unref(&directory);
	return err;
}

static void refused(void *context, const struct refused *refused, bool durable)
{
	sensing_quarantine_written(context, refused->rows, refused->row_count, durable);
}

enum err buckets_start(struct sensing *sensing, struct err_info *info)
{
	const struct sensing_options *from = &sensing->options;
	struct buckets_options options = {.store = sensing->store,
		.node = from->node,
		.members = from->members,
		.shards = from->members ? SENSING_PARTITIONS : from->shards,
		.shard_queue = from->shard_queue,
		.flush_us = from->flush_us,
		.memory_bytes = from->memory_bytes,
		.log_retention_us = from->log_retention_us,
		.rules = rules_of,
		.refuse = refuse,
		.refused = refused,
		.context = sensing};
	return buckets_open(&options, &sensing->buckets, info);
}

void buckets_stop(struct sensing *sensing)
{
	buckets_close(&sensing->buckets);
}

enum err sensing_feed(struct sensing *sensing, const char *stream, uint64_t seq, const struct reading *readings,
	size_t count, int64_t deadline_us)
{
	return buckets_feed(sensing->buckets, stream, seq, readings, count, deadline_us);
}

enum err sensing_settle(struct sensing *sensing, int64_t deadline_us)
{
	return buckets_settle(sensing->buckets, deadline_us);
}

enum err sensing_ready(struct sensing *sensing, char *reason, size_t size)
{
	return buckets_ready(sensing->buckets, reason, size);
}

enum err sensing_close_hours(struct sensing *sensing, const struct id *sensors, size_t count, int64_t from_us,
	int64_t to_us, int64_t deadline_us, struct err_info *info)
{
	return buckets_close_hours(sensing->buckets, sensors, count, from_us, to_us, deadline_us, info);
}

enum err sensing_buckets(struct sensing *sensing, struct id sensor, int64_t from_us, int64_t to_us, struct arena *arena,
	struct bucket **ret_buckets, size_t *ret_count, struct err_info *info)
{
	return buckets_find(sensing->buckets, sensor, from_us, to_us, arena, ret_buckets, ret_count, info);
}

enum err sensing_bucket(struct sensing *sensing, struct id sensor, int64_t hour_us, int64_t revision,
	struct arena *arena, struct bucket *ret_bucket, struct err_info *info)
{
	return buckets_get(sensing->buckets, sensor, hour_us, revision, arena, ret_bucket, info);
}

enum err sensing_pin(struct sensing *sensing, struct id sensor, int64_t from_us, int64_t to_us, struct id owner,
	struct err_info *info)
{
	return buckets_pin(sensing->buckets, sensor, from_us, to_us, owner, info);
}

enum err sensing_unpin(struct sensing *sensing, struct id sensor, struct id owner, struct err_info *info)
{
	return buckets_unpin(sensing->buckets, sensor, owner, info);
}

enum err sensing_retain(struct sensing *sensing, int64_t now_us, struct err_info *info)
{
	int64_t floor_us = atomic_exchange(&sensing->buckets->closed_floor_us, INT64_MAX);
	struct sensor after;
	struct store_query query = {.collection = &sensors_collection, .most = SENSORS_PAGE};
	enum err err = ERR_OK;
	for (size_t count = SENSORS_PAGE; count == SENSORS_PAGE && !err;) {
		struct arena *arena = arena_new(0);
		void *rows;
		if (!arena)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for retention");
		err = store_find(sensing->store, &query, arena, &rows, &count, info);
		const struct sensor *sensors = rows;
		for (size_t i = 0; i < count && !err; i++)
			if (sensors[i].raw_retention_us > 0)
				err = buckets_retain_sensor(sensing->buckets, sensors[i].id,
					sensors[i].raw_retention_us, floor_us, now_us, info);
		if (!err && count) {
			after = sensors[count - 1];
			query.after = &after;
		}
		arena_free(&arena);
	}
	if (err)
		atomic_store(&sensing->buckets->closed_floor_us, INT64_MIN);
	if (!err)
		err = buckets_prune(sensing->buckets, now_us, info);
	return err ? err : quarantine_retain(sensing->quarantine, now_us, info);
}

/* Overlays of the sensor that begin before the range ends. */
static enum err overlays_of(struct sensing *sensing, struct id sensor, int64_t to_us, struct arena *arena,
	struct overlay **ret_overlays, size_t *ret_count, struct err_info *info)
{
	struct bucket_rules rules;
	*ret_count = 0;
	if (!rules_of(sensing, sensor, &rules))
		return ERR_OK;
	struct overlay low = {.org_id = rules.org_id, .sensor_id = sensor}, to = low;
	struct store_query query = {.collection = &overlays_collection,
		.index = "by_sensor",
		.low = &low,
		.prefix = 2,
		.to = &to,
		.most = OVERLAYS_MAX};
	void *rows;
	to.from_us = to_us;
	enum err err = store_find(sensing->store, &query, arena, &rows, ret_count, info);
	*ret_overlays = err ? NULL : rows;
	return err;
}

enum err sensing_range(struct sensing *sensing, const struct range_query *query, struct arena *arena,
	struct range_row **ret_rows, size_t *ret_count, int64_t *ret_next_us, struct err_info *info)
{
	struct overlay *overlays = NULL;
	size_t overlay_count = 0;
	enum err err = ERR_OK;
	if (query->aggregate == AGGREGATE_RAW)
		err = overlays_of(sensing, query->sensor, query->to_us, arena, &overlays, &overlay_count, info);
	if (err)
		return err;
	return buckets_range(
		sensing->buckets, query, overlays, overlay_count, arena, ret_rows, ret_count, ret_next_us, info);
}

enum err sensing_latest(struct sensing *sensing, struct id sensor, struct range_row *ret_row, struct err_info *info)
{
	return buckets_latest(sensing->buckets, sensor, ret_row, info);
}
