/* Decides how rows are found: by key, and in the order of an index from a cursor on. Any thread, on a pooled connection.
 *
 * Order is that of SQLite, absent first. A cursor's place in (a, b, c) order is left in stages, each one range of the index:
 * (a = A, b = B, c > C), then (a = A, b > B), then (a > A). That stays exact where members are absent, which one row-value
 * comparison does not. */
#include <string.h>

#include "sqlite.h"

#define BOUND_MAX 64

struct query {
	const struct store_scan *scan;
	struct sqlite_text text;
	size_t bound_count;
	const struct store_value *bound[BOUND_MAX];
	bool empty; /* a stage that no row can meet */
	struct store_value most;
};

static enum err hand_over(struct sqlite_connection *connection, sqlite3_stmt *statement,
	const struct store_table *table, store_each_row *each, void *context, struct store_value *values,
	size_t *ret_count, struct err_info *info)
{
	enum err err = ERR_OK;
	int code = SQLITE_DONE;
	while (!err && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		for (size_t i = 0; i < table->column_count; i++)
			values[i] = sqlite_column(statement, (int)i);
		err = each(context, values, info);
		++*ret_count;
	}
	if (!err && code != SQLITE_DONE)
		err = sqlite_failure(connection, code, table->collection->name, info);
	return err;
}

enum err sqlite_get(void *engine, const struct store_table *table, const struct store_value *key, store_each_row *each,
	void *context, struct err_info *info)
{
	struct sqlite *back = engine;
	struct sqlite_file *file = &back->files[table->collection->class];
	struct sqlite_connection *connection = NULL;
	sqlite3_stmt *statement = NULL;
	struct store_value values[TABLE_COLUMNS_MAX];
	enum err err = sqlite_borrow(file, &connection, info);
	if (err)
		return err;
	err = sqlite_statement(connection, back->texts[table->number].get, &statement, info);
	if (err)
		goto out;
	for (size_t i = 0; i < table->key_count; i++)
		sqlite_bind(statement, (int)i + 1, &key[i]);
	size_t count = 0;
	err = hand_over(connection, statement, table, each, context, values, &count, info);
	if (!err && count == 0)
		err = err_set(info, ERR_NOT_FOUND, NULL, "no such row in %s", table->collection->name);
out:
	sqlite_done(statement);
	sqlite_return(file, connection);
	return err;
}

/* ---- the text of one stage ---- */

static const char *member(const struct query *query, size_t place)
{
	const struct store_scan *scan = query->scan;
	return scan->table->columns[scan->order->columns[place]].name;
}

static void bind_later(struct query *query, const struct store_value *value)
{
	query->bound[query->bound_count++] = value; /* at most 4 rows of an order's columns: below BOUND_MAX */
}

static void add_equal(struct query *query, size_t place, const struct store_value *value)
{
	if (value->kind == VALUE_NULL) {
		sqlite_add(&query->text, " AND \"%s\" IS NULL", member(query, place));
		return;
	}
	sqlite_add(&query->text, " AND \"%s\" = ?", member(query, place));
	bind_later(query, value);
}

static void add_members(struct query *query, size_t first, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sqlite_add(&query->text, "%s\"%s\"", i ? ", " : "", member(query, first + i));
}

static void add_row_bound(struct query *query, size_t first, size_t count, const struct store_value *values)
{
	sqlite_add(&query->text, "(");
	add_members(query, first, count);
	sqlite_add(&query->text, ") >= (");
	for (size_t i = 0; i < count; i++) {
		sqlite_add(&query->text, i ? ", ?" : "?");
		bind_later(query, &values[first + i]);
	}
	sqlite_add(&query->text, ")");
}

/* The members that bound a range: those behind the prefix up to the first absent one, absent being the lowest. */
static size_t bounding(const struct store_scan *scan, const struct store_value *values)
{
	size_t count = 0;
	while (scan->prefix + count < scan->order->indexed && values[scan->prefix + count].kind != VALUE_NULL)
		count++;
	return count;
}

static void add_range(struct query *query)
{
	const struct store_scan *scan = query->scan;
	size_t from = scan->from ? bounding(scan, scan->from) : 0, to = scan->to ? bounding(scan, scan->to) : 0;
	if (from) {
		sqlite_add(&query->text, " AND ");
		add_row_bound(query, scan->prefix, from, scan->from);
	}
	if (to == 1) {
		sqlite_add(&query->text, " AND \"%s\" < ?", member(query, scan->prefix));
		bind_later(query, &scan->to[scan->prefix]);
	} else if (to) {
		/* the first half lets the index end, the second is exact where later members are absent */
		sqlite_add(&query->text, " AND \"%s\" <= ? AND ", member(query, scan->prefix));
		bind_later(query, &scan->to[scan->prefix]);
		sqlite_add(&query->text, "(");
		add_row_bound(query, scan->prefix, to, scan->to);
		sqlite_add(&query->text, ") IS NOT TRUE");
	}
}

/* The members before `place` are the cursor's and this one lies behind it; or, a stage of its own, for
 * descending order, it is absent. */
static void add_stage(struct query *query, size_t place, bool absent_ones)
{
	const struct store_scan *scan = query->scan;
	const struct store_value *value = &scan->after[place];
	bool nullable = !scan->table->columns[scan->order->columns[place]].key;
	for (size_t i = scan->prefix; i < place; i++)
		add_equal(query, i, &scan->after[i]);
	if (absent_ones) {
		query->empty = !nullable || !scan->descending || value->kind == VALUE_NULL;
		sqlite_add(&query->text, " AND \"%s\" IS NULL", member(query, place));
	} else if (value->kind == VALUE_NULL) {
		query->empty = scan->descending;
		sqlite_add(&query->text, " AND \"%s\" IS NOT NULL", member(query, place));
	} else {
		sqlite_add(&query->text, " AND \"%s\" %s ?", member(query, place), scan->descending ? "<" : ">");
		bind_later(query, value);
	}
}

static void write_query(
	struct query *query, const char *columns, bool staged, size_t place, bool absent_ones, size_t most)
{
	const struct store_scan *scan = query->scan;
	const char *name = scan->table->collection->name;
	query->text.size = 0;
	query->bound_count = 0;
	query->empty = false;
	sqlite_add(&query->text, "SELECT %s FROM \"%s\"", columns, name);
	if (scan->order->name)
		sqlite_add(&query->text, " INDEXED BY \"%s.%s\"", name, scan->order->name);
	sqlite_add(&query->text, " WHERE TRUE");
	for (size_t i = 0; i < scan->prefix; i++)
		add_equal(query, i, &scan->low[i]);
	add_range(query);
	if (staged)
		add_stage(query, place, absent_ones);
	sqlite_add(&query->text, " ORDER BY ");
	for (size_t i = 0; i < scan->order->count; i++)
		sqlite_add(
			&query->text, "%s\"%s\"%s", i ? ", " : "", member(query, i), scan->descending ? " DESC" : "");
	sqlite_add(&query->text, " LIMIT ?");
	query->most = (struct store_value){.kind = VALUE_INTEGER, .integer = (int64_t)most};
	bind_later(query, &query->most);
}

static enum err run_query(struct sqlite_connection *connection, struct query *query, store_each_row *each,
	void *context, size_t *ret_count, struct err_info *info)
{
	const struct store_table *table = query->scan->table;
	struct store_value values[TABLE_COLUMNS_MAX];
	sqlite3_stmt *statement = NULL;
	if (query->text.cut)
		return err_set(info, ERR_INTERNAL, NULL, "a query of %s is too long", table->collection->name);
	enum err err = sqlite_statement(connection, query->text.text, &statement, info);
	if (err)
		return err;
	for (size_t i = 0; i < query->bound_count; i++)
		sqlite_bind(statement, (int)i + 1, query->bound[i]);
	err = hand_over(connection, statement, table, each, context, values, ret_count, info);
	sqlite_done(statement);
	return err;
}

enum err sqlite_scan(
	void *engine, const struct store_scan *scan, store_each_row *each, void *context, struct err_info *info)
{
	struct sqlite *back = engine;
	struct sqlite_file *file = &back->files[scan->table->collection->class];
	const char *columns = back->texts[scan->table->number].columns;
	struct sqlite_connection *connection = NULL;
	struct query query = {.scan = scan};
	size_t count = 0;
	enum err err = sqlite_borrow(file, &connection, info);
	if (err)
		return err;
	if (!scan->after) {
		write_query(&query, columns, false, 0, false, scan->most);
		err = run_query(connection, &query, each, context, &count, info);
	}
	for (size_t stage = scan->after ? 2 * (scan->order->count - scan->prefix) : 0; stage-- > 0 && !err;) {
		/* for one member: the rows behind it first, then those without it */
		size_t place = scan->prefix + stage / 2;
		write_query(&query, columns, true, place, stage % 2 == 0, scan->most - count);
		if (!query.empty)
			err = run_query(connection, &query, each, context, &count, info);
		if (count >= scan->most)
			break;
	}
	sqlite_return(file, connection);
	return err;
}
