/* Decides what the events of escrow and forward offtake change in the views: where kilograms are, how each escrow and contract
 * stands. The projector's thread. */
#include "views.h"

#include <string.h>

#include "carbond/base/clock.h"

static int64_t or_absent(int64_t number)
{
	return number ? number : FIELD_ABSENT;
}

static enum err pay(struct projector *projector, struct code8 currency, int64_t micros, struct ledger_place from,
	struct ledger_place to)
{
	char text[9];
	return view_pay(projector, view_text(projector, code8_text(currency, text)), micros, from, to);
}

/* ---- escrows ---- */

static enum err escrow_of(struct projector *projector, struct id escrow, struct escrow_row **ret_row)
{
	*ret_row = NULL;
	return view_row(projector, SHEET_ESCROWS, KEYED(escrow_row, .id = escrow), ret_row);
}

enum err view_on_escrow_opened(struct projector *projector, const struct event *event)
{
	const struct event_escrow_opened *said = &event->escrow_opened;
	struct escrow_row *row = NULL;
	char currency[9];
	enum err err = escrow_of(projector, said->escrow, &row);
	if (!err)
		err = pay(projector, said->currency, said->funded_micros, view_place(said->payer, KG_HELD),
			view_place(said->payer, KG_ESCROW));
	if (err || !row)
		return err;
	row->payer_org_id = said->payer;
	row->payee_org_id = said->payee;
	row->arbiter_org_id = said->arbiter;
	row->verifier_id = said->verifier;
	row->statement = said->statement_hash;
	row->contract_id = said->contract;
	if (said->amount_micros) {
		row->currency = view_text(projector, code8_text(said->currency, currency));
		row->amount_micros = said->amount_micros;
		row->funded_micros = said->funded_micros;
	}
	if (said->kg) {
		row->kg = said->kg;
		row->delivered_kg = 0;
	}
	row->batch = or_absent((int64_t)said->batch);
	row->instrument = or_absent((int64_t)said->instrument);
	row->not_before = or_absent(said->not_before_us);
	row->expires_at = said->expires_us;
	row->dated = said->dated;
	row->status = ESCROW_STATUS_OPEN;
	row->opened_at = event->header.time_us;
	if (said->amount_micros && !row->currency)
		return ERR_NO_MEMORY;
	return view_actor(projector, event, &row->opened_by);
}

enum err view_on_escrow_funded(struct projector *projector, const struct event *event)
{
	const struct event_escrow_funded *said = &event->escrow_funded;
	struct escrow_row *row;
	enum err err = escrow_of(projector, said->escrow, &row);
	if (!err && row)
		row->funded_micros = said->amount_micros;
	return err ? err
		   : pay(projector, said->currency, said->amount_micros, view_place(said->payer, KG_HELD),
			     view_place(said->payer, KG_ESCROW));
}

/* The row's serials, and these behind them. */
static enum err ranges_append(struct projector *projector, struct escrow_row *row, const struct record_lists *lists)
{
	struct field_list more;
	enum err err = view_range_items(projector, lists, &more);
	size_t count = row->ranges.count + more.count;
	struct serial_range_item *items =
		err ? NULL : ARENA_ARRAY(view_arena(projector), struct serial_range_item, count);
	if (!items)
		return err ? err : ERR_NO_MEMORY;
	if (row->ranges.count)
		memcpy(items, row->ranges.items, row->ranges.count * sizeof *items);
	memcpy(items + row->ranges.count, more.items, more.count * sizeof *items);
	row->ranges = (struct field_list){.items = items, .count = count};
	return ERR_OK;
}

enum err view_on_escrow_delivered(struct projector *projector, const struct event *event)
{
	const struct event_escrow_delivered *said = &event->escrow_delivered;
	struct escrow_row *row;
	enum err err = escrow_of(projector, said->escrow, &row);
	if (!err && row) {
		row->delivered_kg = said->delivered_kg;
		err = ranges_append(projector, row, &event->lists);
	}
	return err ? err
		   : view_ranges_move(projector, event, view_place(said->payee, KG_HELD),
			     view_place(said->payee, KG_ESCROW), (struct id){0});
}

enum err view_on_escrow_attested(struct projector *projector, const struct event *event)
{
	struct escrow_row *row;
	enum err err = escrow_of(projector, event->escrow_attested.escrow, &row);
	if (!err && row)
		row->attested = true;
	return err;
}

enum err view_on_escrow_dated(struct projector *projector, const struct event *event)
{
	struct escrow_row *row;
	enum err err = escrow_of(projector, event->escrow_dated.escrow, &row);
	if (!err && row)
		row->dated = true;
	return err;
}

enum err view_on_escrow_disputed(struct projector *projector, const struct event *event)
{
	struct escrow_row *row;
	enum err err = escrow_of(projector, event->escrow_disputed.escrow, &row);
	if (!err && row)
		row->status = ESCROW_STATUS_DISPUTED;
	return err;
}

enum err view_on_escrow_resumed(struct projector *projector, const struct event *event)
{
	struct escrow_row *row;
	enum err err = escrow_of(projector, event->escrow_resumed.escrow, &row);
	if (!err && row)
		row->status = ESCROW_STATUS_OPEN;
	return err;
}

static enum err offtake_of(struct projector *projector, struct id contract, struct offtake_row **ret_row)
{
	*ret_row = NULL;
	return view_row(projector, SHEET_OFFTAKES, KEYED(offtake_row, .id = contract), ret_row);
}

/* What a prepayment paid is credit of its contract, while that is under way. */
static enum err credit_add(struct projector *projector, struct id contract, int64_t micros)
{
	struct offtake_row *row = NULL;
	enum err err = id_is_none(contract) || !micros ? ERR_OK : offtake_of(projector, contract, &row);
	if (!err && row && row->status < OFFTAKE_STATE_COUNT)
		view_add(&row->credit_micros, micros);
	return err;
}

enum err view_on_escrow_ended(struct projector *projector, const struct event *event)
{
	const struct event_escrow_ended *said = &event->escrow_ended;
	struct escrow_row *row;
	int64_t released = 0;
	enum err err = escrow_of(projector, said->escrow, &row);
	if (!err && row) {
		row->status = ESCROW_STATUS_ENDED + (int)said->reason;
		row->ended_at = event->header.time_us;
		if (row->amount_micros != FIELD_ABSENT) {
			row->paid_micros = said->paid_micros;
			row->refunded_micros = said->refunded_micros;
		}
		if (row->kg != FIELD_ABSENT) {
			row->released_kg = said->released_kg;
			row->returned_kg = said->returned_kg;
		}
		if (event->lists.range_count)
			err = view_range_items(projector, &event->lists, &row->ranges);
	}
	if (!err)
		err = pay(projector, said->currency, said->paid_micros, view_place(said->payer, KG_ESCROW),
			view_place(said->payee, KG_HELD));
	if (!err)
		err = pay(projector, said->currency, said->refunded_micros, view_place(said->payer, KG_ESCROW),
			view_place(said->payer, KG_HELD));
	for (size_t i = 0; i < event->lists.range_count && !err; i++) {
		const struct serial_range *range = &event->lists.ranges[i];
		struct id to = released < said->released_kg ? said->payer : said->payee;
		released += range->length;
		err = view_range_move(
			projector, range, view_place(said->payee, KG_ESCROW), view_place(to, KG_HELD), (struct id){0});
	}
	return err ? err : credit_add(projector, said->contract, said->paid_micros);
}

/* ---- offtake contracts ---- */

static enum err schedule_of(struct projector *projector, const struct record_lists *lists, struct field_list *ret_list)
{
	struct offtake_delivery *items =
		ARENA_ARRAY(view_arena(projector), struct offtake_delivery, lists->delivery_count);
	if (!items)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < lists->delivery_count; i++) {
		const struct delivery *row = &lists->deliveries[i];
		items[i] = (struct offtake_delivery){.from_at = or_absent(row->from_us),
			.due_at = row->due_us,
			.kg = row->kg,
			.price_micros = row->price_micros,
			.state = DELIVERY_OPEN};
	}
	*ret_list = (struct field_list){.items = items, .count = lists->delivery_count};
	return ERR_OK;
}

enum err view_on_offtake_offered(struct projector *projector, const struct event *event)
{
	const struct event_offtake_offered *said = &event->offtake_offered;
	struct offtake_row *row;
	char currency[9];
	enum err err = offtake_of(projector, said->contract, &row);
	if (err || !row)
		return err;
	row->seller_org_id = said->seller;
	row->buyer_org_id = said->buyer;
	row->offered_by = said->offered_by;
	row->arbiter_org_id = said->arbiter;
	row->project_id = said->project;
	row->unit_id = said->unit;
	row->currency = view_text(projector, code8_text(said->currency, currency));
	row->instrument = or_absent((int64_t)said->instrument);
	row->make_good_days = said->make_good_us / CLOCK_US_PER_DAY;
	row->penalty_ppm = said->penalty_ppm;
	row->credit_micros = row->owed_micros = 0;
	row->expires_at = said->expires_us;
	row->status = OFFTAKE_OFFERED;
	row->offered_at = event->header.time_us;
	return row->currency ? schedule_of(projector, &event->lists, &row->deliveries) : ERR_NO_MEMORY;
}

static enum err status_set(struct projector *projector, struct id contract, int status, struct offtake_row **ret_row)
{
	enum err err = offtake_of(projector, contract, ret_row);
	if (!err && *ret_row)
		(*ret_row)->status = status;
	return err;
}

enum err view_on_offtake_accepted(struct projector *projector, const struct event *event)
{
	struct offtake_row *row;
	enum err err = status_set(projector, event->offtake_accepted.contract, OFFTAKE_IN_FORCE, &row);
	if (!err && row)
		row->accepted_at = event->header.time_us;
	return err;
}

enum err view_on_offtake_disputed(struct projector *projector, const struct event *event)
{
	struct offtake_row *row;
	return status_set(projector, event->offtake_disputed.contract, OFFTAKE_DISPUTED, &row);
}

enum err view_on_offtake_resumed(struct projector *projector, const struct event *event)
{
	struct offtake_row *row;
	return status_set(projector, event->offtake_resumed.contract, OFFTAKE_IN_FORCE, &row);
}

enum err view_on_offtake_end_proposed(struct projector *projector, const struct event *event)
{
	struct offtake_row *row;
	enum err err = offtake_of(projector, event->offtake_end_proposed.contract, &row);
	if (err || !row)
		return err;
	row->end_by = event->offtake_end_proposed.org;
	row->end_refund_micros = event->offtake_end_proposed.refund_micros;
	return ERR_OK;
}

static struct offtake_delivery *delivery_at(struct offtake_row *row, uint32_t at)
{
	return at < row->deliveries.count ? (struct offtake_delivery *)row->deliveries.items + at : NULL;
}

enum err view_on_offtake_delivered(struct projector *projector, const struct event *event)
{
	const struct event_offtake_delivered *said = &event->offtake_delivered;
	struct offtake_row *row;
	enum err err = offtake_of(projector, said->contract, &row);
	struct offtake_delivery *delivery = !err && row ? delivery_at(row, said->row) : NULL;
	if (delivery) {
		delivery->delivered_kg += said->kg;
		if (delivery->delivered_kg == delivery->kg)
			delivery->state = DELIVERY_DONE;
		row->credit_micros -= said->credited_micros;
	}
	if (!err)
		err = pay(projector, said->currency, said->amount_micros - said->credited_micros,
			view_place(said->buyer, KG_HELD), view_place(said->seller, KG_HELD));
	return err ? err
		   : view_ranges_move(projector, event, view_place(said->seller, KG_HELD),
			     view_place(said->buyer, KG_HELD), (struct id){0});
}

enum err view_on_offtake_unpaid(struct projector *projector, const struct event *event)
{
	const struct event_offtake_unpaid *said = &event->offtake_unpaid;
	struct offtake_row *row;
	enum err err = offtake_of(projector, said->contract, &row);
	struct offtake_delivery *delivery = !err && row ? delivery_at(row, said->row) : NULL;
	if (delivery && said->tendered_kg > delivery->tendered_kg)
		delivery->tendered_kg = said->tendered_kg;
	return err;
}

enum err view_on_offtake_missed(struct projector *projector, const struct event *event)
{
	const struct event_offtake_missed *said = &event->offtake_missed;
	struct offtake_row *row;
	enum err err = offtake_of(projector, said->contract, &row);
	struct offtake_delivery *delivery = !err && row ? delivery_at(row, said->row) : NULL;
	if (delivery) {
		delivery->state = DELIVERY_MISSED;
		row->credit_micros -= said->credit_micros;
		row->owed_micros += said->owed_micros;
	}
	return err ? err
		   : pay(projector, said->currency, said->refunded_micros + said->penalty_micros,
			     view_place(said->seller, KG_HELD), view_place(said->buyer, KG_HELD));
}

enum err view_on_offtake_ended(struct projector *projector, const struct event *event)
{
	const struct event_offtake_ended *said = &event->offtake_ended;
	struct offtake_row *row;
	enum err err = status_set(projector, said->contract, OFFTAKE_STATE_COUNT + (int)said->reason, &row);
	if (!err && row) {
		row->credit_micros -= said->refunded_micros;
		row->owed_micros += said->owed_micros;
		row->ended_at = event->header.time_us;
	}
	return err ? err
		   : pay(projector, said->currency, said->refunded_micros, view_place(said->seller, KG_HELD),
			     view_place(said->buyer, KG_HELD));
}
