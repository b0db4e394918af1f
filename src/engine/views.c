/* Decides what each event changes in the views. The projector is one consumer: over a chunk of events it reads each row that
 * they touch once, changes it in memory, and writes all of them with its cursor; rows carry the position of the last event
 * applied and are written only over a lower one, so doing it twice is harmless. The projector's thread. */
#include "parts.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- sheets: rows of one collection that the chunk touches ---- */

struct entry {
	void *row;
	int64_t base_position; /* of the stored row; −1: there is none */
	bool touched;
};

struct sheet {
	const struct store_collection *collection;
	size_t position_offset;
	size_t key_offset[2], key_size[2];
	bool whole; /* an event says all of its row: what is stored need not be read */
	struct entry *entries;
	size_t count, capacity;
};

enum sheet_name {
	SHEET_PERIODS,
	SHEET_BATCHES,
	SHEET_HOLDINGS,
	SHEET_TRANSFERS,
	SHEET_RETIREMENTS,
	SHEET_VERIFIERS,
	SHEET_ACCOUNTS,
	SHEET_ACTORS,
	SHEET_COUNT
};

#define SHEET(collection_, type, key, whole_)                                                                    \
	{                                                                                                        \
		.collection = &(collection_), .position_offset = offsetof(struct type, position),                \
		.key_offset = {offsetof(struct type, key), 0}, .key_size = {sizeof(((struct type *)0)->key), 0}, \
		.whole = (whole_)                                                                                \
	}

static const struct sheet sheet_kinds[SHEET_COUNT] = {
	[SHEET_PERIODS] = SHEET(registry_periods_collection, registry_period, id, false),
	[SHEET_BATCHES] = SHEET(batches_collection, batch_row, batch, false),
	[SHEET_HOLDINGS] = {.collection = &holdings_collection,
		.position_offset = offsetof(struct holding_row, position),
		.key_offset = {offsetof(struct holding_row, org_id), offsetof(struct holding_row, batch)},
		.key_size = {sizeof(struct id), sizeof(int64_t)}},
	[SHEET_TRANSFERS] = SHEET(transfers_collection, transfer_row, id, true),
	[SHEET_RETIREMENTS] = SHEET(retirements_collection, retirement_row, id, true),
	[SHEET_VERIFIERS] = SHEET(verifiers_collection, verifier_row, id, false),
	[SHEET_ACCOUNTS] = SHEET(accounts_collection, account_row, org_id, false),
	[SHEET_ACTORS] = SHEET(actors_collection, actor_row, number, true)};

struct projector {
	struct engine *engine;
	struct arena *arena; /* of one chunk */
	struct sheet sheets[SHEET_COUNT];
	struct ranges_view *ranges;
	struct map map; /* of all sheets' rows: item = sheet + SHEET_COUNT × entry */
	struct err_info *info;
	int64_t position; /* of the event at hand */
	/* the actor that was looked up last */
	uint64_t actor;
	struct id actor_id;
};

struct projector *projector_new(struct engine *engine)
{
	struct projector *projector = calloc(1, sizeof *projector);
	if (!projector)
		return NULL;
	projector->engine = engine;
	projector->arena = arena_new(0);
	for (size_t i = 0; i < SHEET_COUNT; i++)
		projector->sheets[i] = sheet_kinds[i];
	if (!projector->arena)
		projector_free(&projector);
	return projector;
}

void projector_free(struct projector **projector)
{
	struct projector *old = *projector;
	*projector = NULL;
	if (!old)
		return;
	ranges_view_free(&old->ranges);
	map_free(&old->map);
	for (size_t i = 0; i < SHEET_COUNT; i++)
		free(old->sheets[i].entries);
	arena_free(&old->arena);
	free(old);
}

/* ---- finding a row ---- */

static const char *key_part(const struct sheet *sheet, const void *row, int part)
{
	return (const char *)row + sheet->key_offset[part];
}

static bool keys_equal(const struct sheet *sheet, const void *a, const void *b)
{
	for (int part = 0; part < 2; part++)
		if (sheet->key_size[part] &&
			memcmp(key_part(sheet, a, part), key_part(sheet, b, part), sheet->key_size[part]) != 0)
			return false;
	return true;
}

struct wanted {
	size_t sheet;
	const void *row;
};

static bool entry_equal(const void *context, uint32_t item, const void *key)
{
	const struct projector *projector = context;
	const struct wanted *wanted = key;
	const struct sheet *sheet = &projector->sheets[wanted->sheet];
	return item % SHEET_COUNT == wanted->sheet &&
	       keys_equal(sheet, sheet->entries[item / SHEET_COUNT].row, wanted->row);
}

static uint64_t row_hash(const struct sheet *sheet, size_t number, const void *row)
{
	uint64_t hash = number;
	for (int part = 0; part < 2; part++)
		if (sheet->key_size[part])
			hash = map_hash_bytes(hash, key_part(sheet, row, part), sheet->key_size[part]);
	return hash;
}

static enum err entry_load(
	struct projector *projector, enum sheet_name name, void *row, struct entry **ret_entry, uint64_t hash)
{
	struct sheet *sheet = &projector->sheets[name];
	if (sheet->count == sheet->capacity) {
		size_t capacity = (sheet->capacity + 32) * 2;
		struct entry *entries = realloc(sheet->entries, capacity * sizeof *entries);
		if (!entries)
			return ERR_NO_MEMORY;
		sheet->entries = entries;
		sheet->capacity = capacity;
	}
	if (!map_reserve(&projector->map, 1))
		return ERR_NO_MEMORY;
	struct err_info ignored;
	int64_t *position = (int64_t *)((char *)row + sheet->position_offset);
	enum err err =
		sheet->whole ? ERR_NOT_FOUND
			     : store_get(projector->engine->store, sheet->collection, row, projector->arena, &ignored);
	if (err && err != ERR_NOT_FOUND) {
		*projector->info = ignored;
		return err;
	}
	struct entry *entry = &sheet->entries[sheet->count];
	*entry = (struct entry){.row = row, .base_position = err ? -1 : *position};
	map_put(&projector->map, hash, (uint32_t)(sheet->count * SHEET_COUNT + (size_t)name));
	sheet->count++;
	*ret_entry = entry;
	return ERR_OK;
}

/* The row with the key of `key_row` for the event at hand; NULL in *ret_row where the view is ahead of it. A row that is
 * not stored begins with all members absent but its key. */
static enum err row_touch(struct projector *projector, enum sheet_name name, const void *key_row, void *ret_row)
{
	struct sheet *sheet = &projector->sheets[name];
	uint64_t hash = row_hash(sheet, name, key_row);
	struct wanted wanted = {.sheet = name, .row = key_row};
	uint32_t item = map_find(&projector->map, hash, entry_equal, projector, &wanted);
	struct entry *entry = item == MAP_NONE ? NULL : &sheet->entries[item / SHEET_COUNT];
	if (!entry) {
		void *row = arena_alloc(projector->arena, sheet->collection->row_size);
		if (!row)
			return ERR_NO_MEMORY;
		field_clear(sheet->collection->fields, row);
		for (int part = 0; part < 2; part++)
			if (sheet->key_size[part])
				memcpy((char *)row + sheet->key_offset[part], key_part(sheet, key_row, part),
					sheet->key_size[part]);
		enum err err = entry_load(projector, name, row, &entry, hash);
		if (err)
			return err;
	}
	bool is_ahead = projector->position <= entry->base_position;
	if (!is_ahead) {
		entry->touched = true;
		*(int64_t *)((char *)entry->row + sheet->position_offset) = projector->position;
	}
	*(void **)ret_row = is_ahead ? NULL : entry->row;
	return ERR_OK;
}

#define KEYED(type, ...) (&(struct type){__VA_ARGS__})

static void add(int64_t *sum, int64_t amount)
{
	*sum = (*sum == FIELD_ABSENT ? 0 : *sum) + amount;
}

static const char *text_of(struct projector *projector, const char *text)
{
	return arena_copy(projector->arena, text, strlen(text));
}

/* The actor of the event at hand: its row was written with its first event, at the latest in this chunk. */
static enum err actor_of(struct projector *projector, const struct event *event, struct id *ret_actor)
{
	*ret_actor = (struct id){0};
	if (event->header.actor == 0)
		return ERR_OK;
	if (projector->actor != event->header.actor) {
		struct actor_row key = {.number = (int64_t)event->header.actor};
		struct wanted wanted = {.sheet = SHEET_ACTORS, .row = &key};
		struct sheet *sheet = &projector->sheets[SHEET_ACTORS];
		uint32_t item =
			map_find(&projector->map, row_hash(sheet, SHEET_ACTORS, &key), entry_equal, projector, &wanted);
		if (item != MAP_NONE) {
			projector->actor_id = ((struct actor_row *)sheet->entries[item / SHEET_COUNT].row)->actor_id;
		} else {
			enum err err = engine_actor_get(
				projector->engine->store, event->header.actor, &projector->actor_id, projector->info);
			if (err)
				return err;
		}
		projector->actor = event->header.actor;
	}
	*ret_actor = projector->actor_id;
	return ERR_OK;
}

/* ---- kilograms ---- */

_Static_assert(offsetof(struct holding_row, cancelled_kg) - offsetof(struct holding_row, held_kg) ==
		       KG_CANCELLED * sizeof(int64_t),
	"holdings have a member for each state, in order");
_Static_assert(
	offsetof(struct holding_row, buffer_kg) - offsetof(struct holding_row, held_kg) == KG_BUFFER * sizeof(int64_t),
	"holdings have a member for each state, in order");

static enum err holding_add(struct projector *projector, struct id org, uint64_t batch, enum kg_state state, int64_t kg)
{
	struct holding_row *row = NULL;
	enum err err =
		row_touch(projector, SHEET_HOLDINGS, KEYED(holding_row, .org_id = org, .batch = (int64_t)batch), &row);
	if (err || !row)
		return err;
	int64_t *amounts = &row->held_kg;
	for (int i = 0; i < KG_STATE_COUNT; i++)
		if (amounts[i] == FIELD_ABSENT)
			amounts[i] = 0;
	amounts[state] += kg;
	return ERR_OK;
}

static enum err range_move(struct projector *projector, const struct serial_range *range, struct ledger_place from,
	struct ledger_place to, struct id retirement)
{
	enum err err = holding_add(projector, from.org, range->batch, from.state, -range->length);
	if (!err)
		err = holding_add(projector, to.org, range->batch, to.state, range->length);
	return err ? err
		   : ranges_view_assign(projector->ranges, range, to.org, to.state, retirement, projector->position,
			     projector->info);
}

static enum err range_make(
	struct projector *projector, struct id org, uint64_t batch, enum kg_state state, int64_t start, int64_t kg)
{
	if (kg == 0)
		return ERR_OK;
	struct serial_range range = {.batch = batch, .start = start, .length = kg};
	enum err err = holding_add(projector, org, batch, state, kg);
	return err ? err
		   : ranges_view_assign(projector->ranges, &range, org, state, (struct id){0}, projector->position,
			     projector->info);
}

static enum err items_of(struct projector *projector, const struct record_lists *lists, struct field_list *ret_list)
{
	struct serial_range_item *items = ARENA_ARRAY(projector->arena, struct serial_range_item, lists->range_count);
	if (!items)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < lists->range_count; i++)
		items[i] = (struct serial_range_item){.batch = (int64_t)lists->ranges[i].batch,
			.start = lists->ranges[i].start,
			.length = lists->ranges[i].length};
	*ret_list = (struct field_list){.items = items, .count = lists->range_count};
	return ERR_OK;
}

/* ---- events ---- */

static enum err on_actor_named(struct projector *projector, const struct event *event)
{
	const struct event_actor_named *said = &event->actor_named;
	struct actor_row *row = NULL;
	enum err err = row_touch(projector, SHEET_ACTORS, KEYED(actor_row, .number = (int64_t)said->number), &row);
	if (err || !row)
		return err;
	row->actor_id = said->actor;
	row->org_id = said->org;
	return ERR_OK;
}

static enum err on_verifier_registered(struct projector *projector, const struct event *event)
{
	const struct event_verifier_registered *said = &event->verifier_registered;
	struct verifier_row *row = NULL;
	enum err err = row_touch(projector, SHEET_VERIFIERS, KEYED(verifier_row, .id = said->verifier), &row);
	if (err || !row)
		return err;
	row->org_id = said->org;
	memcpy(row->key.bytes, &said->key, sizeof row->key.bytes);
	row->valid_from = said->valid_from_us;
	row->valid_to = said->valid_to_us;
	return ERR_OK;
}

static enum err on_verifier_revoked(struct projector *projector, const struct event *event)
{
	struct verifier_row *row = NULL;
	enum err err = row_touch(
		projector, SHEET_VERIFIERS, KEYED(verifier_row, .id = event->verifier_revoked.verifier), &row);
	if (!err && row)
		row->revoked_at = event->header.time_us;
	return err;
}

static enum err on_period_submitted(struct projector *projector, const struct event *event)
{
	const struct event_period_submitted *said = &event->period_submitted;
	struct registry_period *row = NULL;
	char code[17], country[9];
	enum err err = row_touch(projector, SHEET_PERIODS, KEYED(registry_period, .id = said->period), &row);
	if (err || !row)
		return err;
	row->org_id = said->org;
	row->unit_id = said->unit;
	row->project_id = said->project;
	row->unit_code = text_of(projector, code16_text(said->unit_code, code));
	row->methodology = text_of(projector, code16_text(said->methodology, code));
	row->country = text_of(projector, code8_text(said->country, country));
	row->methodology_hash = said->methodology_hash;
	row->evidence_root = said->evidence_root;
	row->kind = (int)said->kind;
	row->durability = (int)said->durability;
	row->vintage = said->vintage;
	row->quorum = said->quorum;
	row->first_hour_at = said->first_hour * CLOCK_US_PER_HOUR;
	row->last_hour_at = said->last_hour * CLOCK_US_PER_HOUR;
	row->kg = said->kg;
	row->buffer_kg = said->buffer_kg;
	row->first_period_id = said->first_period;
	row->previous_root = said->previous_root;
	row->total_kg = said->total_kg;
	row->state = PERIOD_SUBMITTED;
	row->held = said->held;
	row->submitted_at = event->header.time_us;
	if (!row->unit_code || !row->methodology || !row->country)
		return ERR_NO_MEMORY;
	return actor_of(projector, event, &row->submitted_by);
}

static enum err on_period_attested(struct projector *projector, const struct event *event)
{
	const struct event_period_attested *said = &event->period_attested;
	struct registry_period *row = NULL;
	enum err err = row_touch(projector, SHEET_PERIODS, KEYED(registry_period, .id = said->period), &row);
	if (err || !row)
		return err;
	size_t count = row->attestations.count;
	struct registry_attestation *list = ARENA_ARRAY(projector->arena, struct registry_attestation, count + 1);
	char *signature = arena_copy(projector->arena, &said->signature, sizeof said->signature);
	if (!list || !signature)
		return ERR_NO_MEMORY;
	if (count)
		memcpy(list, row->attestations.items, count * sizeof *list);
	list[count] = (struct registry_attestation){.verifier_id = said->verifier,
		.verifier_org_id = said->verifier_org,
		.signature = {.data = (const uint8_t *)signature, .size = sizeof said->signature},
		.attested_at = event->header.time_us};
	row->attestations = (struct field_list){.items = list, .count = count + 1};
	if (said->attestations >= row->quorum)
		row->state = PERIOD_ATTESTED;
	return ERR_OK;
}

static enum err period_decide(struct projector *projector, const struct event *event, struct id period,
	enum period_state state, uint64_t batch)
{
	struct registry_period *row = NULL;
	enum err err = row_touch(projector, SHEET_PERIODS, KEYED(registry_period, .id = period), &row);
	if (err || !row)
		return err;
	row->state = (int)state;
	row->decided_at = event->header.time_us;
	if (batch)
		row->batch = (int64_t)batch;
	return ERR_OK;
}

static enum err on_period_withdrawn(struct projector *projector, const struct event *event)
{
	return period_decide(projector, event, event->period_withdrawn.period, PERIOD_WITHDRAWN, 0);
}

static enum err on_period_refused(struct projector *projector, const struct event *event)
{
	return period_decide(projector, event, event->period_refused.period, PERIOD_REFUSED, 0);
}

static enum err on_period_held(struct projector *projector, const struct event *event)
{
	struct registry_period *row = NULL;
	enum err err =
		row_touch(projector, SHEET_PERIODS, KEYED(registry_period, .id = event->period_held.period), &row);
	if (!err && row)
		row->held |= event->period_held.reasons;
	return err;
}

static enum err on_period_released(struct projector *projector, const struct event *event)
{
	struct registry_period *row = NULL;
	enum err err =
		row_touch(projector, SHEET_PERIODS, KEYED(registry_period, .id = event->period_released.period), &row);
	if (!err && row)
		row->held = 0;
	return err;
}

/* The batch's number in serials, as its period says. */
static enum err serial_of(struct projector *projector, const struct batch_row *batch, const char **ret_text)
{
	struct serial serial = {.vintage = (int)batch->vintage,
		.range = {.batch = (uint64_t)batch->batch, .start = 0, .length = batch->kg}};
	char text[SERIAL_TEXT_SIZE];
	memcpy(serial.country, batch->country, strnlen(batch->country, sizeof serial.country - 1));
	memcpy(serial.unit, batch->unit_code, strnlen(batch->unit_code, sizeof serial.unit - 1));
	memcpy(serial.methodology, batch->methodology, strnlen(batch->methodology, sizeof serial.methodology - 1));
	enum err err = serial_text(&serial, text);
	if (err)
		return err_set(projector->info, err, "", "batch %lld has no serial text", (long long)batch->batch);
	*ret_text = text_of(projector, text);
	return *ret_text ? ERR_OK : ERR_NO_MEMORY;
}

static enum err batch_fill(struct projector *projector, struct batch_row *row, const struct event *event)
{
	const struct event_batch_issued *said = &event->batch_issued;
	struct registry_period *period = arena_alloc(projector->arena, sizeof *period);
	struct wanted wanted = {.sheet = SHEET_PERIODS, .row = KEYED(registry_period, .id = said->period)};
	struct sheet *sheet = &projector->sheets[SHEET_PERIODS];
	uint32_t item =
		map_find(&projector->map, row_hash(sheet, SHEET_PERIODS, wanted.row), entry_equal, projector, &wanted);
	if (!period)
		return ERR_NO_MEMORY;
	field_clear(registry_period_fields, period);
	period->id = said->period;
	enum err err = ERR_OK;
	if (item != MAP_NONE)
		*period = *(struct registry_period *)sheet->entries[item / SHEET_COUNT].row;
	else
		err = store_get(projector->engine->store, &registry_periods_collection, period, projector->arena,
			projector->info);
	if (err)
		return err;
	row->unit_id = period->unit_id;
	row->project_id = period->project_id;
	row->methodology_hash = period->methodology_hash;
	row->unit_code = period->unit_code;
	row->methodology = period->methodology;
	row->country = period->country;
	row->org_id = said->org;
	row->period_id = said->period;
	row->issuance_id = said->issuance_id;
	row->evidence_root = said->evidence_root;
	row->kind = (int)said->kind;
	row->durability = (int)said->durability;
	row->vintage = said->vintage;
	row->kg = said->kg;
	row->buffer_kg = said->buffer_kg;
	row->first_batch = (int64_t)said->first_batch;
	row->slot = said->slot;
	row->reversed_kg = 0;
	row->issued_at = event->header.time_us;
	return serial_of(projector, row, &row->serial);
}

static enum err on_batch_issued(struct projector *projector, const struct event *event)
{
	const struct event_batch_issued *said = &event->batch_issued;
	struct batch_row *row = NULL, *first = NULL;
	enum err err = row_touch(projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)said->batch), &row);
	if (!err && row)
		err = batch_fill(projector, row, event);
	if (!err)
		err = period_decide(projector, event, said->period, PERIOD_ISSUED, said->batch);
	if (!err)
		err = row_touch(
			projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)said->first_batch), &first);
	if (!err && first) {
		first->chain_root = said->evidence_root;
		first->chain_slot = said->slot;
		add(&first->chain_kg, said->kg);
	}
	int64_t supplier_kg = said->kg - said->buffer_kg;
	if (!err)
		err = range_make(projector, said->org, said->batch, KG_HELD, 0, supplier_kg);
	return err ? err : range_make(projector, said->org, said->batch, KG_BUFFER, supplier_kg, said->buffer_kg);
}

static enum err on_batch_held(struct projector *projector, const struct event *event)
{
	struct batch_row *row = NULL;
	enum err err =
		row_touch(projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)event->batch_held.batch), &row);
	if (err || !row)
		return err;
	row->held = true;
	row->hold_until = event->batch_held.until_us ? event->batch_held.until_us : FIELD_ABSENT;
	return ERR_OK;
}

static enum err on_batch_released(struct projector *projector, const struct event *event)
{
	const struct event_batch_released *said = &event->batch_released;
	struct batch_row *row = NULL;
	enum err err = row_touch(projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)said->batch), &row);
	if (err || !row)
		return err;
	row->held = false;
	row->hold_until = FIELD_ABSENT;
	if (!hash_is_none(said->reason_hash))
		row->unsold_held = false;
	return ERR_OK;
}

/* The operator of a batch, whether its row is in the chunk or only stored. */
static enum err operator_of(struct projector *projector, uint64_t batch, struct id *ret_org)
{
	struct batch_row key = {.batch = (int64_t)batch};
	struct wanted wanted = {.sheet = SHEET_BATCHES, .row = &key};
	struct sheet *sheet = &projector->sheets[SHEET_BATCHES];
	uint32_t item =
		map_find(&projector->map, row_hash(sheet, SHEET_BATCHES, &key), entry_equal, projector, &wanted);
	if (item != MAP_NONE) {
		*ret_org = ((struct batch_row *)sheet->entries[item / SHEET_COUNT].row)->org_id;
		return ERR_OK;
	}
	field_clear(batch_fields, &key);
	key.batch = (int64_t)batch;
	enum err err =
		store_get(projector->engine->store, &batches_collection, &key, projector->arena, projector->info);
	*ret_org = key.org_id;
	return err;
}

static enum err debt_add(struct projector *projector, struct id org, int64_t kg)
{
	struct account_row *row = NULL;
	enum err err = row_touch(projector, SHEET_ACCOUNTS, KEYED(account_row, .org_id = org), &row);
	if (!err && row)
		add(&row->debt_kg, kg);
	return err;
}

static enum err on_batch_reversed(struct projector *projector, const struct event *event)
{
	const struct event_batch_reversed *said = &event->batch_reversed;
	struct batch_row *row = NULL;
	struct id org;
	enum err err = operator_of(projector, said->batch, &org);
	if (!err)
		err = row_touch(projector, SHEET_BATCHES, KEYED(batch_row, .batch = (int64_t)said->batch), &row);
	if (!err && row) {
		row->unsold_held = row->unsold_held || said->suspended_kg > 0;
		add(&row->reversed_kg, said->kg);
		if (!hash_is_none(said->evidence_root)) {
			row->chain_root = said->evidence_root;
			add(&row->chain_kg, -said->kg);
		}
	}
	for (size_t i = 0; i < event->lists.range_count && !err; i++) {
		const struct serial_range *range = &event->lists.ranges[i];
		struct id owner = {0};
		err = operator_of(projector, range->batch, &owner);
		struct ledger_place from = {.org = owner, .state = KG_BUFFER},
				    to = {.org = owner, .state = KG_CANCELLED};
		if (!err)
			err = range_move(projector, range, from, to, (struct id){0});
	}
	return err ? err : debt_add(projector, org, said->debt_kg);
}

static enum err on_buffer_topped_up(struct projector *projector, const struct event *event)
{
	const struct event_buffer_topped_up *said = &event->buffer_topped_up;
	enum err err = ERR_OK;
	int64_t moved = 0;
	for (size_t i = 0; i < event->lists.range_count && !err; i++) {
		const struct serial_range *range = &event->lists.ranges[i];
		bool cancels = moved < said->cancelled_kg;
		struct id owner = said->org;
		if (!cancels)
			err = operator_of(projector, range->batch, &owner);
		struct ledger_place from = {.org = said->org, .state = KG_HELD};
		struct ledger_place to = {.org = owner, .state = cancels ? KG_CANCELLED : KG_BUFFER};
		if (!err)
			err = range_move(projector, range, from, to, (struct id){0});
		moved += range->length;
	}
	return err ? err : debt_add(projector, said->org, -said->kg);
}

static struct ledger_place place(struct id org, enum kg_state state)
{
	return (struct ledger_place){.org = org, .state = state};
}

/* All ranges of a record; `retirement` is that which they went into, or zero. */
static enum err ranges_move(struct projector *projector, const struct event *event, struct ledger_place from,
	struct ledger_place to, struct id retirement)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < event->lists.range_count && !err; i++)
		err = range_move(projector, &event->lists.ranges[i], from, to, retirement);
	return err;
}

static enum err on_transferred(struct projector *projector, const struct event *event)
{
	const struct event_transferred *said = &event->transferred;
	struct transfer_row *row = NULL;
	enum err err = row_touch(projector, SHEET_TRANSFERS, KEYED(transfer_row, .id = event->header.command), &row);
	if (!err && row) {
		row->org_id = said->from;
		row->to_org_id = said->to;
		row->kg = said->kg;
		row->made_at = event->header.time_us;
		err = items_of(projector, &event->lists, &row->ranges);
		if (!err)
			err = actor_of(projector, event, &row->made_by);
	}
	struct ledger_place from = {.org = said->from, .state = KG_HELD}, to = {.org = said->to, .state = KG_HELD};
	return err ? err : ranges_move(projector, event, from, to, (struct id){0});
}

static enum err on_retired(struct projector *projector, const struct event *event)
{
	const struct event_retired *said = &event->retired;
	struct retirement_row *row = NULL;
	char country[9];
	enum err err =
		row_touch(projector, SHEET_RETIREMENTS, KEYED(retirement_row, .id = event->header.command), &row);
	if (!err && row) {
		row->org_id = said->org;
		row->number = (int64_t)said->number;
		row->kg = said->kg;
		row->beneficiary_hash = said->beneficiary_hash;
		row->country = text_of(projector, code8_text(said->country, country));
		row->purpose = (int)said->purpose;
		row->covered_from = said->covered_from_us;
		row->covered_to = said->covered_to_us;
		row->consent = said->consent != 0;
		row->made_at = event->header.time_us;
		err = row->country ? items_of(projector, &event->lists, &row->ranges) : ERR_NO_MEMORY;
		if (!err)
			err = actor_of(projector, event, &row->made_by);
	}
	struct ledger_place from = {.org = said->org, .state = KG_HELD}, to = {.org = said->org, .state = KG_RETIRED};
	return err ? err : ranges_move(projector, event, from, to, event->header.command);
}

/* ---- the market: where kilograms are ---- */

static enum err on_order_placed(struct projector *projector, const struct event *event)
{
	struct id org = event->order_placed.org;
	return ranges_move(projector, event, place(org, KG_HELD), place(org, KG_LISTED), (struct id){0});
}

static enum err on_order_amended(struct projector *projector, const struct event *event)
{
	struct id org = event->order_amended.org;
	return ranges_move(projector, event, place(org, KG_HELD), place(org, KG_LISTED), (struct id){0});
}

static enum err on_order_reduced(struct projector *projector, const struct event *event)
{
	struct id org = event->order_reduced.org;
	return ranges_move(projector, event, place(org, KG_LISTED), place(org, KG_HELD), (struct id){0});
}

static enum err on_traded(struct projector *projector, const struct event *event)
{
	const struct event_traded *said = &event->traded;
	return ranges_move(
		projector, event, place(said->seller, KG_LISTED), place(said->buyer, KG_HELD), (struct id){0});
}

static enum err on_account_held(struct projector *projector, const struct event *event)
{
	const struct event_account_held *said = &event->account_held;
	struct account_row *row = NULL;
	enum err err = row_touch(projector, SHEET_ACCOUNTS, KEYED(account_row, .org_id = said->org), &row);
	if (err || !row)
		return err;
	row->held = true;
	row->hold_until = said->until_us ? said->until_us : FIELD_ABSENT;
	add(&row->debt_kg, 0);
	return ERR_OK;
}

static enum err on_account_released(struct projector *projector, const struct event *event)
{
	struct account_row *row = NULL;
	enum err err =
		row_touch(projector, SHEET_ACCOUNTS, KEYED(account_row, .org_id = event->account_released.org), &row);
	if (err || !row)
		return err;
	row->held = false;
	row->hold_until = FIELD_ABSENT;
	return ERR_OK;
}

static enum err (*const handlers[])(struct projector *projector, const struct event *event) = {
	[EVENT_ACTOR_NAMED] = on_actor_named,
	[EVENT_VERIFIER_REGISTERED] = on_verifier_registered,
	[EVENT_VERIFIER_REVOKED] = on_verifier_revoked,
	[EVENT_PERIOD_SUBMITTED] = on_period_submitted,
	[EVENT_PERIOD_ATTESTED] = on_period_attested,
	[EVENT_PERIOD_WITHDRAWN] = on_period_withdrawn,
	[EVENT_PERIOD_REFUSED] = on_period_refused,
	[EVENT_PERIOD_HELD] = on_period_held,
	[EVENT_PERIOD_RELEASED] = on_period_released,
	[EVENT_BATCH_ISSUED] = on_batch_issued,
	[EVENT_BATCH_HELD] = on_batch_held,
	[EVENT_BATCH_RELEASED] = on_batch_released,
	[EVENT_BATCH_REVERSED] = on_batch_reversed,
	[EVENT_BUFFER_TOPPED_UP] = on_buffer_topped_up,
	[EVENT_TRANSFERRED] = on_transferred,
	[EVENT_RETIRED] = on_retired,
	[EVENT_ACCOUNT_HELD] = on_account_held,
	[EVENT_ACCOUNT_RELEASED] = on_account_released,
	[EVENT_ORDER_PLACED] = on_order_placed,
	[EVENT_ORDER_AMENDED] = on_order_amended,
	[EVENT_ORDER_REDUCED] = on_order_reduced,
	[EVENT_TRADED] = on_traded,
};

/* ---- chunks ---- */

static enum err chunk_write(struct projector *projector)
{
	struct store_change *changes = NULL;
	size_t count = 0, capacity = 0;
	enum err err = change_add(
		projector->arena, &changes, &count, &capacity, consumer_cursor_change(projector->engine->views));
	for (size_t s = 0; s < SHEET_COUNT; s++) {
		const struct sheet *sheet = &projector->sheets[s];
		for (size_t i = 0; i < sheet->count && !err; i++)
			if (sheet->entries[i].touched)
				err = change_add(projector->arena, &changes, &count, &capacity,
					(struct store_change){.collection = sheet->collection,
						.row = sheet->entries[i].row,
						.verb = STORE_PUT,
						.condition = STORE_BELOW,
						.field = "position",
						.value = *(int64_t *)((char *)sheet->entries[i].row +
								      sheet->position_offset)});
	}
	if (!err)
		err = ranges_view_changes(projector->ranges, &changes, &count, &capacity);
	/* all of it only where the cursor still is: a daemon that was paused while another took the lead would put rows back that
	 * have since been joined or divided */
	return err ? err : store_write_views(projector->engine->store, changes, count, projector->info);
}

static void chunk_clear(struct projector *projector)
{
	for (size_t s = 0; s < SHEET_COUNT; s++)
		projector->sheets[s].count = 0;
	map_free(&projector->map);
	ranges_view_free(&projector->ranges);
	projector->actor = 0;
	arena_reset(projector->arena);
}

enum err projector_each(void *context, const struct event *events, size_t count, struct err_info *info)
{
	struct projector *projector = context;
	projector->info = info;
	projector->ranges = ranges_view_new(projector->engine->store, projector->arena);
	enum err err = projector->ranges ? ERR_OK : ERR_NO_MEMORY;
	for (size_t i = 0; i < count && !err; i++) {
		uint16_t type = events[i].header.type;
		projector->position = (int64_t)events[i].header.number;
		if (type < sizeof handlers / sizeof *handlers && handlers[type])
			err = handlers[type](projector, &events[i]);
	}
	if (!err)
		err = chunk_write(projector);
	chunk_clear(projector);
	if (err)
		return err;
	views_position_raise(projector->engine, (int64_t)events[count - 1].header.number);
	return ERR_OK;
}
