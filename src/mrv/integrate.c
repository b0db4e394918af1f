/* One meter at one point, hour by hour: the formula is evaluated at each reading of the primary input, the others are
 * interpolated between readings that are not a gap apart, and the trapezoids inside the hour are added. A step longer than
 * the methodology's share of the sampling period (1.5 as shipped) is missing time: were it bridged, leaving out a low
 * reading would raise the quantity (P6). Each hour owns its side of a step across the boundary (decision 15). Pure. */
#include <math.h>
#include <string.h>

#include "parts.h"

static const struct mrv_sensor *find_primary(
	const struct mrv_case *the_case, const struct mrv_point *point, const struct input *input, size_t *ret_index)
{
	struct mrv_unit unit;
	for (size_t i = 0; i < the_case->sensor_count; i++) {
		const struct mrv_sensor *sensor = &the_case->sensors[i];
		if (!sensor->primary || !id_equal(sensor->point_id, point->id) ||
			strcmp(sensor->quantity, input->quantity) != 0)
			continue;
		if (!mrv_unit_parse(sensor->unit, &unit) || !mrv_unit_same(&unit, &input->dimension))
			continue;
		*ret_index = i;
		return sensor;
	}
	return NULL;
}

static bool fits(const struct mrv_case *the_case, const struct mrv_point *point, const struct variant *variant,
	size_t sensors[INPUTS_MAX])
{
	const struct input *inputs = variant->inputs.items;
	for (size_t i = 0; i < variant->inputs.count; i++)
		if (!find_primary(the_case, point, &inputs[i], &sensors[i]))
			return false;
	return true;
}

enum err gauge_open(struct gauge *gauge, const struct mrv_case *the_case, const struct mrv_source *source,
	struct reads *reads, const struct meter *meter, size_t point, bool credit, struct err_info *info)
{
	const struct variant *variants = meter->variants.items;
	size_t sensors[INPUTS_MAX];
	*gauge = (struct gauge){
		.meter = meter, .point = &the_case->points[point], .point_index = point, .credit = credit};
	for (size_t v = 0; !gauge->variant && v < meter->variants.count; v++)
		if (fits(the_case, gauge->point, &variants[v], sensors))
			gauge->variant = &variants[v];
	if (!gauge->variant)
		return err_set(info, ERR_METER_MISSING, "",
			"metering point %s has no primary sensors for meter %s: its first form needs %s in %s",
			gauge->point->code, meter->code, ((struct input *)variants[0].inputs.items)[0].quantity,
			((struct input *)variants[0].inputs.items)[0].unit);
	const struct input *inputs = gauge->variant->inputs.items;
	for (; gauge->input_count < gauge->variant->inputs.count; gauge->input_count++) {
		size_t i = gauge->input_count;
		gauge->windows[i] = window_new(the_case, source, reads, sensors[i], &inputs[i], credit);
		if (!gauge->windows[i]) {
			gauge_close(gauge);
			return err_set(info, ERR_NO_MEMORY, "", "no memory for the readings of %s", gauge->point->code);
		}
	}
	return ERR_OK;
}

void gauge_close(struct gauge *gauge)
{
	for (size_t i = 0; i < INPUTS_MAX; i++)
		window_free(&gauge->windows[i]);
}

bool round_down(double value, int64_t *ret)
{
	if (!(value >= 0) || value > (double)MRV_HOUR_MG_MAX)
		return false;
	*ret = (int64_t)value;
	return true;
}

bool round_up(double value, int64_t *ret)
{
	if (!round_down(value, ret))
		return false;
	if ((double)*ret < value)
		++*ret;
	return true;
}

/* Where the other inputs' samples were last found; readings come in order, so each is walked once. */
struct cursor {
	const struct sample *samples;
	size_t count, at;
	int64_t step_max_us;
};

/* The value at `time_us`, interpolated; false in a gap. */
static bool value_at(struct cursor *cursor, int64_t time_us, double *ret_value)
{
	while (cursor->at + 1 < cursor->count && cursor->samples[cursor->at + 1].time_us <= time_us)
		cursor->at++;
	if (cursor->count == 0 || cursor->samples[cursor->at].time_us > time_us)
		return false;
	const struct sample *left = &cursor->samples[cursor->at];
	if (left->time_us == time_us) {
		*ret_value = left->value;
		return true;
	}
	if (cursor->at + 1 == cursor->count || left[1].time_us - left->time_us > cursor->step_max_us)
		return false;
	double part = (double)(time_us - left->time_us) / (double)(left[1].time_us - left->time_us);
	*ret_value = left->value + (left[1].value - left->value) * part;
	return true;
}

/* The formula at one moment; a result that is not finite is missing, one below zero is zero. */
static bool evaluate(
	const struct gauge *gauge, struct cursor *cursors, int64_t time_us, double primary, struct sensed *ret_sensed)
{
	double values[INPUTS_MAX] = {0};
	size_t primary_index = gauge->variant->primary_index;
	for (size_t i = 0; i < gauge->input_count; i++)
		if (i == primary_index)
			values[i] = primary;
		else if (!value_at(&cursors[i], time_us, &values[i]))
			return false;
	expression_evaluate(gauge->variant->tree, values, gauge->input_count, ret_sensed);
	for (size_t i = 0; i < gauge->input_count; i++)
		if (!isfinite(ret_sensed->weight[i]))
			return false;
	if (!isfinite(ret_sensed->value))
		return false;
	if (ret_sensed->value < 0)
		ret_sensed->value = 0;
	return true;
}

static double between(double left, double right, double part)
{
	return left + (right - left) * part;
}

/* Adds the part of the step from left to right that lies in the hour. */
static void add_step(struct amount *amount, int64_t from_us, const struct sensed *left, int64_t to_us,
	const struct sensed *right, int64_t hour_us, size_t inputs)
{
	int64_t start = from_us > hour_us ? from_us : hour_us;
	int64_t end = to_us < hour_us + CLOCK_US_PER_HOUR ? to_us : hour_us + CLOCK_US_PER_HOUR;
	if (end <= start)
		return;
	double whole = (double)(to_us - from_us);
	double first = (double)(start - from_us) / whole, last = (double)(end - from_us) / whole;
	double half_seconds = (double)(end - start) / (2.0 * (double)CLOCK_US_PER_SECOND);
	amount->value +=
		half_seconds * (between(left->value, right->value, first) + between(left->value, right->value, last));
	for (size_t i = 0; i < inputs; i++)
		amount->weight[i] += half_seconds * (between(left->weight[i], right->weight[i], first) +
							    between(left->weight[i], right->weight[i], last));
	amount->covered_us += end - start;
}

/* Integrates an instantaneous rate over [hour, hour + 1 h). */
static void integrate_rate(const struct gauge *gauge, struct cursor *cursors, int64_t hour_us, struct amount *amount)
{
	const struct cursor *primary = &cursors[gauge->variant->primary_index];
	size_t i = 0;
	while (i + 1 < primary->count && primary->samples[i + 1].time_us <= hour_us)
		i++;
	struct sensed left = {0}, right = {0};
	bool have_left = i < primary->count &&
			 evaluate(gauge, cursors, primary->samples[i].time_us, primary->samples[i].value, &left);
	for (; i + 1 < primary->count; i++) {
		const struct sample *at = &primary->samples[i];
		if (at->time_us >= hour_us + CLOCK_US_PER_HOUR)
			break;
		bool have_right = evaluate(gauge, cursors, at[1].time_us, at[1].value, &right);
		if (have_left && have_right && at[1].time_us - at->time_us <= primary->step_max_us)
			add_step(amount, at->time_us, &left, at[1].time_us, &right, hour_us, gauge->input_count);
		have_left = have_right;
		left = right;
	}
}

/* As above for a counter: its difference over a step is the rate in it; a fall (reset) is missing time. */
static void integrate_counter(const struct gauge *gauge, struct cursor *cursors, int64_t hour_us, struct amount *amount)
{
	const struct cursor *primary = &cursors[gauge->variant->primary_index];
	for (size_t i = 0; i + 1 < primary->count; i++) {
		const struct sample *at = &primary->samples[i];
		int64_t step_us = at[1].time_us - at->time_us;
		struct sensed left, right;
		if (at[1].time_us <= hour_us)
			continue;
		if (at->time_us >= hour_us + CLOCK_US_PER_HOUR)
			break;
		if (step_us > primary->step_max_us || at[1].value < at->value)
			continue;
		double rate = (at[1].value - at->value) / ((double)step_us / (double)CLOCK_US_PER_SECOND);
		if (evaluate(gauge, cursors, at->time_us, rate, &left) &&
			evaluate(gauge, cursors, at[1].time_us, rate, &right))
			add_step(amount, at->time_us, &left, at[1].time_us, &right, hour_us, gauge->input_count);
	}
}

enum err gauge_hour(struct gauge *gauge, int64_t hour_us, struct amount *ret_amount, struct err_info *info)
{
	struct cursor cursors[INPUTS_MAX] = {0};
	const struct input *inputs = gauge->variant->inputs.items;
	*ret_amount = (struct amount){0};
	for (size_t i = 0; i < gauge->input_count; i++) {
		enum err err = window_seek(gauge->windows[i], hour_us, info);
		if (err)
			return err;
		cursors[i].samples = window_samples(gauge->windows[i], &cursors[i].count);
		cursors[i].step_max_us = window_step_max_us(gauge->windows[i]);
	}
	if (inputs[gauge->variant->primary_index].counter)
		integrate_counter(gauge, cursors, hour_us, ret_amount);
	else
		integrate_rate(gauge, cursors, hour_us, ret_amount);
	if (ret_amount->covered_us > CLOCK_US_PER_HOUR)
		ret_amount->covered_us = CLOCK_US_PER_HOUR;
	return ERR_OK;
}

/* ---- a series of meter-hours ---- */

/* Base units (kg, J) → what is rounded and kept: mg, or Wh. */
static double scaled(const struct gauge *gauge, double value)
{
	double share = (double)gauge->point->share_ppm / (double)PPM;
	return gauge->meter->power ? value / 3600.0 * share : value * (double)MG_PER_KG * share;
}

/* The worst that `missing_us` of this point can cost, rounded up. */
static bool worst(const struct gauge *gauge, int64_t missing_us, int64_t *ret_amount)
{
	int64_t per_hour = gauge->point->nameplate_per_hour, whole;
	if (!gauge->meter->power && !mul_checked(per_hour, MG_PER_KG, &per_hour))
		return false;
	return muldiv_ceil(per_hour, gauge->point->share_ppm, PPM, &whole) && whole <= MRV_HOUR_MG_MAX &&
	       muldiv_ceil(whole, missing_us, CLOCK_US_PER_HOUR, ret_amount);
}

static bool read_hour(
	struct meter_series *series, const struct amount *amount, int64_t good_ppm, struct meter_hour *ret_hour)
{
	struct gauge *gauge = &series->gauge;
	int64_t fill = 0, nameplate = 0;
	double value = scaled(gauge, amount->value);
	ret_hour->missing_us = CLOCK_US_PER_HOUR - amount->covered_us;
	ret_hour->good = amount->covered_us >= CLOCK_US_PER_HOUR / PPM * good_ppm;
	if (!(gauge->credit ? round_down(value, &ret_hour->measured) : round_up(value, &ret_hour->measured)))
		return false;
	ret_hour->amount = ret_hour->measured;
	if (gauge->credit)
		return true;
	/* a meter above its nameplate: its worst is not the nameplate, and missing data could pay */
	if (!worst(gauge, ret_hour->missing_us, &fill) || !worst(gauge, amount->covered_us, &nameplate))
		return false;
	if (ret_hour->measured > nameplate + 1)
		series->exceeded = true;
	return add_checked(ret_hour->measured, fill, &ret_hour->amount);
}

/* What each input's relative error moves; for deductions the fill is counted as if it had been measured. */
static bool add_weights(struct meter_series *series, const struct amount *amount, const struct meter_hour *hour)
{
	for (size_t i = 0; i < series->gauge.input_count; i++) {
		int64_t weight;
		if (!round_up(scaled(&series->gauge, amount->weight[i]), &weight) ||
			!add_checked(weight, hour->amount - hour->measured, &weight) ||
			!add_checked(series->weight[i], weight, &series->weight[i]))
			return false;
	}
	return true;
}

enum err meter_series_read(
	struct meter_series *series, const struct mrv_case *the_case, struct arena *arena, struct err_info *info)
{
	int64_t good_ppm = the_case->methodology->substitution.good_hour_ppm;
	series->from_us = the_case->from_us;
	series->count = (size_t)((the_case->to_us - the_case->from_us) / CLOCK_US_PER_HOUR);
	series->hours = ARENA_ARRAY(arena, struct meter_hour, series->count);
	if (!series->hours)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the hours");
	for (size_t i = 0; i < series->count; i++) {
		struct amount amount;
		enum err err =
			gauge_hour(&series->gauge, series->from_us + (int64_t)i * CLOCK_US_PER_HOUR, &amount, info);
		if (err)
			return err;
		if (!read_hour(series, &amount, good_ppm, &series->hours[i]) ||
			!add_weights(series, &amount, &series->hours[i]))
			return err_set(info, ERR_OVERFLOW, "", "an hour of %s is past any plant's quantity",
				series->gauge.point->code);
	}
	return ERR_OK;
}

/* ---- the plant's own statement that it ran ---- */

enum err operating_open(struct operating *operating, const struct mrv_case *the_case, const struct mrv_source *source,
	struct reads *reads, struct err_info *info)
{
	const struct substitution_rules *rules = &the_case->methodology->substitution;
	*operating = (struct operating){
		.at_least = rules->operating.at_least_base, .good_hour_ppm = rules->good_hour_ppm, .point = SIZE_MAX};
	for (size_t p = 0; p < the_case->point_count; p++) {
		size_t sensor;
		if (the_case->points[p].role != rules->operating.role ||
			!find_primary(the_case, &the_case->points[p], &rules->operating.input, &sensor))
			continue;
		operating->point = p;
		operating->window = window_new(the_case, source, reads, sensor, &rules->operating.input, false);
		return operating->window ? ERR_OK
					 : err_set(info, ERR_NO_MEMORY, "", "no memory for the operating signal");
	}
	return ERR_OK; /* without the proof there is no substitution */
}

enum err operating_hour(struct operating *operating, int64_t hour_us, bool *ret_ran, struct err_info *info)
{
	size_t count;
	int64_t covered_us = 0;
	*ret_ran = false;
	if (!operating->window)
		return ERR_OK;
	enum err err = window_seek(operating->window, hour_us, info);
	if (err)
		return err;
	const struct sample *samples = window_samples(operating->window, &count);
	for (size_t i = 0; i + 1 < count; i++) {
		struct sensed none = {0};
		struct amount step = {0};
		if (samples[i].value < operating->at_least || samples[i + 1].value < operating->at_least ||
			samples[i + 1].time_us - samples[i].time_us > window_step_max_us(operating->window))
			continue;
		add_step(&step, samples[i].time_us, &none, samples[i + 1].time_us, &none, hour_us, 0);
		covered_us += step.covered_us;
	}
	*ret_ran = covered_us >= CLOCK_US_PER_HOUR / PPM * operating->good_hour_ppm;
	return ERR_OK;
}
