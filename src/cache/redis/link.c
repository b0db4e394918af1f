/* The link: one thread and one connection that settle rates and send notices, at every turn all that has come together since
 * the last one. Any failure closes the connection and opens the circuit: callers hand nothing over any more, and this
 * thread tries again in the background. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/hash.h"
#include "carbond/base/log.h"
#include "carbond/base/sign.h"
#include "local.h"
#include "redis.h"

#define TURN_US          20000 /* what meets in it travels together */
#define PAUSE_LEAST_US   100000
#define PAUSE_LONGEST_US 2000000
#define BEAT_US          250000
#define NOTICES_A_TURN   64
#define DUES_A_TURN      256
#define SCRIPT_ID_SIZE   41
#define NAME_SIZE        96

/* GCRA as in local/rates.c, on Redis's clock, for what a daemon has granted already: so it never refuses but lets a key run
 * into debt, up to one more burst, which is why several daemons together keep the pace. A value that is no time near now
 * (another type, a jump of the clock) is a full bucket. KEYS: bucket; ARGV: burst, cost in µs; answers how many µs until the
 * bucket is full. */
static const char settle_script[] =
	"local t = redis.call('TIME') "
	"local now, burst = t[1] * 1000000 + t[2], tonumber(ARGV[1]) "
	"local full = tonumber(redis.pcall('GET', KEYS[1])) "
	"if not (full and full >= now and full <= now + 2 * burst) then full = now end "
	"full = math.min(full + tonumber(ARGV[2]), now + 2 * burst) "
	"redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.max(1, math.ceil((full - now) / 1000))) "
	"return full - now";

struct link {
	struct redis *redis;
	struct peer peer;
	enum link_state state;
	int64_t retry_us, pause_us; /* when the next attempt is due, and how long the last pause was */
	int64_t beat_us;            /* when the next sign of life is due */
	uint64_t taken;             /* number of the last notice taken from the outbox */
	char script[SCRIPT_ID_SIZE];
};

int64_t link_pause_us(int64_t last_us)
{
	uint64_t random;
	int64_t pause_us = last_us ? last_us * 2 : PAUSE_LEAST_US;
	if (pause_us > PAUSE_LONGEST_US)
		pause_us = PAUSE_LONGEST_US;
	random_bytes(&random, sizeof random);
	return pause_us / 2 + (int64_t)(random % (uint64_t)(pause_us / 2 + 1));
}

void link_tell(enum link_state *state, enum link_state now, const char *connection, const struct err_info *info)
{
	if (*state == now)
		return;
	metric_add(METRIC_CACHE_REDIS_CONNECTIONS, now == LINK_UP ? 1 : *state == LINK_UP ? -1 : 0);
	*state = now;
	if (now == LINK_UP)
		log_line(LOG_LEVEL_INFO, "cache_redis", "Redis answers", "connection", connection, NULL);
	else
		log_line(LOG_LEVEL_WARN, "cache_redis",
			"Redis is away: the cache is this daemon's own until it is back", "connection", connection,
			"reason", info->detail, NULL);
}

/* ---- exchanges ---- */

static enum err unexpected(const redisReply *reply, struct err_info *info)
{
	return err_set(info, ERR_IO, NULL, "refused: %.200s",
		reply->type == REDIS_REPLY_ERROR ? reply->str : "not the answer of a Redis");
}

/* Names of buckets do not tell whose they are. */
static void bucket_name(const struct redis *redis, const char *key, char ret_name[NAME_SIZE])
{
	char text[HASH_TEXT_SIZE];
	struct sha256 state;
	sha256_start(&state, "carbond/cache/bucket/1");
	sha256_add(&state, redis->seal_keys[0].bytes, sizeof redis->seal_keys[0].bytes);
	sha256_add(&state, key, strlen(key));
	hash_text(sha256_end(&state), text);
	snprintf(ret_name, NAME_SIZE, "%s:rate:%.32s", redis->name, text);
}

static void add_settlement(struct link *link, const struct due *due)
{
	char name[NAME_SIZE], burst[24], cost[24];
	bucket_name(link->redis, due->key, name);
	snprintf(burst, sizeof burst, "%lld", (long long)due->burst_us);
	snprintf(cost, sizeof cost, "%lld", (long long)due->cost_us);
	peer_add_words(&link->peer, (const char *[]){"EVALSHA", link->script, "1", name, burst, cost}, 6);
}

/* `*ret_lost` says that Redis has forgotten the script. */
static enum err read_settlement(struct link *link, const struct due *due, int64_t deadline_us, int64_t *ret_full_us,
	bool *ret_lost, struct err_info *info)
{
	redisReply *reply;
	enum err err = peer_receive(link->redis, &link->peer, deadline_us, &reply, info);
	if (err)
		return err;
	*ret_lost = reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0;
	*ret_full_us = reply->integer;
	if (!*ret_lost &&
		(reply->type != REDIS_REPLY_INTEGER || reply->integer < 0 || reply->integer > 2 * due->burst_us))
		err = unexpected(reply, info);
	freeReplyObject(reply);
	return err;
}

static enum err load_script(struct link *link, int64_t deadline_us, struct err_info *info)
{
	redisReply *reply = NULL;
	peer_add_words(&link->peer, (const char *[]){"SCRIPT", "LOAD", settle_script}, 3);
	enum err err = peer_send(link->redis, &link->peer, deadline_us, info);
	if (!err)
		err = peer_receive(link->redis, &link->peer, deadline_us, &reply, info);
	if (!err && (reply->type != REDIS_REPLY_STRING || reply->len != SCRIPT_ID_SIZE - 1))
		err = unexpected(reply, info);
	if (!err)
		memcpy(link->script, reply->str, SCRIPT_ID_SIZE);
	if (reply)
		freeReplyObject(reply);
	return err;
}

/* Connects, and tries what it will be used for: a Redis that is read-only, full or none at all is away. */
static enum err open_link(struct link *link, struct err_info *info)
{
	const struct due trial = {.cost_us = 1, .burst_us = 1000, .key = "trial"};
	int64_t deadline_us = clock_monotonic_us() + link->redis->deadline_us, full_us;
	bool lost;
	enum err err = peer_open(link->redis, &link->peer, deadline_us, info);
	if (!err)
		err = load_script(link, deadline_us, info);
	if (err)
		return err;
	add_settlement(link, &trial);
	err = peer_send(link->redis, &link->peer, deadline_us, info);
	if (!err)
		err = read_settlement(link, &trial, deadline_us, &full_us, &lost, info);
	return err || !lost ? err : err_set(info, ERR_IO, NULL, "the script was lost at once");
}

/* ---- rates ---- */

/* What the daemons together have taken, into the local bucket. What came since goes on top. */
static void apply_settlement(struct redis *redis, const struct due *due, int64_t full_us)
{
	int64_t since_us = 0;
	pthread_mutex_lock(&redis->dues_lock);
	struct due *newer = redis_due_find(redis->collecting, due->hash, due->key);
	if (newer && newer->hash)
		since_us = newer->cost_us;
	pthread_mutex_unlock(&redis->dues_lock);
	cache_local_raise(redis->local, due->key, due->now_us + full_us + since_us);
}

static enum err settle_some(
	struct link *link, const struct due *const *dues, size_t count, bool *ret_lost, struct err_info *info)
{
	int64_t begin_us = clock_monotonic_us(), deadline_us = begin_us + link->redis->deadline_us;
	*ret_lost = false;
	for (size_t i = 0; i < count; i++)
		add_settlement(link, dues[i]);
	enum err err = peer_send(link->redis, &link->peer, deadline_us, info);
	for (size_t i = 0; i < count && !err; i++) {
		int64_t full_us;
		bool lost;
		err = read_settlement(link, dues[i], deadline_us, &full_us, &lost, info);
		if (!err && !lost)
			apply_settlement(link->redis, dues[i], full_us);
		*ret_lost |= !err && lost;
	}
	if (!err)
		metric_observe_us(METRIC_CACHE_REDIS_ROUND_TRIP, clock_monotonic_us() - begin_us);
	return err;
}

/* With the script again where Redis has forgotten it; it forgets between commands only, so all of them were refused or a
 * few of the first were counted: those count twice, against the caller. */
static enum err settle_surely(struct link *link, const struct due *const *dues, size_t count, struct err_info *info)
{
	bool lost;
	enum err err = settle_some(link, dues, count, &lost, info);
	if (err || !lost)
		return err;
	err = load_script(link, clock_monotonic_us() + link->redis->deadline_us, info);
	if (!err)
		err = settle_some(link, dues, count, &lost, info);
	return err || !lost ? err : err_set(info, ERR_IO, NULL, "the script was lost at once");
}

static enum err settle(struct link *link, struct err_info *info)
{
	struct redis *redis = link->redis;
	const struct due *some[DUES_A_TURN];
	size_t count = 0;
	enum err err = ERR_OK;
	pthread_mutex_lock(&redis->dues_lock);
	struct dues *dues = redis->collecting;
	if (dues->count) {
		redis->collecting = redis->settling;
		redis->settling = dues;
	}
	pthread_mutex_unlock(&redis->dues_lock);
	if (dues != redis->settling)
		return ERR_OK;
	for (size_t i = 0; i < LIMIT_CACHE_REDIS_DUES && !err; i++) {
		if (dues->due[i].hash)
			some[count++] = &dues->due[i];
		if (count == DUES_A_TURN || (count && i == LIMIT_CACHE_REDIS_DUES - 1)) {
			err = settle_surely(link, some, count, info);
			count = 0;
		}
	}
	memset(dues, 0, sizeof *dues);
	return err;
}

static void forget_dues(struct redis *redis)
{
	pthread_mutex_lock(&redis->dues_lock);
	if (redis->collecting->count)
		memset(redis->collecting, 0, sizeof *redis->collecting);
	pthread_mutex_unlock(&redis->dues_lock);
}

/* ---- notices ---- */

static enum err add_notice(struct link *link, const struct notice *notice, struct err_info *info)
{
	size_t size;
	uint8_t *sealed = notice_write(link->redis, notice, &size);
	if (!sealed)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for a notice");
	const char *words[] = {"PUBLISH", link->redis->channel, (const char *)sealed};
	peer_add(&link->peer, words, (size_t[]){7, strlen(link->redis->channel), size}, 3);
	free(sealed);
	return ERR_OK;
}

/* A sign of life, where it is due: with the number of the last notice, so that whoever missed one learns of it. */
static enum err add_beat(struct link *link, size_t *count, struct err_info *info)
{
	struct redis *redis = link->redis;
	int64_t now_us = clock_monotonic_us();
	if (now_us < link->beat_us)
		return ERR_OK;
	link->beat_us = now_us + BEAT_US;
	pthread_mutex_lock(&redis->number_lock);
	uint64_t number = mailbox_depth(redis->outbox) ? link->taken : redis->number;
	pthread_mutex_unlock(&redis->number_lock);
	struct notice beat = {.sender = redis->sender,
		.number = number,
		.kind = NOTICE_ALIVE,
		.size = sizeof now_us,
		.data = (const uint8_t *)&now_us};
	++*count;
	return add_notice(link, &beat, info);
}

static enum err send_notices(struct link *link, struct err_info *info)
{
	struct redis *redis = link->redis;
	void *items[NOTICES_A_TURN];
	size_t count = 0;
	enum err err = add_beat(link, &count, info);
	size_t taken = mailbox_take(redis->outbox, items, NOTICES_A_TURN, clock_monotonic_us() + TURN_US);
	for (size_t i = 0; i < taken; i++) {
		struct outgoing *item = items[i];
		struct notice notice = {.sender = redis->sender,
			.number = item->number,
			.kind = item->kind,
			.size = item->size,
			.data = item->data};
		memcpy(notice.topic, item->topic, sizeof notice.topic);
		link->taken = item->number;
		if (!err)
			err = add_notice(link, &notice, info);
		count++;
		free(item);
	}
	if (err || count == 0)
		return err;
	int64_t begin_us = clock_monotonic_us(), deadline_us = begin_us + redis->deadline_us;
	err = peer_send(redis, &link->peer, deadline_us, info);
	for (size_t i = 0; i < count && !err; i++) {
		redisReply *reply;
		err = peer_receive(redis, &link->peer, deadline_us, &reply, info);
		if (err)
			break;
		if (reply->type != REDIS_REPLY_INTEGER)
			err = unexpected(reply, info);
		freeReplyObject(reply);
	}
	if (!err)
		metric_observe_us(METRIC_CACHE_REDIS_ROUND_TRIP, clock_monotonic_us() - begin_us);
	return err;
}

/* What was left behind by callers that met an open link. Their numbers stay a gap, which tells the others. */
static void drain(struct link *link, int64_t until_us)
{
	void *item;
	while (mailbox_take(link->redis->outbox, &item, 1, until_us)) {
		link->taken = ((struct outgoing *)item)->number;
		free(item);
	}
	forget_dues(link->redis);
}

/* ---- the thread ---- */

static void give_up(struct link *link, const struct err_info *info)
{
	atomic_store(&link->redis->up, false);
	peer_close(&link->peer);
	metric_add(METRIC_CACHE_REDIS_FAULTS, 1);
	link_tell(&link->state, LINK_AWAY, "link", info);
	link->pause_us = link_pause_us(link->pause_us);
	link->retry_us = clock_monotonic_us() + link->pause_us;
}

static void turn(struct link *link)
{
	struct err_info info = {0};
	enum err err = ERR_OK;
	if (atomic_load(&link->redis->up)) {
		err = send_notices(link, &info);
		if (!err)
			err = settle(link, &info);
		if (!err)
			link->pause_us = 0; /* it has worked, not only opened */
	} else if (clock_monotonic_us() < link->retry_us) {
		drain(link, clock_monotonic_us() + TURN_US);
	} else {
		err = open_link(link, &info);
		if (!err) {
			link->beat_us = 0;
			link_tell(&link->state, LINK_UP, "link", &info);
			atomic_store(&link->redis->up, true);
		}
	}
	if (err)
		give_up(link, &info);
}

void link_run(void *argument)
{
	struct link link = {.redis = argument, .peer = PEER_CLOSED};
	struct redis *redis = link.redis;
	/* the last notices still go out, if they can */
	while (!mailbox_closed(redis->outbox) || (atomic_load(&redis->up) && mailbox_depth(redis->outbox)))
		turn(&link);
	atomic_store(&redis->up, false);
	drain(&link, 0);
	peer_close(&link.peer);
	if (link.state == LINK_UP)
		metric_add(METRIC_CACHE_REDIS_CONNECTIONS, -1);
}
