/* Decides when commands become durable and what is answered: a batch is executed while the one before it is appended, is then
 * appended once with its guard keys and vault rows, and only then answered, refusals too: what they saw may not be durable
 * earlier. A failed append drops the state, which is replayed; nothing is answered from it, nor from what was executed on top
 * of it. Engine thread. */
#include "parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/log.h"

/* ---- memory ---- */

static bool commit_make(struct commit *commit)
{
	struct rules_output *output = &commit->output;
	output->capacity = LIMIT_ENGINE_BATCH_BYTES + EVENTS_BYTES_PER_COMMAND;
	output->guard_capacity = STORE_GUARDS_MAX;
	output->bytes = malloc(output->capacity);
	output->guards = malloc(output->guard_capacity * sizeof *output->guards);
	commit->guards = malloc(output->guard_capacity * sizeof *commit->guards);
	commit->taken = malloc(LIMIT_ENGINE_BATCH_COMMANDS * sizeof *commit->taken);
	commit->changes = malloc(LIMIT_ENGINE_BATCH_ROWS * sizeof *commit->changes);
	return output->bytes && output->guards && commit->guards && commit->taken && commit->changes;
}

enum err commits_make(struct engine *engine)
{
	engine->filling = &engine->commits[0];
	engine->inbox = malloc(LIMIT_ENGINE_BATCH_COMMANDS * sizeof *engine->inbox);
	return commit_make(&engine->commits[0]) && commit_make(&engine->commits[1]) && engine->inbox ? ERR_OK
												     : ERR_NO_MEMORY;
}

void commits_free(struct engine *engine)
{
	for (size_t i = 0; i < sizeof engine->commits / sizeof *engine->commits; i++) {
		struct commit *commit = &engine->commits[i];
		free(commit->output.bytes);
		free(commit->output.guards);
		free(commit->guards);
		free(commit->taken);
		free(commit->changes);
	}
	free(engine->inbox);
}

/* ---- one batch ---- */

static void batch_clear(struct commit *commit)
{
	commit->taken_count = 0;
	commit->change_count = 0;
	commit->output.size = 0;
	commit->output.guard_count = 0;
	commit->output.event_count = 0;
}

static bool batch_is_empty(const struct commit *commit)
{
	return commit->taken_count == 0 && commit->output.size == 0;
}

static bool batch_is_full(const struct commit *commit)
{
	return commit->output.size >= LIMIT_ENGINE_BATCH_BYTES ||
	       commit->output.guard_count + RULES_GUARDS_MAX > commit->output.guard_capacity ||
	       commit->change_count + LIMIT_ENGINE_VAULT_ROWS > LIMIT_ENGINE_BATCH_ROWS ||
	       commit->taken_count == LIMIT_ENGINE_BATCH_COMMANDS;
}

/* The batch that is being filled begins with what is executed next. */
static void batch_open(struct engine *engine)
{
	struct commit *commit = engine->filling;
	if (!batch_is_empty(commit))
		return;
	commit->began_us = clock_monotonic_us();
	commit->now_us = clock_look(&engine->clock);
}

static void command_refuse(struct pending *pending, enum err code, const struct err_info *info)
{
	pending_refuse(pending, code, info);
	pending_answer(pending);
}

/* Every command of the batch gets this answer instead of its own. */
static void batch_refuse(struct commit *commit, enum err code, const struct err_info *info)
{
	for (size_t i = 0; i < commit->taken_count; i++)
		command_refuse(commit->taken[i], code, info);
	batch_clear(commit);
}

#define REPLIES_AHEAD 4

static void batch_answer(struct commit *commit)
{
	int64_t done = 0, refused = 0, repeated = 0, purchases = 0, purchase_refusals = 0;
	for (size_t i = 0; i < commit->taken_count; i++) {
		const struct pending *pending = commit->taken[i];
		if (i + 2 * REPLIES_AHEAD < commit->taken_count)
			__builtin_prefetch(&commit->taken[i + 2 * REPLIES_AHEAD]->reply);
		if (i + REPLIES_AHEAD < commit->taken_count)
			reply_prefetch(commit->taken[i + REPLIES_AHEAD]->reply);
		if (pending->command.kind == COMMAND_PURCHASE && !pending->result.repeated)
			(*(pending->code ? &purchase_refusals : &purchases))++;
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
	metric_add(METRIC_ENGINE_PURCHASES, purchases);
	metric_add(METRIC_ENGINE_PURCHASE_REFUSALS, purchase_refusals);
	batch_clear(commit);
}

/* ---- failures ---- */

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

/* The state is loaded anew; while that fails, commands are refused with the reason. */
static enum err state_renew(struct engine *engine, struct err_info *info)
{
	assert(!engine->flying);
	enum err err = engine_load(engine, info);
	if (err) {
		rules_free(&engine->state.rules);
		return err;
	}
	engine->stale = false;
	metric_add(METRIC_ENGINE_RELOADS, 1);
	return ERR_OK;
}

/* The append in flight came to nothing: the state goes, and with it all that was executed on top of it. */
static void flight_failed(struct engine *engine, enum err err, struct err_info *info)
{
	struct commit *failed = engine->flying;
	engine->flying = NULL;
	if (!info->detail[0])
		err_set(info, err, "", "the journal could not be written");
	rules_free(&engine->state.rules);
	engine->stale = true;
	err = lead_lost(engine, err, info);
	if (is_final(err)) /* before anybody hears of it */
		engine_latch(engine, err, info);
	batch_refuse(failed, err, info);
	batch_refuse(engine->filling, err, info);
}

/* ---- the pipeline ---- */

static void flight_landed(struct engine *engine)
{
	const struct commit *commit = engine->flying;
	engine->flying = NULL;
	engine_show_totals(engine, &commit->totals);
	engine_notify(engine);
	metric_observe_us(METRIC_ENGINE_COMMIT, clock_monotonic_us() - commit->began_us);
}

static void filled_begin(struct engine *engine)
{
	struct commit *commit = engine->filling;
	commit->totals = totals_of(engine->state.rules);
	engine->flying = commit;
	engine->filling = commit == &engine->commits[0] ? &engine->commits[1] : &engine->commits[0];
	flight_begin(engine, commit);
}

/* A batch without events, and all that it saw is durable; but no append of its own shows that this was still the journal's end. */
static void unwritten_answer(struct engine *engine)
{
	struct err_info info = {0};
	enum err err = batch_is_empty(engine->filling) ? ERR_OK : lead_check(engine, &info);
	if (err)
		batch_refuse(engine->filling, err, &info);
	else
		batch_answer(engine->filling);
}

/* Takes in what has become durable (or `waits` for it), begins to append what was executed meanwhile, and answers behind that, so
 * that the disk has work. */
static void pipeline_move(struct engine *engine, bool waits)
{
	struct commit *landed = engine->flying;
	struct err_info info;
	enum err err = ERR_OK;
	if (landed && !flight_end(engine, waits, &err, &info))
		return;
	if (err) {
		flight_failed(engine, err, &info);
		return;
	}
	if (landed)
		flight_landed(engine);
	if (engine->filling->output.size > 0)
		filled_begin(engine);
	if (landed)
		batch_answer(landed);
	else if (!engine->flying)
		unwritten_answer(engine);
}

void engine_drain(struct engine *engine)
{
	while (engine->flying || !batch_is_empty(engine->filling))
		pipeline_move(engine, true);
}

/* ---- commands ---- */

static void rows_take(struct commit *commit, const struct pending *pending)
{
	for (size_t i = 0; i < pending->row_count; i++)
		if (!hash_is_none(pending->rows[i].hash))
			commit->changes[commit->change_count++] = (struct store_change){
				.collection = &vault_collection, .row = &pending->rows[i], .verb = STORE_PUT};
}

static enum err running(struct err_info *info)
{
	return err_set(info, ERR_COMMAND_RUNNING, "", "the command with this id is being written");
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
	struct commit *commit = engine->filling;
	struct rules_result result = {0};
	struct err_info info;
	info.code = ERR_OK;
	info.pointer[0] = info.detail[0] = 0;
	batch_open(engine);
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

/* What follows from the state alone goes before what comes from outside (decision 8). */
static void follow_ups(struct engine *engine)
{
	struct command command;
	struct rules_result result;
	struct err_info info = {0};
	while (!batch_is_full(engine->filling) && rules_due(engine->state.rules, &command)) {
		batch_open(engine);
		enum err err = rules_execute(engine->state.rules, &command, engine->filling->now_us,
			&engine->filling->output, &result, &info);
		if (err) {
			info.code = err;
			log_failure("follow_up_failed", &info, NULL);
			return;
		}
	}
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
	err = lead_check(engine, info);
	return !err && engine->stale ? state_renew(engine, info) : err;
}

/* What the commands behind this one need comes from memory while this one is executed: the block itself was written by another
 * core, and each look-up in the state misses the caches. */
#define BLOCKS_AHEAD 16
#define STAGES_AHEAD 2 /* from one stage of what rules look up to the next */

static const struct command *command_at(const struct engine *engine, size_t at)
{
	return &((const struct pending *)engine->inbox[at])->command;
}

static void prefetch(const struct engine *engine, size_t at, size_t count)
{
	if (at + BLOCKS_AHEAD < count) {
		const char *block = engine->inbox[at + BLOCKS_AHEAD];
		for (size_t line = 0; line < sizeof(struct pending); line += 64)
			__builtin_prefetch(block + line);
	}
	for (unsigned stage = 0; stage < RULES_PREFETCH_STAGES; stage++) {
		size_t ahead = at + (RULES_PREFETCH_STAGES - stage) * STAGES_AHEAD;
		if (ahead < count)
			rules_prefetch(engine->state.rules, command_at(engine, ahead), stage);
	}
}

static void commands_take(struct engine *engine, size_t count)
{
	for (size_t i = 0; i < count;) {
		struct err_info info = {0};
		enum err err = refusal(engine, &info);
		if (!err)
			follow_ups(engine);
		while (i < count && (err || !batch_is_full(engine->filling))) {
			struct pending *pending = engine->inbox[i++];
			if (err) {
				command_refuse(pending, err, &info);
				continue;
			}
			prefetch(engine, i, count);
			command_take(engine, pending);
			follow_ups(engine);
		}
		pipeline_move(engine, batch_is_full(engine->filling));
	}
}

/* ---- time ---- */

static void tick(struct engine *engine)
{
	struct err_info info = {0};
	int64_t now_us = clock_look(&engine->clock);
	metric_set(METRIC_ENGINE_CLOCK_HALTED, atomic_load(&engine->clock.halted));
	if (batch_is_full(engine->filling) || refusal(engine, &info))
		return;
	follow_ups(engine);
	if (batch_is_full(engine->filling) || !clock_tick_due(&engine->clock))
		return;
	struct command command = {.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE, .tick = {.due_us = now_us}};
	struct rules_result result;
	batch_open(engine);
	enum err err = rules_execute(engine->state.rules, &command, now_us, &engine->filling->output, &result, &info);
	if (err) {
		info.code = err;
		log_failure("tick_failed", &info, NULL);
	}
}

bool engine_turn(struct engine *engine, int64_t deadline_us)
{
	size_t count = mailbox_take(engine->mailbox, engine->inbox, LIMIT_ENGINE_BATCH_COMMANDS, deadline_us);
	if (count == 0 && mailbox_closed(engine->mailbox))
		return false;
	commands_take(engine, count);
	tick(engine);
	pipeline_move(engine, false);
	engine_hash_turn(engine);
	return true;
}

void engine_run(void *argument)
{
	struct engine *engine = argument;
	do
		lead_turn(engine);
	while (engine_turn(engine, clock_monotonic_us() + lead_patience_us(engine)));
	engine_drain(engine);
}
