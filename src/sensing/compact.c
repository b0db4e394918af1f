/* How an open reading takes 4 bytes when it comes on time, 8 when it does not: the offset within the hour fits 32 bits and
 * is not kept at all while readings come at equal steps; a value with few decimals is a 32-bit mantissa. What does not fit
 * widens the column once. Owned by one shard. */
#include "compact.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/nearest.h"

#define EXPONENT_MAX   12
#define GROWTH_SMALL   16u /* readings */
#define GROWTH_LARGE   64u /* from 128 readings on, and 1/32 of them where that is more: the slack stays small */
#define MANTISSA_LIMIT 2147483647.0

static const double powers[EXPONENT_MAX + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};

static size_t value_size(const struct compact *compact)
{
	return compact->wide ? sizeof(double) : sizeof(int32_t);
}

static double value_at(const struct compact *compact, size_t index)
{
	double wide;
	int32_t mantissa;
	if (compact->wide) {
		memcpy(&wide, (const char *)compact->values + index * sizeof wide, sizeof wide);
		return wide;
	}
	memcpy(&mantissa, (const char *)compact->values + index * sizeof mantissa, sizeof mantissa);
	return mantissa / powers[compact->exponent];
}

static bool fits(double value, int exponent)
{
	double scaled = nearest(value * powers[exponent]);
	return fabs(scaled) <= MANTISSA_LIMIT && scaled / powers[exponent] == value;
}

static uint32_t offset_at(const struct compact *compact, size_t index)
{
	return compact->offsets ? compact->offsets[index] : compact->first_us + (uint32_t)index * compact->step_us;
}

static bool grow(struct compact *compact)
{
	if (compact->count < compact->capacity)
		return true;
	uint32_t more = compact->count < 128 ? GROWTH_SMALL : GROWTH_LARGE;
	more = compact->count / 32 > more ? compact->count / 32 : more;
	uint32_t capacity = compact->capacity + more;
	void *values = realloc(compact->values, capacity * value_size(compact));
	if (!values)
		return false;
	compact->values = values;
	if (compact->offsets) {
		uint32_t *offsets = realloc(compact->offsets, capacity * sizeof *offsets);
		if (!offsets)
			return false;
		compact->offsets = offsets;
	}
	if (compact->manual) {
		uint8_t *manual = realloc(compact->manual, (capacity + 7) / 8);
		if (!manual)
			return false;
		memset(manual + (compact->capacity + 7) / 8, 0, (capacity + 7) / 8 - (compact->capacity + 7) / 8);
		compact->manual = manual;
	}
	compact->capacity = capacity;
	return true;
}

/* Makes room for a time that is not the next step. */
static bool spell_offsets(struct compact *compact)
{
	if (compact->offsets)
		return true;
	uint32_t *offsets = malloc(compact->capacity * sizeof *offsets);
	if (!offsets)
		return false;
	for (uint32_t i = 0; i < compact->count; i++)
		offsets[i] = offset_at(compact, i);
	compact->offsets = offsets;
	return true;
}

static bool is_next_step(const struct compact *compact, uint32_t offset_us)
{
	if (compact->count == 1)
		return offset_us > compact->first_us;
	return offset_us == (uint64_t)compact->first_us + (uint64_t)compact->count * compact->step_us;
}

static bool make_wide(struct compact *compact)
{
	double *wide = malloc(compact->capacity * sizeof *wide);
	if (!wide)
		return false;
	for (uint32_t i = 0; i < compact->count; i++)
		wide[i] = value_at(compact, i);
	free(compact->values);
	compact->values = wide;
	compact->wide = true;
	return true;
}

/* Mantissas at a finer exponent; false where one would not fit. */
static bool refine(struct compact *compact, int exponent)
{
	for (uint32_t i = 0; i < compact->count; i++)
		if (!fits(value_at(compact, i), exponent))
			return false;
	int32_t *mantissas = compact->values;
	for (uint32_t i = 0; i < compact->count; i++)
		mantissas[i] = (int32_t)rint(value_at(compact, i) * powers[exponent]);
	compact->exponent = (int8_t)exponent;
	return true;
}

static bool admit_value(struct compact *compact, double value)
{
	if (compact->wide || fits(value, compact->exponent))
		return true;
	int exponent = compact->exponent + 1;
	while (exponent <= EXPONENT_MAX && !fits(value, exponent))
		exponent++;
	return (exponent <= EXPONENT_MAX && refine(compact, exponent)) || make_wide(compact);
}

bool compact_add(struct compact *compact, uint32_t offset_us, double value, bool manual)
{
	uint32_t index = compact->count;
	if (!grow(compact) || !admit_value(compact, value))
		return false;
	if (manual && !compact->manual) {
		compact->manual = calloc((compact->capacity + 7) / 8, 1);
		if (!compact->manual)
			return false;
	}
	if (index > 0 && !compact->offsets && !is_next_step(compact, offset_us) && !spell_offsets(compact))
		return false;
	if (index > 0 && offset_us <= offset_at(compact, index - 1))
		compact->unsorted = true;
	if (compact->offsets)
		compact->offsets[index] = offset_us;
	else if (index == 0)
		compact->first_us = offset_us;
	else if (index == 1)
		compact->step_us = offset_us - compact->first_us;
	if (compact->wide)
		((double *)compact->values)[index] = value;
	else
		((int32_t *)compact->values)[index] = (int32_t)rint(value * powers[compact->exponent]);
	if (manual)
		compact->manual[index / 8] |= (uint8_t)(1u << index % 8);
	compact->count++;
	return true;
}

void compact_get(const struct compact *compact, int64_t hour_us, size_t index, struct series_point *ret_point)
{
	bool manual = compact->manual && compact->manual[index / 8] >> index % 8 & 1;
	*ret_point = (struct series_point){.time_us = hour_us + offset_at(compact, index),
		.value = value_at(compact, index),
		.quality = manual ? SERIES_MANUAL : SERIES_GOOD};
}

void compact_free(struct compact *compact)
{
	free(compact->offsets);
	free(compact->values);
	free(compact->manual);
	*compact = (struct compact){0};
}

size_t compact_bytes(const struct compact *compact)
{
	size_t each = value_size(compact) + (compact->offsets ? sizeof *compact->offsets : 0);
	return compact->capacity * each + (compact->manual ? (compact->capacity + 7) / 8 : 0);
}
