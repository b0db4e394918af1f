/* Decides how a store is filled from elsewhere, by a restore or a move: batches and rows are gathered and written many at a time, into
 * a store that held nothing, which is marked until it holds all. The calling thread. */
#include <string.h>

#include "backup_parts.h"

#define JOBS_BYTES  ((size_t)8 << 20)
#define ARENA_BYTES ((size_t)256 << 20)

static enum err no_memory(struct err_info *info)
{
	return err_set(info, ERR_NO_MEMORY, NULL, "no memory to fill the store");
}

/* ---- gathering ---- */

enum err gather_begin(struct gathered *gathered, struct store *store, struct err_info *info)
{
	*gathered = (struct gathered){.store = store, .arena = arena_new(ARENA_BYTES)};
	return gathered->arena ? ERR_OK : no_memory(info);
}

void gather_free(struct gathered *gathered)
{
	arena_free(&gathered->arena);
}

enum err gather_flush(struct gathered *gathered, struct err_info *info)
{
	struct store *store = gathered->store;
	if (gathered->count == 0)
		return ERR_OK;
	enum err err = store->engine->write_many(store->back, gathered->class, gathered->jobs, gathered->count, info);
	gathered->count = gathered->bytes = 0;
	arena_reset(gathered->arena);
	return err;
}

static enum err add_job(struct gathered *gathered, const struct store_job *job, size_t bytes, struct err_info *info)
{
	gathered->jobs[gathered->count++] = *job;
	gathered->bytes += bytes;
	return gathered->count == GATHER_JOBS || gathered->bytes >= JOBS_BYTES ? gather_flush(gathered, info) : ERR_OK;
}

enum err gather_batch(struct gathered *gathered, const struct store_batch *batch, const struct store_guard *guards,
	size_t guard_count, struct err_info *info)
{
	struct arena *arena = gathered->arena;
	struct store_batch *kept = ARENA_NEW(arena, struct store_batch);
	struct store_guard *keys = ARENA_ARRAY(arena, struct store_guard, guard_count + 1);
	size_t bytes = sizeof *kept + batch->payload_size;
	if (!kept || !keys)
		return no_memory(info);
	*kept = *batch;
	if (batch->payload) {
		kept->payload = (const uint8_t *)arena_copy(
			arena, batch->payload_size ? batch->payload : (const uint8_t *)"", batch->payload_size);
		if (!kept->payload)
			return no_memory(info);
	}
	for (size_t i = 0; i < guard_count; i++) {
		keys[i] = guards[i];
		keys[i].key = arena_copy(arena, guards[i].key, guards[i].size);
		bytes += guards[i].size;
		if (!keys[i].key)
			return no_memory(info);
	}
	struct store_job job = {.class = gathered->class,
		.batch = kept,
		.guards = keys,
		.guard_count = guard_count,
		.pruned = !batch->payload};
	return add_job(gathered, &job, bytes, info);
}

enum err gather_row(struct gathered *gathered, const struct store_table *table, const struct store_value *values,
	struct err_info *info)
{
	struct store_row_change *change = ARENA_NEW(gathered->arena, struct store_row_change);
	struct store_value *kept = ARENA_ARRAY(gathered->arena, struct store_value, table->column_count);
	size_t bytes = table->column_count * sizeof *kept;
	if (!change || !kept)
		return no_memory(info);
	for (size_t i = 0; i < table->column_count; i++) {
		kept[i] = values[i];
		if (kept[i].kind != VALUE_TEXT && kept[i].kind != VALUE_BLOB)
			continue;
		kept[i].data = arena_copy(gathered->arena, kept[i].size ? kept[i].data : "", kept[i].size);
		bytes += kept[i].size;
		if (!kept[i].data)
			return no_memory(info);
	}
	*change =
		(struct store_row_change){.table = table, .values = kept, .verb = STORE_PUT, .condition = STORE_ALWAYS};
	struct store_job job = {.class = gathered->class, .changes = change, .change_count = 1};
	return add_job(gathered, &job, bytes, info);
}

/* ---- the place ---- */

enum err gather_open(const struct store_options *place, struct store **ret_store, struct err_info *info)
{
	static const struct seal_key none; /* nothing is opened or sealed: values are put as they are */
	struct store_options at = *place;
	if (at.seal_key_count == 0) {
		at.seal_keys = &none;
		at.seal_key_count = 1;
	}
	return store_open_any(&at, ret_store, info);
}

static enum err found_row(void *context, const struct store_value *values, struct err_info *info)
{
	(void)values;
	(void)info;
	*(bool *)context = true;
	return ERR_OK;
}

enum err gather_is_empty(struct store *store, bool *ret_empty, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	enum err err = arena ? ERR_OK : no_memory(info);
	bool found = false;
	for (int class = 0; class < STORE_CLASS_COUNT && !err && !found; class ++) {
		const char **names = NULL;
		size_t count = 0;
		err = store_log_streams(store, (enum store_class) class, "", arena, &names, &count, info);
		found = count > 0;
	}
	for (size_t i = 0; i < store->tables.count && !err && !found; i++) {
		const struct store_table *table = &store->tables.items[i];
		struct store_scan scan = {.table = table, .order = &table->orders[0], .most = 1};
		err = store->engine->scan(store->back, &scan, found_row, &found, info);
	}
	arena_free(&arena);
	*ret_empty = !found;
	return err;
}

/* ---- the mark ---- */

#define MARK_BYTES (sizeof(struct hash) + sizeof(uint64_t))

static void mark_write(const struct mark *mark, uint8_t ret_bytes[MARK_BYTES])
{
	memcpy(ret_bytes, &mark->sum, sizeof mark->sum);
	memcpy(ret_bytes + sizeof mark->sum, &mark->kept_seq, sizeof mark->kept_seq);
}

struct compared {
	const struct mark *mark;
	bool same;
};

static enum err compare_mark(void *context, const struct store_batch *batch)
{
	struct compared *compared = context;
	uint8_t said[MARK_BYTES];
	mark_write(compared->mark, said);
	compared->same =
		batch->seq == 1 && batch->payload_size == sizeof said && memcmp(batch->payload, said, sizeof said) == 0;
	return ERR_BUSY;
}

enum err mark_read(struct store *store, const struct mark *mark, enum mark_state *ret_state, struct err_info *info)
{
	struct compared compared = {.mark = mark};
	struct store_batch head;
	struct err_info ignored;
	*ret_state = MARK_NONE;
	enum err err = store_log_head(store, STORE_VALUE, STORE_RESTORE_STREAM, &head, info);
	if (err || head.seq == 0)
		return err;
	(void)!store_log_read(store, STORE_VALUE, STORE_RESTORE_STREAM, 1, compare_mark, &compared, &ignored);
	if (head.seq == 1)
		*ret_state = compared.same ? MARK_OURS : MARK_OTHERS;
	else
		*ret_state = compared.same && head.seq == 2 ? MARK_OURS_ENDED : MARK_NONE;
	return ERR_OK;
}

static enum err append_mark(struct store *store, uint64_t seq, const void *payload, size_t size, struct err_info *info)
{
	struct store_batch batch = {.stream = STORE_RESTORE_STREAM,
		.seq = seq,
		.term = 1,
		.count = 1,
		.node = "restore",
		.payload = payload,
		.payload_size = size};
	struct store_append append = {.class = STORE_VALUE, .batch = &batch};
	return store_log_append(store, &append, NULL, info);
}

enum err mark_begin(struct store *store, const struct mark *mark, struct err_info *info)
{
	uint8_t payload[MARK_BYTES];
	mark_write(mark, payload);
	return append_mark(store, 1, payload, sizeof payload, info);
}

enum err mark_end(struct store *store, struct err_info *info)
{
	return append_mark(store, 2, "finished", 8, info);
}
