/* The field tables and collections of the market's views. Constant. */
#include "parts.h"

#define POSITION(type) FIELD(struct type, position, FIELD_INT, .doc = "journal position of the last event applied")

const char *const order_status_names[] = {"open", "sleeping", "filled", "ended", NULL};

/* ---- markets and what they trade ---- */

const struct field market_fields[] = {FIELD(struct market_row, market, FIELD_INT, .min = 1, .doc = "its number"),
	FIELD(struct market_row, kind, FIELD_ENUM, .names = event_credit_kind_names, .doc = "removal or reduction"),
	FIELD(struct market_row, currency, FIELD_TEXT, .max = 7, .doc = "quote currency"),
	FIELD_AS(struct market_row, tick_micros, "tick", FIELD_MICROS, .doc = "prices per tonne are multiples of it"),
	FIELD(struct market_row, lot_kg, FIELD_INT, .unit = "kg", .doc = "quantities are multiples of it"),
	FIELD(struct market_row, maker_ppm, FIELD_INT, .unit = "ppm", .doc = "fee of who rested; below zero a rebate"),
	FIELD(struct market_row, taker_ppm, FIELD_INT, .unit = "ppm", .doc = "fee of who came"),
	FIELD(struct market_row, collar_ppm, FIELD_INT, .unit = "ppm",
		.doc = "how far from the best price a market order may trade"),
	FIELD(struct market_row, house_org_id, FIELD_ID, .doc = "organisation that takes the fees"),
	FIELD(struct market_row, state, FIELD_ENUM, .names = event_market_state_names,
		.doc = "open, halted, closed, auction (orders are collected) or "
		       "clearing (they trade at the auction's price)"),
	FIELD(struct market_row, until, FIELD_TIME, .doc = "when the state ends by itself; left out: not by time"),
	FIELD(struct market_row, closes_at, FIELD_TIME, .doc = "end of its trading hours, while it is in them"),
	FIELD(struct market_row, schedule_version, FIELD_INT, .min = 1,
		.doc = "its schedule, of which this is the version"),
	FIELD(struct market_row, static_ppm, FIELD_INT, .unit = "ppm",
		.doc = "how far from the price of its last auction a class may "
		       "trade; 0: any"),
	FIELD(struct market_row, dynamic_ppm, FIELD_INT, .unit = "ppm", .doc = "how far from its last trade; 0: any"),
	FIELD(struct market_row, interruption_us, FIELD_INT, .unit = "us",
		.doc = "length of the auction that a trade out of a band begins"),
	FIELD(struct market_row, auction_us, FIELD_INT, .unit = "us",
		.doc = "length of the auction at opening and after a halt; 0: none"),
	FIELD(struct market_row, hours, FIELD_TEXTS, .max = 7,
		.doc = "trading hours in UTC, \"mon 09:00-17:30\"; left out: "
		       "always"),
	FIELD(struct market_row, opened_at, FIELD_TIME, .doc = "when it was opened"), POSITION(market_row), FIELD_END};

const struct store_collection markets_collection = {.name = "markets",
	.class = STORE_VIEWS,
	.fields = market_fields,
	.row_size = sizeof(struct market_row),
	.key = {"market"},
	.shard_key = "market",
	.doc = "Markets: a kind of credit in a currency"};

const struct field market_class_fields[] = {
	FIELD_AS(struct market_class_row, class_number, "class", FIELD_INT, .min = 1, .doc = "its number"),
	FIELD(struct market_class_row, market, FIELD_INT, .min = 1, .doc = "the market"),
	FIELD(struct market_class_row, methodology, FIELD_TEXT, .max = 16, .doc = "methodology"),
	FIELD(struct market_class_row, country, FIELD_TEXT, .max = 2, .doc = "ISO 3166 alpha-2"),
	FIELD(struct market_class_row, durability, FIELD_ENUM, .names = event_durability_names,
		.doc = "durability class"),
	FIELD(struct market_class_row, vintage, FIELD_INT, .doc = "the year"),
	FIELD(struct market_class_row, verifiers, FIELD_TEXTS, .max = EVENTS_VERIFIERS_MAX,
		.doc = "organisations whose verifiers attested its batches, all of them"),
	FIELD_AS(struct market_class_row, last_micros, "last_price", FIELD_MICROS,
		.doc = "of its last trade, per tonne"),
	FIELD(struct market_class_row, last_trade, FIELD_INT, .min = 1, .doc = "that trade's number"),
	FIELD(struct market_class_row, last_at, FIELD_TIME, .doc = "and when"), POSITION(market_class_row), FIELD_END};

static const struct store_index market_classes_indexes[] = {
	{.name = "by_market", .fields = {"market", "class"}}, {.name = NULL}};

const struct store_collection market_classes_collection = {.name = "market_classes",
	.class = STORE_VIEWS,
	.fields = market_class_fields,
	.row_size = sizeof(struct market_class_row),
	.key = {"class"},
	.indexes = market_classes_indexes,
	.shard_key = "class",
	.doc = "Classes of supply, and their last trades"};

const struct field instrument_fields[] = {
	FIELD(struct instrument_row, instrument, FIELD_INT, .min = 1, .doc = "its number: what buy orders name"),
	FIELD(struct instrument_row, market, FIELD_INT, .min = 1, .doc = "the market"),
	FIELD(struct instrument_row, code, FIELD_TEXT, .max = 32, .doc = "its code"),
	FIELD(struct instrument_row, version, FIELD_INT, .min = 1,
		.doc = "1, 2, 3 … of its code; only the newest takes orders"),
	FIELD(struct instrument_row, batch, FIELD_INT, .min = 1, .doc = "this batch alone"),
	FIELD(struct instrument_row, methodology, FIELD_TEXT, .max = 16, .doc = "this methodology; left out: any"),
	FIELD(struct instrument_row, country, FIELD_TEXT, .max = 2, .doc = "ISO 3166 alpha-2; left out: any"),
	FIELD(struct instrument_row, durabilities, FIELD_TEXTS, .max = DURABILITY_COUNT,
		.doc = "these durability classes; left out: any"),
	FIELD(struct instrument_row, vintage_from, FIELD_INT, .doc = "first year; left out: any"),
	FIELD(struct instrument_row, vintage_to, FIELD_INT, .doc = "last year; left out: any"),
	FIELD(struct instrument_row, verifiers, FIELD_TEXTS, .max = EVENTS_VERIFIERS_MAX,
		.doc = "attested by a verifier of one of these organisations; left out: of any"),
	FIELD(struct instrument_row, verifiers_least, FIELD_INT,
		.doc = "attested by verifiers of at least so many organisations; left out: any number"),
	FIELD(struct instrument_row, listed_at, FIELD_TIME, .doc = "when it was listed"), POSITION(instrument_row),
	FIELD_END};

static const struct store_index instruments_indexes[] = {{.name = "by_market", .fields = {"market", "instrument"}},
	{.name = "by_code", .fields = {"code", "version"}}, {.name = NULL}};

const struct store_collection instruments_collection = {.name = "instruments",
	.class = STORE_VIEWS,
	.fields = instrument_fields,
	.row_size = sizeof(struct instrument_row),
	.key = {"instrument"},
	.indexes = instruments_indexes,
	.shard_key = "instrument",
	.doc = "Instruments: what buyers ask for"};

/* ---- orders and trades ---- */

const struct field order_fields[] = {
	FIELD(struct order_row, id, FIELD_ID, .doc = "the order: id of the command that placed it"),
	FIELD(struct order_row, org_id, FIELD_ID, .doc = "whose it is"),
	FIELD(struct order_row, number, FIELD_INT, .min = 1, .doc = "in the order of their coming, over all markets"),
	FIELD(struct order_row, market, FIELD_INT, .min = 1, .doc = "the market"),
	FIELD_AS(struct order_row, class_number, "class", FIELD_INT, .min = 1, .doc = "of a sell order: its class"),
	FIELD(struct order_row, batch, FIELD_INT, .min = 1, .doc = "of a sell order: the batch"),
	FIELD(struct order_row, instrument, FIELD_INT, .min = 1, .doc = "of a buy order: the instrument"),
	FIELD(struct order_row, side, FIELD_ENUM, .names = event_order_side_names, .doc = "buy or sell"),
	FIELD(struct order_row, type, FIELD_ENUM, .names = event_order_type_names, .doc = "type"),
	FIELD(struct order_row, tif, FIELD_ENUM, .names = event_order_tif_names, .doc = "time in force"),
	FIELD(struct order_row, stp, FIELD_ENUM, .names = event_order_stp_names, .doc = "self-trade prevention"),
	FIELD(struct order_row, status, FIELD_ENUM, .names = order_status_names,
		.doc = "open, sleeping until its stop is reached, filled, or ended "
		       "with something not traded"),
	FIELD_AS(struct order_row, price_micros, "price", FIELD_MICROS,
		.doc = "limit per tonne; of a market order its collar"),
	FIELD_AS(struct order_row, stop_micros, "stop_price", FIELD_MICROS, .doc = "last trade at which it wakes"),
	FIELD_AS(struct order_row, trail_micros, "trail", FIELD_MICROS, .doc = "how far a trailing stop stays behind"),
	FIELD(struct order_row, kg, FIELD_INT, .unit = "kg", .doc = "as placed or amended"),
	FIELD(struct order_row, left_kg, FIELD_INT, .unit = "kg", .doc = "not traded yet"),
	FIELD(struct order_row, filled_kg, FIELD_INT, .unit = "kg", .doc = "traded"),
	FIELD_AS(struct order_row, filled_micros, "filled_amount", FIELD_MICROS, .doc = "price of what was traded"),
	FIELD_AS(struct order_row, fees_micros, "fees", FIELD_MICROS, .doc = "paid to the house; below zero: rebates"),
	FIELD_AS(struct order_row, reserved_micros, "reserved", FIELD_MICROS,
		.doc = "of a buy order: money that is reserved for what is left"),
	FIELD(struct order_row, shown_kg, FIELD_INT, .unit = "kg", .doc = "how much of it is shown at a time"),
	FIELD(struct order_row, minimum_kg, FIELD_INT, .unit = "kg", .doc = "it trades at least so much at a time"),
	FIELD(struct order_row, visible_kg, FIELD_INT, .unit = "kg", .doc = "what the depth has of it now"),
	FIELD(struct order_row, expires_at, FIELD_TIME, .doc = "when it ends"),
	FIELD(struct order_row, post_only, FIELD_BOOL, .doc = "it never trades when it comes"),
	FIELD(struct order_row, hidden, FIELD_BOOL, .doc = "not in the depth"),
	FIELD(struct order_row, reason, FIELD_ENUM, .names = event_order_reason_names,
		.doc = "of an ended order: why what was left was not traded"),
	FIELD(struct order_row, placed_by, FIELD_ID, .doc = "actor"),
	FIELD(struct order_row, placed_at, FIELD_TIME, .doc = "when it was placed"),
	FIELD(struct order_row, done_at, FIELD_TIME, .doc = "when it was filled or ended"), POSITION(order_row),
	FIELD_END};

static const struct store_index orders_indexes[] = {{.name = "by_org", .fields = {"org_id", "number"}},
	{.name = "by_org_status", .fields = {"org_id", "status", "number"}},
	{.name = "by_org_market", .fields = {"org_id", "market", "number"}},
	{.name = "by_org_market_status", .fields = {"org_id", "market", "status", "number"}}, {.name = NULL}};

const struct store_collection orders_collection = {.name = "orders",
	.class = STORE_VIEWS,
	.fields = order_fields,
	.row_size = sizeof(struct order_row),
	.key = {"id"},
	.indexes = orders_indexes,
	.shard_key = "id",
	.doc = "Orders, also those that are done"};

const struct field trade_fields[] = {FIELD(struct trade_row, trade, FIELD_INT, .min = 1, .doc = "its number"),
	FIELD(struct trade_row, market, FIELD_INT, .min = 1, .doc = "the market"),
	FIELD_AS(struct trade_row, class_number, "class", FIELD_INT, .min = 1, .doc = "its home class"),
	FIELD(struct trade_row, batch, FIELD_INT, .min = 1, .doc = "batch of the kilograms"),
	FIELD_AS(struct trade_row, price_micros, "price", FIELD_MICROS, .doc = "per tonne"),
	FIELD(struct trade_row, kg, FIELD_INT, .unit = "kg", .doc = "quantity"),
	FIELD_AS(struct trade_row, amount_micros, "amount", FIELD_MICROS, .doc = "price × kg ÷ 1,000"),
	FIELD(struct trade_row, taker_side, FIELD_ENUM, .names = event_order_side_names,
		.doc = "side of the order that came"),
	FIELD(struct trade_row, ranges, FIELD_LIST, .table = range_item_fields,
		.item_size = sizeof(struct serial_range_item), .max = EVENTS_RANGES_MAX, .doc = "the serials"),
	FIELD(struct trade_row, traded_at, FIELD_TIME, .doc = "when"),
	FIELD(struct trade_row, busted_at, FIELD_TIME, .doc = "when it was undone; left out: it stands"),
	POSITION(trade_row), FIELD_END};

static const struct store_index trades_indexes[] = {{.name = "by_market", .fields = {"market", "trade"}},
	{.name = "by_class", .fields = {"class", "trade"}}, {.name = NULL}};

const struct store_collection trades_collection = {.name = "trades",
	.class = STORE_VIEWS,
	.fields = trade_fields,
	.row_size = sizeof(struct trade_row),
	.key = {"trade"},
	.indexes = trades_indexes,
	.shard_key = "trade",
	.doc = "Trades, without names"};

const struct field execution_fields[] = {FIELD(struct execution_row, org_id, FIELD_ID, .doc = "whose it is"),
	FIELD(struct execution_row, trade, FIELD_INT, .min = 1, .doc = "the trade's number"),
	FIELD(struct execution_row, order_id, FIELD_ID, .doc = "the order"),
	FIELD(struct execution_row, counterparty_org_id, FIELD_ID, .doc = "whom it traded with"),
	FIELD(struct execution_row, market, FIELD_INT, .min = 1, .doc = "the market"),
	FIELD_AS(struct execution_row, class_number, "class", FIELD_INT, .min = 1, .doc = "home class of the trade"),
	FIELD(struct execution_row, batch, FIELD_INT, .min = 1, .doc = "batch of the kilograms"),
	FIELD(struct execution_row, side, FIELD_ENUM, .names = event_order_side_names, .doc = "bought or sold"),
	FIELD_AS(struct execution_row, is_maker, "maker", FIELD_BOOL, .doc = "the order rested; else it came"),
	FIELD_AS(struct execution_row, price_micros, "price", FIELD_MICROS, .doc = "per tonne"),
	FIELD(struct execution_row, kg, FIELD_INT, .unit = "kg", .doc = "quantity"),
	FIELD_AS(struct execution_row, amount_micros, "amount", FIELD_MICROS, .doc = "price × kg ÷ 1,000"),
	FIELD_AS(struct execution_row, fee_micros, "fee", FIELD_MICROS, .doc = "to the house; below zero: a rebate"),
	FIELD(struct execution_row, ranges, FIELD_LIST, .table = range_item_fields,
		.item_size = sizeof(struct serial_range_item), .max = EVENTS_RANGES_MAX, .doc = "the serials"),
	FIELD(struct execution_row, executed_at, FIELD_TIME, .doc = "when"), POSITION(execution_row), FIELD_END};

static const struct store_index executions_indexes[] = {
	{.name = "by_order", .fields = {"order_id", "trade"}}, {.name = NULL}};

const struct store_collection executions_collection = {.name = "executions",
	.class = STORE_VIEWS,
	.fields = execution_fields,
	.row_size = sizeof(struct execution_row),
	.key = {"org_id", "trade"},
	.indexes = executions_indexes,
	.shard_key = "org_id",
	.doc = "Each organisation's sides of trades"};

#define LIMIT_FIELDS                                                                                         \
	FIELD(struct trader_limit_row, org_id, FIELD_ID, .doc = "the organisation"),                         \
		FIELD(struct trader_limit_row, market, FIELD_INT, .min = 1, .doc = "the market"),            \
		FIELD(struct trader_limit_row, by_registry, FIELD_BOOL,                                      \
			.doc = "set by the registry; it holds beside the organisation's own"),               \
		FIELD(struct trader_limit_row, orders_most, FIELD_INT, .doc = "open orders; left out: any"), \
		FIELD(struct trader_limit_row, kg_most, FIELD_INT, .unit = "kg",                             \
			.doc = "in open orders; left out: any"),                                             \
		FIELD_AS(struct trader_limit_row, notional_micros, "notional_most", FIELD_MICROS,            \
			.doc = "worth of open orders; left out: any"),                                       \
		FIELD(struct trader_limit_row, set_at, FIELD_TIME, .doc = "when it was set"),                \
		POSITION(trader_limit_row)

static const struct field stored_limit_fields[] = {
	FIELD(struct trader_limit_row, place, FIELD_INT, .min = 1, .doc = "market × 2, + 1 for the registry's"),
	LIMIT_FIELDS, FIELD_END};

const struct field trader_limit_fields[] = {LIMIT_FIELDS, FIELD_END};

const struct store_collection trader_limits_collection = {.name = "trader_limits",
	.class = STORE_VIEWS,
	.fields = stored_limit_fields,
	.row_size = sizeof(struct trader_limit_row),
	.key = {"org_id", "place"},
	.shard_key = "org_id",
	.doc = "How much organisations may have open in markets"};

/* ---- depth ---- */

static const struct field ladder_fields[] = {FIELD(struct ladder_row, ladder, FIELD_INT, .min = 1,
						     .doc = "number of class, batch or instrument × 3, + 0, 1 or 2"),
	FIELD(struct ladder_row, kg, FIELD_INT, .unit = "kg", .doc = "all that is shown of it"),
	FIELD(struct ladder_row, orders, FIELD_INT, .doc = "of so many orders"), POSITION(ladder_row), FIELD_END};

const struct store_collection ladders_collection = {.name = "ladders",
	.class = STORE_VIEWS,
	.fields = ladder_fields,
	.row_size = sizeof(struct ladder_row),
	.key = {"ladder"},
	.shard_key = "ladder",
	.doc = "Sides of the book: sells of a class, sells of a batch, buys of an "
	       "instrument"};

#define LEVEL_FIELDS                                                                                  \
	FIELD_AS(struct price_level, price_micros, "price", FIELD_MICROS, .doc = "per tonne"),        \
		FIELD(struct price_level, kg, FIELD_INT, .unit = "kg", .doc = "what is shown at it"), \
		FIELD(struct price_level, orders, FIELD_INT, .doc = "of so many orders")

static const struct field stored_level_fields[] = {
	FIELD(struct price_level, ladder, FIELD_INT, .min = 1, .doc = "the side"), LEVEL_FIELDS, POSITION(price_level),
	FIELD_END};

const struct field price_level_fields[] = {LEVEL_FIELDS, FIELD_END};

const struct store_collection price_levels_collection = {.name = "price_levels",
	.class = STORE_VIEWS,
	.fields = stored_level_fields,
	.row_size = sizeof(struct price_level),
	.key = {"ladder", "price"},
	.shard_key = "ladder",
	.doc = "What each side of the book shows, by price"};

const struct field market_depth_fields[] = {
	FIELD(struct market_depth, market, FIELD_INT, .min = 1, .doc = "the market"),
	FIELD_AS(struct market_depth, class_number, "class", FIELD_INT, .min = 1, .doc = "the class, …"),
	FIELD(struct market_depth, instrument, FIELD_INT, .min = 1, .doc = "… or the instrument"),
	FIELD(struct market_depth, sequence, FIELD_INT,
		.doc = "journal position of the last change; 0: there was none"),
	FIELD(struct market_depth, bids, FIELD_LIST, .table = price_level_fields,
		.item_size = sizeof(struct price_level), .max = DEPTH_LEVELS_MOST, .doc = "buys, highest price first"),
	FIELD(struct market_depth, asks, FIELD_LIST, .table = price_level_fields,
		.item_size = sizeof(struct price_level), .max = DEPTH_LEVELS_MOST, .doc = "sells, lowest price first"),
	FIELD(struct market_depth, checksum, FIELD_HASH,
		.doc = "SHA-256 of carbond/book/1, a zero byte and a line for each "
		       "of these levels, bids first: bid 100.5 3000, ask 101 2000"),
	FIELD_END};
