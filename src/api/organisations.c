/* Organisations: the owners of everything else. Handlers run on workers. */
#include "carbond/api.h"
#include "carbond/identity.h"

static enum err organisations_list(struct http_request *request, struct err_info *info)
{
	struct store_query query = {.collection = &organisations_collection};
	struct organisation own;
	if (api_reaches_all(request))
		return api_answer_found(request, &query, organisation_fields, info);
	if (http_page_cursor(request))
		return err_set(info, ERR_INVALID_CURSOR, NULL, "the only page of one's own organisation has no cursor");
	enum err err = identity_organisation_get(
		api_of(request)->identity, http_actor(request)->org, http_arena(request), &own, info);
	return err ? err : http_answer_page(request, organisation_fields, &own, sizeof own, 1, NULL);
}

static enum err organisation_create(struct http_request *request, struct err_info *info)
{
	struct organisation organisation = *(const struct organisation *)http_body(request);
	struct audit_actor actor = api_actor(request);
	enum err err = identity_organisation_create(api_of(request)->identity, &actor, &organisation, info);
	if (err)
		return err;
	api_set_location(request, "/v1/organisations/", organisation.id);
	return http_answer_row(request, organisation_fields, &organisation, organisation.version);
}

/* The organisation in the path, if the actor's scope reaches it. */
static enum err find(struct http_request *request, struct organisation *ret_organisation, struct err_info *info)
{
	struct id id;
	enum err err = http_path_id(request, "id", &id, info);
	if (!err)
		err = api_check_org(request, id, info);
	return err ? err
		   : identity_organisation_get(
			     api_of(request)->identity, id, http_arena(request), ret_organisation, info);
}

static enum err organisation_get(struct http_request *request, struct err_info *info)
{
	struct organisation organisation;
	enum err err = find(request, &organisation, info);
	return err ? err : http_answer_row(request, organisation_fields, &organisation, organisation.version);
}

static enum err organisation_update(struct http_request *request, struct err_info *info)
{
	struct organisation organisation;
	struct audit_actor actor = api_actor(request);
	enum err err = find(request, &organisation, info);
	int before = organisation.state;
	if (!err)
		err = http_body_over(request, &organisation, info);
	if (!err && organisation.state != before &&
		identity_scope_of(http_actor(request)->roles, "organisation:create") != IDENTITY_ANY)
		err = err_set(
			info, ERR_FORBIDDEN, "/state", "/state is changed with the permission organisation:create");
	if (!err)
		err = identity_organisation_update(api_of(request)->identity, &actor, &organisation,
			http_if_match(request), http_arena(request), info);
	return err ? err : http_answer_row(request, organisation_fields, &organisation, organisation.version);
}

static enum err organisation_close(struct http_request *request, struct err_info *info)
{
	struct organisation organisation;
	struct audit_actor actor = api_actor(request);
	enum err err = find(request, &organisation, info);
	organisation.state = ORGANISATION_CLOSED;
	if (!err)
		err = identity_organisation_update(api_of(request)->identity, &actor, &organisation,
			http_if_match(request), http_arena(request), info);
	return err ? err : http_answer_row(request, organisation_fields, &organisation, organisation.version);
}

static const enum err create_errors[] = {ERR_DUPLICATE, ERR_OK};
static const enum err change_errors[] = {ERR_ORGANISATION_CLOSED, ERR_OK};

const struct http_route api_organisations_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/organisations", "organisation:read", .kind = HTTP_WORK, .flags = HTTP_PAGED,
		.cost = 5, .response = organisation_fields, .success = 200, .handler = organisations_list,
		.operation = "organisations.list", .doc = "The organisations that the caller may see"),
	HTTP_ROUTE(HTTP_POST, "/v1/organisations", "organisation:create", .kind = HTTP_WORK, .body_bytes_max = 16 << 10,
		.cost = 5, .request = organisation_fields, .request_size = sizeof(struct organisation),
		.response = organisation_fields, .success = 201, .errors = create_errors,
		.handler = organisation_create, .operation = "organisations.create", .doc = "Creates an organisation"),
	HTTP_ROUTE(HTTP_GET, "/v1/organisations/{id}", "organisation:read", .kind = HTTP_WORK, .cost = 1,
		.response = organisation_fields, .success = 200, .handler = organisation_get,
		.operation = "organisations.get", .doc = "One organisation"),
	HTTP_ROUTE(HTTP_PATCH, "/v1/organisations/{id}", "organisation:write", .kind = HTTP_WORK,
		.flags = HTTP_IF_MATCH, .body_bytes_max = 16 << 10, .cost = 5, .request = organisation_fields,
		.request_size = sizeof(struct organisation), .request_mode = FIELD_REPLACE,
		.response = organisation_fields, .success = 200, .errors = change_errors,
		.handler = organisation_update, .operation = "organisations.update",
		.doc = "Changes an organisation's name, country or state"),
	HTTP_ROUTE(HTTP_DELETE, "/v1/organisations/{id}", "organisation:create", .kind = HTTP_WORK,
		.flags = HTTP_IF_MATCH, .cost = 5, .response = organisation_fields, .success = 200,
		.errors = change_errors, .handler = organisation_close, .operation = "organisations.close",
		.doc = "Closes an organisation for ever: its keys are refused, what it owns and did stays on record"),
	{.path = NULL}};
