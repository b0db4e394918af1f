/* events: layouts and codec of the engine's commands and journal records (decision 7). PURE: no time, no I/O, no
 * randomness. A record is a 64-byte header, a fixed body of its type and bounded extension lists, all little-endian and a
 * multiple of 8 bytes. The rows of events.def and commands.def make the structs, the codec, the JSON and the reference.
 * Any bytes are safe to decode; versions are read for ever. Any thread. */
#ifndef CARBOND_EVENTS_H
#define CARBOND_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/hash.h"
#include "carbond/base/id.h"
#include "carbond/base/json.h"
#include "carbond/base/sign.h"

/* ---- enumerations: numbers are stable for ever; names as in JSON ---- */

/* Where a kilogram is; every one is in exactly one state (use lock). */
enum kg_state {
	KG_HELD,
	KG_LISTED,
	KG_ESCROW,
	KG_POOLED,
	KG_RESERVED,
	KG_BUFFER,
	KG_TRANSIT,
	KG_WITHDRAWN,
	KG_RETIRED,
	KG_CANCELLED,
	KG_STATE_COUNT
};

enum credit_kind { CREDIT_REMOVAL, CREDIT_REDUCTION, CREDIT_KIND_COUNT };

/* Durability classes; the buffer is held for each apart. */
enum durability {
	DURABILITY_GEOLOGICAL, /* injected for ≥ 1,000 years */
	DURABILITY_MINERAL,    /* mineralised */
	DURABILITY_CHAR,       /* biochar and the like, centuries */
	DURABILITY_PRODUCT,    /* long-lived products, decades */
	DURABILITY_BIOMASS,    /* living biomass and soil */
	DURABILITY_NONE,       /* a reduction: nothing is stored */
	DURABILITY_COUNT
};

enum period_state {
	PERIOD_SUBMITTED,
	PERIOD_ATTESTED, /* by its quorum */
	PERIOD_ISSUED,
	PERIOD_WITHDRAWN,
	PERIOD_REFUSED,
	PERIOD_STATE_COUNT
};

/* Why a period is held; a set of bits. */
enum period_hold {
	PERIOD_HOLD_MASS_BALANCE = 1, /* captured, compressed, injected do not agree (mass-balance lock) */
	PERIOD_HOLD_NAMEPLATE = 2,    /* more than the nameplate can capture */
	PERIOD_HOLD_DIFFERENCE = 4,   /* later data or calibration lowers it */
	PERIOD_HOLD_REVIEW = 8,       /* a person asked for a review */
	PERIOD_HOLD_CALIBRATION = 16, /* a calibration was not valid */
	PERIOD_HOLD_ALL = 31
};

enum purpose {
	PURPOSE_VOLUNTARY,    /* a voluntary claim */
	PURPOSE_COMPLIANCE,   /* an obligation */
	PURPOSE_CONTRIBUTION, /* no claim */
	PURPOSE_GIFT,         /* on behalf of another */
	PURPOSE_COUNT
};

/* Why kilograms are cancelled. */
enum cancel_reason {
	CANCEL_CONVERSION,   /* another registry takes them */
	CANCEL_ERROR,        /* they should not have been issued */
	CANCEL_COMPENSATION, /* they make good for a reversal elsewhere */
	CANCEL_VOLUNTARY,    /* given up without a claim */
	CANCEL_DISPUTE,      /* a dispute was upheld */
	CANCEL_AUTHORITY,    /* ordered by a court or authority */
	CANCEL_REASON_COUNT
};

/* A project's registration. */
enum project_state { PROJECT_REGISTERED, PROJECT_SUSPENDED, PROJECT_CLOSED, PROJECT_STATE_COUNT };

enum market_state {
	MARKET_OPEN,
	MARKET_HALTED,   /* cancellations alone */
	MARKET_CLOSED,   /* the same, out of its trading hours */
	MARKET_AUCTION,  /* orders are collected; none trades */
	MARKET_CLEARING, /* they trade at the auction's price; nothing else comes between */
	MARKET_STATE_COUNT
};
enum order_side { ORDER_BUY, ORDER_SELL, ORDER_SIDE_COUNT };
enum order_type {
	ORDER_LIMIT,
	ORDER_MARKET, /* ioc at its collar */
	ORDER_STOP,   /* sleeps, then market */
	ORDER_STOP_LIMIT,
	ORDER_TRAILING_STOP,
	ORDER_TYPE_COUNT
};
enum order_tif { ORDER_GTC, ORDER_GTD, ORDER_DAY, ORDER_IOC, ORDER_FOK, ORDER_TIF_COUNT };
/* Self-trade prevention: which of two orders of one organisation gives way. */
enum order_stp { STP_NEWEST, STP_OLDEST, STP_BOTH, STP_DECREMENT, ORDER_STP_COUNT };
enum order_state {
	ORDER_RESTS,
	ORDER_TAKES,  /* it trades next */
	ORDER_SLEEPS, /* until its stop is reached */
	ORDER_STATE_COUNT
};
/* Why an order lost quantity without a trade. */
enum order_reason {
	ORDER_CANCELLED, /* by its owner */
	ORDER_AMENDED,   /* its quantity was lowered */
	ORDER_EXPIRED,
	ORDER_NOT_FILLED, /* ioc, fok, market: nothing more to take */
	ORDER_SELF_TRADE,
	ORDER_RECALLED,     /* its batch or account is held */
	ORDER_KILLED,       /* by a mass cancellation, or its organisation is stopped */
	ORDER_SCATTERED,    /* a lot of it lies in more than 256 ranges */
	ORDER_DISCONNECTED, /* its organisation's dead-man switch */
	ORDER_REASON_COUNT
};

enum auction_kind {
	AUCTION_LISTING,      /* at a fixed price */
	AUCTION_DUTCH,        /* at a falling one */
	AUCTION_FIRST_PRICE,  /* sealed: each winner pays its bid */
	AUCTION_SECOND_PRICE, /* sealed, one lot: the winner pays the next bid */
	AUCTION_UNIFORM,      /* sealed: all winners pay the lowest accepted bid */
	AUCTION_KIND_COUNT
};
enum auction_phase {
	AUCTION_TAKES,   /* a listing or a dutch auction */
	AUCTION_COMMITS, /* sealed bids come */
	AUCTION_REVEALS, /* and are revealed */
	AUCTION_CLEARS,  /* and settled */
	AUCTION_ENDS,    /* bids are released, kilograms go back */
	AUCTION_OVER,
	AUCTION_PHASE_COUNT
};
/* Why an auction is over. */
enum auction_reason { AUCTION_SOLD, AUCTION_TIME, AUCTION_CANCELLED, AUCTION_RECALLED, AUCTION_REASON_COUNT };
/* How a sealed bid is done. */
enum bid_reason {
	BID_WON,
	BID_LOST,
	BID_FORFEITED, /* it was not revealed */
	BID_WITHDRAWN,
	BID_RELEASED, /* the auction was cancelled, or its organisation may not pay */
	BID_REASON_COUNT
};
enum pool_state { POOL_OPEN, POOL_PAUSED, POOL_STATE_COUNT };

/* Why an escrow ended. */
enum escrow_reason {
	ESCROW_SETTLED,  /* all its conditions held */
	ESCROW_REFUNDED, /* by the payee */
	ESCROW_EXPIRED,
	ESCROW_DECIDED, /* of a dispute */
	ESCROW_VOIDED,  /* a prepayment of a contract that has ended */
	ESCROW_REASON_COUNT
};

enum offtake_state { OFFTAKE_OFFERED, OFFTAKE_IN_FORCE, OFFTAKE_DISPUTED, OFFTAKE_STATE_COUNT };
/* Why an offtake contract ended. */
enum offtake_reason {
	OFFTAKE_FULFILLED, /* every row was delivered, or missed */
	OFFTAKE_DECLINED,  /* before it was accepted, by either side */
	OFFTAKE_LAPSED,    /* nobody accepted it in time */
	OFFTAKE_AGREED,    /* by both sides */
	OFFTAKE_DECIDED,   /* of a dispute */
	OFFTAKE_REASON_COUNT
};
enum delivery_state {
	DELIVERY_OPEN,
	DELIVERY_DONE,
	DELIVERY_MISSED, /* its make-good is over */
	DELIVERY_STATE_COUNT
};

/* What a fact that is carried to a market shard is about. */
enum shard_subject {
	SHARD_SUBJECT_BATCH,
	SHARD_SUBJECT_ACCOUNT, /* of an organisation */
	SHARD_SUBJECT_HOUSE,   /* the organisation that is the house, and its account */
	SHARD_SUBJECT_COUNT
};

/* Of what a part of a purchase was bought; among equally dear ones the first goes first. */
enum route_source { ROUTE_BOOK, ROUTE_LISTING, ROUTE_DUTCH, ROUTE_POOL, ROUTE_SOURCE_COUNT };

/* Where a command comes from (decision 11). */
enum command_source {
	COMMAND_SOURCE_CLIENT,   /* a person or program: command id, repeated within 24 h */
	COMMAND_SOURCE_EVIDENCE, /* natural key: period or review id, kept for ever */
	COMMAND_SOURCE_TRANSFER, /* natural key: transfer id between shards */
	COMMAND_SOURCE_PAYMENT,  /* natural key: payment provider's event */
	COMMAND_SOURCE_CHAIN,    /* ordered: position in the chain's log */
	COMMAND_SOURCE_ENGINE,   /* the engine's own (tick) */
	COMMAND_SOURCE_COUNT
};

struct code8 {
	char text[8]; /* NUL-padded, not always closed by one */
};
struct code16 {
	char text[16];
};
struct code32 {
	char text[32];
};

/* Copies a NUL-terminated text that fits; false where it does not. */
bool code8_set(struct code8 *ret_code, const char *text);
bool code16_set(struct code16 *ret_code, const char *text);
bool code32_set(struct code32 *ret_code, const char *text);
/* The text, NUL-terminated, into ret_text. */
char *code8_text(struct code8 code, char ret_text[9]);
char *code16_text(struct code16 code, char ret_text[17]);
char *code32_text(struct code32 code, char ret_text[33]);

/* ---- items of extension lists ---- */

/* Serials of a batch: kilogram `start` and the `length` − 1 that follow. */
struct serial_range {
	uint64_t batch;
	int64_t start;
	int64_t length;
};

/* Claimed hours of a metering point: hours since 1970-01-01T00Z. */
struct claim_run {
	struct id point;
	uint32_t first_hour;
	uint32_t hours;
	uint32_t slot;
	uint32_t previous; /* numbers of another registry: the batch that gave them back before, or 0; claims: 0 */
};

/* A row of an offtake contract's schedule. */
struct delivery {
	int64_t from_us, due_us; /* its window: delivered from, and at the latest by; 0: from the beginning */
	int64_t kg;
	int64_t price_micros; /* per tonne, a multiple of 1,000 */
	int64_t delivered_kg;
	int64_t tendered_kg; /* most that was tendered at once and the buyer could not pay */
	uint32_t state;      /* enum delivery_state */
	uint32_t reserved;
};

/* One transfer of a linked set; its id is ledger_linked_id of the set's. */
struct linked_transfer {
	struct id to;
	uint64_t batch;        /* kilograms: the lowest serials of this batch; 0: money, or ranges */
	struct code8 currency; /* empty: kilograms */
	int64_t amount;        /* micros or kilograms; 0 with ranges */
	int64_t expires_us;
	uint64_t user_data;
	uint32_t code;
	uint32_t pending;
	uint32_t balancing; /* money only */
	uint32_t ranges;    /* how many of the command's ranges are its own; they lie in the order of the transfers */
};

/* A retirement of what a purchase bought, as `retire` has it. */
struct retirement_line {
	int64_t kg; /* 0, of a single one: all that was bought */
	struct hash beneficiary_hash;
	struct code8 country;
	int64_t covered_from_us, covered_to_us;
	uint32_t purpose; /* enum purpose */
	uint32_t consent;
};

#define LIST_RANGES     1u
#define LIST_RUNS       2u
#define LIST_LINKED     4u /* of commands alone */
#define LIST_DELIVERIES 8u
#define LIST_VERIFIERS  16u
#define LIST_LINES      32u /* of commands alone */

#define EVENTS_RANGES_MAX        256  /* serial ranges that one command touches (decision 8) */
#define EVENTS_LINKED_MAX        256  /* transfers of a linked set */
#define EVENTS_RUNS_MAX          8784 /* runs of one command: at least an hour each */
#define EVENTS_LINES_MAX         100  /* retirements of one purchase: as many texts go into the vault */
#define EVENTS_DELIVERIES_MAX    120  /* rows of one offtake contract: monthly for ten years */
#define EVENTS_VERIFIERS_MAX     16   /* organisations whose verifiers attest one period */
#define EVENTS_CLAIM_HOURS_MAX   8784 /* guard keys of one command: a leap year of one point */
#define EVENTS_PER_COMMAND_MAX   4096
#define EVENTS_BYTES_PER_COMMAND (1u << 20)

struct record_lists {
	const struct serial_range *ranges;
	size_t range_count;
	const struct claim_run *runs;
	size_t run_count;
	const struct linked_transfer *linked;
	size_t linked_count;
	const struct delivery *deliveries;
	size_t delivery_count;
	const struct id *verifiers; /* organisations of verifiers, in order of their ids, none twice */
	size_t verifier_count;
	struct retirement_line *lines; /* their hashes change where a repeat is compared */
	size_t line_count;
};

/* The same by value. */
struct verifier_set {
	uint32_t count;
	struct id orgs[EVENTS_VERIFIERS_MAX];
};
/* Whether there are at most EVENTS_VERIFIERS_MAX of them, in order and none twice. */
bool verifiers_are_sorted(const struct id *orgs, size_t count);
/* Puts an organisation where it belongs, if it is not there; false: there is no room. */
bool verifier_set_add(struct verifier_set *set, struct id org);

/* ---- records ---- */

#define RECORD_STRUCT event
#include "carbond/record_structs.def"
#include "carbond/events.def"
#undef RECORD_STRUCT

enum event_type {
#define RECORD(name, NAME, type, version, lists, doc) EVENT_##NAME = (type),
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/events.def"
};

#define EVENT_HEADER_SIZE 64

/* The header of every record; on disk in this order, little-endian. */
struct event_header {
	uint32_t length;  /* of the whole record, a multiple of 8 */
	uint16_t type;    /* enum event_type */
	uint16_t version; /* of the body's layout */
	uint64_t number;  /* event number: 1, 2, 3 … through the journal; 0 in snapshots */
	int64_t time_us;  /* the journal's time: never falls */
	uint64_t actor;   /* number of the actor (actor_named); 0: the engine itself */
	struct id command;
	struct id org; /* organisation on whose behalf */
};

/* A decoded record: the body in its newest layout (fields that an old version lacks are zero); lists borrow from the
 * decoder's scratch or from whoever made the event. */
struct event {
	struct event_header header;
	union {
#define RECORD(name, NAME, type, version, lists, doc) struct event_##name name;
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/events.def"
	};
	struct record_lists lists;
};

/* Room for the lists of one record while it is decoded. */
struct event_scratch {
	struct serial_range ranges[EVENTS_RANGES_MAX];
	struct claim_run runs[EVENTS_RUNS_MAX];
	struct delivery deliveries[EVENTS_DELIVERIES_MAX];
	struct id verifiers[EVENTS_VERIFIERS_MAX];
};

/* Encodes at the end of a buffer of `capacity` bytes of which *size are used; sets event->header.length and version.
 * ERR_TOO_LARGE when it does not fit. Lists beyond their limits are a programming error. */
enum err event_encode(struct event *event, uint8_t *buffer, size_t capacity, size_t *size) MUST_CHECK;

/* Decodes the record at the start of `size` bytes; `*ret_length` is how many it takes. ERR_RECORD_INVALID with the reason
 * for anything that is not a record that this version knows. `scratch` may be NULL: then lists are counted and checked,
 * and ranges and runs are NULL. */
enum err event_decode(const uint8_t *data, size_t size, struct event_scratch *scratch, struct event *ret_event,
	size_t *ret_length, struct err_info *info) MUST_CHECK;

/* The record as a JSON object: {"event":"transferred","number":…,"time":…, …}; a new reference, NULL without memory. */
json_t *event_json(const struct event *event);

/* The type's name ("transferred"), or NULL. */
const char *event_type_name(uint16_t type);

/* What the rows say, for the generated reference: layouts of all events and commands as an array of objects (new
 * reference). */
json_t *events_reference(void);

/* ---- commands ---- */

#define RECORD_STRUCT command
#include "carbond/record_structs.def"
#include "carbond/commands.def"
#undef RECORD_STRUCT

enum command_kind {
	COMMAND_NONE,
#define RECORD(name, NAME, type, version, lists, doc) COMMAND_##NAME = (type),
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/commands.def"
};

/* Above all kinds. */
enum {
	COMMAND_KIND_COUNT = sizeof(union {
#define RECORD(name, NAME, type, version, lists, doc) char name[(type) + 1];
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/commands.def"
	})
};

struct command {
	enum command_kind kind;
	enum command_source source;
	struct id id;    /* command id: UUIDv7 made at the edge (decision 4) */
	struct id actor; /* who: key, user or device */
	struct id org;   /* on whose behalf */
	/* Hash of the request; zero: command_hash is used. The same id with another hash is refused. */
	struct hash request_hash;
	struct hash natural_key;  /* sources with keys: hash of what makes the command unique for ever */
	uint64_t source_position; /* ordered sources */
	union {
#define RECORD(name, NAME, type, version, lists, doc) struct command_##name name;
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/commands.def"
	};
	struct record_lists lists; /* borrowed during the call that takes the command */
};

/* A command that is being decided by the room that knows it. */
struct decision {
	const struct command *command;
	uint64_t actor; /* the actor's number */
	int64_t now_us;
	/* Applies the event and keeps it; an error ends the command, whose changes are then undone. */
	enum err (*emit)(void *context, struct event *event, struct err_info *info);
	void *context;
	uint64_t number; /* set: the number of what was made (batch, retirement, order …) */
};

/* A record that cannot follow the ones before it: a fault of the journal, not of a client. Returns ERR_JOURNAL_INVALID. */
enum err journal_invalid(struct err_info *info, const char *reason);

/* Whom a state is told to, record by record, for a snapshot. */
struct telling {
	enum err (*emit)(void *context, struct event *event, struct err_info *info);
	void *context;
	struct err_info *info;
};
enum err event_tell(const struct telling *telling, uint16_t type, struct event *event) MUST_CHECK;

/* Applies and keeps an event of the command. */
enum err decision_emit(struct decision *decision, uint16_t type, struct event *event, struct err_info *info) MUST_CHECK;

/* SHA-256 ("carbond/command/1") over kind, organisation, body and lists. */
struct hash command_hash(const struct command *command);
/* The kind's name ("period_submit"), or NULL; and the size of its body. */
const char *command_kind_name(uint32_t kind);
size_t command_body_size(enum command_kind kind);
/* The natural key of a record of `source`: SHA-256 ("carbond/natural/1") over source, kind and the bytes. */
struct hash command_natural_key(enum command_source source, enum command_kind kind, const void *data, size_t size);

/* Names of the enumerations, NULL-terminated. */
extern const char *const event_kg_state_names[];
extern const char *const event_credit_kind_names[];
extern const char *const event_durability_names[];
extern const char *const event_period_state_names[];
extern const char *const event_purpose_names[];
extern const char *const event_cancel_reason_names[];
extern const char *const event_project_state_names[];
extern const char *const event_market_state_names[];
extern const char *const event_order_side_names[];
extern const char *const event_order_type_names[];
extern const char *const event_order_tif_names[];
extern const char *const event_order_stp_names[];
extern const char *const event_order_state_names[];
extern const char *const event_order_reason_names[];
extern const char *const event_auction_kind_names[];
extern const char *const event_auction_phase_names[];
extern const char *const event_auction_reason_names[];
extern const char *const event_bid_reason_names[];
extern const char *const event_pool_state_names[];
extern const char *const event_escrow_reason_names[];
extern const char *const event_offtake_state_names[];
extern const char *const event_offtake_reason_names[];
extern const char *const event_delivery_state_names[];
extern const char *const event_shard_subject_names[];
extern const char *const event_route_source_names[];
extern const char *const event_command_source_names[];
extern const char *const event_command_kind_names[]; /* [0] is "none" */

#endif
