/* market: what happens to orders. Markets (a kind of credit in a currency), classes of supply, instruments (what buyers ask
 * for), the order book, and the settlement of each trade in the ledger: kilograms, money and fees in one entry. docs/MARKET.md
 * has the semantics as tables. PURE: time is an argument, no I/O, no randomness, no floating point. One thread at a time. */
#ifndef CARBOND_MARKET_H
#define CARBOND_MARKET_H

#include "carbond/events.h"
#include "carbond/ledger.h"

struct market;

/* All markets of a shard. `seed` of hash indexes never shows in a result. NULL without memory. */
struct market *market_new(uint64_t seed);
void market_free(struct market **market);

#define MARKET_PRICE_MAX      INT64_C(1000000000000) /* a million a tonne, in micros */
#define MARKET_KG_MAX         INT64_C(1000000000)    /* a million tonnes in one order */
#define MARKET_FEE_MAX_PPM    100000                 /* a tenth */
#define MARKET_TRADES_MOST    64                     /* of one command; then an order_work goes on */
#define MARKET_CANCEL_MOST    2000                   /* orders that one command takes out, with 256 ranges at most */
#define MARKET_TRADES_KEPT    65536                  /* the last trades, which can be undone */
#define MARKET_AUCTION_US_MAX INT64_C(86400000000)

/* What a class has of a batch. */
struct market_attributes {
	enum credit_kind kind;
	enum durability durability;
	uint32_t vintage;
	struct code8 country;
	struct code16 methodology;
};

/* What the market asks about batches; given with each decision. */
struct market_register {
	/* False: there is no such batch. */
	bool (*attributes)(const void *context, uint64_t batch, struct market_attributes *ret_attributes);
	/* Whether the organisation may give kilograms of the batch away; batch 0: whether it may pay. ERR_BATCH_HELD, ERR_ACCOUNT_HELD. */
	enum err (*movable)(const void *context, struct id org, uint64_t batch, struct err_info *info);
	const void *context;
};

/* Room for one event. ERR_NO_MEMORY. */
enum err market_reserve(struct market *market) MUST_CHECK;

/* Decides a command of records/market_commands.def event by event. Refusals: ERR_INVALID_FIELD, ERR_NOT_FOUND, ERR_FORBIDDEN,
 * ERR_DUPLICATE, ERR_INSUFFICIENT_KG, ERR_INSUFFICIENT_FUNDS, ERR_BATCH_HELD, ERR_ACCOUNT_HELD, ERR_COMMAND_TOO_LARGE and
 * errors.def 450–469. */
enum err market_decide(struct market *market, struct ledger *ledger, const struct market_register *batches,
	struct decision *call, struct err_info *info) MUST_CHECK;

/* Ends orders whose time is over, in (deadline, number) order, MARKET_CANCEL_MOST at most. */
enum err market_tick(struct market *market, struct ledger *ledger, struct decision *call, int64_t due_us,
	struct err_info *info) MUST_CHECK;

/* Takes the orders of a held batch (0: any) of a held organisation (zero: any) out, MARKET_CANCEL_MOST of them at most; those that
 * stay trade with nobody, and end when they are met. */
enum err market_recall(struct market *market, struct ledger *ledger, struct decision *call, struct id org,
	uint64_t batch, struct err_info *info) MUST_CHECK;

/* What is due by state alone: an order_work for an order that still takes or ends in parts, a stop that was reached, a trailing stop
 * that moves; or, *ret_market not 0, a market_work for an auction that is being settled. False: nothing. */
bool market_due(struct market *market, struct id *ret_order, uint64_t *ret_market);

/* Says that a command about this order comes soon, in stages, each when what the one before it asked for is here: its slot in
 * the index, the order, its place in the book's index, that place, and those beside it. */
enum market_prefetch {
	MARKET_PREFETCH_SLOT,
	MARKET_PREFETCH_ORDER,
	MARKET_PREFETCH_INDEX,
	MARKET_PREFETCH_PLACE,
	MARKET_PREFETCH_NEIGHBOURS,
	MARKET_PREFETCH_COUNT
};
void market_prefetch(const struct market *market, struct id order, enum market_prefetch what);

/* Makes an event true (types 80–109 and 220–229). ERR_JOURNAL_INVALID where it cannot be; ERR_NO_MEMORY. `undo` may be NULL. */
enum err market_apply(struct market *market, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info) MUST_CHECK;

/* The market's part of a snapshot in canonical order, as events 220–229. */
enum err market_snapshot(const struct market *market,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info) MUST_CHECK;

/* Where a trade's money comes from: price in micros per tonne × kg ÷ 1,000, exact (decision 20). */
int64_t market_amount(int64_t price_micros, int64_t kg);
/* A fee in parts per million: rounded up to the house, a rebate down. */
int64_t market_fee(int64_t amount_micros, int64_t ppm);
/* What a buy order reserves for `kg`: the amount, the larger fee, and a micro a lot for each trade's rounding. */
int64_t market_reserve_micros(int64_t price_micros, int64_t kg, int64_t ppm, int64_t lot_kg);

/* What an auction of a class would settle at if it ended now; kg 0: nothing crosses. */
struct market_indication {
	int64_t price_micros, kg,
		surplus_kg; /* surplus: what more is bid than asked at this price; below zero: asked */
};
/* ERR_NOT_FOUND; ERR_NO_MEMORY. */
enum err market_indicative(
	const struct market *market, uint64_t class_number, struct market_indication *ret_indication) MUST_CHECK;

/* The number of orders that are not done, and of trades that were made. */
uint32_t market_order_count(const struct market *market);
uint64_t market_trade_count(const struct market *market);

#endif
