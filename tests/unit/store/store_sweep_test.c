/* Decision 9 where memory ends (where the disk fails: sqlite_fault_test.c): for every allocation of ours and of SQLite while a store is opened, written, read, backed up
 * and restored. The error is clean, the store goes on (memory that ends is no latch), and what was acknowledged is there. */
#include "backups.h"
#include "sqlite_places.h"
#include "sweep.h"

#define STEPS 3

/* One batch with a guard and a row. */
static enum err append_step(struct store *store, uint64_t seq, struct err_info *info)
{
	char key[32];
	struct store_guard guard = {key, (size_t)snprintf(key, sizeof key, "guard %llu", (unsigned long long)seq)};
	struct thing thing = new_thing((unsigned)seq);
	thing.slug = key;
	thing.secret = "sealed";
	struct store_change change = {
		.collection = &things, .row = &thing, .verb = STORE_PUT, .condition = STORE_ABSENT};
	struct store_batch batch = new_batch("journal.0", seq, "payload", 7);
	struct store_append whole = {.class = STORE_VALUE,
		.batch = &batch,
		.guards = &guard,
		.guard_count = 1,
		.changes = &change,
		.change_count = 1};
	return store_log_append(store, &whole, NULL, info);
}

static void check_steps(struct store *store, uint64_t acknowledged)
{
	struct err_info info = {.code = ERR_OK};
	struct collected collected = {.count = 0};
	struct arena *arena = arena_new(0);
	assert_ok(store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), &info);
	assert_int_equal(collected.count, acknowledged);
	for (uint64_t seq = 1; seq <= STEPS; seq++) {
		struct thing thing = new_thing((unsigned)seq);
		enum err err = store_get(store, &things, &thing, arena, &info);
		assert_int_equal(err, seq <= acknowledged ? ERR_OK : ERR_NOT_FOUND);
		if (!err) {
			char slug[32];
			snprintf(slug, sizeof slug, "guard %llu", (unsigned long long)seq);
			assert_string_equal(thing.slug, slug);
			assert_string_equal(thing.secret, "sealed");
		}
	}
	arena_free(&arena);
}

static void opening(struct sweep *sweep)
{
	struct place place;
	struct store *store = NULL;
	struct err_info info = {.code = ERR_OK};
	sqlite_place_new(&place);
	struct store_options options = options_for(&place);
	sweep_arm(sweep);
	enum err err = store_open(&options, &store, &info);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	store_close(&store);
	store = open_store(&place); /* nothing stands in the way of the next start */
	assert_ok(append_step(store, 1, &info), &info);
	store_close(&store);
	sqlite_place_drop(&place);
}

static void writing(struct sweep *sweep)
{
	struct place place;
	struct err_info info = {.code = ERR_OK};
	sqlite_place_new(&place);
	struct store *store = open_store(&place);
	uint64_t acknowledged = 0;
	sweep_arm(sweep);
	for (uint64_t seq = 1; seq <= STEPS; seq++) {
		info = (struct err_info){.code = ERR_OK};
		enum err err = append_step(store, seq, &info);
		sweep_judge(sweep, err, &info);
		if (err)
			break;
		acknowledged = seq;
	}
	sweep_disarm(sweep);
	assert_true(store_healthy(store, NULL));
	for (int again = 0; again < 2; again++) {
		check_steps(store, acknowledged);
		store_close(&store);
		store = open_store(&place);
	}
	while (acknowledged < STEPS)
		assert_ok(append_step(store, ++acknowledged, &info), &info);
	check_steps(store, STEPS);
	store_close(&store);
	sqlite_place_drop(&place);
}

/* Everything that reads, once; a wrong answer is worse than none. */
static enum err read_all(struct store *store, struct arena *arena, struct err_info *info)
{
	struct collected collected = {.count = 0};
	struct thing thing = new_thing(2), *found = NULL, low = new_thing(0);
	struct store_batch head;
	size_t count = 0;
	const char **names = NULL;
	enum err err = store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, info);
	if (!err)
		assert_int_equal(collected.with_payload, STEPS);
	if (!err)
		err = store_log_head(store, STORE_VALUE, "journal.0", &head, info);
	if (!err) {
		assert_int_equal(head.seq, STEPS);
		err = store_get(store, &things, &thing, arena, info);
	}
	if (!err) {
		assert_string_equal(thing.slug, "guard 2");
		assert_string_equal(thing.secret, "sealed");
		struct store_query query = {
			.collection = &things, .index = "slug", .prefix = 1, .low = &low, .most = 10};
		err = store_find(store, &query, arena, (void **)&found, &count, info);
	}
	if (!err) {
		assert_int_equal(count, STEPS);
		for (size_t i = 0; i < count; i++) {
			char slug[32];
			snprintf(slug, sizeof slug, "guard %zu", i + 1);
			assert_string_equal(found[i].slug, slug);
		}
		struct store_query next = {.collection = &things,
			.index = "slug",
			.prefix = 1,
			.low = &low,
			.after = &found[0],
			.most = 10};
		err = store_find(store, &next, arena, (void **)&found, &count, info);
	}
	if (!err) {
		assert_int_equal(count, STEPS - 1);
		err = store_log_streams(store, STORE_VALUE, "journal.", arena, &names, &count, info);
	}
	if (!err)
		assert_int_equal(count, 1);
	return err;
}

static void reading(struct sweep *sweep)
{
	const struct place *place = sweep->context;
	struct err_info info = {.code = ERR_OK};
	struct store *store = open_store(place);
	struct arena *arena = arena_new(0);
	sweep_arm(sweep);
	enum err err = read_all(store, arena, &info);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	assert_ok(read_all(store, arena, &info), &info);
	arena_free(&arena);
	store_close(&store);
}

/* A step of a backup that failed is none; the next one is whole. */
static void backing_up(struct sweep *sweep)
{
	struct err_info info = {.code = ERR_OK};
	struct store_backup_report report;
	struct backup_case backup;
	struct store *store = open_store(sweep->context);
	struct arena *arena = arena_new(0);
	backup_new(&backup);
	sweep_arm(sweep);
	enum err err = backup_take(&backup, store, &report, &info);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	assert_ok(read_all(store, arena, &info), &info); /* the store itself is as it was */
	if (err)
		assert_ok(backup_take(&backup, store, &report, &info), &info);
	assert_int_equal(report.step, 1);
	struct store_restore_options options = {.folder = backup.folder, .key = &backup.public};
	assert_ok(store_backup_check(&options, &report, &info), &info);
	store_close(&store);
	arena_free(&arena);
	backup_drop(&backup);
}

/* A restore that failed is gone on with, and then it is all there. */
static void restoring(struct sweep *sweep)
{
	struct err_info info = {.code = ERR_OK};
	struct store_backup_report report;
	struct backup_case *backup = sweep->context;
	struct place place;
	struct arena *arena = arena_new(0);
	sqlite_place_new(&place);
	sweep_arm(sweep);
	enum err err = backup_restore(backup, &place, NULL, &report, &info);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	if (err) {
		enum err again = backup_restore(backup, &place, NULL, &report, &info);
		if (again != ERR_DUPLICATE) /* else the last commit stands, though its fsync failed */
			assert_ok(again, &info);
	}
	struct store *store = open_store(&place);
	assert_ok(read_all(store, arena, &info), &info);
	store_close(&store);
	arena_free(&arena);
	sqlite_place_drop(&place);
}

static void memory_ends(void **state)
{
	(void)state;
	struct place place;
	struct err_info info = {.code = ERR_OK};
	sweep_allocations("opening a store", opening, NULL);
	sweep_allocations("writing to a store", writing, NULL);
	sqlite_place_new(&place);
	struct store *store = open_store(&place);
	for (uint64_t seq = 1; seq <= STEPS; seq++)
		assert_ok(append_step(store, seq, &info), &info);
	store_close(&store);
	sweep_allocations("reading from a store", reading, &place);
	sweep_allocations("backing up", backing_up, &place);
	struct backup_case backup;
	struct store_backup_report report;
	backup_new(&backup);
	store = open_store(&place);
	assert_ok(backup_take(&backup, store, &report, &info), &info);
	store_close(&store);
	sweep_allocations("restoring", restoring, &backup);
	sweep_disk("restoring", restoring, &backup);
	backup_drop(&backup);
	sqlite_place_drop(&place);
}

int main(void)
{
	sweep_start(80);
	if (crypto_start() != ERR_OK)
		return 1;
	const struct CMUnitTest tests[] = {cmocka_unit_test(memory_ends)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
