/* The service's life, the thread that writes last uses, and the first start of an installation. */
#include <stdlib.h>
#include <string.h>

#include "carbond/base/log.h"
#include "identity_internal.h"

/* Writes the uses that are newer than what is stored. `written` has what the thread wrote before. */
static void write_uses(struct identity *identity)
{
	struct arena *arena = arena_new(0);
	struct store_change *changes = NULL;
	struct key_use *uses = NULL;
	struct err_info info;
	size_t count = 0;
	const struct store_query all = {.collection = &identity_key_uses_collection, .most = LIMIT_IDENTITY_KEYS};
	void *found = NULL;
	size_t found_count = 0;
	if (!arena || store_find(identity->options.store, &all, arena, &found, &found_count, &info) != ERR_OK)
		goto out; /* tried again in a minute; the value in memory stays */
	const struct key_use *stored = found;
	pthread_rwlock_rdlock(&identity->lock);
	size_t key_count = identity->snapshot->key_count;
	changes = calloc(key_count + 1, sizeof *changes);
	uses = calloc(key_count + 1, sizeof *uses);
	for (size_t i = 0; changes && uses && i < key_count; i++) {
		const struct known_key *known = &identity->snapshot->keys[i];
		int64_t used = atomic_load(&known->last_used_at), before = FIELD_ABSENT;
		for (size_t low = 0, high = found_count; low < high && before == FIELD_ABSENT;) {
			size_t middle = low + (high - low) / 2;
			int order = id_compare(stored[middle].key_id, known->id);
			if (order == 0)
				before = stored[middle].last_used_at;
			else if (order < 0)
				low = middle + 1;
			else
				high = middle;
		}
		if (used == FIELD_ABSENT || used <= before)
			continue;
		uses[count] = (struct key_use){.key_id = known->id, .last_used_at = used};
		changes[count] =
			(struct store_change){.collection = &identity_key_uses_collection, .row = &uses[count]};
		count++;
	}
	pthread_rwlock_unlock(&identity->lock);
	if (count > 0 && store_write(identity->options.store, changes, count, NULL, &info) != ERR_OK)
		log_failure("key_uses_not_written", &info, NULL);
out:
	free(changes);
	free(uses);
	arena_free(&arena);
}

static void identity_run(void *argument)
{
	struct identity *identity = argument;
	bool goes_on;
	do {
		goes_on = turns_wait(identity->turns, CLOCK_US_PER_MINUTE);
		write_uses(identity);
	} while (goes_on);
}

enum err identity_start(const struct identity_options *options, struct identity **ret_identity, struct err_info *info)
{
	static const struct cache_rate key_rate = {LIMIT_IDENTITY_KEY_BURST, LIMIT_IDENTITY_KEY_PER_SECOND};
	static const struct cache_rate peer_rate = {LIMIT_IDENTITY_PEER_BURST, LIMIT_IDENTITY_PEER_PER_SECOND};
	struct identity *identity = calloc(1, sizeof *identity);
	if (!identity)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for identity");
	identity->options = *options;
	if (identity->options.key_rate.burst == 0)
		identity->options.key_rate = key_rate;
	if (identity->options.peer_rate.burst == 0)
		identity->options.peer_rate = peer_rate;
	pthread_rwlock_init(&identity->lock, NULL);
	pthread_mutex_init(&identity->change, NULL);
	enum err err = identity_snapshot_load(identity, info);
	if (!err)
		err = turns_start("identity", identity_run, identity, &identity->turns);
	if (err)
		identity_stop(&identity);
	*ret_identity = identity;
	return err;
}

void identity_stop(struct identity **identity)
{
	struct identity *own = *identity;
	if (!own)
		return;
	turns_stop(&own->turns);
	identity_snapshot_free(&own->snapshot);
	pthread_mutex_destroy(&own->change);
	pthread_rwlock_destroy(&own->lock);
	free(own);
	*identity = NULL;
}

enum err identity_init(struct identity *identity, struct organisation *organisation,
	char ret_text[IDENTITY_KEY_TEXT_SIZE], struct err_info *info)
{
	static const char *roles[] = {"platform-admin"};
	const struct audit_actor actor = {.name = "init"};
	struct api_key key = {
		.label = "platform administrator", .roles = {.items = roles, .count = 1}, .expires_at = FIELD_ABSENT};
	pthread_rwlock_rdlock(&identity->lock);
	bool there = identity->snapshot->organisation_count > 0;
	pthread_rwlock_unlock(&identity->lock);
	if (there)
		return err_set(info, ERR_DUPLICATE, NULL, "this installation has organisations already");
	enum err err = identity_organisation_create(identity, &actor, organisation, info);
	key.org_id = organisation->id;
	return err ? err : identity_key_create(identity, &actor, 1u << IDENTITY_PLATFORM_ADMIN, &key, ret_text, info);
}
