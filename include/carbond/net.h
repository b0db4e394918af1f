/* net: outbound HTTP(S), the only room that sees curl.h. A request has a deadline, a limit for its answer and a list of hosts
 * that it may go to; redirects are not followed; what may be repeated is repeated with growing pauses. Calls block: from
 * threads that may (carbonctl's own, outbox senders). One client is used by one thread at a time. */
#ifndef CARBOND_NET_H
#define CARBOND_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/arena.h"

/* Call once before the first client and once after the last one. Main thread. */
enum err net_start(void) MUST_CHECK;
void net_stop(void);

/* A client keeps connections open between requests. */
struct net_client;

struct net_client *net_client_new(void); /* NULL without memory */
void net_client_free(struct net_client **client);

struct net_header {
	const char *name, *value;
};

struct net_request {
	const char *method;               /* "GET", "POST", … */
	const char *url;                  /* http:// or https://, absolute */
	const struct net_header *headers; /* ended by name NULL; NULL: none */
	const void *body;                 /* NULL: none */
	size_t body_size;
	size_t answer_bytes_max;  /* 0: 16 MiB; a longer answer is ERR_TOO_LARGE. Not for `sink` */
	int64_t deadline_us;      /* monotonic; of all attempts together. 0: in 30 s; INT64_MAX: none */
	const char *unix_socket;  /* path: connect there instead of to the URL's host; NULL: no */
	const char *ca_file;      /* PEM authorities instead of the system's; NULL: the system's */
	const char *const *allow; /* host patterns "api.example.com" or "*.example.com", NULL-terminated; NULL: any */
	int attempts;             /* 1: no repeat (0 means 1) */
	bool repeatable; /* repeat other methods than GET, HEAD, PUT and DELETE too: an Idempotency-Key is set */
	/* Takes the body of a 2xx answer piece by piece instead of keeping it; other than ERR_OK breaks the request off with
	 * that error. With a sink nothing is repeated once a piece has been given out. */
	enum err (*sink)(void *context, const void *data, size_t size);
	void *context;
};

struct net_response {
	int status;
	const char *body; /* followed by a zero byte; in the arena */
	size_t body_size;
	const struct net_header *headers; /* names in lower case; ended by name NULL */
	int attempts;
};

/* One request. Any HTTP answer, also 500, is ERR_OK with its status. ERR_NET_UNREACHABLE (name, connection, TLS),
 * ERR_NET_NOT_ALLOWED, ERR_NET_BROKEN, ERR_DEADLINE, ERR_TOO_LARGE, ERR_INVALID_FIELD (the URL), ERR_NO_MEMORY, or the
 * sink's error. Repeats after a failed connection, a broken answer, 429, 502, 503 and 504, in 100 ms, 200 ms … 5 s with
 * jitter, or as Retry-After says, while the deadline allows. */
enum err net_request(struct net_client *client, const struct net_request *request, struct arena *arena,
	struct net_response *ret_response, struct err_info *info) MUST_CHECK;

/* The value of a response header (name in lower case), or NULL. */
const char *net_header_get(const struct net_response *response, const char *name);

#endif
