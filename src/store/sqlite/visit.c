/* Decides how a whole class is shown as of one moment (one read transaction, while the writer goes on; its write-ahead log
 * grows as long), and how many jobs become one transaction. The calling thread. */
#include <string.h>

#include "sqlite.h"

/* ---- a stream and its guard keys, both in order of positions ---- */

struct guards {
	sqlite3_stmt *statement;
	bool more; /* the statement stands on a key */
	struct store_guard *items;
	size_t count, capacity;
};

static enum err guards_step(struct sqlite_connection *connection, struct guards *guards, struct err_info *info)
{
	int code = sqlite3_step(guards->statement);
	guards->more = code == SQLITE_ROW;
	return code == SQLITE_ROW || code == SQLITE_DONE ? ERR_OK
							 : sqlite_failure(connection, code, "read guard keys", info);
}

static enum err guards_add(struct guards *guards, struct arena *arena, struct err_info *info)
{
	struct store_value key = sqlite_column(guards->statement, 1);
	if (guards->count == guards->capacity) {
		size_t wider = guards->capacity ? 2 * guards->capacity : 64;
		struct store_guard *items = ARENA_ARRAY(arena, struct store_guard, wider);
		if (items && guards->count)
			memcpy(items, guards->items, guards->count * sizeof items[0]);
		guards->items = items;
		guards->capacity = items ? wider : 0;
	}
	const char *copy = guards->items ? arena_copy(arena, key.data, key.size) : NULL;
	if (!copy)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for guard keys");
	guards->items[guards->count++] = (struct store_guard){.key = copy, .size = key.size};
	return ERR_OK;
}

/* The keys of one batch; those before it belong to none that is wanted. */
static enum err guards_of(struct sqlite_connection *connection, struct guards *guards, uint64_t seq,
	struct arena *arena, struct err_info *info)
{
	enum err err = ERR_OK;
	guards->items = NULL;
	guards->count = guards->capacity = 0;
	while (!err && guards->more && (uint64_t)sqlite3_column_int64(guards->statement, 0) <= seq) {
		if ((uint64_t)sqlite3_column_int64(guards->statement, 0) == seq)
			err = guards_add(guards, arena, info);
		if (!err)
			err = guards_step(connection, guards, info);
	}
	return err;
}

static enum err prepare(struct sqlite_connection *connection, const char *text, const char *stream, uint64_t from_seq,
	sqlite3_stmt **ret_statement, struct err_info *info)
{
	enum err err = sqlite_statement(connection, text, ret_statement, info);
	if (err)
		return err;
	sqlite_bind_text(*ret_statement, 1, stream);
	sqlite3_bind_int64(*ret_statement, 2, (int64_t)from_seq);
	return ERR_OK;
}

static enum err visit_stream(struct sqlite_connection *connection, const char *stream,
	const struct store_visitor *visitor, struct arena *arena, struct err_info *info)
{
	uint64_t from_seq = visitor->from_seq(visitor->context, stream);
	sqlite3_stmt *batches = NULL;
	struct guards guards = {.statement = NULL};
	enum err err = prepare(connection,
		"SELECT " SQLITE_HEADER_COLUMNS ", payload FROM log_batches WHERE stream = ? AND seq >= ? ORDER BY seq",
		stream, from_seq, &batches, info);
	if (!err)
		err = prepare(connection, "SELECT seq, key FROM log_guards WHERE stream = ? AND seq >= ? ORDER BY seq",
			stream, from_seq, &guards.statement, info);
	if (!err)
		err = guards_step(connection, &guards, info);
	while (!err) {
		struct store_batch batch;
		int code = sqlite3_step(batches);
		if (code == SQLITE_DONE)
			break;
		arena_reset(arena);
		if (code != SQLITE_ROW)
			err = sqlite_failure(connection, code, "read a log", info);
		else
			err = sqlite_take_batch(batches, stream, arena, &batch, info);
		if (!err)
			err = guards_of(connection, &guards, batch.seq, arena, info);
		if (!err)
			err = visitor->batch(visitor->context, &batch, guards.items, guards.count, info);
	}
	sqlite_done(batches);
	sqlite_done(guards.statement);
	return err;
}

static enum err visit_logs(
	struct sqlite_connection *connection, const struct store_visitor *visitor, struct err_info *info)
{
	char stream[STORE_STREAM_SIZE], next[STORE_STREAM_SIZE];
	struct arena *arena = arena_new(0);
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to read the logs");
	enum err err = sqlite_next_stream(connection, "", true, stream, info);
	while (!err && stream[0]) {
		err = visit_stream(connection, stream, visitor, arena, info);
		if (!err)
			err = sqlite_next_stream(connection, stream, false, next, info);
		if (!err)
			memcpy(stream, next, sizeof stream);
	}
	arena_free(&arena);
	return err;
}

/* ---- rows ---- */

static enum err visit_table(struct sqlite_connection *connection, const struct store_table *table,
	const struct store_visitor *visitor, struct err_info *info)
{
	struct store_value values[TABLE_COLUMNS_MAX];
	struct sqlite_text text = {.cut = false};
	sqlite3_stmt *statement = NULL;
	sqlite_add(&text, "SELECT %s FROM \"%s\"", connection->file->back->texts[table->number].columns,
		table->collection->name);
	enum err err = sqlite_statement(connection, text.text, &statement, info);
	int code = SQLITE_DONE;
	while (!err && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		for (size_t i = 0; i < table->column_count; i++)
			values[i] = sqlite_column(statement, (int)i);
		err = visitor->row(visitor->context, table, values, info);
	}
	if (!err && code != SQLITE_DONE)
		err = sqlite_failure(connection, code, table->collection->name, info);
	sqlite_done(statement);
	return err;
}

enum err sqlite_visit(void *engine, enum store_class class, const struct store_visitor *visitor, struct err_info *info)
{
	struct sqlite *back = engine;
	struct sqlite_file *file = &back->files[class];
	struct sqlite_connection *connection = NULL;
	struct err_info ignored;
	enum err err = sqlite_borrow(file, &connection, info);
	if (err)
		return err;
	err = sqlite_run(connection, "BEGIN", info); /* its first SELECT fixes the moment */
	if (!err)
		err = visit_logs(connection, visitor, info);
	for (size_t i = 0; i < back->tables->count && !err; i++)
		if (back->tables->items[i].collection->class == class)
			err = visit_table(connection, &back->tables->items[i], visitor, info);
	enum err ended = sqlite3_get_autocommit(connection->db) ? ERR_OK : sqlite_run(connection, "ROLLBACK", &ignored);
	(void)ended; /* where it fails the connection is closed */
	sqlite_return(file, connection);
	return err;
}

/* ---- many jobs, one transaction ---- */

struct many {
	struct sqlite_request request; /* first: the writer hands it back */
	struct store_job *jobs;
	size_t count;
};

static enum err run_many(struct sqlite_file *file, struct sqlite_request *request, struct err_info *info)
{
	struct many *many = (struct many *)request;
	enum err err = ERR_OK;
	for (size_t i = 0; i < many->count && !err; i++) {
		struct sqlite_request one = {.job = &many->jobs[i]};
		err = one.job->batch ? sqlite_append(file, &one, info) : ERR_OK;
		if (!err)
			err = sqlite_change_rows(file, one.job, info);
	}
	if (err)
		file->head_count = 0; /* what was remembered is undone */
	return err;
}

enum err sqlite_write_many(
	void *engine, enum store_class class, struct store_job *jobs, size_t count, struct err_info *info)
{
	struct sqlite *back = engine;
	struct many many = {.request = {.run = run_many}, .jobs = jobs, .count = count};
	return sqlite_submit(&back->files[class], &many.request, info);
}
