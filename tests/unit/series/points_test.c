/* An hour's content is a set: the order and number of arrivals change neither its points nor its hash (P12, pure half). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "carbond/series.h"
#include "noise.h"

#define START_US INT64_C(1789999200000000)
#define MOST     1000

static const struct id sensor = {{1, 2, 3}};

static void test_order_and_repeats_leave_the_hash(void **state)
{
	(void)state;
	noise_seed(12);
	for (int run = 0; run < 50; run++) {
		struct series_point sorted[MOST], mixed[2 * MOST];
		size_t count = 1 + (size_t)(noise_next() % MOST), more = 0, conflict;
		for (size_t i = 0; i < count; i++)
			sorted[i] = (struct series_point){.time_us = START_US + (int64_t)i * 1000,
				.value = noise_next() % 5 ? noise_gauss() : 0.0,
				.quality = noise_next() % 9 ? SERIES_GOOD : SERIES_MANUAL};
		struct hash expected = series_content_hash(sensor, START_US, sorted, count);
		memcpy(mixed, sorted, count * sizeof *mixed);
		for (; more < count; more++) { /* up to every one of them twice, zeros also as −0 */
			mixed[count + more] = sorted[noise_next() % count];
			if (mixed[count + more].value == 0)
				mixed[count + more].value = -0.0;
		}
		for (size_t i = count + more; i > 1; i--) {
			size_t other = (size_t)(noise_next() % i);
			struct series_point swap = mixed[i - 1];
			mixed[i - 1] = mixed[other];
			mixed[other] = swap;
		}
		assert_int_equal(series_sort(mixed, count + more, &conflict), count);
		assert_true(conflict == SIZE_MAX);
		for (size_t i = 0; i < count; i++)
			assert_false(signbit(mixed[i].value) && mixed[i].value == 0);
		assert_true(hash_equal(series_content_hash(sensor, START_US, mixed, count), expected));
		series_mark_stale(mixed, count, 1); /* quality made later is no content */
		assert_true(hash_equal(series_content_hash(sensor, START_US, mixed, count), expected));
	}
}

static void test_hash_tells_apart(void **state)
{
	(void)state;
	struct series_point points[2] = {{START_US, 1, SERIES_GOOD}, {START_US + 1, 2, SERIES_GOOD}};
	struct hash hash = series_content_hash(sensor, START_US, points, 2);
	struct id other = {{1, 2, 4}};
	assert_false(hash_equal(hash, series_content_hash(other, START_US, points, 2)));
	assert_false(hash_equal(hash, series_content_hash(sensor, START_US + 1, points, 2)));
	assert_false(hash_equal(hash, series_content_hash(sensor, START_US, points, 1)));
	points[1].quality = SERIES_MANUAL;
	assert_false(hash_equal(hash, series_content_hash(sensor, START_US, points, 2)));
	points[1] = (struct series_point){START_US + 1, nextafter(2, 3), SERIES_GOOD};
	assert_false(hash_equal(hash, series_content_hash(sensor, START_US, points, 2)));
	points[1] = (struct series_point){START_US + 2, 2, SERIES_GOOD};
	assert_false(hash_equal(hash, series_content_hash(sensor, START_US, points, 2)));
}

/* The format is fixed: this hash was computed once by an independent program (docs: decision 15). */
static void test_hash_is_fixed(void **state)
{
	(void)state;
	struct series_point points[2] = {{START_US, 1.5, SERIES_GOOD}, {START_US + 1000000, -2.25, SERIES_MANUAL}};
	char text[HASH_TEXT_SIZE];
	assert_string_equal(hash_text(series_content_hash(sensor, START_US, points, 2), text),
		"d295dbc468258f5d9e0bdccb929f5442152a76125d5e7cf06d33aa1f09c4ccab");
}

static void test_conflict_is_reported(void **state)
{
	(void)state;
	struct series_point points[] = {{5, 1, SERIES_GOOD}, {3, 7, SERIES_GOOD}, {5, 2, SERIES_GOOD},
		{3, 7, SERIES_MANUAL}, {4, 7, SERIES_GOOD}};
	size_t conflict;
	assert_int_equal(series_sort(points, 5, &conflict), 4);
	assert_int_equal(conflict, 2);
	assert_int_equal(points[0].quality, SERIES_MANUAL); /* of one reading with two qualities the lower one stays */
}

static void test_stale(void **state)
{
	(void)state;
	struct series_point points[] = {{0, 1, SERIES_GOOD}, {10, 1, SERIES_GOOD}, {11, 1, SERIES_GOOD},
		{12, 1, SERIES_MANUAL}, {13, 2, SERIES_GOOD}, {23, 2, SERIES_STALE}, {24, 2, SERIES_GOOD}};
	static const uint8_t expected[] = {
		SERIES_GOOD, SERIES_GOOD, SERIES_STALE, SERIES_MANUAL, SERIES_GOOD, SERIES_GOOD, SERIES_STALE};
	series_mark_stale(points, 7, 10);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(points[i].quality, expected[i]);
	series_mark_stale(points, 7, 0);
	for (size_t i = 0; i < 7; i++)
		assert_int_not_equal(points[i].quality, SERIES_STALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_repeats_leave_the_hash),
		cmocka_unit_test(test_hash_tells_apart),
		cmocka_unit_test(test_hash_is_fixed),
		cmocka_unit_test(test_conflict_is_reported),
		cmocka_unit_test(test_stale),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
