/* engine, the market's views: markets and what they trade, orders, trades and executions, and the book's depth. Made by the
 * projector from the journal; read through the store by any thread that may block. Prices are micros per tonne. */
#ifndef CARBOND_ENGINE_VIEWS_MARKET_H
#define CARBOND_ENGINE_VIEWS_MARKET_H

#include "carbond/base/field.h"
#include "carbond/store.h"

struct market_row {
	int64_t market; /* key: its number */
	int kind;       /* enum credit_kind */
	const char *currency;
	int64_t tick_micros, lot_kg, maker_ppm, taker_ppm, collar_ppm;
	struct id house_org_id;
	int state;                /* enum market_state */
	int64_t until, closes_at; /* FIELD_ABSENT: the state does not end by time; it has no trading hours */
	int64_t schedule_version; /* of the schedule, like what follows; FIELD_ABSENT: it was given none */
	int64_t static_ppm, dynamic_ppm, interruption_us, auction_us;
	struct field_list hours; /* texts: "mon 09:00-17:30" */
	int64_t opened_at;
	int64_t position;
};
extern const struct field market_fields[];
extern const struct store_collection markets_collection;

struct market_class_row {
	int64_t class_number; /* key */
	int64_t market;
	const char *methodology, *country;
	int durability; /* enum durability */
	int64_t vintage;
	struct field_list verifiers;              /* texts: organisations whose verifiers attested its batches */
	int64_t last_micros, last_trade, last_at; /* FIELD_ABSENT: nothing was traded yet */
	int64_t position;
};
extern const struct field market_class_fields[];
extern const struct store_collection market_classes_collection; /* index "by_market" */

struct instrument_row {
	int64_t instrument; /* key */
	int64_t market;
	const char *code;
	int64_t version;                  /* 1, 2, 3 … of its code; only the newest takes orders */
	int64_t batch;                    /* FIELD_ABSENT: any */
	const char *methodology;          /* NULL: any */
	const char *country;              /* NULL: any */
	struct field_list durabilities;   /* texts; none: any */
	int64_t vintage_from, vintage_to; /* FIELD_ABSENT: any */
	struct field_list verifiers;      /* texts: organisations; none: any */
	int64_t verifiers_least;          /* FIELD_ABSENT: any */
	int64_t listed_at;
	int64_t position;
};
extern const struct field instrument_fields[];
extern const struct store_collection instruments_collection; /* indexes "by_market", "by_code" */

/* Where an order is, as its owner sees it. */
enum order_status {
	ORDER_STATUS_OPEN,     /* rests, or trades just now */
	ORDER_STATUS_SLEEPING, /* until its stop is reached */
	ORDER_STATUS_FILLED,   /* all of it was traded */
	ORDER_STATUS_ENDED,    /* of what is not traded nothing is left; `reason` says
                            why */
};
extern const char *const order_status_names[];

struct order_row {
	struct id id; /* key: the command's id, made by the client */
	struct id org_id;
	int64_t number; /* in the order of their coming, over all markets */
	int64_t market, class_number, batch, instrument;
	int side, type, tif, stp;
	int status; /* enum order_status */
	int64_t price_micros, stop_micros, trail_micros;
	int64_t kg, left_kg, filled_kg;
	int64_t filled_micros, fees_micros; /* paid for what was traded; fees to the
                                         house (below zero: a rebate) */
	int64_t reserved_micros;            /* of a buy order */
	int64_t shown_kg, minimum_kg;
	int64_t visible_kg; /* what the public depth has of it now */
	int64_t expires_at; /* FIELD_ABSENT: never */
	bool post_only, hidden;
	int reason; /* enum order_reason; −1: it is not done, or was filled */
	struct id placed_by;
	int64_t placed_at, done_at;
	int64_t position;
};
extern const struct field order_fields[];
extern const struct store_collection orders_collection; /* indexes "by_org", "by_org_status", "by_org_market",
                          "by_org_market_status" */

struct trade_row {
	int64_t trade; /* key: its number */
	int64_t market, class_number, batch;
	int64_t price_micros, kg, amount_micros;
	int taker_side;
	struct field_list ranges; /* struct serial_range_item */
	int64_t traded_at;
	int64_t busted_at; /* FIELD_ABSENT: it stands */
	int64_t position;
};
extern const struct field trade_fields[];               /* without names: public */
extern const struct store_collection trades_collection; /* indexes "by_market", "by_class" */

/* One side of a trade, for whose it is. */
struct execution_row {
	struct id org_id;
	int64_t trade; /* key (org_id, trade) */
	struct id order_id, counterparty_org_id;
	int64_t market, class_number, batch;
	int side;      /* of the order */
	bool is_maker; /* the order rested */
	int64_t price_micros, kg, amount_micros, fee_micros;
	struct field_list ranges; /* struct serial_range_item */
	int64_t executed_at;
	int64_t position;
};
extern const struct field execution_fields[];
extern const struct store_collection executions_collection; /* key (org_id, trade); index "by_order" */

/* How much an organisation may have open in a market. */
struct trader_limit_row {
	struct id org_id;
	int64_t place; /* key (org_id, place): market × 2, + 1 for the registry's */
	int64_t market;
	bool by_registry;                              /* set by compliance; holds beside the organisation's own */
	int64_t orders_most, kg_most, notional_micros; /* FIELD_ABSENT: any */
	int64_t set_at;
	int64_t position;
};
extern const struct field trader_limit_fields[];
extern const struct store_collection trader_limits_collection;

/* ---- depth: what rests and is not hidden, by price ---- */

/* A ladder: the sells of a class, the sells of a batch, or the buys of an instrument. */
enum ladder_kind { LADDER_CLASS, LADDER_BATCH, LADDER_INSTRUMENT, LADDER_KIND_COUNT };

struct ladder_row {
	int64_t ladder;     /* key: number of class, batch or instrument ×
                         LADDER_KIND_COUNT + kind */
	int64_t kg, orders; /* all that is shown of it */
	int64_t position;   /* of its last change */
};
extern const struct store_collection ladders_collection;

struct price_level {
	int64_t ladder, price_micros; /* key */
	int64_t kg, orders;
	int64_t position;
};
extern const struct field price_level_fields[]; /* price, kg, orders */
extern const struct store_collection price_levels_collection;

#define DEPTH_LEVELS_MOST  100
#define DEPTH_CLASSES_MOST 1000

struct market_depth {
	int64_t market, class_number, instrument; /* what it is of; the other is FIELD_ABSENT */
	int64_t sequence;                         /* journal position of the last change of any of its levels;
                       0: there was none */
	struct field_list bids, asks;             /* struct price_level: best first; everything in the arena */
	struct hash checksum;                     /* of both sides' text: "bid 100.5 3000\n" a level, bids first */
};
extern const struct field market_depth_fields[];

/* The depth of an instrument (its buys, and the sells that it takes) or of a class (its sells, and the buys that take them,
 * but for those of a single batch): `levels` of each side, 1..DEPTH_LEVELS_MOST, as of one moment. ERR_NOT_FOUND; ERR_BUSY
 * where it changed each time that it was read. Blocks on the store. */
enum err engine_depth_of_instrument(struct store *store, int64_t instrument, size_t levels, struct arena *arena,
	struct market_depth *ret_depth, struct err_info *info) MUST_CHECK;
enum err engine_depth_of_class(struct store *store, int64_t class_number, size_t levels, struct arena *arena,
	struct market_depth *ret_depth, struct err_info *info) MUST_CHECK;

#endif
