/* Documents, field tables, arenas and maps when memory ends at any allocation: a clean error, and the same call succeeds when
 * there is memory again (decision 9; the sanitizers see what leaks). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "carbond/base/field.h"
#include "carbond/base/map.h"
#include "carbond/base/sign.h"
#include "sweep.h"

struct part {
	const char *name;
	int64_t kg;
};

struct thing {
	const char *name, *price;
	int64_t kg;
	struct bytes key;
	json_t *note;
	struct field_list parts, tags;
};

static const struct field part_fields[] = {FIELD(struct part, name, FIELD_TEXT, .max = 5),
	FIELD(struct part, kg, FIELD_INT, .min = 1, .max = 10), FIELD_END};

static const struct field thing_fields[] = {FIELD(struct thing, name, FIELD_TEXT, .max = 20000),
	FIELD(struct thing, price, FIELD_DECIMAL, .min_real = 0, .max_real = 100),
	FIELD(struct thing, kg, FIELD_INT, .min = 1, .max = 1000), FIELD(struct thing, key, FIELD_BYTES, .max = 4),
	FIELD(struct thing, note, FIELD_JSON),
	FIELD(struct thing, parts, FIELD_LIST, .table = part_fields, .item_size = sizeof(struct part), .max = 9),
	FIELD(struct thing, tags, FIELD_TEXTS, .max = 3), FIELD_END};

static const char text[] = "{\"key\":\"AQID\",\"kg\":7,\"name\":\"n\",\"note\":{\"a\":[1,{\"b\":\"\xc3\xa4 and a text "
			   "that makes the lexer's buffer grow twice\"}"
			   ",1234567890123456]},"
			   "\"parts\":[{\"kg\":1,\"name\":\"a\"},{\"kg\":10,\"name\":\"b\"}],\"price\":\"12.50\","
			   "\"tags\":[\"x\",\"y\"]}";

/* Text → document → row → document → canonical text. */
static enum err there_and_back(struct arena *arena, const char *in, char **ret_out, struct err_info *info)
{
	json_t *document = NULL;
	struct thing thing;
	size_t size = 0;
	enum err err = document_parse(arena, in, strlen(in), &document, info);
	if (!err)
		err = field_read(thing_fields, FIELD_CREATE, document, "", arena, &thing, info);
	if (err)
		return err;
	json_t *out = document_own(arena, field_write_stored(thing_fields, &thing));
	if (!out)
		return ERR_NO_MEMORY;
	return document_canonical(arena, out, ret_out, &size);
}

static void documents(struct sweep *sweep)
{
	struct err_info info = {.code = ERR_OK};
	struct arena *arena = arena_new(0);
	char *out = NULL;
	sweep_arm(sweep);
	enum err err = there_and_back(arena, text, &out, &info);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	if (err)
		assert_int_equal(there_and_back(arena, text, &out, &info), ERR_OK);
	assert_string_equal(out, text);
	arena_free(&arena);
}

static void count_release(void *object)
{
	++*(int *)object;
}

/* What an arena was given is released once, also where there was no memory to note it. */
static void arenas(struct sweep *sweep)
{
	int released = 0, given = 0;
	sweep_arm(sweep);
	struct arena *arena = arena_new((size_t)8 << 20);
	for (int i = 0; arena && i < 200; i++) {
		given++;
		(void)(arena_own(arena, count_release, &released) == ERR_OK);
		(void)arena_print(arena, "%0*d", 100 * i, i);
		(void)arena_array(arena, 100, (size_t)i);
		if (i % 50 == 49) {
			arena_reset(arena);
			assert_int_equal(released, given);
		}
	}
	sweep_disarm(sweep);
	arena_free(&arena);
	assert_int_equal(released, given);
}

static bool same_number(const void *context, uint32_t item, const void *key)
{
	(void)context;
	return item == *(const uint32_t *)key;
}

static void maps(struct sweep *sweep)
{
	struct map map = {0};
	uint32_t kept = 0;
	sweep_arm(sweep);
	for (uint32_t i = 0; i < 500; i++)
		if (map_reserve(&map, 1)) {
			map_put(&map, map_hash_u64(1, i), i);
			kept++;
		}
	sweep_disarm(sweep);
	assert_int_equal(map.count, kept);
	uint32_t found = 0;
	for (uint32_t i = 0; i < 500; i++)
		found += map_find(&map, map_hash_u64(1, i), same_number, NULL, &i) == i;
	assert_int_equal(found, kept);
	map_free(&map);
}

static void memory_ends(void **state)
{
	(void)state;
	sweep_allocations("documents and field tables", documents, NULL);
	sweep_allocations("arenas", arenas, NULL);
	sweep_allocations("maps", maps, NULL);
}

int main(void)
{
	sweep_start(150);
	if (crypto_start() != ERR_OK)
		return 1;
	const struct CMUnitTest tests[] = {cmocka_unit_test(memory_ends)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
