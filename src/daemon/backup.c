/* Decides who signs a backup and whose is trusted, where a journal is cut, and what a drill measures. The verbs run under the
 * data directory's lock, print their result on standard output and one line on standard error when they fail. Main thread;
 * daemon_backup also on the admin thread. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carbond/engine.h"
#include "carbond/events.h"
#include "carbond/signer.h"
#include "daemon.h"

#define VIEWS_WAIT_US (600 * CLOCK_US_PER_SECOND) /* for the views of a drill */

/* ---- backup ---- */

static enum err sign(
	void *context, const void *data, size_t size, struct signature *ret_signature, struct err_info *info)
{
	return signer_sign(context, SIGNER_CHECKPOINT, SIGNER_BACKUP_DOMAIN, data, size, ret_signature, info);
}

enum err daemon_backup(struct daemon *daemon, const char *folder, bool keys, struct store_backup_report *ret_report,
	struct err_info *info)
{
	static const char *const names[] = {"node.json", "seal.keys", "checkpoint.key"};
	char paths[3][PATH_MAX + 32], registry[ID_TEXT_SIZE];
	struct signer *signer = signer_new();
	struct sign_public key;
	struct store_backup_options options = {.folder = folder,
		.node = daemon->identity_file.node,
		.registry = id_text(daemon->identity_file.registry, registry),
		.key = &key,
		.sign = sign,
		.context = signer};
	enum err err = signer ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the signer");

	for (int i = 0; i < (keys ? 3 : 1); i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", daemon->data_folder, names[i]);
		options.extras[i] = (struct store_backup_extra){.path = paths[i], .name = names[i]};
	}
	if (!err)
		err = signer_key_add(signer, SIGNER_CHECKPOINT, &daemon->identity_file.checkpoint_key, info);
	if (!err)
		err = signer_public(signer, SIGNER_CHECKPOINT, &key, info);
	if (!err)
		err = store_backup(daemon->store, &options, ret_report, info);
	if (!err)
		health_backup_note(daemon, ret_report->created_us);
	signer_free(&signer);
	return err;
}

int verb_backup(struct daemon *daemon, int count, char **items)
{
	struct words words = {count, items};
	bool keys = words_flag(&words, "--with-keys");
	const char *folder = words_next(&words);
	struct store_backup_report report;
	struct err_info info = {0};
	enum err err;

	if (!folder || words.count > 0)
		return verb_usage("backup", "FOLDER [--with-keys]");
	log_set_level(LOG_LEVEL_WARN);
	err = daemon_start(daemon, daemon_stages_through("store"), &info);
	if (err == ERR_STORE_LOCKED)
		err_set(&info, err, NULL, "carbond is running on %s: use `carbonctl backup %s`", daemon->conf->data_dir,
			folder);
	if (err)
		return verb_failed("backup", &info);
	err = daemon_backup(daemon, folder, keys, &report, &info);
	daemon_stop(daemon);
	if (err)
		return verb_failed("backup", &info);
	printf("backed up %s to %s: %lld new batches, %lld rows, %lld bytes%s\n", daemon->data_folder, report.path,
		(long long)report.batches, (long long)report.rows, (long long)report.bytes,
		keys ? ", with its keys" : "; seal.keys and checkpoint.key are not in it");
	return DAEMON_EXIT_OK;
}

/* ---- putting it back ---- */

/* A journal batch is one durable moment and is kept whole or not at all. */
struct cut {
	int64_t position; /* INT64_MAX: nothing is cut */
	int64_t kept, last;
};

static bool keeps(void *context, const struct store_batch *batch)
{
	struct cut *cut = context;
	int64_t last = engine_batch_position(batch);

	if (last <= cut->position)
		cut->kept = last;
	cut->last = last;
	return last <= cut->position;
}

struct restored {
	const char *backup, *reason;
	struct sign_public key; /* that must have signed it */
	bool has_key;
	struct cut cut;
	/* out */
	struct store_backup_report report;
	struct engine_replay replay; /* of what was kept */
	int64_t position;            /* of the record of it */
};

static bool has_file(const char *folder, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path) && access(path, F_OK) == 0;
}

/* Whose data it is, by the backup's signed manifest and by the directory's own node.json. */
static enum err take_identity(const struct restored *restored, const char *data_folder,
	struct node_identity *ret_identity, struct err_info *info)
{
	const struct store_backup_report *report = &restored->report;
	char registry[ID_TEXT_SIZE];
	enum err err = node_copy(report->path, data_folder, has_file(report->path, "seal.keys"), info);

	if (!err)
		err = node_identity_read(data_folder, ret_identity, info);
	if (!err && (strcmp(ret_identity->node, report->node) != 0 ||
			    strcmp(id_text(ret_identity->registry, registry), report->registry) != 0))
		err = err_set(info, ERR_INVALID_CONFIG, NULL, "%s is node %s of registry %s, the backup that of %s, %s",
			data_folder, ret_identity->node, registry, report->node, report->registry);
	return err;
}

static enum err record(
	struct store *store, struct restored *restored, const struct node_identity *identity, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct vault_row reason;
	struct engine_restore restore = {.node = identity->node,
		.registry = identity->registry,
		.now_us = clock_wall_us(),
		.lost_seq = restored->report.lost.seq,
		.lost_term = restored->report.lost.term,
		.lost_head = restored->report.lost.hash,
		.lost_position = restored->report.lost.seq ? restored->cut.last : 0};
	enum err err = arena ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory to restore");

	if (!err && restored->reason) {
		err = vault_make((struct id){0}, "restore", restored->reason, restore.now_us, arena, &reason);
		restore.reason = &reason;
	}
	if (!err)
		err = engine_replay_check(store, identity->registry, &restored->replay, info);
	if (!err)
		err = engine_record_restore(store, &restore, &restored->position, info);
	arena_free(&arena);
	return err;
}

/* Keys that lie there already, or in the backup, seal a reason; without one, everything is put back as it is. */
static enum err take_keys(struct daemon *daemon, const struct restored *restored,
	const struct store_restore_options *options, struct err_info *info)
{
	struct store_backup_report report;
	struct err_info ignored;
	enum err err = node_read(daemon->data_folder, daemon->conf->node, &daemon->identity_file, &ignored);

	if (!err || !restored->reason)
		return ERR_OK;
	err = store_backup_check(options, &report, info);
	if (!err && !has_file(report.path, "seal.keys"))
		err = err_set(info, ERR_INVALID_CONFIG, NULL,
			"--reason is kept sealed: put this node's keys into %s first", daemon->data_folder);
	if (!err)
		err = node_copy(report.path, daemon->data_folder, true, info);
	return err ? err : node_read(daemon->data_folder, daemon->conf->node, &daemon->identity_file, info);
}

/* Puts a backup into the data directory, with the keys where the backup holds them. */
static enum err put_back(struct daemon *daemon, struct restored *restored, struct err_info *info)
{
	struct store_options place;
	struct store_restore_options options = {.folder = restored->backup,
		.key = restored->has_key ? &restored->key : NULL,
		.cut_stream = ENGINE_STREAM,
		.keeps = keeps,
		.context = &restored->cut};
	struct store *store = NULL;
	struct node_identity identity;
	enum err err = crypto_start();

	err = err ? err_set(info, err, NULL, "the cryptographic library did not start") : daemon_places(daemon, info);
	if (!err && mkdir(daemon->data_folder, 0700) != 0 && access(daemon->data_folder, W_OK) != 0)
		err = err_set(info, ERR_IO, NULL, "cannot make %s", daemon->data_folder);
	if (err)
		return err;
	err = daemon_lock(daemon, daemon->store_uri, info);
	if (err)
		return err;
	err = take_keys(daemon, restored, &options, info);
	if (!err)
		err = daemon_store_options(daemon, &place, info);
	if (!err)
		err = store_restore(&place, &options, &store, &restored->report, info);
	if (!err)
		err = take_identity(restored, daemon->data_folder, &identity, info);
	if (!err)
		err = record(store, restored, &identity, info);
	if (!err)
		err = store_restore_finish(store, info);
	store_close(&store);
	node_wipe(&daemon->identity_file);
	daemon_unlock(daemon);
	return err;
}

/* A position that the backup does not reach is found out before anything is written. */
static enum err check_position(struct restored *restored, struct err_info *info)
{
	struct store_backup_report report;
	struct store_restore_options options = {.folder = restored->backup,
		.key = restored->has_key ? &restored->key : NULL,
		.cut_stream = ENGINE_STREAM,
		.keeps = keeps,
		.context = &restored->cut};
	enum err err;

	if (restored->cut.position == INT64_MAX)
		return ERR_OK;
	err = store_backup_check(&options, &report, info);
	if (!err && restored->cut.last < restored->cut.position)
		err = err_set(
			info, ERR_NOT_FOUND, NULL, "the backup ends at event %lld", (long long)restored->cut.last);
	return err;
}

/* ---- what is said of it ---- */

static void print_trust(const struct restored *restored)
{
	char key[2 * sizeof(restored->report.key) + 1];

	hex_text(&restored->report.key, sizeof(restored->report.key), key);
	if (restored->has_key)
		printf("signed by   %s, the key that was expected\n", key);
	else
		printf("signed by   %s: nothing here vouches for this key; compare it with the node's\n", key);
}

static void print_replay(const struct restored *restored)
{
	const struct engine_replay *replay = &restored->replay;
	char state[HASH_TEXT_SIZE], root[HASH_TEXT_SIZE], as_of[CLOCK_TEXT_SIZE];

	printf("backup      step %u of %s, as of %s: %lld batches, %lld rows, %lld bytes read\n", restored->report.step,
		restored->backup, clock_text(restored->report.created_us, as_of), (long long)restored->report.batches,
		(long long)restored->report.rows, (long long)restored->report.bytes);
	print_trust(restored);
	printf("journal     event %lld, state %s, root %s\n", (long long)replay->position,
		hash_text(replay->state, state), hash_text(replay->root, root));
	printf("balance     issued %lld kg = held %lld, buffer %lld, retired %lld, cancelled %lld and others; every "
	       "asset sums to zero\n",
		(long long)replay->issued_kg, (long long)replay->state_kg[KG_HELD],
		(long long)replay->state_kg[KG_BUFFER], (long long)replay->state_kg[KG_RETIRED],
		(long long)replay->state_kg[KG_CANCELLED]);
	if (restored->report.lost.seq)
		printf("cut         events %lld to %lld of the backup are left out\n", (long long)replay->position + 1,
			(long long)restored->cut.last);
}

static json_t *as_json(const struct restored *restored)
{
	const struct engine_replay *replay = &restored->replay;
	char state[HASH_TEXT_SIZE], root[HASH_TEXT_SIZE], as_of[CLOCK_TEXT_SIZE],
		key[2 * sizeof(restored->report.key) + 1];

	return json_pack("{s:s, s:i, s:s, s:s, s:b, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "backup",
		restored->backup, "step", (int)restored->report.step, "as_of",
		clock_text(restored->report.created_us, as_of), "key",
		hex_text(&restored->report.key, sizeof(restored->report.key), key), "key_expected", restored->has_key,
		"position", (json_int_t)replay->position, "state_hash", hash_text(replay->state, state), "journal_root",
		hash_text(replay->root, root), "issued_kg", (json_int_t)replay->issued_kg, "held_kg",
		(json_int_t)replay->state_kg[KG_HELD], "retired_kg", (json_int_t)replay->state_kg[KG_RETIRED],
		"lost_events", (json_int_t)(restored->report.lost.seq ? restored->cut.last - replay->position : 0),
		"record", (json_int_t)restored->position);
}

static void print_json(json_t *answer)
{
	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(answer);
}

/* ---- restore ---- */

static int restore(struct daemon *daemon, struct restored *restored, bool json)
{
	const char *data_folder = daemon->conf->data_dir;
	struct err_info info = {0};
	enum err err = check_position(restored, &info);

	if (!err)
		err = put_back(daemon, restored, &info);
	if (err)
		return verb_failed("restore", &info);
	if (json) {
		print_json(as_json(restored));
		return DAEMON_EXIT_OK;
	}
	print_replay(restored);
	printf("restored    to %s; event %lld of the journal says so\n", data_folder, (long long)restored->position);
	if (!has_file(data_folder, "seal.keys") || !has_file(data_folder, "checkpoint.key"))
		printf("Put this node's seal.keys and checkpoint.key into %s before you start carbond.\n", data_folder);
	return DAEMON_EXIT_OK;
}

/* ---- drill ---- */

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

/* Started as far as the engine, with views; then every log is held against the last checkpoint (which signs another one, in a
 * place that is thrown away). */
static enum err start_there(struct daemon *daemon, int64_t *ret_ready_us, struct err_info *info)
{
	enum err err = daemon_start(daemon, daemon_stages_through("engine"), info);

	if (err)
		return err;
	err = engine_wait_position(
		daemon->engine, engine_position(daemon->engine), clock_monotonic_us() + VIEWS_WAIT_US);
	if (err)
		err_set(info, err, NULL, "the views were not rebuilt in time");
	*ret_ready_us = clock_monotonic_us();
	if (!err)
		err = audit_checkpoint(daemon->audit, clock_wall_us(), info);
	daemon_stop(daemon);
	return err;
}

/* Where a drill of this store restores to: files in its folder; or, on the same MongoDB, a database beside the daemon's own. False:
 * its name would be too long. */
static bool drill_place(const char *store_uri, char ret_uri[PATH_MAX + 16])
{
	const char *hosts = strstr(store_uri, "://"), *slash = hosts ? strchr(hosts + 3, '/') : NULL;
	size_t before = slash ? strcspn(slash, "?") + (size_t)(slash - store_uri) : 0;

	if (strncmp(store_uri, "sqlite:", 7) == 0)
		return snprintf(ret_uri, PATH_MAX + 16, "sqlite:") > 0;
	return snprintf(ret_uri, PATH_MAX + 16, "%.*s" STORE_DRILL_ENDING "%s", (int)before, store_uri,
		       store_uri + before) < PATH_MAX + 16;
}

/* Also what a drill left that was killed. */
static enum err clear_place(struct daemon *daemon, struct err_info *info)
{
	struct store_options place;
	enum err err = daemon_places(daemon, info);

	if (!err)
		err = daemon_store_options(daemon, &place, info);
	return err || strncmp(daemon->store_uri, "sqlite:", 7) == 0 ? err : store_drill_drop(&place, info);
}

static enum err run_drill(struct daemon *daemon, struct restored *restored, const char *keys_from,
	int64_t *ret_ready_us, struct err_info *info)
{
	const char *folder = daemon->conf->data_dir;
	struct err_info ignored;
	enum err err = clear_place(daemon, info);

	if (err)
		return err;
	err = put_back(daemon, restored, info);
	if (!err && !has_file(folder, "seal.keys"))
		err = node_copy(keys_from, folder, true, info);
	if (!err)
		err = start_there(daemon, ret_ready_us, info);
	if (clear_place(daemon, err ? &ignored : info) && !err)
		err = info->code;
	return err;
}

static int drill(struct daemon *daemon, struct restored *restored, bool json)
{
	const char *temporary = getenv("TMPDIR"), *keys_from = daemon->conf->data_dir, *place = daemon->conf->store_uri;
	char folder[PATH_MAX], drill_uri[PATH_MAX + 16];
	struct err_info info = {0};
	int64_t start_us = clock_monotonic_us(), now_us = clock_wall_us(), ready_us = 0;
	double rpo_s, rto_s;
	enum err err;

	snprintf(folder, sizeof(folder), "%s/carbond-drill.XXXXXX", temporary && *temporary ? temporary : "/tmp");
	if (!mkdtemp(folder)) {
		fprintf(stderr, "carbond restore: cannot make a folder for the drill: %s\n", folder);
		return DAEMON_EXIT_FAILED;
	}
	err = check_position(restored, &info);
	if (!err && !drill_place(place, drill_uri))
		err = err_set(&info, ERR_INVALID_CONFIG, NULL, "store.uri is too long");
	if (!err) {
		daemon->conf->data_dir = folder;
		daemon->conf->store_uri = drill_uri;
		err = run_drill(daemon, restored, keys_from, &ready_us, &info);
		daemon->conf->data_dir = keys_from;
		daemon->conf->store_uri = place;
	}
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (err)
		return verb_failed("restore", &info);
	rpo_s = (double)(now_us - restored->report.created_us) / 1e6;
	rto_s = (double)(ready_us - start_us) / 1e6;
	if (json) {
		json_t *answer = as_json(restored);
		json_object_set_new(answer, "rpo_s", json_real(rpo_s));
		json_object_set_new(answer, "rto_s", json_real(rto_s));
		print_json(answer);
		return DAEMON_EXIT_OK;
	}
	print_replay(restored);
	printf("logs        lead to the roots of the last checkpoint\n"
	       "RPO         %.1f s: what became durable since the backup would be lost\n"
	       "RTO         %.1f s from start to ready\n",
		rpo_s, rto_s);
	return DAEMON_EXIT_OK;
}

int verb_restore(struct daemon *daemon, int count, char **items)
{
	struct words words = {count, items};
	bool only_drill = words_flag(&words, "--drill"), json = words_flag(&words, "--json");
	const char *position = words_option(&words, "--position"), *key = words_option(&words, "--signer");
	const char *reason = words_option(&words, "--reason"), *folder = words_next(&words);
	struct restored restored = {.backup = folder, .reason = reason};
	size_t size = 0;

	if (!folder || words.count > 0 || !words_number(position, INT64_MAX, &restored.cut.position) ||
		(key && (hex_parse(key, strlen(key), &restored.key, sizeof(restored.key), &size) ||
				size != sizeof(restored.key))))
		return verb_usage(
			"restore", "FOLDER [--position NUMBER] [--reason TEXT] [--signer KEY] [--drill] [--json]");
	restored.has_key = key || node_public_key(daemon->conf->data_dir, &restored.key);
	log_set_level(LOG_LEVEL_WARN);
	return only_drill ? drill(daemon, &restored, json) : restore(daemon, &restored, json);
}
