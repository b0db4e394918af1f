/* Hostile heads: whatever lets two readers disagree on where a request ends is answered 400 and the connection closed. */
#include "client.h"

static enum err answer_text(struct http_request *request, struct err_info *info)
{
	(void)info;
	const char *name = http_path_text(request, "name");
	size_t size = 0;
	http_body_text(request, &size);
	return http_answer_text(request, "text/plain", name ? name : "fine", name ? strlen(name) : 4);
}

static const char *const any_text[] = {"text/plain", NULL};
static const struct http_route routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/things", "public", .flags = HTTP_PUBLIC, .cost = 1, .success = 200,
		.handler = answer_text, .operation = "things.list", .doc = "Things"),
	HTTP_ROUTE(HTTP_GET, "/v1/things/{name}", "public", .flags = HTTP_PUBLIC, .cost = 1, .success = 200,
		.handler = answer_text, .operation = "things.get", .doc = "A thing"),
	HTTP_ROUTE(HTTP_POST, "/v1/things", "public", .flags = HTTP_PUBLIC, .cost = 1, .success = 200,
		.media = any_text, .body_bytes_max = 64, .handler = answer_text, .operation = "things.create",
		.doc = "A new thing"),
	{.path = NULL}};
static const struct http_route *const tables[] = {routes, NULL};

static struct http_server *server;

static int start(void **state)
{
	(void)state;
	struct err_info info;
	const struct http_options options = {.address = "127.0.0.1", .threads = 2, .workers = 1, .tables = tables};
	return http_server_start(&options, &server, &info) == ERR_OK ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	http_server_stop(&server, INT64_MAX);
	return 0;
}

#define GET         "GET /v1/things HTTP/1.1\r\n"
#define POST        "POST /v1/things HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n"
#define BYTES(text) text, sizeof(text) - 1

static const struct {
	const char *name, *bytes;
	size_t size;
	int status; /* 0: closed without an answer is as good as 400 */
} cases[] = {
	{"plain", BYTES(GET "Host: a\r\n\r\n"), 200},
	{"header without blanks and with many", BYTES(GET "Host:a\r\nX:  \t b\r\nY: b  \r\nZ:\r\n\r\n"), 200},
	{"HTTP/1.0 without Host", BYTES("GET /v1/things HTTP/1.0\r\n\r\n"), 200},
	{"leading empty line", BYTES("\r\n" GET "Host: a\r\n\r\n"), 200},
	{"body", BYTES(POST "Content-Length: 3\r\n\r\nabc"), 200},
	{"chunked body", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), 200},
	{"two Content-Length", BYTES(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), 400},
	{"two different Content-Length", BYTES(POST "Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc"), 400},
	{"Content-Length list", BYTES(POST "Content-Length: 3, 3\r\n\r\nabc"), 400},
	{"Content-Length with sign", BYTES(POST "Content-Length: +3\r\n\r\nabc"), 400},
	{"negative Content-Length", BYTES(POST "Content-Length: -3\r\n\r\nabc"), 400},
	{"hexadecimal Content-Length", BYTES(POST "Content-Length: 0x3\r\n\r\nabc"), 400},
	{"empty Content-Length", BYTES(POST "Content-Length: \r\n\r\nabc"), 400},
	{"huge Content-Length", BYTES(POST "Content-Length: 99999999999999999999\r\n\r\nabc"), 413},
	{"Content-Length and Transfer-Encoding",
		BYTES(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
	{"Transfer-Encoding and Content-Length",
		BYTES(POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"), 400},
	{"two Transfer-Encoding",
		BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
	{"Transfer-Encoding list", BYTES(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 400},
	{"Transfer-Encoding identity", BYTES(POST "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n"), 400},
	{"Transfer-Encoding with a vertical tab", BYTES(POST "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n"), 400},
	{"Transfer-Encoding in HTTP/1.0",
		BYTES("POST /v1/things HTTP/1.0\r\nContent-Type: text/plain\r\n"
		      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		400},
	{"space before the colon", BYTES(GET "Host: a\r\nContent-Length : 3\r\n\r\n"), 400},
	{"tab before the colon", BYTES(GET "Host: a\r\nX\t: 3\r\n\r\n"), 400},
	{"space before Host's colon", BYTES(GET "Host : a\r\n\r\n"), 400},
	{"name with a control character", BYTES(GET "Host: a\r\nX\x01Y: 3\r\n\r\n"), 400},
	{"empty name", BYTES(GET "Host: a\r\n: 3\r\n\r\n"), 400},
	{"line without a colon", BYTES(GET "Host: a\r\nnonsense\r\n\r\n"), 400},
	{"two Hosts", BYTES(GET "Host: a\r\nHost: a\r\n\r\n"), 400},
	{"no Host", BYTES(GET "X: a\r\n\r\n"), 400},
	{"Host with a path", BYTES(GET "Host: a/b\r\n\r\n"), 400},
	{"Host with a user", BYTES(GET "Host: a@b\r\n\r\n"), 400},
	{"Host with blanks", BYTES(GET "Host: a b\r\n\r\n"), 400},
	{"NUL in a value", BYTES(GET "Host: a\r\nX: a\0b\r\n\r\n"), 400},
	{"NUL in a name", BYTES(GET "Host: a\r\nX\0Y: ab\r\n\r\n"), 400},
	{"NUL at the start of a line", BYTES(GET "Host: a\r\n\0X: ab\r\n\r\n"), 400},
	{"NUL in the target", BYTES("GET /v1/things\0 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"NUL in the method", BYTES("GE\0T /v1/things HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"bare CR in a value", BYTES(GET "Host: a\r\nX: a\rY: b\r\n\r\n"), 400},
	{"bare CR in the target", BYTES("GET /v1/thi\rngs HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"bare LF after a header", BYTES(GET "Host: a\nX: b\r\n\r\n"), 400},
	{"bare LF after the request line", BYTES("GET /v1/things HTTP/1.1\nHost: a\r\n\r\n"), 400},
	{"bare LF at the end of the head", BYTES(GET "Host: a\r\n\n"), 400},
	{"CR LF CR at the end of the head", BYTES(GET "Host: a\r\n\rX: b\r\n\r\n"), 400},
	{"folded line", BYTES(GET "Host: a\r\nX: a\r\n b\r\n\r\n"), 400},
	{"folded line with a tab", BYTES(GET "Host: a\r\nX: a\r\n\tb\r\n\r\n"), 400},
	{"folded Content-Length", BYTES(POST "Content-Length:\r\n 3\r\n\r\nabc"), 400},
	{"folded last line", BYTES(GET "Host: a\r\nX: a\r\n \r\n\r\n"), 400},
	{"first header line begins with a blank", BYTES(GET " Host: a\r\n\r\n"), 400},
	{"two blanks before the target", BYTES("GET  /v1/things HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"two blanks before the version", BYTES("GET /v1/things  HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
	{"blank in the target", BYTES("GET /v1/thi ngs HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
	{"HTTP/2.0", BYTES("GET /v1/things HTTP/2.0\r\nHost: a\r\n\r\n"), 505},
	{"HTTP/1.2", BYTES("GET /v1/things HTTP/1.2\r\nHost: a\r\n\r\n"), 400},
	{"HTTP/0.9", BYTES("GET /v1/things\r\n\r\n"), 0},
	{"lower-case version", BYTES("GET /v1/things http/1.1\r\nHost: a\r\n\r\n"), 400},
	{"absolute form of this host", BYTES("GET http://a/v1/things HTTP/1.1\r\nHost: a\r\n\r\n"), 200},
	{"absolute form of another host", BYTES("GET http://b/v1/things HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"absolute form with a user", BYTES("GET http://a@b/v1/things HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"absolute form whose host goes on", BYTES("GET http://a.evil/v1/things HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"absolute form without a path", BYTES("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"other scheme", BYTES("GET file:///etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"authority form", BYTES("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"asterisk", BYTES("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"no slash", BYTES("GET v1/things HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"dot segments", BYTES("GET /v1/../v1/things HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"single dot", BYTES("GET /v1/./things HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"dot segment at the end", BYTES("GET /v1/things/.. HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"escaped dot segments", BYTES("GET /v1/%2e%2e/v1/things HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"half escaped dot segments", BYTES("GET /v1/.%2E/v1/things HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"twice escaped dots are a plain name", BYTES("GET /v1/things/%252e%252e HTTP/1.1\r\nHost: a\r\n\r\n"), 200},
	{"escaped slash", BYTES("GET /v1%2fthings HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"backslash", BYTES("GET /v1\\things HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"escaped backslash", BYTES("GET /v1/%5cthings HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"escaped NUL", BYTES("GET /v1/things%00 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"escaped NUL in the query", BYTES("GET /v1/things?limit=%00 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"escaped CR LF", BYTES("GET /v1/things/a%0d%0aX HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"double slash", BYTES("GET //v1/things HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"double slash within", BYTES("GET /v1//things HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"broken escape", BYTES("GET /v1/things/%4 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"broken escape digits", BYTES("GET /v1/things/%zz HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"overlong UTF-8", BYTES("GET /v1/things/%c0%ae%c0%ae HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"half a UTF-8 character", BYTES("GET /v1/things/%e2%82 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"UTF-8 surrogate", BYTES("GET /v1/things/%ed%a0%80 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"UTF-8", BYTES("GET /v1/things/%e2%82%ac HTTP/1.1\r\nHost: a\r\n\r\n"), 200},
	{"raw bytes above ASCII", BYTES("GET /v1/things/\xe2\x82\xac HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"fragment", BYTES("GET /v1/things#x HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
	{"parameter twice", BYTES("GET /v1/things?a=1&a=1 HTTP/1.1\r\nHost: a\r\n\r\n"), 422},
	{"unknown parameter", BYTES("GET /v1/things?a=1 HTTP/1.1\r\nHost: a\r\n\r\n"), 422},
	{"unknown method", BYTES("BREW /v1/things HTTP/1.1\r\nHost: a\r\n\r\n"), 405},
	{"lower-case method", BYTES("get /v1/things HTTP/1.1\r\nHost: a\r\n\r\n"), 405},
	{"trailing slash", BYTES("GET /v1/things/ HTTP/1.1\r\nHost: a\r\n\r\n"), 404},
	{"bad chunk size", BYTES(POST "Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n"), 0},
	{"chunk size with a sign", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n"), 0},
	{"body on a route that takes none", BYTES(GET "Host: a\r\nContent-Length: 3\r\n\r\nabc"), 413},
};

static void each_hostile_head_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		client_doing = cases[i].name;
		int sock = client_open(http_server_port(server));
		client_send(sock, cases[i].bytes, cases[i].size);
		if (cases[i].status == 0)
			shutdown(sock, SHUT_WR);
		struct response response = client_receive(sock, false);
		bool closes = cases[i].status == 400 || cases[i].status == 0;
		bool fine = cases[i].status
				    ? response.status == cases[i].status
				    : (response.status == 0 || response.status == 400 || response.status == 505);
		if (!fine)
			fail_msg("%s: status %d, wanted %d", cases[i].name, response.status, cases[i].status);
		if (closes && !client_at_end(sock))
			fail_msg("%s: the connection stays open", cases[i].name);
		response_free(&response);
		close(sock);
	}
}

/* What follows a refused request on its connection is never read as a request. */
static void nothing_is_smuggled_behind_a_refusal(void **state)
{
	(void)state;
	static const char bytes[] =
		POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET "Host: a\r\n\r\n";
	char all[65536];
	size_t size = 0, got;
	int sock = client_open(http_server_port(server));
	client_send(sock, bytes, sizeof bytes - 1);
	while ((got = client_read(sock, all + size, sizeof all - 1 - size)) > 0)
		size += got;
	all[size] = 0;
	assert_memory_equal(all, "HTTP/1.1 400", 12);
	assert_null(strstr(all + 12, "HTTP/1.1"));
	close(sock);
}

/* The chunked coding ends the connection, since the library takes bare line feeds inside it. */
static void a_chunked_request_is_the_last_one(void **state)
{
	(void)state;
	struct response response = client_ask(
		http_server_port(server), "%s", POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	assert_int_equal(response.status, 200);
	assert_string_equal(header_of(&response, "Connection"), "close");
	response_free(&response);
}

static void ask_with(const char *fill, size_t count, const char *before, const char *after, int status, int other)
{
	char *text = malloc(count * strlen(fill) + 4096), *at = text;
	at += sprintf(at, "%s", before);
	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "%s", fill);
	sprintf(at, "%s", after);
	int got = client_status(http_server_port(server), text);
	if (got != status && got != other)
		fail_msg("status %d, wanted %d", got, status);
	free(text);
}

static void overlong_heads_are_refused(void **state)
{
	(void)state;
	ask_with("a", 8100, "GET /v1/things/", " HTTP/1.1\r\nHost: a\r\n\r\n", 200, 200);
	ask_with("a", 9000, "GET /v1/things/", " HTTP/1.1\r\nHost: a\r\n\r\n", 414, 414);
	ask_with("a", 100000, "GET /v1/things/", " HTTP/1.1\r\nHost: a\r\n\r\n", 414, 414);
	ask_with("X: y\r\n", 99, GET "Host: a\r\n", "\r\n", 200, 200);
	ask_with("X: y\r\n", 120, GET "Host: a\r\n", "\r\n", 431, 431);
	ask_with("X: y\r\n", 20000, GET "Host: a\r\n", "\r\n", 431, 0); /* the library may close first */
	ask_with("&a", 100, "GET /v1/things?a", " HTTP/1.1\r\nHost: a\r\n\r\n", 422, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_hostile_head_is_refused),
		cmocka_unit_test(nothing_is_smuggled_behind_a_refusal),
		cmocka_unit_test(a_chunked_request_is_the_last_one),
		cmocka_unit_test(overlong_heads_are_refused),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
