/* Trading sessions, from the tables of docs/MARKET.md (decision 22): schedules, price bands, auctions at opening and after a halt,
 * trading hours, what ends when nobody is heard of, and trades that are undone. */
#include "trading.h"

#define AUCTION (60 * CLOCK_US_PER_SECOND)

static void schedule(struct command_market_schedule asked)
{
	struct command command = world_command(&at.world, COMMAND_MARKET_SCHEDULE, -1);
	asked.market = 1;
	command.market_schedule = asked;
	must(&command);
}

static enum err halt(enum market_state state, int64_t until_us)
{
	struct command command = world_command(&at.world, COMMAND_MARKET_HALT, -1);
	command.market_halt = (struct command_market_halt){.market = 1, .until_us = until_us, .state = (uint32_t)state};
	return give(&command);
}

/* Halts the market and lets it go on with an auction, which is then under way. */
static void auction(void)
{
	schedule((struct command_market_schedule){.auction_us = AUCTION});
	assert_int_equal(halt(MARKET_HALTED, 0), ERR_OK);
	assert_int_equal(halt(MARKET_OPEN, 0), ERR_OK);
}

static void auction_ends(void)
{
	tick_at(at.world.now_us + AUCTION + CLOCK_US_PER_SECOND);
	follow();
}

/* Whether an order is refused, and why; it is not kept. */
static enum err would(int org, enum order_side side, int64_t price, enum order_tif tif)
{
	struct command command = order(org, side, price, 1000);
	command.order_place.tif = (uint32_t)tif;
	enum err err = give(&command);
	if (err)
		return err;
	struct command cancel = world_command(&at.world, COMMAND_ORDER_CANCEL, org);
	cancel.order_cancel.order = command.id;
	(void)!give(&cancel);
	return ERR_OK;
}

static struct market_indication indication(uint64_t class_number)
{
	struct market_indication found;
	assert_int_equal(market_indicative(rules_market(at.world.rules), class_number, &found), ERR_OK);
	return found;
}

/* ---- auctions ---- */

static void an_auction_collects_orders_and_settles_them_at_one_price(void **state)
{
	(void)state;
	auction();
	int64_t seller = money_of(at.world.orgs[SELLER], KG_HELD), buyer = money_of(at.world.orgs[BUYER], KG_HELD);
	place(SELLER, ORDER_SELL, PRICE - 2 * TICK, 2000);
	place(SELLER, ORDER_SELL, PRICE + TICK, 2000);
	place(BUYER, ORDER_BUY, PRICE + 2 * TICK, 3000);
	place(BUYER, ORDER_BUY, PRICE, 2000);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 4000); /* none has traded */
	assert_int_equal(would(OTHER, ORDER_BUY, PRICE, ORDER_IOC), ERR_NOT_IN_AUCTION);
	/* at 101 as at 102 three tonnes trade and one more is asked: the lower one, for there is no reference */
	struct market_indication found = indication(1);
	assert_int_equal(found.price_micros, PRICE + TICK);
	assert_int_equal(found.kg, 3000);
	assert_int_equal(found.surplus_kg, -1000);
	auction_ends();
	assert_int_equal(kg_of(SELLER, KG_LISTED), 1000);
	int64_t amount = 3 * (PRICE + TICK), fee = amount * TAKER / 1000000;
	assert_int_equal(money_of(at.world.orgs[SELLER], KG_HELD), seller + amount - fee);
	int64_t reserved = market_reserve_micros(PRICE, 2000, TAKER, 1000);
	assert_int_equal(money_of(at.world.orgs[BUYER], KG_RESERVED), reserved);
	assert_int_equal(money_of(at.world.orgs[BUYER], KG_HELD), buyer - amount - fee - reserved);
	assert_int_equal(open_orders(), 2);
	place(OTHER, ORDER_SELL, PRICE, 1000); /* it is open */
	assert_int_equal(open_orders(), 2);
}

static void of_equal_prices_an_auction_takes_the_nearest_to_the_last_trade(void **state)
{
	(void)state;
	trade_at(PRICE);
	auction();
	place(SELLER, ORDER_SELL, PRICE - 3 * TICK, 1000);
	place(BUYER, ORDER_BUY, PRICE + 4 * TICK, 1000);
	assert_int_equal(indication(1).price_micros, PRICE);
	place(OTHER, ORDER_BUY, PRICE + 2 * TICK, 1000); /* least is left over above it */
	assert_int_equal(indication(1).price_micros, PRICE + 3 * TICK);
	assert_int_equal(indication(1).surplus_kg, 0);
}

static void an_auction_of_many_trades_goes_on_by_itself(void **state)
{
	(void)state;
	auction();
	for (int i = 0; i < MARKET_TRADES_MOST + 6; i++)
		place(SELLER, ORDER_SELL, PRICE, 1000);
	int64_t had = kg_of(BUYER, KG_HELD);
	place(BUYER, ORDER_BUY, PRICE, (MARKET_TRADES_MOST + 5) * 1000);
	auction_ends();
	assert_int_equal(kg_of(BUYER, KG_HELD), had + (MARKET_TRADES_MOST + 5) * 1000);
	assert_int_equal(open_orders(), 1);
}

static void an_iceberg_takes_part_in_an_auction_with_all_it_has(void **state)
{
	(void)state;
	auction();
	struct command command = order(SELLER, ORDER_SELL, PRICE, 5000);
	command.order_place.shown_kg = 1000;
	must(&command);
	place(OTHER, ORDER_SELL, PRICE, 1000);
	place(BUYER, ORDER_BUY, PRICE, 4000);
	auction_ends();
	assert_int_equal(kg_of(SELLER, KG_LISTED), 1000);
	place(BUYER, ORDER_BUY, PRICE, 2000); /* it kept its place */
	assert_int_equal(open_orders(), 0);
}

static void what_takes_no_part_in_an_auction_trades_when_it_is_over(void **state)
{
	(void)state;
	list("BATCH", at.batch, 0);
	struct command command = order(BUYER, ORDER_BUY, PRICE, 1000);
	command.order_place.instrument = 2;
	must(&command);
	command = order(OTHER, ORDER_BUY, PRICE, 2000);
	command.order_place.minimum_kg = 2000;
	must(&command);
	auction();
	place(SELLER, ORDER_SELL, PRICE - TICK, 3000);
	assert_int_equal(indication(1).kg, 0);
	auction_ends();
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0);
	assert_int_equal(open_orders(), 0);
}

/* What a trade makes of an order's minimum may be what one of a class before was waiting for. */
static void what_crosses_after_an_auction_is_looked_for_in_all_classes(void **state)
{
	(void)state;
	uint64_t second = another_class();
	struct command command = order(BUYER, ORDER_BUY, PRICE, 4000);
	command.order_place.minimum_kg = 3000;
	must(&command);
	auction();
	place(SELLER, ORDER_SELL, PRICE, 2000); /* too little for the minimum */
	place(BUYER, ORDER_BUY, PRICE - TICK, 1000);
	command = order(OTHER, ORDER_SELL, PRICE - TICK, 4000);
	command.order_place.batch = second;
	must(&command);
	auction_ends(); /* of the second class 1,000 in the auction and 3,000 afterwards; then the minimum is 1,000 */
	assert_int_equal(kg_of(SELLER, KG_LISTED), 1000);
	assert_int_equal(open_orders(), 1);
}

static void nobody_trades_with_itself_in_an_auction(void **state)
{
	(void)state;
	auction();
	place(BUYER, ORDER_SELL, PRICE - TICK, 1000);
	place(SELLER, ORDER_SELL, PRICE, 1000);
	int64_t listed = kg_of(BUYER, KG_LISTED);
	place(BUYER, ORDER_BUY, PRICE, 1000);
	auction_ends();
	assert_int_equal(kg_of(BUYER, KG_LISTED), listed);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0);
	assert_int_equal(open_orders(), 1);
}

static void stops_wait_until_an_auction_is_over(void **state)
{
	(void)state;
	trade_at(PRICE);
	struct command command = order(OTHER, ORDER_SELL, 0, 1000);
	command.order_place.type = ORDER_STOP;
	command.order_place.stop_micros = PRICE - TICK;
	must(&command);
	auction();
	place(SELLER, ORDER_SELL, PRICE - 2 * TICK, 1000);
	place(BUYER, ORDER_BUY, PRICE - 2 * TICK, 2000);
	assert_int_equal(kg_of(OTHER, KG_LISTED), 1000);
	auction_ends(); /* at 98: the stop wakes, and sells to what is left of the bid */
	assert_int_equal(open_orders(), 0);
}

/* ---- bands ---- */

static void a_trade_out_of_its_band_begins_an_auction(void **state)
{
	(void)state;
	trade_at(PRICE);
	schedule((struct command_market_schedule){.dynamic_ppm = 20000, .interruption_us = AUCTION});
	place(SELLER, ORDER_SELL, PRICE + 2 * TICK, 1000);
	place(SELLER, ORDER_SELL, PRICE + 5 * TICK, 1000);
	struct command command = order(BUYER, ORDER_BUY, PRICE + 5 * TICK, 3000);
	command.order_place.tif = ORDER_FOK;
	assert_int_equal(give(&command), ERR_NOT_FILLABLE); /* and begins none */
	int64_t had = kg_of(BUYER, KG_HELD);
	place(BUYER, ORDER_BUY, PRICE + 5 * TICK, 2000);
	assert_int_equal(kg_of(BUYER, KG_HELD), had + 1000); /* 102 is within 2 %, 105 is not */
	assert_int_equal(would(OTHER, ORDER_BUY, PRICE, ORDER_IOC), ERR_NOT_IN_AUCTION);
	assert_int_equal(open_orders(), 2);
	place(SELLER, ORDER_SELL, PRICE + 3 * TICK, 1000); /* somebody offers better meanwhile */
	auction_ends();
	assert_int_equal(kg_of(BUYER, KG_HELD), had + 2000);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 1000);
}

static void a_limit_beyond_the_static_band_is_refused_to_who_would_pay_for_it(void **state)
{
	(void)state;
	schedule((struct command_market_schedule){.static_ppm = 100000, .interruption_us = AUCTION});
	assert_int_equal(would(BUYER, ORDER_BUY, PRICE * 3, ORDER_GTC), ERR_OK); /* there is no reference yet */
	trade_at(PRICE);
	assert_int_equal(would(BUYER, ORDER_BUY, PRICE * 11 / 10, ORDER_GTC), ERR_OK);
	assert_int_equal(would(BUYER, ORDER_BUY, PRICE * 11 / 10 + TICK, ORDER_GTC), ERR_OUT_OF_BAND);
	assert_int_equal(would(BUYER, ORDER_BUY, PRICE / 2, ORDER_GTC), ERR_OK);
	assert_int_equal(would(SELLER, ORDER_SELL, PRICE * 9 / 10, ORDER_GTC), ERR_OK);
	assert_int_equal(would(SELLER, ORDER_SELL, PRICE * 9 / 10 - TICK, ORDER_GTC), ERR_OUT_OF_BAND);
	assert_int_equal(would(SELLER, ORDER_SELL, PRICE * 2, ORDER_GTC), ERR_OK);
	struct id id = place(BUYER, ORDER_BUY, PRICE / 2, 1000);
	struct command command = world_command(&at.world, COMMAND_ORDER_AMEND, BUYER);
	command.order_amend = (struct command_order_amend){.order = id, .price_micros = 2 * PRICE};
	assert_int_equal(give(&command), ERR_OUT_OF_BAND);
}

/* ---- schedules, halts, trading hours ---- */

static void a_schedule_that_cannot_be_is_refused(void **state)
{
	(void)state;
	static const struct command_market_schedule wrong[] = {{.market = 2}, {.market = 1, .static_ppm = -1},
		{.market = 1, .dynamic_ppm = 10000}, {.market = 1, .auction_us = -1},
		{.market = 1, .auction_us = 2 * CLOCK_US_PER_DAY}, {.market = 1, .calendar = 1},
		{.market = 1, .mon_open = 1, .mon_close = 2},
		{.market = 1, .calendar = 1, .mon_open = 600, .mon_close = 600},
		{.market = 1, .calendar = 1, .sun_open = 600, .sun_close = 1441}};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct command command = world_command(&at.world, COMMAND_MARKET_SCHEDULE, -1);
		command.market_schedule = wrong[i];
		assert_int_equal(give(&command), i ? ERR_INVALID_FIELD : ERR_NOT_FOUND);
	}
	assert_int_equal(halt(MARKET_OPEN, 0), ERR_INVALID_FIELD);
	assert_int_equal(halt(MARKET_AUCTION, 0), ERR_INVALID_FIELD);
	assert_int_equal(halt(MARKET_HALTED, at.world.now_us), ERR_INVALID_FIELD);
}

static void a_halt_may_end_by_itself(void **state)
{
	(void)state;
	int64_t until_us = at.world.now_us + CLOCK_US_PER_HOUR;
	assert_int_equal(halt(MARKET_HALTED, until_us), ERR_OK);
	tick_at(until_us - 1);
	assert_int_equal(would(BUYER, ORDER_BUY, PRICE, ORDER_GTC), ERR_MARKET_CLOSED);
	tick_at(until_us);
	assert_int_equal(would(BUYER, ORDER_BUY, PRICE, ORDER_GTC), ERR_OK);
}

static void a_market_trades_in_its_hours_and_day_orders_end_with_them(void **state)
{
	(void)state;
	int64_t day_us = (at.world.now_us / CLOCK_US_PER_DAY + 1) * CLOCK_US_PER_DAY; /* the next day */
	struct command_market_schedule hours = {.auction_us = AUCTION, .calendar = 1};
	uint32_t *minutes = &hours.mon_open;
	int weekday = (int)((day_us / CLOCK_US_PER_DAY + 3) % 7);
	minutes[2 * weekday] = 540; /* nine to five on that day of the week alone */
	minutes[2 * weekday + 1] = 1020;
	schedule(hours);
	tick_at(at.world.now_us + CLOCK_US_PER_SECOND);
	assert_int_equal(would(BUYER, ORDER_BUY, PRICE, ORDER_GTC), ERR_MARKET_CLOSED);
	int64_t opens_us = day_us + 540 * CLOCK_US_PER_MINUTE, closes_us = day_us + 1020 * CLOCK_US_PER_MINUTE;
	tick_at(opens_us - 1);
	assert_int_equal(would(BUYER, ORDER_BUY, PRICE, ORDER_GTC), ERR_MARKET_CLOSED);
	tick_at(opens_us);
	assert_int_equal(would(BUYER, ORDER_BUY, PRICE, ORDER_IOC), ERR_NOT_IN_AUCTION);
	place(BUYER, ORDER_BUY, PRICE, 1000);
	auction_ends();
	struct command command = order(SELLER, ORDER_SELL, PRICE + TICK, 1000);
	command.order_place.tif = ORDER_DAY;
	must(&command);
	tick_at(closes_us - 1);
	assert_int_equal(open_orders(), 2);
	tick_at(closes_us);
	assert_int_equal(open_orders(), 1);
	assert_int_equal(would(BUYER, ORDER_BUY, PRICE, ORDER_GTC), ERR_MARKET_CLOSED);
	/* a week of down-time: it closes and opens anew */
	tick_at(opens_us + 7 * CLOCK_US_PER_DAY);
	assert_int_equal(would(BUYER, ORDER_BUY, PRICE, ORDER_IOC), ERR_NOT_IN_AUCTION);
	tick_at(closes_us + 14 * CLOCK_US_PER_DAY - 1);
	assert_int_equal(would(BUYER, ORDER_BUY, PRICE, ORDER_IOC), ERR_NOT_IN_AUCTION);
	schedule((struct command_market_schedule){0});
	auction_ends();
	assert_int_equal(would(BUYER, ORDER_BUY, PRICE, ORDER_IOC), ERR_OK);
}

/* ---- not heard of ---- */

static void watch(int org, int64_t after_us)
{
	struct command command = world_command(&at.world, COMMAND_ORDER_CANCEL_AFTER, org);
	command.order_cancel_after.after_us = after_us;
	must(&command);
}

static void orders_end_unless_their_organisation_is_heard_of(void **state)
{
	(void)state;
	place(SELLER, ORDER_SELL, PRICE, 1000);
	place(OTHER, ORDER_SELL, PRICE, 1000);
	watch(SELLER, CLOCK_US_PER_MINUTE);
	watch(OTHER, CLOCK_US_PER_HOUR);
	int64_t set_us = at.world.now_us;
	tick_at(set_us + 50 * CLOCK_US_PER_SECOND);
	watch(SELLER, CLOCK_US_PER_MINUTE); /* heard of */
	int64_t again_us = at.world.now_us;
	tick_at(again_us + CLOCK_US_PER_MINUTE - 1);
	assert_int_equal(open_orders(), 2);
	tick_at(again_us + CLOCK_US_PER_MINUTE);
	assert_int_equal(open_orders(), 1);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0);
	place(SELLER, ORDER_SELL, PRICE, 1000); /* it is off after it has gone off */
	watch(OTHER, 0);
	tick_at(set_us + 2 * CLOCK_US_PER_HOUR);
	assert_int_equal(open_orders(), 2);
	struct command command = world_command(&at.world, COMMAND_ORDER_CANCEL_AFTER, SELLER);
	command.order_cancel_after.after_us = 1;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
}

/* ---- undoing trades ---- */

/* What a command says of the last trade that was made, as the journal has it. */
static struct serial_range ranges[EVENTS_RANGES_MAX];
static struct command bust(void)
{
	struct command command = world_command(&at.world, COMMAND_TRADE_BUST, -1);
	for (size_t from = 0, length = 0; from < at.world.output.size; from += length) {
		struct event event;
		assert_int_equal(event_decode(at.world.output.bytes + from, at.world.output.size - from,
					 at.world.scratch, &event, &length, &at.world.info),
			ERR_OK);
		const struct event_traded *said = &event.traded;
		if (event.header.type != EVENT_TRADED)
			continue;
		memcpy(ranges, event.lists.ranges, event.lists.range_count * sizeof *ranges);
		command.lists = (struct record_lists){.ranges = ranges, .range_count = event.lists.range_count};
		command.trade_bust = (struct command_trade_bust){.trade = said->trade,
			.market = said->market,
			.seller = said->seller,
			.buyer = said->buyer,
			.kg = said->kg,
			.amount_micros = said->amount_micros,
			.seller_fee_micros = said->seller_fee_micros,
			.buyer_fee_micros = said->buyer_fee_micros,
			.reason_hash = world_hash(&at.world)};
	}
	assert_true(command.trade_bust.trade);
	return command;
}

static void a_trade_that_is_undone_leaves_everybody_with_what_they_had(void **state)
{
	(void)state;
	int64_t seller = money_of(at.world.orgs[SELLER], KG_HELD), buyer = money_of(at.world.orgs[BUYER], KG_HELD);
	int64_t kg = kg_of(SELLER, KG_HELD);
	place(SELLER, ORDER_SELL, PRICE, 5000);
	struct command command = order(BUYER, ORDER_BUY, PRICE, 3000);
	must(&command);
	struct command undo = bust(), other = undo;
	other.trade_bust.amount_micros++;
	assert_int_equal(give(&other), ERR_TRADE_UNKNOWN);
	other = undo;
	other.trade_bust.reason_hash = (struct hash){0};
	assert_int_equal(give(&other), ERR_MISSING_FIELD);
	must(&undo);
	assert_int_equal(money_of(at.world.orgs[SELLER], KG_HELD), seller);
	assert_int_equal(money_of(at.world.orgs[BUYER], KG_HELD), buyer);
	assert_int_equal(money_of(at.house, KG_HELD), 0);
	assert_int_equal(kg_of(SELLER, KG_HELD), kg - 2000); /* what is left of its order rests */
	assert_int_equal(give(&undo), ERR_TRADE_UNKNOWN);    /* once */
}

static void a_trade_whose_serials_or_money_moved_on_stands(void **state)
{
	(void)state;
	place(SELLER, ORDER_SELL, PRICE, 3000);
	struct command command = order(BUYER, ORDER_BUY, PRICE, 3000);
	must(&command);
	struct command undo = bust();
	int64_t held = kg_of(BUYER, KG_HELD);
	assert_int_equal(world_transfer(&at.world, BUYER, OTHER, at.batch, held), ERR_OK);
	assert_int_equal(give(&undo), ERR_TRADE_MOVED_ON);
	place(SELLER, ORDER_SELL, PRICE, 3000);
	command = order(BUYER, ORDER_BUY, PRICE, 3000);
	must(&command);
	undo = bust();
	command = world_command(&at.world, COMMAND_MONEY_TRANSFER, SELLER);
	command.money_transfer = (struct command_money_transfer){.to = at.world.orgs[OTHER],
		.currency = at.currency,
		.amount_micros = money_of(at.world.orgs[SELLER], KG_HELD)};
	must(&command);
	assert_int_equal(give(&undo), ERR_INSUFFICIENT_FUNDS);
	assert_int_equal(kg_of(BUYER, KG_HELD), 3000);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {CASE(an_auction_collects_orders_and_settles_them_at_one_price),
		CASE(of_equal_prices_an_auction_takes_the_nearest_to_the_last_trade),
		CASE(an_auction_of_many_trades_goes_on_by_itself),
		CASE(an_iceberg_takes_part_in_an_auction_with_all_it_has),
		CASE(what_takes_no_part_in_an_auction_trades_when_it_is_over),
		CASE(what_crosses_after_an_auction_is_looked_for_in_all_classes),
		CASE(nobody_trades_with_itself_in_an_auction), CASE(stops_wait_until_an_auction_is_over),
		CASE(a_trade_out_of_its_band_begins_an_auction),
		CASE(a_limit_beyond_the_static_band_is_refused_to_who_would_pay_for_it),
		CASE(a_schedule_that_cannot_be_is_refused), CASE(a_halt_may_end_by_itself),
		CASE(a_market_trades_in_its_hours_and_day_orders_end_with_them),
		CASE(orders_end_unless_their_organisation_is_heard_of),
		CASE(a_trade_that_is_undone_leaves_everybody_with_what_they_had),
		CASE(a_trade_whose_serials_or_money_moved_on_stands)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
