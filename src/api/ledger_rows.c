/* Decides how accounts are shown. Pure; any thread. */
#include "ledger_rows.h"

#include <stddef.h>

#define EACH_STATE(X)                                                                                                \
	X(held, "free"), X(listed, "for sale"), X(escrow, "in escrow"), X(pooled, "in pools"),                       \
		X(reserved, "reserved"), X(buffer, "in the buffer"), X(transit, "between shards or on its way out"), \
		X(withdrawn, "outside custody"), X(retired, "retired"), X(cancelled, "cancelled")
#define MICROS(state, text) FIELD(struct account_amounts, state, FIELD_MICROS, .doc = text)
#define SHARES(state, text) FIELD(struct account_amounts, state, FIELD_INT, .doc = text)
#define KG(state, text)     FIELD(struct account_amounts, state, FIELD_INT, .unit = "kg", .doc = text)

static const struct field micros_fields[] = {EACH_STATE(MICROS), FIELD_END};
static const struct field share_fields[] = {EACH_STATE(SHARES), FIELD_END};
static const struct field kg_fields[] = {EACH_STATE(KG), FIELD_END};

const struct field money_balance_fields[] = {FIELD(struct balance_row, org_id, FIELD_ID, .doc = "Organisation"),
	FIELD_AS(struct balance_row, asset, "currency", FIELD_TEXT, .max = 7, .doc = "Currency"),
	FIELD(struct balance_row, amounts, FIELD_OBJECT, .table = micros_fields, .doc = "Amounts by state"),
	FIELD(struct balance_row, position, FIELD_INT, .doc = "Journal position of the last change"), FIELD_END};

const struct field ledger_balance_fields[] = {
	FIELD(struct ledger_balance, org_id, FIELD_ID, .doc = "Organisation; ffffffff-… is the outside world"),
	FIELD(struct ledger_balance, asset, FIELD_TEXT, .max = 20,
		.doc = "Currency, number of a batch, or pool-N: shares of a pool"),
	FIELD(struct ledger_balance, position, FIELD_INT, .doc = "Journal position of the last change"),
	FIELD(struct ledger_balance, as_of, FIELD_INT, .doc = "Journal position that is asked about"),
	FIELD(struct ledger_balance, money, FIELD_OBJECT, .table = micros_fields, .doc = "Of a currency: by state"),
	FIELD(struct ledger_balance, kilograms, FIELD_OBJECT, .table = kg_fields, .doc = "Of a batch: by state"),
	FIELD(struct ledger_balance, shares, FIELD_OBJECT, .table = share_fields,
		.doc = "Of a pool's shares: by state"),
	FIELD_END};

static const struct field money_change_fields[] = {
	FIELD(struct ledger_change, change, FIELD_OBJECT, .table = micros_fields, .doc = "What changed, by state"),
	FIELD(struct ledger_change, balance, FIELD_OBJECT, .table = micros_fields,
		.doc = "What the account had then, by state"),
	FIELD_END};
static const struct field kg_change_fields[] = {
	FIELD(struct ledger_change, change, FIELD_OBJECT, .table = kg_fields, .doc = "What changed, by state"),
	FIELD(struct ledger_change, balance, FIELD_OBJECT, .table = kg_fields,
		.doc = "What the account had then, by state"),
	FIELD_END};

static const struct field share_change_fields[] = {
	FIELD(struct ledger_change, change, FIELD_OBJECT, .table = share_fields, .doc = "What changed, by state"),
	FIELD(struct ledger_change, balance, FIELD_OBJECT, .table = share_fields,
		.doc = "What the account had then, by state"),
	FIELD_END};

const struct field ledger_line_fields[] = {
	FIELD(struct ledger_line, position, FIELD_INT, .doc = "Journal position of the event"),
	FIELD(struct ledger_line, made_at, FIELD_TIME, .doc = "When"),
	FIELD(struct ledger_line, event, FIELD_TEXT, .max = 40, .doc = "What happened"),
	FIELD(struct ledger_line, counterparty_id, FIELD_ID,
		.doc = "The other organisation; ffffffff-… is the outside world"),
	FIELD(struct ledger_line, transfer_id, FIELD_ID, .doc = "Of a transfer or conversion: which"),
	FIELD(struct ledger_line, command_id, FIELD_ID, .doc = "The command that did it"),
	FIELD(struct ledger_line, code, FIELD_INT, .doc = "The client's kind of transfer"),
	FIELD(struct ledger_line, user_data, FIELD_INT, .doc = "The client's own"),
	FIELD(struct ledger_line, money, FIELD_OBJECT, .table = money_change_fields, .doc = "Of a currency"),
	FIELD(struct ledger_line, kilograms, FIELD_OBJECT, .table = kg_change_fields, .doc = "Of a batch"),
	FIELD(struct ledger_line, shares, FIELD_OBJECT, .table = share_change_fields, .doc = "Of a pool's shares"),
	FIELD_END};

bool ledger_asset_is_money(const char *asset)
{
	return asset[0] >= 'A' && asset[0] <= 'Z';
}

static bool is_batch(const char *asset)
{
	return asset[0] >= '0' && asset[0] <= '9';
}

struct account_amounts ledger_amounts_shown(const struct account_amounts *amounts)
{
	struct account_amounts shown = *amounts;
	int64_t *each = &shown.held;
	for (int state = 1; state < KG_STATE_COUNT; state++)
		if (each[state] == 0)
			each[state] = FIELD_ABSENT;
	if (shown.held == FIELD_ABSENT)
		shown.held = 0;
	return shown;
}

void ledger_balance_set(struct ledger_balance *ret_balance, struct id org, const char *asset,
	const struct account_amounts *amounts, int64_t position)
{
	field_clear(ledger_balance_fields, ret_balance);
	ret_balance->org_id = org;
	ret_balance->asset = asset;
	ret_balance->position = position;
	struct account_amounts shown = ledger_amounts_shown(amounts);
	if (ledger_asset_is_money(asset))
		ret_balance->money = shown;
	else if (is_batch(asset))
		ret_balance->kilograms = shown;
	else
		ret_balance->shares = shown;
}

void ledger_line_set(struct ledger_line *ret_line, const struct entry_row *entry)
{
	struct ledger_change change = {.change = entry->change, .balance = ledger_amounts_shown(&entry->amounts)};
	field_clear(ledger_line_fields, ret_line);
	ret_line->position = entry->position;
	ret_line->made_at = entry->made_at;
	ret_line->event = entry->event;
	ret_line->counterparty_id = entry->counterparty_id;
	ret_line->transfer_id = entry->transfer_id;
	ret_line->command_id = entry->command_id;
	ret_line->code = entry->code;
	ret_line->user_data = entry->user_data;
	if (ledger_asset_is_money(entry->asset))
		ret_line->money = change;
	else if (is_batch(entry->asset))
		ret_line->kilograms = change;
	else
		ret_line->shares = change;
}
