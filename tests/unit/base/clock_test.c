/* Time as text and the calendar. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "carbond/base/clock.h"

static void test_text(void **state)
{
	(void)state;
	char text[CLOCK_TEXT_SIZE];
	assert_string_equal(clock_text(0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(clock_text(INT64_C(1795428000000000), text), "2026-11-23T10:00:00Z");
	assert_string_equal(clock_text(INT64_C(1795428000120000), text), "2026-11-23T10:00:00.120Z");
	assert_string_equal(clock_text(INT64_C(1795428000000001), text), "2026-11-23T10:00:00.000001Z");
	assert_string_equal(clock_text(INT64_C(253402300799999999), text), "9999-12-31T23:59:59.999999Z");
	assert_string_equal(clock_text(INT64_MAX, text), "9999-12-31T23:59:59.999999Z");
	assert_string_equal(clock_text(-1, text), "1969-12-31T23:59:59.999999Z");
	assert_string_equal(clock_text(INT64_MIN, text), "0000-01-01T00:00:00Z");
}

static void test_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t time_us;
	} good[] = {{"2026-11-23T10:00:00Z", INT64_C(1795428000000000)},
		{"2026-11-23t12:00:00+02:00", INT64_C(1795428000000000)},
		{"2026-11-23 04:30:00.5-05:30", INT64_C(1795428000500000)}, {"1970-01-01T00:00:00.000001z", 1},
		{"2024-02-29T00:00:00Z", INT64_C(1709164800000000)},
		{"2000-02-29T23:59:59.999999Z", INT64_C(951868799999999)}};
	static const char *const bad[] = {"", "2026-11-23", "2026-11-23T10:00Z", "2026-11-23T10:00:00",
		"2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-11-23T24:00:00Z",
		"2026-11-23T10:60:00Z", "2026-11-23T10:00:60Z", "2026-11-23T10:00:00.Z", "2026-11-23T10:00:00.1234567Z",
		"2026-11-23T10:00:00+24:00", "2026-11-23T10:00:00Zx", "1969-12-31T23:59:59Z",
		"1970-01-01T00:00:00+00:01", "+026-11-23T10:00:00Z", "2026-1-23T10:00:00Z",
		"9999-12-31T23:59:59-00:01"};
	int64_t time_us;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(clock_parse(good[i].text, &time_us), ERR_OK);
		assert_int_equal(time_us, good[i].time_us);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(clock_parse(bad[i], &time_us), ERR_INVALID_FIELD);
}

/* Against the C library's calendar, over 150 years in odd steps. */
static void test_calendar(void **state)
{
	(void)state;
	for (int64_t day = 0; day < 55000; day += 3) {
		int64_t time_us = day * CLOCK_US_PER_DAY + 45296 * CLOCK_US_PER_SECOND + 7;
		time_t seconds = (time_t)(time_us / CLOCK_US_PER_SECOND);
		struct tm tm;
		gmtime_r(&seconds, &tm);
		char text[CLOCK_TEXT_SIZE], wanted[CLOCK_TEXT_SIZE];
		strftime(wanted, sizeof wanted, "%Y-%m-%dT%H:%M:%S.000007Z", &tm);
		assert_string_equal(clock_text(time_us, text), wanted);
		int64_t back_us;
		assert_int_equal(clock_parse(text, &back_us), ERR_OK);
		assert_int_equal(back_us, time_us);
		assert_int_equal(clock_year(time_us), tm.tm_year + 1900);
		struct tm month = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = 1};
		assert_int_equal(clock_month_start(time_us), timegm(&month) * CLOCK_US_PER_SECOND);
		struct tm next = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + 1, .tm_mday = 1};
		assert_int_equal(clock_next_month(time_us), timegm(&next) * CLOCK_US_PER_SECOND);
		assert_int_equal(clock_day_start(time_us), day * CLOCK_US_PER_DAY);
		assert_int_equal(clock_hour_start(time_us), day * CLOCK_US_PER_DAY + 12 * CLOCK_US_PER_HOUR);
	}
	assert_int_equal(clock_hour_start(-1), -CLOCK_US_PER_HOUR);
	assert_int_equal(clock_hour_start(CLOCK_US_PER_HOUR), CLOCK_US_PER_HOUR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text), cmocka_unit_test(test_parse), cmocka_unit_test(test_calendar)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
