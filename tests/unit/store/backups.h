/* Cases of backup and restore that hold for every back end (P14, decision 8: guard keys go with their batches). */
#ifndef STORE_BACKUPS_H
#define STORE_BACKUPS_H

#include <dirent.h>
#include <ftw.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "things.h"

struct backup_case {
	char folder[200], extra[260];
	struct sign_public public;
	struct sign_secret secret;
};

static inline enum err backup_sign(
	void *context, const void *data, size_t size, struct signature *ret_signature, struct err_info *info)
{
	(void)info;
	*ret_signature = sign_make(context, "carbond/backup/2", data, size);
	return ERR_OK;
}

static inline void backup_new(struct backup_case *backup)
{
	const char *top = getenv("TMPDIR");
	snprintf(backup->folder, sizeof backup->folder, "%s/carbond-backup-XXXXXX", top ? top : "/tmp");
	assert_non_null(mkdtemp(backup->folder));
	snprintf(backup->extra, sizeof backup->extra, "%s.extra", backup->folder);
	FILE *stream = fopen(backup->extra, "w");
	fputs("whose it is", stream);
	fclose(stream);
	sign_keypair(&backup->public, &backup->secret);
}

static inline int backup_drop_one(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
	(void)status;
	(void)flag;
	(void)walk;
	return remove(path);
}

static inline void backup_drop(struct backup_case *backup)
{
	nftw(backup->folder, backup_drop_one, 16, FTW_DEPTH | FTW_PHYS);
	unlink(backup->extra);
}

static inline enum err backup_take(
	struct backup_case *backup, struct store *store, struct store_backup_report *ret_report, struct err_info *info)
{
	struct store_backup_options options = {.folder = backup->folder,
		.node = "n1",
		.registry = "r1",
		.key = &backup->public,
		.sign = backup_sign,
		.context = &backup->secret,
		.extras = {{backup->extra, "node.json"}}};
	return store_backup(store, &options, ret_report, info);
}

static inline enum err backup_restore_open(const struct backup_case *backup, const struct place *place,
	const struct store_restore_options *more, struct store **ret_store, struct store_backup_report *ret_report,
	struct err_info *info)
{
	struct store_options options = options_for(place);
	struct store_restore_options restore = more ? *more : (struct store_restore_options){.folder = NULL};
	restore.folder = backup->folder;
	return store_restore(&options, &restore, ret_store, ret_report, info);
}

static inline enum err backup_restore(const struct backup_case *backup, const struct place *place,
	const struct store_restore_options *more, struct store_backup_report *ret_report, struct err_info *info)
{
	struct store *store = NULL;
	enum err err = backup_restore_open(backup, place, more, &store, ret_report, info);
	if (!err)
		err = store_restore_finish(store, info);
	store_close(&store);
	return err;
}

static inline struct store_batch backup_head(struct store *store, enum store_class class, const char *stream)
{
	struct store_batch head;
	struct err_info info = {.code = ERR_OK};
	assert_ok(store_log_head(store, class, stream, &head, &info), &info);
	return head;
}

/* A batch of journal.0 with a guard key of its number. */
static inline enum err append_guarded(struct store *store, uint64_t seq, unsigned key, struct err_info *info)
{
	char payload[64], text[32];
	snprintf(payload, sizeof payload, "event %llu", (unsigned long long)seq);
	snprintf(text, sizeof text, "claim %u", key);
	struct store_batch batch = new_batch("journal.0", seq, payload, strlen(payload));
	struct store_guard guard = {.key = text, .size = strlen(text)};
	struct thing thing = new_thing(key);
	thing.secret = "a sealed reason";
	struct store_change change = {.collection = &things, .row = &thing, .verb = STORE_PUT};
	struct store_append append = {.class = STORE_VALUE,
		.batch = &batch,
		.guards = &guard,
		.guard_count = 1,
		.changes = &change,
		.change_count = 1};
	return store_log_append(store, &append, NULL, info);
}

static inline void append_guarded_many(struct store *store, uint64_t from, uint64_t to)
{
	struct err_info info = {.code = ERR_OK};
	for (uint64_t seq = from; seq <= to; seq++)
		assert_ok(append_guarded(store, seq, (unsigned)seq, &info), &info);
}

static inline void backup_flip(const char *path, long at)
{
	FILE *stream = fopen(path, "r+b");
	assert_non_null(stream);
	fseek(stream, at, at < 0 ? SEEK_END : SEEK_SET);
	long place = ftell(stream);
	int byte = fgetc(stream);
	fseek(stream, place, SEEK_SET);
	fputc(byte ^ 1, stream);
	fclose(stream);
}

/* ---- cases ---- */

struct live {
	struct store *store;
	atomic_bool stop;
	atomic_int appended, failed;
};

static inline void *write_live(void *argument)
{
	struct live *live = argument;
	struct err_info info;
	for (uint64_t seq = 1; !atomic_load(&live->stop); seq++) {
		/* readings first, then the journal cites them */
		if (append(live->store, STORE_READINGS, "readings.n1", seq, "reading", &info) ||
			append_guarded(live->store, seq, (unsigned)seq, &info))
			atomic_fetch_add(&live->failed, 1);
		atomic_fetch_add(&live->appended, 1);
	}
	return NULL;
}

static inline void backup_of_a_live_store(void (*place_new)(struct place *), void (*place_drop)(struct place *))
{
	struct place place, target;
	struct backup_case backup;
	struct store_backup_report report;
	struct err_info info = {.code = ERR_OK};
	pthread_t thread;
	place_new(&place);
	place_new(&target);
	backup_new(&backup);
	struct live live = {.store = open_store(&place)};
	pthread_create(&thread, NULL, write_live, &live);
	while (atomic_load(&live.appended) < 50)
		sched_yield();
	assert_ok(backup_take(&backup, live.store, &report, &info), &info);
	int at_least = atomic_load(&live.appended);
	atomic_store(&live.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&live.failed), 0);

	assert_ok(backup_restore(&backup, &target, NULL, &report, &info), &info);
	assert_string_equal(report.node, "n1");
	assert_memory_equal(&report.key, &backup.public, sizeof report.key);
	struct store *store = open_store(&target);
	uint64_t journal = backup_head(store, STORE_VALUE, "journal.0").seq;
	assert_true(journal >= 50 && journal <= (uint64_t)at_least + 1);
	assert_int_equal(report.kept.seq, 0);                                          /* no stream was named */
	assert_true(backup_head(store, STORE_READINGS, "readings.n1").seq >= journal); /* all that is cited is there */
	struct collected was = {.stop_at = journal}, is = {.count = 0};
	assert_int_equal(store_log_read(live.store, STORE_VALUE, "journal.0", 1, collect, &was, &info), ERR_BUSY);
	assert_ok(store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &is, &info), &info);
	assert_int_equal(is.count, journal);
	assert_true(hash_equal(was.last_hash, is.last_hash));
	/* a class is of one moment: exactly the rows that rode with these batches */
	struct arena *arena = arena_new(0);
	for (unsigned i = 1; i <= journal + 1; i++) {
		struct thing thing = {.id = test_id(i)};
		enum err err = store_get(store, &things, &thing, arena, &info);
		assert_int_equal(err, i <= journal ? ERR_OK : ERR_NOT_FOUND);
		if (!err)
			assert_string_equal(thing.secret, "a sealed reason");
	}
	assert_int_equal(append_guarded(store, journal + 1, (unsigned)journal, &info), ERR_GUARD_TAKEN);
	assert_ok(append_guarded(store, journal + 1, (unsigned)journal + 1, &info), &info);
	assert_int_equal(backup_restore(&backup, &target, NULL, &report, &info),
		store_is_shared(store) ? ERR_DUPLICATE : ERR_STORE_LOCKED);
	arena_free(&arena);
	store_close(&store);
	assert_int_equal(backup_restore(&backup, &target, NULL, &report, &info), ERR_DUPLICATE); /* a store is there */
	store_close(&live.store);
	backup_drop(&backup);
	place_drop(&target);
	place_drop(&place);
}

static inline void backup_in_steps(void (*place_new)(struct place *), void (*place_drop)(struct place *))
{
	struct place place, target, other;
	struct backup_case backup, stranger;
	struct store_backup_report report;
	struct err_info info = {.code = ERR_OK};
	char path[300], aside[320];
	place_new(&place);
	place_new(&target);
	place_new(&other);
	backup_new(&backup);
	backup_new(&stranger);
	struct store *store = open_store(&place);
	append_guarded_many(store, 1, 7);
	assert_ok(append(store, STORE_VALUE, "audit.n1", 1, "made", &info), &info);
	assert_ok(backup_take(&backup, store, &report, &info), &info);
	assert_int_equal(report.batches, 8);
	append_guarded_many(store, 8, 10);
	struct thing gone = {.id = test_id(3)};
	struct store_change remove_it = {.collection = &things, .row = &gone, .verb = STORE_DELETE};
	assert_ok(store_write(store, &remove_it, 1, NULL, &info), &info);
	assert_ok(store_log_prune(store, STORE_VALUE, "journal.0", 10, &info), &info);
	assert_ok(backup_take(&backup, store, &report, &info), &info);
	assert_int_equal(report.step, 2);
	assert_int_equal(report.batches, 3); /* only what is new */
	assert_int_equal(report.rows, 9);
	assert_ok(backup_take(&backup, store, &report, &info), &info);
	assert_int_equal(report.batches, 0);

	/* somebody else's key, and another history of the same log */
	stranger.public = backup.public;
	struct backup_case forged = backup;
	sign_keypair(&forged.public, &forged.secret);
	assert_int_equal(backup_take(&forged, store, &report, &info), ERR_BACKUP_STRANGER);
	struct store *forked = open_store(&other);
	append_guarded_many(forked, 1, 9);
	assert_ok(append_guarded(forked, 10, 99, &info), &info);
	assert_int_equal(backup_take(&backup, forked, &report, &info), ERR_DUPLICATE);
	store_close(&forked);
	store_close(&store);

	assert_ok(backup_restore(&backup, &target, NULL, &report, &info), &info);
	store = open_store(&target);
	struct collected collected = {.count = 0};
	assert_ok(store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), &info);
	assert_int_equal(collected.count, 10);
	assert_int_equal(collected.with_payload, 8); /* 8 and 9 had been pruned before their step */
	struct arena *arena = arena_new(0);
	assert_int_equal(store_get(store, &things, &gone, arena, &info), ERR_NOT_FOUND);
	arena_free(&arena);
	/* what had been restored is backed up as any other store is */
	assert_ok(backup_take(&backup, store, &report, &info), &info);
	store_close(&store);

	struct store_restore_options options = {.folder = backup.folder, .key = &forged.public};
	assert_int_equal(store_backup_check(&options, &report, &info), ERR_BACKUP_STRANGER);
	options.key = NULL;
	assert_ok(store_backup_check(&options, &report, &info), &info);
	assert_int_equal(report.step, 4);

	/* a gap */
	snprintf(path, sizeof path, "%s/00002", backup.folder);
	snprintf(aside, sizeof aside, "%s.aside", backup.folder);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(store_backup_check(&options, &report, &info), ERR_BACKUP_EDITED);
	assert_non_null(strstr(info.detail, "00002 is missing"));
	snprintf(path, sizeof path, "%s/00003", backup.folder);
	snprintf(aside, sizeof aside, "%s/00002", backup.folder);
	assert_int_equal(rename(path, aside), 0); /* a later step in its place */
	assert_int_equal(store_backup_check(&options, &report, &info), ERR_BACKUP_EDITED);
	snprintf(path, sizeof path, "%s.aside", backup.folder);
	nftw(path, backup_drop_one, 16, FTW_DEPTH | FTW_PHYS);
	backup_drop(&stranger);
	backup_drop(&backup);
	place_drop(&other);
	place_drop(&target);
	place_drop(&place);
}

static inline void backup_that_was_edited(void (*place_new)(struct place *), void (*place_drop)(struct place *))
{
	static const char *const files[] = {
		"value.log", "value.rows", "readings.log", "readings.rows", "node.json", "manifest.json"};
	struct place place, target;
	struct backup_case backup;
	struct store_backup_report report;
	struct err_info info = {.code = ERR_OK};
	place_new(&place);
	place_new(&target);
	backup_new(&backup);
	struct store *store = open_store(&place);
	append_guarded_many(store, 1, 3);
	assert_ok(append(store, STORE_READINGS, "readings.n1", 1, "reading", &info), &info);
	struct tally tally = new_tally(1, 1, 1);
	assert_ok(put(store, &reading_tallies, &tally, STORE_ALWAYS, NULL, 0, &info), &info);
	assert_ok(backup_take(&backup, store, &report, &info), &info);
	append_guarded_many(store, 4, 5);
	assert_ok(backup_take(&backup, store, &report, &info), &info);
	store_close(&store);
	for (int step = 1; step <= 2; step++)
		for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
			for (int where = 0; where < 3; where++) {
				char path[300], shown[64];
				static const long places[] = {0, 9, -1};
				struct store *opened = NULL;
				snprintf(path, sizeof path, "%s/%05d/%s", backup.folder, step, files[i]);
				snprintf(shown, sizeof shown, "%05d/%s", step, files[i]);
				backup_flip(path, places[where]);
				assert_int_equal(backup_restore_open(&backup, &target, NULL, &opened, &report, &info),
					ERR_BACKUP_EDITED);
				assert_null(opened);
				if (!strstr(info.detail, shown))
					fail_msg("%s is not named: %s", shown, info.detail);
				backup_flip(path, places[where]);
			}
	assert_ok(backup_restore(&backup, &target, NULL, &report, &info), &info); /* nothing was left behind */
	backup_drop(&backup);
	place_drop(&target);
	place_drop(&place);
}

static inline bool keeps_six(void *context, const struct store_batch *batch)
{
	++*(int *)context;
	return batch->seq <= 6;
}

static inline void restore_to_a_position(void (*place_new)(struct place *), void (*place_drop)(struct place *))
{
	struct place place, target;
	struct backup_case backup;
	struct store_backup_report report;
	struct err_info info = {.code = ERR_OK};
	place_new(&place);
	place_new(&target);
	backup_new(&backup);
	struct store *store = open_store(&place);
	append_guarded_many(store, 1, 5);
	assert_ok(backup_take(&backup, store, &report, &info), &info);
	append_guarded_many(store, 6, 9);
	assert_ok(append(store, STORE_READINGS, "readings.n1", 1, "reading", &info), &info);
	struct hash lost = backup_head(store, STORE_VALUE, "journal.0").hash;
	assert_ok(backup_take(&backup, store, &report, &info), &info);
	store_close(&store);

	int asked = 0;
	struct store_restore_options options = {
		.key = &backup.public, .cut_stream = "journal.0", .keeps = keeps_six, .context = &asked};
	assert_ok(backup_restore(&backup, &target, &options, &report, &info), &info);
	assert_int_equal(asked, 2 * 9); /* all of it, checked and put back */
	assert_int_equal(report.kept.seq, 6);
	assert_int_equal(report.lost.seq, 9);
	assert_true(hash_equal(report.lost.hash, lost));
	store = open_store(&target);
	assert_int_equal(backup_head(store, STORE_VALUE, "journal.0").seq, 6);
	assert_int_equal(backup_head(store, STORE_READINGS, "readings.n1").seq, 1); /* as new as the backup */
	assert_int_equal(append_guarded(store, 7, 6, &info), ERR_GUARD_TAKEN);
	assert_ok(append_guarded(store, 7, 8, &info), &info); /* its guard went with its batch */
	store_close(&store);
	backup_drop(&backup);
	place_drop(&target);
	place_drop(&place);
}

static inline void restore_goes_on(void (*place_new)(struct place *), void (*place_drop)(struct place *))
{
	struct place place, target;
	struct backup_case backup;
	struct store_backup_report report;
	struct err_info info = {.code = ERR_OK};
	place_new(&place);
	place_new(&target);
	backup_new(&backup);
	struct store *store = open_store(&place), *again = NULL;
	append_guarded_many(store, 1, 8);
	assert_ok(backup_take(&backup, store, &report, &info), &info);
	store_close(&store);

	assert_ok(backup_restore_open(&backup, &target, NULL, &store, &report, &info), &info);
	store_close(&store); /* never finished */
	struct store_options options = options_for(&target);
	assert_int_equal(store_open(&options, &store, &info), ERR_RESTORE_UNFINISHED);
	assert_null(store);
	int asked = 0;
	struct store_restore_options other = {.cut_stream = "journal.0", .keeps = keeps_six, .context = &asked};
	assert_int_equal(backup_restore_open(&backup, &target, &other, &again, &report, &info), ERR_DUPLICATE);
	assert_ok(backup_restore(&backup, &target, NULL, &report, &info), &info);
	store = open_store(&target);
	assert_int_equal(backup_head(store, STORE_VALUE, "journal.0").seq, 8);
	assert_int_equal(append_guarded(store, 9, 8, &info), ERR_GUARD_TAKEN);
	store_close(&store);

	/* views of another state lie there: that is no empty place */
	struct place viewed;
	place_new(&viewed);
	store = open_store(&viewed);
	struct tally tally = new_tally(1, 1, 1);
	assert_ok(put(store, &view_tallies, &tally, STORE_ALWAYS, NULL, 0, &info), &info);
	store_close(&store);
	assert_int_equal(backup_restore(&backup, &viewed, NULL, &report, &info), ERR_DUPLICATE);
	store = open_store(&viewed);
	store_close(&store);
	place_drop(&viewed);
	backup_drop(&backup);
	place_drop(&target);
	place_drop(&place);
}

#endif
