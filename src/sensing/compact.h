/* The readings of one open hour in few bytes: appended, not yet sorted. Private to the room. */
#ifndef SENSING_COMPACT_H
#define SENSING_COMPACT_H

#include "carbond/series.h"

struct compact {
	uint32_t count, capacity;
	uint32_t first_us,
		step_us;   /* while `offsets` is NULL, reading i lies first + i × step behind the hour's start */
	uint32_t *offsets; /* µs behind the hour's start: below 3.6 × 10^9, so 32 bits hold them */
	void *values;      /* int32_t mantissas at `exponent`, or doubles where `wide` */
	uint8_t *manual;   /* one bit a reading; NULL: none is manual */
	int8_t exponent;
	bool wide;
	bool unsorted; /* some reading is not later than the one before it */
};

/* False without memory: nothing has changed then. offset_us < one hour. */
bool compact_add(struct compact *compact, uint32_t offset_us, double value, bool manual);
void compact_get(const struct compact *compact, int64_t hour_us, size_t index, struct series_point *ret_point);
void compact_free(struct compact *compact); /* and empties it */
size_t compact_bytes(const struct compact *compact);

#endif
