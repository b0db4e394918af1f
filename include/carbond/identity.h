/* identity: organisations, API keys, roles and what they permit. Reads that authenticate a request answer from a
 * snapshot in memory and never block; changes go through audit, so that each has its record, and then replace the
 * snapshot. Functions marked (blocks) wait on the store: workers, consumers and the admin socket only. */
#ifndef CARBOND_IDENTITY_H
#define CARBOND_IDENTITY_H

#include "carbond/audit.h"
#include "carbond/base/field.h"
#include "carbond/cache.h"
#include "carbond/store.h"

struct identity;

/* ---- roles and permissions (roles.def) ---- */

enum identity_role {
#define ROLE(name, text, doc) IDENTITY_##name,
#include "carbond/roles.def"
#undef ROLE
	IDENTITY_ROLE_COUNT
};

/* How far a permission reaches. */
enum identity_scope { IDENTITY_NO, IDENTITY_OWN, IDENTITY_ORG, IDENTITY_ANY };

/* "platform-admin"; NULL beyond the last. */
const char *identity_role_text(enum identity_role role);
/* The bit set (1 << role) of role names; ERR_INVALID_FIELD with the pointer of the first unknown one. */
enum err identity_roles_parse(const char *const *names, size_t count, const char *pointer, unsigned *ret_roles,
	struct err_info *info) MUST_CHECK;
/* The widest reach that any of the roles gives; IDENTITY_NO for an unknown permission. */
enum identity_scope identity_scope_of(unsigned roles, const char *permission);
bool identity_permission_exists(const char *permission);
/* All permissions in the table's order, for the docs: name, doc and each role's reach. */
struct identity_permission {
	const char *name;
	uint8_t reach[IDENTITY_ROLE_COUNT]; /* enum identity_scope */
	const char *doc;
};
const struct identity_permission *identity_permissions(size_t *ret_count);

/* ---- organisations ---- */

enum organisation_state { ORGANISATION_ACTIVE, ORGANISATION_SUSPENDED, ORGANISATION_CLOSED };

struct organisation {
	struct id id;
	const char *slug; /* [a-z0-9-]{1,40}, unique, fixed: part of MQTT topics */
	const char *name;
	const char *country; /* ISO 3166-1 alpha-2 */
	int state;           /* enum organisation_state; keys of others than active ones are refused */
	int64_t created_at;
	int64_t version;
};
extern const struct field organisation_fields[];
extern const struct store_collection organisations_collection; /* index "by_slug" */

/* (blocks) Fills id, created_at and version. ERR_DUPLICATE for a slug in use, ERR_INVALID_FIELD. */
enum err identity_organisation_create(struct identity *identity, const struct audit_actor *actor,
	struct organisation *organisation, struct err_info *info) MUST_CHECK;
/* (blocks) By id. ERR_NOT_FOUND. */
enum err identity_organisation_get(struct identity *identity, struct id id, struct arena *arena,
	struct organisation *ret_organisation, struct err_info *info) MUST_CHECK;
/* (blocks) Replaces name, country and state of the row with this id where its version is `version`
 * (ERR_CONDITION_FAILED); −1: whatever it is. A closed organisation is closed for ever (ERR_ORGANISATION_CLOSED). On
 * success `organisation` is the new row. */
enum err identity_organisation_update(struct identity *identity, const struct audit_actor *actor,
	struct organisation *organisation, int64_t version, struct arena *arena, struct err_info *info) MUST_CHECK;

/* By slug or UUID text, from memory. False: none, or not active. */
bool identity_organisation_find(const struct identity *identity, const char *text, struct id *ret_id);
/* The slug of an organisation, from memory; false: none. */
bool identity_organisation_slug(const struct identity *identity, struct id id, char ret_slug[41]);

/* ---- API keys: "cck_<id>_<secret>"; only a hash of the secret is stored ---- */

#define IDENTITY_KEY_TEXT_SIZE 96

struct api_key {
	struct id id, org_id;
	const char *label;
	struct field_list roles;  /* names */
	struct field_list scopes; /* permissions that it is narrowed to; none: all of its roles */
	int64_t created_at;
	struct id created_by; /* key; zero: the command line */
	int64_t expires_at;   /* FIELD_ABSENT: never */
	int64_t revoked_at;   /* FIELD_ABSENT: valid */
	int64_t last_used_at; /* to the minute; FIELD_ABSENT: never. Not stored in this row */
	const char *key;      /* its whole text: only in the answer to its creation */
	struct hash secret_hash;
	int64_t version;
};
extern const struct field api_key_fields[];
extern const struct store_collection api_keys_collection; /* index "by_org" */

/* (blocks) Makes the secret; fills id, created_at, version, and `ret_text` with the key's text, which is shown once.
 * Roles that the creator `maker_roles` may not give (platform-admin, compliance, auditor, issuer, verifier by anybody
 * but a platform-admin) are ERR_FORBIDDEN. ERR_INVALID_FIELD. */
enum err identity_key_create(struct identity *identity, const struct audit_actor *actor, unsigned maker_roles,
	struct api_key *key, char ret_text[IDENTITY_KEY_TEXT_SIZE], struct err_info *info) MUST_CHECK;
/* (blocks) ERR_NOT_FOUND. */
enum err identity_key_get(struct identity *identity, struct id id, struct arena *arena, struct api_key *ret_key,
	struct err_info *info) MUST_CHECK;
/* (blocks) Takes effect before it returns; revoking twice is no fault. */
enum err identity_key_revoke(struct identity *identity, const struct audit_actor *actor, struct id id,
	struct arena *arena, struct api_key *ret_key, struct err_info *info) MUST_CHECK;
/* The minute of its last use, from memory; FIELD_ABSENT: not used. */
int64_t identity_key_last_used(const struct identity *identity, struct id id);

/* ---- start, authentication ---- */

struct identity_options {
	struct store *store;
	struct audit *audit;
	struct cache *cache;
	struct cache_rate key_rate;  /* of one key; zero: the default of limits.h */
	struct cache_rate peer_rate; /* of one address: failed and public requests; zero: the default */
};

extern const struct store_collection *const identity_collections[]; /* NULL-terminated */

/* Reads the snapshot (blocks) and starts the thread that writes last uses. */
enum err identity_start(
	const struct identity_options *options, struct identity **ret_identity, struct err_info *info) MUST_CHECK;
void identity_stop(struct identity **identity);
/* (blocks) As audit_each: reads the snapshot again where another node has changed an organisation or a key. */
enum err identity_follow(
	struct identity *identity, const struct audit_news *news, size_t count, struct err_info *info) MUST_CHECK;

struct identity_check {
	const char *authorization; /* the Authorization header's value, or NULL */
	const char *permission;    /* NULL: a public route */
	const char *peer;          /* address, for the rate of the unknown */
	int64_t cost;              /* 0: it has been counted where the request came in */
};

struct identity_actor {
	struct id key, org;
	unsigned roles;            /* bit set of 1 << enum identity_role */
	enum identity_scope scope; /* of the permission asked for */
	char name[64];             /* the key's label */
};

/* Never blocks. ERR_UNAUTHENTICATED (no key, unknown, wrong secret, expired, revoked: told apart for nobody),
 * ERR_FORBIDDEN, ERR_RATE_LIMITED with the time to wait. */
enum err identity_authenticate(struct identity *identity, const struct identity_check *check,
	struct identity_actor *ret_actor, int64_t *ret_retry_after_us, struct err_info *info) MUST_CHECK;

/* (blocks) The first start of an installation: creates the first organisation and a platform-admin key in it, whose
 * text is returned once. ERR_DUPLICATE where there is an organisation already. */
enum err identity_init(struct identity *identity, struct organisation *organisation,
	char ret_text[IDENTITY_KEY_TEXT_SIZE], struct err_info *info) MUST_CHECK;

/* (blocks) The admin socket's verbs "keys.create", "keys.list", "keys.revoke", "organisations.create",
 * "organisations.list": a request object in, an answer object out (new reference). ERR_NO_ROUTE for another verb. */
enum err identity_admin(struct identity *identity, const char *verb, const json_t *request, json_t **ret_answer,
	struct err_info *info) MUST_CHECK;

#endif
