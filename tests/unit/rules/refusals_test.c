/* What commands of the market are refused for, by the tables of docs/MARKET.md, AUCTIONS.md, POOLS.md and ESCROW.md, from the one
 * that would be taken: each row alters it in one thing, and names the error and the member of the request that it points at. A refused
 * command leaves nothing behind: the state is what it was, and the one that was not altered is then taken. */
#include "trading.h"

static const struct id nobody;

static struct hash state_of(void)
{
	return world_state(at.world.rules);
}

static void refused(const char *row, struct command *command, enum err err, const char *pointer)
{
	struct hash before = state_of();
	enum err is = give(command);
	if (is != err || strcmp(at.world.info.pointer, pointer) != 0)
		fail_msg("%s: error %d at \"%s\", not %d at \"%s\": %s", row, (int)is, at.world.info.pointer, (int)err,
			pointer, at.world.info.detail);
	assert_true(at.world.info.detail[0]); /* which says why */
	struct hash after = state_of();
	assert_memory_equal(&before, &after, sizeof before);
}

/* `made`, altered by `change` of its `is`, is refused. */
#define REFUSED(made, member, change, code, pointer)                           \
	do {                                                                   \
		struct command command_ = (made);                              \
		struct command_##member *is = &command_.member;                \
		struct id *org = &command_.org;                                \
		(void)is, (void)org;                                           \
		change;                                                        \
		refused(#member ": " #change, &command_, ERR_##code, pointer); \
	} while (0)

static void halt(bool halts)
{
	struct command command = world_command(&at.world, COMMAND_MARKET_HALT, -1);
	command.market_halt = (struct command_market_halt){.market = 1, .state = halts ? MARKET_HALTED : MARKET_OPEN};
	must(&command);
	follow();
}

static void kill_switch(int org, uint32_t kill)
{
	struct command command = world_command(&at.world, COMMAND_ORDER_CANCEL_ALL, -1);
	command.order_cancel_all = (struct command_order_cancel_all){.org = at.world.orgs[org], .kill = kill};
	must(&command);
}

static void close_account(int org)
{
	struct command command = world_command(&at.world, COMMAND_ACCOUNT_CLOSE, -1);
	command.account_close =
		(struct command_account_close){.org = at.world.orgs[org], .reason_hash = world_hash(&at.world)};
	must(&command);
}

/* A batch of the other kind of credit, of the seller's. */
static uint64_t reduction(void)
{
	struct claim_run run;
	struct command command = world_submission(&at.world, SELLER, at.world.next_hour[SELLER], 24, 10000, &run);
	command.period_submit.kind = CREDIT_REDUCTION;
	command.period_submit.durability = DURABILITY_NONE;
	return issued_of(SELLER, &command);
}

/* ---- docs/MARKET.md ---- */

static struct command market(const char *currency)
{
	struct command command = world_command(&at.world, COMMAND_MARKET_OPEN, -1);
	command.market_open = (struct command_market_open){
		.tick_micros = TICK, .lot_kg = 1000, .maker_ppm = -100, .taker_ppm = 200, .collar_ppm = 50000};
	assert_true(code8_set(&command.market_open.currency, currency));
	return command;
}

static void markets(void **state)
{
	(void)state;
	struct command good = market("USD");
	REFUSED(good, market_open, (void)code8_set(&is->currency, "usd"), INVALID_FIELD, "/currency");
	REFUSED(good, market_open, is->currency = at.currency, DUPLICATE, "/currency");
	REFUSED(good, market_open, is->kind = CREDIT_KIND_COUNT, INVALID_FIELD, "/kind");
	REFUSED(good, market_open, is->tick_micros = 0, INVALID_FIELD, "/tick");
	REFUSED(good, market_open, is->tick_micros = 1500, INVALID_FIELD, "/tick");
	REFUSED(good, market_open, is->tick_micros = MARKET_PRICE_MAX + 1000, INVALID_FIELD, "/tick");
	REFUSED(good, market_open, is->lot_kg = 0, INVALID_FIELD, "/lot_kg");
	REFUSED(good, market_open, is->lot_kg = 1500, INVALID_FIELD, "/lot_kg");
	REFUSED(good, market_open, is->lot_kg = MARKET_KG_MAX + 1000, INVALID_FIELD, "/lot_kg");
	REFUSED(good, market_open, is->taker_ppm = -1, INVALID_FIELD, "/maker_ppm");
	REFUSED(good, market_open, is->taker_ppm = MARKET_FEE_MAX_PPM + 1, INVALID_FIELD, "/maker_ppm");
	REFUSED(good, market_open, is->maker_ppm = MARKET_FEE_MAX_PPM + 1, INVALID_FIELD, "/maker_ppm");
	REFUSED(good, market_open, is->maker_ppm = -201, INVALID_FIELD, "/maker_ppm"); /* more than the taker pays */
	REFUSED(good, market_open, is->collar_ppm = -1, INVALID_FIELD, "/collar_ppm");
	REFUSED(good, market_open, is->collar_ppm = 900001, INVALID_FIELD, "/collar_ppm");
	must(&good);
	good = world_command(&at.world, COMMAND_MARKET_HALT, -1);
	good.market_halt = (struct command_market_halt){
		.market = 1, .state = MARKET_HALTED, .until_us = at.world.now_us + CLOCK_US_PER_DAY};
	REFUSED(good, market_halt, is->market = 9, NOT_FOUND, "/market");
	REFUSED(good, market_halt, is->state = MARKET_CLOSED, INVALID_FIELD, "/state");
	REFUSED(good, market_halt, is->state = MARKET_OPEN, INVALID_FIELD, "/state"); /* it is open */
	REFUSED(good, market_halt, is->until_us = at.world.now_us, INVALID_FIELD, "/until");
	must(&good);
	REFUSED(good, market_halt, (void)0, INVALID_FIELD, "/state"); /* it is halted */
	REFUSED(good, market_halt, is->state = MARKET_OPEN, INVALID_FIELD, "/until");
}

static void schedules(void **state)
{
	(void)state;
	struct command good = world_command(&at.world, COMMAND_MARKET_SCHEDULE, -1);
	good.market_schedule = (struct command_market_schedule){.market = 1,
		.static_ppm = 100000,
		.dynamic_ppm = 10000,
		.interruption_us = CLOCK_US_PER_MINUTE,
		.auction_us = CLOCK_US_PER_MINUTE};
	REFUSED(good, market_schedule, is->market = 9, NOT_FOUND, "/market");
	REFUSED(good, market_schedule, is->static_ppm = -1, INVALID_FIELD, "/static_ppm");
	REFUSED(good, market_schedule, is->static_ppm = 100000000, INVALID_FIELD, "/static_ppm");
	REFUSED(good, market_schedule, is->dynamic_ppm = -1, INVALID_FIELD, "/static_ppm");
	REFUSED(good, market_schedule, is->dynamic_ppm = 100000000, INVALID_FIELD, "/static_ppm");
	REFUSED(good, market_schedule, is->interruption_us = 0, INVALID_FIELD, "/interruption_us");
	REFUSED(good, market_schedule, is->interruption_us = INT64_MAX, INVALID_FIELD, "/interruption_us");
	REFUSED(good, market_schedule, is->auction_us = -1, INVALID_FIELD, "/auction_us");
	REFUSED(good, market_schedule, is->auction_us = INT64_MAX, INVALID_FIELD, "/auction_us");
	must(&good);
}

static void instruments(void **state)
{
	(void)state;
	uint64_t other = reduction();
	struct command good = world_command(&at.world, COMMAND_INSTRUMENT_LIST, -1);
	good.instrument_list = (struct command_instrument_list){
		.market = 1, .batch = at.batch, .durabilities = 1, .vintage_from = 2026, .vintage_to = 2027};
	assert_true(code32_set(&good.instrument_list.code, "ONE"));
	REFUSED(good, instrument_list, is->market = 9, NOT_FOUND, "/market");
	REFUSED(good, instrument_list, (void)code32_set(&is->code, ""), MISSING_FIELD, "/code");
	REFUSED(good, instrument_list, is->durabilities = 1u << DURABILITY_COUNT, INVALID_FIELD, "/durabilities");
	REFUSED(good, instrument_list, is->vintage_to = 2025, INVALID_FIELD, "/vintage_to");
	REFUSED(good, instrument_list, is->batch = 99, NOT_FOUND, "/batch");
	REFUSED(good, instrument_list, is->batch = other, NOT_FOUND, "/batch"); /* of the other kind */
	must(&good);
}

/* What an order may be: its numbers, and what belongs to which type. */
static void forms_of_orders(void **state)
{
	(void)state;
	trade_at(PRICE);
	int64_t now = at.world.now_us;
	struct command buy = order(BUYER, ORDER_BUY, PRICE, 2000);
	REFUSED(buy, order_place, is->side = ORDER_SIDE_COUNT, NOT_FOUND, "/market");
	REFUSED(buy, order_place, is->type = ORDER_TYPE_COUNT, INVALID_FIELD, "");
	REFUSED(buy, order_place, is->tif = ORDER_TIF_COUNT, INVALID_FIELD, "");
	REFUSED(buy, order_place, is->stp = ORDER_STP_COUNT, INVALID_FIELD, "");
	REFUSED(buy, order_place, is->post_only = 2, INVALID_FIELD, "");
	REFUSED(buy, order_place, is->hidden = 2, INVALID_FIELD, "");
	REFUSED(buy, order_place, is->kg = 0, INVALID_FIELD, "/kg");
	REFUSED(buy, order_place, is->kg = 1500, INVALID_FIELD, "/kg");
	REFUSED(buy, order_place, is->kg = MARKET_KG_MAX + 1000, INVALID_FIELD, "/kg");
	REFUSED(buy, order_place, is->shown_kg = 3000, INVALID_FIELD, "/shown_kg");
	REFUSED(buy, order_place, is->minimum_kg = 3000, INVALID_FIELD, "/minimum_kg");
	REFUSED(buy, order_place, is->minimum_kg = is->shown_kg = 1000, INVALID_FIELD, "/minimum_kg");
	REFUSED(buy, order_place, is->price_micros = 0, INVALID_FIELD, "/price");
	REFUSED(buy, order_place, is->price_micros = PRICE + 1, INVALID_FIELD, "/price");
	REFUSED(buy, order_place, is->price_micros = MARKET_PRICE_MAX + TICK, INVALID_FIELD, "/price");
	REFUSED(buy, order_place, is->type = ORDER_MARKET; is->tif = ORDER_IOC, INVALID_FIELD, "/price");
	REFUSED(buy, order_place, is->type = ORDER_STOP_LIMIT, INVALID_FIELD, "/stop_price");
	REFUSED(buy, order_place, is->stop_micros = PRICE, INVALID_FIELD, "/stop_price");
	REFUSED(buy, order_place, is->type = ORDER_TRAILING_STOP; is->price_micros = 0, INVALID_FIELD, "/trail");
	REFUSED(buy, order_place, is->trail_micros = TICK, INVALID_FIELD, "/trail");
	REFUSED(buy, order_place, is->tif = ORDER_GTD, INVALID_FIELD, "/expires_at");
	REFUSED(buy, order_place, is->expires_us = now + CLOCK_US_PER_DAY, INVALID_FIELD, "/expires_at");
	REFUSED(buy, order_place, is->tif = ORDER_GTD; is->expires_us = now, INVALID_FIELD, "/expires_at");
	REFUSED(buy, order_place, is->type = ORDER_MARKET; is->price_micros = 0, INVALID_FIELD, "/tif");
	REFUSED(buy, order_place, is->post_only = 1; is->tif = ORDER_IOC, INVALID_FIELD, "/post_only");
	REFUSED(buy, order_place, is->post_only = 1; is->tif = ORDER_FOK, INVALID_FIELD, "/post_only");
	REFUSED(buy, order_place, is->post_only = 1; is->type = ORDER_MARKET; is->price_micros = 0;
		is->tif = ORDER_IOC, INVALID_FIELD, "/post_only");
	REFUSED(buy, order_place, is->type = ORDER_STOP_LIMIT; is->stop_micros = PRICE;
		is->tif = ORDER_IOC, INVALID_FIELD, "/tif");
	REFUSED(buy, order_place, is->type = ORDER_STOP_LIMIT; is->stop_micros = PRICE;
		is->tif = ORDER_FOK, INVALID_FIELD, "/tif");
	REFUSED(buy, order_place, is->type = ORDER_TRAILING_STOP; is->price_micros = 0;
		is->trail_micros = MARKET_PRICE_MAX, INVALID_FIELD, "/trail"); /* past the highest price */
	must(&buy);
	struct command sell = order(OTHER, ORDER_SELL, 2 * PRICE, 1000);
	REFUSED(sell, order_place, is->type = ORDER_TRAILING_STOP; is->price_micros = 0;
		is->trail_micros = PRICE, INVALID_FIELD, "/trail");
	must(&sell);
}

static void places_of_orders(void **state)
{
	(void)state;
	uint64_t other = reduction();
	list("OLD", 0, 0);
	list("OLD", 0, 2026); /* instrument 3 */
	struct command buy = order(BUYER, ORDER_BUY, PRICE, 1000);
	REFUSED(buy, order_place, *org = nobody, FORBIDDEN, "");
	REFUSED(buy, order_place, is->instrument = 9, NOT_FOUND, "/instrument");
	REFUSED(buy, order_place, is->batch = at.batch, INVALID_FIELD, "/instrument");
	REFUSED(buy, order_place, is->market = 1, INVALID_FIELD, "/instrument");
	REFUSED(buy, order_place, is->instrument = 2, INVALID_FIELD, "/instrument");
	must(&buy);
	struct command sell = order(OTHER, ORDER_SELL, 2 * PRICE, 1000);
	REFUSED(sell, order_place, is->market = 9, NOT_FOUND, "/market");
	REFUSED(sell, order_place, is->instrument = 1, INVALID_FIELD, "/market");
	REFUSED(sell, order_place, is->batch = 99, NOT_FOUND, "/batch");
	REFUSED(sell, order_place, is->batch = other, INVALID_FIELD, "/batch");
	REFUSED(sell, order_place, is->kg = 200000, INSUFFICIENT_KG, "/kg");
	must(&sell);
	/* who asks by a natural key may name an id that is an order's */
	struct command again = order(BUYER, ORDER_BUY, PRICE, 1000);
	again.source = COMMAND_SOURCE_TRANSFER;
	again.natural_key = world_hash(&at.world);
	again.id = buy.id;
	REFUSED(again, order_place, (void)0, DUPLICATE, "");
	struct command all = world_command(&at.world, COMMAND_ORDER_CANCEL_ALL, -1);
	all.order_cancel_all.org = at.world.orgs[OTHER];
	REFUSED(all, order_cancel_all, is->org = nobody, INVALID_FIELD, "/org_id");
	REFUSED(all, order_cancel_all, is->kill = 3, INVALID_FIELD, "/org_id");
	must(&all);
	all = world_command(&at.world, COMMAND_ORDER_CANCEL_AFTER, OTHER);
	all.order_cancel_after.after_us = CLOCK_US_PER_HOUR;
	REFUSED(all, order_cancel_after, *org = nobody, FORBIDDEN, "");
	REFUSED(all, order_cancel_after, is->after_us = CLOCK_US_PER_SECOND - 1, INVALID_FIELD, "/after_us");
	REFUSED(all, order_cancel_after, is->after_us = CLOCK_US_PER_DAY + 1, INVALID_FIELD, "/after_us");
	must(&all);
}

static void limits_of_traders(void **state)
{
	(void)state;
	struct command good = world_command(&at.world, COMMAND_TRADER_LIMIT, -1);
	good.trader_limit = (struct command_trader_limit){
		.org = at.world.orgs[BUYER], .market = 1, .orders_most = 1, .by_registry = 1};
	REFUSED(good, trader_limit, is->org = nobody, INVALID_FIELD, "/org_id");
	REFUSED(good, trader_limit, is->by_registry = 2, INVALID_FIELD, "/org_id");
	REFUSED(good, trader_limit, is->market = 9, NOT_FOUND, "/market");
	REFUSED(good, trader_limit, is->orders_most = -1, INVALID_FIELD, "/orders_most");
	REFUSED(good, trader_limit, is->kg_most = -1, INVALID_FIELD, "/kg_most");
	REFUSED(good, trader_limit, is->notional_micros_most = -1, INVALID_FIELD, "/notional_most");
	must(&good);
}

/* What the engine gives itself is refused when it is not due. */
static void work_that_is_not_due(void **state)
{
	(void)state;
	struct command buy = order(BUYER, ORDER_BUY, PRICE, 1000);
	must(&buy);
	struct command work = {.kind = COMMAND_ORDER_WORK, .source = COMMAND_SOURCE_ENGINE};
	REFUSED(work, order_work, is->order = buy.id, ORDER_DONE, "");
	REFUSED(work, order_work, is->order = world_id(&at.world), ORDER_DONE, "");
	work.kind = COMMAND_MARKET_WORK;
	REFUSED(work, market_work, is->market = 1, ORDER_DONE, "/market");
	REFUSED(work, market_work, is->market = 9, ORDER_DONE, "/market");
	work.kind = COMMAND_AUCTION_WORK;
	REFUSED(work, auction_work, is->auction = 1, NOT_FOUND, "");
	struct command open = world_command(&at.world, COMMAND_AUCTION_OPEN, SELLER);
	open.auction_open = (struct command_auction_open){
		.market = 1, .batch = at.batch, .kg = 10, .lot_kg = 10, .price_micros = PRICE};
	must(&open);
	REFUSED(work, auction_work, is->auction = 1, AUCTION_PHASE, "");
	open = world_command(&at.world, COMMAND_POOL_OPEN, -1);
	open.pool_open.instrument = 1;
	must(&open);
	work.kind = COMMAND_POOL_WORK;
	REFUSED(work, pool_work, is->pool = 1, POOL_PAUSED, "");
	REFUSED(work, pool_work, is->pool = 9, NOT_FOUND, "/pool");
	work.kind = COMMAND_ESCROW_WORK;
	REFUSED(work, escrow_work, (void)0, NOTHING_OWED, "");
	REFUSED(work, escrow_work, is->item = world_id(&at.world), ESCROW_DONE, "");
	struct command open_escrow = world_command(&at.world, COMMAND_ESCROW_OPEN, BUYER);
	open_escrow.escrow_open = (struct command_escrow_open){.payer = at.world.orgs[BUYER],
		.payee = at.world.orgs[SELLER],
		.currency = at.currency,
		.amount_micros = PRICE,
		.not_before_us = at.world.now_us + CLOCK_US_PER_HOUR,
		.expires_us = at.world.now_us + CLOCK_US_PER_DAY};
	must(&open_escrow);
	REFUSED(work, escrow_work, is->item = open_escrow.id, ESCROW_DONE, "");
	struct command dispute = world_command(&at.world, COMMAND_ESCROW_DISPUTE, BUYER);
	dispute.escrow_dispute =
		(struct command_escrow_dispute){.escrow = open_escrow.id, .reason_hash = world_hash(&at.world)};
	must(&dispute);
	REFUSED(work, escrow_work, is->item = open_escrow.id, ESCROW_DONE, ""); /* nothing happens to it by itself */
	work.kind = COMMAND_ORDER_WORK;
	struct command stop = order(OTHER, ORDER_SELL, 0, 1000);
	stop.order_place.type = ORDER_STOP;
	stop.order_place.stop_micros = PRICE / 2;
	must(&stop);
	REFUSED(work, order_work, is->order = stop.id, ORDER_DONE, ""); /* its stop is not reached */
	halt(true);
	REFUSED(work, order_work, is->order = buy.id, ORDER_DONE, "");
	halt(false);
}

/* ---- docs/AUCTIONS.md ---- */

static struct command auction(enum auction_kind kind)
{
	struct command command = world_command(&at.world, COMMAND_AUCTION_OPEN, SELLER);
	command.auction_open = (struct command_auction_open){.market = 1,
		.batch = at.batch,
		.kg = 1000,
		.lot_kg = 100,
		.price_micros = PRICE,
		.ends_us = at.world.now_us + CLOCK_US_PER_DAY,
		.kind = (uint32_t)kind};
	if (kind == AUCTION_DUTCH) {
		command.auction_open.floor_micros = PRICE / 2;
		command.auction_open.step_micros = TICK;
		command.auction_open.interval_us = CLOCK_US_PER_HOUR;
	} else if (kind != AUCTION_LISTING) {
		command.auction_open.reveals_until_us = at.world.now_us + 2 * CLOCK_US_PER_DAY;
	}
	return command;
}

static void terms_of_auctions(void **state)
{
	(void)state;
	uint64_t other = reduction();
	struct command listing = auction(AUCTION_LISTING);
	REFUSED(listing, auction_open, is->market = 9, NOT_FOUND, "/market");
	REFUSED(listing, auction_open, is->batch = 99, NOT_FOUND, "/batch");
	REFUSED(listing, auction_open, is->batch = other, NOT_FOUND, "/batch");
	REFUSED(listing, auction_open, *org = nobody, FORBIDDEN, "");
	REFUSED(listing, auction_open, is->kind = AUCTION_KIND_COUNT, INVALID_FIELD, "/kind");
	REFUSED(listing, auction_open, is->kg = 0, INVALID_FIELD, "/kg");
	REFUSED(listing, auction_open, is->kg = MARKET_KG_MAX + 100, INVALID_FIELD, "/kg");
	REFUSED(listing, auction_open, is->lot_kg = 0, INVALID_FIELD, "/kg");
	REFUSED(listing, auction_open, is->lot_kg = 300, INVALID_FIELD, "/kg");
	REFUSED(listing, auction_open, is->price_micros = 0, INVALID_FIELD, "/price");
	REFUSED(listing, auction_open, is->price_micros = TICK + 1, INVALID_FIELD, "/price");
	REFUSED(listing, auction_open, is->price_micros = MARKET_PRICE_MAX + TICK, INVALID_FIELD, "/price");
	REFUSED(listing, auction_open, is->ends_us = at.world.now_us, INVALID_FIELD, "/ends_at");
	REFUSED(listing, auction_open, is->floor_micros = TICK, INVALID_FIELD, "/floor");
	REFUSED(listing, auction_open, is->step_micros = TICK, INVALID_FIELD, "/floor");
	REFUSED(listing, auction_open, is->interval_us = CLOCK_US_PER_HOUR, INVALID_FIELD, "/floor");
	REFUSED(listing, auction_open, is->reveals_until_us = at.world.now_us + CLOCK_US_PER_DAY, INVALID_FIELD,
		"/reveals_until");
	REFUSED(listing, auction_open, is->forfeit_ppm = 1, INVALID_FIELD, "/reveals_until");
	REFUSED(listing, auction_open, is->kg = 100000000, INSUFFICIENT_KG, "/kg");
	struct command dutch = auction(AUCTION_DUTCH);
	REFUSED(dutch, auction_open, is->floor_micros = 0, INVALID_FIELD, "/floor");
	REFUSED(dutch, auction_open, is->floor_micros = 2 * PRICE, INVALID_FIELD, "/floor");
	REFUSED(dutch, auction_open, is->step_micros = 1, INVALID_FIELD, "/step");
	REFUSED(dutch, auction_open, is->interval_us = 1, INVALID_FIELD, "/interval_s");
	REFUSED(dutch, auction_open, is->interval_us = 367 * CLOCK_US_PER_DAY, INVALID_FIELD, "/interval_s");
	REFUSED(dutch, auction_open, is->ends_us = 0, MISSING_FIELD, "/ends_at");
	struct command sealed = auction(AUCTION_SECOND_PRICE);
	REFUSED(sealed, auction_open, is->ends_us = 0, INVALID_FIELD, "/reveals_until");
	REFUSED(sealed, auction_open, is->reveals_until_us = is->ends_us, INVALID_FIELD, "/reveals_until");
	REFUSED(sealed, auction_open, is->forfeit_ppm = -1, INVALID_FIELD, "/forfeit_ppm");
	REFUSED(sealed, auction_open, is->forfeit_ppm = 1000001, INVALID_FIELD, "/forfeit_ppm");
	REFUSED(sealed, auction_open, (void)0, INVALID_FIELD, "/lot_kg"); /* a single lot */
	halt(true);
	REFUSED(listing, auction_open, (void)0, MARKET_CLOSED, "");
	halt(false);
	kill_switch(SELLER, 1);
	REFUSED(listing, auction_open, (void)0, TRADER_STOPPED, "");
	kill_switch(SELLER, 2);
	must(&listing);
	must(&dutch);
	sealed.auction_open.lot_kg = sealed.auction_open.kg;
	must(&sealed);
	kill_switch(SELLER, 1);
	struct command take = world_command(&at.world, COMMAND_AUCTION_TAKE, BUYER);
	take.auction_take = (struct command_auction_take){.auction = 1, .kg = 100, .limit_micros = PRICE};
	REFUSED(take, auction_take, (void)0, AUCTION_PHASE, ""); /* its listings sell nothing */
	kill_switch(SELLER, 2);
	must(&take);
}

static void takes_and_bids(void **state)
{
	(void)state;
	struct command command = auction(AUCTION_LISTING);
	must(&command);
	command = auction(AUCTION_UNIFORM); /* number 2 */
	must(&command);
	struct command take = world_command(&at.world, COMMAND_AUCTION_TAKE, BUYER);
	take.auction_take = (struct command_auction_take){.auction = 1, .kg = 100, .limit_micros = PRICE};
	REFUSED(take, auction_take, is->auction = 9, NOT_FOUND, "");
	REFUSED(take, auction_take, is->auction = 0, NOT_FOUND, "");
	REFUSED(take, auction_take, *org = nobody, FORBIDDEN, "");
	REFUSED(take, auction_take, *org = at.world.orgs[SELLER], OWN_AUCTION, "");
	REFUSED(take, auction_take, is->auction = 2, AUCTION_PHASE, "");
	REFUSED(take, auction_take, is->kg = 0, INVALID_FIELD, "/kg");
	REFUSED(take, auction_take, is->kg = 150, INVALID_FIELD, "/kg");
	REFUSED(take, auction_take, is->partial = 2, INVALID_FIELD, "/kg");
	REFUSED(take, auction_take, is->limit_micros = PRICE - 1, PRICE_LIMIT, "/limit");
	REFUSED(take, auction_take, is->kg = 1100, AUCTION_LEFT, "/kg");
	must(&take);
	struct command bid = world_command(&at.world, COMMAND_BID_COMMIT, BUYER);
	struct hash nonce = world_hash(&at.world);
	bid.bid_commit = (struct command_bid_commit){.auction = 2,
		.commitment = market_commitment(2, at.world.orgs[BUYER], 200, PRICE, nonce),
		.maximum_micros = PRICE};
	REFUSED(bid, bid_commit, is->auction = 9, NOT_FOUND, "");
	REFUSED(bid, bid_commit, is->auction = 1, AUCTION_PHASE, "");
	REFUSED(bid, bid_commit, *org = nobody, FORBIDDEN, "");
	REFUSED(bid, bid_commit, *org = at.world.orgs[SELLER], OWN_AUCTION, "");
	REFUSED(bid, bid_commit, is->commitment = (struct hash){0}, INVALID_FIELD, "/commitment");
	REFUSED(bid, bid_commit, is->all_or_none = 2, INVALID_FIELD, "/commitment");
	REFUSED(bid, bid_commit, is->maximum_micros = PRICE / 10 - 1, AMOUNT_INVALID, "/maximum");
	REFUSED(bid, bid_commit, is->maximum_micros = LEDGER_MICROS_MAX + 1, AMOUNT_INVALID, "/maximum");
	must(&bid);
	struct command cancel = world_command(&at.world, COMMAND_AUCTION_CANCEL, SELLER);
	cancel.auction_cancel.auction = 1;
	REFUSED(cancel, auction_cancel, is->auction = 9, NOT_FOUND, "");
	REFUSED(cancel, auction_cancel, is->forced = 2, INVALID_FIELD, "/forced");
	REFUSED(cancel, auction_cancel, *org = at.world.orgs[OTHER], FORBIDDEN, "");
	REFUSED(cancel, auction_cancel, is->auction = 2, AUCTION_PHASE, ""); /* there is a bid */
	must(&cancel);
	REFUSED(cancel, auction_cancel, (void)0, AUCTION_DONE, "");
	struct command withdraw = world_command(&at.world, COMMAND_BID_WITHDRAW, BUYER);
	withdraw.bid_withdraw = (struct command_bid_withdraw){.auction = 2, .bid = 1};
	REFUSED(withdraw, bid_withdraw, is->auction = 9, NOT_FOUND, "");
	REFUSED(withdraw, bid_withdraw, is->bid = 2, BID_DONE, "");
	REFUSED(withdraw, bid_withdraw, *org = at.world.orgs[OTHER], BID_DONE, "");
	struct command reveal = world_command(&at.world, COMMAND_BID_REVEAL, BUYER);
	reveal.bid_reveal =
		(struct command_bid_reveal){.auction = 2, .bid = 1, .kg = 200, .price_micros = PRICE, .nonce = nonce};
	REFUSED(reveal, bid_reveal, (void)0, AUCTION_PHASE, ""); /* commitments come */
	tick_at(at.world.now_us + CLOCK_US_PER_DAY);
	follow();
	REFUSED(bid, bid_commit, (void)0, AUCTION_PHASE, "");
	REFUSED(withdraw, bid_withdraw, (void)0, AUCTION_PHASE, "");
	REFUSED(reveal, bid_reveal, is->kg = 0, INVALID_FIELD, "/kg");
	REFUSED(reveal, bid_reveal, is->kg = 250, INVALID_FIELD, "/kg");
	REFUSED(reveal, bid_reveal, is->kg = 1100, INVALID_FIELD, "/kg");
	REFUSED(reveal, bid_reveal, is->price_micros = PRICE + 1, INVALID_FIELD, "/price");
	REFUSED(reveal, bid_reveal, is->price_micros = PRICE + TICK, COMMITMENT_MISMATCH, "");
	REFUSED(reveal, bid_reveal, is->nonce = (struct hash){0}, COMMITMENT_MISMATCH, "");
	must(&reveal);
	REFUSED(reveal, bid_reveal, (void)0, BID_DONE, "");
	tick_at(at.world.now_us + CLOCK_US_PER_DAY);
	follow();
	REFUSED(reveal, bid_reveal, (void)0, AUCTION_DONE, "");
}

/* Of a Dutch auction whose time is over and that no tick has met yet nothing is taken. */
static void an_auction_whose_time_is_over(void **state)
{
	(void)state;
	struct command dutch = auction(AUCTION_DUTCH);
	must(&dutch);
	struct command take = world_command(&at.world, COMMAND_AUCTION_TAKE, BUYER);
	take.auction_take = (struct command_auction_take){.auction = 1, .kg = 100, .limit_micros = PRICE};
	at.world.now_us += CLOCK_US_PER_DAY;
	REFUSED(take, auction_take, (void)0, AUCTION_DONE, "");
	struct command sealed = auction(AUCTION_FIRST_PRICE);
	must(&sealed);
	struct command bid = world_command(&at.world, COMMAND_BID_COMMIT, BUYER);
	bid.bid_commit =
		(struct command_bid_commit){.auction = 2, .commitment = world_hash(&at.world), .maximum_micros = PRICE};
	at.world.now_us += CLOCK_US_PER_DAY;
	REFUSED(bid, bid_commit, (void)0, AUCTION_PHASE, "");
	tick_at(at.world.now_us);
	follow();
	assert_int_equal(market_auction_count(rules_market(at.world.rules)), 0);
}

/* ---- docs/POOLS.md ---- */

static void pools(void **state)
{
	(void)state;
	uint64_t other = reduction();
	list("OLD", 0, 0);
	list("OLD", 0, 2026);
	struct command open = world_command(&at.world, COMMAND_POOL_OPEN, -1);
	open.pool_open = (struct command_pool_open){.instrument = 1, .fee_ppm = 3000, .chosen_ppm = 20000};
	REFUSED(open, pool_open, is->instrument = 9, NOT_FOUND, "/instrument");
	REFUSED(open, pool_open, is->instrument = 2, INVALID_FIELD, "/instrument");
	REFUSED(open, pool_open, is->fee_ppm = -1, INVALID_FIELD, "/fee_ppm");
	REFUSED(open, pool_open, is->fee_ppm = MARKET_FEE_MAX_PPM + 1, INVALID_FIELD, "/fee_ppm");
	REFUSED(open, pool_open, is->chosen_ppm = -1, INVALID_FIELD, "/fee_ppm");
	REFUSED(open, pool_open, is->chosen_ppm = MARKET_FEE_MAX_PPM + 1, INVALID_FIELD, "/fee_ppm");
	must(&open);
	struct command add = world_command(&at.world, COMMAND_POOL_ADD, SELLER);
	add.pool_add =
		(struct command_pool_add){.pool = 1, .batch = at.batch, .kg = 10000, .maximum_micros = 10 * PRICE};
	REFUSED(add, pool_add, is->pool = 9, NOT_FOUND, "/pool");
	REFUSED(add, pool_add, *org = nobody, FORBIDDEN, "");
	REFUSED(add, pool_add, is->batch = 99, NOT_FOUND, "/batch");
	REFUSED(add, pool_add, is->batch = other, NOT_POOLABLE, "/batch");
	REFUSED(add, pool_add, is->kg = 0, INVALID_FIELD, "/kg");
	REFUSED(add, pool_add, is->kg = MARKET_KG_MAX + 1, INVALID_FIELD, "/kg");
	REFUSED(add, pool_add, is->kg = 100000000, INSUFFICIENT_KG, "/kg");
	REFUSED(add, pool_add, is->maximum_micros = 0, AMOUNT_INVALID, "/maximum");
	REFUSED(add, pool_add, is->maximum_micros = LEDGER_MICROS_MAX + 1, AMOUNT_INVALID, "/maximum");
	REFUSED(add, pool_add, is->kg = is->maximum_micros = 10, POOL_LIMIT, "/minimum_shares");
	REFUSED(add, pool_add, is->minimum_shares = INT64_MAX, POOL_LIMIT, "/minimum_shares");
	must(&add);
	add.pool_add.kg = 1000;
	REFUSED(add, pool_add, is->maximum_micros = PRICE - 1, POOL_LIMIT, "/maximum");
	struct command buy = world_command(&at.world, COMMAND_POOL_BUY, BUYER);
	buy.pool_buy = (struct command_pool_buy){.pool = 1, .kg = 100, .maximum_micros = PRICE};
	REFUSED(buy, pool_buy, is->pool = 9, NOT_FOUND, "/pool");
	REFUSED(buy, pool_buy, is->kg = 0, INVALID_FIELD, "/kg");
	REFUSED(buy, pool_buy, is->kg = MARKET_KG_MAX + 1, INVALID_FIELD, "/kg");
	REFUSED(buy, pool_buy, is->kg = 10000, POOL_LIQUIDITY, "/kg"); /* all of it */
	REFUSED(buy, pool_buy, is->maximum_micros = 1, POOL_LIMIT, "/maximum");
	struct serial_range chosen[EVENTS_RANGES_MAX + 1] = {{at.batch, 0, 100}};
	buy.lists = (struct record_lists){.ranges = chosen, .range_count = 1};
	REFUSED(buy, pool_buy, chosen[0].length = 0, INVALID_FIELD, "/ranges");
	REFUSED(buy, pool_buy, chosen[0].length = 100; chosen[0].start = -1, INVALID_FIELD, "/ranges");
	REFUSED(buy, pool_buy, chosen[0].length = 99; chosen[0].start = 0, INSUFFICIENT_KG, "/ranges");
	buy.lists.range_count = EVENTS_RANGES_MAX + 1;
	REFUSED(buy, pool_buy, (void)0, COMMAND_TOO_LARGE, "/ranges");
	buy.lists.range_count = 0;
	struct command sell = world_command(&at.world, COMMAND_POOL_SELL, OTHER);
	sell.pool_sell = (struct command_pool_sell){.pool = 1, .batch = at.batch, .kg = 100};
	REFUSED(sell, pool_sell, is->batch = 99, NOT_FOUND, "/batch");
	REFUSED(sell, pool_sell, is->minimum_micros = PRICE, POOL_LIMIT, "/minimum");
	struct command redeem = world_command(&at.world, COMMAND_POOL_REDEEM, SELLER);
	redeem.pool_redeem = (struct command_pool_redeem){.pool = 1, .shares = 1000};
	REFUSED(redeem, pool_redeem, is->pool = 9, NOT_FOUND, "/pool");
	REFUSED(redeem, pool_redeem, is->shares = 0, INVALID_FIELD, "/shares");
	REFUSED(redeem, pool_redeem, *org = nobody, INVALID_FIELD, "/shares");
	REFUSED(redeem, pool_redeem, is->shares = INT64_MAX, INSUFFICIENT_FUNDS, "/shares");
	REFUSED(redeem, pool_redeem, is->minimum_kg = 1000, POOL_LIMIT, "/minimum_kg");
	REFUSED(redeem, pool_redeem, is->minimum_micros = PRICE, POOL_LIMIT, "/minimum_kg");
	struct command resume = world_command(&at.world, COMMAND_POOL_RESUME, -1);
	REFUSED(resume, pool_resume, is->pool = 9, NOT_FOUND, "/pool");
	REFUSED(resume, pool_resume, is->pool = 1, POOL_PAUSED, "");
	halt(true); /* neither additions nor trades; shares are redeemed */
	REFUSED(add, pool_add, (void)0, MARKET_CLOSED, "");
	REFUSED(buy, pool_buy, (void)0, MARKET_CLOSED, "");
	REFUSED(sell, pool_sell, (void)0, MARKET_CLOSED, "");
	must(&redeem);
	halt(false);
	kill_switch(BUYER, 1);
	REFUSED(buy, pool_buy, (void)0, TRADER_STOPPED, "");
	kill_switch(BUYER, 2);
	must(&add);
	must(&buy);
	must(&sell);
}

/* ---- docs/ROUTING.md ---- */

static void purchases(void **state)
{
	(void)state;
	list("OLD", 0, 0);
	list("OLD", 0, 2026);
	place(SELLER, ORDER_SELL, PRICE, 1000);
	struct command buy = world_command(&at.world, COMMAND_PURCHASE, BUYER);
	buy.purchase = (struct command_purchase){.instrument = 1, .kg = 1000, .maximum_micros = 2 * PRICE};
	REFUSED(buy, purchase, *org = nobody, FORBIDDEN, "");
	REFUSED(buy, purchase, is->instrument = 9, NOT_FOUND, "/instrument");
	REFUSED(buy, purchase, is->instrument = 2, INVALID_FIELD, "/instrument");
	REFUSED(buy, purchase, is->kg = -1, INVALID_FIELD, "/kg");
	REFUSED(buy, purchase, is->kg = MARKET_KG_MAX + 1, INVALID_FIELD, "/kg");
	REFUSED(buy, purchase, is->partial = 2, INVALID_FIELD, "/partial");
	REFUSED(buy, purchase, is->maximum_micros = 0, INVALID_FIELD, "/maximum");
	REFUSED(buy, purchase, is->maximum_micros = POOL_MICROS_MAX + 1, INVALID_FIELD, "/maximum");
	REFUSED(buy, purchase, is->limit_micros = -1, INVALID_FIELD, "/limit");
	REFUSED(buy, purchase, is->limit_micros = INT64_MAX, INVALID_FIELD, "/limit");
	REFUSED(buy, purchase, is->expires_us = at.world.now_us, QUOTE_EXPIRED, "/expires_at");
	kill_switch(BUYER, 1);
	REFUSED(buy, purchase, (void)0, TRADER_STOPPED, "");
	kill_switch(BUYER, 2);
	must(&buy);
	assert_int_equal(kg_of(BUYER, KG_HELD), 101000);
}

/* ---- docs/ESCROW.md ---- */

static struct command escrow(void)
{
	struct command command = world_command(&at.world, COMMAND_ESCROW_OPEN, BUYER);
	command.escrow_open = (struct command_escrow_open){.payer = at.world.orgs[BUYER],
		.payee = at.world.orgs[SELLER],
		.currency = at.currency,
		.amount_micros = PRICE,
		.kg = 1000,
		.batch = at.batch,
		.expires_us = at.world.now_us + 10 * CLOCK_US_PER_DAY};
	return command;
}

static struct command of_escrow(enum command_kind kind, int org, struct id escrow)
{
	struct command command = world_command(&at.world, kind, org);
	command.escrow_fund.escrow = escrow; /* with which each of them begins */
	return command;
}

static void escrows(void **state)
{
	(void)state;
	struct command open = escrow();
	struct hash statement = world_hash(&at.world);
	REFUSED(open, escrow_open, is->payer = nobody, PAYEE_INVALID, "/payee_id");
	REFUSED(open, escrow_open, is->payee = nobody, PAYEE_INVALID, "/payee_id");
	REFUSED(open, escrow_open, is->payee = is->payer, PAYEE_INVALID, "/payee_id");
	REFUSED(open, escrow_open, *org = at.world.orgs[OTHER], FORBIDDEN, "");
	REFUSED(open, escrow_open, is->arbiter = is->payer, SEPARATION_OF_DUTIES, "/arbiter_id");
	REFUSED(open, escrow_open, is->arbiter = is->payee, SEPARATION_OF_DUTIES, "/arbiter_id");
	REFUSED(open, escrow_open, is->statement_hash = statement, MISSING_FIELD, "/verifier_id");
	REFUSED(open, escrow_open, is->verifier = at.world.verifiers[3], MISSING_FIELD, "/statement");
	REFUSED(open, escrow_open, is->verifier = world_id(&at.world), VERIFIER_UNKNOWN, "/verifier_id");
	REFUSED(open, escrow_open, is->verifier = at.world.verifiers[3];
		is->payee = at.world.orgs[3], SEPARATION_OF_DUTIES, "/verifier_id");
	REFUSED(open, escrow_open, *org = is->payer = at.world.orgs[3];
		is->verifier = at.world.verifiers[3], SEPARATION_OF_DUTIES, "/verifier_id");
	REFUSED(open, escrow_open, (void)code8_set(&is->currency, "eur"), CURRENCY_INVALID, "/currency");
	REFUSED(open, escrow_open, is->amount_micros = -1, AMOUNT_INVALID, "/amount");
	REFUSED(open, escrow_open, is->amount_micros = LEDGER_MICROS_MAX + 1, AMOUNT_INVALID, "/amount");
	REFUSED(open, escrow_open, is->kg = -1, INVALID_FIELD, "/kg");
	REFUSED(open, escrow_open, is->kg = MARKET_KG_MAX + 1, INVALID_FIELD, "/kg");
	REFUSED(open, escrow_open, is->kg = is->amount_micros = 0, INVALID_FIELD, "/kg");
	REFUSED(open, escrow_open, is->kg = 0, INVALID_FIELD, "/batch");
	REFUSED(open, escrow_open, is->batch = 0, INVALID_FIELD, "/batch");
	REFUSED(open, escrow_open, is->instrument = 1, INVALID_FIELD, "/batch");
	REFUSED(open, escrow_open, is->batch = 99, NOT_FOUND, "/batch");
	REFUSED(open, escrow_open, is->batch = 0; is->instrument = 9, NOT_FOUND, "/instrument");
	REFUSED(open, escrow_open, is->expires_us = at.world.now_us, EXPIRY_INVALID, "/expires");
	REFUSED(open, escrow_open, is->not_before_us = is->expires_us, EXPIRY_INVALID, "/expires");
	REFUSED(open, escrow_open, is->not_before_us = -1, EXPIRY_INVALID, "/expires");
	REFUSED(open, escrow_open, is->contract = world_id(&at.world), CONTRACT_DONE, "/contract_id");
	open.escrow_open.verifier = at.world.verifiers[3];
	open.escrow_open.statement_hash = statement;
	must(&open);
	struct id id = open.id;
	struct command again = open; /* by a natural key, with the same id */
	again.source = COMMAND_SOURCE_TRANSFER;
	again.natural_key = world_hash(&at.world);
	REFUSED(again, escrow_open, (void)0, DUPLICATE, "");
	struct command fund = of_escrow(COMMAND_ESCROW_FUND, BUYER, id);
	REFUSED(fund, escrow_fund, is->escrow = world_id(&at.world), ESCROW_DONE, "");
	REFUSED(fund, escrow_fund, *org = at.world.orgs[OTHER], ESCROW_DONE, ""); /* strangers read no more */
	REFUSED(fund, escrow_fund, *org = at.world.orgs[SELLER], FORBIDDEN, "");
	REFUSED(fund, escrow_fund, *org = at.world.orgs[3], FORBIDDEN, ""); /* the verifier is no stranger */
	REFUSED(fund, escrow_fund, (void)0, NOTHING_OWED, "");
	struct serial_range ranges[EVENTS_RANGES_MAX] = {{at.batch, 300000, 10}};
	struct command deliver = of_escrow(COMMAND_ESCROW_DELIVER, SELLER, id);
	deliver.escrow_deliver.batch = at.batch;
	deliver.escrow_deliver.kg = 100;
	REFUSED(deliver, escrow_deliver, *org = at.world.orgs[BUYER], FORBIDDEN, "");
	REFUSED(deliver, escrow_deliver, is->batch = 99, NOT_FOUND, "/batch");
	REFUSED(deliver, escrow_deliver, is->kg = 0, INVALID_FIELD, "/kg");
	REFUSED(deliver, escrow_deliver, is->kg = MARKET_KG_MAX + 1, INVALID_FIELD, "/kg");
	REFUSED(deliver, escrow_deliver, is->kg = 100000000, INSUFFICIENT_KG, "/kg");
	REFUSED(deliver, escrow_deliver, is->kg = 1001, NOTHING_OWED, "/kg");
	deliver.lists = (struct record_lists){.ranges = ranges, .range_count = 1};
	REFUSED(deliver, escrow_deliver, (void)0, INVALID_FIELD, "/ranges"); /* ranges, or batch and kg */
	deliver.escrow_deliver.batch = 0;
	REFUSED(deliver, escrow_deliver, (void)0, INVALID_FIELD, "/ranges");
	deliver.escrow_deliver.kg = 0;
	REFUSED(deliver, escrow_deliver, ranges[0].length = 0, INVALID_FIELD, "/ranges");
	REFUSED(deliver, escrow_deliver, ranges[0].length = 10; ranges[0].start = -1, INVALID_FIELD, "/ranges");
	REFUSED(deliver, escrow_deliver, ranges[0].start = 300000; ranges[0].batch = 99, NOT_FOUND, "/batch");
	ranges[0].batch = at.batch;
	deliver.lists.range_count = EVENTS_RANGES_MAX;
	REFUSED(deliver, escrow_deliver, (void)0, COMMAND_TOO_LARGE, "/ranges");
	deliver.lists.range_count = 1;
	must(&deliver);
	struct command attest = of_escrow(COMMAND_ESCROW_ATTEST, 3, id);
	attest.escrow_attest.verifier = at.world.verifiers[3];
	attest.escrow_attest.statement_hash = statement;
	REFUSED(attest, escrow_attest, *org = at.world.orgs[OTHER], ESCROW_DONE, "");
	REFUSED(attest, escrow_attest, is->verifier = at.world.verifiers[4], FORBIDDEN, "/verifier_id");
	REFUSED(attest, escrow_attest, is->statement_hash = id.bytes[0] ? (struct hash){{1}} : statement,
		SIGNATURE_INVALID, "/statement");
	REFUSED(attest, escrow_attest, (void)0, SIGNATURE_INVALID, "/signature");
	struct command dispute = of_escrow(COMMAND_ESCROW_DISPUTE, BUYER, id);
	REFUSED(dispute, escrow_dispute, (void)0, MISSING_FIELD, "/reason");
	struct command decide = of_escrow(COMMAND_ESCROW_DECIDE, -1, id);
	decide.escrow_decide.compliance = 1;
	decide.escrow_decide.reason_hash = statement;
	REFUSED(decide, escrow_decide, (void)0, NOT_DISPUTED, "");
	dispute.escrow_dispute.reason_hash = statement;
	must(&dispute);
	REFUSED(dispute, escrow_dispute, (void)0, ESCROW_DISPUTED, "");
	REFUSED(attest, escrow_attest, (void)0, ESCROW_DISPUTED, "");
	REFUSED(deliver, escrow_deliver, (void)0, ESCROW_DISPUTED, "");
	REFUSED(decide, escrow_decide, *org = at.world.orgs[BUYER], SEPARATION_OF_DUTIES, "");
	REFUSED(decide, escrow_decide, is->compliance = 0, ESCROW_DONE, "");
	REFUSED(decide, escrow_decide, is->reason_hash = (struct hash){0}, MISSING_FIELD, "/reason");
	REFUSED(decide, escrow_decide, is->paid_micros = -1, INVALID_FIELD, "");
	REFUSED(decide, escrow_decide, is->released_kg = -1, INVALID_FIELD, "");
	REFUSED(decide, escrow_decide, is->paid_micros = PRICE + 1, EXCEEDS_PENDING, "/paid");
	REFUSED(decide, escrow_decide, is->released_kg = 11, EXCEEDS_PENDING, "/released_kg");
	decide.escrow_decide.paid_micros = PRICE / 2;
	decide.escrow_decide.released_kg = 4; /* cuts the range */
	must(&decide);
	assert_int_equal(kg_of(BUYER, KG_HELD), 100004);
	REFUSED(decide, escrow_decide, (void)0, ESCROW_DONE, "");
}

/* Nothing is opened with a closed account, and nothing is paid into one. */
static void escrows_of_closed_accounts(void **state)
{
	(void)state;
	struct command open = escrow();
	open.escrow_open.payee = at.world.orgs[4];
	open.escrow_open.kg = 0;
	open.escrow_open.batch = 0;
	struct command dispute = world_command(&at.world, COMMAND_ESCROW_DISPUTE, BUYER);
	must(&open);
	dispute.escrow_dispute =
		(struct command_escrow_dispute){.escrow = open.id, .reason_hash = world_hash(&at.world)};
	must(&dispute);
	close_account(4);
	REFUSED(open, escrow_open, (void)0, ACCOUNT_CLOSED, "");
	REFUSED(open, escrow_open, *org = is->payee = is->payer; is->payer = at.world.orgs[4], ACCOUNT_CLOSED, "");
	struct command decide = of_escrow(COMMAND_ESCROW_DECIDE, -1, open.id);
	decide.escrow_decide.compliance = 1;
	decide.escrow_decide.reason_hash = world_hash(&at.world);
	decide.escrow_decide.paid_micros = 1;
	REFUSED(decide, escrow_decide, (void)0, ACCOUNT_CLOSED, "");
	decide.escrow_decide.paid_micros = 0; /* all of it goes back */
	must(&decide);
	assert_int_equal(cash(BUYER), INT64_C(100000000000));
}

static struct delivery rows[EVENTS_DELIVERIES_MAX + 1];

static struct command offtake(void)
{
	struct command command = world_command(&at.world, COMMAND_OFFTAKE_OFFER, SELLER);
	command.offtake_offer = (struct command_offtake_offer){.seller = at.world.orgs[SELLER],
		.buyer = at.world.orgs[BUYER],
		.currency = at.currency,
		.instrument = 1,
		.make_good_us = CLOCK_US_PER_DAY,
		.penalty_ppm = 50000,
		.expires_us = at.world.now_us + CLOCK_US_PER_DAY};
	rows[0] = (struct delivery){.from_us = at.world.now_us + CLOCK_US_PER_HOUR,
		.due_us = at.world.now_us + 2 * CLOCK_US_PER_DAY,
		.kg = 1000,
		.price_micros = PRICE};
	rows[1] = rows[0];
	rows[1].due_us += CLOCK_US_PER_DAY;
	command.lists = (struct record_lists){.deliveries = rows, .delivery_count = 2};
	return command;
}

/* The offer with row 1 altered. */
#define ROW_REFUSED(change)                                                               \
	do {                                                                              \
		struct command offer_ = offtake();                                        \
		struct delivery *row = &rows[1];                                          \
		change;                                                                   \
		refused("delivery: " #change, &offer_, ERR_INVALID_FIELD, "/deliveries"); \
	} while (0)

static void offers_of_offtake(void **state)
{
	(void)state;
	struct command offer = offtake();
	REFUSED(offer, offtake_offer, is->seller = nobody, PAYEE_INVALID, "/seller_id");
	REFUSED(offer, offtake_offer, is->buyer = nobody, PAYEE_INVALID, "/seller_id");
	REFUSED(offer, offtake_offer, is->buyer = is->seller, PAYEE_INVALID, "/seller_id");
	REFUSED(offer, offtake_offer, *org = at.world.orgs[OTHER], FORBIDDEN, "");
	REFUSED(offer, offtake_offer, is->arbiter = is->seller, SEPARATION_OF_DUTIES, "/arbiter_id");
	REFUSED(offer, offtake_offer, is->arbiter = is->buyer, SEPARATION_OF_DUTIES, "/arbiter_id");
	REFUSED(offer, offtake_offer, (void)code8_set(&is->currency, "eur"), CURRENCY_INVALID, "/currency");
	REFUSED(offer, offtake_offer, is->instrument = 0, INVALID_FIELD, "/instrument");
	REFUSED(offer, offtake_offer, is->unit = at.world.points[SELLER], INVALID_FIELD, "/instrument");
	REFUSED(offer, offtake_offer, is->instrument = 9, NOT_FOUND, "/instrument");
	REFUSED(offer, offtake_offer, is->make_good_us = -1, INVALID_FIELD, "/make_good_days");
	REFUSED(offer, offtake_offer, is->make_good_us = MARKET_MAKE_GOOD_MAX_US + 1, INVALID_FIELD, "/make_good_days");
	REFUSED(offer, offtake_offer, is->penalty_ppm = -1, INVALID_FIELD, "/penalty_ppm");
	REFUSED(offer, offtake_offer, is->penalty_ppm = 1000001, INVALID_FIELD, "/penalty_ppm");
	REFUSED(offer, offtake_offer, is->expires_us = at.world.now_us, EXPIRY_INVALID, "/expires");
	REFUSED(offer, offtake_offer, command_.lists.delivery_count = 0, INVALID_FIELD, "/deliveries");
	REFUSED(offer, offtake_offer, command_.lists.delivery_count = EVENTS_DELIVERIES_MAX + 1, INVALID_FIELD,
		"/deliveries");
	ROW_REFUSED(row->kg = 0);
	ROW_REFUSED(row->kg = MARKET_KG_MAX + 1);
	ROW_REFUSED(row->price_micros = 0);
	ROW_REFUSED(row->price_micros = 1001);
	ROW_REFUSED(row->price_micros = MARKET_PRICE_MAX + 1000);
	ROW_REFUSED(row->from_us = -1);
	ROW_REFUSED(row->from_us = row->due_us);
	ROW_REFUSED(row->from_us = 0; row->due_us = at.world.now_us);
	ROW_REFUSED(row->from_us = rows[0].from_us - 1);
	ROW_REFUSED(row->due_us = rows[0].due_us - 1);
	ROW_REFUSED(row->delivered_kg = 1);
	ROW_REFUSED(row->tendered_kg = 1);
	ROW_REFUSED(row->state = DELIVERY_DONE);
	ROW_REFUSED(row->reserved = 1);
	close_account(4);
	REFUSED(offer, offtake_offer, is->buyer = at.world.orgs[4], ACCOUNT_CLOSED, "");
	REFUSED(offer, offtake_offer, *org = is->buyer; is->seller = at.world.orgs[4], ACCOUNT_CLOSED, "");
	offer = offtake();
	must(&offer);
	offer.source = COMMAND_SOURCE_TRANSFER;
	offer.natural_key = world_hash(&at.world);
	REFUSED(offer, offtake_offer, (void)0, DUPLICATE, "");
}

static struct command of_contract(enum command_kind kind, int org, struct id contract)
{
	struct command command = world_command(&at.world, kind, org);
	command.offtake_accept.contract = contract; /* with which each of them begins */
	return command;
}

static void contracts_of_offtake(void **state)
{
	(void)state;
	uint64_t other = reduction();
	struct command offer = offtake();
	must(&offer);
	struct command accept = of_contract(COMMAND_OFFTAKE_ACCEPT, BUYER, offer.id);
	struct command deliver = of_contract(COMMAND_OFFTAKE_DELIVER, SELLER, offer.id);
	struct command dispute = of_contract(COMMAND_OFFTAKE_DISPUTE, BUYER, offer.id);
	struct command end = of_contract(COMMAND_OFFTAKE_TERMINATE, BUYER, offer.id);
	struct command decide = of_contract(COMMAND_OFFTAKE_DECIDE, -1, offer.id);
	deliver.offtake_deliver.batch = at.batch;
	deliver.offtake_deliver.kg = 400;
	decide.offtake_decide.compliance = 1;
	decide.offtake_decide.reason_hash = world_hash(&at.world);
	REFUSED(accept, offtake_accept, is->contract = world_id(&at.world), CONTRACT_DONE, "");
	REFUSED(accept, offtake_accept, *org = at.world.orgs[OTHER], CONTRACT_DONE, "");
	REFUSED(accept, offtake_accept, *org = at.world.orgs[SELLER], FORBIDDEN, "");
	REFUSED(deliver, offtake_deliver, (void)0, CONTRACT_STATE, "");
	REFUSED(dispute, offtake_dispute, is->reason_hash = decide.offtake_decide.reason_hash, CONTRACT_STATE, "");
	must(&accept);
	REFUSED(accept, offtake_accept, (void)0, CONTRACT_STATE, "");
	struct command prepaid = escrow();
	prepaid.escrow_open.contract = offer.id;
	REFUSED(prepaid, escrow_open, (void)0, INVALID_FIELD, "/kg"); /* of money alone */
	REFUSED(prepaid, escrow_open, is->payee = at.world.orgs[OTHER], CONTRACT_DONE, "/contract_id");
	REFUSED(prepaid, escrow_open, is->payer = at.world.orgs[OTHER];
		*org = is->payer, CONTRACT_DONE, "/contract_id");
	REFUSED(prepaid, escrow_open, (void)code8_set(&is->currency, "USD"), CONTRACT_DONE, "/contract_id");
	REFUSED(deliver, offtake_deliver, *org = at.world.orgs[BUYER], FORBIDDEN, "");
	REFUSED(deliver, offtake_deliver, (void)0, NOTHING_OWED, ""); /* no window has begun */
	at.world.now_us += CLOCK_US_PER_HOUR;
	REFUSED(deliver, offtake_deliver, is->kg = 0, NOTHING_OWED, "/kg");
	REFUSED(deliver, offtake_deliver, is->kg = 1001, NOTHING_OWED, "/kg");
	REFUSED(deliver, offtake_deliver, is->batch = 99, NOT_DELIVERABLE, "/batch");
	REFUSED(deliver, offtake_deliver, is->batch = other, NOT_DELIVERABLE, "/batch");
	must(&deliver);
	REFUSED(end, offtake_terminate, is->refund_micros = -1, EXCEEDS_PENDING, "/refund");
	REFUSED(end, offtake_terminate, is->refund_micros = 1, EXCEEDS_PENDING, "/refund");
	REFUSED(decide, offtake_decide, (void)0, NOT_DISPUTED, "");
	REFUSED(dispute, offtake_dispute, (void)0, MISSING_FIELD, "/reason");
	dispute.offtake_dispute.reason_hash = world_hash(&at.world);
	must(&dispute);
	REFUSED(deliver, offtake_deliver, (void)0, CONTRACT_STATE, "");
	REFUSED(prepaid, escrow_open, is->kg = 0; is->batch = 0, CONTRACT_DONE, "/contract_id"); /* not in force */
	REFUSED(decide, offtake_decide, *org = at.world.orgs[SELLER], SEPARATION_OF_DUTIES, "");
	REFUSED(decide, offtake_decide, *org = at.world.orgs[BUYER], SEPARATION_OF_DUTIES, "");
	REFUSED(decide, offtake_decide, is->compliance = 0, CONTRACT_DONE, "");
	REFUSED(decide, offtake_decide, is->reason_hash = (struct hash){0}, MISSING_FIELD, "/reason");
	REFUSED(decide, offtake_decide, is->refund_micros = -1, EXCEEDS_PENDING, "/refund");
	REFUSED(decide, offtake_decide, is->refund_micros = 1, EXCEEDS_PENDING, "/refund");
	must(&decide);
	REFUSED(decide, offtake_decide, (void)0, CONTRACT_DONE, "");
	REFUSED(end, offtake_terminate, (void)0, CONTRACT_DONE, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {TEST(markets), TEST(schedules), TEST(instruments), TEST(forms_of_orders),
		TEST(places_of_orders), TEST(limits_of_traders), TEST(work_that_is_not_due), TEST(terms_of_auctions),
		TEST(takes_and_bids), TEST(an_auction_whose_time_is_over), TEST(pools), TEST(purchases), TEST(escrows),
		TEST(escrows_of_closed_accounts), TEST(offers_of_offtake), TEST(contracts_of_offtake)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
