/* Decides how ranges split and join: a set never holds two that touch, so the same kilograms always read the same. */
#include "ranges.h"

#include <assert.h>
#include <stdlib.h>

#include "carbond/base/map.h"

bool range_pool_reserve(struct range_pool *pool, uint32_t more)
{
	if (pool->capacity - pool->used + pool->free_count > more)
		return true;
	if (pool->capacity > UINT32_MAX / 2 - more)
		return false;
	uint32_t capacity = (pool->capacity + more + 1) * 2;
	struct range_node *nodes = realloc(pool->nodes, capacity * sizeof *nodes);
	if (!nodes)
		return false;
	pool->nodes = nodes;
	pool->capacity = capacity;
	if (pool->used == 0)
		pool->used = 1;
	return true;
}

void range_pool_free(struct range_pool *pool)
{
	free(pool->nodes);
	*pool = (struct range_pool){0};
}

static uint32_t node_new(struct range_pool *pool, int64_t start, int64_t length)
{
	uint32_t node = pool->free;
	if (node) {
		pool->free = pool->nodes[node].left;
		pool->free_count--;
	} else {
		assert(pool->used < pool->capacity);
		node = pool->used++;
	}
	pool->nodes[node] = (struct range_node){
		.start = start, .length = length, .priority = (uint32_t)map_hash_u64(node, (uint64_t)start)};
	return node;
}

static void node_free(struct range_pool *pool, uint32_t node)
{
	pool->nodes[node].left = pool->free;
	pool->free = node;
	pool->free_count++;
}

/* Cuts a tree into starts < at and starts ≥ at. */
static void split(struct range_pool *pool, uint32_t root, int64_t at, uint32_t *ret_low, uint32_t *ret_high)
{
	if (!root) {
		*ret_low = *ret_high = 0;
		return;
	}
	struct range_node *node = &pool->nodes[root];
	if (node->start < at) {
		split(pool, node->right, at, &node->right, ret_high);
		*ret_low = root;
	} else {
		split(pool, node->left, at, ret_low, &node->left);
		*ret_high = root;
	}
}

/* Joins two trees, all of `low` before all of `high`. */
static uint32_t join(struct range_pool *pool, uint32_t low, uint32_t high)
{
	if (!low || !high)
		return low ? low : high;
	if (pool->nodes[low].priority > pool->nodes[high].priority) {
		pool->nodes[low].right = join(pool, pool->nodes[low].right, high);
		return low;
	}
	pool->nodes[high].left = join(pool, low, pool->nodes[high].left);
	return high;
}

static void insert(struct range_pool *pool, uint32_t *root, int64_t start, int64_t length)
{
	uint32_t node = node_new(pool, start, length);
	uint32_t *place = root;
	while (*place && pool->nodes[*place].priority >= pool->nodes[node].priority)
		place = start < pool->nodes[*place].start ? &pool->nodes[*place].left : &pool->nodes[*place].right;
	split(pool, *place, start, &pool->nodes[node].left, &pool->nodes[node].right);
	*place = node;
}

static void erase(struct range_pool *pool, uint32_t *root, int64_t start)
{
	uint32_t *place = root;
	while (pool->nodes[*place].start != start)
		place = start < pool->nodes[*place].start ? &pool->nodes[*place].left : &pool->nodes[*place].right;
	uint32_t node = *place;
	*place = join(pool, pool->nodes[node].left, pool->nodes[node].right);
	node_free(pool, node);
}

uint32_t range_at(const struct range_pool *pool, uint32_t root, int64_t at)
{
	uint32_t found = 0;
	while (root) {
		if (pool->nodes[root].start <= at) {
			found = root;
			root = pool->nodes[root].right;
		} else {
			root = pool->nodes[root].left;
		}
	}
	return found;
}

bool range_take(struct range_pool *pool, uint32_t *root, int64_t start, int64_t length)
{
	uint32_t found = range_at(pool, *root, start);
	if (!found)
		return false;
	struct range_node *node = &pool->nodes[found];
	int64_t before = start - node->start;
	if (before >= node->length || node->length - before < length)
		return false;
	int64_t after = node->length - before - length;
	if (before == 0 && after == 0) {
		erase(pool, root, start);
	} else if (before == 0) {
		node->start += length; /* stays between its neighbours */
		node->length = after;
	} else {
		node->length = before;
		if (after > 0)
			insert(pool, root, start + length, after);
	}
	return true;
}

/* The last range that starts at or before `at`, and the first behind it, in one way down: each step is a cache miss. */
static void range_around(
	const struct range_pool *pool, uint32_t root, int64_t at, uint32_t *ret_low, uint32_t *ret_high)
{
	*ret_low = *ret_high = 0;
	while (root) {
		const struct range_node *node = &pool->nodes[root];
		if (node->start <= at) {
			*ret_low = root;
			root = node->right;
		} else {
			*ret_high = root;
			root = node->left;
		}
	}
}

bool range_put(struct range_pool *pool, uint32_t *root, int64_t start, int64_t length)
{
	int64_t end = start + length;
	uint32_t low, high;
	range_around(pool, *root, start, &low, &high);
	if (low && pool->nodes[low].start + pool->nodes[low].length > start)
		return false;
	if (high && pool->nodes[high].start < end)
		return false;
	bool joins_low = low && pool->nodes[low].start + pool->nodes[low].length == start;
	bool joins_high = high && pool->nodes[high].start == end;
	if (joins_low && joins_high) {
		int64_t rest = pool->nodes[high].length;
		erase(pool, root, end);
		pool->nodes[low].length += length + rest;
	} else if (joins_low) {
		pool->nodes[low].length += length;
	} else if (joins_high) {
		pool->nodes[high].start = start;
		pool->nodes[high].length += length;
	} else {
		insert(pool, root, start, length);
	}
	return true;
}

bool range_each(const struct range_pool *pool, uint32_t root,
	bool (*each)(void *context, int64_t start, int64_t length), void *context)
{
	if (!root)
		return true;
	const struct range_node *node = &pool->nodes[root];
	return range_each(pool, node->left, each, context) && each(context, node->start, node->length) &&
	       range_each(pool, node->right, each, context);
}
