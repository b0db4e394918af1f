/* The column codec gives back exactly what went in, for every kind of signal; its size targets; and it takes any bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/series.h"
#include "noise.h"

#define HOUR_US  INT64_C(3600000000)
#define START_US INT64_C(1789999200000000)
#define MOST     4096

static struct arena *arena;
static struct series_point points[MOST];

static int setup(void **state)
{
	(void)state;
	arena = arena_new(0);
	return !arena;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static size_t round_trip(size_t count)
{
	uint8_t *data;
	size_t size, back_count;
	struct series_point *back;
	assert_int_equal(series_encode(points, count, arena, &data, &size), ERR_OK);
	assert_int_equal(series_decode(data, size, count, arena, &back, &back_count), ERR_OK);
	assert_int_equal(back_count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(back[i].time_us, points[i].time_us);
		assert_memory_equal(&back[i].value, &points[i].value, sizeof(double));
		assert_int_equal(back[i].quality, points[i].quality);
	}
	if (count)
		assert_int_equal(series_decode(data, size, count - 1, arena, &back, &back_count), ERR_TOO_LARGE);
	arena_reset(arena);
	return size;
}

static void test_special(void **state)
{
	(void)state;
	static const double values[] = {0, 1, -1, 0.1, -0.1, 1e-12, 123456.789, 9007199254740991.0, -9007199254740991.0,
		9007199254740993.0, 1e300, -1e300, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1.0 / 3,
		3.141592653589793, 1e15 + 0.3, 4503599627370497.5};
	size_t count = sizeof values / sizeof *values;
	round_trip(0);
	for (size_t i = 0; i < count; i++) {
		points[0] = (struct series_point){.time_us = START_US, .value = values[i]};
		round_trip(1);
	}
	for (size_t i = 0; i < count; i++)
		points[i] = (struct series_point){.time_us = START_US + (int64_t)i, .value = values[i]};
	round_trip(count);
	points[0].time_us = INT64_MIN;
	points[1].time_us = -1;
	points[2].time_us = INT64_MAX;
	round_trip(3);
}

/* One random signal of a kind: what sensors send, and what they should not. */
static void signal_make(unsigned kind, size_t count)
{
	double level = noise_gauss() * 100, decimals = pow(10, (double)(noise_next() % 7));
	int64_t time_us = START_US, step_us = (int64_t)(1 + noise_next() % 100) * 1000;
	for (size_t i = 0; i < count; i++) {
		level += noise_gauss();
		time_us += kind & 1 ? step_us : step_us + (int64_t)(noise_next() % 1000);
		double value = rint(level * decimals) / decimals;
		switch (kind / 2) {
		case 0: break;
		case 1: value = level; break;                                   /* all the bits of a double */
		case 2: value = (double)(noise_next() % 2); break;              /* a state */
		case 3: value = 0.25 * (double)(noise_next() % 1000); break;    /* quarters */
		case 4: value = floor((double)i / 20); break;                   /* a counter */
		case 5: value = 42; break;                                      /* constant */
		case 6: value = noise_next() % 50 ? value : value * 1e6; break; /* spikes */
		case 7: {                                                       /* six significant digits */
			char text[40];
			snprintf(text, sizeof text, "%.6g", level * pow(10, (double)(noise_next() % 5) - 4));
			value = strtod(text, NULL);
			break;
		}
		default: { /* any finite bits */
			uint64_t bits = noise_next();
			memcpy(&value, &bits, sizeof value);
			if (!isfinite(value) || value == 0)
				value = 7;
		}
		}
		uint8_t quality = noise_next() % 40 ? SERIES_GOOD : (uint8_t)(noise_next() % SERIES_QUALITY_COUNT);
		points[i] = (struct series_point){.time_us = time_us,
			.value = value == 0 ? 0 : value,
			.quality = kind % 3 ? SERIES_GOOD : quality};
	}
}

static void test_random(void **state)
{
	(void)state;
	noise_seed(4);
	for (int run = 0; run < 40; run++)
		for (unsigned kind = 0; kind < 18; kind++) {
			size_t count = 1 + (size_t)(noise_next() % (run % 8 == 0 ? MOST : 130));
			signal_make(kind, count);
			round_trip(count);
		}
}

/* Decision 14: sums are exact, so a window out of the columns is what it is out of the points, whatever the signal. */
static void test_columns_give_what_points_give(void **state)
{
	(void)state;
	size_t compared[2] = {0}; /* irregular times, regular ones */
	noise_seed(5);
	for (int run = 0; run < 20; run++)
		for (unsigned kind = 0; kind < 18; kind++) {
			struct series_columns columns;
			struct series_summary expected, got;
			size_t count = 2 + (size_t)(noise_next() % 700), size;
			uint8_t *data;
			signal_make(kind, count);
			assert_int_equal(series_encode(points, count, arena, &data, &size), ERR_OK);
			assert_int_equal(series_columns_decode(data, size, count, arena, &columns), ERR_OK);
			assert_int_equal(columns.count, count);
			for (int window = 0; columns.plain && window < 20; window++) {
				int64_t span_us = points[count - 1].time_us - points[0].time_us + 3;
				int64_t from_us = points[0].time_us - 1 + (int64_t)(noise_next() % (uint64_t)span_us);
				int64_t to_us = from_us + (int64_t)(noise_next() % (uint64_t)span_us);
				size_t begin = series_columns_find(&columns, 0, from_us);
				size_t end = series_columns_find(&columns, begin, to_us);
				series_summarise(points, count, from_us, to_us, 1, &expected);
				assert_int_equal(end - begin, expected.count);
				if (begin == end)
					continue;
				series_columns_summarise(&columns, begin, end, true, &got);
				got.from_us = from_us;
				got.to_us = to_us;
				expected.good_count = expected.manual_count = expected.stale_count = 0;
				expected.integral = 0;
				expected.covered_us = 0;
				assert_memory_equal(&got, &expected, sizeof got);
				compared[!columns.times_us]++;
			}
			arena_reset(arena);
		}
	assert_true(compared[0] > 1000 && compared[1] > 1000);
}

/* Decision 14's first guide: 0.95 bytes a reading of an hour at 1 Hz with columns, summary, hash and key. */
static void test_size_at_one_hertz(void **state)
{
	(void)state;
	noise_seed(1000);
	double level = 400;
	for (size_t i = 0; i < 3600; i++) {
		level += 0.05 * noise_gauss();
		points[i] = (struct series_point){.time_us = START_US + (int64_t)i * 1000000,
			.value = rint((level + 0.2 * noise_gauss()) * 100) / 100};
	}
	struct series_summary summary;
	uint8_t bytes[256];
	size_t summary_size;
	series_summarise(points, 3600, START_US, START_US + HOUR_US, 1000000, &summary);
	assert_int_equal(series_summary_encode(&summary, bytes, sizeof bytes, &summary_size), ERR_OK);
	size_t size = round_trip(3600);
	assert_true((double)(size + 2 * summary_size + 32 + 32) <= 0.95 * 3600);
}

/* Regular times and a constant value take no room at all. */
static void test_constant_is_small(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3600; i++)
		points[i] = (struct series_point){.time_us = START_US + (int64_t)i * 1000000, .value = 21.5};
	assert_true(round_trip(3600) < 32);
}

enum { PLANT_COLUMNS = 67, PLANT_ROWS = 5409 };
static double plant_values[PLANT_COLUMNS][PLANT_ROWS];

/* The real plant's columns; on a machine without the shared data, a made-up recording of the same shape: random walks with six
 * digits. */
static void plant_load(void)
{
	static char line[65536];
	FILE *file = fopen("../shared/data/cesar1/plant_2min.csv", "r");
	if (!file) {
		print_message("cesar1 is not on this machine: running on made-up columns\n");
		noise_seed(67);
		for (size_t column = 0; column < PLANT_COLUMNS; column++) {
			double level = 0, step = pow(10, (double)(column % 7) - 3);
			for (size_t row = 0; row < PLANT_ROWS; row++) {
				level += step * noise_gauss();
				snprintf(line, sizeof line, "%.6g", level);
				plant_values[column][row] = strtod(line, NULL);
			}
		}
		return;
	}
	assert_non_null(fgets(line, sizeof line, file));
	for (size_t row = 0; row < PLANT_ROWS; row++) {
		assert_non_null(fgets(line, sizeof line, file));
		char *at = strchr(line, ',');
		for (size_t column = 0; column < PLANT_COLUMNS; column++, at = strchr(at + 1, ',')) {
			assert_non_null(at);
			plant_values[column][row] = strtod(at + 1, NULL);
		}
	}
	assert_null(fgets(line, sizeof line, file));
	fclose(file);
}

/* All 67 columns of a plant, hour by hour: exact, and value columns within 4.0 bytes a reading (decision 14). */
static void test_plant(void **state)
{
	(void)state;
	size_t rows = PLANT_ROWS, columns = PLANT_COLUMNS, bytes = 0, time_bytes = 0, readings = 0;
	plant_load();
	for (size_t column = 0; column < columns; column++)
		for (size_t row = 0; row < rows; row += 30) {
			size_t count = rows - row < 30 ? rows - row : 30;
			for (size_t i = 0; i < count; i++)
				points[i] = (struct series_point){.time_us = START_US + (int64_t)(row + i) * 120000000,
					.value = plant_values[column][row + i]};
			bytes += round_trip(count);
			for (size_t i = 0; i < count; i++)
				points[i].value = 0;
			time_bytes += round_trip(count) - 2; /* a column of zeros is two bytes */
			readings += count;
		}
	print_message(
		"plant: %.3f bytes a reading in value columns\n", (double)(bytes - time_bytes) / (double)readings);
	assert_true((double)(bytes - time_bytes) <= 4.0 * (double)readings);
}

/* Broken bytes are refused or give some points, never a crash; every cut is refused. */
static void test_broken(void **state)
{
	(void)state;
	noise_seed(7);
	for (unsigned kind = 0; kind < 18; kind++) {
		size_t count = 40 + (size_t)(noise_next() % 300), size, back_count;
		uint8_t *data;
		struct series_point *back;
		signal_make(kind, count);
		struct arena *own = arena_new(0);
		assert_int_equal(series_encode(points, count, own, &data, &size), ERR_OK);
		for (size_t cut = 0; cut < size; cut++)
			assert_int_equal(series_decode(data, cut, MOST, arena, &back, &back_count), ERR_STORE_CORRUPT);
		for (int flip = 0; flip < 300; flip++) {
			size_t at = (size_t)(noise_next() % size);
			uint8_t was = data[at];
			data[at] ^= (uint8_t)(1u << noise_next() % 8);
			enum err err = series_decode(data, size, MOST, arena, &back, &back_count);
			assert_true(err == ERR_OK || err == ERR_STORE_CORRUPT || err == ERR_TOO_LARGE);
			data[at] = was;
			arena_reset(arena);
		}
		arena_free(&own);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_special, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_columns_give_what_points_give, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size_at_one_hertz, setup, teardown),
		cmocka_unit_test_setup_teardown(test_constant_is_small, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plant, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
