/* Decides what a dispute holds while it is open, who decides it, and what follows. Whole batches are suspended, periods are not
 * issued, serials lie in escrow (docs/REGISTRY.md). The state's thread. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "carbond/base/decimal.h"

/* ---- opening ---- */

static enum err ranges_check(
	const struct registry *registry, const struct command *command, int64_t *ret_kg, struct err_info *info)
{
	const struct record_lists *lists = &command->lists;
	*ret_kg = 0;
	if (id_is_none(command->dispute_open.holder))
		return REFUSE(info, ERR_MISSING_FIELD, "/holder_id", "a dispute of serials names who holds them");
	if (lists->range_count > EVENTS_RANGES_MAX)
		return REFUSE(
			info, ERR_COMMAND_TOO_LARGE, "/ranges", "a command names at most %d ranges", EVENTS_RANGES_MAX);
	for (size_t i = 0; i < lists->range_count; i++) {
		const struct serial_range *range = &lists->ranges[i];
		if (!batch_find(registry, range->batch))
			return REFUSE(info, ERR_NOT_FOUND, "/ranges", "range %zu: there is no such batch", i);
		if (range->batch != lists->ranges[0].batch)
			return REFUSE(info, ERR_INVALID_FIELD, "/ranges", "serials in dispute are of one batch");
		if (range->start < 0 || range->length <= 0 || !add_checked(*ret_kg, range->length, ret_kg))
			return REFUSE(info, ERR_INVALID_FIELD, "/ranges", "range %zu has no kilograms", i);
	}
	return ERR_OK;
}

static enum err subject_check(
	const struct registry *registry, const struct command *command, int64_t *ret_kg, struct err_info *info)
{
	const struct command_dispute_open *asked = &command->dispute_open;
	*ret_kg = 0;
	if ((asked->batch != 0) + !id_is_none(asked->period) + (command->lists.range_count != 0) != 1)
		return REFUSE(info, ERR_INVALID_FIELD, "/batch", "a dispute is of a batch, of a period, or of serials");
	if (asked->batch)
		return batch_find(registry, asked->batch)
			       ? ERR_OK
			       : REFUSE(info, ERR_NOT_FOUND, "/batch", "there is no such batch");
	if (command->lists.range_count)
		return ranges_check(registry, command, ret_kg, info);
	const struct period *period = period_find(registry, asked->period);
	if (!period)
		return REFUSE(info, ERR_NOT_FOUND, "/period_id", "there is no such period in the registry");
	if (!period_is_open(period))
		return REFUSE(info, ERR_PERIOD_STATE, "/period_id", "the period is %s",
			event_period_state_names[period->state]);
	return ERR_OK;
}

enum err decide_dispute_open(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command *command = call->command;
	const struct command_dispute_open *asked = &command->dispute_open;
	int64_t kg = 0;
	enum err err = dispute_find(registry, command->id)
			       ? REFUSE(info, ERR_DUPLICATE, "", "another dispute has this id")
			       : subject_check(registry, command, &kg, info);
	if (!err)
		err = reason_check(asked->reason_hash, info);
	struct event event = {.dispute_opened = {.dispute = command->id,
				      .batch = kg ? command->lists.ranges[0].batch : asked->batch,
				      .period = asked->period,
				      .holder = kg ? asked->holder : (struct id){{0}},
				      .kg = kg,
				      .evidence_hash = asked->evidence_hash,
				      .reason_hash = asked->reason_hash},
		.lists = command->lists};
	return err ? err : decision_emit(call, EVENT_DISPUTE_OPENED, &event, info);
}

/* What an open dispute holds of a batch or a period. */
static void hold_count(const struct registry *registry, const struct dispute *dispute, bool holds)
{
	struct batch *batch = dispute->kg ? NULL : batch_find(registry, dispute->batch);
	struct period *period = period_find(registry, dispute->period);
	if (batch)
		batch->disputes += holds ? 1u : UINT32_MAX;
	if (period)
		period->disputes += holds ? 1u : UINT32_MAX;
}

static void opening_revert(void *owner, const void *payload)
{
	(void)payload;
	struct registry *registry = owner;
	struct dispute *dispute = &registry->disputes[--registry->dispute_count];
	map_remove(&registry->dispute_map, map_hash_bytes(registry->seed, &dispute->id, sizeof dispute->id),
		registry->dispute_count);
	hold_count(registry, dispute, false);
	free(dispute->ranges);
}

static enum err dispute_add(struct registry *registry, struct undo *undo, const struct dispute *dispute,
	const struct record_lists *lists, struct err_info *info)
{
	bool has_subject = dispute->batch ? batch_find(registry, dispute->batch) != NULL
					  : period_find(registry, dispute->period) != NULL;
	if (!has_subject || dispute->kg < 0 || (dispute->kg > 0) != (lists->range_count > 0) ||
		dispute_find(registry, dispute->id))
		return journal_invalid(info, "a dispute is of nothing, or there twice");
	void *disputes = registry->disputes;
	bool room = array_room(&disputes, &registry->dispute_capacity, registry->dispute_count,
			    sizeof *registry->disputes) &&
		    map_reserve(&registry->dispute_map, 1);
	registry->disputes = disputes;
	struct serial_range *ranges = room ? malloc((lists->range_count + 1) * sizeof *ranges) : NULL;
	if (!ranges)
		return ERR_NO_MEMORY;
	if (lists->range_count)
		memcpy(ranges, lists->ranges, lists->range_count * sizeof *ranges);
	struct dispute *added = &registry->disputes[registry->dispute_count];
	*added = *dispute;
	added->is_open = true;
	added->ranges = ranges;
	added->range_count = lists->range_count;
	map_put(&registry->dispute_map, map_hash_bytes(registry->seed, &dispute->id, sizeof dispute->id),
		registry->dispute_count);
	registry->dispute_count++;
	hold_count(registry, added, true);
	undo_push(undo, opening_revert, registry, NULL, 0);
	return ERR_OK;
}

enum err apply_dispute_opened(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_dispute_opened *said = &event->dispute_opened;
	struct dispute dispute = {.id = said->dispute,
		.batch = said->batch,
		.period = said->period,
		.holder = said->holder,
		.kg = said->kg,
		.opener = event->header.actor};
	struct ledger_place from = {.org = said->holder, .state = KG_HELD};
	struct ledger_place to = {.org = said->holder, .state = KG_ESCROW};
	enum err err = dispute_add(registry, undo, &dispute, &event->lists, info);
	return err || !said->kg ? err : ledger_move_all(ledger, undo, &event->lists, said->kg, from, to, info);
}

/* ---- deciding ---- */

static enum err judge_check(const struct registry *registry, const struct decision *call, const struct dispute *dispute,
	struct err_info *info)
{
	const struct command *command = call->command;
	const struct batch *batch = batch_find(registry, dispute->batch);
	const struct period *period = period_find(registry, dispute->period);
	if (dispute->opener == call->actor)
		return REFUSE(info, ERR_SEPARATION_OF_DUTIES, "", "who opened a dispute does not decide it");
	if ((batch && id_equal(batch->issued.org, command->org)) ||
		(period && id_equal(period->said.org, command->org)) ||
		(dispute->kg && id_equal(dispute->holder, command->org)))
		return REFUSE(info, ERR_SEPARATION_OF_DUTIES, "", "nobody decides a dispute about its own");
	return ERR_OK;
}

/* What follows where it was right. */
static enum err consequence(const struct registry *registry, const struct ledger *ledger, struct decision *call,
	const struct dispute *dispute, struct err_info *info)
{
	const struct command_dispute_decide *asked = &call->command->dispute_decide;
	const struct period *period = period_find(registry, dispute->period);
	if (dispute->kg) {
		call->number = registry->cancellation_count + 1;
		struct event event = {.cancelled = {.number = call->number,
					      .org = dispute->holder,
					      .kg = dispute->kg,
					      .state = KG_ESCROW,
					      .reason = CANCEL_DISPUTE,
					      .reason_hash = asked->reason_hash},
			.lists = {.ranges = dispute->ranges, .range_count = dispute->range_count}};
		return decision_emit(call, EVENT_CANCELLED, &event, info);
	}
	if (dispute->batch) {
		struct command_batch_reverse reversal = {
			.batch = dispute->batch, .kg = asked->kg, .reason_hash = asked->reason_hash};
		return reversal_decide(registry, ledger, call, &reversal, info);
	}
	if (!period_is_open(period)) /* it has been withdrawn or refused meanwhile */
		return ERR_OK;
	struct event event = {.period_refused = {.period = dispute->period, .reason_hash = asked->reason_hash}};
	return decision_emit(call, EVENT_PERIOD_REFUSED, &event, info);
}

enum err decide_dispute_decide(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command_dispute_decide *asked = &call->command->dispute_decide;
	const struct dispute *dispute = dispute_find(registry, asked->dispute);
	if (!dispute || !dispute->is_open)
		return REFUSE(info, ERR_NOT_DISPUTED, "", "there is no such open dispute");
	bool reverses = asked->upheld && dispute->batch && !dispute->kg;
	enum err err = judge_check(registry, call, dispute, info);
	if (!err && (asked->upheld > 1 || (asked->kg != 0 && !reverses)))
		err = REFUSE(info, ERR_INVALID_FIELD, "/kg", "only an upheld dispute of a batch names /kg to reverse");
	if (!err)
		err = reason_check(asked->reason_hash, info);
	if (err)
		return err;
	bool comes_home = !asked->upheld && dispute->kg;
	struct event event = {.dispute_decided = {.dispute = dispute->id,
				      .batch = dispute->batch,
				      .period = dispute->period,
				      .holder = dispute->holder,
				      .kg = comes_home ? dispute->kg : 0,
				      .upheld = asked->upheld,
				      .reason_hash = asked->reason_hash},
		.lists = {.ranges = dispute->ranges, .range_count = comes_home ? dispute->range_count : 0}};
	err = decision_emit(call, EVENT_DISPUTE_DECIDED, &event, info);
	return err || !asked->upheld ? err : consequence(registry, ledger, call, dispute, info);
}

static void decision_revert(void *owner, const void *payload)
{
	struct id id;
	memcpy(&id, payload, sizeof id);
	struct dispute *dispute = dispute_find(owner, id);
	dispute->is_open = true;
	hold_count(owner, dispute, true);
}

enum err apply_dispute_decided(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_dispute_decided *said = &event->dispute_decided;
	struct dispute *dispute = dispute_find(registry, said->dispute);
	bool comes_home = dispute && !said->upheld && dispute->kg;
	if (!dispute || !dispute->is_open || said->kg != (comes_home ? dispute->kg : 0) ||
		!id_equal(said->holder, dispute->holder))
		return journal_invalid(info, "a dispute that is not open is decided");
	dispute->is_open = false;
	hold_count(registry, dispute, false);
	undo_push(undo, decision_revert, registry, &dispute->id, sizeof dispute->id);
	struct ledger_place from = {.org = said->holder, .state = KG_ESCROW};
	struct ledger_place to = {.org = said->holder, .state = KG_HELD};
	return comes_home ? ledger_move_all(ledger, undo, &event->lists, said->kg, from, to, info) : ERR_OK;
}

/* ---- snapshots ---- */

enum err apply_state_dispute(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	const struct event_state_dispute *said = &event->state_dispute;
	struct dispute dispute = {.id = said->dispute,
		.batch = said->batch,
		.period = said->period,
		.holder = said->holder,
		.kg = said->kg,
		.opener = said->opener};
	return dispute_add(registry, undo, &dispute, &event->lists, info);
}
