/* The collections of evidence: projects, published documents, periods, submissions, re-quantifications; all of class value,
 * for they are primaries. Constant. */
#include "parts.h"

const char *const project_states[] = {"active", "closed", NULL};
const char *const period_states[] = {"draft", "submitting", "submitted", "failed", "withdrawn", NULL};
const char *const submission_states[] = {"prepared", "submitted", "issued", "withdrawn", "refused", "reversal", NULL};
const char *const requantification_causes[] = {"late_data", "calibration", "overlay", NULL};
const char *const requantification_outcomes[] = {"none", "difference", "reversal", "recorded", NULL};
const char *const job_states[] = {"queued", "running", "done", "failed", NULL};

#define SERVER   FIELD_READ_ONLY
#define REQUIRED FIELD_REQUIRED
#define FIXED    (FIELD_REQUIRED | FIELD_FIXED)

const struct field project_fields[] = {FIELD(struct project, id, FIELD_ID, .flags = SERVER, .doc = "The project's id"),
	FIELD(struct project, org_id, FIELD_ID, .flags = FIELD_FIXED,
		.doc = "Its organisation; the caller's own where left out"),
	FIELD(struct project, unit_id, FIELD_ID, .flags = FIXED, .doc = "The capture unit"),
	FIELD(struct project, version, FIELD_INT, .flags = SERVER, .min = 1, .max = LIMIT_JSON_INTEGER,
		.doc = "Rises with each change: the ETag"),
	FIELD(struct project, name, FIELD_TEXT, .flags = REQUIRED, .min = 1, .max = 200, .doc = "Name"),
	FIELD(struct project, methodology, FIELD_TEXT, .flags = REQUIRED, .min = 2, .max = 10,
		.doc = "Code of a published methodology"),
	FIELD(struct project, methodology_version, FIELD_INT, .flags = REQUIRED, .min = 1, .max = 1000000,
		.doc = "Its version"),
	FIELD(struct project, kind, FIELD_ENUM, .flags = REQUIRED, .names = mrv_kinds,
		.doc = "What its credits are; decided by the CO2's origin"),
	FIELD(struct project, storage, FIELD_ENUM, .flags = REQUIRED, .names = mrv_storages,
		.doc = "How the CO2 is kept; enhanced oil recovery is refused"),
	FIELD(struct project, atmospheric_ppm, FIELD_INT, .flags = REQUIRED, .min = 0, .max = 1000000, .unit = "ppm",
		.doc = "Share of the CO2 that came from the air"),
	FIELD(struct project, biogenic_ppm, FIELD_INT, .flags = REQUIRED, .min = 0, .max = 1000000, .unit = "ppm",
		.doc = "Share from biomass"),
	FIELD(struct project, fossil_ppm, FIELD_INT, .flags = REQUIRED, .min = 0, .max = 1000000, .unit = "ppm",
		.doc = "Share from fossil fuel or rock"),
	FIELD(struct project, recycled_ppm, FIELD_INT, .flags = REQUIRED, .min = 0, .max = 1000000, .unit = "ppm",
		.doc = "Share that was captured before; never counted"),
	FIELD(struct project, durability_class, FIELD_TEXT, .flags = REQUIRED, .min = 1, .max = 40,
		.doc = "The methodology's class of durability"),
	FIELD(struct project, risk_score, FIELD_INT, .flags = REQUIRED, .min = 0, .max = 1000,
		.doc = "Score of the risk questionnaire; it decides the buffer's share"),
	FIELD(struct project, factor_set, FIELD_TEXT, .flags = REQUIRED, .min = 1, .max = 40,
		.doc = "Code of a published emission factor set"),
	FIELD(struct project, factor_set_version, FIELD_INT, .flags = REQUIRED, .min = 1, .max = 1000000,
		.doc = "Its version"),
	FIELD(struct project, electricity_factor, FIELD_TEXT, .flags = REQUIRED, .min = 1, .max = 64,
		.doc = "Id of the factor of the electricity used"),
	FIELD_AS(struct project, crediting_from_us, "crediting_from", FIELD_TIME, .flags = REQUIRED,
		.doc = "Start of the crediting period"),
	FIELD_AS(struct project, crediting_to_us, "crediting_to", FIELD_TIME, .flags = REQUIRED,
		.doc = "End of the crediting period"),
	FIELD(struct project, schedules, FIELD_LIST, .min = 0, .max = 200, .table = mrv_schedule_fields,
		.item_size = sizeof(struct mrv_schedule),
		.doc = "Amounts that no meter shows: materials, embodied emissions …"),
	FIELD(struct project, state, FIELD_ENUM, .names = project_states, .doc = "active where left out"),
	FIELD_AS(struct project, created_us, "created_at", FIELD_TIME, .flags = SERVER, .doc = "When it was created"),
	FIELD_AS(struct project, updated_us, "updated_at", FIELD_TIME, .flags = SERVER, .doc = "Last change"),
	FIELD_END};

const struct field published_fields[] = {
	FIELD(struct published, code, FIELD_TEXT, .flags = SERVER, .min = 1, .max = 40, .doc = "Code"),
	FIELD(struct published, version, FIELD_INT, .flags = SERVER, .min = 1, .max = 1000000, .doc = "Version"),
	FIELD(struct published, title, FIELD_TEXT, .flags = SERVER, .max = 200, .doc = "Title"),
	FIELD(struct published, hash, FIELD_HASH, .flags = SERVER, .doc = "SHA-256 of the canonical document"),
	FIELD(struct published, document, FIELD_JSON, .flags = SERVER, .doc = "The document"),
	FIELD_AS(struct published, created_us, "created_at", FIELD_TIME, .flags = SERVER,
		.doc = "When it was published"),
	FIELD_END};

const struct field period_fields[] = {FIELD(struct period, id, FIELD_ID, .flags = SERVER, .doc = "The period's id"),
	FIELD(struct period, org_id, FIELD_ID, .flags = SERVER, .doc = "Its organisation"),
	FIELD(struct period, project_id, FIELD_ID, .flags = FIXED, .doc = "The project"),
	FIELD(struct period, unit_id, FIELD_ID, .flags = SERVER, .doc = "The capture unit"),
	FIELD(struct period, version, FIELD_INT, .flags = SERVER, .min = 1, .max = LIMIT_JSON_INTEGER,
		.doc = "Rises with each change: the ETag"),
	FIELD_AS(struct period, from_us, "from", FIELD_TIME, .flags = FIXED, .doc = "First hour; a whole hour, UTC"),
	FIELD_AS(struct period, to_us, "to", FIELD_TIME, .flags = FIXED, .doc = "End; a whole hour, UTC"),
	FIELD(struct period, state, FIELD_ENUM, .flags = SERVER, .names = period_states,
		.doc = "How far evidence has come; what became of it after submission stands with its submissions"),
	FIELD(struct period, parts, FIELD_INT, .flags = SERVER, .min = 0, .max = 1000,
		.doc = "Submissions that it was cut into"),
	FIELD(struct period, failure, FIELD_TEXT, .flags = SERVER, .max = 1024, .doc = "Why it failed"),
	FIELD(struct period, job_id, FIELD_ID, .flags = SERVER, .doc = "The job that submits it"),
	FIELD(struct period, submitted_by, FIELD_ID, .flags = SERVER, .doc = "Who submitted it"),
	FIELD_AS(struct period, created_us, "created_at", FIELD_TIME, .flags = SERVER, .doc = "When it was created"),
	FIELD_AS(struct period, updated_us, "updated_at", FIELD_TIME, .flags = SERVER, .doc = "Last change"),
	FIELD_END};

const struct field submission_fields[] = {
	FIELD(struct submission, id, FIELD_ID, .flags = SERVER, .doc = "Its id; that of the period for the first part"),
	FIELD(struct submission, org_id, FIELD_ID, .flags = SERVER, .doc = "Its organisation"),
	FIELD(struct submission, project_id, FIELD_ID, .flags = SERVER, .doc = "The project"),
	FIELD(struct submission, period_id, FIELD_ID, .flags = SERVER, .doc = "The monitoring period"),
	FIELD(struct submission, first_id, FIELD_ID, .flags = SERVER, .doc = "The first submission of these hours"),
	FIELD(struct submission, version, FIELD_INT, .flags = SERVER, .min = 1, .max = LIMIT_JSON_INTEGER,
		.doc = "Rises with each change"),
	FIELD(struct submission, part, FIELD_INT, .flags = SERVER, .min = 0, .max = 1000, .doc = "Part of the period"),
	FIELD(struct submission, slot, FIELD_INT, .flags = SERVER, .min = 0, .max = MRV_EARLIER_MAX,
		.doc = "How many batches were issued from these hours before"),
	FIELD_AS(struct submission, from_us, "from", FIELD_TIME, .flags = SERVER, .doc = "First hour"),
	FIELD_AS(struct submission, to_us, "to", FIELD_TIME, .flags = SERVER, .doc = "End"),
	FIELD(struct submission, quantity_kg, FIELD_INT, .flags = SERVER, .min = 0, .max = INT64_C(1000000000000),
		.unit = "kg", .doc = "Quantity of all its hours"),
	FIELD(struct submission, kg, FIELD_INT, .flags = SERVER, .min = 0, .max = INT64_C(1000000000000), .unit = "kg",
		.doc = "Kilograms of this batch, buffer included"),
	FIELD(struct submission, buffer_kg, FIELD_INT, .flags = SERVER, .min = 0, .max = INT64_C(1000000000000),
		.unit = "kg", .doc = "Of which to the buffer"),
	FIELD(struct submission, evidence_root, FIELD_HASH, .flags = SERVER, .doc = "What verifiers sign"),
	FIELD(struct submission, manifest, FIELD_JSON, .flags = SERVER, .doc = "What they vouch for"),
	FIELD(struct submission, inputs, FIELD_JSON, .flags = SERVER, .doc = "What was quantified"),
	FIELD(struct submission, state, FIELD_ENUM, .flags = SERVER, .names = submission_states, .doc = "State"),
	FIELD(struct submission, batch, FIELD_INT, .flags = SERVER, .min = 1, .max = LIMIT_JSON_INTEGER,
		.doc = "The batch's number, once issued"),
	FIELD(struct submission, issue_position, FIELD_INT, .flags = SERVER, .min = 1, .max = LIMIT_JSON_INTEGER,
		.doc = "Number of the journal's issue record"),
	FIELD_AS(struct submission, created_us, "created_at", FIELD_TIME, .flags = SERVER, .doc = "When it was made"),
	FIELD_AS(struct submission, updated_us, "updated_at", FIELD_TIME, .flags = SERVER, .doc = "Last change"),
	FIELD_END};

const struct field requantification_fields[] = {FIELD(struct requantification, id, FIELD_ID, .flags = SERVER,
							.doc = "The review, calibration or overlay that caused it"),
	FIELD(struct requantification, org_id, FIELD_ID, .flags = SERVER, .doc = "Organisation"),
	FIELD(struct requantification, submission_id, FIELD_ID, .flags = SERVER,
		.doc = "The first submission of the hours"),
	FIELD(struct requantification, version, FIELD_INT, .flags = SERVER, .min = 1, .max = LIMIT_JSON_INTEGER,
		.doc = "Version"),
	FIELD(struct requantification, cause, FIELD_ENUM, .flags = SERVER, .names = requantification_causes,
		.doc = "What changed"),
	FIELD(struct requantification, before_kg, FIELD_INT, .flags = SERVER, .min = 0, .max = INT64_C(1000000000000),
		.unit = "kg", .doc = "Issued so far"),
	FIELD(struct requantification, after_kg, FIELD_INT, .flags = SERVER, .min = 0, .max = INT64_C(1000000000000),
		.unit = "kg", .doc = "Quantity now"),
	FIELD(struct requantification, outcome, FIELD_ENUM, .flags = SERVER, .names = requantification_outcomes,
		.doc = "What came of it"),
	FIELD(struct requantification, difference_id, FIELD_ID, .flags = SERVER,
		.doc = "The further submission or the reversal"),
	FIELD_AS(struct requantification, created_us, "created_at", FIELD_TIME, .flags = SERVER, .doc = "When"),
	FIELD_END};

const struct field job_fields[] = {FIELD(struct job, id, FIELD_ID, .flags = SERVER, .doc = "The job's id"),
	FIELD(struct job, org_id, FIELD_ID, .flags = SERVER, .doc = "Organisation"),
	FIELD(struct job, subject, FIELD_ID, .flags = SERVER, .doc = "The period"),
	FIELD(struct job, state, FIELD_ENUM, .flags = SERVER, .names = job_states, .doc = "State"),
	FIELD(struct job, step, FIELD_TEXT, .flags = SERVER, .max = 100, .doc = "What it does now"),
	FIELD(struct job, error, FIELD_TEXT, .flags = SERVER, .max = 1024, .doc = "Why it failed"),
	FIELD_AS(struct job, created_us, "created_at", FIELD_TIME, .flags = SERVER, .doc = "When it was asked for"),
	FIELD_AS(struct job, updated_us, "updated_at", FIELD_TIME, .flags = SERVER, .doc = "Last change"), FIELD_END};

static const struct store_index project_indexes[] = {
	{"by_org", {"org_id"}, false}, {"by_unit", {"org_id", "unit_id"}, false}, {0}};
static const struct store_index period_indexes[] = {{"by_org", {"org_id", "from"}, false},
	{"by_project", {"org_id", "project_id", "from"}, false}, {"by_state", {"state"}, false},
	{"by_job", {"job_id"}, false}, {0}};
static const struct store_index submission_indexes[] = {{"by_org", {"org_id", "created_at"}, false},
	{"by_period", {"period_id", "part", "slot"}, false}, {"by_first", {"first_id", "created_at"}, false},
	{"by_state", {"state"}, false}, {0}};
static const struct store_index requantification_indexes[] = {
	{"by_org", {"org_id"}, false}, {"by_submission", {"submission_id", "created_at"}, false}, {0}};

const struct store_collection projects_collection = {.name = "projects",
	.class = STORE_VALUE,
	.fields = project_fields,
	.row_size = sizeof(struct project),
	.key = {"id"},
	.indexes = project_indexes,
	.shard_key = "org_id",
	.watched = true,
	.doc = "Projects: what is credited, by which methodology"};
const struct store_collection methodologies_collection = {.name = "methodologies",
	.class = STORE_VALUE,
	.fields = published_fields,
	.row_size = sizeof(struct published),
	.key = {"code", "version"},
	.shard_key = "code",
	.doc = "Published methodologies, immutable"};
const struct store_collection factor_sets_collection = {.name = "factor_sets",
	.class = STORE_VALUE,
	.fields = published_fields,
	.row_size = sizeof(struct published),
	.key = {"code", "version"},
	.shard_key = "code",
	.doc = "Published emission factor sets, immutable"};
const struct store_collection periods_collection = {.name = "periods",
	.class = STORE_VALUE,
	.fields = period_fields,
	.row_size = sizeof(struct period),
	.key = {"id"},
	.indexes = period_indexes,
	.shard_key = "org_id",
	.doc = "Monitoring periods"};
const struct store_collection submissions_collection = {.name = "submissions",
	.class = STORE_VALUE,
	.fields = submission_fields,
	.row_size = sizeof(struct submission),
	.key = {"id"},
	.indexes = submission_indexes,
	.shard_key = "org_id",
	.doc = "Manifests and inputs of what was submitted: the ground of the packs"};
const struct store_collection requantifications_collection = {.name = "requantifications",
	.class = STORE_VALUE,
	.fields = requantification_fields,
	.row_size = sizeof(struct requantification),
	.key = {"id", "submission_id"},
	.indexes = requantification_indexes,
	.shard_key = "org_id",
	.doc = "What later data, calibrations and overlays changed, each once"};
const struct store_collection *const evidence_collections[] = {&projects_collection, &methodologies_collection,
	&factor_sets_collection, &periods_collection, &submissions_collection, &requantifications_collection, NULL};
