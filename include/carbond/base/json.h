/* JSON: jansson behind bounds. This is the one place that includes jansson.h; its json_t is the project's type for
 * free-form documents. Parsing rejects duplicate keys, depth and size beyond the limits, and NUL in strings; canonical
 * writing is RFC 8785 restricted as in decision 2 (ASCII keys, integers, no reals). Any thread, one thread a document. */
#ifndef CARBOND_BASE_JSON_H
#define CARBOND_BASE_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "carbond/base/arena.h"
#include "carbond/base/text.h"

/* Parses one document of `size` bytes, owned by the arena. ERR_INVALID_JSON (detail: line, column, reason), ERR_TOO_DEEP,
 * ERR_TOO_LARGE. */
enum err document_parse(
	struct arena *arena, const char *text, size_t size, json_t **ret_document, struct err_info *info) MUST_CHECK;

/* The arena takes over the reference. Returns the document, or NULL (and releases it) without memory or when given NULL. */
json_t *document_own(struct arena *arena, json_t *document);

/* RFC 8785 text in the arena. ERR_INVALID_JSON where the document holds a real, a key outside ASCII or an integer beyond
 * ±(2^53 − 1). */
enum err document_canonical(struct arena *arena, const json_t *document, char **ret_text, size_t *ret_size) MUST_CHECK;

/* Compact text for people and machines, members in insertion order, reals in the shortest of 15 to 17 digits that reads back;
 * ret_size may be NULL. NULL without memory. */
char *document_text(struct arena *arena, const json_t *document, size_t *ret_size);
/* The same text, added to one that is being written. */
void document_print(struct text *text, const json_t *document);

#endif
