/* The field tables and collections of the ledger's views. Constant. */
#include "parts.h"

const struct id ledger_outside = {
	{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

#define POSITION(type) FIELD(type, position, FIELD_INT, .doc = "journal position of the last event applied"), FIELD_END
#define AMOUNT(state)  FIELD(struct account_amounts, state, FIELD_INT, .doc = #state)

static const struct field amounts_fields[] = {AMOUNT(held), AMOUNT(listed), AMOUNT(escrow), AMOUNT(pooled),
	AMOUNT(reserved), AMOUNT(buffer), AMOUNT(transit), AMOUNT(withdrawn), AMOUNT(retired), AMOUNT(cancelled),
	FIELD_END};

const struct field balance_fields[] = {FIELD(struct balance_row, org_id, FIELD_ID, .doc = "organisation"),
	FIELD(struct balance_row, asset, FIELD_TEXT, .max = 20,
		.doc = "currency, number of a batch, or pool-N: shares of a pool"),
	FIELD(struct balance_row, amounts, FIELD_OBJECT, .table = amounts_fields,
		.doc = "micros, kilograms or shares by state"),
	POSITION(struct balance_row)};

static const struct store_index balances_indexes[] = {
	{.name = "by_asset", .fields = {"asset", "org_id"}}, {.name = NULL}};

const struct store_collection balances_collection = {.name = "balances",
	.class = STORE_VIEWS,
	.fields = balance_fields,
	.row_size = sizeof(struct balance_row),
	.key = {"org_id", "asset"},
	.indexes = balances_indexes,
	.shard_key = "org_id",
	.doc = "What every account has, of money and of kilograms"};

const struct field entry_fields[] = {FIELD(struct entry_row, org_id, FIELD_ID, .doc = "organisation"),
	FIELD(struct entry_row, asset, FIELD_TEXT, .max = 20,
		.doc = "currency, number of a batch, or pool-N: shares of a pool"),
	FIELD(struct entry_row, position, FIELD_INT, .doc = "journal position of the event"),
	FIELD(struct entry_row, made_at, FIELD_TIME, .doc = "when"),
	FIELD(struct entry_row, event, FIELD_TEXT, .max = 40, .doc = "what happened"),
	FIELD(struct entry_row, change, FIELD_OBJECT, .table = amounts_fields, .doc = "what changed, by state"),
	FIELD(struct entry_row, amounts, FIELD_OBJECT, .table = amounts_fields,
		.doc = "what the account had then, by state"),
	FIELD(struct entry_row, counterparty_id, FIELD_ID, .doc = "the other organisation"),
	FIELD(struct entry_row, transfer_id, FIELD_ID, .doc = "transfer or conversion"),
	FIELD(struct entry_row, command_id, FIELD_ID, .doc = "command"),
	FIELD(struct entry_row, code, FIELD_INT, .doc = "the client's kind of transfer"),
	FIELD(struct entry_row, user_data, FIELD_INT, .doc = "the client's own"), FIELD_END};

static const struct store_index entries_indexes[] = {{.name = "by_time", .fields = {"org_id", "asset", "made_at"}},
	{.name = "by_position", .fields = {"position", "org_id"}}, {.name = NULL}};

const struct store_collection entries_collection = {.name = "entries",
	.class = STORE_VIEWS,
	.fields = entry_fields,
	.row_size = sizeof(struct entry_row),
	.key = {"org_id", "asset", "position"},
	.indexes = entries_indexes,
	.shard_key = "org_id",
	.doc = "What each event changed in each account"};

/* ---- transfers of money ---- */

const char *const transfer_state_names[] = {"made", "pending", "posted", "voided", "expired", NULL};
_Static_assert(sizeof transfer_state_names / sizeof(char *) == TRANSFER_STATE_COUNT + 1, "states of transfers");

const struct field money_transfer_fields[] = {FIELD(struct money_transfer_row, id, FIELD_ID, .doc = "the transfer"),
	FIELD(struct money_transfer_row, org_id, FIELD_ID, .doc = "paying organisation"),
	FIELD(struct money_transfer_row, to_org_id, FIELD_ID, .doc = "organisation that is paid"),
	FIELD(struct money_transfer_row, currency, FIELD_TEXT, .max = 7, .doc = "currency"),
	FIELD(struct money_transfer_row, amount, FIELD_MICROS, .doc = "amount"),
	FIELD(struct money_transfer_row, paid, FIELD_MICROS, .doc = "what was paid of it"),
	FIELD(struct money_transfer_row, state, FIELD_ENUM, .names = transfer_state_names,
		.doc = "made at once, or pending, posted, voided or expired"),
	FIELD(struct money_transfer_row, expires_at, FIELD_TIME, .doc = "when it voids itself"),
	FIELD(struct money_transfer_row, ended_at, FIELD_TIME, .doc = "when it was posted or voided"),
	FIELD(struct money_transfer_row, code, FIELD_INT, .doc = "the client's kind of transfer"),
	FIELD(struct money_transfer_row, user_data, FIELD_INT, .doc = "the client's own"),
	FIELD(struct money_transfer_row, set_id, FIELD_ID, .doc = "the linked set that it is one of"),
	FIELD(struct money_transfer_row, made_by, FIELD_ID, .doc = "actor"),
	FIELD(struct money_transfer_row, made_at, FIELD_TIME, .doc = "when"), POSITION(struct money_transfer_row)};

static const struct store_index money_transfers_indexes[] = {{.name = "by_org", .fields = {"org_id", "position"}},
	{.name = "by_receiver", .fields = {"to_org_id", "position"}},
	{.name = "by_state", .fields = {"org_id", "state", "position"}},
	{.name = "by_set", .fields = {"org_id", "set_id"}}, {.name = NULL}};

const struct store_collection money_transfers_collection = {.name = "money_transfers",
	.class = STORE_VIEWS,
	.fields = money_transfer_fields,
	.row_size = sizeof(struct money_transfer_row),
	.key = {"id"},
	.indexes = money_transfers_indexes,
	.shard_key = "id",
	.doc = "Transfers of money between organisations"};

/* ---- conversion ---- */

const struct field conversion_fields[] = {FIELD(struct conversion_row, id, FIELD_ID, .doc = "the conversion"),
	FIELD(struct conversion_row, org_id, FIELD_ID, .doc = "whose money was converted"),
	FIELD(struct conversion_row, provider_id, FIELD_ID, .doc = "organisation of the liquidity account"),
	FIELD(struct conversion_row, from_currency, FIELD_TEXT, .max = 7, .doc = "currency given"),
	FIELD(struct conversion_row, to_currency, FIELD_TEXT, .max = 7, .doc = "currency got"),
	FIELD(struct conversion_row, amount, FIELD_MICROS, .doc = "amount given"),
	FIELD(struct conversion_row, bought, FIELD_MICROS, .doc = "amount got: amount × rate, rounded down"),
	FIELD(struct conversion_row, remainder, FIELD_MICROS, .doc = "what rounding left, to the house"),
	FIELD(struct conversion_row, rate, FIELD_DECIMAL, .doc = "so much for one of the currency given"),
	FIELD(struct conversion_row, source, FIELD_TEXT, .max = 32, .doc = "where the rate is from"),
	FIELD(struct conversion_row, quoted_at, FIELD_TIME, .doc = "when it was quoted there"),
	FIELD(struct conversion_row, made_by, FIELD_ID, .doc = "actor"),
	FIELD(struct conversion_row, made_at, FIELD_TIME, .doc = "when"), POSITION(struct conversion_row)};

static const struct store_index conversions_indexes[] = {{.name = "by_org", .fields = {"org_id", "position"}},
	{.name = "by_provider", .fields = {"provider_id", "position"}}, {.name = NULL}};

const struct store_collection conversions_collection = {.name = "conversions",
	.class = STORE_VIEWS,
	.fields = conversion_fields,
	.row_size = sizeof(struct conversion_row),
	.key = {"id"},
	.indexes = conversions_indexes,
	.shard_key = "id",
	.doc = "Conversions of money at recorded rates"};

const struct field rate_fields[] = {
	FIELD(struct rate_row, provider_id, FIELD_ID, .doc = "organisation of the liquidity account"),
	FIELD(struct rate_row, from_currency, FIELD_TEXT, .max = 7, .doc = "currency that it takes"),
	FIELD(struct rate_row, to_currency, FIELD_TEXT, .max = 7, .doc = "currency that it gives"),
	FIELD(struct rate_row, rate, FIELD_DECIMAL,
		.doc = "so much for one of the currency taken; 0: the offer has ended"),
	FIELD(struct rate_row, source, FIELD_TEXT, .max = 32, .doc = "where the rate is from"),
	FIELD(struct rate_row, quoted_at, FIELD_TIME, .doc = "when it was quoted there"),
	FIELD(struct rate_row, expires_at, FIELD_TIME, .doc = "when the offer ends"), POSITION(struct rate_row)};

static const struct store_index rates_indexes[] = {
	{.name = "by_pair", .fields = {"from_currency", "to_currency"}}, {.name = NULL}};

const struct store_collection rates_collection = {.name = "rates",
	.class = STORE_VIEWS,
	.fields = rate_fields,
	.row_size = sizeof(struct rate_row),
	.key = {"provider_id", "from_currency", "to_currency"},
	.indexes = rates_indexes,
	.shard_key = "provider_id",
	.doc = "Offers to convert money"};

/* ---- limits, the house ---- */

#define LIMIT(member, text) FIELD(struct account_limit_row, member, FIELD_MICROS, .doc = text)

const struct field account_limit_fields[] = {FIELD(struct account_limit_row, org_id, FIELD_ID, .doc = "organisation"),
	FIELD(struct account_limit_row, currency, FIELD_TEXT, .max = 7, .doc = "currency"),
	LIMIT(own_lowest, "so much stays held, says the organisation"),
	LIMIT(own_reserved, "so much may be reserved, says the organisation"),
	LIMIT(own_daily, "so much may leave on a day, says the organisation"),
	LIMIT(registry_lowest, "so much stays held, says the registry"),
	LIMIT(registry_reserved, "so much may be reserved, says the registry"),
	LIMIT(registry_daily, "so much may leave on a day, says the registry"), POSITION(struct account_limit_row)};

const struct store_collection account_limits_collection = {.name = "account_limits",
	.class = STORE_VIEWS,
	.fields = account_limit_fields,
	.row_size = sizeof(struct account_limit_row),
	.key = {"org_id", "currency"},
	.shard_key = "org_id",
	.doc = "Limits of accounts of money"};

static const struct field market_account_fields[] = {
	FIELD(struct market_account_row, org_id, FIELD_ID, .doc = "the account"),
	FIELD(struct market_account_row, market, FIELD_INT, .min = 1, .doc = "its market"),
	POSITION(struct market_account_row)};

const struct store_collection market_accounts_collection = {.name = "market_accounts",
	.class = STORE_VIEWS,
	.fields = market_account_fields,
	.row_size = sizeof(struct market_account_row),
	.key = {"org_id"},
	.shard_key = "org_id",
	.doc = "The accounts of auctions and pools"};

const struct field house_fields[] = {FIELD(struct house_row, org_id, FIELD_ID, .doc = "the organisation"),
	FIELD(struct house_row, named_at, FIELD_TIME, .doc = "when it was named"), POSITION(struct house_row)};

const struct store_collection houses_collection = {.name = "houses",
	.class = STORE_VIEWS,
	.fields = house_fields,
	.row_size = sizeof(struct house_row),
	.key = {"org_id"},
	.shard_key = "org_id",
	.doc = "The house, where one is named"};
