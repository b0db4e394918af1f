/* The payload of a readings-log batch: the readings grouped by sensor, each group as columns (time as delta of delta, value
 * as a decimal mantissa or as raw doubles, quality), all of it in one zstd frame. Order within a sensor is kept. Encoding
 * runs on the readings writer; decoding, at start and on other nodes' batches, accepts any bytes.
 *
 *	"CRB1" ‖ body size u32 LE ‖ zstd(body)
 *	body  = group count, group …
 *	group = sensor (16 bytes) ‖ count ‖ value mode (1 byte: digits after the point, 0..12, or 255: doubles)
 *	        ‖ quality mode (1 byte: 0 all GOOD, 1 one byte each) ‖ times ‖ values ‖ qualities
 * Counts are LEB128; times and mantissas zigzag LEB128 of the difference (of differences) to the one before. */
#include <math.h>
#include <string.h>

#include <zstd.h>

#include "carbond/base/nearest.h"
#include "carbond/base/limits.h"
#include "carbond/sensing.h"

#define MAGIC            "CRB1"
#define HEAD_BYTES       8
#define BODY_BYTES_MAX   (64u << 20)
#define ZSTD_LEVEL       1
#define GROUP_HEAD_BYTES (16 + 10 + 2)
#define DOUBLES          255
#define SCALE_MAX        12
#define MANTISSA_MAX     9007199254740992.0 /* 2^53 */

static const double powers[SCALE_MAX + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};

/* ---- encoding ---- */

struct group {
	struct id sensor;
	uint32_t first, last, count; /* of the chain through `next` */
};

struct grouping {
	struct group *groups;
	size_t count;
	uint32_t *next;  /* reading → the sensor's next one */
	uint32_t *slots; /* open addressing: group number + 1 */
	size_t mask;
};

static uint64_t hash_of(const struct id *id)
{
	uint64_t a, b;
	memcpy(&a, id->bytes, 8);
	memcpy(&b, id->bytes + 8, 8);
	a = (a ^ (b << 1)) * UINT64_C(0x9e3779b97f4a7c15);
	return a ^ (a >> 29) ^ b;
}

static enum err group_readings(
	struct grouping *grouping, const struct reading *readings, size_t count, struct arena *arena)
{
	size_t slots = 64;
	while (slots < count * 2)
		slots *= 2;
	grouping->mask = slots - 1;
	grouping->slots = ARENA_ARRAY(arena, uint32_t, slots);
	grouping->next = ARENA_ARRAY(arena, uint32_t, count);
	grouping->groups = ARENA_ARRAY(arena, struct group, count);
	if (!grouping->slots || !grouping->next || !grouping->groups)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < count; i++) {
		size_t slot = hash_of(&readings[i].sensor) & grouping->mask;
		while (grouping->slots[slot] &&
			memcmp(&grouping->groups[grouping->slots[slot] - 1].sensor, &readings[i].sensor, 16) != 0)
			slot = (slot + 1) & grouping->mask;
		if (!grouping->slots[slot]) {
			grouping->groups[grouping->count] = (struct group){.sensor = readings[i].sensor, .first = i};
			grouping->slots[slot] = (uint32_t)++grouping->count;
		} else {
			grouping->next[grouping->groups[grouping->slots[slot] - 1].last] = i;
		}
		struct group *group = &grouping->groups[grouping->slots[slot] - 1];
		group->last = i;
		group->count++;
	}
	return ERR_OK;
}

static uint8_t *put_number(uint8_t *to, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		*to++ = (uint8_t)(number | 0x80);
	*to++ = (uint8_t)number;
	return to;
}

static uint64_t zigzag(int64_t number)
{
	return ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);
}

/* Differences wrap: they are added back with the same arithmetic. */
static int64_t difference(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

static bool fits_scale(double value, int scale)
{
	double mantissa = nearest(value * powers[scale]);
	return fabs(mantissa) < MANTISSA_MAX && mantissa / powers[scale] == value && !(value == 0 && signbit(value));
}

/* The digits after the point with which all values of the group are exact mantissas, or DOUBLES. */
static int value_mode(const struct grouping *grouping, const struct group *group, const struct reading *readings)
{
	int scale = 0;
	uint32_t at = group->first;
	for (uint32_t i = 0; i < group->count; i++, at = grouping->next[at]) {
		while (scale <= SCALE_MAX && !fits_scale(readings[at].value, scale))
			scale++;
		if (scale > SCALE_MAX)
			return DOUBLES;
	}
	/* those before the one that widened the scale must fit it too */
	at = group->first;
	for (uint32_t i = 0; i < group->count; i++, at = grouping->next[at]) {
		if (!fits_scale(readings[at].value, scale))
			return DOUBLES;
	}
	return scale;
}

static uint8_t *put_times(
	uint8_t *to, const struct grouping *grouping, const struct group *group, const struct reading *readings)
{
	int64_t before = 0, step = 0;
	uint32_t at = group->first;
	for (uint32_t i = 0; i < group->count; i++, at = grouping->next[at]) {
		int64_t now = difference(readings[at].time_us, before);
		to = put_number(to, zigzag(i == 0 ? now : difference(now, step)));
		step = i == 0 ? 0 : now;
		before = readings[at].time_us;
	}
	return to;
}

static uint8_t *put_values(uint8_t *to, const struct grouping *grouping, const struct group *group,
	const struct reading *readings, int mode)
{
	int64_t before = 0;
	uint32_t at = group->first;
	for (uint32_t i = 0; i < group->count; i++, at = grouping->next[at]) {
		if (mode == DOUBLES) {
			memcpy(to, &readings[at].value, sizeof(double));
			to += sizeof(double);
			continue;
		}
		int64_t mantissa = (int64_t)nearest(readings[at].value * powers[mode]);
		to = put_number(to, zigzag(mantissa - before));
		before = mantissa;
	}
	return to;
}

static uint8_t *put_qualities(
	uint8_t *to, const struct grouping *grouping, const struct group *group, const struct reading *readings)
{
	uint32_t at = group->first;
	for (uint32_t i = 0; i < group->count; i++, at = grouping->next[at])
		*to++ = readings[at].quality;
	return to;
}

static uint8_t *put_group(
	uint8_t *to, const struct grouping *grouping, const struct group *group, const struct reading *readings)
{
	int mode = value_mode(grouping, group, readings);
	bool all_good = true;
	uint32_t at = group->first;
	for (uint32_t i = 0; i < group->count && all_good; i++, at = grouping->next[at])
		all_good = readings[at].quality == SERIES_GOOD;
	memcpy(to, group->sensor.bytes, 16);
	to = put_number(to + 16, group->count);
	*to++ = (uint8_t)mode;
	*to++ = all_good ? 0 : 1;
	to = put_times(to, grouping, group, readings);
	to = put_values(to, grouping, group, readings, mode);
	return all_good ? to : put_qualities(to, grouping, group, readings);
}

enum err readings_encode(
	const struct reading *readings, size_t count, struct arena *arena, uint8_t **ret_data, size_t *ret_size)
{
	struct grouping grouping = {.count = 0};
	uint8_t *body, *to, *data;
	enum err err;
	if (count > BODY_BYTES_MAX / (GROUP_HEAD_BYTES + 10 + 10 + 1))
		return ERR_TOO_LARGE;
	err = group_readings(&grouping, readings, count, arena);
	if (err)
		return err;
	body = arena_alloc(arena, 10 + count * (GROUP_HEAD_BYTES + 10 + 10 + 1));
	if (!body)
		return ERR_NO_MEMORY;
	to = put_number(body, grouping.count);
	for (size_t i = 0; i < grouping.count; i++)
		to = put_group(to, &grouping, &grouping.groups[i], readings);
	size_t size = (size_t)(to - body), bound = ZSTD_compressBound(size);
	data = arena_alloc(arena, HEAD_BYTES + bound);
	if (!data)
		return ERR_NO_MEMORY;
	uint32_t body_size = (uint32_t)size;
	memcpy(data, MAGIC, 4);
	for (int i = 0; i < 4; i++)
		data[4 + i] = (uint8_t)(body_size >> (8 * i));
	size_t compressed = ZSTD_compress(data + HEAD_BYTES, bound, body, size, ZSTD_LEVEL);
	if (ZSTD_isError(compressed))
		return ERR_NO_MEMORY;
	*ret_data = data;
	*ret_size = HEAD_BYTES + compressed;
	return ERR_OK;
}

/* ---- decoding ---- */

struct input {
	const uint8_t *at, *end;
	bool bad;
};

static uint64_t get_number(struct input *input)
{
	uint64_t number = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (input->at == input->end)
			break;
		uint8_t byte = *input->at++;
		if (shift == 63 && byte > 1)
			break;
		number |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return number;
	}
	input->bad = true;
	return 0;
}

static int64_t unzigzag(uint64_t number)
{
	return (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
}

static size_t left(const struct input *input)
{
	return (size_t)(input->end - input->at);
}

static void get_times(struct input *input, struct reading *readings, size_t count)
{
	uint64_t before = 0, step = 0;
	for (size_t i = 0; i < count && !input->bad; i++) {
		uint64_t change = (uint64_t)unzigzag(get_number(input));
		step = i == 0 ? 0 : step + change;
		before = i == 0 ? change : before + step;
		readings[i].time_us = (int64_t)before;
	}
}

static void get_values(struct input *input, struct reading *readings, size_t count, int mode)
{
	uint64_t before = 0;
	for (size_t i = 0; i < count && !input->bad; i++) {
		if (mode == DOUBLES) {
			if (left(input) < sizeof(double)) {
				input->bad = true;
				return;
			}
			memcpy(&readings[i].value, input->at, sizeof(double));
			input->at += sizeof(double);
		} else {
			before += (uint64_t)unzigzag(get_number(input));
			readings[i].value = (double)(int64_t)before / powers[mode];
		}
		input->bad |= !isfinite(readings[i].value);
	}
}

static void get_qualities(struct input *input, struct reading *readings, size_t count, int mode)
{
	if (mode == 1 && left(input) < count)
		input->bad = true;
	for (size_t i = 0; i < count && !input->bad; i++) {
		readings[i].quality = mode == 1 ? *input->at++ : SERIES_GOOD;
		input->bad |= readings[i].quality > SERIES_MANUAL;
	}
}

/* The count of all groups together, with every group's columns checked for their room: two bytes a reading at least. */
static void get_groups(struct input *input, struct arena *arena, struct reading **ret_readings, size_t *ret_count)
{
	uint64_t groups = get_number(input);
	size_t most = left(input) / 2, count = 0;
	struct reading *readings = ARENA_ARRAY(arena, struct reading, most ? most : 1);
	*ret_readings = readings;
	*ret_count = 0;
	for (uint64_t g = 0; g < groups && !input->bad && readings; g++) {
		struct id sensor;
		if (left(input) < sizeof sensor) {
			input->bad = true;
			return;
		}
		memcpy(sensor.bytes, input->at, sizeof sensor);
		input->at += sizeof sensor;
		uint64_t in_group = get_number(input);
		if (input->bad || left(input) < 2 || in_group > left(input) / 2 || in_group > most - count ||
			in_group == 0) {
			input->bad = true;
			return;
		}
		int value_mode = *input->at++, quality_mode = *input->at++;
		if ((value_mode > SCALE_MAX && value_mode != DOUBLES) || quality_mode > 1) {
			input->bad = true;
			return;
		}
		for (size_t i = 0; i < in_group; i++)
			readings[count + i].sensor = sensor;
		get_times(input, readings + count, (size_t)in_group);
		get_values(input, readings + count, (size_t)in_group, value_mode);
		get_qualities(input, readings + count, (size_t)in_group, quality_mode);
		count += (size_t)in_group;
	}
	input->bad |= input->at != input->end;
	*ret_count = count;
}

enum err readings_decode(
	const uint8_t *data, size_t size, struct arena *arena, struct reading **ret_readings, size_t *ret_count)
{
	uint32_t body_size = 0;
	uint8_t *body;
	*ret_readings = NULL;
	*ret_count = 0;
	if (size < HEAD_BYTES || memcmp(data, MAGIC, 4) != 0)
		return ERR_STORE_CORRUPT;
	for (int i = 0; i < 4; i++)
		body_size |= (uint32_t)data[4 + i] << (8 * i);
	/* the frame's own size is checked first, so that a few bytes cannot ask for 64 MiB */
	if (body_size == 0 || body_size > BODY_BYTES_MAX ||
		ZSTD_getFrameContentSize(data + HEAD_BYTES, size - HEAD_BYTES) != body_size)
		return ERR_STORE_CORRUPT;
	body = arena_alloc(arena, body_size);
	if (!body)
		return ERR_NO_MEMORY;
	if (ZSTD_decompress(body, body_size, data + HEAD_BYTES, size - HEAD_BYTES) != body_size)
		return ERR_STORE_CORRUPT;
	struct input input = {.at = body, .end = body + body_size};
	get_groups(&input, arena, ret_readings, ret_count);
	if (!*ret_readings)
		return ERR_NO_MEMORY;
	if (!input.bad)
		return ERR_OK;
	*ret_readings = NULL;
	*ret_count = 0;
	return ERR_STORE_CORRUPT;
}
