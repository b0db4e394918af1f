/* Makes the tables of records from events.def and commands.def, and holds the structs to them: no padding, multiples of
 * eight. Any thread; constant data. */
#include "layout.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are memory images of a little-endian machine");
_Static_assert(sizeof(struct event_header) == EVENT_HEADER_SIZE, "the header is 64 bytes");
_Static_assert(sizeof(struct serial_range) == 24 && sizeof(struct claim_run) == 32 &&
		       sizeof(struct linked_transfer) == 72 && sizeof(struct delivery) == 56 &&
		       sizeof(struct retirement_line) == 72,
	"list items have no padding");

/* ---- sizes: each struct is as large as its fields, and a multiple of eight ---- */

#define F_U64(field, since, doc)                      +8
#define F_I64(field, since, doc)                      +8
#define F_TIME(field, since, doc)                     +8
#define F_U32(field, since, doc)                      +4
#define F_ENUM(field, names, since, doc)              +4
#define F_ID(field, since, doc)                       +16
#define F_HASH(field, since, doc)                     +32
#define F_KEY(field, since, doc)                      +32
#define F_SIGNATURE(field, since, doc)                +64
#define F_CODE8(field, since, doc)                    +8
#define F_CODE16(field, since, doc)                   +16
#define F_CODE32(field, since, doc)                   +32
#define RECORD(name, NAME, type, version, lists, doc) enum { EVENT_SIZE_##NAME = 0
#define RECORD_END(name, NAME) \
	}                      \
	;                      \
	_Static_assert(sizeof(struct event_##name) == EVENT_SIZE_##NAME && EVENT_SIZE_##NAME % 8 == 0, #name);
#include "carbond/events.def"

#define F_U64(field, since, doc)                      +8
#define F_I64(field, since, doc)                      +8
#define F_TIME(field, since, doc)                     +8
#define F_U32(field, since, doc)                      +4
#define F_ENUM(field, names, since, doc)              +4
#define F_ID(field, since, doc)                       +16
#define F_HASH(field, since, doc)                     +32
#define F_KEY(field, since, doc)                      +32
#define F_SIGNATURE(field, since, doc)                +64
#define F_CODE8(field, since, doc)                    +8
#define F_CODE16(field, since, doc)                   +16
#define F_CODE32(field, since, doc)                   +32
#define RECORD(name, NAME, type, version, lists, doc) enum { COMMAND_SIZE_##NAME = 0
#define RECORD_END(name, NAME) \
	}                      \
	;                      \
	_Static_assert(sizeof(struct command_##name) == COMMAND_SIZE_##NAME && COMMAND_SIZE_##NAME % 8 == 0, #name);
#include "carbond/commands.def"

/* ---- names ---- */

const char *const event_kg_state_names[] = {"held", "listed", "escrow", "pooled", "reserved", "buffer", "transit",
	"withdrawn", "retired", "cancelled", NULL};
const char *const event_credit_kind_names[] = {"removal", "reduction", NULL};
const char *const event_durability_names[] = {"geological", "mineral", "char", "product", "biomass", "none", NULL};
const char *const event_period_state_names[] = {"submitted", "attested", "issued", "withdrawn", "refused", NULL};
const char *const event_purpose_names[] = {"voluntary", "compliance", "contribution", "gift", NULL};
const char *const event_cancel_reason_names[] = {
	"conversion", "error", "compensation", "voluntary", "dispute", "authority", NULL};
const char *const event_project_state_names[] = {"registered", "suspended", "closed", NULL};
const char *const event_market_state_names[] = {"open", "halted", "closed", "auction", "clearing", NULL};
const char *const event_order_side_names[] = {"buy", "sell", NULL};
const char *const event_order_type_names[] = {"limit", "market", "stop", "stop_limit", "trailing_stop", NULL};
const char *const event_order_tif_names[] = {"gtc", "gtd", "day", "ioc", "fok", NULL};
const char *const event_order_stp_names[] = {"cancel_newest", "cancel_oldest", "cancel_both", "decrement", NULL};
const char *const event_order_state_names[] = {"rests", "takes", "sleeps", NULL};
const char *const event_order_reason_names[] = {"cancelled", "amended", "expired", "not_filled", "self_trade",
	"recalled", "killed", "scattered", "disconnected", NULL};
const char *const event_auction_kind_names[] = {"listing", "dutch", "first_price", "second_price", "uniform", NULL};
const char *const event_auction_phase_names[] = {"takes", "commits", "reveals", "clears", "ends", "over", NULL};
const char *const event_auction_reason_names[] = {"sold", "time", "cancelled", "recalled", NULL};
const char *const event_bid_reason_names[] = {"won", "lost", "forfeited", "withdrawn", "released", NULL};
const char *const event_pool_state_names[] = {"open", "paused", NULL};
const char *const event_escrow_reason_names[] = {"settled", "refunded", "expired", "decided", "voided", NULL};
const char *const event_offtake_state_names[] = {"offered", "in_force", "disputed", NULL};
const char *const event_offtake_reason_names[] = {"fulfilled", "declined", "lapsed", "agreed", "decided", NULL};
const char *const event_delivery_state_names[] = {"open", "delivered", "missed", NULL};
const char *const event_shard_subject_names[] = {"batch", "account", "house", NULL};
const char *const event_route_source_names[] = {"book", "listing", "dutch", "pool", NULL};
const char *const event_command_source_names[] = {"client", "evidence", "transfer", "payment", "chain", "engine", NULL};
const char *const event_command_kind_names[] = {[COMMAND_NONE] = "none",
#define RECORD(name, NAME, type, version, lists, doc) [type] = #name,
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/commands.def"
	[COMMAND_KIND_COUNT] = NULL};

_Static_assert(sizeof event_kg_state_names / sizeof *event_kg_state_names == KG_STATE_COUNT + 1, "kg states");
_Static_assert(sizeof event_credit_kind_names / sizeof(char *) == CREDIT_KIND_COUNT + 1, "credit kinds");
_Static_assert(sizeof event_durability_names / sizeof(char *) == DURABILITY_COUNT + 1, "durability classes");
_Static_assert(sizeof event_period_state_names / sizeof(char *) == PERIOD_STATE_COUNT + 1, "period states");
_Static_assert(sizeof event_purpose_names / sizeof(char *) == PURPOSE_COUNT + 1, "purposes");
_Static_assert(sizeof event_market_state_names / sizeof(char *) == MARKET_STATE_COUNT + 1, "market states");
_Static_assert(sizeof event_order_side_names / sizeof(char *) == ORDER_SIDE_COUNT + 1, "sides");
_Static_assert(sizeof event_order_type_names / sizeof(char *) == ORDER_TYPE_COUNT + 1, "order types");
_Static_assert(sizeof event_order_tif_names / sizeof(char *) == ORDER_TIF_COUNT + 1, "times in force");
_Static_assert(sizeof event_order_stp_names / sizeof(char *) == ORDER_STP_COUNT + 1, "self-trade preventions");
_Static_assert(sizeof event_order_state_names / sizeof(char *) == ORDER_STATE_COUNT + 1, "order states");
_Static_assert(sizeof event_order_reason_names / sizeof(char *) == ORDER_REASON_COUNT + 1, "order reasons");
_Static_assert(sizeof event_auction_kind_names / sizeof(char *) == AUCTION_KIND_COUNT + 1, "auction kinds");
_Static_assert(sizeof event_auction_phase_names / sizeof(char *) == AUCTION_PHASE_COUNT + 1, "auction phases");
_Static_assert(sizeof event_auction_reason_names / sizeof(char *) == AUCTION_REASON_COUNT + 1, "auction reasons");
_Static_assert(sizeof event_bid_reason_names / sizeof(char *) == BID_REASON_COUNT + 1, "bid reasons");
_Static_assert(sizeof event_pool_state_names / sizeof(char *) == POOL_STATE_COUNT + 1, "pool states");
_Static_assert(sizeof event_shard_subject_names / sizeof(char *) == SHARD_SUBJECT_COUNT + 1, "subjects");
_Static_assert(sizeof event_escrow_reason_names / sizeof(char *) == ESCROW_REASON_COUNT + 1, "escrow reasons");
_Static_assert(sizeof event_offtake_state_names / sizeof(char *) == OFFTAKE_STATE_COUNT + 1, "offtake states");
_Static_assert(sizeof event_offtake_reason_names / sizeof(char *) == OFFTAKE_REASON_COUNT + 1, "offtake reasons");
_Static_assert(sizeof event_delivery_state_names / sizeof(char *) == DELIVERY_STATE_COUNT + 1, "delivery states");
_Static_assert(sizeof event_route_source_names / sizeof(char *) == ROUTE_SOURCE_COUNT + 1, "sources of purchases");
_Static_assert(sizeof event_command_source_names / sizeof(char *) == COMMAND_SOURCE_COUNT + 1, "sources");

/* ---- fields ---- */

#define ROW(field, kind_, size_, since_, names_, doc_) \
	{.name = #field, .kind = (kind_), .size = (size_), .since = (since_), .names = (names_), .doc = (doc_)},
#include "layout_rows.def"
#define RECORD(name, NAME, type, version, lists, doc) static const struct layout_field event_fields_##name[] = {
#define RECORD_END(name_, NAME) \
	{                       \
		.name = NULL    \
	}                       \
	}                       \
	;
#include "carbond/events.def"

#include "layout_rows.def"
#define RECORD(name, NAME, type, version, lists, doc) static const struct layout_field command_fields_##name[] = {
#define RECORD_END(name_, NAME) \
	{                       \
		.name = NULL    \
	}                       \
	}                       \
	;
#include "carbond/commands.def"

static const struct layout event_layouts[] = {
#define RECORD(name_, NAME, type_, version_, lists_, doc_) \
	[type_] = {.name = #name_,                         \
		.type = (type_),                           \
		.version = (version_),                     \
		.lists = (lists_),                         \
		.size = sizeof(struct event_##name_),      \
		.fields = event_fields_##name_,            \
		.doc = (doc_)},
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/events.def"
};

static const struct layout command_layouts[] = {
#define RECORD(name_, NAME, type_, version_, lists_, doc_) \
	[type_] = {.name = #name_,                         \
		.type = (type_),                           \
		.version = (version_),                     \
		.lists = (lists_),                         \
		.size = sizeof(struct command_##name_),    \
		.fields = command_fields_##name_,          \
		.doc = (doc_)},
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/commands.def"
};

const struct layout *layout_of_event(uint32_t type)
{
	if (type >= sizeof event_layouts / sizeof *event_layouts || !event_layouts[type].name)
		return NULL;
	return &event_layouts[type];
}

const struct layout *layout_of_command(uint32_t kind)
{
	if (kind >= sizeof command_layouts / sizeof *command_layouts || !command_layouts[kind].name)
		return NULL;
	return &command_layouts[kind];
}

size_t layout_size(const struct layout *layout, uint16_t version)
{
	if (version == layout->version)
		return layout->size;
	size_t size = 0;
	for (const struct layout_field *field = layout->fields; field->name; field++)
		if (field->since <= version)
			size += field->size;
	return size;
}

size_t layout_name_count(const char *const *names)
{
	size_t count = 0;
	while (names[count])
		count++;
	return count;
}
