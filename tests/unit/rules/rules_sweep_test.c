/* The engine's state when memory ends at any allocation of a command, of a replay, of a snapshot: a refused command leaves the
 * state as it was (decision 8), and the same command is then carried out. */
#include "money.h"

#include "sweep.h"

/* Executes `command` with every allocation failing in turn, until it needs no more of them. */
static void execute_at_last(struct world *world, const struct command *command)
{
	struct hash before = world_state(world->rules);
	for (struct sweep sweep = {.kind = SWEEP_ALLOCATION, .nth = 1};; sweep.nth++) {
		world->output.size = world->output.guard_count = 0;
		world->info = (struct err_info){.code = ERR_OK};
		sweep_arm(&sweep);
		enum err err = rules_execute(
			world->rules, command, world->now_us, &world->output, &world->result, &world->info);
		sweep_disarm(&sweep);
		sweep_judge(&sweep, err, &world->info);
		if (!err)
			break;
		struct hash after = world_state(world->rules);
		assert_memory_equal(&before, &after, sizeof after);
		assert_int_equal(world->output.size, 0);
		assert_int_equal(world->output.guard_count, 0);
	}
	world_replay(world, 0);
	world_check(world); /* P8 */
}

static struct command transfer(struct world *world, int from, int to, uint64_t batch, int64_t kg)
{
	struct command command = world_command(world, COMMAND_TRANSFER, from);
	command.transfer = (struct command_transfer){.to = world->orgs[to], .batch = batch, .kg = kg};
	return command;
}

/* Deposits, pending transfers of money and kilograms, a set of both, limits and offers; every third round one of them ends. */
static void money_of_a_round(struct world *world, int round, uint64_t batch)
{
	int org = round % 3;
	struct command command = deposit(world, org, 100 * UNIT);
	execute_at_last(world, &command);
	struct command waits = transfer(world, org, 4, batch, 20);
	waits.transfer.pending = 1;
	waits.transfer.expires_us = world->now_us + CLOCK_US_PER_HOUR;
	execute_at_last(world, &waits);
	command = pending(world, org, 4, UNIT, world->now_us + CLOCK_US_PER_MINUTE);
	execute_at_last(world, &command);
	const struct linked_transfer linked[] = {{.to = world->orgs[5], .batch = batch, .amount = 5, .pending = 1},
		{.to = world->orgs[5], .currency = code_of("EUR"), .amount = UNIT}};
	command = world_command(world, COMMAND_TRANSFER_SET, org);
	command.lists = (struct record_lists){.linked = linked, .linked_count = 2};
	execute_at_last(world, &command);
	command = world_command(world, COMMAND_ACCOUNT_LIMIT, -1);
	command.account_limit = (struct command_account_limit){.org = world_id(world),
		.currency = code_of("EUR"),
		.lowest_micros = UNIT,
		.reserved_micros = -1,
		.daily_micros = -1,
		.by_registry = 1};
	execute_at_last(world, &command);
	command = world_command(world, COMMAND_RATE_OFFER, org);
	command.rate_offer = (struct command_rate_offer){.from = code_of("EUR"),
		.to = code_of("USD"),
		.rate_nanos = UNIT + round,
		.quoted_us = world->now_us,
		.expires_us = world->now_us + CLOCK_US_PER_HOUR};
	assert_true(code32_set(&command.rate_offer.source, "sweep"));
	execute_at_last(world, &command);
	command = world_command(world, COMMAND_PENDING_POST, org);
	command.pending_post = (struct command_pending_post){.transfer = waits.id, .amount = 7, .kilograms = 1};
	if (round % 3 == 0)
		execute_at_last(world, &command);
}

/* What the registry does beside issuing: arrays and indexes of disputes, imports, methodologies and projects grow, too. */
static void operations(struct world *world, uint32_t round, uint64_t batch)
{
	struct claim_run run = {.first_hour = 100 * round, .hours = 10};
	struct command import = world_command(world, COMMAND_BATCH_IMPORT, -1);
	import.batch_import = (struct command_batch_import){.org = world->orgs[1],
		.evidence_hash = world_hash(world),
		.kind = CREDIT_REDUCTION,
		.durability = DURABILITY_NONE,
		.vintage = 2024,
		.unit_kg = 1000};
	code16_set(&import.batch_import.origin, "VERRA");
	code32_set(&import.batch_import.series, "VCS-1");
	code16_set(&import.batch_import.methodology, "ACM0002");
	code8_set(&import.batch_import.country, "IN");
	import.lists = (struct record_lists){.runs = &run, .run_count = 1};
	execute_at_last(world, &import);
	struct serial_range range = {.batch = world->result.number, .start = 100, .length = 10};
	for (uint32_t upheld = 0; upheld < 2; upheld++) {
		struct command dispute = world_command(world, COMMAND_DISPUTE_OPEN, 4);
		dispute.dispute_open =
			(struct command_dispute_open){.holder = world->orgs[1], .reason_hash = world_hash(world)};
		dispute.lists = (struct record_lists){.ranges = &range, .range_count = 1};
		execute_at_last(world, &dispute);
		struct command decide = world_command(world, COMMAND_DISPUTE_DECIDE, -1);
		decide.dispute_decide = (struct command_dispute_decide){
			.dispute = dispute.id, .upheld = upheld, .reason_hash = world_hash(world)};
		execute_at_last(world, &decide);
	}
	struct command back = world_command(world, COMMAND_CANCEL, 1);
	range = (struct serial_range){.batch = range.batch, .start = 3000, .length = 2000};
	back.cancel = (struct command_cancel){.reason = CANCEL_CONVERSION, .reason_hash = world_hash(world)};
	code32_set(&back.cancel.destination, "VERRA");
	back.lists = (struct record_lists){.ranges = &range, .range_count = 1};
	execute_at_last(world, &back);
	struct command open = world_command(world, COMMAND_DISPUTE_OPEN, 4);
	open.dispute_open = (struct command_dispute_open){.batch = batch, .reason_hash = world_hash(world)};
	execute_at_last(world, &open);
}

static void admissions(struct world *world)
{
	for (int i = 0; i < 40; i++) {
		struct command admit = world_command(world, COMMAND_METHODOLOGY_ADMIT, -1);
		admit.methodology_admit = (struct command_methodology_admit){
			.methodology_hash = world_hash(world), .reason_hash = world_hash(world)};
		execute_at_last(world, &admit);
		struct command enter = world_command(world, COMMAND_PROJECT_REGISTER, -1);
		enter.project_register = (struct command_project_register){.project = world_id(world),
			.org = world->orgs[2],
			.crediting_to_us = WORLD_FIRST_DAY,
			.reason_hash = world_hash(world)};
		execute_at_last(world, &enter);
	}
}

static void commands(void **state)
{
	(void)state;
	struct world world;
	struct claim_run run;
	world_start(&world, 5);
	for (int round = 0; round < 40; round++) { /* arrays and indexes grow at different moments */
		int org = round % 3;
		struct command submit = world_submission(&world, org, world.next_hour[org], 24, 10000, &run);
		world.next_hour[org] += 24;
		execute_at_last(&world, &submit);
		struct command attest = world_attestation(
			&world, 3 + org, submit.period_submit.period, submit.period_submit.evidence_root);
		execute_at_last(&world, &attest);
		struct command issue = world_command(&world, COMMAND_PERIOD_ISSUE, -1);
		issue.period_issue.period = submit.period_submit.period;
		execute_at_last(&world, &issue);
		uint64_t batch = world.result.number;
		for (int i = 0; i < 5; i++) {
			struct command give = transfer(&world, org, (org + 1 + i) % WORLD_ORGS, batch, 10 + i);
			execute_at_last(&world, &give);
		}
		struct command hold = world_command(&world, COMMAND_ACCOUNT_HOLD, -1);
		hold.account_hold =
			(struct command_account_hold){.org = world.orgs[org], .reason_hash = world_hash(&world)};
		if (round % 10 == 0)
			execute_at_last(&world, &hold);
		if (round % 10 == 0) {
			struct command release = world_command(&world, COMMAND_ACCOUNT_RELEASE, -1);
			release.account_release = (struct command_account_release){
				.org = world.orgs[org], .reason_hash = world_hash(&world)};
			execute_at_last(&world, &release);
		}
		money_of_a_round(&world, round, batch);
		operations(&world, (uint32_t)round, batch);
		world.now_us += CLOCK_US_PER_MINUTE;
	}
	admissions(&world);
	world_stop(&world);
}

/* Auctions, bids and pools: their arrays and indexes grow, and what a tick and a clearing need for themselves. */
static void offers(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 6);
	uint64_t batch = world_issue(&world, 0, 24, 100000, NULL);
	struct command command = house(&world, 5);
	execute_at_last(&world, &command);
	command = world_command(&world, COMMAND_MARKET_OPEN, -1);
	command.market_open = (struct command_market_open){
		.currency = code_of("EUR"), .tick_micros = 1000, .lot_kg = 1000, .taker_ppm = 1000};
	execute_at_last(&world, &command);
	command = world_command(&world, COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list.market = 1;
	assert_true(code32_set(&command.instrument_list.code, "ANY"));
	execute_at_last(&world, &command);
	for (int org = 0; org < 2; org++) {
		command = deposit(&world, org, 100000 * UNIT);
		execute_at_last(&world, &command);
	}
	for (uint64_t round = 1; round <= 30; round++) {
		command = world_command(&world, COMMAND_AUCTION_OPEN, 0);
		command.auction_open = (struct command_auction_open){.market = 1,
			.batch = batch,
			.kg = 100,
			.lot_kg = 1,
			.price_micros = UNIT,
			.ends_us = world.now_us + CLOCK_US_PER_HOUR,
			.reveals_until_us = world.now_us + 2 * CLOCK_US_PER_HOUR,
			.kind = AUCTION_UNIFORM};
		execute_at_last(&world, &command);
		for (int bid = 0; bid < 3; bid++) {
			command = world_command(&world, COMMAND_BID_COMMIT, 1);
			command.bid_commit = (struct command_bid_commit){
				.auction = round, .commitment = world_hash(&world), .maximum_micros = UNIT};
			execute_at_last(&world, &command);
		}
		command = world_command(&world, COMMAND_POOL_OPEN, -1);
		command.pool_open.instrument = 1;
		execute_at_last(&world, &command);
		command = world_command(&world, COMMAND_POOL_ADD, 0);
		command.pool_add = (struct command_pool_add){
			.pool = round, .batch = batch, .kg = 100, .maximum_micros = 10 * UNIT};
		execute_at_last(&world, &command);
	}
	for (int hours = 1; hours <= 2; hours++) {
		world.now_us += CLOCK_US_PER_HOUR;
		command = (struct command){
			.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE, .tick = {.due_us = world.now_us}};
		execute_at_last(&world, &command);
	}
	for (int works = 0; rules_due(world.rules, &command); works++) {
		assert_true(works < 100);
		execute_at_last(&world, &command);
	}
	assert_int_equal(market_auction_count(rules_market(world.rules)), 0);
	world_stop(&world);
}

struct copy {
	struct rules *rules;
	struct event_state_end end;
};

static enum err put_record(void *context, const uint8_t *record, size_t size)
{
	struct copy *copy = context;
	struct err_info info;
	return rules_restore(copy->rules, record, size, &copy->end, &info);
}

static void snapshot(struct sweep *sweep)
{
	struct world *world = sweep->context;
	struct err_info info = {.code = ERR_OK};
	struct hash none = {{0}}, hash, whole = world_state(world->rules);
	sweep_arm(sweep);
	struct copy copy = {.rules = rules_new(registry_id(rules_registry(world->rules)), 3)};
	enum err err =
		copy.rules ? rules_snapshot(world->rules, 1, none, put_record, &copy, &hash, &info) : ERR_NO_MEMORY;
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	if (!err) {
		struct hash copied = world_state(copy.rules);
		assert_memory_equal(&copied, &whole, sizeof whole);
	}
	rules_free(&copy.rules);
	world_check(world);
}

static void snapshots(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 6);
	for (int org = 0; org < 3; org++) {
		uint64_t batch = world_issue(&world, org, 24, 10000, NULL);
		for (int i = 0; i < 5; i++)
			assert_int_equal(world_transfer(&world, org, (org + 1 + i) % WORLD_ORGS, batch, 10), ERR_OK);
		assert_int_equal(world_retire(&world, org, batch, 100), ERR_OK);
		operations(&world, (uint32_t)org, batch);
	}
	admissions(&world);
	sweep_allocations("a snapshot and its restoring", snapshot, &world);
	world_stop(&world);
}

int main(void)
{
	sweep_start(400);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands), cmocka_unit_test(offers), cmocka_unit_test(snapshots)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
