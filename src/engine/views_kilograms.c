/* Decides what each kilogram that is made or moved changes in the views: holdings by state, and who has which serials. The
 * projector's thread. */
#include "views.h"

#include <stddef.h>

struct ledger_place view_place(struct id org, enum kg_state state)
{
	return (struct ledger_place){.org = org, .state = state};
}

_Static_assert(offsetof(struct holding_row, cancelled_kg) - offsetof(struct holding_row, held_kg) ==
		       KG_CANCELLED * sizeof(int64_t),
	"holdings have a member for each state, in order");
_Static_assert(
	offsetof(struct holding_row, buffer_kg) - offsetof(struct holding_row, held_kg) == KG_BUFFER * sizeof(int64_t),
	"holdings have a member for each state, in order");

/* Kilograms of an account, whose other side is `other`. */
static enum err holding_add(
	struct projector *projector, struct id org, uint64_t batch, enum kg_state state, int64_t kg, struct id other)
{
	struct holding_row *row = NULL;
	enum err err = view_account_add(projector, org, view_batch_asset(projector, batch), state, kg, other);
	if (!err)
		err = view_row(
			projector, SHEET_HOLDINGS, KEYED(holding_row, .org_id = org, .batch = (int64_t)batch), &row);
	if (err || !row)
		return err;
	int64_t *amounts = &row->held_kg;
	for (int i = 0; i < KG_STATE_COUNT; i++)
		if (amounts[i] == FIELD_ABSENT)
			amounts[i] = 0;
	amounts[state] += kg;
	return ERR_OK;
}

/* What a kilogram's history tells: another has it, or it is where it does not come back from by itself. */
static bool is_told(struct ledger_place from, struct ledger_place to)
{
	return !id_equal(from.org, to.org) ||
	       (to.state != KG_HELD && to.state != KG_LISTED && to.state != KG_RESERVED) || from.state == KG_ESCROW;
}

enum err view_range_move(struct projector *projector, const struct serial_range *range, struct ledger_place from,
	struct ledger_place to, struct id record)
{
	enum err err = holding_add(projector, from.org, range->batch, from.state, -range->length, to.org);
	if (!err)
		err = holding_add(projector, to.org, range->batch, to.state, range->length, from.org);
	if (!err && is_told(from, to))
		err = view_batch_event(projector, range);
	return err ? err : view_assign(projector, range, to, record);
}

enum err view_range_make(
	struct projector *projector, struct id org, uint64_t batch, enum kg_state state, int64_t start, int64_t kg)
{
	if (kg == 0)
		return ERR_OK;
	struct serial_range range = {.batch = batch, .start = start, .length = kg};
	struct id outside = {{0}};
	enum err err = view_account_add(projector, outside, view_batch_asset(projector, batch), KG_HELD, -kg, org);
	if (!err)
		err = holding_add(projector, org, batch, state, kg, outside);
	if (!err)
		err = view_batch_event(projector, &range);
	return err ? err : view_assign(projector, &range, view_place(org, state), (struct id){0});
}

enum err view_range_items(struct projector *projector, const struct record_lists *lists, struct field_list *ret_list)
{
	struct serial_range_item *items =
		ARENA_ARRAY(view_arena(projector), struct serial_range_item, lists->range_count);
	if (!items)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < lists->range_count; i++)
		items[i] = (struct serial_range_item){.batch = (int64_t)lists->ranges[i].batch,
			.start = lists->ranges[i].start,
			.length = lists->ranges[i].length};
	*ret_list = (struct field_list){.items = items, .count = lists->range_count};
	return ERR_OK;
}

enum err view_ranges_move(struct projector *projector, const struct event *event, struct ledger_place from,
	struct ledger_place to, struct id record)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < event->lists.range_count && !err; i++)
		err = view_range_move(projector, &event->lists.ranges[i], from, to, record);
	return err;
}
