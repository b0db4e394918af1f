/* What the files of conf share: the loader's state, and setting one key from text. */
#ifndef CARBOND_CONF_PARTS_H
#define CARBOND_CONF_PARTS_H

#include "carbond/conf.h"

#define PROBLEMS_MAX 100 /* a file with more is no configuration; the rest is not reported */

struct loader {
	struct arena *arena;
	struct conf *conf;
	struct conf_report *report;
	bool no_memory;
};

/* The index of the row called `key`, or −1. */
int table_find(const char *key);
/* The key nearest to what somebody wrote, or NULL where nothing is near. */
const char *table_suggest(const char *written);
/* "CARBOND_HTTP_PORT" for the row; `size` ≥ 80. */
void table_environment_name(const struct conf_row *row, char *ret_name, size_t size);
/* "an integer 0..65535": what a value must be, for messages and documents. */
void table_describe(const struct conf_row *row, char *ret_text, size_t size);
/* The value as text, as it would be written in a file (texts without quotes); `buffer` ≥ 32 for integers. */
const char *table_value_text(const struct conf_row *row, const struct conf *conf, char *buffer, size_t size);
/* Copies one value from another configuration. */
void table_copy_value(const struct conf_row *row, struct conf *to, const struct conf *from);

/* The text, or a copy in the buffer in which a URI's password is "***". */
const char *table_redact(const struct conf_row *row, const char *text, char *buffer, size_t size);

/* Notes a problem; the format begins with the place ("carbond.yaml:12"). */
void loader_problem(struct loader *loader, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Sets row `index` from text that came from `origin`; a value that does not fit becomes a problem. */
void loader_set(struct loader *loader, int index, const char *text, const char *origin);

/* Reads a YAML file; what is wrong in it becomes problems. */
void file_read(struct loader *loader, const char *path);

#endif
