/* Ordered sets of disjoint ranges, as treaps over one pool of nodes. */
#ifndef LEDGER_RANGES_H
#define LEDGER_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range_node {
	int64_t start, length;
	uint32_t left, right, parent; /* 0: none */
	uint32_t priority;
};

struct range_pool {
	struct range_node *nodes; /* [0] is not used */
	uint32_t used, capacity;
	uint32_t free; /* list through `left` */
	uint32_t free_count;
};

/* One set; zeroed: empty. Serials come mostly in ascending order, so the last range is at hand. */
struct range_set {
	uint32_t root, last;
};

bool range_pool_reserve(struct range_pool *pool, uint32_t more);
void range_pool_free(struct range_pool *pool);

/* Takes [start, start + length) out; false where the set does not hold all of it. Needs one reserved node. */
bool range_take(struct range_pool *pool, struct range_set *set, int64_t start, int64_t length);
/* Puts [start, start + length) in, joined with its neighbours; false where it overlaps. Needs one reserved node. */
bool range_put(struct range_pool *pool, struct range_set *set, int64_t start, int64_t length);
/* Whether the set holds all of [start, start + length). */
bool range_has(const struct range_pool *pool, const struct range_set *set, int64_t start, int64_t length);
/* In order of start until `each` returns false. */
bool range_each(const struct range_pool *pool, const struct range_set *set,
	bool (*each)(void *context, int64_t start, int64_t length), void *context);
/* Says that range_put at the end of the set comes soon. */
void range_prefetch(const struct range_pool *pool, const struct range_set *set);

#endif
