/* Decides how the files of a running store are copied, and put back. Copies are made by SQLite's backup interface in one
 * step, so each is the state of one moment; writers go on meanwhile. The calling thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sqlite.h"

#define COPY_BYTES ((size_t)1 << 20)

/* Views are left out: they are rebuilt. */
static const char *const copied[] = {"value.db", "readings.db"};

/* ---- write ---- */

static enum err copy_pages(struct sqlite_connection *source, sqlite3 *target, struct err_info *info)
{
	sqlite3_backup *backup = sqlite3_backup_init(target, "main", source->db, "main");
	if (!backup)
		return err_set(info, ERR_IO, NULL, "backup of %s: %s", source->file->name, sqlite3_errmsg(target));
	int code = sqlite3_backup_step(backup, -1);
	sqlite3_backup_finish(backup);
	if (code != SQLITE_DONE)
		return err_set(info, (code & 0xff) == SQLITE_FULL ? ERR_NO_SPACE : ERR_IO, NULL, "backup of %s: %s",
			source->file->name, sqlite3_errstr(code));
	/* one file without a write-ahead log beside it, so that its sum is that of all of it */
	code = sqlite3_exec(target, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
	return code == SQLITE_OK
		       ? ERR_OK
		       : err_set(info, ERR_IO, NULL, "backup of %s: %s", source->file->name, sqlite3_errmsg(target));
}

static enum err copy_file(struct sqlite_file *file, const char *folder, struct err_info *info)
{
	char path[SQLITE_PATH_SIZE];
	if (snprintf(path, sizeof path, "%s/%s", folder, file->name) >= (int)sizeof path)
		return err_set(info, ERR_IO, NULL, "the path of the backup is too long");
	struct sqlite_connection *source = NULL;
	sqlite3 *target = NULL;
	enum err err = sqlite_borrow(file, &source, info);
	if (err)
		return err;
	if (sqlite3_open_v2(path, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
		SQLITE_OK)
		err = err_set(info, ERR_IO, NULL, "%s: %s", path, target ? sqlite3_errmsg(target) : "no memory");
	else
		err = copy_pages(source, target, info);
	if (sqlite3_close(target) != SQLITE_OK && !err)
		err = err_set(info, ERR_IO, NULL, "%s could not be closed", path);
	sqlite_return(file, source);
	if (!err && chmod(path, 0600) != 0)
		err = err_set(info, ERR_IO, NULL, "%s: %s", path, strerror(errno));
	return err;
}

enum err sqlite_backup(void *engine, const char *folder, struct store_backup_list *ret_files, struct err_info *info)
{
	struct sqlite *back = engine;
	enum err err = ERR_OK;
	ret_files->count = 0;
	/* value.db first: all that the journal cites is in the later copy of readings.db */
	for (size_t i = 0; i < sizeof copied / sizeof copied[0] && !err; i++) {
		err = copy_file(&back->files[i], folder, info);
		snprintf(ret_files->names[ret_files->count++], sizeof ret_files->names[0], "%s", copied[i]);
	}
	return err ? err : sqlite_sync_folder(folder, info);
}

/* ---- heads of a written copy ---- */

static enum err take_head(sqlite3_stmt *row, struct store_batch *ret_head)
{
	struct store_value hash = sqlite_column(row, 2);
	memset(ret_head, 0, sizeof *ret_head);
	snprintf(ret_head->stream, sizeof ret_head->stream, "%s", (const char *)sqlite3_column_text(row, 0));
	ret_head->seq = (uint64_t)sqlite3_column_int64(row, 1);
	if (hash.size != sizeof ret_head->hash.bytes)
		return ERR_STORE_CORRUPT;
	memcpy(ret_head->hash.bytes, hash.data, hash.size);
	return ERR_OK;
}

static enum err read_heads(sqlite3 *db, struct arena *arena, struct store_batch **ret_heads, size_t *ret_count)
{
	static const size_t most = 4096; /* streams; a node has three */
	sqlite3_stmt *statement = NULL;
	*ret_count = 0;
	*ret_heads = ARENA_ARRAY(arena, struct store_batch, most);
	if (!*ret_heads)
		return ERR_NO_MEMORY;
	if (sqlite3_prepare_v2(db, "SELECT stream, max(seq), hash FROM log_batches GROUP BY stream ORDER BY stream", -1,
		    &statement, NULL) != SQLITE_OK)
		return ERR_STORE_CORRUPT;
	enum err err = ERR_OK;
	int code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW && !err && *ret_count < most)
		err = take_head(statement, &(*ret_heads)[(*ret_count)++]);
	if (!err && code != SQLITE_DONE)
		err = ERR_STORE_CORRUPT;
	sqlite3_finalize(statement);
	return err;
}

enum err sqlite_backup_heads(const char *folder, const char *name, struct arena *arena, struct store_batch **ret_heads,
	size_t *ret_count, struct err_info *info)
{
	char path[SQLITE_PATH_SIZE];
	if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
		return err_set(info, ERR_IO, NULL, "the path of the backup is too long");
	sqlite3 *db = NULL;
	enum err err = ERR_STORE_CORRUPT;
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK)
		err = read_heads(db, arena, ret_heads, ret_count);
	sqlite3_close(db);
	return err ? err_set(info, err, NULL, "the logs of %s cannot be read", path) : ERR_OK;
}

/* ---- put back ---- */

static enum err fault(const char *path, struct err_info *info)
{
	return err_set(info, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, NULL, "%s: %s", path, strerror(errno));
}

static enum err write_whole(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, data, size);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return ERR_IO;
		data += written;
		size -= (size_t)written;
	}
	return ERR_OK;
}

/* The sum is that of the bytes copied, not of a file that might change in between. */
static enum err copy_summed(int from, int to, const char *path, struct hash *ret_sum, struct err_info *info)
{
	char *buffer = malloc(COPY_BYTES);
	if (!buffer)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to copy a backup");
	struct sha256 state;
	sha256_start(&state, NULL);
	enum err err = ERR_OK;
	ssize_t size;
	while (!err && (size = read(from, buffer, COPY_BYTES)) != 0) {
		if (size < 0 || write_whole(to, buffer, (size_t)size) != ERR_OK)
			err = fault(path, info);
		else
			sha256_add(&state, buffer, (size_t)size);
	}
	free(buffer);
	if (!err && fsync(to) != 0)
		err = fault(path, info);
	*ret_sum = sha256_end(&state);
	return err;
}

struct restoring {
	char from[SQLITE_PATH_SIZE], part[SQLITE_PATH_SIZE], to[SQLITE_PATH_SIZE];
};

static enum err restore_paths(
	const char *folder, const char *place, const char *name, struct restoring *paths, struct err_info *info)
{
	int size = (int)sizeof paths->from;
	if (snprintf(paths->from, sizeof paths->from, "%s/%s", folder, name) >= size ||
		snprintf(paths->part, sizeof paths->part, "%s/%s.part", place, name) >= size ||
		snprintf(paths->to, sizeof paths->to, "%s/%s", place, name) >= size)
		return err_set(info, ERR_IO, NULL, "the path of the backup is too long");
	if (access(paths->to, F_OK) == 0)
		return err_set(info, ERR_DUPLICATE, NULL, "%s is there already: restore into an empty data directory",
			paths->to);
	return ERR_OK;
}

static enum err restore_part(const struct restoring *paths, struct hash *ret_sum, struct err_info *info)
{
	int from = open(paths->from, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return errno == ENOENT ? err_set(info, ERR_BACKUP_EDITED, NULL, "%s is missing", paths->from)
				       : fault(paths->from, info);
	int to = open(paths->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	enum err err = to < 0 ? fault(paths->part, info) : copy_summed(from, to, paths->part, ret_sum, info);
	close(from);
	if (to >= 0)
		close(to);
	return err;
}

static enum err restore_all(const char *folder, const struct store_backup_list *files, const char *place,
	enum err (*check)(void *context, const char *name, struct hash sum, struct err_info *info), void *context,
	struct restoring *paths, struct err_info *info)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < files->count && !err; i++) {
		struct hash sum;
		err = restore_paths(folder, place, files->names[i], paths, info);
		if (!err)
			err = restore_part(paths, &sum, info);
		if (!err)
			err = check(context, files->names[i], sum, info);
	}
	for (size_t i = 0; i < files->count && !err; i++) {
		err = restore_paths(folder, place, files->names[i], paths, info);
		if (!err && rename(paths->part, paths->to) != 0)
			err = fault(paths->to, info);
	}
	for (size_t i = 0; i < files->count && err; i++)
		if (restore_paths(folder, place, files->names[i], paths, NULL) == ERR_OK && unlink(paths->part) != 0)
			errno = 0; /* not there: never copied */
	return err;
}

static enum err refuse_strangers(const struct store_backup_list *files, struct err_info *info)
{
	for (size_t i = 0; i < files->count; i++) {
		bool known = false;
		for (size_t j = 0; j < sizeof copied / sizeof copied[0]; j++)
			known = known || strcmp(files->names[i], copied[j]) == 0;
		if (!known)
			return err_set(info, ERR_BACKUP_EDITED, NULL,
				"the manifest names %s, which is no file of a store", files->names[i]);
	}
	return files->count == sizeof copied / sizeof copied[0]
		       ? ERR_OK
		       : err_set(info, ERR_BACKUP_EDITED, NULL, "the manifest names %zu files", files->count);
}

enum err sqlite_restore(const char *folder, const struct store_backup_list *files, const char *place,
	enum err (*check)(void *context, const char *name, struct hash sum, struct err_info *info), void *context,
	struct err_info *info)
{
	enum err err = refuse_strangers(files, info);
	if (err)
		return err;
	if (mkdir(place, 0700) != 0 && errno != EEXIST)
		return fault(place, info);
	struct restoring *paths = malloc(sizeof *paths);
	if (!paths)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to restore");
	int lock_fd = -1;
	err = sqlite_lock(place, &lock_fd, info);
	if (err)
		goto out;
	err = restore_all(folder, files, place, check, context, paths, info);
	if (!err)
		err = sqlite_doubt_views(place, info); /* older ones may lie there */
	if (!err)
		err = sqlite_sync_folder(place, info);
	close(lock_fd);
out:
	free(paths);
	return err;
}
