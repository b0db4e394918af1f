/* Purchases over all sources of a market, with what they retire (docs/ROUTING.md). Reads on workers; commands by the engine. */
#include <string.h>

#include "carbond/market.h"

#include "value.h"

static const enum err purchase_errors[] = {ERR_QUOTE_EXPIRED, ERR_PRICE_LIMIT, ERR_NOT_FILLABLE, ERR_MARKET_CLOSED,
	ERR_TRADER_STOPPED, ERR_LIMIT_EXCEEDED, ERR_INSUFFICIENT_FUNDS, ERR_LIMIT_LOWEST, ERR_LIMIT_RESERVED,
	ERR_BATCH_HELD, ERR_ACCOUNT_HELD, ERR_COMMAND_TOO_LARGE, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED,
	ERR_COMMAND_RUNNING, ERR_OK};

/* ---- reading ---- */

struct purchases_query {
	struct id org_id;
};
static const struct field purchases_query_fields[] = {
	FIELD(struct purchases_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD_END};

static enum err purchases_list(struct http_request *request, struct err_info *info)
{
	const struct purchases_query *given = http_query(request);
	struct purchase_row low;
	field_clear(purchase_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &low.org_id, info);
	struct store_query query = {
		.collection = &purchases_collection, .index = "by_org", .low = &low, .prefix = 1, .descending = true};
	return err ? err : api_answer_found(request, &query, purchase_fields, info);
}

static enum err purchases_get(struct http_request *request, struct err_info *info)
{
	struct purchase_row row;
	field_clear(purchase_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "id", &row.id, info);
	if (!err)
		err = store_get(api_of(request)->store, &purchases_collection, &row, http_arena(request), info);
	if (!err)
		err = api_check_org(request, row.org_id, info);
	return err ? err : http_answer_row(request, purchase_fields, &row, row.position);
}

/* ---- buying ---- */

struct line {
	int64_t kg;
	const char *beneficiary, *country;
	int purpose;
	int64_t covered_from, covered_to;
	bool consent;
};
static const struct field line_fields[] = {
	FIELD(struct line, kg, FIELD_INT, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "How many; a single line may leave it out: all that is bought"),
	VALUE_RETIREMENT_FIELDS(struct line), FIELD_END};

struct buying {
	int64_t instrument, kg, maximum_micros, limit_micros, expires_at;
	bool partial;
	struct field_list lines;
};
static const struct field buying_fields[] = {FIELD(struct buying, instrument, FIELD_INT, .flags = FIELD_REQUIRED,
						     .min = 1, .doc = "What is asked for: the newest version"),
	FIELD(struct buying, kg, FIELD_INT, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "How much; left out: what the lines come to, or as much as the maximum buys"),
	FIELD_AS(struct buying, maximum_micros, "maximum", FIELD_MICROS, .flags = FIELD_REQUIRED, .min = 1,
		.max = POOL_MICROS_MAX, .doc = "Refused where it would cost more, fees included"),
	FIELD_AS(struct buying, limit_micros, "limit", FIELD_MICROS, .min = 1, .max = ROUTE_UNIT_MAX,
		.doc = "What is dearer per tonne, fees included, is left out"),
	FIELD(struct buying, expires_at, FIELD_TIME, .doc = "Refused from then on"),
	FIELD(struct buying, partial, FIELD_BOOL, .doc = "Less, where there is less or the maximum buys less"),
	FIELD(struct buying, lines, FIELD_LIST, .table = line_fields, .item_size = sizeof(struct line),
		.max = EVENTS_LINES_MAX, .doc = "What is bought is retired: a certificate for each line"),
	FIELD_END};

/* The hash of a line's beneficiary: one text has one row, however often it is named, so that a repeat finds each again. */
static enum err beneficiary_of(struct http_request *request, struct id org, const char *text, struct vault_row *rows,
	size_t *count, struct hash *ret_hash, struct err_info *info)
{
	size_t i = 0;
	enum err err = ERR_OK;
	while (i < *count && strcmp(rows[i].text, text) != 0)
		i++;
	if (i == *count)
		err = value_text(request, org, "beneficiary", text, &rows[(*count)++], info);
	*ret_hash = rows[i].hash;
	return err;
}

static enum err lines_of(struct http_request *request, const struct buying *body, struct command *command,
	struct vault_row **ret_rows, size_t *ret_count, struct err_info *info)
{
	const struct line *given = body->lines.items;
	size_t count = body->lines.count;
	struct retirement_line *lines = ARENA_ARRAY(http_arena(request), struct retirement_line, count + 1);
	*ret_rows = ARENA_ARRAY(http_arena(request), struct vault_row, count + 1);
	*ret_count = 0;
	if (!lines || !*ret_rows)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the lines");
	for (size_t i = 0; i < count; i++) {
		lines[i] = (struct retirement_line){.kg = value_or_zero(given[i].kg),
			.covered_from_us = given[i].covered_from,
			.covered_to_us = given[i].covered_to,
			.purpose = (uint32_t)given[i].purpose,
			.consent = given[i].consent};
		if (!code8_set(&lines[i].country, given[i].country))
			return err_set(
				info, ERR_INVALID_FIELD, "/lines", "line %zu: /country must be two letters A-Z", i);
		enum err err = beneficiary_of(request, command->org, given[i].beneficiary, *ret_rows, ret_count,
			&lines[i].beneficiary_hash, info);
		if (err)
			return err;
	}
	command->lists = (struct record_lists){.lines = lines, .line_count = count};
	return ERR_OK;
}

static enum err purchases_create(struct http_request *request, struct err_info *info)
{
	const struct buying *body = http_body(request);
	struct command command = value_command(request, COMMAND_PURCHASE);
	struct vault_row *rows = NULL;
	size_t count = 0;
	command.purchase = (struct command_purchase){.instrument = (uint64_t)body->instrument,
		.kg = value_or_zero(body->kg),
		.maximum_micros = body->maximum_micros,
		.limit_micros = value_or_zero(body->limit_micros),
		.expires_us = value_or_zero(body->expires_at),
		.partial = body->partial};
	enum err err = lines_of(request, body, &command, &rows, &count, info);
	if (err)
		return err;
	api_set_location(request, "/v1/purchases/", command.id);
	return value_submit(request, &command, rows, count, info);
}

const struct http_route api_purchases_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/purchases", "order:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .query = purchases_query_fields, .query_size = sizeof(struct purchases_query),
		.response = purchase_fields, .success = 200, .handler = purchases_list, .operation = "purchases.list",
		.doc = "Purchases of an organisation, newest first"),
	HTTP_ROUTE(HTTP_POST, "/v1/purchases", "purchase:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 10, .request = buying_fields,
		.request_size = sizeof(struct buying), .response = value_result_fields, .success = 201,
		.errors = purchase_errors, .handler = purchases_create, .reply = value_reply,
		.operation = "purchases.create",
		.doc = "Buys over book, listings, auctions and pools of a market at once, and retires what was bought "
		       "where lines say so; the answer's id is the purchase's, and of a single line the certificate's"),
	HTTP_ROUTE(HTTP_GET, "/v1/purchases/{id}", "order:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST, .cost = 1,
		.response = purchase_fields, .success = 200, .handler = purchases_get, .operation = "purchases.get",
		.doc = "A purchase: where it was bought, for how much, and the certificates of what it retired"),
	{.path = NULL}};
