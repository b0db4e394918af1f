/* The ledger: P1 (ranges partition), P2 (states sum to issued), P3 (assets sum to zero) after any sequence of issue, split,
 * transfer, retire; undo; serial lock; money beside kilograms. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/map.h"
#include "carbond/ledger.h"

#define ORGS 5

static uint64_t seed = 1;

static int64_t random_below(int64_t limit)
{
	seed += UINT64_C(0x9e3779b97f4a7c15);
	return (int64_t)(map_hash_u64(0, seed) % (uint64_t)limit);
}

static struct ledger_place place(int org, enum kg_state state)
{
	return (struct ledger_place){.org = {{(uint8_t)(org + 1)}}, .state = state};
}

static void check(const struct ledger *ledger)
{
	struct err_info info;
	if (ledger_check(ledger, &info))
		fail_msg("%s", info.detail);
}

/* All places as one text of numbers: equal ledgers, equal pictures. */
struct picture {
	char text[1 << 20];
	size_t size;
};

static enum err draw(void *context, const struct ledger_entry *entry)
{
	struct picture *picture = context;
	int64_t numbers[3] = {(int64_t)entry->asset, entry->place.state, entry->amount};
	memcpy(picture->text + picture->size, &entry->place.org, sizeof entry->place.org);
	picture->size += sizeof entry->place.org;
	memcpy(picture->text + picture->size, numbers, sizeof numbers);
	picture->size += sizeof numbers;
	if (entry->range_count)
		memcpy(picture->text + picture->size, entry->ranges, entry->range_count * sizeof *entry->ranges);
	picture->size += entry->range_count * sizeof *entry->ranges;
	assert_true(picture->size < sizeof picture->text - 20000);
	return ERR_OK;
}

static void picture_of(const struct ledger *ledger, struct picture *ret_picture)
{
	ret_picture->size = 0;
	assert_int_equal(ledger_each(ledger, draw, ret_picture), ERR_OK);
}

/* A random move that may be refused. */
static enum err random_move(struct ledger *ledger, struct undo *undo, uint64_t batches)
{
	static const enum kg_state states[] = {KG_HELD, KG_HELD, KG_HELD, KG_RETIRED, KG_BUFFER, KG_CANCELLED};
	struct ledger_place from = place((int)random_below(ORGS), states[random_below(6)]);
	struct ledger_place to = place((int)random_below(ORGS), states[random_below(6)]);
	uint64_t batch = 1 + (uint64_t)random_below((int64_t)batches);
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = 1;
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	if (random_below(2)) {
		enum err err =
			ledger_pick(ledger, batch, from, 1 + random_below(400), ranges, EVENTS_RANGES_MAX, &count);
		if (err)
			return err;
	} else {
		ranges[0] = (struct serial_range){
			.batch = batch, .start = random_below(3000), .length = 1 + random_below(50)};
	}
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && !err; i++)
		err = ledger_move(ledger, undo, &ranges[i], from, to);
	return err;
}

static void p1_p2_p3_hold_after_any_sequence(void **state)
{
	(void)state;
	struct ledger *ledger = ledger_new(1);
	int moved = 0, refused = 0;
	for (uint64_t batch = 1; batch <= 4; batch++) {
		assert_int_equal(ledger_reserve(ledger), ERR_OK);
		assert_int_equal(ledger_issue(ledger, NULL, batch, place(0, KG_HELD).org, KG_HELD, 2500), ERR_OK);
		assert_int_equal(ledger_issue(ledger, NULL, batch, place(0, KG_HELD).org, KG_BUFFER, 500), ERR_OK);
		ledger_assert(ledger);
	}
	for (int i = 0; i < 20000; i++) {
		struct undo *undo = NULL;
		enum err err = random_move(ledger, undo, 4);
		err ? refused++ : moved++;
		ledger_assert(ledger);
		if (i % 500 == 0)
			check(ledger);
	}
	check(ledger);
	assert_true(moved > 1000 && refused > 1000);
	assert_int_equal(ledger_issued_kg(ledger, 0), 12000);
	ledger_free(&ledger);
}

static void what_is_undone_never_was(void **state)
{
	(void)state;
	static struct picture before, after;
	struct ledger *ledger = ledger_new(1);
	struct undo *undo = undo_new();
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	assert_int_equal(ledger_issue(ledger, NULL, 1, place(0, KG_HELD).org, KG_HELD, 3000), ERR_OK);
	for (int round = 0; round < 500; round++) {
		picture_of(ledger, &before);
		for (int i = 0; i < 10; i++) {
			assert_int_equal(undo_reserve(undo, EVENTS_RANGES_MAX + 2), ERR_OK);
			(void)!random_move(ledger, undo, 2);
			if (random_below(4) == 0) {
				assert_int_equal(ledger_reserve(ledger), ERR_OK);
				assert_int_equal(
					ledger_issue(ledger, undo, 2, place(1, KG_HELD).org, KG_HELD, 10), ERR_OK);
			}
		}
		if (random_below(3)) {
			undo_back(undo, 0);
			picture_of(ledger, &after);
			assert_int_equal(before.size, after.size);
			assert_memory_equal(before.text, after.text, before.size);
		} else {
			undo_clear(undo);
		}
		ledger_assert(ledger);
	}
	check(ledger);
	undo_free(&undo);
	ledger_free(&ledger);
}

static void a_split_partitions_and_neighbours_merge(void **state)
{
	(void)state;
	struct ledger *ledger = ledger_new(1);
	struct serial_range ranges[4];
	size_t count = 0;
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	assert_int_equal(ledger_issue(ledger, NULL, 1, place(0, KG_HELD).org, KG_HELD, 100), ERR_OK);
	struct serial_range middle = {.batch = 1, .start = 40, .length = 20};
	assert_int_equal(ledger_move(ledger, NULL, &middle, place(0, KG_HELD), place(1, KG_HELD)), ERR_OK);
	assert_int_equal(ledger_pick(ledger, 1, place(0, KG_HELD), 80, ranges, 4, &count), ERR_OK);
	assert_int_equal(count, 2);
	assert_int_equal(ranges[0].length, 40);
	assert_int_equal(ranges[1].start, 60);
	assert_int_equal(ledger_pick(ledger, 1, place(0, KG_HELD), 80, ranges, 1, &count), ERR_COMMAND_TOO_LARGE);
	assert_int_equal(ledger_move(ledger, NULL, &middle, place(1, KG_HELD), place(0, KG_HELD)), ERR_OK);
	assert_int_equal(ledger_pick(ledger, 1, place(0, KG_HELD), 100, ranges, 4, &count), ERR_OK);
	assert_int_equal(count, 1);
	check(ledger);
	ledger_free(&ledger);
}

static void serials_that_are_not_held_do_not_move(void **state)
{
	(void)state;
	struct ledger *ledger = ledger_new(1);
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	assert_int_equal(ledger_issue(ledger, NULL, 1, place(0, KG_HELD).org, KG_HELD, 100), ERR_OK);
	const struct serial_range bad[] = {{1, 0, 101}, {1, 100, 1}, {1, -1, 2}, {1, 0, 0}, {1, 0, -5}, {2, 0, 1},
		{1, INT64_MAX, 1}, {1, 1, INT64_MAX}, {LEDGER_MONEY | 1, 0, 1}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(
			ledger_move(ledger, NULL, &bad[i], place(0, KG_HELD), place(1, KG_HELD)), ERR_INSUFFICIENT_KG);
	struct serial_range all = {1, 0, 100};
	assert_int_equal(ledger_move(ledger, NULL, &all, place(1, KG_HELD), place(0, KG_HELD)), ERR_INSUFFICIENT_KG);
	assert_int_equal(ledger_move(ledger, NULL, &all, place(0, KG_RETIRED), place(0, KG_HELD)), ERR_INSUFFICIENT_KG);
	ledger_assert(ledger);
	check(ledger);
	ledger_free(&ledger);
}

static void money_sums_to_zero_and_only_the_outside_goes_below_it(void **state)
{
	(void)state;
	const uint64_t euro = LEDGER_MONEY | 978;
	struct ledger *ledger = ledger_new(1);
	struct undo *undo = undo_new();
	struct ledger_place outside = {.state = KG_HELD};
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	assert_int_equal(undo_reserve(undo, 10), ERR_OK);
	assert_int_equal(ledger_pay(ledger, undo, euro, 5000000, outside, place(0, KG_HELD)), ERR_OK);
	assert_int_equal(ledger_pay(ledger, undo, euro, 2000000, place(0, KG_HELD), place(0, KG_ESCROW)), ERR_OK);
	assert_int_equal(
		ledger_pay(ledger, undo, euro, 3000001, place(0, KG_HELD), place(1, KG_HELD)), ERR_INSUFFICIENT_FUNDS);
	assert_int_equal(ledger_pay(ledger, undo, euro, INT64_MAX, outside, place(0, KG_HELD)), ERR_OVERFLOW);
	assert_int_equal(ledger_amount(ledger, euro, outside), -5000000);
	ledger_assert(ledger);
	check(ledger);
	undo_back(undo, 0);
	assert_int_equal(ledger_amount(ledger, euro, place(0, KG_ESCROW)), 0);
	ledger_assert(ledger);
	undo_free(&undo);
	ledger_free(&ledger);
}

static enum err restore(void *context, const struct ledger_entry *entry)
{
	assert_int_equal(ledger_reserve(context), ERR_OK);
	return ledger_restore(context, entry);
}

static void a_picture_makes_the_same_ledger(void **state)
{
	(void)state;
	static struct picture before, after;
	struct ledger *ledger = ledger_new(1), *copy = ledger_new(2);
	struct ledger_place outside = {.state = KG_HELD};
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	assert_int_equal(ledger_issue(ledger, NULL, 1, place(0, KG_HELD).org, KG_HELD, 3000), ERR_OK);
	assert_int_equal(ledger_pay(ledger, NULL, LEDGER_MONEY | 1, 7, outside, place(1, KG_HELD)), ERR_OK);
	for (int i = 0; i < 3000; i++)
		(void)!random_move(ledger, NULL, 1);
	assert_int_equal(ledger_each(ledger, restore, copy), ERR_OK);
	picture_of(ledger, &before);
	picture_of(copy, &after);
	assert_int_equal(before.size, after.size);
	assert_memory_equal(before.text, after.text, before.size);
	ledger_assert(copy);
	check(copy);
	/* the same kilogram twice is not a ledger */
	struct serial_range twice = {1, 5, 1};
	struct ledger_entry entry = {
		.place = place(2, KG_HELD), .asset = 1, .amount = 1, .ranges = &twice, .range_count = 1};
	assert_int_equal(ledger_reserve(copy), ERR_OK);
	(void)!ledger_restore(copy, &entry);
	struct err_info info;
	assert_int_equal(ledger_check(copy, &info), ERR_JOURNAL_INVALID);
	ledger_free(&ledger);
	ledger_free(&copy);
}

/* P1 is looked at from the ground: overlaps and gaps are found wherever they lie, whatever the size of the numbers. */
static enum err restored(uint64_t batch, const int64_t (*parts)[2], size_t count)
{
	struct err_info info;
	struct ledger *ledger = ledger_new(1);
	for (size_t i = 0; i < count; i++) {
		struct serial_range range = {.batch = batch, .start = parts[i][0], .length = parts[i][1]};
		struct ledger_entry entry = {
			.place = place((int)i, KG_HELD), .asset = batch, .ranges = &range, .range_count = 1};
		assert_int_equal(ledger_reserve(ledger), ERR_OK);
		assert_int_equal(ledger_restore(ledger, &entry), ERR_OK);
	}
	enum err err = ledger_check(ledger, &info);
	ledger_free(&ledger);
	return err;
}

static void p1_is_checked_from_the_ground(void **state)
{
	(void)state;
	const int64_t far = INT64_C(1) << 41;
	const int64_t whole[][2] = {{far + 300, 256}, {far, 300}, {0, far}};
	const int64_t overlap[][2] = {{far + 299, 257}, {far, 300}, {0, far}};
	const int64_t gap[][2] = {{far + 301, 255}, {far, 300}, {0, far}};
	const int64_t late[][2] = {{1, far}};
	const uint64_t batches[] = {1, 255, 256, UINT64_C(1) << 33};
	for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
		assert_int_equal(restored(batches[i], whole, 3), ERR_OK);
		assert_int_equal(restored(batches[i], overlap, 3), ERR_JOURNAL_INVALID);
		assert_int_equal(restored(batches[i], gap, 3), ERR_JOURNAL_INVALID);
		assert_int_equal(restored(batches[i], late, 1), ERR_JOURNAL_INVALID);
	}
	/* many batches, each with its own serials */
	struct ledger *ledger = ledger_new(1);
	for (uint64_t batch = 1; batch <= 600; batch++) {
		struct serial_range range = {.batch = batch, .start = 3, .length = 4};
		assert_int_equal(ledger_reserve(ledger), ERR_OK);
		assert_int_equal(ledger_issue(ledger, NULL, batch, place(0, KG_HELD).org, KG_HELD, 10), ERR_OK);
		assert_int_equal(
			ledger_move(ledger, NULL, &range, place(0, KG_HELD), place((int)batch % ORGS, KG_RETIRED)),
			ERR_OK);
	}
	check(ledger);
	ledger_free(&ledger);
}

/* What cannot be counted, and what a snapshot may not say. */
static void what_cannot_be_is_refused(void **state)
{
	(void)state;
	struct ledger *ledger = ledger_new(1);
	struct undo *undo = undo_new();
	struct err_info info = {0};
	struct code8 currency;
	assert_true(code8_set(&currency, "EUR"));
	uint64_t euro = ledger_money_asset(currency);
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	assert_int_equal(undo_reserve(undo, 8), ERR_OK);
	assert_int_equal(ledger_issue(ledger, undo, 1, place(0, KG_HELD).org, KG_HELD, INT64_MAX), ERR_OK);
	assert_int_equal(ledger_issue(ledger, undo, 1, place(0, KG_HELD).org, KG_HELD, 1), ERR_OVERFLOW);
	assert_int_equal(ledger_issue(ledger, undo, 2, place(0, KG_HELD).org, KG_HELD, 1), ERR_OVERFLOW);
	assert_int_equal(ledger_state_kg(ledger, 1, KG_HELD), INT64_MAX);
	assert_int_equal(ledger_state_kg(ledger, 1, KG_RETIRED), 0);
	assert_int_equal(ledger_state_kg(ledger, 9, KG_HELD), 0);
	assert_int_equal(ledger_issued_kg(ledger, 1), INT64_MAX);
	assert_int_equal(ledger_issued_kg(ledger, 9), 0);
	undo_back(undo, 0);
	check(ledger);
	const struct serial_range parts[] = {
		{1, 100, 100}, {1, 50, 60}, {1, 150, 10}, {2, 0, 10}, {1, -1, 10}, {1, 0, 0}};
	struct ledger_entry entry = {.place = place(0, KG_HELD), .asset = 1, .ranges = parts, .range_count = 1};
	assert_int_equal(ledger_restore(ledger, &entry), ERR_OK);
	for (int i = 1; i < 6; i++) { /* over another, from either side; of another batch; below zero; of nothing */
		entry.ranges = &parts[i];
		assert_int_equal(ledger_restore(ledger, &entry), ERR_JOURNAL_INVALID);
	}
	entry.place.org = (struct id){{0}}; /* the outside world has no serials */
	assert_int_equal(ledger_restore(ledger, &entry), ERR_JOURNAL_INVALID);
	entry = (struct ledger_entry){.place = place(1, KG_HELD), .asset = euro, .amount = 5};
	assert_int_equal(ledger_restore(ledger, &entry), ERR_OK);
	assert_int_equal(ledger_restore(ledger, &entry), ERR_JOURNAL_INVALID); /* there twice */
	assert_int_equal(ledger_check(ledger, &info), ERR_JOURNAL_INVALID);    /* and from nowhere: P3 */
	undo_free(&undo);
	ledger_free(&ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(p1_p2_p3_hold_after_any_sequence),
		cmocka_unit_test(p1_is_checked_from_the_ground), cmocka_unit_test(what_is_undone_never_was),
		cmocka_unit_test(a_split_partitions_and_neighbours_merge),
		cmocka_unit_test(serials_that_are_not_held_do_not_move),
		cmocka_unit_test(money_sums_to_zero_and_only_the_outside_goes_below_it),
		cmocka_unit_test(a_picture_makes_the_same_ledger), cmocka_unit_test(what_cannot_be_is_refused)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
