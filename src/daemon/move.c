/* Decides how `carbond migrate-store` names its two places and what it says at the end. It runs under the data directory's lock.
 * Main thread. */
#include <stdio.h>
#include <string.h>

#include "daemon.h"

/* A place as store.uri would name it; "sqlite:" alone is the data directory. */
static enum err open_place(
	struct daemon *daemon, const char *uri, struct store_options *ret_place, char text[], struct err_info *info)
{
	enum err err = daemon_store_options(daemon, ret_place, info);

	snprintf(text, PATH_MAX + 16, "%s%s", uri, strcmp(uri, "sqlite:") == 0 ? daemon->data_folder : "");
	ret_place->uri = text;
	return err;
}

static enum err move(struct daemon *daemon, const char *from, const char *to, struct store_move_report *ret_report,
	struct err_info *info)
{
	char from_text[PATH_MAX + 16], to_text[PATH_MAX + 16];
	struct store_options source, target;
	enum err err = crypto_start();

	err = err ? err_set(info, err, NULL, "the cryptographic library did not start") : daemon_places(daemon, info);
	if (!err)
		err = open_place(daemon, from, &source, from_text, info);
	if (!err)
		err = open_place(daemon, to, &target, to_text, info);
	/* where one of them is the data directory's own, its store locks it */
	if (!err)
		err = daemon_lock(daemon, strncmp(from_text, "sqlite:", 7) == 0 ? from_text : to_text, info);
	if (!err)
		err = store_move(&source, &target, ret_report, info);
	daemon_unlock(daemon);
	return err;
}

static void print_report(const struct store_move_report *report, bool json)
{
	char sum[HASH_TEXT_SIZE];

	hash_text(report->sum, sum);
	if (json) {
		json_t *answer = json_pack("{s:I, s:I, s:I, s:I, s:s, s:b}", "logs", (json_int_t)report->logs,
			"batches", (json_int_t)report->batches, "rows", (json_int_t)report->rows, "bytes",
			(json_int_t)report->bytes, "history", sum, "was_there", report->was_there);
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(answer);
		return;
	}
	printf("%s %zu logs, %lld batches, %lld rows, %lld bytes\n"
	       "compared    every batch with its guard keys and payload, every row: both places hold the same\n"
	       "history     %s\n"
	       "Name the new place in store.uri, and take the old one away: two that go on from here are two "
	       "histories.\n",
		report->was_there ? "was moved  " : "moved      ", report->logs, (long long)report->batches,
		(long long)report->rows, (long long)report->bytes, sum);
}

int verb_migrate_store(struct daemon *daemon, int count, char **items)
{
	struct words words = {count, items};
	bool json = words_flag(&words, "--json");
	const char *from = words_next(&words), *to = from ? words_next(&words) : NULL;
	struct store_move_report report;
	struct err_info info = {0};
	enum err err;

	if (!to || words.count > 0)
		return verb_usage("migrate-store", "FROM TO [--json]");
	log_set_level(LOG_LEVEL_WARN);
	err = move(daemon, from, to, &report, &info);
	if (err == ERR_STORE_LOCKED)
		err_set(&info, err, NULL, "carbond is running on %s: stop it first", daemon->data_folder);
	if (err)
		return verb_failed("migrate-store", &info);
	print_report(&report, json);
	return DAEMON_EXIT_OK;
}
