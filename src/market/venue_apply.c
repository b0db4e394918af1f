/* Makes the events true that say where and what is traded: markets with their sessions, classes and instruments with the links
 * between them, and who may trade. Each change can be undone. The state's thread. */
#include <stddef.h>
#include <string.h>

#include "state.h"

/* ---- markets ---- */

struct array_step {
	uint32_t *count;
};

static void array_revert(void *owner, const void *payload)
{
	(void)owner;
	struct array_step step;
	memcpy(&step, payload, sizeof step);
	--*step.count;
}

static void array_grew(struct market *market, struct undo *undo, uint32_t *count)
{
	struct array_step step = {count};
	undo_push(undo, array_revert, market, &step, sizeof step);
	++*count;
}

static enum err apply_market_opened(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_market_opened *said = &event->market_opened;
	struct venue venue = {.is = {.market = said->market,
				      .currency = said->currency,
				      .tick_micros = said->tick_micros,
				      .lot_kg = said->lot_kg,
				      .maker_ppm = said->maker_ppm,
				      .taker_ppm = said->taker_ppm,
				      .collar_ppm = said->collar_ppm,
				      .house = said->house,
				      .kind = said->kind},
		.asset = ledger_money_asset(said->currency),
		.session = {.market = said->market}};
	if (said->market != market->venue_count + 1ull || !venue.asset)
		return journal_invalid(info, "markets are out of order");
	market->venues[market->venue_count] = venue;
	array_grew(market, undo, &market->venue_count);
	return ERR_OK;
}

/* A market's state and session as they were. */
struct session_step {
	uint32_t state;
	struct event_state_session session;
};

static void session_revert(void *owner, const void *payload)
{
	struct session_step step;
	memcpy(&step, payload, sizeof step);
	struct venue *venue = venue_find(owner, step.session.market);
	venue->is.state = step.state;
	venue->session = step.session;
}

void venue_keep(struct market *market, struct undo *undo, const struct venue *venue)
{
	struct session_step step = {venue->is.state, venue->session};
	undo_push(undo, session_revert, market, &step, sizeof step);
}

static enum err apply_market_halted(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_market_halted *said = &event->market_halted;
	struct venue *venue = venue_find(market, said->market);
	if (!venue)
		return journal_invalid(info, "there is no such market");
	venue_keep(market, undo, venue);
	venue->is.state = said->state;
	venue->session.until_us = said->until_us;
	venue->session.closes_us = said->closes_us;
	venue->session.clearing_class = 0;
	venue->session.clearing_micros = 0;
	market->look = market->auctions.look = true;
	return ERR_OK;
}

#define HOURS_OF(record) (&(record)->mon_open) /* fourteen minutes of the day, in order */
_Static_assert(offsetof(struct event_state_session, sun_close) - offsetof(struct event_state_session, mon_open) ==
		       13 * sizeof(uint32_t),
	"trading hours lie in order");

static enum err apply_market_scheduled(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_market_scheduled *said = &event->market_scheduled;
	struct venue *venue = venue_find(market, said->market);
	if (!venue || said->schedule_version != venue->session.schedule_version + 1)
		return journal_invalid(info, "schedules are out of order");
	venue_keep(market, undo, venue);
	struct event_state_session *is = &venue->session;
	is->schedule_version = said->schedule_version;
	is->closes_us = said->closes_us;
	is->static_ppm = said->static_ppm;
	is->dynamic_ppm = said->dynamic_ppm;
	is->interruption_us = said->interruption_us;
	is->auction_us = said->auction_us;
	is->calendar = said->calendar;
	memcpy(HOURS_OF(is), HOURS_OF(said), 14 * sizeof(uint32_t));
	return ERR_OK;
}

/* ---- which instrument takes which class ---- */

static void link_add(struct market *market, uint32_t class_item, uint32_t instrument_item)
{
	struct class *class = &market->classes[class_item];
	struct instrument *instrument = &market->instruments[instrument_item];
	if (!instrument_takes(market, instrument, &class->is, &market->class_verifiers[class_item]))
		return;
	market->links[market->link_used] = (struct link){.class_item = class_item,
		.instrument_item = instrument_item,
		.asks = class->asks,
		.bids = instrument->bids,
		.next_of_class = class->first_link,
		.next_of_instrument = instrument->first_link};
	class->first_link = instrument->first_link = market->link_used++;
}

/* Takes the links of the newest class or instrument back. */
static void links_drop(struct market *market, uint32_t count)
{
	for (; count > 0; count--) {
		const struct link *link = &market->links[--market->link_used];
		market->classes[link->class_item].first_link = link->next_of_class;
		market->instruments[link->instrument_item].first_link = link->next_of_instrument;
	}
}

static void verifiers_put(struct verifier_set *set, const struct record_lists *lists)
{
	set->count = (uint32_t)lists->verifier_count;
	if (set->count)
		memcpy(set->orgs, lists->verifiers, set->count * sizeof set->orgs[0]);
}

static void class_put(struct market *market, const struct event_state_class *is, const struct record_lists *lists)
{
	uint32_t item = market->class_count++;
	struct class *class = &market->classes[item];
	if (item == market->class_made) {
		market->class_made++;
		class->asks = book_ladder_add(market->book, BOOK_ASK);
		class->sell_stops = book_ladder_add(market->book, BOOK_BID);
		class->sell_trails = book_ladder_add(market->book, BOOK_ASK);
	}
	class->is = *is;
	class->first_link = 0;
	verifiers_put(&market->class_verifiers[item], lists);
	for (uint32_t i = 0; i < market->instrument_count; i++)
		link_add(market, item, i);
}

static void class_revert(void *owner, const void *payload)
{
	struct market *market = owner;
	uint32_t links;
	memcpy(&links, payload, sizeof links);
	links_drop(market, links);
	market->class_count--;
}

static enum err apply_class_opened(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_class_opened *said = &event->class_opened;
	if (said->class_number != market->class_count + 1ull || !venue_find(market, said->market) ||
		!verifiers_are_sorted(event->lists.verifiers, event->lists.verifier_count))
		return journal_invalid(info, "classes are out of order");
	uint32_t links = market->link_used;
	class_put(market,
		&(struct event_state_class){.class_number = said->class_number,
			.market = said->market,
			.methodology = said->methodology,
			.country = said->country,
			.durability = said->durability,
			.vintage = said->vintage},
		&event->lists);
	links = market->link_used - links;
	undo_push(undo, class_revert, market, &links, sizeof links);
	return ERR_OK;
}

static void instrument_put(
	struct market *market, const struct event_state_instrument *is, const struct record_lists *lists)
{
	uint32_t item = market->instrument_count++;
	struct instrument *instrument = &market->instruments[item];
	if (item == market->instrument_made) {
		market->instrument_made++;
		instrument->bids = book_ladder_add(market->book, BOOK_BID);
		instrument->buy_stops = book_ladder_add(market->book, BOOK_ASK);
		instrument->buy_trails = book_ladder_add(market->book, BOOK_BID);
	}
	instrument->is = *is;
	instrument->first_link = 0;
	verifiers_put(&market->instrument_verifiers[item], lists);
	for (uint32_t i = 0; i < market->class_count; i++)
		link_add(market, i, item);
}

static void instrument_revert(void *owner, const void *payload)
{
	struct market *market = owner;
	uint32_t links;
	memcpy(&links, payload, sizeof links);
	links_drop(market, links);
	market->instrument_count--;
}

static enum err apply_instrument_listed(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_instrument_listed *said = &event->instrument_listed;
	if (said->instrument != market->instrument_count + 1ull || !venue_find(market, said->market) ||
		!verifiers_are_sorted(event->lists.verifiers, event->lists.verifier_count))
		return journal_invalid(info, "instruments are out of order");
	uint32_t links = market->link_used;
	instrument_put(market,
		&(struct event_state_instrument){.instrument = said->instrument,
			.market = said->market,
			.code = said->code,
			.batch = said->batch,
			.methodology = said->methodology,
			.country = said->country,
			.durabilities = said->durabilities,
			.vintage_from = said->vintage_from,
			.vintage_to = said->vintage_to,
			.version = said->version,
			.verifiers_least = said->verifiers_least},
		&event->lists);
	links = market->link_used - links;
	undo_push(undo, instrument_revert, market, &links, sizeof links);
	return ERR_OK;
}

/* ---- who may trade ---- */

static uint32_t stopped_at(const struct market *market, struct id org)
{
	uint32_t at = 0;
	while (at < market->stopped_count && id_compare(market->stopped[at], org) < 0)
		at++;
	return at;
}

bool trader_is_stopped(const struct market *market, struct id org)
{
	uint32_t at = stopped_at(market, org);
	return at < market->stopped_count && id_equal(market->stopped[at], org);
}

static void trader_flip(void *owner, const void *payload)
{
	struct market *market = owner;
	struct id org;
	memcpy(&org, payload, sizeof org);
	uint32_t at = stopped_at(market, org), behind = market->stopped_count - at;
	if (trader_is_stopped(market, org)) {
		memmove(&market->stopped[at], &market->stopped[at + 1], (behind - 1) * sizeof org);
		market->stopped_count--;
		return;
	}
	memmove(&market->stopped[at + 1], &market->stopped[at], behind * sizeof org);
	market->stopped[at] = org;
	market->stopped_count++;
}

static enum err apply_trader_stopped(
	struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_trader_stopped *said = &event->trader_stopped;
	if (trader_is_stopped(market, said->org) == (said->stopped != 0))
		return journal_invalid(info, "a trader is stopped twice");
	trader_flip(market, &said->org);
	undo_push(undo, trader_flip, market, &said->org, sizeof said->org);
	return ERR_OK;
}

/* ---- snapshots ---- */

static enum err take_market(struct market *market, const struct event *event, struct err_info *info)
{
	const struct event_state_market *is = &event->state_market;
	struct venue venue = {.is = *is, .asset = ledger_money_asset(is->currency), .session = {.market = is->market}};
	if (is->market != market->venue_count + 1ull || !venue.asset)
		return journal_invalid(info, "markets are out of order");
	market->venues[market->venue_count++] = venue;
	return ERR_OK;
}

static enum err take_class(struct market *market, const struct event *event, struct err_info *info)
{
	if (event->state_class.class_number != market->class_count + 1ull ||
		!venue_find(market, event->state_class.market) ||
		!verifiers_are_sorted(event->lists.verifiers, event->lists.verifier_count))
		return journal_invalid(info, "classes are out of order");
	class_put(market, &event->state_class, &event->lists);
	return ERR_OK;
}

static enum err take_instrument(struct market *market, const struct event *event, struct err_info *info)
{
	if (event->state_instrument.instrument != market->instrument_count + 1ull ||
		!venue_find(market, event->state_instrument.market) ||
		!verifiers_are_sorted(event->lists.verifiers, event->lists.verifier_count))
		return journal_invalid(info, "instruments are out of order");
	instrument_put(market, &event->state_instrument, &event->lists);
	return ERR_OK;
}

static enum err take_session(struct market *market, const struct event *event, struct err_info *info)
{
	struct venue *venue = venue_find(market, event->state_session.market);
	if (!venue)
		return journal_invalid(info, "there is no such market");
	venue->session = event->state_session;
	return ERR_OK;
}

static enum err take_trader(struct market *market, const struct event *event, struct err_info *info)
{
	if (trader_is_stopped(market, event->state_trader.org))
		return journal_invalid(info, "a trader is stopped twice");
	trader_flip(market, &event->state_trader.org);
	return ERR_OK;
}

enum err venue_apply(struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	switch (event->header.type) {
	case EVENT_MARKET_OPENED: return apply_market_opened(market, undo, event, info);
	case EVENT_MARKET_HALTED: return apply_market_halted(market, undo, event, info);
	case EVENT_CLASS_OPENED: return apply_class_opened(market, undo, event, info);
	case EVENT_INSTRUMENT_LISTED: return apply_instrument_listed(market, undo, event, info);
	case EVENT_TRADER_LIMITED: return trader_limit_apply(market, undo, event, info);
	case EVENT_TRADER_STOPPED: return apply_trader_stopped(market, undo, event, info);
	case EVENT_MARKET_SCHEDULED: return apply_market_scheduled(market, undo, event, info);
	case EVENT_STATE_SESSION: return take_session(market, event, info);
	case EVENT_STATE_MARKET: return take_market(market, event, info);
	case EVENT_STATE_CLASS: return take_class(market, event, info);
	case EVENT_STATE_INSTRUMENT: return take_instrument(market, event, info);
	case EVENT_STATE_TRADER_LIMIT: return trader_limit_take(market, event, info);
	case EVENT_STATE_TRADER: return take_trader(market, event, info);
	default: return journal_invalid(info, "an event is not the market's");
	}
}
