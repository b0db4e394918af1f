/* The order of start and stop is a list; this file walks it. Main thread. */
#include "carbond/runtime.h"

#include <stdio.h>

#include "carbond/base/clock.h"
#include "carbond/base/log.h"

#define SLOW_US CLOCK_US_PER_SECOND /* a stage that takes longer is told of */

static void tell_started(const struct stage *stage, int64_t took_us)
{
	char duration[24];

	snprintf(duration, sizeof(duration), "%lld", (long long)took_us);
	log_line(took_us > SLOW_US ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "stage_started", stage->name, "reason",
		stage->reason, "duration_us", duration, (char *)NULL);
}

enum err stages_start(
	const struct stage *stages, size_t count, void *context, atomic_size_t *ret_started, struct err_info *info)
{
	atomic_store(ret_started, 0);
	for (size_t i = 0; i < count; i++) {
		int64_t begun_us = clock_monotonic_us();
		enum err err = stages[i].start(context, info);
		if (err != ERR_OK) {
			stages_stop(stages, i, context);
			atomic_store(ret_started, 0);
			return err;
		}
		atomic_store(ret_started, i + 1);
		tell_started(&stages[i], clock_monotonic_us() - begun_us);
	}
	return ERR_OK;
}

void stages_stop(const struct stage *stages, size_t started, void *context)
{
	for (size_t i = started; i-- > 0;) {
		log_line(LOG_LEVEL_DEBUG, "stage_stopping", stages[i].name, (char *)NULL);
		if (stages[i].stop)
			stages[i].stop(context);
	}
}
