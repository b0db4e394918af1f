/* The bytes of a notice: sender(8) ‖ number(8) ‖ kind(1) ‖ size of the topic(2), little-endian, topic, data; sealed with the
 * key that the daemons share, so that Redis can neither read nor forge one. Any thread. */
#include <stdlib.h>
#include <string.h>

#include "redis.h"

static void put(uint8_t *to, uint64_t number, int bytes)
{
	for (int i = 0; i < bytes; i++)
		to[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t get(const uint8_t *from, int bytes)
{
	uint64_t number = 0;
	for (int i = 0; i < bytes; i++)
		number |= (uint64_t)from[i] << (8 * i);
	return number;
}

uint8_t *notice_write(const struct redis *redis, const struct notice *notice, size_t *ret_size)
{
	size_t topic_size = strlen(notice->topic), size = NOTICE_HEAD_BYTES + topic_size + notice->size;
	uint8_t *open = malloc(size), *sealed = malloc(size + SEAL_OVERHEAD);
	if (open && sealed) {
		put(open, notice->sender, 8);
		put(open + 8, notice->number, 8);
		put(open + 16, notice->kind, 1);
		put(open + 17, topic_size, 2);
		memcpy(open + NOTICE_HEAD_BYTES, notice->topic, topic_size);
		if (notice->size)
			memcpy(open + NOTICE_HEAD_BYTES + topic_size, notice->data, notice->size);
		seal_close(&redis->seal_keys[0], redis->channel, open, size, sealed);
		*ret_size = size + SEAL_OVERHEAD;
	} else {
		free(sealed);
		sealed = NULL;
	}
	free(open);
	return sealed;
}

enum err notice_read(
	const struct redis *redis, const void *sealed, size_t size, struct arena *arena, struct notice *ret_notice)
{
	uint8_t *open;
	size_t open_size;
	enum err err = seal_open(
		redis->seal_keys, redis->seal_key_count, redis->channel, sealed, size, arena, &open, &open_size);
	if (err)
		return err;
	if (open_size < NOTICE_HEAD_BYTES)
		return ERR_BAD_SEAL;
	size_t topic_size = get(open + 17, 2);
	if (topic_size > CACHE_KEY_MAX || topic_size > open_size - NOTICE_HEAD_BYTES || open[16] > NOTICE_PUBLISH)
		return ERR_BAD_SEAL;
	*ret_notice = (struct notice){.sender = get(open, 8),
		.number = get(open + 8, 8),
		.kind = open[16],
		.size = open_size - NOTICE_HEAD_BYTES - topic_size,
		.data = open + NOTICE_HEAD_BYTES + topic_size};
	memcpy(ret_notice->topic, open + NOTICE_HEAD_BYTES, topic_size);
	return ERR_OK;
}
