/* Decimal mantissas of a run of values. Private to the room. */
#ifndef SERIES_POINTS_H
#define SERIES_POINTS_H

#include "carbond/series.h"

#define EXPONENT_MAX 12

extern const double powers_of_ten[EXPONENT_MAX + 1];

/* The fewest digits after the point (0..12) at which every value is mantissa ÷ 10^digits exactly with |mantissa| < 2^53, or
 * −1 where there is none. */
int common_exponent(const struct series_point *points, size_t count);
/* The same exponent, and the exact sum of the mantissas at it. */
int decimal_sum(const struct series_point *points, size_t count, __int128 *ret_sum);
/* The mantissa of a value at an exponent that common_exponent gave. */
int64_t mantissa_of(double value, int exponent);

#endif
