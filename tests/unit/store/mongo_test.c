/* What MongoDB alone has: migrations under a lock, what is refused, secrets that stay out of messages, indexes of queries. */
#include "mongo_places.h"

static enum err try_open(struct store_options *options, struct err_info *info)
{
	struct store *store = NULL;
	enum err err = store_open(options, &store, info);
	store_close(&store);
	return err;
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[1024];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *stream = fopen(path, "wb");
	assert_non_null(stream);
	fputs(text, stream);
	fclose(stream);
}

static void copy_migration(const char *folder, const char *name)
{
	static char text[65536];
	char path[1024];
	snprintf(path, sizeof path, "migrations/mongo/%s", name);
	FILE *stream = fopen(path, "rb");
	assert_non_null(stream);
	size_t size = fread(text, 1, sizeof text - 1, stream);
	assert_true(size > 0);
	text[size] = 0;
	fclose(stream);
	write_file(folder, name, text);
}

static void migrations_are_numbered_and_summed(void **state)
{
	(void)state;
	struct place place, folder;
	char inside[512], path[1024];
	mongo_place_new(&place);
	sqlite_place_new(&folder);
	snprintf(inside, sizeof inside, "%s/mongo", folder.folder);
	assert_int_equal(mkdir(inside, 0700), 0);
	struct err_info info = {.code = ERR_OK};
	struct store_options options = options_for(&place);
	assert_ok(try_open(&options, &info), &info); /* built in */
	options.migrations_folder = folder.folder;
	copy_migration(inside, "0001-logs.json");
	copy_migration(inside, "0002-sessions.json");
	assert_ok(try_open(&options, &info), &info); /* the same from a folder */

	/* a further one runs, and a second time does no harm */
	write_file(inside, "0003-more.json", "{\"new\": \"run\", \"commands\": [{\"create\": \"extra\"}]}");
	assert_ok(try_open(&options, &info), &info);
	assert_ok(try_open(&options, &info), &info);

	/* edited: refused, by name */
	write_file(inside, "0003-more.json", "{\"new\": \"run\", \"commands\": []}");
	assert_int_equal(try_open(&options, &info), ERR_MIGRATION_EDITED);
	assert_non_null(strstr(info.detail, "0003-more.json"));

	/* applied by a newer version: refused, by name, by the built-in ones too */
	snprintf(path, sizeof path, "%s/0003-more.json", inside);
	unlink(path);
	assert_int_equal(try_open(&options, &info), ERR_SCHEMA_NEWER);
	assert_non_null(strstr(info.detail, "0003-more.json"));
	options.migrations_folder = NULL;
	assert_int_equal(try_open(&options, &info), ERR_SCHEMA_NEWER);
	sqlite_place_drop(&folder);
	mongo_place_drop(&place);
}

#define STARTERS 4

static void *start_one(void *argument)
{
	struct err_info info = {.code = ERR_OK};
	struct store_options options = options_for(argument);
	return (void *)(uintptr_t)try_open(&options, &info);
}

static void daemons_that_start_together_take_turns(void **state)
{
	(void)state;
	struct place place;
	pthread_t threads[STARTERS];
	mongo_place_new(&place);
	for (int i = 0; i < STARTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, start_one, &place), 0);
	for (int i = 0; i < STARTERS; i++) {
		void *code = NULL;
		pthread_join(threads[i], &code);
		assert_int_equal((uintptr_t)code, ERR_OK);
	}
	struct store *store = open_store(&place);
	append_many(store, "journal.0", 3);
	store_close(&store);
	mongo_place_drop(&place);
}

static enum err append_row(struct store *store, uint64_t seq)
{
	struct err_info info = {.code = ERR_OK};
	struct thing thing = new_thing((unsigned)seq);
	struct store_change change = {.collection = &things, .row = &thing, .verb = STORE_PUT};
	struct store_batch batch = new_batch("journal.0", seq, "more", 4);
	struct store_append append = {.class = STORE_VALUE, .batch = &batch, .changes = &change, .change_count = 1};
	return store_log_append(store, &append, NULL, &info);
}

/* Begins a transaction that appends to the journal, and stops in the middle of it. */
static void begin_append(mongoc_collection_t *log, mongoc_client_session_t *session, uint64_t seq)
{
	bson_error_t error;
	bson_t in_session = BSON_INITIALIZER;
	uint8_t hash[32] = {0};
	bson_t *taken = BCON_NEW("stream", BCON_UTF8("journal.0"), "seq", BCON_INT64((int64_t)seq), "term",
		BCON_INT64(1), "count", BCON_INT64(1), "prev_hash", BCON_BIN(BSON_SUBTYPE_BINARY, hash, 32),
		"payload_hash", BCON_BIN(BSON_SUBTYPE_BINARY, hash, 32), "hash",
		BCON_BIN(BSON_SUBTYPE_BINARY, hash, 32), "written_at_us", BCON_INT64(1), "node", BCON_UTF8("a"));
	assert_true(mongoc_client_session_start_transaction(session, NULL, &error));
	assert_true(mongoc_client_session_append(session, &in_session, &error));
	if (!mongoc_collection_insert_one(log, taken, &in_session, NULL, &error))
		fail_msg("%s", error.message);
	bson_destroy(taken);
	bson_destroy(&in_session);
}

/* A daemon dies in the middle of a transaction that holds the next position of a log: the server would keep it for a minute. Who
 * takes its lease over has it given up, and can write. */
static void what_a_dead_daemon_had_begun_is_given_up(void **state)
{
	(void)state;
	struct place place;
	struct err_info info = {.code = ERR_OK};
	bson_error_t error;
	mongo_place_new(&place);
	struct store_options options = options_for(&place);
	struct store *a = NULL, *b = NULL;
	options.node = "a";
	assert_ok(store_open(&options, &a, &info), &info);
	options.node = "b";
	assert_ok(store_open(&options, &b, &info), &info);
	/* a notes the session of its transaction; then we are a, and stop in the middle of one in a session noted likewise */
	struct thing thing = new_thing(1);
	struct store_change change = {.collection = &things, .row = &thing, .verb = STORE_PUT};
	struct store_batch batch = new_batch("journal.0", 1, "one", 3);
	struct store_append append = {.class = STORE_VALUE, .batch = &batch, .changes = &change, .change_count = 1};
	assert_ok(store_log_append(a, &append, NULL, &info), &info);
	mongoc_client_t *client = place_client(&place);
	mongoc_collection_t *sessions = mongoc_client_get_collection(client, place.folder, "store_sessions");
	bson_t *of_a = BCON_NEW("node", BCON_UTF8("a"));
	assert_int_equal(mongoc_collection_count_documents(sessions, of_a, NULL, NULL, NULL, &error), 1);
	mongoc_client_session_t *session = mongoc_client_start_session(client, NULL, &error);
	assert_non_null(session);
	bson_iter_t id;
	assert_true(bson_iter_init_find(&id, mongoc_client_session_get_lsid(session), "id"));
	bson_t note = BSON_INITIALIZER;
	bson_append_iter(&note, "_id", -1, &id);
	bson_append_utf8(&note, "node", -1, "a", -1);
	assert_true(mongoc_collection_insert_one(sessions, &note, NULL, NULL, &error));
	mongoc_collection_t *log = mongoc_client_get_collection(client, place.folder, "log_value");

	for (uint64_t seq = 2; seq <= 4;
		seq += 2) { /* the second time a daemon that had only been paused, and leads again */
		begin_append(log, session, seq);
		int64_t began_us = clock_monotonic_us();
		assert_ok(store_end_writes(b, "a", &info), &info);
		assert_ok(append_row(b, seq), &info);
		assert_true(clock_monotonic_us() - began_us <
			    30 * CLOCK_US_PER_SECOND); /* the server's minute has not passed */
		assert_false(mongoc_client_session_commit_transaction(session, NULL, &error));
		assert_ok(append_row(a, seq + 1), &info); /* a lived after all: its sessions go on */
	}
	bson_destroy(&note);
	bson_destroy(of_a);
	mongoc_collection_destroy(log);
	mongoc_collection_destroy(sessions);
	mongoc_client_session_destroy(session);
	mongoc_client_destroy(client);
	store_close(&a);
	store_close(&b);
	mongo_place_drop(&place);
}

static enum err open_with(const struct place *place, const struct store_collection *collection, struct err_info *info)
{
	const struct store_collection *const collections[] = {collection, NULL};
	struct store_options options = options_for(place);
	options.collections = collections;
	return try_open(&options, info);
}

static void a_changed_schema(void **state)
{
	(void)state;
	struct place place;
	struct err_info info = {.code = ERR_OK};
	mongo_place_new(&place);
	assert_ok(open_with(&place, &reading_tallies, &info), &info);
	/* a further member and index are made */
	static const struct store_index indexes[] = {
		{.name = "note", .fields = {"note"}, .unique = true}, {.name = NULL}};
	struct store_collection changed = reading_tallies;
	changed.indexes = indexes;
	assert_ok(open_with(&place, &changed, &info), &info);
	/* another kind, another key: refused */
	static const struct field other_fields[] = {FIELD(struct tally, id, FIELD_ID, .doc = "id"),
		FIELD(struct tally, hour, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "hour"),
		FIELD(struct tally, position, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "position"), FIELD_END};
	struct store_collection fewer = reading_tallies;
	fewer.fields = other_fields;
	assert_int_equal(open_with(&place, &fewer, &info), ERR_SCHEMA_NEWER);
	changed.key[1] = "position";
	assert_int_equal(open_with(&place, &changed, &info), ERR_SCHEMA_DIFFERS);
	mongo_place_drop(&place);
}

static void views_put(struct store *store, const struct store_collection *collection, struct err_info *info)
{
	struct tally tally = {.id = test_id(1), .hour = 1, .position = 1};
	struct store_change change = {.collection = collection, .row = &tally, .verb = STORE_PUT};
	assert_ok(store_write_views(store, &change, 1, info), info);
}

static bool views_are_there(
	const struct place *place, const struct store_collection *const *collections, struct err_info *info)
{
	struct store *store = NULL;
	struct tally found = {.id = test_id(1), .hour = 1};
	struct arena *arena = arena_new(1 << 20);
	struct store_options options = options_for(place);
	options.collections = collections;
	assert_ok(store_open(&options, &store, info), info);
	enum err err = store_get(store, collections[0], &found, arena, info);
	assert_true(err == ERR_OK || err == ERR_NOT_FOUND);
	if (err)
		views_put(store, collections[0], info);
	store_close(&store);
	arena_free(&arena);
	return err == ERR_OK;
}

/* As in files: an earlier version's views are made anew, all of them; those of this version stay; a newer one's are refused. */
static void views_of_an_earlier_version_are_made_anew(void **state)
{
	(void)state;
	struct place place;
	struct err_info info = {.code = ERR_OK};
	static const struct field less[] = {FIELD(struct tally, id, FIELD_ID, .doc = "id"),
		FIELD(struct tally, hour, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "hour"),
		FIELD(struct tally, position, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "position"), FIELD_END};
	struct store_collection earlier = view_tallies, other = view_tallies;
	earlier.fields = less;
	other.name = "view_others";
	const struct store_collection *was[] = {&earlier, NULL}, *is[] = {&view_tallies, NULL},
				      *more[] = {&view_tallies, &other, NULL};
	mongo_place_new(&place);
	assert_false(views_are_there(&place, was, &info)); /* it is put */
	assert_true(views_are_there(&place, was, &info));
	assert_false(views_are_there(&place, is, &info)); /* it has a member more */
	assert_true(views_are_there(&place, is, &info));
	assert_false(views_are_there(&place, more, &info)); /* a collection more: its events went by */
	assert_true(views_are_there(&place, more, &info));
	assert_int_equal(open_with(&place, &earlier, &info), ERR_SCHEMA_NEWER);
	assert_true(views_are_there(&place, more, &info));
	mongo_place_drop(&place);
}

static void no_message_tells_a_password(void **state)
{
	(void)state;
	static const char *const uris[] = {
		"mongodb://u:hunter2@h1,,h2/x", "mongodb://u:hunter2@127.0.0.1", "mongodb://u:hun%ter2@h/x"};
	for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
		struct err_info info = {.code = ERR_OK};
		struct store_options options = {.uri = uris[i],
			.collections = all_collections,
			.seal_keys = &test_seal_key,
			.seal_key_count = 1};
		assert_int_equal(try_open(&options, &info), ERR_INVALID_CONFIG);
		assert_null(strstr(info.detail, "ter2"));
	}
}

/* The standalone server that is refused: SecantusDB says so with a flag, mongod without --replSet. */
static void a_standalone_server_is_refused(void **state)
{
	(void)state;
	struct mongo_server kept = mongo_server;
	if (!kept.pid) {
		printf("             not with CARBOND_TEST_MONGODB_URI: there is no standalone server to start\n");
		return;
	}
	sqlite_place_new(&mongo_server.home);
	mongo_server.port = free_port();
	mongo_server.standalone = true;
	snprintf(mongo_server.base, sizeof mongo_server.base, "mongodb://127.0.0.1:%d", mongo_server.port);
	mongo_server.query[0] = 0;
	assert_true(server_begin());
	struct place place;
	struct err_info info = {.code = ERR_OK};
	mongo_place_new(&place);
	struct store_options options = options_for(&place);
	assert_int_equal(try_open(&options, &info), ERR_INVALID_CONFIG);
	assert_non_null(strstr(info.detail, "standalone"));
	assert_non_null(strstr(info.detail, "replica set"));
	server_end(SIGTERM);
	sqlite_place_drop(&mongo_server.home);
	mongo_server = kept;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(migrations_are_numbered_and_summed),
		cmocka_unit_test(daemons_that_start_together_take_turns),
		cmocka_unit_test(what_a_dead_daemon_had_begun_is_given_up), cmocka_unit_test(a_changed_schema),
		cmocka_unit_test(views_of_an_earlier_version_are_made_anew),
		cmocka_unit_test(no_message_tells_a_password), cmocka_unit_test(a_standalone_server_is_refused)};
	if (crypto_start() != ERR_OK || !server_find("store on MongoDB"))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	server_leave();
	return failed;
}
