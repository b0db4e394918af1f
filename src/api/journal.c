/* The journal for auditors, record by record, and the feed of events for all whom they concern. Workers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"

#include "spool.h"
#include "stream.h"
#include "value.h"

#define EXPORT_BYTES (8u << 20) /* one page of the export */
#define FEED_MOST    1000       /* events of a page … */
#define FEED_READS   20000      /* … out of so many of the journal */
#define FEED_WAIT_S  30         /* a poll waits no longer */

static const enum err stream_errors[] = {ERR_BUSY, ERR_STOPPING, ERR_OK};

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

/* ---- the feed: as it happens, or page by page ---- */

/* What the journal needs for itself. */
static bool is_bookkeeping(uint16_t type)
{
	return type == EVENT_ACTOR_NAMED || type == EVENT_COMMAND_DONE || type == EVENT_SOURCE_DONE;
}

/* An organisation sees the events that name it. */
static bool is_seen_by(const char *text, struct id org)
{
	char id[ID_TEXT_SIZE];
	return id_is_none(org) || strstr(text, id_text(org, id));
}

static char *event_text(const struct event *event)
{
	json_t *document = event_json(event);
	char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
	json_decref(document);
	return text;
}

static enum err feed_event(
	struct stream *stream, struct stream_watch *watch, struct stream_event *told, struct err_info *info)
{
	(void)stream;
	uint16_t type = told->event->header.type;
	if (is_bookkeeping(type))
		return ERR_OK;
	if (!told->text)
		told->text = event_text(told->event);
	if (!told->text)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for an event");
	return is_seen_by(told->text, watch->org) ? stream_tell(watch, told, event_type_name(type), told->text, true)
						  : ERR_OK;
}

static const struct stream_channel feed = {.event = feed_event};

/* The first event is all that a poll gets. */
static enum err poll_event(
	struct stream *stream, struct stream_watch *watch, struct stream_event *told, struct err_info *info)
{
	(void)stream;
	if (is_bookkeeping(told->event->header.type))
		return ERR_OK;
	if (!told->text)
		told->text = event_text(told->event);
	if (!told->text)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for an event");
	if (!is_seen_by(told->text, watch->org))
		return ERR_OK;
	char *body = NULL;
	int size = asprintf(&body, "{\"items\":[%s],\"next_position\":%llu}", told->text,
		(unsigned long long)told->event->header.number + 1);
	enum err err = size < 0 ? ERR_NO_MEMORY : http_held_give(watch->events, body);
	if (size >= 0)
		free(body);
	return err ? err : ERR_NOT_FOUND; /* it has what it came for */
}

static const struct stream_channel poll_feed = {.event = poll_event};

struct feed_query {
	int64_t from, limit, wait;
};
static const struct field feed_query_fields[] = {
	FIELD(struct feed_query, from, FIELD_INT, .min = 1,
		.doc = "Of pages: first position; the first event where left out"),
	FIELD(struct feed_query, limit, FIELD_INT, .min = 1, .max = FEED_MOST,
		.doc = "Of pages: at most so many events, 100 where left out"),
	FIELD(struct feed_query, wait, FIELD_INT, .min = 1, .max = FEED_WAIT_S, .unit = "s",
		.doc = "Of pages: where there is none yet, wait so long for the next event; answered at once where "
		       "left out"),
	FIELD_END};

struct feed_page {
	struct id org;
	json_t *items;
	size_t most;
	int64_t reads, last;
};

static enum err feed_add(void *context, const struct event *event)
{
	struct feed_page *page = context;
	char *text = NULL;
	if (json_array_size(page->items) == page->most || page->reads++ == FEED_READS)
		return ERR_BUSY; /* ends the reading; not answered */
	page->last = (int64_t)event->header.number;
	if (is_bookkeeping(event->header.type))
		return ERR_OK;
	text = event_text(event);
	enum err err = text ? ERR_OK : ERR_NO_MEMORY;
	if (!err && is_seen_by(text, page->org) && json_array_append_new(page->items, json_loads(text, 0, NULL)) != 0)
		err = ERR_NO_MEMORY;
	free(text);
	return err;
}

static enum err feed_answer_page(struct http_request *request, struct id org, struct err_info *info)
{
	const struct feed_query *given = http_query(request);
	int64_t from = given->from == FIELD_ABSENT ? 1 : given->from;
	struct feed_page page = {.org = org,
		.items = json_array(),
		.most = given->limit == FIELD_ABSENT ? 100 : (size_t)given->limit,
		.last = from - 1};
	enum err err = page.items ? ERR_OK : ERR_NO_MEMORY;
	if (!err && from <= engine_position(api_of(request)->engine))
		err = engine_journal_read(api_of(request)->store, from, feed_add, &page, info);
	bool has_read_all = err == ERR_OK;
	if (err == ERR_BUSY)
		err = ERR_OK;
	if (err) {
		json_decref(page.items);
		return err == ERR_NO_MEMORY ? err_set(info, err, NULL, "no memory for the events") : err;
	}
	json_t *answer = document_own(http_arena(request),
		json_pack("{s:o, s:I}", "items", page.items, "next_position", (json_int_t)page.last + 1));
	size_t size = 0;
	const char *text = answer ? document_text(http_arena(request), answer, &size) : NULL;
	if (!text)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the events");
	struct stream *stream = api_of(request)->journal_stream;
	if (given->wait == FIELD_ABSENT || !has_read_all || json_array_size(page.items) > 0 || !stream)
		return http_answer_text(request, "application/json", text, size);
	struct stream_watch watch = {.channel = &poll_feed, .org = org, .position = page.last};
	return stream_poll_begin(request, stream, watch, text, given->wait * CLOCK_US_PER_SECOND, info);
}

static enum err events_feed(struct http_request *request, struct err_info *info)
{
	struct stream *stream = api_of(request)->journal_stream;
	struct id org = api_reaches_all(request) ? (struct id){0} : http_actor(request)->org;
	enum err err = value_at_least(request, info);
	if (!err && !api_reaches_all(request) && id_is_none(org))
		err = err_set(info, ERR_FORBIDDEN, NULL, "a key without organisation sees no organisation's events");
	if (err)
		return err;
	if (http_accepts(request, "application/json") && !http_accepts(request, "text/event-stream"))
		return feed_answer_page(request, org, info);
	if (!stream)
		return err_set(info, ERR_STOPPING, NULL, "the stream of events is not running");
	return stream_watch_begin(request, stream, (struct stream_watch){.channel = &feed, .org = org}, info);
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
	HTTP_ROUTE(HTTP_GET, "/v1/events", "holding:read", .kind = HTTP_WORK, .flags = HTTP_STREAM_BODY | HTTP_AT_LEAST,
		.cost = 5, .query = feed_query_fields, .query_size = sizeof(struct feed_query),
		.response_media = "text/event-stream", .success = 200, .errors = stream_errors, .handler = events_feed,
		.operation = "events.watch",
		.doc = "Journal events: those that name the caller's organisation, or all. As they happen (server-sent "
		       "events; Last-Event-ID resumes behind a position), or with Accept: application/json a page "
		       "{items, next_position} from a position on, which with wait= is held back until there is one"),
	{.path = NULL}};
