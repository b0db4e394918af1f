/* The OpenAPI 3.1 document, made from the route and field tables alone: what is validated is what is documented. Any
 * thread. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "http_internal.h"

#define SCHEMAS_MAX 256

/* Which table became which component, so that each is written once. */
struct writer {
	json_t *schemas, *tags;
	struct {
		const struct field *table;
		bool out, patch;
		char name[64];
	} known[SCHEMAS_MAX];
	size_t known_count;
};

static json_t *reference(const char *kind, const char *name)
{
	char text[128];
	snprintf(text, sizeof text, "#/components/%s/%s", kind, name);
	return json_pack("{s:s}", "$ref", text);
}

/* "metering-points.create" → "MeteringPoints". */
static void noun_of(const char *operation, char *ret_noun, size_t size)
{
	size_t length = 0;
	bool upper = true;
	for (const char *at = operation; *at && *at != '.' && length + 1 < size; at++) {
		if (!isalnum((unsigned char)*at)) {
			upper = true;
			continue;
		}
		ret_noun[length++] = upper ? (char)toupper((unsigned char)*at) : *at;
		upper = false;
	}
	ret_noun[length] = 0;
}

static json_t *schema_of(struct writer *writer, const struct field *table, bool out, bool patch, const char *operation)
{
	char noun[48];
	for (size_t i = 0; i < writer->known_count; i++) {
		if (writer->known[i].table == table && writer->known[i].out == out && writer->known[i].patch == patch)
			return reference("schemas", writer->known[i].name);
	}
	json_t *schema = field_schema(table, out);
	if (!schema || writer->known_count == SCHEMAS_MAX)
		return schema;
	if (patch)
		json_object_del(schema, "required");
	noun_of(operation, noun, sizeof noun);
	char *name = writer->known[writer->known_count].name;
	size_t size = sizeof writer->known[0].name;
	snprintf(name, size, "%s%s", noun, out ? "" : patch ? "Change" : "Input");
	for (int n = 2; json_object_get(writer->schemas, name); n++)
		snprintf(name, size, "%s%s%d", noun, out ? "" : patch ? "Change" : "Input", n);
	writer->known[writer->known_count].table = table;
	writer->known[writer->known_count].out = out;
	writer->known[writer->known_count++].patch = patch;
	json_object_set_new(writer->schemas, name, schema);
	return reference("schemas", name);
}

/* ---- parameters ---- */

static void add_parameter(
	json_t *parameters, const char *in, const char *name, bool required, const char *doc, json_t *schema)
{
	json_array_append_new(parameters, json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", name, "in", in, "required",
						  required, "description", doc, "schema", schema));
}

static void add_path_parameters(json_t *parameters, const char *path)
{
	for (const char *at = path; (at = strchr(at, '{')); at++) {
		char name[64], doc[96];
		snprintf(name, sizeof name, "%.*s", (int)strcspn(at + 1, "}"), at + 1);
		size_t size = strlen(name);
		bool id = size >= 2 && strcmp(name + size - 2, "id") == 0;
		snprintf(doc, sizeof doc, "The %s in the path", name);
		add_parameter(parameters, "path", name, true, doc,
			id ? json_pack("{s:s, s:s}", "type", "string", "format", "uuid")
			   : json_pack("{s:s}", "type", "string"));
	}
}

static void add_query_parameters(json_t *parameters, const struct http_route *route)
{
	json_t *schema = route->query ? field_schema(route->query, false) : NULL;
	json_t *properties = json_object_get(schema, "properties");
	for (const struct field *field = route->query; field && field->kind != FIELD_NONE; field++) {
		json_t *property = json_object_get(properties, field->name);
		if (property)
			add_parameter(parameters, "query", field->name, (field->flags & FIELD_REQUIRED) != 0,
				field->doc ? field->doc : field->name, json_incref(property));
	}
	json_decref(schema);
	if (route->flags & HTTP_PAGED) {
		add_parameter(parameters, "query", "limit", false, "How many items a page may have",
			json_pack("{s:s, s:i, s:i, s:i}", "type", "integer", "minimum", 1, "maximum",
				route->page_rows_max ? (int)route->page_rows_max : LIMIT_PAGE_ROWS, "default", 100));
		add_parameter(parameters, "query", "cursor", false, "next_cursor of the page before",
			json_pack("{s:s}", "type", "string"));
	}
	if (route->flags & HTTP_AT_LEAST)
		add_parameter(parameters, "query", "at-least", false,
			"A journal position that the answer must have seen: Carbond-Position of an earlier answer, "
			"without its shard",
			json_pack("{s:s, s:i}", "type", "integer", "minimum", 0));
}

static json_t *parameters_of(const struct http_route *route)
{
	json_t *parameters = json_array();
	add_path_parameters(parameters, route->path);
	add_query_parameters(parameters, route);
	if (route->flags & HTTP_VALUE)
		add_parameter(parameters, "header", "Idempotency-Key", true,
			"A UUID that is new for each intended change; a repeat with the same key and body gives the "
			"same result",
			json_pack("{s:s, s:s}", "type", "string", "format", "uuid"));
	if (route->flags & HTTP_IF_MATCH)
		add_parameter(parameters, "header", "If-Match", true, "The ETag that the resource was read with",
			json_pack("{s:s, s:[s]}", "type", "string", "examples", "\"3\""));
	return parameters;
}

/* ---- bodies and responses ---- */

static json_t *request_body(struct writer *writer, const struct http_route *route)
{
	static const char *const json_media[] = {"application/json", NULL};
	const char *const *media = route->media ? route->media : json_media;
	json_t *content = json_object();
	for (size_t i = 0; media[i]; i++) {
		bool json = strcmp(media[i], "application/json") == 0;
		json_t *schema = json && route->request
					 ? schema_of(writer, route->request, false,
						   route->request_mode == FIELD_REPLACE, route->operation)
					 : json_object();
		json_object_set_new(content, media[i], json_pack("{s:o}", "schema", schema));
	}
	return json_pack("{s:b, s:o}", "required", 1, "content", content);
}

static json_t *page_schema(json_t *items)
{
	return json_pack("{s:s, s:[s], s:{s:{s:s, s:o}, s:{s:s, s:s}}}", "type", "object", "required", "items",
		"properties", "items", "type", "array", "items", items, "next_cursor", "type", "string", "description",
		"Give it as cursor for the next page; absent on the last one");
}

static json_t *success_response(struct writer *writer, const struct http_route *route)
{
	const char *media = route->response_media ? route->response_media : "application/json";
	json_t *response = json_pack("{s:s}", "description", route->doc);
	if (route->success == 204)
		return response;
	json_t *schema = NULL;
	if (route->response)
		schema = schema_of(writer, route->response, true, false, route->operation);
	if (schema && (route->flags & HTTP_PAGED))
		schema = page_schema(schema);
	if (!schema)
		schema = strstr(media, "json") ? json_object() : json_pack("{s:s}", "type", "string");
	json_object_set_new(response, "content", json_pack("{s:{s:o}}", media, "schema", schema));
	return response;
}

/* Adds an error to the response of its status; the description lists the slugs. */
static void add_error(json_t *responses, enum err code)
{
	const struct err_row *row = err_row(code);
	char status[16], text[512];
	snprintf(status, sizeof status, "%d", row->status);
	json_t *response = json_object_get(responses, status);
	if (!response) {
		response = json_pack("{s:{s:{s:o}}}", "content", "application/problem+json", "schema",
			reference("schemas", "Problem"));
		json_object_set_new(responses, status, response);
	}
	const char *before = json_string_value(json_object_get(response, "description"));
	if (before && strstr(before, row->title))
		return;
	snprintf(text, sizeof text, "%s%s%s (%s)", before ? before : "", before ? "; " : "", row->title, row->slug);
	json_object_set_new(response, "description", json_string(text));
}

static json_t *responses_of(struct writer *writer, const struct http_route *route)
{
	json_t *responses = json_object();
	char status[16];
	snprintf(status, sizeof status, "%d", route->success ? route->success : 200);
	json_object_set_new(responses, status, success_response(writer, route));
	add_error(responses, ERR_BAD_REQUEST);
	if (!(route->flags & HTTP_PUBLIC)) {
		add_error(responses, ERR_UNAUTHENTICATED);
		add_error(responses, ERR_FORBIDDEN);
	}
	add_error(responses, ERR_RATE_LIMITED);
	if (strchr(route->path, '{'))
		add_error(responses, ERR_NOT_FOUND);
	if (route->flags & HTTP_IF_MATCH) {
		add_error(responses, ERR_CONDITION_FAILED);
		add_error(responses, ERR_PRECONDITION_REQUIRED);
	}
	if (route->flags & HTTP_VALUE)
		add_error(responses, ERR_IDEMPOTENCY_KEY_REQUIRED);
	if (route->flags & HTTP_PAGED)
		add_error(responses, ERR_INVALID_CURSOR);
	if (route->body_bytes_max) {
		add_error(responses, ERR_TOO_LARGE);
		add_error(responses, ERR_UNSUPPORTED_MEDIA);
	}
	if (route->request || route->query)
		add_error(responses, ERR_INVALID_FIELD);
	for (const enum err *error = route->errors; error && *error != ERR_OK; error++)
		add_error(responses, *error);
	if (route->kind != HTTP_INLINE) {
		add_error(responses, ERR_BUSY);
		add_error(responses, ERR_DEADLINE);
	}
	return responses;
}

/* ---- the document ---- */

static json_t *operation_of(struct writer *writer, const struct http_route *route)
{
	char tag[64];
	snprintf(tag, sizeof tag, "%.*s", (int)strcspn(route->operation, "."), route->operation);
	json_t *operation = json_pack("{s:s, s:s, s:[s], s:s}", "operationId", route->operation, "summary", route->doc,
		"tags", tag, "x-permission", route->permission);
	json_t *parameters = parameters_of(route);
	if (json_array_size(parameters) > 0)
		json_object_set(operation, "parameters", parameters);
	json_decref(parameters);
	if (route->body_bytes_max)
		json_object_set_new(operation, "requestBody", request_body(writer, route));
	json_object_set_new(operation, "responses", responses_of(writer, route));
	json_object_set_new(
		operation, "security", route->flags & HTTP_PUBLIC ? json_array() : json_pack("[{s:[]}]", "key"));
	json_object_set_new(writer->tags, tag, json_true());
	return operation;
}

static json_t *tag_list(const json_t *tags)
{
	json_t *list = json_array();
	const char *tag;
	json_t *unused;
	json_object_foreach((json_t *)(uintptr_t)tags, tag, unused)
	{
		char doc[96];
		snprintf(doc, sizeof doc, "Operations on %s", tag);
		json_array_append_new(list, json_pack("{s:s, s:s}", "name", tag, "description", doc));
	}
	return list;
}

static json_t *problem_schema(void)
{
	static const struct {
		const char *name, *type, *doc;
	} members[] = {{"type", "string", "A URI reference that names the kind of problem"},
		{"title", "string", "One short sentence, the same for each problem of this kind"},
		{"status", "integer", "The HTTP status"},
		{"detail", "string", "What is wrong with this request, with the allowed range"},
		{"instance", "string", "The request id, to be found in the log"},
		{"pointer", "string", "A JSON pointer to the member at fault"}};
	json_t *properties = json_object();
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		json_object_set_new(properties, members[i].name,
			json_pack("{s:s, s:s}", "type", members[i].type, "description", members[i].doc));
	return json_pack("{s:s, s:s, s:[s,s,s,s,s], s:o}", "type", "object", "description", "A problem (RFC 9457)",
		"required", "type", "title", "status", "detail", "instance", "properties", properties);
}

json_t *http_openapi(const struct http_route *const *tables, const char *title, const char *version)
{
	struct writer writer = {.schemas = json_object(), .tags = json_object()};
	json_t *paths = json_object();
	json_object_set_new(writer.schemas, "Problem", problem_schema());
	for (size_t i = 0; tables[i]; i++) {
		for (const struct http_route *route = tables[i]; route->path; route++) {
			char method[16];
			snprintf(method, sizeof method, "%s", http_method_text(route->method));
			for (char *at = method; *at; at++)
				*at = (char)tolower((unsigned char)*at);
			json_t *path = json_object_get(paths, route->path);
			if (!path) {
				path = json_object();
				json_object_set_new(paths, route->path, path);
			}
			json_object_set_new(path, method, operation_of(&writer, route));
		}
	}
	json_t *scheme = json_pack("{s:s, s:s, s:s}", "type", "http", "scheme", "bearer", "description",
		"An API key: Authorization: Bearer cck_…");
	json_t *document = json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:s, s:s}], s:[{s:[]}], s:o, s:o, s:{s:o, s:{s:o}}}",
		"openapi", "3.1.0", "info", "title", title, "version", version, "description",
		"Carbon capture, measured, verified, issued, held and retired. Made from the tables that validate.",
		"servers", "url", "/", "description", "this server", "security", "key", "tags", tag_list(writer.tags),
		"paths", paths, "components", "schemas", writer.schemas, "securitySchemes", "key", scheme);
	json_decref(writer.tags);
	return document;
}
