/* Decision 9 for the single writer, wherever memory ends or the disk fails while commands, snapshots and views are written,
 * and while it starts: what it answered is in the journal once, what it refused can be sent again, and the state that it goes on
 * with is the journal's. */
#include "place.h"

#include "sweep.h"

#define TRANSFERS 6

static struct place place;
static struct world world;
static uint64_t batch;

struct summing {
	struct id to;
	int64_t kg;
};

static int64_t held_by(int org)
{
	struct arena *arena = arena_new(0);
	assert_int_equal(
		engine_wait_position(place.engine, engine_position(place.engine), seconds_from_now(30)), ERR_OK);
	struct holding_row row = place_holding(&place, world.orgs[org], batch, arena);
	arena_free(&arena);
	return row.held_kg == FIELD_ABSENT ? 0 : row.held_kg;
}

/* By the journal alone. */
static enum err count_kilograms(void *context, const struct event *event)
{
	const struct event_transferred *said = &event->transferred;
	struct summing *summing = context;
	if (event->header.type == EVENT_TRANSFERRED && id_equal(said->to, summing->to))
		summing->kg += said->kg;
	return ERR_OK;
}

static int64_t kilograms_of(int org)
{
	struct err_info info = {.code = ERR_OK};
	struct summing summing = {.to = world.orgs[org]};
	assert_int_equal(engine_journal_read(place.store, 1, count_kilograms, &summing, &info), ERR_OK);
	return summing.kg;
}

static void restart(void)
{
	place_stop(&place);
	atomic_store(&place.stop_reason, ERR_OK);
	place_start(&place);
}

/* A snapshot's write may have failed beside the commands: a dead disk latches the store, a full one takes writes again once
 * space is seen. */
static struct engine_result send_again(const struct command *command)
{
	struct engine_result result = {0};
	struct err_info info = {.code = ERR_OK};
	enum err err;
	int64_t deadline_us = seconds_from_now(30);
	do {
		err = engine_command(place.engine, command, NULL, 0, seconds_from_now(30), &result, &info);
		if (err == ERR_STORE_LATCHED)
			restart();
	} while ((err == ERR_STORE_LATCHED || err == ERR_NO_SPACE) && clock_monotonic_us() < deadline_us);
	if (err)
		fail_msg("sent again: %s: %s", err_row(err)->name, info.detail);
	return result;
}

/* Transfers of one kilogram, each sent again under its id until it is carried out. */
static void transfers(struct sweep *sweep)
{
	int64_t before = kilograms_of(1);
	struct command gives[TRANSFERS];
	enum err errs[TRANSFERS];
	struct err_info infos[TRANSFERS];
	world.now_us = clock_wall_us();
	sweep_arm(sweep);
	for (int i = 0; i < TRANSFERS; i++) {
		struct engine_result result;
		gives[i] = transfer_command(&world, 0, 1, batch, 1);
		infos[i] = (struct err_info){.code = ERR_OK};
		errs[i] = engine_command(place.engine, &gives[i], NULL, 0, seconds_from_now(30), &result, &infos[i]);
	}
	sweep_disarm(sweep);
	bool latched = false;
	for (int i = 0; i < TRANSFERS; i++) {
		sweep_judge(sweep, errs[i], &infos[i]);
		latched |= errs[i] == ERR_STORE_LATCHED;
	}
	if (latched || atomic_load(&place.stop_reason))
		restart();
	for (int i = 0; i < TRANSFERS; i++) {
		struct engine_result result = send_again(&gives[i]);
		if (!errs[i])
			assert_true(result.repeated); /* acknowledged, and not lost */
	}
	assert_int_equal(kilograms_of(1), before + TRANSFERS);
	restart(); /* a snapshot's write that failed beside the commands may latch the store later: not the next run's */
}

/* Starts over a journal with a snapshot, and answers. */
static void start(struct sweep *sweep)
{
	struct err_info info = {.code = ERR_OK};
	struct engine *engine = NULL;
	place_stop(&place);
	place_open_store(&place);
	struct engine_options options = {.store = place.store,
		.node = "test",
		.registry = place.registry,
		.snapshot_events = place.snapshot_events,
		.on_stop = place_stopped,
		.context = &place,
		.clock_synchronised = place_synchronised};
	sweep_arm(sweep);
	enum err err = engine_start(&options, &engine, &info);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	engine_stop(&engine);
	store_close(&place.store);
	place_start(&place);
	struct command give = transfer_command(&world, 0, 2, batch, 1);
	int64_t before = held_by(2);
	world.now_us = clock_wall_us();
	give = transfer_command(&world, 0, 2, batch, 1);
	assert_int_equal(place_command(&place, &world, &give, NULL), ERR_OK);
	assert_int_equal(held_by(2), before + 1);
}

static void every_fault(void **state)
{
	(void)state;
	place_new(&place);
	place_world(&world, 21);
	place.snapshot_events = 10; /* they meet the faults, too */
	place_start(&place);
	place_verifier(&place, &world, 3);
	batch = place_issue(&place, &world, 0, 24, 1000000, NULL);
	sweep_allocations("starting an engine", start, NULL);
	place_stop(&place);
	place.no_views = true; /* they take a second before they try again */
	place_start(&place);
	sweep_allocations("commands", transfers, NULL);
	sweep_disk("commands", transfers, NULL);
	place_stop(&place);
	place.no_views = false;
	place_start(&place);
	place_check_views(&place);
	place_stop(&place);
	place_drop(&place);
	world_stop(&world);
}

int main(void)
{
	sweep_start(40);
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_fault)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
