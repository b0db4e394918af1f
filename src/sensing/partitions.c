/* Several daemons on one store: which of them builds the hours of which shard, and how each keeps up with the readings logs of
 * all. The thread `partitions` of each daemon reads every log; what is of a shard of its own goes to the shard's thread, the rest
 * into the shard's tail, so that any daemon answers reads. A shard's row names its owner. It is free where the owner is gone or
 * has given it back; who takes it raises its term, on which all that is written of the shard's hours is conditional, so an
 * owner that wakes up late writes nothing. Each daemon takes its share: of 16 shards three take 6, 5 and 5, in order of name. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "carbond/base/clock.h"
#include "carbond/base/log.h"
#include "shard.h"

#define PASS_US       (CLOCK_US_PER_SECOND / 5)  /* between two looks at the logs' heads */
#define OWN_US        (CLOCK_US_PER_SECOND / 2)  /* between two looks at the shards' rows */
#define STREAMS_EACH  5                          /* passes between two looks for logs that are new */
#define CURRENT_US    CLOCK_US_PER_SECOND        /* a read shows what was appended longer ago than this */
#define CURRENT_WAIT  (10 * CLOCK_US_PER_SECOND) /* … for which it waits so long */
#define HAND_US       CLOCK_US_PER_SECOND        /* how long a shard may leave a batch waiting, each pass */
#define ASK_POLL_US   (CLOCK_US_PER_SECOND / 10)
#define START_US      (10 * CLOCK_US_PER_MINUTE)
#define CLOSE_US      (30 * CLOCK_US_PER_SECOND)
#define REQUESTS_MOST 100
#define LAYOUT_TRIES  16

struct partitions {
	struct buckets *buckets;
	struct members *members;
	struct thread *thread;

	/* the thread, and who starts it before */
	int64_t owned_us; /* when the rows were last looked at; monotonic of base */
	unsigned turn;
	enum err last_fault; /* told once */
	bool let_all_go;     /* stopping: nothing is taken any more */
	unsigned told_owned; /* in the log */

	_Atomic int64_t passed_us; /* when the last pass that read everything began; monotonic of base */

	pthread_mutex_t lock; /* rank: above a shard's, never held with one */
	pthread_cond_t wake, passed;
	bool stopping, nudged;
};

/* ---- losing and giving back ---- */

static void set_behind(struct shard *shard, bool behind)
{
	pthread_mutex_lock(&shard->lock);
	shard->behind = behind;
	pthread_mutex_unlock(&shard->lock);
}

static void thread_end(struct shard *shard)
{
	if (shard->mailbox)
		mailbox_close(shard->mailbox);
	thread_join(&shard->thread);
}

/* The shard is not ours: what is in memory goes, and the tail begins again where the rows end. */
static void follow_from(struct shard *shard, const uint64_t positions[SHARD_STREAMS_MAX])
{
	pthread_mutex_lock(&shard->lock);
	shard->owned = shard->taking = false;
	shard->behind = true;
	memcpy(shard->row_positions, positions, sizeof shard->row_positions);
	tail_free(&shard->tail);
	pthread_mutex_unlock(&shard->lock);
	shard_clear(shard);
	memcpy(shard->given, positions, sizeof shard->given);
}

static void tell(const struct shard *shard, const char *event, const char *what)
{
	char number[16];
	snprintf(number, sizeof number, "%u", shard->index);
	log_line(LOG_LEVEL_WARN, event, what, "partition", number, NULL);
}

/* Where this daemon has more or fewer than it had at the last look. */
static void tell_owned(struct partitions *partitions)
{
	unsigned owned = 0;
	char number[16];
	for (unsigned i = 0; i < partitions->buckets->shard_count; i++)
		owned += partitions->buckets->shards[i].owned;
	metric_set(METRIC_SENSING_PARTITIONS, owned);
	if (owned == partitions->told_owned)
		return;
	partitions->told_owned = owned;
	snprintf(number, sizeof number, "%u", owned);
	log_line(LOG_LEVEL_INFO, "partitions_owned", "this daemon builds the hours of so many partitions now",
		"partitions", number, NULL);
}

static void lose(struct shard *shard, const uint64_t positions[SHARD_STREAMS_MAX])
{
	atomic_store(&shard->lost, true);
	thread_end(shard);
	atomic_store(&shard->fault, 0); /* a write that the new owner refused: it is none of ours to write any more */
	follow_from(shard, positions);
	tell(shard, "partition_lost",
		"this daemon was taken for gone, or could not begin: another builds these hours, or may");
}

static enum err row_change(struct shard *shard, const struct owner_row *row, int64_t term, struct err_info *info)
{
	const struct store_change change = {.collection = &bucket_owners_collection,
		.row = row,
		.verb = STORE_PUT,
		.condition = STORE_EQUALS,
		.field = "term",
		.value = term};
	return store_write(shard->buckets->options.store, &change, 1, NULL, info);
}

/* Flushes, then says in the row that it is nobody's. What could not be flushed stays in the logs. */
static void give_back(struct shard *shard)
{
	struct buckets *buckets = shard->buckets;
	struct stream_position positions[SHARD_STREAMS_MAX];
	struct err_info info = {0};
	thread_end(shard);
	bool flushed = !atomic_load(&shard->lost) && !shard->first_dirty && !atomic_load(&shard->fault);
	if (flushed) {
		pthread_mutex_lock(&buckets->lock);
		size_t count = buckets->stream_count;
		pthread_mutex_unlock(&buckets->lock);
		for (size_t i = 0; i < count; i++)
			positions[i] = (struct stream_position){
				.stream = buckets->streams[i].name, .seq = (int64_t)shard->applied[i]};
		const struct owner_row row = {.partition = shard->index,
			.term = shard->term,
			.positions = {.items = positions, .count = count},
			.opened_us = shard_opened_floor(shard)};
		enum err err = row_change(shard, &row, shard->term, &info);
		if (err && err != ERR_CONDITION_FAILED)
			log_failure("partition_not_given_back", &info, NULL);
	}
	uint64_t reached[SHARD_STREAMS_MAX];
	memcpy(reached, flushed ? shard->applied : shard->durable, sizeof reached);
	follow_from(shard, reached);
}

/* ---- taking ---- */

static bool is_taking(const struct shard *shard)
{
	return shard->taking;
}

/* Every log from the position that the least of those shards has which are to catch up; the others have it already. */
static enum err catch_up(struct buckets *buckets, bool (*wanted)(const struct shard *shard), struct err_info *info)
{
	enum err err = ERR_OK;
	for (unsigned stream = 0; stream < buckets->stream_count && !err; stream++) {
		uint64_t from = UINT64_MAX, fed = buckets->streams[stream].fed;
		for (unsigned i = 0; i < buckets->shard_count; i++)
			if (wanted(&buckets->shards[i]) && buckets->shards[i].given[stream] < from)
				from = buckets->shards[i].given[stream];
		if (from < fed)
			err = buckets_replay(buckets, stream, from + 1, fed, 0, info);
	}
	return err;
}

static bool is_filling(const struct shard *shard)
{
	return shard->filling;
}

/* Tails that have begun again; nobody reads them before they are whole. Where the logs cannot be read now it is tried again at
 * the next turn. */
static enum err followers_catch_up(struct buckets *buckets, struct err_info *info)
{
	bool any = false;
	for (unsigned i = 0; i < buckets->shard_count; i++) {
		struct shard *shard = &buckets->shards[i];
		shard->filling = shard->behind && !shard->owned;
		any |= shard->filling;
	}
	enum err err = any ? catch_up(buckets, is_filling, info) : ERR_OK;
	for (unsigned i = 0; i < buckets->shard_count; i++) {
		struct shard *shard = &buckets->shards[i];
		if (shard->filling && !err)
			set_behind(shard, false);
		shard->filling = false;
	}
	return err;
}

/* Raises the term in the row; *ret_taken: it is ours now. */
static enum err row_take(struct shard *shard, const struct owner_row *row, bool *ret_taken, struct err_info *info)
{
	struct owner_row mine = *row;
	mine.term = row->term + 1;
	mine.node = shard->buckets->node;
	enum err err = row_change(shard, &mine, row->term, info);
	*ret_taken = err == ERR_OK;
	if (err)
		return err == ERR_CONDITION_FAILED ? ERR_OK : err; /* another was faster */
	shard->term = mine.term;
	return ERR_OK;
}

/* What the rows hold into memory, then what the logs have beyond them. */
static enum err taken_start(struct buckets *buckets, struct err_info *info)
{
	enum err err = buckets_restore(buckets, is_taking, info);
	for (unsigned i = 0; i < buckets->shard_count && !err; i++) {
		struct shard *shard = &buckets->shards[i];
		char name[16];
		if (!shard->taking)
			continue;
		snprintf(name, sizeof name, "buckets-%u", i % 1000);
		err = shard_prepare(shard);
		if (!err)
			err = thread_start(name, shard_run, shard, &shard->thread);
		if (err)
			err_set(info, err, NULL, "a shard's thread does not start");
	}
	if (!err)
		err = catch_up(buckets, is_taking, info);
	for (unsigned i = 0; i < buckets->shard_count && !err; i++) {
		struct shard *shard = &buckets->shards[i];
		struct runtime_reply *reply = NULL;
		if (!shard->taking)
			continue;
		err = buckets_send(shard, SHARD_CAUGHT_UP, (struct id){{0}}, 0, 0, INT64_MAX, &reply);
		if (!err)
			err = reply_wait(reply, info);
		reply_unref(&reply);
	}
	return err;
}

static void taken(struct shard *shard)
{
	pthread_mutex_lock(&shard->lock);
	shard->owned = true;
	shard->taking = false;
	tail_free(&shard->tail);
	pthread_mutex_unlock(&shard->lock);
	atomic_store(&shard->buckets->closed_floor_us, INT64_MIN); /* retention has not looked at its hours here */
}

/* ---- whose is what ---- */

/* The share of this daemon: shards by the daemons that are alive, one more for the first of them where some are left over. */
static unsigned share(const struct partitions *partitions)
{
	char names[MEMBERS_MAX][MEMBER_NAME_SIZE];
	size_t count = members_count(partitions->members, names), place = 0;
	unsigned shards = partitions->buckets->shard_count;
	while (place < count && strcmp(names[place], partitions->buckets->node) != 0)
		place++;
	return shards / (unsigned)count + (place < shards % count);
}

static bool is_free(const struct partitions *partitions, const struct owner_row *row)
{
	return !row->node || strcmp(row->node, partitions->buckets->node) == 0 ||
	       !members_has(partitions->members, row->node);
}

/* Looks at the rows: what is not ours any more is let go of, what the others have written is let go of in the tails. */
static void rows_look(struct partitions *partitions, const struct owner_row *rows)
{
	struct buckets *buckets = partitions->buckets;
	bool alive = members_alive(partitions->members);
	for (unsigned i = 0; i < buckets->shard_count; i++) {
		struct shard *shard = &buckets->shards[i];
		uint64_t positions[SHARD_STREAMS_MAX];
		buckets_row_positions(buckets, &rows[i], positions);
		if (shard->owned && (!alive || rows[i].term != shard->term || atomic_load(&shard->lost)))
			lose(shard, positions);
		if (shard->owned)
			continue;
		pthread_mutex_lock(&shard->lock);
		memcpy(shard->row_positions, positions, sizeof positions);
		tail_let_go(&shard->tail, positions);
		pthread_mutex_unlock(&shard->lock);
		/* what the rows have need not be read again */
		for (unsigned stream = 0; shard->behind && stream < SHARD_STREAMS_MAX; stream++)
			if (positions[stream] > shard->given[stream])
				shard->given[stream] = positions[stream];
	}
}

/* Tails must stay in their half of the memory: the largest goes, and is whole again once its owner has flushed. */
static void tails_bound(struct buckets *buckets)
{
	for (;;) {
		struct shard *largest = NULL;
		size_t bytes = 0;
		for (unsigned i = 0; i < buckets->shard_count; i++) {
			struct shard *shard = &buckets->shards[i];
			bytes += shard->tail.bytes;
			if (shard->tail.bytes && (!largest || shard->tail.bytes > largest->tail.bytes))
				largest = shard;
		}
		metric_set(METRIC_SENSING_TAIL_BYTES, (int64_t)bytes);
		if (!largest || buckets->options.memory_bytes <= 0 ||
			bytes <= (size_t)buckets->options.memory_bytes / 2)
			return;
		pthread_mutex_lock(&largest->lock);
		tail_drop(&largest->tail);
		pthread_mutex_unlock(&largest->lock);
		tell(largest, "partition_tail_dropped", "its owner has not flushed for too long; reads wait for it");
	}
}

static enum err own(struct partitions *partitions, struct err_info *info)
{
	struct buckets *buckets = partitions->buckets;
	struct arena *arena = arena_new(0);
	struct owner_row *rows = NULL;
	enum err err = arena ? buckets_owner_rows(buckets, arena, &rows, info)
			     : err_set(info, ERR_NO_MEMORY, NULL, "no memory to look at the shards");
	unsigned most = partitions->let_all_go ? 0 : share(partitions), owned = 0;
	bool taking = false;
	if (!err)
		rows_look(partitions, rows);
	tails_bound(buckets);
	for (unsigned i = 0; i < buckets->shard_count && !err; i++)
		owned += buckets->shards[i].owned;
	for (unsigned i = 0; i < buckets->shard_count && most == 0 && !err; i++)
		if (buckets->shards[i].owned)
			mailbox_close(buckets->shards[i].mailbox); /* all go: they flush side by side */
	for (unsigned i = buckets->shard_count; i-- > 0 && owned > most && !err;) {
		if (!buckets->shards[i].owned)
			continue;
		give_back(&buckets->shards[i]);
		owned--;
	}
	for (unsigned i = 0; i < buckets->shard_count && owned < most && !err && members_alive(partitions->members);
		i++) {
		struct shard *shard = &buckets->shards[i];
		bool ours = false;
		if (shard->owned || !is_free(partitions, &rows[i]))
			continue;
		err = row_take(shard, &rows[i], &ours, info);
		if (!ours)
			continue;
		pthread_mutex_lock(&shard->lock);
		shard->taking = true;
		shard->behind = false;
		buckets_row_positions(buckets, &rows[i], shard->applied);
		memcpy(shard->durable, shard->applied, sizeof shard->durable);
		pthread_mutex_unlock(&shard->lock);
		memcpy(shard->given, shard->applied, sizeof shard->given);
		taking = true;
		owned++;
	}
	if (taking) {
		enum err started = taken_start(buckets, info);
		for (unsigned i = 0; i < buckets->shard_count; i++) {
			struct shard *shard = &buckets->shards[i];
			if (!shard->taking)
				continue;
			if (started)
				lose(shard, shard->durable);
			else
				taken(shard);
		}
		err = err ? err : started;
	}
	tell_owned(partitions);
	if (!err)
		err = followers_catch_up(buckets, info);
	arena_free(&arena);
	return err;
}

/* ---- reading the logs ---- */

static enum err look_for_streams(struct buckets *buckets, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	const char **names;
	size_t count = 0;
	enum err err = arena ? store_log_streams(
				       buckets->options.store, STORE_READINGS, "readings.", arena, &names, &count, info)
			     : err_set(info, ERR_NO_MEMORY, NULL, "no memory to read the readings logs");
	for (size_t i = 0; i < count && !err; i++)
		if (buckets_stream(buckets, names[i]) == SHARD_STREAMS_MAX)
			err = err_set(
				info, ERR_TOO_LARGE, NULL, "there are more than %d readings logs", SHARD_STREAMS_MAX);
	arena_free(&arena);
	return err;
}

static enum err pass(struct partitions *partitions, struct err_info *info)
{
	struct buckets *buckets = partitions->buckets;
	int64_t began_us = clock_monotonic_us();
	enum err err = partitions->turn++ % STREAMS_EACH == 0 ? look_for_streams(buckets, info) : ERR_OK;
	for (unsigned stream = 0; stream < buckets->stream_count && !err; stream++) {
		struct store_batch head;
		uint64_t fed = buckets->streams[stream].fed;
		err = store_log_head(
			buckets->options.store, STORE_READINGS, buckets->streams[stream].name, &head, info);
		if (!err && head.seq > fed)
			err = buckets_replay(buckets, stream, fed + 1, head.seq, clock_monotonic_us() + HAND_US, info);
	}
	if (err)
		return err;
	pthread_mutex_lock(&partitions->lock);
	atomic_store(&partitions->passed_us, began_us);
	pthread_cond_broadcast(&partitions->passed);
	pthread_mutex_unlock(&partitions->lock);
	return ERR_OK;
}

/* ---- closing at once ---- */

static enum err request_answer(
	struct buckets *buckets, struct shard *shard, const struct close_request *request, struct err_info *info)
{
	const struct asked_sensor *sensors = request->sensors.items;
	size_t count = request->sensors.count;
	int64_t deadline_us = clock_monotonic_us() + CLOSE_US;
	struct runtime_reply **replies = calloc(count + 1, sizeof(*replies));
	enum err err = replies ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory to close hours");
	for (size_t i = 0; i < count && !err; i++)
		err = buckets_send(
			shard, SHARD_CLOSE, sensors[i].id, request->from_us, request->to_us, deadline_us, &replies[i]);
	for (size_t i = 0; i < count && replies; i++) {
		enum err one = replies[i] ? reply_wait(replies[i], err ? NULL : info) : ERR_OK;
		err = err ? err : one;
		reply_unref(&replies[i]);
	}
	free(replies);
	const struct store_change done = {
		.collection = &close_requests_collection, .row = request, .verb = STORE_DELETE};
	return err ? err : store_write(buckets->options.store, &done, 1, NULL, info);
}

/* What others ask of our shards, after a pass that began after they had asked: whatever was durable then is in the hours. */
static enum err answer_requests(struct partitions *partitions, struct err_info *info)
{
	struct buckets *buckets = partitions->buckets;
	struct store_query query = {.collection = &close_requests_collection, .most = REQUESTS_MOST};
	struct arena *arena = arena_new(0);
	void *rows = NULL;
	size_t count = 0;
	enum err err = arena ? store_find(buckets->options.store, &query, arena, &rows, &count, info)
			     : err_set(info, ERR_NO_MEMORY, NULL, "no memory to close hours");
	if (!err && count)
		err = pass(partitions, info);
	for (size_t i = 0; i < count && !err; i++) {
		const struct close_request *request = (const struct close_request *)rows + i;
		struct shard *shard = request->partition < (int64_t)buckets->shard_count
					      ? &buckets->shards[request->partition]
					      : NULL;
		if (shard && shard->owned)
			err = request_answer(buckets, shard, request, info);
	}
	arena_free(&arena);
	return err;
}

static enum err request_write(struct buckets *buckets, unsigned partition, const struct id *sensors, size_t count,
	int64_t from_us, int64_t to_us, struct arena *arena, struct close_request *ret_request, struct err_info *info)
{
	struct asked_sensor *asked = ARENA_ARRAY(arena, struct asked_sensor, count + 1);
	size_t mine = 0;
	if (!asked)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to ask for hours");
	for (size_t i = 0; i < count; i++)
		if (buckets_shard_of(buckets, sensors[i])->index == partition)
			asked[mine++].id = sensors[i];
	*ret_request = (struct close_request){.id = id_new(clock_wall_us()),
		.partition = partition,
		.from_us = from_us,
		.to_us = to_us,
		.sensors = {.items = asked, .count = mine}};
	const struct store_change change = {
		.collection = &close_requests_collection, .row = ret_request, .verb = STORE_PUT};
	return mine ? store_write(buckets->options.store, &change, 1, NULL, info) : ERR_OK;
}

static void wait_for_us(struct partitions *partitions, pthread_cond_t *condition, int64_t until_us)
{
	struct timespec until = {
		.tv_sec = until_us / CLOCK_US_PER_SECOND, .tv_nsec = until_us % CLOCK_US_PER_SECOND * 1000};
	pthread_cond_timedwait(condition, &partitions->lock, &until);
}

static enum err request_await(
	struct buckets *buckets, const struct close_request *request, int64_t deadline_us, struct err_info *info)
{
	struct partitions *partitions = buckets->partitions;
	while (request->sensors.count) {
		struct arena *arena = arena_new(0);
		struct close_request row = {.id = request->id};
		if (!arena)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory to ask for hours");
		enum err err = store_get(buckets->options.store, &close_requests_collection, &row, arena, info);
		arena_free(&arena);
		if (err)
			return err == ERR_NOT_FOUND ? ERR_OK : err;
		if (clock_monotonic_us() >= deadline_us)
			return err_set(info, ERR_DEADLINE, NULL, "the owner of the hours has not closed them in time");
		pthread_mutex_lock(&partitions->lock);
		bool stopping = partitions->stopping;
		if (!stopping)
			wait_for_us(partitions, &partitions->passed, clock_monotonic_us() + ASK_POLL_US);
		pthread_mutex_unlock(&partitions->lock);
		if (stopping)
			return err_set(info, ERR_STOPPING, NULL, "carbond is stopping");
	}
	return ERR_OK;
}

/* The request of an owner that does not answer stays: whoever takes the shard closes the hours. */
enum err partitions_close_hours(struct buckets *buckets, const struct id *sensors, size_t count, int64_t from_us,
	int64_t to_us, int64_t deadline_us, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct close_request *requests = arena ? ARENA_ARRAY(arena, struct close_request, buckets->shard_count) : NULL;
	enum err err = requests ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory to ask for hours");
	for (unsigned i = 0; i < buckets->shard_count && !err; i++)
		err = request_write(buckets, i, sensors, count, from_us, to_us, arena, &requests[i], info);
	if (!err)
		partitions_nudge(buckets);
	for (unsigned i = 0; i < buckets->shard_count && !err; i++)
		err = request_await(buckets, &requests[i], deadline_us, info);
	arena_free(&arena);
	return err;
}

/* ---- the thread ---- */

static bool wait_for_turn(struct partitions *partitions)
{
	int64_t until_us = clock_monotonic_us() + PASS_US;
	pthread_mutex_lock(&partitions->lock);
	while (!partitions->stopping && !partitions->nudged && clock_monotonic_us() < until_us)
		wait_for_us(partitions, &partitions->wake, until_us);
	bool stopping = partitions->stopping;
	partitions->nudged = false;
	pthread_mutex_unlock(&partitions->lock);
	return !stopping;
}

static enum err turn(struct partitions *partitions, struct err_info *info)
{
	enum err err = ERR_OK;
	if (clock_monotonic_us() - partitions->owned_us >= OWN_US) {
		err = own(partitions, info);
		partitions->owned_us = clock_monotonic_us();
	}
	if (!err)
		err = pass(partitions, info);
	return err ? err : answer_requests(partitions, info);
}

static void run(void *argument)
{
	struct partitions *partitions = argument;
	while (wait_for_turn(partitions)) {
		struct err_info info = {0};
		enum err err = turn(partitions, &info);
		if (err && err != ERR_BUSY && err != partitions->last_fault)
			log_failure("partitions_failed", &info, NULL);
		partitions->last_fault = err;
	}
	struct err_info info = {0};
	partitions->let_all_go = true;
	if (own(partitions, &info) != ERR_OK)
		log_failure("partitions_not_given_back", &info, NULL);
}

void partitions_nudge(struct buckets *buckets)
{
	struct partitions *partitions = buckets->partitions;
	pthread_mutex_lock(&partitions->lock);
	partitions->nudged = true;
	pthread_cond_signal(&partitions->wake);
	pthread_mutex_unlock(&partitions->lock);
}

int64_t partitions_age_us(const struct buckets *buckets)
{
	return clock_monotonic_us() - atomic_load(&buckets->partitions->passed_us);
}

enum err partitions_wait(struct buckets *buckets, int64_t since_us, int64_t deadline_us)
{
	struct partitions *partitions = buckets->partitions;
	enum err err = ERR_OK;
	pthread_mutex_lock(&partitions->lock);
	while (!err && atomic_load(&partitions->passed_us) < since_us) {
		if (partitions->stopping || clock_monotonic_us() >= deadline_us)
			err = partitions->stopping ? ERR_STOPPING : ERR_DEADLINE;
		else
			wait_for_us(partitions, &partitions->passed, deadline_us);
	}
	pthread_mutex_unlock(&partitions->lock);
	return err;
}

enum err partitions_current(struct buckets *buckets, struct err_info *info)
{
	int64_t now_us = clock_monotonic_us();
	if (partitions_wait(buckets, now_us - CURRENT_US, now_us + CURRENT_WAIT) == ERR_OK)
		return ERR_OK;
	return err_set(info, ERR_BUSY, NULL, "the readings that other daemons have taken have not been read yet");
}

/* ---- start and stop ---- */

/* The rows of as many shards as there are, made where they are not; another daemon may be making them too. */
static enum err layout(struct buckets *buckets, struct arena *arena, struct owner_row **ret_rows, struct err_info *info)
{
	enum err err = buckets_owner_rows(buckets, arena, ret_rows, info);
	for (int i = 0; i < LAYOUT_TRIES && err == ERR_NOT_FOUND; i++) {
		err = buckets_owners_take(buckets, NULL, arena, info);
		if (!err || err == ERR_CONDITION_FAILED)
			err = buckets_owner_rows(buckets, arena, ret_rows, info);
	}
	return err;
}

static enum err begin(struct buckets *buckets, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct owner_row *rows = NULL;
	enum err err = arena ? layout(buckets, arena, &rows, info)
			     : err_set(info, ERR_NO_MEMORY, NULL, "no memory to start the shards");
	for (unsigned i = 0; i < buckets->shard_count && !err; i++) {
		struct shard *shard = &buckets->shards[i];
		buckets_row_positions(buckets, &rows[i], shard->row_positions);
		memcpy(shard->given, shard->row_positions, sizeof shard->given);
	}
	for (unsigned stream = 0; stream < SHARD_STREAMS_MAX && !err; stream++) {
		buckets->streams[stream].fed = UINT64_MAX;
		for (unsigned i = 0; i < buckets->shard_count; i++)
			if (buckets->shards[i].given[stream] < buckets->streams[stream].fed)
				buckets->streams[stream].fed = buckets->shards[i].given[stream];
	}
	arena_free(&arena);
	return err;
}

enum err partitions_start(struct buckets *buckets, struct err_info *info)
{
	struct partitions *partitions = calloc(1, sizeof *partitions);
	pthread_condattr_t monotonic;
	if (!partitions)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to start the shards");
	partitions->buckets = buckets;
	partitions->members = buckets->options.members;
	pthread_mutex_init(&partitions->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&partitions->wake, &monotonic);
	pthread_cond_init(&partitions->passed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	atomic_init(&partitions->passed_us, INT64_MIN / 2);
	buckets->partitions = partitions;
	partitions->nudged = true;
	enum err err = begin(buckets, info);
	if (!err)
		err = thread_start("partitions", run, partitions, &partitions->thread);
	if (!err)
		err = partitions_wait(buckets, 0, clock_monotonic_us() + START_US);
	if (err == ERR_DEADLINE)
		err_set(info, err, NULL, "the readings logs could not be read within ten minutes");
	return err;
}

void partitions_stop(struct buckets *buckets)
{
	struct partitions *partitions = buckets->partitions;
	if (!partitions)
		return;
	pthread_mutex_lock(&partitions->lock);
	partitions->stopping = true;
	pthread_cond_broadcast(&partitions->wake);
	pthread_cond_broadcast(&partitions->passed);
	pthread_mutex_unlock(&partitions->lock);
	thread_join(&partitions->thread);
	pthread_cond_destroy(&partitions->wake);
	pthread_cond_destroy(&partitions->passed);
	pthread_mutex_destroy(&partitions->lock);
	free(partitions);
	buckets->partitions = NULL;
}
