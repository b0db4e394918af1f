/* room: http */
/* A request's target: what is taken is a path of whole segments without escapes that hide, inside the text that was given, and
 * every segment and parameter of it decodes to text or is refused. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at; at++)
		assert(*at >= 0x20 && *at != 0x7f);
	json_t *string = json_string(text);
	assert(string);
	json_decref(string);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	struct http_pair host = {"Host", "carbond.example:8080"};
	char *target = arena_copy(arena, data, size), *decoded;
	struct http_request request = {.arena = arena, .target = target, .headers = &host, .header_count = 1};
	const char *path = NULL, *query = NULL;
	size_t path_size = 0;
	if (http_check_target(&request, &path, &path_size, &query, &info) == ERR_OK) {
		assert(path >= target && path + path_size <= target + strlen(target) && *path == '/');
		assert(!memmem(path, path_size, "/../", 4) && !memmem(path, path_size, "//", 2) &&
			!memchr(path, '?', path_size));
		if (http_percent_decode(arena, path, path_size, false, &decoded, &info) == ERR_OK) {
			check_text(decoded);
			assert(strlen(decoded) <= path_size && !strstr(decoded, "/../"));
		}
		if (query && http_percent_decode(arena, query, strlen(query), true, &decoded, &info) == ERR_OK)
			check_text(decoded);
	} else {
		assert(info.detail[0]);
	}
	arena_free(&arena);
	return 0;
}
