/* Decides what the events of auctions and pools change in the views. The projector's thread. */
#include "views.h"

/* ---- kilograms ---- */

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

static enum err ranges_move(
	struct projector *projector, const struct event *event, struct ledger_place from, struct ledger_place to)
{
	return view_ranges_move(projector, event, from, to, (struct id){0});
}

/* ---- auctions ---- */

enum err view_on_auction_opened(struct projector *projector, const struct event *event)
{
	const struct event_auction_opened *said = &event->auction_opened;
	return ranges_move(projector, event, held(said->seller), offered(said->auction));
}

enum err view_on_auction_taken(struct projector *projector, const struct event *event)
{
	const struct event_auction_taken *said = &event->auction_taken;
	return ranges_move(projector, event, offered(said->auction), held(said->buyer));
}

enum err view_on_bid_settled(struct projector *projector, const struct event *event)
{
	const struct event_bid_settled *said = &event->bid_settled;
	return ranges_move(projector, event, offered(said->auction), held(said->buyer));
}

enum err view_on_auction_ended(struct projector *projector, const struct event *event)
{
	const struct event_auction_ended *said = &event->auction_ended;
	return ranges_move(projector, event, offered(said->auction), held(said->seller));
}

/* ---- pools ---- */

enum err view_on_pool_added(struct projector *projector, const struct event *event)
{
	const struct event_pool_added *said = &event->pool_added;
	return ranges_move(projector, event, held(said->org), pooled(said->pool));
}

enum err view_on_pool_redeemed(struct projector *projector, const struct event *event)
{
	const struct event_pool_redeemed *said = &event->pool_redeemed;
	return ranges_move(projector, event, pooled(said->pool), held(said->org));
}

enum err view_on_pool_bought(struct projector *projector, const struct event *event)
{
	const struct event_pool_bought *said = &event->pool_bought;
	return ranges_move(projector, event, pooled(said->pool), held(said->org));
}

enum err view_on_pool_sold(struct projector *projector, const struct event *event)
{
	const struct event_pool_sold *said = &event->pool_sold;
	return ranges_move(projector, event, held(said->org), pooled(said->pool));
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
