/* Threads, mailboxes (bounded, refusing, nothing lost), replies (either side first), metrics, stages, signals. Clean under the
 * thread sanitizer. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carbond/base/clock.h"
#include "carbond/runtime.h"

static int64_t in_seconds(int seconds)
{
	return clock_monotonic_us() + seconds * CLOCK_US_PER_SECOND;
}

/* ---- crews ---- */

enum { PARTS = 500, RUNS = 50 };

struct parts {
	struct crew *crew;
	atomic_int done[PARTS];
	atomic_int runs;
};

static void part_do(void *context, size_t index)
{
	struct parts *parts = context;
	atomic_fetch_add(&parts->done[index], 1);
}

static void runs_do(void *argument)
{
	struct parts *parts = argument;
	for (int run = 0; run < RUNS; run++) {
		crew_run(parts->crew, part_do, parts, PARTS);
		for (size_t i = 0; i < PARTS; i++)
			assert_int_equal(atomic_load(&parts->done[i]), run + 1); /* all have returned, each once */
	}
}

static void test_crew_does_each_part_once(void **state)
{
	(void)state;
	struct parts parts[2] = {0};
	struct thread *other = NULL;
	struct crew *crew, *alone;
	assert_int_equal(crew_new("helper", 2, &crew), ERR_OK);
	assert_int_equal(crew_new("nobody", 0, &alone), ERR_OK);
	assert_int_equal(crew_size(crew), 3);
	parts[0].crew = parts[1].crew = crew;
	assert_int_equal(thread_start("caller", runs_do, &parts[1], &other), ERR_OK);
	runs_do(&parts[0]); /* two callers: at most one has the helpers */
	thread_join(&other);
	crew_run(crew, part_do, &parts[0], 0);
	crew_run(alone, part_do, &parts[0], PARTS);
	assert_int_equal(atomic_load(&parts[0].done[PARTS - 1]), RUNS + 1);
	crew_free(&alone);
	crew_free(&crew);
	assert_null(crew);
}

/* A part that waits for the other one ends only if two threads are at it. */
static void meet(void *context, size_t index)
{
	struct parts *parts = context;
	int64_t deadline_us = in_seconds(30);
	atomic_store(&parts->done[index], 1);
	while (!atomic_load(&parts->done[1 - index]) && clock_monotonic_us() < deadline_us)
		sched_yield();
	atomic_fetch_add(&parts->runs, atomic_load(&parts->done[1 - index]));
}

static void test_crew_helps(void **state)
{
	(void)state;
	struct parts parts = {0};
	assert_int_equal(crew_new("helper", 1, &parts.crew), ERR_OK);
	crew_run(parts.crew, meet, &parts, 2);
	assert_int_equal(atomic_load(&parts.runs), 2);
	crew_free(&parts.crew);
}

/* ---- mailboxes ---- */

static void test_mailbox_refuses(void **state)
{
	(void)state;
	struct mailbox *mailbox = mailbox_new("refuses", 2);
	int items[3];
	void *taken[4];
	assert_int_equal(mailbox_put(mailbox, &items[0]), ERR_OK);
	assert_int_equal(mailbox_put(mailbox, &items[1]), ERR_OK);
	assert_int_equal(mailbox_put(mailbox, &items[2]), ERR_BUSY);
	assert_int_equal(mailbox_put_wait(mailbox, &items[2], clock_monotonic_us() + 2000), ERR_BUSY);
	assert_int_equal(mailbox_depth(mailbox), 2);
	assert_int_equal(mailbox_take(mailbox, taken, 1, 0), 1);
	assert_ptr_equal(taken[0], &items[0]);
	assert_int_equal(mailbox_put(mailbox, &items[2]), ERR_OK);
	mailbox_close(mailbox);
	assert_int_equal(mailbox_put(mailbox, &items[0]), ERR_STOPPING);
	assert_int_equal(mailbox_take(mailbox, taken, 4, INT64_MAX), 2); /* what is there is still taken, in order */
	assert_ptr_equal(taken[0], &items[1]);
	assert_ptr_equal(taken[1], &items[2]);
	assert_int_equal(mailbox_take(mailbox, taken, 4, INT64_MAX), 0);
	assert_true(mailbox_closed(mailbox));
	mailbox_free(&mailbox);
	assert_null(mailbox);
}

enum { SENDERS = 4, EACH = 20000 };

struct sender {
	struct mailbox *mailbox;
	int number, refused;
	int items[EACH];
};

static void send_all(void *argument)
{
	struct sender *sender = argument;
	for (int i = 0; i < EACH; i++) {
		sender->items[i] = sender->number * EACH + i;
		enum err err = mailbox_put(sender->mailbox, &sender->items[i]);
		if (err == ERR_BUSY) {
			sender->refused++;
			err = mailbox_put_wait(sender->mailbox, &sender->items[i], in_seconds(30));
		}
		if (err != ERR_OK)
			abort();
	}
}

/* What many send, one takes: everything once, each sender's in its order. */
static void test_mailbox_many_senders(void **state)
{
	(void)state;
	struct mailbox *mailbox = mailbox_new("many", 16);
	static struct sender senders[SENDERS];
	struct thread *threads[SENDERS];
	for (int i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.mailbox = mailbox, .number = i};
		assert_int_equal(thread_start("sender", send_all, &senders[i], &threads[i]), ERR_OK);
	}
	int expected[SENDERS] = {0};
	for (int total = 0; total < SENDERS * EACH;) {
		void *taken[7];
		size_t count = mailbox_take(mailbox, taken, 7, in_seconds(30));
		assert_true(count > 0);
		for (size_t i = 0; i < count; i++) {
			int item = *(int *)taken[i];
			assert_int_equal(item % EACH, expected[item / EACH]++);
		}
		total += (int)count;
	}
	for (int i = 0; i < SENDERS; i++)
		thread_join(&threads[i]);
	assert_int_equal(mailbox_depth(mailbox), 0);
	mailbox_free(&mailbox);
}

static void close_it(void *argument)
{
	mailbox_close(argument);
}

static void test_close_wakes_receiver(void **state)
{
	(void)state;
	struct mailbox *mailbox = mailbox_new("closed", 1);
	struct thread *thread;
	void *taken;
	assert_int_equal(thread_start("closer", close_it, mailbox, &thread), ERR_OK);
	assert_int_equal(mailbox_take(mailbox, &taken, 1, INT64_MAX), 0);
	assert_true(mailbox_closed(mailbox));
	thread_join(&thread);
	thread_join(&thread);
	mailbox_free(&mailbox);
}

static void nudge_it(void *argument)
{
	mailbox_nudge(argument);
}

static void test_a_nudge_wakes_the_receiver_once(void **state)
{
	(void)state;
	struct mailbox *mailbox = mailbox_new("nudged", 1);
	struct thread *thread;
	void *taken;
	assert_int_equal(thread_start("nudger", nudge_it, mailbox, &thread), ERR_OK);
	assert_int_equal(mailbox_take(mailbox, &taken, 1, INT64_MAX), 0);
	assert_false(mailbox_closed(mailbox));
	thread_join(&thread);
	int64_t until_us = clock_monotonic_us() + 2000;
	assert_int_equal(mailbox_take(mailbox, &taken, 1, until_us), 0);
	assert_true(clock_monotonic_us() >= until_us); /* it has been used up */
	mailbox_nudge(mailbox);
	assert_int_equal(mailbox_put(mailbox, mailbox), ERR_OK);
	assert_int_equal(mailbox_take(mailbox, &taken, 1, INT64_MAX), 1);
	mailbox_free(&mailbox);
}

/* ---- replies ---- */

static atomic_int released, woken;

static void release(void *result)
{
	free(result);
	atomic_fetch_add(&released, 1);
}

static void wake(void *context)
{
	atomic_fetch_add((atomic_int *)context, 1);
}

static void *some_result(void)
{
	return calloc(1, 8);
}

static void test_reply_orders(void **state)
{
	(void)state;
	struct err_info info;
	atomic_store(&released, 0);
	atomic_store(&woken, 0);
	/* completed first */
	struct runtime_reply *reply = reply_new(in_seconds(30), wake, &woken), *completer = reply;
	assert_false(reply_is_done(reply));
	reply_complete(completer, ERR_OK, NULL, some_result(), release);
	assert_true(reply_is_done(reply));
	assert_int_equal(atomic_load(&woken), 1);
	assert_int_equal(reply_wait(reply, &info), ERR_OK);
	assert_int_equal(atomic_load(&released), 0);
	reply_unref(&reply);
	assert_null(reply);
	assert_int_equal(atomic_load(&released), 1);
	/* let go first: no wake, the result dies */
	reply = completer = reply_new(in_seconds(30), wake, &woken);
	reply_unref(&reply);
	reply_complete(completer, ERR_OK, NULL, some_result(), release);
	assert_int_equal(atomic_load(&woken), 1);
	assert_int_equal(atomic_load(&released), 2);
	/* a failure without particulars has the table's title; a deadline passes */
	reply = completer = reply_new(clock_monotonic_us() - 1, NULL, NULL);
	assert_int_equal(reply_wait(reply, &info), ERR_DEADLINE);
	reply_complete(completer, ERR_BUSY, NULL, NULL, NULL);
	assert_int_equal(reply_wait(reply, &info), ERR_BUSY);
	assert_string_equal(info.detail, err_row(ERR_BUSY)->title);
	reply_unref(&reply);
	/* never submitted: both references are the asker's */
	reply = completer = reply_new(0, wake, &woken);
	reply_unref(&reply);
	reply_unref(&completer);
	assert_int_equal(atomic_load(&woken), 1);
}

static void complete_all(void *argument)
{
	struct mailbox *mailbox = argument;
	void *taken[8];
	for (size_t count; (count = mailbox_take(mailbox, taken, 8, INT64_MAX)) > 0;)
		for (size_t i = 0; i < count; i++)
			reply_complete(taken[i], ERR_OK, NULL, some_result(), release);
}

/* Ends late: who lets go of the reply while this runs has to wait for its end. */
static void wake_slowly(void *context)
{
	atomic_store((atomic_int *)context, 1);
	for (int i = 0; i < 20; i++)
		sched_yield();
	atomic_store((atomic_int *)context, 2);
}

/* The context of wake lives on the asker's stack and goes as soon as the asker lets go: no wake touches it afterwards. */
static void test_reply_race(void **state)
{
	(void)state;
	enum { ROUNDS = 5000 };
	atomic_store(&released, 0);
	struct mailbox *mailbox = mailbox_new("replies", 64);
	struct thread *thread;
	assert_int_equal(thread_start("completer", complete_all, mailbox, &thread), ERR_OK);
	for (int i = 0; i < ROUNDS; i++) {
		atomic_int *context = calloc(1, sizeof *context);
		struct runtime_reply *reply = reply_new(in_seconds(30), i % 3 ? wake_slowly : NULL, context);
		assert_int_equal(mailbox_put_wait(mailbox, reply, in_seconds(30)), ERR_OK);
		if (i % 3 == 0)
			assert_int_equal(reply_wait(reply, NULL), ERR_OK);
		else if (i % 3 == 1)
			while (!atomic_load(context))
				;
		reply_unref(&reply);
		assert_int_not_equal(atomic_load(context), 1);
		free(context);
	}
	mailbox_close(mailbox);
	thread_join(&thread);
	mailbox_free(&mailbox);
	assert_int_equal(atomic_load(&released), ROUNDS);
}

/* ---- metrics ---- */

static void write_source(void *context, void (*emit)(void *sink, const char *line), void *sink)
{
	char line[64];
	snprintf(line, sizeof line, "carbond_test{part=\"a\"} %d", *(int *)context);
	emit(sink, line);
}

static void add_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10000; i++) {
		metric_add(METRIC_STORE_APPENDS, 1);
		metric_observe_us(METRIC_STORE_COMMIT, 2000);
	}
}

static void assert_line(const char *text, const char *line)
{
	const char *found = strstr(text, line);
	if (!found || (found != text && found[-1] != '\n') || found[strlen(line)] != '\n')
		fail_msg("no line \"%s\" in:\n%s", line, text);
}

static void test_metrics(void **state)
{
	(void)state;
	struct mailbox *mailbox = mailbox_new("metered", 2);
	assert_int_equal(mailbox_put(mailbox, &mailbox), ERR_OK);
	int value = 42;
	assert_int_equal(metric_source_add(write_source, &value), ERR_OK);
	struct thread *threads[3];
	for (int i = 0; i < 3; i++)
		assert_int_equal(thread_start("adder", add_many, NULL, &threads[i]), ERR_OK);
	size_t size;
	for (int i = 0; i < 20; i++)
		free(metrics_text(&size)); /* while others count */
	for (int i = 0; i < 3; i++)
		thread_join(&threads[i]);
	metric_observe_us(METRIC_STORE_COMMIT, 31 * CLOCK_US_PER_SECOND);
	metric_observe_us(METRIC_STORE_COMMIT, 100);
	assert_int_equal(metric_value(METRIC_STORE_APPENDS), 30000);

	char *text = metrics_text(&size);
	assert_int_equal(strlen(text), size);
	assert_line(text, "# TYPE carbond_store_appends_total counter");
	assert_line(text, "carbond_store_appends_total 30000");
	assert_line(text, "# TYPE carbond_store_commit_seconds histogram");
	assert_line(text, "carbond_store_commit_seconds_bucket{le=\"0.0001\"} 1");
	assert_line(text, "carbond_store_commit_seconds_bucket{le=\"0.001\"} 1");
	assert_line(text, "carbond_store_commit_seconds_bucket{le=\"0.0025\"} 30001");
	assert_line(text, "carbond_store_commit_seconds_bucket{le=\"30\"} 30001");
	assert_line(text, "carbond_store_commit_seconds_bucket{le=\"+Inf\"} 30002");
	assert_line(text, "carbond_store_commit_seconds_count 30002");
	assert_line(text, "carbond_store_commit_seconds_sum 91.000100");
	assert_line(text, "carbond_mailbox_depth{mailbox=\"metered\"} 1");
	assert_line(text, "carbond_mailbox_capacity{mailbox=\"metered\"} 2");
	assert_line(text, "carbond_test{part=\"a\"} 42");
	free(text);
	metric_source_remove(&value);
	text = metrics_text(&size);
	assert_null(strstr(text, "carbond_test"));
	free(text);
	mailbox_free(&mailbox);
}

/* ---- stages ---- */

static char steps[16];

static enum err start_a(void *context, struct err_info *info)
{
	(void)context, (void)info;
	strcat(steps, "a");
	return ERR_OK;
}

static void stop_a(void *context)
{
	(void)context;
	strcat(steps, "A");
}

static enum err start_b(void *context, struct err_info *info)
{
	strcat(steps, "b");
	return *(bool *)context ? err_set(info, ERR_IO, "", "b is broken") : ERR_OK;
}

static void stop_b(void *context)
{
	(void)context;
	strcat(steps, "B");
}

static void test_stages(void **state)
{
	(void)state;
	const struct stage stages[] = {{"a", "first", start_a, stop_a}, {"none", "has no stop", start_a, NULL},
		{"b", "last", start_b, stop_b}};
	bool broken = false;
	atomic_size_t started;
	struct err_info info;
	assert_int_equal(stages_start(stages, 3, &broken, &started, &info), ERR_OK);
	assert_int_equal(started, 3);
	stages_stop(stages, started, &broken);
	assert_string_equal(steps, "aabBA");
	steps[0] = 0;
	broken = true;
	assert_int_equal(stages_start(stages, 3, &broken, &started, &info), ERR_IO);
	assert_int_equal(started, 0);
	assert_string_equal(steps, "aabA"); /* what failed to start is not stopped */
}

/* ---- signals ---- */

static void raise_in_thread(void *argument)
{
	kill(getpid(), *(int *)argument);
}

static void test_signals(void **state)
{
	(void)state;
	signals_block();
	assert_int_equal(signals_wait(clock_monotonic_us()), RUNTIME_TIMEOUT);
	static const struct {
		int number;
		enum runtime_signal wanted;
	} cases[] = {{SIGHUP, RUNTIME_RELOAD}, {SIGTERM, RUNTIME_STOP}, {SIGINT, RUNTIME_STOP}};
	for (int i = 0; i < 3; i++) {
		struct thread *thread;
		int number = cases[i].number;
		assert_int_equal(thread_start("raiser", raise_in_thread, &number, &thread), ERR_OK);
		assert_int_equal(signals_wait(i ? in_seconds(30) : INT64_MAX), cases[i].wanted);
		thread_join(&thread);
	}
	service_notify("READY=1"); /* no service manager here: nothing happens */
	assert_int_equal(service_watchdog_us(), 0);
}

/* ---- turns ---- */

struct taking_turns {
	struct turns *turns;
	int64_t each_us;
	atomic_int taken;
	atomic_bool over;
};

static void take_turns(void *argument)
{
	struct taking_turns *mine = argument;
	do
		atomic_fetch_add(&mine->taken, 1);
	while (turns_wait(mine->turns, mine->each_us));
	atomic_store(&mine->over, true);
}

/* Turns come until the stop, which does not wait for the next one. */
static void test_turns_go_on_until_they_are_stopped(void **state)
{
	(void)state;
	struct taking_turns often = {.each_us = 1000}, seldom = {.each_us = 3600 * CLOCK_US_PER_SECOND};
	assert_int_equal(turns_start("often", take_turns, &often, &often.turns), ERR_OK);
	assert_int_equal(turns_start("seldom", take_turns, &seldom, &seldom.turns), ERR_OK);
	int64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_US_PER_SECOND;
	while ((atomic_load(&often.taken) < 3 || atomic_load(&seldom.taken) < 1) && clock_monotonic_us() < deadline_us)
		sched_yield();
	turns_stop(&often.turns);
	turns_stop(&seldom.turns);
	assert_null(often.turns);
	assert_true(clock_monotonic_us() < deadline_us);
	assert_true(atomic_load(&often.taken) >= 3 && atomic_load(&often.over));
	assert_true(atomic_load(&seldom.taken) == 1 && atomic_load(&seldom.over));
	turns_stop(&seldom.turns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_turns_go_on_until_they_are_stopped),
		cmocka_unit_test(test_crew_does_each_part_once), cmocka_unit_test(test_crew_helps),
		cmocka_unit_test(test_mailbox_refuses), cmocka_unit_test(test_mailbox_many_senders),
		cmocka_unit_test(test_close_wakes_receiver), cmocka_unit_test(test_a_nudge_wakes_the_receiver_once),
		cmocka_unit_test(test_reply_orders), cmocka_unit_test(test_reply_race), cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_stages), cmocka_unit_test(test_signals)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
