/* The journal's consumer: what became of each submission. Withdrawn and refused ones are unpinned; an issued one keeps its
 * batch and the number of its record, by which the pack proves it. Consumer thread; delivery is at least once, so each step
 * can be repeated. */
#include <string.h>

#include "parts.h"

enum { TRIES = 8 };
enum { STATE_SUBMITTED = 1, STATE_ISSUED, STATE_WITHDRAWN, STATE_REFUSED };

static const struct follow_row {
	enum event_type type;
	int state;
	const char *action;
} follow_rows[] = {
	{EVENT_PERIOD_SUBMITTED, STATE_SUBMITTED, "submission.submitted"},
	{EVENT_PERIOD_WITHDRAWN, STATE_WITHDRAWN, "submission.withdrawn"},
	{EVENT_PERIOD_REFUSED, STATE_REFUSED, "submission.refused"},
	{EVENT_BATCH_ISSUED, STATE_ISSUED, "submission.issued"},
};

static struct id period_of(const struct event *event)
{
	switch (event->header.type) {
	case EVENT_PERIOD_SUBMITTED: return event->period_submitted.period;
	case EVENT_PERIOD_WITHDRAWN: return event->period_withdrawn.period;
	case EVENT_PERIOD_REFUSED: return event->period_refused.period;
	default: return event->batch_issued.period;
	}
}

/* A whole period is withdrawn when its first part is. */
static enum err withdraw_period(struct evidence *evidence, struct id id, struct arena *arena, struct err_info *info)
{
	struct audit_actor daemon = {.name = "evidence"};
	struct period old_row = {.id = id};
	struct err_info fault = {0};
	enum err err = store_get(evidence->store, &periods_collection, &old_row, arena, &fault);
	if (err == ERR_NOT_FOUND || (err == ERR_OK && old_row.state == 4))
		return ERR_OK; /* differences have no period of their own */
	if (err)
		return err_set(info, err, fault.pointer, "%s", fault.detail);
	struct period row = old_row;
	row.state = 4;
	return period_write(evidence, &daemon, &old_row, &row, "period.withdrawn", info);
}

static enum err follow_once(struct evidence *evidence, const struct event *event, const struct follow_row *rule,
	struct arena *arena, struct err_info *info)
{
	struct submission old_row;
	struct err_info fault = {0};
	enum err err = submission_read(evidence, period_of(event), arena, &old_row, &fault);
	if (err == ERR_NOT_FOUND)
		return ERR_OK; /* submitted by other means than evidence */
	if (err)
		return err_set(info, err, fault.pointer, "%s", fault.detail);
	bool ended = rule->state == STATE_WITHDRAWN || rule->state == STATE_REFUSED;
	if (ended)
		err = submission_unpin(evidence, &old_row, arena, info);
	if (err == ERR_OK && old_row.state < rule->state) {
		struct submission row = old_row;
		row.state = rule->state;
		if (rule->state == STATE_ISSUED) {
			row.batch = (int64_t)event->batch_issued.batch;
			row.issue_position = (int64_t)event->header.number;
		}
		err = submission_write(evidence, &old_row, &row, rule->action, info);
	}
	if (err == ERR_OK)
		atomic_store(&evidence->look_again, true);
	return err || !ended ? err : withdraw_period(evidence, old_row.id, arena, info);
}

/* The evidence thread may have changed the row in between: it is read again. */
static enum err follow(struct evidence *evidence, const struct event *event, const struct follow_row *rule,
	struct arena *arena, struct err_info *info)
{
	enum err err = ERR_CONDITION_FAILED;
	for (int i = 0; i < TRIES && err == ERR_CONDITION_FAILED; i++)
		err = follow_once(evidence, event, rule, arena, info);
	return err;
}

enum err chain_each(void *context, const struct event *events, size_t count, struct err_info *info)
{
	struct evidence *evidence = context;
	struct arena *arena = NULL;
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < count; i++)
		for (size_t r = 0; err == ERR_OK && r < sizeof follow_rows / sizeof *follow_rows; r++) {
			if (follow_rows[r].type != events[i].header.type)
				continue;
			if (!arena && !(arena = arena_new(EVIDENCE_ARENA_BYTES)))
				return err_set(info, ERR_NO_MEMORY, "", "no memory to follow the journal");
			err = follow(evidence, &events[i], &follow_rows[r], arena, info);
		}
	arena_free(&arena);
	if (err == ERR_OK && count > 0) {
		pthread_mutex_lock(&evidence->lock);
		evidence->followed = (int64_t)events[count - 1].header.number;
		pthread_cond_broadcast(&evidence->changed);
		pthread_mutex_unlock(&evidence->lock);
	}
	return err;
}

enum err chain_wait(struct evidence *evidence, int64_t position, int64_t deadline_us, struct err_info *info)
{
	enum err err = ERR_OK;
	pthread_mutex_lock(&evidence->lock);
	while (err == ERR_OK && evidence->followed < position &&
		engine_consumer_position(evidence->consumer) < position)
		err = evidence_wait(evidence, deadline_us, info);
	pthread_mutex_unlock(&evidence->lock);
	return err;
}
