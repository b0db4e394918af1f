/* Listings and auctions that are not over, and their sealed bids. */
#ifndef MARKET_AUCTION_H
#define MARKET_AUCTION_H

#include "carbond/base/clock.h"
#include "carbond/base/map.h"
#include "carbond/market.h"

#define AUCTION_INTERVAL_MOST_US (366 * CLOCK_US_PER_DAY) /* between two steps of a Dutch auction's price */

struct auction {
	struct event_state_auction is; /* auction 0: the place is free */
	uint32_t first_bid, bid_count; /* its list of bids, in no order */
	uint32_t next_free;
};

struct bid {
	struct event_state_bid is; /* bid 0: the place is free */
	uint32_t previous, next;   /* in the list of its auction; next of a free place */
};

struct auctions {
	struct auction *items;
	struct bid *bids; /* [0] is not used, in both */
	uint32_t used, capacity, free, count;
	uint32_t bid_used, bid_capacity, bid_free;
	struct map map, bid_map;
	uint64_t number;
	int64_t next_due_us; /* no phase ends before it; a hint */
	uint32_t working;    /* auctions that clear or end */
	bool look;           /* one of them may be due; a hint that apply sets and auctions_due clears */
};

struct market;

void auctions_free(struct auctions *auctions);
/* Room for one event. */
bool auctions_reserve(struct auctions *auctions);
struct auction *auction_find(const struct market *market, uint64_t number);        /* NULL: none */
struct bid *bid_find(const struct market *market, uint64_t auction, uint64_t bid); /* NULL: none */
struct ledger_place auction_place(uint64_t auction);                               /* where what it offers lies */
int64_t auction_due_us(const struct event_state_auction *is);                      /* INT64_MAX: never */

bool auction_applies(uint16_t type);
enum err auction_apply(struct market *market, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info) MUST_CHECK;
enum err auctions_snapshot(const struct market *market,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info) MUST_CHECK;

/* Turns those whose phase is over, in (deadline, number) order. */
enum err auctions_tick(struct market *market, struct decision *call, int64_t due_us, struct err_info *info) MUST_CHECK;
/* Turns those of a batch (0: any) of a seller (zero: any) to their end. */
enum err auctions_recall(
	struct market *market, struct decision *call, struct id org, uint64_t batch, struct err_info *info) MUST_CHECK;
/* The auction that an auction_work is due for. */
bool auctions_due(struct market *market, uint64_t *ret_auction);

struct deciding;
enum err decide_auction_open(const struct deciding *at) MUST_CHECK;
enum err decide_auction_cancel(const struct deciding *at) MUST_CHECK;
enum err decide_auction_take(const struct deciding *at) MUST_CHECK;
enum err decide_bid_commit(const struct deciding *at) MUST_CHECK;
enum err decide_bid_withdraw(const struct deciding *at) MUST_CHECK;
enum err decide_bid_reveal(const struct deciding *at) MUST_CHECK;
enum err decide_auction_work(const struct deciding *at) MUST_CHECK;

#endif
