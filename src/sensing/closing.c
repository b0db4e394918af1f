/* How hours become rows: the flush of what is open, and the close that makes a revision final, with its roll-ups, reviews
 * and quarantined readings, many hours in one transaction. Each transaction also writes the shard's owner row on the
 * condition that its term is unchanged: an owner that was replaced writes nothing. The shard's thread; memory is changed,
 * under the lock, only after the store has said yes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "shard.h"

#define GROUP_BUCKETS  128     /* hours in one transaction: the writer is shared */
#define GROUP_READINGS 1000000 /* about a megabyte of columns */
#define CLOSE_ATTEMPTS 8       /* against concurrent pins and a commit whose answer was lost */
#define GROUP_ARENA    (1u << 30)
#define CHANGES_A_HOUR 8 /* row, open row, base row, day, month, review, pins; and one spare */

/* One transaction in the making. */
struct group {
	struct shard *shard;
	struct arena *arena;
	struct open_bucket **buckets;
	size_t count;
	struct store_change *changes;
	size_t change_count;
	struct refusal *refusals;
	size_t refusal_count, refusal_capacity;
	struct refused refused;
	struct rollup *rollups; /* days, then months, of this group */
	size_t rollup_count;
	struct pin_row *pins;
	size_t pin_count;
	uint64_t positions[SHARD_STREAMS_MAX];
	const char *seen;
};

static enum err no_memory(struct err_info *info)
{
	return err_set(info, ERR_NO_MEMORY, NULL, "no memory to write hour buckets");
}

static void change_add(
	struct group *group, const struct store_collection *collection, const void *row, enum store_verb verb)
{
	group->changes[group->change_count++] =
		(struct store_change){.collection = collection, .row = row, .verb = verb, .condition = STORE_ALWAYS};
}

static enum err refusals_add(struct group *group, struct id sensor, const struct series_point *points, size_t count,
	enum quarantine_reason reason, const char *detail)
{
	if (group->refusal_count + count > group->refusal_capacity) {
		size_t capacity = 2 * (group->refusal_count + count);
		struct refusal *larger = ARENA_ARRAY(group->arena, struct refusal, capacity);
		if (!larger)
			return ERR_NO_MEMORY;
		if (group->refusal_count)
			memcpy(larger, group->refusals, group->refusal_count * sizeof *larger);
		group->refusals = larger;
		group->refusal_capacity = capacity;
	}
	for (size_t i = 0; i < count; i++) {
		struct refusal *refusal = &group->refusals[group->refusal_count++];
		refusal->reading = (struct reading){.sensor = sensor,
			.time_us = points[i].time_us,
			.value = points[i].value,
			.quality = points[i].quality};
		refusal->reason = reason;
		refusal->detail = detail;
	}
	return ERR_OK;
}

/* The readings of an open bucket, settled, in the arena; and those that it refuses. */
struct content {
	struct series_point *points, *refused;
	size_t count, refused_count;
};

static enum err content_make(struct group *group, const struct open_bucket *bucket, struct content *ret)
{
	size_t count = bucket->points.count;
	ret->points = ARENA_ARRAY(group->arena, struct series_point, count + 1);
	ret->refused = ARENA_ARRAY(group->arena, struct series_point, count + 1);
	if (!ret->points || !ret->refused)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < count; i++)
		compact_get(&bucket->points, bucket->hour_us, i, &ret->points[i]);
	ret->count = content_settle(ret->points, count, bucket->hour_us, bucket->conflicts, bucket->conflict_count,
		ret->refused, &ret->refused_count);
	return refusals_add(group, bucket->sensor->id, ret->refused, ret->refused_count, QUARANTINE_CONFLICT,
		"another value came under the same sensor and time while the hour was open; neither is counted");
}

static enum err group_init(struct group *group, struct shard *shard, struct open_bucket **buckets, size_t count)
{
	*group = (struct group){.shard = shard, .buckets = buckets, .count = count, .arena = arena_new(GROUP_ARENA)};
	if (!group->arena)
		return ERR_NO_MEMORY;
	group->changes = ARENA_ARRAY(group->arena, struct store_change, count * CHANGES_A_HOUR + 1);
	group->rollups = ARENA_ARRAY(group->arena, struct rollup, 2 * count);
	group->pins = ARENA_ARRAY(group->arena, struct pin_row, count);
	group->seen = buckets_seen_text(shard->buckets, shard->applied, group->arena);
	return group->changes && group->rollups && group->pins && group->seen ? ERR_OK : ERR_NO_MEMORY;
}

/* ---- the owner's row: term and positions ---- */

static enum err owner_row(struct group *group, struct owner_row *ret_row)
{
	struct buckets *buckets = group->shard->buckets;
	struct stream_position *positions = ARENA_ARRAY(group->arena, struct stream_position, SHARD_STREAMS_MAX);
	if (!positions)
		return ERR_NO_MEMORY;
	shard_positions(group->shard, group->positions);
	pthread_mutex_lock(&buckets->lock);
	size_t count = buckets->stream_count;
	pthread_mutex_unlock(&buckets->lock);
	for (size_t i = 0; i < count; i++)
		positions[i] = (struct stream_position){
			.stream = buckets->streams[i].name, .seq = (int64_t)group->positions[i]};
	*ret_row = (struct owner_row){.partition = group->shard->index,
		.term = group->shard->term,
		.node = buckets->node,
		.positions = {.items = positions, .count = count},
		.opened_us = buckets->partitions ? shard_opened_floor(group->shard) : FIELD_ABSENT};
	return ERR_OK;
}

/* Writes the group's changes with the owner row and the quarantined readings. `ret_refused` (may be NULL) names the
 * collection whose condition failed. */
static enum err group_write(struct group *group, const struct store_collection **ret_refused, struct err_info *info)
{
	const struct buckets_options *options = &group->shard->buckets->options;
	struct owner_row owner;
	size_t index = 0;
	enum err err = owner_row(group, &owner);
	if (!err && group->refusal_count)
		err = options->refuse(
			options->context, group->refusals, group->refusal_count, group->arena, &group->refused);
	size_t total = group->change_count + group->refused.change_count + 1;
	struct store_change *all = err ? NULL : ARENA_ARRAY(group->arena, struct store_change, total);
	if (!all)
		return no_memory(info);
	all[0] = (struct store_change){.collection = &bucket_owners_collection,
		.row = &owner,
		.verb = STORE_PUT,
		.condition = STORE_EQUALS,
		.field = "term",
		.value = group->shard->term};
	memcpy(all + 1, group->changes, group->change_count * sizeof *all);
	if (group->refused.change_count)
		memcpy(all + 1 + group->change_count, group->refused.changes,
			group->refused.change_count * sizeof *all);
	err = store_write(options->store, all, total, &index, info);
	if (group->refusal_count)
		options->refused(options->context, &group->refused, err == ERR_OK);
	if (err == ERR_CONDITION_FAILED && index == 0)
		return err_set(info, ERR_POSITION_TAKEN, NULL, "another owner builds the buckets of this shard");
	if (ret_refused)
		*ret_refused = err == ERR_CONDITION_FAILED && index < total ? all[index].collection : NULL;
	if (!err) {
		pthread_mutex_lock(&group->shard->lock);
		memcpy(group->shard->durable, group->positions, sizeof group->positions);
		pthread_mutex_unlock(&group->shard->lock);
		group->shard->positions_us = buckets_monotonic_us(group->shard->buckets);
		metric_add(METRIC_SENSING_CONFLICTS, (int64_t)group->refusal_count);
	}
	return err;
}

enum err shard_write_positions(struct shard *shard, struct err_info *info)
{
	uint64_t positions[SHARD_STREAMS_MAX];
	struct group group;
	shard_positions(shard, positions);
	if (memcmp(positions, shard->durable, sizeof positions) == 0)
		return ERR_OK;
	enum err err = group_init(&group, shard, NULL, 0);
	err = err ? no_memory(info) : group_write(&group, NULL, info);
	arena_free(&group.arena);
	return err;
}

/* What is about to be written counts as written for the positions that go with it; put back where the write failed. */
static void clean_all(struct group *group, bool *ret_was_dirty)
{
	for (size_t i = 0; i < group->count; i++) {
		ret_was_dirty[i] = group->buckets[i]->dirty;
		shard_clean(group->shard, group->buckets[i]);
	}
}

static void dirty_again(struct group *group, const bool *was_dirty)
{
	for (size_t i = 0; i < group->count; i++)
		if (was_dirty[i])
			shard_dirty(group->shard, group->buckets[i]);
}

/* ---- flush ---- */

/* What replaces a bucket's memory once its flush is durable: NULL points where they stay as they are. */
struct settled {
	struct compact points;
	uint32_t *conflicts;
	size_t conflict_count;
	bool changed;
};

static enum err settled_make(const struct open_bucket *bucket, const struct content *content, const uint32_t *conflicts,
	size_t conflict_count, struct settled *ret)
{
	if (!bucket->points.unsorted && content->refused_count == 0)
		return ERR_OK;
	*ret = (struct settled){.changed = true, .conflict_count = conflict_count};
	ret->conflicts = malloc((conflict_count + 1) * sizeof *conflicts);
	bool fits = ret->conflicts;
	for (size_t i = 0; i < content->count && fits; i++)
		fits = compact_add(&ret->points, (uint32_t)(content->points[i].time_us - bucket->hour_us),
			content->points[i].value, content->points[i].quality == SERIES_MANUAL);
	if (fits && conflict_count)
		memcpy(ret->conflicts, conflicts, conflict_count * sizeof *conflicts);
	return fits ? ERR_OK : ERR_NO_MEMORY;
}

static void settled_free(struct settled *settled)
{
	compact_free(&settled->points);
	free(settled->conflicts);
}

static enum err flush_one(struct group *group, struct open_bucket *bucket, struct settled *ret_settled)
{
	struct content content;
	size_t conflict_count, size;
	uint8_t *columns;
	enum err err = content_make(group, bucket, &content);
	if (err)
		return err;
	uint32_t *conflicts = conflicts_join(bucket->conflicts, bucket->conflict_count, content.refused,
		content.refused_count, bucket->hour_us, group->arena, &conflict_count);
	struct open_row *row = ARENA_NEW(group->arena, struct open_row);
	if (!conflicts || !row)
		return ERR_NO_MEMORY;
	err = series_encode(content.points, content.count, group->arena, &columns, &size);
	if (!err)
		err = settled_make(bucket, &content, conflicts, conflict_count, ret_settled);
	if (err)
		return err;
	*row = (struct open_row){.sensor_id = bucket->sensor->id,
		.hour_us = bucket->hour_us,
		.revision = bucket->revision,
		.count = (int64_t)content.count,
		.columns = {.data = columns, .size = size},
		.conflicts = conflicts_bytes(conflicts, conflict_count, group->arena),
		.seen = group->seen,
		.opened_us = bucket->opened_us};
	change_add(group, &open_buckets_collection, row, STORE_PUT);
	return ERR_OK;
}

/* Under the lock: the flushed bucket as it is now. */
static void flushed(struct shard *shard, struct open_bucket *bucket, struct settled *settled)
{
	bucket->stored = true;
	if (!settled->changed)
		return;
	shard->bytes -= compact_bytes(&bucket->points);
	struct compact points = bucket->points;
	uint32_t *conflicts = bucket->conflicts;
	bucket->points = settled->points;
	bucket->conflicts = settled->conflicts;
	bucket->conflict_count = (uint32_t)settled->conflict_count;
	shard->bytes += compact_bytes(&bucket->points);
	settled->points = points; /* freed with the group */
	settled->conflicts = conflicts;
}

static enum err flush_group(struct shard *shard, struct open_bucket **buckets, size_t count, struct err_info *info)
{
	struct group group;
	enum err err = group_init(&group, shard, buckets, count);
	struct settled *settled = calloc(count, sizeof *settled);
	bool *was_dirty = calloc(count, sizeof *was_dirty);
	if (!settled || !was_dirty)
		err = ERR_NO_MEMORY;
	for (size_t i = 0; i < count && !err; i++)
		err = flush_one(&group, buckets[i], &settled[i]);
	if (err) {
		no_memory(info);
	} else {
		clean_all(&group, was_dirty);
		err = group_write(&group, NULL, info);
		if (err)
			dirty_again(&group, was_dirty);
	}
	if (!err) {
		pthread_mutex_lock(&shard->lock);
		for (size_t i = 0; i < count; i++)
			flushed(shard, buckets[i], &settled[i]);
		pthread_mutex_unlock(&shard->lock);
		metric_add(METRIC_SENSING_FLUSHES, (int64_t)count);
	}
	for (size_t i = 0; settled && i < count; i++)
		settled_free(&settled[i]);
	free(settled);
	free(was_dirty);
	arena_free(&group.arena);
	return err;
}

enum err shard_flush(struct shard *shard, int64_t until_us, struct err_info *info)
{
	struct open_bucket *group[GROUP_BUCKETS];
	enum err err = ERR_OK;
	while (!err && shard->first_dirty && shard->first_dirty->dirty_us <= until_us) {
		size_t count = 0, readings = 0;
		for (struct open_bucket *bucket = shard->first_dirty;
			bucket && bucket->dirty_us <= until_us && count < GROUP_BUCKETS && readings < GROUP_READINGS;
			bucket = bucket->next_dirty) {
			group[count++] = bucket;
			readings += bucket->points.count;
		}
		err = flush_group(shard, group, count, info);
	}
	return err;
}

/* ---- close ---- */

/* The group's picture of a day or month: read once, changed in memory, written once. */
static enum err rollup_get(struct group *group, struct id sensor, enum rollup_level level, int64_t start_us,
	struct rollup **ret_rollup, struct err_info *info)
{
	for (size_t i = 0; i < group->rollup_count; i++) {
		*ret_rollup = &group->rollups[i];
		if ((*ret_rollup)->level == level && (*ret_rollup)->start_us == start_us &&
			id_equal((*ret_rollup)->sensor, sensor))
			return ERR_OK;
	}
	*ret_rollup = &group->rollups[group->rollup_count];
	enum err err = rollup_read(
		group->shard->buckets->options.store, sensor, level, start_us, group->arena, *ret_rollup, info);
	group->rollup_count += err == ERR_OK;
	return err;
}

static enum err rollups_write(struct group *group, struct err_info *info)
{
	size_t days = group->rollup_count;
	for (size_t i = 0; i < days; i++) {
		struct rollup *day = &group->rollups[i], *month;
		struct bucket_rules rules = buckets_rules(group->shard->buckets, day->sensor);
		struct series_summary total;
		summaries_fold(day->parts, day->count, rules.sampling_period_us, &total);
		total.from_us = day->start_us;
		total.to_us = day->start_us + CLOCK_US_PER_DAY;
		enum err err =
			rollup_get(group, day->sensor, ROLLUP_MONTH, clock_month_start(day->start_us), &month, info);
		if (err)
			return err;
		rollup_put(month, &total);
	}
	for (size_t i = 0; i < group->rollup_count; i++) {
		struct rollup_row *row = ARENA_NEW(group->arena, struct rollup_row);
		if (!row || rollup_encode(&group->rollups[i], group->arena, row))
			return no_memory(info);
		change_add(group, &rollups_collection, row, STORE_PUT);
	}
	return ERR_OK;
}

/* A revision of a pinned hour, the first one too (the hour may have been empty when it was pinned), is written with its
 * review, and on the condition that the pins are still as read: a pin that comes between would else miss it. */
static enum err review_add(
	struct group *group, const struct open_bucket *bucket, const struct bucket_rules *rules, struct err_info *info)
{
	struct store *store = group->shard->buckets->options.store;
	struct pin_row *pins = NULL;
	for (size_t i = 0; i < group->pin_count && !pins; i++)
		if (id_equal(group->pins[i].sensor_id, bucket->sensor->id))
			pins = &group->pins[i];
	if (!pins) {
		pins = &group->pins[group->pin_count];
		enum err err = pins_read(store, bucket->sensor->id, group->arena, pins, info);
		if (err)
			return err;
		group->pin_count++;
		group->changes[group->change_count++] = pins_change(pins);
	}
	if (!pins_hold(pins, bucket->hour_us))
		return ERR_OK;
	struct review *review = ARENA_NEW(group->arena, struct review);
	if (!review)
		return no_memory(info);
	int64_t now_us = buckets_wall_us(group->shard->buckets);
	*review = (struct review){.id = id_new(now_us),
		.org_id = rules->org_id,
		.sensor_id = bucket->sensor->id,
		.version = 1,
		.hour_us = bucket->hour_us,
		.revision = bucket->revision,
		.state = 0,
		.created_us = now_us};
	change_add(group, &reviews_collection, review, STORE_PUT);
	return ERR_OK;
}

/* Makes the final row of a revision, its part of the roll-ups, and its review where one is due. */
static enum err publish(struct group *group, struct open_bucket *bucket, struct series_point *points, size_t count,
	struct bytes conflicts, struct err_info *info)
{
	struct bucket_rules rules = buckets_rules(group->shard->buckets, bucket->sensor->id);
	struct bucket_row *row = ARENA_NEW(group->arena, struct bucket_row);
	uint8_t *columns, *summary_data = arena_alloc(group->arena, HOUR_SUMMARY_BYTES);
	size_t size, summary_size;
	struct series_summary summary;
	struct rollup *day;
	if (!row || !summary_data)
		return no_memory(info);
	series_mark_stale(points, count, rules.stale_after_us);
	series_summarise(points, count, bucket->hour_us, bucket->hour_us + CLOCK_US_PER_HOUR, rules.sampling_period_us,
		&summary);
	if (series_encode(points, count, group->arena, &columns, &size) ||
		series_summary_encode(&summary, summary_data, HOUR_SUMMARY_BYTES, &summary_size))
		return no_memory(info);
	*row = (struct bucket_row){.sensor_id = bucket->sensor->id,
		.hour_us = bucket->hour_us,
		.revision = bucket->revision,
		.count = (int64_t)count,
		.content_hash = series_content_hash(bucket->sensor->id, bucket->hour_us, points, count),
		.columns = {.data = columns, .size = size},
		.summary = {.data = summary_data, .size = summary_size},
		.conflicts = conflicts,
		.seen = group->seen};
	change_add(group, &buckets_collection, row, STORE_PUT);
	group->changes[group->change_count - 1].condition = STORE_ABSENT;
	enum err err = rollup_get(group, bucket->sensor->id, ROLLUP_DAY, clock_day_start(bucket->hour_us), &day, info);
	if (err)
		return err;
	rollup_put(day, &summary);
	return review_add(group, bucket, &rules, info);
}

/* Joins what came late with the closed revision; nothing new makes no revision. */
static enum err close_late(struct group *group, struct open_bucket *bucket, const struct content *late,
	const uint32_t *conflicts, size_t conflict_count, struct err_info *info)
{
	struct id sensor = bucket->sensor->id;
	struct bucket_row *base = ARENA_NEW(group->arena, struct bucket_row);
	struct series_point *closed = NULL;
	uint32_t *base_conflicts;
	size_t closed_count = 0, base_conflict_count, refused_count, total_conflicts;
	if (!base)
		return no_memory(info);
	*base = (struct bucket_row){.sensor_id = sensor, .hour_us = bucket->hour_us, .revision = bucket->revision - 1};
	enum err err = store_get(group->shard->buckets->options.store, &buckets_collection, base, group->arena, info);
	if (err)
		return err;
	if (!base->columns.data) {
		err = refusals_add(group, sensor, late->points, late->count, QUARANTINE_TOO_OLD,
			"the raw readings of its hour have been dropped");
		return err ? no_memory(info) : ERR_OK;
	}
	err = series_decode(
		base->columns.data, base->columns.size, BUCKET_READINGS_MAX, group->arena, &closed, &closed_count);
	if (!err)
		err = conflicts_read(base->conflicts, group->arena, &base_conflicts, &base_conflict_count);
	if (err)
		return err_set(info, err, NULL, "a closed bucket does not decode");
	struct series_point *all = ARENA_ARRAY(group->arena, struct series_point, closed_count + late->count + 1);
	struct series_point *refused = ARENA_ARRAY(group->arena, struct series_point, late->count + 1);
	if (!all || !refused)
		return no_memory(info);
	size_t count = content_join(closed, closed_count, late->points, late->count, bucket->hour_us, base_conflicts,
		base_conflict_count, all, refused, &refused_count);
	err = refusals_add(group, sensor, refused, refused_count, QUARANTINE_CLOSED_CONFLICT,
		"its hour is closed with another value, or as a conflict, under the same sensor and time");
	struct series_point *fresh = ARENA_ARRAY(group->arena, struct series_point, conflict_count + 1);
	if (err || !fresh)
		return no_memory(info);
	for (size_t i = 0; i < conflict_count; i++)
		fresh[i].time_us = bucket->hour_us + conflicts[i];
	uint32_t *total = conflicts_join(base_conflicts, base_conflict_count, fresh, conflict_count, bucket->hour_us,
		group->arena, &total_conflicts);
	if (!total)
		return no_memory(info);
	struct bytes bytes = conflicts_bytes(total, total_conflicts, group->arena);
	if (count > closed_count)
		return publish(group, bucket, all, count, bytes, info);
	if (total_conflicts > base_conflict_count) {
		base->conflicts = bytes;
		change_add(group, &buckets_collection, base, STORE_PUT);
	}
	return ERR_OK;
}

static enum err close_one(struct group *group, struct open_bucket *bucket, struct err_info *info)
{
	struct content content;
	size_t conflict_count;
	enum err err = shard_load(group->shard, bucket, info);
	if (err)
		return err;
	if (content_make(group, bucket, &content))
		return no_memory(info);
	uint32_t *conflicts = conflicts_join(bucket->conflicts, bucket->conflict_count, content.refused,
		content.refused_count, bucket->hour_us, group->arena, &conflict_count);
	if (!conflicts)
		return no_memory(info);
	if (bucket->revision == 1)
		err = publish(group, bucket, content.points, content.count,
			conflicts_bytes(conflicts, conflict_count, group->arena), info);
	else
		err = close_late(group, bucket, &content, conflicts, conflict_count, info);
	if (err || !bucket->stored)
		return err;
	struct open_row *row = ARENA_NEW(group->arena, struct open_row);
	if (!row)
		return no_memory(info);
	*row = (struct open_row){.sensor_id = bucket->sensor->id, .hour_us = bucket->hour_us};
	change_add(group, &open_buckets_collection, row, STORE_DELETE);
	return ERR_OK;
}

/* A revision that is there already was committed by a write whose answer was lost: what is open joins it as late. */
static enum err revisions_renew(struct group *group, struct err_info *info)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < group->count && !err; i++) {
		struct bucket_row low = {
			.sensor_id = group->buckets[i]->sensor->id, .hour_us = group->buckets[i]->hour_us};
		struct store_query query = {
			.collection = &buckets_collection, .low = &low, .prefix = 2, .descending = true, .most = 1};
		void *rows;
		size_t count;
		err = store_find(group->shard->buckets->options.store, &query, group->arena, &rows, &count, info);
		if (!err && count)
			group->buckets[i]->revision = ((struct bucket_row *)rows)->revision + 1;
	}
	return err;
}

/* Retention looks again at hours that close behind it (a back-fill older than raw is kept). */
static void floor_lower(struct buckets *buckets, int64_t hour_us)
{
	int64_t floor_us = atomic_load(&buckets->closed_floor_us);
	while (hour_us < floor_us && !atomic_compare_exchange_weak(&buckets->closed_floor_us, &floor_us, hour_us))
		continue;
}

static void closed(struct shard *shard, struct group *group)
{
	pthread_mutex_lock(&shard->lock);
	for (size_t i = 0; i < group->count; i++) {
		struct sensor_state *sensor = group->buckets[i]->sensor;
		if (group->buckets[i]->hour_us > sensor->closed_hour_us)
			sensor->closed_hour_us = group->buckets[i]->hour_us;
		floor_lower(shard->buckets, group->buckets[i]->hour_us);
		metric_add(group->buckets[i]->revision == 1 ? METRIC_SENSING_CLOSED : METRIC_SENSING_LATE_CLOSED, 1);
		shard_forget(shard, group->buckets[i]);
	}
	pthread_mutex_unlock(&shard->lock);
}

/* One attempt at a transaction; *ret_again: worth another one. */
static enum err close_try(
	struct shard *shard, struct open_bucket **buckets, size_t count, bool *ret_again, struct err_info *info)
{
	struct group group;
	const struct store_collection *refused = NULL;
	bool was_dirty[GROUP_BUCKETS];
	*ret_again = false;
	enum err err = group_init(&group, shard, buckets, count);
	if (err)
		no_memory(info);
	for (size_t i = 0; i < count && !err; i++)
		err = close_one(&group, buckets[i], info);
	if (!err)
		err = rollups_write(&group, info);
	if (!err) {
		clean_all(&group, was_dirty);
		err = group_write(&group, &refused, info);
		if (err)
			dirty_again(&group, was_dirty);
	}
	if (!err) {
		closed(shard, &group);
	} else if (err == ERR_CONDITION_FAILED) {
		*ret_again = refused == &buckets_collection ? revisions_renew(&group, info) == ERR_OK : true;
	}
	arena_free(&group.arena);
	return err;
}

static int compare_buckets(const void *left, const void *right)
{
	const struct open_bucket *a = *(struct open_bucket *const *)left, *b = *(struct open_bucket *const *)right;
	int order = id_compare(a->sensor->id, b->sensor->id);
	return order ? order : (a->hour_us > b->hour_us) - (a->hour_us < b->hour_us);
}

enum err shard_close(struct shard *shard, struct open_bucket **buckets, size_t count, struct err_info *info)
{
	enum err err = ERR_OK;
	qsort(buckets, count, sizeof(*buckets), compare_buckets);
	for (size_t begin = 0, end; begin < count && !err; begin = end) {
		size_t readings = 0;
		for (end = begin; end < count && end - begin < GROUP_BUCKETS && readings < GROUP_READINGS; end++)
			readings += buckets[end]->points.count;
		bool again = true;
		for (int attempt = 0; attempt < CLOSE_ATTEMPTS && again; attempt++)
			err = close_try(shard, buckets + begin, end - begin, &again, info);
	}
	return err;
}
