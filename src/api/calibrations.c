/* Calibration certificates: entered and, when entered by mistake, deleted; never edited. Workers; sensing decides. */
#include "carbond/sensing.h"

#include "parents.h"

struct calibrations_query {
	struct id org_id, sensor_id;
};

static const struct field calibrations_query_fields[] = {
	FIELD(struct calibrations_query, org_id, FIELD_ID,
		.doc = "Organisation; the caller's own where left out, all for a key that sees all"),
	FIELD(struct calibrations_query, sensor_id, FIELD_ID,
		.doc = "Only those of this sensor, in order of valid_from"),
	FIELD_END};

static enum err read_calibration(struct http_request *request, struct calibration *ret_row, struct err_info *info)
{
	enum err err;

	field_clear(calibration_fields, ret_row);
	err = http_path_id(request, "id", &ret_row->id, info);
	if (!err)
		err = store_get(api_of(request)->store, &calibrations_collection, ret_row, http_arena(request), info);
	return err ? err : api_check_org(request, ret_row->org_id, info);
}

static enum err calibrations_list(struct http_request *request, struct err_info *info)
{
	const struct calibrations_query *given = http_query(request);
	struct calibration low = {.org_id = given->org_id, .sensor_id = given->sensor_id};
	struct store_query query = {.collection = &calibrations_collection};
	enum err err = ERR_OK;

	if (!id_is_none(given->sensor_id)) {
		err = api_sensor_org(request, given->sensor_id, &low.org_id, info);
		query.index = "by_sensor";
		query.prefix = 2;
	} else if (!id_is_none(given->org_id) || !api_reaches_all(request)) {
		err = api_choose_org(request, given->org_id, &low.org_id, info);
		query.index = "by_org";
		query.prefix = 1;
	}
	if (err)
		return err;
	query.low = query.prefix ? &low : NULL;
	return api_answer_found(request, &query, calibration_fields, info);
}

static enum err calibrations_get(struct http_request *request, struct err_info *info)
{
	struct calibration row;
	enum err err = read_calibration(request, &row, info);

	return err ? err : http_answer_row(request, calibration_fields, &row, row.version);
}

static enum err calibrations_create(struct http_request *request, struct err_info *info)
{
	struct calibration row = *(const struct calibration *)http_body(request);
	struct audit_actor actor = api_actor(request);
	enum err err = api_parent_org(request, row.org_id, &row.org_id, info);

	if (!err)
		err = sensing_calibration_create(api_of(request)->sensing, &actor, &row, info);
	if (err)
		return err;
	api_set_location(request, "/v1/calibrations/", row.id);
	return http_answer_row(request, calibration_fields, &row, row.version);
}

static enum err calibrations_delete(struct http_request *request, struct err_info *info)
{
	struct calibration row;
	struct audit_actor actor = api_actor(request);
	enum err err = read_calibration(request, &row, info);

	if (!err)
		err = sensing_calibration_delete(
			api_of(request)->sensing, &actor, row.id, api_expect(request, row.version), info);
	return err ? err : http_answer_empty(request);
}

static const enum err calibration_errors[] = {ERR_NOT_FOUND, ERR_DUPLICATE, ERR_CONDITION_FAILED, ERR_OK};

const struct http_route api_calibrations_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/calibrations", "calibration:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 2,
		.query = calibrations_query_fields, .query_size = sizeof(struct calibrations_query),
		.response = calibration_fields, .success = 200, .errors = calibration_errors,
		.handler = calibrations_list, .operation = "calibrations.list",
		.doc = "Calibration certificates of an organisation or a sensor"),
	HTTP_ROUTE(HTTP_POST, "/v1/calibrations", "calibration:write", .kind = HTTP_WORK, .body_bytes_max = 64 << 10,
		.cost = 4, .request = calibration_fields, .request_size = sizeof(struct calibration),
		.response = calibration_fields, .success = 201, .errors = calibration_errors,
		.handler = calibrations_create, .operation = "calibrations.create",
		.doc = "Enters a calibration certificate"),
	HTTP_ROUTE(HTTP_GET, "/v1/calibrations/{id}", "calibration:read", .kind = HTTP_WORK, .cost = 1,
		.response = calibration_fields, .success = 200, .errors = calibration_errors,
		.handler = calibrations_get, .operation = "calibrations.get", .doc = "One calibration certificate"),
	HTTP_ROUTE(HTTP_DELETE, "/v1/calibrations/{id}", "calibration:write", .kind = HTTP_WORK, .flags = HTTP_IF_MATCH,
		.cost = 4, .success = 204, .errors = calibration_errors, .handler = calibrations_delete,
		.operation = "calibrations.delete",
		.doc = "Deletes a certificate that was entered by mistake; its record stays"),
	{.path = NULL}};
