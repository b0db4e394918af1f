/* Decides who may attest: a verifier is an organisation's Ed25519 key with its validity. The state's thread. */
#include "state.h"

#include <string.h>

enum err decide_verifier_register(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_verifier_register *asked = &call->command->verifier_register;
	if (id_is_none(asked->verifier))
		return REFUSE(info, ERR_MISSING_FIELD, "/id", "the verifier's id is missing");
	if (id_is_none(asked->org))
		return REFUSE(info, ERR_MISSING_FIELD, "/org_id", "the verifier's organisation is missing");
	if (asked->valid_from_us >= asked->valid_to_us)
		return REFUSE(info, ERR_INVALID_FIELD, "/valid_to", "/valid_to must be after /valid_from");
	if (verifier_find(registry, asked->verifier))
		return REFUSE(info, ERR_DUPLICATE, "/id", "the verifier's id is in use");
	for (uint32_t i = 0; i < registry->verifier_count; i++)
		if (memcmp(&registry->verifiers[i].key, &asked->key, sizeof asked->key) == 0)
			return REFUSE(info, ERR_DUPLICATE, "/key", "the key is registered for another verifier");
	struct event event = {.verifier_registered = {.verifier = asked->verifier,
				      .org = asked->org,
				      .key = asked->key,
				      .valid_from_us = asked->valid_from_us,
				      .valid_to_us = asked->valid_to_us}};
	return decision_emit(call, EVENT_VERIFIER_REGISTERED, &event, info);
}

enum err decide_verifier_revoke(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_verifier_revoke *asked = &call->command->verifier_revoke;
	const struct verifier *verifier = verifier_find(registry, asked->verifier);
	if (!verifier)
		return REFUSE(info, ERR_VERIFIER_UNKNOWN, "", "there is no such verifier");
	if (verifier->revoked_us)
		return REFUSE(info, ERR_VERIFIER_NOT_VALID, "", "the verifier's key is revoked already");
	struct event event = {.verifier_revoked = {.verifier = asked->verifier, .reason_hash = asked->reason_hash}};
	return decision_emit(call, EVENT_VERIFIER_REVOKED, &event, info);
}

static void verifier_forget(void *owner, const void *payload)
{
	(void)payload;
	((struct registry *)owner)->verifier_count--;
}

static enum err verifier_add(
	struct registry *registry, struct undo *undo, const struct verifier *verifier, struct err_info *info)
{
	if (verifier_find(registry, verifier->id))
		return journal_invalid(info, "a verifier is registered twice");
	void *verifiers = registry->verifiers;
	bool room = array_room(
		&verifiers, &registry->verifier_capacity, registry->verifier_count, sizeof *registry->verifiers);
	registry->verifiers = verifiers;
	if (!room)
		return ERR_NO_MEMORY;
	registry->verifiers[registry->verifier_count++] = *verifier;
	undo_push(undo, verifier_forget, registry, NULL, 0);
	return ERR_OK;
}

enum err apply_verifier_registered(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	const struct event_verifier_registered *said = &event->verifier_registered;
	struct verifier verifier = {.id = said->verifier,
		.org = said->org,
		.key = said->key,
		.valid_from_us = said->valid_from_us,
		.valid_to_us = said->valid_to_us};
	return verifier_add(registry, undo, &verifier, info);
}

static void revocation_revert(void *owner, const void *payload)
{
	struct id id;
	memcpy(&id, payload, sizeof id);
	verifier_find(owner, id)->revoked_us = 0;
}

enum err apply_verifier_revoked(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	struct verifier *verifier = verifier_find(registry, event->verifier_revoked.verifier);
	if (!verifier || verifier->revoked_us || event->header.time_us == 0)
		return journal_invalid(info, "a verifier that is not there is revoked");
	verifier->revoked_us = event->header.time_us;
	undo_push(undo, revocation_revert, registry, &verifier->id, sizeof verifier->id);
	return ERR_OK;
}

enum err apply_state_verifier(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	const struct event_state_verifier *said = &event->state_verifier;
	struct verifier verifier = {.id = said->verifier,
		.org = said->org,
		.key = said->key,
		.valid_from_us = said->valid_from_us,
		.valid_to_us = said->valid_to_us,
		.revoked_us = said->revoked_us};
	return verifier_add(registry, undo, &verifier, info);
}

/* ---- signatures of others than periods ---- */

bool registry_verifies(const struct registry *registry, struct id org)
{
	for (uint32_t i = 0; i < registry->verifier_count; i++)
		if (id_equal(registry->verifiers[i].org, org))
			return true;
	return false;
}

bool registry_verifier_org(const struct registry *registry, struct id id, struct id *ret_org)
{
	const struct verifier *verifier = verifier_find(registry, id);
	if (verifier)
		*ret_org = verifier->org;
	return verifier != NULL;
}

enum err registry_signature_check(const struct registry *registry, const struct decision *call, struct id id,
	const char *domain, const void *data, size_t size, const struct signature *signature, struct err_info *info)
{
	const struct verifier *verifier = verifier_find(registry, id);
	if (!verifier)
		return REFUSE(info, ERR_VERIFIER_UNKNOWN, "/verifier_id", "there is no such verifier");
	if (verifier->revoked_us || call->now_us < verifier->valid_from_us || call->now_us >= verifier->valid_to_us)
		return REFUSE(info, ERR_VERIFIER_NOT_VALID, "/verifier_id", "the verifier's key is not valid now");
	if (!id_equal(call->command->org, verifier->org))
		return REFUSE(info, ERR_FORBIDDEN, "/verifier_id", "a verifier's organisation hands in its signature");
	return sign_holds(&verifier->key, domain, data, size, signature)
		       ? ERR_OK
		       : REFUSE(info, ERR_SIGNATURE_INVALID, "/signature",
				 "the signature does not hold for the verifier's key and this statement");
}
