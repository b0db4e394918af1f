/* The split over sources, from the tables of docs/ROUTING.md: on sources that can be told by hand, and on random ones, where no
 * kilograms moved from one source to another may make it cheaper: costs rise with the quantity, so that is the least there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "carbond/base/map.h"
#include "carbond/market.h"

#define EURO  INT64_C(1000000)
#define TAKER 5000 /* ppm */

static struct market_source sources[ROUTE_SOURCES_MOST];
static struct event_state_pool pools[ROUTE_POOLS_MOST];
static size_t count;
static struct market_route route;

static void start(void)
{
	count = 0;
	memset(sources, 0, sizeof sources);
}

static struct market_source *fixed(enum route_source source, int64_t price, int64_t kg, int64_t lot_kg)
{
	sources[count] = (struct market_source){
		.source = source, .number = count, .price_micros = price, .kg = kg, .lot_kg = lot_kg, .fee_ppm = TAKER};
	return &sources[count++];
}

static struct market_source *pool(int64_t kg, int64_t micros, int64_t fee_ppm)
{
	struct event_state_pool *is = &pools[count];
	*is = (struct event_state_pool){.reserve_kg = kg, .reserve_micros = micros, .fee_ppm = fee_ppm};
	sources[count] = (struct market_source){.source = ROUTE_POOL, .number = count, .lot_kg = 1, .pool = is};
	return &sources[count++];
}

static void split(int64_t kg, int64_t maximum, int64_t limit)
{
	route = (struct market_route){.kg = kg, .maximum_micros = maximum, .limit_micros = limit};
	market_route_split(sources, count, &route);
	int64_t taken = 0, micros = 0, fees = 0;
	for (size_t i = 0; i < count; i++) {
		assert_true(sources[i].taken_kg >= 0 && sources[i].taken_kg % sources[i].lot_kg == 0);
		taken += sources[i].taken_kg;
		micros += sources[i].micros;
		fees += sources[i].fee_micros;
	}
	assert_int_equal(route.taken_kg, taken);
	assert_int_equal(route.micros, micros);
	assert_int_equal(route.fee_micros, fees);
	assert_true(taken <= kg && micros <= maximum);
}

static void the_cheapest_goes_first_fees_included(void **state)
{
	(void)state;
	start();
	struct market_source *dear = fixed(ROUTE_BOOK, 100 * EURO, 5000, 1000);
	struct market_source *cheap = fixed(ROUTE_LISTING, 100 * EURO, 5000, 1);
	cheap->fee_ppm = 0;
	split(6000, 1000 * EURO, 0);
	assert_int_equal(cheap->taken_kg, 5000);
	assert_int_equal(dear->taken_kg, 1000);
	assert_int_equal(route.micros, 500 * EURO + 100 * EURO + EURO / 2);
	assert_int_equal(route.fee_micros, EURO / 2);
	assert_int_equal(route.marginal_micros, 100 * EURO + EURO / 2);
}

static void equally_dear_ones_go_in_their_order(void **state)
{
	(void)state;
	start();
	struct market_source *book = fixed(ROUTE_BOOK, 100 * EURO, 2000, 1000);
	struct market_source *listing = fixed(ROUTE_LISTING, 100 * EURO, 2000, 1);
	split(3000, 1000 * EURO, 0);
	assert_int_equal(book->taken_kg, 2000);
	assert_int_equal(listing->taken_kg, 1000);
}

static void what_is_less_than_a_lot_goes_to_those_that_have_smaller_ones(void **state)
{
	(void)state;
	start();
	struct market_source *book = fixed(ROUTE_BOOK, 100 * EURO, 5000, 1000);
	struct market_source *listing = fixed(ROUTE_LISTING, 110 * EURO, 5000, 100);
	struct market_source *other = fixed(ROUTE_LISTING, 120 * EURO, 5000, 1);
	split(1750, 1000 * EURO, 0);
	assert_int_equal(book->taken_kg, 1000);
	assert_int_equal(listing->taken_kg, 700);
	assert_int_equal(other->taken_kg, 50);
	assert_int_equal(route.marginal_micros, 120 * EURO + 120 * EURO * TAKER / 1000000);
	other->kg = 0;
	split(1750, 1000 * EURO, 0);
	assert_int_equal(route.taken_kg, 1700);
}

static void a_pool_sells_until_its_next_kilogram_is_dearer_than_the_others(void **state)
{
	(void)state;
	start();
	struct market_source *one = pool(100000, 9000 * EURO, 3000); /* from 90 a tonne */
	struct market_source *book = fixed(ROUTE_BOOK, 100 * EURO, 50000, 1000);
	split(20000, 10000 * EURO, 0);
	/* (100000 − k)² = 9·10¹⁴ ÷ (100.5 × 0.997): 100000 − k = 94773.… */
	assert_in_range(one->taken_kg, 5226 - 1000, 5226 + 1000);
	assert_int_equal(one->taken_kg + book->taken_kg, 20000);
	assert_int_equal(route.marginal_micros >= 100 * EURO + EURO / 2, 1);
	int64_t unit = market_source_unit(one);
	assert_in_range(unit, 90 * EURO + 90 * EURO * 3 / 1000, 91 * EURO);
}

static void the_limit_leaves_out_what_is_dearer(void **state)
{
	(void)state;
	start();
	fixed(ROUTE_BOOK, 100 * EURO, 5000, 1000);
	fixed(ROUTE_BOOK, 110 * EURO, 5000, 1000);
	split(7000, 10000 * EURO, 105 * EURO);
	assert_int_equal(route.taken_kg, 5000);
	split(7000, 10000 * EURO, 100 * EURO); /* the fee counts */
	assert_int_equal(route.taken_kg, 0);
	assert_int_equal(route.micros, 0);
}

static void a_maximum_buys_as_much_as_it_can(void **state)
{
	(void)state;
	start();
	fixed(ROUTE_BOOK, 100 * EURO, 5000, 1000);
	pool(50000, 10000 * EURO, 3000); /* 200 a tonne */
	split(MARKET_KG_MAX, 603 * EURO, 0);
	assert_int_equal(sources[0].taken_kg, 5000);
	assert_in_range(route.micros, 603 * EURO - 210000, 603 * EURO); /* a kilogram costs about 0.2 */
	split(MARKET_KG_MAX, 99 * EURO, 0);
	assert_int_equal(sources[0].taken_kg, 0);
	assert_in_range(route.micros, 99 * EURO - 210000, 99 * EURO);
	split(MARKET_KG_MAX, 1, 0);
	assert_int_equal(route.taken_kg, 0);
}

static void reserves_at_their_bounds_are_split_without_overflow(void **state)
{
	(void)state;
	start();
	for (int i = 0; i < 3; i++) {
		pool(POOL_KG_MAX, POOL_MICROS_MAX / 2, 100000);
		pool(2, POOL_MICROS_MAX, 0);
		pool(POOL_KG_MAX, 1, 0);
		pool(1, 1, 0);
	}
	fixed(ROUTE_LISTING, MARKET_PRICE_MAX, MARKET_KG_MAX, 1)->fee_ppm = MARKET_FEE_MAX_PPM;
	split(MARKET_KG_MAX, POOL_MICROS_MAX, 0);
	assert_int_equal(route.taken_kg, MARKET_KG_MAX);
	split(1, POOL_MICROS_MAX, 0);
	assert_int_equal(route.taken_kg, 1);
	assert_int_equal(route.micros, 1);
}

/* ---- against every other split ---- */

struct random {
	uint64_t seed, drawn;
};

static int64_t below(struct random *random, int64_t most)
{
	return (int64_t)(map_hash_u64(random->seed, ++random->drawn) % (uint64_t)most);
}

static void draw(struct random *random)
{
	size_t fixed_ones = (size_t)below(random, 12), pool_ones = (size_t)below(random, 5);
	start();
	for (size_t i = 0; i < fixed_ones; i++)
		fixed(i % 2 ? ROUTE_LISTING : ROUTE_BOOK, (80 + below(random, 40)) * EURO, 1 + below(random, 30000), 1)
			->fee_ppm = below(random, 20000);
	for (size_t i = 0; i < pool_ones; i++) {
		int64_t kg = 200000 + below(random, 800000);
		pool(kg, kg * (70 + below(random, 50)) * 1000 + below(random, 1000), below(random, 10000));
	}
}

static int64_t cost_of(const struct market_source *source, int64_t kg)
{
	int64_t micros = 0;
	if (kg == 0)
		return 0;
	if (source->pool)
		return market_pool_cost(source->pool, kg, false, &micros) ? INT64_MAX / 4 : micros;
	int64_t amount = market_amount(source->price_micros, kg);
	return kg > source->kg ? INT64_MAX / 4 : amount + market_fee(amount, source->fee_ppm);
}

/* Moving kilograms saves nothing beyond what rounding may: a micro or two at each end, and less than four a kilogram, by which the
 * next kilogram of these pools is dearer than the one before it. */
static void no_move_is_cheaper(uint64_t seed)
{
	static const int64_t steps[] = {1, 10, 300, 5000};
	for (size_t from = 0; from < count; from++)
		for (size_t to = 0; to < count; to++)
			for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
				const struct market_source *a = &sources[from], *b = &sources[to];
				if (from == to || a->taken_kg < steps[i])
					continue;
				int64_t was = a->micros + b->micros;
				int64_t is = cost_of(a, a->taken_kg - steps[i]) + cost_of(b, b->taken_kg + steps[i]);
				if (is < was - 6 - steps[i] * 4)
					fail_msg("seed %llu: %lld kg from %zu to %zu cost %lld less",
						(unsigned long long)seed, (long long)steps[i], from, to,
						(long long)(was - is));
			}
}

static void no_other_split_costs_less(void **state)
{
	(void)state;
	int whole = 0, short_of = 0, by_money = 0;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct random random = {.seed = seed};
		draw(&random);
		int64_t kg = 1 + below(&random, 400000);
		split(kg, POOL_MICROS_MAX, 0);
		no_move_is_cheaper(seed);
		whole += route.taken_kg == kg;
		short_of += route.taken_kg < kg;
		int64_t all = route.micros, had = route.taken_kg;
		if (had < 2)
			continue;
		/* half the money buys as much as it can: one kilogram more is dearer */
		split(kg, all / 2 + 1, 0);
		no_move_is_cheaper(seed);
		int64_t bought = route.taken_kg;
		split(bought + 1, POOL_MICROS_MAX, 0);
		assert_true(bought < had && route.micros > all / 2 + 1 - 6);
		by_money++;
	}
	assert_true(whole > 50 && short_of > 50 && by_money > 200);
}

/* A whole order at the dearest price costs with its fee more than any maximum; and a pool may not take in more than can be counted. */
static void what_costs_more_than_any_maximum_is_not_bought(void **state)
{
	(void)state;
	start();
	struct market_source *dear = fixed(ROUTE_LISTING, MARKET_PRICE_MAX, MARKET_KG_MAX, 1);
	dear->fee_ppm = MARKET_FEE_MAX_PPM;
	split(MARKET_KG_MAX, POOL_MICROS_MAX, 0);
	assert_in_range(route.taken_kg, MARKET_KG_MAX / 11 * 10, MARKET_KG_MAX / 11 * 10 + 10); /* a tenth is its fee */
	start();
	struct market_source *full = pool(2 * MARKET_KG_MAX, POOL_MICROS_MAX, 0);
	split(1000, POOL_MICROS_MAX, 0);
	assert_int_equal(full->taken_kg, 0);
	pools[0].reserve_micros -= 1000 * EURO * 1000;
	split(1000, POOL_MICROS_MAX, 0);
	assert_int_equal(full->taken_kg, 1000);
	start();
	assert_int_equal(market_fee(POOL_MICROS_MAX, -MARKET_FEE_MAX_PPM), -POOL_MICROS_MAX / 10);
}

static struct verifier_set wide_any, narrow_any, attested;

static bool covers(const struct event_state_instrument *wide, const struct event_state_instrument *narrow)
{
	const struct market_wants a = {wide, &wide_any}, b = {narrow, &narrow_any};
	return market_covers(&a, &b);
}

static void instruments_cover_what_lies_within_them(void **state)
{
	(void)state;
	struct event_state_instrument wide = {.market = 1, .durabilities = 6, .vintage_from = 2020};
	struct event_state_instrument narrow = {
		.market = 1, .durabilities = 2, .vintage_from = 2024, .vintage_to = 2024, .batch = 7};
	struct event_state_class has = {.market = 1, .durability = DURABILITY_MINERAL, .vintage = 2024};
	const struct market_wants wants = {&wide, &wide_any};
	code8_set(&narrow.country, "NO");
	code8_set(&has.country, "NO");
	assert_true(covers(&wide, &narrow));
	assert_false(covers(&narrow, &wide));
	assert_true(market_asks(&wants, &has, &attested));
	has.vintage = 2019;
	assert_false(market_asks(&wants, &has, &attested));
	narrow.durabilities = 0; /* any */
	assert_false(covers(&wide, &narrow));
	narrow.durabilities = 2;
	narrow.vintage_from = 2019;
	assert_false(covers(&wide, &narrow));
	narrow.vintage_from = 2020;
	wide.vintage_to = 2023;
	assert_false(covers(&wide, &narrow));
	wide.vintage_to = 2024;
	assert_true(covers(&wide, &narrow));
	wide.verifiers_least = 2;
	assert_false(covers(&wide, &narrow));
	narrow.verifiers_least = 3;
	assert_true(covers(&wide, &narrow));
	assert_true(verifier_set_add(&wide_any, (struct id){{1}}) && verifier_set_add(&wide_any, (struct id){{2}}));
	assert_false(covers(&wide, &narrow));
	assert_true(verifier_set_add(&narrow_any, (struct id){{2}}));
	assert_true(covers(&wide, &narrow));
	assert_true(verifier_set_add(&narrow_any, (struct id){{3}}));
	assert_false(covers(&wide, &narrow));
	wide_any.count = 0;
	assert_true(covers(&wide, &narrow));
	code8_set(&wide.country, "SE");
	assert_false(covers(&wide, &narrow));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cheapest_goes_first_fees_included),
		cmocka_unit_test(equally_dear_ones_go_in_their_order),
		cmocka_unit_test(what_is_less_than_a_lot_goes_to_those_that_have_smaller_ones),
		cmocka_unit_test(a_pool_sells_until_its_next_kilogram_is_dearer_than_the_others),
		cmocka_unit_test(the_limit_leaves_out_what_is_dearer),
		cmocka_unit_test(a_maximum_buys_as_much_as_it_can),
		cmocka_unit_test(reserves_at_their_bounds_are_split_without_overflow),
		cmocka_unit_test(no_other_split_costs_less),
		cmocka_unit_test(what_costs_more_than_any_maximum_is_not_bought),
		cmocka_unit_test(instruments_cover_what_lies_within_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
