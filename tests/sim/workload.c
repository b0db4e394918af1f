/* Decides what clients ask for: a table of kinds of command, each with a function that makes one which may well be carried out in
 * the state as it is. A new command is a row. */
#include "sim.h"

#define PERIODS_MOST 8

/* What the makers know: the periods under way. */
static struct {
	struct id period;
	struct hash root;
	int org;
	bool attested;
} periods[PERIODS_MOST];
static size_t period_count;

static uint64_t some_batch(struct world *world, const struct rules *rules)
{
	uint64_t count = registry_batch_count(rules_registry(rules));
	return count ? (uint64_t)world_below(world, (int64_t)count) + 1 : 1;
}

static int some_org(struct world *world)
{
	return (int)world_below(world, WORLD_ORGS);
}

/* Somebody who holds kilograms of the batch, where a few guesses find one. */
static int some_holder(struct world *world, const struct rules *rules, uint64_t batch, int64_t *ret_kg)
{
	int org = some_org(world);
	*ret_kg = 0;
	for (int tries = 0; tries < WORLD_ORGS && !*ret_kg; tries++) {
		org = (org + 1) % WORLD_ORGS;
		struct ledger_place place = {.org = world->orgs[org], .state = KG_HELD};
		*ret_kg = ledger_amount(rules_ledger(rules), batch, place);
	}
	return org;
}

/* Mostly a part, sometimes all, sometimes more than there is. */
static int64_t some_kg(struct world *world, int64_t held)
{
	switch (world_below(world, 10)) {
	case 0: return held + 1;
	case 1: return held ? held : 1;
	default: return 1 + world_below(world, held < 50 ? 50 : held / 4);
	}
}

static void cites(struct work *work, struct hash *hash, const char *text)
{
	work->text = text;
	work->cited = hash;
}

/* ---- verifiers and periods ---- */

static void make_verifier(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	int org = 3 + (int)world_below(world, 3);
	work->command = world_command(world, COMMAND_VERIFIER_REGISTER, -1);
	work->command.verifier_register = (struct command_verifier_register){.verifier = world->verifiers[org],
		.org = world->orgs[org],
		.key = world->keys[org],
		.valid_from_us = WORLD_FIRST_DAY,
		.valid_to_us = WORLD_FIRST_DAY + 4000 * CLOCK_US_PER_DAY};
}

static const struct hash methodology = {{7}};

static void make_admission(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	bool ends = world_below(world, 4) == 0;
	work->command = world_command(world, COMMAND_METHODOLOGY_ADMIT, -1);
	work->command.methodology_admit = (struct command_methodology_admit){.methodology_hash = methodology,
		.valid_from_us = WORLD_FIRST_DAY,
		.valid_to_us = ends ? world->now_us : 0,
		.reason_hash = world_hash(world)};
}

static void make_registration(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	int org = (int)world_below(world, 3);
	work->command = world_command(world, COMMAND_PROJECT_REGISTER, -1);
	work->command.project_register = (struct command_project_register){.project = world->points[org],
		.org = world->orgs[org],
		.state = world_below(world, 4) == 0 ? PROJECT_SUSPENDED : PROJECT_REGISTERED,
		.crediting_from_us = WORLD_FIRST_DAY,
		.crediting_to_us = WORLD_FIRST_DAY + 4000 * CLOCK_US_PER_DAY};
	cites(work, &work->command.project_register.reason_hash, "validated");
}

static void make_submission(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	int org = (int)world_below(world, 3);
	uint32_t hours = 1 + (uint32_t)world_below(world, 3), first = world->next_hour[org];
	if (world_below(world, 6) == 0 && first > WORLD_FIRST_DAY / CLOCK_US_PER_HOUR)
		first--; /* an hour that may have been claimed */
	else
		world->next_hour[org] += hours;
	work->command = world_submission(world, org, first, hours, 10 * (1 + world_below(world, 5000)), &work->runs[0]);
	work->command.period_submit.methodology_hash =
		methodology; /* of which there is one, as of projects one for each */
	if (world_below(world, 2) == 0) {
		struct id period = work->command.period_submit.period;
		work->command.source = COMMAND_SOURCE_EVIDENCE;
		work->command.natural_key =
			command_natural_key(COMMAND_SOURCE_EVIDENCE, COMMAND_PERIOD_SUBMIT, &period, sizeof period);
	}
}

static size_t some_period(struct world *world)
{
	return period_count ? (size_t)world_below(world, (int64_t)period_count) : 0;
}

static void make_attestation(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	size_t at = some_period(world);
	work->command = world_attestation(world, 3 + (int)world_below(world, 3), periods[at].period, periods[at].root);
}

static void make_issue(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	size_t at = some_period(world);
	work->command = world_command(world, COMMAND_PERIOD_ISSUE, -1);
	for (size_t i = 0; i < period_count && !periods[at].attested; i++)
		at = (at + 1) % period_count;
	work->command.period_issue.period = periods[at].period;
}

static void make_withdrawal(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	size_t at = some_period(world);
	work->command = world_command(world, COMMAND_PERIOD_WITHDRAW, periods[at].org);
	work->command.period_withdraw.period = periods[at].period;
	cites(work, &work->command.period_withdraw.reason_hash, "the meter was read twice");
}

static void make_refusal(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_PERIOD_REFUSE, -1);
	work->command.period_refuse.period = periods[some_period(world)].period;
	work->command.period_refuse.reason_hash = world_hash(world);
}

static void make_period_hold(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	bool holds = world_below(world, 3) == 0;
	work->command = world_command(world, holds ? COMMAND_PERIOD_HOLD : COMMAND_PERIOD_RELEASE, -1);
	struct id period = periods[some_period(world)].period;
	if (holds)
		work->command.period_hold = (struct command_period_hold){
			.period = period, .reason_hash = world_hash(world), .reasons = PERIOD_HOLD_REVIEW};
	else
		work->command.period_release =
			(struct command_period_release){.period = period, .reason_hash = world_hash(world)};
}

/* ---- kilograms ---- */

static void make_transfer(struct world *world, const struct rules *rules, struct work *work)
{
	int64_t held_kg;
	uint64_t batch = some_batch(world, rules);
	int from = some_holder(world, rules, batch, &held_kg);
	work->command = world_command(world, COMMAND_TRANSFER, from);
	work->command.transfer = (struct command_transfer){
		.to = world->orgs[some_org(world)], .batch = batch, .kg = some_kg(world, held_kg)};
}

/* What a chain says has happened, in its order. */
static void make_chain_transfer(struct world *world, const struct rules *rules, struct work *work)
{
	make_transfer(world, rules, work);
	work->command.source = COMMAND_SOURCE_CHAIN;
	work->command.source_position = (uint64_t)world->now_us / 1000;
}

static void make_retirement(struct world *world, const struct rules *rules, struct work *work)
{
	int64_t held_kg;
	uint64_t batch = some_batch(world, rules);
	int org = some_holder(world, rules, batch, &held_kg);
	int64_t kg = some_kg(world, held_kg);
	work->command = world_command(world, COMMAND_RETIRE, org);
	work->command.retire = (struct command_retire){.batch = batch,
		.kg = kg > 200 ? 200 : kg,
		.covered_from_us = WORLD_FIRST_DAY,
		.covered_to_us = WORLD_FIRST_DAY + CLOCK_US_PER_DAY,
		.purpose = PURPOSE_VOLUNTARY,
		.consent = 1};
	code8_set(&work->command.retire.country, "DE");
	cites(work, &work->command.retire.beneficiary_hash, "Beneficiary and Daughters");
}

static void make_reversal(struct world *world, const struct rules *rules, struct work *work)
{
	work->command = world_command(world, COMMAND_BATCH_REVERSE, -1);
	work->command.batch_reverse = (struct command_batch_reverse){
		.batch = some_batch(world, rules), .kg = 1 + world_below(world, 60), .reason_hash = world_hash(world)};
}

static void make_top_up(struct world *world, const struct rules *rules, struct work *work)
{
	int64_t held_kg;
	uint64_t batch = some_batch(world, rules);
	int org = some_holder(world, rules, batch, &held_kg);
	work->command = world_command(world, COMMAND_BUFFER_TOP_UP, org);
	work->command.buffer_top_up = (struct command_buffer_top_up){.batch = batch, .kg = 1 + world_below(world, 20)};
}

static void make_cancellation_of_kg(struct world *world, const struct rules *rules, struct work *work)
{
	int64_t held_kg;
	uint64_t batch = some_batch(world, rules);
	int org = some_holder(world, rules, batch, &held_kg);
	bool is_house = world_below(world, 4) == 0;
	work->command = world_command(world, COMMAND_CANCEL, is_house ? -1 : org);
	work->command.cancel = (struct command_cancel){.batch = batch,
		.kg = 1 + world_below(world, 30),
		.reason = is_house ? CANCEL_ERROR : (uint32_t)world_below(world, CANCEL_REASON_COUNT)};
	if (is_house) {
		work->command.cancel.org = world->orgs[org];
		work->command.cancel.state = world_below(world, 3) == 0 ? KG_BUFFER : KG_HELD;
	}
	if (work->command.cancel.reason == CANCEL_CONVERSION)
		code32_set(&work->command.cancel.destination, "OTHER");
	cites(work, &work->command.cancel.reason_hash, "it was counted twice");
}

/* Batches that came in from another registry. */
#define IMPORTS_KNOWN 8
static struct import_known {
	uint64_t batch;
	uint32_t first, numbers;
} imports[IMPORTS_KNOWN];
static size_t import_count;

/* Some of the numbers of a batch go back, mostly whole. */
static void make_return(struct world *world, const struct rules *rules, struct work *work)
{
	const struct import_known *known = &imports[import_count ? world_below(world, (int64_t)import_count) : 0];
	int64_t held_kg = 0;
	int org = some_holder(world, rules, known->batch, &held_kg);
	struct ledger_place place = {.org = world->orgs[org], .state = KG_HELD};
	size_t count = 0;
	work->command = world_command(world, COMMAND_CANCEL, org);
	work->command.cancel.reason = CANCEL_CONVERSION;
	code32_set(&work->command.cancel.destination, "OTHER");
	work->command.cancel.reason_hash = world_hash(world);
	if (!held_kg ||
		ledger_pick(rules_ledger(rules), known->batch, place, held_kg, work->ranges, WORK_RANGES, &count) ||
		!count) {
		count = 1;
		work->ranges[0] = (struct serial_range){.batch = known->batch, .length = 1000};
	}
	struct serial_range *range = &work->ranges[world_below(world, (int64_t)count)];
	int64_t start = (range->start + 999) / 1000 * 1000, most = (range->start + range->length - start) / 1000;
	if (most > 0 && world_below(world, 10)) {
		range->start = start;
		range->length = 1000 * (1 + world_below(world, most));
	}
	work->ranges[0] = *range;
	work->command.lists = (struct record_lists){.ranges = work->ranges, .range_count = 1};
}

/* Numbers of another registry, most of which are not here. */
static void make_import(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_BATCH_IMPORT, -1);
	work->command.batch_import = (struct command_batch_import){.org = world->orgs[some_org(world)],
		.evidence_hash = world_hash(world),
		.kind = CREDIT_REMOVAL,
		.durability = DURABILITY_CHAR,
		.vintage = 2025,
		.unit_kg = 1000};
	code16_set(&work->command.batch_import.origin, "OTHER");
	code32_set(&work->command.batch_import.series, "A-1");
	code16_set(&work->command.batch_import.methodology, "BIOCHAR");
	code8_set(&work->command.batch_import.country, "FI");
	work->runs[0] = (struct claim_run){
		.first_hour = (uint32_t)world_below(world, 20000), .hours = 1 + (uint32_t)world_below(world, 20)};
	if (import_count && world_below(world, 3) == 0) { /* that came in before, and may have gone back */
		const struct import_known *known = &imports[world_below(world, (int64_t)import_count)];
		work->runs[0].first_hour = known->first + (uint32_t)world_below(world, known->numbers);
		work->runs[0].hours = 1;
	}
	work->command.lists = (struct record_lists){.runs = work->runs, .run_count = 1};
}

/* ---- disputes ---- */

/* Disputes that were answered; most of them are decided by now. */
#define DISPUTES_KNOWN 8
static struct id disputes[DISPUTES_KNOWN];
static size_t dispute_count;

static void make_dispute(struct world *world, const struct rules *rules, struct work *work)
{
	int64_t held_kg;
	uint64_t batch = some_batch(world, rules);
	int org = some_holder(world, rules, batch, &held_kg);
	work->command = world_command(world, COMMAND_DISPUTE_OPEN, 3 + (int)world_below(world, 3));
	switch (world_below(world, 3)) {
	case 0: work->command.dispute_open.batch = batch; break;
	case 1: work->command.dispute_open.period = periods[some_period(world)].period; break;
	default: {
		struct ledger_place place = {.org = world->orgs[org], .state = KG_HELD};
		struct serial_range range;
		size_t count = 0;
		work->command.dispute_open.holder = place.org;
		if (ledger_pick(rules_ledger(rules), batch, place, 1, &range, 1, &count) || count == 0)
			range = (struct serial_range){.batch = batch, .length = 1};
		work->ranges[0] = range;
		work->command.lists = (struct record_lists){.ranges = work->ranges, .range_count = 1};
	}
	}
	cites(work, &work->command.dispute_open.reason_hash, "a neighbour has seen it vent");
}

static void make_decision(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	bool upheld = world_below(world, 3) == 0;
	work->command = world_command(world, COMMAND_DISPUTE_DECIDE, -1);
	work->command.dispute_decide = (struct command_dispute_decide){.upheld = upheld,
		.kg = upheld && world_below(world, 2) ? 1 + world_below(world, 20) : 0,
		.reason_hash = world_hash(world)};
	if (dispute_count)
		work->command.dispute_decide.dispute = disputes[world_below(world, (int64_t)dispute_count)];
}

/* ---- holds and pending transfers, which expire ---- */

/* Pending transfers that were answered; most of them are over by now. */
#define WAITING_KNOWN 32
static struct {
	struct id transfer, org;
	bool kilograms;
} waiting[WAITING_KNOWN];
static size_t waiting_count;

static int64_t some_end(struct world *world)
{
	return world_below(world, 4) ? world->now_us + CLOCK_US_PER_MINUTE * (1 + world_below(world, 300)) : 0;
}

static void make_batch_hold(struct world *world, const struct rules *rules, struct work *work)
{
	work->command = world_command(world, COMMAND_BATCH_HOLD, -1);
	work->command.batch_hold =
		(struct command_batch_hold){.batch = some_batch(world, rules), .until_us = some_end(world)};
	cites(work, &work->command.batch_hold.reason_hash, "an auditor asks");
}

static void make_batch_release(struct world *world, const struct rules *rules, struct work *work)
{
	work->command = world_command(world, COMMAND_BATCH_RELEASE, -1);
	work->command.batch_release =
		(struct command_batch_release){.batch = some_batch(world, rules), .reason_hash = world_hash(world)};
}

static void make_account_hold(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_ACCOUNT_HOLD, -1);
	work->command.account_hold = (struct command_account_hold){
		.org = world->orgs[some_org(world)], .until_us = some_end(world), .reason_hash = world_hash(world)};
}

static void make_account_release(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_ACCOUNT_RELEASE, -1);
	work->command.account_release =
		(struct command_account_release){.org = world->orgs[some_org(world)], .reason_hash = world_hash(world)};
}

/* ---- money and orders ---- */

#define SIM_TICK INT64_C(1000000)

static struct code8 some_currency(void)
{
	struct code8 currency;
	code8_set(&currency, "EUR");
	return currency;
}

/* Orders that were answered; most of them are done by now. */
#define ORDERS_KNOWN 64
static struct {
	struct id order;
	struct id org;
} orders[ORDERS_KNOWN];
static size_t order_count;

/* Trades that are in the journal. */
#define TRADES_KNOWN 16
static struct {
	struct event_traded said;
	struct serial_range ranges[WORK_RANGES];
	size_t range_count;
} trades[TRADES_KNOWN];
static size_t trade_count;

/* The newest versions of the two instruments, as far as they were answered; 0: none yet. */
static uint64_t instruments[2];

static void make_house(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_HOUSE_NAME, -1);
	work->command.house_name.org = world->orgs[WORLD_ORGS - 1];
}

static void make_deposit(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_MONEY_DEPOSIT, -1);
	work->command.money_deposit = (struct command_money_deposit){.to = world->orgs[some_org(world)],
		.currency = some_currency(),
		.amount_micros = SIM_TICK * (1 + world_below(world, 1000000)),
		.reference_hash = world_hash(world)};
}

static void make_payment(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_MONEY_TRANSFER, some_org(world));
	work->command.money_transfer = (struct command_money_transfer){.to = world->orgs[some_org(world)],
		.currency = some_currency(),
		.amount_micros = SIM_TICK * (1 + world_below(world, 1000)),
		.balancing = world_below(world, 4) == 0};
}

static void make_pending(struct world *world, const struct rules *rules, struct work *work)
{
	bool kilograms = world_below(world, 2) == 0;
	int64_t expires_us = some_end(world);
	if (kilograms) {
		make_transfer(world, rules, work);
		work->command.transfer.pending = 1;
		work->command.transfer.expires_us = expires_us;
	} else {
		make_payment(world, rules, work);
		work->command.money_transfer.pending = 1;
		work->command.money_transfer.expires_us = expires_us;
	}
}

/* Of four ended transfers three are posted. */
static void make_ending(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	bool posts = world_below(world, 4) != 0;
	work->command = world_command(world, posts ? COMMAND_PENDING_POST : COMMAND_PENDING_VOID, some_org(world));
	if (!waiting_count)
		return;
	size_t at = (size_t)world_below(world, (int64_t)waiting_count);
	struct id transfer = waiting[at].transfer;
	work->command.org = waiting[at].org;
	if (posts)
		work->command.pending_post = (struct command_pending_post){.transfer = transfer,
			.amount = world_below(world, 3) ? 0 : 1,
			.kilograms = waiting[at].kilograms};
	else
		work->command.pending_void =
			(struct command_pending_void){.transfer = transfer, .kilograms = waiting[at].kilograms};
}

/* Money and kilograms of one organisation. */
static void make_set(struct world *world, const struct rules *rules, struct work *work)
{
	int64_t held_kg;
	uint64_t batch = some_batch(world, rules);
	int org = some_holder(world, rules, batch, &held_kg);
	size_t count = 1 + (size_t)world_below(world, WORK_LINKED);
	work->command = world_command(world, COMMAND_TRANSFER_SET, org);
	for (size_t i = 0; i < count; i++) {
		struct linked_transfer *linked = &work->linked[i];
		*linked = (struct linked_transfer){
			.to = world->orgs[(org + 1 + world_below(world, WORLD_ORGS - 1)) % WORLD_ORGS],
			.pending = world_below(world, 3) == 0};
		if (world_below(world, 2)) {
			linked->currency = some_currency();
			linked->amount = SIM_TICK * (1 + world_below(world, 100));
			linked->balancing = world_below(world, 2) == 0;
		} else {
			linked->batch = batch;
			linked->amount = 1 + world_below(world, 50);
		}
		if (linked->pending)
			linked->expires_us = some_end(world);
	}
	work->command.lists.linked = work->linked;
	work->command.lists.linked_count = count;
}

/* Limits that leave room for most of the work. */
static void make_limit(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	int org = some_org(world);
	bool by_registry = world_below(world, 2) == 0;
	work->command = world_command(world, COMMAND_ACCOUNT_LIMIT, by_registry ? -1 : org);
	work->command.account_limit = (struct command_account_limit){.org = world->orgs[org],
		.currency = some_currency(),
		.lowest_micros = SIM_TICK * world_below(world, 100),
		.reserved_micros = world_below(world, 2) ? -1 : SIM_TICK * world_below(world, 1000000),
		.daily_micros = world_below(world, 2) ? -1 : SIM_TICK * world_below(world, 100000),
		.by_registry = by_registry};
}

/* Mostly of somebody who never had anything: those who work are not to go. */
static void make_closing(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_ACCOUNT_CLOSE, -1);
	work->command.account_close.org = world_below(world, 3) ? world_id(world) : world->orgs[0];
	cites(work, &work->command.account_close.reason_hash, "the contract has ended");
}

static struct code8 other_currency(void)
{
	struct code8 currency;
	code8_set(&currency, "USD");
	return currency;
}

static void make_offer(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_RATE_OFFER, (int)world_below(world, 2));
	work->command.rate_offer = (struct command_rate_offer){.from = some_currency(),
		.to = other_currency(),
		.rate_nanos = INT64_C(1000000000) + world_below(world, 100000000),
		.quoted_us = world->now_us - CLOCK_US_PER_SECOND,
		.expires_us = world->now_us + CLOCK_US_PER_DAY};
	code32_set(&work->command.rate_offer.source, "sim");
}

static void make_conversion(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_MONEY_CONVERT, 2 + (int)world_below(world, WORLD_ORGS - 2));
	work->command.money_convert = (struct command_money_convert){.provider = world->orgs[world_below(world, 2)],
		.from = some_currency(),
		.to = other_currency(),
		.amount_micros = 1 + world_below(world, 100000000)};
}

/* Liquidity of those who convert. */
static void make_liquidity(struct world *world, const struct rules *rules, struct work *work)
{
	make_deposit(world, rules, work);
	work->command.money_deposit.to = world->orgs[world_below(world, 2)];
	work->command.money_deposit.currency = other_currency();
}

static void make_payout(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_MONEY_WITHDRAW, -1);
	work->command.money_withdraw = (struct command_money_withdraw){.from = world->orgs[some_org(world)],
		.currency = some_currency(),
		.amount_micros = SIM_TICK * (1 + world_below(world, 100)),
		.reference_hash = world_hash(world)};
}

static void waiting_known(struct world *world, const struct work *work)
{
	const struct command *command = &work->command;
	bool kilograms = command->kind == COMMAND_TRANSFER;
	if (kilograms ? !command->transfer.pending : !command->money_transfer.pending)
		return;
	size_t at = waiting_count < WAITING_KNOWN ? waiting_count++ : (size_t)world_below(world, WAITING_KNOWN);
	waiting[at].transfer = command->id;
	waiting[at].org = command->org;
	waiting[at].kilograms = kilograms;
}

static void make_market(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_MARKET_OPEN, -1);
	work->command.market_open = (struct command_market_open){.currency = some_currency(),
		.tick_micros = SIM_TICK,
		.lot_kg = 1000,
		.maker_ppm = -500,
		.taker_ppm = 2000,
		.collar_ppm = 100000,
		.kind = CREDIT_REMOVAL};
}

static void make_halt(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_MARKET_HALT, -1);
	work->command.market_halt = (struct command_market_halt){
		.market = 1, .state = world_below(world, 8) == 0 ? MARKET_HALTED : MARKET_OPEN};
}

static void make_schedule(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_MARKET_SCHEDULE, -1);
	struct command_market_schedule *asked = &work->command.market_schedule;
	*asked = (struct command_market_schedule){.market = 1,
		.static_ppm = world_below(world, 3) ? 150000 : 0,
		.dynamic_ppm = world_below(world, 3) ? 40000 : 0,
		.interruption_us = CLOCK_US_PER_SECOND * (1 + world_below(world, 60)),
		.auction_us = world_below(world, 3) ? CLOCK_US_PER_SECOND * world_below(world, 60) : 0,
		.calendar = world_below(world, 3) == 0};
	for (int day = 0; asked->calendar && day < 7; day++) {
		(&asked->mon_open)[2 * day] = (uint32_t)world_below(world, 60);
		(&asked->mon_open)[2 * day + 1] = 1440 - (uint32_t)world_below(world, 60);
	}
}

static void make_watch(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_ORDER_CANCEL_AFTER, some_org(world));
	work->command.order_cancel_after.after_us =
		world_below(world, 3) ? CLOCK_US_PER_SECOND * (1 + world_below(world, 600)) : 0;
}

/* One of the trades that the journal has shown last; whoever bought has often given the serials away. */
static void make_bust(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_TRADE_BUST, -1);
	if (trade_count) {
		size_t at = (size_t)world_below(world, (int64_t)trade_count);
		const struct event_traded *said = &trades[at].said;
		work->command.trade_bust = (struct command_trade_bust){.trade = said->trade,
			.market = said->market,
			.seller = said->seller,
			.buyer = said->buyer,
			.kg = said->kg,
			.amount_micros = said->amount_micros,
			.seller_fee_micros = said->seller_fee_micros,
			.buyer_fee_micros = said->buyer_fee_micros};
		memcpy(work->ranges, trades[at].ranges, sizeof work->ranges);
		work->command.lists =
			(struct record_lists){.ranges = work->ranges, .range_count = trades[at].range_count};
	}
	cites(work, &work->command.trade_bust.reason_hash, "the price was a mistake");
}

static void make_trader_limit(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_TRADER_LIMIT, -1);
	work->command.trader_limit = (struct command_trader_limit){.org = world->orgs[some_org(world)],
		.market = 1,
		.orders_most = 5 + world_below(world, 40),
		.kg_most = world_below(world, 2) ? 1000 * (10 + world_below(world, 200)) : 0,
		.by_registry = world_below(world, 2) == 0};
}

static void make_instrument(struct world *world, const struct rules *rules, struct work *work)
{
	work->command = world_command(world, COMMAND_INSTRUMENT_LIST, -1);
	work->command.instrument_list = (struct command_instrument_list){
		.market = 1, .batch = world_below(world, 3) == 0 ? some_batch(world, rules) : 0};
	code32_set(&work->command.instrument_list.code, work->command.instrument_list.batch ? "BATCH" : "REMOVAL");
	if (world_below(world, 3))
		return;
	work->command.instrument_list.verifiers_least = (uint32_t)world_below(world, 3);
	struct verifier_set set = {0};
	for (int64_t i = world_below(world, 3); i > 0; i--)
		verifier_set_add(&set, world->orgs[3 + world_below(world, 3)]);
	memcpy(work->verifiers, set.orgs, set.count * sizeof *set.orgs);
	work->command.lists = (struct record_lists){.verifiers = work->verifiers, .verifier_count = set.count};
}

static void make_order(struct world *world, const struct rules *rules, struct work *work)
{
	uint64_t batch = some_batch(world, rules);
	int64_t held_kg = 0, lots = 12;
	bool sells = world_below(world, 2) == 0;
	int org = sells ? some_holder(world, rules, batch, &held_kg) : some_org(world);
	if (sells && held_kg >= 1000)
		lots = held_kg / 1000 < lots ? held_kg / 1000 : lots;
	work->command = world_command(world, COMMAND_ORDER_PLACE, org);
	struct command_order_place *asked = &work->command.order_place;
	*asked = (struct command_order_place){.market = sells,
		.batch = sells ? batch : 0,
		.instrument = sells ? 0 : instruments[world_below(world, 2)],
		.price_micros = SIM_TICK * (95 + world_below(world, 11)),
		.kg = 1000 * (1 + world_below(world, lots)),
		.side = sells ? ORDER_SELL : ORDER_BUY,
		.type = world_below(world, 3) ? ORDER_LIMIT : (uint32_t)world_below(world, ORDER_TYPE_COUNT),
		.tif = world_below(world, 2) ? ORDER_GTC : (uint32_t)world_below(world, ORDER_TIF_COUNT),
		.stp = (uint32_t)world_below(world, ORDER_STP_COUNT),
		.post_only = world_below(world, 10) == 0};
	if (asked->tif == ORDER_GTD)
		asked->expires_us = world->now_us + world_below(world, CLOCK_US_PER_HOUR);
	if (world_below(world, 5) == 0)
		asked->shown_kg = 1000;
	else if (world_below(world, 5) == 0)
		asked->minimum_kg = 1000 * (1 + world_below(world, asked->kg / 1000));
	if (asked->type == ORDER_STOP || asked->type == ORDER_STOP_LIMIT)
		asked->stop_micros = SIM_TICK * (95 + world_below(world, 11));
	if (asked->type == ORDER_TRAILING_STOP)
		asked->trail_micros = SIM_TICK * (1 + world_below(world, 5));
	if (asked->type != ORDER_LIMIT && asked->type != ORDER_STOP_LIMIT)
		asked->price_micros = 0;
	if (asked->type == ORDER_MARKET)
		asked->tif = ORDER_IOC;
}

static void order_known(struct world *world, const struct work *work)
{
	size_t at = order_count < ORDERS_KNOWN ? order_count++ : (size_t)world_below(world, ORDERS_KNOWN);
	orders[at].order = work->command.id;
	orders[at].org = work->command.org;
}

static void make_amendment(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_ORDER_AMEND, some_org(world));
	if (order_count) {
		size_t at = (size_t)world_below(world, (int64_t)order_count);
		work->command.org = orders[at].org;
		work->command.order_amend = (struct command_order_amend){.order = orders[at].order,
			.price_micros = world_below(world, 2) ? SIM_TICK * (95 + world_below(world, 11)) : 0,
			.kg = world_below(world, 2) ? 1000 * (1 + world_below(world, 12)) : 0};
	}
}

static void make_cancellation(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_ORDER_CANCEL, some_org(world));
	if (order_count) {
		size_t at = (size_t)world_below(world, (int64_t)order_count);
		work->command.org = orders[at].org;
		work->command.order_cancel.order = orders[at].order;
	}
}

static void make_mass_cancellation(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_ORDER_CANCEL_ALL, -1);
	work->command.order_cancel_all = (struct command_order_cancel_all){.org = world->orgs[some_org(world)],
		.kill = world_below(world, 4) ? 2 : (uint32_t)world_below(world, 2)};
}

/* ---- auctions and pools ---- */

/* Sealed bids that were answered; nobody else knows them. */
#define BIDS_KNOWN 64
static struct known_bid {
	uint64_t auction, bid;
	struct id org;
	int64_t kg, price_micros;
	struct hash nonce;
	bool revealed;
} bids[BIDS_KNOWN], last_bid;
static size_t bid_count;

static void make_auction(struct world *world, const struct rules *rules, struct work *work)
{
	int64_t held_kg, kg;
	uint64_t batch = some_batch(world, rules);
	int org = some_holder(world, rules, batch, &held_kg);
	work->command = world_command(world, COMMAND_AUCTION_OPEN, org);
	struct command_auction_open *asked = &work->command.auction_open;
	kg = 10 * (1 + some_kg(world, held_kg) / 20);
	*asked = (struct command_auction_open){.market = 1,
		.batch = batch,
		.kg = kg,
		.lot_kg = 10,
		.price_micros = SIM_TICK * (90 + world_below(world, 11)),
		.ends_us = world->now_us + CLOCK_US_PER_SECOND * (10 + world_below(world, 300)),
		.kind = (uint32_t)world_below(world, AUCTION_KIND_COUNT)};
	if (asked->kind == AUCTION_DUTCH) {
		asked->floor_micros = SIM_TICK * (50 + world_below(world, 40));
		asked->step_micros = SIM_TICK * (1 + world_below(world, 10));
		asked->interval_us = CLOCK_US_PER_SECOND * (1 + world_below(world, 60));
	} else if (asked->kind != AUCTION_LISTING) {
		asked->reveals_until_us = asked->ends_us + CLOCK_US_PER_MINUTE * (5 + world_below(world, 60));
		asked->forfeit_ppm = world_below(world, 1000001);
	}
	if (asked->kind == AUCTION_SECOND_PRICE)
		asked->lot_kg = kg;
}

/* One that is not over and in this phase, where a few guesses find it among the newest; else the newest. */
static const struct event_state_auction *some_auction(
	struct world *world, const struct rules *rules, enum auction_phase phase)
{
	static const struct event_state_auction none = {.lot_kg = 10, .kg = 10, .price_micros = SIM_TICK};
	const struct market *market = rules_market(rules);
	uint64_t opened = market_auctions_opened(market);
	const struct event_state_auction *found = NULL;
	for (int tries = 0; tries < 16 && opened; tries++) {
		uint64_t back = (uint64_t)world_below(world, 24);
		const struct event_state_auction *is = market_auction(market, opened > back ? opened - back : 1);
		if (is)
			found = is;
		if (is && is->phase == (uint32_t)phase)
			break;
	}
	return found ? found : &none;
}

static void make_take(struct world *world, const struct rules *rules, struct work *work)
{
	const struct event_state_auction *is = some_auction(world, rules, AUCTION_TAKES);
	work->command = world_command(world, COMMAND_AUCTION_TAKE, some_org(world));
	work->command.auction_take = (struct command_auction_take){.auction = is->auction,
		.kg = is->lot_kg * (1 + world_below(world, is->kg / is->lot_kg)),
		.limit_micros = SIM_TICK * (80 + world_below(world, 40)),
		.partial = world_below(world, 2) == 0};
}

static void make_auction_cancellation(struct world *world, const struct rules *rules, struct work *work)
{
	const struct event_state_auction *is = some_auction(world, rules, AUCTION_COMMITS);
	work->command = world_command(world, COMMAND_AUCTION_CANCEL, -1);
	work->command.auction_cancel =
		(struct command_auction_cancel){.auction = is->auction, .forced = world_below(world, 3) == 0};
	if (!work->command.auction_cancel.forced)
		work->command.org = is->seller;
}

static void make_commitment(struct world *world, const struct rules *rules, struct work *work)
{
	const struct event_state_auction *is = some_auction(world, rules, AUCTION_COMMITS);
	work->command = world_command(world, COMMAND_BID_COMMIT, some_org(world));
	last_bid = (struct known_bid){.auction = is->auction,
		.org = work->command.org,
		.kg = is->lot_kg * (1 + world_below(world, is->kg / is->lot_kg)),
		.price_micros = is->price_micros + SIM_TICK * (world_below(world, 12) - 2),
		.nonce = world_hash(world)};
	work->command.bid_commit = (struct command_bid_commit){.auction = is->auction,
		.commitment = market_commitment(
			is->auction, last_bid.org, last_bid.kg, last_bid.price_micros, last_bid.nonce),
		.maximum_micros = market_amount(is->price_micros + 20 * SIM_TICK, is->kg),
		.all_or_none = world_below(world, 4) == 0};
}

static void bid_known(struct world *world, const struct work *work, uint64_t number)
{
	size_t at = bid_count < BIDS_KNOWN ? bid_count++ : (size_t)world_below(world, BIDS_KNOWN);
	const struct command_bid_commit *asked = &work->command.bid_commit;
	struct hash made =
		market_commitment(last_bid.auction, last_bid.org, last_bid.kg, last_bid.price_micros, last_bid.nonce);
	bids[at] = last_bid;
	bids[at].auction = asked->auction;
	bids[at].bid = hash_equal(made, asked->commitment) ? number : 0; /* another came between */
}

/* A bid in its phase, where there is one that is known. */
static struct known_bid *some_bid(struct world *world, const struct rules *rules, enum auction_phase phase)
{
	static struct known_bid none = {.kg = 10};
	struct known_bid *found = &none;
	for (int tries = 0; tries < 32 && bid_count; tries++) {
		struct known_bid *bid = &bids[world_below(world, (int64_t)bid_count)];
		const struct event_state_auction *is = market_auction(rules_market(rules), bid->auction);
		if (is && bid->bid && (found == &none || (is->phase == (uint32_t)phase && !bid->revealed)))
			found = bid;
	}
	return found;
}

static void make_bid_withdrawal(struct world *world, const struct rules *rules, struct work *work)
{
	const struct known_bid *bid = some_bid(world, rules, AUCTION_COMMITS);
	work->command = world_command(world, COMMAND_BID_WITHDRAW, 0);
	work->command.org = bid->org;
	work->command.bid_withdraw = (struct command_bid_withdraw){.auction = bid->auction, .bid = bid->bid};
}

static void make_reveal(struct world *world, const struct rules *rules, struct work *work)
{
	struct known_bid *bid = some_bid(world, rules, AUCTION_REVEALS);
	work->command = world_command(world, COMMAND_BID_REVEAL, 0);
	work->command.org = bid->org;
	work->command.bid_reveal = (struct command_bid_reveal){.auction = bid->auction,
		.bid = bid->bid,
		.kg = bid->kg,
		.price_micros = bid->price_micros,
		.nonce = bid->nonce};
	bid->revealed = true;
}

static void make_pool(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_POOL_OPEN, -1);
	work->command.pool_open =
		(struct command_pool_open){.instrument = instruments[0], .fee_ppm = 3000, .chosen_ppm = 10000};
}

static void make_pool_addition(struct world *world, const struct rules *rules, struct work *work)
{
	int64_t held_kg, kg;
	uint64_t batch = some_batch(world, rules);
	int org = some_holder(world, rules, batch, &held_kg);
	kg = 1 + some_kg(world, held_kg) / 4;
	work->command = world_command(world, COMMAND_POOL_ADD, org);
	work->command.pool_add = (struct command_pool_add){.pool = 1 + (uint64_t)world_below(world, 2),
		.batch = batch,
		.kg = kg,
		.maximum_micros = SIM_TICK * (1 + kg / 5)};
}

static void make_pool_trade(struct world *world, const struct rules *rules, struct work *work)
{
	int64_t held_kg;
	uint64_t batch = some_batch(world, rules), pool = 1 + (uint64_t)world_below(world, 2);
	int org = some_holder(world, rules, batch, &held_kg);
	bool sells = world_below(world, 2) == 0;
	work->command = world_command(world, sells ? COMMAND_POOL_SELL : COMMAND_POOL_BUY, org);
	if (sells)
		work->command.pool_sell =
			(struct command_pool_sell){.pool = pool, .batch = batch, .kg = 1 + some_kg(world, held_kg) / 8};
	else
		work->command.pool_buy = (struct command_pool_buy){
			.pool = pool, .kg = 1 + world_below(world, 40), .maximum_micros = 100 * SIM_TICK};
}

static void make_redemption(struct world *world, const struct rules *rules, struct work *work)
{
	uint64_t pool = 1 + (uint64_t)world_below(world, 2);
	int org = some_org(world);
	int64_t shares = 0;
	for (int tries = 0; tries < WORLD_ORGS && !shares; tries++) {
		struct ledger_place place = {.org = world->orgs[org = (org + 1) % WORLD_ORGS], .state = KG_HELD};
		shares = ledger_amount(rules_ledger(rules), market_pool_shares(pool), place);
	}
	work->command = world_command(world, COMMAND_POOL_REDEEM, org);
	work->command.pool_redeem =
		(struct command_pool_redeem){.pool = pool, .shares = 1 + world_below(world, shares / 2 + 1)};
}

static void make_resumption(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_POOL_RESUME, -1);
	work->command.pool_resume.pool = 1 + (uint64_t)world_below(world, 2);
}

/* ---- escrow and offtake ---- */

/* Those that were answered; most of them have ended by now. */
#define DEALS_KNOWN 24
struct deal {
	struct id id;
	int giver, taker; /* of kilograms */
	uint64_t batch;
	int64_t kg;
	struct hash statement;
	bool open; /* an offtake contract: somebody accepted it */
};
static struct deal escrows[DEALS_KNOWN], contracts[DEALS_KNOWN];
static size_t escrow_count, contract_count;

static struct deal *some_deal(struct world *world, struct deal *deals, size_t count)
{
	return &deals[count ? (size_t)world_below(world, (int64_t)count) : 0];
}

static void deal_known(struct world *world, struct deal *deals, size_t *count, const struct deal *deal)
{
	deals[*count < DEALS_KNOWN ? (*count)++ : (size_t)world_below(world, DEALS_KNOWN)] = *deal;
}

static int org_of(const struct world *world, struct id id)
{
	int org = 0;
	while (org < WORLD_ORGS - 1 && !id_equal(world->orgs[org], id))
		org++;
	return org;
}

static void make_escrow(struct world *world, const struct rules *rules, struct work *work)
{
	int64_t held_kg;
	uint64_t batch = some_batch(world, rules);
	int payee = some_holder(world, rules, batch, &held_kg), payer = some_org(world);
	bool money = world_below(world, 4) != 0, kilograms = !money || world_below(world, 4) != 0;
	work->command = world_command(world, COMMAND_ESCROW_OPEN, world_below(world, 2) ? payer : payee);
	struct command_escrow_open *asked = &work->command.escrow_open;
	*asked = (struct command_escrow_open){.payer = world->orgs[payer],
		.payee = world->orgs[payee],
		.currency = some_currency(),
		.amount_micros = money ? SIM_TICK * (1 + world_below(world, 1000)) : 0,
		.kg = kilograms ? 1 + world_below(world, held_kg < 50 ? 50 : held_kg / 4) : 0,
		.batch = kilograms ? batch : 0,
		.expires_us = world->now_us + CLOCK_US_PER_MINUTE * (1 + world_below(world, 200))};
	if (kilograms && instruments[0] && world_below(world, 3) == 0) {
		asked->instrument = instruments[0];
		asked->batch = 0;
	}
	if (world_below(world, 3) == 0)
		asked->not_before_us = world->now_us + (asked->expires_us - world->now_us) / 2;
	if (world_below(world, 4) == 0) {
		asked->verifier = world->verifiers[3 + world_below(world, 3)];
		asked->statement_hash = world_hash(world);
	}
	if (!kilograms && contract_count && world_below(world, 2) == 0) { /* a prepayment */
		const struct deal *contract = some_deal(world, contracts, contract_count);
		asked->contract = contract->id;
		asked->payer = work->command.org = world->orgs[contract->taker];
		asked->payee = world->orgs[contract->giver];
	}
}

static void make_escrow_deposit(struct world *world, const struct rules *rules, struct work *work)
{
	const struct deal *deal = some_deal(world, escrows, escrow_count);
	uint64_t batch = deal->batch ? deal->batch : some_batch(world, rules);
	bool pays = world_below(world, 3) == 0;
	work->command = world_command(
		world, pays ? COMMAND_ESCROW_FUND : COMMAND_ESCROW_DELIVER, pays ? deal->taker : deal->giver);
	if (pays)
		work->command.escrow_fund.escrow = deal->id;
	else
		work->command.escrow_deliver = (struct command_escrow_deliver){
			.escrow = deal->id, .batch = batch, .kg = world_below(world, 4) ? deal->kg : deal->kg / 2 + 1};
}

static void make_escrow_attestation(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	const struct deal *deal = some_deal(world, escrows, escrow_count);
	int org = 3 + (int)world_below(world, 3);
	struct {
		struct id escrow;
		struct hash statement;
	} data = {deal->id, deal->statement};
	work->command = world_command(world, COMMAND_ESCROW_ATTEST, org);
	work->command.escrow_attest = (struct command_escrow_attest){.escrow = deal->id,
		.verifier = world->verifiers[org],
		.statement_hash = deal->statement,
		.signature = sign_make(&world->secrets[org], MARKET_ESCROW_DOMAIN, &data, sizeof data)};
}

static void make_escrow_end(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	const struct deal *deal = some_deal(world, escrows, escrow_count);
	int64_t drawn = world_below(world, 8);
	if (drawn == 0) {
		work->command = world_command(world, COMMAND_ESCROW_REFUND, deal->giver);
		work->command.escrow_refund.escrow = deal->id;
	} else if (drawn < 4) {
		work->command =
			world_command(world, COMMAND_ESCROW_DISPUTE, world_below(world, 2) ? deal->giver : deal->taker);
		work->command.escrow_dispute.escrow = deal->id;
		cites(work, &work->command.escrow_dispute.reason_hash, "the meter was not read");
	} else {
		work->command = world_command(world, COMMAND_ESCROW_DECIDE, -1);
		work->command.escrow_decide = (struct command_escrow_decide){.escrow = deal->id,
			.reason_hash = world_hash(world),
			.paid_micros = world_below(world, 2) ? SIM_TICK : 0,
			.released_kg = world_below(world, 3),
			.dismissed = world_below(world, 3) == 0,
			.compliance = 1};
	}
}

static void make_contract(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	int seller = (int)world_below(world, 3), buyer = some_org(world);
	int64_t due_us = world->now_us;
	for (int i = 0; i < WORK_DELIVERIES; i++) {
		due_us += CLOCK_US_PER_MINUTE * (1 + world_below(world, 60));
		work->deliveries[i] = (struct delivery){.from_us = i ? world->now_us + i : 0,
			.due_us = due_us,
			.kg = 1 + world_below(world, 5000),
			.price_micros = SIM_TICK * (50 + world_below(world, 100))};
	}
	work->command = world_command(world, COMMAND_OFFTAKE_OFFER, world_below(world, 2) ? seller : buyer);
	work->command.offtake_offer = (struct command_offtake_offer){.seller = world->orgs[seller],
		.buyer = world->orgs[buyer],
		.currency = some_currency(),
		.make_good_us = CLOCK_US_PER_MINUTE * world_below(world, 60),
		.penalty_ppm = 100000,
		.expires_us = world->now_us + CLOCK_US_PER_HOUR};
	if (instruments[0] && world_below(world, 2))
		work->command.offtake_offer.instrument = instruments[0];
	else
		work->command.offtake_offer.unit = world->points[seller];
	work->command.lists.deliveries = work->deliveries;
	work->command.lists.delivery_count = WORK_DELIVERIES;
}

static void make_offtake_step(struct world *world, const struct rules *rules, struct work *work)
{
	int64_t held_kg;
	struct deal *deal = some_deal(world, contracts, contract_count);
	int side = world_below(world, 2) ? deal->giver : deal->taker;
	uint64_t batch = some_batch(world, rules);
	int64_t drawn = deal->open ? 4 + world_below(world, 12) : world_below(world, 5);
	some_holder(world, rules, batch, &held_kg);
	if (drawn < 4) {
		work->command = world_command(world, COMMAND_OFFTAKE_ACCEPT, side);
		work->command.offtake_accept.contract = deal->id;
	} else if (drawn < 6) {
		work->command = world_command(world, COMMAND_OFFTAKE_TERMINATE, side);
		work->command.offtake_terminate.contract = deal->id;
	} else if (drawn < 8) {
		work->command = world_command(world, COMMAND_OFFTAKE_DISPUTE, side);
		work->command.offtake_dispute =
			(struct command_offtake_dispute){.contract = deal->id, .reason_hash = world_hash(world)};
	} else if (drawn < 11) {
		work->command = world_command(world, COMMAND_OFFTAKE_DECIDE, -1);
		work->command.offtake_decide = (struct command_offtake_decide){.contract = deal->id,
			.reason_hash = world_hash(world),
			.dismissed = world_below(world, 3) != 0,
			.compliance = 1};
	} else {
		work->command = world_command(world, COMMAND_OFFTAKE_DELIVER, deal->giver);
		work->command.offtake_deliver = (struct command_offtake_deliver){
			.contract = deal->id, .batch = batch, .kg = 1 + world_below(world, 200)};
	}
}

static void deals_done(struct world *world, const struct command *command)
{
	const struct command_escrow_open *opened = &command->escrow_open;
	const struct command_offtake_offer *offered = &command->offtake_offer;
	struct deal deal = {.id = command->id};
	if (command->kind == COMMAND_ESCROW_OPEN) {
		deal.giver = org_of(world, opened->payee);
		deal.taker = org_of(world, opened->payer);
		deal.batch = opened->batch;
		deal.kg = opened->kg;
		deal.statement = opened->statement_hash;
		deal_known(world, escrows, &escrow_count, &deal);
	} else if (command->kind == COMMAND_OFFTAKE_OFFER) {
		deal.giver = org_of(world, offered->seller);
		deal.taker = org_of(world, offered->buyer);
		deal_known(world, contracts, &contract_count, &deal);
	}
	for (size_t i = 0; i < contract_count; i++)
		if (command->kind == COMMAND_OFFTAKE_ACCEPT &&
			id_equal(contracts[i].id, command->offtake_accept.contract))
			contracts[i].open = true;
}

/* ---- a market shard: what goes there, and what its carrier brings back ---- */

#define SIM_SHARD 1

static void make_shard(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	work->command = world_command(world, COMMAND_SHARD_OPEN, -1);
	work->command.shard_open =
		(struct command_shard_open){.shard = SIM_SHARD, .kind = CREDIT_REDUCTION, .currency = some_currency()};
}

static void make_sending(struct world *world, const struct rules *rules, struct work *work)
{
	int64_t held_kg;
	uint64_t batch = some_batch(world, rules);
	struct registry_attributes is;
	for (uint64_t i = 0;
		i < 20 && registry_attributes(rules_registry(rules), batch, &is) && is.kind != CREDIT_REDUCTION; i++)
		batch = some_batch(world, rules);
	int org = some_holder(world, rules, batch, &held_kg);
	work->command = world_command(world, COMMAND_SHARD_OUT, org);
	if (world_below(world, 2))
		work->command.shard_out =
			(struct command_shard_out){.shard = SIM_SHARD, .batch = batch, .kg = some_kg(world, held_kg)};
	else
		work->command.shard_out = (struct command_shard_out){.shard = SIM_SHARD,
			.currency = some_currency(),
			.amount_micros = SIM_TICK * (1 + world_below(world, 1000))};
}

static void make_arrival(struct world *world, const struct rules *rules, struct work *work)
{
	struct ledger_place away = {.org = market_account(MARKET_ACCOUNT_SHARD, SIM_SHARD), .state = KG_TRANSIT};
	uint64_t batch = some_batch(world, rules);
	int64_t there = ledger_amount(rules_ledger(rules), batch, away), kg = 1 + world_below(world, there + 1);
	struct event event = {.header = {.type = EVENT_SHARD_SENT, .number = world_random(world)},
		.shard_sent = {
			.transfer = world_id(world), .org = world->orgs[some_org(world)], .from_shard = SIM_SHARD}};
	size_t count = 0;
	if (!ledger_pick(rules_ledger(rules), batch, away, kg, work->ranges, WORK_RANGES, &count)) {
		event.shard_sent.batch = batch;
		event.shard_sent.kg = kg;
	} else {
		event.shard_sent.currency = some_currency();
		event.shard_sent.amount_micros = SIM_TICK * (1 + world_below(world, 500));
		count = 0;
	}
	event.lists = (struct record_lists){.ranges = work->ranges, .range_count = count};
	assert_true(rules_carried(SIM_SHARD, &event, 0, &work->command));
}

/* ---- routing ---- */

/* Kilograms or money, whole or in part, sometimes retired, for one or for several. */
static void make_purchase(struct world *world, const struct rules *rules, struct work *work)
{
	(void)rules;
	size_t lines = world_below(world, 3) ? 0 : 1 + (size_t)world_below(world, WORK_LINES);
	int64_t kg = world_below(world, 3) ? 1 + world_below(world, 60) : 1000 * (1 + world_below(world, 3));
	work->command = world_command(world, COMMAND_PURCHASE, some_org(world));
	work->command.purchase = (struct command_purchase){
		.instrument = instruments[world_below(world, 4) == 0], .maximum_micros = 1000 * SIM_TICK};
	if (lines == 0 && world_below(world, 4))
		work->command.purchase.kg = kg;
	else
		work->command.purchase.maximum_micros = SIM_TICK * (1 + world_below(world, 20));
	if (lines == 0)
		work->command.purchase.partial = (uint32_t)world_below(world, 2);
	if (lines > 1)
		work->command.purchase.maximum_micros = 1000 * SIM_TICK;
	for (size_t i = 0; i < lines; i++) {
		work->lines[i] = (struct retirement_line){.kg = lines > 1 ? 1 + world_below(world, 9) : 0,
			.beneficiary_hash = world_hash(world),
			.covered_from_us = WORLD_FIRST_DAY,
			.covered_to_us = WORLD_FIRST_DAY + CLOCK_US_PER_DAY,
			.purpose = PURPOSE_GIFT};
		code8_set(&work->lines[i].country, "DE");
	}
	work->command.lists.lines = work->lines;
	work->command.lists.line_count = lines;
	if (lines)
		cites(work, &work->lines[lines - 1].beneficiary_hash, "Beneficiary and Sons");
}

/* ---- the table ---- */

static const struct {
	int weight;
	void (*make)(struct world *world, const struct rules *rules, struct work *work);
} kinds[] = {{2, make_verifier}, {6, make_submission}, {7, make_attestation}, {8, make_issue}, {1, make_withdrawal},
	{1, make_refusal}, {2, make_period_hold}, {60, make_transfer}, {6, make_chain_transfer}, {40, make_retirement},
	{2, make_reversal}, {3, make_top_up}, {2, make_batch_hold}, {4, make_batch_release}, {2, make_account_hold},
	{6, make_account_release}, {1, make_house}, {12, make_deposit}, {6, make_payment}, {1, make_market},
	{2, make_halt}, {1, make_trader_limit}, {1, make_instrument}, {80, make_order}, {12, make_amendment},
	{12, make_cancellation}, {1, make_mass_cancellation}, {10, make_auction}, {14, make_take},
	{2, make_auction_cancellation}, {16, make_commitment}, {1, make_bid_withdrawal}, {20, make_reveal},
	{1, make_pool}, {12, make_pool_addition}, {16, make_pool_trade}, {5, make_redemption}, {5, make_resumption},
	{2, make_admission}, {4, make_registration}, {8, make_cancellation_of_kg}, {2, make_import}, {2, make_return},
	{3, make_dispute}, {8, make_decision}, {8, make_pending}, {6, make_ending}, {5, make_set}, {2, make_limit},
	{1, make_closing}, {2, make_offer}, {4, make_conversion}, {2, make_liquidity}, {3, make_payout},
	{2, make_schedule}, {3, make_watch}, {4, make_bust}, {14, make_escrow}, {24, make_escrow_deposit},
	{8, make_escrow_attestation}, {6, make_escrow_end}, {5, make_contract}, {12, make_offtake_step},
	{1, make_shard}, {6, make_sending}, {4, make_arrival}, {16, make_purchase}};

void work_start(void)
{
	memset(periods, 0, sizeof periods);
	period_count = 0;
	memset(orders, 0, sizeof orders);
	order_count = 0;
	memset(instruments, 0, sizeof instruments);
	memset(bids, 0, sizeof bids);
	memset(&last_bid, 0, sizeof last_bid);
	bid_count = 0;
	memset(disputes, 0, sizeof disputes);
	dispute_count = 0;
	memset(imports, 0, sizeof imports);
	import_count = 0;
	waiting_count = 0;
	memset(trades, 0, sizeof trades);
	trade_count = 0;
	memset(escrows, 0, sizeof escrows);
	memset(contracts, 0, sizeof contracts);
	escrow_count = contract_count = 0;
}

void work_make(struct world *world, const struct rules *rules, struct work *ret_work)
{
	int64_t total = 0;
	size_t at = 0;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		total += kinds[i].weight;
	for (int64_t drawn = world_below(world, total); drawn >= kinds[at].weight; at++)
		drawn -= kinds[at].weight;
	ret_work->text = NULL;
	ret_work->cited = NULL;
	memset(&ret_work->command, 0, sizeof ret_work->command);
	kinds[at].make(world, rules, ret_work);
}

void work_seen(const struct event *event)
{
	if (event->header.type != EVENT_TRADED || event->lists.range_count > WORK_RANGES)
		return;
	size_t at = event->traded.trade % TRADES_KNOWN;
	trades[at].said = event->traded;
	trades[at].range_count = event->lists.range_count;
	memcpy(trades[at].ranges, event->lists.ranges, event->lists.range_count * sizeof *trades[at].ranges);
	trade_count = trade_count > at ? trade_count : at + 1;
}

void work_done(struct world *world, const struct work *work, uint64_t number)
{
	const struct command *command = &work->command;
	deals_done(world, command);
	if (command->kind == COMMAND_INSTRUMENT_LIST && number > instruments[command->instrument_list.batch != 0])
		instruments[command->instrument_list.batch != 0] = number;
	if (command->kind == COMMAND_BATCH_IMPORT) {
		size_t at = import_count < IMPORTS_KNOWN ? import_count++ : (size_t)world_below(world, IMPORTS_KNOWN);
		imports[at] = (struct import_known){number, work->runs[0].first_hour, work->runs[0].hours};
	}
	if (command->kind == COMMAND_ORDER_PLACE)
		order_known(world, work);
	if (command->kind == COMMAND_BID_COMMIT)
		bid_known(world, work, number);
	if (command->kind == COMMAND_DISPUTE_OPEN) {
		size_t at =
			dispute_count < DISPUTES_KNOWN ? dispute_count++ : (size_t)world_below(world, DISPUTES_KNOWN);
		disputes[at] = command->id;
	}
	if (command->kind == COMMAND_TRANSFER || command->kind == COMMAND_MONEY_TRANSFER)
		waiting_known(world, work);
	if (command->kind == COMMAND_PERIOD_SUBMIT) {
		size_t at = period_count < PERIODS_MOST ? period_count++ : (size_t)world_below(world, PERIODS_MOST);
		periods[at].period = command->period_submit.period;
		periods[at].root = command->period_submit.evidence_root;
		periods[at].attested = false;
		for (int org = 0; org < WORLD_ORGS; org++)
			if (id_equal(world->orgs[org], command->org))
				periods[at].org = org;
	}
	for (size_t i = 0; i < period_count; i++)
		if (command->kind == COMMAND_PERIOD_ATTEST &&
			id_equal(periods[i].period, command->period_attest.period))
			periods[i].attested = true;
		else if (command->kind == COMMAND_PERIOD_ISSUE &&
			 id_equal(periods[i].period, command->period_issue.period))
			periods[i] = periods[--period_count];
}
