/* The values of one shard: a hash table whose entries also hang in the order of their last use; past the byte limit the
 * least recently used go. Any thread, under the shard's lock. */
#include <stdlib.h>
#include <string.h>

#include "local.h"

#define TABLE_SIZE 1024 /* chains; a shard of 4 MiB with values of 1 KiB has about four entries in each */

struct entry {
	struct entry *chain;
	struct entry *newer, *older;
	uint64_t hash;
	int64_t expires_at_us;
	size_t key_size, size;
	char bytes[]; /* key with its closing zero, then the value */
};

struct values {
	pthread_mutex_t lock; /* rank: innermost */
	uint64_t drops;       /* tickets: how many keys were dropped so far */
	size_t bytes, bytes_max;
	struct entry *newest, *oldest;
	struct entry *table[TABLE_SIZE];
};

struct values *cache_values_new(size_t bytes_max)
{
	struct values *values = calloc(1, sizeof *values);
	if (!values)
		return NULL;
	pthread_mutex_init(&values->lock, NULL);
	values->bytes_max = bytes_max;
	return values;
}

static struct entry **find(struct values *values, uint64_t hash, const char *key)
{
	struct entry **at = &values->table[(hash >> 32) % TABLE_SIZE];
	while (*at && ((*at)->hash != hash || strcmp((*at)->bytes, key) != 0))
		at = &(*at)->chain;
	return at;
}

static void unlink_use(struct values *values, struct entry *entry)
{
	if (entry->newer)
		entry->newer->older = entry->older;
	else
		values->newest = entry->older;
	if (entry->older)
		entry->older->newer = entry->newer;
	else
		values->oldest = entry->newer;
}

static void link_newest(struct values *values, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = values->newest;
	if (values->newest)
		values->newest->newer = entry;
	else
		values->oldest = entry;
	values->newest = entry;
}

static size_t weight(size_t key_size, size_t size)
{
	return sizeof(struct entry) + key_size + 1 + size;
}

static void take_out(struct values *values, struct entry **at)
{
	struct entry *entry = *at;
	*at = entry->chain;
	unlink_use(values, entry);
	values->bytes -= weight(entry->key_size, entry->size);
	free(entry);
}

static void take_all_out(struct values *values)
{
	while (values->oldest)
		take_out(values, find(values, values->oldest->hash, values->oldest->bytes));
}

void cache_values_free(struct values **values)
{
	if (!*values)
		return;
	take_all_out(*values);
	pthread_mutex_destroy(&(*values)->lock);
	free(*values);
	*values = NULL;
}

enum err cache_values_get(struct values *values, uint64_t hash, const char *key, int64_t now_us, struct arena *arena,
	void **ret_data, size_t *ret_size, cache_ticket *ret_ticket)
{
	enum err err = ERR_NOT_FOUND;
	pthread_mutex_lock(&values->lock);
	struct entry **at = find(values, hash, key);
	if (*at && (*at)->expires_at_us <= now_us)
		take_out(values, at);
	else if (*at) {
		struct entry *entry = *at;
		*ret_data = arena_copy(arena, entry->bytes + entry->key_size + 1, entry->size);
		*ret_size = entry->size;
		err = *ret_data ? ERR_OK : ERR_NO_MEMORY;
		unlink_use(values, entry);
		link_newest(values, entry);
	}
	if (ret_ticket)
		*ret_ticket = values->drops;
	pthread_mutex_unlock(&values->lock);
	metric_add(err == ERR_OK ? METRIC_CACHE_HITS : METRIC_CACHE_MISSES, 1);
	return err;
}

void cache_values_put(struct values *values, uint64_t hash, const char *key, const void *data, size_t size,
	int64_t expires_at_us, cache_ticket ticket)
{
	size_t key_size = strlen(key), bytes = weight(key_size, size);
	/* a value that would push out an eighth of the shard is not worth it */
	if (key_size > CACHE_KEY_MAX || size > values->bytes_max || bytes > values->bytes_max / 8)
		return;
	struct entry *entry = malloc(bytes);
	if (!entry)
		return;
	*entry = (struct entry){.hash = hash, .expires_at_us = expires_at_us, .key_size = key_size, .size = size};
	memcpy(entry->bytes, key, key_size + 1);
	if (size > 0)
		memcpy(entry->bytes + key_size + 1, data, size);
	pthread_mutex_lock(&values->lock);
	if (ticket != CACHE_NO_TICKET && ticket != values->drops) {
		pthread_mutex_unlock(&values->lock);
		free(entry);
		return;
	}
	struct entry **at = find(values, hash, key);
	if (*at)
		take_out(values, at);
	while (values->bytes + bytes > values->bytes_max && values->oldest)
		take_out(values, find(values, values->oldest->hash, values->oldest->bytes));
	at = &values->table[(hash >> 32) % TABLE_SIZE];
	entry->chain = *at;
	*at = entry;
	link_newest(values, entry);
	values->bytes += bytes;
	pthread_mutex_unlock(&values->lock);
}

void cache_values_drop(struct values *values, uint64_t hash, const char *key)
{
	pthread_mutex_lock(&values->lock);
	values->drops++;
	struct entry **at = find(values, hash, key);
	if (*at)
		take_out(values, at);
	pthread_mutex_unlock(&values->lock);
}

void cache_values_clear(struct values *values)
{
	pthread_mutex_lock(&values->lock);
	values->drops++;
	take_all_out(values);
	pthread_mutex_unlock(&values->lock);
}
