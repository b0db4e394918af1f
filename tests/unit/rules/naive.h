/* A naive order book: one array of orders, looked through from end to end for every step. It is written from docs/MARKET.md, shares
 * nothing with src/market, and is what the market is held against (P9). One market, no limits to what a command may touch. */
#ifndef TEST_RULES_NAIVE_H
#define TEST_RULES_NAIVE_H

#include "world.h"

#define NAIVE_ORGS        4
#define NAIVE_ORDERS      1024
#define NAIVE_TRADES      1024
#define NAIVE_BATCHES     4 /* [0] is not used; likewise below */
#define NAIVE_CLASSES     3
#define NAIVE_INSTRUMENTS 8
#define NAIVE_AT_ONCE     64 /* trades in which a fok or a minimum is to be had */

struct naive_order {
	struct id id;
	uint64_t number, rank, batch, class_number, instrument;
	int64_t price, stop, trail, kg, left, shown, shown_now, minimum, reserved, expires;
	uint32_t side, type, tif, stp, post_only;
	int org;
	bool sleeps;
};

struct naive_trade {
	struct id maker, taker;
	int64_t price, kg;
};

struct naive {
	uint64_t number, rank, trade_number;
	struct naive_trade trades[NAIVE_TRADES]; /* of the last command */
	int trade_count;
	int64_t money[NAIVE_ORGS], kg[NAIVE_ORGS][NAIVE_BATCHES]; /* free */
	int64_t house, tick, lot, maker_ppm, taker_ppm, collar_ppm;
	uint64_t class_of[NAIVE_BATCHES];
	struct {
		bool takes[NAIVE_CLASSES];
		uint64_t batch;
		bool old;
	} instruments[NAIVE_INSTRUMENTS];
	int instrument_count;
	int64_t last[NAIVE_CLASSES], reference[NAIVE_CLASSES];
	uint64_t last_trade[NAIVE_CLASSES];
	enum market_state state;
	int64_t now, until, static_ppm, dynamic_ppm, interruption, auction;
	int64_t watch[NAIVE_ORGS]; /* deadline of the dead-man switch; 0: it is off */
	bool stopped[NAIVE_ORGS], held[NAIVE_ORGS], batch_held[NAIVE_BATCHES];
	long auctions, auction_trades, interruptions; /* that there were */
	int count;
	struct naive_order orders[NAIVE_ORDERS]; /* last: a copy takes what is there alone */
};

static inline int64_t naive_fee(int64_t amount, int64_t ppm)
{
	__int128 product = (__int128)amount * ppm;
	return (int64_t)(product > 0 ? (product + 999999) / 1000000 : product / 1000000);
}

static inline int64_t naive_reserve(const struct naive *naive, int64_t price, int64_t kg)
{
	int64_t amount = price * (kg / 1000);
	int64_t worst = naive->maker_ppm > naive->taker_ppm ? naive->maker_ppm : naive->taker_ppm;
	return kg && worst > 0 ? amount + naive_fee(amount, worst) + kg / naive->lot : amount;
}

static inline int64_t naive_least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline struct naive_order *naive_find(struct naive *naive, struct id id)
{
	for (int i = 0; i < naive->count; i++)
		if (id_equal(naive->orders[i].id, id))
			return &naive->orders[i];
	return NULL;
}

/* An order loses what is not traded. */
static inline void naive_reduce(struct naive *naive, struct naive_order *order, int64_t kg)
{
	order->left -= kg;
	order->shown_now = naive_least(order->shown_now, order->left);
	order->minimum = naive_least(order->minimum, order->left);
	if (order->side == ORDER_SELL) {
		naive->kg[order->org][order->batch] += kg;
	} else {
		int64_t keeps = naive_reserve(naive, order->price, order->left);
		naive->money[order->org] += order->reserved - keeps;
		order->reserved = keeps;
	}
	if (order->left == 0)
		*order = naive->orders[--naive->count];
}

/* ---- matching ---- */

static inline bool naive_meet(const struct naive *naive, const struct naive_order *a, const struct naive_order *b)
{
	const struct naive_order *sell = a->side == ORDER_SELL ? a : b, *buy = sell == a ? b : a;
	uint64_t batch = naive->instruments[buy->instrument].batch;
	return sell->side != buy->side && sell->price <= buy->price &&
	       naive->instruments[buy->instrument].takes[sell->class_number] && (!batch || batch == sell->batch);
}

/* With whom an order that comes meets next: the best price, then the one that has rested longest. */
static inline struct naive_order *naive_other(struct naive *naive, const struct naive_order *taker, bool past_own)
{
	struct naive_order *best = NULL;
	for (int i = 0; i < naive->count; i++) {
		struct naive_order *other = &naive->orders[i];
		int64_t kg = naive_least(other->shown_now, taker->left);
		if (other->sleeps || id_equal(other->id, taker->id) || !naive_meet(naive, taker, other) ||
			(past_own && other->org == taker->org) || kg < naive_least(other->minimum, other->left))
			continue;
		bool better =
			!best || (taker->side == ORDER_BUY ? other->price < best->price : other->price > best->price);
		if (better || (other->price == best->price && other->rank < best->rank))
			best = other;
	}
	return best;
}

static inline void naive_settle(struct naive *naive, struct naive_order *order, int64_t amount, int64_t ppm)
{
	int64_t fee = naive_fee(amount, ppm);
	naive->house += fee;
	if (order->side == ORDER_SELL) {
		naive->money[order->org] += amount - fee;
		return;
	}
	int64_t keeps = naive_reserve(naive, order->price, order->left);
	naive->money[order->org] += order->reserved - amount - fee - keeps;
	order->reserved = keeps;
}

static inline bool naive_within(int64_t price, int64_t reference, int64_t ppm)
{
	return !ppm || !reference || llabs(price - reference) * 1000000 <= ppm * reference;
}

/* Whether the trade of an order that comes with one that rests is within the bands; in an auction there are none. */
static inline bool naive_banded(
	const struct naive *naive, const struct naive_order *taker, const struct naive_order *maker)
{
	uint64_t class = taker->side == ORDER_SELL ? taker->class_number : maker->class_number;
	return naive->state != MARKET_OPEN ||
	       (naive_within(maker->price, naive->reference[class], naive->static_ppm) &&
		       naive_within(maker->price, naive->last[class], naive->dynamic_ppm));
}

static inline void naive_settle_trade(struct naive *naive, struct naive_order *taker, struct naive_order *maker,
	int64_t kg, int64_t price, bool auction)
{
	struct naive_order *sell = taker->side == ORDER_SELL ? taker : maker, *buy = sell == taker ? maker : taker;
	int64_t amount = price * (kg / 1000);
	struct naive_trade *trade = &naive->trades[naive->trade_count];
	if (naive->trade_count && id_equal(trade[-1].maker, maker->id) && id_equal(trade[-1].taker, taker->id)) {
		trade[-1].kg += kg;
	} else {
		*trade = (struct naive_trade){maker->id, taker->id, price, kg};
		naive->trade_count++;
	}
	naive->trade_number++;
	maker->left -= kg;
	taker->left -= kg;
	if (auction) {
		maker->shown_now = naive_least(maker->shown_now, maker->left);
		taker->shown_now = naive_least(taker->shown_now, taker->left);
	} else {
		maker->shown_now -= kg;
		taker->shown_now = naive_least(taker->shown, taker->left);
	}
	if (maker->shown_now == 0 && maker->left) {
		maker->shown_now = naive_least(maker->shown, maker->left);
		maker->rank = ++naive->rank;
	}
	naive->kg[buy->org][sell->batch] += kg;
	naive_settle(naive, maker, amount, auction ? naive->taker_ppm : naive->maker_ppm);
	naive_settle(naive, taker, amount, naive->taker_ppm);
	naive->last[sell->class_number] = price;
	naive->last_trade[sell->class_number] = naive->trade_number;
	if (!naive->reference[sell->class_number])
		naive->reference[sell->class_number] = price;
}

static inline void naive_trade(struct naive *naive, struct naive_order *taker, struct naive_order *maker)
{
	naive_settle_trade(naive, taker, maker, naive_least(maker->shown_now, taker->left), maker->price, false);
	if (maker->left == 0)
		*maker = naive->orders[--naive->count];
}

/* What an order would trade at once, its own organisation's orders left out: tried on a copy. */
static inline int64_t naive_fillable(
	const struct naive *naive, const struct naive_order *order, int64_t most, int *ret_trades)
{
	static struct naive copy;
	memcpy(&copy, naive, offsetof(struct naive, orders) + (size_t)naive->count * sizeof *naive->orders);
	struct naive_order taker = *order;
	taker.left = most;
	copy.trade_count = *ret_trades = 0;
	for (struct naive_order *maker; taker.left && (maker = naive_other(&copy, &taker, true)) != NULL;
		++*ret_trades) {
		if (!naive_banded(&copy, &taker, maker))
			break;
		if (*ret_trades == NAIVE_AT_ONCE) {
			++*ret_trades;
			break;
		}
		naive_trade(&copy, &taker, maker);
	}
	return most - taker.left;
}

/* An order that comes; it is not in the array meanwhile. */
static inline void naive_come(struct naive *naive, struct naive_order taker)
{
	int trades;
	int64_t least = naive_least(taker.minimum, taker.left);
	bool may = !least || naive_fillable(naive, &taker, taker.left, &trades) >= least;
	while (may && taker.left) {
		struct naive_order *maker = naive_other(naive, &taker, taker.minimum > 0);
		if (!maker)
			break;
		if (maker->org != taker.org && !naive_banded(naive, &taker, maker)) {
			naive->interruptions++;
			naive->state = MARKET_AUCTION;
			naive->until = naive->now + naive->interruption;
			break;
		}
		if (maker->org != taker.org) {
			naive_trade(naive, &taker, maker);
			continue;
		}
		int64_t both = naive_least(taker.left, maker->left);
		bool all = taker.stp != STP_DECREMENT;
		if (taker.stp != STP_NEWEST)
			naive_reduce(naive, maker, all ? maker->left : both);
		if (taker.stp != STP_OLDEST) {
			naive->orders[naive->count] = taker; /* so that it may end */
			naive_reduce(naive, &naive->orders[naive->count++], all ? taker.left : both);
			struct naive_order *again = naive_find(naive, taker.id);
			if (!again)
				return;
			taker = *again;
			naive->count--;
		}
	}
	if (!taker.left)
		return;
	taker.rank = ++naive->rank;
	naive->orders[naive->count++] = taker;
	if (taker.tif == ORDER_IOC || taker.tif == ORDER_FOK || taker.type == ORDER_MARKET ||
		taker.type == ORDER_STOP || taker.type == ORDER_TRAILING_STOP)
		naive_reduce(naive, &naive->orders[naive->count - 1], taker.left);
}

/* ---- stops ---- */

/* The class whose trades an order looks at; 0: none has traded. */
static inline uint64_t naive_last_class(const struct naive *naive, const struct naive_order *order)
{
	uint64_t newest = 0;
	if (order->side == ORDER_SELL)
		return order->class_number;
	for (uint64_t c = 1; c < NAIVE_CLASSES; c++)
		if (naive->instruments[order->instrument].takes[c] && naive->last_trade[c] > naive->last_trade[newest])
			newest = c;
	return newest;
}

static inline int64_t naive_last(const struct naive *naive, const struct naive_order *order)
{
	return naive->last[naive_last_class(naive, order)];
}

/* Whether a limit is beyond the static band, on the side that would pay for it. */
static inline bool naive_beyond(const struct naive *naive, const struct naive_order *order)
{
	int64_t reference = naive->reference[naive_last_class(naive, order)];
	return (order->side == ORDER_BUY ? order->price > reference : order->price < reference) &&
	       naive->last_trade[naive_last_class(naive, order)] &&
	       !naive_within(order->price, reference, naive->static_ppm);
}

static inline bool naive_reached(const struct naive *naive, const struct naive_order *order)
{
	int64_t last = naive_last(naive, order);
	return last && (order->side == ORDER_SELL ? last <= order->stop : last >= order->stop);
}

static inline bool naive_trails(const struct naive *naive, const struct naive_order *order)
{
	int64_t last = naive_last(naive, order);
	return order->trail && last &&
	       (order->side == ORDER_SELL ? last - order->trail > order->stop : last + order->trail < order->stop);
}

/* A price off another by the collar, on the tick. */
static inline int64_t naive_off(const struct naive *naive, int64_t price, uint32_t side)
{
	int64_t off = price * naive->collar_ppm / 1000000;
	int64_t to = side == ORDER_BUY ? (price + off) / naive->tick : (price - off) / naive->tick;
	return to < 1 ? naive->tick : to * naive->tick;
}

/* Whether none of the others of its side and class, or instrument, is reached before: of stops the one that the price came to first,
 * of trailing ones the one that it left first. */
static inline bool naive_is_first(const struct naive *naive, const struct naive_order *order, bool reached)
{
	for (int i = 0; i < naive->count; i++) {
		const struct naive_order *other = &naive->orders[i];
		if (!other->sleeps || other->side != order->side || other->class_number != order->class_number ||
			other->instrument != order->instrument || (!reached && !other->trail))
			continue;
		bool sells = order->side == ORDER_SELL;
		int64_t mine = reached ? order->stop
			       : sells ? -order->stop - order->trail
				       : -order->stop + order->trail;
		int64_t its = reached ? other->stop : sells ? -other->stop - other->trail : -other->stop + other->trail;
		if ((sells ? its > mine : its < mine) || (its == mine && other->rank < order->rank))
			return false;
	}
	return true;
}

/* What follows by itself: the oldest of those that are due and first, until none is. */
static inline void naive_follow(struct naive *naive)
{
	while (naive->state == MARKET_OPEN) {
		struct naive_order *due = NULL;
		for (int i = 0; i < naive->count; i++) {
			struct naive_order *order = &naive->orders[i];
			bool reached = order->sleeps && naive_reached(naive, order);
			if (order->sleeps && (!due || order->number < due->number) &&
				(reached || naive_trails(naive, order)) && naive_is_first(naive, order, reached))
				due = order;
		}
		if (!due)
			return;
		if (!naive_reached(naive, due)) {
			int64_t last = naive_last(naive, due);
			due->stop = due->side == ORDER_SELL ? last - due->trail : last + due->trail;
			continue;
		}
		struct naive_order order = *due;
		*due = naive->orders[--naive->count];
		order.sleeps = false;
		if (order.type != ORDER_STOP_LIMIT)
			order.price = naive_off(naive, order.stop, order.side);
		naive_come(naive, order);
	}
}

/* ---- auctions ---- */

static inline bool naive_takes_part(const struct naive *naive, const struct naive_order *order, uint64_t class)
{
	if (order->sleeps || order->minimum)
		return false;
	return order->side == ORDER_SELL ? order->class_number == class
					 : !naive->instruments[order->instrument].batch &&
						   naive->instruments[order->instrument].takes[class];
}

/* The price of a class: every tick up to `most` is tried; 0: nothing crosses. */
static inline int64_t naive_price(const struct naive *naive, uint64_t class, int64_t most)
{
	int64_t best = 0, best_kg = 0, best_surplus = 0;
	for (int64_t price = naive->tick; price <= most; price += naive->tick) {
		int64_t bid = 0, ask = 0;
		for (int i = 0; i < naive->count; i++) {
			const struct naive_order *order = &naive->orders[i];
			if (!naive_takes_part(naive, order, class))
				continue;
			if (order->side == ORDER_BUY && order->price >= price)
				bid += order->left;
			if (order->side == ORDER_SELL && order->price <= price)
				ask += order->left;
		}
		int64_t kg = naive_least(bid, ask), surplus = llabs(bid - ask), last = naive->last[class];
		bool nearer = last && llabs(price - last) < llabs(best - last);
		if (kg > best_kg ||
			(kg && kg == best_kg && (surplus < best_surplus || (surplus == best_surplus && nearer)))) {
			best = price;
			best_kg = kg;
			best_surplus = surplus;
		}
	}
	return best;
}

/* One trade of a class at its price; false: there is none. */
static inline bool naive_pair(struct naive *naive, uint64_t class, int64_t price)
{
	struct naive_order *buy = NULL, *sell = NULL;
	for (int i = 0; i < naive->count; i++) {
		struct naive_order *bid = &naive->orders[i], *best = NULL;
		if (bid->side != ORDER_BUY || bid->price < price || !naive_takes_part(naive, bid, class) ||
			(buy && (bid->price < buy->price || (bid->price == buy->price && bid->rank > buy->rank))))
			continue;
		for (int j = 0; j < naive->count; j++) {
			struct naive_order *ask = &naive->orders[j];
			if (ask->side == ORDER_SELL && ask->price <= price && naive_takes_part(naive, ask, class) &&
				ask->org != bid->org &&
				(!best || ask->price < best->price ||
					(ask->price == best->price && ask->rank < best->rank)))
				best = ask;
		}
		if (best) {
			buy = bid;
			sell = best;
		}
	}
	if (!buy)
		return false;
	naive_settle_trade(naive, buy, sell, naive_least(buy->left, sell->left), price, true);
	for (int i = naive->count - 1; i >= 0; i--)
		if (naive->orders[i].left == 0)
			naive->orders[i] = naive->orders[--naive->count];
	return true;
}

/* The best sell order of a class that would trade if it came, which it then does; false: there is none. */
static inline bool naive_cross(struct naive *naive, uint64_t class)
{
	struct naive_order *first = NULL;
	for (int i = 0; i < naive->count; i++) {
		struct naive_order *ask = &naive->orders[i];
		int64_t least = naive_least(ask->minimum, ask->left);
		int trades;
		if (ask->side != ORDER_SELL || ask->sleeps || ask->class_number != class ||
			(first &&
				(ask->price > first->price || (ask->price == first->price && ask->rank > first->rank))))
			continue;
		int64_t gets = naive_fillable(naive, ask, ask->left, &trades);
		if (gets && gets >= least)
			first = ask;
	}
	if (!first)
		return false;
	struct naive_order ask = *first;
	*first = naive->orders[--naive->count];
	ask.shown_now = naive_least(ask.shown, ask.left);
	naive_come(naive, ask);
	return true;
}

static inline void naive_clear(struct naive *naive)
{
	naive->state = MARKET_CLEARING;
	for (uint64_t class = 1; class < NAIVE_CLASSES; class ++) {
		int64_t price = naive_price(naive, class, 1000 * naive->tick);
		if (price)
			naive->reference[class] = price;
		naive->auctions += price > 0;
		while (price && naive_pair(naive, class, price))
			naive->auction_trades++;
	}
	for (uint64_t class = 1; class < NAIVE_CLASSES;)
		class = naive_cross(naive, class) ? 1 : class + 1;
	naive->state = MARKET_OPEN;
}

static inline void naive_end(struct naive *naive, int org, uint64_t batch, int64_t due);

static inline void naive_tick(struct naive *naive)
{
	bool over = naive->state == MARKET_AUCTION && naive->until <= naive->now;
	naive_end(naive, -1, 0, naive->now);
	for (int org = 0; org < NAIVE_ORGS; org++)
		if (naive->watch[org] && naive->watch[org] <= naive->now) {
			naive_end(naive, org, 0, 0);
			naive->watch[org] = 0;
		}
	if (over)
		naive_clear(naive);
}

/* ---- commands ---- */

static inline enum err naive_place(struct naive *naive, int org, struct id id, const struct command_order_place *asked)
{
	struct naive_order order = {.id = id,
		.org = org,
		.batch = asked->batch,
		.class_number = asked->side == ORDER_SELL ? naive->class_of[asked->batch] : 0,
		.instrument = asked->instrument,
		.price = asked->price_micros,
		.stop = asked->stop_micros,
		.trail = asked->trail_micros,
		.kg = asked->kg,
		.left = asked->kg,
		.shown = asked->shown_kg ? asked->shown_kg : asked->kg,
		.shown_now = asked->shown_kg ? asked->shown_kg : asked->kg,
		.minimum = asked->tif == ORDER_FOK ? asked->kg : asked->minimum_kg,
		.expires = asked->expires_us,
		.side = asked->side,
		.type = asked->type,
		.tif = asked->tif,
		.stp = asked->stp,
		.post_only = asked->post_only};
	bool stops = order.type >= ORDER_STOP, sells = order.side == ORDER_SELL;
	int trades;
	if (naive->stopped[org])
		return ERR_TRADER_STOPPED;
	if (!sells && naive->instruments[order.instrument].old)
		return ERR_INVALID_FIELD;
	if (naive->held[org])
		return ERR_ACCOUNT_HELD;
	if (sells && naive->batch_held[order.batch])
		return ERR_BATCH_HELD;
	if (naive->state == MARKET_HALTED)
		return ERR_MARKET_CLOSED;
	if (order.kg % naive->lot || order.price % naive->tick)
		return ERR_INVALID_FIELD;
	bool collects = naive->state == MARKET_AUCTION;
	if (collects &&
		(order.type == ORDER_MARKET || order.tif == ORDER_IOC || order.tif == ORDER_FOK || order.post_only))
		return ERR_NOT_IN_AUCTION;
	if (order.type == ORDER_TRAILING_STOP) {
		int64_t last = naive_last(naive, &order);
		if (!last)
			return ERR_NO_LIQUIDITY;
		order.stop = sells ? last - order.trail : last + order.trail;
	}
	if (order.type == ORDER_STOP || order.type == ORDER_TRAILING_STOP)
		order.price = naive_off(naive, order.stop, order.side);
	if ((order.type == ORDER_LIMIT || order.type == ORDER_STOP_LIMIT) && naive_beyond(naive, &order))
		return ERR_OUT_OF_BAND;
	if (order.type == ORDER_MARKET) {
		order.price = sells ? 1 : INT64_MAX;
		struct naive_order *best = naive_other(naive, &order, true);
		if (!best)
			return ERR_NO_LIQUIDITY;
		int64_t off = best->price * naive->collar_ppm / 1000000, tick = naive->tick;
		order.price = sells ? (best->price - off + tick - 1) / tick * tick : (best->price + off) / tick * tick;
		order.price = order.price < tick ? tick : order.price;
	}
	if (order.post_only && naive_fillable(naive, &order, order.left, &trades))
		return ERR_WOULD_TRADE;
	if (order.tif == ORDER_FOK && naive_fillable(naive, &order, order.left, &trades) < order.left)
		return trades > NAIVE_AT_ONCE ? ERR_COMMAND_TOO_LARGE : ERR_NOT_FILLABLE;
	if (!sells)
		order.reserved = naive_reserve(naive, order.price, order.kg);
	if (sells && naive->kg[org][order.batch] < order.kg)
		return ERR_INSUFFICIENT_KG;
	if (!sells && naive->money[org] < order.reserved)
		return ERR_INSUFFICIENT_FUNDS;
	naive->money[org] -= order.reserved;
	if (sells)
		naive->kg[org][order.batch] -= order.kg;
	order.number = ++naive->number;
	order.rank = ++naive->rank;
	order.sleeps = stops;
	if (stops || collects)
		naive->orders[naive->count++] = order;
	else
		naive_come(naive, order);
	return ERR_OK;
}

static inline enum err naive_amend(struct naive *naive, int org, const struct command_order_amend *asked)
{
	struct naive_order *order = naive_find(naive, asked->order);
	if (!order || order->org != org)
		return ERR_ORDER_DONE;
	int64_t price = asked->price_micros ? asked->price_micros : order->price,
		kg = asked->kg ? asked->kg : order->left;
	bool limit = order->type == ORDER_LIMIT || order->type == ORDER_STOP_LIMIT;
	if (naive->state == MARKET_HALTED)
		return ERR_MARKET_CLOSED;
	if (kg % naive->lot || (asked->price_micros && (!limit || price % naive->tick)))
		return ERR_INVALID_FIELD;
	struct naive_order wanted = *order;
	wanted.price = price;
	if (asked->price_micros && naive_beyond(naive, &wanted))
		return ERR_OUT_OF_BAND;
	if (price == order->price && kg == order->left)
		return ERR_INVALID_FIELD;
	if (kg < order->left && price == order->price) {
		naive_reduce(naive, order, order->left - kg);
		return ERR_OK;
	}
	struct naive_order moved = *order;
	int trades;
	moved.price = price;
	if (moved.post_only && naive_fillable(naive, &moved, kg, &trades))
		return ERR_WOULD_TRADE;
	if (moved.side == ORDER_SELL && naive->kg[org][moved.batch] < kg - moved.left)
		return ERR_INSUFFICIENT_KG;
	int64_t reserves = moved.side == ORDER_BUY ? naive_reserve(naive, price, kg) : 0;
	if (naive->money[org] < reserves - moved.reserved)
		return ERR_INSUFFICIENT_FUNDS;
	naive->money[org] -= reserves - moved.reserved;
	if (moved.side == ORDER_SELL)
		naive->kg[org][moved.batch] -= kg - moved.left;
	moved.reserved = reserves;
	bool whole = moved.shown >= moved.kg;
	if (kg < moved.left)
		moved.minimum = naive_least(moved.minimum, kg);
	else if (moved.minimum == moved.left)
		moved.minimum = kg;
	if (kg > moved.left)
		moved.kg += kg - moved.left;
	moved.left = kg;
	moved.shown = whole ? moved.kg : moved.shown;
	moved.shown_now = naive_least(moved.shown, kg);
	moved.rank = ++naive->rank;
	*order = naive->orders[--naive->count];
	if (moved.sleeps || naive->state == MARKET_AUCTION)
		naive->orders[naive->count++] = moved;
	else
		naive_come(naive, moved);
	return ERR_OK;
}

static inline enum err naive_cancel(struct naive *naive, int org, struct id id)
{
	struct naive_order *order = naive_find(naive, id);
	if (!order || order->org != org)
		return ERR_ORDER_DONE;
	naive_reduce(naive, order, order->left);
	return ERR_OK;
}

/* Ends all orders of an organisation (−1: any) in a batch (0: any) whose time is over at `due` (0: any time). */
static inline void naive_end(struct naive *naive, int org, uint64_t batch, int64_t due)
{
	for (int i = naive->count - 1; i >= 0; i--) {
		struct naive_order *order = &naive->orders[i];
		if ((org < 0 || order->org == org) && (!batch || order->batch == batch) &&
			(!due || (order->expires && order->expires <= due)))
			naive_reduce(naive, order, order->left);
	}
}

#endif
