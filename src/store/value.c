/* Decides how a row's members look at rest: typed values, JSON text for lists and documents, sealed bytes. Pure but for the
 * nonce of a seal; any thread. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine.h"

#define CONTEXT_SIZE 256

static struct store_value text_value(const char *text)
{
	struct store_value value = {.kind = VALUE_NULL};
	if (text) {
		value.kind = VALUE_TEXT;
		value.data = text;
		value.size = strlen(text);
	}
	return value;
}

static struct store_value blob_value(const void *data, size_t size, bool absent)
{
	struct store_value value = {.kind = VALUE_NULL};
	if (!absent) {
		value.kind = VALUE_BLOB;
		value.data = data;
		value.size = size;
	}
	return value;
}

static struct store_value integer_value(int64_t integer)
{
	struct store_value value = {.kind = VALUE_NULL};
	if (integer != FIELD_ABSENT) {
		value.kind = VALUE_INTEGER;
		value.integer = integer;
	}
	return value;
}

static size_t name_count(const struct field *field)
{
	size_t count = 0;
	while (field->names[count])
		count++;
	return count;
}

static struct store_value enum_value(const struct field *field, int64_t number)
{
	if (number < 0)
		return (struct store_value){.kind = VALUE_NULL};
	assert((size_t)number < name_count(field));
	return text_value(field->names[number]);
}

/* Lists, texts, objects and documents by way of JSON, with the field row alone as a table. */
static enum err document_value(const struct field *field, const void *row, struct arena *arena,
	struct store_value *ret_value, struct err_info *info)
{
	struct field table[2] = {*field, {.kind = FIELD_NONE}};
	table[0].flags = 0;
	*ret_value = (struct store_value){.kind = VALUE_NULL};
	json_t *object = document_own(arena, field_write(table, row));
	if (!object)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the row");
	const json_t *member = json_object_get(object, field->name);
	if (!member)
		return ERR_OK;
	size_t size = 0;
	char *text = document_text(arena, member, &size);
	if (!text)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the row");
	ret_value->kind = VALUE_TEXT;
	ret_value->data = text;
	ret_value->size = size;
	return ERR_OK;
}

static enum err plain_value(const struct field *field, const void *row, struct arena *arena,
	struct store_value *ret_value, struct err_info *info)
{
	const void *member = (const char *)row + field->offset;
	switch (field->kind) {
	case FIELD_INT:
	case FIELD_MICROS:
	case FIELD_TIME: *ret_value = integer_value(*(const int64_t *)member); return ERR_OK;
	case FIELD_BOOL: *ret_value = integer_value(*(const bool *)member); return ERR_OK;
	case FIELD_REAL:
		*ret_value = (struct store_value){.kind = VALUE_NULL};
		if (!isnan(*(const double *)member)) {
			ret_value->kind = VALUE_REAL;
			ret_value->real = *(const double *)member;
		}
		return ERR_OK;
	case FIELD_DECIMAL:
	case FIELD_TEXT: *ret_value = text_value(*(const char *const *)member); return ERR_OK;
	case FIELD_ENUM: *ret_value = enum_value(field, *(const int *)member); return ERR_OK;
	case FIELD_ID:
		*ret_value = blob_value(member, sizeof(struct id), id_is_none(*(const struct id *)member));
		return ERR_OK;
	case FIELD_HASH:
		*ret_value = blob_value(member, sizeof(struct hash), hash_is_none(*(const struct hash *)member));
		return ERR_OK;
	case FIELD_BYTES: {
		const struct bytes *bytes = member;
		*ret_value = blob_value(bytes->data, bytes->size, !bytes->data);
		return ERR_OK;
	}
	case FIELD_JSON:
	case FIELD_OBJECT:
	case FIELD_LIST:
	case FIELD_TEXTS: return document_value(field, row, arena, ret_value, info);
	case FIELD_NONE: break;
	}
	return err_set(info, ERR_INTERNAL, NULL, "member %s has no kind", field->name);
}

/* The key's values, hashed: what ties a sealed value to its row. */
static void key_add(struct sha256 *state, const struct store_value *value)
{
	sha256_add_u64(state, (uint64_t)value->kind);
	if (value->kind == VALUE_INTEGER) {
		sha256_add_u64(state, (uint64_t)value->integer);
	} else if (value->kind == VALUE_REAL) {
		sha256_add(state, &value->real, sizeof value->real);
	} else if (value->kind != VALUE_NULL) {
		sha256_add_u64(state, value->size);
		sha256_add(state, value->data, value->size);
	}
}

static void seal_context(const struct store_table *table, const struct store_column *column,
	const struct store_value *key, char ret_context[CONTEXT_SIZE])
{
	struct sha256 state;
	char text[HASH_TEXT_SIZE];
	sha256_start(&state, "carbond/row-key/1");
	for (size_t i = 0; i < table->key_count; i++)
		key_add(&state, &key[i]);
	hash_text(sha256_end(&state), text);
	int written = snprintf(ret_context, CONTEXT_SIZE, "%s/%s/%s", table->collection->name, column->name, text);
	assert(written > 0 && written < CONTEXT_SIZE);
}

/* Inside a seal: the kind in one byte, then the value. */
static enum err close_value(const struct store_tables *tables, const char *context, struct arena *arena,
	struct store_value *value, struct err_info *info)
{
	if (value->kind == VALUE_NULL)
		return ERR_OK;
	bool inlined = value->kind == VALUE_INTEGER || value->kind == VALUE_REAL;
	size_t size = 1 + (inlined ? sizeof value->integer : value->size);
	uint8_t *plain = arena_alloc(arena, size), *sealed = arena_alloc(arena, size + SEAL_OVERHEAD);
	if (!plain || !sealed)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the row");
	plain[0] = (uint8_t)value->kind;
	if (inlined)
		memcpy(plain + 1, &value->integer, sizeof value->integer);
	else if (value->size)
		memcpy(plain + 1, value->data, value->size);
	seal_close(&tables->seal_keys[0], context, plain, size, sealed);
	explicit_bzero(plain, size);
	*value = (struct store_value){.kind = VALUE_BLOB, .data = sealed, .size = size + SEAL_OVERHEAD};
	return ERR_OK;
}

static enum err open_value(const struct store_tables *tables, const char *context, struct arena *arena,
	struct store_value *value, struct err_info *info)
{
	if (value->kind == VALUE_NULL)
		return ERR_OK;
	uint8_t *plain = NULL;
	size_t size = 0;
	enum err err = seal_open(
		tables->seal_keys, tables->seal_key_count, context, value->data, value->size, arena, &plain, &size);
	if (err)
		return err_set(info, err, NULL, "the sealed value %s could not be opened", context);
	if (size < 1)
		return err_set(info, ERR_BAD_SEAL, NULL, "the sealed value %s is empty", context);
	value->kind = (enum value_kind)plain[0];
	if (value->kind == VALUE_INTEGER || value->kind == VALUE_REAL) {
		if (size != 1 + sizeof value->integer)
			return err_set(info, ERR_BAD_SEAL, NULL, "the sealed value %s has a wrong length", context);
		memcpy(&value->integer, plain + 1, sizeof value->integer);
	} else {
		value->data = plain + 1;
		value->size = size - 1;
	}
	return ERR_OK;
}

enum err store_bind(const struct store_tables *tables, const struct store_table *table, const void *row,
	const size_t *columns, size_t count, struct arena *arena, struct store_value *ret_values, struct err_info *info)
{
	struct store_value key[STORE_INDEX_FIELDS];
	bool have_key = false;
	for (size_t i = 0; i < count; i++) {
		const struct store_column *column = &table->columns[columns[i]];
		enum err err = plain_value(column->field, row, arena, &ret_values[i], info);
		if (err)
			return err;
		if (!column->sealed)
			continue;
		for (size_t k = 0; k < table->key_count && !have_key && !err; k++)
			err = plain_value(table->columns[table->key[k]].field, row, arena, &key[k], info);
		have_key = true;
		if (err)
			return err;
		char context[CONTEXT_SIZE];
		seal_context(table, column, key, context);
		err = close_value(tables, context, arena, &ret_values[i], info);
		if (err)
			return err;
	}
	return ERR_OK;
}

enum err store_bind_row(const struct store_tables *tables, const struct store_table *table, const void *row,
	struct arena *arena, struct store_value *ret_values, struct err_info *info)
{
	for (size_t i = 0; i < table->column_count; i++) {
		enum err err = store_bind(tables, table, row, &i, 1, arena, &ret_values[i], info);
		if (err)
			return err;
		if (table->columns[i].key && ret_values[i].kind == VALUE_NULL)
			return err_set(info, ERR_INTERNAL, NULL, "a row of %s has no %s, which is part of its key",
				table->collection->name, table->columns[i].name);
	}
	return ERR_OK;
}

/* ---- back into the struct ---- */

static enum err corrupt(const struct field *field, struct err_info *info)
{
	return err_set(
		info, ERR_STORE_CORRUPT, NULL, "the stored member %s has a value that it cannot have", field->name);
}

static enum err set_fixed(const struct field *field, const struct store_value *value, size_t size, void *ret_member,
	struct err_info *info)
{
	if (value->kind != VALUE_BLOB || value->size != size)
		return corrupt(field, info);
	memcpy(ret_member, value->data, size);
	return ERR_OK;
}

static enum err set_text(
	const struct store_value *value, struct arena *arena, const char **ret_text, struct err_info *info)
{
	*ret_text = arena_copy(arena, value->data, value->size);
	return *ret_text ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the row");
}

static enum err set_enum(
	const struct field *field, const struct store_value *value, int *ret_number, struct err_info *info)
{
	for (int i = 0; field->names[i]; i++)
		if (strlen(field->names[i]) == value->size && memcmp(field->names[i], value->data, value->size) == 0) {
			*ret_number = i;
			return ERR_OK;
		}
	return corrupt(field, info);
}

static enum err set_document(const struct field *field, const struct store_value *value, struct arena *arena,
	void *ret_row, struct err_info *info)
{
	json_t *document = NULL;
	enum err err = document_parse(arena, value->data, value->size, &document, info);
	if (err)
		return err;
	if (field->kind == FIELD_JSON) {
		*(json_t **)((char *)ret_row + field->offset) = document;
		return ERR_OK;
	}
	struct field table[2] = {*field, {.kind = FIELD_NONE}};
	table[0].flags = 0;
	json_t *object = document_own(arena, json_object());
	if (!object || json_object_set(object, field->name, document) != 0)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the row");
	return field_read(table, FIELD_TRUSTED, object, "", arena, ret_row, info);
}

static enum err set_member(const struct field *field, const struct store_value *value, struct arena *arena,
	void *ret_row, struct err_info *info)
{
	void *member = (char *)ret_row + field->offset;
	bool text = value->kind == VALUE_TEXT;
	switch (field->kind) {
	case FIELD_INT:
	case FIELD_MICROS:
	case FIELD_TIME:
	case FIELD_BOOL:
		if (value->kind != VALUE_INTEGER)
			return corrupt(field, info);
		if (field->kind == FIELD_BOOL)
			*(bool *)member = value->integer != 0;
		else
			*(int64_t *)member = value->integer;
		return ERR_OK;
	case FIELD_REAL:
		if (value->kind != VALUE_REAL)
			return corrupt(field, info);
		*(double *)member = value->real;
		return ERR_OK;
	case FIELD_DECIMAL:
	case FIELD_TEXT: return text ? set_text(value, arena, member, info) : corrupt(field, info);
	case FIELD_ENUM: return text ? set_enum(field, value, member, info) : corrupt(field, info);
	case FIELD_ID: return set_fixed(field, value, sizeof(struct id), member, info);
	case FIELD_HASH: return set_fixed(field, value, sizeof(struct hash), member, info);
	case FIELD_BYTES: {
		struct bytes *bytes = member;
		bytes->data = (const uint8_t *)arena_copy(arena, value->data, value->size);
		bytes->size = value->size;
		return bytes->data ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the row");
	}
	case FIELD_JSON:
	case FIELD_OBJECT:
	case FIELD_LIST:
	case FIELD_TEXTS: return text ? set_document(field, value, arena, ret_row, info) : corrupt(field, info);
	case FIELD_NONE: break;
	}
	return corrupt(field, info);
}

enum err store_unbind_row(const struct store_tables *tables, const struct store_table *table,
	const struct store_value *values, struct arena *arena, void *ret_row, struct err_info *info)
{
	field_clear(table->collection->fields, ret_row);
	struct store_value key[STORE_INDEX_FIELDS];
	for (size_t i = 0; i < table->key_count; i++)
		key[i] = values[table->key[i]];
	for (size_t i = 0; i < table->column_count; i++) {
		struct store_value value = values[i];
		const struct store_column *column = &table->columns[i];
		if (column->sealed) {
			char context[CONTEXT_SIZE];
			seal_context(table, column, key, context);
			enum err err = open_value(tables, context, arena, &value, info);
			if (err)
				return err;
		}
		if (value.kind == VALUE_NULL)
			continue;
		enum err err = set_member(column->field, &value, arena, ret_row, info);
		if (err)
			return err;
	}
	return ERR_OK;
}

struct store_value store_condition_value(const struct store_column *column, int64_t value)
{
	if (column->field->kind == FIELD_ENUM)
		return enum_value(column->field, value);
	assert(column->kind == VALUE_INTEGER);
	return integer_value(value);
}

/* ---- conditions ---- */

static bool is_same(const struct store_value *a, const struct store_value *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == VALUE_TEXT)
		return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
	return a->kind == VALUE_NULL || a->integer == b->integer;
}

/* Absent numbers are below all others, as FIELD_ABSENT is. */
static int64_t number_of(const struct store_value *value)
{
	return value->kind == VALUE_INTEGER ? value->integer : FIELD_ABSENT;
}

bool store_condition_holds(const struct store_row_change *change, bool found, const struct store_value *stored)
{
	switch (change->condition) {
	case STORE_ALWAYS: return true;
	case STORE_ABSENT: return !found;
	case STORE_EQUALS: return found && is_same(stored, &change->expected);
	case STORE_BELOW: return !found || number_of(stored) < number_of(&change->expected);
	case STORE_AT_MOST: return !found || number_of(stored) <= number_of(&change->expected);
	}
	return false;
}
