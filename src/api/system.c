/* What the daemon says of itself: health, readiness, metrics, version, the OpenAPI document, its errors and roles. All of
 * it is public and answers on the http thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/api.h"
#include "carbond/base/clock.h"
#include "carbond/identity.h"

static enum err health(struct http_request *request, struct err_info *info)
{
	(void)info;
	return http_answer_json(request, json_pack("{s:s}", "status", "ok"));
}

/* Every part that is not ready is named with its reason. */
static enum err readiness(struct http_request *request, struct err_info *info)
{
	const struct api *api = api_of(request);
	char reasons[sizeof info->detail] = "";
	json_t *parts = json_array();
	for (const struct api_check *check = api->checks; check && check->name; check++) {
		char reason[160] = "";
		size_t size = strlen(reasons);
		if (!check->ready(check->context, reason, sizeof reason))
			snprintf(reasons + size, sizeof reasons - size, "%s%s: %s", size ? "; " : "", check->name,
				reason[0] ? reason : "not ready");
		json_array_append_new(parts, json_string(check->name));
	}
	if (reasons[0]) {
		json_decref(parts);
		return err_set(info, ERR_NOT_READY, NULL, "%s", reasons);
	}
	return http_answer_json(request, json_pack("{s:s, s:o}", "status", "ready", "parts", parts));
}

static enum err metrics(struct http_request *request, struct err_info *info)
{
	size_t size = 0;
	char *text = metrics_text(&size);
	char *kept = text ? arena_copy(http_arena(request), text, size) : NULL;
	free(text);
	if (!kept)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the metrics");
	return http_answer_text(request, "text/plain; version=0.0.4; charset=utf-8", kept, size);
}

static enum err version(struct http_request *request, struct err_info *info)
{
	const struct api *api = api_of(request);
	char started[CLOCK_TEXT_SIZE];
	(void)info;
	return http_answer_json(
		request, json_pack("{s:s, s:s, s:s, s:s}", "name", "carbond", "version", api->version, "node",
				 api->node, "started_at", clock_text(api->started_at_us, started)));
}

/* The document, NULL without memory. Of two workers that make it at once the first one's stays. */
static const char *openapi_text(struct api *api)
{
	char *kept = atomic_load(&api->openapi);
	if (kept)
		return kept;
	json_t *document = http_openapi(api_tables, "carbond", api->version);
	char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
	json_decref(document);
	if (!text || atomic_compare_exchange_strong(&api->openapi, &kept, text))
		return text;
	free(text);
	return kept;
}

static enum err openapi(struct http_request *request, struct err_info *info)
{
	const char *text = openapi_text(api_of(request));
	if (!text)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the OpenAPI document");
	http_set_header(request, "Cache-Control", "public, max-age=300");
	return http_answer_text(request, "application/json", text, strlen(text));
}

static json_t *error_object(const struct err_row *row)
{
	char type[96];
	snprintf(type, sizeof type, "/problems/%s", row->slug);
	return json_pack("{s:s, s:s, s:i, s:i, s:s}", "type", type, "name", row->name, "number", (int)row->code,
		"status", row->status, "title", row->title);
}

static enum err errors(struct http_request *request, struct err_info *info)
{
	size_t count = 0;
	const struct err_row *rows = err_rows(&count);
	json_t *items = json_array();
	(void)info;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(items, error_object(&rows[i]));
	return http_answer_json(request, json_pack("{s:o}", "items", items));
}

static enum err problem(struct http_request *request, struct err_info *info)
{
	size_t count = 0;
	const struct err_row *rows = err_rows(&count);
	const char *slug = http_path_text(request, "slug");
	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].slug, slug) == 0)
			return http_answer_json(request, error_object(&rows[i]));
	}
	return err_set(info, ERR_NOT_FOUND, NULL, "there is no such problem");
}

static enum err roles(struct http_request *request, struct err_info *info)
{
	static const char *const reaches[] = {NULL, "own", "org", "any"};
	size_t count = 0;
	const struct identity_permission *rows = identity_permissions(&count);
	json_t *items = json_array();
	(void)info;
	for (unsigned role = 0; role < IDENTITY_ROLE_COUNT; role++) {
		json_t *granted = json_array();
		for (size_t i = 0; i < count; i++) {
			const char *reach = reaches[rows[i].reach[role]];
			if (reach)
				json_array_append_new(granted, json_sprintf("%s:%s", rows[i].name, reach));
		}
		json_array_append_new(
			items, json_pack("{s:s, s:o}", "role", identity_role_text((enum identity_role)role),
				       "permissions", granted));
	}
	return http_answer_json(request, json_pack("{s:o}", "items", items));
}

#define SYSTEM(path_, handler_, operation_, doc_, ...)                                                              \
	HTTP_ROUTE(HTTP_GET, path_, "public", .flags = HTTP_PUBLIC, .cost = 1, .success = 200, .handler = handler_, \
		.operation = operation_, .doc = doc_, __VA_ARGS__)

static const enum err not_ready[] = {ERR_NOT_READY, ERR_OK};

const struct http_route api_system_routes[] = {
	SYSTEM("/healthz", health, "system.health", "Whether the process answers", .kind = HTTP_INLINE),
	SYSTEM("/readyz", readiness, "system.ready", "Whether every part can serve, or which cannot and why",
		.errors = not_ready),
	SYSTEM("/metrics", metrics, "system.metrics", "Metrics in Prometheus text format",
		.response_media = "text/plain"),
	SYSTEM("/version", version, "system.version", "Name, version and node of the daemon", .kind = HTTP_INLINE),
	SYSTEM("/openapi.json", openapi, "system.openapi", "This interface as an OpenAPI 3.1 document",
		.kind = HTTP_WORK),
	SYSTEM("/problems/{slug}", problem, "problems.get", "What a kind of problem means", .kind = HTTP_INLINE),
	SYSTEM("/v1/errors", errors, "problems.list", "All kinds of problems", .kind = HTTP_INLINE),
	SYSTEM("/v1/roles", roles, "roles.list", "All roles with the permissions that they give", .kind = HTTP_INLINE),
	{.path = NULL}};
