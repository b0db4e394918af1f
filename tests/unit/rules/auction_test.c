/* Listings and auctions, from decision 23 and docs/AUCTIONS.md: who gets what at which price, and where kilograms and money are
 * afterwards. As market_test: each command is tried with a fault at each of its events first, a replica replays every event (P8), and
 * P1, P2 and P3 hold after each. What sealed bids come to is held against a naive clearing that is written here. */
#include "trading.h"

#define FORFEIT 250000 /* a quarter */

static struct hash nonce_of(int bid)
{
	struct hash nonce = {{7, (uint8_t)bid, (uint8_t)(bid >> 8)}};
	return nonce;
}

static struct command auction(enum auction_kind kind, int64_t kg, int64_t lot_kg)
{
	struct command command = world_command(&at.world, COMMAND_AUCTION_OPEN, SELLER);
	command.auction_open = (struct command_auction_open){.market = 1,
		.batch = at.batch,
		.kg = kg,
		.lot_kg = lot_kg,
		.price_micros = PRICE,
		.kind = (uint32_t)kind};
	if (kind == AUCTION_DUTCH) {
		command.auction_open.floor_micros = PRICE / 2;
		command.auction_open.step_micros = 15 * TICK;
		command.auction_open.interval_us = CLOCK_US_PER_HOUR;
		command.auction_open.ends_us = at.world.now_us + CLOCK_US_PER_DAY;
	} else if (kind != AUCTION_LISTING) {
		command.auction_open.ends_us = at.world.now_us + CLOCK_US_PER_DAY;
		command.auction_open.reveals_until_us = at.world.now_us + 2 * CLOCK_US_PER_DAY;
		command.auction_open.forfeit_ppm = FORFEIT;
	}
	return command;
}

static uint64_t opened(enum auction_kind kind, int64_t kg, int64_t lot_kg)
{
	struct command command = auction(kind, kg, lot_kg);
	must(&command);
	return at.world.result.number;
}

static struct command take(int org, uint64_t number, int64_t kg, int64_t limit)
{
	struct command command = world_command(&at.world, COMMAND_AUCTION_TAKE, org);
	command.auction_take = (struct command_auction_take){.auction = number, .kg = kg, .limit_micros = limit};
	return command;
}

static struct command commit(int org, uint64_t number, int64_t kg, int64_t price, int64_t maximum, int bid)
{
	struct command command = world_command(&at.world, COMMAND_BID_COMMIT, org);
	command.bid_commit = (struct command_bid_commit){.auction = number,
		.commitment = market_commitment(number, at.world.orgs[org], kg, price, nonce_of(bid)),
		.maximum_micros = maximum};
	return command;
}

static struct command reveal(int org, uint64_t number, uint64_t bid, int64_t kg, int64_t price)
{
	struct command command = world_command(&at.world, COMMAND_BID_REVEAL, org);
	command.bid_reveal = (struct command_bid_reveal){
		.auction = number, .bid = bid, .kg = kg, .price_micros = price, .nonce = nonce_of((int)bid)};
	return command;
}

static int64_t offered(uint64_t number)
{
	struct ledger_place place = {.org = market_account(MARKET_ACCOUNT_AUCTION, number), .state = KG_LISTED};
	return ledger_amount(rules_ledger(at.world.rules), at.batch, place);
}

static void pass(int64_t us)
{
	tick_at(at.world.now_us + us);
	follow();
}

static int64_t fee(int64_t amount, int64_t ppm)
{
	return (amount * ppm + 999999) / 1000000;
}

/* ---- listings, Dutch auctions ---- */

static void a_listing_sells_any_kilograms_at_its_price(void **state)
{
	(void)state;
	int64_t seller = cash(SELLER), buyer = cash(BUYER), had = kg_of(BUYER, KG_HELD),
		held_kg = kg_of(SELLER, KG_HELD);
	uint64_t number = opened(AUCTION_LISTING, 5000, 1);
	assert_int_equal(offered(number), 5000);
	assert_int_equal(kg_of(SELLER, KG_HELD), held_kg - 5000);
	struct command command = take(BUYER, number, 7, PRICE);
	must(&command);
	int64_t amount = PRICE / 1000 * 7;
	assert_int_equal(kg_of(BUYER, KG_HELD), had + 7);
	assert_int_equal(cash(BUYER), buyer - amount - fee(amount, TAKER));
	assert_int_equal(cash(SELLER), seller + amount - fee(amount, MAKER));
	command = take(BUYER, number, 5000, PRICE);
	assert_int_equal(give(&command), ERR_AUCTION_LEFT);
	command.auction_take.partial = 1;
	must(&command); /* what is left: the listing is over */
	assert_int_equal(kg_of(BUYER, KG_HELD), had + 5000);
	assert_int_equal(market_auction_count(rules_market(at.world.rules)), 0);
	assert_int_equal(give(&command), ERR_AUCTION_DONE);
	command = take(BUYER, number + 1, 1, PRICE);
	assert_int_equal(give(&command), ERR_NOT_FOUND);
}

static void what_may_not_be_taken_is_refused(void **state)
{
	(void)state;
	uint64_t number = opened(AUCTION_LISTING, 5000, 100);
	struct command command = take(BUYER, number, 50, PRICE);
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = take(BUYER, number, 100, PRICE - TICK);
	assert_int_equal(give(&command), ERR_PRICE_LIMIT);
	command = take(SELLER, number, 100, PRICE);
	assert_int_equal(give(&command), ERR_OWN_AUCTION);
	command = take(4, number, 100, PRICE); /* has no money */
	assert_int_equal(give(&command), ERR_INSUFFICIENT_FUNDS);
	command = commit(BUYER, number, 100, PRICE, PRICE, 1);
	assert_int_equal(give(&command), ERR_AUCTION_PHASE);
	struct command terms = auction(AUCTION_LISTING, 1000000000, 1);
	assert_int_equal(give(&terms), ERR_INSUFFICIENT_KG);
	terms = auction(AUCTION_LISTING, 150, 100);
	assert_int_equal(give(&terms), ERR_INVALID_FIELD);
	terms = auction(AUCTION_SECOND_PRICE, 5000, 1000);
	assert_int_equal(give(&terms), ERR_INVALID_FIELD); /* a single lot */
	terms = auction(AUCTION_DUTCH, 5000, 1000);
	terms.auction_open.floor_micros = PRICE + TICK;
	assert_int_equal(give(&terms), ERR_INVALID_FIELD);
}

static void a_dutch_price_falls_by_its_step_each_interval_to_its_floor(void **state)
{
	(void)state;
	struct command command;
	uint64_t number = opened(AUCTION_DUTCH, 5000, 1000);
	int64_t start_us = at.world.now_us;
	const struct {
		int64_t at_us, price;
	} falls[] = {{CLOCK_US_PER_HOUR - 1, PRICE}, {CLOCK_US_PER_HOUR, PRICE - 15 * TICK},
		{2 * CLOCK_US_PER_HOUR, PRICE - 30 * TICK}, {5 * CLOCK_US_PER_HOUR, PRICE / 2}};
	for (int i = 0; i < 4; i++) {
		tick_at(start_us + falls[i].at_us);
		command = take(BUYER, number, 1000, falls[i].price - TICK);
		assert_int_equal(give(&command), ERR_PRICE_LIMIT);
		int64_t had = cash(BUYER);
		command = take(BUYER, number, 1000, falls[i].price);
		at.world.now_us = start_us + falls[i].at_us; /* no tick between */
		must(&command);
		assert_int_equal(cash(BUYER), had - falls[i].price - fee(falls[i].price, TAKER));
	}
	int64_t had = kg_of(SELLER, KG_HELD);
	tick_at(start_us + CLOCK_US_PER_DAY);
	follow();
	assert_int_equal(kg_of(SELLER, KG_HELD), had + 1000); /* its time is over */
	assert_int_equal(offered(number), 0);
}

static void steps_that_are_missed_happen_at_once(void **state)
{
	(void)state;
	uint64_t number = opened(AUCTION_DUTCH, 5000, 1000);
	pass(3 * CLOCK_US_PER_HOUR + CLOCK_US_PER_MINUTE);
	struct command command = take(BUYER, number, 1000, PRICE - 46 * TICK);
	assert_int_equal(give(&command), ERR_PRICE_LIMIT);
	command = take(BUYER, number, 1000, PRICE - 45 * TICK);
	must(&command);
}

static void the_seller_cancels(void **state)
{
	(void)state;
	int64_t had = kg_of(SELLER, KG_HELD);
	uint64_t number = opened(AUCTION_LISTING, 5000, 1);
	struct command command = world_command(&at.world, COMMAND_AUCTION_CANCEL, BUYER);
	command.auction_cancel.auction = number;
	assert_int_equal(give(&command), ERR_FORBIDDEN);
	command = world_command(&at.world, COMMAND_AUCTION_CANCEL, SELLER);
	command.auction_cancel.auction = number;
	must(&command);
	assert_int_equal(kg_of(SELLER, KG_HELD), had);
}

/* ---- sealed bids ---- */

static void a_bid_reserves_its_maximum_and_must_be_the_one_that_was_committed_to(void **state)
{
	(void)state;
	int64_t had = cash(BUYER), maximum = 7 * PRICE;
	uint64_t number = opened(AUCTION_FIRST_PRICE, 5000, 1000);
	struct command command = commit(BUYER, number, 3000, 2 * PRICE, PRICE - 1, 1);
	assert_int_equal(give(&command), ERR_AMOUNT_INVALID); /* less than a lot at the reserve */
	command = commit(SELLER, number, 3000, 2 * PRICE, maximum, 1);
	assert_int_equal(give(&command), ERR_OWN_AUCTION);
	command = commit(BUYER, number, 3000, 2 * PRICE, maximum, 1);
	must(&command);
	assert_int_equal(cash(BUYER), had - maximum - fee(maximum, TAKER));
	assert_int_equal(money_of(at.world.orgs[BUYER], KG_RESERVED), maximum + fee(maximum, TAKER));
	struct command open = reveal(BUYER, number, 1, 3000, 2 * PRICE);
	assert_int_equal(give(&open), ERR_AUCTION_PHASE);             /* not yet */
	command = commit(OTHER, number, 4000, 2 * PRICE, maximum, 2); /* more than its maximum */
	must(&command);
	pass(CLOCK_US_PER_DAY);
	command = commit(BUYER, number, 3000, 2 * PRICE, maximum, 1);
	assert_int_equal(give(&command), ERR_AUCTION_PHASE);
	command = reveal(BUYER, number, 1, 3000, PRICE);
	assert_int_equal(give(&command), ERR_COMMITMENT_MISMATCH);
	command = reveal(OTHER, number, 1, 3000, 2 * PRICE);
	assert_int_equal(give(&command), ERR_BID_DONE); /* another's */
	command = reveal(OTHER, number, 2, 4000, 2 * PRICE);
	assert_int_equal(give(&command), ERR_PRICE_LIMIT);
	must(&open);
	assert_int_equal(give(&open), ERR_BID_DONE);
}

static void a_bid_is_withdrawn_in_full_while_commitments_are_taken(void **state)
{
	(void)state;
	int64_t had = cash(BUYER);
	uint64_t number = opened(AUCTION_FIRST_PRICE, 5000, 1000);
	struct command command = commit(BUYER, number, 3000, 2 * PRICE, 6 * PRICE, 1);
	must(&command);
	command = world_command(&at.world, COMMAND_BID_WITHDRAW, BUYER);
	command.bid_withdraw = (struct command_bid_withdraw){.auction = number, .bid = 1};
	must(&command);
	assert_int_equal(cash(BUYER), had);
	assert_int_equal(give(&command), ERR_BID_DONE);
	command = commit(BUYER, number, 3000, 2 * PRICE, 6 * PRICE, 2);
	must(&command);
	assert_int_equal(at.world.result.number, 2); /* no number comes twice */
	pass(CLOCK_US_PER_DAY);
	command = world_command(&at.world, COMMAND_BID_WITHDRAW, BUYER);
	command.bid_withdraw = (struct command_bid_withdraw){.auction = number, .bid = 2};
	assert_int_equal(give(&command), ERR_AUCTION_PHASE);
}

/* What one bid is, and what it must come to. */
struct wanted {
	int org;
	int64_t kg, price; /* price 0: it is not revealed */
	bool all_or_none;
	int64_t sold_kg, pays;
};

static void auction_of(enum auction_kind kind, int64_t kg, int64_t lot_kg, const struct wanted *bids, int count)
{
	int64_t kg_before[3], cash_before[3], kg_after[3] = {0}, cash_after[3] = {0},
					      house = money_of(at.house, KG_HELD);
	for (int org = 0; org < 3; org++) {
		kg_before[org] = kg_of(org, KG_HELD);
		cash_before[org] = cash(org);
	}
	uint64_t number = opened(kind, kg, lot_kg);
	int64_t maximum = 10 * PRICE, sold = 0;
	for (int i = 0; i < count; i++) {
		int64_t price = bids[i].price ? bids[i].price : PRICE;
		struct command command = commit(bids[i].org, number, bids[i].kg, price, maximum, i + 1);
		command.bid_commit.all_or_none = bids[i].all_or_none;
		must(&command);
	}
	pass(CLOCK_US_PER_DAY);
	for (int i = count - 1; i >= 0; i--) { /* the order of reveals does not count */
		struct command command = reveal(bids[i].org, number, (uint64_t)i + 1, bids[i].kg, bids[i].price);
		if (bids[i].price)
			must(&command);
	}
	pass(CLOCK_US_PER_DAY);
	assert_int_equal(market_auction_count(rules_market(at.world.rules)), 0);
	int64_t forfeit = fee(maximum, FORFEIT), to_house = 0;
	for (int i = 0; i < count; i++) {
		int64_t amount = bids[i].pays * bids[i].sold_kg / 1000;
		cash_after[SELLER] += amount - fee(amount, MAKER);
		cash_after[bids[i].org] -= amount + fee(amount, TAKER) + (bids[i].price ? 0 : forfeit);
		to_house += fee(amount, MAKER) + fee(amount, TAKER) + (bids[i].price ? 0 : forfeit);
		kg_after[bids[i].org] += bids[i].sold_kg;
		sold += bids[i].sold_kg;
	}
	kg_after[SELLER] -= sold;
	for (int org = 0; org < 3; org++) {
		assert_int_equal(kg_of(org, KG_HELD), kg_before[org] + kg_after[org]);
		assert_int_equal(cash(org), cash_before[org] + cash_after[org]);
		assert_int_equal(money_of(at.world.orgs[org], KG_RESERVED), 0);
	}
	assert_int_equal(money_of(at.house, KG_HELD), house + to_house);
	assert_int_equal(offered(number), 0);
}

static void first_price_each_winner_pays_its_bid(void **state)
{
	(void)state;
	const struct wanted bids[] = {{BUYER, 2000, PRICE + 2 * TICK, false, 1000, PRICE + 2 * TICK},
		{OTHER, 3000, PRICE + 5 * TICK, false, 3000, PRICE + 5 * TICK},
		{BUYER, 1000, PRICE + 3 * TICK, false, 1000, PRICE + 3 * TICK},
		{OTHER, 1000, PRICE - TICK, false, 0, 0}, /* below the reserve */
		{OTHER, 1000, 0, false, 0, 0}};           /* not revealed */
	auction_of(AUCTION_FIRST_PRICE, 5000, 1000, bids, 5);
}

static void uniform_all_pay_the_lowest_accepted_bid(void **state)
{
	(void)state;
	const struct wanted bids[] = {{BUYER, 2000, PRICE + 5 * TICK, false, 2000, PRICE + TICK},
		{OTHER, 2000, PRICE + TICK, false, 1000, PRICE + TICK}, /* the rest may be partial */
		{BUYER, 2000, PRICE + 4 * TICK, false, 2000, PRICE + TICK}, {OTHER, 5000, PRICE, false, 0, 0}};
	auction_of(AUCTION_UNIFORM, 5000, 1000, bids, 4);
}

static void second_price_the_winner_pays_the_next_bid_or_the_reserve(void **state)
{
	(void)state;
	const struct wanted two[] = {{BUYER, 5000, PRICE + 2 * TICK, false, 0, 0},
		{OTHER, 5000, PRICE + 9 * TICK, false, 5000, PRICE + 2 * TICK}};
	auction_of(AUCTION_SECOND_PRICE, 5000, 5000, two, 2);
	const struct wanted one[] = {
		{BUYER, 5000, PRICE + 7 * TICK, false, 5000, PRICE}, {OTHER, 5000, PRICE - TICK, false, 0, 0}};
	auction_of(AUCTION_SECOND_PRICE, 5000, 5000, one, 2);
}

static void equal_bids_go_by_commitment_and_all_or_none_is_passed_over(void **state)
{
	(void)state;
	const struct wanted bids[] = {{BUYER, 3000, PRICE + TICK, false, 3000, PRICE},
		{OTHER, 3000, PRICE + TICK, true, 0, 0}, /* 2,000 are left for it */
		{OTHER, 1000, PRICE, true, 1000, PRICE}, {BUYER, 3000, PRICE, false, 1000, PRICE},
		{OTHER, 1000, PRICE, false, 0, 0}};
	auction_of(AUCTION_UNIFORM, 5000, 1000, bids, 5);
}

static void without_a_bid_at_the_reserve_nothing_is_sold(void **state)
{
	(void)state;
	const struct wanted bids[] = {{BUYER, 3000, PRICE - TICK, false, 0, 0}};
	auction_of(AUCTION_UNIFORM, 5000, 1000, bids, 1);
	auction_of(AUCTION_FIRST_PRICE, 5000, 1000, bids, 0);
}

static void bids_keep_the_seller_from_cancelling_and_the_market_releases_them(void **state)
{
	(void)state;
	int64_t had = cash(BUYER), kg = kg_of(SELLER, KG_HELD);
	uint64_t number = opened(AUCTION_UNIFORM, 5000, 1000);
	struct command command = commit(BUYER, number, 3000, 2 * PRICE, 6 * PRICE, 1);
	must(&command);
	struct command cancel = world_command(&at.world, COMMAND_AUCTION_CANCEL, SELLER);
	cancel.auction_cancel.auction = number;
	assert_int_equal(give(&cancel), ERR_AUCTION_PHASE);
	cancel = world_command(&at.world, COMMAND_AUCTION_CANCEL, -1);
	cancel.auction_cancel = (struct command_auction_cancel){.auction = number, .forced = 1};
	must(&cancel);
	follow();
	assert_int_equal(cash(BUYER), had); /* nothing is forfeited */
	assert_int_equal(kg_of(SELLER, KG_HELD), kg);
}

static void what_is_suspended_ends_and_releases_every_bid(void **state)
{
	(void)state;
	int64_t had = cash(BUYER), kg = kg_of(SELLER, KG_HELD);
	uint64_t number = opened(AUCTION_UNIFORM, 5000, 1000), listing = opened(AUCTION_LISTING, 5000, 1);
	struct command command = commit(BUYER, number, 3000, 2 * PRICE, 6 * PRICE, 1);
	must(&command);
	command = world_command(&at.world, COMMAND_BATCH_HOLD, -1);
	command.batch_hold = (struct command_batch_hold){.batch = at.batch, .reason_hash = world_hash(&at.world)};
	must(&command);
	follow();
	assert_int_equal(cash(BUYER), had);
	assert_int_equal(kg_of(SELLER, KG_HELD), kg);
	assert_int_equal(offered(number) + offered(listing), 0);
	struct command open = auction(AUCTION_LISTING, 1000, 1);
	assert_int_equal(give(&open), ERR_BATCH_HELD);
}

static void a_bidder_who_may_not_pay_takes_no_part_and_loses_nothing(void **state)
{
	(void)state;
	int64_t had = cash(BUYER), other = cash(OTHER), kg = kg_of(OTHER, KG_HELD);
	uint64_t number = opened(AUCTION_UNIFORM, 5000, 1000);
	struct command command = commit(BUYER, number, 5000, 2 * PRICE, 10 * PRICE, 1);
	must(&command);
	command = commit(OTHER, number, 5000, PRICE, 10 * PRICE, 2);
	must(&command);
	pass(CLOCK_US_PER_DAY);
	command = reveal(BUYER, number, 1, 5000, 2 * PRICE);
	must(&command);
	command = reveal(OTHER, number, 2, 5000, PRICE);
	must(&command);
	command = world_command(&at.world, COMMAND_ACCOUNT_HOLD, -1);
	command.account_hold =
		(struct command_account_hold){.org = at.world.orgs[BUYER], .reason_hash = world_hash(&at.world)};
	must(&command);
	pass(CLOCK_US_PER_DAY);
	assert_int_equal(cash(BUYER), had);
	assert_int_equal(kg_of(OTHER, KG_HELD), kg + 5000);
	assert_int_equal(cash(OTHER), other - 5 * PRICE - fee(5 * PRICE, TAKER));
}

static void the_auctions_of_a_stopped_seller_sell_nothing(void **state)
{
	(void)state;
	int64_t had = cash(BUYER), kg = kg_of(SELLER, KG_HELD);
	uint64_t number = opened(AUCTION_UNIFORM, 5000, 1000), listing = opened(AUCTION_LISTING, 1000, 1);
	struct command command = commit(BUYER, number, 5000, PRICE, 10 * PRICE, 1);
	must(&command);
	pass(CLOCK_US_PER_DAY);
	command = reveal(BUYER, number, 1, 5000, PRICE);
	must(&command);
	command = world_command(&at.world, COMMAND_ORDER_CANCEL_ALL, -1);
	command.order_cancel_all = (struct command_order_cancel_all){.org = at.world.orgs[SELLER], .kill = 1};
	must(&command);
	command = take(BUYER, listing, 1, PRICE);
	assert_int_equal(give(&command), ERR_AUCTION_PHASE);
	pass(CLOCK_US_PER_DAY);
	assert_int_equal(cash(BUYER), had); /* released, and nothing is forfeited */
	assert_int_equal(kg_of(SELLER, KG_HELD), kg - 1000);
	command = world_command(&at.world, COMMAND_AUCTION_CANCEL, SELLER);
	command.auction_cancel.auction = listing;
	must(&command); /* it may still take them back */
	assert_int_equal(kg_of(SELLER, KG_HELD), kg);
}

static void a_halted_market_clears_when_it_goes_on(void **state)
{
	(void)state;
	uint64_t number = opened(AUCTION_UNIFORM, 5000, 1000);
	struct command command = commit(BUYER, number, 5000, PRICE, 10 * PRICE, 1);
	must(&command);
	pass(CLOCK_US_PER_DAY);
	struct command halt = world_command(&at.world, COMMAND_MARKET_HALT, -1);
	halt.market_halt = (struct command_market_halt){.market = 1, .state = MARKET_HALTED};
	must(&halt);
	command = reveal(BUYER, number, 1, 5000, PRICE);
	must(&command); /* nobody forfeits for a halt */
	pass(CLOCK_US_PER_DAY);
	assert_int_equal(offered(number), 5000);
	halt.market_halt.state = MARKET_OPEN;
	must(&halt);
	follow();
	assert_int_equal(offered(number), 0);
}

/* More bids than a command settles: the rest follows in the engine's own commands, with the same result as at once. */
static void many_bids_go_on_by_themselves(void **state)
{
	(void)state;
	const int count = 2 * AUCTION_SETTLED_MOST + 10;
	int64_t had = kg_of(BUYER, KG_HELD) + kg_of(OTHER, KG_HELD);
	uint64_t number = opened(AUCTION_UNIFORM, 100, 1);
	for (int i = 0; i < count; i++) {
		int org = i % 3 ? BUYER : OTHER;
		struct command command = commit(org, number, 1, PRICE + i % 7 * TICK, PRICE, i + 1);
		command.bid_commit.commitment =
			market_commitment(number, at.world.orgs[org], 1, PRICE + i % 7 * TICK, nonce_of(i + 1));
		enum err err = give(&command);
		if (err == ERR_OFFERS_FULL) { /* 64 of one organisation */
			command.org = at.world.orgs[org = 3 + i % 2];
			command.actor = at.world.actors[org];
			command.bid_commit.commitment =
				market_commitment(number, at.world.orgs[org], 1, PRICE + i % 7 * TICK, nonce_of(i + 1));
			deposit(org, 2 * PRICE);
			must(&command);
		} else {
			assert_int_equal(err, ERR_OK);
		}
	}
	pass(CLOCK_US_PER_DAY);
	tick_at(at.world.now_us + CLOCK_US_PER_DAY);
	int steps = 0;
	for (struct command command; rules_due(at.world.rules, &command); steps++)
		must(&command);
	assert_true(steps >= 3);
	assert_int_equal(market_auction_count(rules_market(at.world.rules)), 0);
	assert_int_equal(kg_of(BUYER, KG_HELD) + kg_of(OTHER, KG_HELD), had); /* none was revealed */
	(void)number;
}

/* ---- the clearing against a naive one ---- */

/* The best bid that is left, by price, then number: one look at all a time. */
static void clear_naively(const struct clearing *terms, struct clearing_bid *bids, int count, int64_t *ret_price)
{
	int64_t left = terms->kg, lowest = 0, second = terms->reserve_micros;
	bool done[64] = {false}, first = true;
	for (;;) {
		int best = -1;
		for (int i = 0; i < count; i++)
			if (!done[i] && bids[i].kg && !bids[i].barred &&
				bids[i].price_micros >= terms->reserve_micros &&
				(best < 0 || bids[i].price_micros > bids[best].price_micros))
				best = i;
		if (best < 0)
			break;
		done[best] = true;
		int64_t kg = bids[best].kg < left ? bids[best].kg : left;
		if (bids[best].all_or_none && kg < bids[best].kg)
			kg = 0;
		if (!first && second == terms->reserve_micros)
			second = bids[best].price_micros;
		first = false;
		bids[best].sold_kg = kg;
		left -= kg;
		lowest = kg ? bids[best].price_micros : lowest;
	}
	*ret_price = terms->kind == AUCTION_UNIFORM        ? lowest
		     : terms->kind == AUCTION_SECOND_PRICE ? (lowest ? second : 0)
							   : 0;
}

static void any_bids_clear_as_the_naive_way(void **state)
{
	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct clearing_bid bids[24] = {0}, naive[24];
		int count = (int)world_below(&at.world, 24);
		struct clearing terms = {.kind = (enum auction_kind)(AUCTION_FIRST_PRICE + world_below(&at.world, 3)),
			.kg = 1 + world_below(&at.world, 30),
			.reserve_micros = 3,
			.forfeit_ppm = FORFEIT};
		for (int i = 0; i < count; i++) {
			int64_t kg =
				terms.kind == AUCTION_SECOND_PRICE ? terms.kg : 1 + world_below(&at.world, terms.kg);
			bids[i] = (struct clearing_bid){.bid = (uint64_t)i + 1,
				.kg = world_below(&at.world, 6) ? kg : 0,
				.price_micros = 1 + world_below(&at.world, 9),
				.all_or_none = world_below(&at.world, 4) == 0,
				.barred = world_below(&at.world, 12) == 0};
		}
		memcpy(naive, bids, sizeof naive);
		int64_t price = 0;
		clear_naively(&terms, naive, count, &price);
		market_clear(&terms, bids, (size_t)count);
		assert_int_equal(terms.clearing_micros, price);
		for (int i = 0; i < count; i++)
			assert_int_equal(bids[i].sold_kg, naive[bids[i].bid - 1].sold_kg);
	}
}

/* The layout of docs/AUCTIONS.md, byte by byte. */
static void the_commitment_is_that_of_the_page(void **state)
{
	(void)state;
	uint8_t bytes[86] = "carbond/bid/1";
	struct id org = at.world.orgs[BUYER];
	struct hash nonce = nonce_of(9), wanted;
	int64_t kg = 0x0102030405, price = 0x0a0b0c;
	uint64_t number = 0x11223344;
	for (int i = 0; i < 8; i++) {
		bytes[14 + i] = (uint8_t)(number >> 8 * i);
		bytes[38 + i] = (uint8_t)(kg >> 8 * i);
		bytes[46 + i] = (uint8_t)(price >> 8 * i);
	}
	memcpy(bytes + 22, org.bytes, 16);
	memcpy(bytes + 54, nonce.bytes, 32);
	wanted = sha256_of(NULL, bytes, sizeof bytes);
	struct hash made = market_commitment(number, org, kg, price, nonce);
	assert_memory_equal(&made, &wanted, sizeof made);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {CASE(a_listing_sells_any_kilograms_at_its_price),
		CASE(what_may_not_be_taken_is_refused),
		CASE(a_dutch_price_falls_by_its_step_each_interval_to_its_floor),
		CASE(steps_that_are_missed_happen_at_once), CASE(the_seller_cancels),
		CASE(a_bid_reserves_its_maximum_and_must_be_the_one_that_was_committed_to),
		CASE(a_bid_is_withdrawn_in_full_while_commitments_are_taken),
		CASE(first_price_each_winner_pays_its_bid), CASE(uniform_all_pay_the_lowest_accepted_bid),
		CASE(second_price_the_winner_pays_the_next_bid_or_the_reserve),
		CASE(equal_bids_go_by_commitment_and_all_or_none_is_passed_over),
		CASE(without_a_bid_at_the_reserve_nothing_is_sold),
		CASE(bids_keep_the_seller_from_cancelling_and_the_market_releases_them),
		CASE(what_is_suspended_ends_and_releases_every_bid),
		CASE(a_bidder_who_may_not_pay_takes_no_part_and_loses_nothing),
		CASE(the_auctions_of_a_stopped_seller_sell_nothing), CASE(a_halted_market_clears_when_it_goes_on),
		CASE(many_bids_go_on_by_themselves), CASE(any_bids_clear_as_the_naive_way),
		CASE(the_commitment_is_that_of_the_page)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
