/* A SQLite file system under the tests' control. It fails the Nth write or fsync after it is armed, or loses power there:
 * then every file goes back to its last fsync. Registered as the default, it stands under everything that the store opens. */
#ifndef STORE_FAULT_VFS_H
#define STORE_FAULT_VFS_H

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum fault_kind {
	FAULT_NONE,
	FAULT_WRITE_EIO,       /* from there on the disk is dead */
	FAULT_WRITE_SHORT_EIO, /* half of it is written */
	FAULT_SYNC_EIO,
	FAULT_WRITE_FULL, /* once; then there is space again */
	FAULT_WRITE_SHORT_FULL,
	FAULT_POWER, /* at any write or fsync; from there on the disk is dead */
};

/* A write that no fsync has covered yet. */
struct undo {
	struct undo *next; /* older */
	sqlite3_int64 offset, old_size;
	int size; /* of what stood there */
	char old[];
};

struct fault_file {
	sqlite3_file base;
	bool main_db;
	struct undo *undo;
	struct fault_file *next;
	sqlite3_file *real; /* behind this struct */
};

static struct {
	pthread_mutex_t lock;
	sqlite3_vfs *real;
	sqlite3_vfs own;
	sqlite3_io_methods methods;
	enum fault_kind kind;
	bool main_db_only;
	long countdown; /* operations of the kind until it happens */
	long seen;      /* operations of the kind since it was armed */
	bool happened, dead;
	struct fault_file *files;
} fault = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void fault_arm(enum fault_kind kind, long countdown, bool main_db_only)
{
	pthread_mutex_lock(&fault.lock);
	fault.kind = kind;
	fault.countdown = countdown;
	fault.main_db_only = main_db_only;
	fault.seen = 0;
	fault.happened = fault.dead = false;
	pthread_mutex_unlock(&fault.lock);
}

static inline bool fault_has_happened(void)
{
	pthread_mutex_lock(&fault.lock);
	bool happened = fault.happened;
	pthread_mutex_unlock(&fault.lock);
	return happened;
}

/* Whether this operation is the one; counts it. Under the lock. */
static inline bool fault_is_due(const struct fault_file *file, bool sync)
{
	bool of_kind = fault.kind == FAULT_POWER || (fault.kind == FAULT_SYNC_EIO) == sync;
	if (fault.kind == FAULT_NONE || !of_kind || (fault.main_db_only && !file->main_db))
		return false;
	if (++fault.seen != fault.countdown)
		return false;
	fault.happened = true;
	fault.dead = fault.kind != FAULT_WRITE_FULL && fault.kind != FAULT_WRITE_SHORT_FULL;
	return true;
}

static inline void fault_forget(struct fault_file *file)
{
	while (file->undo) {
		struct undo *undo = file->undo;
		file->undo = undo->next;
		free(undo);
	}
}

static inline void fault_remember(struct fault_file *file, int size, sqlite3_int64 offset)
{
	struct undo *undo = malloc(sizeof *undo + (size_t)size);
	undo->old_size = 0;
	file->real->pMethods->xFileSize(file->real, &undo->old_size);
	undo->offset = offset;
	undo->size = offset >= undo->old_size         ? 0
		     : offset + size > undo->old_size ? (int)(undo->old_size - offset)
						      : size;
	if (undo->size)
		file->real->pMethods->xRead(file->real, undo->old, undo->size, offset);
	undo->next = file->undo;
	file->undo = undo;
}

/* Everything that was not fsynced is gone. Under the lock. */
static inline void fault_lose_power(void)
{
	for (struct fault_file *file = fault.files; file; file = file->next) {
		for (struct undo *undo = file->undo; undo; undo = undo->next) {
			if (undo->size)
				file->real->pMethods->xWrite(file->real, undo->old, undo->size, undo->offset);
			file->real->pMethods->xTruncate(file->real, undo->old_size);
		}
		fault_forget(file);
	}
}

static inline int fault_close(sqlite3_file *base)
{
	struct fault_file *file = (struct fault_file *)base;
	pthread_mutex_lock(&fault.lock);
	for (struct fault_file **at = &fault.files; *at; at = &(*at)->next)
		if (*at == file) {
			*at = file->next;
			break;
		}
	fault_forget(file);
	int code = file->real->pMethods->xClose(file->real);
	pthread_mutex_unlock(&fault.lock);
	return code;
}

static inline int fault_read(sqlite3_file *base, void *data, int size, sqlite3_int64 offset)
{
	struct fault_file *file = (struct fault_file *)base;
	return file->real->pMethods->xRead(file->real, data, size, offset);
}

static inline int fault_write(sqlite3_file *base, const void *data, int size, sqlite3_int64 offset)
{
	struct fault_file *file = (struct fault_file *)base;
	int code = SQLITE_OK;
	pthread_mutex_lock(&fault.lock);
	if (fault.dead) {
		code = SQLITE_IOERR_WRITE;
	} else if (fault_is_due(file, false)) {
		bool half = fault.kind == FAULT_WRITE_SHORT_EIO || fault.kind == FAULT_WRITE_SHORT_FULL;
		if (half)
			file->real->pMethods->xWrite(file->real, data, size / 2, offset);
		if (fault.kind == FAULT_POWER)
			fault_lose_power();
		code = fault.dead ? SQLITE_IOERR_WRITE : SQLITE_FULL;
	} else {
		if (fault.kind == FAULT_POWER)
			fault_remember(file, size, offset);
		code = file->real->pMethods->xWrite(file->real, data, size, offset);
	}
	pthread_mutex_unlock(&fault.lock);
	return code;
}

static inline int fault_truncate(sqlite3_file *base, sqlite3_int64 size)
{
	struct fault_file *file = (struct fault_file *)base;
	pthread_mutex_lock(&fault.lock);
	int code = fault.dead ? SQLITE_IOERR_TRUNCATE : file->real->pMethods->xTruncate(file->real, size);
	pthread_mutex_unlock(&fault.lock);
	return code;
}

static inline int fault_sync(sqlite3_file *base, int flags)
{
	struct fault_file *file = (struct fault_file *)base;
	int code = SQLITE_OK;
	pthread_mutex_lock(&fault.lock);
	if (fault.dead) {
		code = SQLITE_IOERR_FSYNC;
	} else if (fault_is_due(file, true)) {
		if (fault.kind == FAULT_POWER)
			fault_lose_power();
		code = SQLITE_IOERR_FSYNC;
	} else {
		(void)flags; /* the test's kernel does not crash: what was written is durable enough */
		fault_forget(file);
	}
	pthread_mutex_unlock(&fault.lock);
	return code;
}

#define FAULT_REAL(base) (((struct fault_file *)(base))->real)

static inline int fault_file_size(sqlite3_file *base, sqlite3_int64 *ret_size)
{
	return FAULT_REAL(base)->pMethods->xFileSize(FAULT_REAL(base), ret_size);
}

static inline int fault_lock_file(sqlite3_file *base, int level)
{
	return FAULT_REAL(base)->pMethods->xLock(FAULT_REAL(base), level);
}

static inline int fault_unlock_file(sqlite3_file *base, int level)
{
	return FAULT_REAL(base)->pMethods->xUnlock(FAULT_REAL(base), level);
}

static inline int fault_check_lock(sqlite3_file *base, int *ret_locked)
{
	return FAULT_REAL(base)->pMethods->xCheckReservedLock(FAULT_REAL(base), ret_locked);
}

static inline int fault_control(sqlite3_file *base, int operation, void *argument)
{
	return FAULT_REAL(base)->pMethods->xFileControl(FAULT_REAL(base), operation, argument);
}

static inline int fault_sector_size(sqlite3_file *base)
{
	return FAULT_REAL(base)->pMethods->xSectorSize(FAULT_REAL(base));
}

static inline int fault_characteristics(sqlite3_file *base)
{
	return FAULT_REAL(base)->pMethods->xDeviceCharacteristics(FAULT_REAL(base));
}

static inline int fault_shm_map(sqlite3_file *base, int page, int size, int extend, void volatile **ret_memory)
{
	return FAULT_REAL(base)->pMethods->xShmMap(FAULT_REAL(base), page, size, extend, ret_memory);
}

static inline int fault_shm_lock(sqlite3_file *base, int offset, int count, int flags)
{
	return FAULT_REAL(base)->pMethods->xShmLock(FAULT_REAL(base), offset, count, flags);
}

static inline void fault_shm_barrier(sqlite3_file *base)
{
	FAULT_REAL(base)->pMethods->xShmBarrier(FAULT_REAL(base));
}

static inline int fault_shm_unmap(sqlite3_file *base, int remove_it)
{
	return FAULT_REAL(base)->pMethods->xShmUnmap(FAULT_REAL(base), remove_it);
}

static inline int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *ret_flags)
{
	(void)vfs;
	struct fault_file *file = (struct fault_file *)base;
	memset(file, 0, sizeof *file);
	file->real = (sqlite3_file *)(file + 1);
	file->main_db = (flags & SQLITE_OPEN_MAIN_DB) != 0;
	int code = fault.real->xOpen(fault.real, name, file->real, flags, ret_flags);
	if (code != SQLITE_OK)
		return code;
	pthread_mutex_lock(&fault.lock);
	file->next = fault.files;
	fault.files = file;
	pthread_mutex_unlock(&fault.lock);
	base->pMethods = &fault.methods;
	return SQLITE_OK;
}

static inline int fault_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	(void)vfs;
	return fault.dead ? SQLITE_IOERR_DELETE : fault.real->xDelete(fault.real, name, sync);
}

/* Makes it the default. */
static inline void fault_vfs_start(void)
{
	fault.real = sqlite3_vfs_find(NULL);
	fault.own = *fault.real;
	fault.own.zName = "fault";
	fault.own.szOsFile = (int)sizeof(struct fault_file) + fault.real->szOsFile;
	fault.own.xOpen = fault_open;
	fault.own.xDelete = fault_delete;
	fault.methods = (sqlite3_io_methods){.iVersion = 2,
		.xClose = fault_close,
		.xRead = fault_read,
		.xWrite = fault_write,
		.xTruncate = fault_truncate,
		.xSync = fault_sync,
		.xFileSize = fault_file_size,
		.xLock = fault_lock_file,
		.xUnlock = fault_unlock_file,
		.xCheckReservedLock = fault_check_lock,
		.xFileControl = fault_control,
		.xSectorSize = fault_sector_size,
		.xDeviceCharacteristics = fault_characteristics,
		.xShmMap = fault_shm_map,
		.xShmLock = fault_shm_lock,
		.xShmBarrier = fault_shm_barrier,
		.xShmUnmap = fault_shm_unmap};
	sqlite3_vfs_register(&fault.own, 1);
}

#endif
