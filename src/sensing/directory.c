/* The directory: what decoding must know of units and sensors, as an immutable, counted picture with hash look-ups. A change
 * of configuration makes the next picture from the last one and swaps the pointer; readers keep the one they hold. Reading:
 * any thread, never blocks; changing: the thread that changed the configuration. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

#define NONE         UINT32_MAX
#define ASK_AGAIN_US (2 * CLOCK_US_PER_SECOND)
#define REFRESH_MOST 8 /* changed rows of one turn that are read one by one; of more, everything is read */

/* Open addressing over positions of an array; at most half full. */
struct table {
	uint32_t *slots;
	uint32_t mask;
};

struct directory {
	atomic_int refs;
	struct arena *arena;
	struct picture_unit *units;
	struct picture_point *points;
	struct picture_sensor *sensors;
	size_t unit_count, point_count, sensor_count;
	struct table unit_by_id, unit_by_slug, point_by_id, sensor_by_id, sensor_by_tag;
	bool (*find_org)(void *context, const char *text, struct id *ret_org);
	void *find_org_context;
};

/* ---- look-ups ---- */

/* FNV-1a over an id and a text, with a final mix (MurmurHash3's) because the mask takes the low bits. */
static uint64_t hash_of(const struct id *id, const char *text, size_t size)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < sizeof(id->bytes); i++)
		hash = (hash ^ id->bytes[i]) * UINT64_C(1099511628211);
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	return hash ^ (hash >> 33);
}

static bool table_make(struct arena *arena, struct table *table, size_t count)
{
	size_t size = 16;

	while (size < 2 * count)
		size *= 2;
	table->slots = ARENA_ARRAY(arena, uint32_t, size);
	if (!table->slots)
		return false;
	memset(table->slots, 0xff, size * sizeof(*table->slots));
	table->mask = (uint32_t)(size - 1);
	return true;
}

static void table_put(struct table *table, uint64_t hash, size_t position)
{
	uint32_t slot = (uint32_t)hash & table->mask;

	while (table->slots[slot] != NONE)
		slot = (slot + 1) & table->mask;
	table->slots[slot] = (uint32_t)position;
}

#define TABLE_EACH(table, hash, position)                                 \
	for (uint32_t slot_ = (uint32_t)(hash) & (table)->mask, position; \
		((position) = (table)->slots[slot_]) != NONE; slot_ = (slot_ + 1) & (table)->mask)

static const struct picture_unit *unit_by_id(const struct directory *directory, struct id id)
{
	TABLE_EACH(&directory->unit_by_id, hash_of(&id, NULL, 0), position)
	if (id_equal(directory->units[position].id, id))
		return &directory->units[position];
	return NULL;
}

static const struct picture_unit *unit_by_slug(const struct directory *directory, struct id org, const char *slug)
{
	TABLE_EACH(&directory->unit_by_slug, hash_of(&org, slug, strlen(slug)), position)
	{
		const struct picture_unit *unit = &directory->units[position];
		if (id_equal(unit->org_id, org) && strcmp(unit->slug, slug) == 0)
			return unit;
	}
	return NULL;
}

static bool point_retired(const struct directory *directory, struct id id)
{
	TABLE_EACH(&directory->point_by_id, hash_of(&id, NULL, 0), position)
	if (id_equal(directory->points[position].id, id))
		return directory->points[position].retired;
	return false;
}

bool directory_find_org(const struct directory *directory, const char *text, struct id *ret_org)
{
	if (directory->find_org)
		return directory->find_org(directory->find_org_context, text, ret_org);
	return id_parse(text, ret_org) == ERR_OK;
}

bool directory_find_unit(
	const struct directory *directory, const char *org, const char *unit, struct id *ret_org, struct id *ret_unit)
{
	const struct picture_unit *row;
	struct id org_id = {0}, unit_id;

	if (org && !directory_find_org(directory, org, &org_id))
		return false;
	if (id_parse(unit, &unit_id) == ERR_OK)
		row = unit_by_id(directory, unit_id);
	else
		row = org ? unit_by_slug(directory, org_id, unit) : NULL;
	if (!row || (org && !id_equal(row->org_id, org_id)))
		return false;
	*ret_org = row->org_id;
	*ret_unit = row->id;
	return true;
}

const struct directory_sensor *directory_find_tag(
	const struct directory *directory, struct id unit, const char *tag, size_t tag_size)
{
	TABLE_EACH(&directory->sensor_by_tag, hash_of(&unit, tag, tag_size), position)
	{
		const struct directory_sensor *sensor = &directory->sensors[position].sensor;
		if (id_equal(sensor->unit_id, unit) && strlen(sensor->tag) == tag_size &&
			memcmp(sensor->tag, tag, tag_size) == 0)
			return sensor;
	}
	return NULL;
}

const struct directory_sensor *directory_find_sensor(const struct directory *directory, struct id sensor)
{
	TABLE_EACH(&directory->sensor_by_id, hash_of(&sensor, NULL, 0), position)
	if (id_equal(directory->sensors[position].sensor.id, sensor))
		return &directory->sensors[position].sensor;
	return NULL;
}

const struct directory_sensor *directory_sensor_at(const struct directory *directory, uint32_t index)
{
	return index < directory->sensor_count ? &directory->sensors[index].sensor : NULL;
}

/* ---- making a picture ---- */

static bool copy_units(struct directory *directory, const struct picture *picture)
{
	directory->unit_count = picture->unit_count;
	directory->units = ARENA_ARRAY(directory->arena, struct picture_unit, picture->unit_count + 1);
	if (!directory->units)
		return false;
	for (size_t i = 0; i < picture->unit_count; i++) {
		struct picture_unit *unit = &directory->units[i];
		*unit = picture->units[i];
		unit->slug = arena_copy(directory->arena, unit->slug, strlen(unit->slug));
		if (!unit->slug)
			return false;
	}
	return true;
}

static bool copy_sensors(struct directory *directory, const struct picture *picture)
{
	directory->sensor_count = picture->sensor_count;
	directory->sensors = ARENA_ARRAY(directory->arena, struct picture_sensor, picture->sensor_count + 1);
	if (!directory->sensors)
		return false;
	for (size_t i = 0; i < picture->sensor_count; i++) {
		struct picture_sensor *row = &directory->sensors[i];
		*row = picture->sensors[i];
		row->sensor.index = (uint32_t)i;
		row->sensor.tag = arena_copy(directory->arena, row->sensor.tag, strlen(row->sensor.tag));
		row->sensor.unit = arena_copy(directory->arena, row->sensor.unit, strlen(row->sensor.unit));
		if (!row->sensor.tag || !row->sensor.unit)
			return false;
	}
	return true;
}

static bool make_tables(struct directory *directory)
{
	struct arena *arena = directory->arena;

	if (!table_make(arena, &directory->unit_by_id, directory->unit_count) ||
		!table_make(arena, &directory->unit_by_slug, directory->unit_count) ||
		!table_make(arena, &directory->point_by_id, directory->point_count) ||
		!table_make(arena, &directory->sensor_by_id, directory->sensor_count) ||
		!table_make(arena, &directory->sensor_by_tag, directory->sensor_count))
		return false;
	for (size_t i = 0; i < directory->unit_count; i++) {
		const struct picture_unit *unit = &directory->units[i];
		table_put(&directory->unit_by_id, hash_of(&unit->id, NULL, 0), i);
		table_put(&directory->unit_by_slug, hash_of(&unit->org_id, unit->slug, strlen(unit->slug)), i);
	}
	for (size_t i = 0; i < directory->point_count; i++)
		table_put(&directory->point_by_id, hash_of(&directory->points[i].id, NULL, 0), i);
	for (size_t i = 0; i < directory->sensor_count; i++) {
		struct directory_sensor *sensor = &directory->sensors[i].sensor;
		const struct picture_unit *unit = unit_by_id(directory, sensor->unit_id);
		table_put(&directory->sensor_by_id, hash_of(&sensor->id, NULL, 0), i);
		table_put(&directory->sensor_by_tag, hash_of(&sensor->unit_id, sensor->tag, strlen(sensor->tag)), i);
		sensor->retired = directory->sensors[i].retired || (unit && unit->retired) ||
				  point_retired(directory, directory->sensors[i].point_id);
	}
	return true;
}

struct directory *directory_make(const struct picture *picture)
{
	struct arena *arena = arena_new(DIRECTORY_BYTES_MAX);
	struct directory *directory = arena ? ARENA_NEW(arena, struct directory) : NULL;

	if (!directory)
		goto fail;
	atomic_init(&directory->refs, 1);
	directory->arena = arena;
	directory->find_org = picture->find_org;
	directory->find_org_context = picture->find_org_context;
	directory->point_count = picture->point_count;
	directory->points = ARENA_ARRAY(arena, struct picture_point, picture->point_count + 1);
	if (!directory->points)
		goto fail;
	if (picture->point_count)
		memcpy(directory->points, picture->points, picture->point_count * sizeof(*picture->points));
	if (!copy_units(directory, picture) || !copy_sensors(directory, picture) || !make_tables(directory))
		goto fail;
	return directory;
fail:
	arena_free(&arena);
	return NULL;
}

const struct directory *sensing_directory_ref(struct sensing *sensing)
{
	struct directory *directory;

	pthread_mutex_lock(&sensing->directory_swap);
	directory = sensing->directory;
	atomic_fetch_add_explicit(&directory->refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&sensing->directory_swap);
	return directory;
}

static void unref(struct directory *directory)
{
	if (directory && atomic_fetch_sub_explicit(&directory->refs, 1, memory_order_acq_rel) == 1) {
		struct arena *arena = directory->arena;
		arena_free(&arena);
	}
}

void sensing_directory_unref(const struct directory **directory)
{
	/* the count and the arena are the parts of a picture that are not constant */
	union {
		const struct directory *given;
		struct directory *own;
	} both = {.given = *directory};

	unref(both.own);
	*directory = NULL;
}

/* ---- following the configuration ---- */

static void swap(struct sensing *sensing, struct directory *next)
{
	struct directory *last;

	pthread_mutex_lock(&sensing->directory_swap);
	last = sensing->directory;
	sensing->directory = next;
	pthread_mutex_unlock(&sensing->directory_swap);
	unref(last);
}

static struct picture_unit unit_of(const struct unit *row)
{
	return (struct picture_unit){.id = row->id,
		.org_id = row->org_id,
		.slug = row->slug,
		.retired = row->state == UNIT_RETIRED,
		.version = row->version};
}

static struct picture_point point_of(const struct metering_point *row)
{
	return (struct picture_point){.id = row->id, .retired = row->state == POINT_RETIRED, .version = row->version};
}

static struct picture_sensor sensor_of(const struct sensor *row)
{
	return (struct picture_sensor){.sensor = {.id = row->id,
					       .org_id = row->org_id,
					       .unit_id = row->unit_id,
					       .tag = row->tag,
					       .unit = row->unit,
					       .range_low = row->range_low,
					       .range_high = row->range_high,
					       .sampling_period_us = row->sampling_period_us,
					       .oldest_us = row->oldest_us,
					       .newest_us = row->newest_us,
					       .lateness_us = row->lateness_us,
					       .stale_after_us = row->stale_after_us},
		.point_id = row->metering_point_id,
		.retired = row->state == SENSOR_RETIRED,
		.version = row->version};
}

enum part { PART_UNIT, PART_POINT, PART_SENSOR };

/* Where id and version are in one of the three arrays' items. */
struct item_shape {
	size_t size, id_offset, version_offset;
};
static const struct item_shape shapes[] = {
	[PART_UNIT] = {sizeof(struct picture_unit), offsetof(struct picture_unit, id),
		offsetof(struct picture_unit, version)},
	[PART_POINT] = {sizeof(struct picture_point), offsetof(struct picture_point, id),
		offsetof(struct picture_point, version)},
	[PART_SENSOR] = {sizeof(struct picture_sensor), offsetof(struct picture_sensor, sensor.id),
		offsetof(struct picture_sensor, version)},
};

static int64_t version_of(const struct item_shape *shape, const void *item)
{
	int64_t version;

	memcpy(&version, (const char *)item + shape->version_offset, sizeof(version));
	return version;
}

/* One of the three arrays of a picture with one item replaced (unless it is newer), added or (item NULL) taken out. */
static bool edit(struct arena *arena, const struct item_shape *shape, const void **items, size_t *count, struct id id,
	const void *item)
{
	size_t item_size = shape->size;
	const char *from = *items;
	char *to = arena_alloc(arena, (*count + 1) * item_size);
	size_t used = 0;
	bool placed = false;

	if (!to)
		return false;
	for (size_t i = 0; i < *count; i++) {
		const void *source = from + i * item_size;
		if (memcmp(from + i * item_size + shape->id_offset, &id, sizeof(id)) == 0) {
			if (!item)
				continue;
			if (version_of(shape, item) >= version_of(shape, source))
				source = item;
			placed = true;
		}
		memcpy(to + used++ * item_size, source, item_size);
	}
	if (item && !placed)
		memcpy(to + used++ * item_size, item, item_size);
	*items = to;
	*count = used;
	return true;
}

static bool edit_part(struct arena *arena, struct picture *picture, enum part part, struct id id, const void *item)
{
	const void *units = picture->units, *points = picture->points, *sensors = picture->sensors;
	bool done = false;

	switch (part) {
	case PART_UNIT: done = edit(arena, &shapes[part], &units, &picture->unit_count, id, item); break;
	case PART_POINT: done = edit(arena, &shapes[part], &points, &picture->point_count, id, item); break;
	case PART_SENSOR: done = edit(arena, &shapes[part], &sensors, &picture->sensor_count, id, item); break;
	}
	picture->units = units;
	picture->points = points;
	picture->sensors = sensors;
	return done;
}

static enum err put(struct sensing *sensing, enum part part, struct id id, const void *item)
{
	struct arena *arena = arena_new(DIRECTORY_BYTES_MAX);
	struct directory *next = NULL;
	const struct directory *last;
	struct picture picture;

	if (!arena)
		return ERR_NO_MEMORY;
	pthread_mutex_lock(&sensing->directory_change);
	last = sensing->directory; /* only holders of directory_change replace it */
	picture = (struct picture){.units = last->units,
		.unit_count = last->unit_count,
		.points = last->points,
		.point_count = last->point_count,
		.sensors = last->sensors,
		.sensor_count = last->sensor_count,
		.find_org = last->find_org,
		.find_org_context = last->find_org_context};
	if (edit_part(arena, &picture, part, id, item))
		next = directory_make(&picture);
	if (next)
		swap(sensing, next);
	sensing->directory_changes += next != NULL;
	pthread_mutex_unlock(&sensing->directory_change);
	arena_free(&arena);
	return next ? ERR_OK : ERR_NO_MEMORY;
}

enum err directory_put_unit(struct sensing *sensing, const struct unit *row, bool gone)
{
	struct picture_unit item = unit_of(row);

	return put(sensing, PART_UNIT, row->id, gone ? NULL : &item);
}

enum err directory_put_point(struct sensing *sensing, const struct metering_point *row, bool gone)
{
	struct picture_point item = point_of(row);

	return put(sensing, PART_POINT, row->id, gone ? NULL : &item);
}

enum err directory_put_sensor(struct sensing *sensing, const struct sensor *row, bool gone)
{
	struct picture_sensor item = sensor_of(row);

	return put(sensing, PART_SENSOR, row->id, gone ? NULL : &item);
}

/* ---- the first picture ---- */

/* All rows of a collection, page by page, each handed to `take`, which fills the next item of a growing array. */
static enum err load(struct sensing *sensing, const struct store_collection *collection, size_t item_size,
	void (*take)(const void *row, void *ret_item), struct arena *arena, void **ret_items, size_t *ret_count,
	struct err_info *info)
{
	struct store_query query = {.collection = collection, .most = LIMIT_PAGE_ROWS};
	char *items = NULL;
	size_t count = 0, capacity = 0, found;
	enum err err;

	do {
		void *rows;
		err = store_find(sensing->store, &query, arena, &rows, &found, info);
		if (err)
			return err;
		if (count + found > capacity) {
			char *grown = arena_alloc(arena, (capacity = 2 * (count + found)) * item_size);
			if (!grown)
				return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the directory");
			if (count)
				memcpy(grown, items, count * item_size);
			items = grown;
		}
		for (size_t i = 0; i < found; i++)
			take((const char *)rows + i * collection->row_size, items + count++ * item_size);
		if (found)
			query.after = (const char *)rows + (found - 1) * collection->row_size;
	} while (found == query.most);
	*ret_items = items;
	*ret_count = count;
	return ERR_OK;
}

static void take_unit(const void *row, void *ret_item)
{
	*(struct picture_unit *)ret_item = unit_of(row);
}

static void take_point(const void *row, void *ret_item)
{
	*(struct picture_point *)ret_item = point_of(row);
}

static void take_sensor(const void *row, void *ret_item)
{
	*(struct picture_sensor *)ret_item = sensor_of(row);
}

/* A picture of all rows, in the arena. */
static enum err load_all(
	struct sensing *sensing, struct arena *arena, struct directory **ret_directory, struct err_info *info)
{
	struct picture picture = {
		.find_org = sensing->options.find_org, .find_org_context = sensing->options.find_org_context};
	void *units = NULL, *points = NULL, *sensors = NULL;
	enum err err = load(sensing, &units_collection, sizeof(struct picture_unit), take_unit, arena, &units,
		&picture.unit_count, info);

	if (!err)
		err = load(sensing, &metering_points_collection, sizeof(struct picture_point), take_point, arena,
			&points, &picture.point_count, info);
	if (!err)
		err = load(sensing, &sensors_collection, sizeof(struct picture_sensor), take_sensor, arena, &sensors,
			&picture.sensor_count, info);
	if (err)
		return err;
	picture.units = units;
	picture.points = points;
	picture.sensors = sensors;
	*ret_directory = directory_make(&picture);
	return *ret_directory ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the directory");
}

enum err directory_load(struct sensing *sensing, struct err_info *info)
{
	struct arena *arena = arena_new(DIRECTORY_BYTES_MAX);
	enum err err;

	if (!arena)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the directory");
	err = load_all(sensing, arena, &sensing->directory, info);
	arena_free(&arena);
	return err;
}

/* ---- changes made elsewhere ---- */

/* What was read is swapped in only if nothing was put while it was read: it would undo that. */
enum err directory_reload(struct sensing *sensing, struct err_info *info)
{
	enum err err = ERR_BUSY;

	for (int i = 0; i < CHANGE_RETRIES && err == ERR_BUSY; i++) {
		struct arena *arena = arena_new(DIRECTORY_BYTES_MAX);
		struct directory *next = NULL;
		pthread_mutex_lock(&sensing->directory_change);
		uint64_t changes = sensing->directory_changes;
		pthread_mutex_unlock(&sensing->directory_change);
		err = arena ? load_all(sensing, arena, &next, info)
			    : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the directory");
		pthread_mutex_lock(&sensing->directory_change);
		if (!err && changes != sensing->directory_changes)
			err = err_set(info, ERR_BUSY, NULL, "units and sensors change faster than they are read");
		if (!err) {
			swap(sensing, next);
			sensing->directory_changes++;
			next = NULL;
		}
		pthread_mutex_unlock(&sensing->directory_change);
		unref(next);
		arena_free(&arena);
	}
	return err;
}

/* Puts the row with this id as it is stored now, and looks again: a change made here meanwhile is then not undone. */
static enum err refresh(struct sensing *sensing, const struct audit_news *news, struct err_info *info)
{
	static const struct {
		const char *kind;
		const struct store_collection *collection;
		enum part part;
	} kinds[] = {{"unit", &units_collection, PART_UNIT},
		{"metering_point", &metering_points_collection, PART_POINT},
		{"sensor", &sensors_collection, PART_SENSOR}};
	size_t kind = 0;
	int64_t put_version = -1;

	while (kind < sizeof(kinds) / sizeof(*kinds) && strcmp(kinds[kind].kind, news->subject_kind) != 0)
		kind++;
	if (kind == sizeof(kinds) / sizeof(*kinds))
		return ERR_OK;
	for (int i = 0; i < CHANGE_RETRIES; i++) {
		union {
			struct unit unit;
			struct metering_point point;
			struct sensor sensor;
		} row;
		union {
			struct picture_unit unit;
			struct picture_point point;
			struct picture_sensor sensor;
		} item;
		struct arena *arena = arena_new(0);
		if (!arena)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the directory");
		field_clear(kinds[kind].collection->fields, &row);
		row.unit.id = news->subject; /* the first member of all three */
		enum err err = store_get(sensing->store, kinds[kind].collection, &row, arena, info);
		bool gone = err == ERR_NOT_FOUND;
		int64_t version = 0;
		if (!err && kinds[kind].part == PART_UNIT)
			item.unit = unit_of(&row.unit), version = row.unit.version;
		else if (!err && kinds[kind].part == PART_POINT)
			item.point = point_of(&row.point), version = row.point.version;
		else if (!err)
			item.sensor = sensor_of(&row.sensor), version = row.sensor.version;
		if (gone)
			err = ERR_OK;
		bool settled = version == put_version;
		if (!err && !settled)
			err = put(sensing, kinds[kind].part, news->subject, gone ? NULL : &item);
		put_version = version;
		arena_free(&arena);
		if (err || settled)
			return err;
	}
	return ERR_OK;
}

static bool is_old(struct sensing *sensing, const struct directory *directory)
{
	pthread_mutex_lock(&sensing->directory_swap);
	bool old = sensing->directory != directory;
	pthread_mutex_unlock(&sensing->directory_swap);
	return old;
}

bool sensing_decode_again(
	struct sensing *sensing, const struct directory *directory, const struct reading_batch *batch, size_t first)
{
	bool unknown = false;

	for (size_t i = first; sensing->options.catch_up && i < batch->quarantined_count && !unknown; i++)
		unknown = batch->quarantined[i].reason == QUARANTINE_UNKNOWN_UNIT ||
			  batch->quarantined[i].reason == QUARANTINE_UNKNOWN_SENSOR;
	if (!unknown || is_old(sensing, directory))
		return unknown;
	if (clock_monotonic_us() - atomic_load(&sensing->asked_in_vain_us) < ASK_AGAIN_US)
		return false;
	if (sensing->options.catch_up(sensing->options.catch_up_context) == ERR_OK && is_old(sensing, directory))
		return true;
	atomic_store(&sensing->asked_in_vain_us, clock_monotonic_us());
	return false;
}

enum err sensing_follow(struct sensing *sensing, const struct audit_news *news, size_t count, struct err_info *info)
{
	enum err err = ERR_OK;

	if (count > REFRESH_MOST)
		return directory_reload(sensing, info);
	for (size_t i = 0; i < count && !err; i++)
		err = refresh(sensing, &news[i], info);
	return err;
}

void directory_unload(struct sensing *sensing)
{
	unref(sensing->directory);
	sensing->directory = NULL;
}
