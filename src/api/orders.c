/* Orders and what they traded, for whose they are. Reads on workers; commands by the engine. */
#include "carbond/market.h"

#include "value.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const enum err place_errors[] = {ERR_MARKET_CLOSED, ERR_NO_LIQUIDITY, ERR_WOULD_TRADE, ERR_NOT_FILLABLE,
	ERR_OUT_OF_BAND, ERR_NOT_IN_AUCTION, ERR_TRADER_STOPPED, ERR_LIMIT_EXCEEDED, ERR_INSUFFICIENT_KG,
	ERR_INSUFFICIENT_FUNDS, ERR_BATCH_HELD, ERR_ACCOUNT_HELD, ERR_COMMAND_TOO_LARGE, ERR_DUPLICATE,
	ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err change_errors[] = {ERR_ORDER_DONE, ERR_MARKET_CLOSED, ERR_WOULD_TRADE, ERR_LIMIT_EXCEEDED,
	ERR_OUT_OF_BAND, ERR_INSUFFICIENT_KG, ERR_INSUFFICIENT_FUNDS, ERR_BATCH_HELD, ERR_ACCOUNT_HELD,
	ERR_COMMAND_TOO_LARGE, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err cancel_errors[] = {
	ERR_ORDER_DONE, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

/* ---- reading ---- */

struct orders_query {
	struct id org_id;
	int64_t market;
	int status;
};
static const struct field orders_query_fields[] = {
	FIELD(struct orders_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD(struct orders_query, market, FIELD_INT, .min = 1, .doc = "Only those of this market"),
	FIELD(struct orders_query, status, FIELD_ENUM, .names = order_status_names, .doc = "Only those in this state"),
	FIELD_END};

static enum err orders_list(struct http_request *request, struct err_info *info)
{
	const struct orders_query *given = http_query(request);
	bool of_market = given->market != FIELD_ABSENT, of_status = given->status >= 0;
	struct order_row low;
	field_clear(order_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &low.org_id, info);
	low.market = given->market;
	low.status = given->status;
	struct store_query query = {.collection = &orders_collection,
		.index = of_market ? (of_status ? "by_org_market_status" : "by_org_market")
				   : (of_status ? "by_org_status" : "by_org"),
		.low = &low,
		.prefix = 1u + of_market + of_status,
		.descending = true};
	return err ? err : api_answer_found(request, &query, order_fields, info);
}

static enum err orders_get(struct http_request *request, struct err_info *info)
{
	struct order_row row;
	field_clear(order_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "id", &row.id, info);
	if (!err)
		err = store_get(api_of(request)->store, &orders_collection, &row, http_arena(request), info);
	if (!err)
		err = api_check_org(request, row.org_id, info);
	return err ? err : http_answer_row(request, order_fields, &row, row.position);
}

struct executions_query {
	struct id org_id, order_id;
};
static const struct field executions_query_fields[] = {
	FIELD(struct executions_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD(struct executions_query, order_id, FIELD_ID, .doc = "Only those of this order"), FIELD_END};

static enum err executions_list(struct http_request *request, struct err_info *info)
{
	const struct executions_query *given = http_query(request);
	bool of_order = !id_is_none(given->order_id);
	struct execution_row low;
	struct order_row order;
	field_clear(execution_fields, &low);
	field_clear(order_fields, &order);
	order.id = low.order_id = given->order_id;
	enum err err = value_at_least(request, info);
	if (!err && of_order)
		err = store_get(api_of(request)->store, &orders_collection, &order, http_arena(request), info);
	if (!err)
		err = of_order ? api_check_org(request, order.org_id, info)
			       : api_choose_org(request, given->org_id, &low.org_id, info);
	struct store_query query = {.collection = &executions_collection,
		.index = of_order ? "by_order" : NULL,
		.low = &low,
		.prefix = 1,
		.descending = true};
	return err ? err : api_answer_found(request, &query, execution_fields, info);
}

/* ---- placing ---- */

struct placing {
	struct id id; /* of batch entry */
	int side, type, tif, stp;
	int64_t market, batch, instrument;
	int64_t price_micros, stop_micros, trail_micros;
	int64_t kg, shown_kg, minimum_kg, expires_at;
	bool post_only, hidden;
};

#define PLACING_FIELDS                                                                                               \
	FIELD(struct placing, side, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = event_order_side_names,            \
		.doc = "Buy or sell"),                                                                               \
		FIELD(struct placing, type, FIELD_ENUM, .names = event_order_type_names,                             \
			.doc = "Type; limit where left out"),                                                        \
		FIELD(struct placing, tif, FIELD_ENUM, .names = event_order_tif_names,                               \
			.doc = "Time in force; gtc where left out, of a market order ioc"),                          \
		FIELD(struct placing, stp, FIELD_ENUM, .names = event_order_stp_names,                               \
			.doc = "Where it would trade with its own organisation; newest "                             \
			       "where left out"),                                                                    \
		FIELD(struct placing, market, FIELD_INT, .min = 1, .doc = "Of a sell order: the market"),            \
		FIELD(struct placing, batch, FIELD_INT, .min = 1,                                                    \
			.doc = "Of a sell order: the batch it sells of, lowest serials first"),                      \
		FIELD(struct placing, instrument, FIELD_INT, .min = 1, .doc = "Of a buy order: the instrument"),     \
		FIELD_AS(struct placing, price_micros, "price", FIELD_MICROS, .min = 1000, .max = MARKET_PRICE_MAX,  \
			.doc = "Limit per tonne"),                                                                   \
		FIELD_AS(struct placing, stop_micros, "stop_price", FIELD_MICROS, .min = 1000,                       \
			.max = MARKET_PRICE_MAX, .doc = "Of stop and stop_limit: the last trade at which it wakes"), \
		FIELD_AS(struct placing, trail_micros, "trail", FIELD_MICROS, .min = 1000, .max = MARKET_PRICE_MAX,  \
			.doc = "Of trailing_stop: how far it stays behind"),                                         \
		FIELD(struct placing, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = MARKET_KG_MAX,        \
			.unit = "kg", .doc = "Quantity, a multiple of the market's lot"),                            \
		FIELD(struct placing, shown_kg, FIELD_INT, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",             \
			.doc = "Of an iceberg: how much it shows at a time"),                                        \
		FIELD(struct placing, minimum_kg, FIELD_INT, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",           \
			.doc = "Trades at least so much at a time; kg: all or none"),                                \
		FIELD(struct placing, expires_at, FIELD_TIME, .doc = "Of gtd: when it ends"),                        \
		FIELD(struct placing, post_only, FIELD_BOOL, .doc = "Refused where it would trade at once"),         \
		FIELD(struct placing, hidden, FIELD_BOOL, .doc = "Not in the public depth")

static const struct field placing_fields[] = {PLACING_FIELDS, FIELD_END};

static int64_t or_zero(int64_t value)
{
	return value == FIELD_ABSENT ? 0 : value;
}

static uint32_t or_first(int value)
{
	return value < 0 ? 0 : (uint32_t)value;
}

static struct command_order_place place_of(const struct placing *body)
{
	bool buys = body->side == ORDER_BUY;
	return (struct command_order_place){.market = (uint64_t)or_zero(body->market),
		.batch = (uint64_t)or_zero(body->batch),
		.instrument = (uint64_t)or_zero(body->instrument),
		.price_micros = or_zero(body->price_micros),
		.stop_micros = or_zero(body->stop_micros),
		.trail_micros = or_zero(body->trail_micros),
		.kg = body->kg,
		.shown_kg = or_zero(body->shown_kg),
		.minimum_kg = or_zero(body->minimum_kg),
		.expires_us = or_zero(body->expires_at),
		.side = buys ? ORDER_BUY : ORDER_SELL,
		.type = or_first(body->type),
		.tif = body->tif < 0 && body->type == ORDER_MARKET ? ORDER_IOC : or_first(body->tif),
		.stp = or_first(body->stp),
		.post_only = body->post_only,
		.hidden = body->hidden};
}

static enum err orders_place(struct http_request *request, struct err_info *info)
{
	struct command command = value_command(request, COMMAND_ORDER_PLACE);
	command.order_place = place_of(http_body(request));
	api_set_location(request, "/v1/orders/", command.id);
	return value_submit(request, &command, NULL, 0, info);
}

/* ---- placing many: each is a command of its own; one reply when all of them are answered ---- */

#define BATCH_MOST 100

struct batch_item {
	struct entry_batch *batch;
	struct runtime_reply *reply; /* until it is answered */
	struct id id;
	enum err code;
	struct err_info info;
	int64_t position, number;
	bool repeated;
};

struct entry_batch {
	struct runtime_reply *whole;
	atomic_int open; /* items that are not answered yet; and one for the handler */
	size_t count;
	struct batch_item items[];
};

static const struct field batch_item_fields[] = {
	FIELD(struct placing, id, FIELD_ID,
		.doc = "The order's id, made by the client like an Idempotency-Key; "
		       "left out: made of the request's "
		       "Idempotency-Key and the item's place"),
	PLACING_FIELDS, FIELD_END};

struct batch_body {
	struct field_list orders; /* struct placing */
};
static const struct field batch_body_fields[] = {
	FIELD(struct batch_body, orders, FIELD_LIST, .flags = FIELD_REQUIRED, .table = batch_item_fields,
		.item_size = sizeof(struct placing), .min = 1, .max = BATCH_MOST,
		.doc = "Carried out in this order, each for itself"),
	FIELD_END};

struct batch_outcome {
	struct id id;
	int64_t status;
	int64_t position, number;
	bool repeated;
	const char *type, *title, *detail, *pointer;
};
static const struct field batch_outcome_fields[] = {FIELD(struct batch_outcome, id, FIELD_ID, .doc = "The order"),
	FIELD(struct batch_outcome, status, FIELD_INT, .doc = "HTTP status that it would have got alone"),
	FIELD(struct batch_outcome, position, FIELD_INT, .doc = "Position in the journal"),
	FIELD(struct batch_outcome, number, FIELD_INT, .min = 1, .doc = "The order's number"),
	FIELD(struct batch_outcome, repeated, FIELD_BOOL, .doc = "It had been placed before under the same id"),
	FIELD(struct batch_outcome, type, FIELD_TEXT, .doc = "Of a refusal: the problem's type, …"),
	FIELD(struct batch_outcome, title, FIELD_TEXT, .doc = "… its title, …"),
	FIELD(struct batch_outcome, detail, FIELD_TEXT, .doc = "… what is wrong, …"),
	FIELD(struct batch_outcome, pointer, FIELD_TEXT, .doc = "… and where"), FIELD_END};

struct batch_answer {
	int64_t placed, refused;
	struct field_list items;
};
static const struct field batch_answer_fields[] = {
	FIELD(struct batch_answer, placed, FIELD_INT, .doc = "Orders that were placed, or had been before"),
	FIELD(struct batch_answer, refused, FIELD_INT, .doc = "Orders that were refused"),
	FIELD(struct batch_answer, items, FIELD_LIST, .table = batch_outcome_fields,
		.item_size = sizeof(struct batch_outcome), .max = BATCH_MOST, .doc = "In the order of the request"),
	FIELD_END};

/* One answer less is missing; with the last one all of it is answered. Any thread. */
static void batch_less(struct entry_batch *batch)
{
	if (atomic_fetch_sub(&batch->open, 1) == 1)
		reply_complete(batch->whole, ERR_OK, NULL, batch, free);
}

/* The engine has answered an item; on its thread. */
static void batch_item_answered(void *context)
{
	struct batch_item *item = context;
	struct entry_batch *batch = item->batch;
	struct runtime_reply *reply = item->reply;
	item->code = reply->code;
	if (reply->code) {
		item->info = reply->info;
	} else {
		const struct engine_result *result = reply->result;
		item->position = result->position;
		item->number = (int64_t)result->number;
		item->repeated = result->repeated;
	}
	reply_unref(&item->reply);
	batch_less(batch);
}

/* The Idempotency-Key with the item's place added to its random part: the same request again has the same ids. */
static struct id item_id(struct id key, size_t place)
{
	unsigned carry = (unsigned)place + 1;
	for (size_t i = sizeof key.bytes; i-- > 9 && carry;) {
		carry += key.bytes[i];
		key.bytes[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return key;
}

static void batch_item_submit(struct http_request *request, struct batch_item *item, const struct placing *body)
{
	struct command command = value_command(request, COMMAND_ORDER_PLACE);
	command.id = item->id =
		id_is_none(body->id) ? item_id(command.id, (size_t)(item - item->batch->items)) : body->id;
	command.request_hash = (struct hash){0}; /* that of the command */
	command.order_place = place_of(body);
	item->reply = reply_new(item->batch->whole->deadline_us, batch_item_answered, item);
	enum err err =
		item->reply ? engine_submit(api_of(request)->engine, &command, NULL, 0, item->reply) : ERR_NO_MEMORY;
	if (!err)
		return;
	struct err_info info;
	item->code = err_set(&info, err, NULL, "the engine does not take the order now");
	item->info = info;
	struct runtime_reply *other = item->reply;
	reply_unref(&other); /* both halves are ours */
	reply_unref(&item->reply);
	batch_less(item->batch);
}

static enum err orders_place_batch(struct http_request *request, struct err_info *info)
{
	const struct batch_body *body = http_body(request);
	const struct placing *orders = body->orders.items;
	size_t count = body->orders.count;
	struct entry_batch *batch = calloc(1, sizeof *batch + count * sizeof *batch->items);
	if (!batch)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the orders");
	batch->whole = http_reply_new(request);
	if (!batch->whole) {
		free(batch);
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the orders");
	}
	batch->count = count;
	atomic_store(&batch->open, (int)count + 1);
	for (size_t i = 0; i < count; i++) {
		batch->items[i].batch = batch;
		batch_item_submit(request, &batch->items[i], &orders[i]);
	}
	batch_less(batch);
	return ERR_OK;
}

static void outcome_fill(struct http_request *request, const struct batch_item *item, struct batch_outcome *outcome)
{
	field_clear(batch_outcome_fields, outcome);
	outcome->id = item->id;
	outcome->status = item->repeated ? 200 : 201;
	outcome->repeated = item->repeated;
	if (!item->code) {
		outcome->position = item->position;
		outcome->number = item->number ? item->number : FIELD_ABSENT;
		return;
	}
	const struct err_row *row = err_row(item->code);
	outcome->status = row->status;
	outcome->type = arena_print(http_arena(request), "/problems/%s", row->slug);
	outcome->title = row->title;
	outcome->detail = item->info.detail[0] ? item->info.detail : NULL;
	outcome->pointer = item->info.pointer[0] ? item->info.pointer : NULL;
}

static enum err batch_reply(struct http_request *request, struct runtime_reply *reply, struct err_info *info)
{
	if (reply->code) {
		*info = reply->info;
		return reply->code;
	}
	const struct entry_batch *batch = reply->result;
	struct batch_outcome *outcomes = ARENA_ARRAY(http_arena(request), struct batch_outcome, batch->count);
	struct batch_answer answer = {.items = {.items = outcomes, .count = batch->count}};
	int64_t position = 0;
	if (!outcomes)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the answer");
	for (size_t i = 0; i < batch->count; i++) {
		const struct batch_item *item = &batch->items[i];
		outcome_fill(request, item, &outcomes[i]);
		*(item->code ? &answer.refused : &answer.placed) += 1;
		position = item->position > position ? item->position : position;
	}
	api_set_position(request, ENGINE_SHARD, position);
	return http_answer_row(request, batch_answer_fields, &answer, -1);
}

/* ---- changing and ending ---- */

struct amendment {
	int64_t price_micros, kg;
};
static const struct field amendment_fields[] = {
	FIELD_AS(struct amendment, price_micros, "price", FIELD_MICROS, .min = 1000, .max = MARKET_PRICE_MAX,
		.doc = "New limit per tonne; left out: as it is. The order loses "
		       "its place, and may trade"),
	FIELD(struct amendment, kg, FIELD_INT, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "What is to be left; left out: as it is. It keeps its place "
		       "where only this falls"),
	FIELD_END};

static enum err orders_amend(struct http_request *request, struct err_info *info)
{
	const struct amendment *body = http_body(request);
	struct command command = value_command(request, COMMAND_ORDER_AMEND);
	command.order_amend =
		(struct command_order_amend){.price_micros = or_zero(body->price_micros), .kg = or_zero(body->kg)};
	enum err err = http_path_id(request, "id", &command.order_amend.order, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

static enum err orders_cancel(struct http_request *request, struct err_info *info)
{
	struct command command = value_command(request, COMMAND_ORDER_CANCEL);
	enum err err = http_path_id(request, "id", &command.order_cancel.order, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

struct cancelling {
	int64_t market;
};
static const struct field cancelling_fields[] = {
	FIELD(struct cancelling, market, FIELD_INT, .min = 1, .doc = "Only those of this market"), FIELD_END};

static enum err orders_cancel_all(struct http_request *request, struct err_info *info)
{
	const struct cancelling *given = http_query(request);
	struct command command = value_command(request, COMMAND_ORDER_CANCEL_ALL);
	command.order_cancel_all =
		(struct command_order_cancel_all){.org = command.org, .market = (uint64_t)or_zero(given->market)};
	return value_submit(request, &command, NULL, 0, info);
}

struct watching {
	int64_t after_us;
};
static const struct field watching_fields[] = {
	FIELD(struct watching, after_us, FIELD_INT, .flags = FIELD_REQUIRED, .max = INT64_C(86400000000), .unit = "us",
		.doc = "In so long, a second to a day; 0: never"),
	FIELD_END};

/* The dead-man switch. */
static enum err orders_cancel_after(struct http_request *request, struct err_info *info)
{
	const struct watching *body = http_body(request);
	struct command command = value_command(request, COMMAND_ORDER_CANCEL_AFTER);
	command.order_cancel_after.after_us = body->after_us;
	return value_submit(request, &command, NULL, 0, info);
}

/* `kill` 1: no more orders, 2: again. */
static enum err trader_set(struct http_request *request, uint32_t kill, struct err_info *info)
{
	struct command command = value_command(request, COMMAND_ORDER_CANCEL_ALL);
	command.order_cancel_all.kill = kill;
	enum err err = http_path_id(request, "org_id", &command.order_cancel_all.org, info);
	if (!err)
		err = api_check_org(request, command.order_cancel_all.org, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

static enum err traders_stop(struct http_request *request, struct err_info *info)
{
	return trader_set(request, 1, info);
}

static enum err traders_resume(struct http_request *request, struct err_info *info)
{
	return trader_set(request, 2, info);
}

/* ---- limits ---- */

static enum err limits_list(struct http_request *request, struct err_info *info)
{
	struct trader_limit_row low;
	field_clear(trader_limits_collection.fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_check_cursor(request, &trader_limits_collection, NULL, info);
	if (!err)
		err = http_path_id(request, "org_id", &low.org_id, info);
	if (!err)
		err = api_check_org(request, low.org_id, info);
	struct store_query query = {.collection = &trader_limits_collection, .low = &low, .prefix = 1};
	return err ? err : api_answer_found(request, &query, trader_limit_fields, info);
}

struct limiting {
	int64_t market, orders_most, kg_most, notional_micros;
};
static const struct field limiting_fields[] = {
	FIELD(struct limiting, market, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .doc = "The market"),
	FIELD(struct limiting, orders_most, FIELD_INT, .min = 1, .max = 1000000000,
		.doc = "Open orders at most; left out: any"),
	FIELD(struct limiting, kg_most, FIELD_INT, .min = 1, .max = INT64_C(1000000000000000), .unit = "kg",
		.doc = "Kilograms in open orders at most; left out: any"),
	FIELD_AS(struct limiting, notional_micros, "notional_most", FIELD_MICROS, .min = 1,
		.max = INT64_C(999999999999999999), .doc = "Worth of open orders at most; left out: any"),
	FIELD_END};

static enum err limits_set(struct http_request *request, struct err_info *info)
{
	const struct limiting *body = http_body(request);
	struct command command = value_command(request, COMMAND_TRADER_LIMIT);
	command.trader_limit = (struct command_trader_limit){.market = (uint64_t)body->market,
		.orders_most = or_zero(body->orders_most),
		.kg_most = or_zero(body->kg_most),
		.notional_micros_most = or_zero(body->notional_micros),
		.by_registry = api_reaches_all(request)};
	enum err err = http_path_id(request, "org_id", &command.trader_limit.org, info);
	if (!err)
		err = api_check_org(request, command.trader_limit.org, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

#define LIST(path_, query_, response_, handler_, operation_, doc_)                                                    \
	HTTP_ROUTE(HTTP_GET, path_, "order:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST, .cost = 2,  \
		.query = query_##_fields, .query_size = sizeof(struct query_), .response = response_, .success = 200, \
		.handler = handler_, .operation = operation_, .doc = doc_)
#define COMMAND(path_, permission_, errors_, handler_, operation_, doc_, ...)                                  \
	HTTP_ROUTE(HTTP_POST, path_, permission_, .kind = HTTP_LATER, .flags = HTTP_VALUE, .cost = 2,          \
		.response = value_result_fields, .errors = errors_, .handler = handler_, .reply = value_reply, \
		.operation = operation_, .doc = doc_, __VA_ARGS__)

const struct http_route api_orders_routes[] = {LIST("/v1/orders", orders_query, order_fields, orders_list,
						       "orders.list", "Orders of an organisation, newest first"),
	COMMAND("/v1/orders", "order:write", place_errors, orders_place, "orders.place",
		"Places an order; its id is the Idempotency-Key", .success = 201, .body_bytes_max = VALUE_BODY_BYTES,
		.request = placing_fields, .request_size = sizeof(struct placing)),
	HTTP_ROUTE(HTTP_POST, "/v1/orders/batch", "order:write", .kind = HTTP_LATER, .flags = HTTP_VALUE, .cost = 50,
		.body_bytes_max = VALUE_BODY_BYTES, .request = batch_body_fields,
		.request_size = sizeof(struct batch_body), .response = batch_answer_fields, .success = 200,
		.handler = orders_place_batch, .reply = batch_reply, .operation = "orders.place-batch",
		.doc = "Places up to 100 orders, each for itself: some may be refused"),
	COMMAND("/v1/orders/cancel-all", "order:write", cancel_errors, orders_cancel_all, "orders.cancel-all",
		"Cancels the organisation's orders: at most 2,000 at a time, whose "
		"serials lie in at most 256 ranges",
		.success = 200, .query = cancelling_fields, .query_size = sizeof(struct cancelling)),
	COMMAND("/v1/orders/cancel-after", "order:write", cancel_errors, orders_cancel_after, "orders.cancel-after",
		"Dead-man switch: the organisation's orders end unless this comes "
		"again in time",
		.success = 200, .body_bytes_max = VALUE_BODY_BYTES, .request = watching_fields,
		.request_size = sizeof(struct watching)),
	HTTP_ROUTE(HTTP_GET, "/v1/orders/{id}", "order:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST, .cost = 1,
		.response = order_fields, .success = 200, .handler = orders_get, .operation = "orders.get",
		.doc = "An order by its id, which its client made; also when it is done"),
	COMMAND("/v1/orders/{id}/amend", "order:write", change_errors, orders_amend, "orders.amend",
		"Changes an order: it keeps its place where only its quantity falls", .success = 200,
		.body_bytes_max = VALUE_BODY_BYTES, .request = amendment_fields,
		.request_size = sizeof(struct amendment)),
	COMMAND("/v1/orders/{id}/cancel", "order:write", cancel_errors, orders_cancel, "orders.cancel",
		"Cancels an order: what is left is released", .success = 200),
	LIST("/v1/executions", executions_query, execution_fields, executions_list, "executions.list",
		"What an organisation's orders traded, newest first"),
	COMMAND("/v1/traders/{org_id}/stop", "trader:stop", cancel_errors, traders_stop, "traders.stop",
		"The kill switch: cancels an organisation's orders and takes no "
		"more of it",
		.success = 200),
	COMMAND("/v1/traders/{org_id}/resume", "trader:stop", cancel_errors, traders_resume, "traders.resume",
		"Lets an organisation place orders again", .success = 200),
	HTTP_ROUTE(HTTP_GET, "/v1/traders/{org_id}/limits", "order:read", .kind = HTTP_WORK,
		.flags = HTTP_PAGED | HTTP_AT_LEAST, .cost = 2, .response = trader_limit_fields, .success = 200,
		.handler = limits_list, .operation = "traders.limits",
		.doc = "How much an organisation may have open, by market: its own limits and the registry's"),
	COMMAND("/v1/traders/{org_id}/limits", "trader:stop", cancel_errors, limits_set, "traders.limit",
		"Sets how much an organisation may have open in a market: its own limit, or that of who sees all",
		.success = 200, .body_bytes_max = VALUE_BODY_BYTES, .request = limiting_fields,
		.request_size = sizeof(struct limiting)),
	{.path = NULL}};
