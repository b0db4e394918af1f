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
	if (kg % 1000 == 0 && !__builtin_mul_overflow(price_micros, kg / 1000, &amount))
		return amount;
	bool fits = muldiv_floor(price_micros, kg, 1000, &amount);
	assert(fits); /* MARKET_PRICE_MAX × MARKET_KG_MAX ÷ 1,000 fits */
	return amount;
}

int64_t market_fee(int64_t amount_micros, int64_t ppm)
{
	int64_t fee = 0, product; /* mostly of 64 bits */
	if (!__builtin_mul_overflow(amount_micros, ppm, &product))
		return product / 1000000 + (product % 1000000 > 0);
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

struct crossing {
	const struct market *market;
	const struct event_state_order *is; /* the order that comes */
	int64_t left;
	bool past_own;                         /* orders of its own organisation are passed over */
	bool past_minimum;                     /* and those with a minimum */
	const struct market_register *batches; /* what may not trade is passed over; NULL: it is met */
};

enum order_reason order_barred(
	const struct market *market, const struct market_register *batches, const struct event_state_order *is)
{
	struct err_info why;
	if (trader_is_stopped(market, is->org))
		return ORDER_KILLED;
	return batches->movable(batches->context, is->org, is->batch, &why) ? ORDER_RECALLED : ORDER_REASON_COUNT;
}

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
	if ((crossing->past_own && id_equal(is->org, other->org)) || (crossing->past_minimum && other->minimum_kg))
		return 0;
	int64_t kg = other->shown_now_kg < crossing->left ? other->shown_now_kg : crossing->left;
	int64_t least = other->minimum_kg < other->left_kg ? other->minimum_kg : other->left_kg;
	if (kg < least ||
		(crossing->batches && order_barred(crossing->market, crossing->batches, other) != ORDER_REASON_COUNT))
		return 0;
	return kg;
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

bool order_is_before(const struct market *market, enum order_side side, uint32_t a, uint32_t b)
{
	const struct book_order *first = book_at(market->book, a), *second = book_at(market->book, b);
	if (first->price != second->price)
		return (side == ORDER_BUY) == (first->price < second->price);
	return first->rank < second->rank;
}

uint32_t link_first(const struct market *market, const struct event_state_order *is)
{
	return is->side == ORDER_BUY ? market->instruments[is->instrument - 1].first_link
				     : market->classes[is->class_number - 1].first_link;
}

uint32_t link_next(const struct market *market, const struct event_state_order *is, uint32_t link)
{
	return is->side == ORDER_BUY ? market->links[link].next_of_instrument : market->links[link].next_of_class;
}

uint32_t link_best(const struct market *market, const struct event_state_order *is, uint32_t link)
{
	return book_best(market->book, is->side == ORDER_BUY ? market->links[link].asks : market->links[link].bids);
}

/* The order that this one trades with next, or 0. */
static uint32_t crossing_next(const struct crossing *crossing)
{
	const struct market *market = crossing->market;
	const bool buys = crossing->is->side == ORDER_BUY;
	int64_t limit = buys ? crossing->is->price_micros : -crossing->is->price_micros; /* as a ladder's key */
	uint32_t best = 0;
	for (uint32_t link = link_first(market, crossing->is); link; link = link_next(market, crossing->is, link)) {
		if (book_best_key(market->book, buys ? market->links[link].asks : market->links[link].bids) > limit)
			continue; /* mostly: it does not cross, or is worse than what was found */
		uint32_t slot = ladder_next(crossing, link_best(market, crossing->is, link));
		if (slot && (!best || order_is_before(market, (enum order_side)crossing->is->side, slot, best))) {
			best = slot;
			limit = buys ? book_at(market->book, best)->price : -book_at(market->book, best)->price;
		}
	}
	return best;
}

/* ---- what would trade ---- */

/* What is left of an iceberg whose part was taken: it goes behind all others of its price. */
struct again {
	uint32_t slot;
	int64_t left;
};

struct preview {
	struct crossing crossing;
	uint32_t cursors; /* of the market's */
	struct again again[MARKET_TRADES_MOST + 1];
	uint32_t first, behind; /* of `again` */
	struct {
		uint64_t class_number;
		int64_t price;
	} trades[MARKET_TRADES_MOST + 1];
	uint32_t traded;
};

static void preview_start(struct preview *preview)
{
	const struct market *market = preview->crossing.market;
	const struct event_state_order *is = preview->crossing.is;
	for (uint32_t link = link_first(market, is); link; link = link_next(market, is, link))
		market->cursors[preview->cursors++] = link_best(market, is, link);
}

/* The cursor at the order that comes next in the ladders; NULL: none crosses. */
static uint32_t *preview_cursor(const struct preview *preview)
{
	const struct market *market = preview->crossing.market;
	enum order_side side = (enum order_side)preview->crossing.is->side;
	uint32_t *best = NULL;
	for (uint32_t i = 0; i < preview->cursors; i++) {
		uint32_t *cursor = &market->cursors[i];
		*cursor = ladder_next(&preview->crossing, *cursor);
		if (*cursor && (!best || order_is_before(market, side, *cursor, *best)))
			best = cursor;
	}
	return best;
}

/* Whether the trade that comes next is within the bands of its class, after those before it. */
static bool preview_is_banded(struct preview *preview, const struct event_state_order *other)
{
	const struct event_state_order *is = preview->crossing.is;
	const struct market *market = preview->crossing.market;
	uint64_t number = is->side == ORDER_SELL ? is->class_number : other->class_number;
	const struct event_state_class *class = &class_find(market, number)->is;
	int64_t last = class->last_micros;
	for (uint32_t i = 0; i < preview->traded; i++)
		if (preview->trades[i].class_number == number)
			last = preview->trades[i].price;
	preview->trades[preview->traded].class_number = number;
	preview->trades[preview->traded++].price = other->price_micros;
	return market->venues[is->market - 1].is.state != MARKET_OPEN ||
	       band_takes(market, class, last, other->price_micros);
}

/* The kilograms of the next trade; 0: there is none. */
static int64_t preview_trade(struct preview *preview)
{
	const struct market *market = preview->crossing.market;
	uint32_t *cursor = preview_cursor(preview);
	struct again again = preview->again[preview->first];
	bool comes_again =
		preview->first < preview->behind &&
		(!cursor || book_at(market->book, *cursor)->price != book_at(market->book, again.slot)->price);
	if (!cursor && !comes_again)
		return 0;
	if (comes_again)
		preview->first++;
	else
		again.slot = *cursor;
	const struct event_state_order *other = &market->orders[book_at(market->book, again.slot)->detail].is;
	if (!preview_is_banded(preview, other))
		return 0;
	int64_t shown = other->shown_now_kg;
	if (comes_again)
		shown = other->shown_kg < again.left ? other->shown_kg : again.left;
	else
		again.left = other->left_kg;
	int64_t kg = shown < preview->crossing.left ? shown : preview->crossing.left;
	again.left -= kg;
	if (again.left && kg == shown)
		preview->again[preview->behind++] = again;
	if (!comes_again)
		*cursor = book_next(market->book, *cursor);
	return kg;
}

int64_t order_fillable(const struct market *market, const struct market_register *batches,
	const struct event_state_order *is, int64_t enough, uint32_t *ret_trades)
{
	struct preview preview = {
		.crossing = {.market = market, .batches = batches, .is = is, .left = is->left_kg, .past_own = true}};
	preview_start(&preview);
	int64_t filled = 0, kg;
	for (*ret_trades = 0; filled < enough && (kg = preview_trade(&preview)) != 0; ++*ret_trades) {
		if (*ret_trades == MARKET_TRADES_MOST) {
			++*ret_trades;
			break;
		}
		filled += kg;
		preview.crossing.left -= kg;
	}
	return filled;
}

size_t order_steps(const struct market *market, const struct market_register *batches,
	const struct event_state_order *is, struct order_step ret_steps[MARKET_TRADES_MOST])
{
	struct preview preview = {.crossing = {.market = market,
					  .batches = batches,
					  .is = is,
					  .left = is->left_kg,
					  .past_own = true,
					  .past_minimum = true}};
	size_t count = 0;
	int64_t kg;
	preview_start(&preview);
	while (count < MARKET_TRADES_MOST && (kg = preview_trade(&preview)) != 0) {
		ret_steps[count++] = (struct order_step){preview.trades[preview.traded - 1].price, kg};
		preview.crossing.left -= kg;
	}
	return count;
}

int64_t order_collar(
	const struct market *market, const struct market_register *batches, const struct event_state_order *order)
{
	struct event_state_order is = *order;
	is.price_micros = is.side == ORDER_BUY ? MARKET_PRICE_MAX : 1;
	struct crossing crossing = {
		.market = market, .batches = batches, .is = &is, .left = is.left_kg, .past_own = true};
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

/* The seller's lowest listed serials that make `*kg`, or as many kilograms as `room` ranges hold. */
static enum err serials_pick(const struct ledger *ledger, const struct order *sell, size_t room, int64_t *kg,
	struct serial_range ranges[EVENTS_RANGES_MAX], size_t *ret_count)
{
	enum err err = ledger_pick_of(ledger, sell->account, KG_LISTED, *kg, ranges, room, ret_count);
	if (err != ERR_COMMAND_TOO_LARGE)
		return err;
	*kg = 0;
	for (*ret_count = 0; *ret_count < room; ++*ret_count)
		*kg += ranges[*ret_count].length;
	return ERR_OK;
}

/* Leaves the last kilogram of a pick out. */
static void pick_less(struct serial_range *ranges, size_t *count, int64_t *kg)
{
	--*kg;
	if (--ranges[*count - 1].length == 0)
		--*count;
}

enum err order_reduce(struct market *market, struct ledger *ledger, struct decision *call, const struct order *order,
	int64_t kg, enum order_reason reason, size_t *room, struct err_info *info)
{
	const struct event_state_order *is = &order->is;
	int64_t lot_kg = venue_find(market, is->market)->is.lot_kg, picked_kg = kg;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = 0;
	if (is->side == ORDER_SELL) {
		enum err err = serials_pick(ledger, order, *room, &picked_kg, ranges, &count);
		assert(err == ERR_OK); /* what is left of an order is listed */
		if (picked_kg < kg && reason == ORDER_AMENDED)
			return REFUSE(info, ERR_COMMAND_TOO_LARGE, "/kg",
				"so many kilograms lie in more than %d ranges: lower it in steps", EVENTS_RANGES_MAX);
		if (picked_kg && picked_kg < kg && (is->left_kg - picked_kg) % lot_kg == 0)
			pick_less(ranges, &count, &picked_kg); /* so that it is seen to end */
		*room = picked_kg < kg ? 0 : *room - count;
		if (picked_kg == 0)
			return ERR_OK; /* another command takes it */
	}
	int64_t left = is->left_kg - picked_kg;
	struct event event = {.order_reduced = {.order = is->order,
				      .org = is->org,
				      .kg = picked_kg,
				      .left_kg = left,
				      .shown_kg = is->shown_now_kg < left ? is->shown_now_kg : left,
				      .reason = (uint32_t)reason},
		.lists = {.ranges = ranges, .range_count = count}};
	if (is->side == ORDER_BUY)
		event.order_reduced.released_micros =
			is->reserved_micros -
			(left ? market_reserve_micros(is->price_micros, left, worst_ppm(is), lot_kg) : 0);
	return decision_emit(call, EVENT_ORDER_REDUCED, &event, info);
}

enum err order_trade(struct market *market, struct ledger *ledger, struct decision *call, const struct deal *deal,
	size_t *room, struct err_info *info)
{
	const struct event_state_order *taker = deal->taker, *maker = deal->maker;
	bool buys = taker->side == ORDER_BUY, whole = taker->minimum_kg || maker->minimum_kg;
	const struct event_state_order *buy = buys ? taker : maker, *sell = buys ? maker : taker;
	const struct order *gives = order_find(market, sell->order);
	const struct event_state_market *rules = &venue_find(market, taker->market)->is;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = 0;
	int64_t kg = deal->kg, picked_kg = kg;
	enum err err = serials_pick(ledger, gives, *room, &picked_kg, ranges, &count);
	if (!err && picked_kg < kg) {
		kg = whole ? 0 : picked_kg / rules->lot_kg * rules->lot_kg;
		if (kg == 0 && *room == EVENTS_RANGES_MAX) /* no command could trade it */
			return order_reduce(market, ledger, call, gives, sell->left_kg, ORDER_SCATTERED, room, info);
		if (kg == 0) {
			*room = 0;
			return ERR_OK;
		}
		picked_kg = kg;
		err = serials_pick(ledger, gives, *room, &picked_kg, ranges, &count);
	}
	assert(err == ERR_OK); /* what is left of an order is listed */
	*room -= count;
	int64_t amount = market_amount(deal->price_micros, kg);
	int64_t buyer_fee = market_fee(amount, buys || deal->at_auction ? buy->taker_ppm : buy->maker_ppm);
	int64_t seller_fee = market_fee(amount, buys && !deal->at_auction ? sell->maker_ppm : sell->taker_ppm);
	int64_t buy_left = buy->left_kg - kg, maker_left = maker->left_kg - kg, shown = maker->shown_now_kg - kg;
	int64_t kept = buy_left ? market_reserve_micros(buy->price_micros, buy_left, worst_ppm(buy), rules->lot_kg) : 0;
	bool refreshed = shown == 0 && maker_left > 0 && !deal->at_auction;
	if (refreshed)
		shown = maker->shown_kg < maker_left ? maker->shown_kg : maker_left;
	if (deal->at_auction) /* an iceberg takes part with all that it has, and keeps its place */
		shown = maker->shown_now_kg < maker_left ? maker->shown_now_kg : maker_left;
	struct event event = {
		.traded = {.trade = market->trade_number + 1,
			.market = taker->market,
			.class_number = sell->class_number,
			.maker = maker->order,
			.taker = taker->order,
			.seller = sell->org,
			.buyer = buy->org,
			.price_micros = deal->price_micros,
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
	const struct event_state_order *taker, const struct event_state_order *maker, size_t *room,
	struct err_info *info)
{
	enum err err = ERR_OK;
	int64_t both = taker->left_kg < maker->left_kg ? taker->left_kg : maker->left_kg;
	int64_t taker_kg = taker->left_kg, maker_kg = maker->left_kg;
	const struct id takes = taker->order;
	const enum order_stp stp = (enum order_stp)taker->stp;
	if (stp == STP_DECREMENT)
		taker_kg = maker_kg = both;
	if (stp != STP_NEWEST)
		err = order_reduce(
			market, ledger, call, order_find(market, maker->order), maker_kg, ORDER_SELF_TRADE, room, info);
	if (!err && stp != STP_OLDEST)
		err = order_reduce(
			market, ledger, call, order_find(market, takes), taker_kg, ORDER_SELF_TRADE, room, info);
	return err;
}

/* What an order does that has nothing more to trade with. */
static enum err settle_down(struct market *market, struct ledger *ledger, struct decision *call,
	const struct order *order, size_t *room, struct err_info *info)
{
	const struct event_state_order *is = &order->is;
	bool rests = is->tif != ORDER_IOC && is->tif != ORDER_FOK && is->type != ORDER_MARKET &&
		     is->type != ORDER_STOP && is->type != ORDER_TRAILING_STOP;
	if (!rests)
		return order_reduce(market, ledger, call, order, is->left_kg, ORDER_NOT_FILLED, room, info);
	struct event event = {.order_rested = {.order = is->order, .kg = is->left_kg}};
	return decision_emit(call, EVENT_ORDER_RESTED, &event, info);
}

/* Whether what an order would trade at once is less than it must be. */
static bool is_too_little(const struct market *market, const struct market_register *batches, const struct order *order)
{
	uint32_t trades;
	int64_t least = order->is.minimum_kg < order->is.left_kg ? order->is.minimum_kg : order->is.left_kg;
	return least && order_fillable(market, batches, &order->is, least, &trades) < least;
}

static bool is_open(const struct market *market, const struct event_state_order *is)
{
	return market->venues[is->market - 1].is.state == MARKET_OPEN;
}

static enum err trade_next(struct market *market, struct ledger *ledger, const struct market_register *batches,
	struct decision *call, const struct event_state_order *taker, uint32_t slot, int64_t kg, size_t *room,
	struct err_info *info)
{
	const struct order *rests = &market->orders[book_at(market->book, slot)->detail];
	const struct event_state_order *maker = &rests->is;
	enum order_reason bar = order_barred(market, batches, maker);
	if (bar != ORDER_REASON_COUNT)
		return order_reduce(market, ledger, call, rests, maker->left_kg, bar, room, info);
	if (id_equal(maker->org, taker->org))
		return self_trade(market, ledger, call, taker, maker, room, info);
	const struct event_state_class *class =
		&class_find(market, taker->side == ORDER_SELL ? taker->class_number : maker->class_number)->is;
	if (is_open(market, taker) && !band_takes(market, class, class->last_micros, maker->price_micros))
		return session_interrupt(market, call, class, maker->price_micros, info);
	struct deal deal = {.taker = taker, .maker = maker, .kg = kg, .price_micros = maker->price_micros};
	return order_trade(market, ledger, call, &deal, room, info);
}

enum err order_take(struct market *market, struct ledger *ledger, const struct market_register *batches,
	struct decision *call, struct id id, bool comes, struct err_info *info)
{
	const struct order *order = order_find_near(market, id);
	enum order_reason bar = order_barred(market, batches, &order->is);
	size_t room = EVENTS_RANGES_MAX;
	enum err err = ERR_OK;
	if (order_is_ending(market, &order->is) || bar != ORDER_REASON_COUNT)
		return order_reduce(market, ledger, call, order, order->is.left_kg,
			bar == ORDER_REASON_COUNT ? ORDER_NOT_FILLED : bar, &room, info);
	if (comes && is_too_little(market, batches, order))
		return settle_down(market, ledger, call, order, &room, info);
	for (int trades = 0; !err && room && trades <= MARKET_TRADES_MOST; trades++) {
		order = order_find(market, id);
		if (!order || order_is_ending(market, &order->is))
			return ERR_OK;
		const struct event_state_order *taker = &order->is;               /* until an event is emitted */
		if (market->venues[taker->market - 1].is.state == MARKET_AUCTION) /* it was interrupted */
			return settle_down(market, ledger, call, order, &room, info);
		struct crossing crossing = {
			.market = market, .is = taker, .left = taker->left_kg, .past_own = taker->minimum_kg > 0};
		uint32_t slot = crossing_next(&crossing);
		if (!slot)
			return settle_down(market, ledger, call, order, &room, info);
		if (trades == MARKET_TRADES_MOST)
			break;
		int64_t kg = crossing_kg(&crossing, &market->orders[book_at(market->book, slot)->detail].is);
		err = trade_next(market, ledger, batches, call, taker, slot, kg, &room, info);
	}
	order = order_find(market, id); /* an order_work goes on */
	return !err && order && order->is.tif == ORDER_FOK
		       ? REFUSE(info, ERR_COMMAND_TOO_LARGE, "/kg",
				 "its serials lie in more than %d ranges: it cannot be filled whole at once",
				 EVENTS_RANGES_MAX)
		       : err;
}
