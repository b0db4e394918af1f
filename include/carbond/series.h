/* series: what an hour of one sensor is: its readings, their compressed columns, its summary, its content hash, and how
 * hours are folded and aggregated. PURE: no clock, no I/O. Any thread, one thread an object. Formats: decisions 14 and 15. */
#ifndef CARBOND_SERIES_H
#define CARBOND_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/arena.h"
#include "carbond/base/hash.h"
#include "carbond/base/id.h"

/* Quality states (integrity.md, "Data quality"). Only SERIES_GOOD counts in full. SERIES_MANUAL and SERIES_STALE live in
 * buckets; SUSPECT and OUT_OF_CALIBRATION are overlays; SUBSTITUTED is made at quantification. */
enum series_quality {
	SERIES_GOOD,
	SERIES_MANUAL,
	SERIES_STALE,
	SERIES_SUSPECT,
	SERIES_OUT_OF_CALIBRATION,
	SERIES_SUBSTITUTED,
	SERIES_QUALITY_COUNT
};
extern const char *const series_quality_names[]; /* NULL-terminated, lower case */

struct series_point {
	int64_t time_us;
	double value;    /* finite, uncalibrated, in the sensor's unit; −0 is stored as 0 */
	uint8_t quality; /* enum series_quality: GOOD or MANUAL on the way in; STALE is computed at close */
};

/* The foldable summary of an hour, a day or a month. Sums are exact: int128 of the decimal mantissa at `exponent`, or, where
 * a column has no common decimal exponent, an exactly rounded double (`decimal` false). */
struct series_summary {
	int64_t from_us, to_us; /* the half-open span that it describes */
	uint64_t count, good_count, manual_count, stale_count;
	double min, max, first, last;
	int64_t first_us, last_us;
	bool decimal;
	int8_t exponent;  /* digits after the point, 0..12 */
	int64_t sum_high; /* int128 sum of mantissas, high and low half */
	uint64_t sum_low;
	double sum;         /* the same as a double (or the sum itself where not decimal) */
	double integral;    /* value × seconds: trapezoid inside; edges by series_join (decision 15) */
	int64_t covered_us; /* time that the integral covers */
};

/* Sorts by time in place, removes exact repeats; returns the new count. The first pair with one time and two values is
 * reported by index in *ret_conflict (SIZE_MAX: none). */
size_t series_sort(struct series_point *points, size_t count, size_t *ret_conflict);

/* Marks GOOD points whose value has not changed for longer than `stale_after_us` (0: never) as STALE (decision 15). */
void series_mark_stale(struct series_point *points, size_t count, int64_t stale_after_us);

/* SHA-256("carbond/bucket/1" ‖ 0 ‖ sensor ‖ hour_us ‖ count ‖ sorted (time_us, value bits, manual flag)): depends on
 * nothing that depends on arrival. */
struct hash series_content_hash(struct id sensor, int64_t hour_us, const struct series_point *points, size_t count);

/* Compresses sorted points into the arena: times as delta of delta, values as decimal mantissas (or raw doubles), quality
 * runs; zstd. series_decode is its inverse and accepts any bytes: ERR_STORE_CORRUPT for what is not a column block,
 * ERR_TOO_LARGE past `most` points. */
enum err series_encode(const struct series_point *points, size_t count, struct arena *arena, uint8_t **ret_data,
	size_t *ret_size) MUST_CHECK;
enum err series_decode(const uint8_t *data, size_t size, size_t most, struct arena *arena,
	struct series_point **ret_points, size_t *ret_count) MUST_CHECK;

/* The same block as columns, for work that needs no points. */
struct series_columns {
	size_t count;
	int64_t *times_us; /* NULL where reading i is of first_us + i × step_us, step_us > 0 */
	int64_t first_us, step_us;
	bool decimal; /* values are mantissas at `exponent`; else ordered bits of doubles, for series_columns_points only */
	bool plain;   /* mantissas so small that series_columns_summarise takes them */
	int exponent; /* digits after the point, 0..12 */
	int64_t *values;
	uint8_t *quality; /* enum series_quality each; NULL where all are GOOD */
};
static inline int64_t series_columns_time(const struct series_columns *columns, size_t index)
{
	return columns->times_us ? columns->times_us[index]
				 : (int64_t)((uint64_t)columns->first_us + index * (uint64_t)columns->step_us);
}
/* Errors as of series_decode; everything is in the arena. */
enum err series_columns_decode(const uint8_t *data, size_t size, size_t most, struct arena *arena,
	struct series_columns *ret_columns) MUST_CHECK;
/* Points of the columns; ERR_NO_MEMORY. */
enum err series_columns_points(
	const struct series_columns *columns, struct arena *arena, struct series_point **ret_points) MUST_CHECK;
/* The first reading from `from` on whose time is not below time_us; `count` where there is none. Of a sorted column. */
size_t series_columns_find(const struct series_columns *columns, size_t from, int64_t time_us);
/* The summary of readings [begin, end) of `plain` columns, begin < end: what series_summarise gives of their points, but
 * without span, integral, covered time and counts by quality; min and max only with `extremes`. */
void series_columns_summarise(const struct series_columns *columns, size_t begin, size_t end, bool extremes,
	struct series_summary *ret_summary);

/* Summary of sorted points inside [from_us, to_us); gaps longer than 3 × period_us are not integrated. */
void series_summarise(const struct series_point *points, size_t count, int64_t from_us, int64_t to_us,
	int64_t period_us, struct series_summary *ret_summary);
/* Adds the seam between two adjacent summaries to each one's own side, if last and first lie ≤ 3 × period_us apart:
 * split at the boundary by linear interpolation (decision 15). Each side's share is returned, not stored. */
void series_join(const struct series_summary *left, const struct series_summary *right, int64_t period_us,
	double *ret_left_integral, int64_t *ret_left_us, double *ret_right_integral, int64_t *ret_right_us);
/* Folds `part` (later, adjacent or not) into `total`. An empty total takes part as it is. */
void series_fold(struct series_summary *total, const struct series_summary *part);

/* Bytes of a summary in a day document; fixed layout, versioned. */
enum err series_summary_encode(
	const struct series_summary *summary, uint8_t *ret_data, size_t capacity, size_t *ret_size) MUST_CHECK;
enum err series_summary_decode(
	const uint8_t *data, size_t size, struct series_summary *ret_summary, size_t *ret_used) MUST_CHECK;

/* Percentile by linear interpolation between closest ranks (NIST / R type 7); fraction 0..1; sorts a copy in the arena. */
enum err series_percentile(const struct series_point *points, size_t count, double fraction, struct arena *arena,
	double *ret_value) MUST_CHECK;

#endif
