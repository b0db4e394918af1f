/* A store moves from SQLite to MongoDB and back, and stays what it was: positions, hashes, guard keys, rows (P14). */
#include "backups.h"
#include "mongo_places.h"

static enum err move(
	const struct place *from, const struct place *to, struct store_move_report *ret_report, struct err_info *info)
{
	struct store_options source = options_for(from), target = options_for(to);
	return store_move(&source, &target, ret_report, info);
}

static void fill(const struct place *place)
{
	struct err_info info = {.code = ERR_OK};
	struct store *store = open_store(place);
	append_guarded_many(store, 1, 40);
	for (uint64_t seq = 1; seq <= 700; seq++)
		assert_ok(append(store, STORE_READINGS, "readings.n1", seq, "reading", &info), &info);
	assert_ok(append(store, STORE_VALUE, "audit.n1", 1, "made", &info), &info);
	assert_ok(store_log_prune(store, STORE_READINGS, "readings.n1", 300, &info), &info);
	struct tally tally = new_tally(1, 1, 1), view = new_tally(2, 1, 1);
	assert_ok(put(store, &reading_tallies, &tally, STORE_ALWAYS, NULL, 0, &info), &info);
	assert_ok(put(store, &view_tallies, &view, STORE_ALWAYS, NULL, 0, &info), &info);
	store_close(&store);
}

static void check_moved(const struct place *place, const struct hash *journal)
{
	struct err_info info = {.code = ERR_OK};
	struct store *store = open_store(place);
	struct collected collected = {.count = 0};
	struct arena *arena = arena_new(0);
	assert_true(hash_equal(backup_head(store, STORE_VALUE, "journal.0").hash, *journal));
	assert_ok(store_log_read(store, STORE_READINGS, "readings.n1", 1, collect, &collected, &info), &info);
	assert_int_equal(collected.count, 700);
	assert_int_equal(collected.with_payload, 401);
	for (unsigned i = 1; i <= 40; i++) {
		struct thing thing = {.id = test_id(i)};
		assert_ok(store_get(store, &things, &thing, arena, &info), &info);
		assert_string_equal(thing.secret, "a sealed reason");
	}
	struct tally tally = {.id = test_id(2), .hour = 1};
	assert_int_equal(store_get(store, &view_tallies, &tally, arena, &info), ERR_NOT_FOUND); /* views are rebuilt */
	assert_int_equal(append_guarded(store, 41, 40, &info), ERR_GUARD_TAKEN);
	arena_free(&arena);
	store_close(&store);
}

static void there_and_back(void **state)
{
	(void)state;
	struct place first, middle, last;
	struct store_move_report report, again;
	struct err_info info = {.code = ERR_OK};
	sqlite_place_new(&first);
	mongo_place_new(&middle);
	sqlite_place_new(&last);
	fill(&first);
	struct store *store = open_store(&first);
	struct hash journal = backup_head(store, STORE_VALUE, "journal.0").hash;
	store_close(&store);

	assert_ok(move(&first, &middle, &report, &info), &info);
	assert_int_equal(report.logs, 3);
	assert_int_equal(report.batches, 741);
	assert_int_equal(report.rows, 41);
	assert_false(report.was_there);
	check_moved(&middle, &journal);
	assert_ok(move(&first, &middle, &again, &info), &info); /* compared, nothing written */
	assert_true(again.was_there);

	assert_ok(move(&middle, &last, &again, &info), &info);
	assert_true(hash_equal(again.sum, report.sum));
	check_moved(&last, &journal);

	/* the target lives on: it is another history now, and so is the source */
	store = open_store(&middle);
	assert_ok(append_guarded(store, 41, 41, &info), &info);
	store_close(&store);
	assert_int_equal(move(&first, &middle, &again, &info), ERR_STORE_CORRUPT);
	assert_non_null(strstr(info.detail, "journal.0"));
	assert_int_equal(move(&middle, &last, &again, &info), ERR_DUPLICATE);
	sqlite_place_drop(&last);
	mongo_place_drop(&middle);
	sqlite_place_drop(&first);
}

/* A row that a moved place does not hold as it was is found, though no log says so. */
static void what_differs_is_named(void **state)
{
	(void)state;
	struct place first, second;
	struct store_move_report report;
	struct err_info info = {.code = ERR_OK};
	sqlite_place_new(&first);
	mongo_place_new(&second);
	fill(&first);
	assert_ok(move(&first, &second, &report, &info), &info);
	struct store *store = open_store(&second);
	struct thing thing = new_thing(7);
	thing.version = 4711;
	assert_ok(put(store, &things, &thing, STORE_ALWAYS, NULL, 0, &info), &info);
	store_close(&store);
	assert_int_equal(move(&first, &second, &report, &info), ERR_STORE_CORRUPT);
	assert_non_null(strstr(info.detail, "things"));
	mongo_place_drop(&second);
	sqlite_place_drop(&first);
}

#define KILLS 3

/* Killed at random points, it is refused until it went on to its end. */
static void a_move_that_is_killed_goes_on(void **state)
{
	(void)state;
	struct place first, second;
	struct store_move_report report;
	struct err_info info = {.code = ERR_OK};
	sqlite_place_new(&first);
	mongo_place_new(&second);
	fill(&first);
	int64_t whole_us = 0;
	for (int i = 0; i <= KILLS; i++) {
		struct place target;
		uint32_t random;
		random_bytes(&random, sizeof random);
		mongo_place_new(&target);
		int64_t start_us = clock_monotonic_us();
		pid_t child = i ? fork() : 0;
		if (i == 0) { /* how long it takes */
			assert_ok(move(&first, &target, &report, &info), &info);
			whole_us = clock_monotonic_us() - start_us;
			mongo_place_drop(&target);
			continue;
		}
		if (child == 0) {
			struct store_options from = options_for(&first), to = options_for(&target);
			_exit(store_move(&from, &to, &report, &info) ? 1 : 0);
		}
		int64_t wait_us = whole_us / 8 + (int64_t)random % whole_us;
		bool ended = false;
		while (clock_monotonic_us() < start_us + wait_us && !ended) {
			ended = waitpid(child, NULL, WNOHANG) == child;
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		}
		if (!ended) {
			kill(child, SIGKILL);
			waitpid(child, NULL, 0);
		}
		struct store_options options = options_for(&target);
		struct store *store = NULL;
		enum err err = store_open(&options, &store, &info);
		struct hash journal = {{0}};
		if (err)
			assert_int_equal(err, ERR_RESTORE_UNFINISHED);
		store_close(&store);
		assert_ok(move(&first, &target, &report, &info), &info);
		store = open_store(&first);
		journal = backup_head(store, STORE_VALUE, "journal.0").hash;
		store_close(&store);
		check_moved(&target, &journal);
		printf("             killed after %.0f of %.0f ms: %s, then whole\n", (double)wait_us / 1e3,
			(double)whole_us / 1e3, err ? "refused" : "empty or whole");
		mongo_place_drop(&target);
	}
	sqlite_place_drop(&first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(there_and_back), cmocka_unit_test(what_differs_is_named),
		cmocka_unit_test(a_move_that_is_killed_goes_on)};
	if (crypto_start() != ERR_OK || !server_find("moves"))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	server_leave();
	return failed;
}
