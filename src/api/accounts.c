/* Accounts: holds of organisations, their debts to the buffer, and paying them. Reads on workers; commands by the engine. */
#include "value.h"

static const enum err hold_errors[] = {ERR_ACCOUNT_HELD, ERR_NOT_HELD, ERR_SEPARATION_OF_DUTIES, ERR_COMMAND_ID_INVALID,
	ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err pay_errors[] = {ERR_NO_DEBT, ERR_INSUFFICIENT_KG, ERR_BATCH_HELD, ERR_ACCOUNT_HELD,
	ERR_COMMAND_TOO_LARGE, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

static enum err accounts_list(struct http_request *request, struct err_info *info)
{
	struct store_query query = {.collection = &accounts_collection};
	enum err err = value_at_least(request, info);
	if (!err && !api_reaches_all(request))
		err = err_set(info, ERR_FORBIDDEN, NULL, "the list is for those who see every organisation");
	return err ? err : api_answer_found(request, &query, account_fields, info);
}

/* An account without a row was never held and owes nothing. */
static enum err accounts_get(struct http_request *request, struct err_info *info)
{
	struct account_row row;
	field_clear(account_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "org_id", &row.org_id, info);
	if (!err)
		err = api_check_org(request, row.org_id, info);
	if (err)
		return err;
	err = store_get(api_of(request)->store, &accounts_collection, &row, http_arena(request), info);
	if (err == ERR_NOT_FOUND) {
		row.debt_kg = 0;
		row.position = 0;
		err = ERR_OK;
	}
	return err ? err : http_answer_row(request, account_fields, &row, -1);
}

struct hold {
	const char *reason;
	int64_t until;
};
static const struct field hold_fields[] = {FIELD(struct hold, reason, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1,
						   .max = VALUE_REASON_BYTES, .doc = "Why; kept in the vault"),
	FIELD(struct hold, until, FIELD_TIME, .doc = "Released by itself then; left out: only by a release"),
	FIELD_END};

static enum err accounts_hold(struct http_request *request, struct err_info *info)
{
	const struct hold *body = http_body(request);
	struct command command = value_command(request, COMMAND_ACCOUNT_HOLD);
	struct vault_row reason;
	enum err err = http_path_id(request, "org_id", &command.account_hold.org, info);
	if (!err)
		err = value_text(request, command.account_hold.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.account_hold.until_us = body->until == FIELD_ABSENT ? 0 : body->until;
	command.account_hold.reason_hash = reason.hash;
	return value_submit(request, &command, &reason, 1, info);
}

static enum err accounts_release(struct http_request *request, struct err_info *info)
{
	const struct value_reason *body = http_body(request);
	struct command command = value_command(request, COMMAND_ACCOUNT_RELEASE);
	struct vault_row reason;
	enum err err = http_path_id(request, "org_id", &command.account_release.org, info);
	if (!err)
		err = value_text(request, command.account_release.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.account_release.reason_hash = reason.hash;
	return value_submit(request, &command, &reason, 1, info);
}

struct payment {
	int64_t batch, kg;
	struct field_list ranges, serials;
};
static const struct field payment_fields[] = {VALUE_KILOGRAM_FIELDS(struct payment), FIELD_END};

static enum err accounts_pay(struct http_request *request, struct err_info *info)
{
	const struct payment *body = http_body(request);
	struct command command = value_command(request, COMMAND_BUFFER_TOP_UP);
	struct value_kilograms named = {
		.batch = body->batch, .kg = body->kg, .ranges = body->ranges, .serials = body->serials};
	struct id org;
	enum err err = http_path_id(request, "org_id", &org, info);
	if (!err && !id_equal(org, command.org))
		err = err_set(info, ERR_NOT_FOUND, NULL, "an organisation pays its own debt");
	if (!err)
		err = value_kilograms(
			request, &named, &command, &command.buffer_top_up.batch, &command.buffer_top_up.kg, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

const struct http_route api_accounts_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/accounts", "holding:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .response = account_fields, .success = 200, .handler = accounts_list,
		.operation = "accounts.list", .doc = "Accounts that are or were held, or owe kilograms to the buffer"),
	HTTP_ROUTE(HTTP_GET, "/v1/accounts/{org_id}", "holding:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST,
		.cost = 1, .response = account_fields, .success = 200, .handler = accounts_get,
		.operation = "accounts.get", .doc = "An organisation's account: hold and debt"),
	HTTP_ROUTE(HTTP_POST, "/v1/accounts/{org_id}/hold", "account:hold", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = hold_fields,
		.request_size = sizeof(struct hold), .response = value_result_fields, .success = 200,
		.errors = hold_errors, .handler = accounts_hold, .reply = value_reply, .operation = "accounts.hold",
		.doc = "Holds an account: nothing leaves it"),
	HTTP_ROUTE(HTTP_POST, "/v1/accounts/{org_id}/release", "account:hold", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = value_reason_fields,
		.request_size = sizeof(struct value_reason), .response = value_result_fields, .success = 200,
		.errors = hold_errors, .handler = accounts_release, .reply = value_reply,
		.operation = "accounts.release", .doc = "Releases an account"),
	HTTP_ROUTE(HTTP_POST, "/v1/accounts/{org_id}/buffer-payments", "transfer:write", .kind = HTTP_LATER,
		.flags = HTTP_VALUE, .body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = payment_fields,
		.request_size = sizeof(struct payment), .response = value_result_fields, .success = 200,
		.errors = pay_errors, .handler = accounts_pay, .reply = value_reply, .operation = "accounts.pay-buffer",
		.doc = "Pays debt to the buffer with held kilograms of the same durability class"),
	{.path = NULL}};
