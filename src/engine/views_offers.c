/* Decides what the events of auctions and pools change in the views. The projector's thread. */
#include "views.h"

/* ---- legs: where kilograms and money are ---- */

static struct ledger_place offered(uint64_t auction)
{
	return view_place(market_account(MARKET_ACCOUNT_AUCTION, auction), KG_LISTED);
}

static struct ledger_place pooled(uint64_t pool)
{
	return view_place(market_account(MARKET_ACCOUNT_POOL, pool), KG_POOLED);
}

static struct ledger_place aside(uint64_t pool)
{
	return view_place(market_account(MARKET_ACCOUNT_POOL, pool), KG_HELD);
}

static struct ledger_place held(struct id org)
{
	return view_place(org, KG_HELD);
}

static struct ledger_place reserved(struct id org)
{
	return view_place(org, KG_RESERVED);
}

/* An auction or a pool has an account of its own, in the currency of its market. */
static enum err account_open(struct projector *projector, struct id account, uint64_t market)
{
	struct market_account_row *row = NULL;
	enum err err = view_row(projector, SHEET_MARKET_ACCOUNTS, KEYED(market_account_row, .org_id = account), &row);
	if (!err && row)
		row->market = (int64_t)market;
	return err;
}

static enum err market_of(struct projector *projector, struct id account, const struct market_row **ret_market)
{
	const struct market_account_row *row = NULL;
	enum err err = view_peek(projector, SHEET_MARKET_ACCOUNTS, KEYED(market_account_row, .org_id = account), &row);
	return err ? err : view_peek(projector, SHEET_MARKETS, KEYED(market_row, .market = row->market), ret_market);
}

static enum err ranges_move(
	struct projector *projector, const struct event *event, struct ledger_place from, struct ledger_place to)
{
	return view_ranges_move(projector, event, from, to, (struct id){0});
}

/* ---- auctions ---- */

static enum err auction_opened_legs(struct projector *projector, const struct event *event)
{
	const struct event_auction_opened *said = &event->auction_opened;
	enum err err = account_open(projector, market_account(MARKET_ACCOUNT_AUCTION, said->auction), said->market);
	return err ? err : ranges_move(projector, event, held(said->seller), offered(said->auction));
}

/* Who pays, what is paid, and the fees, as the ledger makes the legs. */
struct sale {
	struct id seller;
	struct ledger_place money;
	int64_t amount_micros, seller_fee_micros, buyer_fee_micros;
};

static enum err sale_pay(struct projector *projector, const struct market_row *market, const struct sale *sale)
{
	struct ledger_place house = held(market->house_org_id), seller = held(sale->seller);
	enum err err = view_pay(projector, market->currency, sale->amount_micros, sale->money, seller);
	if (!err)
		err = view_pay(projector, market->currency, sale->buyer_fee_micros, sale->money, house);
	return err ? err : view_pay(projector, market->currency, sale->seller_fee_micros, seller, house);
}

static enum err auction_taken_legs(struct projector *projector, const struct event *event)
{
	const struct event_auction_taken *said = &event->auction_taken;
	const struct market_row *market = NULL;
	const struct sale sale = {.seller = said->seller,
		.money = held(said->buyer),
		.amount_micros = said->amount_micros,
		.seller_fee_micros = said->seller_fee_micros,
		.buyer_fee_micros = said->buyer_fee_micros};
	enum err err = market_of(projector, market_account(MARKET_ACCOUNT_AUCTION, said->auction), &market);
	if (!err)
		err = sale_pay(projector, market, &sale);
	return err ? err : ranges_move(projector, event, offered(said->auction), held(said->buyer));
}

static enum err bid_committed_legs(struct projector *projector, const struct event *event)
{
	const struct event_bid_committed *said = &event->bid_committed;
	const struct market_row *market = NULL;
	enum err err = market_of(projector, market_account(MARKET_ACCOUNT_AUCTION, said->auction), &market);
	return err ? err
		   : view_pay(projector, market->currency, said->reserved_micros, held(said->org), reserved(said->org));
}

static enum err bid_settled_legs(struct projector *projector, const struct event *event)
{
	const struct event_bid_settled *said = &event->bid_settled;
	const struct market_row *market = NULL;
	struct ledger_place money = reserved(said->buyer);
	const struct sale sale = {.seller = said->seller,
		.money = money,
		.amount_micros = said->amount_micros,
		.seller_fee_micros = said->seller_fee_micros,
		.buyer_fee_micros = said->buyer_fee_micros};
	enum err err = market_of(projector, market_account(MARKET_ACCOUNT_AUCTION, said->auction), &market);
	if (!err && said->kg)
		err = sale_pay(projector, market, &sale);
	if (!err)
		err = view_pay(projector, market->currency, said->forfeited_micros, money, held(market->house_org_id));
	if (!err)
		err = view_pay(projector, market->currency, said->released_micros, money, held(said->buyer));
	return err ? err : ranges_move(projector, event, offered(said->auction), held(said->buyer));
}

static enum err auction_ended_legs(struct projector *projector, const struct event *event)
{
	const struct event_auction_ended *said = &event->auction_ended;
	return ranges_move(projector, event, offered(said->auction), held(said->seller));
}

/* ---- pools ---- */

static enum err pool_opened_legs(struct projector *projector, const struct event *event)
{
	const struct event_pool_opened *said = &event->pool_opened;
	return account_open(projector, market_account(MARKET_ACCOUNT_POOL, said->pool), said->market);
}

/* Money into a pool, and shares of it made; below zero: out of it, and ended. */
static enum err pool_pay(struct projector *projector, uint64_t pool, struct id org, int64_t micros, int64_t shares,
	int64_t locked_shares)
{
	const struct market_row *market = NULL;
	struct ledger_place outside = view_place((struct id){{0}}, KG_HELD);
	const char *asset = view_shares_asset(projector, pool);
	enum err err = asset ? market_of(projector, market_account(MARKET_ACCOUNT_POOL, pool), &market) : ERR_NO_MEMORY;
	if (!err)
		err = view_pay(projector, market->currency, micros, held(org), pooled(pool));
	if (!err)
		err = view_pay(projector, asset, shares, outside, held(org));
	return err ? err : view_pay(projector, asset, locked_shares, outside, aside(pool));
}

static enum err pool_added_legs(struct projector *projector, const struct event *event)
{
	const struct event_pool_added *said = &event->pool_added;
	enum err err = pool_pay(projector, said->pool, said->org, said->micros, said->shares, said->locked_shares);
	return err ? err : ranges_move(projector, event, held(said->org), pooled(said->pool));
}

static enum err pool_redeemed_legs(struct projector *projector, const struct event *event)
{
	const struct event_pool_redeemed *said = &event->pool_redeemed;
	enum err err = pool_pay(projector, said->pool, said->org, -said->micros, -said->shares, 0);
	return err ? err : ranges_move(projector, event, pooled(said->pool), held(said->org));
}

static enum err pool_bought_legs(struct projector *projector, const struct event *event)
{
	const struct event_pool_bought *said = &event->pool_bought;
	enum err err = pool_pay(projector, said->pool, said->org, said->micros, 0, 0);
	return err ? err : ranges_move(projector, event, pooled(said->pool), held(said->org));
}

static enum err pool_sold_legs(struct projector *projector, const struct event *event)
{
	const struct event_pool_sold *said = &event->pool_sold;
	enum err err = pool_pay(projector, said->pool, said->org, -said->micros, 0, 0);
	return err ? err : ranges_move(projector, event, held(said->org), pooled(said->pool));
}

static enum err reserve_suspended_legs(struct projector *projector, const struct event *event)
{
	uint64_t pool = event->reserve_suspended.pool;
	return ranges_move(projector, event, pooled(pool), aside(pool));
}

static enum err reserve_restored_legs(struct projector *projector, const struct event *event)
{
	uint64_t pool = event->reserve_restored.pool;
	return ranges_move(projector, event, aside(pool), pooled(pool));
}

/* ---- rows of auctions ---- */

static int64_t or_absent(int64_t number)
{
	return number ? number : FIELD_ABSENT;
}

static enum err auction_at(struct projector *projector, uint64_t auction, struct auction_row **ret_row)
{
	*ret_row = NULL;
	return view_row(projector, SHEET_AUCTIONS, KEYED(auction_row, .auction = (int64_t)auction), ret_row);
}

static enum err bid_at(struct projector *projector, uint64_t auction, uint64_t bid, struct bid_row **ret_row)
{
	*ret_row = NULL;
	return view_row(
		projector, SHEET_BIDS, KEYED(bid_row, .auction = (int64_t)auction, .bid = (int64_t)bid), ret_row);
}

enum err view_on_auction_opened(struct projector *projector, const struct event *event)
{
	const struct event_auction_opened *said = &event->auction_opened;
	struct auction_row *row;
	bool falls = said->kind == AUCTION_DUTCH, sealed = said->kind > AUCTION_DUTCH;
	enum err err = auction_at(projector, said->auction, &row);
	if (!err && row) {
		row->org_id = said->seller;
		row->market = (int64_t)said->market;
		row->batch = (int64_t)said->batch;
		row->kind = (int)said->kind;
		row->phase = sealed ? AUCTION_COMMITS : AUCTION_TAKES;
		row->kg = row->left_kg = said->kg;
		row->lot_kg = said->lot_kg;
		row->price_micros = said->price_micros;
		row->floor_micros = falls ? said->floor_micros : FIELD_ABSENT;
		row->step_micros = falls ? said->step_micros : FIELD_ABSENT;
		row->interval_us = falls ? said->interval_us : FIELD_ABSENT;
		row->next_at = falls ? event->header.time_us + said->interval_us : FIELD_ABSENT;
		row->ends_at = or_absent(said->ends_us);
		row->reveals_until = or_absent(said->reveals_until_us);
		row->forfeit_ppm = sealed ? said->forfeit_ppm : FIELD_ABSENT;
		row->maker_ppm = said->maker_ppm;
		row->taker_ppm = said->taker_ppm;
		row->bids = sealed ? 0 : FIELD_ABSENT;
		row->opened_at = event->header.time_us;
	}
	return err ? err : auction_opened_legs(projector, event);
}

enum err view_on_auction_stepped(struct projector *projector, const struct event *event)
{
	const struct event_auction_stepped *said = &event->auction_stepped;
	struct auction_row *row;
	enum err err = auction_at(projector, said->auction, &row);
	if (err || !row)
		return err;
	row->price_micros = said->price_micros;
	row->next_at = or_absent(said->next_us);
	return ERR_OK;
}

enum err view_on_auction_taken(struct projector *projector, const struct event *event)
{
	const struct event_auction_taken *said = &event->auction_taken;
	struct auction_row *row;
	enum err err = auction_at(projector, said->auction, &row);
	if (!err && row)
		row->left_kg = said->left_kg;
	return err ? err : auction_taken_legs(projector, event);
}

enum err view_on_auction_turned(struct projector *projector, const struct event *event)
{
	struct auction_row *row;
	enum err err = auction_at(projector, event->auction_turned.auction, &row);
	if (!err && row)
		row->phase = (int)event->auction_turned.phase;
	return err;
}

enum err view_on_auction_priced(struct projector *projector, const struct event *event)
{
	struct auction_row *row;
	enum err err = auction_at(projector, event->auction_priced.auction, &row);
	if (!err && row)
		row->clearing_micros = event->auction_priced.price_micros;
	return err;
}

enum err view_on_auction_ended(struct projector *projector, const struct event *event)
{
	const struct event_auction_ended *said = &event->auction_ended;
	struct auction_row *row;
	enum err err = auction_at(projector, said->auction, &row);
	if (!err && row) {
		row->phase = AUCTION_OVER;
		row->reason = (int)said->reason;
		row->left_kg = said->returned_kg;
		row->next_at = FIELD_ABSENT;
		row->ended_at = event->header.time_us;
	}
	return err ? err : auction_ended_legs(projector, event);
}

/* ---- rows of sealed bids ---- */

enum err view_on_bid_committed(struct projector *projector, const struct event *event)
{
	const struct event_bid_committed *said = &event->bid_committed;
	struct auction_row *auction;
	struct bid_row *row;
	enum err err = auction_at(projector, said->auction, &auction);
	if (!err && auction)
		auction->bids = (int64_t)said->bid;
	if (!err)
		err = bid_at(projector, said->auction, said->bid, &row);
	if (err || !row)
		return err ? err : bid_committed_legs(projector, event);
	row->org_id = said->org;
	row->commitment = said->commitment;
	row->maximum_micros = said->maximum_micros;
	row->reserved_micros = said->reserved_micros;
	row->all_or_none = said->all_or_none != 0;
	row->committed_at = event->header.time_us;
	return bid_committed_legs(projector, event);
}

enum err view_on_bid_revealed(struct projector *projector, const struct event *event)
{
	const struct event_bid_revealed *said = &event->bid_revealed;
	struct bid_row *row;
	enum err err = bid_at(projector, said->auction, said->bid, &row);
	if (err || !row)
		return err;
	row->kg = said->kg;
	row->price_micros = said->price_micros;
	row->nonce = said->nonce;
	return ERR_OK;
}

enum err view_on_bid_settled(struct projector *projector, const struct event *event)
{
	const struct event_bid_settled *said = &event->bid_settled;
	struct auction_row *auction;
	struct bid_row *row;
	enum err err = auction_at(projector, said->auction, &auction);
	if (!err && auction)
		auction->left_kg -= said->kg;
	if (!err)
		err = bid_at(projector, said->auction, said->bid, &row);
	if (!err && row) {
		row->outcome = (int)said->reason;
		row->reserved_micros = 0;
		row->sold_kg = said->kg;
		row->pays_micros = said->price_micros;
		row->paid_micros = said->amount_micros;
		row->fee_micros = said->buyer_fee_micros;
		row->forfeited_micros = said->forfeited_micros;
		row->settled_at = event->header.time_us;
	}
	return err ? err : bid_settled_legs(projector, event);
}

/* ---- rows of pools ---- */

static enum err pool_at(struct projector *projector, uint64_t pool, struct pool_row **ret_row)
{
	*ret_row = NULL;
	return view_row(projector, SHEET_POOLS, KEYED(pool_row, .pool = (int64_t)pool), ret_row);
}

static enum err shares_add(struct projector *projector, uint64_t pool, struct id org, int64_t shares)
{
	struct pool_share_row *row = NULL;
	enum err err = shares ? view_row(projector, SHEET_POOL_SHARES,
					KEYED(pool_share_row, .org_id = org, .pool = (int64_t)pool), &row)
			      : ERR_OK;
	if (!err && row)
		view_add(&row->shares, shares);
	return err;
}

/* 128 bits as a decimal number. */
static const char *number_text(struct projector *projector, unsigned __int128 number)
{
	char digits[40];
	size_t at = sizeof digits - 1;
	digits[at] = 0;
	do
		digits[--at] = (char)('0' + (int)(number % 10));
	while ((number /= 10) != 0);
	return view_text(projector, digits + at);
}

/* What a record says of the pool as it is from then on. */
struct after {
	uint64_t pool;
	int64_t kg, micros, shares;
	uint64_t high, low;
};

#define AFTER(said)                                                                                     \
	(&(struct after){(said)->pool, (said)->reserve_kg, (said)->reserve_micros, (said)->pool_shares, \
		(said)->price_time_high, (said)->price_time_low})

static enum err reserves_set(struct projector *projector, const struct event *event, const struct after *after)
{
	struct pool_row *row;
	enum err err = pool_at(projector, after->pool, &row);
	if (err || !row)
		return err;
	row->reserve_kg = after->kg;
	row->reserve_micros = after->micros;
	row->shares = after->shares;
	__int128 price = after->kg ? (__int128)after->micros * 1000 / after->kg : 0;
	row->price_micros = price > 0 && price <= INT64_MAX ? (int64_t)price : FIELD_ABSENT;
	row->price_time = number_text(projector, (unsigned __int128)after->high << 64 | after->low);
	row->priced_at = event->header.time_us;
	return row->price_time ? ERR_OK : ERR_NO_MEMORY;
}

enum err view_on_pool_opened(struct projector *projector, const struct event *event)
{
	const struct event_pool_opened *said = &event->pool_opened;
	struct pool_row *row;
	enum err err = pool_at(projector, said->pool, &row);
	if (err || !row)
		return err ? err : pool_opened_legs(projector, event);
	row->market = (int64_t)said->market;
	row->instrument = (int64_t)said->instrument;
	row->fee_ppm = said->fee_ppm;
	row->chosen_ppm = said->chosen_ppm;
	row->account_id = market_account(MARKET_ACCOUNT_POOL, said->pool);
	row->reserve_kg = row->reserve_micros = row->shares = 0;
	row->price_time = view_text(projector, "0");
	row->priced_at = row->opened_at = event->header.time_us;
	row->state = POOL_OPEN;
	return row->price_time ? pool_opened_legs(projector, event) : ERR_NO_MEMORY;
}

static enum err state_set(struct projector *projector, uint64_t pool, enum pool_state state)
{
	struct pool_row *row;
	enum err err = pool_at(projector, pool, &row);
	if (!err && row)
		row->state = (int)state;
	return err;
}

enum err view_on_pool_paused(struct projector *projector, const struct event *event)
{
	return state_set(projector, event->pool_paused.pool, POOL_PAUSED);
}

enum err view_on_pool_resumed(struct projector *projector, const struct event *event)
{
	return state_set(projector, event->pool_resumed.pool, POOL_OPEN);
}

enum err view_on_pool_added(struct projector *projector, const struct event *event)
{
	const struct event_pool_added *said = &event->pool_added;
	enum err err = reserves_set(projector, event, AFTER(said));
	if (!err)
		err = shares_add(projector, said->pool, said->org, said->shares);
	return err ? err : pool_added_legs(projector, event);
}

enum err view_on_pool_redeemed(struct projector *projector, const struct event *event)
{
	const struct event_pool_redeemed *said = &event->pool_redeemed;
	enum err err = reserves_set(projector, event, AFTER(said));
	if (!err)
		err = shares_add(projector, said->pool, said->org, -said->shares);
	return err ? err : pool_redeemed_legs(projector, event);
}

enum err view_on_pool_bought(struct projector *projector, const struct event *event)
{
	const struct event_pool_bought *said = &event->pool_bought;
	enum err err = reserves_set(projector, event, AFTER(said));
	return err ? err : pool_bought_legs(projector, event);
}

enum err view_on_pool_sold(struct projector *projector, const struct event *event)
{
	const struct event_pool_sold *said = &event->pool_sold;
	enum err err = reserves_set(projector, event, AFTER(said));
	return err ? err : pool_sold_legs(projector, event);
}

enum err view_on_reserve_suspended(struct projector *projector, const struct event *event)
{
	const struct event_reserve_suspended *said = &event->reserve_suspended;
	enum err err = reserves_set(projector, event, AFTER(said));
	return err ? err : reserve_suspended_legs(projector, event);
}

enum err view_on_reserve_restored(struct projector *projector, const struct event *event)
{
	const struct event_reserve_restored *said = &event->reserve_restored;
	enum err err = reserves_set(projector, event, AFTER(said));
	return err ? err : reserve_restored_legs(projector, event);
}
