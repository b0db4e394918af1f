/* A seeded Monte Carlo run over the same error model cross-checks u; it is never part of a hash. The generator is our own
 * (splitmix64), normals are sums of twelve uniforms, so that no mathematics library is needed. Pure. */
#include "parts.h"

static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Mean 0, variance 1 (Irwin–Hall of twelve). */
static double normal(uint64_t *state)
{
	double sum = -6;
	for (int i = 0; i < 12; i++)
		sum += (double)(next(state) >> 11) / 9007199254740992.0;
	return sum;
}

int64_t mrv_monte_carlo(const struct mrv_budget *budget, uint64_t seed, unsigned runs)
{
	double sum = 0, square = 0, random = (double)isqrt128(budget->random_mg2);
	for (unsigned run = 0; run < runs; run++) {
		double error = random * normal(&seed);
		for (size_t i = 0; i < budget->component_count; i++)
			error += (double)budget->components_mg[i] * normal(&seed);
		sum += error;
		square += error * error;
	}
	double variance = runs > 1 ? (square - sum * sum / runs) / (runs - 1) : 0;
	return (int64_t)isqrt128((unsigned __int128)(variance > 0 ? variance : 0));
}
