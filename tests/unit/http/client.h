/* A client that sends bytes as they are and reads what comes, for the tests of room http. */
#ifndef HTTP_TEST_CLIENT_H
#define HTTP_TEST_CLIENT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "carbond/http.h"

#define PATIENCE_MS 30000

/* Named in the message when nothing comes. */
static const char *client_doing = "a request";

struct response {
	int status;
	char head[8192];
	char *body;
	size_t body_size;
	size_t total; /* bytes received */
};

static inline int client_open(uint16_t port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int sock = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(sock >= 0);
	assert_int_equal(connect(sock, (struct sockaddr *)&to, sizeof to), 0);
	return sock;
}

/* False once the peer has closed. */
static inline bool client_send(int sock, const void *data, size_t size)
{
	const char *at = data;
	while (size > 0) {
		ssize_t sent = send(sock, at, size, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		at += sent;
		size -= (size_t)sent;
	}
	return true;
}

/* One read with patience; 0 at the end of the stream. */
static inline size_t client_read(int sock, char *buffer, size_t size)
{
	struct pollfd wait = {.fd = sock, .events = POLLIN};
	if (poll(&wait, 1, PATIENCE_MS) != 1)
		fail_msg("%s: no bytes came", client_doing);
	ssize_t got = recv(sock, buffer, size, 0);
	return got > 0 ? (size_t)got : 0;
}

static inline bool client_at_end(int sock)
{
	char byte;
	return client_read(sock, &byte, 1) == 0;
}

static inline const char *header_of(const struct response *response, const char *name)
{
	static _Thread_local char value[1024];
	char search[128];
	snprintf(search, sizeof search, "\r\n%s: ", name);
	const char *at = strcasestr(response->head, search);
	if (!at)
		return NULL;
	at += strlen(search);
	snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
	return value;
}

/* Reads one response: by Content-Length, by chunks, or to the end of the stream. Its body is the caller's to free. */
static inline struct response client_receive(int sock, bool head_only)
{
	struct response response = {0};
	size_t capacity = 1 << 16, size = 0;
	char *all = malloc(capacity + 1), *end = NULL;
	assert_non_null(all);
	while (!end) {
		size_t got = client_read(sock, all + size, capacity - size);
		if (got == 0)
			break;
		size += got;
		all[size] = 0;
		end = strstr(all, "\r\n\r\n");
	}
	response.total = size;
	if (!end) {
		free(all);
		return response;
	}
	size_t head = (size_t)(end - all) + 4;
	snprintf(response.head, sizeof response.head, "%.*s", (int)head, all);
	response.status = atoi(all + 9);
	const char *length = header_of(&response, "Content-Length");
	size_t wanted = length ? strtoul(length, NULL, 10) : SIZE_MAX;
	bool none = head_only || response.status == 204 || response.status == 304;
	bool chunked = header_of(&response, "Transfer-Encoding") != NULL;
	if (none)
		wanted = 0;
	while (wanted == SIZE_MAX ? !(chunked && size >= head + 5 && memcmp(all + size - 5, "0\r\n\r\n", 5) == 0)
				  : size < head + wanted) {
		if (size == capacity) {
			capacity *= 2;
			all = realloc(all, capacity + 1);
			assert_non_null(all);
		}
		size_t got = client_read(sock, all + size, capacity - size);
		if (got == 0)
			break;
		size += got;
	}
	response.body = calloc(1, size - head + 1);
	char *out = response.body, *at = all + head;
	if (chunked && !none) {
		for (unsigned long chunk; (chunk = strtoul(at, &at, 16)) > 0; at += chunk + 2) {
			memcpy(out, at + 2, chunk);
			at += 2;
			out += chunk;
		}
		response.body_size = (size_t)(out - response.body);
	} else {
		response.body_size = size - head;
		memcpy(out, at, response.body_size);
	}
	free(all);
	response.total = size;
	return response;
}

/* A request on a connection of its own. */
static inline struct response client_ask(uint16_t port, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	va_start(arguments, format);
	int size = vasprintf(&text, format, arguments);
	va_end(arguments);
	int sock = client_open(port);
	client_send(sock, text, (size_t)size);
	struct response response = client_receive(sock, strncmp(text, "HEAD", 4) == 0);
	free(text);
	close(sock);
	return response;
}

static inline void response_free(struct response *response)
{
	free(response->body);
	response->body = NULL;
}

/* The status of a request, for tables. */
static inline int client_status(uint16_t port, const char *text)
{
	struct response response = client_ask(port, "%s", text);
	int status = response.status;
	response_free(&response);
	return status;
}

#endif
