/* Decides which function answers a command and which one applies an event; finds things. The state's thread. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

/* ---- life cycle ---- */

struct registry *registry_new(struct id id, uint64_t seed)
{
	struct registry *registry = calloc(1, sizeof *registry);
	if (registry) {
		registry->id = id;
		registry->seed = seed;
		registry->claims.seed = seed;
		registry->origins.seed = seed;
	}
	return registry;
}

void registry_free(struct registry **registry)
{
	struct registry *old = *registry;
	*registry = NULL;
	if (!old)
		return;
	for (uint32_t i = 0; i < old->period_count; i++)
		free(old->periods[i].runs);
	for (uint32_t i = 0; i < old->import_count; i++)
		free(old->imports[i].runs);
	for (uint32_t i = 0; i < old->dispute_count; i++)
		free(old->disputes[i].ranges);
	claims_free(&old->claims);
	claims_free(&old->origins);
	free(old->verifiers);
	free(old->periods);
	free(old->batches);
	free(old->debts);
	free(old->accounts);
	free(old->imports);
	free(old->deadlines);
	free(old->disputes);
	free(old->methodologies);
	free(old->projects);
	map_free(&old->dispute_map);
	map_free(&old->project_map);
	map_free(&old->period_map);
	map_free(&old->root_map);
	map_free(&old->account_map);
	free(old);
}

struct id registry_id(const struct registry *registry)
{
	return registry->id;
}

uint64_t registry_batch_count(const struct registry *registry)
{
	return registry->batch_count;
}

uint64_t registry_retirement_count(const struct registry *registry)
{
	return registry->retirement_count;
}

/* ---- finding ---- */

static bool period_equal(const void *context, uint32_t item, const void *key)
{
	return memcmp(&((const struct registry *)context)->periods[item].said.period, key, sizeof(struct id)) == 0;
}

struct period *period_find(const struct registry *registry, struct id id)
{
	uint32_t item = map_find(
		&registry->period_map, map_hash_bytes(registry->seed, &id, sizeof id), period_equal, registry, &id);
	return item == MAP_NONE ? NULL : &registry->periods[item];
}

struct verifier *verifier_find(const struct registry *registry, struct id id)
{
	for (uint32_t i = 0; i < registry->verifier_count; i++)
		if (id_equal(registry->verifiers[i].id, id))
			return &registry->verifiers[i];
	return NULL;
}

struct batch *batch_find(const struct registry *registry, uint64_t number)
{
	return number >= 1 && number <= registry->batch_count ? &registry->batches[number - 1] : NULL;
}

static bool root_equal(const void *context, uint32_t item, const void *key)
{
	const struct batch *batch = &((const struct registry *)context)->batches[item];
	return memcmp(&batch->issued.evidence_root, key, sizeof(struct hash)) == 0;
}

uint32_t batch_of_root(const struct registry *registry, struct hash root)
{
	return map_find(
		&registry->root_map, map_hash_bytes(registry->seed, &root, sizeof root), root_equal, registry, &root);
}

static bool account_equal(const void *context, uint32_t item, const void *key)
{
	return memcmp(&((const struct registry *)context)->accounts[item].org, key, sizeof(struct id)) == 0;
}

struct held_account *account_find(const struct registry *registry, struct id org)
{
	uint32_t item = map_find(&registry->account_map, map_hash_bytes(registry->seed, &org, sizeof org),
		account_equal, registry, &org);
	return item == MAP_NONE ? NULL : &registry->accounts[item];
}

struct debt *debt_find(const struct registry *registry, struct id org, uint32_t durability)
{
	for (uint32_t i = 0; i < registry->debt_count; i++)
		if (id_equal(registry->debts[i].org, org) && registry->debts[i].durability == durability)
			return &registry->debts[i];
	return NULL;
}

static bool dispute_equal(const void *context, uint32_t item, const void *key)
{
	return memcmp(&((const struct registry *)context)->disputes[item].id, key, sizeof(struct id)) == 0;
}

struct dispute *dispute_find(const struct registry *registry, struct id id)
{
	uint32_t item = map_find(
		&registry->dispute_map, map_hash_bytes(registry->seed, &id, sizeof id), dispute_equal, registry, &id);
	return item == MAP_NONE ? NULL : &registry->disputes[item];
}

static bool project_equal(const void *context, uint32_t item, const void *key)
{
	return memcmp(&((const struct registry *)context)->projects[item].id, key, sizeof(struct id)) == 0;
}

struct project *project_find(const struct registry *registry, struct id id)
{
	uint32_t item = map_find(
		&registry->project_map, map_hash_bytes(registry->seed, &id, sizeof id), project_equal, registry, &id);
	return item == MAP_NONE ? NULL : &registry->projects[item];
}

const struct import *import_find(const struct registry *registry, uint64_t number)
{
	uint32_t low = 0, high = registry->import_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (registry->imports[middle].said.batch < number)
			low = middle + 1;
		else
			high = middle;
	}
	bool found = low < registry->import_count && registry->imports[low].said.batch == number;
	return found ? &registry->imports[low] : NULL;
}

/* ---- deciding ---- */

static decide_function *const deciders[COMMAND_KIND_COUNT] = {
#define RECORD(name, NAME, type, version, lists, doc) [type] = decide_##name,
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/records/registry_commands.def"
#include "carbond/record_undef.def"
};

enum err registry_decide(struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	enum command_kind kind = call->command->kind;
	if ((unsigned)kind >= COMMAND_KIND_COUNT || !deciders[kind])
		return REFUSE(info, ERR_INVALID_FIELD, "", "there is no such command");
	return deciders[kind](registry, ledger, call, info);
}

/* ---- applying ---- */

static apply_function *const appliers[] = {
	[EVENT_VERIFIER_REGISTERED] = apply_verifier_registered,
	[EVENT_VERIFIER_REVOKED] = apply_verifier_revoked,
	[EVENT_PERIOD_SUBMITTED] = apply_period_submitted,
	[EVENT_PERIOD_ATTESTED] = apply_period_attested,
	[EVENT_PERIOD_WITHDRAWN] = apply_period_withdrawn,
	[EVENT_PERIOD_REFUSED] = apply_period_refused,
	[EVENT_PERIOD_HELD] = apply_period_held,
	[EVENT_PERIOD_RELEASED] = apply_period_released,
	[EVENT_BATCH_ISSUED] = apply_batch_issued,
	[EVENT_BATCH_HELD] = apply_batch_held,
	[EVENT_BATCH_RELEASED] = apply_batch_released,
	[EVENT_BATCH_REVERSED] = apply_batch_reversed,
	[EVENT_BUFFER_TOPPED_UP] = apply_buffer_topped_up,
	[EVENT_TRANSFERRED] = apply_transferred,
	[EVENT_RETIRED] = apply_retired,
	[EVENT_ACCOUNT_HELD] = apply_account_held,
	[EVENT_ACCOUNT_RELEASED] = apply_account_released,
	[EVENT_STATE_VERIFIER] = apply_state_verifier,
	[EVENT_STATE_PERIOD] = apply_state_period,
	[EVENT_STATE_ATTESTATION] = apply_state_attestation,
	[EVENT_STATE_BATCH] = apply_state_batch,
	[EVENT_STATE_CLAIMS] = apply_state_claims,
	[EVENT_STATE_DEBT] = apply_state_debt,
	[EVENT_STATE_ACCOUNT] = apply_state_account,
	[EVENT_CANCELLED] = apply_cancelled,
	[EVENT_DISPUTE_OPENED] = apply_dispute_opened,
	[EVENT_DISPUTE_DECIDED] = apply_dispute_decided,
	[EVENT_BATCH_IMPORTED] = apply_batch_imported,
	[EVENT_ORIGIN_RETURNED] = apply_origin_returned,
	[EVENT_METHODOLOGY_ADMITTED] = apply_methodology_admitted,
	[EVENT_PROJECT_REGISTERED] = apply_project_registered,
	[EVENT_STATE_REGISTER] = apply_state_register,
	[EVENT_STATE_DISPUTE] = apply_state_dispute,
	[EVENT_STATE_IMPORT] = apply_state_import,
	[EVENT_STATE_RETURNED] = apply_state_returned,
	[EVENT_STATE_METHODOLOGY] = apply_state_methodology,
	[EVENT_STATE_PROJECT] = apply_state_project,
};

enum err registry_apply(struct registry *registry, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info)
{
	uint16_t type = event->header.type;
	if (type >= sizeof appliers / sizeof *appliers || !appliers[type])
		return journal_invalid(info, "an event is not the registry's");
	return appliers[type](registry, ledger, undo, event, info);
}
