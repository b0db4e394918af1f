/* One stream of order-book commands for every engine that is compared: 9 % GTC limit, 3 % IOC crossing, 6 % cancel, 82 % move,
 * about `resting` live orders over some 750 price levels, one instrument. A ladder inside the generator matches by price and time,
 * so that cancels and moves name orders that are alive: a correct engine answers every command with success and the same fills.
 * "Move" gives the order a new price and quantity, loses priority, and trades if it crosses. Prices and quantities are plain integers. */
#ifndef ORDER_STREAM_H
#define ORDER_STREAM_H
#include <stdint.h>
#include <stdlib.h>

enum { ORDER_ADD, ORDER_IOC, ORDER_CANCEL, ORDER_MOVE };
struct order_command {
	uint64_t id;
	uint32_t price, qty;
	uint8_t op, buy;
};
struct order_stream {
	struct order_command *commands;
	size_t count, warmup;
	uint64_t fills, filled_qty, resting_orders, resting_qty;
};

#define OS_LEVELS 2048
#define OS_BASE   100000u
struct os_node {
	uint32_t prev, next, level, qty, alive_at;
	uint8_t buy;
};
struct os_book {
	struct os_node *n;
	uint32_t head[2][OS_LEVELS], tail[2][OS_LEVELS], *alive;
	size_t alive_count;
	uint64_t seed, fills, filled;
	uint32_t best_bid, best_ask;
};

static inline uint64_t os_random(struct os_book *b)
{
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 7;
	b->seed ^= b->seed << 17;
	return b->seed;
}
static inline void os_unlink(struct os_book *b, uint32_t id)
{
	struct os_node *x = &b->n[id];
	if (x->prev)
		b->n[x->prev].next = x->next;
	else
		b->head[x->buy][x->level] = x->next;
	if (x->next)
		b->n[x->next].prev = x->prev;
	else
		b->tail[x->buy][x->level] = x->prev;
	b->alive[x->alive_at] = b->alive[--b->alive_count];
	b->n[b->alive[x->alive_at]].alive_at = x->alive_at;
}
static inline void os_link(struct os_book *b, uint32_t id)
{
	struct os_node *x = &b->n[id];
	x->next = 0;
	x->prev = b->tail[x->buy][x->level];
	if (x->prev)
		b->n[x->prev].next = id;
	else
		b->head[x->buy][x->level] = id;
	b->tail[x->buy][x->level] = id;
	x->alive_at = (uint32_t)b->alive_count;
	b->alive[b->alive_count++] = id;
	if (x->buy ? x->level > b->best_bid : x->level < b->best_ask) {
		if (x->buy)
			b->best_bid = x->level;
		else
			b->best_ask = x->level;
	}
}
static inline void os_settle(struct os_book *b)
{
	while (b->best_bid > 0 && !b->head[1][b->best_bid])
		b->best_bid--;
	while (b->best_ask < OS_LEVELS - 1 && !b->head[0][b->best_ask])
		b->best_ask++;
}
static inline uint32_t os_match(struct os_book *b, int buy, uint32_t level, uint32_t qty)
{
	for (;;) {
		os_settle(b);
		uint32_t at = buy ? b->best_ask : b->best_bid, id = b->head[!buy][at];
		if (!qty || !id || (buy ? at > level : at < level))
			return qty;
		uint32_t take = b->n[id].qty < qty ? b->n[id].qty : qty;
		b->fills++;
		b->filled += take;
		qty -= take;
		b->n[id].qty -= take;
		if (!b->n[id].qty)
			os_unlink(b, id);
	}
}
static inline struct order_stream order_stream_make(size_t count, size_t resting, uint64_t seed)
{
	struct order_stream s = {0};
	struct os_book b = {0};
	size_t most = count + resting + 2;
	uint32_t last = 0;
	b.seed = seed ? seed : 1;
	b.best_ask = OS_LEVELS - 1;
	b.n = (struct os_node *)calloc(most, sizeof *b.n);
	b.alive = (uint32_t *)calloc(most, sizeof *b.alive);
	s.commands = (struct order_command *)calloc(count + resting, sizeof *s.commands);
	s.warmup = resting;
	while (s.count < count + resting) {
		unsigned r = s.count < resting ? 0 : (unsigned)(os_random(&b) % 100);
		if (r >= 9 && !b.alive_count)
			r = 0;
		if (r < 9 && b.alive_count > resting + resting / 8)
			r = 12;
		else if (r >= 12 && r < 18 && b.alive_count < resting - resting / 8)
			r = 0;
		struct order_command c = {0};
		if (r < 9 || (r < 12)) {
			c.buy = os_random(&b) & 1;
			c.qty = 1 + (uint32_t)(os_random(&b) % (r < 9 ? 100 : 150));
			c.id = ++last;
			uint32_t d = 1 + (uint32_t)(os_random(&b) % 375), reach = (uint32_t)(os_random(&b) % 8), level;
			os_settle(&b);
			if (r < 9) {
				c.op = ORDER_ADD;
				level = c.buy ? OS_LEVELS / 2 - d : OS_LEVELS / 2 + d;
			} else {
				c.op = ORDER_IOC;
				level = c.buy ? b.best_ask + reach : b.best_bid - (b.best_bid > reach ? reach : 0);
				if (level >= OS_LEVELS)
					level = OS_LEVELS - 1;
			}
			c.price = OS_BASE + level;
			uint32_t rest = os_match(&b, c.buy, level, c.qty);
			b.n[last] = (struct os_node){.level = level, .qty = rest, .buy = c.buy};
			if (c.op == ORDER_ADD && rest)
				os_link(&b, last);
		} else {
			uint32_t id = b.alive[os_random(&b) % b.alive_count];
			c.id = id;
			c.buy = b.n[id].buy;
			os_unlink(&b, id);
			if (r < 18)
				c.op = ORDER_CANCEL;
			else {
				uint32_t d = 1 + (uint32_t)(os_random(&b) % 375);
				int cross = os_random(&b) % 50 == 0;
				os_settle(&b);
				uint32_t level = c.buy ? OS_LEVELS / 2 - d : OS_LEVELS / 2 + d;
				if (cross)
					level = c.buy ? b.best_ask : b.best_bid;
				c.op = ORDER_MOVE;
				c.qty = 1 + (uint32_t)(os_random(&b) % 100);
				c.price = OS_BASE + level;
				b.n[id].level = level;
				b.n[id].qty = os_match(&b, c.buy, level, c.qty);
				if (b.n[id].qty)
					os_link(&b, id);
			}
		}
		s.commands[s.count++] = c;
	}
	s.fills = b.fills;
	s.filled_qty = b.filled;
	s.resting_orders = b.alive_count;
	for (size_t i = 0; i < b.alive_count; i++)
		s.resting_qty += b.n[b.alive[i]].qty;
	free(b.n);
	free(b.alive);
	return s;
}
#endif
