/* Decides what comes into a pool, what leaves it, and for how much: always rounded in the pool's favour (docs/POOLS.md). The
 * state's thread. */
#include <assert.h>
#include <string.h>

#include "carbond/base/decimal.h"
#include "state.h"

/* ---- prices ---- */

static __int128 ceil_div(__int128 a, __int128 b)
{
	return (a + b - 1) / b;
}

enum err market_pool_cost(const struct event_state_pool *pool, int64_t kg, bool chosen, int64_t *ret_micros)
{
	*ret_micros = 0;
	if (kg < 1 || kg >= pool->reserve_kg || pool->reserve_micros < 1)
		return ERR_POOL_LIQUIDITY;
	__int128 cost = ceil_div((__int128)pool->reserve_micros * kg, pool->reserve_kg - kg);
	cost = ceil_div(cost * 1000000, 1000000 - pool->fee_ppm);
	if (chosen)
		cost += ceil_div(cost * pool->chosen_ppm, 1000000);
	if (cost > POOL_MICROS_MAX - pool->reserve_micros)
		return ERR_POOL_LIQUIDITY;
	*ret_micros = (int64_t)cost;
	return ERR_OK;
}

int64_t market_pool_proceeds(const struct event_state_pool *pool, int64_t kg)
{
	if (kg < 1 || kg > MARKET_KG_MAX || pool->reserve_kg < 1)
		return 0;
	__int128 in = (__int128)kg * (1000000 - pool->fee_ppm);
	return (int64_t)(pool->reserve_micros * in / ((__int128)pool->reserve_kg * 1000000 + in));
}

/* ---- what all of them ask ---- */

/* Room for what a command moves, and what the pool is from then on. */
struct change {
	const struct pool *pool;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count;
	unsigned __int128 price_time;
};

/* AFTER: the last members of each record. */
#define AFTER(change, kg_, micros_, shares_)                             \
	.reserve_kg = (change)->pool->is.reserve_kg + (kg_),             \
	.reserve_micros = (change)->pool->is.reserve_micros + (micros_), \
	.pool_shares = (change)->pool->is.shares + (shares_),            \
	.price_time_high = (uint64_t)((change)->price_time >> 64), .price_time_low = (uint64_t)(change)->price_time

static enum err pool_named(const struct deciding *at, uint64_t number, struct change *change)
{
	change->pool = pool_find(at->market, number);
	change->count = 0;
	if (!change->pool)
		return REFUSE(at->info, ERR_NOT_FOUND, "/pool", "there is no such pool");
	change->price_time = pool_price_time(&change->pool->is, at->call->now_us);
	at->call->number = number;
	return ERR_OK;
}

/* Additions and trades: of an organisation that may trade, in an open market and pool. */
static enum err trade_begin(const struct deciding *at, uint64_t number, struct change *change)
{
	struct id org = at->call->command->org;
	enum err err = pool_named(at, number, change);
	if (err)
		return err;
	if (id_is_none(org))
		return REFUSE(at->info, ERR_FORBIDDEN, "", "only an organisation trades");
	if (trader_is_stopped(at->market, org))
		return REFUSE(at->info, ERR_TRADER_STOPPED, "", "the organisation's trading is stopped");
	if (venue_find(at->market, change->pool->is.market)->is.state != MARKET_OPEN)
		return REFUSE(at->info, ERR_MARKET_CLOSED, "", "the market is halted");
	if (change->pool->is.state != POOL_OPEN)
		return REFUSE(at->info, ERR_POOL_PAUSED, "", "the pool is paused");
	return at->batches->movable(at->batches->context, org, 0, at->info);
}

/* Kilograms that come in: the lowest serials of a batch that the pool takes. */
static enum err serials_come(const struct deciding *at, uint64_t batch, int64_t kg, struct change *change)
{
	const struct event_state_pool *is = &change->pool->is;
	struct id org = at->call->command->org;
	struct market_attributes has;
	if (!at->batches->attributes(at->batches->context, batch, &has))
		return REFUSE(at->info, ERR_NOT_FOUND, "/batch", "there is no such batch");
	if (!instrument_takes_batch(at->market, is->instrument, batch, &has))
		return REFUSE(at->info, ERR_NOT_POOLABLE, "/batch", "the batch is not one that the pool takes");
	if (kg < 1 || kg > MARKET_KG_MAX || kg > POOL_KG_MAX - is->reserve_kg)
		return REFUSE(at->info, ERR_INVALID_FIELD, "/kg", "/kg must be 1..%lld", (long long)MARKET_KG_MAX);
	const struct pool_batch *in = pool_batch_find(at->market, is->pool, batch);
	if (in && in->is.leaving)
		return REFUSE(at->info, ERR_POOL_PAUSED, "/batch", "what was suspended of the batch comes back first");
	if (!in && change->pool->batch_count >= POOL_BATCHES_MOST)
		return REFUSE(at->info, ERR_OFFERS_FULL, "/batch", "a pool has at most %d batches", POOL_BATCHES_MOST);
	enum err err = at->batches->movable(at->batches->context, org, batch, at->info);
	if (err)
		return err;
	err = ledger_pick(at->ledger, batch, held(org), kg, change->ranges, EVENTS_RANGES_MAX, &change->count);
	return err ? REFUSE(at->info, err, "/kg", "the organisation does not hold so much of the batch in %d ranges",
			     EVENTS_RANGES_MAX)
		   : ERR_OK;
}

/* First in, first out: of the batch that has been there longest, its lowest serials. */
static enum err serials_fifo(const struct deciding *at, int64_t kg, struct change *change)
{
	const struct pools *pools = &at->market->pools;
	struct ledger_place place = pool_place(change->pool->is.pool);
	for (uint32_t item = change->pool->first; item && kg; item = pools->batches[item].next) {
		const struct event_state_pool_batch *is = &pools->batches[item].is;
		int64_t has = is->leaving ? 0 : ledger_amount(at->ledger, is->batch, place);
		int64_t part = has < kg ? has : kg;
		size_t count = 0;
		enum err err = part ? ledger_pick(at->ledger, is->batch, place, part, change->ranges + change->count,
					      EVENTS_RANGES_MAX - change->count, &count)
				    : ERR_OK;
		if (err)
			return REFUSE(at->info, err, "/kg", "that many kilograms lie in more than %d ranges",
				EVENTS_RANGES_MAX);
		change->count += count;
		kg -= part;
	}
	assert(kg == 0); /* the reserve is what its batches have */
	return ERR_OK;
}

/* The serials that were chosen, in their order, as far as the kilograms go. That the pool has them is seen when they move. */
static enum err serials_chosen(const struct deciding *at, int64_t kg, struct change *change)
{
	const struct record_lists *lists = &at->call->command->lists;
	for (size_t i = 0; i < lists->range_count && kg; i++) {
		struct serial_range range = lists->ranges[i];
		if (range.start < 0 || range.length < 1)
			return REFUSE(at->info, ERR_INVALID_FIELD, "/ranges", "range %zu has no kilograms", i);
		if (range.length > kg)
			range.length = kg;
		kg -= range.length;
		change->ranges[change->count++] = range;
	}
	return kg ? REFUSE(at->info, ERR_INSUFFICIENT_KG, "/ranges", "%lld kg more are to be chosen", (long long)kg)
		  : ERR_OK;
}

static enum err serials_go(const struct deciding *at, int64_t kg, struct change *change)
{
	size_t chosen = at->call->command->lists.range_count;
	if (chosen > EVENTS_RANGES_MAX)
		return REFUSE(at->info, ERR_COMMAND_TOO_LARGE, "/ranges", "a command names at most %d ranges",
			EVENTS_RANGES_MAX);
	return chosen ? serials_chosen(at, kg, change) : serials_fifo(at, kg, change);
}

static struct record_lists moved(const struct change *change)
{
	return (struct record_lists){.ranges = change->ranges, .range_count = change->count};
}

/* ---- opening, adding ---- */

enum err decide_pool_open(const struct deciding *at)
{
	const struct command_pool_open *asked = &at->call->command->pool_open;
	const struct instrument *instrument = instrument_find(at->market, asked->instrument);
	if (!instrument)
		return REFUSE(at->info, ERR_NOT_FOUND, "/instrument", "there is no such instrument");
	if (!instrument_is_newest(at->market, instrument))
		return REFUSE(at->info, ERR_INVALID_FIELD, "/instrument", "the instrument has a newer version");
	if (asked->fee_ppm < 0 || asked->fee_ppm > MARKET_FEE_MAX_PPM || asked->chosen_ppm < 0 ||
		asked->chosen_ppm > MARKET_FEE_MAX_PPM)
		return REFUSE(at->info, ERR_INVALID_FIELD, "/fee_ppm", "/fee_ppm and /chosen_ppm must be 0..%d",
			MARKET_FEE_MAX_PPM);
	if (at->market->pools.count >= POOLS_MOST)
		return REFUSE(at->info, ERR_OFFERS_FULL, "", "there are at most %d pools", POOLS_MOST);
	at->call->number = at->market->pools.count + 1ull;
	struct event event = {.pool_opened = {.pool = at->call->number,
				      .market = instrument->is.market,
				      .instrument = asked->instrument,
				      .fee_ppm = asked->fee_ppm,
				      .chosen_ppm = asked->chosen_ppm}};
	return decision_emit(at->call, EVENT_POOL_OPENED, &event, at->info);
}

/* What an addition costs and makes. */
static enum err addition_count(const struct deciding *at, const struct event_state_pool *is, int64_t *ret_micros,
	int64_t *ret_shares, int64_t *ret_locked)
{
	const struct command_pool_add *asked = &at->call->command->pool_add;
	int64_t most = asked->maximum_micros;
	if (most < 1 || most > POOL_MICROS_MAX - is->reserve_micros)
		return REFUSE(at->info, ERR_AMOUNT_INVALID, "/maximum", "/maximum is out of bounds");
	*ret_micros = most;
	*ret_locked = 0;
	if (is->shares == 0) {
		*ret_locked = POOL_SHARES_LOCKED;
		*ret_shares =
			(int64_t)isqrt128((unsigned __int128)asked->kg * (unsigned __int128)most) - POOL_SHARES_LOCKED;
	} else if (is->reserve_kg < 1 || is->reserve_micros < 1) {
		return REFUSE(at->info, ERR_POOL_LIQUIDITY, "", "the pool's reserve is suspended");
	} else {
		__int128 micros = ceil_div((__int128)asked->kg * is->reserve_micros, is->reserve_kg);
		if (micros > most)
			return REFUSE(at->info, ERR_POOL_LIMIT, "/maximum", "it takes more money than /maximum");
		*ret_micros = (int64_t)micros;
		*ret_shares = (int64_t)((__int128)asked->kg * is->shares / is->reserve_kg);
	}
	if (*ret_shares < 1 || *ret_shares < asked->minimum_shares)
		return REFUSE(
			at->info, ERR_POOL_LIMIT, "/minimum_shares", "it makes %lld shares", (long long)*ret_shares);
	return ERR_OK;
}

enum err decide_pool_add(const struct deciding *at)
{
	const struct command *command = at->call->command;
	const struct command_pool_add *asked = &command->pool_add;
	struct change change;
	int64_t micros = 0, shares = 0, locked = 0;
	enum err err = trade_begin(at, asked->pool, &change);
	if (!err)
		err = serials_come(at, asked->batch, asked->kg, &change);
	if (!err)
		err = addition_count(at, &change.pool->is, &micros, &shares, &locked);
	if (!err)
		err = money_may_leave(at, command->org, change.pool->is.market, micros, false);
	if (err)
		return err;
	struct event event = {.pool_added = {.pool = asked->pool,
				      .org = command->org,
				      .batch = asked->batch,
				      .kg = asked->kg,
				      .micros = micros,
				      .shares = shares,
				      .locked_shares = locked,
				      AFTER(&change, asked->kg, micros, shares + locked)},
		.lists = moved(&change)};
	return decision_emit(at->call, EVENT_POOL_ADDED, &event, at->info);
}

/* ---- redeeming ---- */

enum err decide_pool_redeem(const struct deciding *at)
{
	const struct command *command = at->call->command;
	const struct command_pool_redeem *asked = &command->pool_redeem;
	struct change change;
	enum err err = pool_named(at, asked->pool, &change);
	if (err)
		return err;
	const struct event_state_pool *is = &change.pool->is;
	bool chosen = command->lists.range_count != 0;
	uint64_t asset = market_pool_shares(asked->pool);
	if (asked->shares < 1 || id_is_none(command->org))
		return REFUSE(at->info, ERR_INVALID_FIELD, "/shares", "/shares must be 1 or more");
	if (ledger_amount(at->ledger, asset, held(command->org)) < asked->shares)
		return REFUSE(at->info, ERR_INSUFFICIENT_FUNDS, "/shares", "the organisation holds %lld shares",
			(long long)ledger_amount(at->ledger, asset, held(command->org)));
	err = at->batches->movable(at->batches->context, command->org, 0, at->info);
	if (err)
		return err;
	__int128 counts = asked->shares - (chosen ? ceil_div((__int128)asked->shares * is->chosen_ppm, 1000000) : 0);
	int64_t kg = (int64_t)(counts * is->reserve_kg / is->shares);
	int64_t micros = (int64_t)(counts * is->reserve_micros / is->shares);
	if (kg < asked->minimum_kg || micros < asked->minimum_micros)
		return REFUSE(at->info, ERR_POOL_LIMIT, "/minimum_kg", "the shares bring %lld kg and %lld micros",
			(long long)kg, (long long)micros);
	err = serials_go(at, kg, &change);
	if (err)
		return err;
	struct event event = {.pool_redeemed = {.pool = asked->pool,
				      .org = command->org,
				      .kg = kg,
				      .micros = micros,
				      .shares = asked->shares,
				      .chosen = chosen,
				      AFTER(&change, -kg, -micros, -asked->shares)},
		.lists = moved(&change)};
	return decision_emit(at->call, EVENT_POOL_REDEEMED, &event, at->info);
}

/* ---- trading ---- */

enum err decide_pool_buy(const struct deciding *at)
{
	const struct command *command = at->call->command;
	const struct command_pool_buy *asked = &command->pool_buy;
	struct change change;
	int64_t micros = 0;
	enum err err = trade_begin(at, asked->pool, &change);
	if (err)
		return err;
	bool chosen = command->lists.range_count != 0;
	if (asked->kg < 1 || asked->kg > MARKET_KG_MAX)
		return REFUSE(at->info, ERR_INVALID_FIELD, "/kg", "/kg must be 1..%lld", (long long)MARKET_KG_MAX);
	if (market_pool_cost(&change.pool->is, asked->kg, chosen, &micros))
		return REFUSE(at->info, ERR_POOL_LIQUIDITY, "/kg", "the pool holds %lld kg",
			(long long)change.pool->is.reserve_kg);
	if (micros > asked->maximum_micros)
		return REFUSE(at->info, ERR_POOL_LIMIT, "/maximum", "it costs %lld micros", (long long)micros);
	err = serials_go(at, asked->kg, &change);
	if (!err)
		err = money_may_leave(at, command->org, change.pool->is.market, micros, false);
	if (err)
		return err;
	struct event event = {.pool_bought = {.pool = asked->pool,
				      .org = command->org,
				      .kg = asked->kg,
				      .micros = micros,
				      .chosen = chosen,
				      AFTER(&change, -asked->kg, micros, 0)},
		.lists = moved(&change)};
	return decision_emit(at->call, EVENT_POOL_BOUGHT, &event, at->info);
}

enum err decide_pool_sell(const struct deciding *at)
{
	const struct command *command = at->call->command;
	const struct command_pool_sell *asked = &command->pool_sell;
	struct change change;
	enum err err = trade_begin(at, asked->pool, &change);
	if (!err)
		err = serials_come(at, asked->batch, asked->kg, &change);
	if (err)
		return err;
	int64_t micros = market_pool_proceeds(&change.pool->is, asked->kg);
	if (micros < 1)
		return REFUSE(at->info, ERR_POOL_LIQUIDITY, "/kg", "the pool gives nothing for it");
	if (micros < asked->minimum_micros)
		return REFUSE(at->info, ERR_POOL_LIMIT, "/minimum", "it brings %lld micros", (long long)micros);
	struct event event = {.pool_sold = {.pool = asked->pool,
				      .org = command->org,
				      .batch = asked->batch,
				      .kg = asked->kg,
				      .micros = micros,
				      AFTER(&change, asked->kg, -micros, 0)},
		.lists = moved(&change)};
	return decision_emit(at->call, EVENT_POOL_SOLD, &event, at->info);
}

/* ---- suspension ---- */

enum err pools_pause(struct market *market, struct decision *call, uint64_t batch, struct err_info *info)
{
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < market->pools.count && !err; i++) {
		const struct pool_batch *in = pool_batch_find(market, i + 1, batch);
		struct event event = {.pool_paused = {.pool = i + 1, .batch = batch}};
		if (in && !in->is.leaving)
			err = decision_emit(call, EVENT_POOL_PAUSED, &event, info);
	}
	return err;
}

/* A batch that leaves, of which some is still in the reserve; NULL: none. */
static const struct pool_batch *leaving_find(
	const struct market *market, const struct ledger *ledger, const struct pool *pool)
{
	const struct pools *pools = &market->pools;
	for (uint32_t item = pool->first; item; item = pools->batches[item].next)
		if (pools->batches[item].is.leaving &&
			ledger_amount(ledger, pools->batches[item].is.batch, pool_place(pool->is.pool)))
			return &pools->batches[item];
	return NULL;
}

bool pools_due(struct market *market, const struct ledger *ledger, uint64_t *ret_pool)
{
	struct pools *pools = &market->pools;
	if (!pools->look)
		return false;
	for (uint32_t i = 0; i < pools->count; i++) {
		*ret_pool = pools->items[i].is.pool;
		if (pools->items[i].is.state == POOL_PAUSED && leaving_find(market, ledger, &pools->items[i]))
			return true;
	}
	pools->look = false;
	return false;
}

/* The lowest serials of a batch in a place that has some, in as many ranges as a command may touch; how many kilograms. */
static int64_t serials_most(const struct deciding *at, uint64_t batch, struct ledger_place place, struct change *change)
{
	int64_t kg = ledger_amount(at->ledger, batch, place);
	enum err err = ledger_pick(at->ledger, batch, place, kg, change->ranges, EVENTS_RANGES_MAX, &change->count);
	assert(err == ERR_OK || err == ERR_COMMAND_TOO_LARGE);
	if (err == ERR_OK)
		return kg;
	kg = 0;
	for (change->count = 0; change->count < EVENTS_RANGES_MAX; change->count++)
		kg += change->ranges[change->count].length;
	return kg;
}

enum err decide_pool_work(const struct deciding *at)
{
	struct change change;
	enum err err = pool_named(at, at->call->command->pool_work.pool, &change);
	if (err)
		return err;
	const struct pool_batch *leaving = leaving_find(at->market, at->ledger, change.pool);
	if (!leaving)
		return REFUSE(at->info, ERR_POOL_PAUSED, "", "nothing leaves the pool");
	uint64_t batch = leaving->is.batch;
	int64_t kg = serials_most(at, batch, pool_place(change.pool->is.pool), &change);
	struct event event = {.reserve_suspended = {.pool = change.pool->is.pool,
				      .batch = batch,
				      .kg = kg,
				      AFTER(&change, -kg, 0, 0)},
		.lists = moved(&change)};
	return decision_emit(at->call, EVENT_RESERVE_SUSPENDED, &event, at->info);
}

enum err decide_pool_resume(const struct deciding *at)
{
	struct change change;
	const struct pools *pools = &at->market->pools;
	enum err err = pool_named(at, at->call->command->pool_resume.pool, &change);
	if (err)
		return err;
	uint64_t number = change.pool->is.pool;
	struct ledger_place aside = pool_aside(number);
	for (uint32_t item = change.pool->first; item; item = pools->batches[item].next) {
		const struct event_state_pool_batch is = pools->batches[item].is;
		struct err_info why;
		if (ledger_amount(at->ledger, is.batch, aside) == 0 ||
			at->batches->movable(at->batches->context, aside.org, is.batch, &why))
			continue;
		int64_t kg = serials_most(at, is.batch, aside, &change);
		struct event event = {
			.reserve_restored = {.pool = number, .batch = is.batch, .kg = kg, AFTER(&change, kg, 0, 0)},
			.lists = moved(&change)};
		return decision_emit(at->call, EVENT_RESERVE_RESTORED, &event, at->info);
	}
	if (change.pool->is.state != POOL_PAUSED)
		return REFUSE(at->info, ERR_POOL_PAUSED, "", "the pool is not paused, and nothing may come back");
	struct event event = {.pool_resumed = {.pool = number}};
	return decision_emit(at->call, EVENT_POOL_RESUMED, &event, at->info);
}
