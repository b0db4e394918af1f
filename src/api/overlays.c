/* Quality overlays: entered, never edited or taken back. Workers; sensing decides. */
#include "carbond/sensing.h"

#include "parents.h"

struct overlays_query {
	struct id org_id, sensor_id;
};

static const struct field overlays_query_fields[] = {
	FIELD(struct overlays_query, org_id, FIELD_ID,
		.doc = "Organisation; the caller's own where left out, all for a key that sees all"),
	FIELD(struct overlays_query, sensor_id, FIELD_ID, .doc = "Only those of this sensor, in order of their start"),
	FIELD_END};

static enum err overlays_list(struct http_request *request, struct err_info *info)
{
	const struct overlays_query *given = http_query(request);
	struct overlay low = {.org_id = given->org_id, .sensor_id = given->sensor_id};
	const struct api_parent parent = {given->sensor_id, "by_sensor", api_sensor_org};

	return api_list_rows(request, &overlays_collection, &low, &parent, info);
}

static enum err overlays_create(struct http_request *request, struct err_info *info)
{
	struct overlay row = *(const struct overlay *)http_body(request);
	struct audit_actor actor = api_actor(request);
	enum err err = api_parent_org(request, row.org_id, &row.org_id, info);

	if (!err)
		err = sensing_overlay_create(api_of(request)->sensing, &actor, &row, info);
	if (err)
		return err;
	api_set_location(request, "/v1/overlays/", row.id);
	return http_answer_row(request, overlay_fields, &row, row.version);
}

static const enum err overlay_errors[] = {ERR_NOT_FOUND, ERR_OK};

const struct http_route api_overlays_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/overlays", "overlay:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 2,
		.query = overlays_query_fields, .query_size = sizeof(struct overlays_query), .response = overlay_fields,
		.success = 200, .errors = overlay_errors, .handler = overlays_list, .operation = "overlays.list",
		.doc = "Quality overlays of an organisation or a sensor"),
	HTTP_ROUTE(HTTP_POST, "/v1/overlays", "overlay:write", .kind = HTTP_WORK, .body_bytes_max = 64 << 10, .cost = 4,
		.request = overlay_fields, .request_size = sizeof(struct overlay), .response = overlay_fields,
		.success = 201, .errors = overlay_errors, .handler = overlays_create, .operation = "overlays.create",
		.doc = "Lowers the quality of a sensor's readings for a time; it cannot be taken back"),
	HTTP_ROUTE(HTTP_GET, "/v1/overlays/{id}", "overlay:read", .kind = HTTP_WORK, .cost = 1,
		.response = overlay_fields, .success = 200, .errors = overlay_errors, API_ROW_GET(overlays_collection),
		.operation = "overlays.get", .doc = "One quality overlay"),
	{.path = NULL}};
