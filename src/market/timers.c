/* Decides which timer comes first. The state's thread. */
#include "timers.h"

#include <assert.h>
#include <stdlib.h>

void timers_free(struct timers *timers)
{
	free(timers->timers);
	free(timers->heap);
	*timers = (struct timers){0};
}

bool timers_reserve(struct timers *timers, uint32_t numbers)
{
	if (numbers <= timers->capacity)
		return true;
	uint32_t capacity = numbers * 2;
	struct timer *all = realloc(timers->timers, capacity * sizeof *all);
	if (all)
		timers->timers = all;
	uint32_t *heap = all ? realloc(timers->heap, capacity * sizeof *heap) : NULL;
	if (!heap)
		return false;
	timers->heap = heap;
	for (uint32_t i = timers->capacity; i < capacity; i++)
		all[i] = (struct timer){.at_us = TIMER_NEVER};
	timers->capacity = capacity;
	return true;
}

static bool is_before(const struct timers *timers, uint32_t a, uint32_t b)
{
	const struct timer *first = &timers->timers[a], *second = &timers->timers[b];
	if (first->at_us != second->at_us)
		return first->at_us < second->at_us;
	return id_compare(first->id, second->id) < 0;
}

static void put(struct timers *timers, uint32_t place, uint32_t number)
{
	timers->heap[place - 1] = number;
	timers->timers[number].place = place;
}

static void rise(struct timers *timers, uint32_t place)
{
	uint32_t number = timers->heap[place - 1];
	for (; place > 1 && is_before(timers, number, timers->heap[place / 2 - 1]); place /= 2)
		put(timers, place, timers->heap[place / 2 - 1]);
	put(timers, place, number);
}

static void sink(struct timers *timers, uint32_t place)
{
	uint32_t number = timers->heap[place - 1];
	for (uint32_t child; (child = 2 * place) <= timers->count; place = child) {
		if (child < timers->count && is_before(timers, timers->heap[child], timers->heap[child - 1]))
			child++;
		if (!is_before(timers, timers->heap[child - 1], number))
			break;
		put(timers, place, timers->heap[child - 1]);
	}
	put(timers, place, number);
}

static void settle(struct timers *timers, uint32_t place)
{
	uint32_t number = timers->heap[place - 1];
	rise(timers, place);
	sink(timers, timers->timers[number].place);
}

static void stop(struct timers *timers, uint32_t number)
{
	uint32_t place = timers->timers[number].place, last = timers->heap[timers->count - 1];
	timers->timers[number].place = 0;
	timers->count--;
	if (last == number)
		return;
	put(timers, place, last);
	settle(timers, place);
}

void timers_set(struct timers *timers, uint32_t number, struct id id, int64_t at_us)
{
	assert(number < timers->capacity);
	struct timer *timer = &timers->timers[number];
	if (timer->place)
		stop(timers, number);
	timer->at_us = at_us;
	timer->id = id;
	if (at_us == TIMER_NEVER)
		return;
	put(timers, ++timers->count, number);
	rise(timers, timers->count);
}

bool timers_first(const struct timers *timers, uint32_t *ret_number, int64_t *ret_at_us)
{
	if (timers->count == 0)
		return false;
	*ret_number = timers->heap[0];
	*ret_at_us = timers->timers[timers->heap[0]].at_us;
	return true;
}
