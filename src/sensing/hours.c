/* How an hour is read while it may be filling, closing or gaining a revision: what is open is copied first, under the
 * shard's lock (or, where another daemon builds it, put together from its rows and from what the logs have beyond them), then the closed rows are read; the higher revision holds, and late readings join the one below it. Threads
 * that may block. */
#include "hours.h"

#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"

#define ROWS_MOST 100000 /* store's bound; a day has 24 hours with some revisions */

static enum err copy_one(struct hours *hours, const struct open_bucket *bucket)
{
	struct open_copy *copy = &hours->open[hours->open_count];
	*copy = (struct open_copy){.hour_us = bucket->hour_us, .revision = bucket->revision, .loaded = bucket->loaded};
	copy->points = ARENA_ARRAY(hours->arena, struct series_point, bucket->points.count + 1);
	copy->conflicts = ARENA_ARRAY(hours->arena, uint32_t, bucket->conflict_count + 1);
	if (!copy->points || !copy->conflicts)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < bucket->points.count; i++)
		compact_get(&bucket->points, bucket->hour_us, i, &copy->points[i]);
	copy->count = bucket->points.count;
	if (bucket->conflict_count)
		memcpy(copy->conflicts, bucket->conflicts, bucket->conflict_count * sizeof *copy->conflicts);
	copy->conflict_count = bucket->conflict_count;
	hours->open_count++;
	return ERR_OK;
}

/* Under the lock. Hours are looked up one by one where there are fewer of them than open buckets. */
static enum err copy_all(struct hours *hours, struct shard *shard, int64_t from_us, int64_t to_us)
{
	size_t span = (size_t)((to_us - from_us) / CLOCK_US_PER_HOUR),
	       most = span < shard->open_count ? span : shard->open_count;
	enum err err = ERR_OK;
	hours->open = ARENA_ARRAY(hours->arena, struct open_copy, most + 1);
	if (!hours->open)
		return ERR_NO_MEMORY;
	if (span < shard->open_count) {
		for (int64_t hour_us = from_us; hour_us < to_us && !err; hour_us += CLOCK_US_PER_HOUR) {
			const struct open_bucket *bucket = shard_open(shard, hours->sensor, hour_us);
			err = bucket ? copy_one(hours, bucket) : ERR_OK;
		}
		return err;
	}
	for (const struct open_bucket *bucket = shard->first_open; bucket && !err; bucket = bucket->next_open)
		if (bucket->hour_us >= from_us && bucket->hour_us < to_us &&
			id_equal(bucket->sensor->id, hours->sensor))
			err = copy_one(hours, bucket);
	return err;
}

/* An evicted bucket is as it was flushed; where its row is gone it has closed meanwhile. */
static enum err copy_load(const struct hours *hours, struct open_copy *copy, struct err_info *info)
{
	struct open_row row = {.sensor_id = hours->sensor, .hour_us = copy->hour_us};
	enum err err = store_get(hours->buckets->options.store, &open_buckets_collection, &row, hours->arena, info);
	copy->count = 0;
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (err || !row.columns.data)
		return err;
	err = series_decode(
		row.columns.data, row.columns.size, BUCKET_READINGS_MAX, hours->arena, &copy->points, &copy->count);
	return err ? err_set(info, err, NULL, "the columns of an open bucket do not decode") : ERR_OK;
}

static int compare_copies(const void *left, const void *right)
{
	const struct open_copy *a = left, *b = right;
	return (a->hour_us > b->hour_us) - (a->hour_us < b->hour_us);
}

/* ---- hours that another daemon builds: its rows, and what this one has read of the logs since ---- */

static int compare_points(const void *left, const void *right)
{
	const struct series_point *a = left, *b = right;
	return (a->time_us > b->time_us) - (a->time_us < b->time_us);
}

/* A row with the tail's points of its hour behind its own. Whatever of them has closed meanwhile repeats what is closed. */
static enum err follow_one(struct hours *hours, int64_t hour_us, const struct open_row *row,
	const struct series_point *points, size_t count, struct err_info *info)
{
	struct open_copy *copy = &hours->open[hours->open_count++];
	struct series_point *stored = NULL;
	size_t stored_count = 0;
	*copy = (struct open_copy){.hour_us = hour_us, .revision = INT64_MAX, .loaded = true};
	enum err err = row && row->columns.data ? series_decode(row->columns.data, row->columns.size,
							  BUCKET_READINGS_MAX, hours->arena, &stored, &stored_count)
						: ERR_OK;
	if (!err && row)
		err = conflicts_read(row->conflicts, hours->arena, &copy->conflicts, &copy->conflict_count);
	if (err)
		return err_set(info, err, NULL, "the columns of an open bucket do not decode");
	copy->points = ARENA_ARRAY(hours->arena, struct series_point, stored_count + count + 1);
	if (!copy->points)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the open hours");
	if (stored_count)
		memcpy(copy->points, stored, stored_count * sizeof *stored);
	if (count)
		memcpy(copy->points + stored_count, points, count * sizeof *points);
	copy->count = stored_count + count;
	return ERR_OK;
}

/* `points` are the tail's, copied before the rows are read: what the owner flushes in between is in both. */
static enum err follow_all(struct hours *hours, int64_t from_us, int64_t to_us, struct series_point *points,
	size_t count, struct err_info *info)
{
	struct open_row low = {.sensor_id = hours->sensor}, from = low, to = low;
	struct store_query query = {.collection = &open_buckets_collection,
		.low = &low,
		.prefix = 1,
		.from = &from,
		.to = &to,
		.most = ROWS_MOST};
	void *found = NULL;
	size_t row_count = 0, row = 0, begin = 0;
	from.hour_us = from_us;
	to.hour_us = to_us;
	enum err err = store_find(hours->buckets->options.store, &query, hours->arena, &found, &row_count, info);
	const struct open_row *rows = found;
	qsort(points, count, sizeof *points, compare_points);
	hours->open = err ? NULL : ARENA_ARRAY(hours->arena, struct open_copy, row_count + count + 1);
	if (!err && !hours->open)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the open hours");
	while (!err && (row < row_count || begin < count)) {
		int64_t row_us = row < row_count ? rows[row].hour_us : INT64_MAX;
		int64_t tail_us = begin < count ? clock_hour_start(points[begin].time_us) : INT64_MAX;
		int64_t hour_us = row_us < tail_us ? row_us : tail_us;
		size_t end = begin;
		while (end < count && clock_hour_start(points[end].time_us) == hour_us)
			end++;
		err = follow_one(
			hours, hour_us, row_us == hour_us ? &rows[row] : NULL, points + begin, end - begin, info);
		row += row_us == hour_us;
		begin = end;
	}
	return err;
}

enum err hours_open(struct hours *hours, struct buckets *buckets, struct id sensor, int64_t from_us, int64_t to_us,
	struct arena *arena, struct err_info *info)
{
	struct shard *shard = buckets_shard_of(buckets, sensor);
	struct series_point *tail = NULL;
	size_t tail_count = 0;
	*hours = (struct hours){.buckets = buckets, .sensor = sensor, .arena = arena};
	enum err err = buckets->partitions ? partitions_current(buckets, info) : ERR_OK;
	if (err)
		return err;
	from_us = clock_hour_start(from_us);
	to_us = clock_hour_start(to_us - 1) + CLOCK_US_PER_HOUR;
	pthread_mutex_lock(&shard->lock);
	bool owned = shard->owned, whole = owned || tail_is_whole(&shard->tail, shard->row_positions);
	if (shard->behind || !whole)
		err = ERR_BUSY;
	else if (owned)
		err = copy_all(hours, shard, from_us, to_us);
	else if (!tail_points(&shard->tail, sensor, from_us, to_us, arena, &tail, &tail_count))
		err = ERR_NO_MEMORY;
	pthread_mutex_unlock(&shard->lock);
	if (err)
		return err_set(info, err, NULL,
			err == ERR_BUSY ? "another daemon begins to build these hours"
					: "no memory for the open hours");
	if (!owned)
		err = follow_all(hours, from_us, to_us, tail, tail_count, info);
	for (size_t i = 0; i < hours->open_count && !err; i++) {
		struct open_copy *copy = &hours->open[i];
		size_t refused;
		if (!copy->loaded)
			err = copy_load(hours, copy, info);
		struct series_point *aside = ARENA_ARRAY(arena, struct series_point, copy->count + 1);
		if (!err && !aside)
			err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the open hours");
		if (!err)
			copy->count = content_settle(copy->points, copy->count, copy->hour_us, copy->conflicts,
				copy->conflict_count, aside, &refused);
	}
	if (hours->open_count)
		qsort(hours->open, hours->open_count, sizeof *hours->open, compare_copies);
	return err;
}

const struct open_copy *hours_open_at(const struct hours *hours, int64_t hour_us)
{
	struct open_copy key = {.hour_us = hour_us};
	return hours->open_count ? bsearch(&key, hours->open, hours->open_count, sizeof *hours->open, compare_copies)
				 : NULL;
}

enum err hours_rows(const struct hours *hours, int64_t from_us, int64_t to_us, struct arena *arena,
	struct bucket_row **ret_rows, size_t *ret_count, struct err_info *info)
{
	struct bucket_row low = {.sensor_id = hours->sensor}, from = low, to = low;
	struct store_query query = {.collection = &buckets_collection,
		.low = &low,
		.prefix = 1,
		.from = &from,
		.to = &to,
		.most = ROWS_MOST};
	void *rows = NULL;
	from.hour_us = clock_hour_start(from_us);
	to.hour_us = to_us;
	from.revision = to.revision = FIELD_ABSENT;
	enum err err = store_find(hours->buckets->options.store, &query, arena, &rows, ret_count, info);
	*ret_rows = rows;
	return err;
}

static enum err row_points(const struct bucket_row *row, struct arena *arena, struct series_point **ret_points,
	size_t *ret_count, struct err_info *info)
{
	if (!row->columns.data)
		return err_set(info, ERR_RAW_EXPIRED, NULL, "%s", err_row(ERR_RAW_EXPIRED)->title);
	enum err err =
		series_decode(row->columns.data, row->columns.size, BUCKET_READINGS_MAX, arena, ret_points, ret_count);
	return err ? err_set(info, err, NULL, "a closed bucket does not decode") : ERR_OK;
}

static const struct bucket_row *newest_of(const struct bucket_row *rows, size_t row_count, int64_t hour_us)
{
	const struct bucket_row *newest = NULL;
	for (size_t i = 0; i < row_count; i++)
		if (rows[i].hour_us == hour_us && (!newest || rows[i].revision > newest->revision))
			newest = &rows[i];
	return newest;
}

enum err hours_columns(int64_t hour_us, const struct bucket_row *rows, size_t row_count, struct arena *arena,
	struct series_columns *ret_columns, struct err_info *info)
{
	const struct bucket_row *newest = newest_of(rows, row_count, hour_us);
	*ret_columns = (struct series_columns){.plain = true};
	if (!newest || (!newest->columns.data && newest->count == 0))
		return ERR_OK;
	if (!newest->columns.data)
		return err_set(info, ERR_RAW_EXPIRED, NULL, "%s", err_row(ERR_RAW_EXPIRED)->title);
	enum err err = series_columns_decode(
		newest->columns.data, newest->columns.size, BUCKET_READINGS_MAX, arena, ret_columns);
	return err ? err_set(info, err, NULL, "a closed bucket does not decode") : ERR_OK;
}

enum err hours_points(const struct hours *hours, int64_t hour_us, const struct bucket_row *rows, size_t row_count,
	struct arena *arena, struct series_point **ret_points, size_t *ret_count, struct err_info *info)
{
	const struct bucket_row *newest = newest_of(rows, row_count, hour_us);
	const struct open_copy *open = hours_open_at(hours, hour_us);
	*ret_points = NULL;
	*ret_count = 0;
	if (newest && (newest->columns.data || newest->count > 0)) {
		enum err fault = row_points(newest, arena, ret_points, ret_count, info);
		if (fault)
			return fault;
	}
	if (!open || (newest && newest->revision >= open->revision))
		return ERR_OK;
	size_t conflict_count = 0, refused;
	uint32_t *conflicts = NULL;
	enum err err = newest ? conflicts_read(newest->conflicts, arena, &conflicts, &conflict_count) : ERR_OK;
	if (err)
		return err_set(info, err, NULL, "a closed bucket does not decode");
	struct series_point *all = ARENA_ARRAY(arena, struct series_point, *ret_count + open->count + 1);
	struct series_point *aside = ARENA_ARRAY(arena, struct series_point, open->count + 1);
	if (!all || !aside)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the readings");
	*ret_count = content_join(*ret_points, *ret_count, open->points, open->count, hour_us, conflicts,
		conflict_count, all, aside, &refused);
	*ret_points = all;
	series_mark_stale(all, *ret_count, buckets_rules(hours->buckets, hours->sensor).stale_after_us);
	return ERR_OK;
}
