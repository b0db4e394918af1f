/* The field tables and collections of the views of the registry's operations. Constant. */
#include "parts.h"

const struct field cancellation_fields[] = {FIELD(struct cancellation_row, id, FIELD_ID, .doc = "the cancellation"),
	FIELD(struct cancellation_row, org_id, FIELD_ID, .doc = "organisation whose kilograms they were"),
	FIELD(struct cancellation_row, number, FIELD_INT, .min = 1, .doc = "number"),
	FIELD(struct cancellation_row, kg, FIELD_INT, .unit = "kg", .doc = "kilograms"),
	FIELD(struct cancellation_row, ranges, FIELD_LIST, .table = range_item_fields,
		.item_size = sizeof(struct serial_range_item), .max = EVENTS_RANGES_MAX, .doc = "their serials"),
	FIELD(struct cancellation_row, state, FIELD_ENUM, .names = event_kg_state_names, .doc = "where they were"),
	FIELD(struct cancellation_row, reason, FIELD_ENUM, .names = event_cancel_reason_names, .doc = "why"),
	FIELD(struct cancellation_row, destination, FIELD_TEXT, .max = 32,
		.doc = "of a conversion: the registry that takes them"),
	FIELD(struct cancellation_row, returned_kg, FIELD_INT, .unit = "kg",
		.doc = "of a conversion: whose numbers went back to the registry that they came from; left out: none"),
	FIELD(struct cancellation_row, explanation_hash, FIELD_HASH, .doc = "salted hash of the reason in words"),
	FIELD(struct cancellation_row, made_by, FIELD_ID, .doc = "actor"),
	FIELD(struct cancellation_row, made_at, FIELD_TIME, .doc = "when"),
	FIELD(struct cancellation_row, position, FIELD_INT, .doc = "journal position of the last event applied"),
	FIELD_END};

static const struct store_index cancellations_indexes[] = {{.name = "by_org", .fields = {"org_id", "number"}},
	{.name = "by_number", .fields = {"number"}, .unique = true}, {.name = NULL}};

const struct store_collection cancellations_collection = {.name = "cancellations",
	.class = STORE_VIEWS,
	.fields = cancellation_fields,
	.row_size = sizeof(struct cancellation_row),
	.key = {"id"},
	.indexes = cancellations_indexes,
	.shard_key = "id",
	.doc = "Cancellations: kilograms that nobody can claim"};

const char *const dispute_state_names[] = {"open", "rejected", "upheld", NULL};

const struct field dispute_fields[] = {FIELD(struct dispute_row, id, FIELD_ID, .doc = "the dispute"),
	FIELD(struct dispute_row, batch, FIELD_INT, .min = 1, .doc = "the batch, whole or that of the serials"),
	FIELD(struct dispute_row, period_id, FIELD_ID, .doc = "or the period"),
	FIELD(struct dispute_row, holder_id, FIELD_ID, .doc = "of serials: who holds them"),
	FIELD(struct dispute_row, kg, FIELD_INT, .unit = "kg", .doc = "of serials: kilograms in escrow"),
	FIELD(struct dispute_row, ranges, FIELD_LIST, .table = range_item_fields,
		.item_size = sizeof(struct serial_range_item), .max = EVENTS_RANGES_MAX, .doc = "the serials"),
	FIELD(struct dispute_row, evidence_hash, FIELD_HASH, .doc = "SHA-256 of what it rests on"),
	FIELD(struct dispute_row, state, FIELD_ENUM, .names = dispute_state_names, .doc = "open, rejected or upheld"),
	FIELD(struct dispute_row, opened_by, FIELD_ID, .doc = "actor who opened it"),
	FIELD(struct dispute_row, decided_by, FIELD_ID, .doc = "actor who decided it"),
	FIELD(struct dispute_row, opened_at, FIELD_TIME, .doc = "when it was opened"),
	FIELD(struct dispute_row, decided_at, FIELD_TIME, .doc = "when it was decided"),
	FIELD(struct dispute_row, position, FIELD_INT, .doc = "journal position of the last event applied"), FIELD_END};

static const struct store_index disputes_indexes[] = {{.name = "by_state", .fields = {"state", "opened_at"}},
	{.name = "by_batch", .fields = {"batch", "opened_at"}}, {.name = NULL}};

const struct store_collection disputes_collection = {.name = "disputes",
	.class = STORE_VIEWS,
	.fields = dispute_fields,
	.row_size = sizeof(struct dispute_row),
	.key = {"id"},
	.indexes = disputes_indexes,
	.shard_key = "id",
	.doc = "Disputes of batches, periods and serials"};

const struct field import_number_fields[] = {
	FIELD(struct import_number, first, FIELD_INT, .flags = FIELD_REQUIRED, .doc = "first number"),
	FIELD(struct import_number, count, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = EVENTS_CLAIM_HOURS_MAX,
		.doc = "how many"),
	FIELD_END};

const struct field import_fields[] = {FIELD(struct import_row, batch, FIELD_INT, .min = 1, .doc = "the batch"),
	FIELD(struct import_row, org_id, FIELD_ID, .doc = "organisation that it came in for"),
	FIELD(struct import_row, origin, FIELD_TEXT, .max = 16, .doc = "the registry that they come from"),
	FIELD(struct import_row, series, FIELD_TEXT, .max = 32, .doc = "what their numbers count within"),
	FIELD(struct import_row, numbers, FIELD_LIST, .table = import_number_fields,
		.item_size = sizeof(struct import_number), .max = REGISTRY_IMPORT_RUNS_MAX,
		.doc = "their numbers there"),
	FIELD(struct import_row, unit_kg, FIELD_INT, .unit = "kg", .doc = "kilograms of each number"),
	FIELD(struct import_row, kg, FIELD_INT, .unit = "kg", .doc = "in all"),
	FIELD(struct import_row, returned_kg, FIELD_INT, .unit = "kg",
		.doc = "of which were converted back: their numbers may come in again"),
	FIELD(struct import_row, evidence_hash, FIELD_HASH, .doc = "SHA-256 of the other registry's proof"),
	FIELD(struct import_row, made_by, FIELD_ID, .doc = "actor"),
	FIELD(struct import_row, made_at, FIELD_TIME, .doc = "when"),
	FIELD(struct import_row, position, FIELD_INT, .doc = "journal position of the last event applied"), FIELD_END};

static const struct store_index imports_indexes[] = {
	{.name = "by_origin", .fields = {"origin", "series", "batch"}}, {.name = NULL}};

const struct store_collection imports_collection = {.name = "imports",
	.class = STORE_VIEWS,
	.fields = import_fields,
	.row_size = sizeof(struct import_row),
	.key = {"batch"},
	.indexes = imports_indexes,
	.shard_key = "batch",
	.doc = "Where imported batches come from"};

const struct field notice_fields[] = {
	FIELD(struct notice_row, position, FIELD_INT, .min = 1, .doc = "journal position of the reversal"),
	FIELD(struct notice_row, org_id, FIELD_ID, .doc = "whom the notice is for"),
	FIELD(struct notice_row, batch, FIELD_INT, .min = 1, .doc = "the batch of which kilograms were reversed"),
	FIELD(struct notice_row, reversed_kg, FIELD_INT, .unit = "kg", .doc = "how many"),
	FIELD(struct notice_row, held_kg, FIELD_INT, .unit = "kg", .doc = "what the organisation held of it then"),
	FIELD(struct notice_row, retired_kg, FIELD_INT, .unit = "kg", .doc = "what it had retired of it"),
	FIELD(struct notice_row, other_kg, FIELD_INT, .unit = "kg", .doc = "what it had of it in other states"),
	FIELD(struct notice_row, made_at, FIELD_TIME, .doc = "when it was reversed"), FIELD_END};

static const struct store_index notices_indexes[] = {{.name = "by_org", .fields = {"org_id", "position"}},
	{.name = "by_batch", .fields = {"batch", "position", "org_id"}}, {.name = NULL}};

const struct store_collection notices_collection = {.name = "notices",
	.class = STORE_VIEWS,
	.fields = notice_fields,
	.row_size = sizeof(struct notice_row),
	.key = {"position", "org_id"},
	.indexes = notices_indexes,
	.shard_key = "org_id",
	.doc = "Who had kilograms of a batch when some were reversed"};

const struct field admission_fields[] = {
	FIELD(struct admission_row, methodology_hash, FIELD_HASH, .doc = "the methodology's document"),
	FIELD(struct admission_row, valid_from, FIELD_TIME, .doc = "periods may be submitted under it from"),
	FIELD(struct admission_row, valid_to, FIELD_TIME, .doc = "and before"),
	FIELD(struct admission_row, made_by, FIELD_ID, .doc = "actor"),
	FIELD(struct admission_row, made_at, FIELD_TIME, .doc = "when it was said last"),
	FIELD(struct admission_row, position, FIELD_INT, .doc = "journal position of the last event applied"),
	FIELD_END};

const struct store_collection admissions_collection = {.name = "admissions",
	.class = STORE_VIEWS,
	.fields = admission_fields,
	.row_size = sizeof(struct admission_row),
	.key = {"methodology_hash"},
	.shard_key = "methodology_hash",
	.doc = "When periods may be submitted under a version of a methodology"};

const struct field project_registration_fields[] = {
	FIELD(struct registration_row, project_id, FIELD_ID, .doc = "the project"),
	FIELD(struct registration_row, org_id, FIELD_ID, .doc = "its organisation"),
	FIELD(struct registration_row, state, FIELD_ENUM, .names = event_project_state_names,
		.doc = "registered, suspended or closed"),
	FIELD(struct registration_row, crediting_from, FIELD_TIME, .doc = "first moment that is credited"),
	FIELD(struct registration_row, crediting_to, FIELD_TIME, .doc = "end of it, exclusive"),
	FIELD(struct registration_row, made_by, FIELD_ID, .doc = "actor"),
	FIELD(struct registration_row, made_at, FIELD_TIME, .doc = "when it was said last"),
	FIELD(struct registration_row, position, FIELD_INT, .doc = "journal position of the last event applied"),
	FIELD_END};

static const struct store_index registrations_indexes[] = {
	{.name = "by_org", .fields = {"org_id", "project_id"}}, {.name = NULL}};

const struct store_collection registrations_collection = {.name = "registrations",
	.class = STORE_VIEWS,
	.fields = project_registration_fields,
	.row_size = sizeof(struct registration_row),
	.key = {"project_id"},
	.indexes = registrations_indexes,
	.shard_key = "project_id",
	.doc = "Registered projects"};

const struct field batch_event_fields[] = {
	FIELD(struct batch_event_row, batch, FIELD_INT, .min = 1, .doc = "the batch"),
	FIELD(struct batch_event_row, position, FIELD_INT, .min = 1, .doc = "journal position of the event"),
	FIELD(struct batch_event_row, low, FIELD_INT, .doc = "lowest serial that it is about"),
	FIELD(struct batch_event_row, high, FIELD_INT, .doc = "one above the highest"), FIELD_END};

const struct store_collection batch_events_collection = {.name = "batch_events",
	.class = STORE_VIEWS,
	.fields = batch_event_fields,
	.row_size = sizeof(struct batch_event_row),
	.key = {"batch", "position"},
	.shard_key = "batch",
	.doc = "Which events a batch has: what trust chains are made from"};
