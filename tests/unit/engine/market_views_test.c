/* The market's views over a real store: orders from placing to their end, trades and executions, and the depth, which is
 * held against the orders that are there after each step. */
#include "place.h"

#include "carbond/market.h"

#define SELLER 0
#define BUYER  1
#define OTHER  2
#define EURO   INT64_C(1000000)

static struct place place;
static struct world world;
static uint64_t batch;
static struct arena *arena;

static enum err send(struct command command, struct id *ret_id)
{
	struct engine_result result = {0};
	enum err err = place_command(&place, &world, &command, &result);
	if (ret_id)
		*ret_id = command.id;
	if (!err)
		assert_int_equal(engine_wait_position(place.engine, result.position, seconds_from_now(30)), ERR_OK);
	return err;
}

static void must(struct command command)
{
	if (send(command, NULL))
		fail_msg("%s: %s", command_kind_name(command.kind), world.info.detail);
}

static struct command order(int org, enum order_side side, int64_t euros, int64_t kg)
{
	struct command command = world_command(&world, COMMAND_ORDER_PLACE, org);
	command.order_place = (struct command_order_place){.market = side == ORDER_SELL,
		.batch = side == ORDER_SELL ? batch : 0,
		.instrument = side == ORDER_BUY,
		.price_micros = euros * EURO,
		.kg = kg,
		.side = (uint32_t)side};
	return command;
}

static struct id rest(int org, enum order_side side, int64_t euros, int64_t kg)
{
	struct id id;
	if (send(order(org, side, euros, kg), &id))
		fail_msg("order: %s", world.info.detail);
	return id;
}

static void list(const char *code, uint64_t of_batch, const char *country)
{
	struct command command = world_command(&world, COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list = (struct command_instrument_list){.market = 1, .batch = of_batch};
	assert_true(code32_set(&command.instrument_list.code, code));
	assert_true(code8_set(&command.instrument_list.country, country));
	must(command);
}

static int start(void **state)
{
	(void)state;
	struct code8 currency;
	assert_true(code8_set(&currency, "EUR"));
	place_new(&place);
	place_world(&world, 11);
	place_start(&place);
	place_verifier(&place, &world, 3);
	arena = arena_new(0);
	batch = place_issue(&place, &world, SELLER, 24, 1000000, NULL);
	struct command command = world_command(&world, COMMAND_HOUSE_NAME, -1);
	command.house_name.org = world_id(&world);
	must(command);
	command = world_command(&world, COMMAND_MARKET_OPEN, -1);
	command.market_open = (struct command_market_open){.currency = currency,
		.tick_micros = EURO,
		.lot_kg = 1000,
		.maker_ppm = 2000,
		.taker_ppm = 5000,
		.collar_ppm = 50000,
		.kind = CREDIT_REMOVAL};
	must(command);
	list("ANY", 0, "");         /* 1 */
	list("BATCH-1", batch, ""); /* 2 */
	list("NOWHERE", 0, "ZZ");   /* 3 */
	for (int org = 0; org < 3; org++) {
		command = world_command(&world, COMMAND_MONEY_DEPOSIT, -1);
		command.money_deposit = (struct command_money_deposit){
			.to = world.orgs[org], .currency = currency, .amount_micros = 100000 * EURO};
		must(command);
	}
	return 0;
}

static int stop(void **state)
{
	(void)state;
	place_check_views(&place);
	arena_free(&arena);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
	return 0;
}

static struct order_row order_of(struct id id)
{
	struct order_row row;
	field_clear(order_fields, &row);
	row.id = id;
	assert_int_equal(store_get(place.store, &orders_collection, &row, arena, &world.info), ERR_OK);
	return row;
}

static struct market_depth depth_of(int64_t instrument)
{
	struct market_depth depth;
	if (engine_depth_of_instrument(place.store, instrument, 10, arena, &depth, &world.info))
		fail_msg("depth: %s", world.info.detail);
	return depth;
}

static void check_levels(struct field_list levels, size_t count, const int64_t (*wanted)[3])
{
	const struct price_level *level = levels.items;
	assert_int_equal(levels.count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(level[i].price_micros, wanted[i][0] * EURO);
		assert_int_equal(level[i].kg, wanted[i][1]);
		assert_int_equal(level[i].orders, wanted[i][2]);
	}
}

static void cancel(int org, struct id id)
{
	struct command command = world_command(&world, COMMAND_ORDER_CANCEL, org);
	command.order_cancel.order = id;
	must(command);
}

static void an_order_from_placing_to_its_end(void **state)
{
	(void)state;
	struct id sell = rest(SELLER, ORDER_SELL, 100, 10000);
	struct order_row row = order_of(sell);
	assert_int_equal(row.status, ORDER_STATUS_OPEN);
	assert_int_equal(row.left_kg, 10000);
	assert_int_equal(row.visible_kg, 10000);
	assert_true(id_equal(row.org_id, world.orgs[SELLER]) && id_equal(row.placed_by, world.actors[SELLER]));
	assert_int_equal(row.reason, -1);
	check_levels(depth_of(1).asks, 1, (const int64_t[][3]){{100, 10000, 1}});
	check_levels(depth_of(2).asks, 1, (const int64_t[][3]){{100, 10000, 1}});
	check_levels(depth_of(3).asks, 0, NULL);

	struct id buy = rest(BUYER, ORDER_BUY, 101, 4000);
	struct order_row bought = order_of(buy);
	assert_int_equal(bought.status, ORDER_STATUS_FILLED);
	assert_int_equal(bought.filled_kg, 4000);
	assert_int_equal(bought.filled_micros, 400 * EURO); /* at the price of the order that rested */
	assert_int_equal(bought.fees_micros, 2 * EURO);     /* 5,000 ppm of it */
	assert_int_equal(bought.reserved_micros, 0);
	assert_int_not_equal(bought.done_at, FIELD_ABSENT);
	row = order_of(sell);
	assert_int_equal(row.status, ORDER_STATUS_OPEN);
	assert_int_equal(row.left_kg, 6000);
	assert_int_equal(row.fees_micros, 800000); /* 2,000 ppm */
	check_levels(depth_of(1).asks, 1, (const int64_t[][3]){{100, 6000, 1}});

	struct trade_row trade = {.trade = 1};
	assert_int_equal(store_get(place.store, &trades_collection, &trade, arena, &world.info), ERR_OK);
	assert_int_equal(trade.kg, 4000);
	assert_int_equal(trade.ranges.count, 1);
	assert_int_equal(trade.taker_side, ORDER_BUY);
	for (int i = 0; i < 2; i++) {
		struct execution_row side = {.org_id = world.orgs[i], .trade = 1};
		assert_int_equal(store_get(place.store, &executions_collection, &side, arena, &world.info), ERR_OK);
		assert_true(id_equal(side.order_id, i == SELLER ? sell : buy));
		assert_true(id_equal(side.counterparty_org_id, world.orgs[!i]));
		assert_true(side.is_maker == (i == SELLER));
		assert_int_equal(side.fee_micros, i == SELLER ? 800000 : 2 * EURO);
	}
	struct market_class_row class = {.class_number = 1};
	assert_int_equal(store_get(place.store, &market_classes_collection, &class, arena, &world.info), ERR_OK);
	assert_int_equal(class.last_micros, 100 * EURO);

	cancel(SELLER, sell);
	row = order_of(sell);
	assert_int_equal(row.status, ORDER_STATUS_ENDED);
	assert_int_equal(row.reason, ORDER_CANCELLED);
	assert_int_equal(row.left_kg, 0);
	assert_int_equal(row.filled_kg, 4000);
	check_levels(depth_of(1).asks, 0, NULL);
	assert_int_equal(place_holding(&place, world.orgs[SELLER], batch, arena).listed_kg, 0);
}

static void depth_is_by_price_and_knows_nothing_hidden(void **state)
{
	(void)state;
	struct command hidden = order(SELLER, ORDER_SELL, 99, 3000), iceberg = order(SELLER, ORDER_SELL, 101, 9000);
	struct id first = rest(SELLER, ORDER_SELL, 102, 1000), second = rest(SELLER, ORDER_SELL, 102, 2000), ice, hid;
	struct id bid = rest(BUYER, ORDER_BUY, 90, 2000), lower = rest(OTHER, ORDER_BUY, 89, 1000);
	hidden.order_place.hidden = 1;
	iceberg.order_place.shown_kg = 2000;
	assert_int_equal(send(hidden, &hid), ERR_OK);
	assert_int_equal(send(iceberg, &ice), ERR_OK);
	struct market_depth depth = depth_of(1);
	check_levels(depth.asks, 2, (const int64_t[][3]){{101, 2000, 1}, {102, 3000, 2}});
	check_levels(depth.bids, 2, (const int64_t[][3]){{90, 2000, 1}, {89, 1000, 1}});
	assert_in_range(depth.sequence, 1, engine_position(place.engine));
	struct market_depth of_class;
	assert_int_equal(engine_depth_of_class(place.store, 1, 1, arena, &of_class, &world.info), ERR_OK);
	check_levels(of_class.asks, 1, (const int64_t[][3]){{101, 2000, 1}}); /* the top of the book */
	check_levels(of_class.bids, 1, (const int64_t[][3]){{90, 2000, 1}});

	/* the hidden order trades first, then the iceberg shows its next part */
	rest(OTHER, ORDER_BUY, 101, 5000);
	check_levels(depth_of(1).asks, 2, (const int64_t[][3]){{101, 2000, 1}, {102, 3000, 2}});
	assert_int_equal(order_of(hid).status, ORDER_STATUS_FILLED);
	assert_int_equal(order_of(ice).left_kg, 7000);
	assert_int_equal(order_of(ice).visible_kg, 2000);

	/* less keeps its place, a new price moves it */
	struct command amend = world_command(&world, COMMAND_ORDER_AMEND, BUYER);
	amend.order_amend = (struct command_order_amend){.order = bid, .kg = 1000};
	must(amend);
	check_levels(depth_of(1).bids, 2, (const int64_t[][3]){{90, 1000, 1}, {89, 1000, 1}});
	amend = world_command(&world, COMMAND_ORDER_AMEND, BUYER);
	amend.order_amend = (struct command_order_amend){.order = bid, .price_micros = 89 * EURO};
	must(amend);
	check_levels(depth_of(1).bids, 1, (const int64_t[][3]){{89, 2000, 2}});
	assert_int_equal(order_of(bid).price_micros, 89 * EURO);

	cancel(SELLER, first);
	cancel(SELLER, second);
	cancel(SELLER, ice);
	cancel(BUYER, bid);
	cancel(OTHER, lower);
	depth = depth_of(1);
	check_levels(depth.asks, 0, NULL);
	check_levels(depth.bids, 0, NULL);
	struct price_level *levels = NULL;
	size_t count = 1;
	struct store_query all = {.collection = &price_levels_collection, .most = 100};
	assert_int_equal(store_find(place.store, &all, arena, (void **)&levels, &count, &world.info), ERR_OK);
	assert_int_equal(count, 0); /* a price that nobody gives any more leaves nothing behind */
}

static void a_stop_sleeps_and_wakes(void **state)
{
	(void)state;
	struct command stop_order = order(SELLER, ORDER_SELL, 0, 1000);
	struct id sleeper, bid;
	stop_order.order_place.type = ORDER_STOP;
	stop_order.order_place.stop_micros = 95 * EURO;
	assert_int_equal(send(stop_order, &sleeper), ERR_OK);
	assert_int_equal(order_of(sleeper).status, ORDER_STATUS_SLEEPING);
	assert_int_equal(order_of(sleeper).visible_kg, 0);
	bid = rest(BUYER, ORDER_BUY, 94, 3000);
	rest(OTHER, ORDER_SELL, 94, 1000); /* what OTHER bought above trades at 94: the stop is reached */
	struct id after = rest(SELLER, ORDER_SELL, 200, 1000); /* the engine's own commands go before any other */
	cancel(SELLER, after);
	assert_int_equal(order_of(sleeper).status, ORDER_STATUS_FILLED);
	assert_int_equal(order_of(bid).left_kg, 1000);
	cancel(BUYER, bid);
}

static void candle_put(int64_t start_us, int64_t euros, int64_t kg)
{
	struct candle_row row = {.class_number = 1,
		.interval = CANDLE_1M,
		.start_at = start_us,
		.open_micros = euros * EURO,
		.high_micros = (euros + 5) * EURO,
		.low_micros = (euros - 5) * EURO,
		.close_micros = euros * EURO,
		.kg = kg,
		.amount_micros = euros * EURO * kg / 1000,
		.trades = 1,
		.position = 1};
	struct store_change change = {.collection = &candles_collection, .row = &row, .verb = STORE_PUT};
	assert_int_equal(store_write_views(place.store, &change, 1, &world.info), ERR_OK);
}

static struct class_price price_at(int64_t now_us, int64_t minutes)
{
	struct class_price price;
	assert_int_equal(engine_price_of_class(
				 place.store, 1, now_us, minutes * CLOCK_US_PER_MINUTE, arena, &price, &world.info),
		ERR_OK);
	return price;
}

/* Each price counts for as long as it was the last one. */
static void a_mean_over_time_and_one_by_quantity(void **state)
{
	(void)state;
	int64_t ten = WORLD_FIRST_DAY - 365 * CLOCK_US_PER_DAY + 10 * CLOCK_US_PER_HOUR;
	int64_t eleven = ten + CLOCK_US_PER_HOUR;
	struct class_price price = price_at(eleven, 60);
	assert_int_equal(price.twap_micros, FIELD_ABSENT); /* nothing was known then */
	assert_int_equal(price.stale, PRICE_NO_TRADES);
	candle_put(ten + 30 * CLOCK_US_PER_MINUTE, 80, 1000);
	price = price_at(eleven, 60);
	assert_int_equal(price.twap_micros, 80 * EURO); /* over the half of it where a price was known */
	candle_put(ten - 10 * CLOCK_US_PER_MINUTE, 50, 4000);
	candle_put(ten + 45 * CLOCK_US_PER_MINUTE, 110, 2000);
	price = price_at(eleven, 60);
	assert_int_equal(price.twap_micros, 72500000);   /* 30 minutes of 50, 15 of 80, 15 of 110 */
	assert_int_equal(price.vwap_micros, 100 * EURO); /* (80 + 2 × 110) for 3 tonnes */
	assert_int_equal(price.high_micros, 115 * EURO);
	assert_int_equal(price.low_micros, 75 * EURO);
	assert_int_equal(price.kg, 3000);
	assert_int_equal(price.trades, 2);
	assert_int_equal(price.stale, PRICE_FEW_TRADES);
	assert_int_equal(price_at(eleven, 20).twap_micros, 102500000); /* 5 minutes of 80, 15 of 110 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(an_order_from_placing_to_its_end),
		cmocka_unit_test(depth_is_by_price_and_knows_nothing_hidden), cmocka_unit_test(a_stop_sleeps_and_wakes),
		cmocka_unit_test(a_mean_over_time_and_one_by_quantity)};
	return cmocka_run_group_tests(tests, start, stop);
}
