/* Disputes of batches, periods and serials: opened, and decided by others. Reads on workers; commands by the engine. */
#include "value.h"

static const enum err open_errors[] = {ERR_INSUFFICIENT_KG, ERR_PERIOD_STATE, ERR_COMMAND_TOO_LARGE, ERR_SERIAL_INVALID,
	ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err decide_errors[] = {ERR_NOT_DISPUTED, ERR_SEPARATION_OF_DUTIES, ERR_COMMAND_TOO_LARGE,
	ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

struct disputes_query {
	int state;
	int64_t batch;
};
static const struct field disputes_query_fields[] = {
	FIELD(struct disputes_query, state, FIELD_ENUM, .names = dispute_state_names, .doc = "Only those"),
	FIELD(struct disputes_query, batch, FIELD_INT, .min = 1, .doc = "Only those of this batch"), FIELD_END};

static enum err disputes_list(struct http_request *request, struct err_info *info)
{
	const struct disputes_query *given = http_query(request);
	struct dispute_row low;
	field_clear(dispute_fields, &low);
	low.state = given->state;
	low.batch = given->batch;
	struct store_query query = {.collection = &disputes_collection, .low = &low};
	if (given->batch != FIELD_ABSENT)
		query.index = "by_batch";
	else if (given->state >= 0)
		query.index = "by_state";
	query.prefix = query.index ? 1 : 0;
	enum err err = value_at_least(request, info);
	if (!err && given->batch != FIELD_ABSENT && given->state >= 0)
		err = err_set(info, ERR_INVALID_FIELD, "/state", "name /state or /batch");
	return err ? err : api_answer_found(request, &query, dispute_fields, info);
}

static enum err disputes_get(struct http_request *request, struct err_info *info)
{
	struct dispute_row row;
	field_clear(dispute_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "id", &row.id, info);
	if (!err)
		err = store_get(api_of(request)->store, &disputes_collection, &row, http_arena(request), info);
	return err ? err : http_answer_row(request, dispute_fields, &row, row.position);
}

struct opening {
	int64_t batch;
	struct id period_id, holder_id;
	struct field_list ranges, serials;
	struct hash evidence_hash;
	const char *reason;
};
static const struct field opening_fields[] = {
	FIELD(struct opening, batch, FIELD_INT, .min = 1, .doc = "A batch as a whole"),
	FIELD(struct opening, period_id, FIELD_ID, .doc = "Or an open monitoring period (a submission's id)"),
	FIELD(struct opening, ranges, FIELD_LIST, .table = range_item_fields,
		.item_size = sizeof(struct serial_range_item), .max = 256, .doc = "Or serials of one batch"),
	FIELD(struct opening, serials, FIELD_TEXTS, .max = 256, .doc = "Or these serial numbers of one batch"),
	FIELD(struct opening, holder_id, FIELD_ID, .doc = "Of serials: the organisation that holds them"),
	FIELD(struct opening, evidence_hash, FIELD_HASH, .doc = "SHA-256 of what the dispute rests on"),
	FIELD(struct opening, reason, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = VALUE_REASON_BYTES,
		.doc = "Why; kept in the vault"),
	FIELD_END};

static enum err disputes_create(struct http_request *request, struct err_info *info)
{
	const struct opening *body = http_body(request);
	struct command command = value_command(request, COMMAND_DISPUTE_OPEN);
	struct command_dispute_open *asked = &command.dispute_open;
	struct value_kilograms named = {
		.batch = FIELD_ABSENT, .kg = FIELD_ABSENT, .ranges = body->ranges, .serials = body->serials};
	struct vault_row reason;
	uint64_t batch;
	int64_t kg;
	enum err err = ERR_OK;
	if (named.ranges.count + named.serials.count)
		err = value_kilograms(request, &named, &command, &batch, &kg, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	asked->batch = body->batch == FIELD_ABSENT ? 0 : (uint64_t)body->batch;
	asked->period = body->period_id;
	asked->holder = body->holder_id;
	asked->evidence_hash = body->evidence_hash;
	asked->reason_hash = reason.hash;
	api_set_location(request, "/v1/disputes/", command.id);
	return value_submit(request, &command, &reason, 1, info);
}

struct judgement {
	bool upheld;
	int64_t kg;
	const char *reason;
};
static const struct field judgement_fields[] = {
	FIELD(struct judgement, upheld, FIELD_BOOL, .flags = FIELD_REQUIRED, .doc = "Whether it is right"),
	FIELD(struct judgement, kg, FIELD_INT, .min = 1, .max = INT64_C(1000000000000), .unit = "kg",
		.doc = "Of a batch, upheld: kilograms that are reversed"),
	FIELD(struct judgement, reason, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = VALUE_REASON_BYTES,
		.doc = "Why; kept in the vault"),
	FIELD_END};

static enum err disputes_decide(struct http_request *request, struct err_info *info)
{
	const struct judgement *body = http_body(request);
	struct command command = value_command(request, COMMAND_DISPUTE_DECIDE);
	struct command_dispute_decide *asked = &command.dispute_decide;
	struct vault_row reason;
	enum err err = http_path_id(request, "id", &asked->dispute, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	asked->upheld = body->upheld;
	asked->kg = body->kg == FIELD_ABSENT ? 0 : body->kg;
	asked->reason_hash = reason.hash;
	return value_submit(request, &command, &reason, 1, info);
}

const struct http_route api_disputes_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/disputes", "dispute:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .query = disputes_query_fields, .query_size = sizeof(struct disputes_query),
		.response = dispute_fields, .success = 200, .handler = disputes_list, .operation = "disputes.list",
		.doc = "Disputes"),
	HTTP_ROUTE(HTTP_POST, "/v1/disputes", "dispute:open", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = opening_fields,
		.request_size = sizeof(struct opening), .response = value_result_fields, .success = 201,
		.errors = open_errors, .handler = disputes_create, .reply = value_reply, .operation = "disputes.open",
		.doc = "Disputes a batch, a period or serials, which are held until it is decided"),
	HTTP_ROUTE(HTTP_GET, "/v1/disputes/{id}", "dispute:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST, .cost = 1,
		.response = dispute_fields, .success = 200, .handler = disputes_get, .operation = "disputes.get",
		.doc = "A dispute"),
	HTTP_ROUTE(HTTP_POST, "/v1/disputes/{id}/decision", "dispute:decide", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = judgement_fields,
		.request_size = sizeof(struct judgement), .response = value_result_fields, .success = 200,
		.errors = decide_errors, .handler = disputes_decide, .reply = value_reply,
		.operation = "disputes.decide",
		.doc = "Decides a dispute: upheld leads to a reversal, refusal or cancellation, rejected frees what it "
		       "held"),
	{.path = NULL}};
