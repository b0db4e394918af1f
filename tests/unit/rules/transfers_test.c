/* Transfers of kilograms in two phases, linked sets, limits, closed accounts and conversion (docs/LEDGER.md): legs, each refusal,
 * what a failing event leaves behind (decision 8), replay and snapshots (P1–P3, P8). */
#include "money.h"

static struct command kg_transfer(struct world *world, int from, int to, uint64_t batch, int64_t kg, bool pending)
{
	struct command command = world_command(world, COMMAND_TRANSFER, from);
	command.transfer = (struct command_transfer){
		.to = world->orgs[to], .batch = batch, .kg = kg, .pending = pending, .code = 3, .user_data = 4};
	return command;
}

static struct command kg_post(struct world *world, int org, struct id transfer, int64_t kg)
{
	struct command command = post(world, org, transfer, kg);
	command.pending_post.kilograms = 1;
	return command;
}

static struct command kg_void(struct world *world, int org, struct id transfer)
{
	struct command command = voiding(world, org, transfer);
	command.pending_void.kilograms = 1;
	return command;
}

static struct command hold_of(struct world *world, int org)
{
	struct command command = world_command(world, COMMAND_ACCOUNT_HOLD, -1);
	command.account_hold = (struct command_account_hold){.org = world->orgs[org], .reason_hash = world_hash(world)};
	return command;
}

#define assert_kg(world, org, batch, held, reserved)                                          \
	do {                                                                                  \
		assert_int_equal(world_kg((world), (org), (batch), KG_HELD), (held));         \
		assert_int_equal(world_kg((world), (org), (batch), KG_RESERVED), (reserved)); \
	} while (0)

/* Whether an organisation holds exactly these serials of batch 1. */
static bool holds(struct world *world, int org, int64_t start, int64_t length)
{
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = 0;
	struct ledger_place place = {.org = world->orgs[org], .state = KG_HELD};
	int64_t kg = ledger_amount(rules_ledger(world->rules), 1, place);
	assert_int_equal(
		ledger_pick(rules_ledger(world->rules), 1, place, kg, ranges, EVENTS_RANGES_MAX, &count), ERR_OK);
	for (size_t i = 0; i < count; i++)
		if (ranges[i].start == start && ranges[i].length == length)
			return true;
	return false;
}

static void kilograms_in_two_phases(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 11);
	uint64_t batch = world_issue(&world, 0, 24, 10000, NULL); /* 9,800 kg and 200 kg of buffer */
	struct command first = kg_transfer(&world, 0, 1, batch, 600, true);
	done(&world, &first);
	assert_kg(&world, 0, batch, 9200, 600);
	/* chosen serials, of which the post gives the first */
	struct serial_range chosen[] = {{batch, 2000, 100}, {batch, 1000, 50}};
	struct command second = kg_transfer(&world, 0, 2, 0, 0, true);
	second.lists = (struct record_lists){.ranges = chosen, .range_count = 2};
	done(&world, &second);
	assert_kg(&world, 0, batch, 9050, 750);
	round_trip(&world);
	assert_int_equal(ledger_pending(rules_ledger(world.rules), second.id)->user_data, 4);

	struct command command = kg_post(&world, 1, first.id, 0);
	refused(&world, &command, ERR_FORBIDDEN);
	command = kg_post(&world, 3, first.id, 0);
	refused(&world, &command, ERR_NOT_PENDING);
	command = post(&world, 0, first.id, 0); /* kilograms are not money */
	refused(&world, &command, ERR_NOT_PENDING);
	command = voiding(&world, 0, first.id);
	refused(&world, &command, ERR_NOT_PENDING);
	command = kg_post(&world, 0, first.id, 601);
	refused(&world, &command, ERR_EXCEEDS_PENDING);
	command = kg_post(&world, 0, first.id, -1);
	refused(&world, &command, ERR_AMOUNT_INVALID);
	command = kg_transfer(&world, 0, 1, batch, 9051, false); /* what is reserved is not free */
	refused(&world, &command, ERR_INSUFFICIENT_KG);
	command = first; /* another organisation uses the id */
	command.org = world.orgs[2];
	command.actor = world.actors[2];
	refused(&world, &command, ERR_COMMAND_ID_INVALID);
	command.source = COMMAND_SOURCE_TRANSFER; /* a consumer, whose ids are not looked up */
	command.natural_key = command_natural_key(command.source, command.kind, "1", 1);
	refused(&world, &command, ERR_DUPLICATE);
	command = kg_transfer(&world, 0, 1, batch, 1, false);
	command.transfer.expires_us = world.now_us + 1;
	refused(&world, &command, ERR_EXPIRY_INVALID);
	command.transfer.pending = 1;
	command.transfer.expires_us = world.now_us;
	refused(&world, &command, ERR_EXPIRY_INVALID);

	command = kg_post(&world, 0, second.id, 120); /* cuts the second range */
	done(&world, &command);
	assert_kg(&world, 2, batch, 120, 0);
	assert_true(holds(&world, 2, 2000, 100) && holds(&world, 2, 1000, 20));
	assert_kg(&world, 0, batch, 9080, 600);
	command = kg_void(&world, 1, first.id);
	done(&world, &command);
	assert_kg(&world, 0, batch, 9680, 0);

	/* suspended: neither posted nor recalled, but voided */
	first = kg_transfer(&world, 0, 1, batch, 10, true);
	done(&world, &first);
	command = world_command(&world, COMMAND_BATCH_HOLD, -1);
	command.batch_hold = (struct command_batch_hold){.batch = batch, .reason_hash = world_hash(&world)};
	done(&world, &command);
	command = kg_post(&world, 0, first.id, 0);
	refused(&world, &command, ERR_BATCH_HELD);
	command = world_command(&world, COMMAND_BATCH_RELEASE, -1);
	command.batch_release = (struct command_batch_release){.batch = batch, .reason_hash = world_hash(&world)};
	done(&world, &command);
	command = hold_of(&world, 0);
	done(&world, &command);
	command = kg_post(&world, 0, first.id, 0);
	refused(&world, &command, ERR_ACCOUNT_HELD);
	command = kg_void(&world, 0, first.id);
	done(&world, &command);
	assert_kg(&world, 0, batch, 9680, 0);
	world_stop(&world);
}

/* What is due ends in (deadline, id) order, money and kilograms together, and no tick touches more than 256 ranges. */
static void kilograms_expire(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 12);
	uint64_t batch = world_issue(&world, 0, 24, 10000, NULL);
	struct command command = deposit(&world, 0, UNIT);
	done(&world, &command);
	struct serial_range ranges[200];
	struct command waits[3];
	int64_t due_us = world.now_us + CLOCK_US_PER_HOUR;
	for (int i = 0; i < 3; i++) {
		for (int at = 0; at < 200; at++)
			ranges[at] = (struct serial_range){batch, 1500 * i + 2 * at, 1};
		waits[i] = kg_transfer(&world, 0, 1, 0, 0, true);
		waits[i].lists = (struct record_lists){.ranges = ranges, .range_count = i == 2 ? 30 : 200};
		waits[i].transfer.expires_us = due_us - i;
		done(&world, &waits[i]);
	}
	command = pending(&world, 0, 1, UNIT / 2, due_us - 3);
	done(&world, &command);
	assert_kg(&world, 0, batch, 9370, 430);
	tick(&world, due_us - 4);
	assert_kg(&world, 0, batch, 9370, 430);
	tick(&world, due_us); /* the money, then 30 and 200 ranges; the third does not fit */
	assert_amounts(&world, 0, UNIT, 0);
	assert_kg(&world, 0, batch, 9600, 200);
	assert_non_null(ledger_pending(rules_ledger(world.rules), waits[0].id));
	tick(&world, due_us + 1);
	assert_kg(&world, 0, batch, 9800, 0);
	world_stop(&world);
}

/* Many deadlines in no order, some ended before: the heap gives them in order. */
static void deadlines_in_order(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 13);
	enum { MANY = 200 };
	struct command command = deposit(&world, 0, MANY * UNIT), made[MANY];
	done(&world, &command);
	int64_t start_us = world.now_us;
	for (int i = 0; i < MANY; i++) {
		made[i] = pending(&world, 0, 1, UNIT, start_us + 1 + world_below(&world, 50));
		assert_int_equal(world_execute(&world, &made[i]), ERR_OK);
	}
	for (int i = 0; i < MANY; i += 3) {
		command = voiding(&world, 0, made[i].id);
		assert_int_equal(world_execute(&world, &command), ERR_OK);
	}
	for (int64_t due_us = start_us; due_us <= start_us + 51; due_us++) {
		tick(&world, due_us);
		for (int i = 0; i < MANY; i++) {
			bool waits = i % 3 && made[i].money_transfer.expires_us > due_us;
			assert_int_equal(ledger_pending(rules_ledger(world.rules), made[i].id) != NULL, waits);
		}
	}
	assert_amounts(&world, 0, MANY * UNIT, 0);
	world_stop(&world);
}

static void linked_sets(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 14);
	uint64_t batch = world_issue(&world, 0, 24, 10000, NULL);
	struct command command = deposit(&world, 0, 10 * UNIT);
	done(&world, &command);
	struct serial_range chosen[] = {{batch, 500, 10}};
	struct linked_transfer linked[4] = {
		{.to = world.orgs[1], .currency = code_of("EUR"), .amount = 4 * UNIT, .code = 1, .user_data = 2},
		{.to = world.orgs[2], .batch = batch, .amount = 100, .pending = 1}, {.to = world.orgs[1], .ranges = 1},
		{.to = world.orgs[2], .currency = code_of("EUR"), .amount = 100 * UNIT, .balancing = 1, .pending = 1}};
	struct command set = world_command(&world, COMMAND_TRANSFER_SET, 0);
	set.lists = (struct record_lists){.ranges = chosen, .range_count = 1, .linked = linked, .linked_count = 4};
	done(&world, &set);
	assert_int_equal(world.result.events, 5); /* and the record that closes it */
	assert_amounts(&world, 0, 0, 6 * UNIT);
	assert_amounts(&world, 1, 4 * UNIT, 0);
	assert_kg(&world, 1, batch, 10, 0);
	assert_kg(&world, 0, batch, 9690, 100);
	assert_int_equal(world_execute(&world, &set), ERR_OK);
	assert_true(world.result.repeated);
	linked[0].amount = UNIT;
	assert_int_equal(world_execute(&world, &set), ERR_COMMAND_REUSED);

	/* each has an id of its own, by which it is posted */
	struct id third = ledger_linked_id(world.orgs[0], set.id, 3),
		  first = ledger_linked_id(world.orgs[0], set.id, 1);
	assert_int_equal(third.bytes[6] >> 4, 8);
	command = post(&world, 0, third, 0);
	done(&world, &command);
	command = kg_post(&world, 0, first, 0);
	done(&world, &command);
	assert_amounts(&world, 2, 6 * UNIT, 0);
	assert_kg(&world, 2, batch, 100, 0);

	/* all or none: the last is refused, with its place */
	set = world_command(&world, COMMAND_TRANSFER_SET, 1);
	linked[0] = (struct linked_transfer){.to = world.orgs[2], .currency = code_of("EUR"), .amount = 4 * UNIT};
	linked[1] = (struct linked_transfer){.to = world.orgs[2], .batch = batch, .amount = 11};
	set.lists = (struct record_lists){.linked = linked, .linked_count = 2};
	refused(&world, &set, ERR_INSUFFICIENT_KG);
	assert_string_equal(world.info.pointer, "/linked/1/kg");
	linked[1] = linked[0];
	refused(&world, &set, ERR_INSUFFICIENT_FUNDS);
	assert_string_equal(world.info.pointer, "/linked/1/amount");
	linked[1] = (struct linked_transfer){.to = world.orgs[2], .batch = batch, .amount = 1, .balancing = 1};
	refused(&world, &set, ERR_INVALID_FIELD);
	set.lists.linked_count = 0;
	refused(&world, &set, ERR_INVALID_FIELD);
	linked[1] = (struct linked_transfer){.to = world.orgs[2], .ranges = 1};
	set.lists.linked_count = 2;
	refused(&world, &set, ERR_COMMAND_TOO_LARGE);
	world_stop(&world);
}

/* A set touches at most 256 ranges, however few it names. */
static void linked_ranges(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 15);
	uint64_t batch = world_issue(&world, 0, 24, 10000, NULL);
	for (int i = 0; i < 300; i++) {
		struct serial_range one = {batch, 4 * i, 1};
		struct command command = world_command(&world, COMMAND_TRANSFER, 0);
		command.transfer.to = world.orgs[1];
		command.lists = (struct record_lists){.ranges = &one, .range_count = 1};
		assert_int_equal(world_execute(&world, &command), ERR_OK);
	}
	struct linked_transfer linked[2] = {{.to = world.orgs[2], .batch = batch, .amount = 200},
		{.to = world.orgs[3], .batch = batch, .amount = 57}};
	struct command set = world_command(&world, COMMAND_TRANSFER_SET, 1);
	set.lists = (struct record_lists){.linked = linked, .linked_count = 2};
	refused(&world, &set, ERR_COMMAND_TOO_LARGE);
	linked[1].amount = 56;
	assert_int_equal(world_execute(&world, &set), ERR_OK);
	world_check(&world);
	world_stop(&world);
}

static struct command limit(struct world *world, int by, int org, int64_t lowest, int64_t reserved, int64_t daily)
{
	struct command command = world_command(world, COMMAND_ACCOUNT_LIMIT, by);
	command.account_limit = (struct command_account_limit){.org = world->orgs[org],
		.currency = code_of("EUR"),
		.lowest_micros = lowest,
		.reserved_micros = reserved,
		.daily_micros = daily,
		.by_registry = by < 0};
	return command;
}

static void limits(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 16);
	struct command command = deposit(&world, 0, 100 * UNIT);
	done(&world, &command);
	command = limit(&world, 0, 0, 10 * UNIT, -1, -1);
	done(&world, &command);
	command = limit(&world, -1, 0, 40 * UNIT, 20 * UNIT, -7); /* the tighter one counts */
	done(&world, &command);
	round_trip(&world);
	command = payment(&world, 0, 1, 60 * UNIT + 1);
	refused(&world, &command, ERR_LIMIT_LOWEST);
	command = payment(&world, 0, 1, 101 * UNIT);
	refused(&world, &command, ERR_INSUFFICIENT_FUNDS);
	command = withdrawal(&world, 0, 61 * UNIT);
	refused(&world, &command, ERR_LIMIT_LOWEST);
	command = pending(&world, 0, 1, 20 * UNIT + 1, 0);
	refused(&world, &command, ERR_LIMIT_RESERVED);
	struct err_info info = {0};
	const struct ledger *ledger = rules_ledger(world.rules);
	assert_int_equal(
		ledger_may_leave(ledger, world.orgs[0], code_of("EUR"), 21 * UNIT, true, &info), ERR_LIMIT_RESERVED);
	assert_int_equal(
		ledger_may_leave(ledger, world.orgs[0], code_of("EUR"), 61 * UNIT, true, &info), ERR_LIMIT_LOWEST);
	assert_int_equal(ledger_may_leave(ledger, world.orgs[0], code_of("EUR"), 20 * UNIT, true, &info), ERR_OK);
	struct command waits = pending(&world, 0, 1, 20 * UNIT, 0);
	done(&world, &waits);
	command = pending(&world, 0, 1, 1, 0);
	refused(&world, &command, ERR_LIMIT_RESERVED);
	command = pending(&world, 0, 1, 1, 0);
	command.money_transfer.balancing = 1;
	refused(&world, &command, ERR_NOTHING_TO_PAY);
	command = post(&world, 0, waits.id, 0); /* never asked for again */
	done(&world, &command);
	command = payment(&world, 0, 1, 90 * UNIT); /* balancing stops at the limit */
	command.money_transfer.balancing = 1;
	done(&world, &command);
	assert_amounts(&world, 0, 40 * UNIT, 0);

	/* a day's: counted from the first limit on, and anew each day */
	command = limit(&world, -1, 0, 0, -1, 30 * UNIT);
	done(&world, &command);
	command = limit(&world, 0, 0, 0, -1, -1);
	done(&world, &command);
	command = deposit(&world, 0, 100 * UNIT);
	done(&world, &command);
	world.now_us += CLOCK_US_PER_DAY;
	waits = pending(&world, 0, 1, 10 * UNIT, 0);
	done(&world, &waits);
	command = voiding(&world, 0, waits.id); /* it counts all the same */
	done(&world, &command);
	command = withdrawal(&world, 0, 15 * UNIT);
	done(&world, &command);
	command = payment(&world, 0, 1, 5 * UNIT + 1);
	refused(&world, &command, ERR_LIMIT_DAILY);
	round_trip(&world);
	refused(&world, &command, ERR_LIMIT_DAILY);
	command = payment(&world, 0, 1, 5 * UNIT);
	done(&world, &command);
	command = payment(&world, 0, 1, 1);
	refused(&world, &command, ERR_LIMIT_DAILY);
	assert_int_equal(
		ledger_may_leave(rules_ledger(world.rules), world.orgs[0], code_of("EUR"), UNIT, true, &info), ERR_OK);
	world.now_us += CLOCK_US_PER_DAY;
	command = payment(&world, 0, 1, 30 * UNIT);
	done(&world, &command);

	command = limit(&world, 1, 0, 0, -1, -1); /* another's */
	refused(&world, &command, ERR_FORBIDDEN);
	command = limit(&world, 0, 0, -1, -1, -1);
	refused(&world, &command, ERR_LIMIT_INVALID);
	command = limit(&world, 0, 0, 0, -1, -1);
	command.account_limit.currency = code_of("eur");
	refused(&world, &command, ERR_CURRENCY_INVALID);
	command = limit(&world, -1, 0, 0, -1, -1);
	command.account_limit.org = (struct id){{0}};
	refused(&world, &command, ERR_MISSING_FIELD);
	/* lifted: as if it had never been */
	command = limit(&world, -1, 0, 0, -1, -1);
	done(&world, &command);
	struct event_state_limit none;
	assert_false(ledger_limit(rules_ledger(world.rules), world.orgs[0], code_of("EUR"), &none));
	round_trip(&world);
	world_check(&world);
	world_stop(&world);
}

static struct command closing(struct world *world, int org)
{
	struct command command = world_command(world, COMMAND_ACCOUNT_CLOSE, -1);
	command.account_close =
		(struct command_account_close){.org = world->orgs[org], .reason_hash = world_hash(world)};
	return command;
}

static void closed_accounts(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 17);
	uint64_t batch = world_issue(&world, 0, 24, 10000, NULL);
	struct command command = deposit(&world, 1, UNIT);
	done(&world, &command);
	command = house(&world, 4);
	done(&world, &command);
	struct command money = pending(&world, 1, 2, UNIT, 0), kg = kg_transfer(&world, 0, 2, batch, 10, true);
	done(&world, &money);
	done(&world, &kg);
	command = closing(&world, 1);
	refused(&world, &command, ERR_ACCOUNT_NOT_EMPTY);
	command = closing(&world, 0);
	refused(&world, &command, ERR_ACCOUNT_NOT_EMPTY);
	command = closing(&world, 4); /* the house */
	refused(&world, &command, ERR_ACCOUNT_NOT_EMPTY);
	command = closing(&world, 2);
	command.account_close.reason_hash = (struct hash){{0}};
	refused(&world, &command, ERR_MISSING_FIELD);
	command = closing(&world, 2);
	command.account_close.org = (struct id){{0}};
	refused(&world, &command, ERR_MISSING_FIELD);

	command = closing(&world, 2);
	done(&world, &command);
	round_trip(&world);
	assert_true(ledger_account_closed(rules_ledger(world.rules), world.orgs[2]));
	command = closing(&world, 2);
	refused(&world, &command, ERR_ACCOUNT_CLOSED);
	command = deposit(&world, 2, UNIT);
	refused(&world, &command, ERR_ACCOUNT_CLOSED);
	command = post(&world, 1, money.id, 0);
	refused(&world, &command, ERR_ACCOUNT_CLOSED);
	command = kg_post(&world, 0, kg.id, 0);
	refused(&world, &command, ERR_ACCOUNT_CLOSED);
	command = kg_transfer(&world, 0, 2, batch, 1, false);
	refused(&world, &command, ERR_ACCOUNT_CLOSED);
	command = voiding(&world, 1, money.id);
	done(&world, &command);
	command = payment(&world, 1, 2, 1);
	refused(&world, &command, ERR_ACCOUNT_CLOSED);
	/* no batch either */
	struct claim_run run;
	struct command submission = world_submission(&world, 2, world.next_hour[2], 5, 1000, &run);
	assert_int_equal(world_execute(&world, &submission), ERR_OK);
	command = world_attestation(&world, 3, submission.period_submit.period, submission.period_submit.evidence_root);
	assert_int_equal(world_execute(&world, &command), ERR_OK);
	command = world_command(&world, COMMAND_PERIOD_ISSUE, -1);
	command.period_issue.period = submission.period_submit.period;
	refused(&world, &command, ERR_ACCOUNT_CLOSED);
	/* what is retired does not keep an account open */
	assert_int_equal(world_transfer(&world, 0, 5, batch, 10), ERR_OK);
	command = closing(&world, 5);
	refused(&world, &command, ERR_ACCOUNT_NOT_EMPTY);
	assert_int_equal(world_retire(&world, 5, batch, 10), ERR_OK);
	done(&world, &command);
	world_stop(&world);
}

static struct command offer(struct world *world, int org, int64_t rate_nanos)
{
	struct command command = world_command(world, COMMAND_RATE_OFFER, org);
	command.rate_offer = (struct command_rate_offer){.from = code_of("EUR"),
		.to = code_of("USD"),
		.rate_nanos = rate_nanos,
		.quoted_us = world->now_us,
		.expires_us = world->now_us + CLOCK_US_PER_HOUR};
	assert_true(code32_set(&command.rate_offer.source, "ecb"));
	return command;
}

static struct command conversion(struct world *world, int org, int provider, int64_t micros, int64_t least)
{
	struct command command = world_command(world, COMMAND_MONEY_CONVERT, org);
	command.money_convert = (struct command_money_convert){.provider = world->orgs[provider],
		.from = code_of("EUR"),
		.to = code_of("USD"),
		.amount_micros = micros,
		.least_micros = least};
	return command;
}

static int64_t usd(struct world *world, int org)
{
	struct ledger_place place = {.org = world->orgs[org], .state = KG_HELD};
	return ledger_amount(rules_ledger(world->rules), ledger_money_asset(code_of("USD")), place);
}

static void conversions(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 18);
	struct command command = deposit(&world, 0, 100 * UNIT);
	done(&world, &command);
	command = deposit(&world, 1, 1000 * UNIT);
	command.money_deposit.currency = code_of("USD");
	done(&world, &command);
	command = offer(&world, 1, INT64_C(1086400001)); /* 1.086400001 */
	done(&world, &command);
	command = conversion(&world, 0, 1, 10 * UNIT, 0);
	refused(&world, &command, ERR_HOUSE_MISSING);
	command = house(&world, 4);
	done(&world, &command);
	round_trip(&world);
	command = conversion(&world, 0, 1, 3 * UNIT + 1, INT64_C(3259201));
	done(&world,
		&command); /* 3.000001 × 1.086400001 = 3.259201089…: rounded down, the rest of a micro to the house */
	assert_amounts(&world, 0, 97 * UNIT - 1, 0);
	assert_amounts(&world, 1, 3 * UNIT + 1, 0);
	assert_int_equal(usd(&world, 0), 3259201);
	assert_int_equal(usd(&world, 4), 1);
	assert_int_equal(usd(&world, 1), 1000 * UNIT - 3259202);
	command = offer(&world, 1, INT64_C(2000000000)); /* in place of the one before, and nothing to round */
	done(&world, &command);
	command = conversion(&world, 0, 1, UNIT, 2 * UNIT);
	done(&world, &command);
	assert_int_equal(usd(&world, 0), 5259201);
	assert_int_equal(usd(&world, 4), 1);

	command = conversion(&world, 0, 1, UNIT, 2 * UNIT + 1);
	refused(&world, &command, ERR_RATE_CHANGED);
	command = conversion(&world, 0, 2, UNIT, 0);
	refused(&world, &command, ERR_NO_RATE);
	command = conversion(&world, 0, 0, UNIT, 0);
	refused(&world, &command, ERR_PAYEE_INVALID);
	command = conversion(&world, 0, 1, 0, 0);
	refused(&world, &command, ERR_AMOUNT_INVALID);
	command = conversion(&world, 0, 1, 97 * UNIT, 0);
	refused(&world, &command, ERR_INSUFFICIENT_FUNDS);
	command = conversion(&world, 0, 1, UNIT, 0);
	command.money_convert.to = code_of("EUR");
	refused(&world, &command, ERR_CURRENCY_INVALID);
	command = withdrawal(&world, 1, 990 * UNIT);
	command.money_withdraw.currency = code_of("USD");
	done(&world, &command);
	command = conversion(&world, 0, 1, 90 * UNIT, 0);
	refused(&world, &command, ERR_LIQUIDITY_SHORT);
	command = hold_of(&world, 1);
	done(&world, &command);
	command = conversion(&world, 0, 1, UNIT, 0);
	refused(&world, &command, ERR_ACCOUNT_HELD);
	command = world_command(&world, COMMAND_ACCOUNT_RELEASE, -1);
	command.account_release =
		(struct command_account_release){.org = world.orgs[1], .reason_hash = world_hash(&world)};
	done(&world, &command);

	command = offer(&world, 1, -1);
	refused(&world, &command, ERR_RATE_INVALID);
	command = offer(&world, 1, 1);
	command.rate_offer.source = (struct code32){{0}};
	refused(&world, &command, ERR_RATE_INVALID);
	command = offer(&world, 1, 1);
	command.rate_offer.quoted_us = world.now_us + CLOCK_US_PER_HOUR;
	refused(&world, &command, ERR_RATE_INVALID);
	command = offer(&world, 1, 1);
	command.rate_offer.expires_us = world.now_us;
	refused(&world, &command, ERR_EXPIRY_INVALID);
	command = offer(&world, 2, 0);
	refused(&world, &command, ERR_NO_RATE);
	command = offer(&world, 1, 1); /* so little that nothing is got */
	done(&world, &command);
	command = conversion(&world, 0, 1, 1, 0);
	refused(&world, &command, ERR_AMOUNT_INVALID);
	command = offer(&world, 1, 0);
	done(&world, &command);
	command = conversion(&world, 0, 1, UNIT, 0);
	refused(&world, &command, ERR_NO_RATE);
	command = offer(&world, 1, INT64_C(1000000000));
	done(&world, &command);
	world.now_us += CLOCK_US_PER_HOUR; /* over */
	command = conversion(&world, 0, 1, UNIT, 0);
	refused(&world, &command, ERR_NO_RATE);
	round_trip(&world);
	world_stop(&world);
}

/* A journal that says what cannot be is refused, event by event. */
static void impossible(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 19);
	uint64_t batch = world_issue(&world, 0, 24, 10000, NULL);
	struct command waits = kg_transfer(&world, 0, 1, batch, 100, true);
	done(&world, &waits);
	struct command closes = closing(&world, 2);
	done(&world, &closes);
	struct serial_range right = {batch, 0, 100}, wrong = {batch, 0, 99}, free_one = {batch, 500, 10};
	const struct record_lists its = {.ranges = &right, .range_count = 1},
				  others = {.ranges = &wrong, .range_count = 1};
	const struct event events[] = {
		{.header.type = EVENT_KG_RESERVED,
			.kg_reserved = {.transfer = waits.id, .from = world.orgs[0], .to = world.orgs[1], .kg = 10},
			.lists = {.ranges = &free_one, .range_count = 1}},
		{.header.type = EVENT_KG_RESERVED,
			.kg_reserved =
				{.transfer = world.orgs[0], .from = world.orgs[0], .to = world.orgs[1], .kg = 11},
			.lists = {.ranges = &free_one, .range_count = 1}},
		{.header.type = EVENT_KG_POSTED, .kg_posted = {.transfer = waits.id, .kg = 100}, .lists = others},
		{.header.type = EVENT_KG_POSTED, .kg_posted = {.transfer = waits.id, .kg = 99}, .lists = its},
		{.header.type = EVENT_KG_POSTED, .kg_posted = {.transfer = world.orgs[0], .kg = 100}, .lists = its},
		{.header.type = EVENT_KG_VOIDED, .kg_voided = {.transfer = waits.id, .kg = 99}, .lists = its},
		{.header.type = EVENT_MONEY_VOIDED, .money_voided = {.transfer = waits.id, .amount_micros = 100}},
		{.header.type = EVENT_ACCOUNT_CLOSED, .account_closed = {.org = world.orgs[2]}},
		{.header.type = EVENT_ACCOUNT_LIMITED, .account_limited = {.org = world.orgs[2]}},
		{.header.type = EVENT_RATE_OFFERED,
			.rate_offered = {.provider = world.orgs[2], .from = code_of("EUR"), .to = code_of("EUR")}},
		{.header.type = EVENT_MONEY_CONVERTED,
			.money_converted = {.org = world.orgs[0],
				.provider = world.orgs[1],
				.house = world.orgs[4],
				.from = code_of("EUR"),
				.to = code_of("USD"),
				.amount_micros = 10,
				.bought_micros = 11,
				.rate_nanos = 1000000000}},
	};
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		struct event event = events[i];
		event.header.number = rules_position(world.rules) + 1;
		event.header.time_us = world.now_us;
		assert_int_equal(rules_apply(world.rules, &event, &world.info), ERR_JOURNAL_INVALID);
	}
	world_stop(&world);
}

/* What a command makes is found by its id, so an id is of one organisation: nobody retires a kilogram in the place of another's
 * certificate. */
static void ids_are_of_one_organisation(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 20);
	uint64_t batch = world_issue(&world, 0, 24, 10000, NULL);
	struct command mine = kg_transfer(&world, 0, 1, batch, 100, false);
	done(&world, &mine);
	struct command theirs = kg_transfer(&world, 1, 2, batch, 1, false);
	theirs.id = mine.id;
	refused(&world, &theirs, ERR_COMMAND_ID_INVALID);
	round_trip(&world);
	refused(&world, &theirs, ERR_COMMAND_ID_INVALID);
	assert_int_equal(world_execute(&world, &mine), ERR_OK);
	assert_true(world.result.repeated);
	theirs.id = world_id(&world);
	done(&world, &theirs);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(kilograms_in_two_phases),
		cmocka_unit_test(kilograms_expire), cmocka_unit_test(deadlines_in_order), cmocka_unit_test(linked_sets),
		cmocka_unit_test(linked_ranges), cmocka_unit_test(limits), cmocka_unit_test(closed_accounts),
		cmocka_unit_test(conversions), cmocka_unit_test(impossible),
		cmocka_unit_test(ids_are_of_one_organisation)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
