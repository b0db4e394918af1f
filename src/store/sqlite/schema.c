/* Decides what a collection's table looks like, and how an existing one is brought to it: new nullable columns are added,
 * indexes follow the code, anything else is refused. The opening thread, inside one transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite.h"

static const char *type_of(const struct store_column *column)
{
	switch (column->kind) {
	case VALUE_INTEGER: return "INTEGER";
	case VALUE_REAL: return "REAL";
	case VALUE_TEXT: return "TEXT";
	case VALUE_BLOB:
	case VALUE_NULL: break;
	}
	return "BLOB";
}

/* ---- texts, made once ---- */

static void add_names(struct sqlite_text *text, const struct store_table *table, const size_t *columns, size_t count,
	const char *between, const char *after)
{
	for (size_t i = 0; i < count; i++)
		sqlite_add(text, "%s\"%s\"%s", i ? between : "", table->columns[columns[i]].name, after);
}

/* Rows that are small all over are kept in the key's own tree; documents and bytes would make that tree deep. */
static bool is_small(const struct store_table *table)
{
	for (size_t i = 0; i < table->column_count; i++) {
		enum field_kind kind = table->columns[i].field->kind;
		if (kind == FIELD_BYTES || kind == FIELD_JSON || kind == FIELD_LIST || kind == FIELD_OBJECT)
			return false;
	}
	return true;
}

static void write_create(struct sqlite_text *text, const struct store_table *table)
{
	sqlite_add(text, "CREATE TABLE \"%s\" (", table->collection->name);
	for (size_t i = 0; i < table->column_count; i++)
		sqlite_add(text, "\"%s\" %s%s, ", table->columns[i].name, type_of(&table->columns[i]),
			table->columns[i].key ? " NOT NULL" : "");
	sqlite_add(text, "PRIMARY KEY (");
	add_names(text, table, table->key, table->key_count, ", ", "");
	sqlite_add(text, ")) STRICT%s", is_small(table) ? ", WITHOUT ROWID" : "");
}

static void write_columns(struct sqlite_text *text, const struct store_table *table)
{
	for (size_t i = 0; i < table->column_count; i++)
		sqlite_add(text, "%s\"%s\"", i ? ", " : "", table->columns[i].name);
}

static void write_by_key(struct sqlite_text *text, const struct store_table *table)
{
	sqlite_add(text, " FROM \"%s\" WHERE ", table->collection->name);
	add_names(text, table, table->key, table->key_count, " AND ", " = ?");
}

/* An upsert on the key, not INSERT OR REPLACE: that would delete rows which collide in another unique index. */
static void write_put(struct sqlite_text *text, const struct store_table *table)
{
	sqlite_add(text, "INSERT INTO \"%s\" (", table->collection->name);
	write_columns(text, table);
	sqlite_add(text, ") VALUES (");
	for (size_t i = 0; i < table->column_count; i++)
		sqlite_add(text, "%s?", i ? ", " : "");
	sqlite_add(text, ") ON CONFLICT (");
	add_names(text, table, table->key, table->key_count, ", ", "");
	sqlite_add(text, ") DO ");
	bool first = true;
	for (size_t i = 0; i < table->column_count; i++) {
		const struct store_column *column = &table->columns[i];
		if (column->key)
			continue;
		sqlite_add(
			text, "%s\"%s\" = excluded.\"%s\"", first ? "UPDATE SET " : ", ", column->name, column->name);
		first = false;
	}
	if (first)
		sqlite_add(text, "NOTHING");
}

static const char *keep(const struct sqlite *back, const struct sqlite_text *text)
{
	return text->cut ? NULL : arena_copy(back->tables->arena, text->text, text->size);
}

/* Rows of views carry the position of the last event in them. */
static void make_position_texts(struct sqlite *back, const struct store_table *table, struct sqlite_table_text *texts,
	struct sqlite_text *scratch)
{
	texts->position_column = store_column_of(table, "position");
	if (texts->position_column == SIZE_MAX || table->columns[texts->position_column].key)
		return;
	scratch->size = 0;
	write_put(scratch, table);
	sqlite_add(scratch, " WHERE coalesce(\"%s\".\"position\", 0) < ?", table->collection->name);
	texts->put_over_lower = keep(back, scratch);
	texts->remove_lower =
		arena_print(back->tables->arena, "DELETE%s AND coalesce(\"position\", 0) < ?", texts->by_key);
}

static void make_text(struct sqlite *back, const struct store_table *table, struct sqlite_text *scratch)
{
	struct sqlite_table_text *texts = &back->texts[table->number];
	*scratch = (struct sqlite_text){.size = 0};
	write_create(scratch, table);
	texts->create = keep(back, scratch);
	scratch->size = 0;
	write_put(scratch, table);
	texts->put = keep(back, scratch);
	scratch->size = 0;
	write_columns(scratch, table);
	texts->columns = keep(back, scratch);
	scratch->size = 0;
	write_by_key(scratch, table);
	texts->by_key = keep(back, scratch);
	if (texts->by_key && texts->columns) {
		texts->remove = arena_print(back->tables->arena, "DELETE%s", texts->by_key);
		texts->get = arena_print(back->tables->arena, "SELECT %s%s", texts->columns, texts->by_key);
		make_position_texts(back, table, texts, scratch);
	}
}

enum err sqlite_make_texts(struct sqlite *back, struct err_info *info)
{
	struct arena *arena = back->tables->arena;
	back->texts = ARENA_ARRAY(arena, struct sqlite_table_text, back->tables->count + 1);
	struct sqlite_text *scratch = ARENA_NEW(arena, struct sqlite_text);
	if (!back->texts || !scratch)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the schema");
	for (size_t i = 0; i < back->tables->count; i++) {
		make_text(back, &back->tables->items[i], scratch);
		const struct sqlite_table_text *texts = &back->texts[i];
		if (!scratch->cut &&
			(!texts->create || !texts->put || !texts->columns || !texts->get || !texts->remove))
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the schema");
		if (scratch->cut)
			return err_set(info, ERR_INVALID_CONFIG, NULL, "collection %s has too many or too long names",
				back->tables->items[i].collection->name);
	}
	return ERR_OK;
}

/* ---- an existing table ---- */

struct existing {
	bool found;
	bool has[TABLE_COLUMNS_MAX]; /* our columns that are there */
};

static enum err check_column(
	const struct store_table *table, sqlite3_stmt *row, struct existing *existing, struct err_info *info)
{
	char name[128], type[32];
	sqlite_column_copy(row, 0, name, sizeof name);
	sqlite_column_copy(row, 1, type, sizeof type);
	int key_place = sqlite3_column_int(row, 2);
	size_t number = store_column_of(table, name);
	if (number == SIZE_MAX)
		return err_set(info, ERR_SCHEMA_NEWER, NULL,
			"collection %s has a member %s that this version does not know", table->collection->name, name);
	int expected_place = 0;
	for (size_t i = 0; i < table->key_count; i++)
		if (table->key[i] == number)
			expected_place = (int)i + 1;
	if (strcmp(type, type_of(&table->columns[number])) != 0 || key_place != expected_place)
		return err_set(info, ERR_SCHEMA_DIFFERS, NULL,
			"collection %s: member %s is stored as %s at place %d of the key, not as %s at %d",
			table->collection->name, name, type, key_place, type_of(&table->columns[number]),
			expected_place);
	existing->has[number] = true;
	existing->found = true;
	return ERR_OK;
}

static enum err read_existing(
	struct sqlite_file *file, const struct store_table *table, struct existing *existing, struct err_info *info)
{
	sqlite3_stmt *statement = NULL;
	enum err err =
		sqlite_statement(&file->writer, "SELECT name, type, pk FROM pragma_table_info(?)", &statement, info);
	if (err)
		return err;
	sqlite_bind_text(statement, 1, table->collection->name);
	int code = SQLITE_DONE;
	while (!err && (code = sqlite3_step(statement)) == SQLITE_ROW)
		err = check_column(table, statement, existing, info);
	if (!err && code != SQLITE_DONE)
		err = sqlite_failure(&file->writer, code, "read the schema", info);
	sqlite_done(statement);
	return err;
}

/* What a file was found with, and what it lacked. */
struct growth {
	bool found, added;
};

static enum err make_table(
	struct sqlite_file *file, const struct store_table *table, struct growth *growth, struct err_info *info)
{
	struct existing existing = {.found = false};
	if (table->column_count > TABLE_COLUMNS_MAX)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "collection %s has more than %d members",
			table->collection->name, TABLE_COLUMNS_MAX);
	enum err err = read_existing(file, table, &existing, info);
	if (err)
		return err;
	growth->found |= existing.found;
	growth->added |= !existing.found;
	if (!existing.found)
		return sqlite_run(&file->writer, file->back->texts[table->number].create, info);
	for (size_t i = 0; i < table->column_count && !err; i++) {
		const struct store_column *column = &table->columns[i];
		if (existing.has[i])
			continue;
		struct sqlite_text text = {.size = 0};
		growth->added = true;
		sqlite_add(&text, "ALTER TABLE \"%s\" ADD COLUMN \"%s\" %s", table->collection->name, column->name,
			type_of(column));
		err = sqlite_run(&file->writer, text.text, info);
	}
	return err;
}

/* ---- indexes: they hold nothing of their own, so one that differs is made anew ---- */

static void write_index(struct sqlite_text *text, const struct store_table *table, const struct store_order *order)
{
	text->size = 0;
	sqlite_add(text, "CREATE%s INDEX \"%s.%s\" ON \"%s\" (", order->unique ? " UNIQUE" : "",
		table->collection->name, order->name, table->collection->name);
	add_names(text, table, order->columns, order->unique ? order->indexed : order->count, ", ", "");
	sqlite_add(text, ")");
}

static void write_retention(struct sqlite_text *text, const struct store_table *table)
{
	text->size = 0;
	sqlite_add(text, "CREATE INDEX \"%s.retention_sweep\" ON \"%s\" (\"%s\")", table->collection->name,
		table->collection->name, table->columns[table->retention_column].name);
}

/* Drops the table's index with another text than `wanted` under its name, and finds out whether the wanted one is there. */
static enum err index_is_there(struct sqlite_file *file, const char *wanted, bool *ret_there, struct err_info *info)
{
	sqlite3_stmt *statement = NULL;
	enum err err = sqlite_statement(
		&file->writer, "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND sql = ?", &statement, info);
	if (err)
		return err;
	sqlite_bind_text(statement, 1, wanted);
	int code = sqlite3_step(statement);
	*ret_there = code == SQLITE_ROW;
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		err = sqlite_failure(&file->writer, code, "read the schema", info);
	sqlite_done(statement);
	return err;
}

static void write_wanted(struct sqlite_text *text, const struct store_table *table, size_t number)
{
	if (number < table->order_count)
		write_index(text, table, &table->orders[number]);
	else
		write_retention(text, table);
}

static size_t wanted_count(const struct store_table *table)
{
	return table->order_count + (table->retention_column != SIZE_MAX);
}

static bool is_wanted(const struct store_table *table, struct store_value sql, struct sqlite_text *scratch)
{
	for (size_t i = 1; i < wanted_count(table); i++) {
		write_wanted(scratch, table, i);
		if (scratch->size == sql.size && memcmp(scratch->text, sql.data, sql.size) == 0)
			return true;
	}
	return false;
}

static enum err drop_unwanted(
	struct sqlite_file *file, const struct store_table *table, struct sqlite_text *scratch, struct err_info *info)
{
	for (;;) {
		char name[128] = "";
		sqlite3_stmt *statement = NULL;
		enum err err = sqlite_statement(&file->writer,
			"SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
			&statement, info);
		if (err)
			return err;
		sqlite_bind_text(statement, 1, table->collection->name);
		int code = SQLITE_DONE;
		while (!name[0] && (code = sqlite3_step(statement)) == SQLITE_ROW)
			if (!is_wanted(table, sqlite_column(statement, 1), scratch))
				sqlite_column_copy(statement, 0, name, sizeof name);
		if (!name[0] && code != SQLITE_DONE)
			err = sqlite_failure(&file->writer, code, "read the schema", info);
		sqlite_done(statement);
		if (err || !name[0])
			return err;
		scratch->size = 0;
		sqlite_add(scratch, "DROP INDEX \"%s\"", name);
		err = sqlite_run(&file->writer, scratch->text, info);
		if (err)
			return err;
	}
}

static enum err make_indexes(
	struct sqlite_file *file, const struct store_table *table, struct sqlite_text *scratch, struct err_info *info)
{
	enum err err = drop_unwanted(file, table, scratch, info);
	for (size_t i = 1; i < wanted_count(table) && !err; i++) {
		bool there = false;
		write_wanted(scratch, table, i);
		err = index_is_there(file, scratch->text, &there, info);
		if (err || there)
			continue;
		err = sqlite_run(&file->writer, scratch->text, info);
		if (err == ERR_INTERNAL)
			err = err_set(info, ERR_SCHEMA_DIFFERS, NULL,
				"collection %s: stored rows collide in the new index: %s", table->collection->name,
				scratch->text);
	}
	return err;
}

enum err sqlite_make_tables(struct sqlite_file *file, struct err_info *info)
{
	struct sqlite_text *scratch = calloc(1, sizeof *scratch);
	if (!scratch)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the schema");
	enum err err = ERR_OK;
	struct growth growth = {.found = false};
	const struct store_tables *tables = file->back->tables;
	for (size_t i = 0; i < tables->count && !err; i++) {
		const struct store_table *table = &tables->items[i];
		if (table->collection->class != file->class)
			continue;
		err = make_table(file, table, &growth, info);
		if (!err)
			err = make_indexes(file, table, scratch, info);
	}
	free(scratch);
	/* what an earlier version's events left out is nowhere but in the logs */
	if (!err && file->class == STORE_VIEWS && growth.found && growth.added)
		err = err_set(
			info, ERR_SCHEMA_DIFFERS, NULL, "the views of an earlier version lack some of this one's");
	return err;
}
