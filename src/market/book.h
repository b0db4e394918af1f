/* The book: orders that rest, in the order in which they are matched. It has no policy: what may rest, what trades and who is
 * told decides its caller.
 *
 * A *ladder* is one side of one class or instrument: price levels in order of priority, each a queue of orders by rank. All
 * ladders share one pool of orders, one of levels and one of nodes, so a thousand thin ladders cost what their orders cost.
 * An order is found by its number, a level by its ladder and price, in hash indexes. A ladder's B+ tree says what a new level's
 * neighbours are; levels in order are linked. Memory is reserved before a change; the change itself cannot fail.
 * The thread that owns the book. */
#ifndef MARKET_BOOK_H
#define MARKET_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum book_side {
	BOOK_ASK, /* lowest price first */
	BOOK_BID, /* highest price first */
};

/* An order in its ladder. Where it rests only book_cut and book_move change what places it: rank, price, kg and ladder. */
struct book_order {
	uint64_t number; /* unique among those that rest */
	uint64_t rank;   /* priority among equal prices: smaller first; unique within a ladder */
	int64_t price;   /* above 0, below INT64_MAX; in which unit is the caller's */
	int64_t kg;      /* above 0: what can be matched before it loses its place */
	uint32_t org;    /* the caller's, like the next */
	uint32_t detail;
	uint32_t ladder;
	uint32_t flags;          /* the caller's */
	uint32_t level;          /* the book's own, like the next */
	uint32_t previous, next; /* in its level; 0: none */
};

/* All orders of one price in one ladder; open while it has any. */
struct book_level {
	int64_t key; /* the price, negative on the bid side: smaller is better */
	int64_t kg;  /* of all its orders */
	uint32_t head, tail;
	uint32_t orders;
	uint32_t ladder;
	uint32_t previous, next; /* the open levels with better and with worse prices; 0: none */
};

struct book_ladder {
	int64_t best_key; /* of its first level, as book_level has it; INT64_MAX: none */
	uint32_t best;    /* that level; 0: none */
	uint32_t root;    /* of its tree */
	enum book_side side;
};

struct book_node;

/* A hash index of a pool: linear probing, at most half full. */
struct book_index {
	struct book_place {
		uint32_t tag;  /* of what lies there: half of what it is found by */
		uint32_t item; /* its number in the pool; 0: free */
	} * places;
	uint32_t capacity; /* a power of two */
	unsigned shift;    /* 64 less its bits */
};

struct book {
	struct book_order *orders; /* [0] of the pools is not used */
	struct book_level *levels;
	struct book_node *nodes;
	struct book_ladder *ladders;
	struct book_index by_number, by_price; /* of orders, of levels */
	uint32_t order_count, order_used, order_capacity, order_free;
	uint32_t level_count, level_used, level_capacity, level_free;
	uint32_t node_count, node_used, node_capacity, node_free;
	uint32_t ladder_count, ladder_capacity;
	uint32_t room;        /* puts and moves for which there is memory, whatever is taken out between them */
	uint32_t ladder_room; /* ladders likewise */
	uint64_t seed;
	bool finds;
};

/* An empty book without a ladder; `seed` spreads numbers and prices over the indexes. `finds`: orders are found by their number
 * (book_find); a caller that keeps their slots does without that index. NULL without memory. */
struct book *book_new(uint64_t seed, bool finds);
void book_free(struct book **book);

/* A ladder without orders, for which there is room; returns its number, which counts from 0. */
uint32_t book_ladder_add(struct book *book, enum book_side side);

/* Puts an order into order->ladder behind those of its price with smaller ranks: at once where it is the first or the last of
 * its level, else by walking from both ends (an undo puts back what stood in between). There is room for it. Returns its slot,
 * which stays while it rests, and is never 0. */
uint32_t book_put(struct book *book, const struct book_order *order);
/* Takes an order out. */
void book_take(struct book *book, uint32_t slot);
/* Takes kg of an order's (or gives it -kg); some must be left. It keeps its place. */
void book_cut(struct book *book, uint32_t slot, int64_t kg);
/* As book_take and book_put with another price, rank and kg, but the slot stays and is not looked for. */
void book_move(struct book *book, uint32_t slot, int64_t price, uint64_t rank, int64_t kg);

/* The slot of the order with this number, or 0. Of a book that finds. */
uint32_t book_find(const struct book *book, uint64_t number);

/* What of an order is on its way from memory. */
enum book_prefetch {
	BOOK_PREFETCH_PLACE,      /* where it lies; what book_put of a new number needs */
	BOOK_PREFETCH_ORDER,      /* the order itself, once its place is there */
	BOOK_PREFETCH_NEIGHBOURS, /* those before and behind it, once it is there: what taking it needs */
};
/* Says that the order with this number is asked for soon. Of a book that finds. */
void book_prefetch(const struct book *book, uint64_t number, enum book_prefetch what);
/* The last two of it for the order in this slot. */
void book_prefetch_slot(const struct book *book, uint32_t slot, enum book_prefetch what);

/* The levels of a ladder in order of priority until `each` returns false, which is then returned. */
bool book_levels(const struct book *book, uint32_t ladder,
	bool (*each)(void *context, int64_t price, int64_t kg, uint32_t orders), void *context);

/* Bytes of the pools, as far as they were ever used, and of the indexes. */
size_t book_bytes(const struct book *book);

/* As book_reserve, which knows when it need not be asked. */
bool book_reserve_more(struct book *book, size_t orders, size_t ladders);

/* Room for so many puts and moves, those of an undo among them, each of which may open a level, and for further ladders; false
 * without memory, what the book holds then unchanged. Pointers into the book do not outlive it. */
static inline bool book_reserve(struct book *book, size_t orders, size_t ladders)
{
	return (orders <= book->room && ladders <= book->ladder_room) || book_reserve_more(book, orders, ladders);
}

static inline struct book_order *book_at(const struct book *book, uint32_t slot)
{
	return &book->orders[slot];
}

/* The slot of the order that is matched first in this ladder, or 0. */
static inline uint32_t book_best(const struct book *book, uint32_t ladder)
{
	uint32_t level = book->ladders[ladder].best;
	return level ? book->levels[level].head : 0;
}

/* The best price of a ladder, negative on the bid side; INT64_MAX: it is empty. */
static inline int64_t book_best_key(const struct book *book, uint32_t ladder)
{
	return book->ladders[ladder].best_key;
}

/* The slot of the order that comes after this one in its ladder, or 0. */
static inline uint32_t book_next(const struct book *book, uint32_t slot)
{
	const struct book_order *order = &book->orders[slot];
	if (order->next)
		return order->next;
	uint32_t level = book->levels[order->level].next;
	return level ? book->levels[level].head : 0;
}

#endif
