/* engine, the views of prices: candles of each class, made by the projector from its trades; read through the store by any thread
 * that may block. Prices are micros per tonne. */
#ifndef CARBOND_ENGINE_VIEWS_PRICES_H
#define CARBOND_ENGINE_VIEWS_PRICES_H

#include "carbond/base/field.h"
#include "carbond/store.h"

enum candle_interval { CANDLE_1M, CANDLE_15M, CANDLE_1H, CANDLE_1D, CANDLE_INTERVAL_COUNT };
extern const char *const candle_interval_names[]; /* "1m", "15m", "1h", "1d" */

/* What a class traded from `start_at` on, for the length of the interval (UTC). A trade that was undone leaves kg, amount and
 * trades; its price stays in open, high, low and close. */
struct candle_row {
	int64_t class_number; /* key, with the next two */
	int interval;         /* enum candle_interval */
	int64_t start_at;
	int64_t open_micros, high_micros, low_micros, close_micros;
	int64_t kg, amount_micros, trades;
	int64_t position;
};
extern const struct field candle_fields[];
extern const struct store_collection candles_collection;

/* How a class stands: its last trade, its book, and what it traded in a window up to now. */
struct class_price {
	int64_t class_number, market;
	const char *currency;
	int64_t last_micros, last_at;                 /* FIELD_ABSENT: it never traded */
	int64_t bid_micros, ask_micros, mid_micros;   /* FIELD_ABSENT: nobody is there; mid: on one side nobody */
	int64_t vwap_micros, high_micros, low_micros; /* of the window's trades; FIELD_ABSENT: none */
	int64_t twap_micros;                          /* FIELD_ABSENT: no price was known in the window */
	int64_t kg, trades;
	int64_t from, to; /* the window */
	int stale;        /* enum price_stale; −1: it is fresh */
};
/* Why a price is not to be relied on: nothing was traded in the window; fewer than PRICE_TRADES_LEAST trades; a side is empty. */
enum price_stale { PRICE_NO_TRADES, PRICE_FEW_TRADES, PRICE_ONE_SIDED };
#define PRICE_TRADES_LEAST 3
extern const struct field class_price_fields[];

/* The price of a class over `window_us` (up to PRICE_WINDOW_MOST_US) before `now_us`. The volume-weighted price is amount ÷
 * kilograms of its trades, rounded down. The time-weighted one takes for each candle of the window (minutes up to a day, else
 * quarters of an hour) its close until the next one begins, and before the first the close that was known then. ERR_NOT_FOUND;
 * ERR_BUSY as engine_depth_of_class. Blocks on the store. */
#define PRICE_WINDOW_MOST_US INT64_C(604800000000) /* a week */
enum err engine_price_of_class(struct store *store, int64_t class_number, int64_t now_us, int64_t window_us,
	struct arena *arena, struct class_price *ret_price, struct err_info *info) MUST_CHECK;

#endif
