/* A hash index: from 64-bit hashes to the numbers of items that the caller keeps in an array of its own. Open addressing
 * with backward shift, so that removal leaves nothing behind. Memory is reserved before a change; the change itself cannot
 * fail. One thread at a time. */
#ifndef CARBOND_BASE_MAP_H
#define CARBOND_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAP_NONE UINT32_MAX

struct map_slot {
	uint64_t hash;
	uint32_t item; /* MAP_NONE: free */
};

struct map {
	struct map_slot *slots; /* zeroed struct: an empty map */
	size_t capacity;        /* a power of two */
	size_t count;
};

/* Frees the slots; the map is empty again. */
void map_free(struct map *map);
/* As map_reserve, which knows when there is nothing to do. */
bool map_reserve_more(struct map *map, size_t more);
/* Room for `more` further items; false without memory, the map then unchanged. */
static inline bool map_reserve(struct map *map, size_t more)
{
	return (map->count + more) * 2 <= map->capacity || map_reserve_more(map, more);
}
/* The item of this hash for which `equal` holds, or MAP_NONE. */
uint32_t map_find(const struct map *map, uint64_t hash,
	bool (*equal)(const void *context, uint32_t item, const void *key), const void *context, const void *key);
/* Says that map_find, map_put or map_remove with this hash comes soon: its slot is on its way from memory by then. */
void map_prefetch(const struct map *map, uint64_t hash);
/* The item whose place is first looked at, mostly the one of this hash, or MAP_NONE: what map_prefetch has brought. */
uint32_t map_guess(const struct map *map, uint64_t hash);
/* Adds an item; there must be room (map_reserve) and no such item yet. */
void map_put(struct map *map, uint64_t hash, uint32_t item);
/* Removes an item that is there. */
void map_remove(struct map *map, uint64_t hash, uint32_t item);

/* A well-mixed 64-bit hash of numbers and of 16 or 32 bytes; `seed` keeps strangers from choosing collisions. */
uint64_t map_hash_u64(uint64_t seed, uint64_t number);
uint64_t map_hash_bytes(uint64_t seed, const void *data, size_t size); /* size: a multiple of 8 */

#endif
