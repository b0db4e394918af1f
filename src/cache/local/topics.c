/* Fan-out inside the process: a publisher calls each listener whose prefix fits, under a lock that keeps the order and lets
 * unsubscribing wait for a call that is under way. Any thread. */
#include <stdlib.h>
#include <string.h>

#include "local.h"

struct cache_subscription {
	struct cache_subscription *next;
	void (*notice)(void *context, const char *topic, const void *data, size_t size);
	void *context;
	size_t prefix_size;
	char prefix[CACHE_TOPIC_MAX];
};

struct topics {
	pthread_mutex_t lock; /* rank: outside of whatever a notice takes; a notice only hands on */
	struct cache_subscription *subscriptions;
};

struct topics *cache_topics_new(void)
{
	struct topics *topics = calloc(1, sizeof *topics);
	if (topics)
		pthread_mutex_init(&topics->lock, NULL);
	return topics;
}

void cache_topics_free(struct topics **topics)
{
	if (!*topics)
		return;
	while ((*topics)->subscriptions)
		cache_topics_unsubscribe(*topics, (*topics)->subscriptions);
	pthread_mutex_destroy(&(*topics)->lock);
	free(*topics);
	*topics = NULL;
}

void cache_topics_publish(struct topics *topics, const char *topic, const void *data, size_t size)
{
	pthread_mutex_lock(&topics->lock);
	for (struct cache_subscription *each = topics->subscriptions; each; each = each->next) {
		if (strncmp(topic, each->prefix, each->prefix_size) == 0)
			each->notice(each->context, topic, data, size);
	}
	pthread_mutex_unlock(&topics->lock);
}

enum err cache_topics_subscribe(struct topics *topics, const char *prefix,
	void (*notice)(void *context, const char *topic, const void *data, size_t size), void *context,
	struct cache_subscription **ret_subscription)
{
	struct cache_subscription *subscription;
	size_t size = strlen(prefix);
	if (size >= CACHE_TOPIC_MAX)
		return ERR_TOO_LARGE;
	subscription = calloc(1, sizeof *subscription);
	if (!subscription)
		return ERR_NO_MEMORY;
	subscription->notice = notice;
	subscription->context = context;
	subscription->prefix_size = size;
	memcpy(subscription->prefix, prefix, size + 1);
	pthread_mutex_lock(&topics->lock);
	subscription->next = topics->subscriptions;
	topics->subscriptions = subscription;
	pthread_mutex_unlock(&topics->lock);
	*ret_subscription = subscription;
	return ERR_OK;
}

void cache_topics_unsubscribe(struct topics *topics, struct cache_subscription *subscription)
{
	pthread_mutex_lock(&topics->lock);
	struct cache_subscription **at = &topics->subscriptions;
	while (*at && *at != subscription)
		at = &(*at)->next;
	if (*at)
		*at = subscription->next;
	pthread_mutex_unlock(&topics->lock);
	free(subscription);
}
