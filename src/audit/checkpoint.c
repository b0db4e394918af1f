/* Decides what a checkpoint says, and when none is signed: where a log no longer leads to what was signed before. Signing on
 * thread `audit-tree`; reading on any.
 *
 * Canonical JSON {"key", "node", "signature", "streams": [{"root", "seq", "stream", "tree_size"} …], "time_us"}, streams sorted
 * by name, key and signature in hex; signed ("carbond/checkpoint/1") is the canonical document without `signature`. */
#include <string.h>

#include "audit_private.h"
#include "carbond/base/clock.h"
#include "carbond/events.h"

static enum err no_memory(struct err_info *info)
{
	return err_set(info, ERR_NO_MEMORY, NULL, "no memory for a checkpoint");
}

enum err audit_checkpoint_newest(
	struct audit *audit, struct arena *arena, struct audit_checkpoint_row *ret_row, struct err_info *info)
{
	struct store_query query = {.collection = &audit_checkpoints_collection, .descending = true, .most = 1};
	void *rows = NULL;
	size_t count = 0;
	enum err err = store_find(audit->store, &query, arena, &rows, &count, info);
	if (!err && count == 0)
		err = err_set(info, ERR_NOT_FOUND, NULL, "no checkpoint has been signed yet");
	if (!err)
		*ret_row = *(struct audit_checkpoint_row *)rows;
	return err;
}

/* ---- what was signed before still holds ---- */

struct fork_search {
	uint64_t size;   /* leaves of the checkpoint */
	int64_t time_us; /* when it was signed */
	bool declared;
	struct err_info info;
};

static enum err look_for_fork(void *context, const void *data, size_t size, struct err_info *info)
{
	struct fork_search *search = context;
	struct event_header header;
	struct event event;
	size_t length = 0;
	memcpy(&header, data, sizeof header); /* audit_split hands over no less */
	if (header.type != EVENT_RESTORED)
		return ERR_OK;
	enum err err = event_decode(data, size, NULL, &event, &length, info);
	if (err)
		return err;
	const struct event_restored *said = &event.restored;
	bool reaches = said->position < search->size && event.header.time_us >= search->time_us;
	bool known = said->lost_position > said->position;
	search->declared = search->declared || (reaches && (!known || search->size <= said->lost_position));
	return ERR_OK;
}

static enum err search_batch(void *context, const struct store_batch *batch)
{
	struct fork_search *search = context;
	return audit_split(batch, look_for_fork, search, &search->info);
}

/* The one fork that is accepted: the journal says itself, in `restored`, that what the checkpoint saw behind that place is
 * lost. What lies before that place must still be there; the checkpoints that reach no further are checked for it. */
static bool fork_is_declared(struct audit *audit, const char *stream, uint64_t size, int64_t time_us)
{
	struct fork_search search = {.size = size, .time_us = time_us};
	if (strncmp(stream, "journal.", 8) != 0)
		return false;
	enum err err = store_log_read(audit->store, STORE_VALUE, stream, 1, search_batch, &search, &search.info);
	return !err && search.declared;
}

/* `*ret_forked` is set where the checkpoint is behind a declared fork and so says nothing more. */
static enum err check_stream(
	struct audit *audit, const json_t *stream, int64_t time_us, bool *ret_forked, struct err_info *info)
{
	const char *name = json_string_value(json_object_get(stream, "stream"));
	const char *text = json_string_value(json_object_get(stream, "root"));
	uint64_t size = (uint64_t)json_integer_value(json_object_get(stream, "tree_size"));
	struct hash signed_root, root;
	if (!name || !text || hash_parse(text, &signed_root) != ERR_OK)
		return err_set(info, ERR_STORE_CORRUPT, NULL, "the last checkpoint is not one");
	enum err err = audit_root_at(audit, name, size, &root, info);
	bool differs = err == ERR_NOT_FOUND || (!err && !hash_equal(root, signed_root));
	if (differs && fork_is_declared(audit, name, size, time_us)) {
		*ret_forked = true;
		return ERR_OK;
	}
	if (differs)
		return err_set(info, ERR_STORE_CORRUPT, NULL,
			"log %s no longer leads to the %llu leaves of the last checkpoint", name,
			(unsigned long long)size);
	return err;
}

static enum err check_one(struct audit *audit, const struct audit_checkpoint_row *row, struct arena *arena,
	bool *ret_forked, struct err_info *info)
{
	json_t *document = NULL;
	size_t index;
	json_t *stream;
	enum err err = document_parse(arena, row->text, strlen(row->text), &document, info);
	json_array_foreach(json_object_get(document, "streams"), index, stream)
	{
		if (!err)
			err = check_stream(audit, stream, row->time_us, ret_forked, info);
	}
	return err;
}

/* The newest checkpoint; and where a restore lies between, those before it, back to one that nothing was cut from. */
static enum err check_last(struct audit *audit, struct arena *arena, struct err_info *info)
{
	struct audit_checkpoint_row last;
	struct store_query query = {.collection = &audit_checkpoints_collection, .descending = true, .most = 1};
	enum err err = ERR_OK;
	for (bool forked = true; forked && !err;) {
		void *rows = NULL;
		size_t count = 0;
		forked = false;
		err = store_find(audit->store, &query, arena, &rows, &count, info);
		if (err || count == 0)
			break;
		last = *(struct audit_checkpoint_row *)rows;
		query.after = &last;
		err = check_one(audit, &last, arena, &forked, info);
	}
	return err;
}

/* ---- the document ---- */

static json_t *streams_json(const struct audit *audit)
{
	json_t *list = json_array();
	for (size_t i = 0; audit_tree_at(audit, i); i++) {
		struct audit_tree_state state = audit_tree_state(audit_tree_at(audit, i));
		char root[HASH_TEXT_SIZE];
		json_t *item = json_pack("{s:s, s:I, s:I, s:s}", "stream", state.stream, "seq", (json_int_t)state.seq,
			"tree_size", (json_int_t)state.size, "root", hash_text(state.root, root));
		if (json_array_append_new(list, item) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static enum err sign(struct audit *audit, struct arena *arena, json_t *document, char **ret_text, struct err_info *info)
{
	struct signature signature;
	char hex[2 * sizeof signature.bytes + 1];
	size_t size = 0;
	enum err err = document_canonical(arena, document, ret_text, &size);
	if (err)
		return err_set(info, err, NULL, "a checkpoint has no canonical form");
	err = signer_sign(
		audit->signer, SIGNER_CHECKPOINT, SIGNER_CHECKPOINT_DOMAIN, *ret_text, size, &signature, info);
	if (err)
		return err;
	hex_text(signature.bytes, sizeof signature.bytes, hex);
	if (json_object_set_new(document, "signature", json_string(hex)) ||
		document_canonical(arena, document, ret_text, &size))
		return no_memory(info);
	return ERR_OK;
}

static enum err make_checkpoint(struct audit *audit, int64_t now_us, struct arena *arena, struct err_info *info)
{
	char key[2 * sizeof audit->key.bytes + 1], *text = NULL;
	hex_text(audit->key.bytes, sizeof audit->key.bytes, key);
	json_t *document = document_own(arena, json_pack("{s:s, s:I, s:o, s:s}", "node", audit->node, "time_us",
						       (json_int_t)now_us, "streams", streams_json(audit), "key", key));
	if (!document)
		return no_memory(info);
	enum err err = sign(audit, arena, document, &text, info);
	if (err)
		return err;
	struct audit_checkpoint_row row = {.time_us = now_us, .node = audit->node, .text = text};
	struct store_change change = {.collection = &audit_checkpoints_collection, .row = &row, .verb = STORE_PUT};
	return store_write(audit->store, &change, 1, NULL, info);
}

enum err audit_sign_checkpoint(struct audit *audit, int64_t now_us, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	if (!arena)
		return no_memory(info);
	enum err err = audit_fold(audit, "", info);
	if (!err)
		err = check_last(audit, arena, info);
	if (!err)
		err = make_checkpoint(audit, now_us, arena, info);
	if (!err) {
		audit->last_checkpoint_us = now_us;
		metric_add(METRIC_AUDIT_CHECKPOINTS, 1);
		metric_set(METRIC_AUDIT_CHECKPOINT_TIME, now_us / CLOCK_US_PER_SECOND);
	}
	arena_free(&arena);
	return err;
}

/* ---- for the other threads ---- */

int64_t audit_checkpoint_reach(const json_t *checkpoint, const char *stream)
{
	size_t index;
	json_t *item;
	json_array_foreach(json_object_get(checkpoint, "streams"), index, item)
	{
		const char *name = json_string_value(json_object_get(item, "stream"));
		if (name && strcmp(name, stream) == 0)
			return json_integer_value(json_object_get(item, "tree_size"));
	}
	return -1;
}

enum err audit_checkpoint_text(struct audit *audit, const char *stream, uint64_t tree_size, struct arena *arena,
	char **ret_text, struct err_info *info)
{
	struct audit_checkpoint_row newest;
	json_t *document = NULL;
	enum err err = audit_checkpoint_newest(audit, arena, &newest, info);
	if (!err)
		err = document_parse(arena, newest.text, strlen(newest.text), &document, info);
	/* trees only grow: what the newest does not reach, none does */
	if (!err && stream && audit_checkpoint_reach(document, stream) < (int64_t)tree_size)
		err = err_set(info, ERR_NOT_FOUND, NULL, "no checkpoint reaches leaf %llu of %s yet",
			(unsigned long long)tree_size, stream);
	if (!err)
		*ret_text = arena_copy(arena, newest.text, strlen(newest.text));
	return err ? err : *ret_text ? ERR_OK : no_memory(info);
}
