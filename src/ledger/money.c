/* Decides what may happen to money: it comes in and goes out, is paid at once, or reserved first and then posted or voided
 * (the table in docs/LEDGER.md). The state's thread. */
#include "money.h"

#include <stdlib.h>
#include <string.h>

#define DUE_PER_TICK 1024 /* the rest falls due with the next tick */

uint64_t ledger_money_asset(struct code8 currency)
{
	uint64_t asset = 0;
	size_t length = 0;
	for (; length < 7 && currency.text[length]; length++) {
		char c = currency.text[length];
		if (!((c >= 'A' && c <= 'Z') || (length > 0 && c >= '0' && c <= '9')))
			return 0;
		asset = asset << 8 | (uint8_t)c;
	}
	for (size_t i = length; i < sizeof currency.text; i++)
		if (currency.text[i])
			return 0;
	return length ? LEDGER_MONEY | asset : 0;
}

struct id ledger_house(const struct ledger *ledger)
{
	return ledger_money_read(ledger)->house;
}

const struct event_money_reserved *ledger_pending(const struct ledger *ledger, struct id transfer)
{
	const struct money *money = ledger_money_read(ledger);
	uint32_t item = pending_find(money, transfer);
	return item == MAP_NONE ? NULL : &money->pending[item];
}

/* ---- deciding ---- */

static enum err amount_check(struct code8 currency, int64_t amount_micros, struct err_info *info)
{
	if (!ledger_money_asset(currency))
		return err_set(info, ERR_CURRENCY_INVALID, "/currency",
			"/currency must be 1 to 7 of A-Z and 0-9, first a letter");
	if (amount_micros < 1 || amount_micros > LEDGER_MICROS_MAX)
		return err_set(
			info, ERR_AMOUNT_INVALID, "/amount", "/amount must be more than 0, at most 1000000000000");
	return ERR_OK;
}

static enum err funds_check(
	const struct ledger *ledger, struct id org, struct code8 currency, int64_t amount_micros, struct err_info *info)
{
	struct ledger_place place = {.org = org, .state = KG_HELD};
	int64_t there = ledger_amount(ledger, ledger_money_asset(currency), place);
	return there >= amount_micros ? ERR_OK
				      : err_set(info, ERR_INSUFFICIENT_FUNDS, "/amount",
						"the account holds %lld micros of it", (long long)there);
}

static enum err decide_house_name(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	struct id org = call->command->house_name.org;
	if (id_is_none(org))
		return err_set(info, ERR_MISSING_FIELD, "/org_id", "the house is an organisation");
	if (!id_is_none(ledger_house(ledger)))
		return err_set(info, ERR_HOUSE_NAMED, "/org_id", "the house has been named");
	struct event event = {.house_named = {.org = org}};
	return decision_emit(call, EVENT_HOUSE_NAMED, &event, info);
}

static enum err decide_money_deposit(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_money_deposit *asked = &call->command->money_deposit;
	enum err err = amount_check(asked->currency, asked->amount_micros, info);
	if (err)
		return err;
	if (id_is_none(asked->to))
		return err_set(info, ERR_PAYEE_INVALID, "/org_id", "a deposit is an organisation's");
	struct event event = {.money_deposited = {.to = asked->to,
				      .currency = asked->currency,
				      .amount_micros = asked->amount_micros,
				      .reference_hash = asked->reference_hash}};
	return decision_emit(call, EVENT_MONEY_DEPOSITED, &event, info);
}

static enum err decide_money_withdraw(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command_money_withdraw *asked = &call->command->money_withdraw;
	enum err err = amount_check(asked->currency, asked->amount_micros, info);
	if (!err && id_is_none(asked->from))
		err = err_set(info, ERR_PAYEE_INVALID, "/org_id", "a withdrawal is an organisation's");
	if (!err)
		err = funds_check(ledger, asked->from, asked->currency, asked->amount_micros, info);
	if (err)
		return err;
	struct event event = {.money_withdrawn = {.from = asked->from,
				      .currency = asked->currency,
				      .amount_micros = asked->amount_micros,
				      .reference_hash = asked->reference_hash}};
	return decision_emit(call, EVENT_MONEY_WITHDRAWN, &event, info);
}

/* What a transfer moves: its amount, or with balancing what there is of it. */
static enum err transfer_amount(
	const struct ledger *ledger, const struct command *command, int64_t *ret_amount_micros, struct err_info *info)
{
	const struct command_money_transfer *asked = &command->money_transfer;
	*ret_amount_micros = asked->amount_micros;
	if (!asked->balancing)
		return funds_check(ledger, command->org, asked->currency, asked->amount_micros, info);
	struct ledger_place place = {.org = command->org, .state = KG_HELD};
	int64_t there = ledger_amount(ledger, ledger_money_asset(asked->currency), place);
	if (there == 0)
		return err_set(info, ERR_NOTHING_TO_PAY, "/amount", "the account holds nothing of it");
	if (there < asked->amount_micros)
		*ret_amount_micros = there;
	return ERR_OK;
}

static enum err transfer_check(const struct decision *call, struct err_info *info)
{
	const struct command *command = call->command;
	const struct command_money_transfer *asked = &command->money_transfer;
	if (id_is_none(command->org))
		return err_set(info, ERR_FORBIDDEN, "", "only an organisation has money");
	if (id_is_none(asked->to) || id_equal(asked->to, command->org))
		return err_set(info, ERR_PAYEE_INVALID, "/to_org_id", "/to_org_id must be another organisation");
	if (asked->expires_us && (!asked->pending || asked->expires_us <= call->now_us))
		return err_set(info, ERR_EXPIRY_INVALID, "/expires", "a pending transfer expires in the future");
	return amount_check(asked->currency, asked->amount_micros, info);
}

static enum err decide_money_transfer(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command *command = call->command;
	const struct command_money_transfer *asked = &command->money_transfer;
	int64_t amount_micros = 0;
	enum err err = transfer_check(call, info);
	if (!err)
		err = transfer_amount(ledger, command, &amount_micros, info);
	if (err)
		return err;
	if (!asked->pending) {
		struct event event = {.money_paid = {.from = command->org,
					      .to = asked->to,
					      .currency = asked->currency,
					      .amount_micros = amount_micros,
					      .user_data = asked->user_data,
					      .code = asked->code}};
		return decision_emit(call, EVENT_MONEY_PAID, &event, info);
	}
	/* ids of commands are unique in an organisation; of two that hand in the same one, the second is refused */
	if (ledger_pending(ledger, command->id))
		return err_set(info, ERR_DUPLICATE, "", "there is a pending transfer with this id");
	struct event event = {.money_reserved = {.transfer = command->id,
				      .from = command->org,
				      .to = asked->to,
				      .currency = asked->currency,
				      .amount_micros = amount_micros,
				      .expires_us = asked->expires_us,
				      .user_data = asked->user_data,
				      .code = asked->code}};
	return decision_emit(call, EVENT_MONEY_RESERVED, &event, info);
}

/* Strangers are told nothing about it. */
static enum err pending_get(const struct ledger *ledger, struct id transfer, struct id org, bool payee_may,
	const struct event_money_reserved **ret_pending, struct err_info *info)
{
	const struct event_money_reserved *pending = ledger_pending(ledger, transfer);
	bool named = pending && (id_equal(pending->from, org) || id_equal(pending->to, org));
	if (!named)
		return err_set(info, ERR_NOT_PENDING, "/transfer", "there is no such pending transfer");
	if (!payee_may && !id_equal(pending->from, org))
		return err_set(info, ERR_FORBIDDEN, "", "who pays posts a pending transfer");
	*ret_pending = pending;
	return ERR_OK;
}

static enum err decide_money_post(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command_money_post *asked = &call->command->money_post;
	const struct event_money_reserved *pending = NULL;
	enum err err = pending_get(ledger, asked->transfer, call->command->org, false, &pending, info);
	if (err)
		return err;
	if (asked->amount_micros < 0)
		return err_set(info, ERR_AMOUNT_INVALID, "/amount", "/amount must be more than 0");
	if (asked->amount_micros > pending->amount_micros)
		return err_set(info, ERR_EXCEEDS_PENDING, "/amount", "the transfer reserved %lld micros",
			(long long)pending->amount_micros);
	int64_t amount_micros = asked->amount_micros ? asked->amount_micros : pending->amount_micros;
	struct event event = {.money_posted = {.transfer = pending->transfer,
				      .from = pending->from,
				      .to = pending->to,
				      .currency = pending->currency,
				      .amount_micros = amount_micros,
				      .freed_micros = pending->amount_micros - amount_micros}};
	return decision_emit(call, EVENT_MONEY_POSTED, &event, info);
}

static enum err void_emit(
	struct decision *call, const struct event_money_reserved *pending, bool expired, struct err_info *info)
{
	struct event event = {.money_voided = {.transfer = pending->transfer,
				      .from = pending->from,
				      .currency = pending->currency,
				      .amount_micros = pending->amount_micros,
				      .expired = expired}};
	return decision_emit(call, EVENT_MONEY_VOIDED, &event, info);
}

static enum err decide_money_void(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct event_money_reserved *pending = NULL;
	enum err err =
		pending_get(ledger, call->command->money_void.transfer, call->command->org, true, &pending, info);
	return err ? err : void_emit(call, pending, false, info);
}

enum err ledger_decide(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	enum err err;
	switch (call->command->kind) {
	case COMMAND_HOUSE_NAME: err = decide_house_name(ledger, call, info); break;
	case COMMAND_MONEY_DEPOSIT: err = decide_money_deposit(ledger, call, info); break;
	case COMMAND_MONEY_WITHDRAW: err = decide_money_withdraw(ledger, call, info); break;
	case COMMAND_MONEY_TRANSFER: err = decide_money_transfer(ledger, call, info); break;
	case COMMAND_MONEY_POST: err = decide_money_post(ledger, call, info); break;
	case COMMAND_MONEY_VOID: err = decide_money_void(ledger, call, info); break;
	default: return err_set(info, ERR_INVALID_FIELD, "", "a command is not the ledger's");
	}
	return err == ERR_OVERFLOW ? err_set(info, ERR_MONEY_OVERFLOW, "/amount", "that is more than can be counted")
				   : err;
}

enum err ledger_tick(struct ledger *ledger, struct decision *call, int64_t due_us, struct err_info *info)
{
	const struct event_money_reserved **due = NULL;
	size_t count = 0;
	enum err err = pending_sorted(ledger_money_read(ledger), due_us, &due, &count);
	if (err || count == 0)
		return err;
	if (count > DUE_PER_TICK)
		count = DUE_PER_TICK;
	/* a void moves others in the table: ids first */
	struct id *ids = calloc(count, sizeof *ids);
	for (size_t i = 0; i < count && ids; i++)
		ids[i] = due[i]->transfer;
	free(due);
	err = ids ? ERR_OK : ERR_NO_MEMORY;
	for (size_t i = 0; i < count && !err; i++)
		err = void_emit(call, ledger_pending(ledger, ids[i]), true, info);
	free(ids);
	return err;
}

/* ---- making events true ---- */

static enum err invalid(struct err_info *info, const char *reason)
{
	return err_set(info, ERR_JOURNAL_INVALID, "", "%s", reason);
}

static enum err pay(struct ledger *ledger, struct undo *undo, struct code8 currency, int64_t amount_micros,
	struct ledger_place from, struct ledger_place to, struct err_info *info)
{
	uint64_t asset = ledger_money_asset(currency);
	if (!asset || amount_micros <= 0)
		return invalid(info, "money of no currency, or none");
	return ledger_pay(ledger, undo, asset, amount_micros, from, to);
}

static void house_revert(void *owner, const void *payload)
{
	(void)payload;
	((struct money *)owner)->house = (struct id){0};
}

static enum err house_make(struct ledger *ledger, struct undo *undo, struct id org, struct err_info *info)
{
	struct money *money = ledger_money(ledger);
	if (id_is_none(org) || !id_is_none(money->house))
		return invalid(info, "the house is named twice, or is nobody");
	money->house = org;
	undo_push(undo, house_revert, money, NULL, 0);
	return ERR_OK;
}

static enum err reserved_make(
	struct ledger *ledger, struct undo *undo, const struct event_money_reserved *said, struct err_info *info)
{
	if (ledger_pending(ledger, said->transfer))
		return invalid(info, "a transfer is pending twice");
	struct ledger_place held = {.org = said->from, .state = KG_HELD}, reserved = {said->from, KG_RESERVED};
	enum err err = pay(ledger, undo, said->currency, said->amount_micros, held, reserved, info);
	if (!err)
		pending_add(ledger_money(ledger), undo, said);
	return err;
}

/* Ends a pending transfer: `paid` of it goes to `to`, the rest is held again. */
static enum err pending_end(struct ledger *ledger, struct undo *undo, struct id transfer, int64_t paid_micros,
	int64_t freed_micros, struct err_info *info)
{
	struct money *money = ledger_money(ledger);
	uint32_t item = pending_find(money, transfer);
	if (item == MAP_NONE)
		return invalid(info, "a transfer is not pending");
	struct event_money_reserved pending = money->pending[item];
	if (paid_micros < 0 || freed_micros < 0 || freed_micros > pending.amount_micros ||
		paid_micros != pending.amount_micros - freed_micros)
		return invalid(info, "a pending transfer ends with another amount");
	struct ledger_place reserved = {.org = pending.from, .state = KG_RESERVED};
	struct ledger_place held = {.org = pending.from, .state = KG_HELD},
			    payee = {.org = pending.to, .state = KG_HELD};
	enum err err = ERR_OK;
	if (paid_micros)
		err = pay(ledger, undo, pending.currency, paid_micros, reserved, payee, info);
	if (!err && freed_micros)
		err = pay(ledger, undo, pending.currency, freed_micros, reserved, held, info);
	if (!err)
		pending_remove(money, undo, item);
	return err;
}

/* A snapshot's: what it reserved is among the balances. */
static enum err pending_restore(struct ledger *ledger, const struct event_state_pending *said, struct err_info *info)
{
	struct event_money_reserved pending = {.transfer = said->transfer,
		.from = said->from,
		.to = said->to,
		.currency = said->currency,
		.amount_micros = said->amount_micros,
		.expires_us = said->expires_us,
		.user_data = said->user_data,
		.code = said->code};
	struct ledger_place reserved = {.org = said->from, .state = KG_RESERVED};
	uint64_t asset = ledger_money_asset(said->currency);
	if (!asset || said->amount_micros <= 0 || ledger_pending(ledger, said->transfer) ||
		ledger_amount(ledger, asset, reserved) < said->amount_micros)
		return invalid(info, "a pending transfer is there twice, or nothing is reserved for it");
	pending_add(ledger_money(ledger), NULL, &pending);
	return ERR_OK;
}

bool ledger_applies(uint16_t type)
{
	return (type >= 60 && type <= 79) || type == EVENT_STATE_HOUSE || type == EVENT_STATE_PENDING;
}

enum err ledger_apply(struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info)
{
	struct ledger_place outside = {.state = KG_HELD}, from = outside, to = outside;
	switch (event->header.type) {
	case EVENT_HOUSE_NAMED: return house_make(ledger, undo, event->house_named.org, info);
	case EVENT_MONEY_DEPOSITED:
		to.org = event->money_deposited.to;
		return pay(ledger, undo, event->money_deposited.currency, event->money_deposited.amount_micros, outside,
			to, info);
	case EVENT_MONEY_WITHDRAWN:
		from.org = event->money_withdrawn.from;
		return pay(ledger, undo, event->money_withdrawn.currency, event->money_withdrawn.amount_micros, from,
			outside, info);
	case EVENT_MONEY_PAID:
		from.org = event->money_paid.from;
		to.org = event->money_paid.to;
		return pay(ledger, undo, event->money_paid.currency, event->money_paid.amount_micros, from, to, info);
	case EVENT_MONEY_RESERVED: return reserved_make(ledger, undo, &event->money_reserved, info);
	case EVENT_MONEY_POSTED:
		return pending_end(ledger, undo, event->money_posted.transfer, event->money_posted.amount_micros,
			event->money_posted.freed_micros, info);
	case EVENT_MONEY_VOIDED:
		return pending_end(
			ledger, undo, event->money_voided.transfer, 0, event->money_voided.amount_micros, info);
	case EVENT_STATE_HOUSE: return house_make(ledger, undo, event->state_house.org, info);
	case EVENT_STATE_PENDING: return pending_restore(ledger, &event->state_pending, info);
	default: return invalid(info, "an event is not the ledger's");
	}
}

/* ---- snapshots ---- */

enum err ledger_snapshot(const struct ledger *ledger,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info)
{
	const struct event_money_reserved **all = NULL;
	size_t count = 0;
	enum err err = pending_sorted(ledger_money_read(ledger), INT64_MIN, &all, &count);
	if (!err && !id_is_none(ledger_house(ledger))) {
		struct event event = {
			.header = {.type = EVENT_STATE_HOUSE}, .state_house = {.org = ledger_house(ledger)}};
		err = emit(context, &event, info);
	}
	for (size_t i = 0; i < count && !err; i++) {
		struct event event = {.header = {.type = EVENT_STATE_PENDING},
			.state_pending = {.transfer = all[i]->transfer,
				.from = all[i]->from,
				.to = all[i]->to,
				.currency = all[i]->currency,
				.amount_micros = all[i]->amount_micros,
				.expires_us = all[i]->expires_us,
				.user_data = all[i]->user_data,
				.code = all[i]->code}};
		err = emit(context, &event, info);
	}
	free(all);
	return err;
}
