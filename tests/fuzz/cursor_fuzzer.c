/* room: api */
/* A cursor as a client sends it back: refused, or a row of the collection that makes a cursor again, which leads to the same. */
#include <assert.h>
#include <string.h>

#include "carbond/api.h"
#include "carbond/identity.h"
#include "carbond/sensing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_one(const struct store_collection *collection, const char *index, const char *text)
{
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	void *row = NULL, *again = NULL;
	if (api_cursor_parse(arena, collection, index, text, &row, &info) == ERR_OK) {
		char *cursor = api_cursor_text(arena, collection, index, row);
		assert(cursor && api_cursor_parse(arena, collection, index, cursor, &again, &info) == ERR_OK);
		assert(strcmp(cursor, api_cursor_text(arena, collection, index, again)) == 0);
	} else {
		assert(info.code == ERR_INVALID_CURSOR);
	}
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[4096], encoded[6000];
	if (size >= sizeof text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	base64url_text(data, size, encoded); /* so that the JSON inside is reached */
	try_one(&units_collection, "by_org", text);
	try_one(&units_collection, "by_org", encoded);
	try_one(&quarantine_collection, "by_org", encoded);
	try_one(&organisations_collection, NULL, encoded);
	return 0;
}
