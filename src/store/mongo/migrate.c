/* Decides which numbered migrations a database still needs, and refuses one whose history is not ours. A migration is a
 * document {"doc", "new": "run" or "skip", "commands": [...]}: MongoDB commands in extended JSON, each of which may run twice
 * ("skip" where a new database already has the result, because collections are made from the schema rows). Two daemons that
 * start together take turns by a lease in store_lock; a lease that runs out lets the next one in, which repeats what the one
 * before may have left half done. The opening thread. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "mongo.h"

#define MIGRATIONS_MAX  1000
#define MIGRATION_BYTES ((size_t)1 << 20)
#define LEASE_MS        INT64_C(15000)
#define LOCK_WAIT_US    INT64_C(120000000)
#define HISTORY         "store_migrations"
#define LOCKS           "store_lock"

/* ---- the lock ---- */

static enum err server_time(struct mongo_use *use, int64_t *ret_ms, struct err_info *info)
{
	bson_t *command = BCON_NEW("hello", BCON_INT32(1)), reply;
	bson_error_t error;
	bson_iter_t member;
	enum err err = mongo_command(use, command, true, &reply, &error, info);
	bson_destroy(command);
	if (!err && bson_iter_init_find(&member, &reply, "localTime") && BSON_ITER_HOLDS_DATE_TIME(&member))
		*ret_ms = bson_iter_date_time(&member);
	else if (!err)
		err = err_set(info, ERR_IO, NULL, "MongoDB does not say what time it is");
	bson_destroy(&reply);
	return err;
}

/* ERR_DUPLICATE: another one holds it. */
static enum err take_lock(struct mongo_use *use, struct err_info *info)
{
	int64_t now_ms = 0;
	enum err err = server_time(use, &now_ms, info);
	if (err)
		return err;
	const bson_oid_t *owner = &use->back->owner;
	bson_t *command = BCON_NEW("findAndModify", BCON_UTF8(LOCKS), "query", "{", "_id", BCON_UTF8("schema"), "$or",
		"[", "{", "until", "{", "$lt", BCON_DATE_TIME(now_ms), "}", "}", "{", "owner", BCON_OID(owner), "}",
		"]", "}", "update", "{", "$set", "{", "owner", BCON_OID(owner), "until",
		BCON_DATE_TIME(now_ms + LEASE_MS), "}", "}", "upsert", BCON_BOOL(true), "writeConcern", "{", "w",
		BCON_UTF8("majority"), "}");
	bson_error_t error;
	err = mongo_command(use, command, true, NULL, &error, info);
	bson_destroy(command);
	return err;
}

enum err mongo_keep_lock(struct mongo_use *use, struct err_info *info)
{
	int64_t asked_us = clock_monotonic_us(), deadline_us = asked_us + LOCK_WAIT_US;
	unsigned pauses = 0;
	if (use->back->locked_until_us - asked_us > LEASE_MS * 1000 / 2)
		return ERR_OK;
	for (;; asked_us = clock_monotonic_us()) {
		enum err err = take_lock(use, info);
		if (!err)
			use->back->locked_until_us = asked_us + LEASE_MS * 1000;
		if (err != ERR_DUPLICATE)
			return err;
		if (!mongo_pause(&pauses, deadline_us))
			return err_set(info, ERR_STORE_LOCKED, NULL, "another daemon is changing the schema of %s",
				use->back->database);
	}
}

void mongo_drop_lock(struct mongo_use *use)
{
	bson_t *command = BCON_NEW("delete", BCON_UTF8(LOCKS), "deletes", "[", "{", "q", "{", "_id",
		BCON_UTF8("schema"), "owner", BCON_OID(&use->back->owner), "}", "limit", BCON_INT32(1), "}", "]");
	bson_error_t error;
	struct err_info ignored;
	use->back->locked_until_us = 0;
	/* a lock that stays behind runs out by itself */
	if (mongo_command(use, command, true, NULL, &error, &ignored) != ERR_OK)
		ignored.code = ERR_OK;
	bson_destroy(command);
}

/* ---- what there is to run ---- */

struct migration {
	int number;
	char name[96];
	bson_t *document;
	struct hash sum;
	bool done;
};

struct migrations {
	struct migration *items;
	size_t count;
};

static enum err add(
	struct migrations *migrations, const char *name, const char *text, size_t size, struct err_info *info)
{
	if (migrations->count == MIGRATIONS_MAX)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "more than %d migrations", MIGRATIONS_MAX);
	struct migration *migration = &migrations->items[migrations->count];
	char *end = NULL;
	bson_error_t error;
	bson_iter_t member;
	migration->number = (int)strtol(name, &end, 10);
	snprintf(migration->name, sizeof migration->name, "%s", name);
	migration->sum = sha256_of("carbond/migration/1", text, size);
	migration->document = bson_new_from_json((const uint8_t *)text, (ssize_t)size, &error);
	if (!migration->document)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "migration %s: %.150s", name, error.message);
	migrations->count++;
	if (end != name + 4 || *end != '-' || !bson_iter_init_find(&member, migration->document, "new") ||
		!bson_iter_init_find(&member, migration->document, "commands") || !BSON_ITER_HOLDS_ARRAY(&member))
		return err_set(info, ERR_INVALID_CONFIG, NULL,
			"migration %s: expected 0000-name.json with \"new\" and a list of \"commands\"", name);
	if (migrations->count > 1 && migration->number <= migration[-1].number)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "migrations %s and %s have one number",
			migration[-1].name, migration->name);
	return ERR_OK;
}

static enum err add_file(struct migrations *migrations, const char *folder, const char *name, struct err_info *info)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *stream = fopen(path, "rbe");
	if (!stream)
		return err_set(info, ERR_IO, NULL, "%s: %s", path, strerror(errno));
	char *text = malloc(MIGRATION_BYTES);
	size_t size = text ? fread(text, 1, MIGRATION_BYTES, stream) : 0;
	enum err err;
	if (!text)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for migrations");
	else if (ferror(stream) || size == MIGRATION_BYTES)
		err = err_set(info, ERR_IO, NULL, "%s: could not be read whole", path);
	else
		err = add(migrations, name, text, size, info);
	free(text);
	fclose(stream);
	return err;
}

static int is_migration(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return length > 5 && strcmp(entry->d_name + length - 5, ".json") == 0;
}

static enum err load(struct migrations *migrations, const char *folder, struct err_info *info)
{
	enum err err = ERR_OK;
	migrations->items = calloc(MIGRATIONS_MAX, sizeof *migrations->items);
	if (!migrations->items)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for migrations");
	for (size_t i = 0; !folder && !err && mongo_migrations[i].name; i++)
		err = add(
			migrations, mongo_migrations[i].name, mongo_migrations[i].text, mongo_migrations[i].size, info);
	if (!folder)
		return err;
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_migration, alphasort);
	if (count < 0)
		return err_set(info, ERR_IO, NULL, "%s: %s", folder, strerror(errno));
	for (int i = 0; i < count; i++) {
		if (!err)
			err = add_file(migrations, folder, entries[i]->d_name, info);
		free(entries[i]);
	}
	free(entries);
	return err;
}

static void unload(struct migrations *migrations)
{
	for (size_t i = 0; i < migrations->count; i++)
		bson_destroy(migrations->items[i].document);
	free(migrations->items);
}

/* ---- what the database says it has had ---- */

static struct migration *find(struct migrations *migrations, int64_t number)
{
	for (size_t i = 0; i < migrations->count; i++)
		if (migrations->items[i].number == number)
			return &migrations->items[i];
	return NULL;
}

static enum err check_one(
	struct mongo_use *use, struct migrations *migrations, const bson_t *row, struct err_info *info)
{
	bson_iter_t member;
	struct store_value number = {.kind = VALUE_NULL}, sum = number, name = number;
	if (bson_iter_init_find(&member, row, "_id"))
		number = mongo_value(&member);
	if (bson_iter_init_find(&member, row, "sum"))
		sum = mongo_value(&member);
	if (bson_iter_init_find(&member, row, "name"))
		name = mongo_value(&member);
	struct migration *migration = find(migrations, number.integer);
	const char *text = name.kind == VALUE_TEXT ? name.data : "without a name";
	if (!migration) {
		int last = migrations->count ? migrations->items[migrations->count - 1].number : 0;
		return number.integer > last
			       ? err_set(info, ERR_SCHEMA_NEWER, NULL,
					 "%s has had migration %s, which this version does not know",
					 use->back->database, text)
			       : err_set(info, ERR_MIGRATION_EDITED, NULL, "migration %s has been removed", text);
	}
	if (sum.size != sizeof migration->sum.bytes || memcmp(sum.data, migration->sum.bytes, sum.size) != 0)
		return err_set(info, ERR_MIGRATION_EDITED, NULL,
			"migration %s has been edited since it was applied to %s", migration->name,
			use->back->database);
	migration->done = true;
	return ERR_OK;
}

/* Newest first, so that a newer version is told by its newest migration. */
static enum err check_history(
	struct mongo_use *use, struct migrations *migrations, bool *ret_new, struct err_info *info)
{
	struct mongo_found found;
	bson_t filter = BSON_INITIALIZER, *options = BCON_NEW("sort", "{", "_id", BCON_INT32(-1), "}");
	enum err err = mongo_find(use, HISTORY, &filter, options, MIGRATIONS_MAX, 0, &found, info);
	bson_destroy(options);
	if (err)
		return err;
	*ret_new = found.count == 0;
	for (size_t i = 0; i < found.count && !err; i++)
		err = check_one(use, migrations, found.documents[i], info);
	mongo_found_free(&found);
	return err;
}

static enum err run_commands(struct mongo_use *use, const struct migration *migration, struct err_info *info)
{
	bson_iter_t list, item;
	enum err err = ERR_OK;
	if (!bson_iter_init_find(&list, migration->document, "commands") || !bson_iter_recurse(&list, &item))
		return ERR_OK;
	while (!err && bson_iter_next(&item)) {
		bson_t command;
		uint32_t size = 0;
		const uint8_t *data = NULL;
		bson_error_t error = {.code = 0};
		if (!BSON_ITER_HOLDS_DOCUMENT(&item))
			return err_set(info, ERR_INVALID_CONFIG, NULL, "migration %s: a command is no document",
				migration->name);
		bson_iter_document(&item, &size, &data);
		if (!bson_init_static(&command, data, size))
			return err_set(info, ERR_INTERNAL, NULL, "migration %s: a broken command", migration->name);
		err = mongo_keep_lock(use, info);
		if (!err)
			err = mongo_command(use, &command, true, NULL, &error, info);
		if (err && error.code == 48)
			err = ERR_OK; /* a collection that an earlier try has made */
	}
	return err;
}

static enum err apply(struct mongo_use *use, const struct migration *migration, bool new, struct err_info *info)
{
	bson_iter_t rule;
	bool skip = new &&bson_iter_init_find(&rule, migration->document, "new") && BSON_ITER_HOLDS_UTF8(&rule) &&
		    strcmp(bson_iter_utf8(&rule, NULL), "skip") == 0;
	enum err err = skip ? ERR_OK : run_commands(use, migration, info);
	if (err)
		return err;
	bson_error_t error;
	bson_t *command = BCON_NEW("update", BCON_UTF8(HISTORY), "updates", "[", "{", "q", "{", "_id",
		BCON_INT32(migration->number), "}", "u", "{", "$set", "{", "name", BCON_UTF8(migration->name), "sum",
		BCON_BIN(BSON_SUBTYPE_BINARY, migration->sum.bytes, sizeof migration->sum.bytes), "applied_at_us",
		BCON_INT64(clock_wall_us()), "}", "}", "upsert", BCON_BOOL(true), "}", "]", "writeConcern", "{", "w",
		BCON_UTF8("majority"), "j", BCON_BOOL(true), "}");
	err = mongo_command(use, command, true, NULL, &error, info);
	bson_destroy(command);
	return err;
}

enum err mongo_migrate(struct mongo_use *use, const char *folder, struct err_info *info)
{
	struct migrations migrations = {.count = 0};
	bool new = false;
	enum err err = load(&migrations, folder, info);
	if (!err)
		err = check_history(use, &migrations, &new, info);
	for (size_t i = 0; i < migrations.count && !err; i++)
		if (!migrations.items[i].done)
			err = apply(use, &migrations.items[i], new, info);
	unload(&migrations);
	return err;
}

enum err mongo_migrate_check(struct mongo_use *use, const char *folder, struct err_info *info)
{
	struct migrations migrations = {.count = 0};
	bool new = false;
	enum err err = load(&migrations, folder, info);
	if (!err)
		err = check_history(use, &migrations, &new, info);
	unload(&migrations);
	return err;
}
