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

struct values *values_new(size_t bytes_max);
void values_free(struct values **values);
enum err values_get(struct values *values, uint64_t hash, const char *key, int64_t now_us, struct arena *arena,
	void **ret_data, size_t *ret_size, cache_ticket *ret_ticket) MUST_CHECK;
void values_put(struct values *values, uint64_t hash, const char *key, const void *data, size_t size,
	int64_t expires_at_us, cache_ticket ticket);
void values_drop(struct values *values, uint64_t hash, const char *key);

struct rates *rates_new(size_t buckets_max);
void rates_free(struct rates **rates);
enum err rates_take(struct rates *rates, uint64_t hash, const struct cache_rate *rate, int64_t cost, int64_t now_us,
	int64_t *ret_retry_after_us) MUST_CHECK;

struct topics *topics_new(void);
void topics_free(struct topics **topics);
void topics_publish(struct topics *topics, const char *topic, const void *data, size_t size);
enum err topics_subscribe(struct topics *topics, const char *prefix,
	void (*notice)(void *context, const char *topic, const void *data, size_t size), void *context,
	struct cache_subscription **ret_subscription) MUST_CHECK;
void topics_unsubscribe(struct topics *topics, struct cache_subscription *subscription);

#endif
