/* One column of integers as bytes: a predictor chosen per column, its residuals by Rice codes (short columns) or as a byte
 * plane under zstd with the low bits packed beside it (long ones). Private to the room. */
#ifndef SERIES_COLUMN_H
#define SERIES_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/arena.h"

/* Bytes being read; `broken` once something ran past the end or made no sense. */
struct reader {
	const uint8_t *at, *end;
	int broken;
};

uint64_t read_varint(struct reader *reader);
int64_t read_signed(struct reader *reader);
const uint8_t *read_bytes(struct reader *reader, size_t size); /* NULL and broken past the end */

uint8_t *write_varint(uint8_t *at, uint64_t number); /* at most 10 bytes; returns the end */
uint8_t *write_signed(uint8_t *at, int64_t number);

/* Room that column_encode may need for `count` values. */
#define COLUMN_BYTES_MAX(count) (64 + 11 * (size_t)(count)) /* an escaped residual takes 84 bits */

/* Appends the column at `at` (COLUMN_BYTES_MAX of room) and moves it. `digits`, where given, says that values[i] is a
 * multiple of 10^digits[i] (0..18), which the reader knows too: residuals are then counted in that unit. ERR_NO_MEMORY. */
enum err column_encode(
	const int64_t *values, const uint8_t *digits, size_t count, struct arena *arena, uint8_t **at) MUST_CHECK;
/* Fills values[count]; any bytes are taken: ERR_STORE_CORRUPT for what is no column. */
enum err column_decode(struct reader *reader, const uint8_t *digits, size_t count, struct arena *arena,
	int64_t *ret_values) MUST_CHECK;
/* Where the next column is a straight line, such as times that are all alike apart: reads it and says so; value i is
 * first + i × step modulo 2^64. Else, and where it is broken, nothing is read. */
bool column_read_line(struct reader *reader, size_t count, int64_t *ret_first, int64_t *ret_step);

#endif
