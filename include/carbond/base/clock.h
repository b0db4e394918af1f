/* Time is int64 µs UTC (decision 1); text is RFC 3339. Pure rooms take time as an argument and use only the text and
 * calendar functions here. Any thread. */
#ifndef CARBOND_BASE_CLOCK_H
#define CARBOND_BASE_CLOCK_H

#include <stdint.h>

#include "carbond/base/err.h"

#define CLOCK_US_PER_SECOND INT64_C(1000000)
#define CLOCK_US_PER_MINUTE INT64_C(60000000)
#define CLOCK_US_PER_HOUR   INT64_C(3600000000)
#define CLOCK_US_PER_DAY    INT64_C(86400000000)
#define CLOCK_TEXT_SIZE     32

int64_t clock_wall_us(void);      /* CLOCK_REALTIME */
int64_t clock_monotonic_us(void); /* CLOCK_MONOTONIC: deadlines and durations */

/* "2026-11-23T10:00:00Z", with .mmm or .uuuuuu where they are not zero. Years 1970–9999. Returns ret_text. */
char *clock_text(int64_t time_us, char ret_text[CLOCK_TEXT_SIZE]);

/* Parses RFC 3339 with any offset and up to 6 fractional digits ("…T…Z", "…T…+02:00"); ERR_INVALID_FIELD otherwise. */
enum err clock_parse(const char *text, int64_t *ret_time_us) MUST_CHECK;

/* Start of the hour/day (UTC) that holds `time_us`; of the calendar month and the next month. */
int64_t clock_hour_start(int64_t time_us);
int64_t clock_day_start(int64_t time_us);
int64_t clock_month_start(int64_t time_us);
int64_t clock_next_month(int64_t time_us);
int clock_year(int64_t time_us);

#endif
