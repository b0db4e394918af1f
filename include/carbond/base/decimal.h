/* Fixed-point decimals: value = mantissa × 10^−scale, parsed from and written to decimal strings exactly (decision 2). And
 * checked int64 arithmetic with 128-bit intermediates. Pure; any thread. */
#ifndef CARBOND_BASE_DECIMAL_H
#define CARBOND_BASE_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "carbond/base/err.h"

#define DECIMAL_TEXT_SIZE 32
#define DECIMAL_SCALE_MAX 12

struct decimal {
	int64_t mantissa;
	int8_t scale; /* 0..12 digits after the point */
};

/* "-12.50" → {-1250, 2}. No exponent, no leading '+', no leading zeros but one, at most 18 digits and 12 after the point.
 * ERR_INVALID_FIELD or ERR_OVERFLOW otherwise. */
enum err decimal_parse(const char *text, struct decimal *ret_decimal) MUST_CHECK;
char *decimal_text(struct decimal decimal, char ret_text[DECIMAL_TEXT_SIZE]);

/* The mantissa at exactly `scale` digits; ERR_INVALID_FIELD where digits would be lost, ERR_OVERFLOW where it does not fit. */
enum err decimal_rescale(struct decimal decimal, int scale, int64_t *ret_mantissa) MUST_CHECK;

/* Money: a decimal with at most six digits after the point as whole micros, and the shortest text of micros: "12.5", "-0.000001".
 * ERR_INVALID_FIELD, ERR_OVERFLOW. */
enum err micros_parse(const char *text, int64_t *ret_micros) MUST_CHECK;
char *micros_text(int64_t micros, char ret_text[DECIMAL_TEXT_SIZE]);

/* The nearest double. */
double decimal_real(struct decimal decimal);

/* The shortest decimal (scale 0..12, |mantissa| < 2^53) that reads back as exactly `real`; false where there is none. */
bool decimal_from_real(double real, struct decimal *ret_decimal);

/* Checked arithmetic; false on overflow, *ret untouched. */
bool add_checked(int64_t a, int64_t b, int64_t *ret);
bool sub_checked(int64_t a, int64_t b, int64_t *ret);
bool mul_checked(int64_t a, int64_t b, int64_t *ret);
/* a × b ÷ c with a 128-bit product; c > 0. Rounds down (toward −∞) or up (toward +∞). */
bool muldiv_floor(int64_t a, int64_t b, int64_t c, int64_t *ret);
bool muldiv_ceil(int64_t a, int64_t b, int64_t c, int64_t *ret);
/* ⌊√n⌋ of a 128-bit number (decision 6). */
uint64_t isqrt128(unsigned __int128 n);

#endif
