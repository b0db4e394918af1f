/* The field tables and collections of the views of auctions and pools. Constant. */
#include "parts.h"

#define POSITION(type) FIELD(struct type, position, FIELD_INT, .doc = "journal position of the last event applied")

const struct field auction_fields[] = {FIELD(struct auction_row, auction, FIELD_INT, .min = 1, .doc = "its number"),
	FIELD(struct auction_row, org_id, FIELD_ID, .doc = "the seller"),
	FIELD(struct auction_row, market, FIELD_INT, .min = 1, .doc = "the market"),
	FIELD(struct auction_row, batch, FIELD_INT, .min = 1, .doc = "the batch"),
	FIELD(struct auction_row, kind, FIELD_ENUM, .names = event_auction_kind_names,
		.doc = "listing, dutch, first_price, second_price or uniform"),
	FIELD(struct auction_row, phase, FIELD_ENUM, .names = event_auction_phase_names,
		.doc = "takes, commits, reveals, clears, ends or over"),
	FIELD(struct auction_row, reason, FIELD_ENUM, .names = event_auction_reason_names,
		.doc = "why it is over: sold, time, cancelled or recalled"),
	FIELD(struct auction_row, kg, FIELD_INT, .unit = "kg", .doc = "what was offered"),
	FIELD(struct auction_row, left_kg, FIELD_INT, .unit = "kg", .doc = "what is not sold"),
	FIELD(struct auction_row, lot_kg, FIELD_INT, .unit = "kg", .doc = "quantities are multiples of it"),
	FIELD_AS(struct auction_row, price_micros, "price", FIELD_MICROS,
		.doc = "per tonne; of a dutch auction as it is now, of sealed bids the reserve"),
	FIELD_AS(struct auction_row, floor_micros, "floor", FIELD_MICROS,
		.doc = "of a dutch auction: it falls no lower"),
	FIELD_AS(struct auction_row, step_micros, "step", FIELD_MICROS, .doc = "of a dutch auction: by so much"),
	FIELD(struct auction_row, interval_us, FIELD_INT, .unit = "µs", .doc = "of a dutch auction: so often"),
	FIELD(struct auction_row, next_at, FIELD_TIME, .doc = "of a dutch auction: when it falls again"),
	FIELD(struct auction_row, ends_at, FIELD_TIME, .doc = "when it ends, of sealed bids the commitments"),
	FIELD(struct auction_row, reveals_until, FIELD_TIME, .doc = "of sealed bids: when the reveals end"),
	FIELD(struct auction_row, forfeit_ppm, FIELD_INT, .unit = "ppm",
		.doc = "what a bid that is not revealed loses of its maximum"),
	FIELD(struct auction_row, maker_ppm, FIELD_INT, .unit = "ppm", .doc = "the seller's fee"),
	FIELD(struct auction_row, taker_ppm, FIELD_INT, .unit = "ppm", .doc = "the buyer's fee"),
	FIELD(struct auction_row, bids, FIELD_INT, .doc = "sealed bids that were committed to"),
	FIELD_AS(struct auction_row, clearing_micros, "clearing_price", FIELD_MICROS,
		.doc = "what all winners paid per tonne; 0: each its own bid"),
	FIELD(struct auction_row, opened_at, FIELD_TIME, .doc = "when it was opened"),
	FIELD(struct auction_row, ended_at, FIELD_TIME, .doc = "when it was over"), POSITION(auction_row), FIELD_END};

static const struct store_index auctions_indexes[] = {{.name = "by_market", .fields = {"market", "auction"}},
	{.name = "by_market_phase", .fields = {"market", "phase", "price"}}, {.name = NULL}};

const struct store_collection auctions_collection = {.name = "auctions",
	.class = STORE_VIEWS,
	.fields = auction_fields,
	.row_size = sizeof(struct auction_row),
	.key = {"auction"},
	.indexes = auctions_indexes,
	.shard_key = "auction",
	.doc = "Listings and auctions, also those that are over"};

const struct field bid_fields[] = {FIELD(struct bid_row, auction, FIELD_INT, .min = 1, .doc = "the auction"),
	FIELD(struct bid_row, bid, FIELD_INT, .min = 1, .doc = "its number in the auction"),
	FIELD(struct bid_row, org_id, FIELD_ID, .doc = "the bidder"),
	FIELD(struct bid_row, commitment, FIELD_HASH, .doc = "hash of the bid"),
	FIELD_AS(struct bid_row, maximum_micros, "maximum", FIELD_MICROS, .doc = "the most that it comes to"),
	FIELD_AS(struct bid_row, reserved_micros, "reserved", FIELD_MICROS, .doc = "what it reserves"),
	FIELD(struct bid_row, all_or_none, FIELD_BOOL, .doc = "the whole quantity or nothing"),
	FIELD(struct bid_row, kg, FIELD_INT, .unit = "kg", .doc = "once revealed: the quantity"),
	FIELD_AS(struct bid_row, price_micros, "price", FIELD_MICROS, .doc = "once revealed: per tonne"),
	FIELD(struct bid_row, nonce, FIELD_HASH, .doc = "once revealed: what hid it"),
	FIELD(struct bid_row, outcome, FIELD_ENUM, .names = event_bid_reason_names,
		.doc = "won, lost, forfeited, withdrawn or released"),
	FIELD(struct bid_row, sold_kg, FIELD_INT, .unit = "kg", .doc = "what it got"),
	FIELD_AS(struct bid_row, pays_micros, "pays", FIELD_MICROS, .doc = "what it paid per tonne"),
	FIELD_AS(struct bid_row, paid_micros, "paid", FIELD_MICROS, .doc = "what it paid"),
	FIELD_AS(struct bid_row, fee_micros, "fee", FIELD_MICROS, .doc = "and to the house"),
	FIELD_AS(struct bid_row, forfeited_micros, "forfeited", FIELD_MICROS, .doc = "what it lost to the house"),
	FIELD(struct bid_row, committed_at, FIELD_TIME, .doc = "when it was committed to"),
	FIELD(struct bid_row, settled_at, FIELD_TIME, .doc = "when it was done"), POSITION(bid_row), FIELD_END};

static const struct store_index bids_indexes[] = {
	{.name = "by_org", .fields = {"org_id", "auction", "bid"}}, {.name = NULL}};

const struct store_collection bids_collection = {.name = "bids",
	.class = STORE_VIEWS,
	.fields = bid_fields,
	.row_size = sizeof(struct bid_row),
	.key = {"auction", "bid"},
	.indexes = bids_indexes,
	.shard_key = "auction",
	.doc = "Sealed bids of auctions"};

const struct field pool_fields[] = {FIELD(struct pool_row, pool, FIELD_INT, .min = 1, .doc = "its number"),
	FIELD(struct pool_row, market, FIELD_INT, .min = 1, .doc = "the market"),
	FIELD(struct pool_row, instrument, FIELD_INT, .min = 1, .doc = "what it takes"),
	FIELD(struct pool_row, fee_ppm, FIELD_INT, .unit = "ppm", .doc = "what a trade leaves in it"),
	FIELD(struct pool_row, chosen_ppm, FIELD_INT, .unit = "ppm", .doc = "what it costs to choose serials"),
	FIELD(struct pool_row, account_id, FIELD_ID, .doc = "in whose holdings its kilograms are"),
	FIELD(struct pool_row, reserve_kg, FIELD_INT, .unit = "kg", .doc = "its kilograms"),
	FIELD_AS(struct pool_row, reserve_micros, "reserve", FIELD_MICROS, .doc = "its money"),
	FIELD(struct pool_row, shares, FIELD_INT, .doc = "all shares, those of the pool itself among them"),
	FIELD_AS(struct pool_row, price_micros, "price", FIELD_MICROS, .doc = "money ÷ kilograms, per tonne"),
	FIELD(struct pool_row, price_time, FIELD_TEXT, .max = 40,
		.doc = "price in micros × microseconds up to priced_at: a difference of two, divided by the time "
		       "between, "
		       "is the mean price"),
	FIELD(struct pool_row, priced_at, FIELD_TIME, .doc = "up to when price × time is counted"),
	FIELD(struct pool_row, state, FIELD_ENUM, .names = event_pool_state_names, .doc = "open or paused"),
	FIELD(struct pool_row, opened_at, FIELD_TIME, .doc = "when it was opened"), POSITION(pool_row), FIELD_END};

static const struct store_index pools_indexes[] = {{.name = "by_market", .fields = {"market", "pool"}}, {.name = NULL}};

const struct store_collection pools_collection = {.name = "pools",
	.class = STORE_VIEWS,
	.fields = pool_fields,
	.row_size = sizeof(struct pool_row),
	.key = {"pool"},
	.indexes = pools_indexes,
	.shard_key = "pool",
	.doc = "Pools and their reserves"};

const struct field pool_share_fields[] = {FIELD(struct pool_share_row, org_id, FIELD_ID, .doc = "whose they are"),
	FIELD(struct pool_share_row, pool, FIELD_INT, .min = 1, .doc = "the pool"),
	FIELD(struct pool_share_row, shares, FIELD_INT, .doc = "how many"), POSITION(pool_share_row), FIELD_END};

const struct store_collection pool_shares_collection = {.name = "pool_shares",
	.class = STORE_VIEWS,
	.fields = pool_share_fields,
	.row_size = sizeof(struct pool_share_row),
	.key = {"org_id", "pool"},
	.shard_key = "org_id",
	.doc = "Whose the shares of pools are"};
