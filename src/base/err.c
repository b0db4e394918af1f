/* What each error is called and which HTTP status it stands for: the rows of errors.def. Any thread. */
#include "carbond/base/err.h"

#include <stdarg.h>
#include <stdio.h>

static const struct err_row ok_row = {ERR_OK, "OK", 200, "ok", "No error"};

static const struct err_row rows[] = {
#define ERROR(name, number, status, slug, title) {ERR_##name, #name, (status), slug, title},
#include "carbond/base/errors.def"
#undef ERROR
};

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
