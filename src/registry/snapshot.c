/* Decides how the registry's state is written as synthetic events: in an order that depends on nothing but the state. The
 * state's thread. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#define CLAIMS_PER_RECORD 4096

typedef enum err emit_function(void *context, struct event *event, struct err_info *info);

struct writer {
	const struct registry *registry;
	emit_function *emit;
	void *context;
	struct err_info *info;
};

static enum err put(struct writer *writer, uint16_t type, struct event *event)
{
	event->header.type = type;
	return writer->emit(writer->context, event, writer->info);
}

static int verifier_compare(const void *a, const void *b)
{
	return id_compare((*(const struct verifier *const *)a)->id, (*(const struct verifier *const *)b)->id);
}

static enum err verifiers_put(struct writer *writer)
{
	const struct registry *registry = writer->registry;
	const struct verifier **sorted = calloc(registry->verifier_count + 1, sizeof *sorted);
	if (!sorted)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < registry->verifier_count; i++)
		sorted[i] = &registry->verifiers[i];
	qsort(sorted, registry->verifier_count, sizeof *sorted, verifier_compare);
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < registry->verifier_count && !err; i++) {
		struct event event = {.state_verifier = {.verifier = sorted[i]->id,
					      .org = sorted[i]->org,
					      .key = sorted[i]->key,
					      .valid_from_us = sorted[i]->valid_from_us,
					      .valid_to_us = sorted[i]->valid_to_us,
					      .revoked_us = sorted[i]->revoked_us}};
		err = put(writer, EVENT_STATE_VERIFIER, &event);
	}
	free(sorted);
	return err;
}

static enum err period_put(struct writer *writer, const struct period *period)
{
	const struct event_period_submitted *said = &period->said;
	bool is_open = period_is_open(period);
	struct event event = {.state_period = {.period = said->period,
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
				      .total_kg = said->total_kg,
				      .held = period->held,
				      .state = (uint32_t)period->state,
				      .submitter = period->submitter,
				      .batch = period->batch},
		.lists = {.runs = is_open ? period->runs : NULL, .run_count = is_open ? period->run_count : 0}};
	enum err err = put(writer, EVENT_STATE_PERIOD, &event);
	for (size_t i = 0; i < period->attestation_count && !err; i++) {
		const struct attestation *attestation = &period->attestations[i];
		struct event given = {.state_attestation = {.period = said->period,
					      .verifier = attestation->verifier,
					      .verifier_org = attestation->org,
					      .actor = attestation->actor}};
		err = put(writer, EVENT_STATE_ATTESTATION, &given);
	}
	return err;
}

static int period_compare(const void *a, const void *b)
{
	return id_compare(
		(*(const struct period *const *)a)->said.period, (*(const struct period *const *)b)->said.period);
}

static enum err periods_put(struct writer *writer)
{
	const struct registry *registry = writer->registry;
	const struct period **sorted = calloc(registry->period_count + 1, sizeof *sorted);
	if (!sorted)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < registry->period_count; i++)
		sorted[i] = &registry->periods[i];
	qsort(sorted, registry->period_count, sizeof *sorted, period_compare);
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < registry->period_count && !err; i++)
		err = period_put(writer, sorted[i]);
	free(sorted);
	return err;
}

static enum err batches_put(struct writer *writer)
{
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < writer->registry->batch_count && !err; i++) {
		const struct batch *batch = &writer->registry->batches[i];
		const struct event_batch_issued *issued = &batch->issued;
		struct event event = {.state_batch = {.batch = issued->batch,
					      .period = issued->period,
					      .org = issued->org,
					      .issuance_id = issued->issuance_id,
					      .evidence_root = issued->evidence_root,
					      .kg = issued->kg,
					      .buffer_kg = issued->buffer_kg,
					      .first_batch = issued->first_batch,
					      .slot = issued->slot,
					      .kind = issued->kind,
					      .durability = issued->durability,
					      .vintage = issued->vintage,
					      .held = batch->held,
					      .unsold_held = batch->unsold_held,
					      .until_us = batch->until_us,
					      .chain_root = batch->chain_root,
					      .chain_kg = batch->chain_kg,
					      .chain_slot = batch->chain_slot,
					      .reversed_kg = batch->reversed_kg}};
		err = put(writer, EVENT_STATE_BATCH, &event);
	}
	return err;
}

/* ---- claims: by (batch, slot, point, first hour) ---- */

struct claim {
	uint64_t batch;
	struct claim_run run;
};

static int claim_compare(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	if (x->batch != y->batch)
		return x->batch < y->batch ? -1 : 1;
	if (x->run.slot != y->run.slot)
		return x->run.slot < y->run.slot ? -1 : 1;
	int order = id_compare(x->run.point, y->run.point);
	if (order)
		return order;
	return x->run.first_hour < y->run.first_hour ? -1 : x->run.first_hour > y->run.first_hour;
}

static struct claim *claims_list(const struct claims *claims, size_t *ret_count)
{
	size_t count = 0;
	for (uint32_t i = 0; i < claims->count; i++)
		count += claims->lines[i].count;
	struct claim *list = calloc(count + 1, sizeof *list);
	*ret_count = 0;
	for (uint32_t i = 0; i < claims->count && list; i++) {
		const struct claim_line *line = &claims->lines[i];
		for (size_t s = 0; s < line->count; s++)
			list[(*ret_count)++] = (struct claim){.batch = line->spans[s].batch,
				.run = {.point = line->point,
					.first_hour = line->spans[s].first_hour,
					.hours = line->spans[s].hours,
					.slot = line->slot}};
	}
	if (list)
		qsort(list, *ret_count, sizeof *list, claim_compare);
	return list;
}

static enum err claims_put(struct writer *writer)
{
	size_t count = 0;
	struct claim *list = claims_list(&writer->registry->claims, &count);
	struct claim_run *runs = malloc(CLAIMS_PER_RECORD * sizeof *runs);
	enum err err = list && runs ? ERR_OK : ERR_NO_MEMORY;
	for (size_t i = 0; i < count && !err;) {
		size_t first = i, taken = 0;
		while (i < count && taken < CLAIMS_PER_RECORD && list[i].batch == list[first].batch)
			runs[taken++] = list[i++].run;
		struct event event = {
			.state_claims = {.batch = list[first].batch}, .lists = {.runs = runs, .run_count = taken}};
		err = put(writer, EVENT_STATE_CLAIMS, &event);
	}
	free(runs);
	free(list);
	return err;
}

/* ---- debts and held accounts ---- */

static int debt_compare(const void *a, const void *b)
{
	const struct debt *x = a, *y = b;
	int order = id_compare(x->org, y->org);
	if (order)
		return order;
	return x->durability < y->durability ? -1 : x->durability > y->durability;
}

static enum err debts_put(struct writer *writer)
{
	const struct registry *registry = writer->registry;
	struct debt *sorted = calloc(registry->debt_count + 1, sizeof *sorted);
	if (!sorted)
		return ERR_NO_MEMORY;
	if (registry->debt_count)
		memcpy(sorted, registry->debts, registry->debt_count * sizeof *sorted);
	qsort(sorted, registry->debt_count, sizeof *sorted, debt_compare);
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < registry->debt_count && !err; i++) {
		if (sorted[i].kg == 0)
			continue;
		struct event event = {.state_debt = {.org = sorted[i].org,
					      .durability = sorted[i].durability,
					      .kg = sorted[i].kg,
					      .uncovered_kg = sorted[i].uncovered_kg}};
		err = put(writer, EVENT_STATE_DEBT, &event);
	}
	free(sorted);
	return err;
}

static int account_compare(const void *a, const void *b)
{
	return id_compare(((const struct held_account *)a)->org, ((const struct held_account *)b)->org);
}

static enum err accounts_put(struct writer *writer)
{
	const struct registry *registry = writer->registry;
	struct held_account *sorted = calloc(registry->account_count + 1, sizeof *sorted);
	if (!sorted)
		return ERR_NO_MEMORY;
	if (registry->account_count)
		memcpy(sorted, registry->accounts, registry->account_count * sizeof *sorted);
	qsort(sorted, registry->account_count, sizeof *sorted, account_compare);
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < registry->account_count && !err; i++) {
		if (!sorted[i].held)
			continue;
		struct event event = {.state_account = {.org = sorted[i].org, .until_us = sorted[i].until_us}};
		err = put(writer, EVENT_STATE_ACCOUNT, &event);
	}
	free(sorted);
	return err;
}

/* ---- what later releases added ---- */

static enum err counts_put(struct writer *writer)
{
	struct event event = {.state_register = {.cancellations = writer->registry->cancellation_count}};
	return writer->registry->cancellation_count ? put(writer, EVENT_STATE_REGISTER, &event) : ERR_OK;
}

static enum err imports_put(struct writer *writer)
{
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < writer->registry->import_count && !err; i++) {
		const struct import *import = &writer->registry->imports[i];
		struct event event = {
			.state_import = import->said, .lists = {.runs = import->runs, .run_count = import->run_count}};
		err = put(writer, EVENT_STATE_IMPORT, &event);
	}
	return err;
}

/* What of an import's numbers it has given back, and nobody took in since. */
static enum err returned_put(struct writer *writer)
{
	const struct registry *registry = writer->registry;
	struct claim_run *runs = registry->import_count ? malloc(EVENTS_RUNS_MAX * sizeof *runs) : NULL;
	enum err err = registry->import_count && !runs ? ERR_NO_MEMORY : ERR_OK;
	for (uint32_t i = 0; i < registry->import_count && !err; i++) {
		const struct import *import = &registry->imports[i];
		size_t count = 0;
		for (size_t j = 0; j < import->run_count; j++) {
			struct claim_run rest = import->runs[j];
			rest.previous = 0;
			for (uint32_t hours; rest.hours > 0; rest.first_hour += hours, rest.hours -= hours) {
				if (claims_at(&registry->origins, &rest, &hours) !=
					(import->said.batch | NUMBER_RETURNED))
					continue;
				runs[count] = rest;
				runs[count++].hours = hours;
			}
		}
		struct event event = {
			.state_returned = {.batch = import->said.batch}, .lists = {.runs = runs, .run_count = count}};
		if (count)
			err = put(writer, EVENT_STATE_RETURNED, &event);
	}
	free(runs);
	return err;
}

static int dispute_compare(const void *a, const void *b)
{
	return id_compare((*(const struct dispute *const *)a)->id, (*(const struct dispute *const *)b)->id);
}

static enum err disputes_put(struct writer *writer)
{
	const struct registry *registry = writer->registry;
	const struct dispute **sorted = calloc(registry->dispute_count + 1, sizeof *sorted);
	size_t count = 0;
	if (!sorted)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < registry->dispute_count; i++)
		if (registry->disputes[i].is_open)
			sorted[count++] = &registry->disputes[i];
	qsort(sorted, count, sizeof *sorted, dispute_compare);
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && !err; i++) {
		struct event event = {.state_dispute = {.dispute = sorted[i]->id,
					      .batch = sorted[i]->batch,
					      .period = sorted[i]->period,
					      .holder = sorted[i]->holder,
					      .kg = sorted[i]->kg,
					      .opener = sorted[i]->opener},
			.lists = {.ranges = sorted[i]->ranges, .range_count = sorted[i]->range_count}};
		err = put(writer, EVENT_STATE_DISPUTE, &event);
	}
	free(sorted);
	return err;
}

static int methodology_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct hash)); /* which is its first member */
}

static enum err methodologies_put(struct writer *writer)
{
	const struct registry *registry = writer->registry;
	struct methodology *sorted = calloc(registry->methodology_count + 1, sizeof *sorted);
	if (!sorted)
		return ERR_NO_MEMORY;
	if (registry->methodology_count)
		memcpy(sorted, registry->methodologies, registry->methodology_count * sizeof *sorted);
	qsort(sorted, registry->methodology_count, sizeof *sorted, methodology_compare);
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < registry->methodology_count && !err; i++) {
		struct event event = {.state_methodology = {.methodology_hash = sorted[i].hash,
					      .valid_from_us = sorted[i].valid_from_us,
					      .valid_to_us = sorted[i].valid_to_us}};
		err = put(writer, EVENT_STATE_METHODOLOGY, &event);
	}
	free(sorted);
	return err;
}

static int project_compare(const void *a, const void *b)
{
	return id_compare(((const struct project *)a)->id, ((const struct project *)b)->id);
}

static enum err projects_put(struct writer *writer)
{
	const struct registry *registry = writer->registry;
	struct project *sorted = calloc(registry->project_count + 1, sizeof *sorted);
	if (!sorted)
		return ERR_NO_MEMORY;
	if (registry->project_count)
		memcpy(sorted, registry->projects, registry->project_count * sizeof *sorted);
	qsort(sorted, registry->project_count, sizeof *sorted, project_compare);
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < registry->project_count && !err; i++) {
		struct event event = {.state_project = {.project = sorted[i].id,
					      .org = sorted[i].org,
					      .state = sorted[i].state,
					      .crediting_from_us = sorted[i].crediting_from_us,
					      .crediting_to_us = sorted[i].crediting_to_us}};
		err = put(writer, EVENT_STATE_PROJECT, &event);
	}
	free(sorted);
	return err;
}

enum err registry_snapshot(
	const struct registry *registry, emit_function *emit_to, void *context, struct err_info *info)
{
	struct writer writer = {.registry = registry, .emit = emit_to, .context = context, .info = info};
	static enum err (*const parts[])(struct writer *) = {verifiers_put, periods_put, batches_put, claims_put,
		debts_put, accounts_put, counts_put, imports_put, returned_put, disputes_put, methodologies_put,
		projects_put};
	enum err err = ERR_OK;
	for (size_t i = 0; i < sizeof parts / sizeof *parts && !err; i++)
		err = parts[i](&writer);
	return err;
}

void registry_restore_counts(struct registry *registry, uint64_t retirements)
{
	registry->retirement_count = retirements;
}
