/* Prices of classes: how one stands now, and its candles. Public; workers. */
#include "carbond/engine/views_prices.h"

#include "carbond/base/clock.h"

#include "value.h"

#define HOURS_USUAL 24

struct price_query {
	int64_t hours;
};
static const struct field price_query_fields[] = {
	FIELD(struct price_query, hours, FIELD_INT, .min = 1, .max = PRICE_WINDOW_MOST_US / CLOCK_US_PER_HOUR,
		.doc = "Length of the window up to now; 24 where left out"),
	FIELD_END};

static const enum err price_errors[] = {ERR_BUSY, ERR_OK};

static enum err prices_get(struct http_request *request, struct err_info *info)
{
	const struct price_query *given = http_query(request);
	int64_t hours = given->hours == FIELD_ABSENT ? HOURS_USUAL : given->hours, number = 0;
	struct class_price price;
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "class", &number, info);
	if (!err)
		err = engine_price_of_class(api_of(request)->store, number, clock_wall_us(), hours * CLOCK_US_PER_HOUR,
			http_arena(request), &price, info);
	return err ? err : http_answer_row(request, class_price_fields, &price, -1);
}

struct candles_query {
	int interval;
	int64_t from, to;
};
static const struct field candles_query_fields[] = {
	FIELD(struct candles_query, interval, FIELD_ENUM, .names = candle_interval_names,
		.doc = "Length of a candle; 1h where left out"),
	FIELD(struct candles_query, from, FIELD_TIME, .doc = "Those that begin at or after it"),
	FIELD(struct candles_query, to, FIELD_TIME, .doc = "and before"), FIELD_END};

static enum err candles_list(struct http_request *request, struct err_info *info)
{
	const struct candles_query *given = http_query(request);
	struct candle_row low, from, to;
	field_clear(candle_fields, &low);
	low.interval = given->interval < 0 ? CANDLE_1H : given->interval;
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "class", &low.class_number, info);
	from = to = low;
	from.start_at = given->from == FIELD_ABSENT ? 0 : given->from;
	to.start_at = given->to == FIELD_ABSENT ? INT64_MAX : given->to;
	if (!err && from.start_at >= to.start_at)
		err = err_set(info, ERR_INVALID_FIELD, "/to", "to must be after from");
	struct store_query query = {
		.collection = &candles_collection, .low = &low, .prefix = 2, .from = &from, .to = &to};
	return err ? err : api_answer_found(request, &query, candle_fields, info);
}

#define PUBLIC(path_, query_, response_, handler_, operation_, doc_, ...)                                        \
	HTTP_ROUTE(HTTP_GET, path_, "public", .kind = HTTP_WORK, .cost = 2, .query = query_##_fields,            \
		.query_size = sizeof(struct query_), .response = response_, .success = 200, .handler = handler_, \
		.operation = operation_, .doc = doc_, __VA_ARGS__)

const struct http_route api_prices_routes[] = {
	PUBLIC("/v1/classes/{class}/price", price_query, class_price_fields, prices_get, "prices.get",
		"How a class stands: last trade, best prices, means over a window, and whether it is stale",
		.flags = HTTP_PUBLIC | HTTP_AT_LEAST, .errors = price_errors),
	PUBLIC("/v1/classes/{class}/candles", candles_query, candle_fields, candles_list, "candles.list",
		"What a class traded in each minute, quarter of an hour, hour or day, oldest first",
		.flags = HTTP_PUBLIC | HTTP_PAGED | HTTP_AT_LEAST),
	{.path = NULL}};
