/* The shards as a whole: how they begin (owner's term, open rows, replay of the logs), how batches are divided among them,
 * and how they end. A batch goes to every shard, also to those without a reading in it, so that each knows how far it is. */
#include "shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/log.h"

#define PAGE_ROWS     500
#define OWNERS_MAX    1000
#define REPLAY_US     (60 * CLOCK_US_PER_SECOND) /* how long a shard may leave a replayed batch waiting, each try */
#define READ_LATE_US  (10 * CLOCK_US_PER_SECOND)
#define WRITTEN_SLACK (10 * CLOCK_US_PER_MINUTE) /* a batch was written at most this long before it was fed */

int64_t buckets_wall_us(const struct buckets *buckets)
{
	return buckets->options.wall_us ? buckets->options.wall_us() : clock_wall_us();
}

int64_t buckets_monotonic_us(const struct buckets *buckets)
{
	return buckets->options.monotonic_us ? buckets->options.monotonic_us() : clock_monotonic_us();
}

static unsigned shard_index(const struct buckets *buckets, struct id sensor)
{
	uint64_t low, high;
	memcpy(&low, sensor.bytes, 8);
	memcpy(&high, sensor.bytes + 8, 8);
	return (unsigned)(((low ^ high) * UINT64_C(0x9e3779b97f4a7c15) >> 32) % buckets->shard_count);
}

struct shard *buckets_shard_of(struct buckets *buckets, struct id sensor)
{
	return &buckets->shards[shard_index(buckets, sensor)];
}

struct bucket_rules buckets_rules(const struct buckets *buckets, struct id sensor)
{
	struct bucket_rules rules;
	if (!buckets->options.rules(buckets->options.context, sensor, &rules))
		rules = (struct bucket_rules){.lateness_us = 2 * CLOCK_US_PER_MINUTE}; /* a deleted one: no integral */
	return rules;
}

/* ---- streams ---- */

unsigned buckets_stream(struct buckets *buckets, const char *name)
{
	pthread_mutex_lock(&buckets->lock);
	unsigned index = 0;
	while (index < buckets->stream_count && strcmp(buckets->streams[index].name, name) != 0)
		index++;
	if (index == buckets->stream_count && index < SHARD_STREAMS_MAX && strlen(name) < STORE_STREAM_SIZE) {
		memcpy(buckets->streams[index].name, name, strlen(name) + 1);
		buckets->stream_count++;
	} else if (index == buckets->stream_count) {
		index = SHARD_STREAMS_MAX;
	}
	pthread_mutex_unlock(&buckets->lock);
	return index;
}

const char *buckets_seen_text(struct buckets *buckets, const uint64_t *positions, struct arena *arena)
{
	const char *text = "";
	pthread_mutex_lock(&buckets->lock);
	unsigned count = buckets->stream_count;
	pthread_mutex_unlock(&buckets->lock);
	for (unsigned i = 0; i < count && text; i++)
		if (positions[i])
			text = arena_print(arena, "%s%s%s:%llu", text, *text ? "," : "", buckets->streams[i].name,
				(unsigned long long)positions[i]);
	return text;
}

void buckets_seen_parse(struct buckets *buckets, const char *text, uint64_t *ret_positions)
{
	char name[STORE_STREAM_SIZE];
	while (text && *text) {
		const char *colon = strchr(text, ':'), *comma = strchr(text, ',');
		size_t length = colon ? (size_t)(colon - text) : 0;
		if (!colon || length == 0 || length >= sizeof name)
			return;
		memcpy(name, text, length);
		name[length] = 0;
		unsigned index = buckets_stream(buckets, name);
		if (index < SHARD_STREAMS_MAX)
			ret_positions[index] = strtoull(colon + 1, NULL, 10);
		text = comma ? comma + 1 : NULL;
	}
}

/* ---- feeding ---- */

static struct shard_message *message_new(enum shard_verb verb, size_t count)
{
	struct shard_message *message = calloc(1, sizeof *message + count * sizeof(struct reading));
	if (message) {
		message->verb = verb;
		message->count = count;
	}
	return message;
}

/* The shard's part of a batch. */
static enum err hand(struct shard *shard, unsigned stream, uint64_t seq, int64_t written_us,
	const struct reading *readings, size_t count, int64_t deadline_us)
{
	const struct buckets *buckets = shard->buckets;
	size_t mine = 0;
	for (size_t i = 0; i < count; i++)
		mine += buckets->shard_count == 1 || shard_index(buckets, readings[i].sensor) == shard->index;
	struct shard_message *message = message_new(SHARD_FEED, mine);
	if (!message)
		return ERR_NO_MEMORY;
	message->stream = stream;
	message->seq = seq;
	message->written_us = written_us;
	mine = 0;
	for (size_t i = 0; i < count; i++)
		if (buckets->shard_count == 1 || shard_index(buckets, readings[i].sensor) == shard->index)
			message->readings[mine++] = readings[i];
	if (shard->owned || shard->taking) {
		enum err err = mailbox_put_wait(shard->mailbox, message, deadline_us);
		if (err)
			free(message);
		return err;
	}
	pthread_mutex_lock(&shard->lock);
	bool kept = tail_add(&shard->tail, stream, seq, message->readings, mine);
	pthread_mutex_unlock(&shard->lock);
	free(message);
	return kept ? ERR_OK : ERR_NO_MEMORY;
}

/* Gives each shard its part. Where one has no room in time, others may have theirs already: the same batch fed again is
 * recognised by its position. Where several daemons divide the shards, one that has lost its owner is passed over: it has the
 * rest when it has caught up. */
static enum err dispatch(struct buckets *buckets, unsigned stream, uint64_t seq, int64_t written_us,
	const struct reading *readings, size_t count, int64_t deadline_us)
{
	enum err err = ERR_OK;
	for (unsigned index = 0; index < buckets->shard_count && !err; index++) {
		struct shard *shard = &buckets->shards[index];
		if (buckets->partitions && ((shard->behind && !shard->filling) || seq <= shard->given[stream]))
			continue;
		err = hand(shard, stream, seq, written_us, readings, count, deadline_us);
		if (buckets->partitions && err == ERR_STOPPING) {
			pthread_mutex_lock(&shard->lock);
			shard->behind = true;
			pthread_mutex_unlock(&shard->lock);
			err = ERR_OK;
		} else if (!err) {
			shard->given[stream] = seq;
		}
	}
	return err;
}

struct replay {
	struct buckets *buckets;
	unsigned stream;
	uint64_t until;      /* last batch wanted */
	uint64_t reached;    /* last batch handed on */
	int64_t deadline_us; /* 0: none */
	struct err_info *info;
};

static enum err replay_batch(void *context, const struct store_batch *batch)
{
	struct replay *replay = context;
	struct buckets *buckets = replay->buckets;
	if (batch->seq > replay->until)
		return ERR_DEADLINE; /* any error ends the walk */
	if (!batch->payload)
		return err_set(replay->info, ERR_STORE_CORRUPT, NULL, "batch %llu of %s is pruned but not in buckets",
			(unsigned long long)batch->seq, batch->stream);
	struct arena *arena = arena_new(0);
	struct reading *readings;
	size_t count;
	enum err err =
		arena ? readings_decode(batch->payload, batch->payload_size, arena, &readings, &count) : ERR_NO_MEMORY;
	if (err)
		err_set(replay->info, err, NULL, "batch %llu of %s does not decode", (unsigned long long)batch->seq,
			batch->stream);
	if (!err) {
		do
			err = dispatch(buckets, replay->stream, batch->seq, batch->written_at_us, readings, count,
				replay->deadline_us ? replay->deadline_us : clock_monotonic_us() + REPLAY_US);
		while (err == ERR_BUSY && !replay->deadline_us);
		if (err)
			err_set(replay->info, err, NULL, "the shards take no readings");
	}
	if (!err && batch->seq > buckets->streams[replay->stream].fed)
		buckets->streams[replay->stream].fed = batch->seq;
	if (!err)
		replay->reached = batch->seq;
	arena_free(&arena);
	return err;
}

enum err buckets_replay(struct buckets *buckets, unsigned stream, uint64_t from, uint64_t until, int64_t deadline_us,
	struct err_info *info)
{
	struct replay replay = {
		.buckets = buckets, .stream = stream, .until = until, .deadline_us = deadline_us, .info = info};
	enum err err = store_log_read(buckets->options.store, STORE_READINGS, buckets->streams[stream].name, from,
		replay_batch, &replay, info);
	if (err == ERR_DEADLINE && replay.reached == until)
		return ERR_OK;
	return err;
}

/* Feeds batches fed + 1 … until out of the log itself. */
static enum err replay_log(
	struct buckets *buckets, unsigned stream, uint64_t until, int64_t deadline_us, struct err_info *info)
{
	return buckets_replay(buckets, stream, buckets->streams[stream].fed + 1, until, deadline_us, info);
}

static enum err feed_in_turn(struct buckets *buckets, unsigned index, uint64_t seq, const struct reading *readings,
	size_t count, int64_t deadline_us)
{
	struct stream *stream = &buckets->streams[index];
	struct err_info info = {0};
	if (seq <= stream->fed)
		return ERR_OK;
	if (seq > stream->fed + 1) { /* an earlier feed was given up: what is durable comes out of the log */
		enum err err = replay_log(buckets, index, seq - 1, deadline_us, &info);
		if (err)
			return err;
		if (stream->fed + 1 != seq)
			return ERR_STORE_CORRUPT;
	}
	enum err err =
		dispatch(buckets, index, seq, buckets_wall_us(buckets) - WRITTEN_SLACK, readings, count, deadline_us);
	if (!err)
		stream->fed = seq;
	return err;
}

enum err buckets_feed(struct buckets *buckets, const char *stream, uint64_t seq, const struct reading *readings,
	size_t count, int64_t deadline_us)
{
	if (buckets->partitions) { /* all nodes' logs are read, this one's too */
		partitions_nudge(buckets);
		return ERR_OK;
	}
	unsigned index = buckets_stream(buckets, stream);
	if (index == SHARD_STREAMS_MAX)
		return ERR_TOO_LARGE;
	if (pthread_mutex_trylock(&buckets->streams[index].feeding) != 0)
		return ERR_BUSY;
	enum err err = feed_in_turn(buckets, index, seq, readings, count, deadline_us);
	pthread_mutex_unlock(&buckets->streams[index].feeding);
	return err;
}

/* What is durable counts, also while its writer has not come to feed it: it is fed from the log, up to its head. */
static enum err catch_up(struct buckets *buckets, unsigned index, int64_t deadline_us)
{
	struct stream *stream = &buckets->streams[index];
	struct store_batch head;
	struct err_info info = {0};
	enum err err = store_log_head(buckets->options.store, STORE_READINGS, stream->name, &head, &info);
	if (err)
		return err;
	pthread_mutex_lock(&stream->feeding);
	if (stream->fed < head.seq)
		err = replay_log(buckets, index, head.seq, deadline_us, &info);
	pthread_mutex_unlock(&stream->feeding);
	return err;
}

/* ---- asking ---- */

static enum err ask(
	struct shard *shard, struct shard_message *message, int64_t deadline_us, struct runtime_reply **ret_reply)
{
	*ret_reply = message ? reply_new(deadline_us, NULL, NULL) : NULL;
	if (!*ret_reply) {
		free(message);
		return ERR_NO_MEMORY;
	}
	message->reply = *ret_reply;
	enum err err = mailbox_put_wait(shard->mailbox, message, deadline_us);
	if (err) {
		free(message);
		reply_complete(*ret_reply, err, NULL, NULL, NULL);
	}
	return err;
}

enum err buckets_ask(struct buckets *buckets, enum shard_verb verb, int64_t deadline_us, struct err_info *info)
{
	struct runtime_reply **replies = calloc(buckets->shard_count, sizeof(*replies));
	enum err err = replies ? ERR_OK : ERR_NO_MEMORY;
	for (unsigned i = 0; i < buckets->shard_count && replies; i++) {
		enum err one = ask(&buckets->shards[i], message_new(verb, 0), deadline_us, &replies[i]);
		err = err ? err : one;
	}
	if (err)
		err_set(info, err, NULL, "a shard takes no requests");
	for (unsigned i = 0; i < buckets->shard_count && replies; i++) {
		struct err_info own = {0};
		enum err one = replies[i] ? reply_wait(replies[i], &own) : ERR_OK;
		if (one && !err) {
			err = one;
			if (info)
				*info = own;
		}
		reply_unref(&replies[i]);
	}
	free(replies);
	return err;
}

enum err buckets_ready(struct buckets *buckets, char *reason, size_t size)
{
	int64_t age_us = buckets->partitions ? partitions_age_us(buckets) : 0;
	if (age_us > READ_LATE_US) {
		snprintf(reason, size, "the readings logs have not been read for %lld s",
			(long long)(age_us / CLOCK_US_PER_SECOND));
		return ERR_BUSY;
	}
	for (unsigned i = 0; i < buckets->shard_count; i++) {
		enum err err = (enum err)atomic_load(&buckets->shards[i].fault);
		bool lost = atomic_load(&buckets->shards[i].lost) && !buckets->partitions; /* else another has it */
		if (!err && !lost)
			continue;
		err = err ? err : ERR_STOPPING;
		snprintf(reason, size, "hour buckets are not written: %s", err_row(err)->title);
		return err;
	}
	return ERR_OK;
}

enum err buckets_send(struct shard *shard, enum shard_verb verb, struct id sensor, int64_t from_us, int64_t to_us,
	int64_t deadline_us, struct runtime_reply **ret_reply)
{
	struct shard_message *message = message_new(verb, 0);
	if (message) {
		message->sensor = sensor;
		message->from_us = from_us;
		message->to_us = to_us;
	}
	return ask(shard, message, deadline_us, ret_reply);
}

enum err buckets_settle(struct buckets *buckets, int64_t deadline_us)
{
	if (buckets->partitions)
		return partitions_wait(buckets, clock_monotonic_us(), deadline_us);
	pthread_mutex_lock(&buckets->lock);
	unsigned count = buckets->stream_count;
	pthread_mutex_unlock(&buckets->lock);
	for (unsigned i = 0; i < count; i++) {
		enum err err = catch_up(buckets, i, deadline_us);
		if (err)
			return err;
	}
	return buckets_ask(buckets, SHARD_SETTLE, deadline_us, NULL);
}

enum err buckets_close_hours(struct buckets *buckets, const struct id *sensors, size_t count, int64_t from_us,
	int64_t to_us, int64_t deadline_us, struct err_info *info)
{
	enum err err = ERR_OK;
	if (buckets->partitions)
		return partitions_close_hours(buckets, sensors, count, from_us, to_us, deadline_us, info);
	err = buckets_settle(buckets, deadline_us);
	if (err)
		return err_set(info, err, NULL, "the readings that came before have not been worked in yet");
	for (size_t i = 0; i < count && !err; i++) {
		struct runtime_reply *reply;
		err = buckets_send(buckets_shard_of(buckets, sensors[i]), SHARD_CLOSE, sensors[i], from_us, to_us,
			deadline_us, &reply);
		if (err)
			err_set(info, err, NULL, "the sensor's shard takes no requests");
		else
			err = reply_wait(reply, info);
		reply_unref(&reply);
	}
	return err;
}

/* ---- start ---- */

void buckets_row_positions(
	struct buckets *buckets, const struct owner_row *row, uint64_t ret_positions[SHARD_STREAMS_MAX])
{
	const struct stream_position *positions = row->positions.items;
	memset(ret_positions, 0, sizeof(uint64_t) * SHARD_STREAMS_MAX);
	for (size_t i = 0; i < row->positions.count; i++) {
		unsigned stream = buckets_stream(buckets, positions[i].stream);
		if (stream < SHARD_STREAMS_MAX)
			ret_positions[stream] = (uint64_t)positions[i].seq;
	}
}

/* What every shard that there was has written: the least position of each stream. */
static void positions_least(struct buckets *buckets, const struct owner_row *owners, size_t count,
	uint64_t ret_positions[SHARD_STREAMS_MAX])
{
	memset(ret_positions, 0, sizeof(uint64_t) * SHARD_STREAMS_MAX);
	for (size_t i = 0; i < count; i++) {
		uint64_t own[SHARD_STREAMS_MAX];
		buckets_row_positions(buckets, &owners[i], own);
		for (size_t k = 0; k < SHARD_STREAMS_MAX; k++)
			if (i == 0 || own[k] < ret_positions[k])
				ret_positions[k] = own[k];
	}
}

enum err buckets_owner_rows(
	struct buckets *buckets, struct arena *arena, struct owner_row **ret_rows, struct err_info *info)
{
	struct store_query query = {.collection = &bucket_owners_collection, .most = OWNERS_MAX};
	void *rows;
	size_t count;
	enum err err = store_find(buckets->options.store, &query, arena, &rows, &count, info);
	if (err)
		return err;
	*ret_rows = rows;
	bool all = count == buckets->shard_count;
	for (size_t i = 0; i < count && all; i++)
		all = (*ret_rows)[i].partition == (int64_t)i;
	return all ? ERR_OK : err_set(info, ERR_NOT_FOUND, NULL, "the rows of the shards' owners are not all there");
}

/* Takes over: raises the term of every shard's row, all in one write, each on the condition that it is as it was read. */
enum err buckets_owners_take(struct buckets *buckets, const char *node, struct arena *arena, struct err_info *info)
{
	struct store_query query = {.collection = &bucket_owners_collection, .most = OWNERS_MAX};
	void *rows;
	size_t count, changed = 0;
	uint64_t positions[SHARD_STREAMS_MAX];
	enum err err = store_find(buckets->options.store, &query, arena, &rows, &count, info);
	if (err)
		return err;
	const struct owner_row *owners = rows;
	positions_least(buckets, owners, count, positions);
	int64_t term = 0;
	for (size_t i = 0; i < count; i++)
		term = owners[i].term > term ? owners[i].term : term;
	struct stream_position *named = ARENA_ARRAY(arena, struct stream_position, SHARD_STREAMS_MAX);
	struct owner_row *mine = ARENA_ARRAY(arena, struct owner_row, buckets->shard_count);
	struct store_change *changes = ARENA_ARRAY(arena, struct store_change, buckets->shard_count + count);
	if (!named || !mine || !changes)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to start the shards");
	for (unsigned i = 0; i < buckets->stream_count; i++)
		named[i] = (struct stream_position){.stream = buckets->streams[i].name, .seq = (int64_t)positions[i]};
	for (unsigned i = 0; i < buckets->shard_count; i++) {
		mine[i] = (struct owner_row){.partition = i,
			.term = term + 1,
			.node = node,
			.positions = {.items = named, .count = buckets->stream_count},
			.opened_us = FIELD_ABSENT};
		changes[changed++] = (struct store_change){.collection = &bucket_owners_collection,
			.row = &mine[i],
			.verb = STORE_PUT,
			.condition = STORE_ABSENT};
		for (size_t k = 0; k < count; k++)
			if (owners[k].partition == i) {
				changes[changed - 1].condition = STORE_EQUALS;
				changes[changed - 1].field = "term";
				changes[changed - 1].value = owners[k].term;
			}
		struct shard *shard = &buckets->shards[i];
		shard->term = term + 1;
		memcpy(shard->applied, positions, sizeof positions);
		memcpy(shard->durable, positions, sizeof positions);
	}
	for (size_t k = 0; k < count; k++)
		if (owners[k].partition >= buckets->shard_count)
			changes[changed++] = (struct store_change){.collection = &bucket_owners_collection,
				.row = &owners[k],
				.verb = STORE_DELETE,
				.condition = STORE_EQUALS,
				.field = "term",
				.value = owners[k].term};
	for (unsigned i = 0; i < buckets->stream_count; i++)
		buckets->streams[i].fed = positions[i];
	return store_write(buckets->options.store, changes, changed, NULL, info);
}

enum err buckets_restore(struct buckets *buckets, bool (*wanted)(const struct shard *shard), struct err_info *info)
{
	struct open_row after;
	struct store_query query = {.collection = &open_buckets_collection, .most = PAGE_ROWS};
	enum err err = ERR_OK;
	for (size_t count = PAGE_ROWS; !err && count == PAGE_ROWS;) {
		struct arena *arena = arena_new(0);
		void *rows;
		if (!arena)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory to start the shards");
		err = store_find(buckets->options.store, &query, arena, &rows, &count, info);
		const struct open_row *open = rows;
		for (size_t i = 0; !err && i < count; i++) {
			struct shard *shard = buckets_shard_of(buckets, open[i].sensor_id);
			if (!wanted || wanted(shard))
				err = shard_restore(shard, &open[i], info);
		}
		if (!err && count) {
			after = open[count - 1];
			query.after = &after;
		}
		arena_free(&arena);
	}
	return err;
}

/* Every readings log from where the rows end. */
static enum err logs_replay(struct buckets *buckets, struct arena *arena, struct err_info *info)
{
	const char **names;
	size_t count;
	enum err err =
		store_log_streams(buckets->options.store, STORE_READINGS, "readings.", arena, &names, &count, info);
	for (size_t i = 0; i < count && !err; i++) {
		unsigned stream = buckets_stream(buckets, names[i]);
		if (stream == SHARD_STREAMS_MAX)
			return err_set(
				info, ERR_TOO_LARGE, NULL, "there are more than %d readings logs", SHARD_STREAMS_MAX);
		uint64_t from = buckets->streams[stream].fed;
		err = replay_log(buckets, stream, UINT64_MAX, 0, info);
		if (!err && buckets->streams[stream].fed > from) {
			char first[24], last[24];
			snprintf(first, sizeof first, "%llu", (unsigned long long)from + 1);
			snprintf(last, sizeof last, "%llu", (unsigned long long)buckets->streams[stream].fed);
			log_line(LOG_LEVEL_INFO, "buckets_replayed", "readings were added from the log", "stream",
				names[i], "first", first, "last", last, NULL);
		}
	}
	return err;
}

static enum err threads_start(struct buckets *buckets, struct err_info *info)
{
	for (unsigned i = 0; i < buckets->shard_count; i++) {
		char name[16];
		snprintf(name, sizeof name, "buckets-%u", i % 1000);
		enum err err = thread_start(name, shard_run, &buckets->shards[i], &buckets->shards[i].thread);
		if (err)
			return err_set(info, err, NULL, "a shard's thread does not start");
	}
	return ERR_OK;
}

/* One daemon: every shard is its own, from here to the end. */
static enum err all_start(struct buckets *buckets, struct arena *arena, struct err_info *info)
{
	char own[STORE_STREAM_SIZE];
	snprintf(own, sizeof own, "readings.%s", buckets->node);
	(void)buckets_stream(buckets, own); /* known before its first batch */
	enum err err = buckets_owners_take(buckets, buckets->node, arena, info);
	if (!err)
		err = buckets_restore(buckets, NULL, info);
	if (!err)
		err = threads_start(buckets, info);
	if (!err)
		err = logs_replay(buckets, arena, info);
	return err ? err : buckets_ask(buckets, SHARD_CAUGHT_UP, INT64_MAX, info);
}

enum err buckets_open(const struct buckets_options *options, struct buckets **ret_buckets, struct err_info *info)
{
	struct buckets *buckets = calloc(1, sizeof *buckets);
	struct arena *arena = arena_new(0);
	enum err err = buckets && arena ? ERR_OK : ERR_NO_MEMORY;
	if (!err) {
		buckets->options = *options;
		snprintf(buckets->node, sizeof buckets->node, "%s", options->node);
		pthread_mutex_init(&buckets->lock, NULL);
		atomic_store(&buckets->closed_floor_us, INT64_MIN);
		for (size_t i = 0; i < SHARD_STREAMS_MAX; i++)
			pthread_mutex_init(&buckets->streams[i].feeding, NULL);
		buckets->shards = calloc(options->shards ? options->shards : 1, sizeof *buckets->shards);
		err = buckets->shards ? ERR_OK : ERR_NO_MEMORY;
		for (unsigned i = 0; i < (options->shards ? options->shards : 1) && !err; i++) {
			buckets->shard_count++;
			err = shard_init(&buckets->shards[i], buckets, i);
		}
	}
	if (err)
		err_set(info, err, NULL, "no memory to start the shards");
	if (!err)
		err = options->members ? partitions_start(buckets, info) : all_start(buckets, arena, info);
	arena_free(&arena);
	if (err) {
		buckets_close(&buckets);
		return err;
	}
	*ret_buckets = buckets;
	return ERR_OK;
}

void buckets_close(struct buckets **buckets)
{
	if (!*buckets)
		return;
	partitions_stop(*buckets);
	for (unsigned i = 0; i < (*buckets)->shard_count; i++)
		if ((*buckets)->shards[i].mailbox)
			mailbox_close((*buckets)->shards[i].mailbox);
	for (unsigned i = 0; i < (*buckets)->shard_count; i++) {
		thread_join(&(*buckets)->shards[i].thread);
		shard_destroy(&(*buckets)->shards[i]);
	}
	free((*buckets)->shards);
	for (size_t i = 0; i < SHARD_STREAMS_MAX; i++)
		pthread_mutex_destroy(&(*buckets)->streams[i].feeding);
	pthread_mutex_destroy(&(*buckets)->lock);
	free(*buckets);
	*buckets = NULL;
}
