/* Folders for stores under test, and the files in them. */
#ifndef STORE_SQLITE_PLACES_H
#define STORE_SQLITE_PLACES_H

#include <dirent.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conformance.h"

static void sqlite_place_new(struct place *place)
{
	const char *top = getenv("TMPDIR");
	snprintf(place->folder, sizeof place->folder, "%s/carbond-store-XXXXXX", top ? top : "/tmp");
	assert_non_null(mkdtemp(place->folder));
	snprintf(place->uri, sizeof place->uri, "sqlite:%s", place->folder);
}

static void drop_folder(const char *folder)
{
	DIR *listing = opendir(folder);
	if (!listing)
		return;
	for (struct dirent *entry; (entry = readdir(listing));) {
		char path[1024];
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (unlink(path) != 0)
			drop_folder(path);
	}
	closedir(listing);
	rmdir(folder);
}

static void sqlite_place_drop(struct place *place)
{
	drop_folder(place->folder);
}

static void run_sql(const char *folder, const char *file, const char *sql)
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

static void sqlite_tamper(struct place *place, const char *stream, uint64_t seq, bool header)
{
	char sql[512];
	const char *change = header ? "written_at_us = written_at_us + 1" : "payload = CAST('paylOad number 70' AS BLOB)";
	snprintf(sql, sizeof sql, "UPDATE log_batches SET %s WHERE stream = '%s' AND seq = %llu", change, stream,
		(unsigned long long)seq);
	run_sql(place->folder, "value.db", sql);
}

static bool file_holds(const char *path, const char *needle)
{
	FILE *stream = fopen(path, "rb");
	if (!stream)
		return false;
	fseek(stream, 0, SEEK_END);
	size_t size = (size_t)ftell(stream);
	rewind(stream);
	char *data = malloc(size + 1);
	size = fread(data, 1, size, stream);
	fclose(stream);
	bool found = memmem(data, size, needle, strlen(needle)) != NULL;
	free(data);
	return found;
}

static bool sqlite_holds(struct place *place, const char *needle)
{
	bool found = false;
	DIR *listing = opendir(place->folder);
	for (struct dirent *entry; (entry = readdir(listing)) && !found;) {
		char path[1024];
		snprintf(path, sizeof path, "%s/%s", place->folder, entry->d_name);
		found = entry->d_type == DT_REG && file_holds(path, needle);
	}
	closedir(listing);
	return found;
}

#endif
