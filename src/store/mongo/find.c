/* Decides how rows are found: by key, and in the order of an index from a cursor on. Any thread, on a pooled client.
 *
 * Absent members are lowest, as null is to MongoDB. A cursor's place in (a, b, c) order is left in stages, each one range of
 * the index: (a = A, b = B, c > C), then (a = A, b > B), then (a > A). */
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "mongo.h"

/* ---- a query's documents, whole ---- */

void mongo_found_free(struct mongo_found *found)
{
	for (size_t i = 0; i < found->count; i++)
		bson_destroy(found->documents[i]);
	free(found->documents);
	*found = (struct mongo_found){.count = 0};
}

static bool keep_one(struct mongo_found *found, const bson_t *document)
{
	if (found->count == found->capacity) {
		size_t capacity = found->capacity ? 2 * found->capacity : 16;
		bson_t **wider = realloc(found->documents, capacity * sizeof(bson_t *));
		if (!wider)
			return false;
		found->documents = wider;
		found->capacity = capacity;
	}
	found->documents[found->count++] = bson_copy(document);
	found->bytes += document->len;
	return true;
}

static enum err find_once(struct mongo_use *use, const char *name, const bson_t *filter, const bson_t *options,
	size_t most, size_t bytes, struct mongo_found *ret_found, bool *ret_again, struct err_info *info)
{
	mongoc_collection_t *collection = mongo_collection(use, name, STORE_VALUE);
	bson_t *with_session = mongo_options(use);
	bson_concat(with_session, options);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, filter, with_session, NULL);
	const bson_t *document = NULL, *reply = NULL;
	bson_error_t error;
	enum err err = ERR_OK;
	*ret_again = false;
	while (!err && ret_found->count < most && (ret_found->count == 0 || bytes == 0 || ret_found->bytes < bytes) &&
		mongoc_cursor_next(cursor, &document))
		if (!keep_one(ret_found, document))
			err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for a query of %s", name);
	if (!err && mongoc_cursor_error_document(cursor, &error, &reply)) {
		enum mongo_fate fate = mongo_fate_of(reply, &error);
		/* 43: the cursor died with its server */
		*ret_again = fate == FATE_UNSENT || fate == FATE_UNKNOWN || fate == FATE_CONFLICT || error.code == 43;
		err = mongo_failure(use->back, reply, &error, name, info);
	}
	mongoc_cursor_destroy(cursor);
	bson_destroy(with_session);
	mongoc_collection_destroy(collection);
	return err;
}

enum err mongo_find(struct mongo_use *use, const char *name, const bson_t *filter, const bson_t *options, size_t most,
	size_t bytes, struct mongo_found *ret_found, struct err_info *info)
{
	/* in a transaction a failed read ends it: the caller begins anew */
	bool alone = !use->session || !mongoc_client_session_in_transaction(use->session);
	int64_t deadline_us = clock_monotonic_us() + MONGO_READ_US;
	unsigned attempt = 0;
	for (;;) {
		bool again = false;
		*ret_found = (struct mongo_found){.count = 0};
		enum err err = find_once(use, name, filter, options, most, bytes, ret_found, &again, info);
		if (err)
			mongo_found_free(ret_found);
		if (!err || !again || !alone || !mongo_pause(&attempt, deadline_us))
			return err;
	}
}

enum err mongo_find_more(struct mongo_use *use, const char *name, const bson_t *filter, const bson_t *options,
	struct mongo_found *found, struct err_info *info)
{
	struct mongo_found more;
	enum err err = mongo_find(use, name, filter, options, SIZE_MAX, 0, &more, info);
	if (err || more.count == 0)
		return err;
	bson_t **wider = realloc(found->documents, (found->count + more.count) * sizeof(bson_t *));
	if (!wider) {
		mongo_found_free(&more);
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for a query of %s", name);
	}
	memcpy(wider + found->count, more.documents, more.count * sizeof(bson_t *));
	found->documents = wider;
	found->count = found->capacity = found->count + more.count;
	free(more.documents); /* its documents live on in the longer list */
	return ERR_OK;
}

static enum err hand_over(const struct store_table *table, const struct mongo_found *found, store_each_row *each,
	void *context, struct err_info *info)
{
	struct store_value values[MONGO_MEMBERS_MAX];
	enum err err = ERR_OK;
	for (size_t i = 0; i < found->count && !err; i++) {
		err = mongo_read_row(table, found->documents[i], values, info);
		if (!err)
			err = each(context, values, info);
	}
	return err;
}

enum err mongo_get(void *engine, const struct store_table *table, const struct store_value *key, store_each_row *each,
	void *context, struct err_info *info)
{
	struct mongo_use use;
	struct mongo_found found = {.count = 0};
	enum err err = mongo_use_start(engine, &use, info);
	if (err)
		return err;
	bson_t *filter = bson_new(), *options = BCON_NEW("limit", BCON_INT64(1));
	for (size_t i = 0; i < table->key_count; i++)
		mongo_add(filter, mongo_member(table, table->key[i]), &table->columns[table->key[i]], &key[i]);
	err = mongo_find(&use, table->collection->name, filter, options, 1, 0, &found, info);
	bson_destroy(filter);
	bson_destroy(options);
	mongo_use_end(&use);
	if (!err && found.count == 0)
		err = err_set(info, ERR_NOT_FOUND, NULL, "no such row in %s", table->collection->name);
	if (!err)
		err = hand_over(table, &found, each, context, info);
	mongo_found_free(&found);
	return err;
}

/* ---- the filter of one stage: operators by member, and row bounds over several members ---- */

#define OPERATORS_MAX 4 /* of one member */

struct member_filter {
	size_t count;
	const char *operators[OPERATORS_MAX];
	const struct store_value *values[OPERATORS_MAX];
};

struct stage_filter {
	const struct store_scan *scan;
	struct member_filter members[STORE_ORDER_COLUMNS];
	size_t bound_count;
	size_t bounds[2]; /* how many members a row bound has … */
	bool from[2];     /* … and which one it is */
};

static const struct store_value absent = {.kind = VALUE_NULL};

static const struct store_column *column_at(const struct store_scan *scan, size_t place)
{
	return &scan->table->columns[scan->order->columns[place]];
}

static const char *name_at(const struct store_scan *scan, size_t place)
{
	return mongo_member(scan->table, scan->order->columns[place]);
}

/* A second bound of one kind is the cursor's, which lies inside the range: it takes the place of the first. */
static void add_operator(
	struct stage_filter *filter, size_t place, const char *operator, const struct store_value * value)
{
	struct member_filter *member = &filter->members[place];
	size_t i = 0;
	while (i < member->count && strcmp(member->operators[i], operator) != 0)
		i++;
	if (i == member->count)
		member->count++;
	member->operators[i] = operator;
	member->values[i] = value;
}

/* The members that bound a range: those behind the prefix up to the first absent one, absent being the lowest. */
static size_t bounding(const struct store_scan *scan, const struct store_value *values)
{
	size_t count = 0;
	while (scan->prefix + count < scan->order->indexed && values[scan->prefix + count].kind != VALUE_NULL)
		count++;
	return count;
}

static void add_bound(struct stage_filter *filter, const struct store_value *values, bool from)
{
	const struct store_scan *scan = filter->scan;
	size_t count = values ? bounding(scan, values) : 0;
	if (count == 0)
		return;
	add_operator(filter, scan->prefix, from ? "$gte" : count > 1 ? "$lte" : "$lt", &values[scan->prefix]);
	if (count == 1)
		return;
	filter->bounds[filter->bound_count] = count;
	filter->from[filter->bound_count++] = from;
}

/* The members before `place` are the cursor's and this one lies behind it; or, a stage of its own, for descending order, it
 * is absent. False: no row can meet that. */
static bool add_stage(struct stage_filter *filter, size_t place, bool absent_ones)
{
	const struct store_scan *scan = filter->scan;
	const struct store_value *value = &scan->after[place];
	for (size_t i = scan->prefix; i < place; i++)
		add_operator(filter, i, "$eq", &scan->after[i]);
	if (absent_ones) {
		add_operator(filter, place, "$eq", &absent);
		return !column_at(scan, place)->key && scan->descending && value->kind != VALUE_NULL;
	}
	if (value->kind == VALUE_NULL) {
		add_operator(filter, place, "$ne", &absent);
		return !scan->descending;
	}
	add_operator(filter, place, scan->descending ? "$lt" : "$gt", value);
	return true;
}

/* ---- the filter as a document ---- */

/* {name: {operator: value}}, or {name: value} without an operator. */
static void write_member(const struct store_scan *scan, bson_t *document, size_t place, const char *operator,
	const struct store_value * value)
{
	bson_t inner;
	if (!operator) {
		mongo_add(document, name_at(scan, place), column_at(scan, place), value);
		return;
	}
	bson_append_document_begin(document, name_at(scan, place), -1, &inner);
	mongo_add(&inner, operator, column_at(scan, place), value);
	bson_append_document_end(document, &inner);
}

static void write_not_from(
	const struct store_scan *scan, bson_t *document, size_t place, const struct store_value *value)
{
	bson_t outer, inner;
	bson_append_document_begin(document, name_at(scan, place), -1, &outer);
	bson_append_document_begin(&outer, "$not", -1, &inner);
	mongo_add(&inner, "$gte", column_at(scan, place), value);
	bson_append_document_end(&outer, &inner);
	bson_append_document_end(document, &outer);
}

static void begin_item(bson_t *list, uint32_t number, bson_t *ret_item)
{
	char buffer[16];
	const char *key = NULL;
	size_t size = bson_uint32_to_string(number, &key, buffer, sizeof buffer);
	bson_append_document_begin(list, key, (int)size, ret_item);
}

/* (a, b) ≥ (A, B) as a > A or a = A and b ≥ B; (a, b) < (A, B) as a < A or a = A and not b ≥ B, which an absent b meets. The
 * first member's own bound beside it lets the index begin or end. */
static void write_bound(const struct store_scan *scan, bson_t *item, size_t count, bool from)
{
	const struct store_value *values = from ? scan->from : scan->to;
	size_t first = scan->prefix;
	bson_t either, one;
	bson_append_array_begin(item, "$or", -1, &either);
	for (size_t last = 0; last < count; last++) {
		begin_item(&either, (uint32_t)last, &one);
		for (size_t i = 0; i < last; i++)
			write_member(scan, &one, first + i, NULL, &values[first + i]);
		if (from)
			write_member(
				scan, &one, first + last, last + 1 == count ? "$gte" : "$gt", &values[first + last]);
		else if (last == 0)
			write_member(scan, &one, first, "$lt", &values[first]);
		else
			write_not_from(scan, &one, first + last, &values[first + last]);
		bson_append_document_end(&either, &one);
	}
	bson_append_array_end(item, &either);
}

static void write_members(const struct stage_filter *filter, bson_t *document)
{
	const struct store_scan *scan = filter->scan;
	for (size_t place = 0; place < scan->order->count; place++) {
		const struct member_filter *member = &filter->members[place];
		bson_t inner;
		if (member->count == 1 && strcmp(member->operators[0], "$eq") == 0) {
			write_member(scan, document, place, NULL, member->values[0]);
			continue;
		}
		if (member->count == 0)
			continue;
		bson_append_document_begin(document, name_at(scan, place), -1, &inner);
		for (size_t i = 0; i < member->count; i++)
			mongo_add(&inner, member->operators[i], column_at(scan, place), member->values[i]);
		bson_append_document_end(document, &inner);
	}
}

static void write_filter(const struct stage_filter *filter, bson_t *document)
{
	bson_t list, item;
	write_members(filter, document);
	if (filter->bound_count == 0)
		return;
	bson_append_array_begin(document, "$and", -1, &list);
	for (size_t i = 0; i < filter->bound_count; i++) {
		begin_item(&list, (uint32_t)i, &item);
		write_bound(filter->scan, &item, filter->bounds[i], filter->from[i]);
		bson_append_document_end(&list, &item);
	}
	bson_append_array_end(document, &list);
}

static bson_t *write_options(const struct store_scan *scan, size_t most)
{
	bson_t *options = bson_new(), sort;
	bool by_id = !scan->order->name && scan->table->key_count == 1;
	size_t members = by_id ? 1 : mongo_index_size(scan->table, scan->order);
	bson_append_document_begin(options, "sort", -1, &sort);
	for (size_t i = 0; i < members; i++)
		bson_append_int32(&sort, name_at(scan, i), -1, scan->descending ? -1 : 1);
	bson_append_document_end(options, &sort);
	bson_append_int64(options, "limit", -1, (int64_t)most);
	return options;
}

static enum err run_stage(struct mongo_use *use, const struct stage_filter *filter, size_t most, store_each_row *each,
	void *context, size_t *ret_count, struct err_info *info)
{
	const struct store_scan *scan = filter->scan;
	struct mongo_found found;
	bson_t document = BSON_INITIALIZER, *options = write_options(scan, most);
	write_filter(filter, &document);
	enum err err = mongo_find(use, scan->table->collection->name, &document, options, most, 0, &found, info);
	if (!err) {
		err = hand_over(scan->table, &found, each, context, info);
		*ret_count += found.count;
		mongo_found_free(&found);
	}
	bson_destroy(options);
	bson_destroy(&document);
	return err;
}

enum err mongo_scan(
	void *engine, const struct store_scan *scan, store_each_row *each, void *context, struct err_info *info)
{
	struct mongo_use use;
	size_t count = 0, stages = scan->after ? 2 * (scan->order->count - scan->prefix) : 1;
	enum err err = mongo_use_start(engine, &use, info);
	if (err)
		return err;
	for (size_t stage = stages; stage-- > 0 && !err && count < scan->most;) {
		struct stage_filter filter = {.scan = scan};
		for (size_t i = 0; i < scan->prefix; i++)
			add_operator(&filter, i, "$eq", &scan->low[i]);
		add_bound(&filter, scan->from, true);
		add_bound(&filter, scan->to, false);
		/* for one member: the rows behind it first, then those without it */
		if (!scan->after || add_stage(&filter, scan->prefix + stage / 2, stage % 2 == 0))
			err = run_stage(&use, &filter, scan->most - count, each, context, &count, info);
	}
	mongo_use_end(&use);
	return err;
}
