/* Decides what is remembered of commands and for how long: client commands by (organisation, command id) until the horizon
 * passes the id's own time, consumers' commands by natural key for ever. The state's thread. */
#include "state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/pages.h"

void repeats_start(struct repeats *repeats, uint64_t seed)
{
	repeats->seed = seed;
	repeats->free = MAP_NONE;
	for (size_t i = 0; i < REPEAT_MINUTES; i++)
		repeats->minutes[i] = (struct minute){.first = MAP_NONE, .lowest = INT64_MAX};
}

void repeats_free(struct repeats *repeats)
{
	free(repeats->items);
	free(repeats->naturals);
	map_free(&repeats->map);
	map_free(&repeats->natural_map);
}

enum err repeats_reserve(struct repeats *repeats)
{
	if (repeats->free == MAP_NONE && repeats->used == repeats->capacity) {
		uint32_t capacity = (repeats->capacity + 64) * 2;
		struct repeat *items = realloc(repeats->items, capacity * sizeof *items);
		if (!items)
			return ERR_NO_MEMORY;
		pages_huge(items, capacity * sizeof *items);
		repeats->items = items;
		repeats->capacity = capacity;
	}
	if (repeats->natural_count == repeats->natural_capacity) {
		uint32_t capacity = (repeats->natural_capacity + 64) * 2;
		struct natural *naturals = realloc(repeats->naturals, capacity * sizeof *naturals);
		if (!naturals)
			return ERR_NO_MEMORY;
		repeats->naturals = naturals;
		repeats->natural_capacity = capacity;
	}
	return map_reserve(&repeats->map, 1) && map_reserve(&repeats->natural_map, 1) ? ERR_OK : ERR_NO_MEMORY;
}

struct repeat_key {
	struct id org, command;
};

static uint64_t repeat_hash(const struct repeats *repeats, struct id command)
{
	return map_hash_bytes(repeats->seed, &command, sizeof command);
}

static bool repeat_equal(const void *context, uint32_t item, const void *key)
{
	const struct repeat *repeat = &((const struct repeats *)context)->items[item];
	const struct repeat_key *wanted = key;
	return id_equal(repeat->command, wanted->command) && id_equal(repeat->org, wanted->org);
}

static bool other_equal(const void *context, uint32_t item, const void *key)
{
	const struct repeat *repeat = &((const struct repeats *)context)->items[item];
	const struct repeat_key *wanted = key;
	return id_equal(repeat->command, wanted->command) && !id_equal(repeat->org, wanted->org);
}

void repeats_prefetch(const struct repeats *repeats, struct id command)
{
	map_prefetch(&repeats->map, repeat_hash(repeats, command));
}

const struct repeat *repeats_find(const struct repeats *repeats, struct id org, struct id command)
{
	struct repeat_key key = {.org = org, .command = command};
	uint32_t item = map_find(&repeats->map, repeat_hash(repeats, command), repeat_equal, repeats, &key);
	return item == MAP_NONE ? NULL : &repeats->items[item];
}

bool repeats_others(const struct repeats *repeats, struct id org, struct id command)
{
	struct repeat_key key = {.org = org, .command = command};
	return map_find(&repeats->map, repeat_hash(repeats, command), other_equal, repeats, &key) != MAP_NONE;
}

static int64_t minute_of(struct id command)
{
	return id_time_us(command) / CLOCK_US_PER_MINUTE;
}

/* A place for it, in its minute's list, not yet in the index. */
static uint32_t repeat_enter(struct repeats *repeats, const struct repeat *repeat)
{
	uint32_t item = repeats->free;
	if (item == MAP_NONE) {
		assert(repeats->used < repeats->capacity);
		item = repeats->used++;
	} else {
		repeats->free = repeats->items[item].next;
	}
	int64_t number = minute_of(repeat->command);
	struct minute *minute = &repeats->minutes[(uint64_t)number % REPEAT_MINUTES];
	repeats->items[item] = *repeat;
	repeats->items[item].next = minute->first;
	minute->first = item;
	if (number < minute->lowest)
		minute->lowest = number;
	return item;
}

void repeats_put(struct repeats *repeats, const struct repeat *repeat)
{
	uint32_t item = repeat_enter(repeats, repeat);
	map_put(&repeats->map, repeat_hash(repeats, repeat->command), item);
}

int repeats_compare(const struct repeat *a, const struct repeat *b)
{
	int order = id_compare(a->org, b->org);
	return order ? order : id_compare(a->command, b->command);
}

bool repeats_restore(struct repeats *repeats, const struct repeat *repeat)
{
	if (repeats->used && repeats_compare(&repeats->items[repeats->used - 1], repeat) >= 0)
		return false;
	repeat_enter(repeats, repeat);
	return true;
}

#define INDEX_AHEAD 16

bool repeats_index(struct repeats *repeats)
{
	if (!map_reserve(&repeats->map, repeats->used))
		return false;
	for (uint32_t item = 0; item < repeats->used; item++) {
		const struct repeat *repeat = &repeats->items[item];
		if (item + INDEX_AHEAD < repeats->used)
			repeats_prefetch(repeats, repeat[INDEX_AHEAD].command);
		map_put(&repeats->map, repeat_hash(repeats, repeat->command), item);
	}
	return true;
}

bool repeats_due(const struct repeats *repeats, int64_t horizon_us)
{
	for (size_t i = 0; i < REPEAT_MINUTES; i++)
		if (repeats->minutes[i].lowest < horizon_us / CLOCK_US_PER_MINUTE)
			return true;
	return false;
}

static void minute_forget(struct repeats *repeats, struct minute *minute, int64_t horizon)
{
	uint32_t *link = &minute->first;
	minute->lowest = INT64_MAX;
	while (*link != MAP_NONE) {
		uint32_t item = *link;
		struct repeat *repeat = &repeats->items[item];
		int64_t number = minute_of(repeat->command);
		if (number >= horizon) {
			minute->lowest = number < minute->lowest ? number : minute->lowest;
			link = &repeat->next;
			continue;
		}
		*link = repeat->next;
		map_remove(&repeats->map, repeat_hash(repeats, repeat->command), item);
		repeat->command = (struct id){0};
		repeat->next = repeats->free;
		repeats->free = item;
	}
}

void repeats_forget(struct repeats *repeats, int64_t horizon_us)
{
	int64_t horizon = horizon_us / CLOCK_US_PER_MINUTE;
	for (size_t i = 0; i < REPEAT_MINUTES; i++)
		if (repeats->minutes[i].lowest < horizon)
			minute_forget(repeats, &repeats->minutes[i], horizon);
}

/* ---- natural keys ---- */

static bool natural_equal(const void *context, uint32_t item, const void *key)
{
	return memcmp(&((const struct repeats *)context)->naturals[item].key, key, sizeof(struct hash)) == 0;
}

const struct natural *natural_find(const struct repeats *repeats, struct hash key)
{
	uint32_t item = map_find(
		&repeats->natural_map, map_hash_bytes(repeats->seed, &key, sizeof key), natural_equal, repeats, &key);
	return item == MAP_NONE ? NULL : &repeats->naturals[item];
}

void natural_put(struct repeats *repeats, const struct natural *natural)
{
	assert(repeats->natural_count < repeats->natural_capacity);
	map_put(&repeats->natural_map, map_hash_bytes(repeats->seed, &natural->key, sizeof natural->key),
		repeats->natural_count);
	repeats->naturals[repeats->natural_count++] = *natural;
}
