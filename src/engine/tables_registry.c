/* The field tables and collections of the registry's views. Constant. */
#include "parts.h"

const struct field range_item_fields[] = {
	FIELD(struct serial_range_item, batch, FIELD_INT, .min = 1, .doc = "the batch"),
	FIELD(struct serial_range_item, start, FIELD_INT, .doc = "first kilogram"),
	FIELD(struct serial_range_item, length, FIELD_INT, .min = 1, .unit = "kg", .doc = "how many"), FIELD_END};

static const struct field attestation_fields[] = {
	FIELD(struct registry_attestation, verifier_id, FIELD_ID, .doc = "the verifier"),
	FIELD(struct registry_attestation, verifier_org_id, FIELD_ID, .doc = "its organisation"),
	FIELD(struct registry_attestation, signature, FIELD_BYTES, .max = 64,
		.doc = "Ed25519 signature of the evidence root"),
	FIELD(struct registry_attestation, attested_at, FIELD_TIME, .doc = "when it was handed in"),
	FIELD(struct registry_attestation, position, FIELD_INT, .doc = "journal position of that"), FIELD_END};

const struct field registry_period_fields[] = {
	FIELD(struct registry_period, id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the period"),
	FIELD(struct registry_period, org_id, FIELD_ID, .doc = "operator"),
	FIELD(struct registry_period, unit_id, FIELD_ID, .doc = "unit"),
	FIELD(struct registry_period, project_id, FIELD_ID, .doc = "project"),
	FIELD(struct registry_period, unit_code, FIELD_TEXT, .max = 16, .doc = "the unit in serials"),
	FIELD(struct registry_period, methodology, FIELD_TEXT, .max = 16, .doc = "the methodology in serials"),
	FIELD(struct registry_period, country, FIELD_TEXT, .max = 2, .doc = "ISO 3166 alpha-2"),
	FIELD(struct registry_period, methodology_hash, FIELD_HASH, .doc = "hash of the methodology"),
	FIELD(struct registry_period, evidence_root, FIELD_HASH, .doc = "root of the evidence pack"),
	FIELD(struct registry_period, kind, FIELD_ENUM, .names = event_credit_kind_names,
		.doc = "removal or reduction"),
	FIELD(struct registry_period, durability, FIELD_ENUM, .names = event_durability_names,
		.doc = "durability class"),
	FIELD(struct registry_period, vintage, FIELD_INT, .doc = "year in which it happened"),
	FIELD(struct registry_period, quorum, FIELD_INT, .doc = "attestations needed"),
	FIELD(struct registry_period, first_hour_at, FIELD_TIME, .doc = "start of the first hour"),
	FIELD(struct registry_period, last_hour_at, FIELD_TIME, .doc = "start of the last hour"),
	FIELD(struct registry_period, kg, FIELD_INT, .unit = "kg", .doc = "to be issued, buffer included"),
	FIELD(struct registry_period, buffer_kg, FIELD_INT, .unit = "kg", .doc = "of which buffer"),
	FIELD(struct registry_period, first_period_id, FIELD_ID, .doc = "of a difference: period of the first batch"),
	FIELD(struct registry_period, previous_root, FIELD_HASH, .doc = "of a difference: the root it is built on"),
	FIELD(struct registry_period, total_kg, FIELD_INT, .unit = "kg",
		.doc = "of a difference: the new total; else kg"),
	FIELD(struct registry_period, state, FIELD_ENUM, .names = event_period_state_names,
		.doc = "submitted, attested, issued, withdrawn or refused"),
	FIELD(struct registry_period, held, FIELD_INT,
		.doc = "reasons for which it is held: 1 mass balance, 2 nameplate, 4 difference, 8 review, 16 "
		       "calibration"),
	FIELD(struct registry_period, attestations, FIELD_LIST, .table = attestation_fields,
		.item_size = sizeof(struct registry_attestation), .max = REGISTRY_QUORUM_MAX,
		.doc = "verifiers that have signed"),
	FIELD(struct registry_period, submitted_by, FIELD_ID, .doc = "actor who submitted"),
	FIELD(struct registry_period, submitted_at, FIELD_TIME, .doc = "when"),
	FIELD(struct registry_period, submitted_position, FIELD_INT, .doc = "journal position of the submission"),
	FIELD(struct registry_period, decided_at, FIELD_TIME, .doc = "when it was issued, withdrawn or refused"),
	FIELD(struct registry_period, batch, FIELD_INT, .doc = "the batch issued from it"),
	FIELD(struct registry_period, position, FIELD_INT, .doc = "journal position of the last event applied"),
	FIELD_END};

static const struct store_index registry_periods_indexes[] = {{.name = "by_org", .fields = {"org_id", "submitted_at"}},
	{.name = "by_state", .fields = {"state", "submitted_at"}}, {.name = "by_root", .fields = {"evidence_root"}},
	{.name = NULL}};

const struct store_collection registry_periods_collection = {.name = "registry_periods",
	.class = STORE_VIEWS,
	.fields = registry_period_fields,
	.row_size = sizeof(struct registry_period),
	.key = {"id"},
	.indexes = registry_periods_indexes,
	.shard_key = "id",
	.doc = "Submitted monitoring periods"};

const struct field batch_fields[] = {FIELD(struct batch_row, batch, FIELD_INT, .min = 1, .doc = "number"),
	FIELD(struct batch_row, org_id, FIELD_ID, .doc = "operator"),
	FIELD(struct batch_row, period_id, FIELD_ID, .doc = "monitoring period"),
	FIELD(struct batch_row, unit_id, FIELD_ID, .doc = "unit"),
	FIELD(struct batch_row, project_id, FIELD_ID, .doc = "project"),
	FIELD(struct batch_row, issuance_id, FIELD_HASH, .doc = "keccak-256 of domain, registry and evidence root"),
	FIELD(struct batch_row, evidence_root, FIELD_HASH, .doc = "root of the evidence pack"),
	FIELD(struct batch_row, methodology_hash, FIELD_HASH, .doc = "hash of the methodology"),
	FIELD(struct batch_row, unit_code, FIELD_TEXT, .max = 16, .doc = "the unit in serials"),
	FIELD(struct batch_row, methodology, FIELD_TEXT, .max = 16, .doc = "the methodology in serials"),
	FIELD(struct batch_row, country, FIELD_TEXT, .max = 2, .doc = "ISO 3166 alpha-2"),
	FIELD(struct batch_row, kind, FIELD_ENUM, .names = event_credit_kind_names, .doc = "removal or reduction"),
	FIELD(struct batch_row, durability, FIELD_ENUM, .names = event_durability_names, .doc = "durability class"),
	FIELD(struct batch_row, vintage, FIELD_INT, .doc = "year in which it happened"),
	FIELD(struct batch_row, kg, FIELD_INT, .unit = "kg", .doc = "issued"),
	FIELD(struct batch_row, buffer_kg, FIELD_INT, .unit = "kg", .doc = "of which buffer"),
	FIELD(struct batch_row, serial, FIELD_TEXT, .max = 128, .doc = "serial number of the whole batch"),
	FIELD(struct batch_row, first_batch, FIELD_INT, .doc = "first batch of its chain"),
	FIELD(struct batch_row, slot, FIELD_INT, .doc = "slot of its claims"),
	FIELD(struct batch_row, held, FIELD_BOOL, .doc = "suspended"),
	FIELD(struct batch_row, unsold_held, FIELD_BOOL,
		.doc = "the operator's unsold kilograms are suspended by a reversal"),
	FIELD(struct batch_row, disputes, FIELD_INT, .doc = "open disputes of the whole batch, which suspend it, too"),
	FIELD(struct batch_row, origin, FIELD_TEXT, .max = 16,
		.doc = "of an imported batch: the registry that it comes from"),
	FIELD(struct batch_row, hold_until, FIELD_TIME, .doc = "when the hold ends by itself"),
	FIELD(struct batch_row, chain_root, FIELD_HASH, .doc = "of a first batch: newest evidence root of the chain"),
	FIELD(struct batch_row, chain_kg, FIELD_INT, .unit = "kg",
		.doc = "of a first batch: issued less reversed over the chain"),
	FIELD(struct batch_row, chain_slot, FIELD_INT, .doc = "of a first batch: newest slot"),
	FIELD(struct batch_row, reversed_kg, FIELD_INT, .unit = "kg", .doc = "reversed"),
	FIELD(struct batch_row, issued_at, FIELD_TIME, .doc = "when it was issued"),
	FIELD(struct batch_row, position, FIELD_INT, .doc = "journal position of the last event applied"), FIELD_END};

static const struct store_index batches_indexes[] = {{.name = "by_org", .fields = {"org_id", "batch"}},
	{.name = "by_period", .fields = {"period_id"}}, {.name = "by_issuance", .fields = {"issuance_id"}},
	{.name = NULL}};

const struct store_collection batches_collection = {.name = "batches",
	.class = STORE_VIEWS,
	.fields = batch_fields,
	.row_size = sizeof(struct batch_row),
	.key = {"batch"},
	.indexes = batches_indexes,
	.shard_key = "batch",
	.doc = "Issued batches"};

const struct field holding_fields[] = {FIELD(struct holding_row, org_id, FIELD_ID, .doc = "organisation"),
	FIELD(struct holding_row, batch, FIELD_INT, .min = 1, .doc = "batch"),
	FIELD(struct holding_row, held_kg, FIELD_INT, .unit = "kg", .doc = "held kilograms"),
	FIELD(struct holding_row, listed_kg, FIELD_INT, .unit = "kg", .doc = "listed kilograms"),
	FIELD(struct holding_row, escrow_kg, FIELD_INT, .unit = "kg", .doc = "escrow kilograms"),
	FIELD(struct holding_row, pooled_kg, FIELD_INT, .unit = "kg", .doc = "pooled kilograms"),
	FIELD(struct holding_row, reserved_kg, FIELD_INT, .unit = "kg", .doc = "reserved kilograms"),
	FIELD(struct holding_row, buffer_kg, FIELD_INT, .unit = "kg", .doc = "buffer kilograms"),
	FIELD(struct holding_row, transit_kg, FIELD_INT, .unit = "kg", .doc = "transit kilograms"),
	FIELD(struct holding_row, withdrawn_kg, FIELD_INT, .unit = "kg", .doc = "withdrawn kilograms"),
	FIELD(struct holding_row, retired_kg, FIELD_INT, .unit = "kg", .doc = "retired kilograms"),
	FIELD(struct holding_row, cancelled_kg, FIELD_INT, .unit = "kg", .doc = "cancelled kilograms"),
	FIELD(struct holding_row, position, FIELD_INT, .doc = "journal position of the last event applied"), FIELD_END};

static const struct store_index holdings_indexes[] = {
	{.name = "by_batch", .fields = {"batch", "org_id"}}, {.name = NULL}};

const struct store_collection holdings_collection = {.name = "holdings",
	.class = STORE_VIEWS,
	.fields = holding_fields,
	.row_size = sizeof(struct holding_row),
	.key = {"org_id", "batch"},
	.indexes = holdings_indexes,
	.shard_key = "org_id",
	.doc = "Kilograms of each organisation by batch and state"};

const struct field range_fields[] = {FIELD(struct serial_range_row, batch, FIELD_INT, .min = 1, .doc = "batch"),
	FIELD(struct serial_range_row, start, FIELD_INT, .doc = "first kilogram"),
	FIELD(struct serial_range_row, length, FIELD_INT, .min = 1, .unit = "kg", .doc = "how many"),
	FIELD(struct serial_range_row, org_id, FIELD_ID, .doc = "in whose account"),
	FIELD(struct serial_range_row, state, FIELD_ENUM, .names = event_kg_state_names, .doc = "state"),
	FIELD(struct serial_range_row, retirement_id, FIELD_ID, .doc = "retirement, where retired"),
	FIELD(struct serial_range_row, cancellation_id, FIELD_ID,
		.doc = "cancellation, where cancelled by one; not for a reversal"),
	FIELD(struct serial_range_row, position, FIELD_INT, .doc = "journal position of the last event applied"),
	FIELD_END};

static const struct store_index ranges_indexes[] = {
	{.name = "by_org", .fields = {"org_id", "batch", "start"}}, {.name = NULL}};

const struct store_collection ranges_collection = {.name = "ranges",
	.class = STORE_VIEWS,
	.fields = range_fields,
	.row_size = sizeof(struct serial_range_row),
	.key = {"batch", "start"},
	.indexes = ranges_indexes,
	.shard_key = "batch",
	.doc = "Who has which serials"};

const struct field transfer_fields[] = {FIELD(struct transfer_row, id, FIELD_ID, .doc = "the transfer"),
	FIELD(struct transfer_row, org_id, FIELD_ID, .doc = "giving organisation"),
	FIELD(struct transfer_row, to_org_id, FIELD_ID, .doc = "receiving organisation"),
	FIELD(struct transfer_row, kg, FIELD_INT, .unit = "kg", .doc = "kilograms"),
	FIELD(struct transfer_row, ranges, FIELD_LIST, .table = range_item_fields,
		.item_size = sizeof(struct serial_range_item), .max = EVENTS_RANGES_MAX, .doc = "their serials"),
	FIELD(struct transfer_row, state, FIELD_ENUM, .names = transfer_state_names,
		.doc = "made at once, or pending, posted, voided or expired"),
	FIELD(struct transfer_row, given_kg, FIELD_INT, .unit = "kg",
		.doc = "of one that was pending: the first so many of its kilograms were given"),
	FIELD(struct transfer_row, expires_at, FIELD_TIME, .doc = "when it voids itself"),
	FIELD(struct transfer_row, ended_at, FIELD_TIME, .doc = "when it was posted or voided"),
	FIELD(struct transfer_row, code, FIELD_INT, .doc = "the client's kind of transfer"),
	FIELD(struct transfer_row, user_data, FIELD_INT, .doc = "the client's own"),
	FIELD(struct transfer_row, set_id, FIELD_ID, .doc = "the linked set that it is one of"),
	FIELD(struct transfer_row, made_by, FIELD_ID, .doc = "actor"),
	FIELD(struct transfer_row, made_at, FIELD_TIME, .doc = "when"),
	FIELD(struct transfer_row, position, FIELD_INT, .doc = "journal position of the last event applied"),
	FIELD_END};

static const struct store_index transfers_indexes[] = {{.name = "by_org", .fields = {"org_id", "position"}},
	{.name = "by_receiver", .fields = {"to_org_id", "position"}},
	{.name = "by_state", .fields = {"org_id", "state", "position"}},
	{.name = "by_set", .fields = {"org_id", "set_id"}}, {.name = NULL}};

const struct store_collection transfers_collection = {.name = "transfers",
	.class = STORE_VIEWS,
	.fields = transfer_fields,
	.row_size = sizeof(struct transfer_row),
	.key = {"id"},
	.indexes = transfers_indexes,
	.shard_key = "id",
	.doc = "Transfers between organisations"};

const struct field retirement_fields[] = {FIELD(struct retirement_row, id, FIELD_ID, .doc = "the retirement"),
	FIELD(struct retirement_row, org_id, FIELD_ID, .doc = "organisation that retired"),
	FIELD(struct retirement_row, number, FIELD_INT, .min = 1, .doc = "number"),
	FIELD(struct retirement_row, kg, FIELD_INT, .unit = "kg", .doc = "kilograms"),
	FIELD(struct retirement_row, ranges, FIELD_LIST, .table = range_item_fields,
		.item_size = sizeof(struct serial_range_item), .max = EVENTS_RANGES_MAX, .doc = "their serials"),
	FIELD(struct retirement_row, beneficiary_hash, FIELD_HASH, .doc = "salted hash of the beneficiary's name"),
	FIELD(struct retirement_row, country, FIELD_TEXT, .max = 2, .doc = "country of the beneficiary"),
	FIELD(struct retirement_row, purpose, FIELD_ENUM, .names = event_purpose_names, .doc = "what for"),
	FIELD(struct retirement_row, covered_from, FIELD_TIME, .doc = "emissions covered from"),
	FIELD(struct retirement_row, covered_to, FIELD_TIME, .doc = "to, exclusive"),
	FIELD(struct retirement_row, consent, FIELD_BOOL, .doc = "the beneficiary agreed to be named in public"),
	FIELD(struct retirement_row, made_by, FIELD_ID, .doc = "actor"),
	FIELD(struct retirement_row, made_at, FIELD_TIME, .doc = "when"),
	FIELD(struct retirement_row, position, FIELD_INT, .doc = "journal position of the last event applied"),
	FIELD_END};

static const struct store_index retirements_indexes[] = {{.name = "by_org", .fields = {"org_id", "number"}},
	{.name = "by_number", .fields = {"number"}, .unique = true}, {.name = NULL}};

const struct store_collection retirements_collection = {.name = "retirements",
	.class = STORE_VIEWS,
	.fields = retirement_fields,
	.row_size = sizeof(struct retirement_row),
	.key = {"id"},
	.indexes = retirements_indexes,
	.shard_key = "id",
	.doc = "Retirements, each a certificate"};

const struct field verifier_fields[] = {FIELD(struct verifier_row, id, FIELD_ID, .doc = "the verifier"),
	FIELD(struct verifier_row, org_id, FIELD_ID, .doc = "its organisation"),
	FIELD(struct verifier_row, key, FIELD_HASH, .doc = "Ed25519 public key"),
	FIELD(struct verifier_row, valid_from, FIELD_TIME, .doc = "signatures count from"),
	FIELD(struct verifier_row, valid_to, FIELD_TIME, .doc = "and before"),
	FIELD(struct verifier_row, revoked_at, FIELD_TIME, .doc = "when it was revoked"),
	FIELD(struct verifier_row, registered_position, FIELD_INT, .doc = "journal position of its registration"),
	FIELD(struct verifier_row, revoked_position, FIELD_INT, .doc = "and of its revocation"),
	FIELD(struct verifier_row, position, FIELD_INT, .doc = "journal position of the last event applied"),
	FIELD_END};

static const struct store_index verifiers_indexes[] = {{.name = "by_org", .fields = {"org_id", "id"}}, {.name = NULL}};

const struct store_collection verifiers_collection = {.name = "verifiers",
	.class = STORE_VIEWS,
	.fields = verifier_fields,
	.row_size = sizeof(struct verifier_row),
	.key = {"id"},
	.indexes = verifiers_indexes,
	.shard_key = "id",
	.doc = "Verifiers and their keys"};

const struct field account_fields[] = {FIELD(struct account_row, org_id, FIELD_ID, .doc = "organisation"),
	FIELD(struct account_row, held, FIELD_BOOL, .doc = "nothing leaves it"),
	FIELD(struct account_row, hold_until, FIELD_TIME, .doc = "when the hold ends by itself"),
	FIELD(struct account_row, debt_kg, FIELD_INT, .unit = "kg", .doc = "owed to the buffer after reversals"),
	FIELD(struct account_row, closed_at, FIELD_TIME, .doc = "when it was closed for ever"),
	FIELD(struct account_row, position, FIELD_INT, .doc = "journal position of the last event applied"), FIELD_END};

const struct store_collection accounts_collection = {.name = "accounts",
	.class = STORE_VIEWS,
	.fields = account_fields,
	.row_size = sizeof(struct account_row),
	.key = {"org_id"},
	.shard_key = "org_id",
	.doc = "Accounts with a hold or a debt"};
