/* The readings writer: takes what connections and workers submitted, makes one append to `readings.<node>` of all that is
 * waiting (group commit), with refused items, receipts and further rows riding along; feeds the buckets; and completes the
 * submitters. One append is in flight; nothing is completed with ERR_OK before it is durable. Runs on the thread "readings";
 * submit and fault are for any thread.
 *
 * When an append fails (decision 9): no space or a busy store: nothing was written, the submitters are told (no PUBACK, 507,
 * 503) and the writer goes on; a row's condition: those submitters are written one by one, the one at fault is told; the
 * position taken, a latched or corrupt store: the process must stop. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/base/log.h"
#include "writer.h"

#define QUEUE          256
#define TAKE_MOST      256
#define GROUP_READINGS 50000 /* an append of this many is about 200 KB and a few ms */
#define GROUP_ROWS     2000  /* refused items of one append */
#define FEED_WAIT_US   (2 * CLOCK_US_PER_SECOND)
#define LOG_EVERY_US   (10 * CLOCK_US_PER_SECOND)

struct submission {
	struct ingest_batch *batch;
	struct runtime_reply *reply;
};

struct writer {
	/* constant after start */
	struct writer_doors doors;
	void *doors_context;
	void (*fatal)(void *context, enum err code, const char *detail);
	void *context;
	char node[32], stream[STORE_STREAM_SIZE];
	bool shared;
	struct mailbox *mailbox;
	struct thread *thread;

	/* any thread */
	atomic_int fault; /* enum err */
	atomic_bool stopping;

	/* the writer's thread */
	uint64_t seq;
	struct arena *arena; /* of one append */
	struct receipts *receipts;
	int64_t complained_us;
};

/* One append in the making; all in the writer's arena. */
struct group {
	struct submission **submissions;
	size_t count;
	struct reading *readings;
	size_t reading_count;
	struct quarantined *rows;
	size_t row_count;
	struct store_change *receipt_changes;
	size_t receipt_count;
	struct store_change *changes;
	size_t change_count;
};

static void complete(struct submission **submissions, size_t count, enum err code, const struct err_info *info)
{
	for (size_t i = 0; i < count; i++) {
		struct submission *submission = submissions[i];
		if (!submission)
			continue;
		reply_complete(submission->reply, code, info, submission->batch, ingest_batch_release);
		free(submission);
		submissions[i] = NULL;
	}
}

/* ---- one append ---- */

static bool collect_arrays(struct writer *writer, struct group *group)
{
	size_t readings = 0, rows = 0;
	for (size_t i = 0; i < group->count; i++) {
		readings += group->submissions[i]->batch->batch.reading_count;
		rows += group->submissions[i]->batch->batch.quarantined_count;
	}
	group->readings = ARENA_ARRAY(writer->arena, struct reading, readings ? readings : 1);
	group->rows = ARENA_ARRAY(writer->arena, struct quarantined, rows ? rows : 1);
	if (!group->readings || !group->rows)
		return false;
	for (size_t i = 0; i < group->count; i++) {
		const struct reading_batch *batch = &group->submissions[i]->batch->batch;
		if (batch->reading_count)
			memcpy(group->readings + group->reading_count, batch->readings,
				batch->reading_count * sizeof *batch->readings);
		if (batch->quarantined_count)
			memcpy(group->rows + group->row_count, batch->quarantined,
				batch->quarantined_count * sizeof *batch->quarantined);
		group->reading_count += batch->reading_count;
		group->row_count += batch->quarantined_count;
	}
	return true;
}

static enum err collect_receipts(struct writer *writer, struct group *group, struct err_info *info)
{
	struct reading_receipt *came;
	size_t count = 0;
	for (size_t i = 0; i < group->count; i++)
		count += group->submissions[i]->batch->batch.receipt_count;
	came = ARENA_ARRAY(writer->arena, struct reading_receipt, count ? count : 1);
	if (!came)
		return ERR_NO_MEMORY;
	count = 0;
	for (size_t i = 0; i < group->count; i++) {
		const struct reading_batch *batch = &group->submissions[i]->batch->batch;
		if (batch->receipt_count)
			memcpy(came + count, batch->receipts, batch->receipt_count * sizeof *came);
		count += batch->receipt_count;
	}
	return receipts_changes(writer->receipts, came, count, clock_wall_us(), writer->arena, &group->receipt_changes,
		&group->receipt_count, info);
}

/* Refused items, receipts and what the submitters bring, as the rows of one append. */
static enum err collect_changes(struct writer *writer, struct group *group, struct err_info *info)
{
	struct store_change *refused = NULL;
	size_t refused_count = 0, count;
	enum err err = writer->doors.quarantine(
		writer->doors_context, group->rows, group->row_count, writer->arena, &refused, &refused_count);
	if (!err)
		err = collect_receipts(writer, group, info);
	if (err)
		return err;
	count = refused_count + group->receipt_count;
	for (size_t i = 0; i < group->count; i++)
		count += group->submissions[i]->batch->change_count;
	group->changes = ARENA_ARRAY(writer->arena, struct store_change, count ? count : 1);
	if (!group->changes)
		return ERR_NO_MEMORY;
	if (refused_count)
		memcpy(group->changes, refused, refused_count * sizeof *refused);
	memcpy(group->changes + refused_count, group->receipt_changes, group->receipt_count * sizeof *refused);
	count = refused_count + group->receipt_count;
	for (size_t i = 0; i < group->count; i++) {
		const struct ingest_batch *batch = group->submissions[i]->batch;
		if (batch->change_count)
			memcpy(group->changes + count, batch->changes, batch->change_count * sizeof *batch->changes);
		count += batch->change_count;
	}
	group->change_count = count;
	return ERR_OK;
}

static enum err append(struct writer *writer, struct group *group, struct err_info *info)
{
	struct store_batch batch = {.seq = writer->seq + 1,
		.term = 1,
		.count = (uint32_t)group->reading_count,
		.written_at_us = clock_wall_us()};
	uint8_t *payload = NULL;
	enum err err = collect_arrays(writer, group) ? ERR_OK : ERR_NO_MEMORY;
	if (!err)
		err = collect_changes(writer, group, info);
	if (!err) {
		batch.count = (uint32_t)group->reading_count;
		err = readings_encode(
			group->readings, group->reading_count, writer->arena, &payload, &batch.payload_size);
	}
	if (!err && batch.payload_size > STORE_BATCH_BYTES_MAX)
		err = ERR_TOO_LARGE;
	if (err)
		return err_set(info, err, NULL, "the batch of readings could not be built");
	batch.payload = payload;
	snprintf(batch.stream, sizeof batch.stream, "%s", writer->stream);
	snprintf(batch.node, sizeof batch.node, "%s", writer->node);
	const struct store_append request = {.class = STORE_READINGS,
		.batch = &batch,
		.changes = group->changes,
		.change_count = group->change_count};
	int64_t started_us = clock_monotonic_us();
	err = writer->doors.append(writer->doors_context, &request, info);
	metric_observe_us(METRIC_INGEST_APPEND, clock_monotonic_us() - started_us);
	writer->doors.quarantined(writer->doors_context, group->rows, group->row_count, err == ERR_OK);
	if (err)
		return err;
	writer->seq = batch.seq;
	if (!writer->shared)
		receipts_written(writer->receipts, group->receipt_changes, group->receipt_count);
	metric_add(METRIC_INGEST_BATCHES, 1);
	metric_add(METRIC_INGEST_READINGS, (int64_t)group->reading_count);
	metric_add(METRIC_INGEST_QUARANTINED, (int64_t)group->row_count);
	return ERR_OK;
}

/* Hands the durable batch on, completing the submitters first if the buckets are slow: what is durable may be acknowledged.
 * Only stopping ends it otherwise; the next start feeds from the log. */
static void feed(struct writer *writer, struct group *group)
{
	for (;;) {
		enum err err = writer->doors.feed(writer->doors_context, writer->stream, writer->seq, group->readings,
			group->reading_count, clock_monotonic_us() + FEED_WAIT_US);
		complete(group->submissions, group->count, ERR_OK, NULL);
		if (err == ERR_OK || err == ERR_STOPPING || atomic_load(&writer->stopping))
			return;
		metric_add(METRIC_INGEST_SLOW_FEEDS, 1);
	}
}

/* ---- failures ---- */

static bool passes(enum err err)
{
	return err == ERR_NO_SPACE || err == ERR_BUSY || err == ERR_NO_MEMORY;
}

static void complain(struct writer *writer, const struct err_info *info)
{
	int64_t now_us = clock_monotonic_us();
	metric_add(METRIC_INGEST_REFUSED, 1);
	if (writer->complained_us && now_us - writer->complained_us < LOG_EVERY_US)
		return;
	writer->complained_us = now_us;
	log_failure("readings_refused", info, "stream", writer->stream, NULL);
}

static void give_up(struct writer *writer, const struct err_info *info)
{
	int none = ERR_OK;
	if (!atomic_compare_exchange_strong(&writer->fault, &none, (int)info->code))
		return;
	log_failure("readings_writer_stopped", info, "stream", writer->stream, NULL);
	if (writer->fatal)
		writer->fatal(writer->context, info->code, info->detail);
}

static void write_group(struct writer *writer, struct submission **submissions, size_t count);

/* The append of several failed for what one of them brought: each has its own. */
static void write_singly(struct writer *writer, struct submission **submissions, size_t count)
{
	for (size_t i = 0; i < count; i++)
		write_group(writer, submissions + i, 1);
}

static void write_group(struct writer *writer, struct submission **submissions, size_t count)
{
	struct group group = {.submissions = submissions, .count = count};
	struct err_info info = {0};
	enum err err = (enum err)atomic_load(&writer->fault);
	if (err) {
		err_set(&info, err, NULL, "the readings writer has stopped");
		complete(submissions, count, err, &info);
		return;
	}
	arena_reset(writer->arena);
	err = append(writer, &group, &info);
	if (err == ERR_OK) {
		feed(writer, &group);
		return;
	}
	info.code = err;
	bool of_one = err == ERR_CONDITION_FAILED || err == ERR_DUPLICATE || err == ERR_TOO_LARGE;
	if (of_one && count > 1) {
		write_singly(writer, submissions, count);
		return;
	}
	if (!of_one && passes(err))
		complain(writer, &info);
	else if (!of_one)
		give_up(writer, &info);
	complete(submissions, count, err, &info);
}

/* ---- the thread ---- */

/* How many of the waiting ones go into one append: at least one. */
static size_t cut(struct submission *const *submissions, size_t count)
{
	size_t readings = 0, rows = 0, i = 0;
	for (; i < count; i++) {
		const struct ingest_batch *batch = submissions[i]->batch;
		readings += batch->batch.reading_count;
		rows += batch->batch.quarantined_count + batch->change_count;
		if (i > 0 && (readings > GROUP_READINGS || rows > GROUP_ROWS))
			break;
	}
	return i;
}

static void run(void *argument)
{
	struct writer *writer = argument;
	void *items[TAKE_MOST];
	struct submission *submissions[TAKE_MOST];
	for (;;) {
		size_t count = mailbox_take(writer->mailbox, items, TAKE_MOST, INT64_MAX);
		if (count == 0 && mailbox_closed(writer->mailbox))
			return;
		for (size_t i = 0; i < count; i++)
			submissions[i] = items[i];
		for (size_t at = 0; at < count;) {
			size_t group = cut(submissions + at, count - at);
			write_group(writer, submissions + at, group);
			at += group;
		}
	}
}

/* ---- submitting, start and stop ---- */

enum err writer_submit(
	struct writer *writer, struct ingest_batch **batch, struct runtime_reply *reply, int64_t deadline_us)
{
	struct submission *submission = malloc(sizeof *submission);
	struct err_info info = {0};
	enum err err = ERR_NO_MEMORY;
	if (submission) {
		*submission = (struct submission){.batch = *batch, .reply = reply};
		err = deadline_us ? mailbox_put_wait(writer->mailbox, submission, deadline_us)
				  : mailbox_put(writer->mailbox, submission);
	}
	if (err) {
		free(submission);
		err_set(&info, err, NULL,
			err == ERR_BUSY ? "the queue of readings is full" : "readings are not taken now");
		reply_complete(reply, err, &info, *batch, ingest_batch_release);
	}
	*batch = NULL;
	return err;
}

enum err writer_fault(const struct writer *writer)
{
	return (enum err)atomic_load(&writer->fault);
}

static void writer_free(struct writer *writer)
{
	mailbox_free(&writer->mailbox);
	receipts_free(&writer->receipts);
	arena_free(&writer->arena);
	free(writer);
}

enum err writer_start(const struct writer_options *options, struct writer **ret_writer, struct err_info *info)
{
	struct writer *writer = calloc(1, sizeof *writer);
	struct store_batch head = {.seq = 0};
	enum err err;
	*ret_writer = NULL;
	if (!writer)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the readings writer");
	writer->doors = *options->doors;
	writer->doors_context = options->doors_context;
	writer->shared = options->shared;
	writer->fatal = options->fatal;
	writer->context = options->context;
	snprintf(writer->node, sizeof writer->node, "%s", options->node);
	snprintf(writer->stream, sizeof writer->stream, "readings.%s", options->node);
	writer->mailbox = mailbox_new("readings", options->queue ? options->queue : QUEUE);
	writer->receipts = receipts_new(options->doors->find_receipt, options->doors_context);
	writer->arena = arena_new(2 * (size_t)LIMIT_BATCH_ARENA_BYTES);
	err = writer->mailbox && writer->receipts && writer->arena
		      ? ERR_OK
		      : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the readings writer");
	if (!err)
		err = writer->doors.head(writer->doors_context, writer->stream, &head, info);
	writer->seq = head.seq;
	if (!err) {
		err = thread_start("readings", run, writer, &writer->thread);
		if (err)
			err_set(info, err, NULL, "the thread of the readings writer does not start");
	}
	if (err)
		writer_free(writer);
	else
		*ret_writer = writer;
	return err;
}

void writer_stop(struct writer **writer)
{
	if (!*writer)
		return;
	atomic_store(&(*writer)->stopping, true);
	mailbox_close((*writer)->mailbox);
	thread_join(&(*writer)->thread);
	writer_free(*writer);
	*writer = NULL;
}
