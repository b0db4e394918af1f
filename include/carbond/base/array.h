/* Arrays that grow: memory is had before a change, so that the change itself cannot fail. One thread at a time. */
#ifndef CARBOND_BASE_ARRAY_H
#define CARBOND_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for one more item behind `count`; false without memory, the array then unchanged. */
bool array_room(void **array, uint32_t *capacity, uint32_t count, size_t item_size);

#endif
