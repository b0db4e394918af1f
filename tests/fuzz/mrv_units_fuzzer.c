/* room: mrv */
/* UCUM codes as methodologies name them: a unit that is read has a finite, positive factor and is of its own dimension. */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "carbond/mrv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[300];
	struct mrv_unit unit;
	if (size >= sizeof text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (mrv_unit_parse(text, &unit)) {
		assert(isfinite(unit.factor) && unit.factor > 0 && isfinite(unit.offset));
		assert(mrv_unit_same(&unit, &unit));
	}
	return 0;
}
