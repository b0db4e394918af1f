/* The journal for auditors, record by record, and the live stream of events. The export reads on workers; the stream is fed
 * by one consumer of the journal for all who watch. */
#include "journal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool.h"
#include "value.h"

#define EXPORT_BYTES  (8u << 20) /* one page of the export */
#define WATCHERS_MAX  256
#define WATCHER_QUEUE 1024

/* ---- export ---- */

struct journal_query {
	int64_t from, limit;
};
static const struct field journal_query_fields[] = {
	FIELD(struct journal_query, from, FIELD_INT, .min = 1, .doc = "First position; the first event where left out"),
	FIELD(struct journal_query, limit, FIELD_INT, .min = 1, .max = 10000,
		.doc = "At most so many records (1,000 where left out), and at most 8 MB"),
	FIELD_END};

struct export
{
	FILE *out;
	int64_t left, last;
	bool full;
};

static enum err export_event(void *context, const struct event *event)
{
	struct export *export = context;
	json_t *document = event_json(event);
	char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
	json_decref(document);
	if (!text)
		return ERR_NO_MEMORY;
	fprintf(export->out, "%s\n", text);
	free(text);
	export->last = (int64_t)event->header.number;
	if (--export->left > 0 && ftell(export->out) < (long)EXPORT_BYTES)
		return ERR_OK;
	export->full = true;
	return ERR_BUSY; /* ends the reading; not answered */
}

static enum err journal_export(struct http_request *request, struct err_info *info)
{
	const struct journal_query *given = http_query(request);
	int64_t from = given->from == FIELD_ABSENT ? 1 : given->from;
	struct export export = {.left = given->limit == FIELD_ABSENT ? 1000 : given->limit, .last = from - 1};
	char *text = NULL;
	size_t size = 0;
	enum err err = value_at_least(request, info);
	if (err)
		return err;
	export.out = open_memstream(&text, &size);
	if (!export.out)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the export");
	err = engine_journal_read(api_of(request)->store, from, export_event, &export, info);
	if (export.full)
		err = ERR_OK;
	if (fclose(export.out) != 0 && !err)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the export");
	const char *copy = err ? NULL : arena_copy(http_arena(request), text, size);
	free(text);
	if (!err && !copy)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the export");
	if (err)
		return err;
	const char *next = arena_print(http_arena(request), "%lld", (long long)export.last + 1);
	if (next)
		http_set_header(request, "Carbond-Next-Position", next);
	return http_answer_text(request, "application/x-ndjson", copy, size);
}

/* ---- batches: the log itself, hashes and payloads, for carbonctl verify --journal ---- */

static enum err export_batch(void *context, const struct store_batch *batch)
{
	char prev[HASH_TEXT_SIZE], payload[HASH_TEXT_SIZE], hash[HASH_TEXT_SIZE];
	char *text = malloc(batch->payload_size * 4 / 3 + 5);
	if (!text)
		return ERR_NO_MEMORY;
	fprintf(context,
		"{\"seq\":%llu,\"term\":%llu,\"count\":%u,\"written_at_us\":%lld,\"node\":\"%s\",\"prev_hash\":\"%s\","
		"\"payload_hash\":\"%s\",\"hash\":\"%s\",\"payload\":\"%s\"}\n",
		(unsigned long long)batch->seq, (unsigned long long)batch->term, batch->count,
		(long long)batch->written_at_us, batch->node, hash_text(batch->prev_hash, prev),
		hash_text(batch->payload_hash, payload), hash_text(batch->hash, hash),
		base64url_text(batch->payload, batch->payload_size, text));
	free(text);
	return ferror((FILE *)context) ? ERR_NO_SPACE : ERR_OK;
}

static enum err journal_batches(struct http_request *request, struct err_info *info)
{
	char registry[ID_TEXT_SIZE];
	FILE *spool = NULL;
	enum err err = value_at_least(request, info);
	if (!err)
		err = spool_open(&spool, info);
	if (err)
		return err;
	fprintf(spool, "{\"format\":\"carbond/journal/1\",\"stream\":\"journal.0\",\"registry\":\"%s\"}\n",
		id_text(api_of(request)->registry, registry));
	err = store_log_read(api_of(request)->store, STORE_VALUE, "journal.0", 1, export_batch, spool, info);
	return spool_answer(request, "application/x-ndjson", spool, err, info);
}

/* ---- the live stream ---- */

struct watcher {
	struct http_events *events;
	struct id org; /* zero: all organisations */
};

struct journal_stream {
	struct engine_consumer *consumer;
	pthread_mutex_t lock; /* of the watchers; never held while another lock is taken but http's own queues */
	struct watcher watchers[WATCHERS_MAX];
	size_t count;
};

/* The organisations that an event is about, beside the one in its header. */
static bool concerns(const struct event *event, struct id org)
{
	struct id first = {0}, second = {0};
	switch (event->header.type) {
	case EVENT_VERIFIER_REGISTERED: first = event->verifier_registered.org; break;
	case EVENT_PERIOD_SUBMITTED: first = event->period_submitted.org; break;
	case EVENT_PERIOD_ATTESTED: first = event->period_attested.verifier_org; break;
	case EVENT_BATCH_ISSUED: first = event->batch_issued.org; break;
	case EVENT_BUFFER_TOPPED_UP: first = event->buffer_topped_up.org; break;
	case EVENT_TRANSFERRED:
		first = event->transferred.from;
		second = event->transferred.to;
		break;
	case EVENT_RETIRED: first = event->retired.org; break;
	case EVENT_ACCOUNT_HELD: first = event->account_held.org; break;
	case EVENT_ACCOUNT_RELEASED: first = event->account_released.org; break;
	default: break;
	}
	return id_equal(event->header.org, org) || id_equal(first, org) || id_equal(second, org);
}

static void tell(struct journal_stream *stream, const struct event *event)
{
	json_t *document = event_json(event);
	char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
	char number[24];
	json_decref(document);
	snprintf(number, sizeof number, "%llu", (unsigned long long)event->header.number);
	pthread_mutex_lock(&stream->lock);
	for (size_t i = 0; text && i < stream->count;) {
		struct watcher *watcher = &stream->watchers[i];
		bool sees = id_is_none(watcher->org) || concerns(event, watcher->org);
		enum err err =
			sees ? http_events_send(watcher->events, number, event_type_name(event->header.type), text)
			     : ERR_OK;
		if (!err) {
			i++;
			continue;
		}
		http_events_unref(&watcher->events); /* gone, or too slow */
		*watcher = stream->watchers[--stream->count];
	}
	pthread_mutex_unlock(&stream->lock);
	free(text);
}

static enum err tell_all(void *context, const struct event *events, size_t count, struct err_info *info)
{
	(void)info;
	struct journal_stream *stream = context;
	pthread_mutex_lock(&stream->lock);
	bool watched = stream->count > 0;
	pthread_mutex_unlock(&stream->lock);
	for (size_t i = 0; i < count && watched; i++)
		if (events[i].header.type != EVENT_ACTOR_NAMED && events[i].header.type != EVENT_COMMAND_DONE &&
			events[i].header.type != EVENT_SOURCE_DONE)
			tell(stream, &events[i]);
	return ERR_OK;
}

enum err journal_stream_start(struct engine *engine, struct journal_stream **ret_stream, struct err_info *info)
{
	struct journal_stream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the stream of events");
	pthread_mutex_init(&stream->lock, NULL);
	struct engine_consumer_options options = {
		.name = "events", .class = STORE_VIEWS, .each = tell_all, .context = stream, .ephemeral = true};
	enum err err = engine_consumer_start(engine, &options, &stream->consumer, info);
	if (err)
		journal_stream_stop(&stream);
	*ret_stream = stream;
	return err;
}

void journal_stream_stop(struct journal_stream **stream)
{
	struct journal_stream *old = *stream;
	*stream = NULL;
	if (!old)
		return;
	engine_consumer_stop(&old->consumer);
	for (size_t i = 0; i < old->count; i++)
		http_events_unref(&old->watchers[i].events);
	pthread_mutex_destroy(&old->lock);
	free(old);
}

static enum err events_watch(struct http_request *request, struct err_info *info)
{
	struct journal_stream *stream = api_of(request)->journal_stream;
	struct watcher watcher = {.org = http_actor(request)->org};
	if (!stream)
		return err_set(info, ERR_STOPPING, NULL, "the stream of events is not running");
	if (api_reaches_all(request))
		watcher.org = (struct id){0};
	pthread_mutex_lock(&stream->lock);
	enum err err = stream->count < WATCHERS_MAX ? http_answer_events(request, WATCHER_QUEUE, &watcher.events)
						    : err_set(info, ERR_BUSY, NULL, "too many are watching");
	if (!err)
		stream->watchers[stream->count++] = watcher;
	pthread_mutex_unlock(&stream->lock);
	return err;
}

const struct http_route api_journal_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/journal", "journal:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST, .cost = 10,
		.query = journal_query_fields, .query_size = sizeof(struct journal_query),
		.response_media = "application/x-ndjson", .success = 200, .handler = journal_export,
		.operation = "journal.export",
		.doc = "Journal records from a position, one JSON object a line; the header Carbond-Next-Position says "
		       "where to go on"),
	HTTP_ROUTE(HTTP_GET, "/v1/journal/batches", "journal:read", .kind = HTTP_WORK,
		.flags = HTTP_AT_LEAST | HTTP_STREAM_BODY, .cost = 100, .response_media = "application/x-ndjson",
		.success = 200, .handler = journal_batches, .operation = "journal.batches",
		.doc = "The whole journal as it is stored, batch by batch with hashes, for carbonctl verify --journal"),
	HTTP_ROUTE(HTTP_GET, "/v1/events", "holding:read", .flags = HTTP_STREAM_BODY, .cost = 5,
		.response_media = "text/event-stream", .success = 200, .handler = events_watch,
		.operation = "events.watch",
		.doc = "Journal events as they happen (server-sent events): those of the caller's organisation, or "
		       "all"),
	{.path = NULL}};
