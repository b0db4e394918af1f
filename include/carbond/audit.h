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
	struct id user, org;     /* key, user or device; zero: the daemon itself */
	const char *name;        /* label, never a secret */
	const char *request_id;  /* NULL outside requests */
};

struct audit_options {
	struct store *store;
	const char *node;
	const struct sign_secret *checkpoint_key; /* copied */
	int64_t checkpoint_us;   /* interval; default 1 hour */
};

enum err audit_start(const struct audit_options *options, struct audit **ret_audit, struct err_info *info) MUST_CHECK;
void audit_stop(struct audit **audit);
extern const struct store_collection *const audit_collections[]; /* NULL-terminated */

/* One change. `old_row`/`new_row` (either may be NULL) are structs described by `fields`; members that are SECRET are left out
 * and SEALED ones appear as salted hashes. `changes` are rows of class STORE_VALUE that happen with the record. */
struct audit_change {
	const char *action;      /* "unit.create" */
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

/* Records of all audit streams in order, newest first, as JSON objects for GET /v1/audit/records. */
struct audit_query {
	struct id org;           /* zero: any */
	const char *subject_kind; /* NULL: any */
	struct id subject;       /* zero: any */
	int64_t before_position; /* cursor; INT64_MAX: from the newest */
	size_t most;
};
enum err audit_find(struct audit *audit, const struct audit_query *query, struct arena *arena, json_t **ret_records,
	int64_t *ret_next_position, struct err_info *info) MUST_CHECK;

/* Folds what is new in all streams and signs a checkpoint now: canonical JSON {"node","time_us","streams":[{"stream","seq",
 * "tree_size","root"}…],"key","signature"}. */
enum err audit_checkpoint(struct audit *audit, int64_t now_us, struct err_info *info) MUST_CHECK;
/* The newest checkpoint whose `stream` reaches `tree_size` (stream NULL: the newest), as text in the arena. ERR_NOT_FOUND. */
enum err audit_checkpoint_text(struct audit *audit, const char *stream, uint64_t tree_size, struct arena *arena,
	char **ret_text, struct err_info *info) MUST_CHECK;
/* The inclusion proof of leaf `index` of `stream` in the tree of `tree_size` leaves. ERR_NOT_FOUND. */
enum err audit_inclusion(struct audit *audit, const char *stream, uint64_t index, uint64_t tree_size,
	struct merkle_proof *ret_proof, struct hash *ret_root, struct err_info *info) MUST_CHECK;
enum err audit_consistency(struct audit *audit, const char *stream, uint64_t first, uint64_t second,
	struct merkle_proof *ret_proof, struct err_info *info) MUST_CHECK;
/* The public half of the checkpoint key. */
struct sign_public audit_checkpoint_key(const struct audit *audit);

#endif
