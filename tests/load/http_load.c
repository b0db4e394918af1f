/* A load of HTTP requests for the tests: as many connections as asked for, each sends one of the given bodies, waits for the
 * whole answer and goes on, for so many seconds. Every request is accounted for: by status, or as refused without
 * Retry-After, cut (the connection ended before an answer) or silent (no answer within the patience). One thread.
 *
 *	http_load PORT KEY PATH CONNECTIONS SECONDS BODY_FILE …     prints one JSON object */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_BYTES (64u << 10)
#define PATIENCE_US  INT64_C(30000000)
#define BODIES_MAX   64

struct request {
	char *bytes;
	size_t size;
};

struct peer {
	int fd; /* -1: closed */
	const struct request *request;
	size_t sent, got;
	int64_t began_us;
	bool open; /* a request has no answer yet */
	char answer[ANSWER_BYTES];
};

static struct request requests[BODIES_MAX];
static size_t request_count, next_request;
static uint16_t port;
static int epoll;
static bool over; /* no new request */
static int64_t by_status[600], cut, silent, without_retry_after, asked, open_count, slowest_us;

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void fail(const char *what)
{
	fprintf(stderr, "http_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void load_request(const char *path, const char *target, const char *key)
{
	FILE *file = fopen(path, "re");
	char *body = NULL;
	size_t size = 0;
	if (!file || getdelim(&body, &size, EOF, file) < 0)
		fail(path);
	fclose(file);
	struct request *request = &requests[request_count++];
	int length = asprintf(&request->bytes,
		"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		target, key, strlen(body), body);
	if (length < 0)
		fail("memory");
	request->size = (size_t)length;
	free(body);
}

static void watch(struct peer *peer, uint32_t events, int how)
{
	struct epoll_event event = {.events = events, .data.ptr = peer};
	if (epoll_ctl(epoll, how, peer->fd, &event) != 0)
		fail("epoll_ctl");
}

static void open_peer(struct peer *peer)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (peer->fd < 0)
		fail("socket");
	if (connect(peer->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)
		fail("connect");
	watch(peer, EPOLLOUT, EPOLL_CTL_ADD);
}

static void begin(struct peer *peer)
{
	if (over)
		return;
	if (peer->fd < 0)
		open_peer(peer);
	else
		watch(peer, EPOLLOUT, EPOLL_CTL_MOD);
	peer->request = &requests[next_request++ % request_count];
	peer->sent = peer->got = 0;
	peer->began_us = now_us();
	peer->open = true;
	asked++;
	open_count++;
}

static void finish(struct peer *peer, bool keep)
{
	int64_t took_us = now_us() - peer->began_us;
	slowest_us = took_us > slowest_us ? took_us : slowest_us;
	peer->open = false;
	open_count--;
	if (!keep) {
		close(peer->fd);
		peer->fd = -1;
	}
	begin(peer);
}

/* Whether the whole answer is there; its head is judged. */
static bool judged(struct peer *peer, bool *ret_keep)
{
	peer->answer[peer->got] = '\0';
	const char *end = strstr(peer->answer, "\r\n\r\n");
	const char *length = end ? strcasestr(peer->answer, "\r\nContent-Length:") : NULL;
	if (!end)
		return false;
	size_t wanted =
		(size_t)(end + 4 - peer->answer) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
	if (peer->got < wanted && wanted < ANSWER_BYTES)
		return false;
	int status = atoi(peer->answer + 9);
	by_status[status > 0 && status < 600 ? status : 0]++;
	const char *retry = strcasestr(peer->answer, "\r\nRetry-After:"),
		   *closing = strcasestr(peer->answer, "\r\nConnection: close");
	without_retry_after += (status == 429 || status == 503) && !(retry && retry < end);
	*ret_keep = wanted < ANSWER_BYTES && !(closing && closing < end);
	return true;
}

static void receive(struct peer *peer)
{
	bool keep = false;
	for (;;) {
		ssize_t got = recv(peer->fd, peer->answer + peer->got, ANSWER_BYTES - 1 - peer->got, 0);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0) {
			cut++;
			finish(peer, false);
			return;
		}
		peer->got += (size_t)got;
		if (judged(peer, &keep)) {
			/* an answer before the body was read whole (401, 413) ends the connection */
			finish(peer, keep && peer->sent == peer->request->size);
			return;
		}
	}
}

static void transmit(struct peer *peer)
{
	while (peer->sent < peer->request->size) {
		ssize_t sent = send(
			peer->fd, peer->request->bytes + peer->sent, peer->request->size - peer->sent, MSG_NOSIGNAL);
		if (sent < 0)
			break; /* full, or refused: then the answer is there, or the end */
		peer->sent += (size_t)sent;
	}
	watch(peer, EPOLLIN | (peer->sent < peer->request->size ? EPOLLOUT : 0), EPOLL_CTL_MOD);
}

static void look(struct peer *peers, size_t count)
{
	int64_t limit_us = now_us() - PATIENCE_US;
	for (size_t i = 0; i < count; i++) {
		if (!peers[i].open || peers[i].began_us > limit_us)
			continue;
		silent++;
		finish(&peers[i], false);
	}
}

int main(int argc, char **argv)
{
	if (argc < 7 || argc > 6 + BODIES_MAX)
		return 2;
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	port = (uint16_t)atoi(argv[1]);
	size_t count = strtoul(argv[4], NULL, 10);
	int64_t began_us = now_us(), end_us = began_us + (int64_t)(atof(argv[5]) * 1e6), looked_us = began_us;
	for (int i = 6; i < argc; i++)
		load_request(argv[i], argv[3], argv[2]);
	struct peer *peers = calloc(count, sizeof *peers);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!peers || epoll < 0)
		fail("start");
	for (size_t i = 0; i < count; i++) {
		peers[i].fd = -1;
		begin(&peers[i]);
	}
	while (open_count > 0) {
		struct epoll_event events[256];
		int ready = epoll_wait(epoll, events, 256, 100);
		over = now_us() >= end_us;
		for (int i = 0; i < ready; i++) {
			struct peer *peer = events[i].data.ptr;
			if (events[i].events & EPOLLIN || events[i].events & (EPOLLERR | EPOLLHUP)) {
				if (peer->open)
					receive(peer);
			} else if (peer->open) {
				transmit(peer);
			}
		}
		if (now_us() - looked_us > 1000000) {
			look(peers, count);
			looked_us = now_us();
		}
	}
	printf("{\"asked\": %lld, \"cut\": %lld, \"silent\": %lld, \"without_retry_after\": %lld, \"slowest_s\": %.3f, "
	       "\"seconds\": %.3f",
		(long long)asked, (long long)cut, (long long)silent, (long long)without_retry_after,
		(double)slowest_us / 1e6, (double)(now_us() - began_us) / 1e6);
	for (int i = 0; i < 600; i++)
		if (by_status[i])
			printf(", \"%d\": %lld", i, (long long)by_status[i]);
	puts("}");
	return 0;
}
