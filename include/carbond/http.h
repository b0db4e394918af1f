/* http: the only room that sees microhttpd.h. Listener, router over rows, request checks, deadlines, problem+json, SSE.
 * It knows nothing of what the routes do. Handlers of kind HTTP_INLINE run on an http thread and must not block;
 * HTTP_WORK handlers run on a bounded pool of worker threads that may block (store reads and writes), unless the row's
 * `quick` has answered on the http thread from what is at hand; HTTP_LATER
 * handlers run on an http thread, submit to another thread with a runtime_reply, and `reply` encodes on a http thread
 * when it is done. */
#ifndef CARBOND_HTTP_H
#define CARBOND_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/field.h"
#include "carbond/base/text.h"
#include "carbond/runtime.h"

struct http_server;
struct http_request;

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE };
enum http_kind { HTTP_INLINE, HTTP_WORK, HTTP_LATER };

enum http_flag {
	HTTP_PUBLIC = 1,   /* no credentials needed; the permission column then says "public" */
	HTTP_VALUE = 2,    /* changes value: Idempotency-Key is required (decision 11) */
	HTTP_IF_MATCH = 4, /* If-Match is required (428 without) */
	HTTP_PAGED = 8, /* takes limit and cursor (http_page_limit, http_page_cursor), answers {items, next_cursor} */
	HTTP_STREAM_BODY = 16, /* the response may be a stream (http_answer_stream, http_answer_events) */
	HTTP_AT_LEAST = 32,    /* takes at-least=<position> (decision 12): http_at_least */
};

/* Who makes a request; filled by the authenticate function, kept in the request. */
struct http_actor {
	struct id user; /* key, user or device */
	struct id org;  /* organisation; zero for the platform */
	unsigned roles; /* bit set of identity's roles */
	unsigned scope; /* how far the route's permission reaches: identity's own, org or any */
	char name[64];  /* for logs: the key's label, never the key */
};

/* A route is a row. A row without `permission` does not build (HTTP_ROUTE asserts it). */
struct http_route {
	enum http_method method;
	const char *path;       /* "/v1/units/{id}" */
	const char *permission; /* "unit:read"; "public" with HTTP_PUBLIC */
	enum http_kind kind;
	unsigned flags;
	size_t body_bytes_max;     /* 0: no body allowed */
	const char *const *media;  /* accepted request media types, NULL-terminated; NULL: application/json */
	const struct field *query; /* query parameters, read into http_query */
	size_t query_size;
	const struct field *request; /* body's fields, read into http_body; NULL: the handler reads the raw body */
	size_t request_size;
	enum field_mode request_mode;
	const struct field *response; /* for OpenAPI; NULL: see `response_media` */
	const char *response_media;   /* NULL: application/json */
	int success;                  /* status of success: 200, 201, 202, 204 */
	int cost;                     /* rate-limit units, ≥ 1 */
	size_t page_rows_max;         /* HTTP_PAGED: the largest limit; 0: LIMIT_PAGE_ROWS */
	const enum err *errors;       /* what it may answer beside the common ones; ended by ERR_OK */
	enum err (*handler)(struct http_request *request, struct err_info *info);
	enum err (*reply)(struct http_request *request, struct runtime_reply *reply, struct err_info *info);
	/* HTTP_WORK: asked first, on the http thread, and must not block; where it answers nothing a worker runs `handler` */
	enum err (*quick)(struct http_request *request, struct err_info *info);
	const void *subject;   /* what handlers that serve several routes are about; http does not look at it */
	const char *operation; /* "units.create": OpenAPI operationId and carbonctl's noun and verb */
	const char *doc;       /* one line */
};

#define HTTP_ROUTE(method_, path_, permission_, ...)                                                          \
	{                                                                                                     \
		.method = (method_), .path = (path_),                                                         \
		.permission = (permission_) + 0 * sizeof(char[sizeof(permission_) > 1 ? 1 : -1]), __VA_ARGS__ \
	}

struct http_options {
	const char *address; /* "127.0.0.1" */
	uint16_t port;       /* 0: any; http_server_port tells */
	unsigned threads;    /* http × N */
	unsigned workers;    /* query × Q */
	size_t worker_queue; /* 503 + Retry-After beyond */
	unsigned connections_max;
	int64_t header_deadline_us, body_deadline_us, idle_deadline_us, answer_deadline_us, stall_deadline_us;
	const char *certificate_file; /* PEM, NULL: no TLS */
	const char *key_file;
	bool behind_proxy;
	const struct http_route *const *tables; /* NULL-terminated list of tables, each ended by path NULL */
	void *context;                          /* http_context in handlers */
	/* Checks credentials (http_header "Authorization"), the route's permission (http_route) and the rate limit (its
	 * cost; http_peer) of a request, and may set headers (Retry-After). Called for public routes too, which it lets
	 * pass without credentials. Runs on a http thread and must not block. ERR_UNAUTHENTICATED, ERR_FORBIDDEN,
	 * ERR_RATE_LIMITED. NULL: only public routes answer. */
	enum err (*authenticate)(
		void *context, struct http_request *request, struct http_actor *ret_actor, struct err_info *info);
	/* Where several servers share the work: whether another is to answer a request. Asked on an http thread before a route's
	 * handler, with ERR_OK, and on a worker with what a handler of kind HTTP_WORK has refused with. Must not block. Then `relay`
	 * answers it, on one of `relay_threads` of its own, since it waits for others; or on the worker that asked, in the handler's
	 * place. NULL: all are answered here. */
	bool (*is_elsewhere)(void *context, struct http_request *request, enum err refused);
	enum err (*relay)(void *context, struct http_request *request, struct err_info *info);
	unsigned relay_threads; /* ≥ 1 with `relay` */
};

/* Binds and starts all threads; main thread. ERR_INVALID_CONFIG (address, certificate, a row that is wrong), ERR_IO (the port
 * is taken), ERR_NO_MEMORY. */
enum err http_server_start(
	const struct http_options *options, struct http_server **ret_server, struct err_info *info) MUST_CHECK;
/* The port that is listened on, also where options said 0. Any thread. */
uint16_t http_server_port(const struct http_server *server);
/* For /readyz: false, with a sentence in `reason`, while requests were refused for want of a worker or of connections in the
 * last two seconds. NULL (not started yet) is ready. Any thread. */
bool http_server_ready(struct http_server *server, char *reason, size_t size);
/* Graceful drain: stops listening, lets open requests finish until `deadline_us` (monotonic), then closes. */
void http_server_stop(struct http_server **server, int64_t deadline_us);

/* ---- the request, for handlers ---- */

/* What a handler asks of its request. Pointers live as long as the request. On the handler's thread. */
struct arena *http_arena(struct http_request *request);
void *http_context(struct http_request *request);
const struct http_route *http_route(struct http_request *request);
const struct http_actor *http_actor(struct http_request *request);
const char *http_request_id(struct http_request *request);
const char *http_header(struct http_request *request, const char *name);    /* NULL: absent */
const char *http_path_text(struct http_request *request, const char *name); /* decoded path parameter */
/* A path parameter as an id; ERR_INVALID_ID. */
enum err http_path_id(
	struct http_request *request, const char *name, struct id *ret_id, struct err_info *info) MUST_CHECK;
/* What the rows' field tables read from query and body; NULL where the route has none. */
const void *http_query(struct http_request *request); /* struct by the route's query table */
const void *http_body(struct http_request *request);  /* struct by the route's request table */
/* Routes with FIELD_REPLACE: lays the body over a row that was read (members present overwrite, null makes absent). */
enum err http_body_over(struct http_request *request, void *row, struct err_info *info) MUST_CHECK;
const json_t *http_body_json(struct http_request *request);                 /* the parsed document, or NULL */
const char *http_body_text(struct http_request *request, size_t *ret_size); /* the raw body */
const char *http_body_media(struct http_request *request);                  /* without parameters */
/* The request line: "POST", and path with query as they came. */
const char *http_method_name(struct http_request *request);
const char *http_target(struct http_request *request);
const char *http_peer(struct http_request *request); /* the client's address; behind_proxy: last X-Forwarded-For */
/* The client is another than the one that is connected: who passes its request on says so. Text in the arena. http thread. */
void http_believe_peer(struct http_request *request, const char *peer);
size_t http_page_limit(struct http_request *request);         /* HTTP_PAGED: limit=, 1..LIMIT_PAGE_ROWS, default 100 */
const char *http_page_cursor(struct http_request *request);   /* HTTP_PAGED: cursor=, NULL on the first page */
int64_t http_at_least(struct http_request *request);          /* HTTP_AT_LEAST: at-least=, FIELD_ABSENT without */
struct id http_idempotency_key(struct http_request *request); /* zero: none */
struct hash http_request_hash(struct http_request *request);  /* method, path and body (decision 11) */
/* The If-Match version: our ETags are "\"<version>\"". FIELD_ABSENT: header absent; −1: "*". */
int64_t http_if_match(struct http_request *request);

/* ---- answering: exactly once a request; a handler that returns an error answers problem+json ---- */

/* One row, one document, text, or nothing (204). ERR_NO_MEMORY. */
enum err http_answer_row(struct http_request *request, const struct field *table, const void *row,
	int64_t version) MUST_CHECK; /* ETag unless version < 0; 304 on If-None-Match */
/* The same of a row that was written before: its JSON, which lives in the arena or is constant. */
enum err http_answer_written(struct http_request *request, const char *json, size_t size, int64_t version) MUST_CHECK;
enum err http_answer_json(struct http_request *request, json_t *document) MUST_CHECK; /* takes the reference */
enum err http_answer_text(struct http_request *request, const char *media, const char *text,
	size_t size) MUST_CHECK; /* text lives in the arena or is constant */
enum err http_answer_empty(struct http_request *request) MUST_CHECK;
/* A page whose rows are written one by one, so that they need not all be there at once. Starts as {0}. */
struct http_page {
	struct text text;
};
void http_page_add(struct http_page *page, const struct field *table, const void *row);
/* Answers with it; the page is {0} again, also after an error. `next_cursor` as for http_answer_page. */
enum err http_answer_written_page(
	struct http_request *request, struct http_page *page, const char *next_cursor) MUST_CHECK;
/* A page: items by table from an array of structs; `next` is the cursor's row key text or NULL. */
enum err http_answer_page(struct http_request *request, const struct field *table, const void *rows, size_t row_size,
	size_t count, const char *next_cursor) MUST_CHECK;
/* Streams: `read` gives up to `size` bytes (0: the end; −1: broken off) on an http thread and must not block long. */
enum err http_answer_stream(struct http_request *request, const char *media,
	long (*read)(void *context, uint64_t offset, char *buffer, size_t size), void (*release)(void *context),
	void *context) MUST_CHECK;
/* A further response header (Location, Content-Disposition, Retry-After …). */
void http_set_header(struct http_request *request, const char *name, const char *value);
void http_set_status(struct http_request *request, int status); /* 200 instead of 201 for a repeat, and the like */

/* Whether the Accept header takes a media type (absent: any); for resources with several representations. */
bool http_accepts(struct http_request *request, const char *media);

/* HTTP_LATER: what the handler calls after submitting; the server waits for it. The reply's wake is http's own. A
 * handler that returns an error has submitted nothing: both halves of the reply are then http's to drop. NULL without
 * memory. */
struct runtime_reply *http_reply_new(struct http_request *request);

/* ---- SSE ---- */

struct http_events;
/* Starts an event stream as the answer; the caller publishes with http_events_send from any thread until the client
 * goes (ERR_NOT_FOUND) and releases it with http_events_unref. A slow client is cut when its queue of `most` is full: its last
 * event is then "cut", with the reason. */
enum err http_answer_events(struct http_request *request, size_t most, struct http_events **ret_events) MUST_CHECK;
enum err http_events_send(struct http_events *events, const char *id, const char *event, const char *data) MUST_CHECK;
/* The stream's last event: it ends when the client has read it. Errors as for http_events_send. */
enum err http_events_finish(struct http_events *events, const char *id, const char *event, const char *data) MUST_CHECK;
void http_events_unref(struct http_events **events);
/* Whether nothing more can be sent: the client is gone, or the last event is under way. */
bool http_events_are_over(struct http_events *events);

/* An answer 200 that is held back: its body is `otherwise`, sent when `wait_us` are over or the server stops, unless another is given
 * before by http_held_give, once, from any thread (ERR_NOT_FOUND: too late). Released with http_events_unref. ERR_NO_MEMORY. */
enum err http_answer_held(struct http_request *request, const char *media, const char *otherwise, int64_t wait_us,
	struct http_events **ret_held) MUST_CHECK;
enum err http_held_give(struct http_events *held, const char *body) MUST_CHECK;

/* The problem+json of an error (RFC 9457), in the arena. */
char *http_problem_text(struct arena *arena, const struct err_info *info, const char *request_id, size_t *ret_size);

/* OpenAPI 3.1 document of the tables as a new object. */
json_t *http_openapi(const struct http_route *const *tables, const char *title, const char *version);

#endif
