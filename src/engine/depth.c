/* Decides what the depth of an instrument or a class is: levels of the ladders that belong to it, by price, as of one
 * moment. The views change while they are read; a ladder's row says with the position of its last change whether this one
 * did. Threads that may block. */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/decimal.h"

#define READS_MOST 16

struct side {
	int64_t *ladders; /* in the arena */
	int64_t *positions;
	size_t count, capacity;
	struct field_list levels;
};

struct reading {
	struct store *store;
	struct arena *arena;
	struct err_info *info;
	size_t levels;
};

static enum err side_room(const struct reading *reading, struct side *side, size_t capacity)
{
	side->ladders = ARENA_ARRAY(reading->arena, int64_t, capacity + 1);
	side->positions = ARENA_ARRAY(reading->arena, int64_t, capacity + 1);
	side->capacity = capacity;
	return side->ladders && side->positions ? ERR_OK : ERR_NO_MEMORY;
}

static void side_add(struct side *side, int64_t number, enum ladder_kind kind)
{
	if (side->count < side->capacity)
		side->ladders[side->count++] = number * LADDER_KIND_COUNT + kind;
}

/* Whether the ladders' last changes are those that `positions` has; they are from now on. */
static enum err side_look(const struct reading *reading, struct side *side, bool *ret_same)
{
	for (size_t i = 0; i < side->count; i++) {
		struct ladder_row row = {.ladder = side->ladders[i]};
		enum err err = store_get(reading->store, &ladders_collection, &row, reading->arena, reading->info);
		if (err && err != ERR_NOT_FOUND)
			return err;
		int64_t position = err ? 0 : row.position;
		*ret_same = *ret_same && position == side->positions[i];
		side->positions[i] = position;
	}
	return ERR_OK;
}

static int level_compare(const void *a, const void *b)
{
	const struct price_level *first = a, *second = b;
	return first->price_micros < second->price_micros ? -1 : first->price_micros > second->price_micros;
}

static int level_compare_down(const void *a, const void *b)
{
	return level_compare(b, a);
}

/* Levels of one price become one; the best `most` stay. */
static void levels_join(struct field_list *levels, bool descending, size_t most)
{
	struct price_level *items = levels->items;
	size_t count = 0;
	if (levels->count)
		qsort(items, levels->count, sizeof *items, descending ? level_compare_down : level_compare);
	for (size_t i = 0; i < levels->count; i++) {
		if (count && items[count - 1].price_micros == items[i].price_micros) {
			items[count - 1].kg += items[i].kg;
			items[count - 1].orders += items[i].orders;
		} else {
			items[count++] = items[i];
		}
	}
	levels->count = count < most ? count : most;
}

static enum err side_read(const struct reading *reading, struct side *side, bool descending)
{
	struct price_level *all = ARENA_ARRAY(reading->arena, struct price_level, side->count * reading->levels + 1);
	size_t count = 0;
	if (!all)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < side->count; i++) {
		struct price_level low = {.ladder = side->ladders[i], .price_micros = FIELD_ABSENT}, *rows = NULL;
		size_t found = 0;
		struct store_query query = {.collection = &price_levels_collection,
			.low = &low,
			.prefix = 1,
			.descending = descending,
			.most = reading->levels};
		enum err err = side->positions[i] == 0 ? ERR_OK
						       : store_find(reading->store, &query, reading->arena,
								 (void **)&rows, &found, reading->info);
		if (err)
			return err;
		if (found)
			memcpy(&all[count], rows, found * sizeof *all);
		count += found;
	}
	side->levels = (struct field_list){.items = all, .count = count};
	levels_join(&side->levels, descending, reading->levels);
	return ERR_OK;
}

static int64_t newest(const struct side *side, int64_t position)
{
	for (size_t i = 0; i < side->count; i++)
		position = side->positions[i] > position ? side->positions[i] : position;
	return position;
}

static struct hash levels_checksum(const struct side *bids, const struct side *asks)
{
	const struct side *const sides[] = {bids, asks};
	static const char *const names[] = {"bid", "ask"};
	struct sha256 state;
	sha256_start(&state, "carbond/book/1");
	for (int s = 0; s < 2; s++) {
		const struct price_level *levels = sides[s]->levels.items;
		for (size_t i = 0; i < sides[s]->levels.count; i++) {
			char price[DECIMAL_TEXT_SIZE], line[DECIMAL_TEXT_SIZE + 32];
			int length = snprintf(line, sizeof line, "%s %s %lld\n", names[s],
				micros_text(levels[i].price_micros, price), (long long)levels[i].kg);
			sha256_add(&state, line, (size_t)length);
		}
	}
	return sha256_end(&state);
}

/* Reads both sides until nothing changed in between. */
static enum err depth_read(
	const struct reading *reading, struct side *bids, struct side *asks, struct market_depth *ret_depth)
{
	bool same = true;
	enum err err = side_look(reading, bids, &same);
	if (!err)
		err = side_look(reading, asks, &same);
	for (int reads = 0; !err && reads < READS_MOST; reads++) {
		same = true;
		err = side_read(reading, bids, true);
		if (!err)
			err = side_read(reading, asks, false);
		if (!err)
			err = side_look(reading, bids, &same);
		if (!err)
			err = side_look(reading, asks, &same);
		if (err || !same)
			continue;
		ret_depth->sequence = newest(asks, newest(bids, 0));
		ret_depth->bids = bids->levels;
		ret_depth->asks = asks->levels;
		ret_depth->checksum = levels_checksum(bids, asks);
		return ERR_OK;
	}
	return err ? err
		   : err_set(reading->info, ERR_BUSY, NULL, "the book changes faster than it can be read; try again");
}

/* ---- which ladders ---- */

static bool takes_durability(const struct instrument_row *instrument, int durability)
{
	const char *const *names = instrument->durabilities.items;
	for (size_t i = 0; i < instrument->durabilities.count; i++)
		if (strcmp(names[i], event_durability_names[durability]) == 0)
			return true;
	return instrument->durabilities.count == 0;
}

static bool takes_verifiers(const struct instrument_row *instrument, const struct market_class_row *class)
{
	const char *const *wanted = instrument->verifiers.items, *const *has = class->verifiers.items;
	bool meets = instrument->verifiers.count == 0;
	for (size_t i = 0; i < instrument->verifiers.count && !meets; i++)
		for (size_t j = 0; j < class->verifiers.count && !meets; j++)
			meets = strcmp(wanted[i], has[j]) == 0;
	return meets && (instrument->verifiers_least == FIELD_ABSENT ||
				(int64_t) class->verifiers.count >= instrument->verifiers_least);
}

static bool instrument_takes(const struct instrument_row *instrument, const struct market_class_row *class)
{
	return instrument->market == class->market && takes_durability(instrument, class->durability) &&
	       (instrument->vintage_from == FIELD_ABSENT || class->vintage >= instrument->vintage_from) &&
	       (instrument->vintage_to == FIELD_ABSENT || class->vintage <= instrument->vintage_to) &&
	       (!instrument->country || strcmp(instrument->country, class->country) == 0) &&
	       (!instrument->methodology || strcmp(instrument->methodology, class->methodology) == 0) &&
	       takes_verifiers(instrument, class);
}

static enum err classes_of(const struct reading *reading, const struct instrument_row *instrument, struct side *asks)
{
	struct market_class_row low = {.market = instrument->market}, *rows = NULL;
	size_t count = 0;
	struct store_query query = {.collection = &market_classes_collection,
		.index = "by_market",
		.low = &low,
		.prefix = 1,
		.most = DEPTH_CLASSES_MOST};
	enum err err = store_find(reading->store, &query, reading->arena, (void **)&rows, &count, reading->info);
	if (!err)
		err = side_room(reading, asks, count);
	for (size_t i = 0; i < count && !err; i++)
		if (instrument_takes(instrument, &rows[i]))
			side_add(asks, rows[i].class_number, LADDER_CLASS);
	return err;
}

static enum err instruments_of(const struct reading *reading, const struct market_class_row *class, struct side *bids)
{
	struct instrument_row low = {.market = class->market}, *rows = NULL;
	size_t count = 0;
	struct store_query query = {.collection = &instruments_collection,
		.index = "by_market",
		.low = &low,
		.prefix = 1,
		.descending = true,
		.most = DEPTH_CLASSES_MOST};
	enum err err = store_find(reading->store, &query, reading->arena, (void **)&rows, &count, reading->info);
	if (!err)
		err = side_room(reading, bids, count);
	for (size_t i = 0; i < count && !err; i++)
		if (rows[i].batch == FIELD_ABSENT && instrument_takes(&rows[i], class))
			side_add(bids, rows[i].instrument, LADDER_INSTRUMENT);
	return err;
}

enum err engine_depth_of_instrument(struct store *store, int64_t instrument, size_t levels, struct arena *arena,
	struct market_depth *ret_depth, struct err_info *info)
{
	const struct reading reading = {.store = store, .arena = arena, .info = info, .levels = levels};
	struct instrument_row row = {.instrument = instrument};
	struct side bids = {0}, asks = {0};
	enum err err = store_get(store, &instruments_collection, &row, arena, info);
	if (!err)
		err = side_room(&reading, &bids, 1);
	if (!err)
		err = row.batch == FIELD_ABSENT ? classes_of(&reading, &row, &asks) : side_room(&reading, &asks, 1);
	if (err)
		return err;
	side_add(&bids, instrument, LADDER_INSTRUMENT);
	if (row.batch != FIELD_ABSENT)
		side_add(&asks, row.batch, LADDER_BATCH);
	*ret_depth =
		(struct market_depth){.market = row.market, .class_number = FIELD_ABSENT, .instrument = instrument};
	return depth_read(&reading, &bids, &asks, ret_depth);
}

enum err engine_depth_of_class(struct store *store, int64_t class_number, size_t levels, struct arena *arena,
	struct market_depth *ret_depth, struct err_info *info)
{
	const struct reading reading = {.store = store, .arena = arena, .info = info, .levels = levels};
	struct market_class_row row = {.class_number = class_number};
	struct side bids = {0}, asks = {0};
	enum err err = store_get(store, &market_classes_collection, &row, arena, info);
	if (!err)
		err = side_room(&reading, &asks, 1);
	if (!err)
		err = instruments_of(&reading, &row, &bids);
	if (err)
		return err;
	side_add(&asks, class_number, LADDER_CLASS);
	*ret_depth =
		(struct market_depth){.market = row.market, .class_number = class_number, .instrument = FIELD_ABSENT};
	return depth_read(&reading, &bids, &asks, ret_depth);
}
