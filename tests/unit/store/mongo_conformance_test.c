/* The MongoDB back end under the cases that hold for every back end. */
#include "conformance.h"
#include "mongo_places.h"

static void mongo_tamper(struct place *place, const char *stream, uint64_t seq, bool header)
{
	static const char altered[] = "paylOad number 70";
	bson_error_t error;
	mongoc_client_t *client = place_client(place);
	mongoc_collection_t *collection = mongoc_client_get_collection(client, place->folder, "log_value");
	bson_t *filter = BCON_NEW("stream", BCON_UTF8(stream), "seq", BCON_INT64((int64_t)seq));
	bson_t *change =
		header ? BCON_NEW("$inc", "{", "written_at_us", BCON_INT64(1), "}")
		       : BCON_NEW("$set", "{", "payload",
				 BCON_BIN(BSON_SUBTYPE_BINARY, (const uint8_t *)altered, sizeof altered - 1), "}");
	if (!mongoc_collection_update_one(collection, filter, change, NULL, NULL, &error))
		fail_msg("%s", error.message);
	bson_destroy(filter);
	bson_destroy(change);
	mongoc_collection_destroy(collection);
	mongoc_client_destroy(client);
}

static bool collection_holds(mongoc_collection_t *collection, const char *needle)
{
	bson_t all = BSON_INITIALIZER;
	const bson_t *document = NULL;
	bool found = false;
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, &all, NULL, NULL);
	while (!found && mongoc_cursor_next(cursor, &document))
		found = memmem(bson_get_data(document), document->len, needle, strlen(needle)) != NULL;
	mongoc_cursor_destroy(cursor);
	return found;
}

static bool mongo_holds(struct place *place, const char *needle)
{
	bson_error_t error;
	bool found = false;
	mongoc_client_t *client = place_client(place);
	mongoc_database_t *database = mongoc_client_get_database(client, place->folder);
	char **names = mongoc_database_get_collection_names_with_opts(database, NULL, &error);
	assert_non_null(names);
	for (size_t i = 0; names[i] && !found; i++) {
		mongoc_collection_t *collection = mongoc_database_get_collection(database, names[i]);
		found = collection_holds(collection, needle);
		mongoc_collection_destroy(collection);
	}
	bson_strfreev(names);
	mongoc_database_destroy(database);
	mongoc_client_destroy(client);
	return found;
}

int main(void)
{
	static const struct backend backend = {.name = "mongo",
		.place_new = mongo_place_new,
		.place_drop = mongo_place_drop,
		.tamper = mongo_tamper,
		.holds = mongo_holds,
		.race_rounds = 60,
		.retention_s = 180};
	if (crypto_start() != ERR_OK || !server_find("store conformance"))
		return 1;
	int failed = conformance_run(&backend);
	server_leave();
	return failed;
}
