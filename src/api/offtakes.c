/* Forward offtake contracts: offered, accepted, delivered, ended, disputed and decided (docs/ESCROW.md). Reads on workers; commands by
 * the engine. */
#include "carbond/base/clock.h"
#include "carbond/market.h"

#include "value.h"

static const enum err offer_errors[] = {ERR_PAYEE_INVALID, ERR_CURRENCY_INVALID, ERR_EXPIRY_INVALID,
	ERR_SEPARATION_OF_DUTIES, ERR_ACCOUNT_CLOSED, ERR_CONTRACT_LIMIT, ERR_DUPLICATE, ERR_COMMAND_ID_INVALID,
	ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err step_errors[] = {
	ERR_CONTRACT_DONE, ERR_CONTRACT_STATE, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err deliver_errors[] = {ERR_CONTRACT_DONE, ERR_CONTRACT_STATE, ERR_NOTHING_OWED, ERR_NOT_DELIVERABLE,
	ERR_INSUFFICIENT_KG, ERR_BATCH_HELD, ERR_ACCOUNT_HELD, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED,
	ERR_COMMAND_RUNNING, ERR_OK};
static const enum err end_errors[] = {ERR_CONTRACT_DONE, ERR_EXCEEDS_PENDING, ERR_INSUFFICIENT_FUNDS, ERR_ACCOUNT_HELD,
	ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err decide_errors[] = {ERR_CONTRACT_DONE, ERR_NOT_DISPUTED, ERR_SEPARATION_OF_DUTIES,
	ERR_EXCEEDS_PENDING, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

/* ---- reading ---- */

static const char *const sides[] = {"seller", "buyer", NULL};

struct offtakes_query {
	struct id org_id;
	int side;
};
static const struct field offtakes_query_fields[] = {
	FIELD(struct offtakes_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD(struct offtakes_query, side, FIELD_ENUM, .names = sides,
		.doc = "Those in which it is the seller (the default) or the buyer"),
	FIELD_END};

static enum err offtakes_list(struct http_request *request, struct err_info *info)
{
	const struct offtakes_query *given = http_query(request);
	struct offtake_row low;
	struct id org = {0};
	field_clear(offtake_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &org, info);
	low.seller_org_id = low.buyer_org_id = org;
	struct store_query query = {.collection = &offtakes_collection,
		.index = given->side == 1 ? "by_buyer" : "by_seller",
		.low = &low,
		.prefix = 1,
		.descending = true};
	return err ? err : api_answer_found(request, &query, offtake_fields, info);
}

static enum err offtakes_get(struct http_request *request, struct err_info *info)
{
	struct offtake_row row;
	field_clear(offtake_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "id", &row.id, info);
	if (!err)
		err = store_get(api_of(request)->store, &offtakes_collection, &row, http_arena(request), info);
	if (!err && api_check_org(request, row.seller_org_id, info) && api_check_org(request, row.buyer_org_id, info))
		err = api_check_org(request, row.arbiter_org_id, info);
	return err ? err : http_answer_row(request, offtake_fields, &row, row.position);
}

/* ---- commands ---- */

static int64_t or_zero(int64_t value)
{
	return value == FIELD_ABSENT ? 0 : value;
}

struct row {
	int64_t from_us, due_us, kg, price_micros;
};
static const struct field row_fields[] = {
	FIELD_AS(struct row, from_us, "from", FIELD_TIME, .doc = "Delivered from; left out: at any time"),
	FIELD_AS(struct row, due_us, "due", FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "Delivered by"),
	FIELD(struct row, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "How many"),
	FIELD_AS(struct row, price_micros, "price", FIELD_MICROS, .flags = FIELD_REQUIRED, .min = 1000,
		.max = MARKET_PRICE_MAX, .doc = "Per tonne, a multiple of 0.001"),
	FIELD_END};

struct offering {
	struct id seller_org_id, buyer_org_id, arbiter_org_id, project_id, unit_id;
	const char *currency;
	int64_t instrument, make_good_days, penalty_ppm, expires_at;
	struct field_list deliveries;
};
static const struct field offering_fields[] = {
	FIELD(struct offering, seller_org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Who delivers"),
	FIELD(struct offering, buyer_org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Who pays"),
	FIELD(struct offering, arbiter_org_id, FIELD_ID, .doc = "Decides a dispute; left out: compliance"),
	FIELD(struct offering, instrument, FIELD_INT, .min = 1, .doc = "Of batches that this instrument asks for"),
	FIELD(struct offering, project_id, FIELD_ID, .doc = "Or of this project of the seller"),
	FIELD(struct offering, unit_id, FIELD_ID, .doc = "Or of this unit of the seller"),
	FIELD(struct offering, currency, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 7, .doc = "Currency"),
	FIELD(struct offering, deliveries, FIELD_LIST, .flags = FIELD_REQUIRED, .table = row_fields,
		.item_size = sizeof(struct row), .min = 1, .max = EVENTS_DELIVERIES_MAX, .doc = "The schedule"),
	FIELD(struct offering, make_good_days, FIELD_INT, .max = 3650, .unit = "days",
		.doc = "How long after its due date a delivery may be made"),
	FIELD(struct offering, penalty_ppm, FIELD_INT, .max = 1000000, .unit = "ppm",
		.doc = "Of the price of what is missing then"),
	FIELD(struct offering, expires_at, FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "When the offer ends"),
	FIELD_END};

static enum err offtakes_offer(struct http_request *request, struct err_info *info)
{
	const struct offering *body = http_body(request);
	const struct row *rows = body->deliveries.items;
	struct command command = value_command(request, COMMAND_OFFTAKE_OFFER);
	struct command_offtake_offer *asked = &command.offtake_offer;
	struct delivery *schedule = ARENA_ARRAY(http_arena(request), struct delivery, body->deliveries.count);
	enum err err = schedule ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the schedule");
	*asked = (struct command_offtake_offer){.seller = body->seller_org_id,
		.buyer = body->buyer_org_id,
		.arbiter = body->arbiter_org_id,
		.project = body->project_id,
		.unit = body->unit_id,
		.instrument = (uint64_t)or_zero(body->instrument),
		.make_good_us = or_zero(body->make_good_days) * CLOCK_US_PER_DAY,
		.penalty_ppm = or_zero(body->penalty_ppm),
		.expires_us = body->expires_at};
	if (!err && !code8_set(&asked->currency, body->currency))
		err = err_set(info, ERR_CURRENCY_INVALID, "/currency", "/currency has at most 7 characters");
	if (!err)
		err = value_organisation(request, body->seller_org_id, "/seller_org_id", info);
	if (!err)
		err = value_organisation(request, body->buyer_org_id, "/buyer_org_id", info);
	if (!err && !id_is_none(body->arbiter_org_id))
		err = value_organisation(request, body->arbiter_org_id, "/arbiter_org_id", info);
	for (size_t i = 0; i < body->deliveries.count && !err; i++)
		schedule[i] = (struct delivery){.from_us = or_zero(rows[i].from_us),
			.due_us = rows[i].due_us,
			.kg = rows[i].kg,
			.price_micros = rows[i].price_micros};
	if (err)
		return err;
	command.lists = (struct record_lists){.deliveries = schedule, .delivery_count = body->deliveries.count};
	api_set_location(request, "/v1/offtakes/", command.id);
	return value_submit(request, &command, NULL, 0, info);
}

static enum err offtakes_accept(struct http_request *request, struct err_info *info)
{
	struct command command = value_command(request, COMMAND_OFFTAKE_ACCEPT);
	enum err err = http_path_id(request, "id", &command.offtake_accept.contract, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

struct delivering {
	int64_t batch, kg;
};
static const struct field delivering_fields[] = {FIELD(struct delivering, batch, FIELD_INT, .flags = FIELD_REQUIRED,
							 .min = 1, .doc = "Batch to take the lowest serials of"),
	FIELD(struct delivering, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = MARKET_KG_MAX, .unit = "kg",
		.doc = "How many"),
	FIELD_END};

static enum err offtakes_deliver(struct http_request *request, struct err_info *info)
{
	const struct delivering *body = http_body(request);
	struct command command = value_command(request, COMMAND_OFFTAKE_DELIVER);
	struct command_offtake_deliver *asked = &command.offtake_deliver;
	enum err err = http_path_id(request, "id", &asked->contract, info);
	asked->batch = (uint64_t)body->batch;
	asked->kg = body->kg;
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

struct ending {
	int64_t refund_micros;
};
static const struct field ending_fields[] = {
	FIELD_AS(struct ending, refund_micros, "refund", FIELD_MICROS, .max = LEDGER_MICROS_MAX,
		.doc = "Credit that the seller gives back"),
	FIELD_END};

static enum err offtakes_terminate(struct http_request *request, struct err_info *info)
{
	const struct ending *body = http_body(request);
	struct command command = value_command(request, COMMAND_OFFTAKE_TERMINATE);
	enum err err = http_path_id(request, "id", &command.offtake_terminate.contract, info);
	command.offtake_terminate.refund_micros = or_zero(body->refund_micros);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

static enum err offtakes_dispute(struct http_request *request, struct err_info *info)
{
	const struct value_reason *body = http_body(request);
	struct command command = value_command(request, COMMAND_OFFTAKE_DISPUTE);
	struct vault_row reason;
	enum err err = http_path_id(request, "id", &command.offtake_dispute.contract, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.offtake_dispute.reason_hash = reason.hash;
	return value_submit(request, &command, &reason, 1, info);
}

struct deciding {
	int64_t refund_micros;
	bool dismissed;
	const char *reason;
};
static const struct field deciding_fields[] = {
	FIELD_AS(struct deciding, refund_micros, "refund", FIELD_MICROS, .max = LEDGER_MICROS_MAX,
		.doc = "Where it ends: credit that the seller gives back, as far as it has it"),
	FIELD(struct deciding, dismissed, FIELD_BOOL, .doc = "It goes on instead"),
	FIELD(struct deciding, reason, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = VALUE_REASON_BYTES,
		.doc = "Why; kept in the vault"),
	FIELD_END};

static enum err offtakes_decide(struct http_request *request, struct err_info *info)
{
	const struct deciding *body = http_body(request);
	struct command command = value_command(request, COMMAND_OFFTAKE_DECIDE);
	struct command_offtake_decide *asked = &command.offtake_decide;
	struct vault_row reason;
	enum err err = http_path_id(request, "id", &asked->contract, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	asked->reason_hash = reason.hash;
	asked->refund_micros = or_zero(body->refund_micros);
	asked->dismissed = body->dismissed;
	asked->compliance = api_reaches_all(request);
	return value_submit(request, &command, &reason, 1, info);
}

const struct http_route api_offtakes_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/offtakes", "escrow:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .query = offtakes_query_fields, .query_size = sizeof(struct offtakes_query),
		.response = offtake_fields, .success = 200, .handler = offtakes_list, .operation = "offtakes.list",
		.doc = "Forward offtake contracts of an organisation, newest first"),
	HTTP_ROUTE(HTTP_POST, "/v1/offtakes", "escrow:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = offering_fields,
		.request_size = sizeof(struct offering), .response = value_result_fields, .success = 201,
		.errors = offer_errors, .handler = offtakes_offer, .reply = value_reply, .operation = "offtakes.offer",
		.doc = "Offers a contract; its id is the Idempotency-Key"),
	HTTP_ROUTE(HTTP_GET, "/v1/offtakes/{id}", "escrow:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST, .cost = 1,
		.response = offtake_fields, .success = 200, .handler = offtakes_get, .operation = "offtakes.get",
		.doc = "A contract, its schedule and what was delivered"),
	HTTP_ROUTE(HTTP_POST, "/v1/offtakes/{id}/accept", "escrow:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.cost = 5, .response = value_result_fields, .success = 200, .errors = step_errors,
		.handler = offtakes_accept, .reply = value_reply, .operation = "offtakes.accept",
		.doc = "The other side accepts: it is in force"),
	HTTP_ROUTE(HTTP_POST, "/v1/offtakes/{id}/deliver", "escrow:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = delivering_fields,
		.request_size = sizeof(struct delivering), .response = value_result_fields, .success = 200,
		.errors = deliver_errors, .handler = offtakes_deliver, .reply = value_reply,
		.operation = "offtakes.deliver", .doc = "The seller delivers what it holds to the first open row"),
	HTTP_ROUTE(HTTP_POST, "/v1/offtakes/{id}/terminate", "escrow:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = ending_fields,
		.request_size = sizeof(struct ending), .response = value_result_fields, .success = 200,
		.errors = end_errors, .handler = offtakes_terminate, .reply = value_reply,
		.operation = "offtakes.terminate",
		.doc = "Declines an offer, or proposes an end, which comes when both sides propose the same"),
	HTTP_ROUTE(HTTP_POST, "/v1/offtakes/{id}/dispute", "escrow:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = value_reason_fields,
		.request_size = sizeof(struct value_reason), .response = value_result_fields, .success = 200,
		.errors = step_errors, .handler = offtakes_dispute, .reply = value_reply,
		.operation = "offtakes.dispute", .doc = "Either side disputes it: nothing is delivered or missed"),
	HTTP_ROUTE(HTTP_POST, "/v1/offtakes/{id}/decision", "escrow:decide", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = deciding_fields,
		.request_size = sizeof(struct deciding), .response = value_result_fields, .success = 200,
		.errors = decide_errors, .handler = offtakes_decide, .reply = value_reply,
		.operation = "offtakes.decide",
		.doc = "The arbiter, or compliance where none was named, decides a dispute"),
	{.path = NULL}};
