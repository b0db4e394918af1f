/* Markets, what they trade, their depth and their trades: public, without names. Reads on workers; commands by the
 * engine. */
#include "carbond/market.h"

#include "value.h"

#include <string.h>

static const enum err market_errors[] = {
	ERR_DUPLICATE, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err bust_errors[] = {ERR_TRADE_UNKNOWN, ERR_TRADE_MOVED_ON, ERR_INSUFFICIENT_FUNDS,
	ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err depth_errors[] = {ERR_BUSY, ERR_OK};

/* ---- markets ---- */

static enum err markets_list(struct http_request *request, struct err_info *info)
{
	struct store_query query = {.collection = &markets_collection};
	enum err err = value_at_least(request, info);
	return err ? err : api_answer_found(request, &query, market_fields, info);
}

static enum err markets_get(struct http_request *request, struct err_info *info)
{
	struct market_row row;
	field_clear(market_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "market", &row.market, info);
	if (!err)
		err = store_get(api_of(request)->store, &markets_collection, &row, http_arena(request), info);
	return err ? err : http_answer_row(request, market_fields, &row, row.position);
}

struct opening {
	int kind;
	const char *currency;
	int64_t tick_micros, lot_kg, maker_ppm, taker_ppm, collar_ppm;
};
static const struct field opening_fields[] = {FIELD(struct opening, kind, FIELD_ENUM, .flags = FIELD_REQUIRED,
						      .names = event_credit_kind_names, .doc = "Removal or reduction"),
	FIELD(struct opening, currency, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 7,
		.doc = "Quote currency"),
	FIELD_AS(struct opening, tick_micros, "tick", FIELD_MICROS, .flags = FIELD_REQUIRED, .min = 1000,
		.max = MARKET_PRICE_MAX, .doc = "Prices per tonne are multiples of it; itself one of 0.001"),
	FIELD(struct opening, lot_kg, FIELD_INT, .min = 1000, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "Quantities are multiples of it; itself one of 1,000, which "
		       "it is where left out"),
	FIELD(struct opening, maker_ppm, FIELD_INT, .min = -100000, .max = 100000, .unit = "ppm",
		.doc = "Fee of who rested; below zero a rebate, at most what the "
		       "taker pays; 0 where left out"),
	FIELD(struct opening, taker_ppm, FIELD_INT, .max = 100000, .unit = "ppm",
		.doc = "Fee of who came; 0 where left out"),
	FIELD(struct opening, collar_ppm, FIELD_INT, .max = 900000, .unit = "ppm",
		.doc = "How far from the best price a market order may trade; 0 "
		       "where left out"),
	FIELD_END};

static int64_t or_else(int64_t value, int64_t otherwise)
{
	return value == FIELD_ABSENT ? otherwise : value;
}

static enum err markets_open(struct http_request *request, struct err_info *info)
{
	const struct opening *body = http_body(request);
	struct command command = value_command(request, COMMAND_MARKET_OPEN);
	command.market_open = (struct command_market_open){.tick_micros = body->tick_micros,
		.lot_kg = or_else(body->lot_kg, 1000),
		.maker_ppm = or_else(body->maker_ppm, 0),
		.taker_ppm = or_else(body->taker_ppm, 0),
		.collar_ppm = or_else(body->collar_ppm, 0),
		.kind = (uint32_t)body->kind};
	code8_set(&command.market_open.currency, body->currency); /* its length is checked */
	return value_submit(request, &command, NULL, 0, info);
}

static enum err market_set(
	struct http_request *request, enum market_state state, int64_t until_us, struct err_info *info)
{
	struct command command = value_command(request, COMMAND_MARKET_HALT);
	int64_t market = 0;
	enum err err = value_path_number(request, "market", &market, info);
	if (err)
		return err;
	command.market_halt = (struct command_market_halt){
		.market = (uint64_t)market, .until_us = until_us, .state = (uint32_t)state};
	return value_submit(request, &command, NULL, 0, info);
}

struct halting {
	int64_t until;
};
static const struct field halting_fields[] = {
	FIELD(struct halting, until, FIELD_TIME, .doc = "When it goes on by itself; left out: when it is let"),
	FIELD_END};

static enum err markets_halt(struct http_request *request, struct err_info *info)
{
	const struct halting *given = http_query(request);
	return market_set(request, MARKET_HALTED, or_else(given->until, 0), info);
}

static enum err markets_resume(struct http_request *request, struct err_info *info)
{
	return market_set(request, MARKET_OPEN, 0, info);
}

struct scheduling {
	int64_t static_ppm, dynamic_ppm, interruption_us, auction_us;
	struct field_list hours;
};
static const struct field scheduling_fields[] = {
	FIELD(struct scheduling, static_ppm, FIELD_INT, .max = 900000, .unit = "ppm",
		.doc = "How far from the price of its last auction a class may "
		       "trade; any where left out"),
	FIELD(struct scheduling, dynamic_ppm, FIELD_INT, .max = 900000, .unit = "ppm",
		.doc = "How far from its last trade; any where left out"),
	FIELD(struct scheduling, interruption_us, FIELD_INT, .max = MARKET_AUCTION_US_MAX, .unit = "us",
		.doc = "Length of the auction that a trade out of a band begins, "
		       "at least a second; 5 minutes where left out"),
	FIELD(struct scheduling, auction_us, FIELD_INT, .max = MARKET_AUCTION_US_MAX, .unit = "us",
		.doc = "Length of the auction at opening and after a halt; none where left out"),
	FIELD(struct scheduling, hours, FIELD_TEXTS, .max = 7,
		.doc = "Trading hours in UTC, one a day: \"mon 09:00-17:30\"; "
		       "left out: always"),
	FIELD_END};

#define INTERRUPTION_US INT64_C(300000000)

/* "mon 09:00-17:30" into the minutes of its day. */
static bool hours_parse(const char *text, uint32_t minutes[14])
{
	static const char days[] = "montuewedthufrisatsun";
	static const char form[] = "aaa 99:99-99:99";
	for (size_t i = 0; i < sizeof form; i++) {
		bool fits = form[i] == '9'   ? text[i] >= '0' && text[i] <= '9'
			    : form[i] == 'a' ? text[i] >= 'a' && text[i] <= 'z'
					     : text[i] == form[i];
		if (!fits)
			return false;
	}
	for (size_t day = 0; day < 7; day++) {
		if (memcmp(text, days + 3 * day, 3) != 0)
			continue;
		for (size_t i = 0; i < 2; i++) {
			const char *at = text + 4 + 6 * i;
			uint32_t minute = (uint32_t)(at[3] - '0') * 10 + (uint32_t)(at[4] - '0');
			minutes[2 * day + i] = ((uint32_t)(at[0] - '0') * 10 + (uint32_t)(at[1] - '0')) * 60 + minute;
			if (minute > 59)
				return false;
		}
		return minutes[2 * day] < minutes[2 * day + 1] && minutes[2 * day + 1] <= 24 * 60;
	}
	return false;
}

static enum err markets_schedule(struct http_request *request, struct err_info *info)
{
	const struct scheduling *body = http_body(request);
	struct command command = value_command(request, COMMAND_MARKET_SCHEDULE);
	struct command_market_schedule *asked = &command.market_schedule;
	int64_t market = 0;
	enum err err = value_path_number(request, "market", &market, info);
	*asked = (struct command_market_schedule){.market = (uint64_t)market,
		.static_ppm = or_else(body->static_ppm, 0),
		.dynamic_ppm = or_else(body->dynamic_ppm, 0),
		.interruption_us = or_else(body->interruption_us, INTERRUPTION_US),
		.auction_us = or_else(body->auction_us, 0),
		.calendar = body->hours.count > 0};
	uint32_t minutes[14] = {0};
	for (size_t i = 0; i < body->hours.count && !err; i++)
		if (!hours_parse(((const char *const *)body->hours.items)[i], minutes))
			err = err_set(info, ERR_INVALID_FIELD, "/hours",
				"/hours must be texts like \"mon 09:00-17:30\", up to 24:00");
	memcpy(&asked->mon_open, minutes, sizeof minutes);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

/* ---- classes and instruments ---- */

/* The rows of an index whose first member is the path's market, in order of their numbers. */
static enum err of_market(struct http_request *request, struct store_query *query, const struct field *fields,
	void *low, int64_t *market, struct err_info *info)
{
	field_clear(query->collection->fields, low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "market", market, info);
	query->index = "by_market";
	query->low = low;
	query->prefix = 1;
	return err ? err : api_answer_found(request, query, fields, info);
}

static enum err classes_list(struct http_request *request, struct err_info *info)
{
	struct market_class_row low;
	struct store_query query = {.collection = &market_classes_collection};
	return of_market(request, &query, market_class_fields, &low, &low.market, info);
}

static enum err instruments_list(struct http_request *request, struct err_info *info)
{
	struct instrument_row low;
	struct store_query query = {.collection = &instruments_collection};
	return of_market(request, &query, instrument_fields, &low, &low.market, info);
}

static enum err instruments_get(struct http_request *request, struct err_info *info)
{
	struct instrument_row row;
	field_clear(instrument_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "instrument", &row.instrument, info);
	if (!err)
		err = store_get(api_of(request)->store, &instruments_collection, &row, http_arena(request), info);
	return err ? err : http_answer_row(request, instrument_fields, &row, row.position);
}

struct listing {
	const char *code;
	int64_t batch, vintage_from, vintage_to;
	const char *methodology, *country;
	struct field_list durabilities, verifiers;
	int64_t verifiers_least;
};
static const struct field listing_fields[] = {
	FIELD(struct listing, code, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 32,
		.doc = "Its code; that of an instrument makes its next version"),
	FIELD(struct listing, batch, FIELD_INT, .min = 1, .doc = "This batch alone"),
	FIELD(struct listing, methodology, FIELD_TEXT, .max = 16, .doc = "This methodology; left out: any"),
	FIELD(struct listing, country, FIELD_TEXT, .max = 2, .doc = "ISO 3166 alpha-2; left out: any"),
	FIELD(struct listing, durabilities, FIELD_TEXTS, .max = DURABILITY_COUNT,
		.doc = "These durability classes; left out: any"),
	FIELD(struct listing, vintage_from, FIELD_INT, .min = 1970, .max = 9999, .doc = "First year; left out: any"),
	FIELD(struct listing, vintage_to, FIELD_INT, .min = 1970, .max = 9999, .doc = "Last year; left out: any"),
	FIELD(struct listing, verifiers, FIELD_TEXTS, .max = EVENTS_VERIFIERS_MAX,
		.doc = "Attested by a verifier of one of these organisations; left out: of any"),
	FIELD(struct listing, verifiers_least, FIELD_INT, .min = 1, .max = EVENTS_VERIFIERS_MAX,
		.doc = "Attested by verifiers of at least so many organisations; left out: any number"),
	FIELD_END};

static enum err durabilities_of(const struct field_list *names, uint32_t *ret_set, struct err_info *info)
{
	*ret_set = 0;
	for (size_t i = 0; i < names->count; i++) {
		uint32_t durability = 0;
		while (durability < DURABILITY_COUNT &&
			strcmp(((const char *const *)names->items)[i], event_durability_names[durability]) != 0)
			durability++;
		if (durability == DURABILITY_COUNT)
			return err_set(info, ERR_INVALID_FIELD, "/durabilities",
				"/durabilities must name durability classes, as batches have them");
		*ret_set |= 1u << durability;
	}
	return ERR_OK;
}

static enum err verifiers_of(const struct field_list *ids, struct verifier_set *ret_set, struct err_info *info)
{
	for (size_t i = 0; i < ids->count; i++) {
		struct id org;
		if (id_parse(((const char *const *)ids->items)[i], &org))
			return err_set(
				info, ERR_INVALID_FIELD, "/verifiers", "/verifiers must be ids of organisations");
		verifier_set_add(ret_set, org); /* there are no more than it has room for */
	}
	return ERR_OK;
}

static enum err instruments_create(struct http_request *request, struct err_info *info)
{
	const struct listing *body = http_body(request);
	struct command command = value_command(request, COMMAND_INSTRUMENT_LIST);
	struct command_instrument_list *asked = &command.instrument_list;
	int64_t market = 0;
	enum err err = value_path_number(request, "market", &market, info);
	if (!err)
		err = durabilities_of(&body->durabilities, &asked->durabilities, info);
	struct verifier_set verifiers = {0};
	if (!err)
		err = verifiers_of(&body->verifiers, &verifiers, info);
	if (err)
		return err;
	command.lists = (struct record_lists){.verifiers = verifiers.orgs, .verifier_count = verifiers.count};
	asked->verifiers_least = (uint32_t)or_else(body->verifiers_least, 0);
	asked->market = (uint64_t)market;
	asked->batch = (uint64_t)or_else(body->batch, 0);
	asked->vintage_from = (uint32_t)or_else(body->vintage_from, 0);
	asked->vintage_to = (uint32_t)or_else(body->vintage_to, 0);
	code32_set(&asked->code, body->code); /* lengths are checked */
	if (body->methodology)
		code16_set(&asked->methodology, body->methodology);
	if (body->country)
		code8_set(&asked->country, body->country);
	return value_submit(request, &command, NULL, 0, info);
}

/* ---- depth ---- */

struct depth_query {
	int64_t levels;
};
static const struct field depth_query_fields[] = {
	FIELD(struct depth_query, levels, FIELD_INT, .min = 1, .max = DEPTH_LEVELS_MOST,
		.doc = "At most so many prices of each side (10 where left out); 1 "
		       "is the top of the book"),
	FIELD_END};

static enum err depth_answer(struct http_request *request, const char *name,
	enum err (*read)(struct store *store, int64_t number, size_t levels, struct arena *arena,
		struct market_depth *ret_depth, struct err_info *info),
	struct err_info *info)
{
	const struct depth_query *given = http_query(request);
	struct market_depth depth;
	int64_t number = 0;
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, name, &number, info);
	if (!err)
		err = read(api_of(request)->store, number, (size_t)or_else(given->levels, 10), http_arena(request),
			&depth, info);
	return err ? err : http_answer_row(request, market_depth_fields, &depth, -1);
}

static enum err instruments_depth(struct http_request *request, struct err_info *info)
{
	return depth_answer(request, "instrument", engine_depth_of_instrument, info);
}

static enum err classes_depth(struct http_request *request, struct err_info *info)
{
	return depth_answer(request, "class", engine_depth_of_class, info);
}

/* ---- auctions at opening and after a halt ---- */

struct class_auction {
	int64_t class_number, market;
	int state;
	int64_t until, price_micros, kg, surplus_kg, sequence;
};
static const struct field class_auction_fields[] = {
	FIELD_AS(struct class_auction, class_number, "class", FIELD_INT, .doc = "The class"),
	FIELD(struct class_auction, market, FIELD_INT, .doc = "Its market"),
	FIELD(struct class_auction, state, FIELD_ENUM, .names = event_market_state_names,
		.doc = "The market's state; what follows is there in an auction"),
	FIELD(struct class_auction, until, FIELD_TIME, .doc = "When it ends"),
	FIELD_AS(struct class_auction, price_micros, "price", FIELD_MICROS,
		.doc = "What it would settle at if it ended now, by what the depth "
		       "shows; left out: nothing crosses"),
	FIELD(struct class_auction, kg, FIELD_INT, .unit = "kg", .doc = "What would trade"),
	FIELD(struct class_auction, surplus_kg, FIELD_INT, .min = -INT64_C(1000000000000000), .unit = "kg",
		.doc = "What more is bid than asked at it; below zero: asked"),
	FIELD(struct class_auction, sequence, FIELD_INT, .doc = "Of the depth"), FIELD_END};

static struct market_level *levels_of(struct http_request *request, const struct field_list *list)
{
	const struct price_level *items = list->items;
	struct market_level *levels = ARENA_ARRAY(http_arena(request), struct market_level, list->count + 1);
	for (size_t i = 0; levels && i < list->count; i++)
		levels[i] = (struct market_level){items[i].price_micros, items[i].kg};
	return levels;
}

static enum err indicate(struct http_request *request, const struct market_row *market,
	const struct market_class_row *class, struct class_auction *answer, struct err_info *info)
{
	struct market_depth depth;
	struct market_indication found;
	enum err err = engine_depth_of_class(
		api_of(request)->store, class->class_number, DEPTH_LEVELS_MOST, http_arena(request), &depth, info);
	if (err)
		return err;
	struct market_sides sides = {.bids = levels_of(request, &depth.bids),
		.asks = levels_of(request, &depth.asks),
		.bid_count = depth.bids.count,
		.ask_count = depth.asks.count};
	err = sides.bids && sides.asks
		      ? market_auction_price(&sides, market->tick_micros, or_else(class->last_micros, 0), &found)
		      : ERR_NO_MEMORY;
	if (err)
		return err_set(info, err, NULL, "no memory for the answer");
	answer->sequence = depth.sequence;
	if (found.kg) {
		answer->price_micros = found.price_micros;
		answer->kg = found.kg;
		answer->surplus_kg = found.surplus_kg;
	}
	return ERR_OK;
}

static enum err classes_auction(struct http_request *request, struct err_info *info)
{
	struct market_class_row class;
	struct market_row market;
	struct class_auction answer;
	field_clear(market_class_fields, &class);
	field_clear(market_fields, &market);
	field_clear(class_auction_fields, &answer);
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "class", &class.class_number, info);
	if (!err)
		err = store_get(api_of(request)->store, &market_classes_collection, &class, http_arena(request), info);
	market.market = class.market;
	if (!err)
		err = store_get(api_of(request)->store, &markets_collection, &market, http_arena(request), info);
	if (err)
		return err;
	answer.class_number = class.class_number;
	answer.market = market.market;
	answer.state = market.state;
	answer.until = market.until;
	if (market.state == MARKET_AUCTION)
		err = indicate(request, &market, &class, &answer, info);
	return err ? err : http_answer_row(request, class_auction_fields, &answer, -1);
}

/* ---- trades ---- */

struct trades_query {
	int64_t class_number;
};
static const struct field trades_query_fields[] = {
	FIELD_AS(struct trades_query, class_number, "class", FIELD_INT, .min = 1, .doc = "Only those of this class"),
	FIELD_END};

static enum err trades_list(struct http_request *request, struct err_info *info)
{
	const struct trades_query *given = http_query(request);
	struct trade_row low;
	bool of_class = given->class_number != FIELD_ABSENT;
	field_clear(trade_fields, &low);
	low.class_number = given->class_number;
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "market", &low.market, info);
	struct store_query query = {.collection = &trades_collection,
		.index = of_class ? "by_class" : "by_market",
		.low = &low,
		.prefix = 1,
		.descending = true};
	return err ? err : api_answer_found(request, &query, trade_fields, info);
}

static enum err trades_get(struct http_request *request, struct err_info *info)
{
	struct trade_row row;
	field_clear(trade_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "trade", &row.trade, info);
	if (!err)
		err = store_get(api_of(request)->store, &trades_collection, &row, http_arena(request), info);
	return err ? err : http_answer_row(request, trade_fields, &row, row.position);
}

struct undoing {
	int64_t market, kg, amount_micros, seller_fee_micros, buyer_fee_micros;
	struct id seller_org_id, buyer_org_id;
	struct field_list ranges;
	const char *reason;
};
static const struct field undoing_fields[] = {
	FIELD(struct undoing, market, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .doc = "The market"),
	FIELD(struct undoing, seller_org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Who sold"),
	FIELD(struct undoing, buyer_org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Who bought"),
	FIELD(struct undoing, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "Quantity"),
	FIELD_AS(struct undoing, amount_micros, "amount", FIELD_MICROS, .flags = FIELD_REQUIRED, .min = 1,
		.max = LEDGER_MICROS_MAX, .doc = "What the buyer paid"),
	FIELD_AS(struct undoing, seller_fee_micros, "seller_fee", FIELD_MICROS, .flags = FIELD_REQUIRED,
		.min = -LEDGER_MICROS_MAX, .max = LEDGER_MICROS_MAX, .doc = "Fee of the seller's execution"),
	FIELD_AS(struct undoing, buyer_fee_micros, "buyer_fee", FIELD_MICROS, .flags = FIELD_REQUIRED,
		.min = -LEDGER_MICROS_MAX, .max = LEDGER_MICROS_MAX, .doc = "Fee of the buyer's"),
	FIELD(struct undoing, ranges, FIELD_LIST, .flags = FIELD_REQUIRED, .table = range_item_fields,
		.item_size = sizeof(struct serial_range_item), .min = 1, .max = EVENTS_RANGES_MAX,
		.doc = "The serials, in the order of the trade"),
	FIELD(struct undoing, reason, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = VALUE_REASON_BYTES,
		.doc = "Why; kept in the vault"),
	FIELD_END};

/* Undoes a trade: the engine checks that it moved what its two executions, and so this request, say. */
static enum err trades_bust(struct http_request *request, struct err_info *info)
{
	const struct undoing *body = http_body(request);
	struct command command = value_command(request, COMMAND_TRADE_BUST);
	struct serial_range *ranges = ARENA_ARRAY(http_arena(request), struct serial_range, body->ranges.count);
	const struct serial_range_item *items = body->ranges.items;
	struct vault_row reason;
	int64_t trade = 0;
	enum err err = value_path_number(request, "trade", &trade, info);
	if (!err && !ranges)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the serials");
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	for (size_t i = 0; i < body->ranges.count; i++)
		ranges[i] = (struct serial_range){
			.batch = (uint64_t)items[i].batch, .start = items[i].start, .length = items[i].length};
	command.trade_bust = (struct command_trade_bust){.trade = (uint64_t)trade,
		.market = (uint64_t)body->market,
		.seller = body->seller_org_id,
		.buyer = body->buyer_org_id,
		.kg = body->kg,
		.amount_micros = body->amount_micros,
		.seller_fee_micros = body->seller_fee_micros,
		.buyer_fee_micros = body->buyer_fee_micros,
		.reason_hash = reason.hash};
	command.lists = (struct record_lists){.ranges = ranges, .range_count = body->ranges.count};
	return value_submit(request, &command, &reason, 1, info);
}

#define PUBLIC(path_, response_, handler_, operation_, doc_, ...)                                                  \
	HTTP_ROUTE(HTTP_GET, path_, "public", .kind = HTTP_WORK, .cost = 2, .response = response_, .success = 200, \
		.handler = handler_, .operation = operation_, .doc = doc_, __VA_ARGS__)
#define PUBLIC_LIST(path_, response_, handler_, operation_, doc_, ...)                                          \
	PUBLIC(path_, response_, handler_, operation_, doc_, .flags = HTTP_PUBLIC | HTTP_PAGED | HTTP_AT_LEAST, \
		__VA_ARGS__)
#define COMMAND(path_, permission_, handler_, operation_, doc_, ...)                                         \
	HTTP_ROUTE(HTTP_POST, path_, permission_, .kind = HTTP_LATER, .flags = HTTP_VALUE,                   \
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .response = value_result_fields,              \
		.errors = market_errors, .handler = handler_, .reply = value_reply, .operation = operation_, \
		.doc = doc_, __VA_ARGS__)

const struct http_route api_markets_routes[] = {
	PUBLIC_LIST("/v1/markets", market_fields, markets_list, "markets.list", "Markets"),
	COMMAND("/v1/markets", "market:write", markets_open, "markets.open",
		"Opens the market of a kind of credit in a currency", .request = opening_fields,
		.request_size = sizeof(struct opening), .success = 201),
	PUBLIC("/v1/markets/{market}", market_fields, markets_get, "markets.get", "A market by its number",
		.flags = HTTP_PUBLIC | HTTP_AT_LEAST),
	COMMAND("/v1/markets/{market}/halt", "market:halt", markets_halt, "markets.halt",
		"Halts a market: it takes cancellations alone", .success = 200, .query = halting_fields,
		.query_size = sizeof(struct halting)),
	COMMAND("/v1/markets/{market}/resume", "market:halt", markets_resume, "markets.resume",
		"Lets a halted market go on: with an auction, where its schedule has one", .success = 200),
	COMMAND("/v1/markets/{market}/schedule", "market:write", markets_schedule, "markets.schedule",
		"Gives a market its price bands, auctions and trading hours: the "
		"next version of its schedule",
		.success = 200, .request = scheduling_fields, .request_size = sizeof(struct scheduling)),
	PUBLIC_LIST("/v1/markets/{market}/classes", market_class_fields, classes_list, "classes.list",
		"Classes of supply of a market, with their last trades"),
	PUBLIC_LIST("/v1/markets/{market}/instruments", instrument_fields, instruments_list, "instruments.list",
		"Instruments of a market, all versions"),
	COMMAND("/v1/markets/{market}/instruments", "market:write", instruments_create, "instruments.create",
		"Lists an instrument: what a buyer asks of a batch", .request = listing_fields,
		.request_size = sizeof(struct listing), .success = 201),
	PUBLIC("/v1/instruments/{instrument}", instrument_fields, instruments_get, "instruments.get",
		"An instrument by its number", .flags = HTTP_PUBLIC | HTTP_AT_LEAST),
	PUBLIC("/v1/instruments/{instrument}/depth", market_depth_fields, instruments_depth, "instruments.depth",
		"The book of an instrument: its buys and the sells that it takes, "
		"by price, as of one moment",
		.flags = HTTP_PUBLIC | HTTP_AT_LEAST, .query = depth_query_fields,
		.query_size = sizeof(struct depth_query), .errors = depth_errors),
	PUBLIC("/v1/classes/{class}/depth", market_depth_fields, classes_depth, "classes.depth",
		"The book of a class: its sells and the buys that take them, by "
		"price, as of one moment",
		.flags = HTTP_PUBLIC | HTTP_AT_LEAST, .query = depth_query_fields,
		.query_size = sizeof(struct depth_query), .errors = depth_errors),
	PUBLIC("/v1/classes/{class}/auction", class_auction_fields, classes_auction, "classes.auction",
		"What an auction at opening or after a halt would settle at if it ended now",
		.flags = HTTP_PUBLIC | HTTP_AT_LEAST, .errors = depth_errors),
	PUBLIC_LIST("/v1/markets/{market}/trades", trade_fields, trades_list, "trades.list",
		"Trades of a market, newest first, without names", .query = trades_query_fields,
		.query_size = sizeof(struct trades_query)),
	PUBLIC("/v1/trades/{trade}", trade_fields, trades_get, "trades.get", "A trade by its number, without names",
		.flags = HTTP_PUBLIC | HTTP_AT_LEAST),
	HTTP_ROUTE(HTTP_POST, "/v1/trades/{trade}/bust", "market:halt", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = undoing_fields,
		.request_size = sizeof(struct undoing), .response = value_result_fields, .success = 200,
		.errors = bust_errors, .handler = trades_bust, .reply = value_reply, .operation = "trades.bust",
		.doc = "Undoes a trade of the last 65,536: serials, amount and fees go "
		       "back, if the buyer still has the serials"),
	{.path = NULL}};
