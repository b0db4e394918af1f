/* The bytes of an hour: version, count, kind of values, then a column of times, one of values and the runs of quality.
 * Values are decimal mantissas at one exponent where every one of them is such a number exactly, else the ordered bits of the
 * doubles. Where the signal has so and so many significant digits rather than so many after the point, each value's
 * residual is counted in its own last digit. Any bytes can be decoded: they give points or ERR_STORE_CORRUPT. Pure. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "column.h"
#include "points.h"

#define BLOCK_VERSION  1
#define HEADER_BYTES   16 /* version, count, kind, exponent */
#define DIGITS_MAX     16 /* of a mantissa below 2^53 */
#define MANTISSA_BOUND (INT64_C(1) << 53)
#define PLAIN_BOUND    (INT64_C(1) << 50) /* below, two mantissas are never the same double at any exponent */

enum kind { KIND_BITS, KIND_DECIMAL, KIND_DIGITS, KIND_COUNT };
#define KIND_QUALITY 0x80u /* runs of quality follow: not every point is good */

static int64_t ordered_bits(double value)
{
	int64_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits ^ ((bits >> 63) & INT64_MAX);
}

static double from_ordered_bits(int64_t bits)
{
	bits ^= (bits >> 63) & INT64_MAX;
	double value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

static int digit_count(int64_t mantissa)
{
	int digits = 0;
	for (int64_t rest = llabs(mantissa); rest; rest /= 10)
		digits++;
	return digits;
}

static int trailing_zeros(int64_t mantissa)
{
	int zeros = 0;
	for (; mantissa % 10 == 0; mantissa /= 10)
		zeros++;
	return zeros;
}

/* How many digits of each mantissa lie below its last significant one, when no value of the column has more significant
 * digits than the widest of them; false where that is none anywhere. Zero, divisible by all, follows its predecessor. */
static bool digits_make(const int64_t *mantissas, size_t count, uint8_t *ret_digits)
{
	int significant = 0, below = 0;
	bool any = false;
	for (size_t i = 0; i < count; i++) {
		if (mantissas[i] == 0)
			continue;
		int width = digit_count(mantissas[i]) - trailing_zeros(mantissas[i]);
		significant = width > significant ? width : significant;
	}
	for (size_t i = 0; i < count; i++) {
		if (mantissas[i] != 0) {
			below = digit_count(mantissas[i]) - significant;
			below = below > 0 ? below : 0;
		}
		ret_digits[i] = (uint8_t)below;
		any = any || below > 0;
	}
	return any;
}

static enum err digits_write(const uint8_t *digits, size_t count, struct arena *arena, uint8_t **at)
{
	int64_t *wide = ARENA_ARRAY(arena, int64_t, count);
	if (!wide)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < count; i++)
		wide[i] = digits[i];
	return column_encode(wide, NULL, count, arena, at);
}

struct values {
	enum kind kind;
	int exponent;
	uint8_t *data;
	size_t size;
};

/* Encodes the values in the given form; `ret` is only replaced by something shorter. */
static enum err values_try(enum kind kind, int exponent, const int64_t *numbers, const uint8_t *digits, size_t count,
	struct arena *arena, struct values *ret)
{
	uint8_t *data = arena_alloc(arena, 2 * COLUMN_BYTES_MAX(count)), *at = data;
	if (!data)
		return ERR_NO_MEMORY;
	enum err err = ERR_OK;
	if (kind == KIND_DIGITS)
		err = digits_write(digits, count, arena, &at);
	if (!err)
		err = column_encode(numbers, digits, count, arena, &at);
	if (err || (ret->data && ret->size <= (size_t)(at - data)))
		return err;
	*ret = (struct values){.kind = kind, .exponent = exponent, .data = data, .size = (size_t)(at - data)};
	return ERR_OK;
}

static enum err values_encode(const struct series_point *points, size_t count, struct arena *arena, struct values *ret)
{
	int exponent = common_exponent(points, count);
	int64_t *numbers = ARENA_ARRAY(arena, int64_t, count);
	uint8_t *digits = arena_alloc(arena, count);
	if (!numbers || !digits)
		return ERR_NO_MEMORY;
	*ret = (struct values){0};
	for (size_t i = 0; i < count; i++)
		numbers[i] = exponent < 0 ? ordered_bits(points[i].value) : mantissa_of(points[i].value, exponent);
	if (exponent < 0)
		return values_try(KIND_BITS, 0, numbers, NULL, count, arena, ret);
	enum err err = values_try(KIND_DECIMAL, exponent, numbers, NULL, count, arena, ret);
	if (!err && digits_make(numbers, count, digits))
		err = values_try(KIND_DIGITS, exponent, numbers, digits, count, arena, ret);
	return err;
}

static bool all_good(const struct series_point *points, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (points[i].quality != SERIES_GOOD)
			return false;
	return true;
}

static uint8_t *quality_write(const struct series_point *points, size_t count, uint8_t *at)
{
	for (size_t begin = 0, end; begin < count; begin = end) {
		for (end = begin; end < count && points[end].quality == points[begin].quality; end++)
			continue;
		at = write_varint(at, end - begin);
		*at++ = points[begin].quality;
	}
	return at;
}

enum err series_encode(
	const struct series_point *points, size_t count, struct arena *arena, uint8_t **ret_data, size_t *ret_size)
{
	bool good = all_good(points, count);
	int64_t *times = ARENA_ARRAY(arena, int64_t, count + 1);
	struct values values;
	enum err err = times ? values_encode(points, count, arena, &values) : ERR_NO_MEMORY;
	if (err)
		return err;
	uint8_t *data =
		arena_alloc(arena, HEADER_BYTES + COLUMN_BYTES_MAX(count) + values.size + (good ? 0 : 11 * count));
	uint8_t *at = data;
	if (!data)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < count; i++)
		times[i] = points[i].time_us;
	*at++ = BLOCK_VERSION;
	at = write_varint(at, count);
	*at++ = (uint8_t)((unsigned)values.kind | (good ? 0 : KIND_QUALITY));
	if (values.kind != KIND_BITS)
		*at++ = (uint8_t)values.exponent;
	err = column_encode(times, NULL, count, arena, &at);
	if (err)
		return err;
	if (values.size)
		memcpy(at, values.data, values.size);
	at += values.size;
	if (!good)
		at = quality_write(points, count, at);
	*ret_data = data;
	*ret_size = (size_t)(at - data);
	return ERR_OK;
}

static enum err digits_read(struct reader *reader, size_t count, struct arena *arena, uint8_t **ret_digits)
{
	int64_t *wide = ARENA_ARRAY(arena, int64_t, count);
	*ret_digits = arena_alloc(arena, count);
	if (!wide || !*ret_digits)
		return ERR_NO_MEMORY;
	enum err err = column_decode(reader, NULL, count, arena, wide);
	for (size_t i = 0; i < count && !err; i++) {
		if (wide[i] < 0 || wide[i] > DIGITS_MAX)
			err = ERR_STORE_CORRUPT;
		(*ret_digits)[i] = (uint8_t)wide[i];
	}
	return err;
}

/* Whether every mantissa lies within ±most. Differences past the end wrap to a set sign: no overflow, and no branch. */
static bool all_within(const int64_t *mantissas, size_t count, int64_t most)
{
	uint64_t outside = 0;
	for (size_t i = 0; i < count; i++)
		outside |= ((uint64_t)mantissas[i] + (uint64_t)most) | ((uint64_t)most - (uint64_t)mantissas[i]);
	return !(outside >> 63);
}

static enum err values_read(
	struct reader *reader, enum kind kind, size_t count, struct arena *arena, struct series_columns *columns)
{
	uint8_t *digits = NULL;
	columns->values = ARENA_ARRAY(arena, int64_t, count + 1);
	if (!columns->values)
		return ERR_NO_MEMORY;
	enum err err = kind == KIND_DIGITS ? digits_read(reader, count, arena, &digits) : ERR_OK;
	if (!err)
		err = column_decode(reader, digits, count, arena, columns->values);
	if (err)
		return err;
	if (kind != KIND_BITS) {
		columns->plain = all_within(columns->values, count, PLAIN_BOUND);
		return columns->plain || all_within(columns->values, count, MANTISSA_BOUND - 1) ? ERR_OK
												: ERR_STORE_CORRUPT;
	}
	bool bad = false;
	for (size_t i = 0; i < count; i++) {
		double value = from_ordered_bits(columns->values[i]);
		bad |= !isfinite(value) || (value == 0 && signbit(value));
	}
	return bad ? ERR_STORE_CORRUPT : ERR_OK;
}

/* Times that are all alike apart need no column; any other line, from bytes that nobody wrote, is a column like any. */
static enum err times_read(struct reader *reader, size_t count, struct arena *arena, struct series_columns *columns)
{
	struct reader ahead = *reader;
	int64_t span_us, last_us;
	if (column_read_line(&ahead, count, &columns->first_us, &columns->step_us) && columns->step_us > 0 &&
		!__builtin_mul_overflow(columns->step_us, count - 1, &span_us) &&
		!__builtin_add_overflow(columns->first_us, span_us, &last_us)) {
		*reader = ahead;
		return ERR_OK;
	}
	columns->times_us = ARENA_ARRAY(arena, int64_t, count + 1);
	return columns->times_us ? column_decode(reader, NULL, count, arena, columns->times_us) : ERR_NO_MEMORY;
}

static enum err quality_read(struct reader *reader, size_t count, struct arena *arena, uint8_t **ret_quality)
{
	uint8_t *qualities = arena_alloc(arena, count + 1);
	if (!qualities)
		return ERR_NO_MEMORY;
	for (size_t begin = 0; begin < count;) {
		uint64_t run = read_varint(reader);
		const uint8_t *quality = read_bytes(reader, 1);
		if (!quality || run == 0 || run > count - begin || *quality >= SERIES_QUALITY_COUNT)
			return ERR_STORE_CORRUPT;
		memset(qualities + begin, *quality, run);
		begin += run;
	}
	*ret_quality = qualities;
	return ERR_OK;
}

enum err series_columns_decode(
	const uint8_t *data, size_t size, size_t most, struct arena *arena, struct series_columns *ret_columns)
{
	struct reader reader = {.at = data, .end = data + size};
	const uint8_t *version = read_bytes(&reader, 1);
	uint64_t count = read_varint(&reader);
	const uint8_t *kind_byte = read_bytes(&reader, 1);
	unsigned kind = kind_byte ? *kind_byte & ~KIND_QUALITY : KIND_COUNT;
	if (!version || *version != BLOCK_VERSION || kind >= KIND_COUNT)
		return ERR_STORE_CORRUPT;
	if (count > most)
		return ERR_TOO_LARGE;
	const uint8_t *exponent = kind == KIND_BITS ? version : read_bytes(&reader, 1);
	if (!exponent || *exponent > EXPONENT_MAX)
		return ERR_STORE_CORRUPT;
	*ret_columns = (struct series_columns){
		.count = (size_t)count, .decimal = kind != KIND_BITS, .exponent = kind == KIND_BITS ? 0 : *exponent};
	enum err err = times_read(&reader, (size_t)count, arena, ret_columns);
	if (!err)
		err = values_read(&reader, (enum kind)kind, (size_t)count, arena, ret_columns);
	if (!err && (*kind_byte & KIND_QUALITY))
		err = quality_read(&reader, (size_t)count, arena, &ret_columns->quality);
	if (!err && (reader.broken || reader.at != reader.end))
		err = ERR_STORE_CORRUPT;
	return err;
}

enum err series_columns_points(
	const struct series_columns *columns, struct arena *arena, struct series_point **ret_points)
{
	struct series_point *points = ARENA_ARRAY(arena, struct series_point, columns->count + 1);
	if (!points)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < columns->count; i++)
		points[i].time_us = series_columns_time(columns, i);
	if (columns->decimal) {
		double power = powers_of_ten[columns->exponent];
		for (size_t i = 0; i < columns->count; i++)
			points[i].value = (double)columns->values[i] / power;
	} else {
		for (size_t i = 0; i < columns->count; i++)
			points[i].value = from_ordered_bits(columns->values[i]);
	}
	for (size_t i = 0; columns->quality && i < columns->count; i++)
		points[i].quality = columns->quality[i];
	*ret_points = points;
	return ERR_OK;
}

enum err series_decode(const uint8_t *data, size_t size, size_t most, struct arena *arena,
	struct series_point **ret_points, size_t *ret_count)
{
	struct series_columns columns;
	enum err err = series_columns_decode(data, size, most, arena, &columns);
	if (!err)
		err = series_columns_points(&columns, arena, ret_points);
	if (!err)
		*ret_count = columns.count;
	return err;
}
