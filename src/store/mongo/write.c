/* Decides what becomes of a write: one operation, a bulk or a transaction; what is tried again; and how an unknown outcome is
 * resolved, by reading back and never by guessing (decision 9). The caller's thread.
 *
 * All tries of one write run in one session, so that the server refuses a delayed copy of an earlier try once it has seen a
 * later one. A try that follows an unknown outcome is the same write again: its batch has the same position and hash, its
 * transaction the same mark, so it can only happen once. */
#include <stdio.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "mongo.h"

#define MARKS "store_writes"

struct attempt {
	struct mongo_use use;
	struct store_job *job;
	bool linked;
	bool doubtful; /* an earlier try may have been carried out */
	bool done;     /* the verdict stands: `err` */
	enum err err;
};

static void settle(struct attempt *attempt, enum err err)
{
	attempt->err = err;
	attempt->done = true;
}

/* ---- reading back ---- */

/* Ours: done; another's: lost; none: it goes on. What cannot be read stays in doubt. */
static void read_position_back(struct attempt *attempt, struct err_info *info)
{
	enum mongo_stands stands = STANDS_NONE;
	struct err_info fault;
	if (mongo_read_back(&attempt->use, attempt->job->class, attempt->job->batch, &stands, &fault))
		return;
	if (stands == STANDS_OURS)
		settle(attempt, ERR_OK);
	else if (stands == STANDS_OTHER)
		settle(attempt, mongo_position_taken(attempt->job->batch, info));
}

static void read_mark_back(struct attempt *attempt)
{
	struct mongo_found found;
	struct err_info fault;
	bson_t *filter = BCON_NEW("_id", BCON_OID(&attempt->use.mark)), *options = BCON_NEW("limit", BCON_INT64(1));
	if (mongo_find(&attempt->use, MARKS, filter, options, 1, 0, &found, &fault) == ERR_OK) {
		if (found.count)
			settle(attempt, ERR_OK);
		mongo_found_free(&found);
	}
	bson_destroy(filter);
	bson_destroy(options);
}

static void read_row_back(struct attempt *attempt)
{
	bool stands = false;
	struct err_info fault;
	if (mongo_row_stands(&attempt->use, attempt->job->changes, &stands, &fault) == ERR_OK && stands)
		settle(attempt, ERR_OK);
}

static void read_back(struct attempt *attempt, struct err_info *info)
{
	if (attempt->job->batch)
		read_position_back(attempt, info);
	else if (mongo_is_one(attempt->job))
		read_row_back(attempt);
	else if (!mongo_is_views(attempt->job))
		read_mark_back(attempt);
}

/* A batch's duplicate key: the position is looked at first, for a batch of ours holds its own guards, too. */
static void judge_duplicate(struct attempt *attempt, struct err_info *info)
{
	char index[MONGO_NAME_SIZE];
	mongo_index_of(info->detail, index);
	read_position_back(attempt, info);
	if (attempt->done || strcmp(index, "guards") != 0)
		return;
	enum err err = mongo_find_taken_guard(&attempt->use, attempt->job, info);
	if (err == ERR_GUARD_TAKEN)
		settle(attempt, err);
}

/* ---- a transaction ---- */

static enum mongo_fate insert_mark(struct attempt *attempt, struct err_info *info)
{
	bson_t reply,
		*mark = BCON_NEW("_id", BCON_OID(&attempt->use.mark), "at", BCON_DATE_TIME(clock_wall_us() / 1000));
	bson_t *options = mongo_options(&attempt->use);
	bson_error_t error;
	mongoc_collection_t *collection = mongo_collection(&attempt->use, MARKS, STORE_VALUE);
	bool inserted = mongoc_collection_insert_one(collection, mark, options, &reply, &error);
	enum mongo_fate fate = inserted ? FATE_DONE : mongo_fate_of(&reply, &error);
	if (!inserted)
		mongo_failure(attempt->use.back, &reply, &error, "mark a write", info);
	bson_destroy(&reply);
	bson_destroy(options);
	bson_destroy(mark);
	mongoc_collection_destroy(collection);
	return fate;
}

static enum mongo_fate fill_transaction(struct attempt *attempt, struct err_info *info)
{
	struct store_job *job = attempt->job;
	enum mongo_fate fate = job->batch ? mongo_insert_batch(&attempt->use, job, info) : FATE_DONE;
	if (fate == FATE_DONE)
		fate = mongo_change_all(&attempt->use, job, info);
	if (fate == FATE_DONE && !job->batch)
		fate = insert_mark(attempt, info);
	/* not committed: nothing of it can happen */
	return fate == FATE_UNKNOWN || fate == FATE_UNSENT ? FATE_CONFLICT : fate;
}

static enum mongo_fate run_transaction(struct attempt *attempt, struct err_info *info)
{
	mongoc_client_session_t *session = attempt->use.session;
	bson_error_t error;
	bson_t reply;
	if (!mongo_note_session(&attempt->use, info))
		return FATE_CONFLICT; /* nothing has begun */
	if (!mongoc_client_session_start_transaction(session, NULL, &error)) {
		mongo_failure(attempt->use.back, NULL, &error, "start a transaction", info);
		return FATE_CONFLICT;
	}
	enum mongo_fate fate = fill_transaction(attempt, info);
	if (fate != FATE_DONE) {
		mongoc_client_session_abort_transaction(
			session, &error); /* what it could not tell, the server times out */
		return fate;
	}
	bool committed = mongoc_client_session_commit_transaction(session, &reply, &error);
	if (!committed) {
		fate = mongo_fate_of(&reply, &error);
		mongo_failure(attempt->use.back, &reply, &error, "commit", info);
		if (fate == FATE_UNSENT || fate == FATE_REFUSED || fate == FATE_DUPLICATE)
			fate = FATE_UNKNOWN; /* a commit is only ever done or in doubt */
	}
	bson_destroy(&reply);
	return fate;
}

/* ---- tries ---- */

static enum mongo_fate try_once(struct attempt *attempt, struct err_info *info)
{
	struct store_job *job = attempt->job;
	if (job->batch && !attempt->linked) {
		enum err err = mongo_link_batch(&attempt->use, job, info);
		if (err)
			return err == ERR_BUSY ? FATE_UNSENT : FATE_REFUSED;
		attempt->linked = true;
	}
	if (job->batch && job->change_count == 0)
		return mongo_insert_batch(&attempt->use, job, info);
	if (mongo_is_one(job))
		return mongo_change_one(&attempt->use, job, info);
	if (mongo_is_views(job))
		return mongo_change_views(&attempt->use, job, info);
	return run_transaction(attempt, info);
}

/* Whether its row stood for a while or never makes no difference to who writes it. */
static bool is_momentary(const struct store_job *job)
{
	return mongo_is_one(job) && job->changes[0].table->collection->momentary;
}

/* The final no to a try that follows one in doubt, which may be what it collided with. */
static void judge_refusal(struct attempt *attempt, struct err_info *info)
{
	enum err refusal = info->code;
	struct err_info kept = *info;
	if (attempt->doubtful)
		read_back(attempt, info);
	if (attempt->done)
		return;
	*info = kept;
	if (attempt->doubtful && mongo_is_one(attempt->job) && !is_momentary(attempt->job) &&
		refusal == ERR_CONDITION_FAILED) {
		/* ours may have stood until another wrote over it: only a process that reads anew can know */
		err_set(info, ERR_STORE_LATCHED, NULL, "it cannot be told whether a row of %s was written",
			attempt->job->changes[0].table->collection->name);
		mongo_latch(attempt->use.back, info);
		refusal = ERR_STORE_LATCHED;
	}
	settle(attempt, refusal);
}

static void judge(struct attempt *attempt, enum mongo_fate fate, struct err_info *info)
{
	switch (fate) {
	case FATE_DONE: settle(attempt, ERR_OK); break;
	case FATE_UNSENT: break;
	case FATE_REFUSED: judge_refusal(attempt, info); break;
	case FATE_DUPLICATE:
		if (attempt->job->batch)
			judge_duplicate(attempt, info);
		else /* the mark stands: an earlier try was carried out */
			read_back(attempt, info);
		break;
	case FATE_CONFLICT:
		if (attempt->job->batch || attempt->doubtful)
			read_back(attempt, info);
		break;
	case FATE_UNKNOWN:
		attempt->doubtful = true;
		read_back(attempt, info);
		break;
	}
}

/* Time is up. What was never done can be asked for again; what may have been done stops the process. */
static enum err give_up(struct attempt *attempt, struct err_info *info)
{
	struct err_info last = *info;
	if (!attempt->doubtful || is_momentary(attempt->job))
		return err_set(info, ERR_BUSY, NULL, "%.200s", last.detail);
	err_set(info, ERR_STORE_LATCHED, NULL, "a write's outcome stayed unknown: %.200s", last.detail);
	mongo_latch(attempt->use.back, info);
	return ERR_STORE_LATCHED;
}

static enum err run_job(struct attempt *attempt, struct err_info *info)
{
	int64_t deadline_us = clock_monotonic_us() + MONGO_WRITE_US;
	unsigned pauses = 0;
	for (;;) {
		enum mongo_fate fate = try_once(attempt, info);
		judge(attempt, fate, info);
		if (attempt->done)
			return attempt->err;
		if (!mongo_pause(&pauses, deadline_us))
			return give_up(attempt, info);
	}
}

enum err mongo_write(void *engine, struct store_job *job, struct err_info *info)
{
	struct mongo *back = engine;
	struct attempt attempt = {.job = job};
	struct err_info own;
	int64_t start_us = clock_monotonic_us();
	if (!info)
		info = &own;
	info->code = ERR_OK;
	if (atomic_load(&back->latched))
		return err_set(info, ERR_STORE_LATCHED, NULL,
			"the store stopped after a write of unknown outcome; carbond must be restarted");
	enum err err = mongo_check_own_guards(job, info);
	if (!err)
		err = mongo_use_start(back, &attempt.use, info);
	if (err)
		return err;
	err = run_job(&attempt, info);
	mongo_use_end(&attempt.use);
	if (job->batch && !err)
		mongo_remember_head(back, job->class, job->batch);
	if (job->batch && err)
		mongo_forget_head(back, job->class, job->batch->stream, job->batch->seq);
	if (err == ERR_OK) {
		atomic_store(&back->full, false);
		metric_observe_us(METRIC_STORE_COMMIT, clock_monotonic_us() - start_us);
		if (job->batch)
			metric_add(METRIC_STORE_APPENDS, 1);
	} else if (err == ERR_BUSY || err == ERR_NO_SPACE || err == ERR_STORE_LATCHED) {
		metric_add(METRIC_STORE_FAILED_WRITES, 1);
	}
	return err;
}
