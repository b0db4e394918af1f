/* The clearing document and the price of an auction when memory ends at any allocation: there is none, or the whole of it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "carbond/base/arena.h"
#include "carbond/market.h"

#include "sweep.h"

#define PRICE INT64_C(100000000)

static void document(struct sweep *sweep)
{
	struct clearing clearing = {.auction = 7,
		.market = 1,
		.batch = 3,
		.kind = AUCTION_FIRST_PRICE,
		.kg = 1000,
		.lot_kg = 100,
		.reserve_micros = PRICE};
	struct clearing_bid bids[] = {
		{.bid = 1, .org = {{1}}, .maximum_micros = PRICE, .kg = 500, .price_micros = PRICE},
		{.bid = 2, .org = {{2}}, .maximum_micros = PRICE}};
	struct err_info info = {.code = ERR_OK};
	market_clear(&clearing, bids, 2);
	sweep_arm(sweep);
	json_t *made = market_clearing_document(&clearing, bids, 2);
	sweep_disarm(sweep);
	sweep_judge(sweep, made ? ERR_OK : ERR_NO_MEMORY, &info);
	if (made) {
		struct arena *arena = arena_new(1 << 16);
		char *text;
		size_t size;
		assert_int_equal(document_canonical(arena, made, &text, &size), ERR_OK);
		assert_non_null(strstr(text, "\"bid\":2"));
		arena_free(&arena);
	}
	json_decref(made);
}

static void price(struct sweep *sweep)
{
	struct market_level bids[9], asks[9];
	for (int i = 0; i < 9; i++) {
		bids[i] = (struct market_level){PRICE - i * 1000000, 1000};
		asks[i] = (struct market_level){PRICE - 8000000 + i * 1000000, 1000};
	}
	struct market_sides sides = {.bids = bids, .bid_count = 9, .asks = asks, .ask_count = 9};
	struct market_indication is;
	struct err_info info = {.code = ERR_OK};
	sweep_arm(sweep);
	enum err err = market_auction_price(&sides, 1000000, 0, &is);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	if (!err)
		assert_int_equal(is.kg, 5000);
}

static void documents(void **state)
{
	(void)state;
	sweep_allocations("a clearing document", document, NULL);
}

static void prices(void **state)
{
	(void)state;
	sweep_allocations("the price of an auction", price, NULL);
}

int main(void)
{
	sweep_start(400);
	const struct CMUnitTest tests[] = {cmocka_unit_test(documents), cmocka_unit_test(prices)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
