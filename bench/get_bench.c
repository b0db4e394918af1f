/* room: http. Keep-alive requests a second of a running daemon beside libmicrohttpd's own hello in the same configuration
 * (epoll, a pool of as many threads), and beside the same hello that says the daemon's bytes and headers, by one client over
 * loopback, in alternating rounds; and the processor time that each server spends on a request, which what else the machine
 * does disturbs less.
 *
 *	get_bench PORT PID PATH KEY THREADS	(get_bench.py starts the daemon and runs it)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

#define CONNECTIONS  32
#define ROUNDS       24
#define ROUND_S      0.4
#define ANSWER_BYTES 16384

struct server {
	const char *name;
	uint16_t port;
	pid_t pid;
	char request[1024];
	size_t request_size;
	double rates[ROUNDS], cpu_us[ROUNDS];
};

struct connection {
	int socket;
	size_t got, expected; /* of the answer under way; expected 0: its head is not yet there */
	char answer[ANSWER_BYTES];
};

static double seconds(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void give_up(const char *what)
{
	fprintf(stderr, "get_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- the hello, in a process of its own ---- */

/* What a hello says; set before it starts. */
static struct {
	const char *body;
	size_t size, header_count;
	struct {
		const char *name, *value;
	} headers[16];
} said;

static enum MHD_Result hello(void *context, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *data, size_t *size, void **request)
{
	static int seen;
	(void)context;
	(void)url;
	(void)method;
	(void)version;
	(void)data;
	(void)size;
	if (!*request) { /* answered from the first call, the connection would close */
		*request = &seen;
		return MHD_YES;
	}
	struct MHD_Response *response =
		MHD_create_response_from_buffer(said.size, (void *)(uintptr_t)said.body, MHD_RESPMEM_PERSISTENT);
	for (size_t i = 0; i < said.header_count; i++)
		MHD_add_response_header(response, said.headers[i].name, said.headers[i].value);
	enum MHD_Result result = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return result;
}

static struct server hello_start(const char *name, unsigned threads)
{
	struct server server = {.name = name};
	int ends[2];
	if (pipe(ends))
		give_up("pipe");
	server.pid = fork();
	if (server.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, hello, NULL,
			MHD_OPTION_THREAD_POOL_SIZE, threads, MHD_OPTION_CONNECTION_LIMIT, 4096u, MHD_OPTION_END);
		const union MHD_DaemonInfo *info =
			daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
		uint16_t port = info ? info->port : 0;
		if (write(ends[1], &port, sizeof port) == sizeof port)
			pause();
		_exit(0);
	}
	if (server.pid < 0 || read(ends[0], &server.port, sizeof server.port) != sizeof server.port || !server.port)
		give_up("the hello did not start");
	close(ends[0]);
	close(ends[1]);
	server.request_size = (size_t)snprintf(
		server.request, sizeof server.request, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", server.port);
	return server;
}

/* ---- the client ---- */

static void ask(const struct server *server, struct connection *connection)
{
	connection->got = connection->expected = 0;
	if (send(connection->socket, server->request, server->request_size, MSG_NOSIGNAL) !=
		(ssize_t)server->request_size)
		give_up(server->name);
}

static int connect_to(const struct server *server)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(server->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (socket_ < 0 || connect(socket_, (struct sockaddr *)&address, sizeof address))
		give_up(server->name);
	return socket_;
}

/* Takes what has come; true when the answer, which must be a 200, is whole. */
static int take(const struct server *server, struct connection *connection)
{
	ssize_t got =
		recv(connection->socket, connection->answer + connection->got, ANSWER_BYTES - 1 - connection->got, 0);
	if (got <= 0)
		give_up(server->name);
	connection->got += (size_t)got;
	connection->answer[connection->got] = 0;
	char *end = connection->expected ? NULL : strstr(connection->answer, "\r\n\r\n");
	if (end) {
		const char *length = strstr(connection->answer, "Content-Length: ");
		if (strncmp(connection->answer, "HTTP/1.1 200 ", 13) != 0 || !length || length > end) {
			fprintf(stderr, "get_bench: %s answered %s\n", server->name, connection->answer);
			exit(1);
		}
		connection->expected = (size_t)(end + 4 - connection->answer) + strtoul(length + 16, NULL, 10);
	}
	return connection->expected && connection->got == connection->expected;
}

static void measure(struct server *server, int round)
{
	static struct connection connections[CONNECTIONS];
	struct epoll_event events[CONNECTIONS];
	clockid_t clock;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	unsigned long answers = 0;
	if (epoll < 0 || clock_getcpuclockid(server->pid, &clock))
		give_up(server->name);
	for (int i = 0; i < CONNECTIONS; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
		connections[i].socket = connect_to(server);
		epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].socket, &event);
	}
	double began = seconds(CLOCK_MONOTONIC), cpu = seconds(clock), now = began;
	for (int i = 0; i < CONNECTIONS; i++)
		ask(server, &connections[i]);
	while (now < began + ROUND_S) {
		int count = epoll_wait(epoll, events, CONNECTIONS, 10000);
		if (count <= 0)
			give_up(server->name);
		for (int i = 0; i < count; i++) {
			if (!take(server, events[i].data.ptr))
				continue;
			answers++;
			ask(server, events[i].data.ptr);
		}
		now = seconds(CLOCK_MONOTONIC);
	}
	server->rates[round] = (double)answers / (now - began);
	server->cpu_us[round] = (seconds(clock) - cpu) * 1e6 / (double)answers;
	for (int i = 0; i < CONNECTIONS; i++)
		close(connections[i].socket);
	close(epoll);
}

/* Reads one answer and lets the next hello say it. */
static void say_what(const struct server *server)
{
	static struct connection connection;
	connection.socket = connect_to(server);
	ask(server, &connection);
	while (!take(server, &connection))
		continue;
	close(connection.socket);
	char *end = strstr(connection.answer, "\r\n\r\n"), *line = strstr(connection.answer, "\r\n") + 2;
	said.body = end + 4;
	said.size = connection.got - (size_t)(end + 4 - connection.answer);
	end[2] = 0;
	for (char *next; *line && said.header_count < 16; line = next) {
		next = strstr(line, "\r\n");
		*next = 0;
		next += 2;
		if (strncmp(line, "Date:", 5) == 0 || strncmp(line, "Content-Length:", 15) == 0)
			continue;
		char *colon = strchr(line, ':');
		*colon = 0;
		said.headers[said.header_count].name = line;
		said.headers[said.header_count++].value = colon + 2;
	}
}

/* ---- what was found ---- */

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static double median(const double values[ROUNDS])
{
	double sorted[ROUNDS];
	memcpy(sorted, values, sizeof sorted);
	qsort(sorted, ROUNDS, sizeof *sorted, by_value);
	return sorted[ROUNDS / 2];
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: get_bench PORT PID PATH KEY THREADS\n");
		return 2;
	}
	unsigned threads = (unsigned)atoi(argv[5]);
	said.body = "hello";
	said.size = 5;
	struct server bare = hello_start("hello", threads);
	struct server daemon = {.name = "carbond", .port = (uint16_t)atoi(argv[1]), .pid = atoi(argv[2])};
	daemon.request_size = (size_t)snprintf(daemon.request, sizeof daemon.request,
		"GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer %s\r\n\r\n", argv[3], daemon.port,
		argv[4]);
	say_what(&daemon);
	struct server same = hello_start("the same bytes", threads);
	double of_bare[ROUNDS], of_same[ROUNDS];
	for (int round = 0; round < ROUNDS; round++) {
		measure(&bare, round);
		measure(&daemon, round);
		measure(&same, round);
		of_bare[round] = daemon.rates[round] / bare.rates[round];
		of_same[round] = daemon.rates[round] / same.rates[round];
	}
	double share = median(of_bare);
	say("what", "authenticated GET /v1/units/{id} of a running carbond, keep-alive");
	say("how", "%d connections of one client thread over loopback; %d alternating rounds of %.1f s, medians",
		CONNECTIONS, ROUNDS, ROUND_S);
	say("measured", "%.0f answers/s, %.1f µs of the server's processor time each", median(daemon.rates),
		median(daemon.cpu_us));
	say("beside", "libmicrohttpd's hello (epoll, %u threads): %.0f answers/s, %.1f µs each", threads,
		median(bare.rates), median(bare.cpu_us));
	say("",
		"the same hello with carbond's %zu bytes and %zu headers: %.0f answers/s, %.1f µs each; carbond "
		"%.1f %% of it",
		said.size, said.header_count, median(same.rates), median(same.cpu_us), 100 * median(of_same));
	say("target", "at least 80 %% of the hello: %.1f %%, %s", 100 * share, share >= 0.8 ? "met" : "missed");
	kill(bare.pid, SIGTERM);
	kill(same.pid, SIGTERM);
	waitpid(bare.pid, NULL, 0);
	waitpid(same.pid, NULL, 0);
	return 0;
}
