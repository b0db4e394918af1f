/* Decides how ranges split and join: a set never holds two that touch, so the same kilograms always read the same. */
#include "ranges.h"

#include <assert.h>
#include <stdlib.h>

#include "carbond/base/map.h"
#include "carbond/base/pages.h"

bool range_pool_reserve(struct range_pool *pool, uint32_t more)
{
	if (pool->capacity - pool->used + pool->free_count > more)
		return true;
	if (pool->capacity > UINT32_MAX / 2 - more)
		return false; /* uncovered: two thousand million ranges take more memory than a test may have */
	uint32_t capacity = (pool->capacity + more + 1) * 2;
	struct range_node *nodes = realloc(pool->nodes, capacity * sizeof *nodes);
	if (!nodes)
		return false;
	pages_huge(nodes, capacity * sizeof *nodes);
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

/* ---- shape: a binary search tree by start, a heap by priority ---- */

/* Puts `node` where `old` hung below `parent`. */
static void hang(struct range_pool *pool, struct range_set *set, uint32_t parent, uint32_t old, uint32_t node)
{
	if (!parent)
		set->root = node;
	else if (pool->nodes[parent].left == old)
		pool->nodes[parent].left = node;
	else
		pool->nodes[parent].right = node;
	if (node)
		pool->nodes[node].parent = parent;
}

/* Lifts a node over its parent. */
static void lift(struct range_pool *pool, struct range_set *set, uint32_t node)
{
	struct range_node *nodes = pool->nodes;
	uint32_t below = nodes[node].parent, inner;
	hang(pool, set, nodes[below].parent, below, node);
	if (nodes[below].left == node) {
		inner = nodes[below].left = nodes[node].right;
		nodes[node].right = below;
	} else {
		inner = nodes[below].right = nodes[node].left;
		nodes[node].left = below;
	}
	if (inner)
		nodes[inner].parent = below;
	nodes[below].parent = node;
}

/* Between its neighbours `low` and `high` (0: none): one of them has room for a child on this side. */
static void insert(
	struct range_pool *pool, struct range_set *set, uint32_t low, uint32_t high, int64_t start, int64_t length)
{
	uint32_t node = node_new(pool, start, length);
	struct range_node *nodes = pool->nodes;
	if (low && !nodes[low].right) {
		nodes[low].right = node;
		nodes[node].parent = low;
	} else if (high) {
		nodes[high].left = node;
		nodes[node].parent = high;
	} else {
		set->root = node;
	}
	if (!high)
		set->last = node;
	while (nodes[node].parent && nodes[nodes[node].parent].priority < nodes[node].priority)
		lift(pool, set, node);
}

/* Joins two trees, all of `low` before all of `high`. */
static uint32_t join(struct range_pool *pool, uint32_t low, uint32_t high)
{
	if (!low || !high)
		return low ? low : high;
	struct range_node *nodes = pool->nodes;
	uint32_t child;
	if (nodes[low].priority > nodes[high].priority) {
		child = nodes[low].right = join(pool, nodes[low].right, high);
		nodes[child].parent = low;
		return low;
	}
	child = nodes[high].left = join(pool, low, nodes[high].left);
	nodes[child].parent = high;
	return high;
}

static uint32_t rightmost(const struct range_pool *pool, uint32_t node)
{
	while (pool->nodes[node].right)
		node = pool->nodes[node].right;
	return node;
}

static void erase(struct range_pool *pool, struct range_set *set, uint32_t node)
{
	const struct range_node *old = &pool->nodes[node];
	if (set->last == node)
		set->last = old->left ? rightmost(pool, old->left) : old->parent;
	hang(pool, set, old->parent, node, join(pool, old->left, old->right));
	node_free(pool, node);
}

/* The last range that starts at or before `at`, and the first behind it, in one way down: each step is a cache miss. */
static void range_around(
	const struct range_pool *pool, const struct range_set *set, int64_t at, uint32_t *ret_low, uint32_t *ret_high)
{
	*ret_low = *ret_high = 0;
	if (set->last && pool->nodes[set->last].start <= at) {
		*ret_low = set->last;
		return;
	}
	for (uint32_t root = set->root; root;) {
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

/* ---- sets ---- */

bool range_take(struct range_pool *pool, struct range_set *set, int64_t start, int64_t length)
{
	uint32_t found, high;
	range_around(pool, set, start, &found, &high);
	if (!found)
		return false;
	struct range_node *node = &pool->nodes[found];
	int64_t before = start - node->start;
	if (before >= node->length || node->length - before < length)
		return false;
	int64_t after = node->length - before - length;
	if (before == 0 && after == 0) {
		erase(pool, set, found);
	} else if (before == 0) {
		node->start += length; /* stays between its neighbours */
		node->length = after;
	} else {
		node->length = before;
		if (after > 0)
			insert(pool, set, found, high, start + length, after);
	}
	return true;
}

bool range_put(struct range_pool *pool, struct range_set *set, int64_t start, int64_t length)
{
	int64_t end = start + length;
	uint32_t low, high;
	range_around(pool, set, start, &low, &high);
	if (low && pool->nodes[low].start + pool->nodes[low].length > start)
		return false;
	if (high && pool->nodes[high].start < end)
		return false;
	bool joins_low = low && pool->nodes[low].start + pool->nodes[low].length == start;
	bool joins_high = high && pool->nodes[high].start == end;
	if (joins_low && joins_high) {
		pool->nodes[low].length += length + pool->nodes[high].length;
		erase(pool, set, high);
	} else if (joins_low) {
		pool->nodes[low].length += length;
	} else if (joins_high) {
		pool->nodes[high].start = start;
		pool->nodes[high].length += length;
	} else {
		insert(pool, set, low, high, start, length);
	}
	return true;
}

bool range_has(const struct range_pool *pool, const struct range_set *set, int64_t start, int64_t length)
{
	uint32_t found, high;
	range_around(pool, set, start, &found, &high);
	return found && length > 0 && pool->nodes[found].start + pool->nodes[found].length - start >= length;
}

static bool each_below(const struct range_pool *pool, uint32_t root,
	bool (*each)(void *context, int64_t start, int64_t length), void *context)
{
	if (!root)
		return true;
	const struct range_node *node = &pool->nodes[root];
	return each_below(pool, node->left, each, context) && each(context, node->start, node->length) &&
	       each_below(pool, node->right, each, context);
}

bool range_each(const struct range_pool *pool, const struct range_set *set,
	bool (*each)(void *context, int64_t start, int64_t length), void *context)
{
	return each_below(pool, set->root, each, context);
}

void range_prefetch(const struct range_pool *pool, const struct range_set *set)
{
	if (set->last)
		__builtin_prefetch(&pool->nodes[set->last]);
}
