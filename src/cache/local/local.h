/* What the files of the in-process back end share. */
#ifndef CARBOND_CACHE_LOCAL_H
#define CARBOND_CACHE_LOCAL_H

#include <pthread.h>

#include "carbond/base/limits.h"
#include "carbond/cache.h"
#include "carbond/runtime.h"

#define SHARDS 16 /* a power of two: threads rarely meet at one lock */

struct values; /* least recently used values of one shard */
struct rates;  /* rate-limit buckets of one shard */
struct topics;

struct values *cache_values_new(size_t bytes_max);
void cache_values_free(struct values **values);
enum err cache_values_get(struct values *values, uint64_t hash, const char *key, int64_t now_us, struct arena *arena,
	void **ret_data, size_t *ret_size, cache_ticket *ret_ticket) MUST_CHECK;
void cache_values_put(struct values *values, uint64_t hash, const char *key, const void *data, size_t size,
	int64_t expires_at_us, cache_ticket ticket);
void cache_values_drop(struct values *values, uint64_t hash, const char *key);
void cache_values_clear(struct values *values);

struct rates *cache_rates_new(size_t buckets_max);
void cache_rates_free(struct rates **rates);
enum err cache_rates_take(struct rates *rates, uint64_t hash, const struct cache_rate *rate, int64_t cost,
	int64_t now_us, int64_t *ret_retry_after_us) MUST_CHECK;
void cache_rates_raise(struct rates *rates, uint64_t hash, int64_t full_at_us);

struct topics *cache_topics_new(void);
void cache_topics_free(struct topics **topics);
void cache_topics_publish(struct topics *topics, const char *topic, const void *data, size_t size);
enum err cache_topics_subscribe(struct topics *topics, const char *prefix,
	void (*notice)(void *context, const char *topic, const void *data, size_t size), void *context,
	struct cache_subscription **ret_subscription) MUST_CHECK;
void cache_topics_unsubscribe(struct topics *topics, struct cache_subscription *subscription);

/* ---- for a back end that has a local cache in front ---- */

/* Drops every value; tickets of before are old. */
void cache_local_clear(struct cache *cache);
/* A key's bucket is full at `full_at_us` (monotonic) at the earliest: others have taken from it too. */
void cache_local_raise(struct cache *cache, const char *key, int64_t full_at_us);
/* The hash that spreads its keys: nobody outside can aim at it. */
uint64_t cache_local_hash(const struct cache *cache, const char *key);

#endif
