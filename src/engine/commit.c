/* Decides when commands become durable and what is answered: a batch is executed, appended once with its guard keys and vault
 * rows, and only then answered. A failed append drops the state, which is replayed; it is never answered from. Engine
 * thread. */
#include "parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/log.h"

/* ---- one batch ---- */

static void batch_clear(struct commit *commit)
{
	commit->taken_count = 0;
	commit->change_count = 0;
	commit->output.size = 0;
	commit->output.guard_count = 0;
	commit->output.event_count = 0;
}

/* Every command of the batch gets this answer instead of its own. */
static void batch_refuse(struct engine *engine, enum err code, const struct err_info *info)
{
	struct commit *commit = &engine->commit;
	for (size_t i = 0; i < commit->taken_count; i++) {
		struct pending *pending = commit->taken[i];
		pending_refuse(pending, code, info);
		pending_answer(pending);
	}
	batch_clear(commit);
}

static void publish(struct engine *engine)
{
	engine_show_totals(engine);
	engine_notify(engine);
}

static void batch_answer(struct engine *engine)
{
	struct commit *commit = &engine->commit;
	int64_t done = 0, refused = 0, repeated = 0;
	for (size_t i = 0; i < commit->taken_count; i++) {
		const struct pending *pending = commit->taken[i];
		if (pending->code)
			refused++;
		else if (pending->result.repeated)
			repeated++;
		else
			done++;
		pending_answer(commit->taken[i]);
	}
	metric_add(METRIC_ENGINE_COMMANDS, done);
	metric_add(METRIC_ENGINE_REFUSALS, refused);
	metric_add(METRIC_ENGINE_REPEATS, repeated);
	batch_clear(commit);
}

static enum err batch_append(struct engine *engine, struct err_info *info)
{
	struct commit *commit = &engine->commit;
	struct store_batch batch = {.seq = engine->state.seq + 1,
		.term = engine->term,
		.count = commit->output.event_count,
		.written_at_us = rules_time_us(engine->state.rules),
		.payload = commit->output.bytes,
		.payload_size = commit->output.size};
	memcpy(batch.stream, ENGINE_STREAM, sizeof ENGINE_STREAM);
	memcpy(batch.node, engine->node, sizeof batch.node);
	for (size_t i = 0; i < commit->output.guard_count; i++)
		commit->guards[i] = (struct store_guard){
			.key = commit->output.guards[i].key, .size = commit->output.guards[i].size};
	struct store_append append = {.class = STORE_VALUE,
		.batch = &batch,
		.guards = commit->guards,
		.guard_count = commit->output.guard_count,
		.changes = commit->changes,
		.change_count = commit->change_count};
	size_t refused = 0;
	enum err err = store_log_append(engine->store, &append, &refused, info);
	if (err)
		return err;
	engine->state.seq = batch.seq;
	engine->state.hash = batch.hash;
	metric_add(METRIC_ENGINE_EVENTS, commit->output.event_count);
	return ERR_OK;
}

static bool is_final(enum err err)
{
	return err == ERR_POSITION_TAKEN || err == ERR_GUARD_TAKEN || err == ERR_STORE_LATCHED;
}

/* Nothing more is executed; every command is answered with the reason, and the process is told to exit. */
static void engine_latch(struct engine *engine, enum err reason, const struct err_info *info)
{
	int none = ERR_OK;
	struct err_info said = *info;
	said.code = reason;
	if (!atomic_compare_exchange_strong(&engine->stop_reason, &none, (int)reason))
		return;
	engine_notify(engine);
	if (engine->on_stop)
		engine->on_stop(engine->context, reason, &said);
	else
		log_failure("engine_stopped", &said, NULL);
}

static void state_drop(struct engine *engine)
{
	rules_free(&engine->state.rules);
	engine->stale = true;
}

/* The state is loaded anew; while that fails, commands are refused with the reason. */
static enum err state_renew(struct engine *engine, struct err_info *info)
{
	enum err err = engine_load(engine, info);
	if (err) {
		rules_free(&engine->state.rules);
		return err;
	}
	engine->stale = false;
	metric_add(METRIC_ENGINE_RELOADS, 1);
	return ERR_OK;
}

static void batch_commit(struct engine *engine)
{
	struct commit *commit = &engine->commit;
	struct err_info info = {0};
	enum err err = ERR_OK;
	bool has_events = commit->output.size > 0;
	if (has_events)
		err = batch_append(engine, &info);
	if (!err) {
		if (has_events) {
			publish(engine);
			metric_observe_us(METRIC_ENGINE_COMMIT, clock_monotonic_us() - commit->began_us);
		}
		batch_answer(engine);
		return;
	}
	if (!info.detail[0])
		err_set(&info, err, "", "the journal could not be written");
	state_drop(engine);
	if (is_final(err)) /* before anybody hears of it */
		engine_latch(engine, err, &info);
	batch_refuse(engine, err, &info);
}

/* ---- commands ---- */

static bool batch_is_full(const struct commit *commit)
{
	return commit->output.size >= LIMIT_ENGINE_BATCH_BYTES ||
	       commit->output.guard_count + RULES_GUARDS_MAX > commit->output.guard_capacity ||
	       commit->taken_count == LIMIT_ENGINE_BATCH_COMMANDS;
}

static void rows_take(struct commit *commit, const struct pending *pending)
{
	for (size_t i = 0; i < pending->row_count; i++)
		if (!hash_is_none(pending->rows[i].hash))
			commit->changes[commit->change_count++] = (struct store_change){
				.collection = &vault_collection, .row = &pending->rows[i], .verb = STORE_PUT};
}

static enum err running(struct err_info *info)
{
	return err_set(info, ERR_COMMAND_RUNNING, "", "the command with this id is in the batch that is being written");
}

/* A repeat of a command with texts is looked at under the salts of the first. */
static enum err repeat_prepare(struct engine *engine, struct pending *pending, struct err_info *info)
{
	struct command *command = &pending->command;
	if (pending->row_count == 0 || command->source != COMMAND_SOURCE_CLIENT || !hash_is_none(command->request_hash))
		return ERR_OK;
	int64_t position = (int64_t)rules_repeat_position(engine->state.rules, command->org, command->id);
	if (position == 0)
		return ERR_OK;
	if (position > atomic_load(&engine->position))
		return running(info);
	return vault_resalt(engine->store, command, pending->rows, pending->row_count, info);
}

static void command_take(struct engine *engine, struct pending *pending)
{
	struct commit *commit = &engine->commit;
	struct rules_result result = {0};
	struct err_info info;
	info.code = ERR_OK;
	info.pointer[0] = info.detail[0] = 0;
	if (commit->taken_count == 0) {
		commit->began_us = clock_monotonic_us();
		commit->now_us = clock_look(&engine->clock);
	}
	commit->taken[commit->taken_count++] = pending;
	enum err err = repeat_prepare(engine, pending, &info);
	if (!err)
		err = rules_execute(
			engine->state.rules, &pending->command, commit->now_us, &commit->output, &result, &info);
	if (!err && result.repeated && (int64_t)result.position > atomic_load(&engine->position))
		err = running(&info);
	if (err) {
		pending_refuse(pending, err, &info);
		return;
	}
	pending->result.repeated = result.repeated;
	pending->result.position = (int64_t)result.position;
	pending->result.number = result.number;
	if (!result.repeated)
		rows_take(commit, pending);
}

/* Why commands cannot be executed now, or ERR_OK. */
static enum err refusal(struct engine *engine, struct err_info *info)
{
	enum err err = (enum err)atomic_load(&engine->stop_reason);
	if (err)
		return err_set(info, err, "", "the engine has stopped");
	if (!store_healthy(engine->store, &err)) {
		if (err == ERR_STORE_LATCHED) {
			err_set(info, err, "", "the store stopped after a failed write");
			engine_latch(engine, err, info);
		}
		return err_set(info, err, "", "the store takes no writes now");
	}
	return engine->stale ? state_renew(engine, info) : ERR_OK;
}

static void commands_take(struct engine *engine, size_t count)
{
	struct commit *commit = &engine->commit;
	for (size_t i = 0; i < count;) {
		struct err_info info = {0};
		enum err err = refusal(engine, &info);
		while (i < count && !batch_is_full(commit)) {
			if (err)
				commit->taken[commit->taken_count++] = engine->inbox[i++];
			else
				command_take(engine, engine->inbox[i++]);
		}
		if (err)
			batch_refuse(engine, err, &info);
		else
			batch_commit(engine);
	}
}

/* ---- time ---- */

static void tick(struct engine *engine)
{
	struct err_info info = {0};
	int64_t now_us = clock_look(&engine->clock);
	metric_set(METRIC_ENGINE_CLOCK_HALTED, atomic_load(&engine->clock.halted));
	if (!clock_tick_due(&engine->clock) || refusal(engine, &info))
		return;
	struct command command = {.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE, .tick = {.due_us = now_us}};
	struct rules_result result;
	engine->commit.began_us = clock_monotonic_us();
	enum err err = rules_execute(engine->state.rules, &command, now_us, &engine->commit.output, &result, &info);
	if (err) {
		info.code = err;
		log_failure("tick_failed", &info, NULL);
		return;
	}
	batch_commit(engine);
}

void engine_run(void *argument)
{
	struct engine *engine = argument;
	for (;;) {
		int64_t deadline_us = clock_monotonic_us() + CLOCK_US_PER_SECOND;
		size_t count = mailbox_take(engine->mailbox, engine->inbox, LIMIT_ENGINE_BATCH_COMMANDS, deadline_us);
		if (count == 0 && mailbox_closed(engine->mailbox))
			break;
		commands_take(engine, count);
		tick(engine);
	}
}
