/* Decides how the engine starts and stops: the newest valid snapshot and the journal behind it make the state, then its
 * threads follow; and what others may ask of it at any time. Start and stop on the main thread. */
#include "parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "carbond/base/log.h"

/* ---- waiting for positions ---- */

void engine_notify(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	pthread_cond_broadcast(&engine->moved);
	pthread_mutex_unlock(&engine->lock);
}

static struct timespec timespec_of(int64_t monotonic_us)
{
	return (struct timespec){
		.tv_sec = monotonic_us / CLOCK_US_PER_SECOND, .tv_nsec = monotonic_us % CLOCK_US_PER_SECOND * 1000};
}

static bool wait_for(struct engine *engine, const atomic_int_fast64_t *position, int64_t least, int64_t deadline_us,
	const atomic_bool *stopping)
{
	struct timespec until = timespec_of(deadline_us);
	int waited = 0;
	pthread_mutex_lock(&engine->lock);
	while (atomic_load(position) < least && !atomic_load(stopping) && !atomic_load(&engine->stopping) &&
		waited == 0)
		waited = deadline_us == INT64_MAX ? pthread_cond_wait(&engine->moved, &engine->lock)
						  : pthread_cond_timedwait(&engine->moved, &engine->lock, &until);
	pthread_mutex_unlock(&engine->lock);
	return atomic_load(position) >= least;
}

void engine_wait_above(struct engine *engine, int64_t above, int64_t deadline_us, const atomic_bool *stopping)
{
	int64_t least = above == INT64_MAX ? INT64_MAX : above + 1;
	(void)wait_for(engine, &engine->position, least, deadline_us, stopping);
}

enum err engine_wait_position(struct engine *engine, int64_t position, int64_t deadline_us)
{
	const atomic_bool *stopping = &engine->stopping;
	return wait_for(engine, &engine->views_position, position, deadline_us, stopping) ? ERR_OK : ERR_DEADLINE;
}

int64_t engine_position(struct engine *engine)
{
	return atomic_load(&engine->position);
}

int64_t engine_views_position(struct engine *engine)
{
	return atomic_load(&engine->views_position);
}

/* ---- what it says of itself ---- */

void engine_hash_turn(struct engine *engine)
{
	int64_t asked = atomic_load(&engine->hashed.asked);
	struct hash hash = {{0}};
	struct err_info ignored;
	if (atomic_load(&engine->hashed.answered) == asked)
		return;
	engine_drain(engine); /* so that all of the state is durable */
	enum err err = engine->state.rules && !engine->stale ? rules_state_hash(engine->state.rules, &hash, &ignored)
							     : ERR_BUSY;
	pthread_mutex_lock(&engine->lock);
	engine->hashed.position = err ? 0 : (int64_t)rules_position(engine->state.rules);
	engine->hashed.hash = hash;
	engine->hashed.err = err;
	atomic_store(&engine->hashed.answered, asked);
	pthread_cond_broadcast(&engine->moved);
	pthread_mutex_unlock(&engine->lock);
}

enum err engine_state_hash(
	struct engine *engine, int64_t deadline_us, int64_t *ret_position, struct hash *ret_hash, struct err_info *info)
{
	int64_t asked = atomic_fetch_add(&engine->hashed.asked, 1) + 1;
	mailbox_nudge(engine->mailbox);
	if (!wait_for(engine, &engine->hashed.answered, asked, deadline_us, &engine->stopping))
		return err_set(info, atomic_load(&engine->stopping) ? ERR_STOPPING : ERR_DEADLINE, "",
			"the engine has not made the hash of its state in time");
	pthread_mutex_lock(&engine->lock);
	enum err err = engine->hashed.err;
	*ret_position = engine->hashed.position;
	*ret_hash = engine->hashed.hash;
	pthread_mutex_unlock(&engine->lock);
	return err ? err_set(info, err, "", "this daemon has no state now; try again") : ERR_OK;
}

void engine_confirm_clock(struct engine *engine)
{
	atomic_store(&engine->clock.confirm, true);
}

bool engine_clock_halted(struct engine *engine)
{
	return atomic_load(&engine->clock.halted);
}

bool engine_ready(struct engine *engine, char *reason, size_t size)
{
	enum err err = (enum err)atomic_load(&engine->stop_reason);
	if (!err && atomic_load(&engine->stopping))
		err = ERR_STOPPING;
	if (!err)
		(void)store_healthy(engine->store, &err);
	struct engine_leader leader;
	engine_leader(engine, &leader);
	if (err)
		snprintf(reason, size, "%s", err_row(err)->title);
	else if (!leader.node[0])
		snprintf(reason, size, "no daemon is known to lead");
	return err == ERR_OK && leader.node[0];
}

static void kilograms_write(void *context, void (*emit)(void *sink, const char *line), void *sink)
{
	struct engine *engine = context;
	metric_family_head(METRIC_FAMILY_KILOGRAMS, emit, sink);
	for (int state = 0; state < KG_STATE_COUNT; state++)
		metric_family_value(METRIC_FAMILY_KILOGRAMS, event_kg_state_names[state],
			atomic_load(&engine->state_kg[state]), emit, sink);
}

struct totals totals_of(const struct rules *rules)
{
	struct totals totals = {.position = (int64_t)rules_position(rules), .issued_kg = rules_issued_kg(rules)};
	for (int state = 0; state < KG_STATE_COUNT; state++)
		totals.state_kg[state] = rules_state_kg(rules, (enum kg_state)state);
	return totals;
}

void views_position_raise(struct engine *engine, int64_t position)
{
	if (position <= atomic_load(&engine->views_position))
		return;
	atomic_store(&engine->views_position, position);
	metric_set(METRIC_ENGINE_VIEWS_POSITION, position);
	engine_notify(engine);
}

void engine_show_totals(struct engine *engine, const struct totals *totals)
{
	int64_t sum_kg = 0;
	for (int state = 0; state < KG_STATE_COUNT; state++) {
		atomic_store(&engine->state_kg[state], totals->state_kg[state]);
		sum_kg += totals->state_kg[state];
	}
	atomic_store(&engine->position, totals->position);
	if (engine->shard)
		return;
	metric_set(METRIC_ENGINE_ISSUED_KILOGRAMS, totals->issued_kg);
	metric_set(METRIC_ENGINE_UNBALANCED_KILOGRAMS, totals->issued_kg - sum_kg);
	metric_set(METRIC_ENGINE_POSITION, totals->position);
}

/* ---- start ---- */

enum err engine_load(struct engine *engine, struct err_info *info)
{
	struct store_batch head;
	bool alone = !store_is_shared(engine->store);
	rules_free(&engine->state.rules);
	enum err err = snapshot_load(
		engine->store, engine->registry, engine->shard, alone && !engine->thread, &engine->state, info);
	if (!err)
		err = journal_replay(engine->store, &engine->state, 0, info);
	if (!err)
		err = store_log_head(engine->store, STORE_VALUE, engine->stream, &head, info);
	if (!err && alone && (head.seq != engine->state.seq || !hash_equal(head.hash, engine->state.hash)))
		err = err_set(
			info, ERR_POSITION_TAKEN, "", "the journal moved while it was read: another writer leads");
	/* what came from a snapshot alone was checked when its end was read */
	if (!err && rules_position(engine->state.rules) != engine->state.snapshot_position)
		err = rules_check(engine->state.rules, info);
	if (!err)
		engine->term = head.term + 1;
	return err;
}

static void sync_make(struct engine *engine)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&engine->moved, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&engine->lock, NULL);
}

enum err views_make(struct engine *engine, struct err_info *info)
{
	engine->projector = projector_new(engine);
	if (!engine->projector)
		return ERR_NO_MEMORY;
	struct engine_consumer_options options = {
		.name = "views", .class = STORE_VIEWS, .each = projector_each, .context = engine->projector};
	return consumer_make(engine, &options, true, &engine->views, info);
}

enum err engine_make(const struct engine_options *options, struct engine **ret_engine, struct err_info *info)
{
	struct engine *engine = calloc(1, sizeof *engine);
	if (!engine)
		return ERR_NO_MEMORY;
	engine->store = options->store;
	snprintf(engine->node, sizeof engine->node, "%s", options->node);
	engine->registry = options->registry;
	engine->shard = options->shard;
	journal_name(engine->shard, engine->stream);
	engine->snapshot_events = options->snapshot_events ? options->snapshot_events : LIMIT_ENGINE_SNAPSHOT_EVENTS;
	engine->on_stop = options->on_stop;
	engine->on_lead = options->on_lead;
	engine->context = options->context;
	sync_make(engine);
	flight_make(engine);
	clock_start(&engine->clock, options);
	enum err err = commits_make(engine);
	if (!err)
		err = engine_load(engine, info);
	engine->mailbox =
		mailbox_new("engine", options->mailbox_capacity ? options->mailbox_capacity : LIMIT_ENGINE_MAILBOX);
	if (!err && !engine->mailbox)
		err = ERR_NO_MEMORY;
	if (err)
		goto out;
	struct totals totals = totals_of(engine->state.rules);
	engine_show_totals(engine, &totals);
	engine->snapshot_position = (int64_t)engine->state.snapshot_position;
	if (!engine->shard) {
		metric_set(METRIC_ENGINE_SNAPSHOT_POSITION, engine->snapshot_position);
		err = metric_source_add(kilograms_write, engine);
	}
out:
	if (err)
		engine_stop(&engine);
	*ret_engine = engine;
	return err;
}

static enum err threads_start(struct engine *engine, const struct engine_options *options, struct err_info *info)
{
	enum err err = flight_start(engine);
	if (!err)
		err = lead_start(engine, options);
	if (!err)
		err = thread_start("engine", engine_run, engine, &engine->thread);
	if (!err)
		err = thread_start("replayer", replayer_run, engine, &engine->replayer);
	if (!err && !options->no_views && !engine->shard)
		err = views_make(engine, info);
	if (!err && engine->views)
		err = consumer_run_on_thread(engine->views);
	if (!err)
		lead_wait(engine);
	return err;
}

enum err engine_start(const struct engine_options *options, struct engine **ret_engine, struct err_info *info)
{
	struct engine *engine = NULL;
	enum err err = engine_make(options, &engine, info);
	if (!err)
		err = threads_start(engine, options, info);
	if (err)
		engine_stop(&engine);
	else
		*ret_engine = engine;
	return err;
}

/* ---- stop ---- */

void engine_stop(struct engine **engine)
{
	struct engine *old = *engine;
	*engine = NULL;
	if (!old)
		return;
	if (old->mailbox)
		mailbox_close(old->mailbox);
	thread_join(&old->thread); /* what was taken is finished before the followers are told */
	flight_stop(old);
	lead_end(old);
	atomic_store(&old->stopping, true);
	engine_notify(old);
	engine_consumer_stop(&old->views);
	thread_join(&old->replayer);
	projector_free(&old->projector);
	lead_free(old);
	metric_source_remove(old);
	mailbox_free(&old->mailbox);
	rules_free(&old->state.rules);
	commits_free(old);
	flight_free(old);
	pthread_cond_destroy(&old->moved);
	pthread_mutex_destroy(&old->lock);
	free(old);
}

enum err engine_actor_get(struct store *store, uint64_t number, struct id *ret_actor, struct err_info *info)
{
	struct actor_row row;
	*ret_actor = (struct id){0};
	if (number == 0)
		return ERR_OK;
	struct arena *arena = arena_new(0);
	if (!arena)
		return ERR_NO_MEMORY;
	field_clear(actor_fields, &row);
	row.number = (int64_t)number;
	enum err err = store_get(store, &actors_collection, &row, arena, info);
	if (!err)
		*ret_actor = row.actor_id;
	arena_free(&arena);
	return err;
}
