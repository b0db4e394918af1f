/* The verbs that need a store and no running daemon: check, init, backup, restore with its drill, journal dump. Each runs under the
 * data directory's lock, prints its result on standard output and one line on standard error when it fails. Main thread. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carbond/engine.h"
#include "carbond/identity.h"
#include "daemon.h"

/* ---- words ---- */

struct words {
	int count;
	char **items;
};

static void take_out(struct words *words, int index, int count)
{
	for (int i = index; i + count < words->count; i++)
		words->items[i] = words->items[i + count];
	words->count -= count;
}

static bool take_flag(struct words *words, const char *name)
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
static const char *take_option(struct words *words, const char *name)
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

static const char *take_word(struct words *words)
{
	const char *word;

	if (words->count == 0 || strncmp(words->items[0], "--", 2) == 0)
		return NULL;
	word = words->items[0];
	take_out(words, 0, 1);
	return word;
}

static int usage(const char *verb, const char *text)
{
	fprintf(stderr, "carbond %s: usage: carbond %s %s\n", verb, verb, text);
	return DAEMON_EXIT_USAGE;
}

static int failed(const char *verb, const struct err_info *info)
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
	struct err_info info = {0};
	enum err err;

	(void)words;
	if (count > 0)
		return usage("check", "");
	log_set_level(LOG_LEVEL_WARN);
	err = daemon_check_listener(daemon->conf, &info);
	if (!err)
		err = daemon_places(daemon, &info);
	if (!err)
		err = node_read(daemon->conf->data_dir, daemon->conf->node, &daemon->identity_file, &info);
	node_wipe(&daemon->identity_file);
	if (!err)
		err = store_check(&(struct store_options){.uri = daemon->store_uri,
					  .migrations_folder = daemon->migrations_folder},
			&info);
	if (err)
		return failed("check", &info);
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

int verb_init(struct daemon *daemon, int count, char **items)
{
	struct words words = {count, items};
	bool as_json = take_flag(&words, "--json");
	const char *slug = take_option(&words, "--organisation"), *name = take_option(&words, "--name");
	const char *country = take_option(&words, "--country");
	struct organisation organisation = {
		.slug = slug, .name = name ? name : slug, .country = country ? country : "ZZ"};
	char key[IDENTITY_KEY_TEXT_SIZE] = "";
	struct err_info info = {0};
	enum err err;

	if (!slug || words.count > 0)
		return usage("init", "--organisation SLUG [--name NAME] [--country CODE] [--json]");
	log_set_level(LOG_LEVEL_WARN);
	err = crypto_start();
	if (!err)
		err = node_create(daemon->conf->data_dir, daemon->conf->node, clock_wall_us(), &info);
	if (!err)
		err = daemon_start(daemon, daemon_stages_through("identity"), &info);
	if (err)
		return failed("init", &info);
	err = identity_init(daemon->identity, &organisation, key, &info);
	if (!err)
		print_first(daemon, &organisation, key, as_json);
	explicit_bzero(key, sizeof(key));
	daemon_stop(daemon);
	if (err == ERR_DUPLICATE)
		err_set(&info, err, NULL, "%s has been initialised before; `carbonctl keys` makes further keys",
			daemon->data_folder);
	return err ? failed("init", &info) : DAEMON_EXIT_OK;
}

/* ---- backup and restore ---- */

enum err daemon_backup(struct daemon *daemon, const char *folder, bool keys, struct err_info *info)
{
	enum err err = store_backup(daemon->store, folder, info);

	if (!err)
		err = node_copy(daemon->data_folder, folder, keys, info);
	if (!err)
		health_backup_note(daemon, clock_wall_us());
	return err;
}

int verb_backup(struct daemon *daemon, int count, char **items)
{
	struct words words = {count, items};
	bool keys = take_flag(&words, "--with-keys");
	const char *folder = take_word(&words);
	struct err_info info = {0};
	enum err err;

	if (!folder || words.count > 0)
		return usage("backup", "FOLDER [--with-keys]");
	log_set_level(LOG_LEVEL_WARN);
	err = daemon_start(daemon, daemon_stages_through("store"), &info);
	if (err == ERR_STORE_LOCKED)
		err_set(&info, err, NULL, "carbond is running on %s: use `carbonctl backup %s`", daemon->conf->data_dir,
			folder);
	if (err)
		return failed("backup", &info);
	err = daemon_backup(daemon, folder, keys, &info);
	daemon_stop(daemon);
	if (err)
		return failed("backup", &info);
	printf("backed up %s to %s%s\n", daemon->data_folder, folder,
		keys ? " with its keys" : "; seal.keys and checkpoint.key are not in it");
	return DAEMON_EXIT_OK;
}

static bool has_file(const char *folder, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path) && access(path, F_OK) == 0;
}

/* Puts a backup into a data directory, with the keys where the backup holds them. */
static enum err put_back(const char *backup, const char *data_folder, struct err_info *info)
{
	enum err err;

	if (mkdir(data_folder, 0700) != 0 && access(data_folder, W_OK) != 0)
		return err_set(info, ERR_IO, NULL, "cannot make %s", data_folder);
	err = store_restore(backup, data_folder, info);
	return err ? err : node_copy(backup, data_folder, has_file(backup, "seal.keys"), info);
}

static int restore(const char *backup, struct daemon *daemon)
{
	const char *data_folder = daemon->conf->data_dir;
	struct err_info info = {0};

	if (put_back(backup, data_folder, &info))
		return failed("restore", &info);
	printf("restored %s to %s\n", backup, data_folder);
	if (!has_file(data_folder, "seal.keys") || !has_file(data_folder, "checkpoint.key"))
		printf("Put this node's seal.keys and checkpoint.key into %s before you start carbond.\n", data_folder);
	return DAEMON_EXIT_OK;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

/* A restore into a folder of its own that is started as far as the engine, which replays the whole journal, and thrown away:
 * proves that the backup is one. */
static int drill(const char *backup, struct daemon *daemon)
{
	const char *temporary = getenv("TMPDIR"),
		   *keys_from = has_file(backup, "seal.keys") ? backup : daemon->conf->data_dir;
	char folder[PATH_MAX];
	struct err_info info = {0};
	long long position = 0;
	enum err err;

	snprintf(folder, sizeof(folder), "%s/carbond-drill.XXXXXX", temporary && *temporary ? temporary : "/tmp");
	if (!mkdtemp(folder)) {
		fprintf(stderr, "carbond restore: cannot make a folder for the drill: %s\n", folder);
		return DAEMON_EXIT_FAILED;
	}
	err = put_back(backup, folder, &info);
	if (!err && keys_from != backup)
		err = node_copy(keys_from, folder, true, &info);
	if (!err) {
		daemon->conf->data_dir = folder;
		err = daemon_start(daemon, daemon_stages_through("engine"), &info);
	}
	if (!err) {
		position = engine_position(daemon->engine);
		daemon_stop(daemon);
	}
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (err)
		return failed("restore", &info);
	printf("%s restores: the journal replays to event %lld\n", backup, position);
	return DAEMON_EXIT_OK;
}

int verb_restore(struct daemon *daemon, int count, char **items)
{
	struct words words = {count, items};
	bool only_drill = take_flag(&words, "--drill");
	const char *folder = take_word(&words);

	if (!folder || words.count > 0)
		return usage("restore", "FOLDER [--drill]");
	log_set_level(LOG_LEVEL_WARN);
	return only_drill ? drill(folder, daemon) : restore(folder, daemon);
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

static bool read_number(const char *text, int64_t absent, int64_t *ret_number)
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
	const char *from_text = take_option(&words, "--from"), *to_text = take_option(&words, "--to");
	const char *action = take_word(&words);
	struct dump dump;
	struct err_info info = {0};
	int64_t from;
	enum err err;

	if (!action || strcmp(action, "dump") != 0 || words.count > 0 || !read_number(from_text, 1, &from) ||
		!read_number(to_text, INT64_MAX, &dump.to))
		return usage("journal", "dump [--from NUMBER] [--to NUMBER]");
	log_set_level(LOG_LEVEL_WARN);
	err = daemon_start(daemon, daemon_stages_through("store"), &info);
	if (err)
		return failed("journal", &info);
	err = engine_journal_read(daemon->store, from, dump_event, &dump, &info);
	daemon_stop(daemon);
	if (fflush(stdout) != 0 && !err)
		err = err_set(&info, ERR_IO, NULL, "standard output was closed");
	if (err && err != ERR_NOT_FOUND)
		return failed("journal", &info);
	return DAEMON_EXIT_OK;
}
