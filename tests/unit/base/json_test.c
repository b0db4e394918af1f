/* Bounds of the parser, RFC 8785's canonical form as far as decision 2 takes it, and text for people. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "carbond/base/json.h"
#include "carbond/base/limits.h"

static json_t *parse(struct arena *arena, const char *text)
{
	json_t *document = NULL;
	struct err_info info;
	assert_int_equal(document_parse(arena, text, strlen(text), &document, &info), ERR_OK);
	return document;
}

static void test_refused(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	json_t *document;
	struct err_info info;
	static const char *const bad[] = {"", "{", "{\"a\":1,\"a\":2}", "[1,]", "{\"a\":\"\\u0000\"}",
		"{\"\\u0000\":1}", "[\"\xff\"]", "[1e999]", "[99999999999999999999]", "[NaN]", "{} x", "[01]",
		"{'a':1}", "1"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(document_parse(arena, bad[i], strlen(bad[i]), &document, &info), ERR_INVALID_JSON);
		assert_non_null(strstr(info.detail, "line 1"));
	}
	char deep[80] = "", closed[160];
	memset(deep, '[', LIMIT_JSON_DEPTH + 1);
	assert_int_equal(document_parse(arena, deep, strlen(deep), &document, &info), ERR_TOO_DEEP);
	memset(closed, '[', LIMIT_JSON_DEPTH);
	memset(closed + LIMIT_JSON_DEPTH, ']', LIMIT_JSON_DEPTH);
	assert_int_equal(document_parse(arena, closed, 2 * LIMIT_JSON_DEPTH, &document, &info), ERR_OK);
	parse(arena, "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[\"]");
	char *large = calloc(1, LIMIT_JSON_BYTES + 1);
	assert_int_equal(document_parse(arena, large, LIMIT_JSON_BYTES + 1, &document, &info), ERR_TOO_LARGE);
	free(large);
	arena_free(&arena);
}

static void assert_canonical(struct arena *arena, const char *text, const char *wanted)
{
	char *canonical;
	size_t size;
	assert_int_equal(document_canonical(arena, parse(arena, text), &canonical, &size), ERR_OK);
	assert_string_equal(canonical, wanted);
	assert_int_equal(size, strlen(wanted));
}

static void test_canonical(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	/* RFC 8785 §3.2.2 and §3.2.3: literals, string escapes, sorting; its floats are outside decision 2 */
	assert_canonical(arena,
		"{\"string\":\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/"
		"\",\"literals\":[null,true,false]}",
		"{\"literals\":[null,true,false],\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
	assert_canonical(arena, "{\"10\":1,\"1\":{\"f\":{\"f\":\"hi\",\"F\":5}},\"A\":{},\"\":\"empty\"}",
		"{\"\":\"empty\",\"1\":{\"f\":{\"F\":5,\"f\":\"hi\"}},\"10\":1,\"A\":{}}");
	assert_canonical(arena, " [ 1 , -9007199254740991 , 9007199254740991 , \"\\b\\f\\r\\t\\u007f\" ] ",
		"[1,-9007199254740991,9007199254740991,\"\\b\\f\\r\\t\x7f\"]");
	static const char *const refused[] = {
		"[1.5]", "[1.0]", "[9007199254740992]", "[-9007199254740992]", "{\"\xc3\xa4\":1}"};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		char *canonical;
		size_t size;
		assert_int_equal(
			document_canonical(arena, parse(arena, refused[i]), &canonical, &size), ERR_INVALID_JSON);
	}
	arena_free(&arena);
}

static void test_text(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	size_t size;
	static const char text[] =
		"{\"z\":418.2,\"a\":[0.1,1.0,-0.0,1e300,0.30000000000000004],\"n\":null,\"big\":9223372036854775807}";
	static const char wanted[] =
		"{\"z\":418.2,\"a\":[0.1,1.0,-0.0,1e+300,0.30000000000000004],\"n\":null,\"big\":9223372036854775807}";
	assert_string_equal(document_text(arena, parse(arena, text), &size), wanted);
	assert_int_equal(size, strlen(wanted));
	assert_null(document_own(arena, NULL));
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused), cmocka_unit_test(test_canonical), cmocka_unit_test(test_text)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
