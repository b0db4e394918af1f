/* Decides what issuing does (claims, batch, supplier and buffer kilograms), and what a reversal does to a batch, its buffer
 * and its operator. The state's thread. */
#include "state.h"

#include <assert.h>
#include <string.h>

/* ---- issued ---- */

struct issue_back {
	uint64_t batch;
	struct hash chain_root;
	int64_t chain_kg;
	uint32_t chain_slot;
	enum period_state state;
};

static void issue_revert(void *owner, const void *payload)
{
	struct registry *registry = owner;
	struct issue_back back;
	memcpy(&back, payload, sizeof back);
	struct batch batch = *batch_find(registry, back.batch);
	struct period *period = period_find(registry, batch.issued.period);
	claims_give_back(&registry->claims, period->runs, period->run_count);
	period->state = back.state;
	period->batch = 0;
	struct batch *first = batch_find(registry, batch.issued.first_batch);
	first->chain_root = back.chain_root;
	first->chain_kg = back.chain_kg;
	first->chain_slot = back.chain_slot;
	map_remove(&registry->root_map,
		map_hash_bytes(registry->seed, &batch.issued.evidence_root, sizeof(struct hash)),
		--registry->batch_count);
}

static bool issue_fits(const struct registry *registry, const struct event_batch_issued *said,
	const struct period *period, const struct record_lists *lists)
{
	const struct batch *first = batch_find(registry, said->first_batch);
	return period && registry_period_next(period->state, PERIOD_VERB_ISSUE) == PERIOD_ISSUED &&
	       said->batch == registry->batch_count + 1 && (said->first_batch == said->batch || first) &&
	       said->kg > 0 && said->kg <= REGISTRY_KG_MAX && said->buffer_kg >= 0 && said->buffer_kg <= said->kg &&
	       !id_is_none(said->org) && lists->run_count == period->run_count && lists->run_count > 0 &&
	       memcmp(lists->runs, period->runs, lists->run_count * sizeof *lists->runs) == 0 &&
	       batch_of_root(registry, said->evidence_root) == MAP_NONE;
}

enum err batch_room(struct registry *registry)
{
	void *batches = registry->batches;
	bool room = array_room(&batches, &registry->batch_capacity, registry->batch_count, sizeof *registry->batches) &&
		    map_reserve(&registry->root_map, 1);
	registry->batches = batches;
	return room ? ERR_OK : ERR_NO_MEMORY;
}

void batch_put(struct registry *registry, const struct batch *batch)
{
	map_put(&registry->root_map, map_hash_bytes(registry->seed, &batch->issued.evidence_root, sizeof(struct hash)),
		registry->batch_count);
	registry->batches[registry->batch_count++] = *batch;
}

static enum err kilograms_issue(struct ledger *ledger, struct undo *undo, const struct event_batch_issued *said)
{
	enum err err = ERR_OK;
	if (said->kg > said->buffer_kg)
		err = ledger_issue(ledger, undo, said->batch, said->org, KG_HELD, said->kg - said->buffer_kg);
	if (!err && said->buffer_kg > 0)
		err = ledger_issue(ledger, undo, said->batch, said->org, KG_BUFFER, said->buffer_kg);
	return err;
}

enum err apply_batch_issued(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_batch_issued *said = &event->batch_issued;
	struct period *period = period_find(registry, said->period);
	if (!issue_fits(registry, said, period, &event->lists))
		return journal_invalid(info, "a batch does not fit its period");
	enum err err = batch_room(registry);
	if (!err)
		err = claims_take(&registry->claims, event->lists.runs, event->lists.run_count, said->batch);
	if (err)
		return err == ERR_CLAIM_TAKEN ? journal_invalid(info, "a meter-hour is claimed twice") : err;
	struct batch batch = {.issued = *said};
	batch_put(registry, &batch);
	struct batch *first = batch_find(registry, said->first_batch);
	struct issue_back back = {.batch = said->batch,
		.chain_root = first->chain_root,
		.chain_kg = first->chain_kg,
		.chain_slot = first->chain_slot,
		.state = period->state};
	undo_push(undo, issue_revert, registry, &back, sizeof back);
	first->chain_root = said->evidence_root;
	first->chain_kg += said->kg;
	first->chain_slot = said->slot;
	period->state = PERIOD_ISSUED;
	period->batch = said->batch;
	return kilograms_issue(ledger, undo, said);
}

/* ---- reversal ---- */

/* Buffer serials of one batch for up to `left` kilograms. */
static enum err buffer_pick(const struct ledger *ledger, const struct batch *batch, int64_t *left,
	struct serial_range *ranges, size_t *count)
{
	struct ledger_place place = {.org = batch->issued.org, .state = KG_BUFFER};
	int64_t there = ledger_amount(ledger, batch->issued.batch, place);
	int64_t part = there < *left ? there : *left;
	if (part == 0)
		return ERR_OK;
	size_t picked = 0;
	enum err err = ledger_pick(
		ledger, batch->issued.batch, place, part, ranges + *count, EVENTS_RANGES_MAX - *count, &picked);
	if (!err) {
		*count += picked;
		*left -= part;
	}
	return err;
}

/* The batch's own buffer first, then that of its durability class from the oldest batch on. */
static enum err buffer_collect(const struct registry *registry, const struct ledger *ledger, const struct batch *batch,
	int64_t kg, struct serial_range *ranges, size_t *ret_count, int64_t *ret_cancelled)
{
	int64_t left = kg;
	*ret_count = 0;
	enum err err = buffer_pick(ledger, batch, &left, ranges, ret_count);
	for (uint32_t i = 0; i < registry->batch_count && left > 0 && !err; i++) {
		const struct batch *other = &registry->batches[i];
		if (other != batch && other->issued.durability == batch->issued.durability)
			err = buffer_pick(ledger, other, &left, ranges, ret_count);
	}
	*ret_cancelled = kg - left;
	return err;
}

/* What the operator has not sold: all of its kilograms that a reversal freezes or recalls. */
static int64_t unsold_kg(const struct ledger *ledger, const struct batch *batch)
{
	int64_t kg = 0;
	for (int state = 0; state < KG_STATE_COUNT; state++) {
		enum kg_effect effect = registry_kg_effect((enum kg_state)state, KG_OVERLAY_REVERSE);
		struct ledger_place place = {.org = batch->issued.org, .state = (enum kg_state)state};
		if (effect == KG_EFFECT_FREEZE || effect == KG_EFFECT_RECALL)
			kg += ledger_amount(ledger, batch->issued.batch, place);
	}
	return kg;
}

static enum err reversal_check(
	const struct batch *batch, const struct command_batch_reverse *asked, struct err_info *info)
{
	bool is_difference = !hash_is_none(asked->evidence_root);
	int64_t most = is_difference ? batch->chain_kg : batch->issued.kg - batch->reversed_kg;
	if (is_difference && batch->issued.first_batch != batch->issued.batch)
		return REFUSE(info, ERR_INVALID_FIELD, "/batch", "a negative difference names its chain's first batch");
	if (is_difference && !hash_equal(batch->chain_root, asked->previous_root))
		return REFUSE(info, ERR_ROOT_OUTDATED, "/previous_root", "the chain's newest root is another one");
	if (asked->kg < 1 || asked->kg > most)
		return REFUSE(info, ERR_INVALID_FIELD, "/kg", "/kg must be 1..%lld", (long long)most);
	return reason_check(asked->reason_hash, info);
}

enum err reversal_decide(const struct registry *registry, const struct ledger *ledger, struct decision *call,
	const struct command_batch_reverse *asked, struct err_info *info)
{
	const struct batch *batch = batch_find(registry, asked->batch);
	if (!batch)
		return REFUSE(info, ERR_NOT_FOUND, "", "there is no such batch");
	enum err err = reversal_check(batch, asked, info);
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = 0;
	int64_t cancelled = 0;
	if (!err)
		err = buffer_collect(registry, ledger, batch, asked->kg, ranges, &count, &cancelled);
	if (err == ERR_COMMAND_TOO_LARGE)
		return REFUSE(info, err, "/kg", "the buffer lies in too many ranges: reverse in smaller parts");
	if (err)
		return err;
	struct event event = {.batch_reversed = {.batch = asked->batch,
				      .kg = asked->kg,
				      .cancelled_kg = cancelled,
				      .suspended_kg = unsold_kg(ledger, batch),
				      .debt_kg = asked->kg,
				      .evidence_root = asked->evidence_root,
				      .reason_hash = asked->reason_hash},
		.lists = {.ranges = ranges, .range_count = count}};
	return decision_emit(call, EVENT_BATCH_REVERSED, &event, info);
}

enum err decide_batch_reverse(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	return reversal_decide(registry, ledger, call, &call->command->batch_reverse, info);
}

struct reversal_back {
	uint64_t batch;
	bool unsold_held;
	struct hash chain_root;
	int64_t chain_kg, reversed_kg;
	struct debt debt;
};

static void reversal_revert(void *owner, const void *payload)
{
	struct registry *registry = owner;
	struct reversal_back back;
	memcpy(&back, payload, sizeof back);
	struct batch *batch = batch_find(registry, back.batch);
	batch->unsold_held = back.unsold_held;
	batch->chain_root = back.chain_root;
	batch->chain_kg = back.chain_kg;
	batch->reversed_kg = back.reversed_kg;
	*debt_find(registry, back.debt.org, back.debt.durability) = back.debt;
}

/* The operator's debt row; an empty one is as good as none, so making it need not be undone. */
static struct debt *debt_get(struct registry *registry, struct id org, uint32_t durability)
{
	struct debt *debt = debt_find(registry, org, durability);
	if (debt)
		return debt;
	void *debts = registry->debts;
	bool room = array_room(&debts, &registry->debt_capacity, registry->debt_count, sizeof *registry->debts);
	registry->debts = debts;
	if (!room)
		return NULL;
	debt = &registry->debts[registry->debt_count++];
	*debt = (struct debt){.org = org, .durability = durability};
	return debt;
}

static enum err buffer_cancel(
	struct registry *registry, struct ledger *ledger, struct undo *undo, const struct event *event)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < event->lists.range_count && !err; i++) {
		const struct serial_range *range = &event->lists.ranges[i];
		const struct batch *batch = batch_find(registry, range->batch);
		if (!batch)
			return ERR_JOURNAL_INVALID;
		struct ledger_place from = {.org = batch->issued.org, .state = KG_BUFFER};
		struct ledger_place to = {.org = batch->issued.org, .state = KG_CANCELLED};
		err = ledger_move(ledger, undo, range, from, to);
	}
	return err;
}

enum err apply_batch_reversed(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_batch_reversed *said = &event->batch_reversed;
	struct batch *batch = batch_find(registry, said->batch);
	if (!batch || said->kg <= 0 || said->kg > REGISTRY_KG_MAX || said->cancelled_kg < 0 ||
		said->cancelled_kg > said->kg || said->debt_kg < 0 || said->debt_kg > REGISTRY_KG_MAX ||
		batch->reversed_kg > INT64_MAX - said->kg)
		return journal_invalid(info, "a reversal is out of range");
	struct debt *debt = debt_get(registry, batch->issued.org, batch->issued.durability);
	if (!debt)
		return ERR_NO_MEMORY;
	int64_t uncovered_kg = debt->uncovered_kg + said->kg - said->cancelled_kg;
	if (debt->kg > INT64_MAX - said->debt_kg || uncovered_kg > debt->kg + said->debt_kg)
		return journal_invalid(info, "a debt is out of range");
	enum err err = buffer_cancel(registry, ledger, undo, event);
	if (err)
		return journal_invalid(info, "a reversal cancels serials that are not buffer");
	struct reversal_back back = {.batch = said->batch,
		.unsold_held = batch->unsold_held,
		.chain_root = batch->chain_root,
		.chain_kg = batch->chain_kg,
		.reversed_kg = batch->reversed_kg,
		.debt = *debt};
	undo_push(undo, reversal_revert, registry, &back, sizeof back);
	batch->unsold_held = batch->unsold_held || said->suspended_kg > 0;
	batch->reversed_kg += said->kg;
	if (!hash_is_none(said->evidence_root)) {
		batch->chain_root = said->evidence_root;
		batch->chain_kg -= said->kg;
	}
	debt->kg += said->debt_kg;
	debt->uncovered_kg = uncovered_kg;
	return ERR_OK;
}

/* ---- snapshots ---- */

enum err apply_state_batch(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	(void)undo;
	const struct event_state_batch *said = &event->state_batch;
	if (said->batch != (uint64_t)registry->batch_count + 1 || said->first_batch == 0 ||
		said->first_batch > said->batch)
		return journal_invalid(info, "batches are out of order");
	enum err err = batch_room(registry);
	if (!err)
		err = deadline_room(registry);
	if (err)
		return err;
	struct batch batch = {.issued = {.batch = said->batch,
				      .period = said->period,
				      .org = said->org,
				      .issuance_id = said->issuance_id,
				      .evidence_root = said->evidence_root,
				      .kg = said->kg,
				      .buffer_kg = said->buffer_kg,
				      .first_batch = said->first_batch,
				      .slot = said->slot,
				      .kind = said->kind,
				      .durability = said->durability,
				      .vintage = said->vintage},
		.held = said->held,
		.unsold_held = said->unsold_held,
		.until_us = said->until_us,
		.chain_root = said->chain_root,
		.chain_kg = said->chain_kg,
		.chain_slot = said->chain_slot,
		.reversed_kg = said->reversed_kg};
	batch_put(registry, &batch);
	if (said->held)
		deadline_add(registry, (struct deadline){.until_us = said->until_us, .batch = said->batch});
	return ERR_OK;
}

enum err apply_state_claims(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	(void)undo;
	enum err err =
		claims_take(&registry->claims, event->lists.runs, event->lists.run_count, event->state_claims.batch);
	return err == ERR_CLAIM_TAKEN ? journal_invalid(info, "a meter-hour is claimed twice") : err;
}

enum err apply_state_debt(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	(void)undo;
	const struct event_state_debt *said = &event->state_debt;
	struct debt *debt = debt_get(registry, said->org, said->durability);
	if (!debt)
		return ERR_NO_MEMORY;
	if (debt->kg || said->kg < 0 || said->uncovered_kg < 0 || said->uncovered_kg > said->kg)
		return journal_invalid(info, "a debt is out of range");
	debt->kg = said->kg;
	debt->uncovered_kg = said->uncovered_kg;
	return ERR_OK;
}
