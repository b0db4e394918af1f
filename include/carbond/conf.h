/* conf: the configuration. Keys are rows of conf.def; values come, each over the one before, from the row's default, a YAML
 * file, the environment (CARBOND_HTTP_PORT for http.port) and flags (--http.port=8080). It knows no other room. Main
 * thread; a finished `struct conf` is read-only and may be read by any thread. */
#ifndef CARBOND_CONF_H
#define CARBOND_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/arena.h"

enum conf_kind { CONF_KIND_TEXT, CONF_KIND_INT, CONF_KIND_BOOL, CONF_KIND_ENUM };

enum conf_flag {
	CONF_RELOADABLE = 1, /* applied on reload; all others need a restart */
	CONF_SECRET = 2,     /* shown as "(hidden)" */
	CONF_SLUG = 4,       /* [a-z0-9-] only */
	CONF_FOLDER = 8,     /* a folder's path */
	CONF_FILE = 16,      /* a readable file's path; "" means none */
	CONF_URI = 32,       /* a password in it is shown as "***" */
};

extern const char *const conf_log_levels[]; /* in the order of enum log_level */

/* The typed result: a member for each row. Texts live in the arena that conf_load was given; "" where nothing is set. */
struct conf {
#define CONF_TEXT(member, key, ...) const char *member;
#define CONF_INT(member, key, ...)  int64_t member;
#define CONF_BOOL(member, key, ...) bool member;
#define CONF_ENUM(member, key, ...) int member;
#include "carbond/conf.def"
#undef CONF_TEXT
#undef CONF_INT
#undef CONF_BOOL
#undef CONF_ENUM
	const char **origins; /* private: where each value came from, in the order of the rows */
};

/* A row of the table, for documents and completion. */
struct conf_row {
	const char *key;
	enum conf_kind kind;
	unsigned flags;
	int64_t min, max;         /* integers: range; texts: bytes */
	const char *const *names; /* enums: NULL-terminated */
	const char *unit;         /* or NULL */
	const char *default_text;
	const char *doc;
	size_t offset; /* of the member in struct conf */
};

/* All rows in the order of conf.def. Any thread. */
const struct conf_row *conf_rows(size_t *ret_count);

/* Where values come from. */
struct conf_input {
	const char *file; /* NULL: --config, then CARBOND_CONFIG, then /etc/carbond/carbond.yaml where it exists */
	char *const *environment; /* NULL-terminated "NAME=value"; NULL: none */
	int argc;                 /* words after the program's and the verb's name */
	char *const *argv;
};

/* What loading found beside the values. All in the arena. */
struct conf_report {
	const char *file;      /* the file that was read; NULL: none */
	const char **problems; /* all of them: "carbond.yaml:12: http.port must be an integer 0..65535, not \"x\"" */
	size_t problem_count;
	char **rest; /* words of argv that are no configuration: the verb's own, in order */
	int rest_count;
};

/* Reads everything and checks it. Words of argv that begin with -- and name no key (nor "config") go into the report's
 * `rest`, as do all others. ERR_INVALID_CONFIG: `info` holds the first problem, the report all of them, and *ret_conf is
 * NULL. ERR_NO_MEMORY. */
enum err conf_load(const struct conf_input *input, struct arena *arena, struct conf **ret_conf,
	struct conf_report *ret_report, struct err_info *info) MUST_CHECK;

/* What --check-config prints: "configuration ok (FILE)" or one line a problem with file, line, key and allowed range.
 * Returns a process exit code: 0 or 1. Writes to standard output. */
int conf_check(const struct conf_input *input);

/* Reload: a configuration that has `wanted`'s values for reloadable keys and `now`'s for all others, in the arena; the keys
 * that were applied and those that need a restart, as comma-separated names ("" for none). NULL without memory. */
struct conf *conf_reload(const struct conf *now, const struct conf *wanted, struct arena *arena,
	const char **ret_applied, const char **ret_need_restart);

/* The effective configuration as YAML; each line says where its value came from; secrets are hidden. NULL without memory. */
char *conf_dump(const struct conf *conf, struct arena *arena);
/* An example file with every key at its default, commented: config/carbond.yaml. NULL without memory. */
char *conf_example_text(struct arena *arena);
/* The reference page docs/config.md. NULL without memory. */
char *conf_reference_text(struct arena *arena);

#endif
