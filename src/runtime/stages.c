/* The order of start and stop is a list; this file walks it. Main thread. */
#include "carbond/runtime.h"

#include "carbond/base/log.h"

enum err stages_start(
	const struct stage *stages, size_t count, void *context, size_t *ret_started, struct err_info *info)
{
	*ret_started = 0;
	for (size_t i = 0; i < count; i++) {
		enum err err = stages[i].start(context, info);
		if (err != ERR_OK) {
			stages_stop(stages, i, context);
			*ret_started = 0;
			return err;
		}
		*ret_started = i + 1;
		log_line(LOG_LEVEL_DEBUG, "stage_started", stages[i].name, "reason", stages[i].reason, (char *)NULL);
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
