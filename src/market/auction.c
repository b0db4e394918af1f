/* Decides what may be offered, taken and bid, and when an auction turns, clears and ends (docs/AUCTIONS.md). The state's thread. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/decimal.h"
#include "state.h"

#define INTERVAL_LEAST_US CLOCK_US_PER_SECOND

/* ---- opening ---- */

static bool is_price(const struct event_state_market *rules, int64_t price)
{
	return price >= rules->tick_micros && price % rules->tick_micros == 0 && price <= MARKET_PRICE_MAX;
}

static enum err dutch_check(
	const struct command_auction_open *asked, const struct event_state_market *rules, struct err_info *info)
{
	if (!is_price(rules, asked->floor_micros) || asked->floor_micros > asked->price_micros)
		return REFUSE(info, ERR_INVALID_FIELD, "/floor", "/floor must be a price not above /price");
	if (!is_price(rules, asked->step_micros))
		return REFUSE(info, ERR_INVALID_FIELD, "/step", "/step must be a multiple of the tick");
	if (asked->interval_us < INTERVAL_LEAST_US || asked->interval_us > AUCTION_INTERVAL_MOST_US)
		return REFUSE(info, ERR_INVALID_FIELD, "/interval_s", "/interval_s must be a second to a year");
	if (asked->ends_us == 0)
		return REFUSE(info, ERR_MISSING_FIELD, "/ends_at", "a dutch auction has an end");
	return ERR_OK;
}

static enum err sealed_check(const struct command_auction_open *asked, struct err_info *info)
{
	if (asked->ends_us == 0 || asked->reveals_until_us <= asked->ends_us)
		return REFUSE(info, ERR_INVALID_FIELD, "/reveals_until",
			"/reveals_until must be after /ends_at, where the commitments end");
	if (asked->forfeit_ppm < 0 || asked->forfeit_ppm > 1000000)
		return REFUSE(info, ERR_INVALID_FIELD, "/forfeit_ppm", "/forfeit_ppm must be 0..1000000");
	if (asked->kind == AUCTION_SECOND_PRICE && asked->lot_kg != asked->kg)
		return REFUSE(info, ERR_INVALID_FIELD, "/lot_kg", "a second-price auction has a single lot");
	return ERR_OK;
}

static enum err terms_check(const struct command_auction_open *asked, const struct event_state_market *rules,
	int64_t now_us, struct err_info *info)
{
	bool sealed = asked->kind >= AUCTION_FIRST_PRICE;
	if (asked->kind >= AUCTION_KIND_COUNT)
		return REFUSE(info, ERR_INVALID_FIELD, "/kind", "/kind is not one that is known");
	if (asked->kg < 1 || asked->kg > MARKET_KG_MAX || asked->lot_kg < 1 || asked->kg % asked->lot_kg)
		return REFUSE(info, ERR_INVALID_FIELD, "/kg", "/kg must be a multiple of /lot_kg, 1..%lld",
			(long long)MARKET_KG_MAX);
	if (!is_price(rules, asked->price_micros))
		return REFUSE(info, ERR_INVALID_FIELD, "/price", "/price must be a multiple of the tick of %lld micros",
			(long long)rules->tick_micros);
	if (asked->ends_us && asked->ends_us <= now_us)
		return REFUSE(info, ERR_INVALID_FIELD, "/ends_at", "/ends_at must lie in the future");
	if (asked->kind != AUCTION_DUTCH && (asked->floor_micros || asked->step_micros || asked->interval_us))
		return REFUSE(info, ERR_INVALID_FIELD, "/floor", "only the price of a dutch auction falls");
	if (!sealed && (asked->reveals_until_us || asked->forfeit_ppm))
		return REFUSE(info, ERR_INVALID_FIELD, "/reveals_until", "only sealed bids are revealed");
	if (asked->kind == AUCTION_DUTCH)
		return dutch_check(asked, rules, info);
	return sealed ? sealed_check(asked, info) : ERR_OK;
}

/* Who acts in an auction of this market, and may. */
static enum err trader_check(const struct deciding *at, const struct event_state_market *rules)
{
	struct id org = at->call->command->org;
	if (id_is_none(org))
		return REFUSE(at->info, ERR_FORBIDDEN, "", "only an organisation trades");
	if (trader_is_stopped(at->market, org))
		return REFUSE(at->info, ERR_TRADER_STOPPED, "", "the organisation's trading is stopped");
	if (rules->state != MARKET_OPEN)
		return REFUSE(at->info, ERR_MARKET_CLOSED, "", "the market is halted");
	return ERR_OK;
}

static enum err serials_find(const struct deciding *at, uint64_t batch, struct ledger_place place, int64_t kg,
	struct serial_range ranges[EVENTS_RANGES_MAX], size_t *ret_count)
{
	enum err err = ledger_pick(at->ledger, batch, place, kg, ranges, EVENTS_RANGES_MAX, ret_count);
	if (err == ERR_INSUFFICIENT_KG)
		return REFUSE(at->info, err, "/kg", "the organisation holds %lld kg of batch %llu",
			(long long)ledger_amount(at->ledger, batch, place), (unsigned long long)batch);
	return err ? REFUSE(at->info, err, "/kg", "that many kilograms lie in more than %d ranges", EVENTS_RANGES_MAX)
		   : ERR_OK;
}

enum err decide_auction_open(const struct deciding *at)
{
	const struct command *command = at->call->command;
	const struct command_auction_open *asked = &command->auction_open;
	const struct venue *venue = venue_find(at->market, asked->market);
	struct serial_range ranges[EVENTS_RANGES_MAX];
	struct market_attributes attributes;
	size_t count = 0;
	if (!venue)
		return REFUSE(at->info, ERR_NOT_FOUND, "/market", "there is no such market");
	if (!at->batches->attributes(at->batches->context, asked->batch, &attributes) ||
		(uint32_t)attributes.kind != venue->is.kind)
		return REFUSE(at->info, ERR_NOT_FOUND, "/batch", "there is no such batch of the market's kind");
	enum err err = trader_check(at, &venue->is);
	if (!err)
		err = terms_check(asked, &venue->is, at->call->now_us, at->info);
	if (!err)
		err = at->batches->movable(at->batches->context, command->org, asked->batch, at->info);
	if (!err && at->market->auctions.count >= AUCTIONS_MOST)
		err = REFUSE(at->info, ERR_OFFERS_FULL, "", "at most %d auctions run at once", AUCTIONS_MOST);
	if (!err)
		err = serials_find(at, asked->batch, held(command->org), asked->kg, ranges, &count);
	if (err)
		return err;
	at->call->number = at->market->auctions.number + 1;
	struct event event = {.auction_opened = {.auction = at->call->number,
				      .seller = command->org,
				      .market = asked->market,
				      .batch = asked->batch,
				      .kg = asked->kg,
				      .lot_kg = asked->lot_kg,
				      .price_micros = asked->price_micros,
				      .floor_micros = asked->floor_micros,
				      .step_micros = asked->step_micros,
				      .interval_us = asked->interval_us,
				      .ends_us = asked->ends_us,
				      .reveals_until_us = asked->reveals_until_us,
				      .forfeit_ppm = asked->forfeit_ppm,
				      .maker_ppm = venue->is.maker_ppm,
				      .taker_ppm = venue->is.taker_ppm,
				      .kind = asked->kind},
		.lists = {.ranges = ranges, .range_count = count}};
	return decision_emit(at->call, EVENT_AUCTION_OPENED, &event, at->info);
}

/* ---- ending ---- */

/* All bids are done: what was not sold goes back. */
static enum err auction_end(const struct deciding *at, const struct auction *auction, enum auction_reason reason)
{
	const struct event_state_auction *is = &auction->is;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = 0;
	assert(auction->bid_count == 0);
	/* what was listed in so many ranges still lies in no more of them */
	enum err err = is->left_kg
			       ? serials_find(at, is->batch, auction_place(is->auction), is->left_kg, ranges, &count)
			       : ERR_OK;
	struct event event = {.auction_ended = {.auction = is->auction,
				      .seller = is->seller,
				      .sold_kg = is->kg - is->left_kg,
				      .returned_kg = is->left_kg,
				      .reason = is->left_kg ? (uint32_t)reason : AUCTION_SOLD},
		.lists = {.ranges = ranges, .range_count = count}};
	return err ? err : decision_emit(at->call, EVENT_AUCTION_ENDED, &event, at->info);
}

static enum err auction_named(const struct deciding *at, uint64_t number, const struct auction **ret_auction)
{
	*ret_auction = auction_find(at->market, number);
	if (*ret_auction)
		return ERR_OK;
	return number && number <= at->market->auctions.number
		       ? REFUSE(at->info, ERR_AUCTION_DONE, "", "the auction is over")
		       : REFUSE(at->info, ERR_NOT_FOUND, "", "there is no such auction");
}

static enum err turn(struct decision *call, uint64_t auction, enum auction_phase phase, enum auction_reason reason,
	struct err_info *info)
{
	struct event event = {
		.auction_turned = {.auction = auction, .phase = (uint32_t)phase, .reason = (uint32_t)reason}};
	return decision_emit(call, EVENT_AUCTION_TURNED, &event, info);
}

enum err decide_auction_cancel(const struct deciding *at)
{
	const struct command *command = at->call->command;
	const struct command_auction_cancel *asked = &command->auction_cancel;
	const struct auction *auction;
	enum err err = auction_named(at, asked->auction, &auction);
	if (err)
		return err;
	const struct event_state_auction *is = &auction->is;
	if (asked->forced > 1)
		return REFUSE(at->info, ERR_INVALID_FIELD, "/forced", "/forced must be true or false");
	if (!asked->forced && !id_equal(is->seller, command->org))
		return REFUSE(at->info, ERR_FORBIDDEN, "", "the auction is another organisation's");
	if (is->phase >= AUCTION_CLEARS ||
		(!asked->forced && is->phase != AUCTION_TAKES && (auction->bid_count || is->phase != AUCTION_COMMITS)))
		return REFUSE(at->info, ERR_AUCTION_PHASE, "", "there are bids, or the auction clears");
	at->call->number = is->auction;
	return auction->bid_count ? turn(at->call, is->auction, AUCTION_ENDS, AUCTION_CANCELLED, at->info)
				  : auction_end(at, auction, AUCTION_CANCELLED);
}

/* ---- taking ---- */

static enum err take_check(const struct deciding *at, const struct event_state_auction *is, int64_t *ret_kg)
{
	const struct command *command = at->call->command;
	const struct command_auction_take *asked = &command->auction_take;
	struct err_info why;
	*ret_kg = asked->kg;
	if (is->phase != AUCTION_TAKES)
		return REFUSE(at->info, ERR_AUCTION_PHASE, "", "the auction takes sealed bids");
	if (is->ends_us && is->ends_us <= at->call->now_us)
		return REFUSE(at->info, ERR_AUCTION_DONE, "", "the auction's time is over");
	if (id_equal(is->seller, command->org))
		return REFUSE(at->info, ERR_OWN_AUCTION, "", "the auction is the organisation's own");
	if (asked->kg < 1 || asked->kg % is->lot_kg || asked->partial > 1)
		return REFUSE(
			at->info, ERR_INVALID_FIELD, "/kg", "/kg must be a multiple of %lld", (long long)is->lot_kg);
	if (is->price_micros > asked->limit_micros)
		return REFUSE(at->info, ERR_PRICE_LIMIT, "/limit", "the price is %lld micros a tonne",
			(long long)is->price_micros);
	if (trader_is_stopped(at->market, is->seller) ||
		at->batches->movable(at->batches->context, is->seller, is->batch, &why))
		return REFUSE(at->info, ERR_AUCTION_PHASE, "", "the seller may not sell now");
	if (asked->kg > is->left_kg && asked->partial)
		*ret_kg = is->left_kg;
	else if (asked->kg > is->left_kg)
		return REFUSE(at->info, ERR_AUCTION_LEFT, "/kg", "%lld kg are left", (long long)is->left_kg);
	return at->batches->movable(at->batches->context, command->org, 0, at->info);
}

enum err decide_auction_take(const struct deciding *at)
{
	const struct command *command = at->call->command;
	const struct auction *auction;
	int64_t kg = 0;
	enum err err = auction_named(at, command->auction_take.auction, &auction);
	if (err)
		return err;
	const struct event_state_auction is = auction->is;
	const struct venue *venue = venue_find(at->market, is.market);
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = 0;
	err = trader_check(at, &venue->is);
	if (!err)
		err = take_check(at, &is, &kg);
	if (!err)
		err = serials_find(at, is.batch, auction_place(is.auction), kg, ranges, &count);
	if (err)
		return err;
	int64_t amount = market_amount(is.price_micros, kg);
	struct event event = {.auction_taken = {.auction = is.auction,
				      .seller = is.seller,
				      .buyer = command->org,
				      .price_micros = is.price_micros,
				      .kg = kg,
				      .amount_micros = amount,
				      .seller_fee_micros = market_fee(amount, is.maker_ppm),
				      .buyer_fee_micros = market_fee(amount, is.taker_ppm),
				      .left_kg = is.left_kg - kg},
		.lists = {.ranges = ranges, .range_count = count}};
	at->call->number = is.auction;
	err = money_may_leave(at, command->org, is.market, amount + event.auction_taken.buyer_fee_micros, false);
	if (!err)
		err = decision_emit(at->call, EVENT_AUCTION_TAKEN, &event, at->info);
	return err || is.left_kg > kg ? err : auction_end(at, auction_find(at->market, is.auction), AUCTION_SOLD);
}

/* ---- sealed bids ---- */

static uint32_t bids_of(const struct market *market, const struct auction *auction, struct id org)
{
	uint32_t count = 0;
	for (uint32_t i = auction->first_bid; i; i = market->auctions.bids[i].next)
		count += id_equal(market->auctions.bids[i].is.org, org);
	return count;
}

static enum err commit_check(const struct deciding *at, const struct auction *auction)
{
	const struct command *command = at->call->command;
	const struct command_bid_commit *asked = &command->bid_commit;
	const struct event_state_auction *is = &auction->is;
	int64_t least = market_amount(is->price_micros, is->lot_kg);
	if (is->phase != AUCTION_COMMITS || is->ends_us <= at->call->now_us)
		return REFUSE(at->info, ERR_AUCTION_PHASE, "", "the auction takes no commitments now");
	if (id_equal(is->seller, command->org))
		return REFUSE(at->info, ERR_OWN_AUCTION, "", "the auction is the organisation's own");
	if (hash_is_none(asked->commitment) || asked->all_or_none > 1)
		return REFUSE(at->info, ERR_INVALID_FIELD, "/commitment", "a bid has a commitment");
	if (asked->maximum_micros < least || asked->maximum_micros > LEDGER_MICROS_MAX)
		return REFUSE(
			at->info, ERR_AMOUNT_INVALID, "/maximum", "/maximum is at least %lld micros", (long long)least);
	if (auction->bid_count >= AUCTION_BIDS_MOST || is->bids >= AUCTION_COMMITS_MOST)
		return REFUSE(at->info, ERR_OFFERS_FULL, "", "the auction has as many bids as it may have");
	if (bids_of(at->market, auction, command->org) >= AUCTION_BIDS_OF_ONE)
		return REFUSE(at->info, ERR_OFFERS_FULL, "", "an organisation has at most %d bids in an auction",
			AUCTION_BIDS_OF_ONE);
	return at->batches->movable(at->batches->context, command->org, 0, at->info);
}

enum err decide_bid_commit(const struct deciding *at)
{
	const struct command *command = at->call->command;
	const struct command_bid_commit *asked = &command->bid_commit;
	const struct auction *auction;
	enum err err = auction_named(at, asked->auction, &auction);
	if (err)
		return err;
	err = trader_check(at, &venue_find(at->market, auction->is.market)->is);
	if (!err)
		err = commit_check(at, auction);
	if (err)
		return err;
	at->call->number = auction->is.bids + 1;
	struct event event = {.bid_committed = {.auction = asked->auction,
				      .bid = at->call->number,
				      .org = command->org,
				      .commitment = asked->commitment,
				      .maximum_micros = asked->maximum_micros,
				      .reserved_micros = asked->maximum_micros +
							 market_fee(asked->maximum_micros, auction->is.taker_ppm),
				      .all_or_none = asked->all_or_none}};
	err = money_may_leave(at, command->org, auction->is.market, event.bid_committed.reserved_micros, true);
	return err ? err : decision_emit(at->call, EVENT_BID_COMMITTED, &event, at->info);
}

static enum err own_bid(const struct deciding *at, uint64_t auction, uint64_t number, enum auction_phase phase,
	const struct bid **ret_bid)
{
	const struct auction *of;
	enum err err = auction_named(at, auction, &of);
	if (err)
		return err;
	*ret_bid = bid_find(at->market, auction, number);
	if (!*ret_bid || !id_equal((*ret_bid)->is.org, at->call->command->org))
		return REFUSE(at->info, ERR_BID_DONE, "", "the organisation has no such bid, or it is done");
	int64_t end_us = phase == AUCTION_COMMITS ? of->is.ends_us : of->is.reveals_until_us;
	if (of->is.phase != (uint32_t)phase || end_us <= at->call->now_us)
		return REFUSE(at->info, ERR_AUCTION_PHASE, "", "it is not the time for this");
	at->call->number = number;
	return ERR_OK;
}

/* A bid that ends without a sale. */
static enum err bid_end(
	const struct deciding *at, const struct bid *bid, enum bid_reason reason, int64_t forfeited_micros)
{
	const struct event_state_bid *is = &bid->is;
	struct event event = {.bid_settled = {.auction = is->auction,
				      .bid = is->bid,
				      .seller = auction_find(at->market, is->auction)->is.seller,
				      .buyer = is->org,
				      .forfeited_micros = forfeited_micros,
				      .released_micros = is->reserved_micros - forfeited_micros,
				      .reason = (uint32_t)reason}};
	return decision_emit(at->call, EVENT_BID_SETTLED, &event, at->info);
}

enum err decide_bid_withdraw(const struct deciding *at)
{
	const struct command_bid_withdraw *asked = &at->call->command->bid_withdraw;
	const struct bid *bid;
	enum err err = own_bid(at, asked->auction, asked->bid, AUCTION_COMMITS, &bid);
	return err ? err : bid_end(at, bid, BID_WITHDRAWN, 0);
}

enum err decide_bid_reveal(const struct deciding *at)
{
	const struct command *command = at->call->command;
	const struct command_bid_reveal *asked = &command->bid_reveal;
	const struct bid *bid;
	enum err err = own_bid(at, asked->auction, asked->bid, AUCTION_REVEALS, &bid);
	if (err)
		return err;
	const struct event_state_auction *is = &auction_find(at->market, asked->auction)->is;
	if (bid->is.kg)
		return REFUSE(at->info, ERR_BID_DONE, "", "the bid is revealed");
	if (asked->kg < 1 || asked->kg > is->kg || asked->kg % is->lot_kg)
		return REFUSE(at->info, ERR_INVALID_FIELD, "/kg", "/kg must be a multiple of %lld, up to %lld",
			(long long)is->lot_kg, (long long)is->kg);
	if (!is_price(&venue_find(at->market, is->market)->is, asked->price_micros))
		return REFUSE(at->info, ERR_INVALID_FIELD, "/price", "/price must be a multiple of the tick");
	struct hash made =
		market_commitment(asked->auction, command->org, asked->kg, asked->price_micros, asked->nonce);
	if (!hash_equal(made, bid->is.commitment))
		return REFUSE(at->info, ERR_COMMITMENT_MISMATCH, "", "kg, price and nonce do not make the commitment");
	if (market_amount(asked->price_micros, asked->kg) > bid->is.maximum_micros)
		return REFUSE(at->info, ERR_PRICE_LIMIT, "/price", "price × kg is more than the declared maximum");
	struct event event = {.bid_revealed = {.auction = asked->auction,
				      .bid = asked->bid,
				      .org = command->org,
				      .kg = asked->kg,
				      .price_micros = asked->price_micros,
				      .nonce = asked->nonce}};
	return decision_emit(at->call, EVENT_BID_REVEALED, &event, at->info);
}

/* ---- what goes on by itself ---- */

struct due {
	int64_t deadline_us;
	uint64_t auction;
};

static int due_compare(const void *a, const void *b)
{
	const struct due *first = a, *second = b;
	if (first->deadline_us != second->deadline_us)
		return first->deadline_us < second->deadline_us ? -1 : 1;
	return first->auction < second->auction ? -1 : first->auction > second->auction;
}

static enum err dutch_step(
	struct decision *call, const struct event_state_auction *is, int64_t due_us, struct err_info *info)
{
	int64_t steps = (due_us - is->next_us) / is->interval_us + 1;
	int64_t most = (is->price_micros - is->floor_micros + is->step_micros - 1) / is->step_micros;
	bool rests = steps >= most; /* at its floor */
	struct event event = {
		.auction_stepped = {.auction = is->auction,
			.price_micros = rests ? is->floor_micros : is->price_micros - steps * is->step_micros,
			.next_us = rests || is->price_micros - steps * is->step_micros == is->floor_micros
					   ? 0
					   : is->next_us + steps * is->interval_us}};
	return decision_emit(call, EVENT_AUCTION_STEPPED, &event, info);
}

static enum err auction_step(
	struct decision *call, const struct auction *auction, int64_t due_us, struct err_info *info)
{
	const struct event_state_auction *is = &auction->is;
	if (is->phase == AUCTION_REVEALS)
		return turn(call, is->auction, AUCTION_CLEARS, AUCTION_TIME, info);
	if (is->phase == AUCTION_COMMITS && auction->bid_count)
		return turn(call, is->auction, AUCTION_REVEALS, AUCTION_TIME, info);
	return is->ends_us && is->ends_us <= due_us ? turn(call, is->auction, AUCTION_ENDS, AUCTION_TIME, info)
						    : dutch_step(call, is, due_us, info);
}

enum err auctions_tick(struct market *market, struct decision *call, int64_t due_us, struct err_info *info)
{
	struct auctions *auctions = &market->auctions;
	if (due_us < auctions->next_due_us)
		return ERR_OK;
	struct due *due = malloc(((size_t)auctions->count + 1) * sizeof *due);
	size_t count = 0;
	int64_t next_us = INT64_MAX;
	if (!due)
		return ERR_NO_MEMORY;
	for (uint32_t i = 1; i <= auctions->used; i++) {
		const struct event_state_auction *is = &auctions->items[i].is;
		int64_t deadline_us = is->auction ? auction_due_us(is) : INT64_MAX;
		if (deadline_us <= due_us)
			due[count++] = (struct due){deadline_us, is->auction};
		else if (deadline_us < next_us)
			next_us = deadline_us;
	}
	qsort(due, count, sizeof *due, due_compare);
	if (count > AUCTION_TURNS_MOST)
		next_us = due[AUCTION_TURNS_MOST].deadline_us; /* the rest with the next tick */
	auctions->next_due_us = next_us;
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && i < AUCTION_TURNS_MOST && !err; i++)
		err = auction_step(call, auction_find(market, due[i].auction), due_us, info);
	if (err)
		auctions->next_due_us = INT64_MIN; /* it was undone */
	free(due);
	return err;
}

enum err auctions_recall(
	struct market *market, struct decision *call, struct id org, uint64_t batch, struct err_info *info)
{
	const struct auctions *auctions = &market->auctions;
	enum err err = ERR_OK;
	size_t turned = 0;
	for (uint32_t i = 1; i <= auctions->used && turned < AUCTION_TURNS_MOST && !err; i++) {
		const struct event_state_auction *is = &auctions->items[i].is;
		if (is->auction == 0 || is->phase >= AUCTION_ENDS || (batch && is->batch != batch) ||
			(!id_is_none(org) && !id_equal(is->seller, org)))
			continue;
		turned++;
		err = turn(call, is->auction, AUCTION_ENDS, AUCTION_RECALLED, info);
	}
	return err;
}

static bool is_due(const struct market *market, const struct event_state_auction *is)
{
	return is->phase == AUCTION_ENDS ||
	       (is->phase == AUCTION_CLEARS && venue_find(market, is->market)->is.state == MARKET_OPEN);
}

bool auctions_due(struct market *market, uint64_t *ret_auction)
{
	struct auctions *auctions = &market->auctions;
	uint64_t first = 0;
	if (!auctions->look || !auctions->working)
		return false;
	for (uint32_t i = 1; i <= auctions->used; i++) {
		const struct event_state_auction *is = &auctions->items[i].is;
		if (is->auction && is_due(market, is) && (!first || is->auction < first))
			first = is->auction;
	}
	auctions->look = first != 0;
	*ret_auction = first;
	return first != 0;
}

/* ---- clearing ---- */

static bool is_barred(const struct deciding *at, struct id org)
{
	struct err_info why;
	return trader_is_stopped(at->market, org) || at->batches->movable(at->batches->context, org, 0, &why);
}

static void bids_collect(const struct deciding *at, const struct auction *auction, struct clearing_bid *bids)
{
	size_t count = 0;
	for (uint32_t i = auction->first_bid; i; i = at->market->auctions.bids[i].next) {
		const struct event_state_bid *is = &at->market->auctions.bids[i].is;
		bids[count++] = (struct clearing_bid){.bid = is->bid,
			.org = is->org,
			.maximum_micros = is->maximum_micros,
			.kg = is->kg,
			.price_micros = is->price_micros,
			.all_or_none = is->all_or_none != 0,
			.barred = is_barred(at, is->org)};
	}
	assert(count == auction->bid_count);
}

static enum err auction_price(const struct deciding *at, const struct clearing *clearing)
{
	struct event event = {.auction_priced = {.auction = clearing->auction,
				      .price_micros = clearing->clearing_micros,
				      .kg = clearing->sold_kg,
				      .winners = clearing->winners}};
	return decision_emit(at->call, EVENT_AUCTION_PRICED, &event, at->info);
}

/* `*room`: how many ranges the command may touch yet; where they do not do, nothing happens and it becomes 0. */
static enum err bid_win(
	const struct deciding *at, const struct event_state_auction *is, const struct clearing_bid *won, size_t *room)
{
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = 0;
	enum err err =
		ledger_pick(at->ledger, is->batch, auction_place(is->auction), won->sold_kg, ranges, *room, &count);
	if (err) { /* it holds what it sells, in no more ranges than one command may touch */
		assert(err == ERR_COMMAND_TOO_LARGE && *room < EVENTS_RANGES_MAX);
		*room = 0;
		return ERR_OK;
	}
	*room -= count;
	int64_t price = is->clearing_micros ? is->clearing_micros : won->price_micros;
	int64_t amount = market_amount(price, won->sold_kg), fee = market_fee(amount, is->taker_ppm);
	struct event event = {
		.bid_settled = {.auction = is->auction,
			.bid = won->bid,
			.seller = is->seller,
			.buyer = won->org,
			.price_micros = price,
			.kg = won->sold_kg,
			.amount_micros = amount,
			.seller_fee_micros = market_fee(amount, is->maker_ppm),
			.buyer_fee_micros = fee,
			.released_micros =
				bid_find(at->market, is->auction, won->bid)->is.reserved_micros - amount - fee,
			.reason = BID_WON},
		.lists = {.ranges = ranges, .range_count = count}};
	return decision_emit(at->call, EVENT_BID_SETTLED, &event, at->info);
}

/* Settles bids in the order of the clearing. Those that are left are cleared alike by the next command, for what is left. */
static enum err bids_settle(const struct deciding *at, uint64_t auction, const struct clearing_bid *bids, size_t count)
{
	size_t room = EVENTS_RANGES_MAX;
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && i < AUCTION_SETTLED_MOST && room && !err; i++) {
		const struct event_state_auction is = auction_find(at->market, auction)->is;
		err = bids[i].outcome == BID_WON ? bid_win(at, &is, &bids[i], &room)
						 : bid_end(at, bid_find(at->market, auction, bids[i].bid),
							   bids[i].outcome, bids[i].forfeited_micros);
	}
	return err;
}

static enum err auction_clear(const struct deciding *at, const struct auction *auction)
{
	const struct event_state_auction *is = &auction->is;
	struct err_info why;
	if (!is->priced && (trader_is_stopped(at->market, is->seller) ||
				   at->batches->movable(at->batches->context, is->seller, is->batch, &why)))
		return turn(at->call, is->auction, AUCTION_ENDS, AUCTION_RECALLED, at->info);
	size_t count = auction->bid_count;
	struct clearing clearing = {.auction = is->auction,
		.kind = (enum auction_kind)is->kind,
		.kg = is->left_kg,
		.reserve_micros = is->price_micros,
		.forfeit_ppm = is->forfeit_ppm};
	struct clearing_bid *bids = calloc(count + 1, sizeof *bids);
	if (!bids)
		return ERR_NO_MEMORY;
	bids_collect(at, auction, bids);
	market_clear(&clearing, bids, count);
	enum err err = is->priced ? ERR_OK : auction_price(at, &clearing);
	if (!err)
		err = bids_settle(at, clearing.auction, bids, count);
	free(bids);
	return err;
}

static enum err bids_release(const struct deciding *at, const struct auction *auction)
{
	enum err err = ERR_OK;
	for (int i = 0; auction->first_bid && i < AUCTION_SETTLED_MOST && !err; i++)
		err = bid_end(at, &at->market->auctions.bids[auction->first_bid], BID_RELEASED, 0);
	return err;
}

enum err decide_auction_work(const struct deciding *at)
{
	const struct auction *auction;
	enum err err = auction_named(at, at->call->command->auction_work.auction, &auction);
	if (err)
		return err;
	const struct event_state_auction is = auction->is;
	if (!is_due(at->market, &is))
		return REFUSE(at->info, ERR_AUCTION_PHASE, "", "the auction is not due");
	err = is.phase == AUCTION_CLEARS ? auction_clear(at, auction) : bids_release(at, auction);
	auction = auction_find(at->market, is.auction);
	return err || auction->bid_count ? err : auction_end(at, auction, (enum auction_reason)auction->is.reason);
}
