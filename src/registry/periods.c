/* Decides a monitoring period's way from submission to issue: what its manifest must say, who may attest, and that nobody
 * wears two hats. The state's thread. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"

bool period_is_open(const struct period *period)
{
	return period->state == PERIOD_SUBMITTED || period->state == PERIOD_ATTESTED;
}

bool period_involves(const struct period *period, uint64_t actor, struct id org)
{
	if (period->submitter == actor || id_equal(period->said.org, org))
		return true;
	for (size_t i = 0; i < period->attestation_count; i++)
		if (period->attestations[i].actor == actor || id_equal(period->attestations[i].org, org))
			return true;
	return false;
}

enum err reason_check(struct hash reason_hash, struct err_info *info)
{
	if (hash_is_none(reason_hash))
		return REFUSE(info, ERR_MISSING_FIELD, "/reason", "a reason is required");
	return ERR_OK;
}

/* ---- submit ---- */

bool code_is_clean(struct code16 code)
{
	size_t length = strnlen(code.text, sizeof code.text);
	for (size_t i = 0; i < length; i++)
		if (!(code.text[i] >= '0' && code.text[i] <= '9') && !(code.text[i] >= 'A' && code.text[i] <= 'Z'))
			return false;
	return length > 0;
}

bool country_is_clean(struct code8 country)
{
	static const char rest[6];
	return country.text[0] >= 'A' && country.text[0] <= 'Z' && country.text[1] >= 'A' && country.text[1] <= 'Z' &&
	       memcmp(country.text + 2, rest, sizeof rest) == 0;
}

static enum err identity_check(const struct command_period_submit *asked, struct id org, struct err_info *info)
{
	if (id_is_none(asked->period) || id_is_none(asked->org) || id_is_none(asked->unit))
		return REFUSE(info, ERR_MISSING_FIELD, "", "period, organisation and unit are required");
	if (!id_equal(asked->org, org))
		return REFUSE(info, ERR_FORBIDDEN, "", "an organisation submits its own periods");
	if (!code_is_clean(asked->unit_code) || !code_is_clean(asked->methodology))
		return REFUSE(info, ERR_INVALID_FIELD, "/unit_code", "codes in serials are [A-Z0-9]{1,16}");
	if (!country_is_clean(asked->country))
		return REFUSE(info, ERR_INVALID_FIELD, "/country", "/country must be two letters A-Z");
	if (hash_is_none(asked->evidence_root) || hash_is_none(asked->methodology_hash))
		return REFUSE(info, ERR_MISSING_FIELD, "/evidence_root", "evidence root and methodology are required");
	if (asked->kind >= CREDIT_KIND_COUNT || asked->durability >= DURABILITY_COUNT ||
		(asked->kind == CREDIT_REMOVAL && asked->durability == DURABILITY_NONE))
		return REFUSE(info, ERR_INVALID_FIELD, "/durability", "a removal has a durability class");
	if (asked->held & ~(uint32_t)PERIOD_HOLD_ALL)
		return REFUSE(info, ERR_INVALID_FIELD, "/held", "/held has an unknown reason");
	return ERR_OK;
}

static enum err quantity_check(const struct command_period_submit *asked, struct err_info *info)
{
	if (asked->quorum < 1 || asked->quorum > REGISTRY_QUORUM_MAX)
		return REFUSE(info, ERR_INVALID_FIELD, "/quorum", "/quorum must be 1..%d", REGISTRY_QUORUM_MAX);
	if (asked->kg < REGISTRY_KG_STEP || asked->kg > REGISTRY_KG_MAX || asked->kg % REGISTRY_KG_STEP)
		return REFUSE(info, ERR_INVALID_FIELD, "/kg", "/kg must be a multiple of %d, %d..%lld",
			REGISTRY_KG_STEP, REGISTRY_KG_STEP, (long long)REGISTRY_KG_MAX);
	if (asked->buffer_kg < 0 || asked->buffer_kg > asked->kg || asked->buffer_kg % REGISTRY_KG_STEP)
		return REFUSE(info, ERR_INVALID_FIELD, "/buffer_kg", "/buffer_kg must be a multiple of %d, 0..kg",
			REGISTRY_KG_STEP);
	if (asked->total_kg < asked->kg || asked->total_kg > REGISTRY_KG_MAX)
		return REFUSE(info, ERR_INVALID_FIELD, "/total_kg", "/total_kg must be kg, or more for a difference");
	int64_t hours_max = INT64_MAX / CLOCK_US_PER_HOUR - 1;
	if (asked->first_hour < 0 || asked->last_hour < asked->first_hour || asked->last_hour > hours_max ||
		asked->last_hour >= UINT32_MAX)
		return REFUSE(info, ERR_INVALID_FIELD, "/last_hour", "the period's hours are out of order");
	if (clock_year(asked->first_hour * CLOCK_US_PER_HOUR) != (int)asked->vintage ||
		clock_year(asked->last_hour * CLOCK_US_PER_HOUR) != (int)asked->vintage)
		return REFUSE(info, ERR_INVALID_FIELD, "/vintage", "all hours lie in the vintage's calendar year");
	return ERR_OK;
}

/* Sorted by (point, first hour), disjoint, inside the period, one slot, no more hours than guard keys allow. */
static enum err runs_check(const struct command *command, uint32_t slot, struct err_info *info)
{
	const struct command_period_submit *asked = &command->period_submit;
	const struct record_lists *lists = &command->lists;
	if (lists->run_count == 0 || lists->range_count != 0)
		return REFUSE(info, ERR_MISSING_FIELD, "/runs", "a period claims at least one meter-hour");
	uint64_t hours = 0;
	for (size_t i = 0; i < lists->run_count; i++) {
		const struct claim_run *run = &lists->runs[i];
		uint64_t end = (uint64_t)run->first_hour + run->hours;
		hours += run->hours;
		if (id_is_none(run->point) || run->hours == 0 || run->slot != slot || run->previous != 0 ||
			(int64_t)run->first_hour < asked->first_hour || (int64_t)end > asked->last_hour + 1)
			return REFUSE(info, ERR_INVALID_FIELD, "/runs",
				"run %zu must lie inside the period and claim slot %u", i, slot);
		int order = i ? id_compare(lists->runs[i - 1].point, run->point) : -1;
		uint64_t before_end = i ? (uint64_t)lists->runs[i - 1].first_hour + lists->runs[i - 1].hours : 0;
		if (order > 0 || (order == 0 && before_end > run->first_hour))
			return REFUSE(info, ERR_INVALID_FIELD, "/runs",
				"runs are sorted by point and hour and do not overlap: run %zu", i);
	}
	if (hours > EVENTS_CLAIM_HOURS_MAX || lists->run_count > EVENTS_RUNS_MAX)
		return REFUSE(info, ERR_COMMAND_TOO_LARGE, "/runs", "a period claims at most %d meter-hours",
			EVENTS_CLAIM_HOURS_MAX);
	return ERR_OK;
}

/* The chain that a difference is built on; ERR_ROOT_OUTDATED where something was issued or reversed since. */
static enum err chain_check(const struct registry *registry, struct id first_period, struct hash previous_root,
	int64_t total_kg, int64_t kg, const struct batch **ret_first, struct err_info *info)
{
	const struct period *first = period_find(registry, first_period);
	const struct batch *batch = first && first->batch ? batch_find(registry, first->batch) : NULL;
	if (!batch || batch->issued.first_batch != batch->issued.batch)
		return REFUSE(info, ERR_INVALID_FIELD, "/first_period",
			"a difference names the issued period of a first batch");
	if (!hash_equal(batch->chain_root, previous_root))
		return REFUSE(info, ERR_ROOT_OUTDATED, "/previous_root", "the chain's newest root is another one");
	if (total_kg - batch->chain_kg != kg)
		return REFUSE(info, ERR_ROOT_OUTDATED, "/total_kg",
			"the chain has issued %lld kg so far: the difference is not %lld", (long long)batch->chain_kg,
			(long long)kg);
	*ret_first = batch;
	return ERR_OK;
}

static enum err claims_check(const struct registry *registry, const struct claim_run *runs, size_t count,
	const struct batch *first, struct err_info *info)
{
	for (size_t i = 0; i < count; i++) {
		char point[ID_TEXT_SIZE];
		uint64_t owner = claims_overlap(&registry->claims, &runs[i]);
		if (owner)
			return REFUSE(info, ERR_CLAIM_TAKEN, "/runs",
				"an hour of run %zu (point %s, slot %u) has backed batch %llu", i,
				id_text(runs[i].point, point), runs[i].slot, (unsigned long long)owner);
		struct claim_run original = runs[i];
		original.slot = 0;
		if (first && !claims_covered(&registry->claims, &original, first->issued.batch))
			return REFUSE(info, ERR_INVALID_FIELD, "/runs",
				"run %zu has hours that the first batch did not claim", i);
	}
	return ERR_OK;
}

/* Slot of the claims, and that chain and claims allow them. For submit, and again for issue. */
static enum err basis_check(const struct registry *registry, const struct event_period_submitted *said,
	const struct claim_run *runs, size_t count, uint32_t *ret_slot, const struct batch **ret_first,
	struct err_info *info)
{
	const struct batch *first = NULL;
	enum err err = ERR_OK;
	if (!id_is_none(said->first_period))
		err = chain_check(
			registry, said->first_period, said->previous_root, said->total_kg, said->kg, &first, info);
	else if (said->total_kg != said->kg || !hash_is_none(said->previous_root))
		err = REFUSE(info, ERR_INVALID_FIELD, "/total_kg", "only a difference has another total or a root");
	if (!err && first && !id_equal(first->issued.org, said->org))
		err = REFUSE(info, ERR_FORBIDDEN, "/first_period", "the first batch is another organisation's");
	if (!err && batch_of_root(registry, said->evidence_root) != MAP_NONE)
		err = REFUSE(info, ERR_DUPLICATE, "/evidence_root", "a batch has been issued on this evidence root");
	if (err)
		return err;
	*ret_first = first;
	*ret_slot = first ? first->chain_slot + 1 : 0;
	return claims_check(registry, runs, count, first, info);
}

enum err decide_period_submit(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command *command = call->command;
	const struct command_period_submit *asked = &command->period_submit;
	enum err err = identity_check(asked, command->org, info);
	if (!err)
		err = quantity_check(asked, info);
	if (!err && period_find(registry, asked->period))
		err = REFUSE(info, ERR_DUPLICATE, "/period", "the period has been submitted");
	struct event event = {.lists = command->lists};
	_Static_assert(sizeof event.period_submitted == sizeof *asked, "a submission is journalled as it is");
	memcpy(&event.period_submitted, asked, sizeof *asked);
	event.period_submitted.reserved = 0;
	uint32_t slot = 0;
	const struct batch *first = NULL;
	/* the runs' form before their basis, which looks them up */
	if (!err)
		err = runs_check(command, command->lists.run_count ? command->lists.runs[0].slot : 0, info);
	if (!err)
		err = basis_check(registry, &event.period_submitted, command->lists.runs, command->lists.run_count,
			&slot, &first, info);
	if (!err)
		err = runs_check(command, slot, info);
	if (!err)
		err = admission_check(registry, &event.period_submitted, call->now_us, false, info);
	return err ? err : decision_emit(call, EVENT_PERIOD_SUBMITTED, &event, info);
}

/* ---- the steps on the way ---- */

static enum err period_step(const struct registry *registry, struct id id, enum period_verb verb,
	struct period **ret_period, struct err_info *info)
{
	struct period *period = period_find(registry, id);
	if (!period)
		return REFUSE(info, ERR_NOT_FOUND, "", "there is no such period in the registry");
	*ret_period = period;
	if (registry_period_next(period->state, verb) == PERIOD_STATE_COUNT)
		return REFUSE(info, ERR_PERIOD_STATE, "", "the period is %s", event_period_state_names[period->state]);
	return ERR_OK;
}

static enum err attestation_check(const struct decision *call, const struct period *period,
	const struct verifier *verifier, struct err_info *info)
{
	const struct command_period_attest *asked = &call->command->period_attest;
	if (verifier->revoked_us || call->now_us < verifier->valid_from_us || call->now_us >= verifier->valid_to_us)
		return REFUSE(info, ERR_VERIFIER_NOT_VALID, "/verifier", "the verifier's key is not valid now");
	if (!id_equal(call->command->org, verifier->org))
		return REFUSE(info, ERR_FORBIDDEN, "/verifier", "a verifier's organisation hands in its signature");
	if (id_equal(verifier->org, period->said.org) || period->submitter == call->actor)
		return REFUSE(info, ERR_SEPARATION_OF_DUTIES, "/verifier", "who submits cannot verify");
	for (size_t i = 0; i < period->attestation_count; i++)
		if (id_equal(period->attestations[i].verifier, verifier->id))
			return REFUSE(info, ERR_ALREADY_ATTESTED, "/verifier", "the verifier has attested this period");
	if (period->attestation_count == REGISTRY_QUORUM_MAX)
		return REFUSE(
			info, ERR_COMMAND_TOO_LARGE, "", "a period has at most %d attestations", REGISTRY_QUORUM_MAX);
	if (!hash_equal(asked->evidence_root, period->said.evidence_root))
		return REFUSE(info, ERR_SIGNATURE_INVALID, "/evidence_root", "the period's evidence root is another");
	if (!sign_holds(&verifier->key, REGISTRY_ATTESTATION_DOMAIN, &asked->evidence_root, sizeof asked->evidence_root,
		    &asked->signature))
		return REFUSE(info, ERR_SIGNATURE_INVALID, "/signature",
			"the signature does not hold for the verifier's key and this evidence root");
	return ERR_OK;
}

enum err decide_period_attest(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_period_attest *asked = &call->command->period_attest;
	struct period *period;
	enum err err = period_step(registry, asked->period, PERIOD_VERB_ATTEST, &period, info);
	if (err)
		return err;
	const struct verifier *verifier = verifier_find(registry, asked->verifier);
	if (!verifier)
		return REFUSE(info, ERR_VERIFIER_UNKNOWN, "/verifier", "there is no such verifier");
	err = attestation_check(call, period, verifier, info);
	if (err)
		return err;
	struct event event = {.period_attested = {.period = asked->period,
				      .verifier = asked->verifier,
				      .verifier_org = verifier->org,
				      .evidence_root = asked->evidence_root,
				      .signature = asked->signature,
				      .attestations = (uint32_t)period->attestation_count + 1}};
	return decision_emit(call, EVENT_PERIOD_ATTESTED, &event, info);
}

enum err decide_period_withdraw(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_period_withdraw *asked = &call->command->period_withdraw;
	struct period *period;
	enum err err = period_step(registry, asked->period, PERIOD_VERB_WITHDRAW, &period, info);
	if (!err && !id_equal(period->said.org, call->command->org))
		err = REFUSE(info, ERR_FORBIDDEN, "", "only the operator withdraws its period");
	struct event event = {.period_withdrawn = {.period = asked->period, .reason_hash = asked->reason_hash}};
	return err ? err : decision_emit(call, EVENT_PERIOD_WITHDRAWN, &event, info);
}

enum err decide_period_refuse(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_period_refuse *asked = &call->command->period_refuse;
	struct period *period;
	enum err err = period_step(registry, asked->period, PERIOD_VERB_REFUSE, &period, info);
	if (!err)
		err = reason_check(asked->reason_hash, info);
	if (!err && (id_equal(period->said.org, call->command->org) || period->submitter == call->actor))
		err = REFUSE(info, ERR_SEPARATION_OF_DUTIES, "", "the operator withdraws, others refuse");
	struct event event = {.period_refused = {.period = asked->period, .reason_hash = asked->reason_hash}};
	return err ? err : decision_emit(call, EVENT_PERIOD_REFUSED, &event, info);
}

enum err decide_period_hold(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_period_hold *asked = &call->command->period_hold;
	struct period *period;
	enum err err = period_step(registry, asked->period, PERIOD_VERB_HOLD, &period, info);
	if (!err && (asked->reasons == 0 || asked->reasons & ~(uint32_t)PERIOD_HOLD_ALL))
		err = REFUSE(info, ERR_INVALID_FIELD, "/reasons", "/reasons must name at least one known reason");
	struct event event = {
		.period_held = {.period = asked->period, .reason_hash = asked->reason_hash, .reasons = asked->reasons}};
	return err ? err : decision_emit(call, EVENT_PERIOD_HELD, &event, info);
}

enum err decide_period_release(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_period_release *asked = &call->command->period_release;
	struct period *period;
	enum err err = period_step(registry, asked->period, PERIOD_VERB_RELEASE, &period, info);
	if (!err)
		err = reason_check(asked->reason_hash, info);
	if (!err && !period->held)
		err = REFUSE(info, ERR_NOT_HELD, "", "the period is not held");
	if (!err && period_involves(period, call->actor, call->command->org))
		err = REFUSE(info, ERR_SEPARATION_OF_DUTIES, "", "neither submitter nor verifier releases a period");
	struct event event = {.period_released = {.period = asked->period, .reason_hash = asked->reason_hash}};
	return err ? err : decision_emit(call, EVENT_PERIOD_RELEASED, &event, info);
}

enum err decide_period_issue(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	struct period *period;
	enum err err = period_step(registry, call->command->period_issue.period, PERIOD_VERB_ISSUE, &period, info);
	if (err)
		return err;
	const struct event_period_submitted *said = &period->said;
	if (ledger_account_closed(ledger, said->org))
		return REFUSE(info, ERR_ACCOUNT_CLOSED, "", "the operator's account is closed");
	if (period->held)
		return REFUSE(info, ERR_PERIOD_HELD, "", "the period is held and must be released first");
	if (period_involves(period, call->actor, call->command->org))
		return REFUSE(info, ERR_SEPARATION_OF_DUTIES, "", "neither submitter nor verifier issues");
	if (period->disputes)
		return REFUSE(info, ERR_PERIOD_HELD, "", "the period is in dispute");
	uint32_t slot = 0;
	const struct batch *first = NULL;
	err = admission_check(registry, said, call->now_us, true, info);
	if (!err)
		err = basis_check(registry, said, period->runs, period->run_count, &slot, &first, info);
	if (err)
		return err;
	uint64_t number = registry->batch_count + 1;
	struct event event = {.batch_issued = {.batch = number,
				      .period = said->period,
				      .org = said->org,
				      .issuance_id = registry_issuance_id(registry->id, said->evidence_root),
				      .evidence_root = said->evidence_root,
				      .kg = said->kg,
				      .buffer_kg = said->buffer_kg,
				      .first_batch = first ? first->issued.batch : number,
				      .slot = slot,
				      .kind = said->kind,
				      .durability = said->durability,
				      .vintage = said->vintage},
		.lists = {.runs = period->runs, .run_count = period->run_count}};
	call->number = number;
	return decision_emit(call, EVENT_BATCH_ISSUED, &event, info);
}

/* ---- apply ---- */

static void submission_revert(void *owner, const void *payload)
{
	(void)payload;
	struct registry *registry = owner;
	struct period *period = &registry->periods[--registry->period_count];
	map_remove(&registry->period_map, map_hash_bytes(registry->seed, &period->said.period, sizeof(struct id)),
		registry->period_count);
	free(period->runs);
}

static enum err period_add(struct registry *registry, struct undo *undo, const struct period *period,
	const struct record_lists *lists, struct err_info *info)
{
	if (period_find(registry, period->said.period))
		return journal_invalid(info, "a period is submitted twice");
	void *periods = registry->periods;
	bool room =
		array_room(&periods, &registry->period_capacity, registry->period_count, sizeof *registry->periods) &&
		map_reserve(&registry->period_map, 1);
	registry->periods = periods;
	struct claim_run *runs = room && lists->run_count ? malloc(lists->run_count * sizeof *runs) : NULL;
	if (!room || (lists->run_count && !runs))
		return ERR_NO_MEMORY;
	if (runs)
		memcpy(runs, lists->runs, lists->run_count * sizeof *runs);
	struct period *added = &registry->periods[registry->period_count];
	*added = *period;
	added->runs = runs;
	added->run_count = lists->run_count;
	map_put(&registry->period_map, map_hash_bytes(registry->seed, &period->said.period, sizeof(struct id)),
		registry->period_count);
	registry->period_count++;
	undo_push(undo, submission_revert, registry, NULL, 0);
	return ERR_OK;
}

enum err apply_period_submitted(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	const struct event_period_submitted *said = &event->period_submitted;
	struct period period = {
		.said = *said, .state = PERIOD_SUBMITTED, .held = said->held, .submitter = event->header.actor};
	if (said->quorum < 1 || said->quorum > REGISTRY_QUORUM_MAX || said->kg <= 0 || said->buffer_kg < 0 ||
		said->buffer_kg > said->kg || said->kg > REGISTRY_KG_MAX)
		return journal_invalid(info, "a submitted period is out of range");
	return period_add(registry, undo, &period, &event->lists, info);
}

/* What the steps change of a period, as it was. */
struct period_step_back {
	struct id period;
	enum period_state state;
	uint32_t held;
	size_t attestation_count;
};

static void step_revert(void *owner, const void *payload)
{
	struct period_step_back back;
	memcpy(&back, payload, sizeof back);
	struct period *period = period_find(owner, back.period);
	period->state = back.state;
	period->held = back.held;
	period->attestation_count = back.attestation_count;
}

/* The one place where a period's state changes, but for issue. */
static enum err period_change(struct registry *registry, struct undo *undo, struct id id, enum period_verb verb,
	struct period **ret_period, struct err_info *info)
{
	struct period *period = period_find(registry, id);
	enum period_state next = period ? registry_period_next(period->state, verb) : PERIOD_STATE_COUNT;
	if (next == PERIOD_STATE_COUNT)
		return journal_invalid(info, "a period takes a step that its state does not have");
	struct period_step_back back = {.period = id,
		.state = period->state,
		.held = period->held,
		.attestation_count = period->attestation_count};
	undo_push(undo, step_revert, registry, &back, sizeof back);
	period->state = next;
	*ret_period = period;
	return ERR_OK;
}

enum err apply_period_attested(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	const struct event_period_attested *said = &event->period_attested;
	struct period *period = period_find(registry, said->period);
	if (!period || period->attestation_count == REGISTRY_QUORUM_MAX)
		return journal_invalid(info, "an attestation has no period or is one too many");
	bool completes = period->state == PERIOD_SUBMITTED && period->attestation_count + 1 >= period->said.quorum;
	enum err err = period_change(
		registry, undo, said->period, completes ? PERIOD_VERB_COMPLETE : PERIOD_VERB_ATTEST, &period, info);
	if (!err)
		period->attestations[period->attestation_count++] = (struct attestation){
			.verifier = said->verifier, .org = said->verifier_org, .actor = event->header.actor};
	return err;
}

enum err apply_period_withdrawn(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	struct period *period;
	return period_change(registry, undo, event->period_withdrawn.period, PERIOD_VERB_WITHDRAW, &period, info);
}

enum err apply_period_refused(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	struct period *period;
	return period_change(registry, undo, event->period_refused.period, PERIOD_VERB_REFUSE, &period, info);
}

enum err apply_period_held(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	struct period *period;
	enum err err = period_change(registry, undo, event->period_held.period, PERIOD_VERB_HOLD, &period, info);
	if (!err)
		period->held |= event->period_held.reasons;
	return err;
}

enum err apply_period_released(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	struct period *period;
	enum err err = period_change(registry, undo, event->period_released.period, PERIOD_VERB_RELEASE, &period, info);
	if (!err)
		period->held = 0;
	return err;
}

enum err apply_state_period(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	const struct event_state_period *said = &event->state_period;
	struct period period = {.said = {.period = said->period,
					.org = said->org,
					.unit = said->unit,
					.project = said->project,
					.unit_code = said->unit_code,
					.methodology = said->methodology,
					.country = said->country,
					.methodology_hash = said->methodology_hash,
					.evidence_root = said->evidence_root,
					.kind = said->kind,
					.durability = said->durability,
					.vintage = said->vintage,
					.quorum = said->quorum,
					.first_hour = said->first_hour,
					.last_hour = said->last_hour,
					.kg = said->kg,
					.buffer_kg = said->buffer_kg,
					.first_period = said->first_period,
					.previous_root = said->previous_root,
					.total_kg = said->total_kg},
		.held = said->held,
		.state = (enum period_state)said->state,
		.submitter = said->submitter,
		.batch = said->batch};
	if (said->state >= PERIOD_STATE_COUNT)
		return journal_invalid(info, "a period has no such state");
	return period_add(registry, undo, &period, &event->lists, info);
}

enum err apply_state_attestation(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	(void)undo;
	const struct event_state_attestation *said = &event->state_attestation;
	struct period *period = period_find(registry, said->period);
	if (!period || period->attestation_count == REGISTRY_QUORUM_MAX)
		return journal_invalid(info, "an attestation has no period");
	period->attestations[period->attestation_count++] =
		(struct attestation){.verifier = said->verifier, .org = said->verifier_org, .actor = said->actor};
	return ERR_OK;
}
