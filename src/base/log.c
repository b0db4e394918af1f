/* How a log line looks: one JSON object, written with one write(2) of at most PIPE_BUF bytes, so that lines of several
 * threads are never torn, not even on a pipe. What does not fit is cut between characters. Lines that come by the thousand
 * share such a write. Any thread. */
#include "carbond/base/log.h"

#include <pthread.h>
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

/* As much of plain text as there is room for. */
static void add_plain(struct line *line, const char *text, size_t size)
{
	size_t room = LINE_BYTES - TAIL_BYTES - line->size;
	add(line, text, size < room ? size : room);
	line->cut = size > room;
}

static const bool is_plain[256] = {
	[' '] = true, ['!'] = true, ['#' ... '['] = true, [']' ... '~'] = true}; /* not the quote, not the backslash */

/* How many characters follow that stand for themselves. */
static size_t plain_length(const unsigned char *text)
{
	size_t length = 0;
	while (is_plain[text[length]])
		length++;
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
		size_t plain = plain_length(at);
		if (plain) {
			add_plain(line, (const char *)at, plain);
			at += plain;
			continue;
		}
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

/* A pair whose value stands for itself and fits, as almost all do; false: nothing was added. */
static bool add_short_pair(struct line *line, const char *key, const char *value)
{
	size_t key_size = strlen(key), size = plain_length((const unsigned char *)value);
	if (value[size] || line->cut || line->size < 2 || line->size + key_size + size + 6 > LINE_BYTES - TAIL_BYTES)
		return false;
	char *at = line->text + line->size;
	*at++ = ',';
	*at++ = '"';
	memcpy(at, key, key_size);
	at += key_size;
	*at++ = '"';
	*at++ = ':';
	*at++ = '"';
	memcpy(at, value, size);
	at += size;
	*at++ = '"';
	line->size = (size_t)(at - line->text);
	return true;
}

static void add_pair(struct line *line, const char *key, const char *value)
{
	if (value && add_short_pair(line, key, value))
		return;
	size_t before = line->size;
	add(line, ",\"", line->size > 1 ? 2 : 0);
	add(line, "\"", line->size > 1 ? 0 : 1);
	add(line, key, strlen(key)); /* a word of ours: nothing in it needs an escape */
	add(line, "\":", 2);
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

static void end(struct line *line)
{
	line->text[line->size++] = '}';
	line->text[line->size++] = '\n';
}

static void write_text(const char *text, size_t size)
{
	/* a log that cannot be written has nobody to tell */
	ssize_t written = size ? write(STDERR_FILENO, text, size) : 0;
	(void)written;
}

/* ---- lines that wait for others ---- */

static struct {
	pthread_mutex_t lock; /* rank: innermost; not held while writing */
	char text[LINE_BYTES];
	size_t size;
} waiting = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Adds a line (NULL: none) behind those that wait. What was there and finds no room beside it, or is wanted now, is moved to
 * `ret_text`; returns its size. */
static size_t exchange(const struct line *line, bool now, char ret_text[LINE_BYTES])
{
	size_t size = 0, more = line ? line->size : 0;
	pthread_mutex_lock(&waiting.lock);
	if (now || waiting.size + more > LINE_BYTES) {
		size = waiting.size;
		memcpy(ret_text, waiting.text, size);
		waiting.size = 0;
	}
	if (line) {
		memcpy(waiting.text + waiting.size, line->text, more);
		waiting.size += more;
	}
	pthread_mutex_unlock(&waiting.lock);
	return size;
}

void log_flush(void)
{
	char text[LINE_BYTES];
	write_text(text, exchange(NULL, true, text));
}

static void finish(struct line *line)
{
	log_flush();
	end(line);
	write_text(line->text, line->size);
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

void log_line_soon(enum log_level level, const char *event, const char *message, ...)
{
	if (level > atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	char text[LINE_BYTES];
	struct line line;
	start(&line, level, event, message);
	va_list pairs;
	va_start(pairs, message);
	add_pairs(&line, pairs);
	va_end(pairs);
	end(&line);
	write_text(text, exchange(&line, false, text));
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
