/* Decides where items of a hash index lie: linear probing at most half full. The thread that owns the map. */
#include "carbond/base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/pages.h"

#define SLOTS_MIN 16

void map_free(struct map *map)
{
	free(map->slots);
	*map = (struct map){0};
}

static void slot_put(struct map_slot *slots, size_t capacity, uint64_t hash, uint32_t item)
{
	size_t at = (size_t)hash & (capacity - 1);
	while (slots[at].item != MAP_NONE)
		at = (at + 1) & (capacity - 1);
	slots[at] = (struct map_slot){.hash = hash, .item = item};
}

bool map_reserve_more(struct map *map, size_t more)
{
	size_t capacity = map->capacity ? map->capacity : SLOTS_MIN;
	while ((map->count + more) * 2 > capacity)
		capacity *= 2;
	struct map_slot *slots = malloc(capacity * sizeof *slots);
	if (!slots)
		return false;
	pages_huge(slots, capacity * sizeof *slots);
	for (size_t i = 0; i < capacity; i++)
		slots[i] = (struct map_slot){.item = MAP_NONE};
	for (size_t i = 0; i < map->capacity; i++)
		if (map->slots[i].item != MAP_NONE)
			slot_put(slots, capacity, map->slots[i].hash, map->slots[i].item);
	free(map->slots);
	map->slots = slots;
	map->capacity = capacity;
	return true;
}

void map_prefetch(const struct map *map, uint64_t hash)
{
	if (map->capacity)
		__builtin_prefetch(&map->slots[(size_t)hash & (map->capacity - 1)]);
}

uint32_t map_guess(const struct map *map, uint64_t hash)
{
	const struct map_slot *slot = map->capacity ? &map->slots[(size_t)hash & (map->capacity - 1)] : NULL;
	return slot && slot->hash == hash ? slot->item : MAP_NONE;
}

uint32_t map_find(const struct map *map, uint64_t hash,
	bool (*equal)(const void *context, uint32_t item, const void *key), const void *context, const void *key)
{
	if (!map->capacity)
		return MAP_NONE;
	size_t mask = map->capacity - 1;
	for (size_t at = (size_t)hash & mask; map->slots[at].item != MAP_NONE; at = (at + 1) & mask)
		if (map->slots[at].hash == hash && equal(context, map->slots[at].item, key))
			return map->slots[at].item;
	return MAP_NONE;
}

void map_put(struct map *map, uint64_t hash, uint32_t item)
{
	assert(item != MAP_NONE && (map->count + 1) * 2 <= map->capacity);
	slot_put(map->slots, map->capacity, hash, item);
	map->count++;
}

void map_remove(struct map *map, uint64_t hash, uint32_t item)
{
	assert(map->capacity);
	size_t mask = map->capacity - 1;
	size_t at = (size_t)hash & mask;
	while (map->slots[at].item != item || map->slots[at].hash != hash) {
		assert(map->slots[at].item != MAP_NONE);
		at = (at + 1) & mask;
	}
	/* what follows moves back where that brings it nearer to its own place */
	for (size_t next = (at + 1) & mask; map->slots[next].item != MAP_NONE; next = (next + 1) & mask) {
		size_t home = (size_t)map->slots[next].hash & mask;
		if (((next - home) & mask) >= ((next - at) & mask)) {
			map->slots[at] = map->slots[next];
			at = next;
		}
	}
	map->slots[at].item = MAP_NONE;
	map->count--;
}

uint64_t map_hash_u64(uint64_t seed, uint64_t number)
{
	uint64_t mixed = number ^ seed; /* splitmix64's finaliser */
	mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ (mixed >> 31);
}

uint64_t map_hash_bytes(uint64_t seed, const void *data, size_t size)
{
	assert(size % 8 == 0);
	uint64_t hash = seed;
	for (size_t at = 0; at < size; at += 8) {
		uint64_t word;
		memcpy(&word, (const char *)data + at, sizeof word);
		hash = map_hash_u64(hash + UINT64_C(0x9e3779b97f4a7c15), word);
	}
	return hash;
}
