/* Money: what comes in and goes out, transfers at once and in two phases, offers to convert and conversions. Reads on workers;
 * commands by the engine. */
#include "carbond/base/decimal.h"
#include "carbond/ledger.h"

#include "ledger_rows.h"
#include "value.h"

static const enum err name_errors[] = {
	ERR_HOUSE_NAMED, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err deposit_errors[] = {ERR_CURRENCY_INVALID, ERR_AMOUNT_INVALID, ERR_MONEY_OVERFLOW,
	ERR_ACCOUNT_CLOSED, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err withdrawal_errors[] = {ERR_CURRENCY_INVALID, ERR_AMOUNT_INVALID, ERR_INSUFFICIENT_FUNDS,
	ERR_LIMIT_LOWEST, ERR_LIMIT_DAILY, ERR_ACCOUNT_HELD, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED,
	ERR_COMMAND_RUNNING, ERR_OK};
static const enum err transfer_errors[] = {ERR_CURRENCY_INVALID, ERR_AMOUNT_INVALID, ERR_INSUFFICIENT_FUNDS,
	ERR_NOTHING_TO_PAY, ERR_PAYEE_INVALID, ERR_EXPIRY_INVALID, ERR_MONEY_OVERFLOW, ERR_LIMIT_LOWEST,
	ERR_LIMIT_RESERVED, ERR_LIMIT_DAILY, ERR_ACCOUNT_HELD, ERR_ACCOUNT_CLOSED, ERR_DUPLICATE,
	ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err post_errors[] = {ERR_NOT_PENDING, ERR_EXCEEDS_PENDING, ERR_AMOUNT_INVALID, ERR_ACCOUNT_HELD,
	ERR_ACCOUNT_CLOSED, ERR_MONEY_OVERFLOW, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING,
	ERR_OK};
static const enum err void_errors[] = {
	ERR_NOT_PENDING, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err offer_errors[] = {ERR_CURRENCY_INVALID, ERR_RATE_INVALID, ERR_EXPIRY_INVALID, ERR_NO_RATE,
	ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err convert_errors[] = {ERR_CURRENCY_INVALID, ERR_AMOUNT_INVALID, ERR_PAYEE_INVALID, ERR_NO_RATE,
	ERR_RATE_CHANGED, ERR_INSUFFICIENT_FUNDS, ERR_LIMIT_LOWEST, ERR_LIMIT_DAILY, ERR_LIQUIDITY_SHORT,
	ERR_HOUSE_MISSING, ERR_ACCOUNT_HELD, ERR_ACCOUNT_CLOSED, ERR_MONEY_OVERFLOW, ERR_COMMAND_ID_INVALID,
	ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

static enum err currency_read(struct code8 *ret_currency, const char *text, const char *pointer, struct err_info *info)
{
	return code8_set(ret_currency, text) ? ERR_OK
					     : err_set(info, ERR_CURRENCY_INVALID, pointer,
						       "%s must be 1 to 7 of A-Z and 0-9, first a letter", pointer);
}

/* ---- the house ---- */

static enum err house_get(struct http_request *request, struct err_info *info)
{
	struct house_row *rows = NULL;
	size_t count = 0;
	struct store_query query = {.collection = &houses_collection, .most = 1};
	enum err err = value_at_least(request, info);
	if (!err)
		err = store_find(api_of(request)->store, &query, http_arena(request), (void **)&rows, &count, info);
	if (!err && count == 0)
		err = err_set(info, ERR_NOT_FOUND, NULL, "the registry has not named its house");
	return err ? err : http_answer_row(request, house_fields, rows, -1);
}

struct house_body {
	struct id org_id;
};
static const struct field house_body_fields[] = {
	FIELD(struct house_body, org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "The organisation"), FIELD_END};

static enum err house_name(struct http_request *request, struct err_info *info)
{
	const struct house_body *body = http_body(request);
	struct command command = value_command(request, COMMAND_HOUSE_NAME);
	command.house_name.org = body->org_id;
	enum err err = value_organisation(request, body->org_id, "/org_id", info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

/* ---- balances ---- */

struct org_query {
	struct id org_id;
};
static const struct field org_query_fields[] = {
	FIELD(struct org_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"), FIELD_END};

/* Currencies begin with a capital letter, other assets do not. */
static enum err balances_list(struct http_request *request, struct err_info *info)
{
	const struct org_query *given = http_query(request);
	struct balance_row low, from, to, *rows = NULL;
	const char *next = NULL;
	size_t count = 0;
	field_clear(balance_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &low.org_id, info);
	from = low;
	to = from;
	from.asset = "A";
	to.asset = "a";
	struct store_query query = {
		.collection = &balances_collection, .low = &low, .prefix = 1, .from = &from, .to = &to};
	if (!err)
		err = api_find_page(request, &query, (void **)&rows, &count, &next, info);
	for (size_t i = 0; i < count; i++)
		rows[i].amounts = ledger_amounts_shown(&rows[i].amounts);
	return err ? err : http_answer_page(request, money_balance_fields, rows, sizeof *rows, count, next);
}

/* ---- in and out ---- */

struct cash {
	struct id org_id;
	const char *currency, *reference;
	int64_t amount;
};
static const struct field cash_fields[] = {
	FIELD(struct cash, org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Whose money"),
	FIELD(struct cash, currency, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 7, .doc = "Currency"),
	FIELD(struct cash, amount, FIELD_MICROS, .flags = FIELD_REQUIRED, .doc = "Amount"),
	FIELD(struct cash, reference, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 200,
		.doc = "The bank's or provider's reference; kept in the vault, its salted hash in the journal"),
	FIELD_END};

static enum err deposits_create(struct http_request *request, struct err_info *info)
{
	const struct cash *body = http_body(request);
	struct command command = value_command(request, COMMAND_MONEY_DEPOSIT);
	struct command_money_deposit *asked = &command.money_deposit;
	struct vault_row reference;
	asked->to = body->org_id;
	asked->amount_micros = body->amount;
	enum err err = currency_read(&asked->currency, body->currency, "/currency", info);
	if (!err)
		err = value_organisation(request, body->org_id, "/org_id", info);
	if (!err)
		err = value_text(request, body->org_id, "reference", body->reference, &reference, info);
	if (err)
		return err;
	asked->reference_hash = reference.hash;
	return value_submit(request, &command, &reference, 1, info);
}

static enum err withdrawals_create(struct http_request *request, struct err_info *info)
{
	const struct cash *body = http_body(request);
	struct command command = value_command(request, COMMAND_MONEY_WITHDRAW);
	struct command_money_withdraw *asked = &command.money_withdraw;
	struct vault_row reference;
	asked->from = body->org_id;
	asked->amount_micros = body->amount;
	enum err err = currency_read(&asked->currency, body->currency, "/currency", info);
	if (!err)
		err = value_text(request, body->org_id, "reference", body->reference, &reference, info);
	if (err)
		return err;
	asked->reference_hash = reference.hash;
	return value_submit(request, &command, &reference, 1, info);
}

/* ---- transfers ---- */

static const char *const directions[] = {"sent", "received", NULL};

struct transfers_query {
	struct id org_id, set_id;
	int direction, state;
};
static const struct field transfers_query_fields[] = {
	FIELD(struct transfers_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD(struct transfers_query, direction, FIELD_ENUM, .names = directions,
		.doc = "Those it paid (the default) or received"),
	FIELD(struct transfers_query, state, FIELD_ENUM, .names = transfer_state_names,
		.doc = "Only those that it paid and that are in this state, as pending"),
	FIELD(struct transfers_query, set_id, FIELD_ID, .doc = "Only those of this linked set of its own"), FIELD_END};

static enum err transfers_list(struct http_request *request, struct err_info *info)
{
	const struct transfers_query *given = http_query(request);
	bool received = given->direction == 1, of_state = given->state >= 0 && !received;
	struct money_transfer_row low;
	struct id org = {0};
	field_clear(money_transfer_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &org, info);
	low.org_id = low.to_org_id = org;
	low.state = given->state;
	low.set_id = given->set_id;
	struct store_query query = {.collection = &money_transfers_collection,
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
	return err ? err : api_answer_found(request, &query, money_transfer_fields, info);
}

static enum err transfers_get(struct http_request *request, struct err_info *info)
{
	struct money_transfer_row row;
	field_clear(money_transfer_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "id", &row.id, info);
	if (!err)
		err = store_get(api_of(request)->store, &money_transfers_collection, &row, http_arena(request), info);
	if (!err && api_check_org(request, row.org_id, info))
		err = api_check_org(request, row.to_org_id, info);
	return err ? err : http_answer_row(request, money_transfer_fields, &row, row.position);
}

struct payment {
	struct id to_org_id;
	const char *currency;
	int64_t amount, expires_at, code, user_data;
	bool pending, balancing;
};
static const struct field payment_fields[] = {
	FIELD(struct payment, to_org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Who is paid"),
	FIELD(struct payment, currency, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 7, .doc = "Currency"),
	FIELD(struct payment, amount, FIELD_MICROS, .flags = FIELD_REQUIRED,
		.doc = "Amount; with balancing at most so much"),
	FIELD(struct payment, pending, FIELD_BOOL, .doc = "Only reserve it, until it is posted or voided"),
	FIELD(struct payment, balancing, FIELD_BOOL, .doc = "As much of the amount as there is"),
	FIELD(struct payment, expires_at, FIELD_TIME, .doc = "Of a pending one: when it voids itself"),
	FIELD(struct payment, code, FIELD_INT, .min = 1, .max = UINT32_MAX, .doc = "Your kind of transfer"),
	FIELD(struct payment, user_data, FIELD_INT, .min = 1, .max = INT64_C(9007199254740991),
		.doc = "A number of your own"),
	FIELD_END};

static enum err transfers_create(struct http_request *request, struct err_info *info)
{
	const struct payment *body = http_body(request);
	struct command command = value_command(request, COMMAND_MONEY_TRANSFER);
	command.money_transfer = (struct command_money_transfer){.to = body->to_org_id,
		.amount_micros = body->amount,
		.pending = body->pending,
		.balancing = body->balancing,
		.expires_us = value_or_zero(body->expires_at),
		.user_data = (uint64_t)value_or_zero(body->user_data),
		.code = (uint32_t)value_or_zero(body->code)};
	enum err err = currency_read(&command.money_transfer.currency, body->currency, "/currency", info);
	if (!err)
		err = value_organisation(request, body->to_org_id, "/to_org_id", info);
	if (err)
		return err;
	api_set_location(request, "/v1/money/transfers/", command.id);
	return value_submit(request, &command, NULL, 0, info);
}

struct posting {
	int64_t amount;
};
static const struct field posting_fields[] = {
	FIELD(struct posting, amount, FIELD_MICROS, .doc = "So much of it; left out: all of it"), FIELD_END};

static enum err transfers_post(struct http_request *request, struct err_info *info)
{
	const struct posting *body = http_body(request);
	struct command command = value_command(request, COMMAND_PENDING_POST);
	enum err err = http_path_id(request, "id", &command.pending_post.transfer, info);
	if (!err && body->amount != FIELD_ABSENT && body->amount < 1)
		err = err_set(info, ERR_AMOUNT_INVALID, "/amount", "/amount must be more than 0");
	command.pending_post.amount = value_or_zero(body->amount);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

static enum err transfers_void(struct http_request *request, struct err_info *info)
{
	struct command command = value_command(request, COMMAND_PENDING_VOID);
	enum err err = http_path_id(request, "id", &command.pending_void.transfer, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

/* ---- conversion ---- */

struct rates_query {
	const char *from, *to;
};
static const struct field rates_query_fields[] = {
	FIELD(struct rates_query, from, FIELD_TEXT, .min = 1, .max = 7, .doc = "Only those that take this currency"),
	FIELD(struct rates_query, to, FIELD_TEXT, .min = 1, .max = 7, .doc = "and give this one"), FIELD_END};

static enum err rates_list(struct http_request *request, struct err_info *info)
{
	const struct rates_query *given = http_query(request);
	struct rate_row low;
	field_clear(rate_fields, &low);
	low.from_currency = given->from;
	low.to_currency = given->to;
	struct store_query query = {.collection = &rates_collection,
		.index = given->from ? "by_pair" : NULL,
		.low = &low,
		.prefix = given->from ? (given->to ? 2 : 1) : 0};
	enum err err = value_at_least(request, info);
	if (!err && given->to && !given->from)
		err = err_set(info, ERR_MISSING_FIELD, "/from", "/to goes with /from");
	return err ? err : api_answer_found(request, &query, rate_fields, info);
}

struct offer {
	const char *from_currency, *to_currency, *rate, *source;
	int64_t quoted_at, expires_at;
};
static const struct field offer_fields[] = {FIELD(struct offer, from_currency, FIELD_TEXT, .flags = FIELD_REQUIRED,
						    .min = 1, .max = 7, .doc = "Currency that you take"),
	FIELD(struct offer, to_currency, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 7,
		.doc = "Currency that you give"),
	FIELD(struct offer, rate, FIELD_DECIMAL, .flags = FIELD_REQUIRED,
		.doc = "So much for one of the currency taken, at most nine digits after the point; 0 ends the offer"),
	FIELD(struct offer, source, FIELD_TEXT, .min = 1, .max = 32, .doc = "Where the rate is from, printable ASCII"),
	FIELD(struct offer, quoted_at, FIELD_TIME, .doc = "When it was quoted there"),
	FIELD(struct offer, expires_at, FIELD_TIME, .doc = "When the offer ends"), FIELD_END};

static enum err rate_read(const char *text, int64_t *ret_nanos, struct err_info *info)
{
	struct decimal rate;
	if (decimal_parse(text, &rate) || decimal_rescale(rate, 9, ret_nanos))
		return err_set(info, ERR_RATE_INVALID, "/rate",
			"/rate must be a decimal of at most nine digits after the point");
	return ERR_OK;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static enum err rates_offer(struct http_request *request, struct err_info *info)
{
	const struct offer *body = http_body(request);
	struct command command = value_command(request, COMMAND_RATE_OFFER);
	struct command_rate_offer *asked = &command.rate_offer;
	asked->quoted_us = value_or_zero(body->quoted_at);
	asked->expires_us = value_or_zero(body->expires_at);
	enum err err = currency_read(&asked->from, body->from_currency, "/from_currency", info);
	if (!err)
		err = currency_read(&asked->to, body->to_currency, "/to_currency", info);
	if (!err)
		err = rate_read(body->rate, &asked->rate_nanos, info);
	if (!err && body->source && (!is_printable(body->source) || !code32_set(&asked->source, body->source)))
		err = err_set(info, ERR_RATE_INVALID, "/source", "/source must be 1 to 32 printable characters");
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

static const char *const sides[] = {"converted", "provided", NULL};

struct conversions_query {
	struct id org_id;
	int side;
};
static const struct field conversions_query_fields[] = {
	FIELD(struct conversions_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD(struct conversions_query, side, FIELD_ENUM, .names = sides,
		.doc = "Those of its own money (the default), or from its liquidity account"),
	FIELD_END};

static enum err conversions_list(struct http_request *request, struct err_info *info)
{
	const struct conversions_query *given = http_query(request);
	struct conversion_row low;
	struct id org = {0};
	field_clear(conversion_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &org, info);
	low.org_id = low.provider_id = org;
	struct store_query query = {.collection = &conversions_collection,
		.index = given->side == 1 ? "by_provider" : "by_org",
		.low = &low,
		.prefix = 1,
		.descending = true};
	return err ? err : api_answer_found(request, &query, conversion_fields, info);
}

static enum err conversions_get(struct http_request *request, struct err_info *info)
{
	struct conversion_row row;
	field_clear(conversion_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "id", &row.id, info);
	if (!err)
		err = store_get(api_of(request)->store, &conversions_collection, &row, http_arena(request), info);
	if (!err && api_check_org(request, row.org_id, info))
		err = api_check_org(request, row.provider_id, info);
	return err ? err : http_answer_row(request, conversion_fields, &row, row.position);
}

struct conversion_body {
	struct id provider_id;
	const char *from_currency, *to_currency;
	int64_t amount, least;
};
static const struct field conversion_body_fields[] = {
	FIELD(struct conversion_body, provider_id, FIELD_ID, .flags = FIELD_REQUIRED,
		.doc = "Organisation whose offer is taken"),
	FIELD(struct conversion_body, from_currency, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 7,
		.doc = "Currency that you give"),
	FIELD(struct conversion_body, to_currency, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 7,
		.doc = "Currency that you get"),
	FIELD(struct conversion_body, amount, FIELD_MICROS, .flags = FIELD_REQUIRED, .doc = "Amount that you give"),
	FIELD(struct conversion_body, least, FIELD_MICROS, .min = 1, .max = LEDGER_MICROS_MAX,
		.doc = "Refused where it would give less"),
	FIELD_END};

static enum err conversions_create(struct http_request *request, struct err_info *info)
{
	const struct conversion_body *body = http_body(request);
	struct command command = value_command(request, COMMAND_MONEY_CONVERT);
	struct command_money_convert *asked = &command.money_convert;
	asked->provider = body->provider_id;
	asked->amount_micros = body->amount;
	asked->least_micros = value_or_zero(body->least);
	enum err err = currency_read(&asked->from, body->from_currency, "/from_currency", info);
	if (!err)
		err = currency_read(&asked->to, body->to_currency, "/to_currency", info);
	if (err)
		return err;
	api_set_location(request, "/v1/money/conversions/", command.id);
	return value_submit(request, &command, NULL, 0, info);
}

#define COMMAND_ROUTE(path_, permission_, body, ...)                                                        \
	HTTP_ROUTE(HTTP_POST, path_, permission_, .kind = HTTP_LATER, .flags = HTTP_VALUE,                  \
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = body##_fields,                    \
		.request_size = sizeof(struct body), .response = value_result_fields, .reply = value_reply, \
		__VA_ARGS__)
#define LIST_ROUTE(path_, permission_, ...)                                                                         \
	HTTP_ROUTE(HTTP_GET, path_, permission_, .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST, .cost = 2, \
		.success = 200, __VA_ARGS__)

const struct http_route api_money_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/money/house", "money:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST, .cost = 1,
		.response = house_fields, .success = 200, .handler = house_get, .operation = "money.house",
		.doc = "The house: the organisation that fees and remainders of rounding go to"),
	COMMAND_ROUTE("/v1/money/house", "cash:write", house_body, .success = 201, .errors = name_errors,
		.handler = house_name, .operation = "money.name-house", .doc = "Names the house, once for ever"),
	LIST_ROUTE("/v1/money/balances", "money:read", .query = org_query_fields,
		.query_size = sizeof(struct org_query), .response = money_balance_fields, .handler = balances_list,
		.operation = "money.balances", .doc = "What an organisation has of each currency, by state"),
	COMMAND_ROUTE("/v1/money/deposits", "cash:write", cash, .success = 201, .errors = deposit_errors,
		.handler = deposits_create, .operation = "money.deposit",
		.doc = "Money of an organisation came in from outside"),
	COMMAND_ROUTE("/v1/money/withdrawals", "cash:write", cash, .success = 201, .errors = withdrawal_errors,
		.handler = withdrawals_create, .operation = "money.withdraw",
		.doc = "Money of an organisation went out"),
	LIST_ROUTE("/v1/money/transfers", "money:read", .query = transfers_query_fields,
		.query_size = sizeof(struct transfers_query), .response = money_transfer_fields,
		.handler = transfers_list, .operation = "money.transfers",
		.doc = "Transfers of an organisation's money, those that changed last first"),
	COMMAND_ROUTE("/v1/money/transfers", "money:transfer", payment, .success = 201, .errors = transfer_errors,
		.handler = transfers_create, .operation = "money.pay",
		.doc = "Pays another organisation, at once or in two phases; the answer's id is the transfer's"),
	HTTP_ROUTE(HTTP_GET, "/v1/money/transfers/{id}", "money:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST,
		.cost = 1, .response = money_transfer_fields, .success = 200, .handler = transfers_get,
		.operation = "money.transfer", .doc = "A transfer of money"),
	COMMAND_ROUTE("/v1/money/transfers/{id}/post", "money:transfer", posting, .success = 200, .errors = post_errors,
		.handler = transfers_post, .operation = "money.post",
		.doc = "Pays a pending transfer, in whole or in part; what is left is free again"),
	HTTP_ROUTE(HTTP_POST, "/v1/money/transfers/{id}/void", "money:transfer", .kind = HTTP_LATER,
		.flags = HTTP_VALUE, .cost = 5, .response = value_result_fields, .success = 200, .errors = void_errors,
		.handler = transfers_void, .reply = value_reply, .operation = "money.void",
		.doc = "Ends a pending transfer unpaid; by either side"),
	LIST_ROUTE("/v1/money/rates", "money:read", .query = rates_query_fields,
		.query_size = sizeof(struct rates_query), .response = rate_fields, .handler = rates_list,
		.operation = "money.rates", .doc = "Who converts which currency into which, at what rate"),
	COMMAND_ROUTE("/v1/money/rates", "money:transfer", offer, .success = 200, .errors = offer_errors,
		.handler = rates_offer, .operation = "money.offer-rate",
		.doc = "Offers to convert a currency from the organisation's own account, in place of its offer "
		       "before"),
	LIST_ROUTE("/v1/money/conversions", "money:read", .query = conversions_query_fields,
		.query_size = sizeof(struct conversions_query), .response = conversion_fields,
		.handler = conversions_list, .operation = "money.conversions",
		.doc = "Conversions of an organisation's money, newest first"),
	COMMAND_ROUTE("/v1/money/conversions", "money:transfer", conversion_body, .success = 201,
		.errors = convert_errors, .handler = conversions_create, .operation = "money.convert",
		.doc = "Converts money at an organisation's offer"),
	HTTP_ROUTE(HTTP_GET, "/v1/money/conversions/{id}", "money:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST,
		.cost = 1, .response = conversion_fields, .success = 200, .handler = conversions_get,
		.operation = "money.conversion", .doc = "A conversion: amounts, rate, source and time"),
	{.path = NULL}};
