/* Pools, and the batches in each, first in first. */
#ifndef MARKET_POOL_H
#define MARKET_POOL_H

#include "carbond/base/map.h"
#include "carbond/market.h"

struct pool {
	struct event_state_pool is;
	uint32_t first, last, batch_count; /* its list of batches, by `since` */
};

struct pool_batch {
	struct event_state_pool_batch is; /* pool 0: the place is free */
	uint32_t previous, next;          /* next of a free place */
};

struct pools {
	struct pool *items;         /* number − 1 */
	struct pool_batch *batches; /* [0] is not used */
	uint32_t count, capacity;
	uint32_t batch_used, batch_capacity, batch_free;
	struct map map; /* of batches in pools */
	bool look;      /* a batch may be leaving; a hint that apply sets and pools_due clears */
};

struct market;

void pools_free(struct pools *pools);
/* Room for one event. */
bool pools_reserve(struct pools *pools);
struct pool *pool_find(const struct market *market, uint64_t number);                           /* NULL: none */
struct pool_batch *pool_batch_find(const struct market *market, uint64_t pool, uint64_t batch); /* NULL: none */
/* Where its reserves lie, and what is suspended of them. */
struct ledger_place pool_place(uint64_t pool);
struct ledger_place pool_aside(uint64_t pool);
/* The price × time of a pool up to `now_us`. */
unsigned __int128 pool_price_time(const struct event_state_pool *is, int64_t now_us);

bool pool_applies(uint16_t type);
enum err pool_apply(struct market *market, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info) MUST_CHECK;
enum err pools_snapshot(const struct market *market,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info) MUST_CHECK;

/* Pauses the pools that hold some of a batch. */
enum err pools_pause(struct market *market, struct decision *call, uint64_t batch, struct err_info *info) MUST_CHECK;
/* The pool that a pool_work is due for. */
bool pools_due(struct market *market, const struct ledger *ledger, uint64_t *ret_pool);

struct deciding;
enum err decide_pool_open(const struct deciding *at) MUST_CHECK;
enum err decide_pool_add(const struct deciding *at) MUST_CHECK;
enum err decide_pool_redeem(const struct deciding *at) MUST_CHECK;
enum err decide_pool_buy(const struct deciding *at) MUST_CHECK;
enum err decide_pool_sell(const struct deciding *at) MUST_CHECK;
enum err decide_pool_resume(const struct deciding *at) MUST_CHECK;
enum err decide_pool_work(const struct deciding *at) MUST_CHECK;

#endif
