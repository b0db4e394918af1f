/* Readings are fed, flushed, closed and asked for while memory ends or the disk fails: what is in the log is in the buckets
 * once, after the same process goes on or after the next start, and a range query is right or refused. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "plant.h"
#include "sweep.h"

#define MINUTES 150 /* two hours close, one stays open */

static void readings_of(struct reading *readings, unsigned sensor)
{
	for (int i = 0; i < MINUTES; i++)
		readings[i] = (struct reading){.sensor = plant_sensor(sensor),
			.time_us = PLANT_START_US + i * CLOCK_US_PER_MINUTE,
			.value = i + 0.25 * sensor};
}

/* Every reading once, at its own value. */
static enum err look(struct plant *plant, unsigned sensor, struct arena *arena, struct err_info *info)
{
	struct range_query query = {.sensor = plant_sensor(sensor),
		.from_us = PLANT_START_US,
		.to_us = PLANT_START_US + DAY_US,
		.aggregate = AGGREGATE_RAW,
		.most = 1000};
	struct range_row *rows = NULL;
	size_t count = 0;
	int64_t next_us;
	enum err err = buckets_range(plant->buckets, &query, NULL, 0, arena, &rows, &count, &next_us, info);
	if (err)
		return err;
	assert_int_equal(count, MINUTES);
	for (size_t i = 0; i < count; i++)
		assert_true(rows[i].value == (double)i + 0.25 * sensor);
	return ERR_OK;
}

/* What a caller of the buckets does; the first error ends it. */
static enum err work(struct plant *plant, const struct reading *readings, struct arena *arena, struct err_info *info)
{
	int64_t deadline_us = clock_monotonic_us() + 2 * CLOCK_US_PER_SECOND;
	enum err err = buckets_feed(plant->buckets, "readings.n1", plant->seq, readings, MINUTES, deadline_us);
	if (!err)
		err = buckets_ask(plant->buckets, SHARD_SETTLE, deadline_us, info);
	if (!err)
		err = buckets_ask(plant->buckets, SHARD_FLUSH, deadline_us, info);
	if (!err)
		err = buckets_close_hours(plant->buckets, (struct id[]){plant_sensor(1)}, 1, PLANT_START_US,
			PLANT_START_US + 2 * HOUR_US, deadline_us, info);
	if (!err)
		err = look(plant, 1, arena, info);
	return err;
}

static void feeding(struct sweep *sweep)
{
	struct plant *plant = plant_new(1);
	struct arena *arena = arena_new(0);
	struct err_info info = {.code = ERR_OK};
	struct reading readings[MINUTES];
	readings_of(readings, 1);
	plant_log(plant, readings, MINUTES);
	sweep_arm(sweep);
	enum err err = work(plant, readings, arena, &info);
	sweep_disarm(sweep);
	/* what cannot be worked in is tried again until it can: late, not refused */
	sweep_judge(sweep, err == ERR_DEADLINE || err == ERR_STOPPING ? ERR_OK : err, &info);
	if (store_healthy(plant->store, NULL)) {
		info = (struct err_info){.code = ERR_OK};
		err = work(plant, readings, arena, &info); /* fed again: known by its position */
		if (err)
			fail_msg("again: %s: %s", err_row(err)->name, info.detail);
	}
	for (int start = 0; start < 2; start++) {
		plant_reopen(plant); /* P12: from the log and the buckets */
		plant_ask(plant, SHARD_SETTLE);
		plant_close(plant, plant_sensor(1), PLANT_START_US, PLANT_START_US + 2 * HOUR_US);
		assert_int_equal(look(plant, 1, arena, &info), ERR_OK);
	}
	struct bucket *buckets;
	size_t count;
	assert_int_equal(buckets_find(plant->buckets, plant_sensor(1), PLANT_START_US, PLANT_START_US + DAY_US, arena,
				 &buckets, &count, &info),
		ERR_OK);
	assert_int_equal(count, 2); /* one revision an hour */
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(buckets[i].revision, 1);
		assert_int_equal(buckets[i].summary.count, 60);
	}
	arena_free(&arena);
	plant_free(plant);
}

static void starting(struct sweep *sweep)
{
	struct plant *plant = sweep->context;
	struct arena *arena = arena_new(0);
	struct err_info info = {.code = ERR_OK};
	buckets_close(&plant->buckets);
	sweep_arm(sweep);
	enum err err = buckets_open(&plant->options, &plant->buckets, &info);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	if (err)
		assert_int_equal(buckets_open(&plant->options, &plant->buckets, &info), ERR_OK);
	plant_ask(plant, SHARD_SETTLE);
	assert_int_equal(look(plant, 2, arena, &info), ERR_OK);
	assert_int_equal(look(plant, 3, arena, &info), ERR_OK);
	arena_free(&arena);
}

static void every_fault(void **state)
{
	(void)state;
	sweep_allocations("feeding, flushing, closing", feeding, NULL);
	sweep_disk("feeding, flushing, closing", feeding, NULL);
	struct plant *plant = plant_new(1);
	struct reading readings[MINUTES];
	readings_of(readings, 2);
	plant_send(plant, readings, MINUTES);
	plant_ask(plant, SHARD_FLUSH);
	readings_of(readings, 3);
	plant_send(plant, readings, MINUTES); /* in the log alone */
	sweep_allocations("starting buckets", starting, plant);
	plant_free(plant);
}

int main(void)
{
	sweep_start(30);
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_fault)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
