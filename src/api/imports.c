/* Credits of other registries: taken in as batches, each of their numbers once until it goes back. Reads on workers; commands by the engine. */
#include "carbond/registry.h"

#include "value.h"

static const enum err import_errors[] = {ERR_ORIGIN_TAKEN, ERR_SEPARATION_OF_DUTIES, ERR_COMMAND_TOO_LARGE,
	ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

struct imports_query {
	const char *origin, *series;
};
static const struct field imports_query_fields[] = {
	FIELD(struct imports_query, origin, FIELD_TEXT, .min = 1, .max = 16, .doc = "Only from this registry"),
	FIELD(struct imports_query, series, FIELD_TEXT, .min = 1, .max = 32, .doc = "And only of this series"),
	FIELD_END};

static enum err imports_list(struct http_request *request, struct err_info *info)
{
	const struct imports_query *given = http_query(request);
	struct import_row low;
	field_clear(import_fields, &low);
	low.origin = given->origin;
	low.series = given->series;
	struct store_query query = {.collection = &imports_collection, .low = &low};
	if (given->origin) {
		query.index = "by_origin";
		query.prefix = given->series ? 2 : 1;
	}
	enum err err = value_at_least(request, info);
	if (!err && given->series && !given->origin)
		err = err_set(info, ERR_MISSING_FIELD, "/origin", "a series is one of an origin");
	return err ? err : api_answer_found(request, &query, import_fields, info);
}

static enum err imports_get(struct http_request *request, struct err_info *info)
{
	struct import_row row;
	field_clear(import_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "batch", &row.batch, info);
	if (!err)
		err = store_get(api_of(request)->store, &imports_collection, &row, http_arena(request), info);
	return err ? err : http_answer_row(request, import_fields, &row, row.position);
}

struct import_body {
	struct id org_id;
	const char *origin, *series, *methodology, *country;
	int kind, durability;
	int64_t vintage, unit_kg;
	struct field_list numbers;
	struct hash evidence_hash;
};
static const struct field import_body_fields[] = {FIELD(struct import_body, org_id, FIELD_ID, .flags = FIELD_REQUIRED,
							  .doc = "Organisation that holds them then"),
	FIELD(struct import_body, origin, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 16,
		.doc = "The registry that they come from, [A-Z0-9]"),
	FIELD(struct import_body, series, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 32,
		.doc = "What their numbers count within, as that registry has it"),
	FIELD(struct import_body, numbers, FIELD_LIST, .flags = FIELD_REQUIRED, .table = import_number_fields,
		.item_size = sizeof(struct import_number), .min = 1, .max = REGISTRY_IMPORT_RUNS_MAX,
		.doc = "Their numbers there, ascending"),
	FIELD(struct import_body, unit_kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = 1000, .unit = "kg",
		.doc = "Kilograms that a number stands for: 1 or 1000"),
	FIELD(struct import_body, methodology, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 16,
		.doc = "Their methodology in serials, [A-Z0-9]"),
	FIELD(struct import_body, country, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 2, .max = 2,
		.doc = "ISO 3166 alpha-2"),
	FIELD(struct import_body, kind, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = event_credit_kind_names,
		.doc = "Removal or reduction"),
	FIELD(struct import_body, durability, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = event_durability_names,
		.doc = "Durability class"),
	FIELD(struct import_body, vintage, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1970, .max = 9999,
		.doc = "Year in which it happened"),
	FIELD(struct import_body, evidence_hash, FIELD_HASH, .flags = FIELD_REQUIRED,
		.doc = "SHA-256 of that registry's proof that it has cancelled them for this"),
	FIELD_END};

/* Runs as the engine has them; one that goes beyond its slot is two. */
static enum err runs_of(
	struct http_request *request, const struct field_list *numbers, struct command *command, struct err_info *info)
{
	const struct import_number *items = numbers->items;
	struct claim_run *runs = ARENA_ARRAY(http_arena(request), struct claim_run, 2 * numbers->count + 1);
	size_t count = 0;
	if (!runs)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the numbers");
	for (size_t i = 0; i < numbers->count; i++) {
		uint64_t first = (uint64_t)items[i].first, end = first + (uint64_t)items[i].count;
		if (items[i].first < 0 || items[i].first > INT64_C(1) << 53)
			return err_set(info, ERR_INVALID_FIELD, "/numbers", "number %zu is too large", i);
		while (first < end) {
			uint64_t rest = REGISTRY_ORIGIN_SLOT - first % REGISTRY_ORIGIN_SLOT;
			uint64_t part = end - first < rest ? end - first : rest;
			runs[count++] = (struct claim_run){.first_hour = (uint32_t)(first % REGISTRY_ORIGIN_SLOT),
				.hours = (uint32_t)part,
				.slot = (uint32_t)(first / REGISTRY_ORIGIN_SLOT)};
			first += part;
		}
	}
	command->lists = (struct record_lists){.runs = runs, .run_count = count};
	return ERR_OK;
}

static enum err imports_create(struct http_request *request, struct err_info *info)
{
	const struct import_body *body = http_body(request);
	struct command command = value_command(request, COMMAND_BATCH_IMPORT);
	struct command_batch_import *asked = &command.batch_import;
	*asked = (struct command_batch_import){.org = body->org_id,
		.evidence_hash = body->evidence_hash,
		.kind = (uint32_t)body->kind,
		.durability = (uint32_t)body->durability,
		.vintage = (uint32_t)body->vintage,
		.unit_kg = (uint32_t)body->unit_kg};
	if (!code16_set(&asked->origin, body->origin) || !code32_set(&asked->series, body->series) ||
		!code16_set(&asked->methodology, body->methodology) || !code8_set(&asked->country, body->country))
		return err_set(info, ERR_INVALID_FIELD, "/origin", "a code is too long");
	enum err err = runs_of(request, &body->numbers, &command, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

const struct http_route api_imports_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/imports", "batch:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .query = imports_query_fields, .query_size = sizeof(struct imports_query),
		.response = import_fields, .success = 200, .handler = imports_list, .operation = "imports.list",
		.doc = "Batches of other registries' credits, and their numbers there"),
	HTTP_ROUTE(HTTP_POST, "/v1/imports", "batch:import", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 10, .request = import_body_fields,
		.request_size = sizeof(struct import_body), .response = value_result_fields, .success = 201,
		.errors = import_errors, .handler = imports_create, .reply = value_reply, .operation = "imports.create",
		.doc = "Takes credits of another registry in as a batch; each of their numbers comes in once, until it "
		       "has gone back"),
	HTTP_ROUTE(HTTP_GET, "/v1/imports/{batch}", "batch:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST, .cost = 1,
		.response = import_fields, .success = 200, .handler = imports_get, .operation = "imports.get",
		.doc = "Where an imported batch comes from"),
	{.path = NULL}};
