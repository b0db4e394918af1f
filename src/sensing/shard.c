/* The shard's thread: it takes batches from its mailbox, adds readings to the open hours of its sensors, and at each tick
 * flushes, closes and evicts what is due. What it cannot write stays in memory and is tried again; past its memory it takes
 * no more, so the senders feel it. Everything here runs on the shard's thread but shard_init, shard_restore and
 * shard_destroy (the starting thread, while the shard's does not run). */
#include "shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "carbond/base/clock.h"
#include "carbond/base/log.h"

#define TICK_US      CLOCK_US_PER_SECOND
#define QUIET_US     (2 * CLOCK_US_PER_MINUTE)  /* architecture.md: nothing has come for it for 2 min … */
#define CLOCK_LAG_US (10 * CLOCK_US_PER_MINUTE) /* … and its end lies 10 min behind the clock, or lateness behind */
#define EPOCHS_MAX   4096 /* an hour of seconds; when writes fail for longer, epochs grow longer instead */
#define TAKE_MOST    64
#define CHAINS_FIRST 256
#define RETRY_US     100000
#define CURRENT_US   (10 * CLOCK_US_PER_SECOND)
#define FULL_FACTOR  2 /* memory budget at which nothing more is taken until a write has succeeded */

/* ---- tables ---- */

static size_t id_chain(struct id id, int64_t hour_us, size_t chains)
{
	uint64_t a, b;
	memcpy(&a, id.bytes, 8);
	memcpy(&b, id.bytes + 8, 8);
	uint64_t mix = (a ^ b * UINT64_C(0x9e3779b97f4a7c15) ^
			(uint64_t)(hour_us / CLOCK_US_PER_HOUR) * UINT64_C(0xc2b2ae3d27d4eb4f));
	mix ^= mix >> 29;
	mix *= UINT64_C(0xbf58476d1ce4e5b9);
	mix ^= mix >> 32;
	return (size_t)mix & (chains - 1);
}

struct sensor_state *shard_sensor(struct shard *shard, struct id sensor)
{
	struct sensor_state *state = shard->sensors[id_chain(sensor, 0, shard->sensor_chains)];
	while (state && !id_equal(state->id, sensor))
		state = state->next;
	return state;
}

struct open_bucket *shard_open(struct shard *shard, struct id sensor, int64_t hour_us)
{
	struct open_bucket *bucket = shard->table[id_chain(sensor, hour_us, shard->open_chains)];
	while (bucket && !(bucket->hour_us == hour_us && id_equal(bucket->sensor->id, sensor)))
		bucket = bucket->next;
	return bucket;
}

/* Doubles a table that has as many rows as chains; without memory it stays as it is. Under the lock. */
static void sensors_grow(struct shard *shard)
{
	size_t chains = shard->sensor_chains * 2;
	struct sensor_state **table = shard->sensor_count < shard->sensor_chains ? NULL : calloc(chains, sizeof *table);
	if (!table)
		return;
	for (size_t i = 0; i < shard->sensor_chains; i++) {
		for (struct sensor_state *state = shard->sensors[i], *next; state; state = next) {
			next = state->next;
			size_t chain = id_chain(state->id, 0, chains);
			state->next = table[chain];
			table[chain] = state;
		}
	}
	free(shard->sensors);
	shard->sensors = table;
	shard->sensor_chains = chains;
}

static void table_grow(struct shard *shard)
{
	size_t chains = shard->open_chains * 2;
	struct open_bucket **table = shard->open_count < shard->open_chains ? NULL : calloc(chains, sizeof *table);
	if (!table)
		return;
	for (size_t i = 0; i < shard->open_chains; i++) {
		for (struct open_bucket *bucket = shard->table[i], *next; bucket; bucket = next) {
			next = bucket->next;
			size_t chain = id_chain(bucket->sensor->id, bucket->hour_us, chains);
			bucket->next = table[chain];
			table[chain] = bucket;
		}
	}
	free(shard->table);
	shard->table = table;
	shard->open_chains = chains;
}

static void sensor_insert(struct shard *shard, struct sensor_state *state)
{
	pthread_mutex_lock(&shard->lock);
	sensors_grow(shard);
	size_t chain = id_chain(state->id, 0, shard->sensor_chains);
	state->next = shard->sensors[chain];
	shard->sensors[chain] = state;
	shard->sensor_count++;
	pthread_mutex_unlock(&shard->lock);
}

static void bucket_insert(struct shard *shard, struct open_bucket *bucket)
{
	pthread_mutex_lock(&shard->lock);
	table_grow(shard);
	size_t chain = id_chain(bucket->sensor->id, bucket->hour_us, shard->open_chains);
	bucket->next = shard->table[chain];
	shard->table[chain] = bucket;
	bucket->previous_open = shard->last_open;
	if (shard->last_open)
		shard->last_open->next_open = bucket;
	else
		shard->first_open = bucket;
	shard->last_open = bucket;
	shard->open_count++;
	shard->bytes += compact_bytes(&bucket->points);
	pthread_mutex_unlock(&shard->lock);
	metric_add(METRIC_SENSING_OPEN_BUCKETS, 1);
}

static void bucket_free(struct open_bucket *bucket)
{
	compact_free(&bucket->points);
	free(bucket->conflicts);
	free(bucket->seen);
	free(bucket);
}

void shard_forget(struct shard *shard, struct open_bucket *bucket)
{
	struct open_bucket **link = &shard->table[id_chain(bucket->sensor->id, bucket->hour_us, shard->open_chains)];
	while (*link != bucket)
		link = &(*link)->next;
	*link = bucket->next;
	*(bucket->previous_open ? &bucket->previous_open->next_open : &shard->first_open) = bucket->next_open;
	*(bucket->next_open ? &bucket->next_open->previous_open : &shard->last_open) = bucket->previous_open;
	shard->open_count--;
	shard->bytes -= compact_bytes(&bucket->points);
	shard_clean(shard, bucket);
	bucket_free(bucket);
	metric_add(METRIC_SENSING_OPEN_BUCKETS, -1);
}

void shard_clean(struct shard *shard, struct open_bucket *bucket)
{
	if (!bucket->dirty)
		return;
	*(bucket->previous_dirty ? &bucket->previous_dirty->next_dirty : &shard->first_dirty) = bucket->next_dirty;
	*(bucket->next_dirty ? &bucket->next_dirty->previous_dirty : &shard->last_dirty) = bucket->previous_dirty;
	bucket->previous_dirty = bucket->next_dirty = NULL;
	bucket->dirty = false;
}

void shard_dirty(struct shard *shard, struct open_bucket *bucket)
{
	struct open_bucket *before = shard->last_dirty;
	while (before && before->dirty_epoch > bucket->dirty_epoch)
		before = before->previous_dirty;
	struct open_bucket *after = before ? before->next_dirty : shard->first_dirty;
	bucket->previous_dirty = before;
	bucket->next_dirty = after;
	*(before ? &before->next_dirty : &shard->first_dirty) = bucket;
	*(after ? &after->previous_dirty : &shard->last_dirty) = bucket;
	bucket->dirty = true;
}

/* ---- positions ---- */

static void epochs_trim(struct shard *shard)
{
	uint64_t oldest = shard->first_dirty ? shard->first_dirty->dirty_epoch : shard->epoch;
	size_t gone = 0;
	while (gone < shard->epoch_count && shard->epochs[gone].number < oldest)
		gone++;
	if (gone == 0)
		return;
	shard->epoch_count -= gone;
	memmove(shard->epochs, shard->epochs + gone, shard->epoch_count * sizeof *shard->epochs);
}

/* A new epoch: what becomes dirty from here on is not older than what is applied now. Without room the old one goes on,
 * which is true as well, only less precise. */
static void epoch_begin(struct shard *shard)
{
	epochs_trim(shard);
	if (shard->epoch_count == EPOCHS_MAX)
		return;
	if (shard->epoch_count == shard->epoch_capacity) {
		size_t capacity = shard->epoch_capacity ? 2 * shard->epoch_capacity : 16;
		struct epoch *epochs = realloc(shard->epochs, capacity * sizeof *epochs);
		if (!epochs)
			return;
		shard->epochs = epochs;
		shard->epoch_capacity = capacity;
	}
	struct epoch *epoch = &shard->epochs[shard->epoch_count++];
	epoch->number = ++shard->epoch;
	memcpy(epoch->positions, shard->applied, sizeof epoch->positions);
}

void shard_positions(const struct shard *shard, uint64_t ret_positions[SHARD_STREAMS_MAX])
{
	if (!shard->first_dirty) {
		memcpy(ret_positions, shard->applied, sizeof shard->applied);
		return;
	}
	memcpy(ret_positions, shard->durable, sizeof shard->durable);
	for (size_t i = 0; i < shard->epoch_count; i++)
		if (shard->epochs[i].number == shard->first_dirty->dirty_epoch)
			memcpy(ret_positions, shard->epochs[i].positions, sizeof shard->epochs[i].positions);
}

/* ---- making sensors and buckets known: reads the store, never under the lock ---- */

static void newest_learn(struct sensor_state *sensor, const struct series_point *point)
{
	if (point->time_us == INT64_MIN || point->time_us < sensor->newest_us)
		return;
	sensor->newest_us = point->time_us;
	sensor->newest_value = point->value;
	sensor->newest_quality = point->quality == SERIES_MANUAL ? SERIES_MANUAL : SERIES_GOOD;
}

/* The newest closed hour tells where closed ones end, and the newest reading of a sensor that has nothing open. */
enum err sensor_newest_closed(struct store *store, struct id sensor, struct arena *arena, int64_t *ret_hour_us,
	struct series_point *ret_point, struct err_info *info)
{
	struct bucket_row low = {.sensor_id = sensor}, *row;
	struct store_query query = {
		.collection = &buckets_collection, .low = &low, .prefix = 1, .descending = true, .most = 1};
	void *rows;
	size_t count, used;
	*ret_hour_us = ret_point->time_us = INT64_MIN;
	enum err err = store_find(store, &query, arena, &rows, &count, info);
	if (err || count == 0)
		return err;
	row = rows;
	*ret_hour_us = row->hour_us;
	struct series_point *points;
	struct series_summary summary;
	if (row->count > 0 && row->columns.data &&
		!series_decode(row->columns.data, row->columns.size, BUCKET_READINGS_MAX, arena, &points, &count) &&
		count > 0)
		*ret_point = points[count - 1];
	else if (row->count > 0 && !series_summary_decode(row->summary.data, row->summary.size, &summary, &used))
		*ret_point = (struct series_point){.time_us = summary.last_us, .value = summary.last};
	return ERR_OK;
}

static enum err sensor_ensure(
	struct shard *shard, struct id sensor, struct sensor_state **ret_state, struct err_info *info)
{
	*ret_state = shard_sensor(shard, sensor);
	if (*ret_state)
		return ERR_OK;
	struct sensor_state *state = calloc(1, sizeof *state);
	struct arena *arena = arena_new(0);
	enum err err = state && arena ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for a sensor");
	if (!err) {
		struct series_point newest = {0};
		state->id = sensor;
		state->newest_us = INT64_MIN;
		err = sensor_newest_closed(
			shard->buckets->options.store, sensor, arena, &state->closed_hour_us, &newest, info);
		if (!err)
			newest_learn(state, &newest);
	}
	arena_free(&arena);
	if (err) {
		free(state);
		return err;
	}
	sensor_insert(shard, state);
	*ret_state = state;
	return ERR_OK;
}

/* Which revision an hour that has no open bucket begins, and while logs are replayed what the closed one has seen. */
static enum err revision_find(struct shard *shard, struct open_bucket *bucket, struct err_info *info)
{
	bucket->revision = 1;
	if (bucket->hour_us > bucket->sensor->closed_hour_us)
		return ERR_OK;
	struct arena *arena = arena_new(0);
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for a bucket");
	struct bucket_row low = {.sensor_id = bucket->sensor->id, .hour_us = bucket->hour_us}, *row;
	struct store_query query = {
		.collection = &buckets_collection, .low = &low, .prefix = 2, .descending = true, .most = 1};
	void *rows;
	size_t count = 0;
	enum err err = store_find(shard->buckets->options.store, &query, arena, &rows, &count, info);
	if (!err && count > 0) {
		row = rows;
		bucket->revision = row->revision + 1;
		bucket->seen = shard->caught_up ? NULL : calloc(SHARD_STREAMS_MAX, sizeof *bucket->seen);
		if (!shard->caught_up && !bucket->seen)
			err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for a bucket");
		if (bucket->seen)
			buckets_seen_parse(shard->buckets, row->seen, bucket->seen);
	}
	arena_free(&arena);
	return err;
}

static enum err points_fill(
	struct open_bucket *bucket, const struct open_row *row, struct arena *arena, struct err_info *info)
{
	struct series_point *points;
	struct compact filled = {0};
	size_t count = 0;
	enum err err = row->columns.data ? series_decode(row->columns.data, row->columns.size, BUCKET_READINGS_MAX,
						   arena, &points, &count)
					 : ERR_OK;
	if (err)
		return err_set(info, err, NULL, "the columns of an open bucket do not decode");
	for (size_t i = 0; i < count; i++) {
		uint64_t offset = (uint64_t)(points[i].time_us - row->hour_us);
		if (offset >= (uint64_t)CLOCK_US_PER_HOUR)
			err = err_set(info, ERR_STORE_CORRUPT, NULL, "an open bucket holds a reading of another hour");
		else if (!compact_add(&filled, (uint32_t)offset, points[i].value, points[i].quality == SERIES_MANUAL))
			err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the readings of an open bucket");
		if (err) {
			compact_free(&filled);
			return err;
		}
	}
	bucket->points = filled;
	bucket->loaded = true;
	return ERR_OK;
}

enum err shard_load(struct shard *shard, struct open_bucket *bucket, struct err_info *info)
{
	if (bucket->loaded)
		return ERR_OK;
	struct arena *arena = arena_new(0);
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for a bucket");
	struct open_row row = {.sensor_id = bucket->sensor->id, .hour_us = bucket->hour_us};
	struct open_bucket filled = {0};
	enum err err = store_get(shard->buckets->options.store, &open_buckets_collection, &row, arena, info);
	if (!err)
		err = points_fill(&filled, &row, arena, info);
	if (!err) {
		pthread_mutex_lock(&shard->lock);
		bucket->points = filled.points;
		bucket->loaded = true;
		shard->bytes += compact_bytes(&bucket->points);
		pthread_mutex_unlock(&shard->lock);
	}
	arena_free(&arena);
	return err;
}

static enum err bucket_ensure(struct shard *shard, struct id sensor, int64_t hour_us, int64_t written_us,
	struct open_bucket **ret_bucket, struct err_info *info)
{
	struct open_bucket *bucket = shard_open(shard, sensor, hour_us);
	*ret_bucket = bucket;
	if (bucket)
		return shard_load(shard, bucket, info);
	struct sensor_state *state;
	enum err err = sensor_ensure(shard, sensor, &state, info);
	if (err)
		return err;
	bucket = calloc(1, sizeof *bucket);
	if (!bucket)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for a bucket");
	bucket->sensor = state;
	bucket->hour_us = hour_us;
	bucket->opened_us = written_us;
	bucket->loaded = true;
	err = revision_find(shard, bucket, info);
	if (err) {
		bucket_free(bucket);
		return err;
	}
	bucket_insert(shard, bucket);
	*ret_bucket = bucket;
	return ERR_OK;
}

enum err shard_restore(struct shard *shard, const struct open_row *row, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct open_bucket *bucket = calloc(1, sizeof *bucket);
	uint32_t *conflicts;
	size_t conflict_count = 0;
	enum err err = arena && bucket ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for a bucket");
	if (!err)
		err = sensor_ensure(shard, row->sensor_id, &bucket->sensor, info);
	if (!err)
		err = points_fill(bucket, row, arena, info);
	if (!err)
		err = conflicts_read(row->conflicts, arena, &conflicts, &conflict_count);
	if (!err) {
		bucket->conflicts = malloc(sizeof *conflicts * (conflict_count + 1));
		bucket->seen = calloc(SHARD_STREAMS_MAX, sizeof *bucket->seen);
		if (!bucket->conflicts || !bucket->seen)
			err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for a bucket");
	}
	if (!err) {
		if (conflict_count)
			memcpy(bucket->conflicts, conflicts, conflict_count * sizeof *conflicts);
		bucket->conflict_count = (uint32_t)conflict_count;
		buckets_seen_parse(shard->buckets, row->seen, bucket->seen);
		bucket->hour_us = row->hour_us;
		bucket->revision = row->revision;
		bucket->opened_us = row->opened_us;
		bucket->touched_us = buckets_monotonic_us(shard->buckets);
		bucket->stored = true;
		struct series_point last;
		if (bucket->points.count) {
			compact_get(&bucket->points, bucket->hour_us, bucket->points.count - 1, &last);
			newest_learn(bucket->sensor, &last);
		}
		bucket_insert(shard, bucket);
		bucket = NULL;
	}
	if (bucket)
		bucket_free(bucket);
	arena_free(&arena);
	return err;
}

/* ---- applying a batch ---- */

static void bucket_touch(struct shard *shard, struct open_bucket *bucket, int64_t written_us, int64_t now_us)
{
	bucket->touched_us = now_us;
	if (written_us < bucket->opened_us)
		bucket->opened_us = written_us;
	if (bucket->dirty)
		return;
	bucket->dirty_us = now_us;
	bucket->dirty_epoch = shard->epoch;
	shard_dirty(shard, bucket);
}

static bool reading_add(struct shard *shard, struct open_bucket *bucket, const struct reading *reading)
{
	size_t before = compact_bytes(&bucket->points);
	struct series_point point = {.time_us = reading->time_us,
		.value = reading->value == 0 ? 0 : reading->value,
		.quality = reading->quality};
	if (!compact_add(&bucket->points, (uint32_t)(reading->time_us - bucket->hour_us), point.value,
		    reading->quality == SERIES_MANUAL))
		return false;
	shard->bytes += compact_bytes(&bucket->points) - before;
	newest_learn(bucket->sensor, &point);
	return true;
}

/* Adds the batch's readings; where it fails half-way it is applied again as a whole, which repeats by key and so changes
 * nothing. */
static enum err batch_apply(struct shard *shard, const struct shard_message *message, struct err_info *info)
{
	if (message->seq <= shard->applied[message->stream])
		return ERR_OK;
	struct open_bucket **targets = malloc((message->count + 1) * sizeof *targets), *bucket = NULL;
	enum err err = targets ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for a batch");
	for (size_t i = 0; i < message->count && !err; i++) {
		const struct reading *reading = &message->readings[i];
		int64_t hour_us = clock_hour_start(reading->time_us);
		if (!bucket || bucket->hour_us != hour_us || !id_equal(bucket->sensor->id, reading->sensor))
			err = bucket_ensure(shard, reading->sensor, hour_us, message->written_us, &bucket, info);
		targets[i] = bucket;
	}
	int64_t now_us = buckets_monotonic_us(shard->buckets);
	if (!err) {
		pthread_mutex_lock(&shard->lock);
		for (size_t i = 0; i < message->count && !err; i++) {
			if (targets[i]->seen && message->seq <= targets[i]->seen[message->stream])
				continue;
			if (!reading_add(shard, targets[i], &message->readings[i]))
				err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for a reading");
			else
				bucket_touch(shard, targets[i], message->written_us, now_us);
		}
		if (!err)
			shard->applied[message->stream] = message->seq;
		pthread_mutex_unlock(&shard->lock);
	}
	free(targets);
	if (!err)
		metric_add(METRIC_SENSING_READINGS, (int64_t)message->count);
	return err;
}

/* ---- writing: what fails is tried again, said once ---- */

static enum err note_write(struct shard *shard, enum err err, const struct err_info *info)
{
	if (err == ERR_POSITION_TAKEN && shard->buckets->partitions) { /* no fault: the shard is let go of */
		atomic_store(&shard->lost, true);
		mailbox_close(shard->mailbox);
		return err;
	}
	int before = atomic_exchange(&shard->fault, (int)err);
	if (err == ERR_OK && before)
		log_line(LOG_LEVEL_INFO, "buckets_written_again", "hour buckets are written again", NULL);
	if (err && !before)
		log_failure("buckets_write_failed", info, NULL);
	if (err == ERR_STORE_LATCHED || err == ERR_POSITION_TAKEN) {
		atomic_store(&shard->lost, true);
		mailbox_close(shard->mailbox);
	}
	return err;
}

static size_t memory_budget(const struct shard *shard)
{
	int64_t bytes = shard->buckets->options.memory_bytes / (int64_t)shard->buckets->shard_count;
	return bytes > 0 ? (size_t)bytes : SIZE_MAX / FULL_FACTOR;
}

/* Frees the points of flushed buckets, oldest first, until a quarter of the budget is free. */
static void evict(struct shard *shard)
{
	pthread_mutex_lock(&shard->lock);
	for (struct open_bucket *bucket = shard->first_open; bucket && shard->bytes > memory_budget(shard) / 4 * 3;
		bucket = bucket->next_open) {
		if (bucket->dirty || !bucket->stored || !bucket->loaded)
			continue;
		shard->bytes -= compact_bytes(&bucket->points);
		compact_free(&bucket->points);
		bucket->loaded = false;
	}
	pthread_mutex_unlock(&shard->lock);
}

static void relieve(struct shard *shard)
{
	struct err_info info = {0};
	if (shard->bytes <= memory_budget(shard) || atomic_load(&shard->lost))
		return;
	if (!note_write(shard, shard_flush(shard, INT64_MAX, &info), &info))
		evict(shard);
}

/* ---- closing by time ---- */

static bool is_due(const struct shard *shard, const struct open_bucket *bucket, int64_t wall_us, int64_t now_us)
{
	int64_t end_us = bucket->hour_us + CLOCK_US_PER_HOUR;
	if (now_us - bucket->touched_us < QUIET_US)
		return false;
	if (wall_us - end_us >= CLOCK_LAG_US)
		return true;
	struct bucket_rules rules = buckets_rules(shard->buckets, bucket->sensor->id);
	return bucket->sensor->newest_us - end_us >= rules.lateness_us;
}

static enum err close_due(struct shard *shard, struct err_info *info)
{
	int64_t wall_us = buckets_wall_us(shard->buckets), now_us = buckets_monotonic_us(shard->buckets);
	struct open_bucket **due = malloc((shard->open_count + 1) * sizeof *due);
	size_t count = 0;
	if (!due)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to close buckets");
	for (struct open_bucket *bucket = shard->first_open; bucket; bucket = bucket->next_open)
		if (is_due(shard, bucket, wall_us, now_us))
			due[count++] = bucket;
	enum err err = count ? shard_close(shard, due, count, info) : ERR_OK;
	free(due);
	return err;
}

static enum err close_hours(struct shard *shard, const struct shard_message *message, struct err_info *info)
{
	struct open_bucket **asked = malloc((shard->open_count + 1) * sizeof *asked);
	size_t count = 0;
	if (!asked)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to close buckets");
	for (struct open_bucket *bucket = shard->first_open; bucket; bucket = bucket->next_open)
		if (bucket->hour_us >= message->from_us && bucket->hour_us < message->to_us &&
			id_equal(bucket->sensor->id, message->sensor))
			asked[count++] = bucket;
	enum err err = count ? shard_close(shard, asked, count, info) : ERR_OK;
	free(asked);
	return err;
}

/* Nothing closes while the logs of the other nodes are not read: what is in them would come late. */
static bool is_current(const struct shard *shard)
{
	return !shard->buckets->partitions || partitions_age_us(shard->buckets) < CURRENT_US;
}

static enum err tick(struct shard *shard, struct err_info *info)
{
	int64_t now_us = buckets_monotonic_us(shard->buckets);
	if (atomic_load(&shard->lost))
		return err_set(info, ERR_STOPPING, NULL, "the buckets of this shard are no longer written here");
	enum err err = shard_flush(shard, now_us - shard->buckets->options.flush_us, info);
	if (!err && shard->caught_up && is_current(shard))
		err = close_due(shard, info);
	if (!err && now_us - shard->positions_us >= shard->buckets->options.flush_us)
		err = shard_write_positions(shard, info);
	note_write(shard, err, info);
	relieve(shard);
	epoch_begin(shard);
	return err;
}

/* ---- the thread ---- */

/* The logs have been replayed: what rows have seen is told apart no more. */
static void catch_up(struct shard *shard)
{
	pthread_mutex_lock(&shard->lock);
	for (struct open_bucket *bucket = shard->first_open, *next; bucket; bucket = next) {
		next = bucket->next_open;
		free(bucket->seen);
		bucket->seen = NULL;
		if (bucket->points.count == 0 && !bucket->stored)
			shard_forget(shard, bucket);
	}
	shard->caught_up = true;
	pthread_mutex_unlock(&shard->lock);
}

static void rest(void)
{
	struct timespec pause = {.tv_nsec = RETRY_US * 1000};
	nanosleep(&pause, NULL);
}

/* A batch that cannot be applied now (the store does not answer, no memory) is applied later, before any other; when the
 * shard stops meanwhile it is left to the next start, which replays it. */
static bool feed(struct shard *shard, const struct shard_message *message)
{
	struct err_info info = {0};
	while (shard->bytes > memory_budget(shard) && !atomic_load(&shard->lost)) {
		relieve(shard);
		if (!atomic_load(&shard->fault) || shard->bytes <= FULL_FACTOR * memory_budget(shard) ||
			mailbox_closed(shard->mailbox))
			break;
		rest();
	}
	for (enum err err; (err = batch_apply(shard, message, &info));) {
		if (!atomic_exchange(&shard->fault, (int)err))
			log_failure("buckets_apply_failed", &info, NULL);
		if (mailbox_closed(shard->mailbox) || atomic_load(&shard->lost))
			return false;
		rest();
	}
	return true;
}

static enum err obey(struct shard *shard, const struct shard_message *message, struct err_info *info)
{
	enum err err = ERR_OK;
	if (atomic_load(&shard->lost))
		return err_set(info, ERR_STOPPING, NULL, "the buckets of this shard are no longer written here");
	switch (message->verb) {
	case SHARD_FEED: break;
	case SHARD_CAUGHT_UP: catch_up(shard); break;
	case SHARD_SETTLE: break;
	case SHARD_TICK: return tick(shard, info);
	case SHARD_FLUSH:
		err = shard_flush(shard, INT64_MAX, info);
		if (!err)
			err = shard_write_positions(shard, info);
		return note_write(shard, err, info);
	case SHARD_CLOSE: return note_write(shard, close_hours(shard, message, info), info);
	}
	return err;
}

static void answer(struct shard *shard, struct shard_message *message, bool *dropping)
{
	struct err_info info = {0};
	if (message->verb == SHARD_FEED) {
		if (!*dropping && !feed(shard, message))
			*dropping = true; /* nothing after it may count as applied */
	} else {
		enum err err = obey(shard, message, &info);
		reply_complete(message->reply, err, &info, NULL, NULL);
	}
	free(message);
}

void shard_run(void *argument)
{
	struct shard *shard = argument;
	void *items[TAKE_MOST];
	bool dropping = false;
	epoch_begin(shard);
	for (;;) {
		size_t count = mailbox_take(shard->mailbox, items, TAKE_MOST, shard->next_tick_us);
		for (size_t i = 0; i < count; i++)
			answer(shard, items[i], &dropping);
		if (count == 0 && mailbox_closed(shard->mailbox))
			break;
		struct err_info info = {0};
		if (clock_monotonic_us() >= shard->next_tick_us) {
			(void)tick(shard, &info);
			shard->next_tick_us = clock_monotonic_us() + TICK_US;
		}
	}
	struct err_info info = {0};
	if (atomic_load(&shard->lost))
		return;
	enum err err = shard_flush(shard, INT64_MAX, &info);
	if (!err)
		err = shard_write_positions(shard, &info);
	note_write(shard, err, &info);
}

enum err shard_prepare(struct shard *shard)
{
	const struct buckets_options *options = &shard->buckets->options;
	char name[24];
	snprintf(name, sizeof name, "buckets-%u", shard->index % 1000);
	shard->mailbox = mailbox_new(name, options->shard_queue ? options->shard_queue : 1);
	shard->next_tick_us = clock_monotonic_us() + TICK_US;
	shard->positions_us = buckets_monotonic_us(shard->buckets);
	shard->caught_up = false;
	shard->epoch_count = 0;
	atomic_store(&shard->lost, false);
	atomic_store(&shard->fault, 0);
	return shard->mailbox ? ERR_OK : ERR_NO_MEMORY;
}

enum err shard_init(struct shard *shard, struct buckets *buckets, unsigned index)
{
	*shard = (struct shard){
		.buckets = buckets, .index = index, .sensor_chains = CHAINS_FIRST, .open_chains = CHAINS_FIRST};
	pthread_mutex_init(&shard->lock, NULL);
	shard->sensors = calloc(CHAINS_FIRST, sizeof(struct sensor_state *));
	shard->table = calloc(CHAINS_FIRST, sizeof(struct open_bucket *));
	if (!shard->sensors || !shard->table)
		return ERR_NO_MEMORY;
	if (buckets->options.members)
		return ERR_OK; /* it is taken later */
	shard->owned = true;
	return shard_prepare(shard);
}

int64_t shard_opened_floor(const struct shard *shard)
{
	int64_t floor_us = INT64_MAX;
	for (const struct open_bucket *bucket = shard->first_open; bucket; bucket = bucket->next_open)
		floor_us = bucket->opened_us < floor_us ? bucket->opened_us : floor_us;
	return floor_us;
}

void shard_clear(struct shard *shard)
{
	pthread_mutex_lock(&shard->lock);
	for (struct open_bucket *bucket = shard->first_open, *next; bucket; bucket = next) {
		next = bucket->next_open;
		shard_forget(shard, bucket);
	}
	for (size_t i = 0; i < shard->sensor_chains; i++) {
		for (struct sensor_state *state = shard->sensors[i], *next; state; state = next) {
			next = state->next;
			free(state);
		}
		shard->sensors[i] = NULL;
	}
	shard->sensor_count = 0;
	pthread_mutex_unlock(&shard->lock);
	mailbox_free(&shard->mailbox);
}

void shard_destroy(struct shard *shard)
{
	for (struct open_bucket *bucket = shard->first_open, *next; bucket; bucket = next) {
		next = bucket->next_open;
		bucket_free(bucket);
		metric_add(METRIC_SENSING_OPEN_BUCKETS, -1);
	}
	for (size_t i = 0; shard->sensors && i < shard->sensor_chains; i++) {
		for (struct sensor_state *state = shard->sensors[i], *next; state; state = next) {
			next = state->next;
			free(state);
		}
	}
	free(shard->sensors);
	free(shard->table);
	free(shard->epochs);
	tail_free(&shard->tail);
	mailbox_free(&shard->mailbox);
	pthread_mutex_destroy(&shard->lock);
}
