/* Decides what a conversion gives: an organisation offers a rate for its own liquidity account, another takes it; the amount is
 * rounded down, the account pays it rounded up, and the remainder goes to the house (the table in docs/LEDGER.md). The state's
 * thread. */
#include "money.h"

#include <assert.h>
#include <string.h>

#include "carbond/base/decimal.h"

#define NANOS         INT64_C(1000000000)
#define RATE_MAX      INT64_C(1000000000000000000) /* a thousand million for one */
#define QUOTE_SKEW_US INT64_C(60000000)            /* a quote's clock may be so much ahead of ours */

/* ---- offers ---- */

struct rate_key {
	struct id provider;
	struct code8 from, to;
};

static bool rate_equal(const void *context, uint32_t item, const void *key)
{
	const struct event_rate_offered *rate = &((const struct money *)context)->rates[item];
	const struct rate_key *wanted = key;
	return id_equal(rate->provider, wanted->provider) &&
	       memcmp(&rate->from, &wanted->from, sizeof rate->from) == 0 &&
	       memcmp(&rate->to, &wanted->to, sizeof rate->to) == 0;
}

static uint32_t rate_find(
	const struct money *money, struct id provider, struct code8 from, struct code8 to, uint64_t *ret_hash)
{
	struct rate_key key = {.provider = provider, .from = from, .to = to};
	uint64_t hash = map_hash_bytes(money->seed, &key, sizeof key);
	if (ret_hash)
		*ret_hash = hash;
	return map_find(&money->rate_map, hash, rate_equal, money, &key);
}

static enum err pair_check(struct code8 from, struct code8 to, struct err_info *info)
{
	if (!ledger_money_asset(from))
		return err_set(
			info, ERR_CURRENCY_INVALID, "/from", "/from must be 1 to 7 of A-Z and 0-9, first a letter");
	if (!ledger_money_asset(to) || ledger_money_asset(from) == ledger_money_asset(to))
		return err_set(info, ERR_CURRENCY_INVALID, "/to",
			"/to must be another currency, 1 to 7 of A-Z and 0-9, first a letter");
	return ERR_OK;
}

enum err decide_rate_offer(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command_rate_offer *asked = &call->command->rate_offer;
	if (id_is_none(call->command->org))
		return err_set(info, ERR_FORBIDDEN, "", "only an organisation has money");
	enum err err = pair_check(asked->from, asked->to, info);
	if (err)
		return err;
	if (asked->rate_nanos < 0 || asked->rate_nanos > RATE_MAX)
		return err_set(info, ERR_RATE_INVALID, "/rate", "/rate must be 0..1000000000");
	if (asked->rate_nanos && !asked->source.text[0])
		return err_set(info, ERR_RATE_INVALID, "/source", "a rate names its source");
	if (asked->rate_nanos && (asked->quoted_us <= 0 || asked->quoted_us > call->now_us + QUOTE_SKEW_US))
		return err_set(info, ERR_RATE_INVALID, "/quoted_at", "a rate was quoted in the past");
	if (asked->rate_nanos && asked->expires_us <= call->now_us)
		return err_set(info, ERR_EXPIRY_INVALID, "/expires_at", "an offer ends in the future");
	if (!asked->rate_nanos &&
		rate_find(ledger_money_read(ledger), call->command->org, asked->from, asked->to, NULL) == MAP_NONE)
		return err_set(info, ERR_NO_RATE, "/rate", "there is no offer to end");
	struct event event = {.rate_offered = {.provider = call->command->org,
				      .from = asked->from,
				      .to = asked->to,
				      .rate_nanos = asked->rate_nanos,
				      .source = asked->source,
				      .quoted_us = asked->quoted_us,
				      .expires_us = asked->expires_us}};
	return decision_emit(call, EVENT_RATE_OFFERED, &event, info);
}

static void rate_revert(void *owner, const void *payload)
{
	struct money *money = owner;
	struct event_rate_offered back;
	memcpy(&back, payload, sizeof back);
	money->rates[rate_find(money, back.provider, back.from, back.to, NULL)] = back;
}

static void rate_forget(void *owner, const void *payload)
{
	(void)payload;
	struct money *money = owner;
	uint64_t hash;
	const struct event_rate_offered *last = &money->rates[money->rate_count - 1];
	uint32_t item = rate_find(money, last->provider, last->from, last->to, &hash);
	map_remove(&money->rate_map, hash, item);
	money->rate_count--;
}

enum err offered_make(struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info)
{
	struct money *money = ledger_money(ledger);
	const struct event_rate_offered *said = &event->rate_offered;
	struct err_info ignored;
	if (id_is_none(said->provider) || pair_check(said->from, said->to, &ignored) || said->rate_nanos < 0 ||
		said->rate_nanos > RATE_MAX)
		return journal_invalid(info, "an offer of nobody, or of no rate");
	uint64_t hash;
	uint32_t item = rate_find(money, said->provider, said->from, said->to, &hash);
	if (item != MAP_NONE) {
		undo_push(undo, rate_revert, money, &money->rates[item], sizeof money->rates[item]);
		money->rates[item] = *said;
		return ERR_OK;
	}
	assert(money->rate_count < money->rate_capacity);
	map_put(&money->rate_map, hash, money->rate_count);
	money->rates[money->rate_count++] = *said;
	undo_push(undo, rate_forget, money, NULL, 0);
	return ERR_OK;
}

/* ---- conversions ---- */

/* What the rate makes of an amount, rounded down; true with the remainder of rounding: 0 or 1. */
static bool convert(int64_t amount_micros, int64_t rate_nanos, int64_t *ret_bought, int64_t *ret_remainder)
{
	int64_t up;
	if (!muldiv_floor(amount_micros, rate_nanos, NANOS, ret_bought) ||
		!muldiv_ceil(amount_micros, rate_nanos, NANOS, &up))
		return false;
	*ret_remainder = up - *ret_bought;
	return true;
}

static enum err conversion_check(struct ledger *ledger, const struct decision *call,
	const struct event_money_converted *is, struct err_info *info)
{
	const struct command_money_convert *asked = &call->command->money_convert;
	struct outflow flow = {.org = is->org,
		.currency = is->from,
		.amount_micros = is->amount_micros,
		.counts = true,
		.now_us = call->now_us};
	struct outflow liquidity = {.org = is->provider,
		.currency = is->to,
		.amount_micros = is->bought_micros + is->remainder_micros,
		.counts = true,
		.now_us = call->now_us};
	if (is->bought_micros < 1)
		return err_set(info, ERR_AMOUNT_INVALID, "/amount", "/amount is worth less than a millionth");
	if (is->bought_micros < asked->least_micros)
		return err_set(
			info, ERR_RATE_CHANGED, "/least", "it would give %lld micros", (long long)is->bought_micros);
	enum err err = outflow_check(ledger, &flow, info);
	if (!err && outflow_check(ledger, &liquidity, info))
		err = err_set(info, ERR_LIQUIDITY_SHORT, "/amount", "the liquidity account cannot give so much now");
	if (!err)
		err = open_check(ledger, is->org, "", info);
	return err ? err : open_check(ledger, is->provider, "/provider_id", info);
}

enum err decide_money_convert(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command *command = call->command;
	const struct command_money_convert *asked = &command->money_convert;
	const struct money *money = ledger_money_read(ledger);
	if (id_is_none(command->org))
		return err_set(info, ERR_FORBIDDEN, "", "only an organisation has money");
	if (id_is_none(asked->provider) || id_equal(asked->provider, command->org))
		return err_set(info, ERR_PAYEE_INVALID, "/provider_id", "/provider_id must be another organisation");
	enum err err = pair_check(asked->from, asked->to, info);
	if (!err)
		err = amount_check(asked->from, asked->amount_micros, info);
	if (!err && id_is_none(money->house))
		err = err_set(
			info, ERR_HOUSE_MISSING, "", "remainders of rounding go to the house, which has no name yet");
	if (err)
		return err;
	uint32_t item = rate_find(money, asked->provider, asked->from, asked->to, NULL);
	const struct event_rate_offered *rate = item == MAP_NONE ? NULL : &money->rates[item];
	if (!rate || !rate->rate_nanos || rate->expires_us <= call->now_us)
		return err_set(info, ERR_NO_RATE, "/provider_id", "it offers no rate for these currencies now");
	struct event event = {.money_converted = {.transfer = command->id,
				      .org = command->org,
				      .provider = asked->provider,
				      .house = money->house,
				      .from = asked->from,
				      .to = asked->to,
				      .amount_micros = asked->amount_micros,
				      .rate_nanos = rate->rate_nanos,
				      .source = rate->source,
				      .quoted_us = rate->quoted_us}};
	struct event_money_converted *is = &event.money_converted;
	if (!convert(is->amount_micros, is->rate_nanos, &is->bought_micros, &is->remainder_micros))
		return ERR_OVERFLOW;
	err = conversion_check(ledger, call, is, info);
	return err ? err : decision_emit(call, EVENT_MONEY_CONVERTED, &event, info);
}

enum err converted_make(struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_money_converted *said = &event->money_converted;
	struct ledger_place org = {.org = said->org}, provider = {.org = said->provider}, house = {.org = said->house};
	int64_t bought, remainder;
	if (id_is_none(said->org) || id_is_none(said->provider) || id_is_none(said->house) ||
		said->amount_micros <= 0 || said->rate_nanos <= 0 ||
		!convert(said->amount_micros, said->rate_nanos, &bought, &remainder) || bought != said->bought_micros ||
		remainder != said->remainder_micros)
		return journal_invalid(info, "a conversion is not at its rate");
	enum err err = money_pay(ledger, undo, said->from, said->amount_micros, org, provider, info);
	if (!err)
		err = money_pay(ledger, undo, said->to, said->bought_micros, provider, org, info);
	if (!err && said->remainder_micros && !id_equal(said->provider, said->house))
		err = money_pay(ledger, undo, said->to, said->remainder_micros, provider, house, info);
	if (err)
		return err;
	outflow_note(ledger, undo, said->org, said->from, said->amount_micros, event->header.time_us);
	outflow_note(ledger, undo, said->provider, said->to, said->bought_micros + said->remainder_micros,
		event->header.time_us);
	return ERR_OK;
}
