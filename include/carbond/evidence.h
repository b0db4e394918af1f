/* evidence: turns a monitoring period into a submission: it closes and pins the buckets, quantifies, keeps the manifest,
 * submits to the engine, streams the pack, and quantifies again when late data, calibrations or overlays change hours that a
 * batch cites. Long work runs as jobs on the one evidence thread; the other calls block on the store (worker threads). */
#ifndef CARBOND_EVIDENCE_H
#define CARBOND_EVIDENCE_H

#include "carbond/audit.h"
#include "carbond/mrv.h"
#include "carbond/runtime.h"
#include "carbond/store.h"

struct evidence;
struct engine;
struct sensing;

/* ---- resources ---- */

/* What is credited, by which methodology. `version` is the ETag. Members from `methodology` on may change only while no
 * period of the project is under way. */
struct project {
	struct id id, org_id, unit_id;
	int64_t version;
	const char *name;
	const char *methodology; /* code */
	int64_t methodology_version;
	int kind, storage;
	int64_t atmospheric_ppm, biogenic_ppm, fossil_ppm, recycled_ppm;
	const char *durability_class;
	int64_t risk_score;
	const char *factor_set;
	int64_t factor_set_version;
	const char *electricity_factor;
	int64_t crediting_from_us, crediting_to_us;
	struct field_list schedules; /* struct mrv_schedule */
	int state;                   /* project_states: active, closed */
	int64_t created_us, updated_us;
};

/* A published methodology or factor set: immutable, by (code, version). */
struct published {
	const char *code;
	int64_t version;
	const char *title;
	struct hash hash;
	json_t *document;
	int64_t created_us;
};

/* A monitoring period. Its value life (submitted, attested, issued, withdrawn …) is the engine's; `state` is how far evidence
 * has come. */
struct period {
	struct id id, org_id, project_id, unit_id;
	int64_t version;
	int64_t from_us, to_us; /* whole hours */
	int state;              /* period_states: draft, submitting, submitted, failed, withdrawn */
	int64_t parts;          /* submissions that it was cut into */
	const char *failure;    /* why it failed */
	struct id job_id;       /* of its submission */
	struct id submitted_by; /* actor */
	int64_t created_us, updated_us;
};

/* One batch to be: a part of a period, or the difference that later data made. The manifest is what the pack is streamed
 * from. */
struct submission {
	struct id id, org_id, project_id, period_id, first_id;
	int64_t version;
	int64_t part, slot;
	int64_t from_us, to_us;
	int64_t quantity_kg, kg, buffer_kg;
	struct hash evidence_root;
	json_t *manifest;       /* canonical members of mrv_manifest */
	json_t *inputs;         /* project, points, sensors, calibrations, overlays and read revisions, as quantified */
	int state;              /* submission_states: prepared, submitted, issued, withdrawn, refused, reversal */
	int64_t batch;          /* number, once issued */
	int64_t issue_position; /* number of its issue record in the journal */
	int64_t created_us, updated_us;
};

/* What a review found: the record that caused it names it, so that it happens once. */
struct requantification {
	struct id id, org_id;    /* id: of the review row, calibration or overlay */
	struct id submission_id; /* the first submission of the hours */
	int64_t version;
	int cause; /* requantification_causes: late_data, calibration, overlay */
	int64_t before_kg, after_kg;
	int outcome;             /* requantification_outcomes: none, difference, reversal, recorded */
	struct id difference_id; /* the further submission */
	int64_t created_us;
};

extern const char *const project_states[], *const period_states[], *const submission_states[];
extern const char *const requantification_causes[], *const requantification_outcomes[], *const job_states[];
extern const struct field project_fields[], published_fields[], period_fields[], submission_fields[],
	requantification_fields[], job_fields[];
extern const struct store_collection projects_collection, methodologies_collection, factor_sets_collection,
	periods_collection, submissions_collection, requantifications_collection;
extern const struct store_collection *const evidence_collections[]; /* NULL-terminated */

/* ---- life cycle ---- */

struct evidence_options {
	struct store *store;
	struct audit *audit;
	struct sensing *sensing;
	struct engine *engine;
	const char *node;
	size_t queue;              /* jobs waiting at most; default 64 */
	const char *config_folder; /* shipped methodologies/ and factors/ to publish at start; NULL: none */
};

/* Publishes what ships, goes on with what was under way, starts the thread. */
enum err evidence_start(
	const struct evidence_options *options, struct evidence **ret_evidence, struct err_info *info) MUST_CHECK;
void evidence_stop(struct evidence **evidence);

/* ---- configuration ---- */

/* As sensing's resources: id made here unless set, version becomes 1, `expect` is the If-Match version (FIELD_ABSENT: any).
 * ERR_INVALID_FIELD where project and methodology do not fit, ERR_NOT_FOUND (unit, methodology, factor set). */
enum err evidence_project_create(struct evidence *evidence, const struct audit_actor *actor, struct project *row,
	struct err_info *info) MUST_CHECK;
enum err evidence_project_update(struct evidence *evidence, const struct audit_actor *actor, struct project *row,
	int64_t expect, struct err_info *info) MUST_CHECK;

/* Publishes a document; the same one twice is one. ERR_DUPLICATE for other content under a published (code, version). */
enum err evidence_methodology_publish(struct evidence *evidence, const struct audit_actor *actor,
	const json_t *document, struct arena *arena, struct published *ret_row, struct err_info *info) MUST_CHECK;
enum err evidence_factors_publish(struct evidence *evidence, const struct audit_actor *actor, const json_t *document,
	struct arena *arena, struct published *ret_row, struct err_info *info) MUST_CHECK;

/* ---- periods ---- */

/* Creates a draft. ERR_INVALID_FIELD (whole hours, inside the crediting period, not in the future), ERR_NOT_FOUND (project).
 * Worker threads. */
enum err evidence_period_create(struct evidence *evidence, const struct audit_actor *actor, struct period *row,
	struct err_info *info) MUST_CHECK;

/* Quantifies without closing anything; hours that are still open count as they are. One result a part. Blocks; any thread that
 * may. Arrays in the arena. */
enum err evidence_dry_run(struct evidence *evidence, struct id period, struct arena *arena, struct mrv_case **ret_cases,
	struct mrv_result ***ret_results, size_t *ret_parts, struct err_info *info) MUST_CHECK;

/* A job: 202 with its id; ask by evidence_job. */
struct job {
	struct id id, org_id, subject; /* subject: the period */
	int state;                     /* job_states: queued, running, done, failed */
	const char *step;              /* "closing buckets", "quantifying" … */
	const char *error;             /* slug and detail, where failed */
	int64_t created_us, updated_us;
};

/* close buckets → pin → manifest rows → engine submit, repeatable under the period's id. `command_id` is the
 * Idempotency-Key: it is the job's id. ERR_BUSY when the queue is full. */
enum err evidence_submit(struct evidence *evidence, const struct audit_actor *actor, struct id period,
	struct id command_id, struct job *ret_job, struct err_info *info) MUST_CHECK;
/* ERR_NOT_FOUND. Strings in the arena. Never blocks long. */
enum err evidence_job(struct evidence *evidence, struct id job, struct arena *arena, struct job *ret_job,
	struct err_info *info) MUST_CHECK;

/* Writes the pack of a submission through `write`: core, then what is there of signatures, issue record and checkpoint.
 * Blocks. ERR_NOT_FOUND, ERR_EVIDENCE_CHANGED, or what `write` returns. */
enum err evidence_pack(struct evidence *evidence, struct id submission,
	enum err (*write)(void *context, const void *data, size_t size, struct err_info *info), void *context,
	struct err_info *info) MUST_CHECK;

/* Looks through new audit records (calibrations, overlays) and open reviews now, and waits until they are dealt with. The
 * thread does the same by itself every few seconds. */
enum err evidence_review(struct evidence *evidence, int64_t deadline_us, struct err_info *info) MUST_CHECK;

#endif
