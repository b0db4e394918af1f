/* What may go: raw columns past a sensor's retention that no pin holds, and payloads of readings logs whose hours are all
 * closed. Retention says first how far it has dropped, in the row that pins are in, and deletes after, so a pin that came
 * in time is seen and a later one is refused. One thread at a time (sensing_retain). */
#include <string.h>

#include "carbond/base/clock.h"
#include "shard.h"

#define PAGE_ROWS     100
#define ADVANCE_TRIES 64

static bool owned(struct shard *shard)
{
	pthread_mutex_lock(&shard->lock);
	bool is_owned = shard->owned;
	pthread_mutex_unlock(&shard->lock);
	return is_owned;
}

/* Raises dropped_before by compare-and-set; *ret_row is the row as it then stands. */
static enum err drop_line_raise(struct buckets *buckets, struct id sensor, int64_t target_us, struct arena *arena,
	struct pin_row *ret_row, struct err_info *info)
{
	enum err err = ERR_CONDITION_FAILED;
	for (int attempt = 0; attempt < ADVANCE_TRIES && err == ERR_CONDITION_FAILED; attempt++) {
		err = pins_read(buckets->options.store, sensor, arena, ret_row, info);
		if (err || ret_row->dropped_before_us >= target_us)
			return err;
		ret_row->dropped_before_us = target_us;
		struct store_change change = pins_change(ret_row);
		err = store_write(buckets->options.store, &change, 1, NULL, info);
	}
	return err;
}

static enum err page_drop(struct buckets *buckets, struct bucket_row *rows, size_t count, const struct pin_row *pins,
	struct err_info *info)
{
	struct store_change changes[PAGE_ROWS];
	size_t dropped = 0;
	for (size_t i = 0; i < count; i++) {
		if (!rows[i].columns.data || pins_hold(pins, rows[i].hour_us))
			continue;
		rows[i].columns = (struct bytes){0};
		changes[dropped++] = (struct store_change){.collection = &buckets_collection,
			.row = &rows[i],
			.verb = STORE_PUT,
			.condition = STORE_ALWAYS};
	}
	if (dropped == 0)
		return ERR_OK;
	enum err err = store_write(buckets->options.store, changes, dropped, NULL, info);
	if (!err)
		metric_add(METRIC_SENSING_RAW_DROPPED, (int64_t)dropped);
	return err;
}

static enum err sweep(struct buckets *buckets, const struct pin_row *pins, int64_t from_us, struct err_info *info)
{
	struct bucket_row low = {.sensor_id = pins->sensor_id}, from = low, to = low, after;
	struct store_query query = {.collection = &buckets_collection,
		.low = &low,
		.prefix = 1,
		.from = &from,
		.to = &to,
		.most = PAGE_ROWS};
	from.hour_us = from_us;
	from.revision = FIELD_ABSENT;
	to.hour_us = pins->dropped_before_us;
	to.revision = FIELD_ABSENT;
	enum err err = ERR_OK;
	for (size_t count = PAGE_ROWS; !err && count == PAGE_ROWS;) {
		struct arena *arena = arena_new(0);
		void *rows = NULL;
		if (!arena)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for retention");
		err = store_find(buckets->options.store, &query, arena, &rows, &count, info);
		if (!err && count) {
			after = ((struct bucket_row *)rows)[count - 1];
			query.after = &after;
			err = page_drop(buckets, rows, count, pins, info);
		}
		arena_free(&arena);
	}
	return err;
}

enum err buckets_retain_sensor(struct buckets *buckets, struct id sensor, int64_t keep_us, int64_t floor_us,
	int64_t now_us, struct err_info *info)
{
	if (!owned(buckets_shard_of(buckets, sensor)))
		return ERR_OK; /* whoever builds its hours does it */
	struct arena *arena = arena_new(0);
	struct pin_row row;
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for retention");
	enum err err = drop_line_raise(buckets, sensor, clock_hour_start(now_us - keep_us), arena, &row, info);
	int64_t from_us = row.swept_before_us < floor_us ? row.swept_before_us : floor_us;
	from_us = from_us > 0 ? from_us : 0;
	if (!err && from_us < row.dropped_before_us)
		err = sweep(buckets, &row, from_us, info);
	if (!err && row.swept_before_us < row.dropped_before_us) {
		row.swept_before_us = row.dropped_before_us;
		struct store_change change = pins_change(&row);
		err = store_write(buckets->options.store, &change, 1, NULL, info);
		if (err == ERR_CONDITION_FAILED)
			err = ERR_OK; /* pinned or unpinned meanwhile: the next pass looks again */
	}
	arena_free(&arena);
	return err;
}

/* ---- readings logs ---- */

struct prune {
	int64_t cutoff_us;
	uint64_t stop;   /* not beyond: it is not in bucket rows yet */
	uint64_t before; /* found: batches below may go */
};

static enum err prune_step(void *context, const struct store_batch *batch)
{
	struct prune *prune = context;
	if (batch->written_at_us >= prune->cutoff_us || batch->seq >= prune->stop)
		return ERR_DEADLINE; /* any error ends the walk */
	prune->before = batch->seq + 1;
	return ERR_OK;
}

/* The same of all daemons' shards, as their rows say it; INT64_MIN where one does not. */
static enum err rows_floor(struct buckets *buckets, int64_t *ret_floor_us, uint64_t ret_positions[SHARD_STREAMS_MAX],
	struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct owner_row *rows = NULL;
	enum err err = arena ? buckets_owner_rows(buckets, arena, &rows, info)
			     : err_set(info, ERR_NO_MEMORY, NULL, "no memory for retention");
	*ret_floor_us = INT64_MAX;
	memset(ret_positions, 0xff, sizeof(uint64_t) * SHARD_STREAMS_MAX);
	for (unsigned i = 0; i < buckets->shard_count && !err; i++) {
		uint64_t positions[SHARD_STREAMS_MAX];
		buckets_row_positions(buckets, &rows[i], positions);
		*ret_floor_us = rows[i].opened_us < *ret_floor_us ? rows[i].opened_us : *ret_floor_us;
		for (unsigned stream = 0; stream < SHARD_STREAMS_MAX; stream++)
			if (positions[stream] < ret_positions[stream])
				ret_positions[stream] = positions[stream];
	}
	arena_free(&arena);
	return err;
}

/* Batches written before this, up to the positions, feed no open hour. */
static int64_t opened_floor(struct buckets *buckets, uint64_t ret_positions[SHARD_STREAMS_MAX])
{
	int64_t floor_us = INT64_MAX;
	memset(ret_positions, 0xff, sizeof(uint64_t) * SHARD_STREAMS_MAX);
	for (unsigned i = 0; i < buckets->shard_count; i++) {
		struct shard *shard = &buckets->shards[i];
		pthread_mutex_lock(&shard->lock);
		int64_t own_us = shard_opened_floor(shard);
		floor_us = own_us < floor_us ? own_us : floor_us;
		for (unsigned stream = 0; stream < SHARD_STREAMS_MAX; stream++)
			if (shard->durable[stream] < ret_positions[stream])
				ret_positions[stream] = shard->durable[stream];
		pthread_mutex_unlock(&shard->lock);
	}
	return floor_us;
}

static enum err stream_prune(
	struct buckets *buckets, const char *name, int64_t cutoff_us, uint64_t durable, struct err_info *info)
{
	struct store *store = buckets->options.store;
	struct arena *arena = arena_new(0);
	struct stream_row row = {.stream = name};
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for retention");
	enum err err = store_get(store, &reading_streams_collection, &row, arena, info);
	if (err == ERR_NOT_FOUND) {
		row = (struct stream_row){.stream = name, .pruned_before = 1};
		err = ERR_OK;
	}
	struct prune prune = {.cutoff_us = cutoff_us, .stop = durable + 1, .before = (uint64_t)row.pruned_before};
	if (!err) {
		err = store_log_read(store, STORE_READINGS, name, prune.before, prune_step, &prune, info);
		err = err == ERR_DEADLINE ? ERR_OK : err;
	}
	if (!err && prune.before > (uint64_t)row.pruned_before) {
		err = store_log_prune(store, STORE_READINGS, name, prune.before, info);
		row.pruned_before = (int64_t)prune.before;
		struct store_change change = {
			.collection = &reading_streams_collection, .row = &row, .verb = STORE_PUT};
		if (!err)
			err = store_write(store, &change, 1, NULL, info);
	}
	arena_free(&arena);
	return err;
}

enum err buckets_prune(struct buckets *buckets, int64_t now_us, struct err_info *info)
{
	uint64_t durable[SHARD_STREAMS_MAX];
	int64_t floor_us;
	enum err err = ERR_OK;
	if (!buckets->partitions)
		floor_us = opened_floor(buckets, durable);
	else if (owned(&buckets->shards[0])) /* one of the daemons does it for all */
		err = rows_floor(buckets, &floor_us, durable, info);
	else
		return ERR_OK;
	if (err)
		return err;
	int64_t cutoff_us = now_us - buckets->options.log_retention_us;
	cutoff_us = floor_us < cutoff_us ? floor_us : cutoff_us; /* FIELD_ABSENT is below all: nothing goes */
	pthread_mutex_lock(&buckets->lock);
	unsigned count = buckets->stream_count;
	pthread_mutex_unlock(&buckets->lock);
	for (unsigned i = 0; i < count && !err; i++)
		err = stream_prune(buckets, buckets->streams[i].name, cutoff_us, durable[i], info);
	return err;
}
