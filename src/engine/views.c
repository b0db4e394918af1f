/* Decides how the views follow the journal. The projector is one consumer: over a chunk of events it reads each row that
 * they touch once, changes it in memory, and writes all of them with its cursor; rows carry the position of the last event
 * applied and are written only over a lower one, so doing it twice is harmless. What an event changes is in views_<room>.c, and
 * views.def says which events and rows there are. The projector's thread. */
#include "views.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define HOLDERS_READ 1000 /* at a time */

/* ---- sheets: rows of one collection that the chunk touches ---- */

struct entry {
	void *row;
	int64_t base_position; /* of the stored row; −1: there is none */
	bool touched, gone;
};

#define KEY_PARTS 3

struct sheet {
	const struct store_collection *collection;
	size_t position_offset;
	size_t key_offset[KEY_PARTS], key_size[KEY_PARTS];
	bool key_is_text[KEY_PARTS];
	bool whole; /* an event says all of its row: what is stored need not be read */
	struct entry *entries;
	size_t count, capacity;
};

static const struct sheet sheet_kinds[SHEET_COUNT] = {
#define VIEW(NAME, collection_, type, key, whole_)                  \
	[SHEET_##NAME] = {.collection = &(collection_),             \
		.position_offset = offsetof(struct type, position), \
		.key_offset = {offsetof(struct type, key)},         \
		.key_size = {sizeof(((struct type *)0)->key)},      \
		.whole = (whole_)},
#define VIEW_OF_TWO(NAME, collection_, type, key, second, whole_)                                  \
	[SHEET_##NAME] = {.collection = &(collection_),                                            \
		.position_offset = offsetof(struct type, position),                                \
		.key_offset = {offsetof(struct type, key), offsetof(struct type, second)},         \
		.key_size = {sizeof(((struct type *)0)->key), sizeof(((struct type *)0)->second)}, \
		.whole = (whole_)},
#define VIEW_BY_KEY(NAME, collection_, type, whole_) \
	[SHEET_##NAME] = {                           \
		.collection = &(collection_), .position_offset = offsetof(struct type, position), .whole = (whole_)},
#define VIEW_EVENT(NAME, name)
#include "views.def"
};

static enum err (*const handlers[])(struct projector *projector, const struct event *event) = {
#define VIEW(NAME, collection, type, key, whole)
#define VIEW_OF_TWO(NAME, collection, type, key, second, whole)
#define VIEW_BY_KEY(NAME, collection, type, whole)
#define VIEW_EVENT(NAME, name) [EVENT_##NAME] = view_on_##name,
#include "views.def"
};

struct projector {
	struct engine *engine;
	struct arena *arena; /* of one chunk */
	struct sheet sheets[SHEET_COUNT];
	struct ranges_view *ranges;
	struct map map; /* of all sheets' rows: item = sheet + SHEET_COUNT × entry */
	struct err_info *info;
	const struct event *event; /* at hand */
	int64_t position;          /* its number */
	/* the actor that was looked up last */
	uint64_t actor;
	struct id actor_id;
};

/* The members of the collection's own key. */
static void sheet_key(struct sheet *sheet)
{
	for (int part = 0; part < KEY_PARTS && sheet->collection->key[part]; part++) {
		const struct field *field = field_find(sheet->collection->fields, sheet->collection->key[part]);
		sheet->key_offset[part] = field->offset;
		sheet->key_is_text[part] = field->kind == FIELD_TEXT;
		sheet->key_size[part] = field->kind == FIELD_ID     ? sizeof(struct id)
					: field->kind == FIELD_TEXT ? sizeof(char *)
								    : sizeof(int64_t);
	}
}

struct projector *projector_new(struct engine *engine)
{
	struct projector *projector = calloc(1, sizeof *projector);
	if (!projector)
		return NULL;
	projector->engine = engine;
	projector->arena = arena_new(0);
	for (size_t i = 0; i < SHEET_COUNT; i++)
		projector->sheets[i] = sheet_kinds[i];
	for (size_t i = 0; i < SHEET_COUNT; i++)
		if (!projector->sheets[i].key_size[0])
			sheet_key(&projector->sheets[i]);
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
	for (int part = 0; part < KEY_PARTS && sheet->key_size[part]; part++) {
		const char *x = key_part(sheet, a, part), *y = key_part(sheet, b, part);
		if (sheet->key_is_text[part] ? strcmp(*(const char *const *)x, *(const char *const *)y) != 0
					     : memcmp(x, y, sheet->key_size[part]) != 0)
			return false;
	}
	return true;
}

static uint64_t text_hash(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = map_hash_u64(hash, (uint8_t)*text);
	return hash;
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
	for (int part = 0; part < KEY_PARTS && sheet->key_size[part]; part++) {
		const char *at = key_part(sheet, row, part);
		hash = sheet->key_is_text[part] ? text_hash(hash, *(const char *const *)at)
						: map_hash_bytes(hash, at, sheet->key_size[part]);
	}
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

/* All members absent but the key's. NULL without memory. */
static void *row_new(struct projector *projector, const struct sheet *sheet, const void *key_row)
{
	void *row = arena_alloc(projector->arena, sheet->collection->row_size);
	if (!row)
		return NULL;
	field_clear(sheet->collection->fields, row);
	for (int part = 0; part < KEY_PARTS; part++)
		if (sheet->key_size[part])
			memcpy((char *)row + sheet->key_offset[part], key_part(sheet, key_row, part),
				sheet->key_size[part]);
	return row;
}

enum err view_row(struct projector *projector, enum sheet_name name, const void *key_row, void *ret_row)
{
	struct sheet *sheet = &projector->sheets[name];
	uint64_t hash = row_hash(sheet, name, key_row);
	struct wanted wanted = {.sheet = name, .row = key_row};
	uint32_t item = map_find(&projector->map, hash, entry_equal, projector, &wanted);
	struct entry *entry = item == MAP_NONE ? NULL : &sheet->entries[item / SHEET_COUNT];
	if (!entry) {
		void *row = row_new(projector, sheet, key_row);
		enum err err = row ? entry_load(projector, name, row, &entry, hash) : ERR_NO_MEMORY;
		if (err)
			return err;
	}
	bool is_ahead = projector->position <= entry->base_position;
	if (!is_ahead) {
		entry->touched = true;
		entry->gone = false;
		*(int64_t *)((char *)entry->row + sheet->position_offset) = projector->position;
	}
	*(void **)ret_row = is_ahead ? NULL : entry->row;
	return ERR_OK;
}

void view_drop(struct projector *projector, enum sheet_name name, const void *key_row)
{
	struct sheet *sheet = &projector->sheets[name];
	struct wanted wanted = {.sheet = name, .row = key_row};
	uint32_t item = map_find(&projector->map, row_hash(sheet, name, key_row), entry_equal, projector, &wanted);
	assert(item != MAP_NONE && sheet->entries[item / SHEET_COUNT].touched);
	sheet->entries[item / SHEET_COUNT].gone = true;
}

void view_add(int64_t *sum, int64_t amount)
{
	*sum = (*sum == FIELD_ABSENT ? 0 : *sum) + amount;
}

const char *view_text(struct projector *projector, const char *text)
{
	return arena_copy(projector->arena, text, strlen(text));
}

enum err view_peek(struct projector *projector, enum sheet_name name, const void *key_row, void *ret_row)
{
	struct sheet *sheet = &projector->sheets[name];
	struct wanted wanted = {.sheet = name, .row = key_row};
	uint32_t item = map_find(&projector->map, row_hash(sheet, name, key_row), entry_equal, projector, &wanted);
	if (item != MAP_NONE) {
		*(void **)ret_row = sheet->entries[item / SHEET_COUNT].row;
		return ERR_OK;
	}
	void *row = row_new(projector, sheet, key_row);
	enum err err =
		row ? store_get(projector->engine->store, sheet->collection, row, projector->arena, projector->info)
		    : ERR_NO_MEMORY;
	*(void **)ret_row = err ? NULL : row;
	return err;
}

enum err view_actor(struct projector *projector, const struct event *event, struct id *ret_actor)
{
	*ret_actor = (struct id){0};
	if (event->header.actor == 0)
		return ERR_OK;
	if (projector->actor != event->header.actor) {
		const struct actor_row *row = NULL;
		enum err err = view_peek(
			projector, SHEET_ACTORS, KEYED(actor_row, .number = (int64_t)event->header.actor), &row);
		if (err)
			return err;
		projector->actor_id = row->actor_id;
		projector->actor = event->header.actor;
	}
	*ret_actor = projector->actor_id;
	return ERR_OK;
}

/* ---- for the rooms' files ---- */

struct arena *view_arena(struct projector *projector)
{
	return projector->arena;
}

const struct event *view_event(const struct projector *projector)
{
	return projector->event;
}

struct err_info *view_info(struct projector *projector)
{
	return projector->info;
}

enum err view_assign(
	struct projector *projector, const struct serial_range *range, struct ledger_place place, struct id record)
{
	return ranges_view_assign(
		projector->ranges, range, place.org, place.state, record, projector->position, projector->info);
}

int64_t view_position(const struct projector *projector)
{
	return projector->position;
}

/* Those that are stored, as the chunk has changed them; then those that the chunk has made. */
enum err view_each_holder(struct projector *projector, uint64_t batch,
	enum err (*each)(void *context, const struct holding_row *holding), void *context)
{
	struct sheet *sheet = &projector->sheets[SHEET_HOLDINGS];
	struct holding_row low, *rows = NULL;
	size_t count = HOLDERS_READ, made = sheet->count;
	field_clear(holding_fields, &low);
	low.batch = (int64_t)batch;
	struct store_query query = {.collection = &holdings_collection,
		.index = "by_batch",
		.low = &low,
		.prefix = 1,
		.most = HOLDERS_READ};
	enum err err = ERR_OK;
	while (!err && count == HOLDERS_READ) {
		err = store_find(
			projector->engine->store, &query, projector->arena, (void **)&rows, &count, projector->info);
		for (size_t i = 0; i < count && !err; i++) {
			const struct holding_row *now = NULL;
			err = view_peek(projector, SHEET_HOLDINGS, &rows[i], &now);
			if (!err)
				err = each(context, now);
		}
		query.after = count ? &rows[count - 1] : NULL;
	}
	for (size_t i = 0; i < made && !err; i++) {
		const struct holding_row *row = sheet->entries[i].row;
		if (sheet->entries[i].base_position < 0 && row->batch == (int64_t)batch)
			err = each(context, row);
	}
	return err;
}

/* ---- events of the frame's own ---- */

enum err view_on_actor_named(struct projector *projector, const struct event *event)
{
	const struct event_actor_named *said = &event->actor_named;
	struct actor_row *row = NULL;
	enum err err = view_row(projector, SHEET_ACTORS, KEYED(actor_row, .number = (int64_t)said->number), &row);
	if (err || !row)
		return err;
	row->actor_id = said->actor;
	row->org_id = said->org;
	return ERR_OK;
}

/* ---- chunks ---- */

static struct store_change entry_change(const struct sheet *sheet, const struct entry *entry)
{
	struct store_change change = {.collection = sheet->collection,
		.row = entry->row,
		.verb = entry->gone ? STORE_DELETE : STORE_PUT,
		.condition = entry->gone ? STORE_ALWAYS : STORE_BELOW,
		.field = "position",
		.value = *(int64_t *)((char *)entry->row + sheet->position_offset)};
	return change;
}

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
					entry_change(sheet, &sheet->entries[i]));
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
		projector->event = &events[i];
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
