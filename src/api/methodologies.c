/* Methodologies and emission factor sets: published once, never changed. Workers; evidence decides. */
#include <stdlib.h>
#include <string.h>

#include "carbond/evidence.h"

#include "carbond/api.h"

static const enum err publish_errors[] = {ERR_INVALID_METHODOLOGY, ERR_INVALID_FACTORS, ERR_DUPLICATE, ERR_OK};
static const enum err get_errors[] = {ERR_NOT_FOUND, ERR_OK};

/* Lists leave the documents out. */
static const struct field listed_fields[] = {FIELD(struct published, code, FIELD_TEXT, .max = 40, .doc = "Code"),
	FIELD(struct published, version, FIELD_INT, .min = 1, .doc = "Version"),
	FIELD(struct published, title, FIELD_TEXT, .max = 200, .doc = "Title"),
	FIELD(struct published, hash, FIELD_HASH, .doc = "SHA-256 of the canonical document"),
	FIELD_AS(struct published, created_us, "created_at", FIELD_TIME, .doc = "When it was published"), FIELD_END};

static enum err list_published(
	struct http_request *request, const struct store_collection *collection, struct err_info *info)
{
	struct store_query query = {.collection = collection};
	return api_answer_found(request, &query, listed_fields, info);
}

static enum err methodologies_list(struct http_request *request, struct err_info *info)
{
	return list_published(request, &methodologies_collection, info);
}

static enum err factor_sets_list(struct http_request *request, struct err_info *info)
{
	return list_published(request, &factor_sets_collection, info);
}

static enum err get_published(
	struct http_request *request, const struct store_collection *collection, struct err_info *info)
{
	struct published row;
	const char *version = http_path_text(request, "version");
	char *end = NULL;
	field_clear(published_fields, &row);
	row.code = http_path_text(request, "code");
	row.version = version && *version >= '1' && *version <= '9' ? strtoll(version, &end, 10) : 0;
	if (row.version < 1 || *end || row.version > 1000000)
		return err_set(info, ERR_NOT_FOUND, NULL, "there is no such version");
	enum err err = store_get(api_of(request)->store, collection, &row, http_arena(request), info);
	return err ? err : http_answer_row(request, published_fields, &row, row.version);
}

static enum err methodologies_get(struct http_request *request, struct err_info *info)
{
	return get_published(request, &methodologies_collection, info);
}

static enum err factor_sets_get(struct http_request *request, struct err_info *info)
{
	return get_published(request, &factor_sets_collection, info);
}

static enum err body_document(struct http_request *request, const json_t **ret_document, struct err_info *info)
{
	*ret_document = http_body_json(request);
	if (json_is_object(*ret_document))
		return ERR_OK;
	return err_set(info, ERR_INVALID_JSON, NULL, "the body is the document, a JSON object");
}

static enum err methodologies_publish(struct http_request *request, struct err_info *info)
{
	struct audit_actor actor = api_actor(request);
	struct published row;
	const json_t *document;
	enum err err = body_document(request, &document, info);
	if (!err)
		err = evidence_methodology_publish(
			api_of(request)->evidence, &actor, document, http_arena(request), &row, info);
	return err ? err : http_answer_row(request, published_fields, &row, row.version);
}

static enum err factor_sets_publish(struct http_request *request, struct err_info *info)
{
	struct audit_actor actor = api_actor(request);
	struct published row;
	const json_t *document;
	enum err err = body_document(request, &document, info);
	if (!err)
		err = evidence_factors_publish(
			api_of(request)->evidence, &actor, document, http_arena(request), &row, info);
	return err ? err : http_answer_row(request, published_fields, &row, row.version);
}

const struct http_route api_methodologies_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/methodologies", "methodology:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 2,
		.response = listed_fields, .success = 200, .handler = methodologies_list,
		.operation = "methodologies.list", .doc = "Published methodologies"),
	HTTP_ROUTE(HTTP_POST, "/v1/methodologies", "methodology:write", .kind = HTTP_WORK, .body_bytes_max = 1 << 20,
		.cost = 10, .response = published_fields, .success = 201, .errors = publish_errors,
		.handler = methodologies_publish, .operation = "methodologies.publish",
		.doc = "Publishes a methodology, the body; each formula is unit-checked; the same one again is no "
		       "fault"),
	HTTP_ROUTE(HTTP_GET, "/v1/methodologies/{code}/{version}", "methodology:read", .kind = HTTP_WORK, .cost = 1,
		.response = published_fields, .success = 200, .errors = get_errors, .handler = methodologies_get,
		.operation = "methodologies.get", .doc = "One methodology with its document"),
	HTTP_ROUTE(HTTP_GET, "/v1/factor-sets", "methodology:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 2,
		.response = listed_fields, .success = 200, .handler = factor_sets_list, .operation = "factor-sets.list",
		.doc = "Published emission factor sets"),
	HTTP_ROUTE(HTTP_POST, "/v1/factor-sets", "methodology:write", .kind = HTTP_WORK, .body_bytes_max = 8 << 20,
		.cost = 10, .response = published_fields, .success = 201, .errors = publish_errors,
		.handler = factor_sets_publish, .operation = "factor-sets.publish",
		.doc = "Publishes an emission factor set, the body, with its licence and source"),
	HTTP_ROUTE(HTTP_GET, "/v1/factor-sets/{code}/{version}", "methodology:read", .kind = HTTP_WORK, .cost = 1,
		.response = published_fields, .success = 200, .errors = get_errors, .handler = factor_sets_get,
		.operation = "factor-sets.get", .doc = "One emission factor set with its factors"),
	{.path = NULL}};
