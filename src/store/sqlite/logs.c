/* Decides who owns a position of a log, and refuses in three distinct ways. Appends run on the file's writer thread, inside
 * a transaction; reading is for any thread. */
#include <stdio.h>
#include <string.h>

#include "sqlite.h"

#define PRUNE_BATCHES  256 /* in one transaction */
#define DELETE_BATCHES 64

#define HEADER_COLUMNS    SQLITE_HEADER_COLUMNS
#define SELECT_FROM(more) "SELECT " HEADER_COLUMNS more " FROM log_batches WHERE stream = ? AND seq >= ? ORDER BY seq"

/* ---- rows ---- */

static enum err read_hash(sqlite3_stmt *row, int number, struct hash *ret_hash)
{
	struct store_value value = sqlite_column(row, number);
	if (value.kind != VALUE_BLOB || value.size != sizeof ret_hash->bytes)
		return ERR_STORE_CORRUPT;
	memcpy(ret_hash->bytes, value.data, sizeof ret_hash->bytes);
	return ERR_OK;
}

/* Columns as in HEADER_COLUMNS. */
static enum err read_header(sqlite3_stmt *row, const char *stream, struct store_batch *ret_batch, struct err_info *info)
{
	memset(ret_batch, 0, sizeof *ret_batch);
	snprintf(ret_batch->stream, sizeof ret_batch->stream, "%s", stream);
	ret_batch->seq = (uint64_t)sqlite3_column_int64(row, 0);
	ret_batch->term = (uint64_t)sqlite3_column_int64(row, 1);
	ret_batch->count = (uint32_t)sqlite3_column_int64(row, 2);
	ret_batch->written_at_us = sqlite3_column_int64(row, 6);
	sqlite_column_copy(row, 7, ret_batch->node, sizeof ret_batch->node);
	if (read_hash(row, 3, &ret_batch->prev_hash) || read_hash(row, 4, &ret_batch->payload_hash) ||
		read_hash(row, 5, &ret_batch->hash))
		return err_set(info, ERR_STORE_CORRUPT, NULL, "log %s: batch %llu has a hash of a wrong length", stream,
			(unsigned long long)ret_batch->seq);
	return ERR_OK;
}

static enum err select_head(
	struct sqlite_connection *connection, const char *stream, struct store_batch *ret_head, struct err_info *info)
{
	sqlite3_stmt *statement = NULL;
	enum err err = sqlite_statement(connection,
		"SELECT " HEADER_COLUMNS " FROM log_batches WHERE stream = ? ORDER BY seq DESC LIMIT 1", &statement,
		info);
	if (err)
		return err;
	sqlite_bind_text(statement, 1, stream);
	int code = sqlite3_step(statement);
	memset(ret_head, 0, sizeof *ret_head);
	snprintf(ret_head->stream, sizeof ret_head->stream, "%s", stream);
	if (code == SQLITE_ROW)
		err = read_header(statement, stream, ret_head, info);
	else if (code != SQLITE_DONE)
		err = sqlite_failure(connection, code, "read a log's head", info);
	sqlite_done(statement);
	return err;
}

/* ---- the writer remembers heads: nobody else writes ---- */

static enum err head_of(
	struct sqlite_file *file, const char *stream, struct sqlite_head **ret_head, struct err_info *info)
{
	for (size_t i = 0; i < file->head_count; i++)
		if (strcmp(file->heads[i].stream, stream) == 0) {
			*ret_head = &file->heads[i];
			return ERR_OK;
		}
	struct store_batch last;
	enum err err = select_head(&file->writer, stream, &last, info);
	if (err)
		return err;
	size_t place = file->head_count < SQLITE_HEADS ? file->head_count++ : file->head_next++ % SQLITE_HEADS;
	struct sqlite_head *head = &file->heads[place];
	snprintf(head->stream, sizeof head->stream, "%s", stream);
	head->seq = last.seq;
	head->hash = last.hash;
	*ret_head = head;
	return ERR_OK;
}

void sqlite_forget_append(struct sqlite_request *request)
{
	if (request->head)
		*request->head = request->head_before;
	request->head = NULL;
}

static enum err insert_batch(
	struct sqlite_file *file, const struct store_batch *batch, bool pruned, struct err_info *info)
{
	sqlite3_stmt *statement = NULL;
	enum err err = sqlite_statement(&file->writer,
		"INSERT INTO log_batches (" HEADER_COLUMNS ", stream, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		&statement, info);
	if (err)
		return err;
	sqlite3_bind_int64(statement, 1, (int64_t)batch->seq);
	sqlite3_bind_int64(statement, 2, (int64_t)batch->term);
	sqlite3_bind_int64(statement, 3, (int64_t)batch->count);
	sqlite_bind_hash(statement, 4, &batch->prev_hash);
	sqlite_bind_hash(statement, 5, &batch->payload_hash);
	sqlite_bind_hash(statement, 6, &batch->hash);
	sqlite3_bind_int64(statement, 7, batch->written_at_us);
	sqlite_bind_text(statement, 8, batch->node);
	sqlite_bind_text(statement, 9, batch->stream);
	if (!pruned)
		sqlite3_bind_blob64(statement, 10, batch->payload_size ? (const void *)batch->payload : "",
			batch->payload_size, SQLITE_STATIC);
	int code = sqlite3_step(statement);
	if ((code & 0xff) == SQLITE_CONSTRAINT)
		err = err_set(info, ERR_POSITION_TAKEN, NULL, "log %s: position %llu is taken", batch->stream,
			(unsigned long long)batch->seq);
	else if (code != SQLITE_DONE)
		err = sqlite_failure(&file->writer, code, "append to a log", info);
	sqlite_done(statement);
	return err;
}

static enum err insert_guard(struct sqlite_file *file, sqlite3_stmt *statement, const struct store_batch *batch,
	const struct store_guard *guard, struct err_info *info)
{
	sqlite_bind_text(statement, 1, batch->stream);
	sqlite3_bind_blob64(statement, 2, guard->key, guard->size, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 3, (int64_t)batch->seq);
	int code = sqlite3_step(statement);
	if ((code & 0xff) == SQLITE_CONSTRAINT) {
		char text[2 * STORE_GUARD_BYTES_MAX + 1];
		return err_set(info, ERR_GUARD_TAKEN, NULL, "log %s: guard key %s is taken", batch->stream,
			hex_text(guard->key, guard->size, text));
	}
	if (code != SQLITE_DONE)
		return sqlite_failure(&file->writer, code, "take a guard key", info);
	sqlite3_reset(statement);
	return ERR_OK;
}

static enum err insert_guards(struct sqlite_file *file, const struct store_job *job, struct err_info *info)
{
	if (job->guard_count == 0)
		return ERR_OK;
	sqlite3_stmt *statement = NULL;
	enum err err = sqlite_statement(
		&file->writer, "INSERT INTO log_guards (stream, key, seq) VALUES (?, ?, ?)", &statement, info);
	for (size_t i = 0; i < job->guard_count && !err; i++)
		err = insert_guard(file, statement, job->batch, &job->guards[i], info);
	sqlite_done(statement);
	return err;
}

enum err sqlite_append(struct sqlite_file *file, struct sqlite_request *request, struct err_info *info)
{
	struct store_batch *batch = request->job->batch;
	struct sqlite_head *head = NULL;
	enum err err = head_of(file, batch->stream, &head, info);
	if (err)
		return err;
	if (batch->seq != head->seq + 1)
		return err_set(info, ERR_POSITION_TAKEN, NULL, "log %s: position %llu asked for, %llu is next",
			batch->stream, (unsigned long long)batch->seq, (unsigned long long)head->seq + 1);
	store_batch_close(batch, head->hash);
	err = insert_batch(file, batch, request->job->pruned, info);
	if (!err)
		err = insert_guards(file, request->job, info);
	if (err)
		return err;
	request->head = head;
	request->head_before = *head;
	head->seq = batch->seq;
	head->hash = batch->hash;
	return ERR_OK;
}

bool sqlite_reads_back(struct sqlite_file *file, const struct store_batch *batch)
{
	sqlite3_stmt *statement = NULL;
	struct err_info ignored;
	if (sqlite_statement(&file->writer, "SELECT " HEADER_COLUMNS " FROM log_batches WHERE stream = ? AND seq = ?",
		    &statement, &ignored))
		return false;
	sqlite_bind_text(statement, 1, batch->stream);
	sqlite3_bind_int64(statement, 2, (int64_t)batch->seq);
	struct store_batch stored;
	bool ours = sqlite3_step(statement) == SQLITE_ROW &&
		    read_header(statement, batch->stream, &stored, &ignored) == ERR_OK && stored.term == batch->term &&
		    strcmp(stored.node, batch->node) == 0 && hash_equal(stored.hash, batch->hash);
	sqlite_done(statement);
	return ours;
}

/* ---- reading ---- */

enum err sqlite_log_head(
	void *engine, enum store_class class, const char *stream, struct store_batch *ret_head, struct err_info *info)
{
	struct sqlite_file *file = &((struct sqlite *)engine)->files[class];
	struct sqlite_connection *connection = NULL;
	enum err err = sqlite_borrow(file, &connection, info);
	if (err)
		return err;
	err = select_head(connection, stream, ret_head, info);
	sqlite_return(file, connection);
	return err;
}

enum err sqlite_take_batch(sqlite3_stmt *row, const char *stream, struct arena *arena, struct store_batch *ret_batch,
	struct err_info *info)
{
	enum err err = read_header(row, stream, ret_batch, info);
	struct store_value payload = sqlite_column(row, 8);
	if (err || payload.kind == VALUE_NULL)
		return err;
	ret_batch->payload = (const uint8_t *)arena_copy(arena, payload.data, payload.size);
	ret_batch->payload_size = payload.size;
	return ret_batch->payload ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory to read log %s", stream);
}

enum err sqlite_log_some(void *engine, enum store_class class, const char *stream, uint64_t from_seq, size_t most,
	size_t bytes, struct arena *arena, struct store_batch *ret_batches, size_t *ret_count, struct err_info *info)
{
	struct sqlite_file *file = &((struct sqlite *)engine)->files[class];
	struct sqlite_connection *connection = NULL;
	sqlite3_stmt *statement = NULL;
	*ret_count = 0;
	enum err err = sqlite_borrow(file, &connection, info);
	if (err)
		return err;
	err = sqlite_statement(connection, bytes ? SELECT_FROM(", payload") : SELECT_FROM(", NULL"), &statement, info);
	if (err)
		goto out;
	sqlite_bind_text(statement, 1, stream);
	sqlite3_bind_int64(statement, 2, (int64_t)from_seq);
	size_t taken = 0;
	while (!err && *ret_count < most && (*ret_count == 0 || bytes == 0 || taken < bytes)) {
		int code = sqlite3_step(statement);
		if (code == SQLITE_DONE)
			break;
		if (code != SQLITE_ROW)
			err = sqlite_failure(connection, code, "read a log", info);
		else
			err = sqlite_take_batch(statement, stream, arena, &ret_batches[*ret_count], info);
		if (!err)
			taken += ret_batches[(*ret_count)++].payload_size;
	}
out:
	sqlite_done(statement);
	sqlite_return(file, connection);
	return err;
}

enum err sqlite_next_stream(struct sqlite_connection *connection, const char *after, bool inclusive,
	char ret_stream[STORE_STREAM_SIZE], struct err_info *info)
{
	sqlite3_stmt *statement = NULL;
	enum err err = sqlite_statement(connection,
		inclusive ? "SELECT stream FROM log_batches WHERE stream >= ? ORDER BY stream LIMIT 1"
			  : "SELECT stream FROM log_batches WHERE stream > ? ORDER BY stream LIMIT 1",
		&statement, info);
	if (err)
		return err;
	sqlite_bind_text(statement, 1, after);
	int code = sqlite3_step(statement);
	char found[STORE_STREAM_SIZE] = "";
	if (code == SQLITE_ROW)
		sqlite_column_copy(statement, 0, found, sizeof found);
	else if (code != SQLITE_DONE)
		err = sqlite_failure(connection, code, "list the logs", info);
	sqlite_done(statement);
	memcpy(ret_stream, found, sizeof found);
	return err;
}

enum err sqlite_log_streams(void *engine, enum store_class class, const char *prefix, struct arena *arena,
	const char ***ret_names, size_t *ret_count, struct err_info *info)
{
	struct sqlite_file *file = &((struct sqlite *)engine)->files[class];
	struct sqlite_connection *connection = NULL;
	char name[STORE_STREAM_SIZE];
	size_t capacity = 0;
	*ret_names = NULL;
	*ret_count = 0;
	enum err err = sqlite_borrow(file, &connection, info);
	if (err)
		return err;
	err = sqlite_next_stream(connection, prefix, true, name, info);
	while (!err && name[0] && strncmp(name, prefix, strlen(prefix)) == 0) {
		if (*ret_count == capacity) {
			size_t wider = capacity ? 2 * capacity : 16;
			const char **names = ARENA_ARRAY(arena, const char *, wider);
			for (size_t i = 0; names && i < capacity; i++)
				names[i] = (*ret_names)[i];
			*ret_names = names;
			capacity = wider;
		}
		const char *kept = *ret_names ? arena_copy(arena, name, strlen(name)) : NULL;
		if (!kept) {
			err = err_set(info, ERR_NO_MEMORY, NULL, "no memory to list the logs");
			break;
		}
		(*ret_names)[(*ret_count)++] = kept;
		err = sqlite_next_stream(connection, kept, false, name, info);
	}
	sqlite_return(file, connection);
	return err;
}

/* ---- prune and delete, some batches a transaction ---- */

static enum err run_two(struct sqlite_file *file, const char *text, const char *stream, uint64_t a, uint64_t b,
	int *ret_changes, struct err_info *info)
{
	sqlite3_stmt *statement = NULL;
	enum err err = sqlite_statement(&file->writer, text, &statement, info);
	if (err)
		return err;
	sqlite_bind_text(statement, 1, stream);
	sqlite3_bind_int64(statement, 2, (int64_t)a);
	if (sqlite3_bind_parameter_count(statement) > 2)
		sqlite3_bind_int64(statement, 3, (int64_t)b);
	int code = sqlite3_step(statement);
	if (code != SQLITE_DONE)
		err = sqlite_failure(&file->writer, code, "shorten a log", info);
	*ret_changes = sqlite3_changes(file->writer.db);
	sqlite_done(statement);
	return err;
}

static enum err pruned_below(struct sqlite_file *file, const char *stream, uint64_t *ret_seq, struct err_info *info)
{
	sqlite3_stmt *statement = NULL;
	enum err err =
		sqlite_statement(&file->writer, "SELECT below FROM log_pruned WHERE stream = ?", &statement, info);
	if (err)
		return err;
	sqlite_bind_text(statement, 1, stream);
	int code = sqlite3_step(statement);
	*ret_seq = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 1;
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		err = sqlite_failure(&file->writer, code, "shorten a log", info);
	sqlite_done(statement);
	return err;
}

static enum err prune_some(struct sqlite_file *file, struct sqlite_request *request, struct err_info *info)
{
	uint64_t below = 1;
	struct sqlite_head *head = NULL;
	enum err err = pruned_below(file, request->stream, &below, info);
	if (!err)
		err = head_of(file, request->stream, &head, info);
	if (err)
		return err;
	uint64_t goal = request->seq > head->seq + 1 ? head->seq + 1 : request->seq;
	if (below >= goal)
		return ERR_OK;
	uint64_t next = goal - below > PRUNE_BATCHES ? below + PRUNE_BATCHES : goal;
	int changes = 0;
	err = run_two(file, "UPDATE log_batches SET payload = NULL WHERE stream = ? AND seq >= ? AND seq < ?",
		request->stream, below, next, &changes, info);
	if (!err)
		err = run_two(file,
			"INSERT INTO log_pruned (stream, below) VALUES (?, ?)"
			" ON CONFLICT (stream) DO UPDATE SET below = excluded.below",
			request->stream, next, 0, &changes, info);
	request->more = next < goal;
	return err;
}

/* From the end, so that what is left is never taken for whole. */
static enum err delete_some(struct sqlite_file *file, struct sqlite_request *request, struct err_info *info)
{
	int changes = 0;
	struct sqlite_head *head = NULL;
	enum err err = head_of(file, request->stream, &head, info);
	if (err)
		return err;
	uint64_t first = head->seq > DELETE_BATCHES ? head->seq - DELETE_BATCHES + 1 : 1;
	err = run_two(file, "DELETE FROM log_batches WHERE stream = ? AND seq >= ?", request->stream, first, 0,
		&changes, info);
	file->head_count = 0; /* asked anew next time, whatever becomes of this transaction */
	if (err)
		return err;
	request->more = first > 1;
	if (request->more)
		return ERR_OK;
	err = run_two(
		file, "DELETE FROM log_guards WHERE stream = ? AND seq >= ?", request->stream, 0, 0, &changes, info);
	return err ? err
		   : run_two(file, "DELETE FROM log_pruned WHERE stream = ? AND below >= ?", request->stream, 0, 0,
			     &changes, info);
}

static enum err repeat(struct sqlite_file *file, struct sqlite_request *request, struct err_info *info)
{
	enum err err;
	do
		err = sqlite_submit(file, request, info);
	while (!err && request->more);
	return err;
}

enum err sqlite_log_prune(void *engine, enum store_class class, const char *stream, uint64_t seq, struct err_info *info)
{
	struct sqlite_request request = {.run = prune_some, .stream = stream, .seq = seq, .frees = true};
	return repeat(&((struct sqlite *)engine)->files[class], &request, info);
}

enum err sqlite_log_delete(void *engine, enum store_class class, const char *stream, struct err_info *info)
{
	struct sqlite_request request = {.run = delete_some, .stream = stream, .frees = true};
	return repeat(&((struct sqlite *)engine)->files[class], &request, info);
}
