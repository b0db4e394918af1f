/* carbonctl verify --journal, auctions of sealed bids: what was revealed is what was committed to, and each auction is cleared again
 * from its bids alone; what each bid got, paid and lost must be that (docs/AUCTIONS.md). One thread. */
#include <stdlib.h>
#include <string.h>

#include "carbond/base/array.h"
#include "carbond/market.h"

#include "verify.h"

struct sealed {
	struct clearing terms;
	struct clearing_bid *bids; /* by number − 1; what came of them is what the journal says */
	uint32_t count, capacity;
	bool turned; /* commitments have ended */
	bool priced;
};

struct auctions_check {
	struct sealed *open;
	uint32_t count, capacity;
	int64_t checked;
};

struct auctions_check *auctions_check_new(void)
{
	return calloc(1, sizeof(struct auctions_check));
}

void auctions_check_free(struct auctions_check **check)
{
	struct auctions_check *old = *check;
	*check = NULL;
	for (uint32_t i = 0; old && i < old->count; i++)
		free(old->open[i].bids);
	free(old ? old->open : NULL);
	free(old);
}

int64_t auctions_check_count(const struct auctions_check *check)
{
	return check->checked;
}

static struct sealed *sealed_find(struct auctions_check *check, uint64_t auction)
{
	for (uint32_t i = 0; i < check->count; i++)
		if (check->open[i].terms.auction == auction)
			return &check->open[i];
	return NULL;
}

static struct clearing_bid *bid_find(struct auctions_check *check, uint64_t auction, uint64_t bid)
{
	struct sealed *sealed = sealed_find(check, auction);
	return sealed && bid >= 1 && bid <= sealed->count ? &sealed->bids[bid - 1] : NULL;
}

static enum err wrong(struct err_info *info, uint64_t auction, const char *what)
{
	return err_set(info, ERR_JOURNAL_INVALID, "", "auction %llu: %s", (unsigned long long)auction, what);
}

static enum err on_opened(struct auctions_check *check, const struct event_auction_opened *said)
{
	void *open = check->open;
	bool room = array_room(&open, &check->capacity, check->count, sizeof *check->open);
	check->open = open;
	if (!room)
		return ERR_NO_MEMORY;
	check->open[check->count++] = (struct sealed){.terms = {.auction = said->auction,
							      .market = said->market,
							      .batch = said->batch,
							      .kind = (enum auction_kind)said->kind,
							      .kg = said->kg,
							      .lot_kg = said->lot_kg,
							      .reserve_micros = said->price_micros,
							      .forfeit_ppm = said->forfeit_ppm}};
	return ERR_OK;
}

static enum err on_committed(
	struct auctions_check *check, const struct event_bid_committed *said, struct err_info *info)
{
	struct sealed *sealed = sealed_find(check, said->auction);
	if (!sealed || said->bid != sealed->count + 1ull)
		return wrong(info, said->auction, "its bids are out of order");
	void *bids = sealed->bids;
	bool room = array_room(&bids, &sealed->capacity, sealed->count, sizeof *sealed->bids);
	sealed->bids = bids;
	if (!room)
		return ERR_NO_MEMORY;
	sealed->bids[sealed->count++] = (struct clearing_bid){.bid = said->bid,
		.org = said->org,
		.commitment = said->commitment,
		.maximum_micros = said->maximum_micros,
		.all_or_none = said->all_or_none != 0};
	return ERR_OK;
}

static enum err on_revealed(struct auctions_check *check, const struct event_bid_revealed *said, struct err_info *info)
{
	struct clearing_bid *bid = bid_find(check, said->auction, said->bid);
	struct hash made = market_commitment(said->auction, said->org, said->kg, said->price_micros, said->nonce);
	if (!bid || !hash_equal(made, bid->commitment))
		return wrong(info, said->auction, "a bid is not the one that was committed to");
	bid->kg = said->kg;
	bid->price_micros = said->price_micros;
	bid->nonce = said->nonce;
	return ERR_OK;
}

static enum err on_turned(struct auctions_check *check, uint64_t auction)
{
	struct sealed *sealed = sealed_find(check, auction);
	if (sealed)
		sealed->turned = true;
	return ERR_OK;
}

static enum err on_priced(struct auctions_check *check, const struct event_auction_priced *said, struct err_info *info)
{
	struct sealed *sealed = sealed_find(check, said->auction);
	if (!sealed)
		return wrong(info, said->auction, "it is priced and has no bids");
	sealed->priced = true;
	sealed->terms.clearing_micros = said->price_micros;
	sealed->terms.sold_kg = said->kg;
	return ERR_OK;
}

static enum err on_settled(struct auctions_check *check, const struct event_bid_settled *said, struct err_info *info)
{
	struct clearing_bid *bid = bid_find(check, said->auction, said->bid);
	if (!bid)
		return wrong(info, said->auction, "a bid is settled that is not there");
	if (said->reason == BID_WITHDRAWN && sealed_find(check, said->auction)->turned)
		return wrong(info, said->auction, "a bid is withdrawn when commitments have ended");
	bid->outcome = (enum bid_reason)said->reason;
	bid->sold_kg = said->kg;
	bid->pays_micros = said->price_micros;
	bid->forfeited_micros = said->forfeited_micros;
	return ERR_OK;
}

/* The bids that take part, as they were before anything came of them. */
static struct clearing_bid *bids_before(const struct sealed *sealed, size_t *ret_count)
{
	struct clearing_bid *bids = calloc(sealed->count + 1ull, sizeof *bids);
	*ret_count = 0;
	for (uint32_t i = 0; bids && i < sealed->count; i++)
		if (sealed->bids[i].outcome != BID_WITHDRAWN) {
			bids[*ret_count] = sealed->bids[i];
			bids[(*ret_count)++].barred = sealed->bids[i].outcome == BID_RELEASED;
		}
	return bids;
}

static bool is_same(const struct clearing_bid *a, const struct clearing_bid *b)
{
	return a->outcome == b->outcome && a->sold_kg == b->sold_kg && a->pays_micros == b->pays_micros &&
	       a->forfeited_micros == b->forfeited_micros;
}

static enum err sealed_check(const struct sealed *sealed, struct err_info *info)
{
	size_t count = 0;
	struct clearing again = sealed->terms;
	struct clearing_bid *bids = bids_before(sealed, &count);
	if (!bids)
		return ERR_NO_MEMORY;
	market_clear(&again, bids, count);
	bool holds = !sealed->priced ||
		     (again.clearing_micros == sealed->terms.clearing_micros && again.sold_kg == sealed->terms.sold_kg);
	for (size_t i = 0; i < count; i++) {
		struct clearing_bid none = {.outcome = BID_RELEASED}; /* it ended before it was cleared */
		const struct clearing_bid *must = sealed->priced ? &bids[i] : &none;
		holds = holds && is_same(must, &sealed->bids[bids[i].bid - 1]);
	}
	free(bids);
	return holds ? ERR_OK : wrong(info, sealed->terms.auction, "it was not cleared as its bids say");
}

static enum err on_ended(struct auctions_check *check, uint64_t auction, struct err_info *info)
{
	struct sealed *sealed = sealed_find(check, auction);
	if (!sealed)
		return ERR_OK; /* of no sealed bids */
	enum err err = sealed_check(sealed, info);
	free(sealed->bids);
	*sealed = check->open[--check->count];
	check->checked++;
	return err;
}

enum err auctions_check_event(struct auctions_check *check, const struct event *event, struct err_info *info)
{
	switch (event->header.type) {
	case EVENT_AUCTION_OPENED:
		return event->auction_opened.kind > AUCTION_DUTCH ? on_opened(check, &event->auction_opened) : ERR_OK;
	case EVENT_BID_COMMITTED: return on_committed(check, &event->bid_committed, info);
	case EVENT_BID_REVEALED: return on_revealed(check, &event->bid_revealed, info);
	case EVENT_AUCTION_TURNED: return on_turned(check, event->auction_turned.auction);
	case EVENT_AUCTION_PRICED: return on_priced(check, &event->auction_priced, info);
	case EVENT_BID_SETTLED: return on_settled(check, &event->bid_settled, info);
	case EVENT_AUCTION_ENDED: return on_ended(check, event->auction_ended.auction, info);
	default: return ERR_OK;
	}
}
