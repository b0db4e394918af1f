/* Arrays that grow: memory is had before a change, so that the change itself cannot fail. One thread at a time. */
#ifndef CARBOND_BASE_ARRAY_H
#define CARBOND_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As array_room, which knows when there is nothing to do. */
bool array_room_more(void **array, uint32_t *capacity, uint32_t count, size_t item_size);
/* Room for one more item behind `count`; false without memory, the array then unchanged. */
static inline bool array_room(void **array, uint32_t *capacity, uint32_t count, size_t item_size)
{
	return count < *capacity || array_room_more(array, capacity, count, item_size);
}

#endif
