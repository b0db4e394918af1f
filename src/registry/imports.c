/* Decides what may come in from other registries: each of their numbers once until it goes back (origin lock), as a batch of its own
 * that claims no meter-hours; and what goes back. The state's thread. */
#include "state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"

/* Serials of a command lie in EVENTS_RANGES_MAX ranges, each of which ends in a run or at the end of one. */
#define RETURN_RUNS_MAX (EVENTS_RANGES_MAX + REGISTRY_IMPORT_RUNS_MAX)

static bool series_is_clean(struct code32 series)
{
	size_t length = strnlen(series.text, sizeof series.text);
	for (size_t i = 0; i < length; i++)
		if (series.text[i] <= ' ' || series.text[i] > '~')
			return false;
	for (size_t i = length; i < sizeof series.text; i++)
		if (series.text[i])
			return false;
	return length > 0;
}

static enum err identity_check(const struct decision *call, struct err_info *info)
{
	const struct command_batch_import *asked = &call->command->batch_import;
	if (id_is_none(asked->org) || hash_is_none(asked->evidence_hash))
		return REFUSE(info, ERR_MISSING_FIELD, "/evidence_hash", "who holds them and a proof are required");
	if (id_equal(asked->org, call->command->org))
		return REFUSE(info, ERR_SEPARATION_OF_DUTIES, "/org_id", "who takes credits in does not hold them");
	if (!code_is_clean(asked->origin) || !code_is_clean(asked->methodology))
		return REFUSE(info, ERR_INVALID_FIELD, "/origin", "codes in serials are [A-Z0-9]{1,16}");
	if (!series_is_clean(asked->series))
		return REFUSE(info, ERR_INVALID_FIELD, "/series", "/series is 1 to 32 printable characters");
	if (!country_is_clean(asked->country))
		return REFUSE(info, ERR_INVALID_FIELD, "/country", "/country must be two letters A-Z");
	if (asked->kind >= CREDIT_KIND_COUNT || asked->durability >= DURABILITY_COUNT ||
		(asked->kind == CREDIT_REMOVAL && asked->durability == DURABILITY_NONE))
		return REFUSE(info, ERR_INVALID_FIELD, "/durability", "a removal has a durability class");
	if (asked->vintage < 1970 || asked->vintage > (uint32_t)clock_year(call->now_us))
		return REFUSE(info, ERR_INVALID_FIELD, "/vintage", "/vintage must be 1970..this year");
	if (asked->unit_kg != 1 && asked->unit_kg != 1000)
		return REFUSE(info, ERR_INVALID_FIELD, "/unit_kg", "/unit_kg must be 1 or 1000");
	return ERR_OK;
}

/* What of a run was never here, or which batch gave it back; with the name of its series. */
static enum err run_check(const struct registry *registry, struct claim_run rest, size_t number, struct claim_run *runs,
	size_t *count, struct err_info *info)
{
	for (uint32_t hours; rest.hours > 0; rest.first_hour += hours, rest.hours -= hours) {
		uint64_t owner = claims_at(&registry->origins, &rest, &hours);
		if (owner && !(owner & NUMBER_RETURNED))
			return REFUSE(info, ERR_ORIGIN_TAKEN, "/numbers", "numbers of run %zu came in with batch %llu",
				number, (unsigned long long)owner);
		if (*count == REGISTRY_IMPORT_RUNS_MAX)
			return REFUSE(info, ERR_COMMAND_TOO_LARGE, "/numbers",
				"what came in before and was given back lies in more than %d runs",
				REGISTRY_IMPORT_RUNS_MAX);
		struct claim_run run = rest;
		run.hours = hours;
		run.previous = (uint32_t)owner;
		runs[(*count)++] = run;
	}
	return ERR_OK;
}

/* Sorted, disjoint, none of them taken. */
static enum err numbers_check(const struct registry *registry, const struct command *command, struct claim_run *runs,
	size_t *ret_count, int64_t *ret_kg, struct err_info *info)
{
	const struct record_lists *lists = &command->lists;
	struct id line = registry_origin_line(command->batch_import.origin, command->batch_import.series);
	int64_t numbers = 0;
	*ret_count = 0;
	if (lists->run_count < 1 || lists->run_count > REGISTRY_IMPORT_RUNS_MAX)
		return REFUSE(info, ERR_COMMAND_TOO_LARGE, "/numbers", "a batch takes in 1..%d runs of numbers",
			REGISTRY_IMPORT_RUNS_MAX);
	for (size_t i = 0; i < lists->run_count; i++) {
		struct claim_run run = lists->runs[i];
		if (!id_is_none(run.point) || run.previous || !run.hours || run.hours > REGISTRY_ORIGIN_SLOT ||
			run.first_hour > REGISTRY_ORIGIN_SLOT - run.hours)
			return REFUSE(info, ERR_INVALID_FIELD, "/numbers", "run %zu is empty or too large", i);
		const struct claim_run *before = i ? &lists->runs[i - 1] : NULL;
		bool follows = !before || run.slot > before->slot ||
			       (run.slot == before->slot && run.first_hour >= before->first_hour + before->hours);
		if (!follows)
			return REFUSE(
				info, ERR_INVALID_FIELD, "/numbers", "runs are sorted and do not overlap: %zu", i);
		numbers += run.hours;
		run.point = line;
		enum err err = run_check(registry, run, i, runs, ret_count, info);
		if (err)
			return err;
	}
	if (numbers > EVENTS_CLAIM_HOURS_MAX)
		return REFUSE(info, ERR_COMMAND_TOO_LARGE, "/numbers", "a batch takes in at most %d numbers",
			EVENTS_CLAIM_HOURS_MAX);
	*ret_kg = numbers * command->batch_import.unit_kg;
	return ERR_OK;
}

enum err decide_batch_import(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_batch_import *asked = &call->command->batch_import;
	struct claim_run runs[REGISTRY_IMPORT_RUNS_MAX];
	size_t count = 0;
	int64_t kg = 0;
	enum err err = identity_check(call, info);
	if (!err)
		err = numbers_check(registry, call->command, runs, &count, &kg, info);
	if (err)
		return err;
	struct hash root = registry_import_root(asked->evidence_hash, runs, count);
	call->number = (uint64_t)registry->batch_count + 1;
	struct event event = {.batch_imported = {.batch = call->number,
				      .org = asked->org,
				      .issuance_id = registry_issuance_id(registry->id, root),
				      .evidence_root = root,
				      .evidence_hash = asked->evidence_hash,
				      .origin = asked->origin,
				      .series = asked->series,
				      .methodology = asked->methodology,
				      .country = asked->country,
				      .kg = kg,
				      .kind = asked->kind,
				      .durability = asked->durability,
				      .vintage = asked->vintage,
				      .unit_kg = asked->unit_kg},
		.lists = {.runs = runs, .run_count = count}};
	return decision_emit(call, EVENT_BATCH_IMPORTED, &event, info);
}

/* Whose a number is before it comes in. */
static uint64_t owner_before(const struct claim_run *run)
{
	return run->previous ? run->previous | NUMBER_RETURNED : 0;
}

static void numbers_give_back(struct registry *registry, const struct claim_run *runs, size_t count, uint64_t batch)
{
	for (size_t i = count; i-- > 0;) {
		enum err err = claims_pass(&registry->origins, &runs[i], batch, owner_before(&runs[i]));
		assert(!err);
	}
}

static void import_revert(void *owner, const void *payload)
{
	(void)payload;
	struct registry *registry = owner;
	struct import *import = &registry->imports[--registry->import_count];
	const struct batch *batch = &registry->batches[--registry->batch_count];
	numbers_give_back(registry, import->runs, import->run_count, import->said.batch);
	map_remove(&registry->root_map,
		map_hash_bytes(registry->seed, &batch->issued.evidence_root, sizeof(struct hash)),
		registry->batch_count);
	free(import->runs);
}

/* Takes the numbers and notes where they are from. In a snapshot what is given back is said behind all imports. */
static enum err import_add(struct registry *registry, const struct event_state_import *said,
	const struct record_lists *lists, bool restores, struct err_info *info)
{
	struct id line = registry_origin_line(said->origin, said->series);
	void *imports = registry->imports;
	bool room = array_room(&imports, &registry->import_capacity, registry->import_count, sizeof *registry->imports);
	registry->imports = imports;
	if (lists->run_count == 0)
		return journal_invalid(info, "an import takes no numbers");
	for (size_t i = 0; i < lists->run_count; i++)
		if (!id_equal(lists->runs[i].point, line))
			return journal_invalid(info, "an import takes numbers of another series");
	struct claim_run *runs = room ? malloc(lists->run_count * sizeof *runs) : NULL;
	if (!runs)
		return ERR_NO_MEMORY;
	memcpy(runs, lists->runs, lists->run_count * sizeof *runs);
	enum err err = ERR_OK;
	for (size_t i = 0; i < lists->run_count && !err; i++) {
		uint64_t before = restores ? runs[i].previous : owner_before(&runs[i]);
		err = claims_pass(&registry->origins, &runs[i], before, said->batch);
		if (err && !restores)
			numbers_give_back(registry, runs, i, said->batch);
	}
	if (err) {
		free(runs);
		return err == ERR_CLAIM_TAKEN ? journal_invalid(info, "a number comes in twice") : err;
	}
	registry->imports[registry->import_count++] =
		(struct import){.said = *said, .runs = runs, .run_count = lists->run_count};
	return ERR_OK;
}

enum err apply_batch_imported(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_batch_imported *said = &event->batch_imported;
	struct event_state_import import = {.batch = said->batch,
		.evidence_hash = said->evidence_hash,
		.origin = said->origin,
		.series = said->series,
		.methodology = said->methodology,
		.country = said->country,
		.unit_kg = said->unit_kg};
	if (said->batch != (uint64_t)registry->batch_count + 1 || said->kg <= 0 || said->kg > REGISTRY_KG_MAX ||
		id_is_none(said->org) || batch_of_root(registry, said->evidence_root) != MAP_NONE)
		return journal_invalid(info, "an imported batch is out of order");
	enum err err = batch_room(registry);
	if (!err)
		err = import_add(registry, &import, &event->lists, false, info);
	if (err)
		return err;
	struct batch batch = {.issued = {.batch = said->batch,
				      .org = said->org,
				      .issuance_id = said->issuance_id,
				      .evidence_root = said->evidence_root,
				      .kg = said->kg,
				      .first_batch = said->batch,
				      .kind = said->kind,
				      .durability = said->durability,
				      .vintage = said->vintage},
		.chain_root = said->evidence_root,
		.chain_kg = said->kg};
	batch_put(registry, &batch);
	undo_push(undo, import_revert, registry, NULL, 0);
	return ledger_issue(ledger, undo, said->batch, said->org, KG_HELD, said->kg);
}

enum err apply_state_import(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	(void)undo;
	const struct event_state_import *said = &event->state_import;
	uint64_t last = registry->import_count ? registry->imports[registry->import_count - 1].said.batch : 0;
	if (said->batch <= last || !batch_find(registry, said->batch))
		return journal_invalid(info, "imports are out of order");
	return import_add(registry, said, &event->lists, true, info);
}

/* ---- what goes back ---- */

/* The numbers that serials of an imported batch stand for: those of its runs, counted through. */
static enum err range_numbers(const struct import *import, const struct serial_range *range, struct claim_run *runs,
	size_t *count, struct err_info *info)
{
	int64_t unit_kg = import->said.unit_kg, skip = range->start / unit_kg, left = range->length / unit_kg;
	if (range->start % unit_kg || range->length % unit_kg)
		return REFUSE(info, ERR_ORIGIN_IN_PART, "/ranges",
			"%.16s's numbers of batch %llu stand for %lld kg each, and go back whole",
			import->said.origin.text, (unsigned long long)range->batch, (long long)unit_kg);
	for (size_t i = 0; i < import->run_count && left > 0; i++) {
		struct claim_run run = import->runs[i];
		if (skip >= run.hours) {
			skip -= run.hours;
			continue;
		}
		run.first_hour += (uint32_t)skip;
		run.hours -= (uint32_t)skip;
		run.hours = left < run.hours ? (uint32_t)left : run.hours;
		run.previous = 0;
		skip = 0;
		left -= run.hours;
		assert(*count < RETURN_RUNS_MAX);
		runs[(*count)++] = run;
	}
	return ERR_OK;
}

/* The serials of one batch, from the first of its ranges on. */
static enum err batch_returns(const struct registry *registry, struct decision *call, const struct selection *selection,
	size_t at, struct err_info *info)
{
	const struct import *import = import_find(registry, selection->ranges[at].batch);
	struct claim_run runs[RETURN_RUNS_MAX];
	size_t count = 0;
	int64_t kg = 0;
	for (size_t i = at; i < selection->count; i++) {
		const struct serial_range *range = &selection->ranges[i];
		if (range->batch != import->said.batch)
			continue;
		enum err err = range_numbers(import, range, runs, &count, info);
		if (err)
			return err;
		kg += range->length;
	}
	struct event event = {.origin_returned = {.batch = import->said.batch, .cancellation = call->number, .kg = kg},
		.lists = {.runs = runs, .run_count = count}};
	return decision_emit(call, EVENT_ORIGIN_RETURNED, &event, info);
}

static bool is_its_origin(const struct import *import, struct code32 destination)
{
	char origin[17], named[33];
	return strcmp(code16_text(import->said.origin, origin), code32_text(destination, named)) == 0;
}

enum err returns_decide(const struct registry *registry, struct decision *call, const struct selection *selection,
	struct err_info *info)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < selection->count && !err; i++) {
		const struct import *import = import_find(registry, selection->ranges[i].batch);
		size_t first = 0;
		while (selection->ranges[first].batch != selection->ranges[i].batch)
			first++;
		if (import && first == i && is_its_origin(import, call->command->cancel.destination))
			err = batch_returns(registry, call, selection, i, info);
	}
	return err;
}

struct return_back {
	struct claim_run run;
	uint64_t batch;
};

static void return_revert(void *owner, const void *payload)
{
	struct return_back back;
	memcpy(&back, payload, sizeof back);
	enum err err =
		claims_pass(&((struct registry *)owner)->origins, &back.run, back.batch | NUMBER_RETURNED, back.batch);
	assert(!err);
}

static enum err numbers_return(struct registry *registry, struct undo *undo, uint64_t batch,
	const struct record_lists *lists, int64_t *ret_numbers, struct err_info *info)
{
	enum err err = import_find(registry, batch) && lists->run_count ? ERR_OK : ERR_CLAIM_TAKEN;
	*ret_numbers = 0;
	for (size_t i = 0; i < lists->run_count && !err; i++) {
		struct return_back back = {.run = lists->runs[i], .batch = batch};
		err = claims_pass(&registry->origins, &back.run, batch, batch | NUMBER_RETURNED);
		if (!err)
			undo_push(undo, return_revert, registry, &back, sizeof back);
		*ret_numbers += back.run.hours;
	}
	return err == ERR_CLAIM_TAKEN ? journal_invalid(info, "a batch gives back what it does not have") : err;
}

enum err apply_origin_returned(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	const struct event_origin_returned *said = &event->origin_returned;
	int64_t numbers = 0;
	enum err err = numbers_return(registry, undo, said->batch, &event->lists, &numbers, info);
	if (!err && (said->cancellation != registry->cancellation_count ||
			    said->kg != numbers * import_find(registry, said->batch)->said.unit_kg))
		err = journal_invalid(info, "what is given back is not what was cancelled");
	return err;
}

enum err apply_state_returned(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	int64_t numbers;
	return numbers_return(registry, undo, event->state_returned.batch, &event->lists, &numbers, info);
}
