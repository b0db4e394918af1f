/* Decides what may come in from other registries: each of their numbers once, for ever (origin lock), as a batch of its own that
 * claims no meter-hours. The state's thread. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"

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

/* Sorted, disjoint, none of them taken; with the name of their series. */
static enum err numbers_check(const struct registry *registry, const struct command *command, struct claim_run *runs,
	int64_t *ret_kg, struct err_info *info)
{
	const struct record_lists *lists = &command->lists;
	struct id line = registry_origin_line(command->batch_import.origin, command->batch_import.series);
	int64_t count = 0;
	if (lists->run_count < 1 || lists->run_count > REGISTRY_IMPORT_RUNS_MAX)
		return REFUSE(info, ERR_COMMAND_TOO_LARGE, "/numbers", "a batch takes in 1..%d runs of numbers",
			REGISTRY_IMPORT_RUNS_MAX);
	for (size_t i = 0; i < lists->run_count; i++) {
		struct claim_run *run = &runs[i];
		*run = lists->runs[i];
		if (!id_is_none(run->point) || run->reserved || !run->hours || run->hours > REGISTRY_ORIGIN_SLOT ||
			run->first_hour > REGISTRY_ORIGIN_SLOT - run->hours)
			return REFUSE(info, ERR_INVALID_FIELD, "/numbers", "run %zu is empty or too large", i);
		run->point = line;
		bool follows = i == 0 || run->slot > runs[i - 1].slot ||
			       (run->slot == runs[i - 1].slot &&
				       run->first_hour >= runs[i - 1].first_hour + runs[i - 1].hours);
		if (!follows)
			return REFUSE(
				info, ERR_INVALID_FIELD, "/numbers", "runs are sorted and do not overlap: %zu", i);
		uint64_t owner = claims_overlap(&registry->origins, run);
		if (owner)
			return REFUSE(info, ERR_ORIGIN_TAKEN, "/numbers", "numbers of run %zu came in with batch %llu",
				i, (unsigned long long)owner);
		count += run->hours;
	}
	if (count > EVENTS_CLAIM_HOURS_MAX)
		return REFUSE(info, ERR_COMMAND_TOO_LARGE, "/numbers", "a batch takes in at most %d numbers",
			EVENTS_CLAIM_HOURS_MAX);
	*ret_kg = count * command->batch_import.unit_kg;
	return ERR_OK;
}

enum err decide_batch_import(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_batch_import *asked = &call->command->batch_import;
	struct claim_run runs[REGISTRY_IMPORT_RUNS_MAX];
	size_t count = call->command->lists.run_count;
	int64_t kg = 0;
	enum err err = identity_check(call, info);
	if (!err)
		err = numbers_check(registry, call->command, runs, &kg, info);
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

static void import_revert(void *owner, const void *payload)
{
	(void)payload;
	struct registry *registry = owner;
	struct import *import = &registry->imports[--registry->import_count];
	const struct batch *batch = &registry->batches[--registry->batch_count];
	claims_give_back(&registry->origins, import->runs, import->run_count);
	map_remove(&registry->root_map,
		map_hash_bytes(registry->seed, &batch->issued.evidence_root, sizeof(struct hash)),
		registry->batch_count);
	free(import->runs);
}

/* Takes the numbers and notes where they are from. */
static enum err import_add(struct registry *registry, const struct event_state_import *said,
	const struct record_lists *lists, struct err_info *info)
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
	enum err err = claims_take(&registry->origins, runs, lists->run_count, said->batch);
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
		err = import_add(registry, &import, &event->lists, info);
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
	return import_add(registry, said, &event->lists, info);
}
