/* cache: what may be forgotten: rendered answers, verified keys, rate-limit buckets, and fan-out of notices to whoever
 * listens. Nothing in it is the only copy of anything. Back ends stand behind one const struct of functions
 * (cache_local lives in this process; redis is the second). Any thread; cache_local never blocks but for a short shard
 * lock. */
#ifndef CARBOND_CACHE_H
#define CARBOND_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/arena.h"

struct cache_options {
	const char *uri;         /* "local" */
	size_t bytes_max;        /* of all values, keys and their book-keeping; 0: LIMIT_CACHE_BYTES */
	size_t rate_buckets_max; /* 0: LIMIT_CACHE_RATE_BUCKETS */
};

/* A rate: `burst` units at once, then `per_second` units a second (GCRA: one number a key, no timers). */
struct cache_rate {
	int64_t burst;      /* 1..1000000000 */
	int64_t per_second; /* 1..1000000 */
};

/* A ticket says how old what is put is: a value computed before a drop of its key is refused after it, so that a slow
 * reader cannot bring back what a writer has just made stale. */
typedef uint64_t cache_ticket;
#define CACHE_NO_TICKET UINT64_MAX /* the value cannot be stale */

#define CACHE_KEY_MAX   256
#define CACHE_TOPIC_MAX 128

struct cache;
struct cache_subscription;

/* What a back end is. The functions below are its callers' names. */
struct cache_functions {
	const char *scheme; /* "local" */
	enum err (*open)(const struct cache_options *options, struct cache **ret_cache, struct err_info *info);
	void (*close)(struct cache *cache);
	enum err (*get)(struct cache *cache, const char *key, int64_t now_us, struct arena *arena, void **ret_data,
		size_t *ret_size, cache_ticket *ret_ticket);
	void (*put)(struct cache *cache, const char *key, const void *data, size_t size, int64_t expires_at_us,
		cache_ticket ticket);
	void (*drop)(struct cache *cache, const char *key);
	enum err (*take)(struct cache *cache, const char *key, const struct cache_rate *rate, int64_t cost,
		int64_t now_us, int64_t *ret_retry_after_us);
	void (*publish)(struct cache *cache, const char *topic, const void *data, size_t size);
	enum err (*subscribe)(struct cache *cache, const char *prefix,
		void (*notice)(void *context, const char *topic, const void *data, size_t size), void *context,
		struct cache_subscription **ret_subscription);
	void (*unsubscribe)(struct cache *cache, struct cache_subscription *subscription);
};

extern const struct cache_functions cache_local;

/* Every back end's state begins with this. */
struct cache {
	const struct cache_functions *functions;
};

/* ERR_INVALID_CONFIG for an unknown uri, ERR_NO_MEMORY. */
enum err cache_open(const struct cache_options *options, struct cache **ret_cache, struct err_info *info) MUST_CHECK;
/* No call may be under way. NULL is allowed; the pointer becomes NULL. */
void cache_close(struct cache **cache);

/* A copy of the value in the arena. ERR_NOT_FOUND where there is none or it has expired; `*ret_ticket` (may be NULL) is
 * then for the cache_put that follows. `now_us` is wall time. ERR_NO_MEMORY. */
enum err cache_get(struct cache *cache, const char *key, int64_t now_us, struct arena *arena, void **ret_data,
	size_t *ret_size, cache_ticket *ret_ticket) MUST_CHECK;
/* Keeps a copy until `expires_at_us` (wall; INT64_MAX: until it is pushed out). Silently does nothing when it does not
 * fit or the ticket is old. */
void cache_put(struct cache *cache, const char *key, const void *data, size_t size, int64_t expires_at_us,
	cache_ticket ticket);
/* Forgets a key; call after the change is durable and before it is answered. */
void cache_drop(struct cache *cache, const char *key);

/* Takes `cost` units from the key's bucket. ERR_RATE_LIMITED, and how long to wait, where they are not there. `now_us`
 * is monotonic time. A cost above the burst is never granted. */
enum err cache_take(struct cache *cache, const char *key, const struct cache_rate *rate, int64_t cost, int64_t now_us,
	int64_t *ret_retry_after_us) MUST_CHECK;

/* Fan-out, at most once: every subscription whose prefix begins the topic is called on the publisher's thread, in order
 * of publication; it must only hand on. It may not subscribe, unsubscribe or publish. */
void cache_publish(struct cache *cache, const char *topic, const void *data, size_t size);
enum err cache_subscribe(struct cache *cache, const char *prefix,
	void (*notice)(void *context, const char *topic, const void *data, size_t size), void *context,
	struct cache_subscription **ret_subscription) MUST_CHECK;
/* When it returns, `notice` is not running and will not run again. NULL is allowed; the pointer becomes NULL. */
void cache_unsubscribe(struct cache *cache, struct cache_subscription **subscription);

#endif
