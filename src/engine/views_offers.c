/* Decides what the events of auctions and pools change in the views. The projector's thread. */
#include "views.h"

/* ---- places ---- */

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

enum err view_on_auction_opened(struct projector *projector, const struct event *event)
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

enum err view_on_auction_taken(struct projector *projector, const struct event *event)
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

enum err view_on_bid_committed(struct projector *projector, const struct event *event)
{
	const struct event_bid_committed *said = &event->bid_committed;
	const struct market_row *market = NULL;
	enum err err = market_of(projector, market_account(MARKET_ACCOUNT_AUCTION, said->auction), &market);
	return err ? err
		   : view_pay(projector, market->currency, said->reserved_micros, held(said->org), reserved(said->org));
}

enum err view_on_bid_settled(struct projector *projector, const struct event *event)
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

enum err view_on_auction_ended(struct projector *projector, const struct event *event)
{
	const struct event_auction_ended *said = &event->auction_ended;
	return ranges_move(projector, event, offered(said->auction), held(said->seller));
}

/* ---- pools ---- */

enum err view_on_pool_opened(struct projector *projector, const struct event *event)
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

enum err view_on_pool_added(struct projector *projector, const struct event *event)
{
	const struct event_pool_added *said = &event->pool_added;
	enum err err = pool_pay(projector, said->pool, said->org, said->micros, said->shares, said->locked_shares);
	return err ? err : ranges_move(projector, event, held(said->org), pooled(said->pool));
}

enum err view_on_pool_redeemed(struct projector *projector, const struct event *event)
{
	const struct event_pool_redeemed *said = &event->pool_redeemed;
	enum err err = pool_pay(projector, said->pool, said->org, -said->micros, -said->shares, 0);
	return err ? err : ranges_move(projector, event, pooled(said->pool), held(said->org));
}

enum err view_on_pool_bought(struct projector *projector, const struct event *event)
{
	const struct event_pool_bought *said = &event->pool_bought;
	enum err err = pool_pay(projector, said->pool, said->org, said->micros, 0, 0);
	return err ? err : ranges_move(projector, event, pooled(said->pool), held(said->org));
}

enum err view_on_pool_sold(struct projector *projector, const struct event *event)
{
	const struct event_pool_sold *said = &event->pool_sold;
	enum err err = pool_pay(projector, said->pool, said->org, -said->micros, 0, 0);
	return err ? err : ranges_move(projector, event, held(said->org), pooled(said->pool));
}

enum err view_on_reserve_suspended(struct projector *projector, const struct event *event)
{
	uint64_t pool = event->reserve_suspended.pool;
	return ranges_move(projector, event, pooled(pool), aside(pool));
}

enum err view_on_reserve_restored(struct projector *projector, const struct event *event)
{
	uint64_t pool = event->reserve_restored.pool;
	return ranges_move(projector, event, aside(pool), pooled(pool));
}
