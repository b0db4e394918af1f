/* engine, the registry's views: rows of periods, batches, kilograms and who has them, transfers, retirements, verifiers and
 * accounts. Made by the projector from the journal; read through the store by any thread that may block. */
#ifndef CARBOND_ENGINE_VIEWS_REGISTRY_H
#define CARBOND_ENGINE_VIEWS_REGISTRY_H

#include "carbond/base/field.h"
#include "carbond/store.h"

struct serial_range_item { /* serials in a transfer or retirement */
	int64_t batch, start, length;
};
extern const struct field range_item_fields[];

struct registry_attestation {
	struct id verifier_id, verifier_org_id;
	struct bytes signature;
	int64_t attested_at;
	int64_t position; /* of its event */
};

struct registry_period {
	struct id id, org_id, unit_id, project_id;
	const char *unit_code, *methodology, *country;
	struct hash methodology_hash, evidence_root;
	int kind, durability; /* enum credit_kind, enum durability */
	int64_t vintage, quorum;
	int64_t first_hour_at, last_hour_at; /* start of the first and of the last hour, µs UTC */
	int64_t kg, buffer_kg;
	struct id first_period_id;
	struct hash previous_root;
	int64_t total_kg;
	int state;                      /* enum period_state */
	int64_t held;                   /* a set of period_hold bits; 0: not held */
	struct field_list attestations; /* struct registry_attestation */
	struct id submitted_by;         /* actor */
	int64_t submitted_at, decided_at;
	int64_t submitted_position; /* of that event */
	int64_t batch;              /* FIELD_ABSENT until issued */
	int64_t position;
};
extern const struct field registry_period_fields[];
extern const struct store_collection registry_periods_collection; /* indexes "by_org", "by_state", "by_root" */

struct batch_row {
	int64_t batch; /* key */
	struct id org_id, period_id, unit_id, project_id;
	struct hash issuance_id, evidence_root, methodology_hash;
	const char *unit_code, *methodology, *country;
	int kind, durability;
	int64_t vintage, kg, buffer_kg;
	const char *serial;           /* of the whole batch */
	int64_t first_batch, slot;    /* its chain; slot of its claims */
	bool held, unsold_held;       /* suspended; the operator's unsold kilograms are */
	int64_t disputes;             /* open ones of the whole batch, which suspend it, too */
	const char *origin;           /* of an imported batch: the registry that it comes from; else NULL */
	int64_t hold_until;           /* FIELD_ABSENT: only by a release */
	struct hash chain_root;       /* first batches: newest root of the chain */
	int64_t chain_kg, chain_slot; /* first batches: issued so far less reversed; newest slot */
	int64_t reversed_kg;
	int64_t issued_at;
	int64_t position;
};
extern const struct field batch_fields[];
extern const struct store_collection batches_collection; /* indexes "by_org", "by_period", "by_issuance" */

struct holding_row {
	struct id org_id;
	int64_t batch;
	int64_t held_kg, listed_kg, escrow_kg, pooled_kg, reserved_kg, buffer_kg, transit_kg, withdrawn_kg, retired_kg,
		cancelled_kg;
	int64_t position;
};
extern const struct field holding_fields[];
extern const struct store_collection holdings_collection; /* key (org_id, batch); index "by_batch" */

struct serial_range_row {
	int64_t batch, start; /* key */
	int64_t length;
	struct id org_id;
	int state; /* enum kg_state */
	struct id retirement_id, cancellation_id;
	int64_t position;
};
extern const struct field range_fields[];
extern const struct store_collection ranges_collection; /* index "by_org" (org_id, batch, start) */

struct transfer_row {
	struct id id;                /* key: the command's id, or made of that of a linked set */
	struct id org_id, to_org_id; /* from, to */
	int64_t kg;
	struct field_list ranges; /* struct serial_range_item */
	int state;                /* enum transfer_state */
	int64_t given_kg;         /* of a pending one that has ended */
	int64_t expires_at, ended_at;
	int64_t code, user_data; /* the client's own */
	struct id set_id;        /* of a linked set */
	struct id made_by;       /* actor */
	int64_t made_at;
	int64_t position;
};
extern const struct field transfer_fields[];
extern const struct store_collection transfers_collection; /* indexes "by_org", "by_receiver", "by_state", "by_set" */

struct retirement_row {
	struct id id; /* key: the command's id */
	struct id org_id;
	int64_t number; /* unique */
	int64_t kg;
	struct field_list ranges; /* struct serial_range_item */
	struct hash beneficiary_hash;
	const char *country;
	int purpose; /* enum purpose */
	int64_t covered_from, covered_to;
	bool consent; /* the beneficiary agreed to be named */
	struct id made_by;
	int64_t made_at;
	int64_t position;
};
extern const struct field retirement_fields[];
extern const struct store_collection retirements_collection; /* indexes "by_org", "by_number" */

struct verifier_row {
	struct id id; /* key */
	struct id org_id;
	struct hash key; /* Ed25519 public key */
	int64_t valid_from, valid_to;
	int64_t revoked_at;                            /* FIELD_ABSENT: not revoked */
	int64_t registered_position, revoked_position; /* of these events */
	int64_t position;
};
extern const struct field verifier_fields[];
extern const struct store_collection verifiers_collection; /* index "by_org" */

struct account_row {
	struct id org_id; /* key */
	bool held;
	int64_t hold_until;
	int64_t debt_kg;   /* top-up debt over all durability classes */
	int64_t closed_at; /* FIELD_ABSENT: it is open */
	int64_t position;
};
extern const struct field account_fields[];
extern const struct store_collection accounts_collection;

#endif
