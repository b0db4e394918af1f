/* Arenas: limit, alignment, zeroed memory, releases in reverse, reset. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "carbond/base/arena.h"

static char order[8];
static size_t released;

static void release(void *object)
{
	order[released++] = *(char *)object;
}

static void test_memory(void **state)
{
	(void)state;
	struct arena *arena = arena_new(1 << 20);
	size_t total = 0;
	for (size_t size = 0; total < 900000; size = (size * 5 + 7) % 9000) {
		unsigned char *memory = arena_alloc(arena, size);
		assert_non_null(memory);
		assert_int_equal((uintptr_t)memory % 16, 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(memory[i], 0);
		memset(memory, 0xff, size);
		total += size + 16;
	}
	assert_null(arena_alloc(arena, 1 << 20));
	assert_null(arena_alloc(arena, SIZE_MAX));
	assert_null(arena_alloc(arena, SIZE_MAX - 8));
	assert_null(arena_copy(arena, "x", SIZE_MAX));
	assert_null(ARENA_ARRAY(arena, uint64_t, SIZE_MAX / 4));
	arena_reset(arena);
	assert_non_null(arena_alloc(arena, (1 << 20) - 16));
	arena_free(&arena);
	assert_null(arena);
	arena_free(&arena);
}

static void test_text(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	assert_string_equal(arena_copy(arena, "hello", 4), "hell");
	assert_string_equal(arena_copy(arena, NULL, 0), "");
	assert_string_equal(arena_print(arena, "%s-%05d", "a", 42), "a-00042");
	char large[10000];
	memset(large, 'x', sizeof large - 1);
	large[sizeof large - 1] = 0;
	assert_string_equal(arena_print(arena, "%s", large), large);
	arena_free(&arena);
}

static void test_releases(void **state)
{
	(void)state;
	struct arena *arena = arena_new(256);
	char a = 'a', b = 'b', c = 'c';
	assert_int_equal(arena_own(arena, release, &a), ERR_OK);
	assert_int_equal(arena_own(arena, release, &b), ERR_OK);
	arena_reset(arena);
	assert_memory_equal(order, "ba", 2);
	assert_int_equal(arena_own(arena, release, &c), ERR_OK);
	while (arena_alloc(arena, 16))
		;
	assert_int_equal(arena_own(arena, release, &a), ERR_NO_MEMORY);
	assert_memory_equal(order, "baa", 3);
	arena_free(&arena);
	assert_memory_equal(order, "baac", 4);
	assert_int_equal(released, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory), cmocka_unit_test(test_text), cmocka_unit_test(test_releases)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
