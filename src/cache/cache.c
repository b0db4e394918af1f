/* Which back end answers, and the callers' names for its functions. Any thread. */
#include "carbond/cache.h"

#include <string.h>

enum err cache_open(const struct cache_options *options, struct cache **ret_cache, struct err_info *info)
{
	static const struct cache_functions *const back_ends[] = {&cache_local, &cache_redis};
	const char *uri = options->uri ? options->uri : "local";
	for (size_t i = 0; i < sizeof back_ends / sizeof *back_ends; i++) {
		size_t size = strlen(back_ends[i]->scheme);
		if (strncmp(uri, back_ends[i]->scheme, size) == 0 &&
			(uri[size] == 0 || uri[size] == ':' || uri[size] == '+'))
			return back_ends[i]->open(options, ret_cache, info);
	}
	return err_set(info, ERR_INVALID_CONFIG, "/cache/uri", "cache.uri must be local, redis:// or redis+unix://");
}

void cache_close(struct cache **cache)
{
	if (*cache)
		(*cache)->functions->close(*cache);
	*cache = NULL;
}

enum err cache_get(struct cache *cache, const char *key, int64_t now_us, struct arena *arena, void **ret_data,
	size_t *ret_size, cache_ticket *ret_ticket)
{
	return cache->functions->get(cache, key, now_us, arena, ret_data, ret_size, ret_ticket);
}

void cache_put(
	struct cache *cache, const char *key, const void *data, size_t size, int64_t expires_at_us, cache_ticket ticket)
{
	cache->functions->put(cache, key, data, size, expires_at_us, ticket);
}

void cache_drop(struct cache *cache, const char *key)
{
	cache->functions->drop(cache, key);
}

enum err cache_take(struct cache *cache, const char *key, const struct cache_rate *rate, int64_t cost, int64_t now_us,
	int64_t *ret_retry_after_us)
{
	return cache->functions->take(cache, key, rate, cost, now_us, ret_retry_after_us);
}

void cache_publish(struct cache *cache, const char *topic, const void *data, size_t size)
{
	cache->functions->publish(cache, topic, data, size);
}

enum err cache_subscribe(struct cache *cache, const char *prefix,
	void (*notice)(void *context, const char *topic, const void *data, size_t size), void *context,
	struct cache_subscription **ret_subscription)
{
	return cache->functions->subscribe(cache, prefix, notice, context, ret_subscription);
}

void cache_unsubscribe(struct cache *cache, struct cache_subscription **subscription)
{
	if (*subscription)
		cache->functions->unsubscribe(cache, *subscription);
	*subscription = NULL;
}
