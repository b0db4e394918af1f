/* Sensors. Workers; sensing decides. */
#include "carbond/sensing.h"

#include "parents.h"

struct sensors_query {
	struct id org_id, unit_id, metering_point_id;
	const char *tag;
};

static const struct field sensors_query_fields[] = {
	FIELD(struct sensors_query, org_id, FIELD_ID,
		.doc = "Organisation; the caller's own where left out, all for a key that sees all"),
	FIELD(struct sensors_query, unit_id, FIELD_ID, .doc = "Only those of this unit"),
	FIELD(struct sensors_query, metering_point_id, FIELD_ID, .doc = "Only those of this metering point"),
	FIELD(struct sensors_query, tag, FIELD_TEXT, .min = 1, .max = 100,
		.doc = "Only the one with this tag; with unit_id"),
	FIELD_END};

/* The narrowest index that the filters lead to. */
static enum err choose(struct http_request *request, const struct sensors_query *given, struct sensor *low,
	struct store_query *query, struct err_info *info)
{
	struct metering_point point = {.id = given->metering_point_id};
	enum err err = ERR_OK;

	if (given->tag && id_is_none(given->unit_id))
		return err_set(info, ERR_MISSING_FIELD, "/unit_id", "/unit_id is needed with /tag");
	if (!id_is_none(given->metering_point_id)) {
		if (!id_is_none(given->unit_id))
			return err_set(info, ERR_INVALID_FIELD, "/metering_point_id",
				"/metering_point_id and /unit_id exclude each other");
		err = store_get(api_of(request)->store, &metering_points_collection, &point, http_arena(request), info);
		if (!err)
			err = api_check_org(request, point.org_id, info);
		low->org_id = point.org_id;
		query->index = "by_point";
		query->prefix = 2;
	} else if (!id_is_none(given->unit_id)) {
		err = api_unit_org(request, given->unit_id, &low->org_id, info);
		query->index = given->tag ? "by_tag" : "by_unit";
		query->prefix = 2;
	} else if (!id_is_none(given->org_id) || !api_reaches_all(request)) {
		err = api_choose_org(request, given->org_id, &low->org_id, info);
		query->index = "by_org";
		query->prefix = 1;
	}
	query->low = query->prefix ? low : NULL;
	return err;
}

static enum err sensors_list(struct http_request *request, struct err_info *info)
{
	const struct sensors_query *given = http_query(request);
	struct sensor low = {.org_id = given->org_id,
		.unit_id = given->unit_id,
		.metering_point_id = given->metering_point_id,
		.tag = given->tag};
	struct store_query query = {.collection = &sensors_collection};
	enum err err = choose(request, given, &low, &query, info);

	return err ? err : api_answer_found(request, &query, sensor_fields, info);
}

static enum err sensors_create(struct http_request *request, struct err_info *info)
{
	struct sensor row = *(const struct sensor *)http_body(request);
	struct audit_actor actor = api_actor(request);
	enum err err = api_parent_org(request, row.org_id, &row.org_id, info);

	if (!err)
		err = sensing_sensor_create(api_of(request)->sensing, &actor, &row, info);
	if (err)
		return err;
	api_set_location(request, "/v1/sensors/", row.id);
	return http_answer_row(request, sensor_fields, &row, row.version);
}

static enum err sensors_update(struct http_request *request, struct err_info *info)
{
	struct sensor row;
	struct audit_actor actor = api_actor(request);
	enum err err = api_read_row(request, &sensors_collection, &row, info);
	int64_t read_version = row.version;

	if (!err)
		err = http_body_over(request, &row, info);
	if (!err)
		err = sensing_sensor_update(
			api_of(request)->sensing, &actor, &row, api_expect(request, read_version), info);
	return err ? err : http_answer_row(request, sensor_fields, &row, row.version);
}

static enum err sensors_delete(struct http_request *request, struct err_info *info)
{
	struct sensor row;
	struct audit_actor actor = api_actor(request);
	enum err err = api_read_row(request, &sensors_collection, &row, info);

	if (!err)
		err = sensing_sensor_delete(
			api_of(request)->sensing, &actor, row.id, api_expect(request, row.version), info);
	return err ? err : http_answer_empty(request);
}

static const enum err sensor_errors[] = {ERR_NOT_FOUND, ERR_DUPLICATE, ERR_CONDITION_FAILED, ERR_IN_USE, ERR_OK};

const struct http_route api_sensors_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/sensors", "sensor:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 2,
		.query = sensors_query_fields, .query_size = sizeof(struct sensors_query), .response = sensor_fields,
		.success = 200, .errors = sensor_errors, .handler = sensors_list, .operation = "sensors.list",
		.doc = "Sensors of an organisation, a unit or a metering point"),
	HTTP_ROUTE(HTTP_POST, "/v1/sensors", "sensor:write", .kind = HTTP_WORK, .body_bytes_max = 64 << 10, .cost = 4,
		.request = sensor_fields, .request_size = sizeof(struct sensor), .response = sensor_fields,
		.success = 201, .errors = sensor_errors, .handler = sensors_create, .operation = "sensors.create",
		.doc = "Creates a sensor"),
	HTTP_ROUTE(HTTP_GET, "/v1/sensors/{id}", "sensor:read", .kind = HTTP_WORK, .cost = 1, .response = sensor_fields,
		.success = 200, .errors = sensor_errors, API_ROW_GET(sensors_collection), .operation = "sensors.get",
		.doc = "One sensor"),
	HTTP_ROUTE(HTTP_PATCH, "/v1/sensors/{id}", "sensor:write", .kind = HTTP_WORK, .flags = HTTP_IF_MATCH,
		.body_bytes_max = 64 << 10, .cost = 4, .request = sensor_fields, .request_size = sizeof(struct sensor),
		.request_mode = FIELD_REPLACE, .response = sensor_fields, .success = 200, .errors = sensor_errors,
		.handler = sensors_update, .operation = "sensors.update", .doc = "Changes a sensor"),
	HTTP_ROUTE(HTTP_DELETE, "/v1/sensors/{id}", "sensor:write", .kind = HTTP_WORK, .flags = HTTP_IF_MATCH,
		.cost = 4, .success = 204, .errors = sensor_errors, .handler = sensors_delete,
		.operation = "sensors.delete",
		.doc = "Deletes a sensor without readings, calibrations and overlays; others are retired by their "
		       "state"),
	{.path = NULL}};
