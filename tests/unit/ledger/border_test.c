/* A market shard's part of the ledger ("What holds" in docs/SHARDS.md): kilograms come in and go out over its border alone, its ranges
 * are disjoint (P1), its states sum to what came in less what went out (P2), each asset sums to zero with the outside (P3). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "carbond/ledger.h"

#define HALF (INT64_C(1) << 62)

static struct ledger *ledger;
static struct undo *undo;
static struct err_info info;

static int start(void **state)
{
	(void)state;
	ledger = ledger_new(1);
	undo = undo_new();
	ledger_part(ledger);
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	assert_int_equal(undo_reserve(undo, 32), ERR_OK);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	ledger_assert(ledger);
	assert_int_equal(ledger_check(ledger, &info), ERR_OK);
	undo_free(&undo);
	ledger_free(&ledger);
	return 0;
}

static struct ledger_place place(int org, enum kg_state state)
{
	return (struct ledger_place){.org = {{(uint8_t)org}}, .state = state};
}

static enum err come(struct serial_range range, int org)
{
	struct record_lists lists = {.ranges = &range, .range_count = 1};
	return ledger_come(ledger, undo, &lists, range.length, place(org, KG_HELD), &info);
}

static enum err go(struct serial_range range, int org)
{
	struct record_lists lists = {.ranges = &range, .range_count = 1};
	return ledger_go(ledger, undo, &lists, range.length, place(org, KG_HELD), &info);
}

static void what_came_in_goes_out(void **state)
{
	(void)state;
	assert_int_equal(come((struct serial_range){1, 500, 100}, 1), ERR_OK);
	assert_int_equal(come((struct serial_range){1, 100, 50}, 2), ERR_OK);
	assert_int_equal(ledger_issued_kg(ledger, 1), 150);
	assert_int_equal(ledger_amount(ledger, 1, place(0, KG_HELD)), -150);
	assert_int_equal(ledger_check(ledger, &info), ERR_OK); /* disjoint, though not from 0 on */
	assert_int_equal(go((struct serial_range){1, 520, 30}, 1), ERR_OK);
	assert_int_equal(ledger_state_kg(ledger, 1, KG_HELD), 120);
	const struct serial_range rest = {1, 550, 50}, gone = {1, 520, 30}, over = {1, 510, 20};
	assert_true(ledger_holds(ledger, &rest, place(1, KG_HELD)));
	assert_false(ledger_holds(ledger, &gone, place(1, KG_HELD)));
	assert_false(ledger_holds(ledger, &over, place(1, KG_HELD)));
	assert_false(ledger_holds(ledger, &rest, place(2, KG_HELD)));
	assert_false(ledger_holds(ledger, &rest, place(3, KG_HELD)));
	assert_false(ledger_holds(ledger, &(struct serial_range){1, 550, 0}, place(1, KG_HELD)));
	undo_back(undo, 0); /* what went out is here again, then what came in is not */
	assert_int_equal(ledger_issued_kg(ledger, 0), 0);
	assert_int_equal(ledger_amount(ledger, 1, place(1, KG_HELD)), 0);
}

/* A record may say what cannot be. */
static void serials_that_do_not_cross(void **state)
{
	(void)state;
	const struct serial_range never[] = {
		{1, -1, 10}, {1, 0, 0}, {1, 0, -1}, {1, INT64_MAX, 1}, {LEDGER_MONEY | 1, 0, 10}};
	assert_int_equal(come((struct serial_range){1, 0, 10}, 1), ERR_OK);
	(void)ledger_account(ledger, place(1, KG_HELD).org, LEDGER_MONEY | 1); /* which nothing was ever in */
	for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
		assert_int_equal(come(never[i], 1), ERR_JOURNAL_INVALID);
		assert_int_equal(go(never[i], 1), ERR_INSUFFICIENT_KG);
	}
	assert_int_equal(come((struct serial_range){1, 9, 5}, 1), ERR_JOURNAL_INVALID); /* it is here */
	assert_int_equal(go((struct serial_range){1, 9, 2}, 1), ERR_INSUFFICIENT_KG);
	assert_int_equal(go((struct serial_range){1, 0, 1}, 2), ERR_INSUFFICIENT_KG);
	struct serial_range range = {1, 0, 10};
	struct record_lists none = {0}, one = {.ranges = &range, .range_count = 1};
	assert_int_equal(ledger_come(ledger, undo, &none, 0, place(1, KG_HELD), &info), ERR_JOURNAL_INVALID);
	assert_int_equal(ledger_come(ledger, undo, &one, 10, place(0, KG_HELD), &info), ERR_JOURNAL_INVALID);
	assert_int_equal(ledger_go(ledger, undo, &one, 9, place(1, KG_HELD), &info), ERR_JOURNAL_INVALID);
	undo_back(undo, 0);
}

/* All kilograms of a ledger can be counted, in however many batches. */
static void kilograms_that_cannot_be_counted(void **state)
{
	(void)state;
	assert_int_equal(come((struct serial_range){1, 0, HALF}, 1), ERR_OK);
	assert_int_equal(come((struct serial_range){2, 0, HALF}, 1), ERR_OVERFLOW);
	assert_int_equal(come((struct serial_range){2, 0, HALF - 1}, 1), ERR_OK);
}

/* A whole ledger issues what it has. */
static void a_whole_ledger_has_no_border(void **state)
{
	(void)state;
	struct serial_range range = {1, 0, 10};
	struct record_lists lists = {.ranges = &range, .range_count = 1};
	struct ledger *whole = ledger_new(1);
	assert_int_equal(ledger_reserve(whole), ERR_OK);
	assert_int_equal(ledger_come(whole, NULL, &lists, 10, place(1, KG_HELD), &info), ERR_JOURNAL_INVALID);
	assert_int_equal(ledger_issue(whole, NULL, 1, place(1, KG_HELD).org, KG_HELD, 10), ERR_OK);
	assert_int_equal(ledger_go(whole, NULL, &lists, 10, place(1, KG_HELD), &info), ERR_JOURNAL_INVALID);
	assert_int_equal(ledger_check(whole, &info), ERR_OK);
	ledger_free(&whole);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {TEST(what_came_in_goes_out), TEST(serials_that_do_not_cross),
		TEST(kilograms_that_cannot_be_counted), TEST(a_whole_ledger_has_no_border)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
