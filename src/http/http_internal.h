/* What the files of room http share: the server, its connections and a request's whole life. A request is owned by the http
 * thread of its connection; while it waits (state WAITING) it is lent to one worker, or to whoever completes its reply, and
 * the deadline thread may take the answer away from them. Whoever moves `state` out of WAITING resumes the connection. */
#ifndef CARBOND_HTTP_INTERNAL_H
#define CARBOND_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/base/log.h"
#include "carbond/http.h"

#define HTTP_PARAMS_MAX  8
#define HTTP_HEADERS_OUT 16
#define HTTP_REQUEST_ID  64
#define HTTP_ARENAS_KEPT 64 /* of ended requests, for the next ones: a first block each */

struct http_pair {
	const char *name, *value;
};

/* ---- router ---- */

enum { HTTP_METHODS = HTTP_DELETE + 1 };

struct router;

struct router_match {
	const struct http_route *const *routes; /* by method; NULL: no such path */
	size_t param_count;
	struct http_pair params[HTTP_PARAMS_MAX]; /* values still percent-encoded, not terminated */
	size_t value_sizes[HTTP_PARAMS_MAX];
};

/* Compiles the tables into a trie of path segments in the arena. ERR_INVALID_CONFIG for two rows of one method and path, a
 * row without permission or handler, or a path that is not well formed. */
enum err http_router_new(struct arena *arena, const struct http_route *const *tables, struct router **ret_router,
	struct err_info *info) MUST_CHECK;
/* Literal segments win over parameters. `path` begins with '/'. */
bool http_router_find(const struct router *router, const char *path, size_t size, struct router_match *ret_match);
/* "GET, HEAD, POST, OPTIONS" for a path's methods. */
const char *http_router_allow(struct arena *arena, const struct http_route *const *routes);
const char *http_method_text(enum http_method method);

/* ---- connections and deadlines ---- */

enum connection_phase {
	CONNECTION_IDLE,      /* between requests */
	CONNECTION_HEADER,    /* the first request's head, or a later one's after its first line, is arriving */
	CONNECTION_BODY,      /* the body is arriving */
	CONNECTION_ANSWERING, /* a handler works, or the answer is being written */
};

struct connection {
	struct connection *next, *previous; /* under server->lock */
	int socket;
	bool refused; /* beyond connections_max: answered 503 */
	atomic_int phase;
	atomic_llong since_us; /* monotonic: when the phase began */
	char peer[64];
};

/* ---- work ---- */

struct work; /* the bounded pool of threads that may block */

struct work *http_work_new(unsigned threads, size_t capacity);
/* Reserves room for one request; false when full. Then http_work_put cannot fail. */
bool http_work_reserve(struct work *work);
void http_work_put(struct work *work, struct http_request *request);
/* Finishes what is queued and joins the threads. */
void http_work_free(struct work **work);

/* ---- server ---- */

struct http_server {
	struct http_options options; /* strings live in `arena` */
	struct arena *arena;
	struct router *router;
	struct MHD_Daemon *daemon;
	struct work *work, *relays; /* relays: NULL where nothing is passed on */
	uint16_t port;
	int listen_socket, listen_stop;
	struct thread *acceptor;
	int64_t idle_us, header_us, body_us, answer_us, stall_us;
	unsigned connection_limit; /* the library's: well above ours, beyond which it goes silent */
	atomic_int connection_count;
	atomic_int open_requests;
	atomic_llong body_bytes; /* held by all requests */
	atomic_llong
		refused_us; /* monotonic: when a request was refused for want of a worker or connection; 0: never */
	atomic_bool stopping;

	pthread_mutex_t lock; /* rank: before an event stream's lock; never held across a call out of http but resume */
	pthread_cond_t changed;
	struct connection *connections;
	struct http_request *waiting_first, *waiting_last; /* in order of deadline */
	struct http_events *streams;
	bool sweep_stop;
	struct thread *sweeper;

	pthread_mutex_t arenas_lock; /* rank: innermost */
	struct arena *arenas[HTTP_ARENAS_KEPT];
	size_t arena_count;
};

/* A request's arena: one of an earlier request, reset, or a new one; NULL without memory. */
struct arena *http_arena_take(struct http_server *server);
/* Any thread. */
void http_arena_give(struct http_server *server, struct arena *arena);

#define NUMBER_SIZE 24
/* Decimal digits of a number ≥ 0, right-aligned in the text; returns their start. */
char *http_number_text(int64_t number, char text[NUMBER_SIZE]);

/* Counts a request or connection that is refused since there is no room for it. */
void http_note_refusal(struct http_server *server);

/* Binds (ERR_INVALID_CONFIG, ERR_IO); accepts on a thread; stops both, which may be called at any stage. */
enum err http_listener_open(struct http_server *server, struct err_info *info) MUST_CHECK;
enum err http_listener_start(struct http_server *server) MUST_CHECK;
void http_listener_stop(struct http_server *server);

enum err http_deadlines_start(struct http_server *server) MUST_CHECK;
void http_deadlines_stop(struct http_server *server);
void http_connection_enter(struct connection *connection, enum connection_phase phase);
/* CONNECTION_ANSWERING, which has no deadline of the connection's, so that the clock need not be asked. */
void http_connection_answering(struct connection *connection);
/* Puts a request on the waiting list, or takes it off (no fault if it is not on it). */
void http_waiting_add(struct http_server *server, struct http_request *request);
void http_waiting_remove(struct http_server *server, struct http_request *request);
/* Answers every waiting request with `code` now. */
void http_waiting_expire_all(struct http_server *server, enum err code);

/* ---- the request ---- */

enum request_state {
	REQUEST_OPEN,    /* on the http thread */
	REQUEST_WAITING, /* suspended; lent */
	REQUEST_DONE,    /* resumed with an answer or a reply */
	REQUEST_EXPIRED, /* resumed by the deadline; the borrower may still use the request's memory */
};

struct http_stream {
	struct http_request *request; /* reference while MHD holds the stream; NULL before */
	long (*read)(void *context, uint64_t offset, char *buffer, size_t size);
	void (*release)(void *context);
	void *context;
};

struct http_answer {
	bool given;
	int status;
	const char *media;
	const char *body; /* in the arena, or constant */
	size_t size;
	int64_t version; /* ETag; −1: none */
	struct http_stream *stream;
	struct http_events *events;
	size_t header_count;
	struct http_pair headers[HTTP_HEADERS_OUT];
};

struct http_request {
	atomic_int refs;
	atomic_int state;       /* enum request_state */
	atomic_int expire_code; /* enum err, set before EXPIRED */
	struct http_server *server;
	struct MHD_Connection *mhd;
	struct connection *connection;
	struct arena *arena;
	struct arena *spare; /* for the answer of an expired request, whose arena may still be in use */
	struct http_request *waiting_next, *waiting_previous; /* under server->lock */
	bool on_waiting_list;
	int64_t deadline_us;
	int64_t started_us; /* monotonic */

	/* what came; immutable once lent */
	const char *target;
	bool opened, head, options, chunked, has_body, close;
	bool elsewhere; /* the relay answers it */
	enum http_method method;
	const char *method_name;
	const struct http_route *route;
	size_t param_count;
	struct http_pair params[HTTP_PARAMS_MAX];
	size_t header_count;
	struct http_pair *headers;
	char *body; /* malloc'ed */
	size_t body_size, body_capacity, body_discarded;
	bool body_too_large;
	const char *media;
	void *query_row, *body_row;
	json_t *document;
	size_t page_limit;
	const char *page_cursor;
	int64_t at_least, if_match;
	struct id idempotency_key;
	struct http_actor actor;
	char id[HTTP_REQUEST_ID];
	const char *peer;

	/* what goes */
	struct err_info failure; /* code ERR_OK: none */
	const char *allow;
	struct http_answer answer;
	struct runtime_reply *reply;
	int sent_status;
	size_t sent_bytes;
};

/* Checks a request's head byte by byte: framing, Host, header syntax. ERR_BAD_REQUEST and close. Fills headers. */
enum err http_check_head(
	struct http_request *request, const char *method, const char *version, struct err_info *info) MUST_CHECK;
/* Checks the request target and finds its path and query (origin form; absolute form only where it names the Host). */
enum err http_check_target(struct http_request *request, const char **ret_path, size_t *ret_path_size,
	const char **ret_query, struct err_info *info) MUST_CHECK;
/* Percent-decodes into the arena; `plus` turns '+' into a space. ERR_BAD_REQUEST for control characters or bad UTF-8. */
enum err http_percent_decode(struct arena *arena, const char *text, size_t size, bool plus, char **ret_text,
	struct err_info *info) MUST_CHECK;

struct http_request *http_request_new(
	struct http_server *server, struct connection *connection, struct MHD_Connection *mhd, const char *target);
void http_request_unref(struct http_request *request);
/* First call: everything that can be known before the body. Sets request->failure or finds the route and the actor. */
void http_request_open(struct http_request *request, const char *method, const char *version);
/* A piece of the body. False: give up the connection. */
bool http_request_take_body(struct http_request *request, const char *data, size_t size);
/* Parses the body by the row; on the thread that runs the handler. */
enum err http_request_decode_body(struct http_request *request, struct err_info *info) MUST_CHECK;
/* Runs the handler and sees that there is an answer or a failure. */
void http_request_run_handler(struct http_request *request);
/* Ends WAITING with the given outcome and resumes the connection; false when the deadline was first. */
bool http_request_finish(struct http_request *request, enum request_state outcome);

/* Compresses a larger body where the client takes it; on the thread that made it. */
void http_answer_compress(struct http_request *request);
/* Queues the answer on the connection; http thread. */
enum MHD_Result http_answer_send(struct http_request *request);
void http_answer_failure(struct http_answer *answer, struct arena *arena, const struct http_request *request,
	const struct err_info *failure);
const char *http_header_in(const struct http_request *request, const char *name);

/* ---- event streams ---- */

struct MHD_Response *http_events_response(struct http_events *events);
void http_events_drop(struct http_events **events); /* the server's own reference of a stream that was never sent */
void http_events_beat(
	struct http_server *server, bool ends); /* under server->lock: keeps streams alive, or ends them */
void http_held_lapse(struct http_server *server, int64_t now_us); /* likewise: held answers whose time is over */

#endif
