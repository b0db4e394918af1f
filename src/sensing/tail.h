/* What a daemon keeps of a partition that another one owns: the readings that may not be in the owner's rows yet, so that reads
 * are answered here as well. Under the lock of its shard. Private to the room. */
#ifndef SENSING_TAIL_H
#define SENSING_TAIL_H

#include "carbond/sensing.h"
#include "carbond/series.h"

#define TAIL_STREAMS_MAX 32

/* Readings of one sensor in one batch. */
struct tail_run {
	struct tail_run *next;  /* in its chain */
	struct tail_run *newer; /* of its stream */
	struct id sensor;
	uint64_t seq;
	size_t count;
	struct series_point points[];
};

struct tail {
	struct tail_run **chains; /* by sensor */
	size_t chain_count, run_count;
	struct tail_run *oldest[TAIL_STREAMS_MAX], *newest[TAIL_STREAMS_MAX];
	size_t bytes;
	uint64_t dropped[TAIL_STREAMS_MAX]; /* batches up to here were let go before they were in rows: 0, none was */
};

/* Adds a batch's readings, in order of seq for each stream. False without memory: the batch is then to be added again. */
bool tail_add(struct tail *tail, unsigned stream, uint64_t seq, const struct reading *readings, size_t count);
/* Lets go of what is in the owner's rows: batches of each stream up to `positions`. */
void tail_let_go(struct tail *tail, const uint64_t positions[TAIL_STREAMS_MAX]);
/* Lets go of everything, noted as dropped: what is asked for is not all here until the owner's rows have it. */
void tail_drop(struct tail *tail);
/* Whether the owner's rows have all that was dropped. */
bool tail_is_whole(const struct tail *tail, const uint64_t positions[TAIL_STREAMS_MAX]);
/* The sensor's points in [from_us, to_us) in the arena, in no order, repeats included. False without memory. */
bool tail_points(const struct tail *tail, struct id sensor, int64_t from_us, int64_t to_us, struct arena *arena,
	struct series_point **ret_points, size_t *ret_count);
void tail_free(struct tail *tail); /* and empties it */

#endif
