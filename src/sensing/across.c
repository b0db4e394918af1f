/* A reduction across sensors: the steps of each sensor's answer folded into one row a step. A sensor without a reading in a
 * step has no part in it. Threads that may block. */
#include <assert.h>
#include <math.h>

#include "carbond/sensing.h"

const char *const across_names[] = {"mean", "min", "max", "sum", "count", NULL};

static void fold(enum across across, const struct range_row *row, struct range_row *total, size_t *sensors)
{
	bool first = *sensors == 0;
	if (row->count == 0)
		return;
	++*sensors;
	total->count += row->count;
	switch (across) {
	case ACROSS_MEAN:
	case ACROSS_SUM: total->value = first ? row->value : total->value + row->value; break;
	case ACROSS_MIN: total->value = first || row->value < total->value ? row->value : total->value; break;
	case ACROSS_MAX: total->value = first || row->value > total->value ? row->value : total->value; break;
	case ACROSS_COUNT: break;
	}
}

static void finish(enum across across, struct range_row *totals, size_t count, const size_t *sensors)
{
	for (size_t i = 0; i < count; i++) {
		if (across == ACROSS_COUNT)
			totals[i].value = (double)sensors[i];
		else if (across == ACROSS_MEAN && sensors[i])
			totals[i].value /= (double)sensors[i];
	}
}

enum err sensing_across(struct sensing *sensing, const struct range_query *query, enum across across,
	const struct id *sensors, size_t sensor_count, struct arena *arena, struct range_row **ret_rows,
	size_t *ret_count, int64_t *ret_next_us, struct err_info *info)
{
	struct range_query one = *query;
	struct range_row *totals = NULL, *rows;
	size_t *members = NULL, steps = 0, count;
	enum err err = ERR_OK;
	*ret_next_us = FIELD_ABSENT;
	if (query->aggregate == AGGREGATE_RAW)
		return err_set(info, ERR_INVALID_FIELD, "/across", "raw readings have no steps to reduce");
	struct arena *own = arena_new(0);
	if (!own)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the answer");
	for (size_t i = 0; i < sensor_count && !err; i++) {
		one.sensor = sensors[i];
		arena_reset(own);
		err = sensing_range(sensing, &one, own, &rows, &count, ret_next_us, info);
		if (err)
			break;
		if (i == 0) {
			steps = count;
			totals = ARENA_ARRAY(arena, struct range_row, steps + 1);
			members = ARENA_ARRAY(arena, size_t, steps + 1);
			if (!totals || !members) {
				err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the answer");
				break;
			}
			for (size_t step = 0; step < steps; step++) {
				totals[step] = (struct range_row){.time_us = rows[step].time_us, .value = NAN};
				members[step] = 0;
			}
		}
		assert(count == steps); /* they are the query's, not the sensor's */
		for (size_t step = 0; step < steps; step++)
			fold(across, &rows[step], &totals[step], &members[step]);
	}
	arena_free(&own);
	if (err)
		return err;
	finish(across, totals, steps, members);
	*ret_rows = totals;
	*ret_count = steps;
	return ERR_OK;
}
