/* Decides the order of everything in a run, and what a run must hold: nothing acknowledged is lost (what is answered is in the
 * durable journal, at the position and with the number answered), nothing is done twice (a repeat gets the first answer), nothing
 * refused was done, a state that is loaded from a snapshot or from the journal is the one that the journal leads to (P8, P14), P1,
 * P2 and P3 after every event, nothing expires on a clock that jumped, consumers miss nothing, the views agree.
 *   sim --seed N [--times 3]           one run, told at length; or the same several times
 *   sim --seeds A..B [--seconds S]     as many of them as the seconds hold */
#include "sim.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "carbond/base/log.h"

#define EVENTS       5000 /* of a run */
#define STEPS_MOST   400000
#define REQUESTS     40
#define COPIES       3
#define MAILBOX      24
#define SNAPSHOT     300
#define STARTS_MOST  60
#define SEED_SECONDS 60 /* a run that takes longer hangs */

/* ---- a run ---- */

enum request_state { REQUEST_FREE, REQUEST_SENT, REQUEST_UNKNOWN, REQUEST_ANSWERED };

struct copy {
	struct runtime_reply *reply; /* NULL: none is awaited */
	int64_t known;               /* last durable event when it was sent */
	bool other;                  /* something else under the same id */
};

struct request {
	enum request_state state;
	struct work work;
	struct copy copies[COPIES];
	int sent, left; /* how often; steps until it is asked again */
	bool leaves;
};

struct sim {
	uint64_t seed, order, trace;
	struct faults faults;
	struct world world;
	struct id registry;
	struct disk *disk;
	struct store *store;
	struct engine *engine;
	struct engine_consumer *consumer;
	struct oracle *oracle;
	struct request requests[REQUESTS];
	int64_t true_us, skew_us, monotonic_us;
	bool jumped, synchronised, amid, nested, full;
	int64_t consumed; /* last event that the consumer has handled */
	uint64_t starts, from_snapshots, answers, refusals, repeats;
};

static struct sim *running; /* for what fails */

static void failed(const char *format, ...)
{
	va_list arguments;
	printf("seed %" PRIu64 ", event %" PRId64 ": ", running->seed, oracle_position(running->oracle));
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\nrepeat it: ./dev sim --seed %" PRIu64 "\n", running->seed);
	fflush(stdout);
	_exit(1);
}

uint64_t draw(uint64_t *stream)
{
	*stream += UINT64_C(0x9e3779b97f4a7c15);
	return map_hash_u64(0, *stream);
}

int64_t draw_below(uint64_t *stream, int64_t limit)
{
	return (int64_t)(draw(stream) % (uint64_t)limit);
}

static const struct {
	const char *name, *text;
	int64_t seldom;
} fault_rows[FAULT_COUNT] = {
#define FAULT(name, seldom, text) {#name, text, seldom},
#include "faults.def"
#undef FAULT
};

bool fault_happens(struct faults *faults, enum fault fault)
{
	if (faults->calm || draw_below(&faults->random, fault_rows[fault].seldom) != 0)
		return false;
	faults->fired[fault]++;
	return true;
}

static bool happens(struct sim *sim, enum fault fault)
{
	return fault_happens(&sim->faults, fault);
}

static void note(struct sim *sim, uint64_t what)
{
	sim->trace = map_hash_u64(sim->trace, what);
}

static int64_t below(struct sim *sim, int64_t limit)
{
	return draw_below(&sim->order, limit);
}

/* ---- clocks ---- */

static int64_t wall(void *context)
{
	const struct sim *sim = context;
	return sim->true_us + sim->skew_us;
}

static int64_t monotonic(void *context)
{
	return ((const struct sim *)context)->monotonic_us;
}

static bool synchronised(void *context)
{
	return ((const struct sim *)context)->synchronised;
}

static void pass(struct sim *sim, int64_t us)
{
	sim->true_us += us;
	sim->monotonic_us += us;
	sim->world.now_us = sim->true_us;
}

/* ---- the engine's turns ---- */

static void engine_step(struct sim *sim)
{
	struct engine *engine = sim->engine;
	bool halted = sim->jumped && !atomic_load(&engine->clock.confirm);
	int64_t from = engine->state.rules ? (int64_t)rules_position(engine->state.rules) : -1;
	if (engine->state.rules && happens(sim, FAULT_NO_MEMORY))
		rules_fail_event(engine->state.rules, 1 + (uint32_t)below(sim, 4));
	(void)engine_turn(engine, 0);
	int64_t to = engine->state.rules ? (int64_t)rules_position(engine->state.rules) : -1;
	if (halted && from >= 0 && to > from)
		oracle_halted(sim->oracle, from, to);
	if (to < from)
		oracle_forget_undone(sim->oracle);
}

static void during(void *context)
{
	struct sim *sim = context;
	if (!sim->amid || sim->nested || disk_is_dead(sim->disk) || !happens(sim, FAULT_INTERLEAVED))
		return;
	sim->nested = true;
	engine_step(sim);
	if (below(sim, 2))
		(void)flight_turn(sim->engine);
	sim->nested = false;
}

static void durable(void *context, const struct store_batch *batch)
{
	struct sim *sim = context;
	oracle_take(sim->oracle, batch);
	note(sim, batch->count);
	note(sim, (uint64_t)oracle_position(sim->oracle));
}

/* A consumer sees every event, in order, once at least. */
static enum err consume(void *context, const struct event *events, size_t count, struct err_info *info)
{
	struct sim *sim = context;
	if (happens(sim, FAULT_CONSUMER_REFUSES))
		return err_set(info, ERR_BUSY, "", "simulated: not now");
	if ((int64_t)events[0].header.number > sim->consumed + 1)
		failed("a consumer missed event %" PRId64, sim->consumed + 1);
	for (size_t i = 1; i < count; i++)
		if (events[i].header.number != events[i - 1].header.number + 1)
			failed("a consumer's events have a gap");
	if ((int64_t)events[count - 1].header.number > oracle_position(sim->oracle))
		failed("a consumer saw an event that is not durable");
	if ((int64_t)events[count - 1].header.number > sim->consumed)
		sim->consumed = (int64_t)events[count - 1].header.number;
	return ERR_OK;
}

/* ---- what clients make of answers ---- */

/* Says nothing about the command: it may be asked again. */
static bool is_passing(enum err err)
{
	return err == ERR_IO || err == ERR_NO_SPACE || err == ERR_STORE_LATCHED || err == ERR_STORE_CORRUPT ||
	       err == ERR_NO_MEMORY || err == ERR_POSITION_TAKEN || err == ERR_GUARD_TAKEN || err == ERR_STOPPING ||
	       err == ERR_BUSY || err == ERR_COMMAND_RUNNING;
}

static void check_done(
	struct sim *sim, const struct command *command, const struct done *done, const struct engine_result *result)
{
	if (!done || result->position > oracle_position(sim->oracle))
		failed("%s was answered and is not durable", command_kind_name(command->kind));
	if (done->position != result->position || done->number != result->number)
		failed("%s%s was answered with position %" PRId64 " and number %" PRIu64 ", the journal says %" PRId64
		       " and %" PRIu64,
			result->repeated ? "a repeat of " : "", command_kind_name(command->kind), result->position,
			result->number, done->position, done->number);
}

static void check_refused(
	struct sim *sim, const struct request *request, const struct copy *copy, enum err code, const struct done *done)
{
	const struct command *command = &request->work.command;
	bool was_done = done && done->position <= copy->known;
	bool allowed = is_passing(code) || code == ERR_COMMAND_ID_INVALID || code == ERR_SOURCE_POSITION;
	if (was_done && !allowed && !(copy->other && code == ERR_COMMAND_REUSED))
		failed("a repeat of %s was refused with %s", command_kind_name(command->kind), err_row(code)->slug);
	if (code == ERR_JOURNAL_INVALID || code == ERR_INTERNAL)
		failed("%s was decided into what cannot be: %s", command_kind_name(command->kind), err_row(code)->slug);
	if (done && request->sent == 1 && code != ERR_STORE_LATCHED)
		failed("%s was refused with %s and is done", command_kind_name(command->kind), err_row(code)->slug);
	(void)sim;
}

static void answer_take(struct sim *sim, struct request *request, struct copy *copy)
{
	const struct command *command = &request->work.command;
	const struct runtime_reply *reply = copy->reply;
	const struct done *done = oracle_find(sim->oracle, command->org, command->id,
		command->source == COMMAND_SOURCE_CLIENT ? NULL : &command->natural_key);
	note(sim, (uint64_t)reply->code);
	if (reply->code == ERR_OK && copy->other)
		failed("%s was done for another request under its id", command_kind_name(command->kind));
	if (reply->code == ERR_OK) {
		const struct engine_result *result = reply->result;
		check_done(sim, command, done, result);
		sim->answers++;
		sim->repeats += result->repeated;
		if (!result->repeated)
			work_done(&sim->world, &request->work, result->number);
	} else {
		check_refused(sim, request, copy, reply->code, done);
		sim->refusals++;
	}
	bool again = reply->code == ERR_OK ? happens(sim, FAULT_ANSWER_LOST) : is_passing(reply->code) && !copy->other;
	if (again && !request->leaves) {
		request->state = REQUEST_UNKNOWN;
		request->left = (int)below(sim, 40);
	} else if (request->state == REQUEST_SENT) {
		request->state = REQUEST_ANSWERED;
	}
	reply_unref(&copy->reply);
}

static bool is_awaited(const struct request *request)
{
	for (size_t i = 0; i < COPIES; i++)
		if (request->copies[i].reply)
			return true;
	return false;
}

static void answers_take(struct sim *sim)
{
	for (size_t i = 0; i < REQUESTS; i++)
		for (size_t j = 0; j < COPIES; j++) {
			struct copy *copy = &sim->requests[i].copies[j];
			if (copy->reply && reply_is_done(copy->reply))
				answer_take(sim, &sim->requests[i], copy);
		}
}

/* The process is gone: nobody knows what became of what it had in hand. */
static void answers_lose(struct sim *sim)
{
	for (size_t i = 0; i < REQUESTS; i++) {
		struct request *request = &sim->requests[i];
		if (!is_awaited(request))
			continue;
		for (size_t j = 0; j < COPIES; j++)
			reply_unref(&request->copies[j].reply);
		request->state = request->leaves ? REQUEST_FREE : REQUEST_UNKNOWN;
		request->left = (int)below(sim, 40);
	}
}

/* ---- what clients send ---- */

static struct copy *copy_free(struct request *request)
{
	for (size_t i = 0; i < COPIES; i++)
		if (!request->copies[i].reply)
			return &request->copies[i];
	return NULL;
}

static void send(struct sim *sim, struct request *request, bool other)
{
	struct copy *copy = copy_free(request);
	struct command *command = &request->work.command;
	uint8_t salt[16];
	struct vault_row row;
	if (!copy)
		return;
	field_clear(vault_fields, &row);
	for (size_t i = 0; i < sizeof salt; i++)
		salt[i] = (uint8_t)below(sim, 256);
	if (request->work.text) { /* each time under another salt */
		row.hash = *request->work.cited = seal_text_hash(salt, request->work.text);
		row.org_id = command->org;
		row.kind = "reason";
		row.text = request->work.text;
		row.salt = (struct bytes){.data = salt, .size = sizeof salt};
		row.created_at = sim->true_us;
	}
	struct command sent = *command;
	if (other)
		sent.transfer.kg++;
	*copy = (struct copy){
		.reply = reply_new(INT64_MAX, NULL, NULL), .known = oracle_position(sim->oracle), .other = other};
	enum err err = engine_submit(sim->engine, &sent, &row, request->work.text ? 1 : 0, copy->reply);
	request->sent++;
	if (err)
		reply_complete(copy->reply, err, NULL, NULL, NULL);
	if (request->state != REQUEST_ANSWERED)
		request->state = REQUEST_SENT;
}

static void request_new(struct sim *sim, struct request *request)
{
	int64_t now_us = sim->world.now_us;
	*request = (struct request){.state = REQUEST_UNKNOWN};
	if (happens(sim, FAULT_SENT_OLD))
		sim->world.now_us -= 2 * CLOCK_US_PER_DAY;
	else if (happens(sim, FAULT_SENT_EARLY))
		sim->world.now_us += CLOCK_US_PER_HOUR;
	work_make(&sim->world, oracle_rules(sim->oracle), &request->work);
	sim->world.now_us = now_us;
	request->leaves = happens(sim, FAULT_CLIENT_LEAVES);
	if (happens(sim, FAULT_SENT_LATE)) {
		request->left = 1 + (int)below(sim, 30);
		return;
	}
	send(sim, request, false);
	if (happens(sim, FAULT_SENT_TWICE))
		send(sim, request, false);
}

static void client_step(struct sim *sim, bool makes)
{
	struct request *request = &sim->requests[below(sim, REQUESTS)];
	bool is_transfer =
		request->work.command.kind == COMMAND_TRANSFER && request->work.command.source == COMMAND_SOURCE_CLIENT;
	switch (request->state) {
	case REQUEST_FREE:
		if (makes)
			request_new(sim, request);
		return;
	case REQUEST_UNKNOWN:
		if (--request->left <= 0)
			send(sim, request, false);
		return;
	case REQUEST_ANSWERED:
		if (is_awaited(request))
			return;
		if (makes && happens(sim, FAULT_SENT_AGAIN)) {
			send(sim, request, false);
		} else if (makes && is_transfer &&
			   oracle_find(sim->oracle, request->work.command.org, request->work.command.id, NULL) &&
			   happens(sim, FAULT_SENT_OTHER)) {
			send(sim, request, true);
		} else {
			request->state = REQUEST_FREE;
		}
		return;
	case REQUEST_SENT: return;
	}
}

/* More at once than the mailbox takes. */
static void flood(struct sim *sim)
{
	for (size_t i = 0; i < REQUESTS; i++)
		if (sim->requests[i].state == REQUEST_FREE)
			request_new(sim, &sim->requests[i]);
}

/* ---- start and stop ---- */

static void stopped(void *context, enum err reason, const struct err_info *info)
{
	struct sim *sim = context;
	(void)info;
	note(sim, (uint64_t)reason);
}

static enum err try_start(struct sim *sim)
{
	struct err_info info = {0};
	struct engine_options options = {.store = sim->store,
		.node = "sim",
		.registry = sim->registry,
		.mailbox_capacity = MAILBOX,
		.snapshot_events = SNAPSHOT,
		.on_stop = stopped,
		.context = sim,
		.wall_us = wall,
		.monotonic_us = monotonic,
		.clock_synchronised = synchronised};
	struct engine_consumer_options consumer = {
		.name = "sim", .class = STORE_VALUE, .each = consume, .context = sim};
	enum err err = engine_make(&options, &sim->engine, &info);
	if (err)
		return err;
	struct hash state, truth = oracle_state(sim->oracle);
	if (rules_state_hash(sim->engine->state.rules, &state, &info) || !hash_equal(state, truth))
		failed("what was loaded (snapshot at %" PRIu64 ", then the journal) is not the state of event %" PRId64,
			sim->engine->state.snapshot_position, oracle_position(sim->oracle));
	sim->from_snapshots += sim->engine->state.snapshot_position > 0;
	err = views_make(sim->engine, &info);
	if (!err)
		err = consumer_make(sim->engine, &consumer, false, &sim->consumer, &info);
	return err;
}

static void process_end(struct sim *sim)
{
	engine_consumer_stop(&sim->consumer);
	engine_stop(&sim->engine);
	if (disk_is_dead(sim->disk))
		disk_crash(sim->disk);
	store_close(&sim->store);
	disk_revive(sim->disk);
}

static void start(struct sim *sim)
{
	struct err_info info = {0};
	bool calm = sim->faults.calm;
	oracle_forget_undone(sim->oracle);
	for (int tries = 0;; tries++) {
		sim->faults.calm = calm || tries > STARTS_MOST;
		if (disk_open(sim->disk, &sim->store, &info))
			failed("the store does not open: %s", info.detail);
		sim->synchronised = !happens(sim, FAULT_CLOCK_UNSYNCHRONISED);
		enum err err = try_start(sim);
		bool again = !err && happens(sim, FAULT_CRASH_AGAIN);
		if (again)
			disk_die(sim->disk);
		if (!err && !again)
			break;
		if (tries > STARTS_MOST)
			failed("the engine does not start: %s", err_row(err)->slug);
		process_end(sim);
	}
	sim->faults.calm = calm;
	sim->jumped = !sim->synchronised;
	sim->starts++;
	note(sim, sim->starts);
}

/* What is executed from now on comes to nothing; the memory is freed. */
static void crash(struct sim *sim)
{
	disk_die(sim->disk);
	answers_lose(sim);
	mailbox_close(sim->engine->mailbox);
	while (engine_turn(sim->engine, 0))
		continue;
	engine_drain(sim->engine);
	process_end(sim);
	disk_set_full(sim->disk, sim->full = false);
	start(sim);
}

/* What was taken is finished and answered. */
static void stop_in_order(struct sim *sim)
{
	mailbox_close(sim->engine->mailbox);
	while (!disk_is_dead(sim->disk) && engine_turn(sim->engine, 0))
		continue;
	if (!disk_is_dead(sim->disk))
		engine_drain(sim->engine);
	if (disk_is_dead(sim->disk)) {
		crash(sim);
		return;
	}
	answers_take(sim);
	for (size_t i = 0; i < REQUESTS; i++)
		if (is_awaited(&sim->requests[i]))
			failed("the engine was stopped in order and left a command without an answer");
	process_end(sim);
	start(sim);
}

/* ---- what happens to the machine ---- */

static void skew(struct sim *sim, int64_t us)
{
	sim->skew_us += us;
	sim->jumped = true;
	engine_step(sim);
}

static void clock_step(struct sim *sim)
{
	int64_t some_us = (120 + below(sim, 7000)) * CLOCK_US_PER_SECOND;
	if (sim->skew_us) {
		if (below(sim, 30) == 0)
			skew(sim, -sim->skew_us); /* somebody has seen it, */
	} else if (happens(sim, FAULT_CLOCK_AHEAD)) {
		skew(sim, some_us);
	} else if (happens(sim, FAULT_CLOCK_FAR_AHEAD)) {
		skew(sim, 3 * CLOCK_US_PER_DAY);
	} else if (happens(sim, FAULT_CLOCK_BACK)) {
		skew(sim, -some_us);
	} else if (happens(sim, FAULT_CLOCK_FAR_BACK)) {
		skew(sim, -3 * CLOCK_US_PER_DAY);
	} else if (happens(sim, FAULT_CLOCK_WOBBLES)) {
		sim->skew_us = (5 + below(sim, 20)) * CLOCK_US_PER_SECOND;
		engine_step(sim);
		sim->skew_us = 0;
		engine_step(sim);
	} else if (sim->jumped && below(sim, 20) == 0) { /* and confirms it */
		engine_confirm_clock(sim->engine);
		engine_step(sim);
		sim->jumped = false;
	}
	if (happens(sim, FAULT_IDLE))
		pass(sim, (1 + below(sim, 12)) * CLOCK_US_PER_HOUR);
}

static void machine_step(struct sim *sim)
{
	if (sim->full ? below(sim, 20) == 0 : happens(sim, FAULT_FULL_DISK))
		disk_set_full(sim->disk, sim->full = !sim->full);
	bool in_hand = sim->engine->flying != NULL;
	if (happens(sim, FAULT_CRASH_BETWEEN) || (in_hand && happens(sim, FAULT_CRASH_IN_HAND)))
		disk_die(sim->disk);
	else if (!sim->full && mailbox_depth(sim->engine->mailbox) && happens(sim, FAULT_STOP_IN_HAND))
		stop_in_order(sim);
	else if (!sim->full && !in_hand && !mailbox_depth(sim->engine->mailbox) && happens(sim, FAULT_STOP_IDLE))
		stop_in_order(sim);
}

/* ---- steps ---- */

static void step(struct sim *sim, bool makes)
{
	struct err_info info = {0};
	int64_t drawn = below(sim, 100);
	note(sim, (uint64_t)drawn);
	pass(sim, below(sim, 300000));
	if (drawn < 45) {
		for (int64_t i = 2 + below(sim, 8); i > 0; i--)
			client_step(sim, makes);
	} else if (drawn < 68) {
		engine_step(sim);
	} else if (drawn < 86) {
		(void)flight_turn(sim->engine);
	} else if (drawn < 92) {
		clock_step(sim);
	} else {
		sim->amid = true;
		if (drawn < 94)
			(void)!replayer_turn(sim->engine, &info);
		else if (drawn < 97)
			(void)!consumer_turn(sim->engine->views);
		else
			(void)!consumer_turn(sim->consumer);
		sim->amid = false;
	}
	if (makes && happens(sim, FAULT_MAILBOX_FULL))
		flood(sim);
	if (!disk_is_dead(sim->disk)) {
		answers_take(sim);
		machine_step(sim);
	}
	if (disk_is_dead(sim->disk) || atomic_load(&sim->engine->stop_reason))
		crash(sim);
}

static bool is_settled(const struct sim *sim)
{
	for (size_t i = 0; i < REQUESTS; i++)
		if (sim->requests[i].state != REQUEST_FREE || is_awaited(&sim->requests[i]))
			return false;
	return true;
}

/* Nothing fails any more: every client learns what became of its command, and everything agrees. */
static struct hash settle(struct sim *sim)
{
	struct err_info info = {0};
	struct engine_replay replay;
	sim->faults.calm = true;
	disk_set_full(sim->disk, sim->full = false);
	sim->skew_us = 0;
	engine_confirm_clock(sim->engine);
	sim->jumped = false;
	for (int i = 0; i < STEPS_MOST && !is_settled(sim); i++)
		step(sim, false);
	if (!is_settled(sim))
		failed("commands are never answered");
	engine_drain(sim->engine);
	answers_take(sim);
	if (replayer_turn(sim->engine, &info))
		failed("no snapshot: %s", info.detail);
	if (consumer_turn(sim->engine->views) || consumer_turn(sim->consumer))
		failed("consumers do not come to the end");
	if (engine_consumer_position(sim->consumer) != oracle_position(sim->oracle))
		failed("a consumer is not at the end");
	stop_in_order(sim); /* loads once more, and compares */
	oracle_check_views(sim->oracle, sim->store);
	struct hash state = oracle_state(sim->oracle);
	if (engine_replay_check(sim->store, sim->registry, &replay, &info))
		failed("the journal does not replay: %s", info.detail);
	if (!hash_equal(replay.state, state))
		failed("the journal replayed from its first event leads to another state");
	return state;
}

static struct hash run(uint64_t seed, uint64_t *fired, struct sim *ret_sim)
{
	struct sim *sim = running = ret_sim;
	uint64_t stream = seed;
	*sim = (struct sim){.seed = seed};
	sim->order = draw(&stream);
	sim->faults = (struct faults){.random = draw(&stream), .fired = fired};
	sim->world.random = draw(&stream);
	sim->true_us = sim->world.now_us = WORLD_FIRST_DAY + 40 * CLOCK_US_PER_DAY;
	sim->monotonic_us = CLOCK_US_PER_HOUR;
	sim->registry = world_id(&sim->world);
	world_people(&sim->world);
	work_start();
	struct disk_hooks hooks = {.durable = durable, .during = during, .context = sim};
	sim->oracle = oracle_new(sim->registry, failed);
	sim->disk = disk_new(&sim->faults, &hooks);
	start(sim);
	for (int i = 0; oracle_position(sim->oracle) < EVENTS; i++) {
		if (i == STEPS_MOST)
			failed("after %d steps there are no %d events", STEPS_MOST, EVENTS);
		step(sim, true);
	}
	struct hash state = settle(sim);
	process_end(sim);
	disk_free(&sim->disk);
	return state;
}

/* ---- one seed, and many ---- */

static void faults_print(const uint64_t *fired)
{
	for (size_t i = 0; i < FAULT_COUNT; i++)
		printf("  %-28s %8" PRIu64 "  %s\n", fault_rows[i].name, fired[i], fault_rows[i].text);
}

static int run_one(uint64_t seed, int times)
{
	struct hash first = {0};
	uint64_t first_trace = 0;
	for (int i = 0; i < times; i++) {
		static struct sim sim;
		uint64_t fired[FAULT_COUNT] = {0};
		char text[2 * sizeof(struct hash) + 1];
		struct hash state = run(seed, fired, &sim);
		if (i == 0)
			faults_print(fired);
		printf("seed %" PRIu64 ": %" PRId64 " events, %" PRIu64 " starts (%" PRIu64 " from snapshots), %" PRIu64
		       " answers (%" PRIu64 " repeats), %" PRIu64 " refusals, %" PRIu64
		       " trades\n  state %s trace %016" PRIx64 "\n",
			seed, oracle_position(sim.oracle), sim.starts, sim.from_snapshots, sim.answers, sim.repeats,
			sim.refusals, market_trade_count(rules_market(oracle_rules(sim.oracle))),
			hex_text(state.bytes, sizeof state.bytes, text), sim.trace);
		for (uint32_t kind = 1; i == 0 && kind < COMMAND_KIND_COUNT; kind++)
			if (oracle_done_of(sim.oracle, (enum command_kind)kind))
				printf("  %s %" PRIu64, command_kind_name(kind),
					oracle_done_of(sim.oracle, (enum command_kind)kind));
		if (i == 0)
			printf("\n");
		if (i && (!hash_equal(state, first) || sim.trace != first_trace))
			failed("the same seed led elsewhere");
		first = state;
		first_trace = sim.trace;
		oracle_free(&sim.oracle);
	}
	return 0;
}

struct shared {
	_Atomic uint64_t next, done, events, starts, restored;
	_Atomic uint64_t fired[FAULT_COUNT];
};

static void worker(struct shared *shared, uint64_t last, int64_t until_us)
{
	static struct sim sim;
	uint64_t seed;
	while (clock_monotonic_us() < until_us && (seed = atomic_fetch_add(&shared->next, 1)) <= last) {
		uint64_t fired[FAULT_COUNT] = {0};
		alarm(SEED_SECONDS);
		(void)run(seed, fired, &sim);
		for (size_t i = 0; i < FAULT_COUNT; i++)
			atomic_fetch_add(&shared->fired[i], fired[i]);
		atomic_fetch_add(&shared->done, 1);
		atomic_fetch_add(&shared->events, (uint64_t)oracle_position(sim.oracle));
		atomic_fetch_add(&shared->starts, sim.starts);
		atomic_fetch_add(&shared->restored, sim.from_snapshots);
		oracle_free(&sim.oracle);
	}
}

/* An assertion of the engine's own, or a run without end. */
static void on_signal(int number)
{
	char text[160];
	int size = snprintf(text, sizeof text, "seed %" PRIu64 ": signal %d\nrepeat it: ./dev sim --seed %" PRIu64 "\n",
		running ? running->seed : 0, number, running ? running->seed : 0);
	(void)!write(STDOUT_FILENO, text, (size_t)size);
	_exit(1);
}

static int run_many(uint64_t first, uint64_t last, int64_t seconds)
{
	long jobs = sysconf(_SC_NPROCESSORS_ONLN), failures = 0;
	struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	atomic_store(&shared->next, first);
	int64_t until_us = seconds ? clock_monotonic_us() + seconds * CLOCK_US_PER_SECOND : INT64_MAX;
	fflush(stdout);
	for (long i = 0; i < jobs; i++)
		if (fork() == 0) {
			worker(shared, last, until_us);
			_exit(0);
		}
	for (int status; wait(&status) > 0;)
		failures += status != 0;
	uint64_t fired[FAULT_COUNT], unseen = 0, done = atomic_load(&shared->done);
	for (size_t i = 0; i < FAULT_COUNT; i++) {
		fired[i] = atomic_load(&shared->fired[i]);
		unseen += fired[i] == 0;
	}
	faults_print(fired);
	printf("%d of %d fault points fired; %" PRIu64 " starts, %" PRIu64 " from snapshots; %" PRIu64 " events\n",
		(int)(FAULT_COUNT - unseen), FAULT_COUNT, atomic_load(&shared->starts), atomic_load(&shared->restored),
		atomic_load(&shared->events));
	printf("%" PRIu64 " of %" PRIu64 " seeds passed, %ld failed\n", done, last - first + 1, failures);
	return failures || unseen || done == 0;
}

static int usage(void)
{
	printf("sim --seed N [--times T] | --seeds A..B [--seconds S]\n");
	return 2;
}

int main(int count, char **arguments)
{
	uint64_t first = 1, last = 0, seed = 1;
	int64_t seconds = 0;
	int times = 1;
	if (!getenv("CARBOND_SIM_LOG") && !freopen("/dev/null", "w", stderr))
		return 1;
	for (int i = 1; i < count; i++) {
		const char *value = i + 1 < count ? arguments[i + 1] : "";
		if (strcmp(arguments[i], "--seed") == 0)
			seed = strtoull(value, NULL, 10);
		else if (strcmp(arguments[i], "--times") == 0)
			times = (int)strtol(value, NULL, 10);
		else if (strcmp(arguments[i], "--seconds") == 0)
			seconds = strtoll(value, NULL, 10);
		else if (strcmp(arguments[i], "--seeds") != 0 ||
			 sscanf(value, "%" SCNu64 "..%" SCNu64, &first, &last) != 2 || last < first)
			return usage();
		i++;
	}
	if (crypto_start())
		return 1;
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGABRT, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	return last ? run_many(first, last, seconds) : run_one(seed, times);
}
