/* What is made from the command table: help, the man page, completion, the list of operations. One thread. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct cli_option common_options[] = {
	{"url", "URL", "the daemon's address (CARBOND_URL; default http://127.0.0.1:8080)"},
	{"key", "KEY", "the API key (CARBOND_API_KEY)"},
	{"org", "SLUG|ID", "the organisation, where a command takes one (CARBOND_ORG)"},
	{"socket", "PATH", "the daemon's admin socket (CARBOND_SOCKET; default admin.sock in the data directory)"},
	{"json", NULL, "JSON instead of a table"},
	{"output", "FILE", "where a download goes (default: standard output)"},
	{"help", NULL, "help for the command"},
	{NULL, NULL, NULL},
};

static const struct cli_option all_option = {"all", NULL, "every page, as one list"};
static const struct cli_option if_match_option = {
	"if-match", "VERSION", "change only this version (default: the one that is there now)"};
static const struct cli_option key_option = {
	"idempotency-key", "UUID", "of a request that is repeated (default: a new UUIDv7)"};
static const struct cli_option content_type_option = {
	"content-type", "TYPE", "media type of the body (default: by the file's ending)"};

static const struct {
	int code;
	const char *doc;
} exits[] = {
	{CLI_OK, "done"},
	{CLI_REFUSED, "refused: the server answered 4xx, or the command could not be carried out"},
	{CLI_USAGE, "the command line is wrong"},
	{CLI_UNREACHABLE, "no answer from the server"},
	{CLI_SERVER_FAILED, "the server failed: 5xx"},
	{CLI_VERIFY_FAILED, "verify: a check fails"},
	{CLI_SIGNERS_UNTRUSTED, "verify: consistent, but the signers are not trusted"},
};

static bool has_verb(const struct cli_command *command)
{
	return command->verb != NULL;
}

static bool is_first_of_noun(const struct cli_command *command)
{
	for (const struct cli_command *before = cli_commands; before < command; before++)
		if (strcmp(before->noun, command->noun) == 0)
			return false;
	return true;
}

/* "units update ID key=value …|@FILE" */
static void print_synopsis(const struct cli_command *command)
{
	printf("carbonctl %s%s%s", command->noun, has_verb(command) ? " " : "", has_verb(command) ? command->verb : "");
	for (const char *at = command->path ? command->path : ""; (at = strchr(at, '{')); at++) {
		putchar(' ');
		for (const char *letter = at + 1; *letter && *letter != '}'; letter++)
			putchar(toupper((unsigned char)*letter));
	}
	if (command->arguments)
		printf(" %s", command->arguments);
	if (command->flags & CLI_BODY)
		printf(" key=value ... | @FILE | -");
	if (command->flags & CLI_BODY_FILE)
		printf(" @FILE | -");
}

/* Calls `each` for every option of the command, its own first. */
static void each_option(const struct cli_command *command, void (*each)(const struct cli_option *option))
{
	for (const struct cli_option *option = command->options; option && option->name; option++)
		each(option);
	if (command->flags & CLI_PAGED)
		each(&all_option);
	if (command->flags & CLI_IF_MATCH)
		each(&if_match_option);
	if (command->flags & CLI_VALUE)
		each(&key_option);
	if (command->flags & CLI_BODY_FILE)
		each(&content_type_option);
}

/* ---- help ---- */

static void help_option(const struct cli_option *option)
{
	char name[64];
	snprintf(name, sizeof name, "--%s%s%s", option->name, option->value ? " " : "",
		option->value ? option->value : "");
	printf("  %-26s %s\n", name, option->doc);
}

static void help_indented(const char *lines)
{
	while (lines && *lines) {
		int length = (int)strcspn(lines, "\n");
		printf("  %.*s\n", length, lines);
		lines += length + (lines[length] == '\n');
	}
}

void cli_help_command(const struct cli_command *command)
{
	if (command->usage) {
		fputs(command->usage, stdout);
		return;
	}
	print_synopsis(command);
	printf("\n\n%s.\n", command->doc);
	if (command->flags & CLI_BODY)
		printf("\nThe body: key=value words, where a value that is JSON is taken as it is, @PATH is a file's "
		       "content and\n"
		       "everything else is text; place.town=x makes objects. Or a whole document from @FILE or - "
		       "(standard input).\n");
	if (command->options || command->flags & (CLI_PAGED | CLI_IF_MATCH | CLI_VALUE | CLI_BODY_FILE)) {
		printf("\noptions\n");
		each_option(command, help_option);
	}
	if (command->examples) {
		printf("\nexamples\n");
		help_indented(command->examples);
	}
	if (command->method)
		printf("\n%s %s, operation %s\n", command->method, command->path, command->operation);
}

static void help_noun(const char *noun)
{
	for (const struct cli_command *command = cli_commands; command->noun; command++) {
		if (strcmp(command->noun, noun) != 0)
			continue;
		print_synopsis(command);
		printf("\n    %s\n", command->doc);
	}
	printf("\ncarbonctl help %s VERB tells more.\n", noun);
}

static void help_all(void)
{
	printf("carbonctl: works with a carbond daemon, verifies without one\n\n");
	for (const struct cli_command *command = cli_commands; command->noun; command++) {
		if (!has_verb(command)) {
			printf("  %-18s %s\n", command->noun, command->doc);
			continue;
		}
		if (!is_first_of_noun(command))
			continue;
		printf("  %-18s ", command->noun);
		const char *separator = "";
		for (const struct cli_command *verb = command; verb->noun; verb++) {
			if (strcmp(verb->noun, command->noun) != 0 || !has_verb(verb))
				continue;
			printf("%s%s", separator, verb->verb);
			separator = ", ";
		}
		putchar('\n');
	}
	printf("\noptions of every command\n");
	for (const struct cli_option *option = common_options; option->name; option++)
		help_option(option);
	printf("\nexit codes\n");
	for (size_t i = 0; i < sizeof exits / sizeof *exits; i++)
		printf("  %d  %s\n", exits[i].code, exits[i].doc);
	printf("\ncarbonctl help NOUN [VERB] tells more; `carbonctl completion bash` and `carbonctl man` print what a "
	       "shell and man take.\n");
}

int cli_help(int argc, char **argv)
{
	if (argc < 2) {
		help_all();
		return CLI_OK;
	}
	const struct cli_command *command = cli_command_find(argv[1], argc > 2 ? argv[2] : NULL);
	bool is_noun = false;
	for (const struct cli_command *row = cli_commands; row->noun; row++)
		is_noun |= strcmp(row->noun, argv[1]) == 0;
	if (command)
		cli_help_command(command);
	else if (is_noun && argc == 2)
		help_noun(argv[1]);
	else
		return cli_fail(
			CLI_USAGE, "there is no command %s%s%s", argv[1], argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
	return CLI_OK;
}

int cli_operations(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (const struct cli_command *command = cli_commands; command->noun; command++)
		if (command->operation)
			puts(command->operation);
	return CLI_OK;
}

/* ---- completion ---- */

static void word_option(const struct cli_option *option)
{
	printf("--%s%s ", option->name, option->value ? "=" : "");
}

static void print_verbs(const char *noun)
{
	for (const struct cli_command *command = cli_commands; command->noun; command++)
		if (strcmp(command->noun, noun) == 0 && has_verb(command))
			printf("%s ", command->verb);
}

static void completion_bash(void)
{
	printf("# bash completion for carbonctl: source <(carbonctl completion bash)\n"
	       "_carbonctl() {\n"
	       "\tlocal word=${COMP_WORDS[COMP_CWORD]} noun=${COMP_WORDS[1]:-} verb=${COMP_WORDS[2]:-} words=\n"
	       "\tlocal common=\"");
	for (const struct cli_option *option = common_options; option->name; option++)
		word_option(option);
	printf("\"\n\tCOMPREPLY=()\n\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\twords=\"");
	for (const struct cli_command *command = cli_commands; command->noun; command++)
		if (is_first_of_noun(command))
			printf("%s ", command->noun);
	printf("\"\n\telif [ \"$COMP_CWORD\" -eq 2 ] && [[ $word != -* ]]; then\n\t\tcase $noun in\n");
	for (const struct cli_command *command = cli_commands; command->noun; command++) {
		if (!is_first_of_noun(command) || !has_verb(command))
			continue;
		printf("\t\t%s) words=\"", command->noun);
		print_verbs(command->noun);
		printf("\" ;;\n");
	}
	printf("\t\thelp) words=\"");
	for (const struct cli_command *command = cli_commands; command->noun; command++)
		if (is_first_of_noun(command))
			printf("%s ", command->noun);
	printf("\" ;;\n\t\tesac\n\telif [[ $word == @* ]]; then\n"
	       "\t\tmapfile -t COMPREPLY < <(compgen -P @ -f -- \"${word#@}\")\n\t\treturn\n"
	       "\telse\n\t\tcase \"$noun $verb\" in\n");
	for (const struct cli_command *command = cli_commands; command->noun; command++) {
		printf("\t\t\"%s %s\"*) words=\"", command->noun, has_verb(command) ? command->verb : "");
		each_option(command, word_option);
		printf("$common\" ;;\n");
	}
	printf("\t\t*) words=$common ;;\n\t\tesac\n\tfi\n"
	       "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
	       "\t[[ ${COMPREPLY[0]:-} == *= ]] && compopt -o nospace\n"
	       "\t[ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
	       "}\ncomplete -F _carbonctl carbonctl\n");
}

/* A description inside single quotes, for _describe and _arguments: no quote, no colon, no bracket. */
static void print_zsh_text(const char *text)
{
	for (; *text; text++)
		if (!strchr("'[]:", *text))
			putchar(*text);
		else if (*text == ':')
			fputs("\\:", stdout);
}

static void zsh_option(const struct cli_option *option)
{
	printf("\t\t\t'--%s%s[", option->name, option->value ? "=" : "");
	print_zsh_text(option->doc);
	printf("]%s%s%s' \\\n", option->value ? ":" : "", option->value ? option->value : "",
		option->value ? ":_files" : "");
}

static void completion_zsh(void)
{
	printf("#compdef carbonctl\n# zsh completion for carbonctl: carbonctl completion zsh > "
	       "\"${fpath[1]}/_carbonctl\"\n"
	       "_carbonctl() {\n\tlocal -a nouns verbs\n\tnouns=(\n");
	for (const struct cli_command *command = cli_commands; command->noun; command++) {
		if (!is_first_of_noun(command))
			continue;
		printf("\t\t'%s:", command->noun);
		if (has_verb(command))
			print_verbs(command->noun);
		else
			print_zsh_text(command->doc);
		printf("'\n");
	}
	printf("\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command nouns\n\t\treturn\n\tfi\n"
	       "\tif (( CURRENT == 3 )); then\n\t\tcase $words[2] in\n");
	for (const struct cli_command *command = cli_commands; command->noun; command++) {
		if (!is_first_of_noun(command) || !has_verb(command))
			continue;
		printf("\t\t%s) verbs=(", command->noun);
		for (const struct cli_command *verb = command; verb->noun; verb++) {
			if (strcmp(verb->noun, command->noun) != 0 || !has_verb(verb))
				continue;
			printf("'%s:", verb->verb);
			print_zsh_text(verb->doc);
			printf("' ");
		}
		printf("); _describe verb verbs; return ;;\n");
	}
	printf("\t\tesac\n\tfi\n\tcase \"$words[2] $words[3]\" in\n");
	for (const struct cli_command *command = cli_commands; command->noun; command++) {
		printf("\t'%s %s'*)\n\t\t_arguments \\\n", command->noun, has_verb(command) ? command->verb : "");
		each_option(command, zsh_option);
		for (const struct cli_option *option = common_options; option->name; option++)
			zsh_option(option);
		printf("\t\t\t'*:word:_files'\n\t\t;;\n");
	}
	printf("\tesac\n}\n_carbonctl \"$@\"\n");
}

int cli_completion(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "bash") == 0)
		completion_bash();
	else if (argc == 2 && strcmp(argv[1], "zsh") == 0)
		completion_zsh();
	else
		return cli_fail(CLI_USAGE, "completion: bash or zsh");
	return CLI_OK;
}

/* ---- man page ---- */

/* Text for roff: backslashes and hyphens escaped, no line begins with a control character. */
static void print_roff(const char *text)
{
	bool at_start = true;
	for (; *text; text++) {
		if (at_start && (*text == '.' || *text == '\''))
			fputs("\\&", stdout);
		at_start = *text == '\n';
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
	}
}

static void man_option(const struct cli_option *option)
{
	printf(".TP\n.BR \\-\\-");
	print_roff(option->name);
	if (option->value) {
		printf(" \\~ ");
		print_roff(option->value);
	}
	putchar('\n');
	print_roff(option->doc);
	putchar('\n');
}

static void man_command(const struct cli_command *command)
{
	printf(".SS ");
	print_synopsis(command);
	putchar('\n');
	print_roff(command->doc);
	puts(".");
	if (command->usage) {
		puts(".PP\n.nf");
		print_roff(command->usage);
		puts(".fi");
		return;
	}
	puts(".RS");
	each_option(command, man_option);
	puts(".RE");
	if (command->examples) {
		puts(".PP\n.nf\n.RS");
		print_roff(command->examples);
		puts("\n.RE\n.fi");
	}
}

int cli_man(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf(".TH CARBONCTL 1 \"\" \"carbond %s\" \"carbond\"\n", CARBOND_VERSION);
	puts(".SH NAME\ncarbonctl \\- works with a carbond daemon, and verifies without one\n"
	     ".SH SYNOPSIS\n.B carbonctl\n.RI [ options ]\\~ noun \\~[ verb ]\\~[ arguments ]\n"
	     ".SH DESCRIPTION\n"
	     "Resources are named by noun and verb and stand for the routes of the daemon's REST interface. Bodies are "
	     "given as\n"
	     ".IR key = value\nwords, where a value that is JSON is taken as it is,\n.RI @ path\n"
	     "is a file's content and everything else is text;\n.B place.town=x\nmakes objects; or as a whole document "
	     "from\n"
	     ".RI @ file\nor\n.B \\-\n(standard input).\n.SH OPTIONS");
	for (const struct cli_option *option = common_options; option->name; option++)
		man_option(option);
	puts(".SH COMMANDS");
	for (const struct cli_command *command = cli_commands; command->noun; command++)
		man_command(command);
	puts(".SH EXIT STATUS");
	for (size_t i = 0; i < sizeof exits / sizeof *exits; i++) {
		printf(".TP\n.B %d\n", exits[i].code);
		print_roff(exits[i].doc);
		putchar('\n');
	}
	puts(".SH ENVIRONMENT\n.TP\n.BR CARBOND_URL \", \" CARBOND_API_KEY \", \" CARBOND_ORG \", \" CARBOND_SOCKET\n"
	     "stand for \\-\\-url, \\-\\-key, \\-\\-org and \\-\\-socket.\n.TP\n.B CARBOND_DAEMON\n"
	     "the carbond binary that init, restore, backup and journal dump run.");
	return CLI_OK;
}
