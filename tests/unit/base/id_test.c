/* UUIDv7: layout of RFC 9562, strictly rising in one process, text in and out. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/id.h"

static void test_layout(void **state)
{
	(void)state;
	int64_t now_us = INT64_C(1645557742000000); /* RFC 9562 appendix A.6: 2022-02-22T19:22:22Z = 0x017F22E279B0 */
	struct id id = id_new(now_us);
	char text[ID_TEXT_SIZE];
	assert_memory_equal(id_text(id, text), "017f22e2-79b0-7", 15);
	assert_true(strchr("89ab", text[19]) != NULL);
	assert_int_equal(id_time_us(id), now_us);
	assert_false(id_is_none(id));
}

static void test_rising(void **state)
{
	(void)state;
	int64_t now_us = clock_wall_us();
	struct id last = id_new(now_us);
	for (int i = 0; i < 20000; i++) {
		struct id next = id_new(now_us - i * 100); /* also when the clock goes back */
		assert_true(id_compare(last, next) < 0);
		last = next;
	}
}

enum { THREADS = 4, EACH = 5000 };

static void *make(void *argument)
{
	struct id *ids = argument;
	for (int i = 0; i < EACH; i++)
		ids[i] = id_new(clock_wall_us());
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return id_compare(*(const struct id *)a, *(const struct id *)b);
}

static void test_unique_over_threads(void **state)
{
	(void)state;
	static struct id ids[THREADS * EACH];
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, make, ids + i * EACH);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++)
		for (int j = 1; j < EACH; j++)
			assert_true(id_compare(ids[i * EACH + j - 1], ids[i * EACH + j]) < 0);
	qsort(ids, THREADS * EACH, sizeof *ids, compare);
	for (int i = 1; i < THREADS * EACH; i++)
		assert_true(memcmp(ids[i - 1].bytes, ids[i].bytes, 8) < 0); /* the counted part alone differs */
}

static void test_text(void **state)
{
	(void)state;
	struct id id, other;
	char text[ID_TEXT_SIZE];
	assert_int_equal(id_parse("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", &id), ERR_OK);
	assert_string_equal(id_text(id, text), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
	assert_int_equal(id_parse(text, &other), ERR_OK);
	assert_true(id_equal(id, other));
	static const char *const bad[] = {"", "017f22e2", "017f22e279b07cc398c4dc0c0c07398f",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398g", "017f22e2-79b0-7cc3-98c4_dc0c0c07398f",
		"{17f22e2-79b0-7cc3-98c4-dc0c0c07398}"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(id_parse(bad[i], &other), ERR_INVALID_ID);
	assert_true(id_is_none((struct id){{0}}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_layout), cmocka_unit_test(test_rising),
		cmocka_unit_test(test_unique_over_threads), cmocka_unit_test(test_text)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
