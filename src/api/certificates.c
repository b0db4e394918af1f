/* Public certificates of retirements: as JSON and as a page. The beneficiary is named only with consent. Workers. */
#include "certificates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"

#include "value.h"

struct certificate_part {
	const char *serial;
	int64_t kg;
	int64_t batch;
	const char *country, *unit, *methodology;
	int64_t vintage;
	int kind, durability;
	struct hash issuance_id, evidence_root;
	struct id period_id;
};

struct certificate {
	struct id id;
	int64_t number, kg;
	const char *beneficiary, *country;
	int purpose;
	int64_t covered_from, covered_to, retired_at;
	struct field_list parts;
	int64_t shard, position;
};

static const struct field part_fields[] = {
	FIELD(struct certificate_part, serial, FIELD_TEXT, .max = 128, .doc = "Serial number of the range"),
	FIELD(struct certificate_part, kg, FIELD_INT, .unit = "kg", .doc = "Its kilograms"),
	FIELD(struct certificate_part, batch, FIELD_INT, .doc = "Its batch"),
	FIELD(struct certificate_part, country, FIELD_TEXT, .max = 2, .doc = "Where it was captured"),
	FIELD(struct certificate_part, unit, FIELD_TEXT, .max = 16, .doc = "By which unit"),
	FIELD(struct certificate_part, methodology, FIELD_TEXT, .max = 16, .doc = "By which methodology"),
	FIELD(struct certificate_part, vintage, FIELD_INT, .doc = "In which year"),
	FIELD(struct certificate_part, kind, FIELD_ENUM, .names = event_credit_kind_names,
		.doc = "Removal or reduction"),
	FIELD(struct certificate_part, durability, FIELD_ENUM, .names = event_durability_names,
		.doc = "Durability class"),
	FIELD(struct certificate_part, issuance_id, FIELD_HASH, .doc = "Issuance"),
	FIELD(struct certificate_part, evidence_root, FIELD_HASH, .doc = "Root of its evidence pack"),
	FIELD(struct certificate_part, period_id, FIELD_ID, .doc = "Its monitoring period"), FIELD_END};

static const struct field certificate_fields[] = {
	FIELD(struct certificate, id, FIELD_ID, .doc = "The certificate, which is the retirement"),
	FIELD(struct certificate, number, FIELD_INT, .doc = "Its number"),
	FIELD(struct certificate, kg, FIELD_INT, .unit = "kg", .doc = "Kilograms of CO2 retired"),
	FIELD(struct certificate, beneficiary, FIELD_TEXT, .max = 200,
		.doc = "Beneficiary; undisclosed without consent, erased where its name was destroyed"),
	FIELD(struct certificate, country, FIELD_TEXT, .max = 2, .doc = "Country of the beneficiary"),
	FIELD(struct certificate, purpose, FIELD_ENUM, .names = event_purpose_names, .doc = "What for"),
	FIELD(struct certificate, covered_from, FIELD_TIME, .doc = "Emissions covered from"),
	FIELD(struct certificate, covered_to, FIELD_TIME, .doc = "To, exclusive"),
	FIELD(struct certificate, retired_at, FIELD_TIME, .doc = "When it was retired"),
	FIELD(struct certificate, parts, FIELD_LIST, .table = part_fields, .item_size = sizeof(struct certificate_part),
		.max = 256, .doc = "The serials"),
	FIELD(struct certificate, shard, FIELD_INT, .doc = "Shard of the journal"),
	FIELD(struct certificate, position, FIELD_INT, .doc = "Journal position of the retirement"), FIELD_END};

enum err certificate_serial(struct arena *arena, const struct batch_row *batch, int64_t start, int64_t length,
	const char **ret_text, struct err_info *info)
{
	struct serial serial = {.vintage = (int)batch->vintage,
		.range = {.batch = (uint64_t)batch->batch, .start = start, .length = length}};
	char text[SERIAL_TEXT_SIZE];
	snprintf(serial.country, sizeof serial.country, "%s", batch->country);
	snprintf(serial.unit, sizeof serial.unit, "%s", batch->unit_code);
	snprintf(serial.methodology, sizeof serial.methodology, "%s", batch->methodology);
	enum err err = serial_text(&serial, text);
	*ret_text = err ? NULL : arena_copy(arena, text, strlen(text));
	return *ret_text ? ERR_OK : err_set(info, err ? err : ERR_NO_MEMORY, NULL, "the serial cannot be written");
}

static enum err part_fill(struct http_request *request, const struct serial_range_item *item,
	struct certificate_part *ret_part, struct err_info *info)
{
	struct batch_row batch;
	field_clear(batch_fields, &batch);
	batch.batch = item->batch;
	enum err err = store_get(api_of(request)->store, &batches_collection, &batch, http_arena(request), info);
	if (err)
		return err;
	*ret_part = (struct certificate_part){.kg = item->length,
		.batch = item->batch,
		.country = batch.country,
		.unit = batch.unit_code,
		.methodology = batch.methodology,
		.vintage = batch.vintage,
		.kind = batch.kind,
		.durability = batch.durability,
		.issuance_id = batch.issuance_id,
		.evidence_root = batch.evidence_root,
		.period_id = batch.period_id};
	return certificate_serial(http_arena(request), &batch, item->start, item->length, &ret_part->serial, info);
}

/* The name, if the beneficiary agreed; a destroyed one reads "erased". */
static enum err beneficiary_of(
	struct http_request *request, const struct retirement_row *row, const char **ret_name, struct err_info *info)
{
	struct vault_row text;
	*ret_name = "undisclosed";
	if (!row->consent)
		return ERR_OK;
	enum err err = vault_get(api_of(request)->store, row->beneficiary_hash, http_arena(request), &text, info);
	if (!err)
		*ret_name = text.text ? text.text : "erased";
	return err;
}

static enum err certificate_read(
	struct http_request *request, struct certificate *ret_certificate, struct err_info *info)
{
	struct retirement_row row;
	field_clear(retirement_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "id", &row.id, info);
	if (!err)
		err = store_get(api_of(request)->store, &retirements_collection, &row, http_arena(request), info);
	if (err)
		return err;
	struct certificate_part *parts =
		ARENA_ARRAY(http_arena(request), struct certificate_part, row.ranges.count + 1);
	if (!parts)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the certificate");
	for (size_t i = 0; i < row.ranges.count && !err; i++)
		err = part_fill(request, &((const struct serial_range_item *)row.ranges.items)[i], &parts[i], info);
	*ret_certificate = (struct certificate){.id = row.id,
		.number = row.number,
		.kg = row.kg,
		.country = row.country,
		.purpose = row.purpose,
		.covered_from = row.covered_from,
		.covered_to = row.covered_to,
		.retired_at = row.made_at,
		.parts = {.items = parts, .count = row.ranges.count},
		.shard = ENGINE_SHARD,
		.position = row.position};
	return err ? err : beneficiary_of(request, &row, &ret_certificate->beneficiary, info);
}

static enum err certificates_get(struct http_request *request, struct err_info *info)
{
	struct certificate certificate;
	enum err err = certificate_read(request, &certificate, info);
	return err ? err : http_answer_row(request, certificate_fields, &certificate, -1);
}

/* ---- the page ---- */

/* Text for HTML; NULL without memory. */
static const char *escaped(struct arena *arena, const char *text)
{
	size_t size = strlen(text) * 6 + 1, at = 0;
	char *out = arena_alloc(arena, size);
	for (; out && *text; text++) {
		const char *entity = *text == '&'   ? "&amp;"
				     : *text == '<' ? "&lt;"
				     : *text == '>' ? "&gt;"
				     : *text == '"' ? "&quot;"
						    : NULL;
		if (entity)
			at += (size_t)snprintf(out + at, size - at, "%s", entity);
		else
			out[at++] = *text;
	}
	return out;
}

#define PAGE_STYLE                                                                                             \
	"body{font:17px/1.5 system-ui,sans-serif;color:#1c2b24;background:#eef2ee;margin:0;padding:2rem 1rem}" \
	"main{max-width:46rem;margin:auto;background:#fff;padding:2rem 2.5rem;border-top:.5rem solid #2c6e49}" \
	"h1{font-size:2.6rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}"                                \
	".of{text-transform:uppercase;letter-spacing:.12em;font-size:.8rem;color:#2c6e49;margin:0}"            \
	"table{border-collapse:collapse;width:100%%}td,th{padding:.35rem 1rem .35rem 0;text-align:left;"       \
	"vertical-align:top;border-bottom:1px solid #dfe6df}th{font-weight:500;color:#5a6b61;width:9rem}"      \
	"code{font-size:.85em;overflow-wrap:anywhere}a{color:#2c6e49}"

static bool page_parts(FILE *page, const struct certificate *certificate)
{
	for (size_t i = 0; i < certificate->parts.count; i++) {
		const struct certificate_part *part = &((const struct certificate_part *)certificate->parts.items)[i];
		char root[HASH_TEXT_SIZE];
		fprintf(page,
			"<h2><a href=\"/v1/serials/%s\"><code>%s</code></a></h2>\n<table>\n<tr><th>Amount</th><td>%lld "
			"kg, %s, "
			"%s</td></tr>\n<tr><th>Captured</th><td>%lld, unit %s, %s, by methodology %s</td></tr>\n"
			"<tr><th>Evidence root</th><td><code>%s</code></td></tr>\n</table>\n",
			part->serial, part->serial, (long long)part->kg, event_credit_kind_names[part->kind],
			event_durability_names[part->durability], (long long)part->vintage, part->unit, part->country,
			part->methodology, hash_text(part->evidence_root, root));
	}
	return !ferror(page);
}

static bool page_write(FILE *page, struct arena *arena, const struct certificate *certificate)
{
	char id[ID_TEXT_SIZE], from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE], at[CLOCK_TEXT_SIZE];
	const char *beneficiary = escaped(arena, certificate->beneficiary);
	if (!beneficiary)
		return false;
	fprintf(page,
		"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<title>Certificate %lld: %lld kg CO2 retired</title>\n<style>" PAGE_STYLE
		"</style></head><body><main>\n"
		"<p class=\"of\">Certificate of retirement</p>\n<h1>%lld kg of CO<sub>2</sub></h1>\n"
		"<p>retired for ever, for <strong>%s</strong></p>\n<table>\n",
		(long long)certificate->number, (long long)certificate->kg, (long long)certificate->kg, beneficiary);
	fprintf(page, "<tr><th>Certificate</th><td>%lld (<code>%s</code>)</td></tr>\n", (long long)certificate->number,
		id_text(certificate->id, id));
	fprintf(page, "<tr><th>Beneficiary</th><td>%s, %s</td></tr>\n", beneficiary, certificate->country);
	fprintf(page, "<tr><th>Purpose</th><td>%s</td></tr>\n", event_purpose_names[certificate->purpose]);
	fprintf(page, "<tr><th>Covers</th><td>%s to %s</td></tr>\n", clock_text(certificate->covered_from, from),
		clock_text(certificate->covered_to, to));
	fprintf(page, "<tr><th>Retired</th><td>%s, journal %lld.%lld</td></tr>\n</table>\n",
		clock_text(certificate->retired_at, at), (long long)certificate->shard,
		(long long)certificate->position);
	bool written = page_parts(page, certificate);
	fprintf(page, "<p><a href=\"/v1/certificates/%s\">as JSON</a></p>\n</main></body></html>\n", id);
	return written && !ferror(page);
}

static enum err certificates_page(struct http_request *request, struct err_info *info)
{
	struct certificate certificate;
	char *text = NULL;
	size_t size = 0;
	enum err err = certificate_read(request, &certificate, info);
	if (err)
		return err;
	FILE *page = open_memstream(&text, &size);
	bool written = page && page_write(page, http_arena(request), &certificate);
	if (page && fclose(page) != 0)
		written = false;
	const char *copy = written ? arena_copy(http_arena(request), text, size) : NULL;
	free(text);
	if (!copy)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the page");
	http_set_header(request, "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
	return http_answer_text(request, "text/html; charset=utf-8", copy, size);
}

const struct http_route api_certificates_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/certificates/{id}", "public", .kind = HTTP_WORK, .flags = HTTP_PUBLIC | HTTP_AT_LEAST,
		.cost = 2, .response = certificate_fields, .success = 200, .handler = certificates_get,
		.operation = "certificates.get", .doc = "A certificate, for everybody"),
	HTTP_ROUTE(HTTP_GET, "/certificates/{id}", "public", .kind = HTTP_WORK, .flags = HTTP_PUBLIC | HTTP_AT_LEAST,
		.cost = 2, .response_media = "text/html; charset=utf-8", .success = 200, .handler = certificates_page,
		.operation = "certificates.page", .doc = "A certificate as a page, for everybody"),
	{.path = NULL}};
