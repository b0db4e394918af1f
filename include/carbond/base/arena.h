/* Arenas: memory of one request or one piece of work, freed at once. Foreign resources are registered with the arena
 * that owns them. One thread at a time owns an arena. */
#ifndef CARBOND_BASE_ARENA_H
#define CARBOND_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "carbond/base/err.h"

struct arena;

/* A new arena that may grow to `limit_bytes` (0: LIMIT_ARENA_BYTES); NULL without memory. */
struct arena *arena_new(size_t limit_bytes);

/* Runs the registered releases in reverse order and frees all memory. NULL is allowed; the caller's pointer becomes NULL. */
void arena_free(struct arena **arena);

/* As arena_free, but the arena stays usable and keeps its first block. */
void arena_reset(struct arena *arena);

/* Zeroed memory, 16-byte aligned; NULL past the limit or without memory. */
void *arena_alloc(struct arena *arena, size_t size);

/* True where an allocation was refused by the limit since the start or the last reset: what was too large, not the machine too
 * small. */
bool arena_is_full(const struct arena *arena);

/* Zeroed memory for `count` items; NULL as above, and where the product overflows. */
void *arena_array(struct arena *arena, size_t item_size, size_t count);

/* A copy of `size` bytes at `data` followed by a zero byte; NULL as above. */
char *arena_copy(struct arena *arena, const void *data, size_t size);

/* printf into the arena; NULL as above. */
char *arena_print(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Calls `release(object)` when the arena is freed or reset. Without memory `release` runs at once and ERR_NO_MEMORY is
 * returned. */
enum err arena_own(struct arena *arena, void (*release)(void *object), void *object) MUST_CHECK;

#define ARENA_NEW(arena, type)          ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_array((arena), sizeof(type), (size_t)(count)))

#endif
