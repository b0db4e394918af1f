/* The quarantine as the rest of the room sees it; what it promises is in the public header. Any thread. */
#ifndef SENSING_QUARANTINE_H
#define SENSING_QUARANTINE_H

#include "carbond/sensing.h"

struct quarantine;

/* Counts what is there. Main thread, blocks on the store. */
enum err quarantine_open(
	struct store *store, size_t rows_max, struct quarantine **ret_quarantine, struct err_info *info) MUST_CHECK;
void quarantine_close(struct quarantine **quarantine);

/* As sensing_quarantine_changes and sensing_quarantine_written. */
enum err quarantine_changes(struct quarantine *quarantine, struct quarantined *rows, size_t count, struct arena *arena,
	struct store_change **ret_changes, size_t *ret_count) MUST_CHECK;
void quarantine_written(struct quarantine *quarantine, const struct quarantined *rows, size_t count, bool durable);

/* The id of a row, from what it says. */
struct id quarantine_id(const struct quarantined *row);

/* Deletes rows that were answered long ago. */
enum err quarantine_retain(struct quarantine *quarantine, int64_t now_us, struct err_info *info) MUST_CHECK;

#endif
