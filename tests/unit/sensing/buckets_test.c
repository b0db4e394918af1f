/* Hour buckets over a real store: close rules, revisions, conflicts (decision 15, architecture.md "Readings"), exact restart,
 * P12, pins against retention, roll-ups and range queries against independent computations. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>

#include "plant.h"

static struct plant *plant;
static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	plant = plant_new(2);
	arena = arena_new(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	plant_free(plant);
	arena_free(&arena);
	return 0;
}

static uint64_t noise_state;

static uint64_t noise(uint64_t below)
{
	noise_state ^= noise_state << 13;
	noise_state ^= noise_state >> 7;
	noise_state ^= noise_state << 17;
	return (noise_state * UINT64_C(0x2545f4914f6cdd1d) >> 11) % below;
}

static struct reading at(unsigned sensor, int64_t us, double value)
{
	return (struct reading){.sensor = plant_sensor(sensor), .time_us = PLANT_START_US + us, .value = value};
}

static void send_one(unsigned sensor, int64_t us, double value)
{
	struct reading reading = at(sensor, us, value);
	plant_send(plant, &reading, 1);
	plant_ask(plant, SHARD_SETTLE); /* it has come before the clock goes on */
}

static struct bucket *closed_hours(unsigned sensor, int64_t from_us, int64_t to_us, size_t *ret_count)
{
	struct bucket *buckets;
	struct err_info info = {0};
	if (buckets_find(plant->buckets, plant_sensor(sensor), PLANT_START_US + from_us, PLANT_START_US + to_us, arena,
		    &buckets, ret_count, &info))
		fail_msg("find: %s", info.detail);
	return buckets;
}

static size_t closed_count(unsigned sensor)
{
	size_t count;
	closed_hours(sensor, -10 * DAY_US, 100 * DAY_US, &count);
	return count;
}

/* The content of an hour's newest revision. */
static struct series_point *content(unsigned sensor, int64_t us, size_t *ret_count, int64_t *ret_revision)
{
	size_t count;
	struct series_point *points;
	struct bucket *bucket = closed_hours(sensor, us, us + HOUR_US, &count);
	assert_int_equal(count, 1);
	assert_non_null(bucket->columns);
	assert_int_equal(
		series_decode(bucket->columns, bucket->columns_size, 1000000, arena, &points, ret_count), ERR_OK);
	assert_true(hash_equal(
		series_content_hash(plant_sensor(sensor), bucket->hour_us, points, *ret_count), bucket->content_hash));
	assert_int_equal(bucket->summary.count, *ret_count);
	*ret_revision = bucket->revision;
	return points;
}

/* ---- closing ---- */

static void test_closes_by_lateness_and_quiet(void **state)
{
	(void)state;
	atomic_store(&plant_wall_us, PLANT_START_US + HOUR_US); /* the clock is not far enough */
	send_one(1, 0, 1);
	send_one(1, HOUR_US + 2 * CLOCK_US_PER_MINUTE - 1, 2);
	plant_quiet(plant);
	assert_int_equal(closed_count(1), 0); /* newest is 1 µs short of lateness */
	send_one(1, HOUR_US + 2 * CLOCK_US_PER_MINUTE, 2);
	plant_ask(plant, SHARD_TICK);
	assert_int_equal(closed_count(1), 1); /* nothing came for the first hour for 2 min */
	send_one(2, 0, 1);
	send_one(2, 3 * HOUR_US, 1);
	plant_pass(60 * CLOCK_US_PER_SECOND);
	plant_ask(plant, SHARD_TICK);
	assert_int_equal(closed_count(2), 0); /* not quiet yet */
	send_one(2, 60000000, 1);
	plant_pass(90 * CLOCK_US_PER_SECOND);
	plant_ask(plant, SHARD_TICK);
	assert_int_equal(closed_count(2), 0);
	plant_pass(31 * CLOCK_US_PER_SECOND);
	plant_ask(plant, SHARD_TICK);
	assert_int_equal(closed_count(2), 1);
}

static void test_closes_ten_minutes_behind_the_clock(void **state)
{
	(void)state;
	atomic_store(&plant_wall_us, PLANT_START_US + HOUR_US);
	send_one(1, 5, 1);
	plant_quiet(plant);
	assert_int_equal(closed_count(1), 0);
	plant_pass(8 * CLOCK_US_PER_MINUTE);
	plant_ask(plant, SHARD_TICK);
	assert_int_equal(closed_count(1), 1);
}

static size_t open_rows(void)
{
	struct err_info info = {0};
	struct store_query query = {.collection = &open_buckets_collection, .most = 1000};
	void *rows;
	size_t count;
	assert_int_equal(store_find(plant->store, &query, arena, &rows, &count, &info), ERR_OK);
	return count;
}

static void test_closes_at_once_when_asked(void **state)
{
	(void)state;
	for (int hour = 0; hour < 5; hour++)
		send_one(1, hour * HOUR_US, hour);
	plant_ask(plant, SHARD_FLUSH);
	assert_int_equal(open_rows(), 5);
	plant_close(plant, plant_sensor(1), PLANT_START_US + HOUR_US, PLANT_START_US + 3 * HOUR_US);
	assert_int_equal(closed_count(1), 2);
	plant_close(plant, plant_sensor(1), PLANT_START_US, PLANT_START_US + DAY_US);
	assert_int_equal(closed_count(1), 5);
	assert_int_equal(open_rows(), 0); /* gone in the transaction that closes */
	plant_close(plant, plant_sensor(9), PLANT_START_US, PLANT_START_US + DAY_US); /* nothing there: no fault */
}

/* ---- revisions and conflicts ---- */

static void test_late_readings_make_one_revision(void **state)
{
	(void)state;
	size_t count;
	int64_t revision;
	send_one(1, 0, 1);
	send_one(1, 2000000, 3);
	plant_quiet(plant);
	content(1, 0, &count, &revision);
	assert_int_equal(revision, 1);
	assert_int_equal(count, 2);
	send_one(1, 1000000, 2);
	send_one(1, 3000000, 4);
	send_one(1, 0, 1); /* a repeat of what is closed */
	plant_quiet(plant);
	struct series_point *points = content(1, 0, &count, &revision);
	assert_int_equal(revision, 2);
	assert_int_equal(count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_true(points[i].value == (double)(i + 1));
	struct bucket first;
	struct err_info info = {0};
	assert_int_equal(buckets_get(plant->buckets, plant_sensor(1), PLANT_START_US, 1, arena, &first, &info), ERR_OK);
	assert_int_equal(first.summary.count, 2); /* the first revision stays as it was */
	assert_int_equal(
		buckets_get(plant->buckets, plant_sensor(1), PLANT_START_US, 3, arena, &first, &info), ERR_NOT_FOUND);
	assert_int_equal(plant->refusal_count, 0);
}

static void test_repeats_make_no_revision(void **state)
{
	(void)state;
	size_t count;
	int64_t revision;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 10; i++)
			send_one(1, i * INT64_C(1000000), i);
		plant_quiet(plant);
	}
	content(1, 0, &count, &revision);
	assert_int_equal(revision, 1);
	assert_int_equal(count, 10);
	assert_int_equal(plant->refusal_count, 0);
}

static void test_conflict_in_an_open_hour_refuses_both(void **state)
{
	(void)state;
	size_t count;
	int64_t revision;
	send_one(1, 0, 1);
	send_one(1, 1000000, 2);
	send_one(1, 0, 5);
	plant_ask(plant, SHARD_FLUSH); /* found where the bucket is built */
	assert_int_equal(plant->refusal_count, 2);
	assert_int_equal(plant->refusals[0].reason, QUARANTINE_CONFLICT);
	send_one(1, 0, 1); /* a third one of that key does not slip in */
	plant_quiet(plant);
	assert_int_equal(plant->refusal_count, 3);
	struct series_point *points = content(1, 0, &count, &revision);
	assert_int_equal(count, 1);
	assert_true(points[0].value == 2);
	send_one(1, 0, 5); /* nor after the close */
	plant_quiet(plant);
	content(1, 0, &count, &revision);
	assert_int_equal(count, 1);
	assert_int_equal(revision, 1);
	assert_int_equal(plant->refusal_count, 4);
	assert_int_equal(plant->refusals[3].reason, QUARANTINE_CLOSED_CONFLICT);
}

static void test_conflict_with_a_closed_hour_refuses_the_newcomer(void **state)
{
	(void)state;
	size_t count;
	int64_t revision;
	send_one(1, 0, 1);
	plant_quiet(plant);
	send_one(1, 0, 2);
	plant_quiet(plant);
	struct series_point *points = content(1, 0, &count, &revision);
	assert_int_equal(revision, 1);
	assert_true(points[0].value == 1);
	assert_int_equal(plant->refusal_count, 1);
	assert_int_equal(plant->refusals[0].reason, QUARANTINE_CLOSED_CONFLICT);
	/* two late values of a new key: both, and none of them later */
	send_one(1, 7000000, 2);
	send_one(1, 7000000, 3);
	plant_quiet(plant);
	send_one(1, 7000000, 2);
	plant_quiet(plant);
	content(1, 0, &count, &revision);
	assert_int_equal(revision, 1);
	assert_int_equal(count, 1);
	assert_int_equal(plant->refusal_count, 4);
}

/* ---- P12: duplicated and reordered input gives the same content hashes of the latest revisions ---- */

#define P12_SENSORS  4
#define P12_HOURS    30
#define P12_READINGS (P12_SENSORS * P12_HOURS * 20)

static void p12_hashes(struct hash hashes[P12_SENSORS][P12_HOURS])
{
	for (unsigned sensor = 0; sensor < P12_SENSORS; sensor++) {
		size_t count;
		struct bucket *buckets = closed_hours(sensor, 0, P12_HOURS * HOUR_US, &count);
		assert_int_equal(count, P12_HOURS);
		for (size_t i = 0; i < count; i++)
			hashes[sensor][i] = buckets[i].content_hash;
	}
}

static void test_p12_order_and_repeats(void **state)
{
	(void)state;
	static struct reading readings[P12_READINGS], part[100];
	static struct hash expected[P12_SENSORS][P12_HOURS], got[P12_SENSORS][P12_HOURS];
	size_t count = 0;
	noise_state = 12;
	for (int hour = 0; hour < P12_HOURS; hour++)
		for (int i = 0; i < 20; i++)
			for (unsigned sensor = 0; sensor < P12_SENSORS; sensor++)
				readings[count++] = at(sensor, hour * HOUR_US + i * INT64_C(170000000) + sensor,
					(double)noise(10000) / 100);
	for (size_t i = 0; i < count; i += 100)
		plant_send(plant, readings + i, 100);
	plant_quiet(plant);
	p12_hashes(expected);
	for (int seed = 1; seed <= 4; seed++) {
		plant_free(plant);
		plant = plant_new((unsigned)(1 + seed % 3));
		noise_state = (uint64_t)seed * 77;
		for (size_t i = count; i > 1; i--) {
			size_t other = noise(i);
			struct reading swap = readings[i - 1];
			readings[i - 1] = readings[other];
			readings[other] = swap;
		}
		for (size_t i = 0; i < count; i += 100) {
			plant_send(plant, readings + i, 100);
			for (size_t k = 0; k < 100; k++)
				part[k] = readings[noise(i + 100)];
			plant_send(plant, part, 100);
			if (noise(20) == 0)
				plant_quiet(plant); /* hours close in between: the rest comes late */
			if (noise(20) == 0)
				plant_reopen(plant);
			if (noise(10) == 0)
				plant_ask(plant, SHARD_FLUSH);
		}
		plant_quiet(plant);
		p12_hashes(got);
		assert_memory_equal(got, expected, sizeof expected);
		assert_int_equal(plant->refusal_count, 0);
	}
}

/* ---- restart ---- */

/* What is durable in the log is in the buckets after any stop, nothing twice; here the process ends without a word, many
 * times, at places of its own choosing. */
static void kill_and_restart(int round)
{
	fflush(NULL);
	plant_stop(plant);
	pid_t child = fork();
	if (child == 0) {
		plant_open(plant);
		noise_state = (uint64_t)round + 99;
		for (int i = 0;; i++) {
			struct reading readings[20];
			for (size_t k = 0; k < 20; k++) {
				unsigned sensor = (unsigned)noise(3);
				int64_t us = (int64_t)(plant->seq * 20 + k) * INT64_C(10000000);
				readings[k] = at(sensor, noise(10) ? us : us / 2 + 1, (double)(us / 1000000));
			}
			plant_send(plant, readings, 20);
			if (noise(8) == 0)
				plant_ask(plant, SHARD_FLUSH);
			if (noise(12) == 0)
				plant_quiet(plant);
			if (noise(5) == 0) /* some hours become durable while others are not */
				plant_close(plant, plant_sensor((unsigned)noise(3)), PLANT_START_US,
					PLANT_START_US + 300 * DAY_US);
			if (i > 10 && noise(15) == 0) {
				if (noise(2))
					plant_log(plant, readings, 20); /* durable, never fed */
				kill(getpid(), SIGKILL);
			}
		}
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	plant_open(plant);
}

struct truth {
	struct reading *readings;
	size_t count, capacity;
};

static enum err truth_add(void *context, const struct store_batch *batch)
{
	struct truth *truth = context;
	struct reading *readings;
	size_t count;
	assert_int_equal(readings_decode(batch->payload, batch->payload_size, arena, &readings, &count), ERR_OK);
	if (truth->count + count > truth->capacity) {
		truth->capacity = 2 * (truth->count + count);
		truth->readings = realloc(truth->readings, truth->capacity * sizeof *readings);
	}
	memcpy(truth->readings + truth->count, readings, count * sizeof *readings);
	truth->count += count;
	return ERR_OK;
}

static void test_kill_and_restart_are_exact(void **state)
{
	(void)state;
	struct err_info info = {0};
	for (int round = 0; round < 12; round++)
		kill_and_restart(round);
	atomic_store(&plant_wall_us, PLANT_START_US + 90 * DAY_US);
	plant_quiet(plant);
	struct truth truth = {0};
	assert_int_equal(
		store_log_read(plant->store, STORE_READINGS, "readings.n1", 1, truth_add, &truth, &info), ERR_OK);
	assert_true(truth.count > 1000);
	for (unsigned sensor = 0; sensor < 3; sensor++) {
		struct series_point *expected = malloc(truth.count * sizeof *expected);
		size_t count = 0, got = 0, conflict, bucket_count;
		for (size_t i = 0; i < truth.count; i++)
			if (id_equal(truth.readings[i].sensor, plant_sensor(sensor)))
				expected[count++] = (struct series_point){
					truth.readings[i].time_us, truth.readings[i].value, SERIES_GOOD};
		count = series_sort(expected, count, &conflict);
		struct bucket *buckets = closed_hours(sensor, -DAY_US, 100 * DAY_US, &bucket_count);
		size_t refused = 0;
		for (size_t i = 0; i < plant->refusal_count; i++)
			refused++;
		assert_int_equal(refused, 0); /* times are unique to a value */
		for (size_t i = 0; i < bucket_count; i++) {
			struct series_point *points;
			size_t one;
			assert_int_equal(series_decode(buckets[i].columns, buckets[i].columns_size, 100000, arena,
						 &points, &one),
				ERR_OK);
			assert_true(got + one <= count);
			for (size_t k = 0; k < one; k++, got++) {
				assert_int_equal(points[k].time_us, expected[got].time_us);
				assert_true(points[k].value == expected[got].value);
			}
		}
		assert_int_equal(got, count);
		free(expected);
	}
	free(truth.readings);
}

/* Conflicts found before and after a stop are the same. */
static void test_conflicts_outlive_a_restart(void **state)
{
	(void)state;
	size_t count;
	int64_t revision;
	send_one(1, 0, 1);
	send_one(1, 0, 2);
	send_one(1, 9, 9);
	plant_reopen(plant);
	send_one(1, 0, 1);
	plant_reopen(plant);
	plant_quiet(plant);
	struct series_point *points = content(1, 0, &count, &revision);
	assert_int_equal(count, 1);
	assert_true(points[0].value == 9);
}

/* A feed that was given up is made good out of the log by the next one. */
static void test_gap_is_read_from_the_log(void **state)
{
	(void)state;
	size_t count;
	int64_t revision;
	struct reading reading = at(1, 0, 1);
	plant_log(plant, &reading, 1);
	reading = at(1, 1000000, 2);
	plant_log(plant, &reading, 1);
	send_one(1, 2000000, 3);
	plant_quiet(plant);
	content(1, 0, &count, &revision);
	assert_int_equal(count, 3);
	/* and one that comes twice is known */
	assert_int_equal(buckets_feed(plant->buckets, "readings.n1", plant->seq, &reading, 1, soon()), ERR_OK);
}

/* Past its memory a shard flushes and forgets; nothing is lost. */
static void test_memory_pressure(void **state)
{
	(void)state;
	static struct reading readings[500];
	size_t count;
	int64_t revision;
	plant->options.memory_bytes = 20000;
	plant_reopen(plant);
	for (int hour = 0; hour < 40; hour++) {
		for (int i = 0; i < 500; i++)
			readings[i] = at(1, ((hour * 7) % 40) * HOUR_US + i * INT64_C(7000000) + i % 3, i + hour / 8.0);
		plant_send(plant, readings, 500);
	}
	plant_ask(plant, SHARD_SETTLE);
	size_t bytes = 0;
	for (unsigned i = 0; i < plant->buckets->shard_count; i++) {
		pthread_mutex_lock(&plant->buckets->shards[i].lock);
		bytes += plant->buckets->shards[i].bytes;
		pthread_mutex_unlock(&plant->buckets->shards[i].lock);
	}
	assert_true(bytes < 40000);
	struct range_query query = {.sensor = plant_sensor(1),
		.from_us = PLANT_START_US,
		.to_us = PLANT_START_US + 40 * HOUR_US,
		.step_us = HOUR_US,
		.aggregate = AGGREGATE_COUNT,
		.most = 100};
	struct range_row *rows;
	size_t row_count;
	int64_t next_us;
	struct err_info info = {0};
	assert_int_equal(
		buckets_range(plant->buckets, &query, NULL, 0, arena, &rows, &row_count, &next_us, &info), ERR_OK);
	assert_int_equal(row_count, 40);
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(rows[i].count, 500); /* evicted hours are read from their rows */
	for (int hour = 0; hour < 40; hour++) {       /* and taken up again */
		readings[0] = at(1, hour * HOUR_US + 3599999999, 1);
		plant_send(plant, readings, 1);
	}
	plant_quiet(plant);
	for (int hour = 0; hour < 40; hour++) {
		content(1, hour * HOUR_US, &count, &revision);
		assert_int_equal(count, 501);
	}
}

/* An open reading takes at most 8 bytes, 4 when it comes on time. */
static void test_open_readings_are_small(void **state)
{
	(void)state;
	static struct reading readings[3600];
	for (int i = 0; i < 3600; i++)
		readings[i] = at(1, i * INT64_C(1000000), 400 + i % 100 / 100.0);
	plant_send(plant, readings, 3600);
	for (int i = 0; i < 3600; i++)
		readings[i] = at(2, i * INT64_C(1000000) + i * i % 1000, 400 + i % 100 / 100.0);
	plant_send(plant, readings, 3600);
	plant_ask(plant, SHARD_SETTLE);
	for (unsigned sensor = 1; sensor <= 2; sensor++) {
		struct shard *shard = buckets_shard_of(plant->buckets, plant_sensor(sensor));
		struct open_bucket *bucket = shard_open(shard, plant_sensor(sensor), PLANT_START_US);
		assert_non_null(bucket);
		assert_true(compact_bytes(&bucket->points) <= (sensor == 1 ? 4 : 8) * (3600 + 3600 / 32));
	}
}

/* What is durable is in an hour that is closed, also while its writer has not come to feed it (a reading that one shard shows
 * already may be of a batch whose rest is on its way). */
static void test_a_closed_hour_has_all_that_is_durable(void **state)
{
	(void)state;
	struct reading readings[] = {at(1, 0, 1), at(2, 0, 1)};
	plant_log(plant, readings, 2);
	plant_close(plant, plant_sensor(1), PLANT_START_US, PLANT_START_US + HOUR_US);
	assert_int_equal(closed_count(1), 1);
	assert_int_equal(buckets_feed(plant->buckets, "readings.n1", plant->seq, readings, 2, soon()), ERR_OK);
	plant_close(plant, plant_sensor(2), PLANT_START_US, PLANT_START_US + HOUR_US);
	assert_int_equal(closed_count(2), 1);
	assert_int_equal(plant->refusal_count, 0);
}

/* ---- owners ---- */

/* A second owner takes the shards over; the first one writes nothing any more. */
static void test_replaced_owner_writes_nothing(void **state)
{
	(void)state;
	struct err_info info = {0};
	struct buckets *second = NULL;
	send_one(1, 0, 1);
	plant_ask(plant, SHARD_SETTLE);
	assert_int_equal(buckets_open(&plant->options, &second, &info), ERR_OK);
	assert_int_equal(buckets_ask(plant->buckets, SHARD_FLUSH, soon(), &info), ERR_POSITION_TAKEN);
	assert_int_equal(buckets_close_hours(plant->buckets, (struct id[]){plant_sensor(1)}, 1, PLANT_START_US,
				 PLANT_START_US + HOUR_US, soon(), &info),
		ERR_STOPPING);
	struct buckets *first = plant->buckets;
	plant->buckets = second;
	plant_close(plant, plant_sensor(1), PLANT_START_US, PLANT_START_US + HOUR_US);
	assert_int_equal(closed_count(1), 1);
	buckets_close(&first);
}

/* What a row has seen of a log is not judged again when the log is replayed for the sake of another row: a conflict is
 * quarantined once. */
static void test_replay_skips_what_rows_have_seen(void **state)
{
	(void)state;
	struct err_info info = {0};
	struct buckets *second = NULL;
	plant->options.shards = 1;
	plant_reopen(plant);
	send_one(2, 0, 1); /* dirty: the log must be replayed from here */
	send_one(1, 0, 1);
	send_one(1, 0, 2);
	plant_close(plant, plant_sensor(1), PLANT_START_US, PLANT_START_US + HOUR_US);
	assert_int_equal(plant->refusal_count, 2);
	assert_int_equal(
		buckets_open(&plant->options, &second, &info), ERR_OK); /* as after a kill: nothing was flushed */
	buckets_close(&plant->buckets);
	plant->buckets = second;
	plant_quiet(plant);
	assert_int_equal(plant->refusal_count, 2);
	assert_int_equal(closed_count(2), 1);
}

/* Shards may become more and fewer between starts. */
static void test_number_of_shards_may_change(void **state)
{
	(void)state;
	static const unsigned shards[] = {5, 1, 3};
	for (unsigned sensor = 0; sensor < 20; sensor++)
		send_one(sensor, 0, sensor);
	for (size_t i = 0; i < 3; i++) {
		plant->options.shards = shards[i];
		plant_reopen(plant);
		for (unsigned sensor = 0; sensor < 20; sensor++)
			send_one(sensor, (int64_t)(i + 1) * 1000000, sensor);
	}
	plant_quiet(plant);
	for (unsigned sensor = 0; sensor < 20; sensor++) {
		size_t count;
		int64_t revision;
		content(sensor, 0, &count, &revision);
		assert_int_equal(count, 4);
		assert_int_equal(revision, 1);
	}
}

/* ---- pins, retention, pruning, reviews ---- */

static const struct id owner_a = {{1}}, owner_b = {{2}};

static void fill_days(unsigned sensor, int days)
{
	static struct reading readings[24];
	for (int day = 0; day < days; day++) {
		for (int hour = 0; hour < 24; hour++)
			readings[hour] = at(sensor, day * DAY_US + hour * HOUR_US, day + hour / 100.0);
		plant_send(plant, readings, 24);
	}
	plant_quiet(plant);
}

static size_t raw_hours(unsigned sensor)
{
	size_t count, raw = 0;
	struct bucket *buckets = closed_hours(sensor, 0, 100 * DAY_US, &count);
	for (size_t i = 0; i < count; i++)
		raw += buckets[i].columns != NULL;
	return raw;
}

static void test_retention_spares_what_is_pinned(void **state)
{
	(void)state;
	struct err_info info = {0};
	int64_t now_us = PLANT_START_US + 20 * DAY_US, day_us = PLANT_START_US;
	fill_days(1, 10);
	assert_int_equal(raw_hours(1), 240);
	assert_int_equal(
		buckets_pin(plant->buckets, plant_sensor(1), day_us + 2 * DAY_US, day_us + 4 * DAY_US, owner_a, &info),
		ERR_OK);
	assert_int_equal(
		buckets_pin(plant->buckets, plant_sensor(1), day_us + 2 * DAY_US, day_us + 4 * DAY_US, owner_a, &info),
		ERR_OK);
	assert_int_equal(buckets_retain_sensor(plant->buckets, plant_sensor(1), 15 * DAY_US, 0, now_us, &info), ERR_OK);
	assert_int_equal(raw_hours(1), 5 * 24 + 2 * 24);
	assert_int_equal(closed_count(1), 240); /* summaries stay */
	/* gone is gone; what a pin holds may be pinned again */
	assert_int_equal(
		buckets_pin(plant->buckets, plant_sensor(1), day_us, day_us + DAY_US, owner_b, &info), ERR_RAW_EXPIRED);
	assert_int_equal(
		buckets_pin(plant->buckets, plant_sensor(1), day_us + 3 * DAY_US, day_us + 4 * DAY_US, owner_b, &info),
		ERR_OK);
	assert_int_equal(buckets_unpin(plant->buckets, plant_sensor(1), owner_a, &info), ERR_OK);
	assert_int_equal(
		buckets_retain_sensor(plant->buckets, plant_sensor(1), 15 * DAY_US, INT64_MAX, now_us, &info), ERR_OK);
	assert_int_equal(raw_hours(1), 5 * 24 + 24);
	/* late readings for an hour whose raw is gone are refused */
	send_one(1, 5, 5);
	plant_quiet(plant);
	assert_int_equal(plant->refusal_count, 1);
	assert_int_equal(plant->refusals[0].reason, QUARANTINE_TOO_OLD);
	/* raw is asked and gone; summaries answer */
	struct range_query query = {.sensor = plant_sensor(1),
		.from_us = day_us,
		.to_us = day_us + HOUR_US,
		.aggregate = AGGREGATE_RAW,
		.most = 10};
	struct range_row *rows;
	size_t count;
	int64_t next_us;
	assert_int_equal(
		buckets_range(plant->buckets, &query, NULL, 0, arena, &rows, &count, &next_us, &info), ERR_RAW_EXPIRED);
	query.aggregate = AGGREGATE_PERCENTILE;
	query.step_us = HOUR_US;
	assert_int_equal(
		buckets_range(plant->buckets, &query, NULL, 0, arena, &rows, &count, &next_us, &info), ERR_RAW_EXPIRED);
	query.aggregate = AGGREGATE_MEAN;
	assert_int_equal(buckets_range(plant->buckets, &query, NULL, 0, arena, &rows, &count, &next_us, &info), ERR_OK);
	assert_int_equal(rows[0].count, 1);
}

struct race {
	_Atomic int turn;
	int64_t line_us;
};

static void race_retain(void *argument)
{
	struct race *race = argument;
	for (int day = 1; day <= 8; day++) {
		struct err_info info = {0};
		assert_int_equal(buckets_retain_sensor(
					 plant->buckets, plant_sensor(1), 0, 0, PLANT_START_US + day * DAY_US, &info),
			ERR_OK);
		atomic_store(&race->turn, day);
	}
}

/* Pins race with retention: whoever was given a pin finds all its raw hours. */
static void test_pins_race_with_retention(void **state)
{
	(void)state;
	fill_days(1, 8);
	struct race race = {0};
	struct thread *thread;
	bool pinned[8] = {false};
	assert_int_equal(thread_start("retain", race_retain, &race, &thread), ERR_OK);
	for (int day = 0; day < 8; day++) {
		struct err_info info = {0};
		struct id owner = {{9, (uint8_t)day}};
		enum err err = buckets_pin(plant->buckets, plant_sensor(1), PLANT_START_US + day * DAY_US,
			PLANT_START_US + (day + 1) * DAY_US, owner, &info);
		assert_true(err == ERR_OK || err == ERR_RAW_EXPIRED);
		pinned[day] = err == ERR_OK;
	}
	thread_join(&thread);
	for (int day = 0; day < 8; day++) {
		size_t count;
		struct bucket *buckets = closed_hours(1, day * DAY_US, (day + 1) * DAY_US, &count);
		assert_int_equal(count, 24);
		for (size_t i = 0; i < count; i++)
			assert_true((buckets[i].columns != NULL) == pinned[day]);
	}
}

static size_t reviews(void)
{
	struct err_info info = {0};
	struct store_query query = {.collection = &reviews_collection, .most = 100};
	void *rows;
	size_t count;
	assert_int_equal(store_find(plant->store, &query, arena, &rows, &count, &info), ERR_OK);
	for (size_t i = 0; i < count; i++) {
		struct review *review = &((struct review *)rows)[i];
		assert_int_equal(review->state, 0);
		assert_true(id_equal(review->org_id, plant->rules.org_id));
		assert_int_equal(review->revision, 2);
	}
	return count;
}

/* A later revision of a pinned hour has its review in the same transaction; one that is not pinned has none. */
static void test_revision_of_a_pinned_hour_is_reviewed(void **state)
{
	(void)state;
	struct err_info info = {0};
	fill_days(1, 1);
	assert_int_equal(buckets_pin(plant->buckets, plant_sensor(1), PLANT_START_US + 5 * HOUR_US,
				 PLANT_START_US + 7 * HOUR_US, owner_a, &info),
		ERR_OK);
	assert_int_equal(reviews(), 0);
	send_one(1, 4 * HOUR_US + 1, 1);
	send_one(1, 5 * HOUR_US + 1, 1);
	send_one(1, 6 * HOUR_US + 1, 1);
	send_one(1, 7 * HOUR_US + 1, 1);
	send_one(1, 6 * HOUR_US, 0 + 6 / 100.0); /* a repeat */
	plant_quiet(plant);
	assert_int_equal(reviews(), 2);
}

static enum err count_payloads(void *context, const struct store_batch *batch)
{
	*(size_t *)context += batch->payload != NULL;
	return ERR_OK;
}

static size_t payloads(void)
{
	struct err_info info = {0};
	size_t count = 0;
	assert_int_equal(
		store_log_read(plant->store, STORE_READINGS, "readings.n1", 1, count_payloads, &count, &info), ERR_OK);
	return count;
}

/* Payloads go when they are old and everything that they feed is closed; a restart then needs none of them. */
static void test_pruning(void **state)
{
	(void)state;
	struct err_info info = {0};
	atomic_store(&plant_wall_us, PLANT_START_US + DAY_US);
	fill_days(1, 1);
	send_one(1, DAY_US + 3 * HOUR_US, 5); /* stays open: ahead of the clock */
	plant_ask(plant, SHARD_FLUSH);
	assert_int_equal(payloads(), 2);
	assert_int_equal(buckets_prune(plant->buckets, plant_wall() + 6 * DAY_US, &info), ERR_OK);
	assert_int_equal(payloads(), 2); /* not old enough */
	assert_int_equal(buckets_prune(plant->buckets, plant_wall() + 30 * DAY_US, &info), ERR_OK);
	assert_true(payloads() >= 1); /* the open hour may be fed by the newest ones */
	size_t open = payloads();
	plant_close(plant, plant_sensor(1), PLANT_START_US, PLANT_START_US + 10 * DAY_US);
	plant_ask(plant, SHARD_FLUSH);
	assert_int_equal(buckets_prune(plant->buckets, plant_wall() + 30 * DAY_US, &info), ERR_OK);
	assert_int_equal(payloads(), 0);
	assert_true(open > 0);
	plant_reopen(plant);
	assert_int_equal(closed_count(1), 25);
	send_one(1, 9 * DAY_US, 5);
	plant_quiet(plant);
	plant_close(plant, plant_sensor(1), PLANT_START_US, PLANT_START_US + 10 * DAY_US);
	assert_int_equal(closed_count(1), 26);
}

/* ---- the newest reading ---- */

static void test_latest(void **state)
{
	(void)state;
	struct range_row row;
	struct err_info info = {0};
	assert_int_equal(buckets_latest(plant->buckets, plant_sensor(1), &row, &info), ERR_OK);
	assert_int_equal(row.count, 0);
	send_one(1, 5000000, 5);
	send_one(1, 4000000, 4);
	for (int round = 0; round < 4; round++) {
		plant_ask(plant, SHARD_SETTLE);
		assert_int_equal(buckets_latest(plant->buckets, plant_sensor(1), &row, &info), ERR_OK);
		assert_int_equal(row.count, 1);
		assert_int_equal(row.time_us, PLANT_START_US + 5000000);
		assert_true(row.value == 5);
		if (round == 1)
			plant_quiet(plant);
		plant_reopen(plant); /* out of the open row, then out of the closed one */
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_closes_by_lateness_and_quiet),
		TEST(test_closes_ten_minutes_behind_the_clock),
		TEST(test_closes_at_once_when_asked),
		TEST(test_late_readings_make_one_revision),
		TEST(test_repeats_make_no_revision),
		TEST(test_conflict_in_an_open_hour_refuses_both),
		TEST(test_conflict_with_a_closed_hour_refuses_the_newcomer),
		TEST(test_p12_order_and_repeats),
		TEST(test_conflicts_outlive_a_restart),
		TEST(test_gap_is_read_from_the_log),
		TEST(test_memory_pressure),
		TEST(test_open_readings_are_small),
		TEST(test_a_closed_hour_has_all_that_is_durable),
		TEST(test_replaced_owner_writes_nothing),
		TEST(test_replay_skips_what_rows_have_seen),
		TEST(test_number_of_shards_may_change),
		TEST(test_retention_spares_what_is_pinned),
		TEST(test_pins_race_with_retention),
		TEST(test_revision_of_a_pinned_hour_is_reviewed),
		TEST(test_pruning),
		TEST(test_latest),
		TEST(test_kill_and_restart_are_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
