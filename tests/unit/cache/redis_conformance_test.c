/* The cache that is shared by Redis does what every back end must, while a real Redis takes part. */
#include "conformance.h"
#include "server.h"

static struct server server;

static int start(void **state)
{
	(void)state;
	struct err_info info;
	server_new(&server, "");
	const struct cache_options options = {.uri = server.unix_uri,
		.bytes_max = 1 << 20,
		.rate_buckets_max = 1024,
		.deadline_us = 5000000,
		.seal_keys = &server_key,
		.seal_key_count = 1};
	arena = arena_new(0);
	if (crypto_start() != ERR_OK || cache_open(&options, &cache, &info) != ERR_OK)
		return -1;
	wait_connections(2);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	assert_int_equal(metric_value(METRIC_CACHE_REDIS_FAULTS), 0);
	assert_true(metric_value(METRIC_CACHE_REDIS_ROUND_TRIP) > 0);
	cache_close(&cache);
	assert_int_equal(metric_value(METRIC_CACHE_REDIS_CONNECTIONS), 0);
	arena_free(&arena);
	server_free(&server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {CONFORMANCE_TESTS};
	return cmocka_run_group_tests(tests, start, stop);
}
