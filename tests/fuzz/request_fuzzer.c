/* room: http */
/* Bytes on a connection of a live listener: it answers or ends the connection, every answer is one of HTTP/1.1 with a known
 * status, and what stands behind a refused head is never run. The listener lives through all inputs. */
#include <assert.h>
#include <errno.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct thing {
	const char *name;
	int64_t kg;
};

static const struct field thing_fields[] = {FIELD(struct thing, name, FIELD_TEXT, .flags = FIELD_REQUIRED, .max = 20),
	FIELD(struct thing, kg, FIELD_INT, .min = 1, .max = 9), FIELD_END};

static enum err answer_thing(struct http_request *request, struct err_info *info)
{
	const struct thing *thing = http_body(request);
	size_t size = 0;
	(void)info;
	if (thing)
		return http_answer_row(request, thing_fields, thing, 1);
	http_body_text(request, &size);
	return http_answer_text(request, "text/plain", "fine", 4);
}

static const char *const any_text[] = {"text/plain", NULL};
static const struct http_route routes[] = {
	HTTP_ROUTE(HTTP_GET, "/things/{name}", "public", .flags = HTTP_PUBLIC | HTTP_PAGED, .cost = 1, .success = 200,
		.handler = answer_thing, .operation = "things.get", .doc = "A thing"),
	HTTP_ROUTE(HTTP_POST, "/text", "public", .flags = HTTP_PUBLIC, .cost = 1, .success = 200, .media = any_text,
		.body_bytes_max = 64, .handler = answer_thing, .operation = "text.create", .doc = "Text"),
	HTTP_ROUTE(HTTP_POST, "/things", "public", .flags = HTTP_PUBLIC, .cost = 1, .success = 201,
		.body_bytes_max = 4096, .request = thing_fields, .request_size = sizeof(struct thing),
		.response = thing_fields, .handler = answer_thing, .operation = "things.create", .doc = "A new thing"),
	{.path = NULL}};
static const struct http_route *const tables[] = {routes, NULL};

static bool known_status(int status)
{
	static const int known[] = {100, 200, 201, 204, 304, 400, 404, 405, 406, 408, 412, 413, 414, 415, 422, 428, 431,
		500, 501, 503, 505};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (known[i] == status)
			return true;
	}
	return false;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct linger linger = {.l_onoff = 1}; /* no TIME_WAIT for each input */
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert(sock >= 0 && setsockopt(sock, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
	int failed = connect(sock, (struct sockaddr *)&address, sizeof address);
	assert(failed == 0 || errno == EISCONN || errno == EINTR);
	return sock;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_server *server;
	static char answer[1 << 18];
	if (!server) {
		struct err_info info;
		const struct http_options options = {.address = "127.0.0.1",
			.threads = 1,
			.workers = 1,
			.tables = tables,
			.header_deadline_us = 40000,
			.body_deadline_us = 40000,
			.idle_deadline_us = 40000};
		log_set_level(LOG_LEVEL_ERROR);
		assert(http_server_start(&options, &server, &info) == ERR_OK);
	}
	int sock = connect_to(http_server_port(server));
	for (size_t sent = 0; sent < size;) {
		ssize_t more = send(sock, data + sent, size - sent, MSG_NOSIGNAL);
		if (more < 0 && errno == EINTR)
			continue;
		if (more <= 0)
			break;
		sent += (size_t)more;
	}
	shutdown(sock, SHUT_WR);
	size_t got = 0;
	for (;;) {
		struct pollfd ready = {.fd = sock, .events = POLLIN};
		int there = poll(&ready, 1, 30000);
		if (there < 0 && errno == EINTR) /* libFuzzer's own clock */
			continue;
		assert(there == 1); /* an end comes: no connection hangs */
		ssize_t more = recv(sock, answer + got, sizeof answer - 1 - got, MSG_DONTWAIT);
		if (more < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (more <= 0 || (got += (size_t)more) == sizeof answer - 1)
			break;
	}
	answer[got] = '\0';
	close(sock);
	int status = 0;
	assert(got == 0 || (sscanf(answer, "HTTP/1.1 %d ", &status) == 1 && known_status(status)));
	if (status == 400)
		assert(!strstr(answer + 12, "HTTP/1.1 2"));
	return 0;
}
