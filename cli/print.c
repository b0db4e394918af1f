/* How answers look in a terminal: lists as tables, objects as fields, JSON with --json. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { COLUMNS_MAX = 24, CHOSEN_MAX = 12, LOOKED_AT_MAX = 100, WIDTH_MAX = 64 };

/* Characters, not bytes: close enough to columns for what names hold. */
static size_t width_of(const char *text)
{
	size_t width = 0;
	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void put(const char *text, size_t width, bool pad)
{
	size_t shown = 0;
	for (; *text && (shown < width || ((unsigned char)*text & 0xc0) == 0x80); text++) {
		shown += ((unsigned char)*text & 0xc0) != 0x80;
		putchar(*text == '\n' || *text == '\t' ? ' ' : *text);
	}
	for (; pad && shown < width; shown++)
		putchar(' ');
}

/* A cell's text; lists of plain values are joined. */
static const char *text_of(struct arena *arena, const json_t *value)
{
	if (!value || json_is_null(value))
		return "-";
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_array(value)) {
		const char *joined = "";
		for (size_t i = 0; i < json_array_size(value); i++) {
			const json_t *item = json_array_get(value, i);
			if (json_is_object(item) || json_is_array(item))
				return document_text(arena, value, NULL);
			const char *longer = arena_print(arena, "%s%s%s", joined, i ? ", " : "", text_of(arena, item));
			joined = longer ? longer : joined;
		}
		return *joined ? joined : "-";
	}
	if (json_is_boolean(value))
		return json_is_true(value) ? "yes" : "no";
	const char *text = document_text(arena, value, NULL);
	return text ? text : "-";
}

struct column {
	const char *name;
	size_t width;
};

static bool has_column(const struct column *columns, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(columns[i].name, name) == 0)
			return true;
	return false;
}

/* The columns asked for, or the plain members of the items, in the order in which they appear. */
static size_t choose_columns(struct arena *arena, const json_t *items, const char *wanted, struct column *ret_columns)
{
	size_t count = 0;
	if (wanted) {
		char *names = arena_copy(arena, wanted, strlen(wanted)), *rest = NULL;
		for (char *name = strtok_r(names, " ", &rest); name && count < COLUMNS_MAX;
			name = strtok_r(NULL, " ", &rest))
			ret_columns[count++].name = name;
		return count;
	}
	for (size_t r = 0; r < json_array_size(items) && r < LOOKED_AT_MAX; r++) {
		const char *name;
		json_t *value;
		json_object_foreach(json_array_get(items, r), name,
			value) if (!json_is_object(value) && !json_is_array(value) &&
				   !has_column(ret_columns, count, name) && count < CHOSEN_MAX) ret_columns[count++]
			.name = name;
	}
	return count;
}

/* "place.town" reaches into objects. */
static const json_t *cell(const json_t *item, const char *name)
{
	const char *point;
	while ((point = strchr(name, '.')) && !json_object_get(item, name)) {
		item = json_object_getn(item, name, (size_t)(point - name));
		name = point + 1;
	}
	return json_object_get(item, name);
}

static void print_table(struct arena *arena, const json_t *items, const char *wanted, const char *indent)
{
	struct column columns[COLUMNS_MAX];
	size_t count = choose_columns(arena, items, wanted, columns), rows = json_array_size(items);
	for (size_t c = 0; c < count; c++) {
		columns[c].width = width_of(columns[c].name);
		for (size_t r = 0; r < rows; r++) {
			size_t width = width_of(text_of(arena, cell(json_array_get(items, r), columns[c].name)));
			width = width < WIDTH_MAX ? width : WIDTH_MAX;
			columns[c].width = width > columns[c].width ? width : columns[c].width;
		}
	}
	for (size_t r = 0; r <= rows; r++) {
		fputs(indent, stdout);
		for (size_t c = 0; c < count; c++) {
			const char *text = columns[c].name;
			if (r)
				text = text_of(arena, cell(json_array_get(items, r - 1), columns[c].name));
			put(text, columns[c].width, c + 1 < count);
			fputs(c + 1 < count ? "  " : "\n", stdout);
		}
	}
}

/* An object that holds lists of objects: too much for a line of a table. */
static bool has_nested_lists(const json_t *object)
{
	if (!object)
		return false;
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, name,
		value) if (json_is_array(value) && json_is_object(json_array_get(value, 0))) return true;
	return false;
}

static void print_fields(struct arena *arena, const json_t *object, const char *prefix, size_t width)
{
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		const char *whole = arena_print(arena, "%s%s", prefix, name);
		if (!whole)
			return;
		if (json_is_object(value) && json_object_size(value)) {
			print_fields(arena, value, arena_print(arena, "%s.", whole), width);
		} else if (json_is_array(value) && has_nested_lists(json_array_get(value, 0))) {
			for (size_t i = 0; i < json_array_size(value); i++)
				print_fields(arena, json_array_get(value, i), arena_print(arena, "%s.%zu.", whole, i),
					width);
		} else if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
			printf("%s\n", whole);
			print_table(arena, value, NULL, "  ");
		} else {
			size_t name_width = width_of(whole);
			put(whole, name_width > width ? name_width : width, true);
			printf("  %s\n", text_of(arena, value));
		}
	}
}

static size_t widest_name(const json_t *object)
{
	size_t widest = 0;
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		const json_t *first = json_is_array(value) ? json_array_get(value, 0) : NULL;
		size_t width = width_of(name);
		if (json_is_object(value))
			width += 1 + widest_name(value); /* "place.town" */
		else if (has_nested_lists(first))
			width += 3 + widest_name(first); /* "parts.0.kg" */
		else if (json_is_object(first))
			width = 0; /* stands alone above its table */
		widest = width > widest ? width : widest;
	}
	return widest < 40 ? widest : 40;
}

void cli_print(struct arena *arena, const json_t *document, const char *columns)
{
	if (!document)
		return;
	if (cli_settings()->json) {
		char *text = json_dumps(document, JSON_INDENT(2) | JSON_ENCODE_ANY);
		const char *plain = text ? text : document_text(arena, document, NULL);
		puts(plain ? plain : "null");
		free(text);
		return;
	}
	const json_t *items = json_is_array(document) ? document : json_object_get(document, "items");
	if (!items) {
		print_fields(arena, document, "", widest_name(document));
		return;
	}
	if (json_array_size(items) == 0)
		puts("(none)");
	else if (json_is_object(json_array_get(items, 0)))
		print_table(arena, items, columns, "");
	else
		for (size_t i = 0; i < json_array_size(items); i++)
			puts(text_of(arena, json_array_get(items, i)));
	const json_t *cursor = json_object_get(document, "next_cursor");
	if (json_is_string(cursor))
		printf("(more: --cursor %s, or --all)\n", json_string_value(cursor));
}
