/* Quantification: the worked fixture of integrity.md to the kilogram, missing data, quality, calibration, drift, origin, the
 * mass-balance lock. */
#include "plant.h"

static const int64_t half_hour = CLOCK_US_PER_HOUR / 2;

/* 833,990 / 16,680 / 817,310 kg; u 9.604 t; net 843.6 t; z = 1 */
static void worked_fixture(void **state)
{
	(void)state;
	struct plant *plant = plant_fixture(1000, 1000, false, half_hour);
	plant_fixture_readings(plant);
	struct mrv_result *result = plant_quantify(plant);
	assert_int_equal(result->kg, 833990);
	assert_int_equal(result->buffer_kg, 16680);
	assert_int_equal(result->supplier_kg, 817310);
	assert_int_equal(result->buffer_kg + result->supplier_kg, result->kg);
	assert_int_equal(result->uncertainty_mg / 1000000000, 9);
	assert_int_equal((result->uncertainty_mg + 500000) / 1000000, 9604);
	assert_true(llabs(result->net_mg - INT64_C(843600000000)) < 10000);
	assert_true(llabs(result->gross_mg - INT64_C(1000000000000)) < 2000);
	assert_true(result->gross_mg <= INT64_C(1000000000000)); /* credit rounds down */
	assert_true(llabs(plant_line(result, "energy")->mg + INT64_C(112400000000)) < 2000000);
	assert_true(plant_line(result, "energy")->mg <= -INT64_C(112400000000)); /* deductions round up */
	assert_int_equal(plant_line(result, "materials")->mg, -INT64_C(18000000000));
	assert_int_equal(plant_line(result, "embodied")->mg, -INT64_C(22000000000));
	assert_int_equal(result->held_count, 0);
	assert_int_equal(result->vintage, 2026);
	assert_int_equal(result->claim_count, 1);
	assert_int_equal(result->claims[0].hours, 1000);
	plant_free(plant);
}

/* The same numbers through the last step alone. */
static void budget_alone(void **state)
{
	(void)state;
	static const int64_t components[] = {5000000000, 3000000000, 5620000000, 2700000000, 4400000000};
	struct mrv_budget budget = {.gross_mg = 1000000000000,
		.net_mg = 843600000000,
		.components_mg = components,
		.component_count = 5,
		.z_milli = 1000,
		.buffer_ppm = 20000};
	struct mrv_result result = {0};
	mrv_budget_close(&budget, &result);
	assert_int_equal(result.kg, 833990);
	assert_int_equal(result.buffer_kg, 16680);
	assert_int_equal(result.supplier_kg, 817310);
	budget.net_mg = 1000; /* below u: nothing */
	mrv_budget_close(&budget, &result);
	assert_int_equal(result.kg, 0);
	assert_int_equal(result.buffer_kg, 0);
	budget.net_mg = -5;
	mrv_budget_close(&budget, &result);
	assert_int_equal(result.net_mg, 0);
}

static void monte_carlo_agrees(void **state)
{
	(void)state;
	static const int64_t components[] = {5000000000, 3000000000, 5620000000, 2700000000, 4400000000};
	struct mrv_budget budget = {.components_mg = components,
		.component_count = 5,
		.random_mg2 = (unsigned __int128)4000000000 * 4000000000,
		.z_milli = 1000};
	struct mrv_result result = {0};
	mrv_budget_close(&budget, &result);
	int64_t drawn = mrv_monte_carlo(&budget, 20261123, 40000);
	assert_true(llabs(drawn - result.uncertainty_mg) < result.uncertainty_mg / 50);
	assert_int_equal(drawn, mrv_monte_carlo(&budget, 20261123, 40000));
	assert_int_not_equal(drawn, mrv_monte_carlo(&budget, 7, 40000));
}

static void missing_co2_counts_zero(void **state)
{
	(void)state;
	struct plant *plant = plant_fixture(10, 1000, false, CLOCK_US_PER_MINUTE);
	plant_fixture_readings(plant);
	int64_t start = plant->the_case.from_us;
	int64_t whole = plant_quantify(plant)->gross_mg;
	/* half an hour inside hour 3: what is not there is not counted, within the hour too */
	plant_drop(
		plant, FLOW, start + 3 * HOUR + 10 * CLOCK_US_PER_MINUTE, start + 3 * HOUR + 40 * CLOCK_US_PER_MINUTE);
	struct mrv_result *result = plant_quantify(plant);
	int64_t lost = whole - result->gross_mg;
	assert_true(llabs(lost - INT64_C(1000000000) * 31 / 60) < 100000);
	assert_int_equal(plant_line(result, "gross")->missing_us, 31 * CLOCK_US_PER_MINUTE);
	assert_int_equal(plant_line(result, "gross")->good_hours, 9);
	/* the analyser alone missing costs as much */
	plant_drop(plant, PURITY, start + 6 * HOUR, start + 8 * HOUR);
	result = plant_quantify(plant);
	assert_true(result->gross_mg < whole - lost - INT64_C(1990000000));
	plant_free(plant);
}

static void missing_energy_counts_nameplate(void **state)
{
	(void)state;
	struct plant *plant = plant_fixture(10, 1000, false, CLOCK_US_PER_MINUTE);
	plant_fixture_readings(plant);
	int64_t start = plant->the_case.from_us;
	int64_t before = plant_line(plant_quantify(plant), "energy")->mg;
	plant_drop(plant, POWER, start + 2 * HOUR, start + 4 * HOUR);
	int64_t after = plant_line(plant_quantify(plant), "energy")->mg;
	/* two hours (and a step on each side) at 2 MW instead of 1 MW */
	assert_true(before - after > INT64_C(112400000) * 2 - 10 && before - after < INT64_C(112400000) * 21 / 10);
	plant_drop(plant, LOSS, start, start + 20 * HOUR);
	assert_int_equal(plant_line(plant_quantify(plant), "losses")->mg, -INT64_C(500000000));
	plant_free(plant);
}

/* A register's differences are the flow; each hour owns its side of a step across the boundary. */
static void counter_is_a_flow(void **state)
{
	(void)state;
	struct plant *plant = plant_fixture(3, 1000, false, CLOCK_US_PER_MINUTE * 40);
	plant_fixture_readings(plant);
	plant->sensors[POWER].quantity = "energy";
	plant->sensors[POWER].unit = "kWh";
	plant->series[POWER].count = 0;
	int64_t start = plant->the_case.from_us - 20 * CLOCK_US_PER_MINUTE;
	for (int i = 0; i < 6; i++)
		plant_read(plant, POWER, start + i * 40 * CLOCK_US_PER_MINUTE, 5000 + i * 300);
	struct mrv_result *result = plant_quantify(plant);
	for (size_t i = 0; i < result->hour_count; i++)
		if (strcmp(result->lines[result->hours[i].line].code, "energy") == 0)
			assert_in_range(result->hours[i].amount, 450000, 450001);
	/* a reset is missing time, not a negative flow */
	plant->series[POWER].points[3].value = 10;
	assert_true(plant_line(plant_quantify(plant), "energy")->mg < plant_line(result, "energy")->mg);
	plant_free(plant);
}

static void only_good_counts(void **state)
{
	(void)state;
	struct plant *plant = plant_fixture(4, 1000, false, CLOCK_US_PER_MINUTE);
	plant_fixture_readings(plant);
	int64_t whole = plant_quantify(plant)->gross_mg, start = plant->the_case.from_us;
	for (int quality = SERIES_MANUAL; quality <= SERIES_STALE; quality++) {
		for (size_t i = 60; i < 120; i++)
			plant->series[FLOW].points[i].quality = (uint8_t)quality;
		assert_true(plant_quantify(plant)->gross_mg < whole - INT64_C(990000000));
	}
	for (size_t i = 60; i < 120; i++)
		plant->series[FLOW].points[i].quality = SERIES_GOOD;
	plant->overlays[0] = (struct mrv_overlay){.id = plant_id(6, 1),
		.sensor_id = plant->sensors[FLOW].id,
		.from_us = start + HOUR,
		.to_us = start + 2 * HOUR,
		.quality = SERIES_SUSPECT,
		.reason = "test"};
	plant->the_case.overlay_count = 1;
	assert_true(plant_quantify(plant)->gross_mg < whole - INT64_C(990000000));
	plant_free(plant);
}

static struct mrv_calibration certificate(struct plant *plant, int64_t from_us, const char *factor, const char *drift)
{
	return (struct mrv_calibration){.id = plant_id(7, plant->the_case.calibration_count),
		.sensor_id = plant->sensors[FLOW].id,
		.performed_us = from_us,
		.valid_from_us = from_us,
		.valid_until_us = from_us + 1000 * HOUR,
		.factor = factor,
		.offset = "0",
		.as_found_drift = drift,
		.uncertainty_ppm = 4000,
		.position = (int64_t)plant->the_case.calibration_count};
}

/* The factor in force at the reading's time; drift found later re-prices back to the last good calibration. */
static void calibration_is_bounded_in_time(void **state)
{
	(void)state;
	struct plant *plant = plant_fixture(10, 1000, false, CLOCK_US_PER_MINUTE);
	plant_fixture_readings(plant);
	int64_t start = plant->the_case.from_us;
	plant->calibrations[0] = certificate(plant, start, "1", NULL);
	plant->the_case.calibration_count = 1;
	int64_t whole = plant_quantify(plant)->gross_mg;
	plant->calibrations[1] = certificate(plant, start + 5 * HOUR, "0.9", NULL);
	plant->the_case.calibration_count = 2;
	int64_t split = plant_quantify(plant)->gross_mg;
	assert_true(llabs(split - whole * 95 / 100) < INT64_C(10000000));
	/* it was found 10 % high: the five hours before it are worth 1 ÷ 1.1 */
	plant->calibrations[1].factor = "1";
	plant->calibrations[1].as_found_drift = "0.1";
	int64_t repriced = plant_quantify(plant)->gross_mg;
	assert_true(llabs(repriced - (whole / 2 + whole * 10 / 22)) < INT64_C(10000000));
	/* expired: OUT_OF_CALIBRATION, missing */
	plant->calibrations[1].as_found_drift = NULL;
	plant->calibrations[0].valid_until_us = start + 3 * HOUR;
	int64_t expired = plant_quantify(plant)->gross_mg;
	assert_true(llabs(expired - whole * 8 / 10) < INT64_C(50000000));
	plant_free(plant);
}

static void only_its_origin_counts(void **state)
{
	(void)state;
	struct plant *plant = plant_fixture(10, 1000, false, CLOCK_US_PER_MINUTE);
	plant_fixture_readings(plant);
	struct mrv_result *result;
	struct err_info info = {0};
	plant->the_case.project.atmospheric_ppm = 700000;
	plant->the_case.project.recycled_ppm = 300000;
	result = plant_quantify(plant);
	int64_t origin = plant_line(result, "origin")->mg;
	assert_true(llabs(origin + result->gross_mg * 3 / 10) < 10);
	plant->the_case.project.recycled_ppm = 0;
	assert_int_equal(
		mrv_quantify(&plant->the_case, &plant->source, plant->arena, &result, &info), ERR_INVALID_FIELD);
	plant->the_case.project.atmospheric_ppm = 1000000;
	plant->the_case.project.storage = 5;
	assert_string_equal(mrv_storages[5], "enhanced_oil_recovery");
	assert_int_equal(
		mrv_quantify(&plant->the_case, &plant->source, plant->arena, &result, &info), ERR_INVALID_FIELD);
	assert_string_equal(info.pointer, "/storage");
	plant->the_case.project.storage = 0;
	plant->the_case.project.kind = 1; /* DAC1 credits removals only */
	assert_int_equal(
		mrv_quantify(&plant->the_case, &plant->source, plant->arena, &result, &info), ERR_INVALID_FIELD);
	plant_free(plant);
}

/* mass-balance lock */
static void mass_balance_holds(void **state)
{
	(void)state;
	struct plant *plant = plant_fixture(10, 1000, false, CLOCK_US_PER_MINUTE);
	size_t point = plant_point(plant, "INJECTED", "injected", false, 2000);
	size_t sensor = plant_sensor(plant, point, "FT-3", "mass_flow", "kg/h", CLOCK_US_PER_MINUTE, 2500, 0);
	plant_fixture_readings(plant);
	plant_constant(plant, sensor, plant->the_case.from_us, plant->the_case.to_us, 1005);
	assert_int_equal(plant_quantify(plant)->held_count, 0); /* within k = 2 */
	for (size_t i = 0; i < plant->series[sensor].count; i++)
		plant->series[sensor].points[i].value = 1030;
	struct mrv_result *result = plant_quantify(plant);
	assert_int_equal(result->held_count, 1);
	assert_int_equal(strncmp(result->held[0], "mass_balance: injected", 22), 0);
	assert_true(result->kg > 0); /* held, not lowered */
	plant->the_case.project.nameplate_kg_per_hour = 900;
	result = plant_quantify(plant);
	assert_int_equal(result->held_count, 2);
	assert_int_equal(strncmp(result->held[1], "nameplate: captured", 19), 0);
	plant_free(plant);
}

static void a_missing_meter_is_named(void **state)
{
	(void)state;
	struct plant *plant = plant_fixture(2, 1000, false, CLOCK_US_PER_MINUTE);
	struct mrv_result *result;
	struct err_info info = {0};
	plant_fixture_readings(plant);
	plant->sensors[PURITY].primary = false;
	assert_int_equal(
		mrv_quantify(&plant->the_case, &plant->source, plant->arena, &result, &info), ERR_METER_MISSING);
	assert_non_null(strstr(info.detail, "CAPTURED"));
	plant->sensors[PURITY].primary = true;
	plant->the_case.to_us += 1;
	assert_int_equal(
		mrv_quantify(&plant->the_case, &plant->source, plant->arena, &result, &info), ERR_INVALID_FIELD);
	plant->the_case.to_us -= 1;
	plant->the_case.project.electricity_factor = "nowhere";
	assert_int_equal(
		mrv_quantify(&plant->the_case, &plant->source, plant->arena, &result, &info), ERR_FACTOR_MISSING);
	plant_free(plant);
}

static void every_line_is_explained(void **state)
{
	(void)state;
	struct plant *plant = plant_fixture(5, 1645, false, CLOCK_US_PER_MINUTE);
	plant_fixture_readings(plant);
	struct mrv_result *result = plant_quantify(plant);
	size_t size;
	char *csv = mrv_result_csv(result, plant->arena, &size);
	int64_t net = 0;
	for (size_t i = 0; i < result->line_count; i++) {
		const struct mrv_line *line = &result->lines[i];
		assert_true(*line->label && *line->source);
		if (strcmp(line->code, "net") == 0)
			break;
		assert_true(*line->formula && *line->inputs);
		net += line->mg;
	}
	assert_int_equal(net, result->net_mg);
	assert_non_null(strstr(csv, "FT-1 (kg/h, u 5000 ppm systematic, 0 ppm random)"));
	assert_non_null(strstr(csv, "\r\n\"credit\","));
	char *hours = mrv_hours_csv(&plant->the_case, result, plant->arena, &size);
	assert_non_null(strstr(hours, "2026-03-01T04:00:00Z,energy,FANS,"));
	json_t *document = mrv_result_document(&plant->the_case, result);
	assert_int_equal(json_integer_value(json_object_get(document, "kg")), result->kg);
	char *text;
	assert_int_equal(document_canonical(plant->arena, document, &text, &size), ERR_OK); /* integers only */
	json_decref(document);
	plant_free(plant);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worked_fixture),
		cmocka_unit_test(budget_alone),
		cmocka_unit_test(monte_carlo_agrees),
		cmocka_unit_test(missing_co2_counts_zero),
		cmocka_unit_test(missing_energy_counts_nameplate),
		cmocka_unit_test(counter_is_a_flow),
		cmocka_unit_test(only_good_counts),
		cmocka_unit_test(calibration_is_bounded_in_time),
		cmocka_unit_test(only_its_origin_counts),
		cmocka_unit_test(mass_balance_holds),
		cmocka_unit_test(a_missing_meter_is_named),
		cmocka_unit_test(every_line_is_explained),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
