/* Purchases, from docs/ROUTING.md: what is bought where, for how much, what is refused, and what is retired of it. As market_test: each
 * command is tried with a fault at each of its events first, a replica replays every event (P8), and P1, P2 and P3 hold after each. */
#include "trading.h"

static struct event explained[256]; /* what the last command wrote */
static size_t explained_count;
static struct serial_range bought[EVENTS_RANGES_MAX], retired[EVENTS_RANGES_MAX];
static size_t bought_count, retired_count;

static void explain(void)
{
	explained_count = bought_count = retired_count = 0;
	for (size_t from = 0, length; from < at.world.output.size; from += length) {
		struct event *event = &explained[explained_count++];
		assert_int_equal(event_decode(at.world.output.bytes + from, at.world.output.size - from,
					 at.world.scratch, event, &length, &at.world.info),
			ERR_OK);
		uint16_t type = event->header.type;
		bool buys = type == EVENT_TRADED || type == EVENT_AUCTION_TAKEN || type == EVENT_POOL_BOUGHT;
		for (size_t i = 0; i < event->lists.range_count; i++)
			if (buys)
				bought[bought_count++] = event->lists.ranges[i];
			else if (type == EVENT_RETIRED)
				retired[retired_count++] = event->lists.ranges[i];
	}
}

static const struct event *said(uint16_t type, int nth)
{
	for (size_t i = 0; i < explained_count; i++)
		if (explained[i].header.type == type && nth-- == 0)
			return &explained[i];
	return NULL;
}

static const struct event_purchased *whole(void)
{
	const struct event *event = said(EVENT_PURCHASED, 0);
	assert_non_null(event);
	return &event->purchased;
}

static const struct event_purchase_part *part(int nth)
{
	const struct event *event = said(EVENT_PURCHASE_PART, nth);
	return event ? &event->purchase_part : NULL;
}

static struct command purchase(int org, int64_t kg, int64_t maximum)
{
	struct command command = world_command(&at.world, COMMAND_PURCHASE, org);
	command.purchase = (struct command_purchase){.instrument = 1, .kg = kg, .maximum_micros = maximum};
	return command;
}

/* Carries it out, and holds it against the buyer's accounts and against what it says of itself. */
static void buys(struct command *command, int org)
{
	struct id buyer = at.world.orgs[org];
	int64_t had = cash(org), kept = money_of(at.house, KG_HELD), reserved = money_of(buyer, KG_RESERVED);
	must(command);
	explain();
	int64_t kg = 0, micros = 0, fees = 0;
	for (uint32_t i = 0; i < whole()->parts; i++) {
		assert_non_null(part((int)i));
		assert_int_equal(part((int)i)->part, i + 1);
		assert_true(part((int)i)->unit_micros <= whole()->marginal_micros);
		kg += part((int)i)->kg;
		micros += part((int)i)->micros;
		fees += part((int)i)->fee_micros;
	}
	assert_null(part((int)whole()->parts));
	assert_int_equal(whole()->kg, kg);
	assert_int_equal(whole()->micros, micros);
	assert_int_equal(whole()->fee_micros, fees);
	assert_true(micros <= command->purchase.maximum_micros);
	assert_int_equal(had - cash(org), micros);
	assert_int_equal(money_of(buyer, KG_RESERVED), reserved);
	assert_true(money_of(at.house, KG_HELD) >= kept + fees);
}

static enum err refusal(struct command command)
{
	struct hash before = world_state(at.world.rules);
	enum err err = give(&command);
	struct hash after = world_state(at.world.rules);
	assert_memory_equal(&before, &after, sizeof before);
	return err;
}

static uint64_t offer(enum auction_kind kind, int64_t price, int64_t kg)
{
	struct command command = world_command(&at.world, COMMAND_AUCTION_OPEN, SELLER);
	command.auction_open = (struct command_auction_open){
		.market = 1, .batch = at.batch, .kg = kg, .lot_kg = 1, .price_micros = price, .kind = (uint32_t)kind};
	if (kind == AUCTION_DUTCH) {
		command.auction_open.floor_micros = price - 20 * TICK;
		command.auction_open.step_micros = 10 * TICK;
		command.auction_open.interval_us = CLOCK_US_PER_HOUR;
		command.auction_open.ends_us = at.world.now_us + CLOCK_US_PER_DAY;
	} else if (kind != AUCTION_LISTING) {
		command.auction_open.ends_us = at.world.now_us + CLOCK_US_PER_DAY;
		command.auction_open.reveals_until_us = at.world.now_us + 2 * CLOCK_US_PER_DAY;
	}
	must(&command);
	return at.world.result.number;
}

static void open_pool(uint64_t instrument, uint64_t batch, int org, int64_t kg, int64_t micros)
{
	struct command command = world_command(&at.world, COMMAND_POOL_OPEN, -1);
	command.pool_open = (struct command_pool_open){.instrument = instrument, .fee_ppm = 3000, .chosen_ppm = 10000};
	must(&command);
	uint64_t pool = at.world.result.number;
	command = world_command(&at.world, COMMAND_POOL_ADD, org);
	command.pool_add = (struct command_pool_add){.pool = pool, .batch = batch, .kg = kg, .maximum_micros = micros};
	must(&command);
}

/* A book from 102 on, a listing at 101, a dutch auction from 120 on, a pool from 100 on, and sealed bids. */
static int start_sources(void **state)
{
	start(state);
	place(SELLER, ORDER_SELL, PRICE + 2 * TICK, 3000);
	place(SELLER, ORDER_SELL, PRICE + 2 * TICK, 2000);
	place(SELLER, ORDER_SELL, PRICE + 4 * TICK, 10000);
	offer(AUCTION_LISTING, PRICE + TICK, 1500);
	offer(AUCTION_DUTCH, PRICE + 20 * TICK, 5000);
	offer(AUCTION_UNIFORM, PRICE / 2, 100000);
	open_pool(1, at.batch, SELLER, 100000, 100 * PRICE);
	return 0;
}

/* ---- the split ---- */

static void a_purchase_is_bought_where_it_is_cheapest(void **state)
{
	(void)state;
	struct command command = purchase(BUYER, 8000, 9 * PRICE);
	buys(&command, BUYER);
	/* the pool up to the price of the book, the listing whole, one level of the book for the rest */
	assert_int_equal(whole()->parts, 3);
	assert_int_equal(part(0)->source, ROUTE_BOOK);
	assert_int_equal(part(0)->kg, 5000);
	assert_int_equal(part(0)->price_micros, PRICE + 2 * TICK);
	assert_int_equal(part(1)->source, ROUTE_LISTING);
	assert_int_equal(part(1)->kg, 1500);
	assert_int_equal(part(2)->source, ROUTE_POOL);
	assert_int_equal(part(2)->kg, 1500);
	assert_int_equal(part(2)->fee_micros, 0);
	assert_int_equal(whole()->asked_kg, 8000);
	assert_int_equal(whole()->market, 1);
	/* 3,000 and 2,000 kg at 102, 1,500 at 101: half a percent in each, rounded up */
	assert_int_equal(
		whole()->fee_micros, 3 * 102 * TICK / 200 + 2 * 102 * TICK / 200 + (3 * 101 * TICK / 2 + 199) / 200);
	assert_int_equal(kg_of(BUYER, KG_HELD), 108000);
}

static void a_dutch_auction_is_a_source_at_its_price_of_now(void **state)
{
	(void)state;
	struct command command = purchase(BUYER, 3000, 9 * PRICE);
	buys(&command, BUYER);
	for (uint32_t i = 0; i < whole()->parts; i++)
		assert_int_not_equal(part((int)i)->source, ROUTE_DUTCH);
	tick_at(at.world.now_us + 3 * CLOCK_US_PER_HOUR); /* it is at 100, its floor */
	command = purchase(BUYER, 3000, 9 * PRICE);
	buys(&command, BUYER);
	assert_int_equal(part(0)->source, ROUTE_DUTCH);
	assert_int_equal(part(0)->price_micros, PRICE);
}

static void sealed_bids_are_never_a_source(void **state)
{
	(void)state;
	struct command command = purchase(BUYER, 0, 300 * PRICE); /* far more than all there is at a price */
	command.purchase.limit_micros = PRICE + 30 * TICK;
	buys(&command, BUYER);
	for (uint32_t i = 0; i < whole()->parts; i++)
		assert_true(part((int)i)->number != 3 || part((int)i)->source == ROUTE_BOOK);
	const struct event_state_auction *sealed = market_auction(rules_market(at.world.rules), 3);
	assert_int_equal(sealed->left_kg, 100000);
	assert_null(market_auction(rules_market(at.world.rules), 1)); /* sold */
}

static void the_quantity_is_whole_or_refused_or_in_part(void **state)
{
	(void)state;
	struct command command = purchase(BUYER, 50000, 900 * PRICE);
	command.purchase.limit_micros = PRICE + 4 * TICK; /* with its fee the second level of the book is dearer */
	assert_int_equal(refusal(command), ERR_NOT_FILLABLE);
	command.purchase.partial = 1;
	buys(&command, BUYER);
	assert_true(whole()->kg < 50000 && whole()->kg > 6500);
	assert_int_equal(whole()->asked_kg, 50000);
	command = purchase(BUYER, 50000, 900 * PRICE);
	command.purchase.limit_micros = PRICE / 2;
	command.purchase.partial = 1;
	assert_int_equal(refusal(command), ERR_NOT_FILLABLE); /* nothing */
}

static void the_maximum_holds(void **state)
{
	(void)state;
	struct command command = purchase(BUYER, 8000, INT64_MAX);
	assert_int_equal(refusal(command), ERR_INVALID_FIELD);
	command = purchase(BUYER, 8000, 8 * PRICE); /* it costs some 820 */
	assert_int_equal(refusal(command), ERR_PRICE_LIMIT);
	command.purchase.partial = 1;
	buys(&command, BUYER);
	assert_in_range(whole()->kg, 7700, 7999);
	assert_true(whole()->micros > 8 * PRICE - PRICE / 5);
}

static void a_maximum_alone_buys_what_it_can(void **state)
{
	(void)state;
	struct command command = purchase(BUYER, 0, PRICE);
	buys(&command, BUYER);
	assert_in_range(whole()->kg, 985, 995); /* the pool's price and fee */
	assert_int_equal(whole()->asked_kg, 0);
	command = purchase(BUYER, 0, 1);
	assert_int_equal(refusal(command), ERR_NOT_FILLABLE);
}

static void a_purchase_is_over_at_its_time(void **state)
{
	(void)state;
	struct command command = purchase(BUYER, 1000, 9 * PRICE);
	command.purchase.expires_us = at.world.now_us + CLOCK_US_PER_SECOND; /* when it comes */
	assert_int_equal(refusal(command), ERR_QUOTE_EXPIRED);
	command.purchase.expires_us = at.world.now_us + 2 * CLOCK_US_PER_SECOND + 1;
	buys(&command, BUYER);
}

static void only_what_the_instrument_takes_is_bought(void **state)
{
	(void)state;
	uint64_t other = another_class();
	struct command command = world_command(&at.world, COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list = (struct command_instrument_list){.market = 1};
	assert_true(code32_set(&command.instrument_list.code, "NORWAY"));
	assert_true(code8_set(&command.instrument_list.country, "NO"));
	must(&command);
	uint64_t norway = at.world.result.number;
	command = purchase(BUYER, 1000, 9 * PRICE);
	command.purchase.instrument = norway;
	assert_int_equal(refusal(command), ERR_NOT_FILLABLE);
	open_pool(1, other, OTHER, 10000, 20 * PRICE); /* takes anything, holds this alone, and is dear */
	buys(&command, BUYER);
	assert_int_equal(part(0)->source, ROUTE_POOL);
	assert_int_equal(part(0)->number, 2);
	struct command add = world_command(&at.world, COMMAND_POOL_ADD, SELLER);
	add.pool_add = (struct command_pool_add){.pool = 2, .batch = at.batch, .kg = 10, .maximum_micros = PRICE};
	must(&add);
	command.purchase.kg = 999;
	assert_int_equal(refusal(command), ERR_NOT_FILLABLE); /* now it may give something else */
	open_pool(norway, other, OTHER, 10000, 20 * PRICE);
	buys(&command, BUYER);
	assert_int_equal(part(0)->number, 3);
	command.purchase.instrument = 99;
	assert_int_equal(refusal(command), ERR_NOT_FOUND);
}

static void own_orders_are_not_bought_and_those_with_a_minimum_are_passed_over(void **state)
{
	(void)state;
	place(BUYER, ORDER_SELL, PRICE, 1000); /* the buyer's own, and the cheapest */
	struct command order_ = order(SELLER, ORDER_SELL, PRICE, 5000);
	order_.order_place.minimum_kg = 5000;
	must(&order_);
	struct command command = purchase(BUYER, 2000, 9 * PRICE);
	buys(&command, BUYER);
	for (uint32_t i = 0; i < whole()->parts; i++)
		assert_true(part((int)i)->price_micros > PRICE);
	command = purchase(BUYER, 1000, 9 * PRICE);
	command.purchase.limit_micros = PRICE;
	assert_int_equal(refusal(command), ERR_NOT_FILLABLE);
	command = purchase(SELLER, 3000, 9 * PRICE); /* whose are the book and the listing, but for one order */
	buys(&command, SELLER);
	for (uint32_t i = 0; i < whole()->parts; i++)
		assert_true(part((int)i)->source == ROUTE_POOL ||
			    (part((int)i)->source == ROUTE_BOOK && part((int)i)->price_micros == PRICE));
}

static void who_may_not_trade_does_not_buy(void **state)
{
	(void)state;
	struct command command = purchase(BUYER, 1000, 9 * PRICE);
	struct command halt = world_command(&at.world, COMMAND_MARKET_HALT, -1);
	halt.market_halt = (struct command_market_halt){.market = 1, .state = MARKET_HALTED};
	must(&halt);
	assert_int_equal(refusal(command), ERR_MARKET_CLOSED);
	halt.market_halt.state = MARKET_OPEN;
	must(&halt);
	struct command stopped = world_command(&at.world, COMMAND_ORDER_CANCEL_ALL, BUYER);
	stopped.order_cancel_all = (struct command_order_cancel_all){.org = at.world.orgs[BUYER], .kill = 1};
	must(&stopped);
	assert_int_equal(refusal(command), ERR_TRADER_STOPPED);
	stopped.order_cancel_all.kill = 2;
	must(&stopped);
	struct command hold = world_command(&at.world, COMMAND_ACCOUNT_HOLD, -1);
	hold.account_hold =
		(struct command_account_hold){.org = at.world.orgs[BUYER], .reason_hash = world_hash(&at.world)};
	must(&hold);
	assert_int_equal(refusal(command), ERR_ACCOUNT_HELD);
	command = purchase(4, 1000, 9 * PRICE); /* has no money */
	assert_int_equal(refusal(command), ERR_INSUFFICIENT_FUNDS);
}

static void what_goes_on_in_another_command_is_not_bought(void **state)
{
	(void)state;
	for (int i = 0; i < 70; i++) /* more trades than a command may make */
		place(SELLER, ORDER_SELL, PRICE - 50 * TICK, 1000);
	struct command command = purchase(BUYER, 64000, 900 * PRICE);
	buys(&command, BUYER);
	assert_int_equal(whole()->parts, 1);
	assert_int_equal(part(0)->kg, 64000);
	command = purchase(BUYER, 6000, 900 * PRICE); /* the rest of them */
	buys(&command, BUYER);
	for (int i = 0; i < 70; i++) /* more levels than a purchase may have parts */
		place(SELLER, ORDER_SELL, PRICE - (80 - i) * TICK, 1000);
	command = purchase(BUYER, 68000, 900 * PRICE);
	assert_int_equal(refusal(command), ERR_COMMAND_TOO_LARGE);
}

/* Orders of OTHER at `prices`, each of 1,000 kg in 250 ranges. */
static void scattered_orders(const int64_t prices[2])
{
	assert_int_equal(world_transfer(&at.world, OTHER, 5, at.batch, kg_of(OTHER, KG_HELD)), ERR_OK);
	for (int i = 0; i < 2; i++) {
		struct serial_range ranges[250];
		struct command give_ = world_command(&at.world, COMMAND_TRANSFER, SELLER);
		for (int r = 0; r < 250; r++)
			ranges[r] = (struct serial_range){at.batch, 700000 + 20000 * i + 8 * r, 4};
		give_.transfer.to = at.world.orgs[OTHER];
		give_.lists = (struct record_lists){.ranges = ranges, .range_count = 250};
		must(&give_);
		place(OTHER, ORDER_SELL, prices[i], 1000);
	}
}

static void what_lies_in_too_many_ranges_is_not_bought(void **state)
{
	(void)state;
	scattered_orders((int64_t[]){PRICE / 2, PRICE / 2}); /* one part: its order would go on in another command */
	assert_int_equal(refusal(purchase(BUYER, 2000, 9 * PRICE)), ERR_NOT_FILLABLE);
	struct command command = purchase(BUYER, 1000, 9 * PRICE);
	buys(&command, BUYER);
}

static void nor_what_does_so_in_all_its_parts(void **state)
{
	(void)state;
	scattered_orders((int64_t[]){PRICE / 2, PRICE / 2 + TICK});
	assert_int_equal(refusal(purchase(BUYER, 2000, 9 * PRICE)), ERR_COMMAND_TOO_LARGE);
	struct command command = purchase(BUYER, 1000, 9 * PRICE);
	buys(&command, BUYER);
}

/* An order with a minimum is no source, and yet met by a part that is large enough: two fees are rounded up in place of one. */
static void the_maximum_holds_to_the_last_rounding(void **state)
{
	(void)state;
	struct command command = world_command(&at.world, COMMAND_MARKET_OPEN, -1);
	command.market_open = (struct command_market_open){
		.tick_micros = 1000, .lot_kg = 1000, .taker_ppm = 333, .collar_ppm = 50000, .kind = CREDIT_REMOVAL};
	assert_true(code8_set(&command.market_open.currency, "USD"));
	must(&command);
	command = world_command(&at.world, COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list.market = 2;
	assert_true(code32_set(&command.instrument_list.code, "DOLLARS"));
	must(&command);
	uint64_t dollars = at.world.result.number;
	command = world_command(&at.world, COMMAND_MONEY_DEPOSIT, -1);
	command.money_deposit = (struct command_money_deposit){.to = at.world.orgs[BUYER], .amount_micros = PRICE};
	assert_true(code8_set(&command.money_deposit.currency, "USD"));
	must(&command);
	for (int i = 0; i < 2; i++) { /* first 1,000 kg, all or none; then 2,000 */
		command = order(SELLER, ORDER_SELL, 100000, 1000 * (i + 1));
		command.order_place.market = 2;
		command.order_place.minimum_kg = i ? 0 : 1000;
		must(&command);
	}
	command = purchase(BUYER, 2000, 200000 + 67); /* 66.6 rounded up; twice 33.3 are 68 */
	command.purchase.instrument = dollars;
	assert_int_equal(refusal(command), ERR_PRICE_LIMIT);
	command.purchase.maximum_micros++;
	must(&command);
	explain();
	assert_int_equal(whole()->micros, 200000 + 68);
}

/* ---- retiring ---- */

static struct retirement_line line(int64_t kg)
{
	struct retirement_line made = {.kg = kg,
		.beneficiary_hash = world_hash(&at.world),
		.covered_from_us = WORLD_FIRST_DAY,
		.covered_to_us = WORLD_FIRST_DAY + 1,
		.purpose = PURPOSE_GIFT};
	code8_set(&made.country, "DE");
	return made;
}

static void lines_are(struct command *command, struct retirement_line *lines, size_t count)
{
	command->lists.lines = lines;
	command->lists.line_count = count;
}

/* What was retired is what was bought, kilogram by kilogram and in its order. */
static void bought_is_retired(void)
{
	size_t b = 0, r = 0;
	int64_t of_bought = 0, of_retired = 0;
	while (b < bought_count && r < retired_count) {
		assert_int_equal(bought[b].batch, retired[r].batch);
		assert_int_equal(bought[b].start + of_bought, retired[r].start + of_retired);
		int64_t left = bought[b].length - of_bought, other = retired[r].length - of_retired;
		int64_t both = left < other ? left : other;
		of_bought = both == left ? 0 : of_bought + both;
		of_retired = both == other ? 0 : of_retired + both;
		b += both == left;
		r += both == other;
	}
	assert_int_equal(b, bought_count);
	assert_int_equal(r, retired_count);
}

static void one_command_buys_and_retires(void **state)
{
	(void)state;
	struct retirement_line lines[] = {line(0)};
	struct command command = purchase(BUYER, 8000, 9 * PRICE);
	lines_are(&command, lines, 1);
	int64_t held = kg_of(BUYER, KG_HELD);
	buys(&command, BUYER);
	bought_is_retired();
	assert_int_equal(kg_of(BUYER, KG_HELD), held);
	assert_int_equal(kg_of(BUYER, KG_RETIRED), 8000);
	const struct event_retired *made = &said(EVENT_RETIRED, 0)->retired;
	assert_true(id_is_none(made->retirement)); /* its id is the command's */
	assert_int_equal(made->kg, 8000);
	assert_memory_equal(&made->beneficiary_hash, &lines[0].beneficiary_hash, sizeof(struct hash));
	assert_int_equal(at.world.result.number, made->number);
	/* as much as the maximum buys, and that is retired */
	command = purchase(BUYER, 0, PRICE);
	lines_are(&command, lines, 1);
	buys(&command, BUYER);
	bought_is_retired();
	assert_int_equal(said(EVENT_RETIRED, 0)->retired.kg, whole()->kg);
}

static void a_list_is_retired_line_by_line_or_not_at_all(void **state)
{
	(void)state;
	struct retirement_line lines[] = {line(1), line(4321), line(2500), line(1178)};
	struct command command = purchase(BUYER, 0, 9 * PRICE);
	lines_are(&command, lines, 4);
	buys(&command, BUYER);
	bought_is_retired();
	assert_int_equal(whole()->kg, 8000);
	assert_int_equal(whole()->lines, 4);
	for (int i = 0; i < 4; i++) {
		const struct event_retired *made = &said(EVENT_RETIRED, i)->retired;
		struct id id = ledger_linked_id(at.world.orgs[BUYER], command.id, (uint32_t)i);
		assert_int_equal(made->kg, lines[i].kg);
		assert_memory_equal(&made->retirement, &id, sizeof id);
		assert_memory_equal(&made->beneficiary_hash, &lines[i].beneficiary_hash, sizeof(struct hash));
	}
	assert_int_equal(kg_of(BUYER, KG_RETIRED), 8000);
	/* the list of a repeat is the list */
	struct command again = command;
	assert_int_equal(world_execute(&at.world, &again), ERR_OK);
	assert_true(at.world.result.repeated);
	lines[3].kg = 1177;
	assert_int_equal(world_execute(&at.world, &again), ERR_COMMAND_REUSED);
	assert_int_equal(kg_of(BUYER, KG_RETIRED), 8000);
}

static void a_line_is_refused_with_its_place(void **state)
{
	(void)state;
	struct retirement_line lines[EVENTS_LINES_MAX + 1];
	for (int i = 0; i <= EVENTS_LINES_MAX; i++)
		lines[i] = line(10);
	struct command command = purchase(BUYER, 0, 9 * PRICE);
	lines_are(&command, lines, EVENTS_LINES_MAX + 1);
	assert_int_equal(refusal(command), ERR_COMMAND_TOO_LARGE);
	lines_are(&command, lines, EVENTS_LINES_MAX);
	command.purchase.kg = 999; /* they come to 1,000 */
	assert_int_equal(refusal(command), ERR_INVALID_FIELD);
	command.purchase.kg = 0;
	command.purchase.partial = 1;
	assert_int_equal(refusal(command), ERR_INVALID_FIELD);
	command.purchase.partial = 0;
	lines[7].covered_to_us = lines[7].covered_from_us;
	assert_int_equal(refusal(command), ERR_INVALID_FIELD);
	assert_string_equal(at.world.info.pointer, "/lines/7/covered_to");
	lines[7] = line(10);
	lines[99].beneficiary_hash = (struct hash){{0}};
	assert_int_equal(refusal(command), ERR_MISSING_FIELD);
	assert_string_equal(at.world.info.pointer, "/lines/99/beneficiary");
	lines[99] = line(0);
	assert_int_equal(refusal(command), ERR_INVALID_FIELD);
	assert_string_equal(at.world.info.pointer, "/lines/99/kg");
	lines[99] = line(INT64_MAX);
	assert_int_equal(refusal(command), ERR_INVALID_FIELD);
	lines[99] = line(10);
	buys(&command, BUYER);
	bought_is_retired();
	assert_int_equal(said(EVENT_RETIRED, 99)->retired.number, 100);
	assert_null(said(EVENT_RETIRED, 100));
	assert_int_equal(kg_of(BUYER, KG_RETIRED), 1000);
}

static void what_may_not_be_retired_is_not_bought(void **state)
{
	(void)state;
	/* unsold kilograms of a reversed batch are suspended: its operator buys what others may sell, and may not retire it */
	place(OTHER, ORDER_SELL, PRICE / 2, 1000);
	struct command command = world_command(&at.world, COMMAND_BATCH_REVERSE, -1);
	command.batch_reverse =
		(struct command_batch_reverse){.batch = at.batch, .kg = 10, .reason_hash = world_hash(&at.world)};
	must(&command);
	follow();
	place(OTHER, ORDER_SELL, PRICE / 2, 1000);
	struct retirement_line lines[] = {line(1000)};
	struct command buy = purchase(SELLER, 0, PRICE);
	lines_are(&buy, lines, 1);
	assert_int_equal(refusal(buy), ERR_BATCH_HELD);
	lines_are(&buy, NULL, 0);
	buy.purchase.kg = 1000;
	buys(&buy, SELLER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_purchase_is_bought_where_it_is_cheapest, start_sources, stop),
		cmocka_unit_test_setup_teardown(a_dutch_auction_is_a_source_at_its_price_of_now, start_sources, stop),
		cmocka_unit_test_setup_teardown(sealed_bids_are_never_a_source, start_sources, stop),
		cmocka_unit_test_setup_teardown(the_quantity_is_whole_or_refused_or_in_part, start_sources, stop),
		cmocka_unit_test_setup_teardown(the_maximum_holds, start_sources, stop),
		cmocka_unit_test_setup_teardown(a_maximum_alone_buys_what_it_can, start_sources, stop),
		cmocka_unit_test_setup_teardown(a_purchase_is_over_at_its_time, start_sources, stop),
		cmocka_unit_test_setup_teardown(only_what_the_instrument_takes_is_bought, start_sources, stop),
		cmocka_unit_test_setup_teardown(
			own_orders_are_not_bought_and_those_with_a_minimum_are_passed_over, start_sources, stop),
		cmocka_unit_test_setup_teardown(who_may_not_trade_does_not_buy, start_sources, stop),
		cmocka_unit_test_setup_teardown(what_goes_on_in_another_command_is_not_bought, start_sources, stop),
		cmocka_unit_test_setup_teardown(what_lies_in_too_many_ranges_is_not_bought, start_sources, stop),
		cmocka_unit_test_setup_teardown(nor_what_does_so_in_all_its_parts, start_sources, stop),
		cmocka_unit_test_setup_teardown(the_maximum_holds_to_the_last_rounding, start, stop),
		cmocka_unit_test_setup_teardown(one_command_buys_and_retires, start_sources, stop),
		cmocka_unit_test_setup_teardown(a_list_is_retired_line_by_line_or_not_at_all, start_sources, stop),
		cmocka_unit_test_setup_teardown(a_line_is_refused_with_its_place, start_sources, stop),
		cmocka_unit_test_setup_teardown(what_may_not_be_retired_is_not_bought, start_sources, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
