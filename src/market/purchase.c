/* Decides purchases: finds the sources, splits, and has each part done by the command that does it alone (docs/ROUTING.md). The
 * state's thread. */
#include <string.h>

#include "carbond/base/decimal.h"
#include "state.h"

struct purchasing {
	const struct deciding *at;
	const struct command_purchase *asked;
	const struct instrument *instrument;
	const struct event_state_market *rules; /* of the market */
	int64_t kg; /* asked for, by itself or by the lines; 0: as much as the maximum buys */
	struct market_source sources[ROUTE_SOURCES_MOST];
	size_t count;
	struct market_route route;
};

/* What was bought so far, in all and in the part at hand. */
struct tally {
	const struct deciding *at;
	struct market_purchase *bought;
	int64_t kg, micros, fee_micros;
	int64_t part_kg, part_micros, part_fee_micros;
	uint32_t parts;
};

/* ---- sources ---- */

static void sources_book(struct purchasing *purchasing)
{
	const struct deciding *at = purchasing->at;
	const struct event_state_market *rules = purchasing->rules;
	const struct event_state_order is = {.org = at->call->command->org,
		.market = rules->market,
		.instrument = purchasing->asked->instrument,
		.price_micros = MARKET_PRICE_MAX,
		.left_kg = MARKET_KG_MAX - MARKET_KG_MAX % rules->lot_kg,
		.side = ORDER_BUY};
	struct order_step steps[MARKET_TRADES_MOST];
	size_t count = order_steps(at->market, at->batches, &is, steps);
	for (size_t i = 0; i < count; i++)
		purchasing->sources[purchasing->count++] = (struct market_source){.source = ROUTE_BOOK,
			.price_micros = steps[i].price_micros,
			.kg = steps[i].kg,
			.lot_kg = rules->lot_kg,
			.fee_ppm = rules->taker_ppm};
}

static bool is_before(const struct market_source *a, const struct market_source *b)
{
	if (a->unit_micros != b->unit_micros)
		return a->unit_micros < b->unit_micros;
	return a->source != b->source ? a->source < b->source : a->number < b->number;
}

/* Keeps the `most` first of the sources from `from` on, in their order. */
static void source_add(struct purchasing *purchasing, size_t from, size_t most, struct market_source source)
{
	struct market_source *sources = purchasing->sources;
	source.unit_micros = market_source_unit(&source);
	if (purchasing->asked->limit_micros && source.unit_micros > purchasing->asked->limit_micros)
		return;
	if (purchasing->count == from + most) {
		if (!is_before(&source, &sources[purchasing->count - 1]))
			return;
		purchasing->count--;
	}
	size_t place = purchasing->count++;
	for (; place > from && is_before(&source, &sources[place - 1]); place--)
		sources[place] = sources[place - 1];
	sources[place] = source;
}

static bool takes_batch(const struct purchasing *purchasing, uint64_t batch)
{
	const struct market_register *batches = purchasing->at->batches;
	struct market_attributes has;
	return batches->attributes(batches->context, batch, &has) &&
	       instrument_takes_batch(purchasing->at->market, purchasing->asked->instrument, batch, &has);
}

static bool sells(const struct purchasing *purchasing, const struct event_state_auction *is)
{
	const struct deciding *at = purchasing->at;
	struct err_info why;
	return is->auction && is->kind <= AUCTION_DUTCH && is->phase == AUCTION_TAKES && is->left_kg &&
	       is->market == purchasing->rules->market && (!is->ends_us || is->ends_us > at->call->now_us) &&
	       !id_equal(is->seller, at->call->command->org) && takes_batch(purchasing, is->batch) &&
	       !trader_is_stopped(at->market, is->seller) &&
	       !at->batches->movable(at->batches->context, is->seller, is->batch, &why);
}

static void sources_offers(struct purchasing *purchasing)
{
	const struct auctions *auctions = &purchasing->at->market->auctions;
	size_t from = purchasing->count;
	for (uint32_t i = 1; i <= auctions->used; i++) {
		const struct event_state_auction *is = &auctions->items[i].is;
		if (!sells(purchasing, is))
			continue;
		struct market_source source = {.source = is->kind == AUCTION_LISTING ? ROUTE_LISTING : ROUTE_DUTCH,
			.number = is->auction,
			.price_micros = is->price_micros,
			.kg = is->left_kg,
			.lot_kg = is->lot_kg,
			.fee_ppm = is->taker_ppm};
		source_add(purchasing, from, ROUTE_OFFERS_MOST, source);
	}
}

/* Whether a pool gives nothing but what the instrument takes. */
static bool pool_fits(const struct purchasing *purchasing, const struct pool *pool)
{
	const struct market *market = purchasing->at->market;
	const struct market_wants asked = instrument_wants(market, purchasing->instrument);
	const struct market_wants takes = instrument_wants(market, instrument_find(market, pool->is.instrument));
	if (pool->is.market != purchasing->rules->market || pool->is.state != POOL_OPEN)
		return false;
	if (market_covers(&asked, &takes))
		return true;
	bool fits = pool->batch_count <= ROUTE_POOL_LOOKS_MOST;
	for (uint32_t item = pool->first; item && fits; item = market->pools.batches[item].next)
		fits = takes_batch(purchasing, market->pools.batches[item].is.batch);
	return fits;
}

static void sources_pools(struct purchasing *purchasing)
{
	const struct pools *pools = &purchasing->at->market->pools;
	size_t from = purchasing->count;
	for (uint32_t i = 0; i < pools->count; i++) {
		struct market_source source = {
			.source = ROUTE_POOL, .number = i + 1ull, .lot_kg = 1, .pool = &pools->items[i].is};
		if (pool_fits(purchasing, &pools->items[i]) && market_source_unit(&source) <= ROUTE_UNIT_MAX)
			source_add(purchasing, from, ROUTE_POOLS_MOST, source);
	}
}

/* ---- what may be asked ---- */

static enum err purchase_check(struct purchasing *purchasing, int64_t lines_kg)
{
	const struct deciding *at = purchasing->at;
	const struct command *command = at->call->command;
	const struct command_purchase *asked = purchasing->asked;
	struct err_info *info = at->info;
	purchasing->instrument = instrument_find(at->market, asked->instrument);
	if (id_is_none(command->org))
		return REFUSE(info, ERR_FORBIDDEN, "", "only an organisation buys");
	if (trader_is_stopped(at->market, command->org))
		return REFUSE(info, ERR_TRADER_STOPPED, "", "the organisation's trading is stopped");
	if (!purchasing->instrument)
		return REFUSE(info, ERR_NOT_FOUND, "/instrument", "there is no such instrument");
	if (!instrument_is_newest(at->market, purchasing->instrument))
		return REFUSE(info, ERR_INVALID_FIELD, "/instrument", "the instrument has a newer version");
	if (asked->kg < 0 || asked->kg > MARKET_KG_MAX || lines_kg > MARKET_KG_MAX)
		return REFUSE(info, ERR_INVALID_FIELD, "/kg", "/kg must be 1..%lld", (long long)MARKET_KG_MAX);
	if (lines_kg && asked->kg && asked->kg != lines_kg)
		return REFUSE(info, ERR_INVALID_FIELD, "/kg", "the lines come to %lld kg", (long long)lines_kg);
	if (asked->partial > 1 || (asked->partial && lines_kg))
		return REFUSE(info, ERR_INVALID_FIELD, "/partial", "lines with kilograms are retired as a whole");
	if (asked->maximum_micros < 1 || asked->maximum_micros > POOL_MICROS_MAX)
		return REFUSE(info, ERR_INVALID_FIELD, "/maximum", "a purchase names what it may cost at most");
	if (asked->limit_micros < 0 || asked->limit_micros > ROUTE_UNIT_MAX)
		return REFUSE(info, ERR_INVALID_FIELD, "/limit", "/limit is beyond the allowed prices");
	if (asked->expires_us && asked->expires_us <= at->call->now_us)
		return REFUSE(info, ERR_QUOTE_EXPIRED, "/expires_at", "the time of the purchase is over");
	purchasing->rules = &venue_find(at->market, purchasing->instrument->is.market)->is;
	if (purchasing->rules->state != MARKET_OPEN)
		return REFUSE(info, ERR_MARKET_CLOSED, "", "the market is not open");
	purchasing->kg = asked->kg ? asked->kg : lines_kg;
	return at->batches->movable(at->batches->context, command->org, 0, info);
}

/* Splits what is asked; refuses what there is not, or is too dear. */
static enum err purchase_split(struct purchasing *purchasing)
{
	const struct command_purchase *asked = purchasing->asked;
	struct market_route *route = &purchasing->route;
	struct err_info *info = purchasing->at->info;
	bool in_part = asked->partial || !purchasing->kg;
	*route = (struct market_route){.kg = purchasing->kg ? purchasing->kg : MARKET_KG_MAX,
		.maximum_micros = in_part ? asked->maximum_micros : POOL_MICROS_MAX,
		.limit_micros = asked->limit_micros};
	market_route_split(purchasing->sources, purchasing->count, route);
	if (route->taken_kg == 0 || (!in_part && route->taken_kg < route->kg))
		return REFUSE(info, ERR_NOT_FILLABLE, "/kg", "%lld kg can be bought so", (long long)route->taken_kg);
	if (route->micros > asked->maximum_micros)
		return REFUSE(info, ERR_PRICE_LIMIT, "/maximum", "it costs %lld micros", (long long)route->micros);
	return ERR_OK;
}

/* ---- parts ---- */

static enum err ranges_add(struct market_purchase *bought, const struct record_lists *lists, struct err_info *info)
{
	for (size_t i = 0; i < lists->range_count; i++) {
		const struct serial_range *range = &lists->ranges[i];
		struct serial_range *last = bought->range_count ? &bought->ranges[bought->range_count - 1] : NULL;
		if (last && last->batch == range->batch && last->start + last->length == range->start)
			last->length += range->length;
		else if (bought->range_count == EVENTS_RANGES_MAX)
			return REFUSE(info, ERR_COMMAND_TOO_LARGE, "/kg", "it lies in more than %d ranges",
				EVENTS_RANGES_MAX);
		else
			bought->ranges[bought->range_count++] = *range;
	}
	return ERR_OK;
}

/* Counts what a part's own command does, and hands it on. */
static enum err tally_emit(void *context, struct event *event, struct err_info *info)
{
	struct tally *tally = context;
	int64_t kg = 0, micros = 0, fee_micros = 0;
	if (event->header.type == EVENT_TRADED) {
		kg = event->traded.kg;
		fee_micros = event->traded.buyer_fee_micros;
		micros = event->traded.amount_micros + fee_micros;
	} else if (event->header.type == EVENT_AUCTION_TAKEN) {
		kg = event->auction_taken.kg;
		fee_micros = event->auction_taken.buyer_fee_micros;
		micros = event->auction_taken.amount_micros + fee_micros;
	} else if (event->header.type == EVENT_POOL_BOUGHT) {
		kg = event->pool_bought.kg;
		micros = event->pool_bought.micros;
	}
	tally->part_kg += kg;
	tally->part_micros += micros;
	tally->part_fee_micros += fee_micros;
	enum err err = kg ? ranges_add(tally->bought, &event->lists, info) : ERR_OK;
	return err ? err : tally->at->call->emit(tally->at->call->context, event, info);
}

static void part_command(const struct purchasing *purchasing, const struct market_source *source, int64_t kg,
	uint32_t part, struct command *ret_command)
{
	const struct command *command = purchasing->at->call->command;
	*ret_command = (struct command){
		.source = command->source, .id = command->id, .actor = command->actor, .org = command->org};
	switch (source->source) {
	case ROUTE_BOOK:
		ret_command->kind = COMMAND_ORDER_PLACE;
		ret_command->id = ledger_linked_id(command->org, command->id, EVENTS_LINES_MAX + part);
		ret_command->order_place = (struct command_order_place){.instrument = purchasing->asked->instrument,
			.price_micros = source->price_micros,
			.kg = kg,
			.side = ORDER_BUY,
			.type = ORDER_LIMIT,
			.tif = ORDER_IOC,
			.stp = STP_OLDEST};
		break;
	case ROUTE_POOL:
		ret_command->kind = COMMAND_POOL_BUY;
		ret_command->pool_buy =
			(struct command_pool_buy){.pool = source->number, .kg = kg, .maximum_micros = POOL_MICROS_MAX};
		break;
	default:
		ret_command->kind = COMMAND_AUCTION_TAKE;
		ret_command->auction_take = (struct command_auction_take){
			.auction = source->number, .kg = kg, .limit_micros = source->price_micros};
		break;
	}
}

static enum err part_explain(const struct purchasing *purchasing, const struct tally *tally,
	const struct market_source *source, struct id order, uint64_t number)
{
	static const struct id none;
	int64_t price = source->price_micros;
	if (source->pool)
		muldiv_floor(tally->part_micros, 1000, tally->part_kg, &price);
	struct event event = {.purchase_part = {.part = tally->parts,
				      .source = (uint32_t)source->source,
				      .number = number,
				      .order = source->source == ROUTE_BOOK ? order : none,
				      .price_micros = price,
				      .unit_micros = source->unit_micros,
				      .kg = tally->part_kg,
				      .micros = tally->part_micros,
				      .fee_micros = tally->part_fee_micros}};
	return decision_emit(purchasing->at->call, EVENT_PURCHASE_PART, &event, purchasing->at->info);
}

static enum err part_buy(
	struct purchasing *purchasing, struct tally *tally, const struct market_source *given, int64_t kg)
{
	const struct deciding *at = purchasing->at;
	const struct market_source source = *given;
	struct command one;
	struct decision part = *at->call;
	if (tally->parts == ROUTE_PARTS_MOST)
		return REFUSE(at->info, ERR_COMMAND_TOO_LARGE, "/kg", "it has more than %d parts", ROUTE_PARTS_MOST);
	part_command(purchasing, &source, kg, ++tally->parts, &one);
	part.command = &one;
	part.emit = tally_emit;
	part.context = tally;
	tally->part_kg = tally->part_micros = tally->part_fee_micros = 0;
	enum err err = market_decide(at->market, at->ledger, at->batches, &part, at->info);
	if (err)
		return err;
	/* an order that met what it could not take, or that would go on in another command */
	if (tally->part_kg != kg || (source.source == ROUTE_BOOK && order_find(at->market, one.id)))
		return REFUSE(at->info, ERR_NOT_FILLABLE, "/kg", "%lld kg of %lld can be bought at once in the book",
			(long long)tally->part_kg, (long long)kg);
	tally->kg += tally->part_kg;
	tally->micros += tally->part_micros;
	tally->fee_micros += tally->part_fee_micros;
	return part_explain(purchasing, tally, &source, one.id, part.number);
}

/* Levels of the book are a part each. */
static enum err parts_buy(struct purchasing *purchasing, struct tally *tally)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < purchasing->count && !err; i++) {
		const struct market_source *source = &purchasing->sources[i];
		int64_t kg = source->taken_kg;
		while (source->source == ROUTE_BOOK && i + 1 < purchasing->count &&
			purchasing->sources[i + 1].source == ROUTE_BOOK &&
			purchasing->sources[i + 1].price_micros == source->price_micros)
			kg += purchasing->sources[++i].taken_kg;
		if (kg)
			err = part_buy(purchasing, tally, source, kg);
	}
	return err;
}

enum err market_purchase_decide(struct market *market, struct ledger *ledger, const struct market_register *batches,
	struct decision *call, int64_t lines_kg, struct market_purchase *ret_bought, struct err_info *info)
{
	const struct deciding at = {market, ledger, batches, call, info};
	const struct command_purchase *asked = &call->command->purchase;
	struct purchasing purchasing = {.at = &at, .asked = asked};
	struct tally tally = {.at = &at, .bought = ret_bought};
	ret_bought->range_count = 0;
	enum err err = purchase_check(&purchasing, lines_kg);
	if (err)
		return err;
	uint64_t number = purchasing.rules->market;
	sources_book(&purchasing);
	sources_offers(&purchasing);
	sources_pools(&purchasing);
	err = purchase_split(&purchasing);
	if (!err)
		err = parts_buy(&purchasing, &tally);
	if (!err && tally.micros > asked->maximum_micros)
		err = REFUSE(info, ERR_PRICE_LIMIT, "/maximum", "it costs %lld micros", (long long)tally.micros);
	if (err)
		return err;
	ret_bought->kg = tally.kg;
	struct event event = {.purchased = {.org = call->command->org,
				      .market = number,
				      .instrument = asked->instrument,
				      .asked_kg = purchasing.kg,
				      .maximum_micros = asked->maximum_micros,
				      .limit_micros = asked->limit_micros,
				      .kg = tally.kg,
				      .micros = tally.micros,
				      .fee_micros = tally.fee_micros,
				      .marginal_micros = purchasing.route.marginal_micros,
				      .parts = tally.parts,
				      .lines = (uint32_t)call->command->lists.line_count}};
	return decision_emit(call, EVENT_PURCHASED, &event, info);
}

/* ---- replay ---- */

bool market_route_applies(uint16_t type)
{
	return type >= 150 && type <= 159;
}

enum err market_route_apply(const struct market *market, const struct event *event, struct err_info *info)
{
	const struct event_purchase_part *part = &event->purchase_part;
	const struct event_purchased *whole = &event->purchased;
	const struct instrument *instrument;
	bool can_be = false;
	if (event->header.type == EVENT_PURCHASE_PART) {
		can_be = part->part >= 1 && part->part <= ROUTE_PARTS_MOST && part->kg > 0 && part->micros >= 0;
	} else if (event->header.type == EVENT_PURCHASED) {
		instrument = instrument_find(market, whole->instrument);
		can_be = instrument && instrument->is.market == whole->market && whole->kg > 0 && whole->parts >= 1 &&
			 whole->parts <= ROUTE_PARTS_MOST && whole->lines <= EVENTS_LINES_MAX &&
			 whole->micros <= whole->maximum_micros;
	}
	return can_be ? ERR_OK : err_set(info, ERR_JOURNAL_INVALID, "", "a purchase cannot be");
}
