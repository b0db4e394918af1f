/* Decision 9 on MongoDB: whatever becomes of the server or of its answer, a write's outcome is known; 0 lost, 0 doubled. */
#include "leases.h"
#include "mongo_proxy.h"

/* ---- a command that fails as told, a number of times ---- */

struct fault {
	const char *name;
	int code;     /* of the error instead of the command; 0: none */
	bool close;   /* the connection instead of an answer */
	int concern;  /* the write concern's error after the command; 0: none */
	bool primary; /* the driver looks for the primary anew, which takes it half a second */
};

static const struct fault faults[] = {{"interrupted", 11601, false, 0, false}, {"time-out", 50, false, 0, false},
	{"write concern time-out", 0, false, 64, false}, {"not primary", 10107, false, 0, true},
	{"interrupted by fail-over", 11602, false, 0, true}, {"closed connection", 0, true, 0, true}};

#define FAULTS (sizeof faults / sizeof faults[0])

static bool tell(bson_t *command)
{
	bson_error_t error;
	bool done = server_command(command, NULL, &error);
	bson_destroy(command);
	return done;
}

static void set_fault(const struct fault *fault, const char *command, int times)
{
	bson_t *point =
		BCON_NEW("configureFailPoint", BCON_UTF8("failCommand"), "mode", "{", "times", BCON_INT32(times), "}");
	bson_t data, list, concern;
	bson_append_document_begin(point, "data", -1, &data);
	bson_append_array_begin(&data, "failCommands", -1, &list);
	bson_append_utf8(&list, "0", -1, command, -1);
	bson_append_array_end(&data, &list);
	if (fault->code)
		bson_append_int32(&data, "errorCode", -1, fault->code);
	if (fault->close)
		bson_append_bool(&data, "closeConnection", -1, true);
	if (fault->concern) {
		bson_append_document_begin(&data, "writeConcernError", -1, &concern);
		bson_append_int32(&concern, "code", -1, fault->concern);
		bson_append_utf8(&concern, "errmsg", -1, "as told", -1);
		bson_append_document_end(&data, &concern);
	}
	bson_append_document_end(point, &data);
	assert_true(tell(point));
}

static void clear_fault(void)
{
	assert_true(tell(BCON_NEW("configureFailPoint", BCON_UTF8("failCommand"), "mode", BCON_UTF8("off"))));
}

/* ---- every kind of write ---- */

struct world {
	struct place place;
	struct store *store;
	uint64_t seq;
	unsigned number;
	size_t tried;
};

static enum err append_alone(struct world *world, struct err_info *info)
{
	struct store_guard guard = {&world->seq, sizeof world->seq};
	struct store_batch batch = new_batch("journal.0", world->seq + 1, "p", 1);
	struct store_append append = {.class = STORE_VALUE, .batch = &batch, .guards = &guard, .guard_count = 1};
	enum err err = store_log_append(world->store, &append, NULL, info);
	world->seq += err == ERR_OK;
	return err;
}

static enum err append_with_row(struct world *world, struct err_info *info)
{
	struct thing thing = new_thing(++world->number);
	struct store_change change = {
		.collection = &things, .row = &thing, .verb = STORE_PUT, .condition = STORE_ABSENT};
	struct store_batch batch = new_batch("journal.0", world->seq + 1, "p", 1);
	struct store_append append = {.class = STORE_VALUE, .batch = &batch, .changes = &change, .change_count = 1};
	enum err err = store_log_append(world->store, &append, NULL, info);
	world->seq += err == ERR_OK;
	return err;
}

static enum err insert_row(struct world *world, struct err_info *info)
{
	struct thing thing = new_thing(++world->number);
	return put(world->store, &things, &thing, STORE_ABSENT, NULL, 0, info);
}

/* One row, whose version says how often it was changed. */
static enum err update_row(struct world *world, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct thing thing = {.id = test_id(900000)};
	enum err err = store_get(world->store, &things, &thing, arena, info);
	int64_t version = err ? 0 : thing.version;
	thing = new_thing(900000);
	thing.version = version + 1;
	err = err == ERR_NOT_FOUND ? put(world->store, &things, &thing, STORE_ABSENT, NULL, 0, info)
				   : put(world->store, &things, &thing, STORE_EQUALS, "version", version, info);
	arena_free(&arena);
	return err;
}

static enum err delete_row(struct world *world, struct err_info *info)
{
	struct thing thing = new_thing(world->number);
	struct store_change change = {.collection = &things, .row = &thing, .verb = STORE_DELETE};
	return store_write(world->store, &change, 1, NULL, info);
}

static enum err insert_rows(struct world *world, struct err_info *info)
{
	struct thing first = new_thing(++world->number), second = new_thing(++world->number);
	struct store_change changes[] = {
		{.collection = &things, .row = &first, .verb = STORE_PUT, .condition = STORE_ABSENT},
		{.collection = &things, .row = &second, .verb = STORE_PUT, .condition = STORE_ABSENT}};
	return store_write(world->store, changes, 2, NULL, info);
}

static enum err write_views(struct world *world, struct err_info *info)
{
	struct tally first = new_tally(1, 1, (int64_t)++world->number), second = new_tally(2, 1, world->number);
	struct store_change changes[] = {{.collection = &view_tallies,
						 .row = &first,
						 .verb = STORE_PUT,
						 .condition = STORE_BELOW,
						 .field = "position",
						 .value = first.position},
		{.collection = &view_tallies,
			.row = &second,
			.verb = STORE_PUT,
			.condition = STORE_BELOW,
			.field = "position",
			.value = second.position}};
	return store_write_views(world->store, changes, 2, info);
}

static const struct kind {
	const char *name;
	enum err (*run)(struct world *world, struct err_info *info);
	const char *commands[4]; /* that it sends */
} kinds[] = {{"append", append_alone, {"insert"}},
	{"append with a row", append_with_row, {"insert", "update", "commitTransaction"}},
	{"insert a row", insert_row, {"insert"}}, {"update a row", update_row, {"update"}},
	{"delete a row", delete_row, {"delete"}},
	{"several rows", insert_rows, {"update", "insert", "commitTransaction"}}, {"views", write_views, {"update"}}};

#define KINDS (sizeof kinds / sizeof kinds[0])

static void check_log(struct world *world)
{
	struct collected collected = {.count = 0};
	struct err_info info = {.code = ERR_OK};
	assert_ok(store_log_read(world->store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), &info);
	assert_int_equal(collected.count, world->seq);
}

/* Three times, so that the driver's own second try fails, too, and the outcome is read back; where each costs time, only at
 * the first two kinds. */
static void run_kind(struct world *world, const struct kind *kind)
{
	for (size_t i = 0; i < 4 && kind->commands[i]; i++)
		for (size_t j = 0; j < FAULTS; j++) {
			struct err_info info = {.code = ERR_OK};
			int times = faults[j].primary && kind > &kinds[1] ? 1 : 3;
			set_fault(&faults[j], kind->commands[i], times);
			enum err err = kind->run(world, &info);
			clear_fault();
			if (err)
				fail_msg("%s, %s, %d × at %s: %s: %s", kind->name, faults[j].name, times,
					kind->commands[i], err_row(err)->name, info.detail);
			world->tried++;
		}
}

static void every_fault_at_every_kind_of_write(void **state)
{
	(void)state;
	struct world world = {.seq = 0};
	struct err_info info = {.code = ERR_OK};
	mongo_place_new(&world.place);
	world.store = open_store(&world.place);
	assert_ok(update_row(&world, &info), &info);
	for (size_t i = 0; i < KINDS; i++)
		run_kind(&world, &kinds[i]);
	check_log(&world);
	/* each update happened once */
	struct arena *arena = arena_new(0);
	struct thing counter = {.id = test_id(900000)};
	assert_ok(store_get(world.store, &things, &counter, arena, &info), &info);
	assert_int_equal(counter.version, 1 + (int64_t)FAULTS);
	struct tally tally = {.id = test_id(2), .hour = 1};
	assert_ok(store_get(world.store, &view_tallies, &tally, arena, &info), &info);
	assert_int_equal(tally.position, world.number);
	arena_free(&arena);
	printf("             %zu faults at %zu kinds of write: 0 lost, 0 doubled\n", world.tried, KINDS);
	store_close(&world.store);
	mongo_place_drop(&world.place);
}

/* Readers wait for the next primary, too. */
static void reads_are_tried_again(void **state)
{
	(void)state;
	struct world world = {.seq = 0};
	struct err_info info = {.code = ERR_OK};
	struct thing thing = new_thing(1);
	mongo_place_new(&world.place);
	world.store = open_store(&world.place);
	put_thing(world.store, &thing);
	assert_ok(append_alone(&world, &info), &info);
	struct arena *arena = arena_new(0);
	for (size_t j = 0; j < FAULTS; j++) {
		if (faults[j].concern)
			continue;
		set_fault(&faults[j], "find", 3);
		assert_ok(store_get(world.store, &things, &thing, arena, &info), &info);
		set_fault(&faults[j], "find", 3);
		check_log(&world);
		clear_fault();
	}
	arena_free(&arena);
	store_close(&world.store);
	mongo_place_drop(&world.place);
}

/* ---- under load ---- */

#define WRITERS 4

struct writer {
	pthread_t thread;
	struct store *store;
	unsigned number;
	atomic_bool *stop;
	uint64_t acknowledged; /* appends, each with a row and a guard */
	int64_t longest_us;
	enum err fault;
	struct err_info info;
};

static void *keep_writing(void *argument)
{
	struct writer *writer = argument;
	char stream[32], payload[64];
	snprintf(stream, sizeof stream, "journal.%u", writer->number);
	while (!atomic_load(writer->stop) && !writer->fault) {
		uint64_t seq = writer->acknowledged + 1;
		struct thing thing = new_thing((unsigned)(writer->number * 1000000 + seq));
		struct store_change change = {
			.collection = &things, .row = &thing, .verb = STORE_PUT, .condition = STORE_ABSENT};
		struct store_guard guard = {&seq, sizeof seq};
		int size =
			snprintf(payload, sizeof payload, "writer %u, %llu", writer->number, (unsigned long long)seq);
		struct store_batch batch = new_batch(stream, seq, payload, (size_t)size);
		struct store_append append = {.class = STORE_VALUE,
			.batch = &batch,
			.guards = &guard,
			.guard_count = 1,
			.changes = &change,
			.change_count = seq % 2 /* every other one in a transaction */};
		int64_t start_us = clock_monotonic_us();
		writer->fault = store_log_append(writer->store, &append, NULL, &writer->info);
		int64_t took_us = clock_monotonic_us() - start_us;
		writer->longest_us = took_us > writer->longest_us ? took_us : writer->longest_us;
		writer->acknowledged += writer->fault == ERR_OK;
	}
	return NULL;
}

static uint64_t written(const struct writer *writers)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < WRITERS; i++)
		sum += __atomic_load_n(&writers[i].acknowledged, __ATOMIC_RELAXED);
	return sum;
}

/* Until each has had one more acknowledged, also the one whose write stands in doubt. */
static void wait_for_writes(const struct writer *writers)
{
	uint64_t before[WRITERS];
	int64_t deadline_us = clock_monotonic_us() + 120 * CLOCK_US_PER_SECOND;
	for (unsigned i = 0; i < WRITERS; i++)
		before[i] = __atomic_load_n(&writers[i].acknowledged, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < WRITERS; i++)
		while (__atomic_load_n(&writers[i].acknowledged, __ATOMIC_RELAXED) == before[i]) {
			if (writers[i].fault)
				fail_msg("writer %u: %s: %s", i, err_row(writers[i].fault)->name,
					writers[i].info.detail);
			assert_true(clock_monotonic_us() < deadline_us);
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		}
}

static void check_writer(struct store *store, const struct writer *writer)
{
	char stream[32];
	struct collected collected = {.count = 0};
	struct err_info info = {.code = ERR_OK};
	struct arena *arena = arena_new(0);
	snprintf(stream, sizeof stream, "journal.%u", writer->number);
	assert_ok(store_log_read(store, STORE_VALUE, stream, 1, collect, &collected, &info), &info);
	assert_int_equal(collected.count, writer->acknowledged);
	for (uint64_t seq = 1; seq <= writer->acknowledged; seq += 2) {
		struct thing thing = {.id = test_id((unsigned)(writer->number * 1000000 + seq))};
		assert_ok(store_get(store, &things, &thing, arena, &info), &info);
		arena_reset(arena);
	}
	arena_free(&arena);
}

/* ---- every kind of fault under load, in a seeded order ---- */

static struct proxy proxy; /* also for the links that end after it */

static bool strike_step_down(int number)
{
	(void)number;
	/* a server closes connections as it steps down: what it answers is of no use */
	(void)tell(BCON_NEW("replSetStepDown", BCON_INT32(1), "force", BCON_BOOL(true)));
	return true;
}

static bool strike_kill(int number)
{
	(void)number;
	if (!mongo_server.pid)
		return false; /* the server of CARBOND_TEST_MONGODB_URI is not ours to kill */
	server_end(SIGKILL);
	assert_true(server_begin());
	return true;
}

static bool strike_command(int number)
{
	static const char *const commands[] = {"insert", "commitTransaction", "update"};
	set_fault(&faults[number], commands[rand() % 3], 1 + rand() % 2);
	return true;
}

/* Tells the relay, and waits until it struck. */
static bool strike_proxy(int number)
{
	int done = atomic_load(&proxy.done);
	int64_t deadline_us = clock_monotonic_us() + 60 * CLOCK_US_PER_SECOND;
	atomic_store(&proxy.fault, number);
	while (atomic_load(&proxy.done) == done) {
		assert_true(clock_monotonic_us() < deadline_us);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return true;
}

/* In CI so many of each, a hundred in all; those that cost a second or more three times. */
static const struct strike {
	const char *name;
	bool (*run)(int number);
	int number, in_ci;
} strikes[] = {{"interrupted", strike_command, 0, 12}, {"time-out", strike_command, 1, 12},
	{"write concern time-out", strike_command, 2, 12}, {"not primary", strike_command, 3, 6},
	{"interrupted by fail-over", strike_command, 4, 6}, {"connection closed by the server", strike_command, 5, 6},
	{"replSetStepDown", strike_step_down, 0, 3}, {"kill -9", strike_kill, 0, 3},
	{"connection cut before the server saw the write", strike_proxy, PROXY_CUT_REQUEST, 14},
	{"connection cut after the server did the write", strike_proxy, PROXY_CUT_ANSWER, 14},
	{"answer 0.4 s late", strike_proxy, PROXY_DELAY, 9}, {"answer swallowed", strike_proxy, PROXY_SWALLOW, 3}};

#define STRIKES (sizeof strikes / sizeof strikes[0])

struct score {
	int wanted, done;
	int64_t longest_us; /* until writes went on */
};

static const struct strike *next_strike(struct score *scores, int left, struct score **ret_score)
{
	int chosen = rand() % left;
	for (size_t i = 0; i < STRIKES; i++) {
		chosen -= scores[i].wanted - scores[i].done;
		if (chosen < 0) {
			*ret_score = &scores[i];
			return &strikes[i];
		}
	}
	return NULL;
}

static void strike_all(const struct writer *writers, struct score *scores, int count)
{
	for (int left = count; left > 0; left--) {
		struct score *score = NULL;
		const struct strike *strike = next_strike(scores, left, &score);
		score->done++;
		if (!strike->run(strike->number))
			continue;
		int64_t start_us = clock_monotonic_us();
		wait_for_writes(writers);
		int64_t took_us = clock_monotonic_us() - start_us;
		score->longest_us = took_us > score->longest_us ? took_us : score->longest_us;
		if (strike->run == strike_command)
			clear_fault();
	}
}

/* ---- a lease ---- */

struct beater {
	struct leaser leaser;
	bool held;
	enum err err;
	struct err_info info;
};

static void *beat(void *argument)
{
	struct beater *beater = argument;
	beater->err = lease_try(beater->leaser.lease, &beater->held, &beater->info);
	return NULL;
}

/* The server has done a's beat, a cannot hear of it, and b takes the lease meanwhile: what a is told then is that it is another's. It
 * lets go of it and goes on; only of a row that somebody will ask for must it be known whether it ever stood. */
static void a_beat_of_unknown_outcome_that_another_has_overwritten(void **state)
{
	(void)state;
	struct place place;
	struct err_info info = {.code = ERR_OK};
	pthread_t thread;
	if (!mongo_server.port) {
		printf("             not with CARBOND_TEST_MONGODB_URI: the relay needs a server of its own\n");
		return;
	}
	mongo_place_new(&place);
	proxy_start(&proxy, mongo_server.port);
	struct place relayed = place;
	snprintf(relayed.uri, sizeof relayed.uri,
		"mongodb://127.0.0.1:%d/%s?directConnection=true&socketTimeoutMS=1500", proxy.port, place.folder);
	struct store *behind = open_store(&relayed), *direct = open_store(&place);
	struct beater a = {.err = ERR_OK};
	struct leaser b;
	leaser_start(&a.leaser, behind, "a", 0);
	leaser_start(&b, direct, "b", 0);
	assert_true(leaser_tries(&a.leaser));
	assert_false(leaser_tries(&b));
	int done = atomic_load(&proxy.done);
	atomic_store(&proxy.fault, PROXY_CUT_OFF);
	assert_int_equal(pthread_create(&thread, NULL, beat, &a), 0);
	int64_t deadline_us = clock_monotonic_us() + 60 * CLOCK_US_PER_SECOND;
	/* the beat, its repetition by the driver, and the store's looking for what became of it */
	while (atomic_load(&proxy.done) < done + 3) {
		assert_true(clock_monotonic_us() < deadline_us);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	assert_false(leaser_tries(&b)); /* the beat has moved */
	b.now_us += LEASE_FREE_US;
	assert_true(leaser_tries(&b));
	__atomic_store_n(&a.leaser.now_us, LEASE_FREE_US, __ATOMIC_SEQ_CST);
	atomic_store(&proxy.off, false);
	pthread_join(thread, NULL);
	assert_ok(a.err, &a.info);
	assert_false(a.held);
	assert_lease(direct, "b", 2);
	assert_true(store_healthy(behind, NULL));
	/* and any other row is written as ever */
	struct thing thing = new_thing(1);
	assert_ok(put(behind, &things, &thing, STORE_ABSENT, NULL, 0, &info), &info);
	lease_free(&a.leaser.lease);
	lease_free(&b.lease);
	store_close(&behind);
	store_close(&direct);
	proxy_stop(&proxy);
	mongo_place_drop(&place);
}

/* CARBOND_CAMPAIGN: so many of each kind (./dev campaign mongo N). */
static void every_fault_under_load(void **state)
{
	(void)state;
	struct place place;
	struct writer writers[WRITERS];
	struct score scores[STRIKES];
	atomic_bool stop = false;
	const char *campaign = getenv("CARBOND_CAMPAIGN"), *seed_text = getenv("CARBOND_SEED");
	unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 10) : (unsigned)clock_wall_us();
	int count = 0;
	if (!mongo_server.port) {
		printf("             not with CARBOND_TEST_MONGODB_URI: the relay and kill -9 need a server of its "
		       "own\n");
		return;
	}
	srand(seed);
	for (size_t i = 0; i < STRIKES; i++) {
		scores[i] = (struct score){.wanted = campaign ? atoi(campaign) : strikes[i].in_ci};
		count += scores[i].wanted;
	}
	mongo_place_new(&place);
	proxy_start(&proxy, mongo_server.port);
	struct place relayed = place;
	snprintf(relayed.uri, sizeof relayed.uri,
		"mongodb://127.0.0.1:%d/%s?directConnection=true&socketTimeoutMS=1500", proxy.port, place.folder);
	struct store *store = open_store(&relayed);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.store = store, .number = i, .stop = &stop};
		assert_int_equal(pthread_create(&writers[i].thread, NULL, keep_writing, &writers[i]), 0);
	}
	wait_for_writes(writers);
	strike_all(writers, scores, count);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		assert_ok(writers[i].fault, &writers[i].info);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		check_writer(store, &writers[i]);
	printf("             seed %u: %d faults under %llu appends of %d writers: 0 lost, 0 doubled\n", seed, count,
		(unsigned long long)written(writers), WRITERS);
	for (size_t i = 0; i < STRIKES; i++)
		printf("             %4d of %d × %s; writes went on within %.1f s\n", scores[i].done, scores[i].wanted,
			strikes[i].name, (double)scores[i].longest_us / 1e6);
	store_close(&store);
	proxy_stop(&proxy);
	mongo_place_drop(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_beat_of_unknown_outcome_that_another_has_overwritten),
		cmocka_unit_test(every_fault_at_every_kind_of_write), cmocka_unit_test(reads_are_tried_again),
		cmocka_unit_test(every_fault_under_load)};
	if (crypto_start() != ERR_OK || !server_find("store faults"))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	server_leave();
	return failed;
}
