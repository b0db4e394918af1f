/* Range queries equal a brute-force computation over all readings, whatever is closed, open, late or rolled up; roll-ups
 * equal an independent fold. Times, values and cuts are random, seeded. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "plant.h"

#define TRUTH_MAX 40000
#define PERIOD_US (20 * CLOCK_US_PER_MINUTE)

static struct plant *plant;
static struct arena *arena;
static struct series_point truth[TRUTH_MAX];
static size_t truth_count;
static uint64_t noise_state = 5;

static uint64_t noise(uint64_t below)
{
	noise_state ^= noise_state << 13;
	noise_state ^= noise_state >> 7;
	noise_state ^= noise_state << 17;
	return (noise_state * UINT64_C(0x2545f4914f6cdd1d) >> 11) % below;
}

/* Seventy days of a sensor at three an hour with gaps of minutes to days, sent out of order: most of it closed, some of it
 * in later revisions, the newest open, some of it late and open. */
static void fill(void)
{
	static struct reading readings[TRUTH_MAX];
	int64_t time_us = PLANT_START_US - 40 * DAY_US + 17;
	size_t begin = 0;
	plant->rules.sampling_period_us = PERIOD_US;
	truth_count = 0;
	while (time_us < PLANT_START_US + 30 * DAY_US) {
		time_us += noise(40) ? PERIOD_US + (int64_t)noise(1000) : (int64_t)noise(400) * CLOCK_US_PER_MINUTE + 1;
		if (noise(500) == 0)
			time_us += 3 * DAY_US;
		truth[truth_count] = (struct series_point){
			.time_us = time_us, .value = (double)(int64_t)noise(20000) / 100 - 100, .quality = SERIES_GOOD};
		if (noise(30) == 0)
			truth[truth_count].quality = SERIES_MANUAL;
		readings[truth_count] = (struct reading){.sensor = plant_sensor(1),
			.time_us = time_us,
			.value = truth[truth_count].value,
			.quality = truth[truth_count].quality};
		truth_count++;
	}
	size_t late = truth_count / 10, last = truth_count / 40;
	for (size_t i = 0; i < late + last; i++) { /* a tenth comes late, a part of that later still */
		size_t a = noise(truth_count - 200), b = truth_count - 1 - i;
		struct reading swap = readings[a];
		readings[a] = readings[b];
		readings[b] = swap;
	}
	for (size_t end; begin < truth_count; begin = end) {
		end = begin + 1 + noise(300);
		end = end < truth_count ? end : truth_count;
		if (begin < truth_count - late && end >= truth_count - late)
			plant_quiet(plant);
		if (begin < truth_count - last && end >= truth_count - last)
			plant_quiet(plant);
		plant_send(plant, readings + begin, end - begin);
	}
	plant_ask(plant, SHARD_SETTLE);
}

static int setup(void **state)
{
	(void)state;
	plant = plant_new(2);
	atomic_store(&plant_wall_us, PLANT_START_US + 25 * DAY_US);
	arena = arena_new(0);
	fill();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	plant_free(plant);
	arena_free(&arena);
	return 0;
}

static size_t ask(const struct range_query *query, struct range_row **ret_rows, int64_t *ret_next_us)
{
	size_t count;
	struct err_info info = {0};
	if (buckets_range(plant->buckets, query, NULL, 0, arena, ret_rows, &count, ret_next_us, &info))
		fail_msg("range: %s", info.detail);
	return count;
}

/* ---- brute force: knows points and nothing else ---- */

/* Of the straight line between two neighbours at most 3 periods apart, each hour owns what lies in it and holds one of the
 * two (decision 15); the part inside [from, to) counts. */
static double line_inside(const struct series_point *a, const struct series_point *b, int64_t from_us, int64_t to_us)
{
	int64_t hour_a = clock_hour_start(a->time_us) + HOUR_US, hour_b = clock_hour_start(b->time_us);
	int64_t owned[2][2] = {{a->time_us, hour_a < b->time_us ? hour_a : b->time_us},
		{hour_b > a->time_us ? hour_b : b->time_us, b->time_us}};
	double area = 0, slope = (b->value - a->value) / (double)(b->time_us - a->time_us);
	for (int side = 0; side < 2; side++) {
		int64_t begin = owned[side][0] > from_us ? owned[side][0] : from_us;
		int64_t end = owned[side][1] < to_us ? owned[side][1] : to_us;
		if (begin >= end)
			continue;
		double left = a->value + slope * (double)(begin - a->time_us),
		       right = a->value + slope * (double)(end - a->time_us);
		area += (left + right) / 2 * ((double)(end - begin) / 1e6);
	}
	return area;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

static double expected(const struct range_query *query, int64_t from_us, int64_t to_us, size_t *ret_count)
{
	static double values[TRUTH_MAX];
	size_t count = 0, first = 0;
	double sum = 0, integral = 0;
	for (size_t i = 0; i < truth_count; i++) {
		if (i + 1 < truth_count && truth[i + 1].time_us - truth[i].time_us <= 3 * PERIOD_US)
			integral += line_inside(&truth[i], &truth[i + 1], from_us, to_us);
		if (truth[i].time_us < from_us || truth[i].time_us >= to_us)
			continue;
		first = count ? first : i;
		values[count++] = truth[i].value;
		sum += rint(truth[i].value * 100);
	}
	*ret_count = count;
	if (query->aggregate == AGGREGATE_COUNT)
		return (double)count;
	if (count == 0)
		return NAN;
	double last = values[count - 1], opening = values[0];
	qsort(values, count, sizeof *values, compare);
	double rank = query->fraction * (double)(count - 1);
	size_t below = (size_t)rank, above = below + 1 < count ? below + 1 : below;
	switch (query->aggregate) {
	case AGGREGATE_MEAN: return sum / 100 / (double)count;
	case AGGREGATE_MIN: return values[0];
	case AGGREGATE_MAX: return values[count - 1];
	case AGGREGATE_FIRST: return opening;
	case AGGREGATE_LAST: return last;
	case AGGREGATE_SUM: return sum / 100;
	case AGGREGATE_INTEGRAL: return integral;
	case AGGREGATE_PERCENTILE: return values[below] + (rank - (double)below) * (values[above] - values[below]);
	default: return 0;
	}
}

static void check_rows(const struct range_query *query, const struct range_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int64_t to_us =
			query->month_steps ? clock_next_month(rows[i].time_us) : rows[i].time_us + query->step_us;
		size_t readings;
		double value = expected(query, rows[i].time_us, to_us < query->to_us ? to_us : query->to_us, &readings);
		assert_int_equal(rows[i].count, readings);
		if (isnan(value) != isnan(rows[i].value) || fabs(value - rows[i].value) > 1e-6 * (1 + fabs(value)))
			fail_msg("%s of step %zu (%lld + %lld µs): %.12g, expected %.12g of %zu readings",
				aggregate_names[query->aggregate], i, (long long)(rows[i].time_us - PLANT_START_US),
				(long long)query->step_us, rows[i].value, value, readings);
	}
}

/* All rows of a query, page by page. */
static void check_query(struct range_query query)
{
	int64_t at_us = query.from_us;
	for (;;) {
		struct range_row *rows;
		struct range_query page = query;
		int64_t next_us;
		page.from_us = at_us;
		size_t count = ask(&page, &rows, &next_us);
		assert_true(count > 0 && count <= query.most);
		assert_int_equal(rows[0].time_us, at_us);
		check_rows(&query, rows, count);
		if (next_us == FIELD_ABSENT)
			break;
		assert_int_equal(count, query.most);
		assert_true(next_us > rows[count - 1].time_us);
		at_us = next_us;
	}
	arena_reset(arena);
}

static void test_random_steps(void **state)
{
	(void)state;
	static const int64_t units[] = {1000000, 7000000, CLOCK_US_PER_MINUTE, HOUR_US, HOUR_US, DAY_US, DAY_US};
	for (int run = 0; run < 60; run++)
		for (int aggregate = AGGREGATE_MEAN; aggregate <= AGGREGATE_PERCENTILE; aggregate++) {
			int64_t unit = units[noise(7)], from_us = PLANT_START_US + ((int64_t)noise(70) - 40) * DAY_US;
			if (noise(3) == 0)
				from_us += (int64_t)noise(24) * HOUR_US;
			if (noise(4) == 0)
				from_us += (int64_t)noise(3600000000);
			int64_t step_us = unit * (int64_t)(1 + noise(50));
			check_query((struct range_query){.sensor = plant_sensor(1),
				.from_us = from_us,
				.to_us = from_us + 1 + (int64_t)noise((uint64_t)(step_us * 40)),
				.step_us = step_us,
				.aggregate = (enum aggregate)aggregate,
				.fraction = (double)noise(101) / 100,
				.most = 1 + noise(60)});
		}
}

static void test_whole_days_and_months(void **state)
{
	(void)state;
	for (int aggregate = AGGREGATE_MEAN; aggregate <= AGGREGATE_PERCENTILE; aggregate++) {
		struct range_query query = {.sensor = plant_sensor(1),
			.from_us = PLANT_START_US - 45 * DAY_US,
			.to_us = PLANT_START_US + 45 * DAY_US,
			.step_us = DAY_US,
			.aggregate = (enum aggregate)aggregate,
			.fraction = 0.5,
			.most = 1000};
		check_query(query);
		query.step_us = 90 * DAY_US;
		check_query(query);
		query.step_us = 0;
		query.month_steps = true;
		query.from_us = clock_month_start(query.from_us);
		check_query(query);
		query.from_us += 12345678901;
		check_query(query);
	}
}

static void test_raw(void **state)
{
	(void)state;
	for (int run = 0; run < 40; run++) {
		struct range_query query = {
			.sensor = plant_sensor(1), .aggregate = AGGREGATE_RAW, .most = 1 + noise(500)};
		query.from_us = PLANT_START_US + ((int64_t)noise(80) - 45) * DAY_US + (int64_t)noise(3600000000);
		query.to_us = query.from_us + (int64_t)noise(20 * DAY_US) + 1;
		size_t next = 0;
		while (next < truth_count && truth[next].time_us < query.from_us)
			next++;
		for (int64_t next_us = query.from_us; next_us != FIELD_ABSENT;) {
			struct range_row *rows;
			query.from_us = next_us;
			size_t count = ask(&query, &rows, &next_us);
			for (size_t i = 0; i < count; i++, next++) {
				assert_true(next < truth_count);
				assert_int_equal(rows[i].time_us, truth[next].time_us);
				assert_true(rows[i].value == truth[next].value);
				assert_int_equal(rows[i].quality, truth[next].quality);
			}
		}
		assert_true(next == truth_count || truth[next].time_us >= query.to_us);
		arena_reset(arena);
	}
}

/* Overlays lower a reading's quality in the span that they cover, and never raise it. */
static void test_overlays(void **state)
{
	(void)state;
	struct overlay overlays[2] = {
		{.from_us = PLANT_START_US, .to_us = PLANT_START_US + DAY_US, .quality = SERIES_OUT_OF_CALIBRATION},
		{.from_us = PLANT_START_US + 2, .to_us = PLANT_START_US + 2 * DAY_US, .quality = SERIES_SUSPECT}};
	struct range_query query = {.sensor = plant_sensor(1),
		.from_us = PLANT_START_US - DAY_US,
		.to_us = PLANT_START_US + 3 * DAY_US,
		.aggregate = AGGREGATE_RAW,
		.most = 10000};
	struct range_row *rows;
	size_t count;
	int64_t next_us;
	struct err_info info = {0};
	assert_int_equal(
		buckets_range(plant->buckets, &query, overlays, 2, arena, &rows, &count, &next_us, &info), ERR_OK);
	assert_true(count > 100);
	for (size_t i = 0; i < count; i++) {
		int64_t us = rows[i].time_us - PLANT_START_US;
		if (us >= 0 && us < DAY_US)
			assert_int_equal(rows[i].quality, SERIES_OUT_OF_CALIBRATION);
		else if (us >= 2 && us < 2 * DAY_US)
			assert_int_equal(rows[i].quality, SERIES_SUSPECT);
		else
			assert_true(rows[i].quality <= SERIES_MANUAL);
	}
}

/* The stored days and months against a fold made here from the closed buckets alone. */
static void test_rollups(void **state)
{
	(void)state;
	struct err_info info = {0};
	size_t count, days = 0;
	struct bucket *buckets;
	plant_close(plant, plant_sensor(1), PLANT_START_US - 100 * DAY_US, PLANT_START_US + 100 * DAY_US);
	assert_int_equal(buckets_find(plant->buckets, plant_sensor(1), PLANT_START_US - 100 * DAY_US,
				 PLANT_START_US + 100 * DAY_US, arena, &buckets, &count, &info),
		ERR_OK);
	size_t total = 0;
	for (size_t begin = 0, end; begin < count; begin = end, days++) {
		int64_t day_us = clock_day_start(buckets[begin].hour_us);
		struct rollup day, month;
		uint64_t readings = 0;
		for (end = begin; end < count && clock_day_start(buckets[end].hour_us) == day_us; end++)
			readings += buckets[end].summary.count;
		assert_int_equal(
			rollup_read(plant->store, plant_sensor(1), ROLLUP_DAY, day_us, arena, &day, &info), ERR_OK);
		assert_int_equal(day.count, end - begin);
		for (size_t i = 0; i < day.count; i++)
			assert_memory_equal(&day.parts[i], &buckets[begin + i].summary, sizeof day.parts[i]);
		assert_int_equal(rollup_read(plant->store, plant_sensor(1), ROLLUP_MONTH, clock_month_start(day_us),
					 arena, &month, &info),
			ERR_OK);
		bool found = false;
		for (size_t i = 0; i < month.count; i++) {
			if (month.parts[i].from_us != day_us)
				continue;
			found = true;
			assert_int_equal(month.parts[i].count, readings);
			assert_int_equal(month.parts[i].to_us, day_us + DAY_US);
		}
		assert_true(found);
		total += readings;
	}
	assert_int_equal(total, truth_count);
	assert_true(days > 30);
}

static void test_bad_queries(void **state)
{
	(void)state;
	const struct range_query good = {.sensor = plant_sensor(1),
		.from_us = PLANT_START_US,
		.to_us = PLANT_START_US + DAY_US,
		.step_us = HOUR_US,
		.aggregate = AGGREGATE_MEAN,
		.most = 10};
	struct range_query bad[6] = {good, good, good, good, good, good};
	bad[0].to_us = bad[0].from_us;
	bad[1].step_us = 999999;
	bad[2].aggregate = AGGREGATE_RAW;
	bad[3].most = 0;
	bad[4].aggregate = AGGREGATE_PERCENTILE;
	bad[4].fraction = NAN;
	bad[5].from_us = INT64_MIN;
	for (size_t i = 0; i < 6; i++) {
		struct range_row *rows;
		size_t count;
		int64_t next_us;
		struct err_info info = {0};
		assert_int_equal(buckets_range(plant->buckets, &bad[i], NULL, 0, arena, &rows, &count, &next_us, &info),
			ERR_INVALID_FIELD);
		assert_true(info.detail[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_steps),
		cmocka_unit_test(test_whole_days_and_months),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_overlays),
		cmocka_unit_test(test_bad_queries),
		cmocka_unit_test(test_rollups),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
