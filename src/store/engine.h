/* The door between store and its back ends. What is common lives above it (rows ↔ values, sealing, hashes, chain checks,
 * checks of the schema rows, backups); a back end does input and output. store_sqlite is one; a second one is
 * another const struct of these functions. Every function may be called from several threads at once, and may block. */
#ifndef STORE_ENGINE_H
#define STORE_ENGINE_H

#include "carbond/store.h"

/* ---- values: what a back end sees of a row's member ---- */

enum value_kind { VALUE_NULL, VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_BLOB };

struct store_value {
	enum value_kind kind;
	union {
		int64_t integer;
		double real;
		const void *data; /* text (not terminated) or bytes; borrowed */
	};
	size_t size; /* of data */
};

/* ---- tables: a collection's row of the schema, checked and with its members resolved to positions ---- */

struct store_column {
	const char *name;
	const struct field *field;
	enum value_kind kind; /* of present values; sealed ones are VALUE_BLOB */
	bool sealed;
	bool key; /* of the primary key: always present */
};

#define STORE_ORDER_COLUMNS (2 * STORE_INDEX_FIELDS)

/* An order in which rows can be read: the indexed members, then the members of the key that are not among them. */
struct store_order {
	const char *name; /* NULL: the primary key */
	bool unique;
	size_t indexed; /* so many of `columns` are the index's own */
	size_t count;
	size_t columns[STORE_ORDER_COLUMNS];
};

struct store_table {
	const struct store_collection *collection;
	size_t number; /* place among the tables */
	size_t column_count;
	struct store_column *columns;
	size_t key_count;
	size_t key[STORE_INDEX_FIELDS];
	size_t order_count; /* orders[0] is the primary key */
	struct store_order *orders;
	size_t retention_column; /* SIZE_MAX: none */
};

struct store_tables {
	struct arena *arena; /* owns them */
	struct store_table *items;
	size_t count;
	const struct seal_key *seal_keys; /* borrowed from the store */
	size_t seal_key_count;
};

/* ---- what a back end is asked to do ---- */

struct store_row_change {
	const struct store_table *table;
	const struct store_value *values; /* one per column; only those of the key for STORE_DELETE */
	enum store_verb verb;
	enum store_condition condition;
	size_t column;               /* that the condition looks at */
	struct store_value expected; /* VALUE_NULL: absent */
};

/* One write: a batch with guards, rows, or both; all or nothing. */
struct store_job {
	enum store_class class;
	struct store_batch *batch; /* payload_hash is filled in; NULL: rows alone */
	const struct store_guard *guards;
	size_t guard_count;
	const struct store_row_change *changes;
	size_t change_count;
	bool skip_below; /* refused STORE_BELOW changes are skipped */
	bool pruned;     /* the batch comes from a backup without its payload: none is kept */
	size_t refused;  /* out: index of the refused change */
};

struct store_scan {
	const struct store_table *table;
	const struct store_order *order;
	size_t prefix;                   /* so many columns of the order equal `low` */
	const struct store_value *low;   /* these four are indexed like the order's columns */
	const struct store_value *from;  /* NULL: open; compared over the order's own columns behind the prefix */
	const struct store_value *to;    /* NULL: open */
	const struct store_value *after; /* NULL: from the start; over all of the order's columns */
	bool descending;
	size_t most;
};

/* Takes one row's values, valid during the call. */
typedef enum err store_each_row(void *context, const struct store_value *values, struct err_info *info);

/* Takes a class as of one moment: the batches, stream by stream in order of their positions, and the rows, table by table; which
 * of both comes first is the back end's. What is handed over is borrowed for the call. */
struct store_visitor {
	/* The first batch of a stream that is wanted, 1 …. */
	uint64_t (*from_seq)(void *context, const char *stream);
	/* payload NULL: pruned */
	enum err (*batch)(void *context, const struct store_batch *batch, const struct store_guard *guards,
		size_t guard_count, struct err_info *info);
	enum err (*row)(void *context, const struct store_table *table, const struct store_value *values,
		struct err_info *info);
	void *context;
};

struct store_engine {
	const char *schemes[2]; /* "sqlite:"; a second one or NULL */
	const char *migrations; /* folder of its migrations among all: "sqlite" */
	bool shared;            /* other processes may change what is kept */
	enum err (*open)(const struct store_options *options, const char *place, const struct store_tables *tables,
		void **ret_engine, struct err_info *info);
	/* Looks whether open would refuse the schema of what is there, changing nothing. */
	enum err (*check)(const struct store_options *options, const char *place, struct err_info *info);
	/* Deletes all that the place keeps. NULL: the caller does it. */
	enum err (*drop)(const struct store_options *options, const char *place, struct err_info *info);
	void (*close)(void *engine);
	bool (*healthy)(void *engine, enum err *ret_err);
	/* Sets prev_hash (of the stream's head) and calls store_batch_close before it writes. */
	enum err (*write)(void *engine, struct store_job *job, struct err_info *info);
	/* The row with this key (values of the key's members, in the key's order). ERR_NOT_FOUND. */
	enum err (*get)(void *engine, const struct store_table *table, const struct store_value *key,
		store_each_row *each, void *context, struct err_info *info);
	enum err (*scan)(void *engine, const struct store_scan *scan, store_each_row *each, void *context,
		struct err_info *info);
	enum err (*log_head)(void *engine, enum store_class class, const char *stream, struct store_batch *ret_head,
		struct err_info *info);
	/* The next batches from `from_seq` on in the arena: at least one if there is one, at most `most` and, but for the
	 * first, `bytes` of payload. bytes 0: headers alone. */
	enum err (*log_some)(void *engine, enum store_class class, const char *stream, uint64_t from_seq, size_t most,
		size_t bytes, struct arena *arena, struct store_batch *ret_batches, size_t *ret_count,
		struct err_info *info);
	enum err (*log_streams)(void *engine, enum store_class class, const char *prefix, struct arena *arena,
		const char ***ret_names, size_t *ret_count, struct err_info *info);
	enum err (*log_prune)(
		void *engine, enum store_class class, const char *stream, uint64_t seq, struct err_info *info);
	enum err (*log_delete)(void *engine, enum store_class class, const char *stream, struct err_info *info);
	/* Shows a whole class as of one moment, while writers go on. */
	enum err (*visit)(
		void *engine, enum store_class class, const struct store_visitor *visitor, struct err_info *info);
	/* Carries out jobs of one class in order, at best in one transaction. For restores alone: an unknown outcome is an
	 * error, and the caller asks for the heads again. */
	enum err (*write_many)(
		void *engine, enum store_class class, struct store_job *jobs, size_t count, struct err_info *info);
	/* As store_end_writes. NULL: a writer that has gone leaves nothing behind. */
	enum err (*end_writes)(void *engine, const char *node, struct err_info *info);
};

extern const struct store_engine store_sqlite, store_mongo;

/* ---- common helpers (table.c, value.c, log.c, store.c) ---- */

/* Checks the schema rows and makes the tables. ERR_INVALID_CONFIG names the collection and member at fault. */
enum err store_tables_make(
	const struct store_options *options, struct store_tables *ret_tables, struct err_info *info) MUST_CHECK;
/* NULL when the collection was not handed to store_open. */
const struct store_table *store_table_of(const struct store_tables *tables, const struct store_collection *collection);
/* The position of a member; SIZE_MAX when there is none. */
size_t store_column_of(const struct store_table *table, const char *name);

/* The values of the named columns of a row; texts are borrowed from it, the rest is in the arena. Sealed members are
 * sealed. */
enum err store_bind(const struct store_tables *tables, const struct store_table *table, const void *row,
	const size_t *columns, size_t count, struct arena *arena, struct store_value *ret_values,
	struct err_info *info) MUST_CHECK;
/* All columns in order. */
enum err store_bind_row(const struct store_tables *tables, const struct store_table *table, const void *row,
	struct arena *arena, struct store_value *ret_values, struct err_info *info) MUST_CHECK;
/* The other way: fills a whole row, everything copied into the arena. */
enum err store_unbind_row(const struct store_tables *tables, const struct store_table *table,
	const struct store_value *values, struct arena *arena, void *ret_row, struct err_info *info) MUST_CHECK;
/* What an int member's value looks like in the back end, for conditions. */
struct store_value store_condition_value(const struct store_column *column, int64_t value);
/* Whether the change's condition holds over the stored value of its column (of a row that is there or not). */
bool store_condition_holds(const struct store_row_change *change, bool found, const struct store_value *stored);

/* The hash of a payload, and with prev_hash given the hash of the header. */
struct hash store_payload_hash(const void *payload, size_t size);
struct hash store_header_hash(const struct store_batch *batch);
/* What keeps `batch` from being number `seq` of its log behind a batch of hash `prev` (NULL: not known), as the end of a
 * sentence; NULL: nothing. */
const char *store_batch_fault(const struct store_batch *batch, uint64_t seq, const struct hash *prev);
void store_batch_close(struct store_batch *batch, struct hash prev_hash);

#endif
