/* How rows of configuration are read and listed, whose a row is that hangs on another, and which version a change expects.
 * Workers. */
#include "parents.h"

#include <assert.h>

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
