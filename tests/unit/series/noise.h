/* A small seeded generator for the tests of series: the same numbers on every machine. */
#ifndef NOISE_H
#define NOISE_H

#include <math.h>
#include <stdint.h>

static uint64_t noise_state = 1;

static inline void noise_seed(uint64_t seed)
{
	noise_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static inline uint64_t noise_next(void)
{
	noise_state ^= noise_state << 13;
	noise_state ^= noise_state >> 7;
	noise_state ^= noise_state << 17;
	return noise_state * UINT64_C(0x2545f4914f6cdd1d) >> 11;
}

static inline double noise_uniform(void)
{
	return ((double)(noise_next() & ((UINT64_C(1) << 52) - 1)) + 0.5) / 4503599627370496.0;
}

static inline double noise_gauss(void)
{
	return sqrt(-2 * log(noise_uniform())) * cos(6.283185307179586 * noise_uniform());
}

#endif
