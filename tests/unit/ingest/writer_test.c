/* The readings writer against doors that the test opens and shuts: nothing is acknowledged before it is durable; what waits
 * together is one append; no space, a full queue, a lost position and a row's condition each have their own end (decision 9).
 * And receipts: they move on only without a gap. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/base/sign.h"
#include "writer.h"

#define WAIT_US (30 * CLOCK_US_PER_SECOND)

/* A store and buckets of the test's own. */
struct world {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	/* what happened */
	uint64_t head;
	size_t appends, attempts, readings, changes, fed, feeds, quarantined_durable, quarantined_lost;
	size_t append_readings[256];
	uint64_t fed_seq;
	struct receipt receipts[16];
	char boots[16][LIMIT_DEVICE_BOOT_BYTES + 1];
	size_t receipt_count, receipt_reads;
	int fatal;
	enum err fatal_code;
	/* what shall happen */
	bool hold_append; /* appends wait */
	enum err append_answer;
	int append_answer_times; /* so often, −1: always */
	double poison;           /* an append with a change is refused while its reading has this value */
	int busy_feeds;
};

static void lock(struct world *world)
{
	pthread_mutex_lock(&world->lock);
}

static void unlock(struct world *world)
{
	pthread_cond_broadcast(&world->moved);
	pthread_mutex_unlock(&world->lock);
}

static enum err head(void *context, const char *stream, struct store_batch *ret_head, struct err_info *info)
{
	struct world *world = context;
	(void)info;
	assert_string_equal(stream, "readings.test");
	ret_head->seq = world->head;
	return ERR_OK;
}

static void keep_receipt(struct world *world, const struct receipt *row)
{
	size_t i = 0;
	while (i < world->receipt_count && strcmp(world->boots[i], row->boot) != 0)
		i++;
	if (i == world->receipt_count)
		world->receipt_count++;
	world->receipts[i] = *row;
	snprintf(world->boots[i], sizeof world->boots[i], "%s", row->boot);
	world->receipts[i].boot = world->boots[i];
}

static bool has_poison(const struct world *world, const struct store_append *append)
{
	struct arena *arena = arena_new(0);
	struct reading *readings;
	size_t count;
	bool found = false;
	assert_int_equal(
		readings_decode(append->batch->payload, append->batch->payload_size, arena, &readings, &count), ERR_OK);
	for (size_t i = 0; i < count; i++)
		found |= readings[i].value == world->poison;
	arena_free(&arena);
	return found;
}

static enum err append(void *context, const struct store_append *append, struct err_info *info)
{
	struct world *world = context;
	enum err err = ERR_OK;
	lock(world);
	world->attempts++;
	pthread_cond_broadcast(&world->moved);
	while (world->hold_append)
		pthread_cond_wait(&world->moved, &world->lock);
	assert_int_equal(append->class, STORE_READINGS);
	assert_int_equal(append->batch->seq, world->head + 1);
	assert_string_equal(append->batch->node, "test");
	if (world->append_answer_times != 0) {
		err = err_set(info, world->append_answer, NULL, "as the test wants it");
		world->append_answer_times -= world->append_answer_times > 0;
	} else if (world->poison != 0 && has_poison(world, append)) {
		err = err_set(info, ERR_CONDITION_FAILED, NULL, "poison");
	} else {
		world->head++;
		world->append_readings[world->appends++ % 256] = append->batch->count;
		world->readings += append->batch->count;
		world->changes += append->change_count;
		for (size_t i = 0; i < append->change_count; i++) {
			if (append->changes[i].collection == &receipts_collection)
				keep_receipt(world, append->changes[i].row);
		}
	}
	unlock(world);
	return err;
}

static enum err feed(void *context, const char *stream, uint64_t seq, const struct reading *readings, size_t count,
	int64_t deadline_us)
{
	struct world *world = context;
	enum err err = ERR_OK;
	(void)stream, (void)deadline_us;
	assert_true(count == 0 || readings);
	lock(world);
	assert_int_equal(seq, world->head); /* durable before it is fed */
	world->feeds++;
	if (world->busy_feeds != 0) {
		world->busy_feeds -= world->busy_feeds > 0;
		err = ERR_BUSY;
	} else {
		assert_int_equal(seq, world->fed_seq + 1); /* in order, each once */
		world->fed_seq = seq;
		world->fed += count;
	}
	unlock(world);
	return err;
}

static enum err quarantine(void *context, struct quarantined *rows, size_t count, struct arena *arena,
	struct store_change **ret_changes, size_t *ret_count)
{
	(void)context;
	*ret_changes = ARENA_ARRAY(arena, struct store_change, count + 1);
	for (size_t i = 0; i < count; i++)
		(*ret_changes)[i] = (struct store_change){.collection = &quarantine_collection, .row = &rows[i]};
	*ret_count = count;
	return ERR_OK;
}

static void quarantined(void *context, const struct quarantined *rows, size_t count, bool durable)
{
	struct world *world = context;
	(void)rows;
	lock(world);
	*(durable ? &world->quarantined_durable : &world->quarantined_lost) += count;
	unlock(world);
}

static enum err find_receipt(void *context, struct receipt *row, struct arena *arena, struct err_info *info)
{
	struct world *world = context;
	(void)arena, (void)info;
	world->receipt_reads++;
	for (size_t i = 0; i < world->receipt_count; i++) {
		if (strcmp(world->boots[i], row->boot) == 0) {
			*row = world->receipts[i];
			return ERR_OK;
		}
	}
	return ERR_NOT_FOUND;
}

static void fatal(void *context, enum err code, const char *detail)
{
	struct world *world = context;
	assert_non_null(detail);
	lock(world);
	world->fatal++;
	world->fatal_code = code;
	unlock(world);
}

static const struct writer_doors doors = {.head = head,
	.append = append,
	.feed = feed,
	.quarantine = quarantine,
	.quarantined = quarantined,
	.find_receipt = find_receipt};

static struct writer *start(struct world *world, size_t queue)
{
	struct writer_options options = {.doors = &doors,
		.doors_context = world,
		.node = "test",
		.queue = queue,
		.fatal = fatal,
		.context = world};
	struct writer *writer = NULL;
	assert_int_equal(writer_start(&options, &writer, NULL), ERR_OK);
	return writer;
}

static struct world *world_new(void)
{
	struct world *world = calloc(1, sizeof *world);
	pthread_mutex_init(&world->lock, NULL);
	pthread_cond_init(&world->moved, NULL);
	return world;
}

static void world_free(struct world *world)
{
	pthread_cond_destroy(&world->moved);
	pthread_mutex_destroy(&world->lock);
	free(world);
}

static struct ingest_batch *batch_of(size_t count, double value, size_t refused)
{
	struct ingest_batch *batch = ingest_batch_new(false);
	struct arena *arena = batch->batch.arena;
	batch->batch.readings = ARENA_ARRAY(arena, struct reading, count + 1);
	batch->batch.quarantined = ARENA_ARRAY(arena, struct quarantined, refused + 1);
	batch->batch.reading_count = count;
	batch->batch.quarantined_count = refused;
	for (size_t i = 0; i < count; i++)
		batch->batch.readings[i] = (struct reading){.time_us = (int64_t)i, .value = value};
	return batch;
}

static struct runtime_reply *submit(struct writer *writer, struct ingest_batch *batch)
{
	struct runtime_reply *reply = reply_new(clock_monotonic_us() + WAIT_US, NULL, NULL);
	assert_int_equal(writer_submit(writer, &batch, reply, clock_monotonic_us() + WAIT_US), ERR_OK);
	assert_null(batch);
	return reply;
}

static enum err finish(struct runtime_reply *reply)
{
	struct err_info info;
	enum err err = reply_wait(reply, &info);
	reply_unref(&reply);
	return err;
}

static void await_attempts(struct world *world, size_t attempts)
{
	lock(world);
	while (world->attempts < attempts)
		pthread_cond_wait(&world->moved, &world->lock);
	unlock(world);
}

static void set_hold(struct world *world, bool hold)
{
	lock(world);
	world->hold_append = hold;
	unlock(world);
}

static void nothing_is_acknowledged_before_it_is_durable(void **state)
{
	struct world *world = world_new();
	(void)state;
	world->hold_append = true;
	world->head = 41;
	world->fed_seq = 41;
	struct writer *writer = start(world, 0);
	struct runtime_reply *reply = submit(writer, batch_of(3, 1, 1));
	await_attempts(world, 1);
	assert_false(reply_is_done(reply));
	set_hold(world, false);
	assert_int_equal(finish(reply), ERR_OK);
	assert_int_equal(world->head, 42);
	assert_int_equal(world->fed, 3);
	assert_int_equal(world->quarantined_durable, 1);
	writer_stop(&writer);
	world_free(world);
}

static void what_waits_together_is_one_append(void **state)
{
	struct world *world = world_new();
	struct runtime_reply *replies[50];
	(void)state;
	world->hold_append = true;
	struct writer *writer = start(world, 0);
	struct runtime_reply *first = submit(writer, batch_of(1, 1, 0));
	await_attempts(world, 1);
	for (int i = 0; i < 50; i++)
		replies[i] = submit(writer, batch_of(10, 1, 2));
	set_hold(world, false);
	assert_int_equal(finish(first), ERR_OK);
	for (int i = 0; i < 50; i++)
		assert_int_equal(finish(replies[i]), ERR_OK);
	assert_int_equal(world->appends, 2);
	assert_int_equal(world->append_readings[1], 500);
	assert_int_equal(world->changes, 100);
	assert_int_equal(world->fed, 501);
	/* large ones are cut */
	world->hold_append = true;
	first = submit(writer, batch_of(1, 1, 0));
	await_attempts(world, 3);
	for (int i = 0; i < 5; i++)
		replies[i] = submit(writer, batch_of(30000, 1, 0));
	set_hold(world, false);
	assert_int_equal(finish(first), ERR_OK);
	for (int i = 0; i < 5; i++)
		assert_int_equal(finish(replies[i]), ERR_OK);
	assert_int_equal(world->appends, 2 + 1 + 5);
	writer_stop(&writer);
	world_free(world);
}

/* ENOSPC: nothing is acknowledged and nothing is lost: the submitter is told, and it goes on when there is space again. */
static void without_space_nothing_is_acknowledged(void **state)
{
	struct world *world = world_new();
	(void)state;
	world->append_answer = ERR_NO_SPACE;
	world->append_answer_times = 2;
	struct writer *writer = start(world, 0);
	assert_int_equal(finish(submit(writer, batch_of(5, 1, 1))), ERR_NO_SPACE);
	assert_int_equal(finish(submit(writer, batch_of(5, 1, 1))), ERR_NO_SPACE);
	assert_int_equal(world->head, 0);
	assert_int_equal(world->feeds, 0);
	assert_int_equal(world->quarantined_lost, 2);
	assert_int_equal(writer_fault(writer), ERR_OK);
	assert_int_equal(finish(submit(writer, batch_of(5, 1, 1))), ERR_OK);
	assert_int_equal(world->head, 1);
	assert_int_equal(world->fatal, 0);
	writer_stop(&writer);
	world_free(world);
}

static void a_full_queue_refuses(void **state)
{
	struct world *world = world_new();
	struct runtime_reply *replies[3];
	(void)state;
	world->hold_append = true;
	struct writer *writer = start(world, 2);
	replies[0] = submit(writer, batch_of(1, 1, 0));
	await_attempts(world, 1);
	replies[1] = submit(writer, batch_of(1, 1, 0));
	replies[2] = submit(writer, batch_of(1, 1, 0));
	struct runtime_reply *reply = reply_new(clock_monotonic_us() + WAIT_US, NULL, NULL);
	struct ingest_batch *batch = batch_of(1, 1, 0);
	assert_int_equal(writer_submit(writer, &batch, reply, 0), ERR_BUSY);
	assert_null(batch);
	assert_int_equal(finish(reply), ERR_BUSY);
	set_hold(world, false);
	for (int i = 0; i < 3; i++)
		assert_int_equal(finish(replies[i]), ERR_OK);
	writer_stop(&writer);
	world_free(world);
}

/* Another writer leads, or the store has latched: the process is asked to stop, once, and nothing is taken any more. */
static void a_lost_position_stops_it(void **state)
{
	static const enum err faults[] = {ERR_POSITION_TAKEN, ERR_STORE_LATCHED, ERR_STORE_CORRUPT, ERR_IO};
	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		struct world *world = world_new();
		world->append_answer = faults[i];
		world->append_answer_times = 1;
		struct writer *writer = start(world, 0);
		assert_int_equal(finish(submit(writer, batch_of(5, 1, 0))), faults[i]);
		assert_int_equal(finish(submit(writer, batch_of(5, 1, 0))), faults[i]);
		assert_int_equal(writer_fault(writer), faults[i]);
		assert_int_equal(world->attempts, 1);
		assert_int_equal(world->feeds, 0);
		assert_int_equal(world->fatal, 1);
		assert_int_equal(world->fatal_code, faults[i]);
		writer_stop(&writer);
		world_free(world);
	}
}

/* What one submitter brings is refused: the others of the same append are none the worse. */
static void a_rows_condition_is_its_submitters_alone(void **state)
{
	struct world *world = world_new();
	struct runtime_reply *replies[5];
	(void)state;
	world->hold_append = true;
	world->poison = 13;
	struct writer *writer = start(world, 0);
	struct runtime_reply *first = submit(writer, batch_of(1, 1, 0));
	await_attempts(world, 1);
	for (int i = 0; i < 5; i++)
		replies[i] = submit(writer, batch_of(10, i == 2 ? 13 : 1, 0));
	set_hold(world, false);
	assert_int_equal(finish(first), ERR_OK);
	for (int i = 0; i < 5; i++)
		assert_int_equal(finish(replies[i]), i == 2 ? ERR_CONDITION_FAILED : ERR_OK);
	assert_int_equal(world->fed, 41);
	assert_int_equal(world->fatal, 0);
	writer_stop(&writer);
	world_free(world);
}

/* Slow buckets: what is durable is acknowledged, but the next append waits until it is fed. */
static void slow_buckets_hold_the_next_append(void **state)
{
	struct world *world = world_new();
	(void)state;
	world->busy_feeds = -1;
	struct writer *writer = start(world, 0);
	assert_int_equal(finish(submit(writer, batch_of(5, 1, 0))), ERR_OK);
	struct runtime_reply *second = submit(writer, batch_of(7, 1, 0));
	lock(world);
	while (world->feeds < 10)
		pthread_cond_wait(&world->moved, &world->lock);
	assert_int_equal(world->attempts, 1);
	world->busy_feeds = 0;
	unlock(world);
	assert_int_equal(finish(second), ERR_OK);
	assert_int_equal(world->fed, 12);
	writer_stop(&writer);
	world_free(world);
}

static void stopping_writes_what_is_queued(void **state)
{
	struct world *world = world_new();
	struct runtime_reply *replies[20];
	(void)state;
	world->hold_append = true;
	struct writer *writer = start(world, 0);
	for (int i = 0; i < 20; i++)
		replies[i] = submit(writer, batch_of(1, 1, 0));
	set_hold(world, false);
	writer_stop(&writer);
	for (int i = 0; i < 20; i++)
		assert_int_equal(finish(replies[i]), ERR_OK);
	assert_int_equal(world->readings, 20);
	world_free(world);
}

struct submitter {
	struct writer *writer;
	pthread_t thread;
	size_t acknowledged, refused;
};

static void *submit_many(void *argument)
{
	struct submitter *mine = argument;
	for (int i = 0; i < 300; i++) {
		struct runtime_reply *reply = reply_new(clock_monotonic_us() + WAIT_US, NULL, NULL);
		struct ingest_batch *batch = batch_of(3, 1, 1);
		enum err err = writer_submit(mine->writer, &batch, reply, i % 2 ? clock_monotonic_us() + WAIT_US : 0);
		(void)err;
		if (reply_wait(reply, NULL) == ERR_OK)
			mine->acknowledged += 3;
		else
			mine->refused += 3;
		reply_unref(&reply);
	}
	return NULL;
}

/* Eight threads, and a store that is full now and then: exactly what was acknowledged is in the log. */
static void many_submitters_at_once(void **state)
{
	struct world *world = world_new();
	struct submitter submitters[8];
	size_t acknowledged = 0, refused = 0;
	(void)state;
	struct writer *writer = start(world, 4);
	for (int i = 0; i < 8; i++) {
		submitters[i] = (struct submitter){.writer = writer};
		pthread_create(&submitters[i].thread, NULL, submit_many, &submitters[i]);
	}
	for (int i = 0; i < 10; i++) {
		await_attempts(world, (size_t)(i + 1) * 5);
		lock(world);
		world->append_answer = ERR_NO_SPACE;
		world->append_answer_times = 1;
		unlock(world);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(submitters[i].thread, NULL);
		acknowledged += submitters[i].acknowledged;
		refused += submitters[i].refused;
	}
	writer_stop(&writer);
	assert_int_equal(acknowledged + refused, 8 * 300 * 3);
	assert_int_equal(world->readings, acknowledged);
	assert_int_equal(world->fed, acknowledged);
	assert_true(refused > 0);
	world_free(world);
}

/* ---- receipts ---- */

static struct ingest_batch *batch_with_receipts(const char *boot, const int64_t *seqs, size_t count)
{
	struct ingest_batch *batch = batch_of(1, 1, 0);
	batch->batch.receipts = ARENA_ARRAY(batch->batch.arena, struct reading_receipt, count);
	batch->batch.receipt_count = count;
	for (size_t i = 0; i < count; i++)
		batch->batch.receipts[i] = (struct reading_receipt){.boot = boot, .seq = seqs[i]};
	return batch;
}

static void a_receipt_moves_on_only_without_a_gap(void **state)
{
	struct world *world = world_new();
	(void)state;
	struct writer *writer = start(world, 0);
	assert_int_equal(finish(submit(writer, batch_with_receipts("b1", (const int64_t[]){1, 2, 3}, 3))), ERR_OK);
	assert_int_equal(world->receipts[0].seq, 3);
	assert_int_equal(finish(submit(writer, batch_with_receipts("b1", (const int64_t[]){5, 6}, 2))), ERR_OK);
	assert_int_equal(world->receipts[0].seq, 3); /* 4 is missing: the device must not forget 5 */
	assert_int_equal(world->receipts[0].highest_seq, 6);
	assert_int_equal(finish(submit(writer, batch_with_receipts("b1", (const int64_t[]){4, 5, 6, 7}, 4))), ERR_OK);
	assert_int_equal(world->receipts[0].seq, 7);
	assert_int_equal(finish(submit(writer, batch_with_receipts("b1", (const int64_t[]){2, 3}, 2))), ERR_OK);
	assert_int_equal(world->receipts[0].seq, 7);
	assert_int_equal(world->receipt_reads, 1); /* remembered after the first */
	assert_int_equal(finish(submit(writer, batch_with_receipts("b2", (const int64_t[]){2}, 1))), ERR_OK);
	assert_int_equal(world->receipts[1].seq, 0);
	/* a refused append leaves no receipt, not even in memory */
	world->append_answer = ERR_NO_SPACE;
	world->append_answer_times = 1;
	assert_int_equal(finish(submit(writer, batch_with_receipts("b1", (const int64_t[]){8}, 1))), ERR_NO_SPACE);
	assert_int_equal(finish(submit(writer, batch_with_receipts("b1", (const int64_t[]){9}, 1))), ERR_OK);
	assert_int_equal(world->receipts[0].seq, 7);
	writer_stop(&writer);
	/* the next start reads them */
	writer = start(world, 0);
	assert_int_equal(finish(submit(writer, batch_with_receipts("b1", (const int64_t[]){8, 9}, 2))), ERR_OK);
	assert_int_equal(world->receipts[0].seq, 9);
	writer_stop(&writer);
	world_free(world);
}

static int set_up(void **state)
{
	(void)state;
	return crypto_start() == ERR_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_acknowledged_before_it_is_durable),
		cmocka_unit_test(what_waits_together_is_one_append),
		cmocka_unit_test(without_space_nothing_is_acknowledged),
		cmocka_unit_test(a_full_queue_refuses),
		cmocka_unit_test(a_lost_position_stops_it),
		cmocka_unit_test(a_rows_condition_is_its_submitters_alone),
		cmocka_unit_test(slow_buckets_hold_the_next_append),
		cmocka_unit_test(stopping_writes_what_is_queued),
		cmocka_unit_test(many_submitters_at_once),
		cmocka_unit_test(a_receipt_moves_on_only_without_a_gap),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
