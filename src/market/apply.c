/* Makes the market's events true: orders, book and ledger change together, and each change can be undone. The state's thread. */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

/* ---- orders and their places ---- */

static uint64_t order_hash(const struct market *market, struct id id)
{
	return map_hash_bytes(market->seed, &id, sizeof id);
}

static void taking_add(struct market *market, struct order *order)
{
	uint32_t item = (uint32_t)(order - market->orders);
	order->previous = 0;
	order->next = market->taking;
	if (market->taking)
		market->orders[market->taking].previous = item;
	market->taking = item;
}

static void taking_remove(struct market *market, struct order *order)
{
	*(order->previous ? &market->orders[order->previous].next : &market->taking) = order->next;
	if (order->next)
		market->orders[order->next].previous = order->previous;
	order->previous = order->next = 0;
}

/* The ladder of trailing stops that this one is in, and the last trade beyond which its stop moves. */
static uint32_t trail_ladder(const struct market *market, const struct event_state_order *is)
{
	return is->side == ORDER_SELL ? market->classes[is->class_number - 1].sell_trails
				      : market->instruments[is->instrument - 1].buy_trails;
}

static int64_t trail_mark(const struct event_state_order *is)
{
	return is->side == ORDER_SELL ? is->stop_micros + is->trail_micros : is->stop_micros - is->trail_micros;
}

/* Whether an order can have a place: a record from outside may say anything. Without kilograms it is done. */
static bool order_can_be(const struct event_state_order *is)
{
	bool sleeps = is->state == ORDER_SLEEPS;
	return is->left_kg == 0 ||
	       (is->left_kg > 0 && is->left_kg <= MARKET_KG_MAX && is->shown_now_kg > 0 &&
		       is->shown_now_kg <= is->left_kg && is->price_micros > 0 &&
		       is->price_micros <= MARKET_PRICE_MAX && is->stop_micros >= sleeps &&
		       is->stop_micros <= MARKET_PRICE_MAX && is->trail_micros >= 0 &&
		       is->trail_micros <= MARKET_PRICE_MAX && (!sleeps || !is->trail_micros || trail_mark(is) > 0) &&
		       is->expires_us >= 0 && is->expires_us < INT64_MAX && is->number > 0);
}

/* Puts an order where its state says. */
static void seat(struct market *market, struct order *order)
{
	const struct event_state_order *is = &order->is;
	order->slot = order->trail_slot = order->end_slot = 0;
	if (is->state == ORDER_TAKES) {
		taking_add(market, order);
		return;
	}
	bool sleeps = is->state == ORDER_SLEEPS;
	struct book_order place = {.number = is->number,
		.rank = is->rank,
		.price = sleeps ? is->stop_micros : is->price_micros,
		.kg = sleeps ? is->left_kg : is->shown_now_kg,
		.detail = (uint32_t)(order - market->orders),
		.ladder = order_ladder(market, order)};
	order->slot = book_put(market->book, &place);
	market->sleepers += sleeps;
	if (sleeps && is->trail_micros) {
		place.price = trail_mark(is);
		place.ladder = trail_ladder(market, is);
		order->trail_slot = book_put(market->book, &place);
	}
	if (is->expires_us) {
		place.rank = is->number;
		place.price = is->expires_us;
		place.ladder = market->ends;
		order->end_slot = book_put(market->book, &place);
	}
}

/* Takes it away from where `state` said. */
static void unseat(struct market *market, struct order *order, uint32_t state)
{
	if (state == ORDER_TAKES) {
		taking_remove(market, order);
		return;
	}
	market->sleepers -= state == ORDER_SLEEPS;
	book_take(market->book, order->slot);
	if (order->trail_slot)
		book_take(market->book, order->trail_slot);
	if (order->end_slot)
		book_take(market->book, order->end_slot);
	order->slot = order->trail_slot = order->end_slot = 0;
}

static struct order *order_add(struct market *market, const struct event_state_order *is, uint32_t account)
{
	uint32_t item = market->order_free;
	if (item)
		market->order_free = market->orders[item].next;
	else
		item = ++market->order_used;
	struct order *order = &market->orders[item];
	*order = (struct order){.is = *is, .account = account};
	map_put(&market->order_map, order_hash(market, is->order), item);
	market->order_count++;
	order->exposure = exposure_of(market, is->org, is->market);
	exposure_add(market, item);
	seat(market, order);
	return order;
}

static void order_drop(struct market *market, struct order *order)
{
	uint32_t item = (uint32_t)(order - market->orders);
	unseat(market, order, order->is.state);
	exposure_remove(market, item);
	map_remove(&market->order_map, order_hash(market, order->is.order), item);
	*order = (struct order){.next = market->order_free};
	market->order_free = item;
	market->order_count--;
}

static void order_add_revert(void *owner, const void *payload)
{
	struct market *market = owner;
	struct id id;
	memcpy(&id, payload, sizeof id);
	struct order *order = order_find(market, id);
	if (order) /* the command may have ended it as well */
		order_drop(market, order);
}

#define ORDER_KEPT offsetof(struct order, slot) /* what an undo puts back; where it lies follows */
_Static_assert(ORDER_KEPT <= UNDO_PAYLOAD_MAX, "an order fits in a step of the undo log");

/* Back to what it was before the command, whether it is there or done. */
static void order_revert(void *owner, const void *payload)
{
	struct market *market = owner;
	struct order was;
	memcpy(&was, payload, ORDER_KEPT);
	struct order *order = order_find(market, was.is.order);
	if (!order) {
		order_add(market, &was.is, was.account);
		return;
	}
	int64_t price = order->is.price_micros, kg = order->is.left_kg;
	unseat(market, order, order->is.state);
	order->is = was.is;
	exposure_change(market, order, price, kg);
	seat(market, order);
}

/* What of an order its place and what its organisation has open follow from, as it was before a change. */
struct before {
	uint64_t rank;
	int64_t price_micros, stop_micros, left_kg, shown_now_kg;
	uint32_t state;
};

/* An order is to change: it is recorded as it is, but only once a command, since an undo takes all of a command back. */
static struct before change_begin(const struct market *market, struct undo *undo, struct order *order)
{
	const struct event_state_order *is = &order->is;
	if (undo && order->kept != undo_era(undo)) {
		order->kept = undo_era(undo);
		undo_push(undo, order_revert, (void *)(uintptr_t)market, order, ORDER_KEPT);
	}
	return (struct before){is->rank, is->price_micros, is->stop_micros, is->left_kg, is->shown_now_kg, is->state};
}

/* Whether it may be what it has become; if not, it lies yet where it was. */
static bool change_can_be(struct order *order, const struct before *was)
{
	struct event_state_order *is = &order->is;
	if (order_can_be(is))
		return true;
	is->rank = was->rank;
	is->price_micros = was->price_micros;
	is->stop_micros = was->stop_micros;
	is->left_kg = was->left_kg;
	is->shown_now_kg = was->shown_now_kg;
	is->state = was->state;
	return false;
}

/* It has changed; with nothing left it is done. */
static void change_end(struct market *market, struct order *order, const struct before *was)
{
	struct event_state_order *is = &order->is;
	exposure_change(market, order, was->price_micros, was->left_kg);
	if (is->left_kg == 0) {
		is->state = was->state; /* where it lies yet */
		order_drop(market, order);
		return;
	}
	bool stays = order->slot && is->state == was->state && is->rank == was->rank &&
		     is->price_micros == was->price_micros && is->stop_micros == was->stop_micros;
	if (stays && was->shown_now_kg != is->shown_now_kg && is->state == ORDER_RESTS)
		book_cut(market->book, order->slot, was->shown_now_kg - is->shown_now_kg);
	else if (stays && is->state == ORDER_SLEEPS && was->left_kg != is->left_kg)
		book_cut(market->book, order->slot, was->left_kg - is->left_kg);
	if (!stays) {
		unseat(market, order, was->state);
		seat(market, order);
	}
	if (is->state == ORDER_SLEEPS)
		market->look = true;
}

/* ---- counters ---- */

struct number_step {
	uint64_t *number;
	uint64_t before;
};

static void number_revert(void *owner, const void *payload)
{
	(void)owner;
	struct number_step step;
	memcpy(&step, payload, sizeof step);
	*step.number = step.before;
}

void number_set(struct market *market, struct undo *undo, uint64_t *number, uint64_t value)
{
	struct number_step step = {number, *number};
	undo_push(undo, number_revert, market, &step, sizeof step);
	*number = value;
}

/* ---- ledger legs ---- */

enum err leg_pay(struct ledger *ledger, struct undo *undo, uint64_t asset, int64_t micros, struct ledger_place from,
	struct ledger_place to, struct err_info *info)
{
	if (micros == 0)
		return ERR_OK;
	enum err err = ERR_INSUFFICIENT_FUNDS;
	if (micros > 0)
		err = ledger_pay(ledger, undo, asset, micros, from, to);
	else if (micros > INT64_MIN)
		err = ledger_pay(ledger, undo, asset, -micros, to, from);
	return err ? err_set(info, err, "/price", "the account does not hold this amount") : ERR_OK;
}

/* So much of an order's money becomes held or reserved; below zero the other way, 0: nothing. */
static enum err money_becomes(struct ledger *ledger, struct undo *undo, uint32_t account, int64_t micros,
	enum kg_state to, struct err_info *info)
{
	if (micros == 0)
		return ERR_OK;
	enum kg_state from = to == KG_HELD ? KG_RESERVED : KG_HELD;
	enum err err = ERR_INSUFFICIENT_FUNDS;
	if (micros > 0)
		err = ledger_pay_within(ledger, undo, account, micros, from, to);
	else if (micros > INT64_MIN)
		err = ledger_pay_within(ledger, undo, account, -micros, to, from);
	return err ? err_set(info, err, "/price", "the account does not hold this amount") : ERR_OK;
}

/* ---- orders ---- */

static enum err apply_order_placed(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_order_placed *said = &event->order_placed;
	bool sells = said->side == ORDER_SELL;
	if (said->number != market->order_number + 1 || !venue_find(market, said->market) || said->kg <= 0 ||
		id_is_none(said->org) || order_find(market, said->order) ||
		(sells ? !class_find(market, said->class_number) : !instrument_find(market, said->instrument)))
		return journal_invalid(info, "an order is out of order");
	struct event_state_order is = {.order = said->order,
		.org = said->org,
		.number = said->number,
		.rank = event->header.number,
		.market = said->market,
		.class_number = said->class_number,
		.batch = said->batch,
		.instrument = said->instrument,
		.price_micros = said->price_micros,
		.stop_micros = said->stop_micros,
		.trail_micros = said->trail_micros,
		.kg = said->kg,
		.left_kg = said->kg,
		.shown_now_kg = said->shown_kg < said->kg ? said->shown_kg : said->kg,
		.shown_kg = said->shown_kg,
		.minimum_kg = said->minimum_kg,
		.reserved_micros = said->reserved_micros,
		.expires_us = said->expires_us,
		.maker_ppm = said->maker_ppm,
		.taker_ppm = said->taker_ppm,
		.side = said->side,
		.type = said->type,
		.tif = said->tif,
		.stp = said->stp,
		.post_only = said->post_only,
		.hidden = said->hidden,
		.state = said->state};
	if (!order_can_be(&is))
		return journal_invalid(info, "an order cannot be");
	uint32_t account =
		ledger_account(ledger, said->org, sells ? said->batch : market->venues[said->market - 1].asset);
	enum err err =
		sells ? ledger_move_within(ledger, undo, account, &event->lists, said->kg, KG_HELD, KG_LISTED, info)
		      : money_becomes(ledger, undo, account, said->reserved_micros, KG_RESERVED, info);
	if (err)
		return err;
	number_set(market, undo, &market->order_number, said->number);
	struct order *order = order_add(market, &is, account);
	undo_push(undo, order_add_revert, market, &is.order, sizeof is.order);
	order->kept = undo ? undo_era(undo) : 0; /* it will be gone */
	market->near = (uint32_t)(order - market->orders);
	if (is.state == ORDER_SLEEPS)
		market->look = true;
	return ERR_OK;
}

struct last_step {
	uint64_t class_number, trade;
	int64_t micros, reference_micros;
};

static void last_revert(void *owner, const void *payload)
{
	struct last_step step;
	memcpy(&step, payload, sizeof step);
	struct class *class = class_find(owner, step.class_number);
	class->is.last_micros = step.micros;
	class->is.last_trade = step.trade;
	class->is.reference_micros = step.reference_micros;
}

static void last_set(struct market *market, struct undo *undo, struct class *class, const struct event_traded *said)
{
	struct last_step step = {
		class->is.class_number, class->is.last_trade, class->is.last_micros, class->is.reference_micros};
	undo_push(undo, last_revert, market, &step, sizeof step);
	if (!class->is.reference_micros)
		class->is.reference_micros = said->price_micros;
	market->look = true; /* at the class's old price, too: it may be new for an instrument of several classes */
	class->is.last_micros = said->price_micros;
	class->is.last_trade = said->trade;
}

struct seal_step {
	uint32_t at;
	struct hash was;
};

static void seal_revert(void *owner, const void *payload)
{
	struct seal_step step;
	memcpy(&step, payload, sizeof step);
	((struct market *)owner)->seals[step.at] = step.was;
}

static void seal_set(struct market *market, struct undo *undo, uint64_t trade, struct hash seal)
{
	uint32_t at = (uint32_t)((trade - 1) % MARKET_TRADES_KEPT);
	struct seal_step step = {at, market->seals[at]};
	undo_push(undo, seal_revert, market, &step, sizeof step);
	market->seals[at] = seal;
}

/* Delivery versus payment: the legs of a trade. */
static enum err settle(struct market *market, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info)
{
	const struct event_traded *said = &event->traded;
	uint64_t asset = market->venues[said->market - 1].asset;
	struct ledger_place house = held(market->venues[said->market - 1].is.house), seller = held(said->seller),
			    buyer = held(said->buyer), money = reserved(said->buyer);
	enum err err = ledger_move_all(ledger, undo, &event->lists, said->kg, listed(said->seller), buyer, info);
	if (!err)
		err = leg_pay(ledger, undo, asset, said->amount_micros, money, seller, info);
	bool rebate = said->buyer_fee_micros < 0; /* the house gives it of what the seller pays */
	if (!err && !rebate)
		err = leg_pay(ledger, undo, asset, said->buyer_fee_micros, money, house, info);
	if (!err)
		err = leg_pay(ledger, undo, asset, said->seller_fee_micros, seller, house, info);
	if (!err && rebate)
		err = leg_pay(ledger, undo, asset, said->buyer_fee_micros, buyer, house, info);
	if (!err)
		err = leg_pay(ledger, undo, asset, said->released_micros, money, buyer, info);
	return err;
}

static enum err apply_traded(struct market *market, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info)
{
	const struct event_traded *said = &event->traded;
	struct order *maker = order_find(market, said->maker), *taker = order_find(market, said->taker);
	struct class *class = class_find(market, said->class_number);
	if (!maker || !taker || maker == taker || !class || said->trade != market->trade_number + 1 || said->kg <= 0 ||
		maker->is.left_kg < said->kg || taker->is.left_kg < said->kg || maker->is.state != ORDER_RESTS ||
		!venue_find(market, said->market) ||
		!id_equal(said->taker_side == ORDER_BUY ? said->buyer : said->seller, taker->is.org) ||
		!id_equal(said->taker_side == ORDER_BUY ? said->seller : said->buyer, maker->is.org))
		return journal_invalid(info, "a trade names orders that cannot trade");
	enum err err = settle(market, ledger, undo, event, info);
	if (err)
		return err;
	struct before maker_was = change_begin(market, undo, maker), taker_was = change_begin(market, undo, taker);
	struct event_state_order *makes = &maker->is, *takes = &taker->is;
	struct event_state_order *buys = said->taker_side == ORDER_BUY ? takes : makes;
	buys->reserved_micros -=
		said->amount_micros + said->released_micros + (said->buyer_fee_micros > 0 ? said->buyer_fee_micros : 0);
	makes->left_kg -= said->kg;
	takes->left_kg -= said->kg;
	makes->shown_now_kg = said->maker_shown_kg;
	int64_t shown = takes->state == ORDER_RESTS ? takes->shown_now_kg : takes->shown_kg; /* rests: at an auction */
	takes->shown_now_kg = shown < takes->left_kg ? shown : takes->left_kg;
	if (said->refreshed)
		makes->rank = event->header.number;
	if (!change_can_be(maker, &maker_was) || !change_can_be(taker, &taker_was))
		return journal_invalid(info, "a trade leaves an order that cannot be");
	number_set(market, undo, &market->trade_number, said->trade);
	change_end(market, maker, &maker_was);
	change_end(market, taker, &taker_was);
	last_set(market, undo, class, said);
	seal_set(market, undo, said->trade,
		trade_seal(&(struct event_trade_busted){.trade = said->trade,
				   .market = said->market,
				   .seller = said->seller,
				   .buyer = said->buyer,
				   .kg = said->kg,
				   .amount_micros = said->amount_micros,
				   .seller_fee_micros = said->seller_fee_micros,
				   .buyer_fee_micros = said->buyer_fee_micros},
			&event->lists));
	return ERR_OK;
}

/* The legs of a trade the other way round; the house gives back what it took before it takes what it gave. */
static enum err apply_trade_busted(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_trade_busted *said = &event->trade_busted;
	const struct venue *venue = venue_find(market, said->market);
	if (!venue || said->trade == 0 || said->trade > market->trade_number ||
		said->trade + MARKET_TRADES_KEPT <= market->trade_number ||
		!hash_equal(market->seals[(said->trade - 1) % MARKET_TRADES_KEPT], trade_seal(said, &event->lists)))
		return journal_invalid(info, "a trade is undone that is not known");
	struct ledger_place seller = held(said->seller), buyer = held(said->buyer), house = held(venue->is.house);
	int64_t fees[] = {said->seller_fee_micros, said->buyer_fee_micros};
	struct ledger_place payers[] = {seller, buyer};
	enum err err = ledger_move_all(ledger, undo, &event->lists, said->kg, buyer, seller, info);
	if (err)
		return err_set(info, ERR_TRADE_MOVED_ON, "/trade", "the buyer no longer holds the serials");
	for (int i = 0; i < 2 && !err; i++)
		if (fees[i] > 0)
			err = leg_pay(ledger, undo, venue->asset, fees[i], house, payers[i], info);
	if (!err)
		err = leg_pay(ledger, undo, venue->asset, said->amount_micros, seller, buyer, info);
	for (int i = 0; i < 2 && !err; i++)
		if (fees[i] < 0)
			err = leg_pay(ledger, undo, venue->asset, -fees[i], payers[i], house, info);
	if (!err)
		seal_set(market, undo, said->trade, (struct hash){0});
	return err;
}

/* ---- auctions ---- */

static enum err apply_class_cleared(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_class_cleared *said = &event->class_cleared;
	struct class *class = class_find(market, said->class_number);
	struct venue *venue = class ? venue_find(market, class->is.market) : NULL;
	if (!venue || venue->is.state != MARKET_CLEARING || said->price_micros <= 0 ||
		venue->session.clearing_class >= said->class_number)
		return journal_invalid(info, "a class is cleared out of order");
	venue_keep(market, undo, venue);
	venue->session.clearing_class = said->class_number;
	venue->session.clearing_micros = said->price_micros;
	struct last_step step = {
		class->is.class_number, class->is.last_trade, class->is.last_micros, class->is.reference_micros};
	undo_push(undo, last_revert, market, &step, sizeof step);
	class->is.reference_micros = said->price_micros;
	return ERR_OK;
}

/* ---- dead-man switches ---- */

static void watch_put(struct market *market, const struct watch *watch)
{
	uint32_t at = watch_at(market, watch->org), behind = market->watch_count - at;
	bool there = behind && id_equal(market->watches[at].org, watch->org);
	if (there && !watch->deadline_us) {
		memmove(&market->watches[at], &market->watches[at + 1], (behind - 1) * sizeof *watch);
		market->watch_count--;
	} else if (there) {
		market->watches[at] = *watch;
	} else if (watch->deadline_us) {
		memmove(&market->watches[at + 1], &market->watches[at], behind * sizeof *watch);
		market->watches[at] = *watch;
		market->watch_count++;
	}
}

static void watch_revert(void *owner, const void *payload)
{
	struct watch was;
	memcpy(&was, payload, sizeof was);
	watch_put(owner, &was);
}

static enum err apply_cancel_after_set(struct market *market, struct undo *undo, const struct event *event)
{
	const struct event_cancel_after_set *said = &event->cancel_after_set;
	uint32_t at = watch_at(market, said->org);
	struct watch was = {.org = said->org}, is = {.org = said->org, .deadline_us = said->deadline_us};
	if (at < market->watch_count && id_equal(market->watches[at].org, said->org))
		was = market->watches[at];
	undo_push(undo, watch_revert, market, &was, sizeof was);
	watch_put(market, &is);
	return ERR_OK;
}

static enum err apply_order_rested(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	struct order *order = order_find(market, event->order_rested.order);
	if (!order || order->is.state != ORDER_TAKES || order->is.left_kg != event->order_rested.kg)
		return journal_invalid(info, "an order rests that did not come");
	struct before was = change_begin(market, undo, order);
	order->is.state = ORDER_RESTS;
	order->is.rank = event->header.number;
	change_end(market, order, &was);
	return ERR_OK;
}

static enum err apply_order_reduced(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_order_reduced *said = &event->order_reduced;
	struct order *order = order_find(market, said->order);
	if (!order || !id_equal(order->is.org, said->org) || said->kg <= 0 ||
		order->is.left_kg - said->kg != said->left_kg || said->left_kg < 0 ||
		(order->is.side == ORDER_SELL && said->released_micros))
		return journal_invalid(info, "an order loses what it does not have");
	struct event_state_order *is = &order->is;
	enum err err = is->side == ORDER_SELL
			       ? ledger_move_within(ledger, undo, order->account, &event->lists, said->kg, KG_LISTED,
					 KG_HELD, info)
			       : money_becomes(ledger, undo, order->account, said->released_micros, KG_HELD, info);
	if (err)
		return err;
	struct before was = change_begin(market, undo, order);
	is->left_kg = said->left_kg;
	is->shown_now_kg = said->shown_kg;
	is->reserved_micros -= said->released_micros;
	if (is->minimum_kg > is->left_kg)
		is->minimum_kg = is->left_kg;
	if (order_is_ending(market, is))
		is->state = ORDER_TAKES; /* it leaves the book, and an order_work takes the rest */
	if (!change_can_be(order, &was))
		return journal_invalid(info, "an order that is left cannot be");
	change_end(market, order, &was);
	return ERR_OK;
}

static enum err apply_order_amended(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_order_amended *said = &event->order_amended;
	struct order *order = order_find(market, said->order);
	if (!order || !id_equal(order->is.org, said->org) || said->kg < order->is.left_kg || said->kg > MARKET_KG_MAX)
		return journal_invalid(info, "an amendment lowers what order_reduced lowers");
	struct event_state_order *is = &order->is;
	int64_t more_kg = said->kg - is->left_kg;
	enum err err = ERR_OK;
	if (is->side == ORDER_SELL && more_kg)
		err = ledger_move_within(
			ledger, undo, order->account, &event->lists, more_kg, KG_HELD, KG_LISTED, info);
	else if (is->side == ORDER_BUY)
		err = money_becomes(ledger, undo, order->account, said->reserved_micros, KG_RESERVED, info);
	if (err)
		return err;
	struct before was = change_begin(market, undo, order);
	bool all = is->minimum_kg && is->minimum_kg == is->left_kg, whole = is->shown_kg >= is->kg;
	is->kg += more_kg;
	is->left_kg = said->kg;
	is->shown_kg = whole ? is->kg : is->shown_kg;
	is->minimum_kg = all ? is->left_kg : is->minimum_kg;
	is->price_micros = said->price_micros;
	is->reserved_micros += said->reserved_micros;
	is->shown_now_kg = is->shown_kg < is->left_kg ? is->shown_kg : is->left_kg;
	is->rank = event->header.number;
	if (is->state == ORDER_RESTS)
		is->state = ORDER_TAKES;
	if (!change_can_be(order, &was))
		return journal_invalid(info, "an amended order cannot be");
	change_end(market, order, &was);
	return ERR_OK;
}

static enum err apply_order_woken(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	struct order *order = order_find(market, event->order_woken.order);
	if (!order || order->is.state != ORDER_SLEEPS)
		return journal_invalid(info, "an order wakes that does not sleep");
	struct before was = change_begin(market, undo, order);
	order->is.state = ORDER_TAKES;
	order->is.price_micros = event->order_woken.price_micros;
	if (!change_can_be(order, &was))
		return journal_invalid(info, "a woken order cannot be");
	change_end(market, order, &was);
	return ERR_OK;
}

static enum err apply_order_trailed(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	struct order *order = order_find(market, event->order_trailed.order);
	if (!order || order->is.state != ORDER_SLEEPS || !order->is.trail_micros)
		return journal_invalid(info, "an order trails that does not");
	struct before was = change_begin(market, undo, order);
	order->is.stop_micros = event->order_trailed.stop_micros;
	if (!change_can_be(order, &was))
		return journal_invalid(info, "a stop trails to where it cannot be");
	change_end(market, order, &was);
	return ERR_OK;
}

/* ---- snapshots ---- */

static enum err take_order(
	struct market *market, struct ledger *ledger, const struct event *event, struct err_info *info)
{
	const struct event_state_order *is = &event->state_order;
	bool sells = is->side == ORDER_SELL;
	if (!venue_find(market, is->market) || id_is_none(is->order) || id_is_none(is->org) ||
		order_find(market, is->order) ||
		(sells ? !class_find(market, is->class_number) : !instrument_find(market, is->instrument)) ||
		is->left_kg == 0 || !order_can_be(is) || is->number <= market->taken) /* they come by number */
		return journal_invalid(info, "an order cannot be");
	market->taken = is->number;
	order_add(
		market, is, ledger_account(ledger, is->org, sells ? is->batch : market->venues[is->market - 1].asset));
	market->look = true;
	return ERR_OK;
}

static enum err take_trading(struct market *market, const struct event *event)
{
	market->order_number = event->state_trading.orders;
	market->trade_number = event->state_trading.trades;
	return ERR_OK;
}

static enum err take_trade(struct market *market, const struct event *event, struct err_info *info)
{
	uint64_t trade = event->state_trade.trade;
	if (trade == 0 || trade > market->trade_number || trade + MARKET_TRADES_KEPT <= market->trade_number)
		return journal_invalid(info, "a trade is too old");
	market->seals[(trade - 1) % MARKET_TRADES_KEPT] = event->state_trade.seal;
	return ERR_OK;
}

static enum err take_watch(struct market *market, const struct event *event)
{
	watch_put(market, &(struct watch){event->state_cancel_after.org, event->state_cancel_after.deadline_us});
	return ERR_OK;
}

/* What takes no other room than that of orders. */
static bool is_trading(uint16_t type)
{
	return (type >= EVENT_ORDER_PLACED && type <= EVENT_ORDER_AMENDED) || type == EVENT_STATE_ORDER;
}

enum err market_apply(struct market *market, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info)
{
	if (!is_trading(event->header.type))
		market->has_room = false;
	switch (event->header.type) {
	case EVENT_ORDER_PLACED: return apply_order_placed(market, ledger, undo, event, info);
	case EVENT_TRADED: return apply_traded(market, ledger, undo, event, info);
	case EVENT_ORDER_RESTED: return apply_order_rested(market, undo, event, info);
	case EVENT_ORDER_REDUCED: return apply_order_reduced(market, ledger, undo, event, info);
	case EVENT_ORDER_AMENDED: return apply_order_amended(market, ledger, undo, event, info);
	case EVENT_ORDER_WOKEN: return apply_order_woken(market, undo, event, info);
	case EVENT_ORDER_TRAILED: return apply_order_trailed(market, undo, event, info);
	case EVENT_CLASS_CLEARED: return apply_class_cleared(market, undo, event, info);
	case EVENT_TRADE_BUSTED: return apply_trade_busted(market, ledger, undo, event, info);
	case EVENT_CANCEL_AFTER_SET: return apply_cancel_after_set(market, undo, event);
	case EVENT_STATE_TRADE: return take_trade(market, event, info);
	case EVENT_STATE_CANCEL_AFTER: return take_watch(market, event);
	case EVENT_STATE_ORDER: return take_order(market, ledger, event, info);
	case EVENT_STATE_TRADING: return take_trading(market, event);
	default:
		if (auction_applies(event->header.type))
			return auction_apply(market, ledger, undo, event, info);
		return pool_applies(event->header.type) ? pool_apply(market, ledger, undo, event, info)
							: venue_apply(market, undo, event, info);
	}
}
