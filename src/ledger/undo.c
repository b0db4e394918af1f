/* Decides how changes are reverted: a stack of steps, each a function with a copy of what it needs. The state's thread. */
#include "carbond/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct step {
	void (*revert)(void *owner, const void *payload);
	void *owner;
	size_t before; /* where the step begins, so that the stack can be walked down */
};

struct undo {
	uint8_t *bytes;
	size_t size, capacity;
	uint64_t era;
};

#define STEP_BYTES_MAX (UNDO_PAYLOAD_MAX + sizeof(struct step) + 16)

struct undo *undo_new(void)
{
	struct undo *undo = calloc(1, sizeof *undo);
	if (undo)
		undo->era = 1;
	return undo;
}

void undo_free(struct undo **undo)
{
	if (*undo)
		free((*undo)->bytes);
	free(*undo);
	*undo = NULL;
}

enum err undo_reserve(struct undo *undo, size_t steps)
{
	if (!undo || undo->capacity - undo->size >= steps * STEP_BYTES_MAX)
		return ERR_OK;
	size_t capacity = (undo->size + steps * STEP_BYTES_MAX) * 2;
	uint8_t *bytes = realloc(undo->bytes, capacity);
	if (!bytes)
		return ERR_NO_MEMORY;
	undo->bytes = bytes;
	undo->capacity = capacity;
	return ERR_OK;
}

/* A step lies as payload (padded to 16) ‖ struct step. */
void undo_push(struct undo *undo, void (*revert)(void *owner, const void *payload), void *owner, const void *payload,
	size_t size)
{
	if (!undo)
		return;
	size_t padded = (size + 15) & ~(size_t)15;
	assert(size <= UNDO_PAYLOAD_MAX && undo->capacity - undo->size >= padded + sizeof(struct step));
	struct step step = {.revert = revert, .owner = owner, .before = undo->size};
	if (size)
		memcpy(undo->bytes + undo->size, payload, size);
	memcpy(undo->bytes + undo->size + padded, &step, sizeof step);
	undo->size += padded + sizeof step;
}

void undo_back(struct undo *undo, size_t mark)
{
	while (undo->size > mark) {
		struct step step;
		memcpy(&step, undo->bytes + undo->size - sizeof step, sizeof step);
		undo->size = step.before;
		step.revert(step.owner, undo->bytes + step.before);
	}
	assert(undo->size == mark);
	undo->era++;
}

void undo_clear(struct undo *undo)
{
	undo->size = 0;
	undo->era++;
}

uint64_t undo_era(const struct undo *undo)
{
	return undo->era;
}
