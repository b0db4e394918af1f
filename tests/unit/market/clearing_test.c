/* The clearing document and the price of an auction from what anybody sees (docs/AUCTIONS.md, "The clearing document"; docs/MARKET.md,
 * "Trading sessions"): a function of public things alone, so that whoever has them makes the same bytes and the same price. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/json.h"
#include "carbond/market.h"

#define PRICE INT64_C(100000000)

static struct clearing_bid bid(uint64_t number, int64_t kg, int64_t price)
{
	return (struct clearing_bid){.bid = number,
		.org = {{(uint8_t)number}},
		.commitment = {{(uint8_t)(10 + number)}},
		.nonce = {{(uint8_t)(20 + number)}},
		.maximum_micros = 10 * PRICE,
		.kg = kg,
		.price_micros = price};
}

static void every_member_is_in_the_document(void **state)
{
	(void)state;
	struct clearing clearing = {.auction = 7,
		.market = 1,
		.batch = 3,
		.kind = AUCTION_UNIFORM,
		.kg = 1000,
		.lot_kg = 100,
		.reserve_micros = PRICE / 2,
		.forfeit_ppm = 250000};
	struct clearing_bid bids[] = {bid(1, 800, PRICE), bid(2, 800, PRICE * 8 / 10), bid(3, 0, 0)};
	market_clear(&clearing, bids, 3);
	assert_int_equal(clearing.sold_kg, 1000);
	assert_int_equal(clearing.clearing_micros, PRICE * 8 / 10); /* the lowest accepted bid */
	json_t *document = market_clearing_document(&clearing, bids, 3);
	char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
	static const char *const told[] = {"\"auction\":7", "\"batch\":3", "\"clearing_micros\":\"80000000\"",
		"\"forfeit_ppm\":250000", "\"kg\":1000", "\"kind\":\"uniform\"", "\"lot_kg\":100", "\"market\":1",
		"\"reserve_micros\":\"50000000\"", "\"sold_kg\":1000", "\"outcome\":\"won\"",
		"\"outcome\":\"forfeited\"", "\"maximum_micros\":\"1000000000\"", "\"all_or_none\":false",
		"\"paid_micros\":\"64000000\"", "\"forfeited_micros\":\"250000000\"", "\"price_micros\":\"100000000\"",
		"\"nonce\":\"1500000000000000000000000000000000000000000000000000000000000000\"",
		"\"commitment\":\"0b00000000000000000000000000000000000000000000000000000000000000\""};
	for (size_t i = 0; i < sizeof told / sizeof *told; i++)
		if (!strstr(text, told[i]))
			fail_msg("%s is not in %s", told[i], text);
	/* what was not revealed has neither kilograms nor price nor nonce */
	json_t *item;
	size_t i, revealed = 0;
	json_array_foreach(json_object_get(document, "bids"), i, item) revealed +=
		json_object_get(item, "nonce") != NULL;
	assert_int_equal(revealed, 2);
	free(text);
	json_decref(document);
}

static struct market_indication price_of(const struct market_level *bids, size_t bid_count,
	const struct market_level *asks, size_t ask_count, int64_t last)
{
	struct market_indication is;
	struct market_sides sides = {.bids = bids, .bid_count = bid_count, .asks = asks, .ask_count = ask_count};
	assert_int_equal(market_auction_price(&sides, 1000000, last, &is), ERR_OK);
	return is;
}

/* Most kilograms; then the smallest surplus; then the pressure of the market; then what is nearest to the last trade. */
static void the_price_at_which_most_is_traded(void **state)
{
	(void)state;
	struct market_level bids[] = {{PRICE + 2000000, 1000}, {PRICE, 2000}, {PRICE - 1000000, 1000}};
	struct market_level asks[] = {{PRICE - 2000000, 1000}, {PRICE, 1000}, {PRICE + 3000000, 5000}};
	struct market_indication is = price_of(bids, 3, asks, 3, 0);
	assert_int_equal(is.price_micros, PRICE);
	assert_int_equal(is.kg, 2000);
	assert_int_equal(is.surplus_kg, 1000);
	is = price_of(bids, 3, NULL, 0, 0);
	assert_int_equal(is.kg, 0);
	struct market_level one_bid = {PRICE + 4000000, 1000}, one_ask = {PRICE, 1000};
	is = price_of(&one_bid, 1, &one_ask, 1, PRICE + 1000000);
	assert_int_equal(is.price_micros, PRICE + 1000000); /* the last trade lies between */
	is = price_of(&one_bid, 1, &one_ask, 1, PRICE - 5000000);
	assert_int_equal(is.price_micros, PRICE);
	is = price_of(&one_bid, 1, &one_ask, 1, PRICE + 9000000);
	assert_int_equal(is.price_micros, PRICE + 4000000);
}

static void what_is_not_there_has_none(void **state)
{
	(void)state;
	struct market_indication is = {.kg = 1};
	struct market *market = market_new(1);
	assert_int_equal(market_indicative(market, 1, &is), ERR_NOT_FOUND);
	assert_int_equal(is.kg, 0);
	assert_null(market_auction(market, 1));
	assert_null(market_pool(market, 1));
	assert_int_equal(market_auctions_opened(market), 0);
	assert_int_equal(market_trade_count(market), 0);
	market_free(&market);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_member_is_in_the_document),
		cmocka_unit_test(the_price_at_which_most_is_traded), cmocka_unit_test(what_is_not_there_has_none)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
