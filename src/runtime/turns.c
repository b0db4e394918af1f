/* Decides how a thread that does something every so often waits for its turn, and is stopped amid the wait. */
#include "carbond/runtime.h"

#include <stdlib.h>

#include "wait.h"

struct turns {
	struct thread *thread;
	pthread_mutex_t lock;
	pthread_cond_t stop_now;
	bool stopping; /* under the lock */
};

enum err turns_start(const char *name, void (*run)(void *argument), void *argument, struct turns **ret_turns)
{
	struct turns *turns = calloc(1, sizeof *turns);
	if (!turns)
		return ERR_NO_MEMORY;
	pthread_mutex_init(&turns->lock, NULL);
	wait_condition_init(&turns->stop_now);
	*ret_turns = turns; /* before the thread asks for it */
	enum err err = thread_start(name, run, argument, &turns->thread);
	if (err)
		turns_stop(ret_turns);
	return err;
}

bool turns_wait(struct turns *turns, int64_t us)
{
	int64_t until_us = clock_monotonic_us() + us;
	struct timespec until = wait_until(until_us);
	pthread_mutex_lock(&turns->lock);
	while (!turns->stopping && clock_monotonic_us() < until_us)
		pthread_cond_timedwait(&turns->stop_now, &turns->lock, &until);
	bool stopping = turns->stopping;
	pthread_mutex_unlock(&turns->lock);
	return !stopping;
}

void turns_stop(struct turns **turns)
{
	struct turns *own = *turns;
	if (!own)
		return;
	pthread_mutex_lock(&own->lock);
	own->stopping = true;
	pthread_cond_signal(&own->stop_now);
	pthread_mutex_unlock(&own->lock);
	thread_join(&own->thread);
	pthread_cond_destroy(&own->stop_now);
	pthread_mutex_destroy(&own->lock);
	free(own);
	*turns = NULL;
}
