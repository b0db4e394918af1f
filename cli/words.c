/* How the words of a command line are found: options, switches, positional arguments. "--at-least" and "--at_least" are one
 * option. One thread. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* Options that every command takes, with a value. */
static const char *const common[] = {"url", "key", "org", "socket", "output", NULL};

/* Compares a word's name ("at-least" of "--at-least=5") with an option's. */
static bool is_named(const char *word, const char *name)
{
	if (strncmp(word, "--", 2) != 0)
		return false;
	for (word += 2; *name && *word && *word != '='; word++, name++)
		if (*word != *name && !(strchr("-_", *word) && strchr("-_", *name)))
			return false;
	return !*name && (!*word || *word == '=');
}

const char *cli_option(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++) {
		if (!is_named(argv[i], name))
			continue;
		const char *equals = strchr(argv[i], '=');
		if (equals)
			return equals + 1;
		if (i + 1 < argc)
			return argv[i + 1];
	}
	return NULL;
}

bool cli_flag(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (is_named(argv[i], name))
			return true;
	return false;
}

static bool takes_value(const char *word, const struct cli_option *options)
{
	if (strchr(word, '='))
		return false; /* it has it already */
	for (const char *const *name = common; *name; name++)
		if (is_named(word, *name))
			return true;
	for (; options && options->name; options++)
		if (options->value && is_named(word, options->name))
			return true;
	return false;
}

const char *cli_positional(int argc, char **argv, const struct cli_option *options, int index)
{
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0)
			i += takes_value(argv[i], options);
		else if (index-- == 0)
			return argv[i];
	}
	return NULL;
}

const struct cli_command *cli_command_find(const char *noun, const char *verb)
{
	for (const struct cli_command *command = cli_commands; command->noun; command++) {
		if (strcmp(command->noun, noun) != 0)
			continue;
		if ((!command->verb && !verb) || (command->verb && verb && strcmp(command->verb, verb) == 0))
			return command;
	}
	return NULL;
}

enum err cli_read_file(
	struct arena *arena, const char *path, size_t most, char **ret_data, size_t *ret_size, struct err_info *info)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (!file)
		return err_set(info, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "", "%s: %s", path, strerror(errno));
	enum err err = ERR_OK;
	char *data = NULL;
	size_t size = 0, capacity = 0;
	for (;;) {
		if (size == capacity) {
			size_t wider = capacity ? capacity * 2 : 64u << 10;
			char *copy = arena_alloc(arena, wider + 1);
			if (!copy) {
				err = err_set(info, ERR_TOO_LARGE, "", "%s: too large to be read", path);
				break;
			}
			if (size)
				memcpy(copy, data, size);
			data = copy;
			capacity = wider;
		}
		size_t got = fread(data + size, 1, capacity - size, file);
		size += got;
		if (size > most)
			err = err_set(info, ERR_TOO_LARGE, "", "%s: larger than %zu bytes", path, most);
		else if (ferror(file))
			err = err_set(info, ERR_IO, "", "%s: %s", path, strerror(errno));
		if (err != ERR_OK || got == 0)
			break;
	}
	if (file != stdin)
		fclose(file);
	if (err != ERR_OK)
		return err;
	data[size] = 0;
	*ret_data = data;
	*ret_size = size;
	return ERR_OK;
}
