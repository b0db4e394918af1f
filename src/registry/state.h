/* The registry's state, private to its files. Arrays grow before a change; numbers into them are stable. */
#ifndef REGISTRY_STATE_H
#define REGISTRY_STATE_H

#include "carbond/base/array.h"
#include "carbond/base/map.h"
#include "carbond/ledger.h"
#include "carbond/registry.h"

/* ---- claims: per (point, slot) sorted runs, each with the batch that it backs ---- */

struct claim_span {
	uint32_t first_hour, hours;
	uint64_t batch;
};

struct claim_line {
	struct id point;
	uint32_t slot;
	struct claim_span *spans;
	size_t count, capacity;
};

struct claims {
	uint64_t seed;
	struct claim_line *lines;
	uint32_t count, capacity;
	struct map map;
};

void claims_free(struct claims *claims);
/* The first batch that claims an hour of the run, or 0. */
uint64_t claims_overlap(const struct claims *claims, const struct claim_run *run);
/* True where one batch has claimed all hours of the run (the run's own slot). */
bool claims_covered(const struct claims *claims, const struct claim_run *run, uint64_t batch);
/* Takes all runs for the batch, or none: ERR_CLAIM_TAKEN, ERR_NO_MEMORY. */
enum err claims_take(struct claims *claims, const struct claim_run *runs, size_t count, uint64_t batch) MUST_CHECK;
/* Gives back what claims_take took (undo). */
void claims_give_back(struct claims *claims, const struct claim_run *runs, size_t count);
/* Whose the run's first hour is (0: nobody's), and for how many of its hours that holds. */
uint64_t claims_at(const struct claims *claims, const struct claim_run *run, uint32_t *ret_hours);
/* Gives the run, all of it `from`'s, to `to` (0: nobody); spans of one owner that touch are one, so that it can be given back the same
 * way, which takes no memory. ERR_CLAIM_TAKEN where it is not all `from`'s; ERR_NO_MEMORY. */
enum err claims_pass(struct claims *claims, const struct claim_run *run, uint64_t from, uint64_t to) MUST_CHECK;

/* ---- the rest ---- */

struct verifier {
	struct id id, org;
	struct sign_public key;
	int64_t valid_from_us, valid_to_us, revoked_us; /* revoked_us 0: not revoked */
};

struct attestation {
	struct id verifier, org;
	uint64_t actor;
};

struct period {
	struct event_period_submitted said;
	enum period_state state;
	uint32_t held;
	uint64_t submitter, batch;
	struct attestation attestations[REGISTRY_QUORUM_MAX];
	size_t attestation_count;
	struct claim_run *runs; /* kept while open */
	size_t run_count;
	uint32_t disputes; /* open ones */
};

struct batch {
	struct event_batch_issued issued;
	bool held, unsold_held;
	int64_t until_us;
	struct hash chain_root; /* first batches */
	int64_t chain_kg;
	uint32_t chain_slot;
	int64_t reversed_kg;
	uint32_t disputes; /* open ones of the whole batch */
};

/* Owners of numbers of other registries are batches; with this, one that gave the number back. */
#define NUMBER_RETURNED (UINT64_C(1) << 63)

/* Where an imported batch comes from; by batch number, ascending. */
struct import {
	struct event_state_import said;
	struct claim_run *runs; /* origin serials; the point is that of origin and series */
	size_t run_count;
};

struct dispute {
	struct id id;
	uint64_t batch; /* whole, or that of the ranges; 0: a period */
	struct id period, holder;
	int64_t kg;
	uint64_t opener;
	bool is_open;
	struct serial_range *ranges; /* in escrow while it is open */
	size_t range_count;
};

struct methodology {
	struct hash hash;
	int64_t valid_from_us, valid_to_us; /* valid_to_us 0: without end */
};

struct project {
	struct id id, org;
	enum project_state state;
	int64_t crediting_from_us, crediting_to_us;
};

struct debt {
	struct id org;
	uint32_t durability;
	int64_t kg, uncovered_kg;
};

struct held_account {
	struct id org;
	bool held;
	int64_t until_us;
};

/* A hold that ends by itself. */
struct deadline {
	int64_t until_us;
	uint64_t batch; /* 0: an account */
	struct id org;  /* whose account; zero: a batch */
};

struct registry {
	struct id id;
	uint64_t seed;
	struct claims claims, origins;
	struct verifier *verifiers;
	struct period *periods;
	struct batch *batches; /* number − 1 */
	struct debt *debts;
	struct held_account *accounts;
	struct import *imports;
	struct dispute *disputes;
	struct methodology *methodologies;
	struct project *projects;
	struct deadline *deadlines; /* of all holds that have one, in order: the next is the first */
	uint32_t deadline_count, deadline_capacity;
	uint32_t verifier_count, verifier_capacity;
	uint32_t period_count, period_capacity;
	uint32_t batch_count, batch_capacity;
	uint32_t debt_count, debt_capacity;
	uint32_t account_count, account_capacity;
	uint32_t import_count, import_capacity;
	uint32_t dispute_count, dispute_capacity;
	uint32_t methodology_count, methodology_capacity;
	uint32_t project_count, project_capacity;
	struct map period_map, root_map, account_map, dispute_map, project_map; /* roots: of issued batches */
	uint64_t retirement_count, cancellation_count;
};

struct verifier *verifier_find(const struct registry *registry, struct id id);
struct period *period_find(const struct registry *registry, struct id id);
struct batch *batch_find(const struct registry *registry, uint64_t number); /* NULL: none */
uint32_t batch_of_root(const struct registry *registry, struct hash root);  /* MAP_NONE: none */
struct held_account *account_find(const struct registry *registry, struct id org);
struct debt *debt_find(const struct registry *registry, struct id org, uint32_t durability);
struct dispute *dispute_find(const struct registry *registry, struct id id);        /* decided ones too */
const struct import *import_find(const struct registry *registry, uint64_t number); /* NULL: issued here */
struct project *project_find(const struct registry *registry, struct id id);

/* One refusal, with its sentence. */
#define REFUSE(info, code, pointer, ...) err_set((info), (code), (pointer), __VA_ARGS__)

/* What a file does: decide a command, apply an event. */
typedef enum err decide_function(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info);
typedef enum err apply_function(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info);

decide_function decide_verifier_register, decide_verifier_revoke, decide_period_submit, decide_period_attest,
	decide_period_withdraw, decide_period_refuse, decide_period_hold, decide_period_release, decide_period_issue,
	decide_transfer, decide_retire, decide_batch_hold, decide_batch_release, decide_account_hold,
	decide_account_release, decide_batch_reverse, decide_buffer_top_up, decide_cancel, decide_dispute_open,
	decide_dispute_decide, decide_batch_import, decide_methodology_admit, decide_project_register;
apply_function apply_verifier_registered, apply_verifier_revoked, apply_period_submitted, apply_period_attested,
	apply_period_withdrawn, apply_period_refused, apply_period_held, apply_period_released, apply_batch_issued,
	apply_batch_held, apply_batch_released, apply_batch_reversed, apply_buffer_topped_up, apply_transferred,
	apply_retired, apply_account_held, apply_account_released, apply_cancelled, apply_dispute_opened,
	apply_dispute_decided, apply_batch_imported, apply_methodology_admitted, apply_project_registered,
	apply_origin_returned;
apply_function apply_state_verifier, apply_state_period, apply_state_attestation, apply_state_batch, apply_state_claims,
	apply_state_debt, apply_state_account, apply_state_register, apply_state_dispute, apply_state_import,
	apply_state_returned, apply_state_methodology, apply_state_project;

/* Shared checks. */
bool period_is_open(const struct period *period);
bool period_involves(const struct period *period, uint64_t actor, struct id org); /* submitter or verifier */
enum err reason_check(struct hash reason_hash, struct err_info *info) MUST_CHECK;
bool code_is_clean(struct code16 code); /* [A-Z0-9]{1,16} */
bool country_is_clean(struct code8 country);
/* Whether a first batch of these hours may be submitted or, with `issues`, issued: ERR_METHODOLOGY_NOT_VALID,
 * ERR_PROJECT_NOT_REGISTERED. */
enum err admission_check(const struct registry *registry, const struct event_period_submitted *said, int64_t now_us,
	bool issues, struct err_info *info) MUST_CHECK;
/* The whole of a reversal, for batch_reverse and for what an upheld dispute leads to. */
enum err reversal_decide(const struct registry *registry, const struct ledger *ledger, struct decision *call,
	const struct command_batch_reverse *asked, struct err_info *info) MUST_CHECK;
/* Room for a batch and its root; then it is put, which cannot fail. */
enum err batch_room(struct registry *registry) MUST_CHECK;
void batch_put(struct registry *registry, const struct batch *batch);

/* holds.c: room for the end of one more hold; then ends are noted, which cannot fail: until_us 0 is none. */
enum err deadline_room(struct registry *registry) MUST_CHECK;
void deadline_add(struct registry *registry, struct deadline deadline);

/* ---- serials that a command is about ---- */

struct selection {
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count;
	int64_t kg;
};

struct selecting {
	struct ledger_place from;
	bool barred; /* also what is suspended: for those who may take it nevertheless */
};

/* imports.c: what a conversion of these serials gives back to the registry that it names. ERR_ORIGIN_IN_PART. */
enum err returns_decide(const struct registry *registry, struct decision *call, const struct selection *selection,
	struct err_info *info) MUST_CHECK;

/* Those that the command names, or the lowest of a batch; whether they are there is seen when they move. */
enum err serials_select(const struct registry *registry, const struct ledger *ledger, const struct command *command,
	const struct selecting *selecting, uint64_t number, int64_t kg, struct selection *selection,
	struct err_info *info) MUST_CHECK;

#endif
