/* carbonctl: the one command table and what its commands share. A command is a row: noun, verb, and either the REST route
 * that it calls or a function. Help, completion, the man page and the list of covered operations are made from the rows.
 * One thread. */
#ifndef CARBOND_CLI_CLI_H
#define CARBOND_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "carbond/base/err.h"
#include "carbond/base/json.h"

/* Exit codes, as documented in the man page. */
enum cli_exit {
	CLI_OK = 0,
	CLI_REFUSED = 1,           /* the server or the command refused: 4xx */
	CLI_USAGE = 2,             /* the command line is wrong */
	CLI_UNREACHABLE = 3,       /* no answer from the server */
	CLI_SERVER_FAILED = 4,     /* the server failed: 5xx */
	CLI_VERIFY_FAILED = 5,     /* verify: something does not hold */
	CLI_SIGNERS_UNTRUSTED = 6, /* verify: consistent, but signed by keys that are not trusted */
};

/* One option or argument of a command. */
struct cli_option {
	const char
		*name; /* "from": --from=… or --from …; a positional argument has no dashes and is named by its order */
	const char *value; /* placeholder, "TIME"; NULL: a switch */
	const char *doc;
};

enum cli_command_flag {
	CLI_BODY = 1,      /* takes a JSON body: key=value …, @file or - */
	CLI_BODY_FILE = 2, /* takes a body of any media type as it is: @file or - */
	CLI_RAW = 4,       /* the answer is written as it is, to --output or standard output */
	CLI_IF_MATCH = 8,  /* changes what nobody else has changed: --if-match, else the version that a GET shows */
	CLI_VALUE = 16,    /* changes value: carries an Idempotency-Key and may be repeated */
	CLI_PAGED = 32,    /* answers {items, next_cursor}; --all follows the cursor */
	CLI_LOCAL = 64,    /* without a key, or with --socket: the admin socket, whose verb is the operation */
	CLI_STREAM = 128,  /* with CLI_RAW: goes on until it is interrupted */
};

struct cli_command {
	const char *noun, *verb;   /* "units" "create"; verb NULL: a command of one word ("verify") */
	const char *operation;     /* the route's operation, where a route stands behind it; else NULL */
	const char *method, *path; /* "GET", "/v1/units/{id}": path parameters are positional arguments in order */
	unsigned flags;            /* enum cli_command_flag */
	const char *accept;        /* media type asked for; NULL: JSON */
	const char *texts;         /* body members that are text also where they look like numbers: "factor offset" */
	const char *lists;         /* body members that are lists of texts: "roles" of roles=operator,trader */
	const char *arguments;     /* what help shows after the name of a command that is no REST call */
	const char *columns;       /* columns of the table of a list: "id name state"; NULL: taken from the items */
	const struct cli_option *options; /* ended by name NULL; query parameters of a REST command; may be NULL */
	const char *usage;                /* a whole help text that stands for the one made from the row; may be NULL */
	const char *doc;                  /* one sentence */
	const char *examples;             /* lines, each a whole command line */
	int (*run)(int argc, char **argv); /* a command that is no REST call; argv[0] is its name */
};

/* All commands, ended by noun NULL. */
extern const struct cli_command cli_commands[];

/* Entry points of the commands with a file of their own; argv[0] is the command's name, options follow. They return an
 * enum cli_exit. Those with --json print one JSON document on standard output. */
int cli_sign(int argc, char **argv);
int cli_bid(int argc, char **argv);
int cli_retire(int argc, char **argv);
int cli_verify(int argc, char **argv);
int cli_simulate(int argc, char **argv);
extern const char simulate_usage[];
int cli_replay(int argc, char **argv);
int cli_doctor(int argc, char **argv);
/* admin.c: what the daemon on this machine does by its admin socket, or the carbond binary under the data directory's lock. */
int cli_status(int argc, char **argv);
int cli_state(int argc, char **argv);
int cli_checkpoint(int argc, char **argv);
int cli_confirm_clock(int argc, char **argv);
int cli_backup(int argc, char **argv);
int cli_daemon_verb(int argc, char **argv);
/* Runs a verb of the carbond binary: the last line that it prints, and whether it ended well. */
bool cli_daemon_line(const char *verb, char *line, size_t size);
/* pages.c: what is made from the table. */
int cli_help(int argc, char **argv);
int cli_completion(int argc, char **argv);
int cli_man(int argc, char **argv);
int cli_operations(int argc, char **argv);

/* ---- shared by commands ---- */

/* What stands before or after the command: --url, --key, --org, --json, --output; filled before a command runs. */
struct cli_settings {
	const char *url;    /* CARBOND_URL or --url; default http://127.0.0.1:8080 */
	const char *key;    /* CARBOND_API_KEY or --key; may be NULL */
	const char *org;    /* CARBOND_ORG or --org; may be NULL */
	const char *socket; /* CARBOND_SOCKET or --socket: the daemon's admin socket; NULL: <data_dir>/admin.sock */
	bool json;          /* --json */
	const char *output; /* --output FILE; NULL: standard output */
};

const struct cli_settings *cli_settings(void);

/* The whole of carbonctl: an exit code. argv is changed. */
int cli_main(int argc, char **argv);

/* Prints "carbonctl: …" on standard error (with --json as {"error": …} too) and returns `code`. */
int cli_fail(enum cli_exit code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for an error of a room. */
int cli_fail_info(enum cli_exit code, const struct err_info *info);

/* The value of "--name=value" or "--name value" among argv[1 …], NULL where it is not there; `cli_flag` for switches. */
const char *cli_option(int argc, char **argv, const char *name);
bool cli_flag(int argc, char **argv, const char *name);
/* The `index`-th word of argv[1 …] that is neither an option nor an option's value; NULL past the last. `options` is the
 * command's own list, which says which options take a value. */
const char *cli_positional(int argc, char **argv, const struct cli_option *options, int index);
/* The row's own options, for the two functions above: NULL where `name` ("verify") is no command. */
const struct cli_command *cli_command_find(const char *noun, const char *verb);

/* Reads a whole file ("-": standard input), at most `most` bytes, into the arena. ERR_IO, ERR_NOT_FOUND, ERR_TOO_LARGE. */
enum err cli_read_file(struct arena *arena, const char *path, size_t most, char **ret_data, size_t *ret_size,
	struct err_info *info) MUST_CHECK;

/* One REST call with the settings' URL and key. `body` may be NULL; the answer is parsed JSON owned by the arena (NULL for
 * 204). Returns an enum cli_exit; a refusal has been printed already. */
int cli_call(struct arena *arena, const char *method, const char *path, const json_t *body, json_t **ret_answer);

/* As cli_call, with If-Match on `version`: changes a row that nobody else has changed since it was read. */
int cli_change(struct arena *arena, const char *method, const char *path, json_int_t version, const json_t *body,
	json_t **ret_answer);

/* The same, but nothing is printed: `info` says why, and `ret_status` (may be NULL) is the HTTP status, 0 without answer. */
int cli_try(struct arena *arena, const char *method, const char *path, const json_t *body, json_t **ret_answer,
	int *ret_status, struct err_info *info);

/* The value of `text` in a URL's path or query: percent-encoded (RFC 3986), in the arena. */
char *cli_escape(struct arena *arena, const char *text);

/* One request line to the admin socket; its "result" (a new document in the arena). ERR_NET_UNREACHABLE where nobody listens;
 * a refusal's error otherwise. */
enum err cli_admin(struct arena *arena, const json_t *request, json_t **ret_result, struct err_info *info) MUST_CHECK;

/* Sends a request to the admin socket and prints its result; takes the reference. An enum cli_exit. */
int cli_ask(json_t *request, const char *columns);

/* Carries out a row that is a REST call; argv[1 …] are the words after noun and verb. */
int cli_rest(const struct cli_command *command, int argc, char **argv);

/* The help of one command on standard output. */
void cli_help_command(const struct cli_command *command);

/* Prints a document: as JSON with --json, else as a table or as fields. `columns` as in the command row, or NULL. */
void cli_print(struct arena *arena, const json_t *document, const char *columns);

#endif
