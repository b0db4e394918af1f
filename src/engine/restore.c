/* Decides what is recomputed of a restored journal, and how the first record behind a restore comes into it: the only place
 * where a history may fork, and it says so. No engine runs; the calling thread blocks on the store. */
#include "parts.h"

#include <stdlib.h>
#include <string.h>

#include "carbond/base/merkle.h"

#define CURSORS_MOST 256

int64_t engine_batch_position(const struct store_batch *batch)
{
	struct event_header first;
	if (!batch->payload || batch->payload_size < sizeof first || batch->count == 0)
		return 0;
	memcpy(&first, batch->payload, sizeof first);
	return (int64_t)(first.number + batch->count - 1);
}

/* ---- replay from the first event ---- */

struct checking {
	struct rules *rules;
	struct event_scratch *scratch;
	struct merkle_edge tree;
	struct engine_replay *replay;
	uint64_t seq;
	struct err_info *info;
};

static enum err check_batch(void *context, const struct store_batch *batch)
{
	struct checking *checking = context;
	uint32_t count = 0;
	enum err err = ERR_OK;
	for (size_t at = 0, length = 0; at < batch->payload_size && !err; at += length, count++) {
		struct event event;
		err = event_decode(batch->payload + at, batch->payload_size - at, checking->scratch, &event, &length,
			checking->info);
		if (!err)
			err = rules_apply(checking->rules, &event, checking->info);
		if (err)
			break;
		merkle_add(&checking->tree, merkle_leaf(batch->payload + at, length));
		checking->replay->is_restored = event.header.type == EVENT_RESTORED;
	}
	if (!err && count != batch->count)
		err = err_set(checking->info, ERR_JOURNAL_INVALID, "", "journal batch %llu does not have its %u events",
			(unsigned long long)batch->seq, batch->count);
	checking->replay->batches++;
	checking->replay->head = batch->hash;
	return err;
}

static enum err replay_end(const struct checking *checking, struct engine_replay *replay, struct err_info *info)
{
	const struct rules *rules = checking->rules;
	replay->position = (int64_t)rules_position(rules);
	replay->time_us = rules_time_us(rules);
	replay->root = merkle_edge_root(&checking->tree);
	replay->issued_kg = rules_issued_kg(rules);
	for (int state = 0; state < KG_STATE_COUNT; state++)
		replay->state_kg[state] = rules_state_kg(rules, (enum kg_state)state);
	enum err err = rules_check(rules, info);
	return err ? err : rules_state_hash(rules, &replay->state, info);
}

enum err engine_replay_check(
	struct store *store, struct id registry, struct engine_replay *ret_replay, struct err_info *info)
{
	struct checking checking = {.rules = rules_new(registry, 1),
		.scratch = malloc(sizeof *checking.scratch),
		.replay = ret_replay,
		.info = info};
	*ret_replay = (struct engine_replay){0};
	enum err err = checking.rules && checking.scratch
			       ? store_log_read(store, STORE_VALUE, ENGINE_STREAM, 1, check_batch, &checking, info)
			       : err_set(info, ERR_NO_MEMORY, "", "no memory to replay the journal");
	if (!err)
		err = replay_end(&checking, ret_replay, info);
	rules_free(&checking.rules);
	free(checking.scratch);
	return err;
}

/* ---- the record ---- */

/* Consumers go on behind the cut, not behind what they once read. */
static enum err cursors_set_back(struct store *store, const struct cursor_row *to, struct arena *arena,
	struct store_change *changes, size_t *count, struct err_info *info)
{
	struct store_query query = {.collection = &cursors_collection, .most = CURSORS_MOST};
	struct cursor_row *rows = NULL;
	size_t found = 0;
	enum err err = store_find(store, &query, arena, (void **)&rows, &found, info);
	for (size_t i = 0; i < found && !err; i++) {
		if (rows[i].position <= to->position)
			continue;
		rows[i].position = to->position;
		rows[i].seq = to->seq;
		changes[(*count)++] =
			(struct store_change){.collection = &cursors_collection, .row = &rows[i], .verb = STORE_PUT};
	}
	return err;
}

static void fill_event(const struct engine_restore *restore, const struct engine_replay *replay, struct event *event)
{
	bool loses = restore->lost_position > replay->position;
	event->header.type = EVENT_RESTORED;
	event->header.number = (uint64_t)replay->position + 1;
	event->header.time_us = restore->now_us > replay->time_us ? restore->now_us : replay->time_us;
	event->restored.position = (uint64_t)replay->position;
	event->restored.lost_position = (uint64_t)(loses ? restore->lost_position : replay->position);
	if (loses) {
		event->restored.lost_seq = restore->lost_seq;
		event->restored.lost_head = restore->lost_head;
	}
	if (restore->reason)
		event->restored.reason_hash = restore->reason->hash;
}

static enum err append_event(struct store *store, const struct engine_restore *restore,
	const struct engine_replay *replay, struct event *event, struct err_info *info)
{
	struct store_change changes[CURSORS_MOST + 1];
	size_t change_count = 0, size = 0;
	uint8_t bytes[1024];
	struct store_batch head;
	struct arena *arena = arena_new(0);
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, "", "no memory to record the restore");
	enum err err = store_log_head(store, STORE_VALUE, ENGINE_STREAM, &head, info);
	struct cursor_row to = {.seq = (int64_t)head.seq, .position = replay->position};
	if (!err)
		err = cursors_set_back(store, &to, arena, changes, &change_count, info);
	if (!err && restore->reason)
		changes[change_count++] = (struct store_change){
			.collection = &vault_collection, .row = restore->reason, .verb = STORE_PUT};
	if (!err)
		err = event_encode(event, bytes, sizeof bytes, &size);
	struct store_batch batch = {.seq = head.seq + 1,
		.term = (restore->lost_term > head.term ? restore->lost_term : head.term) + 1,
		.count = 1,
		.written_at_us = event->header.time_us,
		.payload = bytes,
		.payload_size = size};
	memcpy(batch.stream, ENGINE_STREAM, sizeof ENGINE_STREAM);
	memcpy(batch.node, restore->node, strlen(restore->node) + 1);
	struct store_append append = {
		.class = STORE_VALUE, .batch = &batch, .changes = changes, .change_count = change_count};
	if (!err)
		err = store_log_append(store, &append, NULL, info);
	arena_free(&arena);
	return err;
}

enum err engine_record_restore(
	struct store *store, const struct engine_restore *restore, int64_t *ret_position, struct err_info *info)
{
	struct engine_replay replay;
	struct event event = {.header = {.number = 0}};
	if (strlen(restore->node) >= NODE_SIZE)
		return err_set(info, ERR_INVALID_CONFIG, "", "the node's name is too long");
	enum err err = engine_replay_check(store, restore->registry, &replay, info);
	*ret_position = replay.position;
	if (err || replay.is_restored)
		return err;
	fill_event(restore, &replay, &event);
	*ret_position = replay.position + 1;
	return append_event(store, restore, &replay, &event, info);
}
