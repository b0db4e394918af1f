/* Decides how a SQLite connection is set up, what its errors mean to us, and which prepared statements it keeps. The thread
 * that owns the connection; the pool of readers is for all threads. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite.h"

#define BUSY_MS 10000 /* a stranger's sqlite3 shell may hold the file for a moment */

const char *const sqlite_class_names[STORE_CLASS_COUNT] = {"value", "readings", "views"};

/* Rows and keys are small in value.db; batches and buckets are not in readings.db. */
static const char *const pragmas[STORE_CLASS_COUNT] = {
	("PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
	 "PRAGMA cache_size = -16000;"),
	"PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32000;",
	"PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32000;"};

/* ---- errors ---- */

static bool is_out_of_space(sqlite3 *db, int code)
{
	if ((code & 0xff) == SQLITE_FULL)
		return true;
	int system = sqlite3_system_errno(db);
	return (code == SQLITE_IOERR_WRITE || code == SQLITE_IOERR_SHMSIZE || code == SQLITE_IOERR_TRUNCATE) &&
	       (system == ENOSPC || system == EDQUOT);
}

static enum err meaning(sqlite3 *db, int code)
{
	if (is_out_of_space(db, code))
		return ERR_NO_SPACE;
	switch (code & 0xff) {
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM: return ERR_IO;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return ERR_STORE_CORRUPT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return ERR_BUSY;
	case SQLITE_NOMEM: return ERR_NO_MEMORY;
	case SQLITE_TOOBIG: return ERR_TOO_LARGE;
	default: return ERR_INTERNAL;
	}
}

enum err sqlite_failure(struct sqlite_connection *connection, int code, const char *what, struct err_info *info)
{
	struct sqlite_file *file = connection->file;
	enum err err = meaning(connection->db, code);
	if (err == ERR_STORE_CORRUPT && file->class == STORE_VIEWS && file->thread)
		sqlite_mark_views(file->back); /* found while running */
	return err_set(info, err, NULL, "%s: %s: %s (%d)", file->name, what,
		connection->db ? sqlite3_errmsg(connection->db) : sqlite3_errstr(code), code);
}

/* ---- open and close ---- */

static enum err run_pragmas(struct sqlite_connection *connection, const char *text, struct err_info *info)
{
	int code = sqlite3_exec(connection->db, text, NULL, NULL, NULL);
	return code == SQLITE_OK ? ERR_OK : sqlite_failure(connection, code, "open", info);
}

/* A file system on which SQLite cannot keep a write-ahead log (no shared memory) makes it fall back without a word. */
static enum err check_journal(struct sqlite_connection *connection, struct err_info *info)
{
	sqlite3_stmt *statement = NULL;
	enum err err = sqlite_statement(connection, "PRAGMA journal_mode", &statement, info);
	if (err)
		return err;
	char mode[16] = "";
	int code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		sqlite_column_copy(statement, 0, mode, sizeof mode);
	if (code != SQLITE_ROW)
		err = sqlite_failure(connection, code, "open", info);
	else if (strcmp(mode, "wal") != 0)
		err = err_set(info, ERR_IO, NULL, "%s: the file system does not allow a write-ahead log",
			connection->file->name);
	sqlite_done(statement);
	return err;
}

static int note_commit(void *context, sqlite3 *db, const char *name, int pages)
{
	(void)db;
	(void)name;
	struct sqlite_file *file = context;
	file->committed = true;
	file->wal_pages = pages;
	return SQLITE_OK;
}

enum err sqlite_connect(
	struct sqlite_file *file, bool writer, struct sqlite_connection *ret_connection, struct err_info *info)
{
	*ret_connection = (struct sqlite_connection){.file = file};
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	flags |= writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
	int code = sqlite3_open_v2(file->path, &ret_connection->db, flags, NULL);
	enum err err = ERR_OK;
	if (code != SQLITE_OK) {
		err = sqlite_failure(ret_connection, code, "open", info);
		goto out;
	}
	sqlite3_extended_result_codes(ret_connection->db, 1);
	sqlite3_busy_timeout(ret_connection->db, BUSY_MS);
	err = run_pragmas(ret_connection, "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;", info);
	if (!err && !writer)
		err = run_pragmas(ret_connection, "PRAGMA query_only = ON; PRAGMA cache_size = -8000;", info);
	if (!err && writer)
		err = run_pragmas(ret_connection, pragmas[file->class], info);
	if (!err && writer)
		err = run_pragmas(
			ret_connection, "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;", info);
	if (!err && writer)
		err = check_journal(ret_connection, info);
	if (!err && writer)
		sqlite3_wal_hook(ret_connection->db, note_commit, file);
out:
	if (err)
		sqlite_disconnect(ret_connection);
	return err;
}

static void drop_statements(struct sqlite_connection *connection)
{
	for (size_t i = 0; i < SQLITE_STATEMENTS; i++) {
		sqlite3_finalize(connection->statements[i]);
		connection->statements[i] = NULL;
	}
	connection->statement_count = 0;
}

void sqlite_disconnect(struct sqlite_connection *connection)
{
	drop_statements(connection);
	sqlite3_finalize(connection->rollback);
	connection->rollback = NULL;
	if (connection->db) {
		int code = sqlite3_close(connection->db);
		assert(code == SQLITE_OK); /* every statement has been finalised */
	}
	connection->db = NULL;
}

/* ---- statements ---- */

static size_t hash_text_of(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return (size_t)(hash ^ (hash >> 32));
}

static size_t free_place(const struct sqlite_connection *connection, const char *text)
{
	size_t place = hash_text_of(text) % SQLITE_STATEMENTS;
	while (connection->statements[place])
		place = (place + 1) % SQLITE_STATEMENTS;
	return place;
}

/* Keeps only those that are being stepped, by a caller further up. */
static void drop_idle_statements(struct sqlite_connection *connection)
{
	sqlite3_stmt *busy[SQLITE_STATEMENTS];
	size_t count = 0;
	for (size_t i = 0; i < SQLITE_STATEMENTS; i++) {
		if (connection->statements[i] && sqlite3_stmt_busy(connection->statements[i]))
			busy[count++] = connection->statements[i];
		else
			sqlite3_finalize(connection->statements[i]);
		connection->statements[i] = NULL;
	}
	for (size_t i = 0; i < count; i++)
		connection->statements[free_place(connection, sqlite3_sql(busy[i]))] = busy[i];
	connection->statement_count = count;
}

enum err sqlite_statement(
	struct sqlite_connection *connection, const char *text, sqlite3_stmt **ret_statement, struct err_info *info)
{
	*ret_statement = NULL;
	size_t place = hash_text_of(text) % SQLITE_STATEMENTS;
	for (; connection->statements[place]; place = (place + 1) % SQLITE_STATEMENTS)
		if (strcmp(sqlite3_sql(connection->statements[place]), text) == 0) {
			/* one in use (a nested call with the same text) cannot be shared; ours never nest */
			assert(!sqlite3_stmt_busy(connection->statements[place]));
			*ret_statement = connection->statements[place];
			return ERR_OK;
		}
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v3(connection->db, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
	if (code != SQLITE_OK)
		return sqlite_failure(connection, code, "prepare", info);
	if (connection->statement_count >= SQLITE_STATEMENTS * 3 / 4)
		drop_idle_statements(connection);
	place = free_place(connection, text);
	connection->statements[place] = statement;
	connection->statement_count++;
	*ret_statement = statement;
	return ERR_OK;
}

void sqlite_done(sqlite3_stmt *statement)
{
	if (!statement)
		return;
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
}

enum err sqlite_run(struct sqlite_connection *connection, const char *text, struct err_info *info)
{
	sqlite3_stmt *statement = NULL;
	enum err err = sqlite_statement(connection, text, &statement, info);
	if (err)
		return err;
	int code;
	do
		code = sqlite3_step(statement);
	while (code == SQLITE_ROW);
	if (code != SQLITE_DONE)
		err = sqlite_failure(connection, code, text, info);
	sqlite_done(statement);
	return err;
}

/* ---- the pool of readers ---- */

enum err sqlite_borrow(struct sqlite_file *file, struct sqlite_connection **ret_connection, struct err_info *info)
{
	struct sqlite_connection *connection = NULL;
	pthread_mutex_lock(&file->lock);
	while (file->idle_count == 0 && file->open_count == SQLITE_READERS)
		pthread_cond_wait(&file->freed, &file->lock);
	if (file->idle_count > 0)
		connection = file->idle[--file->idle_count];
	else
		file->open_count++;
	pthread_mutex_unlock(&file->lock);
	*ret_connection = connection;
	if (connection)
		return ERR_OK;
	enum err err = ERR_NO_MEMORY;
	connection = calloc(1, sizeof *connection);
	if (connection)
		err = sqlite_connect(file, false, connection, info);
	else
		err_set(info, err, NULL, "no memory for a connection");
	if (!err) {
		*ret_connection = connection;
		return ERR_OK;
	}
	free(connection);
	pthread_mutex_lock(&file->lock);
	file->open_count--;
	pthread_cond_signal(&file->freed);
	pthread_mutex_unlock(&file->lock);
	return err;
}

void sqlite_return(struct sqlite_file *file, struct sqlite_connection *connection)
{
	/* one that found no memory to end its transaction would read the same old moment for ever */
	bool good = sqlite3_get_autocommit(connection->db) != 0;
	if (!good) {
		sqlite_disconnect(connection);
		free(connection);
	}
	pthread_mutex_lock(&file->lock);
	if (good)
		file->idle[file->idle_count++] = connection;
	else
		file->open_count--;
	pthread_cond_signal(&file->freed);
	pthread_mutex_unlock(&file->lock);
}

/* ---- values and text ---- */

void sqlite_bind(sqlite3_stmt *statement, int number, const struct store_value *value)
{
	/* binding borrowed memory to a number that the statement has cannot fail but for length, which SQLite's step
	 * then reports as a misuse; lengths are bounded by the field table */
	switch (value->kind) {
	case VALUE_NULL: sqlite3_bind_null(statement, number); break;
	case VALUE_INTEGER: sqlite3_bind_int64(statement, number, value->integer); break;
	case VALUE_REAL: sqlite3_bind_double(statement, number, value->real); break;
	case VALUE_TEXT:
		sqlite3_bind_text64(statement, number, value->data, value->size, SQLITE_STATIC, SQLITE_UTF8);
		break;
	case VALUE_BLOB:
		sqlite3_bind_blob64(statement, number, value->size ? value->data : "", value->size, SQLITE_STATIC);
		break;
	}
}

void sqlite_bind_text(sqlite3_stmt *statement, int number, const char *text)
{
	sqlite3_bind_text(statement, number, text, -1, SQLITE_STATIC);
}

void sqlite_bind_hash(sqlite3_stmt *statement, int number, const struct hash *hash)
{
	sqlite3_bind_blob(statement, number, hash->bytes, sizeof hash->bytes, SQLITE_STATIC);
}

struct store_value sqlite_column(sqlite3_stmt *statement, int number)
{
	struct store_value value = {.kind = VALUE_NULL};
	switch (sqlite3_column_type(statement, number)) {
	case SQLITE_INTEGER:
		value.kind = VALUE_INTEGER;
		value.integer = sqlite3_column_int64(statement, number);
		break;
	case SQLITE_FLOAT:
		value.kind = VALUE_REAL;
		value.real = sqlite3_column_double(statement, number);
		break;
	case SQLITE_TEXT:
		value.kind = VALUE_TEXT;
		/* as it lies in the page: sqlite3_column_text wants memory for a final NUL, and gives NULL without */
		value.data = sqlite3_column_blob(statement, number);
		value.size = (size_t)sqlite3_column_bytes(statement, number);
		break;
	case SQLITE_BLOB:
		value.kind = VALUE_BLOB;
		value.data = sqlite3_column_blob(statement, number);
		value.size = (size_t)sqlite3_column_bytes(statement, number);
		break;
	default: break;
	}
	if (value.size == 0 && (value.kind == VALUE_TEXT || value.kind == VALUE_BLOB))
		value.data = "";
	return value;
}

void sqlite_column_copy(sqlite3_stmt *statement, int number, char *ret_text, size_t size)
{
	struct store_value value = sqlite_column(statement, number);
	snprintf(ret_text, size, "%.*s", value.kind == VALUE_TEXT ? (int)value.size : 0,
		value.kind == VALUE_TEXT ? (const char *)value.data : "");
}

void sqlite_add(struct sqlite_text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	size_t room = sizeof text->text - text->size;
	int written = vsnprintf(text->text + text->size, room, format, arguments);
	va_end(arguments);
	if (written < 0 || (size_t)written >= room)
		text->cut = true;
	else
		text->size += (size_t)written;
}
