/* The live stream of journal events: one consumer for all who watch. Started and stopped on the main thread. */
#ifndef API_JOURNAL_H
#define API_JOURNAL_H

#include "carbond/engine.h"

struct journal_stream;

enum err journal_stream_start(
	struct engine *engine, struct journal_stream **ret_stream, struct err_info *info) MUST_CHECK;
/* NULL is allowed; the pointer becomes NULL. Watchers' streams end when http stops. */
void journal_stream_stop(struct journal_stream **stream);

#endif
