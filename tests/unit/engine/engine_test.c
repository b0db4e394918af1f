/* The engine over a real store: answers after durability, repeats, P4 (eight threads for the same meter-hour), fencing,
 * guards, full disks, time, views. */
#include "place.h"

#include <pthread.h>
#include <sqlite3.h>

static void a_tonne_from_issue_to_certificate_and_over_a_restart(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	struct engine_result result;
	place_new(&place);
	place_world(&world, 1);
	place_start(&place);
	place_verifier(&place, &world, 3);
	uint64_t batch = place_issue(&place, &world, 0, 24, 833990, NULL);
	assert_int_equal(batch, 1);
	struct command transfer = transfer_command(&world, 0, 4, batch, 5000);
	assert_int_equal(place_command(&place, &world, &transfer, &result), ERR_OK);
	struct command retire = retire_command(&world, 4, batch, 1000);
	struct arena *arena = arena_new(0);
	struct vault_row text;
	assert_int_equal(vault_make(retire.org, "beneficiary", "Ada Lovelace", world.now_us, arena, &text), ERR_OK);
	retire.retire.beneficiary_hash = text.hash;
	assert_int_equal(
		engine_command(place.engine, &retire, &text, 1, seconds_from_now(30), &result, &world.info), ERR_OK);
	assert_int_equal(result.number, 1);
	assert_int_equal(engine_wait_position(place.engine, result.position, seconds_from_now(30)), ERR_OK);

	for (int again = 0; again < 2; again++) {
		struct retirement_row row;
		field_clear(retirement_fields, &row);
		row.id = retire.id;
		assert_int_equal(store_get(place.store, &retirements_collection, &row, arena, &world.info), ERR_OK);
		assert_int_equal(row.kg, 1000);
		assert_int_equal(row.ranges.count, 1);
		assert_true(id_equal(row.made_by, world.actors[4]));
		struct vault_row opened;
		assert_int_equal(vault_get(place.store, row.beneficiary_hash, arena, &opened, &world.info), ERR_OK);
		assert_string_equal(opened.text, "Ada Lovelace");
		struct hash expected = seal_text_hash(opened.salt.data, opened.text);
		assert_true(hash_equal(expected, row.beneficiary_hash));
		struct batch_row issued;
		field_clear(batch_fields, &issued);
		issued.batch = 1;
		assert_int_equal(store_get(place.store, &batches_collection, &issued, arena, &world.info), ERR_OK);
		struct serial serial;
		assert_int_equal(serial_parse(issued.serial, &serial, &world.info), ERR_OK);
		assert_int_equal(serial.range.length, 833990);
		assert_int_equal(issued.buffer_kg, 16680);
		assert_int_equal(place_holding(&place, world.orgs[4], 1, arena).held_kg, 4000);
		assert_int_equal(place_holding(&place, world.orgs[4], 1, arena).retired_kg, 1000);
		place_check_views(&place);
		place_stop(&place);
		place_start(&place); /* the second round reads what the first has left */
	}
	/* erased: salt and text are gone, the row stays */
	struct vault_row erased;
	struct store_change change;
	assert_int_equal(vault_get(place.store, text.hash, arena, &erased, &world.info), ERR_OK);
	vault_erase_change(&erased, world.now_us, &change);
	assert_int_equal(store_write(place.store, &change, 1, NULL, &world.info), ERR_OK);
	assert_int_equal(vault_get(place.store, text.hash, arena, &erased, &world.info), ERR_OK);
	assert_null(erased.text);
	assert_null(erased.salt.data);
	arena_free(&arena);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

static void repeats_answer_the_same_and_other_bodies_are_refused(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	struct engine_result first, second;
	place_new(&place);
	place_world(&world, 2);
	place_start(&place);
	place_verifier(&place, &world, 3);
	uint64_t batch = place_issue(&place, &world, 0, 24, 10000, NULL);
	struct command transfer = transfer_command(&world, 0, 4, batch, 10);
	assert_int_equal(place_command(&place, &world, &transfer, &first), ERR_OK);
	for (int again = 0; again < 3; again++) {
		assert_int_equal(place_command(&place, &world, &transfer, &second), ERR_OK);
		assert_true(second.repeated);
		assert_int_equal(second.position, first.position);
		if (again == 1) {
			place_stop(&place);
			place_start(&place);
		}
	}
	transfer.transfer.kg = 11;
	assert_int_equal(place_command(&place, &world, &transfer, &second), ERR_COMMAND_REUSED);
	/* a consumer's command: its natural key, for ever */
	struct command source = transfer_command(&world, 0, 4, batch, 7);
	source.source = COMMAND_SOURCE_TRANSFER;
	source.natural_key = command_natural_key(source.source, source.kind, "shard 1, 17", 11);
	assert_int_equal(place_command(&place, &world, &source, &first), ERR_OK);
	source.id = world_id(&world);
	assert_int_equal(place_command(&place, &world, &source, &second), ERR_OK);
	assert_true(second.repeated && second.position == first.position);
	struct arena *arena = arena_new(0);
	place_check_views(&place);
	assert_int_equal(place_holding(&place, world.orgs[4], batch, arena).held_kg, 17);
	arena_free(&arena);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

/* ---- P4 ---- */

struct racer {
	struct place *place;
	struct command issue;
	enum err err;
	pthread_barrier_t *start;
};

static void *race(void *argument)
{
	struct racer *racer = argument;
	struct engine_result result;
	struct err_info info = {0};
	pthread_barrier_wait(racer->start);
	racer->err = engine_command(racer->place->engine, &racer->issue, NULL, 0, seconds_from_now(30), &result, &info);
	return NULL;
}

static void p4_eight_threads_claim_the_same_hour_and_one_wins(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	place_new(&place);
	place_world(&world, 3);
	place_start(&place);
	place_verifier(&place, &world, 3);
	for (int round = 0; round < 10; round++) {
		struct racer racers[8];
		pthread_t threads[8];
		pthread_barrier_t start;
		pthread_barrier_init(&start, NULL, 8);
		uint32_t hour = world.next_hour[0];
		for (int i = 0; i < 8; i++) { /* all of them hold the hour hour + 7 */
			racers[i] = (struct racer){.place = &place, .start = &start};
			racers[i].issue = world_command(&world, COMMAND_PERIOD_ISSUE, -1);
			racers[i].issue.period_issue.period =
				place_attested(&place, &world, 0, hour + (uint32_t)i, 8, 1000);
		}
		world.next_hour[0] += 16;
		for (int i = 0; i < 8; i++)
			pthread_create(&threads[i], NULL, race, &racers[i]);
		int won = 0, lost = 0;
		for (int i = 0; i < 8; i++) {
			pthread_join(threads[i], NULL);
			won += racers[i].err == ERR_OK;
			lost += racers[i].err == ERR_CLAIM_TAKEN;
		}
		pthread_barrier_destroy(&start);
		assert_int_equal(won, 1);
		assert_int_equal(lost, 7);
	}
	place_check_views(&place);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

/* ---- losing the lead, guards, full disks ---- */

static void another_writer_takes_the_position_and_this_one_stops(void **state)
{
	(void)state;
	struct place place, other;
	struct world world;
	struct engine_result result;
	place_new(&place);
	place_world(&world, 4);
	place.no_views = true;
	place_start(&place);
	place_verifier(&place, &world, 3);
	other = place;
	other.engine = place_engine(&other); /* a second engine at the same head */
	struct command mine = world_command(&world, COMMAND_ACCOUNT_HOLD, -1);
	mine.account_hold = (struct command_account_hold){.org = world.orgs[0], .reason_hash = world_hash(&world)};
	assert_int_equal(place_command(&other, &world, &mine, &result), ERR_OK);
	struct command late = mine;
	late.id = world_id(&world);
	late.account_hold.org = world.orgs[1];
	assert_int_equal(place_command(&place, &world, &late, &result), ERR_POSITION_TAKEN);
	late.id = world_id(&world);
	assert_int_equal(place_command(&place, &world, &late, &result), ERR_POSITION_TAKEN); /* and stays stopped */
	assert_int_equal(atomic_load(&place.stop_reason), ERR_POSITION_TAKEN);
	char reason[200];
	assert_false(engine_ready(place.engine, reason, sizeof reason));
	assert_true(engine_ready(other.engine, reason, sizeof reason));
	engine_stop(&other.engine);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

static enum err count_events(void *context, const struct event *event)
{
	(void)event;
	(*(int *)context)++;
	return ERR_OK;
}

static void a_full_disk_is_refused_before_anything_happens(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	struct engine_result result;
	place_new(&place);
	place_world(&world, 5);
	place_start(&place);
	place_verifier(&place, &world, 3);
	place_stop(&place);
	place.low_water_bytes = (size_t)1 << 60;
	place_start(&place);
	struct command command = world_command(&world, COMMAND_ACCOUNT_HOLD, -1);
	command.account_hold = (struct command_account_hold){.org = world.orgs[0], .reason_hash = world_hash(&world)};
	int64_t reloads = metric_value(METRIC_ENGINE_RELOADS);
	assert_int_equal(place_command(&place, &world, &command, &result), ERR_NO_SPACE);
	assert_int_equal(place_command(&place, &world, &command, &result), ERR_NO_SPACE);
	assert_int_equal(metric_value(METRIC_ENGINE_RELOADS), reloads); /* the state was never in doubt */
	assert_int_equal(atomic_load(&place.stop_reason), ERR_OK);
	place_stop(&place);
	place.low_water_bytes = 0; /* space returned: the same command goes through */
	place_start(&place);
	int before = 0, after = 0;
	assert_int_equal(engine_journal_read(place.store, 1, count_events, &before, &world.info), ERR_OK);
	assert_int_equal(place_command(&place, &world, &command, &result), ERR_OK);
	assert_false(result.repeated);
	assert_int_equal(engine_journal_read(place.store, 1, count_events, &after, &world.info), ERR_OK);
	assert_int_equal(after, before + 2);
	int tail = 0;
	assert_int_equal(engine_journal_read(place.store, result.position, count_events, &tail, &world.info), ERR_OK);
	assert_int_equal(tail, 1);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

/* ---- views ---- */

static enum err same_in_the_ledger(void *context, const struct event *event)
{
	struct err_info info;
	return rules_apply(context, event, &info);
}

/* Every holding of the view is the ledger's. */
static void compare_holdings(struct place *place)
{
	struct err_info info = {0};
	struct arena *arena = arena_new(256u << 20);
	struct rules *rules = rules_new(place->registry, 4);
	struct holding_row *rows = NULL;
	size_t count = 0;
	assert_int_equal(engine_journal_read(place->store, 1, same_in_the_ledger, rules, &info), ERR_OK);
	struct store_query query = {.collection = &holdings_collection, .most = 100000};
	assert_int_equal(store_find(place->store, &query, arena, (void **)&rows, &count, &info), ERR_OK);
	assert_true(count > 3);
	int64_t sum = 0;
	for (size_t i = 0; i < count; i++)
		for (int s = 0; s < KG_STATE_COUNT; s++) {
			struct ledger_place where = {.org = rows[i].org_id, .state = (enum kg_state)s};
			assert_int_equal((&rows[i].held_kg)[s],
				ledger_amount(rules_ledger(rules), (uint64_t)rows[i].batch, where));
			sum += (&rows[i].held_kg)[s];
		}
	assert_int_equal(sum, rules_issued_kg(rules));
	rules_free(&rules);
	arena_free(&arena);
}

static void views_follow_random_moves(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	struct engine_result result;
	place_new(&place);
	place_world(&world, 21);
	place_start(&place);
	place_verifier(&place, &world, 3);
	for (int org = 0; org < 3; org++)
		(void)place_issue(&place, &world, org, 24, 2000, NULL);
	int moved = 0;
	for (int i = 0; i < 1500; i++) {
		struct serial_range ranges[3];
		uint64_t batch = 1 + (uint64_t)world_below(&world, 3);
		int org = world_below(&world, 2) ? (int)batch - 1 : (int)world_below(&world, WORLD_ORGS);
		struct command command = world_below(&world, 4)
						 ? transfer_command(&world, org, (org + 1 + i % 4) % WORLD_ORGS, 0, 0)
						 : retire_command(&world, org, 0, 0);
		for (int r = 0; r < 3; r++)
			ranges[r] = (struct serial_range){.batch = batch,
				.start = world_below(&world, 1990),
				.length = 1 + world_below(&world, 30)};
		command.lists =
			(struct record_lists){.ranges = ranges, .range_count = 1 + (size_t)world_below(&world, 2)};
		if (i % 100 == 50) {
			command = world_command(&world, COMMAND_BATCH_REVERSE, -1);
			command.batch_reverse = (struct command_batch_reverse){
				.batch = batch, .kg = 7, .reason_hash = world_hash(&world)};
		} else if (i % 100 == 51) {
			command = world_command(&world, COMMAND_BATCH_RELEASE, -1);
			command.batch_release =
				(struct command_batch_release){.batch = batch, .reason_hash = world_hash(&world)};
		} else if (i % 100 == 52) {
			command = world_command(&world, COMMAND_BUFFER_TOP_UP, (int)(batch - 1));
			command.buffer_top_up = (struct command_buffer_top_up){.batch = batch, .kg = 3};
		}
		moved += place_command(&place, &world, &command, &result) == ERR_OK;
		if (i % 300 == 299) { /* also from the cursor that a stop has left */
			place_check_views(&place);
			compare_holdings(&place);
			place_stop(&place);
			place_start(&place);
		}
	}
	assert_true(moved > 150);
	place_check_views(&place);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

/* ---- time ---- */

static bool account_is_held(struct place *place, struct id org)
{
	struct err_info info;
	struct account_row row;
	struct arena *arena = arena_new(0);
	field_clear(account_fields, &row);
	row.org_id = org;
	bool held = store_get(place->store, &accounts_collection, &row, arena, &info) == ERR_OK && row.held;
	arena_free(&arena);
	return held;
}

/* The next event is the tick's; waits for it up to 30 s. */
static bool position_passes(struct place *place, int64_t position)
{
	return engine_wait_position(place->engine, position + 1, seconds_from_now(30)) == ERR_OK;
}

static void move_clocks(struct place *place, int64_t wall_us, int64_t monotonic_us)
{
	atomic_store(&place->moving, true);
	atomic_fetch_add(&place->monotonic_us, monotonic_us);
	atomic_fetch_add(&place->wall_us, wall_us);
	atomic_store(&place->moving, false);
}

static void a_hold_expires_by_the_tick_but_not_in_a_clock_jump(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	struct engine_result result;
	place_new(&place);
	place_world(&world, 6);
	place.own_clock = true;
	atomic_store(&place.wall_us, world.now_us);
	place_start(&place);
	struct command hold = world_command(&world, COMMAND_ACCOUNT_HOLD, -1);
	hold.account_hold = (struct command_account_hold){.org = world.orgs[0],
		.until_us = world.now_us + 3600 * CLOCK_US_PER_SECOND,
		.reason_hash = world_hash(&world)};
	assert_int_equal(place_command(&place, &world, &hold, &result), ERR_OK);
	/* two hours pass on both clocks: idle time is no jump; wall first would look like one, so both move while stopped */
	place_stop(&place);
	move_clocks(&place, 7200 * CLOCK_US_PER_SECOND, 7200 * CLOCK_US_PER_SECOND);
	place_start(&place);
	assert_true(position_passes(&place, result.position));
	assert_false(account_is_held(&place, world.orgs[0]));
	/* the wall clock alone jumps: nothing expires until it is confirmed */
	world.now_us = atomic_load(&place.wall_us);
	hold.id = world_id(&world);
	hold.account_hold.until_us = world.now_us + 3600 * CLOCK_US_PER_SECOND;
	assert_int_equal(place_command(&place, &world, &hold, &result), ERR_OK);
	move_clocks(&place, 7200 * CLOCK_US_PER_SECOND, 0);
	struct command other = world_command(&world, COMMAND_ACCOUNT_HOLD, -1);
	world.now_us = atomic_load(&place.wall_us);
	other.id = world_id(&world);
	other.account_hold = (struct command_account_hold){.org = world.orgs[1], .reason_hash = world_hash(&world)};
	assert_int_equal(place_command(&place, &world, &other, &result), ERR_OK);
	assert_true(engine_clock_halted(place.engine));
	/* a tick is due, and has its chance behind each of two further commands */
	move_clocks(&place, 2 * CLOCK_US_PER_SECOND, 2 * CLOCK_US_PER_SECOND);
	for (int org = 2; org < 4; org++) {
		other.id = world_id(&world);
		other.account_hold.org = world.orgs[org];
		assert_int_equal(place_command(&place, &world, &other, &result), ERR_OK);
	}
	assert_int_equal(engine_wait_position(place.engine, result.position, seconds_from_now(30)), ERR_OK);
	assert_true(account_is_held(&place, world.orgs[0]));
	engine_confirm_clock(place.engine);
	move_clocks(&place, 2 * CLOCK_US_PER_SECOND, 2 * CLOCK_US_PER_SECOND);
	assert_true(position_passes(&place, result.position));
	assert_false(account_is_held(&place, world.orgs[0]));
	assert_true(account_is_held(&place, world.orgs[1]));
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

/* A hold of an account that has none yet; ERR_OK or why it was refused. The id is made by a clock that is right. */
static enum err hold_next(struct place *place, struct world *world, int org, int64_t right_us)
{
	struct engine_result result;
	world->now_us = right_us;
	struct command hold = world_command(world, COMMAND_ACCOUNT_HOLD, -1);
	hold.account_hold = (struct command_account_hold){.org = world->orgs[org], .reason_hash = world_hash(world)};
	return place_command(place, world, &hold, &result);
}

static void small_steps_add_up_to_a_jump_and_drift_does_not(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	place_new(&place);
	place_world(&world, 7);
	place.own_clock = true;
	atomic_store(&place.wall_us, world.now_us);
	place_start(&place);
	/* half a year of a clock that gains 20 ppm, more than four minutes in all */
	int64_t right_us = world.now_us;
	for (int day = 0; day < 180; day++) {
		int64_t day_us = 86400 * CLOCK_US_PER_SECOND;
		move_clocks(&place, day_us + day_us / 50000, day_us);
		right_us = atomic_load(&place.wall_us);
		(void)hold_next(&place, &world, 0, right_us);
		assert_false(engine_clock_halted(place.engine));
	}
	/* nor is it a jump where the machine stood still while the clocks were read */
	atomic_store(&place.standstill_us, 3600 * CLOCK_US_PER_SECOND);
	while (atomic_load(&place.standstill_us))
		(void)hold_next(&place, &world, 0, right_us);
	right_us = atomic_load(&place.wall_us);
	(void)hold_next(&place, &world, 0, right_us);
	for (int step = 0; step < 3; step++) {
		assert_false(engine_clock_halted(place.engine));
		move_clocks(&place, 30 * CLOCK_US_PER_SECOND, 0);
		(void)hold_next(&place, &world, 0, right_us);
	}
	assert_true(engine_clock_halted(place.engine));
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

static void after_a_wrong_step_of_days_right_ids_are_taken(void **state)
{
	(void)state;
	struct place place;
	struct world world;
	place_new(&place);
	place_world(&world, 8);
	place.own_clock = true;
	int64_t right_us = world.now_us, days_us = 3 * 86400 * CLOCK_US_PER_SECOND;
	atomic_store(&place.wall_us, right_us);
	place_start(&place);
	assert_int_equal(hold_next(&place, &world, 0, right_us), ERR_OK);
	move_clocks(&place, days_us, 0);
	assert_int_equal(hold_next(&place, &world, 1, right_us), ERR_OK);
	assert_true(engine_clock_halted(place.engine));
	/* the journal's time does not go back with it */
	move_clocks(&place, -days_us, 0);
	assert_int_equal(hold_next(&place, &world, 2, right_us), ERR_OK);
	/* confirmed, a jump counts in full */
	move_clocks(&place, days_us, 0);
	engine_confirm_clock(place.engine);
	assert_int_equal(hold_next(&place, &world, 3, right_us + days_us), ERR_OK);
	assert_int_equal(hold_next(&place, &world, 4, right_us), ERR_COMMAND_ID_INVALID);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_tonne_from_issue_to_certificate_and_over_a_restart),
		cmocka_unit_test(repeats_answer_the_same_and_other_bodies_are_refused),
		cmocka_unit_test(p4_eight_threads_claim_the_same_hour_and_one_wins),
		cmocka_unit_test(another_writer_takes_the_position_and_this_one_stops),
		cmocka_unit_test(a_full_disk_is_refused_before_anything_happens),
		cmocka_unit_test(views_follow_random_moves),
		cmocka_unit_test(a_hold_expires_by_the_tick_but_not_in_a_clock_jump),
		cmocka_unit_test(small_steps_add_up_to_a_jump_and_drift_does_not),
		cmocka_unit_test(after_a_wrong_step_of_days_right_ids_are_taken)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
