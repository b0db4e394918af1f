/* What only the SQLite back end has: the lock on a folder, migrations, tables that follow the field rows, views that are made
 * anew, backup and restore, and what a kill -9 leaves behind. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "backups.h"
#include "sqlite_places.h"

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[1024];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *stream = fopen(path, "wb");
	assert_non_null(stream);
	assert_int_equal(fwrite(text, 1, strlen(text), stream), strlen(text));
	fclose(stream);
}

static enum err try_open(const struct store_options *options, struct err_info *info)
{
	struct store *store = NULL;
	enum err err = store_open(options, &store, info);
	store_close(&store);
	return err;
}

/* ---- lock ---- */

static void one_process_a_folder(void **state)
{
	(void)state;
	struct place place;
	sqlite_place_new(&place);
	int ready[2], done[2];
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(done), 0);
	pid_t child = fork();
	if (child == 0) {
		struct store *store = open_store(&place);
		char byte = 'r';
		if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) < 0)
			_exit(1);
		store_close(&store);
		_exit(0);
	}
	char byte;
	assert_int_equal(read(ready[0], &byte, 1), 1);
	struct err_info info = {.code = ERR_OK};
	struct store_options options = options_for(&place);
	assert_int_equal(try_open(&options, &info), ERR_STORE_LOCKED);
	char pid[32];
	snprintf(pid, sizeof pid, "process %d ", (int)child);
	assert_non_null(strstr(info.detail, pid));
	close(done[1]);
	close(done[0]);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_ok(try_open(&options, &info), &info); /* the lock dies with its process */
	close(ready[0]);
	close(ready[1]);
	sqlite_place_drop(&place);
}

static void a_lost_lock_is_noticed(void **state)
{
	(void)state;
	struct place place;
	char path[1024];
	sqlite_place_new(&place);
	struct store *store = open_store(&place);
	assert_true(store_healthy(store, NULL));
	snprintf(path, sizeof path, "%s/lock", place.folder);
	unlink(path);
	enum err err = ERR_OK;
	int64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_US_PER_SECOND;
	while (store_healthy(store, &err) && clock_monotonic_us() < deadline_us)
		sched_yield();
	assert_int_equal(err, ERR_STORE_LATCHED);
	struct err_info info = {.code = ERR_OK};
	assert_int_equal(append(store, STORE_VALUE, "journal.0", 1, "x", &info), ERR_STORE_LATCHED);
	store_close(&store);
	sqlite_place_drop(&place);
}

/* ---- migrations ---- */

static char *built_in_first(void)
{
	FILE *stream = fopen("migrations/sqlite/0001-logs.sql", "rb");
	assert_non_null(stream);
	char *text = calloc(1, 65536);
	assert_true(fread(text, 1, 65535, stream) > 0);
	fclose(stream);
	return text;
}

/* A folder of migrations, and the one of SQLite's inside it. */
static void migrations_new(struct place *ret_folder, char ret_inside[512])
{
	sqlite_place_new(ret_folder);
	snprintf(ret_inside, 512, "%s/sqlite", ret_folder->folder);
	assert_int_equal(mkdir(ret_inside, 0700), 0);
}

static void migrations_are_numbered_and_summed(void **state)
{
	(void)state;
	struct place place, folder;
	char inside[512];
	sqlite_place_new(&place);
	migrations_new(&folder, inside);
	struct err_info info = {.code = ERR_OK};
	struct store_options options = options_for(&place);
	char *first = built_in_first();
	assert_ok(try_open(&options, &info), &info); /* built in */
	options.migrations_folder = folder.folder;
	write_file(inside, "0001-logs.sql", first);
	assert_ok(try_open(&options, &info), &info); /* the same from a folder */

	/* a further one runs, once, in the files that it names */
	write_file(inside, "0002-more.sql",
		"-- files: value; new: run\nCREATE TABLE extra (n INTEGER);\nINSERT INTO extra VALUES (1);\n");
	assert_ok(try_open(&options, &info), &info);
	assert_ok(try_open(&options, &info), &info);
	run_sql(place.folder, "value.db",
		"SELECT CASE WHEN count(*) = 1 THEN 1 ELSE abs(-9223372036854775808) END FROM extra");

	/* edited: refused, by name */
	write_file(inside, "0002-more.sql", "-- files: value; new: run\nCREATE TABLE extra (n TEXT);\n");
	assert_int_equal(try_open(&options, &info), ERR_MIGRATION_EDITED);
	assert_non_null(strstr(info.detail, "0002-more.sql"));

	/* applied by a newer version: refused, by name, by the built-in ones too */
	char path[1024];
	snprintf(path, sizeof path, "%s/0002-more.sql", inside);
	unlink(path);
	assert_int_equal(try_open(&options, &info), ERR_SCHEMA_NEWER);
	assert_non_null(strstr(info.detail, "0002-more.sql"));
	options.migrations_folder = NULL;
	assert_int_equal(try_open(&options, &info), ERR_SCHEMA_NEWER);

	/* a removed one in the middle is an edit */
	options.migrations_folder = folder.folder;
	write_file(inside, "0003-last.sql", "-- files: value; new: run\nSELECT 1;\n");
	assert_int_equal(try_open(&options, &info), ERR_MIGRATION_EDITED);
	free(first);
	sqlite_place_drop(&folder);
	sqlite_place_drop(&place);
}

static void a_failed_migration_leaves_nothing(void **state)
{
	(void)state;
	struct place place, folder;
	char inside[512];
	sqlite_place_new(&place);
	migrations_new(&folder, inside);
	struct err_info info = {.code = ERR_OK};
	struct store_options options = options_for(&place);
	options.migrations_folder = folder.folder;
	char *first = built_in_first();
	write_file(inside, "0001-logs.sql", first);
	write_file(inside, "0002-bad.sql",
		"-- files: value; new: run\nCREATE TABLE half (n INTEGER);\nCREATE NONSENSE;\n");
	assert_int_equal(try_open(&options, &info), ERR_INTERNAL);
	assert_non_null(strstr(info.detail, "0002-bad.sql"));
	/* what a new file already has is skipped there */
	write_file(inside, "0002-bad.sql", "-- files: value; new: skip\nCREATE TABLE log_batches (n INTEGER);\n");
	assert_ok(try_open(&options, &info), &info);
	assert_ok(try_open(&options, &info), &info);
	write_file(inside, "0004-nameless.sql", "CREATE TABLE x (n INTEGER);\n");
	assert_int_equal(try_open(&options, &info), ERR_INVALID_CONFIG);
	free(first);
	sqlite_place_drop(&folder);
	sqlite_place_drop(&place);
}

/* ---- tables follow the field rows ---- */

static struct field one_field(enum field_kind kind)
{
	return (struct field){.name = "position", .kind = kind, .offset = offsetof(struct tally, position), .doc = "n"};
}

static enum err open_with(struct place *place, const struct store_collection *collection, struct err_info *info)
{
	const struct store_collection *const list[] = {collection, NULL};
	struct store_options options = {.uri = place->uri, .collections = list};
	return try_open(&options, info);
}

static void tables_follow_the_fields(void **state)
{
	(void)state;
	struct place place;
	sqlite_place_new(&place);
	struct err_info info = {.code = ERR_OK};
	const struct field id = {.name = "id", .kind = FIELD_ID, .offset = offsetof(struct tally, id), .doc = "id"};
	const struct field hour = {
		.name = "hour", .kind = FIELD_INT, .offset = offsetof(struct tally, hour), .doc = "h"};
	struct field narrow[] = {id, hour, FIELD_END}, wide[] = {id, hour, one_field(FIELD_INT), FIELD_END};
	struct field changed[] = {id, hour, one_field(FIELD_TIME), FIELD_END};
	struct field retyped[] = {
		id, hour, {.name = "position", .kind = FIELD_TEXT, .offset = offsetof(struct tally, note)}, FIELD_END};
	struct store_index by_position[] = {
		{.name = "position", .fields = {"position"}, .unique = false}, {.name = NULL}};
	struct store_collection collection = {
		.name = "rows", .fields = narrow, .row_size = sizeof(struct tally), .key = {"id"}, .doc = "rows"};
	assert_ok(open_with(&place, &collection, &info), &info);
	collection.fields = wide; /* a new column */
	assert_ok(open_with(&place, &collection, &info), &info);
	collection.indexes = by_position; /* a new index */
	assert_ok(open_with(&place, &collection, &info), &info);
	run_sql(place.folder, "value.db", "INSERT INTO rows (id, hour, position) VALUES (x'01', 1, 5), (x'02', 1, 5);");
	by_position[0].unique = true; /* a changed index that the rows do not allow */
	assert_int_equal(open_with(&place, &collection, &info), ERR_SCHEMA_DIFFERS);
	by_position[0].unique = false;
	collection.fields = changed; /* stored alike */
	assert_ok(open_with(&place, &collection, &info), &info);
	collection.fields = retyped;
	assert_int_equal(open_with(&place, &collection, &info), ERR_SCHEMA_DIFFERS);
	assert_non_null(strstr(info.detail, "position"));
	collection.fields = wide;
	collection.key[0] = "hour";
	assert_int_equal(open_with(&place, &collection, &info), ERR_SCHEMA_DIFFERS);
	collection.key[0] = "id";
	collection.indexes = NULL;
	collection.fields = narrow; /* an older version over newer data */
	assert_int_equal(open_with(&place, &collection, &info), ERR_SCHEMA_NEWER);
	assert_non_null(strstr(info.detail, "position"));
	sqlite_place_drop(&place);
}

static void bad_schema_rows_are_refused(void **state)
{
	(void)state;
	struct place place;
	sqlite_place_new(&place);
	struct err_info info = {.code = ERR_OK};
	const struct store_collection good = reading_tallies;
	struct store_collection bad = good;
	bad.name = "log_batches";
	assert_int_equal(open_with(&place, &bad, &info), ERR_INVALID_CONFIG);
	bad = good;
	bad.key[1] = "nothing";
	assert_int_equal(open_with(&place, &bad, &info), ERR_INVALID_CONFIG);
	assert_non_null(strstr(info.detail, "nothing"));
	bad = things; /* sealed members without a key to seal with */
	assert_int_equal(open_with(&place, &bad, &info), ERR_INVALID_CONFIG);
	bad = good;
	bad.retention_field = "note";
	assert_int_equal(open_with(&place, &bad, &info), ERR_INVALID_CONFIG);
	struct store_options options = {.uri = "mongodb://x"};
	assert_int_equal(try_open(&options, &info), ERR_INVALID_CONFIG);
	sqlite_place_drop(&place);
}

/* ---- logs ---- */

/* A batch that is sound in itself, but belongs to another history. */
static void a_replaced_batch_is_found(void **state)
{
	(void)state;
	struct place place, other;
	sqlite_place_new(&place);
	sqlite_place_new(&other);
	struct err_info info = {.code = ERR_OK};
	struct store *store = open_store(&place);
	append_many(store, "journal.0", 9);
	store_close(&store);
	store = open_store(&other);
	append_many(store, "journal.0", 5);
	assert_ok(append(store, STORE_VALUE, "journal.0", 6, "another", &info), &info);
	store_close(&store);
	char sql[512];
	snprintf(sql, sizeof sql,
		"ATTACH '%s/value.db' AS other; DELETE FROM main.log_batches WHERE seq = 6;"
		"INSERT INTO main.log_batches SELECT * FROM other.log_batches WHERE seq = 6;",
		other.folder);
	run_sql(place.folder, "value.db", sql);
	store = open_store(&place);
	struct collected collected = {.count = 0};
	assert_int_equal(
		store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), ERR_STORE_CORRUPT);
	assert_int_equal(collected.last_seq, 6);
	assert_non_null(strstr(info.detail, "batch 7"));
	/* also where reading begins behind it */
	assert_int_equal(
		store_log_read(store, STORE_VALUE, "journal.0", 7, collect, &collected, &info), ERR_STORE_CORRUPT);
	store_close(&store);
	run_sql(place.folder, "value.db", "DELETE FROM log_batches WHERE seq = 4"); /* and a hole */
	store = open_store(&place);
	assert_int_equal(
		store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), ERR_STORE_CORRUPT);
	assert_non_null(strstr(info.detail, "batch 4 is missing"));
	store_close(&store);
	sqlite_place_drop(&other);
	sqlite_place_drop(&place);
}

/* ---- views ---- */

static void put_view(struct store *store, unsigned number)
{
	struct err_info info = {.code = ERR_OK};
	struct tally tally = new_tally(number, 1, 1);
	assert_ok(put(store, &view_tallies, &tally, STORE_ALWAYS, NULL, 0, &info), &info);
}

static void damaged_views_are_made_anew(void **state)
{
	(void)state;
	struct place place;
	sqlite_place_new(&place);
	struct err_info info = {.code = ERR_OK};
	struct arena *arena = arena_new(0);
	struct tally found = {.id = test_id(1), .hour = 1};
	struct store *store = open_store(&place);
	put_view(store, 1);
	store_close(&store);
	store = open_store(&place);
	assert_ok(store_get(store, &view_tallies, &found, arena, &info), &info);
	append_many(store, "journal.0", 3);
	store_close(&store);

	write_file(place.folder, "views.db", "this is no database, but long enough to be looked at as one: ....");
	store = open_store(&place);
	assert_int_equal(store_get(store, &view_tallies, &found, arena, &info), ERR_NOT_FOUND);
	assert_true(store_healthy(store, NULL));
	put_view(store, 1);
	struct collected collected = {.count = 0};
	assert_ok(store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), &info);
	assert_int_equal(collected.count, 3);
	store_close(&store);

	run_sql(place.folder, "views.db", "ALTER TABLE view_tallies ADD COLUMN later TEXT"); /* of a newer version */
	store = open_store(&place);
	assert_int_equal(store_get(store, &view_tallies, &found, arena, &info), ERR_NOT_FOUND);
	put_view(store, 1);
	store_close(&store);

	run_sql(place.folder, "views.db",
		"ALTER TABLE view_tallies DROP COLUMN note"); /* of an earlier one: its events said less */
	store = open_store(&place);
	assert_int_equal(store_get(store, &view_tallies, &found, arena, &info), ERR_NOT_FOUND);
	store_close(&store);

	write_file(place.folder, "value.db", "this is no database, but long enough to be looked at as one: ....");
	struct store_options options = options_for(&place);
	assert_int_equal(try_open(&options, &info), ERR_STORE_CORRUPT); /* never that */
	arena_free(&arena);
	sqlite_place_drop(&place);
}

static void views_found_damaged_while_running(void **state)
{
	(void)state;
	struct place place;
	sqlite_place_new(&place);
	struct err_info info = {.code = ERR_OK};
	struct arena *arena = arena_new(0);
	struct store *store = open_store(&place);
	for (unsigned i = 0; i < 3000; i++)
		put_view(store, i);
	store_close(&store);
	char path[1024], rubbish[4096];
	memset(rubbish, 0xab, sizeof rubbish);
	snprintf(path, sizeof path, "%s/views.db", place.folder);
	FILE *stream = fopen(path, "r+b");
	for (long page = 12; page < 30; page++) {
		fseek(stream, page * 4096, SEEK_SET);
		fwrite(rubbish, 1, sizeof rubbish, stream);
	}
	fclose(stream);
	store = open_store(&place);
	struct store_query query = {.collection = &view_tallies, .most = 100000};
	void *rows = NULL;
	size_t count = 0;
	assert_int_equal(store_find(store, &query, arena, &rows, &count, &info), ERR_STORE_CORRUPT);
	enum err err = ERR_OK;
	assert_false(store_healthy(store, &err)); /* the process is to end */
	assert_int_equal(err, ERR_STORE_LATCHED);
	store_close(&store);
	store = open_store(&place);
	assert_true(store_healthy(store, &err));
	assert_ok(store_find(store, &query, arena, &rows, &count, &info), &info);
	assert_int_equal(count, 0);
	store_close(&store);
	arena_free(&arena);
	sqlite_place_drop(&place);
}

/* ---- kill -9 ---- */

static uint64_t head_seq(struct store *store, enum store_class class, const char *stream)
{
	return backup_head(store, class, stream).seq;
}

/* Killed anywhere, a place is as it was before, refused until the restore has gone on, or restored. */
static void a_restore_survives_kill(void **state)
{
	(void)state;
	struct place place;
	struct backup_case backup;
	struct store_backup_report report;
	struct err_info info = {.code = ERR_OK};
	sqlite_place_new(&place);
	backup_new(&backup);
	struct store *store = open_store(&place);
	append_guarded_many(store, 1, 300);
	for (uint64_t seq = 1; seq <= 100; seq++)
		assert_ok(append(store, STORE_READINGS, "readings.n1", seq, "reading", &info), &info);
	assert_ok(backup_take(&backup, store, &report, &info), &info);
	struct hash journal = backup_head(store, STORE_VALUE, "journal.0").hash;
	store_close(&store);
	int refused = 0;
	for (int round = 0; round < 12; round++) {
		struct place target;
		sqlite_place_new(&target);
		pid_t child = fork();
		if (child == 0)
			_exit(backup_restore(&backup, &target, NULL, &report, &info) ? 1 : 0);
		/* 0 to 240 ms: from before the first write to after the last */
		int64_t until_us = clock_monotonic_us() + INT64_C(2000) * round * round;
		while (clock_monotonic_us() < until_us)
			sched_yield();
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		struct store_options options = options_for(&target);
		enum err err = store_open(&options, &store, &info);
		if (err == ERR_OK) {
			uint64_t found = head_seq(store, STORE_VALUE, "journal.0");
			bool finished = head_seq(store, STORE_VALUE, "restore") == 2;
			assert_int_equal(found, finished ? 300 : 0); /* never half of it */
			store_close(&store);
			if (!finished)
				assert_ok(backup_restore(&backup, &target, NULL, &report, &info), &info);
		} else {
			assert_int_equal(err, ERR_RESTORE_UNFINISHED);
			assert_ok(backup_restore(&backup, &target, NULL, &report, &info), &info);
			refused++;
		}
		store = open_store(&target);
		assert_true(hash_equal(backup_head(store, STORE_VALUE, "journal.0").hash, journal));
		assert_int_equal(head_seq(store, STORE_READINGS, "readings.n1"), 100);
		struct collected collected = {.count = 0};
		assert_ok(store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), &info);
		assert_int_equal(collected.with_payload, 300);
		store_close(&store);
		sqlite_place_drop(&target);
	}
	print_message("killed in mid-restore and refused until it went on: %d of 12\n", refused);
	backup_drop(&backup);
	sqlite_place_drop(&place);
}

/* A file that may not grow stands for the full disk: the same calls fail, with another number. */
static void a_full_disk_ends_a_backup_alone(void **state)
{
	(void)state;
	struct place place;
	struct backup_case backup;
	struct store_backup_report report;
	struct err_info info = {.code = ERR_OK};
	sqlite_place_new(&place);
	backup_new(&backup);
	struct store *store = open_store(&place);
	append_guarded_many(store, 1, 50);
	assert_ok(backup_take(&backup, store, &report, &info), &info);
	append_guarded_many(store, 51, 100);
	struct rlimit limit, none;
	getrlimit(RLIMIT_FSIZE, &none);
	limit = none;
	limit.rlim_cur = 4096;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	enum err full = backup_take(&backup, store, &report, &info);
	setrlimit(RLIMIT_FSIZE, &none);
	assert_int_equal(full, ERR_NO_SPACE);
	assert_non_null(strstr(info.detail, "00002.part/value."));
	enum err err = ERR_OK;
	assert_true(store_healthy(store, &err));
	append_guarded_many(store, 101, 101);
	char part[320];
	snprintf(part, sizeof part, "%s/00002.part", backup.folder);
	assert_int_equal(access(part, F_OK), -1); /* nothing of the step is left */
	assert_ok(backup_take(&backup, store, &report, &info), &info);
	assert_int_equal(report.batches, 51);
	store_close(&store);
	backup_drop(&backup);
	sqlite_place_drop(&place);
}

/* The child appends to three logs and puts a row with each, and says after every answer what was acknowledged. */
static void append_for_ever(const struct place *place, int out)
{
	struct store *store = open_store(place);
	static const struct {
		enum store_class class;
		const char *stream;
	} logs[] = {{STORE_VALUE, "journal.0"}, {STORE_READINGS, "readings.n1"}, {STORE_VALUE, "audit.n1"}};
	for (;;)
		for (uint32_t i = 0; i < 3; i++) {
			struct err_info info;
			uint64_t seq = head_seq(store, logs[i].class, logs[i].stream) + 1;
			char payload[3000];
			memset(payload, 'a' + (int)(seq % 26), sizeof payload);
			struct thing thing = new_thing((unsigned)(seq * 3 + i));
			struct tally tally = new_tally((unsigned)seq, i, 1);
			struct store_change change = {.collection = i == 1 ? &reading_tallies : &things,
				.row = i == 1 ? (const void *)&tally : (const void *)&thing,
				.verb = STORE_PUT,
				.condition = STORE_ABSENT};
			struct store_batch batch = new_batch(logs[i].stream, seq, payload, sizeof payload);
			struct store_append whole = {
				.class = logs[i].class, .batch = &batch, .changes = &change, .change_count = 1};
			uint64_t said[2] = {i, seq};
			if (store_log_append(store, &whole, NULL, &info) ||
				write(out, said, sizeof said) != (ssize_t)sizeof said)
				_exit(1);
		}
}

static void nothing_acknowledged_is_lost(void **state)
{
	(void)state;
	struct place place;
	sqlite_place_new(&place);
	struct err_info info = {.code = ERR_OK};
	uint64_t acknowledged[3] = {0};
	for (int round = 0; round < 8; round++) {
		int channel[2];
		assert_int_equal(pipe(channel), 0);
		pid_t child = fork();
		if (child == 0) {
			close(channel[0]);
			append_for_ever(&place, channel[1]);
		}
		close(channel[1]);
		uint64_t said[2];
		/* a different moment each time; what is still in the pipe was acknowledged, too */
		for (int i = 0; i < 40 + round * 37; i++) {
			assert_int_equal(read(channel[0], said, sizeof said), sizeof said);
			acknowledged[said[0]] = said[1];
		}
		kill(child, SIGKILL);
		while (read(channel[0], said, sizeof said) == (ssize_t)sizeof said)
			acknowledged[said[0]] = said[1];
		close(channel[0]);
		waitpid(child, NULL, 0);

		struct store *store = open_store(&place);
		struct arena *arena = arena_new(0);
		static const char *const streams[] = {"journal.0", "readings.n1", "audit.n1"};
		for (uint32_t i = 0; i < 3; i++) {
			enum store_class class = i == 1 ? STORE_READINGS : STORE_VALUE;
			struct collected collected = {.count = 0};
			assert_ok(store_log_read(store, class, streams[i], 1, collect, &collected, &info), &info);
			assert_true(collected.count >= acknowledged[i]);
			assert_true(collected.count <= acknowledged[i] + 1);
			for (uint64_t seq = 1; seq <= collected.count + 1; seq++) {
				/* the row is there exactly where its batch is */
				struct thing thing = new_thing((unsigned)(seq * 3 + i));
				struct tally tally = {.id = test_id((unsigned)seq), .hour = i};
				enum err err = i == 1 ? store_get(store, &reading_tallies, &tally, arena, &info)
						      : store_get(store, &things, &thing, arena, &info);
				assert_int_equal(err, seq <= collected.count ? ERR_OK : ERR_NOT_FOUND);
			}
		}
		arena_free(&arena);
		store_close(&store);
	}
	sqlite_place_drop(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_process_a_folder),
		cmocka_unit_test(a_lost_lock_is_noticed),
		cmocka_unit_test(migrations_are_numbered_and_summed),
		cmocka_unit_test(a_failed_migration_leaves_nothing),
		cmocka_unit_test(tables_follow_the_fields),
		cmocka_unit_test(bad_schema_rows_are_refused),
		cmocka_unit_test(a_replaced_batch_is_found),
		cmocka_unit_test(damaged_views_are_made_anew),
		cmocka_unit_test(views_found_damaged_while_running),
		cmocka_unit_test(a_restore_survives_kill),
		cmocka_unit_test(a_full_disk_ends_a_backup_alone),
		cmocka_unit_test(nothing_acknowledged_is_lost),
	};
	if (crypto_start() != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
