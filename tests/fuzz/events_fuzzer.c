/* room: rules */
/* Any bytes as a journal and as a snapshot: records are decoded, written back the same, shown as JSON, and applied to a state,
 * which refuses them or stays whole. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void journal(const uint8_t *data, size_t size)
{
	static struct event_scratch scratch;
	static uint8_t again[EVENTS_BYTES_PER_COMMAND];
	struct err_info info;
	struct rules *rules = rules_new((struct id){{1}}, 1);
	bool applies = true;
	while (size > 0) {
		struct event event;
		size_t length = 0, written = 0;
		if (event_decode(data, size, &scratch, &event, &length, &info))
			break;
		assert(length >= EVENT_HEADER_SIZE && length <= size);
		if (length <= sizeof again) {
			uint16_t version = event.header.version;
			assert(event_encode(&event, again, sizeof again, &written) == ERR_OK);
			/* an older version is written as the newest */
			assert(event.header.version > version ||
				(written == length && memcmp(again, data, length) == 0));
		}
		json_t *document = event_json(&event);
		assert(document);
		json_decref(document);
		applies = applies && rules_apply(rules, &event, &info) == ERR_OK;
		data += length;
		size -= length;
	}
	assert(!applies || rules_check(rules, &info) == ERR_OK);
	rules_free(&rules);
}

static void snapshot(const uint8_t *data, size_t size)
{
	struct err_info info;
	struct event_state_end end = {0};
	struct rules *rules = rules_new((struct id){{1}}, 1);
	while (size >= EVENT_HEADER_SIZE && !end.records) {
		uint32_t length;
		memcpy(&length, data, sizeof length);
		if (length < EVENT_HEADER_SIZE || length > size || rules_restore(rules, data, length, &end, &info))
			break;
		data += length;
		size -= length;
	}
	rules_free(&rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	journal(data, size);
	snapshot(data, size);
	return 0;
}
