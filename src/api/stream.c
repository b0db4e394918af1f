/* Decides who is told what of the journal and when. A watcher begins on a worker, which tells it from the journal what it
 * has missed until nothing is missing, and then puts it on the list of the stream's thread: a watcher on the list has been
 * told of all that the thread has taken in. Only the thread takes watchers off. */
#include "stream.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"

#define WATCHERS_MAX     256
#define QUEUE            1024   /* frames that a watcher may be behind */
#define CATCH_UP         512    /* frames of the past that one connection gets … */
#define CATCH_UP_READS   100000 /* … out of so many events */
#define VIEWS_WAIT_US    (10 * CLOCK_US_PER_SECOND)
#define HANDOVERS_MOST   1000
#define FOLLOWED_WAIT_US CLOCK_US_PER_SECOND /* as at-least (decision 12) */

struct stream {
	struct engine *engine;
	struct store *store;
	bool reads_views;
	struct engine_consumer *consumer;
	pthread_mutex_t lock; /* of the list; held across no I/O and no other lock but a watcher's in http */
	bool telling;         /* the thread goes through the list */
	struct stream_watch watches[WATCHERS_MAX];
	size_t count, promised;
	int64_t position; /* last event that the thread has taken in */
};

struct store *stream_store(struct stream *stream)
{
	return stream->store;
}

enum err stream_tell(
	struct stream_watch *watch, const struct stream_event *event, const char *name, const char *data, bool is_last)
{
	char number[24];
	snprintf(number, sizeof number, "%llu", (unsigned long long)event->event->header.number);
	watch->told++;
	return http_events_send(watch->events, is_last ? number : NULL, name, data);
}

static void event_end(struct stream_event *event)
{
	free(event->text);
	arena_free(&event->arena);
}

/* ---- the thread ---- */

static enum err views_wait(struct stream *stream, int64_t position, struct err_info *info)
{
	enum err err = stream->reads_views
			       ? engine_wait_position(stream->engine, position, clock_monotonic_us() + VIEWS_WAIT_US)
			       : ERR_OK;
	return err ? err_set(info, err, NULL, "the views do not follow the journal") : ERR_OK;
}

static void gone(struct stream_watch *watch)
{
	http_events_unref(&watch->events);
}

/* Who is gone, or has got all that it asked for, is taken off the list. Under the lock, while nobody goes through it. */
static void watches_join(struct stream *stream)
{
	size_t kept = 0;
	for (size_t i = 0; i < stream->count; i++) {
		struct stream_watch *watch = &stream->watches[i];
		if (watch->events && http_events_are_over(watch->events))
			gone(watch);
		if (watch->events)
			stream->watches[kept++] = *watch;
	}
	stream->count = kept;
}

static void tell_all(struct stream *stream, size_t count, const struct event *event)
{
	struct stream_event telling = {.event = event};
	for (size_t i = 0; i < count; i++) {
		struct stream_watch *watch = &stream->watches[i];
		struct err_info info;
		if (!watch->events || (int64_t)event->header.number <= watch->position)
			continue;
		watch->position = (int64_t)event->header.number;
		if (watch->channel->event && watch->channel->event(stream, watch, &telling, &info))
			gone(watch); /* or it cannot be told: it comes again */
	}
	event_end(&telling);
}

static enum err take_in(void *context, const struct event *events, size_t count, struct err_info *info)
{
	struct stream *stream = context;
	int64_t last = (int64_t)events[count - 1].header.number;
	pthread_mutex_lock(&stream->lock);
	size_t watching = stream->count;
	stream->position = last;
	stream->telling = watching > 0;
	pthread_mutex_unlock(&stream->lock);
	if (watching == 0)
		return ERR_OK;
	enum err err = views_wait(stream, last, info);
	for (size_t i = 0; i < count && !err; i++)
		tell_all(stream, watching, &events[i]);
	for (size_t i = 0; i < watching && !err; i++) {
		struct stream_watch *watch = &stream->watches[i];
		if (watch->events && watch->channel->changed && watch->channel->changed(stream, watch, info))
			gone(watch);
	}
	pthread_mutex_lock(&stream->lock);
	stream->telling = false;
	watches_join(stream);
	pthread_mutex_unlock(&stream->lock);
	return err;
}

enum err stream_start(struct engine *engine, struct store *store, const char *name, bool reads_views,
	struct stream **ret_stream, struct err_info *info)
{
	struct stream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for a stream of events");
	stream->engine = engine;
	stream->store = store;
	stream->reads_views = reads_views;
	pthread_mutex_init(&stream->lock, NULL);
	struct engine_consumer_options options = {
		.name = name, .class = STORE_VIEWS, .each = take_in, .context = stream, .ephemeral = true};
	enum err err = engine_consumer_start(engine, &options, &stream->consumer, info);
	if (err)
		stream_stop(&stream);
	*ret_stream = stream;
	return err;
}

void stream_stop(struct stream **stream)
{
	struct stream *old = *stream;
	*stream = NULL;
	if (!old)
		return;
	engine_consumer_stop(&old->consumer);
	for (size_t i = 0; i < old->count; i++)
		http_events_unref(&old->watches[i].events);
	pthread_mutex_destroy(&old->lock);
	free(old);
}

/* ---- beginning to watch ---- */

struct catching_up {
	struct stream *stream;
	struct stream_watch *watch;
	struct err_info *info;
	int64_t reads;
	int64_t until; /* the views hold so much; what is behind it is told at the next round */
	bool is_there;
};

static enum err catch_up_one(void *context, const struct event *event)
{
	struct catching_up *at = context;
	struct stream_event telling = {.event = event};
	at->is_there = (int64_t)event->header.number > at->until;
	if (at->is_there)
		return ERR_BUSY;
	if (++at->reads > CATCH_UP_READS || at->watch->told > CATCH_UP)
		return ERR_BUSY; /* ends the reading; not answered */
	enum err err = at->watch->channel->event ? at->watch->channel->event(at->stream, at->watch, &telling, at->info)
						 : ERR_OK;
	if (!err) /* who is told that it is behind comes again from here */
		at->watch->position = (int64_t)event->header.number;
	event_end(&telling);
	return err;
}

/* Puts the watch on the list where it has all that the thread has taken in. */
static bool hand_over(struct stream *stream, const struct stream_watch *watch)
{
	pthread_mutex_lock(&stream->lock);
	bool has_all = watch->position >= stream->position;
	if (has_all) {
		stream->watches[stream->count++] = *watch;
		stream->promised--;
	}
	pthread_mutex_unlock(&stream->lock);
	return has_all;
}

static void break_promise(struct stream *stream)
{
	pthread_mutex_lock(&stream->lock);
	stream->promised--;
	pthread_mutex_unlock(&stream->lock);
}

/* The stream ends here, in order; who watches connects again behind what it has got. */
static void end_behind(struct stream_watch *watch)
{
	char number[24];
	snprintf(number, sizeof number, "%lld", (long long)watch->position);
	(void)!http_events_finish(watch->events, number, "behind", "{\"reason\":\"behind\"}");
	http_events_unref(&watch->events);
}

static enum err catch_up(struct stream *stream, struct stream_watch *watch, struct err_info *info)
{
	struct catching_up at = {.stream = stream, .watch = watch, .info = info};
	enum err err = ERR_OK;
	for (int i = 0; i < HANDOVERS_MOST && !err; i++) {
		at.until = engine_position(stream->engine);
		at.is_there = false;
		if (watch->position < at.until) {
			err = views_wait(stream, at.until, info);
			if (!err)
				err = engine_journal_read(stream->store, watch->position + 1, catch_up_one, &at, info);
			err = err && at.is_there ? ERR_OK : err;
		}
		if (!err && hand_over(stream, watch))
			return ERR_OK;
	}
	return err ? err : ERR_BUSY;
}

/* Of two daemons the one that is connected to next may not have followed so far yet. */
static enum err followed_wait(struct stream *stream, int64_t position, struct err_info *info)
{
	int64_t deadline_us = clock_monotonic_us() + FOLLOWED_WAIT_US;
	bool there = engine_wait_position(stream->engine, position, deadline_us) == ERR_OK ||
		     engine_position(stream->engine) >= position;
	return there ? ERR_OK
		     : err_set(info, ERR_BUSY, "/Last-Event-ID",
			       "this daemon has not read the journal up to this position yet; try again");
}

static enum err position_of(
	struct http_request *request, struct stream *stream, int64_t *ret_position, struct err_info *info)
{
	const char *text = http_header(request, "Last-Event-ID");
	char *end = NULL;
	int64_t now = engine_position(stream->engine);
	*ret_position = now;
	if (!text || !*text)
		return ERR_OK;
	long long position = *text >= '0' && *text <= '9' ? strtoll(text, &end, 10) : -1;
	if (position < 0 || *end || (position > now && !store_is_shared(stream->store)))
		return err_set(info, ERR_INVALID_FIELD, "/Last-Event-ID",
			"/Last-Event-ID must be a position of the journal, 0..%lld", (long long)now);
	*ret_position = position;
	return position > now ? followed_wait(stream, position, info) : ERR_OK;
}

static enum err promise(struct stream *stream, struct err_info *info)
{
	pthread_mutex_lock(&stream->lock);
	if (stream->count + stream->promised >= WATCHERS_MAX && !stream->telling)
		watches_join(stream); /* where nothing happens, nothing else takes them off */
	bool room = stream->count + stream->promised < WATCHERS_MAX;
	stream->promised += room;
	pthread_mutex_unlock(&stream->lock);
	return room ? ERR_OK : err_set(info, ERR_BUSY, NULL, "too many are watching");
}

enum err stream_watch_begin(
	struct http_request *request, struct stream *stream, struct stream_watch watch, struct err_info *info)
{
	char number[24], data[64];
	struct err_info ignored;
	enum err err = position_of(request, stream, &watch.position, info);
	if (!err)
		err = views_wait(stream, engine_position(stream->engine), info);
	if (!err)
		err = promise(stream, info);
	if (err)
		return err;
	err = http_answer_events(request, QUEUE, &watch.events);
	if (err) {
		break_promise(stream);
		return err_set(info, err, NULL, "no memory for the stream");
	}
	/* from here on the answer is the stream, whatever happens */
	snprintf(number, sizeof number, "%lld", (long long)watch.position);
	snprintf(data, sizeof data, "{\"position\":%lld}", (long long)watch.position);
	watch.sequence = -1;
	err = http_events_send(watch.events, number, "begin", data);
	if (!err && watch.channel->changed)
		err = watch.channel->changed(stream, &watch, &ignored);
	if (!err)
		err = catch_up(stream, &watch, &ignored);
	if (err) {
		break_promise(stream);
		end_behind(&watch);
	}
	return ERR_OK;
}

enum err stream_poll_begin(struct http_request *request, struct stream *stream, struct stream_watch watch,
	const char *otherwise, int64_t wait_us, struct err_info *info)
{
	struct err_info ignored;
	enum err err = promise(stream, info);
	if (err)
		return err;
	watch.is_poll = true;
	err = http_answer_held(request, "application/json", otherwise, wait_us, &watch.events);
	if (err) {
		break_promise(stream);
		return err_set(info, err, NULL, "no memory for the answer");
	}
	if (catch_up(stream, &watch, &ignored)) { /* it was given, or is `otherwise` in time */
		break_promise(stream);
		gone(&watch);
	}
	return ERR_OK;
}
