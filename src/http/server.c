/* The listener's life and libmicrohttpd's callbacks: epoll and a pool of http threads, each with its own connections. What
 * happens to a request between the callbacks is in request.c (in), answer.c (out), work.c and deadline.c (between). */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http_internal.h"

#define REFUSAL_MEMORY_US (2 * CLOCK_US_PER_SECOND)

/* ---- connections ---- */

static void open_connection(struct http_server *server, struct MHD_Connection *mhd, void **context)
{
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	const union MHD_ConnectionInfo *peer = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct connection *connection = calloc(1, sizeof *connection);
	*context = connection;
	if (!connection)
		return;
	connection->socket = fd->connect_fd;
	if (peer && peer->client_addr)
		getnameinfo(peer->client_addr,
			peer->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
								 : sizeof(struct sockaddr_in),
			connection->peer, sizeof connection->peer, NULL, 0, NI_NUMERICHOST);
	connection->refused = atomic_load(&server->connection_count) > (int)server->options.connections_max;
	http_connection_enter(connection, CONNECTION_HEADER);
	metric_add(METRIC_HTTP_CONNECTIONS, 1);
	pthread_mutex_lock(&server->lock);
	connection->next = server->connections;
	if (server->connections)
		server->connections->previous = connection;
	server->connections = connection;
	pthread_mutex_unlock(&server->lock);
}

static void close_connection(struct http_server *server, struct connection *connection)
{
	atomic_fetch_sub(&server->connection_count, 1);
	if (!connection)
		return;
	pthread_mutex_lock(&server->lock);
	if (connection->next)
		connection->next->previous = connection->previous;
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		server->connections = connection->next;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
	metric_add(METRIC_HTTP_CONNECTIONS, -1);
	free(connection);
}

static void on_connection(
	void *context, struct MHD_Connection *mhd, void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		open_connection(context, mhd, socket_context);
	else
		close_connection(context, *socket_context);
}

/* ---- arenas ---- */

struct arena *http_arena_take(struct http_server *server)
{
	struct arena *arena = NULL;
	pthread_mutex_lock(&server->arenas_lock);
	if (server->arena_count > 0)
		arena = server->arenas[--server->arena_count];
	pthread_mutex_unlock(&server->arenas_lock);
	return arena ? arena : arena_new(0);
}

void http_arena_give(struct http_server *server, struct arena *arena)
{
	arena_reset(arena);
	pthread_mutex_lock(&server->arenas_lock);
	if (server->arena_count < HTTP_ARENAS_KEPT) {
		server->arenas[server->arena_count++] = arena;
		arena = NULL;
	}
	pthread_mutex_unlock(&server->arenas_lock);
	arena_free(&arena);
}

/* ---- requests ---- */

static struct connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

/* Escapes stay as they came: %00 and %2F are judged by check.c, not decoded before it looks. */
static size_t keep_escapes(void *context, struct MHD_Connection *mhd, char *text)
{
	(void)context;
	(void)mhd;
	return strlen(text);
}

/* The request line is there. */
static void *on_target(void *context, const char *target, struct MHD_Connection *mhd)
{
	struct connection *connection = connection_of(mhd);
	if (!connection)
		return NULL;
	http_connection_enter(connection, CONNECTION_HEADER);
	return http_request_new(context, connection, mhd, target ? target : "");
}

void http_note_refusal(struct http_server *server)
{
	metric_add(METRIC_HTTP_REFUSED, 1);
	atomic_store_explicit(&server->refused_us, clock_monotonic_us(), memory_order_relaxed);
}

/* Lends the request to a worker; an http thread goes on meanwhile. */
static enum MHD_Result lend_to(struct work *work, struct http_request *request)
{
	struct http_server *server = request->server;
	if (!http_work_reserve(work)) {
		err_set(&request->failure, ERR_BUSY, NULL, "all workers are busy");
		http_note_refusal(server);
		return http_answer_send(request);
	}
	request->deadline_us = clock_monotonic_us() + server->answer_us;
	atomic_store_explicit(&request->state, REQUEST_WAITING, memory_order_release);
	atomic_fetch_add(&request->refs, 1);
	MHD_suspend_connection(request->mhd);
	http_waiting_add(server, request);
	http_work_put(work, request);
	return MHD_YES;
}

/* Suspended before the handler runs, because the reply may be complete before it returns. */
static enum MHD_Result submit(struct http_request *request)
{
	request->deadline_us = clock_monotonic_us() + request->server->answer_us;
	atomic_store_explicit(&request->state, REQUEST_WAITING, memory_order_release);
	MHD_suspend_connection(request->mhd);
	http_waiting_add(request->server, request);
	http_request_run_handler(request);
	if (!request->reply)
		http_request_finish(request, REQUEST_DONE);
	return MHD_YES;
}

/* True where the row's quick function has answered or refused. */
static bool answers_quickly(struct http_request *request)
{
	if (!request->route->quick)
		return false;
	struct err_info info = {0};
	request->failure.code = request->route->quick(request, &info);
	if (request->failure.code)
		request->failure = info;
	return request->failure.code || request->answer.given;
}

static enum MHD_Result run(struct http_request *request)
{
	http_connection_answering(request->connection);
	if (request->body_too_large && !request->failure.code)
		err_set(&request->failure, ERR_TOO_LARGE, NULL, "the body may have at most %zu bytes",
			request->route->body_bytes_max);
	if (request->failure.code || request->options)
		return http_answer_send(request);
	const struct http_options *options = &request->server->options;
	request->elsewhere = options->is_elsewhere && options->is_elsewhere(options->context, request, ERR_OK);
	if (request->elsewhere)
		return lend_to(request->server->relays, request);
	if (request->route->kind == HTTP_WORK)
		return answers_quickly(request) ? http_answer_send(request) : lend_to(request->server->work, request);
	if (request->route->kind == HTTP_LATER)
		return submit(request);
	http_request_run_handler(request);
	return http_answer_send(request);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *mhd, const char *url, const char *method,
	const char *version, const char *data, size_t *size, void **request_context)
{
	struct http_request *request = *request_context;
	(void)context;
	(void)mhd;
	(void)url;
	if (!request)
		return MHD_NO;
	if (!request->opened) {
		http_request_open(request, method, version);
		if (request->has_body || request->close)
			http_connection_enter(request->connection, CONNECTION_BODY);
		/* answered from the first call the connection closes, which is right only where a body or doubt is left */
		if (request->failure.code && (request->has_body || request->close))
			return http_answer_send(request);
		return MHD_YES;
	}
	/* answered, and asked again: while it stops, microhttpd takes an answer and drops it */
	if (request->sent_status)
		return MHD_NO;
	if (*size > 0) {
		bool goes_on = http_request_take_body(request, data, *size);
		*size = 0;
		return goes_on ? MHD_YES : MHD_NO;
	}
	if (atomic_load_explicit(&request->state, memory_order_acquire) == REQUEST_OPEN)
		return run(request);
	http_waiting_remove(request->server, request);
	return http_answer_send(request);
}

static enum metric status_metric(int status)
{
	switch (status / 100) {
	case 2: return METRIC_HTTP_ANSWERS_2XX;
	case 3: return METRIC_HTTP_ANSWERS_3XX;
	case 4: return METRIC_HTTP_ANSWERS_4XX;
	case 5: return METRIC_HTTP_ANSWERS_5XX;
	default: return METRIC_HTTP_BROKEN;
	}
}

char *http_number_text(int64_t number, char text[NUMBER_SIZE])
{
	char *at = text + NUMBER_SIZE - 1;
	*at = 0;
	do
		*--at = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	return at;
}

/* The access log: the path without its query, which may hold what is not for logs. */
static void log_access(const struct http_request *request, int64_t duration_us)
{
	char status[NUMBER_SIZE], duration[NUMBER_SIZE], bytes[NUMBER_SIZE], path[256];
	size_t size = request->target ? strcspn(request->target, "?") : 0;
	size = size < sizeof path ? size : sizeof path - 1;
	memcpy(path, request->target ? request->target : "", size);
	path[size] = 0;
	bool probe = request->route && (request->route->flags & HTTP_PUBLIC) && request->sent_status == 200;
	log_line_soon(probe ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "http_request", "request answered", "method",
		request->method_name ? request->method_name : "", "path", path, "status",
		http_number_text(request->sent_status, status), "bytes",
		http_number_text((int64_t)request->sent_bytes, bytes), "duration_us",
		http_number_text(duration_us, duration), "request_id", request->id, "actor", request->actor.name,
		"peer", request->peer ? request->peer : "", NULL);
}

static void on_completed(
	void *context, struct MHD_Connection *mhd, void **request_context, enum MHD_RequestTerminationCode code)
{
	struct http_request *request = *request_context;
	(void)context;
	(void)mhd;
	(void)code;
	if (!request)
		return;
	struct http_server *server = request->server;
	int waiting = REQUEST_WAITING;
	int64_t duration_us = clock_monotonic_us() - request->started_us;
	/* a connection that was torn down while its request was lent: nobody may resume it any more */
	atomic_compare_exchange_strong(&request->state, &waiting, REQUEST_EXPIRED);
	if (request->deadline_us) /* it was lent */
		http_waiting_remove(server, request);
	*request_context = NULL;
	metric_add(status_metric(request->sent_status), 1);
	metric_observe_us(METRIC_HTTP_DURATION, duration_us);
	metric_add(METRIC_HTTP_IN_FLIGHT, -1);
	log_access(request, duration_us);
	if (request->body)
		atomic_fetch_sub(&server->body_bytes, (long long)request->body_capacity);
	http_connection_enter(request->connection, CONNECTION_IDLE);
	atomic_fetch_sub(&server->open_requests, 1);
	http_request_unref(request);
	if (!atomic_load(&server->stopping)) /* nobody waits for the last request: the other threads sleep on */
		return;
	pthread_mutex_lock(&server->lock);
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

/* ---- replies ---- */

static void wake_request(void *context)
{
	http_request_finish(context, REQUEST_DONE);
}

struct runtime_reply *http_reply_new(struct http_request *request)
{
	if (!request->reply)
		request->reply = reply_new(request->deadline_us, wake_request, request);
	return request->reply;
}

/* ---- start ---- */

static char *read_file(struct arena *arena, const char *path)
{
	char buffer[LIMIT_HTTP_PEM_BYTES];
	FILE *file = path ? fopen(path, "re") : NULL;
	size_t size = file ? fread(buffer, 1, sizeof buffer, file) : 0;
	if (file)
		fclose(file);
	return size > 0 && size < sizeof buffer ? arena_copy(arena, buffer, size) : NULL;
}

/* libmicrohttpd's own lines: it talks of what clients do wrong, which the access log has. */
static void drop_line(void *context, const char *format, va_list arguments)
{
	(void)context;
	(void)format;
	(void)arguments;
}

static enum err start_daemon(struct http_server *server, struct err_info *info)
{
	const struct http_options *options = &server->options;
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC |
			 MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	char *certificate = NULL, *key = NULL;
	struct MHD_OptionItem extra[8];
	size_t count = 0;
	int64_t longest_us = server->idle_us > 30 * CLOCK_US_PER_SECOND ? server->idle_us : 30 * CLOCK_US_PER_SECOND;
	if (options->certificate_file) {
		certificate = read_file(server->arena, options->certificate_file);
		key = read_file(server->arena, options->key_file);
		if (!certificate || !key)
			return err_set(info, ERR_INVALID_CONFIG, "/http/tls_certificate",
				"http.tls_certificate and http.tls_key must be readable PEM files");
		flags |= MHD_USE_TLS;
		extra[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, certificate};
		extra[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, key};
		extra[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
			(void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"};
	}
	extra[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
	/* clang-format off */
	server->daemon = MHD_start_daemon(flags, server->port, NULL, NULL, on_request, server,
		MHD_OPTION_EXTERNAL_LOGGER, drop_line, NULL,
		MHD_OPTION_THREAD_POOL_SIZE, options->threads,
		MHD_OPTION_CONNECTION_LIMIT, server->connection_limit,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(longest_us / CLOCK_US_PER_SECOND + 1),
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LIMIT_HTTP_CONNECTION_BYTES,
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
		MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
		MHD_OPTION_ARRAY, extra,
		MHD_OPTION_END);
	/* clang-format on */
	if (!server->daemon)
		return err_set(info, ERR_IO, NULL, "the listener did not start%s",
			certificate ? "; is the certificate's key the right one?" : "");
	return ERR_OK;
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
	return value > 0 ? value : otherwise;
}

static enum err copy_options(struct http_server *server, const struct http_options *options, struct err_info *info)
{
	struct arena *arena = server->arena;
	struct http_options *own = &server->options;
	*own = *options;
	own->address = arena_print(arena, "%s", options->address ? options->address : "127.0.0.1");
	own->certificate_file = options->certificate_file ? arena_print(arena, "%s", options->certificate_file) : NULL;
	own->key_file = options->key_file ? arena_print(arena, "%s", options->key_file) : NULL;
	own->threads = options->threads ? options->threads : 2;
	own->workers = options->workers ? options->workers : 4;
	own->worker_queue = options->worker_queue ? options->worker_queue : 256;
	own->connections_max = options->connections_max ? options->connections_max : 4096;
	server->connection_limit = own->connections_max + own->connections_max / 4 + 64;
	server->header_us = or_default(options->header_deadline_us, 10 * CLOCK_US_PER_SECOND);
	server->body_us = or_default(options->body_deadline_us, 30 * CLOCK_US_PER_SECOND);
	server->idle_us = or_default(options->idle_deadline_us, 60 * CLOCK_US_PER_SECOND);
	server->answer_us = or_default(options->answer_deadline_us, 30 * CLOCK_US_PER_SECOND);
	server->stall_us = or_default(options->stall_deadline_us, 30 * CLOCK_US_PER_SECOND);
	return http_router_new(arena, options->tables, &server->router, info);
}

static void free_server(struct http_server *server)
{
	http_work_free(&server->work);
	http_work_free(&server->relays);
	while (server->arena_count > 0)
		arena_free(&server->arenas[--server->arena_count]);
	arena_free(&server->arena);
	pthread_mutex_destroy(&server->arenas_lock);
	pthread_cond_destroy(&server->changed);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

enum err http_server_start(const struct http_options *options, struct http_server **ret_server, struct err_info *info)
{
	struct http_server *server = calloc(1, sizeof *server);
	pthread_condattr_t monotonic;
	enum err err;
	if (!server)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the listener");
	server->listen_socket = server->listen_stop = -1;
	pthread_mutex_init(&server->lock, NULL);
	pthread_mutex_init(&server->arenas_lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&server->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	server->arena = arena_new(0);
	err = server->arena ? copy_options(server, options, info) : ERR_NO_MEMORY;
	if (!err)
		err = http_listener_open(server, info);
	if (!err && !(server->work = http_work_new(server->options.workers, server->options.worker_queue)))
		err = err_set(info, ERR_NO_MEMORY, NULL, "the worker threads did not start");
	const struct http_options *set = &server->options;
	if (!err && set->is_elsewhere && !(server->relays = http_work_new(set->relay_threads, set->worker_queue)))
		err = err_set(info, ERR_NO_MEMORY, NULL, "the threads that pass requests on did not start");
	if (!err)
		err = start_daemon(server, info);
	if (!err)
		err = http_deadlines_start(server);
	if (!err)
		err = http_listener_start(server);
	if (err) {
		http_listener_stop(server);
		if (server->sweeper)
			http_deadlines_stop(server);
		if (server->daemon)
			MHD_stop_daemon(server->daemon);
		free_server(server);
		return err;
	}
	*ret_server = server;
	return ERR_OK;
}

uint16_t http_server_port(const struct http_server *server)
{
	return server->port;
}

bool http_server_ready(struct http_server *server, char *reason, size_t size)
{
	int64_t refused_us = server ? atomic_load_explicit(&server->refused_us, memory_order_relaxed) : 0;
	if (!refused_us || clock_monotonic_us() - refused_us > REFUSAL_MEMORY_US)
		return true;
	snprintf(reason, size, "more requests come than can be served; some are told to come again (503)");
	return false;
}

/* ---- stop ---- */

/* Waits until no request is open, or `deadline_us`. */
static bool wait_drained(struct http_server *server, int64_t deadline_us)
{
	const struct timespec until = {.tv_sec = (time_t)(deadline_us / CLOCK_US_PER_SECOND),
		.tv_nsec = (long)(deadline_us % CLOCK_US_PER_SECOND * 1000)};
	int late = 0;
	pthread_mutex_lock(&server->lock);
	while (atomic_load(&server->open_requests) > 0 && late != ETIMEDOUT)
		late = pthread_cond_timedwait(&server->changed, &server->lock, &until);
	pthread_mutex_unlock(&server->lock);
	return late != ETIMEDOUT;
}

void http_server_stop(struct http_server **server, int64_t deadline_us)
{
	struct http_server *own = *server;
	if (!own)
		return;
	*server = NULL;
	http_listener_stop(own);
	atomic_store(&own->stopping, true);
	pthread_mutex_lock(&own->lock);
	http_events_beat(own, true);
	pthread_mutex_unlock(&own->lock);
	if (!wait_drained(own, deadline_us)) {
		/* whoever still waits is told so; a suspended connection must be resumed before the daemon stops */
		http_waiting_expire_all(own, ERR_STOPPING);
		(void)!wait_drained(own, clock_monotonic_us() + CLOCK_US_PER_SECOND);
		http_waiting_expire_all(own, ERR_STOPPING);
	}
	http_deadlines_stop(own);
	MHD_stop_daemon(own->daemon);
	log_flush();
	free_server(own);
}
