/* Three shards in one seed with carriers between them (docs/SHARDS.md): home and two markets, each a state with a journal of which only a
 * part is durable, on one thread in an order drawn from the seed. What is carried is lost, repeated and overtaken; a state is dropped at any
 * event and read anew from its durable journal or a snapshot; the process dies, and all of them at once. After every durable event
 * P1, P2 and P3 hold in its shard and over the shards, and what is under way is exactly what was sent and has not arrived: nothing
 * is lost and nothing doubled. CARBOND_CAMPAIGN: so many seeds from CARBOND_SEED on (./dev campaign shards N). */
#include "world.h"

#define SHARDS    3
#define STEPS     6000 /* of a seed */
#define UNIT      5    /* seeds in the unit suite */
#define JOURNAL   (8u << 20)
#define MICROS    INT64_C(1000000)
#define BATCHES   3
#define SENT_MOST 4096
#define BAG_MOST  16 /* what a carrier has in hand */
#define ASKED     32 /* commands that clients may give again */

/* ---- what is true ---- */

struct sent {
	struct id transfer;
	uint32_t from, to;
	int64_t kg, micros;
	bool arrived;
};

struct carried {
	size_t at;        /* in the sender's journal */
	size_t behind;    /* the event's end */
	size_t confirmed; /* size of the receiver's journal once it is durable; 0: not submitted */
};

/* Between two shards; `stored` is what is left when the process dies. */
struct carrier {
	size_t stored, read;
	struct carried bag[BAG_MOST];
	size_t count;
};

struct node {
	struct rules *rules; /* executes, ahead of … */
	struct rules *truth; /* … the durable journal */
	uint8_t *journal;
	size_t size, durable;
	struct carrier to[SHARDS];
};

static struct {
	uint64_t seed;
	struct world world; /* who lives in it, and what is drawn */
	struct node nodes[SHARDS];
	struct id registry;
	struct sent sent[SENT_MOST];
	size_t sent_count;
	struct command asked[SHARDS][ASKED];
	struct event_scratch *scratch, *carried_scratch;
	uint64_t events, repeats, overtaken, crashes, undone, arrived, traded;
} sim;

static const char *const currencies[SHARDS] = {"EUR", "EUR", "USD"};

#define FAIL(...)                                                                                                 \
	do {                                                                                                      \
		printf("seed %llu: ", (unsigned long long)sim.seed);                                              \
		printf(__VA_ARGS__);                                                                              \
		printf("\nrepeat it: CARBOND_SEED=%llu unit_rules_carrier_test\n", (unsigned long long)sim.seed); \
		fail();                                                                                           \
	} while (0)

static int64_t below(int64_t limit)
{
	return world_below(&sim.world, limit);
}

static struct code8 code_of(const char *text)
{
	struct code8 code;
	assert_true(code8_set(&code, text));
	return code;
}

static struct sent *sent_find(struct id transfer)
{
	for (size_t i = 0; i < sim.sent_count; i++)
		if (id_equal(sim.sent[i].transfer, transfer))
			return &sim.sent[i];
	return NULL;
}

static void sent_note(const struct event *event)
{
	const struct event_shard_sent *said = &event->shard_sent;
	const struct event_shard_received *got = &event->shard_received;
	if (event->header.type == EVENT_TRADED)
		sim.traded++;
	if (event->header.type == EVENT_SHARD_SENT) {
		if (sent_find(said->transfer) || sim.sent_count == SENT_MOST)
			FAIL("a transfer is sent twice");
		sim.sent[sim.sent_count++] = (struct sent){
			said->transfer, said->from_shard, said->to_shard, said->kg, said->amount_micros, false};
	} else if (event->header.type == EVENT_SHARD_RECEIVED) {
		struct sent *sent = sent_find(got->transfer);
		if (!sent || sent->arrived || sent->kg != got->kg || sent->micros != got->amount_micros ||
			sent->from != got->from_shard || sent->to != got->to_shard)
			FAIL("what was not sent, or has arrived, arrives");
		sent->arrived = true;
		sim.arrived++;
	}
}

/* Over the shards: what is under way is what was sent and has not arrived. */
static void shards_check(void)
{
	struct err_info info = {0};
	for (uint32_t shard = 1; shard < SHARDS; shard++) {
		struct rules_under_way is, wanted = {0};
		if (rules_shards_check(sim.nodes[0].truth, sim.nodes[shard].truth, &is, &info))
			FAIL("%s", info.detail);
		for (size_t i = 0; i < sim.sent_count; i++) {
			const struct sent *sent = &sim.sent[i];
			if (!sent->arrived && (sent->from == shard || sent->to == shard)) {
				wanted.kg += sent->kg;
				wanted.micros += sent->micros;
			}
		}
		if (is.kg != wanted.kg || is.micros != wanted.micros)
			FAIL("of shard %u %lld kg and %lld micros are under way, by the transfers %lld and %lld", shard,
				(long long)is.kg, (long long)is.micros, (long long)wanted.kg, (long long)wanted.micros);
	}
}

static void durable_take(struct node *node, size_t size)
{
	struct err_info info = {0};
	for (size_t length = 0; node->durable < size; node->durable += length) {
		struct event event;
		enum err err = event_decode(
			node->journal + node->durable, size - node->durable, sim.scratch, &event, &length, &info);
		if (!err)
			err = rules_apply(node->truth, &event, &info);
		if (!err)
			err = rules_check(node->truth, &info);
		if (err)
			FAIL("event %llu: %s", (unsigned long long)event.header.number, info.detail);
		sent_note(&event);
		shards_check();
		sim.events++;
	}
}

/* ---- executing ---- */

static enum err execute(struct node *node, const struct command *command, struct rules_result *ret_result)
{
	struct world *world = &sim.world;
	struct err_info info = {0};
	world->output.size = world->output.guard_count = 0;
	if (below(20) == 0)
		rules_fail_event(node->rules, 1 + (uint32_t)below(5));
	enum err err = rules_execute(node->rules, command, world->now_us, &world->output, ret_result, &info);
	rules_fail_event(node->rules, 0);
	sim.undone += err == ERR_NO_MEMORY;
	if (err == ERR_JOURNAL_INVALID || err == ERR_INTERNAL)
		FAIL("%s was decided into what cannot be: %s", command_kind_name(command->kind), info.detail);
	assert_true(node->size + world->output.size <= JOURNAL);
	memcpy(node->journal + node->size, world->output.bytes, world->output.size);
	node->size += world->output.size;
	return err;
}

/* With what follows by itself. */
static enum err give(uint32_t shard, const struct command *command, struct rules_result *ret_result)
{
	struct node *node = &sim.nodes[shard];
	struct command due;
	enum err err = execute(node, command, ret_result);
	for (int i = 0; i < 1000 && rules_due(node->rules, &due); i++) {
		struct rules_result result;
		enum err undone = execute(node, &due, &result);
		assert_true(!undone || undone == ERR_NO_MEMORY);
	}
	return err;
}

/* The state as the durable journal has it, from its beginning or from a snapshot. */
static void load(uint32_t shard);

static enum err record_take(void *context, const uint8_t *record, size_t size)
{
	struct event_state_end end;
	struct err_info info = {0};
	return rules_restore(context, record, size, &end, &info);
}

static void load(uint32_t shard)
{
	struct node *node = &sim.nodes[shard];
	struct err_info info = {0};
	struct hash none = {{0}};
	rules_free(&node->rules);
	node->rules = rules_new_shard(sim.registry, shard, 5);
	node->size = node->durable;
	enum err err = ERR_OK;
	if (below(2)) {
		err = rules_snapshot(node->truth, 1, none, record_take, node->rules, NULL, &info);
	} else {
		for (size_t at = 0, length = 0; at < node->durable && !err; at += length) {
			struct event event;
			err = event_decode(node->journal + at, node->durable - at, sim.scratch, &event, &length, &info);
			if (!err)
				err = rules_apply(node->rules, &event, &info);
		}
	}
	if (err)
		FAIL("shard %u cannot be read: %s", shard, info.detail);
	struct hash is = world_state(node->rules), was = world_state(node->truth);
	if (!hash_equal(is, was))
		FAIL("shard %u is read as another state", shard); /* P8 */
	/* what was submitted to it and is not durable is to be submitted again */
	for (uint32_t from = 0; from < SHARDS; from++) {
		struct carrier *carrier = &sim.nodes[from].to[shard];
		for (size_t i = 0; i < carrier->count; i++)
			if (carrier->bag[i].confirmed > node->durable)
				carrier->bag[i].confirmed = 0;
	}
	sim.crashes++;
}

static void die(void)
{
	for (uint32_t shard = 0; shard < SHARDS; shard++) {
		load(shard);
		for (uint32_t to = 0; to < SHARDS; to++) {
			struct carrier *carrier = &sim.nodes[shard].to[to];
			carrier->read = carrier->stored;
			carrier->count = 0;
		}
	}
}

/* ---- carriers ---- */

static void carrier_read(uint32_t from, uint32_t to)
{
	struct node *node = &sim.nodes[from];
	struct carrier *carrier = &node->to[to];
	if (carrier->read >= node->durable || carrier->count == BAG_MOST)
		return;
	struct event event;
	struct err_info info;
	struct command command;
	size_t length = 0;
	assert_int_equal(event_decode(node->journal + carrier->read, node->durable - carrier->read, sim.scratch, &event,
				 &length, &info),
		ERR_OK);
	if (rules_carried(from, &event, to, &command))
		carrier->bag[carrier->count++] =
			(struct carried){.at = carrier->read, .behind = carrier->read + length};
	carrier->read += length;
}

static void carrier_submit(uint32_t from, uint32_t to)
{
	struct carrier *carrier = &sim.nodes[from].to[to];
	if (!carrier->count)
		return;
	size_t drawn = (size_t)below((int64_t)carrier->count);
	struct carried *carried = &carrier->bag[drawn];
	struct event event;
	struct err_info info;
	struct command command;
	struct rules_result result;
	size_t length = 0;
	assert_int_equal(event_decode(sim.nodes[from].journal + carried->at, carried->behind - carried->at,
				 sim.carried_scratch, &event, &length, &info),
		ERR_OK);
	assert_true(rules_carried(from, &event, to, &command));
	enum err err = give(to, &command, &result);
	bool waits = err == ERR_NO_MEMORY || (err == ERR_SHARD_UNKNOWN && command.kind != COMMAND_SHARD_OPEN);
	if (err && !waits) /* ahead of the opening */
		FAIL("%s is refused with %s", command_kind_name(command.kind), err_row(err)->slug);
	if (err)
		return;
	sim.repeats += result.repeated;
	for (size_t i = 0; i < drawn; i++)
		sim.overtaken += !carrier->bag[i].confirmed;
	carried->confirmed = sim.nodes[to].size ? sim.nodes[to].size : 1;
}

/* Forgets what is durable at the receiver, and stores how far all before it is. */
static void carrier_store(uint32_t from, uint32_t to)
{
	struct carrier *carrier = &sim.nodes[from].to[to];
	size_t kept = 0, lowest = carrier->read;
	for (size_t i = 0; i < carrier->count; i++) {
		struct carried *carried = &carrier->bag[i];
		bool done = carried->confirmed && carried->confirmed <= sim.nodes[to].durable && below(4) != 0;
		if (done)
			continue;
		lowest = carried->at < lowest ? carried->at : lowest;
		carrier->bag[kept++] = *carried;
	}
	carrier->count = kept;
	if (below(3))
		carrier->stored = lowest;
}

/* ---- clients ---- */

static int some_org(void)
{
	return (int)below(WORLD_ORGS);
}

static int64_t some_kg(void)
{
	return 1 + below(below(3) ? 3000 : 60000);
}

static struct command out(uint32_t from)
{
	struct world *world = &sim.world;
	struct command command = world_command(world, COMMAND_SHARD_OUT, some_org());
	command.shard_out.shard = from ? 0 : 1 + (uint32_t)below(SHARDS - 1);
	if (below(2)) {
		command.shard_out.batch = 1 + (uint64_t)below(BATCHES);
		command.shard_out.kg = some_kg();
	} else {
		command.shard_out.currency = code_of(currencies[from ? from : command.shard_out.shard]);
		command.shard_out.amount_micros = MICROS * (1 + below(5000));
	}
	return command;
}

static struct command held(struct world *world)
{
	struct command command = {0};
	uint64_t batch = 1 + (uint64_t)below(BATCHES);
	struct id org = world->orgs[some_org()];
	switch (below(5)) {
	case 0:
		command = world_command(world, COMMAND_BATCH_HOLD, -1);
		command.batch_hold = (struct command_batch_hold){.batch = batch,
			.until_us = below(2) ? world->now_us + CLOCK_US_PER_HOUR : 0,
			.reason_hash = world_hash(world)};
		return command;
	case 1:
		command = world_command(world, COMMAND_ACCOUNT_HOLD, -1);
		command.account_hold = (struct command_account_hold){.org = org, .reason_hash = world_hash(world)};
		return command;
	case 2:
		command = world_command(world, COMMAND_ACCOUNT_RELEASE, -1);
		command.account_release =
			(struct command_account_release){.org = org, .reason_hash = world_hash(world)};
		return command;
	default:
		command = world_command(world, COMMAND_BATCH_RELEASE, -1);
		command.batch_release =
			(struct command_batch_release){.batch = batch, .reason_hash = world_hash(world)};
		return command;
	}
}

static struct command at_home(void)
{
	struct world *world = &sim.world;
	struct command command;
	switch (below(12)) {
	case 0:
		command = world_command(world, COMMAND_TRANSFER, some_org());
		command.transfer = (struct command_transfer){
			.to = world->orgs[some_org()], .batch = 1 + (uint64_t)below(BATCHES), .kg = some_kg()};
		return command;
	case 1:
		command = world_command(world, COMMAND_CANCEL, some_org());
		command.cancel = (struct command_cancel){.batch = 1 + (uint64_t)below(BATCHES),
			.kg = 1 + below(100),
			.reason = CANCEL_VOLUNTARY,
			.reason_hash = world_hash(world)};
		return command;
	case 2:
	case 3: return held(world);
	case 4:
		command = (struct command){.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
		command.tick.due_us = world->now_us;
		return command;
	default: return out(0);
	}
}

static struct command at_market(uint32_t shard)
{
	struct world *world = &sim.world;
	struct command command;
	bool sells = below(2);
	switch (below(12)) {
	case 0:
		command = world_command(world, COMMAND_ORDER_CANCEL_ALL, some_org());
		command.order_cancel_all.org = command.org;
		return command;
	case 1:
		command = world_command(world, COMMAND_POOL_ADD, some_org());
		command.pool_add = (struct command_pool_add){.pool = 1,
			.batch = 1 + (uint64_t)below(BATCHES),
			.kg = some_kg(),
			.maximum_micros = MICROS * 10000};
		return command;
	case 2:
		command = world_command(world, COMMAND_POOL_BUY, some_org());
		command.pool_buy =
			(struct command_pool_buy){.pool = 1, .kg = some_kg(), .maximum_micros = MICROS * 10000};
		return command;
	case 3:
		command = world_command(world, COMMAND_POOL_RESUME, -1);
		command.pool_resume.pool = 1;
		return command;
	case 4:
	case 5:
	case 6: return out(shard);
	default:
		command = world_command(world, COMMAND_ORDER_PLACE, some_org());
		command.order_place = (struct command_order_place){.market = sells,
			.batch = sells ? 1 + (uint64_t)below(BATCHES) : 0,
			.instrument = !sells,
			.price_micros = MICROS * (95 + below(10)),
			.kg = 1000 * (1 + below(3)),
			.side = sells ? ORDER_SELL : ORDER_BUY};
		return command;
	}
}

static void client(void)
{
	uint32_t shard = (uint32_t)below(SHARDS);
	struct rules_result result;
	struct command *again = &sim.asked[shard][below(ASKED)];
	if (below(8) == 0 && again->kind) { /* once more: it is done once */
		enum err err = give(shard, again, &result);
		sim.repeats += !err && result.repeated;
		return;
	}
	struct command command = shard ? at_market(shard) : at_home();
	(void)!give(shard, &command, &result); /* refused as often as not */
	if (command.source == COMMAND_SOURCE_CLIENT)
		*again = command;
}

static void must(uint32_t shard, const struct command *command)
{
	struct rules_result result;
	enum err err = ERR_NO_MEMORY;
	for (int i = 0; i < 100 && err == ERR_NO_MEMORY; i++)
		err = give(shard, command, &result);
	if (err)
		FAIL("%s: %s", command_kind_name(command->kind), err_row(err)->slug);
}

/* ---- a seed ---- */

static void all_durable(void)
{
	for (uint32_t shard = 0; shard < SHARDS; shard++)
		durable_take(&sim.nodes[shard], sim.nodes[shard].size);
}

/* Until the carriers have nothing left. */
static void settle(void)
{
	for (int round = 0, idle = 0; idle < 3; round++) {
		bool moved = false;
		if (round == 20000)
			FAIL("the carriers come to no end");
		all_durable();
		for (uint32_t from = 0; from < SHARDS; from++)
			for (uint32_t to = 0; to < SHARDS; to++) {
				carrier_read(from, to);
				carrier_submit(from, to);
				all_durable();
				carrier_store(from, to);
				moved = moved || sim.nodes[from].to[to].count ||
					sim.nodes[from].to[to].read < sim.nodes[from].durable;
			}
		idle = moved ? 0 : idle + 1;
	}
}

/* Batches at home, money of both currencies, two markets with a pool each. */
static void genesis(void)
{
	struct world *world = &sim.world;
	struct claim_run run;
	struct command command = world_command(world, COMMAND_VERIFIER_REGISTER, -1);
	command.verifier_register = (struct command_verifier_register){.verifier = world->verifiers[3],
		.org = world->orgs[3],
		.key = world->keys[3],
		.valid_from_us = world->now_us,
		.valid_to_us = world->now_us + 400 * CLOCK_US_PER_DAY};
	must(0, &command);
	command = world_command(world, COMMAND_HOUSE_NAME, -1);
	command.house_name.org = world->orgs[5];
	must(0, &command);
	for (int org = 0; org < BATCHES; org++) {
		command = world_submission(world, org, world->next_hour[org], 24, 1000000, &run);
		struct id period = command.period_submit.period;
		struct hash root = command.period_submit.evidence_root;
		must(0, &command);
		command = world_attestation(world, 3, period, root);
		must(0, &command);
		command = world_command(world, COMMAND_PERIOD_ISSUE, -1);
		command.period_issue.period = period;
		must(0, &command);
	}
	for (int org = 0; org < WORLD_ORGS; org++)
		for (uint32_t shard = 1; shard < SHARDS; shard++) {
			command = world_command(world, COMMAND_MONEY_DEPOSIT, -1);
			command.money_deposit = (struct command_money_deposit){.to = world->orgs[org],
				.currency = code_of(currencies[shard]),
				.amount_micros = 100000 * MICROS};
			must(0, &command);
		}
	for (uint32_t shard = 1; shard < SHARDS; shard++) {
		command = world_command(world, COMMAND_SHARD_OPEN, -1);
		command.shard_open = (struct command_shard_open){
			.shard = shard, .kind = CREDIT_REMOVAL, .currency = code_of(currencies[shard])};
		must(0, &command);
	}
	settle();
	for (uint32_t shard = 1; shard < SHARDS; shard++) {
		command = world_command(world, COMMAND_MARKET_OPEN, -1);
		command.market_open = (struct command_market_open){.currency = code_of(currencies[shard]),
			.tick_micros = MICROS,
			.lot_kg = 1000,
			.taker_ppm = 3000,
			.collar_ppm = 100000,
			.kind = CREDIT_REMOVAL};
		must(shard, &command);
		command = world_command(world, COMMAND_INSTRUMENT_LIST, -1);
		command.instrument_list.market = 1;
		assert_true(code32_set(&command.instrument_list.code, "ANY"));
		must(shard, &command);
		command = world_command(world, COMMAND_POOL_OPEN, -1);
		command.pool_open.instrument = 1;
		must(shard, &command);
	}
}

static void step(void)
{
	uint32_t from = (uint32_t)below(SHARDS), to = (uint32_t)below(SHARDS);
	struct node *node = &sim.nodes[from];
	sim.world.now_us += below(200) ? below(1000000) : CLOCK_US_PER_HOUR;
	switch (below(20)) {
	case 0:
	case 1:
	case 2:
	case 3: durable_take(node, node->size); return;
	case 4:
		if (below(10) == 0)
			load(from); /* its append has failed */
		else if (below(20) == 0)
			die();
		return;
	case 5: carrier_store(from, to); return;
	case 6:
	case 7:
	case 8: carrier_submit(from, to); return;
	case 9:
	case 10:
	case 11:
	case 12:
		for (int64_t i = below(8); i >= 0; i--)
			carrier_read(from, to);
		return;
	default: client(); return;
	}
}

static void run_seed(void)
{
	world_start(&sim.world, sim.seed);
	sim.registry = registry_id(rules_registry(sim.world.rules));
	sim.sent_count = 0;
	memset(sim.asked, 0, sizeof sim.asked);
	for (uint32_t shard = 0; shard < SHARDS; shard++) {
		struct node *node = &sim.nodes[shard];
		*node = (struct node){.rules = rules_new_shard(sim.registry, shard, 1),
			.truth = rules_new_shard(sim.registry, shard, 2),
			.journal = malloc(JOURNAL)};
	}
	genesis();
	for (int i = 0; i < STEPS; i++)
		step();
	settle();
	for (size_t i = 0; i < sim.sent_count; i++)
		if (!sim.sent[i].arrived)
			FAIL("a transfer has not arrived");
	for (uint32_t shard = 0; shard < SHARDS; shard++) {
		load(shard);
		rules_free(&sim.nodes[shard].rules);
		rules_free(&sim.nodes[shard].truth);
		free(sim.nodes[shard].journal);
	}
	world_stop(&sim.world);
}

static void nothing_is_lost_or_doubled(void **state)
{
	(void)state;
	const char *campaign = getenv("CARBOND_CAMPAIGN"), *seed = getenv("CARBOND_SEED");
	long asked = campaign ? strtol(campaign, NULL, 10) : seed ? 1 : UNIT;
	uint64_t first = seed ? strtoull(seed, NULL, 10) : 1;
	sim.scratch = malloc(sizeof *sim.scratch);
	sim.carried_scratch = malloc(sizeof *sim.carried_scratch);
	for (long i = 0; i < asked; i++) {
		sim.seed = first + (uint64_t)i;
		run_seed();
		if (campaign && (i + 1) % 50 == 0)
			printf("%ld of %ld seeds\n", i + 1, asked);
	}
	free(sim.scratch);
	free(sim.carried_scratch);
	printf("%ld of %ld seeds: %llu events, %llu transfers arrived, %llu repeats, %llu overtaken, %llu states read "
	       "anew, "
	       "%llu commands undone, %llu trades\n",
		asked, asked, (unsigned long long)sim.events, (unsigned long long)sim.arrived,
		(unsigned long long)sim.repeats, (unsigned long long)sim.overtaken, (unsigned long long)sim.crashes,
		(unsigned long long)sim.undone, (unsigned long long)sim.traded);
	assert_true(sim.arrived && sim.repeats && sim.overtaken && sim.crashes && sim.undone && sim.traded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost_or_doubled)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
