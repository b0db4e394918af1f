/* room: sensing */
/* UCUM codes as sensors name them: a known one has a dimension and a finite, positive factor. */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "carbond/sensing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[300];
	const char *dimension = NULL;
	double factor = 0, offset = 0;
	if (size >= sizeof text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (sensing_ucum(text, &dimension, &factor, &offset))
		assert(dimension && *dimension && isfinite(factor) && factor > 0 && isfinite(offset));
	return 0;
}
