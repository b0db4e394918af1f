/* room: store. What MongoDB takes by itself: the packed batches that carbond has written are read, and inserted again by libmongoc's bulk
 * operations into a collection with the same indexes and promises (w: majority, j: true), several at once as carbond's callers do.
 * Run by store_bench.py.
 *
 *	store_bench URI THREADS ROUNDS BULK
 * Output: documents, bytes, seconds, processor seconds.
 */
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#define DOCUMENTS_MAX 100000

static bson_t *documents[DOCUMENTS_MAX];
static size_t count, bytes;
static mongoc_client_pool_t *pool;
static const char *database;
static unsigned threads, rounds, bulk_size;

static void give_up(const char *what, const bson_error_t *error)
{
	fprintf(stderr, "store_bench: %s: %s\n", what, error ? error->message : "");
	exit(1);
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void documents_read(mongoc_client_t *client)
{
	mongoc_collection_t *from = mongoc_client_get_collection(client, database, "log_readings");
	bson_t all = BSON_INITIALIZER;
	const bson_t *document;
	bson_error_t error;
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(from, &all, NULL, NULL);
	while (count < DOCUMENTS_MAX && mongoc_cursor_next(cursor, &document)) {
		documents[count++] = bson_copy(document);
		bytes += document->len;
	}
	if (mongoc_cursor_error(cursor, &error) || count == 0)
		give_up("read log_readings", &error);
	mongoc_cursor_destroy(cursor);
	mongoc_collection_destroy(from);
}

static mongoc_collection_t *target(mongoc_client_t *client)
{
	mongoc_collection_t *to = mongoc_client_get_collection(client, database, "raw_readings");
	mongoc_write_concern_t *writes = mongoc_write_concern_new();
	mongoc_write_concern_set_wmajority(writes, 10000);
	mongoc_write_concern_set_journal(writes, true);
	mongoc_collection_set_write_concern(to, writes);
	mongoc_write_concern_destroy(writes);
	return to;
}

static void indexes_make(mongoc_client_t *client)
{
	bson_error_t error;
	mongoc_database_t *place = mongoc_client_get_database(client, database);
	bson_t *drop = BCON_NEW("drop", "raw_readings");
	mongoc_database_command_simple(place, drop, NULL, NULL, &error); /* nothing there is no fault */
	bson_t *make = BCON_NEW("createIndexes", "raw_readings", "indexes", "[", "{", "name", "position", "key", "{",
		"stream", BCON_INT32(1), "seq", BCON_INT32(1), "}", "unique", BCON_BOOL(true), "}", "]");
	if (!mongoc_database_command_simple(place, make, NULL, NULL, &error))
		give_up("make the index", &error);
	bson_destroy(drop);
	bson_destroy(make);
	mongoc_database_destroy(place);
}

/* A copy under another _id and stream, so that each round's is new. */
static void insert_renamed(mongoc_bulk_operation_t *bulk, const bson_t *document, unsigned round)
{
	bson_t copy = BSON_INITIALIZER;
	bson_error_t error;
	bson_oid_t id;
	char stream[64];
	bson_oid_init(&id, NULL);
	snprintf(stream, sizeof stream, "raw.%u", round);
	bson_append_oid(&copy, "_id", -1, &id);
	bson_append_utf8(&copy, "stream", -1, stream, -1);
	bson_copy_to_excluding_noinit(document, &copy, "_id", "stream", NULL);
	if (!mongoc_bulk_operation_insert_with_opts(bulk, &copy, NULL, &error))
		give_up("insert", &error);
	bson_destroy(&copy);
}

static void *insert(void *argument)
{
	unsigned number = (unsigned)(uintptr_t)argument;
	mongoc_client_t *client = mongoc_client_pool_pop(pool);
	mongoc_collection_t *to = target(client);
	bson_error_t error;
	for (unsigned round = number; round < rounds; round += threads)
		for (size_t first = 0; first < count; first += bulk_size) {
			mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(to, NULL);
			for (size_t i = first; i < count && i < first + bulk_size; i++)
				insert_renamed(bulk, documents[i], round);
			if (!mongoc_bulk_operation_execute(bulk, NULL, &error))
				give_up("insert", &error);
			mongoc_bulk_operation_destroy(bulk);
		}
	mongoc_collection_destroy(to);
	mongoc_client_pool_push(pool, client);
	return NULL;
}

int main(int argc, char **argv)
{
	bson_error_t error;
	pthread_t ids[64];
	if (argc != 5)
		give_up("usage: store_bench URI THREADS ROUNDS BULK", NULL);
	mongoc_init();
	mongoc_uri_t *uri = mongoc_uri_new_with_error(argv[1], &error);
	if (!uri)
		give_up(argv[1], &error);
	database = mongoc_uri_get_database(uri);
	threads = (unsigned)atoi(argv[2]);
	rounds = (unsigned)atoi(argv[3]);
	bulk_size = (unsigned)atoi(argv[4]);
	if (threads < 1 || threads > 64 || bulk_size < 1)
		give_up("1 to 64 threads, bulks of 1 or more", NULL);
	pool = mongoc_client_pool_new(uri);
	mongoc_client_t *client = mongoc_client_pool_pop(pool);
	documents_read(client);
	indexes_make(client);
	mongoc_client_pool_push(pool, client);
	double start = seconds();
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, insert, (void *)(uintptr_t)i))
			give_up("start a thread", NULL);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	double took = seconds() - start;
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	printf("%zu %zu %.6f %.6f\n", count * rounds, bytes * rounds, took,
		(double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6);
	return 0;
}
