/* Transfers between organisations. Reads on workers; commands by the engine. */
#include "value.h"

static const enum err transfer_errors[] = {ERR_INSUFFICIENT_KG, ERR_BATCH_HELD, ERR_ACCOUNT_HELD, ERR_ACCOUNT_CLOSED,
	ERR_EXPIRY_INVALID, ERR_DUPLICATE, ERR_COMMAND_TOO_LARGE, ERR_SERIAL_INVALID, ERR_COMMAND_ID_INVALID,
	ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

static const enum err post_errors[] = {ERR_NOT_PENDING, ERR_EXCEEDS_PENDING, ERR_AMOUNT_INVALID, ERR_BATCH_HELD,
	ERR_ACCOUNT_HELD, ERR_ACCOUNT_CLOSED, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err void_errors[] = {
	ERR_NOT_PENDING, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

static const char *const directions[] = {"sent", "received", NULL};

struct transfers_query {
	struct id org_id, set_id;
	int direction, state;
};
static const struct field transfers_query_fields[] = {
	FIELD(struct transfers_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD(struct transfers_query, direction, FIELD_ENUM, .names = directions,
		.doc = "Those it sent (the default) or received"),
	FIELD(struct transfers_query, state, FIELD_ENUM, .names = transfer_state_names,
		.doc = "Only those that it sent and that are in this state, as pending"),
	FIELD(struct transfers_query, set_id, FIELD_ID, .doc = "Only those of this linked set of its own"), FIELD_END};

static enum err transfers_list(struct http_request *request, struct err_info *info)
{
	const struct transfers_query *given = http_query(request);
	bool received = given->direction == 1, of_state = given->state >= 0 && !received;
	struct transfer_row low;
	struct id org = {0};
	field_clear(transfer_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &org, info);
	low.org_id = low.to_org_id = org;
	low.state = given->state;
	low.set_id = given->set_id;
	struct store_query query = {.collection = &transfers_collection,
		.index = received   ? "by_receiver"
			 : of_state ? "by_state"
				    : "by_org",
		.low = &low,
		.prefix = of_state ? 2 : 1,
		.descending = true};
	if (!id_is_none(given->set_id)) {
		query.index = "by_set";
		query.prefix = 2;
	}
	return err ? err : api_answer_found(request, &query, transfer_fields, info);
}

static enum err transfers_get(struct http_request *request, struct err_info *info)
{
	struct transfer_row row;
	field_clear(transfer_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "id", &row.id, info);
	if (!err)
		err = store_get(api_of(request)->store, &transfers_collection, &row, http_arena(request), info);
	if (!err && api_check_org(request, row.org_id, info))
		err = api_check_org(request, row.to_org_id, info);
	return err ? err : http_answer_row(request, transfer_fields, &row, row.position);
}

struct transfer {
	struct id to_org_id;
	int64_t batch, kg;
	struct field_list ranges, serials;
	bool pending;
	int64_t expires_at, code, user_data;
};
static const struct field transfer_body_fields[] = {
	FIELD(struct transfer, to_org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Receiving organisation"),
	VALUE_KILOGRAM_FIELDS(struct transfer),
	FIELD(struct transfer, pending, FIELD_BOOL, .doc = "Only reserve them, until it is posted or voided"),
	FIELD(struct transfer, expires_at, FIELD_TIME, .doc = "Of a pending one: when it voids itself"),
	FIELD(struct transfer, code, FIELD_INT, .min = 1, .max = UINT32_MAX, .doc = "Your kind of transfer"),
	FIELD(struct transfer, user_data, FIELD_INT, .min = 1, .max = INT64_C(9007199254740991),
		.doc = "A number of your own"),
	FIELD_END};

static enum err transfers_create(struct http_request *request, struct err_info *info)
{
	const struct transfer *body = http_body(request);
	struct command command = value_command(request, COMMAND_TRANSFER);
	struct value_kilograms named = {
		.batch = body->batch, .kg = body->kg, .ranges = body->ranges, .serials = body->serials};
	enum err err = value_organisation(request, body->to_org_id, "/to_org_id", info);
	command.transfer.to = body->to_org_id;
	command.transfer.pending = body->pending;
	command.transfer.expires_us = value_or_zero(body->expires_at);
	command.transfer.code = (uint32_t)value_or_zero(body->code);
	command.transfer.user_data = (uint64_t)value_or_zero(body->user_data);
	if (!err)
		err = value_kilograms(request, &named, &command, &command.transfer.batch, &command.transfer.kg, info);
	if (err)
		return err;
	api_set_location(request, "/v1/transfers/", command.id);
	return value_submit(request, &command, NULL, 0, info);
}

struct posting {
	int64_t kg;
};
static const struct field posting_fields[] = {
	FIELD(struct posting, kg, FIELD_INT, .min = 1, .max = INT64_C(1000000000000), .unit = "kg",
		.doc = "The first so many of its kilograms; left out: all of them"),
	FIELD_END};

static enum err transfers_post(struct http_request *request, struct err_info *info)
{
	const struct posting *body = http_body(request);
	struct command command = value_command(request, COMMAND_PENDING_POST);
	command.pending_post.kilograms = 1;
	command.pending_post.amount = value_or_zero(body->kg);
	enum err err = http_path_id(request, "id", &command.pending_post.transfer, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

static enum err transfers_void(struct http_request *request, struct err_info *info)
{
	struct command command = value_command(request, COMMAND_PENDING_VOID);
	command.pending_void.kilograms = 1;
	enum err err = http_path_id(request, "id", &command.pending_void.transfer, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

const struct http_route api_transfers_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/transfers", "transfer:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .query = transfers_query_fields, .query_size = sizeof(struct transfers_query),
		.response = transfer_fields, .success = 200, .handler = transfers_list, .operation = "transfers.list",
		.doc = "Transfers of an organisation, newest first"),
	HTTP_ROUTE(HTTP_POST, "/v1/transfers", "transfer:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = transfer_body_fields,
		.request_size = sizeof(struct transfer), .response = value_result_fields, .success = 201,
		.errors = transfer_errors, .handler = transfers_create, .reply = value_reply,
		.operation = "transfers.create",
		.doc = "Gives held kilograms to another organisation, at once or in two phases"),
	HTTP_ROUTE(HTTP_GET, "/v1/transfers/{id}", "transfer:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST,
		.cost = 1, .response = transfer_fields, .success = 200, .handler = transfers_get,
		.operation = "transfers.get", .doc = "A transfer"),
	HTTP_ROUTE(HTTP_POST, "/v1/transfers/{id}/post", "transfer:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = posting_fields,
		.request_size = sizeof(struct posting), .response = value_result_fields, .success = 200,
		.errors = post_errors, .handler = transfers_post, .reply = value_reply, .operation = "transfers.post",
		.doc = "Makes a pending transfer, in whole or in part; what is left is held again"),
	HTTP_ROUTE(HTTP_POST, "/v1/transfers/{id}/void", "transfer:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.cost = 5, .response = value_result_fields, .success = 200, .errors = void_errors,
		.handler = transfers_void, .reply = value_reply, .operation = "transfers.void",
		.doc = "Ends a pending transfer unmade; by either side"),
	{.path = NULL}};
