/* A real redis-server for one test: on a free port below 32768 and a unix socket, in a folder of its own, ended by its pid. */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

#include <assert.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "carbond/base/clock.h"
#include "carbond/base/seal.h"
#include "carbond/cache.h"
#include "carbond/runtime.h"

#define SERVER_WAIT_US (30 * CLOCK_US_PER_SECOND)

struct server {
	char folder[64], uri[96], unix_uri[96], password[64];
	uint16_t port;
	pid_t pid;
};

static const struct seal_key server_key = {.number = 1, .bytes = {7, 7, 7}};

/* Waits until `condition(context)`, or fails the test by assert after 30 s. */
static inline void wait_until(bool (*condition)(void *context), void *context)
{
	int64_t deadline_us = clock_monotonic_us() + SERVER_WAIT_US;
	while (!condition(context)) {
		assert(clock_monotonic_us() < deadline_us);
		poll(NULL, 0, 5);
	}
}

/* A socket that listens on a free port below 32768. */
static inline int server_free_port(uint16_t *ret_port)
{
	for (unsigned i = 0; i < 10000; i++) {
		*ret_port = (uint16_t)(20000 +
				       ((unsigned)getpid() * 131 + i * 17 + (unsigned)clock_monotonic_us()) % 12000);
		struct sockaddr_in address = {
			.sin_family = AF_INET, .sin_port = htons(*ret_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 64) == 0)
			return fd;
		close(fd);
	}
	assert(!"no free port");
	return -1;
}

static inline int server_connect(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The answer's first bytes to an inline command; "" when there is none. */
static inline const char *server_say(const struct server *server, const char *command)
{
	static char answer[4096];
	int fd = server_connect(server->port);
	ssize_t size = -1;
	if (fd >= 0 && dprintf(fd, "%s\r\n", command) > 0)
		size = recv(fd, answer, sizeof answer - 1, 0);
	close(fd);
	answer[size > 0 ? size : 0] = 0;
	return answer;
}

static inline bool server_answers(void *context)
{
	const char *answer = server_say(context, "PING");
	return strncmp(answer, "+PONG", 5) == 0 || strncmp(answer, "-NOAUTH", 7) == 0;
}

/* Starts it, with the folder, port and password that it has. */
static inline void server_start(struct server *server)
{
	server->pid = fork();
	assert(server->pid >= 0);
	if (server->pid == 0) {
		char path[128], port[8];
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is cut short leaves no server behind */
		snprintf(path, sizeof path, "%s/log", server->folder);
		int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		snprintf(path, sizeof path, "%s/socket", server->folder);
		snprintf(port, sizeof port, "%u", server->port);
		execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket", path,
			"--save", "", "--appendonly", "no", "--dir", server->folder, "--requirepass", server->password,
			(char *)NULL);
		_exit(127);
	}
	wait_until(server_answers, server);
}

static inline void server_new(struct server *server, const char *password)
{
	*server = (struct server){0};
	close(server_free_port(&server->port));
	snprintf(server->folder, sizeof server->folder, "/tmp/carbond-redis-XXXXXX");
	assert(mkdtemp(server->folder));
	snprintf(server->password, sizeof server->password, "%s", password);
	snprintf(server->uri, sizeof server->uri, "redis://127.0.0.1:%u/0", server->port);
	snprintf(server->unix_uri, sizeof server->unix_uri, "redis+unix://%s/socket?db=3", server->folder);
	server_start(server);
}

static inline void server_end(struct server *server, int how)
{
	int status;
	kill(server->pid, how);
	assert(waitpid(server->pid, &status, 0) == server->pid);
	server->pid = 0;
}

static inline void server_free(struct server *server)
{
	char command[128];
	if (server->pid)
		server_end(server, SIGKILL);
	snprintf(command, sizeof command, "rm -rf %s", server->folder);
	assert(system(command) == 0);
}

static inline bool connections_are(void *context)
{
	return metric_value(METRIC_CACHE_REDIS_CONNECTIONS) == *(const int *)context;
}

/* Until so many links and listeners work, of all caches of this program. */
static inline void wait_connections(int count)
{
	wait_until(connections_are, &count);
}

#endif
