/* Cursors: what comes back is the same position, and only of the collection and index that gave it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "carbond/api.h"

struct row {
	struct id id, org_id;
	const char *name;
	int64_t count;
};

static const struct field fields[] = {FIELD(struct row, id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "id"),
	FIELD(struct row, org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "organisation"),
	FIELD(struct row, name, FIELD_TEXT, .min = 1, .max = 20, .doc = "name"),
	FIELD(struct row, count, FIELD_INT, .min = 0, .max = 100, .doc = "count"), FIELD_END};
static const struct store_index indexes[] = {{.name = "by_name", .fields = {"org_id", "name"}},
	{.name = "by_count", .fields = {"org_id", "count"}}, {.name = NULL}};
static const struct store_collection rows = {
	.name = "rows", .fields = fields, .row_size = sizeof(struct row), .key = {"id"}, .indexes = indexes};
static const struct store_collection others = {
	.name = "others", .fields = fields, .row_size = sizeof(struct row), .key = {"id"}, .indexes = indexes};

static const struct row here = {.id = {{1}}, .org_id = {{2}}, .name = "näme", .count = 7};

static void a_cursor_brings_back_index_and_key(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	struct err_info info;
	void *found;
	const char *text = api_cursor_text(arena, &rows, "by_name", &here);
	assert_int_equal(api_cursor_parse(arena, &rows, "by_name", text, &found, &info), ERR_OK);
	const struct row *back = found;
	assert_true(id_equal(back->id, here.id) && id_equal(back->org_id, here.org_id));
	assert_string_equal(back->name, here.name);
	assert_int_equal(back->count, FIELD_ABSENT); /* no part of this order */
	text = api_cursor_text(arena, &rows, NULL, &here);
	assert_int_equal(api_cursor_parse(arena, &rows, NULL, text, &found, &info), ERR_OK);
	assert_true(id_equal(((const struct row *)found)->id, here.id));
	arena_free(&arena);
}

static void foreign_and_broken_cursors_are_refused(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	struct err_info info;
	void *found;
	char broken[512];
	const char *text = api_cursor_text(arena, &rows, "by_name", &here);
	assert_int_equal(api_cursor_parse(arena, &others, "by_name", text, &found, &info), ERR_INVALID_CURSOR);
	assert_int_equal(api_cursor_parse(arena, &rows, "by_count", text, &found, &info), ERR_INVALID_CURSOR);
	assert_int_equal(api_cursor_parse(arena, &rows, NULL, text, &found, &info), ERR_INVALID_CURSOR);
	static const char *const nonsense[] = {"", "x", "!!!", "bnVsbA", "W10", "WyJyb3dzIiwiYnlfbmFtZSIse31d1"};
	for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
		assert_int_equal(
			api_cursor_parse(arena, &rows, "by_name", nonsense[i], &found, &info), ERR_INVALID_CURSOR);
	for (size_t cut = 0; cut < strlen(text); cut++) {
		memcpy(broken, text, cut);
		broken[cut] = 0;
		assert_int_equal(api_cursor_parse(arena, &rows, "by_name", broken, &found, &info), ERR_INVALID_CURSOR);
	}
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cursor_brings_back_index_and_key),
		cmocka_unit_test(foreign_and_broken_cursors_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
