/* Decides which collections, validators and indexes the database has, from the rooms' schema rows. The opening thread, under
 * the migrations' lock; every step may be done twice. */
#include <stdio.h>
#include <string.h>

#include "carbond/base/log.h"
#include "mongo.h"

#define PREFIX    "carbond." /* of the indexes that are ours to drop; others are the operator's */
#define RETENTION PREFIX "retention-sweep"

/* ---- names and sizes of indexes ---- */

void mongo_index_name(const struct store_order *order, char ret_name[MONGO_NAME_SIZE])
{
	if (order->name)
		snprintf(ret_name, MONGO_NAME_SIZE, PREFIX "%s", order->name);
	else
		snprintf(ret_name, MONGO_NAME_SIZE, "%s", MONGO_KEY_INDEX);
}

static bool may_be_absent(const struct store_table *table, const struct store_order *order)
{
	for (size_t i = 0; i < order->indexed; i++)
		if (!table->columns[order->columns[i]].key)
			return true;
	return false;
}

/* The members of a unique index that are always there order the rows alone; otherwise the key tells rows without them
 * apart. */
size_t mongo_index_size(const struct store_table *table, const struct store_order *order)
{
	return order->unique && !may_be_absent(table, order) ? order->indexed : order->count;
}

/* ---- validators ---- */

static const char *type_of(const struct store_column *column)
{
	switch (column->kind) {
	case VALUE_INTEGER: return column->field->kind == FIELD_BOOL ? "bool" : "long";
	case VALUE_REAL: return "double";
	case VALUE_TEXT: return "string";
	case VALUE_BLOB: return "binData";
	case VALUE_NULL: break;
	}
	return "null";
}

static void write_validator(const struct store_table *table, bson_t *ret_validator)
{
	bson_t schema, list, members, member;
	bson_append_document_begin(ret_validator, "$jsonSchema", -1, &schema);
	bson_append_utf8(&schema, "bsonType", -1, "object", -1);
	bson_append_array_begin(&schema, "required", -1, &list);
	for (size_t i = 0; i < table->key_count; i++) {
		char number[24];
		snprintf(number, sizeof number, "%zu", i);
		bson_append_utf8(&list, number, -1, mongo_member(table, table->key[i]), -1);
	}
	bson_append_array_end(&schema, &list);
	bson_append_document_begin(&schema, "properties", -1, &members);
	for (size_t i = 0; i < table->column_count; i++) {
		bson_append_document_begin(&members, mongo_member(table, i), -1, &member);
		bson_append_utf8(&member, "bsonType", -1, type_of(&table->columns[i]), -1);
		bson_append_document_end(&members, &member);
	}
	bson_append_document_end(&schema, &members);
	bson_append_document_end(ret_validator, &schema);
}

static size_t column_of_member(const struct store_table *table, const char *name)
{
	for (size_t i = 0; i < table->column_count; i++)
		if (strcmp(mongo_member(table, i), name) == 0)
			return i;
	return SIZE_MAX;
}

static enum err check_members(const struct store_table *table, bson_iter_t *members, struct err_info *info)
{
	bson_iter_t type;
	while (bson_iter_next(members)) {
		const char *name = bson_iter_key(members);
		size_t column = column_of_member(table, name);
		if (column == SIZE_MAX)
			return err_set(info, strcmp(name, "_id") == 0 ? ERR_SCHEMA_DIFFERS : ERR_SCHEMA_NEWER, NULL,
				"collection %s has a member %s that this version does not know",
				table->collection->name, name);
		const char *stored = bson_iter_recurse(members, &type) && bson_iter_find(&type, "bsonType")
					     ? bson_iter_utf8(&type, NULL)
					     : "";
		if (strcmp(stored, type_of(&table->columns[column])) != 0)
			return err_set(info, ERR_SCHEMA_DIFFERS, NULL,
				"collection %s: member %s is stored as %s, not as %s", table->collection->name, name,
				stored, type_of(&table->columns[column]));
	}
	return ERR_OK;
}

static enum err check_key(const struct store_table *table, bson_iter_t *required, struct err_info *info)
{
	size_t place = 0;
	bool same = true;
	for (; bson_iter_next(required); place++)
		same = same && place < table->key_count && BSON_ITER_HOLDS_UTF8(required) &&
		       strcmp(bson_iter_utf8(required, NULL), mongo_member(table, table->key[place])) == 0;
	return same && place == table->key_count
		       ? ERR_OK
		       : err_set(info, ERR_SCHEMA_DIFFERS, NULL, "collection %s is stored with another key",
				 table->collection->name);
}

/* What is stored says in its validator what it is. */
static enum err check_stored(const struct store_table *table, const bson_t *stored, struct err_info *info)
{
	bson_iter_t top, part;
	enum err err = ERR_OK;
	if (bson_iter_init(&top, stored) && bson_iter_find_descendant(&top, "$jsonSchema.properties", &part) &&
		bson_iter_recurse(&part, &top))
		err = check_members(table, &top, info);
	if (!err && bson_iter_init(&top, stored) && bson_iter_find_descendant(&top, "$jsonSchema.required", &part) &&
		bson_iter_recurse(&part, &top))
		err = check_key(table, &top, info);
	return err;
}

/* ---- collections ---- */

static enum err run(struct mongo_use *use, bson_t *command, int harmless, struct err_info *info)
{
	bson_error_t error = {.code = 0};
	enum err err = mongo_command(use, command, true, NULL, &error, info);
	bson_destroy(command);
	return err && error.code == (uint32_t)harmless ? ERR_OK : err;
}

/* What the database says of the collections of the tables: the reply to listCollections, all of it in its first batch. */
static enum err list_stored(struct mongo_use *use, bson_t *ret_reply, struct err_info *info)
{
	const struct store_tables *tables = use->back->tables;
	bson_t command = BSON_INITIALIZER, filter, name, list, cursor;
	bson_error_t error;
	bson_append_int32(&command, "listCollections", -1, 1);
	bson_append_document_begin(&command, "filter", -1, &filter);
	bson_append_document_begin(&filter, "name", -1, &name);
	bson_append_array_begin(&name, "$in", -1, &list);
	for (size_t i = 0; i < tables->count; i++) {
		char number[24];
		snprintf(number, sizeof number, "%zu", i);
		bson_append_utf8(&list, number, -1, tables->items[i].collection->name, -1);
	}
	bson_append_array_end(&name, &list);
	bson_append_document_end(&filter, &name);
	bson_append_document_end(&command, &filter);
	bson_append_document_begin(&command, "cursor", -1, &cursor);
	bson_append_int32(&cursor, "batchSize", -1, (int32_t)tables->count + 1);
	bson_append_document_end(&command, &cursor);
	enum err err = mongo_command(use, &command, true, ret_reply, &error, info);
	bson_destroy(&command);
	return err;
}

/* False: there is no such collection. Its validator otherwise, empty without one. */
static bool find_stored(const bson_t *reply, const char *collection, bson_t *ret_validator)
{
	bson_iter_t top, list, item, name, part;
	bson_init(ret_validator);
	if (!bson_iter_init(&top, reply) || !bson_iter_find_descendant(&top, "cursor.firstBatch", &list) ||
		!bson_iter_recurse(&list, &item))
		return false;
	while (bson_iter_next(&item)) {
		if (!bson_iter_recurse(&item, &name) || !bson_iter_find(&name, "name") ||
			!BSON_ITER_HOLDS_UTF8(&name) || strcmp(bson_iter_utf8(&name, NULL), collection) != 0)
			continue;
		uint32_t size = 0;
		const uint8_t *data = NULL;
		bson_t stored;
		if (bson_iter_recurse(&item, &top) && bson_iter_find_descendant(&top, "options.validator", &part) &&
			BSON_ITER_HOLDS_DOCUMENT(&part)) {
			bson_iter_document(&part, &size, &data);
			if (bson_init_static(&stored, data, size))
				bson_concat(ret_validator, &stored);
		}
		return true;
	}
	return false;
}

static enum err make_collection(
	struct mongo_use *use, const struct store_table *table, const bson_t *all_stored, struct err_info *info)
{
	const char *name = table->collection->name;
	bson_t wanted = BSON_INITIALIZER, stored;
	enum err err = ERR_OK;
	write_validator(table, &wanted);
	bool found = find_stored(all_stored, name, &stored);
	if (found)
		err = check_stored(table, &stored, info);
	if (!err && !found)
		err = run(use, BCON_NEW("create", BCON_UTF8(name), "validator", BCON_DOCUMENT(&wanted)), 48, info);
	else if (!err && !bson_equal(&wanted, &stored))
		err = run(use, BCON_NEW("collMod", BCON_UTF8(name), "validator", BCON_DOCUMENT(&wanted)), 0, info);
	bson_destroy(&wanted);
	bson_destroy(&stored);
	return err;
}

/* ---- views of an earlier version: it took less out of the logs, so they are made anew ---- */

static bool has_member(const bson_t *validator, const char *member)
{
	bson_iter_t top, part, found;
	return bson_iter_init(&top, validator) && bson_iter_find_descendant(&top, "$jsonSchema.properties", &part) &&
	       bson_iter_recurse(&part, &found) && bson_iter_find(&found, member);
}

/* Whether what is stored lacks something of this version's. ERR_SCHEMA_NEWER: it is of a newer one, whose daemons may be at work. */
static enum err view_lacks(
	const struct store_table *table, const bson_t *stored, bool *ret_lacks, struct err_info *info)
{
	enum err err = check_stored(table, stored, info);
	*ret_lacks = err == ERR_SCHEMA_DIFFERS;
	for (size_t i = 0; i < table->column_count && !err && !*ret_lacks; i++)
		*ret_lacks = !has_member(stored, mongo_member(table, i));
	return *ret_lacks ? ERR_OK : err;
}

static enum err views_doubt(struct mongo_use *use, const bson_t *all_stored, bool *ret_doubt, struct err_info *info)
{
	const struct store_tables *tables = use->back->tables;
	bool any = false, lack = false;
	enum err err = ERR_OK;
	for (size_t i = 0; i < tables->count && !err; i++) {
		const struct store_table *table = &tables->items[i];
		bool lacks = true;
		bson_t stored;
		if (table->collection->class != STORE_VIEWS)
			continue;
		if (find_stored(all_stored, table->collection->name, &stored)) {
			any = true;
			err = view_lacks(table, &stored, &lacks, info);
		}
		lack = lack || lacks;
		bson_destroy(&stored);
	}
	*ret_doubt = !err && any && lack;
	return err;
}

/* The cursors of who makes them are views, too: they begin with the logs' first batches. */
static enum err drop_views(struct mongo_use *use, struct err_info *info)
{
	const struct store_tables *tables = use->back->tables;
	struct err_info why;
	enum err err = ERR_OK;
	err_set(&why, ERR_SCHEMA_DIFFERS, NULL, "the views of an earlier version lack some of this one's");
	log_failure("views_rebuilt", &why, "database", use->back->database, NULL);
	for (size_t i = 0; i < tables->count && !err; i++) {
		const struct store_collection *collection = tables->items[i].collection;
		if (collection->class != STORE_VIEWS)
			continue;
		err = mongo_keep_lock(use, info);
		if (!err)
			err = run(use, BCON_NEW("drop", BCON_UTF8(collection->name)), 26, info); /* 26: there is none */
	}
	return err;
}

/* ---- indexes: they hold nothing of their own, so one that differs is made anew ---- */

#define WANTED_MAX 64

struct wanted {
	size_t count;
	struct {
		char name[MONGO_NAME_SIZE];
		bson_t spec;
		bool there;
	} items[WANTED_MAX];
};

static bson_t *want(
	struct wanted *wanted, const char *name, const struct store_table *table, const size_t *columns, size_t count)
{
	if (wanted->count == WANTED_MAX)
		return NULL;
	bson_t keys, *spec = &wanted->items[wanted->count].spec;
	snprintf(wanted->items[wanted->count].name, MONGO_NAME_SIZE, "%s", name);
	wanted->items[wanted->count++].there = false;
	bson_init(spec);
	bson_append_utf8(spec, "name", -1, name, -1);
	bson_append_document_begin(spec, "key", -1, &keys);
	for (size_t i = 0; i < count; i++)
		bson_append_int32(&keys, mongo_member(table, columns[i]), -1, 1);
	bson_append_document_end(spec, &keys);
	return spec;
}

/* A row in which an indexed member is absent collides with none: it is not in the unique index. */
static void want_unique(
	struct wanted *wanted, const struct store_table *table, const struct store_order *order, const char *name)
{
	char unique[MONGO_NAME_SIZE + 8];
	bson_t filter, exists, *spec;
	snprintf(unique, sizeof unique, "%s.unique", name);
	spec = want(wanted, unique, table, order->columns, order->indexed);
	if (!spec)
		return;
	bson_append_bool(spec, "unique", -1, true);
	bson_append_document_begin(spec, "partialFilterExpression", -1, &filter);
	for (size_t i = 0; i < order->indexed; i++) {
		bson_append_document_begin(&filter, mongo_member(table, order->columns[i]), -1, &exists);
		bson_append_bool(&exists, "$exists", -1, true);
		bson_append_document_end(&filter, &exists);
	}
	bson_append_document_end(spec, &filter);
}

static void want_order(struct wanted *wanted, const struct store_table *table, const struct store_order *order)
{
	char name[MONGO_NAME_SIZE];
	mongo_index_name(order, name);
	bson_t *spec = want(wanted, name, table, order->columns, mongo_index_size(table, order));
	if (!spec || !order->unique)
		return;
	if (may_be_absent(table, order))
		want_unique(wanted, table, order, name);
	else
		bson_append_bool(spec, "unique", -1, true);
}

static void want_all(struct wanted *wanted, const struct store_table *table)
{
	wanted->count = 0;
	for (size_t i = table->key_count == 1 ? 1 : 0; i < table->order_count; i++)
		want_order(wanted, table, &table->orders[i]);
	if (table->retention_column == SIZE_MAX)
		return;
	bson_t keys, *spec = want(wanted, RETENTION, table, NULL, 0);
	if (!spec)
		return;
	bson_reinit(spec);
	bson_append_utf8(spec, "name", -1, RETENTION, -1);
	bson_append_document_begin(spec, "key", -1, &keys);
	bson_append_int32(&keys, MONGO_EXPIRES, -1, 1);
	bson_append_document_end(spec, &keys);
	bson_append_int32(spec, "expireAfterSeconds", -1, 0);
}

/* Numbers may come back as other types than they went. */
static bool is_same(bson_iter_t *a, bson_iter_t *b)
{
	bson_iter_t inner_a, inner_b;
	if (BSON_ITER_HOLDS_DOCUMENT(a) && BSON_ITER_HOLDS_DOCUMENT(b)) {
		if (!bson_iter_recurse(a, &inner_a) || !bson_iter_recurse(b, &inner_b))
			return false;
		for (;;) {
			bool more_a = bson_iter_next(&inner_a), more_b = bson_iter_next(&inner_b);
			if (!more_a || !more_b)
				return more_a == more_b;
			if (strcmp(bson_iter_key(&inner_a), bson_iter_key(&inner_b)) != 0 ||
				!is_same(&inner_a, &inner_b))
				return false;
		}
	}
	return bson_iter_as_int64(a) == bson_iter_as_int64(b);
}

static bool matches(const bson_t *spec, const bson_t *stored)
{
	static const char *const parts[] = {"key", "unique", "partialFilterExpression", "expireAfterSeconds"};
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		bson_iter_t a, b;
		bool has_a = bson_iter_init_find(&a, spec, parts[i]), has_b = bson_iter_init_find(&b, stored, parts[i]);
		if (has_a != has_b || (has_a && !is_same(&a, &b)))
			return false;
	}
	return true;
}

static bool is_wanted(struct wanted *wanted, const char *name, const bson_t *stored)
{
	for (size_t i = 0; i < wanted->count; i++)
		if (strcmp(wanted->items[i].name, name) == 0) {
			wanted->items[i].there = matches(&wanted->items[i].spec, stored);
			return wanted->items[i].there;
		}
	return strncmp(name, PREFIX, strlen(PREFIX)) != 0;
}

static enum err drop_unwanted(
	struct mongo_use *use, const struct store_table *table, struct wanted *wanted, struct err_info *info)
{
	const char *collection = table->collection->name;
	bson_t *command = BCON_NEW("listIndexes", BCON_UTF8(collection)), reply;
	bson_error_t error;
	bson_iter_t top, list, item;
	enum err err = mongo_command(use, command, true, &reply, &error, info);
	bson_destroy(command);
	bool any = !err && bson_iter_init(&top, &reply) &&
		   bson_iter_find_descendant(&top, "cursor.firstBatch", &list) && bson_iter_recurse(&list, &item);
	while (any && !err && bson_iter_next(&item)) {
		bson_t stored;
		uint32_t size = 0;
		const uint8_t *data = NULL;
		bson_iter_t name;
		bson_iter_document(&item, &size, &data);
		if (!bson_init_static(&stored, data, size) || !bson_iter_init_find(&name, &stored, "name") ||
			is_wanted(wanted, bson_iter_utf8(&name, NULL), &stored))
			continue;
		err = run(use,
			BCON_NEW("dropIndexes", BCON_UTF8(collection), "index", BCON_UTF8(bson_iter_utf8(&name, NULL))),
			27, info);
	}
	bson_destroy(&reply);
	return err;
}

static enum err make_indexes(struct mongo_use *use, const struct store_table *table, struct err_info *info)
{
	struct wanted wanted;
	bson_t command = BSON_INITIALIZER, list;
	bson_error_t error = {.code = 0};
	uint32_t missing = 0;
	want_all(&wanted, table);
	enum err err = wanted.count == WANTED_MAX
			       ? err_set(info, ERR_INVALID_CONFIG, NULL, "collection %s has too many indexes",
					 table->collection->name)
			       : drop_unwanted(use, table, &wanted, info);
	bson_append_utf8(&command, "createIndexes", -1, table->collection->name, -1);
	bson_append_array_begin(&command, "indexes", -1, &list);
	for (size_t i = 0; i < wanted.count; i++) {
		char number[24];
		snprintf(number, sizeof number, "%u", missing);
		if (!wanted.items[i].there && bson_append_document(&list, number, -1, &wanted.items[i].spec))
			missing++;
		bson_destroy(&wanted.items[i].spec);
	}
	bson_append_array_end(&command, &list);
	if (!err && missing)
		err = mongo_command(use, &command, true, NULL, &error, info);
	if (err == ERR_DUPLICATE)
		err = err_set(info, ERR_SCHEMA_DIFFERS, NULL,
			"collection %s: stored rows collide in a new index: %.150s", table->collection->name,
			error.message);
	bson_destroy(&command);
	return err;
}

/* A daemon that starts beside others waits for each answer of a server that is busy with theirs: one question tells of all
 * collections, and only the indexes are asked for one by one. */
enum err mongo_make_collections(struct mongo_use *use, struct err_info *info)
{
	const struct store_tables *tables = use->back->tables;
	bson_t stored;
	bool doubt = false;
	enum err err = list_stored(use, &stored, info);
	if (!err)
		err = views_doubt(use, &stored, &doubt, info);
	if (!err && doubt)
		err = drop_views(use, info);
	if (!err && doubt) {
		bson_destroy(&stored);
		err = list_stored(use, &stored, info);
	}
	for (size_t i = 0; i < tables->count && !err; i++) {
		const struct store_table *table = &tables->items[i];
		err = table->column_count > MONGO_MEMBERS_MAX
			      ? err_set(info, ERR_INVALID_CONFIG, NULL, "collection %s has more than %d members",
					table->collection->name, MONGO_MEMBERS_MAX)
			      : mongo_keep_lock(use, info);
		if (!err)
			err = make_collection(use, table, &stored, info);
		if (!err)
			err = make_indexes(use, table, info);
	}
	bson_destroy(&stored);
	return err;
}
