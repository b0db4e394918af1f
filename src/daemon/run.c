/* The daemon's life after its start: readiness told to the service manager, the watchdog fed, reload, and an orderly end,
 * asked for or of its own accord. Main thread; a helper thread asks for more time while the start replays logs. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "carbond/sensing.h"
#include "daemon.h"

#define LOOK_EACH_US   CLOCK_US_PER_SECOND        /* how often the store's health is looked at */
#define EXTEND_EACH_US (5 * CLOCK_US_PER_SECOND)  /* how often more time is asked for while starting … */
#define EXTEND_BY_US   (30 * CLOCK_US_PER_SECOND) /* … and how much */
#define EXTEND_MOST    (6 * 3600 / 5) /* six hours of replay; then a hanging start is the manager's to end */

/* ---- more time while starting ---- */

struct extension {
	const struct daemon *daemon;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool done; /* under the lock */
	struct thread *thread;
};

/* A start that takes long says what it waits for. */
static void tell_stage(const struct daemon *daemon)
{
	size_t started = atomic_load(&daemon->started);

	if (started < daemon_stage_count)
		log_line(LOG_LEVEL_INFO, "still_starting", daemon_stages[started].name, "reason",
			daemon_stages[started].reason, NULL);
}

static void extend(void *argument)
{
	struct extension *extension = argument;
	char line[64];

	snprintf(line, sizeof(line), "EXTEND_TIMEOUT_USEC=%lld", (long long)EXTEND_BY_US);
	pthread_mutex_lock(&extension->lock);
	for (int i = 0; !extension->done && i < EXTEND_MOST; i++) {
		int64_t until_us = clock_monotonic_us() + EXTEND_EACH_US;
		struct timespec until = {
			.tv_sec = until_us / CLOCK_US_PER_SECOND, .tv_nsec = until_us % CLOCK_US_PER_SECOND * 1000};
		service_notify(line);
		if (i > 0)
			tell_stage(extension->daemon);
		while (!extension->done && clock_monotonic_us() < until_us)
			pthread_cond_timedwait(&extension->wake, &extension->lock, &until);
	}
	pthread_mutex_unlock(&extension->lock);
}

static void extension_start(struct extension *extension, const struct daemon *daemon)
{
	pthread_condattr_t monotonic;

	*extension = (struct extension){.daemon = daemon};
	pthread_mutex_init(&extension->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&extension->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (thread_start("start-timer", extend, extension, &extension->thread))
		extension->thread = NULL; /* then the manager's own patience decides */
}

static void extension_stop(struct extension *extension)
{
	pthread_mutex_lock(&extension->lock);
	extension->done = true;
	pthread_cond_signal(&extension->wake);
	pthread_mutex_unlock(&extension->lock);
	thread_join(&extension->thread);
	pthread_cond_destroy(&extension->wake);
	pthread_mutex_destroy(&extension->lock);
}

/* ---- reload ---- */

static void release_arena(void *arena)
{
	arena_free(arena);
}

bool daemon_reload(struct daemon *daemon)
{
	struct arena *arena = arena_new(0);
	struct conf *wanted, *next;
	struct conf_report report = {0};
	struct err_info info = {0};
	const char *applied = "", *need_restart = "";
	struct arena **before = arena ? ARENA_NEW(arena, struct arena *) : NULL;

	/* parts borrow texts of the configuration that they were started with, so its arena lives as long as the newest;
	 * the place for it is made first: once the new one counts, nothing may fail */
	if (!before || arena_own(arena, release_arena, before)) {
		arena_free(&arena);
		return false;
	}
	if (conf_load(daemon->input, arena, &wanted, &report, &info)) {
		log_failure("reload_refused", &info, NULL);
		arena_free(&arena);
		return false;
	}
	next = conf_reload(daemon->conf, wanted, arena, &applied, &need_restart);
	if (!next) {
		arena_free(&arena);
		return false;
	}
	log_line(LOG_LEVEL_INFO, "reloaded", "the configuration was read again", "applied", applied, "need_restart",
		need_restart, NULL);
	log_set_level((enum log_level)next->log_level);
	*before = daemon->arena;
	daemon->arena = arena;
	daemon->conf = next;
	return *applied;
}

static void reload(struct daemon *daemon)
{
	char line[96];

	snprintf(line, sizeof(line), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_monotonic_us());
	service_notify(line);
	daemon_reload(daemon);
	service_notify("READY=1");
}

/* ---- life ---- */

static void look_at_store(struct daemon *daemon)
{
	enum err err = ERR_OK;
	char reason[256] = "";

	if (!store_healthy(daemon->store, &err) && err == ERR_STORE_LATCHED)
		daemon_fatal(daemon, err, "a write to the store failed for good");
	/* shards that lost their place to another owner, or to a latched store, never write again; where the store is shared,
	 * another owner is no accident, and they follow it */
	err = sensing_ready(daemon->sensing, reason, sizeof(reason));
	if ((err == ERR_POSITION_TAKEN && !store_is_shared(daemon->store)) || err == ERR_STORE_LATCHED)
		daemon_fatal(daemon, err, reason);
}

static void live(struct daemon *daemon)
{
	int64_t watchdog_us = service_watchdog_us(), each_us = LOOK_EACH_US;

	if (watchdog_us > 0 && watchdog_us / 3 < each_us)
		each_us = watchdog_us / 3;
	while (!atomic_load(&daemon->fatal)) {
		switch (signals_wait(clock_monotonic_us() + each_us)) {
		case RUNTIME_STOP: return;
		case RUNTIME_RELOAD: reload(daemon); break;
		case RUNTIME_TIMEOUT:
			look_at_store(daemon);
			if (watchdog_us > 0)
				service_notify("WATCHDOG=1");
			break;
		}
	}
}

/* One line for a stop of its own accord. */
static void tell_fatal(struct daemon *daemon)
{
	struct err_info info = {0};
	enum err reason = (enum err)atomic_load(&daemon->fatal);

	err_set(&info, reason, NULL, "%s", atomic_load(&daemon->fatal_told) ? daemon->fatal_detail : "");
	log_failure("stopping_itself", &info, NULL);
}

int daemon_run(struct daemon *daemon)
{
	struct err_info info = {0};
	struct extension extension;
	char port[8];
	enum err err;

	signals_block();
	log_set_level((enum log_level)daemon->conf->log_level);
	log_line(LOG_LEVEL_INFO, "starting", "carbond is starting", "version", CARBOND_VERSION, "node",
		daemon->conf->node, "data_dir", daemon->conf->data_dir, NULL);
	err = daemon_check_listener(daemon->conf, &info);
	if (!err) {
		extension_start(&extension, daemon);
		err = daemon_start(daemon, daemon_stage_count, &info);
		extension_stop(&extension);
	}
	if (err) {
		log_failure("start_failed", &info, NULL);
		return DAEMON_EXIT_FAILED;
	}
	snprintf(port, sizeof(port), "%u", (unsigned)http_server_port(daemon->api.http_server));
	log_line(
		LOG_LEVEL_INFO, "ready", "carbond is ready", "address", daemon->conf->http_address, "port", port, NULL);
	service_notify("READY=1\nSTATUS=ready");
	live(daemon);
	if (atomic_load(&daemon->fatal))
		tell_fatal(daemon);
	service_notify("STOPPING=1");
	log_line(LOG_LEVEL_INFO, "stopping", "carbond is stopping", NULL);
	daemon_stop(daemon);
	log_line(LOG_LEVEL_INFO, "stopped", "carbond has stopped", NULL);
	return atomic_load(&daemon->fatal) ? DAEMON_EXIT_STOPPED : DAEMON_EXIT_OK;
}
