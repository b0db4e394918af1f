/* `carbond docs FOLDER` writes every reference page and the OpenAPI document from the tables, the same bytes each time, and
 * `carbond config` prints the configuration. Main thread. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "carbond/events.h"
#include "daemon.h"

static enum err write_page(const char *folder, const char *name, const char *text, struct err_info *info)
{
	char path[PATH_MAX];
	FILE *file;
	bool good;

	if (!text)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for %s", name);
	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return err_set(info, ERR_IO, NULL, "the path of %s is too long", name);
	file = fopen(path, "we");
	if (!file)
		return err_set(info, ERR_IO, NULL, "cannot write %s: %s", path, strerror(errno));
	good = fputs(text, file) >= 0;
	good = fclose(file) == 0 && good;
	return good ? ERR_OK : err_set(info, ERR_IO, NULL, "cannot write %s: %s", path, strerror(errno));
}

static enum err write_openapi(const char *folder, struct err_info *info)
{
	json_t *document = http_openapi(api_tables, "carbond", CARBOND_VERSION);
	char *text = document ? json_dumps(document, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
	size_t size = text ? strlen(text) : 0;
	char *line = text ? realloc(text, size + 2) : NULL;
	enum err err;

	if (line)
		memcpy(line + size, "\n", 2);
	err = write_page(folder, "openapi.json", line, info);
	free(line ? line : text);
	json_decref(document);
	return err;
}

/* ---- journal.md ---- */

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void print_fields(FILE *file, const json_t *fields)
{
	size_t index;
	json_t *row;

	if (json_array_size(fields) == 0)
		return;
	fprintf(file, "\n| offset | size | field | kind | since | |\n|---:|---:|---|---|---:|---|\n");
	json_array_foreach(fields, index, row)
	{
		const json_t *names = json_object_get(row, "names");
		size_t number;
		json_t *name;
		fprintf(file, "| %lld | %lld | %s | %s | %lld | %s",
			(long long)json_integer_value(json_object_get(row, "offset")),
			(long long)json_integer_value(json_object_get(row, "size")), text_of(row, "name"),
			text_of(row, "kind"), (long long)json_integer_value(json_object_get(row, "since")),
			text_of(row, "doc"));
		json_array_foreach(names, number, name)
			fprintf(file, "%s%zu %s", number ? ", " : ": ", number, json_string_value(name));
		fprintf(file, " |\n");
	}
}

static void print_layouts(FILE *file, const json_t *layouts, const char *group, const char *title, const char *what)
{
	size_t index;
	json_t *layout;

	fprintf(file, "\n## %s\n%s\n", title, what);
	json_array_foreach(layouts, index, layout)
	{
		if (strcmp(text_of(layout, "group"), group) != 0)
			continue;
		fprintf(file, "\n### %lld %s, version %lld\n%s%s%s%s%s%s%s\n",
			(long long)json_integer_value(json_object_get(layout, "type")), text_of(layout, "name"),
			(long long)json_integer_value(json_object_get(layout, "version")), text_of(layout, "doc"),
			json_is_true(json_object_get(layout, "ranges")) ? " Followed by serial ranges." : "",
			json_is_true(json_object_get(layout, "runs")) ? " Followed by claimed runs." : "",
			json_is_true(json_object_get(layout, "linked")) ? " Followed by linked transfers." : "",
			json_is_true(json_object_get(layout, "deliveries")) ? " Followed by a schedule of deliveries."
									    : "",
			json_is_true(json_object_get(layout, "verifiers")) ? " Followed by verifiers' organisations."
									   : "",
			json_is_true(json_object_get(layout, "lines")) ? " Followed by lines." : "");
		print_fields(file, json_object_get(layout, "fields"));
	}
}

static enum err write_journal(const char *folder, struct err_info *info)
{
	json_t *layouts = events_reference();
	char *text = NULL;
	size_t size = 0;
	FILE *file = layouts ? open_memstream(&text, &size) : NULL;
	enum err err;

	if (!file) {
		json_decref(layouts);
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for journal.md");
	}
	fprintf(file, "<!-- made by `carbond docs` from include/carbond/records; do not edit -->\n"
		      "# Journal records\n\n"
		      "Every record is a header of 64 bytes and a body of the layout below; numbers are little-endian, "
		      "times are "
		      "µs UTC. A field is read as zero in records of a version below its `since`.\n");
	print_layouts(file, layouts, "event", "Events", "What the journal holds.");
	print_layouts(file, layouts, "command", "Commands",
		"What the engine is asked to do; their layout is what a repeat is compared by.");
	fclose(file);
	err = write_page(folder, "journal.md", text, info);
	free(text);
	json_decref(layouts);
	return err;
}

/* ---- storage.md ---- */

static void print_members(FILE *file, const char *const *names)
{
	for (size_t i = 0; i < STORE_INDEX_FIELDS && names[i]; i++)
		fprintf(file, "%s%s: 1", i ? ", " : "", names[i]);
}

/* A cluster takes a shard key only where every unique index begins with it; and each read and write by the primary key goes to one
 * shard only where the shard key is part of it. */
static bool is_shardable(const struct store_collection *collection)
{
	if (!collection->shard_key || !collection->key[1] || strcmp(collection->key[0], collection->shard_key) != 0)
		return false;
	for (const struct store_index *index = collection->indexes; index && index->name; index++)
		if (index->unique && strcmp(index->fields[0], collection->shard_key) != 0)
			return false;
	return true;
}

/* The whole primary key, so that a chunk can be split within one value of its first member; or that member alone, where another
 * unique index begins with it. */
static void print_shard_key(FILE *file, const struct store_collection *collection)
{
	bool other = false;

	for (const struct store_index *index = collection->indexes; index && index->name; index++)
		other = other || index->unique;
	if (other)
		fprintf(file, "%s: 1", collection->shard_key);
	else
		print_members(file, collection->key);
}

static void print_collection(FILE *file, const struct store_collection *collection)
{
	static const char *const classes[] = {"value", "readings", "views"};

	fprintf(file, "| %s | %s | ", collection->name, classes[collection->class]);
	for (size_t i = 0; i < STORE_INDEX_FIELDS && collection->key[i]; i++)
		fprintf(file, "%s%s", i ? ", " : "", collection->key[i]);
	fprintf(file, " | ");
	for (const struct store_index *index = collection->indexes; index && index->name; index++) {
		fprintf(file, "%s%s(", index == collection->indexes ? "" : "; ", index->unique ? "unique " : "");
		for (size_t i = 0; i < STORE_INDEX_FIELDS && index->fields[i]; i++)
			fprintf(file, "%s%s", i ? ", " : "", index->fields[i]);
		fputc(')', file);
	}
	fprintf(file, " | %s%s | %s |\n", collection->retention_field ? "by " : "for ever",
		collection->retention_field ? collection->retention_field : "", collection->doc);
}

static void print_sharding(FILE *file, const struct store_collection *const *collections)
{
	fputs("\n## Shard keys\n"
	      "For `mongosh` on a `mongos`, once, after carbond has made its collections; `carbond` is the database of "
	      "`store.uri`. Everything else stays whole on the database's primary shard: it is small, or its keys are "
	      "not those "
	      "that it is asked by.\n\n```js\n"
	      "sh.enableSharding(\"carbond\")\n"
	      "sh.shardCollection(\"carbond.log_readings\", {stream: 1})\n",
		file);
	for (; *collections; collections++) {
		if ((*collections)->class != STORE_READINGS || !is_shardable(*collections))
			continue;
		fprintf(file, "sh.shardCollection(\"carbond.%s\", {", (*collections)->name);
		print_shard_key(file, *collections);
		fputs("})\n", file);
	}
	fputs("```\n", file);
}

static enum err write_storage(struct daemon *daemon, const char *folder, struct err_info *info)
{
	const struct store_collection *const *collections = daemon_collections(daemon->arena);
	char *text = NULL;
	size_t size = 0;
	FILE *file = collections ? open_memstream(&text, &size) : NULL;
	enum err err;

	if (!file)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for storage.md");
	fputs("<!-- made by `carbond docs` from the rooms' schema tables; do not edit -->\n"
	      "# Collections\n\n"
	      "Classes: *value* and *readings* are durable and backed up, *views* are rebuilt from the logs. Each "
	      "index is followed by "
	      "the members of the key that it lacks. With MongoDB a key of one member is `_id`. Beside them stand the "
	      "logs, "
	      "`log_value`, `log_readings` and `log_views`, by stream and position.\n\n"
	      "| collection | class | key | indexes | kept | |\n|---|---|---|---|---|---|\n",
		file);
	for (size_t i = 0; collections[i]; i++)
		print_collection(file, collections[i]);
	print_sharding(file, collections);
	fclose(file);
	err = write_page(folder, "storage.md", text, info);
	free(text);
	return err;
}

int verb_docs(struct daemon *daemon, int count, char **words)
{
	struct err_info info = {0};
	enum err err;

	if (count != 1) {
		fprintf(stderr, "carbond docs: usage: carbond docs FOLDER\n");
		return DAEMON_EXIT_USAGE;
	}
	err = api_write_docs(words[0], CARBOND_VERSION, &info);
	if (!err)
		err = write_page(words[0], "config.md", conf_reference_text(daemon->arena), &info);
	if (!err)
		err = write_journal(words[0], &info);
	if (!err)
		err = write_storage(daemon, words[0], &info);
	if (!err)
		err = write_openapi(words[0], &info);
	if (!err)
		return DAEMON_EXIT_OK;
	fprintf(stderr, "carbond docs: %s\n", *info.detail ? info.detail : err_row(err)->title);
	return DAEMON_EXIT_FAILED;
}

int verb_config(struct daemon *daemon, int count, char **words)
{
	bool example = count == 1 && strcmp(words[0], "--example") == 0;
	const char *text;

	if (count > 0 && !example) {
		fprintf(stderr, "carbond config: usage: carbond config [--example]\n");
		return DAEMON_EXIT_USAGE;
	}
	text = example ? conf_example_text(daemon->arena) : conf_dump(daemon->conf, daemon->arena);
	if (!text)
		return DAEMON_EXIT_FAILED;
	fputs(text, stdout);
	return DAEMON_EXIT_OK;
}
