/* Decides how what one shard has sent gets to the other: a consumer of its journal submits, in order, what each event leads to, and
 * its cursor moves on once all of it is durable there. Its thread. */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD     64 /* submitted before the first of them is waited for */
#define WAIT_US   (10 * CLOCK_US_PER_SECOND)
#define NAME_SIZE 32

struct engine_carrier {
	struct engine *from, *to;
	struct engine_consumer *consumer;
};

static enum err submit(struct engine *to, const struct command *command, struct runtime_reply **ret_reply)
{
	*ret_reply = reply_new(clock_monotonic_us() + WAIT_US, NULL, NULL);
	if (!*ret_reply)
		return ERR_NO_MEMORY;
	enum err err = engine_submit(to, command, NULL, 0, *ret_reply);
	if (err)
		reply_complete(*ret_reply, err, NULL, NULL, NULL);
	return err;
}

/* The first refusal is what is said; what was submitted behind it is waited for as well. */
static enum err replies_await(struct runtime_reply **replies, size_t count, struct err_info *info)
{
	enum err first = ERR_OK;
	for (size_t i = 0; i < count; i++) {
		struct err_info why = {0};
		enum err err = reply_wait(replies[i], &why);
		if (err && !first) {
			first = err;
			*info = why;
		}
		reply_unref(&replies[i]);
	}
	return first;
}

static enum err carry(void *context, const struct event *events, size_t count, struct err_info *info)
{
	struct engine_carrier *carrier = context;
	struct runtime_reply *replies[AHEAD];
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && !err;) {
		size_t sent = 0;
		for (; i < count && sent < AHEAD && !err; i++) {
			struct command command;
			if (!rules_carried(carrier->from->shard, &events[i], carrier->to->shard, &command))
				continue;
			err = submit(carrier->to, &command, &replies[sent]);
			sent += replies[sent] != NULL;
		}
		enum err refused = replies_await(replies, sent, info);
		err = refused ? refused : err;
	}
	return err;
}

enum err engine_carrier_start(
	struct engine *from, struct engine *to, struct engine_carrier **ret_carrier, struct err_info *info)
{
	struct engine_carrier *carrier = calloc(1, sizeof *carrier);
	char name[NAME_SIZE];
	*ret_carrier = NULL;
	if (!carrier)
		return ERR_NO_MEMORY;
	*carrier = (struct engine_carrier){.from = from, .to = to};
	snprintf(name, sizeof name, "carry.%u.%u", from->shard, to->shard);
	struct engine_consumer_options options = {
		.name = name, .class = STORE_VALUE, .each = carry, .context = carrier};
	enum err err = engine_consumer_start(from, &options, &carrier->consumer, info);
	if (err)
		free(carrier);
	else
		*ret_carrier = carrier;
	return err;
}

int64_t engine_carrier_position(const struct engine_carrier *carrier)
{
	return engine_consumer_position(carrier->consumer);
}

void engine_carrier_stop(struct engine_carrier **carrier)
{
	struct engine_carrier *old = *carrier;
	*carrier = NULL;
	if (!old)
		return;
	engine_consumer_stop(&old->consumer);
	free(old);
}
