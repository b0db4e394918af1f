/* Two daemons that share a Redis, and a Redis that is killed, stalled, flushed, refuses, or lies: limits hold, values are never
 * staler than promised, no call waits, and all is shared again afterwards. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "carbond/base/hash.h"
#include "carbond/base/sign.h"
#include "redis/redis.h"
#include "server.h"

static struct server server;
static struct cache *one, *two;
static struct arena *arena;

static int64_t deadline_us = 300000;

static struct cache *open_cache(const char *uri, const char *password_file)
{
	const struct cache_options options = {.uri = uri,
		.password_file = password_file,
		.deadline_us = deadline_us,
		.seal_keys = &server_key,
		.seal_key_count = 1};
	struct cache *cache = NULL;
	struct err_info info;
	assert_int_equal(cache_open(&options, &cache, &info), ERR_OK);
	return cache;
}

static int start(void **state)
{
	(void)state;
	server_new(&server, "");
	one = open_cache(server.uri, NULL);
	two = open_cache(server.uri, NULL);
	wait_connections(4);
	return 0;
}

/* For tests in which nothing may be given up, on however slow a machine. */
static int start_patiently(void **state)
{
	deadline_us = 10000000;
	int failed = start(state);
	deadline_us = 300000;
	return failed;
}

static int stop(void **state)
{
	(void)state;
	cache_close(&one);
	cache_close(&two);
	server_free(&server);
	arena_reset(arena);
	return 0;
}

/* ---- what is shared ---- */

struct asked {
	struct cache *cache;
	const char *key;
	const struct cache_rate *rate;
	int64_t above_us;
	int granted;
};

/* A take of a whole burst is refused as long as the bucket is not full, and says how empty it is. */
static bool waits_longer(void *context)
{
	const struct asked *asked = context;
	int64_t retry_us = 0;
	enum err err =
		cache_take(asked->cache, asked->key, asked->rate, asked->rate->burst, clock_monotonic_us(), &retry_us);
	return err == ERR_RATE_LIMITED && retry_us > asked->above_us;
}

static int grants(struct cache *cache, const char *key, const struct cache_rate *rate)
{
	int granted = 0;
	int64_t retry_us;
	while (granted < 10000 && cache_take(cache, key, rate, 1, clock_monotonic_us(), &retry_us) == ERR_OK)
		granted++;
	return granted;
}

/* Takes one unit, which makes it ask Redis, and says whether it knows by now. */
static bool knows(void *context)
{
	struct asked *asked = context;
	int64_t retry_us;
	if (cache_take(asked->cache, asked->key, asked->rate, 1, clock_monotonic_us(), &retry_us) == ERR_OK)
		asked->granted++;
	return waits_longer(asked);
}

/* What the first has spent, the second learns when it takes. The burst refills in 2000 s: no test is that slow. */
static void expect_shared_rate(const char *key)
{
	const struct cache_rate rate = {.burst = 2000, .per_second = 1};
	int64_t retry_us;
	assert_int_equal(cache_take(one, key, &rate, 1500, clock_monotonic_us(), &retry_us), ERR_OK);
	struct asked asked = {.cache = two, .key = key, .rate = &rate, .above_us = 1200000000};
	wait_until(knows, &asked);
	/* alone it would grant 2000 */
	assert_in_range(asked.granted + grants(two, key, &rate), 1, 700);
}

static void a_limit_is_shared(void **state)
{
	(void)state;
	expect_shared_rate("rate/key/a");
}

/* A daemon that has granted what another had spent already is in debt, not in credit. */
static void what_was_granted_too_much_is_waited_for(void **state)
{
	(void)state;
	const struct cache_rate rate = {.burst = 1000, .per_second = 1};
	int64_t retry_us;
	assert_int_equal(cache_take(one, "b", &rate, 1000, clock_monotonic_us(), &retry_us), ERR_OK);
	assert_int_equal(cache_take(two, "b", &rate, 1000, clock_monotonic_us(), &retry_us), ERR_OK);
	/* one of them was the second: it waits for both bursts */
	bool in_debt = false;
	for (int64_t end_us = clock_monotonic_us() + SERVER_WAIT_US; !in_debt && clock_monotonic_us() < end_us;
		poll(NULL, 0, 5)) {
		struct asked asked = {.cache = one, .key = "b", .rate = &rate, .above_us = 1500000000};
		in_debt = waits_longer(&asked);
		asked.cache = two;
		in_debt |= waits_longer(&asked);
	}
	assert_true(in_debt);
}

struct held {
	struct cache *cache;
	const char *key;
};

static bool is_gone(void *context)
{
	const struct held *held = context;
	void *data;
	size_t size;
	arena_reset(arena);
	return cache_get(held->cache, held->key, clock_wall_us(), arena, &data, &size, NULL) == ERR_NOT_FOUND;
}

static void keep(struct cache *cache, const char *key)
{
	cache_put(cache, key, "v", 1, INT64_MAX, CACHE_NO_TICKET);
}

static void expect_shared_drop(const char *key)
{
	struct held held = {two, key};
	keep(two, key);
	assert_false(is_gone(&held));
	cache_drop(one, key);
	wait_until(is_gone, &held);
}

static void a_drop_reaches_the_other_daemon(void **state)
{
	(void)state;
	keep(two, "stays");
	assert_false(is_gone(&(struct held){two, "stays"}));
	int64_t forgotten = metric_value(METRIC_CACHE_REDIS_FORGOTTEN);
	expect_shared_drop("row/1");
	if (metric_value(METRIC_CACHE_REDIS_FORGOTTEN) == forgotten)
		assert_false(is_gone(&(struct held){two, "stays"}));
}

struct heard {
	atomic_int count, wrong;
};

static void hear(void *context, const char *topic, const void *data, size_t size)
{
	struct heard *heard = context;
	int number = -1;
	if (strcmp(topic, "unit/1") == 0 && size == sizeof number)
		memcpy(&number, data, size);
	atomic_fetch_add(&heard->wrong, number != atomic_fetch_add(&heard->count, 1));
}

static bool heard_all(void *context)
{
	return atomic_load(&((struct heard *)context)->count) == 1000;
}

static void notices_reach_the_other_daemon_once_and_in_order(void **state)
{
	(void)state;
	struct heard here = {0}, there = {0};
	struct cache_subscription *first, *second;
	assert_int_equal(cache_subscribe(one, "unit/", hear, &here, &first), ERR_OK);
	assert_int_equal(cache_subscribe(two, "unit/", hear, &there, &second), ERR_OK);
	for (int i = 0; i < 1000; i++)
		cache_publish(one, "unit/1", &i, sizeof i);
	wait_until(heard_all, &there);
	expect_shared_drop("behind them");
	assert_int_equal(atomic_load(&there.count), 1000);
	assert_int_equal(atomic_load(&here.count), 1000);
	assert_int_equal(atomic_load(&there.wrong) + atomic_load(&here.wrong), 0);
	cache_unsubscribe(one, &first);
	cache_unsubscribe(two, &second);
}

static void a_missed_notice_makes_the_other_daemon_forget(void **state)
{
	(void)state;
	static char large[LIMIT_CACHE_REDIS_NOTICE_BYTES + 1];
	struct held held = {two, "row"};
	expect_shared_drop("first"); /* they know each other */
	keep(two, "row");
	cache_publish(one, "too large to travel", large, sizeof large);
	wait_until(is_gone, &held);
}

/* ---- what goes wrong ---- */

static bool faults_above(void *context)
{
	return metric_value(METRIC_CACHE_REDIS_FAULTS) > *(const int64_t *)context;
}

/* Ten thousand calls of each kind: if one in a hundred waited for its deadline, they would take three minutes. */
static void expect_calls_at_once(void)
{
	const struct cache_rate rate = {.burst = 1000000, .per_second = 1};
	int64_t begin_us = clock_monotonic_us(), retry_us;
	for (int i = 0; i < 10000; i++) {
		char key[32];
		void *data;
		size_t size;
		snprintf(key, sizeof key, "call/%d", i % 500);
		assert_int_equal(cache_take(one, key, &rate, 1, clock_monotonic_us(), &retry_us), ERR_OK);
		cache_put(one, key, "v", 1, INT64_MAX, CACHE_NO_TICKET);
		assert_true(cache_get(one, key, clock_wall_us(), arena, &data, &size, NULL) != ERR_NO_MEMORY);
		cache_publish(one, key, "v", 1);
		cache_drop(one, key);
	}
	arena_reset(arena);
	assert_true(clock_monotonic_us() - begin_us < SERVER_WAIT_US);
}

/* Never off: a burst and no more, by this daemon's own count. */
static void expect_local_limit(const char *key)
{
	const struct cache_rate rate = {.burst = 50, .per_second = 1};
	assert_in_range(grants(one, key, &rate), 50, 50 + 30);
}

static void expect_all_is_shared(const char *name)
{
	char key[64];
	snprintf(key, sizeof key, "rate/%s", name);
	expect_shared_rate(key);
	snprintf(key, sizeof key, "drop/%s", name);
	expect_shared_drop(key);
}

static void a_killed_redis_leaves_limits_on_and_heals(void **state)
{
	(void)state;
	const struct cache_rate rate = {.burst = 1000, .per_second = 1};
	assert_in_range(grants(one, "spent", &rate), 1000, 1030);
	struct held held = {one, "kept"};
	keep(one, "kept");
	server_end(&server, SIGKILL);
	expect_calls_at_once();
	expect_local_limit("killed");
	wait_connections(0);
	wait_until(is_gone, &held); /* it may have been dropped elsewhere */
	assert_in_range(grants(one, "spent", &rate), 0, 30);
	expect_calls_at_once();
	server_start(&server);
	wait_connections(4);
	expect_all_is_shared("killed");
	assert_in_range(grants(one, "spent", &rate), 0, 60);
}

static void a_stalled_redis_holds_nobody_up(void **state)
{
	(void)state;
	kill(server.pid, SIGSTOP);
	expect_calls_at_once();
	expect_local_limit("stalled");
	wait_connections(0);
	int64_t faults = metric_value(METRIC_CACHE_REDIS_FAULTS) + 1;
	expect_calls_at_once();
	wait_until(faults_above, &faults); /* it connects, for the kernel answers, and gets no further */
	kill(server.pid, SIGCONT);
	wait_connections(4);
	expect_all_is_shared("stalled");
}

static void a_flushed_redis_changes_nothing_here(void **state)
{
	(void)state;
	const struct cache_rate rate = {.burst = 1000, .per_second = 1};
	assert_in_range(grants(one, "flushed", &rate), 1000, 1030);
	int64_t faults = metric_value(METRIC_CACHE_REDIS_FAULTS);
	assert_string_equal(server_say(&server, "FLUSHALL"), "+OK\r\n");
	assert_string_equal(server_say(&server, "SCRIPT FLUSH"), "+OK\r\n");
	assert_in_range(grants(one, "flushed", &rate), 0, 30);
	expect_all_is_shared("flushed");
	assert_int_equal(metric_value(METRIC_CACHE_REDIS_FAULTS), faults);
}

static void buckets_of_another_type_are_written_over(void **state)
{
	(void)state;
	expect_shared_rate("typed");
	int64_t faults = metric_value(METRIC_CACHE_REDIS_FAULTS);
	assert_string_equal(server_say(&server, "EVAL \"for _, k in ipairs(redis.call('KEYS', 'carbond:*')) do "
						"redis.call('DEL', k) redis.call('LPUSH', k, 'x') end return 7\" 0"),
		":7\r\n");
	expect_shared_rate("typed again");
	const struct cache_rate rate = {.burst = 2000, .per_second = 1};
	assert_in_range(grants(two, "typed", &rate), 0, 60); /* known here, whatever Redis says */
	assert_int_equal(metric_value(METRIC_CACHE_REDIS_FAULTS), faults);
}

static void a_redis_that_refuses_writes_is_away(void **state)
{
	(void)state;
	assert_string_equal(server_say(&server, "CONFIG SET maxmemory 1"), "+OK\r\n");
	const struct cache_rate rate = {.burst = 10, .per_second = 1};
	grants(one, "full", &rate);
	grants(two, "full", &rate);
	wait_connections(0); /* the listeners too: signs of life do not come any more */
	expect_local_limit("full of data");
	assert_string_equal(server_say(&server, "CONFIG SET maxmemory 0"), "+OK\r\n");
	wait_connections(4);
	expect_all_is_shared("full");
}

static void channel_name(char ret_channel[64])
{
	char text[HASH_TEXT_SIZE];
	hash_text(sha256_of("carbond/cache/name/1", server_key.bytes, sizeof server_key.bytes), text);
	snprintf(ret_channel, 64, "carbond:%.16s:notices", text);
}

static void a_forged_notice_is_not_believed(void **state)
{
	(void)state;
	char channel[64], command[128];
	struct heard heard = {0};
	struct cache_subscription *subscription;
	int64_t faults = metric_value(METRIC_CACHE_REDIS_FAULTS);
	assert_int_equal(cache_subscribe(one, "", hear, &heard, &subscription), ERR_OK);
	channel_name(channel);
	snprintf(command, sizeof command, "PUBLISH %s forged", channel);
	assert_string_equal(server_say(&server, command), ":2\r\n"); /* both listen on it */
	wait_until(faults_above, &faults);
	wait_connections(4);
	assert_int_equal(atomic_load(&heard.count), 0);
	cache_unsubscribe(one, &subscription);
	expect_all_is_shared("forged");
}

/* ---- a peer that is no Redis ---- */

struct liar {
	int fd;
	uint16_t port;
	bool plays_along; /* until it has to say what a bucket holds */
	const char *answer;
	size_t size;
	bool endless;
	atomic_bool stop;
	atomic_int answered;
	atomic_llong sent;
};

static void answer_one(struct liar *liar, int fd)
{
	static const char loaded[] = "$40\r\n0123456789012345678901234567890123456789\r\n";
	char request[65536];
	struct pollfd waited = {.fd = fd, .events = POLLIN};
	while (!atomic_load(&liar->stop)) {
		if (poll(&waited, 1, 10) <= 0)
			continue;
		ssize_t size = recv(fd, request, sizeof request, 0);
		if (size <= 0)
			return;
		bool loads = liar->plays_along && memmem(request, (size_t)size, "SCRIPT", 6);
		const char *answer = loads ? loaded : liar->answer;
		size_t left = loads ? sizeof loaded - 1 : liar->size;
		atomic_fetch_add(&liar->answered, 1);
		do {
			size = send(fd, answer, left, MSG_NOSIGNAL);
			if (size < 0)
				return;
			atomic_fetch_add(&liar->sent, size);
		} while (liar->endless && !atomic_load(&liar->stop));
	}
}

static void *lie(void *argument)
{
	struct liar *liar = argument;
	struct pollfd waited = {.fd = liar->fd, .events = POLLIN};
	while (!atomic_load(&liar->stop)) {
		if (poll(&waited, 1, 10) <= 0)
			continue;
		int fd = accept(liar->fd, NULL, NULL);
		struct timeval patience = {.tv_usec = 100000};
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
		answer_one(liar, fd);
		close(fd);
	}
	return NULL;
}

static void expect_liar_is_found_out(struct liar *liar)
{
	char uri[64];
	pthread_t thread;
	int64_t faults = metric_value(METRIC_CACHE_REDIS_FAULTS);
	liar->fd = server_free_port(&liar->port);
	snprintf(uri, sizeof uri, "redis://127.0.0.1:%u", liar->port);
	pthread_create(&thread, NULL, lie, liar);
	one = open_cache(uri, NULL);
	expect_local_limit("lied to");
	faults += 1;
	wait_until(faults_above, &faults);
	expect_calls_at_once();
	expect_local_limit("lied to again");
	assert_int_equal(metric_value(METRIC_CACHE_REDIS_CONNECTIONS), 0);
	assert_true(atomic_load(&liar->answered) > 0);
	cache_close(&one);
	atomic_store(&liar->stop, true);
	pthread_join(thread, NULL);
	close(liar->fd);
}

static void a_liar_is_never_believed(void **state)
{
	(void)state;
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\n\r\n",                                      /* not the protocol */
		"+OK\r\n",                                                      /* yes to everything */
		"-ERR no\r\n",                                                  /* no to everything */
		":1\r\n",                                                       /* the wrong type */
		"$-1\r\n",                                                      /* nothing */
		"*0\r\n",                                                       /* an empty array */
		"*1000000000\r\n",                                              /* an array that would need 8 GB */
		"*2147483648\r\n",                                              /* more than an int */
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", /* too deep */
		"$99999999999\r\nx",                                            /* more than it sends */
		"$40\r\nnot finished",                                          /* and silence */
	};
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		expect_liar_is_found_out(&(struct liar){.answer = answers[i], .size = strlen(answers[i])});
}

static void a_liar_that_plays_along_is_never_believed(void **state)
{
	(void)state;
	static const char *const answers[] = {":-1\r\n", ":9000000000000000000\r\n", "+OK\r\n", "$1\r\n1\r\n",
		"-NOSCRIPT never heard of it\r\n", "*1\r\n:1\r\n"};
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		expect_liar_is_found_out(
			&(struct liar){.plays_along = true, .answer = answers[i], .size = strlen(answers[i])});
}

static void an_endless_answer_is_cut(void **state)
{
	(void)state;
	static char flood[65536];
	memset(flood, 'x', sizeof flood);
	memcpy(flood, "$536870912\r\n", 12);
	struct liar liar = {.answer = flood, .size = sizeof flood, .endless = true};
	deadline_us = 10000000; /* the size cuts it, not the time */
	expect_liar_is_found_out(&liar);
	deadline_us = 300000;
	/* what we have read, and what the sockets hold */
	assert_true(atomic_load(&liar.sent) / atomic_load(&liar.answered) < 32 << 20);
}

/* ---- alone ---- */

static void without_redis_values_that_can_be_stale_live_shortly(void **state)
{
	(void)state;
	uint16_t port;
	char uri[64];
	int fd = server_free_port(&port);
	close(fd);
	snprintf(uri, sizeof uri, "redis://127.0.0.1:%u", port);
	one = open_cache(uri, NULL);
	void *data;
	size_t size;
	cache_ticket ticket;
	int64_t now_us = clock_wall_us();
	assert_int_equal(cache_get(one, "row", now_us, arena, &data, &size, &ticket), ERR_NOT_FOUND);
	cache_put(one, "row", "v", 1, INT64_MAX, ticket);
	cache_put(one, "constant", "v", 1, INT64_MAX, CACHE_NO_TICKET);
	assert_int_equal(cache_get(one, "row", now_us, arena, &data, &size, NULL), ERR_OK);
	now_us = clock_wall_us() + 1000000;
	assert_int_equal(cache_get(one, "row", now_us, arena, &data, &size, NULL), ERR_NOT_FOUND);
	assert_int_equal(cache_get(one, "constant", now_us, arena, &data, &size, NULL), ERR_OK);
	expect_local_limit("alone");
	cache_close(&one);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

static void the_password_is_read_at_each_connection(void **state)
{
	(void)state;
	char path[96];
	server_new(&server, "open sesame");
	snprintf(path, sizeof path, "%s/password", server.folder);
	write_file(path, "wrong\n");
	int64_t faults = metric_value(METRIC_CACHE_REDIS_FAULTS) + 1;
	one = open_cache(server.unix_uri, path);
	wait_until(faults_above, &faults);
	assert_int_equal(metric_value(METRIC_CACHE_REDIS_CONNECTIONS), 0);
	expect_local_limit("locked out");
	write_file(path, "open sesame\n");
	wait_connections(2);
	cache_close(&one);
	server_free(&server);
}

static void addresses_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *uri, *host, *port, *path;
		int database;
	} good[] = {
		{"redis://localhost", "localhost", "6379", "", 0},
		{"redis://10.0.0.1:7000", "10.0.0.1", "7000", "", 0},
		{"redis://h:1/15", "h", "1", "", 15},
		{"redis://h/2", "h", "6379", "", 2},
		{"redis://[::1]:6380/", "::1", "6380", "", 0},
		{"redis+unix:///run/redis/redis.sock", "", "", "/run/redis/redis.sock", 0},
		{"redis+unix:///s?db=4", "", "", "/s", 4},
	};
	static const char *const bad[] = {"redis:", "redis://", "redis://:6379", "redis://h:0", "redis://h:65536",
		"redis://h:x", "redis://h:", "redis://h/x", "redis://h/1/2", "redis://user:secret@h", "redis://[::1",
		"redis+unix://relative", "redis+unix:///s?db=", "redis+unix:///s?x=1", "rediss://h", "redis+unix://"};
	struct redis_address address;
	struct err_info info;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(redis_address_parse(good[i].uri, &address, &info), ERR_OK);
		assert_string_equal(address.host, good[i].host);
		assert_string_equal(address.port, good[i].port);
		assert_string_equal(address.path, good[i].path);
		assert_int_equal(address.database, good[i].database);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(redis_address_parse(bad[i], &address, &info), ERR_INVALID_CONFIG);
		assert_null(strstr(info.detail, "secret"));
	}
	struct cache *cache = NULL;
	assert_int_equal(cache_open(&(struct cache_options){.uri = "redis://h"}, &cache, &info), ERR_INVALID_CONFIG);
}

static void any_flipped_bit_of_a_notice_is_seen(void **state)
{
	(void)state;
	struct seal_key key = server_key;
	const struct redis redis = {.seal_keys = &key, .seal_key_count = 1, .channel = "c"};
	struct notice notice = {.sender = 1, .number = 2, .kind = NOTICE_PUBLISH, .topic = "t", .size = 3}, read;
	notice.data = (const uint8_t *)"abc";
	size_t size;
	uint8_t *sealed = notice_write(&redis, &notice, &size);
	assert_int_equal(notice_read(&redis, sealed, size, arena, &read), ERR_OK);
	assert_true(read.sender == 1 && read.number == 2 && read.kind == NOTICE_PUBLISH && read.size == 3);
	assert_string_equal(read.topic, "t");
	assert_memory_equal(read.data, "abc", 3);
	for (size_t bit = 0; bit < size * 8; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(notice_read(&redis, sealed, size, arena, &read), ERR_BAD_SEAL);
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t shorter = 0; shorter < size; shorter++)
		assert_int_equal(notice_read(&redis, sealed, shorter, arena, &read), ERR_BAD_SEAL);
	free(sealed);
	arena_reset(arena);
}

static int start_all(void **state)
{
	(void)state;
	arena = arena_new(0);
	return arena && crypto_start() == ERR_OK ? 0 : -1;
}

static int stop_all(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

#define WITH_TWO(test)           cmocka_unit_test_setup_teardown(test, start, stop)
#define WITH_TWO_PATIENTLY(test) cmocka_unit_test_setup_teardown(test, start_patiently, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TWO_PATIENTLY(a_limit_is_shared),
		WITH_TWO_PATIENTLY(what_was_granted_too_much_is_waited_for),
		WITH_TWO_PATIENTLY(a_drop_reaches_the_other_daemon),
		WITH_TWO_PATIENTLY(notices_reach_the_other_daemon_once_and_in_order),
		WITH_TWO_PATIENTLY(a_missed_notice_makes_the_other_daemon_forget),
		WITH_TWO(a_killed_redis_leaves_limits_on_and_heals),
		WITH_TWO(a_stalled_redis_holds_nobody_up),
		WITH_TWO_PATIENTLY(a_flushed_redis_changes_nothing_here),
		WITH_TWO_PATIENTLY(buckets_of_another_type_are_written_over),
		WITH_TWO(a_redis_that_refuses_writes_is_away),
		WITH_TWO_PATIENTLY(a_forged_notice_is_not_believed),
		cmocka_unit_test(a_liar_is_never_believed),
		cmocka_unit_test(a_liar_that_plays_along_is_never_believed),
		cmocka_unit_test(an_endless_answer_is_cut),
		cmocka_unit_test(without_redis_values_that_can_be_stale_live_shortly),
		cmocka_unit_test(the_password_is_read_at_each_connection),
		cmocka_unit_test(addresses_are_read),
		cmocka_unit_test(any_flipped_bit_of_a_notice_is_seen),
	};
	return cmocka_run_group_tests(tests, start_all, stop_all);
}
