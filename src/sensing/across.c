/* Ranges of many sensors at once, shared out to the query helpers, and their reduction to one row a step: the steps of each
 * sensor's answer are folded in the order of the sensors, whoever made them. A sensor without a reading in a step has no part
 * in it. Threads that may block. */
#include <assert.h>
#include <math.h>

#include "parts.h"

#define WAVE_ROWS 400000 /* of the answers that are in memory at once, unless one sensor's are more */
#define WAVE_MOST 64

const char *const across_names[] = {"mean", "min", "max", "sum", "count", NULL};

/* ---- ranges ---- */

struct ranges {
	struct sensing *sensing;
	const struct range_query *query;
	struct range_answer *answers;
};

static void range_of(void *context, size_t index)
{
	struct ranges *ranges = context;
	struct range_answer *answer = &ranges->answers[index];
	struct range_query query = *ranges->query;
	query.sensor = answer->sensor;
	answer->arena = arena_new(0);
	answer->err = answer->arena ? sensing_range(ranges->sensing, &query, answer->arena, &answer->rows,
					      &answer->count, &answer->next_us, &answer->info)
				    : err_set(&answer->info, ERR_NO_MEMORY, NULL, "no memory for the answer");
}

size_t sensing_ranges_most(struct sensing *sensing, const struct range_query *query)
{
	size_t least = crew_size(sensing->helpers), rows = query->most;
	if (query->aggregate != AGGREGATE_RAW && query->step_us > 0 && query->to_us > query->from_us) {
		size_t steps = (size_t)((query->to_us - query->from_us) / query->step_us) + 1;
		rows = steps < rows ? steps : rows;
	}
	size_t most = WAVE_ROWS / (rows + 1);
	most = most < WAVE_MOST ? most : WAVE_MOST;
	return most > least ? most : least;
}

enum err sensing_ranges(struct sensing *sensing, const struct range_query *query, const struct id *sensors,
	size_t count, struct range_answer *ret_answers, struct err_info *info)
{
	struct ranges ranges = {.sensing = sensing, .query = query, .answers = ret_answers};
	for (size_t i = 0; i < count; i++)
		ret_answers[i] = (struct range_answer){.sensor = sensors[i]};
	crew_run(sensing->helpers, range_of, &ranges, count);
	for (size_t i = 0; i < count; i++)
		if (ret_answers[i].err) {
			enum err err = ret_answers[i].err;
			*info = ret_answers[i].info;
			sensing_ranges_free(ret_answers, count);
			return err;
		}
	return ERR_OK;
}

void sensing_ranges_free(struct range_answer *answers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		arena_free(&answers[i].arena);
}

/* ---- across sensors ---- */

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

/* The totals before any sensor: the steps are the query's, and the first answer has them. */
static enum err totals_make(const struct range_answer *first, struct arena *arena, struct range_row **ret_totals,
	size_t **ret_members, struct err_info *info)
{
	*ret_totals = ARENA_ARRAY(arena, struct range_row, first->count + 1);
	*ret_members = ARENA_ARRAY(arena, size_t, first->count + 1);
	if (!*ret_totals || !*ret_members)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the answer");
	for (size_t step = 0; step < first->count; step++)
		(*ret_totals)[step] = (struct range_row){.time_us = first->rows[step].time_us, .value = NAN};
	return ERR_OK;
}

enum err sensing_across(struct sensing *sensing, const struct range_query *query, enum across across,
	const struct id *sensors, size_t sensor_count, struct arena *arena, struct range_row **ret_rows,
	size_t *ret_count, int64_t *ret_next_us, struct err_info *info)
{
	struct range_row *totals = NULL;
	size_t *members = NULL, steps = 0, most = sensing_ranges_most(sensing, query);
	enum err err = ERR_OK;
	*ret_next_us = FIELD_ABSENT;
	if (query->aggregate == AGGREGATE_RAW)
		return err_set(info, ERR_INVALID_FIELD, "/across", "raw readings have no steps to reduce");
	struct range_answer *answers = ARENA_ARRAY(arena, struct range_answer, most);
	if (!answers)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the answer");
	for (size_t begin = 0, count; begin < sensor_count && !err; begin += count) {
		count = sensor_count - begin < most ? sensor_count - begin : most;
		err = sensing_ranges(sensing, query, sensors + begin, count, answers, info);
		if (err)
			break;
		if (!totals) {
			steps = answers[0].count;
			*ret_next_us = answers[0].next_us;
			err = totals_make(&answers[0], arena, &totals, &members, info);
		}
		for (size_t i = 0; i < count && !err; i++) {
			assert(answers[i].count == steps);
			for (size_t step = 0; step < steps; step++)
				fold(across, &answers[i].rows[step], &totals[step], &members[step]);
		}
		sensing_ranges_free(answers, count);
	}
	if (err)
		return err;
	finish(across, totals, steps, members);
	*ret_rows = totals;
	*ret_count = steps;
	return ERR_OK;
}
