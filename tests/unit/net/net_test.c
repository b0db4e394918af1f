/* Requests against a small server in a thread of this program, which answers what the test wrote down: methods, headers,
 * bodies, limits, deadlines, repeats, the list of hosts, unix sockets. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "carbond/base/clock.h"
#include "carbond/net.h"

/* One answer a connection, in order; the requests are kept. "" closes without an answer, NULL holds the connection open. */
struct server {
	int listener;
	char url[64];
	const char *answers[8];
	int count;
	char requests[8][4096];
	atomic_int served;
	int held;
	pthread_t thread;
};

static void *serve(void *argument)
{
	struct server *server = argument;
	for (int i = 0; i < server->count; i++) {
		int peer = accept(server->listener, NULL, NULL);
		if (peer < 0)
			return NULL;
		size_t size = 0;
		char *request = server->requests[i], *head;
		while (!(head = strstr(request, "\r\n\r\n")) ||
			(strstr(request, "Content-Length: ") &&
				strlen(head + 4) <
					(size_t)strtol(strstr(request, "Content-Length: ") + 16, NULL, 10))) {
			ssize_t got = read(peer, request + size, sizeof server->requests[i] - 1 - size);
			if (got <= 0)
				break;
			size += (size_t)got;
			request[size] = 0;
		}
		atomic_fetch_add(&server->served, 1);
		if (!server->answers[i]) {
			server->held = peer;
			continue;
		}
		for (const char *at = server->answers[i]; *at;) {
			ssize_t put = send(peer, at, strlen(at), MSG_NOSIGNAL);
			if (put <= 0)
				break;
			at += put;
		}
		close(peer);
	}
	return NULL;
}

static void server_start(struct server *server, const char *unix_path, int count, const char *const *answers)
{
	memset(server, 0, sizeof *server);
	server->held = -1;
	server->count = count;
	memcpy(server->answers, answers, sizeof *answers * (size_t)count);
	if (unix_path) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		snprintf(address.sun_path, sizeof address.sun_path, "%s", unix_path);
		server->listener = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
		snprintf(server->url, sizeof server->url, "http://localhost/x");
	} else {
		struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t size = sizeof address;
		server->listener = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(bind(server->listener, (struct sockaddr *)&address, size), 0);
		getsockname(server->listener, (struct sockaddr *)&address, &size);
		snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d/x?y=1", ntohs(address.sin_port));
	}
	listen(server->listener, 8);
	pthread_create(&server->thread, NULL, serve, server);
}

static int server_stop(struct server *server)
{
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
	if (server->held >= 0)
		close(server->held);
	return atomic_load(&server->served);
}

static struct net_client *client;
static struct arena *arena;
static struct net_response response;
static struct err_info info;

static enum err request(const struct net_request *wanted)
{
	arena_reset(arena);
	return net_request(client, wanted, arena, &response, &info);
}

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One:  a b \r\nConnection: close\r\n\r\nhello"

static void test_get_and_post(void **state)
{
	(void)state;
	struct server server;
	const char *answers[] = {OK_ANSWER, "HTTP/1.1 422 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"};
	server_start(&server, NULL, 2, answers);
	struct net_header headers[] = {{"Authorization", "Bearer k"}, {NULL, NULL}};
	struct net_request get = {.method = "GET", .url = server.url, .headers = headers};
	assert_int_equal(request(&get), ERR_OK);
	assert_int_equal(response.status, 200);
	assert_string_equal(response.body, "hello");
	assert_int_equal(response.body_size, 5);
	assert_string_equal(net_header_get(&response, "x-one"), "a b");
	assert_null(net_header_get(&response, "x-two"));
	struct net_request post = {
		.method = "POST", .url = server.url, .body = "{\"a\":1}", .body_size = 7, .attempts = 5};
	assert_int_equal(request(&post), ERR_OK);
	assert_int_equal(response.status, 422);
	assert_int_equal(server_stop(&server), 2);
	assert_memory_equal(server.requests[0], "GET /x?y=1 HTTP/1.1\r\n", 21);
	assert_non_null(strstr(server.requests[0], "Authorization: Bearer k\r\n"));
	assert_memory_equal(server.requests[1], "POST /x?y=1 HTTP/1.1\r\n", 22);
	assert_non_null(strstr(server.requests[1], "\r\n\r\n{\"a\":1}"));
	assert_null(strstr(server.requests[1], "Expect"));
}

static void test_limit(void **state)
{
	(void)state;
	struct server server;
	const char *answers[] = {OK_ANSWER, OK_ANSWER};
	server_start(&server, NULL, 2, answers);
	struct net_request get = {.method = "GET", .url = server.url, .answer_bytes_max = 4, .attempts = 3};
	assert_int_equal(request(&get), ERR_TOO_LARGE);
	get.answer_bytes_max = 5;
	assert_int_equal(request(&get), ERR_OK);
	assert_int_equal(server_stop(&server), 2); /* too large is not repeated */
}

static void test_repeats(void **state)
{
	(void)state;
	struct server server;
	const char *busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 0\r\nConnection: close\r\n\r\n";
	const char *answers[] = {busy, "", OK_ANSWER, busy, busy, busy, OK_ANSWER};
	server_start(&server, NULL, 7, answers);
	struct net_request get = {.method = "GET", .url = server.url, .attempts = 3};
	assert_int_equal(request(&get), ERR_OK); /* 503, broken off, answered */
	assert_int_equal(response.status, 200);
	assert_int_equal(response.attempts, 3);
	struct net_request post = {.method = "POST", .url = server.url, .attempts = 3};
	assert_int_equal(request(&post), ERR_OK); /* not repeated: it might happen twice */
	assert_int_equal(response.status, 503);
	post.repeatable = true;
	post.attempts = 2;
	assert_int_equal(request(&post), ERR_OK);
	assert_int_equal(response.status, 503);
	assert_int_equal(response.attempts, 2);
	assert_int_equal(request(&post), ERR_OK);
	assert_int_equal(response.status, 200);
	assert_int_equal(server_stop(&server), 7);
}

static void test_deadline(void **state)
{
	(void)state;
	struct server server;
	const char *answers[] = {NULL};
	server_start(&server, NULL, 1, answers);
	struct net_request get = {
		.method = "GET", .url = server.url, .deadline_us = clock_monotonic_us() + 200000, .attempts = 9};
	int64_t before = clock_monotonic_us();
	assert_int_equal(request(&get), ERR_DEADLINE);
	assert_true(clock_monotonic_us() - before < 30 * CLOCK_US_PER_SECOND);
	assert_int_equal(server_stop(&server), 1);
}

static void test_unreachable(void **state)
{
	(void)state;
	struct net_request get = {.method = "GET", .url = "http://127.0.0.1:1/"};
	assert_int_equal(request(&get), ERR_NET_UNREACHABLE);
	static const char *const bad[] = {"", "file:///etc/passwd", "ftp://127.0.0.1/", "127.0.0.1:80/x y"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		get.url = bad[i];
		assert_int_equal(request(&get), ERR_INVALID_FIELD);
	}
}

static void test_allowed_hosts(void **state)
{
	(void)state;
	struct server server;
	const char *answers[] = {OK_ANSWER};
	server_start(&server, NULL, 1, answers);
	static const char *const local[] = {"*.example.com", "127.0.0.1", NULL}, *const example[] = {
											 "*.example.com", NULL};
	struct net_request get = {.method = "GET", .url = server.url, .allow = local};
	assert_int_equal(request(&get), ERR_OK);
	get.allow = example;
	static const char *const refused[] = {"http://example.com/", "http://badexample.com/",
		"http://a.example.com.evil.net/", "http://a.example.com@127.0.0.1:1/"};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		get.url = refused[i];
		assert_int_equal(request(&get), ERR_NET_NOT_ALLOWED);
	}
	assert_int_equal(server_stop(&server), 1);
}

static enum err collect(void *context, const void *data, size_t size)
{
	strncat(context, data, size);
	return strcmp(context, "stop!") == 0 ? ERR_NO_SPACE : ERR_OK;
}

static void test_sink(void **state)
{
	(void)state;
	struct server server;
	const char *answers[] = {OK_ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nstop!",
		"HTTP/1.1 404 No\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwhat"};
	server_start(&server, NULL, 3, answers);
	char text[16] = "";
	struct net_request get = {.method = "GET", .url = server.url, .sink = collect, .context = text, .attempts = 3};
	assert_int_equal(request(&get), ERR_OK);
	assert_string_equal(text, "hello");
	assert_int_equal(response.body_size, 0);
	text[0] = 0;
	assert_int_equal(request(&get), ERR_NO_SPACE);
	text[0] = 0;
	assert_int_equal(request(&get), ERR_OK); /* a refusal is kept, not sunk */
	assert_string_equal(text, "");
	assert_string_equal(response.body, "what");
	assert_int_equal(server_stop(&server), 3);

	/* a download that breaks off is not begun again behind what was given out */
	const char *broken[] = {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhello", OK_ANSWER};
	server_start(&server, NULL, 2, broken);
	get.url = server.url;
	text[0] = 0;
	assert_int_equal(request(&get), ERR_NET_BROKEN);
	assert_string_equal(text, "hello");
	assert_int_equal(server_stop(&server), 1);
}

static void test_unix_socket(void **state)
{
	(void)state;
	struct server server;
	char path[] = "/tmp/carbond-net.XXXXXX";
	close(mkstemp(path));
	unlink(path);
	const char *answers[] = {OK_ANSWER};
	server_start(&server, path, 1, answers);
	struct net_request get = {.method = "GET", .url = server.url, .unix_socket = path};
	assert_int_equal(request(&get), ERR_OK);
	assert_string_equal(response.body, "hello");
	assert_int_equal(server_stop(&server), 1);
	unlink(path);
}

static int start(void **state)
{
	(void)state;
	setenv("no_proxy", "*", 1);
	arena = arena_new(0);
	if (net_start() != ERR_OK)
		return 1;
	client = net_client_new();
	return client ? 0 : 1;
}

static int stop(void **state)
{
	(void)state;
	net_client_free(&client);
	net_stop();
	arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_get_and_post), cmocka_unit_test(test_limit),
		cmocka_unit_test(test_repeats), cmocka_unit_test(test_deadline), cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_allowed_hosts), cmocka_unit_test(test_sink), cmocka_unit_test(test_unix_socket)};
	return cmocka_run_group_tests(tests, start, stop);
}
