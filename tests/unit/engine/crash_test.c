/* Kill −9 at any moment: what was acknowledged is there, nothing is doubled, the views agree with the journal; snapshots and
 * replay make the same state, and damaged ones are not used. */
#include "place.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "parts.h"

/* ---- children that are killed ---- */

#define ROUNDS  12
#define SENDERS 4

/* What a child tells its parent, one line of memory each: the command it was answered for. */
struct report {
	struct id command;
	int64_t position;
};

struct sender {
	struct place *place;
	struct world world;
	uint64_t batch;
	int out;
	int from;
};

/* Transfers and retires one kilogram after the other, and reports each answer after it has come. */
static void *send_for_ever(void *argument)
{
	struct sender *sender = argument;
	for (int i = 0;; i++) {
		struct engine_result result;
		struct err_info info = {0};
		sender->world.now_us = clock_wall_us();
		struct command command = i % 5 == 4 ? retire_command(&sender->world, sender->from, sender->batch, 1)
						    : transfer_command(&sender->world, sender->from,
							      (sender->from + 1) % WORLD_ORGS, sender->batch, 1);
		if (engine_command(sender->place->engine, &command, NULL, 0, seconds_from_now(30), &result, &info))
			_exit(1);
		struct report report = {.command = command.id, .position = result.position};
		if (write(sender->out, &report, sizeof report) != sizeof report)
			_exit(1);
	}
	return NULL;
}

static void child(struct place *place, uint64_t seed, uint64_t batch, int out)
{
	static struct sender senders[SENDERS];
	pthread_t threads[SENDERS];
	place_start(place);
	for (int i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.place = place, .batch = batch, .out = out, .from = i};
		place_world(&senders[i].world, 1);                  /* the same organisations in every process … */
		senders[i].world.random = seed * 100 + (uint64_t)i; /* … and other ids */
		pthread_create(&threads[i], NULL, send_for_ever, &senders[i]);
	}
	pause();
}

struct seen {
	struct report *reports;
	size_t report_count;
	struct id commands[200000]; /* of the journal's command_done */
	int64_t positions[200000];
	size_t count;
};

static enum err see(void *context, const struct event *event)
{
	struct seen *seen = context;
	if (event->header.type == EVENT_COMMAND_DONE) {
		assert_true(seen->count < 200000);
		seen->commands[seen->count] = event->header.command;
		seen->positions[seen->count++] = (int64_t)event->header.number;
	}
	return ERR_OK;
}

static int reports_by_position(const void *a, const void *b)
{
	const struct report *x = a, *y = b;
	return x->position < y->position ? -1 : x->position > y->position;
}

static void every_report_is_in_the_journal_once(struct place *place, struct seen *seen)
{
	struct err_info info;
	seen->count = 0;
	assert_int_equal(engine_journal_read(place->store, 1, see, seen, &info), ERR_OK);
	qsort(seen->reports, seen->report_count, sizeof *seen->reports, reports_by_position);
	size_t at = 0;
	for (size_t i = 0; i < seen->report_count; i++) {
		while (at < seen->count && seen->positions[at] < seen->reports[i].position)
			at++;
		assert_true(at < seen->count); /* else: acknowledged and lost */
		assert_int_equal(seen->positions[at], seen->reports[i].position);
		assert_true(id_equal(seen->commands[at], seen->reports[i].command));
	}
}

static void kill_9_loses_nothing_acknowledged_and_doubles_nothing(void **state)
{
	(void)state;
	static struct seen seen;
	struct place place;
	struct world world;
	place_new(&place);
	place_world(&world, 1);
	place.snapshot_events = 400; /* so that kills meet snapshots being written, too */
	place_start(&place);
	place_verifier(&place, &world, 3);
	uint64_t batch = place_issue(&place, &world, 0, 24, 1000000, NULL);
	for (int org = 1; org < SENDERS; org++) {
		struct command give = transfer_command(&world, 0, org, batch, 100000);
		assert_int_equal(place_command(&place, &world, &give, NULL), ERR_OK);
	}
	place_stop(&place);
	seen.reports = malloc(200000 * sizeof *seen.reports);
	seen.report_count = 0;
	for (uint64_t round = 0; round < ROUNDS; round++) {
		int pipe_ends[2];
		assert_int_equal(pipe(pipe_ends), 0);
		pid_t pid = fork();
		if (pid == 0) {
			close(pipe_ends[0]);
			child(&place, round + 2, batch, pipe_ends[1]);
		}
		close(pipe_ends[1]);
		/* so many answers, then the kill: a different moment each round */
		size_t wanted = 20 + (size_t)world_below(&world, 400);
		struct report report;
		bool killed = false;
		while (read(pipe_ends[0], &report, sizeof report) == sizeof report) {
			seen.reports[seen.report_count++] = report;
			if (!killed && --wanted == 0) {
				kill(pid, SIGKILL);
				killed = true;
			}
		}
		close(pipe_ends[0]);
		int status = 0;
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		place_start(&place);
		every_report_is_in_the_journal_once(&place, &seen);
		place_check_views(&place);
		place_stop(&place);
	}
	printf("%zu commands acknowledged over %d kills\n", seen.report_count, ROUNDS);
	free(seen.reports);
	place_drop(&place);
	world_stop(&world);
}

/* ---- snapshots ---- */

#define SNAPSHOT_PREFIX "snapshot.0." /* home's */

static struct hash hash_of(const struct loaded *loaded)
{
	struct hash hash;
	struct err_info info;
	assert_int_equal(rules_state_hash(loaded->rules, &hash, &info), ERR_OK);
	return hash;
}

static struct hash replayed_from_the_beginning(struct place *place)
{
	struct err_info info;
	struct loaded loaded = {.rules = rules_new(place->registry, 77)};
	assert_int_equal(journal_replay(place->store, &loaded, 0, &info), ERR_OK);
	struct hash hash = hash_of(&loaded);
	rules_free(&loaded.rules);
	return hash;
}

static size_t snapshot_count(struct place *place, uint64_t *ret_newest)
{
	struct err_info info;
	struct arena *arena = arena_new(0);
	const char **names;
	size_t count = 0;
	*ret_newest = 0;
	assert_int_equal(
		store_log_streams(place->store, STORE_VIEWS, SNAPSHOT_PREFIX, arena, &names, &count, &info), ERR_OK);
	for (size_t i = 0; i < count; i++) {
		uint64_t position = strtoull(names[i] + strlen(SNAPSHOT_PREFIX), NULL, 10);
		*ret_newest = position > *ret_newest ? position : *ret_newest;
	}
	arena_free(&arena);
	return count;
}

struct copy {
	uint8_t *bytes;
	size_t size;
};

static enum err copy_batch(void *context, const struct store_batch *batch)
{
	struct copy *copy = context;
	copy->bytes = realloc(copy->bytes, copy->size + batch->payload_size);
	memcpy(copy->bytes + copy->size, batch->payload, batch->payload_size);
	copy->size += batch->payload_size;
	return ERR_OK;
}

static void place_snapshot(struct place *place, uint64_t position, const uint8_t *bytes, size_t size)
{
	struct err_info info;
	struct store_batch batch = {.seq = 1, .term = 1, .node = "test", .payload = bytes, .payload_size = size};
	snprintf(batch.stream, sizeof batch.stream, SNAPSHOT_PREFIX "%020llu", (unsigned long long)position);
	struct store_append append = {.class = STORE_VIEWS, .batch = &batch};
	assert_int_equal(store_log_append(place->store, &append, NULL, &info), ERR_OK);
}

static void p8_snapshot_and_replay_make_the_same_state(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	struct err_info info;
	struct loaded loaded;
	uint64_t newest = 0;
	place_new(&place);
	place_world(&world, 7);
	place.no_views = true;
	place_start(&place);
	place_verifier(&place, &world, 3);
	for (int i = 0; i < 4; i++) {
		uint64_t batch = place_issue(&place, &world, 0, 24, 10000, NULL);
		for (int j = 0; j < 50; j++) {
			struct command give = transfer_command(&world, 0, 1 + j % 5, batch, 1 + j);
			assert_int_equal(place_command(&place, &world, &give, NULL), ERR_OK);
		}
		struct loaded now = {.rules = rules_new(place.registry, 5)};
		assert_int_equal(journal_replay(place.store, &now, 0, &info), ERR_OK);
		assert_int_equal(snapshot_write(place.store, "test", &now, &info), ERR_OK);
		assert_true(snapshot_count(&place, &newest) <= 2); /* two are kept */
		assert_int_equal(newest, rules_position(now.rules));
		rules_free(&now.rules);
	}
	assert_int_equal(snapshot_count(&place, &newest), 2);
	struct command more = transfer_command(&world, 0, 1, 1, 3);
	assert_int_equal(place_command(&place, &world, &more, NULL), ERR_OK);
	struct hash wanted = replayed_from_the_beginning(&place);
	assert_int_equal(snapshot_load(place.store, place.registry, 0, true, &loaded, &info), ERR_OK);
	assert_int_equal(loaded.snapshot_position, newest);
	assert_int_equal(journal_replay(place.store, &loaded, 0, &info), ERR_OK);
	struct hash found = hash_of(&loaded);
	assert_memory_equal(&found, &wanted, sizeof wanted);
	rules_free(&loaded.rules);
	/* without its last record, or of another journal, it is no snapshot: the one before it is used, with the same end */
	struct copy copy = {0};
	char stream[64];
	snprintf(stream, sizeof stream, SNAPSHOT_PREFIX "%020llu", (unsigned long long)newest);
	assert_int_equal(store_log_read(place.store, STORE_VIEWS, stream, 1, copy_batch, &copy, &info), ERR_OK);
	for (int spoiled = 0; spoiled < 3; spoiled++) {
		size_t end = EVENT_HEADER_SIZE + sizeof(struct event_state_end);
		if (spoiled == 1)
			copy.bytes[copy.size - 1] ^= 1; /* the journal batch's hash */
		place_snapshot(
			&place, newest + 1 + (uint64_t)spoiled, copy.bytes, copy.size - (spoiled == 0 ? end : 0));
		if (spoiled == 1)
			copy.bytes[copy.size - 1] ^= 1;
		assert_int_equal(snapshot_load(place.store, place.registry, 0, true, &loaded, &info), ERR_OK);
		assert_int_equal(loaded.snapshot_position, newest); /* what the records say, not the name */
		assert_int_equal(journal_replay(place.store, &loaded, 0, &info), ERR_OK);
		found = hash_of(&loaded);
		assert_memory_equal(&found, &wanted, sizeof wanted);
		rules_free(&loaded.rules);
		uint64_t left = 0;
		(void)snapshot_count(&place, &left);
		assert_int_equal(left, spoiled < 2 ? newest : newest + 3); /* spoiled ones are deleted */
	}
	free(copy.bytes);
	/* another registry's snapshot is not ours */
	assert_int_equal(snapshot_load(place.store, (struct id){{99}}, 0, true, &loaded, &info), ERR_OK);
	assert_int_equal(loaded.snapshot_position, 0);
	rules_free(&loaded.rules);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

static void the_replayer_writes_snapshots_by_itself(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	uint64_t newest = 0;
	place_new(&place);
	place_world(&world, 8);
	place.no_views = true;
	place.snapshot_events = 50;
	place_start(&place);
	place_verifier(&place, &world, 3);
	uint64_t batch = place_issue(&place, &world, 0, 24, 100000, NULL);
	int64_t deadline = seconds_from_now(30);
	for (int j = 0; newest < 200 && clock_monotonic_us() < deadline; j++) {
		struct command give = transfer_command(&world, 0, 1 + j % 5, batch, 1);
		assert_int_equal(place_command(&place, &world, &give, NULL), ERR_OK);
		(void)snapshot_count(&place, &newest);
	}
	assert_true(newest >= 200);
	struct hash wanted = replayed_from_the_beginning(&place);
	place_stop(&place);
	metric_set(METRIC_ENGINE_SNAPSHOT_POSITION, 0);
	place_start(&place); /* which snapshot the state came from is known before another is due */
	assert_true(metric_value(METRIC_ENGINE_SNAPSHOT_POSITION) >= 200);
	struct hash found = replayed_from_the_beginning(&place);
	assert_memory_equal(&found, &wanted, sizeof wanted);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

/* ---- consumers ---- */

struct counted {
	atomic_int_fast64_t last, events, failures_left;
};

static enum err count_in_order(void *context, const struct event *events, size_t count, struct err_info *info)
{
	struct counted *counted = context;
	if (atomic_load(&counted->failures_left) > 0) {
		atomic_fetch_sub(&counted->failures_left, 1);
		return err_set(info, ERR_BUSY, "", "not now");
	}
	for (size_t i = 0; i < count; i++) {
		assert_int_equal((int64_t)events[i].header.number, atomic_load(&counted->last) + 1);
		atomic_store(&counted->last, (int64_t)events[i].header.number);
		atomic_fetch_add(&counted->events, 1);
	}
	return ERR_OK;
}

static void wait_for_consumer(const struct engine_consumer *consumer, int64_t position)
{
	int64_t deadline = seconds_from_now(30);
	while (engine_consumer_position(consumer) < position && clock_monotonic_us() < deadline)
		sched_yield();
	assert_int_equal(engine_consumer_position(consumer), position);
}

static void a_consumer_goes_on_from_its_cursor(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	struct err_info info;
	struct counted counted = {0};
	struct engine_consumer *consumer = NULL;
	place_new(&place);
	place_world(&world, 9);
	place_start(&place);
	place_verifier(&place, &world, 3);
	uint64_t batch = place_issue(&place, &world, 0, 24, 100000, NULL);
	struct engine_consumer_options options = {
		.name = "counter", .class = STORE_VALUE, .each = count_in_order, .context = &counted};
	for (int round = 0; round < 3; round++) {
		assert_int_equal(engine_consumer_start(place.engine, &options, &consumer, &info), ERR_OK);
		for (int i = 0; i < 20; i++) {
			struct command give = transfer_command(&world, 0, 1, batch, 1);
			assert_int_equal(place_command(&place, &world, &give, NULL), ERR_OK);
		}
		wait_for_consumer(consumer, engine_position(place.engine));
		engine_consumer_stop(&consumer);
		place_stop(&place);
		place_start(&place);
	}
	assert_int_equal(atomic_load(&counted.events), engine_position(place.engine));
	/* one that keeps no cursor sees only what comes */
	struct counted live = {.last = engine_position(place.engine)};
	options = (struct engine_consumer_options){
		.name = "live", .class = STORE_VIEWS, .each = count_in_order, .context = &live, .ephemeral = true};
	assert_int_equal(engine_consumer_start(place.engine, &options, &consumer, &info), ERR_OK);
	struct command give = transfer_command(&world, 0, 1, batch, 1);
	assert_int_equal(place_command(&place, &world, &give, NULL), ERR_OK);
	wait_for_consumer(consumer, engine_position(place.engine));
	assert_int_equal(atomic_load(&live.events), 2);
	engine_consumer_stop(&consumer);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(kill_9_loses_nothing_acknowledged_and_doubles_nothing),
		cmocka_unit_test(p8_snapshot_and_replay_make_the_same_state),
		cmocka_unit_test(the_replayer_writes_snapshots_by_itself),
		cmocka_unit_test(a_consumer_goes_on_from_its_cursor)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
