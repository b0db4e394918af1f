/* Engines of several daemons on one store (decision 9, issue 6 item 4): one leads, the others follow; whoever has lost the journal's
 * next position writes nothing, answers nothing from its old state, and leads again only behind what the other wrote. */
#include "../store/mongo_places.h"
#include "../rules/world.h"
#include "carbond/engine.h"
#include "carbond/store/lease.h"

#define SECONDS(n) (clock_monotonic_us() + (n)*CLOCK_US_PER_SECOND)

static const struct seal_key key = {.number = 1};
static struct world world;

struct daemon {
	struct store *store;
	struct engine *engine;
	atomic_int led, left;
	atomic_int stopped;
};

static void count_lead(void *context, bool leads)
{
	struct daemon *daemon = context;
	atomic_fetch_add(leads ? &daemon->led : &daemon->left, 1);
}

static void note_stop(void *context, enum err reason, const struct err_info *info)
{
	(void)info;
	atomic_store(&((struct daemon *)context)->stopped, (int)reason);
}

static bool always(void *context)
{
	(void)context;
	return true;
}

static void daemon_start(struct daemon *daemon, const struct place *place, const char *node)
{
	static const struct store_collection *collections[64];
	size_t count = 0;
	struct err_info info = {0};
	for (size_t i = 0; engine_collections[i]; i++)
		collections[count++] = engine_collections[i];
	collections[count++] = &leases_collection;
	collections[count] = NULL;
	memset(daemon, 0, sizeof *daemon);
	struct store_options store = {
		.uri = place->uri, .collections = collections, .seal_keys = &key, .seal_key_count = 1, .node = node};
	assert_ok(store_open(&store, &daemon->store, &info), &info);
	struct engine_options options = {.store = daemon->store,
		.node = node,
		.address = "http://127.0.0.1:1",
		.registry = {{7}},
		.on_stop = note_stop,
		.on_lead = count_lead,
		.context = daemon,
		.clock_synchronised = always};
	assert_ok(engine_start(&options, &daemon->engine, &info), &info);
}

static void daemon_stop(struct daemon *daemon)
{
	assert_int_equal(atomic_load(&daemon->stopped), ERR_OK); /* the lead of a shared store is no reason to stop */
	engine_stop(&daemon->engine);
	store_close(&daemon->store);
}

static struct command registration(int org)
{
	struct command command = world_command(&world, COMMAND_VERIFIER_REGISTER, -1);
	command.verifier_register = (struct command_verifier_register){.verifier = world_id(&world),
		.org = world.orgs[org],
		.key = world.keys[org],
		.valid_from_us = world.now_us,
		.valid_to_us = world.now_us + CLOCK_US_PER_DAY};
	return command;
}

static enum err give(struct daemon *daemon, const struct command *command, struct engine_result *ret_result)
{
	struct err_info info = {0};
	return engine_command(daemon->engine, command, NULL, 0, SECONDS(30), ret_result, &info);
}

static bool wait_for(bool (*holds)(struct daemon *daemon, int64_t number), struct daemon *daemon, int64_t number)
{
	for (int64_t until_us = SECONDS(60); clock_monotonic_us() < until_us;) {
		if (holds(daemon, number))
			return true;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return false;
}

static bool leads(struct daemon *daemon, int64_t times)
{
	return engine_leads(daemon->engine) && atomic_load(&daemon->led) >= times;
}

static bool has_position(struct daemon *daemon, int64_t position)
{
	return engine_position(daemon->engine) >= position;
}

struct terms {
	uint64_t last;
	size_t count;
	char node[33];
};

static enum err count_led(void *context, const struct event *event)
{
	struct terms *terms = context;
	if (event->header.type != EVENT_LED)
		return ERR_OK;
	assert_true(event->led.term > terms->last);
	terms->last = event->led.term;
	terms->count++;
	code32_text(event->led.node, terms->node);
	return ERR_OK;
}

static struct terms terms_of(struct store *store)
{
	struct err_info info = {0};
	struct terms terms = {0};
	assert_ok(engine_journal_read(store, 1, count_led, &terms, &info), &info);
	return terms;
}

/* P8: what each daemon has come to, one by executing and the other by following, is what the journal leads to. */
static void assert_one_state(struct daemon *a, struct daemon *b)
{
	struct err_info info = {0};
	struct engine_replay replay;
	struct daemon *daemons[] = {a, b};
	assert_ok(engine_replay_check(a->store, (struct id){{7}}, &replay, &info), &info);
	for (size_t i = 0; i < 2; i++) {
		struct hash hash;
		int64_t position = 0;
		assert_true(wait_for(has_position, daemons[i], replay.position));
		assert_ok(engine_state_hash(daemons[i]->engine, SECONDS(30), &position, &hash, &info), &info);
		assert_int_equal(position, replay.position);
		assert_true(hash_equal(hash, replay.state));
	}
}

static void start_world(void)
{
	world_start(&world, 11);
	world.now_us = clock_wall_us();
}

static void one_leads_and_the_other_takes_over(void **state)
{
	(void)state;
	struct place place;
	struct daemon a, b;
	struct engine_result result = {0}, again = {0};
	struct engine_leader leader;
	start_world();
	mongo_place_new(&place);
	daemon_start(&a, &place, "a");
	assert_true(engine_leads(a.engine)); /* the start waits for a leader */
	daemon_start(&b, &place, "b");
	engine_leader(b.engine, &leader);
	assert_string_equal(leader.node, "a");
	assert_string_equal(leader.address, "http://127.0.0.1:1");
	assert_false(leader.is_self);
	struct command first = registration(0), second = registration(1);
	assert_int_equal(give(&b, &first, &result), ERR_NOT_LEADER);
	assert_int_equal(give(&a, &first, &result), ERR_OK);
	assert_true(wait_for(has_position, &b, result.position));
	assert_one_state(&a, &b);
	/* the views are the leader's; a follower waits for them */
	assert_int_equal(engine_wait_position(b.engine, result.position, SECONDS(30)), ERR_OK);
	engine_resign(a.engine);
	assert_true(wait_for(leads, &b, 1));
	assert_int_equal(give(&a, &second, &result), ERR_NOT_LEADER);
	assert_int_equal(give(&b, &first, &again), ERR_OK); /* it knows what a has done */
	assert_true(again.repeated);
	assert_int_equal(give(&b, &second, &result), ERR_OK);
	assert_false(result.repeated);
	assert_int_equal(engine_wait_position(b.engine, result.position, SECONDS(30)), ERR_OK);
	assert_true(wait_for(has_position, &a, result.position));
	assert_int_equal(atomic_load(&a.led), 1);
	assert_int_equal(atomic_load(&a.left), 1);
	struct terms terms = terms_of(b.store);
	assert_int_equal(terms.count, 2);
	assert_string_equal(terms.node, "b");
	assert_one_state(&a, &b);
	daemon_stop(&a);
	daemon_stop(&b);
	mongo_place_drop(&place);
	world_stop(&world);
}

/* What another leader does first: it takes the journal's next position. */
static void take_position(struct store *store)
{
	struct err_info info = {0};
	struct store_batch head;
	uint8_t bytes[256];
	size_t size = 0;
	assert_ok(store_log_head(store, STORE_VALUE, ENGINE_STREAM, &head, &info), &info);
	struct event event = {.header = {.type = EVENT_LED, .time_us = clock_wall_us() + CLOCK_US_PER_SECOND},
		.led = {.term = head.term + 1}};
	assert_true(code32_set(&event.led.node, "other"));
	struct engine_replay replay;
	assert_ok(engine_replay_check(store, (struct id){{7}}, &replay, &info), &info);
	event.header.number = (uint64_t)replay.position + 1;
	assert_int_equal(event_encode(&event, bytes, sizeof bytes, &size), ERR_OK);
	struct store_batch batch = {.seq = head.seq + 1,
		.term = head.term + 1,
		.count = 1,
		.written_at_us = event.header.time_us,
		.payload = bytes,
		.payload_size = size};
	snprintf(batch.stream, sizeof batch.stream, ENGINE_STREAM);
	snprintf(batch.node, sizeof batch.node, "other");
	struct store_append append = {.class = STORE_VALUE, .batch = &batch};
	assert_ok(store_log_append(store, &append, NULL, &info), &info);
}

static void who_lost_the_position_writes_nothing_and_follows(void **state)
{
	(void)state;
	struct place place;
	struct daemon a;
	struct engine_result result = {0};
	struct err_info info = {0};
	struct engine_replay replay;
	start_world();
	mongo_place_new(&place);
	daemon_start(&a, &place, "a");
	struct command first = registration(0), second = registration(1);
	assert_int_equal(give(&a, &first, &result), ERR_OK);
	take_position(a.store);
	assert_int_equal(give(&a, &second, &result), ERR_NOT_LEADER); /* it had executed it; the append failed */
	assert_int_equal(atomic_load(&a.left), 1);
	/* its lease still runs: it reads what is there, and takes the next position behind it */
	assert_true(wait_for(leads, &a, 2));
	assert_int_equal(give(&a, &second, &result), ERR_OK); /* asked again: once */
	assert_false(result.repeated);
	assert_int_equal(give(&a, &second, &result), ERR_OK);
	assert_true(result.repeated);
	assert_ok(engine_replay_check(a.store, (struct id){{7}}, &replay, &info), &info); /* P8: one history */
	assert_int_equal(terms_of(a.store).count, 3);
	daemon_stop(&a);
	mongo_place_drop(&place);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(one_leads_and_the_other_takes_over),
		cmocka_unit_test(who_lost_the_position_writes_nothing_and_follows)};
	if (crypto_start() != ERR_OK || !server_find("leaders and followers"))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	server_leave();
	return failed;
}
