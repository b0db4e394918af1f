/* Decides what crosses from one shard to another: out, transit, in, once by the transfer's id; what the carrier submits, and what the
 * shards together hold (the tables in docs/SHARDS.md). The state's thread; rules_carried on any. */
#include "state.h"

#include <assert.h>
#include <string.h>

#include "carbond/base/decimal.h"

#define REFUSE(info, code, pointer, ...) err_set((info), (code), (pointer), __VA_ARGS__)

/* ---- the carrier ---- */

/* The natural key of what is carried: by the sender's shard and what names it there. */
static struct hash carried_key(enum command_kind kind, uint32_t from_shard, const void *name, size_t size)
{
	uint8_t bytes[4 + sizeof(struct id)];
	assert(size <= sizeof(struct id));
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(from_shard >> (24 - 8 * i));
	memcpy(bytes + 4, name, size);
	return command_natural_key(COMMAND_SOURCE_TRANSFER, kind, bytes, 4 + size);
}

struct hash carried_position_key(enum command_kind kind, uint64_t position)
{
	uint8_t bytes[8];
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(position >> (56 - 8 * i));
	return carried_key(kind, 0, bytes, sizeof bytes);
}

static void sent_carry(const struct event *event, struct command *ret_command)
{
	const struct event_shard_sent *said = &event->shard_sent;
	*ret_command = (struct command){.kind = COMMAND_SHARD_IN,
		.source = COMMAND_SOURCE_TRANSFER,
		.id = said->transfer,
		.org = said->org,
		.natural_key = carried_key(COMMAND_SHARD_IN, said->from_shard, &said->transfer, sizeof said->transfer),
		.shard_in = {.transfer = said->transfer,
			.org = said->org,
			.from_shard = said->from_shard,
			.position = event->header.number,
			.currency = said->currency,
			.amount_micros = said->amount_micros,
			.batch = said->batch,
			.kg = said->kg,
			.kind = said->kind,
			.durability = said->durability,
			.vintage = said->vintage,
			.holds = said->holds,
			.country = said->country,
			.methodology = said->methodology,
			.operator_org = said->operator_org,
			.project = said->project,
			.unit = said->unit},
		.lists = event->lists};
}

bool rules_carried(uint32_t from_shard, const struct event *event, uint32_t to_shard, struct command *ret_command)
{
	const struct event_shard_opened *opened = &event->shard_opened;
	const struct event_shard_told *told = &event->shard_told;
	switch (event->header.type) {
	case EVENT_SHARD_SENT:
		if (event->shard_sent.to_shard != to_shard)
			return false;
		sent_carry(event, ret_command);
		return true;
	case EVENT_SHARD_OPENED:
		if (from_shard || opened->shard != to_shard)
			return false;
		*ret_command = (struct command){.kind = COMMAND_SHARD_OPEN,
			.source = COMMAND_SOURCE_TRANSFER,
			.natural_key = carried_position_key(COMMAND_SHARD_OPEN, opened->shard),
			.shard_open = {.shard = opened->shard, .kind = opened->kind, .currency = opened->currency}};
		return true;
	case EVENT_SHARD_TOLD:
		if (from_shard || !to_shard)
			return false;
		*ret_command = (struct command){.kind = COMMAND_SHARD_LEARN,
			.source = COMMAND_SOURCE_TRANSFER,
			.natural_key = carried_position_key(COMMAND_SHARD_LEARN, event->header.number),
			.shard_learn = {.subject = told->subject,
				.holds = told->holds,
				.batch = told->batch,
				.org = told->org,
				.position = event->header.number}};
		return true;
	default: return false;
	}
}

/* ---- deciding ---- */

/* The serials that go: those that are named, or the lowest of the batch. */
static enum err serials_select(const struct rules *rules, const struct decision *call,
	struct serial_range ret_ranges[EVENTS_RANGES_MAX], struct event *sent, struct err_info *info)
{
	const struct command *command = call->command;
	const struct command_shard_out *asked = &command->shard_out;
	const struct record_lists *lists = &command->lists;
	struct ledger_place held = {.org = command->org, .state = KG_HELD};
	int64_t kg = asked->kg;
	size_t count = lists->range_count;
	enum err err = ERR_OK;
	if (count > EVENTS_RANGES_MAX)
		return REFUSE(
			info, ERR_COMMAND_TOO_LARGE, "/ranges", "a command names at most %d ranges", EVENTS_RANGES_MAX);
	if (count ? asked->batch || kg : !asked->batch || kg < 1)
		return REFUSE(info, ERR_INVALID_FIELD, "/ranges", "name ranges, or a batch and kg");
	for (size_t i = 0; i < count; i++) {
		ret_ranges[i] = lists->ranges[i];
		if (ret_ranges[i].batch != ret_ranges[0].batch || ret_ranges[i].length < 1 ||
			!add_checked(kg, ret_ranges[i].length, &kg))
			return REFUSE(info, ERR_INVALID_FIELD, "/ranges", "ranges of one batch have kilograms");
	}
	sent->shard_sent.batch = count ? ret_ranges[0].batch : asked->batch;
	sent->shard_sent.kg = kg;
	if (count == 0)
		err = ledger_pick(rules->ledger, asked->batch, held, kg, ret_ranges, EVENTS_RANGES_MAX, &count);
	sent->lists = (struct record_lists){.ranges = ret_ranges, .range_count = count};
	return err ? REFUSE(info, err, "/kg", "the organisation does not hold so much, or in too many ranges") : ERR_OK;
}

/* What leaves home is of the other shard's kind, moves freely, and takes along what is to be known of it. */
static enum err batch_describe(const struct rules *rules, const struct event_state_shard *row, struct event *sent,
	struct verifier_set *ret_verifiers, struct err_info *info)
{
	struct event_shard_sent *said = &sent->shard_sent;
	struct registry_attributes batch;
	enum err err = registry_movable(rules->registry, said->org, said->batch, info);
	if (err)
		return err;
	if (!registry_attributes(rules->registry, said->batch, &batch) || (uint32_t)batch.kind != row->kind)
		return REFUSE(info, ERR_SHARD_MARKET, "/batch", "shard %u takes credits of another kind", row->shard);
	said->kind = (uint32_t)batch.kind;
	said->durability = (uint32_t)batch.durability;
	said->vintage = batch.vintage;
	said->holds = registry_batch_holds(rules->registry, said->batch);
	said->country = batch.country;
	said->methodology = batch.methodology;
	said->operator_org = batch.org;
	said->project = batch.project;
	said->unit = batch.unit;
	*ret_verifiers = batch.verifiers;
	sent->lists.verifiers = ret_verifiers->orgs;
	sent->lists.verifier_count = ret_verifiers->count;
	return ERR_OK;
}

static enum err money_out(
	const struct rules *rules, const struct event_state_shard *row, const struct event *sent, struct err_info *info)
{
	const struct event_shard_sent *said = &sent->shard_sent;
	if (!ledger_money_asset(said->currency))
		return REFUSE(info, ERR_CURRENCY_INVALID, "/currency",
			"/currency must be 1 to 7 of A-Z and 0-9, first a letter");
	if (said->amount_micros < 1 || said->amount_micros > LEDGER_MICROS_MAX)
		return REFUSE(
			info, ERR_AMOUNT_INVALID, "/amount", "/amount must be more than 0, at most 1000000000000");
	if (!shards_row_is(row, row->kind, said->currency))
		return REFUSE(info, ERR_SHARD_MARKET, "/currency", "shard %u has another currency", row->shard);
	return ledger_may_leave(rules->ledger, said->org, said->currency, said->amount_micros, false, info);
}

enum err shards_out(struct rules *rules, struct decision *call, struct err_info *info)
{
	const struct shards *shards = &rules->shards;
	const struct command *command = call->command;
	const struct command_shard_out *asked = &command->shard_out;
	const struct event_state_shard *row = shards->own ? &shards->rows[0] : shards_row(shards, asked->shard);
	bool is_money = asked->currency.text[0] != 0;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	struct verifier_set verifiers;
	struct event event = {.shard_sent = {.transfer = command->id,
				      .org = command->org,
				      .from_shard = shards->own,
				      .to_shard = asked->shard,
				      .currency = asked->currency,
				      .amount_micros = asked->amount_micros}};
	if (id_is_none(command->org))
		return REFUSE(info, ERR_FORBIDDEN, "", "only an organisation has something to send");
	if (!row || (shards->own && asked->shard))
		return REFUSE(info, ERR_SHARD_UNKNOWN, "/shard", "there is no shard %u to send to", asked->shard);
	if (is_money ? asked->batch || asked->kg || command->lists.range_count : asked->amount_micros != 0)
		return REFUSE(info, ERR_INVALID_FIELD, "", "name money or kilograms, not both");
	if (!shards->own && registry_account_held(rules->registry, command->org))
		return REFUSE(info, ERR_ACCOUNT_HELD, "", "the organisation's account is held");
	enum err err =
		is_money ? money_out(rules, row, &event, info) : serials_select(rules, call, ranges, &event, info);
	if (!err && !is_money && !shards->own)
		err = batch_describe(rules, row, &event, &verifiers, info);
	if (!err)
		err = decision_emit(call, EVENT_SHARD_SENT, &event, info);
	return err == ERR_OVERFLOW ? REFUSE(info, ERR_MONEY_OVERFLOW, "/amount", "that is more than can be counted")
				   : err;
}

enum err shards_in(struct rules *rules, struct decision *call, struct err_info *info)
{
	const struct shards *shards = &rules->shards;
	const struct command_shard_in *asked = &call->command->shard_in;
	struct hash key = carried_key(COMMAND_SHARD_IN, asked->from_shard, &asked->transfer, sizeof asked->transfer);
	if (!hash_equal(key, call->command->natural_key) || id_is_none(asked->org))
		return REFUSE(info, ERR_INVALID_FIELD, "", "a transfer's key is made of its sender and its id");
	if (shards->own ? asked->from_shard != 0 : !shards_row(shards, asked->from_shard))
		return REFUSE(info, ERR_SHARD_UNKNOWN, "", "nothing comes from shard %u", asked->from_shard);
	struct event event = {.shard_received = {.transfer = asked->transfer,
				      .org = asked->org,
				      .from_shard = asked->from_shard,
				      .to_shard = shards->own,
				      .position = asked->position,
				      .currency = asked->currency,
				      .amount_micros = asked->amount_micros,
				      .batch = asked->batch,
				      .kg = asked->kg,
				      .kind = asked->kind,
				      .durability = asked->durability,
				      .vintage = asked->vintage,
				      .holds = asked->holds,
				      .country = asked->country,
				      .methodology = asked->methodology,
				      .operator_org = asked->operator_org,
				      .project = asked->project,
				      .unit = asked->unit},
		.lists = call->command->lists};
	enum err err = decision_emit(call, EVENT_SHARD_RECEIVED, &event, info);
	return err == ERR_INSUFFICIENT_FUNDS || err == ERR_INSUFFICIENT_KG || err == ERR_JOURNAL_INVALID
		       ? REFUSE(info, ERR_SHARD_UNBALANCED, "", "shard %u has sent what it cannot have",
				 asked->from_shard)
		       : err;
}

/* ---- making events true ---- */

/* One leg of a transfer, out or in. */
struct crossing {
	struct id org;
	uint32_t other; /* shard */
	struct code8 currency;
	int64_t amount_micros, kg;
	uint64_t batch;
	const struct record_lists *lists;
	bool in;
};

static bool crossing_fits(const struct crossing *is)
{
	bool is_money = is->currency.text[0] != 0;
	if (id_is_none(is->org))
		return false;
	if (is_money)
		return ledger_money_asset(is->currency) && is->amount_micros > 0 && !is->kg && !is->batch &&
		       !is->lists->range_count;
	for (size_t i = 0; i < is->lists->range_count; i++)
		if (is->lists->ranges[i].batch != is->batch)
			return false;
	return is->batch && !is->amount_micros && is->lists->range_count > 0;
}

/* At home what is away lies in the other shard's account; in a market shard it is outside. */
static enum err cross(struct rules *rules, struct undo *undo, const struct crossing *is, struct err_info *info)
{
	struct ledger_place held = {.org = is->org, .state = KG_HELD}, away = {.state = KG_TRANSIT};
	bool is_home = !rules->shards.own;
	if (!crossing_fits(is) || (is_home ? !shards_row(&rules->shards, is->other) : is->other != 0))
		return journal_invalid(info, "what crosses is not of one kind, or no shard's");
	if (is_home)
		away.org = market_account(MARKET_ACCOUNT_SHARD, is->other);
	if (is->currency.text[0])
		return ledger_pay(rules->ledger, undo, ledger_money_asset(is->currency), is->amount_micros,
			is->in ? away : held, is->in ? held : away);
	if (is_home)
		return ledger_move_all(
			rules->ledger, undo, is->lists, is->kg, is->in ? away : held, is->in ? held : away, info);
	return is->in ? ledger_come(rules->ledger, undo, is->lists, is->kg, held, info)
		      : ledger_go(rules->ledger, undo, is->lists, is->kg, held, info);
}

enum err shards_sent_make(struct rules *rules, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_shard_sent *said = &event->shard_sent;
	struct crossing crossing = {.org = said->org,
		.other = said->to_shard,
		.currency = said->currency,
		.amount_micros = said->amount_micros,
		.kg = said->kg,
		.batch = said->batch,
		.lists = &event->lists};
	enum err err = said->from_shard == rules->shards.own ? cross(rules, undo, &crossing, info)
							     : journal_invalid(info, "another shard's event");
	if (!err && !rules->shards.own)
		shards_member_add(&rules->shards, undo, said->org);
	return err;
}

enum err shards_received_make(struct rules *rules, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_shard_received *said = &event->shard_received;
	struct crossing crossing = {.org = said->org,
		.other = said->from_shard,
		.currency = said->currency,
		.amount_micros = said->amount_micros,
		.kg = said->kg,
		.batch = said->batch,
		.lists = &event->lists,
		.in = true};
	enum err err = said->to_shard == rules->shards.own ? cross(rules, undo, &crossing, info)
							   : journal_invalid(info, "another shard's event");
	if (!err && rules->shards.own && said->batch)
		shards_meet(&rules->shards, undo, event);
	return err;
}

/* ---- over the shards ---- */

struct comparing {
	const struct rules *home;
	struct ledger_place away; /* at home: the market shard's account */
	int64_t home_kg;
	bool differs;
};

static enum err home_add(void *context, const struct ledger_entry *entry)
{
	struct comparing *comparing = context;
	bool is_away = id_equal(entry->place.org, comparing->away.org) && entry->place.state == KG_TRANSIT;
	if (is_away && !(entry->asset & LEDGER_MONEY))
		comparing->home_kg += entry->amount;
	return ERR_OK;
}

static enum err market_compare(void *context, const struct ledger_entry *entry)
{
	struct comparing *comparing = context;
	for (size_t i = 0; i < entry->range_count; i++)
		comparing->differs = comparing->differs ||
				     !ledger_holds(comparing->home->ledger, &entry->ranges[i], comparing->away);
	return ERR_OK;
}

enum err rules_shards_check(const struct rules *home, const struct rules *market, struct rules_under_way *ret_under_way,
	struct err_info *info)
{
	uint32_t shard = market->shards.own;
	const struct event_state_shard *row = shards_row(&home->shards, shard);
	struct ledger_place outside = {.state = KG_TRANSIT};
	struct comparing comparing = {
		.home = home, .away = {.org = market_account(MARKET_ACCOUNT_SHARD, shard), .state = KG_TRANSIT}};
	*ret_under_way = (struct rules_under_way){0};
	if (!row) /* it is not open, so nothing may be in it */
		return ledger_issued_kg(market->ledger, 0) == 0
			       ? ERR_OK
			       : err_set(info, ERR_JOURNAL_INVALID, "", "shard %u is not open", shard);
	enum err err = ledger_each(home->ledger, home_add, &comparing);
	if (!err)
		err = ledger_each(market->ledger, market_compare, &comparing);
	if (err)
		return err;
	uint64_t asset = ledger_money_asset(row->currency);
	ret_under_way->micros =
		ledger_amount(home->ledger, asset, comparing.away) + ledger_amount(market->ledger, asset, outside);
	ret_under_way->kg = comparing.home_kg - ledger_issued_kg(market->ledger, 0);
	return comparing.differs || ret_under_way->micros < 0 || ret_under_way->kg < 0
		       ? err_set(info, ERR_JOURNAL_INVALID, "", "P1/P2/P3: shard %u has what was not sent to it", shard)
		       : ERR_OK;
}
