/* Decides what may leave an account of money, by the limits that its organisation and the registry have set, and when an account is
 * closed (the tables in docs/LEDGER.md). The state's thread. */
#include "money.h"

#include <assert.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/decimal.h"

/* ---- limits ---- */

struct limit_key {
	struct id org;
	struct code8 currency;
};

static bool limit_equal(const void *context, uint32_t item, const void *key)
{
	const struct event_state_limit *limit = &((const struct money *)context)->limits[item];
	const struct limit_key *wanted = key;
	return id_equal(limit->org, wanted->org) &&
	       memcmp(&limit->currency, &wanted->currency, sizeof limit->currency) == 0;
}

static uint32_t limit_find(const struct money *money, struct id org, struct code8 currency, uint64_t *ret_hash)
{
	struct limit_key key = {.org = org, .currency = currency};
	if (!ret_hash && !money->limit_count)
		return MAP_NONE;
	uint64_t hash = map_hash_bytes(money->seed, &key, sizeof key);
	if (ret_hash)
		*ret_hash = hash;
	return map_find(&money->limit_map, hash, limit_equal, money, &key);
}

/* Of two limits, of which those below zero are none. */
static int64_t tighter(int64_t a, int64_t b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

static int64_t day_of(int64_t time_us)
{
	return time_us / CLOCK_US_PER_DAY;
}

/* What limits leave, each by itself; INT64_MAX: as much as there is. */
struct room {
	int64_t held, lowest, reserved, daily;
};

static struct room room_of(const struct ledger *ledger, const struct outflow *flow)
{
	const struct money *money = ledger_money_read(ledger);
	uint64_t asset = ledger_money_asset(flow->currency);
	struct ledger_place held = {.org = flow->org, .state = KG_HELD}, reserved = {flow->org, KG_RESERVED};
	uint32_t item = limit_find(money, flow->org, flow->currency, NULL);
	struct room room = {.held = ledger_amount(ledger, asset, held),
		.lowest = INT64_MAX,
		.reserved = INT64_MAX,
		.daily = INT64_MAX};
	if (item == MAP_NONE)
		return room;
	const struct event_state_limit *limit = &money->limits[item];
	int64_t lowest =
		limit->own_lowest_micros > limit->lowest_micros ? limit->own_lowest_micros : limit->lowest_micros;
	int64_t most = tighter(limit->own_reserved_micros, limit->reserved_micros);
	int64_t daily = tighter(limit->own_daily_micros, limit->daily_micros);
	if (lowest > 0)
		room.lowest = room.held > lowest ? room.held - lowest : 0;
	if (most >= 0 && flow->reserves)
		room.reserved = most - ledger_amount(ledger, asset, reserved);
	if (daily >= 0 && flow->counts)
		room.daily = daily - (limit->day == day_of(flow->now_us) ? limit->spent_micros : 0);
	return room;
}

enum err outflow_check(const struct ledger *ledger, const struct outflow *flow, struct err_info *info)
{
	struct room room = room_of(ledger, flow);
	if (flow->amount_micros > room.held)
		return err_set(info, ERR_INSUFFICIENT_FUNDS, "/amount", "the account holds %lld micros of it",
			(long long)room.held);
	if (flow->amount_micros > room.lowest)
		return err_set(info, ERR_LIMIT_LOWEST, "/amount", "above its limit the account holds %lld micros",
			(long long)room.lowest);
	if (flow->amount_micros > room.reserved)
		return err_set(info, ERR_LIMIT_RESERVED, "/amount", "the limit leaves %lld micros to reserve",
			(long long)(room.reserved > 0 ? room.reserved : 0));
	if (flow->amount_micros > room.daily)
		return err_set(info, ERR_LIMIT_DAILY, "/amount", "the limit leaves %lld micros for today",
			(long long)(room.daily > 0 ? room.daily : 0));
	return ERR_OK;
}

int64_t outflow_most(const struct ledger *ledger, const struct outflow *flow)
{
	struct room room = room_of(ledger, flow);
	int64_t most = room.held < room.lowest ? room.held : room.lowest;
	most = most < room.reserved ? most : room.reserved;
	most = most < room.daily ? most : room.daily;
	return most > 0 ? most : 0;
}

enum err ledger_may_leave(const struct ledger *ledger, struct id org, struct code8 currency, int64_t amount_micros,
	bool reserves, struct err_info *info)
{
	struct outflow flow = {.org = org, .currency = currency, .amount_micros = amount_micros, .reserves = reserves};
	return outflow_check(ledger, &flow, info);
}

static void limit_revert(void *owner, const void *payload)
{
	struct money *money = owner;
	struct event_state_limit back;
	memcpy(&back, payload, sizeof back);
	uint32_t item = limit_find(money, back.org, back.currency, NULL);
	money->limits[item] = back;
}

static bool has_limit(const struct event_state_limit *limit)
{
	return limit->own_lowest_micros > 0 || limit->lowest_micros > 0 || limit->own_reserved_micros >= 0 ||
	       limit->reserved_micros >= 0 || limit->own_daily_micros >= 0 || limit->daily_micros >= 0;
}

bool ledger_limit(
	const struct ledger *ledger, struct id org, struct code8 currency, struct event_state_limit *ret_limit)
{
	const struct money *money = ledger_money_read(ledger);
	uint32_t item = limit_find(money, org, currency, NULL);
	if (item == MAP_NONE || !has_limit(&money->limits[item]))
		return false;
	*ret_limit = money->limits[item];
	return true;
}

void outflow_note(struct ledger *ledger, struct undo *undo, struct id org, struct code8 currency, int64_t amount_micros,
	int64_t time_us)
{
	struct money *money = ledger_money(ledger);
	uint32_t item = limit_find(money, org, currency, NULL);
	if (item == MAP_NONE || !has_limit(&money->limits[item]))
		return;
	struct event_state_limit *limit = &money->limits[item];
	undo_push(undo, limit_revert, money, limit, sizeof *limit);
	if (limit->day != day_of(time_us))
		limit->spent_micros = 0;
	limit->day = day_of(time_us);
	if (!add_checked(limit->spent_micros, amount_micros, &limit->spent_micros))
		limit->spent_micros = INT64_MAX;
}

enum err decide_account_limit(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_account_limit *asked = &call->command->account_limit;
	if (id_is_none(asked->org))
		return err_set(info, ERR_MISSING_FIELD, "/org_id", "the organisation is missing");
	if (!ledger_money_asset(asked->currency))
		return err_set(info, ERR_CURRENCY_INVALID, "/currency",
			"/currency must be 1 to 7 of A-Z and 0-9, first a letter");
	if (!asked->by_registry && !id_equal(asked->org, call->command->org))
		return err_set(info, ERR_FORBIDDEN, "/org_id", "an organisation limits its own account");
	if (asked->lowest_micros < 0 || asked->by_registry > 1)
		return err_set(info, ERR_LIMIT_INVALID, "/lowest", "/lowest must be 0 or more");
	struct event event = {.account_limited = {.org = asked->org,
				      .currency = asked->currency,
				      .lowest_micros = asked->lowest_micros,
				      .reserved_micros = asked->reserved_micros < 0 ? -1 : asked->reserved_micros,
				      .daily_micros = asked->daily_micros < 0 ? -1 : asked->daily_micros,
				      .by_registry = asked->by_registry}};
	return decision_emit(call, EVENT_ACCOUNT_LIMITED, &event, info);
}

/* A row without limits is as good as none, so it need not be taken back. */
static struct event_state_limit *limit_get(struct money *money, struct id org, struct code8 currency)
{
	uint64_t hash;
	uint32_t item = limit_find(money, org, currency, &hash);
	if (item == MAP_NONE) {
		assert(money->limit_count < money->limit_capacity);
		item = money->limit_count++;
		money->limits[item] = (struct event_state_limit){.org = org,
			.currency = currency,
			.own_reserved_micros = -1,
			.own_daily_micros = -1,
			.reserved_micros = -1,
			.daily_micros = -1};
		map_put(&money->limit_map, hash, item);
	}
	return &money->limits[item];
}

enum err limited_make(struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_account_limited *said = &event->account_limited;
	struct money *money = ledger_money(ledger);
	if (id_is_none(said->org) || !ledger_money_asset(said->currency) || said->lowest_micros < 0)
		return journal_invalid(info, "a limit of nobody, or below zero");
	struct event_state_limit *limit = limit_get(money, said->org, said->currency);
	undo_push(undo, limit_revert, money, limit, sizeof *limit);
	*(said->by_registry ? &limit->lowest_micros : &limit->own_lowest_micros) = said->lowest_micros;
	*(said->by_registry ? &limit->reserved_micros : &limit->own_reserved_micros) =
		said->reserved_micros < 0 ? -1 : said->reserved_micros;
	*(said->by_registry ? &limit->daily_micros : &limit->own_daily_micros) =
		said->daily_micros < 0 ? -1 : said->daily_micros;
	if (!has_limit(limit))
		limit->day = limit->spent_micros = 0; /* what is not limited is not counted */
	return ERR_OK;
}

enum err limit_restore(struct ledger *ledger, const struct event_state_limit *said, struct err_info *info)
{
	struct money *money = ledger_money(ledger);
	if (id_is_none(said->org) || !ledger_money_asset(said->currency) || !has_limit(said) ||
		said->own_lowest_micros < 0 || said->lowest_micros < 0 || said->spent_micros < 0 ||
		limit_find(money, said->org, said->currency, NULL) != MAP_NONE)
		return journal_invalid(info, "a limit is there twice, or limits nothing");
	*limit_get(money, said->org, said->currency) = *said;
	return ERR_OK;
}

/* ---- closed accounts ---- */

static bool closed_equal(const void *context, uint32_t item, const void *key)
{
	return id_equal(((const struct money *)context)->closed[item], *(const struct id *)key);
}

static uint64_t closed_hash(const struct money *money, struct id org)
{
	return map_hash_bytes(money->seed, &org, sizeof org);
}

bool ledger_account_closed(const struct ledger *ledger, struct id org)
{
	const struct money *money = ledger_money_read(ledger);
	return money->closed_count &&
	       map_find(&money->closed_map, closed_hash(money, org), closed_equal, money, &org) != MAP_NONE;
}

enum err open_check(const struct ledger *ledger, struct id org, const char *pointer, struct err_info *info)
{
	return ledger_account_closed(ledger, org)
		       ? err_set(info, ERR_ACCOUNT_CLOSED, pointer, "the organisation's account is closed")
		       : ERR_OK;
}

enum err decide_account_close(struct ledger *ledger, struct decision *call, struct err_info *info)
{
	const struct command_account_close *asked = &call->command->account_close;
	if (id_is_none(asked->org))
		return err_set(info, ERR_MISSING_FIELD, "/org_id", "the organisation is missing");
	if (hash_is_none(asked->reason_hash))
		return err_set(info, ERR_MISSING_FIELD, "/reason", "a reason is needed");
	enum err err = open_check(ledger, asked->org, "/org_id", info);
	if (err)
		return err;
	if (id_equal(asked->org, ledger_house(ledger)))
		return err_set(info, ERR_ACCOUNT_NOT_EMPTY, "/org_id", "the house stays open");
	err = ledger_empty_check(ledger, asked->org, info);
	struct event event = {.account_closed = {.org = asked->org, .reason_hash = asked->reason_hash}};
	return err ? err : decision_emit(call, EVENT_ACCOUNT_CLOSED, &event, info);
}

static void closed_revert(void *owner, const void *payload)
{
	(void)payload;
	struct money *money = owner;
	money->closed_count--;
	map_remove(&money->closed_map, closed_hash(money, money->closed[money->closed_count]), money->closed_count);
}

enum err closed_make(struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info)
{
	struct money *money = ledger_money(ledger);
	struct id org = event->account_closed.org;
	if (id_is_none(org) || ledger_account_closed(ledger, org))
		return journal_invalid(info, "an account is closed twice, or is nobody's");
	assert(money->closed_count < money->closed_capacity);
	money->closed[money->closed_count] = org;
	map_put(&money->closed_map, closed_hash(money, org), money->closed_count);
	money->closed_count++;
	undo_push(undo, closed_revert, money, NULL, 0);
	return ERR_OK;
}
