/* The SQLite back end: a folder with one file per class, each with one writer thread that joins the requests it finds
 * waiting into one transaction, one that copies the write-ahead log back, and a pool of read-only connections. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "carbond/runtime.h"
#include "engine.h"

#define SQLITE_HEADER_COLUMNS "seq, term, count, prev_hash, payload_hash, hash, written_at_us, node"

#define SQLITE_PATH_SIZE  4096
#define SQLITE_READERS    8   /* read-only connections a file: query workers plus consumers; more of them wait */
#define SQLITE_STATEMENTS 256 /* prepared statements a connection keeps; a power of two */
#define SQLITE_HEADS      64  /* streams whose head the writer remembers */
#define SQLITE_TEXT_SIZE  16384
#define TABLE_COLUMNS_MAX 200

/* ---- a connection: one thread at a time ---- */

struct sqlite_file;

struct sqlite_connection {
	sqlite3 *db;
	struct sqlite_file *file;
	size_t statement_count;
	sqlite3_stmt *statements[SQLITE_STATEMENTS]; /* by hash of their text */
	sqlite3_stmt *rollback;                      /* a writer's: made beforehand, it must not need memory */
};

/* ---- texts of SQL ---- */

struct sqlite_text {
	size_t size;
	bool cut; /* did not fit */
	char text[SQLITE_TEXT_SIZE];
};

struct sqlite_table_text {
	const char *create, *put, *get, *remove;
	const char *by_key;  /* ` FROM "t" WHERE "k" = ? …` */
	const char *columns; /* `"a", "b"` */
	/* put and remove only over a lower number in this column, given last: views; SIZE_MAX and NULL: there is no such column */
	size_t position_column;
	const char *put_over_lower, *remove_lower;
};

/* ---- one file ---- */

struct sqlite_head {
	char stream[STORE_STREAM_SIZE];
	uint64_t seq;
	struct hash hash;
};

struct sqlite_file {
	/* constant after open */
	struct sqlite *back;
	enum store_class class;
	const char *name; /* "value.db" */
	char path[SQLITE_PATH_SIZE];
	struct mailbox *inbox;
	struct thread *thread, *checkpointer;

	/* of the writer thread */
	struct sqlite_connection writer;
	struct sqlite_head heads[SQLITE_HEADS];
	size_t head_count, head_next;
	bool committed;      /* set by SQLite's hook once a commit stands in the write-ahead log */
	int wal_pages;       /* in the write-ahead log */
	int checkpoint_at;   /* pages at which the next checkpoint is asked for */
	int64_t sweep_at_us; /* monotonic */

	/* between the writer and the checkpoint thread */
	sem_t checkpoint_asked;
	atomic_int checkpoint_state;
	bool checkpoint_stops;

	/* of all threads, under `lock` */
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct sqlite_connection *idle[SQLITE_READERS];
	size_t idle_count, open_count;
};

struct sqlite {
	const struct store_tables *tables;
	struct sqlite_table_text *texts; /* by number of the table; in the tables' arena */
	char folder[SQLITE_PATH_SIZE];
	int lock_fd;
	size_t low_water_bytes;
	atomic_bool latched;
	atomic_bool full; /* the last look found too little space, or a write met the end of it */
	atomic_llong looked_us;
	struct sqlite_file files[STORE_CLASS_COUNT];
};

/* ---- requests to a writer thread ---- */

struct sqlite_request {
	enum err (*run)(struct sqlite_file *file, struct sqlite_request *request, struct err_info *info);
	struct store_job *job; /* a write */
	const char *stream;    /* prune, delete */
	uint64_t seq;          /* prune */
	bool frees;            /* makes space: allowed below the low-water mark */
	bool more;             /* out: there is more to do, ask again */
	enum err code;         /* out */
	struct err_info info;  /* out */
	sem_t done;
	struct sqlite_head *head, head_before; /* for undoing the remembered head */
};

/* ---- migrations built into the program ---- */

struct sqlite_migration_text {
	const char *name; /* "0001-logs.sql"; NULL ends the table */
	const char *text;
	size_t size;
};
extern const struct sqlite_migration_text sqlite_migrations[];

/* connection.c */
extern const char *const sqlite_class_names[STORE_CLASS_COUNT];
enum err sqlite_connect(struct sqlite_file *file, bool writer, struct sqlite_connection *ret_connection,
	struct err_info *info) MUST_CHECK;
void sqlite_disconnect(struct sqlite_connection *connection);
/* The error of the last call on this connection, in our terms. */
enum err sqlite_failure(struct sqlite_connection *connection, int code, const char *what, struct err_info *info);
/* A cached statement, reset and without bindings; the caller hands it back with sqlite_done. */
enum err sqlite_statement(struct sqlite_connection *connection, const char *text, sqlite3_stmt **ret_statement,
	struct err_info *info) MUST_CHECK;
void sqlite_done(sqlite3_stmt *statement);
enum err sqlite_run(struct sqlite_connection *connection, const char *text, struct err_info *info) MUST_CHECK;
enum err sqlite_borrow(
	struct sqlite_file *file, struct sqlite_connection **ret_connection, struct err_info *info) MUST_CHECK;
void sqlite_return(struct sqlite_file *file, struct sqlite_connection *connection);
void sqlite_bind(sqlite3_stmt *statement, int number, const struct store_value *value);
void sqlite_bind_text(sqlite3_stmt *statement, int number, const char *text);
void sqlite_bind_hash(sqlite3_stmt *statement, int number, const struct hash *hash);
/* A column's value, borrowed until the next step; texts have no final NUL. Needs no memory. */
struct store_value sqlite_column(sqlite3_stmt *statement, int number);
/* A column's text, cut to fit; "" for what is no text. */
void sqlite_column_copy(sqlite3_stmt *statement, int number, char *ret_text, size_t size);
void sqlite_add(struct sqlite_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* sqlite.c */
void sqlite_latch(struct sqlite *back, const struct err_info *info);
/* A write met the end of the space: full until the next look, which is due at once. */
void sqlite_note_full(struct sqlite *back);
/* False while there is too little space; looks at most every 100 ms. Also notices a lost lock. */
bool sqlite_has_space(struct sqlite *back);
void sqlite_mark_views(struct sqlite *back);

/* migrate.c, schema.c: on the opening thread, inside one transaction of the writer's connection */
enum err sqlite_migrate(struct sqlite_file *file, const char *folder, struct err_info *info) MUST_CHECK;
/* Whether sqlite_migrate would refuse the file's history; reads alone, through the connection `writer`. */
enum err sqlite_check_history(struct sqlite_file *file, const char *folder, struct err_info *info) MUST_CHECK;
enum err sqlite_make_texts(struct sqlite *back, struct err_info *info) MUST_CHECK;
enum err sqlite_make_tables(struct sqlite_file *file, struct err_info *info) MUST_CHECK;

/* writer.c */
enum err sqlite_writer_start(struct sqlite_file *file, struct err_info *info) MUST_CHECK;
void sqlite_writer_stop(struct sqlite_file *file);
/* Hands a request to the file's writer and waits for its verdict. */
enum err sqlite_submit(struct sqlite_file *file, struct sqlite_request *request, struct err_info *info) MUST_CHECK;
enum err sqlite_write(void *engine, struct store_job *job, struct err_info *info);

/* checkpoint.c; sqlite_checkpoint on the writer thread, between two commits */
enum err sqlite_checkpoints_start(struct sqlite_file *file, struct err_info *info) MUST_CHECK;
void sqlite_checkpoints_stop(struct sqlite_file *file);
void sqlite_checkpoint(struct sqlite_file *file);

/* change.c: on the writer thread */
enum err sqlite_change_rows(struct sqlite_file *file, struct store_job *job, struct err_info *info) MUST_CHECK;
enum err sqlite_sweep(struct sqlite_file *file, struct sqlite_request *request, struct err_info *info);

/* find.c: any thread */
enum err sqlite_get(void *engine, const struct store_table *table, const struct store_value *key, store_each_row *each,
	void *context, struct err_info *info);
enum err sqlite_scan(
	void *engine, const struct store_scan *scan, store_each_row *each, void *context, struct err_info *info);

/* logs.c */
enum err sqlite_append(struct sqlite_file *file, struct sqlite_request *request, struct err_info *info) MUST_CHECK;
/* Undoes what sqlite_append remembered of one request. */
void sqlite_forget_append(struct sqlite_request *request);
/* Whether the request's batch stands at its position. */
bool sqlite_reads_back(struct sqlite_file *file, const struct store_batch *batch);
enum err sqlite_log_head(
	void *engine, enum store_class class, const char *stream, struct store_batch *ret_head, struct err_info *info);
enum err sqlite_log_some(void *engine, enum store_class class, const char *stream, uint64_t from_seq, size_t most,
	size_t bytes, struct arena *arena, struct store_batch *ret_batches, size_t *ret_count, struct err_info *info);
enum err sqlite_log_streams(void *engine, enum store_class class, const char *prefix, struct arena *arena,
	const char ***ret_names, size_t *ret_count, struct err_info *info);
enum err sqlite_log_prune(
	void *engine, enum store_class class, const char *stream, uint64_t seq, struct err_info *info);
enum err sqlite_log_delete(void *engine, enum store_class class, const char *stream, struct err_info *info);

/* Columns as in SQLITE_HEADER_COLUMNS and behind them the payload; the batch is in the arena. */
enum err sqlite_take_batch(sqlite3_stmt *row, const char *stream, struct arena *arena, struct store_batch *ret_batch,
	struct err_info *info) MUST_CHECK;
/* The first stream behind `after` (or, inclusive, at it) in order of names; "" behind the last. */
enum err sqlite_next_stream(struct sqlite_connection *connection, const char *after, bool inclusive,
	char ret_stream[STORE_STREAM_SIZE], struct err_info *info) MUST_CHECK;

/* visit.c */
enum err sqlite_visit(void *engine, enum store_class class, const struct store_visitor *visitor, struct err_info *info);
enum err sqlite_write_many(
	void *engine, enum store_class class, struct store_job *jobs, size_t count, struct err_info *info);

#endif
