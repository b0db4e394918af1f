/* nearest: rint in the default rounding mode without a call; baseline x86-64 has no instruction for it. Pure; any thread. */
#ifndef CARBOND_BASE_NEAREST_H
#define CARBOND_BASE_NEAREST_H

#include <math.h>

/* The nearest integer, halves to even. Below 2^51 the sum has units of 1 as its last place, and the addition rounds. */
static inline double nearest(double real)
{
	const double unit_place = 6755399441055744.0; /* 1.5 × 2^52: even, and far from both ends of its binade */
	return fabs(real) < 2251799813685248.0 ? (real + unit_place) - unit_place : rint(real);
}

#endif
