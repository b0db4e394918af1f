/* The market's state. An order is in `orders` until it is done; in the book where it rests, or where it sleeps under its stop. */
#ifndef MARKET_STATE_H
#define MARKET_STATE_H

#include "auction.h"
#include "book.h"
#include "carbond/base/array.h"
#include "carbond/base/map.h"
#include "carbond/market.h"
#include "pool.h"

struct order {
	struct event_state_order is;   /* as snapshots have it; order zero: the place is free */
	uint32_t slot;                 /* in the book, where it rests, or sleeps under its stop; 0: it takes */
	uint32_t trail_slot, end_slot; /* under the last trade that moves its stop; under its end; 0: none */
	uint32_t previous, next;       /* of those that take; next also of the free places; 0: none */
};

struct venue {
	struct event_state_market is;
	uint64_t asset; /* of its currency */
};

struct class
{
	struct event_state_class is;
	uint32_t asks, sell_stops, sell_trails; /* ladders */
	uint32_t first_link;
};

struct instrument {
	struct event_state_instrument is;
	uint32_t bids, buy_stops, buy_trails;
	uint32_t first_link;
};

/* An instrument takes a class. */
struct link {
	uint32_t class_item, instrument_item;
	uint32_t next_of_class, next_of_instrument; /* 0: none */
};

struct market {
	uint64_t seed;
	struct book *book;
	struct venue *venues;
	struct class *classes;
	struct instrument *instruments; /* number − 1, all three */
	uint32_t venue_count, venue_capacity;
	uint32_t class_count, class_capacity;
	uint32_t instrument_count, instrument_capacity;
	uint32_t class_made, instrument_made; /* so many have ladders, those that were undone among them */
	struct link *links;
	uint32_t link_used, link_capacity; /* [0] is not used, like that of the orders */
	uint32_t *cursors;                 /* for order_fillable: as many as there are classes or instruments */
	uint32_t cursor_capacity;
	struct order *orders;
	uint32_t order_used, order_capacity, order_free, order_count;
	uint32_t taking;      /* first of the orders that take, or end in parts; 0: none */
	uint32_t sleepers;    /* orders that sleep */
	uint32_t ends;        /* the ladder of those whose time will be over, earliest first */
	struct map order_map; /* by id */
	struct id *stopped;   /* organisations that may place no orders, sorted */
	uint32_t stopped_count, stopped_capacity;
	uint64_t order_number, trade_number;
	bool look; /* a stop may be due; a hint that apply sets and market_due clears */
	struct auctions auctions;
	struct pools pools;
};

/* What a command is decided with. */
struct deciding {
	struct market *market;
	struct ledger *ledger;
	const struct market_register *batches;
	struct decision *call;
	struct err_info *info;
};

#define REFUSE(info, code, pointer, ...) err_set((info), (code), (pointer), __VA_ARGS__)

/* Room for one more in an array of `owner`. */
#define ROOM(owner, array, count, capacity)                                                              \
	({                                                                                               \
		void *items_ = (owner)->array;                                                           \
		bool enough_ = array_room(&items_, &(owner)->capacity, (count), sizeof *(owner)->array); \
		(owner)->array = items_;                                                                 \
		enough_;                                                                                 \
	})

/* ---- legs ---- */

/* Pays `micros`, below zero the other way; 0: nothing. The errors of ledger_pay. */
enum err leg_pay(struct ledger *ledger, struct undo *undo, uint64_t asset, int64_t micros, struct ledger_place from,
	struct ledger_place to, struct err_info *info) MUST_CHECK;
static inline struct ledger_place held(struct id org)
{
	return (struct ledger_place){.org = org, .state = KG_HELD};
}
static inline struct ledger_place reserved(struct id org)
{
	return (struct ledger_place){.org = org, .state = KG_RESERVED};
}
static inline struct ledger_place listed(struct id org)
{
	return (struct ledger_place){.org = org, .state = KG_LISTED};
}
static inline struct ledger_place pooled(struct id org)
{
	return (struct ledger_place){.org = org, .state = KG_POOLED};
}
/* A counter becomes `value`. */
void number_set(struct market *market, struct undo *undo, uint64_t *number, uint64_t value);

struct order *order_find(const struct market *market, struct id id);              /* NULL: none */
struct venue *venue_find(const struct market *market, uint64_t number);           /* NULL: none */
struct instrument *instrument_find(const struct market *market, uint64_t number); /* NULL: none */
struct class *class_find(const struct market *market, uint64_t number);           /* NULL: none */
struct class *class_of(const struct market *market, uint64_t venue, const struct market_attributes *attributes);
/* Whether an instrument is the newest version of its code. */
bool instrument_is_newest(const struct market *market, const struct instrument *instrument);
bool trader_is_stopped(const struct market *market, struct id org);
/* Whether an instrument asks for what a class has; a single batch is looked at by itself. */
bool instrument_takes(const struct instrument *instrument, const struct class *class);
/* The ladder in which an order rests, or sleeps. */
uint32_t order_ladder(const struct market *market, const struct order *order);
static inline uint64_t order_asset(const struct market *market, const struct order *order)
{
	return market->venues[order->is.market - 1].asset;
}

/* An order that ends in parts, for its kilograms lie in more ranges than one command may touch: what is left of it is no multiple of
 * the lot. It is in no book. */
bool order_is_ending(const struct market *market, const struct event_state_order *is);

/* match.c: trades an order that takes until it is done or rests, or as much as one command may. `comes`: it has traded nothing yet,
 * so that its minimum must be there. */
enum err order_take(struct market *market, struct ledger *ledger, const struct market_register *batches,
	struct decision *call, struct id order, bool comes, struct err_info *info) MUST_CHECK;
/* Takes `kg` out of an order; all of it: it is done. `*room` is how many ranges the command may touch yet. Where they do not do, an
 * amendment is refused (ERR_COMMAND_TOO_LARGE); for any other reason the order ends in parts. */
enum err order_reduce(struct market *market, struct ledger *ledger, struct decision *call, const struct order *order,
	int64_t kg, enum order_reason reason, size_t *room, struct err_info *info) MUST_CHECK;
/* The collar of a market order that would come now: its price, or 0 where nothing is on the other side. */
int64_t order_collar(
	const struct market *market, const struct market_register *batches, const struct event_state_order *is);
/* Kilograms that an order would trade at once with others, trade by trade as order_take does it; looked for until there are
 * `enough`, or MARKET_TRADES_MOST trades: *ret_trades is then one more. */
int64_t order_fillable(const struct market *market, const struct market_register *batches,
	const struct event_state_order *is, int64_t enough, uint32_t *ret_trades);

#endif
