/* Cancellations: kilograms that are given up, or taken away, without a claim. Reads on workers; commands by the engine. */
#include "value.h"

static const enum err cancel_errors[] = {ERR_INSUFFICIENT_KG, ERR_OUT_OF_REACH, ERR_ORIGIN_IN_PART, ERR_BATCH_HELD,
	ERR_ACCOUNT_HELD, ERR_COMMAND_TOO_LARGE, ERR_SERIAL_INVALID, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED,
	ERR_COMMAND_RUNNING, ERR_OK};

struct cancellations_query {
	struct id org_id;
};
static const struct field cancellations_query_fields[] = {
	FIELD(struct cancellations_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD_END};

static enum err cancellations_list(struct http_request *request, struct err_info *info)
{
	const struct cancellations_query *given = http_query(request);
	struct cancellation_row low;
	field_clear(cancellation_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &low.org_id, info);
	struct store_query query = {.collection = &cancellations_collection,
		.index = "by_org",
		.low = &low,
		.prefix = 1,
		.descending = true};
	return err ? err : api_answer_found(request, &query, cancellation_fields, info);
}

static enum err cancellations_get(struct http_request *request, struct err_info *info)
{
	struct cancellation_row row;
	field_clear(cancellation_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "id", &row.id, info);
	if (!err)
		err = store_get(api_of(request)->store, &cancellations_collection, &row, http_arena(request), info);
	if (!err)
		err = api_check_org(request, row.org_id, info);
	return err ? err : http_answer_row(request, cancellation_fields, &row, row.position);
}

struct cancellation {
	struct id org_id;
	int64_t batch, kg;
	struct field_list ranges, serials;
	int state, reason;
	const char *destination, *explanation;
};
static const struct field cancellation_body_fields[] = {VALUE_KILOGRAM_FIELDS(struct cancellation),
	FIELD(struct cancellation, org_id, FIELD_ID,
		.doc = "Whose kilograms; another organisation's are cancelled by compliance"),
	FIELD(struct cancellation, state, FIELD_ENUM, .names = event_kg_state_names,
		.doc = "Where they are: held where left out; buffer by compliance"),
	FIELD(struct cancellation, reason, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = event_cancel_reason_names,
		.doc = "Why; dispute and authority are compliance's, voluntary is the holder's"),
	FIELD(struct cancellation, destination, FIELD_TEXT, .min = 1, .max = 32,
		.doc = "Of a conversion, and only then: the registry that takes them; where they came from it, their "
		       "numbers "
		       "go back, whole"),
	FIELD(struct cancellation, explanation, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1,
		.max = VALUE_REASON_BYTES, .doc = "The reason in words; kept in the vault"),
	FIELD_END};

static enum err cancellations_create(struct http_request *request, struct err_info *info)
{
	const struct cancellation *body = http_body(request);
	struct command command = value_command(request, COMMAND_CANCEL);
	struct command_cancel *asked = &command.cancel;
	struct value_kilograms named = {
		.batch = body->batch, .kg = body->kg, .ranges = body->ranges, .serials = body->serials};
	struct vault_row reason;
	asked->state = body->state < 0 ? KG_HELD : (uint32_t)body->state;
	asked->reason = (uint32_t)body->reason;
	enum err err = ERR_OK;
	if (!id_is_none(body->org_id))
		err = api_choose_org(request, body->org_id, &asked->org, info);
	if (!err && body->destination && !code32_set(&asked->destination, body->destination))
		err = err_set(info, ERR_INVALID_FIELD, "/destination", "/destination is at most 32 characters");
	if (!err)
		err = value_kilograms(request, &named, &command, &asked->batch, &asked->kg, info);
	if (!err)
		err = value_text(request, id_is_none(asked->org) ? command.org : asked->org, "reason",
			body->explanation, &reason, info);
	if (err)
		return err;
	asked->reason_hash = reason.hash;
	api_set_location(request, "/v1/cancellations/", command.id);
	return value_submit(request, &command, &reason, 1, info);
}

const struct http_route api_cancellations_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/cancellations", "cancellation:read", .kind = HTTP_WORK,
		.flags = HTTP_PAGED | HTTP_AT_LEAST, .cost = 2, .query = cancellations_query_fields,
		.query_size = sizeof(struct cancellations_query), .response = cancellation_fields, .success = 200,
		.handler = cancellations_list, .operation = "cancellations.list",
		.doc = "Cancellations of an organisation's kilograms, newest first"),
	HTTP_ROUTE(HTTP_POST, "/v1/cancellations", "cancellation:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = cancellation_body_fields,
		.request_size = sizeof(struct cancellation), .response = value_result_fields, .success = 201,
		.errors = cancel_errors, .handler = cancellations_create, .reply = value_reply,
		.operation = "cancellations.create",
		.doc = "Cancels kilograms for ever, without a claim, for one of the reasons of the list"),
	HTTP_ROUTE(HTTP_GET, "/v1/cancellations/{id}", "cancellation:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST,
		.cost = 1, .response = cancellation_fields, .success = 200, .handler = cancellations_get,
		.operation = "cancellations.get", .doc = "A cancellation"),
	{.path = NULL}};
