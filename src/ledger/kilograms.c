/* Decides how a pending transfer of kilograms ends: given in whole or in part, or void; its serials were reserved by the registry's
 * decision (the table in docs/LEDGER.md). The state's thread. */
#include "money.h"

#include <string.h>

/* ---- deciding ---- */

enum err decide_kg_post(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command_pending_post *asked = &call->command->pending_post;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	uint32_t item = MAP_NONE;
	enum err err = pending_get(ledger, asked->transfer, true, call->command->org, false, &item, info);
	if (err)
		return err;
	const struct event_state_pending *is = &ledger_money_read(ledger)->pending[item].is;
	if (asked->amount < 0)
		return err_set(info, ERR_AMOUNT_INVALID, "/kg", "/kg must be more than 0");
	if (asked->amount > is->amount)
		return err_set(
			info, ERR_EXCEEDS_PENDING, "/kg", "the transfer reserved %lld kg", (long long)is->amount);
	err = open_check(ledger, is->to, "", info);
	if (err)
		return err;
	int64_t kg = asked->amount ? asked->amount : is->amount;
	struct event event = {.kg_posted = {.transfer = is->transfer,
				      .from = is->from,
				      .to = is->to,
				      .kg = kg,
				      .freed_kg = is->amount - kg},
		.lists = {.ranges = ranges, .range_count = pending_ranges(ledger_money_read(ledger), item, ranges)}};
	return decision_emit(call, EVENT_KG_POSTED, &event, info);
}

enum err kg_void_emit(struct ledger *ledger, struct decision *call, uint32_t item, bool expired, struct err_info *info)
{
	struct serial_range ranges[EVENTS_RANGES_MAX];
	const struct event_state_pending *is = &ledger_money_read(ledger)->pending[item].is;
	struct event event = {
		.kg_voided = {.transfer = is->transfer, .from = is->from, .kg = is->amount, .expired = expired},
		.lists = {.ranges = ranges, .range_count = pending_ranges(ledger_money_read(ledger), item, ranges)}};
	return decision_emit(call, EVENT_KG_VOIDED, &event, info);
}

/* ---- making events true ---- */

enum err kg_reserved_make(struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_kg_reserved *said = &event->kg_reserved;
	if (ledger_pending(ledger, said->transfer) || id_is_none(said->to))
		return journal_invalid(info, "a transfer is pending twice, or to nobody");
	struct ledger_place held = {.org = said->from, .state = KG_HELD}, reserved = {said->from, KG_RESERVED};
	enum err err = ledger_move_all(ledger, undo, &event->lists, said->kg, held, reserved, info);
	struct event_state_pending is = {.transfer = said->transfer,
		.from = said->from,
		.to = said->to,
		.amount = said->kg,
		.expires_us = said->expires_us,
		.user_data = said->user_data,
		.code = said->code};
	if (!err)
		pending_add(ledger_money(ledger), undo, &is, event->lists.ranges, event->lists.range_count);
	return err;
}

static bool has_ranges(const struct money *money, uint32_t item, const struct record_lists *lists)
{
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = pending_ranges(money, item, ranges);
	return count == lists->range_count && memcmp(ranges, lists->ranges, count * sizeof *ranges) == 0;
}

/* A range that ends beyond the given kilograms is cut in two. */
static enum err serials_divide(struct ledger *ledger, struct undo *undo, const struct event_state_pending *is,
	const struct record_lists *lists, int64_t given_kg)
{
	struct ledger_place reserved = {.org = is->from, .state = KG_RESERVED};
	struct ledger_place held = {.org = is->from, .state = KG_HELD}, getter = {.org = is->to, .state = KG_HELD};
	enum err err = ERR_OK;
	int64_t left = given_kg;
	for (size_t i = 0; i < lists->range_count && !err; i++) {
		struct serial_range given = lists->ranges[i], kept = given;
		given.length = given.length < left ? given.length : left;
		kept.start += given.length;
		kept.length -= given.length;
		left -= given.length;
		if (given.length)
			err = ledger_move(ledger, undo, &given, reserved, getter);
		if (!err && kept.length)
			err = ledger_move(ledger, undo, &kept, reserved, held);
	}
	return err;
}

enum err kg_end(struct ledger *ledger, struct undo *undo, const struct event *event, struct id transfer,
	int64_t given_kg, int64_t freed_kg, struct err_info *info)
{
	struct money *money = ledger_money(ledger);
	uint32_t item = pending_find(money, transfer);
	if (item == MAP_NONE || money->pending[item].is.currency.text[0])
		return journal_invalid(info, "a transfer of kilograms is not pending");
	const struct event_state_pending is = money->pending[item].is;
	if (given_kg < 0 || freed_kg < 0 || freed_kg > is.amount || given_kg != is.amount - freed_kg ||
		!has_ranges(money, item, &event->lists))
		return journal_invalid(info, "a pending transfer ends with other kilograms");
	enum err err = serials_divide(ledger, undo, &is, &event->lists, given_kg);
	if (!err)
		pending_remove(money, undo, item);
	return err;
}
