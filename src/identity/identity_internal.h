/* What the files of room identity share: the service and its snapshot. */
#ifndef CARBOND_IDENTITY_INTERNAL_H
#define CARBOND_IDENTITY_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/identity.h"
#include "carbond/runtime.h"

#define KEY_PREFIX      "cck_"
#define KEY_SECRET_SIZE 32
#define KEY_SECRET_TEXT 43 /* base64url of it */
#define KEY_TEXT_LENGTH (sizeof KEY_PREFIX - 1 + ID_TEXT_SIZE - 1 + 1 + KEY_SECRET_TEXT)

#define PERMISSION_WORDS 2 /* a bit for each row of roles.def */

/* A key as authentication needs it. Revoked keys are not in the snapshot. */
struct known_key {
	struct id id, org;
	struct hash secret_hash;
	unsigned roles;
	bool narrowed;
	uint64_t scopes[PERMISSION_WORDS];
	int64_t expires_at;
	atomic_llong last_used_at; /* to the minute */
	char label[64];
};

struct known_organisation {
	struct id id;
	int state;
	char slug[41];
};

/* Everything that a request is judged by; immutable but for last_used_at. Replaced whole after each change. */
struct snapshot {
	size_t key_count, organisation_count;
	struct known_key *keys;                   /* by id */
	struct known_organisation *organisations; /* by id */
};

struct identity {
	struct identity_options options;
	pthread_rwlock_t lock; /* of `snapshot`; rank: inside of `change`, outside of the cache's locks */
	struct snapshot *snapshot;
	pthread_mutex_t change; /* one change at a time, so that snapshots follow each other; held across the store */
	struct turns *turns;    /* writes last uses */
};

/* A row of the collection of last uses, which is written without an audit record, at most once a minute for a key. */
struct key_use {
	struct id key_id;
	int64_t last_used_at;
};
extern const struct store_collection identity_key_uses_collection;
extern const struct field api_key_stored_fields[];

/* Reads the store and replaces the snapshot; under `change` (or before the threads run). Blocks. */
enum err identity_snapshot_load(struct identity *identity, struct err_info *info) MUST_CHECK;
void identity_snapshot_free(struct snapshot **snapshot);
struct known_key *identity_snapshot_key(const struct snapshot *snapshot, struct id id);
const struct known_organisation *identity_snapshot_organisation(const struct snapshot *snapshot, struct id id);

/* The number of a permission in the table, or −1. */
int identity_permission_number(const char *permission);

/* An Authorization header: "Bearer cck_<id>_<secret>", the secret of KEY_SECRET_TEXT bytes borrowed. NULL is allowed. */
bool identity_key_parse(const char *authorization, struct id *ret_id, const char **ret_secret);
struct hash identity_key_secret_hash(struct id id, const char *secret);

#endif
