/* API keys: made, read and revoked. The secret leaves the process once, in the answer to its creation; the store has its
 * hash. Runs on workers and the admin socket's thread. */
#include <stdio.h>
#include <string.h>

#include "carbond/base/sign.h"
#include "identity_internal.h"

#define KEY_FIELDS                                                                                                  \
	FIELD(struct api_key, id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "The key's id, part of its text"),     \
		FIELD(struct api_key, org_id, FIELD_ID, .flags = FIELD_FIXED,                                       \
			.doc = "The organisation that it acts for; absent: the caller's own"),                      \
		FIELD(struct api_key, label, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 60,              \
			.doc = "What it is for; shown in logs and the audit log"),                                  \
		FIELD(struct api_key, roles, FIELD_TEXTS, .flags = FIELD_REQUIRED, .min = 1, .max = 11,             \
			.doc = "Its roles"),                                                                        \
		FIELD(struct api_key, scopes, FIELD_TEXTS, .min = 0, .max = 64,                                     \
			.doc = "Permissions that it is narrowed to; absent: all that its roles have"),              \
		FIELD(struct api_key, created_at, FIELD_TIME, .flags = FIELD_READ_ONLY, .doc = "When it was made"), \
		FIELD(struct api_key, created_by, FIELD_ID, .flags = FIELD_READ_ONLY,                               \
			.doc = "The key that made it; absent: the command line"),                                   \
		FIELD(struct api_key, expires_at, FIELD_TIME, .flags = FIELD_FIXED,                                 \
			.doc = "When it ceases to be valid; absent: never"),                                        \
		FIELD(struct api_key, revoked_at, FIELD_TIME, .flags = FIELD_READ_ONLY,                             \
			.doc = "When it was revoked; absent: it is valid"),                                         \
		FIELD(struct api_key, version, FIELD_INT, .flags = FIELD_READ_ONLY, .min = 1,                       \
			.max = LIMIT_JSON_INTEGER, .doc = "Counts its changes")

/* clang-format off */
const struct field api_key_stored_fields[] = {KEY_FIELDS,
	FIELD(struct api_key, secret_hash, FIELD_HASH, .flags = FIELD_SECRET, .doc = "SHA-256 of its secret"),
	FIELD_END};

const struct field api_key_fields[] = {KEY_FIELDS,
	FIELD(struct api_key, last_used_at, FIELD_TIME, .flags = FIELD_READ_ONLY,
		.doc = "The minute of its last use; absent: not used"),
	FIELD(struct api_key, key, FIELD_TEXT, .flags = FIELD_READ_ONLY, .max = IDENTITY_KEY_TEXT_SIZE,
		.doc = "Its whole text, only in the answer to its creation: keep it, it is not shown again"),
	FIELD_END};
/* clang-format on */

static const struct store_index indexes[] = {{.name = "by_org", .fields = {"org_id", "id"}}, {.name = NULL}};

const struct store_collection api_keys_collection = {.name = "api_keys",
	.class = STORE_VALUE,
	.fields = api_key_stored_fields,
	.row_size = sizeof(struct api_key),
	.key = {"id"},
	.indexes = indexes,
	.shard_key = "org_id",
	.doc = "API keys: who may call, with hashes of their secrets"};

static const struct field key_use_fields[] = {
	FIELD(struct key_use, key_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "The key"),
	FIELD(struct key_use, last_used_at, FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "The minute of its last use"),
	FIELD_END};

const struct store_collection identity_key_uses_collection = {.name = "key_uses",
	.class = STORE_VALUE,
	.fields = key_use_fields,
	.row_size = sizeof(struct key_use),
	.key = {"key_id"},
	.shard_key = "key_id",
	.doc = "When each API key was last used, to the minute"};

const struct store_collection *const identity_collections[] = {
	&organisations_collection, &api_keys_collection, &identity_key_uses_collection, NULL};

/* Roles that an organisation's own administrator may hand out; the others speak for the registry. */
#define OWN_ROLES                                                                                            \
	(1u << IDENTITY_ORG_ADMIN | 1u << IDENTITY_OPERATOR | 1u << IDENTITY_TRADER | 1u << IDENTITY_BUYER | \
		1u << IDENTITY_SERVICE | 1u << IDENTITY_DEVICE)

static enum err check_key(
	struct identity *identity, unsigned maker_roles, const struct api_key *key, struct err_info *info)
{
	const char *const *scopes = key->scopes.items;
	unsigned roles = 0;
	char pointer[64];
	enum err err = identity_roles_parse(key->roles.items, key->roles.count, "/roles", &roles, info);
	if (err)
		return err;
	if (roles == 0)
		return err_set(info, ERR_MISSING_FIELD, "/roles", "/roles must name at least one role");
	if (!(maker_roles & 1u << IDENTITY_PLATFORM_ADMIN) && (roles & ~OWN_ROLES))
		return err_set(info, ERR_FORBIDDEN, "/roles",
			"only a platform-admin gives the roles platform-admin, verifier, issuer, compliance and "
			"auditor");
	for (size_t i = 0; i < key->scopes.count; i++) {
		snprintf(pointer, sizeof pointer, "/scopes/%zu", i);
		if (strcmp(scopes[i], "key:write") == 0)
			return err_set(info, ERR_INVALID_FIELD, pointer, "a narrowed key cannot make keys");
		if (identity_scope_of(roles, scopes[i]) == IDENTITY_NO)
			return err_set(info, ERR_INVALID_FIELD, pointer, "%s must be a permission that the roles have",
				pointer);
	}
	if (key->expires_at != FIELD_ABSENT && key->expires_at <= clock_wall_us())
		return err_set(info, ERR_INVALID_FIELD, "/expires_at", "/expires_at must lie in the future");
	pthread_rwlock_rdlock(&identity->lock);
	const struct known_organisation *org = identity_snapshot_organisation(identity->snapshot, key->org_id);
	if (!org || org->state != ORGANISATION_ACTIVE)
		err = err_set(info, ERR_INVALID_FIELD, "/org_id", "/org_id must be an active organisation");
	else if (identity->snapshot->key_count >= LIMIT_IDENTITY_KEYS)
		err = err_set(info, ERR_INVALID_FIELD, NULL, "at most %d keys", LIMIT_IDENTITY_KEYS);
	pthread_rwlock_unlock(&identity->lock);
	return err;
}

/* Writes the row with its record and replaces the snapshot; under identity->change. */
static enum err write_key(struct identity *identity, const struct audit_actor *actor, const char *action,
	const struct api_key *old, const struct api_key *new, struct err_info *info)
{
	const struct store_change change = {.collection = &api_keys_collection,
		.row = new,
		.verb = STORE_PUT,
		.condition = old ? STORE_EQUALS : STORE_ABSENT,
		.field = old ? "version" : NULL,
		.value = old ? old->version : 0};
	const struct audit_change record = {.action = action,
		.subject_kind = "key",
		.subject = new->id,
		.org = new->org_id,
		.fields = api_key_stored_fields,
		.old_row = old,
		.new_row = new,
		.changes = &change,
		.change_count = 1};
	enum err err = audit_write(identity->options.audit, actor, &record, NULL, info);
	return err ? err : identity_snapshot_load(identity, info);
}

enum err identity_key_create(struct identity *identity, const struct audit_actor *actor, unsigned maker_roles,
	struct api_key *key, char ret_text[IDENTITY_KEY_TEXT_SIZE], struct err_info *info)
{
	uint8_t secret[KEY_SECRET_SIZE];
	char secret_text[KEY_SECRET_TEXT + 1], id[ID_TEXT_SIZE];
	enum err err = check_key(identity, maker_roles, key, info);
	if (err)
		return err;
	random_bytes(secret, sizeof secret);
	base64url_text(secret, sizeof secret, secret_text);
	key->created_at = clock_wall_us();
	key->id = id_new(key->created_at);
	key->created_by = actor->user;
	key->revoked_at = key->last_used_at = FIELD_ABSENT;
	key->version = 1;
	key->key = NULL;
	key->secret_hash = identity_key_secret_hash(key->id, secret_text);
	pthread_mutex_lock(&identity->change);
	err = write_key(identity, actor, "key.create", NULL, key, info);
	pthread_mutex_unlock(&identity->change);
	if (!err)
		snprintf(ret_text, IDENTITY_KEY_TEXT_SIZE, KEY_PREFIX "%s_%s", id_text(key->id, id), secret_text);
	explicit_bzero(secret, sizeof secret);
	explicit_bzero(secret_text, sizeof secret_text);
	return err;
}

enum err identity_key_get(
	struct identity *identity, struct id id, struct arena *arena, struct api_key *ret_key, struct err_info *info)
{
	field_clear(api_key_fields, ret_key);
	field_clear(api_key_stored_fields, ret_key);
	ret_key->id = id;
	enum err err = store_get(identity->options.store, &api_keys_collection, ret_key, arena, info);
	ret_key->key = NULL;
	ret_key->last_used_at = err ? FIELD_ABSENT : identity_key_last_used(identity, id);
	return err;
}

enum err identity_key_revoke(struct identity *identity, const struct audit_actor *actor, struct id id,
	struct arena *arena, struct api_key *ret_key, struct err_info *info)
{
	struct api_key old;
	pthread_mutex_lock(&identity->change);
	enum err err = identity_key_get(identity, id, arena, &old, info);
	*ret_key = old;
	if (!err && old.revoked_at == FIELD_ABSENT) {
		ret_key->revoked_at = clock_wall_us();
		ret_key->version++;
		err = write_key(identity, actor, "key.revoke", &old, ret_key, info);
	} else if (!err) {
		err = identity_snapshot_load(identity, info); /* an earlier attempt may have failed behind its record */
	}
	pthread_mutex_unlock(&identity->change);
	return err;
}
