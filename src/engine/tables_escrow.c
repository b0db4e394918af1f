/* The field tables and collections of the views of escrow and forward offtake. Constant. */
#include "parts.h"

#define POSITION(type) FIELD(struct type, position, FIELD_INT, .doc = "journal position of the last event applied")

const char *const escrow_status_names[] = {
	"open", "disputed", "settled", "refunded", "expired", "decided", "voided", NULL};
const char *const offtake_status_names[] = {
	"offered", "in_force", "disputed", "fulfilled", "declined", "lapsed", "agreed", "decided", NULL};
_Static_assert(
	sizeof escrow_status_names / sizeof(char *) == ESCROW_STATUS_ENDED + ESCROW_REASON_COUNT + 1, "statuses");
_Static_assert(
	sizeof offtake_status_names / sizeof(char *) == OFFTAKE_STATE_COUNT + OFFTAKE_REASON_COUNT + 1, "statuses");

const struct field escrow_fields[] = {FIELD(struct escrow_row, id, FIELD_ID, .doc = "the escrow"),
	FIELD(struct escrow_row, payer_org_id, FIELD_ID, .doc = "gives money, takes kilograms"),
	FIELD(struct escrow_row, payee_org_id, FIELD_ID, .doc = "gives kilograms, takes money"),
	FIELD(struct escrow_row, arbiter_org_id, FIELD_ID, .doc = "decides a dispute; left out: compliance"),
	FIELD(struct escrow_row, verifier_id, FIELD_ID, .doc = "whose signature is a condition"),
	FIELD(struct escrow_row, statement, FIELD_HASH, .doc = "hash of the statement that is signed"),
	FIELD(struct escrow_row, contract_id, FIELD_ID, .doc = "offtake contract that it is a prepayment of"),
	FIELD(struct escrow_row, currency, FIELD_TEXT, .max = 7, .doc = "currency"),
	FIELD_AS(struct escrow_row, amount_micros, "amount", FIELD_MICROS, .doc = "money that it asks for"),
	FIELD_AS(struct escrow_row, funded_micros, "funded", FIELD_MICROS, .doc = "money that was put in"),
	FIELD_AS(struct escrow_row, paid_micros, "paid", FIELD_MICROS, .doc = "of which went to the payee"),
	FIELD_AS(struct escrow_row, refunded_micros, "refunded", FIELD_MICROS, .doc = "of which went back"),
	FIELD(struct escrow_row, kg, FIELD_INT, .unit = "kg", .doc = "kilograms that it asks for"),
	FIELD(struct escrow_row, delivered_kg, FIELD_INT, .unit = "kg", .doc = "kilograms that were put in"),
	FIELD(struct escrow_row, released_kg, FIELD_INT, .unit = "kg", .doc = "of which went to the payer"),
	FIELD(struct escrow_row, returned_kg, FIELD_INT, .unit = "kg", .doc = "of which went back"),
	FIELD(struct escrow_row, batch, FIELD_INT, .min = 1, .doc = "of this batch"),
	FIELD(struct escrow_row, instrument, FIELD_INT, .min = 1, .doc = "of what this instrument asks for"),
	FIELD(struct escrow_row, ranges, FIELD_LIST, .table = range_item_fields,
		.item_size = sizeof(struct serial_range_item), .max = EVENTS_RANGES_MAX,
		.doc = "serials that were put in; once it has ended those that went to the payer come first"),
	FIELD(struct escrow_row, not_before, FIELD_TIME, .doc = "it is not settled before"),
	FIELD(struct escrow_row, expires_at, FIELD_TIME, .doc = "when both legs go back"),
	FIELD(struct escrow_row, dated, FIELD_BOOL, .doc = "its date has come, or it has none"),
	FIELD(struct escrow_row, attested, FIELD_BOOL, .doc = "the verifier has signed"),
	FIELD(struct escrow_row, status, FIELD_ENUM, .names = escrow_status_names,
		.doc = "open, disputed, or how it ended: settled, refunded, expired, decided, voided"),
	FIELD(struct escrow_row, opened_by, FIELD_ID, .doc = "actor"),
	FIELD(struct escrow_row, opened_at, FIELD_TIME, .doc = "when"),
	FIELD(struct escrow_row, ended_at, FIELD_TIME, .doc = "when it ended"), POSITION(escrow_row), FIELD_END};

static const struct store_index escrows_indexes[] = {{.name = "by_payer", .fields = {"payer_org_id", "opened_at"}},
	{.name = "by_payee", .fields = {"payee_org_id", "opened_at"}},
	{.name = "by_arbiter", .fields = {"arbiter_org_id", "opened_at"}}, {.name = NULL}};

const struct store_collection escrows_collection = {.name = "escrows",
	.class = STORE_VIEWS,
	.fields = escrow_fields,
	.row_size = sizeof(struct escrow_row),
	.key = {"id"},
	.indexes = escrows_indexes,
	.shard_key = "id",
	.doc = "Escrows, those that have ended too"};

const struct field offtake_delivery_fields[] = {
	FIELD_AS(struct offtake_delivery, from_at, "from", FIELD_TIME, .doc = "delivered from; left out: at any time"),
	FIELD_AS(struct offtake_delivery, due_at, "due", FIELD_TIME, .doc = "delivered by"),
	FIELD(struct offtake_delivery, kg, FIELD_INT, .unit = "kg", .doc = "how many"),
	FIELD_AS(struct offtake_delivery, price_micros, "price", FIELD_MICROS, .doc = "per tonne"),
	FIELD(struct offtake_delivery, delivered_kg, FIELD_INT, .unit = "kg", .doc = "of which delivered"),
	FIELD(struct offtake_delivery, tendered_kg, FIELD_INT, .unit = "kg",
		.doc = "most that was tendered at once and the buyer could not pay"),
	FIELD(struct offtake_delivery, state, FIELD_ENUM, .names = event_delivery_state_names,
		.doc = "open, delivered or missed"),
	FIELD_END};

const struct field offtake_fields[] = {FIELD(struct offtake_row, id, FIELD_ID, .doc = "the contract"),
	FIELD(struct offtake_row, seller_org_id, FIELD_ID, .doc = "who delivers"),
	FIELD(struct offtake_row, buyer_org_id, FIELD_ID, .doc = "who pays"),
	FIELD(struct offtake_row, offered_by, FIELD_ID, .doc = "which of them offered it"),
	FIELD(struct offtake_row, arbiter_org_id, FIELD_ID, .doc = "decides a dispute; left out: compliance"),
	FIELD(struct offtake_row, project_id, FIELD_ID, .doc = "of this project"),
	FIELD(struct offtake_row, unit_id, FIELD_ID, .doc = "of this unit"),
	FIELD(struct offtake_row, currency, FIELD_TEXT, .max = 7, .doc = "currency"),
	FIELD(struct offtake_row, instrument, FIELD_INT, .min = 1, .doc = "of what this instrument asks for"),
	FIELD(struct offtake_row, make_good_days, FIELD_INT, .unit = "days",
		.doc = "how long after its due date a delivery may be made"),
	FIELD(struct offtake_row, penalty_ppm, FIELD_INT, .unit = "ppm", .doc = "of the price of what is missing then"),
	FIELD(struct offtake_row, deliveries, FIELD_LIST, .table = offtake_delivery_fields,
		.item_size = sizeof(struct offtake_delivery), .max = EVENTS_DELIVERIES_MAX, .doc = "the schedule"),
	FIELD_AS(struct offtake_row, credit_micros, "credit", FIELD_MICROS, .doc = "prepaid and not delivered"),
	FIELD_AS(struct offtake_row, owed_micros, "owed", FIELD_MICROS,
		.doc = "refunds and penalties for which the seller had no money"),
	FIELD(struct offtake_row, expires_at, FIELD_TIME, .doc = "when the offer ends"),
	FIELD(struct offtake_row, end_by, FIELD_ID, .doc = "side that proposes its end"),
	FIELD_AS(struct offtake_row, end_refund_micros, "end_refund", FIELD_MICROS,
		.doc = "and the credit that the seller is to give back"),
	FIELD(struct offtake_row, status, FIELD_ENUM, .names = offtake_status_names,
		.doc = "offered, in_force, disputed, or how it ended: fulfilled, declined, lapsed, agreed, decided"),
	FIELD(struct offtake_row, offered_at, FIELD_TIME, .doc = "when it was offered"),
	FIELD(struct offtake_row, accepted_at, FIELD_TIME, .doc = "accepted"),
	FIELD(struct offtake_row, ended_at, FIELD_TIME, .doc = "and ended"), POSITION(offtake_row), FIELD_END};

static const struct store_index offtakes_indexes[] = {{.name = "by_seller", .fields = {"seller_org_id", "offered_at"}},
	{.name = "by_buyer", .fields = {"buyer_org_id", "offered_at"}}, {.name = NULL}};

const struct store_collection offtakes_collection = {.name = "offtakes",
	.class = STORE_VIEWS,
	.fields = offtake_fields,
	.row_size = sizeof(struct offtake_row),
	.key = {"id"},
	.indexes = offtakes_indexes,
	.shard_key = "id",
	.doc = "Forward offtake contracts, those that have ended too"};
