/* The list of route tables, the start of the listener over them, and what handlers share: scope, actor, pages. Starting
 * and stopping run on the main thread, the helpers on the handler's. */
#include "carbond/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/identity.h"

#include "relay.h"
#include "stream.h"

#define RESOURCE(name) extern const struct http_route api_##name##_routes[];
#include "resources.def"
#undef RESOURCE

const struct http_route *const api_tables[] = {
#define RESOURCE(name) api_##name##_routes,
#include "resources.def"
#undef RESOURCE
	NULL};

struct api *api_of(struct http_request *request)
{
	return http_context(request);
}

struct audit_actor api_actor(struct http_request *request)
{
	const struct http_actor *actor = http_actor(request);
	return (struct audit_actor){
		.user = actor->user, .org = actor->org, .name = actor->name, .request_id = http_request_id(request)};
}

bool api_reaches_all(struct http_request *request)
{
	return http_actor(request)->scope == IDENTITY_ANY;
}

bool api_reaches_own(struct http_request *request)
{
	return http_actor(request)->scope == IDENTITY_OWN;
}

enum err api_choose_org(struct http_request *request, struct id named, struct id *ret_org, struct err_info *info)
{
	const struct http_actor *actor = http_actor(request);
	struct id org = id_is_none(named) ? actor->org : named;
	if (id_is_none(org))
		return err_set(
			info, ERR_MISSING_FIELD, "/org_id", "/org_id is required for a key without organisation");
	if (!api_reaches_all(request) && !id_equal(org, actor->org))
		return err_set(info, ERR_FORBIDDEN, "/org_id", "the credentials are of another organisation");
	*ret_org = org;
	return ERR_OK;
}

enum err api_check_org(struct http_request *request, struct id org, struct err_info *info)
{
	if (api_reaches_all(request) || id_equal(org, http_actor(request)->org))
		return ERR_OK;
	return err_set(info, ERR_NOT_FOUND, NULL, "there is no such resource");
}

enum err api_check_cursor(struct http_request *request, const struct store_collection *collection, const char *index,
	struct err_info *info)
{
	const char *cursor = http_page_cursor(request);
	void *row = NULL;
	return cursor ? api_cursor_parse(http_arena(request), collection, index, cursor, &row, info) : ERR_OK;
}

enum err api_find_page(struct http_request *request, struct store_query *query, void **ret_rows, size_t *ret_count,
	const char **ret_next, struct err_info *info)
{
	struct arena *arena = http_arena(request);
	size_t limit = http_page_limit(request);
	const char *cursor = http_page_cursor(request);
	void *after = NULL;
	enum err err = ERR_OK;
	*ret_next = NULL;
	*ret_count = 0;
	if (cursor)
		err = api_cursor_parse(arena, query->collection, query->index, cursor, &after, info);
	query->after = after;
	query->most = limit + 1;
	if (!err)
		err = store_find(api_of(request)->store, query, arena, ret_rows, ret_count, info);
	if (err || *ret_count <= limit)
		return err;
	*ret_count = limit;
	const char *rows = *ret_rows;
	*ret_next = api_cursor_text(
		arena, query->collection, query->index, rows + (limit - 1) * query->collection->row_size);
	return *ret_next ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the page");
}

enum err api_answer_found(
	struct http_request *request, struct store_query *query, const struct field *fields, struct err_info *info)
{
	void *rows = NULL;
	const char *next = NULL;
	size_t count = 0;
	enum err err = api_find_page(request, query, &rows, &count, &next, info);
	return err ? err : http_answer_page(request, fields, rows, query->collection->row_size, count, next);
}

void api_set_location(struct http_request *request, const char *prefix, struct id id)
{
	char text[ID_TEXT_SIZE];
	const char *location = arena_print(http_arena(request), "%s%s", prefix, id_text(id, text));
	if (location)
		http_set_header(request, "Location", location);
}

void api_set_position(struct http_request *request, unsigned shard, int64_t position)
{
	const char *text = arena_print(http_arena(request), "%u.%lld", shard, (long long)position);
	if (text)
		http_set_header(request, "Carbond-Position", text);
}

/* The gate of every request: who it is, what the route's permission lets them reach, and how fast. */
static enum err authenticate(
	void *context, struct http_request *request, struct http_actor *ret_actor, struct err_info *info)
{
	const struct api *api = context;
	const struct http_route *route = http_route(request);
	bool passed_on = false;
	enum err err = relay_accept(api->relay, request, &passed_on, info);
	if (err)
		return err;
	const struct identity_check check = {.authorization = http_header(request, "Authorization"),
		.permission = route->flags & HTTP_PUBLIC ? NULL : route->permission,
		.peer = http_peer(request),
		.cost = passed_on ? 0 : route->cost};
	struct identity_actor actor;
	int64_t retry_after_us = 0;
	err = identity_authenticate(api->identity, &check, &actor, &retry_after_us, info);
	if (err == ERR_RATE_LIMITED) {
		const char *seconds =
			arena_print(http_arena(request), "%lld", (long long)(retry_after_us / CLOCK_US_PER_SECOND + 1));
		if (seconds)
			http_set_header(request, "Retry-After", seconds);
	}
	if (err)
		return err;
	ret_actor->user = actor.key;
	ret_actor->org = actor.org;
	ret_actor->roles = actor.roles;
	ret_actor->scope = actor.scope;
	_Static_assert(sizeof actor.name <= sizeof ret_actor->name, "a label fits");
	memcpy(ret_actor->name, actor.name, sizeof actor.name);
	return ERR_OK;
}

enum err api_start(struct api *api, const struct http_options *http, struct err_info *info)
{
	struct http_options options = *http;
	if (!options.tables)
		options.tables = api_tables;
	options.context = api;
	options.authenticate = authenticate;
	enum err err = relay_start(api, &api->relay, info);
	options.is_elsewhere = api->relay ? relay_is_elsewhere : NULL;
	options.relay = relay_pass_on;
	options.relay_threads = RELAY_THREADS;
	if (!err && api->engine)
		err = stream_start(api->engine, api->store, "events", false, &api->journal_stream, info);
	if (!err && api->engine)
		err = stream_start(api->engine, api->store, "market-data", true, &api->market_stream, info);
	return err ? err : http_server_start(&options, &api->http_server, info);
}

void api_stop(struct api *api, int64_t deadline_us)
{
	http_server_stop(&api->http_server, deadline_us);
	stream_stop(&api->market_stream);
	stream_stop(&api->journal_stream);
	relay_stop(&api->relay);
	free(atomic_exchange(&api->openapi, NULL));
}
