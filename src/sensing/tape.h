/* A JSON text as a flat tape of nodes: one bounded pass, no node allocated by itself, tokens left where they are. Every
 * value is followed by what is below it; an object's members are a text node (the key) and a value each. It takes what RFC
 * 8259 allows, and three things that it marks, so that they cost an item and not the whole text: NaN and Infinity, repeated
 * members, and integers of any size. Pure; one thread a tape. */
#ifndef SENSING_TAPE_H
#define SENSING_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/arena.h"

enum tape_kind {
	TAPE_NULL,
	TAPE_FALSE,
	TAPE_TRUE,
	TAPE_NUMBER,     /* RFC 8259's grammar */
	TAPE_NOT_FINITE, /* NaN, Infinity, -Infinity, as some senders write them */
	TAPE_TEXT,
	TAPE_ARRAY,
	TAPE_OBJECT,
};

struct tape_node {
	const char *text; /* the token; of a text what it says, unescaped, not NUL-terminated */
	uint32_t size;    /* bytes of it */
	uint32_t start;   /* where the token starts in the document … */
	uint32_t length;  /* … and its bytes there, of arrays and objects with all that is in them */
	uint32_t next;    /* the node behind this value and what is below it */
	uint32_t count;   /* items or members; of a key the hash of its text */
	uint8_t kind;     /* enum tape_kind */
	bool repeated;    /* an object with two members of one name */
};

struct tape {
	struct tape_node *nodes; /* malloc'ed, kept from text to text */
	size_t count, capacity;
	const char *document;
	size_t size;
	size_t used; /* bytes of the document up to the end of the value */
	bool marked; /* it holds something that RFC 8259 forbids or leaves open */
};

/* Reads the one value that `text` begins with (an object or an array; leading blanks are skipped). Unescaped texts live in
 * the arena. ERR_INVALID_JSON, ERR_TOO_DEEP, ERR_TOO_LARGE; the detail has the byte at fault. `text` must outlive the use. */
enum err tape_read(
	struct tape *tape, const char *text, size_t size, struct arena *arena, struct err_info *info) MUST_CHECK;
void tape_free(struct tape *tape);

/* The member's value, or NULL. */
const struct tape_node *tape_member(const struct tape *tape, const struct tape_node *object, const char *name);
bool tape_is(const struct tape_node *node, const char *text);
static inline const struct tape_node *tape_next(const struct tape *tape, const struct tape_node *node)
{
	return tape->nodes + node->next;
}

/* The nearest double of a number node. False: it is none (too large, or longer than TAPE_NUMBER_BYTES). */
bool tape_real(const struct tape_node *number, double *ret_real);
/* True where a number node is written as an integer; *ret_fits says whether |n| ≤ 2^53 − 1, *ret_integer is then its value. */
bool tape_integer(const struct tape_node *number, int64_t *ret_integer, bool *ret_fits);
/* A number node of seconds as whole ns, digits below rounded to nearest. False past ±292 years. */
bool tape_seconds_ns(const struct tape_node *number, int64_t *ret_ns);

/* Bytes of the UTF-8 sequence that `text` begins with; 0 where it is none (overlong, surrogate, beyond U+10FFFF, cut short). */
size_t tape_utf8_size(const char *text, const char *end);

#define TAPE_NUMBER_BYTES 400

#endif
