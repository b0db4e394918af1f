/* Plant data in CSV: lines, fields, numbers and times of it, as csv.h says. One thread. */
#include "csv.h"

#include <string.h>

#include "carbond/base/clock.h"

/* The next line without its end (LF or CR LF), in csv->line. 1; 0 at the end of the file; −1: a fault. */
static int read_line(struct csv *csv, struct err_info *info)
{
	size_t length = 0;
	int c;
	csv->line_number++;
	while ((c = getc_unlocked(csv->file)) != EOF && c != '\n') {
		bool ended = length > 0 && csv->line[length - 1] == '\r';
		if (c == 0 || ended || length == sizeof csv->line - 1) {
			(void)!err_set(info, ERR_INVALID_FIELD, NULL,
				"%s:%zu: the line holds a NUL or a carriage return, or more than %d bytes", csv->path,
				csv->line_number, CSV_LINE_BYTES - 1);
			return -1;
		}
		csv->line[length++] = (char)c;
	}
	if (c == EOF && length == 0)
		return 0;
	length -= length > 0 && csv->line[length - 1] == '\r';
	csv->line[length] = 0;
	return 1;
}

long csv_read(struct csv *csv, char *ret_fields[CSV_COLUMNS_MAX], struct err_info *info)
{
	int there = read_line(csv, info);
	if (there <= 0)
		return there;
	long count = 0;
	for (char *in = csv->line;;) {
		if (count == CSV_COLUMNS_MAX) {
			(void)!err_set(info, ERR_INVALID_FIELD, NULL, "%s:%zu: more than %d columns", csv->path,
				csv->line_number, CSV_COLUMNS_MAX);
			return -1;
		}
		char *out = in;
		ret_fields[count++] = out;
		bool is_quoted = *in == '"';
		for (in += is_quoted; *in && (is_quoted || *in != ','); in++) {
			if (is_quoted && *in == '"') {
				is_quoted = in[1] == '"';
				in += is_quoted;
				if (!is_quoted)
					continue;
			}
			*out++ = *in;
		}
		bool is_last = !*in++;
		*out = 0;
		if (is_last)
			return count;
	}
}

bool csv_is_number(const char *text)
{
	size_t digits = strspn(text += *text == '-', "0123456789");
	if (digits == 0 || (digits > 1 && *text == '0'))
		return false;
	text += digits;
	if (*text == '.') {
		digits = strspn(text + 1, "0123456789");
		if (digits == 0)
			return false;
		text += 1 + digits;
	}
	if (*text == 'e' || *text == 'E') {
		text += 1 + (text[1] == '+' || text[1] == '-');
		digits = strspn(text, "0123456789");
		if (digits == 0)
			return false;
		text += digits;
	}
	return *text == 0;
}

bool csv_time(const char *text, int64_t *ret_us)
{
	char copy[CLOCK_TEXT_SIZE + 8];
	size_t length = strlen(text);
	if (length + 2 > sizeof copy || length < 19)
		return false;
	memcpy(copy, text, length + 1);
	if (copy[10] == ' ')
		copy[10] = 'T';
	if (!strpbrk(copy + 19, "Zz+-"))
		memcpy(copy + length, "Z", 2);
	return clock_parse(copy, ret_us) == ERR_OK;
}
