/* Timers: when each of many things is due next, the earliest first; of the same time the one with the smaller id. A binary heap
 * over numbers that its owner gives, each with a place, so that a timer is set, moved or stopped in logarithmic time. */
#ifndef MARKET_TIMERS_H
#define MARKET_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#include "carbond/base/id.h"

#define TIMER_NEVER INT64_MAX
#define TIMER_NOW   0

struct timer {
	int64_t at_us;
	struct id id;
	uint32_t place; /* in the heap, from 1; 0: it is stopped */
};

struct timers {
	struct timer *timers; /* by number */
	uint32_t *heap;       /* numbers */
	uint32_t count, capacity;
};

void timers_free(struct timers *timers);
/* Room for the numbers below `numbers`; false without memory. */
bool timers_reserve(struct timers *timers, uint32_t numbers);
/* When number `number`, whose id is this, is due: TIMER_NEVER stops it. There is room. */
void timers_set(struct timers *timers, uint32_t number, struct id id, int64_t at_us);
/* The number that is due first, and when; false: none is. */
bool timers_first(const struct timers *timers, uint32_t *ret_number, int64_t *ret_at_us);

#endif
