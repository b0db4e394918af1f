/* How carbonctl begins: takes the settings out of the command line, finds the row, carries it out; how it says that something
 * went wrong. One thread. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/sign.h"
#include "cli.h"

static struct cli_settings settings;

const struct cli_settings *cli_settings(void)
{
	return &settings;
}

static void print_error(const char *slug, int status, const char *pointer, const char *detail)
{
	fprintf(stderr, "carbonctl: %s%s%s%s\n", detail, slug ? " (" : "", slug ? slug : "", slug ? ")" : "");
	if (!settings.json)
		return;
	json_t *error = json_pack("{s:{s:s}}", "error", "detail", detail), *inner = json_object_get(error, "error");
	if (slug) {
		json_object_set_new(inner, "slug", json_string(slug));
		json_object_set_new(inner, "status", json_integer(status));
	}
	if (pointer && *pointer)
		json_object_set_new(inner, "pointer", json_string(pointer));
	json_dumpf(error, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(error);
}

int cli_fail(enum cli_exit code, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	print_error(NULL, 0, NULL, text);
	return (int)code;
}

int cli_fail_info(enum cli_exit code, const struct err_info *info)
{
	const struct err_row *row = err_row(info->code);
	print_error(row->slug, row->status, info->pointer, info->detail[0] ? info->detail : row->title);
	return (int)code;
}

/* ---- settings ---- */

static void settings_from_environment(void)
{
	static const struct {
		const char *name;
		const char **value;
	} variables[] = {{"CARBOND_URL", &settings.url}, {"CARBOND_API_KEY", &settings.key},
		{"CARBOND_ORG", &settings.org}, {"CARBOND_SOCKET", &settings.socket}};
	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
		const char *value = getenv(variables[i].name);
		if (value && *value)
			*variables[i].value = value;
	}
}

static bool has_option(const struct cli_command *command, const char *name)
{
	for (const struct cli_option *option = command->options; option && option->name; option++)
		if (strcmp(option->name, name) == 0)
			return true;
	return false;
}

/* Takes the settings out of argv[1 …]; the words that are left keep their order. A command that is no REST call finds --org
 * and --output, and settings that are options of its own (sign's --key), where they were. Returns the new argc, or −1 after
 * saying which value is missing. */
static int take_settings(int argc, char **argv, const struct cli_command *command)
{
	static const struct {
		const char *name;
		const char **value;
		bool kept;
	} options[] = {{"--url", &settings.url, false}, {"--key", &settings.key, false},
		{"--socket", &settings.socket, false}, {"--org", &settings.org, true},
		{"--output", &settings.output, true}};
	int left = 1;
	for (int i = 1; i < argc; i++) {
		bool taken = false;
		if (strcmp(argv[i], "--json") == 0) {
			settings.json = true;
			continue;
		}
		for (size_t o = 0; o < sizeof options / sizeof *options && !taken; o++) {
			size_t length = strlen(options[o].name);
			if (strncmp(argv[i], options[o].name, length) != 0 || !strchr("=", argv[i][length]))
				continue;
			taken = true;
			bool kept = command && !command->method &&
				    (options[o].kept || has_option(command, options[o].name + 2));
			if (kept)
				argv[left++] = argv[i];
			if (argv[i][length] == '=') {
				*options[o].value = argv[i] + length + 1;
			} else if (i + 1 < argc) {
				*options[o].value = argv[++i];
				if (kept)
					argv[left++] = argv[i];
			} else {
				cli_fail(CLI_USAGE, "a value is missing for %s", argv[i]);
				return -1;
			}
		}
		if (!taken)
			argv[left++] = argv[i];
	}
	argv[left] = NULL;
	return left;
}

static void trim_url(char *copy)
{
	size_t length = strlen(copy);
	while (length && copy[length - 1] == '/')
		copy[--length] = 0;
	settings.url = copy;
}

/* ---- finding the row ---- */

static int unknown_command(const char *noun, const char *verb)
{
	bool noun_exists = false;
	for (const struct cli_command *command = cli_commands; command->noun; command++)
		noun_exists |= strcmp(command->noun, noun) == 0;
	if (!noun_exists)
		return cli_fail(CLI_USAGE, "there is no command %s (carbonctl help lists all)", noun);
	if (!verb)
		return cli_fail(CLI_USAGE, "%s needs a verb (carbonctl help %s lists them)", noun, noun);
	return cli_fail(CLI_USAGE, "%s has no verb %s (carbonctl help %s lists them)", noun, verb, noun);
}

static int dispatch(int argc, char **argv)
{
	const char *noun = argv[1], *verb = argc > 2 && argv[2][0] != '-' ? argv[2] : NULL;
	const struct cli_command *command = verb ? cli_command_find(noun, verb) : NULL;
	int skip = command ? 2 : 1;
	if (!command)
		command = cli_command_find(noun, NULL);
	if (cli_flag(argc, argv, "help")) {
		if (command) {
			cli_help_command(command);
			return CLI_OK;
		}
		char *words[] = {argv[0], argv[1], NULL};
		return cli_help(2, words);
	}
	if (!command)
		return unknown_command(noun, verb);
	return command->method ? cli_rest(command, argc - skip, argv + skip) : command->run(argc - skip, argv + skip);
}

/* The row that the words name, before the settings are taken out; NULL: none. */
static const struct cli_command *find_command(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0) {
			i += !strchr(argv[i], '=') && strcmp(argv[i], "--json") != 0;
			continue;
		}
		const struct cli_command *command = i + 1 < argc ? cli_command_find(argv[i], argv[i + 1]) : NULL;
		return command ? command : cli_command_find(argv[i], NULL);
	}
	return NULL;
}

int cli_main(int argc, char **argv)
{
	settings = (struct cli_settings){.url = "http://127.0.0.1:8080"};
	settings_from_environment();
	if (crypto_start() != ERR_OK)
		return cli_fail(CLI_REFUSED, "libsodium does not start");
	argc = take_settings(argc, argv, find_command(argc, argv));
	if (argc < 0)
		return CLI_USAGE;
	char *url = strdup(settings.url);
	if (!url)
		return cli_fail(CLI_REFUSED, "out of memory");
	trim_url(url);
	int code;
	if (argc > 1 && strcmp(argv[1], "--version") == 0)
		code = printf("carbonctl %s\n", CARBOND_VERSION) > 0 ? CLI_OK : CLI_REFUSED;
	else if (argc > 1 && argv[1][0] != '-')
		code = dispatch(argc, argv);
	else if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		code = cli_help(1, argv);
	else
		code = cli_fail(CLI_USAGE,
			argc > 1 ? "unknown option %s (carbonctl help)" : "a command is needed (carbonctl help)",
			argc > 1 ? argv[1] : "");
	free(url);
	return code;
}
