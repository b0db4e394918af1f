/* The error table and the particulars of a failure: stable numbers, one row each, and texts that are cut between characters. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "carbond/base/err.h"

static void every_number_and_slug_stands_once(void **state)
{
	size_t count;
	const struct err_row *rows = err_rows(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		assert_ptr_equal(err_row(rows[i].code), &rows[i]);
		assert_in_range(rows[i].status, 400, 599);
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(rows[i].code, rows[j].code);
			assert_string_not_equal(rows[i].slug, rows[j].slug);
		}
	}
	assert_int_equal(err_row((enum err)99999)->code, ERR_INTERNAL);
}

/* Whatever the length of what comes before, what is left of a cut text is UTF-8. */
static void a_detail_is_cut_between_characters(void **state)
{
	static const char *const characters[] = {"x", "é", "→", "𝄞"};
	char text[600];

	(void)state;
	for (size_t kind = 0; kind < 4; kind++) {
		for (size_t shift = 0; shift < 8; shift++) {
			struct err_info info;
			json_t *string;
			size_t length = strlen(characters[kind]);
			memset(text, 'a', shift);
			text[shift] = '\0';
			while (strlen(text) + length < sizeof(text))
				strcat(text, characters[kind]);
			assert_int_equal(err_set(&info, ERR_INTERNAL, text, "%s", text), ERR_INTERNAL);
			string = json_string(info.detail);
			assert_non_null(string);
			assert_true(strlen(info.detail) >= sizeof(info.detail) - 4);
			json_decref(string);
			string = json_string(info.pointer);
			assert_non_null(string);
			json_decref(string);
		}
	}
}

/* What is quoted from outside goes into JSON, logs and terminals. */
static void what_is_no_text_is_shown_as_question_marks(void **state)
{
	struct err_info info;

	(void)state;
	assert_int_equal(err_set(&info, ERR_INTERNAL, "/a\x1b[31m", "%s", "a\nb\x7f \xff\xc0\xaf \xe2\x82 \xc2\x85 €"),
		ERR_INTERNAL);
	assert_string_equal(info.pointer, "/a?[31m");
	assert_string_equal(info.detail, "a?b? ??? ?? ?? €");
}

static void without_a_place_for_it_only_the_code_remains(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_BUSY, "/x", "%s", "y"), ERR_BUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_and_slug_stands_once),
		cmocka_unit_test(a_detail_is_cut_between_characters),
		cmocka_unit_test(what_is_no_text_is_shown_as_question_marks),
		cmocka_unit_test(without_a_place_for_it_only_the_code_remains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
