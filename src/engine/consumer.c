/* Decides how what follows a change reads the journal: from a cursor of its own, at least once, woken by the engine and
 * otherwise by nobody; on a store that daemons share, only where the lead is, and from the stored cursor each time that it comes
 * here. Each consumer has a thread. */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/log.h"

#define CHUNK_BYTES  (256u << 10) /* of events handed over at once, of as many batches as are there; … */
#define SHARED_BYTES (16u << 10)  /* … fewer where their rows are a server's transaction, which is to be short */
#define RETRY_US     CLOCK_US_PER_SECOND
#define NAME_SIZE    48
#define AWAIT_US     (CLOCK_US_PER_SECOND / 5) /* the lead */

struct engine_consumer {
	struct engine *engine;
	char name[NAME_SIZE];
	const struct store_collection *cursors;
	enum err (*each)(void *context, const struct event *events, size_t count, struct err_info *info);
	void *context;
	bool stores_own, ephemeral;
	size_t chunk_bytes;
	struct thread *thread;
	atomic_bool stopping;
	atomic_int_fast64_t position;

	/* its thread */
	struct cursor_row cursor, next;
	int64_t taken;  /* the lead that the cursor was loaded under; 0: it is to be loaded */
	bool is_stored; /* there is a row of it … */
	int64_t stored; /* … with this position */
	struct arena *arena;
	struct event *events;
	size_t event_count, event_capacity, event_bytes;
	uint64_t seq; /* of the batch that the last of them is in */
	struct event_scratch *scratch;
	struct err_info *info;
};

struct store_change consumer_cursor_change(const struct engine_consumer *consumer)
{
	struct store_change change = {
		.collection = consumer->cursors, .row = &consumer->next, .verb = STORE_PUT, .condition = STORE_ALWAYS};
	if (!store_is_shared(consumer->engine->store))
		return change;
	change.condition = consumer->is_stored ? STORE_EQUALS : STORE_ABSENT;
	change.field = "position";
	change.value = consumer->stored;
	return change;
}

int64_t engine_consumer_position(const struct engine_consumer *consumer)
{
	return atomic_load(&consumer->position);
}

/* ---- handing over ---- */

static enum err cursor_store(struct engine_consumer *consumer)
{
	struct store_change change = consumer_cursor_change(consumer);
	bool stores = !consumer->stores_own && !consumer->ephemeral;
	return stores ? store_write(consumer->engine->store, &change, 1, NULL, consumer->info) : ERR_OK;
}

static void chunk_clear(struct engine_consumer *consumer)
{
	consumer->event_count = 0;
	consumer->event_bytes = 0;
	arena_reset(consumer->arena);
}

static enum err hand_over(struct engine_consumer *consumer)
{
	if (consumer->event_count == 0)
		return ERR_OK;
	consumer->next.seq = (int64_t)consumer->seq;
	consumer->next.position = (int64_t)consumer->events[consumer->event_count - 1].header.number;
	enum err err = consumer->each(consumer->context, consumer->events, consumer->event_count, consumer->info);
	if (!err)
		err = cursor_store(consumer);
	chunk_clear(consumer);
	if (err)
		return err;
	consumer->cursor = consumer->next;
	consumer->is_stored = true;
	consumer->stored = consumer->next.position;
	atomic_store(&consumer->position, consumer->cursor.position);
	return ERR_OK;
}

/* Lists live in the arena until their chunk is handed over. */
static enum err event_keep(struct engine_consumer *consumer, const struct event *event)
{
	if (consumer->event_count == consumer->event_capacity) {
		size_t capacity = (consumer->event_capacity + 64) * 2;
		struct event *events = realloc(consumer->events, capacity * sizeof *events);
		if (!events)
			return ERR_NO_MEMORY;
		consumer->events = events;
		consumer->event_capacity = capacity;
	}
	struct event *kept = &consumer->events[consumer->event_count];
	*kept = *event;
	struct record_lists *lists = &kept->lists;
	if (lists->range_count)
		lists->ranges =
			(void *)arena_copy(consumer->arena, lists->ranges, lists->range_count * sizeof *lists->ranges);
	if (lists->run_count)
		lists->runs = (void *)arena_copy(consumer->arena, lists->runs, lists->run_count * sizeof *lists->runs);
	if (lists->delivery_count)
		lists->deliveries = (void *)arena_copy(
			consumer->arena, lists->deliveries, lists->delivery_count * sizeof *lists->deliveries);
	if (lists->verifier_count)
		lists->verifiers = (void *)arena_copy(
			consumer->arena, lists->verifiers, lists->verifier_count * sizeof *lists->verifiers);
	if ((lists->range_count && !lists->ranges) || (lists->run_count && !lists->runs) ||
		(lists->delivery_count && !lists->deliveries) || (lists->verifier_count && !lists->verifiers))
		return ERR_NO_MEMORY;
	consumer->event_count++;
	return ERR_OK;
}

/* It runs under the lead under which it read its cursor. */
static bool is_its_turn(const struct engine_consumer *consumer)
{
	return consumer->ephemeral || lead_taken(consumer->engine) == consumer->taken;
}

static enum err consume_batch(void *context, const struct store_batch *batch)
{
	struct engine_consumer *consumer = context;
	enum err err = ERR_OK;
	consumer->seq = batch->seq;
	for (size_t at = 0, length = 0; at < batch->payload_size && !err; at += length) {
		struct event event;
		err = event_decode(batch->payload + at, batch->payload_size - at, consumer->scratch, &event, &length,
			consumer->info);
		if (!err && (int64_t)event.header.number > consumer->cursor.position)
			err = event_keep(consumer, &event);
		consumer->event_bytes += length;
		if (!err && consumer->event_bytes >= consumer->chunk_bytes)
			err = hand_over(consumer);
	}
	if (!err && (atomic_load(&consumer->stopping) || atomic_load(&consumer->engine->stopping)))
		return ERR_STOPPING;
	return !err && !is_its_turn(consumer) ? ERR_STOPPING : err;
}

/* ---- the cursor ---- */

static enum err cursor_begin_now(struct engine_consumer *consumer, struct err_info *info)
{
	struct store_batch head;
	consumer->cursor.position = atomic_load(&consumer->engine->position);
	enum err err = store_log_head(consumer->engine->store, STORE_VALUE, consumer->engine->stream, &head, info);
	consumer->cursor.seq = (int64_t)head.seq;
	return err;
}

static enum err cursor_load(struct engine_consumer *consumer, struct err_info *info)
{
	struct cursor_row *cursor = &consumer->cursor;
	enum err err = ERR_OK;
	*cursor = (struct cursor_row){.name = consumer->name};
	if (consumer->ephemeral)
		err = cursor_begin_now(consumer, info);
	else
		err = store_get(consumer->engine->store, consumer->cursors, cursor, consumer->arena, info);
	consumer->is_stored = !err && !consumer->ephemeral;
	consumer->stored = consumer->is_stored ? cursor->position : 0;
	/* a cursor of another, longer journal: what was made of it is made anew */
	if (err == ERR_NOT_FOUND || (!err && cursor->position > atomic_load(&consumer->engine->position))) {
		*cursor = (struct cursor_row){0};
		err = ERR_OK;
	}
	cursor->name = consumer->name;
	consumer->next.name = consumer->name;
	atomic_store(&consumer->position, cursor->position);
	if (consumer->stores_own)
		views_position_raise(consumer->engine, cursor->position);
	return err;
}

/* Reads the cursor where the lead has come here since it was read. False: it is not the time. */
static bool turn_begin(struct engine_consumer *consumer, struct err_info *info)
{
	int64_t taken = lead_taken(consumer->engine);
	enum err err = ERR_OK;
	if (is_its_turn(consumer) && consumer->taken)
		return true;
	if (taken || consumer->ephemeral) {
		arena_reset(consumer->arena);
		err = cursor_load(consumer, info);
		consumer->taken = err ? 0 : taken + consumer->ephemeral;
	}
	if (err) {
		info->code = err;
		log_failure("consumer_failed", info, "consumer", consumer->name, NULL);
	}
	if (consumer->taken)
		return true;
	engine_wait_above(
		consumer->engine, INT64_MAX, clock_monotonic_us() + (err ? RETRY_US : AWAIT_US), &consumer->stopping);
	return false;
}

/* ---- the thread ---- */

enum err consumer_turn(struct engine_consumer *consumer)
{
	struct err_info info = {0};
	consumer->info = &info;
	chunk_clear(consumer);
	uint64_t from = consumer->cursor.seq > 0 ? (uint64_t)consumer->cursor.seq : 1;
	enum err err = store_log_read(
		consumer->engine->store, STORE_VALUE, consumer->engine->stream, from, consume_batch, consumer, &info);
	if (!err)
		err = hand_over(consumer);
	if (err && err != ERR_STOPPING) {
		info.code = err;
		log_failure("consumer_failed", &info, "consumer", consumer->name, NULL);
	}
	return err;
}

static void consumer_run(void *argument)
{
	struct engine_consumer *consumer = argument;
	struct engine *engine = consumer->engine;
	while (!atomic_load(&consumer->stopping) && !atomic_load(&engine->stopping)) {
		struct err_info info = {0};
		if (!turn_begin(consumer, &info))
			continue;
		enum err err = consumer_turn(consumer);
		if (err && err != ERR_STOPPING) {
			if (engine->lead && !consumer->ephemeral)
				consumer->taken = 0; /* another daemon may have moved the cursor */
			engine_wait_above(engine, INT64_MAX, clock_monotonic_us() + RETRY_US, &consumer->stopping);
			continue;
		}
		if (!err)
			engine_wait_above(engine, consumer->cursor.position, INT64_MAX, &consumer->stopping);
	}
}

enum err consumer_make(struct engine *engine, const struct engine_consumer_options *options, bool stores_own,
	struct engine_consumer **ret_consumer, struct err_info *info)
{
	struct engine_consumer *consumer = calloc(1, sizeof *consumer);
	if (!consumer)
		return ERR_NO_MEMORY;
	consumer->engine = engine;
	snprintf(consumer->name, sizeof consumer->name, "%s", options->name);
	consumer->cursors = options->class == STORE_VIEWS ? &view_cursors_collection : &cursors_collection;
	consumer->each = options->each;
	consumer->context = options->context;
	consumer->stores_own = stores_own;
	consumer->ephemeral = options->ephemeral;
	consumer->chunk_bytes = store_is_shared(engine->store) ? SHARED_BYTES : CHUNK_BYTES;
	consumer->arena = arena_new(0);
	consumer->scratch = malloc(sizeof *consumer->scratch);
	enum err err = consumer->arena && consumer->scratch ? ERR_OK : ERR_NO_MEMORY;
	if (!err && (!engine->lead || consumer->ephemeral)) {
		err = cursor_load(consumer, info);
		consumer->taken = 1;
	}
	*ret_consumer = consumer; /* before its thread may look for it */
	if (err)
		engine_consumer_stop(ret_consumer);
	return err;
}

enum err consumer_run_on_thread(struct engine_consumer *consumer)
{
	return thread_start(consumer->name, consumer_run, consumer, &consumer->thread);
}

enum err engine_consumer_start(struct engine *engine, const struct engine_consumer_options *options,
	struct engine_consumer **ret_consumer, struct err_info *info)
{
	enum err err = consumer_make(engine, options, false, ret_consumer, info);
	if (!err)
		err = consumer_run_on_thread(*ret_consumer);
	if (err)
		engine_consumer_stop(ret_consumer);
	return err;
}

void engine_consumer_stop(struct engine_consumer **consumer)
{
	struct engine_consumer *old = *consumer;
	if (!old)
		return;
	atomic_store(&old->stopping, true);
	if (old->thread)
		engine_notify(old->engine);
	thread_join(&old->thread);
	*consumer = NULL;
	arena_free(&old->arena);
	free(old->scratch);
	free(old->events);
	free(old);
}
