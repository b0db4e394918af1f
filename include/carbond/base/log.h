/* The log: one JSON object a line on standard error (journald takes it as it is). Edges log, libraries return. A line
 * never holds a secret or a payload. Any thread; lines are not torn. */
#ifndef CARBOND_BASE_LOG_H
#define CARBOND_BASE_LOG_H

#include "carbond/base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are dropped. May be called again on reload. */
void log_set_level(enum log_level level);

/* One line: {"time":…,"level":…,"event":…,"message":…, key: value …}. `event` is a stable snake_case word to search by.
 * After `event` and the message come pairs of (const char *key, const char *value), ended by NULL. */
void log_line(enum log_level level, const char *event, const char *message, ...) __attribute__((sentinel));

/* The same for lines that come by the thousand: it is written together with those that follow it, before the next line of
 * log_line or log_failure, and at the latest by log_flush, which whoever uses this calls several times a second. What waits is
 * lost with a process that is killed. */
void log_line_soon(enum log_level level, const char *event, const char *message, ...) __attribute__((sentinel));
void log_flush(void);

/* One line for a failure: code, slug, pointer and detail of `info` beside `event`; further pairs as in log_line. */
void log_failure(const char *event, const struct err_info *info, ...) __attribute__((sentinel));

#endif
