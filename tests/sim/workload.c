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

/* ---- holds, which expire ---- */

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

static void make_instrument(struct world *world, const struct rules *rules, struct work *work)
{
	work->command = world_command(world, COMMAND_INSTRUMENT_LIST, -1);
	work->command.instrument_list = (struct command_instrument_list){
		.market = 1, .batch = world_below(world, 3) == 0 ? some_batch(world, rules) : 0};
	code32_set(&work->command.instrument_list.code, work->command.instrument_list.batch ? "BATCH" : "REMOVAL");
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

/* ---- the table ---- */

static const struct {
	int weight;
	void (*make)(struct world *world, const struct rules *rules, struct work *work);
} kinds[] = {{2, make_verifier}, {6, make_submission}, {7, make_attestation}, {8, make_issue}, {1, make_withdrawal},
	{1, make_refusal}, {2, make_period_hold}, {60, make_transfer}, {6, make_chain_transfer}, {40, make_retirement},
	{2, make_reversal}, {3, make_top_up}, {2, make_batch_hold}, {4, make_batch_release}, {2, make_account_hold},
	{6, make_account_release}, {1, make_house}, {12, make_deposit}, {6, make_payment}, {1, make_market},
	{2, make_halt}, {1, make_instrument}, {80, make_order}, {12, make_amendment}, {12, make_cancellation},
	{1, make_mass_cancellation}, {2, make_schedule}, {3, make_watch}, {4, make_bust}};

void work_start(void)
{
	memset(periods, 0, sizeof periods);
	period_count = 0;
	memset(orders, 0, sizeof orders);
	order_count = 0;
	memset(instruments, 0, sizeof instruments);
	memset(trades, 0, sizeof trades);
	trade_count = 0;
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
	if (command->kind == COMMAND_INSTRUMENT_LIST && number > instruments[command->instrument_list.batch != 0])
		instruments[command->instrument_list.batch != 0] = number;
	if (command->kind == COMMAND_ORDER_PLACE)
		order_known(world, work);
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
