/* The gate: from an Authorization header to an actor with a scope. A key's secret has 256 random bits, so one SHA-256 of it
 * is as good as a slow hash and costs a microsecond: no cache of verified keys is needed. Runs on http threads, never
 * blocks but for a reader's lock. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "identity_internal.h"

#define FAILURE_COST 10 /* rate units of a peer that guesses */

struct hash identity_key_secret_hash(struct id id, const char *secret)
{
	struct sha256 state;
	sha256_start(&state, "carbond/key/1");
	sha256_add(&state, id.bytes, sizeof id.bytes);
	sha256_add(&state, secret, KEY_SECRET_TEXT);
	return sha256_end(&state);
}

bool identity_key_parse(const char *authorization, struct id *ret_id, const char **ret_secret)
{
	char id[ID_TEXT_SIZE];
	size_t prefix = sizeof KEY_PREFIX - 1;
	if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
		return false;
	const char *text = authorization + 7;
	text += strspn(text, " ");
	if (strlen(text) != KEY_TEXT_LENGTH || strncmp(text, KEY_PREFIX, prefix) != 0 ||
		text[prefix + ID_TEXT_SIZE - 1] != '_')
		return false;
	memcpy(id, text + prefix, ID_TEXT_SIZE - 1);
	id[ID_TEXT_SIZE - 1] = 0;
	*ret_secret = text + prefix + ID_TEXT_SIZE;
	return id_parse(id, ret_id) == ERR_OK;
}

/* Limits those who are not known by a key: public requests, and wrong ones at a higher cost. */
static enum err take_peer(
	struct identity *identity, const char *peer, int64_t cost, int64_t *ret_retry_after_us, struct err_info *info)
{
	char key[96];
	if (cost == 0)
		return ERR_OK;
	snprintf(key, sizeof key, "rate/peer/%s", peer);
	if (cache_take(identity->options.cache, key, &identity->options.peer_rate, cost, clock_monotonic_us(),
		    ret_retry_after_us) != ERR_OK)
		return err_set(info, ERR_RATE_LIMITED, NULL, "too many requests from this address");
	return ERR_OK;
}

static enum err take_key(
	struct identity *identity, struct id id, int64_t cost, int64_t *ret_retry_after_us, struct err_info *info)
{
	char key[9 + ID_TEXT_SIZE] = "rate/key/";
	if (cost == 0)
		return ERR_OK;
	id_text(id, key + 9);
	if (cache_take(identity->options.cache, key, &identity->options.key_rate, cost, clock_monotonic_us(),
		    ret_retry_after_us) != ERR_OK)
		return err_set(info, ERR_RATE_LIMITED, NULL, "too many requests with this key");
	return ERR_OK;
}

/* What the key permits, under the snapshot's lock. */
static enum err judge(const struct snapshot *snapshot, const struct known_key *known, const char *permission,
	struct identity_actor *ret_actor, struct err_info *info)
{
	const struct known_organisation *org = identity_snapshot_organisation(snapshot, known->org);
	int number = identity_permission_number(permission);
	bool in_scope =
		!known->narrowed || (number >= 0 && (known->scopes[number / 64] & (UINT64_C(1) << (number % 64))) != 0);
	*ret_actor = (struct identity_actor){.key = known->id, .org = known->org, .roles = known->roles};
	memcpy(ret_actor->name, known->label, sizeof ret_actor->name);
	ret_actor->scope = in_scope ? identity_scope_of(known->roles, permission) : IDENTITY_NO;
	if (!org || org->state != ORGANISATION_ACTIVE)
		return err_set(info, ERR_FORBIDDEN, NULL, "the organisation is not active");
	if (ret_actor->scope == IDENTITY_NO)
		return err_set(info, ERR_FORBIDDEN, NULL, "this needs the permission %s", permission);
	return ERR_OK;
}

enum err identity_authenticate(struct identity *identity, const struct identity_check *check,
	struct identity_actor *ret_actor, int64_t *ret_retry_after_us, struct err_info *info)
{
	static const struct hash nobody = {{1}};
	struct id id = {0};
	const char *secret = NULL;
	int64_t now_us = clock_wall_us();
	enum err err = ERR_UNAUTHENTICATED;
	*ret_actor = (struct identity_actor){0};
	if (!check->permission)
		return take_peer(identity, check->peer, check->cost, ret_retry_after_us, info);
	if (identity_key_parse(check->authorization, &id, &secret)) {
		struct hash given = identity_key_secret_hash(id, secret);
		pthread_rwlock_rdlock(&identity->lock);
		struct known_key *known = identity_snapshot_key(identity->snapshot, id);
		/* the same work whether or not there is such a key */
		bool holds = hash_equal(given, known ? known->secret_hash : nobody);
		if (known && holds && (known->expires_at == FIELD_ABSENT || known->expires_at > now_us)) {
			int64_t minute_us = now_us - now_us % CLOCK_US_PER_MINUTE;
			if (atomic_load_explicit(&known->last_used_at, memory_order_relaxed) < minute_us)
				atomic_store_explicit(&known->last_used_at, minute_us, memory_order_relaxed);
			err = judge(identity->snapshot, known, check->permission, ret_actor, info);
		}
		pthread_rwlock_unlock(&identity->lock);
	}
	if (err == ERR_UNAUTHENTICATED) {
		err = take_peer(identity, check->peer, check->cost * FAILURE_COST, ret_retry_after_us, info);
		return err ? err
			   : err_set(info, ERR_UNAUTHENTICATED, NULL,
				     "send Authorization: Bearer with a valid API key");
	}
	enum err limited = take_key(identity, id, check->cost, ret_retry_after_us, err ? NULL : info);
	return err ? err : limited;
}
