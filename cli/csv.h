/* The CSV files of plant data that carbonctl replay reads: RFC 4180 without line breaks in fields. One thread. */
#ifndef CARBOND_CLI_CSV_H
#define CARBOND_CLI_CSV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "carbond/base/err.h"

enum { CSV_COLUMNS_MAX = 512, CSV_LINE_BYTES = 64 << 10 };

struct csv {
	FILE *file;
	const char *path; /* for what is told */
	size_t line_number;
	char line[CSV_LINE_BYTES]; /* of the record that was read; its fields point into it */
};

/* The next record, split in place: the number of its fields, 0 at the end of the file, −1 for a fault (ERR_INVALID_FIELD): a NUL, a
 * carriage return before the line's end, too many bytes or columns. */
long csv_read(struct csv *csv, char *ret_fields[CSV_COLUMNS_MAX], struct err_info *info);

/* True for a JSON number: what the file says is passed on as it stands. */
bool csv_is_number(const char *text);

/* "2010-01-01 00:02:00" (UTC) or RFC 3339. */
bool csv_time(const char *text, int64_t *ret_us);

#endif
