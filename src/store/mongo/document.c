/* Decides how a row looks as a document: typed members, absent ones left out, _id for a key of one member, and a date beside
 * them by which the server lets the row go. Any thread. */
#include <string.h>

#include "mongo.h"

const char *mongo_member(const struct store_table *table, size_t column)
{
	return table->key_count == 1 && table->key[0] == column ? "_id" : table->columns[column].name;
}

bool mongo_add(bson_t *document, const char *name, const struct store_column *column, const struct store_value *value)
{
	bson_subtype_t subtype =
		column->field->kind == FIELD_ID && !column->sealed ? BSON_SUBTYPE_UUID : BSON_SUBTYPE_BINARY;
	switch (value->kind) {
	case VALUE_NULL: return bson_append_null(document, name, -1);
	case VALUE_INTEGER:
		if (column->field->kind == FIELD_BOOL)
			return bson_append_bool(document, name, -1, value->integer != 0);
		return bson_append_int64(document, name, -1, value->integer);
	case VALUE_REAL: return bson_append_double(document, name, -1, value->real);
	case VALUE_TEXT:
		return value->size <= INT32_MAX &&
		       bson_append_utf8(document, name, -1, value->size ? value->data : "", (int)value->size);
	case VALUE_BLOB:
		return value->size <= INT32_MAX &&
		       bson_append_binary(document, name, -1, subtype,
			       value->size ? (const uint8_t *)value->data : (const uint8_t *)"", (uint32_t)value->size);
	}
	return false;
}

bool mongo_add_key(bson_t *document, const struct store_table *table, const struct store_value *values)
{
	bool fits = true;
	for (size_t i = 0; i < table->key_count && fits; i++) {
		size_t column = table->key[i];
		fits = mongo_add(document, mongo_member(table, column), &table->columns[column], &values[column]);
	}
	return fits;
}

static bool add_expiry(bson_t *document, const struct store_table *table, const struct store_value *values)
{
	if (table->retention_column == SIZE_MAX || values[table->retention_column].kind != VALUE_INTEGER)
		return true;
	int64_t at_us = values[table->retention_column].integer;
	int64_t kept_us = table->collection->retention_us;
	return at_us > INT64_MAX - kept_us ||
	       bson_append_date_time(document, MONGO_EXPIRES, -1, (at_us + kept_us) / 1000);
}

bool mongo_add_row(bson_t *document, const struct store_table *table, const struct store_value *values)
{
	bool fits = mongo_add_key(document, table, values);
	for (size_t i = 0; i < table->column_count && fits; i++)
		if (!table->columns[i].key && values[i].kind != VALUE_NULL)
			fits = mongo_add(document, table->columns[i].name, &table->columns[i], &values[i]);
	return fits && add_expiry(document, table, values);
}

struct store_value mongo_value(const bson_iter_t *member)
{
	struct store_value value = {.kind = VALUE_NULL};
	uint32_t size = 0;
	if (BSON_ITER_HOLDS_INT64(member) || BSON_ITER_HOLDS_INT32(member)) {
		value.kind = VALUE_INTEGER;
		value.integer = bson_iter_as_int64(member);
	} else if (BSON_ITER_HOLDS_BOOL(member)) {
		value.kind = VALUE_INTEGER;
		value.integer = bson_iter_bool(member);
	} else if (BSON_ITER_HOLDS_DOUBLE(member)) {
		value.kind = VALUE_REAL;
		value.real = bson_iter_double(member);
	} else if (BSON_ITER_HOLDS_UTF8(member)) {
		value.kind = VALUE_TEXT;
		value.data = bson_iter_utf8(member, &size);
	} else if (BSON_ITER_HOLDS_BINARY(member)) {
		bson_subtype_t subtype;
		const uint8_t *data = NULL;
		bson_iter_binary(member, &subtype, &size, &data);
		value.kind = VALUE_BLOB;
		value.data = size ? data : (const uint8_t *)"";
	}
	value.size = size;
	return value;
}

/* Members come in the order in which they were written, so the next one is nearly always the next column. */
static size_t column_named(const struct store_table *table, const char *name, size_t next)
{
	for (size_t i = 0; i < table->column_count; i++) {
		size_t column = (next + i) % table->column_count;
		if (strcmp(mongo_member(table, column), name) == 0)
			return column;
	}
	return SIZE_MAX;
}

enum err mongo_read_row(
	const struct store_table *table, const bson_t *document, struct store_value *ret_values, struct err_info *info)
{
	bson_iter_t member;
	for (size_t i = 0; i < table->column_count; i++)
		ret_values[i] = (struct store_value){.kind = VALUE_NULL};
	if (!bson_iter_init(&member, document))
		return err_set(info, ERR_STORE_CORRUPT, NULL, "a row of %s is no document", table->collection->name);
	for (size_t next = 0; bson_iter_next(&member);) {
		size_t column = column_named(table, bson_iter_key(&member), next);
		if (column == SIZE_MAX)
			continue; /* _id beside a key of several members, the expiry, a later version's member */
		ret_values[column] = mongo_value(&member);
		next = column + 1;
	}
	return ERR_OK;
}
