/* The hours of one sensor as a query sees them: closed rows and what is open, in one picture. Private to the room. */
#ifndef SENSING_HOURS_H
#define SENSING_HOURS_H

#include "shard.h"

struct open_copy {
	int64_t hour_us, revision;
	struct series_point *points;
	size_t count;
	uint32_t *conflicts;
	size_t conflict_count;
	bool loaded;
};

struct hours {
	struct buckets *buckets;
	struct id sensor;
	struct arena *arena;
	struct open_copy *open; /* in order of time */
	size_t open_count;
};

/* Copies what is open in [from_us, to_us), whole hours. Must come before closed rows are read: an hour that closes meanwhile
 * is then seen twice rather than not at all. */
enum err hours_open(struct hours *hours, struct buckets *buckets, struct id sensor, int64_t from_us, int64_t to_us,
	struct arena *arena, struct err_info *info) MUST_CHECK;
const struct open_copy *hours_open_at(const struct hours *hours, int64_t hour_us);

/* The points of one hour of a day's rows: the closed revision, joined with what is open. `rows` are all revisions of some
 * hours in order. Everything goes into `arena`. ERR_RAW_EXPIRED. */
enum err hours_points(const struct hours *hours, int64_t hour_us, const struct bucket_row *rows, size_t row_count,
	struct arena *arena, struct series_point **ret_points, size_t *ret_count, struct err_info *info) MUST_CHECK;

/* The columns of one hour that has nothing open, empty where it has no reading. ERR_RAW_EXPIRED. */
enum err hours_columns(int64_t hour_us, const struct bucket_row *rows, size_t row_count, struct arena *arena,
	struct series_columns *ret_columns, struct err_info *info) MUST_CHECK;

/* All revisions of hours in [from_us, to_us). */
enum err hours_rows(const struct hours *hours, int64_t from_us, int64_t to_us, struct arena *arena,
	struct bucket_row **ret_rows, size_t *ret_count, struct err_info *info) MUST_CHECK;

#endif
