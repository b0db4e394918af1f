/* Decides which of several daemons on one store executes commands. A thread of its own, `lease`, keeps or awaits the lease
 * `journal.0`; the engine thread does the rest: it follows the journal by replay, and when the lease is ours it takes the journal's
 * next position with a record of its term before it executes anything. From then on whoever led before cannot append: its next
 * position is taken. A lapse of the lease alone loses nothing: what is in hand is appended, if the position is still to be had,
 * and answered; what appended nothing is answered only under the lease, for else another may have written what it did not see. */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "carbond/base/log.h"
#include "carbond/store/lease.h"

#define LOOK_US   (LEASE_BEAT_US / 2)
#define FOLLOW_US INT64_C(100000) /* how old a follower's state is at most, but for the reading */
#define FAILED_US CLOCK_US_PER_SECOND
#define START_US  (LEASE_FREE_US + 5 * CLOCK_US_PER_SECOND)

struct lead {
	struct lease *lease;
	struct thread *keeper;
	struct arena *arena; /* of the engine thread, for one look at the views */

	/* engine thread */
	bool leads;
	int64_t retry_us; /* monotonic; following failed: not before */
	enum err failed;  /* told once */

	/* any thread */
	atomic_int_fast64_t taken; /* as lead_taken */
	atomic_bool stopping, resigned;

	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct engine_leader known;
	int64_t beat, seen_us; /* of the leader that is known, when it moved last; monotonic, 0: never */
	int64_t times;         /* that this daemon has taken the lead */
};

/* ---- for the others ---- */

int64_t lead_taken(const struct engine *engine)
{
	return engine->lead ? atomic_load(&engine->lead->taken) : 1;
}

bool engine_leads(const struct engine *engine)
{
	return !engine->lead || (atomic_load(&engine->lead->taken) > 0 && lease_holds(engine->lead->lease));
}

void engine_leader(struct engine *engine, struct engine_leader *ret_leader)
{
	struct lead *lead = engine->lead;
	*ret_leader = (struct engine_leader){.is_self = !lead};
	if (!lead) {
		snprintf(ret_leader->node, sizeof ret_leader->node, "%s", engine->node);
		return;
	}
	pthread_mutex_lock(&lead->lock);
	bool fresh = lead->seen_us && clock_monotonic_us() - lead->seen_us < LEASE_FREE_US;
	if (fresh)
		*ret_leader = lead->known;
	pthread_mutex_unlock(&lead->lock);
	if (ret_leader->is_self && !engine_leads(engine))
		*ret_leader = (struct engine_leader){.is_self = false};
}

void engine_resign(struct engine *engine)
{
	if (!engine->lead)
		return;
	atomic_store(&engine->lead->resigned, true);
	mailbox_nudge(engine->mailbox);
}

/* ---- the lease: thread `lease` ---- */

static void leader_say(const struct engine_leader *leader)
{
	char term[24];
	snprintf(term, sizeof term, "%lld", (long long)leader->term);
	log_line(LOG_LEVEL_INFO, "leader", "another daemon leads", "leader", leader->node, "term", term, NULL);
}

/* A leader is known once its beat has been seen to move: a row alone may be that of a daemon which died. */
static void leader_note(struct engine *engine, const struct lease_row *row)
{
	struct lead *lead = engine->lead;
	bool is_self = lease_holds(lead->lease);
	pthread_mutex_lock(&lead->lock);
	bool moved = lead->beat && row->beat != lead->beat && row->holder;
	bool other = moved && !is_self && (lead->known.term != row->term || !lead->seen_us);
	lead->beat = row->beat;
	if (moved || (is_self && row->holder)) {
		lead->seen_us = clock_monotonic_us();
		lead->known.is_self = is_self;
		lead->known.term = row->term;
		snprintf(lead->known.node, sizeof lead->known.node, "%s", row->holder);
		snprintf(lead->known.address, sizeof lead->known.address, "%s", row->address ? row->address : "");
	} else if (!row->holder) {
		lead->seen_us = 0;
	}
	struct engine_leader known = lead->known;
	pthread_cond_broadcast(&lead->changed);
	pthread_mutex_unlock(&lead->lock);
	metric_set(METRIC_ENGINE_LEADER_TERM, row->term);
	if (other)
		leader_say(&known);
}

static void keeper_pause(struct lead *lead, int64_t us)
{
	int64_t until_us = clock_monotonic_us() + us;
	struct timespec until = {
		.tv_sec = until_us / CLOCK_US_PER_SECOND, .tv_nsec = until_us % CLOCK_US_PER_SECOND * 1000};
	pthread_mutex_lock(&lead->lock);
	int waited = 0;
	while (!atomic_load(&lead->stopping) && waited == 0)
		waited = pthread_cond_timedwait(&lead->changed, &lead->lock, &until);
	pthread_mutex_unlock(&lead->lock);
}

static enum err keeper_turn(struct engine *engine, struct err_info *info)
{
	struct lead *lead = engine->lead;
	struct lease_row row;
	bool held = false;
	struct arena *arena = arena_new(0);
	if (!arena)
		return ERR_NO_MEMORY;
	enum err err = ERR_OK;
	bool gives = atomic_load(&lead->resigned) || atomic_load(&engine->stop_reason);
	if (!gives)
		err = lease_try(lead->lease, &held, info);
	else if (!lead_taken(engine) || atomic_load(&engine->stop_reason)) /* what was in hand is finished */
		err = lease_release(lead->lease, info);
	if (!err)
		err = lease_read(engine->store, engine->stream, arena, &row, info);
	if (!err)
		leader_note(engine, &row);
	arena_free(&arena);
	if (held != (lead_taken(engine) > 0))
		mailbox_nudge(engine->mailbox);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static void keeper_run(void *argument)
{
	struct engine *engine = argument;
	enum err last = ERR_OK;
	while (!atomic_load(&engine->lead->stopping)) {
		struct err_info info = {0};
		enum err err = keeper_turn(engine, &info);
		if (err && err != last) {
			info.code = err;
			log_failure("lease_failed", &info, NULL);
		}
		last = err;
		keeper_pause(engine->lead, LOOK_US);
	}
	struct err_info info = {0};
	if (lease_release(engine->lead->lease, &info))
		log_failure("lease_not_released", &info, NULL);
}

/* ---- following: engine thread ---- */

static enum err views_look(struct engine *engine, struct err_info *info)
{
	struct lead *lead = engine->lead;
	struct cursor_row cursor = {.name = "views"};
	arena_reset(lead->arena);
	enum err err = store_get(engine->store, &view_cursors_collection, &cursor, lead->arena, info);
	if (!err)
		views_position_raise(engine, cursor.position);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err state_follow(struct engine *engine, struct err_info *info)
{
	uint64_t seq = engine->state.seq;
	bool anew = !engine->state.rules;
	enum err err = ERR_OK;
	if (anew) {
		err = snapshot_load(engine->store, engine->registry, engine->shard, false, &engine->state, info);
		metric_add(METRIC_ENGINE_RELOADS, 1);
	}
	if (!err)
		err = journal_replay(engine->store, &engine->state, 0, info);
	if (!err && anew)
		err = rules_check(engine->state.rules, info);
	if (err) {
		rules_free(&engine->state.rules);
		return err;
	}
	engine->stale = false;
	if (anew || engine->state.seq != seq) {
		struct totals totals = totals_of(engine->state.rules);
		engine_show_totals(engine, &totals);
		engine_notify(engine);
	}
	return ERR_OK;
}

/* ---- taking the lead: engine thread ---- */

static enum err led_append(struct engine *engine, const struct store_batch *head, struct err_info *info)
{
	int64_t now_us = clock_look(&engine->clock), last_us = rules_time_us(engine->state.rules);
	uint8_t bytes[256];
	size_t size = 0;
	struct event event = {.header = {.type = EVENT_LED,
				      .number = rules_position(engine->state.rules) + 1,
				      .time_us = now_us > last_us ? now_us : last_us},
		.led = {.term = head->term + 1}};
	code32_set(&event.led.node, engine->node);
	enum err err = event_encode(&event, bytes, sizeof bytes, &size);
	struct store_batch batch = {.seq = head->seq + 1,
		.term = head->term + 1,
		.count = 1,
		.written_at_us = event.header.time_us,
		.payload = bytes,
		.payload_size = size};
	memcpy(batch.stream, engine->stream, sizeof batch.stream);
	memcpy(batch.node, engine->node, sizeof batch.node);
	struct store_append append = {.class = STORE_VALUE, .batch = &batch};
	return err ? err : store_log_append(engine->store, &append, NULL, info);
}

/* The state is at the journal's head as it was read; whoever appends there first leads. */
static enum err lead_take(struct engine *engine, struct err_info *info)
{
	struct lead *lead = engine->lead;
	struct store_batch head;
	enum err err = store_log_head(engine->store, STORE_VALUE, engine->stream, &head, info);
	if (err || head.seq != engine->state.seq || !hash_equal(head.hash, engine->state.hash))
		return err; /* there is more to follow */
	err = led_append(engine, &head, info);
	if (err == ERR_POSITION_TAKEN)
		return ERR_OK; /* so it has moved */
	if (!err)
		err = state_follow(engine, info);
	if (err)
		return err;
	engine->term = head.term + 1;
	lead->leads = true;
	atomic_store(&lead->taken, ++lead->times);
	metric_set(METRIC_ENGINE_LEADS, 1);
	metric_add(METRIC_ENGINE_TAKEOVERS, 1);
	char term[24];
	snprintf(term, sizeof term, "%llu", (unsigned long long)engine->term);
	log_line(LOG_LEVEL_INFO, "lead_taken", "this daemon leads", "leader", engine->node, "term", term, NULL);
	if (engine->on_lead)
		engine->on_lead(engine->context, true);
	pthread_mutex_lock(&lead->lock);
	pthread_cond_broadcast(&lead->changed);
	pthread_mutex_unlock(&lead->lock);
	engine_notify(engine);
	return ERR_OK;
}

static void lead_leave(struct engine *engine, const char *why)
{
	struct lead *lead = engine->lead;
	if (!lead->leads)
		return;
	lead->leads = false;
	atomic_store(&lead->taken, 0);
	metric_set(METRIC_ENGINE_LEADS, 0);
	log_line(LOG_LEVEL_INFO, "lead_lost", "this daemon leads no longer", "reason", why, NULL);
	if (engine->on_lead)
		engine->on_lead(engine->context, false);
}

/* ---- turns: engine thread ---- */

static bool may_lead(const struct lead *lead)
{
	return !atomic_load(&lead->resigned) && lease_holds(lead->lease);
}

static void follow(struct engine *engine)
{
	struct lead *lead = engine->lead;
	struct err_info info = {0};
	if (clock_monotonic_us() < lead->retry_us)
		return;
	enum err err = state_follow(engine, &info);
	if (!err)
		err = views_look(engine, &info);
	if (!err && may_lead(lead) && !atomic_load(&engine->stop_reason))
		err = lead_take(engine, &info);
	if (err && err != lead->failed) {
		info.code = err;
		log_failure("follow_failed", &info, NULL);
	}
	lead->failed = err;
	lead->retry_us = err ? clock_monotonic_us() + FAILED_US : 0;
}

void lead_turn(struct engine *engine)
{
	struct lead *lead = engine->lead;
	if (!lead)
		return;
	if (lead->leads && !may_lead(lead)) {
		engine_drain(engine);
		lead_leave(engine, atomic_load(&lead->resigned) ? "it was given to another" : "the lease ran out");
	}
	if (!lead->leads)
		follow(engine);
}

int64_t lead_patience_us(const struct engine *engine)
{
	return engine->lead && !engine->lead->leads ? FOLLOW_US : CLOCK_US_PER_SECOND;
}

enum err lead_check(const struct engine *engine, struct err_info *info)
{
	if (!engine->lead || (engine->lead->leads && lease_holds(engine->lead->lease)))
		return ERR_OK;
	return err_set(info, ERR_NOT_LEADER, "", "this daemon does not lead");
}

enum err lead_lost(struct engine *engine, enum err err, struct err_info *info)
{
	if (!engine->lead || err == ERR_GUARD_TAKEN || err == ERR_STORE_LATCHED)
		return err;
	lead_leave(engine, info->detail);
	return err == ERR_POSITION_TAKEN
		       ? err_set(info, ERR_NOT_LEADER, "", "another daemon has taken the lead; nothing was done")
		       : err;
}

/* ---- start and stop: main thread ---- */

enum err lead_start(struct engine *engine, const struct engine_options *options)
{
	if (!store_is_shared(engine->store))
		return ERR_OK;
	struct lead *lead = engine->lead = calloc(1, sizeof *lead);
	if (!lead)
		return ERR_NO_MEMORY;
	struct lease_options lease = {.store = engine->store,
		.name = engine->stream,
		.holder = engine->node,
		.address = options->address,
		.clock_us = options->monotonic_us,
		.context = options->context};
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&lead->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&lead->lock, NULL);
	lead->lease = lease_new(&lease);
	lead->arena = arena_new(0);
	if (!lead->lease || !lead->arena)
		return ERR_NO_MEMORY;
	return thread_start("lease", keeper_run, engine, &lead->keeper);
}

static bool leader_is_known(struct engine *engine)
{
	struct engine_leader leader;
	engine_leader(engine, &leader);
	return leader.node[0] || atomic_load(&engine->stop_reason);
}

void lead_wait(struct engine *engine)
{
	struct lead *lead = engine->lead;
	int64_t until_us = clock_monotonic_us() + START_US;
	while (lead && !leader_is_known(engine) && clock_monotonic_us() < until_us)
		keeper_pause(lead, FOLLOW_US);
}

void lead_end(struct engine *engine)
{
	struct lead *lead = engine->lead;
	if (!lead)
		return;
	atomic_store(&lead->stopping, true);
	pthread_mutex_lock(&lead->lock);
	pthread_cond_broadcast(&lead->changed);
	pthread_mutex_unlock(&lead->lock);
	thread_join(&lead->keeper);
}

void lead_free(struct engine *engine)
{
	struct lead *lead = engine->lead;
	if (!lead)
		return;
	pthread_cond_destroy(&lead->changed);
	pthread_mutex_destroy(&lead->lock);
	lease_free(&lead->lease);
	arena_free(&lead->arena);
	free(lead);
	engine->lead = NULL;
}
