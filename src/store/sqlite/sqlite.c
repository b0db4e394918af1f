/* Decides how a folder becomes a store: lock, three files, what is done with damaged views; and when the store is sick.
 * Opened and closed on one thread; health is asked from any. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "carbond/base/clock.h"
#include "carbond/base/log.h"
#include "sqlite.h"

#define LOOK_EVERY_US INT64_C(100000)     /* a look at the file system costs a few µs; space does not vanish faster */
#define SPACE_FLOOR   ((uint64_t)1 << 20) /* below this a store without a low-water mark is out of space, too */
#define VIEWS_MARK    "views.rebuild"

static const char *const file_names[STORE_CLASS_COUNT] = {"value.db", "readings.db", "views.db"};

static enum err join(char ret_path[SQLITE_PATH_SIZE], const char *folder, const char *name, struct err_info *info)
{
	int written = snprintf(ret_path, SQLITE_PATH_SIZE, "%s/%s", folder, name);
	if (written < 0 || written >= SQLITE_PATH_SIZE)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "the path of the data directory is too long");
	return ERR_OK;
}

/* ---- the lock: one process a folder ---- */

static long read_pid(int fd)
{
	char text[32] = "";
	ssize_t size = pread(fd, text, sizeof text - 1, 0);
	return size > 0 ? strtol(text, NULL, 10) : 0;
}

static enum err take_lock(const char *folder, int *ret_fd, struct err_info *info)
{
	char path[SQLITE_PATH_SIZE];
	enum err err = join(path, folder, "lock", info);
	if (err)
		return err;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(info, ERR_IO, NULL, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		err = errno == EWOULDBLOCK
			      ? err_set(info, ERR_STORE_LOCKED, NULL, "process %ld uses %s", read_pid(fd), folder)
			      : err_set(info, ERR_IO, NULL, "%s: %s", path, strerror(errno));
		close(fd);
		return err;
	}
	char text[32];
	int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	/* the number is for the message alone: a full disk must not keep the store from opening */
	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size)
		errno = 0;
	*ret_fd = fd;
	return ERR_OK;
}

static bool holds_lock(struct sqlite *back)
{
	char path[SQLITE_PATH_SIZE];
	struct stat held, there;
	return join(path, back->folder, "lock", NULL) == ERR_OK && fstat(back->lock_fd, &held) == 0 &&
	       stat(path, &there) == 0 && held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

static enum err sync_folder(const char *folder, struct err_info *info)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(info, ERR_IO, NULL, "%s: %s", folder, strerror(errno));
	enum err err = fsync(fd) == 0 ? ERR_OK : err_set(info, ERR_IO, NULL, "%s: %s", folder, strerror(errno));
	close(fd);
	return err;
}

/* ---- health ---- */

void sqlite_latch(struct sqlite *back, const struct err_info *info)
{
	if (!atomic_exchange(&back->latched, true))
		log_failure("store_latched", info, "folder", back->folder, NULL);
}

void sqlite_note_full(struct sqlite *back)
{
	atomic_store(&back->full, true);
	atomic_store(&back->looked_us, 0);
}

static void look(struct sqlite *back)
{
	struct statvfs space;
	if (statvfs(back->folder, &space) == 0) {
		uint64_t least = back->low_water_bytes > SPACE_FLOOR ? back->low_water_bytes : SPACE_FLOOR;
		uint64_t free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
		atomic_store(&back->full, free_bytes < least);
		metric_set(METRIC_STORE_FREE_BYTES, (int64_t)free_bytes);
	}
	if (!holds_lock(back)) {
		struct err_info info;
		err_set(&info, ERR_STORE_LATCHED, NULL, "the lock file of %s is gone or another one", back->folder);
		sqlite_latch(back, &info);
	}
}

bool sqlite_has_space(struct sqlite *back)
{
	long long now_us = clock_monotonic_us(), looked_us = atomic_load(&back->looked_us);
	/* one thread looks, the others take what is known */
	if (now_us - looked_us >= LOOK_EVERY_US && atomic_compare_exchange_strong(&back->looked_us, &looked_us, now_us))
		look(back);
	return !atomic_load(&back->full);
}

static bool healthy(void *engine, enum err *ret_err)
{
	struct sqlite *back = engine;
	bool space = sqlite_has_space(back);
	if (atomic_load(&back->latched))
		*ret_err = ERR_STORE_LATCHED;
	else
		*ret_err = space ? ERR_OK : ERR_NO_SPACE;
	return *ret_err == ERR_OK;
}

/* ---- views are rebuilt when they are in doubt ---- */

static enum err doubt_views(const char *folder, struct err_info *info)
{
	char path[SQLITE_PATH_SIZE];
	enum err err = join(path, folder, VIEWS_MARK, info);
	if (err)
		return err;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(info, ERR_IO, NULL, "%s: %s", path, strerror(errno));
	close(fd);
	return ERR_OK;
}

void sqlite_mark_views(struct sqlite *back)
{
	struct err_info info;
	if (doubt_views(back->folder, &info) == ERR_OK)
		err_set(&info, ERR_STORE_CORRUPT, NULL, "views.db is damaged; it is rebuilt at the next start");
	sqlite_latch(back, &info);
}

static enum err delete_file(const char *folder, const char *name, struct err_info *info)
{
	static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
		char path[SQLITE_PATH_SIZE + 16];
		snprintf(path, sizeof path, "%s/%s%s", folder, name, endings[i]);
		if (unlink(path) != 0 && errno != ENOENT)
			return err_set(info, ERR_IO, NULL, "%s: %s", path, strerror(errno));
	}
	return ERR_OK;
}

/* ---- open ---- */

static enum err prepare_file(struct sqlite_file *file, const char *migrations, struct err_info *info)
{
	enum err err = sqlite_connect(file, true, &file->writer, info);
	if (!err)
		err = sqlite_run(&file->writer, "BEGIN IMMEDIATE", info);
	if (err)
		goto out;
	err = sqlite_migrate(file, migrations, info);
	if (!err)
		err = sqlite_make_tables(file, info);
	if (err) {
		struct err_info ignored;
		enum err undone = sqlite_run(&file->writer, "ROLLBACK", &ignored);
		(void)undone; /* the first error is the one to tell; the connection is closed next */
		goto out;
	}
	err = sqlite_run(&file->writer, "COMMIT", info);
out:
	if (err)
		sqlite_disconnect(&file->writer);
	return err;
}

static enum err check(const struct store_options *options, const char *folder, struct err_info *info)
{
	enum err err = ERR_OK;
	for (enum store_class class = STORE_VALUE; class < STORE_VIEWS && !err; class ++) {
		struct sqlite_file file = {.class = class, .name = file_names[class]};
		err = join(file.path, folder, file_names[class], info);
		if (err || access(file.path, F_OK) != 0)
			continue;
		err = sqlite_connect(&file, false, &file.writer, info);
		if (!err)
			err = sqlite_check_history(&file, options->migrations_folder, info);
		sqlite_disconnect(&file.writer);
	}
	return err;
}

/* Anything wrong with views is cured by making them anew, but for a full or broken disk. */
static bool is_doubt(enum err err)
{
	return err == ERR_STORE_CORRUPT || err == ERR_SCHEMA_NEWER || err == ERR_SCHEMA_DIFFERS ||
	       err == ERR_MIGRATION_EDITED;
}

static enum err prepare_views(struct sqlite_file *file, const char *migrations, struct err_info *info)
{
	struct sqlite *back = file->back;
	char mark[SQLITE_PATH_SIZE];
	enum err err = join(mark, back->folder, VIEWS_MARK, info);
	if (err)
		return err;
	bool marked = access(mark, F_OK) == 0;
	if (!marked) {
		err = prepare_file(file, migrations, info);
		if (!is_doubt(err))
			return err;
		log_failure("views_rebuilt", info, NULL);
	}
	err = delete_file(back->folder, file->name, info);
	if (!err)
		err = prepare_file(file, migrations, info);
	if (!err && unlink(mark) != 0 && errno != ENOENT)
		err = err_set(info, ERR_IO, NULL, "%s: %s", mark, strerror(errno));
	return err;
}

static enum err open_file(struct sqlite *back, enum store_class class, const char *migrations, struct err_info *info)
{
	struct sqlite_file *file = &back->files[class];
	file->back = back;
	file->class = class;
	file->name = file_names[class];
	pthread_mutex_init(&file->lock, NULL);
	pthread_cond_init(&file->freed, NULL);
	enum err err = join(file->path, back->folder, file->name, info);
	if (!err)
		err = class == STORE_VIEWS ? prepare_views(file, migrations, info)
					   : prepare_file(file, migrations, info);
	return err;
}

static void close_file(struct sqlite_file *file)
{
	if (!file->back)
		return;
	sqlite_writer_stop(file);
	assert(file->idle_count == file->open_count); /* nobody reads while the store closes */
	for (size_t i = 0; i < file->idle_count; i++) {
		sqlite_disconnect(file->idle[i]);
		free(file->idle[i]);
	}
	if (file->writer.db)
		sqlite_disconnect(&file->writer);
	pthread_mutex_destroy(&file->lock);
	pthread_cond_destroy(&file->freed);
}

static void close_back(void *engine)
{
	struct sqlite *back = engine;
	for (size_t i = STORE_CLASS_COUNT; i-- > 0;)
		close_file(&back->files[i]);
	if (back->lock_fd >= 0)
		close(back->lock_fd);
	free(back);
}

static enum err open_back(const struct store_options *options, const char *place, const struct store_tables *tables,
	void **ret_engine, struct err_info *info)
{
	if (strlen(place) >= SQLITE_PATH_SIZE - 64)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "the path of the data directory is too long");
	if (mkdir(place, 0700) != 0 && errno != EEXIST)
		return err_set(info, ERR_IO, NULL, "%s: %s", place, strerror(errno));
	struct sqlite *back = calloc(1, sizeof *back);
	if (!back)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to open the store");
	back->tables = tables;
	back->lock_fd = -1;
	back->low_water_bytes = options->low_water_bytes;
	snprintf(back->folder, sizeof back->folder, "%s", place);
	enum err err = take_lock(place, &back->lock_fd, info);
	if (!err)
		err = sqlite_make_texts(back, info);
	for (int class = 0; class < STORE_CLASS_COUNT && !err; class ++)
		err = open_file(back, (enum store_class) class, options->migrations_folder, info);
	if (!err)
		err = sync_folder(place, info);
	for (size_t i = 0; i < STORE_CLASS_COUNT && !err; i++)
		err = sqlite_writer_start(&back->files[i], info);
	if (err)
		close_back(back);
	else
		*ret_engine = back;
	return err;
}

const struct store_engine store_sqlite = {
	.schemes = {"sqlite:"},
	.migrations = "sqlite",
	.open = open_back,
	.check = check,
	.close = close_back,
	.healthy = healthy,
	.write = sqlite_write,
	.get = sqlite_get,
	.scan = sqlite_scan,
	.log_head = sqlite_log_head,
	.log_some = sqlite_log_some,
	.log_streams = sqlite_log_streams,
	.log_prune = sqlite_log_prune,
	.log_delete = sqlite_log_delete,
	.visit = sqlite_visit,
	.write_many = sqlite_write_many,
};
