/* Makes the events of listings and auctions true: auctions, bids and ledger change together, and each change can be undone. The
 * state's thread. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

/* ---- life cycle, finding ---- */

void auctions_free(struct auctions *auctions)
{
	free(auctions->items);
	free(auctions->bids);
	map_free(&auctions->map);
	map_free(&auctions->bid_map);
}

bool auctions_reserve(struct auctions *auctions)
{
	return ROOM(auctions, items, auctions->used + 1, capacity) &&
	       ROOM(auctions, bids, auctions->bid_used + 1, bid_capacity) && map_reserve(&auctions->map, 1) &&
	       map_reserve(&auctions->bid_map, 1);
}

static bool auction_equal(const void *context, uint32_t item, const void *key)
{
	return ((const struct auctions *)context)->items[item].is.auction == *(const uint64_t *)key;
}

struct auction *auction_find(const struct market *market, uint64_t number)
{
	const struct auctions *auctions = &market->auctions;
	uint32_t item = map_find(&auctions->map, map_hash_u64(market->seed, number), auction_equal, auctions, &number);
	return item == MAP_NONE || number == 0 ? NULL : &auctions->items[item];
}

struct bid_key {
	uint64_t auction, bid;
};

static bool bid_equal(const void *context, uint32_t item, const void *key)
{
	const struct bid *bid = &((const struct auctions *)context)->bids[item];
	const struct bid_key *wanted = key;
	return bid->is.auction == wanted->auction && bid->is.bid == wanted->bid;
}

static uint64_t bid_hash(const struct market *market, const struct event_state_bid *is)
{
	return map_hash_u64(map_hash_u64(market->seed, is->auction), is->bid);
}

struct bid *bid_find(const struct market *market, uint64_t auction, uint64_t number)
{
	const struct auctions *auctions = &market->auctions;
	struct event_state_bid is = {.auction = auction, .bid = number};
	struct bid_key key = {auction, number};
	uint32_t item = map_find(&auctions->bid_map, bid_hash(market, &is), bid_equal, auctions, &key);
	return item == MAP_NONE || number == 0 ? NULL : &auctions->bids[item];
}

struct ledger_place auction_place(uint64_t auction)
{
	return listed(market_account(MARKET_ACCOUNT_AUCTION, auction));
}

int64_t auction_due_us(const struct event_state_auction *is)
{
	int64_t ends_us = is->ends_us ? is->ends_us : INT64_MAX;
	switch (is->phase) {
	case AUCTION_TAKES: return is->next_us && is->next_us < ends_us ? is->next_us : ends_us;
	case AUCTION_COMMITS: return ends_us;
	case AUCTION_REVEALS: return is->reveals_until_us;
	default: return INT64_MAX;
	}
}

uint32_t market_auction_count(const struct market *market)
{
	return market->auctions.count;
}

uint64_t market_auctions_opened(const struct market *market)
{
	return market->auctions.number;
}

const struct event_state_auction *market_auction(const struct market *market, uint64_t number)
{
	const struct auction *auction = auction_find(market, number);
	return auction ? &auction->is : NULL;
}

/* ---- auctions ---- */

static bool works(const struct event_state_auction *is)
{
	return is->phase == AUCTION_CLEARS || is->phase == AUCTION_ENDS;
}

static void auction_seat(struct market *market, struct auction *auction, const struct event_state_auction *is)
{
	int64_t due_us = auction_due_us(is);
	auction->is = *is;
	market->auctions.working += works(is);
	market->auctions.look = true;
	if (due_us < market->auctions.next_due_us)
		market->auctions.next_due_us = due_us;
}

static void auction_add(struct market *market, const struct event_state_auction *is)
{
	struct auctions *auctions = &market->auctions;
	uint32_t item = auctions->free;
	if (item)
		auctions->free = auctions->items[item].next_free;
	else
		item = ++auctions->used;
	auctions->items[item] = (struct auction){.next_free = 0};
	auction_seat(market, &auctions->items[item], is);
	map_put(&auctions->map, map_hash_u64(market->seed, is->auction), item);
	auctions->count++;
}

static void auction_drop(struct market *market, struct auction *auction)
{
	struct auctions *auctions = &market->auctions;
	uint32_t item = (uint32_t)(auction - auctions->items);
	assert(auction->bid_count == 0);
	auctions->working -= works(&auction->is);
	map_remove(&auctions->map, map_hash_u64(market->seed, auction->is.auction), item);
	*auction = (struct auction){.next_free = auctions->free};
	auctions->free = item;
	auctions->count--;
}

static void auction_add_revert(void *owner, const void *payload)
{
	uint64_t number;
	memcpy(&number, payload, sizeof number);
	auction_drop(owner, auction_find(owner, number));
}

_Static_assert(sizeof(struct event_state_auction) <= UNDO_PAYLOAD_MAX, "an auction fits in a step of the undo log");

/* Back to what it was, whether it is there or over. */
static void auction_revert(void *owner, const void *payload)
{
	struct market *market = owner;
	struct event_state_auction was;
	memcpy(&was, payload, sizeof was);
	struct auction *auction = auction_find(market, was.auction);
	if (!auction) {
		auction_add(market, &was);
		return;
	}
	market->auctions.working -= works(&auction->is);
	auction_seat(market, auction, &was);
}

static void auction_become(
	struct market *market, struct undo *undo, struct auction *auction, const struct event_state_auction *is)
{
	undo_push(undo, auction_revert, market, &auction->is, sizeof auction->is);
	if (is->phase == AUCTION_OVER) {
		auction_drop(market, auction);
		return;
	}
	market->auctions.working -= works(&auction->is);
	auction_seat(market, auction, is);
}

/* ---- bids ---- */

static void bid_add(struct market *market, const struct event_state_bid *is)
{
	struct auctions *auctions = &market->auctions;
	struct auction *auction = auction_find(market, is->auction);
	uint32_t item = auctions->bid_free;
	if (item)
		auctions->bid_free = auctions->bids[item].next;
	else
		item = ++auctions->bid_used;
	auctions->bids[item] = (struct bid){.is = *is, .next = auction->first_bid};
	if (auction->first_bid)
		auctions->bids[auction->first_bid].previous = item;
	auction->first_bid = item;
	auction->bid_count++;
	map_put(&auctions->bid_map, bid_hash(market, is), item);
}

static void bid_drop(struct market *market, struct bid *bid)
{
	struct auctions *auctions = &market->auctions;
	struct auction *auction = auction_find(market, bid->is.auction);
	uint32_t item = (uint32_t)(bid - auctions->bids);
	map_remove(&auctions->bid_map, bid_hash(market, &bid->is), item);
	if (bid->previous)
		auctions->bids[bid->previous].next = bid->next;
	else
		auction->first_bid = bid->next;
	if (bid->next)
		auctions->bids[bid->next].previous = bid->previous;
	auction->bid_count--;
	*bid = (struct bid){.next = auctions->bid_free};
	auctions->bid_free = item;
}

static void bid_add_revert(void *owner, const void *payload)
{
	struct bid_key key;
	memcpy(&key, payload, sizeof key);
	bid_drop(owner, bid_find(owner, key.auction, key.bid));
}

static void bid_drop_revert(void *owner, const void *payload)
{
	struct event_state_bid was;
	memcpy(&was, payload, sizeof was);
	bid_add(owner, &was);
}

static void bid_revert(void *owner, const void *payload)
{
	struct event_state_bid was;
	memcpy(&was, payload, sizeof was);
	bid_find(owner, was.auction, was.bid)->is = was;
}

/* ---- events ---- */

static struct venue *venue_of(const struct market *market, const struct auction *auction)
{
	return venue_find(market, auction->is.market);
}

static bool auction_can_be(const struct event_state_auction *is)
{
	bool falls = is->kind == AUCTION_DUTCH;
	return is->kg > 0 && is->kg <= MARKET_KG_MAX && is->left_kg >= 0 && is->left_kg <= is->kg && is->lot_kg > 0 &&
	       is->price_micros > 0 && is->price_micros <= MARKET_PRICE_MAX && is->next_us >= 0 &&
	       (!falls || (is->step_micros > 0 && is->floor_micros > 0 && is->interval_us > 0 &&
				  is->interval_us <= AUCTION_INTERVAL_MOST_US));
}

static enum err apply_auction_opened(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_auction_opened *said = &event->auction_opened;
	bool falls = said->kind == AUCTION_DUTCH;
	if (said->auction != market->auctions.number + 1 || !venue_find(market, said->market))
		return journal_invalid(info, "auctions are out of order");
	if (falls && (said->interval_us <= 0 || said->interval_us > AUCTION_INTERVAL_MOST_US))
		return journal_invalid(info, "a price cannot fall in such steps");
	struct event_state_auction is = {.auction = said->auction,
		.seller = said->seller,
		.market = said->market,
		.batch = said->batch,
		.kg = said->kg,
		.left_kg = said->kg,
		.lot_kg = said->lot_kg,
		.price_micros = said->price_micros,
		.floor_micros = said->floor_micros,
		.step_micros = said->step_micros,
		.interval_us = said->interval_us,
		.next_us = falls ? event->header.time_us + said->interval_us : 0,
		.ends_us = said->ends_us,
		.reveals_until_us = said->reveals_until_us,
		.forfeit_ppm = said->forfeit_ppm,
		.maker_ppm = said->maker_ppm,
		.taker_ppm = said->taker_ppm,
		.kind = said->kind,
		.phase = said->kind <= AUCTION_DUTCH ? AUCTION_TAKES : AUCTION_COMMITS};
	if (!auction_can_be(&is))
		return journal_invalid(info, "an auction cannot be of this quantity or price");
	enum err err = ledger_move_all(
		ledger, undo, &event->lists, said->kg, held(said->seller), auction_place(said->auction), info);
	if (err)
		return err;
	number_set(market, undo, &market->auctions.number, said->auction);
	auction_add(market, &is);
	undo_push(undo, auction_add_revert, market, &is.auction, sizeof is.auction);
	return ERR_OK;
}

static enum err apply_auction_stepped(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_auction_stepped *said = &event->auction_stepped;
	struct auction *auction = auction_find(market, said->auction);
	if (!auction || auction->is.kind != AUCTION_DUTCH || said->price_micros < auction->is.floor_micros ||
		said->price_micros >= auction->is.price_micros || said->next_us < 0)
		return journal_invalid(info, "a price falls that cannot");
	struct event_state_auction is = auction->is;
	is.price_micros = said->price_micros;
	is.next_us = said->next_us;
	auction_become(market, undo, auction, &is);
	return ERR_OK;
}

/* A sale: kilograms to the buyer, money from where it lies to the seller and the house. */
struct sale {
	struct id seller, buyer;
	struct ledger_place money;
	int64_t kg, amount_micros, seller_fee_micros, buyer_fee_micros;
};

static enum err settle(struct market *market, struct ledger *ledger, struct undo *undo, const struct auction *auction,
	const struct sale *sale, const struct record_lists *lists, struct err_info *info)
{
	const struct venue *venue = venue_of(market, auction);
	struct ledger_place house = held(venue->is.house), seller = held(sale->seller);
	enum err err = ledger_move_all(
		ledger, undo, lists, sale->kg, auction_place(auction->is.auction), held(sale->buyer), info);
	if (!err)
		err = leg_pay(ledger, undo, venue->asset, sale->amount_micros, sale->money, seller, info);
	if (!err)
		err = leg_pay(ledger, undo, venue->asset, sale->buyer_fee_micros, sale->money, house, info);
	return err ? err : leg_pay(ledger, undo, venue->asset, sale->seller_fee_micros, seller, house, info);
}

static enum err apply_auction_taken(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_auction_taken *said = &event->auction_taken;
	struct auction *auction = auction_find(market, said->auction);
	if (!auction || auction->is.phase != AUCTION_TAKES || !id_equal(auction->is.seller, said->seller) ||
		said->kg <= 0 || auction->is.left_kg - said->kg != said->left_kg || said->left_kg < 0)
		return journal_invalid(info, "an auction sells what it does not have");
	struct sale sale = {.seller = said->seller,
		.buyer = said->buyer,
		.money = held(said->buyer),
		.kg = said->kg,
		.amount_micros = said->amount_micros,
		.seller_fee_micros = said->seller_fee_micros,
		.buyer_fee_micros = said->buyer_fee_micros};
	enum err err = settle(market, ledger, undo, auction, &sale, &event->lists, info);
	if (err)
		return err;
	struct event_state_auction is = auction->is;
	is.left_kg = said->left_kg;
	auction_become(market, undo, auction, &is);
	return ERR_OK;
}

static enum err apply_bid_committed(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_bid_committed *said = &event->bid_committed;
	struct auction *auction = auction_find(market, said->auction);
	if (!auction || auction->is.phase != AUCTION_COMMITS || said->bid != auction->is.bids + 1 ||
		said->maximum_micros <= 0 || said->maximum_micros > LEDGER_MICROS_MAX ||
		said->reserved_micros < said->maximum_micros)
		return journal_invalid(info, "bids are out of order");
	enum err err = leg_pay(ledger, undo, venue_of(market, auction)->asset, said->reserved_micros, held(said->org),
		reserved(said->org), info);
	if (err)
		return err;
	struct event_state_auction is = auction->is;
	struct event_state_bid bid = {.auction = said->auction,
		.bid = said->bid,
		.org = said->org,
		.commitment = said->commitment,
		.maximum_micros = said->maximum_micros,
		.reserved_micros = said->reserved_micros,
		.all_or_none = said->all_or_none};
	struct bid_key key = {said->auction, said->bid};
	is.bids = said->bid;
	auction_become(market, undo, auction, &is);
	bid_add(market, &bid);
	undo_push(undo, bid_add_revert, market, &key, sizeof key);
	return ERR_OK;
}

static enum err apply_bid_revealed(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_bid_revealed *said = &event->bid_revealed;
	struct bid *bid = bid_find(market, said->auction, said->bid);
	if (!bid || bid->is.kg || said->kg <= 0 || said->kg > MARKET_KG_MAX || said->price_micros <= 0 ||
		said->price_micros > MARKET_PRICE_MAX || !id_equal(bid->is.org, said->org) ||
		auction_find(market, said->auction)->is.phase != AUCTION_REVEALS)
		return journal_invalid(info, "a bid is revealed that cannot be");
	undo_push(undo, bid_revert, market, &bid->is, sizeof bid->is);
	bid->is.kg = said->kg;
	bid->is.price_micros = said->price_micros;
	return ERR_OK;
}

static enum err apply_auction_turned(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_auction_turned *said = &event->auction_turned;
	struct auction *auction = auction_find(market, said->auction);
	if (!auction || said->phase <= auction->is.phase || said->phase == AUCTION_OVER)
		return journal_invalid(info, "an auction turns back");
	struct event_state_auction is = auction->is;
	is.phase = said->phase;
	is.reason = said->reason;
	auction_become(market, undo, auction, &is);
	return ERR_OK;
}

static enum err apply_auction_priced(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_auction_priced *said = &event->auction_priced;
	struct auction *auction = auction_find(market, said->auction);
	if (!auction || auction->is.phase != AUCTION_CLEARS || auction->is.priced)
		return journal_invalid(info, "an auction is priced that cannot be");
	struct event_state_auction is = auction->is;
	is.priced = 1;
	is.clearing_micros = said->price_micros;
	auction_become(market, undo, auction, &is);
	return ERR_OK;
}

static enum err apply_bid_settled(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_bid_settled *said = &event->bid_settled;
	struct bid *bid = bid_find(market, said->auction, said->bid);
	struct auction *auction = bid ? auction_find(market, said->auction) : NULL;
	if (!bid || !id_equal(bid->is.org, said->buyer) || !id_equal(auction->is.seller, said->seller) ||
		said->kg < 0 || said->kg > auction->is.left_kg || said->released_micros < 0 ||
		said->forfeited_micros < 0 ||
		(__int128)said->amount_micros + said->buyer_fee_micros + said->forfeited_micros +
				said->released_micros !=
			bid->is.reserved_micros)
		return journal_invalid(info, "a bid is settled for what it did not reserve");
	const struct venue *venue = venue_of(market, auction);
	struct ledger_place money = reserved(said->buyer);
	struct sale sale = {.seller = said->seller,
		.buyer = said->buyer,
		.money = money,
		.kg = said->kg,
		.amount_micros = said->amount_micros,
		.seller_fee_micros = said->seller_fee_micros,
		.buyer_fee_micros = said->buyer_fee_micros};
	enum err err = said->kg ? settle(market, ledger, undo, auction, &sale, &event->lists, info) : ERR_OK;
	if (!err)
		err = leg_pay(ledger, undo, venue->asset, said->forfeited_micros, money, held(venue->is.house), info);
	if (!err)
		err = leg_pay(ledger, undo, venue->asset, said->released_micros, money, held(said->buyer), info);
	if (err)
		return err;
	undo_push(undo, bid_drop_revert, market, &bid->is, sizeof bid->is);
	bid_drop(market, bid);
	if (said->kg) {
		struct event_state_auction is = auction->is;
		is.left_kg -= said->kg;
		auction_become(market, undo, auction, &is);
	}
	market->auctions.look = true;
	return ERR_OK;
}

static enum err apply_auction_ended(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_auction_ended *said = &event->auction_ended;
	struct auction *auction = auction_find(market, said->auction);
	if (!auction || auction->bid_count || said->returned_kg != auction->is.left_kg ||
		said->sold_kg != auction->is.kg - auction->is.left_kg || !id_equal(said->seller, auction->is.seller))
		return journal_invalid(info, "an auction ends that cannot");
	enum err err = said->returned_kg ? ledger_move_all(ledger, undo, &event->lists, said->returned_kg,
						   auction_place(said->auction), held(said->seller), info)
					 : ERR_OK;
	if (err)
		return err;
	struct event_state_auction is = auction->is;
	is.phase = AUCTION_OVER;
	auction_become(market, undo, auction, &is);
	return ERR_OK;
}

/* ---- snapshots ---- */

static int by_number(const void *a, const void *b)
{
	const struct event_state_auction *const *first = a, *const *second = b;
	return (*first)->auction < (*second)->auction ? -1 : (*first)->auction > (*second)->auction;
}

static int by_auction_and_number(const void *a, const void *b)
{
	const struct event_state_bid *const *first = a, *const *second = b;
	if ((*first)->auction != (*second)->auction)
		return (*first)->auction < (*second)->auction ? -1 : 1;
	return (*first)->bid < (*second)->bid ? -1 : (*first)->bid > (*second)->bid;
}

enum err auctions_snapshot(const struct market *market,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info)
{
	const struct auctions *auctions = &market->auctions;
	const struct event_state_auction **sorted = calloc(auctions->count + 1, sizeof *sorted);
	const struct event_state_bid **bids = calloc(auctions->bid_map.count + 1, sizeof *bids);
	size_t count = 0, bid_count = 0;
	enum err err = sorted && bids ? ERR_OK : ERR_NO_MEMORY;
	for (uint32_t i = 1; i <= auctions->used && !err; i++)
		if (auctions->items[i].is.auction)
			sorted[count++] = &auctions->items[i].is;
	for (uint32_t i = 1; i <= auctions->bid_used && !err; i++)
		if (auctions->bids[i].is.bid)
			bids[bid_count++] = &auctions->bids[i].is;
	if (!err) {
		qsort(sorted, count, sizeof *sorted, by_number);
		qsort(bids, bid_count, sizeof *bids, by_auction_and_number);
	}
	for (size_t i = 0; i < count && !err; i++) {
		struct event event = {.header.type = EVENT_STATE_AUCTION, .state_auction = *sorted[i]};
		err = emit(context, &event, info);
	}
	for (size_t i = 0; i < bid_count && !err; i++) {
		struct event event = {.header.type = EVENT_STATE_BID, .state_bid = *bids[i]};
		err = emit(context, &event, info);
	}
	free(sorted);
	free(bids);
	return err;
}

static enum err take_auction(struct market *market, const struct event *event, struct err_info *info)
{
	const struct event_state_auction *is = &event->state_auction;
	if (is->auction == 0 || auction_find(market, is->auction) || !venue_find(market, is->market) ||
		!auction_can_be(is) || is->phase >= AUCTION_OVER)
		return journal_invalid(info, "an auction cannot be");
	auction_add(market, is);
	return ERR_OK;
}

static enum err take_bid(struct market *market, const struct event *event, struct err_info *info)
{
	const struct event_state_bid *is = &event->state_bid;
	if (is->bid == 0 || !auction_find(market, is->auction) || bid_find(market, is->auction, is->bid))
		return journal_invalid(info, "a bid cannot be");
	bid_add(market, is);
	return ERR_OK;
}

static enum err take_offers(struct market *market, const struct event *event, struct err_info *info)
{
	if (market->auctions.number)
		return journal_invalid(info, "auctions are counted twice");
	market->auctions.number = event->state_offers.auctions;
	return ERR_OK;
}

bool auction_applies(uint16_t type)
{
	return (type >= 110 && type <= 119) || (type >= EVENT_STATE_AUCTION && type <= EVENT_STATE_OFFERS);
}

enum err auction_apply(struct market *market, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info)
{
	switch (event->header.type) {
	case EVENT_AUCTION_OPENED: return apply_auction_opened(market, ledger, undo, event, info);
	case EVENT_AUCTION_STEPPED: return apply_auction_stepped(market, undo, event, info);
	case EVENT_AUCTION_TAKEN: return apply_auction_taken(market, ledger, undo, event, info);
	case EVENT_BID_COMMITTED: return apply_bid_committed(market, ledger, undo, event, info);
	case EVENT_BID_REVEALED: return apply_bid_revealed(market, undo, event, info);
	case EVENT_AUCTION_TURNED: return apply_auction_turned(market, undo, event, info);
	case EVENT_AUCTION_PRICED: return apply_auction_priced(market, undo, event, info);
	case EVENT_BID_SETTLED: return apply_bid_settled(market, ledger, undo, event, info);
	case EVENT_AUCTION_ENDED: return apply_auction_ended(market, ledger, undo, event, info);
	case EVENT_STATE_AUCTION: return take_auction(market, event, info);
	case EVENT_STATE_BID: return take_bid(market, event, info);
	case EVENT_STATE_OFFERS: return take_offers(market, event, info);
	default: return journal_invalid(info, "an event is not an auction's");
	}
}
