/* Decides what a posting is: two legs that sum to zero, and for kilograms the ranges that move with them. Asserts P1–P3 by
 * counters after every event. The state's thread. */
#include "carbond/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/decimal.h"
#include "carbond/base/map.h"
#include "carbond/base/pages.h"
#include "money.h"
#include "ranges.h"

struct account {
	struct id org; /* zero: the issuing account of a batch, the outside world of money */
	uint64_t asset;
	int64_t amount[KG_STATE_COUNT];
	struct range_set ranges[KG_STATE_COUNT];
	uint32_t next;       /* another account of the organisation, from 1 on; 0: none */
	uint32_t asset_item; /* from 1 on; 0: the asset is not known yet */
};

struct asset {
	uint64_t asset;
	int64_t issued;                   /* kilograms: serials 0 … issued − 1 exist; in a part: as many are here */
	int64_t in_state[KG_STATE_COUNT]; /* over all organisations */
	int64_t in_ranges;                /* kilograms in all trees (P1's counter) */
	int64_t sum;                      /* over all accounts (P3's counter) */
};

struct ledger {
	uint64_t seed;
	bool is_part; /* a market shard's */
	struct account *accounts;
	struct asset *assets;
	uint32_t account_count, account_capacity;
	uint32_t asset_count, asset_capacity;
	struct map account_map, asset_map, org_map; /* by organisation: the first account of each */
	struct range_pool pool;
	struct money money;
	int64_t issued;
	int64_t in_state[KG_STATE_COUNT];
	bool has_room;       /* but of ranges: nothing was added since it was made */
	uint32_t touched[8]; /* assets changed since ledger_assert; when full: all are looked at */
	size_t touched_count;
};

/* ---- life cycle, memory ---- */

#define EVENT_ACCOUNTS (2 * EVENTS_RANGES_MAX + 8) /* accounts that one event may add: two a range */
#define EVENT_ASSETS   4
#define EVENT_NODES    (2 * EVENTS_RANGES_MAX + 8) /* a take and a put a range */

struct ledger *ledger_new(uint64_t seed)
{
	struct ledger *ledger = calloc(1, sizeof *ledger);
	if (ledger)
		ledger->seed = ledger->money.seed = seed;
	return ledger;
}

void ledger_free(struct ledger **ledger)
{
	struct ledger *old = *ledger;
	*ledger = NULL;
	if (!old)
		return;
	free(old->accounts);
	free(old->assets);
	map_free(&old->account_map);
	map_free(&old->asset_map);
	map_free(&old->org_map);
	range_pool_free(&old->pool);
	money_free(&old->money);
	free(old);
}

static bool array_reserve(void **array, uint32_t *capacity, uint32_t count, uint32_t more, size_t item_size)
{
	if (*capacity - count >= more)
		return true;
	uint32_t new_capacity = (count + more) * 2;
	void *grown = realloc(*array, new_capacity * item_size);
	if (!grown)
		return false;
	pages_huge(grown, new_capacity * item_size);
	*array = grown;
	*capacity = new_capacity;
	return true;
}

enum err ledger_reserve(struct ledger *ledger)
{
	void *accounts = ledger->accounts, *assets = ledger->assets;
	if (ledger->has_room)
		return range_pool_reserve(&ledger->pool, EVENT_NODES) ? ERR_OK : ERR_NO_MEMORY;
	bool enough = array_reserve(
		&accounts, &ledger->account_capacity, ledger->account_count, EVENT_ACCOUNTS, sizeof *ledger->accounts);
	ledger->accounts = accounts;
	enough = enough && array_reserve(&assets, &ledger->asset_capacity, ledger->asset_count, EVENT_ASSETS,
				   sizeof *ledger->assets);
	ledger->assets = assets;
	enough = enough && map_reserve(&ledger->account_map, EVENT_ACCOUNTS) &&
		 map_reserve(&ledger->asset_map, EVENT_ASSETS) && map_reserve(&ledger->org_map, EVENT_ACCOUNTS) &&
		 range_pool_reserve(&ledger->pool, EVENT_NODES) && money_reserve(&ledger->money);
	ledger->has_room = enough;
	return enough ? ERR_OK : ERR_NO_MEMORY;
}

/* Whoever may add to it uses room up. */
struct money *ledger_money(struct ledger *ledger)
{
	ledger->has_room = false;
	return &ledger->money;
}

const struct money *ledger_money_read(const struct ledger *ledger)
{
	return &ledger->money;
}

/* ---- finding ---- */

struct account_key {
	struct id org;
	uint64_t asset;
};

static bool account_equal(const void *context, uint32_t item, const void *key)
{
	const struct account *account = &((const struct ledger *)context)->accounts[item];
	const struct account_key *wanted = key;
	return account->asset == wanted->asset && memcmp(&account->org, &wanted->org, sizeof account->org) == 0;
}

static bool asset_equal(const void *context, uint32_t item, const void *key)
{
	return ((const struct ledger *)context)->assets[item].asset == *(const uint64_t *)key;
}

static uint32_t account_find(const struct ledger *ledger, struct id org, uint64_t asset, uint64_t *ret_hash)
{
	struct account_key key = {.org = org, .asset = asset};
	uint64_t hash = map_hash_bytes(ledger->seed, &key, sizeof key);
	if (ret_hash)
		*ret_hash = hash;
	return map_find(&ledger->account_map, hash, account_equal, ledger, &key);
}

static uint32_t asset_find(const struct ledger *ledger, uint64_t asset)
{
	return map_find(&ledger->asset_map, map_hash_u64(ledger->seed, asset), asset_equal, ledger, &asset);
}

void ledger_prefetch(const struct ledger *ledger, struct id org, uint64_t asset, enum ledger_prefetch what)
{
	if (what == LEDGER_PREFETCH_SLOT) {
		struct account_key key = {.org = org, .asset = asset};
		map_prefetch(&ledger->account_map, map_hash_bytes(ledger->seed, &key, sizeof key));
		return;
	}
	uint32_t item = what == LEDGER_PREFETCH_HELD ? account_find(ledger, org, asset, NULL) : MAP_NONE;
	if (item != MAP_NONE)
		range_prefetch(&ledger->pool, &ledger->accounts[item].ranges[KG_HELD]);
}

static bool org_equal(const void *context, uint32_t item, const void *key)
{
	return id_equal(((const struct ledger *)context)->accounts[item].org, *(const struct id *)key);
}

static uint32_t org_find(const struct ledger *ledger, struct id org, uint64_t *ret_hash)
{
	*ret_hash = map_hash_bytes(ledger->seed, &org, sizeof org);
	return map_find(&ledger->org_map, *ret_hash, org_equal, ledger, &org);
}

/* Puts a new account behind the first one of its organisation. */
static void org_chain(struct ledger *ledger, uint32_t item)
{
	uint64_t hash;
	uint32_t first = org_find(ledger, ledger->accounts[item].org, &hash);
	if (first == MAP_NONE) {
		map_put(&ledger->org_map, hash, item);
		return;
	}
	ledger->accounts[item].next = ledger->accounts[first].next;
	ledger->accounts[first].next = item + 1;
}

/* An account without amounts is as good as none, so it need not be undone. */
static struct account *account_get(struct ledger *ledger, struct id org, uint64_t asset)
{
	uint64_t hash;
	uint32_t item = account_find(ledger, org, asset, &hash);
	if (item == MAP_NONE) {
		assert(ledger->account_count < ledger->account_capacity);
		item = ledger->account_count++;
		ledger->has_room = false;
		ledger->accounts[item] = (struct account){.org = org, .asset = asset};
		map_put(&ledger->account_map, hash, item);
		if (!id_is_none(org)) /* the outside world has one for each asset */
			org_chain(ledger, item);
	}
	return &ledger->accounts[item];
}

static struct asset *asset_touch(struct ledger *ledger, uint32_t item)
{
	size_t room = sizeof ledger->touched / sizeof *ledger->touched;
	if (ledger->touched_count && ledger->touched_count <= room &&
		ledger->touched[ledger->touched_count - 1] == item)
		return &ledger->assets[item];
	if (ledger->touched_count < room)
		ledger->touched[ledger->touched_count] = item;
	ledger->touched_count++;
	return &ledger->assets[item];
}

static struct asset *asset_get(struct ledger *ledger, uint64_t asset)
{
	uint32_t item = asset_find(ledger, asset);
	if (item == MAP_NONE) {
		assert(ledger->asset_count < ledger->asset_capacity);
		item = ledger->asset_count++;
		ledger->has_room = false;
		ledger->assets[item] = (struct asset){.asset = asset};
		map_put(&ledger->asset_map, map_hash_u64(ledger->seed, asset), item);
	}
	return asset_touch(ledger, item);
}

uint32_t ledger_account(struct ledger *ledger, struct id org, uint64_t asset)
{
	return (uint32_t)(account_get(ledger, org, asset) - ledger->accounts);
}

/* The asset of an account, which is looked for once. */
static struct asset *asset_of(struct ledger *ledger, struct account *account)
{
	if (!account->asset_item)
		account->asset_item = (uint32_t)(asset_get(ledger, account->asset) - ledger->assets) + 1;
	return asset_touch(ledger, account->asset_item - 1);
}

/* ---- postings ---- */

/* One leg: `amount` (signed) to an account's state. The other leg follows; ledger_assert sees that the sum is zero. */
static void leg(
	struct ledger *ledger, struct asset *asset, struct account *account, enum kg_state state, int64_t amount)
{
	account->amount[state] += amount; /* bounded by what exists of the asset, which was checked when it was made */
	asset->sum += amount;
	if (id_is_none(account->org))
		return;
	asset->in_state[state] += amount;
	if (!(asset->asset & LEDGER_MONEY))
		ledger->in_state[state] += amount;
}

struct issue_step {
	uint64_t batch;
	struct id org;
	enum kg_state state;
	int64_t kg;
};

static void issue_revert(void *owner, const void *payload)
{
	struct ledger *ledger = owner;
	struct issue_step step;
	memcpy(&step, payload, sizeof step);
	struct asset *asset = asset_get(ledger, step.batch);
	struct account *account = account_get(ledger, step.org, step.batch);
	asset->issued -= step.kg;
	ledger->issued -= step.kg;
	bool taken = range_take(&ledger->pool, &account->ranges[step.state], asset->issued, step.kg);
	assert(taken);
	asset->in_ranges -= step.kg;
	leg(ledger, asset, account, step.state, -step.kg);
	leg(ledger, asset, account_get(ledger, (struct id){0}, step.batch), KG_HELD, step.kg);
}

enum err ledger_issue(
	struct ledger *ledger, struct undo *undo, uint64_t batch, struct id org, enum kg_state state, int64_t kg)
{
	assert(kg > 0 && !(batch & LEDGER_MONEY) && !id_is_none(org));
	struct asset *asset = asset_get(ledger, batch);
	int64_t issued, total;
	if (!add_checked(asset->issued, kg, &issued) || !add_checked(ledger->issued, kg, &total))
		return ERR_OVERFLOW;
	struct account *account = account_get(ledger, org, batch);
	bool put = range_put(&ledger->pool, &account->ranges[state], asset->issued, kg);
	assert(put);
	asset->in_ranges += kg;
	asset->issued = issued;
	ledger->issued = total;
	leg(ledger, asset, account, state, kg);
	leg(ledger, asset, account_get(ledger, (struct id){0}, batch), KG_HELD, -kg);
	struct issue_step step = {.batch = batch, .org = org, .state = state, .kg = kg};
	undo_push(undo, issue_revert, ledger, &step, sizeof step);
	return ERR_OK;
}

struct move_step {
	struct serial_range range;
	struct ledger_place from, to;
};

static bool move(struct ledger *ledger, const struct move_step *step)
{
	const struct serial_range *range = &step->range;
	uint32_t item = account_find(ledger, step->from.org, range->batch, NULL);
	if (item == MAP_NONE)
		return false;
	struct account *to = account_get(ledger, step->to.org, range->batch), *from = &ledger->accounts[item];
	if (!range_take(&ledger->pool, &from->ranges[step->from.state], range->start, range->length))
		return false;
	bool put = range_put(&ledger->pool, &to->ranges[step->to.state], range->start, range->length);
	assert(put);
	struct asset *asset = asset_of(ledger, from);
	leg(ledger, asset, from, step->from.state, -range->length);
	leg(ledger, asset, to, step->to.state, range->length);
	return true;
}

static void move_revert(void *owner, const void *payload)
{
	struct move_step step;
	memcpy(&step, payload, sizeof step);
	struct move_step back = {.range = step.range, .from = step.to, .to = step.from};
	bool moved = move(owner, &back);
	assert(moved);
}

enum err ledger_move(struct ledger *ledger, struct undo *undo, const struct serial_range *range,
	struct ledger_place from, struct ledger_place to)
{
	if (range->start < 0 || range->length <= 0 || range->start > INT64_MAX - range->length ||
		range->batch & LEDGER_MONEY || id_is_none(from.org) || id_is_none(to.org))
		return ERR_INSUFFICIENT_KG;
	struct move_step step = {.range = *range, .from = from, .to = to};
	if (!move(ledger, &step))
		return ERR_INSUFFICIENT_KG;
	undo_push(undo, move_revert, ledger, &step, sizeof step);
	return ERR_OK;
}

enum err ledger_move_all(struct ledger *ledger, struct undo *undo, const struct record_lists *lists, int64_t kg,
	struct ledger_place from, struct ledger_place to, struct err_info *info)
{
	int64_t sum = 0;
	for (size_t i = 0; i < lists->range_count; i++) {
		enum err err = ledger_move(ledger, undo, &lists->ranges[i], from, to);
		if (err)
			return err_set(
				info, err, "/ranges", "range %zu: the organisation does not hold these serials", i);
		sum += lists->ranges[i].length; /* it had all of them: they can be counted */
	}
	return sum == kg && kg > 0 ? ERR_OK : err_set(info, ERR_JOURNAL_INVALID, "", "ranges do not add up");
}

/* ---- kilograms that come into a part, and go out ---- */

void ledger_part(struct ledger *ledger)
{
	assert(ledger->account_count == 0);
	ledger->is_part = true;
}

struct border_step {
	struct serial_range range;
	struct ledger_place place;
};

static void come_revert(void *owner, const void *payload);
static void go_revert(void *owner, const void *payload);

/* The outside has as many below zero as are here. */
static void border(struct ledger *ledger, const struct border_step *step, struct account *account, int64_t kg)
{
	struct asset *asset = asset_get(ledger, step->range.batch);
	asset->issued += kg;
	asset->in_ranges += kg;
	ledger->issued += kg;
	leg(ledger, asset, account, step->place.state, kg);
	leg(ledger, asset, account_get(ledger, (struct id){0}, step->range.batch), KG_HELD, -kg);
}

static enum err come(struct ledger *ledger, struct undo *undo, const struct border_step *step)
{
	const struct serial_range *range = &step->range;
	int64_t total;
	if (range->start < 0 || range->length <= 0 || range->start > INT64_MAX - range->length ||
		range->batch & LEDGER_MONEY)
		return ERR_JOURNAL_INVALID;
	if (!add_checked(ledger->issued, range->length, &total))
		return ERR_OVERFLOW;
	struct account *account = account_get(ledger, step->place.org, range->batch);
	if (!range_put(&ledger->pool, &account->ranges[step->place.state], range->start, range->length))
		return ERR_JOURNAL_INVALID;
	border(ledger, step, account, range->length);
	undo_push(undo, come_revert, ledger, step, sizeof *step);
	return ERR_OK;
}

static enum err go(struct ledger *ledger, struct undo *undo, const struct border_step *step)
{
	const struct serial_range *range = &step->range;
	uint32_t item = account_find(ledger, step->place.org, range->batch, NULL);
	if (item == MAP_NONE || range->start < 0 || range->length <= 0 || range->start > INT64_MAX - range->length ||
		range->batch & LEDGER_MONEY)
		return ERR_INSUFFICIENT_KG;
	struct account *account = &ledger->accounts[item];
	if (!range_take(&ledger->pool, &account->ranges[step->place.state], range->start, range->length))
		return ERR_INSUFFICIENT_KG;
	border(ledger, step, account, -range->length);
	undo_push(undo, go_revert, ledger, step, sizeof *step);
	return ERR_OK;
}

static void come_revert(void *owner, const void *payload)
{
	struct border_step step;
	memcpy(&step, payload, sizeof step);
	enum err err = go(owner, NULL, &step);
	assert(!err);
}

static void go_revert(void *owner, const void *payload)
{
	struct border_step step;
	memcpy(&step, payload, sizeof step);
	enum err err = come(owner, NULL, &step);
	assert(!err);
}

static enum err border_all(struct ledger *ledger, struct undo *undo, const struct record_lists *lists, int64_t kg,
	struct ledger_place place,
	enum err (*one)(struct ledger *ledger, struct undo *undo, const struct border_step *step),
	struct err_info *info)
{
	int64_t sum = 0;
	if (!ledger->is_part || id_is_none(place.org))
		return err_set(info, ERR_JOURNAL_INVALID, "", "kilograms cross the border of a whole ledger");
	for (size_t i = 0; i < lists->range_count; i++) {
		struct border_step step = {.range = lists->ranges[i], .place = place};
		enum err err = one(ledger, undo, &step);
		if (err)
			return err_set(info, err, "/ranges", "range %zu: %s", i,
				err == ERR_INSUFFICIENT_KG ? "the organisation does not hold these serials"
							   : "these serials are here already, or are too many");
		sum += lists->ranges[i].length; /* they are here, or were: they can be counted */
	}
	return sum == kg && kg > 0 ? ERR_OK : err_set(info, ERR_JOURNAL_INVALID, "", "ranges do not add up");
}

enum err ledger_come(struct ledger *ledger, struct undo *undo, const struct record_lists *lists, int64_t kg,
	struct ledger_place to, struct err_info *info)
{
	return border_all(ledger, undo, lists, kg, to, come, info);
}

enum err ledger_go(struct ledger *ledger, struct undo *undo, const struct record_lists *lists, int64_t kg,
	struct ledger_place from, struct err_info *info)
{
	return border_all(ledger, undo, lists, kg, from, go, info);
}

bool ledger_holds(const struct ledger *ledger, const struct serial_range *range, struct ledger_place place)
{
	uint32_t item = account_find(ledger, place.org, range->batch, NULL);
	return item != MAP_NONE &&
	       range_has(&ledger->pool, &ledger->accounts[item].ranges[place.state], range->start, range->length);
}

struct pay_step {
	uint32_t giver, taker;
	uint16_t from, to;
	int64_t amount;
};

static void pay(struct ledger *ledger, const struct pay_step *step)
{
	struct account *giver = &ledger->accounts[step->giver];
	struct asset *asset = asset_of(ledger, giver);
	leg(ledger, asset, giver, (enum kg_state)step->from, -step->amount);
	leg(ledger, asset, &ledger->accounts[step->taker], (enum kg_state)step->to, step->amount);
}

static void pay_revert(void *owner, const void *payload)
{
	struct pay_step step;
	memcpy(&step, payload, sizeof step);
	struct pay_step back = {step.taker, step.giver, step.to, step.from, step.amount};
	pay(owner, &back);
}

enum err ledger_pay(struct ledger *ledger, struct undo *undo, uint64_t asset, int64_t amount_micros,
	struct ledger_place from, struct ledger_place to)
{
	assert(amount_micros > 0 && asset & LEDGER_MONEY);
	int64_t left, sum;
	uint32_t giver = id_is_none(from.org) ? ledger_account(ledger, from.org, asset)
					      : account_find(ledger, from.org, asset, NULL);
	if (giver == MAP_NONE) /* and none is made for who is not paid */
		return ERR_INSUFFICIENT_FUNDS;
	struct account *gives = &ledger->accounts[giver];
	if (!sub_checked(gives->amount[from.state], amount_micros, &left))
		return ERR_OVERFLOW;
	if (left < 0 && !id_is_none(from.org))
		return ERR_INSUFFICIENT_FUNDS;
	uint32_t taker = ledger_account(ledger, to.org, asset);
	if (!add_checked(ledger->accounts[taker].amount[to.state], amount_micros, &sum))
		return ERR_OVERFLOW;
	gives = &ledger->accounts[giver];
	struct asset *of = asset_of(ledger, gives);
	if (!add_checked(of->in_state[to.state], amount_micros, &sum))
		return ERR_OVERFLOW;
	struct pay_step step = {.giver = giver,
		.taker = taker,
		.from = (uint16_t)from.state,
		.to = (uint16_t)to.state,
		.amount = amount_micros};
	pay(ledger, &step);
	undo_push(undo, pay_revert, ledger, &step, sizeof step);
	return ERR_OK;
}

/* ---- within one account ---- */

/* From one state to another; of kilograms the serials as well. */
struct within_step {
	uint32_t account;
	uint16_t from, to;
	int64_t start, amount; /* start: of kilograms */
};

static bool within(struct ledger *ledger, const struct within_step *step)
{
	struct account *account = &ledger->accounts[step->account];
	struct asset *asset = asset_of(ledger, account);
	bool kilograms = !(asset->asset & LEDGER_MONEY);
	if (kilograms && !range_take(&ledger->pool, &account->ranges[step->from], step->start, step->amount))
		return false;
	bool put = !kilograms || range_put(&ledger->pool, &account->ranges[step->to], step->start, step->amount);
	assert(put);
	leg(ledger, asset, account, (enum kg_state)step->from, -step->amount);
	leg(ledger, asset, account, (enum kg_state)step->to, step->amount);
	return true;
}

static void within_revert(void *owner, const void *payload)
{
	struct within_step step;
	memcpy(&step, payload, sizeof step);
	struct within_step back = {step.account, step.to, step.from, step.start, step.amount};
	bool moved = within(owner, &back);
	assert(moved);
}

enum err ledger_move_within(struct ledger *ledger, struct undo *undo, uint32_t account,
	const struct record_lists *lists, int64_t kg, enum kg_state from, enum kg_state to, struct err_info *info)
{
	int64_t sum = 0;
	uint64_t batch = ledger->accounts[account].asset;
	assert(from != to);
	if (batch & LEDGER_MONEY)
		return err_set(info, ERR_INSUFFICIENT_KG, "/ranges", "money has no serials");
	for (size_t i = 0; i < lists->range_count; i++) {
		const struct serial_range *range = &lists->ranges[i];
		struct within_step step = {account, (uint16_t)from, (uint16_t)to, range->start, range->length};
		if (range->start < 0 || range->length <= 0 || range->start > INT64_MAX - range->length ||
			range->batch != batch || !within(ledger, &step))
			return err_set(info, ERR_INSUFFICIENT_KG, "/ranges",
				"range %zu: the organisation does not hold these serials", i);
		undo_push(undo, within_revert, ledger, &step, sizeof step);
		sum += range->length; /* no serial twice: they can be counted */
	}
	return sum == kg && kg > 0 ? ERR_OK : err_set(info, ERR_JOURNAL_INVALID, "", "ranges do not add up");
}

enum err ledger_pay_within(struct ledger *ledger, struct undo *undo, uint32_t account, int64_t amount_micros,
	enum kg_state from, enum kg_state to)
{
	const struct account *is = &ledger->accounts[account];
	struct within_step step = {account, (uint16_t)from, (uint16_t)to, 0, amount_micros};
	int64_t sum;
	assert(amount_micros > 0 && is->asset & LEDGER_MONEY && !id_is_none(is->org));
	if (is->amount[from] < amount_micros)
		return ERR_INSUFFICIENT_FUNDS;
	if (!add_checked(is->amount[to], amount_micros, &sum))
		return ERR_OVERFLOW; /* only where a snapshot has more than came in */
	bool paid = within(ledger, &step);
	assert(paid);
	undo_push(undo, within_revert, ledger, &step, sizeof step);
	return ERR_OK;
}

/* ---- reading ---- */

struct picking {
	uint64_t batch;
	int64_t left;
	struct serial_range *ranges;
	size_t count, most;
	bool overflow;
};

static bool pick_one(void *context, int64_t start, int64_t length)
{
	struct picking *picking = context;
	if (picking->count == picking->most) {
		picking->overflow = true;
		return false;
	}
	int64_t part = length < picking->left ? length : picking->left;
	picking->ranges[picking->count++] =
		(struct serial_range){.batch = picking->batch, .start = start, .length = part};
	picking->left -= part;
	return picking->left > 0;
}

enum err ledger_pick(const struct ledger *ledger, uint64_t batch, struct ledger_place place, int64_t kg,
	struct serial_range *ret_ranges, size_t most, size_t *ret_count)
{
	*ret_count = 0;
	uint32_t item = account_find(ledger, place.org, batch, NULL);
	return item == MAP_NONE || id_is_none(place.org)
		       ? ERR_INSUFFICIENT_KG
		       : ledger_pick_of(ledger, item, place.state, kg, ret_ranges, most, ret_count);
}

enum err ledger_pick_of(const struct ledger *ledger, uint32_t account, enum kg_state state, int64_t kg,
	struct serial_range *ret_ranges, size_t most, size_t *ret_count)
{
	const struct account *is = &ledger->accounts[account];
	*ret_count = 0;
	if (kg <= 0 || is->amount[state] < kg)
		return ERR_INSUFFICIENT_KG;
	struct picking picking = {.batch = is->asset, .left = kg, .ranges = ret_ranges, .most = most};
	range_each(&ledger->pool, &is->ranges[state], pick_one, &picking);
	if (picking.overflow)
		return ERR_COMMAND_TOO_LARGE;
	assert(picking.left == 0);
	*ret_count = picking.count;
	return ERR_OK;
}

int64_t ledger_amount(const struct ledger *ledger, uint64_t asset, struct ledger_place place)
{
	uint32_t item = account_find(ledger, place.org, asset, NULL);
	return item == MAP_NONE ? 0 : ledger->accounts[item].amount[place.state];
}

enum err ledger_empty_check(const struct ledger *ledger, struct id org, struct err_info *info)
{
	uint64_t hash;
	uint32_t first = org_find(ledger, org, &hash);
	for (uint32_t item = first == MAP_NONE ? 0 : first + 1; item; item = ledger->accounts[item - 1].next) {
		const struct account *account = &ledger->accounts[item - 1];
		for (int state = 0; state < KG_STATE_COUNT; state++) {
			bool is_final = state == KG_WITHDRAWN || state == KG_RETIRED || state == KG_CANCELLED;
			if (account->amount[state] && !is_final)
				return err_set(info, ERR_ACCOUNT_NOT_EMPTY, "/org_id", "the account has %s %s",
					event_kg_state_names[state],
					account->asset & LEDGER_MONEY ? "money" : "kilograms");
		}
	}
	return ERR_OK;
}

int64_t ledger_state_kg(const struct ledger *ledger, uint64_t batch, enum kg_state state)
{
	if (batch == 0)
		return ledger->in_state[state];
	uint32_t item = asset_find(ledger, batch);
	return item == MAP_NONE ? 0 : ledger->assets[item].in_state[state];
}

int64_t ledger_issued_kg(const struct ledger *ledger, uint64_t batch)
{
	if (batch == 0)
		return ledger->issued;
	uint32_t item = asset_find(ledger, batch);
	return item == MAP_NONE ? 0 : ledger->assets[item].issued;
}

/* ---- properties ---- */

static bool asset_holds(const struct asset *asset)
{
	if (asset->sum != 0)
		return false; /* P3 */
	if (asset->asset & LEDGER_MONEY)
		return true;
	int64_t sum = 0;
	bool counts = true;
	for (int state = 0; state < KG_STATE_COUNT; state++) {
		counts = counts && asset->in_state[state] >= 0;
		sum += asset->in_state[state];
	}
	return counts && sum == asset->issued && asset->in_ranges == asset->issued; /* P2, P1 */
}

void ledger_assert(struct ledger *ledger)
{
	size_t room = sizeof ledger->touched / sizeof *ledger->touched;
	if (ledger->touched_count > room) {
		for (uint32_t i = 0; i < ledger->asset_count; i++)
			assert(asset_holds(&ledger->assets[i]));
	} else {
		for (size_t i = 0; i < ledger->touched_count; i++)
			assert(asset_holds(&ledger->assets[ledger->touched[i]]));
	}
	ledger->touched_count = 0;
	int64_t sum = 0;
	for (int state = 0; state < KG_STATE_COUNT; state++)
		sum += ledger->in_state[state];
	assert(sum == ledger->issued);
}

struct listing {
	struct serial_range *ranges;
	size_t count, capacity;
	uint64_t batch;
};

static bool list_one(void *context, int64_t start, int64_t length)
{
	struct listing *listing = context;
	if (listing->count == listing->capacity) {
		size_t capacity = (listing->capacity + 16) * 2;
		struct serial_range *grown = realloc(listing->ranges, capacity * sizeof *grown);
		if (!grown)
			return false;
		listing->ranges = grown;
		listing->capacity = capacity;
	}
	listing->ranges[listing->count++] =
		(struct serial_range){.batch = listing->batch, .start = start, .length = length};
	return true;
}

/* One pass of a radix sort: stable, by one byte of the batch or of the start. */
static void order_by(const struct serial_range *from, struct serial_range *to, size_t count, bool by_batch, int shift)
{
	size_t places[257] = {0};
	for (size_t i = 0; i < count; i++)
		places[1 + ((by_batch ? from[i].batch : (uint64_t)from[i].start) >> shift & 0xff)]++;
	for (int byte = 0; byte < 256; byte++)
		places[byte + 1] += places[byte];
	for (size_t i = 0; i < count; i++)
		to[places[(by_batch ? from[i].batch : (uint64_t)from[i].start) >> shift & 0xff]++] = from[i];
}

/* By (batch, start), in as many passes as the largest of them have bytes: there are millions at a start. */
static bool listing_order(struct listing *all)
{
	uint64_t starts = 0, batches = 0;
	struct serial_range *spare = malloc((all->count + 1) * sizeof *spare);
	if (!spare)
		return false;
	for (size_t i = 0; i < all->count; i++) {
		starts |= (uint64_t)all->ranges[i].start;
		batches |= all->ranges[i].batch;
	}
	for (int pass = 0; pass < 16; pass++) {
		bool by_batch = pass >= 8;
		int shift = pass % 8 * 8;
		if ((by_batch ? batches : starts) >> shift == 0)
			continue;
		order_by(all->ranges, spare, all->count, by_batch, shift);
		struct serial_range *ordered = spare;
		spare = all->ranges;
		all->ranges = ordered;
	}
	free(spare);
	return true;
}

/* All ranges of the trees, each account's against its amounts. */
static enum err ranges_list(const struct ledger *ledger, struct listing *all, struct err_info *info)
{
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < ledger->account_count && !err; i++) {
		const struct account *account = &ledger->accounts[i];
		for (int state = 0; state < KG_STATE_COUNT && !err; state++) {
			size_t first = all->count;
			int64_t sum = 0;
			all->batch = account->asset;
			if (!range_each(&ledger->pool, &account->ranges[state], list_one, all))
				err = err_set(info, ERR_NO_MEMORY, "", "no memory to check the ledger");
			for (size_t r = first; r < all->count; r++)
				sum += all->ranges[r].length;
			bool backed = !(account->asset & LEDGER_MONEY) && !id_is_none(account->org);
			assert(err || !backed || sum == account->amount[state]);
		}
	}
	return err;
}

/* P1 of all batches from the trees themselves. */
static enum err partitions_check(const struct ledger *ledger, struct err_info *info)
{
	struct listing all = {0};
	enum err err = ranges_list(ledger, &all, info);
	if (!err && !listing_order(&all))
		err = err_set(info, ERR_NO_MEMORY, "", "no memory to check the ledger");
	int64_t end = 0, sum = 0;
	for (size_t i = 0; i < all.count && !err; i++) {
		bool is_first = i == 0 || all.ranges[i - 1].batch != all.ranges[i].batch;
		bool is_last = i + 1 == all.count || all.ranges[i + 1].batch != all.ranges[i].batch;
		int64_t from = is_first ? 0 : end, start = all.ranges[i].start;
		bool holds = ledger->is_part ? start >= from : start == from;
		end = start + all.ranges[i].length;
		sum = (is_first ? 0 : sum) + all.ranges[i].length;
		assert(!is_last || sum == ledger_issued_kg(ledger, all.ranges[i].batch));
		if (!holds)
			err = err_set(info, ERR_JOURNAL_INVALID, "", "P1: batch %llu is not partitioned at %lld",
				(unsigned long long)all.ranges[i].batch, (long long)all.ranges[i].start);
	}
	free(all.ranges);
	return err;
}

struct balance {
	int64_t sum, states[KG_STATE_COUNT];
};

/* P2 and P3 of all assets from the accounts themselves. */
static enum err balances_check(const struct ledger *ledger, struct err_info *info)
{
	enum err err = ERR_OK;
	struct balance *balances = calloc(ledger->asset_count + 1, sizeof *balances);
	if (!balances)
		return err_set(info, ERR_NO_MEMORY, "", "no memory to check the ledger");
	for (uint32_t i = 0; i < ledger->account_count; i++) {
		const struct account *account = &ledger->accounts[i];
		uint32_t item = asset_find(ledger, account->asset);
		/* an account that nothing was ever in may be of no asset */
		struct balance *balance = &balances[item == MAP_NONE ? ledger->asset_count : item];
		for (int state = 0; state < KG_STATE_COUNT; state++) {
			balance->sum += account->amount[state];
			if (!id_is_none(account->org))
				balance->states[state] += account->amount[state];
		}
	}
	for (uint32_t a = 0; a < ledger->asset_count && !err; a++) {
		const struct asset *asset = &ledger->assets[a];
		assert(balances[a].sum == asset->sum);
		assert(memcmp(balances[a].states, asset->in_state, sizeof asset->in_state) == 0);
		if (!asset_holds(asset))
			err = err_set(info, ERR_JOURNAL_INVALID, "", "P2/P3: asset %llu does not balance",
				(unsigned long long)asset->asset);
	}
	free(balances);
	return err;
}

enum err ledger_check(const struct ledger *ledger, struct err_info *info)
{
	enum err err = balances_check(ledger, info);
	return err ? err : partitions_check(ledger, info);
}

/* ---- canonical order, for snapshots ---- */

static int account_compare(const void *a, const void *b)
{
	const struct account *const *x = a, *const *y = b;
	int order = memcmp(&(*x)->org, &(*y)->org, sizeof(*x)->org);
	if (order)
		return order;
	return (*x)->asset < (*y)->asset ? -1 : (*x)->asset > (*y)->asset;
}

struct entry_telling {
	enum err (*each)(void *context, const struct ledger_entry *entry);
	void *context;
	struct ledger_entry entry;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	enum err err;
};

static void tell(struct entry_telling *telling)
{
	telling->err = telling->each(telling->context, &telling->entry);
	telling->entry.range_count = 0;
	telling->entry.amount = 0;
}

static bool tell_range(void *context, int64_t start, int64_t length)
{
	struct entry_telling *telling = context;
	struct ledger_entry *entry = &telling->entry;
	telling->ranges[entry->range_count++] =
		(struct serial_range){.batch = entry->asset, .start = start, .length = length};
	entry->amount += length;
	if (entry->range_count == EVENTS_RANGES_MAX)
		tell(telling);
	return telling->err == ERR_OK;
}

static enum err tell_account(const struct ledger *ledger, const struct account *account, struct entry_telling *telling)
{
	for (int state = 0; state < KG_STATE_COUNT && !telling->err; state++) {
		telling->entry = (struct ledger_entry){.place = {.org = account->org, .state = (enum kg_state)state},
			.asset = account->asset,
			.ranges = telling->ranges};
		if (account->asset & LEDGER_MONEY) {
			telling->entry.ranges = NULL;
			telling->entry.amount = account->amount[state];
			if (account->amount[state])
				tell(telling);
			continue;
		}
		range_each(&ledger->pool, &account->ranges[state], tell_range, telling);
		if (telling->entry.range_count)
			tell(telling);
	}
	return telling->err;
}

enum err ledger_each(
	const struct ledger *ledger, enum err (*each)(void *context, const struct ledger_entry *entry), void *context)
{
	const struct account **sorted = calloc(ledger->account_count + 1, sizeof *sorted);
	struct entry_telling *telling = calloc(1, sizeof *telling);
	enum err err = sorted && telling ? ERR_OK : ERR_NO_MEMORY;
	if (err)
		goto out;
	for (uint32_t i = 0; i < ledger->account_count; i++)
		sorted[i] = &ledger->accounts[i];
	qsort(sorted, ledger->account_count, sizeof *sorted, account_compare);
	telling->each = each;
	telling->context = context;
	for (uint32_t i = 0; i < ledger->account_count && !err; i++)
		if (!id_is_none(sorted[i]->org) || sorted[i]->asset & LEDGER_MONEY)
			err = tell_account(ledger, sorted[i], telling);
out:
	free(telling);
	free(sorted);
	return err;
}

/* Money comes back leg by leg: the outside world's balance is an entry too, so the sum is zero when all are in. */
static enum err money_restore(struct ledger *ledger, const struct ledger_entry *entry)
{
	int64_t sum;
	struct account *account = account_get(ledger, entry->place.org, entry->asset);
	struct asset *asset = asset_get(ledger, entry->asset);
	if (account->amount[entry->place.state] || !add_checked(asset->sum, entry->amount, &sum) ||
		!add_checked(asset->in_state[entry->place.state], entry->amount, &sum))
		return ERR_JOURNAL_INVALID;
	leg(ledger, asset, account, entry->place.state, entry->amount);
	return ERR_OK;
}

enum err ledger_restore(struct ledger *ledger, const struct ledger_entry *entry)
{
	if (entry->asset & LEDGER_MONEY)
		return money_restore(ledger, entry);
	if (id_is_none(entry->place.org))
		return ERR_JOURNAL_INVALID;
	struct account *outside = account_get(ledger, (struct id){0}, entry->asset);
	struct account *account = account_get(ledger, entry->place.org, entry->asset);
	struct asset *asset = asset_get(ledger, entry->asset);
	for (size_t i = 0; i < entry->range_count; i++) {
		const struct serial_range *range = &entry->ranges[i];
		int64_t issued, total;
		if (range->batch != entry->asset || range->start < 0 || range->length <= 0 ||
			range->start > INT64_MAX - range->length ||
			!add_checked(asset->issued, range->length, &issued) ||
			!add_checked(ledger->issued, range->length, &total) ||
			!range_put(&ledger->pool, &account->ranges[entry->place.state], range->start, range->length))
			return ERR_JOURNAL_INVALID;
		asset->issued = issued;
		asset->in_ranges += range->length;
		ledger->issued = total;
		leg(ledger, asset, account, entry->place.state, range->length);
		leg(ledger, asset, outside, KG_HELD, -range->length);
	}
	return ERR_OK;
}
