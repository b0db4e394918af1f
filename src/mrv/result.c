/* A result as documents: JSON with integers only (core/result.json, the dry run), one CSV row a line, one CSV row a
 * meter-hour. The same case gives the same bytes everywhere. Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

/* ---- order of a case ---- */

static int compare_points(const void *a, const void *b)
{
	return id_compare(((const struct mrv_point *)a)->id, ((const struct mrv_point *)b)->id);
}

static int compare_sensors(const void *a, const void *b)
{
	return id_compare(((const struct mrv_sensor *)a)->id, ((const struct mrv_sensor *)b)->id);
}

static int compare_records(
	struct id sensor_a, int64_t position_a, struct id a, struct id sensor_b, int64_t position_b, struct id b)
{
	int order = id_compare(sensor_a, sensor_b);
	if (order == 0)
		order = position_a < position_b ? -1 : position_a > position_b;
	return order ? order : id_compare(a, b);
}

static int compare_calibrations(const void *a, const void *b)
{
	const struct mrv_calibration *left = a, *right = b;
	return compare_records(left->sensor_id, left->position, left->id, right->sensor_id, right->position, right->id);
}

static int compare_overlays(const void *a, const void *b)
{
	const struct mrv_overlay *left = a, *right = b;
	return compare_records(left->sensor_id, left->position, left->id, right->sensor_id, right->position, right->id);
}

void mrv_case_sort(struct mrv_case *the_case)
{
	if (the_case->point_count)
		qsort(the_case->points, the_case->point_count, sizeof *the_case->points, compare_points);
	if (the_case->sensor_count)
		qsort(the_case->sensors, the_case->sensor_count, sizeof *the_case->sensors, compare_sensors);
	if (the_case->calibration_count)
		qsort(the_case->calibrations, the_case->calibration_count, sizeof *the_case->calibrations,
			compare_calibrations);
	if (the_case->overlay_count)
		qsort(the_case->overlays, the_case->overlay_count, sizeof *the_case->overlays, compare_overlays);
}

/* ---- documents of a case ---- */

static json_t *list_of(const struct field *fields, const void *rows, size_t row_size, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < count; i++)
		if (json_array_append_new(list, field_write(fields, (const char *)rows + i * row_size)) != 0) {
			json_decref(list);
			list = NULL;
		}
	return list;
}

json_t *case_project(const struct mrv_case *the_case)
{
	return field_write(mrv_project_fields, &the_case->project);
}

json_t *case_sensors(const struct mrv_case *the_case)
{
	return json_pack("{s:o, s:o}", "points",
		list_of(mrv_point_fields, the_case->points, sizeof *the_case->points, the_case->point_count), "sensors",
		list_of(mrv_sensor_fields, the_case->sensors, sizeof *the_case->sensors, the_case->sensor_count));
}

json_t *case_calibrations(const struct mrv_case *the_case)
{
	return json_pack("{s:o}", "calibrations",
		list_of(mrv_calibration_fields, the_case->calibrations, sizeof *the_case->calibrations,
			the_case->calibration_count));
}

json_t *case_overlays(const struct mrv_case *the_case)
{
	return json_pack("{s:o}", "overlays",
		list_of(mrv_overlay_fields, the_case->overlays, sizeof *the_case->overlays, the_case->overlay_count));
}

/* ---- the result ---- */

static json_t *line_document(const struct mrv_line *line)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "code", line->code, "label", line->label,
		"formula", line->formula, "inputs", line->inputs, "source", line->source, "mg", (json_int_t)line->mg,
		"uncertainty_mg", (json_int_t)line->uncertainty_mg, "good_hours", (json_int_t)line->good_hours,
		"missing_us", (json_int_t)line->missing_us, "substituted_hours", (json_int_t)line->substituted_hours);
}

static json_t *substitution_document(const struct mrv_substitution *row)
{
	char point[ID_TEXT_SIZE], hour[CLOCK_TEXT_SIZE];
	return json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I}", "point_id", id_text(row->point_id, point), "line",
		row->line, "from", clock_text(row->hour_us, hour), "hours", (json_int_t)row->hours, "tier", row->tier,
		"availability_ppm", (json_int_t)row->availability_ppm, "rate_per_hour", (json_int_t)row->rate_per_hour,
		"amount", (json_int_t)row->amount);
}

json_t *mrv_result_document(const struct mrv_case *the_case, const struct mrv_result *result)
{
	char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];
	json_t *lines = json_array(), *substitutions = json_array(), *held = json_array();
	bool complete = lines && substitutions && held;
	for (size_t i = 0; complete && i < result->line_count; i++)
		complete = json_array_append_new(lines, line_document(&result->lines[i])) == 0;
	for (size_t i = 0; complete && i < result->substitution_count; i++)
		complete = json_array_append_new(substitutions, substitution_document(&result->substitutions[i])) == 0;
	for (size_t i = 0; complete && i < result->held_count; i++)
		complete = json_array_append_new(held, json_string(result->held[i])) == 0;
	if (!complete) {
		json_decref(lines);
		json_decref(substitutions);
		json_decref(held);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}",
		"methodology", mrv_methodology_terms(the_case->methodology)->code, "from",
		clock_text(the_case->from_us, from), "to", clock_text(the_case->to_us, to), "vintage",
		(json_int_t)result->vintage, "gross_mg", (json_int_t)result->gross_mg, "net_mg",
		(json_int_t)result->net_mg, "uncertainty_mg", (json_int_t)result->uncertainty_mg, "deduction_mg",
		(json_int_t)result->deduction_mg, "kg", (json_int_t)result->kg, "buffer_ppm",
		(json_int_t)result->buffer_ppm, "buffer_kg", (json_int_t)result->buffer_kg, "supplier_kg",
		(json_int_t)result->supplier_kg, "hours", (json_int_t)result->read_count, "held", held, "lines", lines,
		"substitutions", substitutions, "claims",
		list_of(mrv_claim_fields, result->claims, sizeof *result->claims, result->claim_count));
}

/* ---- CSV ---- */

/* RFC 4180: quoted, inner quotes doubled; a cell never starts a formula in a spreadsheet. */
static void add_cell(struct text *text, const char *cell)
{
	bool formula = *cell && strchr("=+-@", *cell);
	text_add(text, "\"", 1);
	if (formula)
		text_add(text, "'", 1);
	for (; *cell; cell++) {
		if (*cell == '"')
			text_add(text, "\"", 1);
		text_add(text, cell, 1);
	}
	text_add(text, "\"", 1);
}

char *mrv_result_csv(const struct mrv_result *result, struct arena *arena, size_t *ret_size)
{
	struct text text = {0};
	char row[256];
	text_add_word(&text,
		"code,label,mg,kg,uncertainty_mg,good_hours,missing_hours,substituted_hours,formula,inputs,source\r\n");
	for (size_t i = 0; i < result->line_count; i++) {
		const struct mrv_line *line = &result->lines[i];
		int64_t magnitude = line->mg < 0 ? -line->mg : line->mg;
		add_cell(&text, line->code);
		text_add_word(&text, ",");
		add_cell(&text, line->label);
		snprintf(row, sizeof row, ",%lld,%s%lld.%06lld,%lld,%lld,%lld.%02lld,%lld,", (long long)line->mg,
			line->mg < 0 ? "-" : "", (long long)(magnitude / MG_PER_KG), (long long)(magnitude % MG_PER_KG),
			(long long)line->uncertainty_mg, (long long)line->good_hours,
			(long long)(line->missing_us / CLOCK_US_PER_HOUR),
			(long long)(line->missing_us % CLOCK_US_PER_HOUR / (CLOCK_US_PER_HOUR / 100)),
			(long long)line->substituted_hours);
		text_add_word(&text, row);
		add_cell(&text, line->formula);
		text_add_word(&text, ",");
		add_cell(&text, line->inputs);
		text_add_word(&text, ",");
		add_cell(&text, line->source);
		text_add_word(&text, "\r\n");
	}
	return text_take(&text, arena, ret_size);
}

char *mrv_hours_csv(
	const struct mrv_case *the_case, const struct mrv_result *result, struct arena *arena, size_t *ret_size)
{
	struct text text = {0};
	char row[192], hour[CLOCK_TEXT_SIZE];
	text_add_word(&text, "hour,line,point,amount,mg,missing_s,factor_ug_per_wh,substituted\r\n");
	for (size_t i = 0; i < result->hour_count; i++) {
		const struct mrv_hour_row *at = &result->hours[i];
		text_add_word(&text, clock_text(at->hour_us, hour));
		text_add_word(&text, ",");
		text_add_word(&text, result->lines[at->line].code);
		text_add_word(&text, ",");
		text_add_word(&text, the_case->points[at->point].code);
		snprintf(row, sizeof row, ",%lld,%lld,%lld,%lld,%d\r\n", (long long)at->amount, (long long)at->mg,
			(long long)(at->missing_us / CLOCK_US_PER_SECOND), (long long)at->factor_micro,
			at->substituted);
		text_add_word(&text, row);
	}
	return text_take(&text, arena, ret_size);
}
