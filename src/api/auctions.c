/* Listings, auctions and their sealed bids (docs/AUCTIONS.md). What is offered and what it came to is public; a bid is its
 * organisation's until the auction is over. Reads on workers; commands by the engine. */
#include "carbond/market.h"

#include "value.h"

static const enum err auction_errors[] = {ERR_AUCTION_DONE, ERR_AUCTION_PHASE, ERR_AUCTION_LEFT, ERR_BID_DONE,
	ERR_OWN_AUCTION, ERR_OFFERS_FULL, ERR_PRICE_LIMIT, ERR_COMMITMENT_MISMATCH, ERR_AMOUNT_INVALID,
	ERR_MARKET_CLOSED, ERR_TRADER_STOPPED, ERR_INSUFFICIENT_KG, ERR_INSUFFICIENT_FUNDS, ERR_BATCH_HELD,
	ERR_ACCOUNT_HELD, ERR_COMMAND_TOO_LARGE, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING,
	ERR_OK};
static const enum err clearing_errors[] = {ERR_AUCTION_PHASE, ERR_OK};

static int64_t or_else(int64_t value, int64_t otherwise)
{
	return value == FIELD_ABSENT ? otherwise : value;
}

/* ---- reading ---- */

static enum err auctions_list(struct http_request *request, struct err_info *info)
{
	struct auction_row low;
	field_clear(auction_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "market", &low.market, info);
	struct store_query query = {
		.collection = &auctions_collection, .index = "by_market", .low = &low, .prefix = 1, .descending = true};
	return err ? err : api_answer_found(request, &query, auction_fields, info);
}

static enum err auction_read(struct http_request *request, struct auction_row *row, struct err_info *info)
{
	field_clear(auction_fields, row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "auction", &row->auction, info);
	return err ? err : store_get(api_of(request)->store, &auctions_collection, row, http_arena(request), info);
}

static enum err auctions_get(struct http_request *request, struct err_info *info)
{
	struct auction_row row;
	enum err err = auction_read(request, &row, info);
	return err ? err : http_answer_row(request, auction_fields, &row, row.position);
}

struct bids_query {
	struct id org_id;
};
static const struct field bids_query_fields[] = {
	FIELD(struct bids_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"), FIELD_END};

static enum err bids_list(struct http_request *request, struct err_info *info)
{
	const struct bids_query *given = http_query(request);
	struct bid_row low;
	field_clear(bid_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_check_cursor(request, &bids_collection, "by_org", info);
	if (!err)
		err = value_path_number(request, "auction", &low.auction, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &low.org_id, info);
	struct store_query query = {.collection = &bids_collection, .index = "by_org", .low = &low, .prefix = 2};
	return err ? err : api_answer_found(request, &query, bid_fields, info);
}

/* ---- the clearing document ---- */

static struct clearing_bid clearing_bid_of(const struct bid_row *row)
{
	bool revealed = row->kg != FIELD_ABSENT;
	return (struct clearing_bid){.bid = (uint64_t)row->bid,
		.org = row->org_id,
		.commitment = row->commitment,
		.nonce = row->nonce,
		.maximum_micros = row->maximum_micros,
		.kg = revealed ? row->kg : 0,
		.price_micros = revealed ? row->price_micros : 0,
		.all_or_none = row->all_or_none,
		.outcome = (enum bid_reason)row->outcome,
		.sold_kg = row->sold_kg,
		.pays_micros = row->pays_micros,
		.forfeited_micros = row->forfeited_micros};
}

static enum err clearing_bids(struct http_request *request, int64_t auction, struct clearing_bid **ret_bids,
	size_t *ret_count, struct err_info *info)
{
	struct bid_row low, *rows = NULL;
	field_clear(bid_fields, &low);
	low.auction = auction;
	struct store_query query = {
		.collection = &bids_collection, .low = &low, .prefix = 1, .most = AUCTION_COMMITS_MOST};
	enum err err = store_find(api_of(request)->store, &query, http_arena(request), (void **)&rows, ret_count, info);
	if (err)
		return err;
	*ret_bids = ARENA_ARRAY(http_arena(request), struct clearing_bid, *ret_count + 1);
	if (!*ret_bids)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the bids");
	for (size_t i = 0; i < *ret_count; i++)
		(*ret_bids)[i] = clearing_bid_of(&rows[i]);
	return ERR_OK;
}

static enum err auctions_clearing(struct http_request *request, struct err_info *info)
{
	struct auction_row row;
	struct clearing_bid *bids = NULL;
	char *text = NULL;
	size_t count = 0, size = 0;
	enum err err = auction_read(request, &row, info);
	if (!err && (row.kind <= AUCTION_DUTCH || row.phase != AUCTION_OVER))
		err = err_set(info, ERR_AUCTION_PHASE, NULL, "only sealed bids are cleared, and these are not yet");
	if (!err)
		err = clearing_bids(request, row.auction, &bids, &count, info);
	if (err)
		return err;
	struct clearing clearing = {.auction = (uint64_t)row.auction,
		.market = (uint64_t)row.market,
		.batch = (uint64_t)row.batch,
		.kind = (enum auction_kind)row.kind,
		.kg = row.kg,
		.lot_kg = row.lot_kg,
		.reserve_micros = row.price_micros,
		.forfeit_ppm = row.forfeit_ppm,
		.clearing_micros = or_else(row.clearing_micros, 0),
		.sold_kg = row.kg - row.left_kg};
	json_t *document = document_own(http_arena(request), market_clearing_document(&clearing, bids, count));
	if (!document)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the document");
	err = document_canonical(http_arena(request), document, &text, &size);
	return err ? err_set(info, err, NULL, "the document has no canonical form")
		   : http_answer_text(request, "application/json", text, size);
}

/* ---- offering ---- */

struct offer {
	int kind;
	int64_t market, batch, kg, lot_kg;
	int64_t price_micros, floor_micros, step_micros, interval_s;
	int64_t ends_at, reveals_until, forfeit_ppm;
};
static const struct field offer_fields[] = {
	FIELD(struct offer, kind, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = event_auction_kind_names,
		.doc = "A fixed price, a falling one, or sealed bids that pay their own, the next or the lowest "
		       "accepted bid"),
	FIELD(struct offer, market, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .doc = "The market"),
	FIELD(struct offer, batch, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1,
		.doc = "The batch, lowest serials first"),
	FIELD(struct offer, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "Quantity"),
	FIELD(struct offer, lot_kg, FIELD_INT, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "Quantities are multiples of it; left out: 1, of second_price the whole"),
	FIELD_AS(struct offer, price_micros, "price", FIELD_MICROS, .flags = FIELD_REQUIRED, .min = 1000,
		.max = MARKET_PRICE_MAX,
		.doc = "Per tonne: of a listing its price, of a dutch auction where it begins, of sealed bids the "
		       "reserve"),
	FIELD_AS(struct offer, floor_micros, "floor", FIELD_MICROS, .min = 1000, .max = MARKET_PRICE_MAX,
		.doc = "Of a dutch auction: it falls no lower"),
	FIELD_AS(struct offer, step_micros, "step", FIELD_MICROS, .min = 1000, .max = MARKET_PRICE_MAX,
		.doc = "Of a dutch auction: by so much …"),
	FIELD(struct offer, interval_s, FIELD_INT, .min = 1, .max = 31622400, .unit = "s",
		.doc = "… each time after so long"),
	FIELD(struct offer, ends_at, FIELD_TIME,
		.doc = "When it ends, of sealed bids the commitments; a listing may be without"),
	FIELD(struct offer, reveals_until, FIELD_TIME, .doc = "Of sealed bids: when the reveals end"),
	FIELD(struct offer, forfeit_ppm, FIELD_INT, .max = 1000000, .unit = "ppm",
		.doc = "Of sealed bids: what one that is not revealed loses of its maximum; 0 where left out"),
	FIELD_END};

static enum err auctions_open(struct http_request *request, struct err_info *info)
{
	const struct offer *body = http_body(request);
	struct command command = value_command(request, COMMAND_AUCTION_OPEN);
	command.auction_open = (struct command_auction_open){.market = (uint64_t)body->market,
		.batch = (uint64_t)body->batch,
		.kg = body->kg,
		.lot_kg = or_else(body->lot_kg, body->kind == AUCTION_SECOND_PRICE ? body->kg : 1),
		.price_micros = body->price_micros,
		.floor_micros = or_else(body->floor_micros, 0),
		.step_micros = or_else(body->step_micros, 0),
		.interval_us = or_else(body->interval_s, 0) * 1000000,
		.ends_us = or_else(body->ends_at, 0),
		.reveals_until_us = or_else(body->reveals_until, 0),
		.forfeit_ppm = or_else(body->forfeit_ppm, 0),
		.kind = (uint32_t)body->kind};
	return value_submit(request, &command, NULL, 0, info);
}

static enum err auction_end(struct http_request *request, bool forced, struct err_info *info)
{
	struct command command = value_command(request, COMMAND_AUCTION_CANCEL);
	int64_t auction = 0;
	enum err err = value_path_number(request, "auction", &auction, info);
	if (err)
		return err;
	command.auction_cancel = (struct command_auction_cancel){.auction = (uint64_t)auction, .forced = forced};
	return value_submit(request, &command, NULL, 0, info);
}

static enum err auctions_cancel(struct http_request *request, struct err_info *info)
{
	return auction_end(request, false, info);
}

static enum err auctions_stop(struct http_request *request, struct err_info *info)
{
	return auction_end(request, true, info);
}

/* ---- taking and bidding ---- */

struct taking {
	int64_t kg, limit_micros;
	bool partial;
};
static const struct field taking_fields[] = {FIELD(struct taking, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1,
						     .max = MARKET_KG_MAX, .unit = "kg", .doc = "Quantity"),
	FIELD_AS(struct taking, limit_micros, "limit", FIELD_MICROS, .flags = FIELD_REQUIRED, .min = 1000,
		.max = MARKET_PRICE_MAX, .doc = "The most per tonne"),
	FIELD(struct taking, partial, FIELD_BOOL, .doc = "What is left, where that is less"), FIELD_END};

static enum err auctions_take(struct http_request *request, struct err_info *info)
{
	const struct taking *body = http_body(request);
	struct command command = value_command(request, COMMAND_AUCTION_TAKE);
	int64_t auction = 0;
	enum err err = value_path_number(request, "auction", &auction, info);
	if (err)
		return err;
	command.auction_take = (struct command_auction_take){.auction = (uint64_t)auction,
		.kg = body->kg,
		.limit_micros = body->limit_micros,
		.partial = body->partial};
	return value_submit(request, &command, NULL, 0, info);
}

struct committing {
	struct hash commitment;
	int64_t maximum_micros;
	bool all_or_none;
};
static const struct field committing_fields[] = {
	FIELD(struct committing, commitment, FIELD_HASH, .flags = FIELD_REQUIRED,
		.doc = "Hash of the bid, as docs/AUCTIONS.md says; carbonctl bid makes it"),
	FIELD_AS(struct committing, maximum_micros, "maximum", FIELD_MICROS, .flags = FIELD_REQUIRED, .min = 1,
		.max = LEDGER_MICROS_MAX, .doc = "The most that price × kg comes to; it and its fee are reserved"),
	FIELD(struct committing, all_or_none, FIELD_BOOL, .doc = "The whole quantity or nothing"), FIELD_END};

static enum err bids_commit(struct http_request *request, struct err_info *info)
{
	const struct committing *body = http_body(request);
	struct command command = value_command(request, COMMAND_BID_COMMIT);
	int64_t auction = 0;
	enum err err = value_path_number(request, "auction", &auction, info);
	if (err)
		return err;
	command.bid_commit = (struct command_bid_commit){.auction = (uint64_t)auction,
		.commitment = body->commitment,
		.maximum_micros = body->maximum_micros,
		.all_or_none = body->all_or_none};
	return value_submit(request, &command, NULL, 0, info);
}

static enum err bid_path(struct http_request *request, uint64_t *ret_auction, uint64_t *ret_bid, struct err_info *info)
{
	int64_t auction = 0, bid = 0;
	enum err err = value_path_number(request, "auction", &auction, info);
	if (!err)
		err = value_path_number(request, "bid", &bid, info);
	*ret_auction = (uint64_t)auction;
	*ret_bid = (uint64_t)bid;
	return err;
}

static enum err bids_withdraw(struct http_request *request, struct err_info *info)
{
	struct command command = value_command(request, COMMAND_BID_WITHDRAW);
	enum err err = bid_path(request, &command.bid_withdraw.auction, &command.bid_withdraw.bid, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

struct revealing {
	int64_t kg, price_micros;
	struct hash nonce;
};
static const struct field revealing_fields[] = {
	FIELD(struct revealing, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "Quantity"),
	FIELD_AS(struct revealing, price_micros, "price", FIELD_MICROS, .flags = FIELD_REQUIRED, .min = 1000,
		.max = MARKET_PRICE_MAX, .doc = "Per tonne"),
	FIELD(struct revealing, nonce, FIELD_HASH, .flags = FIELD_REQUIRED, .doc = "The 32 bytes that hid it"),
	FIELD_END};

static enum err bids_reveal(struct http_request *request, struct err_info *info)
{
	const struct revealing *body = http_body(request);
	struct command command = value_command(request, COMMAND_BID_REVEAL);
	command.bid_reveal =
		(struct command_bid_reveal){.kg = body->kg, .price_micros = body->price_micros, .nonce = body->nonce};
	enum err err = bid_path(request, &command.bid_reveal.auction, &command.bid_reveal.bid, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

#define PUBLIC(path_, handler_, operation_, doc_, ...)                                                \
	HTTP_ROUTE(HTTP_GET, path_, "public", .kind = HTTP_WORK, .success = 200, .handler = handler_, \
		.operation = operation_, .doc = doc_, __VA_ARGS__)
#define COMMAND(path_, permission_, handler_, operation_, doc_, ...)                                          \
	HTTP_ROUTE(HTTP_POST, path_, permission_, .kind = HTTP_LATER, .flags = HTTP_VALUE,                    \
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .response = value_result_fields,               \
		.errors = auction_errors, .handler = handler_, .reply = value_reply, .operation = operation_, \
		.doc = doc_, __VA_ARGS__)

const struct http_route api_auctions_routes[] = {
	PUBLIC("/v1/markets/{market}/auctions", auctions_list, "auctions.list",
		"Listings and auctions of a market, newest first", .flags = HTTP_PUBLIC | HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .response = auction_fields),
	COMMAND("/v1/auctions", "order:write", auctions_open, "auctions.open",
		"Offers kilograms at a fixed price, a falling one, or to sealed bids", .request = offer_fields,
		.request_size = sizeof(struct offer), .success = 201),
	PUBLIC("/v1/auctions/{auction}", auctions_get, "auctions.get", "A listing or an auction by its number",
		.flags = HTTP_PUBLIC | HTTP_AT_LEAST, .cost = 1, .response = auction_fields),
	COMMAND("/v1/auctions/{auction}/cancel", "order:write", auctions_cancel, "auctions.cancel",
		"Ends a listing or an auction; sealed bids only while there are none", .success = 200),
	COMMAND("/v1/auctions/{auction}/stop", "market:halt", auctions_stop, "auctions.stop",
		"Ends an auction of any seller, and releases every bid", .success = 200),
	COMMAND("/v1/auctions/{auction}/take", "order:write", auctions_take, "auctions.take",
		"Takes kilograms of a listing or a dutch auction at its price", .request = taking_fields,
		.request_size = sizeof(struct taking), .success = 201),
	PUBLIC("/v1/auctions/{auction}/clearing", auctions_clearing, "auctions.clearing",
		"What sealed bids came to, as canonical JSON that anyone can recompute",
		.flags = HTTP_PUBLIC | HTTP_AT_LEAST, .cost = 20, .response_media = "application/json",
		.errors = clearing_errors),
	HTTP_ROUTE(HTTP_GET, "/v1/auctions/{auction}/bids", "order:read", .kind = HTTP_WORK,
		.flags = HTTP_PAGED | HTTP_AT_LEAST, .cost = 2, .query = bids_query_fields,
		.query_size = sizeof(struct bids_query), .response = bid_fields, .success = 200, .handler = bids_list,
		.operation = "bids.list", .doc = "An organisation's sealed bids in an auction"),
	COMMAND("/v1/auctions/{auction}/bids", "order:write", bids_commit, "bids.commit",
		"Commits to a sealed bid; the answer has its number", .request = committing_fields,
		.request_size = sizeof(struct committing), .success = 201),
	COMMAND("/v1/auctions/{auction}/bids/{bid}/withdraw", "order:write", bids_withdraw, "bids.withdraw",
		"Withdraws a sealed bid while commitments are taken", .success = 200),
	COMMAND("/v1/auctions/{auction}/bids/{bid}/reveal", "order:write", bids_reveal, "bids.reveal",
		"Reveals a sealed bid", .request = revealing_fields, .request_size = sizeof(struct revealing),
		.success = 200),
	{.path = NULL}};
