/* A real mosquitto for one test: on a free port below 32768, in a folder of its own, ended by its pid. */
#ifndef TEST_BROKER_H
#define TEST_BROKER_H

#include <assert.h>
#include <arpa/inet.h>
#include <errno.h>
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
#include "carbond/mqtt.h"

#define BROKER_WAIT_US (30 * CLOCK_US_PER_SECOND)

struct broker {
	char folder[64];
	uint16_t port;
	pid_t pid;
	char extra[1024]; /* further lines of its configuration */
};

/* Waits until `condition(context)`, or fails the test by assert after 30 s. */
static inline void wait_until(bool (*condition)(void *context), void *context)
{
	int64_t deadline_us = clock_monotonic_us() + BROKER_WAIT_US;
	while (!condition(context)) {
		assert(clock_monotonic_us() < deadline_us);
		poll(NULL, 0, 5);
	}
}

static inline int broker_connect(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline uint16_t broker_free_port(void)
{
	for (unsigned i = 0; i < 10000; i++) {
		uint16_t port =
			(uint16_t)(20000 +
				   ((unsigned)getpid() * 131 + i * 17 + (unsigned)clock_monotonic_us()) % 12000);
		struct sockaddr_in address = {
			.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		bool is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
		close(fd);
		if (is_free)
			return port;
	}
	assert(!"no free port");
	return 0;
}

static inline bool broker_listens(void *context)
{
	struct broker *broker = context;
	int fd = broker_connect(broker->port);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* Starts it with the folder, port and extra lines that it has. */
static inline void broker_start(struct broker *broker)
{
	char path[128];
	snprintf(path, sizeof path, "%s/mosquitto.conf", broker->folder);
	FILE *file = fopen(path, "w");
	assert(file);
	/* as config/mosquitto.conf ships it */
	fprintf(file,
		"persistence true\npersistence_location %s/\nmax_queued_messages 0\nmax_inflight_messages 1000\n"
		"listener %u 127.0.0.1\n%s\n%s",
		broker->folder, broker->port, strstr(broker->extra, "allow_anonymous") ? "" : "allow_anonymous true",
		broker->extra);
	if (geteuid() == 0)
		fprintf(file, "user root\n");
	fclose(file);
	broker->pid = fork();
	assert(broker->pid >= 0);
	if (broker->pid == 0) {
		char log[128];
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is cut short leaves no broker behind */
		snprintf(log, sizeof log, "%s/log", broker->folder);
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		execl("/usr/sbin/mosquitto", "mosquitto", "-v", "-c", path, (char *)NULL);
		execlp("mosquitto", "mosquitto", "-v", "-c", path, (char *)NULL);
		_exit(127);
	}
	wait_until(broker_listens, broker);
}

static inline void broker_new(struct broker *broker, const char *extra)
{
	*broker = (struct broker){.port = broker_free_port()};
	snprintf(broker->folder, sizeof broker->folder, "/tmp/carbond-mqtt-XXXXXX");
	assert(mkdtemp(broker->folder));
	snprintf(broker->extra, sizeof broker->extra, "%s", extra ? extra : "");
}

static inline void broker_stop(struct broker *broker)
{
	int status;
	kill(broker->pid, SIGTERM);
	assert(waitpid(broker->pid, &status, 0) == broker->pid);
	broker->pid = 0;
}

static inline void broker_free(struct broker *broker)
{
	char command[128];
	if (broker->pid)
		broker_stop(broker);
	snprintf(command, sizeof command, "rm -rf %s", broker->folder);
	assert(system(command) == 0);
}

static inline struct mqtt_broker broker_address(const struct broker *broker)
{
	return (struct mqtt_broker){.host = "127.0.0.1", .port = broker->port};
}

#endif
