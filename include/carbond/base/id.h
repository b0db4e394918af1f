/* Identifiers: UUIDv7 (RFC 9562) made at the edge and carried in the command; and SHA-256/32-byte values as text. Any
 * thread. */
#ifndef CARBOND_BASE_ID_H
#define CARBOND_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "carbond/base/err.h"

struct id {
	uint8_t bytes[16];
};

#define ID_TEXT_SIZE 37 /* with the closing zero */

/* A new UUIDv7 for the moment `now_us` (µs UTC) with random bits from the kernel; ids of one process rise strictly. */
struct id id_new(int64_t now_us);

/* Lower-case text with hyphens into `ret_text`. Returns ret_text. */
char *id_text(struct id id, char ret_text[ID_TEXT_SIZE]);

/* Parses 36 characters (either case). ERR_INVALID_ID otherwise. */
enum err id_parse(const char *text, struct id *ret_id) MUST_CHECK;

/* Comparisons of the sixteen bytes. */
bool id_equal(struct id a, struct id b);
int id_compare(struct id a, struct id b); /* order of bytes: <0, 0, >0 */
bool id_is_none(struct id id);            /* all zero: absent */

/* The time inside a UUIDv7 in µs UTC (its resolution is a millisecond). */
int64_t id_time_us(struct id id);

#endif
