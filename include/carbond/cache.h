/* cache: what may be forgotten: rendered answers, verified keys, rate-limit buckets, and fan-out of notices to whoever
 * listens. Nothing in it is the only copy of anything. Back ends stand behind one const struct of functions: cache_local
 * lives in this process; cache_redis puts a local cache in front of a Redis that several daemons share. Any thread.
 *
 * No call waits for more than a short lock, with either back end, for http threads make them inline. cache_redis answers
 * every call from this process and leaves the rest to two threads of its own, whose every wait has a deadline:
 *
 * - Rates: a take is granted or refused by the local bucket. What was granted is settled with the bucket in Redis every 20 ms
 *   (an atomic script, GCRA on Redis's clock), and what other daemons took comes back into the local bucket. So N daemons may
 *   together grant a key up to N bursts at once, but not a higher pace: what was too much is a debt that is waited for.
 * - Values are this daemon's own and never leave it: a miss must be computed by its caller anyway, who may not wait, and what
 *   is not in Redis cannot be forged or go stale there. What travels is cache_drop: other daemons forget the key when the
 *   notice reaches them. Each daemon hears its own signs of life come back; where they do not (for 2 s, or 4 deadlines), or
 *   the numbers of another daemon's notices show a gap, it forgets all values, and until it hears again, values that can be
 *   stale live for 1 s. A daemon that is cut off alone cannot tell the others what it drops before it is back: what must not
 *   be stale for longer is put with an expiry.
 * - Notices are sealed with the daemons' seal key: Redis can lose, delay or repeat them, not read or forge them.
 * - After a failure (away, slow, full, read-only, nonsense) the connection is closed and everything is local at once: limits
 *   are this daemon's buckets, never off. It is tried again in the background every 0.1–2 s. */
#ifndef CARBOND_CACHE_H
#define CARBOND_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/arena.h"
#include "carbond/base/seal.h"

struct cache_options {
	const char *uri;         /* "local", "redis://host[:port][/database]", "redis+unix:///path[?db=database]" */
	size_t bytes_max;        /* of all values, keys and their book-keeping; 0: LIMIT_CACHE_BYTES */
	size_t rate_buckets_max; /* 0: LIMIT_CACHE_RATE_BUCKETS */

	/* redis */
	const char *password_file;        /* its first line, read at each connection; NULL or "": none */
	int64_t deadline_us;              /* of every exchange; 0: 0.5 s */
	const struct seal_key *seal_keys; /* the first names and seals, all open; daemons that share have the same */
	size_t seal_key_count;
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
	const char *scheme; /* how its uri begins: "local", "redis" */
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
extern const struct cache_functions cache_redis;

/* Every back end's state begins with this. */
struct cache {
	const struct cache_functions *functions;
};

/* ERR_INVALID_CONFIG for an unknown uri, ERR_NO_MEMORY. A Redis that is away is no error. */
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
/* Forgets a key, on other daemons too as soon as they hear of it; call after the change is durable and before it is answered. */
void cache_drop(struct cache *cache, const char *key);

/* Takes `cost` units from the key's bucket. ERR_RATE_LIMITED, and how long to wait, where they are not there. `now_us`
 * is monotonic time. A cost above the burst is never granted. */
enum err cache_take(struct cache *cache, const char *key, const struct cache_rate *rate, int64_t cost, int64_t now_us,
	int64_t *ret_retry_after_us) MUST_CHECK;

/* Fan-out, at most once: every subscription whose prefix begins the topic is called on the publisher's thread (for another
 * daemon's: on the listener's), in order of each daemon's publication; it must only hand on. It may not subscribe,
 * unsubscribe or publish. A daemon that was not heard for a while is not caught up with: a notice is a hint to look. */
void cache_publish(struct cache *cache, const char *topic, const void *data, size_t size);
enum err cache_subscribe(struct cache *cache, const char *prefix,
	void (*notice)(void *context, const char *topic, const void *data, size_t size), void *context,
	struct cache_subscription **ret_subscription) MUST_CHECK;
/* When it returns, `notice` is not running and will not run again. NULL is allowed; the pointer becomes NULL. */
void cache_unsubscribe(struct cache *cache, struct cache_subscription **subscription);

#endif
