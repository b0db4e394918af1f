/* Rows of the views of escrow and forward offtake (docs/ESCROW.md); part of engine.h. */
#ifndef CARBOND_ENGINE_VIEWS_ESCROW_H
#define CARBOND_ENGINE_VIEWS_ESCROW_H

#include "carbond/base/field.h"
#include "carbond/events.h"
#include "carbond/store.h"

/* How an escrow stands: open, disputed, or why it ended (ESCROW_STATUS_ENDED + enum escrow_reason). */
enum escrow_status { ESCROW_STATUS_OPEN, ESCROW_STATUS_DISPUTED, ESCROW_STATUS_ENDED };
extern const char *const escrow_status_names[];

struct escrow_row {
	struct id id; /* key: the command's id */
	struct id payer_org_id, payee_org_id, arbiter_org_id, verifier_id, contract_id;
	struct hash statement;
	const char *currency;
	int64_t amount_micros, funded_micros, paid_micros, refunded_micros;
	int64_t kg, delivered_kg, released_kg, returned_kg;
	int64_t batch, instrument;
	struct field_list ranges; /* struct serial_range_item: its serials */
	int64_t not_before, expires_at;
	bool dated, attested;
	int status; /* enum escrow_status */
	struct id opened_by;
	int64_t opened_at, ended_at;
	int64_t position;
};
extern const struct field escrow_fields[];
extern const struct store_collection escrows_collection; /* indexes "by_payer", "by_payee", "by_arbiter" */

struct offtake_delivery {
	int64_t from_at, due_at;
	int64_t kg, price_micros;
	int64_t delivered_kg, tendered_kg;
	int state; /* enum delivery_state */
};
extern const struct field offtake_delivery_fields[];

/* How a contract stands: enum offtake_state, or why it ended (OFFTAKE_STATE_COUNT + enum offtake_reason). */
extern const char *const offtake_status_names[];

struct offtake_row {
	struct id id; /* key: the command's id */
	struct id seller_org_id, buyer_org_id, offered_by, arbiter_org_id, project_id, unit_id;
	const char *currency;
	int64_t instrument;
	int64_t make_good_days, penalty_ppm;
	struct field_list deliveries; /* struct offtake_delivery */
	int64_t credit_micros, owed_micros;
	int64_t expires_at;
	struct id end_by; /* side that proposes its end */
	int64_t end_refund_micros;
	int status;
	int64_t offered_at, accepted_at, ended_at;
	int64_t position;
};
extern const struct field offtake_fields[];
extern const struct store_collection offtakes_collection; /* indexes "by_seller", "by_buyer" */

#endif
