/* Decides how the rows of `ranges` follow the journal: an interval map over one chunk of events. What an event touches is
 * read from the store once, changed in memory, and written when the chunk ends. The projector's thread. */
#include "parts.h"

#include <stdlib.h>
#include <string.h>

#define READ_ROWS 1000

struct segment {
	struct serial_range_row row;
	bool dirty;
};

struct window { /* serials of a batch whose rows have been read */
	int64_t batch, low, high;
};

struct ranges_view {
	struct store *store;
	struct arena *arena;
	struct segment *segments; /* by (batch, start), disjoint */
	size_t count, capacity;
	struct serial_range_row *gone; /* keys of stored rows that are no longer the start of one */
	size_t gone_count, gone_capacity;
	struct window *windows;
	size_t window_count, window_capacity;
};

struct ranges_view *ranges_view_new(struct store *store, struct arena *arena)
{
	struct ranges_view *view = calloc(1, sizeof *view);
	if (view) {
		view->store = store;
		view->arena = arena;
	}
	return view;
}

void ranges_view_free(struct ranges_view **view)
{
	if (*view) {
		free((*view)->segments);
		free((*view)->gone);
		free((*view)->windows);
	}
	free(*view);
	*view = NULL;
}

/* ---- arrays ---- */

static bool room(void **array, size_t *capacity, size_t count, size_t item_size)
{
	if (count < *capacity)
		return true;
	size_t grown_capacity = (*capacity + 32) * 2;
	void *grown = realloc(*array, grown_capacity * item_size);
	if (!grown)
		return false;
	*array = grown;
	*capacity = grown_capacity;
	return true;
}

static int64_t end_of(const struct serial_range_row *row)
{
	return row->start + row->length;
}

/* The number of segments before (batch, start). */
static size_t segments_before(const struct ranges_view *view, int64_t batch, int64_t start)
{
	size_t low = 0, high = view->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct serial_range_row *row = &view->segments[middle].row;
		if (row->batch < batch || (row->batch == batch && row->start < start))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static enum err segment_insert(struct ranges_view *view, const struct serial_range_row *row, bool dirty)
{
	void *segments = view->segments;
	bool enough = room(&segments, &view->capacity, view->count, sizeof *view->segments);
	view->segments = segments;
	if (!enough)
		return ERR_NO_MEMORY;
	size_t at = segments_before(view, row->batch, row->start);
	memmove(&view->segments[at + 1], &view->segments[at], (view->count - at) * sizeof *view->segments);
	view->segments[at] = (struct segment){.row = *row, .dirty = dirty};
	view->count++;
	return ERR_OK;
}

static enum err segment_remove(struct ranges_view *view, size_t at, int64_t position)
{
	void *gone = view->gone;
	bool enough = room(&gone, &view->gone_capacity, view->gone_count, sizeof *view->gone);
	view->gone = gone;
	if (!enough)
		return ERR_NO_MEMORY;
	view->gone[view->gone_count] = view->segments[at].row;
	view->gone[view->gone_count++].position = position;
	view->count--;
	memmove(&view->segments[at], &view->segments[at + 1], (view->count - at) * sizeof *view->segments);
	return ERR_OK;
}

/* ---- reading ---- */

static bool is_read(const struct ranges_view *view, int64_t batch, int64_t low, int64_t high)
{
	for (size_t i = 0; i < view->window_count; i++)
		if (view->windows[i].batch == batch && view->windows[i].low <= low && view->windows[i].high >= high)
			return true;
	return false;
}

static bool is_known(const struct ranges_view *view, const struct serial_range_row *row)
{
	for (size_t i = 0; i < view->window_count; i++)
		if (view->windows[i].batch == row->batch && view->windows[i].low <= row->start &&
			view->windows[i].high >= end_of(row))
			return true;
	return false;
}

static enum err rows_take(struct ranges_view *view, const struct serial_range_row *rows, size_t count)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && !err; i++)
		if (!is_known(view, &rows[i]))
			err = segment_insert(view, &rows[i], false);
	return err;
}

/* Rows of the batch that overlap [low, high), whole ones; the window grows to their borders. */
static enum err window_read(struct ranges_view *view, int64_t batch, int64_t low, int64_t high, struct err_info *info)
{
	struct serial_range_row key, from, to, *rows = NULL;
	size_t count = 0;
	if (is_read(view, batch, low, high))
		return ERR_OK;
	field_clear(range_fields, &key);
	key.batch = batch;
	from = to = key;
	to.start = low + 1;
	struct store_query query = {
		.collection = &ranges_collection, .low = &key, .prefix = 1, .to = &to, .descending = true, .most = 1};
	enum err err = store_find(view->store, &query, view->arena, (void **)&rows, &count, info);
	int64_t first = low, last = high;
	if (!err && count) {
		err = rows_take(view, rows, count);
		first = rows[0].start;
		last = end_of(&rows[0]) > last ? end_of(&rows[0]) : last;
	}
	from.start = low + 1;
	to.start = high;
	query = (struct store_query){.collection = &ranges_collection,
		.low = &key,
		.prefix = 1,
		.from = &from,
		.to = &to,
		.most = READ_ROWS};
	while (!err && low + 1 < high) {
		err = store_find(view->store, &query, view->arena, (void **)&rows, &count, info);
		if (!err)
			err = rows_take(view, rows, count);
		if (err || count == 0)
			break;
		last = end_of(&rows[count - 1]) > last ? end_of(&rows[count - 1]) : last;
		if (count < READ_ROWS)
			break;
		query.after = &rows[count - 1];
	}
	void *windows = view->windows;
	bool enough = room(&windows, &view->window_capacity, view->window_count, sizeof *view->windows);
	view->windows = windows;
	if (!err && enough)
		view->windows[view->window_count++] = (struct window){.batch = batch, .low = first, .high = last};
	return err ? err : enough ? ERR_OK : ERR_NO_MEMORY;
}

/* ---- assigning ---- */

/* Makes `at` a border of segments. */
static enum err cut(struct ranges_view *view, int64_t batch, int64_t at, int64_t position)
{
	size_t index = segments_before(view, batch, at);
	if (index == 0)
		return ERR_OK;
	struct segment *left = &view->segments[index - 1];
	if (left->row.batch != batch || end_of(&left->row) <= at)
		return ERR_OK;
	struct serial_range_row right = left->row;
	right.start = at;
	right.length = end_of(&left->row) - at;
	right.position = position;
	left->row.length = at - left->row.start;
	left->row.position = position;
	left->dirty = true;
	return segment_insert(view, &right, true);
}

static bool joins(const struct serial_range_row *a, const struct serial_range_row *b)
{
	return a->batch == b->batch && end_of(a) == b->start && a->state == b->state &&
	       id_equal(a->org_id, b->org_id) && id_equal(a->retirement_id, b->retirement_id) &&
	       id_equal(a->cancellation_id, b->cancellation_id);
}

/* Joins a segment with the one behind it where they are alike. */
static enum err join_next(struct ranges_view *view, size_t at, int64_t position)
{
	if (at + 1 >= view->count || !joins(&view->segments[at].row, &view->segments[at + 1].row))
		return ERR_OK;
	view->segments[at].row.length += view->segments[at + 1].row.length;
	view->segments[at].row.position = position;
	view->segments[at].dirty = true;
	return segment_remove(view, at + 1, position);
}

static bool is_ahead(const struct ranges_view *view, int64_t batch, int64_t low, int64_t high, int64_t position)
{
	size_t at = segments_before(view, batch, low);
	if (at > 0 && view->segments[at - 1].row.batch == batch && end_of(&view->segments[at - 1].row) > low)
		at--;
	for (; at < view->count && view->segments[at].row.batch == batch && view->segments[at].row.start < high; at++)
		if (!view->segments[at].dirty && view->segments[at].row.position >= position)
			return true;
	return false;
}

enum err ranges_view_assign(struct ranges_view *view, const struct serial_range *range, struct id org,
	enum kg_state state, struct id record, int64_t position, struct err_info *info)
{
	int64_t batch = (int64_t)range->batch, low = range->start, high = range->start + range->length;
	enum err err = window_read(view, batch, low > 0 ? low - 1 : 0, high + 1, info);
	if (err || is_ahead(view, batch, low, high, position))
		return err;
	err = cut(view, batch, low, position);
	if (!err)
		err = cut(view, batch, high, position);
	size_t at = segments_before(view, batch, low);
	while (!err && at < view->count && view->segments[at].row.batch == batch && view->segments[at].row.start < high)
		err = segment_remove(view, at, position);
	struct serial_range_row row = {.batch = batch,
		.start = low,
		.length = range->length,
		.org_id = org,
		.state = (int)state,
		.retirement_id = state == KG_RETIRED ? record : (struct id){{0}},
		.cancellation_id = state == KG_CANCELLED ? record : (struct id){{0}},
		.position = position};
	if (!err)
		err = segment_insert(view, &row, true);
	at = segments_before(view, batch, low);
	if (!err)
		err = join_next(view, at, position);
	if (!err && at > 0)
		err = join_next(view, at - 1, position);
	return err;
}

/* ---- writing ---- */

enum err change_add(
	struct arena *arena, struct store_change **changes, size_t *count, size_t *capacity, struct store_change change)
{
	if (*count == *capacity) {
		size_t grown_capacity = (*capacity + 64) * 2;
		struct store_change *grown = ARENA_ARRAY(arena, struct store_change, grown_capacity);
		if (!grown)
			return ERR_NO_MEMORY;
		if (*count)
			memcpy(grown, *changes, *count * sizeof *grown);
		*changes = grown;
		*capacity = grown_capacity;
	}
	(*changes)[(*count)++] = change;
	return ERR_OK;
}

enum err ranges_view_changes(struct ranges_view *view, struct store_change **changes, size_t *count, size_t *capacity)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < view->gone_count && !err; i++) {
		const struct serial_range_row *row = &view->gone[i];
		size_t at = segments_before(view, row->batch, row->start);
		bool is_back = at < view->count && view->segments[at].row.batch == row->batch &&
			       view->segments[at].row.start == row->start;
		if (!is_back)
			err = change_add(view->arena, changes, count, capacity,
				(struct store_change){.collection = &ranges_collection,
					.row = row,
					.verb = STORE_DELETE,
					.condition = STORE_BELOW,
					.field = "position",
					.value = row->position});
	}
	for (size_t i = 0; i < view->count && !err; i++)
		if (view->segments[i].dirty)
			err = change_add(view->arena, changes, count, capacity,
				(struct store_change){.collection = &ranges_collection,
					.row = &view->segments[i].row,
					.verb = STORE_PUT,
					.condition = STORE_BELOW,
					.field = "position",
					.value = view->segments[i].row.position});
	return err;
}
