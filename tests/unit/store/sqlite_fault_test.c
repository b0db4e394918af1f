/* Decision 9, for every single write and fsync of a small workload: what was acknowledged is there afterwards and its batch,
 * guards and rows belong together; a failed write or fsync latches the store for good; a full disk refuses and is forgotten
 * when there is space again. */
#include <fcntl.h>

#include "fault_vfs.h"
#include "sqlite_places.h"

#define STEPS 3

static const struct {
	enum store_class class;
	const char *stream;
	size_t payload;
} streams[] = {{STORE_VALUE, "journal.0", 900}, {STORE_READINGS, "readings.n1", 9000}, {STORE_VALUE, "audit.n1", 10}};

struct workload {
	struct store *store;
	uint64_t acknowledged[3];
	enum err first_error;
	int errors, other_errors; /* other: neither the first nor what follows it */
};

/* One batch with a guard and a row. */
static enum err append_step(struct store *store, unsigned log, uint64_t seq)
{
	static char payload[9000];
	char key[32];
	struct store_guard guard = {key, (size_t)snprintf(key, sizeof key, "guard %llu", (unsigned long long)seq)};
	struct thing thing = new_thing((unsigned)(seq * 3 + log));
	struct tally tally = new_tally((unsigned)seq, log, 1);
	bool readings = streams[log].class == STORE_READINGS;
	struct store_change change = {.collection = readings ? &reading_tallies : &things,
		.row = readings ? (const void *)&tally : (const void *)&thing,
		.verb = STORE_PUT};
	struct store_batch batch = new_batch(streams[log].stream, seq, payload, streams[log].payload);
	struct store_append whole = {.class = streams[log].class,
		.batch = &batch,
		.guards = &guard,
		.guard_count = 1,
		.changes = &change,
		.change_count = 1};
	struct err_info info;
	return store_log_append(store, &whole, NULL, &info);
}

static void note(struct workload *workload, enum err err)
{
	if (!err)
		return;
	if (!workload->errors++)
		workload->first_error = err;
	else if (err != workload->first_error)
		workload->other_errors++;
}

static void run_workload(struct workload *workload, bool again_when_full)
{
	for (uint64_t seq = 1; seq <= STEPS; seq++)
		for (unsigned log = 0; log < 3; log++) {
			enum err err = append_step(workload->store, log, seq);
			note(workload, err);
			for (int tries = 0; again_when_full && err == ERR_NO_SPACE && tries < 1000000; tries++)
				err = append_step(workload->store, log, seq);
			if (!err)
				workload->acknowledged[log] = seq;
		}
}

static void check_all(const struct place *place, const struct workload *workload)
{
	struct store *store = open_store(place);
	struct arena *arena = arena_new(0);
	struct err_info info = {.code = ERR_OK};
	for (unsigned log = 0; log < 3; log++) {
		struct collected collected = {.count = 0};
		bool readings = streams[log].class == STORE_READINGS;
		assert_ok(store_log_read(store, streams[log].class, streams[log].stream, 1, collect, &collected, &info),
			&info);
		assert_true(collected.count >= workload->acknowledged[log]);
		assert_true(collected.count <= workload->acknowledged[log] + 1); /* the one whose fate was unknown */
		for (uint64_t seq = 1; seq <= STEPS; seq++) {
			struct thing thing = new_thing((unsigned)(seq * 3 + log));
			struct tally tally = {.id = test_id((unsigned)seq), .hour = log};
			enum err err = readings ? store_get(store, &reading_tallies, &tally, arena, &info)
						: store_get(store, &things, &thing, arena, &info);
			assert_int_equal(err, seq <= collected.count ? ERR_OK : ERR_NOT_FOUND);
		}
		/* goes on where it stands; guards of what is there are taken, others are not */
		if (collected.count < STEPS)
			assert_int_equal(append_step(store, log, collected.count + 1), ERR_OK);
		struct store_guard guard = {"guard 1", 7};
		struct store_batch head;
		assert_ok(store_log_head(store, streams[log].class, streams[log].stream, &head, &info), &info);
		struct store_batch batch = new_batch(streams[log].stream, head.seq + 1, "x", 1);
		struct store_append taken = {
			.class = streams[log].class, .batch = &batch, .guards = &guard, .guard_count = 1};
		assert_int_equal(store_log_append(store, &taken, NULL, &info), ERR_GUARD_TAKEN);
	}
	arena_free(&arena);
	store_close(&store);
}

static void expect_latched(struct workload *workload)
{
	enum err err = ERR_OK;
	assert_int_equal(workload->first_error, ERR_STORE_LATCHED);
	assert_int_equal(workload->other_errors, 0);
	assert_false(store_healthy(workload->store, &err));
	assert_int_equal(err, ERR_STORE_LATCHED);
	/* every later write is refused, whichever file it is for */
	for (unsigned log = 0; log < 3; log++)
		assert_int_equal(append_step(workload->store, log, STEPS + 1), ERR_STORE_LATCHED);
	struct err_info info;
	struct tally tally = new_tally(1, 1, 1);
	assert_int_equal(put(workload->store, &view_tallies, &tally, STORE_ALWAYS, NULL, 0, &info), ERR_STORE_LATCHED);
}

/* Runs the workload with the fault at its Nth operation; false when it was over before. */
static bool run_with_fault(enum fault_kind kind, long countdown)
{
	struct place place;
	sqlite_place_new(&place);
	bool full = kind == FAULT_WRITE_FULL || kind == FAULT_WRITE_SHORT_FULL;
	fault_arm(FAULT_NONE, 0, false);
	struct workload workload = {.store = open_store(&place)};
	fault_arm(kind, countdown, false);
	run_workload(&workload, full);
	bool happened = fault.happened;
	if (!happened) {
		assert_int_equal(workload.errors, 0);
	} else if (full) {
		assert_int_equal(workload.first_error, ERR_NO_SPACE);
		assert_int_equal(workload.other_errors, 0);
		assert_true(store_healthy(workload.store, NULL));
		for (unsigned log = 0; log < 3; log++)
			assert_int_equal(workload.acknowledged[log], STEPS);
	} else {
		expect_latched(&workload);
	}
	store_close(&workload.store); /* a dead disk stays dead: nothing more reaches it */
	fault_arm(FAULT_NONE, 0, false);
	check_all(&place, &workload);
	sqlite_place_drop(&place);
	return happened;
}

static void every_place(enum fault_kind kind, long at_least)
{
	long countdown = 1;
	while (run_with_fault(kind, countdown))
		countdown++;
	print_message("%ld places\n", countdown - 1);
	assert_true(countdown > at_least);
}

static void failed_writes_latch(void **state)
{
	(void)state;
	every_place(FAULT_WRITE_EIO, 60);
}

static void half_written_writes_latch(void **state)
{
	(void)state;
	every_place(FAULT_WRITE_SHORT_EIO, 60);
}

static void failed_fsyncs_latch(void **state)
{
	(void)state;
	every_place(FAULT_SYNC_EIO, 3 * STEPS - 1); /* one for each batch, at least */
}

static void full_disks_are_forgotten(void **state)
{
	(void)state;
	every_place(FAULT_WRITE_FULL, 60);
}

static void half_written_writes_on_full_disks(void **state)
{
	(void)state;
	every_place(FAULT_WRITE_SHORT_FULL, 60);
}

static void lost_power_loses_nothing_acknowledged(void **state)
{
	(void)state;
	every_place(FAULT_POWER, 60);
}

/* Faults while the store is opened for the first time: refused, and nothing stands in the way of the next start. */
static void faults_while_opening(void **state)
{
	(void)state;
	static const enum fault_kind kinds[] = {FAULT_WRITE_EIO, FAULT_SYNC_EIO, FAULT_WRITE_FULL};
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		for (long countdown = 1;; countdown++) {
			struct place place;
			sqlite_place_new(&place);
			struct store *store = NULL;
			struct err_info info = {.code = ERR_OK};
			struct store_options options = options_for(&place);
			fault_arm(kinds[i], countdown, false);
			enum err err = store_open(&options, &store, &info);
			bool happened = fault.happened;
			if (err)
				assert_int_equal(err, kinds[i] == FAULT_WRITE_FULL ? ERR_NO_SPACE : ERR_IO);
			store_close(&store);
			fault_arm(FAULT_NONE, 0, false);
			assert_ok(store_open(&options, &store, &info), &info);
			assert_int_equal(append_step(store, 0, 1), ERR_OK);
			store_close(&store);
			sqlite_place_drop(&place);
			if (!happened)
				break;
		}
}

/* Enough batches for the write-ahead log to be copied back, with a fault in the database file itself. The copying thread meets
 * it, and the next append hears of it. */
static void run_checkpoint_fault(enum fault_kind kind)
{
	struct place place;
	sqlite_place_new(&place);
	fault_arm(FAULT_NONE, 0, false);
	struct store *store = open_store(&place);
	struct err_info info = {.code = ERR_OK};
	size_t size = (size_t)1 << 20;
	char *payload = calloc(1, size);
	fault_arm(kind, 1, true);
	uint64_t acknowledged = 0;
	enum err err = ERR_OK;
	int64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_US_PER_SECOND;
	bool latches = kind != FAULT_WRITE_FULL;
	for (uint64_t seq = 1; seq <= 40 || (clock_monotonic_us() < deadline_us && (latches || !fault_has_happened()));
		seq++) {
		struct store_batch batch = new_batch("journal.0", seq, payload, seq <= 40 ? size : 1);
		struct store_append append = {.class = STORE_VALUE, .batch = &batch};
		do
			err = store_log_append(store, &append, NULL, &info);
		while (err == ERR_NO_SPACE);
		if (err)
			break;
		acknowledged = seq;
	}
	assert_true(fault_has_happened());
	assert_int_equal(err, latches ? ERR_STORE_LATCHED : ERR_OK);
	assert_true(latches || acknowledged >= 40);
	store_close(&store);
	fault_arm(FAULT_NONE, 0, false);
	store = open_store(&place);
	struct collected collected = {.count = 0};
	assert_ok(store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), &info);
	assert_int_equal(collected.count, acknowledged);
	store_close(&store);
	free(payload);
	sqlite_place_drop(&place);
}

static void faults_while_copying_back(void **state)
{
	(void)state;
	run_checkpoint_fault(FAULT_SYNC_EIO);
	run_checkpoint_fault(FAULT_WRITE_EIO);
	run_checkpoint_fault(FAULT_WRITE_FULL);
}

/* With many writers in one transaction, all of them get the answer of the commit. */
struct crowd {
	struct store *store;
	unsigned number;
	uint64_t acknowledged;
	enum err last;
};

static void *append_until_it_fails(void *argument)
{
	struct crowd *crowd = argument;
	struct err_info info;
	char stream[32];
	snprintf(stream, sizeof stream, "journal.%u", crowd->number);
	for (uint64_t seq = 1; (crowd->last = append(crowd->store, STORE_VALUE, stream, seq, "p", &info)) == ERR_OK;
		seq++)
		crowd->acknowledged = seq;
	return NULL;
}

static void a_crowd_gets_one_answer(void **state)
{
	(void)state;
	for (long countdown = 1; countdown < 20; countdown++) {
		struct place place;
		sqlite_place_new(&place);
		fault_arm(FAULT_NONE, 0, false);
		struct store *store = open_store(&place);
		fault_arm(FAULT_POWER, 10 * countdown, false);
		struct crowd crowds[8];
		pthread_t threads[8];
		for (unsigned i = 0; i < 8; i++) {
			crowds[i] = (struct crowd){.store = store, .number = i};
			pthread_create(&threads[i], NULL, append_until_it_fails, &crowds[i]);
		}
		for (unsigned i = 0; i < 8; i++)
			pthread_join(threads[i], NULL);
		store_close(&store);
		fault_arm(FAULT_NONE, 0, false);
		store = open_store(&place);
		for (unsigned i = 0; i < 8; i++) {
			char stream[32];
			struct err_info info = {.code = ERR_OK};
			struct collected collected = {.count = 0};
			snprintf(stream, sizeof stream, "journal.%u", i);
			assert_int_equal(crowds[i].last, ERR_STORE_LATCHED);
			assert_ok(store_log_read(store, STORE_VALUE, stream, 1, collect, &collected, &info), &info);
			assert_true(collected.count >= crowds[i].acknowledged);
			assert_true(collected.count <= crowds[i].acknowledged + 1);
		}
		store_close(&store);
		sqlite_place_drop(&place);
	}
}

static void low_water(void **state)
{
	(void)state;
	struct place place;
	sqlite_place_new(&place);
	fault_arm(FAULT_NONE, 0, false);
	struct store *store = open_store(&place);
	struct err_info info = {.code = ERR_OK};
	append_many(store, "journal.0", 3);
	store_close(&store);
	struct store_options options = options_for(&place);
	options.low_water_bytes = SIZE_MAX / 2; /* no disk has that */
	assert_ok(store_open(&options, &store, &info), &info);
	enum err err = ERR_OK;
	assert_false(store_healthy(store, &err));
	assert_int_equal(err, ERR_NO_SPACE);
	assert_int_equal(append(store, STORE_VALUE, "journal.0", 4, "x", &info), ERR_NO_SPACE);
	assert_ok(store_log_prune(store, STORE_VALUE, "journal.0", 3, &info), &info); /* makes space: allowed */
	struct collected collected = {.count = 0};
	assert_ok(store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), &info);
	assert_int_equal(collected.with_payload, 1);
	store_close(&store);
	sqlite_place_drop(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failed_writes_latch),
		cmocka_unit_test(half_written_writes_latch),
		cmocka_unit_test(failed_fsyncs_latch),
		cmocka_unit_test(full_disks_are_forgotten),
		cmocka_unit_test(half_written_writes_on_full_disks),
		cmocka_unit_test(lost_power_loses_nothing_acknowledged),
		cmocka_unit_test(faults_while_opening),
		cmocka_unit_test(faults_while_copying_back),
		cmocka_unit_test(a_crowd_gets_one_answer),
		cmocka_unit_test(low_water),
	};
	if (crypto_start() != ERR_OK)
		return 1;
	fault_vfs_start();
	/* a thousand stores latch, and say so; the tests' own messages still go where they should */
	stderr = fdopen(dup(STDERR_FILENO), "w");
	int nowhere = open("/dev/null", O_WRONLY);
	if (!stderr || nowhere < 0 || dup2(nowhere, STDERR_FILENO) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
