/* The cache that lives in this process: keys are spread over shards, each with its own lock. Any thread. */
#include <stdlib.h>
#include <string.h>

#include "local.h"
#include "carbond/base/sign.h"

struct local {
	struct cache cache;
	uint64_t seed; /* so that nobody outside can aim keys at one shard or bucket */
	struct values *values[SHARDS];
	struct rates *rates[SHARDS];
	struct topics *topics;
};

static struct local *local_of(struct cache *cache)
{
	return (struct local *)cache;
}

/* FNV-1a from a random start, finished as in MurmurHash3. */
static uint64_t hash_key(const struct local *local, const char *key)
{
	uint64_t hash = local->seed;
	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return hash ^ (hash >> 33);
}

static void local_close(struct cache *cache)
{
	struct local *local = local_of(cache);
	for (size_t i = 0; i < SHARDS; i++) {
		cache_values_free(&local->values[i]);
		cache_rates_free(&local->rates[i]);
	}
	cache_topics_free(&local->topics);
	free(local);
}

static enum err local_open(const struct cache_options *options, struct cache **ret_cache, struct err_info *info)
{
	struct local *local = calloc(1, sizeof *local);
	size_t bytes = options->bytes_max ? options->bytes_max : LIMIT_CACHE_BYTES;
	size_t buckets = options->rate_buckets_max ? options->rate_buckets_max : LIMIT_CACHE_RATE_BUCKETS;
	if (!local)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the cache");
	local->cache.functions = &cache_local;
	random_bytes(&local->seed, sizeof local->seed);
	local->topics = cache_topics_new();
	bool there = local->topics != NULL;
	for (size_t i = 0; i < SHARDS && there; i++) {
		local->values[i] = cache_values_new(bytes / SHARDS);
		local->rates[i] = cache_rates_new(buckets / SHARDS + 1);
		there = local->values[i] && local->rates[i];
	}
	if (!there) {
		local_close(&local->cache);
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the cache");
	}
	*ret_cache = &local->cache;
	return ERR_OK;
}

static enum err local_get(struct cache *cache, const char *key, int64_t now_us, struct arena *arena, void **ret_data,
	size_t *ret_size, cache_ticket *ret_ticket)
{
	uint64_t hash = hash_key(local_of(cache), key);
	return cache_values_get(
		local_of(cache)->values[hash % SHARDS], hash, key, now_us, arena, ret_data, ret_size, ret_ticket);
}

static void local_put(
	struct cache *cache, const char *key, const void *data, size_t size, int64_t expires_at_us, cache_ticket ticket)
{
	uint64_t hash = hash_key(local_of(cache), key);
	cache_values_put(local_of(cache)->values[hash % SHARDS], hash, key, data, size, expires_at_us, ticket);
}

static void local_drop(struct cache *cache, const char *key)
{
	uint64_t hash = hash_key(local_of(cache), key);
	cache_values_drop(local_of(cache)->values[hash % SHARDS], hash, key);
}

static enum err local_take(struct cache *cache, const char *key, const struct cache_rate *rate, int64_t cost,
	int64_t now_us, int64_t *ret_retry_after_us)
{
	uint64_t hash = hash_key(local_of(cache), key);
	return cache_rates_take(local_of(cache)->rates[hash % SHARDS], hash, rate, cost, now_us, ret_retry_after_us);
}

static void local_publish(struct cache *cache, const char *topic, const void *data, size_t size)
{
	cache_topics_publish(local_of(cache)->topics, topic, data, size);
}

static enum err local_subscribe(struct cache *cache, const char *prefix,
	void (*notice)(void *context, const char *topic, const void *data, size_t size), void *context,
	struct cache_subscription **ret_subscription)
{
	return cache_topics_subscribe(local_of(cache)->topics, prefix, notice, context, ret_subscription);
}

static void local_unsubscribe(struct cache *cache, struct cache_subscription *subscription)
{
	cache_topics_unsubscribe(local_of(cache)->topics, subscription);
}

void cache_local_clear(struct cache *cache)
{
	for (size_t i = 0; i < SHARDS; i++)
		cache_values_clear(local_of(cache)->values[i]);
}

void cache_local_raise(struct cache *cache, const char *key, int64_t full_at_us)
{
	uint64_t hash = hash_key(local_of(cache), key);
	cache_rates_raise(local_of(cache)->rates[hash % SHARDS], hash, full_at_us);
}

uint64_t cache_local_hash(const struct cache *cache, const char *key)
{
	return hash_key((const struct local *)cache, key);
}

const struct cache_functions cache_local = {
	.scheme = "local",
	.open = local_open,
	.close = local_close,
	.get = local_get,
	.put = local_put,
	.drop = local_drop,
	.take = local_take,
	.publish = local_publish,
	.subscribe = local_subscribe,
	.unsubscribe = local_unsubscribe,
};
