/* The ledger when memory ends at any allocation: an event has room or is refused, and a check, a picture or a snapshot is whole or
 * says that there is no memory. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "carbond/ledger.h"

#include "sweep.h"

static struct ledger_place place(int org, enum kg_state state)
{
	return (struct ledger_place){.org = {{(uint8_t)org}}, .state = state};
}

/* Hundreds of ranges: a check's list and the pool of nodes grow more than once. */
static void grows(struct sweep *sweep)
{
	struct ledger *ledger = ledger_new(1);
	struct err_info info = {.code = ERR_OK};
	enum err err = ERR_OK;
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	assert_int_equal(ledger_issue(ledger, NULL, 1, place(1, KG_HELD).org, KG_HELD, 20000), ERR_OK);
	sweep_arm(sweep);
	for (int i = 0; i < 2000 && !err; i++) {
		struct serial_range range = {1, 1 + 2 * i, 1};
		err = ledger_reserve(ledger);
		if (!err)
			err = ledger_move(ledger, NULL, &range, place(1, KG_HELD), place(2 + i % 3, KG_HELD));
	}
	if (!err)
		err = ledger_check(ledger, &info);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	assert_int_equal(ledger_check(ledger, &info), ERR_OK);
	ledger_free(&ledger);
}

static enum err count(void *context, struct event *event, struct err_info *info)
{
	(void)event;
	(void)info;
	++*(int *)context;
	return ERR_OK;
}

static enum err count_entry(void *context, const struct ledger_entry *entry)
{
	(void)entry;
	++*(int *)context;
	return ERR_OK;
}

static enum err make(struct ledger *ledger, uint16_t type, struct event *event)
{
	struct err_info info;
	event->header.type = type;
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	return ledger_apply(ledger, NULL, event, &info);
}

/* One of all that a snapshot has: a deposit, a pending transfer, a limit, a closed account, an offer. */
static struct ledger *ledger_of_all(void)
{
	struct ledger *ledger = ledger_new(1);
	struct id first = {{1}}, second = {{2}};
	struct code8 eur, usd;
	assert_true(code8_set(&eur, "EUR") && code8_set(&usd, "USD"));
	struct event event = {.money_deposited = {.to = first, .currency = eur, .amount_micros = 10}};
	assert_int_equal(make(ledger, EVENT_MONEY_DEPOSITED, &event), ERR_OK);
	event = (struct event){
		.money_reserved = {
			.transfer = {{9}}, .from = first, .to = second, .currency = eur, .amount_micros = 4}};
	assert_int_equal(make(ledger, EVENT_MONEY_RESERVED, &event), ERR_OK);
	event = (struct event){.account_limited = {.org = first, .currency = eur, .lowest_micros = 1}};
	assert_int_equal(make(ledger, EVENT_ACCOUNT_LIMITED, &event), ERR_OK);
	event = (struct event){.account_closed.org = {{3}}};
	assert_int_equal(make(ledger, EVENT_ACCOUNT_CLOSED, &event), ERR_OK);
	event = (struct event){.rate_offered = {.provider = first, .from = eur, .to = usd, .rate_nanos = 1}};
	assert_int_equal(make(ledger, EVENT_RATE_OFFERED, &event), ERR_OK);
	return ledger;
}

static void snapshot(struct sweep *sweep)
{
	struct ledger *ledger = ledger_of_all();
	struct err_info info = {.code = ERR_OK};
	int entries = 0, events = 0;
	sweep_arm(sweep);
	enum err err = ledger_each(ledger, count_entry, &entries);
	if (!err)
		err = ledger_snapshot(ledger, count, &events, &info);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	if (!err)
		assert_true(entries == 3 && events == 4);
	ledger_free(&ledger);
}

static void a_ledger_that_grows(void **state)
{
	(void)state;
	sweep_allocations("a ledger that grows, and its check", grows, NULL);
}

static void snapshots(void **state)
{
	(void)state;
	sweep_allocations("a snapshot of a ledger", snapshot, NULL);
}

int main(void)
{
	sweep_start(100);
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_ledger_that_grows), cmocka_unit_test(snapshots)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
