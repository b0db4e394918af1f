/* Two shards on one store: an engine each, with its journal, and the carriers between them (docs/SHARDS.md). What is sent arrives
 * once, also when the process dies by kill −9 at any moment; the states are read anew from their own journals and snapshots. */
#include "place.h"

#include <signal.h>
#include <sys/wait.h>

#include "parts.h"

#define SHARD     1u
#define MICROS    INT64_C(1000000)
#define ROUNDS    6
#define MONEY     (1000000 * MICROS)
#define KILOGRAMS 1000000

struct pair {
	struct place place; /* its engine is home's */
	struct engine *market;
	struct engine_carrier *there, *back;
};

static void pair_start(struct pair *pair)
{
	struct err_info info = {0};
	struct engine_options options = {.node = "test", .shard = SHARD, .on_stop = place_stopped};
	place_start(&pair->place);
	options.store = pair->place.store;
	options.registry = pair->place.registry;
	options.snapshot_events = pair->place.snapshot_events;
	options.context = &pair->place;
	assert_int_equal(engine_start(&options, &pair->market, &info), ERR_OK);
	assert_int_equal(engine_carrier_start(pair->place.engine, pair->market, &pair->there, &info), ERR_OK);
	assert_int_equal(engine_carrier_start(pair->market, pair->place.engine, &pair->back, &info), ERR_OK);
}

static void pair_stop(struct pair *pair)
{
	engine_carrier_stop(&pair->there);
	engine_carrier_stop(&pair->back);
	engine_stop(&pair->market);
	place_stop(&pair->place);
}

static struct engine_result must(struct engine *engine, const struct command *command)
{
	struct engine_result result = {0};
	struct err_info info = {0};
	if (engine_command(engine, command, NULL, 0, seconds_from_now(30), &result, &info))
		fail_msg("%s: %s", command_kind_name(command->kind), info.detail);
	return result;
}

/* Until neither carrier has anything left. */
static void settle(struct pair *pair)
{
	int64_t deadline_us = seconds_from_now(30);
	for (;;) {
		int64_t home = engine_position(pair->place.engine), market = engine_position(pair->market);
		if (engine_carrier_position(pair->there) >= home && engine_carrier_position(pair->back) >= market &&
			engine_position(pair->place.engine) == home && engine_position(pair->market) == market)
			return;
		assert_true(clock_monotonic_us() < deadline_us);
		sched_yield();
	}
}

/* The state of a shard as its own journal has it, from a snapshot where there is one. */
static struct loaded load(struct pair *pair, uint32_t shard)
{
	struct loaded loaded;
	struct err_info info = {0};
	assert_int_equal(snapshot_load(pair->place.store, pair->place.registry, shard, false, &loaded, &info), ERR_OK);
	assert_int_equal(journal_replay(pair->place.store, &loaded, 0, &info), ERR_OK);
	assert_int_equal(rules_check(loaded.rules, &info), ERR_OK);
	return loaded;
}

/* P1, P2 and P3 over both shards, and nothing is under way. */
static void check(struct pair *pair)
{
	struct rules_under_way is;
	struct err_info info = {0};
	settle(pair);
	struct loaded home = load(pair, 0), market = load(pair, SHARD);
	if (rules_shards_check(home.rules, market.rules, &is, &info))
		fail_msg("%s", info.detail);
	assert_int_equal(is.kg, 0);
	assert_int_equal(is.micros, 0);
	rules_free(&home.rules);
	rules_free(&market.rules);
}

static struct code8 euro(void)
{
	struct code8 code;
	assert_true(code8_set(&code, "EUR"));
	return code;
}

static int64_t money_in(struct pair *pair, uint32_t shard, struct id org)
{
	struct loaded loaded = load(pair, shard);
	int64_t micros = ledger_amount(rules_ledger(loaded.rules), ledger_money_asset(euro()),
		(struct ledger_place){.org = org, .state = KG_HELD});
	rules_free(&loaded.rules);
	return micros;
}

static struct command out(struct world *world, int org, uint32_t to, uint64_t batch, int64_t amount)
{
	world->now_us = clock_wall_us();
	struct command command = world_command(world, COMMAND_SHARD_OUT, org);
	command.shard_out = (struct command_shard_out){.shard = to, .batch = batch, .kg = batch ? amount : 0};
	if (!batch) {
		command.shard_out.currency = euro();
		command.shard_out.amount_micros = amount;
	}
	return command;
}

/* Home with a batch and money, the shard and its market open. */
static uint64_t genesis(struct pair *pair, struct world *world)
{
	pair_start(pair);
	place_verifier(&pair->place, world, 3);
	uint64_t batch = place_issue(&pair->place, world, 0, 24, KILOGRAMS, NULL);
	struct command command = world_command(world, COMMAND_HOUSE_NAME, -1);
	command.house_name.org = world->orgs[5];
	must(pair->place.engine, &command);
	for (int org = 0; org < 2; org++) {
		command = world_command(world, COMMAND_MONEY_DEPOSIT, -1);
		command.money_deposit = (struct command_money_deposit){
			.to = world->orgs[org], .currency = euro(), .amount_micros = MONEY};
		must(pair->place.engine, &command);
	}
	command = world_command(world, COMMAND_SHARD_OPEN, -1);
	command.shard_open = (struct command_shard_open){.shard = SHARD, .kind = CREDIT_REMOVAL, .currency = euro()};
	must(pair->place.engine, &command);
	settle(pair);
	command = world_command(world, COMMAND_MARKET_OPEN, -1);
	command.market_open = (struct command_market_open){.currency = euro(),
		.tick_micros = MICROS,
		.lot_kg = 1000,
		.collar_ppm = 100000,
		.kind = CREDIT_REMOVAL};
	must(pair->market, &command);
	command = world_command(world, COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list.market = 1;
	assert_true(code32_set(&command.instrument_list.code, "ANY"));
	must(pair->market, &command);
	return batch;
}

static void what_is_traded_there_is_retired_here(void **state)
{
	(void)state;
	struct pair pair = {0};
	struct world world;
	place_new(&pair.place);
	place_world(&world, 1);
	uint64_t batch = genesis(&pair, &world);
	struct command command = out(&world, 0, SHARD, batch, 5000);
	assert_int_equal(must(pair.place.engine, &command).shard, 0);
	command = out(&world, 1, SHARD, 0, 1000 * MICROS);
	must(pair.place.engine, &command);
	settle(&pair);
	for (int buys = 0; buys < 2; buys++) {
		command = world_command(&world, COMMAND_ORDER_PLACE, buys);
		command.order_place = (struct command_order_place){.market = !buys,
			.batch = buys ? 0 : batch,
			.instrument = (uint64_t)buys,
			.price_micros = 100 * MICROS,
			.kg = 3000,
			.side = buys ? ORDER_BUY : ORDER_SELL};
		assert_int_equal(must(pair.market, &command).shard, SHARD);
	}
	command = out(&world, 1, 0, batch, 3000);
	must(pair.market, &command);
	command = out(&world, 0, 0, 0, 300 * MICROS);
	must(pair.market, &command);
	check(&pair);
	assert_int_equal(money_in(&pair, 0, world.orgs[0]), MONEY + 300 * MICROS);
	assert_int_equal(money_in(&pair, SHARD, world.orgs[1]), 700 * MICROS);
	command = retire_command(&world, 1, batch, 3000);
	must(pair.place.engine, &command);
	place_check_views(&pair.place); /* home's: what is away is in transit */
	pair_stop(&pair);
	/* both begin again from their own journals */
	pair_start(&pair);
	check(&pair);
	assert_int_equal(money_in(&pair, SHARD, world.orgs[1]), 700 * MICROS);
	command = retire_command(&world, 1, batch, 1);
	struct engine_result result;
	assert_int_equal(place_command(&pair.place, &world, &command, &result), ERR_INSUFFICIENT_KG);
	pair_stop(&pair);
	place_drop(&pair.place);
	world_stop(&world);
}

/* Sends to and fro for ever, and says how often it was answered. */
static void child(struct pair *pair, uint64_t seed, uint64_t batch, int answers)
{
	struct world world;
	struct err_info info = {0};
	struct engine_result result;
	pair_start(pair);
	place_world(&world, 1);
	world.random = seed;
	for (int i = 0;; i++) {
		bool back = i % 3 == 2;
		struct command command =
			out(&world, i % 2, back ? 0 : SHARD, i % 4 < 2 && i % 2 == 0 ? batch : 0, 1 + i % 7);
		enum err err = engine_command(back ? pair->market : pair->place.engine, &command, NULL, 0,
			seconds_from_now(30), &result, &info);
		if (err && err != ERR_INSUFFICIENT_FUNDS && err != ERR_INSUFFICIENT_KG)
			_exit(1);
		if (write(answers, "", 1) != 1)
			_exit(1);
	}
}

static void kill_9_loses_nothing_and_doubles_nothing(void **state)
{
	(void)state;
	struct pair pair = {0};
	struct world world;
	place_new(&pair.place);
	place_world(&world, 1);
	pair.place.snapshot_events = 150; /* kills meet them, too */
	uint64_t batch = genesis(&pair, &world);
	pair_stop(&pair);
	for (uint64_t round = 0; round < ROUNDS; round++) {
		int ends[2];
		assert_int_equal(pipe(ends), 0);
		pid_t pid = fork();
		if (pid == 0) {
			close(ends[0]);
			child(&pair, round + 2, batch, ends[1]);
		}
		close(ends[1]);
		char answered[1];
		size_t wanted = 10 + (size_t)world_below(&world, 60);
		while (read(ends[0], answered, 1) == 1)
			if (--wanted == 0)
				kill(pid, SIGKILL);
		close(ends[0]);
		int status = 0;
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		pair_start(&pair); /* what was under way goes on */
		check(&pair);
		place_check_views(&pair.place);
		int64_t micros = 0;
		for (int org = 0; org < 2; org++)
			micros += money_in(&pair, 0, world.orgs[org]) + money_in(&pair, SHARD, world.orgs[org]);
		assert_int_equal(micros, 2 * MONEY); /* none of it was lost or made */
		pair_stop(&pair);
	}
	place_drop(&pair.place);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_traded_there_is_retired_here),
		cmocka_unit_test(kill_9_loses_nothing_and_doubles_nothing)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
