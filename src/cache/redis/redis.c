/* The cache that daemons share by Redis, as its callers meet it: each call is answered by the cache in this process, and
 * what the others have to know is handed to the link's thread. Any thread; nothing here waits for the network. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/hash.h"
#include "carbond/base/sign.h"
#include "local.h"
#include "redis.h"

#define DEADLINE_US  500000
#define DEAF_US      2000000
#define DEAF_LIFE_US 1000000 /* of values while notices do not arrive */
#define DUE_PLACES   16      /* places that a key may be in */

static struct redis *redis_of(struct cache *cache)
{
	return (struct redis *)cache;
}

/* ---- life ---- */

static void redis_close(struct cache *cache)
{
	struct redis *redis = redis_of(cache);
	if (redis->outbox)
		mailbox_close(redis->outbox);
	thread_join(&redis->link);
	atomic_store(&redis->stopping, true);
	thread_join(&redis->listener);
	mailbox_free(&redis->outbox);
	cache_close(&redis->local);
	pthread_mutex_destroy(&redis->number_lock);
	pthread_mutex_destroy(&redis->dues_lock);
	if (redis->seal_keys)
		explicit_bzero(redis->seal_keys, redis->seal_key_count * sizeof *redis->seal_keys);
	free(redis->seal_keys);
	free(redis->collecting);
	free(redis->settling);
	free(redis);
}

/* Names that only those with the same key use. */
static void make_names(struct redis *redis)
{
	char text[HASH_TEXT_SIZE];
	hash_text(sha256_of("carbond/cache/name/1", redis->seal_keys[0].bytes, sizeof redis->seal_keys[0].bytes), text);
	snprintf(redis->name, sizeof redis->name, "carbond:%.16s", text);
	snprintf(redis->channel, sizeof redis->channel, "%s:notices", redis->name);
	do {
		random_bytes(&redis->sender, sizeof redis->sender);
	} while (redis->sender == 0);
}

static enum err make_parts(struct redis *redis, const struct cache_options *options, struct err_info *info)
{
	struct cache_options local = *options;
	local.uri = "local";
	redis->collecting = calloc(1, sizeof *redis->collecting);
	redis->settling = calloc(1, sizeof *redis->settling);
	redis->seal_keys = calloc(options->seal_key_count, sizeof *redis->seal_keys);
	redis->outbox = mailbox_new("cache", LIMIT_CACHE_REDIS_OUTBOX);
	if (!redis->collecting || !redis->settling || !redis->seal_keys || !redis->outbox)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the cache");
	redis->seal_key_count = options->seal_key_count;
	memcpy(redis->seal_keys, options->seal_keys, options->seal_key_count * sizeof *redis->seal_keys);
	return cache_open(&local, &redis->local, info);
}

static enum err redis_open(const struct cache_options *options, struct cache **ret_cache, struct err_info *info)
{
	struct redis_address address;
	enum err err = redis_address_parse(options->uri, &address, info);
	if (err)
		return err;
	if (options->seal_key_count == 0)
		return err_set(info, ERR_INVALID_CONFIG, "/cache/uri", "a shared cache needs the key of its daemons");
	struct redis *redis = calloc(1, sizeof *redis);
	if (!redis)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the cache");
	redis->cache.functions = &cache_redis;
	redis->address = address;
	redis->deadline_us = options->deadline_us > 0 ? options->deadline_us : DEADLINE_US;
	redis->deaf_us = redis->deadline_us * 4 > DEAF_US ? redis->deadline_us * 4 : DEAF_US;
	snprintf(redis->password_file, sizeof redis->password_file, "%s",
		options->password_file ? options->password_file : "");
	pthread_mutex_init(&redis->number_lock, NULL);
	pthread_mutex_init(&redis->dues_lock, NULL);
	err = make_parts(redis, options, info);
	if (!err)
		make_names(redis);
	if (!err)
		err = thread_start("cache-link", link_run, redis, &redis->link);
	if (!err)
		err = thread_start("cache-listener", listener_run, redis, &redis->listener);
	if (err) {
		redis_close(&redis->cache);
		return err_set(info, err, NULL, "the threads of the cache cannot be started");
	}
	*ret_cache = &redis->cache;
	return ERR_OK;
}

/* ---- notices ---- */

/* A number for each, also for one that cannot be sent: the gap tells the others that they have missed it. */
static void hand_over(struct redis *redis, enum notice_kind kind, const char *topic, const void *data, size_t size)
{
	bool fits = strlen(topic) <= CACHE_KEY_MAX && size <= LIMIT_CACHE_REDIS_NOTICE_BYTES;
	struct outgoing *item = NULL;
	if (fits && atomic_load(&redis->up))
		item = malloc(sizeof *item + size);
	if (item) {
		*item = (struct outgoing){.kind = kind, .size = size};
		snprintf(item->topic, sizeof item->topic, "%s", topic);
		if (size)
			memcpy(item->data, data, size);
	}
	pthread_mutex_lock(&redis->number_lock);
	uint64_t number = ++redis->number;
	if (item) {
		item->number = number;
		if (mailbox_put(redis->outbox, item) == ERR_OK)
			item = NULL;
		else
			fits = false;
	}
	bool lost = item || !fits || !atomic_load(&redis->up);
	pthread_mutex_unlock(&redis->number_lock);
	free(item);
	if (lost)
		metric_add(METRIC_CACHE_REDIS_UNSHARED, 1);
}

/* ---- values: this process's own, dropped by everyone's notices ---- */

static enum err redis_get(struct cache *cache, const char *key, int64_t now_us, struct arena *arena, void **ret_data,
	size_t *ret_size, cache_ticket *ret_ticket)
{
	return cache_get(redis_of(cache)->local, key, now_us, arena, ret_data, ret_size, ret_ticket);
}

static void redis_put(
	struct cache *cache, const char *key, const void *data, size_t size, int64_t expires_at_us, cache_ticket ticket)
{
	struct redis *redis = redis_of(cache);
	if (!atomic_load(&redis->hearing) && ticket != CACHE_NO_TICKET) {
		int64_t soon_us = clock_wall_us() + DEAF_LIFE_US;
		expires_at_us = expires_at_us < soon_us ? expires_at_us : soon_us;
	}
	cache_put(redis->local, key, data, size, expires_at_us, ticket);
}

static void redis_drop(struct cache *cache, const char *key)
{
	cache_drop(redis_of(cache)->local, key);
	hand_over(redis_of(cache), NOTICE_DROP, key, NULL, 0);
}

/* ---- rates: granted here, settled with the others afterwards ---- */

/* Its place, or the empty one where it belongs; NULL: all of its places are taken. With dues_lock held. */
struct due *redis_due_find(struct dues *dues, uint64_t hash, const char *key)
{
	for (size_t i = 0; i < DUE_PLACES; i++) {
		struct due *due = &dues->due[(hash + i) % LIMIT_CACHE_REDIS_DUES];
		if (due->hash == 0 || (due->hash == hash && strcmp(due->key, key) == 0))
			return due;
	}
	return NULL;
}

static bool note_due(struct redis *redis, const char *key, const struct cache_rate *rate, int64_t cost, int64_t now_us)
{
	uint64_t hash = cache_local_hash(redis->local, key) | 1;
	int64_t unit_us = CLOCK_US_PER_SECOND / rate->per_second;
	size_t key_size = strlen(key);
	if (key_size > CACHE_KEY_MAX)
		return false;
	pthread_mutex_lock(&redis->dues_lock);
	struct due *due = redis_due_find(redis->collecting, hash, key);
	if (due) {
		redis->collecting->count += due->hash == 0;
		due->hash = hash;
		due->cost_us += cost * unit_us; /* each was granted, so their sum is below a few bursts */
		due->burst_us = rate->burst * unit_us;
		due->now_us = now_us;
		memcpy(due->key, key, key_size + 1);
	}
	pthread_mutex_unlock(&redis->dues_lock);
	return due != NULL;
}

static enum err redis_take(struct cache *cache, const char *key, const struct cache_rate *rate, int64_t cost,
	int64_t now_us, int64_t *ret_retry_after_us)
{
	struct redis *redis = redis_of(cache);
	enum err err = cache_take(redis->local, key, rate, cost, now_us, ret_retry_after_us);
	if (!err && (!atomic_load(&redis->up) || !note_due(redis, key, rate, cost, now_us)))
		metric_add(METRIC_CACHE_REDIS_UNSHARED, 1);
	return err;
}

/* ---- fan-out ---- */

static void redis_publish(struct cache *cache, const char *topic, const void *data, size_t size)
{
	cache_publish(redis_of(cache)->local, topic, data, size);
	hand_over(redis_of(cache), NOTICE_PUBLISH, topic, data, size);
}

static enum err redis_subscribe(struct cache *cache, const char *prefix,
	void (*notice)(void *context, const char *topic, const void *data, size_t size), void *context,
	struct cache_subscription **ret_subscription)
{
	return cache_subscribe(redis_of(cache)->local, prefix, notice, context, ret_subscription);
}

static void redis_unsubscribe(struct cache *cache, struct cache_subscription *subscription)
{
	cache_unsubscribe(redis_of(cache)->local, &subscription);
}

const struct cache_functions cache_redis = {
	.scheme = "redis",
	.open = redis_open,
	.close = redis_close,
	.get = redis_get,
	.put = redis_put,
	.drop = redis_drop,
	.take = redis_take,
	.publish = redis_publish,
	.subscribe = redis_subscribe,
	.unsubscribe = redis_unsubscribe,
};
