/* Streams of what the journal says, for many who watch: one consumer of the journal a stream, each watcher from its own
 * position on. Started and stopped on the main thread. */
#ifndef API_STREAM_H
#define API_STREAM_H

#include "carbond/engine.h"
#include "carbond/http.h"

struct stream;
struct stream_watch;

/* An event that is told to one watcher after the other: what is made of it for the first serves the others. */
struct stream_event {
	const struct event *event;
	char *text; /* its JSON, made when first asked for */
	/* what it has changed, when first asked for */
	bool is_read;
	struct order_row orders[2]; /* id zero: there is none */
	struct entry_row *entries;
	size_t entry_count;
	struct arena *arena; /* of all this */
};

/* What is watched. On the stream's thread, or on the worker that begins to watch. */
struct stream_channel {
	/* Tells a watcher of an event by stream_tell. ERR_NOT_FOUND: the client is gone. */
	enum err (*event)(
		struct stream *stream, struct stream_watch *watch, struct stream_event *event, struct err_info *info);
	/* Or of what the views are after events that may have changed what is watched; NULL where `event` is all. */
	enum err (*changed)(struct stream *stream, struct stream_watch *watch, struct err_info *info);
};

struct stream_watch {
	const struct stream_channel *channel;
	struct http_events *events;
	int64_t position; /* it has been told of all up to here */
	struct id org;    /* whose; zero: of all */
	int64_t number;   /* of a market, an instrument, a class */
	int64_t levels;   /* of its depth */
	int64_t sequence; /* of the depth that it has; −1: none */
	int64_t told;     /* frames */
	bool is_poll;     /* one answer, and it is over */
};

/* `reads_views`: events are told once the views hold them. */
enum err stream_start(struct engine *engine, struct store *store, const char *name, bool reads_views,
	struct stream **ret_stream, struct err_info *info) MUST_CHECK;
/* NULL is allowed; the pointer becomes NULL. Watchers' streams end when http stops. */
void stream_stop(struct stream **stream);

struct store *stream_store(struct stream *stream);

/* Answers with the stream: from Last-Event-ID on, or from now. First comes the event "begin" with the position; who is too
 * far behind gets what one connection may have, then the event "behind", and connects again. Workers. ERR_BUSY: too many
 * watch; ERR_INVALID_FIELD: Last-Event-ID is no position of the journal. */
enum err stream_watch_begin(struct http_request *request, struct stream *stream, struct stream_watch watch,
	struct err_info *info) MUST_CHECK;

/* Answers with what the channel gives to a held answer of the first event behind watch.position that concerns it; else, when `wait_us`
 * are over, with `otherwise`. Workers. ERR_BUSY: too many watch. */
enum err stream_poll_begin(struct http_request *request, struct stream *stream, struct stream_watch watch,
	const char *otherwise, int64_t wait_us, struct err_info *info) MUST_CHECK;

/* Sends a frame. Of several that one event makes only the last `is_last`: it carries the position, so that who is cut
 * between them gets all of them again. ERR_NOT_FOUND: the client is gone. */
enum err stream_tell(struct stream_watch *watch, const struct stream_event *event, const char *name, const char *data,
	bool is_last) MUST_CHECK;

#endif
