/* Decides how pending transfers are kept: a table by id, a heap of deadlines from which the due ones are taken in (deadline, id)
 * order, and the serials of each as a chain. The state's thread. */
#include "money.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/array.h"

void money_free(struct money *money)
{
	free(money->pending);
	free(money->heap);
	free(money->nodes);
	free(money->limits);
	free(money->closed);
	free(money->rates);
	map_free(&money->map);
	map_free(&money->limit_map);
	map_free(&money->closed_map);
	map_free(&money->rate_map);
	*money = (struct money){0};
}

static bool nodes_reserve(struct money *money)
{
	if (money->node_free_count >= EVENTS_RANGES_MAX || money->node_capacity - money->node_used >= EVENTS_RANGES_MAX)
		return true;
	uint32_t capacity = (money->node_used + EVENTS_RANGES_MAX) * 2;
	struct serial_node *grown = realloc(money->nodes, capacity * sizeof *grown);
	if (!grown)
		return false;
	money->nodes = grown;
	money->node_capacity = capacity;
	return true;
}

/* Room for one more in an array of the money. */
#define ROOM(money, array, count, capacity)                                                              \
	({                                                                                               \
		void *items_ = (money)->array;                                                           \
		bool enough_ = array_room(&items_, &(money)->capacity, (count), sizeof *(money)->array); \
		(money)->array = items_;                                                                 \
		enough_;                                                                                 \
	})

bool money_reserve(struct money *money)
{
	return ROOM(money, heap, money->count, heap_capacity) && ROOM(money, pending, money->count, capacity) &&
	       ROOM(money, limits, money->limit_count, limit_capacity) &&
	       ROOM(money, closed, money->closed_count, closed_capacity) &&
	       ROOM(money, rates, money->rate_count, rate_capacity) && map_reserve(&money->map, 1) &&
	       map_reserve(&money->limit_map, 1) && map_reserve(&money->closed_map, 1) &&
	       map_reserve(&money->rate_map, 1) && nodes_reserve(money);
}

/* ---- the heap: a parent falls due before its children ---- */

static bool falls_due_before(const struct money *money, uint32_t a, uint32_t b)
{
	const struct event_state_pending *x = &money->pending[a].is, *y = &money->pending[b].is;
	if (x->expires_us != y->expires_us)
		return x->expires_us < y->expires_us;
	return memcmp(&x->transfer, &y->transfer, sizeof x->transfer) < 0;
}

static void heap_set(struct money *money, uint32_t at, uint32_t item)
{
	money->heap[at - 1] = item;
	money->pending[item].heap_at = at;
}

/* Moves the item at this place up or down until it stands right. */
static void heap_settle(struct money *money, uint32_t at)
{
	uint32_t item = money->heap[at - 1];
	for (; at > 1 && falls_due_before(money, item, money->heap[at / 2 - 1]); at /= 2)
		heap_set(money, at, money->heap[at / 2 - 1]);
	for (uint32_t child; (child = at * 2) <= money->heap_count; at = child) {
		if (child < money->heap_count && falls_due_before(money, money->heap[child], money->heap[child - 1]))
			child++;
		if (!falls_due_before(money, money->heap[child - 1], item))
			break;
		heap_set(money, at, money->heap[child - 1]);
	}
	heap_set(money, at, item);
}

static void heap_add(struct money *money, uint32_t item)
{
	money->heap_count++;
	heap_set(money, money->heap_count, item);
	heap_settle(money, money->heap_count);
}

static void heap_remove(struct money *money, uint32_t at)
{
	uint32_t last = money->heap[money->heap_count - 1];
	money->heap_count--;
	if (at > money->heap_count)
		return;
	heap_set(money, at, last);
	heap_settle(money, at);
}

uint32_t pending_due(const struct money *money, int64_t due_us)
{
	uint32_t first = money->heap_count ? money->heap[0] : MAP_NONE;
	return first != MAP_NONE && money->pending[first].is.expires_us <= due_us ? first : MAP_NONE;
}

/* ---- serials ---- */

static void range_append(struct money *money, struct pending *pending, const struct serial_range *range)
{
	uint32_t node = money->node_free;
	if (node) {
		money->node_free = money->nodes[node - 1].next;
		money->node_free_count--;
	} else {
		assert(money->node_used < money->node_capacity);
		node = ++money->node_used;
	}
	money->nodes[node - 1] = (struct serial_node){.range = *range};
	if (pending->last)
		money->nodes[pending->last - 1].next = node;
	else
		pending->first = node;
	pending->last = node;
	pending->ranges++;
}

size_t pending_ranges(const struct money *money, uint32_t item, struct serial_range *ret_ranges)
{
	size_t count = 0;
	for (uint32_t node = money->pending[item].first; node; node = money->nodes[node - 1].next)
		ret_ranges[count++] = money->nodes[node - 1].range;
	return count;
}

/* ---- the table ---- */

static bool pending_equal(const void *context, uint32_t item, const void *key)
{
	return id_equal(((const struct money *)context)->pending[item].is.transfer, *(const struct id *)key);
}

static uint64_t pending_hash(const struct money *money, struct id transfer)
{
	return map_hash_bytes(money->seed, &transfer, sizeof transfer);
}

uint32_t pending_find(const struct money *money, struct id transfer)
{
	return map_find(&money->map, pending_hash(money, transfer), pending_equal, money, &transfer);
}

static void add_revert(void *owner, const void *payload)
{
	struct id transfer;
	memcpy(&transfer, payload, sizeof transfer);
	pending_remove(owner, NULL, pending_find(owner, transfer));
}

void pending_add(struct money *money, struct undo *undo, const struct event_state_pending *is,
	const struct serial_range *ranges, size_t range_count)
{
	assert(money->count < money->capacity);
	uint32_t item = money->count++;
	map_put(&money->map, pending_hash(money, is->transfer), item);
	money->pending[item] = (struct pending){.is = *is};
	for (size_t i = 0; i < range_count; i++)
		range_append(money, &money->pending[item], &ranges[i]);
	if (is->expires_us)
		heap_add(money, item);
	undo_push(undo, add_revert, money, &is->transfer, sizeof is->transfer);
}

static void remove_revert(void *owner, const void *payload)
{
	struct event_state_pending is;
	memcpy(&is, payload, sizeof is);
	pending_add(owner, NULL, &is, NULL, 0);
}

struct range_back {
	struct id transfer;
	struct serial_range range;
};

static void range_revert(void *owner, const void *payload)
{
	struct money *money = owner;
	struct range_back back;
	memcpy(&back, payload, sizeof back);
	range_append(money, &money->pending[pending_find(money, back.transfer)], &back.range);
}

/* The steps are taken back from the last on: first the transfer comes back, then its ranges in their order. */
static void remove_note(struct money *money, struct undo *undo, uint32_t item)
{
	struct serial_range ranges[EVENTS_RANGES_MAX];
	const struct event_state_pending *is = &money->pending[item].is;
	for (size_t i = pending_ranges(money, item, ranges); i > 0; i--) {
		struct range_back back = {.transfer = is->transfer, .range = ranges[i - 1]};
		undo_push(undo, range_revert, money, &back, sizeof back);
	}
	undo_push(undo, remove_revert, money, is, sizeof *is);
}

/* The last one takes its place. */
void pending_remove(struct money *money, struct undo *undo, uint32_t item)
{
	assert(item < money->count);
	if (undo)
		remove_note(money, undo, item);
	struct pending gone = money->pending[item];
	if (gone.heap_at)
		heap_remove(money, gone.heap_at);
	if (gone.last) {
		money->nodes[gone.last - 1].next = money->node_free;
		money->node_free = gone.first;
		money->node_free_count += gone.ranges;
	}
	map_remove(&money->map, pending_hash(money, gone.is.transfer), item);
	money->count--;
	if (item != money->count) {
		uint64_t hash = pending_hash(money, money->pending[money->count].is.transfer);
		map_remove(&money->map, hash, money->count);
		money->pending[item] = money->pending[money->count];
		map_put(&money->map, hash, item);
		if (money->pending[item].heap_at)
			money->heap[money->pending[item].heap_at - 1] = item;
	}
}

/* ---- in order, for snapshots ---- */

struct ordered {
	struct id transfer;
	uint32_t item;
};

static int by_id(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;
	return memcmp(&x->transfer, &y->transfer, sizeof x->transfer);
}

enum err pending_sorted(const struct money *money, uint32_t **ret_items)
{
	struct ordered *all = calloc(money->count + 1, sizeof *all);
	*ret_items = calloc(money->count + 1, sizeof **ret_items);
	enum err err = all && *ret_items ? ERR_OK : ERR_NO_MEMORY;
	for (uint32_t i = 0; i < money->count && !err; i++)
		all[i] = (struct ordered){.transfer = money->pending[i].is.transfer, .item = i};
	if (!err)
		qsort(all, money->count, sizeof *all, by_id);
	for (uint32_t i = 0; i < money->count && !err; i++)
		(*ret_items)[i] = all[i].item;
	free(all);
	return err;
}
