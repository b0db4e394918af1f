/* The field tables and collections of the views of purchases. Constant. */
#include "parts.h"

const struct field purchase_part_fields[] = {
	FIELD(struct purchase_part_item, source, FIELD_ENUM, .names = event_route_source_names,
		.doc = "book, listing, dutch or pool"),
	FIELD(struct purchase_part_item, number, FIELD_INT, .min = 1,
		.doc = "of the order in the book, the auction or the pool"),
	FIELD(struct purchase_part_item, order, FIELD_TEXT, .max = 36, .doc = "of the book: the order"),
	FIELD(struct purchase_part_item, kg, FIELD_INT, .unit = "kg", .doc = "quantity"),
	FIELD_AS(struct purchase_part_item, price_micros, "price", FIELD_MICROS,
		.doc = "per tonne, as the source has it; of a pool the mean"),
	FIELD_AS(struct purchase_part_item, unit_micros, "unit_price", FIELD_MICROS,
		.doc = "what its last kilogram costs per tonne, fees included"),
	FIELD_AS(struct purchase_part_item, micros, "paid", FIELD_MICROS, .doc = "what was paid, fees included"),
	FIELD_AS(struct purchase_part_item, fee_micros, "fee", FIELD_MICROS, .doc = "of which to the house"),
	FIELD_END};

const struct field purchase_fields[] = {FIELD(struct purchase_row, id, FIELD_ID, .doc = "the purchase"),
	FIELD(struct purchase_row, org_id, FIELD_ID, .doc = "who bought"),
	FIELD(struct purchase_row, market, FIELD_INT, .min = 1, .doc = "the market"),
	FIELD(struct purchase_row, instrument, FIELD_INT, .min = 1, .doc = "what was asked for"),
	FIELD(struct purchase_row, asked_kg, FIELD_INT, .unit = "kg",
		.doc = "how much was asked for; left out: as much as the maximum buys"),
	FIELD_AS(struct purchase_row, maximum_micros, "maximum", FIELD_MICROS, .doc = "what it might cost at most"),
	FIELD_AS(struct purchase_row, limit_micros, "limit", FIELD_MICROS,
		.doc = "what a tonne might cost at most, fees included"),
	FIELD(struct purchase_row, kg, FIELD_INT, .unit = "kg", .doc = "quantity"),
	FIELD_AS(struct purchase_row, micros, "paid", FIELD_MICROS, .doc = "what was paid, fees included"),
	FIELD_AS(struct purchase_row, fee_micros, "fees", FIELD_MICROS, .doc = "of which to the house"),
	FIELD_AS(struct purchase_row, marginal_micros, "marginal_price", FIELD_MICROS,
		.doc = "what is cheaper was taken, what is dearer was not: per tonne, fees included"),
	FIELD(struct purchase_row, parts, FIELD_LIST, .table = purchase_part_fields,
		.item_size = sizeof(struct purchase_part_item), .max = 64, .doc = "where it was bought"),
	FIELD(struct purchase_row, certificates, FIELD_TEXTS, .max = EVENTS_LINES_MAX,
		.doc = "ids of the retirements that it was bought for, by line"),
	FIELD(struct purchase_row, made_by, FIELD_ID, .doc = "actor"),
	FIELD(struct purchase_row, made_at, FIELD_TIME, .doc = "when"),
	FIELD(struct purchase_row, position, FIELD_INT, .doc = "journal position of the last event applied"),
	FIELD_END};

static const struct store_index purchases_indexes[] = {
	{.name = "by_org", .fields = {"org_id", "made_at"}}, {.name = NULL}};

const struct store_collection purchases_collection = {.name = "purchases",
	.class = STORE_VIEWS,
	.fields = purchase_fields,
	.row_size = sizeof(struct purchase_row),
	.key = {"id"},
	.indexes = purchases_indexes,
	.shard_key = "id",
	.doc = "Purchases over book, listings, auctions and pools"};
