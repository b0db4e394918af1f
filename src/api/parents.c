/* Whose a row is that hangs on another, and which version a change expects. Workers. */
#include "parents.h"

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
