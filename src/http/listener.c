/* The listening socket and the thread that accepts. libmicrohttpd could listen itself, but its way of ceasing to
 * (MHD_quiesce_daemon) races with its own epoll threads and aborts the process when it loses. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_internal.h"

#define BACK_OFF_MS 50 /* without descriptors or memory, until some connections have closed */

static bool is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;
		return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
	}
	const struct sockaddr_in6 *in6 = (const void *)address;
	return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

enum err http_listener_open(struct http_server *server, struct err_info *info)
{
	const struct http_options *options = &server->options;
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	struct sockaddr_storage bound;
	socklen_t size = sizeof bound;
	char port[8];
	int one = 1;
	enum err err = ERR_OK;
	snprintf(port, sizeof port, "%u", options->port);
	if (getaddrinfo(options->address, port, &hints, &found) != 0)
		return err_set(info, ERR_INVALID_CONFIG, "/http/address", "http.address must be an IP address");
	if (!is_loopback(found->ai_addr) && !options->certificate_file && !options->behind_proxy) {
		err = err_set(info, ERR_INVALID_CONFIG, "/http/address",
			"http.address other than loopback needs http.tls_certificate or http.behind_proxy");
		goto out;
	}
	server->listen_socket = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	server->listen_stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->listen_socket < 0 || server->listen_stop < 0 ||
		setsockopt(server->listen_socket, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
		bind(server->listen_socket, found->ai_addr, found->ai_addrlen) != 0 ||
		listen(server->listen_socket, SOMAXCONN) != 0 ||
		getsockname(server->listen_socket, (struct sockaddr *)&bound, &size) != 0) {
		err = err_set(
			info, ERR_IO, NULL, "cannot listen on %s port %s: %s", options->address, port, strerror(errno));
		goto out;
	}
	const struct sockaddr_in *in = (const void *)&bound;
	const struct sockaddr_in6 *in6 = (const void *)&bound;
	server->port = ntohs(bound.ss_family == AF_INET6 ? in6->sin6_port : in->sin_port);
out:
	freeaddrinfo(found);
	return err;
}

/* Far beyond the limit of connections: told to come again without ever reaching the library. */
static void turn_away(struct http_server *server, int sock)
{
	static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
				   "Connection: close\r\n\r\n";
	if (!server->options.certificate_file)
		(void)!send(sock, busy, sizeof busy - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(sock, SHUT_RDWR);
	close(sock);
	http_note_refusal(server);
}

static void accept_all(struct http_server *server)
{
	for (;;) {
		struct sockaddr_storage peer;
		socklen_t size = sizeof peer;
		int sock =
			accept4(server->listen_socket, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (sock >= 0 && atomic_load(&server->connection_count) >= (int)server->connection_limit) {
			turn_away(server, sock);
			continue;
		}
		if (sock >= 0) {
			atomic_fetch_add(&server->connection_count, 1); /* until close_connection */
			/* the kernel ends a connection whose peer takes nothing of what was written for so long */
			unsigned stall_ms = (unsigned)(server->stall_us / 1000);
			(void)setsockopt(sock, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms, sizeof stall_ms);
			/* on failure the library has closed the socket; the client sees a connection that ends */
			if (MHD_add_connection(server->daemon, sock, (struct sockaddr *)&peer, size) != MHD_YES) {
				atomic_fetch_sub(&server->connection_count, 1);
				http_note_refusal(server);
			}
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK) {
			struct pollfd stop = {.fd = server->listen_stop, .events = POLLIN};
			poll(&stop, 1, BACK_OFF_MS);
		}
		return;
	}
}

static void accept_run(void *argument)
{
	struct http_server *server = argument;
	struct pollfd ready[] = {
		{.fd = server->listen_stop, .events = POLLIN}, {.fd = server->listen_socket, .events = POLLIN}};
	for (;;) {
		if (poll(ready, 2, -1) < 0 && errno != EINTR)
			return;
		if (ready[0].revents)
			return;
		if (ready[1].revents)
			accept_all(server);
	}
}

enum err http_listener_start(struct http_server *server)
{
	return thread_start("http-accept", accept_run, server, &server->acceptor);
}

void http_listener_stop(struct http_server *server)
{
	if (server->acceptor) {
		uint64_t one = 1;
		ssize_t written = write(server->listen_stop, &one, sizeof one);
		(void)written; /* an eventfd takes the first one */
		thread_join(&server->acceptor);
	}
	if (server->listen_socket >= 0)
		close(server->listen_socket);
	if (server->listen_stop >= 0)
		close(server->listen_stop);
	server->listen_socket = server->listen_stop = -1;
}
