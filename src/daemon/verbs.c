/* The verbs that need a store and no running daemon: check, init and journal dump (backup.c has the others). Each runs under the
 * data directory's lock, prints its result on standard output and one line on standard error when it fails. Main thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/engine.h"
#include "carbond/identity.h"
#include "daemon.h"

/* ---- words ---- */

static void take_out(struct words *words, int index, int count)
{
	for (int i = index; i + count < words->count; i++)
		words->items[i] = words->items[i + count];
	words->count -= count;
}

bool words_flag(struct words *words, const char *name)
{
	for (int i = 0; i < words->count; i++) {
		if (strcmp(words->items[i], name) == 0) {
			take_out(words, i, 1);
			return true;
		}
	}
	return false;
}

/* "--name value" or "--name=value"; NULL: not given. */
const char *words_option(struct words *words, const char *name)
{
	size_t length = strlen(name);

	for (int i = 0; i < words->count; i++) {
		const char *word = words->items[i];
		if (strncmp(word, name, length) == 0 && word[length] == '=') {
			take_out(words, i, 1);
			return word + length + 1;
		}
		if (strcmp(word, name) == 0 && i + 1 < words->count) {
			const char *value = words->items[i + 1];
			take_out(words, i, 2);
			return value;
		}
	}
	return NULL;
}

const char *words_next(struct words *words)
{
	const char *word;

	if (words->count == 0 || strncmp(words->items[0], "--", 2) == 0)
		return NULL;
	word = words->items[0];
	take_out(words, 0, 1);
	return word;
}

int verb_usage(const char *verb, const char *text)
{
	fprintf(stderr, "carbond %s: usage: carbond %s %s\n", verb, verb, text);
	return DAEMON_EXIT_USAGE;
}

int verb_failed(const char *verb, const struct err_info *info)
{
	fprintf(stderr, "carbond %s: %s\n", verb, *info->detail ? info->detail : err_row(info->code)->title);
	return DAEMON_EXIT_FAILED;
}

int verb_run(struct daemon *daemon, int count, char **words)
{
	if (count > 0) {
		fprintf(stderr, "carbond run: unknown word %s; `carbond --help` lists all\n", words[0]);
		return DAEMON_EXIT_USAGE;
	}
	return daemon_run(daemon);
}

/* ---- check: would it start? Changes nothing, and may run beside the daemon ---- */

int verb_check(struct daemon *daemon, int count, char **words)
{
	struct store_options options;
	struct err_info info = {0};
	enum err err;

	(void)words;
	if (count > 0)
		return verb_usage("check", "");
	log_set_level(LOG_LEVEL_WARN);
	err = daemon_check_listener(daemon->conf, &info);
	if (!err)
		err = daemon_places(daemon, &info);
	if (!err)
		err = node_read(daemon->conf->data_dir, daemon->conf->node, &daemon->identity_file, &info);
	node_wipe(&daemon->identity_file);
	if (!err)
		err = daemon_store_options(daemon, &options, &info);
	if (!err)
		err = store_check(&options, &info);
	if (err)
		return verb_failed("check", &info);
	printf("%s, node %s: keys and schema fit this carbond\n", daemon->data_folder, daemon->conf->node);
	return DAEMON_EXIT_OK;
}

/* ---- init ---- */

static void print_first(
	const struct daemon *daemon, const struct organisation *organisation, const char *key, bool as_json)
{
	char id[ID_TEXT_SIZE], registry[ID_TEXT_SIZE];

	id_text(organisation->id, id);
	id_text(daemon->identity_file.registry, registry);
	if (as_json) {
		json_t *answer = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "data_dir", daemon->data_folder, "node",
			daemon->identity_file.node, "registry", registry, "organisation", organisation->slug,
			"organisation_id", id, "key", key);
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(answer);
		return;
	}
	printf("data directory   %s (node %s, registry %s)\n"
	       "organisation     %s (%s)\n"
	       "platform-admin   %s\n"
	       "This key is shown once. Keep it, and a copy of seal.keys and checkpoint.key, where the data is not.\n",
		daemon->data_folder, daemon->identity_file.node, registry, organisation->slug, id, key);
}

/* A further node on the same store: nothing is written there. */
static int join(const struct daemon *daemon, const char *from)
{
	struct err_info info = {0};
	enum err err = crypto_start();

	if (!err)
		err = node_join(daemon->conf->data_dir, daemon->conf->node, from, &info);
	if (err)
		return verb_failed("init", &info);
	printf("data directory   %s (node %s, of the registry of %s)\n", daemon->conf->data_dir, daemon->conf->node,
		from);
	return DAEMON_EXIT_OK;
}

int verb_init(struct daemon *daemon, int count, char **items)
{
	struct words words = {count, items};
	bool as_json = words_flag(&words, "--json");
	const char *slug = words_option(&words, "--organisation"), *name = words_option(&words, "--name");
	const char *country = words_option(&words, "--country"), *from = words_option(&words, "--join");
	struct organisation organisation = {
		.slug = slug, .name = name ? name : slug, .country = country ? country : "ZZ"};
	char key[IDENTITY_KEY_TEXT_SIZE] = "";
	struct err_info info = {0};
	enum err err;

	if (!slug == !from || words.count > 0)
		return verb_usage(
			"init", "--organisation SLUG [--name NAME] [--country CODE] [--json] | --join FOLDER");
	if (from)
		return join(daemon, from);
	log_set_level(LOG_LEVEL_WARN);
	err = crypto_start();
	if (!err)
		err = node_create(daemon->conf->data_dir, daemon->conf->node, clock_wall_us(), &info);
	if (!err)
		err = daemon_start(daemon, daemon_stages_through("identity"), &info);
	if (err)
		return verb_failed("init", &info);
	err = identity_init(daemon->identity, &organisation, key, &info);
	if (!err)
		print_first(daemon, &organisation, key, as_json);
	explicit_bzero(key, sizeof(key));
	daemon_stop(daemon);
	if (err == ERR_DUPLICATE)
		err_set(&info, err, NULL, "%s has been initialised before; `carbonctl keys` makes further keys",
			daemon->data_folder);
	return err ? verb_failed("init", &info) : DAEMON_EXIT_OK;
}

/* ---- journal dump ---- */

struct dump {
	int64_t to;
};

static enum err dump_event(void *context, const struct event *event)
{
	const struct dump *dump = context;
	json_t *line;

	if ((int64_t)event->header.number > dump->to)
		return ERR_NOT_FOUND; /* far enough */
	line = event_json(event);
	if (!line)
		return ERR_NO_MEMORY;
	json_dumpf(line, stdout, JSON_COMPACT);
	json_decref(line);
	putchar('\n');
	return ferror(stdout) ? ERR_IO : ERR_OK;
}

bool words_number(const char *text, int64_t absent, int64_t *ret_number)
{
	char *end;

	*ret_number = absent;
	if (!text)
		return true;
	*ret_number = strtoll(text, &end, 10);
	return *text && !*end && *ret_number >= 0;
}

int verb_journal(struct daemon *daemon, int count, char **items)
{
	struct words words = {count, items};
	const char *from_text = words_option(&words, "--from"), *to_text = words_option(&words, "--to");
	const char *action = words_next(&words);
	struct dump dump;
	struct err_info info = {0};
	int64_t from;
	enum err err;

	if (!action || strcmp(action, "dump") != 0 || words.count > 0 || !words_number(from_text, 1, &from) ||
		!words_number(to_text, INT64_MAX, &dump.to))
		return verb_usage("journal", "dump [--from NUMBER] [--to NUMBER]");
	log_set_level(LOG_LEVEL_WARN);
	err = daemon_start(daemon, daemon_stages_through("store"), &info);
	if (err)
		return verb_failed("journal", &info);
	err = engine_journal_read(daemon->store, from, dump_event, &dump, &info);
	daemon_stop(daemon);
	if (fflush(stdout) != 0 && !err)
		err = err_set(&info, ERR_IO, NULL, "standard output was closed");
	if (err && err != ERR_NOT_FOUND)
		return verb_failed("journal", &info);
	return DAEMON_EXIT_OK;
}
