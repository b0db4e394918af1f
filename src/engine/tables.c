/* The field tables and collections of the engine: vault, cursors and actors; those of a room's views are in tables_<room>.c. All of
 * them in one list. Constant. */
#include "parts.h"

/* ---- vault and cursors ---- */

const struct field vault_fields[] = {FIELD(struct vault_row, hash, FIELD_HASH, .flags = FIELD_REQUIRED,
					     .doc = "salted hash of the text, as in the journal"),
	FIELD(struct vault_row, org_id, FIELD_ID, .doc = "whose it is"),
	FIELD(struct vault_row, command_id, FIELD_ID, .doc = "the command that cites it"),
	FIELD(struct vault_row, kind, FIELD_TEXT, .max = 40, .doc = "what the text is: beneficiary, reason"),
	FIELD(struct vault_row, text, FIELD_TEXT, .flags = FIELD_SEALED, .doc = "the text; absent: erased"),
	FIELD(struct vault_row, salt, FIELD_BYTES, .flags = FIELD_SEALED, .max = 16, .doc = "its salt; absent: erased"),
	FIELD(struct vault_row, created_at, FIELD_TIME, .doc = "when it was written"),
	FIELD(struct vault_row, erased_at, FIELD_TIME, .doc = "when it was erased"), FIELD_END};

static const struct store_index vault_indexes[] = {{.name = "by_org", .fields = {"org_id", "created_at"}},
	{.name = "by_command", .fields = {"command_id", "kind"}}, {.name = NULL}};

const struct store_collection vault_collection = {.name = "vault",
	.class = STORE_VALUE,
	.fields = vault_fields,
	.row_size = sizeof(struct vault_row),
	.key = {"hash"},
	.indexes = vault_indexes,
	.shard_key = "hash",
	.doc = "Texts and personal data, sealed; the journal holds their salted hash"};

static const struct field cursor_fields[] = {
	FIELD(struct cursor_row, name, FIELD_TEXT, .min = 1, .max = 40, .doc = "the consumer"),
	FIELD(struct cursor_row, seq, FIELD_INT, .doc = "journal batch that it has read last"),
	FIELD(struct cursor_row, position, FIELD_INT, .doc = "event that it has handled last"), FIELD_END};

const struct store_collection cursors_collection = {.name = "cursors",
	.class = STORE_VALUE,
	.fields = cursor_fields,
	.row_size = sizeof(struct cursor_row),
	.key = {"name"},
	.shard_key = "name",
	.momentary = true,
	.doc = "How far the consumers of the journal are"};

const struct store_collection view_cursors_collection = {.name = "view_cursors",
	.class = STORE_VIEWS,
	.fields = cursor_fields,
	.row_size = sizeof(struct cursor_row),
	.key = {"name"},
	.shard_key = "name",
	.momentary = true,
	.doc = "How far the consumers that can be rebuilt are"};

/* ---- actors ---- */

const struct field actor_fields[] = {
	FIELD(struct actor_row, number, FIELD_INT, .min = 1, .doc = "number in the headers of events"),
	FIELD(struct actor_row, actor_id, FIELD_ID, .doc = "key, user or device"),
	FIELD(struct actor_row, org_id, FIELD_ID, .doc = "its organisation"),
	FIELD(struct actor_row, position, FIELD_INT, .doc = "journal position of the last event applied"), FIELD_END};

static const struct store_index actors_indexes[] = {{.name = "by_actor", .fields = {"actor_id"}}, {.name = NULL}};

const struct store_collection actors_collection = {.name = "actors",
	.class = STORE_VIEWS,
	.fields = actor_fields,
	.row_size = sizeof(struct actor_row),
	.key = {"number"},
	.indexes = actors_indexes,
	.shard_key = "number",
	.doc = "Actors by their numbers in the journal"};

const struct store_collection *const engine_collections[] = {&vault_collection, &cursors_collection,
	&view_cursors_collection, &actors_collection,
	/* registry */
	&registry_periods_collection, &batches_collection, &holdings_collection, &ranges_collection,
	&transfers_collection, &retirements_collection, &verifiers_collection, &accounts_collection,
	&cancellations_collection, &disputes_collection, &imports_collection, &notices_collection,
	&admissions_collection, &registrations_collection, &batch_events_collection,
	/* ledger */
	&balances_collection, &entries_collection, &money_transfers_collection, &conversions_collection,
	&rates_collection, &account_limits_collection, &houses_collection, &market_accounts_collection,
	/* market */
	&markets_collection, &market_classes_collection, &instruments_collection, &orders_collection,
	&trades_collection, &executions_collection, &ladders_collection, &price_levels_collection,
	&trader_limits_collection, &candles_collection,
	/* auctions and pools */
	&auctions_collection, &bids_collection, &pools_collection, &pool_shares_collection,
	/* escrow and forward offtake */
	&escrows_collection, &offtakes_collection,
	/* routing */
	&purchases_collection,
	/* the end */
	NULL};
