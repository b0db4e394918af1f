/* What the readings of an hour are as a set: their order, their repeats, which of them are stale, their decimal form and
 * their hash. Nothing here depends on the order in which they came. Pure; any thread. */
#include "points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/nearest.h"

#define MANTISSA_LIMIT 9007199254740992.0 /* 2^53 */
#define SUM_GUESS      8                  /* points that mostly tell the exponent of all */
#define SUM_RUN        512
#define HASH_CHUNK     64 /* points hashed with one call */

const char *const series_quality_names[] = {
	"good", "manual", "stale", "suspect", "out_of_calibration", "substituted", NULL};

const double powers_of_ten[EXPONENT_MAX + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};

static bool fits_exponent(double value, int exponent)
{
	double scaled = nearest(value * powers_of_ten[exponent]);
	return fabs(scaled) < MANTISSA_LIMIT && scaled / powers_of_ten[exponent] == value;
}

int common_exponent(const struct series_point *points, size_t count)
{
	int exponent = 0;
	size_t risen = 0; /* where it last rose */
	for (size_t i = 0; i < count; i++)
		while (!fits_exponent(points[i].value, exponent)) {
			if (++exponent > EXPONENT_MAX)
				return -1;
			risen = i;
		}
	/* a large value seen before may not fit the digits that a later one needs */
	for (size_t i = 0; i < risen; i++)
		if (!fits_exponent(points[i].value, exponent))
			return -1;
	return exponent;
}

int decimal_sum(const struct series_point *points, size_t count, __int128 *ret_sum)
{
	int exponent = common_exponent(points, count < SUM_GUESS ? count : SUM_GUESS);
	int64_t part = 0; /* of SUM_RUN mantissas below 2^53: fits */
	*ret_sum = 0;
	for (size_t i = 0; i < count && exponent >= 0; i++) {
		double scaled = nearest(points[i].value * powers_of_ten[exponent]);
		if (!(fabs(scaled) < MANTISSA_LIMIT) || scaled / powers_of_ten[exponent] != points[i].value) {
			exponent = common_exponent(points, count);
			*ret_sum = part = 0;
			i = SIZE_MAX; /* from the start at the finer exponent */
			continue;
		}
		part += (int64_t)scaled;
		if (i % SUM_RUN == SUM_RUN - 1) {
			*ret_sum += part;
			part = 0;
		}
	}
	*ret_sum += part;
	return exponent;
}

int64_t mantissa_of(double value, int exponent)
{
	return (int64_t)nearest(value * powers_of_ten[exponent]);
}

static int compare(const void *left, const void *right)
{
	const struct series_point *a = left, *b = right;
	if (a->time_us != b->time_us)
		return a->time_us < b->time_us ? -1 : 1;
	if (a->value != b->value)
		return a->value < b->value ? -1 : 1;
	return (int)a->quality - (int)b->quality;
}

/* Of one reading sent twice with different quality, the lower quality stays, whichever came first. */
static size_t drop_repeats(struct series_point *points, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		struct series_point *last = kept ? &points[kept - 1] : NULL;
		if (last && last->time_us == points[i].time_us && last->value == points[i].value)
			last->quality = points[i].quality > last->quality ? points[i].quality : last->quality;
		else
			points[kept++] = points[i];
	}
	return kept;
}

size_t series_sort(struct series_point *points, size_t count, size_t *ret_conflict)
{
	bool sorted = true;
	for (size_t i = 0; i < count; i++) {
		if (points[i].value == 0)
			points[i].value = 0; /* −0 */
		sorted = sorted && (i == 0 || points[i - 1].time_us < points[i].time_us);
	}
	*ret_conflict = SIZE_MAX;
	if (sorted)
		return count;
	qsort(points, count, sizeof *points, compare);
	count = drop_repeats(points, count);
	for (size_t i = 1; i < count && *ret_conflict == SIZE_MAX; i++)
		if (points[i - 1].time_us == points[i].time_us)
			*ret_conflict = i - 1;
	return count;
}

void series_mark_stale(struct series_point *points, size_t count, int64_t stale_after_us)
{
	size_t since = 0;
	for (size_t i = 0; i < count; i++) {
		if (points[i].value != points[since].value)
			since = i;
		if (points[i].quality != SERIES_GOOD && points[i].quality != SERIES_STALE)
			continue;
		bool stale = stale_after_us > 0 && points[i].time_us - points[since].time_us > stale_after_us;
		points[i].quality = stale ? SERIES_STALE : SERIES_GOOD;
	}
}

struct hash series_content_hash(struct id sensor, int64_t hour_us, const struct series_point *points, size_t count)
{
	struct sha256 state;
	sha256_start(&state, "carbond/bucket/1");
	sha256_add(&state, sensor.bytes, sizeof sensor.bytes);
	sha256_add_u64(&state, (uint64_t)hour_us);
	sha256_add_u64(&state, count);
	uint8_t chunk[HASH_CHUNK * 17], *at = chunk;
	for (size_t i = 0; i < count; i++) {
		double value = points[i].value == 0 ? 0 : points[i].value;
		uint64_t bits, time = (uint64_t)points[i].time_us;
		memcpy(&bits, &value, sizeof bits);
		for (int byte = 0; byte < 8; byte++) {
			at[byte] = (uint8_t)(time >> (8 * byte));
			at[8 + byte] = (uint8_t)(bits >> (8 * byte));
		}
		at[16] = points[i].quality == SERIES_MANUAL;
		at += 17;
		if (at == chunk + sizeof chunk || i + 1 == count) {
			sha256_add(&state, chunk, (size_t)(at - chunk));
			at = chunk;
		}
	}
	return sha256_end(&state);
}
