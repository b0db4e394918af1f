/* Units and their process graphs. Workers; sensing decides. */
#include "carbond/sensing.h"

#include "parents.h"

struct units_query {
	struct id org_id;
};

static const struct field units_query_fields[] = {
	FIELD(struct units_query, org_id, FIELD_ID,
		.doc = "Organisation; the caller's own where left out, all for a key that sees all"),
	FIELD_END};

static enum err units_list(struct http_request *request, struct err_info *info)
{
	const struct units_query *given = http_query(request);
	struct unit low = {.org_id = given->org_id};

	return api_list_rows(request, &units_collection, &low, NULL, info);
}

static enum err units_create(struct http_request *request, struct err_info *info)
{
	struct unit row = *(const struct unit *)http_body(request);
	struct audit_actor actor = api_actor(request);
	enum err err = api_choose_org(request, row.org_id, &row.org_id, info);

	if (!err)
		err = sensing_unit_create(api_of(request)->sensing, &actor, &row, info);
	if (err)
		return err;
	api_set_location(request, "/v1/units/", row.id);
	return http_answer_row(request, unit_fields, &row, row.version);
}

static enum err units_update(struct http_request *request, struct err_info *info)
{
	struct unit row;
	struct audit_actor actor = api_actor(request);
	enum err err = api_read_row(request, &units_collection, &row, info);
	int64_t read_version = row.version;

	if (!err)
		err = http_body_over(request, &row, info);
	if (!err)
		err = sensing_unit_update(
			api_of(request)->sensing, &actor, &row, api_expect(request, read_version), info);
	return err ? err : http_answer_row(request, unit_fields, &row, row.version);
}

static enum err units_delete(struct http_request *request, struct err_info *info)
{
	struct unit row;
	struct audit_actor actor = api_actor(request);
	enum err err = api_read_row(request, &units_collection, &row, info);

	if (!err)
		err = sensing_unit_delete(
			api_of(request)->sensing, &actor, row.id, api_expect(request, row.version), info);
	return err ? err : http_answer_empty(request);
}

/* ---- the process graph ---- */

struct graph_node {
	struct id id;
	const char *code, *name;
	int role, state;
	bool claimable;
	int64_t sensor_count;
};
struct graph_edge {
	const char *from, *to;
};
struct graph {
	struct id unit_id;
	bool complete;
	const char *fault;
	struct field_list points, edges;
};

static const struct field graph_node_fields[] = {FIELD(struct graph_node, id, FIELD_ID, .doc = "Metering point"),
	FIELD(struct graph_node, code, FIELD_TEXT, .max = 20, .doc = "Its code"),
	FIELD(struct graph_node, name, FIELD_TEXT, .max = 100, .doc = "Its name"),
	FIELD(struct graph_node, role, FIELD_ENUM, .names = metering_roles, .doc = "What is metered"),
	FIELD(struct graph_node, state, FIELD_ENUM, .names = point_states, .doc = "State"),
	FIELD(struct graph_node, claimable, FIELD_BOOL, .doc = "Its hours back credits"),
	FIELD(struct graph_node, sensor_count, FIELD_INT, .min = 0, .max = 1000000, .doc = "Active sensors on it"),
	FIELD_END};
static const struct field graph_edge_fields[] = {
	FIELD(struct graph_edge, from, FIELD_TEXT, .max = 20, .doc = "Code of the point upstream"),
	FIELD(struct graph_edge, to, FIELD_TEXT, .max = 20, .doc = "Code of the point downstream"), FIELD_END};
static const struct field graph_fields[] = {FIELD(struct graph, unit_id, FIELD_ID, .doc = "Unit"),
	FIELD(struct graph, complete, FIELD_BOOL, .doc = "Each path has exactly one claimable point"),
	FIELD(struct graph, fault, FIELD_TEXT, .max = 1024, .doc = "The first path without one, where not complete"),
	FIELD(struct graph, points, FIELD_LIST, .max = 500, .table = graph_node_fields,
		.item_size = sizeof(struct graph_node), .doc = "Metering points"),
	FIELD(struct graph, edges, FIELD_LIST, .max = 25000, .table = graph_edge_fields,
		.item_size = sizeof(struct graph_edge), .doc = "Edges, from upstream to downstream"),
	FIELD_END};

static enum err graph_read(struct http_request *request, const struct unit *unit, struct metering_point **ret_points,
	size_t *ret_point_count, struct sensor **ret_sensors, size_t *ret_sensor_count, struct err_info *info)
{
	struct metering_point low = {.org_id = unit->org_id, .unit_id = unit->id};
	struct sensor sensor_low = {.org_id = unit->org_id, .unit_id = unit->id};
	struct store_query points = {
		.collection = &metering_points_collection, .index = "by_unit", .low = &low, .prefix = 2, .most = 1000};
	struct store_query sensors = {
		.collection = &sensors_collection, .index = "by_unit", .low = &sensor_low, .prefix = 2, .most = 10000};
	struct store *store = api_of(request)->store;
	void *found_points = NULL, *found_sensors = NULL;
	enum err err = store_find(store, &points, http_arena(request), &found_points, ret_point_count, info);

	if (!err)
		err = store_find(store, &sensors, http_arena(request), &found_sensors, ret_sensor_count, info);
	*ret_points = found_points;
	*ret_sensors = found_sensors;
	return err;
}

static enum err graph_fill(struct arena *arena, const struct metering_point *points, size_t point_count,
	const struct sensor *sensors, size_t sensor_count, struct graph *ret_graph)
{
	struct graph_node *nodes = ARENA_ARRAY(arena, struct graph_node, point_count + 1);
	struct graph_edge *edges;
	size_t edge_count = 0;

	for (size_t i = 0; i < point_count; i++)
		edge_count += points[i].downstream.count;
	edges = ARENA_ARRAY(arena, struct graph_edge, edge_count + 1);
	if (!nodes || !edges)
		return ERR_NO_MEMORY;
	edge_count = 0;
	for (size_t i = 0; i < point_count; i++) {
		const struct metering_point *point = &points[i];
		nodes[i] = (struct graph_node){.id = point->id,
			.code = point->code,
			.name = point->name,
			.role = point->role,
			.state = point->state,
			.claimable = point->claimable};
		for (size_t j = 0; j < sensor_count; j++)
			nodes[i].sensor_count +=
				sensors[j].state == 0 && id_equal(sensors[j].metering_point_id, point->id);
		for (size_t j = 0; j < point->downstream.count; j++)
			edges[edge_count++] = (struct graph_edge){point->code, ((char **)point->downstream.items)[j]};
	}
	ret_graph->points = (struct field_list){nodes, point_count};
	ret_graph->edges = (struct field_list){edges, edge_count};
	return ERR_OK;
}

static enum err units_graph(struct http_request *request, struct err_info *info)
{
	struct unit unit;
	struct metering_point *points;
	struct sensor *sensors;
	size_t point_count = 0, sensor_count = 0;
	struct graph graph = {0};
	struct err_info fault = {0};
	enum err err = api_read_row(request, &units_collection, &unit, info);

	if (!err)
		err = graph_read(request, &unit, &points, &point_count, &sensors, &sensor_count, info);
	if (!err)
		err = graph_fill(http_arena(request), points, point_count, sensors, sensor_count, &graph);
	if (err)
		return err;
	graph.unit_id = unit.id;
	err = sensing_graph_check(points, point_count, true, http_arena(request), &fault);
	graph.complete = !err;
	graph.fault = err ? fault.detail : NULL;
	return http_answer_row(request, graph_fields, &graph, -1);
}

static const enum err unit_errors[] = {ERR_NOT_FOUND, ERR_DUPLICATE, ERR_CONDITION_FAILED, ERR_IN_USE, ERR_OK};

const struct http_route api_units_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/units", "unit:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 2,
		.query = units_query_fields, .query_size = sizeof(struct units_query), .response = unit_fields,
		.success = 200, .handler = units_list, .operation = "units.list",
		.doc = "The units of an organisation"),
	HTTP_ROUTE(HTTP_POST, "/v1/units", "unit:write", .kind = HTTP_WORK, .body_bytes_max = 64 << 10, .cost = 4,
		.request = unit_fields, .request_size = sizeof(struct unit), .response = unit_fields, .success = 201,
		.errors = unit_errors, .handler = units_create, .operation = "units.create", .doc = "Creates a unit"),
	HTTP_ROUTE(HTTP_GET, "/v1/units/{id}", "unit:read", .kind = HTTP_WORK, .cost = 1, .response = unit_fields,
		.success = 200, .errors = unit_errors, API_ROW_GET(units_collection), .operation = "units.get",
		.doc = "One unit"),
	HTTP_ROUTE(HTTP_PATCH, "/v1/units/{id}", "unit:write", .kind = HTTP_WORK, .flags = HTTP_IF_MATCH,
		.body_bytes_max = 64 << 10, .cost = 4, .request = unit_fields, .request_size = sizeof(struct unit),
		.request_mode = FIELD_REPLACE, .response = unit_fields, .success = 200, .errors = unit_errors,
		.handler = units_update, .operation = "units.update", .doc = "Changes a unit"),
	HTTP_ROUTE(HTTP_DELETE, "/v1/units/{id}", "unit:write", .kind = HTTP_WORK, .flags = HTTP_IF_MATCH, .cost = 4,
		.success = 204, .errors = unit_errors, .handler = units_delete, .operation = "units.delete",
		.doc = "Deletes a unit without metering points; others are retired by their state"),
	HTTP_ROUTE(HTTP_GET, "/v1/units/{id}/graph", "unit:read", .kind = HTTP_WORK, .cost = 4,
		.response = graph_fields, .success = 200, .errors = unit_errors, .handler = units_graph,
		.operation = "units.graph",
		.doc = "The process graph of a unit, and whether each path has exactly one claimable point"),
	{.path = NULL}};
