/* Folders for stores under test, and the files in them. */
#ifndef STORE_SQLITE_PLACES_H
#define STORE_SQLITE_PLACES_H

#include <dirent.h>
#include <ftw.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "things.h"

static inline void sqlite_place_new(struct place *place)
{
	const char *top = getenv("TMPDIR");
	snprintf(place->folder, sizeof place->folder, "%s/carbond-store-XXXXXX", top ? top : "/tmp");
	assert_non_null(mkdtemp(place->folder));
	snprintf(place->uri, sizeof place->uri, "sqlite:%s", place->folder);
}

static inline int drop_one(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
	(void)status;
	(void)flag;
	(void)walk;
	return remove(path);
}

static inline void sqlite_place_drop(struct place *place)
{
	nftw(place->folder, drop_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void run_sql(const char *folder, const char *file, const char *sql)
{
	char path[1024];
	sqlite3 *db = NULL;
	snprintf(path, sizeof path, "%s/%s", folder, file);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	char *message = NULL;
	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", sql, message);
	sqlite3_close(db);
}

#endif
