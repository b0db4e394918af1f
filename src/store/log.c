/* Decides what a log's hashes cover and whether a chain of batches holds. The calling thread, and for long reads one more. */
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/runtime.h"
#include "store_private.h"

#define READ_BATCHES 256        /* batches taken at once, so that no connection is held while the caller works */
#define READ_BYTES   (4u << 20) /* payload taken at once */

struct hash store_payload_hash(const void *payload, size_t size)
{
	return sha256_of("carbond/payload/1", payload, size);
}

static void add_text(struct sha256 *state, const char *text)
{
	size_t size = strlen(text);
	sha256_add_u64(state, size);
	sha256_add(state, text, size);
}

struct hash store_header_hash(const struct store_batch *batch)
{
	struct sha256 state;
	sha256_start(&state, "carbond/batch/1");
	add_text(&state, batch->stream);
	sha256_add_u64(&state, batch->seq);
	sha256_add_u64(&state, batch->term);
	sha256_add_u64(&state, batch->count);
	sha256_add(&state, batch->prev_hash.bytes, sizeof batch->prev_hash.bytes);
	sha256_add(&state, batch->payload_hash.bytes, sizeof batch->payload_hash.bytes);
	sha256_add_u64(&state, (uint64_t)batch->written_at_us);
	add_text(&state, batch->node);
	return sha256_end(&state);
}

void store_batch_close(struct store_batch *batch, struct hash prev_hash)
{
	batch->prev_hash = prev_hash;
	batch->hash = store_header_hash(batch);
}

const char *store_batch_fault(const struct store_batch *batch, uint64_t seq, const struct hash *prev)
{
	if (batch->seq != seq)
		return "is missing";
	if (prev && !hash_equal(batch->prev_hash, *prev))
		return "does not follow the batch before it";
	if (!hash_equal(store_header_hash(batch), batch->hash))
		return "has an altered header";
	if (batch->payload && !hash_equal(store_payload_hash(batch->payload, batch->payload_size), batch->payload_hash))
		return "has an altered payload";
	return NULL;
}

static bool ends_within(const char *text, size_t size)
{
	return memchr(text, 0, size) != NULL;
}

static enum err check_batch(const struct store_batch *batch, struct err_info *info)
{
	if (!ends_within(batch->stream, sizeof batch->stream) || batch->stream[0] == 0 ||
		!ends_within(batch->node, sizeof batch->node))
		return err_set(info, ERR_INTERNAL, NULL, "a batch without a stream or node name");
	if (!batch->payload && batch->payload_size > 0)
		return err_set(info, ERR_INTERNAL, NULL, "a batch without its payload");
	if (batch->payload_size > STORE_BATCH_BYTES_MAX)
		return err_set(info, ERR_TOO_LARGE, NULL, "a batch of %zu bytes; at most %u are allowed",
			batch->payload_size, STORE_BATCH_BYTES_MAX);
	if (batch->seq > INT64_MAX || batch->term > INT64_MAX)
		return err_set(info, ERR_INTERNAL, NULL, "a position beyond 2^63");
	return ERR_OK;
}

static enum err check_guards(const struct store_append *append, struct err_info *info)
{
	if (append->guard_count > STORE_GUARDS_MAX)
		return err_set(info, ERR_TOO_LARGE, NULL, "%zu guard keys in one batch; at most %d are allowed",
			append->guard_count, STORE_GUARDS_MAX);
	for (size_t i = 0; i < append->guard_count; i++)
		if (append->guards[i].size < 1 || append->guards[i].size > STORE_GUARD_BYTES_MAX)
			return err_set(info, ERR_INTERNAL, NULL, "a guard key of %zu bytes; 1..%d are allowed",
				append->guards[i].size, STORE_GUARD_BYTES_MAX);
	return ERR_OK;
}

enum err store_log_append(
	struct store *store, const struct store_append *append, size_t *ret_refused, struct err_info *info)
{
	struct store_batch *batch = append->batch;
	enum err err = check_batch(batch, info);
	if (!err)
		err = check_guards(append, info);
	if (err)
		return err;
	batch->payload_hash =
		store_payload_hash(batch->payload ? batch->payload : (const uint8_t *)"", batch->payload_size);
	struct store_job job = {
		.class = append->class, .batch = batch, .guards = append->guards, .guard_count = append->guard_count};
	return store_run_changes(store, &job, append->changes, append->change_count, ret_refused, info);
}

enum err store_log_head(struct store *store, enum store_class class, const char *stream, struct store_batch *ret_head,
	struct err_info *info)
{
	return store->engine->log_head(store->back, class, stream, ret_head, info);
}

/* ---- reading: in parts; while the caller works on one part of a long read, the next is read and checked on another thread ---- */

struct part {
	struct store_batch batches[READ_BATCHES];
	size_t count;
	struct arena *arena;
	enum err err; /* behind the last of them */
	struct err_info info;
	bool is_long; /* there is more, as far as one can tell */
};

struct reading {
	struct store *store;
	enum store_class class;
	const char *stream;
	struct part parts[2];

	/* of the thread that reads */
	bool have_prev; /* the hash of the batch before is known */
	struct hash prev;
	uint64_t seq; /* expected next */

	struct thread *thread; /* NULL: the caller reads by itself */
	sem_t asked, done;
	struct part *wanted; /* NULL: nothing more */
};

static enum err check_link(struct reading *reading, const struct store_batch *batch, struct err_info *info)
{
	const char *fault = store_batch_fault(batch, reading->seq, reading->have_prev ? &reading->prev : NULL);
	if (fault)
		return err_set(info, ERR_STORE_CORRUPT, NULL, "log %s: batch %llu %s", batch->stream,
			(unsigned long long)reading->seq, fault);
	reading->prev = batch->hash;
	reading->have_prev = true;
	reading->seq++;
	return ERR_OK;
}

/* The hash that the first batch read must follow. */
static enum err start_link(struct reading *reading, struct err_info *info)
{
	struct part *part = &reading->parts[0];
	reading->have_prev = reading->seq == 1;
	if (reading->seq == 1)
		return ERR_OK;
	enum err err = reading->store->engine->log_some(reading->store->back, reading->class, reading->stream,
		reading->seq - 1, 1, 0, part->arena, part->batches, &part->count, info);
	if (!err && part->count == 1 && part->batches[0].seq == reading->seq - 1) {
		reading->prev = part->batches[0].hash;
		reading->have_prev = true;
	}
	return err;
}

static void part_read(struct reading *reading, struct part *part)
{
	size_t found = 0, bytes = 0;
	arena_reset(part->arena);
	part->count = 0;
	part->err = reading->store->engine->log_some(reading->store->back, reading->class, reading->stream,
		reading->seq, READ_BATCHES, READ_BYTES, part->arena, part->batches, &found, &part->info);
	while (!part->err && part->count < found) {
		bytes += part->batches[part->count].payload_size;
		part->err = check_link(reading, &part->batches[part->count], &part->info);
		if (!part->err)
			part->count++;
	}
	part->is_long = !part->err && (found == READ_BATCHES || bytes >= READ_BYTES);
}

static void read_ahead(void *argument)
{
	struct reading *reading = argument;
	for (;;) {
		while (sem_wait(&reading->asked) != 0)
			continue; /* EINTR alone */
		if (!reading->wanted)
			return;
		part_read(reading, reading->wanted);
		sem_post(&reading->done);
	}
}

/* Begins to read a part, on the other thread where it can be had. */
static void part_ask(struct reading *reading, struct part *part)
{
	reading->wanted = part;
	if (!reading->thread && thread_start("store-ahead", read_ahead, reading, &reading->thread) != ERR_OK)
		part_read(reading, part);
	else
		sem_post(&reading->asked);
}

static void part_await(struct reading *reading)
{
	while (reading->thread && sem_wait(&reading->done) != 0)
		continue; /* EINTR alone */
}

static struct reading *reading_new(struct store *store, enum store_class class, const char *stream, uint64_t from_seq)
{
	struct reading *reading = calloc(1, sizeof *reading);
	if (!reading)
		return NULL;
	reading->store = store;
	reading->class = class;
	reading->stream = stream;
	reading->seq = from_seq ? from_seq : 1;
	sem_init(&reading->asked, 0, 0);
	sem_init(&reading->done, 0, 0);
	for (size_t i = 0; i < 2; i++)
		reading->parts[i].arena = arena_new(4 * (size_t)STORE_BATCH_BYTES_MAX);
	return reading;
}

static void reading_free(struct reading *reading)
{
	reading->wanted = NULL;
	if (reading->thread)
		sem_post(&reading->asked);
	thread_join(&reading->thread);
	for (size_t i = 0; i < 2; i++)
		arena_free(&reading->parts[i].arena);
	sem_destroy(&reading->asked);
	sem_destroy(&reading->done);
	free(reading);
}

static enum err part_hand_over(const struct part *part,
	enum err (*each)(void *context, const struct store_batch *batch), void *context, struct err_info *info)
{
	for (size_t i = 0; i < part->count; i++) {
		enum err err = each(context, &part->batches[i]);
		if (err)
			return err;
	}
	if (part->err && info)
		*info = part->info;
	return part->err;
}

enum err store_log_read(struct store *store, enum store_class class, const char *stream, uint64_t from_seq,
	enum err (*each)(void *context, const struct store_batch *batch), void *context, struct err_info *info)
{
	struct reading *reading = reading_new(store, class, stream, from_seq);
	if (!reading)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to read a log");
	enum err err = ERR_OK;
	if (!reading->parts[0].arena || !reading->parts[1].arena)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory to read a log");
	if (!err)
		err = start_link(reading, info);
	if (!err)
		part_read(reading, &reading->parts[0]);
	for (size_t at = 0; !err; at = 1 - at) {
		struct part *part = &reading->parts[at], *next = &reading->parts[1 - at];
		bool ahead = part->is_long, more = part->count > 0;
		if (ahead)
			part_ask(reading, next);
		err = part_hand_over(part, each, context, info);
		if (ahead)
			part_await(reading);
		if (err || !more)
			break;
		if (!ahead)
			part_read(reading, next);
	}
	reading_free(reading);
	return err;
}

enum err store_log_streams(struct store *store, enum store_class class, const char *prefix, struct arena *arena,
	const char ***ret_names, size_t *ret_count, struct err_info *info)
{
	return store->engine->log_streams(store->back, class, prefix, arena, ret_names, ret_count, info);
}

enum err store_log_prune(
	struct store *store, enum store_class class, const char *stream, uint64_t seq, struct err_info *info)
{
	return store->engine->log_prune(store->back, class, stream, seq, info);
}

enum err store_log_delete(struct store *store, const char *stream, struct err_info *info)
{
	return store->engine->log_delete(store->back, STORE_VIEWS, stream, info);
}
