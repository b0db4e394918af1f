/* The field tables and the collection of prices. Constant. */
#include "carbond/engine/views_prices.h"

#include "parts.h"

const char *const candle_interval_names[] = {"1m", "15m", "1h", "1d", NULL};

#define PRICE(type, member, name, text) FIELD_AS(struct type, member, name, FIELD_MICROS, .doc = text ", per tonne")

const struct field candle_fields[] = {
	FIELD_AS(struct candle_row, class_number, "class", FIELD_INT, .min = 1, .doc = "the class"),
	FIELD(struct candle_row, interval, FIELD_ENUM, .names = candle_interval_names, .doc = "how long it is"),
	FIELD(struct candle_row, start_at, FIELD_TIME, .doc = "its start, UTC"),
	PRICE(candle_row, open_micros, "open", "first trade"), PRICE(candle_row, high_micros, "high", "highest trade"),
	PRICE(candle_row, low_micros, "low", "lowest trade"), PRICE(candle_row, close_micros, "close", "last trade"),
	FIELD(struct candle_row, kg, FIELD_INT, .unit = "kg", .doc = "traded"),
	FIELD_AS(struct candle_row, amount_micros, "amount", FIELD_MICROS, .doc = "paid for it, fees apart"),
	FIELD(struct candle_row, trades, FIELD_INT, .doc = "how many"),
	FIELD(struct candle_row, position, FIELD_INT, .doc = "journal position of the last event applied"), FIELD_END};

const struct store_collection candles_collection = {.name = "candles",
	.class = STORE_VIEWS,
	.fields = candle_fields,
	.row_size = sizeof(struct candle_row),
	.key = {"class", "interval", "start_at"},
	.shard_key = "class",
	.doc = "What a class traded in each minute, quarter of an hour, hour and day"};

static const char *const stale_names[] = {"no-trades", "few-trades", "one-sided", NULL};

const struct field class_price_fields[] = {
	FIELD_AS(struct class_price, class_number, "class", FIELD_INT, .min = 1, .doc = "the class"),
	FIELD(struct class_price, market, FIELD_INT, .min = 1, .doc = "its market"),
	FIELD(struct class_price, currency, FIELD_TEXT, .max = 7, .doc = "quote currency"),
	PRICE(class_price, last_micros, "last", "last trade"),
	FIELD(struct class_price, last_at, FIELD_TIME, .doc = "when that was"),
	PRICE(class_price, bid_micros, "bid", "best buy that takes the class"),
	PRICE(class_price, ask_micros, "ask", "best sell"),
	PRICE(class_price, mid_micros, "mid", "between the two, rounded down"),
	PRICE(class_price, vwap_micros, "vwap", "amount by kilograms of the window's trades"),
	PRICE(class_price, twap_micros, "twap", "mean over the window's time"),
	PRICE(class_price, high_micros, "high", "highest trade of the window"),
	PRICE(class_price, low_micros, "low", "lowest trade of the window"),
	FIELD(struct class_price, kg, FIELD_INT, .unit = "kg", .doc = "traded in the window"),
	FIELD(struct class_price, trades, FIELD_INT, .doc = "in the window"),
	FIELD(struct class_price, from, FIELD_TIME, .doc = "start of the window, at a candle's"),
	FIELD(struct class_price, to, FIELD_TIME, .doc = "its end"),
	FIELD(struct class_price, stale, FIELD_ENUM, .names = stale_names,
		.doc = "why it is not to be relied on: nothing was traded in the window, fewer than 3 trades, or "
		       "nobody on a side; "
		       "left out: it is fresh"),
	FIELD_END};
