/* audit: the third log. Everything that moved no value (sign-in, roles, keys, settings, configuration, calibrations,
 * overlays, alarms) is a record of `audit.<node>`, appended together with the rows it changes or not at all. It also folds
 * one RFC 6962 tree per stream (a leaf is a record in journal.* and audit.*, a batch hash in readings.*), signs checkpoints
 * and serves proofs. Calls block on the store. */
#ifndef CARBOND_AUDIT_H
#define CARBOND_AUDIT_H

#include "carbond/base/field.h"
#include "carbond/base/merkle.h"
#include "carbond/base/sign.h"
#include "carbond/store.h"

struct audit;

/* Who did something; borrowed strings. */
struct audit_actor {
	struct id user, org;    /* key, user or device; zero: the daemon itself */
	const char *name;       /* label, never a secret */
	const char *request_id; /* NULL outside requests */
};

struct audit_options {
	struct store *store;
	const char *node;
	const struct sign_secret *checkpoint_key; /* copied */
	int64_t checkpoint_us;                    /* interval; default 1 hour */
};

/* Starts the threads `audit` (appends) and `audit-tree` (folds, signs). Main thread. ERR_STORE_CORRUPT where the node's own log
 * does not end in a record; ERR_INVALID_CONFIG. */
enum err audit_start(const struct audit_options *options, struct audit **ret_audit, struct err_info *info) MUST_CHECK;
/* On a store that daemons share, the one that leads folds and signs, and begins with what the views say; the others read what is
 * folded. Until it is said, nobody does there; where the store is not shared this daemon does. Any thread. */
void audit_lead(struct audit *audit, bool leads);
/* Finishes what was submitted. When nobody calls any more; NULL is allowed, the pointer becomes NULL. */
void audit_stop(struct audit **audit);
extern const struct store_collection *const audit_collections[]; /* NULL-terminated */

/* One change. `old_row`/`new_row` (either may be NULL) are structs described by `fields`; members that are SECRET are left out
 * and SEALED ones appear as salted hashes. `changes` are rows of class STORE_VALUE that happen with the record. */
struct audit_change {
	const char *action;       /* "unit.create" */
	const char *subject_kind; /* "unit" */
	struct id subject, org;
	const struct field *fields;
	const void *old_row, *new_row;
	const struct store_change *changes;
	size_t change_count;
};

/* Appends durably; a request whose log write fails, fails. `*ret_position` (may be NULL) is the record's sequence number in
 * this node's stream. Refusals of the rows come through as ERR_CONDITION_FAILED / ERR_DUPLICATE. */
enum err audit_write(struct audit *audit, const struct audit_actor *actor, const struct audit_change *change,
	int64_t *ret_position, struct err_info *info) MUST_CHECK;

/* The position that the next audit_write will get cannot be known before; rows that must carry theirs (calibration,
 * overlay) are written with `position_field` set: audit fills that int64 member of the first change's row. */
enum err audit_write_positioned(struct audit *audit, const struct audit_actor *actor, const struct audit_change *change,
	int64_t *position_field, int64_t *ret_position, struct err_info *info) MUST_CHECK;

/* Records of all audit streams, newest first, as JSON objects for GET /v1/audit/records: {"action","actor":{"id","org","name"},
 * "new","node","old","org","position","request_id","subject","subject_kind","time_us"}, absent members left out; reals and
 * integers beyond 2^53 as strings; sealed members as {"salted_hash"}, whose salts are rows of `audit_salts`. What this daemon
 * has written before the call is in it, unless the view is more than a second behind. */
struct audit_query {
	struct id org;            /* zero: any */
	const char *subject_kind; /* NULL: any */
	struct id subject;        /* zero: any */
	int64_t before_position;  /* cursor (place in this daemon's view); INT64_MAX: from the newest */
	size_t most;
};
/* `*ret_records` is an array owned by the arena; `*ret_next_position` is the next page's before_position, 0 at the end. Blocks
 * up to a second. */
enum err audit_find(struct audit *audit, const struct audit_query *query, struct arena *arena, json_t **ret_records,
	int64_t *ret_next_position, struct err_info *info) MUST_CHECK;

/* ---- what other nodes change, where several daemons share a store ---- */

struct audit_follower;

/* One record of another node: which rows to read again. */
struct audit_news {
	const char *subject_kind; /* "sensor" */
	struct id subject;        /* zero: none */
};
/* Told of the records in the order of their log; borrowed for the call. On the thread `audit-follow`; may block on the store.
 * What it fails with is logged, and the same records are told again a moment later. */
typedef enum err (*audit_each)(void *context, const struct audit_news *news, size_t count, struct err_info *info);

/* Notes where the other nodes' logs end now: what is loaded from the store afterwards is told of every later change. */
enum err audit_follower_new(
	struct audit *audit, struct audit_follower **ret_follower, struct err_info *info) MUST_CHECK;
/* Starts the thread, which looks every quarter of a second, and every second for nodes that are new. */
enum err audit_follower_start(
	struct audit_follower *follower, audit_each each, void *context, struct err_info *info) MUST_CHECK;
/* Looks at once, and waits until everything has been told that the others had written before the call. ERR_DEADLINE
 * (monotonic), ERR_STOPPING. Any thread but audit-follow. */
enum err audit_follow_wait(struct audit_follower *follower, int64_t deadline_us) MUST_CHECK;
/* How long ago everything had been read that the others had written. Any thread; does not block. */
int64_t audit_follow_age_us(const struct audit_follower *follower);
/* Stops the thread. NULL is allowed; the pointer becomes NULL. */
void audit_follower_free(struct audit_follower **follower);

/* Folds what is new in all streams and signs a checkpoint now, unless a log no longer leads to the last one (then
 * ERR_STORE_CORRUPT names it). Waits up to a minute (ERR_DEADLINE). Signed ("carbond/checkpoint/1") is the canonical document
 * without `signature`; key and signature are hex. The document: canonical JSON {"node","time_us","streams":[{"stream","seq",
 * "tree_size","root"}…],"key","signature"}. */
enum err audit_checkpoint(struct audit *audit, int64_t now_us, struct err_info *info) MUST_CHECK;
/* The newest checkpoint whose `stream` reaches `tree_size` (stream NULL: the newest), as text in the arena. ERR_NOT_FOUND. */
enum err audit_checkpoint_text(struct audit *audit, const char *stream, uint64_t tree_size, struct arena *arena,
	char **ret_text, struct err_info *info) MUST_CHECK;
/* How many leaves of a stream a checkpoint's document covers; −1: the stream is not in it. Any thread. */
int64_t audit_checkpoint_reach(const json_t *checkpoint, const char *stream);
/* The inclusion proof of leaf `index` (from 0) of `stream` in the tree of `tree_size` leaves. A leaf's data is a record: in
 * journal.* its bytes (event number n is leaf n − 1), in audit.* its JSON line without the line feed; in readings.* the 32
 * bytes of a batch's hash. ERR_NOT_FOUND; waits up to a second for what is not folded yet. */
enum err audit_inclusion(struct audit *audit, const char *stream, uint64_t index, uint64_t tree_size,
	struct merkle_proof *ret_proof, struct hash *ret_root, struct err_info *info) MUST_CHECK;
/* 1 ≤ first ≤ second; ERR_NOT_FOUND. */
enum err audit_consistency(struct audit *audit, const char *stream, uint64_t first, uint64_t second,
	struct merkle_proof *ret_proof, struct err_info *info) MUST_CHECK;
/* The public half of the checkpoint key. */
struct sign_public audit_checkpoint_key(const struct audit *audit);

#endif
