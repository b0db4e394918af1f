/* Requests end to end over real sockets: kinds of handlers, methods, conditions, bodies, pages, compression, deadlines. */
#include "client.h"

#include <pthread.h>
#include <semaphore.h>
#include <zlib.h>

#include "carbond/base/clock.h"
#include "carbond/base/log.h"

struct thing {
	struct id id;
	const char *name;
	int64_t mass_kg;
	int64_t version;
};

static const struct field thing_fields[] = {
	FIELD(struct thing, id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "its id"),
	FIELD(struct thing, name, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 20, .doc = "its name"),
	FIELD(struct thing, mass_kg, FIELD_INT, .min = 1, .max = 1000, .unit = "kg", .doc = "its mass"),
	FIELD(struct thing, version, FIELD_INT, .flags = FIELD_READ_ONLY, .min = 0, .max = 1000000, .doc = "changes"),
	FIELD_END};

struct filter {
	const char *like;
	int64_t above_kg;
};

static const struct field filter_fields[] = {
	FIELD(struct filter, like, FIELD_TEXT, .min = 1, .max = 10, .doc = "name like this"),
	FIELD(struct filter, above_kg, FIELD_INT, .min = 0, .max = 100, .doc = "heavier than"), FIELD_END};

/* What handlers block on, and what they saw. */
static sem_t entered, let_go;
static struct runtime_reply *pending_reply;
#define LATE_CLIENTS 60
static struct runtime_reply *late_replies[LATE_CLIENTS]; /* of requests that came while the server stopped */
static atomic_size_t late_count;
static struct http_events *events;
static atomic_int released;

static enum err get_thing(struct http_request *request, struct err_info *info)
{
	struct thing thing = {.name = "a thing", .mass_kg = 5, .version = 7};
	enum err err = http_path_id(request, "id", &thing.id, info);
	return err ? err : http_answer_row(request, thing_fields, &thing, thing.version);
}

static enum err create_thing(struct http_request *request, struct err_info *info)
{
	struct thing thing = *(const struct thing *)http_body(request);
	(void)info;
	thing.id = http_idempotency_key(request);
	thing.version = 1;
	http_set_header(request, "Location", "/v1/things/1");
	return http_answer_row(request, thing_fields, &thing, thing.version);
}

static enum err change_thing(struct http_request *request, struct err_info *info)
{
	struct thing thing = {.name = "a thing", .mass_kg = 5, .version = 7};
	enum err err = http_body_over(request, &thing, info);
	if (err)
		return err;
	if (http_if_match(request) != thing.version && http_if_match(request) != -1)
		return err_set(info, ERR_CONDITION_FAILED, NULL, "the version is %d", 7);
	thing.version++;
	return http_answer_row(request, thing_fields, &thing, thing.version);
}

static enum err delete_thing(struct http_request *request, struct err_info *info)
{
	(void)info;
	return http_answer_empty(request);
}

static enum err list_things(struct http_request *request, struct err_info *info)
{
	const struct filter *filter = http_query(request);
	struct thing things[1000] = {0};
	size_t count = http_page_limit(request);
	(void)info;
	for (size_t i = 0; i < count; i++)
		things[i] = (struct thing){.name = filter->like ? filter->like : "thing", .mass_kg = (int64_t)i + 1};
	return http_answer_page(
		request, thing_fields, things, sizeof *things, count, http_page_cursor(request) ? NULL : "next");
}

static enum err slow_work(struct http_request *request, struct err_info *info)
{
	(void)info;
	sem_post(&entered);
	sem_wait(&let_go);
	/* the request's memory is still its own, whatever has become of the connection */
	http_set_header(request, "X-Late", arena_print(http_arena(request), "%s", http_request_id(request)));
	return http_answer_text(request, "text/plain", "worked", 6);
}

static enum err submit(struct http_request *request, struct err_info *info)
{
	size_t size;
	const char *body = http_body_text(request, &size);
	struct runtime_reply *reply = http_reply_new(request);
	if (!reply)
		return ERR_NO_MEMORY;
	if (size == 4 && memcmp(body, "busy", 4) == 0)
		return err_set(info, ERR_BUSY, NULL, "the engine is busy");
	if (size == 3 && memcmp(body, "now", 3) == 0) {
		reply_complete(reply, ERR_OK, NULL, strdup("at once"), free);
		return ERR_OK;
	}
	if (size == 4 && memcmp(body, "late", 4) == 0) {
		late_replies[atomic_fetch_add(&late_count, 1)] = reply;
		return ERR_OK;
	}
	pending_reply = reply;
	sem_post(&entered);
	return ERR_OK;
}

static enum err encode(struct http_request *request, struct runtime_reply *reply, struct err_info *info)
{
	(void)info;
	const char *text = arena_print(http_arena(request), "%s", (const char *)reply->result);
	return http_answer_text(request, "text/plain", text, strlen(text));
}

static long read_digits(void *context, uint64_t offset, char *buffer, size_t size)
{
	uint64_t total = *(const uint64_t *)context;
	if (offset >= total)
		return 0;
	size_t count = total - offset < size ? (size_t)(total - offset) : size;
	for (size_t i = 0; i < count; i++)
		buffer[i] = (char)('0' + (offset + i) % 10);
	return (long)count;
}

static void release_digits(void *context)
{
	(void)context;
	atomic_fetch_add(&released, 1);
}

static enum err stream_digits(struct http_request *request, struct err_info *info)
{
	static const uint64_t total = 1000000;
	(void)info;
	return http_answer_stream(request, "text/plain", read_digits, release_digits, (void *)(uintptr_t)&total);
}

static _Atomic int64_t held_us;

static enum err hold_back(struct http_request *request, struct err_info *info)
{
	(void)info;
	http_events_unref(&events);
	enum err err = http_answer_held(request, "text/plain", "nothing came", atomic_load(&held_us), &events);
	sem_post(&entered);
	return err;
}

static enum err watch(struct http_request *request, struct err_info *info)
{
	(void)info;
	http_events_unref(&events);
	enum err err = http_answer_events(request, 4, &events);
	sem_post(&entered);
	return err;
}

static enum err fail_inside(struct http_request *request, struct err_info *info)
{
	(void)request;
	return err_set(info, ERR_IO, "/secret", "disk 7 at /var/lib is broken");
}

static enum err who(struct http_request *request, struct err_info *info)
{
	const struct http_actor *actor = http_actor(request);
	(void)info;
	return http_answer_text(request, "text/plain", actor->name, strlen(actor->name));
}

static enum err check(void *context, struct http_request *request, struct http_actor *ret_actor, struct err_info *info)
{
	const char *authorization = http_header(request, "authorization");
	assert_string_equal(context, "context");
	if (http_route(request)->flags & HTTP_PUBLIC)
		return ERR_OK;
	if (!authorization)
		return err_set(info, ERR_UNAUTHENTICATED, NULL, "no key");
	if (strcmp(authorization, "Bearer slow") == 0) {
		http_set_header(request, "Retry-After", "17");
		return err_set(info, ERR_RATE_LIMITED, NULL, "slow down");
	}
	if (strcmp(authorization, "Bearer weak") == 0)
		return err_set(info, ERR_FORBIDDEN, NULL, "not %s", http_route(request)->permission);
	snprintf(ret_actor->name, sizeof ret_actor->name, "somebody");
	return ERR_OK;
}

static const char *const text_media[] = {"text/plain", NULL};
#define OPEN .flags = HTTP_PUBLIC, .cost = 1
static const struct http_route routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/things", "public", .flags = HTTP_PUBLIC | HTTP_PAGED | HTTP_AT_LEAST, .cost = 1,
		.query = filter_fields, .query_size = sizeof(struct filter), .response = thing_fields, .success = 200,
		.handler = list_things, .operation = "things.list", .doc = "Things"),
	HTTP_ROUTE(HTTP_POST, "/v1/things", "public", .flags = HTTP_PUBLIC | HTTP_VALUE, .cost = 1,
		.body_bytes_max = 256, .request = thing_fields, .request_size = sizeof(struct thing),
		.response = thing_fields, .success = 201, .handler = create_thing, .operation = "things.create",
		.doc = "A new thing"),
	HTTP_ROUTE(HTTP_GET, "/v1/things/{id}", "public", OPEN, .response = thing_fields, .success = 200,
		.handler = get_thing, .operation = "things.get", .doc = "A thing"),
	HTTP_ROUTE(HTTP_PATCH, "/v1/things/{id}", "public", .flags = HTTP_PUBLIC | HTTP_IF_MATCH, .cost = 1,
		.body_bytes_max = 256, .request = thing_fields, .request_size = sizeof(struct thing),
		.request_mode = FIELD_REPLACE, .response = thing_fields, .success = 200, .handler = change_thing,
		.operation = "things.update", .doc = "Changes a thing"),
	HTTP_ROUTE(HTTP_DELETE, "/v1/things/{id}", "public", OPEN, .success = 204, .handler = delete_thing,
		.operation = "things.delete", .doc = "Deletes a thing"),
	HTTP_ROUTE(HTTP_GET, "/v1/slow", "public", OPEN, .kind = HTTP_WORK, .success = 200, .handler = slow_work,
		.operation = "slow.get", .doc = "Blocks"),
	HTTP_ROUTE(HTTP_POST, "/v1/commands", "public", OPEN, .kind = HTTP_LATER, .body_bytes_max = 100,
		.media = text_media, .success = 200, .handler = submit, .reply = encode, .operation = "commands.create",
		.doc = "Later"),
	HTTP_ROUTE(HTTP_GET, "/v1/digits", "public", OPEN, .success = 200, .response_media = "text/plain",
		.handler = stream_digits, .operation = "digits.get", .doc = "A stream"),
	HTTP_ROUTE(HTTP_GET, "/v1/held", "public", OPEN, .success = 200, .response_media = "text/plain",
		.handler = hold_back, .operation = "held.get", .doc = "Held back"),
	HTTP_ROUTE(HTTP_GET, "/v1/events", "public", OPEN, .success = 200, .response_media = "text/event-stream",
		.handler = watch, .operation = "events.watch", .doc = "Events"),
	HTTP_ROUTE(HTTP_GET, "/v1/broken", "public", OPEN, .success = 200, .handler = fail_inside,
		.operation = "broken.get", .doc = "Fails"),
	HTTP_ROUTE(HTTP_GET, "/v1/who", "who:read", .cost = 1, .success = 200, .handler = who, .operation = "who.get",
		.doc = "Who asks"),
	{.path = NULL}};
static const struct http_route *const tables[] = {routes, NULL};

static struct http_options base_options(void)
{
	return (struct http_options){.address = "127.0.0.1",
		.threads = 2,
		.workers = 1,
		.worker_queue = 2,
		.tables = tables,
		.context = "context",
		.authenticate = check};
}

static struct http_server *start_with(struct http_options options)
{
	struct http_server *server = NULL;
	struct err_info info = {0};
	if (http_server_start(&options, &server, &info) != ERR_OK)
		fail_msg("%s", info.detail);
	return server;
}

static struct http_server *server;
static uint16_t port;

static void restart(struct http_options options)
{
	http_server_stop(&server, INT64_MAX);
	server = start_with(options);
	port = http_server_port(server);
}

static int setup(void **state)
{
	(void)state;
	sem_init(&entered, 0, 0);
	sem_init(&let_go, 0, 0);
	server = start_with(base_options());
	port = http_server_port(server);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_server_stop(&server, INT64_MAX);
	http_events_unref(&events);
	return 0;
}

#define ID    "0192f5e0-0000-7000-8000-000000000001"
#define HOST  "Host: a\r\n"
#define KEY   "Idempotency-Key: " ID "\r\n"
#define JSON  "Content-Type: application/json\r\n"
#define THING "/v1/things/" ID

/* A POST of JSON with the right length. */
static struct response post(const char *path, const char *headers, const char *body)
{
	return client_ask(
		port, "POST %s HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n%s", path, headers, strlen(body), body);
}

static void expect_problem(struct response response, int status, const char *slug, const char *pointer)
{
	char type[64];
	json_t *problem = json_loads(response.body ? response.body : "", 0, NULL);
	if (response.status != status || !problem)
		fail_msg("status %d, wanted %d: %s", response.status, status, response.body);
	assert_string_equal(header_of(&response, "Content-Type"), "application/problem+json");
	snprintf(type, sizeof type, "/problems/%s", slug);
	assert_string_equal(json_string_value(json_object_get(problem, "type")), type);
	assert_int_equal(json_integer_value(json_object_get(problem, "status")), status);
	assert_string_equal(
		json_string_value(json_object_get(problem, "instance")), header_of(&response, "X-Request-Id"));
	assert_true(strlen(json_string_value(json_object_get(problem, "detail"))) > 0);
	const char *at = json_string_value(json_object_get(problem, "pointer"));
	assert_string_equal(at ? at : "", pointer);
	json_decref(problem);
	response_free(&response);
}

/* ---- methods and paths ---- */

static void get_head_and_options(void **state)
{
	(void)state;
	struct response get = client_ask(port, "GET " THING " HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(get.status, 200);
	assert_string_equal(header_of(&get, "ETag"), "\"7\"");
	assert_non_null(strstr(get.body, "\"mass_kg\":5"));
	char length[32];
	snprintf(length, sizeof length, "%.31s", header_of(&get, "Content-Length"));
	struct response head = client_ask(port, "HEAD " THING " HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(head.status, 200);
	assert_string_equal(header_of(&head, "Content-Length"), length);
	assert_int_equal(head.body_size, 0);
	struct response options = client_ask(port, "OPTIONS " THING " HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(options.status, 204);
	assert_string_equal(header_of(&options, "Allow"), "GET, HEAD, PATCH, DELETE, OPTIONS");
	response_free(&get);
	response_free(&head);
	response_free(&options);
}

static void unknown_paths_and_methods(void **state)
{
	(void)state;
	expect_problem(client_ask(port, "GET /nowhere HTTP/1.1\r\n" HOST "\r\n"), 404, "no-route", "");
	struct response put = client_ask(port, "PUT " THING " HTTP/1.1\r\n" HOST "\r\n");
	assert_string_equal(header_of(&put, "Allow"), "GET, HEAD, PATCH, DELETE, OPTIONS");
	expect_problem(put, 405, "method-not-allowed", "");
	expect_problem(client_ask(port, "GET /v1/things/x HTTP/1.1\r\n" HOST "\r\n"), 400, "invalid-id", "");
	struct response gone = client_ask(port, "DELETE " THING " HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(gone.status, 204);
	response_free(&gone);
}

static void a_connection_serves_many_requests(void **state)
{
	(void)state;
	int sock = client_open(port);
	static const char bytes[] = "GET " THING " HTTP/1.1\r\n" HOST "\r\n";
	static const char missing[] = "GET /nowhere HTTP/1.1\r\n" HOST "\r\n";
	for (int i = 0; i < 20; i++) {
		bool odd = i % 2;
		client_send(sock, odd ? missing : bytes, odd ? sizeof missing - 1 : sizeof bytes - 1);
		struct response response = client_receive(sock, false);
		assert_int_equal(response.status, odd ? 404 : 200);
		response_free(&response);
	}
	close(sock);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	int sock = client_open(port);
	static const char bytes[] =
		"DELETE " THING " HTTP/1.1\r\n" HOST "X-Request-Id: request-1\r\n\r\n"
		"DELETE " THING " HTTP/1.1\r\n" HOST "X-Request-Id: request-2\r\nConnection: close\r\n\r\n";
	char all[8192];
	size_t size = 0, got;
	client_send(sock, bytes, sizeof bytes - 1);
	while ((got = client_read(sock, all + size, sizeof all - 1 - size)) > 0)
		size += got;
	all[size] = 0;
	const char *first = strstr(all, "request-1"), *second = strstr(all, "request-2");
	assert_true(first && second && first < second);
	close(sock);
}

static void request_ids_are_echoed_when_sane(void **state)
{
	(void)state;
	struct response given = client_ask(port, "GET " THING " HTTP/1.1\r\n" HOST "X-Request-Id: order-4711\r\n\r\n");
	assert_string_equal(header_of(&given, "X-Request-Id"), "order-4711");
	struct response bad = client_ask(port, "GET " THING " HTTP/1.1\r\n" HOST "X-Request-Id: a\"b<script>\r\n\r\n");
	struct id id;
	assert_int_equal(id_parse(header_of(&bad, "X-Request-Id"), &id), ERR_OK);
	assert_string_equal(header_of(&bad, "X-Content-Type-Options"), "nosniff");
	/* the rules for what a browser shows are not of JSON, and nothing tells the version */
	struct response text = client_ask(port, "GET /v1/who HTTP/1.1\r\n" HOST "Authorization: Bearer good\r\n\r\n");
	assert_null(header_of(&bad, "Content-Security-Policy"));
	assert_non_null(header_of(&text, "Content-Security-Policy"));
	assert_string_equal(header_of(&text, "Referrer-Policy"), "no-referrer");
	assert_null(header_of(&text, "Server"));
	response_free(&text);
	response_free(&given);
	response_free(&bad);
}

/* ---- conditions ---- */

static void etags_save_the_body(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		int status;
	} cases[] = {{"\"7\"", 304}, {"W/\"7\"", 304}, {"\"6\", \"7\"", 304}, {"*", 304}, {"\"6\"", 200},
		{"\"77\"", 200}, {"7", 200}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct response response =
			client_ask(port, "GET " THING " HTTP/1.1\r\n" HOST "If-None-Match: %s\r\n\r\n", cases[i].value);
		if (response.status != cases[i].status)
			fail_msg("%s: %d", cases[i].value, response.status);
		assert_string_equal(header_of(&response, "ETag"), "\"7\"");
		response_free(&response);
	}
}

static struct response patch(const char *headers, const char *body)
{
	return client_ask(port, "PATCH " THING " HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n%s", headers,
		strlen(body), body);
}

static void changes_need_the_version_that_was_read(void **state)
{
	(void)state;
	expect_problem(patch(JSON, "{\"mass_kg\": 6}"), 428, "precondition-required", "");
	expect_problem(patch(JSON "If-Match: \"6\"\r\n", "{\"mass_kg\": 6}"), 412, "condition-failed", "");
	expect_problem(patch(JSON "If-Match: nonsense\r\n", "{\"mass_kg\": 6}"), 412, "condition-failed", "");
	expect_problem(patch(JSON "If-Match: W/\"7\"\r\n", "{\"mass_kg\": 6}"), 412, "condition-failed", "");
	struct response changed = patch(JSON "If-Match: \"7\"\r\n", "{\"mass_kg\": 6}");
	assert_int_equal(changed.status, 200);
	assert_string_equal(header_of(&changed, "ETag"), "\"8\"");
	assert_non_null(strstr(changed.body, "\"mass_kg\":6"));
	assert_non_null(strstr(changed.body, "a thing"));
	response_free(&changed);
	struct response any = patch(JSON "If-Match: *\r\n", "{}");
	assert_int_equal(any.status, 200);
	response_free(&any);
	expect_problem(patch(JSON "If-Match: \"7\"\r\n", "{\"id\": \"" ID "\"}"), 422, "read-only-field", "/id");
}

/* ---- bodies and fields ---- */

static void bodies_are_read_by_their_row(void **state)
{
	(void)state;
	struct response made = post("/v1/things", JSON KEY, "{\"name\": \"new\", \"mass_kg\": 3}");
	assert_int_equal(made.status, 201);
	assert_string_equal(header_of(&made, "Location"), "/v1/things/1");
	assert_non_null(strstr(made.body, ID));
	response_free(&made);
	expect_problem(post("/v1/things", JSON, "{\"name\": \"new\"}"), 400, "idempotency-key-required", "");
	expect_problem(post("/v1/things", JSON "Idempotency-Key: 17\r\n", "{}"), 400, "idempotency-key-required", "");
	expect_problem(post("/v1/things", JSON KEY, "{\"mass_kg\": 3}"), 422, "missing-field", "/name");
	expect_problem(
		post("/v1/things", JSON KEY, "{\"name\": \"n\", \"mass_kg\": 1001}"), 422, "invalid-field", "/mass_kg");
	expect_problem(
		post("/v1/things", JSON KEY, "{\"name\": \"n\", \"colour\": 1}"), 422, "unknown-field", "/colour");
	expect_problem(post("/v1/things", JSON KEY, "{\"name\": \"n\""), 400, "invalid-json", "");
	expect_problem(post("/v1/things", JSON KEY, "[]"), 400, "invalid-json", "");
	expect_problem(post("/v1/things", JSON KEY, "{\"name\": \"a\", \"name\": \"b\"}"), 400, "invalid-json", "");
	expect_problem(post("/v1/things", JSON KEY, ""), 400, "invalid-json", "");
	expect_problem(post("/v1/things", KEY, "{}"), 415, "unsupported-media", "");
	expect_problem(post("/v1/things", KEY "Content-Type: text/plain\r\n", "{}"), 415, "unsupported-media", "");
	expect_problem(post("/v1/things", JSON KEY "Content-Encoding: gzip\r\n", "{}"), 415, "unsupported-media", "");
	struct response charset =
		post("/v1/things", KEY "Content-Type: application/json; charset=utf-8\r\n", "{\"name\":\"n\"}");
	assert_int_equal(charset.status, 201);
	response_free(&charset);
}

static void bodies_have_a_limit(void **state)
{
	(void)state;
	char body[400], text[2048];
	memset(body, ' ', sizeof body);
	body[399] = 0;
	expect_problem(post("/v1/things", JSON KEY, body), 413, "too-large", "");
	/* in chunks nothing announces the size */
	snprintf(text, sizeof text,
		"POST /v1/things HTTP/1.1\r\n" HOST JSON KEY "Transfer-Encoding: chunked\r\n\r\n18f\r\n%s\r\n"
		"0\r\n\r\n",
		body);
	expect_problem(client_ask(port, "%s", text), 413, "too-large", "");
	body[255] = 0;
	memcpy(body, "{\"name\":\"n\"}", 12);
	struct response fits = post("/v1/things", JSON KEY, body);
	assert_int_equal(fits.status, 201);
	response_free(&fits);
}

static void an_expected_continue_is_given_only_to_what_may_come(void **state)
{
	(void)state;
	int sock = client_open(port);
	static const char good[] =
		"POST /v1/things HTTP/1.1\r\n" HOST JSON KEY "Expect: 100-continue\r\nContent-Length: 12\r\n\r\n";
	static const char body[] = "{\"name\":\"n\"}";
	client_send(sock, good, sizeof good - 1);
	char line[64];
	size_t got = client_read(sock, line, sizeof line);
	assert_memory_equal(line, "HTTP/1.1 100", 12);
	assert_true(got >= 12);
	client_send(sock, body, sizeof body - 1);
	struct response made = client_receive(sock, false);
	assert_int_equal(made.status, 201);
	response_free(&made);
	close(sock);
	expect_problem(client_ask(port, "POST /v1/things HTTP/1.1\r\n" HOST JSON KEY
					"Expect: 100-continue\r\nContent-Length: 1200\r\n\r\n"),
		413, "too-large", "");
}

static void queries_are_read_by_their_row(void **state)
{
	(void)state;
	struct response page = client_ask(port, "GET /v1/things?limit=3&like=a+b%%20c HTTP/1.1\r\n" HOST "\r\n");
	json_t *document = json_loads(page.body, 0, NULL);
	assert_int_equal(page.status, 200);
	assert_int_equal(json_array_size(json_object_get(document, "items")), 3);
	assert_string_equal(json_string_value(json_object_get(document, "next_cursor")), "next");
	assert_non_null(strstr(page.body, "a b c"));
	json_decref(document);
	response_free(&page);
	struct response last =
		client_ask(port, "GET /v1/things?limit=1&cursor=next&at-least=5 HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(last.status, 200);
	assert_null(strstr(last.body, "next_cursor"));
	response_free(&last);
	static const struct {
		const char *query, *slug, *pointer;
		int status;
	} cases[] = {{"limit=0", "invalid-field", "/limit", 422}, {"limit=1001", "invalid-field", "/limit", 422},
		{"limit=x", "invalid-field", "/limit", 422}, {"above_kg=101", "invalid-field", "/above_kg", 422},
		{"above_kg=x", "invalid-field", "/above_kg", 422}, {"above_kg=", "invalid-field", "/above_kg", 422},
		{"at-least=-1", "invalid-field", "/at-least", 422}, {"colour=red", "unknown-field", "/colour", 422},
		{"limit=1&limit=2", "bad-request", "", 400}, {"like=12345678901", "invalid-field", "/like", 422}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_problem(client_ask(port, "GET /v1/things?%s HTTP/1.1\r\n" HOST "\r\n", cases[i].query),
			cases[i].status, cases[i].slug, cases[i].pointer);
}

/* ---- compression, streams, events ---- */

static void larger_json_is_compressed_when_asked(void **state)
{
	(void)state;
	struct response plain = client_ask(port, "GET /v1/things?limit=100 HTTP/1.1\r\n" HOST "\r\n");
	struct response packed =
		client_ask(port, "GET /v1/things?limit=100 HTTP/1.1\r\n" HOST "Accept-Encoding: br, gzip\r\n\r\n");
	struct response refused =
		client_ask(port, "GET /v1/things?limit=100 HTTP/1.1\r\n" HOST "Accept-Encoding: gzip;q=0\r\n\r\n");
	assert_null(header_of(&plain, "Content-Encoding"));
	assert_string_equal(header_of(&plain, "Vary"), "Accept-Encoding");
	assert_null(header_of(&refused, "Content-Encoding"));
	assert_string_equal(header_of(&packed, "Content-Encoding"), "gzip");
	assert_true(packed.body_size < plain.body_size / 4);
	char *text = malloc(plain.body_size + 1);
	z_stream stream = {.next_in = (Bytef *)packed.body,
		.avail_in = (uInt)packed.body_size,
		.next_out = (Bytef *)text,
		.avail_out = (uInt)plain.body_size + 1};
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	inflateEnd(&stream);
	assert_int_equal(stream.total_out, plain.body_size);
	assert_memory_equal(text, plain.body, plain.body_size);
	free(text);
	response_free(&plain);
	response_free(&packed);
	response_free(&refused);
	struct response small = client_ask(port, "GET " THING " HTTP/1.1\r\n" HOST "Accept-Encoding: gzip\r\n\r\n");
	assert_null(header_of(&small, "Content-Encoding"));
	response_free(&small);
}

static void streams_come_whole_and_are_released(void **state)
{
	(void)state;
	atomic_store(&released, 0);
	struct response stream = client_ask(port, "GET /v1/digits HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(stream.status, 200);
	assert_int_equal(stream.body_size, 1000000);
	for (size_t i = 0; i < stream.body_size; i += 999)
		assert_int_equal(stream.body[i], '0' + (int)(i % 10));
	response_free(&stream);
	struct response head = client_ask(port, "HEAD /v1/digits HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(head.status, 200);
	response_free(&head);
	int sock = client_open(port);
	static const char bytes[] = "GET /v1/digits HTTP/1.1\r\n" HOST "\r\n";
	client_send(sock, bytes, sizeof bytes - 1);
	close(sock);
	http_server_stop(&server, INT64_MAX);
	assert_in_range(atomic_load(&released), 2, 3); /* the third may have gone before it was read */
	server = start_with(base_options());
	port = http_server_port(server);
}

/* Reads until `wanted` is there. */
static void read_until(int sock, char *all, size_t capacity, const char *wanted)
{
	size_t size = strlen(all);
	while (!strstr(all, wanted)) {
		size_t got = client_read(sock, all + size, capacity - 1 - size);
		if (got == 0)
			fail_msg("the stream ended before: %s", wanted);
		size += got;
		all[size] = 0;
	}
}

static void events_reach_the_client_and_a_slow_one_is_cut(void **state)
{
	(void)state;
	static const char bytes[] = "GET /v1/events HTTP/1.1\r\n" HOST "\r\n";
	char all[16384] = "";
	int sock = client_open(port);
	client_send(sock, bytes, sizeof bytes - 1);
	sem_wait(&entered);
	assert_int_equal(http_events_send(events, "1", "trade", "{\"kg\": 5}"), ERR_OK);
	read_until(sock, all, sizeof all, "id: 1\nevent: trade\ndata: {\"kg\": 5}\n\n");
	assert_non_null(strstr(all, "Content-Type: text/event-stream"));
	assert_int_equal(http_events_send(events, "2", NULL, "two\nlines"), ERR_OK);
	read_until(sock, all, sizeof all, "id: 2\ndata: two\ndata: lines\n\n");
	/* it stops reading: frames fill the socket, then the queue, then it is cut, and the end says why */
	char *large = malloc(1 << 20);
	memset(large, 'x', (1 << 20) - 1);
	large[(1 << 20) - 1] = 0;
	enum err err = ERR_OK;
	for (int i = 0; i < 1000 && err == ERR_OK; i++)
		err = http_events_send(events, NULL, NULL, large);
	free(large);
	assert_int_equal(err, ERR_NOT_FOUND);
	static const char last[] = "event: cut\ndata: {\"reason\":\"slow\"}\n\n\r\n0\r\n\r\n";
	char end[256] = "";
	while (!strstr(end, last)) {
		size_t got = client_read(sock, all, sizeof all - 1), kept = strlen(end), more = got < 100 ? got : 100;
		assert_true(got > 0);
		if (kept > 100)
			memmove(end, end + kept - 100, 101);
		strncat(end, all + got - more, more);
	}
	close(sock);
}

static int ask_held(int64_t wait_us)
{
	static const char bytes[] = "GET /v1/held HTTP/1.1\r\n" HOST "\r\n";
	atomic_store(&held_us, wait_us);
	int sock = client_open(port);
	client_send(sock, bytes, sizeof bytes - 1);
	sem_wait(&entered);
	return sock;
}

static void a_held_answer_is_what_was_given_or_else_the_other(void **state)
{
	(void)state;
	char all[4096] = "";
	int sock = ask_held(INT64_MAX / 2);
	assert_false(http_events_are_over(events));
	assert_int_equal(http_held_give(events, "it came"), ERR_OK);
	assert_int_equal(http_held_give(events, "once more"), ERR_NOT_FOUND);
	read_until(sock, all, sizeof all, "it came\r\n0\r\n\r\n");
	assert_non_null(strstr(all, "Content-Type: text/plain"));
	close(sock);
	memset(all, 0, sizeof all);
	sock = ask_held(1000); /* its time is over */
	read_until(sock, all, sizeof all, "nothing came\r\n0\r\n\r\n");
	assert_true(http_events_are_over(events));
	assert_int_equal(http_held_give(events, "too late"), ERR_NOT_FOUND);
	close(sock);
	memset(all, 0, sizeof all);
	sock = ask_held(INT64_MAX / 2); /* the server stops */
	http_server_stop(&server, INT64_MAX);
	read_until(sock, all, sizeof all, "nothing came\r\n0\r\n\r\n");
	close(sock);
	server = start_with(base_options());
	port = http_server_port(server);
}

static void a_client_that_goes_away_is_noticed_by_the_publisher(void **state)
{
	(void)state;
	static const char bytes[] = "GET /v1/events HTTP/1.1\r\n" HOST "\r\n";
	int sock = client_open(port);
	client_send(sock, bytes, sizeof bytes - 1);
	sem_wait(&entered);
	close(sock);
	int64_t until_us = clock_monotonic_us() + PATIENCE_MS * INT64_C(1000);
	while (http_events_send(events, NULL, NULL, "are you there?") == ERR_OK)
		assert_true(clock_monotonic_us() < until_us);
}

/* ---- workers and later answers ---- */

static int send_on_own_connection(const char *bytes)
{
	int sock = client_open(port);
	client_send(sock, bytes, strlen(bytes));
	return sock;
}

static void expect_status(int sock, int status)
{
	struct response response = client_receive(sock, false);
	assert_int_equal(response.status, status);
	response_free(&response);
	close(sock);
}

static void a_full_pool_of_workers_refuses(void **state)
{
	(void)state;
	static const char slow[] = "GET /v1/slow HTTP/1.1\r\n" HOST "\r\n";
	int working = send_on_own_connection(slow);
	sem_wait(&entered); /* the one worker is inside; two more wait; a fourth has no place */
	int sockets[8];
	struct response refused = {0};
	size_t waiting = 0;
	int64_t until_us = clock_monotonic_us() + PATIENCE_MS * INT64_C(1000);
	while (refused.status != 503 && waiting < 8) {
		int sock = send_on_own_connection(slow);
		struct pollfd poll_it = {.fd = sock, .events = POLLIN};
		if (poll(&poll_it, 1, 200) == 1) {
			refused = client_receive(sock, false);
			close(sock);
		} else {
			sockets[waiting++] = sock;
		}
		assert_true(clock_monotonic_us() < until_us);
	}
	assert_int_equal(waiting, 2);
	assert_non_null(header_of(&refused, "Retry-After"));
	expect_problem(refused, 503, "busy", "");
	/* inline requests go on meanwhile */
	assert_int_equal(client_status(port, "GET " THING " HTTP/1.1\r\n" HOST "\r\n"), 200);
	for (int i = 0; i < 3; i++)
		sem_post(&let_go);
	expect_status(working, 200);
	expect_status(sockets[0], 200);
	expect_status(sockets[1], 200);
	sem_wait(&entered);
	sem_wait(&entered);
}

static void later_answers_come_from_another_thread(void **state)
{
	(void)state;
	static const char text[] = "Content-Type: text/plain\r\n";
	struct response now = post("/v1/commands", text, "now");
	assert_int_equal(now.status, 200);
	assert_string_equal(now.body, "at once");
	response_free(&now);
	expect_problem(post("/v1/commands", text, "busy"), 503, "busy", "");
	int sock = send_on_own_connection("POST /v1/commands HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\n"
					  "Content-Length: 2\r\n\r\ngo");
	sem_wait(&entered);
	reply_complete(pending_reply, ERR_OK, NULL, strdup("done"), free);
	struct response done = client_receive(sock, false);
	assert_int_equal(done.status, 200);
	assert_string_equal(done.body, "done");
	response_free(&done);
	close(sock);
	sock = send_on_own_connection("POST /v1/commands HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\n"
				      "Content-Length: 2\r\n\r\ngo");
	sem_wait(&entered);
	struct err_info info = {0};
	err_set(&info, ERR_GUARD_TAKEN, "/hours", "claimed");
	reply_complete(pending_reply, info.code, &info, NULL, NULL);
	expect_problem(client_receive(sock, false), 409, "guard-taken", "/hours");
	close(sock);
}

static void past_the_deadline_the_answer_is_504(void **state)
{
	(void)state;
	struct http_options options = base_options();
	options.answer_deadline_us = 50000;
	restart(options);
	expect_problem(client_ask(port, "GET /v1/slow HTTP/1.1\r\n" HOST "\r\n"), 504, "deadline", "");
	sem_wait(&entered);
	sem_post(&let_go); /* the worker finishes into a request that nobody waits for */
	struct response late = post("/v1/commands", "Content-Type: text/plain\r\n" KEY, "go");
	assert_non_null(strstr(late.body, ID)); /* the command id to ask by */
	expect_problem(late, 504, "deadline", "");
	sem_wait(&entered);
	reply_complete(pending_reply, ERR_OK, NULL, strdup("too late"), free);
	restart(base_options());
}

static void faults_inside_stay_inside(void **state)
{
	(void)state;
	struct response response = client_ask(port, "GET /v1/broken HTTP/1.1\r\n" HOST "\r\n");
	assert_null(strstr(response.body, "disk 7"));
	assert_null(strstr(response.body, "secret"));
	expect_problem(response, 500, "input-output", "");
}

static void the_gate_is_asked_before_the_body_is_read(void **state)
{
	(void)state;
	struct response none = client_ask(port, "GET /v1/who HTTP/1.1\r\n" HOST "\r\n");
	assert_non_null(strstr(header_of(&none, "WWW-Authenticate"), "Bearer"));
	expect_problem(none, 401, "unauthenticated", "");
	expect_problem(client_ask(port, "GET /v1/who HTTP/1.1\r\n" HOST "Authorization: Bearer weak\r\n\r\n"), 403,
		"forbidden", "");
	struct response slow = client_ask(port, "GET /v1/who HTTP/1.1\r\n" HOST "Authorization: Bearer slow\r\n\r\n");
	assert_string_equal(header_of(&slow, "Retry-After"), "17");
	expect_problem(slow, 429, "rate-limited", "");
	struct response known = client_ask(port, "GET /v1/who HTTP/1.1\r\n" HOST "Authorization: Bearer x\r\n\r\n");
	assert_string_equal(known.body, "somebody");
	response_free(&known);
}

/* ---- deadlines of connections, limits, stopping ---- */

static void slow_heads_and_bodies_are_cut(void **state)
{
	(void)state;
	struct http_options options = base_options();
	options.header_deadline_us = options.body_deadline_us = 100000;
	options.idle_deadline_us = 200000;
	restart(options);
	expect_status(send_on_own_connection(""), 408);
	expect_status(send_on_own_connection("GET /v1/things HTTP/1.1\r\nHost: a\r\nX: "), 408);
	expect_status(
		send_on_own_connection("POST /v1/things HTTP/1.1\r\n" HOST JSON KEY "Content-Length: 10\r\n\r\n{"),
		408);
	int sock = send_on_own_connection("DELETE " THING " HTTP/1.1\r\n" HOST "\r\n");
	struct response response = client_receive(sock, false);
	assert_int_equal(response.status, 204);
	response_free(&response);
	assert_true(client_at_end(sock)); /* idle: closed without a word */
	close(sock);
	/* a trickle of header bytes does not help */
	sock = client_open(port);
	int64_t until_us = clock_monotonic_us() + PATIENCE_MS * INT64_C(1000);
	client_send(sock, "GET /v1/things HTTP/1.1\r\n", 25);
	struct pollfd readable = {.fd = sock, .events = POLLIN};
	while (poll(&readable, 1, 5) == 0) {
		client_send(sock, "X: y\r\n", 6);
		assert_true(clock_monotonic_us() < until_us);
	}
	close(sock);
	restart(base_options());
}

static void beyond_the_limit_of_connections_the_answer_is_503(void **state)
{
	(void)state;
	struct http_options options = base_options();
	options.connections_max = 2;
	restart(options);
	int first = send_on_own_connection("DELETE " THING " HTTP/1.1\r\n" HOST "\r\n");
	int second = send_on_own_connection("DELETE " THING " HTTP/1.1\r\n" HOST "\r\n");
	struct response one = client_receive(first, false), two = client_receive(second, false);
	assert_int_equal(one.status, 204);
	assert_int_equal(two.status, 204);
	struct response third = client_ask(port, "DELETE " THING " HTTP/1.1\r\n" HOST "\r\n");
	assert_string_equal(header_of(&third, "Connection"), "close");
	expect_problem(third, 503, "busy", "");
	response_free(&one);
	response_free(&two);
	close(first);
	close(second);
	restart(base_options());
}

static void *stop_server(void *argument)
{
	int64_t deadline_us = *(const int64_t *)argument;
	http_server_stop(&server, deadline_us);
	return NULL;
}

static void stopping_lets_open_requests_finish(void **state)
{
	(void)state;
	pthread_t stopper;
	int64_t deadline_us = clock_monotonic_us() + PATIENCE_MS * INT64_C(1000);
	int sock = send_on_own_connection("GET /v1/slow HTTP/1.1\r\n" HOST "\r\n");
	int watching = send_on_own_connection("GET /v1/events HTTP/1.1\r\n" HOST "\r\n");
	sem_wait(&entered);
	sem_wait(&entered);
	pthread_create(&stopper, NULL, stop_server, &deadline_us);
	struct response stream = client_receive(watching, false); /* ended in order, by its last chunk */
	assert_int_equal(stream.status, 200);
	response_free(&stream);
	close(watching);
	sem_post(&let_go);
	struct response worked = client_receive(sock, false);
	assert_int_equal(worked.status, 200);
	assert_string_equal(worked.body, "worked");
	response_free(&worked);
	close(sock);
	pthread_join(stopper, NULL);
	server = start_with(base_options());
	port = http_server_port(server);
}

static void stopping_past_its_deadline_answers_503(void **state)
{
	(void)state;
	pthread_t stopper;
	int64_t deadline_us = clock_monotonic_us();
	int sock = send_on_own_connection("POST /v1/commands HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\n"
					  "Content-Length: 2\r\n\r\ngo");
	sem_wait(&entered);
	pthread_create(&stopper, NULL, stop_server, &deadline_us);
	expect_problem(client_receive(sock, false), 503, "stopping", "");
	close(sock);
	pthread_join(stopper, NULL);
	reply_complete(pending_reply, ERR_OK, NULL, strdup("after the end"), free);
	server = start_with(base_options());
	port = http_server_port(server);
}

#define LATE_ROUNDS 25

static void *send_late(void *argument)
{
	static const char request[] = "POST /v1/commands HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\n"
				      "Content-Length: 4\r\n\r\nlate";
	const int *socks = argument;
	for (int i = 0; i < LATE_CLIENTS; i++)
		(void)client_send(socks[i], request, sizeof request - 1);
	return NULL;
}

/* microhttpd drops an answer that is given while it stops, and comes with the request's body after it. */
static void requests_that_arrive_while_it_stops_break_nothing(void **state)
{
	(void)state;
	for (int round = 0; round < LATE_ROUNDS; round++) {
		pthread_t sender;
		int socks[LATE_CLIENTS];
		for (int i = 0; i < LATE_CLIENTS; i++)
			socks[i] = client_open(port);
		pthread_create(&sender, NULL, send_late, socks);
		http_server_stop(&server, clock_monotonic_us());
		pthread_join(sender, NULL);
		for (int i = 0; i < LATE_CLIENTS; i++)
			close(socks[i]);
		for (size_t count = atomic_exchange(&late_count, 0); count > 0; count--)
			reply_complete(late_replies[count - 1], ERR_OK, NULL, NULL, NULL);
		server = start_with(base_options());
		port = http_server_port(server);
	}
}

static void other_addresses_need_tls_or_a_proxy(void **state)
{
	(void)state;
	struct http_options options = base_options();
	struct http_server *other = NULL;
	struct err_info info;
	options.address = "0.0.0.0";
	assert_int_equal(http_server_start(&options, &other, &info), ERR_INVALID_CONFIG);
	options.behind_proxy = true;
	assert_int_equal(http_server_start(&options, &other, &info), ERR_OK);
	http_server_stop(&other, INT64_MAX);
}

/* The first message of a TLS 1.2 client: ECDHE-ECDSA-AES128-GCM-SHA256, P-256, ECDSA with SHA-256. */
static const char client_hello[] = "\x16\x03\x01\x00\x47\x01\x00\x00\x43\x03\x03"
				   "0123456789abcdef0123456789abcdef"
				   "\x00\x00\x02\xc0\x2b\x01\x00\x00\x18"
				   "\x00\x0a\x00\x04\x00\x02\x00\x17"
				   "\x00\x0b\x00\x02\x01\x00"
				   "\x00\x0d\x00\x06\x00\x04\x04\x03\x04\x01";

static void with_a_certificate_it_speaks_tls_and_nothing_else(void **state)
{
	(void)state;
	struct http_options options = base_options();
	struct http_server *other = NULL;
	struct err_info info;
	char bytes[4096];
	options.certificate_file = "tests/data/tls/no-such.pem";
	options.key_file = "tests/data/tls/test-key.pem";
	assert_int_equal(http_server_start(&options, &other, &info), ERR_INVALID_CONFIG);
	options.certificate_file = options.key_file;
	assert_int_equal(http_server_start(&options, &other, &info), ERR_IO);
	options.certificate_file = "tests/data/tls/test-certificate.pem";
	options.address = "0.0.0.0"; /* with TLS other addresses are allowed */
	assert_int_equal(http_server_start(&options, &other, &info), ERR_OK);
	int sock = client_open(http_server_port(other));
	client_send(sock, client_hello, sizeof client_hello - 1);
	assert_true(client_read(sock, bytes, sizeof bytes) > 5);
	assert_memory_equal(bytes, "\x16\x03\x03", 3); /* a handshake record: ServerHello */
	assert_int_equal(bytes[5], 2);
	close(sock);
	sock = client_open(http_server_port(other));
	client_send(sock, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
	size_t got = client_read(sock, bytes, sizeof bytes);
	assert_true(got == 0 || bytes[0] == 0x15); /* an alert or nothing, but no HTTP */
	close(sock);
	http_server_stop(&other, INT64_MAX);
}

static void the_document_describes_every_row(void **state)
{
	(void)state;
	json_t *document = http_openapi(tables, "carbond", "1");
	assert_non_null(document);
	json_t *paths = json_object_get(document, "paths");
	assert_int_equal(json_object_size(paths), 9);
	json_t *operation = json_object_get(json_object_get(paths, "/v1/things"), "post");
	assert_string_equal(json_string_value(json_object_get(operation, "operationId")), "things.create");
	assert_non_null(json_object_get(json_object_get(operation, "responses"), "422"));
	assert_non_null(json_object_get(json_object_get(operation, "responses"), "201"));
	json_decref(document);
}

/* Many clients at once on all kinds: what the thread sanitizer looks at. */
static void *hammer(void *argument)
{
	static const char *const requests[] = {"GET " THING " HTTP/1.1\r\n" HOST "\r\n",
		"GET /v1/slow HTTP/1.1\r\n" HOST "\r\n",
		"POST /v1/commands HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nnow",
		"GET /v1/things?limit=50 HTTP/1.1\r\n" HOST "Accept-Encoding: gzip\r\n\r\n"};
	int sock = client_open(port);
	(void)argument;
	for (int i = 0; i < 200; i++) {
		const char *bytes = requests[i % 4];
		client_send(sock, bytes, strlen(bytes));
		struct response response = client_receive(sock, false);
		assert_true(response.status == 200 || response.status == 503);
		response_free(&response);
	}
	close(sock);
	return NULL;
}

static void many_clients_at_once(void **state)
{
	(void)state;
	pthread_t threads[6];
	for (int i = 0; i < 6 * 200; i++)
		sem_post(&let_go);
	for (int i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, hammer, NULL);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	sem_destroy(&entered);
	sem_destroy(&let_go);
	sem_init(&entered, 0, 0);
	sem_init(&let_go, 0, 0);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(get_head_and_options),
		cmocka_unit_test(unknown_paths_and_methods),
		cmocka_unit_test(a_connection_serves_many_requests),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(request_ids_are_echoed_when_sane),
		cmocka_unit_test(etags_save_the_body),
		cmocka_unit_test(changes_need_the_version_that_was_read),
		cmocka_unit_test(bodies_are_read_by_their_row),
		cmocka_unit_test(bodies_have_a_limit),
		cmocka_unit_test(an_expected_continue_is_given_only_to_what_may_come),
		cmocka_unit_test(queries_are_read_by_their_row),
		cmocka_unit_test(larger_json_is_compressed_when_asked),
		cmocka_unit_test(streams_come_whole_and_are_released),
		cmocka_unit_test(events_reach_the_client_and_a_slow_one_is_cut),
		cmocka_unit_test(a_held_answer_is_what_was_given_or_else_the_other),
		cmocka_unit_test(a_client_that_goes_away_is_noticed_by_the_publisher),
		cmocka_unit_test(a_full_pool_of_workers_refuses),
		cmocka_unit_test(later_answers_come_from_another_thread),
		cmocka_unit_test(past_the_deadline_the_answer_is_504),
		cmocka_unit_test(faults_inside_stay_inside),
		cmocka_unit_test(the_gate_is_asked_before_the_body_is_read),
		cmocka_unit_test(slow_heads_and_bodies_are_cut),
		cmocka_unit_test(beyond_the_limit_of_connections_the_answer_is_503),
		cmocka_unit_test(stopping_lets_open_requests_finish),
		cmocka_unit_test(stopping_past_its_deadline_answers_503),
		cmocka_unit_test(requests_that_arrive_while_it_stops_break_nothing),
		cmocka_unit_test(other_addresses_need_tls_or_a_proxy),
		cmocka_unit_test(with_a_certificate_it_speaks_tls_and_nothing_else),
		cmocka_unit_test(the_document_describes_every_row),
		cmocka_unit_test(many_clients_at_once),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
