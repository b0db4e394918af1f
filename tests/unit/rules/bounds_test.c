/* What one command may do at most (decision 8; "What an order does when it comes" and "Changing and ending" in docs/MARKET.md, the limits
 * of docs/AUCTIONS.md, POOLS.md and ESCROW.md): 256 ranges, 64 trades, so many auctions, bids, pools and batches. What is more is
 * refused where it could not be done whole, and goes on by itself where it can. */
#include "trading.h"

static enum err quickly(
	struct command *command) /* without a fault at each event: for what is done thousands of times */
{
	at.world.now_us += 1000;
	command->id = world_id(&at.world);
	return world_execute(&at.world, command);
}

/* Gives `count` ranges of `length` kilograms each, with as much between them. */
static void scatter(int org, int64_t first, int count, int64_t length)
{
	struct serial_range ranges[EVENTS_RANGES_MAX];
	struct command command = world_command(&at.world, COMMAND_TRANSFER, SELLER);
	for (int i = 0; i < count; i++)
		ranges[i] = (struct serial_range){at.batch, first + 2 * length * i, length};
	command.transfer.to = at.world.orgs[org];
	command.lists = (struct record_lists){.ranges = ranges, .range_count = (size_t)count};
	must(&command);
}

/* OTHER has nothing but what is scattered. */
static void empty_other(void)
{
	assert_int_equal(world_transfer(&at.world, OTHER, 5, at.batch, kg_of(OTHER, KG_HELD)), ERR_OK);
}

static void must_be_too_large(struct command command, const char *pointer)
{
	assert_int_equal(give(&command), ERR_COMMAND_TOO_LARGE);
	assert_string_equal(at.world.info.pointer, pointer);
}

static struct command amendment(int org, struct id order, int64_t kg)
{
	struct command command = world_command(&at.world, COMMAND_ORDER_AMEND, org);
	command.order_amend = (struct command_order_amend){.order = order, .kg = kg};
	return command;
}

/* An order's kilograms lie in 256 ranges at most when they are listed; it may be lowered as far as 256 ranges reach. */
static void orders_of_more_ranges(void **state)
{
	(void)state;
	empty_other();
	scatter(OTHER, 700000, 250, 4);
	scatter(OTHER, 720000, 250, 4);
	must_be_too_large(order(OTHER, ORDER_SELL, PRICE, 2000), "/kg");
	struct id id = place(OTHER, ORDER_SELL, PRICE, 1000); /* 250 of them */
	struct command raise = amendment(OTHER, id, 2000);
	must(&raise);
	follow();
	scatter(OTHER, 900000, 1, 1000);
	raise = amendment(OTHER, id, 3000);
	must(&raise);
	follow();
	must_be_too_large(amendment(OTHER, id, 1000), "/kg");
	struct command lower = amendment(OTHER, id, 2000);
	must(&lower);
}

/* A fok order that would take more than 64 trades is refused before anything happens. */
static void a_fok_order_of_more_trades(void **state)
{
	(void)state;
	for (int i = 0; i <= MARKET_TRADES_MOST; i++)
		place(SELLER, ORDER_SELL, PRICE, 1000);
	struct command command = order(BUYER, ORDER_BUY, PRICE, 1000 * (MARKET_TRADES_MOST + 1));
	command.order_place.tif = ORDER_FOK;
	must_be_too_large(command, "/kg");
	command.order_place.kg -= 1000;
	must(&command);
	assert_int_equal(open_orders(), 1);
}

/* Its serials may lie in more ranges than it can be filled from at once: refused as well. */
static void a_fok_order_of_more_ranges(void **state)
{
	(void)state;
	empty_other();
	scatter(OTHER, 700000, 250, 4);
	scatter(OTHER, 720000, 250, 4);
	place(SELLER, ORDER_SELL, PRICE, 1000);
	place(OTHER, ORDER_SELL, PRICE, 1000);
	place(OTHER, ORDER_SELL, PRICE, 1000);
	struct command command = order(BUYER, ORDER_BUY, PRICE, 3000);
	command.order_place.tif = ORDER_FOK;
	must_be_too_large(command, "/kg");
	command.order_place.tif = ORDER_IOC; /* which goes on in an order_work; meanwhile it is not amended */
	must(&command);
	struct command work;
	assert_true(rules_due(at.world.rules, &work));
	struct command change = amendment(BUYER, command.id, 4000);
	assert_int_equal(give(&change), ERR_BUSY);
	follow();
	assert_int_equal(open_orders(), 0);
	assert_int_equal(kg_of(BUYER, KG_HELD), 100000 + 3000);
}

/* As many lots trade as lie in the ranges that are left to the command. */
static void a_part_trades_first(void **state)
{
	(void)state;
	empty_other();
	scatter(OTHER, 600000, 1, 1000);
	scatter(OTHER, 700000, 250, 4);
	struct id id = place(OTHER, ORDER_SELL, PRICE, 1000);
	struct command raise = amendment(OTHER, id, 2000);
	must(&raise);
	follow();
	scatter(OTHER, 720000, 250, 4);
	raise = amendment(OTHER, id, 3000);
	must(&raise);
	follow();
	struct command buy = order(BUYER, ORDER_BUY, PRICE, 3000);
	must(&buy);
	assert_true(kg_of(BUYER, KG_HELD) < 100000 + 3000);
	follow();
	assert_int_equal(kg_of(BUYER, KG_HELD), 100000 + 3000);
}

/* An order of OTHER that lies in 257 ranges, of which the first 256 make 1,000 kg of its 2,000; its serials begin at `first`. */
static struct id order_in_parts(int64_t first)
{
	scatter(OTHER, first, 1, 237);
	scatter(OTHER, first + 1000, 254, 3);
	scatter(OTHER, first + 9000, 1, 1);
	struct id id = place(OTHER, ORDER_SELL, PRICE, 1000);
	scatter(OTHER, first + 10000, 1, 1000);
	struct command raise = amendment(OTHER, id, 2000);
	must(&raise);
	follow();
	return id;
}

static struct command cancelling(int org, struct id order)
{
	struct command command = world_command(&at.world, COMMAND_ORDER_CANCEL, org);
	command.order_cancel.order = order;
	return command;
}

/* What is left of an order that ends in parts is no multiple of the lot, so that it is seen to end. */
static void an_order_that_ends_in_parts_is_seen_to_end(void **state)
{
	(void)state;
	empty_other();
	struct id id = order_in_parts(600000);
	struct command cancel = cancelling(OTHER, id);
	must(&cancel);
	assert_int_equal(kg_of(OTHER, KG_LISTED), 1001);
	follow();
	assert_int_equal(open_orders(), 0);
	assert_int_equal(kg_of(OTHER, KG_LISTED), 0);
}

/* And where that leaves a command nothing to take of it, the next takes all. */
static void what_ends_in_parts_waits_where_no_range_is_left(void **state)
{
	(void)state;
	empty_other();
	const uint64_t batch = at.batch;
	at.batch = world_issue(&at.world, SELLER, 24, 100000, NULL); /* another's serials are picked for themselves */
	scatter(OTHER, 0, 1, 238);
	scatter(OTHER, 1000, 254, 3);
	place(OTHER, ORDER_SELL, PRICE, 1000); /* in 255 ranges */
	at.batch = batch;
	struct id second = order_in_parts(600000);
	struct command cancel = cancelling(OTHER, second);
	must(&cancel);
	struct command all = world_command(&at.world, COMMAND_ORDER_CANCEL_ALL, OTHER);
	all.order_cancel_all.org = at.world.orgs[OTHER];
	must(&all); /* the one range that is left to it is of one kilogram, without which 1,000 were left */
	assert_int_equal(open_orders(), 1);
	assert_int_equal(kg_of(OTHER, KG_LISTED), 1001);
	follow();
	assert_int_equal(open_orders(), 0);
	assert_int_equal(kg_of(OTHER, KG_LISTED), 0);
}

/* A mass cancellation ends as many orders as one command may take out, the oldest first. */
static void orders_that_are_too_many_to_cancel_at_once(void **state)
{
	(void)state;
	struct command command = order(BUYER, ORDER_BUY, TICK, 1000);
	for (int i = 0; i < MARKET_CANCEL_MOST + 1; i++)
		assert_int_equal(quickly(&command), ERR_OK);
	struct command newest = cancelling(BUYER, command.id);
	command = world_command(&at.world, COMMAND_ORDER_CANCEL_ALL, BUYER);
	command.order_cancel_all.org = at.world.orgs[BUYER];
	assert_int_equal(quickly(&command), ERR_OK);
	assert_int_equal(open_orders(), 1);
	assert_int_equal(quickly(&newest), ERR_OK);
	assert_int_equal(open_orders(), 0);
}

/* What a copy of the state says to a record that nobody has decided. */
static enum err forged(uint16_t type, struct event event)
{
	struct err_info info;
	struct hash none = {{0}};
	struct rules *copy = rules_new(registry_id(rules_registry(at.world.rules)), 3);
	assert_int_equal(rules_snapshot(at.world.rules, 1, none, record_take, copy, NULL, &info), ERR_OK);
	event.header.type = type;
	event.header.number = rules_position(copy) + 1;
	event.header.time_us = at.world.now_us;
	enum err err = rules_apply(copy, &event, &info);
	rules_free(&copy);
	return err;
}

/* A record leaves no order that shows nothing, more than it has or less than nothing, nor moves what does not sleep. */
static void records_of_orders_that_cannot_be(void **state)
{
	(void)state;
	struct id rests = place(BUYER, ORDER_BUY, PRICE, 2000);
	struct command stop_ = order(BUYER, ORDER_BUY, 2 * PRICE, 1000);
	stop_.order_place.type = ORDER_STOP_LIMIT;
	stop_.order_place.stop_micros = 2 * PRICE;
	must(&stop_);
	struct event event = {
		.order_reduced = {
			.order = rests, .org = at.world.orgs[BUYER], .kg = 1000, .left_kg = 1000, .shown_kg = 1000}};
	assert_int_equal(forged(EVENT_ORDER_REDUCED, event), ERR_OK);
	event.order_reduced.shown_kg = 0;
	assert_int_equal(forged(EVENT_ORDER_REDUCED, event), ERR_JOURNAL_INVALID);
	event.order_reduced.shown_kg = 1001;
	assert_int_equal(forged(EVENT_ORDER_REDUCED, event), ERR_JOURNAL_INVALID);
	event.order_reduced.kg = 3000;
	event.order_reduced.left_kg = -1000;
	assert_int_equal(forged(EVENT_ORDER_REDUCED, event), ERR_JOURNAL_INVALID);
	event = (struct event){.order_trailed = {.order = rests, .stop_micros = PRICE}};
	assert_int_equal(forged(EVENT_ORDER_TRAILED, event), ERR_JOURNAL_INVALID);
	event.order_trailed.order = stop_.id; /* it sleeps, and does not trail */
	assert_int_equal(forged(EVENT_ORDER_TRAILED, event), ERR_JOURNAL_INVALID);
	event = (struct event){.order_woken = {.order = stop_.id, .price_micros = PRICE}};
	assert_int_equal(forged(EVENT_ORDER_WOKEN, event), ERR_OK);
}

/* Sell orders of SELLER, of which a kill switch leaves some over: it ends as many as lie in 256 ranges. */
static void kill_all_but_a_few(void)
{
	for (int i = 0; i < EVENTS_RANGES_MAX + 20; i++)
		place(SELLER, ORDER_SELL, PRICE, 1000);
	struct command command = world_command(&at.world, COMMAND_ORDER_CANCEL_ALL, -1);
	command.order_cancel_all = (struct command_order_cancel_all){.org = at.world.orgs[SELLER], .kill = 1};
	must(&command);
	assert_int_equal(open_orders(), 20);
}

static void what_the_kill_switch_leaves_over_trades_with_nobody(void **state)
{
	(void)state;
	kill_all_but_a_few();
	place(BUYER, ORDER_BUY, PRICE, 1000);
	assert_int_equal(kg_of(BUYER, KG_HELD), 100000);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0);
}

/* Nor in an auction. */
static void nor_in_an_auction(void **state)
{
	(void)state;
	struct command command = world_command(&at.world, COMMAND_MARKET_SCHEDULE, -1);
	command.market_schedule = (struct command_market_schedule){.market = 1, .auction_us = CLOCK_US_PER_MINUTE};
	must(&command);
	kill_all_but_a_few();
	command = world_command(&at.world, COMMAND_MARKET_HALT, -1);
	command.market_halt = (struct command_market_halt){.market = 1, .state = MARKET_HALTED};
	must(&command);
	command.market_halt.state = MARKET_OPEN; /* by an auction */
	must(&command);
	place(BUYER, ORDER_BUY, PRICE, 1000);
	struct command work = {.kind = COMMAND_ORDER_WORK, .source = COMMAND_SOURCE_ENGINE};
	work.order_work.order = world_id(&at.world);
	assert_int_equal(give(&work), ERR_ORDER_DONE); /* none trades while they are collected */
	tick_at(at.world.now_us + 2 * CLOCK_US_PER_MINUTE);
	follow();
	assert_int_equal(kg_of(BUYER, KG_HELD), 100000);
	assert_int_equal(kg_of(SELLER, KG_LISTED), 0);
	assert_int_equal(open_orders(), 1);
}

/* ---- auctions ---- */

static struct command auction(int org, enum auction_kind kind, int64_t kg, int64_t lot_kg)
{
	struct command command = world_command(&at.world, COMMAND_AUCTION_OPEN, org);
	command.auction_open = (struct command_auction_open){.market = 1,
		.batch = at.batch,
		.kg = kg,
		.lot_kg = lot_kg,
		.price_micros = PRICE,
		.ends_us = at.world.now_us + CLOCK_US_PER_DAY,
		.reveals_until_us = kind >= AUCTION_FIRST_PRICE ? at.world.now_us + 2 * CLOCK_US_PER_DAY : 0,
		.kind = (uint32_t)kind};
	return command;
}

static void bid(int org, int64_t kg, uint64_t number)
{
	struct hash nonce = {{(uint8_t)number}};
	struct command command = world_command(&at.world, COMMAND_BID_COMMIT, org);
	command.bid_commit = (struct command_bid_commit){.auction = 1,
		.commitment = market_commitment(1, at.world.orgs[org], kg, PRICE, nonce),
		.maximum_micros = PRICE};
	must(&command);
}

static void reveal(int org, int64_t kg, uint64_t number)
{
	struct command command = world_command(&at.world, COMMAND_BID_REVEAL, org);
	command.bid_reveal = (struct command_bid_reveal){
		.auction = 1, .bid = number, .kg = kg, .price_micros = PRICE, .nonce = {{(uint8_t)number}}};
	must(&command);
}

static void auctions_of_more_ranges(void **state)
{
	(void)state;
	empty_other();
	scatter(OTHER, 700000, 256, 2);
	scatter(OTHER, 720000, 1, 2);
	must_be_too_large(auction(OTHER, AUCTION_LISTING, 514, 1), "/kg");
	struct command command = auction(OTHER, AUCTION_LISTING, 512, 1);
	must(&command);
}

/* Bids are settled as far as 256 ranges reach; the next command goes on. */
static void bids_are_settled_in_parts(void **state)
{
	(void)state;
	empty_other();
	scatter(OTHER, 700000, 256, 2);
	struct command command = auction(OTHER, AUCTION_UNIFORM, 512, 1);
	must(&command);
	bid(BUYER, 255, 1);
	bid(SELLER, 257, 2);
	tick_at(at.world.now_us + CLOCK_US_PER_DAY);
	follow();
	reveal(BUYER, 255, 1);
	reveal(SELLER, 257, 2);
	int64_t had = kg_of(SELLER, KG_HELD);
	tick_at(at.world.now_us + CLOCK_US_PER_DAY);
	struct command work;
	assert_true(rules_due(at.world.rules, &work));
	must(&work);
	assert_int_equal(kg_of(BUYER, KG_HELD), 100000 + 255);
	assert_int_equal(kg_of(SELLER, KG_HELD), had); /* its serials are one range too many */
	follow();
	assert_int_equal(kg_of(SELLER, KG_HELD), had + 257);
	assert_int_equal(market_auction_count(rules_market(at.world.rules)), 0);
}

static void auctions_and_bids_that_are_too_many(void **state)
{
	(void)state;
	struct command command = auction(SELLER, AUCTION_FIRST_PRICE, 1, 1);
	assert_int_equal(quickly(&command), ERR_OK);
	struct command commit = world_command(&at.world, COMMAND_BID_COMMIT, BUYER);
	commit.bid_commit = (struct command_bid_commit){
		.auction = 1, .commitment = world_hash(&at.world), .maximum_micros = PRICE / 1000};
	struct command withdraw = world_command(&at.world, COMMAND_BID_WITHDRAW, BUYER);
	for (uint64_t i = 1; i <= AUCTION_COMMITS_MOST; i++) {
		withdraw.bid_withdraw = (struct command_bid_withdraw){.auction = 1, .bid = i};
		assert_int_equal(quickly(&commit), ERR_OK);
		assert_int_equal(quickly(&withdraw), ERR_OK);
	}
	assert_int_equal(quickly(&commit), ERR_OFFERS_FULL); /* with those that were withdrawn */
	command = auction(SELLER, AUCTION_LISTING, 1, 1);
	for (uint32_t i = 1; i < AUCTIONS_MOST; i++)
		assert_int_equal(quickly(&command), ERR_OK);
	assert_int_equal(quickly(&command), ERR_OFFERS_FULL);
	/* so many turn at a tick; the rest with the next */
	struct command tick = {.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
	at.world.now_us += CLOCK_US_PER_DAY;
	tick.tick.due_us = at.world.now_us;
	for (uint32_t left = AUCTIONS_MOST; left; left -= left < AUCTION_TURNS_MOST ? left : AUCTION_TURNS_MOST) {
		assert_int_equal(world_execute(&at.world, &tick), ERR_OK);
		struct command work;
		while (rules_due(at.world.rules, &work))
			assert_int_equal(world_execute(&at.world, &work), ERR_OK);
	}
	assert_int_equal(market_auction_count(rules_market(at.world.rules)), 0);
}

/* ---- pools ---- */

static struct command pool_open(void)
{
	struct command command = world_command(&at.world, COMMAND_POOL_OPEN, -1);
	command.pool_open.instrument = 1;
	return command;
}

static struct command pool_add(int org, uint64_t batch, int64_t kg)
{
	struct command command = world_command(&at.world, COMMAND_POOL_ADD, org);
	command.pool_add = (struct command_pool_add){.pool = 1, .batch = batch, .kg = kg, .maximum_micros = 10 * PRICE};
	return command;
}

static void pools_of_more_ranges(void **state)
{
	(void)state;
	struct command command = pool_open();
	must(&command);
	empty_other();
	for (int i = 0; i < 2; i++) {
		scatter(OTHER, 700000 + 20000 * i, 200, 4);
		command = pool_add(OTHER, at.batch, 800);
		must(&command);
	}
	command = world_command(&at.world, COMMAND_POOL_BUY, BUYER);
	command.pool_buy = (struct command_pool_buy){.pool = 1, .kg = 1100, .maximum_micros = 100 * PRICE};
	must_be_too_large(command, "/kg");
	command = world_command(&at.world, COMMAND_POOL_REDEEM, OTHER);
	command.pool_redeem = (struct command_pool_redeem){.pool = 1, .shares = 1};
	struct ledger_place place = {.org = at.world.orgs[OTHER]};
	command.pool_redeem.shares = ledger_amount(rules_ledger(at.world.rules), market_pool_shares(1), place);
	must_be_too_large(command, "/kg");
	for (int i = 0; i < 2; i++)
		scatter(OTHER, 740000 + 20000 * i, 200, 4);
	must_be_too_large(pool_add(OTHER, at.batch, 1600), "/kg");
}

static void pools_that_are_too_many(void **state)
{
	(void)state;
	struct command command = pool_open();
	for (int i = 0; i < POOLS_MOST; i++)
		assert_int_equal(quickly(&command), ERR_OK);
	assert_int_equal(quickly(&command), ERR_OFFERS_FULL);
	for (int i = 0; i <= POOL_BATCHES_MOST; i++) {
		uint64_t batch = world_issue(&at.world, OTHER, 1, 1000, NULL);
		command = pool_add(OTHER, batch, 10);
		command.pool_add.maximum_micros = TICK;
		assert_int_equal(quickly(&command), i < POOL_BATCHES_MOST ? ERR_OK : ERR_OFFERS_FULL);
	}
}

/* All of the reserve may leave, and not come back: then there is nothing against which more could be counted. */
static void a_reserve_that_is_suspended(void **state)
{
	(void)state;
	uint64_t second = world_issue(&at.world, OTHER, 24, 10000, NULL);
	struct command command = pool_open();
	must(&command);
	command = pool_add(SELLER, at.batch, 1000);
	must(&command);
	command = world_command(&at.world, COMMAND_BATCH_HOLD, -1);
	command.batch_hold = (struct command_batch_hold){.batch = at.batch, .reason_hash = world_hash(&at.world)};
	must(&command);
	follow();
	command = pool_add(OTHER, at.batch, 10);
	assert_int_equal(give(&command), ERR_POOL_PAUSED);
	command = world_command(&at.world, COMMAND_POOL_RESUME, -1);
	command.pool_resume.pool = 1;
	must(&command);
	command = pool_add(OTHER, second, 10);
	assert_int_equal(give(&command), ERR_POOL_LIQUIDITY);
	command = pool_add(OTHER, at.batch, 10); /* what was suspended comes back first */
	assert_int_equal(give(&command), ERR_POOL_PAUSED);
}

/* A price beyond what can be counted is none. */
static void a_pool_that_is_nearly_empty(void **state)
{
	(void)state;
	int64_t micros = 0;
	struct event_state_pool pool = {.reserve_kg = 1000000, .reserve_micros = POOL_MICROS_MAX / 2};
	assert_int_equal(market_pool_cost(&pool, 999999, false, &micros), ERR_POOL_LIQUIDITY);
	assert_int_equal(market_pool_cost(&pool, 1, false, &micros), ERR_OK);
	pool.reserve_micros = 0;
	assert_int_equal(market_pool_cost(&pool, 1, false, &micros), ERR_POOL_LIQUIDITY);
	assert_int_equal(market_pool_proceeds(&pool, 1), 0);
	assert_int_equal(market_pool_proceeds(&pool, 0), 0);
	assert_int_equal(market_pool_proceeds(&pool, MARKET_KG_MAX + 1), 0);
	pool.reserve_kg = 0;
	assert_int_equal(market_pool_proceeds(&pool, 1), 0);
}

/* ---- contracts ---- */

static struct delivery rows[1];

static struct id contract(int seller, int buyer, int64_t kg)
{
	rows[0] = (struct delivery){.due_us = at.world.now_us + 2 * CLOCK_US_PER_DAY, .kg = kg, .price_micros = PRICE};
	struct command command = world_command(&at.world, COMMAND_OFFTAKE_OFFER, seller);
	command.offtake_offer = (struct command_offtake_offer){.seller = at.world.orgs[seller],
		.buyer = at.world.orgs[buyer],
		.currency = at.currency,
		.instrument = 1,
		.expires_us = at.world.now_us + CLOCK_US_PER_DAY};
	command.lists = (struct record_lists){.deliveries = rows, .delivery_count = 1};
	must(&command);
	struct command accept = world_command(&at.world, COMMAND_OFFTAKE_ACCEPT, buyer);
	accept.offtake_accept.contract = command.id;
	must(&accept);
	return command.id;
}

/* A delivery of more than 256 ranges is of as much as they hold; the rest stays open. */
static void deliveries_of_more_ranges(void **state)
{
	(void)state;
	empty_other();
	for (int i = 0; i < 2; i++)
		scatter(OTHER, 700000 + 20000 * i, 200, 4);
	struct command deliver = world_command(&at.world, COMMAND_OFFTAKE_DELIVER, OTHER);
	deliver.offtake_deliver = (struct command_offtake_deliver){
		.contract = contract(OTHER, BUYER, 1600), .batch = at.batch, .kg = 1600};
	must(&deliver);
	assert_int_equal(kg_of(BUYER, KG_HELD), 100000 + 256 * 4);
	deliver.offtake_deliver.kg = 1600 - 256 * 4;
	must(&deliver);
	assert_int_equal(kg_of(BUYER, KG_HELD), 100000 + 1600);
	assert_int_equal(cash(OTHER), INT64_C(100000000000) + PRICE * 16 / 10);
}

/* To a buyer whose account was closed nothing is delivered: it was tendered. */
static void a_buyer_whose_account_is_closed(void **state)
{
	(void)state;
	struct id id = contract(SELLER, 4, 100);
	struct command command = world_command(&at.world, COMMAND_ACCOUNT_CLOSE, -1);
	command.account_close =
		(struct command_account_close){.org = at.world.orgs[4], .reason_hash = world_hash(&at.world)};
	must(&command);
	command = world_command(&at.world, COMMAND_OFFTAKE_DELIVER, SELLER);
	command.offtake_deliver = (struct command_offtake_deliver){.contract = id, .batch = at.batch, .kg = 100};
	must(&command);
	assert_int_equal(world_kg(&at.world, 4, at.batch, KG_HELD), 0);
	struct command work = {.kind = COMMAND_ESCROW_WORK, .source = COMMAND_SOURCE_ENGINE, .escrow_work.item = id};
	assert_int_equal(give(&work), ERR_ESCROW_DONE); /* its make-good is not over */
}

/* A batch of SELLER, issued with a fault at each of its events first. */
static uint64_t issued(int64_t kg, int64_t buffer_kg)
{
	struct claim_run run;
	struct command command = world_submission(&at.world, SELLER, at.world.next_hour[SELLER], 24, kg, &run);
	command.period_submit.buffer_kg = buffer_kg;
	struct id period = command.period_submit.period;
	struct hash root = command.period_submit.evidence_root;
	must(&command);
	command = world_attestation(&at.world, 3, period, root);
	must(&command);
	command = world_command(&at.world, COMMAND_PERIOD_ISSUE, -1);
	command.period_issue.period = period;
	must(&command);
	return at.world.result.number;
}

/* An issue calls the contracts of the seller, and is undone with them. */
static void an_issue_is_undone_with_its_call(void **state)
{
	(void)state;
	(void)contract(SELLER, BUYER, 100);
	const uint64_t batch = issued(10000, 200);
	follow();
	assert_int_equal(world_kg(&at.world, BUYER, batch, KG_HELD), 100);
}

/* An issue of which the supplier gets nothing calls nothing: all of it is the buffer's. */
static void an_issue_of_nothing_calls_nothing(void **state)
{
	(void)state;
	(void)contract(SELLER, BUYER, 100);
	const uint64_t batch = issued(100, 100);
	struct command work;
	assert_false(rules_due(at.world.rules, &work));
	assert_int_equal(world_kg(&at.world, SELLER, batch, KG_HELD), 0);
}

/* ---- money ---- */

#define MOST LEDGER_MICROS_MAX

static void pay(int from, int to, int64_t micros)
{
	struct command command = world_command(&at.world, COMMAND_MONEY_TRANSFER, from);
	command.money_transfer = (struct command_money_transfer){
		.to = at.world.orgs[to], .currency = at.currency, .amount_micros = micros};
	must(&command);
}

/* A prepayment that its contract could no longer count goes back. */
static void a_credit_that_cannot_be_counted(void **state)
{
	(void)state;
	struct id id = contract(SELLER, BUYER, 1000);
	deposit(BUYER, MOST);
	for (int i = 0; i < 10; i++) {
		struct command command = world_command(&at.world, COMMAND_ESCROW_OPEN, BUYER);
		command.escrow_open = (struct command_escrow_open){.payer = at.world.orgs[BUYER],
			.payee = at.world.orgs[SELLER],
			.contract = id,
			.currency = at.currency,
			.amount_micros = MOST,
			.expires_us = at.world.now_us + CLOCK_US_PER_DAY};
		must(&command);
		follow();
		assert_int_equal(cash(BUYER), i < 9 ? INT64_C(100000000000) : MOST + INT64_C(100000000000));
		if (i < 9)
			pay(SELLER, BUYER, MOST);
	}
}

/* What may leave in a day is counted as far as one can count. */
static void a_day_of_more_than_can_be_counted(void **state)
{
	(void)state;
	struct command command = world_command(&at.world, COMMAND_ACCOUNT_LIMIT, BUYER);
	command.account_limit = (struct command_account_limit){.org = at.world.orgs[BUYER],
		.currency = at.currency,
		.lowest_micros = 1,
		.reserved_micros = -1,
		.daily_micros = -1};
	must(&command);
	deposit(BUYER, MOST);
	for (int i = 0; i < 10; i++) {
		pay(BUYER, SELLER, MOST);
		pay(SELLER, BUYER, MOST);
	}
	command.account_limit.daily_micros = MOST;
	must(&command);
	command = world_command(&at.world, COMMAND_MONEY_TRANSFER, BUYER);
	command.money_transfer = (struct command_money_transfer){
		.to = at.world.orgs[SELLER], .currency = at.currency, .amount_micros = 1};
	assert_int_equal(give(&command), ERR_LIMIT_DAILY);
}

/* All of a currency is at most what can be counted, wherever it lies. */
static void a_currency_of_more_than_can_be_counted(void **state)
{
	(void)state;
	struct command command = world_command(&at.world, COMMAND_MONEY_DEPOSIT, -1);
	command.money_deposit = (struct command_money_deposit){.currency = at.currency};
	assert_true(code8_set(&command.money_deposit.currency, "JPY"));
	for (int i = 0; i < 9; i++) {
		command.money_deposit.to = at.world.orgs[i % 2];
		command.money_deposit.amount_micros = MOST;
		must(&command);
	}
	command.money_deposit.amount_micros = INT64_MAX - 9 * MOST + 1;
	assert_int_equal(give(&command), ERR_MONEY_OVERFLOW);
	command.money_deposit.amount_micros--;
	must(&command);
	command.money_deposit.amount_micros = 1;
	assert_int_equal(give(&command), ERR_MONEY_OVERFLOW);
}

/* Rates of one provider for several pairs; what is got for an amount may be more than can be counted. */
static void rates_and_conversions(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {{"EUR", "USD"}, {"USD", "EUR"}, {"EUR", "CHF"}};
	struct command offer;
	for (int i = 0; i < 3; i++) {
		offer = world_command(&at.world, COMMAND_RATE_OFFER, SELLER);
		offer.rate_offer = (struct command_rate_offer){.rate_nanos = INT64_C(1000000000000000000),
			.quoted_us = at.world.now_us,
			.expires_us = at.world.now_us + CLOCK_US_PER_DAY};
		assert_true(code8_set(&offer.rate_offer.from, pairs[i][0]) &&
			    code8_set(&offer.rate_offer.to, pairs[i][1]) &&
			    code32_set(&offer.rate_offer.source, "test"));
		must(&offer);
	}
	struct command convert = world_command(&at.world, COMMAND_MONEY_CONVERT, BUYER);
	convert.money_convert = (struct command_money_convert){.provider = at.world.orgs[SELLER],
		.from = offer.rate_offer.from,
		.to = offer.rate_offer.to,
		.amount_micros = MOST};
	assert_int_equal(give(&convert), ERR_MONEY_OVERFLOW);
	convert.org = (struct id){{0}};
	assert_int_equal(give(&convert), ERR_FORBIDDEN);
	offer.org = (struct id){{0}};
	assert_int_equal(give(&offer), ERR_FORBIDDEN);
	offer.org = at.world.orgs[SELLER];
	offer.rate_offer.to = offer.rate_offer.from;
	assert_int_equal(give(&offer), ERR_CURRENCY_INVALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {TEST(orders_of_more_ranges), TEST(a_fok_order_of_more_trades),
		TEST(a_fok_order_of_more_ranges), TEST(a_part_trades_first),
		TEST(an_order_that_ends_in_parts_is_seen_to_end), TEST(what_ends_in_parts_waits_where_no_range_is_left),
		TEST(records_of_orders_that_cannot_be), TEST(orders_that_are_too_many_to_cancel_at_once),
		TEST(what_the_kill_switch_leaves_over_trades_with_nobody), TEST(nor_in_an_auction),
		TEST(auctions_of_more_ranges), TEST(bids_are_settled_in_parts),
		TEST(auctions_and_bids_that_are_too_many), TEST(pools_of_more_ranges), TEST(pools_that_are_too_many),
		TEST(a_reserve_that_is_suspended), TEST(a_pool_that_is_nearly_empty), TEST(deliveries_of_more_ranges),
		TEST(a_buyer_whose_account_is_closed), TEST(an_issue_is_undone_with_its_call),
		TEST(an_issue_of_nothing_calls_nothing), TEST(a_credit_that_cannot_be_counted),
		TEST(a_day_of_more_than_can_be_counted), TEST(a_currency_of_more_than_can_be_counted),
		TEST(rates_and_conversions)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
