/* Pools and their shares (docs/POOLS.md). Reads on workers; commands by the engine. */
#include "carbond/market.h"

#include "value.h"

static const enum err pool_errors[] = {ERR_POOL_PAUSED, ERR_POOL_LIMIT, ERR_POOL_LIQUIDITY, ERR_NOT_POOLABLE,
	ERR_OFFERS_FULL, ERR_AMOUNT_INVALID, ERR_MARKET_CLOSED, ERR_TRADER_STOPPED, ERR_INSUFFICIENT_KG,
	ERR_INSUFFICIENT_FUNDS, ERR_BATCH_HELD, ERR_ACCOUNT_HELD, ERR_COMMAND_TOO_LARGE, ERR_SERIAL_INVALID,
	ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err quote_errors[] = {ERR_POOL_LIQUIDITY, ERR_OK};

static int64_t or_else(int64_t value, int64_t otherwise)
{
	return value == FIELD_ABSENT ? otherwise : value;
}

/* ---- reading ---- */

static enum err pools_list(struct http_request *request, struct err_info *info)
{
	struct pool_row low;
	field_clear(pool_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "market", &low.market, info);
	struct store_query query = {.collection = &pools_collection, .index = "by_market", .low = &low, .prefix = 1};
	return err ? err : api_answer_found(request, &query, pool_fields, info);
}

static enum err pool_read(struct http_request *request, struct pool_row *row, struct err_info *info)
{
	field_clear(pool_fields, row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "pool", &row->pool, info);
	return err ? err : store_get(api_of(request)->store, &pools_collection, row, http_arena(request), info);
}

static enum err pools_get(struct http_request *request, struct err_info *info)
{
	struct pool_row row;
	enum err err = pool_read(request, &row, info);
	return err ? err : http_answer_row(request, pool_fields, &row, row.position);
}

/* Its kilograms are holdings of its account. */
static enum err pools_batches(struct http_request *request, struct err_info *info)
{
	struct holding_row low;
	struct pool_row row;
	field_clear(holding_fields, &low);
	enum err err = pool_read(request, &row, info);
	low.org_id = row.account_id;
	struct store_query query = {.collection = &holdings_collection, .low = &low, .prefix = 1};
	return err ? err : api_answer_found(request, &query, holding_fields, info);
}

struct quote_query {
	int side;
	int64_t kg;
	bool chosen;
};
static const struct field quote_query_fields[] = {
	FIELD(struct quote_query, side, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = event_order_side_names,
		.doc = "Buy of the pool or sell to it"),
	FIELD(struct quote_query, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "Quantity"),
	FIELD(struct quote_query, chosen, FIELD_BOOL, .doc = "Of a purchase: with serials that are chosen"), FIELD_END};

struct quote {
	int64_t pool, kg, micros, position;
};
static const struct field quote_fields[] = {FIELD(struct quote, pool, FIELD_INT, .min = 1, .doc = "The pool"),
	FIELD(struct quote, kg, FIELD_INT, .unit = "kg", .doc = "Quantity"),
	FIELD_AS(struct quote, micros, "amount", FIELD_MICROS, .doc = "What it costs or brings, fees included"),
	FIELD(struct quote, position, FIELD_INT, .doc = "As of this journal position"), FIELD_END};

static enum err pools_quote(struct http_request *request, struct err_info *info)
{
	const struct quote_query *asked = http_query(request);
	struct pool_row row;
	enum err err = pool_read(request, &row, info);
	if (err)
		return err;
	const struct event_state_pool pool = {.fee_ppm = row.fee_ppm,
		.chosen_ppm = row.chosen_ppm,
		.reserve_kg = row.reserve_kg,
		.reserve_micros = row.reserve_micros};
	struct quote quote = {.pool = row.pool, .kg = asked->kg, .position = row.position};
	if (asked->side == ORDER_BUY)
		err = market_pool_cost(&pool, asked->kg, asked->chosen, &quote.micros);
	else
		quote.micros = market_pool_proceeds(&pool, asked->kg);
	if (err || quote.micros < 1)
		return err_set(info, ERR_POOL_LIQUIDITY, "/kg", "the pool holds %lld kg", (long long)row.reserve_kg);
	return http_answer_row(request, quote_fields, &quote, -1);
}

struct shares_query {
	struct id org_id;
};
static const struct field shares_query_fields[] = {
	FIELD(struct shares_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD_END};

static enum err shares_list(struct http_request *request, struct err_info *info)
{
	const struct shares_query *given = http_query(request);
	struct pool_share_row low;
	field_clear(pool_share_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &low.org_id, info);
	struct store_query query = {.collection = &pool_shares_collection, .low = &low, .prefix = 1};
	return err ? err : api_answer_found(request, &query, pool_share_fields, info);
}

/* ---- commands ---- */

struct opening {
	int64_t instrument, fee_ppm, chosen_ppm;
};
static const struct field opening_fields[] = {
	FIELD(struct opening, instrument, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1,
		.doc = "What it takes: the newest version of an instrument"),
	FIELD(struct opening, fee_ppm, FIELD_INT, .max = MARKET_FEE_MAX_PPM, .unit = "ppm",
		.doc = "What a trade leaves in it; 0 where left out"),
	FIELD(struct opening, chosen_ppm, FIELD_INT, .max = MARKET_FEE_MAX_PPM, .unit = "ppm",
		.doc = "What it costs to choose serials; 0 where left out"),
	FIELD_END};

static enum err pools_open(struct http_request *request, struct err_info *info)
{
	const struct opening *body = http_body(request);
	struct command command = value_command(request, COMMAND_POOL_OPEN);
	command.pool_open = (struct command_pool_open){.instrument = (uint64_t)body->instrument,
		.fee_ppm = or_else(body->fee_ppm, 0),
		.chosen_ppm = or_else(body->chosen_ppm, 0)};
	return value_submit(request, &command, NULL, 0, info);
}

static enum err pool_path(struct http_request *request, uint64_t *ret_pool, struct err_info *info)
{
	int64_t pool = 0;
	enum err err = value_path_number(request, "pool", &pool, info);
	*ret_pool = (uint64_t)pool;
	return err;
}

struct addition {
	int64_t batch, kg, maximum_micros, minimum_shares;
};
static const struct field addition_fields[] = {FIELD(struct addition, batch, FIELD_INT, .flags = FIELD_REQUIRED,
						       .min = 1, .doc = "The batch, lowest serials first"),
	FIELD(struct addition, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "Quantity"),
	FIELD_AS(struct addition, maximum_micros, "maximum", FIELD_MICROS, .flags = FIELD_REQUIRED, .min = 1,
		.max = POOL_MICROS_MAX, .doc = "The most money; of the first in a pool: so much"),
	FIELD(struct addition, minimum_shares, FIELD_INT, .min = 1, .max = POOL_KG_MAX,
		.doc = "Refused where it would be fewer"),
	FIELD_END};

static enum err pools_add(struct http_request *request, struct err_info *info)
{
	const struct addition *body = http_body(request);
	struct command command = value_command(request, COMMAND_POOL_ADD);
	command.pool_add = (struct command_pool_add){.batch = (uint64_t)body->batch,
		.kg = body->kg,
		.maximum_micros = body->maximum_micros,
		.minimum_shares = or_else(body->minimum_shares, 0)};
	enum err err = pool_path(request, &command.pool_add.pool, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

#define CHOICE_FIELDS(type)                                                                                        \
	FIELD(type, ranges, FIELD_LIST, .table = range_item_fields, .item_size = sizeof(struct serial_range_item), \
		.max = 256, .doc = "These serials, in this order, for a fee; left out: first in, first out"),      \
		FIELD(type, serials, FIELD_TEXTS, .max = 256, .doc = "Or these serial numbers")

/* The serials that are chosen, where some are. */
static enum err choice_of(struct http_request *request, const struct field_list *ranges,
	const struct field_list *serials, struct command *command, struct err_info *info)
{
	struct value_kilograms named = {
		.batch = FIELD_ABSENT, .kg = FIELD_ABSENT, .ranges = *ranges, .serials = *serials};
	uint64_t batch;
	int64_t kg;
	return ranges->count || serials->count ? value_kilograms(request, &named, command, &batch, &kg, info) : ERR_OK;
}

struct redemption {
	int64_t shares, minimum_kg, minimum_micros;
	struct field_list ranges, serials;
};
static const struct field redemption_fields[] = {FIELD(struct redemption, shares, FIELD_INT, .flags = FIELD_REQUIRED,
							 .min = 1, .max = INT64_C(1000000000000000), .doc = "How many"),
	FIELD(struct redemption, minimum_kg, FIELD_INT, .min = 0, .max = POOL_KG_MAX, .unit = "kg",
		.doc = "Refused where it would be less"),
	FIELD_AS(struct redemption, minimum_micros, "minimum", FIELD_MICROS, .min = 0, .max = POOL_MICROS_MAX,
		.doc = "Refused where it would be less money"),
	CHOICE_FIELDS(struct redemption), FIELD_END};

static enum err pools_redeem(struct http_request *request, struct err_info *info)
{
	const struct redemption *body = http_body(request);
	struct command command = value_command(request, COMMAND_POOL_REDEEM);
	command.pool_redeem = (struct command_pool_redeem){.shares = body->shares,
		.minimum_kg = or_else(body->minimum_kg, 0),
		.minimum_micros = or_else(body->minimum_micros, 0)};
	enum err err = pool_path(request, &command.pool_redeem.pool, info);
	if (!err)
		err = choice_of(request, &body->ranges, &body->serials, &command, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

struct pool_purchase {
	int64_t kg, maximum_micros;
	struct field_list ranges, serials;
};
static const struct field pool_purchase_fields[] = {
	FIELD(struct pool_purchase, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = MARKET_KG_MAX,
		.unit = "kg", .doc = "Quantity"),
	FIELD_AS(struct pool_purchase, maximum_micros, "maximum", FIELD_MICROS, .flags = FIELD_REQUIRED, .min = 1,
		.max = POOL_MICROS_MAX, .doc = "Refused where it would cost more, fees included"),
	CHOICE_FIELDS(struct pool_purchase), FIELD_END};

static enum err pools_buy(struct http_request *request, struct err_info *info)
{
	const struct pool_purchase *body = http_body(request);
	struct command command = value_command(request, COMMAND_POOL_BUY);
	command.pool_buy = (struct command_pool_buy){.kg = body->kg, .maximum_micros = body->maximum_micros};
	enum err err = pool_path(request, &command.pool_buy.pool, info);
	if (!err)
		err = choice_of(request, &body->ranges, &body->serials, &command, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

struct sale {
	int64_t batch, kg, minimum_micros;
};
static const struct field sale_fields[] = {FIELD(struct sale, batch, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1,
						   .doc = "The batch, lowest serials first"),
	FIELD(struct sale, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "Quantity"),
	FIELD_AS(struct sale, minimum_micros, "minimum", FIELD_MICROS, .flags = FIELD_REQUIRED, .min = 0,
		.max = POOL_MICROS_MAX, .doc = "Refused where it would bring less"),
	FIELD_END};

static enum err pools_sell(struct http_request *request, struct err_info *info)
{
	const struct sale *body = http_body(request);
	struct command command = value_command(request, COMMAND_POOL_SELL);
	command.pool_sell = (struct command_pool_sell){
		.batch = (uint64_t)body->batch, .kg = body->kg, .minimum_micros = body->minimum_micros};
	enum err err = pool_path(request, &command.pool_sell.pool, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

static enum err pools_resume(struct http_request *request, struct err_info *info)
{
	struct command command = value_command(request, COMMAND_POOL_RESUME);
	enum err err = pool_path(request, &command.pool_resume.pool, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

#define PUBLIC(path_, response_, handler_, operation_, doc_, ...)                                                  \
	HTTP_ROUTE(HTTP_GET, path_, "public", .kind = HTTP_WORK, .cost = 2, .response = response_, .success = 200, \
		.handler = handler_, .operation = operation_, .doc = doc_, __VA_ARGS__)
#define COMMAND(path_, permission_, handler_, operation_, doc_, ...)                                                   \
	HTTP_ROUTE(HTTP_POST, path_, permission_, .kind = HTTP_LATER, .flags = HTTP_VALUE,                             \
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .response = value_result_fields, .errors = pool_errors, \
		.handler = handler_, .reply = value_reply, .operation = operation_, .doc = doc_, __VA_ARGS__)

const struct http_route api_pools_routes[] = {
	PUBLIC("/v1/markets/{market}/pools", pool_fields, pools_list, "pools.list", "Pools of a market",
		.flags = HTTP_PUBLIC | HTTP_PAGED | HTTP_AT_LEAST),
	COMMAND("/v1/pools", "market:write", pools_open, "pools.open", "Opens a pool for what an instrument takes",
		.request = opening_fields, .request_size = sizeof(struct opening), .success = 201),
	PUBLIC("/v1/pools/{pool}", pool_fields, pools_get, "pools.get", "A pool by its number",
		.flags = HTTP_PUBLIC | HTTP_AT_LEAST),
	PUBLIC("/v1/pools/{pool}/batches", holding_fields, pools_batches, "pools.batches",
		"The batches in a pool, and what is suspended of them (held)",
		.flags = HTTP_PUBLIC | HTTP_PAGED | HTTP_AT_LEAST),
	PUBLIC("/v1/pools/{pool}/quote", quote_fields, pools_quote, "pools.quote",
		"What a trade with a pool would cost or bring now", .flags = HTTP_PUBLIC | HTTP_AT_LEAST,
		.query = quote_query_fields, .query_size = sizeof(struct quote_query), .errors = quote_errors),
	COMMAND("/v1/pools/{pool}/add", "order:write", pools_add, "pools.add",
		"Puts kilograms and money into a pool, in its ratio, for shares", .request = addition_fields,
		.request_size = sizeof(struct addition), .success = 201),
	COMMAND("/v1/pools/{pool}/redeem", "order:write", pools_redeem, "pools.redeem",
		"Gives shares back for their part of the pool", .request = redemption_fields,
		.request_size = sizeof(struct redemption), .success = 201),
	COMMAND("/v1/pools/{pool}/buy", "order:write", pools_buy, "pools.buy", "Buys kilograms of a pool",
		.request = pool_purchase_fields, .request_size = sizeof(struct pool_purchase), .success = 201),
	COMMAND("/v1/pools/{pool}/sell", "order:write", pools_sell, "pools.sell", "Sells kilograms to a pool",
		.request = sale_fields, .request_size = sizeof(struct sale), .success = 201),
	COMMAND("/v1/pools/{pool}/resume", "market:halt", pools_resume, "pools.resume",
		"Lets a paused pool go on; what is no longer suspended comes back first", .success = 200),
	HTTP_ROUTE(HTTP_GET, "/v1/pool-shares", "order:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .query = shares_query_fields, .query_size = sizeof(struct shares_query),
		.response = pool_share_fields, .success = 200, .handler = shares_list, .operation = "pool-shares.list",
		.doc = "An organisation's shares of pools"),
	{.path = NULL}};
