/* Decides which requests share a transaction, and what a failed commit means (decision 9). One writer thread a file; requests that wait together are joined, each in its own savepoint with its own verdict, and
 * all are answered after the commit is durable. */
#include <assert.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "sqlite.h"

#define INBOX_REQUESTS 1024
#define INBOX_WAIT_US  INT64_C(10000000) /* back-pressure; then BUSY */
#define GROUP_REQUESTS 128
#define GROUP_BYTES    ((size_t)8 << 20) /* of payload in one transaction */
#define SWEEP_EVERY_US INT64_C(60000000)

/* A verdict on one request alone. Anything else that leaves the transaction open is one, too; see is_fatal. */
static bool is_refusal(enum err err)
{
	return err == ERR_POSITION_TAKEN || err == ERR_GUARD_TAKEN || err == ERR_CONDITION_FAILED ||
	       err == ERR_DUPLICATE;
}

/* What takes the whole group down. */
static bool is_fatal(struct sqlite_file *file, enum err err)
{
	return err == ERR_IO || err == ERR_NO_SPACE || err == ERR_STORE_CORRUPT || err == ERR_BUSY ||
	       sqlite3_get_autocommit(file->writer.db) != 0;
}

/* ---- a group ---- */

static enum err savepoint(struct sqlite_file *file, const char *text, struct err_info *info)
{
	return sqlite_run(&file->writer, text, info);
}

static enum err run_one(struct sqlite_file *file, struct sqlite_request *request, bool alone, struct err_info *info)
{
	enum err err = alone ? ERR_OK : savepoint(file, "SAVEPOINT request", info);
	if (err)
		return err;
	request->code = request->run(file, request, &request->info);
	if (request->code == ERR_OK)
		return alone ? ERR_OK : savepoint(file, "RELEASE request", info);
	sqlite_forget_append(request);
	if (is_fatal(file, request->code)) {
		*info = request->info;
		return request->code;
	}
	if (alone)
		return ERR_OK; /* the group has done nothing: it is rolled back */
	err = savepoint(file, "ROLLBACK TO request", info);
	return err ? err : savepoint(file, "RELEASE request", info);
}

static bool group_reads_back(struct sqlite_file *file, struct sqlite_request *const *requests, size_t count)
{
	bool any = false;
	for (size_t i = 0; i < count; i++) {
		const struct store_job *job = requests[i]->job;
		if (requests[i]->code || !job || !job->batch)
			continue;
		any = true;
		if (!sqlite_reads_back(file, job->batch))
			return false;
	}
	return any;
}

static void rollback(struct sqlite_file *file)
{
	struct err_info info;
	if (sqlite3_get_autocommit(file->writer.db) != 0)
		return;
	int code = sqlite3_step(file->writer.rollback);
	if (code != SQLITE_DONE) {
		(void)sqlite_failure(&file->writer, code, "ROLLBACK", &info);
		sqlite_latch(file->back, &info); /* neither forward nor back: only a new process can tell */
	}
	sqlite_done(file->writer.rollback);
}

/* COMMIT, and where it reports an error the truth about it: SQLite's hook has seen the commit stand in the log, or the
 * positions read back as ours. */
static enum err commit(
	struct sqlite_file *file, struct sqlite_request *const *requests, size_t count, struct err_info *info)
{
	file->committed = false;
	int64_t start_us = clock_monotonic_us();
	enum err err = sqlite_run(&file->writer, "COMMIT", info);
	if (file->class != STORE_VIEWS) /* which is not synced: it can be made anew */
		metric_observe_us(METRIC_STORE_SYNC, clock_monotonic_us() - start_us);
	if (!err)
		return ERR_OK;
	if (err == ERR_IO || err == ERR_STORE_CORRUPT)
		sqlite_latch(file->back, info);
	rollback(file);
	bool stands =
		file->committed || (!atomic_load(&file->back->latched) && group_reads_back(file, requests, count));
	return stands ? ERR_OK : err;
}

/* Everything that was remembered of a group that came to nothing. */
static void fail_group(struct sqlite_file *file, struct sqlite_request *const *requests, size_t count, enum err err,
	const struct err_info *info)
{
	metric_add(METRIC_STORE_FAILED_WRITES, 1);
	if (err == ERR_IO || err == ERR_STORE_CORRUPT)
		sqlite_latch(file->back, info);
	if (err == ERR_NO_SPACE)
		sqlite_note_full(file->back);
	if (atomic_load(&file->back->latched))
		err = ERR_STORE_LATCHED;
	file->head_count = 0;
	for (size_t i = 0; i < count; i++) {
		/* refusals too: they were judged by what has been undone */
		requests[i]->code = err;
		requests[i]->info = *info;
		requests[i]->info.code = err;
		requests[i]->more = false;
	}
}

static enum err run_group(
	struct sqlite_file *file, struct sqlite_request *const *requests, size_t count, struct err_info *info)
{
	size_t done = 0;
	enum err err = sqlite_run(&file->writer, "BEGIN IMMEDIATE", info);
	for (size_t i = 0; i < count && !err; i++) {
		err = run_one(file, requests[i], count == 1, info);
		done += requests[i]->code == ERR_OK;
	}
	if (!err && done)
		return commit(file, requests, count, info);
	rollback(file);
	return err;
}

static void write_group(struct sqlite_file *file, struct sqlite_request *const *requests, size_t count)
{
	struct err_info info = {.code = ERR_OK};
	int64_t start_us = clock_monotonic_us();
	enum err err = run_group(file, requests, count, &info);
	if (err)
		fail_group(file, requests, count, err, &info);
	else
		metric_observe_us(METRIC_STORE_COMMIT, clock_monotonic_us() - start_us);
	for (size_t i = 0; i < count; i++) {
		if (!requests[i]->code && requests[i]->job && requests[i]->job->batch)
			metric_add(METRIC_STORE_APPENDS, 1);
		sem_post(&requests[i]->done); /* from here on the request is gone */
	}
}

/* ---- what is let in ---- */

/* A verdict without trying: the latch, and the low-water mark for what does not make space. */
static bool is_turned_away(struct sqlite_file *file, struct sqlite_request *request)
{
	if (atomic_load(&file->back->latched))
		request->code = err_set(&request->info, ERR_STORE_LATCHED, NULL,
			"the store stopped after a failed write; carbond must be restarted");
	else if (!sqlite_has_space(file->back) && !request->frees)
		request->code = err_set(&request->info, ERR_NO_SPACE, NULL, "the disk of the data directory is full");
	else
		return false;
	metric_add(METRIC_STORE_REFUSED, 1);
	sem_post(&request->done);
	return true;
}

static size_t payload_of(const struct sqlite_request *request)
{
	return request->job && request->job->batch ? request->job->batch->payload_size : 0;
}

static void write_all(struct sqlite_file *file, void **items, size_t count)
{
	struct sqlite_request *group[GROUP_REQUESTS];
	size_t size = 0, bytes = 0;
	for (size_t i = 0; i < count; i++) {
		struct sqlite_request *request = items[i];
		if (is_turned_away(file, request))
			continue;
		if (size && bytes + payload_of(request) > GROUP_BYTES) {
			write_group(file, group, size);
			size = bytes = 0;
			if (is_turned_away(file, request))
				continue;
		}
		group[size++] = request;
		bytes += payload_of(request);
	}
	if (size)
		write_group(file, group, size);
}

/* ---- upkeep, while nobody waits for an answer ---- */

static void sweep(struct sqlite_file *file)
{
	if (clock_monotonic_us() < file->sweep_at_us)
		return;
	file->sweep_at_us = clock_monotonic_us() + SWEEP_EVERY_US;
	struct sqlite_request request = {.run = sqlite_sweep, .frees = true}, *group[1] = {&request};
	sem_init(&request.done, 0, 0);
	do {
		request.more = false;
		if (atomic_load(&file->back->latched))
			break;
		write_group(file, group, 1);
	} while (request.more);
	sem_destroy(&request.done);
}

static void run_writer(void *argument)
{
	struct sqlite_file *file = argument;
	void *items[GROUP_REQUESTS];
	for (;;) {
		size_t count = mailbox_take(file->inbox, items, GROUP_REQUESTS, file->sweep_at_us);
		if (count == 0 && mailbox_closed(file->inbox))
			return;
		if (count)
			write_all(file, items, count);
		sqlite_checkpoint(file);
		sweep(file);
	}
}

/* ---- for the other threads ---- */

enum err sqlite_writer_start(struct sqlite_file *file, struct err_info *info)
{
	static const char *const inbox_names[] = {"store-value", "store-readings", "store-views"};
	file->sweep_at_us = clock_monotonic_us();
	/* after the schema's last change, which would make it be prepared anew */
	int code = sqlite3_prepare_v3(
		file->writer.db, "ROLLBACK", -1, SQLITE_PREPARE_PERSISTENT, &file->writer.rollback, NULL);
	if (code != SQLITE_OK)
		return sqlite_failure(&file->writer, code, "prepare", info);
	file->inbox = mailbox_new(inbox_names[file->class], INBOX_REQUESTS);
	if (!file->inbox)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the store's queues");
	enum err err = sqlite_checkpoints_start(file, info);
	if (err)
		return err;
	err = thread_start(inbox_names[file->class], run_writer, file, &file->thread);
	return err ? err_set(info, err, NULL, "the store's writer thread could not be started") : ERR_OK;
}

void sqlite_writer_stop(struct sqlite_file *file)
{
	if (file->inbox)
		mailbox_close(file->inbox);
	thread_join(&file->thread);
	mailbox_free(&file->inbox);
	sqlite_checkpoints_stop(file);
}

enum err sqlite_submit(struct sqlite_file *file, struct sqlite_request *request, struct err_info *info)
{
	request->code = ERR_OK;
	request->more = false;
	sem_init(&request->done, 0, 0);
	enum err err = mailbox_put_wait(file->inbox, request, clock_monotonic_us() + INBOX_WAIT_US);
	if (err) {
		err_set(info, err, NULL, "the queue of %s is full", file->name);
	} else {
		while (sem_wait(&request->done) != 0)
			continue; /* EINTR alone */
		err = request->code;
		if (err && info)
			*info = request->info;
	}
	sem_destroy(&request->done);
	return err;
}

static enum err run_write(struct sqlite_file *file, struct sqlite_request *request, struct err_info *info)
{
	enum err err = request->job->batch ? sqlite_append(file, request, info) : ERR_OK;
	if (!err)
		err = sqlite_change_rows(file, request->job, info);
	assert(!is_refusal(err) || info->code == err);
	return err;
}

enum err sqlite_write(void *engine, struct store_job *job, struct err_info *info)
{
	struct sqlite *back = engine;
	struct sqlite_request request = {.run = run_write, .job = job};
	return sqlite_submit(&back->files[job->class], &request, info);
}
