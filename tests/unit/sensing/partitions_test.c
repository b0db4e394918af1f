/* Several daemons on one store, each with its own shards, members and logs, in one process: they divide the partitions, each
 * answers reads of all, an owner's hours are closed on another's demand, and what is built is what one daemon builds (P12). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "plant.h"

#define PARTITIONS 16
#define SENSORS    40
#define NODES      3

struct node {
	char name[16], stream[32];
	struct members *members;
	struct buckets *buckets;
	uint64_t seq;
	struct hash prev_hash;
};

struct fleet {
	struct plant *plant;
	struct node nodes[NODES];
};

static void join(struct fleet *fleet, unsigned number)
{
	struct node *node = &fleet->nodes[number];
	struct err_info info = {0};
	struct store_batch head;
	snprintf(node->name, sizeof node->name, "n%u", number + 1);
	snprintf(node->stream, sizeof node->stream, "readings.n%u", number + 1);
	if (members_start(
		    &(struct members_options){.store = fleet->plant->store, .node = node->name}, &node->members, &info))
		fail_msg("members: %s", info.detail);
	struct buckets_options options = fleet->plant->options;
	options.node = node->name;
	options.members = node->members;
	options.shards = PARTITIONS;
	if (buckets_open(&options, &node->buckets, &info))
		fail_msg("buckets: %s", info.detail);
	assert_int_equal(store_log_head(fleet->plant->store, STORE_READINGS, node->stream, &head, &info), ERR_OK);
	node->seq = head.seq;
	node->prev_hash = head.hash;
}

static void leave(struct fleet *fleet, unsigned number)
{
	buckets_close(&fleet->nodes[number].buckets);
	members_stop(&fleet->nodes[number].members);
}

static struct fleet *fleet_new(void)
{
	struct fleet *fleet = calloc(1, sizeof *fleet);
	assert_non_null(fleet);
	fleet->plant = plant_new(2); /* the rows of a store that one daemon had are made anew */
	buckets_close(&fleet->plant->buckets);
	fleet->plant->options.store = fleet->plant->store;
	return fleet;
}

static void fleet_free(struct fleet *fleet)
{
	for (unsigned i = 0; i < NODES; i++)
		leave(fleet, i);
	plant_free(fleet->plant);
	free(fleet);
}

static unsigned owned_by(const struct fleet *fleet, unsigned number)
{
	struct buckets *buckets = fleet->nodes[number].buckets;
	unsigned owned = 0;
	for (unsigned i = 0; i < PARTITIONS; i++) {
		pthread_mutex_lock(&buckets->shards[i].lock);
		owned += buckets->shards[i].owned;
		pthread_mutex_unlock(&buckets->shards[i].lock);
	}
	return owned;
}

static void wait_for_shares(const struct fleet *fleet, unsigned first, unsigned second, unsigned third)
{
	const unsigned wanted[NODES] = {first, second, third};
	int64_t deadline_us = soon();
	bool there = false;
	while (!there && clock_monotonic_us() < deadline_us) {
		there = true;
		for (unsigned i = 0; i < NODES; i++)
			there &= !fleet->nodes[i].buckets ? wanted[i] == 0 : owned_by(fleet, i) == wanted[i];
		sched_yield();
	}
	assert_true(there);
}

/* As that node's ingest does. */
static void send(struct fleet *fleet, unsigned number, const struct reading *readings, size_t count)
{
	struct node *node = &fleet->nodes[number];
	struct plant *plant = fleet->plant;
	plant->seq = node->seq;
	plant->prev_hash = node->prev_hash;
	plant_log_as(plant, node->stream, readings, count);
	node->seq = plant->seq;
	node->prev_hash = plant->prev_hash;
	assert_int_equal(buckets_feed(node->buckets, node->stream, node->seq, readings, count, soon()), ERR_OK);
}

static struct reading reading_of(unsigned sensor, unsigned minute)
{
	return (struct reading){.sensor = plant_sensor(sensor),
		.time_us = PLANT_START_US + minute * CLOCK_US_PER_MINUTE,
		.value = sensor * 1000.0 + minute,
		.quality = SERIES_GOOD};
}

/* The readings of a minute, of the even sensors by one node and of the odd ones by the other; some by both. */
static void send_minute(struct fleet *fleet, unsigned first, unsigned second, unsigned minute)
{
	struct reading even[SENSORS], odd[SENSORS];
	size_t evens = 0, odds = 0;
	for (unsigned sensor = 0; sensor < SENSORS; sensor++) {
		if (sensor % 2 == 0 || sensor % 5 == 0)
			even[evens++] = reading_of(sensor, minute);
		if (sensor % 2 == 1)
			odd[odds++] = reading_of(sensor, minute);
	}
	send(fleet, first, even, evens);
	send(fleet, second, odd, odds);
}

static void assert_reads(struct fleet *fleet, unsigned number, unsigned minutes)
{
	struct buckets *buckets = fleet->nodes[number].buckets;
	for (unsigned sensor = 0; sensor < SENSORS; sensor++) {
		struct err_info info = {0};
		struct arena *arena = arena_new(0);
		const struct range_query query = {.sensor = plant_sensor(sensor),
			.from_us = PLANT_START_US,
			.to_us = PLANT_START_US + DAY_US,
			.aggregate = AGGREGATE_RAW,
			.most = 10000};
		struct range_row *rows, latest;
		size_t count;
		int64_t next_us;
		enum err err = buckets_range(buckets, &query, NULL, 0, arena, &rows, &count, &next_us, &info);
		if (err)
			fail_msg("range: %s", info.detail);
		assert_int_equal(count, minutes);
		for (unsigned i = 0; i < minutes; i++)
			assert_true(rows[i].value == sensor * 1000.0 + i);
		assert_int_equal(buckets_latest(buckets, plant_sensor(sensor), &latest, &info), ERR_OK);
		assert_int_equal(latest.count, 1);
		assert_true(latest.value == sensor * 1000.0 + minutes - 1);
		arena_free(&arena);
	}
}

static void assert_current(struct fleet *fleet, unsigned number)
{
	assert_int_equal(partitions_wait(fleet->nodes[number].buckets, clock_monotonic_us(), soon()), ERR_OK);
}

static void close_all(struct fleet *fleet, unsigned number)
{
	struct id sensors[SENSORS];
	struct err_info info = {0};
	for (unsigned i = 0; i < SENSORS; i++)
		sensors[i] = plant_sensor(i);
	if (buckets_close_hours(fleet->nodes[number].buckets, sensors, SENSORS, PLANT_START_US, PLANT_START_US + DAY_US,
		    soon(), &info))
		fail_msg("close: %s", info.detail);
}

/* What one daemon makes of the same readings. */
static void assert_as_one(struct fleet *fleet, unsigned minutes)
{
	for (unsigned sensor = 0; sensor < SENSORS; sensor++) {
		struct err_info info = {0};
		struct arena *arena = arena_new(0);
		struct series_point *points = ARENA_ARRAY(arena, struct series_point, minutes);
		struct bucket *buckets;
		size_t count, hours = (minutes + 59) / 60;
		for (unsigned i = 0; i < minutes; i++) {
			struct reading reading = reading_of(sensor, i);
			points[i] = (struct series_point){.time_us = reading.time_us, .value = reading.value};
		}
		assert_int_equal(buckets_find(fleet->nodes[0].buckets, plant_sensor(sensor), PLANT_START_US,
					 PLANT_START_US + DAY_US, arena, &buckets, &count, &info),
			ERR_OK);
		assert_int_equal(count, hours);
		for (size_t hour = 0; hour < hours; hour++) {
			size_t first = hour * 60, length = minutes - first < 60 ? minutes - first : 60;
			struct hash hash = series_content_hash(
				plant_sensor(sensor), PLANT_START_US + (int64_t)hour * HOUR_US, points + first, length);
			assert_true(hash_equal(hash, buckets[hour].content_hash));
			assert_int_equal(buckets[hour].revision, 1);
		}
		arena_free(&arena);
	}
	assert_int_equal(fleet->plant->refusal_count, 0);
}

/* Shares follow who is there; each answers for all partitions, before anything is flushed and after owners have changed; hours
 * that another builds close on demand; every reading is there once, also those that two nodes were given. */
static void daemons_divide_and_build_what_one_builds(void **state)
{
	struct fleet *fleet = fleet_new();
	(void)state;
	join(fleet, 0);
	wait_for_shares(fleet, 16, 0, 0);
	join(fleet, 1);
	wait_for_shares(fleet, 8, 8, 0);
	for (unsigned minute = 0; minute < 30; minute++)
		send_minute(fleet, 0, 1, minute);
	for (unsigned i = 0; i < 2; i++) {
		assert_current(fleet, i);
		assert_reads(fleet, i, 30);
	}
	join(fleet, 2);
	wait_for_shares(fleet, 6, 5, 5);
	for (unsigned minute = 30; minute < 90; minute++)
		send_minute(fleet, 2, minute % 2, minute);
	for (unsigned i = 0; i < NODES; i++) {
		assert_current(fleet, i);
		assert_reads(fleet, i, 90);
	}
	leave(fleet, 1);
	wait_for_shares(fleet, 8, 0, 8);
	for (unsigned minute = 90; minute < 100; minute++)
		send_minute(fleet, 0, 2, minute);
	close_all(fleet, 2);
	assert_as_one(fleet, 100);
	assert_reads(fleet, 0, 100);
	assert_reads(fleet, 2, 100);
	fleet_free(fleet);
}

/* An owner that was taken for gone writes nothing more: its term is not the row's. It lets go, and goes on as a follower or
 * takes again, and every reading is there once. */
static void an_owner_that_was_replaced_writes_nothing(void **state)
{
	struct fleet *fleet = fleet_new();
	struct err_info info = {0};
	(void)state;
	join(fleet, 0);
	wait_for_shares(fleet, 16, 0, 0);
	for (unsigned minute = 0; minute < 30; minute++)
		send_minute(fleet, 0, 0, minute);
	assert_current(fleet, 0);
	struct arena *arena = arena_new(0);
	struct owner_row *rows;
	struct store_change changes[PARTITIONS];
	assert_int_equal(buckets_owner_rows(fleet->nodes[0].buckets, arena, &rows, &info), ERR_OK);
	for (unsigned i = 0; i < PARTITIONS; i++) {
		rows[i].term++;
		rows[i].node = NULL;
		changes[i] = (struct store_change){.collection = &bucket_owners_collection, .row = &rows[i]};
	}
	assert_int_equal(store_write(fleet->plant->store, changes, PARTITIONS, NULL, &info), ERR_OK);
	assert_int_equal(fleet->nodes[0].buckets->shards[3].term, rows[3].term - 1);
	int64_t deadline_us = soon();
	while (clock_monotonic_us() < deadline_us) { /* taken again, by the next term */
		struct owner_row *now;
		assert_int_equal(buckets_owner_rows(fleet->nodes[0].buckets, arena, &now, &info), ERR_OK);
		if (now[3].term == rows[3].term + 1 && now[3].node)
			break;
		sched_yield();
	}
	wait_for_shares(fleet, 16, 0, 0);
	for (unsigned minute = 30; minute < 60; minute++)
		send_minute(fleet, 0, 0, minute);
	close_all(fleet, 0);
	assert_as_one(fleet, 60);
	arena_free(&arena);
	fleet_free(fleet);
}

/* A tail that outgrows its half of the memory is let go of; reads then wait for the owner's rows instead of leaving out. */
static void a_tail_that_was_dropped_is_not_read(void **state)
{
	struct tail tail = {0};
	struct arena *arena = arena_new(0);
	struct reading readings[3] = {reading_of(1, 0), reading_of(1, 1), reading_of(2, 0)};
	struct series_point *points;
	uint64_t positions[TAIL_STREAMS_MAX] = {0};
	size_t count;
	(void)state;
	assert_true(tail_add(&tail, 1, 7, readings, 3));
	assert_true(tail_add(&tail, 1, 8, readings, 1));
	assert_true(tail_points(
		&tail, plant_sensor(1), PLANT_START_US, PLANT_START_US + CLOCK_US_PER_MINUTE, arena, &points, &count));
	assert_int_equal(count, 2);
	positions[1] = 7;
	tail_let_go(&tail, positions);
	assert_true(
		tail_points(&tail, plant_sensor(1), PLANT_START_US, PLANT_START_US + HOUR_US, arena, &points, &count));
	assert_int_equal(count, 1);
	tail_drop(&tail);
	assert_int_equal(tail.bytes, 0);
	assert_false(tail_is_whole(&tail, positions));
	positions[1] = 8;
	assert_true(tail_is_whole(&tail, positions));
	tail_let_go(&tail, positions);
	positions[1] = 0;
	assert_true(tail_is_whole(&tail, positions));
	tail_free(&tail);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(daemons_divide_and_build_what_one_builds),
		cmocka_unit_test(an_owner_that_was_replaced_writes_nothing),
		cmocka_unit_test(a_tail_that_was_dropped_is_not_read),
	};
	if (crypto_start() != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
