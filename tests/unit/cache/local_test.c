/* The in-process cache does what every back end must. */
#include "conformance.h"

static int start(void **state)
{
	(void)state;
	const struct cache_options options = {.uri = "local", .bytes_max = 1 << 20, .rate_buckets_max = 1024};
	struct err_info info;
	arena = arena_new(0);
	return crypto_start() == ERR_OK && cache_open(&options, &cache, &info) == ERR_OK ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	cache_close(&cache);
	arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {CONFORMANCE_TESTS};
	return cmocka_run_group_tests(tests, start, stop);
}
