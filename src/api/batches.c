/* Issued batches, and what is done to them: hold, release, reverse. Reads on workers; commands by the engine. */
#include "value.h"

static const enum err hold_errors[] = {ERR_BATCH_HELD, ERR_NOT_HELD, ERR_SEPARATION_OF_DUTIES, ERR_COMMAND_ID_INVALID,
	ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err reverse_errors[] = {ERR_ROOT_OUTDATED, ERR_COMMAND_TOO_LARGE, ERR_COMMAND_ID_INVALID,
	ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

struct batches_query {
	struct id org_id, period_id;
};
static const struct field batches_query_fields[] = {
	FIELD(struct batches_query, org_id, FIELD_ID, .doc = "Batches of this operator"),
	FIELD(struct batches_query, period_id, FIELD_ID, .doc = "The batch of this monitoring period"), FIELD_END};

static enum err batches_list(struct http_request *request, struct err_info *info)
{
	const struct batches_query *given = http_query(request);
	struct batch_row low;
	field_clear(batch_fields, &low);
	low.org_id = given->org_id;
	low.period_id = given->period_id;
	struct store_query query = {.collection = &batches_collection, .low = &low};
	if (!id_is_none(given->period_id))
		query.index = "by_period";
	else if (!id_is_none(given->org_id))
		query.index = "by_org";
	query.prefix = query.index ? 1 : 0;
	enum err err = value_at_least(request, info);
	return err ? err : api_answer_found(request, &query, batch_fields, info);
}

static enum err batches_get(struct http_request *request, struct err_info *info)
{
	struct batch_row row;
	field_clear(batch_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "batch", &row.batch, info);
	if (!err)
		err = store_get(api_of(request)->store, &batches_collection, &row, http_arena(request), info);
	return err ? err : http_answer_row(request, batch_fields, &row, row.position);
}

struct hold {
	const char *reason;
	int64_t until;
};
static const struct field hold_fields[] = {FIELD(struct hold, reason, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1,
						   .max = VALUE_REASON_BYTES, .doc = "Why; kept in the vault"),
	FIELD(struct hold, until, FIELD_TIME, .doc = "Released by itself then; left out: only by a release"),
	FIELD_END};

static enum err batches_hold(struct http_request *request, struct err_info *info)
{
	const struct hold *body = http_body(request);
	struct command command = value_command(request, COMMAND_BATCH_HOLD);
	struct vault_row reason;
	int64_t batch = 0;
	enum err err = value_path_number(request, "batch", &batch, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.batch_hold = (struct command_batch_hold){.batch = (uint64_t)batch,
		.until_us = body->until == FIELD_ABSENT ? 0 : body->until,
		.reason_hash = reason.hash};
	return value_submit(request, &command, &reason, 1, info);
}

static enum err batches_release(struct http_request *request, struct err_info *info)
{
	const struct value_reason *body = http_body(request);
	struct command command = value_command(request, COMMAND_BATCH_RELEASE);
	struct vault_row reason;
	int64_t batch = 0;
	enum err err = value_path_number(request, "batch", &batch, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.batch_release = (struct command_batch_release){.batch = (uint64_t)batch, .reason_hash = reason.hash};
	return value_submit(request, &command, &reason, 1, info);
}

struct reversal {
	int64_t kg;
	const char *reason;
	struct hash evidence_root, previous_root;
};
static const struct field reversal_fields[] = {
	FIELD(struct reversal, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = INT64_C(1000000000000),
		.unit = "kg", .doc = "Kilograms reversed"),
	FIELD(struct reversal, reason, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = VALUE_REASON_BYTES,
		.doc = "Why; kept in the vault"),
	FIELD(struct reversal, evidence_root, FIELD_HASH,
		.doc = "Evidence root of a new quantification; left out for a physical reversal"),
	FIELD(struct reversal, previous_root, FIELD_HASH, .doc = "The chain's root that it is built on"), FIELD_END};

static enum err batches_reverse(struct http_request *request, struct err_info *info)
{
	const struct reversal *body = http_body(request);
	struct command command = value_command(request, COMMAND_BATCH_REVERSE);
	struct vault_row reason;
	int64_t batch = 0;
	enum err err = value_path_number(request, "batch", &batch, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.batch_reverse = (struct command_batch_reverse){.batch = (uint64_t)batch,
		.kg = body->kg,
		.evidence_root = body->evidence_root,
		.previous_root = body->previous_root,
		.reason_hash = reason.hash};
	return value_submit(request, &command, &reason, 1, info);
}

const struct http_route api_batches_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/batches", "batch:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .query = batches_query_fields, .query_size = sizeof(struct batches_query),
		.response = batch_fields, .success = 200, .handler = batches_list, .operation = "batches.list",
		.doc = "Issued batches"),
	HTTP_ROUTE(HTTP_GET, "/v1/batches/{batch}", "batch:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST, .cost = 1,
		.response = batch_fields, .success = 200, .handler = batches_get, .operation = "batches.get",
		.doc = "A batch by its number"),
	HTTP_ROUTE(HTTP_POST, "/v1/batches/{batch}/hold", "batch:hold", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = hold_fields,
		.request_size = sizeof(struct hold), .response = value_result_fields, .success = 200,
		.errors = hold_errors, .handler = batches_hold, .reply = value_reply, .operation = "batches.hold",
		.doc = "Suspends a batch: its kilograms do not move"),
	HTTP_ROUTE(HTTP_POST, "/v1/batches/{batch}/release", "batch:hold", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = value_reason_fields,
		.request_size = sizeof(struct value_reason), .response = value_result_fields, .success = 200,
		.errors = hold_errors, .handler = batches_release, .reply = value_reply, .operation = "batches.release",
		.doc = "Releases a batch, and what a reversal suspended of it"),
	HTTP_ROUTE(HTTP_POST, "/v1/batches/{batch}/reverse", "batch:reverse", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = reversal_fields,
		.request_size = sizeof(struct reversal), .response = value_result_fields, .success = 200,
		.errors = reverse_errors, .handler = batches_reverse, .reply = value_reply,
		.operation = "batches.reverse",
		.doc = "Reverses kilograms: suspends unsold ones, cancels buffer by serial, books the operator's debt"),
	{.path = NULL}};
