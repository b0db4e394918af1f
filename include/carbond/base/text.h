/* text: a text that grows while it is written, and how the values of JSON are written. It lives on the heap until an arena
 * takes it over. Any thread, one thread a text. */
#ifndef CARBOND_BASE_TEXT_H
#define CARBOND_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "carbond/base/arena.h"

/* Starts as {0}. Without memory `failed` is set and what is added is dropped. */
struct text {
	char *data; /* not NUL-terminated */
	size_t size, capacity;
	bool failed;
	/* private: what numbers and times were like so far, for those of a column are alike */
	unsigned decimals;
	int64_t day_us;
	char day[11]; /* "2026-11-23T" */
};

/* Makes room for so much more; false without memory. */
bool text_reserve(struct text *text, size_t more);
static inline void text_add(struct text *text, const char *data, size_t size)
{
	if (size > text->capacity - text->size && !text_reserve(text, size))
		return;
	if (size)
		memcpy(text->data + text->size, data, size);
	text->size += size;
}
static inline void text_add_word(struct text *text, const char *word)
{
	text_add(text, word, strlen(word));
}

/* A JSON string: quotes, backslash and control characters escaped, all else as it is. */
void text_add_string(struct text *text, const char *string, size_t size);
void text_add_integer(struct text *text, int64_t integer);
/* A finite number as real_text writes it. */
void text_add_number(struct text *text, double real);
/* The same with a point, so that it stays a real. */
void text_add_real(struct text *text, double real);
/* A time as clock_text writes it. */
void text_add_time(struct text *text, int64_t time_us);

/* The arena takes the text over, with a NUL behind it, and `text` is {0} again. NULL without memory. */
char *text_take(struct text *text, struct arena *arena, size_t *ret_size);
void text_free(struct text *text);

#define REAL_TEXT_SIZE 32
/* The shortest of 15, 16 or 17 digits that reads back as the same finite double, as %.*g writes it. */
char *real_text(double real, char ret_text[REAL_TEXT_SIZE]);

#endif
