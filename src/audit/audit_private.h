/* What the files of audit share. Two threads: `audit` appends records, `audit-tree` folds logs into trees, projects the
 * records' view and signs checkpoints. */
#ifndef AUDIT_PRIVATE_H
#define AUDIT_PRIVATE_H

#include <semaphore.h>
#include <stdatomic.h>

#include "carbond/audit.h"
#include "carbond/runtime.h"
#include "carbond/signer.h"

#define AUDIT_STREAM_PREFIX "audit."
#define AUDIT_TILE          256 /* hashes of one tile: a level of the tree is kept in tiles, eight steps apart */
#define AUDIT_TILE_STEPS    8
#define AUDIT_LEVELS        8 /* 256^8 leaves */
#define AUDIT_STREAMS_MAX   1024
#define AUDIT_NODE_SIZE     32

/* ---- rows ---- */

/* View: one record of any audit stream. `ordinal` counts them in the order in which they were folded. */
struct audit_record_row {
	int64_t ordinal;
	const char *stream;
	int64_t position;
	int64_t time_us;
	struct id org_id;
	const char *subject_kind;
	struct id subject;
	const char *record; /* canonical JSON */
};

/* View: how far a stream has been folded. */
struct audit_tree_row {
	const char *stream;
	int64_t seq, size;
	struct hash head;   /* hash of batch `seq` */
	struct bytes peaks; /* of the merkle_edge */
};

/* View: hashes of complete subtrees of 256^level leaves, 256 a row. */
struct audit_tile_row {
	const char *stream;
	int64_t level, number, count;
	struct bytes hashes;
};

struct audit_checkpoint_row {
	int64_t time_us;
	const char *node;
	const char *text;
};

/* What makes the hashes of personal data in a record checkable; destroyed, they say nothing any more. */
struct audit_salt_row {
	const char *node;
	int64_t position;
	struct id org_id, subject;
	struct bytes salt;
};

extern const struct store_collection audit_records_collection, audit_trees_collection, audit_tiles_collection,
	audit_checkpoints_collection, audit_salts_collection;

/* ---- the room ---- */

struct audit_tree;

struct audit {
	/* constant after start */
	struct store *store;
	char node[AUDIT_NODE_SIZE];
	char stream[STORE_STREAM_SIZE]; /* "audit.<node>" */
	struct signer *signer;
	struct sign_public key;
	int64_t checkpoint_us;
	struct mailbox *writes, *folds;
	struct thread *writer, *folder;
	atomic_bool stopping, leads;

	/* of thread `audit` */
	uint64_t seq;          /* of the stream's last batch */
	int64_t next_position; /* of the next record */

	/* of thread `audit-tree` */
	struct audit_tree *trees;
	size_t tree_count;
	int64_t next_ordinal; /* 0: not read yet */
	int64_t last_checkpoint_us;
	bool led;            /* in the turn before */
	enum err last_fault; /* of a fold that nobody waited for: told once */
};

/* record.c: any thread */
/* The record without its position; `*ret_salted` tells whether `salt` was used. Owned by the arena. */
enum err audit_record_make(struct arena *arena, const char *node, int64_t now_us, const struct audit_actor *actor,
	const struct audit_change *change, const uint8_t salt[16], json_t **ret_record, bool *ret_salted,
	struct err_info *info) MUST_CHECK;
/* Calls `each` with every record in a batch's payload: lines of audit.*, events of journal.*. ERR_STORE_CORRUPT. */
enum err audit_split(const struct store_batch *batch,
	enum err (*each)(void *context, const void *data, size_t size, struct err_info *info), void *context,
	struct err_info *info) MUST_CHECK;

/* writer.c */
enum err audit_writer_load(struct audit *audit, struct err_info *info) MUST_CHECK;
void audit_run_writer(void *argument);

/* tree.c: on thread `audit-tree` */
/* Folds what is new in the streams of this prefix ("": all). */
enum err audit_fold(struct audit *audit, const char *prefix, struct err_info *info) MUST_CHECK;
void audit_trees_free(struct audit *audit);
/* The n-th tree in order of stream names; NULL behind the last. */
const struct audit_tree *audit_tree_at(const struct audit *audit, size_t n);

struct audit_tree_state {
	const char *stream;
	uint64_t seq, size;
	struct hash root;
};
struct audit_tree_state audit_tree_state(const struct audit_tree *tree);

/* proof.c: any thread, on what has been folded */
/* Root of the first `size` leaves. ERR_NOT_FOUND. */
enum err audit_root_at(struct audit *audit, const char *stream, uint64_t size, struct hash *ret_root,
	struct err_info *info) MUST_CHECK;

/* checkpoint.c: on thread `audit-tree` */
enum err audit_sign_checkpoint(struct audit *audit, int64_t now_us, struct err_info *info) MUST_CHECK;
enum err audit_checkpoint_newest(struct audit *audit, struct arena *arena, struct audit_checkpoint_row *ret_row,
	struct err_info *info) MUST_CHECK;

/* audit.c: any thread; waits until thread `audit-tree` has folded, at most `wait_us`. ERR_DEADLINE. */
enum err audit_ask_fold(struct audit *audit, const char *prefix, int64_t wait_us, struct err_info *info) MUST_CHECK;

#endif
