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

static enum err calibrations_list(struct http_request *request, struct err_info *info)
{
	const struct calibrations_query *given = http_query(request);
	struct calibration low = {.org_id = given->org_id, .sensor_id = given->sensor_id};
	const struct api_parent parent = {given->sensor_id, "by_sensor", api_sensor_org};

	return api_list_rows(request, &calibrations_collection, &low, &parent, info);
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
	enum err err = api_read_row(request, &calibrations_collection, &row, info);

	if (!err)
		err = sensing_calibration_delete(
			api_of(request)->sensing, &actor, row.id, api_expect(request, row.version), info);
	return err ? err : http_answer_empty(request);
}

static const enum err calibration_errors[] = {ERR_NOT_FOUND, ERR_DUPLICATE, ERR_CONDITION_FAILED, ERR_IN_USE, ERR_OK};

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
		API_ROW_GET(calibrations_collection), .operation = "calibrations.get",
		.doc = "One calibration certificate"),
	HTTP_ROUTE(HTTP_DELETE, "/v1/calibrations/{id}", "calibration:write", .kind = HTTP_WORK, .flags = HTTP_IF_MATCH,
		.cost = 4, .success = 204, .errors = calibration_errors, .handler = calibrations_delete,
		.operation = "calibrations.delete",
		.doc = "Deletes a certificate that was entered by mistake and that no submitted period cites; its "
		       "record stays"),
	{.path = NULL}};
