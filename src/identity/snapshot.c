/* The snapshot in memory by which requests are judged: loaded from the store at the start and after each change, so that
 * http threads never wait for it. Loading runs on the thread that made the change, or follows another node's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity_internal.h"

void identity_snapshot_free(struct snapshot **snapshot)
{
	if (!*snapshot)
		return;
	free((*snapshot)->keys);
	free((*snapshot)->organisations);
	free(*snapshot);
	*snapshot = NULL;
}

struct known_key *identity_snapshot_key(const struct snapshot *snapshot, struct id id)
{
	size_t low = 0, high = snapshot->key_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = id_compare(snapshot->keys[middle].id, id);
		if (order == 0)
			return &snapshot->keys[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct known_organisation *identity_snapshot_organisation(const struct snapshot *snapshot, struct id id)
{
	size_t low = 0, high = snapshot->organisation_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = id_compare(snapshot->organisations[middle].id, id);
		if (order == 0)
			return &snapshot->organisations[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static int compare_keys(const void *a, const void *b)
{
	return id_compare(((const struct known_key *)a)->id, ((const struct known_key *)b)->id);
}

static int compare_organisations(const void *a, const void *b)
{
	return id_compare(((const struct known_organisation *)a)->id, ((const struct known_organisation *)b)->id);
}

/* A stored role or scope that this version does not know grants nothing. */
static void fill_key(struct known_key *known, const struct api_key *key, int64_t last_used_at)
{
	const char *const *roles = key->roles.items, *const *scopes = key->scopes.items;
	known->id = key->id;
	known->org = key->org_id;
	known->secret_hash = key->secret_hash;
	known->expires_at = key->expires_at;
	known->narrowed = key->scopes.count > 0;
	atomic_init(&known->last_used_at, last_used_at);
	snprintf(known->label, sizeof known->label, "%s", key->label);
	for (size_t i = 0; i < key->roles.count; i++) {
		unsigned role;
		if (identity_roles_parse(&roles[i], 1, "", &role, NULL) == ERR_OK)
			known->roles |= role;
	}
	for (size_t i = 0; i < key->scopes.count; i++) {
		int number = identity_permission_number(scopes[i]);
		if (number >= 0)
			known->scopes[number / 64] |= UINT64_C(1) << (number % 64);
	}
}

static enum err load_keys(
	struct identity *identity, struct arena *arena, struct snapshot *snapshot, struct err_info *info)
{
	const struct store_query all = {.collection = &api_keys_collection, .most = LIMIT_IDENTITY_KEYS};
	const struct store_query uses = {.collection = &identity_key_uses_collection, .most = LIMIT_IDENTITY_KEYS};
	void *found = NULL, *used = NULL;
	size_t count = 0, used_count = 0;
	enum err err = store_find(identity->options.store, &all, arena, &found, &count, info);
	if (!err)
		err = store_find(identity->options.store, &uses, arena, &used, &used_count, info);
	if (err)
		return err;
	const struct api_key *keys = found;
	const struct key_use *rows = used;
	snapshot->keys = calloc(count + 1, sizeof *snapshot->keys);
	if (!snapshot->keys)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the keys");
	for (size_t i = 0; i < count; i++) {
		if (keys[i].revoked_at == FIELD_ABSENT)
			fill_key(&snapshot->keys[snapshot->key_count++], &keys[i], FIELD_ABSENT);
	}
	qsort(snapshot->keys, snapshot->key_count, sizeof *snapshot->keys, compare_keys);
	for (size_t i = 0; i < used_count; i++) {
		struct known_key *known = identity_snapshot_key(snapshot, rows[i].key_id);
		if (known)
			atomic_store(&known->last_used_at, rows[i].last_used_at);
	}
	return ERR_OK;
}

static enum err load_organisations(
	struct identity *identity, struct arena *arena, struct snapshot *snapshot, struct err_info *info)
{
	const struct store_query all = {.collection = &organisations_collection, .most = LIMIT_IDENTITY_ORGANISATIONS};
	void *found = NULL;
	size_t count = 0;
	enum err err = store_find(identity->options.store, &all, arena, &found, &count, info);
	if (err)
		return err;
	const struct organisation *rows = found;
	snapshot->organisations = calloc(count + 1, sizeof *snapshot->organisations);
	if (!snapshot->organisations)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the organisations");
	for (size_t i = 0; i < count; i++) {
		struct known_organisation *known = &snapshot->organisations[snapshot->organisation_count++];
		known->id = rows[i].id;
		known->state = rows[i].state;
		snprintf(known->slug, sizeof known->slug, "%s", rows[i].slug);
	}
	qsort(snapshot->organisations, snapshot->organisation_count, sizeof *snapshot->organisations,
		compare_organisations);
	return ERR_OK;
}

/* Uses that have not been written yet are known only to the old snapshot. */
static void carry_uses(const struct snapshot *old, struct snapshot *new)
{
	for (size_t i = 0; old && i < old->key_count; i++) {
		struct known_key *known = identity_snapshot_key(new, old->keys[i].id);
		long long used = atomic_load(&old->keys[i].last_used_at);
		if (known && used > atomic_load(&known->last_used_at))
			atomic_store(&known->last_used_at, used);
	}
}

enum err identity_snapshot_load(struct identity *identity, struct err_info *info)
{
	struct snapshot *snapshot = calloc(1, sizeof *snapshot);
	struct arena *arena = arena_new(0);
	enum err err = ERR_OK;
	if (!snapshot || !arena)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the keys");
	if (!err)
		err = load_keys(identity, arena, snapshot, info);
	if (!err)
		err = load_organisations(identity, arena, snapshot, info);
	if (!err) {
		pthread_rwlock_wrlock(&identity->lock);
		struct snapshot *old = identity->snapshot;
		carry_uses(old, snapshot);
		identity->snapshot = snapshot;
		pthread_rwlock_unlock(&identity->lock);
		snapshot = old;
	}
	identity_snapshot_free(&snapshot);
	arena_free(&arena);
	return err;
}

enum err identity_follow(struct identity *identity, const struct audit_news *news, size_t count, struct err_info *info)
{
	bool ours = false;
	for (size_t i = 0; i < count; i++)
		ours |= strcmp(news[i].subject_kind, "key") == 0 || strcmp(news[i].subject_kind, "organisation") == 0;
	if (!ours)
		return ERR_OK;
	pthread_mutex_lock(&identity->change);
	enum err err = identity_snapshot_load(identity, info);
	pthread_mutex_unlock(&identity->change);
	return err;
}

bool identity_organisation_find(const struct identity *identity, const char *text, struct id *ret_id)
{
	struct identity *own = (struct identity *)(uintptr_t)identity;
	struct id id;
	bool by_id = id_parse(text, &id) == ERR_OK, found = false;
	pthread_rwlock_rdlock(&own->lock);
	for (size_t i = 0; i < own->snapshot->organisation_count && !found; i++) {
		const struct known_organisation *each = &own->snapshot->organisations[i];
		found = each->state == ORGANISATION_ACTIVE &&
			(by_id ? id_equal(each->id, id) : strcmp(each->slug, text) == 0);
		if (found)
			*ret_id = each->id;
	}
	pthread_rwlock_unlock(&own->lock);
	return found;
}

bool identity_organisation_slug(const struct identity *identity, struct id id, char ret_slug[41])
{
	struct identity *own = (struct identity *)(uintptr_t)identity;
	pthread_rwlock_rdlock(&own->lock);
	const struct known_organisation *known = identity_snapshot_organisation(own->snapshot, id);
	if (known)
		memcpy(ret_slug, known->slug, sizeof known->slug);
	pthread_rwlock_unlock(&own->lock);
	return known != NULL;
}

int64_t identity_key_last_used(const struct identity *identity, struct id id)
{
	struct identity *own = (struct identity *)(uintptr_t)identity;
	pthread_rwlock_rdlock(&own->lock);
	const struct known_key *known = identity_snapshot_key(own->snapshot, id);
	int64_t used = known ? atomic_load(&known->last_used_at) : FIELD_ABSENT;
	pthread_rwlock_unlock(&own->lock);
	return used;
}
