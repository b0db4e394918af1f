/* Transfers between organisations. Reads on workers; commands by the engine. */
#include "carbond/identity.h"

#include "value.h"

static const enum err transfer_errors[] = {ERR_INSUFFICIENT_KG, ERR_BATCH_HELD, ERR_ACCOUNT_HELD, ERR_COMMAND_TOO_LARGE,
	ERR_SERIAL_INVALID, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

static const char *const directions[] = {"sent", "received", NULL};

struct transfers_query {
	struct id org_id;
	int direction;
};
static const struct field transfers_query_fields[] = {
	FIELD(struct transfers_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD(struct transfers_query, direction, FIELD_ENUM, .names = directions,
		.doc = "Those it sent (the default) or received"),
	FIELD_END};

static enum err transfers_list(struct http_request *request, struct err_info *info)
{
	const struct transfers_query *given = http_query(request);
	bool received = given->direction == 1;
	struct transfer_row low;
	struct id org = {0};
	field_clear(transfer_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &org, info);
	low.org_id = low.to_org_id = org;
	struct store_query query = {.collection = &transfers_collection,
		.index = received ? "by_receiver" : "by_org",
		.low = &low,
		.prefix = 1,
		.descending = true};
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
};
static const struct field transfer_body_fields[] = {
	FIELD(struct transfer, to_org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Receiving organisation"),
	VALUE_KILOGRAM_FIELDS(struct transfer), FIELD_END};

static enum err transfers_create(struct http_request *request, struct err_info *info)
{
	const struct transfer *body = http_body(request);
	struct command command = value_command(request, COMMAND_TRANSFER);
	struct value_kilograms named = {
		.batch = body->batch, .kg = body->kg, .ranges = body->ranges, .serials = body->serials};
	char slug[41], id[ID_TEXT_SIZE];
	struct id found;
	enum err err = ERR_OK;
	if (!identity_organisation_slug(api_of(request)->identity, body->to_org_id, slug) ||
		!identity_organisation_find(api_of(request)->identity, id_text(body->to_org_id, id), &found))
		err = err_set(info, ERR_INVALID_FIELD, "/to_org_id", "/to_org_id is no active organisation");
	command.transfer.to = body->to_org_id;
	if (!err)
		err = value_kilograms(request, &named, &command, &command.transfer.batch, &command.transfer.kg, info);
	if (err)
		return err;
	api_set_location(request, "/v1/transfers/", command.id);
	return value_submit(request, &command, NULL, 0, info);
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
		.operation = "transfers.create", .doc = "Gives held kilograms to another organisation"),
	HTTP_ROUTE(HTTP_GET, "/v1/transfers/{id}", "transfer:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST,
		.cost = 1, .response = transfer_fields, .success = 200, .handler = transfers_get,
		.operation = "transfers.get", .doc = "A transfer"),
	{.path = NULL}};
