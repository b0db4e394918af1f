/* Makes the events of pools true, and holds each to P10: x·y ÷ shares² never falls but when a batch is suspended. The state's
 * thread. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

/* ---- life cycle, finding ---- */

void pools_free(struct pools *pools)
{
	free(pools->items);
	free(pools->batches);
	map_free(&pools->map);
}

bool pools_reserve(struct pools *pools)
{
	return ROOM(pools, items, pools->count, capacity) &&
	       ROOM(pools, batches, pools->batch_used + 1, batch_capacity) && map_reserve(&pools->map, 1);
}

struct pool *pool_find(const struct market *market, uint64_t number)
{
	return number >= 1 && number <= market->pools.count ? &market->pools.items[number - 1] : NULL;
}

const struct event_state_pool *market_pool(const struct market *market, uint64_t number)
{
	const struct pool *pool = pool_find(market, number);
	return pool ? &pool->is : NULL;
}

struct batch_key {
	uint64_t pool, batch;
};

static bool batch_equal(const void *context, uint32_t item, const void *key)
{
	const struct pool_batch *batch = &((const struct pools *)context)->batches[item];
	const struct batch_key *wanted = key;
	return batch->is.pool == wanted->pool && batch->is.batch == wanted->batch;
}

static uint64_t batch_hash(const struct market *market, uint64_t pool, uint64_t batch)
{
	return map_hash_u64(map_hash_u64(market->seed, pool), batch);
}

struct pool_batch *pool_batch_find(const struct market *market, uint64_t pool, uint64_t batch)
{
	struct batch_key key = {pool, batch};
	uint32_t item =
		map_find(&market->pools.map, batch_hash(market, pool, batch), batch_equal, &market->pools, &key);
	return item == MAP_NONE ? NULL : &market->pools.batches[item];
}

struct ledger_place pool_place(uint64_t pool)
{
	return pooled(market_account(MARKET_ACCOUNT_POOL, pool));
}

struct ledger_place pool_aside(uint64_t pool)
{
	return held(market_account(MARKET_ACCOUNT_POOL, pool));
}

uint64_t market_pool_shares(uint64_t pool)
{
	return LEDGER_SHARES | pool;
}

unsigned __int128 pool_price_time(const struct event_state_pool *is, int64_t now_us)
{
	unsigned __int128 sum = (unsigned __int128)is->price_time_high << 64 | is->price_time_low;
	if (is->reserve_kg <= 0 || now_us <= is->priced_us)
		return sum;
	unsigned __int128 price = (unsigned __int128)is->reserve_micros * 1000 / (unsigned __int128)is->reserve_kg;
	return sum + price * (unsigned __int128)(now_us - is->priced_us);
}

/* ---- the batches of a pool ---- */

static void batch_put(struct market *market, const struct event_state_pool_batch *is)
{
	struct pools *pools = &market->pools;
	struct pool *pool = pool_find(market, is->pool);
	uint32_t item = pools->batch_free, before = pool->last;
	if (item)
		pools->batch_free = pools->batches[item].next;
	else
		item = ++pools->batch_used;
	while (before && pools->batches[before].is.since > is->since)
		before = pools->batches[before].previous;
	uint32_t behind = before ? pools->batches[before].next : pool->first;
	pools->batches[item] = (struct pool_batch){.is = *is, .previous = before, .next = behind};
	*(before ? &pools->batches[before].next : &pool->first) = item;
	*(behind ? &pools->batches[behind].previous : &pool->last) = item;
	pool->batch_count++;
	map_put(&pools->map, batch_hash(market, is->pool, is->batch), item);
	pools->look = true;
}

static void batch_drop(struct market *market, struct pool_batch *batch)
{
	struct pools *pools = &market->pools;
	struct pool *pool = pool_find(market, batch->is.pool);
	uint32_t item = (uint32_t)(batch - pools->batches);
	map_remove(&pools->map, batch_hash(market, batch->is.pool, batch->is.batch), item);
	*(batch->previous ? &pools->batches[batch->previous].next : &pool->first) = batch->next;
	*(batch->next ? &pools->batches[batch->next].previous : &pool->last) = batch->previous;
	pool->batch_count--;
	*batch = (struct pool_batch){.next = pools->batch_free};
	pools->batch_free = item;
}

static void batch_put_revert(void *owner, const void *payload)
{
	struct batch_key key;
	memcpy(&key, payload, sizeof key);
	batch_drop(owner, pool_batch_find(owner, key.pool, key.batch));
}

static void batch_drop_revert(void *owner, const void *payload)
{
	struct event_state_pool_batch was;
	memcpy(&was, payload, sizeof was);
	batch_put(owner, &was);
}

static void batch_comes(struct market *market, struct undo *undo, uint64_t pool, uint64_t batch, uint64_t since)
{
	struct event_state_pool_batch is = {.pool = pool, .batch = batch, .since = since};
	struct batch_key key = {pool, batch};
	if (pool_batch_find(market, pool, batch))
		return;
	batch_put(market, &is);
	undo_push(undo, batch_put_revert, market, &key, sizeof key);
}

static void batch_goes(struct market *market, struct undo *undo, struct pool_batch *batch)
{
	undo_push(undo, batch_drop_revert, market, &batch->is, sizeof batch->is);
	batch_drop(market, batch);
}

/* Batches of which nothing is left, nor suspended, are no longer in the pool. */
static void batches_leave(struct market *market, const struct ledger *ledger, struct undo *undo, uint64_t pool,
	const struct record_lists *lists)
{
	for (size_t i = 0; i < lists->range_count; i++) {
		struct pool_batch *batch = pool_batch_find(market, pool, lists->ranges[i].batch);
		if (batch && !batch->is.leaving && ledger_amount(ledger, batch->is.batch, pool_place(pool)) == 0 &&
			ledger_amount(ledger, batch->is.batch, pool_aside(pool)) == 0)
			batch_goes(market, undo, batch);
	}
}

/* ---- the reserves ---- */

static void pool_revert(void *owner, const void *payload)
{
	struct event_state_pool was;
	memcpy(&was, payload, sizeof was);
	pool_find(owner, was.pool)->is = was;
}

_Static_assert(sizeof(struct event_state_pool) <= UNDO_PAYLOAD_MAX, "a pool fits in a step of the undo log");

/* What a record says of the pool as it is from now on. */
struct after {
	int64_t kg, micros, shares;
	uint64_t high, low;
};

#define AFTER(said)                                                                                       \
	{                                                                                                 \
		(said)->reserve_kg, (said)->reserve_micros, (said)->pool_shares, (said)->price_time_high, \
			(said)->price_time_low                                                            \
	}

/* P10: neither reserve falls for a share; of a trade their product does not. */
static bool keeps_value(const struct event_state_pool *was, const struct after *is)
{
	__int128 x = was->reserve_kg, y = was->reserve_micros, s = was->shares;
	if (s == 0)
		return true;
	if (is->shares == was->shares)
		return (__int128)is->kg * is->micros >= x * y;
	return is->kg * s >= x * is->shares && is->micros * s >= y * is->shares;
}

static enum err reserves_set(struct market *market, struct undo *undo, struct pool *pool, const struct after *after,
	int64_t time_us, bool suspends, struct err_info *info)
{
	struct event_state_pool is = pool->is;
	unsigned __int128 sum = pool_price_time(&is, time_us);
	if (after->kg < 0 || after->micros < 0 || after->shares < 0 || after->kg > POOL_KG_MAX ||
		after->micros > POOL_MICROS_MAX || (uint64_t)(sum >> 64) != after->high || (uint64_t)sum != after->low)
		return journal_invalid(info, "a pool's reserves or its price × time are not what they must be");
	if (!suspends && !keeps_value(&is, after))
		return journal_invalid(info, "a pool's value for a share falls");
	undo_push(undo, pool_revert, market, &is, sizeof is);
	is.reserve_kg = after->kg;
	is.reserve_micros = after->micros;
	is.shares = after->shares;
	is.price_time_high = after->high;
	is.price_time_low = after->low;
	is.priced_us = time_us;
	pool->is = is;
	return ERR_OK;
}

/* What moves: kilograms and money into the pool, or out of it where they are below zero; shares made, or ended. */
struct motion {
	struct pool *pool;
	struct id org;
	int64_t kg, micros, shares, locked_shares;
};

static enum err motion_make(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct motion *motion, const struct event *event, const struct after *after, struct err_info *info)
{
	struct event_state_pool *is = &motion->pool->is;
	struct ledger_place reserve = pool_place(is->pool), theirs = held(motion->org), outside = {.state = KG_HELD};
	bool comes = motion->kg > 0;
	if (after->kg != (__int128)is->reserve_kg + motion->kg ||
		after->micros != (__int128)is->reserve_micros + motion->micros ||
		after->shares != (__int128)is->shares + motion->shares + motion->locked_shares)
		return journal_invalid(info, "a pool's reserves do not add up");
	enum err err = motion->kg ? ledger_move_all(ledger, undo, &event->lists, comes ? motion->kg : -motion->kg,
					    comes ? theirs : reserve, comes ? reserve : theirs, info)
				  : ERR_OK;
	if (!err)
		err = leg_pay(
			ledger, undo, venue_find(market, is->market)->asset, motion->micros, theirs, reserve, info);
	uint64_t shares = market_pool_shares(is->pool);
	if (!err)
		err = leg_pay(ledger, undo, shares, motion->shares, outside, theirs, info);
	if (!err)
		err = leg_pay(ledger, undo, shares, motion->locked_shares, outside, pool_aside(is->pool), info);
	return err ? err : reserves_set(market, undo, motion->pool, after, event->header.time_us, false, info);
}

/* ---- events ---- */

static void open_revert(void *owner, const void *payload)
{
	(void)payload;
	((struct market *)owner)->pools.count--;
}

static enum err apply_pool_opened(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_pool_opened *said = &event->pool_opened;
	const struct instrument *instrument = instrument_find(market, said->instrument);
	if (said->pool != market->pools.count + 1ull || !instrument || instrument->is.market != said->market ||
		said->fee_ppm < 0 || said->fee_ppm > MARKET_FEE_MAX_PPM || said->chosen_ppm < 0 ||
		said->chosen_ppm > MARKET_FEE_MAX_PPM)
		return journal_invalid(info, "pools are out of order");
	market->pools.items[market->pools.count++] = (struct pool){.is = {.pool = said->pool,
									   .market = said->market,
									   .instrument = said->instrument,
									   .fee_ppm = said->fee_ppm,
									   .chosen_ppm = said->chosen_ppm,
									   .priced_us = event->header.time_us}};
	undo_push(undo, open_revert, market, NULL, 0);
	return ERR_OK;
}

static enum err apply_pool_added(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_pool_added *said = &event->pool_added;
	const struct after after = AFTER(said);
	struct motion motion = {.pool = pool_find(market, said->pool),
		.org = said->org,
		.kg = said->kg,
		.micros = said->micros,
		.shares = said->shares,
		.locked_shares = said->locked_shares};
	if (!motion.pool || said->kg <= 0 || said->micros <= 0 || said->shares <= 0 || said->locked_shares < 0)
		return journal_invalid(info, "nothing is added to a pool");
	enum err err = motion_make(market, ledger, undo, &motion, event, &after, info);
	if (!err)
		batch_comes(market, undo, said->pool, said->batch, event->header.number);
	return err;
}

static enum err apply_pool_redeemed(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_pool_redeemed *said = &event->pool_redeemed;
	const struct after after = AFTER(said);
	struct pool *pool = pool_find(market, said->pool);
	if (!pool || said->kg < 0 || said->micros < 0 || said->shares <= 0)
		return journal_invalid(info, "nothing is redeemed of a pool");
	struct motion motion = {
		.pool = pool, .org = said->org, .kg = -said->kg, .micros = -said->micros, .shares = -said->shares};
	enum err err = motion_make(market, ledger, undo, &motion, event, &after, info);
	if (!err)
		batches_leave(market, ledger, undo, said->pool, &event->lists);
	return err;
}

static enum err apply_pool_bought(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_pool_bought *said = &event->pool_bought;
	const struct after after = AFTER(said);
	struct pool *pool = pool_find(market, said->pool);
	if (!pool || said->kg <= 0 || said->micros <= 0 || pool->is.state != POOL_OPEN)
		return journal_invalid(info, "nothing is bought of a pool");
	struct motion motion = {.pool = pool, .org = said->org, .kg = -said->kg, .micros = said->micros};
	enum err err = motion_make(market, ledger, undo, &motion, event, &after, info);
	if (!err)
		batches_leave(market, ledger, undo, said->pool, &event->lists);
	return err;
}

static enum err apply_pool_sold(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_pool_sold *said = &event->pool_sold;
	const struct after after = AFTER(said);
	struct pool *pool = pool_find(market, said->pool);
	if (!pool || said->kg <= 0 || said->micros <= 0 || pool->is.state != POOL_OPEN)
		return journal_invalid(info, "nothing is sold to a pool");
	struct motion motion = {.pool = pool, .org = said->org, .kg = said->kg, .micros = -said->micros};
	enum err err = motion_make(market, ledger, undo, &motion, event, &after, info);
	if (!err)
		batch_comes(market, undo, said->pool, said->batch, event->header.number);
	return err;
}

static void state_set(struct market *market, struct undo *undo, struct pool *pool, enum pool_state state)
{
	undo_push(undo, pool_revert, market, &pool->is, sizeof pool->is);
	pool->is.state = state;
}

static void leaving_set(
	struct market *market, struct undo *undo, struct pool_batch *batch, bool leaving, uint64_t since)
{
	struct event_state_pool_batch is = batch->is;
	batch_goes(market, undo, batch);
	is.leaving = leaving;
	is.since = since;
	struct batch_key key = {is.pool, is.batch};
	batch_put(market, &is);
	undo_push(undo, batch_put_revert, market, &key, sizeof key);
}

static enum err apply_pool_paused(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_pool_paused *said = &event->pool_paused;
	struct pool_batch *batch = pool_batch_find(market, said->pool, said->batch);
	if (!batch || batch->is.leaving)
		return journal_invalid(info, "a pool pauses for a batch that it does not hold");
	state_set(market, undo, pool_find(market, said->pool), POOL_PAUSED);
	leaving_set(market, undo, batch, true, batch->is.since);
	return ERR_OK;
}

static enum err apply_reserve_suspended(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_reserve_suspended *said = &event->reserve_suspended;
	const struct after after = AFTER(said);
	struct pool *pool = pool_find(market, said->pool);
	struct pool_batch *batch = pool_batch_find(market, said->pool, said->batch);
	if (!pool || !batch || !batch->is.leaving || after.kg != (__int128)pool->is.reserve_kg - said->kg ||
		after.micros != pool->is.reserve_micros || after.shares != pool->is.shares)
		return journal_invalid(info, "a reserve is suspended that cannot be");
	enum err err = ledger_move_all(
		ledger, undo, &event->lists, said->kg, pool_place(said->pool), pool_aside(said->pool), info);
	market->pools.look = true;
	return err ? err : reserves_set(market, undo, pool, &after, event->header.time_us, true, info);
}

static enum err apply_reserve_restored(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_reserve_restored *said = &event->reserve_restored;
	const struct after after = AFTER(said);
	struct pool *pool = pool_find(market, said->pool);
	struct pool_batch *batch = pool_batch_find(market, said->pool, said->batch);
	if (!pool || !batch || after.kg != (__int128)pool->is.reserve_kg + said->kg ||
		after.micros != pool->is.reserve_micros || after.shares != pool->is.shares)
		return journal_invalid(info, "a reserve is restored that cannot be");
	enum err err = ledger_move_all(
		ledger, undo, &event->lists, said->kg, pool_aside(said->pool), pool_place(said->pool), info);
	if (!err)
		err = reserves_set(market, undo, pool, &after, event->header.time_us, false, info);
	if (!err && batch->is.leaving) /* it comes back behind the others */
		leaving_set(market, undo, batch, false, event->header.number);
	return err;
}

static enum err apply_pool_resumed(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	struct pool *pool = pool_find(market, event->pool_resumed.pool);
	if (!pool || pool->is.state != POOL_PAUSED)
		return journal_invalid(info, "a pool goes on that is not paused");
	state_set(market, undo, pool, POOL_OPEN);
	return ERR_OK;
}

/* ---- snapshots ---- */

enum err pools_snapshot(const struct market *market,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info)
{
	const struct pools *pools = &market->pools;
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < pools->count && !err; i++) {
		struct event event = {.header.type = EVENT_STATE_POOL, .state_pool = pools->items[i].is};
		err = emit(context, &event, info);
		for (uint32_t at = pools->items[i].first; at && !err; at = pools->batches[at].next) {
			event = (struct event){
				.header.type = EVENT_STATE_POOL_BATCH, .state_pool_batch = pools->batches[at].is};
			err = emit(context, &event, info);
		}
	}
	return err;
}

static enum err take_pool(struct market *market, const struct event *event, struct err_info *info)
{
	const struct event_state_pool *is = &event->state_pool;
	if (is->pool != market->pools.count + 1ull || !venue_find(market, is->market) ||
		!instrument_find(market, is->instrument))
		return journal_invalid(info, "pools are out of order");
	market->pools.items[market->pools.count++] = (struct pool){.is = *is};
	return ERR_OK;
}

static enum err take_pool_batch(struct market *market, const struct event *event, struct err_info *info)
{
	const struct event_state_pool_batch *is = &event->state_pool_batch;
	if (!pool_find(market, is->pool) || pool_batch_find(market, is->pool, is->batch))
		return journal_invalid(info, "a batch in a pool cannot be");
	batch_put(market, is);
	return ERR_OK;
}

bool pool_applies(uint16_t type)
{
	return (type >= 120 && type <= 129) || type == EVENT_STATE_POOL || type == EVENT_STATE_POOL_BATCH;
}

enum err pool_apply(struct market *market, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info)
{
	switch (event->header.type) {
	case EVENT_POOL_OPENED: return apply_pool_opened(market, undo, event, info);
	case EVENT_POOL_ADDED: return apply_pool_added(market, ledger, undo, event, info);
	case EVENT_POOL_REDEEMED: return apply_pool_redeemed(market, ledger, undo, event, info);
	case EVENT_POOL_BOUGHT: return apply_pool_bought(market, ledger, undo, event, info);
	case EVENT_POOL_SOLD: return apply_pool_sold(market, ledger, undo, event, info);
	case EVENT_POOL_PAUSED: return apply_pool_paused(market, undo, event, info);
	case EVENT_RESERVE_SUSPENDED: return apply_reserve_suspended(market, ledger, undo, event, info);
	case EVENT_RESERVE_RESTORED: return apply_reserve_restored(market, ledger, undo, event, info);
	case EVENT_POOL_RESUMED: return apply_pool_resumed(market, undo, event, info);
	case EVENT_STATE_POOL: return take_pool(market, event, info);
	case EVENT_STATE_POOL_BATCH: return take_pool_batch(market, event, info);
	default: return journal_invalid(info, "an event is not a pool's");
	}
}
