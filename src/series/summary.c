/* What an hour amounts to: counts, extremes, exact sum, integral; how hours fold into days and months, how the gap between
 * two of them is shared, and percentiles. Sums are exact: int128 of decimal mantissas, or the correctly rounded sum of the
 * doubles. Pure; any thread. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "column.h"
#include "points.h"

#define GAP_PERIODS     3 /* a longer gap is missing, not interpolated (decision 15) */
#define SUMMARY_VERSION 1
#define HOUR_US         INT64_C(3600000000)
#define SUMMARY_BYTES   192 /* the longest encoding is 175 bytes */
#define SUM_RUN         512 /* mantissas below 2^53 whose sum 64 bits hold */
#define PARTIALS_MAX    64  /* a double has 2^11 exponents of 53 bits: at most 40 partial sums do not overlap */

enum summary_flag { SUMMARY_DECIMAL = 1, SUMMARY_WHOLE_HOURS = 2, SUMMARY_KNOWN = 3 };

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

static int128 sum_of(const struct series_summary *summary)
{
	return (int128)((uint128)(uint64_t)summary->sum_high << 64 | summary->sum_low);
}

static void sum_set(struct series_summary *summary, int128 sum)
{
	summary->sum_high = (int64_t)(sum >> 64);
	summary->sum_low = (uint64_t)sum;
	summary->sum = (double)sum / powers_of_ten[summary->exponent];
}

/* The correctly rounded sum of doubles: partial sums that do not overlap (Shewchuk 1997), rounded once at the end with the
 * half-way case decided by the next partial. NaN or infinity cannot come in; an overflow gives ±infinity. */
static double exact_sum(const struct series_point *points, size_t count)
{
	double partials[PARTIALS_MAX];
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		double x = points[i].value;
		size_t kept = 0;
		for (size_t j = 0; j < used; j++) {
			double y = partials[j];
			if (fabs(x) < fabs(y)) {
				double swap = x;
				x = y;
				y = swap;
			}
			double high = x + y, low = y - (high - x);
			if (low != 0 && kept < PARTIALS_MAX - 1)
				partials[kept++] = low;
			x = high;
		}
		partials[kept++] = x;
		used = kept;
		if (!isfinite(x))
			return x;
	}
	if (used == 0)
		return 0;
	double high = partials[--used], low = 0;
	while (used > 0) {
		double x = high, y = partials[--used];
		high = x + y;
		low = y - (high - x);
		if (low != 0)
			break;
	}
	if (used > 0 && ((low < 0 && partials[used - 1] < 0) || (low > 0 && partials[used - 1] > 0))) {
		double twice = low * 2, rounded = high + twice;
		if (twice == rounded - high)
			high = rounded;
	}
	return high;
}

static void add_points(
	struct series_summary *summary, const struct series_point *points, size_t count, int64_t period_us)
{
	summary->count = count;
	summary->min = summary->max = points[0].value;
	int64_t last_gap_us = 0;
	double last_gap_s = 0; /* most gaps are alike: a division less */
	for (size_t i = 0; i < count; i++) {
		summary->good_count += points[i].quality == SERIES_GOOD;
		summary->manual_count += points[i].quality == SERIES_MANUAL;
		summary->stale_count += points[i].quality == SERIES_STALE;
		summary->min = points[i].value < summary->min ? points[i].value : summary->min;
		summary->max = points[i].value > summary->max ? points[i].value : summary->max;
		if (i == 0)
			continue;
		int64_t gap_us = points[i].time_us - points[i - 1].time_us;
		if (gap_us > GAP_PERIODS * period_us)
			continue;
		if (gap_us != last_gap_us) {
			last_gap_us = gap_us;
			last_gap_s = (double)gap_us / 1e6;
		}
		summary->integral += (points[i - 1].value + points[i].value) * 0.5 * last_gap_s;
		summary->covered_us += gap_us;
	}
	summary->first = points[0].value;
	summary->last = points[count - 1].value;
	summary->first_us = points[0].time_us;
	summary->last_us = points[count - 1].time_us;
}

void series_summarise(const struct series_point *points, size_t count, int64_t from_us, int64_t to_us,
	int64_t period_us, struct series_summary *ret_summary)
{
	*ret_summary = (struct series_summary){.from_us = from_us, .to_us = to_us, .decimal = true};
	while (count > 0 && points[0].time_us < from_us) {
		points++;
		count--;
	}
	while (count > 0 && points[count - 1].time_us >= to_us)
		count--;
	if (count == 0)
		return;
	add_points(ret_summary, points, count, period_us);
	int128 sum;
	int exponent = decimal_sum(points, count, &sum);
	ret_summary->decimal = exponent >= 0;
	if (exponent < 0) {
		ret_summary->sum = exact_sum(points, count);
		return;
	}
	ret_summary->exponent = (int8_t)exponent;
	sum_set(ret_summary, sum);
}

size_t series_columns_find(const struct series_columns *columns, size_t from, int64_t time_us)
{
	size_t low = from, high = columns->count;
	if (!columns->times_us) {
		uint64_t span = (uint64_t)time_us - (uint64_t)columns->first_us, step = (uint64_t)columns->step_us;
		uint64_t index = time_us > columns->first_us ? span / step + (span % step != 0) : 0;
		index = index < high ? index : high;
		return index > low ? (size_t)index : low;
	}
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (columns->times_us[middle] < time_us)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The fewest digits after the point that all of them need: mostly the first one tells. */
static int exponent_needed(const int64_t *mantissas, size_t count, int exponent, int64_t *ret_scale)
{
	int64_t scale = 1;
	for (; exponent > 0; exponent--, scale *= 10)
		for (size_t i = 0; i < count; i++)
			if (mantissas[i] % (scale * 10)) {
				*ret_scale = scale;
				return exponent;
			}
	*ret_scale = scale;
	return 0;
}

void series_columns_summarise(const struct series_columns *columns, size_t begin, size_t end, bool extremes,
	struct series_summary *ret_summary)
{
	const int64_t *mantissas = columns->values + begin;
	size_t count = end - begin;
	double power = powers_of_ten[columns->exponent];
	int64_t min = mantissas[0], max = mantissas[0], scale;
	int128 sum = 0;
	for (size_t at = 0; at < count;) {
		size_t stop = count - at < SUM_RUN ? count : at + SUM_RUN;
		int64_t part = 0;
		for (; at < stop; at++)
			part += mantissas[at];
		sum += part;
	}
	for (size_t i = 1; extremes && i < count; i++) {
		min = mantissas[i] < min ? mantissas[i] : min;
		max = mantissas[i] > max ? mantissas[i] : max;
	}
	*ret_summary = (struct series_summary){.count = count,
		.min = (double)min / power,
		.max = (double)max / power,
		.first = (double)mantissas[0] / power,
		.last = (double)mantissas[count - 1] / power,
		.first_us = series_columns_time(columns, begin),
		.last_us = series_columns_time(columns, end - 1),
		.decimal = true};
	ret_summary->exponent = (int8_t)exponent_needed(mantissas, count, columns->exponent, &scale);
	sum_set(ret_summary, scale == 1 ? sum : sum / scale);
}

void series_join(const struct series_summary *left, const struct series_summary *right, int64_t period_us,
	double *ret_left_integral, int64_t *ret_left_us, double *ret_right_integral, int64_t *ret_right_us)
{
	*ret_left_integral = *ret_right_integral = 0;
	*ret_left_us = *ret_right_us = 0;
	if (left->count == 0 || right->count == 0)
		return;
	int64_t gap_us = right->first_us - left->last_us;
	if (gap_us <= 0 || gap_us > GAP_PERIODS * period_us)
		return;
	double slope = (right->first - left->last) / (double)gap_us;
	*ret_left_us = left->to_us - left->last_us;
	*ret_right_us = right->first_us - right->from_us;
	double at_left = left->last + slope * (double)*ret_left_us;
	double at_right = right->first - slope * (double)*ret_right_us;
	*ret_left_integral = (left->last + at_left) * 0.5 * ((double)*ret_left_us / 1e6);
	*ret_right_integral = (at_right + right->first) * 0.5 * ((double)*ret_right_us / 1e6);
}

/* Both sums as mantissas at the finer exponent; false where 128 bits do not hold them. */
static bool sums_add(const struct series_summary *a, const struct series_summary *b, int exponent, int128 *ret_sum)
{
	int128 left, right;
	return !__builtin_mul_overflow(sum_of(a), (int64_t)powers_of_ten[exponent - a->exponent], &left) &&
	       !__builtin_mul_overflow(sum_of(b), (int64_t)powers_of_ten[exponent - b->exponent], &right) &&
	       !__builtin_add_overflow(left, right, ret_sum);
}

static void fold_sums(struct series_summary *total, const struct series_summary *part)
{
	int128 sum;
	int exponent = total->exponent > part->exponent ? total->exponent : part->exponent;
	if (total->decimal && part->decimal && sums_add(total, part, exponent, &sum)) {
		total->exponent = (int8_t)exponent;
		sum_set(total, sum);
		return;
	}
	total->sum += part->sum;
	total->decimal = false;
	total->exponent = 0;
	total->sum_high = 0;
	total->sum_low = 0;
}

void series_fold(struct series_summary *total, const struct series_summary *part)
{
	if (total->count == 0) {
		*total = *part;
		return;
	}
	total->to_us = part->to_us > total->to_us ? part->to_us : total->to_us;
	if (part->count == 0)
		return;
	fold_sums(total, part);
	total->count += part->count;
	total->good_count += part->good_count;
	total->manual_count += part->manual_count;
	total->stale_count += part->stale_count;
	total->min = part->min < total->min ? part->min : total->min;
	total->max = part->max > total->max ? part->max : total->max;
	total->last = part->last;
	total->last_us = part->last_us;
	total->integral += part->integral;
	total->covered_us += part->covered_us;
}

/* ---- bytes ---- */

static uint8_t *write_real(uint8_t *at, double value)
{
	memcpy(at, &value, sizeof value);
	return at + sizeof value;
}

static double read_real(struct reader *reader)
{
	const uint8_t *bytes = read_bytes(reader, sizeof(double));
	double value = 0;
	if (bytes)
		memcpy(&value, bytes, sizeof value);
	return value;
}

/* Values of the summary that are readings themselves: as mantissas where there is an exponent. */
static uint8_t *write_value(uint8_t *at, const struct series_summary *summary, double value)
{
	return summary->decimal ? write_signed(at, mantissa_of(value, summary->exponent)) : write_real(at, value);
}

static double read_value(struct reader *reader, const struct series_summary *summary)
{
	return summary->decimal ? (double)read_signed(reader) / powers_of_ten[summary->exponent] : read_real(reader);
}

/* A fold over 10^12 digits may hold a value whose mantissa at the finer exponent is beyond 2^53. */
static bool values_fit(const struct series_summary *summary)
{
	const double values[] = {summary->min, summary->max, summary->first, summary->last};
	struct series_point points[4] = {{0}};
	for (size_t i = 0; i < 4; i++)
		points[i].value = values[i];
	int exponent = common_exponent(points, 4);
	if (exponent < 0 || exponent > summary->exponent)
		return false;
	for (size_t i = 0; i < 4; i++)
		if (fabs(values[i]) * powers_of_ten[summary->exponent] >= 4503599627370496.0)
			return false;
	return true;
}

static uint8_t *write_sum(uint8_t *at, int128 sum)
{
	uint128 rest = (uint128)sum << 1 ^ (uint128)(sum >> 127);
	for (; rest >= 0x80; rest >>= 7)
		*at++ = (uint8_t)(rest | 0x80);
	*at++ = (uint8_t)rest;
	return at;
}

static int128 read_sum(struct reader *reader)
{
	uint128 number = 0;
	for (unsigned shift = 0; shift < 128; shift += 7) {
		const uint8_t *byte = read_bytes(reader, 1);
		if (!byte)
			return 0;
		number |= (uint128)(*byte & 0x7f) << shift;
		if (*byte < 0x80)
			return (int128)(number >> 1 ^ (0 - (number & 1)));
	}
	reader->broken = 1;
	return 0;
}

/* What the values of a summary are written as: its own exponent, or plain doubles where one does not fit. */
enum err series_summary_encode(
	const struct series_summary *summary, uint8_t *ret_data, size_t capacity, size_t *ret_size)
{
	uint8_t bytes[SUMMARY_BYTES], *at = bytes;
	struct series_summary form = *summary;
	bool plain = summary->decimal && summary->count && !values_fit(summary);
	form.decimal = summary->decimal && !plain;
	bool whole = summary->from_us % HOUR_US == 0 && summary->to_us % HOUR_US == 0;
	*at++ = SUMMARY_VERSION;
	*at++ = (uint8_t)((summary->decimal ? SUMMARY_DECIMAL : 0) | (whole ? SUMMARY_WHOLE_HOURS : 0) |
			  (plain ? 4 : 0));
	at = write_signed(at, whole ? summary->from_us / HOUR_US : summary->from_us);
	at = write_signed(at, (summary->to_us - summary->from_us) / (whole ? HOUR_US : 1));
	at = write_varint(at, summary->count);
	if (summary->count) {
		at = write_varint(at, summary->count - summary->good_count);
		at = write_varint(at, summary->manual_count);
		at = write_varint(at, summary->stale_count);
		at = write_signed(at, summary->first_us - summary->from_us);
		at = write_signed(at, summary->last_us - summary->first_us);
		if (summary->decimal)
			*at++ = (uint8_t)summary->exponent;
		at = write_value(at, &form, summary->min);
		at = write_value(at, &form, summary->max);
		at = write_value(at, &form, summary->first);
		at = write_value(at, &form, summary->last);
		at = summary->decimal ? write_sum(at, sum_of(summary)) : write_real(at, summary->sum);
		at = write_real(at, summary->integral);
		at = write_varint(at, (uint64_t)summary->covered_us);
	}
	*ret_size = (size_t)(at - bytes);
	if (*ret_size > capacity)
		return ERR_TOO_LARGE;
	memcpy(ret_data, bytes, *ret_size);
	return ERR_OK;
}

static void read_counts(struct reader *reader, struct series_summary *summary)
{
	uint64_t not_good = read_varint(reader);
	summary->manual_count = read_varint(reader);
	summary->stale_count = read_varint(reader);
	if (not_good > summary->count || summary->manual_count > not_good || summary->stale_count > not_good)
		reader->broken = 1;
	summary->good_count = summary->count - not_good;
	summary->first_us = (int64_t)((uint64_t)summary->from_us + (uint64_t)read_signed(reader));
	summary->last_us = (int64_t)((uint64_t)summary->first_us + (uint64_t)read_signed(reader));
}

static void read_values(struct reader *reader, struct series_summary *summary, bool plain)
{
	if (summary->decimal) {
		const uint8_t *exponent = read_bytes(reader, 1);
		summary->exponent = exponent && *exponent <= EXPONENT_MAX ? (int8_t)*exponent : 0;
		reader->broken |= exponent && *exponent > EXPONENT_MAX;
	}
	struct series_summary form = *summary;
	form.decimal = summary->decimal && !plain;
	summary->min = read_value(reader, &form);
	summary->max = read_value(reader, &form);
	summary->first = read_value(reader, &form);
	summary->last = read_value(reader, &form);
	if (summary->decimal)
		sum_set(summary, read_sum(reader));
	else
		summary->sum = read_real(reader);
	summary->integral = read_real(reader);
	uint64_t covered_us = read_varint(reader);
	reader->broken |= covered_us > INT64_MAX;
	summary->covered_us = (int64_t)covered_us;
}

enum err series_summary_decode(const uint8_t *data, size_t size, struct series_summary *ret_summary, size_t *ret_used)
{
	struct reader reader = {.at = data, .end = data + size};
	const uint8_t *head = read_bytes(&reader, 2);
	if (!head || head[0] != SUMMARY_VERSION || head[1] > 7)
		return ERR_STORE_CORRUPT;
	uint64_t unit = head[1] & SUMMARY_WHOLE_HOURS ? (uint64_t)HOUR_US : 1;
	*ret_summary = (struct series_summary){.decimal = head[1] & SUMMARY_DECIMAL};
	uint64_t from = (uint64_t)read_signed(&reader) * unit, span = (uint64_t)read_signed(&reader) * unit;
	ret_summary->from_us = (int64_t)from;
	ret_summary->to_us = (int64_t)(from + span);
	ret_summary->count = read_varint(&reader);
	if (ret_summary->count && !reader.broken) {
		read_counts(&reader, ret_summary);
		read_values(&reader, ret_summary, head[1] & 4);
	}
	if (reader.broken)
		return ERR_STORE_CORRUPT;
	*ret_used = (size_t)(reader.at - data);
	return ERR_OK;
}

/* ---- percentiles ---- */

static int compare_reals(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

enum err series_percentile(
	const struct series_point *points, size_t count, double fraction, struct arena *arena, double *ret_value)
{
	if (count == 0 || !(fraction >= 0 && fraction <= 1))
		return ERR_INVALID_FIELD;
	double *values = ARENA_ARRAY(arena, double, count);
	if (!values)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < count; i++)
		values[i] = points[i].value;
	qsort(values, count, sizeof *values, compare_reals);
	double rank = (double)(count - 1) * fraction;
	size_t below = (size_t)rank, above = below + 1 < count ? below + 1 : below;
	*ret_value = values[below] + (rank - (double)below) * (values[above] - values[below]);
	return ERR_OK;
}
