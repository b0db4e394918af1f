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

struct rates *cache_rates_new(size_t buckets_max);
void cache_rates_free(struct rates **rates);
enum err cache_rates_take(struct rates *rates, uint64_t hash, const struct cache_rate *rate, int64_t cost,
	int64_t now_us, int64_t *ret_retry_after_us) MUST_CHECK;

struct topics *cache_topics_new(void);
void cache_topics_free(struct topics **topics);
void cache_topics_publish(struct topics *topics, const char *topic, const void *data, size_t size);
enum err cache_topics_subscribe(struct topics *topics, const char *prefix,
	void (*notice)(void *context, const char *topic, const void *data, size_t size), void *context,
	struct cache_subscription **ret_subscription) MUST_CHECK;
void cache_topics_unsubscribe(struct topics *topics, struct cache_subscription *subscription);

#endif
