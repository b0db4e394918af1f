/* An engine over a real SQLite store in a folder of its own, and commands of the rules' test world sent through it. */
#ifndef TEST_ENGINE_PLACE_H
#define TEST_ENGINE_PLACE_H

#include <ftw.h>
#include <sched.h>
#include <unistd.h>

#include "../rules/world.h"
#include "carbond/engine.h"

struct place {
	char folder[256], uri[280];
	struct store *store;
	struct engine *engine;
	struct id registry;
	struct seal_key key;
	size_t low_water_bytes;
	int64_t snapshot_events;
	bool no_views;
	/* what on_stop has said */
	atomic_int stop_reason;
	/* the clocks, where a test sets them */
	atomic_int_fast64_t wall_us, monotonic_us;
	atomic_int_fast64_t standstill_us; /* the machine stands still for so long once the wall clock was read */
	atomic_bool moving;                /* one of them has moved, the other not yet: nobody reads */
	bool own_clock, unsynchronised;
};

static int place_drop_one(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
	(void)status;
	(void)flag;
	(void)walk;
	return remove(path);
}

static inline void place_new(struct place *place)
{
	memset(place, 0, sizeof *place);
	const char *top = getenv("TMPDIR");
	snprintf(place->folder, sizeof place->folder, "%s/carbond-engine-XXXXXX", top ? top : "/tmp");
	assert_non_null(mkdtemp(place->folder));
	snprintf(place->uri, sizeof place->uri, "sqlite:%s", place->folder);
	place->registry.bytes[0] = 7;
	place->key.number = 1;
	place->snapshot_events = 1000000;
	assert_int_equal(crypto_start(), ERR_OK);
}

static inline void place_drop(struct place *place)
{
	nftw(place->folder, place_drop_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void place_open_store(struct place *place)
{
	struct err_info info = {0};
	struct store_options options = {.uri = place->uri,
		.collections = engine_collections,
		.seal_keys = &place->key,
		.seal_key_count = 1,
		.low_water_bytes = place->low_water_bytes};
	if (store_open(&options, &place->store, &info))
		fail_msg("store_open: %s", info.detail);
}

static inline void place_stopped(void *context, enum err reason, const struct err_info *info)
{
	(void)info;
	atomic_store(&((struct place *)context)->stop_reason, (int)reason);
}

static inline int64_t place_wall(void *context)
{
	struct place *place = context;
	while (atomic_load(&place->moving))
		sched_yield();
	int64_t wall_us = atomic_load(&place->wall_us), standstill_us = atomic_exchange(&place->standstill_us, 0);
	atomic_fetch_add(&place->wall_us, standstill_us);
	atomic_fetch_add(&place->monotonic_us, standstill_us);
	return wall_us;
}

static inline int64_t place_monotonic(void *context)
{
	struct place *place = context;
	while (atomic_load(&place->moving))
		sched_yield();
	return atomic_load(&place->monotonic_us);
}

static inline bool place_synchronised(void *context)
{
	return !((struct place *)context)->unsynchronised;
}

static inline struct engine *place_engine(struct place *place)
{
	struct err_info info = {0};
	struct engine *engine = NULL;
	struct engine_options options = {.store = place->store,
		.node = "test",
		.registry = place->registry,
		.snapshot_events = place->snapshot_events,
		.no_views = place->no_views,
		.on_stop = place_stopped,
		.context = place,
		.clock_synchronised = place_synchronised};
	if (place->own_clock) {
		options.wall_us = place_wall;
		options.monotonic_us = place_monotonic;
	}
	if (engine_start(&options, &engine, &info))
		fail_msg("engine_start: %s", info.detail);
	return engine;
}

static inline void place_start(struct place *place)
{
	place_open_store(place);
	place->engine = place_engine(place);
}

static inline void place_stop(struct place *place)
{
	engine_stop(&place->engine);
	store_close(&place->store);
}

static inline int64_t seconds_from_now(int64_t seconds)
{
	return clock_monotonic_us() + seconds * CLOCK_US_PER_SECOND;
}

/* The world's clock follows the machine's, so that ids are of today. */
static inline void place_world(struct world *world, uint64_t seed)
{
	world_start(world, seed);
	world->now_us = clock_wall_us();
	for (int i = 0; i < WORLD_ORGS; i++)
		world->next_hour[i] = (uint32_t)(WORLD_FIRST_DAY / CLOCK_US_PER_HOUR);
}

static inline enum err place_command(
	struct place *place, struct world *world, struct command *command, struct engine_result *ret_result)
{
	struct engine_result result;
	memset(&world->info, 0, sizeof world->info);
	enum err err = engine_command(
		place->engine, command, NULL, 0, seconds_from_now(30), ret_result ? ret_result : &result, &world->info);
	return err;
}

static inline void place_verifier(struct place *place, struct world *world, int org)
{
	struct command command = world_command(world, COMMAND_VERIFIER_REGISTER, -1);
	command.verifier_register = (struct command_verifier_register){.verifier = world->verifiers[org],
		.org = world->orgs[org],
		.key = world->keys[org],
		.valid_from_us = world->now_us - CLOCK_US_PER_DAY,
		.valid_to_us = world->now_us + 400 * CLOCK_US_PER_DAY};
	assert_int_equal(place_command(place, world, &command, NULL), ERR_OK);
}

/* Submits and attests; returns the period. */
static inline struct id place_attested(
	struct place *place, struct world *world, int org, uint32_t first_hour, uint32_t hours, int64_t kg)
{
	struct claim_run run;
	struct command submission = world_submission(world, org, first_hour, hours, kg, &run);
	enum err err = place_command(place, world, &submission, NULL);
	if (err)
		fail_msg("submit: %s", world->info.detail);
	struct command attestation =
		world_attestation(world, 3, submission.period_submit.period, submission.period_submit.evidence_root);
	err = place_command(place, world, &attestation, NULL);
	if (err)
		fail_msg("attest: %s", world->info.detail);
	return submission.period_submit.period;
}

static inline uint64_t place_issue(
	struct place *place, struct world *world, int org, uint32_t hours, int64_t kg, int64_t *ret_position)
{
	struct engine_result result = {0};
	struct command issue = world_command(world, COMMAND_PERIOD_ISSUE, -1);
	issue.period_issue.period = place_attested(place, world, org, world->next_hour[org], hours, kg);
	world->next_hour[org] += hours;
	enum err err = place_command(place, world, &issue, &result);
	if (err)
		fail_msg("issue: %s", world->info.detail);
	if (ret_position)
		*ret_position = result.position;
	return result.number;
}

static inline struct command transfer_command(struct world *world, int from, int to, uint64_t batch, int64_t kg)
{
	struct command command = world_command(world, COMMAND_TRANSFER, from);
	command.transfer = (struct command_transfer){.to = world->orgs[to], .batch = batch, .kg = kg};
	return command;
}

static inline struct command retire_command(struct world *world, int org, uint64_t batch, int64_t kg)
{
	struct command command = world_command(world, COMMAND_RETIRE, org);
	command.retire = (struct command_retire){.batch = batch,
		.kg = kg,
		.beneficiary_hash = world_hash(world),
		.covered_from_us = WORLD_FIRST_DAY,
		.covered_to_us = WORLD_FIRST_DAY + CLOCK_US_PER_DAY,
		.purpose = PURPOSE_VOLUNTARY,
		.consent = 1};
	code8_set(&command.retire.country, "DE");
	return command;
}

static inline struct holding_row place_holding(struct place *place, struct id org, uint64_t batch, struct arena *arena)
{
	struct err_info info = {0};
	struct holding_row row;
	field_clear(holding_fields, &row);
	row.org_id = org;
	row.batch = (int64_t)batch;
	enum err err = store_get(place->store, &holdings_collection, &row, arena, &info);
	if (err && err != ERR_NOT_FOUND)
		fail_msg("holding: %s", info.detail);
	return row;
}

/* The views against the ground: every batch's ranges partition it and holdings are their sums. */
static inline void place_check_views(struct place *place)
{
	struct err_info info = {0};
	struct arena *arena = arena_new(256u << 20);
	assert_int_equal(
		engine_wait_position(place->engine, engine_position(place->engine), seconds_from_now(30)), ERR_OK);
	struct batch_row *batches = NULL;
	struct serial_range_row *ranges = NULL;
	size_t batch_count = 0, range_count = 0;
	struct store_query query = {.collection = &batches_collection, .most = 100000};
	assert_int_equal(store_find(place->store, &query, arena, (void **)&batches, &batch_count, &info), ERR_OK);
	query.collection = &ranges_collection;
	assert_int_equal(store_find(place->store, &query, arena, (void **)&ranges, &range_count, &info), ERR_OK);
	size_t at = 0;
	for (size_t b = 0; b < batch_count; b++) {
		int64_t end = 0;
		for (; at < range_count && ranges[at].batch == batches[b].batch; at++) {
			assert_int_equal(ranges[at].start, end); /* P1 in the view */
			end += ranges[at].length;
		}
		assert_int_equal(end, batches[b].kg);
	}
	assert_int_equal(at, range_count);
	struct holding_row *holdings = NULL;
	size_t holding_count = 0;
	query.collection = &holdings_collection;
	assert_int_equal(store_find(place->store, &query, arena, (void **)&holdings, &holding_count, &info), ERR_OK);
	for (size_t h = 0; h < holding_count; h++) {
		int64_t sums[KG_STATE_COUNT] = {0};
		for (size_t r = 0; r < range_count; r++)
			if (ranges[r].batch == holdings[h].batch && id_equal(ranges[r].org_id, holdings[h].org_id))
				sums[ranges[r].state] += ranges[r].length;
		assert_memory_equal(sums, &holdings[h].held_kg, sizeof sums);
	}
	arena_free(&arena);
}

#endif
