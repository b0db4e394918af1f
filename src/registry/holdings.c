/* Decides what an organisation may do with kilograms that it holds: give them away, retire them, pay debt with them. The
 * state's thread. */
#include "state.h"

#include <stdio.h>
#include <string.h>

#include "carbond/base/decimal.h"

/* ---- what may move ---- */

static enum err movable_check(struct id org, const struct batch *batch, struct err_info *info)
{
	bool freezes = registry_kg_effect(KG_HELD, KG_OVERLAY_SUSPEND) == KG_EFFECT_FREEZE;
	unsigned long long number = batch->issued.batch;
	if (freezes && batch->held)
		return REFUSE(info, ERR_BATCH_HELD, "/batch", "batch %llu is suspended", number);
	if (freezes && batch->disputes)
		return REFUSE(info, ERR_BATCH_HELD, "/batch", "batch %llu is in dispute", number);
	if (freezes && batch->unsold_held && id_equal(batch->issued.org, org))
		return REFUSE(info, ERR_BATCH_HELD, "/batch", "unsold kilograms of batch %llu are suspended", number);
	return ERR_OK;
}

uint32_t registry_batch_holds(const struct registry *registry, uint64_t number)
{
	const struct batch *batch = batch_find(registry, number);
	return batch ? (batch->held ? REGISTRY_HOLD_SUSPENDED : 0u) | (batch->disputes ? REGISTRY_HOLD_DISPUTED : 0u) |
			       (batch->unsold_held ? REGISTRY_HOLD_UNSOLD : 0u)
		     : 0;
}

int64_t registry_debt_kg(const struct registry *registry, struct id org)
{
	int64_t kg = 0;
	for (uint32_t durability = 0; durability < DURABILITY_COUNT; durability++) {
		const struct debt *debt = debt_find(registry, org, durability);
		kg += debt ? debt->kg : 0;
	}
	return kg;
}

bool registry_account_held(const struct registry *registry, struct id org)
{
	const struct held_account *account = account_find(registry, org);
	return account && account->held;
}

static enum err account_check(const struct registry *registry, struct id org, struct err_info *info)
{
	if (registry_account_held(registry, org))
		return REFUSE(info, ERR_ACCOUNT_HELD, "", "the organisation's account is held");
	return ERR_OK;
}

enum err registry_movable(const struct registry *registry, struct id org, uint64_t number, struct err_info *info)
{
	const struct batch *batch = batch_find(registry, number);
	enum err err = account_check(registry, org, info);
	if (err || number == 0)
		return err;
	return batch ? movable_check(org, batch, info)
		     : REFUSE(info, ERR_NOT_FOUND, "/batch", "there is no such batch");
}

bool registry_attributes(const struct registry *registry, uint64_t number, struct registry_attributes *ret_attributes)
{
	const struct batch *batch = batch_find(registry, number);
	const struct period *period = batch ? period_find(registry, batch->issued.period) : NULL;
	const struct import *import = batch ? import_find(registry, number) : NULL;
	static const struct id nowhere;
	if (!period && !import)
		return false;
	*ret_attributes = (struct registry_attributes){.kind = (enum credit_kind)batch->issued.kind,
		.durability = (enum durability)batch->issued.durability,
		.vintage = batch->issued.vintage,
		.country = import ? import->said.country : period->said.country,
		.methodology = import ? import->said.methodology : period->said.methodology,
		.org = batch->issued.org,
		.project = period ? period->said.project : nowhere,
		.unit = period ? period->said.unit : nowhere};
	_Static_assert(REGISTRY_QUORUM_MAX == EVENTS_VERIFIERS_MAX, "all that attested a period fit");
	for (size_t i = 0; period && i < period->attestation_count; i++)
		if (!verifier_set_add(&ret_attributes->verifiers, period->attestations[i].org))
			return false;
	return true;
}

static enum err named_select(const struct registry *registry, const struct command *command,
	const struct selecting *selecting, struct selection *selection, struct err_info *info)
{
	const struct record_lists *lists = &command->lists;
	if (lists->range_count > EVENTS_RANGES_MAX)
		return REFUSE(
			info, ERR_COMMAND_TOO_LARGE, "/ranges", "a command names at most %d ranges", EVENTS_RANGES_MAX);
	for (size_t i = 0; i < lists->range_count; i++) {
		const struct serial_range *range = &lists->ranges[i];
		const struct batch *batch = batch_find(registry, range->batch);
		if (!batch)
			return REFUSE(info, ERR_NOT_FOUND, "/ranges", "range %zu: there is no such batch", i);
		if (range->start < 0 || range->length <= 0 ||
			!add_checked(selection->kg, range->length, &selection->kg))
			return REFUSE(info, ERR_INVALID_FIELD, "/ranges", "range %zu has no kilograms", i);
		enum err err = selecting->barred ? ERR_OK : movable_check(selecting->from.org, batch, info);
		if (err)
			return err;
		selection->ranges[i] = *range;
	}
	selection->count = lists->range_count;
	return ERR_OK;
}

enum err serials_select(const struct registry *registry, const struct ledger *ledger, const struct command *command,
	const struct selecting *selecting, uint64_t number, int64_t kg, struct selection *selection,
	struct err_info *info)
{
	selection->count = 0;
	selection->kg = 0;
	enum err err = selecting->barred ? ERR_OK : account_check(registry, selecting->from.org, info);
	if (err)
		return err;
	if (command->lists.range_count && (number || kg))
		return REFUSE(info, ERR_INVALID_FIELD, "/ranges", "name ranges, or a batch and kg, not both");
	if (command->lists.range_count)
		return named_select(registry, command, selecting, selection, info);
	const struct batch *batch = batch_find(registry, number);
	if (!batch)
		return REFUSE(info, ERR_NOT_FOUND, "/batch", "there is no such batch");
	if (kg < 1 || kg > REGISTRY_KG_MAX)
		return REFUSE(info, ERR_INVALID_FIELD, "/kg", "/kg must be 1..%lld", (long long)REGISTRY_KG_MAX);
	err = selecting->barred ? ERR_OK : movable_check(selecting->from.org, batch, info);
	if (err)
		return err;
	struct ledger_place place = selecting->from;
	err = ledger_pick(ledger, number, place, kg, selection->ranges, EVENTS_RANGES_MAX, &selection->count);
	if (err == ERR_INSUFFICIENT_KG)
		return REFUSE(info, err, "/kg", "the organisation holds %lld kg of batch %llu",
			(long long)ledger_amount(ledger, number, place), (unsigned long long)number);
	if (err == ERR_COMMAND_TOO_LARGE)
		return REFUSE(info, err, "/kg", "that many kilograms lie in more than %d ranges", EVENTS_RANGES_MAX);
	selection->kg = kg;
	return err;
}

/* Of those that the giver of the command holds itself, and may move. */
static enum err select_serials(const struct registry *registry, const struct ledger *ledger,
	const struct command *command, uint64_t number, int64_t kg, struct selection *selection, struct err_info *info)
{
	struct selecting own = {.from = {.org = command->org, .state = KG_HELD}};
	return serials_select(registry, ledger, command, &own, number, kg, selection, info);
}

/* ---- transfer ---- */

static enum err transfer_check(const struct ledger *ledger, const struct decision *call, struct err_info *info)
{
	const struct command *command = call->command;
	const struct command_transfer *asked = &command->transfer;
	if (id_is_none(command->org))
		return REFUSE(info, ERR_FORBIDDEN, "", "only an organisation holds kilograms");
	if (id_is_none(asked->to) || id_equal(asked->to, command->org))
		return REFUSE(info, ERR_INVALID_FIELD, "/to", "/to must be another organisation");
	if (asked->expires_us && (!asked->pending || asked->expires_us <= call->now_us))
		return REFUSE(info, ERR_EXPIRY_INVALID, "/expires_at", "a pending transfer expires in the future");
	if (ledger_account_closed(ledger, asked->to))
		return REFUSE(info, ERR_ACCOUNT_CLOSED, "/to_org_id", "the organisation's account is closed");
	/* ids of commands are unique in an organisation; of two that hand in the same one, the second is refused */
	if (asked->pending && ledger_pending(ledger, command->id))
		return REFUSE(info, ERR_DUPLICATE, "", "there is a pending transfer with this id");
	return ERR_OK;
}

enum err decide_transfer(struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command *command = call->command;
	const struct command_transfer *asked = &command->transfer;
	struct selection selection;
	enum err err = transfer_check(ledger, call, info);
	if (!err)
		err = select_serials(registry, ledger, command, asked->batch, asked->kg, &selection, info);
	if (err)
		return err;
	struct event event = {.lists = {.ranges = selection.ranges, .range_count = selection.count}};
	if (asked->pending) {
		event.kg_reserved = (struct event_kg_reserved){.transfer = command->id,
			.from = command->org,
			.to = asked->to,
			.kg = selection.kg,
			.expires_us = asked->expires_us,
			.user_data = asked->user_data,
			.code = asked->code};
		return decision_emit(call, EVENT_KG_RESERVED, &event, info);
	}
	event.transferred = (struct event_transferred){.from = command->org,
		.to = asked->to,
		.kg = selection.kg,
		.transfer = command->id,
		.user_data = asked->user_data,
		.code = asked->code};
	return decision_emit(call, EVENT_TRANSFERRED, &event, info);
}

enum err apply_transferred(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)registry;
	const struct event_transferred *said = &event->transferred;
	struct ledger_place from = {.org = said->from, .state = KG_HELD};
	struct ledger_place to = {.org = said->to, .state = KG_HELD};
	return ledger_move_all(ledger, undo, &event->lists, said->kg, from, to, info);
}

/* ---- retirement ---- */

static enum err retirement_check(const struct command_retire *asked, struct err_info *info)
{
	static const char rest[6];
	const char *country = asked->country.text;
	if (hash_is_none(asked->beneficiary_hash))
		return REFUSE(info, ERR_MISSING_FIELD, "/beneficiary", "a retirement names its beneficiary");
	if (country[0] < 'A' || country[0] > 'Z' || country[1] < 'A' || country[1] > 'Z' ||
		memcmp(country + 2, rest, sizeof rest) != 0)
		return REFUSE(info, ERR_INVALID_FIELD, "/country", "/country must be two letters A-Z");
	if (asked->covered_from_us >= asked->covered_to_us)
		return REFUSE(info, ERR_INVALID_FIELD, "/covered_to", "/covered_to must be after /covered_from");
	if (asked->purpose >= PURPOSE_COUNT || asked->consent > 1)
		return REFUSE(info, ERR_INVALID_FIELD, "/purpose", "/purpose is not one that is known");
	return ERR_OK;
}

/* `id` zero: the command's. */
static enum err retired_emit(struct registry *registry, struct decision *call, const struct command_retire *asked,
	struct id id, const struct selection *selection, struct err_info *info)
{
	uint64_t number = registry->retirement_count + 1;
	struct event event = {.retired = {.number = number,
				      .org = call->command->org,
				      .kg = selection->kg,
				      .beneficiary_hash = asked->beneficiary_hash,
				      .country = asked->country,
				      .covered_from_us = asked->covered_from_us,
				      .covered_to_us = asked->covered_to_us,
				      .purpose = asked->purpose,
				      .consent = asked->consent,
				      .retirement = id},
		.lists = {.ranges = selection->ranges, .range_count = selection->count}};
	call->number = number;
	return decision_emit(call, EVENT_RETIRED, &event, info);
}

enum err decide_retire(struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command *command = call->command;
	const struct command_retire *asked = &command->retire;
	if (id_is_none(command->org))
		return REFUSE(info, ERR_FORBIDDEN, "", "only an organisation holds kilograms");
	struct selection selection;
	enum err err = retirement_check(asked, info);
	if (!err)
		err = select_serials(registry, ledger, command, asked->batch, asked->kg, &selection, info);
	static const struct id none;
	return err ? err : retired_emit(registry, call, asked, none, &selection, info);
}

/* A line of a purchase as a retirement of its own. */
static struct command_retire retire_of(const struct retirement_line *line)
{
	return (struct command_retire){.kg = line->kg,
		.beneficiary_hash = line->beneficiary_hash,
		.country = line->country,
		.covered_from_us = line->covered_from_us,
		.covered_to_us = line->covered_to_us,
		.purpose = line->purpose,
		.consent = line->consent};
}

enum err registry_lines_check(const struct decision *call, int64_t *ret_kg, struct err_info *info)
{
	const struct record_lists *lists = &call->command->lists;
	enum err err = ERR_OK;
	*ret_kg = 0;
	if (lists->line_count > EVENTS_LINES_MAX)
		return REFUSE(info, ERR_COMMAND_TOO_LARGE, "/lines", "at most %d lines", EVENTS_LINES_MAX);
	for (size_t i = 0; i < lists->line_count && !err; i++) {
		const struct retirement_line *line = &lists->lines[i];
		const struct command_retire asked = retire_of(line);
		err = retirement_check(&asked, info);
		if (!err && (line->kg < (lists->line_count > 1) || !add_checked(*ret_kg, line->kg, ret_kg)))
			err = REFUSE(info, ERR_INVALID_FIELD, "/kg", "/kg must be 1..%lld", (long long)REGISTRY_KG_MAX);
		if (err) {
			struct err_info why = *info;
			char pointer[sizeof why.pointer];
			snprintf(pointer, sizeof pointer, "/lines/%zu%.100s", i, why.pointer);
			err_set(info, err, pointer, "line %zu: %s", i, why.detail);
		}
	}
	return err;
}

/* Cuts `kg` kilograms off the beginning of what is left of the ranges. */
struct cutting {
	const struct serial_range *ranges;
	size_t at;
	int64_t used; /* of the range at hand */
};

static void ranges_cut(struct cutting *cutting, int64_t kg, struct selection *selection)
{
	selection->count = 0;
	selection->kg = kg;
	while (kg > 0) {
		struct serial_range range = cutting->ranges[cutting->at];
		range.start += cutting->used;
		range.length -= cutting->used;
		bool whole = range.length <= kg;
		range.length = whole ? range.length : kg;
		kg -= range.length;
		cutting->used = whole ? 0 : cutting->used + range.length;
		cutting->at += whole;
		selection->ranges[selection->count++] = range;
	}
}

enum err registry_lines_retire(struct registry *registry, struct decision *call, const struct serial_range *ranges,
	size_t count, int64_t kg, struct err_info *info)
{
	const struct command *command = call->command;
	struct cutting cutting = {.ranges = ranges};
	size_t retired = 0, lines = command->lists.line_count;
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && lines && !err; i++)
		err = registry_movable(registry, command->org, ranges[i].batch, info);
	for (size_t i = 0; i < lines && !err; i++) {
		const struct retirement_line *line = &command->lists.lines[i];
		const struct command_retire asked = retire_of(line);
		struct id id = {{0}};
		struct selection selection;
		if (lines > 1)
			id = ledger_linked_id(command->org, command->id, (uint32_t)i);
		ranges_cut(&cutting, line->kg ? line->kg : kg, &selection);
		retired += selection.count;
		if (retired > EVENTS_RANGES_MAX)
			return REFUSE(info, ERR_COMMAND_TOO_LARGE, "/lines", "the lines touch more than %d ranges",
				EVENTS_RANGES_MAX);
		err = retired_emit(registry, call, &asked, id, &selection, info);
	}
	return err;
}

static void retirement_revert(void *owner, const void *payload)
{
	(void)payload;
	((struct registry *)owner)->retirement_count--;
}

enum err apply_retired(struct registry *registry, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info)
{
	const struct event_retired *said = &event->retired;
	if (said->number != registry->retirement_count + 1)
		return journal_invalid(info, "retirements are out of order");
	struct ledger_place from = {.org = said->org, .state = KG_HELD};
	struct ledger_place to = {.org = said->org, .state = KG_RETIRED};
	enum err err = ledger_move_all(ledger, undo, &event->lists, said->kg, from, to, info);
	if (err)
		return err;
	registry->retirement_count++;
	undo_push(undo, retirement_revert, registry, NULL, 0);
	return ERR_OK;
}

/* ---- paying debt ---- */

static enum err one_durability(const struct registry *registry, const struct selection *selection,
	uint32_t *ret_durability, struct err_info *info)
{
	*ret_durability = batch_find(registry, selection->ranges[0].batch)->issued.durability;
	for (size_t i = 1; i < selection->count; i++)
		if (batch_find(registry, selection->ranges[i].batch)->issued.durability != *ret_durability)
			return REFUSE(info, ERR_INVALID_FIELD, "/ranges", "all ranges must be of one durability class");
	return ERR_OK;
}

/* Cuts the list so that a range ends where the first `kg` kilograms do. */
static enum err selection_cut(struct selection *selection, int64_t kg, struct err_info *info)
{
	int64_t end = 0;
	for (size_t i = 0; i < selection->count; i++) {
		struct serial_range *range = &selection->ranges[i];
		int64_t inside = kg - end;
		end += range->length;
		if (inside <= 0 || inside >= range->length)
			continue;
		if (selection->count == EVENTS_RANGES_MAX)
			return REFUSE(info, ERR_COMMAND_TOO_LARGE, "/ranges", "a command touches at most %d ranges",
				EVENTS_RANGES_MAX);
		memmove(range + 1, range, (selection->count - i) * sizeof *range);
		selection->count++;
		range[0].length = inside;
		range[1].start += inside;
		range[1].length -= inside;
		return ERR_OK;
	}
	return ERR_OK;
}

enum err decide_buffer_top_up(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command *command = call->command;
	const struct command_buffer_top_up *asked = &command->buffer_top_up;
	struct selection selection;
	uint32_t durability = 0;
	enum err err = select_serials(registry, ledger, command, asked->batch, asked->kg, &selection, info);
	if (!err)
		err = one_durability(registry, &selection, &durability, info);
	if (err)
		return err;
	const struct debt *debt = debt_find(registry, command->org, durability);
	if (!debt || debt->kg < selection.kg)
		return REFUSE(info, ERR_NO_DEBT, "/kg", "the organisation owes %lld kg of durability class %s",
			debt ? (long long)debt->kg : 0, event_durability_names[durability]);
	int64_t cancelled = debt->uncovered_kg < selection.kg ? debt->uncovered_kg : selection.kg;
	err = selection_cut(&selection, cancelled, info);
	if (err)
		return err;
	struct event event = {.buffer_topped_up = {.org = command->org,
				      .durability = durability,
				      .kg = selection.kg,
				      .cancelled_kg = cancelled},
		.lists = {.ranges = selection.ranges, .range_count = selection.count}};
	return decision_emit(call, EVENT_BUFFER_TOPPED_UP, &event, info);
}

static void debt_revert(void *owner, const void *payload)
{
	struct debt back;
	memcpy(&back, payload, sizeof back);
	*debt_find(owner, back.org, back.durability) = back;
}

/* Buffer rests with the batch's own operator, wherever the kilograms came from. */
static enum err top_up_move(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_buffer_topped_up *said = &event->buffer_topped_up;
	struct ledger_place from = {.org = said->org, .state = KG_HELD};
	int64_t moved = 0;
	for (size_t i = 0; i < event->lists.range_count; i++) {
		const struct serial_range *range = &event->lists.ranges[i];
		const struct batch *batch = batch_find(registry, range->batch);
		if (!batch)
			return journal_invalid(info, "a top-up names no batch");
		bool cancels = moved < said->cancelled_kg;
		struct ledger_place to = {
			.org = cancels ? said->org : batch->issued.org, .state = cancels ? KG_CANCELLED : KG_BUFFER};
		enum err err = ledger_move(ledger, undo, range, from, to);
		if (err)
			return err_set(
				info, err, "/ranges", "range %zu: the organisation does not hold these serials", i);
		moved += range->length;
		if (cancels && moved > said->cancelled_kg)
			return journal_invalid(info, "a top-up cancels half a range");
	}
	return moved == said->kg ? ERR_OK : journal_invalid(info, "ranges do not add up");
}

enum err apply_buffer_topped_up(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_buffer_topped_up *said = &event->buffer_topped_up;
	struct debt *debt = debt_find(registry, said->org, said->durability);
	if (!debt || said->kg <= 0 || debt->kg < said->kg || said->cancelled_kg < 0 || said->cancelled_kg > said->kg ||
		said->cancelled_kg > debt->uncovered_kg ||
		debt->uncovered_kg - said->cancelled_kg > debt->kg - said->kg)
		return journal_invalid(info, "a top-up pays no debt");
	enum err err = top_up_move(registry, ledger, undo, event, info);
	if (err)
		return err;
	undo_push(undo, debt_revert, registry, debt, sizeof *debt);
	debt->kg -= said->kg;
	debt->uncovered_kg -= said->cancelled_kg;
	return ERR_OK;
}
