/* The carbond binary: finds the verb, reads the configuration, hands over. Main thread. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"

struct verb {
	const char *name;
	int (*run)(struct daemon *daemon, int count, char **words);
	const char *usage;
	const char *doc;
};

static const struct verb verbs[] = {
	{"run", verb_run, "", "runs the daemon in the foreground; the default"},
	{"init", verb_init, "--organisation SLUG [--name NAME] [--country CODE] [--json] | --join FOLDER",
		"makes the data directory, its keys, the first organisation (country ZZ, unknown, where left out) and "
		"its "
		"platform-admin key; or, on the store of the node whose data directory (or its node.json, seal.keys "
		"and "
		"checkpoint.key) is in FOLDER, a further node's data directory"},
	{"backup", verb_backup, "FOLDER [--with-keys]",
		"backs up the data of a stopped daemon: a first step into a new folder, or what is new into an earlier "
		"one"},
	{"restore", verb_restore, "FOLDER [--position NUMBER] [--reason TEXT] [--signer KEY] [--drill] [--json]",
		"puts a backup into an empty data directory, its journal up to an event; --drill tries it in a folder "
		"of its "
		"own, and measures"},
	{"migrate-store", verb_migrate_store, "FROM TO [--json]",
		"moves the data of a stopped daemon from one store.uri to another and compares both; goes on where it "
		"was "
		"interrupted"},
	{"check", verb_check, "",
		"whether it would start here: listener, shipped files, keys, schema; changes nothing"},
	{"journal", verb_journal, "dump [--from NUMBER] [--to NUMBER]",
		"prints the journal of a stopped daemon as JSON lines"},
	{"config", verb_config, "[--example]", "prints the configuration in force, or an example with every key"},
	{"docs", verb_docs, "FOLDER", "writes the reference pages and openapi.json"},
};
#define VERB_COUNT (sizeof(verbs) / sizeof(*verbs))

static int help(FILE *file)
{
	fprintf(file,
		"carbond: the carbon registry's daemon\n\nusage: carbond [VERB] [--config=FILE] [--KEY=VALUE …]\n\n");
	for (size_t i = 0; i < VERB_COUNT; i++)
		fprintf(file, "  %s %s\n      %s\n", verbs[i].name, verbs[i].usage, verbs[i].doc);
	fprintf(file, "  --check-config\n      says whether the configuration is good, with file, line, key and "
		      "allowed range\n"
		      "  --version, --help\n\n"
		      "Keys are read from the file (default /etc/carbond/carbond.yaml), the environment "
		      "(CARBOND_HTTP_PORT) and\n"
		      "flags (--http.port=8080), each over the one before. Exit codes: 0 done, 1 failed, 2 wrong "
		      "words, 3 carbond\n"
		      "stopped itself (the last line of its log says why).\n");
	return file == stdout ? DAEMON_EXIT_OK : DAEMON_EXIT_USAGE;
}

static bool has_word(int argc, char **argv, const char *word)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], word) == 0)
			return true;
	return false;
}

/* Moves the words before it up by one, so that the rest begins behind a larger *first. */
static bool take_word(int *first, int argc, char **argv, const char *word)
{
	for (int i = *first; i < argc; i++) {
		if (strcmp(argv[i], word) != 0)
			continue;
		for (; i > *first; i--)
			argv[i] = argv[i - 1];
		++*first;
		return true;
	}
	return false;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* What conf alone cannot say: rules over several keys. */
static int check_config(const struct conf_input *input)
{
	struct arena *arena = arena_new(0);
	struct conf *conf;
	struct conf_report report = {0};
	struct err_info info = {0};
	int code;

	if (!arena)
		return DAEMON_EXIT_FAILED;
	if (conf_load(input, arena, &conf, &report, &info) == ERR_OK && daemon_check_listener(conf, &info)) {
		printf("%s: %s\n", report.file ? report.file : "configuration", info.detail);
		code = DAEMON_EXIT_FAILED;
	} else {
		code = conf_check(input);
	}
	arena_free(&arena);
	return code;
}

static int carry_out(const struct verb *verb, const struct conf_input *input)
{
	struct daemon daemon = {.input = input, .arena = arena_new(0)};
	struct conf_report report = {0};
	struct err_info info = {0};
	int code = DAEMON_EXIT_FAILED;

	if (!daemon.arena)
		return DAEMON_EXIT_FAILED;
	if (conf_load(input, daemon.arena, &daemon.conf, &report, &info)) {
		for (size_t i = 0; i < report.problem_count; i++)
			fprintf(stderr, "carbond: %s\n", report.problems[i]);
		if (report.problem_count == 0)
			fprintf(stderr, "carbond: %s\n", info.detail);
	} else {
		code = verb->run(&daemon, report.rest_count, report.rest);
	}
	arena_free(&daemon.arena);
	return code;
}

int main(int argc, char **argv)
{
	int first = argc > 1 && strncmp(argv[1], "--", 2) != 0 ? 2 : 1;
	const struct verb *verb = find_verb(first == 2 ? argv[1] : "run");
	struct conf_input input = {.environment = environ, .argc = argc - first, .argv = argv + first};

	umask(077); /* all that is written is the owner's alone */
	if (has_word(argc, argv, "--help") || has_word(argc, argv, "-h"))
		return help(stdout);
	if (has_word(argc, argv, "--version")) {
		printf("carbond %s\n", CARBOND_VERSION);
		return DAEMON_EXIT_OK;
	}
	if (!verb)
		return help(stderr);
	if (take_word(&first, argc, argv, "--check-config"))
		return check_config(
			&(struct conf_input){.environment = environ, .argc = argc - first, .argv = argv + first});
	return carry_out(verb, &input);
}
