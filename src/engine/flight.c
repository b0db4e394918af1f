/* Decides how the disk works while the engine thread executes: one append at a time is carried out by a thread of its own, the
 * appender, which knows nothing but what it is handed. */
#include "parts.h"

#include <assert.h>
#include <string.h>

static void carry_out(struct engine *engine)
{
	struct flight *flight = &engine->flight;
	flight->err = store_log_append(engine->store, &flight->append, NULL, &flight->info);
	sem_post(&flight->ended);
	mailbox_nudge(engine->mailbox);
}

static void appender_run(void *argument)
{
	struct engine *engine = argument;
	struct flight *flight = &engine->flight;
	for (;;) {
		while (sem_wait(&flight->begun) != 0)
			continue; /* EINTR alone */
		if (flight->stops)
			return;
		carry_out(engine);
	}
}

void flight_make(struct engine *engine)
{
	sem_init(&engine->flight.begun, 0, 0);
	sem_init(&engine->flight.ended, 0, 0);
}

void flight_free(struct engine *engine)
{
	sem_destroy(&engine->flight.begun);
	sem_destroy(&engine->flight.ended);
}

enum err flight_start(struct engine *engine)
{
	return thread_start("engine-append", appender_run, engine, &engine->appender);
}

bool flight_turn(struct engine *engine)
{
	assert(!engine->appender);
	if (sem_trywait(&engine->flight.begun) != 0)
		return false;
	carry_out(engine);
	return true;
}

void flight_stop(struct engine *engine)
{
	if (!engine->appender)
		return;
	engine->flight.stops = true;
	sem_post(&engine->flight.begun);
	thread_join(&engine->appender);
}

void flight_begin(struct engine *engine, const struct commit *commit)
{
	struct flight *flight = &engine->flight;
	struct store_batch *batch = &flight->batch;
	*batch = (struct store_batch){.seq = engine->state.seq + 1,
		.term = engine->term,
		.count = commit->output.event_count,
		.written_at_us = rules_time_us(engine->state.rules),
		.payload = commit->output.bytes,
		.payload_size = commit->output.size};
	memcpy(batch->stream, engine->stream, sizeof batch->stream);
	memcpy(batch->node, engine->node, sizeof batch->node);
	for (size_t i = 0; i < commit->output.guard_count; i++)
		commit->guards[i] = (struct store_guard){
			.key = commit->output.guards[i].key, .size = commit->output.guards[i].size};
	flight->append = (struct store_append){.class = STORE_VALUE,
		.batch = batch,
		.guards = commit->guards,
		.guard_count = commit->output.guard_count,
		.changes = commit->changes,
		.change_count = commit->change_count};
	flight->info = (struct err_info){.code = ERR_OK};
	sem_post(&flight->begun);
}

bool flight_end(struct engine *engine, bool waits, enum err *ret_err, struct err_info *info)
{
	struct flight *flight = &engine->flight;
	if (waits && !engine->appender)
		(void)flight_turn(engine);
	while ((waits ? sem_wait(&flight->ended) : sem_trywait(&flight->ended)) != 0)
		if (!waits)
			return false;
	*ret_err = flight->err;
	*info = flight->info;
	if (!flight->err) {
		engine->state.seq = flight->batch.seq;
		engine->state.hash = flight->batch.hash;
		metric_add(METRIC_ENGINE_EVENTS, flight->batch.count);
	}
	return true;
}
