/* Rate limits by GCRA (ITU-T I.371): for each key one number, the time at which its bucket will be full again. A bucket that
 * is full already says nothing, so its place may be taken; past the limit of buckets the fullest one in reach goes, which
 * can only be generous. Any thread, under the shard's lock. */
#include <stdlib.h>

#include "local.h"

#define WAYS 8 /* places that a key may be in */

struct bucket {
	uint64_t hash;
	int64_t full_at_us; /* GCRA's theoretical arrival time; 0: never used */
};

struct rates {
	pthread_mutex_t lock; /* rank: innermost */
	size_t sets;
	struct bucket buckets[];
};

struct rates *cache_rates_new(size_t buckets_max)
{
	size_t sets = (buckets_max + WAYS - 1) / WAYS;
	struct rates *rates = calloc(1, sizeof *rates + sets * WAYS * sizeof(struct bucket));
	if (!rates)
		return NULL;
	pthread_mutex_init(&rates->lock, NULL);
	rates->sets = sets;
	return rates;
}

void cache_rates_free(struct rates **rates)
{
	if (!*rates)
		return;
	pthread_mutex_destroy(&(*rates)->lock);
	free(*rates);
	*rates = NULL;
}

static struct bucket *find(struct rates *rates, uint64_t hash)
{
	struct bucket *set = &rates->buckets[(hash >> 8) % rates->sets * WAYS], *fullest = set;
	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].hash == hash && set[i].full_at_us)
			return &set[i];
		if (set[i].full_at_us < fullest->full_at_us)
			fullest = &set[i];
	}
	*fullest = (struct bucket){.hash = hash};
	return fullest;
}

enum err cache_rates_take(struct rates *rates, uint64_t hash, const struct cache_rate *rate, int64_t cost,
	int64_t now_us, int64_t *ret_retry_after_us)
{
	int64_t unit_us = INT64_C(1000000) / rate->per_second;
	int64_t burst_us = rate->burst * unit_us, cost_us = cost * unit_us;
	enum err err = ERR_OK;
	pthread_mutex_lock(&rates->lock);
	struct bucket *bucket = find(rates, hash);
	int64_t from_us = bucket->full_at_us > now_us ? bucket->full_at_us : now_us;
	int64_t wait_us = from_us + cost_us - burst_us - now_us;
	if (wait_us > 0) {
		*ret_retry_after_us = wait_us;
		err = ERR_RATE_LIMITED;
	} else {
		bucket->full_at_us = from_us + cost_us;
	}
	pthread_mutex_unlock(&rates->lock);
	return err;
}

void cache_rates_raise(struct rates *rates, uint64_t hash, int64_t full_at_us)
{
	pthread_mutex_lock(&rates->lock);
	struct bucket *bucket = find(rates, hash);
	if (bucket->full_at_us < full_at_us)
		bucket->full_at_us = full_at_us;
	pthread_mutex_unlock(&rates->lock);
}
