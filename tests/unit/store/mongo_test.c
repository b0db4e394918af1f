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

static void migrations_are_numbered_and_summed(void **state)
{
	(void)state;
	static char first[65536];
	struct place place, folder;
	char inside[512], path[1024];
	mongo_place_new(&place);
	sqlite_place_new(&folder);
	snprintf(inside, sizeof inside, "%s/mongo", folder.folder);
	assert_int_equal(mkdir(inside, 0700), 0);
	struct err_info info = {.code = ERR_OK};
	struct store_options options = options_for(&place);
	FILE *stream = fopen("migrations/mongo/0001-logs.json", "rb");
	assert_non_null(stream);
	assert_true(fread(first, 1, sizeof first - 1, stream) > 0);
	fclose(stream);
	assert_ok(try_open(&options, &info), &info); /* built in */
	options.migrations_folder = folder.folder;
	write_file(inside, "0001-logs.json", first);
	assert_ok(try_open(&options, &info), &info); /* the same from a folder */

	/* a further one runs, and a second time does no harm */
	write_file(inside, "0002-more.json", "{\"new\": \"run\", \"commands\": [{\"create\": \"extra\"}]}");
	assert_ok(try_open(&options, &info), &info);
	assert_ok(try_open(&options, &info), &info);

	/* edited: refused, by name */
	write_file(inside, "0002-more.json", "{\"new\": \"run\", \"commands\": []}");
	assert_int_equal(try_open(&options, &info), ERR_MIGRATION_EDITED);
	assert_non_null(strstr(info.detail, "0002-more.json"));

	/* applied by a newer version: refused, by name, by the built-in ones too */
	snprintf(path, sizeof path, "%s/0002-more.json", inside);
	unlink(path);
	assert_int_equal(try_open(&options, &info), ERR_SCHEMA_NEWER);
	assert_non_null(strstr(info.detail, "0002-more.json"));
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
		cmocka_unit_test(daemons_that_start_together_take_turns), cmocka_unit_test(a_changed_schema),
		cmocka_unit_test(no_message_tells_a_password), cmocka_unit_test(a_standalone_server_is_refused)};
	if (crypto_start() != ERR_OK || !server_find("store on MongoDB"))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	server_leave();
	return failed;
}
