/* Life cycle, memory, finding, snapshots. The state's thread. */
#include <stdlib.h>
#include <string.h>

#include "carbond/base/pages.h"
#include "state.h"

struct market *market_new(uint64_t seed)
{
	struct market *market = calloc(1, sizeof *market);
	if (!market)
		return NULL;
	market->seed = market->contracts.seed = seed;
	market->link_used = 1;
	market->auctions.next_due_us = INT64_MAX;
	market->book = book_new(seed, false);
	if (!market->book || !book_reserve(market->book, 0, 1)) {
		market_free(&market);
		return NULL;
	}
	market->ends = book_ladder_add(market->book, BOOK_ASK);
	return market;
}

void market_free(struct market **market)
{
	struct market *old = *market;
	*market = NULL;
	if (!old)
		return;
	book_free(&old->book);
	contracts_free(&old->contracts);
	map_free(&old->order_map);
	map_free(&old->exposure_map);
	free(old->exposures);
	map_free(&old->lot_map);
	free(old->lots);
	free(old->venues);
	free(old->classes);
	free(old->instruments);
	free(old->class_verifiers);
	free(old->instrument_verifiers);
	free(old->links);
	free(old->cursors);
	free(old->orders);
	free(old->stopped);
	auctions_free(&old->auctions);
	pools_free(&old->pools);
	free(old->watches);
	free(old->seals);
	free(old);
}

/* An event moves two orders at most, each of which lies in three ladders at most, and an undo moves them back. */
enum { EVENT_PUTS = 6, EVENT_LADDERS = 3, EVENTS_UNDONE = EVENT_PUTS * EVENTS_PER_COMMAND_MAX };

/* Room for a further order: whole lines of the cache in huge pages, since orders are met in no order. */
static bool orders_room(struct market *market)
{
	uint32_t used = market->order_used + 1; /* [0] is not used */
	if (used + 1 < market->order_capacity)
		return true;
	size_t capacity = ((size_t)used + 16) * 2;
	if (capacity > UINT32_MAX / 2)
		return false; /* uncovered: two thousand million orders take more memory than a test may have */
	struct order *orders = aligned_alloc(sizeof *orders, capacity * sizeof *orders);
	if (!orders)
		return false;
	pages_huge(orders, capacity * sizeof *orders);
	if (market->orders)
		memcpy(orders, market->orders, used * sizeof *orders);
	free(market->orders);
	market->orders = orders;
	market->order_capacity = (uint32_t)capacity;
	return true;
}

/* What orders and their trades need. */
static bool orders_reserve(struct market *market)
{
	return orders_room(market) && map_reserve(&market->order_map, 1) && seals_reserve(market) &&
	       ROOM(market, exposures, market->exposure_count, exposure_capacity) &&
	       map_reserve(&market->exposure_map, 1) && ROOM(market, lots, market->lot_count, lot_capacity) &&
	       map_reserve(&market->lot_map, 1) &&
	       book_reserve(market->book, EVENT_PUTS + EVENTS_UNDONE, EVENT_LADDERS);
}

/* What all else needs. */
static bool others_reserve(struct market *market)
{
	/* a new class or instrument has a link to each of the other kind at most */
	uint32_t others =
		market->class_count > market->instrument_count ? market->class_count : market->instrument_count;
	return ROOM(market, links, market->link_used + others, link_capacity) &&
	       ROOM(market, cursors, others, cursor_capacity) &&
	       ROOM(market, venues, market->venue_count, venue_capacity) &&
	       ROOM(market, classes, market->class_count, class_capacity) &&
	       ROOM(market, instruments, market->instrument_count, instrument_capacity) &&
	       ROOM(market, class_verifiers, market->class_count, class_verifiers_capacity) &&
	       ROOM(market, instrument_verifiers, market->instrument_count, instrument_verifiers_capacity) &&
	       ROOM(market, stopped, market->stopped_count, stopped_capacity) &&
	       ROOM(market, watches, market->watch_count, watch_capacity) && contracts_reserve(&market->contracts) &&
	       auctions_reserve(&market->auctions) && pools_reserve(&market->pools);
}

enum err market_reserve(struct market *market)
{
	if (!market->has_room)
		market->has_room = others_reserve(market);
	return market->has_room && orders_reserve(market) ? ERR_OK : ERR_NO_MEMORY;
}

bool seals_reserve(struct market *market)
{
	uint32_t before = market->seal_capacity;
	uint64_t count = market->trade_number < MARKET_TRADES_KEPT ? market->trade_number : MARKET_TRADES_KEPT - 1;
	if (count < before)
		return true;
	if (!ROOM(market, seals, (uint32_t)count, seal_capacity))
		return false;
	memset(&market->seals[before], 0, (market->seal_capacity - before) * sizeof *market->seals);
	return true;
}

/* ---- finding ---- */

static bool order_equal(const void *context, uint32_t item, const void *key)
{
	return memcmp(&((const struct market *)context)->orders[item].is.order, key, sizeof(struct id)) == 0;
}

struct order *order_look(const struct market *market, struct id id)
{
	uint32_t item =
		map_find(&market->order_map, map_hash_bytes(market->seed, &id, sizeof id), order_equal, market, &id);
	return item == MAP_NONE ? NULL : &market->orders[item];
}

void market_prefetch(const struct market *market, struct id order, enum market_prefetch what)
{
	uint64_t hash = map_hash_bytes(market->seed, &order, sizeof order);
	if (what == MARKET_PREFETCH_SLOT) {
		map_prefetch(&market->order_map, hash);
		return;
	}
	uint32_t item = map_guess(&market->order_map, hash);
	if (item == MAP_NONE)
		return;
	const struct order *found = &market->orders[item];
	if (what == MARKET_PREFETCH_ORDER) {
		for (size_t line = 0; line < sizeof *found; line += 64)
			__builtin_prefetch((const char *)found + line);
		return;
	}
	book_prefetch_slot(market->book, found->slot,
		what == MARKET_PREFETCH_PLACE ? BOOK_PREFETCH_ORDER : BOOK_PREFETCH_NEIGHBOURS);
}

struct venue *venue_find(const struct market *market, uint64_t number)
{
	return number >= 1 && number <= market->venue_count ? &market->venues[number - 1] : NULL;
}

bool market_is_open(const struct market *market, enum credit_kind kind, struct code8 currency)
{
	for (uint32_t i = 0; i < market->venue_count; i++) {
		const struct event_state_market *is = &market->venues[i].is;
		if (is->kind == (uint32_t)kind && memcmp(&is->currency, &currency, sizeof is->currency) == 0)
			return true;
	}
	return false;
}

struct class *class_find(const struct market *market, uint64_t number)
{
	return number >= 1 && number <= market->class_count ? &market->classes[number - 1] : NULL;
}

struct instrument *instrument_find(const struct market *market, uint64_t number)
{
	return number >= 1 && number <= market->instrument_count ? &market->instruments[number - 1] : NULL;
}

uint32_t order_ladder(const struct market *market, const struct order *order)
{
	const struct event_state_order *is = &order->is;
	bool sleeps = is->state == ORDER_SLEEPS;
	if (is->side == ORDER_SELL) {
		const struct class *class = &market->classes[is->class_number - 1];
		return sleeps ? class->sell_stops : class->asks;
	}
	const struct instrument *instrument = &market->instruments[is->instrument - 1];
	return sleeps ? instrument->buy_stops : instrument->bids;
}

bool order_is_ending(const struct market *market, const struct event_state_order *is)
{
	return is->left_kg % market->venues[is->market - 1].is.lot_kg != 0;
}

uint32_t market_order_count(const struct market *market)
{
	return market->order_count;
}

uint64_t market_trade_count(const struct market *market)
{
	return market->trade_number;
}

/* ---- snapshots ---- */

static int order_compare(const void *a, const void *b)
{
	const struct order *first = *(const struct order *const *)a, *second = *(const struct order *const *)b;
	return first->is.number < second->is.number ? -1 : first->is.number > second->is.number;
}

typedef enum err emit_function(void *context, struct event *event, struct err_info *info);

static enum err orders_put(const struct market *market, emit_function *emit, void *context, struct err_info *info)
{
	const struct order **sorted = calloc(market->order_count + 1, sizeof *sorted);
	size_t count = 0;
	if (!sorted)
		return ERR_NO_MEMORY;
	for (uint32_t i = 1; i <= market->order_used; i++)
		if (!id_is_none(market->orders[i].is.order))
			sorted[count++] = &market->orders[i];
	qsort(sorted, count, sizeof *sorted, order_compare);
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && !err; i++) {
		struct event event = {.header.type = EVENT_STATE_ORDER, .state_order = sorted[i]->is};
		err = emit(context, &event, info);
	}
	free(sorted);
	return err;
}

static enum err trades_put(const struct market *market, emit_function *emit, void *context, struct err_info *info)
{
	uint64_t last = market->trade_number, before = last > MARKET_TRADES_KEPT ? last - MARKET_TRADES_KEPT : 0;
	enum err err = ERR_OK;
	for (uint64_t trade = before + 1; trade <= last && !err; trade++) {
		struct hash seal = market->seals[(trade - 1) % MARKET_TRADES_KEPT];
		struct event event = {.header.type = EVENT_STATE_TRADE, .state_trade = {.trade = trade, .seal = seal}};
		if (!hash_is_none(seal))
			err = emit(context, &event, info);
	}
	return err;
}

enum err market_snapshot(const struct market *market, emit_function *emit, void *context, struct err_info *info)
{
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < market->venue_count && !err; i++) {
		struct event event = {.header.type = EVENT_STATE_MARKET, .state_market = market->venues[i].is};
		err = emit(context, &event, info);
	}
	for (uint32_t i = 0; i < market->venue_count && !err; i++) {
		struct event event = {.header.type = EVENT_STATE_SESSION, .state_session = market->venues[i].session};
		err = emit(context, &event, info);
	}
	for (uint32_t i = 0; i < market->class_count && !err; i++) {
		struct event event = {.header.type = EVENT_STATE_CLASS,
			.state_class = market->classes[i].is,
			.lists = verifiers_list(&market->class_verifiers[i])};
		err = emit(context, &event, info);
	}
	for (uint32_t i = 0; i < market->instrument_count && !err; i++) {
		struct event event = {.header.type = EVENT_STATE_INSTRUMENT,
			.state_instrument = market->instruments[i].is,
			.lists = verifiers_list(&market->instrument_verifiers[i])};
		err = emit(context, &event, info);
	}
	if (!err && (market->order_number || market->trade_number)) {
		struct event event = {.header.type = EVENT_STATE_TRADING,
			.state_trading = {.orders = market->order_number, .trades = market->trade_number}};
		err = emit(context, &event, info);
	}
	for (uint32_t i = 0; i < market->stopped_count && !err; i++) {
		struct event event = {.header.type = EVENT_STATE_TRADER, .state_trader.org = market->stopped[i]};
		err = emit(context, &event, info);
	}
	for (uint32_t i = 0; i < market->watch_count && !err; i++) {
		const struct watch *watch = &market->watches[i];
		struct event event = {.header.type = EVENT_STATE_CANCEL_AFTER,
			.state_cancel_after = {.org = watch->org, .deadline_us = watch->deadline_us}};
		err = emit(context, &event, info);
	}
	if (!err)
		err = trades_put(market, emit, context, info);
	if (!err)
		err = trader_limits_put(market, emit, context, info);
	if (!err)
		err = orders_put(market, emit, context, info);
	if (!err && (market->auctions.number || market->pools.count)) {
		struct event event = {.header.type = EVENT_STATE_OFFERS,
			.state_offers = {.auctions = market->auctions.number, .pools = market->pools.count}};
		err = emit(context, &event, info);
	}
	if (!err)
		err = auctions_snapshot(market, emit, context, info);
	return err ? err : pools_snapshot(market, emit, context, info);
}
