/* registry: what may happen to credits. Life cycle of periods, claims (a meter-hour backs a credit once, for ever), batches
 * and their chains of differences, verifiers and separation of duties, holds, buffer and reversals, retirements; and the
 * text of serial numbers. PURE: time is an argument, no I/O, no randomness. The state functions belong to one thread at a
 * time; the helpers of the first part are for any. */
#ifndef CARBOND_REGISTRY_H
#define CARBOND_REGISTRY_H

#include "carbond/events.h"

/* ---- serial numbers: CCN1-<country>-<unit>-<methodology>-<vintage>-<batch>-<start>.<length>-<check> ---- */

#define SERIAL_TEXT_SIZE 128

struct serial {
	char country[3];      /* ISO 3166 alpha-2 */
	char unit[17];        /* [A-Z0-9]{1,16} */
	char methodology[17]; /* [A-Z0-9]{1,16} */
	int vintage;          /* 1970..9999 */
	struct serial_range range;
};

/* Writes the text with its check digits: ISO 7064 mod 97-10 over all that stands before them and their hyphen, two digits a
 * character (0-9 as 00..09, letters as 10..35, '-' as 36, '.' as 37), so that any one wrong character and any two exchanged
 * neighbours are found. ERR_INVALID_FIELD where a part is not allowed. */
enum err serial_text(const struct serial *serial, char ret_text[SERIAL_TEXT_SIZE]) MUST_CHECK;
/* Reads a text back, upper case only, no leading zeros. ERR_SERIAL_INVALID with the reason (form or check digits). */
enum err serial_parse(const char *text, struct serial *ret_serial, struct err_info *info) MUST_CHECK;

/* ---- identities ---- */

/* keccak-256("carbond/issuance/1" ‖ registry id ‖ evidence root) (decision 3). */
struct hash registry_issuance_id(struct id registry, struct hash evidence_root);

/* Verifiers sign the 32 bytes of the evidence root under this domain (sign_make, sign_holds). */
#define REGISTRY_ATTESTATION_DOMAIN "carbond/attestation/1"

/* The guard key of one claimed hour: "claim" ‖ point ‖ hour (big-endian u32) ‖ slot (big-endian u32). */
#define REGISTRY_CLAIM_KEY_SIZE 29
void registry_claim_key(struct id point, uint32_t hour, uint32_t slot, uint8_t ret_key[REGISTRY_CLAIM_KEY_SIZE]);

/* Where another registry's numbers are counted: a name for (origin, series), 16 bytes of SHA-256 ("carbond/origin/1"). */
struct id registry_origin_line(struct code16 origin, struct code32 series);
/* Numbers are kept as runs: the slot is number ÷ 2^31, the first hour the rest; no run goes beyond its slot, so that a number has one
 * form alone. */
#define REGISTRY_ORIGIN_SLOT (UINT32_C(1) << 31)
/* The guard key of one number of another registry: "origin" ‖ line ‖ first hour ‖ slot (big-endian u32) and, where a batch gave it back
 * before, that batch (the same): each batch gives a number back once, so it comes in once after. Returns its size. */
#define REGISTRY_ORIGIN_KEY_SIZE 34
size_t registry_origin_key(
	struct id line, uint32_t low, uint32_t high, uint32_t previous, uint8_t ret_key[REGISTRY_ORIGIN_KEY_SIZE]);
/* What an imported batch has for an evidence root: SHA-256 ("carbond/import/1") over evidence hash and runs, little-endian. */
struct hash registry_import_root(struct hash evidence_hash, const struct claim_run *runs, size_t count);
#define REGISTRY_IMPORT_RUNS_MAX 256

/* Quantities are whole tens of kilograms; a period has at least one ten. */
#define REGISTRY_KG_STEP    10
#define REGISTRY_KG_MAX     INT64_C(1000000000000) /* a billion tonnes in one batch */
#define REGISTRY_QUORUM_MAX 16

/* ---- transition table ---- */

enum period_verb {
	PERIOD_VERB_ATTEST,
	PERIOD_VERB_COMPLETE, /* the quorum's last attestation */
	PERIOD_VERB_WITHDRAW,
	PERIOD_VERB_REFUSE,
	PERIOD_VERB_HOLD,
	PERIOD_VERB_RELEASE,
	PERIOD_VERB_ISSUE,
	PERIOD_VERB_COUNT
};

/* The state after `verb`, or PERIOD_STATE_COUNT where the table does not allow it. */
enum period_state registry_period_next(enum period_state state, enum period_verb verb);

/* What suspend, reverse and cancel do to a kilogram in each state (decision 18). */
enum kg_effect {
	KG_EFFECT_NONE,   /* nothing: it is out of reach */
	KG_EFFECT_FREEZE, /* may not move while suspended */
	KG_EFFECT_RECALL, /* the market returns it to held first, then as held */
	KG_EFFECT_CANCEL, /* goes to cancelled */
};
enum kg_overlay { KG_OVERLAY_SUSPEND, KG_OVERLAY_REVERSE, KG_OVERLAY_CANCEL, KG_OVERLAY_COUNT };
enum kg_effect registry_kg_effect(enum kg_state state, enum kg_overlay overlay);

/* ---- the state; one thread at a time ---- */

struct ledger;
struct registry;
struct undo;

/* `id` is the registry's, part of every issuanceId; `seed` of hash indexes never shows. NULL without memory. */
struct registry *registry_new(struct id id, uint64_t seed);
void registry_free(struct registry **registry);
struct id registry_id(const struct registry *registry);

/* What the state has counted. */
uint64_t registry_batch_count(const struct registry *registry);
uint64_t registry_retirement_count(const struct registry *registry);
uint64_t registry_cancellation_count(const struct registry *registry);

/* Decides a command event by event. Runs of period_submit are sorted by (point, first hour) and do not overlap. The refusals of each command
 * are those of errors.def 403–424, 449 and 490–492, and ERR_PERIOD_STATE, ERR_NOT_FOUND, ERR_DUPLICATE, ERR_INVALID_FIELD, ERR_MISSING_FIELD.
 */
enum err registry_decide(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info) MUST_CHECK;

/* Checks the lines of a purchase as retirements, each with its place in the pointer; `*ret_kg` is what they come to, 0 where the only
 * one takes all. ERR_COMMAND_TOO_LARGE and the refusals of a retirement. */
enum err registry_lines_check(const struct decision *call, int64_t *ret_kg, struct err_info *info) MUST_CHECK;
/* Retires `kg` kilograms of ranges that the command's organisation holds, in their order, line by line. ERR_BATCH_HELD,
 * ERR_ACCOUNT_HELD; ERR_COMMAND_TOO_LARGE beyond EVENTS_RANGES_MAX ranges. */
enum err registry_lines_retire(struct registry *registry, struct decision *call, const struct serial_range *ranges,
	size_t count, int64_t kg, struct err_info *info) MUST_CHECK;

/* Releases the holds that are due at `due_us`, in (deadline, id) order. ERR_NO_MEMORY. */
enum err registry_tick(
	struct registry *registry, struct decision *call, int64_t due_us, struct err_info *info) MUST_CHECK;

/* Makes an event true in registry and ledger (types 10–59, 201–209 and 240–245). ERR_JOURNAL_INVALID where it cannot be; then, and
 * on ERR_NO_MEMORY, the caller goes back by the undo log or drops the state. `undo` may be NULL. */
enum err registry_apply(struct registry *registry, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info) MUST_CHECK;

/* The registry's part of a snapshot in canonical order, as events 201–204, 207–209 and 240–245. */
enum err registry_snapshot(const struct registry *registry,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info) MUST_CHECK;

/* What serials say of a batch: kind, durability, vintage, country, methodology; and whose verifiers attested its period. False: there is
 * none. */
struct registry_attributes {
	enum credit_kind kind;
	enum durability durability;
	uint32_t vintage;
	struct code8 country;
	struct code16 methodology;
	struct id org, project, unit;  /* its operator, and where it comes from */
	struct verifier_set verifiers; /* none of an imported one */
};
bool registry_attributes(const struct registry *registry, uint64_t batch, struct registry_attributes *ret_attributes);
/* What holds a batch or an account; a set of bits. */
enum registry_hold {
	REGISTRY_HOLD_SUSPENDED = 1,
	REGISTRY_HOLD_DISPUTED = 2,
	REGISTRY_HOLD_UNSOLD = 4, /* the operator's kilograms of the batch, after a reversal */
};
/* What holds a batch; 0: nothing, or there is none. */
uint32_t registry_batch_holds(const struct registry *registry, uint64_t batch);
/* Whether the organisation may give kilograms of the batch (0: anything) away. ERR_NOT_FOUND, ERR_BATCH_HELD, ERR_ACCOUNT_HELD. */
enum err registry_movable(
	const struct registry *registry, struct id org, uint64_t batch, struct err_info *info) MUST_CHECK;

/* Whether an organisation has, or had, a verifier. */
bool registry_verifies(const struct registry *registry, struct id org);
/* The organisation of a verifier. False: there is none. */
bool registry_verifier_org(const struct registry *registry, struct id verifier, struct id *ret_org);
/* Whether the command's organisation hands in a signature of this verifier, valid now, that holds for the data. ERR_VERIFIER_UNKNOWN,
 * ERR_VERIFIER_NOT_VALID, ERR_FORBIDDEN, ERR_SIGNATURE_INVALID. */
enum err registry_signature_check(const struct registry *registry, const struct decision *call, struct id verifier,
	const char *domain, const void *data, size_t size, const struct signature *signature,
	struct err_info *info) MUST_CHECK;

/* Sets the count of retirements when a snapshot is read. */
void registry_restore_counts(struct registry *registry, uint64_t retirements);

/* True while an organisation's account is suspended: nothing leaves it. */
bool registry_account_held(const struct registry *registry, struct id org);

/* What an organisation owes to the buffer, over all durability classes. */
int64_t registry_debt_kg(const struct registry *registry, struct id org);

/* The batch that claimed an hour of a point in a slot, or 0. */
uint64_t registry_claimed_by(const struct registry *registry, struct id point, uint32_t hour, uint32_t slot);

#endif
