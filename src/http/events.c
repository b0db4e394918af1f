/* Server-sent events: a bounded queue of frames between any thread that publishes and the http thread that writes. While
 * the queue is empty the connection is suspended; the publisher of the first frame resumes it. A client that reads too
 * slowly fills its queue and is cut: what is queued ends with the reason, and the connection is closed where even that is not
 * read. It reconnects with Last-Event-ID. An answer that is held back is a queue of one frame, its body. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http_internal.h"

struct http_events {
	atomic_int refs; /* the publisher's and http's */
	struct http_server *server;
	struct http_events *next, *previous; /* under server->lock */
	bool listed;

	pthread_mutex_t lock; /* rank: after server->lock */
	struct MHD_Connection *mhd;
	int socket; /* open while the stream is not gone */
	char **ring;
	size_t slots; /* what the queue holds, and one for the last frame */
	size_t first, count, head_offset;
	bool suspended;
	bool ending; /* finish in order: nothing is queued any more */
	bool cut;    /* because the queue was full */
	bool late;   /* a beat ago already */
	bool gone;   /* the client or the connection is gone */

	bool is_held;
	char *otherwise;  /* of a held answer: its body where none is given … */
	int64_t until_us; /* … by then (monotonic) */
};

static void unref(struct http_events *events)
{
	if (atomic_fetch_sub_explicit(&events->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < events->count; i++)
		free(events->ring[(events->first + i) % events->slots]);
	pthread_mutex_destroy(&events->lock);
	free(events->ring);
	free(events->otherwise);
	free(events);
}

/* Under events->lock. */
static void wake(struct http_events *events)
{
	if (!events->suspended)
		return;
	events->suspended = false;
	MHD_resume_connection(events->mhd);
}

/* Takes over `frame`; the last one of a stream has a place of its own. Under events->lock. */
static void put(struct http_events *events, char *frame)
{
	events->ring[(events->first + events->count++) % events->slots] = frame;
	wake(events);
}

/* Nothing more comes: what is queued is the end, of a held answer its other body. Under events->lock. */
static void end(struct http_events *events)
{
	char *body = events->ending || events->gone ? NULL : events->otherwise;
	events->ending = true;
	if (body) {
		events->otherwise = NULL;
		put(events, body);
	}
	wake(events);
}

static ssize_t read_events(void *context, uint64_t offset, char *buffer, size_t size)
{
	struct http_events *events = context;
	ssize_t got = 0;
	(void)offset;
	pthread_mutex_lock(&events->lock);
	if (events->count > 0) {
		char *frame = events->ring[events->first];
		size_t left = strlen(frame) - events->head_offset;
		got = (ssize_t)(left < size ? left : size);
		memcpy(buffer, frame + events->head_offset, (size_t)got);
		events->head_offset += (size_t)got;
		if ((size_t)got == left) {
			free(frame);
			events->first = (events->first + 1) % events->slots;
			events->count--;
			events->head_offset = 0;
		}
	} else if (events->ending) {
		got = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		events->suspended = true;
		MHD_suspend_connection(events->mhd);
	}
	pthread_mutex_unlock(&events->lock);
	return got;
}

/* The connection is done with the stream, or it was never sent. */
static void events_end(void *context)
{
	struct http_events *events = context;
	struct http_server *server = events->server;
	pthread_mutex_lock(&server->lock);
	if (events->listed) {
		if (events->next)
			events->next->previous = events->previous;
		if (events->previous)
			events->previous->next = events->next;
		else
			server->streams = events->next;
		events->listed = false;
	}
	pthread_mutex_unlock(&server->lock);
	pthread_mutex_lock(&events->lock);
	events->gone = true;
	events->suspended = false;
	pthread_mutex_unlock(&events->lock);
	unref(events);
}

enum err http_answer_events(struct http_request *request, size_t most, struct http_events **ret_events)
{
	struct http_events *events = calloc(1, sizeof *events);
	char **ring = calloc(most + 1, sizeof *ring);
	if (!events || !ring) {
		free(events);
		free(ring);
		return ERR_NO_MEMORY;
	}
	*events = (struct http_events){.refs = 2,
		.server = request->server,
		.mhd = request->mhd,
		.socket = request->connection->socket,
		.ring = ring,
		.slots = most + 1};
	pthread_mutex_init(&events->lock, NULL);
	request->answer.given = true;
	request->answer.status = 200;
	request->answer.media = "text/event-stream";
	request->answer.events = events;
	*ret_events = events;
	return ERR_OK;
}

enum err http_answer_held(struct http_request *request, const char *media, const char *otherwise, int64_t wait_us,
	struct http_events **ret_held)
{
	char *text = strdup(otherwise);
	enum err err = text ? http_answer_events(request, 1, ret_held) : ERR_NO_MEMORY;
	if (err) {
		free(text);
		return err;
	}
	(*ret_held)->is_held = true;
	(*ret_held)->otherwise = text;
	(*ret_held)->until_us = clock_monotonic_us() + wait_us;
	request->answer.media = media;
	return ERR_OK;
}

struct MHD_Response *http_events_response(struct http_events *events)
{
	struct http_server *server = events->server;
	struct MHD_Response *response =
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16u << 10, read_events, events, events_end);
	if (!response) {
		events_end(events);
		return NULL;
	}
	pthread_mutex_lock(&server->lock);
	events->next = server->streams;
	if (server->streams)
		server->streams->previous = events;
	server->streams = events;
	events->listed = true;
	pthread_mutex_lock(&events->lock);
	if (atomic_load(&server->stopping))
		end(events);
	pthread_mutex_unlock(&events->lock);
	pthread_mutex_unlock(&server->lock);
	return response;
}

void http_events_drop(struct http_events **events)
{
	events_end(*events);
	*events = NULL;
}

/* Takes over `frame`. */
static enum err push(struct http_events *events, char *frame, bool is_last)
{
	static const char reason[] = "event: cut\ndata: {\"reason\":\"slow\"}\n\n";
	enum err err = ERR_OK;
	pthread_mutex_lock(&events->lock);
	bool is_full = events->count + 1 == events->slots;
	if (events->gone || events->ending) {
		err = ERR_NOT_FOUND;
	} else if (is_full && !is_last) {
		char *last = strdup(reason);
		events->cut = events->ending = true;
		if (last)
			put(events, last);
		err = ERR_NOT_FOUND;
	} else {
		events->ending = is_last;
		put(events, frame);
		frame = NULL;
	}
	pthread_mutex_unlock(&events->lock);
	free(frame);
	return err;
}

/* NULL without memory. */
static char *frame_make(const char *id, const char *event, const char *data)
{
	char *frame = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&frame, &size);
	if (!out)
		return NULL;
	if (id)
		fprintf(out, "id: %s\n", id);
	if (event)
		fprintf(out, "event: %s\n", event);
	while (data) {
		size_t line = strcspn(data, "\n");
		fprintf(out, "data: %.*s\n", (int)line, data);
		data = data[line] ? data + line + 1 : NULL;
	}
	fputc('\n', out);
	if (fclose(out) != 0) {
		free(frame);
		return NULL;
	}
	return frame;
}

enum err http_events_send(struct http_events *events, const char *id, const char *event, const char *data)
{
	char *frame = frame_make(id, event, data);
	return frame ? push(events, frame, false) : ERR_NO_MEMORY;
}

enum err http_events_finish(struct http_events *events, const char *id, const char *event, const char *data)
{
	char *frame = frame_make(id, event, data);
	return frame ? push(events, frame, true) : ERR_NO_MEMORY;
}

void http_events_unref(struct http_events **events)
{
	if (*events)
		unref(*events);
	*events = NULL;
}

bool http_events_are_over(struct http_events *events)
{
	pthread_mutex_lock(&events->lock);
	bool over = events->gone || events->ending;
	pthread_mutex_unlock(&events->lock);
	return over;
}

enum err http_held_give(struct http_events *held, const char *body)
{
	char *frame = strdup(body);
	return frame ? push(held, frame, true) : ERR_NO_MEMORY;
}

void http_held_lapse(struct http_server *server, int64_t now_us)
{
	for (struct http_events *each = server->streams; each; each = each->next) {
		pthread_mutex_lock(&each->lock);
		if (each->is_held && each->until_us <= now_us)
			end(each);
		pthread_mutex_unlock(&each->lock);
	}
}

void http_events_beat(struct http_server *server, bool ends)
{
	for (struct http_events *each = server->streams; each; each = each->next) {
		pthread_mutex_lock(&each->lock);
		if (ends)
			end(each);
		bool idle = each->suspended && !each->is_held;
		/* the library asks for more only when the client reads, which it does not */
		if (each->cut && each->late)
			shutdown(each->socket, SHUT_RDWR);
		each->late = each->cut;
		pthread_mutex_unlock(&each->lock);
		if (!ends && idle) {
			char *beat = strdup(":\n\n");
			if (beat && push(each, beat, false) != ERR_OK)
				continue; /* it is ending already */
		}
	}
}
