/* Two shards and the carrier between them: home, with kilograms and money of three organisations, and a market shard. Each has a
 * journal; the carrier reads the one and submits to the other. Each command is tried with a fault at each of its events first (decision
 * 8), a replica replays each event (P8), and after each the shards together hold P1, P2 and P3 (docs/SHARDS.md). */
#ifndef TEST_RULES_SHARDS_H
#define TEST_RULES_SHARDS_H

#include "world.h"

#define UNIT    INT64_C(1000000) /* micros */
#define SHARD   1u
#define SHARDS  2
#define JOURNAL (4u << 20)

struct pair {
	struct world worlds[SHARDS]; /* 0: home */
	uint8_t *journal[SHARDS];
	size_t size[SHARDS], cursor[SHARDS];
	uint64_t removal, reduction; /* batches of the two kinds */
	struct code8 currency;
	struct id house;
};

static inline struct code8 code_of(const char *text)
{
	struct code8 code;
	assert_true(code8_set(&code, text));
	return code;
}

static inline struct world *home_of(struct pair *pair)
{
	return &pair->worlds[0];
}

static inline struct world *market_of(struct pair *pair)
{
	return &pair->worlds[SHARD];
}

static inline struct rules_under_way under_way(struct pair *pair)
{
	struct rules_under_way is;
	struct err_info info = {0};
	if (rules_shards_check(home_of(pair)->rules, market_of(pair)->rules, &is, &info))
		fail_msg("%s", info.detail);
	return is;
}

static inline enum err pair_give(struct pair *pair, uint32_t shard, struct command *command)
{
	struct world *world = &pair->worlds[shard];
	int64_t now_us = world->now_us > pair->worlds[!shard].now_us ? world->now_us : pair->worlds[!shard].now_us;
	world->now_us = now_us;
	enum err err = world_give(world, command);
	assert_true(pair->size[shard] + world->output.size <= JOURNAL);
	memcpy(pair->journal[shard] + pair->size[shard], world->output.bytes, world->output.size);
	pair->size[shard] += world->output.size;
	(void)under_way(pair);
	return err;
}

static inline void pair_must(struct pair *pair, uint32_t shard, struct command *command)
{
	if (pair_give(pair, shard, command))
		fail_msg("%s: %s", command_kind_name(command->kind), pair->worlds[shard].info.detail);
}

/* Nothing changes, and the reason is told. */
static inline void pair_refused(struct pair *pair, uint32_t shard, struct command *command, enum err expected)
{
	struct world *world = &pair->worlds[shard];
	struct hash before = world_state(world->rules);
	enum err err = pair_give(pair, shard, command);
	if (err != expected)
		fail_msg("%s: %s, expected %s", command_kind_name(command->kind), err_row(err)->slug,
			err_row(expected)->slug);
	assert_true(world->info.detail[0] != 0);
	struct hash after = world_state(world->rules);
	assert_memory_equal(&before, &after, sizeof after);
}

/* The next command that the journal of a shard has for the other, behind *cursor; false: there is none. Its lists are in `scratch`. */
static inline bool carried_next(
	struct pair *pair, uint32_t shard, size_t *cursor, struct event_scratch *scratch, struct command *ret_command)
{
	while (*cursor < pair->size[shard]) {
		struct event event;
		struct err_info info;
		size_t length = 0;
		assert_int_equal(event_decode(pair->journal[shard] + *cursor, pair->size[shard] - *cursor, scratch,
					 &event, &length, &info),
			ERR_OK);
		*cursor += length;
		if (rules_carried(shard, &event, !shard, ret_command))
			return true;
	}
	return false;
}

/* The carriers have nothing left. */
static inline void carry(struct pair *pair)
{
	struct event_scratch *scratch = malloc(sizeof *scratch);
	struct command command;
	for (uint32_t shard = 0; shard < SHARDS; shard++)
		while (carried_next(pair, shard, &pair->cursor[shard], scratch, &command))
			pair_must(pair, !shard, &command);
	free(scratch);
	struct rules_under_way left = under_way(pair);
	assert_int_equal(left.kg, 0);
	assert_int_equal(left.micros, 0);
}

static inline struct command opening(struct pair *pair, uint32_t shard, enum credit_kind kind, const char *currency)
{
	struct command command = world_command(home_of(pair), COMMAND_SHARD_OPEN, -1);
	command.shard_open =
		(struct command_shard_open){.shard = shard, .kind = (uint32_t)kind, .currency = code_of(currency)};
	return command;
}

static inline struct command money_out(struct pair *pair, uint32_t from, int org, int64_t micros)
{
	struct command command = world_command(&pair->worlds[from], COMMAND_SHARD_OUT, org);
	command.shard_out = (struct command_shard_out){
		.shard = from ? 0 : SHARD, .currency = pair->currency, .amount_micros = micros};
	return command;
}

static inline struct command kg_out(struct pair *pair, uint32_t from, int org, uint64_t batch, int64_t kg)
{
	struct command command = world_command(&pair->worlds[from], COMMAND_SHARD_OUT, org);
	command.shard_out = (struct command_shard_out){.shard = from ? 0 : SHARD, .batch = batch, .kg = kg};
	return command;
}

static inline int64_t money_at(struct pair *pair, uint32_t shard, struct id org, enum kg_state state)
{
	return ledger_amount(rules_ledger(pair->worlds[shard].rules), ledger_money_asset(pair->currency),
		(struct ledger_place){.org = org, .state = state});
}

static inline int64_t kg_at(struct pair *pair, uint32_t shard, int org, enum kg_state state)
{
	return world_kg(&pair->worlds[shard], org, pair->removal, state);
}

/* Another registry's credits, for a batch of the other kind. */
static inline uint64_t pair_import(struct pair *pair, int org)
{
	struct claim_run run = {.first_hour = 1, .hours = 10};
	struct command command = world_command(home_of(pair), COMMAND_BATCH_IMPORT, -1);
	command.batch_import = (struct command_batch_import){.org = home_of(pair)->orgs[org],
		.evidence_hash = world_hash(home_of(pair)),
		.kind = CREDIT_REDUCTION,
		.durability = DURABILITY_NONE,
		.vintage = 2024,
		.unit_kg = 1000};
	code16_set(&command.batch_import.origin, "VERRA");
	code32_set(&command.batch_import.series, "VCS-1");
	code16_set(&command.batch_import.methodology, "ACM0002");
	code8_set(&command.batch_import.country, "IN");
	command.lists = (struct record_lists){.runs = &run, .run_count = 1};
	pair_must(pair, 0, &command);
	return home_of(pair)->result.number;
}

static inline void pair_house(struct pair *pair)
{
	struct command command = world_command(home_of(pair), COMMAND_HOUSE_NAME, -1);
	command.house_name.org = pair->house;
	pair_must(pair, 0, &command);
}

static inline void pair_start(struct pair *pair, uint64_t seed)
{
	memset(pair, 0, sizeof *pair);
	struct world *home = home_of(pair), *market = market_of(pair);
	world_start(home, seed);
	struct id registry = registry_id(rules_registry(home->rules));
	for (int i = 0; i < SHARDS; i++)
		pair->journal[i] = malloc(JOURNAL);
	pair->currency = code_of("EUR");
	pair->house = world_id(home);
	*market = *home;
	market->random = seed + 1;
	market->rules = rules_new_shard(registry, SHARD, 1);
	market->replica = rules_new_shard(registry, SHARD, 2);
	market->output.bytes = malloc(market->output.capacity);
	market->output.guards = malloc(sizeof *market->output.guards * RULES_GUARDS_MAX);
	market->scratch = malloc(sizeof *market->scratch);
	pair->removal = world_issue(home, 0, 24, 1000000, NULL); /* 980,000 kg and a buffer */
	assert_int_equal(world_transfer(home, 0, 2, pair->removal, 100000), ERR_OK);
	pair->reduction = pair_import(pair, 0);
	for (int org = 0; org < 3; org++) {
		struct command command = world_command(home, COMMAND_MONEY_DEPOSIT, -1);
		command.money_deposit = (struct command_money_deposit){
			.to = home->orgs[org], .currency = pair->currency, .amount_micros = 100000 * UNIT};
		pair_must(pair, 0, &command);
	}
}

/* The shard and its market are open. */
static inline void pair_open(struct pair *pair)
{
	struct command command = opening(pair, SHARD, CREDIT_REMOVAL, "EUR");
	pair_house(pair);
	pair_must(pair, 0, &command);
	carry(pair);
	command = world_command(market_of(pair), COMMAND_MARKET_OPEN, -1);
	command.market_open = (struct command_market_open){.currency = pair->currency,
		.tick_micros = UNIT,
		.lot_kg = 1000,
		.taker_ppm = 5000,
		.collar_ppm = 50000,
		.kind = CREDIT_REMOVAL};
	pair_must(pair, SHARD, &command);
	command = world_command(market_of(pair), COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list.market = 1;
	assert_true(code32_set(&command.instrument_list.code, "REMOVAL"));
	pair_must(pair, SHARD, &command);
}

static inline struct command pair_order(struct pair *pair, int org, enum order_side side, int64_t price, int64_t kg)
{
	struct command command = world_command(market_of(pair), COMMAND_ORDER_PLACE, org);
	command.order_place = (struct command_order_place){.market = side == ORDER_SELL,
		.batch = side == ORDER_SELL ? pair->removal : 0,
		.instrument = side == ORDER_BUY,
		.price_micros = price,
		.kg = kg,
		.side = (uint32_t)side};
	return command;
}

static inline enum err pair_record(void *context, const uint8_t *record, size_t size)
{
	struct event_state_end end;
	struct err_info info = {0};
	return rules_restore(context, record, size, &end, &info);
}

/* A snapshot of each shard gives the same state, which goes on in its place; it is no other shard's. */
static inline void pair_round_trip(struct pair *pair)
{
	struct id registry = registry_id(rules_registry(home_of(pair)->rules));
	struct hash none = {{0}};
	for (uint32_t shard = 0; shard < SHARDS; shard++) {
		struct world *world = &pair->worlds[shard];
		struct rules *copy = rules_new_shard(registry, shard, 77);
		struct rules *wrong = rules_new_shard(registry, shard + 1, 78);
		struct hash whole = world_state(world->rules);
		assert_int_equal(rules_snapshot(world->rules, 1, none, pair_record, copy, NULL, &world->info), ERR_OK);
		assert_int_equal(rules_snapshot(world->rules, 1, none, pair_record, wrong, NULL, &world->info),
			ERR_JOURNAL_INVALID);
		struct hash copied = world_state(copy);
		assert_memory_equal(&copied, &whole, sizeof whole);
		rules_free(&wrong);
		rules_free(&world->rules);
		world->rules = copy;
	}
}

static inline void pair_stop(struct pair *pair)
{
	pair_round_trip(pair);
	for (int i = 0; i < SHARDS; i++) {
		world_check(&pair->worlds[i]);
		world_stop(&pair->worlds[i]);
		free(pair->journal[i]);
	}
}

#endif
