/* The rows that audit keeps. Trees, tiles and records are views: made again from the logs. */
#include "carbond/base/limits.h"
#include "audit_private.h"

static const struct field record_fields[] = {
	FIELD(struct audit_record_row, ordinal, FIELD_INT, .min = 1, .max = LIMIT_JSON_INTEGER,
		.doc = "order of folding"),
	FIELD(struct audit_record_row, stream, FIELD_TEXT, .doc = "the audit log"),
	FIELD(struct audit_record_row, position, FIELD_INT, .min = 1, .max = LIMIT_JSON_INTEGER, .doc = "place in it"),
	FIELD(struct audit_record_row, time_us, FIELD_TIME, .doc = "when it happened"),
	FIELD(struct audit_record_row, org_id, FIELD_ID, .doc = "whose resource"),
	FIELD(struct audit_record_row, subject_kind, FIELD_TEXT, .doc = "kind of resource"),
	FIELD(struct audit_record_row, subject, FIELD_ID, .doc = "the resource"),
	FIELD(struct audit_record_row, record, FIELD_TEXT, .doc = "the record, canonical JSON"),
	FIELD_END,
};

static const struct store_index record_indexes[] = {
	{.name = "by_org", .fields = {"org_id", "ordinal"}},
	{.name = "by_subject", .fields = {"subject", "ordinal"}},
	{.name = NULL},
};

const struct store_collection audit_records_collection = {
	.name = "audit_records",
	.class = STORE_VIEWS,
	.fields = record_fields,
	.row_size = sizeof(struct audit_record_row),
	.key = {"ordinal"},
	.indexes = record_indexes,
	.shard_key = "org_id",
	.doc = "records of the audit logs, to look up",
};

static const struct field tree_fields[] = {
	FIELD(struct audit_tree_row, stream, FIELD_TEXT, .doc = "the log"),
	FIELD(struct audit_tree_row, seq, FIELD_INT, .min = 0, .max = LIMIT_JSON_INTEGER, .doc = "last batch folded"),
	FIELD(struct audit_tree_row, size, FIELD_INT, .min = 0, .max = LIMIT_JSON_INTEGER, .doc = "leaves"),
	FIELD(struct audit_tree_row, head, FIELD_HASH, .doc = "that batch's hash"),
	FIELD(struct audit_tree_row, peaks, FIELD_BYTES, .doc = "right edge of the tree"),
	FIELD_END,
};

const struct store_collection audit_trees_collection = {
	.name = "audit_trees",
	.class = STORE_VIEWS,
	.fields = tree_fields,
	.row_size = sizeof(struct audit_tree_row),
	.key = {"stream"},
	.shard_key = "stream",
	.doc = "how far each log has been folded into its tree",
};

static const struct field tile_fields[] = {
	FIELD(struct audit_tile_row, stream, FIELD_TEXT, .doc = "the log"),
	FIELD(struct audit_tile_row, level, FIELD_INT, .min = 0, .max = AUDIT_LEVELS,
		.doc = "hashes are of 256^level leaves"),
	FIELD(struct audit_tile_row, number, FIELD_INT, .min = 0, .max = LIMIT_JSON_INTEGER,
		.doc = "place in the level"),
	FIELD(struct audit_tile_row, count, FIELD_INT, .min = 1, .max = AUDIT_TILE, .doc = "hashes in it"),
	FIELD(struct audit_tile_row, hashes, FIELD_BYTES, .doc = "the hashes"),
	FIELD_END,
};

const struct store_collection audit_tiles_collection = {
	.name = "audit_tiles",
	.class = STORE_VIEWS,
	.fields = tile_fields,
	.row_size = sizeof(struct audit_tile_row),
	.key = {"stream", "level", "number"},
	.shard_key = "stream",
	.doc = "hashes inside the logs' trees, for proofs",
};

static const struct field checkpoint_fields[] = {
	FIELD(struct audit_checkpoint_row, time_us, FIELD_TIME, .doc = "when it was signed"),
	FIELD(struct audit_checkpoint_row, node, FIELD_TEXT, .doc = "by which node"),
	FIELD(struct audit_checkpoint_row, text, FIELD_TEXT, .doc = "the document, canonical JSON"),
	FIELD_END,
};

const struct store_collection audit_checkpoints_collection = {
	.name = "audit_checkpoints",
	.class = STORE_VALUE,
	.fields = checkpoint_fields,
	.row_size = sizeof(struct audit_checkpoint_row),
	.key = {"time_us", "node"},
	.shard_key = "node",
	.doc = "signed checkpoints of all trees",
};

static const struct field salt_fields[] = {
	FIELD(struct audit_salt_row, node, FIELD_TEXT, .doc = "whose audit log"),
	FIELD(struct audit_salt_row, position, FIELD_INT, .min = 1, .max = LIMIT_JSON_INTEGER, .doc = "the record"),
	FIELD(struct audit_salt_row, org_id, FIELD_ID, .doc = "whose resource"),
	FIELD(struct audit_salt_row, subject, FIELD_ID, .doc = "the resource"),
	FIELD(struct audit_salt_row, salt, FIELD_BYTES, .flags = FIELD_SECRET,
		.doc = "destroyed, the hashes say nothing"),
	FIELD_END,
};

static const struct store_index salt_indexes[] = {
	{.name = "by_subject", .fields = {"org_id", "subject"}},
	{.name = NULL},
};

const struct store_collection audit_salts_collection = {
	.name = "audit_salts",
	.class = STORE_VALUE,
	.fields = salt_fields,
	.row_size = sizeof(struct audit_salt_row),
	.key = {"node", "position"},
	.indexes = salt_indexes,
	.shard_key = "node",
	.doc = "salts of the hashes that stand for personal data in audit records",
};

const struct store_collection *const audit_collections[] = {&audit_records_collection, &audit_trees_collection,
	&audit_tiles_collection, &audit_checkpoints_collection, &audit_salts_collection, NULL};
