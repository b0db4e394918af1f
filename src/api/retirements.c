/* Retirements. The public certificate of each is in certificates.c. Reads on workers; commands by the engine. */
#include "carbond/base/clock.h"

#include "value.h"

static const enum err retire_errors[] = {ERR_INSUFFICIENT_KG, ERR_BATCH_HELD, ERR_ACCOUNT_HELD, ERR_COMMAND_TOO_LARGE,
	ERR_SERIAL_INVALID, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

struct retirements_query {
	struct id org_id;
};
static const struct field retirements_query_fields[] = {
	FIELD(struct retirements_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD_END};

static enum err retirements_list(struct http_request *request, struct err_info *info)
{
	const struct retirements_query *given = http_query(request);
	struct retirement_row low;
	field_clear(retirement_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &low.org_id, info);
	struct store_query query = {
		.collection = &retirements_collection, .index = "by_org", .low = &low, .prefix = 1, .descending = true};
	return err ? err : api_answer_found(request, &query, retirement_fields, info);
}

static enum err retirements_get(struct http_request *request, struct err_info *info)
{
	struct retirement_row row;
	field_clear(retirement_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "id", &row.id, info);
	if (!err)
		err = store_get(api_of(request)->store, &retirements_collection, &row, http_arena(request), info);
	if (!err)
		err = api_check_org(request, row.org_id, info);
	return err ? err : http_answer_row(request, retirement_fields, &row, row.position);
}

struct retirement {
	int64_t batch, kg;
	struct field_list ranges, serials;
	const char *beneficiary, *country;
	int purpose;
	int64_t covered_from, covered_to;
	bool consent;
};
static const struct field retirement_body_fields[] = {
	VALUE_KILOGRAM_FIELDS(struct retirement), VALUE_RETIREMENT_FIELDS(struct retirement), FIELD_END};

static enum err retirements_create(struct http_request *request, struct err_info *info)
{
	const struct retirement *body = http_body(request);
	struct command command = value_command(request, COMMAND_RETIRE);
	struct command_retire *asked = &command.retire;
	struct value_kilograms named = {
		.batch = body->batch, .kg = body->kg, .ranges = body->ranges, .serials = body->serials};
	struct vault_row beneficiary;
	asked->purpose = (uint32_t)body->purpose;
	asked->covered_from_us = body->covered_from;
	asked->covered_to_us = body->covered_to;
	asked->consent = body->consent;
	enum err err = code8_set(&asked->country, body->country)
			       ? ERR_OK
			       : err_set(info, ERR_INVALID_FIELD, "/country", "/country must be two letters A-Z");
	if (!err)
		err = value_kilograms(request, &named, &command, &asked->batch, &asked->kg, info);
	if (!err)
		err = value_text(request, command.org, "beneficiary", body->beneficiary, &beneficiary, info);
	if (err)
		return err;
	asked->beneficiary_hash = beneficiary.hash;
	api_set_location(request, "/v1/certificates/", command.id);
	return value_submit(request, &command, &beneficiary, 1, info);
}

const struct http_route api_retirements_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/retirements", "retirement:read", .kind = HTTP_WORK,
		.flags = HTTP_PAGED | HTTP_AT_LEAST, .cost = 2, .query = retirements_query_fields,
		.query_size = sizeof(struct retirements_query), .response = retirement_fields, .success = 200,
		.handler = retirements_list, .operation = "retirements.list",
		.doc = "Retirements of an organisation, newest first"),
	HTTP_ROUTE(HTTP_POST, "/v1/retirements", "retirement:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = retirement_body_fields,
		.request_size = sizeof(struct retirement), .response = value_result_fields, .success = 201,
		.errors = retire_errors, .handler = retirements_create, .reply = value_reply,
		.operation = "retirements.create",
		.doc = "Retires held kilograms for ever; the answer's id is the certificate's"),
	HTTP_ROUTE(HTTP_GET, "/v1/retirements/{id}", "retirement:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST,
		.cost = 1, .response = retirement_fields, .success = 200, .handler = retirements_get,
		.operation = "retirements.get", .doc = "A retirement"),
	{.path = NULL}};
