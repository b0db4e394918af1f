/* The quarantine over a real store: what is kept stays, beyond the bound items are counted and nothing goes; the same item is
 * one row; answered rows go after 90 days. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carbond/base/limits.h"
#include "carbond/base/log.h"
#include "carbond/base/sign.h"
#include "directory.h"
#include "quarantine.h"

#define ROWS_MAX 20

struct fixture {
	char folder[64];
	struct store *store;
	struct quarantine *quarantine;
	struct arena *arena;
};

static void open_all(struct fixture *fixture)
{
	static const struct store_collection *const collections[] = {&quarantine_collection, NULL};
	char uri[128];
	snprintf(uri, sizeof uri, "sqlite:%s", fixture->folder);
	struct store_options options = {.uri = uri, .collections = collections};
	struct err_info info = {0};
	if (store_open(&options, &fixture->store, &info) != ERR_OK)
		fail_msg("%s", info.detail);
	assert_int_equal(quarantine_open(fixture->store, ROWS_MAX, &fixture->quarantine, &info), ERR_OK);
}

static void close_all(struct fixture *fixture)
{
	quarantine_close(&fixture->quarantine);
	store_close(&fixture->store);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	if (crypto_start() != ERR_OK)
		return -1;
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(fixture->folder, sizeof fixture->folder, "/tmp/carbond-quarantine-XXXXXX");
	if (!mkdtemp(fixture->folder))
		return -1;
	fixture->arena = arena_new(LIMIT_BATCH_ARENA_BYTES);
	open_all(fixture);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char command[128];
	close_all(fixture);
	arena_free(&fixture->arena);
	snprintf(command, sizeof command, "rm -rf %s", fixture->folder);
	int status = system(command);
	free(fixture);
	return status;
}

/* Refused items with values from … to − 1, as one batch. */
static void refuse(struct fixture *fixture, int from, int to, bool durable)
{
	size_t count = (size_t)(to - from);
	struct quarantined *rows = ARENA_ARRAY(fixture->arena, struct quarantined, count);
	const struct directory_sensor sensor = {.id = number_id(21), .org_id = ACME, .unit_id = UNIT, .tag = "FT-101"};
	for (int i = from; i < to; i++) {
		const struct reading reading = {.sensor = sensor.id, .time_us = NOW, .value = i};
		assert_int_equal(sensing_quarantine_reading(&reading, &sensor, QUARANTINE_CONFLICT, "another value",
					 NOW + i, fixture->arena, &rows[i - from]),
			ERR_OK);
	}
	struct store_change *changes;
	size_t change_count;
	assert_int_equal(
		quarantine_changes(fixture->quarantine, rows, count, fixture->arena, &changes, &change_count), ERR_OK);
	if (durable)
		assert_int_equal(store_write(fixture->store, changes, change_count, NULL, NULL), ERR_OK);
	quarantine_written(fixture->quarantine, rows, count, durable);
}

static struct quarantined *stored(struct fixture *fixture, size_t *ret_count)
{
	struct store_query query = {.collection = &quarantine_collection, .index = "by_org", .most = 1000};
	void *rows;
	assert_int_equal(store_find(fixture->store, &query, fixture->arena, &rows, ret_count, NULL), ERR_OK);
	return rows;
}

static void keeps_what_it_has_and_counts_the_rest(void **state)
{
	struct fixture *fixture = *state;
	size_t count;
	refuse(fixture, 0, 15, true);
	stored(fixture, &count);
	assert_int_equal(count, 15);
	refuse(fixture, 15, 30, true); /* five are kept, ten counted */
	struct quarantined *rows = stored(fixture, &count);
	assert_int_equal(count, ROWS_MAX + 1);
	refuse(fixture, 30, 130, true);
	rows = stored(fixture, &count);
	assert_int_equal(count, ROWS_MAX + 1);
	int64_t total = 0, largest = 0;
	for (size_t i = 0; i < count; i++) {
		total += rows[i].items;
		if (rows[i].items == 1)
			continue;
		largest = rows[i].items;
		assert_non_null(strstr(rows[i].detail, "the quarantine is full: 110 readings"));
		assert_string_equal(rows[i].raw, "{\"t\":1763892000000000,\"v\":{\"FT-101\":129.0}}");
	}
	assert_int_equal(total, 130); /* nothing went silently */
	assert_int_equal(largest, 110);
	/* the first ones are all there */
	for (int i = 0; i < ROWS_MAX; i++) {
		bool found = false;
		char value[16];
		snprintf(value, sizeof value, "%d", i);
		for (size_t r = 0; r < count; r++)
			found |= strcmp(rows[r].value, value) == 0;
		assert_true(found);
	}
}

static void the_same_item_is_one_row(void **state)
{
	struct fixture *fixture = *state;
	size_t count;
	refuse(fixture, 0, 5, true);
	refuse(fixture, 0, 5, true);
	refuse(fixture, 3, 8, true);
	stored(fixture, &count);
	assert_int_equal(count, 8);
}

static void what_was_not_written_does_not_count(void **state)
{
	struct fixture *fixture = *state;
	size_t count;
	refuse(fixture, 0, ROWS_MAX, false);
	refuse(fixture, 0, ROWS_MAX, true);
	stored(fixture, &count);
	assert_int_equal(count, ROWS_MAX);
}

static void counts_again_after_a_start(void **state)
{
	struct fixture *fixture = *state;
	size_t count;
	refuse(fixture, 0, ROWS_MAX, true);
	close_all(fixture);
	open_all(fixture);
	refuse(fixture, 100, 110, true);
	stored(fixture, &count);
	assert_int_equal(count, ROWS_MAX + 1);
}

static void answered_rows_go_after_ninety_days(void **state)
{
	struct fixture *fixture = *state;
	size_t count;
	refuse(fixture, 0, 3, true);
	struct quarantined *rows = stored(fixture, &count);
	for (int i = 0; i < 2; i++) {
		rows[i].state = i ? QUARANTINE_DISCARDED : QUARANTINE_REDRIVEN;
		rows[i].closed_us = NOW;
		struct store_change change = {.collection = &quarantine_collection, .row = &rows[i]};
		assert_int_equal(store_write(fixture->store, &change, 1, NULL, NULL), ERR_OK);
	}
	assert_int_equal(quarantine_retain(fixture->quarantine, NOW + 90 * DAY, NULL), ERR_OK);
	stored(fixture, &count);
	assert_int_equal(count, 3);
	assert_int_equal(quarantine_retain(fixture->quarantine, NOW + 90 * DAY + 1, NULL), ERR_OK);
	rows = stored(fixture, &count);
	assert_int_equal(count, 1);
	assert_int_equal(rows[0].state, QUARANTINE_OPEN); /* an open one stays, however old */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keeps_what_it_has_and_counts_the_rest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_same_item_is_one_row, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_not_written_does_not_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(counts_again_after_a_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answered_rows_go_after_ninety_days, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
