/* How an arena's memory grows: a chain of blocks, doubling up to BLOCK_BYTES_MAX; a larger piece gets a block of its own.
 * The owning thread. */
#include "carbond/base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/limits.h"

#define ALIGNMENT       16u
#define BLOCK_BYTES_MIN 4096u
#define BLOCK_BYTES_MAX (256u << 10)

struct block {
	struct block *next; /* older */
	size_t size, used;  /* bytes of data */
	_Alignas(ALIGNMENT) unsigned char data[];
};

struct owned {
	struct owned *next; /* registered before this one */
	void (*release)(void *object);
	void *object;
};

struct arena {
	struct block *newest;
	struct owned *owned;
	size_t limit, used; /* bytes handed out since the start or the last reset */
	size_t next_block;
	bool full; /* something did not fit the limit since then */
};

static struct block *block_new(size_t size)
{
	struct block *block = malloc(sizeof *block + size);
	if (block) {
		block->next = NULL;
		block->size = size;
		block->used = 0;
	}
	return block;
}

struct arena *arena_new(size_t limit_bytes)
{
	struct arena *arena = calloc(1, sizeof *arena);
	if (!arena)
		return NULL;
	arena->limit = limit_bytes ? limit_bytes : LIMIT_ARENA_BYTES;
	arena->next_block = BLOCK_BYTES_MIN;
	return arena;
}

static void release_owned(struct arena *arena)
{
	while (arena->owned) {
		struct owned *owned = arena->owned;
		arena->owned = owned->next;
		owned->release(owned->object);
	}
}

void arena_free(struct arena **arena)
{
	if (!*arena)
		return;
	release_owned(*arena);
	for (struct block *block = (*arena)->newest, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	free(*arena);
	*arena = NULL;
}

void arena_reset(struct arena *arena)
{
	release_owned(arena);
	while (arena->newest && arena->newest->next) {
		struct block *block = arena->newest;
		arena->newest = block->next;
		free(block);
	}
	if (arena->newest)
		arena->newest->used = 0;
	arena->used = 0;
	arena->full = false;
	arena->next_block = BLOCK_BYTES_MIN;
}

static struct block *block_with_room(struct arena *arena, size_t size)
{
	struct block *newest = arena->newest;
	if (newest && newest->size - newest->used >= size)
		return newest;
	struct block *block = block_new(size > arena->next_block ? size : arena->next_block);
	if (!block)
		return NULL;
	if (newest && size > arena->next_block) {
		/* a large piece goes behind the newest block, whose room stays in use */
		block->next = newest->next;
		newest->next = block;
		return block;
	}
	block->next = newest;
	arena->newest = block;
	if (arena->next_block < BLOCK_BYTES_MAX)
		arena->next_block *= 2;
	return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	size_t rounded = size ? (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1) : ALIGNMENT;
	if (size > arena->limit || rounded > arena->limit - arena->used) {
		arena->full = true;
		return NULL;
	}
	struct block *block = block_with_room(arena, rounded);
	if (!block)
		return NULL;
	void *memory = block->data + block->used;
	block->used += rounded;
	assert(block->used <= block->size);
	arena->used += rounded;
	return memset(memory, 0, rounded);
}

bool arena_is_full(const struct arena *arena)
{
	return arena->full;
}

void *arena_array(struct arena *arena, size_t item_size, size_t count)
{
	size_t size;
	return __builtin_mul_overflow(item_size, count, &size) ? NULL : arena_alloc(arena, size);
}

char *arena_copy(struct arena *arena, const void *data, size_t size)
{
	if (size >= arena->limit)
		return NULL;
	char *copy = arena_alloc(arena, size + 1);
	if (copy && size)
		memcpy(copy, data, size);
	return copy;
}

char *arena_print(struct arena *arena, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	va_list again;
	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	char *text = length >= 0 ? arena_alloc(arena, (size_t)length + 1) : NULL;
	if (text)
		vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	return text;
}

enum err arena_own(struct arena *arena, void (*release)(void *object), void *object)
{
	struct owned *owned = ARENA_NEW(arena, struct owned);
	if (!owned) {
		release(object);
		return ERR_NO_MEMORY;
	}
	*owned = (struct owned){arena->owned, release, object};
	arena->owned = owned;
	return ERR_OK;
}
