/* engine, the views of auctions and pools: listings and auctions, also those that are over, their sealed bids, pools and whose
 * shares they are. Made by the projector from the journal; read through the store by any thread that may block. Prices are micros
 * per tonne. */
#ifndef CARBOND_ENGINE_VIEWS_OFFERS_H
#define CARBOND_ENGINE_VIEWS_OFFERS_H

#include "carbond/base/field.h"
#include "carbond/store.h"

struct auction_row {
	int64_t auction; /* key: its number */
	struct id org_id;
	int64_t market, batch;
	int kind, phase, reason; /* enum auction_kind, auction_phase, auction_reason; reason −1: it is not over */
	int64_t kg, left_kg, lot_kg;
	int64_t price_micros; /* of a dutch auction: as it is now; of sealed bids: the reserve */
	int64_t floor_micros, step_micros, interval_us;
	int64_t next_at, ends_at, reveals_until; /* FIELD_ABSENT: never */
	int64_t forfeit_ppm, maker_ppm, taker_ppm;
	int64_t bids;            /* sealed bids that were committed to */
	int64_t clearing_micros; /* what all winners paid; 0: each its own bid; FIELD_ABSENT: not cleared */
	int64_t opened_at, ended_at;
	int64_t position;
};
extern const struct field auction_fields[];
extern const struct store_collection auctions_collection; /* indexes "by_market", "by_market_phase" */

struct bid_row {
	int64_t auction, bid; /* key */
	struct id org_id;
	struct hash commitment, nonce;
	int64_t maximum_micros, reserved_micros;
	bool all_or_none;
	int64_t kg, price_micros; /* FIELD_ABSENT: not revealed */
	int outcome;              /* enum bid_reason; −1: not settled */
	int64_t sold_kg, pays_micros, paid_micros, fee_micros, forfeited_micros;
	int64_t committed_at, settled_at;
	int64_t position;
};
extern const struct field bid_fields[];
extern const struct store_collection bids_collection; /* index "by_org" */

struct pool_row {
	int64_t pool; /* key: its number */
	int64_t market, instrument, fee_ppm, chosen_ppm;
	struct id account_id; /* in whose holdings its kilograms are */
	int64_t reserve_kg, reserve_micros, shares;
	int64_t price_micros;   /* reserve ÷ reserve; FIELD_ABSENT: it is empty */
	const char *price_time; /* price × microseconds up to priced_at */
	int64_t priced_at;
	int state; /* enum pool_state */
	int64_t opened_at;
	int64_t position;
};
extern const struct field pool_fields[];
extern const struct store_collection pools_collection; /* index "by_market" */

struct pool_share_row {
	struct id org_id;
	int64_t pool; /* key, both */
	int64_t shares;
	int64_t position;
};
extern const struct field pool_share_fields[];
extern const struct store_collection pool_shares_collection;

#endif
