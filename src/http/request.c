/* A request from its first line to its handler: what is checked in which order, and the reading of headers, query and body
 * by the row. http thread, except http_request_decode_body and http_request_run_handler, which run where the handler runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_internal.h"

/* ---- life ---- */

struct http_request *http_request_new(
	struct http_server *server, struct connection *connection, struct MHD_Connection *mhd, const char *target)
{
	struct arena *arena = http_arena_take(server);
	struct http_request *request = arena ? ARENA_NEW(arena, struct http_request) : NULL;
	if (!request) {
		arena_free(&arena);
		return NULL;
	}
	atomic_init(&request->refs, 1);
	atomic_init(&request->state, REQUEST_OPEN);
	request->server = server;
	request->mhd = mhd;
	request->connection = connection;
	request->arena = arena;
	request->started_us = clock_monotonic_us();
	request->target = arena_copy(arena, target, strlen(target));
	request->at_least = request->if_match = FIELD_ABSENT;
	request->answer.version = -1;
	request->peer = arena_copy(arena, connection->peer, strlen(connection->peer));
	atomic_fetch_add(&server->open_requests, 1);
	metric_add(METRIC_HTTP_IN_FLIGHT, 1);
	return request;
}

void http_request_unref(struct http_request *request)
{
	if (atomic_fetch_sub_explicit(&request->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (request->answer.stream) {
		request->answer.stream->release(request->answer.stream->context);
		free(request->answer.stream);
	}
	if (request->answer.events)
		http_events_drop(&request->answer.events);
	reply_unref(&request->reply);
	arena_free(&request->spare);
	free(request->body);
	http_arena_give(request->server, request->arena); /* the request itself lives in it */
}

bool http_request_finish(struct http_request *request, enum request_state outcome)
{
	int waiting = REQUEST_WAITING;
	if (!atomic_compare_exchange_strong(&request->state, &waiting, (int)outcome))
		return false;
	MHD_resume_connection(request->mhd);
	return true;
}

/* ---- headers ---- */

const char *http_header_in(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++) {
		if (strcasecmp(request->headers[i].name, name) == 0)
			return request->headers[i].value;
	}
	return NULL;
}

/* A caller's id is taken where it is short and plain; otherwise one is made. */
static void choose_id(struct http_request *request)
{
	const char *given = http_header_in(request, "X-Request-Id");
	size_t size = given ? strlen(given) : 0;
	if (size >= 8 && size < HTTP_REQUEST_ID &&
		strspn(given, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_.") == size) {
		memcpy(request->id, given, size + 1);
		return;
	}
	id_text(id_new(clock_wall_us()), request->id);
}

/* Behind a proxy the last address of X-Forwarded-For is the one that our proxy saw. */
static void choose_peer(struct http_request *request)
{
	const char *forwarded = http_header_in(request, "X-Forwarded-For");
	if (!request->server->options.behind_proxy || !forwarded)
		return;
	const char *last = strrchr(forwarded, ',');
	last = last ? last + 1 : forwarded;
	while (*last == ' ')
		last++;
	if (*last && strlen(last) < sizeof request->connection->peer)
		request->peer = last;
}

static enum err read_if_match(struct http_request *request, struct err_info *info)
{
	const char *text = http_header_in(request, "If-Match");
	char *end = NULL;
	if (!text) {
		if (request->route->flags & HTTP_IF_MATCH)
			return err_set(info, ERR_PRECONDITION_REQUIRED, NULL,
				"send If-Match with the ETag that the resource was read with");
		return ERR_OK;
	}
	if (strcmp(text, "*") == 0) {
		request->if_match = -1;
		return ERR_OK;
	}
	if (text[0] == '"' && text[1] >= '0' && text[1] <= '9') {
		request->if_match = strtoll(text + 1, &end, 10);
		if (strcmp(end, "\"") == 0)
			return ERR_OK;
	}
	return err_set(info, ERR_CONDITION_FAILED, NULL, "If-Match is not an ETag of this resource");
}

static enum err read_idempotency_key(struct http_request *request, struct err_info *info)
{
	const char *text = http_header_in(request, "Idempotency-Key");
	size_t size = text ? strlen(text) : 0;
	char bare[ID_TEXT_SIZE];
	if (!text) {
		if (request->route->flags & HTTP_VALUE)
			return err_set(info, ERR_IDEMPOTENCY_KEY_REQUIRED, NULL,
				"send Idempotency-Key: a UUID that is new for each intended change");
		return ERR_OK;
	}
	if (size == ID_TEXT_SIZE + 1 && text[0] == '"' && text[size - 1] == '"') { /* the draft's structured string */
		memcpy(bare, text + 1, ID_TEXT_SIZE - 1);
		bare[ID_TEXT_SIZE - 1] = 0;
		text = bare;
	}
	if (id_parse(text, &request->idempotency_key) != ERR_OK || id_is_none(request->idempotency_key))
		return err_set(info, ERR_IDEMPOTENCY_KEY_REQUIRED, NULL, "Idempotency-Key must be a UUID");
	return ERR_OK;
}

/* ---- query ---- */

static enum err read_parameter(struct http_request *request, const char *name, const char *value, struct err_info *info)
{
	const struct http_route *route = request->route;
	const struct field *field = route->query ? field_find(route->query, name) : NULL;
	char *end = NULL;
	if (field)
		return field_read_text(field, value, request->arena, request->query_row, info);
	if ((route->flags & HTTP_PAGED) && strcmp(name, "limit") == 0) {
		long limit = strtol(value, &end, 10);
		size_t most = route->page_rows_max ? route->page_rows_max : LIMIT_PAGE_ROWS;
		if (*value < '0' || *value > '9' || *end || limit < 1 || (size_t)limit > most)
			return err_set(info, ERR_INVALID_FIELD, "/limit", "/limit must be 1..%zu", most);
		request->page_limit = (size_t)limit;
		return ERR_OK;
	}
	if ((route->flags & HTTP_PAGED) && strcmp(name, "cursor") == 0) {
		request->page_cursor = value;
		return ERR_OK;
	}
	if ((route->flags & HTTP_AT_LEAST) && strcmp(name, "at-least") == 0) {
		request->at_least = strtoll(value, &end, 10);
		if (*value < '0' || *value > '9' || *end || request->at_least > LIMIT_JSON_INTEGER)
			return err_set(
				info, ERR_INVALID_FIELD, "/at-least", "/at-least must be a position of the journal");
		return ERR_OK;
	}
	return err_set(info, ERR_UNKNOWN_FIELD, arena_print(request->arena, "/%s", name),
		"there is no parameter %s here", name);
}

static enum err read_query(struct http_request *request, const char *query, struct err_info *info)
{
	const struct http_route *route = request->route;
	const char *seen[LIMIT_HTTP_PARAMETERS];
	size_t seen_count = 0;
	enum err err = ERR_OK;
	request->page_limit = 100;
	if (route->query) {
		request->query_row = arena_alloc(request->arena, route->query_size);
		if (!request->query_row)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the request");
		field_clear(route->query, request->query_row);
	}
	while (query && *query && !err) {
		size_t size = strcspn(query, "&"), name_size = strcspn(query, "=&");
		size_t value_at = name_size < size ? name_size + 1 : size;
		char *name = NULL, *value = NULL;
		err = http_percent_decode(request->arena, query, name_size, true, &name, info);
		if (!err)
			err = http_percent_decode(
				request->arena, query + value_at, size - value_at, true, &value, info);
		for (size_t i = 0; i < seen_count && !err; i++) {
			if (strcmp(seen[i], name) == 0)
				err = err_set(info, ERR_BAD_REQUEST, NULL, "a parameter is given twice");
		}
		if (!err && seen_count == LIMIT_HTTP_PARAMETERS)
			err = err_set(info, ERR_BAD_REQUEST, NULL, "at most %d parameters", LIMIT_HTTP_PARAMETERS);
		if (!err) {
			seen[seen_count++] = name;
			err = size ? read_parameter(request, name, value, info) : ERR_OK;
		}
		query += size + (query[size] == '&');
	}
	for (const struct field *field = route->query; field && field->kind != FIELD_NONE && !err; field++) {
		bool there = !(field->flags & FIELD_REQUIRED);
		for (size_t i = 0; i < seen_count; i++)
			there = there || strcmp(seen[i], field->name) == 0;
		if (!there)
			err = err_set(info, ERR_MISSING_FIELD, arena_print(request->arena, "/%s", field->name),
				"the parameter %s is required", field->name);
	}
	return err;
}

/* ---- routing ---- */

static enum err find_route(struct http_request *request, const char *path, size_t path_size, struct err_info *info)
{
	struct router_match match;
	const struct http_route *route = NULL;
	enum err err = ERR_OK;
	if (!http_router_find(request->server->router, path, path_size, &match))
		return err_set(info, ERR_NO_ROUTE, NULL, "there is no such path");
	for (int method = 0; method < HTTP_METHODS; method++) {
		if (strcmp(request->method_name, http_method_text((enum http_method)method)) == 0) {
			request->method = (enum http_method)method;
			route = match.routes[method];
		}
	}
	request->head = strcmp(request->method_name, "HEAD") == 0;
	if (request->head && !route)
		route = match.routes[HTTP_GET];
	request->options = strcmp(request->method_name, "OPTIONS") == 0;
	if (!route) {
		request->allow = http_router_allow(request->arena, match.routes);
		return request->options
			       ? ERR_OK
			       : err_set(info, ERR_METHOD_NOT_ALLOWED, NULL, "this path takes %s", request->allow);
	}
	request->route = route;
	const char *at = route->path;
	for (size_t i = 0; i < match.param_count && !err; i++) {
		char *value = NULL;
		at = strchr(at, '{') + 1;
		request->params[i].name = arena_copy(request->arena, at, strcspn(at, "}"));
		err = http_percent_decode(
			request->arena, match.params[i].value, match.value_sizes[i], false, &value, info);
		request->params[i].value = value;
	}
	request->param_count = match.param_count;
	return err;
}

static enum err check_body_headers(struct http_request *request, struct err_info *info)
{
	static const char *const json_media[] = {"application/json", NULL};
	const struct http_route *route = request->route;
	const char *length = http_header_in(request, "Content-Length"), *type = http_header_in(request, "Content-Type");
	const char *encoding = http_header_in(request, "Content-Encoding");
	const char *const *media = route->media ? route->media : json_media;
	if (!request->has_body)
		return ERR_OK;
	if (route->body_bytes_max == 0)
		return err_set(info, ERR_TOO_LARGE, NULL, "this request takes no body");
	if (length && strtoull(length, NULL, 10) > route->body_bytes_max)
		return err_set(info, ERR_TOO_LARGE, NULL, "the body may have at most %zu bytes", route->body_bytes_max);
	if (encoding && strcasecmp(encoding, "identity") != 0)
		return err_set(info, ERR_UNSUPPORTED_MEDIA, NULL, "the body must not be compressed");
	size_t size = type ? strcspn(type, "; \t") : 0;
	for (size_t i = 0; media[i]; i++) {
		if (size == strlen(media[i]) && strncasecmp(type, media[i], size) == 0) {
			request->media = media[i];
			return ERR_OK;
		}
	}
	return err_set(info, ERR_UNSUPPORTED_MEDIA, NULL, "send Content-Type: %s", media[0]);
}

static enum err authenticate(struct http_request *request, struct err_info *info)
{
	const struct http_options *options = &request->server->options;
	if (options->authenticate)
		return options->authenticate(options->context, request, &request->actor, info);
	if (request->route->flags & HTTP_PUBLIC)
		return ERR_OK;
	return err_set(info, ERR_UNAUTHENTICATED, NULL, "credentials are needed");
}

static enum err open_checked(
	struct http_request *request, const char *method, const char *version, struct err_info *info)
{
	const char *path = NULL, *query = NULL;
	size_t path_size = 0;
	enum err err = http_check_head(request, method, version, info);
	choose_id(request);
	choose_peer(request);
	if (err || (err = http_check_target(request, &path, &path_size, &query, info)) != ERR_OK) {
		request->close = true;
		return err;
	}
	if (request->connection->refused) {
		http_note_refusal(request->server);
		return err_set(info, ERR_BUSY, NULL, "too many connections");
	}
	if (atomic_load(&request->server->stopping))
		return err_set(info, ERR_STOPPING, NULL, "the server is stopping");
	err = find_route(request, path, path_size, info);
	if (err || request->options)
		return err;
	err = authenticate(request, info);
	if (!err)
		err = check_body_headers(request, info);
	if (!err)
		err = read_idempotency_key(request, info);
	if (!err)
		err = read_if_match(request, info);
	return err ? err : read_query(request, query, info);
}

void http_request_open(struct http_request *request, const char *method, const char *version)
{
	request->opened = true;
	request->method_name = arena_copy(request->arena, method, strlen(method));
	if (!request->method_name || !request->target || !request->peer) {
		request->failure.code = ERR_NO_MEMORY;
		return;
	}
	request->failure.code = open_checked(request, method, version, &request->failure);
	/* the chunked coding of 0.9.75 takes bare line feeds: nothing may follow on such a connection */
	request->close = request->failure.code == ERR_BAD_REQUEST || request->close || request->chunked ||
			 request->connection->refused || atomic_load(&request->server->stopping);
}

/* ---- body ---- */

bool http_request_take_body(struct http_request *request, const char *data, size_t size)
{
	size_t most = request->route ? request->route->body_bytes_max : 0;
	struct http_server *server = request->server;
	if (size > most - request->body_size || request->body_too_large) {
		/* an answer can be queued only at the end; what comes until then is not kept, and not for long */
		request->body_too_large = true;
		request->body_discarded += size;
		return request->body_discarded <= 2 * most + (1u << 20);
	}
	if (request->body_size + size + 1 > request->body_capacity) {
		size_t capacity = request->body_capacity ? request->body_capacity : 4096;
		while (capacity < request->body_size + size + 1)
			capacity *= 2;
		long long grown = (long long)(capacity - request->body_capacity);
		if (atomic_fetch_add(&server->body_bytes, grown) + grown > LIMIT_HTTP_BODIES_BYTES) {
			atomic_fetch_sub(&server->body_bytes, grown);
			return false;
		}
		char *body = realloc(request->body, capacity);
		if (!body) {
			atomic_fetch_sub(&server->body_bytes, grown);
			return false;
		}
		request->body = body;
		request->body_capacity = capacity;
	}
	memcpy(request->body + request->body_size, data, size);
	request->body_size += size;
	request->body[request->body_size] = 0;
	return true;
}

static bool takes_json(const struct http_request *request)
{
	return request->media && strcmp(request->media, "application/json") == 0;
}

enum err http_request_decode_body(struct http_request *request, struct err_info *info)
{
	const struct http_route *route = request->route;
	enum err err;
	if (!request->has_body) {
		if (route->request && route->body_bytes_max)
			return err_set(info, ERR_INVALID_JSON, NULL, "a body is needed");
		return ERR_OK;
	}
	/* a route that lists its media types reads the text itself; one without a table takes any document */
	if ((route->media && !route->request) || !takes_json(request))
		return ERR_OK;
	err = document_parse(request->arena, request->body, request->body_size, &request->document, info);
	if (err || !route->request || route->request_mode == FIELD_REPLACE)
		return err;
	if (!json_is_object(request->document))
		return err_set(info, ERR_INVALID_JSON, NULL, "the body must be a JSON object");
	request->body_row = arena_alloc(request->arena, route->request_size);
	if (!request->body_row)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the body");
	return field_read(
		route->request, route->request_mode, request->document, "", request->arena, request->body_row, info);
}

/* The handler, or the relay in its place. */
static enum err handle(struct http_request *request, struct err_info *info)
{
	const struct http_options *options = &request->server->options;
	if (request->elsewhere)
		return options->relay(options->context, request, info);
	enum err err = http_request_decode_body(request, info);
	if (!err)
		err = request->route->handler(request, info);
	if (err && request->route->kind == HTTP_WORK && options->is_elsewhere &&
		options->is_elsewhere(options->context, request, err))
		err = options->relay(options->context, request, info);
	return err;
}

void http_request_run_handler(struct http_request *request)
{
	struct err_info info = {0};
	enum err err = handle(request, &info);
	if (err && request->reply) {
		/* a handler that fails has not submitted: the reply's other half is ours as well */
		reply_complete(request->reply, err, &info, NULL, NULL);
		return;
	}
	if (!err && !request->reply && !request->answer.given)
		err = err_set(&info, ERR_INTERNAL, NULL, "the handler gave no answer");
	if (err) {
		request->failure = info;
		request->failure.code = err;
		return;
	}
	if (!request->reply)
		http_answer_compress(request);
}

/* ---- what handlers ask ---- */

struct arena *http_arena(struct http_request *request)
{
	return request->arena;
}

void *http_context(struct http_request *request)
{
	return request->server->options.context;
}

const struct http_route *http_route(struct http_request *request)
{
	return request->route;
}

const struct http_actor *http_actor(struct http_request *request)
{
	return &request->actor;
}

const char *http_request_id(struct http_request *request)
{
	return request->id;
}

const char *http_header(struct http_request *request, const char *name)
{
	return http_header_in(request, name);
}

const char *http_path_text(struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->param_count; i++) {
		if (strcmp(request->params[i].name, name) == 0)
			return request->params[i].value;
	}
	return NULL;
}

enum err http_path_id(struct http_request *request, const char *name, struct id *ret_id, struct err_info *info)
{
	const char *text = http_path_text(request, name);
	if (!text || id_parse(text, ret_id) != ERR_OK)
		return err_set(info, ERR_INVALID_ID, NULL, "{%s} in the path must be a UUID", name);
	return ERR_OK;
}

const void *http_query(struct http_request *request)
{
	return request->query_row;
}

const void *http_body(struct http_request *request)
{
	return request->body_row;
}

enum err http_body_over(struct http_request *request, void *row, struct err_info *info)
{
	if (!json_is_object(request->document))
		return err_set(info, ERR_INVALID_JSON, NULL, "the body must be a JSON object");
	return field_read(request->route->request, FIELD_REPLACE, request->document, "", request->arena, row, info);
}

const json_t *http_body_json(struct http_request *request)
{
	return request->document;
}

const char *http_body_text(struct http_request *request, size_t *ret_size)
{
	*ret_size = request->body_size;
	return request->body ? request->body : "";
}

const char *http_body_media(struct http_request *request)
{
	return request->media;
}

const char *http_method_name(struct http_request *request)
{
	return request->method_name;
}

const char *http_target(struct http_request *request)
{
	return request->target;
}

void http_believe_peer(struct http_request *request, const char *peer)
{
	request->peer = peer;
}

const char *http_peer(struct http_request *request)
{
	return request->peer;
}

size_t http_page_limit(struct http_request *request)
{
	return request->page_limit;
}

const char *http_page_cursor(struct http_request *request)
{
	return request->page_cursor;
}

int64_t http_at_least(struct http_request *request)
{
	return request->at_least;
}

struct id http_idempotency_key(struct http_request *request)
{
	return request->idempotency_key;
}

struct hash http_request_hash(struct http_request *request)
{
	struct sha256 state;
	sha256_start(&state, "carbond/request/1");
	sha256_add(&state, request->method_name, strlen(request->method_name) + 1);
	sha256_add(&state, request->target, strlen(request->target) + 1);
	if (request->body_size)
		sha256_add(&state, request->body, request->body_size);
	return sha256_end(&state);
}

int64_t http_if_match(struct http_request *request)
{
	return request->if_match;
}
