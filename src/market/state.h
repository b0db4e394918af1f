/* The market's state. An order is in `orders` until it is done; in the book where it rests, or where it sleeps under its stop. */
#ifndef MARKET_STATE_H
#define MARKET_STATE_H

#include "auction.h"
#include "book.h"
#include "carbond/base/array.h"
#include "carbond/base/map.h"
#include "carbond/market.h"
#include "contracts.h"
#include "pool.h"

/* Orders of one organisation in a market, or of one batch, by number, so that those of one are ended without a look at all others. */
enum order_chain { ORDER_CHAIN_ORG, ORDER_CHAIN_BATCH, ORDER_CHAIN_COUNT };
struct chain {
	uint32_t oldest, newest; /* 0: none */
};

/* A batch that was ever sold in the book. */
struct lot {
	uint64_t batch;
	struct chain orders;
};

struct order {
	struct event_state_order is; /* as snapshots have it; order zero: the place is free */
	uint32_t account;            /* the ledger's, in which it reserves money or lists its batch */
	uint32_t slot;               /* in the book, where it rests, or sleeps under its stop; 0: it takes */
	union {
		struct {
			/* in the book: under the last trade that moves its stop; under its end; 0: none */
			uint32_t trail_slot, end_slot;
		};
		struct {
			uint32_t previous, next; /* of those that take; next also of the free places; 0: none */
		};
	};
	uint32_t exposure; /* whose and where */
	uint32_t lot;      /* of a sell order: its batch */
	struct {
		uint32_t older, newer; /* 0: none */
	} chained[ORDER_CHAIN_COUNT];
	uint64_t kept; /* the undo log's era in which it was recorded whole */
};
_Static_assert(sizeof(struct order) == 256, "an order is four lines of the processor's cache");

struct venue {
	struct event_state_market is;
	uint64_t asset; /* of its currency */
	struct event_state_session session;
};

/* A dead-man switch that is set. */
struct watch {
	struct id org;
	int64_t deadline_us;
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
	uint32_t asks, bids; /* their ladders, at hand since an order that comes looks at all of them */
	uint32_t next_of_class, next_of_instrument; /* 0: none */
};

/* How much may be open: by the organisation itself [0], by the registry [1]; 0: any. */
struct trader_limit {
	int64_t orders, kg, micros;
};
enum { TRADER_LIMIT_SETTERS = 2 };

/* What an organisation has open in a market: the sum over its orders. */
struct exposure {
	struct id org;
	uint64_t market;
	int64_t orders, kg;
	__int128 micros; /* price × kg ÷ 1,000 */
	struct chain chain;
	struct trader_limit limits[TRADER_LIMIT_SETTERS];
};

struct market {
	uint64_t seed;
	struct book *book;
	struct venue *venues;
	struct class *classes;
	struct instrument *instruments; /* number − 1, all three */
	struct verifier_set *class_verifiers, *instrument_verifiers;
	uint32_t venue_count, venue_capacity;
	uint32_t class_count, class_capacity;
	uint32_t instrument_count, instrument_capacity;
	uint32_t class_verifiers_capacity, instrument_verifiers_capacity;
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
	uint32_t near;  /* the order that a command is about, which is looked for by its id again and again; 0: none */
	uint64_t taken; /* the number of the last order that came from a snapshot */
	bool has_room;  /* but of what orders need: nothing was added since it was made */
	struct exposure *exposures;
	uint32_t exposure_count, exposure_capacity;
	struct map exposure_map; /* by organisation and market */
	struct lot *lots;
	uint32_t lot_count, lot_capacity;
	struct map lot_map; /* by batch */
	struct id *stopped; /* organisations that may place no orders, sorted */
	uint32_t stopped_count, stopped_capacity;
	struct watch *watches; /* sorted by organisation */
	uint32_t watch_count, watch_capacity;
	uint64_t order_number, trade_number;
	struct hash *seals; /* of trade n, which can be undone, at (n − 1) % MARKET_TRADES_KEPT; zero: it was */
	uint32_t seal_capacity;
	struct contracts contracts;
	bool look; /* a stop may be due; a hint that apply sets and market_due clears */
	struct auctions auctions;
	struct pools pools;
};

static inline struct record_lists verifiers_list(const struct verifier_set *set)
{
	return (struct record_lists){.verifiers = set->count ? set->orgs : NULL, .verifier_count = set->count};
}

/* What a command is decided with. */
struct deciding {
	struct market *market;
	struct ledger *ledger;
	const struct market_register *batches;
	struct decision *call;
	struct err_info *info;
};

/* decide.c: whether so much of who gives the command may leave, or become reserved, in the currency of a market. */
enum err money_may_leave(
	const struct deciding *at, struct id org, uint64_t market, int64_t micros, bool reserves) MUST_CHECK;

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

/* What of the limits of a command (decision 8) is left. */
struct budget {
	size_t ranges;
	int orders;
};

struct order *order_look(const struct market *market, struct id id); /* NULL: none */
/* The same, where it may be the one that was looked for last. */
static inline struct order *order_find(const struct market *market, struct id id)
{
	return market->near && id_equal(market->orders[market->near].is.order, id) ? &market->orders[market->near]
										   : order_look(market, id);
}
/* An order that is looked for again soon; NULL: none. */
static inline struct order *order_find_near(struct market *market, struct id id)
{
	struct order *order = order_find(market, id);
	market->near = order ? (uint32_t)(order - market->orders) : 0;
	return order;
}
struct venue *venue_find(const struct market *market, uint64_t number);           /* NULL: none */
struct instrument *instrument_find(const struct market *market, uint64_t number); /* NULL: none */
struct class *class_find(const struct market *market, uint64_t number);           /* NULL: none */

/* ---- instruments.c: what a buyer asks for ---- */

enum err decide_instrument_list(const struct deciding *at) MUST_CHECK;
struct class *class_of(const struct market *market, uint64_t venue, const struct market_attributes *attributes);
/* Whether an instrument is the newest version of its code. */
bool instrument_is_newest(const struct market *market, const struct instrument *instrument);
bool trader_is_stopped(const struct market *market, struct id org);
/* Whether an instrument asks for what a class, whose or not its verifiers are, has; a single batch is looked at by itself. */
bool instrument_takes(const struct market *market, const struct instrument *instrument,
	const struct event_state_class *has, const struct verifier_set *attested_by);
struct market_wants instrument_wants(const struct market *market, const struct instrument *instrument);
/* Whether it asks for a batch. */
bool instrument_takes_batch(
	const struct market *market, uint64_t number, uint64_t batch, const struct market_attributes *attributes);
/* The ladder in which an order rests, or sleeps. */
uint32_t order_ladder(const struct market *market, const struct order *order);
static inline uint64_t order_asset(const struct market *market, const struct order *order)
{
	return market->venues[order->is.market - 1].asset;
}

/* An order that ends in parts, for its kilograms lie in more ranges than one command may touch: what is left of it is no multiple of
 * the lot. It is in no book. */
bool order_is_ending(const struct market *market, const struct event_state_order *is);

/* limits.c: what is open, and how much may be. */
const struct exposure *exposure_find(
	const struct market *market, struct id org, uint64_t number); /* NULL: nothing ever was */
uint32_t exposure_of(struct market *market, struct id org, uint64_t number);
/* An order is there, or no longer; and its price and what is left of it become others. */
void exposure_add(struct market *market, uint32_t order);
void exposure_remove(struct market *market, uint32_t order);
uint32_t lot_find(const struct market *market, uint64_t batch); /* MAP_NONE: it was never sold */
void exposure_change(struct market *market, const struct order *order, int64_t price_before, int64_t kg_before);
/* Whether `more` may be opened in addition: what of it is not above zero is not looked at. ERR_LIMIT_EXCEEDED. */
enum err trader_limits_check(const struct exposure *has, const struct exposure *more, struct err_info *info) MUST_CHECK;
enum err trader_limit_decide(struct market *market, struct decision *call, struct err_info *info) MUST_CHECK;
enum err trader_limit_apply(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info) MUST_CHECK;
enum err trader_limit_take(struct market *market, const struct event *event, struct err_info *info) MUST_CHECK;
enum err trader_limits_put(const struct market *market,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info) MUST_CHECK;

/* venue_apply.c: markets, classes, instruments, and who may trade. */
enum err venue_apply(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info) MUST_CHECK;
/* A market's state and session can be taken back to what they are now. */
void venue_keep(struct market *market, struct undo *undo, const struct venue *venue);

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
/* The trades that an order would make at once, one by one, but for those with orders that have a minimum, whom a smaller one would pass
 * over: how many. */
struct order_step {
	int64_t price_micros, kg;
};
size_t order_steps(const struct market *market, const struct market_register *batches,
	const struct event_state_order *is, struct order_step ret_steps[MARKET_TRADES_MOST]);
/* The best order on the other side of one of an order's links; 0: none. Links go on with link_next. */
uint32_t link_first(const struct market *market, const struct event_state_order *is);
uint32_t link_next(const struct market *market, const struct event_state_order *is, uint32_t link);
uint32_t link_best(const struct market *market, const struct event_state_order *is, uint32_t link);
/* Whether the first of two orders of one side and of any ladders is matched before the second, by whoever comes from `side`. */
bool order_is_before(const struct market *market, enum order_side side, uint32_t a, uint32_t b);
/* Why an order may trade with nobody: what a recall or the kill switch left over. ORDER_REASON_COUNT: it may. */
enum order_reason order_barred(
	const struct market *market, const struct market_register *batches, const struct event_state_order *is);

/* A trade that is to be made. */
struct deal {
	const struct event_state_order *taker, *maker;
	int64_t kg, price_micros;
	bool at_auction; /* both rested, and both pay the fee of who comes */
};
/* `*room` is how many ranges the command may touch yet; where they do not do, nothing happens and it becomes 0. */
enum err order_trade(struct market *market, struct ledger *ledger, struct decision *call, const struct deal *deal,
	size_t *room, struct err_info *info) MUST_CHECK;

/* The class whose last trade an order's stop looks at: its own, or of its instrument's the one that traded last; NULL: none did. */
const struct event_state_class *order_last(const struct market *market, const struct event_state_order *is);
/* Ends all orders of an organisation, the oldest first, as far as the budget goes; *ret_all: none is left. */
enum err orders_end_of(struct market *market, struct ledger *ledger, struct decision *call, struct id org,
	enum order_reason reason, struct budget *budget, bool *ret_all, struct err_info *info) MUST_CHECK;

/* ---- session.c ---- */

enum err decide_market_halt(const struct deciding *at) MUST_CHECK;
enum err decide_market_schedule(const struct deciding *at) MUST_CHECK;
enum err decide_market_work(const struct deciding *at) MUST_CHECK;
enum err decide_trade_bust(const struct deciding *at) MUST_CHECK;
enum err decide_order_cancel_after(const struct deciding *at) MUST_CHECK;
/* What becomes of the markets' states by time. */
enum err sessions_tick(struct market *market, struct decision *call, int64_t due_us, struct err_info *info) MUST_CHECK;
/* What becomes of organisations that were not heard of. */
enum err watches_tick(struct market *market, struct ledger *ledger, struct decision *call, int64_t due_us,
	struct budget *budget, struct err_info *info) MUST_CHECK;
/* End of the trading hours that `now_us` is in: 0 where there are no hours. False: it is in none. */
bool session_is_on(const struct event_state_session *session, int64_t now_us, int64_t *ret_closes_us);
/* Whether a class may trade at a price, after a last trade at `last_micros` (0: none). */
bool band_takes(const struct market *market, const struct event_state_class *class, int64_t last_micros, int64_t price);
/* Begins the auction that follows a trade out of a band. */
enum err session_interrupt(struct market *market, struct decision *call, const struct event_state_class *class,
	int64_t price, struct err_info *info) MUST_CHECK;
/* ERR_OUT_OF_BAND where a limit is beyond the static band, on the side that would pay for it. */
enum err limit_check(const struct market *market, const struct event_state_order *is, int64_t price_micros,
	struct err_info *info) MUST_CHECK;

/* ---- undoing trades ---- */

struct hash trade_seal(const struct event_trade_busted *trade, const struct record_lists *lists);
bool seals_reserve(struct market *market);
/* Where in `watches` an organisation is, or belongs. */
uint32_t watch_at(const struct market *market, struct id org);

#endif
