/* Decides whether a row's condition holds and carries the change out: as one operation with the condition in its filter, as a
 * bulk of views, or row by row in a transaction. One try each; write.c decides what follows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mongo.h"

#define RUN_CHANGES 1000 /* rows of one collection asked for and written together */
#define SEEN_PLACES 4096 /* more than twice of it; a power of two */

/* ---- verdicts ---- */

static enum mongo_fate condition_failed(struct store_job *job, size_t number, struct err_info *info)
{
	job->refused = number;
	err_set(info, ERR_CONDITION_FAILED, NULL, "a row of %s has changed since it was read",
		job->changes[number].table->collection->name);
	return FATE_REFUSED;
}

static bool is_primary(const char *index)
{
	return strcmp(index, "_id_") == 0 || strcmp(index, MONGO_KEY_INDEX) == 0;
}

static const struct store_order *order_named(const struct store_table *table, const char *index)
{
	for (size_t i = 1; i < table->order_count; i++) {
		char name[MONGO_NAME_SIZE];
		mongo_index_name(&table->orders[i], name);
		size_t size = strlen(name);
		if (strncmp(index, name, size) == 0 && (index[size] == 0 || strcmp(index + size, ".unique") == 0))
			return &table->orders[i];
	}
	return NULL;
}

/* Where a row is both there and not what the filter takes, its insertion collides with itself in every unique index, and the
 * server names any of them. */
static bool is_there(struct mongo_use *use, const struct store_row_change *change)
{
	struct err_info fault;
	struct mongo_found found;
	bson_t filter = BSON_INITIALIZER, *options = BCON_NEW("limit", BCON_INT64(1));
	mongo_add_key(&filter, change->table, change->values);
	bool there =
		mongo_find(use, change->table->collection->name, &filter, options, 1, 0, &found, &fault) == ERR_OK &&
		found.count == 1;
	mongo_found_free(&found);
	bson_destroy(&filter);
	bson_destroy(options);
	return there;
}

/* A duplicate key of the row's own key is a lost race or a condition; one of another index is the row's fault. */
static enum mongo_fate duplicate(
	struct mongo_use *use, struct store_job *job, size_t number, const char *message, struct err_info *info)
{
	const struct store_row_change *change = &job->changes[number];
	bool filtered = change->condition != STORE_ALWAYS && change->condition != STORE_EQUALS;
	char index[MONGO_NAME_SIZE], pointer[128] = "";
	mongo_index_of(message, index);
	job->refused = number;
	if (is_primary(index))
		return FATE_CONFLICT;
	if (filtered && !mongoc_client_session_in_transaction(use->session) && is_there(use, change))
		return FATE_CONFLICT;
	const struct store_order *order = order_named(change->table, index);
	if (order)
		snprintf(pointer, sizeof pointer, "/%s",
			change->table->columns[order->columns[order->indexed - 1]].name);
	err_set(info, ERR_DUPLICATE, pointer, "another row of %s has this %s", change->table->collection->name,
		pointer[0] ? pointer + 1 : "value");
	return FATE_REFUSED;
}

static enum mongo_fate too_large(struct store_job *job, size_t number, struct err_info *info)
{
	job->refused = number;
	err_set(info, ERR_TOO_LARGE, NULL, "a row of %s is too large for a document",
		job->changes[number].table->collection->name);
	return FATE_REFUSED;
}

static enum mongo_fate no_memory(struct err_info *info)
{
	err_set(info, ERR_NO_MEMORY, NULL, "no memory for the write");
	return FATE_REFUSED;
}

/* ---- the condition as a filter ---- */

/* "Not at least" is below or absent, in one condition. */
static void add_below(bson_t *filter, const struct store_row_change *change)
{
	const struct store_column *column = &change->table->columns[change->column];
	const char *name = mongo_member(change->table, change->column);
	bool inclusive = change->condition == STORE_AT_MOST;
	bson_t member, inner;
	if (change->expected.kind == VALUE_NULL && inclusive) {
		bson_append_null(filter, name, -1);
		return;
	}
	bson_append_document_begin(filter, name, -1, &member);
	if (change->expected.kind == VALUE_NULL) {
		bson_append_minkey(&member, "$lt", -1); /* nothing is below what is absent */
	} else {
		bson_append_document_begin(&member, "$not", -1, &inner);
		mongo_add(&inner, inclusive ? "$gt" : "$gte", column, &change->expected);
		bson_append_document_end(&member, &inner);
	}
	bson_append_document_end(filter, &member);
}

static void write_filter(bson_t *filter, const struct store_row_change *change)
{
	mongo_add_key(filter, change->table, change->values);
	if (change->condition == STORE_EQUALS)
		mongo_add(filter, mongo_member(change->table, change->column), &change->table->columns[change->column],
			&change->expected);
	else if (change->condition == STORE_BELOW || change->condition == STORE_AT_MOST)
		add_below(filter, change);
}

/* ---- one operation ---- */

bool mongo_is_one(const struct store_job *job)
{
	const struct store_row_change *change = job->changes;
	return !job->batch && job->change_count == 1 && !job->skip_below &&
	       (change->verb == STORE_PUT || change->condition == STORE_ALWAYS || change->condition == STORE_EQUALS);
}

static int64_t counted(const bson_t *reply, const char *name)
{
	bson_iter_t member;
	return bson_iter_init_find(&member, reply, name) ? bson_iter_as_int64(&member) : 0;
}

static bool run_one(mongoc_collection_t *collection, const struct store_row_change *change, const bson_t *filter,
	const bson_t *row, bson_t *options, bson_t *reply, bson_error_t *error)
{
	if (change->verb == STORE_DELETE)
		return mongoc_collection_delete_one(collection, filter, options, reply, error);
	if (change->condition == STORE_ABSENT)
		return mongoc_collection_insert_one(collection, row, options, reply, error);
	if (change->condition != STORE_EQUALS)
		bson_append_bool(options, "upsert", -1, true);
	return mongoc_collection_replace_one(collection, filter, row, options, reply, error);
}

static enum mongo_fate judge_one(struct mongo_use *use, struct store_job *job, bool done, const bson_t *reply,
	const bson_error_t *error, struct err_info *info)
{
	const struct store_row_change *change = job->changes;
	if (done && change->condition == STORE_EQUALS &&
		counted(reply, change->verb == STORE_PUT ? "matchedCount" : "deletedCount") == 0)
		return condition_failed(job, 0, info);
	if (done)
		return FATE_DONE;
	enum mongo_fate fate = mongo_fate_of(reply, error);
	if (fate != FATE_DUPLICATE) {
		mongo_failure(use->back, reply, error, change->table->collection->name, info);
		return fate;
	}
	fate = duplicate(use, job, 0, error->message, info);
	/* the row is there, and the filter did not take it; but for STORE_ALWAYS, where another one inserted it just now */
	return fate == FATE_CONFLICT && change->condition != STORE_ALWAYS ? condition_failed(job, 0, info) : fate;
}

enum mongo_fate mongo_change_one(struct mongo_use *use, struct store_job *job, struct err_info *info)
{
	const struct store_row_change *change = job->changes;
	const struct store_collection *kept = change->table->collection;
	bson_t filter = BSON_INITIALIZER, row = BSON_INITIALIZER, reply;
	bson_error_t error;
	enum mongo_fate fate;
	job->refused = 0;
	write_filter(&filter, change);
	if (change->verb == STORE_PUT && !mongo_add_row(&row, change->table, change->values)) {
		fate = too_large(job, 0, info);
		goto out;
	}
	mongoc_collection_t *collection = mongo_collection(use, kept->name, job->class);
	bson_t *options = mongo_options(use);
	bool done = run_one(collection, change, &filter, &row, options, &reply, &error);
	fate = judge_one(use, job, done, &reply, &error, info);
	bson_destroy(&reply);
	bson_destroy(options);
	mongoc_collection_destroy(collection);
out:
	bson_destroy(&filter);
	bson_destroy(&row);
	return fate;
}

enum err mongo_row_stands(
	struct mongo_use *use, const struct store_row_change *change, bool *ret_stands, struct err_info *info)
{
	bson_t filter = BSON_INITIALIZER, row = BSON_INITIALIZER, *options = BCON_NEW("limit", BCON_INT64(1));
	struct mongo_found found;
	struct store_value values[MONGO_MEMBERS_MAX];
	mongo_add_key(&filter, change->table, change->values);
	enum err err = mongo_find(use, change->table->collection->name, &filter, options, 1, 0, &found, info);
	if (err)
		goto out;
	*ret_stands = change->verb == STORE_DELETE ? found.count == 0 : false;
	if (change->verb == STORE_PUT && found.count == 1) {
		/* written as we would write it, so that members of the server's own play no part */
		bson_t stored = BSON_INITIALIZER;
		err = mongo_read_row(change->table, found.documents[0], values, info);
		*ret_stands = !err && mongo_add_row(&stored, change->table, values) &&
			      mongo_add_row(&row, change->table, change->values) && bson_equal(&stored, &row);
		bson_destroy(&stored);
	}
	mongo_found_free(&found);
out:
	bson_destroy(options);
	bson_destroy(&filter);
	bson_destroy(&row);
	return err;
}

/* ---- a run: changes of one collection, no key twice. Collections take turns in the order in which they first appear, so
 * that rows which alternate between them cost no round trip each. ---- */

struct run {
	const struct store_table *table;
	size_t count;
	size_t numbers[RUN_CHANGES]; /* of the changes */
	uint64_t seen[SEEN_PLACES];  /* hashes of keys; 0: free */
	size_t slot[SEEN_PLACES];    /* among numbers */
};

static uint64_t hash_key(const struct store_table *table, const struct store_value *values)
{
	bson_t key = BSON_INITIALIZER;
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
	mongo_add_key(&key, table, values);
	const uint8_t *data = bson_get_data(&key);
	for (uint32_t i = 0; i < key.len; i++)
		hash = (hash ^ data[i]) * UINT64_C(1099511628211);
	bson_destroy(&key);
	return hash ? hash : 1;
}

static size_t place_of(const struct run *run, uint64_t hash)
{
	size_t place = hash % SEEN_PLACES;
	while (run->seen[place] && run->seen[place] != hash)
		place = (place + 1) % SEEN_PLACES;
	return place;
}

/* The next run of what is not taken; empty when all is. Two keys of one hash end a run as one key twice does: it costs a
 * round trip. */
static void find_run(const struct store_job *job, bool *taken, struct run *ret_run)
{
	size_t first = 0;
	memset(ret_run, 0, sizeof *ret_run);
	while (first < job->change_count && taken[first])
		first++;
	if (first == job->change_count)
		return;
	ret_run->table = job->changes[first].table;
	for (size_t i = first; i < job->change_count && ret_run->count < RUN_CHANGES; i++) {
		if (taken[i] || job->changes[i].table != ret_run->table)
			continue;
		uint64_t hash = hash_key(ret_run->table, job->changes[i].values);
		size_t place = place_of(ret_run, hash);
		if (ret_run->seen[place])
			break;
		ret_run->seen[place] = hash;
		ret_run->slot[place] = ret_run->count;
		ret_run->numbers[ret_run->count++] = i;
		taken[i] = true;
	}
}

static bool add_to_bulk(mongoc_bulk_operation_t *bulk, const struct store_row_change *change, bool conditional)
{
	bson_t filter = BSON_INITIALIZER, row = BSON_INITIALIZER, *options = BCON_NEW("upsert", BCON_BOOL(true));
	bson_error_t error;
	if (conditional)
		write_filter(&filter, change);
	else
		mongo_add_key(&filter, change->table, change->values);
	bool fits = true;
	if (change->verb == STORE_DELETE)
		fits = mongoc_bulk_operation_remove_one_with_opts(bulk, &filter, NULL, &error);
	else
		fits = mongo_add_row(&row, change->table, change->values) &&
		       mongoc_bulk_operation_replace_one_with_opts(bulk, &filter, &row, options, &error);
	bson_destroy(&filter);
	bson_destroy(&row);
	bson_destroy(options);
	return fits;
}

static mongoc_bulk_operation_t *start_bulk(
	struct mongo_use *use, const struct run *run, bool ordered, mongoc_collection_t **ret_collection)
{
	*ret_collection = mongo_collection(use, run->table->collection->name, run->table->collection->class);
	bson_t *options = mongo_options(use);
	bson_append_bool(options, "ordered", -1, ordered);
	mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(*ret_collection, options);
	bson_destroy(options);
	return bulk;
}

/* What the server said of the first operation of a bulk that failed but for those that were to be skipped. */
static enum mongo_fate judge_bulk(struct mongo_use *use, struct store_job *job, const size_t *numbers, size_t count,
	const bson_t *reply, const bson_error_t *error, struct err_info *info)
{
	bson_iter_t member, errors, detail;
	bool any = false;
	if (bson_iter_init_find(&member, reply, "writeErrors") && bson_iter_recurse(&member, &errors))
		while (bson_iter_next(&errors)) {
			int64_t index = 0;
			bson_error_t one = {.domain = MONGOC_ERROR_SERVER};
			any = true;
			if (!bson_iter_recurse(&errors, &detail))
				continue;
			while (bson_iter_next(&detail)) {
				if (strcmp(bson_iter_key(&detail), "index") == 0)
					index = bson_iter_as_int64(&detail);
				else if (strcmp(bson_iter_key(&detail), "code") == 0)
					one.code = (uint32_t)bson_iter_as_int64(&detail);
				else if (strcmp(bson_iter_key(&detail), "errmsg") == 0 && BSON_ITER_HOLDS_UTF8(&detail))
					snprintf(one.message, sizeof one.message, "%s", bson_iter_utf8(&detail, NULL));
			}
			if (index < 0 || (size_t)index >= count)
				continue;
			size_t number = numbers[index];
			enum mongo_fate fate = mongo_fate_of(NULL, &one);
			if (fate == FATE_DUPLICATE)
				fate = duplicate(use, job, number, one.message, info);
			else
				mongo_failure(
					use->back, NULL, &one, job->changes[number].table->collection->name, info);
			if (fate == FATE_CONFLICT && mongo_is_views(job) &&
				job->changes[number].condition == STORE_BELOW)
				continue; /* the stored row is not below */
			job->refused = number;
			return fate;
		}
	bson_iter_t concern;
	bool lost = bson_iter_init_find(&member, reply, "writeConcernErrors") && bson_iter_recurse(&member, &concern) &&
		    bson_iter_next(&concern);
	bool cut = error->domain == MONGOC_ERROR_STREAM || error->domain == MONGOC_ERROR_SERVER_SELECTION;
	if (any && !lost && !cut)
		return FATE_DONE;
	mongo_failure(use->back, reply, error, "bulk", info);
	return lost || (any && cut) ? FATE_UNKNOWN : mongo_fate_of(reply, error);
}

static enum mongo_fate run_bulk(struct mongo_use *use, struct store_job *job, mongoc_bulk_operation_t *bulk,
	const size_t *numbers, size_t count, struct err_info *info)
{
	bson_t reply;
	bson_error_t error;
	enum mongo_fate fate = FATE_DONE;
	bool done = mongoc_bulk_operation_execute(bulk, &reply, &error) != 0;
	if (!done)
		fate = judge_bulk(use, job, numbers, count, &reply, &error, info);
	bson_destroy(&reply);
	return fate;
}

/* ---- views ---- */

bool mongo_is_views(const struct store_job *job)
{
	for (size_t i = 0; i < job->change_count; i++)
		if (job->changes[i].condition != STORE_ALWAYS && job->changes[i].condition != STORE_BELOW)
			return false;
	return job->skip_below && !job->batch;
}

static enum mongo_fate write_views(
	struct mongo_use *use, struct store_job *job, const struct run *run, struct err_info *info)
{
	mongoc_collection_t *collection = NULL;
	mongoc_bulk_operation_t *bulk = start_bulk(use, run, false, &collection);
	enum mongo_fate fate = FATE_DONE;
	for (size_t i = 0; i < run->count && fate == FATE_DONE; i++)
		if (!add_to_bulk(bulk, &job->changes[run->numbers[i]], true))
			fate = too_large(job, run->numbers[i], info);
	if (fate == FATE_DONE)
		fate = run_bulk(use, job, bulk, run->numbers, run->count, info);
	mongoc_bulk_operation_destroy(bulk);
	mongoc_collection_destroy(collection);
	return fate;
}

enum mongo_fate mongo_change_views(struct mongo_use *use, struct store_job *job, struct err_info *info)
{
	enum mongo_fate fate = FATE_DONE;
	struct run *run = malloc(sizeof *run);
	bool *taken = calloc(job->change_count, sizeof *taken);
	if (!run || !taken)
		fate = no_memory(info);
	while (fate == FATE_DONE) {
		find_run(job, taken, run);
		if (run->count == 0)
			break;
		fate = write_views(use, job, run, info);
	}
	free(run);
	free(taken);
	return fate;
}

/* ---- in a transaction ---- */

struct stored {
	bool found;
	struct store_value value; /* of the condition's member */
};

static bool is_same(const struct store_value *a, const struct store_value *b)
{
	if (a->kind != b->kind || a->size != b->size)
		return false;
	bool borrowed = a->kind == VALUE_TEXT || a->kind == VALUE_BLOB;
	return borrowed ? a->size == 0 || memcmp(a->data, b->data, a->size) == 0 : a->integer == b->integer;
}

/* The keys that share the first member of key `first`, as one range of its index: that member, and a list of second ones. Keys
 * of one member are one list. What is found may be more than what was asked for. */
static void write_keys(bson_t *filter, const struct store_job *job, const struct run *run, size_t first, bool *asked)
{
	const struct store_table *table = run->table;
	size_t leading = table->key[0], listed = table->key[table->key_count > 1];
	const struct store_value *shared = &job->changes[run->numbers[first]].values[leading];
	bson_t member, list;
	uint32_t count = 0;
	if (table->key_count > 1)
		mongo_add(filter, mongo_member(table, leading), &table->columns[leading], shared);
	bson_append_document_begin(filter, mongo_member(table, listed), -1, &member);
	bson_append_array_begin(&member, "$in", -1, &list);
	for (size_t i = first; i < run->count; i++) {
		const struct store_row_change *change = &job->changes[run->numbers[i]];
		if (asked[i] || change->condition == STORE_ALWAYS ||
			(table->key_count > 1 && !is_same(shared, &change->values[leading])))
			continue;
		char buffer[16];
		const char *key = NULL;
		bson_uint32_to_string(count++, &key, buffer, sizeof buffer);
		mongo_add(&list, key, &table->columns[listed], &change->values[listed]);
		asked[i] = true;
	}
	bson_append_array_end(&member, &list);
	bson_append_document_end(filter, &member);
}

static bool add_name(bson_t *projection, const char *name)
{
	return bson_has_field(projection, name) || bson_append_int32(projection, name, -1, 1);
}

static bson_t *write_projection(const struct store_job *job, const struct run *run)
{
	const struct store_table *table = run->table;
	bson_t *options = bson_new(), projection = BSON_INITIALIZER;
	for (size_t i = 0; i < table->key_count; i++)
		add_name(&projection, mongo_member(table, table->key[i]));
	for (size_t i = 0; i < run->count; i++)
		if (job->changes[run->numbers[i]].condition != STORE_ALWAYS &&
			job->changes[run->numbers[i]].condition != STORE_ABSENT)
			add_name(&projection, mongo_member(table, job->changes[run->numbers[i]].column));
	bson_append_document(options, "projection", -1, &projection);
	bson_destroy(&projection);
	return options;
}

/* The values are borrowed from what was found. */
static enum err read_stored(struct mongo_use *use, const struct store_job *job, const struct run *run,
	struct mongo_found *ret_found, struct stored *ret_stored, struct err_info *info)
{
	const struct store_table *table = run->table;
	struct store_value values[MONGO_MEMBERS_MAX];
	bson_t *options = write_projection(job, run);
	bool asked[RUN_CHANGES] = {false};
	enum err err = ERR_OK;
	*ret_found = (struct mongo_found){.count = 0};
	memset(ret_stored, 0, run->count * sizeof *ret_stored);
	for (size_t i = 0; i < run->count && !err; i++) {
		if (asked[i] || job->changes[run->numbers[i]].condition == STORE_ALWAYS)
			continue;
		bson_t filter = BSON_INITIALIZER;
		write_keys(&filter, job, run, i, asked);
		err = mongo_find_more(use, table->collection->name, &filter, options, ret_found, info);
		bson_destroy(&filter);
	}
	bson_destroy(options);
	for (size_t i = 0; i < ret_found->count && !err; i++) {
		err = mongo_read_row(table, ret_found->documents[i], values, info);
		size_t place = err ? 0 : place_of(run, hash_key(table, values));
		if (err || !run->seen[place])
			continue;
		size_t slot = run->slot[place];
		ret_stored[slot] =
			(struct stored){.found = true, .value = values[job->changes[run->numbers[slot]].column]};
	}
	return err;
}

static enum mongo_fate change_run(struct mongo_use *use, struct store_job *job, const struct run *run,
	struct stored *stored, size_t *numbers, struct err_info *info)
{
	struct mongo_found found;
	mongoc_collection_t *collection = NULL;
	enum err err = read_stored(use, job, run, &found, stored, info);
	if (err) {
		mongo_found_free(&found);
		return err == ERR_BUSY ? FATE_CONFLICT : FATE_REFUSED;
	}
	mongoc_bulk_operation_t *bulk = start_bulk(use, run, true, &collection);
	enum mongo_fate fate = FATE_DONE;
	size_t count = 0;
	for (size_t i = 0; i < run->count && fate == FATE_DONE; i++) {
		const struct store_row_change *change = &job->changes[run->numbers[i]];
		if (!store_condition_holds(change, stored[i].found, &stored[i].value)) {
			if (!job->skip_below || change->condition != STORE_BELOW)
				fate = condition_failed(job, run->numbers[i], info);
			continue;
		}
		numbers[count++] = run->numbers[i];
		if (!add_to_bulk(bulk, change, false))
			fate = too_large(job, run->numbers[i], info);
	}
	if (fate == FATE_DONE && count)
		fate = run_bulk(use, job, bulk, numbers, count, info);
	mongoc_bulk_operation_destroy(bulk);
	mongoc_collection_destroy(collection);
	mongo_found_free(&found);
	return fate;
}

enum mongo_fate mongo_change_all(struct mongo_use *use, struct store_job *job, struct err_info *info)
{
	enum mongo_fate fate = FATE_DONE;
	struct run *run = malloc(sizeof *run);
	struct stored *stored = malloc(RUN_CHANGES * sizeof *stored);
	size_t *numbers = malloc(RUN_CHANGES * sizeof *numbers);
	bool *taken = calloc(job->change_count, sizeof *taken);
	if (!run || !stored || !numbers || !taken)
		fate = no_memory(info);
	while (fate == FATE_DONE) {
		find_run(job, taken, run);
		if (run->count == 0)
			break;
		fate = change_run(use, job, run, stored, numbers, info);
	}
	free(run);
	free(stored);
	free(numbers);
	free(taken);
	return fate;
}
