/* Decides how a quantity is split over book, listings, auctions and pools (docs/ROUTING.md). Pure; any thread. */
#include <assert.h>

#include "carbond/base/decimal.h"
#include "carbond/market.h"

typedef unsigned __int128 wide;

#define BEYOND (POOL_MICROS_MAX + 1) /* more than any maximum; sums of it still fit */

/* ---- a source ---- */

/* y × x × 1,000 ÷ (1 − fee) ÷ `divisor`, rounded up: of a pool that has x kilograms for y micros. It fits: the product is below 2^100. */
static wide pool_product(const struct event_state_pool *pool, wide divisor)
{
	wide product = (wide)(uint64_t)pool->reserve_micros * (uint64_t)pool->reserve_kg;
	divisor *= (wide)(uint64_t)(1000000 - pool->fee_ppm);
	wide whole = product / divisor, rest = product % divisor;
	return whole * 1000000000 + (rest * 1000000000 + divisor - 1) / divisor;
}

/* Kilograms of a pool of which the last costs no more than `unit` a tonne, its fee included: those for which
 * y·x ÷ (x − k)² ÷ (1 − fee) is not above it. */
static int64_t pool_kg(const struct event_state_pool *pool, int64_t unit)
{
	if (pool->reserve_kg < 2 || pool->reserve_micros < 1 || unit < 1)
		return 0;
	wide square = pool_product(pool, (uint64_t)unit);
	uint64_t rest = isqrt128(square);
	if ((wide)rest * rest < square)
		rest++;
	int64_t kg = rest < (uint64_t)pool->reserve_kg ? pool->reserve_kg - (int64_t)rest : 0;
	return kg < MARKET_KG_MAX ? kg : MARKET_KG_MAX;
}

int64_t market_source_unit(const struct market_source *source)
{
	int64_t unit = 0;
	if (!source->pool)
		return muldiv_ceil(source->price_micros, 1000000 + source->fee_ppm, 1000000, &unit) ? unit : INT64_MAX;
	const struct event_state_pool *pool = source->pool;
	if (pool->reserve_kg < 2 || pool->reserve_micros < 1)
		return INT64_MAX;
	uint64_t rest = (uint64_t)pool->reserve_kg - 1;
	wide first = pool_product(pool, (wide)rest * rest);
	return first < INT64_MAX ? (int64_t)first : INT64_MAX;
}

/* What a source has at prices up to `unit`, in whole lots. */
static int64_t source_kg(const struct market_source *source, int64_t unit)
{
	if (source->pool)
		return pool_kg(source->pool, unit);
	return source->unit_micros <= unit ? source->kg - source->kg % source->lot_kg : 0;
}

static void source_price(struct market_source *source)
{
	source->micros = source->fee_micros = 0;
	if (source->pool && source->taken_kg) {
		if (market_pool_cost(source->pool, source->taken_kg, false, &source->micros))
			source->micros = BEYOND;
	} else if (source->taken_kg) {
		int64_t amount = market_amount(source->price_micros, source->taken_kg);
		source->fee_micros = market_fee(amount, source->fee_ppm);
		source->micros = amount + source->fee_micros;
	}
}

/* ---- the split ---- */

/* What a source has beyond what was taken of it, at prices up to `unit`, for somebody who wants `left`. */
static int64_t open_kg(const struct market_source *source, int64_t unit, int64_t left)
{
	if (source->lot_kg > left)
		return 0;
	int64_t kg = source_kg(source, unit) - source->taken_kg;
	return kg > 0 ? kg : 0;
}

static bool has_enough(const struct market_source *sources, size_t count, int64_t unit, int64_t left)
{
	int64_t kg = 0; /* up to ROUTE_SOURCES_MOST × MARKET_KG_MAX */
	for (size_t i = 0; i < count && kg < left; i++)
		kg += open_kg(&sources[i], unit, left);
	return kg >= left;
}

/* Takes what the sources have at prices up to `unit`, in their order; returns what is then left to take. */
static int64_t take(struct market_source *sources, size_t count, int64_t unit, int64_t left)
{
	int64_t rest = left;
	for (size_t i = 0; i < count; i++) {
		int64_t kg = open_kg(&sources[i], unit, left);
		kg = kg < rest ? kg : rest;
		kg -= kg % sources[i].lot_kg;
		sources[i].taken_kg += kg;
		rest -= kg;
	}
	return rest;
}

/* The lowest price up to `limit` at which the sources have what is left, or `limit`. */
static int64_t unit_find(const struct market_source *sources, size_t count, int64_t limit, int64_t left)
{
	int64_t low = 1, high = limit;
	while (low < high) {
		int64_t middle = low + (high - low) / 2;
		if (has_enough(sources, count, middle, left))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void split(struct market_source *sources, size_t count, struct market_route *route, int64_t kg)
{
	int64_t limit = route->limit_micros ? route->limit_micros : ROUTE_UNIT_MAX, left = kg;
	route->marginal_micros = route->micros = route->fee_micros = 0;
	for (size_t i = 0; i < count; i++)
		sources[i].taken_kg = 0;
	/* each round takes all that is left, or leaves less than the lot of a source that had a part in it */
	for (size_t round = 0; round <= count && left > 0; round++) {
		int64_t before = left, unit = unit_find(sources, count, limit, left);
		left = take(sources, count, unit - 1, left);
		left = take(sources, count, unit, left);
		if (left == before)
			break;
		if (unit > route->marginal_micros)
			route->marginal_micros = unit;
	}
	route->taken_kg = kg - left;
	for (size_t i = 0; i < count; i++) {
		source_price(&sources[i]);
		route->micros += sources[i].micros;
		if (route->micros > POOL_MICROS_MAX)
			route->micros = BEYOND;
		route->fee_micros += sources[i].fee_micros;
	}
}

void market_route_split(struct market_source *sources, size_t count, struct market_route *route)
{
	int64_t low = 0, high = route->kg < MARKET_KG_MAX ? route->kg : MARKET_KG_MAX;
	assert(count <= ROUTE_SOURCES_MOST);
	for (size_t i = 0; i < count; i++)
		sources[i].unit_micros = market_source_unit(&sources[i]);
	split(sources, count, route, high);
	if (route->micros > route->maximum_micros) {
		high = route->taken_kg - 1;
		while (low < high) {
			int64_t middle = low + (high - low + 1) / 2;
			split(sources, count, route, middle);
			if (route->micros <= route->maximum_micros)
				low = middle;
			else
				high = middle - 1;
		}
		split(sources, count, route, low);
	}
	for (size_t i = 0; i < count; i++)
		if (sources[i].pool && sources[i].taken_kg)
			sources[i].unit_micros = route->marginal_micros;
}
