/* The reference pages, made from the tables: api.md, errors.md, metrics.md. A test fails when they are stale. Main thread. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "carbond/api.h"
#include "carbond/base/decimal.h"
#include "carbond/identity.h"

static const char *const method_texts[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};

static void write_type(FILE *out, const struct field *field)
{
	static const char *const kinds[] = {[FIELD_INT] = "integer",
		[FIELD_REAL] = "number",
		[FIELD_DECIMAL] = "decimal string",
		[FIELD_MICROS] = "decimal string",
		[FIELD_BOOL] = "boolean",
		[FIELD_TEXT] = "text",
		[FIELD_TIME] = "time",
		[FIELD_ID] = "id",
		[FIELD_HASH] = "hash",
		[FIELD_BYTES] = "bytes",
		[FIELD_JSON] = "document",
		[FIELD_OBJECT] = "object",
		[FIELD_LIST] = "list",
		[FIELD_TEXTS] = "list of texts"};
	if (field->kind != FIELD_ENUM) {
		fputs(kinds[field->kind], out);
		return;
	}
	for (size_t i = 0; field->names[i]; i++)
		fprintf(out, "%s`%s`", i ? ", " : "", field->names[i]);
}

static void write_range(FILE *out, const struct field *field)
{
	char least[DECIMAL_TEXT_SIZE], most[DECIMAL_TEXT_SIZE];
	bool counted = field->kind == FIELD_INT || field->kind == FIELD_TEXT || field->kind == FIELD_BYTES ||
		       field->kind == FIELD_LIST || field->kind == FIELD_TEXTS;
	if (counted && (field->min || field->max))
		fprintf(out, "%lld..%lld", (long long)field->min, (long long)field->max);
	else if (field->kind == FIELD_MICROS && (field->min || field->max))
		fprintf(out, "%s..%s", micros_text(field->min, least), micros_text(field->max, most));
	else if (field->kind == FIELD_REAL && field->min_real < field->max_real)
		fprintf(out, "%g..%g", field->min_real, field->max_real);
	if (field->unit)
		fprintf(out, " %s", field->unit);
}

static void write_fields(FILE *out, const struct field *table, const char *prefix, bool response, int depth)
{
	for (const struct field *field = table; field->kind != FIELD_NONE; field++) {
		char name[128];
		if (response ? (field->flags & FIELD_SECRET) : (field->flags & FIELD_READ_ONLY))
			continue;
		snprintf(name, sizeof name, "%s%s%s", prefix, field->name, field->kind == FIELD_LIST ? "[]" : "");
		fprintf(out, "| `%s` | ", name);
		write_type(out, field);
		fprintf(out, " | %s | ", !response && (field->flags & FIELD_REQUIRED) ? "yes" : "");
		write_range(out, field);
		fprintf(out, " | %s |\n", field->doc ? field->doc : "");
		if (field->table && depth < 4) {
			strncat(name, ".", sizeof name - strlen(name) - 1);
			write_fields(out, field->table, name, response, depth + 1);
		}
	}
}

static void write_table(FILE *out, const char *title, const struct field *table, bool response)
{
	if (!table)
		return;
	fprintf(out, "\n%s:\n\n| member | type | required | range | |\n|---|---|---|---|---|\n", title);
	write_fields(out, table, "", response, 0);
}

static void write_route(FILE *out, const struct http_route *route)
{
	fprintf(out, "\n### %s\n\n`%s %s`: %s.\n\n", route->operation, method_texts[route->method], route->path,
		route->doc);
	fprintf(out, "- permission: `%s`; cost %d", route->permission, route->cost);
	if (route->body_bytes_max)
		fprintf(out, "; body up to %zu bytes", route->body_bytes_max);
	for (size_t i = 0; route->media && route->media[i]; i++)
		fprintf(out, "%s`%s`", i ? ", " : " of ", route->media[i]);
	fprintf(out, "\n- success: %d%s%s\n", route->success, route->response_media ? ", " : "",
		route->response_media ? route->response_media : "");
	if (route->flags & HTTP_VALUE)
		fputs("- needs `Idempotency-Key`\n", out);
	if (route->flags & HTTP_IF_MATCH)
		fputs("- needs `If-Match`\n", out);
	if (route->flags & HTTP_PAGED)
		fputs("- pages: `limit`, `cursor`; answers `items` and `next_cursor`\n", out);
	if (route->flags & HTTP_AT_LEAST)
		fputs("- reads its own writes: `at-least=<position>`\n", out);
	for (const enum err *error = route->errors; error && *error != ERR_OK; error++)
		fprintf(out, "- may answer %d `%s`\n", err_row(*error)->status, err_row(*error)->slug);
	write_table(out, "Query", route->query, false);
	write_table(out, "Request", route->request, false);
	/* most resources answer what they take; their list and get need no second copy of the table */
	if (route->success != 204 && route->response && !(route->method == HTTP_GET && (route->flags & HTTP_PAGED)))
		write_table(out, "Answer", route->response, true);
}

static void write_matrix(FILE *out)
{
	static const char *const reaches[] = {"", "own", "org", "any"};
	size_t count = 0;
	const struct identity_permission *rows = identity_permissions(&count);
	fputs("\n## Permissions\n\nHow far each role's grant reaches: what the caller itself made (own), its "
	      "organisation "
	      "(org), every organisation (any).\n\n| permission |",
		out);
	for (unsigned role = 0; role < IDENTITY_ROLE_COUNT; role++)
		fprintf(out, " %s |", identity_role_text((enum identity_role)role));
	fputs(" |\n|---|", out);
	for (unsigned role = 0; role <= IDENTITY_ROLE_COUNT; role++)
		fputs("---|", out);
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "\n| `%s` |", rows[i].name);
		for (unsigned role = 0; role < IDENTITY_ROLE_COUNT; role++)
			fprintf(out, " %s |", reaches[rows[i].reach[role]]);
		fprintf(out, " %s |", rows[i].doc);
	}
	fputc('\n', out);
}

static void write_api(FILE *out, const char *version)
{
	fprintf(out,
		"# REST interface, version %s\n\nGenerated from the route and field tables; do not edit. The same as "
		"OpenAPI 3.1: `GET /openapi.json`.\n\n"
		"Requests carry `Authorization: Bearer <API key>`. Refusals are `application/problem+json` (RFC 9457), "
		"see "
		"[errors.md](errors.md). Every answer has `X-Request-Id`. Rows carry their version as `ETag`.\n\n"
		"What is not HTTP/1.1 is refused before there is a request to name, and the connection ends: a "
		"Content-Length that is no number, a missing Host, a request line or a chunk that is none with a bare "
		"400, a length beyond 64 bits with 413, a head that does not fit 24 KiB with 431 (a chunk's line: "
		"500), "
		"HTTP/2 with 505; what stops in the middle with 408 or nothing. After a request in chunks the "
		"connection "
		"closes.\n\n"
		"| operation | request | permission | |\n|---|---|---|---|\n",
		version);
	for (size_t i = 0; api_tables[i]; i++) {
		for (const struct http_route *route = api_tables[i]; route->path; route++)
			fprintf(out, "| %s | `%s %s` | `%s` | %s |\n", route->operation, method_texts[route->method],
				route->path, route->permission, route->doc);
	}
	write_matrix(out);
	fputs("\n## Operations\n", out);
	for (size_t i = 0; api_tables[i]; i++) {
		for (const struct http_route *route = api_tables[i]; route->path; route++)
			write_route(out, route);
	}
}

static void write_errors(FILE *out, const char *version)
{
	size_t count = 0;
	const struct err_row *rows = err_rows(&count);
	(void)version;
	fputs("# Errors\n\nGenerated from `errors.def`; do not edit. The type of a problem is `/problems/<slug>`; "
	      "numbers are "
	      "stable.\n\n| number | status | slug | title |\n|---|---|---|---|\n",
		out);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].code != ERR_OK)
			fprintf(out, "| %d | %d | `%s` | %s |\n", (int)rows[i].code, rows[i].status, rows[i].slug,
				rows[i].title);
	}
}

static const char *lower(const char *upper, char *name, size_t capacity)
{
	size_t size = 0;
	for (const char *at = upper; *at && size + 1 < capacity; at++)
		name[size++] = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
	name[size] = 0;
	return name;
}

static void write_families(FILE *out)
{
	static const struct {
		const char *name, *kind, *label, *help;
	} rows[] = {
#define METRIC_FAMILY(name, kind, label, help) {#name, #kind, label, help},
#include "carbond/metric_families.def"
#undef METRIC_FAMILY
	};
	fputs("\n## With a label\n\n| name | kind | |\n|---|---|---|\n", out);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char name[96];
		bool counter = strcmp(rows[i].kind, "COUNTER") == 0;
		fprintf(out, "| `carbond_%s%s{%s}` | %s | %s |\n", lower(rows[i].name, name, sizeof name),
			counter ? "_total" : "", rows[i].label, counter ? "counter" : "gauge", rows[i].help);
	}
}

static void write_metrics(FILE *out, const char *version)
{
	static const struct {
		const char *name, *kind, *unit, *help;
	} rows[] = {
#define METRIC(name, kind, unit, help) {#name, #kind, unit, help},
#include "carbond/metrics.def"
#undef METRIC
	};
	(void)version;
	fputs("# Metrics\n\nGenerated from `metrics.def` and `metric_families.def`; do not edit. `GET /metrics` in "
	      "Prometheus text format. Each row says what is counted, then what a bad value means and what to do.\n\n"
	      "| name | kind | unit | |\n|---|---|---|---|\n",
		out);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char name[96];
		bool counter = strcmp(rows[i].kind, "COUNTER") == 0, histogram = strcmp(rows[i].kind, "HISTOGRAM") == 0;
		fprintf(out, "| `carbond_%s%s` | %s | %s | %s |\n", lower(rows[i].name, name, sizeof name),
			counter     ? "_total"
			: histogram ? "_seconds"
				    : "",
			counter     ? "counter"
			: histogram ? "histogram"
				    : "gauge",
			rows[i].unit, rows[i].help);
	}
	write_families(out);
}

enum err api_write_docs(const char *folder, const char *version, struct err_info *info)
{
	static const struct {
		const char *name;
		void (*write)(FILE *out, const char *version);
	} pages[] = {{"api.md", write_api}, {"errors.md", write_errors}, {"metrics.md", write_metrics}};
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		char path[512];
		snprintf(path, sizeof path, "%s/%s", folder, pages[i].name);
		FILE *out = fopen(path, "we");
		if (!out)
			return err_set(info, ERR_IO, NULL, "cannot write %s: %s", path, strerror(errno));
		pages[i].write(out, version);
		bool written = !ferror(out);
		if (fclose(out) != 0 || !written)
			return err_set(info, ERR_IO, NULL, "cannot write %s: %s", path, strerror(errno));
	}
	return ERR_OK;
}
