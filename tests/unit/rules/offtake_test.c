/* Forward offtake, from the tables of docs/ESCROW.md: who agrees to what, what is delivered at issuance and against what payment,
 * what a missed row costs, how a contract ends. The real machine, a replica (P8), P1 to P3 and a snapshot after every command, and a
 * fault at each event first, which must leave nothing behind. */
#include "world.h"

#define SELLER   0
#define BUYER    1
#define OTHER    2
#define VERIFIER 3
#define ARBITER  4
#define PRICE    INT64_C(100000000) /* 100 a tonne: 100,000 micros a kilogram */
#define KG_PRICE INT64_C(100000)
#define DAY      CLOCK_US_PER_DAY

struct place {
	struct world world;
	struct code8 currency;
	uint64_t money;
	int64_t begin_us;
};

static struct place at;

static enum err put_record(void *context, const uint8_t *record, size_t size)
{
	struct event_state_end end;
	return rules_restore(context, record, size, &end, &at.world.info);
}

static void snapshot_check(void)
{
	struct world *world = &at.world;
	struct rules *copy = rules_new(registry_id(rules_registry(world->rules)), 3);
	struct hash none = {{0}};
	assert_int_equal(rules_snapshot(world->rules, 1, none, put_record, copy, NULL, &world->info), ERR_OK);
	struct hash mine = world_state(world->rules), theirs = world_state(copy);
	assert_memory_equal(&mine, &theirs, sizeof mine);
	struct command one, other;
	bool due = rules_due(world->rules, &one);
	assert_int_equal(due, rules_due(copy, &other));
	if (due)
		assert_memory_equal(&one.escrow_work, &other.escrow_work, sizeof one.escrow_work);
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

static int follow(void)
{
	struct command command;
	int count = 0;
	for (; rules_due(at.world.rules, &command); count++) {
		assert_true(count < 1000);
		must(&command);
	}
	return count;
}

static void tick_at(int64_t time_us)
{
	struct command command = {.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE, .tick = {.due_us = time_us}};
	at.world.now_us = time_us - CLOCK_US_PER_SECOND;
	must(&command);
	follow();
}

/* A batch of the seller, of which `kg` are the supplier's; and what follows before any other command. */
static uint64_t issue(int64_t kg)
{
	int64_t all = kg;
	while (all - (all / 50 + 9) / 10 * 10 < kg)
		all += 10;
	uint64_t batch = world_issue(&at.world, SELLER, 1, all, NULL);
	world_check(&at.world);
	follow();
	return batch;
}

static int64_t kg_of(int org)
{
	int64_t kg = 0;
	for (uint64_t batch = 1; batch <= registry_batch_count(rules_registry(at.world.rules)); batch++)
		kg += world_kg(&at.world, org, batch, KG_HELD);
	return kg;
}

static int64_t money_of(int org, enum kg_state state)
{
	return ledger_amount(rules_ledger(at.world.rules), at.money, (struct ledger_place){at.world.orgs[org], state});
}

static uint32_t contracts(void)
{
	return market_offtake_count(rules_market(at.world.rules));
}

static void pay(int from, int to, int64_t micros)
{
	struct command command = world_command(&at.world, COMMAND_MONEY_TRANSFER, from);
	command.money_transfer = (struct command_money_transfer){
		.to = at.world.orgs[to], .currency = at.currency, .amount_micros = micros};
	must(&command);
}

/* Rows of `kg` each, due 10, 20, … days after the beginning, open from the beginning on. */
static struct delivery rows[EVENTS_DELIVERIES_MAX];

static struct command offer(int org, int count, int64_t kg)
{
	for (int i = 0; i < count; i++)
		rows[i] =
			(struct delivery){.due_us = at.begin_us + 10 * (i + 1) * DAY, .kg = kg, .price_micros = PRICE};
	struct command command = world_command(&at.world, COMMAND_OFFTAKE_OFFER, org);
	command.offtake_offer = (struct command_offtake_offer){.seller = at.world.orgs[SELLER],
		.buyer = at.world.orgs[BUYER],
		.currency = at.currency,
		.instrument = 1,
		.make_good_us = 5 * DAY,
		.penalty_ppm = 100000,
		.expires_us = at.world.now_us + DAY};
	command.lists = (struct record_lists){.deliveries = rows, .delivery_count = (size_t)count};
	return command;
}

static struct command acceptance(int org, struct id contract)
{
	struct command command = world_command(&at.world, COMMAND_OFFTAKE_ACCEPT, org);
	command.offtake_accept.contract = contract;
	return command;
}

/* In force. */
static struct id agree(struct command offered)
{
	must(&offered);
	struct command command = acceptance(BUYER, offered.id);
	command.org = offered.offtake_offer.buyer;
	must(&command);
	return offered.id;
}

static struct command termination(int org, struct id contract, int64_t refund_micros)
{
	struct command command = world_command(&at.world, COMMAND_OFFTAKE_TERMINATE, org);
	command.offtake_terminate =
		(struct command_offtake_terminate){.contract = contract, .refund_micros = refund_micros};
	return command;
}

static struct command delivery(int org, struct id contract, uint64_t batch, int64_t kg)
{
	struct command command = world_command(&at.world, COMMAND_OFFTAKE_DELIVER, org);
	command.offtake_deliver = (struct command_offtake_deliver){.contract = contract, .batch = batch, .kg = kg};
	return command;
}

static struct command dispute(int org, struct id contract)
{
	struct command command = world_command(&at.world, COMMAND_OFFTAKE_DISPUTE, org);
	command.offtake_dispute =
		(struct command_offtake_dispute){.contract = contract, .reason_hash = world_hash(&at.world)};
	return command;
}

static struct command decision(int org, struct id contract, int64_t refund_micros, bool dismissed)
{
	struct command command = world_command(&at.world, COMMAND_OFFTAKE_DECIDE, org);
	command.offtake_decide = (struct command_offtake_decide){.contract = contract,
		.reason_hash = world_hash(&at.world),
		.refund_micros = refund_micros,
		.dismissed = dismissed,
		.compliance = org < 0};
	return command;
}

/* A prepayment that is released at once. */
static struct command prepayment(struct id contract, int64_t micros)
{
	struct command command = world_command(&at.world, COMMAND_ESCROW_OPEN, BUYER);
	command.escrow_open = (struct command_escrow_open){.payer = at.world.orgs[BUYER],
		.payee = at.world.orgs[SELLER],
		.contract = contract,
		.currency = at.currency,
		.amount_micros = micros,
		.expires_us = at.world.now_us + 400 * DAY};
	return command;
}

static void prepay(struct id contract, int64_t micros)
{
	struct command command = prepayment(contract, micros);
	must(&command);
	follow();
}

static int start(void **state)
{
	(void)state;
	world_start(&at.world, 12);
	assert_true(code8_set(&at.currency, "EUR"));
	at.money = ledger_money_asset(at.currency);
	struct command command = world_command(&at.world, COMMAND_HOUSE_NAME, -1);
	command.house_name.org = world_id(&at.world);
	must(&command);
	command = world_command(&at.world, COMMAND_MARKET_OPEN, -1);
	command.market_open = (struct command_market_open){
		.currency = at.currency, .tick_micros = 1000000, .lot_kg = 1000, .collar_ppm = 50000};
	must(&command);
	for (int i = 0; i < 2; i++) {
		command = world_command(&at.world, COMMAND_INSTRUMENT_LIST, -1);
		command.instrument_list =
			(struct command_instrument_list){.market = 1, .vintage_from = i ? 2030 : 2026};
		assert_true(code32_set(&command.instrument_list.code, i ? "FROM-2030" : "FROM-2026"));
		must(&command);
	}
	for (int org = 1; org < 3; org++) {
		command = world_command(&at.world, COMMAND_MONEY_DEPOSIT, -1);
		command.money_deposit = (struct command_money_deposit){
			.to = at.world.orgs[org], .currency = at.currency, .amount_micros = 10000 * KG_PRICE};
		must(&command);
	}
	at.begin_us = at.world.now_us;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	world_check(&at.world);
	world_stop(&at.world);
	return 0;
}

/* ---- agreeing ---- */

static void one_side_offers_and_the_other_accepts(void **state)
{
	(void)state;
	for (int org = SELLER; org <= BUYER; org++) {
		struct command offered = offer(org, 2, 100), command;
		must(&offered);
		command = acceptance(org, offered.id);
		assert_int_equal(give(&command), ERR_FORBIDDEN);
		command = acceptance(OTHER, offered.id);
		assert_int_equal(give(&command), ERR_CONTRACT_DONE); /* strangers are told nothing */
		command = delivery(SELLER, offered.id, 1, 1);
		assert_int_equal(give(&command), ERR_CONTRACT_STATE);
		command = acceptance(org == SELLER ? BUYER : SELLER, offered.id);
		must(&command);
		assert_int_equal(give(&command), ERR_CONTRACT_STATE);
	}
	assert_int_equal(contracts(), 2);
}

static void an_offer_is_declined_withdrawn_or_lapses(void **state)
{
	(void)state;
	for (int org = SELLER; org <= BUYER; org++) {
		struct command offered = offer(SELLER, 1, 100), command;
		must(&offered);
		command = termination(org, offered.id, 0);
		must(&command);
		assert_int_equal(give(&command), ERR_CONTRACT_DONE);
	}
	struct command offered = offer(SELLER, 1, 100);
	int64_t end_us = offered.offtake_offer.expires_us;
	must(&offered);
	tick_at(end_us - 1);
	assert_int_equal(contracts(), 1);
	tick_at(end_us);
	assert_int_equal(contracts(), 0);
}

static void terms_that_make_no_contract_are_refused(void **state)
{
	(void)state;
	struct command command = offer(OTHER, 1, 100);
	assert_int_equal(give(&command), ERR_FORBIDDEN);
	command = offer(SELLER, 1, 100);
	command.offtake_offer.buyer = at.world.orgs[SELLER];
	assert_int_equal(give(&command), ERR_PAYEE_INVALID);
	command = offer(SELLER, 1, 100);
	command.offtake_offer.arbiter = at.world.orgs[BUYER];
	assert_int_equal(give(&command), ERR_SEPARATION_OF_DUTIES);
	command = offer(SELLER, 1, 100);
	command.offtake_offer.unit = at.world.points[SELLER];
	assert_int_equal(give(&command), ERR_INVALID_FIELD); /* beside an instrument */
	command.offtake_offer.unit = (struct id){0};
	command.offtake_offer.instrument = 3;
	assert_int_equal(give(&command), ERR_NOT_FOUND);
	command.offtake_offer.instrument = 0;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = offer(SELLER, 1, 100);
	command.offtake_offer.penalty_ppm = 1000001;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = offer(SELLER, 1, 100);
	command.offtake_offer.make_good_us = -1;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = offer(SELLER, 1, 100);
	command.offtake_offer.expires_us = at.world.now_us;
	assert_int_equal(give(&command), ERR_EXPIRY_INVALID);
	command = offer(SELLER, 0, 100);
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = offer(SELLER, 2, 0);
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = offer(SELLER, 2, 100);
	rows[1].price_micros++;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = offer(SELLER, 2, 100);
	rows[1].due_us = rows[0].due_us - 1;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = offer(SELLER, 2, 100);
	rows[0].due_us = at.begin_us;
	assert_int_equal(give(&command), ERR_INVALID_FIELD); /* in the past */
	command = offer(SELLER, 2, 100);
	rows[1].from_us = rows[1].due_us;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = offer(SELLER, 2, 100);
	rows[0].delivered_kg = 1;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	assert_int_equal(contracts(), 0);
	command = offer(SELLER, EVENTS_DELIVERIES_MAX, 100);
	must(&command);
}

/* ---- delivery at issuance ---- */

static void what_is_issued_goes_to_the_oldest_row_first_against_payment(void **state)
{
	(void)state;
	agree(offer(SELLER, 3, 1000));
	struct command second = offer(SELLER, 1, 500);
	second.offtake_offer.buyer = at.world.orgs[OTHER];
	rows[0].due_us = at.begin_us + 15 * DAY; /* between the first's rows */
	agree(second);
	issue(1200);
	assert_int_equal(kg_of(BUYER), 1000);
	assert_int_equal(kg_of(OTHER), 200);
	assert_int_equal(kg_of(SELLER), 0);
	assert_int_equal(money_of(SELLER, KG_HELD), 1200 * KG_PRICE);
	assert_int_equal(money_of(BUYER, KG_HELD), 9000 * KG_PRICE);
	issue(3000);
	assert_int_equal(kg_of(OTHER), 500);
	assert_int_equal(kg_of(BUYER), 3000);
	assert_int_equal(kg_of(SELLER), 700); /* nobody asks for more */
	assert_int_equal(contracts(), 0);
	assert_int_equal(money_of(SELLER, KG_HELD), 3500 * KG_PRICE);
}

static void a_row_is_not_delivered_before_its_window(void **state)
{
	(void)state;
	struct command command = offer(SELLER, 2, 1000);
	rows[0].from_us = at.begin_us + 5 * DAY;
	rows[1].from_us = at.begin_us + 12 * DAY;
	struct id contract = agree(command);
	uint64_t batch = issue(600);
	assert_int_equal(kg_of(BUYER), 0);
	command = delivery(SELLER, contract, batch, 100);
	assert_int_equal(give(&command), ERR_NOTHING_OWED);
	at.world.now_us = at.begin_us + 5 * DAY;
	issue(1500);
	assert_int_equal(kg_of(BUYER), 1000); /* the second row's window has not begun */
	assert_int_equal(kg_of(SELLER), 1100);
	at.world.now_us = at.begin_us + 13 * DAY;
	command = delivery(SELLER, contract, batch, 600); /* from what it holds */
	must(&command);
	assert_int_equal(kg_of(BUYER), 1600);
	command = delivery(SELLER, contract, batch + 1, 401);
	assert_int_equal(give(&command), ERR_NOTHING_OWED);
	command = delivery(BUYER, contract, batch + 1, 100);
	assert_int_equal(give(&command), ERR_FORBIDDEN);
	command = delivery(SELLER, contract, batch, 1);
	assert_int_equal(give(&command), ERR_INSUFFICIENT_KG);
	command = delivery(SELLER, contract, batch + 1, 400);
	must(&command);
	assert_int_equal(contracts(), 0);
}

static void a_contract_takes_what_it_asks_for_alone(void **state)
{
	(void)state;
	struct command command = offer(SELLER, 1, 1000);
	command.offtake_offer.instrument = 2; /* from 2030 on */
	struct id later = agree(command);
	command = offer(SELLER, 1, 1000);
	command.offtake_offer.instrument = 0;
	command.offtake_offer.unit = world_id(&at.world);
	agree(command); /* another unit */
	uint64_t batch = issue(500);
	assert_int_equal(kg_of(BUYER), 0);
	command = delivery(SELLER, later, batch, 100);
	assert_int_equal(give(&command), ERR_NOT_DELIVERABLE);
	command = offer(SELLER, 1, 1000);
	command.offtake_offer.instrument = 0;
	command.offtake_offer.project = command.offtake_offer.unit = at.world.points[SELLER];
	agree(command);
	issue(500);
	assert_int_equal(kg_of(BUYER), 500);
	world_issue(&at.world, OTHER, 1, 1000, NULL); /* another's issue calls nobody */
	assert_int_equal(follow(), 0);
}

static void more_than_64_deliveries_go_on_by_themselves(void **state)
{
	(void)state;
	agree(offer(SELLER, 100, 10));
	world_issue(&at.world, SELLER, 1, 2000, NULL);
	assert_int_equal(follow(), 2);
	assert_int_equal(kg_of(BUYER), 1000);
	assert_int_equal(contracts(), 0);
}

static void what_a_buyer_cannot_pay_was_tendered(void **state)
{
	(void)state;
	agree(offer(SELLER, 2, 1000));
	struct command second = offer(SELLER, 1, 5000);
	second.offtake_offer.buyer = at.world.orgs[OTHER];
	rows[0].due_us = at.begin_us + 40 * DAY;
	agree(second);
	pay(BUYER, OTHER, 10000 * KG_PRICE - 300 * KG_PRICE - 1); /* 300 kg are left */
	issue(1500);
	assert_int_equal(kg_of(BUYER), 300);
	assert_int_equal(kg_of(OTHER), 1200); /* the rest goes to the next contract */
	tick_at(at.begin_us + 16 * DAY);      /* the first row's make-good is over: no penalty, for 700 were tendered */
	assert_int_equal(money_of(SELLER, KG_HELD), 1500 * KG_PRICE);
	assert_int_equal(money_of(BUYER, KG_HELD), 1);
}

static void a_held_batch_or_seller_is_not_called_from(void **state)
{
	(void)state;
	struct id contract = agree(offer(SELLER, 1, 1000));
	struct command command = world_command(&at.world, COMMAND_ACCOUNT_HOLD, -1);
	command.account_hold =
		(struct command_account_hold){.org = at.world.orgs[SELLER], .reason_hash = world_hash(&at.world)};
	must(&command);
	uint64_t batch = issue(1000);
	assert_int_equal(kg_of(BUYER), 0);
	command = delivery(SELLER, contract, batch, 1000);
	assert_int_equal(give(&command), ERR_ACCOUNT_HELD);
	command = world_command(&at.world, COMMAND_ACCOUNT_RELEASE, -1);
	command.account_release =
		(struct command_account_release){.org = at.world.orgs[SELLER], .reason_hash = world_hash(&at.world)};
	must(&command);
	command = world_command(&at.world, COMMAND_BATCH_HOLD, -1);
	command.batch_hold = (struct command_batch_hold){.batch = batch, .reason_hash = world_hash(&at.world)};
	must(&command);
	command = delivery(SELLER, contract, batch, 1000);
	assert_int_equal(give(&command), ERR_BATCH_HELD);
	command = world_command(&at.world, COMMAND_BATCH_RELEASE, -1);
	command.batch_release = (struct command_batch_release){.batch = batch, .reason_hash = world_hash(&at.world)};
	must(&command);
	command = delivery(SELLER, contract, batch, 1000);
	must(&command);
	assert_int_equal(kg_of(BUYER), 1000);
}

/* ---- prepayment ---- */

static void a_prepayment_is_credit_against_deliveries(void **state)
{
	(void)state;
	struct id contract = agree(offer(SELLER, 2, 1000));
	struct command command = prepayment(contract, 1500 * KG_PRICE);
	command.escrow_open.kg = 10;
	command.escrow_open.instrument = 1;
	assert_int_equal(give(&command), ERR_INVALID_FIELD); /* of money alone */
	prepay(contract, 1500 * KG_PRICE);
	assert_int_equal(money_of(SELLER, KG_HELD), 1500 * KG_PRICE);
	issue(1000);
	assert_int_equal(money_of(SELLER, KG_HELD), 1500 * KG_PRICE); /* all of it was prepaid */
	issue(1000);
	assert_int_equal(money_of(SELLER, KG_HELD), 2000 * KG_PRICE);
	assert_int_equal(money_of(BUYER, KG_HELD), 8000 * KG_PRICE);
	assert_int_equal(contracts(), 0);
}

static void a_milestone_is_a_date_or_a_verifiers_signature(void **state)
{
	(void)state;
	struct id contract = agree(offer(SELLER, 2, 1000));
	struct command command = prepayment(contract, 100 * KG_PRICE);
	command.escrow_open.not_before_us = at.begin_us + 3 * DAY;
	must(&command);
	command = prepayment(contract, 200 * KG_PRICE);
	command.escrow_open.verifier = at.world.verifiers[VERIFIER];
	command.escrow_open.statement_hash = world_hash(&at.world);
	must(&command);
	follow();
	struct {
		struct id escrow;
		struct hash statement;
	} data = {command.id, command.escrow_open.statement_hash};
	assert_int_equal(money_of(BUYER, KG_ESCROW), 300 * KG_PRICE);
	tick_at(at.begin_us + 3 * DAY);
	assert_int_equal(money_of(SELLER, KG_HELD), 100 * KG_PRICE);
	command = world_command(&at.world, COMMAND_ESCROW_ATTEST, VERIFIER);
	command.escrow_attest = (struct command_escrow_attest){.escrow = data.escrow,
		.verifier = at.world.verifiers[VERIFIER],
		.statement_hash = data.statement,
		.signature = sign_make(&at.world.secrets[VERIFIER], MARKET_ESCROW_DOMAIN, &data, sizeof data)};
	must(&command);
	follow();
	assert_int_equal(money_of(SELLER, KG_HELD), 300 * KG_PRICE);
	issue(500); /* 300 of them are prepaid */
	assert_int_equal(money_of(SELLER, KG_HELD), 500 * KG_PRICE);
}

static void a_prepayment_of_an_ended_contract_goes_back(void **state)
{
	(void)state;
	struct id contract = agree(offer(SELLER, 1, 1000));
	struct command command = prepayment(contract, 100 * KG_PRICE);
	command.escrow_open.not_before_us = at.begin_us + 3 * DAY;
	must(&command);
	issue(1000);
	assert_int_equal(contracts(), 0);
	tick_at(at.begin_us + 3 * DAY);
	assert_int_equal(money_of(BUYER, KG_ESCROW), 0);
	assert_int_equal(money_of(BUYER, KG_HELD), 9000 * KG_PRICE);
}

/* ---- make-good ---- */

static void what_is_missing_is_owed_until_the_make_good_is_over(void **state)
{
	(void)state;
	agree(offer(SELLER, 2, 1000));
	issue(400);
	tick_at(at.begin_us + 14 * DAY); /* late: it may still be made good */
	issue(100);
	assert_int_equal(kg_of(BUYER), 500);
	tick_at(at.begin_us + 15 * DAY);
	/* 500 kg are missing: a tenth of their price */
	assert_int_equal(money_of(SELLER, KG_HELD), 500 * KG_PRICE - 50 * KG_PRICE);
	issue(700); /* goes to the second row */
	assert_int_equal(kg_of(BUYER), 1200);
	assert_int_equal(contracts(), 1);
	tick_at(at.begin_us + 25 * DAY);
	assert_int_equal(contracts(), 0); /* its last row is over */
	assert_int_equal(money_of(SELLER, KG_HELD), (500 - 50 + 700 - 30) * KG_PRICE);
}

static void the_prepayment_of_what_is_missing_is_refunded_as_far_as_money_is_there(void **state)
{
	(void)state;
	struct id contract = agree(offer(SELLER, 1, 1000));
	prepay(contract, 800 * KG_PRICE);
	issue(300);
	assert_int_equal(money_of(SELLER, KG_HELD), 800 * KG_PRICE);
	pay(SELLER, OTHER, 500 * KG_PRICE);
	struct command command = world_command(&at.world, COMMAND_ACCOUNT_HOLD, -1);
	command.account_hold =
		(struct command_account_hold){.org = at.world.orgs[SELLER], .reason_hash = world_hash(&at.world)};
	must(&command);
	tick_at(at.begin_us + 15 * DAY);
	assert_int_equal(contracts(), 1); /* it waits for the release */
	command = world_command(&at.world, COMMAND_ACCOUNT_RELEASE, -1);
	command.account_release =
		(struct command_account_release){.org = at.world.orgs[SELLER], .reason_hash = world_hash(&at.world)};
	must(&command);
	follow();
	assert_int_equal(contracts(), 0);
	assert_int_equal(money_of(SELLER, KG_HELD), 0); /* 500 of credit, 300 are there, nothing for the penalty */
	assert_int_equal(money_of(BUYER, KG_HELD), 9500 * KG_PRICE);
}

static void credit_that_is_left_is_refunded_with_the_last_row(void **state)
{
	(void)state;
	struct id contract = agree(offer(SELLER, 1, 1000));
	prepay(contract, 1300 * KG_PRICE);
	issue(1000);
	assert_int_equal(contracts(), 0);
	assert_int_equal(money_of(SELLER, KG_HELD), 1000 * KG_PRICE);
	assert_int_equal(money_of(BUYER, KG_HELD), 9000 * KG_PRICE);
}

/* ---- ending early ---- */

static void both_sides_end_it_on_the_same_terms(void **state)
{
	(void)state;
	struct id contract = agree(offer(SELLER, 2, 1000));
	prepay(contract, 500 * KG_PRICE);
	struct command command = termination(OTHER, contract, 0);
	assert_int_equal(give(&command), ERR_CONTRACT_DONE);
	command = termination(SELLER, contract, 501 * KG_PRICE);
	assert_int_equal(give(&command), ERR_EXCEEDS_PENDING);
	command = termination(SELLER, contract, 100 * KG_PRICE);
	must(&command);
	must(&command); /* by one side, however often */
	command = termination(BUYER, contract, 200 * KG_PRICE);
	must(&command); /* other terms: a new proposal */
	assert_int_equal(contracts(), 1);
	pay(SELLER, OTHER, 400 * KG_PRICE);
	command = termination(SELLER, contract, 200 * KG_PRICE);
	assert_int_equal(give(&command), ERR_INSUFFICIENT_FUNDS);
	pay(OTHER, SELLER, 400 * KG_PRICE);
	must(&command);
	assert_int_equal(contracts(), 0);
	assert_int_equal(money_of(BUYER, KG_HELD), 9700 * KG_PRICE);
	assert_int_equal(money_of(SELLER, KG_HELD), 300 * KG_PRICE);
}

static void a_dispute_freezes_a_contract_until_it_is_decided(void **state)
{
	(void)state;
	struct command command = offer(BUYER, 2, 1000);
	command.offtake_offer.arbiter = at.world.orgs[ARBITER];
	must(&command);
	struct id contract = command.id;
	command = dispute(SELLER, contract);
	assert_int_equal(give(&command), ERR_CONTRACT_STATE); /* it is only offered */
	command = acceptance(SELLER, contract);
	must(&command);
	prepay(contract, 300 * KG_PRICE);
	command = dispute(OTHER, contract);
	assert_int_equal(give(&command), ERR_CONTRACT_DONE);
	command = decision(ARBITER, contract, 0, true);
	assert_int_equal(give(&command), ERR_NOT_DISPUTED);
	command = dispute(BUYER, contract);
	must(&command);
	issue(500);
	tick_at(at.begin_us + 14 * DAY);
	assert_int_equal(kg_of(BUYER), 0); /* nothing is delivered */
	command = decision(-1, contract, 0, true);
	assert_int_equal(give(&command), ERR_FORBIDDEN);
	command = decision(BUYER, contract, 0, true);
	assert_int_equal(give(&command), ERR_SEPARATION_OF_DUTIES);
	command = decision(ARBITER, contract, 0, true);
	must(&command);
	issue(500); /* it goes on */
	assert_int_equal(kg_of(BUYER), 500);
	command = dispute(SELLER, contract);
	must(&command);
	tick_at(at.begin_us + 90 * DAY); /* nothing is missed */
	assert_int_equal(contracts(), 1);
	command = decision(ARBITER, contract, 1, false);
	assert_int_equal(give(&command), ERR_EXCEEDS_PENDING); /* the credit is used */
	command = decision(ARBITER, contract, 0, false);
	must(&command);
	assert_int_equal(contracts(), 0);
}

static void compliance_decides_with_a_refund_as_far_as_money_is_there(void **state)
{
	(void)state;
	struct id contract = agree(offer(SELLER, 1, 1000));
	prepay(contract, 300 * KG_PRICE);
	pay(SELLER, OTHER, 200 * KG_PRICE);
	struct command command = dispute(BUYER, contract);
	must(&command);
	command = decision(ARBITER, contract, 0, false);
	assert_int_equal(give(&command), ERR_CONTRACT_DONE);
	command = decision(-1, contract, 150 * KG_PRICE, false);
	must(&command);
	assert_int_equal(money_of(SELLER, KG_HELD), 0);
	assert_int_equal(money_of(BUYER, KG_HELD), 9800 * KG_PRICE);
	assert_int_equal(contracts(), 0);
}

static void a_seller_has_so_many_contracts_at_most(void **state)
{
	(void)state;
	struct world *world = &at.world;
	for (int i = 0; i <= MARKET_OFFTAKES_MOST; i++) {
		struct command command = offer(SELLER, 1, 100);
		world->now_us += CLOCK_US_PER_SECOND;
		command.id = world_id(world);
		assert_int_equal(
			world_execute(world, &command), i < MARKET_OFFTAKES_MOST ? ERR_OK : ERR_CONTRACT_LIMIT);
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {CASE(one_side_offers_and_the_other_accepts),
		CASE(an_offer_is_declined_withdrawn_or_lapses), CASE(terms_that_make_no_contract_are_refused),
		CASE(what_is_issued_goes_to_the_oldest_row_first_against_payment),
		CASE(a_row_is_not_delivered_before_its_window), CASE(a_contract_takes_what_it_asks_for_alone),
		CASE(more_than_64_deliveries_go_on_by_themselves), CASE(what_a_buyer_cannot_pay_was_tendered),
		CASE(a_held_batch_or_seller_is_not_called_from), CASE(a_prepayment_is_credit_against_deliveries),
		CASE(a_milestone_is_a_date_or_a_verifiers_signature), CASE(a_prepayment_of_an_ended_contract_goes_back),
		CASE(what_is_missing_is_owed_until_the_make_good_is_over),
		CASE(the_prepayment_of_what_is_missing_is_refunded_as_far_as_money_is_there),
		CASE(credit_that_is_left_is_refunded_with_the_last_row), CASE(both_sides_end_it_on_the_same_terms),
		CASE(a_dispute_freezes_a_contract_until_it_is_decided),
		CASE(compliance_decides_with_a_refund_as_far_as_money_is_there),
		CASE(a_seller_has_so_many_contracts_at_most)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
