/* Decides for which memory huge pages are asked. */
#include "carbond/base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#define HUGE_BYTES ((size_t)2 << 20)

void pages_huge(void *data, size_t size)
{
	if (size < 4 * HUGE_BYTES)
		return;
	uintptr_t from = ((uintptr_t)data + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	uintptr_t to = ((uintptr_t)data + size) & ~(HUGE_BYTES - 1);
	(void)!madvise((void *)from, to - from, MADV_HUGEPAGE); /* a wish */
}
