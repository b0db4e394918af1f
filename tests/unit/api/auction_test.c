/* Auctions, pools and purchases over HTTP, held against docs/AUCTIONS.md, docs/POOLS.md and docs/ROUTING.md: offering, taking, sealed bids from commitment to
 * clearing document, pools from opening to redemption; what strangers see, and who may what. */
#include "value_world.h"

#include "carbond/market.h"

static const char *admin, *sells, *buys;
static int64_t batch;

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
	set_up(state);
	engine_confirm_clock(api.engine); /* so that time passes on a machine whose clock is not synchronised, too */
	admin = service_key(house.id, "platform-admin", 0);
	sells = service_key(seller, "trader", 1);
	buys = service_key(buyer, "trader", 2);
	batch = issue(100000, 24);
	struct command name = {.kind = COMMAND_HOUSE_NAME, .actor = admin_actor, .org = house.id};
	name.house_name.org = house.id;
	command_ok(&name, &result);
	json_decref(post(201, admin, "/v1/markets", new_key(),
		"{\"kind\":\"removal\",\"currency\":\"EUR\",\"tick\":\"0.01\",\"maker_ppm\":1000,\"taker_ppm\":2000}"));
	json_decref(post(201, admin, "/v1/markets/1/instruments", new_key(), "{\"code\":\"ANY\"}"));
	fund(buyer, 10000);
	fund(seller, 10000);
	return 0;
}

/* The number that a command made. */
__attribute__((format(printf, 4, 5))) static int64_t made(
	int status, const char *key, const char *path, const char *format, ...)
{
	char body[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(body, sizeof body, format, arguments);
	va_end(arguments);
	json_t *answer = post(status, key, path, new_key(), body);
	int64_t number = integer(answer, "number");
	json_decref(answer);
	return number;
}

static int64_t listing(int kg)
{
	return made(201, sells, "/v1/auctions",
		"{\"kind\":\"listing\",\"market\":1,\"batch\":%lld,\"kg\":%d,\"price\":\"120\"}", (long long)batch, kg);
}

static json_t *shown(const char *what, int64_t number)
{
	char path[128];
	snprintf(path, sizeof path, "/v1/%s/%lld", what, (long long)number);
	return get(200, NULL, path, engine_position(api.engine));
}

static void check_auction(int64_t number, const char *phase, int64_t left_kg)
{
	json_t *row = shown("auctions", number);
	assert_string_equal(member(row, "phase"), phase);
	assert_int_equal(integer(row, "left_kg"), left_kg);
	json_decref(row);
}

static int64_t held(const char *key)
{
	json_t *found = get(200, key, "/v1/holdings", engine_position(api.engine));
	int64_t kg = integer(json_array_get(json_object_get(found, "items"), 0), "held_kg");
	json_decref(found);
	return kg;
}

static void a_listing_is_taken_in_part_and_cancelled(void **state)
{
	(void)state;
	char path[128];
	int64_t had = held(sells), number = listing(5000);
	check_auction(number, "takes", 5000);
	assert_int_equal(held(sells), had - 5000);
	snprintf(path, sizeof path, "/v1/auctions/%lld/take", (long long)number);
	made(409, buys, path, "{\"kg\":500,\"limit\":\"119.99\"}");
	made(409, sells, path, "{\"kg\":500,\"limit\":\"120\"}");
	made(409, buys, path, "{\"kg\":5001,\"limit\":\"120\"}");
	made(201, buys, path, "{\"kg\":501,\"limit\":\"120\"}");
	check_auction(number, "takes", 4499);
	assert_int_equal(held(buys), 501);
	snprintf(path, sizeof path, "/v1/auctions/%lld/cancel", (long long)number);
	made(403, buys, path, "{}");
	json_decref(post(200, sells, path, new_key(), NULL));
	check_auction(number, "over", 4499);
	assert_int_equal(held(sells), had - 501);
	json_t *all = get(200, NULL, "/v1/markets/1/auctions", 0);
	assert_int_equal(json_array_size(json_object_get(all, "items")), 1);
	json_decref(all);
	json_decref(get(404, NULL, "/v1/auctions/99", 0));
}

static void wait_for_phase(int64_t number, const char *phase)
{
	int64_t until_us = clock_monotonic_us() + 30 * CLOCK_US_PER_SECOND;
	for (;;) {
		json_t *row = shown("auctions", number);
		bool there = strcmp(member(row, "phase"), phase) == 0;
		json_decref(row);
		if (there)
			return;
		assert_true(clock_monotonic_us() < until_us);
		struct timespec pause = {.tv_nsec = 20000000};
		nanosleep(&pause, NULL);
	}
}

static int64_t commit(int64_t number, int kg, int64_t euros, struct hash nonce)
{
	char path[128], text[HASH_TEXT_SIZE];
	snprintf(path, sizeof path, "/v1/auctions/%lld/bids", (long long)number);
	struct hash commitment = market_commitment((uint64_t)number, buyer, kg, euros * 1000000, nonce);
	return made(201, buys, path, "{\"commitment\":\"%s\",\"maximum\":\"1000\"}", hash_text(commitment, text));
}

/* Sealed bids in real time: each phase is two seconds long. */
static void sealed_bids_come_to_what_their_document_says(void **state)
{
	(void)state;
	char path[128], ends[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE], nonce_text[HASH_TEXT_SIZE];
	int64_t now_us = clock_wall_us();
	struct hash nonce = {{42}};
	clock_text(now_us + 2 * CLOCK_US_PER_SECOND, ends);
	clock_text(now_us + 4 * CLOCK_US_PER_SECOND, until);
	int64_t number = made(201, sells, "/v1/auctions",
		"{\"kind\":\"uniform\",\"market\":1,\"batch\":%lld,\"kg\":3000,\"lot_kg\":1000,\"price\":\"90\","
		"\"ends_at\":\"%s\",\"reveals_until\":\"%s\",\"forfeit_ppm\":100000}",
		(long long)batch, ends, until);
	assert_int_equal(commit(number, 2000, 110, nonce), 1);
	assert_int_equal(commit(number, 2000, 100, nonce), 2);
	assert_int_equal(commit(number, 1000, 200, nonce), 3);
	snprintf(path, sizeof path, "/v1/auctions/%lld/clearing", (long long)number);
	json_decref(get(409, NULL, path, 0));
	wait_for_phase(number, "reveals");
	hash_text(nonce, nonce_text);
	snprintf(path, sizeof path, "/v1/auctions/%lld/bids/1/reveal", (long long)number);
	json_decref(post(422, buys, path, new_key(), "{\"kg\":2000,\"price\":\"111\",\"nonce\":\"00\"}"));
	made(200, buys, path, "{\"kg\":2000,\"price\":\"110\",\"nonce\":\"%s\"}", nonce_text);
	snprintf(path, sizeof path, "/v1/auctions/%lld/bids/2/reveal", (long long)number);
	made(422, buys, path, "{\"kg\":1000,\"price\":\"100\",\"nonce\":\"%s\"}", nonce_text);
	made(200, buys, path, "{\"kg\":2000,\"price\":\"100\",\"nonce\":\"%s\"}", nonce_text);
	snprintf(path, sizeof path, "/v1/auctions/%lld/bids", (long long)number);
	json_t *theirs = get(200, sells, path, 0);
	assert_int_equal(json_array_size(json_object_get(theirs, "items")), 0); /* nobody sees another's bid */
	json_decref(theirs);
	wait_for_phase(number, "over");
	snprintf(path, sizeof path, "/v1/auctions/%lld/clearing", (long long)number);
	json_t *document = get(200, NULL, path, engine_position(api.engine));
	assert_string_equal(member(document, "clearing_micros"), "100000000");
	assert_int_equal(integer(document, "sold_kg"), 3000);
	const json_t *bids = json_object_get(document, "bids");
	static const char *const outcomes[] = {"won", "won", "forfeited"};
	static const int sold[] = {2000, 1000, 0};
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(member(json_array_get(bids, i), "outcome"), outcomes[i]);
		assert_int_equal(integer(json_array_get(bids, i), "sold_kg"), sold[i]);
	}
	assert_string_equal(member(json_array_get(bids, 0), "paid_micros"), "200000000");
	assert_string_equal(member(json_array_get(bids, 2), "forfeited_micros"), "100000000");
	json_decref(document);
	assert_int_equal(held(buys), 3000);
}

static void check_pool(const char *state, int64_t kg, const char *reserve)
{
	json_t *row = shown("pools", 1);
	assert_string_equal(member(row, "state"), state);
	assert_int_equal(integer(row, "reserve_kg"), kg);
	assert_string_equal(member(row, "reserve"), reserve);
	json_decref(row);
}

static void a_pool_is_opened_filled_traded_with_and_redeemed(void **state)
{
	(void)state;
	assert_int_equal(made(201, admin, "/v1/pools", "{\"instrument\":1,\"fee_ppm\":3000,\"chosen_ppm\":20000}"), 1);
	made(403, sells, "/v1/pools", "{\"instrument\":1}");
	made(201, sells, "/v1/pools/1/add", "{\"batch\":%lld,\"kg\":10000,\"maximum\":\"1000\"}", (long long)batch);
	check_pool("open", 10000, "1000");
	json_t *quote = get(200, NULL, "/v1/pools/1/quote?side=buy&kg=1000", 0);
	assert_string_equal(member(quote, "amount"), "111.445449");
	json_decref(quote);
	made(409, buys, "/v1/pools/1/buy", "{\"kg\":1000,\"maximum\":\"111.445448\"}");
	made(201, buys, "/v1/pools/1/buy", "{\"kg\":1000,\"maximum\":\"111.445449\"}");
	check_pool("open", 9000, "1111.445449");
	made(201, buys, "/v1/pools/1/sell", "{\"batch\":%lld,\"kg\":1000,\"minimum\":\"110\"}", (long long)batch);
	json_t *shares = get(200, sells, "/v1/pool-shares", engine_position(api.engine));
	int64_t count = integer(json_array_get(json_object_get(shares, "items"), 0), "shares");
	assert_int_equal(count, 3162277 - 1000);
	json_decref(shares);
	made(201, sells, "/v1/pools/1/redeem", "{\"shares\":1000000}");
	made(201, sells, "/v1/pools/1/redeem",
		"{\"shares\":100000,\"ranges\":[{\"batch\":%lld,\"start\":9000,\"length\":400}]}", (long long)batch);
	json_t *batches = get(200, NULL, "/v1/pools/1/batches", engine_position(api.engine));
	json_t *row = shown("pools", 1);
	assert_int_equal(
		integer(json_array_get(json_object_get(batches, "items"), 0), "pooled_kg"), integer(row, "reserve_kg"));
	json_decref(row);
	json_decref(batches);
	made(409, admin, "/v1/pools/1/resume", "{}");
}

static void a_quote_is_what_a_purchase_costs(void **state)
{
	(void)state;
	char path[160], body[512], org[ID_TEXT_SIZE];
	listing(5000);
	made(201, admin, "/v1/pools", "{\"instrument\":1,\"fee_ppm\":3000}");
	made(201, sells, "/v1/pools/1/add", "{\"batch\":%lld,\"kg\":50000,\"maximum\":\"5000\"}", (long long)batch);
	made(201, admin, "/v1/markets/1/instruments", "{\"code\":\"TWICE\",\"verifiers_least\":2}");
	made(201, admin, "/v1/markets/1/instruments", "{\"code\":\"CHECKED\",\"verifiers\":[\"%s\"]}",
		id_text(checker, org));
	int64_t seen = engine_position(api.engine);
	json_decref(get(409, NULL, "/v1/quotes?instrument=2&kg=1000", seen)); /* one verifier has attested, no more */
	json_decref(get(422, NULL, "/v1/quotes?instrument=3&kg=1000&budget=5", seen));
	json_decref(get(404, NULL, "/v1/quotes?instrument=9&kg=1000", seen));
	json_t *quote = get(200, NULL, "/v1/quotes?instrument=3&kg=9000&slippage_bps=0", seen);
	const json_t *rows = json_object_get(quote, "rows");
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(member(json_array_get(rows, 0), "source"), "listing");
	assert_string_equal(member(json_array_get(rows, 1), "source"), "pool");
	assert_int_equal(integer(json_array_get(rows, 0), "kg") + integer(json_array_get(rows, 1), "kg"), 9000);
	assert_string_equal(member(quote, "maximum"), member(quote, "total"));
	snprintf(body, sizeof body, "{\"instrument\":3,\"kg\":9000,\"maximum\":\"%s\",\"expires_at\":\"%s\"}",
		member(quote, "maximum"), member(quote, "valid_until"));
	json_t *bought = post(201, buys, "/v1/purchases", new_key(), body);
	snprintf(path, sizeof path, "/v1/purchases/%s", member(bought, "id"));
	json_decref(bought);
	bought = get(200, buys, path, engine_position(api.engine));
	assert_string_equal(member(bought, "paid"), member(quote, "total"));
	assert_string_equal(member(bought, "marginal_price"), member(quote, "marginal_price"));
	json_decref(bought);
	json_decref(quote);
	json_decref(get(404, sells, path, 0)); /* another's */
	assert_int_equal(held(buys), 9000);
	json_decref(post(409, buys, "/v1/purchases", new_key(), body)); /* it has become dearer */
}

static void a_list_of_texts_is_a_repeat_under_its_key(void **state)
{
	(void)state;
	char body[1024];
#define LINE                                                                                          \
	"{\"kg\":%d,\"beneficiary\":\"%s\",\"country\":\"IS\",\"purpose\":\"gift\",\"covered_from\":" \
	"\"2025-01-01T00:00:00Z\",\"covered_to\":\"2026-01-01T00:00:00Z\"}"
	char lines[3][160];
	listing(5000);
	const char *key = new_key();
	for (int round = 0; round < 3; round++) {
		snprintf(lines[0], sizeof lines[0], LINE, 10, "Ada");
		snprintf(lines[1], sizeof lines[1], LINE, 20, round == 2 ? "Eve" : "Bob");
		snprintf(lines[2], sizeof lines[2], LINE, 30, "Ada");
		snprintf(body, sizeof body, "{\"instrument\":1,\"maximum\":\"8\",\"lines\":[%s,%s,%s]}", lines[0],
			lines[1], lines[2]);
		json_t *answer = post(round == 2 ? 422 : round ? 200 : 201, buys, "/v1/purchases", key, body);
		if (round < 2)
			assert_int_equal(json_is_true(json_object_get(answer, "repeated")), round);
		json_decref(answer);
	}
	json_t *retired = get(200, buys, "/v1/retirements", engine_position(api.engine));
	assert_int_equal(json_array_size(json_object_get(retired, "items")), 3);
	json_decref(retired);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_listing_is_taken_in_part_and_cancelled, open_market, tear_down),
		cmocka_unit_test_setup_teardown(sealed_bids_come_to_what_their_document_says, open_market, tear_down),
		cmocka_unit_test_setup_teardown(
			a_pool_is_opened_filled_traded_with_and_redeemed, open_market, tear_down),
		cmocka_unit_test_setup_teardown(a_quote_is_what_a_purchase_costs, open_market, tear_down),
		cmocka_unit_test_setup_teardown(a_list_of_texts_is_a_repeat_under_its_key, open_market, tear_down)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
