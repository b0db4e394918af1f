/* Decides how the journal is read: in order, checked, from a position or into a state. Blocks on the store. */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void journal_name(uint32_t shard, char ret_stream[STORE_STREAM_SIZE])
{
	snprintf(ret_stream, STORE_STREAM_SIZE, "journal.%u", shard);
}

/* ---- replay ---- */

struct replay {
	struct loaded *loaded;
	struct event_scratch *scratch;
	struct err_info *info;
	size_t left; /* batches */
	bool bounded, full;
};

static enum err replay_batch(void *context, const struct store_batch *batch)
{
	struct replay *replay = context;
	size_t at = 0;
	uint32_t count = 0;
	while (at < batch->payload_size) {
		struct event event;
		size_t length = 0;
		enum err err = event_decode(
			batch->payload + at, batch->payload_size - at, replay->scratch, &event, &length, replay->info);
		if (!err)
			err = rules_apply(replay->loaded->rules, &event, replay->info);
		if (err)
			return err;
		at += length;
		count++;
	}
	if (count != batch->count)
		return err_set(replay->info, ERR_JOURNAL_INVALID, "", "journal batch %llu does not have its %u events",
			(unsigned long long)batch->seq, batch->count);
	replay->loaded->seq = batch->seq;
	replay->loaded->hash = batch->hash;
	if (replay->bounded && --replay->left == 0) {
		replay->full = true;
		return ERR_BUSY; /* stops the reading; not passed on */
	}
	return ERR_OK;
}

enum err journal_replay(struct store *store, struct loaded *loaded, size_t most, struct err_info *info)
{
	struct replay replay = {.loaded = loaded, .info = info, .left = most, .bounded = most > 0};
	char stream[STORE_STREAM_SIZE];
	journal_name(rules_shard(loaded->rules), stream);
	replay.scratch = malloc(sizeof *replay.scratch);
	if (!replay.scratch)
		return ERR_NO_MEMORY;
	enum err err = store_log_read(store, STORE_VALUE, stream, loaded->seq + 1, replay_batch, &replay, info);
	free(replay.scratch);
	return replay.full ? ERR_OK : err;
}

/* ---- positions ---- */

struct first_number {
	uint64_t number;
	bool seen;
};

static enum err first_take(void *context, const struct store_batch *batch)
{
	struct first_number *first = context;
	struct event_header header;
	if (batch->payload_size < sizeof header)
		return ERR_JOURNAL_INVALID;
	memcpy(&header, batch->payload, sizeof header);
	first->number = header.number;
	first->seen = true;
	return ERR_BUSY;
}

static enum err first_of(struct store *store, uint64_t seq, uint64_t *ret_number, struct err_info *info)
{
	struct first_number first = {0};
	enum err err = store_log_read(store, STORE_VALUE, ENGINE_STREAM, seq, first_take, &first, info);
	*ret_number = first.number;
	return first.seen ? ERR_OK : err ? err : ERR_NOT_FOUND;
}

enum err journal_seq_of(struct store *store, int64_t position, uint64_t *ret_seq, struct err_info *info)
{
	struct store_batch head;
	enum err err = store_log_head(store, STORE_VALUE, ENGINE_STREAM, &head, info);
	uint64_t low = 1, high = head.seq; /* the answer: the last batch whose first event is not above the position */
	while (!err && low < high) {
		uint64_t middle = low + (high - low + 1) / 2, number = 0;
		err = first_of(store, middle, &number, info);
		if (!err && (int64_t)number <= position)
			low = middle;
		else
			high = middle - 1;
	}
	*ret_seq = low;
	return err;
}

/* ---- reading for others ---- */

struct reading {
	int64_t from_position;
	enum err (*each)(void *context, const struct event *event);
	void *context;
	struct event_scratch *scratch;
	struct err_info *info;
};

static enum err read_batch(void *context, const struct store_batch *batch)
{
	struct reading *reading = context;
	for (size_t at = 0, length = 0; at < batch->payload_size; at += length) {
		struct event event;
		enum err err = event_decode(batch->payload + at, batch->payload_size - at, reading->scratch, &event,
			&length, reading->info);
		if (!err && (int64_t)event.header.number >= reading->from_position)
			err = reading->each(reading->context, &event);
		if (err)
			return err;
	}
	return ERR_OK;
}

enum err engine_journal_read(struct store *store, int64_t from_position,
	enum err (*each)(void *context, const struct event *event), void *context, struct err_info *info)
{
	uint64_t seq = 1;
	enum err err = journal_seq_of(store, from_position, &seq, info);
	if (err)
		return err;
	struct reading reading = {.from_position = from_position, .each = each, .context = context, .info = info};
	reading.scratch = malloc(sizeof *reading.scratch);
	if (!reading.scratch)
		return ERR_NO_MEMORY;
	err = store_log_read(store, STORE_VALUE, ENGINE_STREAM, seq, read_batch, &reading, info);
	free(reading.scratch);
	return err;
}
