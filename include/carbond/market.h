/* market: what happens to orders. Markets (a kind of credit in a currency), classes of supply, instruments (what buyers ask
 * for), the order book, and the settlement of each trade in the ledger: kilograms, money and fees in one entry. docs/MARKET.md
 * has the semantics as tables. PURE: time is an argument, no I/O, no randomness, no floating point. One thread at a time. */
#ifndef CARBOND_MARKET_H
#define CARBOND_MARKET_H

#include "carbond/base/json.h"
#include "carbond/events.h"
#include "carbond/ledger.h"

struct market;

/* All markets of a shard. `seed` of hash indexes never shows in a result. NULL without memory. */
struct market *market_new(uint64_t seed);
void market_free(struct market **market);

#define MARKET_PRICE_MAX        INT64_C(1000000000000) /* a million a tonne, in micros */
#define MARKET_KG_MAX           INT64_C(1000000000)    /* a million tonnes in one order */
#define MARKET_FEE_MAX_PPM      100000                 /* a tenth */
#define MARKET_TRADES_MOST      64                     /* of one command; then an order_work goes on */
#define MARKET_CANCEL_MOST      2000                   /* orders that one command takes out, with 256 ranges at most */
#define MARKET_TRADES_KEPT      65536                  /* the last trades, which can be undone */
#define MARKET_AUCTION_US_MAX   INT64_C(86400000000)
#define MARKET_OFFTAKES_MOST    1024                          /* contracts of one seller */
#define MARKET_MAKE_GOOD_MAX_US (3650 * INT64_C(86400000000)) /* ten years */

/* What a class has of a batch. */
struct market_attributes {
	enum credit_kind kind;
	enum durability durability;
	uint32_t vintage;
	struct code8 country;
	struct code16 methodology;
	struct id org, project, unit;  /* its operator, and where it comes from */
	struct verifier_set verifiers; /* organisations whose verifiers attested it */
};

/* A verifier signs an escrow's id and a statement's hash (48 bytes) under this domain. */
#define MARKET_ESCROW_DOMAIN "carbond/escrow/1"

/* What the market asks about batches; given with each decision. */
struct market_register {
	/* False: there is no such batch. */
	bool (*attributes)(const void *context, uint64_t batch, struct market_attributes *ret_attributes);
	/* Whether the organisation may give kilograms of the batch away; batch 0: whether it may pay. ERR_BATCH_HELD, ERR_ACCOUNT_HELD. */
	enum err (*movable)(const void *context, struct id org, uint64_t batch, struct err_info *info);
	/* Whether an organisation has, or had, a verifier. */
	bool (*verifies)(const void *context, struct id org);
	/* The organisation of a verifier. False: there is none. */
	bool (*verifier)(const void *context, struct id verifier, struct id *ret_org);
	/* Whether the command's organisation hands in a signature of this verifier, valid now, that holds. ERR_VERIFIER_UNKNOWN,
	 * ERR_VERIFIER_NOT_VALID, ERR_FORBIDDEN, ERR_SIGNATURE_INVALID. */
	enum err (*signature_check)(const void *context, const struct decision *call, struct id verifier,
		const char *domain, const void *data, size_t size, const struct signature *signature,
		struct err_info *info);
	const void *context;
};

/* Whether there is a market of this kind and currency. */
bool market_is_open(const struct market *market, enum credit_kind kind, struct code8 currency);

/* Room for one event. ERR_NO_MEMORY. */
enum err market_reserve(struct market *market) MUST_CHECK;

/* Decides a command of records/market_commands.def, auction_commands.def or pool_commands.def event by event. Refusals: ERR_INVALID_FIELD, ERR_NOT_FOUND, ERR_FORBIDDEN,
 * ERR_DUPLICATE, ERR_INSUFFICIENT_KG, ERR_INSUFFICIENT_FUNDS, ERR_BATCH_HELD, ERR_ACCOUNT_HELD, ERR_COMMAND_TOO_LARGE and
 * errors.def 450–489. */
enum err market_decide(struct market *market, struct ledger *ledger, const struct market_register *batches,
	struct decision *call, struct err_info *info) MUST_CHECK;

/* Ends orders whose time is over, in (deadline, number) order, MARKET_CANCEL_MOST at most. */
enum err market_tick(struct market *market, struct ledger *ledger, struct decision *call, int64_t due_us,
	struct err_info *info) MUST_CHECK;

/* Takes the orders of a held batch (0: any) of a held organisation (zero: any) out, MARKET_CANCEL_MOST of them at most; those that
 * stay trade with nobody, and end when they are met. */
enum err market_recall(struct market *market, struct ledger *ledger, struct decision *call, struct id org,
	uint64_t batch, struct err_info *info) MUST_CHECK;

/* The command that is due, by state alone: pool_work, auction_work, an order_work for an order that still takes or ends in parts, a stop
 * that was reached, a trailing stop that moves, or a market_work for an auction that a session settles. False: none. */
bool market_due(struct market *market, const struct ledger *ledger, struct command *ret_command);

/* Says that a command about this order comes soon, in stages, each when what the one before it asked for is here: its slot in
 * the index, the order, its place in the book, and those beside it. */
enum market_prefetch {
	MARKET_PREFETCH_SLOT,
	MARKET_PREFETCH_ORDER,
	MARKET_PREFETCH_PLACE,
	MARKET_PREFETCH_NEIGHBOURS,
	MARKET_PREFETCH_COUNT
};
void market_prefetch(const struct market *market, struct id order, enum market_prefetch what);

/* ---- escrow and forward offtake (docs/ESCROW.md) ---- */

/* Decides a command of records/escrow_commands.def event by event. Refusals: those of the tables there. */
enum err market_contract_decide(struct market *market, struct ledger *ledger, const struct market_register *batches,
	struct decision *call, struct err_info *info) MUST_CHECK;

/* Records how far time has come, where an escrow or a contract waits for it. */
enum err market_contract_tick(
	struct market *market, struct decision *call, int64_t due_us, struct err_info *info) MUST_CHECK;

/* What an escrow_work is due for, by state alone: what was issued and called, an escrow whose conditions hold or whose time has come,
 * a contract likewise. What a hold keeps waiting is not. False: none. */
bool market_contract_due(struct market *market, const struct ledger *ledger, const struct market_register *batches,
	struct command_escrow_work *ret_work);
/* Something was released: what waits for it may go on. */
void market_contract_look(struct market *market);

/* Calls the supplier's kilograms of a batch that was just issued, where its operator has a contract in force. */
enum err market_issued(struct market *market, const struct market_register *batches, struct decision *call,
	uint64_t batch, int64_t kg, struct err_info *info) MUST_CHECK;

/* True for the types that market_contract_apply takes: 130–149 and 250–253. */
bool market_contract_applies(uint16_t type);
/* Makes an event of them true; errors as market_apply. */
enum err market_contract_apply(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info) MUST_CHECK;
/* Contracts and escrows by id, and what is called, as events 250–253. */
enum err market_contract_snapshot(const struct market *market,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info) MUST_CHECK;

/* How many there are that have not ended. */
uint32_t market_escrow_count(const struct market *market);
uint32_t market_offtake_count(const struct market *market);

/* ---- events ---- */

/* Makes an event true (types 80–129 and 220–239). ERR_JOURNAL_INVALID where it cannot be; ERR_NO_MEMORY. `undo` may be NULL. */
enum err market_apply(struct market *market, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info) MUST_CHECK;

/* The market's part of a snapshot in canonical order, as events 220–239. */
enum err market_snapshot(const struct market *market,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info) MUST_CHECK;

/* Where a trade's money comes from: price in micros per tonne × kg ÷ 1,000, exact (decision 20). */
int64_t market_amount(int64_t price_micros, int64_t kg);
/* A fee in parts per million: rounded up to the house, a rebate down. */
int64_t market_fee(int64_t amount_micros, int64_t ppm);
/* What a buy order reserves for `kg`: the amount, the larger fee, and a micro a lot for each trade's rounding. */
int64_t market_reserve_micros(int64_t price_micros, int64_t kg, int64_t ppm, int64_t lot_kg);

/* ---- listings and auctions (docs/AUCTIONS.md) ---- */

#define AUCTIONS_MOST        16384 /* at once: a tick looks at each */
#define AUCTION_BIDS_MOST    4096  /* in one: they are sorted at once */
#define AUCTION_COMMITS_MOST 8192  /* in one, with those that were withdrawn */
#define AUCTION_BIDS_OF_ONE  64    /* of one organisation */
#define AUCTION_SETTLED_MOST 64    /* bids that one command settles */
#define AUCTION_TURNS_MOST   1024  /* auctions that one tick or one recall turns */

/* The ledger's account of an auction, a pool or a market shard: a UUIDv8, so that no organisation, whose ids are UUIDv7, can have it. Any thread. */
enum market_account { MARKET_ACCOUNT_AUCTION = 'a', MARKET_ACCOUNT_POOL = 'p', MARKET_ACCOUNT_SHARD = 's' };
struct id market_account(enum market_account of, uint64_t number);

/* The commitment to a sealed bid; the layout is in docs/AUCTIONS.md. Any thread. */
struct hash market_commitment(uint64_t auction, struct id bidder, int64_t kg, int64_t price_micros, struct hash nonce);

/* The terms of an auction of sealed bids and what it came to. */
struct clearing {
	uint64_t auction, market, batch;
	enum auction_kind kind;
	int64_t kg, lot_kg;
	int64_t reserve_micros, forfeit_ppm;
	int64_t clearing_micros; /* what all winners pay; 0: each its own bid */
	int64_t sold_kg;
	uint64_t winners;
};
struct clearing_bid {
	uint64_t bid;
	struct id org;
	struct hash commitment, nonce;
	int64_t maximum_micros;
	int64_t kg, price_micros; /* 0: it was not revealed */
	bool all_or_none;
	bool barred; /* its organisation may not pay */
	/* what came of it */
	enum bid_reason outcome;
	int64_t sold_kg, pays_micros /* per tonne */, forfeited_micros;
};

/* Clears an auction: sorts the bids into the order in which they are settled, says what comes of each, and fills in clearing_micros,
 * sold_kg and winners. Any thread. */
void market_clear(struct clearing *clearing, struct clearing_bid *bids, size_t count);
/* The clearing document of bids sorted by number; a new reference, NULL without memory. document_canonical makes its bytes. Any thread. */
json_t *market_clearing_document(const struct clearing *clearing, const struct clearing_bid *bids, size_t count);

/* The auctions that are not over, and all that were opened. */
uint32_t market_auction_count(const struct market *market);
uint64_t market_auctions_opened(const struct market *market);
/* An auction that is not over, or NULL. Valid until the next change. */
const struct event_state_auction *market_auction(const struct market *market, uint64_t auction);

/* ---- pools (docs/POOLS.md) ---- */

#define POOLS_MOST         256  /* a suspension looks at each */
#define POOL_BATCHES_MOST  1024 /* in one */
#define POOL_SHARES_LOCKED 1000 /* of the first addition: the pool's own for ever */
#define POOL_KG_MAX        INT64_C(1000000000000)
#define POOL_MICROS_MAX    INT64_C(1000000000000000000)

/* The asset of a pool's shares. Any thread. */
uint64_t market_pool_shares(uint64_t pool);
/* A pool, or NULL. Valid until the next change. */
const struct event_state_pool *market_pool(const struct market *market, uint64_t pool);
/* What a trade with a pool costs (ERR_POOL_LIQUIDITY: all of it or more) or brings (0: nothing); fees included. */
enum err market_pool_cost(const struct event_state_pool *pool, int64_t kg, bool chosen, int64_t *ret_micros) MUST_CHECK;
int64_t market_pool_proceeds(const struct event_state_pool *pool, int64_t kg);

/* ---- routing (docs/ROUTING.md) ---- */

#define ROUTE_TRADES_MOST     MARKET_TRADES_MOST /* of the book */
#define ROUTE_OFFERS_MOST     64                 /* listings and dutch auctions, the cheapest */
#define ROUTE_POOLS_MOST      16                 /* the cheapest */
#define ROUTE_SOURCES_MOST    (ROUTE_TRADES_MOST + ROUTE_OFFERS_MOST + ROUTE_POOLS_MOST)
#define ROUTE_PARTS_MOST      64 /* of one purchase */
#define ROUTE_POOL_LOOKS_MOST 64 /* batches of a pool that are looked at each; else its instrument decides */
#define ROUTE_UNIT_MAX        (MARKET_PRICE_MAX + MARKET_PRICE_MAX / 10) /* dearest price, its fee included */

/* Where kilograms may be bought, in the order in which equally dear ones are taken. */
struct market_source {
	enum route_source source;
	uint64_t number;                     /* of the auction or the pool */
	int64_t price_micros, kg, fee_ppm;   /* not of a pool */
	int64_t lot_kg;                      /* 1 of a pool */
	const struct event_state_pool *pool; /* NULL: none */
	/* what is taken of it: set by market_route_split */
	int64_t taken_kg, micros /* fees included */, fee_micros;
	int64_t unit_micros; /* its last kilogram, per tonne, fees included */
};

/* What is asked for, and what came of it. */
struct market_route {
	int64_t kg;             /* at most */
	int64_t maximum_micros; /* at most, fees included */
	int64_t limit_micros;   /* a tonne at most, fees included; 0: any */
	/* set by market_route_split */
	int64_t taken_kg, micros, fee_micros;
	int64_t marginal_micros; /* what is cheaper was taken, what is dearer was not */
};

/* What a tonne costs with its fee, rounded up: of a fixed price, or of the first kilogram of a pool. Any thread. */
int64_t market_source_unit(const struct market_source *source);
/* Splits a quantity over up to ROUTE_SOURCES_MOST sources so that it costs least; where it would cost more than the maximum, as much
 * as that buys, found by halving. Any thread. */
void market_route_split(struct market_source *sources, size_t count, struct market_route *route);

/* What an instrument asks for, as snapshots have it, and one of whose verifiers it asks for (none: anybody's). */
struct market_wants {
	const struct event_state_instrument *instrument;
	const struct verifier_set *any_of;
};
/* Whether it asks for what a class has; a single batch is looked at by itself. Any thread. */
bool market_asks(
	const struct market_wants *wants, const struct event_state_class *has, const struct verifier_set *attested_by);
/* Whether the first asks for all that the second one may be. Any thread. */
bool market_covers(const struct market_wants *wide, const struct market_wants *narrow);

/* What a purchase bought, for the caller to retire: serials in the order in which they were bought. */
struct market_purchase {
	int64_t kg;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t range_count;
};

/* Decides a purchase but for its lines' retirements, event by event; `lines_kg` is what the lines come to. Refusals: those of
 * docs/ROUTING.md. */
enum err market_purchase_decide(struct market *market, struct ledger *ledger, const struct market_register *batches,
	struct decision *call, int64_t lines_kg, struct market_purchase *ret_bought, struct err_info *info) MUST_CHECK;

/* True for the types that market_route_apply takes: 150–159. */
bool market_route_applies(uint16_t type);
/* Checks an event of them against the market: it changes nothing. ERR_JOURNAL_INVALID. */
enum err market_route_apply(const struct market *market, const struct event *event, struct err_info *info) MUST_CHECK;

/* ---- trading sessions ---- */

/* What an auction of a class would settle at if it ended now; kg 0: nothing crosses. */
struct market_indication {
	int64_t price_micros, kg,
		surplus_kg; /* surplus: what more is bid than asked at this price; below zero: asked */
};
/* The same of what anybody sees: prices and kilograms of each side, in any order; `last_micros` is the class's last trade, or 0. Any
 * thread. ERR_NO_MEMORY. */
struct market_level {
	int64_t price_micros, kg;
};
struct market_sides {
	const struct market_level *bids, *asks;
	size_t bid_count, ask_count;
};
enum err market_auction_price(const struct market_sides *sides, int64_t tick_micros, int64_t last_micros,
	struct market_indication *ret_indication) MUST_CHECK;
/* ERR_NOT_FOUND; ERR_NO_MEMORY. */
enum err market_indicative(
	const struct market *market, uint64_t class_number, struct market_indication *ret_indication) MUST_CHECK;

/* The number of orders that are not done, and of trades that were made. */
uint32_t market_order_count(const struct market *market);
uint64_t market_trade_count(const struct market *market);

#endif
