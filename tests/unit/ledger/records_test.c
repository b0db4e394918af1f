/* What a record or a command may say (docs/LEDGER.md): each event of the ledger that cannot be is refused, whatever comes from outside in
 * a journal or a snapshot; and the bounds of what can be counted. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/ledger.h"

#define NANOS INT64_C(1000000000)

static struct ledger *ledger;
static struct err_info info;
static struct code8 eur, usd;
static const struct id first = {{1}}, second = {{2}}, third = {{3}};

static int start(void **state)
{
	(void)state;
	ledger = ledger_new(1);
	assert_true(code8_set(&eur, "EUR") && code8_set(&usd, "USD"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	ledger_free(&ledger);
	return 0;
}

static enum err make(uint16_t type, struct event event)
{
	event.header.type = type;
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	return ledger_apply(ledger, NULL, &event, &info);
}

static enum err emit(void *context, struct event *event, struct err_info *ret_info)
{
	(void)context;
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	enum err err = ledger_apply(ledger, NULL, event, ret_info);
	ledger_assert(ledger);
	return err;
}

static enum err give(struct command command)
{
	struct decision call = {.command = &command, .now_us = 1000 * CLOCK_US_PER_DAY, .emit = emit};
	return ledger_decide(ledger, &call, &info);
}

static void deposit(struct id to, struct code8 currency, int64_t micros)
{
	struct event event = {.money_deposited = {.to = to, .currency = currency, .amount_micros = micros}};
	assert_int_equal(make(EVENT_MONEY_DEPOSITED, event), ERR_OK);
}

static enum err entry(struct id org, enum kg_state state, uint64_t asset, int64_t amount)
{
	struct serial_range range = {asset, 0, amount};
	bool is_money = asset & LEDGER_MONEY;
	struct ledger_entry is = {.place = {org, state},
		.asset = asset,
		.amount = amount,
		.ranges = is_money ? NULL : &range,
		.range_count = !is_money};
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	return ledger_restore(ledger, &is);
}

static struct ledger_place place(struct id org, enum kg_state state)
{
	return (struct ledger_place){org, state};
}

static void types(void **state)
{
	(void)state;
	const uint16_t taken[] = {60, 79, EVENT_STATE_HOUSE, EVENT_STATE_LIMIT},
		       others[] = {59, 80, EVENT_STATE_HOUSE - 1, EVENT_STATE_LIMIT + 1};
	for (int i = 0; i < 4; i++) {
		assert_true(ledger_applies(taken[i]));
		assert_false(ledger_applies(others[i]));
	}
	assert_int_equal(make(79, (struct event){0}), ERR_JOURNAL_INVALID);
	assert_true(ledger_money_asset((struct code8){{'A', ':'}}) == 0);
	assert_int_equal(undo_reserve(NULL, 1), ERR_OK); /* a replay undoes nothing */
	struct serial_range ranges[EVENTS_RANGES_MAX];
	assert_int_equal(ledger_pending_ranges(ledger, first, ranges), 0);
}

/* A snapshot's pending transfers: each needs what it says it reserved. */
static void pending_transfers_of_a_snapshot(void **state)
{
	(void)state;
	deposit(first, eur, 10);
	struct event event = {
		.money_reserved = {
			.transfer = {{8}}, .from = first, .to = second, .currency = eur, .amount_micros = 10}};
	assert_int_equal(make(EVENT_MONEY_RESERVED, event), ERR_OK);
	assert_int_equal(entry(first, KG_RESERVED, 1, 10), ERR_OK);
	const struct event_state_pending money = {
		.transfer = {{9}}, .from = first, .to = second, .currency = eur, .amount = 10};
	struct event_state_pending kilograms = money;
	kilograms.currency = (struct code8){{0}};
	struct serial_range ranges[] = {{1, 0, 6}, {1, 6, 4}}, none[] = {{1, 0, 6}, {1, 6, 0}},
			    of_money[] = {{LEDGER_MONEY | 1, 0, 10}}, others[] = {{2, 0, 10}},
			    most[] = {{1, 0, INT64_MAX}, {1, 0, 1}};
#define PENDING(is, list, count)  \
	make(EVENT_STATE_PENDING, \
		(struct event){.state_pending = (is), .lists = {.ranges = (list), .range_count = (count)}})
	struct event_state_pending wrong = money;
	wrong.amount = 0;
	assert_int_equal(PENDING(wrong, NULL, 0), ERR_JOURNAL_INVALID);
	wrong.amount = 11;
	assert_int_equal(PENDING(wrong, NULL, 0), ERR_JOURNAL_INVALID);
	wrong = money;
	wrong.currency.text[0] = 'e';
	assert_int_equal(PENDING(wrong, NULL, 0), ERR_JOURNAL_INVALID);
	wrong = money;
	wrong.transfer.bytes[0] = 8;
	assert_int_equal(PENDING(wrong, NULL, 0), ERR_JOURNAL_INVALID); /* there twice */
	assert_int_equal(PENDING(money, ranges, 1), ERR_JOURNAL_INVALID);
	assert_int_equal(PENDING(kilograms, NULL, 0), ERR_JOURNAL_INVALID);
	assert_int_equal(PENDING(kilograms, none, 2), ERR_JOURNAL_INVALID);
	assert_int_equal(PENDING(kilograms, of_money, 1), ERR_JOURNAL_INVALID);
	assert_int_equal(PENDING(kilograms, others, 1), ERR_JOURNAL_INVALID);
	assert_int_equal(PENDING(kilograms, most, 2), ERR_JOURNAL_INVALID);
	assert_int_equal(PENDING(kilograms, ranges, 1), ERR_JOURNAL_INVALID);
	assert_int_equal(PENDING(kilograms, ranges, 2), ERR_OK);
	event = (struct event){.money_voided = {.transfer = {{9}}, .amount_micros = 10}};
	assert_int_equal(make(EVENT_MONEY_VOIDED, event), ERR_JOURNAL_INVALID); /* it is of kilograms */
}

/* Two that say they reserved the same: the second does not end. */
static void two_that_reserved_the_same(void **state)
{
	(void)state;
	deposit(first, eur, 10);
	struct event event = {
		.money_reserved = {
			.transfer = {{1}}, .from = first, .to = second, .currency = eur, .amount_micros = 10}};
	assert_int_equal(make(EVENT_MONEY_RESERVED, event), ERR_OK);
	assert_int_equal(entry(first, KG_RESERVED, 1, 10), ERR_OK);
	struct serial_range range = {1, 0, 10};
	struct event_state_pending is = {.from = first, .to = second, .amount = 10};
	for (uint8_t i = 3; i < 5; i++) {
		is.transfer.bytes[0] = i;
		assert_int_equal(PENDING(is, &range, 1), ERR_OK);
	}
	is.currency = eur;
	is.transfer.bytes[0] = 2;
	assert_int_equal(PENDING(is, NULL, 0), ERR_OK);
	event = (struct event){.money_posted = {.transfer = {{1}}, .amount_micros = 6, .freed_micros = 4}};
	assert_int_equal(make(EVENT_MONEY_POSTED, event), ERR_OK);
	event.money_posted.transfer.bytes[0] = 2;
	assert_int_equal(make(EVENT_MONEY_POSTED, event), ERR_INSUFFICIENT_FUNDS);
	event = (struct event){.kg_posted = {.transfer = {{3}}, .kg = 6, .freed_kg = 4},
		.lists = {.ranges = &range, .range_count = 1}};
	event.kg_posted.transfer.bytes[0] = 2;
	assert_int_equal(make(EVENT_KG_POSTED, event), ERR_JOURNAL_INVALID); /* of money */
	event.kg_posted.transfer.bytes[0] = 3;
	event.lists.range_count = 0;
	assert_int_equal(make(EVENT_KG_POSTED, event), ERR_JOURNAL_INVALID);
	event.lists.range_count = 1;
	assert_int_equal(make(EVENT_KG_POSTED, event), ERR_OK);
	event.kg_posted.transfer.bytes[0] = 4;
	assert_int_equal(make(EVENT_KG_POSTED, event), ERR_INSUFFICIENT_KG);
	assert_int_equal(ledger_amount(ledger, 1, place(second, KG_HELD)), 6);
	assert_int_equal(ledger_check(ledger, &info), ERR_OK);
}

static void limits_of_a_snapshot(void **state)
{
	(void)state;
	const struct event_state_limit is = {.org = first,
		.currency = eur,
		.own_reserved_micros = -1,
		.own_daily_micros = -1,
		.reserved_micros = 5,
		.daily_micros = -1};
	struct event_state_limit wrong[6] = {is, is, is, is, is, is};
	wrong[0].org = (struct id){{0}};
	wrong[1].currency.text[0] = 'e';
	wrong[2].reserved_micros = -1; /* it limits nothing */
	wrong[3].own_lowest_micros = -1;
	wrong[4].lowest_micros = -1;
	wrong[5].spent_micros = -1;
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(make(EVENT_STATE_LIMIT, (struct event){.state_limit = wrong[i]}), ERR_JOURNAL_INVALID);
	assert_int_equal(make(EVENT_STATE_LIMIT, (struct event){.state_limit = is}), ERR_OK);
	assert_int_equal(make(EVENT_STATE_LIMIT, (struct event){.state_limit = is}), ERR_JOURNAL_INVALID);
	struct event_state_limit read;
	assert_true(ledger_limit(ledger, first, eur, &read));
	assert_int_equal(read.reserved_micros, 5);
}

/* A limit that was taken away counts nothing. */
static void a_limit_that_ended(void **state)
{
	(void)state;
	struct event limited = {
		.account_limited = {.org = first, .currency = eur, .reserved_micros = -1, .daily_micros = 5}};
	deposit(first, eur, 100);
	assert_int_equal(make(EVENT_ACCOUNT_LIMITED, limited), ERR_OK);
	struct command pay = {.kind = COMMAND_MONEY_TRANSFER, .id = {{7}}, .org = first};
	pay.money_transfer = (struct command_money_transfer){.to = second, .currency = eur, .amount_micros = 6};
	assert_int_equal(give(pay), ERR_LIMIT_DAILY);
	limited.account_limited.daily_micros = -1;
	assert_int_equal(make(EVENT_ACCOUNT_LIMITED, limited), ERR_OK);
	assert_int_equal(give(pay), ERR_OK);
	limited.account_limited.daily_micros = 5; /* and what left meanwhile is not in it */
	assert_int_equal(make(EVENT_ACCOUNT_LIMITED, limited), ERR_OK);
	pay.money_transfer.amount_micros = 5;
	assert_int_equal(give(pay), ERR_OK);
	pay.money_transfer.amount_micros = 0;
	assert_int_equal(give(pay), ERR_AMOUNT_INVALID);
	struct command limit = {.kind = COMMAND_ACCOUNT_LIMIT, .org = first};
	limit.account_limit = (struct command_account_limit){.org = first, .currency = eur, .by_registry = 2};
	assert_int_equal(give(limit), ERR_LIMIT_INVALID);
}

/* Two currencies of one organisation, each with limits: a snapshot has them by their code, and ends where it is not taken. */
struct taking {
	struct event_state_limit limits[4];
	int count, most;
};

static enum err take(void *context, struct event *event, struct err_info *ret_info)
{
	struct taking *taking = context;
	(void)ret_info;
	if (taking->count == taking->most)
		return ERR_STORE_LATCHED;
	if (event->header.type == EVENT_STATE_LIMIT)
		taking->limits[taking->count] = event->state_limit;
	taking->count++;
	return ERR_OK;
}

static void a_snapshot_is_in_order(void **state)
{
	(void)state;
	const struct code8 currencies[] = {usd, eur};
	for (int i = 0; i < 2; i++) {
		struct event event = {.account_limited = {.org = first, .currency = currencies[i], .lowest_micros = 1}};
		assert_int_equal(make(EVENT_ACCOUNT_LIMITED, event), ERR_OK);
		event = (struct event){.account_closed.org = i ? second : third};
		assert_int_equal(make(EVENT_ACCOUNT_CLOSED, event), ERR_OK);
		event = (struct event){
			.rate_offered = {
				.provider = first, .from = currencies[i], .to = currencies[!i], .rate_nanos = 1}};
		assert_int_equal(make(EVENT_RATE_OFFERED, event), ERR_OK);
		deposit(first, currencies[i], 10);
		event = (struct event){.money_reserved = {.transfer = {{(uint8_t)(9 - i)}},
					       .from = first,
					       .to = third,
					       .currency = currencies[i],
					       .amount_micros = 1}};
		assert_int_equal(make(EVENT_MONEY_RESERVED, event), ERR_OK);
	}
	for (int most = 0; most < 8; most++) {
		struct taking taking = {.most = most};
		assert_int_equal(ledger_snapshot(ledger, take, &taking, &info), ERR_STORE_LATCHED);
	}
	struct taking taking = {.most = 8};
	assert_int_equal(ledger_snapshot(ledger, take, &taking, &info), ERR_OK);
	assert_memory_equal(&taking.limits[2].currency, &eur, sizeof eur);
	assert_memory_equal(&taking.limits[3].currency, &usd, sizeof usd);
}

/* A rate of the table "Conversion": each bound of an offer, and an amount whose rounding up can no longer be counted. */
static void offers_that_cannot_be(void **state)
{
	(void)state;
	const int64_t now_us = 1000 * CLOCK_US_PER_DAY;
	struct command offer = {.kind = COMMAND_RATE_OFFER, .org = first};
	offer.rate_offer = (struct command_rate_offer){
		.from = eur, .to = usd, .rate_nanos = NANOS * NANOS + 1, .quoted_us = now_us, .expires_us = now_us + 1};
	assert_true(code32_set(&offer.rate_offer.source, "test"));
	assert_int_equal(give(offer), ERR_RATE_INVALID);
	offer.rate_offer.rate_nanos = 9223372096;
	offer.rate_offer.quoted_us = now_us + 2 * CLOCK_US_PER_MINUTE;
	assert_int_equal(give(offer), ERR_RATE_INVALID);
	offer.rate_offer.quoted_us = now_us;
	assert_int_equal(give(offer), ERR_OK);
	assert_int_equal(make(EVENT_HOUSE_NAMED, (struct event){.house_named.org = third}), ERR_OK);
	struct command convert = {.kind = COMMAND_MONEY_CONVERT, .id = {{7}}, .org = second};
	convert.money_convert =
		(struct command_money_convert){.from = eur, .to = usd, .amount_micros = 999999993587461985};
	assert_int_equal(give(convert), ERR_PAYEE_INVALID); /* from nobody */
	convert.money_convert.provider = first;
	assert_int_equal(
		give(convert), ERR_MONEY_OVERFLOW); /* rounded down it can be counted: 2^63 − 1; not rounded up */
}

/* What a snapshot says is more than can be counted; and what it says that nobody paid is no ledger (P3). */
static void what_cannot_be_counted(void **state)
{
	(void)state;
	const uint64_t money = ledger_money_asset(eur);
	const struct id outside = {{0}};
	assert_int_equal(entry(outside, KG_HELD, money, -INT64_MAX), ERR_OK);
	assert_int_equal(entry(first, KG_HELD, money, INT64_MAX), ERR_OK);
	assert_int_equal(ledger_check(ledger, &info), ERR_OK);
	assert_int_equal(entry(second, KG_HELD, money, 5), ERR_JOURNAL_INVALID);
	assert_int_equal(entry(first, KG_RESERVED, money, 5), ERR_OK);
	uint32_t account = ledger_account(ledger, first, money);
	assert_int_equal(ledger_pay_within(ledger, NULL, account, 5, KG_RESERVED, KG_HELD), ERR_OVERFLOW);
	assert_int_equal(
		ledger_pay(ledger, NULL, money, 5, place(first, KG_RESERVED), place(first, KG_HELD)), ERR_OVERFLOW);
	assert_int_equal(entry(first, KG_HELD, ledger_money_asset(usd), 5), ERR_OK);
	assert_int_equal(ledger_check(ledger, &info), ERR_JOURNAL_INVALID); /* of two that do not balance, the first */
	assert_non_null(strstr(info.detail, "does not balance"));
	assert_int_equal(entry(first, KG_HELD, 1, INT64_MAX), ERR_OK);
	assert_int_equal(entry(first, KG_HELD, 2, 1), ERR_JOURNAL_INVALID);
}

/* Serials of a record that come to nothing, and picks of nothing or of nobody. */
static void nothing_is_no_record(void **state)
{
	(void)state;
	const struct record_lists none = {0};
	struct serial_range ranges[2];
	size_t count;
	assert_int_equal(ledger_reserve(ledger), ERR_OK);
	assert_int_equal(ledger_issue(ledger, NULL, 1, first, KG_HELD, 10), ERR_OK);
	uint32_t account = ledger_account(ledger, first, 1);
	assert_int_equal(ledger_move_all(ledger, NULL, &none, 0, place(first, KG_HELD), place(second, KG_HELD), &info),
		ERR_JOURNAL_INVALID);
	assert_int_equal(
		ledger_move_within(ledger, NULL, account, &none, 0, KG_HELD, KG_LISTED, &info), ERR_JOURNAL_INVALID);
	assert_int_equal(ledger_pick(ledger, 1, place(first, KG_HELD), 0, ranges, 2, &count), ERR_INSUFFICIENT_KG);
	assert_int_equal(
		ledger_pick(ledger, 1, place((struct id){{0}}, KG_HELD), 1, ranges, 2, &count), ERR_INSUFFICIENT_KG);
	assert_int_equal(ledger_check(ledger, &info), ERR_OK);
}

/* So many pending transfers end at a tick, the rest with the next; their serials make room for others. */
static void pending_transfers_that_are_many(void **state)
{
	(void)state;
	const int64_t due_us = 1001 * CLOCK_US_PER_DAY;
	struct command tick = {.kind = COMMAND_TICK};
	struct decision call = {.command = &tick, .now_us = due_us, .emit = emit};
	deposit(first, eur, 2000);
	for (int i = 0; i < 1025; i++) {
		struct event event = {.money_reserved = {.transfer = {{(uint8_t)i, (uint8_t)(i >> 8), 1}},
					      .from = first,
					      .to = second,
					      .currency = eur,
					      .amount_micros = 1,
					      .expires_us = due_us}};
		assert_int_equal(make(EVENT_MONEY_RESERVED, event), ERR_OK);
	}
	assert_int_equal(ledger_tick(ledger, &call, due_us, &info), ERR_OK);
	assert_int_equal(ledger_amount(ledger, ledger_money_asset(eur), place(first, KG_RESERVED)), 1);
	assert_int_equal(ledger_tick(ledger, &call, due_us, &info), ERR_OK);
	assert_int_equal(ledger_amount(ledger, ledger_money_asset(eur), place(first, KG_RESERVED)), 0);
	struct serial_range ranges[EVENTS_RANGES_MAX];
	for (int i = 0; i < EVENTS_RANGES_MAX; i++)
		ranges[i] = (struct serial_range){1, 2 * i, 1};
	assert_int_equal(ledger_issue(ledger, NULL, 1, first, KG_HELD, 1000), ERR_OK);
	for (uint8_t i = 1; i < 4; i++) {
		struct event event = {.kg_reserved = {.transfer = {{i}}, .from = first, .to = second, .kg = 256},
			.lists = {.ranges = ranges, .range_count = EVENTS_RANGES_MAX}};
		assert_int_equal(make(EVENT_KG_RESERVED, event), ERR_OK);
		event.kg_voided = (struct event_kg_voided){.transfer = {{i}}, .kg = 256};
		assert_int_equal(make(EVENT_KG_VOIDED, event), ERR_OK);
	}
	assert_int_equal(ledger_amount(ledger, 1, place(first, KG_HELD)), 1000);
	assert_int_equal(ledger_check(ledger, &info), ERR_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {TEST(types), TEST(pending_transfers_of_a_snapshot),
		TEST(two_that_reserved_the_same), TEST(limits_of_a_snapshot), TEST(a_limit_that_ended),
		TEST(a_snapshot_is_in_order), TEST(offers_that_cannot_be), TEST(what_cannot_be_counted),
		TEST(nothing_is_no_record), TEST(pending_transfers_that_are_many)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
