/* Decides what a log's hashes cover and whether a chain of batches holds. The calling thread. */
#include <string.h>

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

/* ---- reading ---- */

struct reading {
	struct store_batch batches[READ_BATCHES];
	size_t count;
	struct arena *arena;
	bool have_prev; /* the hash of the batch before is known */
	struct hash prev;
	uint64_t seq; /* expected next */
};

static enum err check_link(struct reading *reading, const struct store_batch *batch, struct err_info *info)
{
	const char *fault = NULL;
	if (batch->seq != reading->seq)
		fault = "is missing";
	else if (reading->have_prev && !hash_equal(batch->prev_hash, reading->prev))
		fault = "does not follow the batch before it";
	else if (!hash_equal(store_header_hash(batch), batch->hash))
		fault = "has an altered header";
	else if (batch->payload &&
		 !hash_equal(store_payload_hash(batch->payload, batch->payload_size), batch->payload_hash))
		fault = "has an altered payload";
	if (fault)
		return err_set(info, ERR_STORE_CORRUPT, NULL, "log %s: batch %llu %s", batch->stream,
			(unsigned long long)reading->seq, fault);
	reading->prev = batch->hash;
	reading->have_prev = true;
	reading->seq++;
	return ERR_OK;
}

/* The hash that the first batch read must follow. */
static enum err start_link(
	struct store *store, enum store_class class, const char *stream, struct reading *reading, struct err_info *info)
{
	reading->have_prev = reading->seq == 1;
	if (reading->seq == 1)
		return ERR_OK;
	enum err err = store->engine->log_some(store->back, class, stream, reading->seq - 1, 1, 0, reading->arena,
		reading->batches, &reading->count, info);
	if (!err && reading->count == 1 && reading->batches[0].seq == reading->seq - 1) {
		reading->prev = reading->batches[0].hash;
		reading->have_prev = true;
	}
	arena_reset(reading->arena);
	return err;
}

enum err store_log_read(struct store *store, enum store_class class, const char *stream, uint64_t from_seq,
	enum err (*each)(void *context, const struct store_batch *batch), void *context, struct err_info *info)
{
	struct reading *reading = calloc(1, sizeof *reading);
	enum err err = ERR_NO_MEMORY;
	if (!reading)
		return err_set(info, err, NULL, "no memory to read a log");
	reading->seq = from_seq ? from_seq : 1;
	reading->arena = arena_new(4 * (size_t)STORE_BATCH_BYTES_MAX);
	if (!reading->arena) {
		err_set(info, err, NULL, "no memory to read a log");
		goto out;
	}
	err = start_link(store, class, stream, reading, info);
	while (!err) {
		arena_reset(reading->arena);
		err = store->engine->log_some(store->back, class, stream, reading->seq, READ_BATCHES, READ_BYTES,
			reading->arena, reading->batches, &reading->count, info);
		if (err || reading->count == 0)
			break;
		for (size_t i = 0; i < reading->count && !err; i++) {
			err = check_link(reading, &reading->batches[i], info);
			if (!err)
				err = each(context, &reading->batches[i]);
		}
	}
out:
	arena_free(&reading->arena);
	free(reading);
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
