/* Decides which numbered migrations a file still needs, and refuses files whose history is not ours. A migration's first line
 * is `-- files: value readings views; new: run` (or `new: skip` where a new file already has the result, because the tables
 * of collections are made from the field rows). The opening thread, inside one transaction. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "sqlite.h"

#define MIGRATIONS_MAX  1000
#define MIGRATION_BYTES ((size_t)1 << 20)

struct migration {
	int number;
	char name[96];
	const char *text;
	size_t size;
	struct hash sum;
	bool here;    /* concerns this file */
	bool for_new; /* runs on a new file */
};

struct migrations {
	struct arena *arena;
	struct migration *items;
	size_t count;
};

static enum err add(struct migrations *migrations, const char *name, const char *text, size_t size,
	const struct sqlite_file *file, struct err_info *info)
{
	if (migrations->count == MIGRATIONS_MAX)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "more than %d migrations", MIGRATIONS_MAX);
	struct migration *migration = &migrations->items[migrations->count++];
	char *end = NULL;
	migration->number = (int)strtol(name, &end, 10);
	snprintf(migration->name, sizeof migration->name, "%s", name);
	migration->text = text;
	migration->size = size;
	migration->sum = sha256_of("carbond/migration/1", text, size);
	size_t line_size = strcspn(text, "\n");
	char *line = arena_copy(migrations->arena, text, line_size);
	if (!line)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for migrations");
	char *rule = strstr(line, "; new: ");
	if (end != name + 4 || *end != '-' || strncmp(line, "-- files: ", 10) != 0 || !rule)
		return err_set(info, ERR_INVALID_CONFIG, NULL,
			"migration %s: expected 0000-name.sql that begins with \"-- files: …; new: run\" or skip",
			name);
	*rule = 0;
	migration->for_new = strcmp(rule + strlen("; new: "), "run") == 0;
	migration->here = strstr(line, sqlite_class_names[file->class]) != NULL;
	return ERR_OK;
}

static enum err read_file(
	struct migrations *migrations, const char *path, char **ret_text, size_t *ret_size, struct err_info *info)
{
	FILE *stream = fopen(path, "rbe");
	if (!stream)
		return err_set(info, ERR_IO, NULL, "%s: %s", path, strerror(errno));
	enum err err = ERR_OK;
	char *text = arena_alloc(migrations->arena, MIGRATION_BYTES);
	size_t size = text ? fread(text, 1, MIGRATION_BYTES - 1, stream) : 0;
	if (!text)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for migrations");
	else if (ferror(stream) || !feof(stream))
		err = err_set(info, ERR_IO, NULL, "%s: could not be read whole", path);
	fclose(stream);
	*ret_text = text;
	*ret_size = size;
	return err;
}

static int is_migration(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return length > 4 && strcmp(entry->d_name + length - 4, ".sql") == 0;
}

static enum err load_folder(
	struct migrations *migrations, const char *folder, const struct sqlite_file *file, struct err_info *info)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_migration, alphasort);
	if (count < 0)
		return err_set(info, ERR_IO, NULL, "%s: %s", folder, strerror(errno));
	enum err err = ERR_OK;
	for (int i = 0; i < count; i++) {
		char *text = NULL;
		size_t size = 0;
		char *path = err ? NULL : arena_print(migrations->arena, "%s/%s", folder, entries[i]->d_name);
		if (!err && !path)
			err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for migrations");
		if (!err)
			err = read_file(migrations, path, &text, &size, info);
		if (!err)
			err = add(migrations, entries[i]->d_name, text, size, file, info);
		free(entries[i]);
	}
	free(entries);
	return err;
}

static enum err load(
	struct migrations *migrations, const char *folder, const struct sqlite_file *file, struct err_info *info)
{
	migrations->items = ARENA_ARRAY(migrations->arena, struct migration, MIGRATIONS_MAX);
	if (!migrations->items)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for migrations");
	enum err err = ERR_OK;
	if (folder)
		err = load_folder(migrations, folder, file, info);
	for (size_t i = 0; !folder && !err && sqlite_migrations[i].name; i++)
		err = add(migrations, sqlite_migrations[i].name, sqlite_migrations[i].text, sqlite_migrations[i].size,
			file, info);
	for (size_t i = 1; i < migrations->count && !err; i++)
		if (migrations->items[i].number <= migrations->items[i - 1].number)
			err = err_set(info, ERR_INVALID_CONFIG, NULL, "migrations %s and %s have one number",
				migrations->items[i - 1].name, migrations->items[i].name);
	return err;
}

/* ---- what a file says it has had ---- */

static enum err is_new(struct sqlite_file *file, bool *ret_new, struct err_info *info)
{
	sqlite3_stmt *statement = NULL;
	enum err err = sqlite_statement(
		&file->writer, "SELECT count(*) FROM sqlite_schema WHERE name = 'store_migrations'", &statement, info);
	if (err)
		return err;
	int code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		err = sqlite_failure(&file->writer, code, "read the schema", info);
	else
		*ret_new = sqlite3_column_int(statement, 0) == 0;
	sqlite_done(statement);
	return err;
}

static struct migration *find(struct migrations *migrations, int number)
{
	for (size_t i = 0; i < migrations->count; i++)
		if (migrations->items[i].number == number)
			return &migrations->items[i];
	return NULL;
}

static enum err check_row(
	struct migrations *migrations, const struct sqlite_file *file, sqlite3_stmt *row, struct err_info *info)
{
	int number = sqlite3_column_int(row, 0);
	char name[128];
	sqlite_column_copy(row, 1, name, sizeof name);
	struct migration *migration = find(migrations, number);
	if (!migration) {
		int last = migrations->count ? migrations->items[migrations->count - 1].number : 0;
		if (number > last)
			return err_set(info, ERR_SCHEMA_NEWER, NULL,
				"%s has had migration %s, which this version does not know", file->name, name);
		return err_set(info, ERR_MIGRATION_EDITED, NULL, "migration %s has been removed", name);
	}
	struct store_value sum = sqlite_column(row, 2);
	if (sum.size != sizeof migration->sum.bytes || memcmp(sum.data, migration->sum.bytes, sum.size) != 0)
		return err_set(info, ERR_MIGRATION_EDITED, NULL,
			"migration %s has been edited since it was applied to %s", migration->name, file->name);
	migration->here = false; /* done */
	return ERR_OK;
}

static enum err check_history(struct migrations *migrations, struct sqlite_file *file, struct err_info *info)
{
	sqlite3_stmt *statement = NULL;
	enum err err = sqlite_statement(
		&file->writer, "SELECT number, name, sum FROM store_migrations ORDER BY number DESC", &statement, info);
	if (err)
		return err;
	int code = SQLITE_DONE;
	while (!err && (code = sqlite3_step(statement)) == SQLITE_ROW)
		err = check_row(migrations, file, statement, info);
	if (!err && code != SQLITE_DONE)
		err = sqlite_failure(&file->writer, code, "read the migrations", info);
	sqlite_done(statement);
	return err;
}

static enum err apply(struct sqlite_file *file, const struct migration *migration, bool run, struct err_info *info)
{
	int code = run ? sqlite3_exec(file->writer.db, migration->text, NULL, NULL, NULL) : SQLITE_OK;
	if (code != SQLITE_OK)
		return sqlite_failure(&file->writer, code, migration->name, info);
	sqlite3_stmt *statement = NULL;
	enum err err = sqlite_statement(&file->writer,
		"INSERT INTO store_migrations (number, name, sum, applied_at_us) VALUES (?, ?, ?, ?)", &statement,
		info);
	if (err)
		return err;
	sqlite3_bind_int(statement, 1, migration->number);
	sqlite_bind_text(statement, 2, migration->name);
	sqlite_bind_hash(statement, 3, &migration->sum);
	sqlite3_bind_int64(statement, 4, clock_wall_us());
	code = sqlite3_step(statement);
	if (code != SQLITE_DONE)
		err = sqlite_failure(&file->writer, code, migration->name, info);
	sqlite_done(statement);
	return err;
}

enum err sqlite_check_history(struct sqlite_file *file, const char *folder, struct err_info *info)
{
	struct migrations migrations = {.arena = arena_new(0)};
	if (!migrations.arena)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for migrations");
	bool new = true;
	enum err err = load(&migrations, folder, file, info);
	if (!err)
		err = is_new(file, &new, info);
	if (!err && !new)
		err = check_history(&migrations, file, info);
	arena_free(&migrations.arena);
	return err;
}

enum err sqlite_migrate(struct sqlite_file *file, const char *folder, struct err_info *info)
{
	struct migrations migrations = {.arena = arena_new(0)};
	if (!migrations.arena)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for migrations");
	bool new = false;
	enum err err = load(&migrations, folder, file, info);
	if (!err)
		err = is_new(file, &new, info);
	if (err)
		goto out;
	if (new)
		err = sqlite_run(&file->writer,
			"CREATE TABLE store_migrations (number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL,"
			" sum BLOB NOT NULL, applied_at_us INTEGER NOT NULL) STRICT",
			info);
	else
		err = check_history(&migrations, file, info);
	for (size_t i = 0; i < migrations.count && !err; i++)
		if (migrations.items[i].here)
			err = apply(file, &migrations.items[i], !new || migrations.items[i].for_new, info);
out:
	arena_free(&migrations.arena);
	return err;
}
