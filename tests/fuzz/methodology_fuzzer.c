/* room: mrv */
/* Any bytes as a methodology and as an emission factor set: read, refused or hashed, never more. */
#include <stdint.h>

#include "carbond/mrv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	const struct mrv_methodology *methodology;
	const struct mrv_factors *factors;
	json_t *document;
	if (document_parse(arena, (const char *)data, size, &document, &info) == ERR_OK) {
		if (mrv_methodology_parse(document, arena, &methodology, &info) == ERR_OK) {
			int64_t ppm;
			(void)!mrv_buffer_share(methodology, "geological", 5, &ppm, &info);
		}
		if (mrv_factors_parse(document, arena, &factors, &info) == ERR_OK)
			(void)mrv_factors_have(factors, "x");
	}
	arena_free(&arena);
	return 0;
}
