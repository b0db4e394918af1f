/* room: base. Posts bodies of readings over keep-alive connections as fast as the server answers 2xx, one body in flight a
 * connection, and says how long that took: the client of readings_bench.py, for carbond and for what it is compared with.
 *
 *	ingest_bench PORT TARGET KEY CONNECTIONS FILE
 * FILE: bodies one after the other, each behind its size and the number of its readings (uint32 LE both). KEY may be empty.
 * Output: readings, seconds and the client's own processor seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BODIES_MAX      100000
#define CONNECTIONS_MAX 64
#define ANSWER_BYTES    (4u << 20)

struct body {
	const char *text;
	uint32_t size, readings;
};

static struct body bodies[BODIES_MAX];
static size_t body_count;
static atomic_size_t next_body;
static const char *port, *target, *key;

static void give_up(const char *what)
{
	fprintf(stderr, "ingest_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double seconds(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void bodies_read(const char *path)
{
	struct stat about;
	FILE *file = fopen(path, "rb");
	if (!file || fstat(fileno(file), &about))
		give_up(path);
	size_t size = (size_t)about.st_size;
	char *text = malloc(size);
	if (!text || fread(text, 1, size, file) != size)
		give_up(path);
	fclose(file);
	for (size_t at = 0; at + 8 <= size && body_count < BODIES_MAX; body_count++) {
		struct body *body = &bodies[body_count];
		memcpy(&body->size, text + at, 4);
		memcpy(&body->readings, text + at + 4, 4);
		body->text = text + at + 8;
		at += 8 + body->size;
		if (at > size)
			give_up("the file is cut short");
	}
}

static void send_all(int connection, const char *head, const struct body *body)
{
	struct iovec parts[2] = {{(void *)(uintptr_t)head, strlen(head)}, {(void *)(uintptr_t)body->text, body->size}};
	struct iovec *part = parts;
	int count = 2;
	while (count > 0) {
		ssize_t sent = writev(connection, part, count);
		if (sent <= 0)
			give_up("sending");
		while (count > 0 && (size_t)sent >= part->iov_len) {
			sent -= (ssize_t)part->iov_len;
			part++;
			count--;
		}
		if (count > 0) {
			part->iov_base = (char *)part->iov_base + sent;
			part->iov_len -= (size_t)sent;
		}
	}
}

/* One whole answer; it must be a 2xx. */
static void answer_take(int connection, char *answer)
{
	size_t got = 0, expected = 0;
	while (expected == 0 || got < expected) {
		ssize_t size = recv(connection, answer + got, ANSWER_BYTES - 1 - got, 0);
		if (size <= 0)
			give_up("receiving");
		got += (size_t)size;
		answer[got] = 0;
		char *end = expected ? NULL : strstr(answer, "\r\n\r\n");
		if (!end)
			continue;
		char *length = strcasestr(answer, "Content-Length: ");
		expected = (size_t)(end + 4 - answer) + (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
	}
	if (strncmp(answer, "HTTP/1.1 2", 10) == 0)
		return;
	fprintf(stderr, "ingest_bench: %.2000s\n", answer);
	exit(1);
}

static void *post(void *unused)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	char head[1024], *answer = malloc(ANSWER_BYTES);
	(void)unused;
	if (!answer || connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address))
		give_up("connecting");
	setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	for (size_t i; (i = atomic_fetch_add(&next_body, 1)) < body_count;) {
		snprintf(head, sizeof head,
			"POST %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Type: application/json\r\n%s%s%s"
			"Content-Length: %u\r\n\r\n",
			target, port, *key ? "Authorization: Bearer " : "", key, *key ? "\r\n" : "", bodies[i].size);
		send_all(connection, head, &bodies[i]);
		answer_take(connection, answer);
	}
	close(connection);
	free(answer);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[CONNECTIONS_MAX];
	size_t readings = 0;
	if (argc != 6)
		return 2;
	port = argv[1];
	target = argv[2];
	key = argv[3];
	int connections = atoi(argv[4]);
	if (connections < 1 || connections > CONNECTIONS_MAX)
		return 2;
	bodies_read(argv[5]);
	double begin = seconds(CLOCK_MONOTONIC);
	for (int i = 0; i < connections; i++)
		if (pthread_create(&threads[i], NULL, post, NULL))
			give_up("a thread");
	for (int i = 0; i < connections; i++)
		pthread_join(threads[i], NULL);
	double took = seconds(CLOCK_MONOTONIC) - begin;
	for (size_t i = 0; i < body_count; i++)
		readings += bodies[i].readings;
	printf("%zu %.6f %.6f\n", readings, took, seconds(CLOCK_PROCESS_CPUTIME_ID));
	return 0;
}
