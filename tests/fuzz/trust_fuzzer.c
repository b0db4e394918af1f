/* room: mrv */
/* A trust file of carbonctl verify: refused with particulars, or keys of known roles. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "carbond/mrv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	struct mrv_trust_key *keys = NULL;
	json_t *document;
	size_t count = 0, roles = 0;
	while (mrv_trust_roles[roles])
		roles++;
	if (document_parse(arena, (const char *)data, size, &document, &info) == ERR_OK) {
		if (mrv_trust_parse(document, arena, &keys, &count, &info) == ERR_OK) {
			for (size_t i = 0; i < count; i++)
				assert(keys[i].role >= 0 && (size_t)keys[i].role < roles);
		} else {
			assert(info.detail[0]);
		}
	}
	arena_free(&arena);
	return 0;
}
