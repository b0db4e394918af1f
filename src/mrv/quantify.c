/* Quantification: gross, deductions, uncertainty, credit, buffer and the mass-balance lock, line by line as integrity.md says.
 * Meter-hours are integers already when they get here; everything from there on is integer arithmetic. Pure. */
#include <stdio.h>
#include <string.h>

#include "parts.h"

enum { COMPONENTS_MAX = POINTS_MAX * INPUTS_MAX + 512 };

/* One quantification under way. */
struct work {
	const struct mrv_case *the_case;
	const struct mrv_source *source;
	struct arena *arena;
	struct err_info *info;
	struct reads *reads;
	struct operating operating;
	struct mrv_result *result;
	struct substitutions substitutions;
	int64_t *components;
	size_t component_count, line_capacity;
	unsigned __int128 random_mg2;
	int64_t deducted_mg;
};

static enum err overflow(struct work *work)
{
	return err_set(work->info, ERR_OVERFLOW, "", "the quantity is past what a batch can hold");
}

static enum err no_memory(struct work *work)
{
	return err_set(work->info, ERR_NO_MEMORY, "", "no memory for the quantification");
}

/* ---- pieces of uncertainty ---- */

static enum err add_component(struct work *work, int64_t mg)
{
	if (work->component_count == COMPONENTS_MAX)
		return overflow(work);
	work->components[work->component_count++] = mg;
	return ERR_OK;
}

static int64_t root_up(unsigned __int128 square)
{
	uint64_t root = isqrt128(square);
	return (int64_t)((unsigned __int128)root * root < square ? root + 1 : root);
}

static bool add_square(unsigned __int128 *square, int64_t mg)
{
	*square += (unsigned __int128)mg * (unsigned __int128)mg;
	return *square >> 126 == 0;
}

/* ---- lines ---- */

static struct mrv_line *add_line(struct work *work, const char *code, const char *label, const char *source)
{
	struct mrv_line *line = &work->result->lines[work->result->line_count];
	if (work->result->line_count == work->line_capacity)
		return NULL;
	work->result->line_count++;
	*line = (struct mrv_line){.code = code, .label = label, .source = source, .formula = "", .inputs = ""};
	return line;
}

static const char *kilograms(struct work *work, int64_t mg)
{
	return arena_print(work->arena, "%lld.%06lld kg", (long long)(mg / MG_PER_KG), (long long)(mg % MG_PER_KG));
}

/* ---- metered lines ---- */

static enum err add_hours(struct work *work, const struct meter_series *series, size_t line, const char *factor,
	int64_t *ret_mg, int64_t *ret_substituted_mg, unsigned __int128 *square)
{
	struct mrv_result *result = work->result;
	struct mrv_line *row = &result->lines[line];
	int64_t total = 0, substituted = 0;
	for (size_t i = 0; i < series->count; i++) {
		const struct meter_hour *hour = &series->hours[i];
		int64_t hour_us = series->from_us + (int64_t)i * CLOCK_US_PER_HOUR;
		int64_t mg = hour->amount, filled = hour->substituted ? hour->amount - hour->measured : 0;
		int64_t ug_per_wh = 0, uncertainty;
		if (factor) {
			enum err err = factors_at(
				work->the_case->factors, factor, hour_us, &ug_per_wh, &uncertainty, work->info);
			if (err)
				return err;
			/* Wh × µg/Wh ÷ 1000 = mg, once, up */
			if (!muldiv_ceil(mg, ug_per_wh, 1000, &mg) || !muldiv_ceil(filled, ug_per_wh, 1000, &filled))
				return overflow(work);
		}
		for (size_t k = 0; k < series->gauge.input_count; k++) {
			int64_t random;
			if (!muldiv_ceil(mg, window_random_ppm(series->gauge.windows[k]), PPM, &random) ||
				!add_square(square, random))
				return overflow(work);
		}
		if (!add_checked(total, mg, &total) || !add_checked(substituted, filled, &substituted) ||
			total > LIMIT_JSON_INTEGER)
			return overflow(work);
		row->good_hours += hour->good;
		row->missing_us += hour->missing_us;
		row->substituted_hours += hour->substituted;
		result->hours[result->hour_count++] = (struct mrv_hour_row){.line = (uint16_t)line,
			.point = (uint16_t)series->gauge.point_index,
			.substituted = hour->substituted,
			.hour_us = hour_us,
			.amount = hour->amount,
			.mg = mg,
			.missing_us = hour->missing_us,
			.factor_micro = ug_per_wh};
	}
	*ret_mg = total;
	*ret_substituted_mg = substituted;
	return ERR_OK;
}

/* The systematic part of one series: for each input, what its relative error moves. */
static enum err add_systematic(
	struct work *work, const struct meter_series *series, int64_t mg, unsigned __int128 *square)
{
	int64_t amount = 0;
	for (size_t i = 0; i < series->count; i++)
		amount += series->hours[i].amount;
	for (size_t k = 0; k < series->gauge.input_count; k++) {
		int64_t moved = series->weight[k], component;
		if (series->gauge.meter->power && !(amount > 0 ? muldiv_ceil(mg, moved, amount, &moved) : true))
			return overflow(work);
		if (!muldiv_ceil(moved, window_systematic_ppm(series->gauge.windows[k]), PPM, &component) ||
			!add_square(square, component))
			return overflow(work);
		enum err err = add_component(work, component);
		if (err)
			return err;
	}
	return ERR_OK;
}

static const char *describe(struct work *work, const struct gauge *gauge, const char *before)
{
	const char *text = arena_print(work->arena, "%s%s%s:", before, *before ? "; " : "", gauge->point->code);
	for (size_t k = 0; text && k < gauge->input_count; k++) {
		const struct mrv_sensor *sensor = window_sensor(gauge->windows[k]);
		text = arena_print(work->arena, "%s %s (%s, u %lld ppm systematic, %lld ppm random)", text, sensor->tag,
			sensor->unit, (long long)window_systematic_ppm(gauge->windows[k]),
			(long long)sensor->random_ppm);
	}
	return text;
}

/* Reads, fills and adds one point to a line. `factor` NULL: the meter gives mass. */
static enum err add_point(struct work *work, size_t line, const struct meter *meter, size_t point, bool credit,
	const char *factor, unsigned __int128 *line_square)
{
	struct mrv_line *row = &work->result->lines[line];
	struct meter_series series = {0};
	int64_t mg = 0, substituted = 0, component;
	unsigned __int128 random = 0, square = 0;
	enum err err =
		gauge_open(&series.gauge, work->the_case, work->source, work->reads, meter, point, credit, work->info);
	if (err)
		return err;
	err = meter_series_read(&series, work->the_case, work->arena, work->info);
	if (err == ERR_OK)
		err = substitute(&series, &work->operating, work->the_case, row->code, &work->substitutions,
			work->arena, work->info);
	if (err == ERR_OK)
		err = add_hours(work, &series, line, factor, &mg, &substituted, &random);
	if (err == ERR_OK)
		err = add_systematic(work, &series, mg, &square);
	if (err)
		goto out;
	err = overflow(work);
	if (!muldiv_ceil(substituted, work->the_case->methodology->uncertainty.substituted_ppm, PPM, &component) ||
		!add_square(&square, component))
		goto out;
	err = add_component(work, component);
	if (err)
		goto out;
	work->random_mg2 += random;
	*line_square += random + square;
	row->formula = factor ? arena_print(work->arena, "Σ over hours of (∫ %s dt) × factor of the hour",
					series.gauge.variant->formula)
			      : arena_print(work->arena, "Σ over hours of ∫ %s dt", series.gauge.variant->formula);
	row->inputs = describe(work, &series.gauge, row->inputs);
	if (!row->formula || !row->inputs)
		err = no_memory(work);
	row->mg += credit ? mg : -mg;
	if (series.exceeded && work->result->held_count < MRV_HELD_MAX)
		work->result->held[work->result->held_count++] = arena_print(work->arena,
			"nameplate: an hour of %s is above the point's nameplate", work->the_case->points[point].code);
out:
	gauge_close(&series.gauge);
	return err;
}

static enum err add_gross(struct work *work)
{
	const struct mrv_case *the_case = work->the_case;
	const struct gross_rules *rules = &the_case->methodology->gross;
	struct mrv_line *line = add_line(work, "gross", rules->label, rules->source);
	unsigned __int128 square = 0;
	enum err err = line ? ERR_OK : no_memory(work);
	for (size_t i = 0; err == ERR_OK && i < the_case->point_count; i++)
		if (the_case->points[i].claimable)
			err = add_point(work, 0, rules->measured, i, true, NULL, &square);
	if (err)
		return err;
	line->uncertainty_mg = root_up(square);
	work->result->gross_mg = line->mg;
	return ERR_OK;
}

/* Only the CO2 whose origin makes this kind counts; recycled CO2 never does. */
static enum err add_origin(struct work *work)
{
	const struct mrv_project *project = &work->the_case->project;
	int64_t counted_ppm =
		project->kind == 0 ? project->atmospheric_ppm + project->biogenic_ppm : project->fossil_ppm;
	int64_t counted;
	if (counted_ppm == PPM)
		return ERR_OK;
	struct mrv_line *line = add_line(
		work, "origin", "CO2 of an origin that this kind does not credit", "origin of the CO2, project");
	if (!line || !muldiv_floor(work->result->gross_mg, counted_ppm, PPM, &counted))
		return overflow(work);
	line->mg = counted - work->result->gross_mg;
	line->formula = "gross × (1 − counted share)";
	line->inputs = arena_print(work->arena, "atmospheric %lld, biogenic %lld, fossil %lld, recycled %lld ppm",
		(long long)project->atmospheric_ppm, (long long)project->biogenic_ppm, (long long)project->fossil_ppm,
		(long long)project->recycled_ppm);
	work->deducted_mg -= line->mg;
	return line->inputs ? ERR_OK : no_memory(work);
}

static enum err add_metered(struct work *work, const struct deduction *deduction, struct mrv_line *line)
{
	const struct mrv_case *the_case = work->the_case;
	const char *factor = deduction->measured->power ? the_case->project.electricity_factor : NULL;
	size_t index = (size_t)(line - work->result->lines), points = 0;
	unsigned __int128 square = 0;
	for (size_t i = 0; i < the_case->point_count; i++) {
		if (!(deduction->role_mask & 1u << the_case->points[i].role) || the_case->points[i].claimable)
			continue;
		enum err err = add_point(work, index, deduction->measured, i, false, factor, &square);
		if (err)
			return err;
		points++;
	}
	if (points == 0 && deduction->required)
		return err_set(work->info, ERR_METER_MISSING, "",
			"methodology %s needs a metering point of role %s for %s", the_case->methodology->code,
			((const char *const *)deduction->roles.items)[0], deduction->code);
	if (points == 0)
		line->inputs = "no such point";
	if (factor && points) {
		int64_t ug_per_wh, uncertainty_ppm, component;
		enum err err = factors_at(
			the_case->factors, factor, the_case->from_us, &ug_per_wh, &uncertainty_ppm, work->info);
		if (err)
			return err;
		if (!muldiv_ceil(-line->mg, uncertainty_ppm, PPM, &component) || !add_square(&square, component))
			return overflow(work);
		err = add_component(work, component);
		line->inputs = arena_print(work->arena, "%s; factor %s of set %s version %lld", line->inputs, factor,
			mrv_factors_terms(the_case->factors)->code,
			(long long)mrv_factors_terms(the_case->factors)->version);
		if (err || !line->inputs)
			return err ? err : no_memory(work);
	}
	line->uncertainty_mg = root_up(square);
	return ERR_OK;
}

/* One amount of a schedule in this span, rounded up. */
static bool schedule_mg(const struct work *work, const struct mrv_schedule *schedule, int64_t *ret_mg)
{
	const struct mrv_case *the_case = work->the_case;
	if (mrv_bases[schedule->basis][0] == 'p')
		return muldiv_ceil(work->result->gross_mg, schedule->amount_g, INT64_C(1000000), ret_mg);
	int64_t from_us = the_case->from_us > schedule->from_us ? the_case->from_us : schedule->from_us;
	int64_t to_us = the_case->to_us < schedule->to_us ? the_case->to_us : schedule->to_us;
	int64_t total_mg;
	*ret_mg = 0;
	if (to_us <= from_us)
		return true;
	return mul_checked(schedule->amount_g, 1000, &total_mg) &&
	       muldiv_ceil(total_mg, to_us - from_us, schedule->to_us - schedule->from_us, ret_mg);
}

static enum err add_scheduled(struct work *work, const struct deduction *deduction, struct mrv_line *line)
{
	const struct field_list *list = &work->the_case->project.schedules;
	const struct mrv_schedule *schedules = list->items;
	unsigned __int128 square = 0;
	size_t found = 0;
	line->formula = "Σ of amount × share of its span, or amount per tonne × gross";
	for (size_t i = 0; i < list->count; i++) {
		int64_t mg, component;
		if (schedules[i].category != deduction->category)
			continue;
		found++;
		if (!schedule_mg(work, &schedules[i], &mg) ||
			!muldiv_ceil(mg, schedules[i].uncertainty_ppm, PPM, &component) ||
			!add_square(&square, component) || !sub_checked(line->mg, mg, &line->mg))
			return overflow(work);
		enum err err = add_component(work, component);
		const char *amount = kilograms(work, mg);
		line->inputs = arena_print(work->arena, "%s%s%s: %s ± %lld ppm (%s)", line->inputs,
			*line->inputs ? "; " : "", schedules[i].label, amount ? amount : "",
			(long long)schedules[i].uncertainty_ppm, schedules[i].source);
		if (err || !line->inputs)
			return err ? err : no_memory(work);
	}
	if (found == 0 && deduction->required)
		return err_set(work->info, ERR_MISSING_FIELD, "/schedules",
			"methodology %s needs a schedule of category %s", work->the_case->methodology->code,
			mrv_categories[deduction->category]);
	if (found == 0)
		line->inputs = "none";
	line->uncertainty_mg = root_up(square);
	return ERR_OK;
}

static enum err add_share(struct work *work, const struct deduction *deduction, struct mrv_line *line)
{
	int64_t mg;
	if (!muldiv_ceil(work->result->gross_mg, deduction->share_ppm, PPM, &mg))
		return overflow(work);
	line->mg = -mg;
	line->formula = "gross × share";
	line->inputs = arena_print(work->arena, "%lld ppm", (long long)deduction->share_ppm);
	return line->inputs ? ERR_OK : no_memory(work);
}

static enum err add_deductions(struct work *work)
{
	const struct field_list *list = &work->the_case->methodology->deductions;
	for (size_t i = 0; i < list->count; i++) {
		const struct deduction *deduction = (const struct deduction *)list->items + i;
		struct mrv_line *line = add_line(work, deduction->code, deduction->label, deduction->source);
		enum err err = line ? ERR_OK : no_memory(work);
		if (err == ERR_OK && deduction->kind == DEDUCTION_METERED)
			err = add_metered(work, deduction, line);
		else if (err == ERR_OK && deduction->kind == DEDUCTION_SCHEDULED)
			err = add_scheduled(work, deduction, line);
		else if (err == ERR_OK)
			err = add_share(work, deduction, line);
		if (err)
			return err;
		if (!sub_checked(work->deducted_mg, line->mg, &work->deducted_mg) ||
			work->deducted_mg > LIMIT_JSON_INTEGER)
			return overflow(work);
	}
	return ERR_OK;
}

/* ---- the mass-balance lock ---- */

/* One role's mass, hour by hour. */
struct role_mass {
	bool present;
	int64_t *mg;
	bool *good;
	int64_t systematic_ppm, random_ppm; /* the worst of its sensors, root of squares over its inputs */
};

static enum err read_role(struct work *work, int role, size_t hours, struct role_mass *mass)
{
	const struct mrv_case *the_case = work->the_case;
	enum err err = ERR_OK;
	mass->mg = ARENA_ARRAY(work->arena, int64_t, hours);
	mass->good = ARENA_ARRAY(work->arena, bool, hours);
	if (!mass->mg || !mass->good)
		return no_memory(work);
	memset(mass->good, 1, hours * sizeof *mass->good);
	for (size_t i = 0; err == ERR_OK && i < the_case->point_count; i++) {
		struct meter_series series = {0};
		unsigned __int128 systematic = 0, random = 0;
		if (the_case->points[i].role != role)
			continue;
		err = gauge_open(&series.gauge, the_case, work->source, work->reads,
			the_case->methodology->mass_balance.measured, i, true, work->info);
		if (err == ERR_METER_MISSING) { /* a point without a meter of its own is not compared */
			err = ERR_OK;
			continue;
		}
		if (err == ERR_OK)
			err = meter_series_read(&series, the_case, work->arena, work->info);
		mass->present = true;
		for (size_t h = 0; err == ERR_OK && h < hours; h++) {
			mass->mg[h] += series.hours[h].amount;
			mass->good[h] = mass->good[h] && series.hours[h].good;
		}
		for (size_t k = 0; err == ERR_OK && k < series.gauge.input_count; k++) {
			(void)add_square(&systematic, window_systematic_ppm(series.gauge.windows[k]));
			(void)add_square(&random, window_random_ppm(series.gauge.windows[k]));
		}
		int64_t systematic_ppm = root_up(systematic), random_ppm = root_up(random);
		mass->systematic_ppm = systematic_ppm > mass->systematic_ppm ? systematic_ppm : mass->systematic_ppm;
		mass->random_ppm = random_ppm > mass->random_ppm ? random_ppm : mass->random_ppm;
		gauge_close(&series.gauge);
	}
	return err;
}

static void hold(struct work *work, const char *reason)
{
	if (reason && work->result->held_count < MRV_HELD_MAX)
		work->result->held[work->result->held_count++] = reason;
}

/* Compares two roles over the hours in which both are GOOD. */
static enum err compare_roles(struct work *work, const char *upper_name, const struct role_mass *upper,
	const char *lower_name, const struct role_mass *lower, size_t hours)
{
	const struct balance_rules *rules = &work->the_case->methodology->mass_balance;
	int64_t upper_mg = 0, lower_mg = 0, part, tolerance, most;
	unsigned __int128 square = 0;
	for (size_t h = 0; h < hours; h++) {
		if (!upper->good[h] || !lower->good[h])
			continue;
		upper_mg += upper->mg[h];
		lower_mg += lower->mg[h];
		if (!muldiv_ceil(upper->mg[h], upper->random_ppm, PPM, &part) || !add_square(&square, part) ||
			!muldiv_ceil(lower->mg[h], lower->random_ppm, PPM, &part) || !add_square(&square, part))
			return overflow(work);
	}
	if (!muldiv_ceil(upper_mg, upper->systematic_ppm, PPM, &part) || !add_square(&square, part) ||
		!muldiv_ceil(lower_mg, lower->systematic_ppm, PPM, &part) || !add_square(&square, part) ||
		!muldiv_floor(root_up(square), rules->k_milli, 1000, &tolerance) ||
		!muldiv_floor(upper_mg, rules->tolerance_max_ppm, PPM, &most))
		return overflow(work);
	tolerance = tolerance < most ? tolerance : most;
	if (lower_mg - upper_mg > tolerance)
		hold(work, arena_print(work->arena,
				   "mass_balance: %s %lld kg exceeds %s %lld kg by more than the tolerance of %lld kg",
				   lower_name, (long long)(lower_mg / MG_PER_KG), upper_name,
				   (long long)(upper_mg / MG_PER_KG), (long long)(tolerance / MG_PER_KG)));
	return ERR_OK;
}

static enum err check_balance(struct work *work)
{
	const struct mrv_case *the_case = work->the_case;
	const struct balance_rules *rules = &the_case->methodology->mass_balance;
	size_t hours = (size_t)((the_case->to_us - the_case->from_us) / CLOCK_US_PER_HOUR);
	const char *const *names = rules->order.items;
	const char *upper_name = NULL;
	struct role_mass upper = {0};
	for (size_t i = 0; i < rules->order.count; i++) {
		struct role_mass mass = {0};
		enum err err = read_role(work, rules->roles[i], hours, &mass);
		if (err == ERR_OK && mass.present && upper.present)
			err = compare_roles(work, upper_name, &upper, names[i], &mass, hours);
		if (err)
			return err;
		if (mass.present) {
			upper = mass;
			upper_name = names[i];
		}
	}
	return ERR_OK;
}

static enum err check_nameplate(struct work *work)
{
	const struct mrv_case *the_case = work->the_case;
	int64_t hours = (the_case->to_us - the_case->from_us) / CLOCK_US_PER_HOUR, most_kg;
	if (!mul_checked(the_case->project.nameplate_kg_per_hour, hours, &most_kg) ||
		!muldiv_floor(most_kg, the_case->project.nameplate_margin_ppm, PPM, &most_kg))
		return overflow(work);
	if (work->result->gross_mg / MG_PER_KG > most_kg)
		hold(work,
			arena_print(work->arena,
				"nameplate: captured %lld kg in %lld hours, the nameplate with its margin allows %lld "
				"kg",
				(long long)(work->result->gross_mg / MG_PER_KG), (long long)hours, (long long)most_kg));
	return ERR_OK;
}

/* ---- the whole ---- */

void mrv_budget_close(const struct mrv_budget *budget, struct mrv_result *result)
{
	unsigned __int128 square = budget->random_mg2;
	int64_t deduction = 0;
	for (size_t i = 0; i < budget->component_count; i++)
		(void)add_square(&square, budget->components_mg[i]);
	result->gross_mg = budget->gross_mg;
	result->net_mg = budget->net_mg > 0 ? budget->net_mg : 0;
	result->uncertainty_mg = root_up(square);
	if (!muldiv_ceil(result->uncertainty_mg, budget->z_milli, 1000, &deduction) || deduction > result->net_mg)
		deduction = result->net_mg;
	result->deduction_mg = deduction;
	result->kg = (result->net_mg - deduction) / (MG_PER_KG * CREDIT_STEP_KG) * CREDIT_STEP_KG;
	result->buffer_ppm = budget->buffer_ppm;
	result->buffer_kg = mrv_buffer_kg(result->kg, budget->buffer_ppm);
	result->supplier_kg = result->kg - result->buffer_kg;
}

static enum err close_result(struct work *work, int64_t buffer_ppm)
{
	struct mrv_result *result = work->result;
	const struct uncertainty_rules *rules = &work->the_case->methodology->uncertainty;
	struct mrv_budget budget = {.gross_mg = result->gross_mg,
		.net_mg = result->gross_mg - work->deducted_mg,
		.components_mg = work->components,
		.component_count = work->component_count,
		.random_mg2 = work->random_mg2,
		.z_milli = rules->z_milli,
		.buffer_ppm = buffer_ppm};
	result->budget = budget;
	mrv_budget_close(&budget, result);
	struct mrv_line *net = add_line(work, "net", "Net of deductions", "sum of the lines above");
	struct mrv_line *uncertainty = add_line(work, "uncertainty", "Conservative deduction", rules->source);
	struct mrv_line *credit = add_line(work, "credit", "Quantity", "40 CFR 98.443 mass; floor to 10 kg");
	if (!net || !uncertainty || !credit)
		return no_memory(work);
	net->mg = result->net_mg;
	net->formula = "gross − deductions, not below 0";
	net->uncertainty_mg = result->uncertainty_mg;
	uncertainty->mg = -result->deduction_mg;
	uncertainty->formula = "z × √(Σ systematic² + Σ (mᵢ·u_rand)² + u_missing² + Σ (Eⱼ·uⱼ)²), at most net";
	uncertainty->inputs = arena_print(work->arena, "z = %lld.%03lld, %zu components",
		(long long)(rules->z_milli / 1000), (long long)(rules->z_milli % 1000), work->component_count);
	credit->mg = result->kg * MG_PER_KG;
	credit->formula = "floor to 10 kg of (net − z·u)";
	credit->inputs = arena_print(work->arena, "buffer %lld ppm = %lld kg, supplier %lld kg", (long long)buffer_ppm,
		(long long)result->buffer_kg, (long long)result->supplier_kg);
	return uncertainty->inputs && credit->inputs ? ERR_OK : no_memory(work);
}

/* ---- does the case fit its methodology ---- */

static enum err check_schedules(const struct mrv_project *project, struct err_info *info)
{
	const struct mrv_schedule *schedules = project->schedules.items;
	for (size_t i = 0; i < project->schedules.count; i++) {
		char pointer[64];
		bool amortised = mrv_bases[schedules[i].basis][0] == 'a';
		snprintf(pointer, sizeof pointer, "/schedules/%zu", i);
		if (amortised && (schedules[i].from_us == FIELD_ABSENT || schedules[i].to_us == FIELD_ABSENT ||
					 schedules[i].from_us >= schedules[i].to_us))
			return err_set(info, ERR_INVALID_FIELD, pointer, "an amortised amount needs from before to");
		/* below a tonne per tonne, so that less gross is never more net (P6) */
		if (!amortised && schedules[i].amount_g > 500000)
			return err_set(info, ERR_INVALID_FIELD, pointer, "amount_g per tonne must be 0..500000");
	}
	return ERR_OK;
}

static enum err check_project(const struct mrv_case *the_case, struct err_info *info)
{
	const struct mrv_project *project = &the_case->project;
	const struct mrv_terms *terms = mrv_methodology_terms(the_case->methodology);
	if (project->kind == 0 ? !terms->removal : !terms->reduction)
		return err_set(info, ERR_INVALID_FIELD, "/kind", "methodology %s does not credit a %s", terms->code,
			mrv_kinds[project->kind]);
	if (strcmp(mrv_storages[project->storage], "enhanced_oil_recovery") == 0)
		return err_set(
			info, ERR_INVALID_FIELD, "/storage", "CO2 used for enhanced oil recovery is never counted");
	if (project->atmospheric_ppm + project->biogenic_ppm + project->fossil_ppm + project->recycled_ppm != PPM)
		return err_set(info, ERR_INVALID_FIELD, "/atmospheric_ppm",
			"atmospheric_ppm, biogenic_ppm, fossil_ppm and recycled_ppm must add up to 1000000");
	return check_schedules(project, info);
}

static enum err check_case(const struct mrv_case *the_case, struct err_info *info)
{
	if (the_case->from_us < 0 || the_case->from_us % CLOCK_US_PER_HOUR || the_case->to_us % CLOCK_US_PER_HOUR ||
		the_case->to_us <= the_case->from_us ||
		the_case->to_us - the_case->from_us > HOURS_MAX * CLOCK_US_PER_HOUR ||
		clock_year(the_case->from_us) != clock_year(the_case->to_us - 1))
		return err_set(info, ERR_INVALID_FIELD, "/from",
			"a quantification spans whole hours within one calendar year (UTC)");
	if (the_case->point_count > POINTS_MAX || the_case->sensor_count > SENSORS_MAX ||
		the_case->calibration_count > CALIBRATIONS_MAX || the_case->overlay_count > OVERLAYS_MAX)
		return err_set(info, ERR_TOO_LARGE, "", "at most %d points, %d sensors, %d calibrations, %d overlays",
			POINTS_MAX, SENSORS_MAX, CALIBRATIONS_MAX, OVERLAYS_MAX);
	return check_project(the_case, info);
}

static enum err start(struct work *work)
{
	const struct mrv_case *the_case = work->the_case;
	size_t hours = (size_t)((the_case->to_us - the_case->from_us) / CLOCK_US_PER_HOUR);
	work->line_capacity = the_case->methodology->deductions.count + 5;
	work->result = ARENA_NEW(work->arena, struct mrv_result);
	if (!work->result)
		return no_memory(work);
	size_t used = 0; /* a point may serve several deductions */
	for (size_t i = 0; i < the_case->point_count; i++) {
		used += the_case->points[i].claimable;
		for (size_t d = 0; d < the_case->methodology->deductions.count; d++)
			used += ((const struct deduction *)the_case->methodology->deductions.items)[d].role_mask >>
					the_case->points[i].role &
				1u;
	}
	work->result->lines = ARENA_ARRAY(work->arena, struct mrv_line, work->line_capacity);
	work->result->hours = ARENA_ARRAY(work->arena, struct mrv_hour_row, used * hours + 1);
	work->components = ARENA_ARRAY(work->arena, int64_t, COMPONENTS_MAX);
	work->reads = reads_new();
	if (!work->result->lines || !work->result->hours || !work->components || !work->reads)
		return no_memory(work);
	work->result->vintage = clock_year(the_case->from_us);
	return ERR_OK;
}

/* Redundant sensors of claimed points are cited, not claimed (claim lock): an auditor sees what they showed. */
static enum err cite_redundant(struct work *work)
{
	const struct mrv_case *the_case = work->the_case;
	enum err err = ERR_OK;
	for (size_t s = 0; err == ERR_OK && s < the_case->sensor_count; s++) {
		bool is_cited = false;
		for (size_t p = 0; p < the_case->point_count; p++)
			is_cited |= the_case->points[p].claimable && !the_case->sensors[s].primary &&
				    id_equal(the_case->points[p].id, the_case->sensors[s].point_id);
		if (is_cited)
			err = reads_cite(work->reads, the_case, work->source, s, work->info);
	}
	return err;
}

enum err mrv_quantify(const struct mrv_case *the_case, const struct mrv_source *source, struct arena *arena,
	struct mrv_result **ret_result, struct err_info *info)
{
	struct work work = {.the_case = the_case, .source = source, .arena = arena, .info = info};
	int64_t buffer_ppm = 0;
	enum err err = check_case(the_case, info);
	if (err == ERR_OK)
		err = mrv_buffer_share(the_case->methodology, the_case->project.durability_class,
			the_case->project.risk_score, &buffer_ppm, info);
	if (err == ERR_OK)
		err = start(&work);
	if (err)
		goto out;
	err = claims_of(the_case, arena, &work.result->claims, &work.result->claim_count, info);
	if (err == ERR_OK && the_case->methodology->substitution.allowed)
		err = operating_open(&work.operating, the_case, source, work.reads, info);
	if (err == ERR_OK)
		err = add_gross(&work);
	if (err == ERR_OK)
		err = add_origin(&work);
	if (err == ERR_OK)
		err = add_deductions(&work);
	if (err == ERR_OK)
		err = check_balance(&work);
	if (err == ERR_OK)
		err = check_nameplate(&work);
	if (err == ERR_OK)
		err = cite_redundant(&work);
	if (err == ERR_OK)
		err = close_result(&work, buffer_ppm);
	if (err)
		goto out;
	work.result->substitutions = work.substitutions.rows;
	work.result->substitution_count = work.substitutions.count;
	err = reads_list(work.reads, arena, &work.result->reads, &work.result->read_count);
	*ret_result = work.result;
out:
	window_free(&work.operating.window);
	reads_free(&work.reads);
	return err;
}
