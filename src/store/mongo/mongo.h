/* The MongoDB back end: one database of a replica set or sharded cluster, with a pool of clients. There are no writer threads:
 * callers write side by side, and the server joins their commits in its journal. One document a batch, one a row. */
#ifndef STORE_MONGO_H
#define STORE_MONGO_H

#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "carbond/runtime.h"
#include "engine.h"

#define MONGO_HEADS       64 /* streams of a class whose head is remembered */
#define MONGO_NAME_SIZE   64
#define MONGO_MEMBERS_MAX 200        /* of a collection */
#define MONGO_EXPIRES     "_expires" /* a date beside a row's members, for the server's TTL thread */
#define MONGO_KEY_INDEX   "carbond.primary-key"
#define MONGO_READ_US     INT64_C(15000000) /* a read is tried again over a fail-over that long */
#define MONGO_WRITE_US    INT64_C(60000000) /* a write's outcome is asked for that long, then the store latches */

struct mongo_head {
	char stream[STORE_STREAM_SIZE];
	uint64_t seq;
	struct hash hash;
};

struct mongo_heads {
	size_t count, next;
	struct mongo_head items[MONGO_HEADS];
};

#define MONGO_SESSIONS 128 /* of this process, noted lately */

struct mongo_session {
	uint8_t id[16];
	int64_t noted_us; /* monotonic; 0: none */
};

struct mongo {
	/* constant after open */
	const struct store_tables *tables;
	mongoc_client_pool_t *pool;
	char database[MONGO_NAME_SIZE];
	char node[32];    /* "": sessions are not noted */
	bool only_checks; /* a server that is not there now is the answer */

	/* the migrations' lock; the opening thread */
	bson_oid_t owner;
	int64_t locked_until_us; /* monotonic; 0: not held */

	/* of all threads */
	atomic_bool latched, full;
	pthread_mutex_t lock;
	struct mongo_heads heads[STORE_CLASS_COUNT]; /* under lock, as the next two */
	struct mongo_session sessions[MONGO_SESSIONS];
	size_t next_session;
};

/* A client of the pool with a session of its own, for one call of one thread. Its session gives each write a number, so that
 * the server drops a delayed copy of an earlier one. */
struct mongo_use {
	struct mongo *back;
	mongoc_client_t *client;
	mongoc_client_session_t *session;
	bson_oid_t mark; /* of what this call writes: the id of its batch, or of its mark in store_writes */
};

/* What an error says about what happened. */
enum mongo_fate {
	FATE_DONE,
	FATE_DUPLICATE, /* a unique index: nothing was done */
	FATE_CONFLICT,  /* another transaction was faster: nothing was done, try again */
	FATE_UNSENT,    /* no server could be asked: nothing was done, try again */
	FATE_UNKNOWN,   /* it may have been done */
	FATE_REFUSED,   /* the server's final no: nothing was done */
};

/* ---- migrations built into the program ---- */

struct mongo_migration_text {
	const char *name; /* "0001-logs.json"; NULL ends the table */
	const char *text;
	size_t size;
};
extern const struct mongo_migration_text mongo_migrations[];

/* mongo.c */
extern const char *const mongo_log_names[STORE_CLASS_COUNT];
enum err mongo_use_start(struct mongo *back, struct mongo_use *ret_use, struct err_info *info) MUST_CHECK;
void mongo_use_end(struct mongo_use *use);
/* Borrowed from nothing: destroy it. Reads are majority reads, writes w:majority (and journalled but for views). */
mongoc_collection_t *mongo_collection(struct mongo_use *use, const char *name, enum store_class class);
void mongo_latch(struct mongo *back, const struct err_info *info);

/* fate.c */
enum mongo_fate mongo_fate_of(const bson_t *reply, const bson_error_t *error);
/* The error in our terms. */
enum err mongo_failure(
	struct mongo *back, const bson_t *reply, const bson_error_t *error, const char *what, struct err_info *info);
/* Waits a little, longer each time; false once the deadline has passed. */
bool mongo_pause(unsigned *attempt, int64_t deadline_us);
/* The index that a duplicate key error names ("" where it names none). `text` is the error's message. */
void mongo_index_of(const char *text, char ret_name[MONGO_NAME_SIZE]);
/* The options of one operation in the use's session; destroy them. */
bson_t *mongo_options(const struct mongo_use *use);
/* Runs a command against the database on the primary, again over a fail-over; `repeat` says that it may run twice. reply
 * (may be NULL) is initialised in any case. */
enum err mongo_command(struct mongo_use *use, const bson_t *command, bool repeat, bson_t *ret_reply,
	bson_error_t *ret_error, struct err_info *info) MUST_CHECK;

/* document.c */
/* A member's name in documents: the only member of a primary key is _id. */
const char *mongo_member(const struct store_table *table, size_t column);
/* False when the document has become too long for BSON. An absent value becomes null. */
bool mongo_add(bson_t *document, const char *name, const struct store_column *column, const struct store_value *value);
bool mongo_add_key(bson_t *document, const struct store_table *table, const struct store_value *values);
bool mongo_add_row(bson_t *document, const struct store_table *table, const struct store_value *values);
/* The values of a stored row, borrowed from it; one a column. ERR_STORE_CORRUPT. */
enum err mongo_read_row(const struct store_table *table, const bson_t *document, struct store_value *ret_values,
	struct err_info *info) MUST_CHECK;
struct store_value mongo_value(const bson_iter_t *member);

/* schema.c, migrate.c: on the opening thread, under the migrations' lock */
enum err mongo_make_collections(struct mongo_use *use, struct err_info *info) MUST_CHECK;
/* The name under which an order of a table is kept as an index. */
void mongo_index_name(const struct store_order *order, char ret_name[MONGO_NAME_SIZE]);
/* So many of an order's columns its index has; the sort ends there. */
size_t mongo_index_size(const struct store_table *table, const struct store_order *order);
/* Takes the lock, or holds it longer. ERR_STORE_LOCKED after two minutes. */
enum err mongo_keep_lock(struct mongo_use *use, struct err_info *info) MUST_CHECK;
void mongo_drop_lock(struct mongo_use *use);
enum err mongo_migrate(struct mongo_use *use, const char *folder, struct err_info *info) MUST_CHECK;
/* Would mongo_migrate refuse what the database has had? Changes nothing, takes no lock. */
enum err mongo_migrate_check(struct mongo_use *use, const char *folder, struct err_info *info) MUST_CHECK;

/* write.c */
enum err mongo_write(void *engine, struct store_job *job, struct err_info *info);

/* sessions.c: before the first transaction of a use's session; false: it could not be noted. And the end of another daemon's. */
bool mongo_note_session(struct mongo_use *use, struct err_info *info);
enum err mongo_end_writes(void *engine, const char *node, struct err_info *info);

/* change.c: one try; what happened is the fate, and where that is FATE_REFUSED or FATE_DUPLICATE the verdict is in info. */
enum mongo_fate mongo_change_one(struct mongo_use *use, struct store_job *job, struct err_info *info);
enum mongo_fate mongo_change_views(struct mongo_use *use, struct store_job *job, struct err_info *info);
/* Inside the session's transaction. */
enum mongo_fate mongo_change_all(struct mongo_use *use, struct store_job *job, struct err_info *info);
/* Whether job's only change alone can be one operation; whether all of it can be a bulk of skipped or written rows. */
bool mongo_is_one(const struct store_job *job);
bool mongo_is_views(const struct store_job *job);
/* Whether the row that job's only change writes stands as it would write it. */
enum err mongo_row_stands(struct mongo_use *use, const struct store_row_change *change, bool *ret_stands,
	struct err_info *info) MUST_CHECK;

/* find.c */
enum err mongo_get(void *engine, const struct store_table *table, const struct store_value *key, store_each_row *each,
	void *context, struct err_info *info);
enum err mongo_scan(
	void *engine, const struct store_scan *scan, store_each_row *each, void *context, struct err_info *info);
/* What a query found, whole, so that it can be asked again over a fail-over. */
struct mongo_found {
	bson_t **documents;
	size_t count, capacity, bytes;
};
void mongo_found_free(struct mongo_found *found);
/* At most `most` documents and, but for the first, `bytes` of them (0: no bound). */
enum err mongo_find(struct mongo_use *use, const char *name, const bson_t *filter, const bson_t *options, size_t most,
	size_t bytes, struct mongo_found *ret_found, struct err_info *info) MUST_CHECK;

/* All documents, behind those that were found before; they are freed together. */
enum err mongo_find_more(struct mongo_use *use, const char *name, const bson_t *filter, const bson_t *options,
	struct mongo_found *found, struct err_info *info) MUST_CHECK;

/* logs.c */
/* A batch as a document, `mark` its _id. False when it has become too long for BSON. */
bool mongo_write_batch(bson_t *document, const struct store_job *job, const bson_oid_t *mark);
/* The payload is borrowed from the document. ERR_STORE_CORRUPT. */
enum err mongo_read_batch(
	const bson_t *document, const char *stream, struct store_batch *ret_batch, struct err_info *info) MUST_CHECK;
/* The header of the last batch; seq 0 for an empty stream. */
enum err mongo_read_head(struct mongo_use *use, enum store_class class, const char *stream,
	struct store_batch *ret_head, struct err_info *info) MUST_CHECK;
/* The first stream after `after` (or `after` itself), "" when there is none. */
enum err mongo_next_stream(struct mongo_use *use, enum store_class class, const char *after, bool inclusive,
	char ret_stream[STORE_STREAM_SIZE], struct err_info *info) MUST_CHECK;
/* One try to insert the job's batch (in a transaction if the session is in one). */
enum mongo_fate mongo_insert_batch(struct mongo_use *use, const struct store_job *job, struct err_info *info);
/* Sets prev_hash and closes the batch; ERR_POSITION_TAKEN. */
enum err mongo_link_batch(struct mongo_use *use, struct store_job *job, struct err_info *info) MUST_CHECK;
enum mongo_stands { STANDS_NONE, STANDS_OURS, STANDS_OTHER };
/* What stands at the batch's position: the one that this call wrote, by (node, term, hash) and the call's mark, or another. */
enum err mongo_read_back(struct mongo_use *use, enum store_class class, const struct store_batch *batch,
	enum mongo_stands *ret_stands, struct err_info *info) MUST_CHECK;
/* ERR_GUARD_TAKEN names the key: taken twice in the job itself; taken by a stored batch. ERR_OK where none is. */
enum err mongo_check_own_guards(const struct store_job *job, struct err_info *info) MUST_CHECK;
enum err mongo_find_taken_guard(struct mongo_use *use, const struct store_job *job, struct err_info *info) MUST_CHECK;
enum err mongo_position_taken(const struct store_batch *batch, struct err_info *info);
void mongo_remember_head(struct mongo *back, enum store_class class, const struct store_batch *batch);
void mongo_forget_head(struct mongo *back, enum store_class class, const char *stream, uint64_t below_seq);
enum err mongo_log_head(
	void *engine, enum store_class class, const char *stream, struct store_batch *ret_head, struct err_info *info);
enum err mongo_log_some(void *engine, enum store_class class, const char *stream, uint64_t from_seq, size_t most,
	size_t bytes, struct arena *arena, struct store_batch *ret_batches, size_t *ret_count, struct err_info *info);
enum err mongo_log_streams(void *engine, enum store_class class, const char *prefix, struct arena *arena,
	const char ***ret_names, size_t *ret_count, struct err_info *info);
enum err mongo_log_prune(void *engine, enum store_class class, const char *stream, uint64_t seq, struct err_info *info);
enum err mongo_log_delete(void *engine, enum store_class class, const char *stream, struct err_info *info);

/* visit.c */
enum err mongo_visit(void *engine, enum store_class class, const struct store_visitor *visitor, struct err_info *info);
enum err mongo_write_many(
	void *engine, enum store_class class, struct store_job *jobs, size_t count, struct err_info *info);

#endif
