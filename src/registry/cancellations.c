/* Decides who may cancel which kilograms, and for what reason: the cancel column of the table of states (docs/REGISTRY.md). The
 * state's thread. */
#include "state.h"

#include <string.h>

uint64_t registry_cancellation_count(const struct registry *registry)
{
	return registry->cancellation_count;
}

/* Reasons that a holder has, and those that the house has. */
static bool reason_is_holders(uint32_t reason)
{
	return reason != CANCEL_DISPUTE && reason != CANCEL_AUTHORITY;
}

static bool reason_is_house(uint32_t reason)
{
	return reason != CANCEL_VOLUNTARY;
}

static enum err wording_check(const struct command_cancel *asked, bool is_own, struct err_info *info)
{
	bool converts = asked->reason == CANCEL_CONVERSION;
	if (asked->reason >= CANCEL_REASON_COUNT || asked->state >= KG_STATE_COUNT)
		return REFUSE(info, ERR_INVALID_FIELD, "/reason", "/reason is not one that is known");
	if (is_own ? !reason_is_holders(asked->reason) : !reason_is_house(asked->reason))
		return REFUSE(info, ERR_FORBIDDEN, "/reason", "%s is no reason of %s",
			event_cancel_reason_names[asked->reason], is_own ? "a holder's" : "the registry's");
	if (converts != (asked->destination.text[0] != 0))
		return REFUSE(info, converts ? ERR_MISSING_FIELD : ERR_INVALID_FIELD, "/destination",
			"a conversion, and nothing else, names the registry that takes them");
	return reason_check(asked->reason_hash, info);
}

/* Another's kilograms are of one batch, so that its orders in that batch can end first. */
static enum err reach_check(const struct command *command, bool is_own, struct err_info *info)
{
	enum kg_state state = (enum kg_state)command->cancel.state;
	if (registry_kg_effect(state, KG_OVERLAY_CANCEL) != KG_EFFECT_CANCEL || (is_own && state != KG_HELD))
		return REFUSE(info, ERR_OUT_OF_REACH, "/state", "kilograms that are %s cannot be cancelled%s",
			event_kg_state_names[state], is_own ? " by their holder" : "");
	for (size_t i = 1; i < command->lists.range_count && !is_own; i++)
		if (command->lists.ranges[i].batch != command->lists.ranges[0].batch)
			return REFUSE(info, ERR_INVALID_FIELD, "/ranges", "serials of another's are of one batch");
	return ERR_OK;
}

enum err decide_cancel(struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command *command = call->command;
	const struct command_cancel *asked = &command->cancel;
	struct id org = id_is_none(asked->org) ? command->org : asked->org;
	bool is_own = id_equal(org, command->org);
	if (id_is_none(org))
		return REFUSE(info, ERR_FORBIDDEN, "", "only an organisation holds kilograms");
	enum err err = wording_check(asked, is_own, info);
	if (!err)
		err = reach_check(command, is_own, info);
	struct selecting selecting = {.from = {.org = org, .state = (enum kg_state)asked->state}, .barred = !is_own};
	struct selection selection;
	if (!err)
		err = serials_select(registry, ledger, command, &selecting, asked->batch, asked->kg, &selection, info);
	if (err)
		return err;
	call->number = registry->cancellation_count + 1;
	struct event event = {.cancelled = {.number = call->number,
				      .org = org,
				      .kg = selection.kg,
				      .state = asked->state,
				      .reason = asked->reason,
				      .destination = asked->destination,
				      .reason_hash = asked->reason_hash},
		.lists = {.ranges = selection.ranges, .range_count = selection.count}};
	err = decision_emit(call, EVENT_CANCELLED, &event, info);
	return !err && asked->reason == CANCEL_CONVERSION ? returns_decide(registry, call, &selection, info) : err;
}

static void cancellation_revert(void *owner, const void *payload)
{
	(void)payload;
	((struct registry *)owner)->cancellation_count--;
}

enum err apply_cancelled(struct registry *registry, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info)
{
	const struct event_cancelled *said = &event->cancelled;
	if (said->number != registry->cancellation_count + 1 || said->reason >= CANCEL_REASON_COUNT ||
		(said->state != KG_HELD && said->state != KG_BUFFER && said->state != KG_ESCROW))
		return journal_invalid(info, "cancellations are out of order");
	struct ledger_place from = {.org = said->org, .state = (enum kg_state)said->state};
	struct ledger_place to = {.org = said->org, .state = KG_CANCELLED};
	enum err err = ledger_move_all(ledger, undo, &event->lists, said->kg, from, to, info);
	if (err)
		return err;
	registry->cancellation_count++;
	undo_push(undo, cancellation_revert, registry, NULL, 0);
	return ERR_OK;
}

enum err apply_state_register(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	(void)undo;
	if (registry->cancellation_count)
		return journal_invalid(info, "the registry has counted twice");
	registry->cancellation_count = event->state_register.cancellations;
	return ERR_OK;
}
