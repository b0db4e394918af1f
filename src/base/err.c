/* What each error is called and which HTTP status it stands for: the rows of errors.def. Any thread. */
#include "carbond/base/err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct err_row ok_row = {ERR_OK, "OK", 200, "ok", "No error"};

static const struct err_row rows[] = {
#define ERROR(name, number, status, slug, title) {ERR_##name, #name, (status), slug, title},
#include "carbond/base/errors.def"
#undef ERROR
};

/* A text that was cut to fit must not end inside a character: it goes into JSON. */
static void end_at_character(char *text, size_t size)
{
	size_t end = strlen(text);
	size_t start = end;
	if (end + 1 < size)
		return;
	while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0 || ((unsigned char)text[start - 1] & 0x80) == 0)
		return;
	unsigned char lead = (unsigned char)text[start - 1];
	size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	if (end - (start - 1) < length)
		text[start - 1] = '\0';
}

/* Bytes of the UTF-8 character (RFC 3629) that begins at `at`; 0: there is none. */
static size_t character_size(const unsigned char *at)
{
	size_t more = at[0] < 0x80 ? 0 : at[0] < 0xc2 ? 9 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : at[0] < 0xf5 ? 3 : 9;
	if (more == 9)
		return 0;
	for (size_t i = 1; i <= more; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
		(at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return more + 1;
}

/* Particulars quote what came from outside and end in JSON, logs and terminals: what is no text becomes '?'. */
static void make_text(char *text)
{
	unsigned char *at = (unsigned char *)text;
	while (*at) {
		size_t size = character_size(at);
		bool control = *at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0);
		if (size > 0 && !control) {
			at += size;
			continue;
		}
		for (size = size ? size : 1; size > 0; size--)
			*at++ = '?';
	}
}

enum err err_set(struct err_info *info, enum err code, const char *pointer, const char *format, ...)
{
	if (!info)
		return code;
	info->code = code;
	snprintf(info->pointer, sizeof info->pointer, "%s", pointer ? pointer : "");
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(info->detail, sizeof info->detail, format, arguments);
	va_end(arguments);
	end_at_character(info->pointer, sizeof info->pointer);
	end_at_character(info->detail, sizeof info->detail);
	make_text(info->pointer);
	make_text(info->detail);
	return code;
}

const struct err_row *err_row(enum err code)
{
	if (code == ERR_OK)
		return &ok_row;
	const struct err_row *internal = &rows[0];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].code == code)
			return &rows[i];
		if (rows[i].code == ERR_INTERNAL)
			internal = &rows[i];
	}
	return internal;
}

const struct err_row *err_rows(size_t *ret_count)
{
	*ret_count = sizeof rows / sizeof *rows;
	return rows;
}
