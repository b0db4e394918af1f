/* Pools, from decision 24 and docs/POOLS.md: what comes in, what goes out, always rounded in the pool's favour. P10 is held against
 * what the records say after every command, as a fraction and not by the code that checks it. */
#include "trading.h"

#define FEE    3000
#define CHOSEN 20000

static uint64_t second; /* another batch */

static const struct event_state_pool *pool(void)
{
	return market_pool(rules_market(at.world.rules), 1);
}

static int64_t shares_of(int org)
{
	struct ledger_place place = {.org = at.world.orgs[org], .state = KG_HELD};
	return ledger_amount(rules_ledger(at.world.rules), market_pool_shares(1), place);
}

static int64_t in_pool(uint64_t batch, enum kg_state state)
{
	struct ledger_place place = {.org = market_account(MARKET_ACCOUNT_POOL, 1), .state = state};
	return ledger_amount(rules_ledger(at.world.rules), batch, place);
}

static struct command add_to(int org, uint64_t batch, int64_t kg, int64_t maximum)
{
	struct command command = world_command(&at.world, COMMAND_POOL_ADD, org);
	command.pool_add = (struct command_pool_add){.pool = 1, .batch = batch, .kg = kg, .maximum_micros = maximum};
	return command;
}

static struct command buy(int org, int64_t kg, int64_t maximum)
{
	struct command command = world_command(&at.world, COMMAND_POOL_BUY, org);
	command.pool_buy = (struct command_pool_buy){.pool = 1, .kg = kg, .maximum_micros = maximum};
	return command;
}

static struct command sell(int org, uint64_t batch, int64_t kg, int64_t minimum)
{
	struct command command = world_command(&at.world, COMMAND_POOL_SELL, org);
	command.pool_sell = (struct command_pool_sell){.pool = 1, .batch = batch, .kg = kg, .minimum_micros = minimum};
	return command;
}

static struct command redeem(int org, int64_t shares)
{
	struct command command = world_command(&at.world, COMMAND_POOL_REDEEM, org);
	command.pool_redeem = (struct command_pool_redeem){.pool = 1, .shares = shares};
	return command;
}

static struct command resume(void)
{
	struct command command = world_command(&at.world, COMMAND_POOL_RESUME, -1);
	command.pool_resume.pool = 1;
	return command;
}

static struct command hold(uint64_t batch, bool holds)
{
	struct command command = world_command(&at.world, holds ? COMMAND_BATCH_HOLD : COMMAND_BATCH_RELEASE, -1);
	if (holds)
		command.batch_hold = (struct command_batch_hold){.batch = batch, .reason_hash = world_hash(&at.world)};
	else
		command.batch_release =
			(struct command_batch_release){.batch = batch, .reason_hash = world_hash(&at.world)};
	return command;
}

/* A pool of 10,000 kg at 100 a tonne. */
static int open_pool(void **state)
{
	start(state);
	second = world_issue(&at.world, OTHER, 24, 200000, NULL);
	struct command command = world_command(&at.world, COMMAND_POOL_OPEN, -1);
	command.pool_open = (struct command_pool_open){.instrument = 1, .fee_ppm = FEE, .chosen_ppm = CHOSEN};
	must(&command);
	command = add_to(SELLER, at.batch, 10000, 10 * PRICE);
	must(&command);
	return 0;
}

/* ---- P10 ---- */

struct reserve {
	__int128 kg, micros, shares;
};

static struct reserve reserve(void)
{
	return (struct reserve){pool()->reserve_kg, pool()->reserve_micros, pool()->shares};
}

/* x·y ÷ s² is not below what it was; the reserves of these tests are small enough for 127 bits. */
static void must_not_fall(struct reserve was)
{
	struct reserve is = reserve();
	assert_true(is.kg * is.micros < (__int128)1 << 56 && is.shares < (__int128)1 << 35);
	assert_true(is.kg * is.micros * (was.shares * was.shares) >= was.kg * was.micros * (is.shares * is.shares));
	assert_int_equal(in_pool(at.batch, KG_POOLED) + in_pool(second, KG_POOLED), (int64_t)is.kg);
	assert_int_equal(money_of(market_account(MARKET_ACCOUNT_POOL, 1), KG_POOLED), (int64_t)is.micros);
}

/* ---- what comes in ---- */

static void the_first_addition_sets_the_price_and_locks_a_thousand_shares(void **state)
{
	(void)state;
	assert_int_equal(pool()->reserve_kg, 10000);
	assert_int_equal(pool()->reserve_micros, 10 * PRICE);
	assert_int_equal(pool()->shares, 3162277); /* ⌊√(10⁴ × 10⁹)⌋ */
	assert_int_equal(shares_of(SELLER), 3162277 - 1000);
	assert_int_equal(in_pool(at.batch, KG_POOLED), 10000);
}

static void an_addition_is_in_the_pools_ratio_and_rounded_for_the_pool(void **state)
{
	(void)state;
	struct command command = add_to(BUYER, at.batch, 333, PRICE / 3 - 34000); /* 33.3 of money are asked */
	assert_int_equal(give(&command), ERR_POOL_LIMIT);
	command = add_to(BUYER, at.batch, 333, PRICE);
	command.pool_add.minimum_shares = 105304;
	assert_int_equal(give(&command), ERR_POOL_LIMIT);
	command.pool_add.minimum_shares = 105303; /* ⌊333 × 3,162,277 ÷ 10,000⌋ */
	int64_t had = cash(BUYER);
	struct reserve was = reserve();
	must(&command);
	must_not_fall(was);
	assert_int_equal(cash(BUYER), had - PRICE / 1000 * 333);
	assert_int_equal(shares_of(BUYER), 105303);
}

static void a_pool_takes_what_its_instrument_takes(void **state)
{
	(void)state;
	list("REMOVAL-2030", 0, 2030);
	struct command command = world_command(&at.world, COMMAND_POOL_OPEN, -1);
	command.pool_open = (struct command_pool_open){.instrument = 2, .fee_ppm = FEE};
	must(&command);
	command = add_to(SELLER, at.batch, 1000, PRICE);
	command.pool_add.pool = 2;
	assert_int_equal(give(&command), ERR_NOT_POOLABLE);
	command = sell(SELLER, at.batch, 1000, 0);
	command.pool_sell.pool = 2;
	assert_int_equal(give(&command), ERR_NOT_POOLABLE);
	command = buy(BUYER, 1, PRICE);
	command.pool_buy.pool = 2;
	assert_int_equal(give(&command), ERR_POOL_LIQUIDITY);
	command.pool_buy.pool = 3;
	assert_int_equal(give(&command), ERR_NOT_FOUND);
}

/* ---- trades ---- */

static void a_trade_follows_the_product_and_leaves_its_fee(void **state)
{
	(void)state;
	struct reserve was = reserve();
	int64_t had = cash(BUYER), kg = kg_of(BUYER, KG_HELD), cost = 111445449; /* ⌈⌈10⁹·1,000 ÷ 9,000⌉ ÷ 0.997⌉ */
	struct command command = buy(BUYER, 1000, cost - 1);
	assert_int_equal(give(&command), ERR_POOL_LIMIT);
	command = buy(BUYER, 1000, cost);
	must(&command);
	must_not_fall(was);
	assert_int_equal(cash(BUYER), had - cost);
	assert_int_equal(kg_of(BUYER, KG_HELD), kg + 1000);
	was = reserve();
	int64_t brings = 110844364; /* ⌊1,111,445,449·997,000·1,000 ÷ (9,000·10⁶ + 997,000·1,000)⌋ */
	command = sell(BUYER, at.batch, 1000, brings + 1);
	assert_int_equal(give(&command), ERR_POOL_LIMIT);
	command = sell(BUYER, at.batch, 1000, brings);
	must(&command);
	must_not_fall(was);
	assert_int_equal(cash(BUYER), had - cost + brings); /* there and back costs */
	command = buy(BUYER, 10000, 1000 * PRICE);
	assert_int_equal(give(&command), ERR_POOL_LIQUIDITY);
}

static void what_leaves_is_first_in_first_out(void **state)
{
	(void)state;
	struct command command = add_to(OTHER, second, 5000, 5 * PRICE);
	must(&command);
	command = buy(BUYER, 9000, 1000 * PRICE);
	must(&command);
	assert_int_equal(in_pool(at.batch, KG_POOLED), 1000);
	assert_int_equal(in_pool(second, KG_POOLED), 5000);
	command = buy(BUYER, 3000, 1000 * PRICE);
	must(&command); /* the end of the first and the beginning of the second */
	assert_int_equal(in_pool(at.batch, KG_POOLED), 0);
	assert_int_equal(in_pool(second, KG_POOLED), 3000);
	assert_int_equal(world_kg(&at.world, BUYER, second, KG_HELD), 2000);
}

static void chosen_serials_cost_a_fee(void **state)
{
	(void)state;
	struct command command = add_to(OTHER, second, 5000, 5 * PRICE);
	must(&command);
	int64_t plain = 0, chosen = 0, had = cash(BUYER);
	assert_int_equal(market_pool_cost(pool(), 1000, false, &plain), ERR_OK);
	assert_int_equal(market_pool_cost(pool(), 1000, true, &chosen), ERR_OK);
	assert_int_equal(chosen, plain + (plain * CHOSEN + 999999) / 1000000);
	struct serial_range ranges[2] = {{second, 100, 400}, {second, 2000, 900}};
	command = buy(BUYER, 1000, chosen);
	command.lists = (struct record_lists){.ranges = ranges, .range_count = 1};
	assert_int_equal(give(&command), ERR_INSUFFICIENT_KG);
	command.lists.range_count = 2;
	struct reserve was = reserve();
	must(&command);
	must_not_fall(was);
	assert_int_equal(cash(BUYER), had - chosen);
	assert_int_equal(world_kg(&at.world, BUYER, second, KG_HELD), 1000);
	ranges[0].start = 5000; /* never in the pool */
	command = buy(BUYER, 300, 1000 * PRICE);
	command.lists = (struct record_lists){.ranges = ranges, .range_count = 1};
	assert_int_equal(give(&command), ERR_INSUFFICIENT_KG);
}

/* ---- redeeming ---- */

static void shares_bring_their_part_rounded_down(void **state)
{
	(void)state;
	int64_t had = cash(SELLER), kg = kg_of(SELLER, KG_HELD);
	struct command command = redeem(BUYER, 1);
	assert_int_equal(give(&command), ERR_INSUFFICIENT_FUNDS);
	struct reserve was = reserve();
	command = redeem(SELLER, 1000000);
	must(&command);
	must_not_fall(was);
	assert_int_equal(kg_of(SELLER, KG_HELD), kg + 3162); /* ⌊10⁶·10⁴ ÷ 3,162,277⌋ */
	assert_int_equal(cash(SELLER), had + 316227832);     /* ⌊10⁶·10⁹ ÷ 3,162,277⌋ */
	command = redeem(SELLER, 100);
	command.pool_redeem.minimum_kg = 1;
	assert_int_equal(give(&command), ERR_POOL_LIMIT);
	command = redeem(SELLER, shares_of(SELLER));
	must(&command);
	assert_true(pool()->reserve_kg > 0 && pool()->reserve_micros > 0 && pool()->shares == 1000);
}

static void chosen_serials_cost_shares(void **state)
{
	(void)state;
	struct command command = add_to(OTHER, second, 5000, 5 * PRICE);
	must(&command);
	struct serial_range range = {second, 0, 5000};
	int64_t kg = world_kg(&at.world, SELLER, second, KG_HELD), x = pool()->reserve_kg, s = pool()->shares;
	command = redeem(SELLER, 1000000);
	command.lists = (struct record_lists){.ranges = &range, .range_count = 1};
	struct reserve was = reserve();
	must(&command);
	must_not_fall(was);
	assert_int_equal(world_kg(&at.world, SELLER, second, KG_HELD), kg + 980000 * x / s);
}

/* ---- suspension ---- */

static void a_suspended_batch_leaves_and_the_pool_pauses(void **state)
{
	(void)state;
	struct command command = add_to(OTHER, second, 5000, 5 * PRICE);
	must(&command);
	int64_t shares = pool()->shares, micros = pool()->reserve_micros;
	command = hold(second, true);
	must(&command);
	follow();
	assert_int_equal(pool()->reserve_kg, 10000);
	assert_int_equal(pool()->reserve_micros, micros);
	assert_int_equal(pool()->shares, shares); /* the loss is that of all shares */
	assert_int_equal(in_pool(second, KG_HELD), 5000);
	command = buy(BUYER, 100, 1000 * PRICE);
	assert_int_equal(give(&command), ERR_POOL_PAUSED);
	command = sell(BUYER, at.batch, 100, 0);
	assert_int_equal(give(&command), ERR_POOL_PAUSED);
	command = redeem(OTHER, 1000);
	must(&command); /* of what is left */
	command = hold(second, false);
	must(&command);
	struct reserve was = reserve();
	command = resume();
	must(&command); /* comes back … */
	must_not_fall(was);
	assert_int_equal(in_pool(second, KG_POOLED), 5000);
	must(&command); /* … and on it goes */
	assert_int_equal(give(&command), ERR_POOL_PAUSED);
	command = buy(BUYER, 100, 1000 * PRICE);
	must(&command);
}

static void a_pool_may_go_on_without_what_is_suspended(void **state)
{
	(void)state;
	struct command command = add_to(OTHER, second, 5000, 5 * PRICE);
	must(&command);
	command = hold(at.batch, true);
	must(&command);
	follow();
	command = resume();
	must(&command);
	command = buy(BUYER, 100, 1000 * PRICE);
	must(&command);
	assert_int_equal(world_kg(&at.world, BUYER, second, KG_HELD), 100);
	command = hold(at.batch, false);
	must(&command);
	command = sell(SELLER, at.batch, 100, 0);
	assert_int_equal(give(&command), ERR_POOL_PAUSED); /* what was suspended of it comes back first */
	command = resume();
	must(&command);
	assert_int_equal(in_pool(at.batch, KG_POOLED), 10000);
	command = sell(SELLER, at.batch, 100, 0);
	must(&command);
}

static struct command dispute(uint64_t batch, int holder, const struct serial_range *range)
{
	struct command command = world_command(&at.world, COMMAND_DISPUTE_OPEN, 4);
	command.dispute_open = (struct command_dispute_open){.batch = batch,
		.holder = holder < 0 ? (struct id){{0}} : at.world.orgs[holder],
		.reason_hash = world_hash(&at.world)};
	command.lists = (struct record_lists){.ranges = range, .range_count = range != NULL};
	return command;
}

/* Decision 18: a disputed batch leaves its pools; what one holder has of it is no matter of theirs. */
static void a_disputed_batch_leaves_and_a_holders_serials_do_not(void **state)
{
	(void)state;
	struct command command = dispute(0, SELLER, &(struct serial_range){at.batch, 500000, 10});
	must(&command);
	follow();
	command = buy(BUYER, 100, 1000 * PRICE);
	must(&command); /* the pool goes on */
	command = dispute(at.batch, -1, NULL);
	must(&command);
	struct id which = command.id;
	follow();
	assert_int_equal(in_pool(at.batch, KG_POOLED), 0);
	command = resume();
	must(&command);
	assert_int_equal(in_pool(at.batch, KG_POOLED), 0); /* not while it lasts */
	command = world_command(&at.world, COMMAND_DISPUTE_DECIDE, -1);
	command.dispute_decide =
		(struct command_dispute_decide){.dispute = which, .reason_hash = world_hash(&at.world)};
	must(&command);
	command = resume();
	must(&command);
	assert_int_equal(in_pool(at.batch, KG_POOLED), 9900);
}

/* Every other kilogram, so that the batch lies in more ranges than a command may touch. */
static void scattered_kilograms_leave_in_parts(void **state)
{
	(void)state;
	for (int part = 0; part < 2; part++) {
		struct serial_range ranges[200];
		for (int i = 0; i < 200; i++)
			ranges[i] = (struct serial_range){at.batch, 500000 + 1000 * part + 2 * i, 1};
		struct command command = world_command(&at.world, COMMAND_TRANSFER, SELLER);
		command.transfer.to = at.world.orgs[4];
		command.lists = (struct record_lists){.ranges = ranges, .range_count = 200};
		must(&command);
		command = sell(4, at.batch, 200, 0);
		must(&command);
	}
	struct command command = hold(at.batch, true);
	must(&command);
	assert_int_equal(in_pool(at.batch, KG_POOLED), 10400);
	assert_true(rules_due(at.world.rules, &command));
	must(&command);
	assert_true(in_pool(at.batch, KG_POOLED) > 0);
	follow();
	assert_int_equal(in_pool(at.batch, KG_POOLED), 0);
	assert_int_equal(in_pool(at.batch, KG_HELD), 10400);
	assert_int_equal(pool()->reserve_kg, 0);
	command = hold(at.batch, false);
	must(&command);
	for (int i = 0; i < 2; i++) {
		command = resume();
		must(&command);
	}
	assert_int_equal(in_pool(at.batch, KG_POOLED), 10400);
}

/* ---- price × time ---- */

static void the_mean_price_is_the_difference_of_the_counters(void **state)
{
	(void)state;
	unsigned __int128 first = (unsigned __int128)pool()->price_time_high << 64 | pool()->price_time_low;
	int64_t first_us = pool()->priced_us;
	at.world.now_us += CLOCK_US_PER_HOUR - CLOCK_US_PER_SECOND;
	struct command command = buy(BUYER, 1000, 1000 * PRICE);
	must(&command); /* an hour at 100 */
	int64_t price = pool()->reserve_micros / 9;
	at.world.now_us += 3 * CLOCK_US_PER_HOUR - CLOCK_US_PER_SECOND;
	command = sell(SELLER, at.batch, 1000, 0);
	must(&command); /* three hours at what the purchase made of it */
	unsigned __int128 last = (unsigned __int128)pool()->price_time_high << 64 | pool()->price_time_low;
	assert_int_equal(
		(int64_t)((last - first) / (unsigned __int128)(pool()->priced_us - first_us)), (PRICE + 3 * price) / 4);
}

/* ---- anything, by chance ---- */

static void whatever_happens_its_value_for_a_share_does_not_fall(void **state)
{
	(void)state;
	int done = 0;
	for (int i = 0; i < 400; i++) {
		struct world *world = &at.world;
		int org = (int)world_below(world, 3);
		uint64_t batch = world_below(world, 2) ? at.batch : second;
		int64_t kg = 1 + world_below(world, 3000);
		struct reserve was = reserve();
		struct command command = buy(org, kg, 1000 * PRICE);
		switch (world_below(world, 4)) {
		case 0: command = add_to(org, batch, kg, 100 * PRICE); break;
		case 1: command = sell(org, batch, kg, 0); break;
		case 2: command = redeem(org, 1 + world_below(world, 400000)); break;
		default: break;
		}
		if (give(&command) == ERR_OK) {
			must_not_fall(was);
			done++;
		}
	}
	assert_true(done > 150);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_pool, stop)
	const struct CMUnitTest tests[] = {CASE(the_first_addition_sets_the_price_and_locks_a_thousand_shares),
		CASE(an_addition_is_in_the_pools_ratio_and_rounded_for_the_pool),
		CASE(a_pool_takes_what_its_instrument_takes), CASE(a_trade_follows_the_product_and_leaves_its_fee),
		CASE(what_leaves_is_first_in_first_out), CASE(chosen_serials_cost_a_fee),
		CASE(shares_bring_their_part_rounded_down), CASE(chosen_serials_cost_shares),
		CASE(a_suspended_batch_leaves_and_the_pool_pauses), CASE(a_pool_may_go_on_without_what_is_suspended),
		CASE(a_disputed_batch_leaves_and_a_holders_serials_do_not), CASE(scattered_kilograms_leave_in_parts),
		CASE(the_mean_price_is_the_difference_of_the_counters),
		CASE(whatever_happens_its_value_for_a_share_does_not_fall)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
