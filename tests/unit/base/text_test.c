/* Values as text: reals are written exactly as printf writes the shortest of 15 to 17 digits that reads back, which is what
 * readers of answers, logs and exports have got so far; strings are escaped; an arena takes the text over. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/text.h"

static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t random_bits(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void check_real(double real)
{
	char wanted[REAL_TEXT_SIZE], got[REAL_TEXT_SIZE];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(wanted, sizeof wanted, "%.*g", digits, real);
		if (strtod(wanted, NULL) == real)
			break;
	}
	assert_string_equal(real_text(real, got), wanted);
	/* and so whatever the numbers before it were like */
	static struct text text;
	for (int tries = 0; tries < 3; tries++) {
		text.size = 0;
		text.decimals = (unsigned)(random_bits() % 9);
		text_add_number(&text, real);
		assert_int_equal(text.size, strlen(wanted));
		assert_memory_equal(text.data, wanted, text.size);
	}
}

static void check_around(double real)
{
	const double beyond[] = {real, nextafter(real, INFINITY), nextafter(real, -INFINITY)};
	for (size_t i = 0; i < 3; i++) {
		check_real(beyond[i]);
		check_real(-beyond[i]);
	}
}

static void test_edges(void **unused)
{
	(void)unused;
	check_real(0.0);
	check_real(-0.0);
	for (double power = 1e-10; power < 1e25; power *= 10)
		check_around(power);
	char text[16];
	for (int power = -9; power < 22; power++) { /* the decimal's own nearest double, not a product's */
		snprintf(text, sizeof text, "1e%d", power);
		check_around(strtod(text, NULL));
		snprintf(text, sizeof text, "5e%d", power);
		check_around(strtod(text, NULL));
	}
	for (int power = -40; power < 80; power++)
		check_around(ldexp(1, power));
	check_around(4503599627370496.5);
	check_around(9007199254740993.0);
	check_around(5e-324);
	check_around(1.7976931348623157e308);
}

static void test_any_double(void **unused)
{
	(void)unused;
	for (int i = 0; i < 50000; i++) {
		uint64_t bits = random_bits();
		double real;
		memcpy(&real, &bits, sizeof real);
		if (isfinite(real))
			check_real(real);
		/* and those that need no exponent, of all sizes and numbers of digits */
		check_real(ldexp((double)(random_bits() >> 11), -(int)(random_bits() % 70)));
		check_real((double)(int64_t)(random_bits() >> (random_bits() % 64)) /
			   pow(10, (double)(random_bits() % 13)));
	}
}

static void test_values(void **unused)
{
	(void)unused;
	struct arena *arena = arena_new(0);
	struct text text = {0};
	static const char hostile[] = "a\"\\\n\r\t\b\f\x01\x7f\xc3\xa4";
	size_t size;
	text_add_string(&text, hostile, sizeof hostile - 1);
	text_add(&text, ",", 1);
	text_add_integer(&text, 0);
	text_add_word(&text, ",");
	text_add_integer(&text, INT64_MIN);
	text_add_word(&text, ",");
	text_add_integer(&text, INT64_MAX);
	text_add_word(&text, ",");
	text_add_real(&text, 3);
	text_add_word(&text, ",");
	text_add_real(&text, 1e300);
	const char *all = text_take(&text, arena, &size);
	assert_non_null(all);
	assert_int_equal(size, strlen(all));
	assert_string_equal(all, "\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\x7f\xc3\xa4\",0,-9223372036854775808,"
				 "9223372036854775807,3.0,1e+300");
	assert_null(text.data);
	arena_free(&arena);
}

/* A time among others is written as one alone: whatever day came before, with and without fractions, and beyond all years. */
static void test_times(void **unused)
{
	(void)unused;
	static const int64_t steps_us[] = {
		1, 999, 1000, 1000000, 59999999, 3599999999, 86399999999, 86400000000, 31622400000000};
	struct text text = {0};
	char alone[CLOCK_TEXT_SIZE];
	for (int i = 0; i < 100000; i++) {
		static int64_t time_us;
		int64_t step_us = steps_us[random_bits() % (sizeof steps_us / sizeof *steps_us)];
		time_us += random_bits() % 3 ? step_us : -step_us;
		if (i % 1000 == 999)
			time_us = (int64_t)random_bits() - 1;
		text.size = 0;
		text_add_time(&text, time_us);
		clock_text(time_us, alone);
		assert_int_equal(text.size, strlen(alone));
		assert_memory_equal(text.data, alone, text.size);
		if (i % 1000 == 999)
			time_us = (int64_t)(random_bits() % 253402300800000000);
	}
	text_free(&text);
}

static void test_growth(void **unused)
{
	(void)unused;
	struct arena *arena = arena_new(0);
	struct text text = {0};
	size_t size;
	for (int i = 0; i < 100000; i++)
		text_add_integer(&text, i % 10);
	const char *all = text_take(&text, arena, &size);
	assert_int_equal(size, 100000);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(all[i], '0' + (int)(i % 10));
	assert_string_equal(text_take(&text, arena, &size), "");
	assert_int_equal(size, 0);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_edges), cmocka_unit_test(test_any_double),
		cmocka_unit_test(test_values), cmocka_unit_test(test_times), cmocka_unit_test(test_growth)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
