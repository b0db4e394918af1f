/* Collections and helpers for the tests of store. */
#ifndef STORE_THINGS_H
#define STORE_THINGS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/id.h"
#include "carbond/base/sign.h"
#include "carbond/store.h"
#include "carbond/store/lease.h"

struct place {
	char uri[1500];
	char folder[200]; /* or the database */
};

/* ---- a collection with every kind of member ---- */

struct part {
	const char *label;
	int64_t grams;
};

static const struct field part_fields[] = {
	FIELD(struct part, label, FIELD_TEXT, .min = 1, .max = 50, .doc = "label"),
	FIELD(struct part, grams, FIELD_INT, .min = 0, .max = 1000000, .unit = "g", .doc = "mass"),
	FIELD_END,
};

struct thing {
	struct id id, org_id;
	const char *slug;
	int64_t version;
	double ratio;
	const char *price;
	bool active;
	int state;
	int64_t made_us;
	struct hash sum;
	struct bytes raw;
	json_t *extra;
	struct part main_part;
	struct field_list parts, tags;
	const char *secret;
	int64_t secret_number;
};

static const char *const thing_states[] = {"draft", "open", "shut", NULL};

static const struct field thing_fields[] = {
	FIELD(struct thing, id, FIELD_ID, .doc = "id"),
	FIELD(struct thing, org_id, FIELD_ID, .doc = "organisation"),
	FIELD(struct thing, slug, FIELD_TEXT, .doc = "short name"),
	FIELD(struct thing, version, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "version"),
	FIELD(struct thing, ratio, FIELD_REAL, .doc = "a real"),
	FIELD(struct thing, price, FIELD_DECIMAL, .doc = "a decimal"),
	FIELD(struct thing, active, FIELD_BOOL, .doc = "a bool"),
	FIELD(struct thing, state, FIELD_ENUM, .names = thing_states, .doc = "an enum"),
	FIELD(struct thing, made_us, FIELD_TIME, .doc = "a time"),
	FIELD(struct thing, sum, FIELD_HASH, .doc = "a hash"),
	FIELD(struct thing, raw, FIELD_BYTES, .max = 1000, .doc = "bytes"),
	FIELD(struct thing, extra, FIELD_JSON, .doc = "a document"),
	FIELD(struct thing, main_part, FIELD_OBJECT, .table = part_fields, .doc = "an object"),
	FIELD(struct thing, parts, FIELD_LIST, .max = 10, .table = part_fields, .item_size = sizeof(struct part),
		.doc = "a list"),
	FIELD(struct thing, tags, FIELD_TEXTS, .max = 10, .doc = "texts"),
	FIELD(struct thing, secret, FIELD_TEXT, .flags = FIELD_SEALED, .doc = "a sealed text"),
	FIELD(struct thing, secret_number, FIELD_INT, .min = 0, .max = INT64_MAX, .flags = FIELD_SEALED,
		.doc = "a sealed number"),
	FIELD_END,
};

static const struct store_index thing_indexes[] = {
	{.name = "slug", .fields = {"org_id", "slug"}, .unique = true},
	{.name = "made", .fields = {"org_id", "made_us"}},
	{.name = NULL},
};

static const struct store_collection things = {.name = "things",
	.class = STORE_VALUE,
	.fields = thing_fields,
	.row_size = sizeof(struct thing),
	.key = {"id"},
	.indexes = thing_indexes,
	.doc = "things"};

/* A view's row, and a row beside a readings log. */
struct tally {
	struct id id;
	int64_t hour;
	int64_t position;
	const char *note;
};

static const struct field tally_fields[] = {
	FIELD(struct tally, id, FIELD_ID, .doc = "id"),
	FIELD(struct tally, hour, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "hour"),
	FIELD(struct tally, position, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "position"),
	FIELD(struct tally, note, FIELD_TEXT, .doc = "note"),
	FIELD_END,
};

static const struct store_collection view_tallies = {.name = "view_tallies",
	.class = STORE_VIEWS,
	.fields = tally_fields,
	.row_size = sizeof(struct tally),
	.key = {"id", "hour"},
	.doc = "tallies"};

static const struct store_collection reading_tallies = {.name = "reading_tallies",
	.class = STORE_READINGS,
	.fields = tally_fields,
	.row_size = sizeof(struct tally),
	.key = {"id", "hour"},
	.doc = "tallies"};

static const struct store_collection expiring_tallies = {.name = "expiring_tallies",
	.class = STORE_VALUE,
	.fields = (const struct field[]){FIELD(struct tally, id, FIELD_ID, .doc = "id"),
		FIELD(struct tally, position, FIELD_TIME, .doc = "when it may go"), FIELD_END},
	.row_size = sizeof(struct tally),
	.key = {"id"},
	.retention_field = "position",
	.doc = "tallies that go"};

static const struct store_collection *const all_collections[] = {
	&things, &view_tallies, &reading_tallies, &expiring_tallies, &leases_collection, NULL};

static const struct seal_key test_seal_key = {.number = 1, .bytes = {7, 7, 7}};

/* ---- helpers ---- */

static inline void assert_ok(enum err err, const struct err_info *info)
{
	if (err)
		fail_msg("%s: %s", err_row(err)->name, info->detail);
}

static inline struct store_options options_for(const struct place *place)
{
	return (struct store_options){
		.uri = place->uri, .collections = all_collections, .seal_keys = &test_seal_key, .seal_key_count = 1};
}

static inline struct store *open_store(const struct place *place)
{
	struct store *store = NULL;
	struct err_info info = {.code = ERR_OK};
	struct store_options options = options_for(place);
	assert_ok(store_open(&options, &store, &info), &info);
	return store;
}

static inline struct id test_id(unsigned number)
{
	struct id id = {{0}};
	id.bytes[0] = 1;
	for (int i = 0; i < 4; i++)
		id.bytes[15 - i] = (uint8_t)(number >> (8 * i));
	return id;
}

static inline struct thing new_thing(unsigned number)
{
	struct thing thing;
	memset(&thing, 0, sizeof thing);
	field_clear(thing_fields, &thing);
	thing.id = test_id(number);
	thing.org_id = test_id(1000000);
	thing.version = 1;
	return thing;
}

static inline struct tally new_tally(unsigned number, int64_t hour, int64_t position)
{
	return (struct tally){.id = test_id(number), .hour = hour, .position = position, .note = "n"};
}

static inline enum err put(struct store *store, const struct store_collection *collection, const void *row,
	enum store_condition condition, const char *field, int64_t value, struct err_info *info)
{
	struct store_change change = {.collection = collection,
		.row = row,
		.verb = STORE_PUT,
		.condition = condition,
		.field = field,
		.value = value};
	return store_write(store, &change, 1, NULL, info);
}

static inline void put_thing(struct store *store, const struct thing *thing)
{
	struct err_info info = {.code = ERR_OK};
	assert_ok(put(store, &things, thing, STORE_ALWAYS, NULL, 0, &info), &info);
}

static inline struct store_batch new_batch(const char *stream, uint64_t seq, const void *payload, size_t size)
{
	struct store_batch batch = {.seq = seq,
		.term = 3,
		.count = 2,
		.written_at_us = 1700000000000000,
		.node = "n1",
		.payload = payload,
		.payload_size = size};
	snprintf(batch.stream, sizeof batch.stream, "%s", stream);
	return batch;
}

static inline enum err append(struct store *store, enum store_class class, const char *stream, uint64_t seq,
	const char *payload, struct err_info *info)
{
	struct store_batch batch = new_batch(stream, seq, payload, strlen(payload));
	struct store_append append = {.class = class, .batch = &batch};
	return store_log_append(store, &append, NULL, info);
}

static inline void append_many(struct store *store, const char *stream, uint64_t count)
{
	struct err_info info = {.code = ERR_OK};
	for (uint64_t seq = 1; seq <= count; seq++) {
		char payload[64];
		snprintf(payload, sizeof payload, "payload number %llu", (unsigned long long)seq);
		assert_ok(append(store, STORE_VALUE, stream, seq, payload, &info), &info);
	}
}

struct collected {
	size_t count, with_payload;
	uint64_t last_seq, stop_at;
	struct hash last_hash;
};

static inline enum err collect(void *context, const struct store_batch *batch)
{
	struct collected *collected = context;
	collected->count++;
	collected->with_payload += batch->payload != NULL;
	collected->last_seq = batch->seq;
	collected->last_hash = batch->hash;
	return batch->seq == collected->stop_at ? ERR_BUSY : ERR_OK;
}

#endif
