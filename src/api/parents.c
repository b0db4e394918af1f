/* How rows of configuration are read and listed, whose a row is that hangs on another, and which version a change expects.
 * Workers. */
#include "parents.h"

#include <assert.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/cache.h"
#include "carbond/sensing.h"

int64_t api_expect(struct http_request *request, int64_t read_version)
{
	int64_t given = http_if_match(request);

	return given == FIELD_ABSENT || given < 0 ? read_version : given;
}

enum err api_parent_org(struct http_request *request, struct id named, struct id *ret_org, struct err_info *info)
{
	*ret_org = named;
	if (api_reaches_all(request))
		return ERR_OK;
	return api_choose_org(request, named, ret_org, info);
}

enum err api_unit_org(struct http_request *request, struct id unit, struct id *ret_org, struct err_info *info)
{
	struct unit row = {.id = unit};
	enum err err = store_get(api_of(request)->store, &units_collection, &row, http_arena(request), info);

	*ret_org = row.org_id;
	return err ? err : api_check_org(request, row.org_id, info);
}

enum err api_sensor_org(struct http_request *request, struct id sensor, struct id *ret_org, struct err_info *info)
{
	struct sensor row = {.id = sensor};
	enum err err = store_get(api_of(request)->store, &sensors_collection, &row, http_arena(request), info);

	*ret_org = row.org_id;
	return err ? err : api_check_org(request, row.org_id, info);
}

static struct id *id_member(const struct store_collection *collection, void *row, const char *name)
{
	const struct field *field = field_find(collection->fields, name);

	assert(field && field->kind == FIELD_ID);
	return (struct id *)((char *)row + field->offset);
}

enum err api_read_row(
	struct http_request *request, const struct store_collection *collection, void *ret_row, struct err_info *info)
{
	enum err err;

	field_clear(collection->fields, ret_row);
	err = http_path_id(request, "id", id_member(collection, ret_row, "id"), info);
	if (!err)
		err = store_get(api_of(request)->store, collection, ret_row, http_arena(request), info);
	return err ? err : api_check_org(request, *id_member(collection, ret_row, "org_id"), info);
}

/* ---- rows that were written before ---- */

#define KEY_SIZE 96

/* What the cache keeps of a row. */
struct kept {
	struct id org;
	int64_t version;
	size_t size;
	char json[];
};

static const char *key_of(const struct store_collection *collection, struct id id, char key[KEY_SIZE])
{
	char *at = stpcpy(stpcpy(stpcpy(key, "row/"), collection->name), "/");

	assert(at + ID_TEXT_SIZE <= key + KEY_SIZE);
	id_text(id, at);
	return key;
}

void api_row_changed(void *cache, const struct store_collection *collection, const void *row)
{
	char key[KEY_SIZE];

	cache_drop(cache, key_of(collection, *id_member(collection, (void *)(uintptr_t)row, "id"), key));
}

/* NULL where nothing is kept; `*ret_ticket` is then for what is read instead. */
static const struct kept *find_kept(struct http_request *request, const char *key, cache_ticket *ret_ticket)
{
	void *kept = NULL;
	size_t size;

	return cache_get(api_of(request)->cache, key, clock_wall_us(), http_arena(request), &kept, &size, ret_ticket) ==
			       ERR_OK
		       ? kept
		       : NULL;
}

static struct kept *make_kept(struct arena *arena, const struct store_collection *collection, void *row)
{
	const struct field *version = field_find(collection->fields, "version");
	json_t *document = document_own(arena, field_write(collection->fields, row));
	size_t size = 0;
	char *json = document ? document_text(arena, document, &size) : NULL;
	struct kept *kept = json ? arena_alloc(arena, sizeof(*kept) + size) : NULL;

	assert(version && version->kind == FIELD_INT);
	if (!kept)
		return NULL;
	kept->org = *id_member(collection, row, "org_id");
	kept->version = *(const int64_t *)(const void *)((char *)row + version->offset);
	kept->size = size;
	memcpy(kept->json, json, size);
	return kept;
}

static enum err answer_kept(struct http_request *request, const struct kept *kept, struct err_info *info)
{
	enum err err = api_check_org(request, kept->org, info);

	return err ? err : http_answer_written(request, kept->json, kept->size, kept->version);
}

enum err api_row_get_kept(struct http_request *request, struct err_info *info)
{
	char key[KEY_SIZE];
	struct id id;
	enum err err = http_path_id(request, "id", &id, info);
	const struct kept *kept = err ? NULL : find_kept(request, key_of(http_route(request)->subject, id, key), NULL);

	return kept ? answer_kept(request, kept, info) : err;
}

enum err api_row_get(struct http_request *request, struct err_info *info)
{
	const struct store_collection *collection = http_route(request)->subject;
	struct arena *arena = http_arena(request);
	struct api *api = api_of(request);
	char key[KEY_SIZE];
	void *row = arena_alloc(arena, collection->row_size);
	struct kept *made;
	cache_ticket ticket;
	enum err err;

	if (!row)
		return ERR_NO_MEMORY;
	field_clear(collection->fields, row);
	struct id *id = id_member(collection, row, "id");
	err = http_path_id(request, "id", id, info);
	if (err)
		return err;
	const struct kept *kept = find_kept(request, key_of(collection, *id, key), &ticket);
	if (kept)
		return answer_kept(request, kept, info);
	err = store_get(api->store, collection, row, arena, info);
	if (err)
		return err;
	made = make_kept(arena, collection, row);
	if (!made)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the answer");
	if (!store_is_shared(api->store))
		cache_put(api->cache, key, made, sizeof(*made) + made->size, INT64_MAX, ticket);
	return answer_kept(request, made, info);
}

enum err api_list_rows(struct http_request *request, const struct store_collection *collection, void *low,
	const struct api_parent *parent, struct err_info *info)
{
	struct id *org = id_member(collection, low, "org_id");
	struct store_query query = {.collection = collection};
	enum err err = ERR_OK;

	if (parent && !id_is_none(parent->id)) {
		err = parent->org_of(request, parent->id, org, info);
		query.index = parent->index;
		query.prefix = 2;
	} else if (!id_is_none(*org) || !api_reaches_all(request)) {
		err = api_choose_org(request, *org, org, info);
		query.index = "by_org";
		query.prefix = 1;
	}
	query.low = query.prefix ? low : NULL;
	return err ? err : api_answer_found(request, &query, collection->fields, info);
}
