/* Decides how far an array grows: twice what it was, and a little, or more where more is asked. */
#include "carbond/base/array.h"

#include <stdlib.h>

bool array_room_more(void **array, uint32_t *capacity, uint32_t count, size_t item_size)
{
	if (*capacity > UINT32_MAX / 4 || count > UINT32_MAX / 4)
		return false;
	uint32_t grown_capacity = (*capacity + 8) * 2;
	if (grown_capacity <= count)
		grown_capacity = count + count / 2;
	void *grown = realloc(*array, grown_capacity * item_size);
	if (!grown)
		return false;
	*array = grown;
	*capacity = grown_capacity;
	return true;
}
