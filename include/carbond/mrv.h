/* mrv: how measured hours become kilograms, and what an evidence pack is. Methodologies, unit-checked formulas,
 * quantification with uncertainty and substitution, the pack's format and every check of it that needs no other room.
 * PURE: no clock, no I/O, no randomness; hours come through a function that the caller gives. Any thread, one thread a
 * case. Rules: integrity.md; arithmetic: decision 6; formats: decisions 3 and 28. */
#ifndef CARBOND_MRV_H
#define CARBOND_MRV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/field.h"
#include "carbond/base/merkle.h"
#include "carbond/base/sign.h"
#include "carbond/series.h"

#define MRV_HELD_MAX       8                         /* reasons of the mass-balance lock in one case */
#define MRV_EARLIER_MAX    64                        /* batches issued earlier from the same hours */
#define MRV_HOUR_MG_MAX    INT64_C(1000000000000000) /* 10^6 t in an hour: past any plant, within 128-bit sums */
#define MRV_SIGN_DOMAIN    "carbond/attestation/1"   /* Ed25519 over the 32 bytes of the evidence root */
#define MRV_PACK_BYTES_MAX (INT64_C(1) << 36)

/* ---- units: UCUM codes over a fixed table of atoms ---- */

enum { MRV_DIMENSIONS = 7 }; /* kg, m, s, mol, K, A, Sm3 (gas at 20 °C, 101.325 kPa) */
struct mrv_unit {
	int8_t power[MRV_DIMENSIONS];
	double factor, offset; /* base units = value × factor + offset */
};
/* "kg/h", "mol/mol", "g/kWh", "kg/Sm3", "[ppm]", "Cel" …; false: not in the table. */
bool mrv_unit_parse(const char *code, struct mrv_unit *ret_unit);
bool mrv_unit_same(const struct mrv_unit *a, const struct mrv_unit *b); /* the same dimension */

/* ---- methodologies: versioned JSON documents (docs: config/methodologies) ---- */

struct mrv_methodology; /* lives in the arena that it was parsed into */

/* What others need to know of one without reading its formulas. */
struct mrv_terms {
	const char *code; /* [A-Z0-9]{2,10}, as in serial numbers */
	int64_t version;
	const char *title;
	struct hash hash;        /* SHA-256("carbond/methodology/1" ‖ 0 ‖ canonical JSON) */
	bool removal, reduction; /* kinds that it may credit */
	int64_t quorum;          /* k: verifiers that must sign */
	bool substitution;       /* the tiers of 40 CFR 75.33 are allowed */
	const json_t *document;
};

/* Reads and checks one: members, operators, units of every formula. The first fault is named by JSON pointer with what is
 * allowed there. ERR_INVALID_METHODOLOGY. */
enum err mrv_methodology_parse(const json_t *document, struct arena *arena,
	const struct mrv_methodology **ret_methodology, struct err_info *info) MUST_CHECK;
const struct mrv_terms *mrv_methodology_terms(const struct mrv_methodology *methodology);
/* The buffer's share in ppm for a durability class and a risk score. ERR_INVALID_FIELD names the classes that there are. */
enum err mrv_buffer_share(const struct mrv_methodology *methodology, const char *durability_class, int64_t risk_score,
	int64_t *ret_ppm, struct err_info *info) MUST_CHECK;
/* Parts that add up: buffer = kg × ppm rounded up to 10 kg (at most kg), the rest is the supplier's. */
int64_t mrv_buffer_kg(int64_t kg, int64_t share_ppm);

/* ---- emission factor sets ---- */

struct mrv_factors; /* lives in the arena */
struct mrv_factors_terms {
	const char *code;
	int64_t version;
	const char *title, *licence, *source;
	struct hash hash; /* SHA-256("carbond/factors/1" ‖ 0 ‖ canonical JSON) */
	const json_t *document;
};
/* ERR_INVALID_FACTORS with pointer. */
enum err mrv_factors_parse(const json_t *document, struct arena *arena, const struct mrv_factors **ret_factors,
	struct err_info *info) MUST_CHECK;
const struct mrv_factors_terms *mrv_factors_terms(const struct mrv_factors *factors);
/* True if the set has a factor of this id. */
bool mrv_factors_have(const struct mrv_factors *factors, const char *id);

/* ---- what is quantified ---- */

extern const char *const mrv_roles[];      /* as sensing's metering_roles */
extern const char *const mrv_kinds[];      /* removal, reduction */
extern const char *const mrv_storages[];   /* how the CO2 is kept; enhanced_oil_recovery is refused */
extern const char *const mrv_categories[]; /* materials, embodied, baseline, end_of_life, leakage, transport, other */
extern const char *const mrv_bases[];      /* amortised, per_tonne */

/* An amount that no meter shows. amortised: amount_g spread evenly over [from_us, to_us); per_tonne: amount_g for each tonne
 * of gross. Grams CO2e, rounded up. */
struct mrv_schedule {
	int category, basis;
	const char *label;
	int64_t amount_g, uncertainty_ppm;
	int64_t from_us, to_us; /* amortised only */
	const char *source;
};

struct mrv_project {
	struct id id, org_id, unit_id;
	const char *unit_code, *country;
	const char *methodology; /* code */
	int64_t methodology_version;
	int kind, storage;
	int64_t atmospheric_ppm, biogenic_ppm, fossil_ppm, recycled_ppm; /* of the CO2; they add up to 1,000,000 */
	const char *durability_class;
	int64_t risk_score;
	const char *factor_set; /* code */
	int64_t factor_set_version;
	const char *electricity_factor; /* id in the set */
	int64_t nameplate_kg_per_hour, nameplate_margin_ppm;
	struct field_list schedules; /* struct mrv_schedule */
};

struct mrv_point {
	struct id id;
	const char *code;
	int role;
	bool claimable;
	int64_t share_ppm;          /* that this unit bears of it */
	int64_t nameplate_per_hour; /* the worst an hour can cost: kg, or Wh for energy */
};

struct mrv_sensor {
	struct id id, point_id;
	const char *tag, *quantity, *unit;
	int64_t sampling_period_us;
	int64_t systematic_ppm, random_ppm;
	bool primary;
	const char *manufacturer, *serial_number;
};

struct mrv_calibration {
	struct id id, sensor_id;
	const char *certificate, *laboratory;
	int64_t performed_us, valid_from_us, valid_until_us;
	const char *factor, *offset, *as_found_drift; /* decimals; true = (raw + offset) × factor */
	int64_t uncertainty_ppm;
	struct hash document_hash;
	int64_t position;
};

struct mrv_overlay {
	struct id id, sensor_id;
	int64_t from_us, to_us;
	int quality; /* series_quality_names */
	const char *reason;
	struct hash model_hash, feature_hash;
	int64_t position;
};

extern const struct field mrv_schedule_fields[], mrv_project_fields[], mrv_point_fields[], mrv_sensor_fields[],
	mrv_calibration_fields[], mrv_overlay_fields[];

/* One closed hour of one sensor, as stored: uncalibrated. count 0: no bucket. */
struct mrv_hour {
	int64_t revision; /* 0: there is none */
	struct hash content_hash;
	const uint8_t *columns;
	size_t columns_size;
};

/* Gives the newest closed revision of one sensor's hour; memory must live until the next call for the same sensor, or in
 * `arena`. Called in rising hours of each sensor but for look-backs. ERR_OK with revision 0: no bucket. */
struct mrv_source {
	enum err (*hour)(void *context, const struct mrv_sensor *sensor, int64_t hour_us, struct arena *arena,
		struct mrv_hour *ret_hour, struct err_info *info);
	void *context;
};

/* Everything that a quantification depends on beside the hours. All borrowed. Points and sensors are sorted by id, overlays and
 * calibrations by (sensor, position, id): mrv_case_sort. */
struct mrv_case {
	const struct mrv_methodology *methodology;
	const struct mrv_factors *factors;
	struct mrv_project project;
	struct mrv_point *points;
	struct mrv_sensor *sensors;
	struct mrv_calibration *calibrations;
	struct mrv_overlay *overlays;
	size_t point_count, sensor_count, calibration_count, overlay_count;
	int64_t from_us, to_us; /* whole hours, within one calendar year */
};
void mrv_case_sort(struct mrv_case *the_case);

/* ---- the result: every line explained ---- */

/* One addend of the quantity. Deductions are negative. */
struct mrv_line {
	const char *code; /* "gross", "losses", "energy", "materials" …, "net", "uncertainty", "credit" */
	const char *label;
	const char *formula; /* in words and symbols */
	const char *inputs;  /* points, sensors, factors and amounts that went in */
	const char *source;  /* where the rule or the number comes from */
	int64_t mg;
	int64_t uncertainty_mg; /* standard uncertainty of this line (k = 1) */
	int64_t good_hours, missing_us, substituted_hours;
};

/* One meter-hour that was read, for the table of hours. */
struct mrv_hour_row {
	uint16_t line, point; /* into lines; into the case's points */
	bool substituted;
	int64_t hour_us;
	int64_t amount; /* mg, or Wh where the line has a factor */
	int64_t mg;
	int64_t missing_us;
	int64_t factor_micro; /* micrograms per Wh (mg/MWh ÷ 1000); 0 where none */
};

struct mrv_substitution {
	struct id point_id;
	const char *line;       /* code */
	int64_t hour_us, hours; /* the gap */
	const char *
		tier; /* "neighbours", "percentile_10", "percentile_5", "minimum", "zero"; from the other end for deductions */
	int64_t availability_ppm;
	int64_t rate_per_hour; /* mg, or Wh */
	int64_t amount;        /* mg, or Wh: what was filled in over the gap */
};

/* A run of hours of one claimable point. */
struct mrv_claim {
	struct id point_id;
	int64_t first_hour; /* hours since the epoch */
	int64_t hours, slot;
};

/* Which hour of which sensor was read. */
struct mrv_read {
	uint32_t sensor; /* into the case's sensors */
	int64_t hour_us, revision;
	struct hash content_hash;
};

/* What the last step takes: z·u from variances, floor to 10 kg, buffer. Amounts in mg; a component is one independent
 * standard uncertainty. */
struct mrv_budget {
	int64_t gross_mg, net_mg;
	const int64_t *components_mg; /* each is squared and added */
	size_t component_count;
	unsigned __int128 random_mg2; /* Σ (mᵢ·u_rand)², already squared */
	int64_t z_milli, buffer_ppm;
};

struct mrv_result {
	int64_t gross_mg, net_mg, uncertainty_mg, deduction_mg; /* u, and z·u */
	int64_t kg; /* floor to 10 kg of net − z·u, before holds; the quantity */
	int64_t buffer_ppm, buffer_kg, supplier_kg;
	int64_t vintage;
	const char *held[MRV_HELD_MAX]; /* reasons of the mass-balance lock; none: not held */
	size_t held_count;
	struct mrv_line *lines;
	struct mrv_hour_row *hours;
	struct mrv_substitution *substitutions;
	struct mrv_claim *claims; /* slot 0: all hours of the claimable points */
	struct mrv_read *reads;   /* in (sensor, hour) order */
	size_t line_count, hour_count, substitution_count, claim_count, read_count;
	struct mrv_budget budget; /* what u is made of */
};

/* Quantifies. ERR_INVALID_FIELD (project does not fit the methodology), ERR_METER_MISSING (a role or quantity has no meter),
 * ERR_FACTOR_MISSING, ERR_OVERFLOW, ERR_STORE_CORRUPT (columns), ERR_NO_MEMORY, or what the source returns. */
enum err mrv_quantify(const struct mrv_case *the_case, const struct mrv_source *source, struct arena *arena,
	struct mrv_result **ret_result, struct err_info *info) MUST_CHECK;

/* Closes a budget into a result: u, z·u, kilograms, buffer. */
void mrv_budget_close(const struct mrv_budget *budget, struct mrv_result *result);

/* Integers only: what core/result.json holds and the dry run answers. A new reference; NULL without memory. */
json_t *mrv_result_document(const struct mrv_case *the_case, const struct mrv_result *result);
/* RFC 4180: one row a line; and one row a meter-hour. In the arena; NULL without memory. */
char *mrv_result_csv(const struct mrv_result *result, struct arena *arena, size_t *ret_size);
char *mrv_hours_csv(
	const struct mrv_case *the_case, const struct mrv_result *result, struct arena *arena, size_t *ret_size);

/* Cross-check of u: draws `runs` seeded samples of the same error model and gives their standard deviation in mg. Never
 * part of a hash. */
int64_t mrv_monte_carlo(const struct mrv_budget *budget, uint64_t seed, unsigned runs);

/* ---- the manifest: what verifiers vouch for ---- */

/* A batch that was issued earlier from the same hours. */
struct mrv_earlier {
	struct hash evidence_root;
	int64_t kg; /* issued; negative: reversed */
};

struct mrv_manifest {
	struct id id; /* of this submission: the period, or one part or difference of it */
	struct id period_id;
	struct id first_id; /* the first submission of these hours; its own id where it is the first */
	int64_t part, slot; /* 0 …; slot n: n batches were issued from these hours before */
	struct id org_id, project_id, unit_id;
	const char *unit_code, *country;
	const char *methodology;
	int64_t methodology_version;
	struct hash methodology_hash, factors_hash;
	int kind;
	const char *durability_class;
	int64_t risk_score, vintage;
	int64_t from_us, to_us;
	int64_t quantity_kg;                /* of all hours at these revisions */
	int64_t kg, buffer_kg, supplier_kg; /* of this batch: quantity_kg minus what was issued earlier */
	int64_t quorum;
	struct field_list claims;  /* struct mrv_claim */
	struct field_list held;    /* const char *: reasons */
	struct field_list earlier; /* struct mrv_earlier, oldest first */
};
extern const struct field mrv_claim_fields[], mrv_earlier_fields[], mrv_manifest_fields[];

/* Fills the manifest of a result: everything but id, period_id, first_id, part, slot and earlier, which the caller has set
 * (claims too, for slot > 0). ERR_INVALID_FIELD where a first batch would have no kilograms. */
enum err mrv_manifest_fill(const struct mrv_case *the_case, const struct mrv_result *result,
	struct mrv_manifest *manifest, struct err_info *info) MUST_CHECK;

/* ---- packs: a deterministic ustar; the core under the evidence root, attachments behind it ---- */

struct mrv_pack_writer;
/* `write` takes the bytes in order (NULL: only hash). NULL without memory. */
struct mrv_pack_writer *mrv_pack_writer_new(
	enum err (*write)(void *context, const void *data, size_t size, struct err_info *info), void *context);
void mrv_pack_writer_free(struct mrv_pack_writer **writer);
/* Adds the whole core: manifest, documents, every hour that was read (asked of `source` again; ERR_EVIDENCE_CHANGED where a
 * content hash differs from what was read). */
enum err mrv_pack_core(struct mrv_pack_writer *writer, const struct mrv_case *the_case, const struct mrv_result *result,
	const struct mrv_manifest *manifest, const struct mrv_source *source, struct err_info *info) MUST_CHECK;
/* The evidence root of the core that was added. */
struct hash mrv_pack_root(const struct mrv_pack_writer *writer);
/* Adds one attachment: a canonical document under attachments/<name>.json. Names in rising order. */
enum err mrv_pack_attach(
	struct mrv_pack_writer *writer, const char *name, const json_t *document, struct err_info *info) MUST_CHECK;
/* Adds SHA256SUMS and the end of the archive. */
enum err mrv_pack_close(struct mrv_pack_writer *writer, struct err_info *info) MUST_CHECK;

/* ---- checking a pack ---- */

/* A key that the reader trusts, from a trust file {"keys":[{"role","name","organisation","key","from","until"}…]}. */
struct mrv_trust_key {
	int role; /* mrv_trust_roles */
	const char *name;
	struct id organisation;
	struct sign_public key;
	int64_t from_us, until_us; /* FIELD_ABSENT: open */
};
extern const char *const mrv_trust_roles[]; /* verifier, operator, checkpoint */
/* ERR_INVALID_FIELD with pointer. */
enum err mrv_trust_parse(const json_t *document, struct arena *arena, struct mrv_trust_key **ret_keys,
	size_t *ret_count, struct err_info *info) MUST_CHECK;

/* One row of attachments/signatures.json. */
struct mrv_attestation {
	struct id verifier_id, org_id;
	int scheme;      /* mrv_schemes: ed25519 */
	struct hash key; /* the public key's 32 bytes */
	struct bytes signature;
	int64_t signed_us;
};
extern const char *const mrv_schemes[];
extern const struct field mrv_attestation_fields[];

/* attachments/issue.json: the journal record of `issue` with its inclusion proof under a checkpoint. */
struct mrv_issue {
	int64_t batch;       /* number */
	const char *serials; /* serial text of the whole batch */
	int64_t issued_us;
	const char *stream;       /* "journal.0" */
	struct bytes record;      /* the leaf's bytes */
	int64_t index, tree_size; /* leaf in the tree */
	struct field_list proof;  /* const char *: hex hashes */
	json_t *checkpoint;       /* canonical document, signed */
};
extern const struct field mrv_issue_fields[];
/* The record is in the tree that its checkpoint's signature holds over; by whom and when that was signed. Batch, serials and time are
 * not looked at. ERR_PACK_INVALID (info's pointer is `item`), ERR_NO_MEMORY. */
enum err mrv_issue_check(const struct mrv_issue *issue, const char *item, struct arena *arena,
	struct sign_public *ret_key, int64_t *ret_signed_us, struct err_info *info) MUST_CHECK;

enum mrv_verdict { MRV_PASS, MRV_FAIL, MRV_SKIP };
struct mrv_step {
	const char *name; /* "archive", "sums", "manifest", "buckets", "quantity" … */
	enum mrv_verdict verdict;
	char item[128]; /* the first differing item, where failed */
	char detail[384];
};

struct mrv_check_options {
	const struct mrv_trust_key *trust;
	size_t trust_count;
	void (*step)(void *context, const struct mrv_step *step); /* each step as it ends */
	void *context;
};

/* What a checked pack says, for the steps of other rooms (serials, claims, the record's codec). In the arena. */
struct mrv_pack {
	struct hash evidence_root;
	struct mrv_manifest manifest;
	const struct mrv_methodology *methodology;
	struct mrv_result *result;
	struct mrv_attestation *attestations;
	size_t attestation_count;
	size_t trusted_verifiers; /* distinct verifiers' organisations among the trusted keys that signed */
	bool checkpoint_trusted;
	bool issued;
	struct mrv_issue issue;
};

/* Checks everything that mrv can: archive byte for byte, sums, evidence root, manifest, documents, bucket hashes, kilograms,
 * buffer, claims, signatures, issue record under its checkpoint. ERR_OK: all steps passed (trusted or not); ERR_PACK_INVALID:
 * a step failed; info names the first differing item. `arena` should have a limit of about 1 GiB. */
enum err mrv_verify_pack(const uint8_t *data, size_t size, const struct mrv_check_options *options, struct arena *arena,
	struct mrv_pack *ret_pack, struct err_info *info) MUST_CHECK;

#endif
