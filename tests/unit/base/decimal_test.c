/* Decimal strings in and out, exact rescaling, reals, and checked arithmetic at the edges. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/decimal.h"
#include "carbond/base/nearest.h"

static void test_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t mantissa;
		int scale;
	} good[] = {{"0", 0, 0}, {"-12.50", -1250, 2}, {"0.000000000001", 1, 12},
		{"999999999999999999", INT64_C(999999999999999999), 0},
		{"123456.123456789012", INT64_C(123456123456789012), 12}, {"-0.5", -5, 1}, {"10.00", 1000, 2}};
	static const char *const bad[] = {"", "-", "+1", "01", "00.5", ".5", "5.", "1e3", "1.2.3", " 1", "1 ", "0x1",
		"--1", "1,5", "0.0000000000001", "NaN", "-.5"};
	struct decimal decimal;
	char text[DECIMAL_TEXT_SIZE];
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(decimal_parse(good[i].text, &decimal), ERR_OK);
		assert_int_equal(decimal.mantissa, good[i].mantissa);
		assert_int_equal(decimal.scale, good[i].scale);
		assert_string_equal(decimal_text(decimal, text), good[i].text);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(decimal_parse(bad[i], &decimal), ERR_INVALID_FIELD);
	assert_int_equal(decimal_parse("1000000000000000000", &decimal), ERR_OVERFLOW);
	assert_int_equal(decimal_parse("1234567.123456789012", &decimal), ERR_OVERFLOW);
	assert_string_equal(decimal_text((struct decimal){INT64_MIN, 0}, text), "-9223372036854775808");
	assert_string_equal(decimal_text((struct decimal){INT64_MIN, 12}, text), "-9223372.036854775808");
	assert_string_equal(decimal_text((struct decimal){-5, 3}, text), "-0.005");
}

static void test_rescale(void **state)
{
	(void)state;
	int64_t mantissa = 77;
	assert_int_equal(decimal_rescale((struct decimal){-1250, 2}, 4, &mantissa), ERR_OK);
	assert_int_equal(mantissa, -125000);
	assert_int_equal(decimal_rescale((struct decimal){-1250, 2}, 1, &mantissa), ERR_OK);
	assert_int_equal(mantissa, -125);
	assert_int_equal(decimal_rescale((struct decimal){-1250, 2}, 0, &mantissa), ERR_INVALID_FIELD);
	assert_int_equal(decimal_rescale((struct decimal){INT64_C(999999999999999999), 0}, 6, &mantissa), ERR_OVERFLOW);
	assert_int_equal(mantissa, -125);
}

static void test_micros(void **state)
{
	(void)state;
	static const struct {
		const char *text, *shortest;
		int64_t micros;
	} good[] = {{"12.50", "12.5", 12500000}, {"0", "0", 0}, {"-0.000001", "-0.000001", -1},
		{"1.0000000", "1", 1000000},
		{"999999999999.999999", "999999999999.999999", INT64_C(999999999999999999)}, {"100", "100", 100000000}};
	char text[DECIMAL_TEXT_SIZE];
	int64_t micros = 77;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(micros_parse(good[i].text, &micros), ERR_OK);
		assert_int_equal(micros, good[i].micros);
		assert_string_equal(micros_text(micros, text), good[i].shortest);
	}
	assert_int_equal(micros_parse("0.0000001", &micros), ERR_INVALID_FIELD);
	assert_int_equal(micros_parse("1e3", &micros), ERR_INVALID_FIELD);
	assert_int_equal(micros_parse("99999999999999", &micros), ERR_OVERFLOW);
	assert_string_equal(micros_text(INT64_MIN, text), "-9223372036854.775808");
}

static void test_real(void **state)
{
	(void)state;
	assert_true(decimal_real((struct decimal){1, 1}) == 0.1);
	assert_true(decimal_real((struct decimal){-4182, 1}) == -418.2);
	assert_true(
		decimal_real((struct decimal){INT64_C(999999999999999999), 12}) == strtod("999999.999999999999", NULL));

	struct decimal decimal;
	static const char *const texts[] = {"0", "1", "-1", "0.1", "418.2", "-273.15", "0.000000000001", "1013.25",
		"123456.789012", "9007199254740991", "-0.3", "899999999999.9999", "0.1000000000001"};
	for (size_t i = 0; i + 1 < sizeof texts / sizeof *texts; i++) {
		char text[DECIMAL_TEXT_SIZE];
		assert_true(decimal_from_real(strtod(texts[i], NULL), &decimal));
		assert_string_equal(decimal_text(decimal, text), texts[i]);
	}
	assert_false(decimal_from_real(strtod(texts[12], NULL), &decimal));
	assert_false(decimal_from_real(NAN, &decimal));
	assert_false(decimal_from_real(INFINITY, &decimal));
	assert_false(decimal_from_real(1e300, &decimal));
	assert_false(decimal_from_real(9007199254740992.0, &decimal));
	assert_false(decimal_from_real(1.0 / 3, &decimal));
	assert_true(decimal_from_real(-0.0, &decimal));
	assert_int_equal(decimal.mantissa, 0);

	/* every (mantissa, scale) comes back with the same value and with no more digits */
	uint64_t seed = 42;
	for (int i = 0; i < 200000; i++) {
		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		struct decimal wanted = {(int64_t)(seed >> (12 + i % 45)) - (int64_t)(seed >> 60), (int8_t)(seed % 13)};
		double real = decimal_real(wanted);
		if (!decimal_from_real(real, &decimal)) {
			assert_true(wanted.mantissa > INT64_C(9007199254740991) ||
				    wanted.mantissa < -INT64_C(9007199254740991));
			continue;
		}
		assert_true(decimal_real(decimal) == real);
		assert_true(decimal.scale <= wanted.scale);
	}
}

static void test_checked(void **state)
{
	(void)state;
	int64_t ret = 7;
	assert_false(add_checked(INT64_MAX, 1, &ret));
	assert_false(sub_checked(INT64_MIN, 1, &ret));
	assert_false(mul_checked(INT64_MAX, 2, &ret));
	assert_false(muldiv_floor(INT64_MAX, INT64_MAX, 1, &ret));
	assert_int_equal(ret, 7);
	assert_true(add_checked(2, 3, &ret));
	assert_int_equal(ret, 5);
	assert_true(muldiv_floor(-7, 1, 2, &ret));
	assert_int_equal(ret, -4);
	assert_true(muldiv_ceil(-7, 1, 2, &ret));
	assert_int_equal(ret, -3);
	assert_true(muldiv_floor(7, 1, 2, &ret));
	assert_int_equal(ret, 3);
	assert_true(muldiv_ceil(7, 1, 2, &ret));
	assert_int_equal(ret, 4);
	assert_true(muldiv_floor(INT64_MAX, INT64_MAX, INT64_MAX, &ret));
	assert_int_equal(ret, INT64_MAX);
	assert_true(muldiv_ceil(6, 1, 3, &ret));
	assert_int_equal(ret, 2);
}

static void test_isqrt(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 5000; n++) {
		uint64_t root = isqrt128(n);
		assert_true(root * root <= n && (root + 1) * (root + 1) > n);
	}
	unsigned __int128 most = ~(unsigned __int128)0;
	assert_true(isqrt128(most) == UINT64_MAX);
	unsigned __int128 square = (unsigned __int128)UINT64_MAX * UINT64_MAX;
	assert_true(isqrt128(square) == UINT64_MAX);
	assert_true(isqrt128(square - 1) == UINT64_MAX - 1);
}

static void test_nearest(void **state)
{
	(void)state;
	uint64_t noise = 88172645463325252;
	static const double edges[] = {0, 0.5, 1.5, 2.5, 0.49999999999999994, 1e15 + 0.5, 2251799813685247.5,
		2251799813685248.5, 4503599627370495.5, 4503599627370497.0, 9007199254740993.0, 1e300};
	for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
		assert_true(nearest(edges[i]) == rint(edges[i]));
		assert_true(nearest(-edges[i]) == rint(-edges[i]));
	}
	for (int i = 0; i < 100000; i++) {
		noise ^= noise << 13;
		noise ^= noise >> 7;
		noise ^= noise << 17;
		double real = ldexp((double)(int64_t)noise, -(int)(noise % 64));
		assert_true(nearest(real) == rint(real));
		assert_true(nearest(rint(real) + 0.5) == rint(rint(real) + 0.5));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_rescale),
		cmocka_unit_test(test_micros), cmocka_unit_test(test_real), cmocka_unit_test(test_checked),
		cmocka_unit_test(test_isqrt), cmocka_unit_test(test_nearest)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
