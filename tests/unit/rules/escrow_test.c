/* Escrow, from the tables of docs/ESCROW.md and decision 18: who may do what in which state, what each record moves, what conditions
 * and holds do. The real machine (rules_execute); a replica replays each event, and both states must be one (P8). After every command
 * P1, P2 and P3 hold, and each is tried with a fault at each of its events first, which must leave nothing behind. */
#include "world.h"

#define PAYEE    0
#define PAYER    1
#define STRANGER 2
#define VERIFIER 3
#define ARBITER  4
#define PRICE    INT64_C(1000000000) /* 1,000 */

struct place {
	struct world world;
	uint64_t batch, other;
	struct code8 currency;
	uint64_t money;
};

static struct place at;

static enum err put_record(void *context, const uint8_t *record, size_t size)
{
	struct event_state_end end;
	return rules_restore(context, record, size, &end, &at.world.info);
}

/* A snapshot of whatever is under way gives the same state, which goes on alike. */
static void snapshot_check(void)
{
	struct world *world = &at.world;
	struct rules *copy = rules_new(registry_id(rules_registry(world->rules)), 3);
	struct hash none = {{0}};
	assert_int_equal(rules_snapshot(world->rules, 1, none, put_record, copy, NULL, &world->info), ERR_OK);
	struct hash mine = world_state(world->rules), theirs = world_state(copy);
	assert_memory_equal(&mine, &theirs, sizeof mine);
	struct command one, other;
	assert_int_equal(rules_due(world->rules, &one), rules_due(copy, &other));
	rules_free(&copy);
}

static enum err give(struct command *command)
{
	enum err err = world_give(&at.world, command);
	snapshot_check();
	return err;
}

static void must(struct command *command)
{
	if (give(command))
		fail_msg("%s: %s", command_kind_name(command->kind), at.world.info.detail);
}

/* What follows by itself, as the engine has it: before any other command. */
static void follow(void)
{
	struct command command;
	for (int i = 0; rules_due(at.world.rules, &command); i++) {
		assert_true(i < 1000);
		must(&command);
	}
}

static void tick_at(int64_t time_us)
{
	struct command command = {.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE, .tick = {.due_us = time_us}};
	at.world.now_us = time_us - CLOCK_US_PER_SECOND; /* which give() adds */
	must(&command);
	follow();
}

static int64_t kg_of(int org, enum kg_state state)
{
	return world_kg(&at.world, org, at.batch, state);
}

static int64_t money_of(int org, enum kg_state state)
{
	return ledger_amount(rules_ledger(at.world.rules), at.money, (struct ledger_place){at.world.orgs[org], state});
}

static uint32_t escrows(void)
{
	return market_escrow_count(rules_market(at.world.rules));
}

/* Money against kilograms, for a day; `org` opens it. */
static struct command opening(int org, int64_t micros, int64_t kg)
{
	struct command command = world_command(&at.world, COMMAND_ESCROW_OPEN, org);
	command.escrow_open = (struct command_escrow_open){.payer = at.world.orgs[PAYER],
		.payee = at.world.orgs[PAYEE],
		.currency = at.currency,
		.amount_micros = micros,
		.kg = kg,
		.batch = kg ? at.batch : 0,
		.expires_us = at.world.now_us + CLOCK_US_PER_DAY};
	return command;
}

static struct id open(struct command command)
{
	must(&command);
	follow();
	return command.id;
}

static struct command fund(int org, struct id escrow)
{
	struct command command = world_command(&at.world, COMMAND_ESCROW_FUND, org);
	command.escrow_fund.escrow = escrow;
	return command;
}

static struct command delivery(int org, struct id escrow, uint64_t batch, int64_t kg)
{
	struct command command = world_command(&at.world, COMMAND_ESCROW_DELIVER, org);
	command.escrow_deliver = (struct command_escrow_deliver){.escrow = escrow, .batch = batch, .kg = kg};
	return command;
}

static void deliver(struct id escrow, int64_t kg)
{
	struct command command = delivery(PAYEE, escrow, at.batch, kg);
	must(&command);
	follow();
}

static struct command refund(int org, struct id escrow)
{
	struct command command = world_command(&at.world, COMMAND_ESCROW_REFUND, org);
	command.escrow_refund.escrow = escrow;
	return command;
}

static struct command dispute(int org, struct id escrow)
{
	struct command command = world_command(&at.world, COMMAND_ESCROW_DISPUTE, org);
	command.escrow_dispute =
		(struct command_escrow_dispute){.escrow = escrow, .reason_hash = world_hash(&at.world)};
	return command;
}

static struct command decision(int org, struct id escrow, int64_t paid_micros, int64_t released_kg)
{
	struct command command = world_command(&at.world, COMMAND_ESCROW_DECIDE, org);
	command.escrow_decide = (struct command_escrow_decide){.escrow = escrow,
		.reason_hash = world_hash(&at.world),
		.paid_micros = paid_micros,
		.released_kg = released_kg,
		.compliance = org < 0};
	return command;
}

static struct command attestation(int org, struct id escrow, struct hash statement)
{
	struct {
		struct id escrow;
		struct hash statement;
	} data = {escrow, statement};
	struct command command = world_command(&at.world, COMMAND_ESCROW_ATTEST, org);
	command.escrow_attest = (struct command_escrow_attest){.escrow = escrow,
		.verifier = at.world.verifiers[VERIFIER],
		.statement_hash = statement,
		.signature = sign_make(&at.world.secrets[VERIFIER], "carbond/escrow/1", &data, sizeof data)};
	return command;
}

static void hold_batch(bool holds)
{
	struct command command = world_command(&at.world, holds ? COMMAND_BATCH_HOLD : COMMAND_BATCH_RELEASE, -1);
	if (holds)
		command.batch_hold =
			(struct command_batch_hold){.batch = at.batch, .reason_hash = world_hash(&at.world)};
	else
		command.batch_release =
			(struct command_batch_release){.batch = at.batch, .reason_hash = world_hash(&at.world)};
	must(&command);
	follow();
}

static void hold_account(int org, bool holds)
{
	struct command command = world_command(&at.world, holds ? COMMAND_ACCOUNT_HOLD : COMMAND_ACCOUNT_RELEASE, -1);
	struct id id = at.world.orgs[org];
	if (holds)
		command.account_hold = (struct command_account_hold){.org = id, .reason_hash = world_hash(&at.world)};
	else
		command.account_release =
			(struct command_account_release){.org = id, .reason_hash = world_hash(&at.world)};
	must(&command);
	follow();
}

static int start(void **state)
{
	(void)state;
	world_start(&at.world, 11);
	at.batch = world_issue(&at.world, PAYEE, 24, 100000, NULL);
	at.other = world_issue(&at.world, PAYEE, 24, 100000, NULL);
	assert_true(code8_set(&at.currency, "EUR"));
	at.money = ledger_money_asset(at.currency);
	struct command command = world_command(&at.world, COMMAND_HOUSE_NAME, -1);
	command.house_name.org = world_id(&at.world);
	must(&command);
	command = world_command(&at.world, COMMAND_MARKET_OPEN, -1);
	command.market_open = (struct command_market_open){
		.currency = at.currency, .tick_micros = 1000000, .lot_kg = 1000, .collar_ppm = 50000};
	must(&command);
	command = world_command(&at.world, COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list = (struct command_instrument_list){.market = 1, .vintage_from = 2026};
	assert_true(code32_set(&command.instrument_list.code, "FROM-2026"));
	must(&command);
	command = world_command(&at.world, COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list = (struct command_instrument_list){.market = 1, .vintage_from = 2030};
	assert_true(code32_set(&command.instrument_list.code, "FROM-2030"));
	must(&command);
	for (int org = 0; org < 3; org++) {
		command = world_command(&at.world, COMMAND_MONEY_DEPOSIT, -1);
		command.money_deposit = (struct command_money_deposit){
			.to = at.world.orgs[org], .currency = at.currency, .amount_micros = 100 * PRICE};
		must(&command);
	}
	return 0;
}

static int stop(void **state)
{
	(void)state;
	world_check(&at.world);
	world_stop(&at.world);
	return 0;
}

/* ---- settlement ---- */

static void both_legs_change_hands_in_one_record(void **state)
{
	(void)state;
	struct id escrow = open(opening(PAYER, PRICE, 5000));
	assert_int_equal(money_of(PAYER, KG_ESCROW), PRICE);
	deliver(escrow, 3000);
	assert_int_equal(kg_of(PAYEE, KG_ESCROW), 3000);
	assert_int_equal(money_of(PAYEE, KG_HELD), 100 * PRICE);
	deliver(escrow, 2000); /* all conditions hold: settled before any other command */
	assert_int_equal(kg_of(PAYER, KG_HELD), 5000);
	assert_int_equal(kg_of(PAYEE, KG_ESCROW), 0);
	assert_int_equal(money_of(PAYER, KG_ESCROW), 0);
	assert_int_equal(money_of(PAYEE, KG_HELD), 101 * PRICE);
	assert_int_equal(escrows(), 0);
}

static void either_side_opens_and_the_payer_funds(void **state)
{
	(void)state;
	struct id escrow = open(opening(PAYEE, PRICE, 1000));
	assert_int_equal(money_of(PAYER, KG_ESCROW), 0);
	deliver(escrow, 1000);
	assert_int_equal(escrows(), 1);
	struct command command = fund(PAYEE, escrow);
	assert_int_equal(give(&command), ERR_FORBIDDEN);
	command = fund(PAYER, escrow);
	must(&command);
	assert_int_equal(give(&command), ERR_NOTHING_OWED); /* but before it is settled */
	follow();
	assert_int_equal(escrows(), 0);
	assert_int_equal(money_of(PAYEE, KG_HELD), 101 * PRICE);
	assert_int_equal(kg_of(PAYER, KG_HELD), 1000);
}

static void an_escrow_may_hold_one_leg_alone(void **state)
{
	(void)state;
	open(opening(PAYER, PRICE, 0)); /* without any condition: it is a payment */
	assert_int_equal(money_of(PAYEE, KG_HELD), 101 * PRICE);
	struct id escrow = open(opening(PAYEE, 0, 700));
	deliver(escrow, 700);
	assert_int_equal(kg_of(PAYER, KG_HELD), 700);
}

static void who_may_open_what(void **state)
{
	(void)state;
	static const struct id nobody;
	struct command command = opening(STRANGER, PRICE, 0);
	assert_int_equal(give(&command), ERR_FORBIDDEN);
	command = opening(PAYER, PRICE, 0);
	command.escrow_open.payee = at.world.orgs[PAYER];
	assert_int_equal(give(&command), ERR_PAYEE_INVALID);
	command.escrow_open.payee = nobody;
	assert_int_equal(give(&command), ERR_PAYEE_INVALID);
	command = opening(PAYER, 0, 0);
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = opening(PAYER, PRICE, 10);
	command.escrow_open.instrument = 1;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command.escrow_open.instrument = command.escrow_open.batch = 0;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command.escrow_open.batch = 99;
	assert_int_equal(give(&command), ERR_NOT_FOUND);
	command = opening(PAYER, 101 * PRICE, 0);
	assert_int_equal(give(&command), ERR_INSUFFICIENT_FUNDS);
	command = opening(PAYER, PRICE, 0);
	command.escrow_open.expires_us = at.world.now_us;
	assert_int_equal(give(&command), ERR_EXPIRY_INVALID);
	command.escrow_open.expires_us = at.world.now_us + CLOCK_US_PER_HOUR;
	command.escrow_open.not_before_us = command.escrow_open.expires_us;
	assert_int_equal(give(&command), ERR_EXPIRY_INVALID);
	command = opening(PAYER, PRICE, 0);
	command.escrow_open.arbiter = at.world.orgs[PAYEE];
	assert_int_equal(give(&command), ERR_SEPARATION_OF_DUTIES);
	command = opening(PAYER, PRICE, 0);
	command.escrow_open.verifier = world_id(&at.world);
	command.escrow_open.statement_hash = world_hash(&at.world);
	assert_int_equal(give(&command), ERR_VERIFIER_UNKNOWN);
	command.escrow_open.verifier = at.world.verifiers[VERIFIER];
	command.escrow_open.payee = at.world.orgs[VERIFIER];
	assert_int_equal(give(&command), ERR_SEPARATION_OF_DUTIES);
	command = opening(PAYER, PRICE, 0);
	command.escrow_open.contract = world_id(&at.world);
	assert_int_equal(give(&command), ERR_CONTRACT_DONE);
	hold_account(PAYER, true);
	command = opening(PAYER, PRICE, 0);
	assert_int_equal(give(&command), ERR_ACCOUNT_HELD);
	assert_int_equal(escrows(), 0);
}

/* ---- conditions ---- */

static void delivery_is_of_what_was_named(void **state)
{
	(void)state;
	struct id escrow = open(opening(PAYER, PRICE, 1000));
	struct command command = delivery(PAYEE, escrow, at.other, 1000);
	assert_int_equal(give(&command), ERR_NOT_DELIVERABLE);
	command = delivery(PAYEE, escrow, at.batch, 1001);
	assert_int_equal(give(&command), ERR_NOTHING_OWED);
	command = delivery(PAYER, escrow, at.batch, 1000);
	assert_int_equal(give(&command), ERR_FORBIDDEN);
	command = delivery(STRANGER, escrow, at.batch, 1000);
	assert_int_equal(give(&command), ERR_ESCROW_DONE);
	struct command predicate = opening(PAYER, PRICE, 1000);
	predicate.escrow_open.batch = 0;
	predicate.escrow_open.instrument = 2; /* from 2030 on */
	escrow = open(predicate);
	command = delivery(PAYEE, escrow, at.batch, 1000);
	assert_int_equal(give(&command), ERR_NOT_DELIVERABLE);
	predicate.escrow_open.instrument = 1;
	escrow = open(predicate);
	deliver(escrow, 400);
	struct serial_range ranges[2] = {{at.other, 600, 100}, {at.other, 10, 500}};
	command = delivery(PAYEE, escrow, 0, 0);
	command.lists = (struct record_lists){.ranges = ranges, .range_count = 2};
	must(&command);
	assert_int_equal(world_kg(&at.world, PAYEE, at.other, KG_ESCROW), 600);
	assert_int_equal(give(&command), ERR_NOTHING_OWED);
	follow();
	assert_int_equal(world_kg(&at.world, PAYER, at.other, KG_HELD), 600);
	assert_int_equal(kg_of(PAYER, KG_HELD), 400);
	hold_batch(true);
	escrow = open(opening(PAYER, PRICE, 1000));
	command = delivery(PAYEE, escrow, at.batch, 1000);
	assert_int_equal(give(&command), ERR_BATCH_HELD);
}

static void serials_that_are_not_held_or_named_twice_are_refused(void **state)
{
	(void)state;
	struct id escrow = open(opening(PAYER, PRICE, 1000));
	struct serial_range ranges[2] = {{at.batch, 50, 100}, {at.batch, 100, 100}};
	struct command command = delivery(PAYEE, escrow, 0, 0);
	command.lists = (struct record_lists){.ranges = ranges, .range_count = 2};
	assert_int_equal(give(&command), ERR_INSUFFICIENT_KG);
	ranges[1].start = 99990; /* buffer */
	assert_int_equal(give(&command), ERR_INSUFFICIENT_KG);
	ranges[1].length = 0;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
}

static void the_verifiers_signature_is_over_escrow_and_statement(void **state)
{
	(void)state;
	struct hash statement = world_hash(&at.world), other = world_hash(&at.world);
	struct command command = opening(PAYER, PRICE, 0);
	command.escrow_open.verifier = at.world.verifiers[VERIFIER];
	assert_int_equal(give(&command), ERR_MISSING_FIELD);
	command.escrow_open.statement_hash = statement;
	struct id escrow = open(command), second = open(command);
	assert_int_equal(escrows(), 2);
	struct command wrong = attestation(VERIFIER, escrow, other);
	assert_int_equal(give(&wrong), ERR_SIGNATURE_INVALID); /* another statement */
	wrong = attestation(VERIFIER, escrow, statement);
	wrong.escrow_attest.escrow = second;
	assert_int_equal(give(&wrong), ERR_SIGNATURE_INVALID); /* of another escrow */
	wrong = attestation(PAYER, escrow, statement);
	assert_int_equal(give(&wrong), ERR_FORBIDDEN); /* not handed in by the verifier */
	wrong = attestation(VERIFIER, escrow, statement);
	wrong.escrow_attest.verifier = at.world.verifiers[ARBITER];
	assert_int_equal(give(&wrong), ERR_FORBIDDEN);
	command = attestation(VERIFIER, escrow, statement);
	must(&command);
	assert_int_equal(give(&command), ERR_NOTHING_OWED);
	follow();
	assert_int_equal(money_of(PAYEE, KG_HELD), 101 * PRICE);
	struct command revoke = world_command(&at.world, COMMAND_VERIFIER_REVOKE, -1);
	revoke.verifier_revoke.verifier = at.world.verifiers[VERIFIER];
	must(&revoke);
	command = attestation(VERIFIER, second, statement);
	assert_int_equal(give(&command), ERR_VERIFIER_NOT_VALID);
}

static void a_date_comes_true_by_a_tick(void **state)
{
	(void)state;
	struct command command = opening(PAYER, PRICE, 0);
	int64_t date_us = at.world.now_us + CLOCK_US_PER_HOUR;
	command.escrow_open.not_before_us = date_us;
	open(command);
	at.world.now_us = date_us + CLOCK_US_PER_MINUTE; /* commands do not make time come */
	open(opening(PAYEE, 0, 100));
	assert_int_equal(escrows(), 2);
	tick_at(date_us - 1);
	assert_int_equal(escrows(), 2);
	tick_at(date_us);
	assert_int_equal(escrows(), 1);
	assert_int_equal(money_of(PAYEE, KG_HELD), 101 * PRICE);
}

static void all_conditions_that_are_named_must_hold(void **state)
{
	(void)state;
	struct hash statement = world_hash(&at.world);
	/* the order in which they come true: all of the 24 */
	for (int order = 0; order < 24; order++) {
		struct command command = opening(PAYEE, PRICE, 100);
		int64_t date_us = at.world.now_us + CLOCK_US_PER_HOUR, had = kg_of(PAYER, KG_HELD);
		command.escrow_open.not_before_us = date_us;
		command.escrow_open.verifier = at.world.verifiers[VERIFIER];
		command.escrow_open.statement_hash = statement;
		struct id escrow = open(command);
		int left[4] = {0, 1, 2, 3}, pick = order;
		for (int i = 4; i > 0; i--) {
			int step = left[pick % i];
			left[pick % i] = left[i - 1];
			pick /= i;
			assert_int_equal(kg_of(PAYER, KG_HELD), had);
			if (step == 0)
				deliver(escrow, 100);
			if (step == 1)
				command = fund(PAYER, escrow);
			if (step == 2)
				command = attestation(VERIFIER, escrow, statement);
			if (step == 1 || step == 2)
				must(&command);
			follow();
			if (step == 3)
				tick_at(date_us);
		}
		assert_int_equal(kg_of(PAYER, KG_HELD), had + 100);
		assert_int_equal(escrows(), 0);
	}
}

/* ---- timeouts and refunds ---- */

static void what_is_not_settled_goes_back_at_the_timeout(void **state)
{
	(void)state;
	struct command command = opening(PAYER, PRICE, 1000);
	int64_t end_us = command.escrow_open.expires_us;
	struct id escrow = open(command);
	deliver(escrow, 999);
	tick_at(end_us - 1);
	assert_int_equal(escrows(), 1);
	tick_at(end_us);
	assert_int_equal(escrows(), 0);
	assert_int_equal(money_of(PAYER, KG_HELD), 100 * PRICE);
	assert_int_equal(kg_of(PAYEE, KG_ESCROW), 0);
	assert_int_equal(kg_of(PAYER, KG_HELD), 0);
	command = delivery(PAYEE, escrow, at.batch, 1);
	assert_int_equal(give(&command), ERR_ESCROW_DONE);
}

static void timeouts_come_in_order_of_time_and_id(void **state)
{
	(void)state;
	struct id ids[4];
	int64_t end_us = at.world.now_us + CLOCK_US_PER_HOUR;
	for (int i = 0; i < 4; i++) {
		struct command command = opening(PAYER, PRICE, 1000);
		command.escrow_open.expires_us = end_us + (i < 2 ? CLOCK_US_PER_MINUTE : 0);
		ids[i] = open(command);
	}
	struct command command = {.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
	command.tick.due_us = at.world.now_us = end_us + CLOCK_US_PER_HOUR;
	must(&command);
	static const int order[4] = {2, 3, 0, 1};
	for (int i = 0; i < 4; i++) {
		assert_true(rules_due(at.world.rules, &command));
		assert_true(id_equal(command.escrow_work.item, ids[order[i]]));
		must(&command);
	}
	assert_int_equal(give(&command), ERR_ESCROW_DONE); /* it comes once */
	assert_false(rules_due(at.world.rules, &command));
}

static void the_payee_may_give_both_legs_back(void **state)
{
	(void)state;
	struct id escrow = open(opening(PAYER, PRICE, 1000));
	deliver(escrow, 500);
	struct command command = refund(PAYER, escrow);
	assert_int_equal(give(&command), ERR_FORBIDDEN);
	command = refund(PAYEE, escrow);
	must(&command);
	assert_int_equal(money_of(PAYER, KG_HELD), 100 * PRICE);
	assert_int_equal(kg_of(PAYEE, KG_ESCROW), 0);
	assert_int_equal(give(&command), ERR_ESCROW_DONE);
}

/* ---- disputes ---- */

static void a_dispute_freezes_and_is_decided_in_parts(void **state)
{
	(void)state;
	struct command command = opening(PAYER, PRICE, 1000);
	command.escrow_open.arbiter = at.world.orgs[ARBITER];
	struct id escrow = open(command);
	deliver(escrow, 300);
	deliver(escrow, 500);
	command = decision(ARBITER, escrow, 0, 0);
	assert_int_equal(give(&command), ERR_NOT_DISPUTED);
	command = dispute(STRANGER, escrow);
	assert_int_equal(give(&command), ERR_ESCROW_DONE);
	command = dispute(PAYER, escrow);
	must(&command);
	assert_int_equal(give(&command), ERR_ESCROW_DISPUTED);
	command = delivery(PAYEE, escrow, at.batch, 200);
	assert_int_equal(give(&command), ERR_ESCROW_DISPUTED);
	command = refund(PAYEE, escrow);
	assert_int_equal(give(&command), ERR_ESCROW_DISPUTED);
	tick_at(at.world.now_us + 9 * CLOCK_US_PER_DAY); /* nothing expires */
	assert_int_equal(escrows(), 1);
	command = decision(-1, escrow, 0, 0);
	assert_int_equal(give(&command), ERR_FORBIDDEN); /* an arbiter is named */
	command = decision(PAYER, escrow, 0, 0);
	assert_int_equal(give(&command), ERR_SEPARATION_OF_DUTIES);
	command = decision(ARBITER, escrow, PRICE + 1, 0);
	assert_int_equal(give(&command), ERR_EXCEEDS_PENDING);
	command = decision(ARBITER, escrow, 0, 801);
	assert_int_equal(give(&command), ERR_EXCEEDS_PENDING);
	command = decision(ARBITER, escrow, PRICE / 4, 350); /* through the middle of a range */
	must(&command);
	assert_int_equal(money_of(PAYEE, KG_HELD), 100 * PRICE + PRICE / 4);
	assert_int_equal(money_of(PAYER, KG_HELD), 100 * PRICE - PRICE / 4);
	assert_int_equal(kg_of(PAYER, KG_HELD), 350);
	assert_int_equal(kg_of(PAYEE, KG_ESCROW), 0);
	assert_int_equal(escrows(), 0);
}

static void without_an_arbiter_compliance_decides_and_may_dismiss(void **state)
{
	(void)state;
	struct id escrow = open(opening(PAYER, PRICE, 1000));
	struct command command = dispute(PAYEE, escrow);
	must(&command);
	command = decision(ARBITER, escrow, 0, 0);
	assert_int_equal(give(&command), ERR_ESCROW_DONE);
	command = decision(-1, escrow, 0, 0);
	command.escrow_decide.dismissed = 1;
	must(&command);
	deliver(escrow, 1000); /* it goes on as before */
	assert_int_equal(kg_of(PAYER, KG_HELD), 1000);
	struct command late = opening(PAYER, PRICE, 1000);
	escrow = open(late);
	command = dispute(PAYER, escrow);
	must(&command);
	tick_at(at.world.now_us + 2 * CLOCK_US_PER_DAY);
	assert_int_equal(escrows(), 1);
	command = decision(-1, escrow, 0, 0);
	command.escrow_decide.dismissed = 1;
	must(&command);
	tick_at(at.world.now_us + CLOCK_US_PER_SECOND); /* its timeout has passed meanwhile */
	assert_int_equal(escrows(), 0);
	assert_int_equal(money_of(PAYER, KG_HELD), 99 * PRICE);
}

static void every_part_may_be_decided_of_a_scattered_delivery(void **state)
{
	(void)state;
	struct id escrow = open(opening(PAYER, PRICE, 300));
	struct serial_range ranges[EVENTS_RANGES_MAX];
	for (int i = 0; i < EVENTS_RANGES_MAX; i++)
		ranges[i] = (struct serial_range){at.batch, 10 + 3 * i, i ? 1 : 2};
	struct command command = delivery(PAYEE, escrow, 0, 0);
	command.lists = (struct record_lists){.ranges = ranges, .range_count = EVENTS_RANGES_MAX};
	assert_int_equal(give(&command), ERR_COMMAND_TOO_LARGE);
	command.lists.range_count--;
	must(&command); /* 255 ranges, the first of two kilograms */
	command = delivery(PAYEE, escrow, at.batch, 10);
	assert_int_equal(give(&command), ERR_COMMAND_TOO_LARGE);
	command = dispute(PAYER, escrow);
	must(&command);
	command = decision(-1, escrow, 0, 1); /* cuts that one: 256 */
	must(&command);
	assert_int_equal(kg_of(PAYER, KG_HELD), 1);
	assert_int_equal(kg_of(PAYEE, KG_ESCROW), 0);
}

/* ---- holds (decision 18) ---- */

static void a_suspended_batch_keeps_a_settlement_waiting(void **state)
{
	(void)state;
	struct id escrow = open(opening(PAYEE, PRICE, 1000));
	deliver(escrow, 1000);
	hold_batch(true);
	struct command command = fund(PAYER, escrow);
	must(&command);
	follow();
	assert_int_equal(escrows(), 1); /* all conditions hold */
	command = dispute(PAYER, escrow);
	must(&command);
	command = decision(-1, escrow, 0, 0);
	command.escrow_decide.dismissed = 1;
	must(&command);
	follow(); /* it is due again, and waits still */
	assert_int_equal(escrows(), 1);
	hold_batch(false);
	assert_int_equal(escrows(), 0);
	assert_int_equal(kg_of(PAYER, KG_HELD), 1000);
}

static void a_settlement_that_waits_until_the_timeout_is_a_refund(void **state)
{
	(void)state;
	struct command command = opening(PAYER, PRICE, 1000);
	int64_t end_us = command.escrow_open.expires_us;
	struct id escrow = open(command);
	command = delivery(PAYEE, escrow, at.batch, 1000);
	must(&command);
	hold_batch(true); /* before the settlement */
	assert_int_equal(escrows(), 1);
	tick_at(end_us);
	assert_int_equal(escrows(), 0);
	assert_int_equal(money_of(PAYER, KG_HELD), 100 * PRICE);
	assert_int_equal(kg_of(PAYEE, KG_ESCROW), 0);
	assert_int_equal(world_transfer(&at.world, PAYEE, PAYER, at.batch, 10), ERR_BATCH_HELD); /* suspended at home */
}

static void an_account_that_is_held_gives_nothing(void **state)
{
	(void)state;
	struct id escrow = open(opening(PAYER, PRICE, 1000));
	hold_account(PAYER, true);
	deliver(escrow, 1000);
	assert_int_equal(escrows(), 1);
	hold_account(PAYER, false);
	assert_int_equal(escrows(), 0);
	escrow = open(opening(PAYER, 0, 1000)); /* the payer only takes */
	hold_account(PAYER, true);
	deliver(escrow, 1000);
	assert_int_equal(escrows(), 0);
	hold_account(PAYER, false);
	escrow = open(opening(PAYEE, PRICE, 1000));
	deliver(escrow, 1000);
	hold_account(PAYEE, true);
	struct command command = fund(PAYER, escrow);
	must(&command);
	follow();
	assert_int_equal(escrows(), 1);
	command = dispute(PAYER, escrow);
	must(&command);
	command = decision(-1, escrow, 0, 1000);
	assert_int_equal(give(&command), ERR_ACCOUNT_HELD);
	command = decision(-1, escrow, 0, 0); /* a refund leaves no account */
	must(&command);
	assert_int_equal(escrows(), 0);
}

static void a_reversal_does_not_touch_kilograms_in_escrow(void **state)
{
	(void)state;
	struct id escrow = open(opening(PAYEE, PRICE, 1000));
	deliver(escrow, 1000);
	struct command command = world_command(&at.world, COMMAND_BATCH_REVERSE, -1);
	command.batch_reverse =
		(struct command_batch_reverse){.batch = at.batch, .kg = 100, .reason_hash = world_hash(&at.world)};
	must(&command);
	command = fund(PAYER, escrow);
	must(&command);
	follow();
	assert_int_equal(kg_of(PAYER, KG_HELD), 1000);                                           /* they were sold */
	assert_int_equal(world_transfer(&at.world, PAYEE, PAYER, at.batch, 10), ERR_BATCH_HELD); /* what was not */
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {CASE(both_legs_change_hands_in_one_record),
		CASE(either_side_opens_and_the_payer_funds), CASE(an_escrow_may_hold_one_leg_alone),
		CASE(who_may_open_what), CASE(delivery_is_of_what_was_named),
		CASE(serials_that_are_not_held_or_named_twice_are_refused),
		CASE(the_verifiers_signature_is_over_escrow_and_statement), CASE(a_date_comes_true_by_a_tick),
		CASE(all_conditions_that_are_named_must_hold), CASE(what_is_not_settled_goes_back_at_the_timeout),
		CASE(timeouts_come_in_order_of_time_and_id), CASE(the_payee_may_give_both_legs_back),
		CASE(a_dispute_freezes_and_is_decided_in_parts),
		CASE(without_an_arbiter_compliance_decides_and_may_dismiss),
		CASE(every_part_may_be_decided_of_a_scattered_delivery),
		CASE(a_suspended_batch_keeps_a_settlement_waiting),
		CASE(a_settlement_that_waits_until_the_timeout_is_a_refund),
		CASE(an_account_that_is_held_gives_nothing), CASE(a_reversal_does_not_touch_kilograms_in_escrow)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
