/* Quotes: what a purchase would cost, split as the engine would, over what everybody sees (docs/ROUTING.md). Public; workers. */
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/decimal.h"
#include "carbond/market.h"

#include "value.h"

#define VALID_USUAL_S 30
#define VALID_MOST_S  86400
#define OFFERS_READ   256 /* of the cheapest, to find those whose batch is taken */
#define SEALED_READ   16  /* to say that there are some */
#define BATCHES_READ  512 /* of pools that take more than is asked for */
#define SLIPPAGE_BASE 10000

struct quote_query {
	int64_t instrument, kg, budget_micros, limit_micros, slippage_bps, valid_s;
};
static const struct field quote_query_fields[] = {
	FIELD(struct quote_query, instrument, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .doc = "What is asked for"),
	FIELD(struct quote_query, kg, FIELD_INT, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "How much; or a budget"),
	FIELD_AS(struct quote_query, budget_micros, "budget", FIELD_MICROS, .min = 1, .max = POOL_MICROS_MAX,
		.doc = "As much as this buys, fees included"),
	FIELD_AS(struct quote_query, limit_micros, "limit", FIELD_MICROS, .min = 1, .max = ROUTE_UNIT_MAX,
		.doc = "What is dearer per tonne, fees included, is left out"),
	FIELD(struct quote_query, slippage_bps, FIELD_INT, .min = 0, .max = SLIPPAGE_BASE,
		.doc = "How much dearer it may become, in basis points; 50 where left out"),
	FIELD(struct quote_query, valid_s, FIELD_INT, .min = 1, .max = VALID_MOST_S, .unit = "s",
		.doc = "For how long; 30 where left out"),
	FIELD_END};
#define SLIPPAGE_USUAL 50

struct quote_row {
	int source;
	int64_t number, kg, offered_kg, price_micros, unit_micros, micros, fee_micros;
	const char *why;
};
static const struct field quote_row_fields[] = {
	FIELD(struct quote_row, source, FIELD_ENUM, .names = event_route_source_names,
		.doc = "book, listing, dutch or pool"),
	FIELD(struct quote_row, number, FIELD_INT, .min = 1, .doc = "Of the auction or the pool"),
	FIELD(struct quote_row, kg, FIELD_INT, .unit = "kg", .doc = "What is taken of it"),
	FIELD(struct quote_row, offered_kg, FIELD_INT, .unit = "kg", .doc = "What it has"),
	FIELD_AS(struct quote_row, price_micros, "price", FIELD_MICROS,
		.doc = "Per tonne, as the source has it; of a pool the mean of what is taken, or its price of now"),
	FIELD_AS(struct quote_row, unit_micros, "unit_price", FIELD_MICROS,
		.doc = "Per tonne, fees included: of what is taken the last kilogram, else the first"),
	FIELD_AS(struct quote_row, micros, "paid", FIELD_MICROS, .doc = "What is paid for it, fees included"),
	FIELD_AS(struct quote_row, fee_micros, "fee", FIELD_MICROS, .doc = "Of which to the house"),
	FIELD(struct quote_row, why, FIELD_TEXT, .max = 120, .doc = "Why so much of it"), FIELD_END};

struct quote {
	int64_t instrument, market;
	const char *currency;
	int64_t asked_kg, budget_micros;
	int64_t kg, micros, fee_micros, price_micros, marginal_micros;
	int64_t slippage_bps, maximum_micros, valid_until;
	struct field_list rows, notes;
	int64_t position;
};
static const struct field quote_fields[] = {
	FIELD(struct quote, instrument, FIELD_INT, .min = 1, .doc = "What is asked for"),
	FIELD(struct quote, market, FIELD_INT, .min = 1, .doc = "Its market"),
	FIELD(struct quote, currency, FIELD_TEXT, .max = 7, .doc = "Of all money here"),
	FIELD(struct quote, asked_kg, FIELD_INT, .unit = "kg", .doc = "How much was asked for"),
	FIELD_AS(struct quote, budget_micros, "budget", FIELD_MICROS, .doc = "Or for how much money"),
	FIELD(struct quote, kg, FIELD_INT, .unit = "kg", .doc = "What there is of it"),
	FIELD_AS(struct quote, micros, "total", FIELD_MICROS, .doc = "What it costs, fees included"),
	FIELD_AS(struct quote, fee_micros, "fees", FIELD_MICROS, .doc = "Of which to the house"),
	FIELD_AS(struct quote, price_micros, "price", FIELD_MICROS, .doc = "Mean per tonne, fees included"),
	FIELD_AS(struct quote, marginal_micros, "marginal_price", FIELD_MICROS,
		.doc = "What is cheaper is taken, what is dearer is not: per tonne, fees included"),
	FIELD(struct quote, slippage_bps, FIELD_INT, .doc = "How much dearer it may become, in basis points"),
	FIELD_AS(struct quote, maximum_micros, "maximum", FIELD_MICROS,
		.doc = "What a purchase may cost then: its `maximum`"),
	FIELD(struct quote, valid_until, FIELD_TIME, .doc = "Until when: its `expires_at`"),
	FIELD(struct quote, rows, FIELD_LIST, .table = quote_row_fields, .item_size = sizeof(struct quote_row),
		.max = ROUTE_SOURCES_MOST, .doc = "Of what it is bought, and the cheapest of each kind that is not"),
	FIELD(struct quote, notes, FIELD_TEXTS, .max = 8, .doc = "What is no source, and why"),
	FIELD(struct quote, position, FIELD_INT, .doc = "As of this journal position, or later ones"), FIELD_END};

struct quoting {
	struct http_request *request;
	struct err_info *info;
	const struct quote_query *asked;
	struct instrument_row instrument_row;
	struct event_state_instrument instrument;
	struct verifier_set any_of; /* its verifiers */
	struct market_row market;
	struct market_source sources[ROUTE_SOURCES_MOST];
	size_t count, batches_read;
	const char *notes[8];
	size_t note_count;
	struct market_route route;
};

static struct store *store_of(const struct quoting *quoting)
{
	return api_of(quoting->request)->store;
}

static enum err find(const struct quoting *quoting, const struct store_query *query, void *ret_rows, size_t *ret_count)
{
	return store_find(
		store_of(quoting), query, http_arena(quoting->request), (void **)ret_rows, ret_count, quoting->info);
}

static void note(struct quoting *quoting, const char *text)
{
	quoting->notes[quoting->note_count++] = text;
}

/* ---- what is asked for ---- */

static uint32_t or_any(int64_t number)
{
	return number == FIELD_ABSENT ? 0 : (uint32_t)number;
}

/* The row as snapshots have it. False: it cannot be. */
static bool instrument_of(const struct instrument_row *row, struct event_state_instrument *ret_instrument,
	struct verifier_set *ret_any_of)
{
	const char *const *orgs = row->verifiers.items;
	ret_any_of->count = 0;
	for (size_t i = 0; i < row->verifiers.count; i++) {
		struct id org;
		if (id_parse(orgs[i], &org) != ERR_OK || !verifier_set_add(ret_any_of, org))
			return false;
	}
	const char *const *names = row->durabilities.items;
	*ret_instrument = (struct event_state_instrument){.instrument = (uint64_t)row->instrument,
		.market = (uint64_t)row->market,
		.batch = row->batch == FIELD_ABSENT ? 0 : (uint64_t)row->batch,
		.vintage_from = or_any(row->vintage_from),
		.vintage_to = or_any(row->vintage_to),
		.verifiers_least = or_any(row->verifiers_least)};
	for (size_t i = 0; i < row->durabilities.count; i++)
		for (uint32_t class = 0; class < DURABILITY_COUNT; class ++)
			if (strcmp(names[i], event_durability_names[class]) == 0)
				ret_instrument->durabilities |= 1u << class;
	return code8_set(&ret_instrument->country, row->country ? row->country : "") &&
	       code16_set(&ret_instrument->methodology, row->methodology ? row->methodology : "");
}

static enum err instrument_read(const struct quoting *quoting, int64_t number, struct instrument_row *row,
	struct event_state_instrument *is, struct verifier_set *any_of)
{
	field_clear(instrument_fields, row);
	row->instrument = number;
	enum err err =
		store_get(store_of(quoting), &instruments_collection, row, http_arena(quoting->request), quoting->info);
	if (!err && !instrument_of(row, is, any_of))
		err = err_set(quoting->info, ERR_INTERNAL, NULL, "an instrument's row cannot be");
	return err;
}

/* Whose verifiers attested a batch's period; where nobody asks for it: nobody. */
static enum err attested_by(const struct quoting *quoting, const struct batch_row *batch, struct verifier_set *ret_set)
{
	struct registry_period period;
	ret_set->count = 0;
	if (id_is_none(batch->period_id) || (!quoting->any_of.count && !quoting->instrument.verifiers_least))
		return ERR_OK;
	field_clear(registry_period_fields, &period);
	period.id = batch->period_id;
	enum err err = store_get(
		store_of(quoting), &registry_periods_collection, &period, http_arena(quoting->request), quoting->info);
	const struct registry_attestation *attestations = period.attestations.items;
	for (size_t i = 0; !err && i < period.attestations.count; i++)
		if (!verifier_set_add(ret_set, attestations[i].verifier_org_id))
			err = err_set(quoting->info, ERR_INTERNAL, NULL, "a period has too many verifiers");
	return err;
}

static enum err takes_batch(const struct quoting *quoting, int64_t number, bool *ret_takes)
{
	const struct market_wants wants = {&quoting->instrument, &quoting->any_of};
	struct event_state_class has = {.market = quoting->instrument.market};
	struct verifier_set attested;
	struct batch_row row;
	field_clear(batch_fields, &row);
	row.batch = number;
	enum err err =
		store_get(store_of(quoting), &batches_collection, &row, http_arena(quoting->request), quoting->info);
	*ret_takes = false;
	if (!err)
		err = attested_by(quoting, &row, &attested);
	if (err)
		return err;
	has.durability = (uint32_t)row.durability;
	has.vintage = (uint32_t)row.vintage;
	*ret_takes = row.kind == quoting->market.kind && !row.held && row.disputes <= 0 &&
		     code8_set(&has.country, row.country ? row.country : "") &&
		     code16_set(&has.methodology, row.methodology ? row.methodology : "") &&
		     (!quoting->instrument.batch || quoting->instrument.batch == (uint64_t)number) &&
		     market_asks(&wants, &has, &attested);
	return ERR_OK;
}

/* ---- sources ---- */

static enum err sources_book(struct quoting *quoting)
{
	struct market_depth depth;
	enum err err = engine_depth_of_instrument(store_of(quoting), quoting->asked->instrument, ROUTE_TRADES_MOST,
		http_arena(quoting->request), &depth, quoting->info);
	const struct price_level *levels = depth.asks.items;
	for (size_t i = 0; !err && i < depth.asks.count; i++)
		quoting->sources[quoting->count++] = (struct market_source){.source = ROUTE_BOOK,
			.price_micros = levels[i].price_micros,
			.kg = levels[i].kg,
			.lot_kg = quoting->market.lot_kg,
			.fee_ppm = quoting->market.taker_ppm};
	return err;
}

static enum err offers_find(
	const struct quoting *quoting, int phase, size_t most, struct auction_row **ret_rows, size_t *ret_count)
{
	struct auction_row low;
	field_clear(auction_fields, &low);
	low.market = quoting->market.market;
	low.phase = phase;
	struct store_query query = {
		.collection = &auctions_collection, .index = "by_market_phase", .low = &low, .prefix = 2, .most = most};
	return find(quoting, &query, ret_rows, ret_count);
}

static enum err sources_offers(struct quoting *quoting)
{
	struct auction_row *rows;
	size_t count = 0, taken = 0;
	enum err err = offers_find(quoting, AUCTION_TAKES, OFFERS_READ, &rows, &count);
	for (size_t i = 0; i < count && taken < ROUTE_OFFERS_MOST && !err; i++) {
		const struct auction_row *row = &rows[i];
		bool takes;
		err = takes_batch(quoting, row->batch, &takes);
		if (err || !takes || row->left_kg < 1 ||
			(row->ends_at != FIELD_ABSENT && row->ends_at <= clock_wall_us()))
			continue;
		taken++;
		quoting->sources[quoting->count++] =
			(struct market_source){.source = row->kind == AUCTION_LISTING ? ROUTE_LISTING : ROUTE_DUTCH,
				.number = (uint64_t)row->auction,
				.price_micros = row->price_micros,
				.kg = row->left_kg,
				.lot_kg = row->lot_kg,
				.fee_ppm = row->taker_ppm};
	}
	for (int phase = AUCTION_COMMITS; phase <= AUCTION_REVEALS && !err; phase++) {
		err = offers_find(quoting, phase, SEALED_READ, &rows, &count);
		if (!err && count) {
			note(quoting,
				"auctions of sealed bids are no source: what they cost is not known before they are "
				"revealed");
			break;
		}
	}
	return err;
}

/* Whether a pool gives nothing but what the instrument takes; where that would take too many reads it is none. */
static enum err pool_fits(struct quoting *quoting, const struct event_state_pool *pool, bool *ret_fits)
{
	struct instrument_row takes_row;
	struct event_state_instrument takes;
	struct verifier_set any_of;
	struct holding_row low, *held;
	size_t count = 0;
	const struct market_wants wide = {&quoting->instrument, &quoting->any_of}, narrow = {&takes, &any_of};
	enum err err = instrument_read(quoting, (int64_t)pool->instrument, &takes_row, &takes, &any_of);
	*ret_fits = !err && market_covers(&wide, &narrow);
	if (err || *ret_fits || quoting->batches_read >= BATCHES_READ)
		return err;
	field_clear(holding_fields, &low);
	low.org_id = market_account(MARKET_ACCOUNT_POOL, pool->pool);
	struct store_query query = {
		.collection = &holdings_collection, .low = &low, .prefix = 1, .most = ROUTE_POOL_LOOKS_MOST + 1};
	err = find(quoting, &query, &held, &count);
	*ret_fits = !err && count <= ROUTE_POOL_LOOKS_MOST;
	for (size_t i = 0; i < count && *ret_fits && !err; i++, quoting->batches_read++)
		if (held[i].pooled_kg > 0)
			err = takes_batch(quoting, held[i].batch, ret_fits);
	return err;
}

static int source_compare(const void *a, const void *b)
{
	const struct market_source *first = a, *second = b;
	if (first->unit_micros != second->unit_micros)
		return first->unit_micros < second->unit_micros ? -1 : 1;
	return first->number < second->number ? -1 : first->number > second->number;
}

/* The pools of the market that sell something, the cheapest first. */
static enum err pools_read(struct quoting *quoting, const struct pool_row *rows, size_t count,
	struct market_source **ret_sources, size_t *ret_count)
{
	struct event_state_pool *pools = ARENA_ARRAY(http_arena(quoting->request), struct event_state_pool, count + 1);
	struct market_source *sources = ARENA_ARRAY(http_arena(quoting->request), struct market_source, count + 1);
	bool paused = false;
	*ret_sources = sources;
	*ret_count = 0;
	if (!pools || !sources)
		return err_set(quoting->info, ERR_NO_MEMORY, NULL, "no memory for the pools");
	for (size_t i = 0; i < count; i++) {
		pools[i] = (struct event_state_pool){.pool = (uint64_t)rows[i].pool,
			.instrument = (uint64_t)rows[i].instrument,
			.fee_ppm = rows[i].fee_ppm,
			.chosen_ppm = rows[i].chosen_ppm,
			.reserve_kg = rows[i].reserve_kg,
			.reserve_micros = rows[i].reserve_micros};
		struct market_source source = {
			.source = ROUTE_POOL, .number = pools[i].pool, .lot_kg = 1, .pool = &pools[i]};
		source.unit_micros = market_source_unit(&source);
		if (rows[i].state != POOL_OPEN)
			paused = true;
		else if (source.unit_micros <= ROUTE_UNIT_MAX)
			sources[(*ret_count)++] = source;
	}
	qsort(sources, *ret_count, sizeof *sources, source_compare);
	if (paused)
		note(quoting, "a paused pool is no source");
	return ERR_OK;
}

static enum err sources_pools(struct quoting *quoting)
{
	struct pool_row low, *rows;
	struct market_source *sources;
	size_t count = 0, taken = 0;
	field_clear(pool_fields, &low);
	low.market = quoting->market.market;
	struct store_query query = {
		.collection = &pools_collection, .index = "by_market", .low = &low, .prefix = 1, .most = POOLS_MOST};
	enum err err = find(quoting, &query, &rows, &count);
	if (!err)
		err = pools_read(quoting, rows, count, &sources, &count);
	for (size_t i = 0; !err && i < count && taken < ROUTE_POOLS_MOST; i++) {
		bool fits;
		err = pool_fits(quoting, sources[i].pool, &fits);
		if (!err && fits) {
			quoting->sources[quoting->count++] = sources[i];
			taken++;
		}
	}
	return err;
}

/* ---- the answer ---- */

static const char *why_of(const struct quoting *quoting, const struct market_source *source, int64_t offered_kg)
{
	int64_t limit = quoting->asked->limit_micros;
	int64_t first = market_source_unit(source);
	if (source->taken_kg && source->pool)
		return "until its next kilogram is as dear as the marginal price";
	if (source->taken_kg == offered_kg)
		return "all of it: it is no dearer than the marginal price";
	if (source->taken_kg)
		return "at the marginal price: what was left to take, in whole lots";
	if (limit != FIELD_ABSENT && first > limit)
		return "dearer than the limit";
	return first > quoting->route.marginal_micros ? "dearer than the marginal price"
						      : "others were as cheap, or its lot is more than was left";
}

static void row_fill(const struct quoting *quoting, const struct market_source *source, struct quote_row *row)
{
	int64_t offered = source->pool ? source->pool->reserve_kg - 1 : source->kg, price = source->price_micros;
	if (source->pool && source->taken_kg)
		muldiv_floor(source->micros, 1000, source->taken_kg, &price);
	else if (source->pool)
		muldiv_floor(source->pool->reserve_micros, 1000, source->pool->reserve_kg, &price);
	*row = (struct quote_row){.source = (int)source->source,
		.number = source->source == ROUTE_BOOK ? FIELD_ABSENT : (int64_t)source->number,
		.kg = source->taken_kg,
		.offered_kg = offered,
		.price_micros = price,
		.unit_micros = source->taken_kg ? source->unit_micros : market_source_unit(source),
		.micros = source->micros,
		.fee_micros = source->fee_micros,
		.why = why_of(quoting, source, offered)};
}

/* What is taken, and of each kind the cheapest of which nothing is. */
static enum err rows_fill(const struct quoting *quoting, struct quote *quote)
{
	struct quote_row *rows = ARENA_ARRAY(http_arena(quoting->request), struct quote_row, quoting->count + 1);
	const struct market_source *left_out[ROUTE_SOURCE_COUNT] = {NULL};
	size_t count = 0;
	if (!rows)
		return err_set(quoting->info, ERR_NO_MEMORY, NULL, "no memory for the answer");
	for (size_t i = 0; i < quoting->count; i++) {
		const struct market_source *source = &quoting->sources[i], **cheapest = &left_out[source->source];
		if (source->taken_kg)
			row_fill(quoting, source, &rows[count++]);
		else if (!*cheapest || market_source_unit(source) < market_source_unit(*cheapest))
			*cheapest = source;
	}
	for (int source = 0; source < ROUTE_SOURCE_COUNT; source++)
		if (left_out[source])
			row_fill(quoting, left_out[source], &rows[count++]);
	quote->rows = (struct field_list){.items = rows, .count = count};
	return ERR_OK;
}

/* What a purchase may cost: each trade of a level rounds its own fee, so a micro a lot is added first. */
static int64_t maximum_of(const struct quoting *quoting, int64_t slippage_bps)
{
	int64_t base = quoting->route.micros, maximum = POOL_MICROS_MAX;
	for (size_t i = 0; i < quoting->count; i++)
		if (quoting->sources[i].source == ROUTE_BOOK)
			base += quoting->sources[i].taken_kg / quoting->sources[i].lot_kg;
	if (!muldiv_ceil(base, SLIPPAGE_BASE + slippage_bps, SLIPPAGE_BASE, &maximum) || maximum > POOL_MICROS_MAX)
		maximum = POOL_MICROS_MAX;
	int64_t budget = quoting->asked->budget_micros;
	return budget != FIELD_ABSENT && maximum > budget ? budget : maximum;
}

static enum err quote_split(struct quoting *quoting)
{
	const struct quote_query *asked = quoting->asked;
	quoting->route = (struct market_route){.kg = asked->kg == FIELD_ABSENT ? MARKET_KG_MAX : asked->kg,
		.maximum_micros = asked->budget_micros == FIELD_ABSENT ? POOL_MICROS_MAX : asked->budget_micros,
		.limit_micros = value_or_zero(asked->limit_micros)};
	market_route_split(quoting->sources, quoting->count, &quoting->route);
	return quoting->route.taken_kg ? ERR_OK
				       : err_set(quoting->info, ERR_NOT_FILLABLE, "/kg", "nothing can be bought so");
}

static enum err quotes_get(struct http_request *request, struct err_info *info)
{
	const struct quote_query *asked = http_query(request);
	struct quoting *quoting = ARENA_NEW(http_arena(request), struct quoting);
	if (!quoting)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the quote");
	*quoting = (struct quoting){.request = request, .info = info, .asked = asked};
	if ((asked->kg == FIELD_ABSENT) == (asked->budget_micros == FIELD_ABSENT))
		return err_set(info, ERR_INVALID_FIELD, "/kg", "name kg or a budget");
	enum err err = value_at_least(request, info);
	int64_t position = engine_views_position(api_of(request)->engine);
	if (!err)
		err = instrument_read(
			quoting, asked->instrument, &quoting->instrument_row, &quoting->instrument, &quoting->any_of);
	field_clear(market_fields, &quoting->market);
	quoting->market.market = quoting->instrument_row.market;
	if (!err)
		err = store_get(store_of(quoting), &markets_collection, &quoting->market, http_arena(request), info);
	if (!err)
		err = sources_book(quoting);
	if (!err)
		err = sources_offers(quoting);
	if (!err)
		err = sources_pools(quoting);
	if (!err)
		err = quote_split(quoting);
	if (err)
		return err;
	if (quoting->market.state != MARKET_OPEN)
		note(quoting, "the market is not open: a purchase is refused until it is");
	int64_t slippage = asked->slippage_bps == FIELD_ABSENT ? SLIPPAGE_USUAL : asked->slippage_bps;
	int64_t valid_s = asked->valid_s == FIELD_ABSENT ? VALID_USUAL_S : asked->valid_s;
	const struct market_route *route = &quoting->route;
	struct quote quote = {.instrument = asked->instrument,
		.market = quoting->market.market,
		.currency = quoting->market.currency,
		.asked_kg = asked->kg,
		.budget_micros = asked->budget_micros,
		.kg = route->taken_kg,
		.micros = route->micros,
		.fee_micros = route->fee_micros,
		.marginal_micros = route->marginal_micros,
		.slippage_bps = slippage,
		.maximum_micros = maximum_of(quoting, slippage),
		.valid_until = clock_wall_us() + valid_s * CLOCK_US_PER_SECOND,
		.notes = {.items = (void *)quoting->notes, .count = quoting->note_count},
		.position = position};
	bool fits = muldiv_ceil(route->micros, 1000, route->taken_kg, &quote.price_micros);
	err = fits ? rows_fill(quoting, &quote) : err_set(info, ERR_OVERFLOW, NULL, "the mean price cannot be told");
	return err ? err : http_answer_row(request, quote_fields, &quote, -1);
}

static const enum err quote_errors[] = {ERR_NOT_FILLABLE, ERR_BUSY, ERR_OK};

const struct http_route api_quotes_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/quotes", "public", .kind = HTTP_WORK, .flags = HTTP_PUBLIC | HTTP_AT_LEAST, .cost = 5,
		.query = quote_query_fields, .query_size = sizeof(struct quote_query), .response = quote_fields,
		.success = 200, .errors = quote_errors, .handler = quotes_get, .operation = "quotes.get",
		.doc = "What a purchase over book, listings, auctions and pools would cost now, and why so"),
	{.path = NULL}};
