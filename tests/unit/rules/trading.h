/* A world with a market: a seller with kilograms, buyers with money, a house. As rules_execute has it: a replica replays each event,
 * and both states must be one (P8); after every command P1, P2 and P3 hold, and each is tried with a fault at each of its events first,
 * which must leave nothing behind. */
#ifndef TEST_RULES_TRADING_H
#define TEST_RULES_TRADING_H

#include "world.h"

#define SELLER 0
#define BUYER  1
#define OTHER  2
#define PRICE  INT64_C(100000000) /* 100 a tonne */
#define TICK   INT64_C(1000000)
#define MAKER  2000
#define TAKER  5000

struct place {
	struct world world;
	uint64_t batch;
	struct code8 currency;
	uint64_t money;
	struct id house;
};

static struct place at;

static inline enum err give(struct command *command)
{
	return world_give(&at.world, command);
}

static inline void must(struct command *command)
{
	if (give(command))
		fail_msg("%s: %s", command_kind_name(command->kind), at.world.info.detail);
}

/* What follows by itself, as the engine has it. */
static inline void follow(void)
{
	struct command command;
	for (int i = 0; rules_due(at.world.rules, &command); i++) {
		assert_true(i < 1000);
		must(&command);
	}
}

static inline struct command order(int org, enum order_side side, int64_t price, int64_t kg)
{
	struct command command = world_command(&at.world, COMMAND_ORDER_PLACE, org);
	command.order_place = (struct command_order_place){.market = side == ORDER_SELL,
		.batch = side == ORDER_SELL ? at.batch : 0,
		.instrument = side == ORDER_BUY,
		.price_micros = price,
		.kg = kg,
		.side = (uint32_t)side};
	return command;
}

static inline struct id place(int org, enum order_side side, int64_t price, int64_t kg)
{
	struct command command = order(org, side, price, kg);
	must(&command);
	follow();
	return command.id;
}

static inline int64_t kg_of(int org, enum kg_state state)
{
	return world_kg(&at.world, org, at.batch, state);
}

static inline int64_t money_of(struct id org, enum kg_state state)
{
	return ledger_amount(rules_ledger(at.world.rules), at.money, (struct ledger_place){.org = org, .state = state});
}

static inline int64_t cash(int org)
{
	return money_of(at.world.orgs[org], KG_HELD);
}

static inline uint32_t open_orders(void)
{
	return market_order_count(rules_market(at.world.rules));
}

static inline void deposit(int org, int64_t micros)
{
	struct command command = world_command(&at.world, COMMAND_MONEY_DEPOSIT, -1);
	command.money_deposit = (struct command_money_deposit){
		.to = at.world.orgs[org], .currency = at.currency, .amount_micros = micros};
	must(&command);
}

static inline void list(const char *code, uint64_t batch, uint32_t vintage)
{
	struct command command = world_command(&at.world, COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list = (struct command_instrument_list){
		.market = 1, .batch = batch, .vintage_from = vintage, .vintage_to = vintage};
	assert_true(code32_set(&command.instrument_list.code, code));
	must(&command);
}

static inline int start(void **state)
{
	(void)state;
	world_start(&at.world, 7);
	at.batch = world_issue(&at.world, SELLER, 24, 1000000, NULL);
	at.house = world_id(&at.world);
	assert_true(code8_set(&at.currency, "EUR"));
	at.money = ledger_money_asset(at.currency);
	struct command command = world_command(&at.world, COMMAND_HOUSE_NAME, -1);
	command.house_name.org = at.house;
	must(&command);
	command = world_command(&at.world, COMMAND_MARKET_OPEN, -1);
	command.market_open = (struct command_market_open){.currency = at.currency,
		.tick_micros = TICK,
		.lot_kg = 1000,
		.maker_ppm = MAKER,
		.taker_ppm = TAKER,
		.collar_ppm = 50000,
		.kind = CREDIT_REMOVAL};
	must(&command);
	list("REMOVAL", 0, 0);
	for (int org = 0; org < 3; org++)
		deposit(org, INT64_C(100000000000)); /* 100,000 */
	assert_int_equal(world_transfer(&at.world, SELLER, OTHER, at.batch, 100000), ERR_OK);
	assert_int_equal(world_transfer(&at.world, SELLER, BUYER, at.batch, 100000), ERR_OK);
	return 0;
}

static inline enum err record_take(void *context, const uint8_t *record, size_t size)
{
	struct event_state_end end;
	struct err_info info = {0};
	enum err err = rules_restore(context, record, size, &end, &info);
	if (err)
		printf("a snapshot is not read: %s\n", info.detail);
	return err;
}

static inline int stop(void **state)
{
	(void)state;
	/* a snapshot of whatever is there gives the same state */
	struct rules *again = rules_new(registry_id(rules_registry(at.world.rules)), 3);
	struct hash is = world_state(at.world.rules), was, read;
	assert_int_equal(rules_snapshot(at.world.rules, 1, is, record_take, again, &was, &at.world.info), ERR_OK);
	read = world_state(again);
	assert_memory_equal(&is, &was, sizeof is);
	assert_memory_equal(&is, &read, sizeof is);
	rules_free(&again);
	world_check(&at.world);
	world_stop(&at.world);
	return 0;
}

static inline void trade_at(int64_t price)
{
	place(OTHER, ORDER_SELL, price, 1000);
	place(BUYER, ORDER_BUY, price, 1000);
}

static inline void tick_at(int64_t time_us)
{
	struct command command = {.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE, .tick = {.due_us = time_us}};
	at.world.now_us = time_us - CLOCK_US_PER_SECOND; /* which give() adds */
	must(&command);
}

/* The batch that a submission of 24 hours, made by world_submission, comes to. */
static inline uint64_t issued_of(int org, const struct command *submission)
{
	struct command command = *submission;
	struct id period = command.period_submit.period;
	struct hash root = command.period_submit.evidence_root;
	must(&command);
	at.world.next_hour[org] += 24;
	command = world_attestation(&at.world, 3, period, root);
	must(&command);
	command = world_command(&at.world, COMMAND_PERIOD_ISSUE, -1);
	command.period_issue.period = period;
	must(&command);
	return at.world.result.number;
}

/* A batch of another country, and so of another class, of which OTHER has 10,000 kg. */
static inline uint64_t another_class(void)
{
	struct claim_run run;
	struct command command = world_submission(&at.world, OTHER, at.world.next_hour[OTHER], 24, 100000, &run);
	code8_set(&command.period_submit.country, "NO");
	return issued_of(OTHER, &command);
}

#endif
