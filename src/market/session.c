/* Decides when a market trades: schedules, halts, price bands, what becomes of markets by time; and what ends when an organisation is
 * not heard of. The state's thread. */
#include <stddef.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "state.h"

#define MINUTES_PER_DAY  1440u
#define BAND_MAX_PPM     900000
#define WATCH_US_MIN     INT64_C(1000000)
#define WATCH_US_MAX     INT64_C(86400000000)
#define INTERRUPT_US_MIN INT64_C(1000000)

/* ---- trading hours ---- */

_Static_assert(offsetof(struct event_state_session, sun_close) - offsetof(struct event_state_session, mon_open) ==
		       13 * sizeof(uint32_t),
	"trading hours lie in order");

bool session_is_on(const struct event_state_session *session, int64_t now_us, int64_t *ret_closes_us)
{
	*ret_closes_us = 0;
	if (!session->calendar)
		return true;
	int64_t day = now_us / CLOCK_US_PER_DAY;
	const uint32_t *hours = &session->mon_open + 2 * ((day + 3) % 7); /* 1970-01-01 was a Thursday */
	int64_t opens_us = day * CLOCK_US_PER_DAY + hours[0] * CLOCK_US_PER_MINUTE;
	*ret_closes_us = day * CLOCK_US_PER_DAY + hours[1] * CLOCK_US_PER_MINUTE;
	return now_us >= opens_us && now_us < *ret_closes_us;
}

static enum err hours_check(const struct command_market_schedule *asked, struct err_info *info)
{
	const uint32_t *hours = &asked->mon_open;
	bool opens = false;
	for (int day = 0; day < 7; day++, hours += 2) {
		bool none = hours[0] == 0 && hours[1] == 0;
		if (!none && (hours[0] >= hours[1] || hours[1] > MINUTES_PER_DAY))
			return REFUSE(info, ERR_INVALID_FIELD, "/hours",
				"a day opens before it closes, within 0..%u minutes", MINUTES_PER_DAY);
		opens = opens || !none;
	}
	if (asked->calendar > 1 || opens != (asked->calendar == 1))
		return REFUSE(info, ERR_INVALID_FIELD, "/hours", "a market with trading hours opens on some day");
	return ERR_OK;
}

/* ---- states ---- */

static enum err become(struct market *market, struct decision *call, uint64_t number, struct event_market_halted to,
	struct err_info *info)
{
	struct event event = {.market_halted = to};
	event.market_halted.market = number;
	if (to.state == MARKET_HALTED || to.state == MARKET_CLEARING)
		event.market_halted.closes_us = market->venues[number - 1].session.closes_us;
	return decision_emit(call, EVENT_MARKET_HALTED, &event, info);
}

/* What a market does that was halted or closed: the auction first, if it has one. */
static enum err go_on(
	struct market *market, struct decision *call, uint64_t number, int64_t now_us, struct err_info *info)
{
	const struct event_state_session *session = &market->venues[number - 1].session;
	struct event_market_halted to = {.state = MARKET_OPEN};
	if (!session_is_on(session, now_us, &to.closes_us)) {
		to.closes_us = 0;
		to.state = MARKET_CLOSED;
	} else if (session->auction_us) {
		to.state = MARKET_AUCTION;
		to.until_us = now_us + session->auction_us;
	}
	return become(market, call, number, to, info);
}

enum err decide_market_halt(const struct deciding *at)
{
	const struct command_market_halt *asked = &at->call->command->market_halt;
	const struct venue *venue = venue_find(at->market, asked->market);
	if (!venue)
		return REFUSE(at->info, ERR_NOT_FOUND, "/market", "there is no such market");
	bool halted = venue->is.state == MARKET_HALTED;
	if (asked->state > MARKET_HALTED || (asked->state == MARKET_HALTED) == halted)
		return REFUSE(at->info, ERR_INVALID_FIELD, "/state",
			"a market that is not halted is halted; one that is is let go on");
	if (asked->until_us && (asked->state != MARKET_HALTED || asked->until_us <= at->call->now_us))
		return REFUSE(at->info, ERR_INVALID_FIELD, "/until", "/until is of a halt, and lies in the future");
	if (asked->state == MARKET_OPEN)
		return go_on(at->market, at->call, asked->market, at->call->now_us, at->info);
	return become(at->market, at->call, asked->market,
		(struct event_market_halted){.state = MARKET_HALTED, .until_us = asked->until_us}, at->info);
}

enum err decide_market_schedule(const struct deciding *at)
{
	const struct command_market_schedule *asked = &at->call->command->market_schedule;
	struct err_info *info = at->info;
	const struct venue *venue = venue_find(at->market, asked->market);
	bool banded = asked->static_ppm || asked->dynamic_ppm;
	if (!venue)
		return REFUSE(info, ERR_NOT_FOUND, "/market", "there is no such market");
	if (asked->static_ppm < 0 || asked->static_ppm > BAND_MAX_PPM || asked->dynamic_ppm < 0 ||
		asked->dynamic_ppm > BAND_MAX_PPM)
		return REFUSE(info, ERR_INVALID_FIELD, "/static_ppm", "/static_ppm and /dynamic_ppm must be 0..%d",
			BAND_MAX_PPM);
	if (asked->interruption_us < (banded ? INTERRUPT_US_MIN : 0) || asked->interruption_us > MARKET_AUCTION_US_MAX)
		return REFUSE(info, ERR_INVALID_FIELD, "/interruption_us",
			"a market with bands is interrupted for 1000000..%lld microseconds",
			(long long)MARKET_AUCTION_US_MAX);
	if (asked->auction_us < 0 || asked->auction_us > MARKET_AUCTION_US_MAX)
		return REFUSE(info, ERR_INVALID_FIELD, "/auction_us", "/auction_us must be 0..%lld",
			(long long)MARKET_AUCTION_US_MAX);
	enum err err = hours_check(asked, info);
	if (err)
		return err;
	struct event_state_session next = {.calendar = asked->calendar};
	memcpy(&next.mon_open, &asked->mon_open, 14 * sizeof next.mon_open);
	struct event event = {.market_scheduled = {.market = asked->market,
				      .schedule_version = venue->session.schedule_version + 1,
				      .static_ppm = asked->static_ppm,
				      .dynamic_ppm = asked->dynamic_ppm,
				      .interruption_us = asked->interruption_us,
				      .auction_us = asked->auction_us,
				      .calendar = asked->calendar}};
	memcpy(&event.market_scheduled.mon_open, &asked->mon_open, 14 * sizeof asked->mon_open);
	if (!session_is_on(&next, at->call->now_us, &event.market_scheduled.closes_us))
		event.market_scheduled.closes_us = at->call->now_us; /* the next tick closes it */
	at->call->number = event.market_scheduled.schedule_version;
	return decision_emit(at->call, EVENT_MARKET_SCHEDULED, &event, info);
}

/* One step of what time does to a market; *ret_more: there may be another. */
static enum err session_step(struct market *market, struct decision *call, uint64_t number, int64_t due_us,
	bool *ret_more, struct err_info *info)
{
	const struct venue *venue = &market->venues[number - 1];
	const struct event_state_session *session = &venue->session;
	uint32_t state = venue->is.state;
	bool trades = state == MARKET_OPEN || state == MARKET_AUCTION;
	bool over = session->until_us && session->until_us <= due_us;
	int64_t closes_us;
	*ret_more = true;
	if (trades && session->closes_us && session->closes_us <= due_us)
		return become(market, call, number, (struct event_market_halted){.state = MARKET_CLOSED}, info);
	if ((state == MARKET_HALTED && over) || (state == MARKET_CLOSED && session_is_on(session, due_us, &closes_us)))
		return go_on(market, call, number, due_us, info);
	*ret_more = false;
	if (state == MARKET_AUCTION && over)
		return become(market, call, number, (struct event_market_halted){.state = MARKET_CLEARING}, info);
	return ERR_OK;
}

enum err sessions_tick(struct market *market, struct decision *call, int64_t due_us, struct err_info *info)
{
	enum err err = ERR_OK;
	for (uint64_t number = 1; number <= market->venue_count && !err; number++) {
		bool more = true;
		for (int step = 0; step < 3 && more && !err; step++) /* closed, goes on, and is open or closed */
			err = session_step(market, call, number, due_us, &more, info);
	}
	return err;
}

/* ---- bands ---- */

static bool is_within(int64_t price, int64_t reference, int64_t ppm)
{
	int64_t off = price > reference ? price - reference : reference - price;
	return !ppm || !reference || off * 1000000 <= ppm * reference; /* at most 10^18 each */
}

bool band_takes(const struct market *market, const struct event_state_class *class, int64_t last_micros, int64_t price)
{
	const struct event_state_session *session = &market->venues[class->market - 1].session;
	return is_within(price, class->reference_micros, session->static_ppm) &&
	       is_within(price, last_micros, session->dynamic_ppm);
}

enum err session_interrupt(struct market *market, struct decision *call, const struct event_state_class *class,
	int64_t price, struct err_info *info)
{
	const struct event_state_session *session = &market->venues[class->market - 1].session;
	return become(market, call, class->market,
		(struct event_market_halted){.state = MARKET_AUCTION,
			.until_us = call->now_us + session->interruption_us,
			.closes_us = session->closes_us,
			.class_number = class->class_number,
			.price_micros = price},
		info);
}

enum err limit_check(
	const struct market *market, const struct event_state_order *is, int64_t price_micros, struct err_info *info)
{
	int64_t ppm = market->venues[is->market - 1].session.static_ppm;
	const struct event_state_class *class = ppm ? order_last(market, is) : NULL;
	int64_t reference = class ? class->reference_micros : 0;
	bool beyond = is->side == ORDER_BUY ? price_micros > reference : price_micros < reference;
	if (!reference || !beyond || is_within(price_micros, reference, ppm))
		return ERR_OK;
	return REFUSE(info, ERR_OUT_OF_BAND, "/price",
		"the price is farther from the reference of %lld micros than the market allows", (long long)reference);
}

/* ---- dead-man switches ---- */

uint32_t watch_at(const struct market *market, struct id org)
{
	uint32_t low = 0, high = market->watch_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (id_compare(market->watches[middle].org, org) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static enum err watch_set(struct decision *call, struct id org, int64_t deadline_us, struct err_info *info)
{
	struct event event = {.cancel_after_set = {.org = org, .deadline_us = deadline_us}};
	return decision_emit(call, EVENT_CANCEL_AFTER_SET, &event, info);
}

enum err decide_order_cancel_after(const struct deciding *at)
{
	const struct command *command = at->call->command;
	int64_t after_us = command->order_cancel_after.after_us;
	if (id_is_none(command->org))
		return REFUSE(at->info, ERR_FORBIDDEN, "", "only an organisation trades");
	if (after_us && (after_us < WATCH_US_MIN || after_us > WATCH_US_MAX))
		return REFUSE(at->info, ERR_INVALID_FIELD, "/after_us", "/after_us must be 0, or %lld..%lld",
			(long long)WATCH_US_MIN, (long long)WATCH_US_MAX);
	return watch_set(at->call, command->org, after_us ? at->call->now_us + after_us : 0, at->info);
}

enum err watches_tick(struct market *market, struct ledger *ledger, struct decision *call, int64_t due_us,
	struct budget *budget, struct err_info *info)
{
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < market->watch_count && !err;) {
		struct watch watch = market->watches[i];
		bool all = false;
		if (watch.deadline_us <= due_us && budget->orders > 0 && budget->ranges)
			err = orders_end_of(market, ledger, call, watch.org, ORDER_DISCONNECTED, budget, &all, info);
		if (all && !err)
			err = watch_set(call, watch.org, 0, info); /* takes it out */
		else
			i++;
	}
	return err;
}

/* ---- undoing trades ---- */

struct hash trade_seal(const struct event_trade_busted *trade, const struct record_lists *lists)
{
	struct sha256 state;
	sha256_start(&state, "carbond/trade/1");
	sha256_add_u64(&state, trade->trade);
	sha256_add_u64(&state, trade->market);
	sha256_add(&state, &trade->seller, sizeof trade->seller);
	sha256_add(&state, &trade->buyer, sizeof trade->buyer);
	sha256_add_u64(&state, (uint64_t)trade->kg);
	sha256_add_u64(&state, (uint64_t)trade->amount_micros);
	sha256_add_u64(&state, (uint64_t)trade->seller_fee_micros);
	sha256_add_u64(&state, (uint64_t)trade->buyer_fee_micros);
	for (size_t i = 0; i < lists->range_count; i++) {
		sha256_add_u64(&state, lists->ranges[i].batch);
		sha256_add_u64(&state, (uint64_t)lists->ranges[i].start);
		sha256_add_u64(&state, (uint64_t)lists->ranges[i].length);
	}
	return sha256_end(&state);
}

enum err decide_trade_bust(const struct deciding *at)
{
	const struct command *command = at->call->command;
	const struct command_trade_bust *asked = &command->trade_bust;
	const struct market *market = at->market;
	uint64_t last = market->trade_number;
	struct event event = {.trade_busted = {.trade = asked->trade,
				      .market = asked->market,
				      .seller = asked->seller,
				      .buyer = asked->buyer,
				      .kg = asked->kg,
				      .amount_micros = asked->amount_micros,
				      .seller_fee_micros = asked->seller_fee_micros,
				      .buyer_fee_micros = asked->buyer_fee_micros,
				      .reason_hash = asked->reason_hash},
		.lists = command->lists};
	if (hash_is_none(asked->reason_hash))
		return REFUSE(at->info, ERR_MISSING_FIELD, "/reason", "a trade is undone for a reason");
	if (asked->trade == 0 || asked->trade > last || asked->trade + MARKET_TRADES_KEPT <= last ||
		!hash_equal(market->seals[(asked->trade - 1) % MARKET_TRADES_KEPT],
			trade_seal(&event.trade_busted, &command->lists)))
		return REFUSE(at->info, ERR_TRADE_UNKNOWN, "/trade",
			"there is no such trade among the last %d, or it was undone", MARKET_TRADES_KEPT);
	at->call->number = asked->trade;
	return decision_emit(at->call, EVENT_TRADE_BUSTED, &event, at->info);
}
