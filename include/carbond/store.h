/* store: durable data in two primitives only: append-only logs with guard keys, and indexed collections. Back ends stand
 * behind one struct of functions (store_sqlite, store_mongo). Rooms hand their collection rows to store_open; store knows
 * no room. Every call blocks until the back end has answered: the callers are threads that may block (engine, ingest,
 * mqtt, query, consumers), never an http thread. Calls from several threads at once are safe; writes that meet share
 * a commit to disk (group commit), each with its own verdict. */
#ifndef CARBOND_STORE_H
#define CARBOND_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/field.h"
#include "carbond/base/seal.h"
#include "carbond/base/sign.h"

struct store;

/* The class of a collection or log says how it is kept (SQLite: in which file). */
enum store_class {
	STORE_VALUE,    /* journals, guards, audit logs, configuration, vault, outboxes: every commit is fsynced */
	STORE_READINGS, /* readings logs, quarantine, buckets, roll-ups, pins, reviews: every commit is fsynced */
	STORE_VIEWS,    /* views with cursors, snapshots: rebuilt when in doubt, not fsynced */
	STORE_CLASS_COUNT
};

#define STORE_INDEX_FIELDS 6

struct store_index {
	const char *name;                       /* unique within the collection */
	const char *fields[STORE_INDEX_FIELDS]; /* NULL-terminated unless full; org_id leads (decision 5) */
	bool unique;                            /* a row in which any indexed member is absent collides with none */
};

/* A collection's row in the schema table. The stored row is the C struct that `fields` describes; FIELD_OBJECT, FIELD_LIST,
 * FIELD_TEXTS and FIELD_JSON are kept as JSON text, FIELD_SEALED members sealed, all others as typed values. */
struct store_collection {
	const char *name; /* plural, snake_case: "sensors" */
	enum store_class class;
	const struct field *fields;
	size_t row_size;                     /* sizeof the struct */
	const char *key[STORE_INDEX_FIELDS]; /* members of the primary key, in order; all must be present */
	const struct store_index *indexes;   /* ended by a row whose name is NULL; may be NULL */
	const char *retention_field;         /* FIELD_TIME member after which the row may go; NULL: kept for ever */
	int64_t retention_us;                /* age of it; 0: the member is the expiry itself */
	const char *shard_key;               /* member that a cluster shards on */
	bool watched;                        /* store_options.changed is told of every change of its rows */
	/* Its rows say what is so at the moment (a lease, a cursor), and who is refused reads anew. So the write of one such row
	 * which another has written over before its outcome was known is refused as one that came too late, and one of which
	 * nothing is known in time is ERR_BUSY; elsewhere both stop the process (ERR_STORE_LATCHED). */
	bool momentary;
	const char *doc;
};

/* ---- open, close, schema ---- */

struct store_options {
	const char *uri;                                   /* "sqlite:<folder>" or "mongodb://<hosts>/<database>?…" */
	const struct store_collection *const *collections; /* NULL-terminated; unique names */
	const struct seal_key *seal_keys; /* the first one seals, all open; may be none if nothing is sealed */
	size_t seal_key_count;
	/* With a folder of numbered files a back end ("sqlite", "mongo"), instead of those built in; or NULL. */
	const char *migrations_folder;
	size_t low_water_bytes; /* SQLite: free space below which writes answer ERR_NO_SPACE; 0: none */
	const char *node;       /* MongoDB: whose writes these are, for store_end_writes; NULL: nobody's */
	/* MongoDB; NULL or "": none */
	const char *password_file; /* its first line is the password of the URI's user; read when the store opens */
	const char *tls_ca_file;   /* authorities that sign the servers' certificates, PEM; TLS is then on */
	const char *tls_certificate_key_file; /* certificate and key of our own, PEM (X.509) */
	/* Called for each changed row of a watched collection (of a deleted one only the key members may be read), on the
	 * writing thread, after the write is durable and before its call returns; also when the write failed. NULL: none. */
	void (*changed)(void *context, const struct store_collection *collection, const void *row);
	void *context;
};

/* Opens or creates, runs open migrations, makes missing tables, columns and indexes. ERR_STORE_LOCKED (detail names the
 * process), ERR_SCHEMA_NEWER, ERR_SCHEMA_DIFFERS, ERR_MIGRATION_EDITED, ERR_INVALID_CONFIG (a schema row cannot be kept),
 * ERR_IO, ERR_NO_SPACE, ERR_STORE_CORRUPT. Damaged views are deleted and made anew. */
enum err store_open(const struct store_options *options, struct store **ret_store, struct err_info *info) MUST_CHECK;
/* Would store_open take what is there? Changes nothing, takes no lock, needs no collections; ERR_OK also where there is no store
 * yet. ERR_SCHEMA_NEWER, ERR_MIGRATION_EDITED, ERR_IO, ERR_STORE_CORRUPT, ERR_INVALID_CONFIG. */
enum err store_check(const struct store_options *options, struct err_info *info) MUST_CHECK;
/* Finishes queued writes and closes. NULL is allowed; the pointer becomes NULL. */
void store_close(struct store **store);
/* False after a failed fsync or a lost lock: the process must exit (decision 9). False also while space is below the low
 * water mark; `ret_err` (may be NULL) then says which: ERR_STORE_LATCHED or ERR_NO_SPACE. */
bool store_healthy(struct store *store, enum err *ret_err);
/* True where other processes may change rows, of which store_options.changed is not told. */
bool store_is_shared(const struct store *store);

/* Has the back end give up what the daemon of that name has begun to write and not finished, for who takes over from it: else a
 * transaction may keep its rows for a minute after its daemon died. If it is alive after all, its writes are tried again. What
 * this process writes, under whatever name, goes on. Blocks. */
enum err store_end_writes(struct store *store, const char *node, struct err_info *info) MUST_CHECK;

/* ---- changes of rows ---- */

enum store_verb {
	STORE_PUT,    /* insert or replace the whole row by its key */
	STORE_DELETE, /* delete by key; nothing to delete is no fault under STORE_ALWAYS */
};

enum store_condition {
	STORE_ALWAYS,
	STORE_ABSENT,  /* no row has this key */
	STORE_EQUALS,  /* the stored row's int member `field` equals `value` (optimistic concurrency) */
	STORE_BELOW,   /* no row, or the stored row's int member `field` is below `value` (views: position) */
	STORE_AT_MOST, /* no row, or the stored member `field` is not above `value` (buckets: term) */
};

struct store_change {
	const struct store_collection *collection;
	const void *row; /* the struct; for STORE_DELETE only its key members are read */
	enum store_verb verb;
	enum store_condition condition;
	const char *field;
	int64_t value;
};

/* Carries out all changes or none; all collections must be of one class. ERR_CONDITION_FAILED or ERR_DUPLICATE (a unique
 * index; pointer names its last member) with info.detail naming the collection; ERR_NO_SPACE, ERR_STORE_LATCHED, ERR_BUSY.
 * `*ret_refused` (may be NULL): index of the refused change. */
enum err store_write(struct store *store, const struct store_change *changes, size_t count, size_t *ret_refused,
	struct err_info *info) MUST_CHECK;

/* For views: STORE_BELOW changes that are refused are skipped instead of failing the write. Otherwise as store_write. */
enum err store_write_views(
	struct store *store, const struct store_change *changes, size_t count, struct err_info *info) MUST_CHECK;

/* ---- reading rows ---- */

/* Fills `row` by its key members, everything in the arena. ERR_NOT_FOUND. */
enum err store_get(struct store *store, const struct store_collection *collection, void *row, struct arena *arena,
	struct err_info *info) MUST_CHECK;

/* Rows used as bounds are read by their indexed members alone: start them with field_clear, because a zero is a value.
 * Absent members come first in ascending order. */
struct store_query {
	const struct store_collection *collection;
	const char *index; /* an index's name; NULL: the primary key */
	const void *low;   /* a row; its first `prefix` indexed members must be equal */
	size_t prefix;     /* 0..: how many */
	const void *from;  /* a row, or NULL: the remaining indexed members start at (inclusive) … */
	const void *to;    /* … and end before (exclusive); NULL: open. Both are read up to their first absent member;
				    rows in which the first of these members is absent are in no range */
	bool descending;
	const void *after; /* a row, or NULL: continue behind this row (index members, then key): cursor pages */
	size_t most;       /* 1..LIMIT_PAGE_ROWS × 100; the caller's bound */
};

/* Rows in index order (then key) as an array of structs in the arena. */
enum err store_find(struct store *store, const struct store_query *query, struct arena *arena, void **ret_rows,
	size_t *ret_count, struct err_info *info) MUST_CHECK;

/* ---- logs ---- */

#define STORE_STREAM_SIZE     64
#define STORE_BATCH_BYTES_MAX (4u << 20)
#define STORE_GUARD_BYTES_MAX 128
#define STORE_GUARDS_MAX      70000 /* a journal batch of several commands; a command has at most 8,784 (decision 8) */

/* A guard key: taken once per stream, for ever. */
struct store_guard {
	const void *key;
	size_t size; /* 1..STORE_GUARD_BYTES_MAX */
};

/* One batch of a log. The caller gives stream, seq, term, count, written_at_us, node and payload; store computes the rest:
 * payload_hash = SHA-256("carbond/payload/1" ‖ 0 ‖ payload), hash = SHA-256("carbond/batch/1" ‖ 0 ‖ header) over all
 * fields but hash and payload: u64 length and bytes of stream, u64 seq, u64 term, u64 count, prev_hash, payload_hash, i64
 * written_at_us, u64 length and bytes of node (numbers little-endian, 8 bytes); prev_hash is that of seq − 1, zero for
 * seq 1. */
struct store_batch {
	char stream[STORE_STREAM_SIZE]; /* "journal.0", "readings.<node>", "audit.<node>" */
	uint64_t seq;                   /* 1, 2, 3 … */
	uint64_t term;
	uint32_t count; /* records in the payload */
	struct hash prev_hash;
	struct hash payload_hash;
	struct hash hash;
	int64_t written_at_us;
	char node[32];
	const uint8_t *payload; /* NULL after pruning */
	size_t payload_size;
};

struct store_append {
	enum store_class class;    /* STORE_VALUE or STORE_READINGS (snapshot logs: STORE_VIEWS) */
	struct store_batch *batch; /* hashes are filled in on success */
	const struct store_guard *guards;
	size_t guard_count;
	const struct store_change *changes; /* rows of the same class, with the batch or not at all */
	size_t change_count;
};

/* Appends durably. Three distinct refusals: ERR_POSITION_TAKEN (lead lost: stop), ERR_GUARD_TAKEN (state and guards
 * disagree: latch and exit; detail has the key in hex), ERR_CONDITION_FAILED / ERR_DUPLICATE (a row's condition: an
 * ordinary answer). A seq that leaves a gap is ERR_POSITION_TAKEN too. An unknown outcome never leaves this call: it is
 * resolved by reading the position back. */
enum err store_log_append(
	struct store *store, const struct store_append *append, size_t *ret_refused, struct err_info *info) MUST_CHECK;

/* The last batch's header (payload NULL); seq 0 and zero hashes for an empty stream. */
enum err store_log_head(struct store *store, enum store_class class, const char *stream, struct store_batch *ret_head,
	struct err_info *info) MUST_CHECK;

/* Calls `each` for batches seq ≥ from_seq in order, payload borrowed for the call, checking the hash chain
 * (ERR_STORE_CORRUPT names the seq); stops when `each` returns other than ERR_OK, and returns that. */
enum err store_log_read(struct store *store, enum store_class class, const char *stream, uint64_t from_seq,
	enum err (*each)(void *context, const struct store_batch *batch), void *context,
	struct err_info *info) MUST_CHECK;

/* Names of the streams of a class that begin with `prefix`, in the arena. */
enum err store_log_streams(struct store *store, enum store_class class, const char *prefix, struct arena *arena,
	const char ***ret_names, size_t *ret_count, struct err_info *info) MUST_CHECK;

/* Drops the payloads (not the headers) of batches below `seq`. */
enum err store_log_prune(struct store *store, enum store_class class, const char *stream, uint64_t seq,
	struct err_info *info) MUST_CHECK;

/* Deletes a whole stream of class STORE_VIEWS (an outdated snapshot). */
enum err store_log_delete(struct store *store, const char *stream, struct err_info *info) MUST_CHECK;

/* ---- backup ---- */

/* A backup is a folder with one step a folder ("00001", "00002" …). A step holds, in a form that no back end knows, the
 * batches and guard keys that came since the step before ("value.log", "readings.log"), all rows of the primaries
 * ("value.rows", "readings.rows"), the small files that the caller adds, and a manifest.json that is signed. Views are left
 * out: they are rebuilt. docs/OPERATORS.md describes the form.
 *
 * manifest.json is canonical JSON {"format", "step", "previous", "created_us", "node", "registry", "files": [{"name", "size",
 * "sha256"} …], "streams": [{"class", "stream", "from_seq", "seq", "hash"} …], "key", "signature"}; signed
 * ("carbond/backup/2") is the canonical document without `signature`. */

#define STORE_BACKUP_EXTRAS 8
#define STORE_BACKUP_STEPS  99999

struct store_backup_extra {
	const char *path, *name; /* a file of at most 64 KB and its name in the step, e.g. "node.json" */
};

struct store_backup_options {
	const char *folder;          /* made where it is not there; holds nothing, or earlier steps of this store */
	const char *node, *registry; /* whose the data is: into the manifest */
	const struct sign_public *key;
	enum err (*sign)(
		void *context, const void *data, size_t size, struct signature *ret_signature, struct err_info *info);
	void *context;
	struct store_backup_extra extras[STORE_BACKUP_EXTRAS]; /* up to the first without a name */
};

/* What a step holds, or what has been restored from a chain of them. */
struct store_backup_report {
	unsigned step;      /* number of the (last) step */
	char path[1024];    /* of its folder */
	int64_t created_us; /* what became durable before is in it */
	int64_t batches, rows, bytes;
	/* of a restore: */
	char node[32], registry[40];
	struct sign_public key;  /* that signed all steps */
	struct store_batch kept; /* header of the last batch of the stream that may be cut */
	struct store_batch lost; /* header of its last batch in the backup where it is cut off, else seq 0 */
};

/* Online: value first, then readings, so that all that the journal cites is in it; each class as of one moment. ERR_DUPLICATE
 * (the folder holds something else, or another history of these logs), ERR_BACKUP_EDITED, ERR_BACKUP_STRANGER, ERR_NO_SPACE,
 * ERR_IO: then nothing of the step is left. */
enum err store_backup(struct store *store, const struct store_backup_options *options,
	struct store_backup_report *ret_report, struct err_info *info) MUST_CHECK;

struct store_restore_options {
	const char *folder;            /* of the backup */
	const struct sign_public *key; /* that must have signed it; NULL: any one */
	/* Where a stream is to be cut: called for each of its batches in order; the first that it refuses and all later ones are
	 * left out with their guard keys. NULL: none is. */
	const char *cut_stream;
	bool (*keeps)(void *context, const struct store_batch *batch);
	void *context;
};

/* Checks all steps: signatures, sums, hash chains, and that each follows the one before. Touches nothing. ERR_BACKUP_EDITED
 * names the file, ERR_BACKUP_STRANGER the key. */
enum err store_backup_check(const struct store_restore_options *options, struct store_backup_report *ret_report,
	struct err_info *info) MUST_CHECK;

/* Checks as above, then puts the backup into a store that holds nothing (ERR_DUPLICATE), or goes on where a restore of the
 * same backup to the same place was interrupted. The store that comes back is open, and refused by store_open
 * (ERR_RESTORE_UNFINISHED) until store_restore_finish. */
enum err store_restore(const struct store_options *place, const struct store_restore_options *options,
	struct store **ret_store, struct store_backup_report *ret_report, struct err_info *info) MUST_CHECK;
enum err store_restore_finish(struct store *store, struct err_info *info) MUST_CHECK;

/* ---- move ---- */

struct store_move_report {
	size_t logs;
	int64_t batches, rows, bytes;
	struct hash sum; /* names the history: over the heads of all logs */
	bool was_there;  /* it had been moved before: both places were compared, nothing was written */
};

/* Copies a store to another place, of the same or another back end: logs with positions, hashes and guard keys, and the rows of the
 * primaries, sealed as they are; views are left out, they are rebuilt. No process may write to either. The target holds nothing
 * (ERR_DUPLICATE), or what an interrupted move of the same state left: then it goes on. Until both places were read and found
 * alike (ERR_STORE_CORRUPT names what differs), the target is refused by store_open (ERR_RESTORE_UNFINISHED). Both options have
 * the same collections. ERR_NOT_FOUND: the source is empty. */
enum err store_move(const struct store_options *from, const struct store_options *to,
	struct store_move_report *ret_report, struct err_info *info) MUST_CHECK;

#define STORE_DRILL_ENDING "_drill"

/* Deletes a MongoDB database that a drill restored to, with all in it, if there is one. Its name ends with STORE_DRILL_ENDING, or
 * ERR_INVALID_CONFIG, as for SQLite, whose drill is a folder of its own. */
enum err store_drill_drop(const struct store_options *place, struct err_info *info) MUST_CHECK;

#endif
