/* Decides what is true: a second state that takes the durable journal event by event, and what is remembered of every command for
 * as long as the run lasts. What the engine answers, loads and shows is held against it. */
#include "sim.h"

#define HALTED_MOST 64

struct span {
	int64_t from, to; /* events above `from` up to `to` */
};

struct oracle {
	void (*violated)(const char *format, ...);
	struct rules *rules;
	struct event_scratch *scratch;
	struct done *done;
	size_t done_count, done_capacity;
	struct map map, keys;
	struct span halted[HALTED_MOST];
	size_t halted_count;
	int64_t issued_kg;
	struct {
		struct id command;
		int64_t kg, micros, parts_kg, parts_micros, retired_kg; /* what its records did, and what they say */
		uint32_t parts;
		bool retires;
	} purchase; /* the one at hand */
	uint64_t done_of[COMMAND_KIND_COUNT];
};

struct oracle *oracle_new(struct id registry, void (*violated)(const char *format, ...))
{
	struct oracle *oracle = calloc(1, sizeof *oracle);
	oracle->violated = violated;
	oracle->rules = rules_new(registry, 1);
	oracle->scratch = malloc(sizeof *oracle->scratch);
	return oracle;
}

void oracle_free(struct oracle **oracle)
{
	struct oracle *old = *oracle;
	*oracle = NULL;
	rules_free(&old->rules);
	free(old->scratch);
	free(old->done);
	map_free(&old->map);
	map_free(&old->keys);
	free(old);
}

/* ---- what has been done, once and for ever ---- */

struct command_key {
	struct id org, command;
};

static bool command_equal(const void *context, uint32_t item, const void *key)
{
	const struct done *done = &((const struct oracle *)context)->done[item];
	const struct command_key *wanted = key;
	return id_equal(done->org, wanted->org) && id_equal(done->command, wanted->command);
}

static bool key_equal(const void *context, uint32_t item, const void *key)
{
	return hash_equal(((const struct oracle *)context)->done[item].key, *(const struct hash *)key);
}

const struct done *oracle_find(const struct oracle *oracle, struct id org, struct id command, const struct hash *key)
{
	struct command_key wanted = {.org = org, .command = command};
	uint32_t item = key && !hash_is_none(*key)
				? map_find(&oracle->keys, map_hash_bytes(3, key, sizeof *key), key_equal, oracle, key)
				: map_find(&oracle->map, map_hash_bytes(3, &wanted, sizeof wanted), command_equal,
					  oracle, &wanted);
	return item == MAP_NONE ? NULL : &oracle->done[item];
}

static void done_add(struct oracle *oracle, const struct event *event, uint64_t number, struct hash key)
{
	struct command_key wanted = {.org = event->header.org, .command = event->header.command};
	if (oracle_find(oracle, wanted.org, wanted.command, hash_is_none(key) ? NULL : &key))
		oracle->violated("event %lld does a command a second time", (long long)event->header.number);
	if (oracle->done_count == oracle->done_capacity) {
		oracle->done_capacity = (oracle->done_capacity + 64) * 2;
		oracle->done = realloc(oracle->done, oracle->done_capacity * sizeof *oracle->done);
	}
	if (!oracle->done || !map_reserve(&oracle->map, 1) || !map_reserve(&oracle->keys, 1)) {
		oracle->violated("no memory");
		return;
	}
	struct done *done = &oracle->done[oracle->done_count];
	*done = (struct done){.org = wanted.org,
		.command = wanted.command,
		.position = (int64_t)event->header.number,
		.number = number,
		.key = key};
	if (hash_is_none(key))
		map_put(&oracle->map, map_hash_bytes(3, &wanted, sizeof wanted), (uint32_t)oracle->done_count);
	else
		map_put(&oracle->keys, map_hash_bytes(3, &key, sizeof key), (uint32_t)oracle->done_count);
	oracle->done_count++;
}

/* ---- the clock ---- */

void oracle_halted(struct oracle *oracle, int64_t from, int64_t to)
{
	if (oracle->halted_count == HALTED_MOST) {
		oracle->halted_count--;
		memmove(oracle->halted, oracle->halted + 1, oracle->halted_count * sizeof *oracle->halted);
	}
	oracle->halted[oracle->halted_count++] = (struct span){.from = from, .to = to};
}

void oracle_forget_undone(struct oracle *oracle)
{
	int64_t position = oracle_position(oracle);
	size_t kept = 0;
	for (size_t i = 0; i < oracle->halted_count; i++)
		if (oracle->halted[i].to <= position)
			oracle->halted[kept++] = oracle->halted[i];
	oracle->halted_count = kept;
}

/* By itself, because its time had come (decision 10). */
static bool expires(const struct event *event)
{
	return event->header.type == EVENT_TICKED || event->header.type == EVENT_DEADLINE_REACHED ||
	       (event->header.type == EVENT_MONEY_VOIDED && event->money_voided.expired) ||
	       (event->header.type == EVENT_KG_VOIDED && event->kg_voided.expired) ||
	       (event->header.type == EVENT_BATCH_RELEASED && hash_is_none(event->batch_released.reason_hash)) ||
	       (event->header.type == EVENT_ACCOUNT_RELEASED && hash_is_none(event->account_released.reason_hash));
}

static void clock_check(struct oracle *oracle, const struct event *event)
{
	int64_t number = (int64_t)event->header.number;
	for (size_t i = 0; i < oracle->halted_count && expires(event); i++)
		if (number > oracle->halted[i].from && number <= oracle->halted[i].to)
			oracle->violated("event %lld expires something while the clock is halted", (long long)number);
	if (event->header.time_us < rules_time_us(oracle->rules))
		oracle->violated("the journal's time falls at event %lld", (long long)number);
}

/* ---- purchases: what one says of itself is what it did (docs/ROUTING.md) ---- */

static void purchase_check(struct oracle *oracle, const struct event *event)
{
	const struct event_purchase_part *part = &event->purchase_part;
	const struct event_purchased *whole = &event->purchased;
	if (!id_equal(event->header.command, oracle->purchase.command)) {
		memset(&oracle->purchase, 0, sizeof oracle->purchase);
		oracle->purchase.command = event->header.command;
	}
	switch (event->header.type) {
	case EVENT_TRADED:
		oracle->purchase.kg += event->traded.kg;
		oracle->purchase.micros += event->traded.amount_micros + event->traded.buyer_fee_micros;
		break;
	case EVENT_AUCTION_TAKEN:
		oracle->purchase.kg += event->auction_taken.kg;
		oracle->purchase.micros += event->auction_taken.amount_micros + event->auction_taken.buyer_fee_micros;
		break;
	case EVENT_POOL_BOUGHT:
		oracle->purchase.kg += event->pool_bought.kg;
		oracle->purchase.micros += event->pool_bought.micros;
		break;
	case EVENT_PURCHASE_PART:
		oracle->purchase.parts_kg += part->kg;
		oracle->purchase.parts_micros += part->micros;
		if (part->part != ++oracle->purchase.parts || oracle->purchase.parts_kg != oracle->purchase.kg ||
			oracle->purchase.parts_micros != oracle->purchase.micros)
			oracle->violated("event %llu says of a part what was not bought",
				(unsigned long long)event->header.number);
		break;
	case EVENT_PURCHASED:
		oracle->purchase.retires = whole->lines > 0;
		if (whole->kg != oracle->purchase.kg || whole->micros != oracle->purchase.micros ||
			whole->parts != oracle->purchase.parts || whole->micros > whole->maximum_micros ||
			(whole->limit_micros && whole->marginal_micros > whole->limit_micros))
			oracle->violated("event %llu says of a purchase what did not happen",
				(unsigned long long)event->header.number);
		break;
	case EVENT_RETIRED: oracle->purchase.retired_kg += event->retired.kg; break;
	case EVENT_COMMAND_DONE:
		if (oracle->purchase.retires && oracle->purchase.retired_kg != oracle->purchase.kg)
			oracle->violated("event %llu ends a purchase that retired %lld kg of %lld",
				(unsigned long long)event->header.number, (long long)oracle->purchase.retired_kg,
				(long long)oracle->purchase.kg);
		break;
	default: break;
	}
}

/* ---- after every event ---- */

static void states_check(struct oracle *oracle, const struct event *event)
{
	struct err_info info = {0};
	int64_t sum_kg = 0, issued_kg = rules_issued_kg(oracle->rules);
	if (rules_check(oracle->rules, &info)) /* P1, P2, P3 from the ground */
		oracle->violated("after event %llu: %s", (unsigned long long)event->header.number, info.detail);
	for (int state = 0; state < KG_STATE_COUNT; state++)
		sum_kg += rules_state_kg(oracle->rules, (enum kg_state)state);
	if (sum_kg != issued_kg)
		oracle->violated("after event %llu: states sum to %lld kg, issued are %lld kg",
			(unsigned long long)event->header.number, (long long)sum_kg, (long long)issued_kg);
	bool makes = event->header.type == EVENT_BATCH_ISSUED || event->header.type == EVENT_BATCH_IMPORTED;
	if (issued_kg != oracle->issued_kg && !makes)
		oracle->violated("event %llu makes kilograms", (unsigned long long)event->header.number);
	oracle->issued_kg = issued_kg;
}

void oracle_take(struct oracle *oracle, const struct store_batch *batch)
{
	struct err_info info = {0};
	uint32_t count = 0;
	for (size_t at = 0, length = 0; at < batch->payload_size; at += length, count++) {
		struct event event;
		enum err err = event_decode(
			batch->payload + at, batch->payload_size - at, oracle->scratch, &event, &length, &info);
		if (!err)
			clock_check(oracle, &event);
		if (!err)
			err = rules_apply(oracle->rules, &event, &info);
		if (err) {
			oracle->violated("the journal does not replay: %s", info.detail);
			return;
		}
		states_check(oracle, &event);
		purchase_check(oracle, &event);
		work_seen(&event);
		if (event.header.type == EVENT_COMMAND_DONE)
			oracle->done_of[event.command_done.kind]++;
		if (event.header.type == EVENT_COMMAND_DONE)
			done_add(oracle, &event, event.command_done.number, (struct hash){0});
		else if (event.header.type == EVENT_SOURCE_DONE)
			done_add(oracle, &event, event.source_done.number, event.source_done.key);
	}
	if (count != batch->count)
		oracle->violated(
			"batch %llu says %u events and has %u", (unsigned long long)batch->seq, batch->count, count);
}

uint64_t oracle_done_of(const struct oracle *oracle, enum command_kind kind)
{
	return oracle->done_of[kind];
}

int64_t oracle_position(const struct oracle *oracle)
{
	return (int64_t)rules_position(oracle->rules);
}

const struct rules *oracle_rules(const struct oracle *oracle)
{
	return oracle->rules;
}

struct hash oracle_state(const struct oracle *oracle)
{
	struct hash hash;
	struct err_info info = {0};
	if (rules_state_hash(oracle->rules, &hash, &info))
		oracle->violated("the state has no hash: %s", info.detail);
	return hash;
}

/* ---- the views ---- */

static enum err entry_sum(void *context, const struct ledger_entry *entry)
{
	int64_t *sums = context;
	if (!(entry->asset & LEDGER_MONEY) && entry->amount > 0)
		sums[entry->place.state] += entry->amount;
	return ERR_OK;
}

static void holdings_check(const struct oracle *oracle, struct store *store, struct arena *arena)
{
	struct err_info info = {0};
	struct holding_row *rows = NULL;
	size_t count = 0;
	int64_t sums[KG_STATE_COUNT] = {0}, shown[KG_STATE_COUNT] = {0};
	struct store_query query = {.collection = &holdings_collection, .most = 100000};
	if (store_find(store, &query, arena, (void **)&rows, &count, &info))
		oracle->violated("holdings cannot be read: %s", info.detail);
	for (size_t i = 0; i < count; i++)
		for (int state = 0; state < KG_STATE_COUNT; state++) {
			struct ledger_place place = {.org = rows[i].org_id, .state = (enum kg_state)state};
			int64_t kg = (&rows[i].held_kg)[state],
				truth = ledger_amount(rules_ledger(oracle->rules), (uint64_t)rows[i].batch, place);
			shown[state] += kg;
			if (kg != truth)
				oracle->violated("batch %lld: the view shows %lld kg %s, the ledger has %lld",
					(long long)rows[i].batch, (long long)kg, event_kg_state_names[state],
					(long long)truth);
		}
	if (ledger_each(rules_ledger(oracle->rules), entry_sum, sums))
		oracle->violated("the ledger cannot be read");
	if (memcmp(sums, shown, sizeof sums) != 0)
		oracle->violated("holdings are missing in the view");
}

static void ranges_check(const struct oracle *oracle, struct store *store, struct arena *arena)
{
	struct err_info info = {0};
	struct serial_range_row *rows = NULL;
	size_t count = 0;
	int64_t kg = 0;
	struct store_query query = {.collection = &ranges_collection, .most = 100000};
	if (store_find(store, &query, arena, (void **)&rows, &count, &info))
		oracle->violated("ranges cannot be read: %s", info.detail);
	for (size_t i = 0; i < count; i++) {
		bool follows = i && rows[i].batch == rows[i - 1].batch;
		if (rows[i].start != (follows ? rows[i - 1].start + rows[i - 1].length : 0))
			oracle->violated(
				"the view's ranges of batch %lld do not partition it", (long long)rows[i].batch);
		kg += rows[i].length;
	}
	if (kg != rules_issued_kg(oracle->rules))
		oracle->violated("the view has ranges of %lld kg, issued are %lld kg", (long long)kg,
			(long long)rules_issued_kg(oracle->rules));
}

/* The asset's number in the ledger of what a row calls by text. */
static uint64_t asset_of(const char *text)
{
	struct code8 currency;
	if (strncmp(text, "pool-", 5) == 0)
		return market_pool_shares(strtoull(text + 5, NULL, 10));
	return text[0] >= '0' && text[0] <= '9' ? strtoull(text, NULL, 10)
	       : code8_set(&currency, text)     ? ledger_money_asset(currency)
						: 0;
}

static int64_t balance_truth(const struct oracle *oracle, const struct balance_row *row, int state)
{
	struct ledger_place place = {.org = row->org_id, .state = (enum kg_state)state};
	if (id_equal(row->org_id, ledger_outside))
		place.org = (struct id){{0}};
	return ledger_amount(rules_ledger(oracle->rules), asset_of(row->asset), place);
}

/* Every account has what the ledger says, its last entry too, and each asset sums to zero (P3). */
static void balances_check(const struct oracle *oracle, struct store *store, struct arena *arena)
{
	struct err_info info = {0};
	struct balance_row *rows = NULL, *assets = NULL;
	struct entry_row *last = NULL;
	size_t count = 0, found = 0, asset_count = 0;
	struct store_query query = {.collection = &balances_collection, .most = 100000};
	if (store_find(store, &query, arena, (void **)&rows, &count, &info))
		oracle->violated("balances cannot be read: %s", info.detail);
	for (size_t i = 0; i < count; i++) {
		struct entry_row low;
		field_clear(entry_fields, &low);
		low.org_id = rows[i].org_id;
		low.asset = rows[i].asset;
		struct store_query entries = {
			.collection = &entries_collection, .low = &low, .prefix = 2, .descending = true, .most = 1};
		if (store_find(store, &entries, arena, (void **)&last, &found, &info) || found != 1) {
			oracle->violated("an account of %s has no entry", rows[i].asset);
			return;
		}
		for (int state = 0; state < KG_STATE_COUNT; state++)
			if ((&rows[i].amounts.held)[state] != balance_truth(oracle, &rows[i], state) ||
				(&last->amounts.held)[state] != (&rows[i].amounts.held)[state])
				oracle->violated("an account of %s: the view shows %lld %s, its last entry %lld, the "
						 "ledger has %lld",
					rows[i].asset, (long long)(&rows[i].amounts.held)[state],
					event_kg_state_names[state], (long long)(&last->amounts.held)[state],
					(long long)balance_truth(oracle, &rows[i], state));
	}
	struct store_query by_asset = {.collection = &balances_collection, .index = "by_asset", .most = 100000};
	int64_t sum = 0;
	if (store_find(store, &by_asset, arena, (void **)&assets, &asset_count, &info) || asset_count != count)
		oracle->violated("balances cannot be read by asset: %s", info.detail);
	for (size_t i = 0; i < asset_count; i++) {
		for (int state = 0; state < KG_STATE_COUNT; state++)
			sum += (&assets[i].amounts.held)[state];
		if ((i + 1 == asset_count || strcmp(assets[i].asset, assets[i + 1].asset) != 0) && sum != 0)
			oracle->violated("the view's accounts of %s sum to %lld", assets[i].asset, (long long)sum);
		else if (i + 1 == asset_count || strcmp(assets[i].asset, assets[i + 1].asset) != 0)
			sum = 0;
	}
}

/* As many are under way in the views as in the state. */
static void contracts_check(const struct oracle *oracle, struct store *store, struct arena *arena)
{
	struct err_info info = {0};
	struct escrow_row *escrows = NULL;
	struct offtake_row *offtakes = NULL;
	size_t count = 0;
	uint32_t open_escrows = 0, open_offtakes = 0;
	struct store_query query = {.collection = &escrows_collection, .most = 100000};
	if (store_find(store, &query, arena, (void **)&escrows, &count, &info))
		oracle->violated("escrows cannot be read: %s", info.detail);
	for (size_t i = 0; i < count; i++)
		open_escrows += escrows[i].status < ESCROW_STATUS_ENDED;
	query.collection = &offtakes_collection;
	if (store_find(store, &query, arena, (void **)&offtakes, &count, &info))
		oracle->violated("offtakes cannot be read: %s", info.detail);
	for (size_t i = 0; i < count; i++)
		open_offtakes += offtakes[i].status < OFFTAKE_STATE_COUNT;
	const struct market *market = rules_market(oracle->rules);
	if (open_escrows != market_escrow_count(market) || open_offtakes != market_offtake_count(market))
		oracle->violated("the views show %u escrows and %u contracts under way, the state has %u and %u",
			open_escrows, open_offtakes, market_escrow_count(market), market_offtake_count(market));
}

void oracle_check_views(const struct oracle *oracle, struct store *store)
{
	struct arena *arena = arena_new(256u << 20);
	contracts_check(oracle, store, arena);
	holdings_check(oracle, store, arena);
	ranges_check(oracle, store, arena);
	balances_check(oracle, store, arena);
	arena_free(&arena);
}
