/* The market over HTTP, held against docs/MARKET.md's part on routes: opening and listing, orders and their ends, what
 * strangers see, who may what, repeats, and many orders at once. */
#include "value_world.h"

static const char *admin, *sells, *buys;
static int64_t batch, market, instrument;

static void fund(struct id org, int64_t euros)
{
	struct engine_result result;
	struct command deposit = {.kind = COMMAND_MONEY_DEPOSIT, .actor = admin_actor, .org = house.id};
	deposit.money_deposit = (struct command_money_deposit){.to = org, .amount_micros = euros * 1000000};
	assert_true(code8_set(&deposit.money_deposit.currency, "EUR"));
	command_ok(&deposit, &result);
}

static int open_market(void **state)
{
	struct engine_result result;
	char path[128];
	set_up(state);
	admin = service_key(house.id, "platform-admin", 0);
	sells = service_key(seller, "trader", 1);
	buys = service_key(buyer, "trader", 2);
	batch = issue(100000, 24);
	static const char *const body =
		"{\"kind\":\"removal\",\"currency\":\"EUR\",\"tick\":\"0.01\",\"maker_ppm\":1000,"
		"\"taker_ppm\":2000,\"collar_ppm\":100000}";
	json_decref(post(404, admin, "/v1/markets", new_key(), body)); /* nobody to take the fees */
	struct command name = {.kind = COMMAND_HOUSE_NAME, .actor = admin_actor, .org = house.id};
	name.house_name.org = house.id;
	command_ok(&name, &result);
	const char *key = new_key();
	json_t *opened = post(201, admin, "/v1/markets", key, body);
	market = integer(opened, "number");
	json_decref(opened);
	json_decref(post(200, admin, "/v1/markets", key, body));       /* repeated */
	json_decref(post(409, admin, "/v1/markets", new_key(), body)); /* there is one of this kind and currency */
	json_decref(post(403, sells, "/v1/markets", new_key(), body));
	snprintf(path, sizeof path, "/v1/markets/%lld/instruments", (long long)market);
	json_t *listed = post(201, admin, path, new_key(),
		"{\"code\":\"DAC-26\",\"durabilities\":[\"geological\",\"mineral\"],\"vintage_from\":2026,\"country\":"
		"\"IS\"}");
	instrument = integer(listed, "number");
	json_decref(listed);
	json_decref(post(422, admin, path, new_key(), "{\"code\":\"X\",\"durabilities\":[\"eternal\"]}"));
	json_t *found = get(200, NULL, path, engine_position(api.engine));
	assert_string_equal(member(json_array_get(json_object_get(found, "items"), 0), "code"), "DAC-26");
	json_decref(found);
	fund(buyer, 10000);
	return 0;
}

static json_t *place(int status, const char *key, const char *idempotency, const char *format, ...)
{
	char body[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(body, sizeof body, format, arguments);
	va_end(arguments);
	return post(status, key, "/v1/orders", idempotency, body);
}

static json_t *sell(int status, const char *price, int kg)
{
	return place(status, sells, new_key(),
		"{\"side\":\"sell\",\"market\":%lld,\"batch\":%lld,\"price\":\"%s\",\"kg\":%d}", (long long)market,
		(long long)batch, price, kg);
}

static json_t *buy(int status, const char *price, int kg)
{
	return place(status, buys, new_key(), "{\"side\":\"buy\",\"instrument\":%lld,\"price\":\"%s\",\"kg\":%d}",
		(long long)instrument, price, kg);
}

/* The order as its owner sees it once the views have its last change. */
static json_t *order(const char *key, const json_t *placed)
{
	char path[128];
	snprintf(path, sizeof path, "/v1/orders/%s", member(placed, "id"));
	return get(200, key, path, engine_position(api.engine));
}

static void check_order(const char *key, const json_t *placed, const char *status, int left_kg, int filled_kg)
{
	json_t *row = order(key, placed);
	assert_string_equal(member(row, "status"), status);
	assert_int_equal(integer(row, "left_kg"), left_kg);
	assert_int_equal(integer(row, "filled_kg"), filled_kg);
	json_decref(row);
}

static int cancel(const char *key, const json_t *placed)
{
	char request[128];
	snprintf(request, sizeof request, "POST /v1/orders/%s/cancel", member(placed, "id"));
	struct response response = call(key, request, new_key(), NULL);
	int status = response.status;
	response_free(&response);
	return status;
}

static void check_depth(const char *bid, int bid_kg, const char *ask, int ask_kg)
{
	char path[128];
	snprintf(path, sizeof path, "/v1/instruments/%lld/depth?levels=1", (long long)instrument);
	json_t *depth = get(200, NULL, path, engine_position(api.engine));
	const json_t *bids = json_object_get(depth, "bids"), *asks = json_object_get(depth, "asks");
	assert_int_equal(json_array_size(bids), bid != NULL);
	assert_int_equal(json_array_size(asks), ask != NULL);
	if (bid) {
		assert_string_equal(member(json_array_get(bids, 0), "price"), bid);
		assert_int_equal(integer(json_array_get(bids, 0), "kg"), bid_kg);
	}
	if (ask) {
		assert_string_equal(member(json_array_get(asks, 0), "price"), ask);
		assert_int_equal(integer(json_array_get(asks, 0), "kg"), ask_kg);
	}
	assert_true(integer(depth, "sequence") > 0);
	json_decref(depth);
}

/* MARKET.md, what an instrument asks of verifiers: a sell is in the depth of those that take its class alone. */
static void instruments_ask_for_verifiers(void **state)
{
	(void)state;
	char list[64], path[96], body[160], org[ID_TEXT_SIZE];
	static const struct {
		const char *more;
		int asks;
	} wanted[] = {{"", 1}, {",\"verifiers_least\":1", 1}, {",\"verifiers_least\":2", 0}};
	snprintf(list, sizeof list, "/v1/markets/%lld/instruments", (long long)market);
	json_t *sold = sell(201, "500", 1000);
	for (size_t i = 0; i < 3; i++) {
		snprintf(body, sizeof body, "{\"code\":\"CHECKED-%zu\",\"verifiers\":[\"%s\"]%s}", i,
			id_text(checker, org), wanted[i].more);
		json_t *listed = post(201, admin, list, new_key(), body);
		snprintf(path, sizeof path, "/v1/instruments/%lld", (long long)integer(listed, "number"));
		json_t *row = get(200, NULL, path, engine_position(api.engine));
		assert_string_equal(json_string_value(json_array_get(json_object_get(row, "verifiers"), 0)), org);
		strcat(path, "/depth");
		json_t *depth = get(200, NULL, path, engine_position(api.engine));
		assert_int_equal(json_array_size(json_object_get(depth, "asks")), wanted[i].asks);
		json_decref(depth);
		json_decref(row);
		json_decref(listed);
	}
	json_t *class = get(200, NULL, "/v1/markets/1/classes", engine_position(api.engine));
	const json_t *first = json_array_get(json_object_get(class, "items"), 0);
	assert_string_equal(json_string_value(json_array_get(json_object_get(first, "verifiers"), 0)), org);
	json_decref(class);
	assert_int_equal(cancel(sells, sold), 200);
	json_decref(sold);
	snprintf(body, sizeof body, "{\"code\":\"X\",\"verifiers\":[\"%s\"]}", id_text(seller, org));
	json_decref(post(422, admin, list, new_key(), body)); /* it has no verifier */
	json_decref(post(422, admin, list, new_key(), "{\"code\":\"X\",\"verifiers\":[\"north\"]}"));
	json_decref(post(422, admin, list, new_key(), "{\"code\":\"X\",\"verifiers_least\":17}"));
}

static void a_trade_as_both_sides_and_strangers_see_it(void **state)
{
	(void)state;
	char path[160];
	json_t *sold = sell(201, "100.50", 5000), *bought = buy(201, "101", 2000);
	check_order(sells, sold, "open", 3000, 2000);
	check_order(buys, bought, "filled", 0, 2000);
	check_depth(NULL, 0, "100.5", 3000);

	snprintf(path, sizeof path, "/v1/markets/%lld/trades", (long long)market);
	json_t *trades = get(200, NULL, path, 0); /* without a key */
	const json_t *trade = json_array_get(json_object_get(trades, "items"), 0);
	assert_string_equal(member(trade, "price"), "100.5");
	assert_string_equal(member(trade, "amount"), "201");
	assert_int_equal(json_array_size(json_object_get(trade, "ranges")), 1);
	static const char *const names[] = {"org_id", "order_id", "counterparty_org_id", "maker", "fee", NULL};
	for (int i = 0; names[i]; i++)
		assert_null(json_object_get(trade, names[i]));
	json_decref(trades);

	char seller_text[ID_TEXT_SIZE], buyer_text[ID_TEXT_SIZE];
	id_text(seller, seller_text);
	id_text(buyer, buyer_text);
	snprintf(path, sizeof path, "/v1/executions?order_id=%s", member(bought, "id"));
	json_t *own = get(200, buys, path, 0);
	const json_t *execution = json_array_get(json_object_get(own, "items"), 0);
	assert_string_equal(member(execution, "fee"), "0.402"); /* 2,000 ppm of 201 */
	assert_string_equal(member(execution, "counterparty_org_id"), seller_text);
	assert_true(json_is_false(json_object_get(execution, "maker")));
	json_decref(own);
	json_decref(get(404, sells, path, 0)); /* another's order */
	snprintf(path, sizeof path, "/v1/orders/%s", member(bought, "id"));
	json_decref(get(404, sells, path, 0));
	json_decref(get(401, NULL, path, 0));
	snprintf(path, sizeof path, "/v1/orders?org_id=%s", buyer_text);
	json_decref(get(403, sells, path, 0));
	json_decref(get(200, service_key(house.id, "auditor", 3), path, 0));
	json_decref(post(403, service_key(buyer, "buyer", 4), "/v1/orders", new_key(), "{\"side\":\"buy\",\"kg\":1}"));

	/* what it bought it may retire */
	snprintf(path, sizeof path,
		"{\"batch\":%lld,\"kg\":2000,\"beneficiary\":\"B\",\"country\":\"DE\",\"purpose\":\"voluntary\","
		"\"covered_from\":\"2025",
		(long long)batch);
	char body[320];
	snprintf(body, sizeof body, "%s-01-01T00:00:00Z\",\"covered_to\":\"2026-01-01T00:00:00Z\"}", path);
	json_decref(post(201, service_key(buyer, "buyer", 4), "/v1/retirements", new_key(), body));

	assert_int_equal(cancel(buys, sold), 409); /* not its own */
	assert_int_equal(cancel(sells, sold), 200);
	assert_int_equal(cancel(sells, sold), 409); /* done */
	check_order(sells, sold, "ended", 0, 2000);
	check_depth(NULL, 0, NULL, 0);
	json_t *held = get(200, sells, "/v1/holdings", engine_position(api.engine));
	const json_t *holding = json_array_get(json_object_get(held, "items"), 0);
	assert_int_equal(integer(holding, "listed_kg"), 0); /* a cancelled order releases */
	json_decref(held);
	json_decref(sold);
	json_decref(bought);
}

static json_t *price(void)
{
	return get(200, NULL, "/v1/classes/1/price", engine_position(api.engine));
}

/* In the day and the hour before now, whichever candles they fell into. */
static int64_t candles_kg(const char *interval, char ret_close[32])
{
	char path[128];
	int64_t kg = 0;
	snprintf(path, sizeof path, "/v1/classes/1/candles?interval=%s", interval);
	json_t *page = get(200, NULL, path, engine_position(api.engine));
	const json_t *items = json_object_get(page, "items");
	for (size_t i = 0; i < json_array_size(items); i++)
		kg += integer(json_array_get(items, i), "kg");
	snprintf(ret_close, 32, "%s", member(json_array_get(items, json_array_size(items) - 1), "close"));
	json_decref(page);
	return kg;
}

static void prices_of_a_class_and_when_they_are_stale(void **state)
{
	(void)state;
	char close[32];
	json_t *row = price(); /* 2,000 kg were traded at 100.50 */
	assert_string_equal(member(row, "vwap"), "100.5");
	assert_string_equal(member(row, "last"), "100.5");
	assert_string_equal(member(row, "stale"), "few-trades");
	assert_null(json_object_get(row, "mid"));
	json_decref(row);
	static const struct {
		const char *price;
		int kg;
	} more[] = {{"90", 1000}, {"111", 3000}};
	for (int i = 0; i < 2; i++) {
		json_decref(sell(201, more[i].price, more[i].kg));
		json_decref(buy(201, more[i].price, more[i].kg));
	}
	row = price();
	assert_string_equal(member(row, "stale"), "one-sided");
	json_decref(row);
	json_t *ask = sell(201, "120", 1000), *bid = buy(201, "80", 1000);
	row = price();
	assert_null(json_object_get(row, "stale"));
	assert_string_equal(member(row, "currency"), "EUR");
	assert_string_equal(member(row, "last"), "111");
	assert_string_equal(member(row, "high"), "111");
	assert_string_equal(member(row, "low"), "90");
	assert_string_equal(member(row, "vwap"), "104"); /* (201 + 90 + 333) for 6 tonnes */
	assert_string_equal(member(row, "bid"), "80");
	assert_string_equal(member(row, "ask"), "120");
	assert_string_equal(member(row, "mid"), "100");
	assert_int_equal(integer(row, "kg"), 6000);
	assert_int_equal(integer(row, "trades"), 3);
	json_decref(row);
	static const char *const intervals[] = {"1m", "15m", "1h", "1d"};
	for (int i = 0; i < 4; i++) {
		assert_int_equal(candles_kg(intervals[i], close), 6000);
		assert_string_equal(close, "111");
	}
	assert_int_equal(cancel(sells, ask), 200);
	assert_int_equal(cancel(buys, bid), 200);
	json_decref(ask);
	json_decref(bid);
	json_decref(get(404, NULL, "/v1/classes/99/price", 0));
	json_decref(get(422, NULL, "/v1/classes/1/price?hours=169", 0));
	json_decref(get(422, NULL, "/v1/classes/1/candles?from=2026-01-02T00:00:00Z&to=2026-01-02T00:00:00Z", 0));
}

static void faults_name_the_field_and_its_range(void **state)
{
	(void)state;
	static const struct {
		const char *body, *pointer, *detail;
	} faults[] = {{"{\"kg\":1000}", "/side", "is required"},
		{"{\"side\":\"buy\",\"instrument\":1,\"price\":100,\"kg\":1000}", "/price", "0.001..1000000"},
		{"{\"side\":\"buy\",\"instrument\":1,\"price\":\"0.0001\",\"kg\":1000}", "/price", "0.001..1000000"},
		{"{\"side\":\"buy\",\"instrument\":1,\"price\":\"100.005\",\"kg\":1000}", "/price",
			"multiple of the tick of 0.01"},
		{"{\"side\":\"buy\",\"instrument\":1,\"price\":\"1\",\"kg\":1500}", "/kg", "multiple of 1000 kg"},
		{"{\"side\":\"buy\",\"instrument\":1,\"kg\":1000}", "/price", "0.01"},
		{"{\"side\":\"buy\",\"instrument\":1,\"price\":\"1\",\"kg\":1000,\"tif\":\"gtd\"}", "/expires_at",
			"gtd"}};
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		json_t *problem = post(422, buys, "/v1/orders", new_key(), faults[i].body);
		assert_string_equal(member(problem, "pointer"), faults[i].pointer);
		if (!strstr(member(problem, "detail"), faults[i].detail))
			fail_msg("%s: %s", faults[i].body, member(problem, "detail"));
		json_decref(problem);
	}
	json_decref(
		place(409, buys, new_key(), "{\"side\":\"buy\",\"instrument\":%lld,\"price\":\"1000\",\"kg\":100000}",
			(long long)instrument)); /* more than it has */
}

static void a_repeat_is_the_same_answer_and_another_body_is_refused(void **state)
{
	(void)state;
	const char *key = new_key();
	static const char *const body = "{\"side\":\"buy\",\"instrument\":%d,\"price\":\"50\",\"kg\":%d}";
	json_t *first = place(201, buys, key, body, (int)instrument, 1000);
	json_t *again = place(200, buys, key, body, (int)instrument, 1000);
	assert_int_equal(integer(first, "position"), integer(again, "position"));
	json_decref(place(422, buys, key, body, (int)instrument, 2000));
	check_order(buys, first, "open", 1000, 0);
	assert_int_equal(cancel(buys, first), 200);
	json_decref(first);
	json_decref(again);
}

static void amended_stopped_and_halted(void **state)
{
	(void)state;
	char path[160], org[ID_TEXT_SIZE];
	json_t *bid = buy(201, "60", 3000);
	snprintf(path, sizeof path, "/v1/orders/%s/amend", member(bid, "id"));
	json_decref(post(200, buys, path, new_key(), "{\"kg\":2000}"));
	check_order(buys, bid, "open", 2000, 0);
	json_decref(post(200, buys, path, new_key(), "{\"price\":\"61\"}"));
	check_depth("61", 2000, NULL, 0);

	snprintf(path, sizeof path, "/v1/markets/%lld/halt", (long long)market);
	json_decref(post(403, sells, path, new_key(), NULL));
	json_decref(post(200, service_key(house.id, "compliance", 5), path, new_key(), NULL));
	json_decref(buy(409, "61", 1000));
	snprintf(path, sizeof path, "/v1/markets/%lld", (long long)market);
	json_t *row = get(200, NULL, path, engine_position(api.engine));
	assert_string_equal(member(row, "state"), "halted");
	json_decref(row);
	snprintf(path, sizeof path, "/v1/markets/%lld/resume", (long long)market);
	json_decref(post(200, admin, path, new_key(), NULL));

	const char *runs = service_key(buyer, "org-admin", 6);
	snprintf(path, sizeof path, "/v1/traders/%s/stop", id_text(seller, org));
	json_decref(post(404, runs, path, new_key(), NULL)); /* not its own */
	snprintf(path, sizeof path, "/v1/traders/%s/stop", id_text(buyer, org));
	json_decref(post(403, buys, path, new_key(), NULL)); /* a trader may not */
	json_decref(post(200, runs, path, new_key(), NULL));
	row = order(buys, bid);
	assert_string_equal(member(row, "reason"), "killed");
	json_decref(row);
	json_decref(buy(403, "61", 1000));
	snprintf(path, sizeof path, "/v1/traders/%s/resume", org);
	json_decref(post(200, runs, path, new_key(), NULL));
	json_decref(bid);
	bid = buy(201, "61", 1000);
	json_decref(post(200, buys, "/v1/orders/cancel-all", new_key(), NULL));
	check_order(buys, bid, "ended", 0, 0);
	json_decref(bid);
	json_t *open = get(200, buys, "/v1/orders?status=open&market=1", engine_position(api.engine));
	assert_int_equal(json_array_size(json_object_get(open, "items")), 0);
	json_decref(open);
	json_t *ended = get(200, buys, "/v1/orders?status=ended&limit=2", 0);
	assert_int_equal(json_array_size(json_object_get(ended, "items")), 2);
	assert_non_null(member(ended, "next_cursor"));
	json_decref(ended);
}

/* A schedule, a halt with an end, the dead-man switch, and a trade that is undone as its two executions say. */
static void sessions_and_trades_that_are_undone(void **state)
{
	(void)state;
	char path[160], body[2048], org[2][ID_TEXT_SIZE], close[32];
#define SCHEDULE_OF(hours) "{\"static_ppm\":500000,\"auction_us\":1000000,\"hours\":[\"mon 00:00-24:00\"," hours "]}"
#define EVERY_DAY                                                                                              \
	"\"tue 00:00-24:00\",\"wed 00:00-24:00\",\"thu 00:00-24:00\",\"fri 00:00-24:00\",\"sat 00:00-24:00\"," \
	"\"sun 00:00-24:00\""
	snprintf(path, sizeof path, "/v1/markets/%lld/schedule", (long long)market);
	json_decref(post(422, admin, path, new_key(), SCHEDULE_OF("\"tue 9:00-17:00\"")));
	json_decref(post(422, admin, path, new_key(), SCHEDULE_OF("\"tue 10:00-10:00\"")));
	json_decref(post(403, sells, path, new_key(), SCHEDULE_OF(EVERY_DAY)));
	json_decref(post(200, admin, path, new_key(), SCHEDULE_OF(EVERY_DAY)));
	snprintf(path, sizeof path, "/v1/markets/%lld", (long long)market);
	json_t *row = get(200, NULL, path, engine_position(api.engine));
	assert_int_equal(integer(row, "schedule_version"), 1);
	assert_int_equal(integer(row, "static_ppm"), 500000);
	assert_int_equal(json_array_size(json_object_get(row, "hours")), 7);
	assert_string_equal(json_string_value(json_array_get(json_object_get(row, "hours"), 6)), "sun 00:00-24:00");
	assert_non_null(member(row, "closes_at"));
	json_decref(row);
	char schedule[64];
	snprintf(schedule, sizeof schedule, "/v1/markets/%lld/schedule", (long long)market);
	json_decref(post(200, admin, schedule, new_key(), "{}"));
	snprintf(path, sizeof path, "/v1/markets/%lld/halt?until=2020-01-01T00:00:00Z", (long long)market);
	json_decref(post(422, admin, path, new_key(), NULL));

	json_decref(post(422, buys, "/v1/orders/cancel-after", new_key(), "{\"after_us\":5}"));
	json_decref(post(200, buys, "/v1/orders/cancel-after", new_key(), "{\"after_us\":60000000}"));
	json_decref(post(200, buys, "/v1/orders/cancel-after", new_key(), "{\"after_us\":0}"));

	json_t *ask = sell(201, "65", 1000), *bid = buy(201, "65", 1000);
	snprintf(path, sizeof path, "/v1/executions?order_id=%s", member(bid, "id"));
	json_t *bought = get(200, buys, path, engine_position(api.engine));
	snprintf(path, sizeof path, "/v1/executions?order_id=%s", member(ask, "id"));
	json_t *sold = get(200, sells, path, engine_position(api.engine));
	json_t *buys_side = json_array_get(json_object_get(bought, "items"), 0);
	json_t *sells_side = json_array_get(json_object_get(sold, "items"), 0);
	char *ranges = json_dumps(json_object_get(buys_side, "ranges"), JSON_COMPACT);
	snprintf(body, sizeof body,
		"{\"market\":%lld,\"seller_org_id\":\"%s\",\"buyer_org_id\":\"%s\",\"kg\":1000,\"amount\":\"65\","
		"\"seller_fee\":\"%s\",\"buyer_fee\":\"%s\",\"ranges\":%s,\"reason\":\"a slip of the finger\"}",
		(long long)market, id_text(seller, org[0]), id_text(buyer, org[1]), member(sells_side, "fee"),
		member(buys_side, "fee"), ranges);
	int64_t trade = integer(buys_side, "trade"), traded_kg = candles_kg("1m", close);
	snprintf(path, sizeof path, "/v1/trades/%lld/bust", (long long)trade);
	json_decref(post(403, buys, path, new_key(), body));
	json_decref(post(200, admin, path, new_key(), body));
	json_decref(post(409, admin, path, new_key(), body)); /* once */
	snprintf(path, sizeof path, "/v1/trades/%lld", (long long)trade);
	row = get(200, NULL, path, engine_position(api.engine));
	assert_non_null(member(row, "busted_at"));
	json_decref(row);
	assert_int_equal(candles_kg("1m", close), traded_kg - 1000);
	json_decref(post(200, admin, schedule, new_key(), "{\"auction_us\":60000000}"));
	snprintf(path, sizeof path, "/v1/markets/%lld/halt", (long long)market);
	json_decref(post(200, admin, path, new_key(), NULL));
	snprintf(path, sizeof path, "/v1/markets/%lld/resume", (long long)market);
	json_decref(post(200, admin, path, new_key(), NULL));
	json_t *collected = sell(201, "64", 2000), *other = buy(201, "65", 3000);
	row = get(200, NULL, "/v1/classes/1/auction", engine_position(api.engine));
	assert_string_equal(member(row, "state"), "auction");
	assert_non_null(member(row, "until"));
	assert_string_equal(member(row, "price"), "65"); /* nearest to the last trade */
	assert_int_equal(integer(row, "kg"), 2000);
	assert_int_equal(integer(row, "surplus_kg"), 1000);
	json_decref(row);
	snprintf(path, sizeof path, "/v1/classes/1/depth");
	row = get(200, NULL, path, 0);
	char hash[HASH_TEXT_SIZE];
	static const char shown[] = "bid 65 3000\nask 64 2000\n";
	hash_text(sha256_of("carbond/book/1", shown, sizeof shown - 1), hash);
	assert_string_equal(member(row, "checksum"), hash);
	json_decref(row);
	assert_int_equal(cancel(sells, collected), 200);
	assert_int_equal(cancel(buys, other), 200);
	json_decref(collected);
	json_decref(other);
	json_decref(post(200, admin, schedule, new_key(), "{}"));
	snprintf(path, sizeof path, "/v1/markets/%lld/halt", (long long)market);
	json_decref(post(200, admin, path, new_key(), NULL));
	snprintf(path, sizeof path, "/v1/markets/%lld/resume", (long long)market);
	json_decref(post(200, admin, path, new_key(), NULL));
	free(ranges);
	json_decref(bought);
	json_decref(sold);
	json_decref(ask);
	json_decref(bid);
}

static void limits_are_the_organisations_and_the_registrys(void **state)
{
	(void)state;
	char path[160], org[ID_TEXT_SIZE];
	const char *runs = service_key(buyer, "org-admin", 6), *complies = service_key(house.id, "compliance", 5);
	snprintf(path, sizeof path, "/v1/traders/%s/limits", id_text(seller, org));
	json_decref(post(404, runs, path, new_key(), "{\"market\":1,\"orders_most\":1}"));
	snprintf(path, sizeof path, "/v1/traders/%s/limits", id_text(buyer, org));
	json_decref(post(403, buys, path, new_key(), "{\"market\":1,\"orders_most\":1}"));
	json_decref(post(422, runs, path, new_key(), "{\"market\":1,\"orders_most\":0}"));
	json_decref(post(200, runs, path, new_key(), "{\"market\":1,\"orders_most\":1}"));
	json_decref(post(200, complies, path, new_key(), "{\"market\":1,\"notional_most\":\"99.50\"}"));
	json_t *refused = buy(409, "50", 2000);
	assert_string_equal(member(refused, "type"), "/problems/limit-exceeded");
	assert_string_equal(member(refused, "pointer"), "/price");
	json_decref(refused);
	json_t *bid = buy(201, "49.75", 2000);
	json_decref(buy(409, "0.01", 1000)); /* a second one */
	json_t *limits = get(200, buys, path, engine_position(api.engine));
	const json_t *items = json_object_get(limits, "items");
	assert_int_equal(json_array_size(items), 2);
	assert_int_equal(integer(json_array_get(items, 0), "orders_most"), 1);
	assert_string_equal(member(json_array_get(items, 1), "notional_most"), "99.5");
	assert_true(json_is_true(json_object_get(json_array_get(items, 1), "by_registry")));
	json_decref(limits);
	json_decref(post(200, runs, path, new_key(), "{\"market\":1}"));
	json_decref(post(200, complies, path, new_key(), "{\"market\":1}"));
	assert_int_equal(cancel(buys, bid), 200);
	json_decref(bid);
}

/* Many at once: each for itself, in their order, with ids of their own or made of the request's. */
static void many_orders_at_once(void **state)
{
	(void)state;
	const char *key = new_key();
	char id[ID_TEXT_SIZE], body[2048];
	snprintf(body, sizeof body,
		"{\"orders\":[{\"side\":\"sell\",\"market\":%lld,\"batch\":%lld,\"price\":\"70\",\"kg\":1000},"
		"{\"side\":\"sell\",\"market\":%lld,\"batch\":%lld,\"price\":\"70.001\",\"kg\":1000},"
		"{\"id\":\"%s\",\"side\":\"sell\",\"market\":%lld,\"batch\":%lld,\"price\":\"71\",\"kg\":2000}]}",
		(long long)market, (long long)batch, (long long)market, (long long)batch,
		id_text(id_new(clock_wall_us()), id), (long long)market, (long long)batch);
	json_t *answer = post(200, sells, "/v1/orders/batch", key, body);
	assert_int_equal(integer(answer, "placed"), 2);
	assert_int_equal(integer(answer, "refused"), 1);
	const json_t *items = json_object_get(answer, "items");
	assert_int_equal(json_array_size(items), 3);
	assert_int_equal(integer(json_array_get(items, 0), "status"), 201);
	assert_int_equal(integer(json_array_get(items, 1), "status"), 422);
	assert_string_equal(member(json_array_get(items, 1), "pointer"), "/price");
	assert_string_equal(member(json_array_get(items, 2), "id"), id);
	assert_true(integer(json_array_get(items, 0), "number") < integer(json_array_get(items, 2), "number"));
	check_depth(NULL, 0, "70", 1000);

	json_t *again = post(200, sells, "/v1/orders/batch", key, body);
	const json_t *repeats = json_object_get(again, "items");
	for (size_t i = 0; i < 3; i += 2) {
		const json_t *item = json_array_get(repeats, i), *was = json_array_get(items, i);
		assert_true(json_is_true(json_object_get(item, "repeated")));
		assert_string_equal(member(item, "id"), member(was, "id"));
		assert_int_equal(integer(item, "position"), integer(was, "position"));
	}
	json_decref(again);
	json_decref(answer);
	json_decref(post(422, sells, "/v1/orders/batch", new_key(), "{\"orders\":[]}"));
	json_decref(post(200, sells, "/v1/orders/cancel-all?market=1", new_key(), NULL));
	check_depth(NULL, 0, NULL, 0);
}

/* Trades for all, the book for all, orders and executions for whose they are. */
static void streams_say_what_happens_and_resume(void **state)
{
	(void)state;
	static char trades[64 << 10], depth[64 << 10], own[64 << 10], other[64 << 10];
	char path[128], resume[96];
	snprintf(path, sizeof path, "/v1/markets/%lld/stream", (long long)market);
	int trades_sock = watch(path, "", sells);
	snprintf(path, sizeof path, "/v1/instruments/%lld/stream?levels=2", (long long)instrument);
	int depth_sock = watch(path, "", buys), own_sock = watch("/v1/orders/stream", "", buys);
	int other_sock = watch("/v1/orders/stream", "", service_key(checker, "trader", 7));
	watch_until(trades_sock, trades, sizeof trades, "event: begin");
	watch_until(depth_sock, depth, sizeof depth, "event: depth"); /* it begins with the book as it is */
	watch_until(own_sock, own, sizeof own, "event: begin");
	watch_until(other_sock, other, sizeof other, "event: begin");

	json_t *sold = sell(201, "80", 3000);
	watch_until(depth_sock, depth, sizeof depth, "\"asks\":[{\"price\":\"80\",\"kg\":3000,\"orders\":1}]");
	json_t *bought = buy(201, "80", 1000);
	watch_until(depth_sock, depth, sizeof depth, "\"asks\":[{\"price\":\"80\",\"kg\":2000,\"orders\":1}]");
	watch_until(trades_sock, trades, sizeof trades, "\"amount\":\"80\"");
	assert_null(strstr(trades, "org_id"));
	assert_null(strstr(trades, "order_id"));
	watch_until(own_sock, own, sizeof own, "event: execution");
	watch_until(own_sock, own, sizeof own, "event: balance");
	watch_until(own_sock, own, sizeof own, "\"status\":\"filled\"");
	assert_null(strstr(own, member(sold, "id"))); /* another's order */

	/* who was away gets what it has missed */
	const char *id = strstr(trades, "id: ");
	assert_non_null(id);
	close(trades_sock);
	json_decref(bought);
	bought = buy(201, "80", 2000);
	snprintf(resume, sizeof resume, "Last-Event-ID: %lld\r\n", atoll(id + 4));
	memset(trades, 0, sizeof trades);
	snprintf(path, sizeof path, "/v1/markets/%lld/stream", (long long)market);
	trades_sock = watch(path, resume, sells);
	watch_until(trades_sock, trades, sizeof trades, "\"amount\":\"80\"");
	watch_until(trades_sock, trades, sizeof trades, "\"amount\":\"160\"");
	assert_null(strstr(other, "event: order"));
	close(trades_sock);
	close(depth_sock);
	close(own_sock);
	close(other_sock);
	json_decref(sold);
	json_decref(bought);
	json_decref(get(404, sells, "/v1/markets/99/stream", 0));
	json_decref(get(401, NULL, "/v1/orders/stream", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_trade_as_both_sides_and_strangers_see_it),
		cmocka_unit_test(prices_of_a_class_and_when_they_are_stale),
		cmocka_unit_test(faults_name_the_field_and_its_range),
		cmocka_unit_test(a_repeat_is_the_same_answer_and_another_body_is_refused),
		cmocka_unit_test(amended_stopped_and_halted), cmocka_unit_test(sessions_and_trades_that_are_undone),
		cmocka_unit_test(limits_are_the_organisations_and_the_registrys), cmocka_unit_test(many_orders_at_once),
		cmocka_unit_test(instruments_ask_for_verifiers), cmocka_unit_test(streams_say_what_happens_and_resume)};
	return cmocka_run_group_tests(tests, open_market, tear_down);
}
