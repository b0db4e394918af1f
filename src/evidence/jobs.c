/* Jobs: a bounded ring of what was asked for, so that a client can ask how far it is. Any thread; a lock that is never held
 * across I/O. */
#include <stdio.h>
#include <string.h>

#include "parts.h"

static struct job_slot *find(struct evidence *evidence, struct id id)
{
	size_t kept = evidence->job_count < JOBS_KEPT ? evidence->job_count : JOBS_KEPT;
	for (size_t i = 0; i < kept; i++)
		if (id_equal(evidence->jobs[i].job.id, id))
			return &evidence->jobs[i];
	return NULL;
}

void job_add(struct evidence *evidence, const struct job *job)
{
	pthread_mutex_lock(&evidence->lock);
	struct job_slot *slot = find(evidence, job->id);
	if (!slot)
		slot = &evidence->jobs[evidence->job_count++ % JOBS_KEPT];
	*slot = (struct job_slot){.job = *job};
	pthread_mutex_unlock(&evidence->lock);
}

void job_step(struct evidence *evidence, struct id id, const char *step)
{
	pthread_mutex_lock(&evidence->lock);
	struct job_slot *slot = find(evidence, id);
	if (slot) {
		slot->job.state = 1;
		slot->job.updated_us = clock_wall_us();
		snprintf(slot->step, sizeof slot->step, "%s", step);
	}
	pthread_mutex_unlock(&evidence->lock);
}

void job_end(struct evidence *evidence, struct id id, enum err err, const struct err_info *info)
{
	pthread_mutex_lock(&evidence->lock);
	struct job_slot *slot = find(evidence, id);
	if (slot) {
		slot->job.state = err ? 3 : 2;
		slot->job.updated_us = clock_wall_us();
		slot->step[0] = 0;
		if (err)
			snprintf(slot->error, sizeof slot->error, "%s: %s", err_row(err)->slug, info->detail);
	}
	pthread_mutex_unlock(&evidence->lock);
}

/* A job of before the last start is known by its period. */
static enum err job_of_period(
	struct evidence *evidence, struct id id, struct arena *arena, struct job *ret_job, struct err_info *info)
{
	static const int state_of_period[] = {0, 1, 2, 3, 2};
	struct period low = {.job_id = id};
	struct store_query query = {
		.collection = &periods_collection, .index = "by_job", .low = &low, .prefix = 1, .most = 1};
	void *found = NULL;
	size_t count = 0;
	enum err err = store_find(evidence->store, &query, arena, &found, &count, info);
	if (err || count == 0)
		return err ? err : err_set(info, ERR_NOT_FOUND, "", "there is no such job");
	const struct period *period = found;
	*ret_job = (struct job){.id = id,
		.org_id = period->org_id,
		.subject = period->id,
		.state = state_of_period[period->state],
		.error = period->failure,
		.created_us = period->updated_us,
		.updated_us = period->updated_us};
	return ERR_OK;
}

enum err evidence_job(
	struct evidence *evidence, struct id job, struct arena *arena, struct job *ret_job, struct err_info *info)
{
	pthread_mutex_lock(&evidence->lock);
	const struct job_slot *slot = find(evidence, job);
	bool complete = true;
	if (slot) {
		*ret_job = slot->job;
		ret_job->step = slot->step[0] ? arena_print(arena, "%s", slot->step) : NULL;
		ret_job->error = slot->error[0] ? arena_print(arena, "%s", slot->error) : NULL;
		complete = (!slot->step[0] || ret_job->step) && (!slot->error[0] || ret_job->error);
	}
	pthread_mutex_unlock(&evidence->lock);
	if (!slot)
		return job_of_period(evidence, job, arena, ret_job, info);
	return complete ? ERR_OK : err_set(info, ERR_NO_MEMORY, "", "no memory for the job");
}
