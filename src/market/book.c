/* Decides where an order rests and what comes before it. The thread that owns the book. */
#include "book.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/pages.h"

static_assert(sizeof(struct book_order) == 64, "an order is one line of the processor's cache");

#define NODE_KEYS  32
#define GROUP_KEYS 8
#define HEIGHT_MAX 16 /* a root splits only after 16 times as many levels were opened as for the split before */
#define PLACES_MIN 16
/* Room that is made at least: how seldom book_reserve has to look. */
#define ROOM_MIN        256
#define LADDER_ROOM_MIN 16
#define GOLDEN          UINT64_C(0x9e3779b97f4a7c15) /* 2^64 by the golden ratio: neighbours lie far apart */

/* A node of a ladder's tree. Keys ascend; child i of an inner node has the keys from keys[i] on up to the next; its first key is
 * INT64_MIN. A node is freed when it is empty, not before: prices come back. */
struct book_node {
	uint16_t count;
	uint16_t height; /* 0: a leaf, whose children are levels */
	uint32_t next_free;
	int64_t keys[NODE_KEYS]; /* behind the last: INT64_MAX */
	uint32_t children[NODE_KEYS];
};

/* ---- indexes ---- */

static uint32_t index_home(const struct book_index *index, uint32_t tag)
{
	return (uint32_t)(tag * GOLDEN >> index->shift);
}

static void index_put(struct book_index *index, uint32_t tag, uint32_t item)
{
	uint32_t at = index_home(index, tag), mask = index->capacity - 1;
	while (index->places[at].item)
		at = (at + 1) & mask;
	index->places[at] = (struct book_place){.tag = tag, .item = item};
}

static void index_remove(struct book_index *index, uint32_t tag, uint32_t item)
{
	uint32_t at = index_home(index, tag), mask = index->capacity - 1;
	while (index->places[at].item != item) {
		assert(index->places[at].item);
		at = (at + 1) & mask;
	}
	/* what follows moves back where that brings it nearer to its own place */
	for (uint32_t next = (at + 1) & mask; index->places[next].item; next = (next + 1) & mask) {
		uint32_t home = index_home(index, index->places[next].tag);
		if (((next - home) & mask) >= ((next - at) & mask)) {
			index->places[at] = index->places[next];
			at = next;
		}
	}
	index->places[at].item = 0;
}

static bool index_reserve(struct book_index *index, size_t items)
{
	size_t capacity = index->capacity ? index->capacity : PLACES_MIN;
	while (items * 2 > capacity)
		capacity *= 2;
	if (capacity == index->capacity)
		return true;
	struct book_index before = *index;
	struct book_place *places = calloc(capacity, sizeof *places);
	if (!places)
		return false;
	pages_huge(places, capacity * sizeof *places);
	*index = (struct book_index){
		.places = places, .capacity = (uint32_t)capacity, .shift = (unsigned)__builtin_clzll(capacity) + 1};
	for (size_t i = 0; i < before.capacity; i++)
		if (before.places[i].item)
			index_put(index, before.places[i].tag, before.places[i].item);
	free(before.places);
	return true;
}

static uint32_t number_tag(const struct book *book, uint64_t number)
{
	return (uint32_t)(number ^ book->seed);
}

/* Of a level: whoever places orders chooses prices. */
static uint32_t price_tag(const struct book *book, uint32_t ladder, int64_t key)
{
	uint64_t mixed = ((uint64_t)key ^ book->seed) * GOLDEN;
	mixed = (mixed ^ mixed >> 32 ^ ladder) * UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(mixed >> 32);
}

/* ---- memory ---- */

struct book *book_new(uint64_t seed, bool finds)
{
	struct book *book = calloc(1, sizeof *book);
	if (!book)
		return NULL;
	book->seed = seed;
	book->finds = finds;
	book->order_used = book->level_used = book->node_used = 1;
	return book;
}

void book_free(struct book **book)
{
	if (!*book)
		return;
	free((*book)->orders);
	free((*book)->levels);
	free((*book)->nodes);
	free((*book)->ladders);
	free((*book)->by_number.places);
	free((*book)->by_price.places);
	free(*book);
	*book = NULL;
}

size_t book_bytes(const struct book *book)
{
	return sizeof *book + (size_t)book->order_used * sizeof *book->orders +
	       (size_t)book->level_used * sizeof *book->levels + (size_t)book->node_used * sizeof *book->nodes +
	       (size_t)book->ladder_count * sizeof *book->ladders +
	       ((size_t)book->by_number.capacity + book->by_price.capacity) * sizeof(struct book_place);
}

/* An array with room for `wanted` items, and more than before by half where it grows; NULL without memory. */
static void *grown(void *array, uint32_t *capacity, size_t wanted, size_t size)
{
	if (wanted <= *capacity)
		return array;
	size_t more = (size_t)*capacity + *capacity / 2;
	more = more < wanted ? wanted : more;
	if (more > UINT32_MAX / 2)
		return NULL; /* uncovered: two thousand million orders take more memory than a test may have */
	array = realloc(array, more * size);
	if (!array)
		return NULL;
	pages_huge(array, more * size);
	*capacity = (uint32_t)more;
	return array;
}

/* Only a full node splits; one that came of a split takes half its keys first, and a root that splits makes one more. */
static size_t nodes_wanted(const struct book *book, size_t orders)
{
	size_t full = orders * HEIGHT_MAX < book->node_count ? orders * HEIGHT_MAX : book->node_count;
	return 1 + (size_t)book->node_count + 2 * (full + orders / (NODE_KEYS / 2 - 1) + 1);
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

bool book_reserve_more(struct book *book, size_t orders, size_t ladders)
{
	/* what was promised stays, and more than was asked for is there next time */
	orders = larger(orders + ROOM_MIN, book->room);
	ladders = larger(ladders + LADDER_ROOM_MIN, book->ladder_room);
	if (orders > UINT32_MAX / 4 || ladders > UINT32_MAX / 4)
		return false;
	void *array = grown(book->orders, &book->order_capacity, 1 + book->order_count + orders, sizeof *book->orders);
	if (!array)
		return false;
	book->orders = array;
	array = grown(book->levels, &book->level_capacity, 1 + book->level_count + orders, sizeof *book->levels);
	if (!array)
		return false;
	book->levels = array;
	array = grown(book->nodes, &book->node_capacity, nodes_wanted(book, orders) + ladders, sizeof *book->nodes);
	if (!array)
		return false;
	book->nodes = array;
	array = grown(book->ladders, &book->ladder_capacity, 1 + book->ladder_count + ladders, sizeof *book->ladders);
	if (!array)
		return false;
	book->ladders = array;
	if ((book->finds && !index_reserve(&book->by_number, book->order_count + orders)) ||
		!index_reserve(&book->by_price, book->level_count + orders))
		return false;
	book->room = (uint32_t)orders;
	book->ladder_room = (uint32_t)ladders;
	return true;
}

/* ---- a ladder's tree ---- */

static uint32_t node_new(struct book *book, uint16_t height)
{
	uint32_t node = book->node_free;
	if (node) {
		book->node_free = book->nodes[node].next_free;
	} else {
		assert(book->node_used < book->node_capacity);
		node = book->node_used++;
	}
	book->nodes[node].count = 0;
	book->nodes[node].height = height;
	for (unsigned i = 0; i < NODE_KEYS; i++)
		book->nodes[node].keys[i] = INT64_MAX;
	book->node_count++;
	return node;
}

static void node_free(struct book *book, uint32_t node)
{
	book->nodes[node].next_free = book->node_free;
	book->node_free = node;
	book->node_count--;
}

/* How many of the node's keys are at most `key`: counted in two steps, since no branch would be foreseen. */
static unsigned node_rank(const struct book_node *node, int64_t key)
{
	unsigned group = 0, rank = 0;
	for (unsigned i = 1; i < NODE_KEYS / GROUP_KEYS; i++)
		group += node->keys[i * GROUP_KEYS - 1] <= key;
	for (unsigned i = 0; i < GROUP_KEYS; i++)
		rank += node->keys[group * GROUP_KEYS + i] <= key;
	return group * GROUP_KEYS + rank;
}

/* Which child of an inner node has this key. */
static unsigned node_child(const struct book_node *node, int64_t key)
{
	return node_rank(node, key) - 1;
}

static void node_insert(struct book_node *node, unsigned at, int64_t key, uint32_t child)
{
	memmove(&node->keys[at + 1], &node->keys[at], (node->count - at) * sizeof *node->keys);
	memmove(&node->children[at + 1], &node->children[at], (node->count - at) * sizeof *node->children);
	node->keys[at] = key;
	node->children[at] = child;
	node->count++;
}

static void node_remove(struct book_node *node, unsigned at)
{
	node->count--;
	memmove(&node->keys[at], &node->keys[at + 1], (node->count - at) * sizeof *node->keys);
	node->keys[node->count] = INT64_MAX;
	memmove(&node->children[at], &node->children[at + 1], (node->count - at) * sizeof *node->children);
	if (node->height > 0)
		node->keys[0] = INT64_MIN;
}

/* Moves the upper half of child `at`, which is full, to a new child behind it; the parent is not full. */
static void node_split(struct book *book, uint32_t parent, unsigned at)
{
	uint32_t left = book->nodes[parent].children[at], right = node_new(book, book->nodes[left].height);
	struct book_node *from = &book->nodes[left], *to = &book->nodes[right];
	from->count = to->count = NODE_KEYS / 2;
	memcpy(to->keys, from->keys + NODE_KEYS / 2, sizeof from->keys / 2);
	memcpy(to->children, from->children + NODE_KEYS / 2, sizeof from->children / 2);
	for (unsigned i = NODE_KEYS / 2; i < NODE_KEYS; i++)
		from->keys[i] = INT64_MAX;
	node_insert(&book->nodes[parent], at + 1, to->keys[0], right);
	if (to->height > 0)
		to->keys[0] = INT64_MIN;
}

/* The leaf of this ladder in which the key belongs, with room for it: full nodes on the way are split. */
static uint32_t leaf_for(struct book *book, struct book_ladder *ladder, int64_t key)
{
	uint32_t at = ladder->root;
	if (book->nodes[at].count == NODE_KEYS) {
		ladder->root = node_new(book, (uint16_t)(book->nodes[at].height + 1));
		assert(book->nodes[ladder->root].height < HEIGHT_MAX);
		node_insert(&book->nodes[ladder->root], 0, INT64_MIN, at);
		node_split(book, ladder->root, 0);
		at = ladder->root;
	}
	while (book->nodes[at].height > 0) {
		unsigned child = node_child(&book->nodes[at], key);
		if (book->nodes[book->nodes[at].children[child]].count == NODE_KEYS) {
			node_split(book, at, child);
			child += book->nodes[at].keys[child + 1] <= key;
		}
		at = book->nodes[at].children[child];
	}
	return at;
}

static void tree_remove(struct book *book, struct book_ladder *ladder, int64_t key)
{
	uint32_t path[HEIGHT_MAX], at = ladder->root;
	unsigned child[HEIGHT_MAX], depth = 0;
	for (; book->nodes[at].height > 0; depth++) {
		path[depth] = at;
		child[depth] = node_child(&book->nodes[at], key);
		at = book->nodes[at].children[child[depth]];
	}
	unsigned rank = node_rank(&book->nodes[at], key);
	assert(rank && book->nodes[at].keys[rank - 1] == key);
	node_remove(&book->nodes[at], rank - 1);
	while (depth-- > 0 && book->nodes[at].count == 0) {
		node_free(book, at);
		at = path[depth];
		node_remove(&book->nodes[at], child[depth]);
	}
	while (book->nodes[ladder->root].height > 0 && book->nodes[ladder->root].count == 1) {
		uint32_t only = book->nodes[ladder->root].children[0];
		node_free(book, ladder->root);
		ladder->root = only;
	}
}

/* ---- levels ---- */

static int64_t key_of(const struct book_ladder *ladder, int64_t price)
{
	return ladder->side == BOOK_BID ? -price : price;
}

static uint32_t level_new(struct book *book)
{
	uint32_t level = book->level_free;
	if (level) {
		book->level_free = book->levels[level].next;
	} else {
		assert(book->level_used < book->level_capacity);
		level = book->level_used++;
	}
	book->level_count++;
	return level;
}

static uint32_t level_open(struct book *book, uint32_t number, int64_t key, uint32_t tag)
{
	struct book_ladder *ladder = &book->ladders[number];
	struct book_node *leaf = &book->nodes[leaf_for(book, ladder, key)];
	unsigned rank = node_rank(leaf, key);
	uint32_t opened = level_new(book), before, behind;
	if (rank) {
		before = leaf->children[rank - 1];
		behind = book->levels[before].next;
	} else {
		behind = leaf->count ? leaf->children[0] : 0;
		before = behind ? book->levels[behind].previous : 0;
	}
	book->levels[opened] = (struct book_level){.key = key, .ladder = number, .previous = before, .next = behind};
	*(before ? &book->levels[before].next : &ladder->best) = opened;
	if (!before)
		ladder->best_key = key;
	if (behind)
		book->levels[behind].previous = opened;
	node_insert(leaf, rank, key, opened);
	assert(book->level_count * 2 <= book->by_price.capacity);
	index_put(&book->by_price, tag, opened);
	return opened;
}

static void level_close(struct book *book, uint32_t closed)
{
	struct book_level *level = &book->levels[closed];
	struct book_ladder *ladder = &book->ladders[level->ladder];
	*(level->previous ? &book->levels[level->previous].next : &ladder->best) = level->next;
	if (!level->previous)
		ladder->best_key = level->next ? book->levels[level->next].key : INT64_MAX;
	if (level->next)
		book->levels[level->next].previous = level->previous;
	tree_remove(book, ladder, level->key);
	index_remove(&book->by_price, price_tag(book, level->ladder, level->key), closed);
	level->next = book->level_free;
	book->level_free = closed;
	book->level_count--;
}

/* The ladder's level of this price, opened where there is none. */
static uint32_t level_at(struct book *book, uint32_t ladder, int64_t price)
{
	assert(ladder < book->ladder_count && price > 0 && price < INT64_MAX);
	int64_t key = key_of(&book->ladders[ladder], price);
	uint32_t tag = price_tag(book, ladder, key);
	const struct book_index *index = &book->by_price;
	for (uint32_t at = index_home(index, tag); index->places[at].item; at = (at + 1) & (index->capacity - 1)) {
		uint32_t level = index->places[at].item;
		if (index->places[at].tag == tag && book->levels[level].key == key &&
			book->levels[level].ladder == ladder)
			return level;
	}
	return level_open(book, ladder, key, tag);
}

/* ---- orders ---- */

/* The order of this level behind which this rank belongs, or 0. */
static uint32_t behind_of(const struct book *book, const struct book_level *level, uint64_t rank)
{
	uint32_t back = level->tail, front = level->head;
	if (!back || book->orders[back].rank < rank)
		return back;
	if (rank < book->orders[front].rank)
		return 0;
	while (book->orders[back].rank > rank && book->orders[front].rank < rank) {
		back = book->orders[back].previous;
		front = book->orders[front].next;
	}
	return book->orders[back].rank < rank ? back : book->orders[front].previous;
}

static void link_in(struct book *book, uint32_t slot, uint32_t at)
{
	struct book_order *order = &book->orders[slot];
	struct book_level *level = &book->levels[at];
	order->level = at;
	order->previous = behind_of(book, level, order->rank);
	order->next = order->previous ? book->orders[order->previous].next : level->head;
	*(order->previous ? &book->orders[order->previous].next : &level->head) = slot;
	*(order->next ? &book->orders[order->next].previous : &level->tail) = slot;
	level->orders++;
	level->kg += order->kg;
}

static void link_out(struct book *book, uint32_t slot)
{
	struct book_order *order = &book->orders[slot];
	struct book_level *level = &book->levels[order->level];
	*(order->previous ? &book->orders[order->previous].next : &level->head) = order->next;
	*(order->next ? &book->orders[order->next].previous : &level->tail) = order->previous;
	level->kg -= order->kg;
	if (--level->orders == 0)
		level_close(book, order->level);
}

uint32_t book_ladder_add(struct book *book, enum book_side side)
{
	assert(book->ladder_room > 0);
	book->ladder_room--;
	book->ladders[book->ladder_count] =
		(struct book_ladder){.best_key = INT64_MAX, .root = node_new(book, 0), .side = side};
	return book->ladder_count++;
}

uint32_t book_put(struct book *book, const struct book_order *order)
{
	assert(order->kg > 0 && book->room > 0);
	book->room--;
	uint32_t slot = book->order_free;
	if (slot) {
		book->order_free = book->orders[slot].next;
	} else {
		assert(book->order_used < book->order_capacity);
		slot = book->order_used++;
	}
	book->orders[slot] = *order;
	book->order_count++;
	assert(!book->finds || book->order_count * 2 <= book->by_number.capacity);
	if (book->finds)
		index_put(&book->by_number, number_tag(book, order->number), slot);
	link_in(book, slot, level_at(book, order->ladder, order->price));
	return slot;
}

void book_take(struct book *book, uint32_t slot)
{
	link_out(book, slot);
	if (book->finds)
		index_remove(&book->by_number, number_tag(book, book->orders[slot].number), slot);
	book->orders[slot].next = book->order_free;
	book->order_free = slot;
	book->order_count--;
}

void book_cut(struct book *book, uint32_t slot, int64_t kg)
{
	struct book_order *order = &book->orders[slot];
	order->kg -= kg;
	assert(order->kg > 0);
	book->levels[order->level].kg -= kg;
}

void book_move(struct book *book, uint32_t slot, int64_t price, uint64_t rank, int64_t kg)
{
	assert(kg > 0 && book->room > 0);
	book->room--;
	struct book_order *order = &book->orders[slot];
	link_out(book, slot);
	order->price = price;
	order->rank = rank;
	order->kg = kg;
	link_in(book, slot, level_at(book, order->ladder, price));
}

uint32_t book_find(const struct book *book, uint64_t number)
{
	const struct book_index *index = &book->by_number;
	if (!index->capacity)
		return 0;
	uint32_t tag = number_tag(book, number);
	for (uint32_t at = index_home(index, tag); index->places[at].item; at = (at + 1) & (index->capacity - 1))
		if (index->places[at].tag == tag && book->orders[index->places[at].item].number == number)
			return index->places[at].item;
	return 0;
}

void book_prefetch(const struct book *book, uint64_t number, enum book_prefetch what)
{
	const struct book_index *index = &book->by_number;
	if (!index->capacity)
		return;
	uint32_t home = index_home(index, number_tag(book, number));
	if (what == BOOK_PREFETCH_PLACE) {
		__builtin_prefetch(&index->places[home]);
		return;
	}
	book_prefetch_slot(book, index->places[home].item, what); /* mostly the one */
}

void book_prefetch_slot(const struct book *book, uint32_t slot, enum book_prefetch what)
{
	if (what == BOOK_PREFETCH_ORDER) {
		__builtin_prefetch(&book->orders[slot]);
		return;
	}
	__builtin_prefetch(&book->orders[book->orders[slot].previous]);
	__builtin_prefetch(&book->orders[book->orders[slot].next]);
	__builtin_prefetch(&book->levels[book->orders[slot].level]);
}

bool book_levels(const struct book *book, uint32_t ladder,
	bool (*each)(void *context, int64_t price, int64_t kg, uint32_t orders), void *context)
{
	assert(ladder < book->ladder_count);
	for (uint32_t at = book->ladders[ladder].best; at; at = book->levels[at].next) {
		const struct book_level *level = &book->levels[at];
		int64_t price = book->ladders[ladder].side == BOOK_BID ? -level->key : level->key;
		if (!each(context, price, level->kg, level->orders))
			return false;
	}
	return true;
}
