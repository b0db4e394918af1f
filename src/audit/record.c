/* Decides what a record of the audit log says, and where the records of a batch begin and end. Pure but for memory; any
 * thread.
 *
 * A record is canonical JSON (no reals: they are written as strings, with 17 digits): {"action", "actor": {"id", "org",
 * "name"}, "new", "node", "old", "org", "position", "request_id", "subject", "subject_kind", "time_us"}, absent members left
 * out. A batch's payload is such lines, each ended by a line feed; a leaf of the tree is a line without it. */
#include <string.h>

#include "audit_private.h"
#include "carbond/base/limits.h"
#include "carbond/base/seal.h"
#include "carbond/events.h"

static enum err no_memory(struct err_info *info)
{
	return err_set(info, ERR_NO_MEMORY, NULL, "no memory for an audit record");
}

/* ---- what canonical JSON cannot say is said as text ---- */

static bool has_plain_keys(const json_t *object)
{
	const char *key;
	json_t *member;
	json_object_foreach((json_t *)(uintptr_t)object, key, member)
	{
		for (const char *at = key; *at; at++)
			if (*at < 0x20 || *at > 0x7e)
				return false;
	}
	return true;
}

static json_t *as_text(const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));
	json_t *string = text ? json_string(text) : NULL;
	free(text);
	return string;
}

static json_t *plain(const json_t *value);

static json_t *plain_object(const json_t *object)
{
	json_t *copy = json_object();
	const char *key;
	json_t *member;
	json_object_foreach((json_t *)(uintptr_t)object, key, member)
	{
		if (json_object_set_new(copy, key, plain(member)) != 0) {
			json_decref(copy);
			return NULL;
		}
	}
	return copy;
}

static json_t *plain_array(const json_t *array)
{
	json_t *copy = json_array(), *item;
	size_t index;
	json_array_foreach(array, index, item)
	{
		if (json_array_append_new(copy, plain(item)) != 0) {
			json_decref(copy);
			return NULL;
		}
	}
	return copy;
}

/* A new document that has a canonical form; NULL without memory. Depth is bounded by the field tables and document_parse. */
static json_t *plain(const json_t *value)
{
	json_int_t number = json_integer_value(value);
	switch (json_typeof(value)) {
	case JSON_OBJECT: return has_plain_keys(value) ? plain_object(value) : as_text(value);
	case JSON_ARRAY: return plain_array(value);
	case JSON_REAL: return as_text(value);
	case JSON_INTEGER:
		if (number > LIMIT_JSON_INTEGER || number < -LIMIT_JSON_INTEGER)
			return as_text(value);
		break;
	default: break;
	}
	return json_deep_copy(value);
}

/* ---- rows ---- */

/* Personal data: its salted hash. */
static enum err salt_member(json_t *object, const struct field *field, const uint8_t salt[16], bool *ret_salted)
{
	const json_t *member = json_object_get(object, field->name);
	if (!member)
		return ERR_OK;
	char hash[HASH_TEXT_SIZE];
	if (json_is_string(member)) {
		hash_text(seal_text_hash(salt, json_string_value(member)), hash);
	} else {
		json_t *text = as_text(member);
		if (!text)
			return ERR_NO_MEMORY;
		hash_text(seal_text_hash(salt, json_string_value(text)), hash);
		json_decref(text);
	}
	*ret_salted = true;
	return json_object_set_new(object, field->name, json_pack("{s:s}", "salted_hash", hash)) ? ERR_NO_MEMORY
												 : ERR_OK;
}

static enum err set_row(json_t *record, const char *name, const struct field *fields, const void *row,
	const uint8_t salt[16], bool *ret_salted)
{
	if (!row)
		return ERR_OK;
	json_t *object = field_write(fields, row); /* leaves secrets out */
	json_t *copy = object ? plain(object) : NULL;
	json_decref(object);
	enum err err = copy ? ERR_OK : ERR_NO_MEMORY;
	for (const struct field *field = fields; field->kind != FIELD_NONE && !err; field++)
		if (field->flags & FIELD_SEALED)
			err = salt_member(copy, field, salt, ret_salted);
	if (err) {
		json_decref(copy);
		return err;
	}
	return json_object_set_new(record, name, copy) ? ERR_NO_MEMORY : ERR_OK;
}

static int set_id(json_t *object, const char *name, struct id id)
{
	char text[ID_TEXT_SIZE];
	return id_is_none(id) ? 0 : json_object_set_new(object, name, json_string(id_text(id, text)));
}

static int set_text(json_t *object, const char *name, const char *text)
{
	return text ? json_object_set_new(object, name, json_string(text)) : 0;
}

static json_t *actor_json(const struct audit_actor *actor)
{
	json_t *object = json_object();
	if (set_id(object, "id", actor->user) || set_id(object, "org", actor->org) ||
		set_text(object, "name", actor->name)) {
		json_decref(object);
		return NULL;
	}
	return object;
}

enum err audit_record_make(struct arena *arena, const char *node, int64_t now_us, const struct audit_actor *actor,
	const struct audit_change *change, const uint8_t salt[16], json_t **ret_record, bool *ret_salted,
	struct err_info *info)
{
	*ret_salted = false;
	json_t *record = document_own(arena, json_object());
	*ret_record = record;
	if (!record || set_text(record, "action", change->action) ||
		json_object_set_new(record, "actor", actor_json(actor)) || set_text(record, "node", node) ||
		set_id(record, "org", change->org) || set_text(record, "request_id", actor->request_id) ||
		set_id(record, "subject", change->subject) || set_text(record, "subject_kind", change->subject_kind) ||
		json_object_set_new(record, "time_us", json_integer(now_us)))
		return no_memory(info);
	enum err err = set_row(record, "old", change->fields, change->old_row, salt, ret_salted);
	if (!err)
		err = set_row(record, "new", change->fields, change->new_row, salt, ret_salted);
	return err ? no_memory(info) : ERR_OK;
}

/* ---- boundaries ---- */

static enum err malformed(const struct store_batch *batch, struct err_info *info)
{
	return err_set(info, ERR_STORE_CORRUPT, NULL, "log %s: the records of batch %llu do not fill it", batch->stream,
		(unsigned long long)batch->seq);
}

/* The length in a journal record's header; 0 where there is no whole record. */
static size_t event_size(const uint8_t *data, size_t size)
{
	if (size < EVENT_HEADER_SIZE)
		return 0;
	size_t length = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16 | (size_t)data[3] << 24;
	return length >= EVENT_HEADER_SIZE && length <= size ? length : 0;
}

/* A line with its line feed. */
static size_t line_size(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	return end ? (size_t)(end - data) + 1 : 0;
}

enum err audit_split(const struct store_batch *batch,
	enum err (*each)(void *context, const void *data, size_t size, struct err_info *info), void *context,
	struct err_info *info)
{
	bool lines = strncmp(batch->stream, AUDIT_STREAM_PREFIX, strlen(AUDIT_STREAM_PREFIX)) == 0;
	size_t at = 0, count = 0;
	if (!batch->payload)
		return malformed(batch, info);
	while (at < batch->payload_size) {
		const uint8_t *data = batch->payload + at;
		size_t left = batch->payload_size - at, size = lines ? line_size(data, left) : event_size(data, left);
		if (size == 0)
			return malformed(batch, info);
		enum err err = each(context, data, lines ? size - 1 : size, info);
		if (err)
			return err;
		at += size;
		count++;
	}
	return count == batch->count ? ERR_OK : malformed(batch, info);
}
