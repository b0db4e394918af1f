/* Escrows: opened, put into, attested, given back, disputed and decided (docs/ESCROW.md). Reads on workers; commands by the engine. */
#include "carbond/market.h"

#include "value.h"

static const enum err open_errors[] = {ERR_PAYEE_INVALID, ERR_CURRENCY_INVALID, ERR_AMOUNT_INVALID, ERR_EXPIRY_INVALID,
	ERR_VERIFIER_UNKNOWN, ERR_SEPARATION_OF_DUTIES, ERR_INSUFFICIENT_FUNDS, ERR_LIMIT_LOWEST, ERR_ACCOUNT_HELD,
	ERR_ACCOUNT_CLOSED, ERR_CONTRACT_DONE, ERR_DUPLICATE, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED,
	ERR_COMMAND_RUNNING, ERR_OK};
static const enum err deposit_errors[] = {ERR_ESCROW_DONE, ERR_ESCROW_DISPUTED, ERR_NOTHING_OWED, ERR_NOT_DELIVERABLE,
	ERR_INSUFFICIENT_FUNDS, ERR_LIMIT_LOWEST, ERR_INSUFFICIENT_KG, ERR_BATCH_HELD, ERR_ACCOUNT_HELD,
	ERR_COMMAND_TOO_LARGE, ERR_SERIAL_INVALID, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING,
	ERR_OK};
static const enum err attest_errors[] = {ERR_ESCROW_DONE, ERR_ESCROW_DISPUTED, ERR_NOTHING_OWED, ERR_SIGNATURE_INVALID,
	ERR_VERIFIER_NOT_VALID, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err side_errors[] = {
	ERR_ESCROW_DONE, ERR_ESCROW_DISPUTED, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err decide_errors[] = {ERR_ESCROW_DONE, ERR_NOT_DISPUTED, ERR_SEPARATION_OF_DUTIES,
	ERR_EXCEEDS_PENDING, ERR_BATCH_HELD, ERR_ACCOUNT_HELD, ERR_ACCOUNT_CLOSED, ERR_COMMAND_ID_INVALID,
	ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

/* ---- reading ---- */

static const char *const sides[] = {"payer", "payee", "arbiter", NULL};

struct escrows_query {
	struct id org_id;
	int side;
};
static const struct field escrows_query_fields[] = {
	FIELD(struct escrows_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD(struct escrows_query, side, FIELD_ENUM, .names = sides,
		.doc = "Those in which it is the payer (the default), the payee or the arbiter"),
	FIELD_END};

static enum err escrows_list(struct http_request *request, struct err_info *info)
{
	static const char *const indexes[] = {"by_payer", "by_payee", "by_arbiter"};
	const struct escrows_query *given = http_query(request);
	struct escrow_row low;
	struct id org = {0};
	field_clear(escrow_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &org, info);
	low.payer_org_id = low.payee_org_id = low.arbiter_org_id = org;
	struct store_query query = {.collection = &escrows_collection,
		.index = indexes[given->side < 0 ? 0 : given->side],
		.low = &low,
		.prefix = 1,
		.descending = true};
	return err ? err : api_answer_found(request, &query, escrow_fields, info);
}

/* Its sides, its arbiter and the verifier's organisation see it. */
static enum err escrow_check(struct http_request *request, const struct escrow_row *row, struct err_info *info)
{
	struct verifier_row verifier;
	if (!api_check_org(request, row->payer_org_id, info) || !api_check_org(request, row->payee_org_id, info))
		return ERR_OK;
	if (!id_is_none(row->arbiter_org_id) && !api_check_org(request, row->arbiter_org_id, info))
		return ERR_OK;
	field_clear(verifier_fields, &verifier);
	verifier.id = row->verifier_id;
	bool signs = !id_is_none(row->verifier_id) &&
		     !store_get(api_of(request)->store, &verifiers_collection, &verifier, http_arena(request), info);
	return api_check_org(request, signs ? verifier.org_id : row->payer_org_id, info);
}

static enum err escrows_get(struct http_request *request, struct err_info *info)
{
	struct escrow_row row;
	field_clear(escrow_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "id", &row.id, info);
	if (!err)
		err = store_get(api_of(request)->store, &escrows_collection, &row, http_arena(request), info);
	if (!err)
		err = escrow_check(request, &row, info);
	return err ? err : http_answer_row(request, escrow_fields, &row, row.position);
}

/* ---- commands ---- */

static int64_t or_zero(int64_t value)
{
	return value == FIELD_ABSENT ? 0 : value;
}

struct opening {
	struct id payer_org_id, payee_org_id, arbiter_org_id, verifier_id, contract_id;
	struct hash statement;
	const char *currency;
	int64_t amount_micros, kg, batch, instrument, not_before, expires_at;
};
static const struct field opening_fields[] = {
	FIELD(struct opening, payer_org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Gives money, takes kilograms"),
	FIELD(struct opening, payee_org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Gives kilograms, takes money"),
	FIELD(struct opening, arbiter_org_id, FIELD_ID, .doc = "Decides a dispute; left out: compliance"),
	FIELD(struct opening, currency, FIELD_TEXT, .min = 1, .max = 7, .doc = "Currency of the money"),
	FIELD_AS(struct opening, amount_micros, "amount", FIELD_MICROS, .min = 1, .max = LEDGER_MICROS_MAX,
		.doc = "Money; in it at once where the payer opens it"),
	FIELD(struct opening, kg, FIELD_INT, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "Kilograms to be delivered"),
	FIELD(struct opening, batch, FIELD_INT, .min = 1, .doc = "Of this batch"),
	FIELD(struct opening, instrument, FIELD_INT, .min = 1, .doc = "Or of batches that this instrument asks for"),
	FIELD(struct opening, verifier_id, FIELD_ID, .doc = "Whose signature is a condition"),
	FIELD(struct opening, statement, FIELD_HASH, .doc = "Hash of the statement that it signs"),
	FIELD(struct opening, not_before, FIELD_TIME, .doc = "It is not settled before"),
	FIELD(struct opening, expires_at, FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "When both legs go back"),
	FIELD(struct opening, contract_id, FIELD_ID, .doc = "Offtake contract that it is a prepayment of"), FIELD_END};

static enum err escrows_open(struct http_request *request, struct err_info *info)
{
	const struct opening *body = http_body(request);
	struct command command = value_command(request, COMMAND_ESCROW_OPEN);
	struct command_escrow_open *asked = &command.escrow_open;
	*asked = (struct command_escrow_open){.payer = body->payer_org_id,
		.payee = body->payee_org_id,
		.arbiter = body->arbiter_org_id,
		.verifier = body->verifier_id,
		.statement_hash = body->statement,
		.contract = body->contract_id,
		.amount_micros = or_zero(body->amount_micros),
		.kg = or_zero(body->kg),
		.batch = (uint64_t)or_zero(body->batch),
		.instrument = (uint64_t)or_zero(body->instrument),
		.not_before_us = or_zero(body->not_before),
		.expires_us = body->expires_at};
	enum err err = value_organisation(request, body->payer_org_id, "/payer_org_id", info);
	if (!err)
		err = value_organisation(request, body->payee_org_id, "/payee_org_id", info);
	if (!err && !id_is_none(body->arbiter_org_id))
		err = value_organisation(request, body->arbiter_org_id, "/arbiter_org_id", info);
	if (!err && body->currency && !code8_set(&asked->currency, body->currency))
		err = err_set(info, ERR_CURRENCY_INVALID, "/currency", "/currency has at most 7 characters");
	if (err)
		return err;
	api_set_location(request, "/v1/escrows/", command.id);
	return value_submit(request, &command, NULL, 0, info);
}

static enum err escrows_fund(struct http_request *request, struct err_info *info)
{
	struct command command = value_command(request, COMMAND_ESCROW_FUND);
	enum err err = http_path_id(request, "id", &command.escrow_fund.escrow, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

struct delivering {
	int64_t batch, kg;
	struct field_list ranges, serials;
};
static const struct field delivering_fields[] = {VALUE_KILOGRAM_FIELDS(struct delivering), FIELD_END};

static enum err escrows_deliver(struct http_request *request, struct err_info *info)
{
	const struct delivering *body = http_body(request);
	struct command command = value_command(request, COMMAND_ESCROW_DELIVER);
	struct command_escrow_deliver *asked = &command.escrow_deliver;
	struct value_kilograms named = {
		.batch = body->batch, .kg = body->kg, .ranges = body->ranges, .serials = body->serials};
	enum err err = http_path_id(request, "id", &asked->escrow, info);
	if (!err)
		err = value_kilograms(request, &named, &command, &asked->batch, &asked->kg, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

struct attesting {
	struct id verifier_id;
	struct hash statement;
	struct bytes signature;
};
static const struct field attesting_fields[] = {
	FIELD(struct attesting, verifier_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "The verifier"),
	FIELD(struct attesting, statement, FIELD_HASH, .flags = FIELD_REQUIRED, .doc = "Hash of the statement signed"),
	FIELD(struct attesting, signature, FIELD_BYTES, .flags = FIELD_REQUIRED, .min = 64, .max = 64,
		.doc = "Ed25519 over carbond/escrow/1, a zero byte, the escrow's id and the statement's hash"),
	FIELD_END};

static enum err escrows_attest(struct http_request *request, struct err_info *info)
{
	const struct attesting *body = http_body(request);
	struct command command = value_command(request, COMMAND_ESCROW_ATTEST);
	struct command_escrow_attest *asked = &command.escrow_attest;
	enum err err = http_path_id(request, "id", &asked->escrow, info);
	asked->verifier = body->verifier_id;
	asked->statement_hash = body->statement;
	for (size_t i = 0; i < sizeof asked->signature.bytes; i++)
		asked->signature.bytes[i] = body->signature.data[i];
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

static enum err escrows_refund(struct http_request *request, struct err_info *info)
{
	struct command command = value_command(request, COMMAND_ESCROW_REFUND);
	enum err err = http_path_id(request, "id", &command.escrow_refund.escrow, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

static enum err escrows_dispute(struct http_request *request, struct err_info *info)
{
	const struct value_reason *body = http_body(request);
	struct command command = value_command(request, COMMAND_ESCROW_DISPUTE);
	struct vault_row reason;
	enum err err = http_path_id(request, "id", &command.escrow_dispute.escrow, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.escrow_dispute.reason_hash = reason.hash;
	return value_submit(request, &command, &reason, 1, info);
}

struct deciding {
	int64_t paid_micros, released_kg;
	bool dismissed;
	const char *reason;
};
static const struct field deciding_fields[] = {
	FIELD_AS(struct deciding, paid_micros, "paid", FIELD_MICROS, .max = LEDGER_MICROS_MAX,
		.doc = "Money to the payee; the rest goes back"),
	FIELD(struct deciding, released_kg, FIELD_INT, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "Kilograms to the payer; the rest go back"),
	FIELD(struct deciding, dismissed, FIELD_BOOL, .doc = "It goes on as before instead"),
	FIELD(struct deciding, reason, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = VALUE_REASON_BYTES,
		.doc = "Why; kept in the vault"),
	FIELD_END};

static enum err escrows_decide(struct http_request *request, struct err_info *info)
{
	const struct deciding *body = http_body(request);
	struct command command = value_command(request, COMMAND_ESCROW_DECIDE);
	struct command_escrow_decide *asked = &command.escrow_decide;
	struct vault_row reason;
	enum err err = http_path_id(request, "id", &asked->escrow, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	asked->reason_hash = reason.hash;
	asked->paid_micros = or_zero(body->paid_micros);
	asked->released_kg = or_zero(body->released_kg);
	asked->dismissed = body->dismissed;
	asked->compliance = api_reaches_all(request);
	return value_submit(request, &command, &reason, 1, info);
}

const struct http_route api_escrows_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/escrows", "escrow:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .query = escrows_query_fields, .query_size = sizeof(struct escrows_query),
		.response = escrow_fields, .success = 200, .handler = escrows_list, .operation = "escrows.list",
		.doc = "Escrows of an organisation, newest first"),
	HTTP_ROUTE(HTTP_POST, "/v1/escrows", "escrow:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = opening_fields,
		.request_size = sizeof(struct opening), .response = value_result_fields, .success = 201,
		.errors = open_errors, .handler = escrows_open, .reply = value_reply, .operation = "escrows.open",
		.doc = "Opens an escrow between a payer and a payee; its id is the Idempotency-Key"),
	HTTP_ROUTE(HTTP_GET, "/v1/escrows/{id}", "escrow:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST, .cost = 2,
		.response = escrow_fields, .success = 200, .handler = escrows_get, .operation = "escrows.get",
		.doc = "An escrow, for its sides, its arbiter and its verifier"),
	HTTP_ROUTE(HTTP_POST, "/v1/escrows/{id}/fund", "escrow:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.cost = 5, .response = value_result_fields, .success = 200, .errors = deposit_errors,
		.handler = escrows_fund, .reply = value_reply, .operation = "escrows.fund",
		.doc = "Puts the payer's money in"),
	HTTP_ROUTE(HTTP_POST, "/v1/escrows/{id}/deliver", "escrow:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = delivering_fields,
		.request_size = sizeof(struct delivering), .response = value_result_fields, .success = 200,
		.errors = deposit_errors, .handler = escrows_deliver, .reply = value_reply,
		.operation = "escrows.deliver", .doc = "Puts kilograms of the payee in"),
	HTTP_ROUTE(HTTP_POST, "/v1/escrows/{id}/attest", "escrow:attest", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = attesting_fields,
		.request_size = sizeof(struct attesting), .response = value_result_fields, .success = 200,
		.errors = attest_errors, .handler = escrows_attest, .reply = value_reply, .operation = "escrows.attest",
		.doc = "Hands in the verifier's signature"),
	HTTP_ROUTE(HTTP_POST, "/v1/escrows/{id}/refund", "escrow:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.cost = 5, .response = value_result_fields, .success = 200, .errors = side_errors,
		.handler = escrows_refund, .reply = value_reply, .operation = "escrows.refund",
		.doc = "The payee gives both legs back"),
	HTTP_ROUTE(HTTP_POST, "/v1/escrows/{id}/dispute", "escrow:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = value_reason_fields,
		.request_size = sizeof(struct value_reason), .response = value_result_fields, .success = 200,
		.errors = side_errors, .handler = escrows_dispute, .reply = value_reply, .operation = "escrows.dispute",
		.doc = "Either side disputes it: nothing happens until it is decided"),
	HTTP_ROUTE(HTTP_POST, "/v1/escrows/{id}/decision", "escrow:decide", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = deciding_fields,
		.request_size = sizeof(struct deciding), .response = value_result_fields, .success = 200,
		.errors = decide_errors, .handler = escrows_decide, .reply = value_reply, .operation = "escrows.decide",
		.doc = "The arbiter, or compliance where none was named, decides a dispute"),
	{.path = NULL}};
