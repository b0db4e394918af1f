/* Decides what this daemon hears of changes made on other nodes: the thread `audit-follow` reads what they append to their
 * audit logs, from where the logs ended when audit started, and tells the rooms which rows to read again. It polls: a change
 * rides in one append with its record, so whoever has seen the record sees the row. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit_private.h"
#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/base/log.h"

#define FOLLOW_EVERY_US (CLOCK_US_PER_SECOND / 4)
#define STREAMS_EACH    4 /* turns between two looks for nodes that are new */
#define NEWS_FIRST      16

struct followed {
	char stream[STORE_STREAM_SIZE];
	uint64_t seq; /* told up to here */
};

struct audit_follower {
	/* constant */
	struct audit *audit;
	audit_each each;
	void *context;
	struct thread *thread;

	pthread_mutex_t lock; /* innermost */
	pthread_cond_t wake, followed;
	bool stopping, asked; /* under the lock */

	/* the thread, and who starts it before */
	struct followed *streams;
	size_t count;
	unsigned turn;
	enum err last_fault; /* told once */

	atomic_llong followed_us; /* monotonic: when a turn began that read everything */
};

/* ---- streams ---- */

static struct followed *find(struct audit_follower *follower, const char *stream)
{
	for (size_t i = 0; i < follower->count; i++)
		if (strcmp(follower->streams[i].stream, stream) == 0)
			return &follower->streams[i];
	return NULL;
}

static enum err add(struct audit_follower *follower, const char *stream, uint64_t seq, struct err_info *info)
{
	if (follower->count == AUDIT_STREAMS_MAX)
		return err_set(info, ERR_TOO_LARGE, NULL, "more than %d logs", AUDIT_STREAMS_MAX);
	struct followed *streams = realloc(follower->streams, (follower->count + 1) * sizeof *streams);
	if (!streams)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to follow the audit logs");
	follower->streams = streams;
	streams[follower->count] = (struct followed){.seq = seq};
	snprintf(streams[follower->count++].stream, STORE_STREAM_SIZE, "%s", stream);
	return ERR_OK;
}

/* Other nodes' logs that are not known yet; `from_head`: what is in them already is known. */
static enum err look_for_streams(struct audit_follower *follower, bool from_head, struct err_info *info)
{
	struct audit *audit = follower->audit;
	struct arena *arena = arena_new(0);
	const char **names = NULL;
	size_t count = 0;
	enum err err =
		arena ? store_log_streams(audit->store, STORE_VALUE, AUDIT_STREAM_PREFIX, arena, &names, &count, info)
		      : err_set(info, ERR_NO_MEMORY, NULL, "no memory to follow the audit logs");
	for (size_t i = 0; i < count && !err; i++) {
		struct store_batch head = {.seq = 0};
		if (strcmp(names[i], audit->stream) == 0 || find(follower, names[i]))
			continue;
		if (from_head)
			err = store_log_head(audit->store, STORE_VALUE, names[i], &head, info);
		if (!err)
			err = add(follower, names[i], head.seq, info);
	}
	arena_free(&arena);
	return err;
}

/* ---- reading ---- */

/* What one turn has read. */
struct turn {
	struct arena *arena;
	struct audit_news *news;
	size_t count, capacity;
	uint64_t seq;
};

static enum err take_record(void *context, const void *data, size_t size, struct err_info *info)
{
	struct turn *turn = context;
	json_t *record;
	enum err err = document_parse(turn->arena, data, size, &record, info);
	const char *kind = err ? NULL : json_string_value(json_object_get(record, "subject_kind"));
	const char *subject = err ? NULL : json_string_value(json_object_get(record, "subject"));
	if (err || !kind)
		return err;
	if (turn->count == turn->capacity) {
		size_t capacity = turn->capacity ? 2 * turn->capacity : NEWS_FIRST;
		struct audit_news *news = ARENA_ARRAY(turn->arena, struct audit_news, capacity);
		if (!news)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory to follow the audit logs");
		if (turn->count)
			memcpy(news, turn->news, turn->count * sizeof *news);
		turn->news = news;
		turn->capacity = capacity;
	}
	struct audit_news *news = &turn->news[turn->count++];
	*news = (struct audit_news){.subject_kind = kind};
	if (subject && id_parse(subject, &news->subject) != ERR_OK)
		news->subject = (struct id){{0}};
	return ERR_OK;
}

static enum err take_batch(void *context, const struct store_batch *batch)
{
	struct turn *turn = context;
	struct err_info ignored;
	enum err err = audit_split(batch, take_record, turn, &ignored);
	if (!err)
		turn->seq = batch->seq;
	return err;
}

/* Tells what is new in one log, and counts it as told only then. */
static enum err follow(struct audit_follower *follower, struct followed *stream, struct err_info *info)
{
	struct audit *audit = follower->audit;
	struct store_batch head;
	enum err err = store_log_head(audit->store, STORE_VALUE, stream->stream, &head, info);
	if (err || head.seq <= stream->seq)
		return err;
	struct turn turn = {.arena = arena_new(0), .seq = stream->seq};
	if (!turn.arena)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to follow the audit logs");
	err = store_log_read(audit->store, STORE_VALUE, stream->stream, stream->seq + 1, take_batch, &turn, info);
	if (!err && turn.count)
		err = follower->each(follower->context, turn.news, turn.count, info);
	if (!err) {
		stream->seq = turn.seq;
		metric_add(METRIC_AUDIT_FOLLOWED, (int64_t)turn.count);
	}
	arena_free(&turn.arena);
	return err;
}

static enum err follow_all(struct audit_follower *follower, bool asked, struct err_info *info)
{
	int64_t began_us = clock_monotonic_us();
	/* who asks may ask for what a new node has written */
	enum err err = follower->turn++ % STREAMS_EACH == 0 || asked ? look_for_streams(follower, false, info) : ERR_OK;
	for (size_t i = 0; i < follower->count && !err; i++)
		err = follow(follower, &follower->streams[i], info);
	if (err)
		return err;
	pthread_mutex_lock(&follower->lock);
	atomic_store(&follower->followed_us, began_us);
	pthread_cond_broadcast(&follower->followed);
	pthread_mutex_unlock(&follower->lock);
	return ERR_OK;
}

/* ---- the thread ---- */

static bool wait_for_turn(struct audit_follower *follower, bool *ret_asked)
{
	int64_t until_us = clock_monotonic_us() + FOLLOW_EVERY_US;
	struct timespec until = {
		.tv_sec = until_us / CLOCK_US_PER_SECOND, .tv_nsec = until_us % CLOCK_US_PER_SECOND * 1000};
	pthread_mutex_lock(&follower->lock);
	while (!follower->stopping && !follower->asked && clock_monotonic_us() < until_us)
		pthread_cond_timedwait(&follower->wake, &follower->lock, &until);
	bool stopping = follower->stopping;
	*ret_asked = follower->asked;
	follower->asked = false;
	pthread_mutex_unlock(&follower->lock);
	return !stopping;
}

static void run(void *argument)
{
	struct audit_follower *follower = argument;
	for (bool asked = false; wait_for_turn(follower, &asked);) {
		struct err_info info = {.code = ERR_OK};
		enum err err = follow_all(follower, asked, &info);
		if (err && err != follower->last_fault)
			log_failure("audit_follow_failed", &info, NULL);
		else if (!err && follower->last_fault)
			log_line(LOG_LEVEL_INFO, "audit_followed_again", "changes of other nodes are followed again",
				NULL);
		follower->last_fault = err;
	}
}

enum err audit_follow_wait(struct audit_follower *follower, int64_t deadline_us)
{
	int64_t since_us = clock_monotonic_us();
	struct timespec until = {
		.tv_sec = deadline_us / CLOCK_US_PER_SECOND, .tv_nsec = deadline_us % CLOCK_US_PER_SECOND * 1000};
	enum err err = ERR_OK;
	pthread_mutex_lock(&follower->lock);
	follower->asked = true;
	pthread_cond_signal(&follower->wake);
	while (!err && atomic_load(&follower->followed_us) < since_us) {
		if (follower->stopping || clock_monotonic_us() >= deadline_us)
			err = follower->stopping ? ERR_STOPPING : ERR_DEADLINE;
		else
			pthread_cond_timedwait(&follower->followed, &follower->lock, &until);
	}
	pthread_mutex_unlock(&follower->lock);
	return err;
}

int64_t audit_follow_age_us(const struct audit_follower *follower)
{
	return clock_monotonic_us() - atomic_load(&follower->followed_us);
}

enum err audit_follower_new(struct audit *audit, struct audit_follower **ret_follower, struct err_info *info)
{
	struct audit_follower *follower = calloc(1, sizeof *follower);
	pthread_condattr_t monotonic;
	if (!follower)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to follow the audit logs");
	follower->audit = audit;
	pthread_mutex_init(&follower->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&follower->wake, &monotonic);
	pthread_cond_init(&follower->followed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	atomic_init(&follower->followed_us, clock_monotonic_us());
	*ret_follower = follower;
	enum err err = look_for_streams(follower, true, info);
	if (err)
		audit_follower_free(ret_follower);
	return err;
}

enum err audit_follower_start(struct audit_follower *follower, audit_each each, void *context, struct err_info *info)
{
	follower->each = each;
	follower->context = context;
	enum err err = thread_start("audit-follow", run, follower, &follower->thread);
	return err ? err_set(info, err, NULL, "the thread that follows the audit logs does not start") : ERR_OK;
}

void audit_follower_free(struct audit_follower **follower)
{
	struct audit_follower *own = *follower;
	if (!own)
		return;
	pthread_mutex_lock(&own->lock);
	own->stopping = true;
	pthread_cond_broadcast(&own->wake);
	pthread_cond_broadcast(&own->followed);
	pthread_mutex_unlock(&own->lock);
	thread_join(&own->thread);
	pthread_cond_destroy(&own->wake);
	pthread_cond_destroy(&own->followed);
	pthread_mutex_destroy(&own->lock);
	free(own->streams);
	free(own);
	*follower = NULL;
}
