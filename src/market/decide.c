/* Decides commands: what may be asked, and what follows. The state's thread. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/decimal.h"
#include "state.h"

/* ---- markets ---- */

static enum err decide_market_open(const struct deciding *at)
{
	const struct command_market_open *asked = &at->call->command->market_open;
	struct err_info *info = at->info;
	if (!ledger_money_asset(asked->currency))
		return REFUSE(
			info, ERR_INVALID_FIELD, "/currency", "/currency must be 1..7 of A-Z and 0-9, a letter first");
	if (asked->kind >= CREDIT_KIND_COUNT)
		return REFUSE(info, ERR_INVALID_FIELD, "/kind", "/kind must be removal or reduction");
	if (asked->tick_micros < 1000 || asked->tick_micros % 1000 || asked->tick_micros > MARKET_PRICE_MAX)
		return REFUSE(info, ERR_INVALID_FIELD, "/tick", "/tick must be a multiple of 0.001");
	if (asked->lot_kg < 1000 || asked->lot_kg % 1000 || asked->lot_kg > MARKET_KG_MAX)
		return REFUSE(info, ERR_INVALID_FIELD, "/lot_kg", "/lot_kg must be a multiple of 1000, 1000..%lld",
			(long long)MARKET_KG_MAX);
	if (asked->taker_ppm < 0 || asked->taker_ppm > MARKET_FEE_MAX_PPM || asked->maker_ppm > MARKET_FEE_MAX_PPM ||
		asked->maker_ppm < -asked->taker_ppm)
		return REFUSE(info, ERR_INVALID_FIELD, "/maker_ppm",
			"/taker_ppm must be 0..%d, /maker_ppm -taker_ppm..%d", MARKET_FEE_MAX_PPM, MARKET_FEE_MAX_PPM);
	if (asked->collar_ppm < 0 || asked->collar_ppm > 900000)
		return REFUSE(info, ERR_INVALID_FIELD, "/collar_ppm", "/collar_ppm must be 0..900000");
	if (id_is_none(ledger_house(at->ledger)))
		return REFUSE(info, ERR_NOT_FOUND, "", "the registry has not named its house, which takes the fees");
	for (uint32_t i = 0; i < at->market->venue_count; i++) {
		const struct event_state_market *is = &at->market->venues[i].is;
		if (is->kind == asked->kind && memcmp(&is->currency, &asked->currency, sizeof is->currency) == 0)
			return REFUSE(info, ERR_DUPLICATE, "/currency", "market %llu is that of this kind and currency",
				(unsigned long long)is->market);
	}
	at->call->number = at->market->venue_count + 1ull;
	struct event event = {.market_opened = {.market = at->call->number,
				      .currency = asked->currency,
				      .tick_micros = asked->tick_micros,
				      .lot_kg = asked->lot_kg,
				      .maker_ppm = asked->maker_ppm,
				      .taker_ppm = asked->taker_ppm,
				      .collar_ppm = asked->collar_ppm,
				      .house = ledger_house(at->ledger),
				      .kind = asked->kind}};
	return decision_emit(at->call, EVENT_MARKET_OPENED, &event, info);
}

/* ---- placing ---- */

static enum err quantity_check(const char *pointer, int64_t kg, int64_t lot_kg, int64_t most, struct err_info *info)
{
	if (kg < lot_kg || kg % lot_kg || kg > most)
		return REFUSE(info, ERR_INVALID_FIELD, pointer, "%s must be a multiple of %lld kg, %lld..%lld", pointer,
			(long long)lot_kg, (long long)lot_kg, (long long)most);
	return ERR_OK;
}

static enum err price_check(const char *pointer, int64_t price, int64_t tick, struct err_info *info)
{
	char step[DECIMAL_TEXT_SIZE], most[DECIMAL_TEXT_SIZE];
	if (price < tick || price % tick || price > MARKET_PRICE_MAX)
		return REFUSE(info, ERR_INVALID_FIELD, pointer, "%s must be a multiple of the tick of %s, up to %s",
			pointer, micros_text(tick, step), micros_text(MARKET_PRICE_MAX, most));
	return ERR_OK;
}

static bool has_limit(uint32_t type)
{
	return type == ORDER_LIMIT || type == ORDER_STOP_LIMIT;
}

static bool has_stop(uint32_t type)
{
	return type == ORDER_STOP || type == ORDER_STOP_LIMIT || type == ORDER_TRAILING_STOP;
}

static enum err shape_check(const struct command_order_place *asked, const struct event_state_market *rules,
	int64_t now_us, struct err_info *info)
{
	int64_t tick = rules->tick_micros;
	if (asked->side >= ORDER_SIDE_COUNT || asked->type >= ORDER_TYPE_COUNT || asked->tif >= ORDER_TIF_COUNT ||
		asked->stp >= ORDER_STP_COUNT || asked->post_only > 1 || asked->hidden > 1)
		return REFUSE(info, ERR_INVALID_FIELD, "",
			"an order's side, type, time in force or self-trade rule is not known");
	enum err err = quantity_check("/kg", asked->kg, rules->lot_kg, MARKET_KG_MAX, info);
	if (!err && asked->shown_kg)
		err = quantity_check("/shown_kg", asked->shown_kg, rules->lot_kg, asked->kg, info);
	if (!err && asked->minimum_kg)
		err = quantity_check("/minimum_kg", asked->minimum_kg, rules->lot_kg, asked->kg, info);
	if (!err && asked->minimum_kg && asked->shown_kg && asked->shown_kg < asked->kg)
		err = REFUSE(info, ERR_INVALID_FIELD, "/minimum_kg", "an iceberg has no minimum");
	if (!err && has_limit(asked->type))
		err = price_check("/price", asked->price_micros, tick, info);
	else if (!err && asked->price_micros)
		err = REFUSE(info, ERR_INVALID_FIELD, "/price", "a market, stop or trailing order has no limit");
	if (!err && (asked->type == ORDER_STOP || asked->type == ORDER_STOP_LIMIT))
		err = price_check("/stop_price", asked->stop_micros, tick, info);
	else if (!err && asked->stop_micros)
		err = REFUSE(info, ERR_INVALID_FIELD, "/stop_price", "only a stop order has a stop");
	if (!err && asked->type == ORDER_TRAILING_STOP)
		err = price_check("/trail", asked->trail_micros, tick, info);
	else if (!err && asked->trail_micros)
		err = REFUSE(info, ERR_INVALID_FIELD, "/trail", "only a trailing stop trails");
	if (!err && (asked->tif == ORDER_GTD) != (asked->expires_us != 0))
		err = REFUSE(info, ERR_INVALID_FIELD, "/expires_at", "/expires_at belongs to gtd, and gtd to it");
	if (!err && asked->tif == ORDER_GTD && asked->expires_us <= now_us)
		err = REFUSE(info, ERR_INVALID_FIELD, "/expires_at", "/expires_at must lie in the future");
	if (!err && asked->type == ORDER_MARKET && asked->tif != ORDER_IOC && asked->tif != ORDER_FOK)
		err = REFUSE(info, ERR_INVALID_FIELD, "/tif", "a market order is ioc or fok");
	if (!err && asked->post_only &&
		(asked->type != ORDER_LIMIT || asked->tif == ORDER_IOC || asked->tif == ORDER_FOK))
		err = REFUSE(info, ERR_INVALID_FIELD, "/post_only", "only a limit order that may rest is post-only");
	if (!err && has_stop(asked->type) && (asked->tif == ORDER_IOC || asked->tif == ORDER_FOK))
		err = REFUSE(info, ERR_INVALID_FIELD, "/tif", "a stop order sleeps: it is gtc, gtd or day");
	return err;
}

/* Where the order is: market and, of a sell order, class; the class is opened where it is the first of its kind. */
static enum err place_find(const struct deciding *at, struct event_state_order *is)
{
	const struct command *command = at->call->command;
	const struct command_order_place *asked = &command->order_place;
	struct err_info *info = at->info;
	if (asked->side == ORDER_BUY) {
		const struct instrument *instrument = instrument_find(at->market, asked->instrument);
		if (!instrument || asked->batch || asked->market)
			return REFUSE(info, instrument ? ERR_INVALID_FIELD : ERR_NOT_FOUND, "/instrument",
				"a buy order names an instrument that is listed, and neither batch nor market");
		if (!instrument_is_newest(at->market, instrument))
			return REFUSE(info, ERR_INVALID_FIELD, "/instrument", "the instrument has a newer version");
		is->instrument = asked->instrument;
		is->market = instrument->is.market;
		return at->batches->movable(at->batches->context, command->org, 0, info);
	}
	const struct venue *venue = venue_find(at->market, asked->market);
	struct market_attributes attributes;
	if (!venue || asked->instrument)
		return REFUSE(info, venue ? ERR_INVALID_FIELD : ERR_NOT_FOUND, "/market",
			"a sell order names a market and a batch, and no instrument");
	if (!at->batches->attributes(at->batches->context, asked->batch, &attributes))
		return REFUSE(info, ERR_NOT_FOUND, "/batch", "there is no such batch");
	if ((uint32_t)attributes.kind != venue->is.kind)
		return REFUSE(info, ERR_INVALID_FIELD, "/batch", "the batch is not of the market's kind");
	is->market = asked->market;
	is->batch = asked->batch;
	enum err err = at->batches->movable(at->batches->context, command->org, asked->batch, info);
	if (err)
		return err;
	const struct class *class = class_of(at->market, asked->market, &attributes);
	is->class_number = class ? class->is.class_number : at->market->class_count + 1ull;
	if (class)
		return ERR_OK;
	struct event event = {.class_opened = {.class_number = is->class_number,
				      .market = asked->market,
				      .methodology = attributes.methodology,
				      .country = attributes.country,
				      .durability = (uint32_t)attributes.durability,
				      .vintage = attributes.vintage},
		.lists = verifiers_list(&attributes.verifiers)};
	return decision_emit(at->call, EVENT_CLASS_OPENED, &event, info);
}

const struct event_state_class *order_last(const struct market *market, const struct event_state_order *is)
{
	if (is->side == ORDER_SELL) {
		const struct event_state_class *class = &market->classes[is->class_number - 1].is;
		return class->last_trade ? class : NULL;
	}
	const struct event_state_class *newest = NULL;
	for (uint32_t i = market->instruments[is->instrument - 1].first_link; i;
		i = market->links[i].next_of_instrument) {
		const struct event_state_class *class = &market->classes[market->links[i].class_item].is;
		if (class->last_trade && (!newest || class->last_trade > newest->last_trade))
			newest = class;
	}
	return newest;
}

/* The last trade that an order's stop looks at; 0: none. */
static int64_t last_of(const struct market *market, const struct event_state_order *is)
{
	const struct event_state_class *class = order_last(market, is);
	return class ? class->last_micros : 0;
}

static int64_t worst_reserve(const struct market *market, const struct event_state_order *is, int64_t price, int64_t kg)
{
	int64_t ppm = is->maker_ppm > is->taker_ppm ? is->maker_ppm : is->taker_ppm;
	return market_reserve_micros(price, kg, ppm, market->venues[is->market - 1].is.lot_kg);
}

/* The collar of a stop that has no limit: what it may cost more it does not buy. */
static int64_t stop_collar(const struct event_state_market *rules, const struct event_state_order *is)
{
	int64_t off = 0, tick = rules->tick_micros;
	bool fits = muldiv_floor(is->stop_micros, rules->collar_ppm, 1000000, &off);
	assert(fits);
	int64_t price = (is->side == ORDER_BUY ? is->stop_micros + off : is->stop_micros - off) / tick * tick;
	price = price < tick ? tick : price;
	return price > MARKET_PRICE_MAX ? MARKET_PRICE_MAX / tick * tick : price;
}

/* The price of an order that has no limit, and whether it comes at once, sleeps or rests. */
static enum err entry_find(const struct deciding *at, struct event_state_order *is)
{
	const struct market *market = at->market;
	struct err_info *info = at->info;
	const struct event_state_market *rules = &market->venues[is->market - 1].is;
	uint32_t trades = 0;
	if (is->type == ORDER_TRAILING_STOP) {
		int64_t last = last_of(market, is);
		if (!last)
			return REFUSE(
				info, ERR_NO_LIQUIDITY, "/trail", "there is no trade yet that a stop could trail");
		is->stop_micros = is->side == ORDER_SELL ? last - is->trail_micros : last + is->trail_micros;
		if (is->stop_micros < rules->tick_micros || is->stop_micros > MARKET_PRICE_MAX)
			return REFUSE(info, ERR_INVALID_FIELD, "/trail", "/trail leads past the allowed prices");
	}
	if (has_stop(is->type)) {
		is->state = ORDER_SLEEPS;
		if (!has_limit(is->type))
			is->price_micros = stop_collar(rules, is);
		return has_limit(is->type) ? limit_check(market, is, is->price_micros, info) : ERR_OK;
	}
	enum err err = has_limit(is->type) ? limit_check(market, is, is->price_micros, info) : ERR_OK;
	is->state = rules->state == MARKET_AUCTION ? ORDER_RESTS : ORDER_TAKES;
	if (err || is->state == ORDER_RESTS)
		return err;
	if (is->type == ORDER_MARKET) {
		is->price_micros = order_collar(market, at->batches, is);
		if (!is->price_micros)
			return REFUSE(info, ERR_NO_LIQUIDITY, "", "there is no order on the other side");
	}
	if (is->post_only && order_fillable(market, at->batches, is, 1, &trades))
		return REFUSE(info, ERR_WOULD_TRADE, "/post_only", "the order would trade at once");
	int64_t fillable =
		is->tif == ORDER_FOK ? order_fillable(market, at->batches, is, is->left_kg, &trades) : is->left_kg;
	if (trades > MARKET_TRADES_MOST)
		return REFUSE(info, ERR_COMMAND_TOO_LARGE, "/kg", "it would take more than %d trades at once",
			MARKET_TRADES_MOST);
	if (fillable < is->left_kg)
		return REFUSE(info, ERR_NOT_FILLABLE, "/kg", "%lld kg can be filled at its price", (long long)fillable);
	return ERR_OK;
}

enum err money_may_leave(const struct deciding *at, struct id org, uint64_t market, int64_t micros, bool reserves)
{
	return ledger_may_leave(
		at->ledger, org, at->market->venues[market - 1].is.currency, micros, reserves, at->info);
}

static enum err order_emit(const struct deciding *at, const struct event_state_order *is)
{
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = 0;
	struct err_info *info = at->info;
	if (is->side == ORDER_SELL) {
		struct ledger_place place = {.org = is->org, .state = KG_HELD};
		enum err err = ledger_pick(at->ledger, is->batch, place, is->kg, ranges, EVENTS_RANGES_MAX, &count);
		if (err == ERR_INSUFFICIENT_KG)
			return REFUSE(info, err, "/kg", "the organisation holds %lld kg of batch %llu",
				(long long)ledger_amount(at->ledger, is->batch, place), (unsigned long long)is->batch);
		if (err)
			return REFUSE(
				info, err, "/kg", "that many kilograms lie in more than %d ranges", EVENTS_RANGES_MAX);
	}
	if (is->side == ORDER_BUY) {
		enum err err = money_may_leave(at, is->org, is->market, is->reserved_micros, true);
		if (err)
			return err;
	}
	struct event event = {.order_placed = {.order = is->order,
				      .org = is->org,
				      .number = is->number,
				      .market = is->market,
				      .class_number = is->class_number,
				      .batch = is->batch,
				      .instrument = is->instrument,
				      .price_micros = is->price_micros,
				      .stop_micros = is->stop_micros,
				      .trail_micros = is->trail_micros,
				      .kg = is->kg,
				      .shown_kg = is->shown_kg,
				      .minimum_kg = is->minimum_kg,
				      .reserved_micros = is->reserved_micros,
				      .expires_us = is->expires_us,
				      .maker_ppm = is->maker_ppm,
				      .taker_ppm = is->taker_ppm,
				      .side = is->side,
				      .type = is->type,
				      .tif = is->tif,
				      .stp = is->stp,
				      .post_only = is->post_only,
				      .hidden = is->hidden,
				      .state = is->state},
		.lists = {.ranges = ranges, .range_count = count}};
	return decision_emit(at->call, EVENT_ORDER_PLACED, &event, info);
}

/* Whether an order may be given during an auction. */
static bool may_be_collected(const struct command_order_place *asked)
{
	return asked->type != ORDER_MARKET && asked->tif != ORDER_IOC && asked->tif != ORDER_FOK && !asked->post_only;
}

/* When a day order ends: with the trading hours, or with the UTC day. */
static int64_t day_ends(const struct event_state_session *session, int64_t now_us)
{
	return session->closes_us ? session->closes_us : (now_us / CLOCK_US_PER_DAY + 1) * CLOCK_US_PER_DAY;
}

static enum err decide_order_place(const struct deciding *at)
{
	struct market *market = at->market;
	const struct command *command = at->call->command;
	const struct command_order_place *asked = &command->order_place;
	struct err_info *info = at->info;
	struct event_state_order is = {.order = command->id, .org = command->org, .number = market->order_number + 1};
	if (id_is_none(command->org))
		return REFUSE(info, ERR_FORBIDDEN, "", "only an organisation trades");
	if (trader_is_stopped(market, command->org))
		return REFUSE(info, ERR_TRADER_STOPPED, "", "the organisation's trading is stopped");
	if (order_find(market, command->id))
		return REFUSE(info, ERR_DUPLICATE, "", "there is an order with this id");
	enum err err = place_find(at, &is);
	if (err)
		return err;
	const struct event_state_market rules = market->venues[is.market - 1].is;
	if (rules.state != MARKET_OPEN && rules.state != MARKET_AUCTION)
		return REFUSE(info, ERR_MARKET_CLOSED, "", "the market is halted or closed");
	err = shape_check(asked, &rules, at->call->now_us, info);
	if (!err && rules.state == MARKET_AUCTION && !may_be_collected(asked))
		err = REFUSE(
			info, ERR_NOT_IN_AUCTION, "/tif", "an auction collects limit orders that may rest, and stops");
	if (err)
		return err;
	is.price_micros = asked->price_micros;
	is.stop_micros = asked->stop_micros;
	is.trail_micros = asked->trail_micros;
	is.kg = is.left_kg = asked->kg;
	is.shown_kg = is.shown_now_kg = asked->shown_kg ? asked->shown_kg : asked->kg;
	is.minimum_kg = asked->tif == ORDER_FOK ? asked->kg : asked->minimum_kg;
	is.expires_us = asked->expires_us;
	if (asked->tif == ORDER_DAY)
		is.expires_us = day_ends(&market->venues[is.market - 1].session, at->call->now_us);
	is.maker_ppm = rules.maker_ppm;
	is.taker_ppm = rules.taker_ppm;
	is.side = asked->side;
	is.type = asked->type;
	is.tif = asked->tif;
	is.stp = asked->stp;
	is.post_only = asked->post_only;
	is.hidden = asked->hidden;
	err = entry_find(at, &is);
	if (err)
		return err;
	if (is.side == ORDER_BUY)
		is.reserved_micros = worst_reserve(market, &is, is.price_micros, is.kg);
	const struct exposure more = {.orders = 1, .kg = is.kg, .micros = market_amount(is.price_micros, is.kg)};
	const struct exposure *has = exposure_find(market, is.org, is.market);
	err = has ? trader_limits_check(has, &more, info) : ERR_OK;
	if (err)
		return err;
	err = order_emit(at, &is);
	at->call->number = is.number;
	return err || is.state != ORDER_TAKES
		       ? err
		       : order_take(market, at->ledger, at->batches, at->call, is.order, true, info);
}

/* ---- changing and ending ---- */

static enum err own_order(const struct deciding *at, struct id id, struct order **ret_order)
{
	struct order *order = order_find_near(at->market, id);
	if (!order || !id_equal(order->is.org, at->call->command->org))
		return REFUSE(at->info, ERR_ORDER_DONE, "", "the organisation has no such order, or it is done");
	*ret_order = order;
	return ERR_OK;
}

static enum err order_raise(const struct deciding *at, const struct order *order, int64_t price, int64_t kg)
{
	const struct event_state_order *is = &order->is; /* until the event is emitted */
	const struct id id = is->order;
	const bool sleeps = is->state == ORDER_SLEEPS;
	const struct event_state_market *rules = &at->market->venues[is->market - 1].is;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	struct event event = {.order_amended = {.order = id, .org = is->org, .price_micros = price, .kg = kg}};
	const struct exposure more = {.kg = kg - is->left_kg,
		.micros = market_amount(price, kg) - market_amount(is->price_micros, is->left_kg)};
	enum err err = at->batches->movable(at->batches->context, is->org, is->batch, at->info);
	if (!err)
		err = trader_limits_check(&at->market->exposures[order->exposure], &more, at->info);
	if (!err && is->side == ORDER_BUY) {
		event.order_amended.reserved_micros = worst_reserve(at->market, is, price, kg) - is->reserved_micros;
		if (event.order_amended.reserved_micros > 0)
			err = money_may_leave(at, is->org, is->market, event.order_amended.reserved_micros, true);
	} else if (!err && kg > is->left_kg) {
		size_t count = 0;
		err = ledger_pick_of(
			at->ledger, order->account, KG_HELD, kg - is->left_kg, ranges, EVENTS_RANGES_MAX, &count);
		if (err)
			return REFUSE(at->info, err, "/kg", "the organisation does not hold so much more of the batch");
		event.lists = (struct record_lists){.ranges = ranges, .range_count = count};
	}
	if (!err)
		err = decision_emit(at->call, EVENT_ORDER_AMENDED, &event, at->info);
	if (err || sleeps)
		return err;
	if (rules->state == MARKET_AUCTION) {
		struct event rested = {.order_rested = {.order = id, .kg = kg}};
		return decision_emit(at->call, EVENT_ORDER_RESTED, &rested, at->info);
	}
	return order_take(at->market, at->ledger, at->batches, at->call, id, true, at->info);
}

static enum err decide_order_amend(const struct deciding *at)
{
	const struct command_order_amend *asked = &at->call->command->order_amend;
	struct order *order = NULL;
	enum err err = own_order(at, asked->order, &order);
	if (err)
		return err;
	const struct event_state_order *is = &order->is;
	const struct event_state_market *rules = &at->market->venues[is->market - 1].is;
	const int64_t price_before = is->price_micros, kg_before = is->left_kg;
	int64_t price = asked->price_micros ? asked->price_micros : price_before;
	int64_t kg = asked->kg ? asked->kg : kg_before;
	if (rules->state != MARKET_OPEN && rules->state != MARKET_AUCTION)
		return REFUSE(at->info, ERR_MARKET_CLOSED, "", "the market is halted or closed");
	if (is->state == ORDER_TAKES)
		return REFUSE(at->info, ERR_BUSY, "", "the order trades now");
	err = quantity_check("/kg", kg, rules->lot_kg, MARKET_KG_MAX, at->info);
	if (!err && asked->price_micros)
		err = has_limit(is->type) ? price_check("/price", price, rules->tick_micros, at->info)
					  : REFUSE(at->info, ERR_INVALID_FIELD, "/price", "the order has no limit");
	if (!err && asked->price_micros)
		err = limit_check(at->market, is, price, at->info);
	if (err)
		return err;
	at->call->number = is->number;
	if (price == price_before && kg == kg_before)
		return REFUSE(at->info, ERR_INVALID_FIELD, "", "the order has this price and quantity");
	size_t room = EVENTS_RANGES_MAX;
	if (kg < kg_before)
		err = order_reduce(
			at->market, at->ledger, at->call, order, kg_before - kg, ORDER_AMENDED, &room, at->info);
	if (err || (price == price_before && kg <= kg_before))
		return err;
	if (is->post_only) {
		struct event_state_order moved = order->is;
		uint32_t trades;
		moved.price_micros = price;
		moved.left_kg = kg;
		if (order_fillable(at->market, at->batches, &moved, 1, &trades))
			return REFUSE(at->info, ERR_WOULD_TRADE, "/price", "a post-only order would trade at once");
	}
	return order_raise(at, order, price, kg);
}

static enum err decide_order_cancel(const struct deciding *at)
{
	struct order *order = NULL;
	enum err err = own_order(at, at->call->command->order_cancel.order, &order);
	if (err)
		return err;
	size_t room = EVENTS_RANGES_MAX;
	at->call->number = order->is.number;
	return order_reduce(
		at->market, at->ledger, at->call, order, order->is.left_kg, ORDER_CANCELLED, &room, at->info);
}

struct ending {
	uint64_t number;
	struct id order;
};

static int ending_compare(const void *a, const void *b)
{
	const struct ending *first = a, *second = b;
	return first->number < second->number ? -1 : first->number > second->number;
}

struct whose {
	struct id org;
	uint64_t market, batch;
};

static bool is_theirs(const struct event_state_order *is, const struct whose *whose)
{
	return (id_is_none(whose->org) || id_equal(is->org, whose->org)) &&
	       (!whose->market || is->market == whose->market) && (!whose->batch || is->batch == whose->batch);
}

/* The oldest orders of `whose` of each market, in no order. */
struct endings {
	struct ending *items;
	size_t count, most; /* most: of one chain */
	bool more;          /* there are more of them */
};

static void chain_collect(const struct market *market, const struct chain *chain, enum order_chain which,
	const struct whose *whose, struct endings *endings)
{
	size_t before = endings->count;
	for (uint32_t at = chain->oldest; at; at = market->orders[at].chained[which].newer) {
		const struct event_state_order *is = &market->orders[at].is;
		if (!is_theirs(is, whose))
			continue;
		if (endings->count - before == endings->most) {
			endings->more = true;
			return;
		}
		endings->items[endings->count++] = (struct ending){is->number, is->order};
	}
}

static enum err endings_collect(const struct market *market, const struct whose *whose, struct endings *endings)
{
	endings->items = calloc((market->venue_count + 1u) * (endings->most + 1), sizeof *endings->items);
	if (!endings->items)
		return ERR_NO_MEMORY;
	if (id_is_none(whose->org)) {
		uint32_t lot = lot_find(market, whose->batch);
		if (lot != MAP_NONE)
			chain_collect(market, &market->lots[lot].orders, ORDER_CHAIN_BATCH, whose, endings);
		return ERR_OK;
	}
	for (uint32_t i = 0; i < market->venue_count; i++) {
		const struct exposure *exposure = exposure_find(market, whose->org, i + 1ull);
		if (exposure)
			chain_collect(market, &exposure->chain, ORDER_CHAIN_ORG, whose, endings);
	}
	return ERR_OK;
}

/* Ends the orders of `whose`, the oldest first, as far as the budget goes; *ret_all: none is left. They are an organisation's or a
 * batch's, or both. */
static enum err orders_end(struct market *market, struct ledger *ledger, struct decision *call,
	const struct whose *whose, enum order_reason reason, struct budget *budget, bool *ret_all,
	struct err_info *info)
{
	struct endings endings = {.most = (size_t)budget->orders};
	size_t done = 0;
	enum err err = endings_collect(market, whose, &endings);
	if (err)
		return err;
	qsort(endings.items, endings.count, sizeof *endings.items, ending_compare);
	for (; done < endings.count && budget->orders > 0 && budget->ranges && !err; done++, budget->orders--) {
		const struct order *order = order_find(market, endings.items[done].order);
		err = order_reduce(market, ledger, call, order, order->is.left_kg, reason, &budget->ranges, info);
	}
	*ret_all = !endings.more && done == endings.count &&
		   (done == 0 || !order_find(market, endings.items[done - 1].order));
	free(endings.items);
	return err;
}

enum err orders_end_of(struct market *market, struct ledger *ledger, struct decision *call, struct id org,
	enum order_reason reason, struct budget *budget, bool *ret_all, struct err_info *info)
{
	struct whose whose = {.org = org};
	return orders_end(market, ledger, call, &whose, reason, budget, ret_all, info);
}

static enum err decide_order_cancel_all(const struct deciding *at)
{
	const struct command_order_cancel_all *asked = &at->call->command->order_cancel_all;
	struct whose whose = {.org = asked->org, .market = asked->market};
	struct budget budget = {EVENTS_RANGES_MAX, MARKET_CANCEL_MOST};
	if (id_is_none(asked->org) || asked->kill > 2)
		return REFUSE(at->info, ERR_INVALID_FIELD, "/org_id", "a mass cancellation names an organisation");
	bool stopped = trader_is_stopped(at->market, asked->org), all;
	enum err err = ERR_OK;
	if (asked->kill && stopped != (asked->kill == 1)) {
		struct event event = {.trader_stopped = {.org = asked->org, .stopped = asked->kill == 1}};
		err = decision_emit(at->call, EVENT_TRADER_STOPPED, &event, at->info);
	}
	return err || asked->kill == 2 ? err
				       : orders_end(at->market, at->ledger, at->call, &whose,
						 asked->kill ? ORDER_KILLED : ORDER_CANCELLED, &budget, &all, at->info);
}

static enum err expire(struct market *market, struct ledger *ledger, struct decision *call, int64_t due_us,
	struct budget *budget, struct err_info *info)
{
	enum err err = ERR_OK;
	for (; budget->orders > 0 && budget->ranges && !err; budget->orders--) {
		uint32_t slot = book_best(market->book, market->ends);
		if (!slot || book_at(market->book, slot)->price > due_us)
			break;
		const struct order *order = &market->orders[book_at(market->book, slot)->detail];
		err = order_reduce(
			market, ledger, call, order, order->is.left_kg, ORDER_EXPIRED, &budget->ranges, info);
	}
	return err;
}

static enum err orders_tick(
	struct market *market, struct ledger *ledger, struct decision *call, int64_t due_us, struct err_info *info)
{
	struct budget budget = {EVENTS_RANGES_MAX, MARKET_CANCEL_MOST};
	enum err err = sessions_tick(market, call, due_us, info);
	if (!err)
		err = expire(market, ledger, call, due_us, &budget, info);
	return err ? err : watches_tick(market, ledger, call, due_us, &budget, info);
}

enum err market_tick(
	struct market *market, struct ledger *ledger, struct decision *call, int64_t due_us, struct err_info *info)
{
	enum err err = orders_tick(market, ledger, call, due_us, info);
	return err ? err : auctions_tick(market, call, due_us, info);
}

enum err market_recall(struct market *market, struct ledger *ledger, struct decision *call, struct id org,
	uint64_t batch, struct err_info *info)
{
	struct whose whose = {.org = org, .batch = batch};
	struct budget budget = {EVENTS_RANGES_MAX, MARKET_CANCEL_MOST};
	bool all;
	enum err err = orders_end(market, ledger, call, &whose, ORDER_RECALLED, &budget, &all, info);
	if (!err)
		err = auctions_recall(market, call, org, batch, info);
	/* what one organisation is to lose is not in a pool, whose kilograms are nobody's own */
	return err || !batch || !id_is_none(org) ? err : pools_pause(market, call, batch, info);
}

/* ---- what goes on by itself ---- */

static bool stop_reached(const struct market *market, const struct event_state_order *is)
{
	int64_t last = last_of(market, is);
	return last && (is->side == ORDER_SELL ? last <= is->stop_micros : last >= is->stop_micros);
}

/* Where a trailing stop stands after the last trade; 0: where it was. */
static int64_t trailed_to(const struct market *market, const struct event_state_order *is)
{
	int64_t last = last_of(market, is);
	if (!is->trail_micros || !last)
		return 0;
	int64_t stop = is->side == ORDER_SELL ? last - is->trail_micros : last + is->trail_micros;
	bool moves = is->side == ORDER_SELL ? stop > is->stop_micros : stop < is->stop_micros;
	return moves && stop > 0 && stop <= MARKET_PRICE_MAX ? stop : 0;
}

static bool is_due(const struct market *market, const struct event_state_order *is)
{
	if (order_is_ending(market, is))
		return true;
	uint32_t state = market->venues[is->market - 1].is.state;
	if (state != MARKET_OPEN)
		return is->state == ORDER_TAKES && state == MARKET_CLEARING;
	return is->state == ORDER_TAKES ||
	       (is->state == ORDER_SLEEPS && (stop_reached(market, is) || trailed_to(market, is)));
}

/* The older of `first` (NULL: none) and the first order of a ladder of stops, or of trailing ones, where this one is due. */
static const struct event_state_order *older_due(
	const struct market *market, uint32_t ladder, bool trails, const struct event_state_order *first)
{
	uint32_t slot = book_best(market->book, ladder);
	if (!slot)
		return first;
	const struct event_state_order *is = &market->orders[book_at(market->book, slot)->detail].is;
	bool due = market->venues[is->market - 1].is.state == MARKET_OPEN &&
		   (trails ? trailed_to(market, is) != 0 : stop_reached(market, is));
	return due && (!first || is->number < first->number) ? is : first;
}

/* Of those that are due: the first of each ladder of stops, and the oldest among these. */
static const struct event_state_order *stop_due(const struct market *market)
{
	const struct event_state_order *first = NULL;
	for (uint32_t i = 0; i < market->class_count; i++) {
		first = older_due(market, market->classes[i].sell_stops, false, first);
		first = older_due(market, market->classes[i].sell_trails, true, first);
	}
	for (uint32_t i = 0; i < market->instrument_count; i++) {
		first = older_due(market, market->instruments[i].buy_stops, false, first);
		first = older_due(market, market->instruments[i].buy_trails, true, first);
	}
	return first;
}

/* What is due: of a pool, an auction or a market by its number, or of an order. */
struct work {
	enum command_kind kind;
	uint64_t number;
	struct id order;
};

static bool order_due(struct market *market, struct work *ret_work)
{
	const struct event_state_order *first = NULL;
	/* one that trades goes before one that sleeps, then the older one */
	for (uint32_t i = market->taking; i; i = market->orders[i].next) {
		const struct event_state_order *is = &market->orders[i].is;
		if (is_due(market, is) && (!first || is->number < first->number))
			first = is;
	}
	for (uint32_t i = 0; i < market->venue_count && !first; i++)
		if (market->venues[i].is.state == MARKET_CLEARING) {
			*ret_work = (struct work){COMMAND_MARKET_WORK, market->venues[i].is.market, {{0}}};
			return true;
		}
	if (!first && market->look && market->sleepers)
		first = stop_due(market);
	if (!first)
		market->look = false;
	else
		*ret_work = (struct work){COMMAND_ORDER_WORK, 0, first->order};
	return first != NULL;
}

bool market_due(struct market *market, const struct ledger *ledger, struct command *ret_command)
{
	struct work work = {0};
	if (pools_due(market, ledger, &work.number))
		work.kind = COMMAND_POOL_WORK;
	else if (auctions_due(market, &work.number))
		work.kind = COMMAND_AUCTION_WORK;
	else if (!order_due(market, &work)) /* mostly: the command is not written then */
		return false;
	*ret_command = (struct command){.kind = work.kind, .source = COMMAND_SOURCE_ENGINE};
	switch (work.kind) {
	case COMMAND_POOL_WORK: ret_command->pool_work.pool = work.number; break;
	case COMMAND_AUCTION_WORK: ret_command->auction_work.auction = work.number; break;
	case COMMAND_MARKET_WORK: ret_command->market_work.market = work.number; break;
	default: ret_command->order_work.order = work.order; break;
	}
	return true;
}

static enum err decide_order_work(const struct deciding *at)
{
	struct id id = at->call->command->order_work.order;
	const struct order *order = order_find(at->market, id);
	struct event event = {0};
	if (!order || !is_due(at->market, &order->is))
		return REFUSE(at->info, ERR_ORDER_DONE, "", "the order is not due");
	const struct event_state_order is = order->is;
	if (is.state == ORDER_SLEEPS && !stop_reached(at->market, &is)) {
		event.order_trailed =
			(struct event_order_trailed){.order = id, .stop_micros = trailed_to(at->market, &is)};
		return decision_emit(at->call, EVENT_ORDER_TRAILED, &event, at->info);
	}
	if (is.state == ORDER_SLEEPS) {
		const struct event_state_market *rules = &at->market->venues[is.market - 1].is;
		event.order_woken = (struct event_order_woken){.order = id,
			.last_micros = last_of(at->market, &is),
			.price_micros = has_limit(is.type) ? is.price_micros : stop_collar(rules, &is)};
		enum err err = decision_emit(at->call, EVENT_ORDER_WOKEN, &event, at->info);
		if (err)
			return err;
	}
	return order_take(at->market, at->ledger, at->batches, at->call, id, is.state == ORDER_SLEEPS, at->info);
}

static enum err decide_trader_limit(const struct deciding *at)
{
	return trader_limit_decide(at->market, at->call, at->info);
}

enum err market_decide(struct market *market, struct ledger *ledger, const struct market_register *batches,
	struct decision *call, struct err_info *info)
{
	const struct deciding at = {market, ledger, batches, call, info};
	static enum err (*const deciders[COMMAND_KIND_COUNT])(const struct deciding *) = {
#define RECORD(name, NAME, type, version, lists, doc) [type] = decide_##name,
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/records/market_commands.def"
#include "carbond/records/auction_commands.def"
#include "carbond/records/pool_commands.def"
#include "carbond/record_undef.def"
	};
	return deciders[call->command->kind](&at);
}
