/* Tables: the names and field rows of what goes into a quantification and its manifest. The pack's documents, the stored
 * submission and their checks all come from these rows. Constant. */
#include "parts.h"

const char *const mrv_roles[] = {"captured", "compressed", "injected", "energy", "loss", "leak", "operating",
	"material", "ambient", "other", NULL};
const char *const mrv_kinds[] = {"removal", "reduction", NULL};
const char *const mrv_storages[] = {
	"saline_aquifer", "depleted_field", "mineral", "basalt", "product", "enhanced_oil_recovery", NULL};
const char *const mrv_categories[] = {
	"materials", "embodied", "baseline", "end_of_life", "leakage", "transport", "other", NULL};
const char *const mrv_bases[] = {"amortised", "per_tonne", NULL};
const char *const mrv_schemes[] = {"ed25519", NULL};
const char *const mrv_trust_roles[] = {"verifier", "operator", "checkpoint", NULL};

#define KG_MAX    INT64_C(1000000000000)
#define GRAMS_MAX INT64_C(1000000000000000)
#define COUNT_MAX LIMIT_JSON_INTEGER

const struct field mrv_schedule_fields[] = {
	FIELD(struct mrv_schedule, category, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = mrv_categories,
		.doc = "the deduction that this amount belongs to"),
	FIELD(struct mrv_schedule, basis, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = mrv_bases,
		.doc = "amortised: spread evenly over from to to; per_tonne: for each tonne of gross"),
	FIELD(struct mrv_schedule, label, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 200,
		.doc = "what it is"),
	FIELD(struct mrv_schedule, amount_g, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = GRAMS_MAX,
		.unit = "g", .doc = "grams CO2e: in all, or per tonne"),
	FIELD(struct mrv_schedule, uncertainty_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = PPM,
		.unit = "ppm", .doc = "relative standard uncertainty"),
	FIELD_AS(struct mrv_schedule, from_us, "from", FIELD_TIME, .doc = "amortised: start of the span"),
	FIELD_AS(struct mrv_schedule, to_us, "to", FIELD_TIME, .doc = "amortised: end of the span"),
	FIELD(struct mrv_schedule, source, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 300,
		.doc = "where the number comes from"),
	FIELD_END};

const struct field mrv_project_fields[] = {
	FIELD(struct mrv_project, id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the project"),
	FIELD(struct mrv_project, org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "its organisation"),
	FIELD(struct mrv_project, unit_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the capture unit"),
	FIELD(struct mrv_project, unit_code, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 2, .max = 8,
		.doc = "the unit's code in serial numbers"),
	FIELD(struct mrv_project, country, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 2, .max = 2,
		.doc = "ISO 3166-1 alpha-2"),
	FIELD(struct mrv_project, methodology, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 2, .max = 10,
		.doc = "the methodology's code"),
	FIELD(struct mrv_project, methodology_version, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = 1000000,
		.doc = "its version"),
	FIELD(struct mrv_project, kind, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = mrv_kinds,
		.doc = "what its credits are"),
	FIELD(struct mrv_project, storage, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = mrv_storages,
		.doc = "how the CO2 is kept"),
	FIELD(struct mrv_project, atmospheric_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = PPM,
		.unit = "ppm", .doc = "share of the CO2 that came from the air"),
	FIELD(struct mrv_project, biogenic_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = PPM, .unit = "ppm",
		.doc = "share from biomass"),
	FIELD(struct mrv_project, fossil_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = PPM, .unit = "ppm",
		.doc = "share from fossil fuel or rock"),
	FIELD(struct mrv_project, recycled_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = PPM, .unit = "ppm",
		.doc = "share that was captured before; never counted"),
	FIELD(struct mrv_project, durability_class, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40,
		.doc = "the methodology's class of durability"),
	FIELD(struct mrv_project, risk_score, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = 1000,
		.doc = "score of the risk questionnaire"),
	FIELD(struct mrv_project, factor_set, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40,
		.doc = "the emission factor set's code"),
	FIELD(struct mrv_project, factor_set_version, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = 1000000,
		.doc = "its version"),
	FIELD(struct mrv_project, electricity_factor, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 64,
		.doc = "the factor of the electricity used"),
	FIELD(struct mrv_project, nameplate_kg_per_hour, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = KG_MAX,
		.unit = "kg/h", .doc = "the most that the unit can capture"),
	FIELD(struct mrv_project, nameplate_margin_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = PPM, .max = 2 * PPM,
		.unit = "ppm", .doc = "margin of the mass-balance lock"),
	FIELD(struct mrv_project, schedules, FIELD_LIST, .min = 0, .max = 200, .table = mrv_schedule_fields,
		.item_size = sizeof(struct mrv_schedule), .doc = "amounts that no meter shows"),
	FIELD_END};

const struct field mrv_point_fields[] = {
	FIELD(struct mrv_point, id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the metering point"),
	FIELD(struct mrv_point, code, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 20, .doc = "its code"),
	FIELD(struct mrv_point, role, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = mrv_roles, .doc = "what it meters"),
	FIELD(struct mrv_point, claimable, FIELD_BOOL, .doc = "its hours back the credits"),
	FIELD(struct mrv_point, share_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = PPM, .unit = "ppm",
		.doc = "share of a shared meter that this unit bears"),
	FIELD(struct mrv_point, nameplate_per_hour, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0,
		.max = INT64_C(1000000000000), .doc = "the worst an hour can cost: kg, or Wh for energy"),
	FIELD_END};

const struct field mrv_sensor_fields[] = {
	FIELD(struct mrv_sensor, id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the sensor"),
	FIELD(struct mrv_sensor, point_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "its metering point"),
	FIELD(struct mrv_sensor, tag, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 100, .doc = "its tag"),
	FIELD(struct mrv_sensor, quantity, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40,
		.doc = "what it measures"),
	FIELD(struct mrv_sensor, unit, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 24, .doc = "UCUM code"),
	FIELD(struct mrv_sensor, sampling_period_us, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1000,
		.max = CLOCK_US_PER_DAY, .unit = "us", .doc = "time between two readings"),
	FIELD(struct mrv_sensor, systematic_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = PPM,
		.unit = "ppm", .doc = "relative standard uncertainty that does not shrink with the number of readings"),
	FIELD(struct mrv_sensor, random_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = PPM, .unit = "ppm",
		.doc = "relative standard uncertainty of one reading"),
	FIELD(struct mrv_sensor, primary, FIELD_BOOL, .doc = "the one that quantification reads"),
	FIELD(struct mrv_sensor, manufacturer, FIELD_TEXT, .max = 100, .doc = "manufacturer"),
	FIELD(struct mrv_sensor, serial_number, FIELD_TEXT, .max = 100, .doc = "serial number"), FIELD_END};

const struct field mrv_calibration_fields[] = {
	FIELD(struct mrv_calibration, id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the certificate's record"),
	FIELD(struct mrv_calibration, sensor_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the sensor"),
	FIELD(struct mrv_calibration, certificate, FIELD_TEXT, .max = 200, .doc = "certificate number"),
	FIELD(struct mrv_calibration, laboratory, FIELD_TEXT, .max = 200, .doc = "laboratory"),
	FIELD_AS(struct mrv_calibration, performed_us, "performed", FIELD_TIME, .flags = FIELD_REQUIRED,
		.doc = "when it was done"),
	FIELD_AS(struct mrv_calibration, valid_from_us, "valid_from", FIELD_TIME, .flags = FIELD_REQUIRED,
		.doc = "in force from"),
	FIELD_AS(struct mrv_calibration, valid_until_us, "valid_until", FIELD_TIME, .doc = "in force until"),
	FIELD(struct mrv_calibration, factor, FIELD_DECIMAL, .doc = "true = (raw + offset) × factor"),
	FIELD(struct mrv_calibration, offset, FIELD_DECIMAL, .doc = "in the sensor's unit"),
	FIELD(struct mrv_calibration, as_found_drift, FIELD_DECIMAL, .doc = "(as-found − true) ÷ true"),
	FIELD(struct mrv_calibration, uncertainty_ppm, FIELD_INT, .min = 0, .max = PPM, .unit = "ppm",
		.doc = "relative standard uncertainty (k = 1)"),
	FIELD(struct mrv_calibration, document_hash, FIELD_HASH, .doc = "SHA-256 of the certificate"),
	FIELD(struct mrv_calibration, position, FIELD_INT, .min = 0, .max = COUNT_MAX,
		.doc = "of its record in the audit log"),
	FIELD_END};

const struct field mrv_overlay_fields[] = {
	FIELD(struct mrv_overlay, id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the overlay's record"),
	FIELD(struct mrv_overlay, sensor_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the sensor"),
	FIELD_AS(struct mrv_overlay, from_us, "from", FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "from"),
	FIELD_AS(struct mrv_overlay, to_us, "to", FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "to"),
	FIELD(struct mrv_overlay, quality, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = series_quality_names,
		.doc = "the quality that readings in it have"),
	FIELD(struct mrv_overlay, reason, FIELD_TEXT, .max = 1000, .doc = "why"),
	FIELD(struct mrv_overlay, model_hash, FIELD_HASH, .doc = "the model that said so"),
	FIELD(struct mrv_overlay, feature_hash, FIELD_HASH, .doc = "what it looked at"),
	FIELD(struct mrv_overlay, position, FIELD_INT, .min = 0, .max = COUNT_MAX,
		.doc = "of its record in the audit log"),
	FIELD_END};

const struct field mrv_claim_fields[] = {
	FIELD(struct mrv_claim, point_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the metering point"),
	FIELD(struct mrv_claim, first_hour, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = 100000000, .unit = "h",
		.doc = "hours since 1970"),
	FIELD(struct mrv_claim, hours, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = HOURS_MAX, .unit = "h",
		.doc = "how many"),
	FIELD(struct mrv_claim, slot, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = MRV_EARLIER_MAX,
		.doc = "0 in the first batch of these hours"),
	FIELD_END};

const struct field mrv_earlier_fields[] = {
	FIELD(struct mrv_earlier, evidence_root, FIELD_HASH, .flags = FIELD_REQUIRED, .doc = "its evidence root"),
	FIELD(struct mrv_earlier, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = -KG_MAX, .max = KG_MAX, .unit = "kg",
		.doc = "what was issued; negative: reversed"),
	FIELD_END};

const struct field mrv_manifest_fields[] = {
	FIELD(struct mrv_manifest, id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the submission"),
	FIELD(struct mrv_manifest, period_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the monitoring period"),
	FIELD(struct mrv_manifest, first_id, FIELD_ID, .flags = FIELD_REQUIRED,
		.doc = "the first submission of these hours"),
	FIELD(struct mrv_manifest, part, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = 1000,
		.doc = "which part of the period"),
	FIELD(struct mrv_manifest, slot, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = MRV_EARLIER_MAX,
		.doc = "how many batches were issued from these hours before"),
	FIELD(struct mrv_manifest, org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the supplier"),
	FIELD(struct mrv_manifest, project_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the project"),
	FIELD(struct mrv_manifest, unit_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "the capture unit"),
	FIELD(struct mrv_manifest, unit_code, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 2, .max = 8,
		.doc = "its code in serial numbers"),
	FIELD(struct mrv_manifest, country, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 2, .max = 2,
		.doc = "ISO 3166-1 alpha-2"),
	FIELD(struct mrv_manifest, methodology, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 2, .max = 10,
		.doc = "the methodology's code"),
	FIELD(struct mrv_manifest, methodology_version, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = 1000000,
		.doc = "its version"),
	FIELD(struct mrv_manifest, methodology_hash, FIELD_HASH, .flags = FIELD_REQUIRED, .doc = "its hash"),
	FIELD(struct mrv_manifest, factors_hash, FIELD_HASH, .flags = FIELD_REQUIRED,
		.doc = "the emission factor set's hash"),
	FIELD(struct mrv_manifest, kind, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = mrv_kinds,
		.doc = "removal or reduction"),
	FIELD(struct mrv_manifest, durability_class, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40,
		.doc = "class of durability"),
	FIELD(struct mrv_manifest, risk_score, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = 1000,
		.doc = "score of the risk questionnaire"),
	FIELD(struct mrv_manifest, vintage, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1970, .max = 9999,
		.doc = "the year it physically happened"),
	FIELD_AS(struct mrv_manifest, from_us, "from", FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "first hour"),
	FIELD_AS(struct mrv_manifest, to_us, "to", FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "end of the last hour"),
	FIELD(struct mrv_manifest, quantity_kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = KG_MAX,
		.unit = "kg", .doc = "of all hours at these revisions"),
	FIELD(struct mrv_manifest, kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = KG_MAX, .unit = "kg",
		.doc = "of this batch"),
	FIELD(struct mrv_manifest, buffer_kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = KG_MAX, .unit = "kg",
		.doc = "to the buffer"),
	FIELD(struct mrv_manifest, supplier_kg, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = KG_MAX,
		.unit = "kg", .doc = "to the supplier"),
	FIELD(struct mrv_manifest, quorum, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = 32,
		.doc = "verifiers that must sign"),
	FIELD(struct mrv_manifest, claims, FIELD_LIST, .flags = FIELD_REQUIRED, .min = 1, .max = POINTS_MAX * 64,
		.table = mrv_claim_fields, .item_size = sizeof(struct mrv_claim), .doc = "meter-hours claimed"),
	FIELD(struct mrv_manifest, held, FIELD_TEXTS, .min = 0, .max = MRV_HELD_MAX, .doc = "reasons to hold it"),
	FIELD(struct mrv_manifest, earlier, FIELD_LIST, .min = 0, .max = MRV_EARLIER_MAX, .table = mrv_earlier_fields,
		.item_size = sizeof(struct mrv_earlier), .doc = "batches issued earlier from these hours"),
	FIELD_END};

const struct field mrv_attestation_fields[] = {
	FIELD(struct mrv_attestation, verifier_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "who signed"),
	FIELD(struct mrv_attestation, org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "of which organisation"),
	FIELD(struct mrv_attestation, scheme, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = mrv_schemes, .doc = "how"),
	FIELD(struct mrv_attestation, key, FIELD_HASH, .flags = FIELD_REQUIRED, .doc = "the public key, hex"),
	FIELD(struct mrv_attestation, signature, FIELD_BYTES, .flags = FIELD_REQUIRED, .min = 64, .max = 64,
		.doc = "over the evidence root"),
	FIELD_AS(struct mrv_attestation, signed_us, "signed", FIELD_TIME, .flags = FIELD_REQUIRED,
		.doc = "when it was taken in"),
	FIELD_END};

const struct field mrv_issue_fields[] = {FIELD(struct mrv_issue, batch, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1,
						 .max = COUNT_MAX, .doc = "the batch's number"),
	FIELD(struct mrv_issue, serials, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 120,
		.doc = "serial numbers of the whole batch"),
	FIELD_AS(struct mrv_issue, issued_us, "issued", FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "when"),
	FIELD(struct mrv_issue, stream, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 63, .doc = "the journal"),
	FIELD(struct mrv_issue, record, FIELD_BYTES, .flags = FIELD_REQUIRED, .min = 1, .max = 1 << 20,
		.doc = "the record's bytes: the leaf"),
	FIELD(struct mrv_issue, index, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = COUNT_MAX,
		.doc = "the leaf's index"),
	FIELD(struct mrv_issue, tree_size, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = COUNT_MAX,
		.doc = "leaves in the tree"),
	FIELD(struct mrv_issue, proof, FIELD_TEXTS, .min = 0, .max = MERKLE_PROOF_MAX, .doc = "inclusion proof, hex"),
	FIELD(struct mrv_issue, checkpoint, FIELD_JSON, .flags = FIELD_REQUIRED,
		.doc = "the signed checkpoint that holds the tree's root"),
	FIELD_END};
