/* Deadlines that libmicrohttpd does not keep: slow heads, slow bodies, idle connections and suspended requests. One thread
 * looks several times a deadline; it shuts a slow connection's socket down (its http thread then closes it) and takes the
 * answer from whoever a suspended request was lent to. */
#include <sys/socket.h>
#include <time.h>

#include "http_internal.h"

#define BEAT_US (15 * CLOCK_US_PER_SECOND)

void http_connection_enter(struct connection *connection, enum connection_phase phase)
{
	atomic_store_explicit(&connection->since_us, clock_monotonic_us(), memory_order_relaxed);
	atomic_store_explicit(&connection->phase, (int)phase, memory_order_release);
}

void http_connection_answering(struct connection *connection)
{
	atomic_store_explicit(&connection->phase, CONNECTION_ANSWERING, memory_order_release);
}

static int64_t phase_limit(const struct http_server *server, int phase)
{
	switch (phase) {
	case CONNECTION_IDLE: return server->idle_us;
	case CONNECTION_HEADER: return server->header_us;
	case CONNECTION_BODY: return server->body_us;
	default: return INT64_MAX;
	}
}

static void sweep_connections(struct http_server *server, int64_t now_us)
{
	static const char late[] = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	bool stopping = atomic_load(&server->stopping);
	for (struct connection *each = server->connections; each; each = each->next) {
		int phase = atomic_load_explicit(&each->phase, memory_order_acquire);
		int64_t age_us = now_us - atomic_load_explicit(&each->since_us, memory_order_relaxed);
		if (age_us <= phase_limit(server, phase) && !(stopping && phase == CONNECTION_IDLE))
			continue;
		if (phase != CONNECTION_IDLE && !server->options.certificate_file)
			(void)!send(each->socket, late, sizeof late - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		shutdown(each->socket, SHUT_RDWR);
	}
}

static void take_off(struct http_server *server, struct http_request *request)
{
	struct http_request *next = request->waiting_next, *previous = request->waiting_previous;
	if (next)
		next->waiting_previous = previous;
	else
		server->waiting_last = previous;
	if (previous)
		previous->waiting_next = next;
	else
		server->waiting_first = next;
	request->waiting_next = request->waiting_previous = NULL;
	request->on_waiting_list = false;
}

static void expire_until(struct http_server *server, int64_t now_us, enum err code)
{
	while (server->waiting_first && server->waiting_first->deadline_us <= now_us) {
		struct http_request *request = server->waiting_first;
		take_off(server, request);
		atomic_store(&request->expire_code, (int)code);
		http_request_finish(request, REQUEST_EXPIRED);
	}
}

void http_waiting_add(struct http_server *server, struct http_request *request)
{
	pthread_mutex_lock(&server->lock);
	request->waiting_previous = server->waiting_last;
	if (server->waiting_last)
		server->waiting_last->waiting_next = request;
	else
		server->waiting_first = request;
	server->waiting_last = request;
	request->on_waiting_list = true;
	pthread_mutex_unlock(&server->lock);
}

void http_waiting_remove(struct http_server *server, struct http_request *request)
{
	pthread_mutex_lock(&server->lock);
	if (request->on_waiting_list)
		take_off(server, request);
	pthread_mutex_unlock(&server->lock);
}

void http_waiting_expire_all(struct http_server *server, enum err code)
{
	pthread_mutex_lock(&server->lock);
	expire_until(server, INT64_MAX, code);
	pthread_mutex_unlock(&server->lock);
}

/* A quarter of the shortest deadline, between 5 and 250 ms. */
static int64_t sweep_interval_us(const struct http_server *server)
{
	int64_t shortest = server->idle_us;
	if (server->header_us < shortest)
		shortest = server->header_us;
	if (server->body_us < shortest)
		shortest = server->body_us;
	if (server->answer_us < shortest)
		shortest = server->answer_us;
	shortest /= 4;
	return shortest < 5000 ? 5000 : shortest > 250000 ? 250000 : shortest;
}

static void sweep_run(void *argument)
{
	struct http_server *server = argument;
	int64_t interval_us = sweep_interval_us(server), next_beat_us = clock_monotonic_us() + BEAT_US;
	pthread_mutex_lock(&server->lock);
	while (!server->sweep_stop) {
		int64_t now_us = clock_monotonic_us(), until_us = now_us + interval_us;
		sweep_connections(server, now_us);
		expire_until(server, now_us, ERR_DEADLINE);
		http_held_lapse(server, now_us);
		if (now_us >= next_beat_us) {
			http_events_beat(server, false);
			next_beat_us = now_us + BEAT_US;
		}
		struct timespec until = {.tv_sec = (time_t)(until_us / CLOCK_US_PER_SECOND),
			.tv_nsec = (long)(until_us % CLOCK_US_PER_SECOND * 1000)};
		pthread_cond_timedwait(&server->changed, &server->lock, &until);
		pthread_mutex_unlock(&server->lock);
		log_flush(); /* the requests' lines */
		pthread_mutex_lock(&server->lock);
	}
	pthread_mutex_unlock(&server->lock);
}

enum err http_deadlines_start(struct http_server *server)
{
	return thread_start("http-deadline", sweep_run, server, &server->sweeper);
}

void http_deadlines_stop(struct http_server *server)
{
	pthread_mutex_lock(&server->lock);
	server->sweep_stop = true;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
	thread_join(&server->sweeper);
}
