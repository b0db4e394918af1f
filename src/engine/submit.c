/* Decides what a submitted command is made of: one block of memory with copies of everything that it cites, which lives until
 * its reply is let go of. Any thread submits; the engine thread answers. */
#include "parts.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/sign.h"

/* ---- the block ---- */

static size_t text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static void *take(uint8_t **at, const void *data, size_t size)
{
	void *copy = *at;
	if (size)
		memcpy(copy, data, size);
	*at += (size + 7) & ~(size_t)7;
	return copy;
}

static void row_copy(struct vault_row *copy, const struct vault_row *row, uint8_t **at)
{
	*copy = *row;
	copy->kind = row->kind ? take(at, row->kind, text_size(row->kind)) : NULL;
	copy->text = row->text ? take(at, row->text, text_size(row->text)) : NULL;
	copy->salt.data = row->salt.data ? take(at, row->salt.data, row->salt.size) : NULL;
}

struct pending *pending_new(
	const struct command *command, const struct vault_row *rows, size_t row_count, struct runtime_reply *reply)
{
	const struct record_lists *lists = &command->lists;
	size_t ranges_size = lists->range_count * sizeof *lists->ranges;
	size_t runs_size = lists->run_count * sizeof *lists->runs;
	size_t linked_size = lists->linked_count * sizeof *lists->linked;
	size_t deliveries_size = lists->delivery_count * sizeof *lists->deliveries;
	size_t verifiers_size = lists->verifier_count * sizeof *lists->verifiers;
	size_t lines_size = lists->line_count * sizeof *lists->lines;
	size_t size = sizeof(struct pending) + row_count * sizeof *rows + ranges_size + runs_size + linked_size +
		      deliveries_size + verifiers_size + lines_size + 56;
	for (size_t i = 0; i < row_count; i++)
		size += text_size(rows[i].kind) + text_size(rows[i].text) + rows[i].salt.size + 24;
	struct pending *pending = malloc(size);
	if (!pending)
		return NULL;
	uint8_t *at = (uint8_t *)(pending + 1);
	pending->command = *command;
	pending->command.lists.ranges = take(&at, lists->ranges, ranges_size);
	pending->command.lists.runs = take(&at, lists->runs, runs_size);
	pending->command.lists.linked = take(&at, lists->linked, linked_size);
	pending->command.lists.deliveries = take(&at, lists->deliveries, deliveries_size);
	pending->command.lists.verifiers = take(&at, lists->verifiers, verifiers_size);
	pending->command.lists.lines = take(&at, lists->lines, lines_size);
	pending->rows = take(&at, rows, row_count * sizeof *rows);
	pending->row_count = row_count;
	for (size_t i = 0; i < row_count; i++) {
		row_copy(&pending->rows[i], &rows[i], &at);
		pending->rows[i].command_id = command->id;
	}
	pending->reply = reply;
	pending->result = (struct engine_result){.kind = command->kind, .command = command->id};
	pending->code = ERR_OK;
	pending->refusal = NULL;
	return pending;
}

void pending_refuse(struct pending *pending, enum err code, const struct err_info *info)
{
	pending->code = code;
	if (!pending->refusal)
		pending->refusal = malloc(sizeof *pending->refusal);
	if (!pending->refusal)
		return; /* then the code's own title is said */
	*pending->refusal = *info;
	pending->refusal->code = code;
}

static void pending_free(struct pending *pending)
{
	free(pending->refusal);
	free(pending);
}

static void result_release(void *result)
{
	pending_free((struct pending *)(void *)((char *)result - offsetof(struct pending, result)));
}

void pending_answer(struct pending *pending)
{
	if (pending->code == ERR_OK) {
		reply_complete(pending->reply, ERR_OK, NULL, &pending->result, result_release);
		return;
	}
	reply_complete(pending->reply, pending->code, pending->refusal, NULL, NULL);
	pending_free(pending);
}

/* ---- submitting ---- */

enum err engine_submit(struct engine *engine, const struct command *command, const struct vault_row *rows,
	size_t row_count, struct runtime_reply *reply)
{
	const struct record_lists *lists = &command->lists;
	if (lists->range_count > EVENTS_RANGES_MAX || lists->run_count > EVENTS_RUNS_MAX ||
		lists->linked_count > EVENTS_LINKED_MAX || lists->delivery_count > EVENTS_DELIVERIES_MAX ||
		lists->verifier_count > EVENTS_VERIFIERS_MAX || lists->line_count > EVENTS_LINES_MAX ||
		row_count > LIMIT_ENGINE_VAULT_ROWS)
		return ERR_COMMAND_TOO_LARGE;
	if (atomic_load(&engine->stopping))
		return ERR_STOPPING;
	struct pending *pending = pending_new(command, rows, row_count, reply);
	if (!pending)
		return ERR_NO_MEMORY;
	pending->result.shard = engine->shard;
	enum err err = mailbox_put(engine->mailbox, pending);
	if (err)
		free(pending);
	return err;
}

enum err engine_command(struct engine *engine, const struct command *command, const struct vault_row *rows,
	size_t row_count, int64_t deadline_us, struct engine_result *ret_result, struct err_info *info)
{
	struct runtime_reply *reply = reply_new(deadline_us, NULL, NULL);
	if (!reply)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for a command");
	enum err err = engine_submit(engine, command, rows, row_count, reply);
	if (err) {
		err_set(info, err, "", "the engine does not take the command now");
		reply_complete(reply, err, info, NULL, NULL); /* the completer's reference is ours */
	} else {
		err = reply_wait(reply, info);
		if (!err)
			*ret_result = *(const struct engine_result *)reply->result;
	}
	reply_unref(&reply);
	return err;
}
