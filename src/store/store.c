/* Decides which back end keeps the data, and turns rows into values and back on the way to it. The calling thread. */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "carbond/base/limits.h"
#include "store_private.h"

#define CHANGES_ARENA_BYTES ((size_t)512 << 20) /* values of one write: a bucket flush has thousands of rows */

static const struct store_engine *const engines[] = {&store_sqlite, &store_mongo};

const struct store_engine *store_engine_of(const char *uri, const char **ret_place)
{
	for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++)
		for (size_t j = 0; j < 2 && engines[i]->schemes[j]; j++) {
			size_t length = strlen(engines[i]->schemes[j]);
			if (strncmp(uri, engines[i]->schemes[j], length) == 0 && uri[length]) {
				*ret_place = uri + length;
				return engines[i];
			}
		}
	return NULL;
}

/* ---- open and close ---- */

static enum err keep_seal_keys(struct store *store, const struct store_options *options, struct err_info *info)
{
	if (options->seal_key_count == 0)
		return ERR_OK;
	store->seal_keys = calloc(options->seal_key_count, sizeof store->seal_keys[0]);
	if (!store->seal_keys)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to open the store");
	memcpy(store->seal_keys, options->seal_keys, options->seal_key_count * sizeof store->seal_keys[0]);
	store->seal_key_count = options->seal_key_count;
	store->tables.seal_keys = store->seal_keys;
	store->tables.seal_key_count = store->seal_key_count;
	return ERR_OK;
}

enum err store_check_filled(struct store *store, struct err_info *info)
{
	struct store_batch head;
	enum err err = store_log_head(store, STORE_VALUE, STORE_RESTORE_STREAM, &head, info);
	if (!err && head.seq % 2 == 1)
		err = err_set(info, ERR_RESTORE_UNFINISHED, NULL,
			"a restore or a move was interrupted: run it again, and it goes on, or begin with an empty "
			"place");
	return err;
}

/* The options with the back end's own folder of migrations; `path` is what they then point to. */
static enum err own_options(const struct store_engine *engine, const struct store_options *options, char path[PATH_MAX],
	struct store_options *ret_own, struct err_info *info)
{
	*ret_own = *options;
	if (!options->migrations_folder)
		return ERR_OK;
	ret_own->migrations_folder = path;
	return snprintf(path, PATH_MAX, "%s/%s", options->migrations_folder, engine->migrations) < PATH_MAX
		       ? ERR_OK
		       : err_set(info, ERR_INVALID_CONFIG, NULL, "the path of the migrations is too long");
}

static enum err open_back(
	struct store *store, const struct store_options *options, const char *place, struct err_info *info)
{
	char path[PATH_MAX];
	struct store_options own;
	enum err err = own_options(store->engine, options, path, &own, info);
	return err ? err : store->engine->open(&own, place, &store->tables, &store->back, info);
}

enum err store_open(const struct store_options *options, struct store **ret_store, struct err_info *info)
{
	enum err err = store_open_any(options, ret_store, info);
	if (!err)
		err = store_check_filled(*ret_store, info);
	if (err)
		store_close(ret_store);
	return err;
}

enum err store_open_any(const struct store_options *options, struct store **ret_store, struct err_info *info)
{
	*ret_store = NULL;
	const char *place = NULL;
	const struct store_engine *engine = store_engine_of(options->uri, &place);
	if (!engine)
		return err_set(info, ERR_INVALID_CONFIG, NULL,
			"store.uri must be sqlite:<folder> or mongodb://<hosts>/<database>");
	return store_open_over(engine, place, options, ret_store, info);
}

enum err store_open_over(const struct store_engine *engine, const char *place, const struct store_options *options,
	struct store **ret_store, struct err_info *info)
{
	*ret_store = NULL;
	struct store *store = calloc(1, sizeof *store);
	if (!store)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to open the store");
	store->engine = engine;
	store->changed = options->changed;
	store->context = options->context;
	enum err err = ERR_NO_MEMORY;
	store->tables.arena = arena_new(0);
	if (!store->tables.arena) {
		err_set(info, err, NULL, "no memory to open the store");
		goto out;
	}
	err = keep_seal_keys(store, options, info);
	if (!err)
		err = store_tables_make(options, &store->tables, info);
	if (!err)
		err = open_back(store, options, place, info);
out:
	if (err)
		store_close(&store);
	*ret_store = store;
	return err;
}

enum err store_check(const struct store_options *options, struct err_info *info)
{
	const char *place = NULL;
	const struct store_engine *engine = store_engine_of(options->uri, &place);
	if (!engine)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "store.uri names no store");
	char path[PATH_MAX];
	struct store_options own;
	enum err err = own_options(engine, options, path, &own, info);
	return err ? err : engine->check(&own, place, info);
}

void store_close(struct store **store)
{
	struct store *closing = *store;
	if (!closing)
		return;
	*store = NULL;
	if (closing->back)
		closing->engine->close(closing->back);
	arena_free(&closing->tables.arena);
	if (closing->seal_keys)
		explicit_bzero(closing->seal_keys, closing->seal_key_count * sizeof closing->seal_keys[0]);
	free(closing->seal_keys);
	free(closing);
}

bool store_healthy(struct store *store, enum err *ret_err)
{
	enum err err = ERR_OK;
	bool healthy = store->engine->healthy(store->back, &err);
	if (ret_err)
		*ret_err = err;
	return healthy;
}

bool store_is_shared(const struct store *store)
{
	return store->engine->shared;
}

enum err store_end_writes(struct store *store, const char *node, struct err_info *info)
{
	return store->engine->end_writes ? store->engine->end_writes(store->back, node, info) : ERR_OK;
}

/* ---- changes of rows ---- */

static const struct store_table *table_for(struct store *store, const struct store_collection *collection)
{
	const struct store_table *table = store_table_of(&store->tables, collection);
	assert(table); /* every room hands its collections to store_open */
	return table;
}

static enum err bind_change(struct store *store, const struct store_change *change, struct arena *arena,
	struct store_row_change *ret_change, struct err_info *info)
{
	const struct store_table *table = table_for(store, change->collection);
	struct store_value *values = ARENA_ARRAY(arena, struct store_value, table->column_count);
	if (!values)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the write");
	*ret_change = (struct store_row_change){
		.table = table, .values = values, .verb = change->verb, .condition = change->condition};
	if (change->condition == STORE_EQUALS || change->condition == STORE_BELOW ||
		change->condition == STORE_AT_MOST) {
		ret_change->column = store_column_of(table, change->field);
		assert(ret_change->column != SIZE_MAX && !table->columns[ret_change->column].sealed);
		ret_change->expected = store_condition_value(&table->columns[ret_change->column], change->value);
	}
	if (change->verb == STORE_PUT)
		return store_bind_row(&store->tables, table, change->row, arena, values, info);
	for (size_t i = 0; i < table->key_count; i++) {
		enum err err = store_bind(
			&store->tables, table, change->row, &table->key[i], 1, arena, &values[table->key[i]], info);
		if (err)
			return err;
	}
	return ERR_OK;
}

static void tell_changed(struct store *store, const struct store_change *changes, size_t count)
{
	for (size_t i = 0; store->changed && i < count; i++)
		if (changes[i].collection->watched)
			store->changed(store->context, changes[i].collection, changes[i].row);
}

enum err store_run_changes(struct store *store, struct store_job *job, const struct store_change *changes, size_t count,
	size_t *ret_refused, struct err_info *info)
{
	enum err err = ERR_OK;
	struct arena *arena = NULL;
	struct store_row_change *bound = NULL;
	if (count) {
		arena = arena_new(CHANGES_ARENA_BYTES);
		bound = arena ? ARENA_ARRAY(arena, struct store_row_change, count) : NULL;
		if (!bound) {
			err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the write");
			goto out;
		}
	}
	for (size_t i = 0; i < count && !err; i++) {
		assert(changes[i].collection->class == job->class);
		err = bind_change(store, &changes[i], arena, &bound[i], info);
		if (err && ret_refused)
			*ret_refused = i;
	}
	if (err)
		goto out;
	job->changes = bound;
	job->change_count = count;
	err = store->engine->write(store->back, job, info);
	if (err && ret_refused)
		*ret_refused = job->refused;
	tell_changed(store, changes, count);
out:
	arena_free(&arena);
	return err;
}

enum err store_write(struct store *store, const struct store_change *changes, size_t count, size_t *ret_refused,
	struct err_info *info)
{
	if (count == 0)
		return ERR_OK;
	struct store_job job = {.class = changes[0].collection->class};
	return store_run_changes(store, &job, changes, count, ret_refused, info);
}

enum err store_write_views(struct store *store, const struct store_change *changes, size_t count, struct err_info *info)
{
	if (count == 0)
		return ERR_OK;
	assert(changes[0].collection->class == STORE_VIEWS);
	struct store_job job = {.class = STORE_VIEWS, .skip_below = true};
	return store_run_changes(store, &job, changes, count, NULL, info);
}

/* ---- reading rows ---- */

struct filling {
	const struct store_tables *tables;
	const struct store_table *table;
	struct arena *arena;
	char *rows;
	size_t count, capacity;
};

static enum err fill_one(void *context, const struct store_value *values, struct err_info *info)
{
	struct filling *filling = context;
	return store_unbind_row(filling->tables, filling->table, values, filling->arena, filling->rows, info);
}

static enum err fill_next(void *context, const struct store_value *values, struct err_info *info)
{
	struct filling *filling = context;
	size_t row_size = filling->table->collection->row_size;
	if (filling->count == filling->capacity) {
		size_t capacity = filling->capacity ? 2 * filling->capacity : 16;
		char *rows = arena_alloc(filling->arena, capacity * row_size);
		if (!rows)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the rows");
		if (filling->count)
			memcpy(rows, filling->rows, filling->count * row_size);
		filling->rows = rows;
		filling->capacity = capacity;
	}
	return store_unbind_row(filling->tables, filling->table, values, filling->arena,
		filling->rows + filling->count++ * row_size, info);
}

enum err store_get(struct store *store, const struct store_collection *collection, void *row, struct arena *arena,
	struct err_info *info)
{
	const struct store_table *table = table_for(store, collection);
	struct store_value key[STORE_INDEX_FIELDS];
	enum err err = store_bind(&store->tables, table, row, table->key, table->key_count, arena, key, info);
	if (err)
		return err;
	struct filling filling = {.tables = &store->tables, .table = table, .arena = arena, .rows = row};
	return store->engine->get(store->back, table, key, fill_one, &filling, info);
}

static const struct store_order *order_of(const struct store_table *table, const char *index)
{
	if (!index)
		return &table->orders[0];
	for (size_t i = 1; i < table->order_count; i++)
		if (strcmp(table->orders[i].name, index) == 0)
			return &table->orders[i];
	return NULL;
}

static enum err bind_order(struct store *store, const struct store_scan *scan, const void *row, struct arena *arena,
	const struct store_value **ret_values, struct err_info *info)
{
	*ret_values = NULL;
	if (!row)
		return ERR_OK;
	struct store_value *values = ARENA_ARRAY(arena, struct store_value, STORE_ORDER_COLUMNS);
	if (!values)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the query");
	*ret_values = values;
	return store_bind(
		&store->tables, scan->table, row, scan->order->columns, scan->order->count, arena, values, info);
}

enum err store_find(struct store *store, const struct store_query *query, struct arena *arena, void **ret_rows,
	size_t *ret_count, struct err_info *info)
{
	const struct store_table *table = table_for(store, query->collection);
	struct store_scan scan = {.table = table,
		.order = order_of(table, query->index),
		.prefix = query->prefix,
		.descending = query->descending,
		.most = query->most};
	assert(scan.order && query->prefix <= scan.order->indexed && (query->prefix == 0 || query->low));
	assert(query->most >= 1 && query->most <= (size_t)LIMIT_PAGE_ROWS * 100);
	enum err err = bind_order(store, &scan, query->low, arena, &scan.low, info);
	if (!err)
		err = bind_order(store, &scan, query->from, arena, &scan.from, info);
	if (!err)
		err = bind_order(store, &scan, query->to, arena, &scan.to, info);
	if (!err)
		err = bind_order(store, &scan, query->after, arena, &scan.after, info);
	if (err)
		return err;
	struct filling filling = {.tables = &store->tables, .table = table, .arena = arena};
	err = store->engine->scan(store->back, &scan, fill_next, &filling, info);
	*ret_rows = filling.rows;
	*ret_count = err ? 0 : filling.count;
	return err;
}
