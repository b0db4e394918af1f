/* Private face of evidence: the service, pictures of a unit, the steps of a submission. */
#ifndef EVIDENCE_PARTS_H
#define EVIDENCE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/engine.h"
#include "carbond/evidence.h"
#include "carbond/sensing.h"

enum { JOBS_KEPT = 256, STEP_SIZE = 64, ERROR_SIZE = 512 };

#define EVIDENCE_ARENA_BYTES (1u << 30) /* a year of meter-hours with their rows */
#define CLOSE_DEADLINE_US    (60 * CLOCK_US_PER_SECOND)
#define VIEWS_WAIT_US        (CLOCK_US_PER_SECOND / 5)
#define COMMAND_DEADLINE_US  (60 * CLOCK_US_PER_SECOND)
#define VIEWS_DEADLINE_US    (5 * CLOCK_US_PER_SECOND)
#define REVIEW_INTERVAL_US   (5 * CLOCK_US_PER_SECOND)
#define PARTS_MAX            1000

struct job_slot {
	struct job job;
	char step[STEP_SIZE], error[ERROR_SIZE];
};

struct evidence {
	struct store *store;
	struct audit *audit;
	struct sensing *sensing;
	struct engine *engine;
	char node[32];
	struct mailbox *mailbox;
	struct thread *thread;
	struct engine_consumer *consumer;
	atomic_bool stopping;
	atomic_bool left_over;  /* a period may be `submitting` that no task runs */
	atomic_bool look_again; /* the journal decided a submission: its reviews can go on */

	pthread_mutex_t lock;            /* the jobs, the count of reviews, what the journal's consumer has followed */
	pthread_cond_t changed;          /* of reviews_done and followed */
	struct job_slot jobs[JOBS_KEPT]; /* a ring, newest at job_count − 1 */
	size_t job_count;
	int64_t reviews_asked, reviews_done;
	int64_t followed; /* number of the last journal record that the consumer handled since the start */

	/* evidence thread only */
	bool led;                /* in the turn before */
	uint64_t seen_audit_seq; /* sum of the audit streams' heads at the last look */
	struct id seen_review;   /* the newest open one then */
};

/* ---- jobs ---- */

void job_add(struct evidence *evidence, const struct job *job);
void job_step(struct evidence *evidence, struct id id, const char *step);
void job_end(struct evidence *evidence, struct id id, enum err err, const struct err_info *info);

/* ---- documents ---- */

enum err methodology_load(struct evidence *evidence, const char *code, int64_t version, struct arena *arena,
	const struct mrv_methodology **ret_methodology, struct err_info *info) MUST_CHECK;
enum err factors_load(struct evidence *evidence, const char *code, int64_t version, struct arena *arena,
	const struct mrv_factors **ret_factors, struct err_info *info) MUST_CHECK;
/* Publishes the files of a folder's methodologies/ and factors/. */
enum err files_publish(struct evidence *evidence, const char *folder, struct err_info *info) MUST_CHECK;

/* ---- pictures: a unit as it is quantified ---- */

struct picture {
	struct mrv_case the_case;
	struct mrv_source source;
	struct evidence *evidence;
	struct arena *arena;
	bool with_open;              /* hours that are not closed count too: dry runs */
	struct picture_hours *hours; /* cache of buckets; freed with the arena */
	struct read_run *runs;       /* stored pictures: which revision of which hour, by (sensor, first hour) */
	size_t run_count;
};

/* As configured now, newest revisions. */
enum err picture_now(struct evidence *evidence, const struct project *project, int64_t from_us, int64_t to_us,
	struct arena *arena, struct picture **ret_picture, struct err_info *info) MUST_CHECK;
/* As a submission saw it. */
enum err picture_stored(struct evidence *evidence, const struct submission *submission, struct arena *arena,
	struct picture **ret_picture, struct err_info *info) MUST_CHECK;
/* Turns a stored picture to the newest revisions and to the calibrations and overlays that there are now. */
enum err picture_refresh(struct picture *picture, struct err_info *info) MUST_CHECK;
/* What picture_stored needs, in the arena. */
enum err picture_inputs(const struct picture *picture, const struct mrv_result *result, struct arena *arena,
	json_t **ret_inputs, struct err_info *info) MUST_CHECK;
/* The revision of one hour that a stored picture holds; 0: none. */
int64_t picture_revision(const struct picture *picture, struct id sensor, int64_t hour_us);

/* ---- submissions ---- */

/* Ids made from others, so that each step can be repeated: a UUIDv7 with the time of `base`. */
struct id derived_id(struct id base, const char *what, int64_t number);

struct span {
	int64_t from_us, to_us;
};
/* Cuts a period at year boundaries and where a batch would claim more hours than it may. */
enum err cut_period(int64_t from_us, int64_t to_us, size_t claimable_points, struct span *ret_spans, size_t capacity,
	size_t *ret_count, struct err_info *info) MUST_CHECK;

/* Closes, pins, quantifies and stores one submission. `manifest` has its ids, slot, earlier batches and, for slot > 0,
 * claims. The row's strings live in the arena. */
enum err submission_prepare(struct evidence *evidence, struct picture *picture, struct mrv_result *result,
	struct mrv_manifest *manifest, int state, struct arena *arena, struct submission *ret_row,
	struct err_info *info) MUST_CHECK;
enum err submission_close_hours(
	struct evidence *evidence, const struct picture *picture, struct err_info *info) MUST_CHECK;
enum err submission_send(struct evidence *evidence, const struct submission *row, struct id actor, struct arena *arena,
	struct err_info *info) MUST_CHECK;
/* Sends one that was prepared before a crash, as the period's submitter. */
enum err submission_resend(
	struct evidence *evidence, const struct submission *row, struct arena *arena, struct err_info *info) MUST_CHECK;
enum err submission_read(struct evidence *evidence, struct id id, struct arena *arena, struct submission *ret_row,
	struct err_info *info) MUST_CHECK;
/* Changes the row under its version, with an audit record. */
enum err submission_write(struct evidence *evidence, const struct submission *old_row, struct submission *row,
	const char *action, struct err_info *info) MUST_CHECK;
enum err submission_unpin(
	struct evidence *evidence, const struct submission *row, struct arena *arena, struct err_info *info) MUST_CHECK;
/* *ret_ran: false where an earlier run of the job has ended the period. */
enum err period_run(
	struct evidence *evidence, struct id period, struct id job, bool *ret_ran, struct err_info *info) MUST_CHECK;
enum err period_write(struct evidence *evidence, const struct audit_actor *actor, const struct period *old_row,
	struct period *row, const char *action, struct err_info *info) MUST_CHECK;

/* ---- what follows: the journal and the reviews ---- */

/* Waits for a change until `deadline_us` (monotonic), the lock held. ERR_DEADLINE. */
enum err evidence_wait(struct evidence *evidence, int64_t deadline_us, struct err_info *info) MUST_CHECK;
/* Waits until the consumer has followed the journal to `position`. ERR_DEADLINE. */
enum err chain_wait(struct evidence *evidence, int64_t position, int64_t deadline_us, struct err_info *info) MUST_CHECK;
enum err chain_each(void *context, const struct event *events, size_t count, struct err_info *info);
/* Looks at new audit records and open reviews; evidence thread. */
enum err review_run(struct evidence *evidence, struct err_info *info) MUST_CHECK;

#endif
