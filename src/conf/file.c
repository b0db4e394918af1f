/* What a configuration file may hold: a YAML mapping of sections of scalars, "http: {port: 8080}" or "http.port: 8080", each
 * key once. Everything else is a problem with its line. Main thread. */
#include "parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define KEY_BYTES 80

struct reader {
	struct loader *loader;
	const char *path;
	yaml_parser_t parser;
	yaml_event_t event; /* the newest one; valid while `has_event` */
	bool has_event;
	bool failed;
	const char *seen[256]; /* keys set so far */
	size_t seen_count;
};

static int line(const struct reader *reader)
{
	return (int)reader->event.start_mark.line + 1;
}

static bool next(struct reader *reader)
{
	if (reader->has_event)
		yaml_event_delete(&reader->event);
	reader->has_event = !reader->failed && yaml_parser_parse(&reader->parser, &reader->event) == 1;
	if (!reader->has_event && !reader->failed) {
		reader->failed = true;
		loader_problem(reader->loader, "%s:%d: %s", reader->path, (int)reader->parser.problem_mark.line + 1,
			reader->parser.problem ? reader->parser.problem : "is not valid YAML");
	}
	return reader->has_event;
}

/* Passes over the value that begins with the newest event. */
static void skip_value(struct reader *reader)
{
	int depth = 0;
	do {
		yaml_event_type_t type = reader->event.type;
		depth += type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT;
		depth -= type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT;
	} while (depth > 0 && next(reader));
}

static bool is_section(const char *key)
{
	size_t count, length = strlen(key);
	const struct conf_row *rows = conf_rows(&count);
	for (size_t i = 0; i < count; i++)
		if (strncmp(rows[i].key, key, length) == 0 && rows[i].key[length] == '.')
			return true;
	return false;
}

static void unknown_key(struct reader *reader, const char *key, int at_line)
{
	const char *near = table_suggest(key);
	loader_problem(reader->loader, "%s:%d: there is no key %.64s%s%s%s", reader->path, at_line, key,
		near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

static bool is_repeated(struct reader *reader, int index)
{
	size_t count;
	const char *key = conf_rows(&count)[index].key;
	for (size_t i = 0; i < reader->seen_count; i++)
		if (reader->seen[i] == key)
			return true;
	if (reader->seen_count < sizeof reader->seen / sizeof *reader->seen)
		reader->seen[reader->seen_count++] = key;
	return false;
}

/* The newest event is a scalar, the value of `key`. */
static void read_scalar(struct reader *reader, const char *key, int at_line)
{
	const char *text = (const char *)reader->event.data.scalar.value;
	bool plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	bool empty = plain && (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
	if (is_section(key)) {
		if (!empty) /* a section whose keys are all commented out is an empty scalar */
			loader_problem(reader->loader, "%s:%d: %s is a section: its keys stand below it", reader->path,
				at_line, key);
		return;
	}
	int index = table_find(key);
	if (index < 0) {
		unknown_key(reader, key, at_line);
		return;
	}
	if (strlen(text) != reader->event.data.scalar.length) {
		loader_problem(reader->loader, "%s:%d: %s holds a zero byte", reader->path, at_line, key);
		return;
	}
	if (is_repeated(reader, index)) {
		loader_problem(reader->loader, "%s:%d: %s stands here a second time", reader->path, at_line, key);
		return;
	}
	char *origin = arena_print(reader->loader->arena, "%s:%d", reader->path, at_line);
	if (origin)
		loader_set(reader->loader, index, empty ? "" : text, origin);
	else
		reader->loader->no_memory = true;
}

/* The newest event is the start of a mapping; `section` is NULL at the top. */
static void read_mapping(struct reader *reader, const char *section)
{
	while (next(reader) && reader->event.type != YAML_MAPPING_END_EVENT) {
		int at_line = line(reader);
		if (reader->event.type != YAML_SCALAR_EVENT) {
			loader_problem(reader->loader, "%s:%d: a key must be a plain word", reader->path, at_line);
			skip_value(reader);
			if (next(reader))
				skip_value(reader);
			continue;
		}
		char key[KEY_BYTES];
		snprintf(key, sizeof key, "%s%s%.60s", section ? section : "", section ? "." : "",
			(const char *)reader->event.data.scalar.value);
		if (!next(reader))
			return;
		if (reader->event.type == YAML_SCALAR_EVENT) {
			read_scalar(reader, key, at_line);
		} else if (reader->event.type == YAML_MAPPING_START_EVENT && !section && is_section(key)) {
			read_mapping(reader, key);
		} else {
			if (table_find(key) < 0)
				unknown_key(reader, key, at_line);
			else
				loader_problem(
					reader->loader, "%s:%d: %s must be one value", reader->path, at_line, key);
			skip_value(reader);
		}
	}
}

static void read_document(struct reader *reader)
{
	while (next(reader)) {
		yaml_event_type_t type = reader->event.type;
		if (type == YAML_STREAM_END_EVENT)
			return;
		if (type == YAML_MAPPING_START_EVENT) {
			read_mapping(reader, NULL);
		} else if (type == YAML_SCALAR_EVENT && reader->event.data.scalar.length == 0) {
			continue; /* a file of comments */
		} else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT || type == YAML_ALIAS_EVENT) {
			loader_problem(reader->loader, "%s:%d: the file must be a mapping of sections", reader->path,
				line(reader));
			return;
		}
	}
}

void file_read(struct loader *loader, const char *path)
{
	FILE *file = fopen(path, "re");
	if (!file) {
		loader_problem(loader, "%s: %s", path, strerror(errno));
		return;
	}
	struct reader reader = {.loader = loader, .path = path};
	if (yaml_parser_initialize(&reader.parser)) {
		yaml_parser_set_input_file(&reader.parser, file);
		read_document(&reader);
		if (reader.has_event)
			yaml_event_delete(&reader.event);
		yaml_parser_delete(&reader.parser);
	} else {
		loader->no_memory = true;
	}
	fclose(file);
}
