/* Decides what an auction at opening or after a halt trades: class by class one price, at which most trades, then least is left over,
 * then nearest to the last trade; then whatever still crosses, as if it came. The state's thread. */
#include <stdlib.h>
#include <string.h>

#include "state.h"

/* ---- the price ---- */

struct quotes {
	struct market_level *items;
	size_t count, capacity;
};

static bool quote_add(struct quotes *quotes, int64_t price, int64_t kg)
{
	if (quotes->count == quotes->capacity) {
		size_t capacity = (quotes->capacity + 32) * 2;
		struct market_level *items = realloc(quotes->items, capacity * sizeof *items);
		if (!items)
			return false;
		quotes->items = items;
		quotes->capacity = capacity;
	}
	quotes->items[quotes->count++] = (struct market_level){price, kg};
	return true;
}

static int quote_compare(const void *a, const void *b)
{
	const struct market_level *first = a, *second = b;
	return first->price_micros < second->price_micros ? -1 : first->price_micros > second->price_micros;
}

/* In order of prices, one of each. */
static void quotes_sort(struct quotes *quotes)
{
	size_t kept = 0;
	if (quotes->count)
		qsort(quotes->items, quotes->count, sizeof *quotes->items, quote_compare);
	for (size_t i = 0; i < quotes->count; i++) {
		if (kept && quotes->items[kept - 1].price_micros == quotes->items[i].price_micros)
			quotes->items[kept - 1].kg += quotes->items[i].kg;
		else
			quotes->items[kept++] = quotes->items[i];
	}
	quotes->count = kept;
}

/* Whether an order can be filled in any part by any of the class: only such take part at one price. */
static bool takes_part(const struct market *market, const struct event_state_order *is)
{
	return !is->minimum_kg && (is->side == ORDER_SELL || !market->instruments[is->instrument - 1].is.batch);
}

/* The orders of a ladder that take part, as far as their prices are at least as good as `limit`. */
static bool quotes_gather(
	const struct market *market, uint32_t ladder, enum order_side side, int64_t limit, struct quotes *quotes)
{
	bool enough = true;
	for (uint32_t slot = book_best(market->book, ladder); slot && enough; slot = book_next(market->book, slot)) {
		const struct event_state_order *is = &market->orders[book_at(market->book, slot)->detail].is;
		if (side == ORDER_BUY ? is->price_micros < limit : is->price_micros > limit)
			break;
		if (takes_part(market, is))
			enough = quote_add(quotes, is->price_micros, is->left_kg);
	}
	return enough;
}

/* The best bid for a class over all instruments; 0: none. */
static int64_t best_bid(const struct market *market, const struct class *class)
{
	int64_t best = 0;
	for (uint32_t link = class->first_link; link; link = market->links[link].next_of_class) {
		uint32_t slot = book_best(market->book, market->instruments[market->links[link].instrument_item].bids);
		if (slot && book_at(market->book, slot)->price > best)
			best = book_at(market->book, slot)->price;
	}
	return best;
}

/* What crosses in a class. */
static enum err crossing_gather(
	const struct market *market, const struct class *class, struct quotes *bids, struct quotes *asks)
{
	uint32_t slot = book_best(market->book, class->asks);
	int64_t bid = best_bid(market, class), ask = slot ? book_at(market->book, slot)->price : INT64_MAX;
	bool enough = true;
	if (bid < ask)
		return ERR_OK;
	enough = quotes_gather(market, class->asks, ORDER_SELL, bid, asks);
	for (uint32_t link = class->first_link; link && enough; link = market->links[link].next_of_class)
		enough = quotes_gather(
			market, market->instruments[market->links[link].instrument_item].bids, ORDER_BUY, ask, bids);
	quotes_sort(bids);
	quotes_sort(asks);
	return enough ? ERR_OK : ERR_NO_MEMORY;
}

/* The prices at which anything changes, and the reference. */
static enum err candidates_find(
	const struct quotes *bids, const struct quotes *asks, int64_t tick, int64_t reference, struct quotes *prices)
{
	bool enough = !reference || quote_add(prices, reference, 0);
	for (size_t i = 0; i < bids->count && enough; i++)
		enough = quote_add(prices, bids->items[i].price_micros, 0) &&
			 quote_add(prices, bids->items[i].price_micros + tick, 0);
	for (size_t i = 0; i < asks->count && enough; i++)
		enough = quote_add(prices, asks->items[i].price_micros, 0) &&
			 quote_add(prices, asks->items[i].price_micros - tick, 0);
	quotes_sort(prices);
	return enough ? ERR_OK : ERR_NO_MEMORY;
}

static int64_t distance(int64_t a, int64_t b)
{
	return a > b ? a - b : b - a;
}

/* Whether `one` is a better price than `other`. */
static bool is_better(const struct market_indication *one, const struct market_indication *other, int64_t reference)
{
	int64_t surplus = distance(one->surplus_kg, 0), others = distance(other->surplus_kg, 0);
	if (one->kg != other->kg)
		return one->kg > other->kg;
	if (surplus != others)
		return surplus < others;
	return reference && distance(one->price_micros, reference) < distance(other->price_micros, reference);
}

static struct market_indication best_price(
	const struct quotes *bids, const struct quotes *asks, const struct quotes *prices, int64_t reference)
{
	struct market_indication best = {0};
	int64_t demand = 0, supply = 0;
	size_t bid = 0, ask = 0;
	for (size_t i = 0; i < bids->count; i++)
		demand += bids->items[i].kg;
	for (size_t i = 0; i < prices->count; i++) {
		int64_t price = prices->items[i].price_micros;
		for (; bid < bids->count && bids->items[bid].price_micros < price; bid++)
			demand -= bids->items[bid].kg;
		for (; ask < asks->count && asks->items[ask].price_micros <= price; ask++)
			supply += asks->items[ask].kg;
		struct market_indication here = {price, demand < supply ? demand : supply, demand - supply};
		if (here.kg && is_better(&here, &best, reference))
			best = here;
	}
	return best;
}

static enum err price_find(const struct quotes *bids, const struct quotes *asks, int64_t tick, int64_t reference,
	struct market_indication *ret_indication)
{
	struct quotes prices = {0};
	enum err err = candidates_find(bids, asks, tick, reference, &prices);
	if (!err)
		*ret_indication = best_price(bids, asks, &prices, reference);
	free(prices.items);
	return err;
}

static bool quotes_copy(const struct market_level *levels, size_t count, struct quotes *quotes)
{
	bool enough = true;
	for (size_t i = 0; i < count && enough; i++)
		enough = quote_add(quotes, levels[i].price_micros, levels[i].kg);
	quotes_sort(quotes);
	return enough;
}

enum err market_auction_price(const struct market_sides *sides, int64_t tick_micros, int64_t last_micros,
	struct market_indication *ret_indication)
{
	struct quotes bids = {0}, asks = {0};
	*ret_indication = (struct market_indication){0};
	bool enough =
		quotes_copy(sides->bids, sides->bid_count, &bids) && quotes_copy(sides->asks, sides->ask_count, &asks);
	enum err err = enough ? price_find(&bids, &asks, tick_micros, last_micros, ret_indication) : ERR_NO_MEMORY;
	free(bids.items);
	free(asks.items);
	return err;
}

enum err market_indicative(const struct market *market, uint64_t number, struct market_indication *ret_indication)
{
	const struct class *class = class_find(market, number);
	struct quotes bids = {0}, asks = {0};
	*ret_indication = (struct market_indication){0};
	if (!class)
		return ERR_NOT_FOUND;
	enum err err = crossing_gather(market, class, &bids, &asks);
	if (!err)
		err = price_find(&bids, &asks, market->venues[class->is.market - 1].is.tick_micros,
			class->is.last_micros, ret_indication);
	free(bids.items);
	free(asks.items);
	return err;
}

/* ---- the trades ---- */

struct settling {
	const struct deciding *at;
	size_t room;
	int trades;
	bool full; /* the command may do no more */
};

static const struct event_state_order *order_in(const struct market *market, uint32_t slot)
{
	return &market->orders[book_at(market->book, slot)->detail].is;
}

/* The first ask of a class at or below a price that is not of the bidder's organisation; NULL: none. */
static const struct event_state_order *ask_for(
	const struct market *market, const struct class *class, const struct event_state_order *bid, int64_t price)
{
	for (uint32_t slot = book_best(market->book, class->asks); slot; slot = book_next(market->book, slot)) {
		const struct event_state_order *ask = order_in(market, slot);
		if (ask->price_micros > price)
			return NULL;
		if (takes_part(market, ask) && !id_equal(ask->org, bid->org))
			return ask;
	}
	return NULL;
}

/* The first bid for a class at or above a price, by price and rank over all instruments, that an ask is there for; NULL: none. */
static const struct event_state_order *bid_for(
	const struct market *market, const struct class *class, int64_t price, const struct event_state_order **ret_ask)
{
	uint32_t count = 0;
	for (uint32_t link = class->first_link; link; link = market->links[link].next_of_class)
		market->cursors[count++] =
			book_best(market->book, market->instruments[market->links[link].instrument_item].bids);
	for (;;) {
		uint32_t *best = NULL;
		for (uint32_t i = 0; i < count; i++)
			if (market->cursors[i] &&
				(!best || order_is_before(market, ORDER_SELL, market->cursors[i], *best)))
				best = &market->cursors[i];
		if (!best || order_in(market, *best)->price_micros < price)
			return NULL;
		const struct event_state_order *bid = order_in(market, *best);
		*ret_ask = takes_part(market, bid) ? ask_for(market, class, bid, price) : NULL;
		if (*ret_ask)
			return bid;
		*best = book_next(market->book, *best);
	}
}

static enum err pair_trade(struct settling *settling, const struct event_state_order *bid,
	const struct event_state_order *ask, int64_t price)
{
	const struct deciding *at = settling->at;
	const struct event_state_order orders[] = {*bid, *ask};
	for (int i = 0; i < 2; i++) {
		enum order_reason bar = order_barred(at->market, at->batches, &orders[i]);
		if (bar != ORDER_REASON_COUNT)
			return order_reduce(at->market, at->ledger, at->call, order_find(at->market, orders[i].order),
				orders[i].left_kg, bar, &settling->room, at->info);
	}
	struct deal deal = {.taker = &orders[0],
		.maker = &orders[1],
		.kg = bid->left_kg < ask->left_kg ? bid->left_kg : ask->left_kg,
		.price_micros = price,
		.at_auction = true};
	return order_trade(at->market, at->ledger, at->call, &deal, &settling->room, at->info);
}

/* The trades of a class at its price. */
static enum err class_trade(struct settling *settling, const struct class *class, int64_t price)
{
	enum err err = ERR_OK;
	while (!err) {
		const struct event_state_order *ask, *bid = bid_for(settling->at->market, class, price, &ask);
		if (!bid)
			return ERR_OK;
		settling->full = settling->trades == MARKET_TRADES_MOST || settling->room == 0;
		if (settling->full)
			return ERR_OK;
		err = pair_trade(settling, bid, ask, price);
		settling->trades++;
	}
	return err;
}

/* The first ask of a class that would trade if it came: what took no part in the auction crosses it. NULL: none. */
static const struct event_state_order *ask_that_crosses(const struct deciding *at, const struct class *class)
{
	const struct market *market = at->market;
	int64_t bid = best_bid(market, class);
	for (uint32_t slot = book_best(market->book, class->asks); slot; slot = book_next(market->book, slot)) {
		const struct event_state_order *ask = order_in(market, slot);
		if (ask->price_micros > bid)
			return NULL;
		int64_t least = ask->minimum_kg < ask->left_kg ? ask->minimum_kg : ask->left_kg;
		uint32_t trades;
		least = least ? least : 1;
		if (order_barred(market, at->batches, ask) == ORDER_REASON_COUNT &&
			order_fillable(market, at->batches, ask, least, &trades) >= least)
			return ask;
	}
	return NULL;
}

/* An ask comes again, and trades as any that comes. */
static enum err ask_come(const struct deciding *at, const struct event_state_order *ask)
{
	struct id order = ask->order;
	struct event event = {
		.order_amended = {
			.order = order, .org = ask->org, .price_micros = ask->price_micros, .kg = ask->left_kg}};
	enum err err = decision_emit(at->call, EVENT_ORDER_AMENDED, &event, at->info);
	return err ? err : order_take(at->market, at->ledger, at->batches, at->call, order, true, at->info);
}

/* Makes the trades of a class's auction, or as many of them as the command may. */
static enum err class_clear(struct settling *settling, uint64_t number)
{
	const struct deciding *at = settling->at;
	const struct class *class = class_find(at->market, number);
	const struct event_state_session *session = &at->market->venues[class->is.market - 1].session;
	enum err err = ERR_OK;
	if (session->clearing_class < number) {
		struct market_indication found;
		err = market_indicative(at->market, number, &found);
		if (err)
			return err;
		struct event event = {.class_cleared = {.class_number = number,
					      .price_micros = found.price_micros,
					      .kg = found.kg,
					      .surplus_kg = found.surplus_kg}};
		if (found.price_micros)
			err = decision_emit(at->call, EVENT_CLASS_CLEARED, &event, at->info);
	}
	return err || session->clearing_class != number ? err : class_trade(settling, class, session->clearing_micros);
}

enum err decide_market_work(const struct deciding *at)
{
	uint64_t number = at->call->command->market_work.market;
	const struct venue *venue = venue_find(at->market, number);
	struct settling settling = {.at = at, .room = EVENTS_RANGES_MAX};
	if (!venue || venue->is.state != MARKET_CLEARING)
		return REFUSE(at->info, ERR_ORDER_DONE, "/market", "no auction of the market is being settled");
	uint64_t first = venue->session.clearing_class ? venue->session.clearing_class : 1;
	enum err err = ERR_OK;
	for (uint64_t class = first; class <= at->market->class_count && !err && !settling.full; class ++)
		if (class_find(at->market, class)->is.market == number)
			err = class_clear(&settling, class);
	if (err || settling.full)
		return err;
	/* each by a command of its own, for it may take as much as any that comes; then again from the first class, whose orders may
	 * have been waiting for one that is smaller now */
	for (uint64_t class = 1; class <= at->market->class_count; class ++) {
		const struct class *crossed = class_find(at->market, class);
		const struct event_state_order *ask =
			crossed->is.market == number ? ask_that_crosses(at, crossed) : NULL;
		if (ask)
			return settling.trades ? ERR_OK : ask_come(at, ask);
	}
	struct event event = {
		.market_halted = {.market = number, .closes_us = venue->session.closes_us, .state = MARKET_OPEN}};
	return decision_emit(at->call, EVENT_MARKET_HALTED, &event, at->info);
}
