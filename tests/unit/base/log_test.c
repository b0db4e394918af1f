/* Log lines: valid JSON whatever is logged, one write each, cut at the pipe's limit; the rows of the error table. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carbond/base/json.h"
#include "carbond/base/log.h"

static int saved, ends[2];

static void capture(void)
{
	saved = dup(STDERR_FILENO);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
}

/* What was written since capture, as one parsed line. */
static json_t *captured(struct arena *arena)
{
	static char text[8192];
	dup2(saved, STDERR_FILENO);
	close(saved);
	ssize_t size = read(ends[0], text, sizeof text);
	close(ends[0]);
	if (size <= 0)
		return NULL;
	assert_true(size <= 4096);
	assert_int_equal(text[size - 1], '\n');
	json_t *line;
	struct err_info info;
	assert_int_equal(document_parse(arena, text, (size_t)size - 1, &line, &info), ERR_OK);
	return line;
}

static const char *value(const json_t *line, const char *key)
{
	return json_string_value(json_object_get(line, key));
}

static void test_line(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	capture();
	log_line(LOG_LEVEL_INFO, "unit_created", "a \"unit\"\n\x01 \xff\xc3\xa4 \xe2\x82", "id", "42", "none",
		(char *)NULL, NULL);
	json_t *line = captured(arena);
	assert_string_equal(value(line, "level"), "info");
	assert_string_equal(value(line, "event"), "unit_created");
	assert_string_equal(value(line, "message"), "a \"unit\"\n\x01 \xef\xbf\xbd\xc3\xa4 \xef\xbf\xbd\xef\xbf\xbd");
	assert_string_equal(value(line, "id"), "42");
	assert_string_equal(value(line, "none"), "");
	assert_int_equal(strlen(value(line, "time")) >= 20, 1);

	capture();
	log_line(LOG_LEVEL_DEBUG, "hidden", "below the level", NULL);
	assert_null(captured(arena));
	log_set_level(LOG_LEVEL_DEBUG);
	capture();
	log_line(LOG_LEVEL_DEBUG, "seen", "", NULL);
	assert_non_null(captured(arena));
	log_set_level(LOG_LEVEL_INFO);
	arena_free(&arena);
}

/* Lines that may wait are written together, in whole lines, before the next line that may not, and by log_flush. */
static void test_soon(void **state)
{
	(void)state;
	static char text[65536];
	size_t size = 0, lines = 0;
	capture();
	log_line_soon(LOG_LEVEL_INFO, "first", "", NULL);
	log_line_soon(LOG_LEVEL_DEBUG, "hidden", "below the level", NULL);
	log_line(LOG_LEVEL_INFO, "second", "", NULL);
	for (int i = 0; i < 100; i++)
		log_line_soon(LOG_LEVEL_INFO, "many", "one of a hundred lines of about a hundred bytes", NULL);
	log_flush();
	log_flush();
	dup2(saved, STDERR_FILENO);
	close(saved);
	for (ssize_t got; (got = read(ends[0], text + size, sizeof text - 1 - size)) > 0; size += (size_t)got)
		assert_int_equal(text[size + (size_t)got - 1], '\n');
	close(ends[0]);
	text[size] = 0;
	assert_true(strstr(text, "\"first\"") < strstr(text, "\"second\""));
	assert_non_null(strstr(text, "\"first\""));
	assert_null(strstr(text, "hidden"));
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 102);
}

/* Every length around the limit still ends as valid JSON. */
static void test_cut(void **state)
{
	(void)state;
	static char large[5000];
	for (size_t size = 3900; size < 4200; size++) {
		struct arena *arena = arena_new(0);
		memset(large, '"', size / 2);
		memset(large + size / 2, 0xc3, sizeof large - size / 2);
		for (size_t i = size / 2; i < sizeof large; i += 2)
			memcpy(large + i, "\xc3\xa4", i + 2 < sizeof large ? 2 : 0);
		large[size - size / 2 - 1] = 0;
		capture();
		log_line(LOG_LEVEL_INFO, "cut", large, "key", large, "last", "value", NULL);
		assert_non_null(captured(arena));
		arena_free(&arena);
	}
}

static void test_failure(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	struct err_info info;
	assert_int_equal(err_set(&info, ERR_INVALID_FIELD, "/kg", "must be %d..%d", 1, 9), ERR_INVALID_FIELD);
	assert_int_equal(err_set(NULL, ERR_IO, NULL, "x"), ERR_IO);
	capture();
	log_failure("refused", &info, "unit", "u1", NULL);
	json_t *line = captured(arena);
	assert_string_equal(value(line, "level"), "error");
	assert_string_equal(value(line, "message"), "must be 1..9");
	assert_string_equal(value(line, "slug"), "invalid-field");
	assert_string_equal(value(line, "code"), "4");
	assert_string_equal(value(line, "pointer"), "/kg");
	assert_string_equal(value(line, "unit"), "u1");
	arena_free(&arena);
}

static void test_rows(void **state)
{
	(void)state;
	size_t count;
	const struct err_row *rows = err_rows(&count);
	assert_true(count > 20);
	for (size_t i = 0; i < count; i++) {
		assert_ptr_equal(err_row(rows[i].code), &rows[i]);
		assert_true(rows[i].status >= 400 && rows[i].status < 600);
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(rows[i].code, rows[j].code);
			assert_string_not_equal(rows[i].slug, rows[j].slug);
		}
	}
	assert_string_equal(err_row(ERR_OK)->name, "OK");
	assert_int_equal(err_row((enum err)9999)->code, ERR_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_line), cmocka_unit_test(test_soon),
		cmocka_unit_test(test_cut), cmocka_unit_test(test_failure), cmocka_unit_test(test_rows)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
