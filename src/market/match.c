/* Decides with whom an order that comes trades: by price, then rank, over all ladders of the other side; who is passed over; and
 * what each trade moves. The state's thread. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/decimal.h"
#include "state.h"

int64_t market_amount(int64_t price_micros, int64_t kg)
{
	int64_t amount = 0;
	bool fits = muldiv_floor(price_micros, kg, 1000, &amount);
	assert(fits); /* MARKET_PRICE_MAX × MARKET_KG_MAX ÷ 1,000 fits */
	return amount;
}

int64_t market_fee(int64_t amount_micros, int64_t ppm)
{
	int64_t fee = 0;
	bool fits =
		muldiv_ceil(amount_micros, ppm, 1000000, &fee); /* toward +∞: a fee up, a rebate (below zero) down */
	assert(fits);
	return fee;
}

int64_t market_reserve_micros(int64_t price_micros, int64_t kg, int64_t ppm, int64_t lot_kg)
{
	int64_t amount = market_amount(price_micros, kg);
	return ppm > 0 ? amount + market_fee(amount, ppm) + kg / lot_kg : amount;
}

static int64_t worst_ppm(const struct event_state_order *is)
{
	return is->maker_ppm > is->taker_ppm ? is->maker_ppm : is->taker_ppm;
}

/* ---- the other side ---- */

static bool attribute_fits(const void *wanted, const void *has, size_t size)
{
	static const char any[16];
	return memcmp(wanted, any, size) == 0 || memcmp(wanted, has, size) == 0;
}

bool instrument_takes(const struct instrument *instrument, const struct class *class)
{
	const struct event_state_instrument *wants = &instrument->is;
	const struct event_state_class *has = &class->is;
	return wants->market == has->market && (!wants->durabilities || wants->durabilities >> has->durability & 1) &&
	       (!wants->vintage_from || has->vintage >= wants->vintage_from) &&
	       (!wants->vintage_to || has->vintage <= wants->vintage_to) &&
	       attribute_fits(&wants->country, &has->country, sizeof has->country) &&
	       attribute_fits(&wants->methodology, &has->methodology, sizeof has->methodology);
}

struct crossing {
	const struct market *market;
	const struct market_register *batches;
	const struct event_state_order *is; /* the order that comes */
	int64_t left;
	bool past_own; /* orders of its own organisation are passed over */
};

static bool price_crosses(const struct event_state_order *is, int64_t price)
{
	return is->side == ORDER_BUY ? price <= is->price_micros : price >= is->price_micros;
}

/* How much the two would trade now; 0: one passes the other over. */
static int64_t crossing_kg(const struct crossing *crossing, const struct event_state_order *other)
{
	const struct event_state_order *is = crossing->is;
	const struct event_state_order *sell = is->side == ORDER_SELL ? is : other, *buy = sell == is ? other : is;
	const struct instrument *instrument = instrument_find(crossing->market, buy->instrument);
	if (instrument->is.batch && instrument->is.batch != sell->batch)
		return 0;
	if (crossing->past_own && id_equal(is->org, other->org))
		return 0;
	int64_t kg = other->shown_now_kg < crossing->left ? other->shown_now_kg : crossing->left;
	int64_t least = other->minimum_kg < other->left_kg ? other->minimum_kg : other->left_kg;
	return kg < least ? 0 : kg;
}

/* The first order of a ladder, at or behind `slot`, that would trade and whose price crosses, or 0. */
static uint32_t ladder_next(const struct crossing *crossing, uint32_t slot)
{
	const struct market *market = crossing->market;
	for (; slot; slot = book_next(market->book, slot)) {
		const struct book_order *place = book_at(market->book, slot);
		if (!price_crosses(crossing->is, place->price))
			return 0;
		if (crossing_kg(crossing, &market->orders[place->detail].is))
			return slot;
	}
	return 0;
}

static bool is_before(const struct market *market, enum order_side side, uint32_t a, uint32_t b)
{
	const struct book_order *first = book_at(market->book, a), *second = book_at(market->book, b);
	if (first->price != second->price)
		return (side == ORDER_BUY) == (first->price < second->price);
	return first->rank < second->rank;
}

/* The ladder number `i` of the other side: 0 where this one has nothing for the order; false: there are no more. */
static bool other_ladder(const struct crossing *crossing, uint32_t i, uint32_t *ret_best)
{
	const struct market *market = crossing->market;
	const struct event_state_order *is = crossing->is;
	*ret_best = 0;
	if (is->side == ORDER_BUY) {
		if (i >= market->class_count)
			return false;
		const struct class *class = &market->classes[i];
		if (book_best(market->book, class->asks) &&
			instrument_takes(&market->instruments[is->instrument - 1], class))
			*ret_best = book_best(market->book, class->asks);
		return true;
	}
	if (i >= market->instrument_count)
		return false;
	const struct instrument *instrument = &market->instruments[i];
	if (book_best(market->book, instrument->bids) &&
		instrument_takes(instrument, &market->classes[is->class_number - 1]))
		*ret_best = book_best(market->book, instrument->bids);
	return true;
}

/* The order that this one trades with next, or 0. */
static uint32_t crossing_next(const struct crossing *crossing)
{
	uint32_t best = 0, first;
	for (uint32_t i = 0; other_ladder(crossing, i, &first); i++) {
		uint32_t slot = first ? ladder_next(crossing, first) : 0;
		if (slot && (!best || is_before(crossing->market, (enum order_side)crossing->is->side, slot, best)))
			best = slot;
	}
	return best;
}

int64_t order_fillable(const struct market *market, const struct market_register *batches, const struct order *order,
	int64_t most, uint32_t *ret_trades)
{
	struct crossing crossing = {
		.market = market, .batches = batches, .is = &order->is, .left = most, .past_own = true};
	int64_t filled = 0;
	*ret_trades = 0;
	/* in any order of ladders: the sum does not depend on it but for minimums, which are judged by what is left */
	for (uint32_t i = 0, slot; filled < most && other_ladder(&crossing, i, &slot); i++) {
		while (filled < most && slot && (slot = ladder_next(&crossing, slot)) != 0) {
			const struct event_state_order *other = &market->orders[book_at(market->book, slot)->detail].is;
			/* an iceberg has all of it at its price */
			int64_t kg = other->left_kg < crossing.left ? other->left_kg : crossing.left;
			*ret_trades += (uint32_t)((kg + other->shown_kg - 1) / other->shown_kg);
			filled += kg;
			crossing.left -= kg;
			slot = book_next(market->book, slot);
		}
	}
	return filled;
}

int64_t order_collar(const struct market *market, const struct order *order)
{
	struct event_state_order is = order->is;
	is.price_micros = is.side == ORDER_BUY ? MARKET_PRICE_MAX : 1;
	struct crossing crossing = {.market = market, .is = &is, .left = is.left_kg, .past_own = true};
	uint32_t slot = crossing_next(&crossing);
	if (!slot)
		return 0;
	const struct event_state_market *rules = &venue_find(market, is.market)->is;
	int64_t best = book_at(market->book, slot)->price, off = 0, tick = rules->tick_micros;
	bool fits = muldiv_floor(best, rules->collar_ppm, 1000000, &off);
	assert(fits);
	int64_t price = is.side == ORDER_BUY ? (best + off) / tick * tick : (best - off + tick - 1) / tick * tick;
	price = price < tick ? tick : price;
	return price > MARKET_PRICE_MAX ? MARKET_PRICE_MAX / tick * tick : price;
}

/* ---- what trades ---- */

enum err order_reduce(struct market *market, struct ledger *ledger, struct decision *call, const struct order *order,
	int64_t kg, enum order_reason reason, struct err_info *info)
{
	const struct event_state_order *is = &order->is;
	const struct event_state_market *rules = &venue_find(market, is->market)->is;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	struct event event = {.order_reduced = {.org = is->org,
				      .order = is->order,
				      .kg = kg,
				      .left_kg = is->left_kg - kg,
				      .reason = (uint32_t)reason}};
	int64_t left = is->left_kg - kg;
	event.order_reduced.shown_kg = is->shown_now_kg < left ? is->shown_now_kg : left;
	if (is->side == ORDER_BUY) {
		event.order_reduced.released_micros =
			is->reserved_micros -
			(left ? market_reserve_micros(is->price_micros, left, worst_ppm(is), rules->lot_kg) : 0);
	} else {
		size_t count = 0;
		struct ledger_place place = {.org = is->org, .state = KG_LISTED};
		enum err err = ledger_pick(ledger, is->batch, place, kg, ranges, EVENTS_RANGES_MAX, &count);
		if (err)
			return err_set(
				info, err, "", "the listed kilograms lie in more than %d ranges", EVENTS_RANGES_MAX);
		event.lists = (struct record_lists){.ranges = ranges, .range_count = count};
	}
	return decision_emit(call, EVENT_ORDER_REDUCED, &event, info);
}

/* The seller's lowest listed serials. Where so many kilograms lie in too many ranges it is as many lots as 256 of them hold. */
static enum err serials_pick(const struct ledger *ledger, const struct event_state_order *sell, int64_t lot_kg,
	int64_t *kg, struct serial_range ranges[EVENTS_RANGES_MAX], size_t *ret_count, struct err_info *info)
{
	struct ledger_place place = {.org = sell->org, .state = KG_LISTED};
	enum err err = ledger_pick(ledger, sell->batch, place, *kg, ranges, EVENTS_RANGES_MAX, ret_count);
	if (err != ERR_COMMAND_TOO_LARGE)
		return err;
	int64_t holds = 0;
	for (size_t i = 0; i < EVENTS_RANGES_MAX; i++)
		holds += ranges[i].length;
	*kg = holds / lot_kg * lot_kg;
	if (*kg == 0)
		return err_set(info, err, "", "a lot lies in more than %d ranges", EVENTS_RANGES_MAX);
	return ledger_pick(ledger, sell->batch, place, *kg, ranges, EVENTS_RANGES_MAX, ret_count);
}

/* `*room` is how many ranges the command may touch yet; where they do not do, nothing happens and it becomes 0. */
static enum err trade(struct market *market, struct ledger *ledger, struct decision *call,
	const struct event_state_order *taker, const struct event_state_order *maker, int64_t kg, size_t *room,
	struct err_info *info)
{
	bool buys = taker->side == ORDER_BUY;
	const struct event_state_order *buy = buys ? taker : maker, *sell = buys ? maker : taker;
	const struct event_state_market *rules = &venue_find(market, taker->market)->is;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = 0;
	enum err err = serials_pick(ledger, sell, rules->lot_kg, &kg, ranges, &count, info);
	if (err)
		return err;
	if (count > *room) {
		*room = 0;
		return ERR_OK;
	}
	*room -= count;
	int64_t amount = market_amount(maker->price_micros, kg);
	int64_t buyer_fee = market_fee(amount, buys ? buy->taker_ppm : buy->maker_ppm);
	int64_t seller_fee = market_fee(amount, buys ? sell->maker_ppm : sell->taker_ppm);
	int64_t buy_left = buy->left_kg - kg, maker_left = maker->left_kg - kg, shown = maker->shown_now_kg - kg;
	int64_t kept = buy_left ? market_reserve_micros(buy->price_micros, buy_left, worst_ppm(buy), rules->lot_kg) : 0;
	bool refreshed = shown == 0 && maker_left > 0;
	if (refreshed)
		shown = maker->shown_kg < maker_left ? maker->shown_kg : maker_left;
	struct event event = {
		.traded = {.trade = market->trade_number + 1,
			.market = taker->market,
			.class_number = sell->class_number,
			.maker = maker->order,
			.taker = taker->order,
			.seller = sell->org,
			.buyer = buy->org,
			.price_micros = maker->price_micros,
			.kg = kg,
			.amount_micros = amount,
			.seller_fee_micros = seller_fee,
			.buyer_fee_micros = buyer_fee,
			.released_micros = buy->reserved_micros - amount - (buyer_fee > 0 ? buyer_fee : 0) - kept,
			.maker_shown_kg = shown,
			.refreshed = refreshed,
			.taker_side = taker->side},
		.lists = {.ranges = ranges, .range_count = count}};
	return decision_emit(call, EVENT_TRADED, &event, info);
}

/* Two orders of one organisation met. */
static enum err self_trade(struct market *market, struct ledger *ledger, struct decision *call,
	const struct event_state_order *taker, const struct event_state_order *maker, struct err_info *info)
{
	enum err err = ERR_OK;
	int64_t both = taker->left_kg < maker->left_kg ? taker->left_kg : maker->left_kg;
	int64_t taker_kg = taker->left_kg, maker_kg = maker->left_kg;
	if (taker->stp == STP_DECREMENT)
		taker_kg = maker_kg = both;
	if (taker->stp != STP_NEWEST)
		err = order_reduce(
			market, ledger, call, order_find(market, maker->order), maker_kg, ORDER_SELF_TRADE, info);
	if (!err && taker->stp != STP_OLDEST)
		err = order_reduce(
			market, ledger, call, order_find(market, taker->order), taker_kg, ORDER_SELF_TRADE, info);
	return err;
}

/* What an order does that has nothing more to trade with. */
static enum err settle_down(struct market *market, struct ledger *ledger, struct decision *call,
	const struct order *order, struct err_info *info)
{
	const struct event_state_order *is = &order->is;
	bool rests = is->tif != ORDER_IOC && is->tif != ORDER_FOK && is->type != ORDER_MARKET &&
		     is->type != ORDER_STOP && is->type != ORDER_TRAILING_STOP;
	if (!rests)
		return order_reduce(market, ledger, call, order, is->left_kg, ORDER_NOT_FILLED, info);
	struct event event = {.order_rested = {.order = is->order, .kg = is->left_kg}};
	return decision_emit(call, EVENT_ORDER_RESTED, &event, info);
}

/* Whether what an order would trade at once is less than it must be. */
static bool is_too_little(const struct market *market, const struct market_register *batches, const struct order *order)
{
	uint32_t trades;
	int64_t left = order->is.left_kg, least = order->is.minimum_kg < left ? order->is.minimum_kg : left;
	return least && (order_fillable(market, batches, order, left, &trades) < least ||
				(least == left && trades > MARKET_TRADES_MOST));
}

enum err order_take(struct market *market, struct ledger *ledger, const struct market_register *batches,
	struct decision *call, struct id id, struct err_info *info)
{
	const struct order *order = order_find(market, id);
	if (is_too_little(market, batches, order))
		return settle_down(market, ledger, call, order, info);
	enum err err = ERR_OK;
	size_t room = EVENTS_RANGES_MAX;
	for (int trades = 0; !err && room; trades++) {
		order = order_find(market, id);
		if (!order)
			break; /* done */
		struct event_state_order taker = order->is;
		struct crossing crossing = {.market = market,
			.batches = batches,
			.is = &taker,
			.left = taker.left_kg,
			.past_own = taker.minimum_kg > 0};
		uint32_t slot = crossing_next(&crossing);
		if (!slot)
			return settle_down(market, ledger, call, order, info);
		if (trades == MARKET_TRADES_MOST)
			break; /* an order_work goes on */
		struct event_state_order maker = market->orders[book_at(market->book, slot)->detail].is;
		err = id_equal(maker.org, taker.org) ? self_trade(market, ledger, call, &taker, &maker, info)
						     : trade(market, ledger, call, &taker, &maker,
							       crossing_kg(&crossing, &maker), &room, info);
	}
	return err;
}
