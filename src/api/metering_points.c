/* Metering points. Workers; sensing decides. */
#include "carbond/sensing.h"

#include "parents.h"

struct points_query {
	struct id org_id, unit_id;
};

static const struct field points_query_fields[] = {
	FIELD(struct points_query, org_id, FIELD_ID,
		.doc = "Organisation; the caller's own where left out, all for a key that sees all"),
	FIELD(struct points_query, unit_id, FIELD_ID, .doc = "Only those of this unit"), FIELD_END};

static enum err points_list(struct http_request *request, struct err_info *info)
{
	const struct points_query *given = http_query(request);
	struct metering_point low = {.org_id = given->org_id, .unit_id = given->unit_id};
	const struct api_parent parent = {given->unit_id, "by_unit", api_unit_org};

	return api_list_rows(request, &metering_points_collection, &low, &parent, info);
}

static enum err points_create(struct http_request *request, struct err_info *info)
{
	struct metering_point row = *(const struct metering_point *)http_body(request);
	struct audit_actor actor = api_actor(request);
	enum err err = api_parent_org(request, row.org_id, &row.org_id, info);

	if (!err)
		err = sensing_point_create(api_of(request)->sensing, &actor, &row, info);
	if (err)
		return err;
	api_set_location(request, "/v1/metering-points/", row.id);
	return http_answer_row(request, metering_point_fields, &row, row.version);
}

static enum err points_update(struct http_request *request, struct err_info *info)
{
	struct metering_point row;
	struct audit_actor actor = api_actor(request);
	enum err err = api_read_row(request, &metering_points_collection, &row, info);
	int64_t read_version = row.version;

	if (!err)
		err = http_body_over(request, &row, info);
	if (!err)
		err = sensing_point_update(
			api_of(request)->sensing, &actor, &row, api_expect(request, read_version), info);
	return err ? err : http_answer_row(request, metering_point_fields, &row, row.version);
}

static enum err points_delete(struct http_request *request, struct err_info *info)
{
	struct metering_point row;
	struct audit_actor actor = api_actor(request);
	enum err err = api_read_row(request, &metering_points_collection, &row, info);

	if (!err)
		err = sensing_point_delete(
			api_of(request)->sensing, &actor, row.id, api_expect(request, row.version), info);
	return err ? err : http_answer_empty(request);
}

static const enum err point_errors[] = {ERR_NOT_FOUND, ERR_DUPLICATE, ERR_CONDITION_FAILED, ERR_IN_USE, ERR_OK};

const struct http_route api_metering_points_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/metering-points", "point:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 2,
		.query = points_query_fields, .query_size = sizeof(struct points_query),
		.response = metering_point_fields, .success = 200, .errors = point_errors, .handler = points_list,
		.operation = "metering-points.list", .doc = "Metering points of an organisation or a unit"),
	HTTP_ROUTE(HTTP_POST, "/v1/metering-points", "point:write", .kind = HTTP_WORK, .body_bytes_max = 64 << 10,
		.cost = 4, .request = metering_point_fields, .request_size = sizeof(struct metering_point),
		.response = metering_point_fields, .success = 201, .errors = point_errors, .handler = points_create,
		.operation = "metering-points.create",
		.doc = "Creates a metering point; its edges lead to points that exist, so begin downstream"),
	HTTP_ROUTE(HTTP_GET, "/v1/metering-points/{id}", "point:read", .kind = HTTP_WORK, .cost = 1,
		.response = metering_point_fields, .success = 200, .errors = point_errors,
		API_ROW_GET(metering_points_collection), .operation = "metering-points.get",
		.doc = "One metering point"),
	HTTP_ROUTE(HTTP_PATCH, "/v1/metering-points/{id}", "point:write", .kind = HTTP_WORK, .flags = HTTP_IF_MATCH,
		.body_bytes_max = 64 << 10, .cost = 4, .request = metering_point_fields,
		.request_size = sizeof(struct metering_point), .request_mode = FIELD_REPLACE,
		.response = metering_point_fields, .success = 200, .errors = point_errors, .handler = points_update,
		.operation = "metering-points.update", .doc = "Changes a metering point or its edges"),
	HTTP_ROUTE(HTTP_DELETE, "/v1/metering-points/{id}", "point:write", .kind = HTTP_WORK, .flags = HTTP_IF_MATCH,
		.cost = 4, .success = 204, .errors = point_errors, .handler = points_delete,
		.operation = "metering-points.delete",
		.doc = "Deletes a metering point that never had a sensor; others are retired by their state"),
	{.path = NULL}};
