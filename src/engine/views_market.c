/* Decides what the market's events change in the views: markets and what they trade, orders, trades, executions, and what
 * each ladder of the book shows. The projector's thread. */
#include "views.h"

#include <stdio.h>

static int64_t or_absent(int64_t number)
{
	return number ? number : FIELD_ABSENT;
}

/* ---- markets and what they trade ---- */

enum err view_on_market_opened(struct projector *projector, const struct event *event)
{
	const struct event_market_opened *said = &event->market_opened;
	struct market_row *row = NULL;
	char currency[9];
	enum err err = view_row(projector, SHEET_MARKETS, KEYED(market_row, .market = (int64_t)said->market), &row);
	if (err || !row)
		return err;
	row->kind = (int)said->kind;
	row->currency = view_text(projector, code8_text(said->currency, currency));
	row->tick_micros = said->tick_micros;
	row->lot_kg = said->lot_kg;
	row->maker_ppm = said->maker_ppm;
	row->taker_ppm = said->taker_ppm;
	row->collar_ppm = said->collar_ppm;
	row->house_org_id = said->house;
	row->state = MARKET_OPEN;
	row->until = row->closes_at = row->schedule_version = FIELD_ABSENT;
	row->static_ppm = row->dynamic_ppm = row->interruption_us = row->auction_us = FIELD_ABSENT;
	row->opened_at = event->header.time_us;
	return row->currency ? ERR_OK : ERR_NO_MEMORY;
}

enum err view_on_market_halted(struct projector *projector, const struct event *event)
{
	struct market_row *row = NULL;
	enum err err = view_row(
		projector, SHEET_MARKETS, KEYED(market_row, .market = (int64_t)event->market_halted.market), &row);
	if (err || !row)
		return err;
	row->state = (int)event->market_halted.state;
	row->until = or_absent(event->market_halted.until_us);
	row->closes_at = or_absent(event->market_halted.closes_us);
	return ERR_OK;
}

static enum err hours_of(struct projector *projector, const uint32_t *hours, struct field_list *ret_list)
{
	static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	const char **texts = ARENA_ARRAY(view_arena(projector), const char *, 7);
	size_t count = 0;
	for (int day = 0; texts && day < 7; day++, hours += 2) {
		char text[32];
		snprintf(text, sizeof text, "%s %02u:%02u-%02u:%02u", days[day], hours[0] / 60, hours[0] % 60,
			hours[1] / 60, hours[1] % 60);
		if (hours[1] && (texts[count++] = view_text(projector, text)) == NULL)
			return ERR_NO_MEMORY;
	}
	*ret_list = (struct field_list){.items = count ? texts : NULL, .count = count};
	return texts ? ERR_OK : ERR_NO_MEMORY;
}

enum err view_on_market_scheduled(struct projector *projector, const struct event *event)
{
	const struct event_market_scheduled *said = &event->market_scheduled;
	struct market_row *row = NULL;
	enum err err = view_row(projector, SHEET_MARKETS, KEYED(market_row, .market = (int64_t)said->market), &row);
	if (err || !row)
		return err;
	row->schedule_version = (int64_t)said->schedule_version;
	row->closes_at = or_absent(said->closes_us);
	row->static_ppm = said->static_ppm;
	row->dynamic_ppm = said->dynamic_ppm;
	row->interruption_us = said->interruption_us;
	row->auction_us = said->auction_us;
	return hours_of(projector, &said->mon_open, &row->hours);
}

static enum err verifiers_of(struct projector *projector, const struct record_lists *lists, struct field_list *ret_list)
{
	const char **texts = ARENA_ARRAY(view_arena(projector), const char *, lists->verifier_count + 1);
	char text[ID_TEXT_SIZE];
	if (!texts)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < lists->verifier_count; i++) {
		texts[i] = view_text(projector, id_text(lists->verifiers[i], text));
		if (!texts[i])
			return ERR_NO_MEMORY;
	}
	*ret_list = (struct field_list){.items = lists->verifier_count ? texts : NULL, .count = lists->verifier_count};
	return ERR_OK;
}

enum err view_on_class_opened(struct projector *projector, const struct event *event)
{
	const struct event_class_opened *said = &event->class_opened;
	struct market_class_row *row = NULL;
	char code[17], country[9];
	enum err err = view_row(projector, SHEET_MARKET_CLASSES,
		KEYED(market_class_row, .class_number = (int64_t)said->class_number), &row);
	if (err || !row)
		return err;
	row->market = (int64_t)said->market;
	row->methodology = view_text(projector, code16_text(said->methodology, code));
	row->country = view_text(projector, code8_text(said->country, country));
	row->durability = (int)said->durability;
	row->vintage = said->vintage;
	if (!row->methodology || !row->country)
		return ERR_NO_MEMORY;
	return verifiers_of(projector, &event->lists, &row->verifiers);
}

static enum err durabilities_of(struct projector *projector, uint32_t set, struct field_list *ret_list)
{
	const char **names = ARENA_ARRAY(view_arena(projector), const char *, DURABILITY_COUNT);
	size_t count = 0;
	if (!names)
		return ERR_NO_MEMORY;
	for (int i = 0; i < DURABILITY_COUNT; i++)
		if (set >> i & 1)
			names[count++] = event_durability_names[i];
	*ret_list = (struct field_list){.items = count ? names : NULL, .count = count};
	return ERR_OK;
}

enum err view_on_instrument_listed(struct projector *projector, const struct event *event)
{
	const struct event_instrument_listed *said = &event->instrument_listed;
	struct instrument_row *row = NULL;
	char code[33], methodology[17], country[9];
	enum err err = view_row(
		projector, SHEET_INSTRUMENTS, KEYED(instrument_row, .instrument = (int64_t)said->instrument), &row);
	if (err || !row)
		return err;
	row->market = (int64_t)said->market;
	row->code = view_text(projector, code32_text(said->code, code));
	row->methodology = view_text(projector, code16_text(said->methodology, methodology));
	row->country = view_text(projector, code8_text(said->country, country));
	if (!row->code || !row->methodology || !row->country)
		return ERR_NO_MEMORY;
	row->methodology = row->methodology[0] ? row->methodology : NULL;
	row->country = row->country[0] ? row->country : NULL;
	row->version = said->version;
	row->batch = or_absent((int64_t)said->batch);
	row->vintage_from = or_absent(said->vintage_from);
	row->vintage_to = or_absent(said->vintage_to);
	row->verifiers_least = or_absent(said->verifiers_least);
	row->listed_at = event->header.time_us;
	err = durabilities_of(projector, said->durabilities, &row->durabilities);
	return err ? err : verifiers_of(projector, &event->lists, &row->verifiers);
}

enum err view_on_trader_limited(struct projector *projector, const struct event *event)
{
	const struct event_trader_limited *said = &event->trader_limited;
	struct trader_limit_row *row = NULL;
	enum err err = view_row(projector, SHEET_TRADER_LIMITS,
		KEYED(trader_limit_row, .org_id = said->org, .place = (int64_t)said->market * 2 + said->by_registry),
		&row);
	if (err || !row)
		return err;
	row->market = (int64_t)said->market;
	row->by_registry = said->by_registry != 0;
	row->orders_most = or_absent(said->orders_most);
	row->kg_most = or_absent(said->kg_most);
	row->notional_micros = or_absent(said->notional_micros_most);
	row->set_at = event->header.time_us;
	return ERR_OK;
}

/* ---- depth ---- */

static enum err ladder_add(struct projector *projector, int64_t ladder, int64_t price, int64_t kg, int64_t orders)
{
	struct ladder_row *all = NULL;
	struct price_level *level = NULL;
	enum err err = view_row(projector, SHEET_LADDERS, KEYED(ladder_row, .ladder = ladder), &all);
	if (!err)
		err = view_row(projector, SHEET_PRICE_LEVELS,
			KEYED(price_level, .ladder = ladder, .price_micros = price), &level);
	if (err || !all || !level)
		return err;
	view_add(&all->kg, kg);
	view_add(&all->orders, orders);
	view_add(&level->kg, kg);
	view_add(&level->orders, orders);
	if (level->orders == 0)
		view_drop(projector, SHEET_PRICE_LEVELS, level);
	return ERR_OK;
}

static enum err side_add(
	struct projector *projector, const struct order_row *order, int64_t price, int64_t kg, int64_t orders)
{
	if (order->side == ORDER_BUY)
		return ladder_add(
			projector, order->instrument * LADDER_KIND_COUNT + LADDER_INSTRUMENT, price, kg, orders);
	enum err err = ladder_add(projector, order->class_number * LADDER_KIND_COUNT + LADDER_CLASS, price, kg, orders);
	return err ? err : ladder_add(projector, order->batch * LADDER_KIND_COUNT + LADDER_BATCH, price, kg, orders);
}

/* From the event at hand on the depth has `kg` of the order, at its price; called before the price changes. */
static enum err order_show(struct projector *projector, struct order_row *order, int64_t kg)
{
	int64_t was_kg = order->visible_kg == FIELD_ABSENT ? 0 : order->visible_kg;
	if (order->hidden)
		kg = 0;
	order->visible_kg = kg;
	return kg == was_kg ? ERR_OK
			    : side_add(projector, order, order->price_micros, kg - was_kg, (kg > 0) - (was_kg > 0));
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- orders ---- */

static enum err order_touch(struct projector *projector, struct id order, struct order_row **ret_row)
{
	return view_row(projector, SHEET_ORDERS, KEYED(order_row, .id = order), ret_row);
}

static void order_begin(struct order_row *row, const struct event *event)
{
	const struct event_order_placed *said = &event->order_placed;
	*row = (struct order_row){.id = row->id,
		.org_id = said->org,
		.number = (int64_t)said->number,
		.market = (int64_t)said->market,
		.class_number = or_absent((int64_t)said->class_number),
		.batch = or_absent((int64_t)said->batch),
		.instrument = or_absent((int64_t)said->instrument),
		.side = (int)said->side,
		.type = (int)said->type,
		.tif = (int)said->tif,
		.stp = (int)said->stp,
		.status = said->state == ORDER_SLEEPS ? ORDER_STATUS_SLEEPING : ORDER_STATUS_OPEN,
		.price_micros = said->price_micros,
		.stop_micros = or_absent(said->stop_micros),
		.trail_micros = or_absent(said->trail_micros),
		.kg = said->kg,
		.left_kg = said->kg,
		.reserved_micros = said->side == ORDER_BUY ? said->reserved_micros : FIELD_ABSENT,
		.shown_kg = said->shown_kg,
		.minimum_kg = said->minimum_kg,
		.expires_at = or_absent(said->expires_us),
		.post_only = said->post_only != 0,
		.hidden = said->hidden != 0,
		.reason = -1,
		.placed_at = event->header.time_us,
		.done_at = FIELD_ABSENT,
		.position = row->position};
}

/* ---- money ---- */

static enum err market_of(struct projector *projector, int64_t market, const struct market_row **ret_market)
{
	return view_peek(projector, SHEET_MARKETS, KEYED(market_row, .market = market), ret_market);
}

/* Money of a buy order becomes reserved; below zero: it is free again. */
static enum err order_reserve(struct projector *projector, struct id id, struct id org, int64_t micros)
{
	const struct order_row *order = NULL;
	const struct market_row *market = NULL;
	if (micros == 0)
		return ERR_OK;
	enum err err = view_peek(projector, SHEET_ORDERS, KEYED(order_row, .id = id), &order);
	if (!err)
		err = market_of(projector, order->market, &market);
	return err ? err
		   : view_pay(projector, market->currency, micros, view_place(org, KG_HELD),
			     view_place(org, KG_RESERVED));
}

/* The legs of a trade, as the ledger makes them. */
static enum err trade_pay(struct projector *projector, const struct event_traded *said)
{
	const struct market_row *market = NULL;
	struct ledger_place seller = view_place(said->seller, KG_HELD), buyer = view_place(said->buyer, KG_HELD),
			    money = view_place(said->buyer, KG_RESERVED);
	enum err err = market_of(projector, (int64_t)said->market, &market);
	if (err)
		return err;
	struct ledger_place house = view_place(market->house_org_id, KG_HELD);
	err = view_pay(projector, market->currency, said->amount_micros, money, seller);
	if (!err)
		err = view_pay(projector, market->currency, said->buyer_fee_micros,
			said->buyer_fee_micros > 0 ? money : buyer, house);
	if (!err)
		err = view_pay(projector, market->currency, said->seller_fee_micros, seller, house);
	return err ? err : view_pay(projector, market->currency, said->released_micros, money, buyer);
}

/* ---- orders ---- */

enum err view_on_order_placed(struct projector *projector, const struct event *event)
{
	const struct event_order_placed *said = &event->order_placed;
	struct order_row *row = NULL;
	enum err err = order_touch(projector, said->order, &row);
	if (!err && row) {
		order_begin(row, event);
		err = view_actor(projector, event, &row->placed_by);
		if (!err && said->state == ORDER_RESTS)
			err = order_show(projector, row, smaller(row->shown_kg, row->left_kg));
	}
	if (!err)
		err = order_reserve(projector, said->order, said->org, said->reserved_micros);
	return err ? err
		   : view_ranges_move(projector, event, view_place(said->org, KG_HELD),
			     view_place(said->org, KG_LISTED), (struct id){0});
}

enum err view_on_order_rested(struct projector *projector, const struct event *event)
{
	struct order_row *row = NULL;
	enum err err = order_touch(projector, event->order_rested.order, &row);
	return err || !row ? err : order_show(projector, row, smaller(row->shown_kg, row->left_kg));
}

static void order_done(struct order_row *row, const struct event *event, enum order_status status, int reason)
{
	row->status = (int)status;
	row->reason = reason;
	row->done_at = event->header.time_us;
}

enum err view_on_order_reduced(struct projector *projector, const struct event *event)
{
	const struct event_order_reduced *said = &event->order_reduced;
	struct order_row *row = NULL;
	const struct market_row *market = NULL;
	enum err err = order_touch(projector, said->order, &row);
	if (!err && row)
		err = view_peek(projector, SHEET_MARKETS, KEYED(market_row, .market = row->market), &market);
	if (!err && row) {
		bool ends = said->left_kg % market->lot_kg != 0; /* in parts: it has left the book */
		err = order_show(projector, row, row->visible_kg && !ends ? smaller(said->shown_kg, said->left_kg) : 0);
		row->left_kg = said->left_kg;
		if (row->minimum_kg > row->left_kg)
			row->minimum_kg = row->left_kg;
		if (row->side == ORDER_BUY)
			row->reserved_micros -= said->released_micros;
		if (said->left_kg == 0)
			order_done(row, event, ORDER_STATUS_ENDED, (int)said->reason);
	}
	if (!err)
		err = order_reserve(projector, said->order, said->org, -said->released_micros);
	return err ? err
		   : view_ranges_move(projector, event, view_place(said->org, KG_LISTED),
			     view_place(said->org, KG_HELD), (struct id){0});
}

enum err view_on_order_amended(struct projector *projector, const struct event *event)
{
	const struct event_order_amended *said = &event->order_amended;
	struct order_row *row = NULL;
	enum err err = order_touch(projector, said->order, &row);
	if (!err && row) {
		bool whole = row->shown_kg >= row->kg, all = row->minimum_kg && row->minimum_kg == row->left_kg;
		err = order_show(projector, row, 0); /* it comes again */
		row->kg += said->kg - row->left_kg;
		row->left_kg = said->kg;
		row->shown_kg = whole ? row->kg : row->shown_kg;
		row->minimum_kg = all ? row->left_kg : row->minimum_kg;
		row->price_micros = said->price_micros;
		if (row->side == ORDER_BUY)
			row->reserved_micros += said->reserved_micros;
	}
	if (!err)
		err = order_reserve(projector, said->order, said->org, said->reserved_micros);
	return err ? err
		   : view_ranges_move(projector, event, view_place(said->org, KG_HELD),
			     view_place(said->org, KG_LISTED), (struct id){0});
}

enum err view_on_order_woken(struct projector *projector, const struct event *event)
{
	struct order_row *row = NULL;
	enum err err = order_touch(projector, event->order_woken.order, &row);
	if (err || !row)
		return err;
	row->status = ORDER_STATUS_OPEN;
	row->price_micros = event->order_woken.price_micros;
	return ERR_OK;
}

enum err view_on_order_trailed(struct projector *projector, const struct event *event)
{
	struct order_row *row = NULL;
	enum err err = order_touch(projector, event->order_trailed.order, &row);
	if (!err && row)
		row->stop_micros = event->order_trailed.stop_micros;
	return err;
}

/* ---- trades ---- */

/* One of the two orders of a trade. */
static enum err order_trade(
	struct projector *projector, const struct event *event, struct id order, bool is_maker, struct order_row **ret)
{
	const struct event_traded *said = &event->traded;
	bool buys = (said->taker_side == ORDER_BUY) != is_maker;
	struct order_row *row = NULL;
	enum err err = order_touch(projector, order, &row);
	*ret = row;
	if (err || !row)
		return err;
	/* one that came shows nothing; at an auction it rested, and shows no more than is left */
	int64_t showed = row->visible_kg == FIELD_ABSENT ? 0 : row->visible_kg;
	err = order_show(projector, row, is_maker ? said->maker_shown_kg : smaller(showed, row->left_kg - said->kg));
	int64_t fee = buys ? said->buyer_fee_micros : said->seller_fee_micros;
	row->left_kg -= said->kg;
	row->filled_kg += said->kg;
	row->filled_micros += said->amount_micros;
	row->fees_micros += fee;
	if (buys)
		row->reserved_micros -= said->amount_micros + said->released_micros + (fee > 0 ? fee : 0);
	if (row->left_kg == 0)
		order_done(row, event, ORDER_STATUS_FILLED, -1);
	return err;
}

static enum err execution_make(struct projector *projector, const struct event *event, const struct order_row *order,
	const struct trade_row *trade, bool is_maker)
{
	struct execution_row *row = NULL;
	enum err err = view_row(projector, SHEET_EXECUTIONS,
		KEYED(execution_row, .org_id = order->org_id, .trade = trade->trade), &row);
	if (err || !row)
		return err;
	row->order_id = order->id;
	row->counterparty_org_id = order->side == ORDER_BUY ? event->traded.seller : event->traded.buyer;
	row->market = trade->market;
	row->class_number = trade->class_number;
	row->batch = trade->batch;
	row->side = order->side;
	row->is_maker = is_maker;
	row->price_micros = trade->price_micros;
	row->kg = trade->kg;
	row->amount_micros = trade->amount_micros;
	row->fee_micros = order->side == ORDER_BUY ? event->traded.buyer_fee_micros : event->traded.seller_fee_micros;
	row->ranges = trade->ranges;
	row->executed_at = trade->traded_at;
	return ERR_OK;
}

static enum err trade_make(struct projector *projector, const struct event *event, struct trade_row **ret_row)
{
	const struct event_traded *said = &event->traded;
	struct trade_row *row = NULL;
	struct market_class_row *class = NULL;
	enum err err = view_row(projector, SHEET_TRADES, KEYED(trade_row, .trade = (int64_t)said->trade), &row);
	if (!err)
		err = view_row(projector, SHEET_MARKET_CLASSES,
			KEYED(market_class_row, .class_number = (int64_t)said->class_number), &class);
	if (!err && class) {
		class->last_micros = said->price_micros;
		class->last_trade = (int64_t)said->trade;
		class->last_at = event->header.time_us;
	}
	*ret_row = row;
	if (err || !row)
		return err;
	row->market = (int64_t)said->market;
	row->class_number = (int64_t)said->class_number;
	row->batch = (int64_t)event->lists.ranges[0].batch;
	row->price_micros = said->price_micros;
	row->kg = said->kg;
	row->amount_micros = said->amount_micros;
	row->taker_side = (int)said->taker_side;
	row->traded_at = event->header.time_us;
	row->busted_at = FIELD_ABSENT;
	return view_range_items(projector, &event->lists, &row->ranges);
}

enum err view_on_traded(struct projector *projector, const struct event *event)
{
	const struct event_traded *said = &event->traded;
	struct trade_row *trade = NULL;
	struct order_row *maker = NULL, *taker = NULL;
	enum err err = trade_make(projector, event, &trade);
	if (!err)
		err = order_trade(projector, event, said->maker, true, &maker);
	if (!err)
		err = order_trade(projector, event, said->taker, false, &taker);
	if (!err && trade && maker)
		err = execution_make(projector, event, maker, trade, true);
	if (!err && trade && taker)
		err = execution_make(projector, event, taker, trade, false);
	if (!err)
		err = trade_pay(projector, said);
	if (!err)
		err = view_candles_trade(projector, event);
	return err ? err
		   : view_ranges_move(projector, event, view_place(said->seller, KG_LISTED),
			     view_place(said->buyer, KG_HELD), (struct id){0});
}

enum err view_on_trade_busted(struct projector *projector, const struct event *event)
{
	const struct event_trade_busted *said = &event->trade_busted;
	struct trade_row *row = NULL;
	const struct market_row *market = NULL;
	enum err err = view_row(projector, SHEET_TRADES, KEYED(trade_row, .trade = (int64_t)said->trade), &row);
	if (!err && row) {
		row->busted_at = event->header.time_us;
		err = view_candles_bust(projector, row);
	}
	struct ledger_place seller = view_place(said->seller, KG_HELD), buyer = view_place(said->buyer, KG_HELD);
	if (!err)
		err = market_of(projector, (int64_t)said->market, &market);
	if (err)
		return err;
	struct ledger_place house = view_place(market->house_org_id, KG_HELD);
	err = view_pay(projector, market->currency, said->seller_fee_micros, house, seller);
	if (!err)
		err = view_pay(projector, market->currency, said->buyer_fee_micros, house, buyer);
	if (!err)
		err = view_pay(projector, market->currency, said->amount_micros, seller, buyer);
	return err ? err
		   : view_ranges_move(projector, event, view_place(said->buyer, KG_HELD),
			     view_place(said->seller, KG_HELD), (struct id){0});
}
