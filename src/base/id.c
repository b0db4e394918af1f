/* How a UUIDv7 is filled: 48 bits of milliseconds, 12 bits of sub-millisecond time that also count, 62 random bits. Any
 * thread: the last (time, count) is one atomic. */
#include "carbond/base/id.h"

#include <stdatomic.h>
#include <string.h>

#include "carbond/base/hash.h"
#include "carbond/base/sign.h"

/* Random bits are fetched for many ids at once: a call of the kernel costs more than the rest of an id. */
static void take_random(uint8_t ret_bytes[8])
{
	static _Thread_local uint8_t bytes[512];
	static _Thread_local size_t left;
	if (left == 0) {
		random_bytes(bytes, sizeof bytes);
		left = sizeof bytes;
	}
	left -= 8;
	memcpy(ret_bytes, bytes + left, 8);
	memset(bytes + left, 0, 8);
}

/* milliseconds × 4096 + count of the newest id */
static atomic_uint_least64_t newest;

struct id id_new(int64_t now_us)
{
	uint64_t now = now_us > 0 ? (uint64_t)now_us : 0;
	uint64_t wanted = (now / 1000 << 12) | (now % 1000 * 4096 / 1000);
	uint64_t last = atomic_load_explicit(&newest, memory_order_relaxed);
	uint64_t stamp;
	do
		stamp = wanted > last ? wanted : last + 1;
	while (!atomic_compare_exchange_weak_explicit(
		&newest, &last, stamp, memory_order_relaxed, memory_order_relaxed));

	struct id id;
	uint64_t milliseconds = stamp >> 12;
	for (int i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)(milliseconds >> (40 - 8 * i));
	id.bytes[6] = (uint8_t)(0x70 | (stamp >> 8 & 0x0f)); /* version 7 */
	id.bytes[7] = (uint8_t)stamp;
	take_random(id.bytes + 8);
	id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f)); /* variant 10 */
	return id;
}

char *id_text(struct id id, char ret_text[ID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	char *at = ret_text;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = digits[id.bytes[i] >> 4];
		*at++ = digits[id.bytes[i] & 15];
	}
	*at = 0;
	return ret_text;
}

enum err id_parse(const char *text, struct id *ret_id)
{
	/* where each pair of digits stands between the hyphens */
	static const uint8_t places[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
	struct id id;
	size_t size;
	if (strnlen(text, ID_TEXT_SIZE) != ID_TEXT_SIZE - 1)
		return ERR_INVALID_ID;
	if (text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
		return ERR_INVALID_ID;
	char digits[32];
	for (int i = 0; i < 16; i++)
		memcpy(digits + 2 * i, text + places[i], 2);
	if (hex_parse(digits, sizeof digits, id.bytes, sizeof id.bytes, &size) != ERR_OK)
		return ERR_INVALID_ID;
	*ret_id = id;
	return ERR_OK;
}

bool id_equal(struct id a, struct id b)
{
	return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

int id_compare(struct id a, struct id b)
{
	return memcmp(a.bytes, b.bytes, sizeof a.bytes);
}

bool id_is_none(struct id id)
{
	return id_equal(id, (struct id){{0}});
}

int64_t id_time_us(struct id id)
{
	int64_t milliseconds = 0;
	for (int i = 0; i < 6; i++)
		milliseconds = milliseconds << 8 | id.bytes[i];
	return milliseconds * 1000;
}
