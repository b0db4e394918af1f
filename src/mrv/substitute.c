/* Substitution of missing hours by the tiers of 40 CFR 75.33, mirrored for deductions, where the methodology allows it and an
 * independent operating signal proves that the plant ran. The look-back is the newest 720 hours before the gap that were
 * GOOD while the plant ran; with fewer, or an availability below 80 %, the gap stays as it is: zero for credits, the
 * nameplate for deductions. Pure. */
#include <stdlib.h>
#include <string.h>

#include "parts.h"

#define TIER_HIGH_PPM INT64_C(950000)
#define TIER_LOW_PPM  INT64_C(800000)
#define SHORT_GAP     INT64_C(24)
#define UNKNOWN       ((char)2)

/* What is known of an hour before, in or just after the period. */
struct past {
	char good, ran; /* 0, 1, UNKNOWN */
	int64_t amount;
};

struct history {
	struct meter_series *series;
	struct operating *operating;
	int64_t base_us;
	size_t count;
	struct past *hours;
};

static enum err look(struct history *history, int64_t hour_us, struct past *ret_past, struct err_info *info)
{
	int64_t index = (hour_us - history->base_us) / CLOCK_US_PER_HOUR;
	const struct meter_series *series = history->series;
	if (index < 0 || index >= (int64_t)history->count) {
		*ret_past = (struct past){0};
		return ERR_OK;
	}
	struct past *past = &history->hours[index];
	if (past->ran == UNKNOWN) {
		bool ran;
		enum err err = operating_hour(history->operating, hour_us, &ran, info);
		if (err)
			return err;
		past->ran = ran;
	}
	int64_t own = (hour_us - series->from_us) / CLOCK_US_PER_HOUR;
	if (past->good == UNKNOWN && hour_us >= series->from_us && own < (int64_t)series->count) {
		past->good = series->hours[own].good;
		past->amount = series->hours[own].measured;
	} else if (past->good == UNKNOWN) {
		struct amount amount;
		int64_t good_ppm = history->operating->good_hour_ppm;
		enum err err = gauge_hour(&history->series->gauge, hour_us, &amount, info);
		if (err)
			return err;
		double value =
			history->series->gauge.meter->power ? amount.value / 3600.0 : amount.value * (double)MG_PER_KG;
		value = value * (double)history->series->gauge.point->share_ppm / (double)PPM;
		past->good = amount.covered_us >= CLOCK_US_PER_HOUR / PPM * good_ppm;
		if (!(history->series->gauge.credit ? round_down(value, &past->amount)
						    : round_up(value, &past->amount)))
			return err_set(
				info, ERR_OVERFLOW, "", "an hour before the period is past any plant's quantity");
	}
	*ret_past = *past;
	return ERR_OK;
}

struct lookback {
	int64_t *amounts; /* GOOD while the plant ran, sorted */
	size_t count;
	int64_t operating_hours;
};

static int compare_amounts(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return left < right ? -1 : left > right;
}

static enum err look_back(
	struct history *history, int64_t gap_us, size_t wanted, struct lookback *lookback, struct err_info *info)
{
	lookback->count = 0;
	lookback->operating_hours = 0;
	for (int64_t at = gap_us - CLOCK_US_PER_HOUR; at >= history->base_us && lookback->count < wanted;
		at -= CLOCK_US_PER_HOUR) {
		struct past past;
		enum err err = look(history, at, &past, info);
		if (err)
			return err;
		lookback->operating_hours += past.ran;
		if (past.ran && past.good)
			lookback->amounts[lookback->count++] = past.amount;
	}
	qsort(lookback->amounts, lookback->count, sizeof *lookback->amounts, compare_amounts);
	return ERR_OK;
}

/* The rank's value: down for credits (share from below), up for deductions (share from above). */
static int64_t percentile(const struct lookback *lookback, size_t percent, bool credit)
{
	size_t rank = (lookback->count - 1) * percent / 100;
	return lookback->amounts[credit ? rank : lookback->count - 1 - rank];
}

/* A gap: hours without a GOOD quantity in a row. */
struct gap {
	int64_t from_us, to_us;
	bool bounded; /* a GOOD hour on both sides */
	int64_t before, after;
};

/* The tier's amount per hour; false: none, the gap stays as it is. */
static bool choose(const struct gap *gap, const struct lookback *lookback, size_t wanted, bool credit,
	struct mrv_substitution *row)
{
	int64_t hours = (gap->to_us - gap->from_us) / CLOCK_US_PER_HOUR;
	if (lookback->count < wanted ||
		!muldiv_floor((int64_t)wanted, PPM, lookback->operating_hours, &row->availability_ppm))
		return false;
	if (row->availability_ppm < TIER_LOW_PPM)
		return false;
	if (row->availability_ppm < TIER_HIGH_PPM) {
		row->tier = credit ? "minimum" : "maximum";
		row->rate_per_hour = lookback->amounts[credit ? 0 : lookback->count - 1];
	} else if (hours > SHORT_GAP || !gap->bounded) {
		row->tier = credit ? "percentile_5" : "percentile_95";
		row->rate_per_hour = percentile(lookback, 5, credit);
	} else {
		int64_t tenth = percentile(lookback, 10, credit);
		int64_t mean = credit ? (gap->before + gap->after) / 2 : (gap->before + gap->after + 1) / 2;
		bool neighbours = credit ? mean < tenth : mean > tenth;
		row->tier = neighbours ? "neighbours" : credit ? "percentile_10" : "percentile_90";
		row->rate_per_hour = neighbours ? mean : tenth;
	}
	return true;
}

/* Fills one hour; what was there of nameplate fill goes. */
static bool fill(struct meter_series *series, struct meter_hour *hour, struct mrv_substitution *row)
{
	int64_t part, change;
	bool credit = series->gauge.credit;
	if (!(credit ? muldiv_floor(row->rate_per_hour, hour->missing_us, CLOCK_US_PER_HOUR, &part)
		     : muldiv_ceil(row->rate_per_hour, hour->missing_us, CLOCK_US_PER_HOUR, &part)))
		return false;
	/* never past what stood there for a deduction: the nameplate is the worst */
	if (!credit && part > hour->amount - hour->measured)
		part = hour->amount - hour->measured;
	change = hour->measured + part - hour->amount;
	hour->amount += change;
	hour->substituted = true;
	row->amount += part;
	for (size_t i = 0; i < series->gauge.input_count; i++)
		series->weight[i] += change;
	return true;
}

static enum err fill_gap(
	struct history *history, const struct gap *gap, struct mrv_substitution *row, struct err_info *info)
{
	struct meter_series *series = history->series;
	for (size_t i = 0; i < series->count; i++) {
		int64_t hour_us = series->from_us + (int64_t)i * CLOCK_US_PER_HOUR;
		struct past past;
		if (hour_us < gap->from_us || hour_us >= gap->to_us)
			continue;
		enum err err = look(history, hour_us, &past, info);
		if (err)
			return err;
		if (past.ran && !fill(series, &series->hours[i], row))
			return err_set(info, ERR_OVERFLOW, "", "a substitution is past any plant's quantity");
	}
	return ERR_OK;
}

/* Widens a gap that touches the period's ends into what lies around it. */
static enum err widen(struct history *history, struct gap *gap, struct err_info *info)
{
	struct past past = {0};
	enum err err = ERR_OK;
	int64_t before_us = gap->from_us - CLOCK_US_PER_HOUR;
	while (err == ERR_OK && before_us >= history->base_us) {
		err = look(history, before_us, &past, info);
		if (err || past.good)
			break;
		gap->from_us = before_us;
		before_us -= CLOCK_US_PER_HOUR;
	}
	if (err)
		return err;
	gap->bounded = past.good;
	gap->before = past.amount;
	err = look(history, gap->to_us, &past, info);
	gap->bounded = gap->bounded && past.good;
	gap->after = past.amount;
	return err;
}

static enum err add_row(struct substitutions *substitutions, const struct mrv_substitution *row, struct arena *arena)
{
	if (substitutions->count == substitutions->capacity) {
		size_t capacity = substitutions->capacity ? substitutions->capacity * 2 : 32;
		struct mrv_substitution *rows = ARENA_ARRAY(arena, struct mrv_substitution, capacity);
		if (!rows)
			return ERR_NO_MEMORY;
		if (substitutions->count)
			memcpy(rows, substitutions->rows, substitutions->count * sizeof *rows);
		substitutions->rows = rows;
		substitutions->capacity = capacity;
	}
	substitutions->rows[substitutions->count++] = *row;
	return ERR_OK;
}

static enum err history_open(struct history *history, const struct mrv_case *the_case, struct arena *arena)
{
	history->base_us = the_case->from_us - SEARCH_HOURS * CLOCK_US_PER_HOUR;
	history->count = (size_t)SEARCH_HOURS + history->series->count + 1;
	history->hours = ARENA_ARRAY(arena, struct past, history->count);
	if (!history->hours)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < history->count; i++)
		history->hours[i] = (struct past){.good = UNKNOWN, .ran = UNKNOWN};
	return ERR_OK;
}

static enum err substitute_gap(struct history *history, struct gap *gap, struct lookback *lookback, size_t wanted,
	const char *line, struct substitutions *substitutions, struct arena *arena, struct err_info *info)
{
	struct meter_series *series = history->series;
	struct mrv_substitution row = {.point_id = series->gauge.point->id, .line = line};
	int64_t first_us = gap->from_us;
	enum err err = widen(history, gap, info);
	if (err == ERR_OK)
		err = look_back(history, gap->from_us, wanted, lookback, info);
	if (err || !choose(gap, lookback, wanted, series->gauge.credit, &row))
		return err;
	err = fill_gap(history, gap, &row, info);
	row.hour_us = first_us;
	row.hours = (gap->to_us - first_us) / CLOCK_US_PER_HOUR;
	if (err == ERR_OK && row.amount > 0)
		err = add_row(substitutions, &row, arena);
	return err;
}

enum err substitute(struct meter_series *series, struct operating *operating, const struct mrv_case *the_case,
	const char *line, struct substitutions *substitutions, struct arena *arena, struct err_info *info)
{
	size_t wanted = (size_t)the_case->methodology->substitution.lookback_hours;
	struct history history = {.series = series, .operating = operating};
	struct lookback lookback = {0};
	/* the proof must not come from the meter that failed */
	if (!operating || !operating->window || operating->point == series->gauge.point_index)
		return ERR_OK;
	lookback.amounts = ARENA_ARRAY(arena, int64_t, wanted);
	enum err err = lookback.amounts ? history_open(&history, the_case, arena) : ERR_NO_MEMORY;
	for (size_t i = 0; err == ERR_OK && i < series->count; i++) {
		if (series->hours[i].good)
			continue;
		size_t end = i;
		while (end < series->count && !series->hours[end].good)
			end++;
		struct gap gap = {.from_us = series->from_us + (int64_t)i * CLOCK_US_PER_HOUR,
			.to_us = series->from_us + (int64_t)end * CLOCK_US_PER_HOUR};
		err = substitute_gap(&history, &gap, &lookback, wanted, line, substitutions, arena, info);
		i = end;
	}
	return err;
}
