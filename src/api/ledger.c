/* The ledger's books: balances as of any position or time, statements, the trial balance; linked sets of transfers; limits and the
 * end of accounts. Reads on workers; commands by the engine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/decimal.h"
#include "ledger_rows.h"
#include "value.h"

static const enum err limit_errors[] = {ERR_CURRENCY_INVALID, ERR_LIMIT_INVALID, ERR_COMMAND_ID_INVALID,
	ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err close_errors[] = {ERR_ACCOUNT_NOT_EMPTY, ERR_ACCOUNT_CLOSED, ERR_COMMAND_ID_INVALID,
	ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err set_errors[] = {ERR_CURRENCY_INVALID, ERR_AMOUNT_INVALID, ERR_INSUFFICIENT_FUNDS,
	ERR_INSUFFICIENT_KG, ERR_NOTHING_TO_PAY, ERR_PAYEE_INVALID, ERR_EXPIRY_INVALID, ERR_LIMIT_LOWEST,
	ERR_LIMIT_RESERVED, ERR_LIMIT_DAILY, ERR_BATCH_HELD, ERR_ACCOUNT_HELD, ERR_ACCOUNT_CLOSED,
	ERR_COMMAND_TOO_LARGE, ERR_SERIAL_INVALID, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING,
	ERR_OK};

/* ---- balances as they were ---- */

struct balance_query {
	const char *asset;
	int64_t at, position;
};
static const struct field balance_query_fields[] = {
	FIELD(struct balance_query, asset, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 20,
		.doc = "Currency, number of a batch, or pool-N: shares of a pool"),
	FIELD(struct balance_query, at, FIELD_TIME, .doc = "As of this time; now where neither is given"),
	FIELD(struct balance_query, position, FIELD_INT, .min = 0, .max = INT64_C(9007199254740991),
		.doc = "As of this position of the journal"),
	FIELD_END};

static struct entry_row account_low(struct id org, const char *asset)
{
	struct entry_row low;
	field_clear(entry_fields, &low);
	low.org_id = org;
	low.asset = asset;
	return low;
}

/* The last entry of an account before a time, where one is given, else up to a position; NULL: it had none. */
static enum err entry_before(struct http_request *request, struct id org, const char *asset, int64_t before_us,
	int64_t position, struct entry_row **ret_entry, struct err_info *info)
{
	struct entry_row low = account_low(org, asset), to = low;
	size_t count = 0;
	bool by_time = before_us != FIELD_ABSENT;
	to.made_at = before_us;
	to.position = position + 1;
	struct store_query query = {.collection = &entries_collection,
		.index = by_time ? "by_time" : NULL,
		.low = &low,
		.prefix = 2,
		.to = &to,
		.descending = true,
		.most = 1};
	*ret_entry = NULL;
	enum err err =
		store_find(api_of(request)->store, &query, http_arena(request), (void **)ret_entry, &count, info);
	if (count == 0)
		*ret_entry = NULL;
	return err;
}

static const struct account_amounts nothing;

static enum err accounts_balance(struct http_request *request, struct err_info *info)
{
	const struct balance_query *given = http_query(request);
	struct ledger_balance balance;
	struct entry_row *entry = NULL;
	struct id org;
	int64_t now = engine_views_position(api_of(request)->engine);
	int64_t position = given->position == FIELD_ABSENT ? now : given->position;
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "org_id", &org, info);
	if (!err)
		err = api_check_org(request, org, info);
	if (!err && given->at != FIELD_ABSENT && given->position != FIELD_ABSENT)
		err = err_set(info, ERR_INVALID_FIELD, "/at", "name /at or /position");
	if (!err)
		err = entry_before(request, org, given->asset, given->at == FIELD_ABSENT ? FIELD_ABSENT : given->at + 1,
			position, &entry, info);
	if (err)
		return err;
	ledger_balance_set(&balance, org, given->asset, entry ? &entry->amounts : &nothing,
		entry ? entry->position : FIELD_ABSENT);
	if (given->at == FIELD_ABSENT)
		balance.as_of = position;
	return http_answer_row(request, ledger_balance_fields, &balance, -1);
}

/* ---- statements ---- */

static const char *const formats[] = {"json", "csv", NULL};

struct statement_query {
	const char *asset;
	int64_t from, to;
	int format;
};
static const struct field statement_query_fields[] = {
	FIELD(struct statement_query, asset, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 20,
		.doc = "Currency, number of a batch, or pool-N: shares of a pool"),
	FIELD(struct statement_query, from, FIELD_TIME, .doc = "First moment; the beginning where left out"),
	FIELD(struct statement_query, to, FIELD_TIME, .doc = "End, exclusive; now where left out"),
	FIELD(struct statement_query, format, FIELD_ENUM, .names = formats,
		.doc = "json or csv; else by the Accept header"),
	FIELD_END};

/* The lines of one page, and what the account had before them and behind. */
struct statement {
	struct id org;
	const char *asset;
	struct entry_row *entries;
	size_t count;
	const char *next;
	bool is_first;
	struct account_amounts opening, closing;
};

static enum err statement_read(struct http_request *request, struct statement *statement, struct err_info *info)
{
	const struct statement_query *given = http_query(request);
	struct entry_row low, from, to, *before = NULL;
	*statement = (struct statement){.asset = given->asset, .is_first = http_page_cursor(request) == NULL};
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_check_cursor(request, &entries_collection, "by_time", info);
	if (!err)
		err = http_path_id(request, "org_id", &statement->org, info);
	if (!err)
		err = api_check_org(request, statement->org, info);
	if (err)
		return err;
	from = to = low = account_low(statement->org, given->asset);
	from.made_at = given->from;
	to.made_at = given->to;
	struct store_query query = {.collection = &entries_collection,
		.index = "by_time",
		.low = &low,
		.prefix = 2,
		.from = given->from == FIELD_ABSENT ? NULL : &from,
		.to = given->to == FIELD_ABSENT ? NULL : &to};
	err = api_find_page(request, &query, (void **)&statement->entries, &statement->count, &statement->next, info);
	if (!err && statement->count == 0 && given->from != FIELD_ABSENT)
		err = entry_before(request, statement->org, given->asset, given->from, 0, &before, info);
	if (before)
		statement->opening = before->amounts;
	if (statement->count) {
		const int64_t *had = &statement->entries[0].amounts.held, *change = &statement->entries[0].change.held;
		for (int state = 0; state < KG_STATE_COUNT; state++)
			(&statement->opening.held)[state] =
				had[state] - (change[state] == FIELD_ABSENT ? 0 : change[state]);
	}
	statement->closing = statement->count ? statement->entries[statement->count - 1].amounts : statement->opening;
	return err;
}

static json_t *amounts_json(const struct statement *statement, const struct account_amounts *amounts)
{
	struct ledger_balance balance;
	ledger_balance_set(&balance, statement->org, statement->asset, amounts, FIELD_ABSENT);
	return field_write(ledger_balance_fields, &balance);
}

static enum err statement_json(struct http_request *request, const struct statement *statement, struct err_info *info)
{
	json_t *items = json_array();
	for (size_t i = 0; i < statement->count; i++) {
		struct ledger_line line;
		ledger_line_set(&line, &statement->entries[i]);
		json_array_append_new(items, field_write(ledger_line_fields, &line));
	}
	json_t *document = json_pack("{s:o, s:o, s:o}", "items", items, "opening",
		amounts_json(statement, &statement->opening), "closing", amounts_json(statement, &statement->closing));
	if (!document)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the statement; ask for fewer lines");
	if (statement->next)
		json_object_set_new(document, "next_cursor", json_string(statement->next));
	return http_answer_json(request, document);
}

static void add_amounts(struct text *text, const struct account_amounts *amounts, bool is_money)
{
	char micros[DECIMAL_TEXT_SIZE];
	for (int state = 0; state < KG_STATE_COUNT; state++) {
		int64_t amount = (&amounts->held)[state];
		text_add(text, ",", 1);
		if (amount == FIELD_ABSENT || (amount == 0 && state != KG_HELD))
			continue;
		if (is_money)
			text_add_word(text, micros_text(amount, micros));
		else
			text_add_integer(text, amount);
	}
}

static void add_id(struct text *text, struct id id)
{
	char word[ID_TEXT_SIZE];
	text_add(text, ",", 1);
	if (!id_is_none(id))
		text_add_word(text, id_text(id, word));
}

static void add_balance(struct text *text, const char *name, const struct account_amounts *amounts, bool is_money)
{
	text_add_word(text, ",,");
	text_add_word(text, name);
	for (int i = 0; i < 3 + KG_STATE_COUNT; i++)
		text_add(text, ",", 1);
	add_amounts(text, amounts, is_money);
	text_add_word(text, "\r\n");
}

/* RFC 4180; the cursor goes into a header, for a table has no place for it. Opening and closing balance stand on the first and the
 * last page. */
static enum err statement_csv(struct http_request *request, const struct statement *statement, struct err_info *info)
{
	struct text text = {0};
	size_t size;
	bool is_money = ledger_asset_is_money(statement->asset);
	text_add_word(&text, "position,made_at,event,counterparty_id,transfer_id,command_id");
	for (int side = 0; side < 2; side++)
		for (int state = 0; state < KG_STATE_COUNT; state++) {
			text_add_word(&text, side ? ",balance_" : ",change_");
			text_add_word(&text, event_kg_state_names[state]);
		}
	text_add_word(&text, "\r\n");
	if (statement->is_first)
		add_balance(&text, "opening_balance", &statement->opening, is_money);
	for (size_t i = 0; i < statement->count; i++) {
		const struct entry_row *entry = &statement->entries[i];
		text_add_integer(&text, entry->position);
		text_add(&text, ",", 1);
		text_add_time(&text, entry->made_at);
		text_add(&text, ",", 1);
		text_add_word(&text, entry->event);
		add_id(&text, entry->counterparty_id);
		add_id(&text, entry->transfer_id);
		add_id(&text, entry->command_id);
		add_amounts(&text, &entry->change, is_money);
		add_amounts(&text, &entry->amounts, is_money);
		text_add_word(&text, "\r\n");
	}
	if (!statement->next)
		add_balance(&text, "closing_balance", &statement->closing, is_money);
	const char *table = text_take(&text, http_arena(request), &size);
	if (!table)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the statement; ask for fewer lines");
	if (statement->next)
		http_set_header(request, "Carbond-Next-Cursor", statement->next);
	return http_answer_text(request, "text/csv; charset=utf-8; header=present", table, size);
}

static enum err accounts_statement(struct http_request *request, struct err_info *info)
{
	const struct statement_query *given = http_query(request);
	struct statement statement;
	bool csv = given->format >= 0 ? given->format == 1
				      : !http_accepts(request, "application/json") && http_accepts(request, "text/csv");
	enum err err = statement_read(request, &statement, info);
	if (err)
		return err;
	return csv ? statement_csv(request, &statement, info) : statement_json(request, &statement, info);
}

/* ---- the trial balance ---- */

struct trial_query {
	int64_t position;
	const char *asset;
};
static const struct field trial_query_fields[] = {
	FIELD(struct trial_query, position, FIELD_INT, .min = 1, .max = INT64_C(9007199254740991),
		.doc = "As of this position of the journal; the newest where left out"),
	FIELD(struct trial_query, asset, FIELD_TEXT, .min = 1, .max = 20, .doc = "Of this currency or batch alone"),
	FIELD_END};

/* All pages are as of one position: a cursor carries that of the first. */
static enum err trial_position(
	struct http_request *request, int64_t *ret_position, const char **ret_cursor, struct err_info *info)
{
	const struct trial_query *given = http_query(request);
	const char *cursor = http_page_cursor(request);
	int64_t newest = engine_views_position(api_of(request)->engine);
	*ret_position = given->position == FIELD_ABSENT ? newest : given->position;
	*ret_cursor = NULL;
	if (cursor) {
		char *end = NULL;
		long long position = strtoll(cursor, &end, 10);
		if (end == cursor || *end != '.' || position < 1)
			return err_set(info, ERR_INVALID_CURSOR, "/cursor", "the cursor is not one of this list");
		*ret_position = position;
		*ret_cursor = end + 1;
	}
	if (*ret_position > newest)
		return err_set(
			info, ERR_DEADLINE, "/position", "the views have not reached this position yet; try again");
	return ERR_OK;
}

/* The account as it was; false in *ret_there: it did not exist yet. */
static enum err trial_item(struct http_request *request, const struct balance_row *row, int64_t position,
	struct ledger_balance *ret_balance, bool *ret_there, struct err_info *info)
{
	struct entry_row *entry = NULL;
	enum err err = ERR_OK;
	if (row->position > position)
		err = entry_before(request, row->org_id, row->asset, FIELD_ABSENT, position, &entry, info);
	*ret_there = row->position <= position || entry;
	ledger_balance_set(ret_balance, row->org_id, row->asset, entry ? &entry->amounts : &row->amounts,
		entry ? entry->position : row->position);
	ret_balance->as_of = position;
	return err;
}

static enum err trial_balance(struct http_request *request, struct err_info *info)
{
	const struct trial_query *given = http_query(request);
	struct arena *arena = http_arena(request);
	struct balance_row low, *rows = NULL;
	const char *cursor = NULL, *next = NULL;
	void *after = NULL;
	int64_t position = 0;
	size_t count = 0, limit = http_page_limit(request);
	field_clear(balance_fields, &low);
	low.asset = given->asset;
	struct store_query query = {.collection = &balances_collection,
		.index = given->asset ? "by_asset" : NULL,
		.low = &low,
		.prefix = given->asset ? 1 : 0,
		.most = limit + 1};
	enum err err = value_at_least(request, info);
	if (!err)
		err = trial_position(request, &position, &cursor, info);
	if (!err && cursor)
		err = api_cursor_parse(arena, query.collection, query.index, cursor, &after, info);
	query.after = after;
	if (!err)
		err = store_find(api_of(request)->store, &query, arena, (void **)&rows, &count, info);
	if (err)
		return err;
	if (count > limit) {
		count = limit;
		next = api_cursor_text(arena, query.collection, query.index, &rows[limit - 1]);
		next = next ? arena_print(arena, "%lld.%s", (long long)position, next) : NULL;
		if (!next)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the page");
	}
	struct ledger_balance *items = ARENA_ARRAY(arena, struct ledger_balance, count + 1);
	size_t there = 0;
	for (size_t i = 0; i < count && items && !err; i++) {
		bool is_there = false;
		err = trial_item(request, &rows[i], position, &items[there], &is_there, info);
		there += is_there;
	}
	if (!items)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the page");
	return err ? err : http_answer_page(request, ledger_balance_fields, items, sizeof *items, there, next);
}

/* ---- linked sets ---- */

struct linked {
	struct id to_org_id;
	const char *currency;
	int64_t amount, batch, kg;
	struct field_list ranges, serials;
	bool pending, balancing;
	int64_t expires_at, code, user_data;
};
static const struct field linked_fields[] = {
	FIELD(struct linked, to_org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Receiving organisation"),
	FIELD(struct linked, currency, FIELD_TEXT, .min = 1, .max = 7, .doc = "Of money: the currency"),
	FIELD(struct linked, amount, FIELD_MICROS, .doc = "Of money: the amount"), VALUE_KILOGRAM_FIELDS(struct linked),
	FIELD(struct linked, pending, FIELD_BOOL, .doc = "Only reserve it, until it is posted or voided"),
	FIELD(struct linked, balancing, FIELD_BOOL, .doc = "Of money: as much of the amount as there is"),
	FIELD(struct linked, expires_at, FIELD_TIME, .doc = "Of a pending one: when it voids itself"),
	FIELD(struct linked, code, FIELD_INT, .min = 1, .max = UINT32_MAX, .doc = "Your kind of transfer"),
	FIELD(struct linked, user_data, FIELD_INT, .min = 1, .max = INT64_C(9007199254740991),
		.doc = "A number of your own"),
	FIELD_END};

struct transfer_set {
	struct field_list linked;
};
static const struct field transfer_set_fields[] = {
	FIELD(struct transfer_set, linked, FIELD_LIST, .flags = FIELD_REQUIRED, .table = linked_fields,
		.item_size = sizeof(struct linked), .min = 1, .max = EVENTS_LINKED_MAX,
		.doc = "The transfers, in order"),
	FIELD_END};

#define SET_BODY_BYTES (256u << 10)

/* A refusal of one of them names its place. */
static enum err at_place(struct err_info *info, enum err err, size_t place)
{
	struct err_info why = *info;
	char pointer[sizeof why.pointer];
	snprintf(pointer, sizeof pointer, "/linked/%zu%.90s", place, why.pointer);
	return err_set(info, err, pointer, "%s", why.detail);
}

static enum err linked_read(struct http_request *request, const struct linked *given, struct linked_transfer *linked,
	struct record_lists *lists, struct serial_range *ranges, struct err_info *info)
{
	struct command one = {0};
	struct value_kilograms named = {
		.batch = given->batch, .kg = given->kg, .ranges = given->ranges, .serials = given->serials};
	bool is_money = given->currency != NULL;
	bool names_kg = given->batch != FIELD_ABSENT || given->kg != FIELD_ABSENT || given->ranges.count ||
			given->serials.count;
	*linked = (struct linked_transfer){.to = given->to_org_id,
		.amount = value_or_zero(given->amount),
		.expires_us = value_or_zero(given->expires_at),
		.user_data = (uint64_t)value_or_zero(given->user_data),
		.code = (uint32_t)value_or_zero(given->code),
		.pending = given->pending,
		.balancing = given->balancing};
	enum err err = value_organisation(request, given->to_org_id, "/to_org_id", info);
	if (!err && is_money == names_kg)
		err = err_set(info, ERR_INVALID_FIELD, "/currency", "a transfer is of money or of kilograms");
	if (!err && is_money && !code8_set(&linked->currency, given->currency))
		err = err_set(info, ERR_CURRENCY_INVALID, "/currency", "/currency must be 1 to 7 of A-Z and 0-9");
	if (err || is_money)
		return err;
	err = value_kilograms(request, &named, &one, &linked->batch, &linked->amount, info);
	if (!err && one.lists.range_count > EVENTS_RANGES_MAX - lists->range_count)
		err = err_set(
			info, ERR_COMMAND_TOO_LARGE, "/ranges", "a set names at most %d ranges", EVENTS_RANGES_MAX);
	if (err)
		return err;
	linked->ranges = (uint32_t)one.lists.range_count;
	for (size_t i = 0; i < one.lists.range_count; i++)
		ranges[lists->range_count++] = one.lists.ranges[i];
	return ERR_OK;
}

static enum err transfer_sets_create(struct http_request *request, struct err_info *info)
{
	const struct transfer_set *body = http_body(request);
	struct command command = value_command(request, COMMAND_TRANSFER_SET);
	size_t count = body->linked.count;
	struct linked_transfer *linked = ARENA_ARRAY(http_arena(request), struct linked_transfer, count);
	struct serial_range *ranges = ARENA_ARRAY(http_arena(request), struct serial_range, EVENTS_RANGES_MAX);
	if (!linked || !ranges)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the set");
	for (size_t i = 0; i < count; i++) {
		const struct linked *given = &((const struct linked *)body->linked.items)[i];
		enum err err = linked_read(request, given, &linked[i], &command.lists, ranges, info);
		if (err)
			return at_place(info, err, i);
	}
	command.lists.ranges = ranges;
	command.lists.linked = linked;
	command.lists.linked_count = count;
	return value_submit(request, &command, NULL, 0, info);
}

/* ---- limits, the end of an account ---- */

static enum err accounts_limits(struct http_request *request, struct err_info *info)
{
	struct account_limit_row low;
	field_clear(account_limit_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_check_cursor(request, &account_limits_collection, NULL, info);
	if (!err)
		err = http_path_id(request, "org_id", &low.org_id, info);
	if (!err)
		err = api_check_org(request, low.org_id, info);
	struct store_query query = {.collection = &account_limits_collection, .low = &low, .prefix = 1};
	return err ? err : api_answer_found(request, &query, account_limit_fields, info);
}

struct limit {
	const char *currency;
	int64_t lowest, reserved, daily;
};
static const struct field limit_fields[] = {
	FIELD(struct limit, currency, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 7, .doc = "Currency"),
	FIELD(struct limit, lowest, FIELD_MICROS, .doc = "So much stays held; left out: none"),
	FIELD(struct limit, reserved, FIELD_MICROS, .doc = "So much may be reserved; left out: any"),
	FIELD(struct limit, daily, FIELD_MICROS, .doc = "So much may leave on a day, UTC; left out: any"), FIELD_END};

static enum err most_read(int64_t given, const char *pointer, int64_t *ret_most, struct err_info *info)
{
	*ret_most = given == FIELD_ABSENT ? -1 : given;
	return given == FIELD_ABSENT || given >= 0
		       ? ERR_OK
		       : err_set(info, ERR_LIMIT_INVALID, pointer, "%s must be 0 or more", pointer);
}

/* Who reaches every account sets the registry's limit, others their organisation's own. */
static enum err accounts_limit(struct http_request *request, struct err_info *info)
{
	const struct limit *body = http_body(request);
	struct command command = value_command(request, COMMAND_ACCOUNT_LIMIT);
	struct command_account_limit *asked = &command.account_limit;
	asked->by_registry = api_reaches_all(request);
	asked->lowest_micros = value_or_zero(body->lowest);
	enum err err = http_path_id(request, "org_id", &asked->org, info);
	if (!err)
		err = api_check_org(request, asked->org, info);
	if (!err && !code8_set(&asked->currency, body->currency))
		err = err_set(info, ERR_CURRENCY_INVALID, "/currency", "/currency must be 1 to 7 of A-Z and 0-9");
	if (!err)
		err = most_read(body->reserved, "/reserved", &asked->reserved_micros, info);
	if (!err)
		err = most_read(body->daily, "/daily", &asked->daily_micros, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

static enum err accounts_close(struct http_request *request, struct err_info *info)
{
	const struct value_reason *body = http_body(request);
	struct command command = value_command(request, COMMAND_ACCOUNT_CLOSE);
	struct vault_row reason;
	enum err err = http_path_id(request, "org_id", &command.account_close.org, info);
	if (!err)
		err = value_text(request, command.account_close.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.account_close.reason_hash = reason.hash;
	return value_submit(request, &command, &reason, 1, info);
}

const struct http_route api_ledger_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/accounts/{org_id}/balance", "money:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST,
		.cost = 1, .query = balance_query_fields, .query_size = sizeof(struct balance_query),
		.response = ledger_balance_fields, .success = 200, .handler = accounts_balance,
		.operation = "accounts.balance",
		.doc = "What an account of money or kilograms had at any time or position of the journal"),
	HTTP_ROUTE(HTTP_GET, "/v1/accounts/{org_id}/statement", "money:read", .kind = HTTP_WORK,
		.flags = HTTP_PAGED | HTTP_AT_LEAST, .cost = 2, .query = statement_query_fields,
		.query_size = sizeof(struct statement_query), .response = ledger_line_fields, .success = 200,
		.handler = accounts_statement, .operation = "accounts.statement",
		.doc = "Statement of an account of money or kilograms: opening balance, every change with the balance "
		       "behind it, closing balance; JSON or CSV"),
	HTTP_ROUTE(HTTP_GET, "/v1/accounts/{org_id}/limits", "money:read", .kind = HTTP_WORK,
		.flags = HTTP_PAGED | HTTP_AT_LEAST, .cost = 1, .response = account_limit_fields, .success = 200,
		.handler = accounts_limits, .operation = "accounts.limits",
		.doc = "The limits of an organisation's accounts of money"),
	HTTP_ROUTE(HTTP_POST, "/v1/accounts/{org_id}/limits", "account:limit", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = limit_fields,
		.request_size = sizeof(struct limit), .response = value_result_fields, .success = 200,
		.errors = limit_errors, .handler = accounts_limit, .reply = value_reply, .operation = "accounts.limit",
		.doc = "Limits what leaves an account of money: the organisation its own, the registry any"),
	HTTP_ROUTE(HTTP_POST, "/v1/accounts/{org_id}/close", "account:close", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = value_reason_fields,
		.request_size = sizeof(struct value_reason), .response = value_result_fields, .success = 200,
		.errors = close_errors, .handler = accounts_close, .reply = value_reply, .operation = "accounts.close",
		.doc = "Closes an empty account for ever: nothing comes in any more"),
	HTTP_ROUTE(HTTP_POST, "/v1/transfer-sets", "money:transfer", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = SET_BODY_BYTES, .cost = 20, .request = transfer_set_fields,
		.request_size = sizeof(struct transfer_set), .response = value_result_fields, .success = 201,
		.errors = set_errors, .handler = transfer_sets_create, .reply = value_reply,
		.operation = "transfer-sets.create",
		.doc = "Makes several transfers of money and kilograms, all or none; lists of transfers find them by "
		       "set_id"),
	HTTP_ROUTE(HTTP_GET, "/v1/trial-balance", "ledger:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 5, .query = trial_query_fields, .query_size = sizeof(struct trial_query),
		.response = ledger_balance_fields, .success = 200, .handler = trial_balance,
		.operation = "ledger.trial-balance",
		.doc = "Every account as of one position of the journal, the outside world's too: each asset sums to "
		       "zero"),
	{.path = NULL}};
