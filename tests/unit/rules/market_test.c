/* Orders, from the text of decisions 18 to 22 and docs/MARKET.md: what trades with what, at which price, and where kilograms and
 * money are afterwards. The real machine (rules_execute); a replica replays each event, and both states must be one (P8). After every
 * command P1, P2 and P3 hold, and each is tried with a fault at each of its events first, which must leave nothing behind. */
#include "trading.h"

/* ---- settlement ---- */

static void a_trade_moves_kilograms_money_and_fees_in_one_entry(void **state)
{
	(void)state;
	int64_t seller = money_of(at.world.orgs[SELLER], KG_HELD), buyer = money_of(at.world.orgs[BUYER], KG_HELD);
	int64_t had = kg_of(BUYER, KG_HELD);
	place(SELLER, ORDER_SELL, PRICE, 5000);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 5000);
	place(BUYER, ORDER_BUY, PRICE + 3 * TICK, 3000); /* trades at the maker's price */
	int64_t amount = PRICE * 3;
	assert_int_equal(kg_of(BUYER, KG_HELD), had + 3000);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 2000);
	assert_int_equal(money_of(at.world.orgs[SELLER], KG_HELD), seller + amount - amount * MAKER / 1000000);
	assert_int_equal(money_of(at.world.orgs[BUYER], KG_HELD), buyer - amount - amount * TAKER / 1000000);
	assert_int_equal(money_of(at.world.orgs[BUYER], KG_RESERVED), 0); /* nothing is left behind */
	assert_int_equal(money_of(at.house, KG_HELD), amount * (MAKER + TAKER) / 1000000);
}

static void fees_are_rounded_up_and_rebates_down(void **state)
{
	(void)state;
	assert_int_equal(market_fee(1, 1), 1);
	assert_int_equal(market_fee(1000001, 1000), 1001);
	assert_int_equal(market_fee(1000001, -1000), -1000);
	assert_int_equal(market_fee(999, -1000), 0);
	assert_int_equal(market_amount(1000, 1000), 1000);
}

static void price_then_time_decides(void **state)
{
	(void)state;
	place(SELLER, ORDER_SELL, PRICE, 1000);
	place(OTHER, ORDER_SELL, PRICE, 1000);
	place(OTHER, ORDER_SELL, PRICE - TICK, 1000);
	int64_t seller = kg_of(SELLER, KG_LISTED), other = kg_of(OTHER, KG_LISTED);
	place(BUYER, ORDER_BUY, PRICE, 2000);
	assert_int_equal(kg_of(OTHER, KG_LISTED), other - 1000);   /* the better price */
	assert_int_equal(kg_of(SELLER, KG_LISTED), seller - 1000); /* then the older of two */
}

static void what_cannot_be_paid_or_delivered_is_refused(void **state)
{
	(void)state;
	struct command command = order(BUYER, ORDER_BUY, PRICE, 1000000);
	assert_int_equal(give(&command), ERR_INSUFFICIENT_FUNDS);
	command = order(BUYER, ORDER_SELL, PRICE, 200000);
	assert_int_equal(give(&command), ERR_INSUFFICIENT_KG);
	command = order(BUYER, ORDER_BUY, PRICE + 1, 1000);
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = order(BUYER, ORDER_BUY, PRICE, 1500);
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	assert_int_equal(open_orders(), 0);
}

/* docs/LEDGER.md: what is reserved for an order is within the account's limits, also where the order is raised. */
static void an_accounts_limits_bind_its_orders(void **state)
{
	(void)state;
	int64_t held = money_of(at.world.orgs[BUYER], KG_HELD);
	struct command limit = world_command(&at.world, COMMAND_ACCOUNT_LIMIT, -1), command;
	limit.account_limit = (struct command_account_limit){
		.org = at.world.orgs[BUYER], .reserved_micros = 2 * PRICE, .daily_micros = 1, .by_registry = 1};
	assert_true(code8_set(&limit.account_limit.currency, "EUR"));
	must(&limit);
	command = order(BUYER, ORDER_BUY, PRICE, 2000); /* and its fee */
	assert_int_equal(give(&command), ERR_LIMIT_RESERVED);
	struct id placed = place(BUYER, ORDER_BUY, PRICE, 1000);
	command = world_command(&at.world, COMMAND_ORDER_AMEND, BUYER);
	command.order_amend = (struct command_order_amend){.order = placed, .kg = 2000};
	assert_int_equal(give(&command), ERR_LIMIT_RESERVED);
	limit.id = world_id(&at.world);
	limit.account_limit.reserved_micros = limit.account_limit.daily_micros = -1;
	limit.account_limit.lowest_micros = held - 2 * PRICE;
	must(&limit);
	command = order(BUYER, ORDER_BUY, PRICE, 1000);
	assert_int_equal(give(&command), ERR_LIMIT_LOWEST);
}

/* ---- the classic mistakes ---- */

static void an_ioc_never_rests(void **state)
{
	(void)state;
	place(SELLER, ORDER_SELL, PRICE, 1000);
	struct command command = order(BUYER, ORDER_BUY, PRICE, 3000);
	command.order_place.tif = ORDER_IOC;
	must(&command);
	assert_int_equal(open_orders(), 0);
	assert_int_equal(money_of(at.world.orgs[BUYER], KG_RESERVED), 0);
}

static void a_fok_is_filled_whole_or_refused(void **state)
{
	(void)state;
	place(SELLER, ORDER_SELL, PRICE, 1000);
	place(OTHER, ORDER_SELL, PRICE + TICK, 1000);
	struct command command = order(BUYER, ORDER_BUY, PRICE, 2000);
	command.order_place.tif = ORDER_FOK;
	assert_int_equal(give(&command), ERR_NOT_FILLABLE);
	command.order_place.price_micros = PRICE + TICK;
	must(&command);
	assert_int_equal(open_orders(), 0);
}

static void an_aon_trades_whole_at_the_makers_price_and_never_blocks(void **state)
{
	(void)state;
	int64_t seller = money_of(at.world.orgs[SELLER], KG_HELD);
	struct command command = order(SELLER, ORDER_SELL, PRICE, 5000);
	command.order_place.minimum_kg = 5000;
	must(&command);
	place(OTHER, ORDER_SELL, PRICE + TICK, 3000);
	place(BUYER, ORDER_BUY, PRICE + TICK, 3000); /* passes the larger one over */
	assert_int_equal(kg_of(SELLER, KG_LISTED), 5000);
	assert_int_equal(kg_of(OTHER, KG_LISTED), 0);
	place(BUYER, ORDER_BUY, PRICE + 2 * TICK, 5000); /* takes it whole */
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0);
	assert_int_equal(money_of(at.world.orgs[SELLER], KG_HELD), seller + PRICE * 5 - PRICE * 5 * MAKER / 1000000);
}

static void a_minimum_is_of_all_that_an_order_takes_at_once(void **state)
{
	(void)state;
	place(SELLER, ORDER_SELL, PRICE, 3000);
	place(OTHER, ORDER_SELL, PRICE, 4000);
	struct command command = order(BUYER, ORDER_BUY, PRICE, 10000);
	command.order_place.minimum_kg = 8000;
	must(&command); /* 7,000 are too few: it rests and takes nothing */
	assert_int_equal(open_orders(), 3);
	command = order(BUYER, ORDER_BUY, PRICE, 10000);
	command.order_place.minimum_kg = 5000;
	int64_t had = kg_of(BUYER, KG_HELD);
	must(&command);
	assert_int_equal(kg_of(BUYER, KG_HELD), had + 7000);
}

static void a_post_only_that_would_trade_is_refused(void **state)
{
	(void)state;
	place(SELLER, ORDER_SELL, PRICE, 1000);
	struct command command = order(BUYER, ORDER_BUY, PRICE, 1000);
	command.order_place.post_only = 1;
	assert_int_equal(give(&command), ERR_WOULD_TRADE);
	command.order_place.price_micros = PRICE - TICK;
	must(&command);
	assert_int_equal(open_orders(), 2);
}

static void an_iceberg_shows_its_next_part_behind_all_others(void **state)
{
	(void)state;
	struct command command = order(SELLER, ORDER_SELL, PRICE, 3000);
	command.order_place.shown_kg = 1000;
	must(&command);
	place(OTHER, ORDER_SELL, PRICE, 1000);
	place(BUYER, ORDER_BUY, PRICE, 1000); /* the iceberg's first part */
	assert_int_equal(kg_of(SELLER, KG_LISTED), 2000);
	place(BUYER, ORDER_BUY, PRICE, 1000); /* now the other is in front */
	assert_int_equal(kg_of(OTHER, KG_LISTED), 0);
	place(BUYER, ORDER_BUY, PRICE, 2000); /* all that is hidden */
	assert_int_equal(open_orders(), 0);
}

static void a_market_order_trades_within_its_collar(void **state)
{
	(void)state;
	struct command command = order(BUYER, ORDER_BUY, 0, 3000);
	command.order_place.type = ORDER_MARKET;
	command.order_place.tif = ORDER_IOC;
	assert_int_equal(give(&command), ERR_NO_LIQUIDITY);
	place(SELLER, ORDER_SELL, PRICE, 1000);
	place(SELLER, ORDER_SELL, PRICE + 5 * TICK, 1000);
	place(SELLER, ORDER_SELL, PRICE + 6 * TICK, 1000); /* beyond 5 % */
	int64_t had = kg_of(BUYER, KG_HELD);
	must(&command);
	assert_int_equal(kg_of(BUYER, KG_HELD), had + 2000);
	assert_int_equal(open_orders(), 1);
}

/* ---- stops ---- */

static void a_stop_wakes_when_the_last_trade_reaches_it(void **state)
{
	(void)state;
	trade_at(PRICE);
	struct command command = order(SELLER, ORDER_SELL, 0, 2000);
	command.order_place.type = ORDER_STOP;
	command.order_place.stop_micros = PRICE - 5 * TICK;
	must(&command);
	place(BUYER, ORDER_BUY, PRICE - 6 * TICK, 2000);
	trade_at(PRICE - 4 * TICK);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 2000); /* not yet */
	trade_at(PRICE - 5 * TICK);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0); /* sold to the bid at −6 */
	assert_int_equal(open_orders(), 0);
}

static void a_trailing_stop_moves_more_than_once_and_never_back(void **state)
{
	(void)state;
	trade_at(PRICE);
	struct command command = order(SELLER, ORDER_SELL, 0, 1000);
	command.order_place.type = ORDER_TRAILING_STOP;
	command.order_place.trail_micros = 5 * TICK;
	must(&command);
	trade_at(PRICE + 2 * TICK);
	trade_at(PRICE + 4 * TICK); /* its stop is now at −1 */
	trade_at(PRICE + TICK);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 1000);
	place(BUYER, ORDER_BUY, PRICE - 2 * TICK, 1000);
	trade_at(PRICE - TICK);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0);
}

/* ---- self-trade ---- */

static void self_trade(enum order_stp stp, int64_t rests, int64_t comes, int64_t rests_left, int64_t comes_left)
{
	int64_t listed = kg_of(BUYER, KG_LISTED), had = kg_of(BUYER, KG_HELD);
	place(BUYER, ORDER_SELL, PRICE, rests);
	struct command command = order(BUYER, ORDER_BUY, PRICE, comes);
	command.order_place.stp = (uint32_t)stp;
	must(&command);
	follow();
	assert_int_equal(kg_of(BUYER, KG_LISTED), listed + rests_left);
	assert_int_equal(kg_of(BUYER, KG_HELD), had - rests_left); /* nothing was traded */
	assert_int_equal(open_orders(), (rests_left > 0) + (comes_left > 0));
	command = world_command(&at.world, COMMAND_ORDER_CANCEL_ALL, BUYER);
	command.order_cancel_all.org = at.world.orgs[BUYER];
	must(&command);
	assert_int_equal(open_orders(), 0);
	assert_int_equal(money_of(at.world.orgs[BUYER], KG_RESERVED), 0);
}

static void no_organisation_trades_with_itself_and_no_remainder_rests_wrongly(void **state)
{
	(void)state;
	self_trade(STP_NEWEST, 2000, 3000, 2000, 0);
	self_trade(STP_OLDEST, 2000, 3000, 0, 3000);
	self_trade(STP_BOTH, 2000, 3000, 0, 0);
	self_trade(STP_DECREMENT, 2000, 3000, 0, 1000);
	self_trade(STP_DECREMENT, 3000, 2000, 1000, 0);
}

/* ---- changing and ending ---- */

static struct command amend(int org, struct id id, int64_t price, int64_t kg)
{
	struct command command = world_command(&at.world, COMMAND_ORDER_AMEND, org);
	command.order_amend = (struct command_order_amend){.order = id, .price_micros = price, .kg = kg};
	return command;
}

static void an_order_keeps_its_place_only_where_its_quantity_falls(void **state)
{
	(void)state;
	struct id first = place(SELLER, ORDER_SELL, PRICE, 3000);
	struct id second = place(OTHER, ORDER_SELL, PRICE, 1000);
	struct command command = amend(SELLER, first, 0, 1000);
	must(&command);
	place(BUYER, ORDER_BUY, PRICE, 1000);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0); /* still in front */
	first = place(SELLER, ORDER_SELL, PRICE, 1000);
	command = amend(OTHER, second, 0, 2000);
	must(&command); /* goes behind */
	place(BUYER, ORDER_BUY, PRICE, 1000);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0);
	assert_int_equal(kg_of(OTHER, KG_LISTED), 2000);
}

static void a_move_may_trade(void **state)
{
	(void)state;
	place(SELLER, ORDER_SELL, PRICE, 1000);
	struct id bid = place(BUYER, ORDER_BUY, PRICE - 3 * TICK, 2000);
	struct command command = amend(BUYER, bid, PRICE, 0);
	must(&command);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0);
	assert_int_equal(open_orders(), 1);
	command = amend(SELLER, bid, PRICE, 1000);
	assert_int_equal(give(&command), ERR_ORDER_DONE); /* another's */
}

static void orders_end_when_their_time_is_over(void **state)
{
	(void)state;
	int64_t day_us = (at.world.now_us / CLOCK_US_PER_DAY + 1) * CLOCK_US_PER_DAY;
	struct command command = order(SELLER, ORDER_SELL, PRICE, 1000);
	command.order_place.tif = ORDER_GTD;
	command.order_place.expires_us = at.world.now_us + CLOCK_US_PER_HOUR;
	must(&command);
	int64_t gtd_us = command.order_place.expires_us;
	command = order(SELLER, ORDER_SELL, PRICE, 1000);
	command.order_place.tif = ORDER_DAY;
	must(&command);
	place(SELLER, ORDER_SELL, PRICE, 1000);
	const int64_t times_us[] = {gtd_us - 1, gtd_us, day_us - 1, day_us, day_us + CLOCK_US_PER_DAY};
	const uint32_t left[] = {3, 2, 2, 1, 1};
	for (int i = 0; i < 5; i++) {
		tick_at(times_us[i]);
		assert_int_equal(open_orders(), left[i]);
	}
}

static void what_is_held_leaves_the_market(void **state)
{
	(void)state;
	place(SELLER, ORDER_SELL, PRICE, 1000);
	place(BUYER, ORDER_BUY, PRICE - TICK, 1000);
	struct command command = world_command(&at.world, COMMAND_BATCH_HOLD, -1);
	command.batch_hold = (struct command_batch_hold){.batch = at.batch, .reason_hash = world_hash(&at.world)};
	must(&command);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0);
	assert_int_equal(open_orders(), 1);
	command = order(SELLER, ORDER_SELL, PRICE, 1000);
	assert_int_equal(give(&command), ERR_BATCH_HELD);
	command = world_command(&at.world, COMMAND_ACCOUNT_HOLD, -1);
	command.account_hold =
		(struct command_account_hold){.org = at.world.orgs[BUYER], .reason_hash = world_hash(&at.world)};
	must(&command);
	assert_int_equal(open_orders(), 0);
	assert_int_equal(money_of(at.world.orgs[BUYER], KG_RESERVED), 0);
}

static void the_kill_switch_stops_an_organisation(void **state)
{
	(void)state;
	place(SELLER, ORDER_SELL, PRICE, 1000);
	struct command command = world_command(&at.world, COMMAND_ORDER_CANCEL_ALL, -1);
	command.order_cancel_all = (struct command_order_cancel_all){.org = at.world.orgs[SELLER], .kill = 1};
	must(&command);
	assert_int_equal(open_orders(), 0);
	struct command again = order(SELLER, ORDER_SELL, PRICE, 1000);
	assert_int_equal(give(&again), ERR_TRADER_STOPPED);
	command.order_cancel_all.kill = 2;
	must(&command);
	must(&again);
}

static void a_halted_market_takes_cancellations_alone(void **state)
{
	(void)state;
	struct id id = place(SELLER, ORDER_SELL, PRICE, 1000);
	struct command command = world_command(&at.world, COMMAND_MARKET_HALT, -1);
	command.market_halt = (struct command_market_halt){.market = 1, .state = MARKET_HALTED};
	must(&command);
	struct command other = order(BUYER, ORDER_BUY, PRICE, 1000);
	assert_int_equal(give(&other), ERR_MARKET_CLOSED);
	other = world_command(&at.world, COMMAND_ORDER_CANCEL, SELLER);
	other.order_cancel.order = id;
	must(&other);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0);
}

/* ---- instruments ---- */

static void a_predicate_takes_what_it_asks_for_alone(void **state)
{
	(void)state;
	list("REMOVAL-2030", 0, 2030);
	list("BATCH", at.batch, 0);
	place(SELLER, ORDER_SELL, PRICE, 2000);
	struct command command = order(BUYER, ORDER_BUY, PRICE, 1000);
	command.order_place.instrument = 2;
	must(&command);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 2000); /* of another year */
	command.order_place.instrument = 3;
	must(&command);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 1000);
	list("BATCH", at.batch, 2026);
	assert_int_equal(give(&command), ERR_INVALID_FIELD); /* there is a newer version */
	list("OTHER-BATCH", world_issue(&at.world, OTHER, 24, 10000, NULL), 0);
	command.order_place.instrument = 5;
	must(&command);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 1000); /* of the same class, and not the batch */
}

/* A batch that these two attested; the same one twice: with another key. */
static uint64_t attested_by(int one, int other)
{
	struct claim_run run;
	struct command command = world_submission(&at.world, SELLER, at.world.next_hour[SELLER], 1, 10000, &run);
	struct id period = command.period_submit.period;
	struct hash root = command.period_submit.evidence_root;
	must(&command);
	at.world.next_hour[SELLER]++;
	command = world_attestation(&at.world, one, period, root);
	must(&command);
	if (one == other) {
		struct sign_secret secret;
		command = world_command(&at.world, COMMAND_VERIFIER_REGISTER, -1);
		command.verifier_register = (struct command_verifier_register){.verifier = world_id(&at.world),
			.org = at.world.orgs[one],
			.valid_to_us = at.world.now_us + CLOCK_US_PER_DAY};
		sign_keypair(&command.verifier_register.key, &secret);
		struct id verifier = command.verifier_register.verifier;
		must(&command);
		command = world_attestation(&at.world, one, period, root);
		command.period_attest.verifier = verifier;
		command.period_attest.signature = sign_make(&secret, REGISTRY_ATTESTATION_DOMAIN, &root, sizeof root);
		must(&command);
	} else if (other) {
		command = world_attestation(&at.world, other, period, root);
		must(&command);
	}
	command = world_command(&at.world, COMMAND_PERIOD_ISSUE, -1);
	command.period_issue.period = period;
	must(&command);
	return at.world.result.number;
}

static enum err list_verified(const char *code, const int *orgs, size_t count, uint32_t least)
{
	struct command command = world_command(&at.world, COMMAND_INSTRUMENT_LIST, -1);
	struct verifier_set set = {0};
	for (size_t i = 0; i < count; i++)
		assert_true(verifier_set_add(&set, at.world.orgs[orgs[i]]));
	command.instrument_list = (struct command_instrument_list){.market = 1, .verifiers_least = least};
	assert_true(code32_set(&command.instrument_list.code, code));
	command.lists = (struct record_lists){.verifiers = set.orgs, .verifier_count = set.count};
	return give(&command);
}

/* MARKET.md, what an instrument asks of verifiers: any of a list, a least number of organisations, both. */
static void an_instrument_asks_for_verifiers(void **state)
{
	(void)state;
	static const int three[] = {3}, four[] = {4}, both[] = {4, 3}, nobody[] = {SELLER};
	const struct {
		uint64_t batch;
		bool taken[5]; /* by the instruments below */
	} batches[] = {{attested_by(3, 0), {true, false, true, false, false}},
		{attested_by(4, 0), {false, true, true, false, false}},
		{attested_by(3, 4), {true, true, true, true, true}},
		{attested_by(3, 3), {true, false, true, false, false}}};
	assert_int_equal(list_verified("THREE", three, 1, 0), ERR_OK);
	uint64_t first = at.world.result.number;
	assert_int_equal(list_verified("FOUR", four, 1, 0), ERR_OK);
	assert_int_equal(list_verified("EITHER", both, 2, 0), ERR_OK);
	assert_int_equal(list_verified("TWO", NULL, 0, 2), ERR_OK);
	assert_int_equal(list_verified("THREE-AND-ANOTHER", three, 1, 2), ERR_OK);
	for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
		for (uint64_t j = 0; j < 5; j++) {
			struct command sell = order(SELLER, ORDER_SELL, PRICE, 1000);
			sell.order_place.batch = batches[i].batch;
			must(&sell);
			struct command buy = order(BUYER, ORDER_BUY, PRICE, 1000);
			buy.order_place.instrument = first + j;
			buy.order_place.tif = ORDER_IOC;
			must(&buy);
			assert_int_equal(open_orders(), !batches[i].taken[j]);
			struct command cancel = world_command(&at.world, COMMAND_ORDER_CANCEL, SELLER);
			cancel.order_cancel.order = sell.id;
			assert_int_equal(give(&cancel), batches[i].taken[j] ? ERR_ORDER_DONE : ERR_OK);
		}
	assert_int_equal(list_verified("NOBODY", nobody, 1, 0), ERR_VERIFIER_UNKNOWN);
	assert_int_equal(list_verified("MANY", NULL, 0, EVENTS_VERIFIERS_MAX + 1), ERR_INVALID_FIELD);
	struct command twice = world_command(&at.world, COMMAND_INSTRUMENT_LIST, -1);
	struct id orgs[] = {at.world.orgs[3], at.world.orgs[3]};
	twice.instrument_list.market = 1;
	assert_true(code32_set(&twice.instrument_list.code, "TWICE"));
	twice.lists = (struct record_lists){.verifiers = orgs, .verifier_count = 2};
	assert_int_equal(give(&twice), ERR_INVALID_FIELD);
}

static void at_one_price_the_older_order_goes_first_over_all_instruments(void **state)
{
	(void)state;
	list("YEAR", 0, 2026);
	struct command older = order(OTHER, ORDER_BUY, PRICE, 1000), newer = order(BUYER, ORDER_BUY, PRICE, 1000);
	older.order_place.instrument = 2;
	must(&older);
	must(&newer);
	int64_t had = kg_of(OTHER, KG_HELD);
	place(SELLER, ORDER_SELL, PRICE, 1000);
	assert_int_equal(kg_of(OTHER, KG_HELD), had + 1000);
}

static void too_many_trades_for_one_command_go_on_by_themselves(void **state)
{
	(void)state;
	for (int i = 0; i < MARKET_TRADES_MOST + 10; i++)
		place(SELLER, ORDER_SELL, PRICE, 1000);
	int64_t had = kg_of(BUYER, KG_HELD);
	struct command command = order(BUYER, ORDER_BUY, PRICE, (MARKET_TRADES_MOST + 12) * 1000);
	must(&command);
	assert_int_equal(kg_of(BUYER, KG_HELD), had + MARKET_TRADES_MOST * 1000);
	follow();
	assert_int_equal(kg_of(BUYER, KG_HELD), had + (MARKET_TRADES_MOST + 10) * 1000);
	assert_int_equal(open_orders(), 1); /* the rest rests */
}

static void a_fok_is_whole_over_classes_whatever_their_minimums(void **state)
{
	(void)state;
	struct command command = order(SELLER, ORDER_SELL, PRICE + TICK, 3000);
	command.order_place.minimum_kg = 3000;
	must(&command);
	command = order(OTHER, ORDER_SELL, PRICE, 4000);
	command.order_place.batch = another_class();
	must(&command);
	/* 4,000 at the better price leave too little for the minimum of the other */
	command = order(BUYER, ORDER_BUY, PRICE + TICK, 5000);
	command.order_place.tif = ORDER_FOK;
	assert_int_equal(give(&command), ERR_NOT_FILLABLE);
	command.order_place.kg = 7000;
	must(&command);
	assert_int_equal(open_orders(), 0);
}

static void a_stop_looks_at_the_newest_trade_over_all_classes_of_its_instrument(void **state)
{
	(void)state;
	uint64_t other = another_class();
	trade_at(PRICE);
	struct command command = order(OTHER, ORDER_SELL, PRICE - 5 * TICK, 1000);
	command.order_place.batch = other;
	must(&command);
	place(BUYER, ORDER_BUY, PRICE - 5 * TICK, 1000);
	command = order(SELLER, ORDER_BUY, 0, 1000);
	command.order_place.type = ORDER_STOP;
	command.order_place.stop_micros = PRICE;
	must(&command);
	follow();
	place(OTHER, ORDER_SELL, PRICE + TICK, 1000);
	assert_int_equal(open_orders(), 2); /* it sleeps */
	trade_at(PRICE);                    /* what its own class has seen before */
	assert_int_equal(open_orders(), 0);
}

static void a_rebate_is_paid_out_of_the_fee_of_its_trade(void **state)
{
	(void)state;
	struct command command = world_command(&at.world, COMMAND_MARKET_OPEN, -1);
	command.market_open = (struct command_market_open){
		.tick_micros = TICK, .lot_kg = 1000, .maker_ppm = -2000, .taker_ppm = 2000};
	assert_true(code8_set(&command.market_open.currency, "USD"));
	must(&command);
	uint64_t dollars = ledger_money_asset(command.market_open.currency);
	command = world_command(&at.world, COMMAND_MONEY_DEPOSIT, -1);
	command.money_deposit = (struct command_money_deposit){.to = at.world.orgs[BUYER], .amount_micros = PRICE};
	code8_set(&command.money_deposit.currency, "USD");
	must(&command);
	command = world_command(&at.world, COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list.market = 2;
	assert_true(code32_set(&command.instrument_list.code, "DOLLARS"));
	must(&command);
	command = order(BUYER, ORDER_BUY, PRICE / 2, 1000);
	command.order_place.instrument = 2;
	must(&command);
	command = order(SELLER, ORDER_SELL, PRICE / 2, 1000);
	command.order_place.market = 2;
	must(&command); /* the house had nothing before */
	struct ledger_place buyer = {.org = at.world.orgs[BUYER]};
	assert_int_equal(ledger_amount(rules_ledger(at.world.rules), dollars, buyer), PRICE / 2 + PRICE / 1000);
}

/* Gives 200 kilograms of every other serial, each a range of its own, and 800 behind one another higher up. */
static void scatter(int org, int64_t first, int64_t whole)
{
	struct serial_range ranges[201];
	for (int i = 0; i < 200; i++)
		ranges[i] = (struct serial_range){.batch = at.batch, .start = first + 2 * i, .length = 1};
	ranges[200] = (struct serial_range){.batch = at.batch, .start = whole, .length = 800};
	struct command command = world_command(&at.world, COMMAND_TRANSFER, SELLER);
	command.transfer.to = at.world.orgs[org];
	command.lists = (struct record_lists){.ranges = ranges, .range_count = 201};
	must(&command);
}

/* Two orders, whose lot is then more than 256 ranges of what is listed. */
static void place_scattered(uint32_t tif)
{
	assert_int_equal(world_transfer(&at.world, OTHER, BUYER, at.batch, kg_of(OTHER, KG_HELD)), ERR_OK);
	for (int i = 0; i < 2; i++) {
		scatter(OTHER, 800000 - i * 100000, 950000 + i * 1000);
		struct command command = order(OTHER, ORDER_SELL, PRICE, 1000);
		command.order_place.tif = tif;
		must(&command);
	}
}

static void scattered_kilograms_end_in_parts_and_stop_no_tick(void **state)
{
	(void)state;
	place_scattered(ORDER_DAY);
	assert_int_equal(open_orders(), 2);
	at.world.now_us += CLOCK_US_PER_DAY;
	for (int i = 0; open_orders() && i < 10; i++) {
		tick_at(at.world.now_us + CLOCK_US_PER_SECOND);
		follow();
	}
	assert_int_equal(open_orders(), 0);
	assert_int_equal(kg_of(OTHER, KG_LISTED), 0);
}

static void a_lot_that_is_too_scattered_ends_and_the_taker_goes_on(void **state)
{
	(void)state;
	place_scattered(ORDER_GTC);
	place(BUYER, ORDER_BUY, PRICE, 1000);
	/* the first of them ended; the other's lot lies in fewer ranges then, and trades */
	assert_int_equal(kg_of(OTHER, KG_LISTED), 0);
	assert_int_equal(open_orders(), 0);
}

static void what_a_recall_leaves_over_trades_with_nobody(void **state)
{
	(void)state;
	const int count = EVENTS_RANGES_MAX + 20;
	for (int i = 0; i < count; i++)
		place(SELLER, ORDER_SELL, PRICE, 1000);
	struct command command = world_command(&at.world, COMMAND_BATCH_HOLD, -1);
	command.batch_hold = (struct command_batch_hold){.batch = at.batch, .reason_hash = world_hash(&at.world)};
	must(&command);
	assert_int_equal(open_orders(), 20);
	int64_t had = kg_of(BUYER, KG_HELD);
	place(BUYER, ORDER_BUY, PRICE, 1000);
	assert_int_equal(kg_of(BUYER, KG_HELD), had);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0); /* they ended when they were met */
	assert_int_equal(open_orders(), 1);
}

/* ---- limits ---- */

static struct command limit(int org, int64_t orders, int64_t kg, int64_t euros, bool by_registry)
{
	struct command command = world_command(&at.world, COMMAND_TRADER_LIMIT, -1);
	command.trader_limit = (struct command_trader_limit){.org = at.world.orgs[org],
		.market = 1,
		.orders_most = orders,
		.kg_most = kg,
		.notional_micros_most = euros * 1000000,
		.by_registry = by_registry};
	return command;
}

static enum err try(int org, enum order_side side, int64_t price, int64_t kg, struct id *ret_id)
{
	struct command command = order(org, side, price, kg);
	enum err err = give(&command);
	*ret_id = command.id;
	return err;
}

static void what_is_open_is_limited_when_it_is_placed_or_raised(void **state)
{
	(void)state;
	struct id first, second, third;
	struct command command = limit(SELLER, 2, 0, 0, false);
	must(&command);
	first = place(SELLER, ORDER_SELL, PRICE, 2000);
	second = place(SELLER, ORDER_SELL, PRICE + TICK, 3000);
	assert_int_equal(try(SELLER, ORDER_SELL, PRICE, 1000, &third), ERR_LIMIT_EXCEEDED);
	place(OTHER, ORDER_SELL, PRICE + 2 * TICK, 1000); /* another's limit is its own */

	/* the registry's holds beside it: 5,000 kg are open */
	command = limit(SELLER, 10, 6000, 0, true);
	must(&command);
	command = limit(SELLER, 0, 0, 0, false);
	must(&command);
	assert_int_equal(try(SELLER, ORDER_SELL, PRICE, 2000, &third), ERR_LIMIT_EXCEEDED);
	assert_string_equal(at.world.info.pointer, "/kg");
	assert_int_equal(try(SELLER, ORDER_SELL, PRICE, 1000, &third), ERR_OK);
	command = world_command(&at.world, COMMAND_ORDER_AMEND, SELLER);
	command.order_amend = (struct command_order_amend){.order = third, .kg = 2000};
	assert_int_equal(give(&command), ERR_LIMIT_EXCEEDED);
	command.order_amend = (struct command_order_amend){.order = third, .price_micros = PRICE - TICK};
	must(&command); /* not more of it */

	/* what is traded or cancelled is not open any more */
	place(BUYER, ORDER_BUY, PRICE, 1000);
	assert_int_equal(try(SELLER, ORDER_SELL, PRICE, 1000, &third), ERR_OK);
	command = world_command(&at.world, COMMAND_ORDER_CANCEL, SELLER);
	command.order_cancel.order = second;
	must(&command);
	assert_int_equal(try(SELLER, ORDER_SELL, PRICE, 3000, &second), ERR_OK);
	assert_int_equal(try(SELLER, ORDER_SELL, PRICE, 1000, &third), ERR_LIMIT_EXCEEDED);

	/* notional: 100 a tonne */
	command = limit(BUYER, 0, 0, 500, true);
	must(&command);
	first = place(BUYER, ORDER_BUY, PRICE - 20 * TICK, 6000); /* 480 */
	assert_int_equal(try(BUYER, ORDER_BUY, PRICE - 20 * TICK, 1000, &third), ERR_LIMIT_EXCEEDED);
	assert_string_equal(at.world.info.pointer, "/price");
	command = world_command(&at.world, COMMAND_ORDER_AMEND, BUYER);
	command.order_amend = (struct command_order_amend){.order = first, .price_micros = PRICE - 10 * TICK};
	assert_int_equal(give(&command), ERR_LIMIT_EXCEEDED); /* 540 */
	command.order_amend.price_micros = PRICE - 17 * TICK;
	must(&command); /* 498 */
	command = limit(BUYER, 0, 0, 0, true);
	must(&command);
	assert_int_equal(try(BUYER, ORDER_BUY, PRICE - 20 * TICK, 1000, &third), ERR_OK);

	command = limit(SELLER, -1, 0, 0, false);
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = limit(SELLER, 1, 0, 0, false);
	command.trader_limit.market = 9;
	assert_int_equal(give(&command), ERR_NOT_FOUND);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {CASE(a_trade_moves_kilograms_money_and_fees_in_one_entry),
		CASE(fees_are_rounded_up_and_rebates_down), CASE(price_then_time_decides),
		CASE(what_cannot_be_paid_or_delivered_is_refused), CASE(an_accounts_limits_bind_its_orders),
		CASE(an_ioc_never_rests), CASE(a_fok_is_filled_whole_or_refused),
		CASE(an_aon_trades_whole_at_the_makers_price_and_never_blocks),
		CASE(a_minimum_is_of_all_that_an_order_takes_at_once), CASE(a_post_only_that_would_trade_is_refused),
		CASE(an_iceberg_shows_its_next_part_behind_all_others), CASE(a_market_order_trades_within_its_collar),
		CASE(a_stop_wakes_when_the_last_trade_reaches_it),
		CASE(a_trailing_stop_moves_more_than_once_and_never_back),
		CASE(no_organisation_trades_with_itself_and_no_remainder_rests_wrongly),
		CASE(an_order_keeps_its_place_only_where_its_quantity_falls), CASE(a_move_may_trade),
		CASE(orders_end_when_their_time_is_over), CASE(what_is_held_leaves_the_market),
		CASE(the_kill_switch_stops_an_organisation), CASE(a_halted_market_takes_cancellations_alone),
		CASE(a_predicate_takes_what_it_asks_for_alone), CASE(an_instrument_asks_for_verifiers),
		CASE(at_one_price_the_older_order_goes_first_over_all_instruments),
		CASE(a_fok_is_whole_over_classes_whatever_their_minimums),
		CASE(a_stop_looks_at_the_newest_trade_over_all_classes_of_its_instrument),
		CASE(a_rebate_is_paid_out_of_the_fee_of_its_trade),
		CASE(too_many_trades_for_one_command_go_on_by_themselves),
		CASE(scattered_kilograms_end_in_parts_and_stop_no_tick),
		CASE(a_lot_that_is_too_scattered_ends_and_the_taker_goes_on),
		CASE(what_a_recall_leaves_over_trades_with_nobody),
		CASE(what_is_open_is_limited_when_it_is_placed_or_raised)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
