/* The service: its thread takes jobs and looks for reviews; start goes on with what was under way. On a store that daemons share
 * it works where the engine leads, and goes on there with what another has left. */
#include <stdlib.h>
#include <string.h>

#include "carbond/base/log.h"
#include "parts.h"

enum { QUEUE_DEFAULT = 64, PERIODS_RESUMED_MAX = 10000 };

#define IDLE_US CLOCK_US_PER_SECOND /* then it looks whether it leads */

/* ---- the thread ---- */

struct task {
	struct id period, job;
};

static void run_task(struct evidence *evidence, struct task *task)
{
	struct err_info info = {0};
	bool ran = false;
	enum err err = period_run(evidence, task->period, task->job, &ran, &info);
	if (ran)
		job_end(evidence, task->job, err, &info);
	if (err) {
		atomic_store(&evidence->left_over, true);
		char id[ID_TEXT_SIZE];
		log_failure("period_submit", &info, "period", id_text(task->period, id), NULL);
	}
	free(task);
}

static enum err put_task(struct evidence *evidence, struct id period, struct id job, struct err_info *info)
{
	struct task *task = malloc(sizeof *task);
	if (!task)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the job");
	*task = (struct task){period, job};
	enum err err = mailbox_put(evidence->mailbox, task);
	if (err) {
		free(task);
		return err_set(info, err, "", "too many periods are being submitted; try again shortly");
	}
	return ERR_OK;
}

/* Periods that are being submitted and that nobody runs: of the last run, or those whose end could not be written. */
static enum err resume(struct evidence *evidence, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct period low = {.state = 1};
	struct store_query query = {.collection = &periods_collection,
		.index = "by_state",
		.low = &low,
		.prefix = 1,
		.most = PERIODS_RESUMED_MAX};
	void *found = NULL;
	size_t count = 0;
	enum err err = arena ? store_find(evidence->store, &query, arena, &found, &count, info)
			     : err_set(info, ERR_NO_MEMORY, "", "no memory to go on with periods");
	const struct period *rows = found;
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		struct job job = {.id = rows[i].job_id,
			.org_id = rows[i].org_id,
			.subject = rows[i].id,
			.created_us = rows[i].updated_us,
			.updated_us = rows[i].updated_us};
		job_add(evidence, &job);
		err = put_task(evidence, rows[i].id, rows[i].job_id, info);
	}
	if (err == ERR_BUSY) { /* more than the queue holds: the rest is taken up later */
		atomic_store(&evidence->left_over, true);
		err = ERR_OK;
	}
	arena_free(&arena);
	return err;
}

/* Once nothing is queued, so that what is queued is not queued again. */
static void take_up_left_over(struct evidence *evidence)
{
	struct err_info info = {0};
	if (mailbox_depth(evidence->mailbox) > 0 || !atomic_exchange(&evidence->left_over, false))
		return;
	if (resume(evidence, &info) != ERR_OK) {
		atomic_store(&evidence->left_over, true);
		log_failure("periods_taken_up", &info, NULL);
	}
}

/* What was under way elsewhere when the lead came here is taken up, and everything is looked at again. */
static bool leads_now(struct evidence *evidence)
{
	bool leads = engine_leads(evidence->engine);
	if (leads && !evidence->led) {
		atomic_store(&evidence->left_over, true);
		atomic_store(&evidence->look_again, true);
	}
	evidence->led = leads;
	return leads;
}

/* A failed look is told once an interval and tried again at the next. */
static void run_reviews(struct evidence *evidence)
{
	struct err_info info = {0};
	pthread_mutex_lock(&evidence->lock);
	int64_t asked = evidence->reviews_asked;
	pthread_mutex_unlock(&evidence->lock);
	if (review_run(evidence, &info) != ERR_OK && !atomic_load(&evidence->stopping))
		log_failure("evidence_review", &info, NULL);
	pthread_mutex_lock(&evidence->lock);
	evidence->reviews_done = asked;
	pthread_cond_broadcast(&evidence->changed);
	pthread_mutex_unlock(&evidence->lock);
}

static bool review_is_asked(struct evidence *evidence)
{
	pthread_mutex_lock(&evidence->lock);
	bool asked = evidence->reviews_asked > evidence->reviews_done;
	pthread_mutex_unlock(&evidence->lock);
	return asked;
}

static void evidence_run(void *argument)
{
	struct evidence *evidence = argument;
	int64_t next_us = clock_monotonic_us();
	while (!mailbox_closed(evidence->mailbox) || mailbox_depth(evidence->mailbox) > 0) {
		void *items[1];
		size_t count = mailbox_take(evidence->mailbox, items, 1, next_us);
		/* NULL-like items only wake: a task without a period */
		bool may_work = leads_now(evidence) && !atomic_load(&evidence->stopping);
		if (count && !id_is_none(((struct task *)items[0])->period) && may_work)
			run_task(evidence, items[0]);
		else if (count)
			free(items[0]);
		bool due = clock_monotonic_us() >= next_us || review_is_asked(evidence);
		if (due && !may_work)
			next_us = clock_monotonic_us() + IDLE_US;
		else if (due) {
			take_up_left_over(evidence);
			run_reviews(evidence);
			next_us = clock_monotonic_us() + REVIEW_INTERVAL_US;
		}
	}
}

enum err evidence_wait(struct evidence *evidence, int64_t deadline_us, struct err_info *info)
{
	int64_t left_us = deadline_us - clock_monotonic_us();
	int64_t until_us = clock_wall_us() + (left_us > 0 ? left_us : 0);
	struct timespec until = {until_us / CLOCK_US_PER_SECOND, until_us % CLOCK_US_PER_SECOND * 1000};
	if (left_us <= 0 || atomic_load(&evidence->stopping))
		return err_set(info, ERR_DEADLINE, "", "evidence has not come so far yet; try again");
	pthread_cond_timedwait(&evidence->changed, &evidence->lock, &until);
	return ERR_OK;
}

enum err evidence_review(struct evidence *evidence, int64_t deadline_us, struct err_info *info)
{
	pthread_mutex_lock(&evidence->lock);
	int64_t ticket = ++evidence->reviews_asked;
	pthread_mutex_unlock(&evidence->lock);
	enum err err = put_task(evidence, (struct id){{0}}, (struct id){{0}}, info);
	pthread_mutex_lock(&evidence->lock);
	while (err == ERR_OK && evidence->reviews_done < ticket)
		err = evidence_wait(evidence, deadline_us, info);
	pthread_mutex_unlock(&evidence->lock);
	return err;
}

/* ---- submitting ---- */

enum err evidence_submit(struct evidence *evidence, const struct audit_actor *actor, struct id period,
	struct id command_id, struct job *ret_job, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct period old_row = {.id = period};
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the job");
	if (!engine_leads(evidence->engine)) {
		arena_free(&arena);
		return err_set(info, ERR_NOT_LEADER, "", "the daemon that leads submits periods");
	}
	enum err err = store_get(evidence->store, &periods_collection, &old_row, arena, info);
	bool repeated = err == ERR_OK && id_equal(old_row.job_id, command_id);
	if (err == ERR_OK && !repeated && old_row.state != 0 && old_row.state != 3)
		err = err_set(info, ERR_PERIOD_STATE, "", "the period is %s; only a draft or a failed one is submitted",
			period_states[old_row.state]);
	if (err == ERR_OK && old_row.to_us > clock_wall_us())
		err = err_set(info, ERR_PERIOD_STATE, "/to", "the period has not ended yet");
	int64_t now_us = clock_wall_us();
	*ret_job = (struct job){.id = command_id,
		.org_id = old_row.org_id,
		.subject = period,
		.created_us = now_us,
		.updated_us = now_us};
	if (err == ERR_OK && repeated) {
		err = evidence_job(evidence, command_id, arena, ret_job, info);
		ret_job->step = ret_job->error = NULL; /* they live in this arena */
		goto out;
	}
	struct period row = old_row;
	row.state = 1;
	row.failure = NULL;
	row.job_id = command_id;
	row.submitted_by = actor->user;
	if (err == ERR_OK)
		err = period_write(evidence, actor, &old_row, &row, "period.submitting", info);
	if (err)
		goto out;
	job_add(evidence, ret_job);
	err = put_task(evidence, period, command_id, info);
	if (err) { /* it stays in `submitting` only if this fails too; then the thread takes it up */
		struct err_info fault = {0};
		struct period back = row;
		back.state = old_row.state;
		back.job_id = old_row.job_id;
		if (period_write(evidence, actor, &row, &back, "period.not_submitted", &fault) != ERR_OK) {
			atomic_store(&evidence->left_over, true);
			log_failure("period_not_submitted", &fault, NULL);
		}
		job_end(evidence, command_id, err, info);
	}
out:
	arena_free(&arena);
	return err;
}

/* ---- dry run ---- */

enum err evidence_dry_run(struct evidence *evidence, struct id period, struct arena *arena, struct mrv_case **ret_cases,
	struct mrv_result ***ret_results, size_t *ret_parts, struct err_info *info)
{
	struct period row = {.id = period};
	struct project project;
	struct picture *picture = NULL;
	struct span *spans = ARENA_ARRAY(arena, struct span, PARTS_MAX);
	size_t claimable = 0, count = 0;
	enum err err = spans ? store_get(evidence->store, &periods_collection, &row, arena, info)
			     : err_set(info, ERR_NO_MEMORY, "", "no memory for the dry run");
	project.id = row.project_id;
	if (err == ERR_OK)
		err = store_get(evidence->store, &projects_collection, &project, arena, info);
	if (err == ERR_OK)
		err = picture_now(evidence, &project, row.from_us, row.to_us, arena, &picture, info);
	for (size_t i = 0; err == ERR_OK && i < picture->the_case.point_count; i++)
		claimable += picture->the_case.points[i].claimable;
	if (err == ERR_OK)
		err = cut_period(row.from_us, row.to_us, claimable, spans, PARTS_MAX, &count, info);
	struct mrv_case *cases = ARENA_ARRAY(arena, struct mrv_case, count + 1);
	struct mrv_result **results = ARENA_ARRAY(arena, struct mrv_result *, count + 1);
	if (err == ERR_OK && (!cases || !results))
		err = err_set(info, ERR_NO_MEMORY, "", "no memory for the dry run");
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		err = picture_now(evidence, &project, spans[i].from_us, spans[i].to_us, arena, &picture, info);
		if (err == ERR_OK)
			picture->with_open = true;
		if (err == ERR_OK)
			err = mrv_quantify(&picture->the_case, &picture->source, arena, &results[i], info);
		if (err == ERR_OK)
			cases[i] = picture->the_case;
	}
	*ret_cases = cases;
	*ret_results = results;
	*ret_parts = count;
	return err;
}

/* ---- life cycle ---- */

static void evidence_free(struct evidence *evidence)
{
	mailbox_free(&evidence->mailbox);
	pthread_cond_destroy(&evidence->changed);
	pthread_mutex_destroy(&evidence->lock);
	free(evidence);
}

enum err evidence_start(const struct evidence_options *options, struct evidence **ret_evidence, struct err_info *info)
{
	struct evidence *evidence = calloc(1, sizeof *evidence);
	struct engine_consumer_options consumer = {
		.name = "evidence", .class = STORE_VALUE, .each = chain_each, .context = evidence};
	if (!evidence)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for evidence");
	evidence->store = options->store;
	evidence->audit = options->audit;
	evidence->sensing = options->sensing;
	evidence->engine = options->engine;
	snprintf(evidence->node, sizeof evidence->node, "%s", options->node);
	pthread_mutex_init(&evidence->lock, NULL);
	pthread_cond_init(&evidence->changed, NULL);
	evidence->mailbox = mailbox_new("evidence", options->queue ? options->queue : QUEUE_DEFAULT);
	enum err err = evidence->mailbox ? ERR_OK : err_set(info, ERR_NO_MEMORY, "", "no memory for evidence");
	if (err == ERR_OK && options->config_folder)
		err = files_publish(evidence, options->config_folder, info);
	if (err == ERR_OK && leads_now(evidence)) {
		atomic_store(&evidence->left_over, false);
		err = resume(evidence, info);
	}
	if (err == ERR_OK)
		err = engine_consumer_start(evidence->engine, &consumer, &evidence->consumer, info);
	if (err == ERR_OK)
		err = thread_start("evidence", evidence_run, evidence, &evidence->thread);
	if (err) {
		engine_consumer_stop(&evidence->consumer);
		evidence_free(evidence);
		return err;
	}
	*ret_evidence = evidence;
	return ERR_OK;
}

void evidence_stop(struct evidence **evidence)
{
	if (!*evidence)
		return;
	atomic_store(&(*evidence)->stopping, true);
	pthread_mutex_lock(&(*evidence)->lock);
	pthread_cond_broadcast(&(*evidence)->changed); /* who waits there looks, and leaves */
	pthread_mutex_unlock(&(*evidence)->lock);
	mailbox_close((*evidence)->mailbox);
	thread_join(&(*evidence)->thread);
	engine_consumer_stop(&(*evidence)->consumer);
	evidence_free(*evidence);
	*evidence = NULL;
}
