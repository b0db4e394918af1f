/* Decides which snapshot is trusted at a start and when a new one is written. A snapshot is a log of its own, valid once its
 * last record, with count and state hash, is there, and only beside the journal that it was made from. The replayer thread
 * makes a second copy of the state when one is due, and drops it when that is written; then it reads what it wrote, and keeps
 * it if that is the same state again, so that a start need not make the state's hash anew. */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/log.h"
#include "carbond/base/sign.h"

#define SNAPSHOTS_KEPT 2
#define REPLAY_BATCHES 64 /* then the replayer looks whether it is to stop */
#define RETRY_US       CLOCK_US_PER_SECOND

static uint64_t random_seed(void)
{
	uint64_t seed;
	random_bytes(&seed, sizeof seed);
	return seed;
}

/* ---- reading ---- */

struct restore {
	struct rules *rules;
	struct event_state_end end;
	struct err_info *info;
};

static enum err restore_batch(void *context, const struct store_batch *batch)
{
	struct restore *restore = context;
	size_t at = 0;
	while (at < batch->payload_size) {
		uint32_t length = 0;
		if (batch->payload_size - at >= EVENT_HEADER_SIZE)
			memcpy(&length, batch->payload + at, sizeof length);
		if (length < EVENT_HEADER_SIZE || length > batch->payload_size - at || restore->end.journal_seq)
			return err_set(restore->info, ERR_JOURNAL_INVALID, "", "a record of the snapshot is cut");
		enum err err = rules_restore(restore->rules, batch->payload + at, length, &restore->end, restore->info);
		if (err)
			return err;
		at += length;
	}
	return ERR_OK;
}

static enum err batch_hash_take(void *context, const struct store_batch *batch)
{
	*(struct store_batch *)context = *batch;
	return ERR_BUSY;
}

/* True where the journal has this batch: a restored, older journal does not. */
static bool journal_has(struct store *store, uint32_t shard, const struct event_state_end *end)
{
	char stream[STORE_STREAM_SIZE];
	struct store_batch batch = {0};
	struct err_info info;
	journal_name(shard, stream);
	(void)!store_log_read(store, STORE_VALUE, stream, end->journal_seq, batch_hash_take, &batch, &info);
	return batch.seq == end->journal_seq && hash_equal(batch.hash, end->journal_hash);
}

/* Takes `rules`, new ones; NULL: there was no memory for them. */
static enum err snapshot_read(struct store *store, const char *stream, struct rules *rules, struct loaded *ret_loaded,
	struct hash *ret_hash, struct err_info *info)
{
	struct restore restore = {.rules = rules, .info = info};
	if (!restore.rules)
		return ERR_NO_MEMORY;
	enum err err = store_log_read(store, STORE_VIEWS, stream, 1, restore_batch, &restore, info);
	if (!err && (!restore.end.journal_seq || !journal_has(store, rules_shard(rules), &restore.end)))
		err = err_set(info, ERR_JOURNAL_INVALID, "", "the snapshot is incomplete or of another journal");
	if (err) {
		rules_free(&restore.rules);
		return err;
	}
	*ret_hash = restore.end.state_hash;
	*ret_loaded = (struct loaded){.rules = restore.rules,
		.seq = restore.end.journal_seq,
		.hash = restore.end.journal_hash,
		.snapshot_position = rules_position(restore.rules)};
	return ERR_OK;
}

static int names_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)b, *(const char *const *)a); /* newest first: positions have 20 digits */
}

static void prefix_of(uint32_t shard, char ret_prefix[STORE_STREAM_SIZE])
{
	snprintf(ret_prefix, STORE_STREAM_SIZE, "snapshot.%u.", shard);
}

/* Streams of a shard's snapshots, newest first, in the arena. */
static enum err snapshots_list(struct store *store, uint32_t shard, struct arena *arena, const char ***ret_names,
	size_t *ret_count, struct err_info *info)
{
	char prefix[STORE_STREAM_SIZE];
	prefix_of(shard, prefix);
	enum err err = store_log_streams(store, STORE_VIEWS, prefix, arena, ret_names, ret_count, info);
	if (!err && *ret_count > 1)
		qsort(*ret_names, *ret_count, sizeof **ret_names, names_compare);
	return err;
}

enum err snapshot_load(struct store *store, struct id registry, uint32_t shard, bool discards,
	struct loaded *ret_loaded, struct err_info *info)
{
	const char **names = NULL;
	size_t count = 0;
	struct arena *arena = arena_new(0);
	if (!arena)
		return ERR_NO_MEMORY;
	enum err err = snapshots_list(store, shard, arena, &names, &count, info);
	*ret_loaded = (struct loaded){0};
	for (size_t i = 0; i < count && !err && !ret_loaded->rules; i++) {
		struct err_info why = {0};
		struct hash hash;
		struct rules *rules = rules_new_shard(registry, shard, random_seed());
		if (snapshot_read(store, names[i], rules, ret_loaded, &hash, &why) == ERR_OK)
			break;
		log_failure("snapshot_not_used", &why, "snapshot", names[i], NULL);
		if (discards)
			err = store_log_delete(store, names[i], info);
	}
	arena_free(&arena);
	if (!err && !ret_loaded->rules)
		ret_loaded->rules = rules_new_shard(registry, shard, random_seed());
	return err ? err : ret_loaded->rules ? ERR_OK : ERR_NO_MEMORY;
}

/* ---- writing ---- */

struct snapshot_writer {
	struct store *store;
	struct store_batch batch;
	uint8_t *bytes;
	size_t size, capacity;
	struct err_info *info;
};

static enum err writer_flush(struct snapshot_writer *writer)
{
	if (writer->size == 0)
		return ERR_OK;
	writer->batch.seq++;
	writer->batch.payload = writer->bytes;
	writer->batch.payload_size = writer->size;
	struct store_append append = {.class = STORE_VIEWS, .batch = &writer->batch};
	enum err err = store_log_append(writer->store, &append, NULL, writer->info);
	writer->size = 0;
	writer->batch.count = 0;
	return err;
}

static enum err writer_put(void *context, const uint8_t *record, size_t size)
{
	struct snapshot_writer *writer = context;
	enum err err = ERR_OK;
	if (writer->size && writer->size + size > LIMIT_ENGINE_BATCH_BYTES)
		err = writer_flush(writer);
	if (size > writer->capacity) {
		uint8_t *grown = realloc(writer->bytes, size);
		if (!grown)
			return ERR_NO_MEMORY;
		writer->bytes = grown;
		writer->capacity = size;
	}
	if (err)
		return err;
	memcpy(writer->bytes + writer->size, record, size);
	writer->size += size;
	writer->batch.count++;
	return ERR_OK;
}

static enum err snapshots_prune(struct store *store, uint32_t shard, struct err_info *info)
{
	const char **names = NULL;
	size_t count = 0;
	struct arena *arena = arena_new(0);
	if (!arena)
		return ERR_NO_MEMORY;
	enum err err = snapshots_list(store, shard, arena, &names, &count, info);
	for (size_t i = SNAPSHOTS_KEPT; i < count && !err; i++)
		err = store_log_delete(store, names[i], info);
	arena_free(&arena);
	return err;
}

static void name_of(uint32_t shard, uint64_t position, char ret_name[STORE_STREAM_SIZE])
{
	snprintf(ret_name, STORE_STREAM_SIZE, "snapshot.%u.%020llu", shard, (unsigned long long)position);
}

enum err snapshot_write(struct store *store, const char *node, const struct loaded *loaded, struct err_info *info)
{
	struct snapshot_writer writer = {.store = store, .capacity = LIMIT_ENGINE_BATCH_BYTES, .info = info};
	name_of(rules_shard(loaded->rules), rules_position(loaded->rules), writer.batch.stream);
	snprintf(writer.batch.node, sizeof writer.batch.node, "%s", node);
	writer.batch.term = 1;
	writer.batch.written_at_us = clock_wall_us();
	writer.bytes = malloc(writer.capacity);
	/* what an interrupted attempt at the same position left behind */
	enum err err = writer.bytes ? store_log_delete(store, writer.batch.stream, info) : ERR_NO_MEMORY;
	if (err == ERR_NOT_FOUND)
		err = ERR_OK;
	if (!err)
		err = rules_snapshot(loaded->rules, loaded->seq, loaded->hash, writer_put, &writer, NULL, info);
	if (!err)
		err = writer_flush(&writer);
	free(writer.bytes);
	return err ? err : snapshots_prune(store, rules_shard(loaded->rules), info);
}

/* Whether what was written leads to the state whose hash it bears; else it is deleted. */
static enum err snapshot_prove(const struct engine *engine, uint64_t position, struct err_info *info)
{
	struct store *store = engine->store;
	char stream[STORE_STREAM_SIZE];
	struct loaded again = {0};
	struct hash said, found;
	struct err_info ignored;
	name_of(engine->shard, position, stream);
	enum err err = snapshot_read(
		store, stream, rules_new_shard(engine->registry, engine->shard, random_seed()), &again, &said, info);
	if (!err)
		err = rules_state_hash(again.rules, &found, info);
	if (!err && !hash_equal(found, said))
		err = err_set(info, ERR_JOURNAL_INVALID, "", "the snapshot leads to a state with another hash");
	rules_free(&again.rules);
	if (err == ERR_JOURNAL_INVALID)
		(void)!store_log_delete(store, stream, &ignored);
	return err;
}

/* ---- the replayer ---- */

/* Brings a copy of the state up to the engine's position and writes it: from the newest snapshot and the journal behind it. */
static enum err snapshot_make(struct engine *engine, struct err_info *info)
{
	struct loaded loaded = {0};
	enum err err = snapshot_load(engine->store, engine->registry, engine->shard, false, &loaded, info);
	while (!err && !atomic_load(&engine->stopping) &&
		(int64_t)rules_position(loaded.rules) < atomic_load(&engine->position))
		err = journal_replay(engine->store, &loaded, REPLAY_BATCHES, info);
	if (!err && !atomic_load(&engine->stopping)) {
		uint64_t position = rules_position(loaded.rules);
		err = snapshot_write(engine->store, engine->node, &loaded, info);
		rules_free(&loaded.rules);
		if (!err)
			err = snapshot_prove(engine, position, info);
		if (!err) {
			engine->snapshot_position = (int64_t)position;
			metric_add(METRIC_ENGINE_SNAPSHOTS, 1);
			if (!engine->shard)
				metric_set(METRIC_ENGINE_SNAPSHOT_POSITION, engine->snapshot_position);
		}
	}
	rules_free(&loaded.rules);
	return err;
}

static int64_t due_position(const struct engine *engine)
{
	return engine->snapshot_position + engine->snapshot_events;
}

enum err replayer_turn(struct engine *engine, struct err_info *info)
{
	bool due = !atomic_load(&engine->stopping) && atomic_load(&engine->position) >= due_position(engine);
	return due ? snapshot_make(engine, info) : ERR_OK;
}

void replayer_run(void *argument)
{
	struct engine *engine = argument;
	while (!atomic_load(&engine->stopping)) {
		struct err_info info = {0};
		engine_wait_above(engine, due_position(engine) - 1, INT64_MAX, &engine->stopping);
		if (!lead_taken(engine)) { /* the leader writes them */
			engine_wait_above(engine, INT64_MAX, clock_monotonic_us() + RETRY_US, &engine->stopping);
			continue;
		}
		enum err err = replayer_turn(engine, &info);
		if (err) { /* the engine itself answers for the journal; the next copy starts anew */
			info.code = err;
			log_failure("replayer_failed", &info, NULL);
			engine_wait_above(engine, INT64_MAX, clock_monotonic_us() + RETRY_US, &engine->stopping);
		}
	}
}
