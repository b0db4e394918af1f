/* How a log line looks: one JSON object, written with one write(2) of at most PIPE_BUF bytes, so that lines of several
 * threads are never torn, not even on a pipe. What does not fit is cut between characters. Any thread. */
#include "carbond/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "carbond/base/clock.h"

#define LINE_BYTES 4096 /* PIPE_BUF on Linux: the largest write that a pipe keeps whole */
#define TAIL_BYTES 4    /* room kept for closing a cut line: quote, brace, newline */

struct line {
	char text[LINE_BYTES];
	size_t size;
	bool cut;
};

static _Atomic enum log_level threshold = LOG_LEVEL_INFO;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static void add(struct line *line, const char *text, size_t size)
{
	if (line->cut || line->size + size > LINE_BYTES - TAIL_BYTES) {
		line->cut = true;
		return;
	}
	memcpy(line->text + line->size, text, size);
	line->size += size;
}

/* Length of the UTF-8 character at `text`; 0 where it is not valid. */
static size_t character_length(const unsigned char *text)
{
	size_t length = text[0] < 0x80                        ? 1
			: text[0] >= 0xc2 && text[0] < 0xe0   ? 2
			: (text[0] & 0xf0) == 0xe0            ? 3
			: (text[0] >= 0xf0 && text[0] < 0xf5) ? 4
							      : 0;
	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static void add_string(struct line *line, const char *text)
{
	if (line->cut || line->size + 2 > LINE_BYTES - TAIL_BYTES) {
		line->cut = true;
		return;
	}
	add(line, "\"", 1);
	const unsigned char *at = (const unsigned char *)(text ? text : "");
	while (*at && !line->cut) {
		size_t length = character_length(at);
		char escape[8];
		if (length == 0) {
			add(line, "\\ufffd", 6);
			at++;
		} else if (*at == '"' || *at == '\\') {
			escape[0] = '\\';
			escape[1] = (char)*at++;
			add(line, escape, 2);
		} else if (*at < 0x20 || *at == 0x7f) {
			int written = snprintf(escape, sizeof escape, "\\u%04x", *at++);
			add(line, escape, (size_t)written);
		} else {
			add(line, (const char *)at, length);
			at += length;
		}
	}
	line->text[line->size++] = '"'; /* fits: TAIL_BYTES are kept */
}

static void add_pair(struct line *line, const char *key, const char *value)
{
	size_t before = line->size;
	add(line, line->size > 1 ? "," : "", line->size > 1);
	add_string(line, key);
	add(line, ":", 1);
	if (line->cut) {
		line->size = before; /* no room for a value: the line ends before its key */
		return;
	}
	add_string(line, value);
	if (line->text[line->size - 1] == ':')
		line->size = before;
}

static void start(struct line *line, enum log_level level, const char *event, const char *message)
{
	char time[CLOCK_TEXT_SIZE];
	line->size = 0;
	line->cut = false;
	add(line, "{", 1);
	add_pair(line, "time", clock_text(clock_wall_us(), time));
	add_pair(line, "level", level_names[level]);
	add_pair(line, "event", event);
	add_pair(line, "message", message);
}

static void add_pairs(struct line *line, va_list pairs)
{
	for (const char *key; (key = va_arg(pairs, const char *));)
		add_pair(line, key, va_arg(pairs, const char *));
}

static void finish(struct line *line)
{
	line->text[line->size++] = '}';
	line->text[line->size++] = '\n';
	/* a log that cannot be written has nobody to tell */
	ssize_t written = write(STDERR_FILENO, line->text, line->size);
	(void)written;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

void log_line(enum log_level level, const char *event, const char *message, ...)
{
	if (level > atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	struct line line;
	start(&line, level, event, message);
	va_list pairs;
	va_start(pairs, message);
	add_pairs(&line, pairs);
	va_end(pairs);
	finish(&line);
}

void log_failure(const char *event, const struct err_info *info, ...)
{
	const struct err_row *row = err_row(info->code);
	char number[16];
	snprintf(number, sizeof number, "%d", (int)info->code);
	struct line line;
	start(&line, LOG_LEVEL_ERROR, event, info->detail[0] ? info->detail : row->title);
	add_pair(&line, "code", number);
	add_pair(&line, "slug", row->slug);
	if (info->pointer[0])
		add_pair(&line, "pointer", info->pointer);
	va_list pairs;
	va_start(pairs, info);
	add_pairs(&line, pairs);
	va_end(pairs);
	finish(&line);
}
