/* How time is read, written and cut into hours, days and months. Calendar: proleptic Gregorian, UTC, no leap seconds
 * (days_from_civil after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). Pure but for the two clocks. */
#include "carbond/base/clock.h"

#include <assert.h>
#include <stdbool.h>
#include <time.h>

#define EARLIEST_US INT64_C(-62167219200000000) /* 0000-01-01T00:00:00Z */
#define LATEST_US   INT64_C(253402300799999999) /* 9999-12-31T23:59:59.999999Z */

struct date {
	int64_t year;
	int month, day; /* 1-based */
};

static int64_t days_from_date(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

static struct date date_from_days(int64_t days)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t day_of_era = days - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_index = (5 * day_of_year + 2) / 153;
	struct date date = {.day = (int)(day_of_year - (153 * month_index + 2) / 5 + 1),
		.month = (int)(month_index < 10 ? month_index + 3 : month_index - 9)};
	date.year = year_of_era + era * 400 + (date.month <= 2);
	return date;
}

static int64_t floor_to(int64_t time_us, int64_t step_us)
{
	int64_t rest = time_us % step_us;
	return time_us - (rest < 0 ? rest + step_us : rest);
}

static struct date date_of(int64_t time_us)
{
	return date_from_days(floor_to(time_us, CLOCK_US_PER_DAY) / CLOCK_US_PER_DAY);
}

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;
	int failed = clock_gettime(clock, &now);
	assert(failed == 0);
	(void)failed;
	return now.tv_sec * CLOCK_US_PER_SECOND + now.tv_nsec / 1000;
}

int64_t clock_wall_us(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_monotonic_us(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/* Writes the last `digits` digits of `number` and what follows them. */
static char *put(char *at, int64_t number, int digits, char after)
{
	for (int i = digits - 1; i >= 0; i--, number /= 10)
		at[i] = (char)('0' + number % 10);
	at[digits] = after;
	return at + digits + 1;
}

char *clock_text(int64_t time_us, char ret_text[CLOCK_TEXT_SIZE])
{
	/* four digits of the year; what no check of ours lets in is shown as the nearest time that has them */
	time_us = time_us < EARLIEST_US ? EARLIEST_US : time_us > LATEST_US ? LATEST_US : time_us;
	struct date date = date_of(time_us);
	int64_t of_day_us = time_us - clock_day_start(time_us);
	int64_t seconds = of_day_us / CLOCK_US_PER_SECOND, fraction_us = of_day_us % CLOCK_US_PER_SECOND;
	char *at = put(ret_text, date.year, 4, '-');
	at = put(at, date.month, 2, '-');
	at = put(at, date.day, 2, 'T');
	at = put(at, seconds / 3600, 2, ':');
	at = put(at, seconds / 60 % 60, 2, ':');
	at = put(at, seconds % 60, 2, fraction_us ? '.' : 'Z');
	if (fraction_us % 1000)
		at = put(at, fraction_us, 6, 'Z');
	else if (fraction_us)
		at = put(at, fraction_us / 1000, 3, 'Z');
	*at = 0;
	return ret_text;
}

/* Reads exactly `digits` digits; −1 otherwise. */
static int read_number(const char **at, int digits)
{
	int number = 0;
	for (int i = 0; i < digits; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return -1;
		number = number * 10 + (**at - '0');
	}
	return number;
}

static bool skip(const char **at, char wanted)
{
	if (**at != wanted)
		return false;
	(*at)++;
	return true;
}

static int days_in_month(int64_t year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && leap);
}

/* "HH:MM:SS[.f…]" → µs of the day; −1 where it is no time. */
static int64_t read_time_of_day(const char **at)
{
	int hour = read_number(at, 2);
	if (hour < 0 || hour > 23 || !skip(at, ':'))
		return -1;
	int minute = read_number(at, 2);
	if (minute < 0 || minute > 59 || !skip(at, ':'))
		return -1;
	int second = read_number(at, 2);
	if (second < 0 || second > 59)
		return -1;
	int64_t time_us = hour * CLOCK_US_PER_HOUR + minute * CLOCK_US_PER_MINUTE + second * CLOCK_US_PER_SECOND;
	if (!skip(at, '.'))
		return time_us;
	int64_t weight = CLOCK_US_PER_SECOND / 10;
	if (**at < '0' || **at > '9')
		return -1;
	for (; **at >= '0' && **at <= '9'; (*at)++, weight /= 10) {
		if (weight == 0)
			return -1;
		time_us += (**at - '0') * weight;
	}
	return time_us;
}

/* "Z" or "±HH:MM" → µs east of UTC. */
static bool read_offset(const char **at, int64_t *ret_offset_us)
{
	*ret_offset_us = 0;
	if (skip(at, 'Z') || skip(at, 'z'))
		return true;
	int sign = **at == '+' ? 1 : **at == '-' ? -1 : 0;
	if (!sign)
		return false;
	(*at)++;
	int hours = read_number(at, 2);
	if (hours < 0 || hours > 23 || !skip(at, ':'))
		return false;
	int minutes = read_number(at, 2);
	if (minutes < 0 || minutes > 59)
		return false;
	*ret_offset_us = sign * (hours * CLOCK_US_PER_HOUR + minutes * CLOCK_US_PER_MINUTE);
	return true;
}

enum err clock_parse(const char *text, int64_t *ret_time_us)
{
	const char *at = text;
	int year = read_number(&at, 4);
	if (year < 1970 || !skip(&at, '-'))
		return ERR_INVALID_FIELD;
	int month = read_number(&at, 2);
	if (month < 1 || month > 12 || !skip(&at, '-'))
		return ERR_INVALID_FIELD;
	int day = read_number(&at, 2);
	if (day < 1 || day > days_in_month(year, month))
		return ERR_INVALID_FIELD;
	if (!skip(&at, 'T') && !skip(&at, 't') && !skip(&at, ' '))
		return ERR_INVALID_FIELD;
	int64_t of_day_us = read_time_of_day(&at), offset_us;
	if (of_day_us < 0 || !read_offset(&at, &offset_us) || *at)
		return ERR_INVALID_FIELD;
	int64_t time_us = days_from_date(year, month, day) * CLOCK_US_PER_DAY + of_day_us - offset_us;
	if (time_us < 0 || time_us > LATEST_US)
		return ERR_INVALID_FIELD;
	*ret_time_us = time_us;
	return ERR_OK;
}

int64_t clock_hour_start(int64_t time_us)
{
	return floor_to(time_us, CLOCK_US_PER_HOUR);
}

int64_t clock_day_start(int64_t time_us)
{
	return floor_to(time_us, CLOCK_US_PER_DAY);
}

int64_t clock_month_start(int64_t time_us)
{
	struct date date = date_of(time_us);
	return days_from_date(date.year, date.month, 1) * CLOCK_US_PER_DAY;
}

int64_t clock_next_month(int64_t time_us)
{
	struct date date = date_of(time_us);
	bool december = date.month == 12;
	return days_from_date(date.year + december, december ? 1 : date.month + 1, 1) * CLOCK_US_PER_DAY;
}

int clock_year(int64_t time_us)
{
	return (int)date_of(time_us).year;
}
