/* Decides what may happen to money: it comes in and goes out, is paid at once, or reserved first and then posted or voided
 * (the table in docs/LEDGER.md). The state's thread. */
#include "money.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/decimal.h"

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

const struct event_state_pending *ledger_pending(const struct ledger *ledger, struct id transfer)
{
	const struct money *money = ledger_money_read(ledger);
	uint32_t item = pending_find(money, transfer);
	return item == MAP_NONE ? NULL : &money->pending[item].is;
}

size_t ledger_pending_ranges(const struct ledger *ledger, struct id transfer, struct serial_range *ret_ranges)
{
	const struct money *money = ledger_money_read(ledger);
	uint32_t item = pending_find(money, transfer);
	return item == MAP_NONE ? 0 : pending_ranges(money, item, ret_ranges);
}

struct id ledger_linked_id(struct id org, struct id set, uint32_t place)
{
	struct sha256 state;
	struct id id;
	sha256_start(&state, "carbond/linked/1");
	sha256_add(&state, &org, sizeof org);
	sha256_add(&state, &set, sizeof set);
	sha256_add_u64(&state, place);
	struct hash hash = sha256_end(&state);
	memcpy(id.bytes, hash.bytes, sizeof id.bytes);
	id.bytes[6] = (uint8_t)(0x80 | (id.bytes[6] & 0x0f)); /* UUIDv8: no command has such an id */
	id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
	return id;
}

/* ---- deciding ---- */

enum err amount_check(struct code8 currency, int64_t amount_micros, struct err_info *info)
{
	if (!ledger_money_asset(currency))
		return err_set(info, ERR_CURRENCY_INVALID, "/currency",
			"/currency must be 1 to 7 of A-Z and 0-9, first a letter");
	if (amount_micros < 1 || amount_micros > LEDGER_MICROS_MAX)
		return err_set(
			info, ERR_AMOUNT_INVALID, "/amount", "/amount must be more than 0, at most 1000000000000");
	return ERR_OK;
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
	const struct command_money_deposit *asked = &call->command->money_deposit;
	enum err err = amount_check(asked->currency, asked->amount_micros, info);
	if (err)
		return err;
	if (id_is_none(asked->to))
		return err_set(info, ERR_PAYEE_INVALID, "/org_id", "a deposit is an organisation's");
	err = open_check(ledger, asked->to, "/org_id", info);
	if (err)
		return err;
	struct event event = {.money_deposited = {.to = asked->to,
				      .currency = asked->currency,
				      .amount_micros = asked->amount_micros,
				      .reference_hash = asked->reference_hash}};
	return decision_emit(call, EVENT_MONEY_DEPOSITED, &event, info);
}

static enum err decide_money_withdraw(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command_money_withdraw *asked = &call->command->money_withdraw;
	struct outflow flow = {.org = asked->from,
		.currency = asked->currency,
		.amount_micros = asked->amount_micros,
		.counts = true,
		.now_us = call->now_us};
	enum err err = amount_check(asked->currency, asked->amount_micros, info);
	if (!err && id_is_none(asked->from))
		err = err_set(info, ERR_PAYEE_INVALID, "/org_id", "a withdrawal is an organisation's");
	if (!err)
		err = outflow_check(ledger, &flow, info);
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
	const struct ledger *ledger, const struct decision *call, int64_t *ret_amount_micros, struct err_info *info)
{
	const struct command_money_transfer *asked = &call->command->money_transfer;
	struct outflow flow = {.org = call->command->org,
		.currency = asked->currency,
		.amount_micros = asked->amount_micros,
		.reserves = asked->pending,
		.counts = true,
		.now_us = call->now_us};
	*ret_amount_micros = asked->amount_micros;
	if (!asked->balancing)
		return outflow_check(ledger, &flow, info);
	int64_t most = outflow_most(ledger, &flow);
	if (most == 0)
		return err_set(info, ERR_NOTHING_TO_PAY, "/amount", "the account has nothing of it to pay");
	if (most < asked->amount_micros)
		*ret_amount_micros = most;
	return ERR_OK;
}

static enum err transfer_check(const struct ledger *ledger, const struct decision *call, struct err_info *info)
{
	const struct command *command = call->command;
	const struct command_money_transfer *asked = &command->money_transfer;
	if (id_is_none(command->org))
		return err_set(info, ERR_FORBIDDEN, "", "only an organisation has money");
	if (id_is_none(asked->to) || id_equal(asked->to, command->org))
		return err_set(info, ERR_PAYEE_INVALID, "/to_org_id", "/to_org_id must be another organisation");
	if (asked->expires_us && (!asked->pending || asked->expires_us <= call->now_us))
		return err_set(info, ERR_EXPIRY_INVALID, "/expires_at", "a pending transfer expires in the future");
	enum err err = amount_check(asked->currency, asked->amount_micros, info);
	return err ? err : open_check(ledger, asked->to, "/to_org_id", info);
}

static enum err decide_money_transfer(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command *command = call->command;
	const struct command_money_transfer *asked = &command->money_transfer;
	int64_t amount_micros = 0;
	enum err err = transfer_check(ledger, call, info);
	if (!err)
		err = transfer_amount(ledger, call, &amount_micros, info);
	if (err)
		return err;
	if (!asked->pending) {
		struct event event = {.money_paid = {.transfer = command->id,
					      .from = command->org,
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

enum err pending_get(const struct ledger *ledger, struct id transfer, bool kilograms, struct id org, bool payee_may,
	uint32_t *ret_item, struct err_info *info)
{
	const struct money *money = ledger_money_read(ledger);
	uint32_t item = pending_find(money, transfer);
	const struct event_state_pending *is = item == MAP_NONE ? NULL : &money->pending[item].is;
	bool named = is && (id_equal(is->from, org) || id_equal(is->to, org));
	if (!named || kilograms != !is->currency.text[0])
		return err_set(info, ERR_NOT_PENDING, "/transfer", "there is no such pending transfer");
	if (!payee_may && !id_equal(is->from, org))
		return err_set(info, ERR_FORBIDDEN, "", "who gives posts a pending transfer");
	*ret_item = item;
	return ERR_OK;
}

static enum err decide_money_post(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command_pending_post *asked = &call->command->pending_post;
	uint32_t item = MAP_NONE;
	enum err err = pending_get(ledger, asked->transfer, false, call->command->org, false, &item, info);
	if (err)
		return err;
	const struct event_state_pending *is = &ledger_money_read(ledger)->pending[item].is;
	if (asked->amount < 0)
		return err_set(info, ERR_AMOUNT_INVALID, "/amount", "/amount must be more than 0");
	if (asked->amount > is->amount)
		return err_set(info, ERR_EXCEEDS_PENDING, "/amount", "the transfer reserved %lld micros",
			(long long)is->amount);
	err = open_check(ledger, is->to, "", info);
	if (err)
		return err;
	int64_t amount_micros = asked->amount ? asked->amount : is->amount;
	struct event event = {.money_posted = {.transfer = is->transfer,
				      .from = is->from,
				      .to = is->to,
				      .currency = is->currency,
				      .amount_micros = amount_micros,
				      .freed_micros = is->amount - amount_micros}};
	return decision_emit(call, EVENT_MONEY_POSTED, &event, info);
}

static enum err void_emit(
	struct ledger *ledger, struct decision *call, uint32_t item, bool expired, struct err_info *info)
{
	const struct event_state_pending *is = &ledger_money_read(ledger)->pending[item].is;
	if (!is->currency.text[0])
		return kg_void_emit(ledger, call, item, expired, info);
	struct event event = {.money_voided = {.transfer = is->transfer,
				      .from = is->from,
				      .currency = is->currency,
				      .amount_micros = is->amount,
				      .expired = expired}};
	return decision_emit(call, EVENT_MONEY_VOIDED, &event, info);
}

static enum err decide_pending_void(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command_pending_void *asked = &call->command->pending_void;
	uint32_t item = MAP_NONE;
	enum err err =
		pending_get(ledger, asked->transfer, asked->kilograms != 0, call->command->org, true, &item, info);
	return err ? err : void_emit(ledger, call, item, false, info);
}

enum err ledger_decide(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	enum err err;
	switch (call->command->kind) {
	case COMMAND_HOUSE_NAME: err = decide_house_name(ledger, call, info); break;
	case COMMAND_MONEY_DEPOSIT: err = decide_money_deposit(ledger, call, info); break;
	case COMMAND_MONEY_WITHDRAW: err = decide_money_withdraw(ledger, call, info); break;
	case COMMAND_MONEY_TRANSFER: err = decide_money_transfer(ledger, call, info); break;
	case COMMAND_PENDING_POST:
		err = call->command->pending_post.kilograms ? decide_kg_post(ledger, call, info)
							    : decide_money_post(ledger, call, info);
		break;
	case COMMAND_PENDING_VOID: err = decide_pending_void(ledger, call, info); break;
	case COMMAND_ACCOUNT_LIMIT: err = decide_account_limit(ledger, call, info); break;
	case COMMAND_ACCOUNT_CLOSE: err = decide_account_close(ledger, call, info); break;
	case COMMAND_RATE_OFFER: err = decide_rate_offer(ledger, call, info); break;
	default: /* there are no others */
		assert(call->command->kind == COMMAND_MONEY_CONVERT);
		err = decide_money_convert(ledger, call, info);
	}
	return err == ERR_OVERFLOW ? err_set(info, ERR_MONEY_OVERFLOW, "/amount", "that is more than can be counted")
				   : err;
}

enum err ledger_tick(struct ledger *ledger, struct decision *call, int64_t due_us, struct err_info *info)
{
	const struct money *money = ledger_money_read(ledger);
	enum err err = ERR_OK;
	size_t room = EVENTS_RANGES_MAX;
	for (uint32_t i = 0, item; i < DUE_PER_TICK && !err && (item = pending_due(money, due_us)) != MAP_NONE; i++) {
		if (money->pending[item].ranges > room)
			break;
		room -= money->pending[item].ranges;
		err = void_emit(ledger, call, item, true, info);
	}
	return err;
}

/* ---- making events true ---- */

enum err money_pay(struct ledger *ledger, struct undo *undo, struct code8 currency, int64_t amount_micros,
	struct ledger_place from, struct ledger_place to, struct err_info *info)
{
	uint64_t asset = ledger_money_asset(currency);
	if (!asset || amount_micros <= 0)
		return journal_invalid(info, "money of no currency, or none");
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
		return journal_invalid(info, "the house is named twice, or is nobody");
	money->house = org;
	undo_push(undo, house_revert, money, NULL, 0);
	return ERR_OK;
}

static enum err reserved_make(
	struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_money_reserved *said = &event->money_reserved;
	if (ledger_pending(ledger, said->transfer) || id_is_none(said->to))
		return journal_invalid(info, "a transfer is pending twice, or to nobody");
	struct ledger_place held = {.org = said->from, .state = KG_HELD}, reserved = {said->from, KG_RESERVED};
	enum err err = money_pay(ledger, undo, said->currency, said->amount_micros, held, reserved, info);
	struct event_state_pending is = {.transfer = said->transfer,
		.from = said->from,
		.to = said->to,
		.currency = said->currency,
		.amount = said->amount_micros,
		.expires_us = said->expires_us,
		.user_data = said->user_data,
		.code = said->code};
	if (err)
		return err;
	pending_add(ledger_money(ledger), undo, &is, NULL, 0);
	outflow_note(ledger, undo, said->from, said->currency, said->amount_micros, event->header.time_us);
	return ERR_OK;
}

/* Ends a pending transfer: `paid` of it goes to `to`, the rest is held again. */
static enum err pending_end(struct ledger *ledger, struct undo *undo, struct id transfer, int64_t paid_micros,
	int64_t freed_micros, struct err_info *info)
{
	struct money *money = ledger_money(ledger);
	uint32_t item = pending_find(money, transfer);
	if (item == MAP_NONE || !money->pending[item].is.currency.text[0])
		return journal_invalid(info, "a transfer is not pending");
	const struct event_state_pending is = money->pending[item].is;
	if (paid_micros < 0 || freed_micros < 0 || freed_micros > is.amount || paid_micros != is.amount - freed_micros)
		return journal_invalid(info, "a pending transfer ends with another amount");
	struct ledger_place reserved = {.org = is.from, .state = KG_RESERVED};
	struct ledger_place held = {.org = is.from, .state = KG_HELD}, payee = {.org = is.to, .state = KG_HELD};
	enum err err = ERR_OK;
	if (paid_micros)
		err = money_pay(ledger, undo, is.currency, paid_micros, reserved, payee, info);
	if (!err && freed_micros)
		err = money_pay(ledger, undo, is.currency, freed_micros, reserved, held, info);
	if (!err)
		pending_remove(money, undo, item);
	return err;
}

/* A snapshot's: what it reserved is among the balances. */
static enum err pending_restore(struct ledger *ledger, const struct event *event, struct err_info *info)
{
	const struct event_state_pending *said = &event->state_pending;
	struct ledger_place reserved = {.org = said->from, .state = KG_RESERVED};
	int64_t kg = 0;
	bool is_money = said->currency.text[0] != 0, there = said->amount > 0;
	if (is_money)
		there = there && ledger_money_asset(said->currency) && event->lists.range_count == 0 &&
			ledger_amount(ledger, ledger_money_asset(said->currency), reserved) >= said->amount;
	for (size_t i = 0; i < event->lists.range_count && there; i++) {
		const struct serial_range *range = &event->lists.ranges[i];
		there = !(range->batch & LEDGER_MONEY) && range->length > 0 && add_checked(kg, range->length, &kg) &&
			ledger_amount(ledger, range->batch, reserved) >= range->length;
	}
	if (!there || (!is_money && kg != said->amount) || ledger_pending(ledger, said->transfer))
		return journal_invalid(info, "a pending transfer is there twice, or nothing is reserved for it");
	pending_add(ledger_money(ledger), NULL, said, event->lists.ranges, event->lists.range_count);
	return ERR_OK;
}

bool ledger_applies(uint16_t type)
{
	return (type >= 60 && type <= 79) || (type >= EVENT_STATE_HOUSE && type <= EVENT_STATE_LIMIT);
}

static enum err withdrawn_make(
	struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_money_withdrawn *said = &event->money_withdrawn;
	struct ledger_place outside = {.state = KG_HELD}, from = {.org = said->from};
	enum err err = money_pay(ledger, undo, said->currency, said->amount_micros, from, outside, info);
	if (!err)
		outflow_note(ledger, undo, said->from, said->currency, said->amount_micros, event->header.time_us);
	return err;
}

static enum err paid_make(struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_money_paid *said = &event->money_paid;
	struct ledger_place from = {.org = said->from}, to = {.org = said->to};
	enum err err = money_pay(ledger, undo, said->currency, said->amount_micros, from, to, info);
	if (!err)
		outflow_note(ledger, undo, said->from, said->currency, said->amount_micros, event->header.time_us);
	return err;
}

enum err ledger_apply(struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info)
{
	struct ledger_place outside = {.state = KG_HELD}, to = outside;
	switch (event->header.type) {
	case EVENT_HOUSE_NAMED: return house_make(ledger, undo, event->house_named.org, info);
	case EVENT_MONEY_DEPOSITED:
		to.org = event->money_deposited.to;
		return money_pay(ledger, undo, event->money_deposited.currency, event->money_deposited.amount_micros,
			outside, to, info);
	case EVENT_MONEY_WITHDRAWN: return withdrawn_make(ledger, undo, event, info);
	case EVENT_MONEY_PAID: return paid_make(ledger, undo, event, info);
	case EVENT_MONEY_RESERVED: return reserved_make(ledger, undo, event, info);
	case EVENT_MONEY_POSTED:
		return pending_end(ledger, undo, event->money_posted.transfer, event->money_posted.amount_micros,
			event->money_posted.freed_micros, info);
	case EVENT_MONEY_VOIDED:
		return pending_end(
			ledger, undo, event->money_voided.transfer, 0, event->money_voided.amount_micros, info);
	case EVENT_KG_RESERVED: return kg_reserved_make(ledger, undo, event, info);
	case EVENT_KG_POSTED:
		return kg_end(ledger, undo, event, event->kg_posted.transfer, event->kg_posted.kg,
			event->kg_posted.freed_kg, info);
	case EVENT_KG_VOIDED:
		return kg_end(ledger, undo, event, event->kg_voided.transfer, 0, event->kg_voided.kg, info);
	case EVENT_ACCOUNT_LIMITED: return limited_make(ledger, undo, event, info);
	case EVENT_ACCOUNT_CLOSED: return closed_make(ledger, undo, event, info);
	case EVENT_RATE_OFFERED: return offered_make(ledger, undo, event, info);
	case EVENT_MONEY_CONVERTED: return converted_make(ledger, undo, event, info);
	case EVENT_STATE_HOUSE: return house_make(ledger, undo, event->state_house.org, info);
	case EVENT_STATE_PENDING: return pending_restore(ledger, event, info);
	case EVENT_STATE_LIMIT: return limit_restore(ledger, &event->state_limit, info);
	default: return journal_invalid(info, "an event is not the ledger's");
	}
}

/* ---- snapshots ---- */

static enum err pending_tell(const struct money *money, const struct telling *telling)
{
	uint32_t *items = NULL;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	enum err err = pending_sorted(money, &items);
	for (uint32_t i = 0; i < money->count && !err; i++) {
		struct event event = {.state_pending = money->pending[items[i]].is,
			.lists = {.ranges = ranges, .range_count = pending_ranges(money, items[i], ranges)}};
		err = event_tell(telling, EVENT_STATE_PENDING, &event);
	}
	free(items);
	return err;
}

static int by_account(const void *a, const void *b)
{
	const struct event_state_limit *const *x = a, *const *y = b;
	int order = memcmp(&(*x)->org, &(*y)->org, sizeof(*x)->org);
	return order ? order : memcmp(&(*x)->currency, &(*y)->currency, sizeof(*x)->currency);
}

static enum err limits_tell(const struct ledger *ledger, const struct telling *telling)
{
	const struct money *money = ledger_money_read(ledger);
	const struct event_state_limit **sorted = calloc(money->limit_count + 1, sizeof *sorted);
	struct event event = {0};
	enum err err = sorted ? ERR_OK : ERR_NO_MEMORY;
	for (uint32_t i = 0; i < money->limit_count && !err; i++)
		sorted[i] = &money->limits[i];
	if (!err)
		qsort(sorted, money->limit_count, sizeof *sorted, by_account);
	for (uint32_t i = 0; i < money->limit_count && !err; i++)
		if (ledger_limit(ledger, sorted[i]->org, sorted[i]->currency, &event.state_limit))
			err = event_tell(telling, EVENT_STATE_LIMIT, &event);
	free(sorted);
	return err;
}

static int by_org(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct id));
}

static enum err closed_tell(const struct money *money, const struct telling *telling)
{
	struct id *sorted = calloc(money->closed_count + 1, sizeof *sorted);
	enum err err = sorted ? ERR_OK : ERR_NO_MEMORY;
	for (uint32_t i = 0; i < money->closed_count && !err; i++)
		sorted[i] = money->closed[i];
	if (!err)
		qsort(sorted, money->closed_count, sizeof *sorted, by_org);
	for (uint32_t i = 0; i < money->closed_count && !err; i++) {
		struct event event = {.account_closed = {.org = sorted[i]}};
		err = event_tell(telling, EVENT_ACCOUNT_CLOSED, &event);
	}
	free(sorted);
	return err;
}

static int by_pair(const void *a, const void *b)
{
	const struct event_rate_offered *const *x = a, *const *y = b;
	int order = memcmp(&(*x)->provider, &(*y)->provider, sizeof(*x)->provider);
	if (!order)
		order = memcmp(&(*x)->from, &(*y)->from, sizeof(*x)->from);
	return order ? order : memcmp(&(*x)->to, &(*y)->to, sizeof(*x)->to);
}

static enum err rates_tell(const struct money *money, const struct telling *telling)
{
	const struct event_rate_offered **sorted = calloc(money->rate_count + 1, sizeof *sorted);
	enum err err = sorted ? ERR_OK : ERR_NO_MEMORY;
	for (uint32_t i = 0; i < money->rate_count && !err; i++)
		sorted[i] = &money->rates[i];
	if (!err)
		qsort(sorted, money->rate_count, sizeof *sorted, by_pair);
	for (uint32_t i = 0; i < money->rate_count && !err; i++) {
		struct event event = {.rate_offered = *sorted[i]};
		err = event_tell(telling, EVENT_RATE_OFFERED, &event);
	}
	free(sorted);
	return err;
}

enum err ledger_snapshot(const struct ledger *ledger,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info)
{
	const struct money *money = ledger_money_read(ledger);
	const struct telling telling = {.emit = emit, .context = context, .info = info};
	enum err err = ERR_OK;
	if (!id_is_none(money->house)) {
		struct event event = {.state_house = {.org = money->house}};
		err = event_tell(&telling, EVENT_STATE_HOUSE, &event);
	}
	if (!err)
		err = pending_tell(money, &telling);
	if (!err)
		err = limits_tell(ledger, &telling);
	if (!err)
		err = closed_tell(money, &telling);
	return err ? err : rates_tell(money, &telling);
}
