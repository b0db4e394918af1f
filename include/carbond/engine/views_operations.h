/* engine, views of the registry's operations: cancellations, disputes, imports, notices of reversals, admitted methodologies, registered
 * projects, and which events a batch has. Made by the projector from the journal; read through the store by any thread that may block. */
#ifndef CARBOND_ENGINE_VIEWS_OPERATIONS_H
#define CARBOND_ENGINE_VIEWS_OPERATIONS_H

#include "carbond/base/field.h"
#include "carbond/store.h"

struct cancellation_row {
	struct id id; /* key: the command's id */
	struct id org_id;
	int64_t number; /* unique */
	int64_t kg;
	struct field_list ranges;     /* struct serial_range_item */
	int state, reason;            /* enum kg_state: where they were; enum cancel_reason */
	const char *destination;      /* of a conversion; else NULL */
	int64_t returned_kg;          /* whose numbers went back to the registry that they came from */
	struct hash explanation_hash; /* the text is in the vault */
	struct id made_by;
	int64_t made_at;
	int64_t position;
};
extern const struct field cancellation_fields[];
extern const struct store_collection cancellations_collection; /* indexes "by_org", "by_number" */

enum dispute_state { DISPUTE_OPEN, DISPUTE_REJECTED, DISPUTE_UPHELD };
extern const char *const dispute_state_names[];

struct dispute_row {
	struct id id;  /* key: the command's id */
	int64_t batch; /* whole, or that of the ranges; FIELD_ABSENT: a period */
	struct id period_id, holder_id;
	int64_t kg;               /* of the ranges */
	struct field_list ranges; /* struct serial_range_item */
	struct hash evidence_hash;
	int state; /* enum dispute_state */
	struct id opened_by, decided_by;
	int64_t opened_at, decided_at;
	int64_t position;
};
extern const struct field dispute_fields[];
extern const struct store_collection disputes_collection; /* indexes "by_state", "by_batch" */

struct import_number { /* a run of another registry's numbers */
	int64_t first, count;
};
struct import_row {
	int64_t batch; /* key */
	struct id org_id;
	const char *origin, *series;
	struct field_list numbers; /* struct import_number */
	int64_t unit_kg, kg, returned_kg;
	struct hash evidence_hash;
	struct id made_by;
	int64_t made_at;
	int64_t position;
};
extern const struct field import_number_fields[];
extern const struct field import_fields[];
extern const struct store_collection imports_collection; /* index "by_origin" (origin, series, batch) */

struct notice_row {
	int64_t position; /* key: of the reversal, and whom it is for */
	struct id org_id;
	int64_t batch, reversed_kg;
	int64_t held_kg, retired_kg, other_kg; /* what the organisation had of the batch then */
	int64_t made_at;
};
extern const struct field notice_fields[];
extern const struct store_collection notices_collection; /* indexes "by_org", "by_batch" */

struct admission_row {
	struct hash methodology_hash; /* key */
	int64_t valid_from, valid_to; /* valid_to FIELD_ABSENT: without end */
	struct id made_by;
	int64_t made_at;
	int64_t position;
};
extern const struct field admission_fields[];
extern const struct store_collection admissions_collection;

struct registration_row {
	struct id project_id; /* key */
	struct id org_id;
	int state; /* enum project_state */
	int64_t crediting_from, crediting_to;
	struct id made_by;
	int64_t made_at;
	int64_t position;
};
extern const struct field project_registration_fields[];
extern const struct store_collection registrations_collection; /* index "by_org" */

/* An event that made a batch, changed who has kilograms of it, or what may be done with them; low … high − 1 are the serials that it
 * is about, or lie between them. */
struct batch_event_row {
	int64_t batch, position; /* key */
	int64_t low, high;
};
extern const struct field batch_event_fields[];
extern const struct store_collection batch_events_collection;

#endif
