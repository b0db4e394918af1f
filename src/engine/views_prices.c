/* Decides which candles a trade is in, and what a class's price is. Candles: the projector's thread; prices: any that may block. */
#include "carbond/engine/views_prices.h"

#include "views.h"

#include "carbond/base/decimal.h"

static const int64_t interval_us[CANDLE_INTERVAL_COUNT] = {
	CLOCK_US_PER_MINUTE, 15 * CLOCK_US_PER_MINUTE, CLOCK_US_PER_HOUR, CLOCK_US_PER_DAY};

/* ---- candles ---- */

static enum err candle_at(struct projector *projector, int64_t class_number, enum candle_interval interval,
	int64_t time_us, struct candle_row **ret_row)
{
	return view_row(projector, SHEET_CANDLES,
		KEYED(candle_row, .class_number = class_number, .interval = (int)interval,
			.start_at = time_us - time_us % interval_us[interval]),
		ret_row);
}

enum err view_candles_trade(struct projector *projector, const struct event *event)
{
	const struct event_traded *said = &event->traded;
	enum err err = ERR_OK;
	for (int i = 0; i < CANDLE_INTERVAL_COUNT && !err; i++) {
		struct candle_row *row = NULL;
		err = candle_at(
			projector, (int64_t)said->class_number, (enum candle_interval)i, event->header.time_us, &row);
		if (err || !row)
			continue;
		int64_t price = said->price_micros;
		bool first = row->open_micros == FIELD_ABSENT;
		row->open_micros = first ? price : row->open_micros;
		row->high_micros = first || price > row->high_micros ? price : row->high_micros;
		row->low_micros = first || price < row->low_micros ? price : row->low_micros;
		row->close_micros = price;
		view_add(&row->kg, said->kg);
		view_add(&row->amount_micros, said->amount_micros);
		view_add(&row->trades, 1);
	}
	return err;
}

enum err view_candles_bust(struct projector *projector, const struct trade_row *trade)
{
	enum err err = ERR_OK;
	for (int i = 0; i < CANDLE_INTERVAL_COUNT && !err; i++) {
		struct candle_row *row = NULL;
		err = candle_at(projector, trade->class_number, (enum candle_interval)i, trade->traded_at, &row);
		if (err || !row)
			continue;
		view_add(&row->kg, -trade->kg);
		view_add(&row->amount_micros, -trade->amount_micros);
		view_add(&row->trades, -1);
	}
	return err;
}

/* ---- prices ---- */

static enum err candles_find(struct store *store, const struct class_price *price, enum candle_interval interval,
	struct arena *arena, struct candle_row **ret_rows, size_t *ret_count, struct err_info *info)
{
	struct candle_row low, from, to;
	void *rows = NULL;
	field_clear(candle_fields, &low);
	low.class_number = price->class_number;
	low.interval = (int)interval;
	from = to = low;
	from.start_at = price->from;
	to.start_at = price->to + 1;
	struct store_query query = {.collection = &candles_collection,
		.low = &low,
		.prefix = 2,
		.from = &from,
		.to = &to,
		.most = (size_t)((price->to - price->from) / interval_us[interval]) + 2};
	enum err err = store_find(store, &query, arena, &rows, ret_count, info);
	*ret_rows = rows;
	return err;
}

/* The close that was known when the window began; 0: none. */
static enum err close_before(struct store *store, const struct class_price *price, enum candle_interval interval,
	struct arena *arena, int64_t *ret_micros, struct err_info *info)
{
	struct candle_row low, to;
	void *rows = NULL;
	size_t count = 0;
	field_clear(candle_fields, &low);
	low.class_number = price->class_number;
	low.interval = (int)interval;
	to = low;
	to.start_at = price->from;
	struct store_query query = {
		.collection = &candles_collection, .low = &low, .prefix = 2, .to = &to, .descending = true, .most = 1};
	enum err err = store_find(store, &query, arena, &rows, &count, info);
	*ret_micros = !err && count ? ((const struct candle_row *)rows)->close_micros : 0;
	return err;
}

/* Sums of a window: the mean price over time, and what was traded. `known` is the price when it begins; 0: none. */
static void window_sum(struct class_price *price, const struct candle_row *rows, size_t count, int64_t known)
{
	__int128 weighted = 0, amount = 0;
	int64_t at_us = price->from, timed_us = 0;
	for (size_t i = 0; i < count; i++) {
		const struct candle_row *row = &rows[i];
		if (known) {
			weighted += (__int128)known * (row->start_at - at_us);
			timed_us += row->start_at - at_us;
		}
		known = row->close_micros;
		at_us = row->start_at;
		price->high_micros =
			i == 0 || row->high_micros > price->high_micros ? row->high_micros : price->high_micros;
		price->low_micros = i == 0 || row->low_micros < price->low_micros ? row->low_micros : price->low_micros;
		price->kg += row->kg;
		price->trades += row->trades;
		amount += row->amount_micros;
	}
	if (known) {
		weighted += (__int128)known * (price->to - at_us);
		timed_us += price->to - at_us;
	}
	if (timed_us > 0)
		price->twap_micros = (int64_t)(weighted / timed_us);
	if (price->kg > 0)
		price->vwap_micros = (int64_t)(amount * 1000 / price->kg);
}

static int64_t best_of(const struct field_list *levels)
{
	return levels->count ? ((const struct price_level *)levels->items)->price_micros : FIELD_ABSENT;
}

static int stale_of(const struct class_price *price)
{
	if (price->trades == 0)
		return PRICE_NO_TRADES;
	if (price->trades < PRICE_TRADES_LEAST)
		return PRICE_FEW_TRADES;
	return price->mid_micros == FIELD_ABSENT ? PRICE_ONE_SIDED : -1;
}

enum err engine_price_of_class(struct store *store, int64_t class_number, int64_t now_us, int64_t window_us,
	struct arena *arena, struct class_price *ret_price, struct err_info *info)
{
	enum candle_interval interval = window_us > CLOCK_US_PER_DAY ? CANDLE_15M : CANDLE_1M;
	struct market_class_row class;
	struct market_row market;
	struct market_depth depth;
	struct candle_row *rows = NULL;
	size_t count = 0;
	int64_t known = 0;
	field_clear(market_class_fields, &class);
	field_clear(market_fields, &market);
	field_clear(class_price_fields, ret_price);
	class.class_number = class_number;
	enum err err = store_get(store, &market_classes_collection, &class, arena, info);
	market.market = class.market;
	if (!err)
		err = store_get(store, &markets_collection, &market, arena, info);
	if (!err)
		err = engine_depth_of_class(store, class_number, 1, arena, &depth, info);
	if (err)
		return err;
	int64_t from_us = now_us - window_us;
	ret_price->class_number = class_number;
	ret_price->market = class.market;
	ret_price->currency = market.currency;
	ret_price->last_micros = class.last_micros;
	ret_price->last_at = class.last_at;
	ret_price->bid_micros = best_of(&depth.bids);
	ret_price->ask_micros = best_of(&depth.asks);
	if (depth.bids.count && depth.asks.count) /* both are positive, and their sum fits */
		ret_price->mid_micros = (ret_price->bid_micros + ret_price->ask_micros) / 2;
	ret_price->from = from_us - from_us % interval_us[interval];
	ret_price->to = now_us;
	ret_price->kg = ret_price->trades = 0;
	err = candles_find(store, ret_price, interval, arena, &rows, &count, info);
	if (!err)
		err = close_before(store, ret_price, interval, arena, &known, info);
	if (err)
		return err;
	window_sum(ret_price, rows, count, known);
	ret_price->stale = stale_of(ret_price);
	return ERR_OK;
}
