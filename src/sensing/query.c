/* Range queries: time is walked day by day; a day that lies in one step is taken whole from its month's roll-up, an hour
 * that lies in one step from its day's, and only what a step cuts, what is open, raw and percentiles are decoded. Each
 * piece is a summary of a span inside one step; pieces are folded into their steps, and the gap between two pieces is
 * shared between the steps that it crosses. Threads that may block. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "hours.h"

#define GAP_PERIODS  3 /* decision 15 */
#define PAGE_ROLLUPS 400
#define RANGE_MAX_US (INT64_MAX / 4) /* sums of times and spans do not overflow */

const char *const aggregate_names[] = {
	"raw", "mean", "min", "max", "first", "last", "sum", "integral", "count", "percentile", NULL};

/* The answer in the making. */
struct walk {
	const struct range_query *query;
	struct hours hours;
	int64_t period_us;
	int64_t from_us, to_us; /* of this page */
	int64_t *edges;         /* step i is [edges[i], edges[i + 1]) */
	size_t steps;
	struct series_summary *sums; /* a step each */
	struct range_row *rows;
	size_t row_count;
	struct series_summary last; /* the piece before */
	size_t last_step;
	struct series_point *points; /* percentiles: of the current step */
	size_t point_count, point_capacity, point_step;
	const struct overlay *overlays;
	size_t overlay_count;
	int64_t next_us;
	struct arena *arena; /* of the answer */
	struct err_info *info;
};

static enum err no_memory(struct err_info *info)
{
	return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the answer");
}

/* ---- steps ---- */

static int64_t step_after(const struct range_query *query, int64_t edge_us)
{
	int64_t next_us;
	if (query->month_steps)
		return clock_next_month(edge_us);
	return __builtin_add_overflow(edge_us, query->step_us, &next_us) ? INT64_MAX : next_us;
}

/* Edges of at most query->most steps; what is left begins at *next_us. */
static enum err edges_make(struct walk *walk)
{
	const struct range_query *query = walk->query;
	int64_t span_us = query->month_steps ? 28 * CLOCK_US_PER_DAY : query->step_us;
	size_t most = (size_t)((query->to_us - query->from_us) / span_us) + 1;
	most = most < query->most ? most : query->most;
	walk->edges = ARENA_ARRAY(walk->arena, int64_t, most + 1);
	walk->sums = ARENA_ARRAY(walk->arena, struct series_summary, most + 1);
	walk->rows = ARENA_ARRAY(walk->arena, struct range_row, most + 1);
	if (!walk->edges || !walk->sums || !walk->rows)
		return no_memory(walk->info);
	walk->edges[0] = query->from_us;
	while (walk->steps < most && walk->edges[walk->steps] < query->to_us) {
		int64_t next_us = step_after(query, walk->edges[walk->steps]);
		walk->edges[++walk->steps] = next_us < query->to_us ? next_us : query->to_us;
	}
	walk->to_us = walk->edges[walk->steps];
	if (walk->to_us < query->to_us)
		walk->next_us = walk->to_us;
	return ERR_OK;
}

/* The step that holds a moment; `steps` behind the last one, SIZE_MAX before the first. */
static size_t step_of(const struct walk *walk, int64_t time_us)
{
	if (time_us < walk->from_us)
		return SIZE_MAX;
	if (time_us >= walk->to_us)
		return walk->steps;
	if (!walk->query->month_steps) /* all of one length but the last, which may be cut */
		return (size_t)((time_us - walk->from_us) / walk->query->step_us);
	size_t low = 0, high = walk->steps;
	while (low + 1 < high) {
		size_t middle = (low + high) / 2;
		if (walk->edges[middle] <= time_us)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static bool in_one_step(const struct walk *walk, int64_t from_us, int64_t to_us)
{
	return step_of(walk, from_us) == step_of(walk, to_us - 1);
}

/* ---- pieces ---- */

/* The integral of the straight line from the reading that ends `left` to the one that begins `right` over the part of it
 * that lies in [begin_us, end_us), given to the steps that it crosses. */
static void line_share(struct walk *walk, const struct series_summary *left, const struct series_summary *right,
	int64_t begin_us, int64_t end_us)
{
	double slope = (right->first - left->last) / (double)(right->first_us - left->last_us);
	for (int64_t at_us = begin_us, next_us; at_us < end_us; at_us = next_us) {
		size_t step = step_of(walk, at_us);
		int64_t edge_us = step == SIZE_MAX     ? walk->from_us
				  : step < walk->steps ? walk->edges[step + 1]
						       : INT64_MAX;
		next_us = edge_us < end_us ? edge_us : end_us;
		if (step >= walk->steps)
			continue;
		double middle =
			left->last + slope * ((double)(at_us - left->last_us) + (double)(next_us - at_us) * 0.5);
		walk->sums[step].integral += middle * ((double)(next_us - at_us) / 1e6);
		walk->sums[step].covered_us += next_us - at_us;
	}
}

/* As series_join, but a gap inside an hour may be cut by the edges of several steps: each hour owns its side of the gap, and
 * each step its part of that. */
static void seam_share(struct walk *walk, const struct series_summary *left, const struct series_summary *right)
{
	int64_t gap_us = right->first_us - left->last_us;
	if (left->count == 0 || gap_us <= 0 || gap_us > GAP_PERIODS * walk->period_us)
		return;
	int64_t left_end_us = clock_hour_start(left->last_us) + CLOCK_US_PER_HOUR;
	int64_t right_start_us = clock_hour_start(right->first_us);
	if (right_start_us < left_end_us) {
		line_share(walk, left, right, left->last_us, right->first_us);
		return;
	}
	line_share(walk, left, right, left->last_us, left_end_us);
	line_share(walk, left, right, right_start_us, right->first_us);
}

static void piece_add(struct walk *walk, const struct series_summary *piece)
{
	if (piece->count == 0)
		return;
	size_t step = step_of(walk, piece->from_us);
	if (step < walk->steps)
		series_fold(&walk->sums[step], piece);
	if (walk->query->aggregate != AGGREGATE_INTEGRAL)
		return;
	seam_share(walk, &walk->last, piece);
	walk->last = *piece;
}

static uint8_t overlaid(const struct walk *walk, const struct series_point *point)
{
	uint8_t quality = point->quality;
	for (size_t i = 0; i < walk->overlay_count; i++) {
		const struct overlay *overlay = &walk->overlays[i];
		if (point->time_us >= overlay->from_us && point->time_us < overlay->to_us && overlay->quality > quality)
			quality = (uint8_t)overlay->quality; /* an overlay can only lower */
	}
	return quality;
}

/* ---- percentiles: a step's points are gathered, then ranked ---- */

static enum err percentile_end(struct walk *walk)
{
	if (walk->point_count == 0)
		return ERR_OK;
	struct arena *arena = arena_new(0);
	double value;
	enum err err = arena ? series_percentile(walk->points, walk->point_count, walk->query->fraction, arena, &value)
			     : ERR_NO_MEMORY;
	arena_free(&arena);
	if (err)
		return err_set(walk->info, err, NULL, "a step holds too many readings for a percentile");
	walk->rows[walk->point_step].value = value;
	walk->rows[walk->point_step].count = walk->point_count;
	walk->point_count = 0;
	return ERR_OK;
}

static enum err percentile_add(struct walk *walk, const struct series_point *points, size_t count)
{
	size_t step = step_of(walk, points[0].time_us);
	if (step >= walk->steps)
		return ERR_OK;
	enum err err = step != walk->point_step ? percentile_end(walk) : ERR_OK;
	if (err)
		return err;
	walk->point_step = step;
	if (walk->point_count + count > walk->point_capacity) {
		size_t capacity = 2 * (walk->point_count + count);
		struct series_point *larger = realloc(walk->points, capacity * sizeof *larger);
		if (!larger)
			return no_memory(walk->info);
		walk->points = larger;
		walk->point_capacity = capacity;
	}
	memcpy(walk->points + walk->point_count, points, count * sizeof *points);
	walk->point_count += count;
	return ERR_OK;
}

/* ---- hours ---- */

/* The end of the piece that begins at piece_us: of its step, or of the hour. */
static int64_t piece_end(const struct walk *walk, int64_t piece_us, int64_t hour_end_us)
{
	size_t step = step_of(walk, piece_us);
	int64_t edge_us = step == SIZE_MAX ? walk->from_us : step < walk->steps ? walk->edges[step + 1] : INT64_MAX;
	return edge_us < hour_end_us ? edge_us : hour_end_us;
}

/* Cuts decoded points at the steps' edges and at the page's ends. */
static enum err points_add(struct walk *walk, int64_t hour_us, const struct series_point *points, size_t count)
{
	int64_t hour_end_us = hour_us + CLOCK_US_PER_HOUR, piece_us = hour_us;
	enum err err = ERR_OK;
	for (size_t begin = 0, end; piece_us < hour_end_us && !err; begin = end) {
		int64_t piece_end_us = piece_end(walk, piece_us, hour_end_us);
		for (end = begin; end < count && points[end].time_us < piece_end_us; end++)
			continue;
		if (end > begin && walk->query->aggregate == AGGREGATE_PERCENTILE) {
			err = percentile_add(walk, points + begin, end - begin);
		} else if (end > begin) {
			struct series_summary piece;
			series_summarise(points + begin, end - begin, piece_us, piece_end_us, walk->period_us, &piece);
			piece_add(walk, &piece);
		}
		piece_us = piece_end_us;
	}
	return err;
}

/* The same out of the columns, without points. */
static void columns_add(struct walk *walk, int64_t hour_us, const struct series_columns *columns)
{
	bool extremes = walk->query->aggregate == AGGREGATE_MIN || walk->query->aggregate == AGGREGATE_MAX;
	int64_t hour_end_us = hour_us + CLOCK_US_PER_HOUR, piece_us = hour_us;
	for (size_t begin = 0, end; piece_us < hour_end_us && begin < columns->count; begin = end) {
		int64_t piece_end_us = piece_end(walk, piece_us, hour_end_us);
		end = series_columns_find(columns, begin, piece_end_us);
		if (end > begin) {
			struct series_summary piece;
			series_columns_summarise(columns, begin, end, extremes, &piece);
			piece.from_us = piece_us;
			piece.to_us = piece_end_us;
			piece_add(walk, &piece);
		}
		piece_us = piece_end_us;
	}
}

/* True when the query is full: next_us then says where to go on. */
static bool raw_add(struct walk *walk, const struct series_point *points, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (points[i].time_us < walk->from_us || points[i].time_us >= walk->to_us)
			continue;
		if (walk->row_count == walk->query->most) {
			walk->next_us = points[i].time_us;
			return true;
		}
		walk->rows[walk->row_count++] = (struct range_row){.time_us = points[i].time_us,
			.value = points[i].value,
			.count = 1,
			.quality = overlaid(walk, &points[i])};
	}
	return false;
}

static bool wants_points(const struct walk *walk, int64_t hour_us)
{
	return walk->query->aggregate == AGGREGATE_RAW || walk->query->aggregate == AGGREGATE_PERCENTILE ||
	       hours_open_at(&walk->hours, hour_us) || !in_one_step(walk, hour_us, hour_us + CLOCK_US_PER_HOUR);
}

static const struct series_summary *part_at(const struct rollup *day, int64_t hour_us)
{
	for (size_t i = 0; i < day->count; i++)
		if (day->parts[i].from_us == hour_us)
			return &day->parts[i];
	return NULL;
}

/* One hour that wants decoding: its columns where they are enough, which is where nothing depends on single points. */
static enum err hour_add(struct walk *walk, int64_t hour_us, const struct bucket_row *rows, size_t row_count,
	struct arena *arena, bool *ret_full)
{
	enum aggregate aggregate = walk->query->aggregate;
	bool whole = aggregate != AGGREGATE_RAW && aggregate != AGGREGATE_PERCENTILE &&
		     aggregate != AGGREGATE_INTEGRAL && !hours_open_at(&walk->hours, hour_us);
	struct series_columns columns;
	struct series_point *points;
	size_t count;
	enum err err = whole ? hours_columns(hour_us, rows, row_count, arena, &columns, walk->info) : ERR_OK;
	if (!err && whole && columns.plain) {
		columns_add(walk, hour_us, &columns);
		return ERR_OK;
	}
	if (!err)
		err = hours_points(&walk->hours, hour_us, rows, row_count, arena, &points, &count, walk->info);
	if (err || count == 0)
		return err;
	if (aggregate != AGGREGATE_RAW)
		return points_add(walk, hour_us, points, count);
	*ret_full = raw_add(walk, points, count);
	return ERR_OK;
}

/* The hours of one day inside [begin_us, end_us), some out of their summaries, some decoded with one read of their rows. */
static enum err day_walk(struct walk *walk, const struct rollup *day, int64_t begin_us, int64_t end_us, bool *ret_full)
{
	int64_t first_us = INT64_MAX, last_us = INT64_MIN;
	struct bucket_row *rows = NULL;
	size_t row_count = 0;
	enum err err = ERR_OK;
	begin_us = begin_us > day->start_us ? clock_hour_start(begin_us) : day->start_us;
	end_us = end_us < day->start_us + CLOCK_US_PER_DAY ? end_us : day->start_us + CLOCK_US_PER_DAY;
	for (int64_t hour_us = begin_us; hour_us < end_us; hour_us += CLOCK_US_PER_HOUR) {
		if (!wants_points(walk, hour_us) || (!part_at(day, hour_us) && !hours_open_at(&walk->hours, hour_us)))
			continue;
		first_us = hour_us < first_us ? hour_us : first_us;
		last_us = hour_us;
	}
	struct arena *arena = NULL;
	if (first_us <= last_us) {
		arena = arena_new(0);
		if (!arena)
			return no_memory(walk->info);
		err = hours_rows(
			&walk->hours, first_us, last_us + CLOCK_US_PER_HOUR, arena, &rows, &row_count, walk->info);
	}
	for (int64_t hour_us = begin_us; hour_us < end_us && !err && !*ret_full; hour_us += CLOCK_US_PER_HOUR) {
		const struct series_summary *part = part_at(day, hour_us);
		if (!part && !hours_open_at(&walk->hours, hour_us))
			continue;
		if (!wants_points(walk, hour_us)) {
			piece_add(walk, part);
			continue;
		}
		err = hour_add(walk, hour_us, rows, row_count, arena, ret_full);
		if (err == ERR_RAW_EXPIRED && part && walk->query->aggregate != AGGREGATE_RAW &&
			walk->query->aggregate != AGGREGATE_PERCENTILE &&
			in_one_step(walk, hour_us, hour_us + CLOCK_US_PER_HOUR)) {
			piece_add(
				walk, part); /* something came late for an hour whose raw is gone: it will be refused */
			err = ERR_OK;
		}
	}
	arena_free(&arena);
	return err;
}

/* ---- days ---- */

static bool open_in(const struct hours *hours, int64_t from_us, int64_t to_us)
{
	for (size_t i = 0; i < hours->open_count; i++)
		if (hours->open[i].hour_us >= from_us && hours->open[i].hour_us < to_us)
			return true;
	return false;
}

static enum err rollups_find(struct walk *walk, enum rollup_level level, int64_t from_us, int64_t to_us,
	struct arena *arena, struct rollup_row **ret_rows, size_t *ret_count)
{
	struct rollup_row low = {.sensor_id = walk->query->sensor, .level = (int)level}, from = low, to = low;
	struct store_query query = {.collection = &rollups_collection,
		.low = &low,
		.prefix = 2,
		.from = &from,
		.to = &to,
		.most = PAGE_ROLLUPS};
	void *rows = NULL;
	from.start_us = from_us;
	to.start_us = to_us;
	enum err err = store_find(walk->hours.buckets->options.store, &query, arena, &rows, ret_count, walk->info);
	*ret_rows = rows;
	return err;
}

/* Days between two rolled-up ones that have only open hours. */
static enum err open_days_walk(
	struct walk *walk, int64_t *at_us, int64_t until_us, int64_t begin_us, int64_t end_us, bool *ret_full)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < walk->hours.open_count && !err && !*ret_full; i++) {
		int64_t day_us = clock_day_start(walk->hours.open[i].hour_us);
		if (day_us < *at_us || day_us >= until_us)
			continue;
		struct rollup day = {.sensor = walk->query->sensor, .start_us = day_us};
		err = day_walk(walk, &day, begin_us, end_us, ret_full);
		*at_us = day_us + CLOCK_US_PER_DAY;
	}
	return err;
}

static enum err days_walk(struct walk *walk, int64_t begin_us, int64_t end_us)
{
	int64_t at_us = clock_day_start(begin_us);
	bool full = false;
	enum err err = ERR_OK;
	for (size_t count = PAGE_ROLLUPS; count == PAGE_ROLLUPS && !err && !full;) {
		struct arena *arena = arena_new(0);
		struct rollup_row *rows;
		if (!arena)
			return no_memory(walk->info);
		err = rollups_find(walk, ROLLUP_DAY, at_us, end_us, arena, &rows, &count);
		for (size_t i = 0; i < count && !err && !full; i++) {
			struct rollup day;
			err = rollup_decode(&rows[i], &day);
			if (err) {
				err_set(walk->info, err, NULL, "a roll-up does not decode");
				break;
			}
			err = open_days_walk(walk, &at_us, day.start_us, begin_us, end_us, &full);
			if (!err && !full)
				err = day_walk(walk, &day, begin_us, end_us, &full);
			at_us = day.start_us + CLOCK_US_PER_DAY;
		}
		arena_free(&arena);
	}
	if (!err && !full)
		err = open_days_walk(walk, &at_us, INT64_MAX, begin_us, end_us, &full);
	return err;
}

/* Whole days out of a month's roll-up where each lies in one step, the rest day by day. */
static enum err month_walk(struct walk *walk, const struct rollup *month, int64_t *at_us, int64_t end_us)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < month->count && !err; i++) {
		const struct series_summary *day = &month->parts[i];
		if (day->from_us < *at_us)
			continue;
		if (day->from_us >= end_us)
			return ERR_OK;
		int64_t day_end_us = day->from_us + CLOCK_US_PER_DAY;
		if (day_end_us > end_us || !in_one_step(walk, day->from_us, day_end_us) ||
			open_in(&walk->hours, *at_us, day_end_us)) {
			err = days_walk(walk, *at_us, day_end_us < end_us ? day_end_us : end_us);
		} else {
			piece_add(walk, day);
		}
		*at_us = day_end_us;
	}
	return err;
}

static enum err months_walk(struct walk *walk, int64_t begin_us, int64_t end_us)
{
	int64_t at_us = begin_us;
	int64_t whole_us = clock_day_start(begin_us + CLOCK_US_PER_DAY - 1);
	enum err err = ERR_OK;
	if (whole_us > begin_us) {
		at_us = whole_us < end_us ? whole_us : end_us;
		err = days_walk(walk, begin_us, at_us);
	}
	struct arena *arena = arena_new(0);
	struct rollup *month = malloc(sizeof *month);
	struct rollup_row *rows;
	size_t count = 0;
	if (!arena || !month)
		err = no_memory(walk->info);
	while (!err && at_us < end_us) {
		arena_reset(arena);
		err = rollups_find(walk, ROLLUP_MONTH, clock_month_start(at_us), end_us, arena, &rows, &count);
		for (size_t i = 0; i < count && !err; i++) {
			err = rollup_decode(&rows[i], month);
			if (!err)
				err = month_walk(walk, month, &at_us, end_us);
			if (!err && i + 1 == count && count == PAGE_ROLLUPS)
				at_us = clock_next_month(month->start_us);
		}
		if (!err && count < PAGE_ROLLUPS) {
			err = days_walk(walk, at_us, end_us); /* what is open behind the last month with a closed day */
			at_us = end_us;
		}
	}
	free(month);
	arena_free(&arena);
	return err;
}

/* ---- answers ---- */

static void rows_finish(struct walk *walk)
{
	for (size_t i = 0; i < walk->steps; i++) {
		const struct series_summary *sum = &walk->sums[i];
		struct range_row *row = &walk->rows[i];
		row->time_us = walk->edges[i];
		if (walk->query->aggregate == AGGREGATE_PERCENTILE)
			continue;
		row->count = sum->count;
		row->value = NAN;
		if (sum->count == 0 && walk->query->aggregate != AGGREGATE_COUNT)
			continue;
		switch (walk->query->aggregate) {
		case AGGREGATE_MEAN: row->value = sum->sum / (double)sum->count; break;
		case AGGREGATE_MIN: row->value = sum->min; break;
		case AGGREGATE_MAX: row->value = sum->max; break;
		case AGGREGATE_FIRST: row->value = sum->first; break;
		case AGGREGATE_LAST: row->value = sum->last; break;
		case AGGREGATE_SUM: row->value = sum->sum; break;
		case AGGREGATE_INTEGRAL: row->value = sum->integral; break;
		case AGGREGATE_COUNT: row->value = (double)sum->count; break;
		case AGGREGATE_RAW:
		case AGGREGATE_PERCENTILE: break;
		}
	}
	walk->row_count = walk->steps;
}

static enum err query_check(const struct range_query *query, struct err_info *info)
{
	bool raw = query->aggregate == AGGREGATE_RAW;
	if (query->from_us >= query->to_us)
		return err_set(info, ERR_INVALID_FIELD, "/to", "to must be after from");
	if (query->to_us > RANGE_MAX_US || query->from_us < -RANGE_MAX_US)
		return err_set(info, ERR_INVALID_FIELD, "/from", "the time is too far away");
	if (!raw && !query->month_steps && query->step_us < CLOCK_US_PER_SECOND)
		return err_set(info, ERR_INVALID_FIELD, "/step", "a step is at least one second");
	if (raw && (query->month_steps || query->step_us))
		return err_set(info, ERR_INVALID_FIELD, "/step", "raw readings have no step");
	if (query->most == 0)
		return err_set(info, ERR_INVALID_FIELD, "/limit", "at least one row must be asked for");
	if (query->aggregate == AGGREGATE_PERCENTILE && !(query->fraction >= 0 && query->fraction <= 1))
		return err_set(info, ERR_INVALID_FIELD, "/fraction", "a percentile's fraction is 0..1");
	return ERR_OK;
}

/* How far outside the range a reading can lie that still shares a gap with one inside. */
static int64_t context_us(const struct walk *walk)
{
	return walk->query->aggregate == AGGREGATE_INTEGRAL ? 3 * walk->period_us + CLOCK_US_PER_HOUR : 0;
}

enum err buckets_range(struct buckets *buckets, const struct range_query *query, const struct overlay *overlays,
	size_t overlay_count, struct arena *arena, struct range_row **ret_rows, size_t *ret_count, int64_t *ret_next_us,
	struct err_info *info)
{
	struct walk walk = {.query = query,
		.arena = arena,
		.info = info,
		.overlays = overlays,
		.overlay_count = overlay_count,
		.period_us = buckets_rules(buckets, query->sensor).sampling_period_us,
		.from_us = query->from_us,
		.to_us = query->to_us,
		.next_us = FIELD_ABSENT};
	enum err err = query_check(query, info);
	if (err)
		return err;
	if (query->aggregate != AGGREGATE_RAW)
		err = edges_make(&walk);
	else if (!(walk.rows = ARENA_ARRAY(arena, struct range_row, query->most)))
		err = no_memory(info);
	if (err)
		return err;
	for (size_t i = 0; i < walk.steps; i++)
		walk.rows[i].value = NAN;
	int64_t begin_us = walk.from_us - context_us(&walk), end_us = walk.to_us + context_us(&walk);
	err = hours_open(&walk.hours, buckets, query->sensor, begin_us, end_us, arena, info);
	bool by_day = query->month_steps || query->step_us >= CLOCK_US_PER_DAY;
	if (!err && by_day && query->aggregate != AGGREGATE_PERCENTILE)
		err = months_walk(&walk, begin_us, end_us);
	else if (!err)
		err = days_walk(&walk, begin_us, end_us);
	if (!err && query->aggregate == AGGREGATE_PERCENTILE)
		err = percentile_end(&walk);
	free(walk.points);
	if (err)
		return err;
	if (query->aggregate != AGGREGATE_RAW)
		rows_finish(&walk);
	*ret_rows = walk.rows;
	*ret_count = walk.row_count;
	*ret_next_us = walk.next_us;
	return ERR_OK;
}

/* ---- buckets and the newest reading ---- */

static enum err bucket_of(const struct bucket_row *row, struct bucket *ret_bucket, struct err_info *info)
{
	size_t used;
	*ret_bucket = (struct bucket){.sensor = row->sensor_id,
		.hour_us = row->hour_us,
		.revision = row->revision,
		.content_hash = row->content_hash,
		.columns = row->columns.data,
		.columns_size = row->columns.size};
	if (series_summary_decode(row->summary.data, row->summary.size, &ret_bucket->summary, &used))
		return err_set(info, ERR_STORE_CORRUPT, NULL, "a bucket's summary does not decode");
	return ERR_OK;
}

enum err buckets_find(struct buckets *buckets, struct id sensor, int64_t from_us, int64_t to_us, struct arena *arena,
	struct bucket **ret_buckets, size_t *ret_count, struct err_info *info)
{
	struct hours hours = {.buckets = buckets, .sensor = sensor};
	struct bucket_row *rows;
	size_t count;
	*ret_count = 0;
	int64_t first_us = clock_hour_start(from_us);
	enum err err = hours_rows(&hours, first_us < from_us ? first_us + CLOCK_US_PER_HOUR : first_us, to_us, arena,
		&rows, &count, info);
	if (err)
		return err;
	*ret_buckets = ARENA_ARRAY(arena, struct bucket, count + 1);
	if (!*ret_buckets)
		return no_memory(info);
	for (size_t i = 0; i < count && !err; i++) {
		bool newest = i + 1 == count || rows[i + 1].hour_us != rows[i].hour_us;
		if (newest && rows[i].count > 0)
			err = bucket_of(&rows[i], &(*ret_buckets)[(*ret_count)++], info);
	}
	return err;
}

enum err buckets_get(struct buckets *buckets, struct id sensor, int64_t hour_us, int64_t revision, struct arena *arena,
	struct bucket *ret_bucket, struct err_info *info)
{
	struct bucket_row row = {.sensor_id = sensor, .hour_us = hour_us, .revision = revision};
	enum err err = store_get(buckets->options.store, &buckets_collection, &row, arena, info);
	return err ? err : bucket_of(&row, ret_bucket, info);
}

/* Of a sensor whose hours another daemon builds, or that nothing has come for since the start: out of the store. */
static enum err latest_stored(
	struct buckets *buckets, struct id sensor, struct series_point *newest, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct open_row low = {.sensor_id = sensor};
	struct store_query query = {
		.collection = &open_buckets_collection, .low = &low, .prefix = 1, .descending = true, .most = 1};
	struct series_point closed, *points;
	int64_t hour_us;
	void *found = NULL;
	size_t rows = 0, count = 0;
	enum err err = arena ? sensor_newest_closed(buckets->options.store, sensor, arena, &hour_us, &closed, info)
			     : no_memory(info);
	if (!err && closed.time_us > newest->time_us)
		*newest = closed;
	if (!err && buckets->partitions)
		err = store_find(buckets->options.store, &query, arena, &found, &rows, info);
	const struct open_row *row = found;
	if (!err && rows && row->columns.data)
		err = series_decode(row->columns.data, row->columns.size, BUCKET_READINGS_MAX, arena, &points, &count);
	if (!err && count && points[count - 1].time_us > newest->time_us)
		*newest = points[count - 1];
	arena_free(&arena);
	return err;
}

/* The newest that the tail has; false where it is not whole. Under the shard's lock. */
static bool latest_of_tail(const struct shard *shard, struct id sensor, struct series_point *newest)
{
	const struct tail *tail = &shard->tail;
	struct arena *arena = arena_new(0);
	struct series_point *points;
	size_t count = 0;
	bool whole = arena && !shard->behind && tail_is_whole(tail, shard->row_positions) &&
		     tail_points(tail, sensor, INT64_MIN, INT64_MAX, arena, &points, &count);
	for (size_t i = 0; whole && i < count; i++)
		if (points[i].time_us >= newest->time_us)
			*newest = points[i];
	arena_free(&arena);
	return whole;
}

enum err buckets_latest(struct buckets *buckets, struct id sensor, struct range_row *ret_row, struct err_info *info)
{
	struct shard *shard = buckets_shard_of(buckets, sensor);
	struct series_point newest = {.time_us = INT64_MIN};
	enum err err = buckets->partitions ? partitions_current(buckets, info) : ERR_OK;
	if (err)
		return err;
	pthread_mutex_lock(&shard->lock);
	bool owned = shard->owned, whole = owned || latest_of_tail(shard, sensor, &newest);
	const struct sensor_state *state = owned ? shard_sensor(shard, sensor) : NULL;
	if (state)
		newest = (struct series_point){
			.time_us = state->newest_us, .value = state->newest_value, .quality = state->newest_quality};
	bool known = state;
	pthread_mutex_unlock(&shard->lock);
	if (!whole)
		return err_set(info, ERR_BUSY, NULL, "another daemon begins to build the sensor's hours");
	if (!known)
		err = latest_stored(buckets, sensor, &newest, info);
	if (err)
		return err;
	*ret_row = (struct range_row){.value = NAN};
	if (newest.time_us != INT64_MIN)
		*ret_row = (struct range_row){
			.time_us = newest.time_us, .value = newest.value, .count = 1, .quality = newest.quality};
	return ERR_OK;
}
