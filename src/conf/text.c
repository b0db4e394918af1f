/* The texts made from the table: the effective configuration, the example file, the reference page. Main thread. */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Collects text on the heap; `finish` moves it into the arena. */
struct writer {
	FILE *out;
	char *text;
	size_t size;
};

static bool start(struct writer *writer)
{
	*writer = (struct writer){0};
	writer->out = open_memstream(&writer->text, &writer->size);
	return writer->out != NULL;
}

static char *finish(struct writer *writer, struct arena *arena)
{
	bool failed = ferror(writer->out);
	failed |= fclose(writer->out) != 0;
	char *copy = failed ? NULL : arena_copy(arena, writer->text, writer->size);
	free(writer->text);
	return copy;
}

/* The section before the point ("" for none), and the word after it. */
static const char *split_key(const char *key, char section[40])
{
	const char *point = strchr(key, '.');
	snprintf(section, 40, "%.*s", point ? (int)(point - key) : 0, key);
	return point ? point + 1 : key;
}

static void write_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void write_value(FILE *out, const struct conf_row *row, const char *text)
{
	if (row->kind == CONF_KIND_TEXT)
		write_quoted(out, text);
	else
		fputs(text, out);
}

char *conf_dump(const struct conf *conf, struct arena *arena)
{
	size_t count;
	const struct conf_row *rows = conf_rows(&count);
	struct writer writer;
	if (!start(&writer))
		return NULL;
	char before[40] = "";
	for (size_t i = 0; i < count; i++) {
		char section[40], buffer[32], redacted[1100];
		const char *word = split_key(rows[i].key, section);
		if (strcmp(section, before) != 0)
			fprintf(writer.out, "%s:\n", section);
		snprintf(before, sizeof before, "%s", section);
		fprintf(writer.out, "%s%s: ", *section ? "  " : "", word);
		if (rows[i].flags & CONF_SECRET)
			fputs("\"(hidden)\"", writer.out);
		else
			write_value(writer.out, &rows[i],
				table_redact(&rows[i], table_value_text(&rows[i], conf, buffer, sizeof buffer),
					redacted, sizeof redacted));
		fprintf(writer.out, " # %s\n", conf->origins[i]);
	}
	return finish(&writer, arena);
}

char *conf_example_text(struct arena *arena)
{
	size_t count;
	const struct conf_row *rows = conf_rows(&count);
	struct writer writer;
	if (!start(&writer))
		return NULL;
	fputs("# carbond's configuration. Every key is here with its default; remove the # of what you change.\n"
	      "# The environment (CARBOND_HTTP_PORT=8080) and flags (--http.port=8080) go over this file.\n"
	      "# `carbond --check-config` tests it; SIGHUP applies the keys marked \"on reload\", others need a "
	      "restart.\n",
		writer.out);
	char before[40] = "";
	for (size_t i = 0; i < count; i++) {
		char section[40], wanted[256];
		const char *word = split_key(rows[i].key, section), *indent = *section ? "  " : "";
		if (strcmp(section, before) != 0)
			fprintf(writer.out, "\n%s:\n", section);
		else if (!*section)
			fputc('\n', writer.out);
		snprintf(before, sizeof before, "%s", section);
		table_describe(&rows[i], wanted, sizeof wanted);
		fprintf(writer.out, "%s# %s\n%s# %s%s\n%s#%s: ", indent, rows[i].doc, indent, wanted,
			rows[i].flags & CONF_RELOADABLE ? "; on reload" : "", indent, word);
		write_value(writer.out, &rows[i], rows[i].default_text);
		fputc('\n', writer.out);
	}
	return finish(&writer, arena);
}

char *conf_reference_text(struct arena *arena)
{
	size_t count;
	const struct conf_row *rows = conf_rows(&count);
	struct writer writer;
	if (!start(&writer))
		return NULL;
	fputs("# Configuration\n\n"
	      "Generated from `include/carbond/conf.def`. Values come, each over the one before, from the default, a "
	      "YAML\n"
	      "file (`--config FILE`, `CARBOND_CONFIG`, or `/etc/carbond/carbond.yaml`), the environment and flags.\n"
	      "`carbond --check-config` names file, line, key and allowed range of everything that does not fit.\n\n"
	      "| key | allowed | default | environment | on reload | meaning |\n|---|---|---|---|---|---|\n",
		writer.out);
	for (size_t i = 0; i < count; i++) {
		char wanted[256], variable[80];
		table_describe(&rows[i], wanted, sizeof wanted);
		table_environment_name(&rows[i], variable, sizeof variable);
		fprintf(writer.out, "| `%s` | %s | %s%s%s | `%s` | %s | %s |\n", rows[i].key, wanted,
			*rows[i].default_text ? "`" : "", *rows[i].default_text ? rows[i].default_text : "(empty)",
			*rows[i].default_text ? "`" : "", variable, rows[i].flags & CONF_RELOADABLE ? "yes" : "no",
			rows[i].doc);
	}
	return finish(&writer, arena);
}
