/* Errors. One table (errors.def) names every error that carbond can report: name, stable number, HTTP status, slug,
 * title. Functions return `enum err`, which must be looked at; particulars go to a caller-owned `struct err_info`.
 * Libraries return errors, edges log them once. Any thread. */
#ifndef CARBOND_BASE_ERR_H
#define CARBOND_BASE_ERR_H

#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))

enum err {
	ERR_OK = 0,
#define ERROR(name, number, status, slug, title) ERR_##name = (number),
#include "carbond/base/errors.def"
#undef ERROR
};

/* The particulars of one failure. `pointer` is a JSON pointer ("/quantity_kg") or "" where no field is at fault; `detail`
 * is one sentence for the caller, naming the field and the allowed range, never a secret. */
struct err_info {
	enum err code;
	char pointer[128];
	char detail[384];
};

/* What the table says of an error. */
struct err_row {
	enum err code;
	const char *name;  /* "NOT_FOUND" */
	int status;        /* HTTP status */
	const char *slug;  /* "not-found": the last part of the problem type */
	const char *title; /* one short sentence, constant for the error */
};

/* Fills `info` (NULL is allowed) and returns `code`, so that `return err_set(info, ERR_X, "/field", "…", …)` reads as one
 * step. `pointer` may be NULL or "". The texts are cut to fit, between characters; control characters and what is not UTF-8 in
 * them (they quote what came from outside) become '?'. */
enum err err_set(struct err_info *info, enum err code, const char *pointer, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The row of `code`; the row of ERR_INTERNAL for a number that is not in the table. Never NULL. ERR_OK has a row too. */
const struct err_row *err_row(enum err code);

/* All rows in the order of the table, for the generated reference. `*ret_count` is their number. */
const struct err_row *err_rows(size_t *ret_count);

#endif
