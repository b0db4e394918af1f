/* The thread that lets go of what has aged: raw readings past their sensor's retention that no period cites, and payloads of
 * readings logs whose hours are closed. Nothing goes while the clock is not to be trusted: a step of a year ahead would take a
 * year's readings with it. Its own thread, because it blocks on the store. */
#include <stdlib.h>

#include "carbond/engine.h"
#include "carbond/sensing.h"
#include "daemon.h"

struct retention {
	struct sensing *sensing;
	struct engine *engine; /* its clock */
	int64_t interval_us;
	struct turns *turns;
};

static void run(void *argument)
{
	struct retention *retention = argument;
	int64_t now_us = clock_wall_us();

	/* the time of the turn before: a jump has been seen by now if there was one */
	for (; turns_wait(retention->turns, retention->interval_us); now_us = clock_wall_us()) {
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
	enum err err;

	if (!retention)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for retention");
	retention->sensing = sensing;
	retention->engine = engine;
	retention->interval_us = interval_us;
	*ret_retention = retention;
	err = turns_start("retention", run, retention, &retention->turns);
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
	turns_stop(&own->turns);
	free(own);
	*retention = NULL;
}
