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

/* What is due by itself, up to so many commands. */
static void works_at_last(struct world *world)
{
	struct command command;
	for (int works = 0; rules_due(world->rules, &command); works++) {
		assert_true(works < 100);
		execute_at_last(world, &command);
	}
}

static void tick_at_last(struct world *world, int64_t after_us)
{
	world->now_us += after_us;
	struct command command = {
		.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE, .tick = {.due_us = world->now_us}};
	execute_at_last(world, &command);
	works_at_last(world);
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
	command = world_command(&world, COMMAND_POOL_BUY, 1);
	command.pool_buy = (struct command_pool_buy){.pool = 1, .kg = 10, .maximum_micros = 10 * UNIT};
	execute_at_last(&world, &command);
	command = world_command(&world, COMMAND_POOL_SELL, 1);
	command.pool_sell = (struct command_pool_sell){.pool = 1, .batch = batch, .kg = 5};
	execute_at_last(&world, &command);
	command = world_command(&world, COMMAND_POOL_REDEEM, 0);
	command.pool_redeem = (struct command_pool_redeem){.pool = 1, .shares = 1000};
	execute_at_last(&world, &command);
	for (int round = 0; round < 3; round++) { /* of all those pools, and retired */
		struct retirement_line lines[2];
		for (int i = 0; i < 2; i++)
			lines[i] = (struct retirement_line){.kg = 20,
				.beneficiary_hash = world_hash(&world),
				.country = {"DE"},
				.covered_to_us = world.now_us};
		command = world_command(&world, COMMAND_PURCHASE, 1);
		command.purchase = (struct command_purchase){.instrument = 1, .maximum_micros = 100 * UNIT};
		command.lists = (struct record_lists){.lines = lines, .line_count = 2};
		execute_at_last(&world, &command);
	}
	for (int hours = 1; hours <= 2; hours++) {
		world.now_us += CLOCK_US_PER_HOUR;
		command = (struct command){
			.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE, .tick = {.due_us = world.now_us}};
		execute_at_last(&world, &command);
	}
	works_at_last(&world);
	assert_int_equal(market_auction_count(rules_market(world.rules)), 0);
	command = world_command(&world, COMMAND_BATCH_HOLD, -1);
	command.batch_hold = (struct command_batch_hold){.batch = batch, .reason_hash = world_hash(&world)};
	execute_at_last(&world, &command);
	works_at_last(&world); /* its reserve leaves every pool */
	command = world_command(&world, COMMAND_BATCH_RELEASE, -1);
	command.batch_release = (struct command_batch_release){.batch = batch, .reason_hash = world_hash(&world)};
	execute_at_last(&world, &command);
	for (int turns = 0; turns < 2; turns++) { /* it comes back, and the pool goes on */
		command = world_command(&world, COMMAND_POOL_RESUME, -1);
		command.pool_resume.pool = 1;
		execute_at_last(&world, &command);
	}
	world_stop(&world);
}

/* Two organisations with money and kilograms, and a market for them; the batch's number. */
static uint64_t open_market(struct world *world)
{
	uint64_t batch = world_issue(world, 0, 24, 1000000, NULL);
	struct command command = house(world, 5);
	execute_at_last(world, &command);
	command = world_command(world, COMMAND_MARKET_OPEN, -1);
	command.market_open = (struct command_market_open){
		.currency = code_of("EUR"), .tick_micros = 1000, .lot_kg = 1000, .taker_ppm = 1000};
	execute_at_last(world, &command);
	command = world_command(world, COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list.market = 1;
	assert_true(code32_set(&command.instrument_list.code, "ANY"));
	execute_at_last(world, &command);
	for (int org = 0; org < 3; org++) {
		command = deposit(world, org, 100000 * UNIT);
		execute_at_last(world, &command);
	}
	return batch;
}

static struct command order(
	struct world *world, int org, enum order_side side, uint64_t batch, int64_t price, int64_t kg)
{
	struct command command = world_command(world, COMMAND_ORDER_PLACE, org);
	command.order_place = (struct command_order_place){.market = side == ORDER_SELL,
		.batch = side == ORDER_SELL ? batch : 0,
		.instrument = side == ORDER_BUY,
		.price_micros = price,
		.kg = kg,
		.side = (uint32_t)side};
	return command;
}

/* Orders of every kind that rest, sleep, trade and end; limits, dead-man switches, a halt, an auction and the undoing of a trade. */
static void orders(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 7);
	uint64_t batch = open_market(&world);
	struct command command, rests;
	for (int round = 0; round < 24; round++) {
		rests = order(&world, 0, ORDER_SELL, batch, (100 + round) * UNIT, 1000);
		rests.order_place.tif = round % 2 ? ORDER_GTC : ORDER_DAY;
		execute_at_last(&world, &rests);
		command = order(&world, 1, ORDER_BUY, 0, 90 * UNIT, 1000);
		execute_at_last(&world, &command);
		command = order(&world, 2, ORDER_BUY, 0, 100 * UNIT, 1000); /* trades with the first */
		if (round == 0)
			execute_at_last(&world, &command);
		command = order(&world, 1, ORDER_BUY, 0, 0, 1000);
		command.order_place.type = ORDER_TRAILING_STOP;
		command.order_place.trail_micros = (10 + round) * UNIT;
		execute_at_last(&world, &command);
		command = world_command(&world, COMMAND_TRADER_LIMIT, -1);
		command.trader_limit = (struct command_trader_limit){
			.org = world_id(&world), .market = 1, .orders_most = 5, .by_registry = 1};
		execute_at_last(&world, &command);
		command = world_command(&world, COMMAND_ORDER_CANCEL_ALL, -1);
		command.order_cancel_all = (struct command_order_cancel_all){.org = world_id(&world), .kill = 1};
		execute_at_last(&world, &command);
	}
	command = world_command(&world, COMMAND_ORDER_AMEND, 0);
	command.order_amend = (struct command_order_amend){.order = rests.id, .price_micros = 130 * UNIT, .kg = 2000};
	execute_at_last(&world, &command);
	command = world_command(&world, COMMAND_ORDER_CANCEL_AFTER, 1);
	command.order_cancel_after.after_us = CLOCK_US_PER_HOUR;
	execute_at_last(&world, &command);
	command = world_command(&world, COMMAND_MARKET_SCHEDULE, -1);
	command.market_schedule = (struct command_market_schedule){.market = 1,
		.dynamic_ppm = 1000,
		.interruption_us = CLOCK_US_PER_MINUTE,
		.auction_us = CLOCK_US_PER_MINUTE};
	execute_at_last(&world, &command);
	command = order(&world, 2, ORDER_BUY, 0, 102 * UNIT, 2000); /* out of the band: an auction */
	execute_at_last(&world, &command);
	works_at_last(&world);
	tick_at_last(&world, 2 * CLOCK_US_PER_MINUTE);
	assert_true(market_trade_count(rules_market(world.rules)) > 1);
	tick_at_last(&world, CLOCK_US_PER_DAY); /* day orders and those of who was not heard of end */
	command = world_command(&world, COMMAND_ORDER_CANCEL_ALL, -1);
	command.order_cancel_all.org = world.orgs[0];
	execute_at_last(&world, &command);
	works_at_last(&world);
	world_stop(&world);
}

static struct command of_contract(struct world *world, enum command_kind kind, int org, struct id id)
{
	struct command command = world_command(world, kind, org);
	command.escrow_fund.escrow = id; /* with which each of them begins */
	return command;
}

/* Escrows: opened, funded, filled, signed, disputed and decided, paid back, run out; their arrays and ranges grow. */
static void escrows(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 8);
	uint64_t batch = open_market(&world);
	struct hash statement = world_hash(&world);
	for (int round = 0; round < 20; round++) {
		struct command open = world_command(&world, COMMAND_ESCROW_OPEN, round % 2);
		open.escrow_open = (struct command_escrow_open){.payer = world.orgs[1],
			.payee = world.orgs[0],
			.arbiter = world.orgs[2],
			.verifier = world.verifiers[3],
			.statement_hash = statement,
			.currency = code_of("EUR"),
			.amount_micros = UNIT,
			.kg = 100,
			.batch = batch,
			.not_before_us = world.now_us + CLOCK_US_PER_HOUR,
			.expires_us = world.now_us + 2 * CLOCK_US_PER_HOUR};
		execute_at_last(&world, &open);
		struct command command = of_contract(&world, COMMAND_ESCROW_FUND, 1, open.id);
		if (round % 2 == 0)
			execute_at_last(&world, &command);
		command = of_contract(&world, COMMAND_ESCROW_DELIVER, 0, open.id);
		command.escrow_deliver.batch = batch;
		command.escrow_deliver.kg = round % 5 ? 100 : 40;
		execute_at_last(&world, &command);
		struct {
			struct id escrow;
			struct hash statement;
		} data = {open.id, statement};
		command = of_contract(&world, COMMAND_ESCROW_ATTEST, 3, open.id);
		command.escrow_attest.verifier = world.verifiers[3];
		command.escrow_attest.statement_hash = statement;
		command.escrow_attest.signature =
			sign_make(&world.secrets[3], MARKET_ESCROW_DOMAIN, &data, sizeof data);
		execute_at_last(&world, &command);
		command = of_contract(&world, COMMAND_ESCROW_DISPUTE, 1, open.id);
		command.escrow_dispute.reason_hash = statement;
		if (round % 4 == 0)
			execute_at_last(&world, &command);
		command = of_contract(&world, COMMAND_ESCROW_DECIDE, 2, open.id);
		command.escrow_decide = (struct command_escrow_decide){.escrow = open.id,
			.reason_hash = statement,
			.paid_micros = UNIT / 2,
			.released_kg = 10,
			.dismissed = round == 8};
		if (round % 8 == 0)
			execute_at_last(&world, &command);
		command = of_contract(&world, COMMAND_ESCROW_REFUND, 0, open.id);
		if (round % 7 == 3)
			execute_at_last(&world, &command);
	}
	struct command hold = world_command(&world, COMMAND_BATCH_HOLD, -1);
	hold.batch_hold = (struct command_batch_hold){.batch = batch, .reason_hash = statement};
	execute_at_last(&world, &hold);
	int64_t had = world_kg(&world, 1, batch, KG_HELD);
	tick_at_last(&world, CLOCK_US_PER_HOUR + CLOCK_US_PER_MINUTE); /* dated; their settlements wait */
	assert_int_equal(world_kg(&world, 1, batch, KG_HELD), had);
	hold = world_command(&world, COMMAND_BATCH_RELEASE, -1);
	hold.batch_release = (struct command_batch_release){.batch = batch, .reason_hash = statement};
	execute_at_last(&world, &hold);
	works_at_last(&world); /* settled */
	assert_true(world_kg(&world, 1, batch, KG_HELD) > had);
	tick_at_last(&world, CLOCK_US_PER_DAY);
	assert_true(world_kg(&world, 1, batch, KG_HELD) > 0);
	world_stop(&world);
}

/* Offtake contracts: offered, accepted, delivered as their seller is issued and by hand, missed, disputed, ended. */
static void offtakes(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 9);
	(void)open_market(&world);
	struct id contracts[20];
	for (int round = 0; round < 20; round++) {
		struct delivery rows[2] = {
			{.due_us = world.now_us + CLOCK_US_PER_DAY, .kg = 100 + round, .price_micros = UNIT},
			{.due_us = world.now_us + 2 * CLOCK_US_PER_DAY, .kg = 1000000, .price_micros = UNIT}};
		struct command offer = world_command(&world, COMMAND_OFFTAKE_OFFER, 0);
		offer.offtake_offer = (struct command_offtake_offer){.seller = world.orgs[0],
			.buyer = world.orgs[1],
			.currency = code_of("EUR"),
			.instrument = 1,
			.penalty_ppm = 50000,
			.expires_us = world.now_us + CLOCK_US_PER_HOUR};
		offer.lists = (struct record_lists){.deliveries = rows, .delivery_count = 2};
		execute_at_last(&world, &offer);
		contracts[round] = offer.id;
		struct command accept = of_contract(&world, COMMAND_OFFTAKE_ACCEPT, 1, offer.id);
		if (round % 5)
			execute_at_last(&world, &accept);
	}
	struct claim_run run;
	struct command submit = world_submission(&world, 0, world.next_hour[0], 24, 100000, &run);
	execute_at_last(&world, &submit);
	struct command command =
		world_attestation(&world, 3, submit.period_submit.period, submit.period_submit.evidence_root);
	execute_at_last(&world, &command);
	command = world_command(&world, COMMAND_PERIOD_ISSUE, -1);
	command.period_issue.period = submit.period_submit.period;
	execute_at_last(&world, &command);
	works_at_last(&world);
	assert_true(world_kg(&world, 1, 2, KG_HELD) > 0);
	command = of_contract(&world, COMMAND_OFFTAKE_DISPUTE, 1, contracts[1]);
	command.offtake_dispute.reason_hash = world_hash(&world);
	execute_at_last(&world, &command);
	command = of_contract(&world, COMMAND_OFFTAKE_DECIDE, -1, contracts[1]);
	command.offtake_decide = (struct command_offtake_decide){
		.contract = contracts[1], .reason_hash = world_hash(&world), .dismissed = 1, .compliance = 1};
	execute_at_last(&world, &command);
	for (int org = 0; org < 2; org++) {
		command = of_contract(&world, COMMAND_OFFTAKE_TERMINATE, org, contracts[2]);
		execute_at_last(&world, &command);
	}
	command = of_contract(&world, COMMAND_OFFTAKE_DELIVER, 0, contracts[3]);
	command.offtake_deliver = (struct command_offtake_deliver){.contract = contracts[3], .batch = 1, .kg = 10};
	execute_at_last(&world, &command);
	tick_at_last(&world, 2 * CLOCK_US_PER_HOUR); /* offers lapse */
	tick_at_last(&world, 4 * CLOCK_US_PER_DAY);  /* rows are missed, and contracts end */
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
	struct id registry = registry_id(rules_registry(world->rules));
	struct copy copy = {.rules = rules_new_shard(registry, rules_shard(world->rules), 3)};
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

/* What a carrier submits for a journal, each with every allocation failing. */
static void carry_at_last(struct world *from, uint32_t shard, struct world *to)
{
	static struct event_scratch scratch;
	for (size_t at = 0, length = 0; at < from->output.size; at += length) {
		struct event event;
		struct command command;
		assert_int_equal(event_decode(from->output.bytes + at, from->output.size - at, &scratch, &event,
					 &length, &from->info),
			ERR_OK);
		if (rules_carried(shard, &event, !shard, &command))
			execute_at_last(to, &command);
	}
}

/* A market shard, of which many organisations and batches become known; and what goes there and comes back. */
static void shards(void **state)
{
	(void)state;
	struct world home;
	world_start(&home, 7);
	struct world market = home;
	struct id registry = registry_id(rules_registry(home.rules));
	market.random++;
	market.rules = rules_new_shard(registry, 1, 1);
	market.replica = rules_new_shard(registry, 1, 2);
	market.output.bytes = malloc(market.output.capacity);
	market.output.guards = malloc(sizeof *market.output.guards * RULES_GUARDS_MAX);
	market.scratch = malloc(sizeof *market.scratch);
	struct command command = house(&home, 5);
	execute_at_last(&home, &command);
	command = world_command(&home, COMMAND_SHARD_OPEN, -1);
	command.shard_open =
		(struct command_shard_open){.shard = 1, .kind = CREDIT_REMOVAL, .currency = code_of("EUR")};
	execute_at_last(&home, &command);
	carry_at_last(&home, 0, &market);
	for (int round = 0; round < 40; round++) {
		struct id org = world_id(&home);
		uint64_t batch = world_issue(&home, 0, 24, 10000, NULL);
		command = world_command(&home, COMMAND_TRANSFER, 0);
		command.transfer = (struct command_transfer){.to = org, .batch = batch, .kg = 100};
		execute_at_last(&home, &command);
		command = world_command(&home, COMMAND_SHARD_OUT, 0);
		command.org = org;
		command.shard_out = (struct command_shard_out){.shard = 1, .batch = batch, .kg = 60};
		execute_at_last(&home, &command);
		carry_at_last(&home, 0, &market);
		command = world_command(&home, COMMAND_ACCOUNT_HOLD, -1);
		command.account_hold = (struct command_account_hold){.org = org, .reason_hash = world_hash(&home)};
		execute_at_last(&home, &command);
		carry_at_last(&home, 0, &market);
		command = world_command(&market, COMMAND_SHARD_OUT, 0);
		command.org = org;
		command.shard_out = (struct command_shard_out){.batch = batch, .kg = 20};
		execute_at_last(&market, &command);
		carry_at_last(&market, 1, &home);
	}
	sweep_allocations("a market shard's snapshot and its restoring", snapshot, &market);
	world_stop(&home);
	world_stop(&market);
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
	const struct CMUnitTest tests[] = {cmocka_unit_test(commands), cmocka_unit_test(orders),
		cmocka_unit_test(offers), cmocka_unit_test(escrows), cmocka_unit_test(offtakes),
		cmocka_unit_test(shards), cmocka_unit_test(snapshots)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
