/* Decides how much an organisation may have open in a market, and counts how much it has. Exposures follow from orders: only the limits
 * are in snapshots. The state's thread. */
#include <stdlib.h>
#include <string.h>

#include "carbond/base/decimal.h"
#include "state.h"

#define ORDERS_MOST INT64_C(1000000000)
#define KG_MOST     INT64_C(1000000000000000)    /* 2^53 and a little less */
#define MICROS_MOST INT64_C(1000000000000000000) /* as of one account's money */

struct place_key {
	struct id org;
	uint64_t market;
};

static bool exposure_equal(const void *context, uint32_t item, const void *key)
{
	const struct exposure *exposure = &((const struct market *)context)->exposures[item];
	const struct place_key *wanted = key;
	return exposure->market == wanted->market && id_equal(exposure->org, wanted->org);
}

static uint64_t place_hash(const struct market *market, const struct place_key *key)
{
	return map_hash_bytes(market->seed + key->market, &key->org, sizeof key->org);
}

const struct exposure *exposure_find(const struct market *market, struct id org, uint64_t number)
{
	struct place_key key = {.org = org, .market = number};
	uint32_t item = map_find(&market->exposure_map, place_hash(market, &key), exposure_equal, market, &key);
	return item == MAP_NONE ? NULL : &market->exposures[item];
}

/* It is made where there is none, for which there is room; an empty one says nothing. */
uint32_t exposure_of(struct market *market, struct id org, uint64_t number)
{
	const struct exposure *found = exposure_find(market, org, number);
	if (found)
		return (uint32_t)(found - market->exposures);
	struct place_key key = {.org = org, .market = number};
	uint32_t item = market->exposure_count++;
	market->exposures[item] = (struct exposure){.org = org, .market = number};
	map_put(&market->exposure_map, place_hash(market, &key), item);
	return item;
}

/* The newest of an organisation's orders that is older than `number`; looked for from both ends, since a new order is the newest, and
 * an undo mostly puts back the oldest. */
static uint32_t older_of(
	const struct market *market, const struct chain *chain, enum order_chain which, uint64_t number)
{
	const struct order *orders = market->orders;
	uint32_t back = chain->newest, front = chain->oldest;
	if (!back || orders[back].is.number < number)
		return back;
	while (orders[back].is.number > number && orders[front].is.number < number) {
		back = orders[back].chained[which].older;
		front = orders[front].chained[which].newer;
	}
	return orders[back].is.number < number ? back : orders[front].chained[which].older;
}

static void chain_add(struct market *market, struct chain *chain, enum order_chain which, uint32_t item)
{
	struct order *orders = market->orders;
	uint32_t older = older_of(market, chain, which, orders[item].is.number);
	uint32_t newer = older ? orders[older].chained[which].newer : chain->oldest;
	orders[item].chained[which].older = older;
	orders[item].chained[which].newer = newer;
	*(older ? &orders[older].chained[which].newer : &chain->oldest) = item;
	*(newer ? &orders[newer].chained[which].older : &chain->newest) = item;
}

static void chain_remove(struct market *market, struct chain *chain, enum order_chain which, uint32_t item)
{
	struct order *orders = market->orders;
	uint32_t older = orders[item].chained[which].older, newer = orders[item].chained[which].newer;
	*(older ? &orders[older].chained[which].newer : &chain->oldest) = newer;
	*(newer ? &orders[newer].chained[which].older : &chain->newest) = older;
}

static bool lot_equal(const void *context, uint32_t item, const void *key)
{
	return ((const struct market *)context)->lots[item].batch == *(const uint64_t *)key;
}

uint32_t lot_find(const struct market *market, uint64_t batch)
{
	return map_find(&market->lot_map, map_hash_u64(market->seed, batch), lot_equal, market, &batch);
}

/* It is made where there is none, for which there is room. */
static uint32_t lot_of(struct market *market, uint64_t batch)
{
	uint32_t item = lot_find(market, batch);
	if (item != MAP_NONE)
		return item;
	market->lots[market->lot_count] = (struct lot){.batch = batch};
	map_put(&market->lot_map, map_hash_u64(market->seed, batch), market->lot_count);
	return market->lot_count++;
}

void exposure_add(struct market *market, uint32_t item)
{
	struct order *order = &market->orders[item];
	struct exposure *exposure = &market->exposures[order->exposure];
	chain_add(market, &exposure->chain, ORDER_CHAIN_ORG, item);
	if (order->is.side == ORDER_SELL) {
		order->lot = lot_of(market, order->is.batch);
		chain_add(market, &market->lots[order->lot].orders, ORDER_CHAIN_BATCH, item);
	}
	exposure->orders++;
	exposure->kg += order->is.left_kg;
	exposure->micros += market_amount(order->is.price_micros, order->is.left_kg);
}

void exposure_remove(struct market *market, uint32_t item)
{
	const struct order *order = &market->orders[item];
	struct exposure *exposure = &market->exposures[order->exposure];
	chain_remove(market, &exposure->chain, ORDER_CHAIN_ORG, item);
	if (order->is.side == ORDER_SELL)
		chain_remove(market, &market->lots[order->lot].orders, ORDER_CHAIN_BATCH, item);
	exposure->orders--;
	exposure->kg -= order->is.left_kg;
	exposure->micros -= market_amount(order->is.price_micros, order->is.left_kg);
}

void exposure_change(struct market *market, const struct order *order, int64_t price_before, int64_t kg_before)
{
	struct exposure *exposure = &market->exposures[order->exposure];
	exposure->kg += order->is.left_kg - kg_before;
	exposure->micros += market_amount(order->is.price_micros, order->is.left_kg);
	exposure->micros -= market_amount(price_before, kg_before);
}

/* ---- checking ---- */

static enum err one_limit_check(const struct exposure *has, const struct trader_limit *limit,
	const struct exposure *more, struct err_info *info)
{
	char most[DECIMAL_TEXT_SIZE];
	if (limit->orders && more->orders > 0 && has->orders + more->orders > limit->orders)
		return REFUSE(info, ERR_LIMIT_EXCEEDED, "", "the organisation may have %lld open orders in this market",
			(long long)limit->orders);
	if (limit->kg && more->kg > 0 && has->kg + more->kg > limit->kg)
		return REFUSE(info, ERR_LIMIT_EXCEEDED, "/kg",
			"the organisation may have %lld kg in open orders in this market, and has %lld",
			(long long)limit->kg, (long long)has->kg);
	if (limit->micros && more->micros > 0 && has->micros + more->micros > limit->micros)
		return REFUSE(info, ERR_LIMIT_EXCEEDED, "/price",
			"the organisation's open orders in this market may be worth %s",
			micros_text(limit->micros, most));
	return ERR_OK;
}

enum err trader_limits_check(const struct exposure *has, const struct exposure *more, struct err_info *info)
{
	enum err err = ERR_OK;
	for (int i = 0; has && i < TRADER_LIMIT_SETTERS && !err; i++)
		err = one_limit_check(has, &has->limits[i], more, info);
	return err;
}

/* ---- setting ---- */

static enum err bounds_check(const char *pointer, int64_t value, int64_t most, struct err_info *info)
{
	return value >= 0 && value <= most
		       ? ERR_OK
		       : REFUSE(info, ERR_INVALID_FIELD, pointer, "%s must be 0..%lld", pointer, (long long)most);
}

enum err trader_limit_decide(struct market *market, struct decision *call, struct err_info *info)
{
	const struct command_trader_limit *asked = &call->command->trader_limit;
	if (id_is_none(asked->org) || asked->by_registry >= TRADER_LIMIT_SETTERS)
		return REFUSE(info, ERR_INVALID_FIELD, "/org_id", "a limit is an organisation's");
	if (!venue_find(market, asked->market))
		return REFUSE(info, ERR_NOT_FOUND, "/market", "there is no such market");
	enum err err = bounds_check("/orders_most", asked->orders_most, ORDERS_MOST, info);
	if (!err)
		err = bounds_check("/kg_most", asked->kg_most, KG_MOST, info);
	if (!err)
		err = bounds_check("/notional_most", asked->notional_micros_most, MICROS_MOST, info);
	if (err)
		return err;
	struct event event = {.trader_limited = {.org = asked->org,
				      .market = asked->market,
				      .orders_most = asked->orders_most,
				      .kg_most = asked->kg_most,
				      .notional_micros_most = asked->notional_micros_most,
				      .by_registry = asked->by_registry}};
	return decision_emit(call, EVENT_TRADER_LIMITED, &event, info);
}

struct limit_step {
	struct id org;
	uint64_t market;
	uint32_t setter;
	struct trader_limit was;
};

static void limit_revert(void *owner, const void *payload)
{
	struct market *market = owner;
	struct limit_step step;
	memcpy(&step, payload, sizeof step);
	market->exposures[exposure_of(market, step.org, step.market)].limits[step.setter] = step.was;
}

enum err trader_limit_apply(struct market *market, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_trader_limited *said = &event->trader_limited;
	if (!venue_find(market, said->market) || said->by_registry >= TRADER_LIMIT_SETTERS)
		return err_set(info, ERR_JOURNAL_INVALID, "", "a limit is of no market");
	struct trader_limit *limit =
		&market->exposures[exposure_of(market, said->org, said->market)].limits[said->by_registry];
	struct limit_step step = {said->org, said->market, said->by_registry, *limit};
	undo_push(undo, limit_revert, market, &step, sizeof step);
	*limit = (struct trader_limit){said->orders_most, said->kg_most, said->notional_micros_most};
	return ERR_OK;
}

/* ---- snapshots ---- */

enum err trader_limit_take(struct market *market, const struct event *event, struct err_info *info)
{
	const struct event_state_trader_limit *is = &event->state_trader_limit;
	if (!venue_find(market, is->market) || is->by_registry >= TRADER_LIMIT_SETTERS)
		return err_set(info, ERR_JOURNAL_INVALID, "", "a limit is of no market");
	market->exposures[exposure_of(market, is->org, is->market)].limits[is->by_registry] =
		(struct trader_limit){is->orders_most, is->kg_most, is->notional_micros_most};
	return ERR_OK;
}

static int exposure_compare(const void *a, const void *b)
{
	const struct exposure *first = *(const struct exposure *const *)a, *second = *(const struct exposure *const *)b;
	int order = id_compare(first->org, second->org);
	return order ? order : first->market < second->market ? -1 : first->market > second->market;
}

static bool is_limited(const struct trader_limit *limit)
{
	return limit->orders || limit->kg || limit->micros;
}

enum err trader_limits_put(const struct market *market,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info)
{
	const struct exposure **sorted = calloc(market->exposure_count + 1u, sizeof *sorted);
	enum err err = ERR_OK;
	if (!sorted)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < market->exposure_count; i++)
		sorted[i] = &market->exposures[i];
	qsort(sorted, market->exposure_count, sizeof *sorted, exposure_compare);
	for (uint32_t i = 0; i < market->exposure_count * TRADER_LIMIT_SETTERS && !err; i++) {
		const struct exposure *exposure = sorted[i / TRADER_LIMIT_SETTERS];
		const struct trader_limit *limit = &exposure->limits[i % TRADER_LIMIT_SETTERS];
		struct event event = {.header.type = EVENT_STATE_TRADER_LIMIT,
			.state_trader_limit = {.org = exposure->org,
				.market = exposure->market,
				.orders_most = limit->orders,
				.kg_most = limit->kg,
				.notional_micros_most = limit->micros,
				.by_registry = i % TRADER_LIMIT_SETTERS}};
		if (is_limited(limit))
			err = emit(context, &event, info);
	}
	free(sorted);
	return err;
}
