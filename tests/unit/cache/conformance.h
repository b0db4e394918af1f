/* What every back end of the cache must do: expiry, recency, the byte limit, tickets, rates, fan-out, and all of it from
 * several threads. A program opens `cache` (1 MiB, 1024 rate buckets) and an arena, and runs CONFORMANCE_TESTS. */
#ifndef TEST_CONFORMANCE_H
#define TEST_CONFORMANCE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "carbond/base/sign.h"
#include "carbond/cache.h"

static struct cache *cache;
static struct arena *arena;

static bool holds(const char *key, int64_t now_us, const char *text)
{
	void *data;
	size_t size;
	enum err err = cache_get(cache, key, now_us, arena, &data, &size, NULL);
	return err == ERR_OK && size == strlen(text) && memcmp(data, text, size) == 0;
}

static void values_are_kept_replaced_and_dropped(void **state)
{
	(void)state;
	cache_put(cache, "a", "one", 3, INT64_MAX, CACHE_NO_TICKET);
	assert_true(holds("a", 0, "one"));
	cache_put(cache, "a", "three", 5, INT64_MAX, CACHE_NO_TICKET);
	assert_true(holds("a", 0, "three"));
	cache_put(cache, "empty", NULL, 0, INT64_MAX, CACHE_NO_TICKET);
	assert_true(holds("empty", 0, ""));
	cache_drop(cache, "a");
	assert_false(holds("a", 0, "three"));
	cache_drop(cache, "a");
}

static void values_expire(void **state)
{
	(void)state;
	cache_put(cache, "b", "x", 1, 1000, CACHE_NO_TICKET);
	assert_true(holds("b", 999, "x"));
	assert_false(holds("b", 1000, "x"));
	assert_false(holds("b", 0, "x")); /* it is gone, not hidden */
}

static void an_old_ticket_cannot_bring_back_what_was_dropped(void **state)
{
	(void)state;
	void *data;
	size_t size;
	cache_ticket ticket;
	assert_int_equal(cache_get(cache, "c", 0, arena, &data, &size, &ticket), ERR_NOT_FOUND);
	cache_drop(cache, "c"); /* a writer changed the row after it was read */
	cache_put(cache, "c", "stale", 5, INT64_MAX, ticket);
	assert_false(holds("c", 0, "stale"));
	assert_int_equal(cache_get(cache, "c", 0, arena, &data, &size, &ticket), ERR_NOT_FOUND);
	cache_put(cache, "c", "fresh", 5, INT64_MAX, ticket);
	assert_true(holds("c", 0, "fresh"));
}

static void the_least_recently_used_goes_first(void **state)
{
	(void)state;
	char key[32], value[1000];
	memset(value, 'v', sizeof value);
	cache_put(cache, "favourite", "kept", 4, INT64_MAX, CACHE_NO_TICKET);
	for (int i = 0; i < 20000; i++) {
		snprintf(key, sizeof key, "key-%d", i);
		cache_put(cache, key, value, sizeof value, INT64_MAX, CACHE_NO_TICKET);
		if (i % 10 == 0)
			assert_true(holds("favourite", 0, "kept"));
	}
	arena_reset(arena);
	int there = 0;
	for (int i = 0; i < 20000; i++) {
		void *data;
		size_t size;
		snprintf(key, sizeof key, "key-%d", i);
		if (cache_get(cache, key, 0, arena, &data, &size, NULL) == ERR_OK) {
			there++;
			assert_true(i > 15000);
		}
	}
	assert_in_range(there, 700, (1 << 20) / 1000);
	arena_reset(arena);
}

static void what_does_not_fit_is_not_kept(void **state)
{
	(void)state;
	static char large[1 << 20];
	char long_key[CACHE_KEY_MAX + 2];
	memset(long_key, 'k', sizeof long_key - 1);
	long_key[sizeof long_key - 1] = 0;
	void *data;
	size_t size;
	cache_put(cache, "large", large, sizeof large, INT64_MAX, CACHE_NO_TICKET);
	assert_int_equal(cache_get(cache, "large", 0, arena, &data, &size, NULL), ERR_NOT_FOUND);
	cache_put(cache, long_key, "x", 1, INT64_MAX, CACHE_NO_TICKET);
	assert_int_equal(cache_get(cache, long_key, 0, arena, &data, &size, NULL), ERR_NOT_FOUND);
}

static void rates_allow_a_burst_and_then_a_pace(void **state)
{
	(void)state;
	const struct cache_rate rate = {.burst = 10, .per_second = 5};
	int64_t now_us = 1000000, retry_us = 0;
	for (int i = 0; i < 10; i++)
		assert_int_equal(cache_take(cache, "rate", &rate, 1, now_us, &retry_us), ERR_OK);
	assert_int_equal(cache_take(cache, "rate", &rate, 1, now_us, &retry_us), ERR_RATE_LIMITED);
	assert_int_equal(retry_us, 200000);
	assert_int_equal(cache_take(cache, "rate", &rate, 1, now_us + retry_us - 1, &retry_us), ERR_RATE_LIMITED);
	assert_int_equal(cache_take(cache, "rate", &rate, 1, now_us + 200000, &retry_us), ERR_OK);
	assert_int_equal(cache_take(cache, "other", &rate, 10, now_us, &retry_us), ERR_OK);
	assert_int_equal(cache_take(cache, "costly", &rate, 11, now_us, &retry_us), ERR_RATE_LIMITED);
	/* two seconds later it is full again, and no fuller than full */
	now_us += 60000000;
	assert_int_equal(cache_take(cache, "rate", &rate, 10, now_us, &retry_us), ERR_OK);
	assert_int_equal(cache_take(cache, "rate", &rate, 1, now_us, &retry_us), ERR_RATE_LIMITED);
}

static void more_keys_than_buckets_are_never_refused_wrongly(void **state)
{
	(void)state;
	const struct cache_rate rate = {.burst = 2, .per_second = 1};
	char key[32];
	int64_t retry_us;
	for (int i = 0; i < 10000; i++) {
		snprintf(key, sizeof key, "peer-%d", i);
		assert_int_equal(cache_take(cache, key, &rate, 1, 1000000000, &retry_us), ERR_OK);
	}
}

struct heard {
	char text[256];
};

static void hear(void *context, const char *topic, const void *data, size_t size)
{
	struct heard *heard = context;
	size_t length = strlen(heard->text);
	snprintf(heard->text + length, sizeof heard->text - length, "%s=%.*s;", topic, (int)size, (const char *)data);
}

static void notices_reach_those_whose_prefix_fits(void **state)
{
	(void)state;
	struct heard all = {0}, units = {0};
	struct cache_subscription *first, *second;
	assert_int_equal(cache_subscribe(cache, "", hear, &all, &first), ERR_OK);
	assert_int_equal(cache_subscribe(cache, "unit/", hear, &units, &second), ERR_OK);
	cache_publish(cache, "unit/1", "a", 1);
	cache_publish(cache, "batch/1", "b", 1);
	cache_unsubscribe(cache, &first);
	cache_publish(cache, "unit/2", "c", 1);
	assert_string_equal(all.text, "unit/1=a;batch/1=b;");
	assert_string_equal(units.text, "unit/1=a;unit/2=c;");
	cache_unsubscribe(cache, &second);
	assert_null(second);
}

static void *work(void *argument)
{
	struct arena *own = arena_new(0);
	const struct cache_rate rate = {.burst = 1000000, .per_second = 1000};
	char key[32];
	(void)argument;
	for (int i = 0; i < 20000; i++) {
		void *data;
		size_t size;
		int64_t retry_us;
		cache_ticket ticket;
		snprintf(key, sizeof key, "shared-%d", i % 97);
		if (cache_get(cache, key, 0, own, &data, &size, &ticket) != ERR_OK)
			cache_put(cache, key, key, strlen(key), INT64_MAX, ticket);
		else
			assert_memory_equal(data, key, size);
		if (i % 5 == 0)
			cache_drop(cache, key);
		assert_int_equal(cache_take(cache, key, &rate, 1, i, &retry_us), ERR_OK);
		if (i % 1000 == 0)
			arena_reset(own);
	}
	arena_free(&own);
	return NULL;
}

static void several_threads_at_once(void **state)
{
	(void)state;
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static void an_unknown_uri_is_refused(void **state)
{
	(void)state;
	struct cache *other = NULL;
	struct err_info info;
	assert_int_equal(cache_open(&(struct cache_options){.uri = "memcached:x"}, &other, &info), ERR_INVALID_CONFIG);
	assert_null(other);
}

#define CONFORMANCE_TESTS                                                                                              \
	cmocka_unit_test(values_are_kept_replaced_and_dropped), cmocka_unit_test(values_expire),                       \
		cmocka_unit_test(an_old_ticket_cannot_bring_back_what_was_dropped),                                    \
		cmocka_unit_test(the_least_recently_used_goes_first), cmocka_unit_test(what_does_not_fit_is_not_kept), \
		cmocka_unit_test(rates_allow_a_burst_and_then_a_pace),                                                 \
		cmocka_unit_test(more_keys_than_buckets_are_never_refused_wrongly),                                    \
		cmocka_unit_test(notices_reach_those_whose_prefix_fits), cmocka_unit_test(several_threads_at_once),    \
		cmocka_unit_test(an_unknown_uri_is_refused)

#endif
