/* What docs/SHARDS.md says, row by row: transfers between the home shard and a market shard (decision 19), what a market shard knows,
 * who may do what, and what the shards together hold (P1, P2, P3). */
#include "shards.h"

static void a_shard_is_opened_once(void **state)
{
	(void)state;
	static struct pair pair;
	pair_start(&pair, 31);
	struct command command = world_command(market_of(&pair), COMMAND_SHARD_OUT, 0);
	pair_refused(&pair, SHARD, &command, ERR_SHARD_UNKNOWN); /* before it is open */
	command = opening(&pair, SHARD, CREDIT_REMOVAL, "EUR");
	pair_refused(&pair, SHARD, &command, ERR_FORBIDDEN); /* but by the carrier */
	command = opening(&pair, 2, CREDIT_REMOVAL, "EUR");
	pair_refused(&pair, 0, &command, ERR_SHARD_OTHER); /* not the next */
	command = opening(&pair, SHARD, CREDIT_KIND_COUNT, "EUR");
	pair_refused(&pair, 0, &command, ERR_INVALID_FIELD);
	command = opening(&pair, SHARD, CREDIT_REMOVAL, "eur");
	pair_refused(&pair, 0, &command, ERR_CURRENCY_INVALID);
	command = money_out(&pair, 0, 0, UNIT);
	pair_refused(&pair, 0, &command, ERR_SHARD_UNKNOWN);
	pair_house(&pair);
	struct command market = world_command(home_of(&pair), COMMAND_MARKET_OPEN, -1);
	market.market_open = (struct command_market_open){
		.currency = code_of("USD"), .tick_micros = UNIT, .lot_kg = 1000, .kind = CREDIT_REMOVAL};
	pair_must(&pair, 0, &market);
	command = opening(&pair, SHARD, CREDIT_REMOVAL, "USD"); /* whose market is open at home */
	pair_refused(&pair, 0, &command, ERR_DUPLICATE);
	command = opening(&pair, SHARD, CREDIT_REMOVAL, "EUR");
	pair_must(&pair, 0, &command);
	assert_int_equal(home_of(&pair)->result.number, SHARD);
	command = opening(&pair, 2, CREDIT_REMOVAL, "EUR");
	pair_refused(&pair, 0, &command, ERR_DUPLICATE);
	carry(&pair);
	market.market_open.currency = pair.currency;
	pair_refused(&pair, 0, &market, ERR_SHARD_OTHER);
	market.market_open.kind = CREDIT_REDUCTION;
	pair_refused(&pair, SHARD, &market, ERR_SHARD_OTHER);
	pair_must(&pair, 0, &market); /* nobody else's */
	market.market_open.kind = CREDIT_REMOVAL;
	pair_must(&pair, SHARD, &market); /* the house is known there */
	assert_true(id_equal(ledger_house(rules_ledger(market_of(&pair)->rules)), pair.house));
	pair_stop(&pair);
}

static void money_goes_and_comes_back(void **state)
{
	(void)state;
	static struct pair pair;
	static struct event_scratch scratch;
	pair_start(&pair, 32);
	pair_open(&pair);
	struct id org = home_of(&pair)->orgs[1], away = market_account(MARKET_ACCOUNT_SHARD, SHARD);
	struct command command = money_out(&pair, 0, 1, 70000 * UNIT), sent = command;
	pair_must(&pair, 0, &command);
	sent.id = command.id;
	assert_int_equal(money_at(&pair, 0, org, KG_HELD), 30000 * UNIT);
	assert_int_equal(money_at(&pair, 0, away, KG_TRANSIT), 70000 * UNIT);
	assert_int_equal(under_way(&pair).micros, 70000 * UNIT);
	assert_int_equal(world_execute(home_of(&pair), &sent), ERR_OK); /* asked again */
	assert_true(home_of(&pair)->result.repeated);
	size_t again = pair.cursor[0];
	carry(&pair);
	assert_int_equal(money_at(&pair, SHARD, org, KG_HELD), 70000 * UNIT);

	/* carried again: a repeat, which changes nothing */
	assert_true(carried_next(&pair, 0, &again, &scratch, &command));
	pair_must(&pair, SHARD, &command);
	assert_true(market_of(&pair)->result.repeated);
	assert_int_equal(money_at(&pair, SHARD, org, KG_HELD), 70000 * UNIT);
	/* the same key for something else, the same transfer under another key, and not by the carrier */
	struct command forged = command;
	forged.shard_in.amount_micros++;
	pair_refused(&pair, SHARD, &forged, ERR_COMMAND_REUSED);
	forged = command;
	forged.natural_key = world_hash(market_of(&pair));
	pair_refused(&pair, SHARD, &forged, ERR_INVALID_FIELD);
	forged = command;
	forged.source = COMMAND_SOURCE_CLIENT;
	forged.actor = market_of(&pair)->actors[1];
	pair_refused(&pair, SHARD, &forged, ERR_FORBIDDEN);

	command = money_out(&pair, SHARD, 1, 70001 * UNIT);
	pair_refused(&pair, SHARD, &command, ERR_INSUFFICIENT_FUNDS);
	command = money_out(&pair, SHARD, 1, 20000 * UNIT);
	command.shard_out.shard = 2; /* by way of home alone */
	pair_refused(&pair, SHARD, &command, ERR_SHARD_UNKNOWN);
	command.shard_out.shard = 0;
	pair_must(&pair, SHARD, &command);
	assert_int_equal(under_way(&pair).micros, 20000 * UNIT);
	again = pair.cursor[SHARD];
	carry(&pair);
	assert_int_equal(money_at(&pair, 0, org, KG_HELD), 50000 * UNIT);
	assert_int_equal(money_at(&pair, 0, away, KG_TRANSIT), 50000 * UNIT);
	assert_int_equal(money_at(&pair, SHARD, org, KG_HELD), 50000 * UNIT);

	/* more than was sent does not come back */
	assert_true(carried_next(&pair, SHARD, &again, &scratch, &command));
	struct event made = {.header = {.type = EVENT_SHARD_SENT, .number = 99},
		.shard_sent = {.transfer = world_id(home_of(&pair)),
			.org = org,
			.from_shard = SHARD,
			.currency = pair.currency,
			.amount_micros = 50000 * UNIT + 1}};
	assert_true(rules_carried(SHARD, &made, 0, &forged));
	pair_refused(&pair, 0, &forged, ERR_SHARD_UNBALANCED);
	assert_false(rules_carried(SHARD, &made, 2, &forged));
	made.shard_sent.from_shard = 2;
	assert_true(rules_carried(2, &made, 0, &forged));
	pair_refused(&pair, 0, &forged, ERR_SHARD_UNKNOWN);
	pair_stop(&pair);
}

static void money_that_may_not_go(void **state)
{
	(void)state;
	static struct pair pair;
	pair_start(&pair, 33);
	pair_open(&pair);
	struct command command = money_out(&pair, 0, 1, 100000 * UNIT + 1);
	pair_refused(&pair, 0, &command, ERR_INSUFFICIENT_FUNDS);
	command = money_out(&pair, 0, 1, 0);
	pair_refused(&pair, 0, &command, ERR_AMOUNT_INVALID);
	command = money_out(&pair, 0, 1, UNIT);
	command.shard_out.currency = code_of("USD");
	pair_refused(&pair, 0, &command, ERR_SHARD_MARKET);
	command.shard_out.currency = code_of("usd");
	pair_refused(&pair, 0, &command, ERR_CURRENCY_INVALID);
	command = money_out(&pair, 0, 1, UNIT);
	command.shard_out.kg = 1;
	pair_refused(&pair, 0, &command, ERR_INVALID_FIELD);
	command = money_out(&pair, 0, 1, UNIT);
	command.shard_out.shard = 0;
	pair_refused(&pair, 0, &command, ERR_SHARD_UNKNOWN);
	command = money_out(&pair, 0, 1, UNIT);
	command.org = (struct id){{0}};
	pair_refused(&pair, 0, &command, ERR_FORBIDDEN);
	command = world_command(home_of(&pair), COMMAND_ACCOUNT_LIMIT, 1);
	command.account_limit = (struct command_account_limit){.org = home_of(&pair)->orgs[1],
		.currency = pair.currency,
		.lowest_micros = 40000 * UNIT,
		.reserved_micros = -1,
		.daily_micros = 1};
	pair_must(&pair, 0, &command);
	command = money_out(&pair, 0, 1, 60000 * UNIT + 1);
	pair_refused(&pair, 0, &command, ERR_LIMIT_LOWEST);
	command = money_out(&pair, 0, 1, 60000 * UNIT); /* the limit of a day does not count it */
	pair_must(&pair, 0, &command);
	command = world_command(home_of(&pair), COMMAND_ACCOUNT_HOLD, -1);
	command.account_hold = (struct command_account_hold){
		.org = home_of(&pair)->orgs[2], .reason_hash = world_hash(home_of(&pair))};
	pair_must(&pair, 0, &command);
	command = money_out(&pair, 0, 2, UNIT);
	pair_refused(&pair, 0, &command, ERR_ACCOUNT_HELD);
	/* what was sent arrives, though the account is held by then; and comes home */
	command = world_command(home_of(&pair), COMMAND_ACCOUNT_HOLD, -1);
	command.account_hold = (struct command_account_hold){
		.org = home_of(&pair)->orgs[1], .reason_hash = world_hash(home_of(&pair))};
	pair_must(&pair, 0, &command);
	carry(&pair);
	command = pair_order(&pair, 1, ORDER_BUY, 100 * UNIT, 1000);
	pair_refused(&pair, SHARD, &command, ERR_ACCOUNT_HELD);
	command = money_out(&pair, SHARD, 1, 60000 * UNIT);
	pair_must(&pair, SHARD, &command);
	carry(&pair);
	assert_int_equal(money_at(&pair, 0, home_of(&pair)->orgs[1], KG_HELD), 100000 * UNIT);
	/* who has sent something stays, also in a snapshot */
	pair_round_trip(&pair);
	command = world_command(home_of(&pair), COMMAND_ACCOUNT_CLOSE, -1);
	command.account_close = (struct command_account_close){
		.org = home_of(&pair)->orgs[1], .reason_hash = world_hash(home_of(&pair))};
	pair_refused(&pair, 0, &command, ERR_ACCOUNT_NOT_EMPTY);
	assert_non_null(strstr(home_of(&pair)->info.detail, "market shard"));
	pair_stop(&pair);
}

static void kilograms_are_traded_there_and_retired_here(void **state)
{
	(void)state;
	static struct pair pair;
	pair_start(&pair, 34);
	pair_open(&pair);
	struct serial_range chosen[] = {{pair.removal, 500000, 2000}, {pair.removal, 200000, 3000}};
	struct command command = kg_out(&pair, 0, 0, pair.removal, 10000);
	pair_must(&pair, 0, &command); /* serials 100,000 … 109,999: the lowest that it holds */
	command = kg_out(&pair, 0, 0, 0, 0);
	command.lists = (struct record_lists){.ranges = chosen, .range_count = 2};
	pair_must(&pair, 0, &command);
	assert_int_equal(under_way(&pair).kg, 15000);
	command = money_out(&pair, 0, 1, 50000 * UNIT);
	pair_must(&pair, 0, &command);
	carry(&pair);
	assert_int_equal(kg_at(&pair, SHARD, 0, KG_HELD), 15000);
	assert_int_equal(rules_state_kg(home_of(&pair)->rules, KG_TRANSIT), 15000);
	struct ledger_place held = {.org = home_of(&pair)->orgs[0], .state = KG_HELD};
	assert_true(ledger_holds(rules_ledger(market_of(&pair)->rules), &chosen[0], held));
	pair_round_trip(&pair);

	command = pair_order(&pair, 0, ORDER_SELL, 100 * UNIT, 12000);
	pair_must(&pair, SHARD, &command);
	command = pair_order(&pair, 1, ORDER_BUY, 100 * UNIT, 8000);
	pair_must(&pair, SHARD, &command);
	assert_int_equal(kg_at(&pair, SHARD, 1, KG_HELD), 8000);
	assert_int_equal(kg_at(&pair, SHARD, 0, KG_LISTED), 4000);
	assert_int_equal(money_at(&pair, SHARD, home_of(&pair)->orgs[0], KG_HELD), 800 * UNIT);
	assert_int_equal(money_at(&pair, SHARD, pair.house, KG_HELD), 4 * UNIT);

	/* whose verifiers attested a batch is known there, too */
	for (int verifier = 4; verifier >= 3; verifier--) {
		command = world_command(market_of(&pair), COMMAND_INSTRUMENT_LIST, -1);
		command.instrument_list.market = 1;
		assert_true(code32_set(&command.instrument_list.code, verifier == 3 ? "ATTESTED" : "OTHERS"));
		command.lists =
			(struct record_lists){.verifiers = &home_of(&pair)->orgs[verifier], .verifier_count = 1};
		pair_must(&pair, SHARD, &command);
		command = pair_order(&pair, 1, ORDER_BUY, 100 * UNIT, 1000);
		command.order_place.instrument = market_of(&pair)->result.number;
		pair_must(&pair, SHARD, &command);
		assert_int_equal(kg_at(&pair, SHARD, 1, KG_HELD), verifier == 3 ? 9000 : 8000);
	}

	command = kg_out(&pair, SHARD, 0, pair.removal, 3001); /* what is listed is not held */
	pair_refused(&pair, SHARD, &command, ERR_INSUFFICIENT_KG);
	command = kg_out(&pair, SHARD, 1, pair.removal, 8000);
	pair_must(&pair, SHARD, &command);
	command = money_out(&pair, SHARD, 0, 800 * UNIT);
	pair_must(&pair, SHARD, &command);
	carry(&pair);
	assert_int_equal(kg_at(&pair, 0, 1, KG_HELD), 8000);
	assert_int_equal(rules_state_kg(home_of(&pair)->rules, KG_TRANSIT), 7000);
	home_of(&pair)->now_us = market_of(&pair)->now_us;
	assert_int_equal(world_retire(home_of(&pair), 1, pair.removal, 8000), ERR_OK);
	assert_int_equal(world_retire(home_of(&pair), 1, pair.removal, 1), ERR_INSUFFICIENT_KG);
	(void)under_way(&pair);
	pair_stop(&pair);
}

static void kilograms_that_may_not_go(void **state)
{
	(void)state;
	static struct pair pair;
	pair_start(&pair, 35);
	pair_open(&pair);
	struct serial_range mixed[] = {{pair.removal, 500000, 10}, {pair.reduction, 0, 10}};
	struct serial_range others[] = {{pair.removal, 0, 10}},
			    twice[] = {{pair.removal, 500000, 10}, {pair.removal, 500005, 10}};
	struct command command = kg_out(&pair, 0, 0, pair.reduction, 10);
	pair_refused(&pair, 0, &command, ERR_SHARD_MARKET);
	command = kg_out(&pair, 0, 0, 99, 10);
	pair_refused(&pair, 0, &command, ERR_INSUFFICIENT_KG);
	command = kg_out(&pair, 0, 0, pair.removal, 880001);
	pair_refused(&pair, 0, &command, ERR_INSUFFICIENT_KG);
	command = kg_out(&pair, 0, 0, pair.removal, 0);
	pair_refused(&pair, 0, &command, ERR_INVALID_FIELD);
	command.lists = (struct record_lists){.ranges = mixed, .range_count = 1};
	pair_refused(&pair, 0, &command, ERR_INVALID_FIELD);
	command = kg_out(&pair, 0, 0, 0, 0);
	command.lists = (struct record_lists){.ranges = mixed, .range_count = 2};
	pair_refused(&pair, 0, &command, ERR_INVALID_FIELD);
	command.lists = (struct record_lists){.ranges = others, .range_count = 1};
	pair_refused(&pair, 0, &command, ERR_INSUFFICIENT_KG);
	command.lists = (struct record_lists){.ranges = twice, .range_count = 2};
	pair_refused(&pair, 0, &command, ERR_INSUFFICIENT_KG);
	static const struct serial_range many[EVENTS_RANGES_MAX + 1];
	command.lists = (struct record_lists){.ranges = many, .range_count = EVENTS_RANGES_MAX + 1};
	pair_refused(&pair, 0, &command, ERR_COMMAND_TOO_LARGE);
	command = world_command(home_of(&pair), COMMAND_BATCH_HOLD, -1);
	command.batch_hold =
		(struct command_batch_hold){.batch = pair.removal, .reason_hash = world_hash(home_of(&pair))};
	pair_must(&pair, 0, &command);
	command = kg_out(&pair, 0, 2, pair.removal, 10);
	pair_refused(&pair, 0, &command, ERR_BATCH_HELD);
	/* serials that were never sent do not come back */
	struct event made = {.header = {.type = EVENT_SHARD_SENT, .number = 99},
		.shard_sent = {.transfer = world_id(home_of(&pair)),
			.org = home_of(&pair)->orgs[2],
			.from_shard = SHARD,
			.batch = pair.removal,
			.kg = 10},
		.lists = {.ranges = others, .range_count = 1}};
	struct command forged;
	assert_true(rules_carried(SHARD, &made, 0, &forged));
	pair_refused(&pair, 0, &forged, ERR_SHARD_UNBALANCED);
	pair_stop(&pair);
}

static void hold(struct pair *pair, bool on)
{
	struct world *home = home_of(pair);
	struct command command = world_command(home, on ? COMMAND_BATCH_HOLD : COMMAND_BATCH_RELEASE, -1);
	if (on)
		command.batch_hold =
			(struct command_batch_hold){.batch = pair->removal, .reason_hash = world_hash(home)};
	else
		command.batch_release =
			(struct command_batch_release){.batch = pair->removal, .reason_hash = world_hash(home)};
	pair_must(pair, 0, &command);
}

/* Whether the organisation's order is taken in the market shard; it is cancelled again. */
static enum err may_sell(struct pair *pair, int org)
{
	struct command command = pair_order(pair, org, ORDER_SELL, 100 * UNIT, 1000);
	enum err err = pair_give(pair, SHARD, &command);
	if (err)
		return err;
	struct id order = command.id;
	command = world_command(market_of(pair), COMMAND_ORDER_CANCEL, org);
	command.order_cancel.order = order;
	pair_must(pair, SHARD, &command);
	return ERR_OK;
}

static void what_is_held_at_home_is_held_there(void **state)
{
	(void)state;
	static struct pair pair;
	static struct event_scratch scratch;
	pair_start(&pair, 36);
	pair_open(&pair);
	struct world *home = home_of(&pair);
	struct command command;
	int sellers[] = {0, 2};
	for (size_t i = 0; i < 2; i++) {
		command = kg_out(&pair, 0, sellers[i], pair.removal, 5000);
		pair_must(&pair, 0, &command);
	}
	carry(&pair);
	/* a resting order ends before the fact is known there (recalled) */
	command = pair_order(&pair, 0, ORDER_SELL, 100 * UNIT, 1000);
	pair_must(&pair, SHARD, &command);
	hold(&pair, true);
	assert_int_equal(kg_at(&pair, SHARD, 0, KG_LISTED), 1000); /* until it has learned it */
	carry(&pair);
	assert_int_equal(kg_at(&pair, SHARD, 0, KG_LISTED), 0);
	assert_int_equal(may_sell(&pair, 0), ERR_BATCH_HELD);
	command = kg_out(&pair, SHARD, 0, pair.removal, 1000); /* it may come home, where it is held */
	pair_must(&pair, SHARD, &command);
	hold(&pair, false);
	carry(&pair);
	assert_int_equal(may_sell(&pair, 0), ERR_OK);

	/* of two facts the newer counts, in whatever order they come */
	struct command facts[2];
	hold(&pair, true);
	hold(&pair, false);
	size_t cursor = pair.cursor[0];
	for (size_t i = 0; i < 2; i++)
		assert_true(carried_next(&pair, 0, &cursor, &scratch, &facts[i]));
	pair_must(&pair, SHARD, &facts[1]);
	pair_must(&pair, SHARD, &facts[0]);
	assert_int_equal(may_sell(&pair, 0), ERR_OK);
	carry(&pair);

	/* a dispute, and a reversal, which holds what the operator has not sold */
	command = world_command(home, COMMAND_DISPUTE_OPEN, 4);
	command.dispute_open = (struct command_dispute_open){.batch = pair.removal, .reason_hash = world_hash(home)};
	pair_must(&pair, 0, &command);
	struct id dispute = command.id;
	carry(&pair);
	assert_int_equal(may_sell(&pair, 2), ERR_BATCH_HELD);
	command = world_command(home, COMMAND_DISPUTE_DECIDE, -1);
	command.dispute_decide = (struct command_dispute_decide){.dispute = dispute, .reason_hash = world_hash(home)};
	pair_must(&pair, 0, &command);
	command = world_command(home, COMMAND_BATCH_REVERSE, -1);
	command.batch_reverse =
		(struct command_batch_reverse){.batch = pair.removal, .kg = 10, .reason_hash = world_hash(home)};
	pair_must(&pair, 0, &command);
	carry(&pair);
	assert_int_equal(may_sell(&pair, 0), ERR_BATCH_HELD); /* its operator */
	assert_int_equal(may_sell(&pair, 2), ERR_OK);
	pair_stop(&pair);
}

static void an_account_that_is_held_at_home_is_held_there(void **state)
{
	(void)state;
	static struct pair pair;
	pair_start(&pair, 37);
	pair_open(&pair);
	struct world *home = home_of(&pair);
	struct command command = kg_out(&pair, 0, 2, pair.removal, 5000);
	pair_must(&pair, 0, &command);
	carry(&pair);
	command = pair_order(&pair, 2, ORDER_SELL, 100 * UNIT, 1000);
	pair_must(&pair, SHARD, &command);
	command = world_command(home, COMMAND_ACCOUNT_HOLD, -1);
	command.account_hold = (struct command_account_hold){
		.org = home->orgs[2], .until_us = home->now_us + CLOCK_US_PER_HOUR, .reason_hash = world_hash(home)};
	pair_must(&pair, 0, &command);
	carry(&pair);
	assert_int_equal(kg_at(&pair, SHARD, 2, KG_LISTED), 0);
	assert_int_equal(may_sell(&pair, 2), ERR_ACCOUNT_HELD);
	home->now_us += CLOCK_US_PER_DAY; /* it falls due at home, and is told */
	command = (struct command){.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
	command.tick.due_us = home->now_us;
	pair_must(&pair, 0, &command);
	carry(&pair);
	assert_int_equal(may_sell(&pair, 2), ERR_OK);
	/* facts come from the carrier alone, of one subject, under their own key, to a market shard */
	struct event made = {.header = {.type = EVENT_SHARD_TOLD, .number = 100000},
		.shard_told = {.subject = SHARD_SUBJECT_ACCOUNT, .org = home->orgs[2], .holds = 1}};
	assert_false(rules_carried(SHARD, &made, 0, &command));
	assert_true(rules_carried(0, &made, SHARD, &command));
	pair_refused(&pair, 0, &command, ERR_SHARD_OTHER);
	struct command forged = command;
	forged.shard_learn.batch = 1;
	pair_refused(&pair, SHARD, &forged, ERR_INVALID_FIELD);
	forged = command;
	forged.natural_key.bytes[0] ^= 1;
	pair_refused(&pair, SHARD, &forged, ERR_INVALID_FIELD);
	forged = command;
	forged.source = COMMAND_SOURCE_CLIENT;
	forged.actor = home->actors[0];
	pair_refused(&pair, SHARD, &forged, ERR_FORBIDDEN);
	pair_stop(&pair);
}

/* One of each room, though all would be decided at home. */
static void the_registrys_work_is_done_at_home(void **state)
{
	(void)state;
	static struct pair pair;
	static const enum command_kind kinds[] = {COMMAND_PERIOD_SUBMIT, COMMAND_PERIOD_ISSUE, COMMAND_TRANSFER,
		COMMAND_RETIRE, COMMAND_CANCEL, COMMAND_BATCH_HOLD, COMMAND_ACCOUNT_HOLD, COMMAND_DISPUTE_OPEN,
		COMMAND_BATCH_IMPORT, COMMAND_HOUSE_NAME, COMMAND_MONEY_DEPOSIT, COMMAND_MONEY_WITHDRAW,
		COMMAND_MONEY_TRANSFER, COMMAND_TRANSFER_SET, COMMAND_MONEY_CONVERT, COMMAND_ACCOUNT_CLOSE,
		COMMAND_ESCROW_OPEN, COMMAND_OFFTAKE_OFFER};
	pair_start(&pair, 38);
	pair_open(&pair);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct command command = world_command(market_of(&pair), kinds[i], 0);
		pair_refused(&pair, SHARD, &command, ERR_SHARD_OTHER);
	}
	/* a purchase is the market's, but for what it retires */
	struct retirement_line line = {.kg = 1, .beneficiary_hash = {{1}}, .country = {"DE"}, .covered_to_us = 1};
	struct command purchase = world_command(market_of(&pair), COMMAND_PURCHASE, 0);
	purchase.purchase = (struct command_purchase){.instrument = 9, .maximum_micros = UNIT};
	pair_refused(&pair, SHARD, &purchase, ERR_NOT_FOUND);
	purchase.lists = (struct record_lists){.lines = &line, .line_count = 1};
	pair_refused(&pair, SHARD, &purchase, ERR_SHARD_OTHER);
	/* nor is an event of theirs in its journal */
	struct event event = {.header = {.type = EVENT_MONEY_DEPOSITED,
				      .number = rules_position(market_of(&pair)->replica) + 1,
				      .time_us = market_of(&pair)->now_us},
		.money_deposited = {.to = pair.house, .currency = pair.currency, .amount_micros = 1}};
	struct err_info info;
	assert_int_equal(rules_apply(market_of(&pair)->replica, &event, &info), ERR_JOURNAL_INVALID);
	struct command command = world_command(market_of(&pair), COMMAND_ACCOUNT_LIMIT, 0);
	command.account_limit = (struct command_account_limit){.org = market_of(&pair)->orgs[0],
		.currency = pair.currency,
		.reserved_micros = UNIT,
		.daily_micros = -1};
	pair_must(&pair, SHARD, &command); /* of its account there */
	pair_stop(&pair);
}

/* What was not sent shows, though each shard by itself is sound. */
static void what_was_not_sent_shows(void **state)
{
	(void)state;
	static struct pair pair;
	struct rules_under_way is;
	struct err_info info;
	pair_start(&pair, 39);
	pair_open(&pair);
	struct serial_range range = {pair.removal, 300000, 10};
	struct event made = {.header = {.type = EVENT_SHARD_SENT, .number = 50},
		.shard_sent = {.transfer = world_id(home_of(&pair)),
			.org = home_of(&pair)->orgs[0],
			.to_shard = SHARD,
			.batch = pair.removal,
			.kg = 10},
		.lists = {.ranges = &range, .range_count = 1}};
	struct command command;
	assert_int_equal(rules_shards_check(home_of(&pair)->rules, market_of(&pair)->rules, &is, &info), ERR_OK);
	assert_true(rules_carried(0, &made, SHARD, &command));
	assert_int_equal(world_execute(market_of(&pair), &command), ERR_OK);
	assert_int_equal(rules_check(market_of(&pair)->rules, &info), ERR_OK);
	assert_int_equal(
		rules_shards_check(home_of(&pair)->rules, market_of(&pair)->rules, &is, &info), ERR_JOURNAL_INVALID);
	assert_non_null(strstr(info.detail, "what was not sent"));
	/* the same serials a second time, to another: this shard sees it */
	made.shard_sent.org = home_of(&pair)->orgs[0];
	made.shard_sent.transfer = world_id(home_of(&pair));
	assert_true(rules_carried(0, &made, SHARD, &command));
	assert_int_equal(world_execute(market_of(&pair), &command), ERR_SHARD_UNBALANCED);
	made.shard_sent.org = home_of(&pair)->orgs[1];
	assert_true(rules_carried(0, &made, SHARD, &command));
	assert_int_equal(world_execute(market_of(&pair), &command), ERR_OK);
	assert_int_equal(rules_check(market_of(&pair)->rules, &info), ERR_JOURNAL_INVALID); /* P1 */
	for (int i = 0; i < SHARDS; i++) {
		world_stop(&pair.worlds[i]);
		free(pair.journal[i]);
	}
}

static void money_that_was_not_sent_shows(void **state)
{
	(void)state;
	static struct pair pair;
	struct rules_under_way is;
	struct err_info info;
	pair_start(&pair, 40);
	pair_open(&pair);
	struct event made = {.header = {.type = EVENT_SHARD_SENT, .number = 50},
		.shard_sent = {.transfer = world_id(home_of(&pair)),
			.org = home_of(&pair)->orgs[0],
			.to_shard = SHARD,
			.currency = pair.currency,
			.amount_micros = 1}};
	struct command command;
	assert_true(rules_carried(0, &made, SHARD, &command));
	assert_int_equal(world_execute(market_of(&pair), &command), ERR_OK);
	assert_int_equal(rules_check(market_of(&pair)->rules, &info), ERR_OK);
	assert_int_equal(
		rules_shards_check(home_of(&pair)->rules, market_of(&pair)->rules, &is, &info), ERR_JOURNAL_INVALID);
	for (int i = 0; i < SHARDS; i++) {
		world_stop(&pair.worlds[i]);
		free(pair.journal[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_shard_is_opened_once),
		cmocka_unit_test(money_goes_and_comes_back), cmocka_unit_test(money_that_may_not_go),
		cmocka_unit_test(kilograms_are_traded_there_and_retired_here),
		cmocka_unit_test(kilograms_that_may_not_go), cmocka_unit_test(what_is_held_at_home_is_held_there),
		cmocka_unit_test(an_account_that_is_held_at_home_is_held_there),
		cmocka_unit_test(the_registrys_work_is_done_at_home), cmocka_unit_test(what_was_not_sent_shows),
		cmocka_unit_test(money_that_was_not_sent_shows)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
