/* Decides what cancellations, disputes, imports, admissions and registrations change in the views, whom a reversal gives notice, and
 * which events a batch has. The projector's thread. */
#include "views.h"

#include "carbond/base/clock.h"

/* ---- events of a batch ---- */

enum err view_batch_event(struct projector *projector, const struct serial_range *range)
{
	struct batch_event_row key = {.batch = (int64_t)range->batch, .position = view_position(projector)},
			       *row = NULL;
	enum err err = view_row(projector, SHEET_BATCH_EVENTS, &key, &row);
	if (err || !row)
		return err;
	int64_t end = range->start + range->length;
	if (row->low == FIELD_ABSENT || range->start < row->low)
		row->low = range->start;
	if (row->high == FIELD_ABSENT || end > row->high)
		row->high = end;
	return ERR_OK;
}

enum err view_whole_batch_event(struct projector *projector, uint64_t batch)
{
	const struct batch_row *row = NULL;
	enum err err = view_peek(projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)batch), &row);
	struct serial_range whole = {.batch = batch, .length = err ? 0 : row->kg};
	return err ? err : view_batch_event(projector, &whole);
}

/* ---- cancellations ---- */

enum err view_on_cancelled(struct projector *projector, const struct event *event)
{
	const struct event_cancelled *said = &event->cancelled;
	struct cancellation_row *row = NULL;
	char text[33];
	enum err err =
		view_row(projector, SHEET_CANCELLATIONS, KEYED(cancellation_row, .id = event->header.command), &row);
	if (!err && row) {
		row->org_id = said->org;
		row->number = (int64_t)said->number;
		row->kg = said->kg;
		row->state = (int)said->state;
		row->reason = (int)said->reason;
		row->explanation_hash = said->reason_hash;
		row->made_at = event->header.time_us;
		if (said->destination.text[0])
			row->destination = view_text(projector, code32_text(said->destination, text));
		err = said->destination.text[0] && !row->destination ? ERR_NO_MEMORY : ERR_OK;
		if (!err)
			err = view_range_items(projector, &event->lists, &row->ranges);
		if (!err)
			err = view_actor(projector, event, &row->made_by);
	}
	struct ledger_place from = view_place(said->org, (enum kg_state)said->state);
	return err ? err
		   : view_ranges_move(
			     projector, event, from, view_place(said->org, KG_CANCELLED), event->header.command);
}

/* ---- disputes ---- */

static enum err batch_disputes_add(struct projector *projector, uint64_t number, int64_t more)
{
	struct batch_row *row = NULL;
	enum err err = view_row(projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)number), &row);
	if (!err && row)
		view_add(&row->disputes, more);
	return err ? err : view_whole_batch_event(projector, number);
}

enum err view_on_dispute_opened(struct projector *projector, const struct event *event)
{
	const struct event_dispute_opened *said = &event->dispute_opened;
	struct dispute_row *row = NULL;
	enum err err = view_row(projector, SHEET_DISPUTES, KEYED(dispute_row, .id = said->dispute), &row);
	if (!err && row) {
		row->batch = said->batch ? (int64_t)said->batch : FIELD_ABSENT;
		row->period_id = said->period;
		row->holder_id = said->holder;
		row->kg = said->kg ? said->kg : FIELD_ABSENT;
		row->evidence_hash = said->evidence_hash;
		row->state = DISPUTE_OPEN;
		row->opened_at = event->header.time_us;
		err = view_range_items(projector, &event->lists, &row->ranges);
		if (!err)
			err = view_actor(projector, event, &row->opened_by);
	}
	if (!err && said->batch && !said->kg)
		err = batch_disputes_add(projector, said->batch, 1);
	return err ? err
		   : view_ranges_move(projector, event, view_place(said->holder, KG_HELD),
			     view_place(said->holder, KG_ESCROW), (struct id){0});
}

enum err view_on_dispute_decided(struct projector *projector, const struct event *event)
{
	const struct event_dispute_decided *said = &event->dispute_decided;
	struct dispute_row *row = NULL;
	const struct dispute_row *before = NULL;
	enum err err = view_peek(projector, SHEET_DISPUTES, KEYED(dispute_row, .id = said->dispute), &before);
	bool of_serials = !err && before->ranges.count > 0;
	if (!err)
		err = view_row(projector, SHEET_DISPUTES, KEYED(dispute_row, .id = said->dispute), &row);
	if (!err && row) {
		row->state = said->upheld ? DISPUTE_UPHELD : DISPUTE_REJECTED;
		row->decided_at = event->header.time_us;
		err = view_actor(projector, event, &row->decided_by);
	}
	if (!err && said->batch && !of_serials)
		err = batch_disputes_add(projector, said->batch, -1);
	return err ? err
		   : view_ranges_move(projector, event, view_place(said->holder, KG_ESCROW),
			     view_place(said->holder, KG_HELD), (struct id){0});
}

/* ---- imports ---- */

static enum err import_fill(struct projector *projector, const struct event *event, struct import_row *row)
{
	const struct event_batch_imported *said = &event->batch_imported;
	size_t count = event->lists.run_count;
	struct import_number *numbers = ARENA_ARRAY(view_arena(projector), struct import_number, count + 1);
	char origin[17], series[33];
	row->origin = view_text(projector, code16_text(said->origin, origin));
	row->series = view_text(projector, code32_text(said->series, series));
	if (!numbers || !row->origin || !row->series)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < count; i++) {
		const struct claim_run *run = &event->lists.runs[i];
		numbers[i] = (struct import_number){
			.first = (int64_t)((uint64_t)run->slot * REGISTRY_ORIGIN_SLOT + run->first_hour),
			.count = run->hours};
	}
	row->org_id = said->org;
	row->numbers = (struct field_list){.items = numbers, .count = count};
	row->unit_kg = said->unit_kg;
	row->kg = said->kg;
	row->returned_kg = 0;
	row->evidence_hash = said->evidence_hash;
	row->made_at = event->header.time_us;
	return view_actor(projector, event, &row->made_by);
}

static enum err batch_fill(struct projector *projector, const struct event *event, struct batch_row *row)
{
	const struct event_batch_imported *said = &event->batch_imported;
	char origin[17], methodology[17], country[9];
	row->unit_code = view_text(projector, code16_text(said->origin, origin));
	row->methodology = view_text(projector, code16_text(said->methodology, methodology));
	row->country = view_text(projector, code8_text(said->country, country));
	row->origin = row->unit_code;
	if (!row->unit_code || !row->methodology || !row->country)
		return ERR_NO_MEMORY;
	row->org_id = said->org;
	row->issuance_id = said->issuance_id;
	row->evidence_root = said->evidence_root;
	row->kind = (int)said->kind;
	row->durability = (int)said->durability;
	row->vintage = said->vintage;
	row->kg = said->kg;
	row->buffer_kg = row->reversed_kg = row->slot = row->chain_slot = row->disputes = 0;
	row->first_batch = (int64_t)said->batch;
	row->chain_root = said->evidence_root;
	row->chain_kg = said->kg;
	row->issued_at = event->header.time_us;
	return view_batch_serial(projector, row, &row->serial);
}

enum err view_on_origin_returned(struct projector *projector, const struct event *event)
{
	const struct event_origin_returned *said = &event->origin_returned;
	struct cancellation_row *cancellation = NULL;
	struct import_row *import = NULL;
	enum err err = view_row(
		projector, SHEET_CANCELLATIONS, KEYED(cancellation_row, .id = event->header.command), &cancellation);
	if (!err)
		err = view_row(projector, SHEET_IMPORTS, KEYED(import_row, .batch = (int64_t)said->batch), &import);
	if (!err && cancellation)
		cancellation->returned_kg =
			(cancellation->returned_kg == FIELD_ABSENT ? 0 : cancellation->returned_kg) + said->kg;
	if (!err && import)
		import->returned_kg += said->kg;
	return err;
}

enum err view_on_batch_imported(struct projector *projector, const struct event *event)
{
	const struct event_batch_imported *said = &event->batch_imported;
	struct batch_row *batch = NULL;
	struct import_row *import = NULL;
	enum err err = view_row(projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)said->batch), &batch);
	if (!err && batch)
		err = batch_fill(projector, event, batch);
	if (!err)
		err = view_row(projector, SHEET_IMPORTS, KEYED(import_row, .batch = (int64_t)said->batch), &import);
	if (!err && import)
		err = import_fill(projector, event, import);
	return err ? err : view_range_make(projector, said->org, said->batch, KG_HELD, 0, said->kg);
}

/* ---- notices ---- */

struct noticing {
	struct projector *projector;
	const struct event *event;
};

static enum err notice_write(void *context, const struct holding_row *holding)
{
	const struct noticing *noticing = context;
	struct notice_row *row = NULL;
	int64_t all = 0;
	for (int state = 0; state < KG_STATE_COUNT; state++)
		all += (&holding->held_kg)[state];
	if (all == 0)
		return ERR_OK;
	struct notice_row key = {.position = view_position(noticing->projector), .org_id = holding->org_id};
	enum err err = view_row(noticing->projector, SHEET_NOTICES, &key, &row);
	if (err || !row)
		return err;
	row->batch = holding->batch;
	row->reversed_kg = noticing->event->batch_reversed.kg;
	row->held_kg = holding->held_kg;
	row->retired_kg = holding->retired_kg;
	row->other_kg = all - holding->held_kg - holding->retired_kg;
	row->made_at = noticing->event->header.time_us;
	return ERR_OK;
}

enum err view_notices(struct projector *projector, const struct event *event)
{
	struct noticing noticing = {.projector = projector, .event = event};
	return view_each_holder(projector, event->batch_reversed.batch, notice_write, &noticing);
}

/* ---- methodologies and projects ---- */

enum err view_on_methodology_admitted(struct projector *projector, const struct event *event)
{
	const struct event_methodology_admitted *said = &event->methodology_admitted;
	struct admission_row *row = NULL;
	enum err err = view_row(
		projector, SHEET_ADMISSIONS, KEYED(admission_row, .methodology_hash = said->methodology_hash), &row);
	if (err || !row)
		return err;
	row->valid_from = said->valid_from_us;
	row->valid_to = said->valid_to_us ? said->valid_to_us : FIELD_ABSENT;
	row->made_at = event->header.time_us;
	return view_actor(projector, event, &row->made_by);
}

enum err view_on_project_registered(struct projector *projector, const struct event *event)
{
	const struct event_project_registered *said = &event->project_registered;
	struct registration_row *row = NULL;
	enum err err =
		view_row(projector, SHEET_REGISTRATIONS, KEYED(registration_row, .project_id = said->project), &row);
	if (err || !row)
		return err;
	row->org_id = said->org;
	row->state = (int)said->state;
	row->crediting_from = said->crediting_from_us;
	row->crediting_to = said->crediting_to_us;
	row->made_at = event->header.time_us;
	return view_actor(projector, event, &row->made_by);
}
