/* The journal's consumer: what became of each submission. Withdrawn and refused ones are unpinned; an issued one keeps its
 * batch and the number of its record, by which the pack proves it. Consumer thread; delivery is at least once, so each step
 * can be repeated. */
#include <string.h>

#include "parts.h"

enum { TRIES = 8, SUBMISSIONS_A_PAGE = 100 };
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

/* ---- after a restore: rows are as new as the backup, the journal may have been cut behind them ---- */

/* The operator is to submit it again; nothing is sent by itself, because the cut may be there to undo it. */
static enum err period_set_back(struct evidence *evidence, struct id id, struct arena *arena, struct err_info *info)
{
	struct audit_actor daemon = {.name = "evidence"};
	struct period old_row = {.id = id};
	struct err_info fault = {0};
	enum err err = store_get(evidence->store, &periods_collection, &old_row, arena, &fault);
	if (err == ERR_NOT_FOUND || (err == ERR_OK && old_row.state != 2))
		return ERR_OK;
	if (err)
		return err_set(info, err, fault.pointer, "%s", fault.detail);
	struct period row = old_row;
	row.state = 3;
	row.failure = "the journal was restored to before the submission";
	return period_write(evidence, &daemon, &old_row, &row, "period.restored", info);
}

static enum err submission_set_back(
	struct evidence *evidence, const struct submission *old_row, struct arena *arena, struct err_info *info)
{
	struct registry_period known;
	struct err_info fault = {0};
	if (old_row->state != STATE_SUBMITTED && old_row->state != STATE_ISSUED)
		return ERR_OK;
	field_clear(registry_period_fields, &known);
	known.id = old_row->id;
	enum err err = store_get(evidence->store, &registry_periods_collection, &known, arena, &fault);
	if (err && err != ERR_NOT_FOUND)
		return err_set(info, err, fault.pointer, "%s", fault.detail);
	bool is_there = err == ERR_OK;
	struct submission row = *old_row;
	row.state = !is_there ? 0 : known.state == PERIOD_ISSUED ? old_row->state : STATE_SUBMITTED;
	if (row.state == old_row->state)
		return ERR_OK;
	row.batch = row.issue_position = FIELD_ABSENT;
	err = submission_write(evidence, old_row, &row, "submission.restored", info);
	return err || is_there ? err : period_set_back(evidence, row.period_id, arena, info);
}

static enum err restored(struct evidence *evidence, const struct event *event, struct err_info *info)
{
	struct submission after = {.version = 0};
	struct store_query query = {.collection = &submissions_collection, .most = SUBMISSIONS_A_PAGE};
	size_t count = SUBMISSIONS_A_PAGE;
	struct arena *arena = arena_new(EVIDENCE_ARENA_BYTES);
	enum err err = arena ? engine_wait_position(evidence->engine, (int64_t)event->header.number,
				       clock_monotonic_us() + COMMAND_DEADLINE_US)
			     : ERR_NO_MEMORY;
	if (err)
		err_set(info, err, "", "the views have not come to the restore yet");
	while (err == ERR_OK && count == SUBMISSIONS_A_PAGE) {
		struct submission *rows = NULL;
		arena_reset(arena);
		err = store_find(evidence->store, &query, arena, (void **)&rows, &count, info);
		for (size_t i = 0; err == ERR_OK && i < count; i++)
			err = submission_set_back(evidence, &rows[i], arena, info);
		if (err == ERR_OK && count > 0)
			after = (struct submission){.id = rows[count - 1].id};
		query.after = &after;
	}
	arena_free(&arena);
	return err;
}

enum err chain_each(void *context, const struct event *events, size_t count, struct err_info *info)
{
	struct evidence *evidence = context;
	struct arena *arena = NULL;
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		if (events[i].header.type == EVENT_RESTORED)
			err = restored(evidence, &events[i], info);
		for (size_t r = 0; err == ERR_OK && r < sizeof follow_rows / sizeof *follow_rows; r++) {
			if (follow_rows[r].type != events[i].header.type)
				continue;
			if (!arena && !(arena = arena_new(EVIDENCE_ARENA_BYTES)))
				return err_set(info, ERR_NO_MEMORY, "", "no memory to follow the journal");
			err = follow(evidence, &events[i], &follow_rows[r], arena, info);
		}
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
