/* The thread that lets go of what has aged: raw readings past their sensor's retention that no period cites, and payloads of
 * readings logs whose hours are closed. Nothing goes while the clock is not to be trusted: a step of a year ahead would take a
 * year's readings with it. Its own thread, because it blocks on the store. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "carbond/engine.h"
#include "carbond/sensing.h"
#include "daemon.h"

struct retention {
	struct sensing *sensing;
	struct engine *engine; /* its clock */
	int64_t interval_us;
	struct thread *thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping; /* under the lock */
};

static bool wait_for_turn(struct retention *retention)
{
	int64_t until_us = clock_monotonic_us() + retention->interval_us;
	struct timespec until = {
		.tv_sec = until_us / CLOCK_US_PER_SECOND, .tv_nsec = until_us % CLOCK_US_PER_SECOND * 1000};
	bool stopping;

	pthread_mutex_lock(&retention->lock);
	while (!retention->stopping && clock_monotonic_us() < until_us)
		pthread_cond_timedwait(&retention->wake, &retention->lock, &until);
	stopping = retention->stopping;
	pthread_mutex_unlock(&retention->lock);
	return !stopping;
}

static void run(void *argument)
{
	struct retention *retention = argument;
	int64_t now_us = clock_wall_us();

	/* the time of the turn before: a jump has been seen by now if there was one */
	for (; wait_for_turn(retention); now_us = clock_wall_us()) {
		struct err_info info = {0};
		if (engine_clock_halted(retention->engine))
			continue;
		if (sensing_retain(retention->sensing, now_us, &info))
			log_failure("retention_failed", &info, NULL);
	}
}

enum err retention_start(struct sensing *sensing, struct engine *engine, int64_t interval_us,
	struct retention **ret_retention, struct err_info *info)
{
	struct retention *retention = calloc(1, sizeof(*retention));
	pthread_condattr_t monotonic;
	enum err err;

	if (!retention)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for retention");
	retention->sensing = sensing;
	retention->engine = engine;
	retention->interval_us = interval_us;
	pthread_mutex_init(&retention->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&retention->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*ret_retention = retention;
	err = thread_start("retention", run, retention, &retention->thread);
	if (err) {
		err_set(info, err, NULL, "the retention thread did not start");
		retention_stop(ret_retention);
	}
	return err;
}

void retention_stop(struct retention **retention)
{
	struct retention *own = *retention;

	if (!own)
		return;
	pthread_mutex_lock(&own->lock);
	own->stopping = true;
	pthread_cond_signal(&own->wake);
	pthread_mutex_unlock(&own->lock);
	thread_join(&own->thread);
	pthread_cond_destroy(&own->wake);
	pthread_mutex_destroy(&own->lock);
	free(own);
	*retention = NULL;
}
