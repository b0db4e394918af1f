/* Decides whether the schema rows that the rooms hand over can be kept, and resolves their members to positions. Runs once,
 * on the thread that opens the store; the tables are constant afterwards. */
#include <assert.h>
#include <string.h>

#include "engine.h"

static enum value_kind kind_of(const struct field *field)
{
	if (field->flags & FIELD_SEALED)
		return VALUE_BLOB;
	switch (field->kind) {
	case FIELD_INT:
	case FIELD_MICROS:
	case FIELD_BOOL:
	case FIELD_TIME: return VALUE_INTEGER;
	case FIELD_REAL: return VALUE_REAL;
	case FIELD_ID:
	case FIELD_HASH:
	case FIELD_BYTES: return VALUE_BLOB;
	case FIELD_DECIMAL:
	case FIELD_TEXT:
	case FIELD_ENUM:
	case FIELD_JSON:
	case FIELD_OBJECT:
	case FIELD_LIST:
	case FIELD_TEXTS: return VALUE_TEXT;
	case FIELD_NONE: break;
	}
	return VALUE_NULL;
}

static bool is_document(const struct field *field)
{
	return field->kind == FIELD_JSON || field->kind == FIELD_OBJECT || field->kind == FIELD_LIST ||
	       field->kind == FIELD_TEXTS;
}

static bool name_is_plain(const char *name)
{
	size_t length = strlen(name);
	return length > 0 && length <= 48 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == length &&
	       name[0] >= 'a' && name[0] <= 'z';
}

/* JSON leaves out secret members, so one inside a document would silently be lost. */
static bool holds_secret(const struct field *table)
{
	for (; table && table->kind != FIELD_NONE; table++) {
		if (table->flags & (FIELD_SECRET | FIELD_SEALED))
			return true;
		if ((table->kind == FIELD_OBJECT || table->kind == FIELD_LIST) && holds_secret(table->table))
			return true;
	}
	return false;
}

static enum err make_columns(struct arena *arena, struct store_table *table, struct err_info *info)
{
	const struct store_collection *collection = table->collection;
	size_t count = 0;
	while (collection->fields[count].kind != FIELD_NONE)
		count++;
	table->columns = ARENA_ARRAY(arena, struct store_column, count + 1);
	if (!table->columns)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the schema");
	table->column_count = count;
	for (size_t i = 0; i < count; i++) {
		const struct field *field = &collection->fields[i];
		if (!name_is_plain(field->name))
			return err_set(info, ERR_INVALID_CONFIG, NULL, "collection %s: member %s has no plain name",
				collection->name, field->name);
		if ((field->kind == FIELD_OBJECT || field->kind == FIELD_LIST) && holds_secret(field->table))
			return err_set(info, ERR_INVALID_CONFIG, NULL,
				"collection %s: %s holds a secret or sealed member inside", collection->name,
				field->name);
		table->columns[i] = (struct store_column){.name = field->name,
			.field = field,
			.kind = kind_of(field),
			.sealed = (field->flags & FIELD_SEALED) != 0};
	}
	return ERR_OK;
}

size_t store_column_of(const struct store_table *table, const char *name)
{
	for (size_t i = 0; i < table->column_count; i++)
		if (strcmp(table->columns[i].name, name) == 0)
			return i;
	return SIZE_MAX;
}

static enum err resolve(const struct store_table *table, const char *const *names, size_t *ret_columns,
	size_t *ret_count, struct err_info *info)
{
	size_t count = 0;
	for (; count < STORE_INDEX_FIELDS && names[count]; count++) {
		size_t column = store_column_of(table, names[count]);
		if (column == SIZE_MAX)
			return err_set(info, ERR_INVALID_CONFIG, NULL, "collection %s: no member %s to index",
				table->collection->name, names[count]);
		if (table->columns[column].sealed || is_document(table->columns[column].field))
			return err_set(info, ERR_INVALID_CONFIG, NULL, "collection %s: member %s cannot be indexed",
				table->collection->name, names[count]);
		ret_columns[count] = column;
	}
	if (count == 0)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "collection %s: a key or index without members",
			table->collection->name);
	*ret_count = count;
	return ERR_OK;
}

static void add_key(const struct store_table *table, struct store_order *order)
{
	order->count = order->indexed;
	for (size_t i = 0; i < table->key_count; i++) {
		bool there = false;
		for (size_t j = 0; j < order->count; j++)
			there = there || order->columns[j] == table->key[i];
		if (!there)
			order->columns[order->count++] = table->key[i];
	}
}

static enum err make_orders(struct arena *arena, struct store_table *table, struct err_info *info)
{
	const struct store_collection *collection = table->collection;
	size_t count = 1;
	for (const struct store_index *index = collection->indexes; index && index->name; index++)
		count++;
	table->orders = ARENA_ARRAY(arena, struct store_order, count);
	if (!table->orders)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the schema");
	table->order_count = count;
	enum err err = resolve(table, collection->key, table->key, &table->key_count, info);
	if (err)
		return err;
	for (size_t i = 0; i < table->key_count; i++)
		table->columns[table->key[i]].key = true;
	for (size_t i = 0; i < count; i++) {
		struct store_order *order = &table->orders[i];
		const struct store_index *index = i ? &collection->indexes[i - 1] : NULL;
		if (index && !name_is_plain(index->name))
			return err_set(info, ERR_INVALID_CONFIG, NULL, "collection %s: index %s has no plain name",
				collection->name, index->name);
		order->name = index ? index->name : NULL;
		order->unique = index ? index->unique : true;
		err = resolve(table, index ? index->fields : collection->key, order->columns, &order->indexed, info);
		if (err)
			return err;
		add_key(table, order);
	}
	return ERR_OK;
}

static enum err make_table(
	struct arena *arena, const struct store_options *options, struct store_table *table, struct err_info *info)
{
	const struct store_collection *collection = table->collection;
	if (!name_is_plain(collection->name) || strncmp(collection->name, "log_", 4) == 0 ||
		strncmp(collection->name, "store_", 6) == 0 || strncmp(collection->name, "sqlite_", 7) == 0)
		return err_set(
			info, ERR_INVALID_CONFIG, NULL, "collection %s: the name is not allowed", collection->name);
	enum err err = make_columns(arena, table, info);
	if (!err)
		err = make_orders(arena, table, info);
	if (err)
		return err;
	for (size_t i = 0; i < table->column_count; i++)
		if (table->columns[i].sealed && options->seal_key_count == 0)
			return err_set(info, ERR_INVALID_CONFIG, NULL,
				"collection %s has sealed members, but there is no sealing key", collection->name);
	table->retention_column = SIZE_MAX;
	if (collection->retention_field) {
		table->retention_column = store_column_of(table, collection->retention_field);
		if (table->retention_column == SIZE_MAX ||
			table->columns[table->retention_column].field->kind != FIELD_TIME)
			return err_set(info, ERR_INVALID_CONFIG, NULL, "collection %s: %s is no time to retain by",
				collection->name, collection->retention_field);
	}
	return ERR_OK;
}

enum err store_tables_make(const struct store_options *options, struct store_tables *ret_tables, struct err_info *info)
{
	size_t count = 0;
	while (options->collections && options->collections[count])
		count++;
	ret_tables->items = ARENA_ARRAY(ret_tables->arena, struct store_table, count + 1);
	if (!ret_tables->items)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the schema");
	for (size_t i = 0; i < count; i++) {
		struct store_table *table = &ret_tables->items[i];
		table->collection = options->collections[i];
		table->number = i;
		enum err err = make_table(ret_tables->arena, options, table, info);
		if (err)
			return err;
		for (size_t j = 0; j < i; j++)
			if (strcmp(options->collections[j]->name, table->collection->name) == 0)
				return err_set(info, ERR_INVALID_CONFIG, NULL, "collection %s is handed over twice",
					table->collection->name);
	}
	ret_tables->count = count;
	return ERR_OK;
}

const struct store_table *store_table_of(const struct store_tables *tables, const struct store_collection *collection)
{
	for (size_t i = 0; i < tables->count; i++)
		if (tables->items[i].collection == collection)
			return &tables->items[i];
	return NULL;
}
