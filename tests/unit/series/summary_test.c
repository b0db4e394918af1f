/* Summaries: exact sums, folds that equal the whole, gaps shared between hours, bytes that come back, percentiles. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "carbond/series.h"
#include "noise.h"

#define HOUR_US  INT64_C(3600000000)
#define START_US INT64_C(1789999200000000)
#define MOST     5000

static struct series_point points[MOST];

static void near(double value, double expected)
{
	if (fabs(value - expected) > 1e-9 * (1 + fabs(expected)))
		fail_msg("%.17g is not %.17g", value, expected);
}

/* 0.1 ten times is 1, and a million of them is 100,000: no double sum gives that. */
static void test_sums_are_exact(void **state)
{
	(void)state;
	struct series_summary part, total = {0};
	for (size_t i = 0; i < 1000; i++)
		points[i] = (struct series_point){.time_us = START_US + (int64_t)i, .value = 0.1};
	series_summarise(points, 1000, START_US, START_US + HOUR_US, 1000000, &part);
	assert_true(part.sum == 100.0);
	for (int i = 0; i < 1000; i++)
		series_fold(&total, &part);
	assert_true(total.sum == 100000.0);
	assert_int_equal(total.count, 1000000);
	assert_true(total.decimal);
	assert_int_equal(total.exponent, 1);
}

/* Where there is no common exponent the sum is the correctly rounded one of the doubles. */
static void test_rounded_sums(void **state)
{
	(void)state;
	static const double values[] = {1e100, 1.0, 1.0 / 3, -1e100, 1e-300, 1e16, 1.0, -1e16};
	struct series_summary summary;
	for (size_t i = 0; i < 8; i++)
		points[i] = (struct series_point){.time_us = START_US + (int64_t)i, .value = values[i]};
	series_summarise(points, 8, START_US, START_US + HOUR_US, 1000000, &summary);
	assert_false(summary.decimal);
	assert_true(summary.sum == 2.0 + 1.0 / 3);
	/* ½ ulp beyond a tie: 1 + 2^-53 + 2^-106 rounds up */
	points[0].value = 1;
	points[1].value = ldexp(1, -53);
	points[2].value = ldexp(1, -106);
	series_summarise(points, 3, START_US, START_US + HOUR_US, 1000000, &summary);
	assert_true(summary.sum == nextafter(1, 2));
}

static void test_integral(void **state)
{
	(void)state;
	struct series_summary summary;
	points[0] = (struct series_point){START_US + 1000000, 10, SERIES_GOOD};
	points[1] = (struct series_point){START_US + 3000000, 20, SERIES_GOOD};
	points[2] = (struct series_point){START_US + 6000000, 20, SERIES_MANUAL};
	points[3] = (struct series_point){START_US + 9000001, 50, SERIES_STALE}; /* 3 periods and 1 µs later: a gap */
	series_summarise(points, 4, START_US, START_US + HOUR_US, 1000000, &summary);
	near(summary.integral, 30 + 60);
	assert_int_equal(summary.covered_us, 5000000);
	assert_int_equal(summary.good_count, 2);
	assert_int_equal(summary.manual_count, 1);
	assert_int_equal(summary.stale_count, 1);
	assert_true(summary.min == 10 && summary.max == 50 && summary.first == 10 && summary.last == 50);
}

/* Points outside the span are not in it. */
static void test_span(void **state)
{
	(void)state;
	struct series_summary summary;
	for (size_t i = 0; i < 10; i++)
		points[i] = (struct series_point){START_US + (int64_t)i, (double)i, SERIES_GOOD};
	series_summarise(points, 10, START_US + 2, START_US + 5, 1000000, &summary);
	assert_int_equal(summary.count, 3);
	assert_true(summary.sum == 9);
	series_summarise(points, 10, START_US + 20, START_US + 50, 1000000, &summary);
	assert_int_equal(summary.count, 0);
}

/* Cut anywhere, the parts and the seams between them fold to the whole. */
static void test_fold_equals_whole(void **state)
{
	(void)state;
	noise_seed(3);
	for (int run = 0; run < 200; run++) {
		size_t count = 2 + (size_t)(noise_next() % 400);
		int64_t time_us = START_US;
		for (size_t i = 0; i < count; i++) {
			time_us += 1 + (int64_t)(noise_next() % 4000000);
			points[i] = (struct series_point){time_us, rint(noise_gauss() * 1000) / 100, SERIES_GOOD};
		}
		int64_t end_us = time_us + 1, from_us = START_US;
		struct series_summary whole, total = {0}, last = {0};
		series_summarise(points, count, START_US, end_us, 1000000, &whole);
		while (from_us < end_us) {
			int64_t to_us = from_us + 1 + (int64_t)(noise_next() % (uint64_t)(end_us - START_US));
			to_us = to_us < end_us ? to_us : end_us;
			struct series_summary part;
			double left, right;
			int64_t left_us, right_us;
			series_summarise(points, count, from_us, to_us, 1000000, &part);
			if (part.count ==
				0) { /* an empty part: the next one begins where this one did, to stay adjacent */
				if (to_us == end_us)
					break;
				from_us = last.count ? last.to_us : from_us;
				continue;
			}
			series_join(&last, &part, 1000000, &left, &left_us, &right, &right_us);
			series_fold(&total, &part);
			total.integral += left + right;
			total.covered_us += left_us + right_us;
			last = part;
			from_us = to_us;
		}
		assert_int_equal(total.count, whole.count);
		assert_true(total.sum == whole.sum && total.min == whole.min && total.max == whole.max);
		assert_true(total.first == whole.first && total.last == whole.last);
		assert_int_equal(total.first_us, whole.first_us);
		assert_int_equal(total.last_us, whole.last_us);
		assert_int_equal(total.covered_us, whole.covered_us);
		near(total.integral, whole.integral);
	}
}

static void test_join_splits_at_the_boundary(void **state)
{
	(void)state;
	struct series_summary left = {.from_us = 0, .to_us = 10000000, .count = 1, .last = 10, .last_us = 9000000};
	struct series_summary right = {
		.from_us = 10000000, .to_us = 20000000, .count = 1, .first = 40, .first_us = 12000000};
	double left_integral, right_integral;
	int64_t left_us, right_us;
	series_join(&left, &right, 1000000, &left_integral, &left_us, &right_integral, &right_us);
	near(left_integral, 15);  /* 10 → 20 in 1 s */
	near(right_integral, 60); /* 20 → 40 in 2 s */
	assert_int_equal(left_us, 1000000);
	assert_int_equal(right_us, 2000000);
	right.first_us++; /* more than 3 periods: missing */
	series_join(&left, &right, 1000000, &left_integral, &left_us, &right_integral, &right_us);
	assert_true(left_integral == 0 && right_integral == 0 && left_us == 0 && right_us == 0);
}

static void test_bytes(void **state)
{
	(void)state;
	noise_seed(9);
	for (int run = 0; run < 2000; run++) {
		struct series_summary summary, back;
		uint8_t data[256];
		size_t size, used, count = (size_t)(noise_next() % 20);
		for (size_t i = 0; i < count; i++)
			points[i] = (struct series_point){START_US + (int64_t)i * 1000,
				run % 3 ? rint(noise_gauss() * 1000) / 1000 + 0.0
					: noise_gauss() * pow(10, (double)(run % 600) - 300),
				(uint8_t)(noise_next() % 3)};
		series_summarise(points, count, START_US - (run % 2), START_US + HOUR_US, 1000000, &summary);
		assert_int_equal(series_summary_encode(&summary, data, sizeof data, &size), ERR_OK);
		assert_int_equal(series_summary_encode(&summary, data, size - 1, &used), ERR_TOO_LARGE);
		assert_int_equal(series_summary_decode(data, size, &back, &used), ERR_OK);
		assert_int_equal(used, size);
		assert_memory_equal(&back, &summary, sizeof back);
		for (size_t cut = 0; cut < size; cut++)
			assert_int_equal(series_summary_decode(data, cut, &back, &used), ERR_STORE_CORRUPT);
		for (int flip = 0; flip < 20; flip++) {
			data[noise_next() % size] ^= (uint8_t)(1u << noise_next() % 8);
			enum err err = series_summary_decode(data, size, &back, &used);
			assert_true(err == ERR_OK || err == ERR_STORE_CORRUPT);
		}
	}
}

/* A fold of a fine and a large column needs more digits than a mantissa has: values go as doubles, the sum stays exact. */
static void test_fold_of_unlike_exponents(void **state)
{
	(void)state;
	struct series_summary fine, large, back;
	uint8_t data[256];
	size_t size, used;
	points[0] = (struct series_point){START_US, 1e-12, SERIES_GOOD};
	points[1] = (struct series_point){START_US + 1, 9e14, SERIES_GOOD};
	series_summarise(points, 1, START_US, START_US + 1, 1000000, &fine);
	series_summarise(points + 1, 1, START_US + 1, START_US + 2, 1000000, &large);
	series_fold(&fine, &large);
	assert_true(fine.decimal);
	assert_int_equal(series_summary_encode(&fine, data, sizeof data, &size), ERR_OK);
	assert_int_equal(series_summary_decode(data, size, &back, &used), ERR_OK);
	assert_memory_equal(&back, &fine, sizeof back);
}

static void test_percentile(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	static const double values[] = {43, 54, 56, 61, 62, 66, 68, 69, 69, 70, 71, 72, 77, 78, 79, 85, 87, 88, 89, 93,
		95, 96, 98, 99, 99}; /* NIST/SEMATECH 7.2.6.2 style; the answers below are R's quantile(type = 7) */
	double value;
	for (size_t i = 0; i < 25; i++)
		points[24 - i] = (struct series_point){START_US + (int64_t)i, values[i], SERIES_GOOD};
	assert_int_equal(series_percentile(points, 25, 0.5, arena, &value), ERR_OK);
	near(value, 77);
	assert_int_equal(series_percentile(points, 25, 0.1, arena, &value), ERR_OK);
	near(value, 58.0);
	assert_int_equal(series_percentile(points, 25, 0.95, arena, &value), ERR_OK);
	near(value, 98.8);
	assert_int_equal(series_percentile(points, 25, 0, arena, &value), ERR_OK);
	near(value, 43);
	assert_int_equal(series_percentile(points, 25, 1, arena, &value), ERR_OK);
	near(value, 99);
	assert_int_equal(series_percentile(points, 0, 0.5, arena, &value), ERR_INVALID_FIELD);
	assert_int_equal(series_percentile(points, 1, 1.5, arena, &value), ERR_INVALID_FIELD);
	assert_int_equal(series_percentile(points, 1, NAN, arena, &value), ERR_INVALID_FIELD);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums_are_exact),
		cmocka_unit_test(test_rounded_sums),
		cmocka_unit_test(test_integral),
		cmocka_unit_test(test_span),
		cmocka_unit_test(test_fold_equals_whole),
		cmocka_unit_test(test_join_splits_at_the_boundary),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_fold_of_unlike_exponents),
		cmocka_unit_test(test_percentile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
