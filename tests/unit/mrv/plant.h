/* A small plant in memory for the tests of mrv: points, sensors, readings by (sensor, hour), and the shipped documents. */
#ifndef TEST_MRV_PLANT_H
#define TEST_MRV_PLANT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/mrv.h"

/* no test uses all of it */
#pragma GCC diagnostic ignored "-Wunused-function"

#define HOUR CLOCK_US_PER_HOUR

enum { PLANT_SENSORS = 16, PLANT_POINTS = 16, PLANT_CALIBRATIONS = 8, PLANT_OVERLAYS = 8, PLANT_SCHEDULES = 8 };

struct plant_series {
	struct series_point *points;
	size_t count, capacity;
};

struct plant {
	struct arena *arena;
	struct mrv_case the_case;
	struct mrv_source source;
	struct mrv_point points[PLANT_POINTS];
	struct mrv_sensor sensors[PLANT_SENSORS];
	struct mrv_calibration calibrations[PLANT_CALIBRATIONS];
	struct mrv_overlay overlays[PLANT_OVERLAYS];
	struct mrv_schedule schedules[PLANT_SCHEDULES];
	struct plant_series series[PLANT_SENSORS];
	int64_t revision;
};

static struct id plant_id(uint8_t kind, size_t number)
{
	return (struct id){{kind, [14] = (uint8_t)(number >> 8), [15] = (uint8_t)number}};
}

static json_t *plant_document(struct arena *arena, const char *path)
{
	struct err_info info = {0};
	static char text[1 << 20];
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	size_t size = fread(text, 1, sizeof text, file);
	fclose(file);
	json_t *document;
	if (document_parse(arena, text, size, &document, &info) != ERR_OK)
		fail_msg("%s: %s", path, info.detail);
	return document;
}

static enum err plant_hour(void *context, const struct mrv_sensor *sensor, int64_t hour_us, struct arena *arena,
	struct mrv_hour *ret_hour, struct err_info *info)
{
	struct plant *plant = context;
	size_t index = (size_t)(sensor - plant->the_case.sensors);
	struct plant_series *series = &plant->series[index];
	size_t first = 0, end;
	uint8_t *data;
	(void)info;
	*ret_hour = (struct mrv_hour){0};
	while (first < series->count && series->points[first].time_us < hour_us)
		first++;
	for (end = first; end < series->count && series->points[end].time_us < hour_us + HOUR;)
		end++;
	if (first == end)
		return ERR_OK;
	ret_hour->revision = plant->revision;
	ret_hour->content_hash = series_content_hash(sensor->id, hour_us, series->points + first, end - first);
	enum err err = series_encode(series->points + first, end - first, arena, &data, &ret_hour->columns_size);
	ret_hour->columns = data;
	return err;
}

/* 2026-03-01T00:00:00Z and `hours` from there, with a methodology whose z and tiers the test chooses. */
static struct plant *plant_new(int64_t hours, int64_t z_milli, bool tiers)
{
	struct plant *plant = calloc(1, sizeof *plant);
	struct err_info info = {0};
	plant->arena = arena_new(1u << 30);
	plant->revision = 1;
	json_t *document = plant_document(plant->arena, "config/methodologies/dac-1.json");
	json_object_set_new(json_object_get(document, "uncertainty"), "z_milli", json_integer(z_milli));
	json_object_set_new(json_object_get(document, "substitution"), "allowed", json_boolean(tiers));
	if (mrv_methodology_parse(document, plant->arena, &plant->the_case.methodology, &info) != ERR_OK)
		fail_msg("%s %s", info.pointer, info.detail);
	static const char factors[] = "{\"format\":\"carbond/factors/"
				      "1\",\"code\":\"test\",\"version\":1,\"title\":\"Test\",\"licence\":\"none\","
				      "\"source\":\"test\",\"factors\":[{\"id\":\"grid\",\"unit\":\"g/"
				      "kWh\",\"value\":\"112.4\",\"source\":\"test\"}]}";
	assert_int_equal(document_parse(plant->arena, factors, sizeof factors - 1, &document, &info), ERR_OK);
	assert_int_equal(mrv_factors_parse(document, plant->arena, &plant->the_case.factors, &info), ERR_OK);
	int64_t from_us;
	assert_int_equal(clock_parse("2026-03-01T00:00:00Z", &from_us), ERR_OK);
	plant->the_case.from_us = from_us;
	plant->the_case.to_us = from_us + hours * HOUR;
	plant->the_case.points = plant->points;
	plant->the_case.sensors = plant->sensors;
	plant->the_case.calibrations = plant->calibrations;
	plant->the_case.overlays = plant->overlays;
	plant->the_case.project = (struct mrv_project){.id = plant_id(1, 1),
		.org_id = plant_id(2, 1),
		.unit_id = plant_id(3, 1),
		.unit_code = "UNIT1",
		.country = "IS",
		.methodology = "DAC1",
		.methodology_version = 1,
		.kind = 0,
		.storage = 0,
		.atmospheric_ppm = 1000000,
		.durability_class = "geological",
		.risk_score = 5,
		.factor_set = "test",
		.factor_set_version = 1,
		.electricity_factor = "grid",
		.nameplate_kg_per_hour = 100000,
		.nameplate_margin_ppm = 1050000,
		.schedules = {.items = plant->schedules}};
	plant->source = (struct mrv_source){.hour = plant_hour, .context = plant};
	return plant;
}

static void plant_free(struct plant *plant)
{
	for (size_t i = 0; i < PLANT_SENSORS; i++)
		free(plant->series[i].points);
	arena_free(&plant->arena);
	free(plant);
}

static int plant_role(const char *name)
{
	for (int i = 0; mrv_roles[i]; i++)
		if (strcmp(mrv_roles[i], name) == 0)
			return i;
	fail_msg("no role %s", name);
	return -1;
}

static size_t plant_point(struct plant *plant, const char *code, const char *role, bool claimable, int64_t nameplate)
{
	size_t index = plant->the_case.point_count++;
	plant->points[index] = (struct mrv_point){.id = plant_id(4, index),
		.code = code,
		.role = plant_role(role),
		.claimable = claimable,
		.share_ppm = 1000000,
		.nameplate_per_hour = nameplate};
	return index;
}

static size_t plant_sensor(struct plant *plant, size_t point, const char *tag, const char *quantity, const char *unit,
	int64_t period_us, int64_t systematic_ppm, int64_t random_ppm)
{
	size_t index = plant->the_case.sensor_count++;
	plant->sensors[index] = (struct mrv_sensor){.id = plant_id(5, index),
		.point_id = plant->points[point].id,
		.tag = tag,
		.quantity = quantity,
		.unit = unit,
		.sampling_period_us = period_us,
		.systematic_ppm = systematic_ppm,
		.random_ppm = random_ppm,
		.primary = true};
	return index;
}

static void plant_read(struct plant *plant, size_t sensor, int64_t time_us, double value)
{
	struct plant_series *series = &plant->series[sensor];
	if (series->count == series->capacity) {
		series->capacity = series->capacity ? series->capacity * 2 : 64;
		series->points = realloc(series->points, series->capacity * sizeof *series->points);
	}
	series->points[series->count++] =
		(struct series_point){.time_us = time_us, .value = value, .quality = SERIES_GOOD};
}

/* A constant value at each period over [from, to]. */
static void plant_constant(struct plant *plant, size_t sensor, int64_t from_us, int64_t to_us, double value)
{
	for (int64_t at = from_us; at <= to_us; at += plant->sensors[sensor].sampling_period_us)
		plant_read(plant, sensor, at, value);
}

static void plant_schedule(struct plant *plant, const char *category, int64_t amount_g, int64_t uncertainty_ppm)
{
	struct mrv_schedule *schedule = &plant->schedules[plant->the_case.project.schedules.count++];
	*schedule = (struct mrv_schedule){.label = category,
		.source = "test",
		.amount_g = amount_g,
		.uncertainty_ppm = uncertainty_ppm,
		.from_us = plant->the_case.from_us,
		.to_us = plant->the_case.to_us};
	while (strcmp(mrv_categories[schedule->category], category) != 0)
		schedule->category++;
}

static struct mrv_result *plant_quantify(struct plant *plant)
{
	struct mrv_result *result = NULL;
	struct err_info info = {0};
	if (mrv_quantify(&plant->the_case, &plant->source, plant->arena, &result, &info) != ERR_OK)
		fail_msg("%s: %s", info.pointer, info.detail);
	return result;
}

static const struct mrv_line *plant_line(const struct mrv_result *result, const char *code)
{
	for (size_t i = 0; i < result->line_count; i++)
		if (strcmp(result->lines[i].code, code) == 0)
			return &result->lines[i];
	fail_msg("no line %s", code);
	return NULL;
}

/* The sensors of the plain plant, in this order. */
enum { FLOW, PURITY, LOSS, POWER };

/* The worked fixture of integrity.md over `hours` hours: per hour 1000 kg captured, 4 kg lost, 1 MWh; materials 18 kg,
 * embodied 22 kg. Readings run one period past the end so that the last hour is whole. */
static struct plant *plant_fixture(int64_t hours, int64_t z_milli, bool tiers, int64_t period_us)
{
	struct plant *plant = plant_new(hours, z_milli, tiers);
	size_t captured = plant_point(plant, "CAPTURED", "captured", true, 2000);
	size_t vent = plant_point(plant, "VENT", "loss", false, 50);
	size_t fans = plant_point(plant, "FANS", "energy", false, 2000000);
	plant_sensor(plant, captured, "FT-1", "mass_flow", "kg/h", period_us, 5000, 0);
	plant_sensor(plant, captured, "AT-1", "mole_fraction", "mol/mol", period_us, 3000, 0);
	plant_sensor(plant, vent, "FT-2", "mass_flow", "kg/h", period_us, 0, 0);
	plant_sensor(plant, fans, "JT-1", "power", "kW", period_us, 50000, 0);
	plant_schedule(plant, "materials", hours * 18000, 150000);
	plant_schedule(plant, "embodied", hours * 22000, 200000);
	plant->the_case.project.nameplate_kg_per_hour = 2000;
	return plant;
}

static void plant_fixture_readings(struct plant *plant)
{
	static const double values[] = {[FLOW] = 1000, [PURITY] = 1, [LOSS] = 4, [POWER] = 1000};
	for (size_t i = 0; i < 4; i++)
		plant_constant(plant, i, plant->the_case.from_us, plant->the_case.to_us, values[i]);
}

/* Drops the readings of a sensor in [from, to). */
static void plant_drop(struct plant *plant, size_t sensor, int64_t from_us, int64_t to_us)
{
	struct plant_series *series = &plant->series[sensor];
	size_t kept = 0;
	for (size_t i = 0; i < series->count; i++)
		if (series->points[i].time_us < from_us || series->points[i].time_us >= to_us)
			series->points[kept++] = series->points[i];
	series->count = kept;
}

#endif
