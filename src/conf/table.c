/* The rows of conf.def: how a key is found, a value is checked and set, and how both are described. Main thread. */
#include "parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const conf_log_levels[] = {"error", "warn", "info", "debug", NULL};

static const struct conf_row rows[] = {
#define CONF_TEXT(member, key_, default_, least, most, flags_, doc_) \
	{.key = (key_),                                              \
		.kind = CONF_KIND_TEXT,                              \
		.flags = (flags_),                                   \
		.min = (least),                                      \
		.max = (most),                                       \
		.default_text = (default_),                          \
		.doc = (doc_),                                       \
		.offset = offsetof(struct conf, member)},
#define CONF_INT(member, key_, default_, least, most, unit_, flags_, doc_) \
	{.key = (key_),                                                    \
		.kind = CONF_KIND_INT,                                     \
		.flags = (flags_),                                         \
		.min = (least),                                            \
		.max = (most),                                             \
		.unit = (unit_),                                           \
		.default_text = #default_,                                 \
		.doc = (doc_),                                             \
		.offset = offsetof(struct conf, member)},
#define CONF_BOOL(member, key_, default_, flags_, doc_)        \
	{.key = (key_),                                        \
		.kind = CONF_KIND_BOOL,                        \
		.flags = (flags_),                             \
		.default_text = (default_) ? "true" : "false", \
		.doc = (doc_),                                 \
		.offset = offsetof(struct conf, member)},
#define CONF_ENUM(member, key_, default_, names_, flags_, doc_) \
	{.key = (key_),                                         \
		.kind = CONF_KIND_ENUM,                         \
		.flags = (flags_),                              \
		.names = (names_),                              \
		.default_text = (default_),                     \
		.doc = (doc_),                                  \
		.offset = offsetof(struct conf, member)},
#include "carbond/conf.def"
#undef CONF_TEXT
#undef CONF_INT
#undef CONF_BOOL
#undef CONF_ENUM
};

#define ROW_COUNT (sizeof rows / sizeof *rows)

const struct conf_row *conf_rows(size_t *ret_count)
{
	*ret_count = ROW_COUNT;
	return rows;
}

int table_find(const char *key)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (strcmp(rows[i].key, key) == 0)
			return (int)i;
	return -1;
}

/* Levenshtein's distance of texts up to 63 characters. */
static int distance(const char *a, const char *b)
{
	int row[64];
	size_t width = strlen(b);
	if (strlen(a) > 63 || width > 63)
		return 64;
	for (size_t j = 0; j <= width; j++)
		row[j] = (int)j;
	for (size_t i = 0; a[i]; i++) {
		int diagonal = row[0];
		row[0] = (int)i + 1;
		for (size_t j = 0; j < width; j++) {
			int above = row[j + 1];
			int best = diagonal + (a[i] != b[j]);
			best = above + 1 < best ? above + 1 : best;
			row[j + 1] = row[j] + 1 < best ? row[j] + 1 : best;
			diagonal = above;
		}
	}
	return row[width];
}

const char *table_suggest(const char *written)
{
	const char *nearest = NULL;
	int least = 4; /* typing errors, not other words */
	for (size_t i = 0; i < ROW_COUNT; i++) {
		int steps = distance(written, rows[i].key);
		if (steps < least) {
			least = steps;
			nearest = rows[i].key;
		}
	}
	return nearest;
}

void table_environment_name(const struct conf_row *row, char *ret_name, size_t size)
{
	snprintf(ret_name, size, "CARBOND_%s", row->key);
	for (char *at = ret_name; *at; at++)
		*at = *at == '.' ? '_' : *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
}

void table_describe(const struct conf_row *row, char *ret_text, size_t size)
{
	size_t used = 0;
	switch (row->kind) {
	case CONF_KIND_INT:
		snprintf(ret_text, size, "an integer %lld..%lld%s%s", (long long)row->min, (long long)row->max,
			row->unit ? " " : "", row->unit ? row->unit : "");
		break;
	case CONF_KIND_BOOL: snprintf(ret_text, size, "true or false"); break;
	case CONF_KIND_TEXT:
		snprintf(ret_text, size, "%s of %lld..%lld %s",
			row->flags & CONF_FILE     ? "a file's path"
			: row->flags & CONF_FOLDER ? "a folder's path"
						   : "a text",
			(long long)row->min, (long long)row->max,
			row->flags & CONF_SLUG ? "letters a-z, digits and hyphens" : "bytes");
		break;
	case CONF_KIND_ENUM:
		snprintf(ret_text, size, "one of");
		for (int i = 0; row->names[i]; i++) {
			used = strlen(ret_text);
			snprintf(ret_text + used, size - used, "%s %s", i ? "," : "", row->names[i]);
		}
		break;
	}
}

static char *member(const struct conf_row *row, struct conf *conf)
{
	return (char *)conf + row->offset;
}

const char *table_value_text(const struct conf_row *row, const struct conf *conf, char *buffer, size_t size)
{
	const char *at = (const char *)conf + row->offset;
	switch (row->kind) {
	case CONF_KIND_TEXT: return *(const char *const *)at;
	case CONF_KIND_INT: snprintf(buffer, size, "%lld", (long long)*(const int64_t *)at); return buffer;
	case CONF_KIND_BOOL: return *(const bool *)at ? "true" : "false";
	case CONF_KIND_ENUM: return row->names[*(const int *)at];
	}
	return "";
}

void table_copy_value(const struct conf_row *row, struct conf *to, const struct conf *from)
{
	size_t size = row->kind == CONF_KIND_TEXT   ? sizeof(char *)
		      : row->kind == CONF_KIND_INT  ? sizeof(int64_t)
		      : row->kind == CONF_KIND_ENUM ? sizeof(int)
						    : sizeof(bool);
	memcpy(member(row, to), (const char *)from + row->offset, size);
}

void loader_problem(struct loader *loader, const char *format, ...)
{
	struct conf_report *report = loader->report;
	if (report->problem_count == PROBLEMS_MAX)
		return;
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	char *copy = arena_copy(loader->arena, text, strlen(text));
	if (copy)
		report->problems[report->problem_count++] = copy;
	else
		loader->no_memory = true;
}

static bool parse_int(const struct conf_row *row, const char *text, int64_t *ret)
{
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (!*text || *end || errno || strchr(" \t+", text[0]) || number < row->min || number > row->max)
		return false;
	*ret = number;
	return true;
}

static bool text_fits(const struct conf_row *row, const char *text)
{
	int64_t size = (int64_t)strlen(text);
	if (size < row->min || size > row->max)
		return false;
	for (const char *at = text; *at; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return false;
		if ((row->flags & CONF_SLUG) && !strchr("abcdefghijklmnopqrstuvwxyz0123456789-", *at))
			return false;
	}
	return true;
}

static bool set_value(struct loader *loader, const struct conf_row *row, const char *text)
{
	void *at = member(row, loader->conf);
	switch (row->kind) {
	case CONF_KIND_INT: return parse_int(row, text, at);
	case CONF_KIND_BOOL: *(bool *)at = strcmp(text, "true") == 0; return *(bool *)at || strcmp(text, "false") == 0;
	case CONF_KIND_ENUM:
		for (int i = 0; row->names[i]; i++) {
			if (strcmp(row->names[i], text) == 0) {
				*(int *)at = i;
				return true;
			}
		}
		return false;
	case CONF_KIND_TEXT:
		if (!text_fits(row, text))
			return false;
		*(const char **)at = arena_copy(loader->arena, text, strlen(text));
		loader->no_memory |= !*(const char **)at;
		return true;
	}
	return false;
}

const char *table_redact(const struct conf_row *row, const char *text, char *buffer, size_t size)
{
	const char *start = row->flags & CONF_URI ? strstr(text, "://") : NULL;
	if (!start)
		return text;
	start += strlen("://");
	/* the last @ of all: a password may hold what ends a host */
	const char *at = strrchr(start, '@'), *colon = strchr(start, ':');
	if (!at || !colon || colon > at)
		return text;
	snprintf(buffer, size, "%.*s:***%s", (int)(colon - text), text, at);
	return buffer;
}

void loader_set(struct loader *loader, int index, const char *text, const char *origin)
{
	const struct conf_row *row = &rows[index];
	if (set_value(loader, row, text)) {
		loader->conf->origins[index] = origin;
		return;
	}
	char wanted[256], redacted[1100];
	table_describe(row, wanted, sizeof wanted);
	if (row->flags & CONF_SECRET)
		loader_problem(loader, "%s: %s must be %s", origin, row->key, wanted);
	else
		loader_problem(loader, "%s: %s must be %s, not \"%.100s\"", origin, row->key, wanted,
			table_redact(row, text, redacted, sizeof redacted));
}
