/* room: cli */
/* An export of the journal as carbonctl verify --journal reads it: refused, or replayed to a state. Hashes would stop all that is
 * mutated, so each line's hashes are made right first in a second pass: what lies behind them is reached. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../cli/verify.h"
#include "carbond/base/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_text(struct sha256 *state, const char *text)
{
	sha256_add_u64(state, strlen(text));
	sha256_add(state, text, strlen(text));
}

/* The line with payload_hash, prev_hash and hash as they follow from the rest; NULL where it is no batch. */
static char *mend(struct arena *arena, const char *line, size_t size, const char *stream, struct hash *last)
{
	json_t *batch;
	char hex[HASH_TEXT_SIZE];
	size_t payload_size = 0, length;
	struct sha256 state;
	if (document_parse(arena, line, size, &batch, NULL) != ERR_OK || !json_is_object(batch))
		return NULL;
	json_t *payload = json_object_get(batch, "payload"), *node = json_object_get(batch, "node");
	if (!json_is_string(payload) || !json_is_string(node))
		return NULL;
	uint8_t *bytes = arena_alloc(arena, json_string_length(payload) + 4);
	if (base64url_parse(json_string_value(payload), json_string_length(payload), bytes,
		    json_string_length(payload) + 3, &payload_size) != ERR_OK)
		return NULL;
	struct hash hash = sha256_of("carbond/payload/1", bytes, payload_size);
	json_object_set_new(batch, "payload_hash", json_string(hash_text(hash, hex)));
	json_object_set_new(batch, "prev_hash", json_string(hash_text(*last, hex)));
	sha256_start(&state, "carbond/batch/1");
	add_text(&state, stream);
	sha256_add_u64(&state, (uint64_t)json_integer_value(json_object_get(batch, "seq")));
	sha256_add_u64(&state, (uint64_t)json_integer_value(json_object_get(batch, "term")));
	sha256_add_u64(&state, (uint64_t)json_integer_value(json_object_get(batch, "count")));
	sha256_add(&state, last->bytes, sizeof last->bytes);
	sha256_add(&state, hash.bytes, sizeof hash.bytes);
	sha256_add_u64(&state, (uint64_t)json_integer_value(json_object_get(batch, "written_at_us")));
	add_text(&state, json_string_value(node));
	*last = sha256_end(&state);
	json_object_set_new(batch, "hash", json_string(hash_text(*last, hex)));
	return document_text(arena, batch, &length);
}

static void run(const char *text, size_t size, FILE *out)
{
	const struct verify_options options = {.out = out};
	int code = verify_journal(text, size, (struct hash){{0}}, &options);
	assert(code == CLI_OK || code == CLI_VERIFY_FAILED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *out;
	struct arena *arena = arena_new(0);
	struct hash last = {{0}};
	char *mended = NULL;
	size_t mended_size = 0;
	const char *text = (const char *)data, *end = text + size;
	if (!out)
		out = fopen("/dev/null", "w");
	run(text, size, out);
	FILE *whole = open_memstream(&mended, &mended_size);
	for (size_t line = 0; text < end; line++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((stop ? stop : end) - text);
		char *fixed = line > 0 ? mend(arena, text, length, "journal.0", &last) : NULL;
		if (fixed)
			fwrite(fixed, 1, strlen(fixed), whole);
		else
			fwrite(text, 1, length, whole);
		fputc('\n', whole);
		text += length + 1;
	}
	fclose(whole);
	run(mended, mended_size, out);
	free(mended);
	arena_free(&arena);
	return 0;
}
