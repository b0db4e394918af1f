/* The listener: one thread and one connection on which the notices of all daemons arrive, this one's own among them: while
 * those come back in time, nothing is being missed. Where they do not, or another daemon's numbers show a gap, all local
 * values are forgotten, for one of them may be stale. */
#include <hiredis/hiredis.h>
#include <poll.h>
#include <string.h>

#include "local.h"
#include "redis.h"

#define SENDERS  64 /* daemons that are told apart; the longest silent one gives way */
#define SLICE_US 50000

struct heard {
	uint64_t sender, number; /* sender 0: an empty place */
	int64_t at_us;
};

struct listener {
	struct redis *redis;
	struct peer peer;
	enum link_state state;
	bool subscribed;
	int64_t retry_us, pause_us;
	int64_t subscribed_us;
	int64_t echo_us; /* when the newest sign of life that came back was sent */
	struct heard heard[SENDERS];
	struct arena *arena;
};

static void forget_values(struct listener *listener)
{
	cache_local_clear(listener->redis->local);
	metric_add(METRIC_CACHE_REDIS_FORGOTTEN, 1);
}

static void hear_own(struct listener *listener, const struct notice *notice)
{
	int64_t sent_us;
	if (notice->kind != NOTICE_ALIVE || notice->size != sizeof sent_us)
		return;
	memcpy(&sent_us, notice->data, sizeof sent_us);
	/* an echo that comes late, or again, says nothing of now */
	if (sent_us <= listener->echo_us || sent_us < listener->subscribed_us ||
		clock_monotonic_us() - sent_us > listener->redis->deaf_us)
		return;
	listener->echo_us = sent_us;
	listener->pause_us = 0;
	if (!atomic_load(&listener->redis->hearing)) {
		atomic_store(&listener->redis->hearing, true);
		forget_values(listener);
		link_tell(&listener->state, LINK_UP, "listener", NULL);
	}
}

/* False: it is old news. */
static bool follow(struct listener *listener, const struct notice *notice)
{
	struct heard *heard = listener->heard;
	for (struct heard *each = listener->heard; each < listener->heard + SENDERS; each++) {
		if (each->sender == notice->sender) {
			heard = each;
			break;
		}
		if (each->at_us < heard->at_us)
			heard = each;
	}
	bool known = heard->sender == notice->sender;
	uint64_t next = heard->number + (notice->kind != NOTICE_ALIVE);
	if (known && notice->number < next)
		return false;
	if (!known || notice->number > next)
		forget_values(listener);
	*heard = (struct heard){notice->sender, notice->number, clock_monotonic_us()};
	return true;
}

static enum err hear(struct listener *listener, const redisReply *payload, struct err_info *info)
{
	struct redis *redis = listener->redis;
	struct notice notice;
	arena_reset(listener->arena);
	enum err err = notice_read(redis, payload->str, payload->len, listener->arena, &notice);
	if (err)
		return err_set(info, err, NULL, "a notice that no daemon with our key has sent");
	if (notice.sender == redis->sender) {
		hear_own(listener, &notice);
	} else if (follow(listener, &notice) && notice.kind != NOTICE_ALIVE) {
		metric_add(METRIC_CACHE_REDIS_NOTICES, 1);
		if (notice.kind == NOTICE_DROP)
			cache_drop(redis->local, notice.topic);
		else
			cache_publish(redis->local, notice.topic, notice.data, notice.size);
	}
	return ERR_OK;
}

static bool is_text(const redisReply *reply, const char *text)
{
	return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

/* ["subscribe", channel, 1] or ["message", channel, payload]. */
static enum err take_reply(struct listener *listener, const redisReply *reply, struct err_info *info)
{
	const char *channel = listener->redis->channel;
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 && is_text(reply->element[1], channel)) {
		if (is_text(reply->element[0], "subscribe"))
			return ERR_OK;
		if (is_text(reply->element[0], "message") && reply->element[2]->type == REDIS_REPLY_STRING)
			return hear(listener, reply->element[2], info);
	}
	return err_set(info, ERR_IO, NULL, "refused: %.200s",
		reply->type == REDIS_REPLY_ERROR ? reply->str : "not the answer of a Redis");
}

static enum err open_listener(struct listener *listener, struct err_info *info)
{
	struct redis *redis = listener->redis;
	int64_t deadline_us = clock_monotonic_us() + redis->deadline_us;
	enum err err = peer_open(redis, &listener->peer, deadline_us, info);
	if (err)
		return err;
	peer_add_words(&listener->peer, (const char *[]){"SUBSCRIBE", redis->channel}, 2);
	err = peer_send(redis, &listener->peer, deadline_us, info);
	listener->subscribed = !err;
	listener->subscribed_us = clock_monotonic_us();
	return err;
}

static enum err listen_on(struct listener *listener, struct err_info *info)
{
	struct redis *redis = listener->redis;
	redisReply *reply = NULL;
	int64_t now_us = clock_monotonic_us();
	int64_t heard_us = listener->echo_us > listener->subscribed_us ? listener->echo_us : listener->subscribed_us;
	if (now_us - heard_us > redis->deaf_us)
		return err_set(info, ERR_DEADLINE, NULL, "notices do not come back");
	enum err err = peer_receive(redis, &listener->peer, now_us + SLICE_US, &reply, info);
	if (!err) {
		err = take_reply(listener, reply, info);
		freeReplyObject(reply);
	}
	return err == ERR_DEADLINE ? ERR_OK : err;
}

static void give_up(struct listener *listener, const struct err_info *info)
{
	peer_close(&listener->peer);
	listener->subscribed = false;
	if (atomic_exchange(&listener->redis->hearing, false))
		forget_values(listener);
	if (atomic_load(&listener->redis->stopping))
		return;
	metric_add(METRIC_CACHE_REDIS_FAULTS, 1);
	link_tell(&listener->state, LINK_AWAY, "listener", info);
	listener->pause_us = link_pause_us(listener->pause_us);
	listener->retry_us = clock_monotonic_us() + listener->pause_us;
}

void listener_run(void *argument)
{
	struct redis *redis = argument;
	struct listener listener = {.redis = redis, .peer = PEER_CLOSED, .arena = arena_new(0)};
	struct err_info info = {.detail = "no memory"};
	while (listener.arena && !atomic_load(&redis->stopping)) {
		enum err err = ERR_OK;
		if (listener.subscribed)
			err = listen_on(&listener, &info);
		else if (clock_monotonic_us() >= listener.retry_us)
			err = open_listener(&listener, &info);
		else
			poll(NULL, 0, SLICE_US / 1000);
		if (err)
			give_up(&listener, &info);
	}
	peer_close(&listener.peer);
	if (listener.state == LINK_UP)
		metric_add(METRIC_CACHE_REDIS_CONNECTIONS, -1);
	arena_free(&listener.arena);
}
