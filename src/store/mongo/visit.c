/* Decides how a whole class is shown as of one moment while writers go on, and how many jobs of a restore become one bulk. The
 * calling thread.
 *
 * The moment is a transaction's snapshot: in it the heads of all logs and all rows are read. Batches never change, so they are
 * read up to those heads behind it, at leisure. The server ends a transaction after transactionLifetimeLimitSeconds (60 unless
 * the operator set more): the rows of a class must have been read by then, or the visit fails and says so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mongo.h"

#define VISIT_BATCHES 256 /* asked for at once, at most so many … */
#define VISIT_BYTES   ((size_t)16 << 20)
#define HEADS_MAX     65536

/* ---- the moment ---- */

struct heads {
	struct store_batch *items; /* headers */
	size_t count, capacity;
};

static enum err add_head(struct heads *heads, const struct store_batch *head, struct err_info *info)
{
	if (heads->count == HEADS_MAX)
		return err_set(info, ERR_TOO_LARGE, NULL, "more than %d logs", HEADS_MAX);
	if (heads->count == heads->capacity) {
		size_t capacity = heads->capacity ? 2 * heads->capacity : 16;
		struct store_batch *wider = realloc(heads->items, capacity * sizeof wider[0]);
		if (!wider)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory to read the logs");
		heads->items = wider;
		heads->capacity = capacity;
	}
	heads->items[heads->count++] = *head;
	return ERR_OK;
}

static enum err read_heads(struct mongo_use *use, enum store_class class, struct heads *heads, struct err_info *info)
{
	char stream[STORE_STREAM_SIZE], next[STORE_STREAM_SIZE];
	enum err err = mongo_next_stream(use, class, "", true, stream, info);
	while (!err && stream[0]) {
		struct store_batch head;
		err = mongo_read_head(use, class, stream, &head, info);
		if (!err)
			err = add_head(heads, &head, info);
		if (!err)
			err = mongo_next_stream(use, class, stream, false, next, info);
		if (!err)
			memcpy(stream, next, sizeof stream);
	}
	return err;
}

static enum err visit_table(struct mongo_use *use, const struct store_table *table, const struct store_visitor *visitor,
	struct err_info *info)
{
	struct store_value values[MONGO_MEMBERS_MAX];
	bson_t all = BSON_INITIALIZER, *options = mongo_options(use);
	const bson_t *document = NULL, *reply = NULL;
	bson_error_t error;
	enum err err = ERR_OK;
	mongoc_collection_t *collection = mongo_collection(use, table->collection->name, table->collection->class);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, &all, options, NULL);
	while (!err && mongoc_cursor_next(cursor, &document)) {
		err = mongo_read_row(table, document, values, info);
		if (!err)
			err = visitor->row(visitor->context, table, values, info);
	}
	if (!err && mongoc_cursor_error_document(cursor, &error, &reply))
		err = mongo_failure(use->back, reply, &error, table->collection->name, info);
	mongoc_cursor_destroy(cursor);
	mongoc_collection_destroy(collection);
	bson_destroy(options);
	bson_destroy(&all);
	return err;
}

static enum err visit_moment(struct mongo_use *use, enum store_class class, const struct store_visitor *visitor,
	struct heads *heads, struct err_info *info)
{
	const struct store_tables *tables = use->back->tables;
	bson_error_t error;
	if (!mongoc_client_session_start_transaction(use->session, NULL, &error))
		return mongo_failure(use->back, NULL, &error, "start a transaction", info);
	enum err err = read_heads(use, class, heads, info);
	for (size_t i = 0; i < tables->count && !err; i++)
		if (tables->items[i].collection->class == class)
			err = visit_table(use, &tables->items[i], visitor, info);
	mongoc_client_session_abort_transaction(use->session, &error); /* nothing was written */
	if (err == ERR_BUSY) {
		struct err_info last = *info;
		err_set(info, ERR_BUSY, NULL,
			"%.200s: the moment that was read was lost; try again, and where it lasts more than a minute, "
			"with a longer transactionLifetimeLimitSeconds on the server",
			last.detail);
	}
	return err;
}

/* ---- the batches up to it ---- */

static enum err read_guards(const bson_t *document, struct store_guard **ret_guards, size_t *ret_count,
	size_t *capacity, struct err_info *info)
{
	bson_iter_t member, keys;
	*ret_count = 0;
	if (!bson_iter_init_find(&member, document, "guards") || !bson_iter_recurse(&member, &keys))
		return ERR_OK;
	while (bson_iter_next(&keys)) {
		struct store_value key = mongo_value(&keys);
		if (*ret_count == *capacity) {
			size_t wider = *capacity ? 2 * *capacity : 64;
			struct store_guard *guards = realloc(*ret_guards, wider * sizeof guards[0]);
			if (!guards)
				return err_set(info, ERR_NO_MEMORY, NULL, "no memory for guard keys");
			*ret_guards = guards;
			*capacity = wider;
		}
		(*ret_guards)[(*ret_count)++] = (struct store_guard){.key = key.data, .size = key.size};
	}
	return ERR_OK;
}

static enum err hand_over(const struct mongo_found *found, const char *stream, const struct store_visitor *visitor,
	uint64_t *next_seq, struct err_info *info)
{
	struct store_guard *guards = NULL;
	size_t guard_count = 0, capacity = 0;
	enum err err = ERR_OK;
	for (size_t i = 0; i < found->count && !err; i++) {
		struct store_batch batch;
		err = mongo_read_batch(found->documents[i], stream, &batch, info);
		if (!err)
			err = read_guards(found->documents[i], &guards, &guard_count, &capacity, info);
		if (!err)
			err = visitor->batch(visitor->context, &batch, guards, guard_count, info);
		*next_seq = batch.seq + 1;
	}
	free(guards);
	return err;
}

static enum err visit_stream(struct mongo_use *use, enum store_class class, const struct store_batch *head,
	const struct store_visitor *visitor, struct err_info *info)
{
	uint64_t seq = visitor->from_seq(visitor->context, head->stream);
	enum err err = ERR_OK;
	while (!err && seq <= head->seq) {
		struct mongo_found found;
		bson_t *filter = BCON_NEW("stream", BCON_UTF8(head->stream), "seq", "{", "$gte",
			BCON_INT64((int64_t)seq), "$lte", BCON_INT64((int64_t)head->seq), "}");
		bson_t *options = BCON_NEW("sort", "{", "stream", BCON_INT32(1), "seq", BCON_INT32(1), "}", "limit",
			BCON_INT64(VISIT_BATCHES));
		err = mongo_find(
			use, mongo_log_names[class], filter, options, VISIT_BATCHES, VISIT_BYTES, &found, info);
		bson_destroy(filter);
		bson_destroy(options);
		if (err)
			break;
		if (found.count == 0)
			err = err_set(info, ERR_STORE_CORRUPT, NULL, "log %s: batch %llu is missing", head->stream,
				(unsigned long long)seq);
		else
			err = hand_over(&found, head->stream, visitor, &seq, info);
		mongo_found_free(&found);
	}
	return err;
}

enum err mongo_visit(void *engine, enum store_class class, const struct store_visitor *visitor, struct err_info *info)
{
	struct mongo_use use;
	struct heads heads = {.items = NULL};
	enum err err = mongo_use_start(engine, &use, info);
	if (err)
		return err;
	err = visit_moment(&use, class, visitor, &heads, info);
	for (size_t i = 0; i < heads.count && !err; i++)
		err = visit_stream(&use, class, &heads.items[i], visitor, info);
	mongo_use_end(&use);
	free(heads.items);
	return err;
}

/* ---- many jobs at once ---- */

static enum err add_batch(
	struct mongo_use *use, mongoc_bulk_operation_t *bulk, struct store_job *job, struct err_info *info)
{
	bson_t document = BSON_INITIALIZER;
	bson_error_t error;
	bson_oid_t mark;
	bson_oid_init(&mark, NULL);
	enum err err = mongo_link_batch(use, job, info);
	if (!err && (!mongo_write_batch(&document, job, &mark) ||
			    !mongoc_bulk_operation_insert_with_opts(bulk, &document, NULL, &error)))
		err = err_set(
			info, ERR_TOO_LARGE, NULL, "log %s: a batch is too large for a document", job->batch->stream);
	bson_destroy(&document);
	if (!err)
		mongo_remember_head(use->back, job->class, job->batch); /* the next one follows it */
	return err;
}

static enum err write_batches(
	struct mongo *back, enum store_class class, struct store_job *jobs, size_t count, struct err_info *info)
{
	struct mongo_use use;
	bson_t reply;
	bson_error_t error;
	enum err err = mongo_use_start(back, &use, info);
	if (err)
		return err;
	mongoc_collection_t *collection = mongo_collection(&use, mongo_log_names[class], class);
	bson_t *options = mongo_options(&use);
	mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(collection, options);
	for (size_t i = 0; i < count && !err; i++)
		err = add_batch(&use, bulk, &jobs[i], info);
	if (!err) {
		if (mongoc_bulk_operation_execute(bulk, &reply, &error) == 0)
			err = mongo_failure(back, &reply, &error, "append to logs", info);
		bson_destroy(&reply);
	}
	for (size_t i = 0; i < count && err; i++)
		mongo_forget_head(back, class, jobs[i].batch->stream, UINT64_MAX);
	mongoc_bulk_operation_destroy(bulk);
	bson_destroy(options);
	mongoc_collection_destroy(collection);
	mongo_use_end(&use);
	return err;
}

/* Rows that are put as they are may be put twice: they go as rows of views do, in bulks, and again where it is unknown. */
static enum err write_rows(
	struct mongo *back, enum store_class class, const struct store_job *jobs, size_t count, struct err_info *info)
{
	struct store_row_change *changes = calloc(count, sizeof *changes);
	if (!changes)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the write");
	for (size_t i = 0; i < count; i++)
		changes[i] = jobs[i].changes[0];
	struct store_job job = {.class = class, .changes = changes, .change_count = count, .skip_below = true};
	enum err err = mongo_write(back, &job, info);
	free(changes);
	return err;
}

enum kind { KIND_BATCH, KIND_ROW, KIND_OTHER };

static enum kind kind_of(const struct store_job *job)
{
	if (job->batch && job->change_count == 0)
		return KIND_BATCH;
	bool is_row = !job->batch && job->change_count == 1 && job->changes[0].condition == STORE_ALWAYS;
	return is_row ? KIND_ROW : KIND_OTHER;
}

enum err mongo_write_many(
	void *engine, enum store_class class, struct store_job *jobs, size_t count, struct err_info *info)
{
	enum err err = ERR_OK;
	for (size_t first = 0, next; first < count && !err; first = next) {
		enum kind kind = kind_of(&jobs[first]);
		next = first + 1;
		while (next < count && kind != KIND_OTHER && kind_of(&jobs[next]) == kind)
			next++;
		switch (kind) {
		case KIND_BATCH: err = write_batches(engine, class, jobs + first, next - first, info); break;
		case KIND_ROW: err = write_rows(engine, class, jobs + first, next - first, info); break;
		case KIND_OTHER: err = mongo_write(engine, &jobs[first], info); break;
		}
	}
	return err;
}
