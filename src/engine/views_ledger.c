/* Decides what the ledger's events change in the views: balances and entries of accounts, transfers, conversions, limits. The
 * entries of kilograms come with their moves (views_kilograms.c). The projector's thread. */
#include "views.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "carbond/base/decimal.h"

_Static_assert(sizeof(struct account_amounts) == KG_STATE_COUNT * sizeof(int64_t) &&
		       offsetof(struct account_amounts, reserved) == KG_RESERVED * sizeof(int64_t) &&
		       offsetof(struct account_amounts, cancelled) == KG_CANCELLED * sizeof(int64_t),
	"amounts have a member for each state, in order");

static const char *currency_text(struct projector *projector, struct code8 currency)
{
	char text[9];
	return view_text(projector, code8_text(currency, text));
}

static int64_t or_absent(uint64_t number)
{
	return number ? (int64_t)number : FIELD_ABSENT;
}

/* ---- entries ---- */

/* What the client said of a transfer, and which one it is. */
static void entry_about(const struct event *event, struct entry_row *entry)
{
	uint64_t user_data = 0;
	uint32_t code = 0;
	switch (event->header.type) {
	case EVENT_MONEY_PAID:
		entry->transfer_id = event->money_paid.transfer;
		user_data = event->money_paid.user_data;
		code = event->money_paid.code;
		break;
	case EVENT_MONEY_RESERVED:
		entry->transfer_id = event->money_reserved.transfer;
		user_data = event->money_reserved.user_data;
		code = event->money_reserved.code;
		break;
	case EVENT_KG_RESERVED:
		entry->transfer_id = event->kg_reserved.transfer;
		user_data = event->kg_reserved.user_data;
		code = event->kg_reserved.code;
		break;
	case EVENT_TRANSFERRED:
		entry->transfer_id = view_transfer_id(event);
		user_data = event->transferred.user_data;
		code = event->transferred.code;
		break;
	case EVENT_MONEY_POSTED: entry->transfer_id = event->money_posted.transfer; break;
	case EVENT_MONEY_VOIDED: entry->transfer_id = event->money_voided.transfer; break;
	case EVENT_KG_POSTED: entry->transfer_id = event->kg_posted.transfer; break;
	case EVENT_KG_VOIDED: entry->transfer_id = event->kg_voided.transfer; break;
	case EVENT_MONEY_CONVERTED: entry->transfer_id = event->money_converted.transfer; break;
	case EVENT_SHARD_SENT: entry->transfer_id = event->shard_sent.transfer; break;
	case EVENT_SHARD_RECEIVED: entry->transfer_id = event->shard_received.transfer; break;
	default: break;
	}
	entry->code = or_absent(code);
	entry->user_data = or_absent(user_data);
}

static enum err entry_add(struct projector *projector, const struct balance_row *balance, enum kg_state state,
	int64_t amount, struct id counterparty)
{
	const struct event *event = view_event(projector);
	struct entry_row *entry = NULL;
	enum err err = view_row(projector, SHEET_ENTRIES,
		KEYED(entry_row, .org_id = balance->org_id, .asset = balance->asset,
			.position = (int64_t)event->header.number),
		&entry);
	if (err || !entry)
		return err;
	if (entry->made_at == FIELD_ABSENT) {
		entry->made_at = event->header.time_us;
		entry->event = event_type_name(event->header.type);
		entry->command_id = event->header.command;
		entry_about(event, entry);
	}
	if (!id_equal(counterparty, balance->org_id))
		entry->counterparty_id = counterparty;
	view_add(&(&entry->change.held)[state], amount);
	entry->amounts = balance->amounts;
	return ERR_OK;
}

enum err view_account_add(struct projector *projector, struct id org, const char *asset, enum kg_state state,
	int64_t amount, struct id counterparty)
{
	struct balance_row *balance = NULL;
	struct id account = id_is_none(org) ? ledger_outside : org;
	struct id other = id_is_none(counterparty) ? ledger_outside : counterparty;
	if (!asset)
		return ERR_NO_MEMORY;
	enum err err =
		view_row(projector, SHEET_BALANCES, KEYED(balance_row, .org_id = account, .asset = asset), &balance);
	if (err || !balance)
		return err;
	int64_t *amounts = &balance->amounts.held;
	for (int i = 0; i < KG_STATE_COUNT; i++)
		if (amounts[i] == FIELD_ABSENT)
			amounts[i] = 0;
	amounts[state] += amount;
	return entry_add(projector, balance, state, amount, other);
}

enum err view_pay(struct projector *projector, const char *currency, int64_t amount_micros, struct ledger_place from,
	struct ledger_place to)
{
	if (amount_micros == 0)
		return ERR_OK;
	if (amount_micros < 0)
		return view_pay(projector, currency, -amount_micros, to, from);
	enum err err = view_account_add(projector, from.org, currency, from.state, -amount_micros, to.org);
	return err ? err : view_account_add(projector, to.org, currency, to.state, amount_micros, from.org);
}

const char *view_batch_asset(struct projector *projector, uint64_t batch)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)batch);
	return view_text(projector, text);
}

const char *view_shares_asset(struct projector *projector, uint64_t pool)
{
	char text[28];
	snprintf(text, sizeof text, "pool-%llu", (unsigned long long)pool);
	return view_text(projector, text);
}

/* ---- money in and out ---- */

enum err view_on_house_named(struct projector *projector, const struct event *event)
{
	struct house_row *row = NULL;
	enum err err = view_row(projector, SHEET_HOUSES, KEYED(house_row, .org_id = event->house_named.org), &row);
	if (!err && row)
		row->named_at = event->header.time_us;
	return err;
}

enum err view_on_money_deposited(struct projector *projector, const struct event *event)
{
	const struct event_money_deposited *said = &event->money_deposited;
	return view_pay(projector, currency_text(projector, said->currency), said->amount_micros,
		view_place((struct id){0}, KG_HELD), view_place(said->to, KG_HELD));
}

enum err view_on_money_withdrawn(struct projector *projector, const struct event *event)
{
	const struct event_money_withdrawn *said = &event->money_withdrawn;
	return view_pay(projector, currency_text(projector, said->currency), said->amount_micros,
		view_place(said->from, KG_HELD), view_place((struct id){0}, KG_HELD));
}

/* ---- transfers of money ---- */

struct transfer_said {
	struct id id, from, to;
	struct code8 currency;
	int64_t amount_micros, expires_us;
	uint64_t user_data;
	uint32_t code;
	enum transfer_state state;
};

static enum err money_transfer_put(
	struct projector *projector, const struct event *event, const struct transfer_said *said)
{
	struct money_transfer_row *row = NULL;
	enum err err = view_row(projector, SHEET_MONEY_TRANSFERS, KEYED(money_transfer_row, .id = said->id), &row);
	if (err || !row)
		return err;
	row->org_id = said->from;
	row->to_org_id = said->to;
	row->currency = currency_text(projector, said->currency);
	row->amount = said->amount_micros;
	row->paid = said->state == TRANSFER_MADE ? said->amount_micros : FIELD_ABSENT;
	row->state = (int)said->state;
	row->expires_at = said->expires_us ? said->expires_us : FIELD_ABSENT;
	row->code = or_absent(said->code);
	row->user_data = or_absent(said->user_data);
	if (!id_equal(said->id, event->header.command))
		row->set_id = event->header.command;
	row->made_at = event->header.time_us;
	return row->currency ? view_actor(projector, event, &row->made_by) : ERR_NO_MEMORY;
}

enum err view_on_money_paid(struct projector *projector, const struct event *event)
{
	const struct event_money_paid *is = &event->money_paid;
	const struct transfer_said said = {.id = is->transfer,
		.from = is->from,
		.to = is->to,
		.currency = is->currency,
		.amount_micros = is->amount_micros,
		.user_data = is->user_data,
		.code = is->code,
		.state = TRANSFER_MADE};
	enum err err = money_transfer_put(projector, event, &said);
	return err ? err
		   : view_pay(projector, currency_text(projector, is->currency), is->amount_micros,
			     view_place(is->from, KG_HELD), view_place(is->to, KG_HELD));
}

enum err view_on_money_reserved(struct projector *projector, const struct event *event)
{
	const struct event_money_reserved *is = &event->money_reserved;
	const struct transfer_said said = {.id = is->transfer,
		.from = is->from,
		.to = is->to,
		.currency = is->currency,
		.amount_micros = is->amount_micros,
		.expires_us = is->expires_us,
		.user_data = is->user_data,
		.code = is->code,
		.state = TRANSFER_PENDING};
	enum err err = money_transfer_put(projector, event, &said);
	return err ? err
		   : view_pay(projector, currency_text(projector, is->currency), is->amount_micros,
			     view_place(is->from, KG_HELD), view_place(is->from, KG_RESERVED));
}

static enum err money_transfer_end(struct projector *projector, const struct event *event, struct id transfer,
	enum transfer_state state, int64_t paid_micros)
{
	struct money_transfer_row *row = NULL;
	enum err err = view_row(projector, SHEET_MONEY_TRANSFERS, KEYED(money_transfer_row, .id = transfer), &row);
	if (err || !row)
		return err;
	row->state = (int)state;
	row->paid = paid_micros;
	row->ended_at = event->header.time_us;
	return ERR_OK;
}

enum err view_on_money_posted(struct projector *projector, const struct event *event)
{
	const struct event_money_posted *is = &event->money_posted;
	const char *currency = currency_text(projector, is->currency);
	enum err err = money_transfer_end(projector, event, is->transfer, TRANSFER_POSTED, is->amount_micros);
	if (!err)
		err = view_pay(projector, currency, is->amount_micros, view_place(is->from, KG_RESERVED),
			view_place(is->to, KG_HELD));
	return err ? err
		   : view_pay(projector, currency, is->freed_micros, view_place(is->from, KG_RESERVED),
			     view_place(is->from, KG_HELD));
}

enum err view_on_money_voided(struct projector *projector, const struct event *event)
{
	const struct event_money_voided *is = &event->money_voided;
	enum err err =
		money_transfer_end(projector, event, is->transfer, is->expired ? TRANSFER_EXPIRED : TRANSFER_VOIDED, 0);
	return err ? err
		   : view_pay(projector, currency_text(projector, is->currency), is->amount_micros,
			     view_place(is->from, KG_RESERVED), view_place(is->from, KG_HELD));
}

/* ---- transfers of kilograms ---- */

struct id view_transfer_id(const struct event *event)
{
	struct id id = event->transferred.transfer;
	return id_is_none(id) ? event->header.command : id; /* of the record's first version */
}

static enum err kg_transfer_end(struct projector *projector, const struct event *event, struct id transfer,
	enum transfer_state state, int64_t given_kg)
{
	struct transfer_row *row = NULL;
	enum err err = view_row(projector, SHEET_TRANSFERS, KEYED(transfer_row, .id = transfer), &row);
	if (err || !row)
		return err;
	row->state = (int)state;
	row->given_kg = given_kg;
	row->ended_at = event->header.time_us;
	return ERR_OK;
}

enum err view_on_kg_reserved(struct projector *projector, const struct event *event)
{
	const struct event_kg_reserved *said = &event->kg_reserved;
	struct transfer_row *row = NULL;
	enum err err = view_row(projector, SHEET_TRANSFERS, KEYED(transfer_row, .id = said->transfer), &row);
	if (!err && row) {
		row->org_id = said->from;
		row->to_org_id = said->to;
		row->kg = said->kg;
		row->state = TRANSFER_PENDING;
		row->expires_at = said->expires_us ? said->expires_us : FIELD_ABSENT;
		row->code = or_absent(said->code);
		row->user_data = or_absent(said->user_data);
		if (!id_equal(said->transfer, event->header.command))
			row->set_id = event->header.command;
		row->made_at = event->header.time_us;
		err = view_range_items(projector, &event->lists, &row->ranges);
		if (!err)
			err = view_actor(projector, event, &row->made_by);
	}
	return err ? err
		   : view_ranges_move(projector, event, view_place(said->from, KG_HELD),
			     view_place(said->from, KG_RESERVED), (struct id){0});
}

enum err view_on_kg_posted(struct projector *projector, const struct event *event)
{
	const struct event_kg_posted *said = &event->kg_posted;
	struct ledger_place reserved = view_place(said->from, KG_RESERVED);
	enum err err = kg_transfer_end(projector, event, said->transfer, TRANSFER_POSTED, said->kg);
	int64_t left = said->kg;
	for (size_t i = 0; i < event->lists.range_count && !err; i++) {
		struct serial_range given = event->lists.ranges[i], kept = given;
		given.length = given.length < left ? given.length : left;
		kept.start += given.length;
		kept.length -= given.length;
		left -= given.length;
		if (given.length)
			err = view_range_move(
				projector, &given, reserved, view_place(said->to, KG_HELD), (struct id){0});
		if (!err && kept.length)
			err = view_range_move(
				projector, &kept, reserved, view_place(said->from, KG_HELD), (struct id){0});
	}
	return err;
}

enum err view_on_kg_voided(struct projector *projector, const struct event *event)
{
	const struct event_kg_voided *said = &event->kg_voided;
	enum err err = kg_transfer_end(
		projector, event, said->transfer, said->expired ? TRANSFER_EXPIRED : TRANSFER_VOIDED, 0);
	return err ? err
		   : view_ranges_move(projector, event, view_place(said->from, KG_RESERVED),
			     view_place(said->from, KG_HELD), (struct id){0});
}

/* ---- limits, closed accounts ---- */

static void limit_set(
	int64_t *ret_lowest, int64_t *ret_reserved, int64_t *ret_daily, const struct event_account_limited *said)
{
	*ret_lowest = said->lowest_micros > 0 ? said->lowest_micros : FIELD_ABSENT;
	*ret_reserved = said->reserved_micros >= 0 ? said->reserved_micros : FIELD_ABSENT;
	*ret_daily = said->daily_micros >= 0 ? said->daily_micros : FIELD_ABSENT;
}

enum err view_on_account_limited(struct projector *projector, const struct event *event)
{
	const struct event_account_limited *said = &event->account_limited;
	struct account_limit_row *row = NULL;
	const char *currency = currency_text(projector, said->currency);
	enum err err = currency ? view_row(projector, SHEET_ACCOUNT_LIMITS,
					  KEYED(account_limit_row, .org_id = said->org, .currency = currency), &row)
				: ERR_NO_MEMORY;
	if (err || !row)
		return err;
	if (said->by_registry)
		limit_set(&row->registry_lowest, &row->registry_reserved, &row->registry_daily, said);
	else
		limit_set(&row->own_lowest, &row->own_reserved, &row->own_daily, said);
	return ERR_OK;
}

enum err view_on_account_closed(struct projector *projector, const struct event *event)
{
	struct account_row *row = NULL;
	enum err err =
		view_row(projector, SHEET_ACCOUNTS, KEYED(account_row, .org_id = event->account_closed.org), &row);
	if (err || !row)
		return err;
	row->closed_at = event->header.time_us;
	view_add(&row->debt_kg, 0);
	return ERR_OK;
}

/* ---- conversion ---- */

static const char *rate_text(struct projector *projector, int64_t rate_nanos)
{
	char text[DECIMAL_TEXT_SIZE];
	return view_text(projector, decimal_text((struct decimal){.mantissa = rate_nanos, .scale = 9}, text));
}

enum err view_on_rate_offered(struct projector *projector, const struct event *event)
{
	const struct event_rate_offered *said = &event->rate_offered;
	struct rate_row *row = NULL;
	char source[33];
	const char *from = currency_text(projector, said->from), *to = currency_text(projector, said->to);
	enum err err = from && to ? view_row(projector, SHEET_RATES,
					    KEYED(rate_row, .provider_id = said->provider, .from_currency = from,
						    .to_currency = to),
					    &row)
				  : ERR_NO_MEMORY;
	if (err || !row)
		return err;
	row->rate = rate_text(projector, said->rate_nanos);
	row->source = said->source.text[0] ? view_text(projector, code32_text(said->source, source)) : NULL;
	row->quoted_at = said->quoted_us ? said->quoted_us : FIELD_ABSENT;
	row->expires_at = said->expires_us ? said->expires_us : FIELD_ABSENT;
	return row->rate ? ERR_OK : ERR_NO_MEMORY;
}

static enum err conversion_put(struct projector *projector, const struct event *event)
{
	const struct event_money_converted *said = &event->money_converted;
	struct conversion_row *row = NULL;
	char source[33];
	enum err err = view_row(projector, SHEET_CONVERSIONS, KEYED(conversion_row, .id = said->transfer), &row);
	if (err || !row)
		return err;
	row->org_id = said->org;
	row->provider_id = said->provider;
	row->from_currency = currency_text(projector, said->from);
	row->to_currency = currency_text(projector, said->to);
	row->amount = said->amount_micros;
	row->bought = said->bought_micros;
	row->remainder = said->remainder_micros;
	row->rate = rate_text(projector, said->rate_nanos);
	row->source = view_text(projector, code32_text(said->source, source));
	row->quoted_at = said->quoted_us;
	row->made_at = event->header.time_us;
	return row->from_currency && row->to_currency && row->rate && row->source
		       ? view_actor(projector, event, &row->made_by)
		       : ERR_NO_MEMORY;
}

enum err view_on_money_converted(struct projector *projector, const struct event *event)
{
	const struct event_money_converted *said = &event->money_converted;
	struct ledger_place org = view_place(said->org, KG_HELD), provider = view_place(said->provider, KG_HELD);
	const char *to = currency_text(projector, said->to);
	enum err err = conversion_put(projector, event);
	if (!err)
		err = view_pay(projector, currency_text(projector, said->from), said->amount_micros, org, provider);
	if (!err)
		err = view_pay(projector, to, said->bought_micros, provider, org);
	return err || id_equal(said->provider, said->house)
		       ? err
		       : view_pay(projector, to, said->remainder_micros, provider, view_place(said->house, KG_HELD));
}

/* ---- to other shards and back: what is away lies in the account of the shard where it is ---- */

static enum err shard_move(struct projector *projector, const struct event *event, struct code8 currency,
	int64_t amount_micros, struct ledger_place from, struct ledger_place to)
{
	return currency.text[0] ? view_pay(projector, currency_text(projector, currency), amount_micros, from, to)
				: view_ranges_move(projector, event, from, to, (struct id){0});
}

enum err view_on_shard_sent(struct projector *projector, const struct event *event)
{
	const struct event_shard_sent *said = &event->shard_sent;
	return shard_move(projector, event, said->currency, said->amount_micros, view_place(said->org, KG_HELD),
		view_place(market_account(MARKET_ACCOUNT_SHARD, said->to_shard), KG_TRANSIT));
}

enum err view_on_shard_received(struct projector *projector, const struct event *event)
{
	const struct event_shard_received *said = &event->shard_received;
	return shard_move(projector, event, said->currency, said->amount_micros,
		view_place(market_account(MARKET_ACCOUNT_SHARD, said->from_shard), KG_TRANSIT),
		view_place(said->org, KG_HELD));
}
