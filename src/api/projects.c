/* Projects. Workers; evidence decides. */
#include "carbond/evidence.h"

#include "parents.h"

static const enum err project_errors[] = {ERR_NOT_FOUND, ERR_CONDITION_FAILED, ERR_PERIOD_STATE, ERR_OK};

struct projects_query {
	struct id org_id, unit_id;
};
static const struct field projects_query_fields[] = {
	FIELD(struct projects_query, org_id, FIELD_ID,
		.doc = "Organisation; the caller's own where left out, all for a key that sees all"),
	FIELD(struct projects_query, unit_id, FIELD_ID, .doc = "Projects of this unit"), FIELD_END};

static enum err projects_list(struct http_request *request, struct err_info *info)
{
	const struct projects_query *given = http_query(request);
	struct project low = {.org_id = given->org_id, .unit_id = given->unit_id};
	const struct api_parent parent = {given->unit_id, "by_unit", api_unit_org};

	return api_list_rows(request, &projects_collection, &low, &parent, info);
}

static enum err projects_create(struct http_request *request, struct err_info *info)
{
	struct project row = *(const struct project *)http_body(request);
	struct audit_actor actor = api_actor(request);
	enum err err = api_choose_org(request, row.org_id, &row.org_id, info);
	row.id = (struct id){{0}};
	if (!err)
		err = evidence_project_create(api_of(request)->evidence, &actor, &row, info);
	if (err)
		return err;
	api_set_location(request, "/v1/projects/", row.id);
	return http_answer_row(request, project_fields, &row, row.version);
}

static enum err projects_update(struct http_request *request, struct err_info *info)
{
	struct project row;
	struct audit_actor actor = api_actor(request);
	enum err err = api_read_row(request, &projects_collection, &row, info);
	int64_t read_version = row.version;
	if (!err)
		err = http_body_over(request, &row, info);
	if (!err)
		err = evidence_project_update(
			api_of(request)->evidence, &actor, &row, api_expect(request, read_version), info);
	return err ? err : http_answer_row(request, project_fields, &row, row.version);
}

const struct http_route api_projects_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/projects", "project:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 2,
		.query = projects_query_fields, .query_size = sizeof(struct projects_query), .response = project_fields,
		.success = 200, .handler = projects_list, .operation = "projects.list",
		.doc = "The projects of an organisation"),
	HTTP_ROUTE(HTTP_POST, "/v1/projects", "project:write", .kind = HTTP_WORK, .body_bytes_max = 256 << 10,
		.cost = 4, .request = project_fields, .request_size = sizeof(struct project),
		.response = project_fields, .success = 201, .errors = project_errors, .handler = projects_create,
		.operation = "projects.create", .doc = "Creates a project: what is credited, by which methodology"),
	HTTP_ROUTE(HTTP_GET, "/v1/projects/{id}", "project:read", .kind = HTTP_WORK, .cost = 1,
		.response = project_fields, .success = 200, .errors = project_errors, API_ROW_GET(projects_collection),
		.operation = "projects.get", .doc = "One project"),
	HTTP_ROUTE(HTTP_PATCH, "/v1/projects/{id}", "project:write", .kind = HTTP_WORK, .flags = HTTP_IF_MATCH,
		.body_bytes_max = 256 << 10, .cost = 4, .request = project_fields,
		.request_size = sizeof(struct project), .request_mode = FIELD_REPLACE, .response = project_fields,
		.success = 200, .errors = project_errors, .handler = projects_update, .operation = "projects.update",
		.doc = "Changes a project; what has been submitted keeps what it was quantified with"),
	{.path = NULL}};
