/* Decides how the whole state is written and read: synthetic events through the journal's own codec, in an order that
 * depends on nothing but the state, so that equal states have equal hashes. The state's thread. */
#include "state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STATE_DOMAIN     "carbond/state/1"
#define RECORD_BYTES_MAX (512u << 10) /* a period with 8,784 runs, or 4,096 claims */

struct writer {
	const struct rules *rules;
	enum err (*put)(void *context, const uint8_t *record, size_t size);
	void *context;
	struct err_info *info;
	struct sha256 hash;
	uint64_t records;
	uint8_t *buffer;
};

static enum err put_event(void *context, struct event *event, struct err_info *info)
{
	struct writer *writer = context;
	size_t size = 0;
	enum err err = event_encode(event, writer->buffer, RECORD_BYTES_MAX, &size);
	if (err)
		return err_set(info, err, "", "a record of the snapshot is too large");
	if (event->header.type != EVENT_STATE_END) {
		sha256_add(&writer->hash, writer->buffer, size);
		writer->records++;
	}
	return writer->put ? writer->put(writer->context, writer->buffer, size) : ERR_OK;
}

static enum err put(struct writer *writer, uint16_t type, struct event *event)
{
	event->header.type = type;
	return put_event(writer, event, writer->info);
}

static enum err start_put(struct writer *writer)
{
	const struct rules *rules = writer->rules;
	struct event event = {.state_start = {.registry = registry_id(rules->registry),
				      .position = rules->position,
				      .time_us = rules->time_us,
				      .batches = registry_batch_count(rules->registry),
				      .retirements = registry_retirement_count(rules->registry),
				      .horizon_us = rules->horizon_us}};
	return put(writer, EVENT_STATE_START, &event);
}

static enum err actors_put(struct writer *writer)
{
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < writer->rules->actor_count && !err; i++) {
		const struct actor *actor = &writer->rules->actors[i];
		struct event event = {.actor_named = {.number = i + 1, .actor = actor->id, .org = actor->org}};
		err = put(writer, EVENT_ACTOR_NAMED, &event);
	}
	return err;
}

static enum err registry_put(struct writer *writer)
{
	return registry_snapshot(writer->rules->registry, put_event, writer, writer->info);
}

static enum err entry_put(void *context, const struct ledger_entry *entry)
{
	struct writer *writer = context;
	struct event event = {.lists = {.ranges = entry->ranges, .range_count = entry->range_count}};
	if (!(entry->asset & LEDGER_MONEY)) {
		event.state_ranges = (struct event_state_ranges){
			.org = entry->place.org, .asset = entry->asset, .state = (uint32_t)entry->place.state};
		return put(writer, EVENT_STATE_RANGES, &event);
	}
	event.state_money = (struct event_state_money){.org = entry->place.org,
		.asset = entry->asset,
		.state = (uint32_t)entry->place.state,
		.amount_micros = entry->amount};
	return put(writer, EVENT_STATE_MONEY, &event);
}

static enum err ledger_put(struct writer *writer)
{
	enum err err = ledger_each(writer->rules->ledger, entry_put, writer);
	return err ? err : ledger_snapshot(writer->rules->ledger, put_event, writer, writer->info);
}

static enum err market_put(struct writer *writer)
{
	enum err err = market_snapshot(writer->rules->market, put_event, writer, writer->info);
	return err ? err : market_contract_snapshot(writer->rules->market, put_event, writer, writer->info);
}

static enum err shards_put(struct writer *writer)
{
	return shards_snapshot(&writer->rules->shards, put_event, writer, writer->info);
}

static int repeat_compare(const void *a, const void *b)
{
	return repeats_compare(*(const struct repeat *const *)a, *(const struct repeat *const *)b);
}

static enum err repeats_put_all(struct writer *writer)
{
	const struct repeats *repeats = &writer->rules->repeats;
	const struct repeat **sorted = calloc(repeats->map.count + 1, sizeof *sorted);
	if (!sorted)
		return ERR_NO_MEMORY;
	size_t count = 0;
	bool in_order = true; /* as they are after a snapshot was read */
	for (uint32_t item = 0; item < repeats->used; item++) {
		const struct repeat *repeat = &repeats->items[item];
		if (id_is_none(repeat->command))
			continue;
		in_order = in_order && (count == 0 || repeat_compare(&sorted[count - 1], &repeat) < 0);
		sorted[count++] = repeat;
	}
	assert(count == repeats->map.count);
	if (!in_order)
		qsort(sorted, count, sizeof *sorted, repeat_compare);
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && !err; i++) {
		struct event event = {.state_repeat = {.org = sorted[i]->org,
					      .command = sorted[i]->command,
					      .request_hash = sorted[i]->request_hash,
					      .kind = sorted[i]->kind,
					      .events = sorted[i]->events,
					      .number = sorted[i]->number,
					      .position = sorted[i]->position}};
		err = put(writer, EVENT_STATE_REPEAT, &event);
	}
	free(sorted);
	return err;
}

/* In order of their positions: as they came, which the journal fixes. */
static enum err naturals_put(struct writer *writer)
{
	const struct repeats *repeats = &writer->rules->repeats;
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < repeats->natural_count && !err; i++) {
		const struct natural *natural = &repeats->naturals[i];
		struct event event = {.state_natural = {.key = natural->key,
					      .request_hash = natural->request_hash,
					      .source = natural->source,
					      .kind = natural->kind,
					      .number = natural->number,
					      .position = natural->position,
					      .events = natural->events}};
		err = put(writer, EVENT_STATE_NATURAL, &event);
	}
	for (uint32_t source = 0; source < COMMAND_SOURCE_COUNT && !err; source++) {
		if (!repeats->source_position[source])
			continue;
		struct event event = {
			.state_source = {.source = source, .source_position = repeats->source_position[source]}};
		err = put(writer, EVENT_STATE_SOURCE, &event);
	}
	return err;
}

enum err rules_snapshot(const struct rules *rules, uint64_t journal_seq, struct hash journal_hash,
	enum err (*put_record)(void *context, const uint8_t *record, size_t size), void *context, struct hash *ret_hash,
	struct err_info *info)
{
	static enum err (*const parts[])(struct writer *) = {
		start_put, actors_put, registry_put, ledger_put, market_put, shards_put, repeats_put_all, naturals_put};
	struct writer writer = {.rules = rules, .put = put_record, .context = context, .info = info};
	writer.buffer = malloc(RECORD_BYTES_MAX);
	if (!writer.buffer)
		return ERR_NO_MEMORY;
	sha256_start(&writer.hash, STATE_DOMAIN);
	enum err err = ERR_OK;
	for (size_t i = 0; i < sizeof parts / sizeof *parts && !err; i++)
		err = parts[i](&writer);
	if (!err) {
		struct hash hash = sha256_end(&writer.hash);
		struct event end = {.state_end = {.records = writer.records,
					    .state_hash = hash,
					    .journal_seq = journal_seq,
					    .journal_hash = journal_hash}};
		if (ret_hash)
			*ret_hash = hash;
		err = put(&writer, EVENT_STATE_END, &end);
	}
	free(writer.buffer);
	return err;
}

enum err rules_state_hash(const struct rules *rules, struct hash *ret_hash, struct err_info *info)
{
	return rules_snapshot(rules, 0, (struct hash){0}, NULL, NULL, ret_hash, info);
}

/* ---- reading ---- */

static enum err bad(struct err_info *info, const char *reason)
{
	return err_set(info, ERR_JOURNAL_INVALID, "", "%s", reason);
}

static enum err start_take(struct rules *rules, const struct event_state_start *said, struct err_info *info)
{
	if (rules->position || rules->restoring || !id_equal(said->registry, registry_id(rules->registry)))
		return bad(info, "the snapshot is another registry's, or not into a new state");
	rules->restoring = true;
	rules->position = said->position;
	rules->time_us = said->time_us;
	rules->horizon_us = said->horizon_us;
	registry_restore_counts(rules->registry, said->retirements);
	sha256_start(&rules->restore_hash, STATE_DOMAIN);
	return ERR_OK;
}

static enum err repeat_take(struct rules *rules, const struct event_state_repeat *said, struct err_info *info)
{
	struct repeat repeat = {.org = said->org,
		.command = said->command,
		.request_hash = said->request_hash,
		.kind = said->kind,
		.events = said->events,
		.number = said->number,
		.position = said->position};
	return !id_is_none(said->command) && repeats_restore(&rules->repeats, &repeat)
		       ? ERR_OK
		       : bad(info, "a repeat without an id, there twice, or out of order");
}

static enum err natural_take(struct rules *rules, const struct event_state_natural *said, struct err_info *info)
{
	if (hash_is_none(said->key) || natural_find(&rules->repeats, said->key))
		return bad(info, "a natural key is there twice");
	struct natural natural = {.key = said->key,
		.request_hash = said->request_hash,
		.source = said->source,
		.kind = said->kind,
		.events = said->events,
		.number = said->number,
		.position = said->position};
	natural_put(&rules->repeats, &natural);
	return ERR_OK;
}

static enum err end_take(
	struct rules *rules, const struct event_state_end *said, struct event_state_end *ret_end, struct err_info *info)
{
	struct hash hash = sha256_end(&rules->restore_hash);
	rules->restoring = false;
	if (said->records != rules->restore_records || !hash_equal(hash, said->state_hash))
		return bad(info, "the snapshot's count or hash does not agree");
	if (rules->shards.own && !rules->shards.restored)
		return bad(info, "the snapshot is the home shard's");
	if (!repeats_index(&rules->repeats))
		return ERR_NO_MEMORY;
	enum err err = ledger_check(rules->ledger, info);
	if (err)
		return err;
	ledger_assert(rules->ledger);
	*ret_end = *said;
	return ERR_OK;
}

static enum err record_take(struct rules *rules, const struct event *event, struct err_info *info)
{
	struct ledger_entry entry = {0};
	switch (event->header.type) {
	case EVENT_STATE_RANGES:
		entry = (struct ledger_entry){
			.place = {.org = event->state_ranges.org, .state = (enum kg_state)event->state_ranges.state},
			.asset = event->state_ranges.asset,
			.ranges = event->lists.ranges,
			.range_count = event->lists.range_count};
		return entry.asset & LEDGER_MONEY ? bad(info, "money has no ranges")
						  : ledger_restore(rules->ledger, &entry);
	case EVENT_STATE_MONEY:
		entry = (struct ledger_entry){
			.place = {.org = event->state_money.org, .state = (enum kg_state)event->state_money.state},
			.asset = event->state_money.asset,
			.amount = event->state_money.amount_micros};
		return entry.asset & LEDGER_MONEY ? ledger_restore(rules->ledger, &entry)
						  : bad(info, "kilograms have ranges");
	case EVENT_STATE_REPEAT: return repeat_take(rules, &event->state_repeat, info);
	case EVENT_STATE_NATURAL: return natural_take(rules, &event->state_natural, info);
	case EVENT_STATE_SOURCE:
		rules->repeats.source_position[event->state_source.source] = event->state_source.source_position;
		return ERR_OK;
	case EVENT_ACTOR_NAMED: return rules_make_true(rules, NULL, event, info);
	case EVENT_STATE_HOUSE:
	case EVENT_STATE_PENDING:
	case EVENT_STATE_LIMIT:
	case EVENT_ACCOUNT_CLOSED:
	case EVENT_RATE_OFFERED: return ledger_apply(rules->ledger, NULL, event, info);
	default:
		return event->header.type > EVENT_STATE_START ? rules_make_true(rules, NULL, event, info)
							      : bad(info, "a snapshot holds state alone");
	}
}

enum err rules_restore(
	struct rules *rules, const uint8_t *record, size_t size, struct event_state_end *ret_end, struct err_info *info)
{
	struct event event;
	size_t length = 0;
	*ret_end = (struct event_state_end){0};
	enum err err = event_decode(record, size, rules->scratch, &event, &length, info);
	if (err)
		return err;
	if (length != size)
		return bad(info, "a record has bytes behind it");
	if (!rules_reserve(rules))
		return ERR_NO_MEMORY;
	if (event.header.type == EVENT_STATE_START)
		err = start_take(rules, &event.state_start, info);
	else if (!rules->restoring)
		err = bad(info, "a snapshot begins with state_start");
	else if (event.header.type == EVENT_STATE_END)
		return end_take(rules, &event.state_end, ret_end, info);
	else
		err = record_take(rules, &event, info);
	if (!err) {
		sha256_add(&rules->restore_hash, record, size);
		rules->restore_records++;
	}
	return err;
}
