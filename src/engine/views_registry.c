/* Decides what the registry's events change in the views: verifiers, periods, batches, transfers, retirements, accounts. The
 * projector's thread. */
#include "views.h"

#include <string.h>

enum err view_on_verifier_registered(struct projector *projector, const struct event *event)
{
	const struct event_verifier_registered *said = &event->verifier_registered;
	struct verifier_row *row = NULL;
	enum err err = view_row(projector, SHEET_VERIFIERS, KEYED(verifier_row, .id = said->verifier), &row);
	if (err || !row)
		return err;
	row->org_id = said->org;
	memcpy(row->key.bytes, &said->key, sizeof row->key.bytes);
	row->valid_from = said->valid_from_us;
	row->valid_to = said->valid_to_us;
	row->registered_position = view_position(projector);
	return ERR_OK;
}

enum err view_on_verifier_revoked(struct projector *projector, const struct event *event)
{
	struct verifier_row *row = NULL;
	enum err err =
		view_row(projector, SHEET_VERIFIERS, KEYED(verifier_row, .id = event->verifier_revoked.verifier), &row);
	if (!err && row) {
		row->revoked_at = event->header.time_us;
		row->revoked_position = view_position(projector);
	}
	return err;
}

enum err view_on_period_submitted(struct projector *projector, const struct event *event)
{
	const struct event_period_submitted *said = &event->period_submitted;
	struct registry_period *row = NULL;
	char code[17], country[9];
	enum err err = view_row(projector, SHEET_PERIODS, KEYED(registry_period, .id = said->period), &row);
	if (err || !row)
		return err;
	row->org_id = said->org;
	row->unit_id = said->unit;
	row->project_id = said->project;
	row->unit_code = view_text(projector, code16_text(said->unit_code, code));
	row->methodology = view_text(projector, code16_text(said->methodology, code));
	row->country = view_text(projector, code8_text(said->country, country));
	row->methodology_hash = said->methodology_hash;
	row->evidence_root = said->evidence_root;
	row->kind = (int)said->kind;
	row->durability = (int)said->durability;
	row->vintage = said->vintage;
	row->quorum = said->quorum;
	row->first_hour_at = said->first_hour * CLOCK_US_PER_HOUR;
	row->last_hour_at = said->last_hour * CLOCK_US_PER_HOUR;
	row->kg = said->kg;
	row->buffer_kg = said->buffer_kg;
	row->first_period_id = said->first_period;
	row->previous_root = said->previous_root;
	row->total_kg = said->total_kg;
	row->state = PERIOD_SUBMITTED;
	row->held = said->held;
	row->submitted_at = event->header.time_us;
	row->submitted_position = view_position(projector);
	if (!row->unit_code || !row->methodology || !row->country)
		return ERR_NO_MEMORY;
	return view_actor(projector, event, &row->submitted_by);
}

enum err view_on_period_attested(struct projector *projector, const struct event *event)
{
	const struct event_period_attested *said = &event->period_attested;
	struct registry_period *row = NULL;
	enum err err = view_row(projector, SHEET_PERIODS, KEYED(registry_period, .id = said->period), &row);
	if (err || !row)
		return err;
	size_t count = row->attestations.count;
	struct registry_attestation *list = ARENA_ARRAY(view_arena(projector), struct registry_attestation, count + 1);
	char *signature = arena_copy(view_arena(projector), &said->signature, sizeof said->signature);
	if (!list || !signature)
		return ERR_NO_MEMORY;
	if (count)
		memcpy(list, row->attestations.items, count * sizeof *list);
	list[count] = (struct registry_attestation){.verifier_id = said->verifier,
		.verifier_org_id = said->verifier_org,
		.signature = {.data = (const uint8_t *)signature, .size = sizeof said->signature},
		.attested_at = event->header.time_us,
		.position = view_position(projector)};
	row->attestations = (struct field_list){.items = list, .count = count + 1};
	if (said->attestations >= row->quorum)
		row->state = PERIOD_ATTESTED;
	return ERR_OK;
}

static enum err period_decide(struct projector *projector, const struct event *event, struct id period,
	enum period_state state, uint64_t batch)
{
	struct registry_period *row = NULL;
	enum err err = view_row(projector, SHEET_PERIODS, KEYED(registry_period, .id = period), &row);
	if (err || !row)
		return err;
	row->state = (int)state;
	row->decided_at = event->header.time_us;
	if (batch)
		row->batch = (int64_t)batch;
	return ERR_OK;
}

enum err view_on_period_withdrawn(struct projector *projector, const struct event *event)
{
	return period_decide(projector, event, event->period_withdrawn.period, PERIOD_WITHDRAWN, 0);
}

enum err view_on_period_refused(struct projector *projector, const struct event *event)
{
	return period_decide(projector, event, event->period_refused.period, PERIOD_REFUSED, 0);
}

enum err view_on_period_held(struct projector *projector, const struct event *event)
{
	struct registry_period *row = NULL;
	enum err err =
		view_row(projector, SHEET_PERIODS, KEYED(registry_period, .id = event->period_held.period), &row);
	if (!err && row)
		row->held |= event->period_held.reasons;
	return err;
}

enum err view_on_period_released(struct projector *projector, const struct event *event)
{
	struct registry_period *row = NULL;
	enum err err =
		view_row(projector, SHEET_PERIODS, KEYED(registry_period, .id = event->period_released.period), &row);
	if (!err && row)
		row->held = 0;
	return err;
}

/* The batch's number in serials, as its period says. */
enum err view_batch_serial(struct projector *projector, const struct batch_row *batch, const char **ret_text)
{
	struct serial serial = {.vintage = (int)batch->vintage,
		.range = {.batch = (uint64_t)batch->batch, .start = 0, .length = batch->kg}};
	char text[SERIAL_TEXT_SIZE];
	memcpy(serial.country, batch->country, strnlen(batch->country, sizeof serial.country - 1));
	memcpy(serial.unit, batch->unit_code, strnlen(batch->unit_code, sizeof serial.unit - 1));
	memcpy(serial.methodology, batch->methodology, strnlen(batch->methodology, sizeof serial.methodology - 1));
	enum err err = serial_text(&serial, text);
	if (err)
		return err_set(view_info(projector), err, "", "batch %lld has no serial text", (long long)batch->batch);
	*ret_text = view_text(projector, text);
	return *ret_text ? ERR_OK : ERR_NO_MEMORY;
}

static enum err batch_fill(struct projector *projector, struct batch_row *row, const struct event *event)
{
	const struct event_batch_issued *said = &event->batch_issued;
	const struct registry_period *period = NULL;
	enum err err = view_peek(projector, SHEET_PERIODS, KEYED(registry_period, .id = said->period), &period);
	if (err)
		return err;
	row->unit_id = period->unit_id;
	row->project_id = period->project_id;
	row->methodology_hash = period->methodology_hash;
	row->unit_code = period->unit_code;
	row->methodology = period->methodology;
	row->country = period->country;
	row->org_id = said->org;
	row->period_id = said->period;
	row->issuance_id = said->issuance_id;
	row->evidence_root = said->evidence_root;
	row->kind = (int)said->kind;
	row->durability = (int)said->durability;
	row->vintage = said->vintage;
	row->kg = said->kg;
	row->buffer_kg = said->buffer_kg;
	row->first_batch = (int64_t)said->first_batch;
	row->slot = said->slot;
	row->reversed_kg = row->disputes = 0;
	row->issued_at = event->header.time_us;
	return view_batch_serial(projector, row, &row->serial);
}

enum err view_on_batch_issued(struct projector *projector, const struct event *event)
{
	const struct event_batch_issued *said = &event->batch_issued;
	struct batch_row *row = NULL, *first = NULL;
	enum err err = view_row(projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)said->batch), &row);
	if (!err && row)
		err = batch_fill(projector, row, event);
	if (!err)
		err = period_decide(projector, event, said->period, PERIOD_ISSUED, said->batch);
	if (!err)
		err = view_row(projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)said->first_batch), &first);
	if (!err && first) {
		first->chain_root = said->evidence_root;
		first->chain_slot = said->slot;
		view_add(&first->chain_kg, said->kg);
	}
	int64_t supplier_kg = said->kg - said->buffer_kg;
	if (!err)
		err = view_range_make(projector, said->org, said->batch, KG_HELD, 0, supplier_kg);
	return err ? err : view_range_make(projector, said->org, said->batch, KG_BUFFER, supplier_kg, said->buffer_kg);
}

enum err view_on_batch_held(struct projector *projector, const struct event *event)
{
	struct batch_row *row = NULL;
	enum err err =
		view_row(projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)event->batch_held.batch), &row);
	if (err || !row)
		return err;
	row->held = true;
	row->hold_until = event->batch_held.until_us ? event->batch_held.until_us : FIELD_ABSENT;
	return view_whole_batch_event(projector, event->batch_held.batch);
}

enum err view_on_batch_released(struct projector *projector, const struct event *event)
{
	const struct event_batch_released *said = &event->batch_released;
	struct batch_row *row = NULL;
	enum err err = view_row(projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)said->batch), &row);
	if (err || !row)
		return err;
	row->held = false;
	row->hold_until = FIELD_ABSENT;
	if (!hash_is_none(said->reason_hash))
		row->unsold_held = false;
	return view_whole_batch_event(projector, said->batch);
}

/* The operator of a batch, whether its row is in the chunk or only stored. */
static enum err operator_of(struct projector *projector, uint64_t batch, struct id *ret_org)
{
	const struct batch_row *row = NULL;
	enum err err = view_peek(projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)batch), &row);
	*ret_org = err ? (struct id){0} : row->org_id;
	return err;
}

static enum err debt_add(struct projector *projector, struct id org, int64_t kg)
{
	struct account_row *row = NULL;
	enum err err = view_row(projector, SHEET_ACCOUNTS, KEYED(account_row, .org_id = org), &row);
	if (!err && row)
		view_add(&row->debt_kg, kg);
	return err;
}

enum err view_on_batch_reversed(struct projector *projector, const struct event *event)
{
	const struct event_batch_reversed *said = &event->batch_reversed;
	struct batch_row *row = NULL;
	struct id org;
	enum err err = operator_of(projector, said->batch, &org);
	if (!err)
		err = view_row(projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)said->batch), &row);
	if (!err && row) {
		row->unsold_held = row->unsold_held || said->suspended_kg > 0;
		view_add(&row->reversed_kg, said->kg);
		if (!hash_is_none(said->evidence_root)) {
			row->chain_root = said->evidence_root;
			view_add(&row->chain_kg, -said->kg);
		}
	}
	for (size_t i = 0; i < event->lists.range_count && !err; i++) {
		const struct serial_range *range = &event->lists.ranges[i];
		struct id owner = {0};
		err = operator_of(projector, range->batch, &owner);
		struct ledger_place from = {.org = owner, .state = KG_BUFFER},
				    to = {.org = owner, .state = KG_CANCELLED};
		if (!err)
			err = view_range_move(projector, range, from, to, (struct id){0});
	}
	if (!err)
		err = view_whole_batch_event(projector, said->batch);
	if (!err)
		err = view_notices(projector, event);
	return err ? err : debt_add(projector, org, said->debt_kg);
}

enum err view_on_buffer_topped_up(struct projector *projector, const struct event *event)
{
	const struct event_buffer_topped_up *said = &event->buffer_topped_up;
	enum err err = ERR_OK;
	int64_t moved = 0;
	for (size_t i = 0; i < event->lists.range_count && !err; i++) {
		const struct serial_range *range = &event->lists.ranges[i];
		bool cancels = moved < said->cancelled_kg;
		struct id owner = said->org;
		if (!cancels)
			err = operator_of(projector, range->batch, &owner);
		struct ledger_place from = {.org = said->org, .state = KG_HELD};
		struct ledger_place to = {.org = owner, .state = cancels ? KG_CANCELLED : KG_BUFFER};
		if (!err)
			err = view_range_move(projector, range, from, to, (struct id){0});
		moved += range->length;
	}
	return err ? err : debt_add(projector, said->org, -said->kg);
}

enum err view_on_transferred(struct projector *projector, const struct event *event)
{
	const struct event_transferred *said = &event->transferred;
	struct transfer_row *row = NULL;
	enum err err = view_row(projector, SHEET_TRANSFERS, KEYED(transfer_row, .id = view_transfer_id(event)), &row);
	if (!err && row) {
		row->state = TRANSFER_MADE;
		row->code = said->code ? said->code : FIELD_ABSENT;
		row->user_data = said->user_data ? (int64_t)said->user_data : FIELD_ABSENT;
		if (!id_equal(row->id, event->header.command))
			row->set_id = event->header.command;
		row->org_id = said->from;
		row->to_org_id = said->to;
		row->kg = said->kg;
		row->made_at = event->header.time_us;
		err = view_range_items(projector, &event->lists, &row->ranges);
		if (!err)
			err = view_actor(projector, event, &row->made_by);
	}
	struct ledger_place from = {.org = said->from, .state = KG_HELD}, to = {.org = said->to, .state = KG_HELD};
	return err ? err : view_ranges_move(projector, event, from, to, (struct id){0});
}

enum err view_on_retired(struct projector *projector, const struct event *event)
{
	const struct event_retired *said = &event->retired;
	struct id id = id_is_none(said->retirement) ? event->header.command : said->retirement;
	struct retirement_row *row = NULL;
	char country[9];
	enum err err = view_row(projector, SHEET_RETIREMENTS, KEYED(retirement_row, .id = id), &row);
	if (!err && row) {
		row->org_id = said->org;
		row->number = (int64_t)said->number;
		row->kg = said->kg;
		row->beneficiary_hash = said->beneficiary_hash;
		row->country = view_text(projector, code8_text(said->country, country));
		row->purpose = (int)said->purpose;
		row->covered_from = said->covered_from_us;
		row->covered_to = said->covered_to_us;
		row->consent = said->consent != 0;
		row->made_at = event->header.time_us;
		err = row->country ? view_range_items(projector, &event->lists, &row->ranges) : ERR_NO_MEMORY;
		if (!err)
			err = view_actor(projector, event, &row->made_by);
	}
	struct ledger_place from = {.org = said->org, .state = KG_HELD}, to = {.org = said->org, .state = KG_RETIRED};
	return err ? err : view_ranges_move(projector, event, from, to, id);
}

enum err view_on_account_held(struct projector *projector, const struct event *event)
{
	const struct event_account_held *said = &event->account_held;
	struct account_row *row = NULL;
	enum err err = view_row(projector, SHEET_ACCOUNTS, KEYED(account_row, .org_id = said->org), &row);
	if (err || !row)
		return err;
	row->held = true;
	row->hold_until = said->until_us ? said->until_us : FIELD_ABSENT;
	view_add(&row->debt_kg, 0);
	return ERR_OK;
}

enum err view_on_account_released(struct projector *projector, const struct event *event)
{
	struct account_row *row = NULL;
	enum err err =
		view_row(projector, SHEET_ACCOUNTS, KEYED(account_row, .org_id = event->account_released.org), &row);
	if (err || !row)
		return err;
	row->held = false;
	row->hold_until = FIELD_ABSENT;
	return ERR_OK;
}
