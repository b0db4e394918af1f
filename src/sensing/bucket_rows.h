/* Stored rows of the buckets. Private to the room. */
#ifndef SENSING_BUCKET_ROWS_H
#define SENSING_BUCKET_ROWS_H

#include "buckets.h"

/* A closed hour, one revision of it. Content is final; `columns` goes when raw is dropped, `conflicts` may grow. */
struct bucket_row {
	struct id sensor_id;
	int64_t hour_us, revision;
	int64_t count; /* readings; 0: nothing but conflicts came */
	struct hash content_hash;
	struct bytes columns;   /* series_encode; absent once dropped */
	struct bytes summary;   /* series_summary_encode */
	struct bytes conflicts; /* uint32 LE offsets in µs of keys that came with two values; absent: none */
	const char *seen;       /* "stream:position,…": what had been applied when it closed */
};

/* What has gathered for an hour that is not closed: all of it (revision 1), or what came late for a closed one. */
struct open_row {
	struct id sensor_id;
	int64_t hour_us, revision;
	int64_t count;
	struct bytes columns, conflicts;
	const char *seen;
	int64_t opened_us; /* no log batch written before this feeds it */
};

enum rollup_level { ROLLUP_DAY, ROLLUP_MONTH };

/* The summaries of a day's hours, or of a month's days. */
struct rollup_row {
	struct id sensor_id;
	int level;
	int64_t start_us;
	struct bytes summaries; /* one after the other, in order of time */
};

struct pin_run {
	struct id owner;
	int64_t from_us, to_us;
};

struct pin_row {
	struct id sensor_id;
	int64_t version;
	int64_t dropped_before_us; /* unpinned raw before this may be gone: no new pins there */
	int64_t swept_before_us;   /* unpinned raw before this is gone */
	struct field_list runs;    /* struct pin_run */
};

struct stream_position {
	const char *stream;
	int64_t seq;
};

/* One row a shard: whoever changes buckets of the shard writes it in the same transaction, on the condition that the term
 * is still its own. `positions`: everything up to there is in bucket rows. */
struct owner_row {
	int64_t partition, term;
	const char *node;            /* NULL: nobody's */
	struct field_list positions; /* struct stream_position */
	int64_t opened_us; /* batches up to `positions` written before this feed no open hour; FIELD_ABSENT: unknown */
};

/* Hours that their owner is asked to close at once: the row goes when they are closed. */
struct close_request {
	struct id id;
	int64_t partition;
	int64_t from_us, to_us;
	struct field_list sensors; /* struct asked_sensor */
};
struct asked_sensor {
	struct id id;
};

struct stream_row {
	const char *stream;
	int64_t pruned_before; /* payloads of batches below are gone */
};

extern const char *const rollup_levels[];

#define BUCKET_READINGS_MAX 4000000 /* of one hour: 1,000 Hz and some */
#define HOUR_SUMMARY_BYTES  256

#endif
