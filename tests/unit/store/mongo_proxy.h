/* A relay between the store and its MongoDB server that fails as told: it cuts a connection before the server has the request or after it
 * has answered, holds an answer back, or swallows it. Each connection has a thread; what is told holds for the next message. */
#ifndef STORE_MONGO_PROXY_H
#define STORE_MONGO_PROXY_H

#include <netinet/tcp.h>
#include <poll.h>

#include "mongo_places.h"

enum proxy_fault {
	PROXY_NONE,
	PROXY_CUT_REQUEST, /* the server never sees it */
	PROXY_CUT_ANSWER,  /* the server has done it, and nobody hears of it */
	PROXY_DELAY,       /* the answer comes late */
	PROXY_SWALLOW,     /* the answer never comes, and the connection stays */
	PROXY_CUT_OFF, /* as PROXY_CUT_ANSWER, and then each write and find as PROXY_CUT_REQUEST until `off` is false */
};

struct proxy {
	int listener, port, server_port;
	pthread_t thread;
	atomic_int fault; /* for the next message of any connection that writes */
	atomic_int done;  /* so many faults have struck */
	atomic_bool off, stop;
};

struct proxy_link {
	struct proxy *proxy;
	int client;
};

static inline bool proxy_all(int from, void *data, size_t size)
{
	return recv(from, data, size, MSG_WAITALL) == (ssize_t)size;
}

static inline bool proxy_send(int to, const uint8_t *data, size_t size)
{
	for (size_t sent = 0; sent < size;) {
		ssize_t now = send(to, data + sent, size - sent, MSG_NOSIGNAL);
		if (now <= 0)
			return false;
		sent += (size_t)now;
	}
	return true;
}

/* One message of the wire protocol; freed by the caller. NULL: the connection has ended. */
static inline uint8_t *proxy_message(int from, size_t *ret_size)
{
	uint8_t length[4];
	if (!proxy_all(from, length, sizeof length))
		return NULL;
	size_t size = (size_t)length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
	uint8_t *message = size >= 16 && size <= 48000000 ? malloc(size) : NULL;
	if (message && proxy_all(from, message + 4, size - 4)) {
		memcpy(message, length, 4);
		*ret_size = size;
		return message;
	}
	free(message);
	return NULL;
}

/* The first name of the body: header, flags, kind, size, type. */
static inline bool proxy_is(const uint8_t *message, size_t size, const char *verb)
{
	return size >= 32 && strncmp((const char *)message + 26, verb, size - 26) == 0;
}

static inline bool proxy_is_write(const uint8_t *message, size_t size)
{
	static const char *const verbs[] = {"insert", "update", "delete", "findAndModify", "commitTransaction"};
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (proxy_is(message, size, verbs[i]))
			return true;
	return false;
}

static inline int proxy_connect(int port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

/* One request and its answer; false ends the connection. Answers come one a request: the store uses no exhaust cursors, and the driver's
 * monitor, which does, is not relayed by this but by the plain copying below. */
static inline bool proxy_exchange(struct proxy *proxy, int client, int server)
{
	size_t size = 0, answer_size = 0;
	uint8_t *request = proxy_message(client, &size), *answer = NULL;
	bool goes_on = false;
	if (!request)
		return false;
	bool writes = proxy_is_write(request, size);
	int fault = writes ? atomic_exchange(&proxy->fault, PROXY_NONE) : PROXY_NONE;
	if (atomic_load(&proxy->off) && (writes || proxy_is(request, size, "find")))
		fault = PROXY_CUT_REQUEST;
	if (fault == PROXY_CUT_OFF)
		atomic_store(&proxy->off, true);
	if (fault != PROXY_CUT_REQUEST && proxy_send(server, request, size))
		answer = proxy_message(server, &answer_size);
	atomic_fetch_add(&proxy->done, fault != PROXY_NONE);
	if (answer && fault == PROXY_DELAY)
		nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
	if (answer && fault == PROXY_SWALLOW)
		goes_on = true;
	else if (answer && fault != PROXY_CUT_ANSWER && fault != PROXY_CUT_OFF)
		goes_on = proxy_send(client, answer, answer_size);
	free(request);
	free(answer);
	return goes_on;
}

/* Copies whatever comes from either side: a connection that streams, as the driver's monitor. */
static inline void *proxy_link_run(void *argument)
{
	struct proxy_link link = *(struct proxy_link *)argument;
	free(argument);
	int on = 1, server = proxy_connect(link.proxy->server_port);
	setsockopt(link.client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	while (server >= 0 && !atomic_load(&link.proxy->stop)) {
		struct pollfd ends[2] = {{.fd = link.client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
		if (poll(ends, 2, 100) < 0)
			break;
		if (ends[1].revents) { /* unasked: the next of a stream, or the end */
			size_t size = 0;
			uint8_t *message = proxy_message(server, &size);
			bool sent = message && proxy_send(link.client, message, size);
			free(message);
			if (!sent)
				break;
		} else if (ends[0].revents && !proxy_exchange(link.proxy, link.client, server)) {
			break;
		}
	}
	if (server >= 0)
		close(server);
	close(link.client);
	return NULL;
}

static inline void *proxy_run(void *argument)
{
	struct proxy *proxy = argument;
	while (!atomic_load(&proxy->stop)) {
		struct pollfd end = {.fd = proxy->listener, .events = POLLIN};
		int client = poll(&end, 1, 100) > 0 ? accept(proxy->listener, NULL, NULL) : -1;
		pthread_t thread;
		struct proxy_link *link = client >= 0 ? malloc(sizeof *link) : NULL;
		if (!link)
			continue;
		*link = (struct proxy_link){.proxy = proxy, .client = client};
		if (pthread_create(&thread, NULL, proxy_link_run, link) == 0)
			pthread_detach(thread);
	}
	return NULL;
}

static inline void proxy_start(struct proxy *proxy, int server_port)
{
	*proxy = (struct proxy){.server_port = server_port, .port = free_port()};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)proxy->port)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(proxy->listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(proxy->listener, 64), 0);
	assert_int_equal(pthread_create(&proxy->thread, NULL, proxy_run, proxy), 0);
}

/* The links end by themselves within their poll; `proxy` stays for them. */
static inline void proxy_stop(struct proxy *proxy)
{
	atomic_store(&proxy->stop, true);
	pthread_join(proxy->thread, NULL);
	close(proxy->listener);
}

#endif
