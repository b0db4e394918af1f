/* Appends that fail (decision 9): a full disk drops the state, which is replayed and never answered from, and so falls what was
 * executed while the append was in flight; a failed fsync and a taken guard latch for good. */
#include "place.h"

#include "../store/fault_vfs.h"
#include "parts.h"

static struct command hold_command(struct world *world, int org)
{
	struct command command = world_command(world, COMMAND_ACCOUNT_HOLD, -1);
	command.account_hold = (struct command_account_hold){.org = world->orgs[org], .reason_hash = world_hash(world)};
	return command;
}

static enum err count_events(void *context, const struct event *event)
{
	(void)event;
	(*(int64_t *)context)++;
	return ERR_OK;
}

static int64_t events_of(struct place *place)
{
	struct err_info info;
	int64_t count = 0;
	assert_int_equal(engine_journal_read(place->store, 1, count_events, &count, &info), ERR_OK);
	return count;
}

static void a_full_disk_drops_the_state_and_goes_on_from_the_journal(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	struct engine_result result;
	place_new(&place);
	place_world(&world, 11);
	place.no_views = true;
	place_start(&place);
	place_verifier(&place, &world, 3);
	uint64_t batch = place_issue(&place, &world, 0, 24, 10000, NULL);
	int refused = 0;
	for (int i = 0; i < 20; i++) {
		int64_t reloads = metric_value(METRIC_ENGINE_RELOADS), position = engine_position(place.engine);
		struct command give = transfer_command(&world, 0, 1, batch, 10);
		fault_arm(i % 2 ? FAULT_WRITE_FULL : FAULT_WRITE_SHORT_FULL, 1, false);
		enum err err = place_command(&place, &world, &give, &result);
		fault_arm(FAULT_NONE, 0, false);
		if (err) {
			assert_int_equal(err, ERR_NO_SPACE);
			assert_int_equal(engine_position(place.engine), position);
			assert_int_equal(events_of(&place), position); /* nothing of it is in the journal … */
			refused++;
			err = place_command(&place, &world, &give, &result);
			assert_int_equal(err, ERR_OK); /* … nor in the state: the same id does it now, once */
			assert_false(result.repeated);
			assert_int_equal(metric_value(METRIC_ENGINE_RELOADS), reloads + 1);
		}
	}
	assert_true(refused > 0);
	assert_int_equal(atomic_load(&place.stop_reason), ERR_OK);
	struct command rest = transfer_command(&world, 0, 1, batch, 9801 - 200);
	assert_int_equal(place_command(&place, &world, &rest, &result), ERR_INSUFFICIENT_KG); /* 20 × 10 have gone */
	rest = transfer_command(&world, 0, 1, batch, 9800 - 200);
	assert_int_equal(place_command(&place, &world, &rest, &result), ERR_OK);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

static void a_failed_fsync_latches(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	struct engine_result result;
	char reason[200];
	place_new(&place);
	place_world(&world, 12);
	place.no_views = true;
	place_start(&place);
	place_verifier(&place, &world, 3);
	struct command command = hold_command(&world, 0);
	fault_arm(FAULT_SYNC_EIO, 1, false);
	assert_int_equal(place_command(&place, &world, &command, &result), ERR_STORE_LATCHED);
	fault_arm(FAULT_NONE, 0, false); /* the disk is well again, but nobody can say what it holds */
	assert_int_equal(place_command(&place, &world, &command, &result), ERR_STORE_LATCHED);
	assert_int_equal(atomic_load(&place.stop_reason), ERR_STORE_LATCHED);
	assert_false(engine_ready(place.engine, reason, sizeof reason));
	place_stop(&place);
	place_start(&place); /* a new process reads what is there */
	enum err err = place_command(&place, &world, &command, &result);
	assert_int_equal(err, ERR_OK);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

static void a_guard_that_the_state_does_not_know_latches(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	struct engine_result result;
	place_new(&place);
	place_world(&world, 13);
	place.no_views = true;
	place_start(&place);
	place_verifier(&place, &world, 3);
	uint32_t hour = world.next_hour[0];
	struct command issue = world_command(&world, COMMAND_PERIOD_ISSUE, -1);
	issue.period_issue.period = place_attested(&place, &world, 0, hour, 24, 1000);
	place_stop(&place);
	/* the guard of an hour is there, though no batch in the journal claims it */
	char path[300];
	uint8_t key[REGISTRY_CLAIM_KEY_SIZE];
	sqlite3 *db = NULL;
	sqlite3_stmt *insert = NULL;
	registry_claim_key(world.points[0], hour + 7, 0, key);
	snprintf(path, sizeof path, "%s/value.db", place.folder);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO log_guards VALUES ('journal.0', ?, 1)", -1, &insert, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_bind_blob(insert, 1, key, sizeof key, SQLITE_TRANSIENT), SQLITE_OK);
	assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
	sqlite3_finalize(insert);
	sqlite3_close(db);
	place_start(&place);
	int64_t events = events_of(&place);
	assert_int_equal(place_command(&place, &world, &issue, &result), ERR_GUARD_TAKEN);
	assert_int_equal(atomic_load(&place.stop_reason), ERR_GUARD_TAKEN);
	issue.id = world_id(&world);
	assert_int_equal(place_command(&place, &world, &issue, &result), ERR_GUARD_TAKEN);
	assert_int_equal(events_of(&place), events);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

/* ---- while an append is in flight ---- */

/* A stranger holds the file, so that what is appended now waits. */
static sqlite3 *hold_journal(const struct place *place)
{
	char path[300];
	sqlite3 *db = NULL;
	snprintf(path, sizeof path, "%s/value.db", place->folder);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	return db;
}

static void let_go(sqlite3 *db)
{
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* Submits, and waits until the engine has taken it: then what it took before has been executed. */
static struct runtime_reply *submit(struct place *place, const struct command *command)
{
	struct runtime_reply *reply = reply_new(seconds_from_now(30), NULL, NULL);
	assert_int_equal(engine_submit(place->engine, command, NULL, 0, reply), ERR_OK);
	int64_t deadline = seconds_from_now(30);
	while (mailbox_depth(place->engine->mailbox) > 0 && clock_monotonic_us() < deadline)
		sched_yield();
	assert_int_equal(mailbox_depth(place->engine->mailbox), 0);
	return reply;
}

static enum err answer(struct runtime_reply **reply, struct engine_result *ret_result)
{
	struct err_info info;
	enum err err = reply_wait(*reply, &info);
	if (!err && ret_result)
		*ret_result = *(const struct engine_result *)(*reply)->result;
	reply_unref(reply);
	return err;
}

static void what_is_executed_on_top_of_an_append_lives_and_falls_with_it(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	struct engine_result result;
	place_new(&place);
	place_world(&world, 14);
	place.no_views = true;
	place_start(&place);
	place_verifier(&place, &world, 3);
	uint64_t batch = place_issue(&place, &world, 0, 24, 10000, NULL);
	for (int fails = 0; fails < 2; fails++) {
		int64_t before = engine_position(place.engine), reloads = metric_value(METRIC_ENGINE_RELOADS);
		sqlite3 *stranger = hold_journal(&place);
		struct command first = transfer_command(&world, 0, 1, batch, 100);
		struct command second = transfer_command(&world, 1, 2, batch, 100); /* of what the first gives */
		struct command broke = transfer_command(&world, 1, 2, batch, 1);    /* after which nothing is left */
		struct command marker = transfer_command(&world, 0, 4, batch, 1);
		struct runtime_reply *replies[] = {submit(&place, &first), submit(&place, &first),
			submit(&place, &second), submit(&place, &broke), submit(&place, &marker)};
		assert_int_equal(engine_position(place.engine), before);
		for (size_t i = 0; i < sizeof replies / sizeof *replies; i++)
			assert_false(reply_is_done(replies[i])); /* refusals too: they saw what is not durable */
		if (fails)
			fault_arm(FAULT_WRITE_FULL, 1, false);
		let_go(stranger);
		enum err errs[5];
		for (size_t i = 0; i < sizeof replies / sizeof *replies; i++)
			errs[i] = answer(&replies[i], NULL);
		fault_arm(FAULT_NONE, 0, false);
		assert_int_equal(errs[0], fails ? ERR_NO_SPACE : ERR_OK);
		assert_int_equal(
			errs[1], fails ? ERR_NO_SPACE : ERR_COMMAND_RUNNING); /* executed, though not durable */
		assert_int_equal(errs[2], fails ? ERR_NO_SPACE : ERR_OK);
		assert_int_equal(errs[3], fails ? ERR_NO_SPACE : ERR_INSUFFICIENT_KG);
		if (!fails)
			continue;
		/* nothing of it is in the state: the same ids do it now, once */
		assert_int_equal(place_command(&place, &world, &second, &result), ERR_INSUFFICIENT_KG);
		assert_int_equal(place_command(&place, &world, &first, &result), ERR_OK);
		assert_false(result.repeated);
		assert_int_equal(place_command(&place, &world, &second, &result), ERR_OK);
		assert_false(result.repeated);
		assert_int_equal(metric_value(METRIC_ENGINE_RELOADS), reloads + 1);
	}
	assert_int_equal(events_of(&place), engine_position(place.engine));
	assert_int_equal(atomic_load(&place.stop_reason), ERR_OK);
	/* stopping waits for what is in flight and for what was executed on top of it */
	sqlite3 *stranger = hold_journal(&place);
	struct command last = transfer_command(&world, 0, 1, batch, 5),
		       behind = transfer_command(&world, 1, 0, batch, 5);
	struct runtime_reply *replies[] = {submit(&place, &last), submit(&place, &behind)};
	mailbox_close(place.engine->mailbox);
	let_go(stranger);
	engine_stop(&place.engine);
	assert_int_equal(answer(&replies[0], NULL), ERR_OK);
	assert_int_equal(answer(&replies[1], NULL), ERR_OK);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

int main(void)
{
	fault_vfs_start();
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_full_disk_drops_the_state_and_goes_on_from_the_journal),
		cmocka_unit_test(what_is_executed_on_top_of_an_append_lives_and_falls_with_it),
		cmocka_unit_test(a_failed_fsync_latches),
		cmocka_unit_test(a_guard_that_the_state_does_not_know_latches)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
