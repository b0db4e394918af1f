/* Monotonic deadlines for condition variables and futexes; private to runtime. */
#ifndef CARBOND_RUNTIME_WAIT_H
#define CARBOND_RUNTIME_WAIT_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "carbond/base/clock.h"

static inline struct timespec wait_until(int64_t deadline_us)
{
	int64_t at = deadline_us > 0 ? deadline_us : 0;
	return (struct timespec){at / CLOCK_US_PER_SECOND, at % CLOCK_US_PER_SECOND * 1000};
}

/* A condition variable on the monotonic clock. */
static inline int wait_condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	int failed = pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
	return failed;
}

#endif
