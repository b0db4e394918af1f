/* The tiers of 40 CFR 75.33, mirrored: only with the methodology's leave and an independent proof that the plant ran. */
#include "plant.h"

/* 800 hours, of which 720 are the look-back; hour h captures 900 + (h mod 100) kg. The gap is asked for by the tests. */
static struct plant *long_plant(bool tiers, bool operating)
{
	const int64_t half = HOUR / 2, past = 760;
	struct plant *plant = plant_fixture(48, 1000, tiers, half);
	int64_t from = plant->the_case.from_us - past * HOUR, to = plant->the_case.to_us + HOUR;
	for (int64_t at = from; at <= to; at += half) {
		plant_read(plant, FLOW, at, 900 + (double)((at / HOUR) % 100));
		plant_read(plant, PURITY, at, 1);
		plant_read(plant, LOSS, at, 4);
		plant_read(plant, POWER, at, 1000 + (double)((at / HOUR) % 100));
	}
	if (operating) {
		size_t point = plant_point(plant, "RUNNING", "operating", false, 0);
		size_t sensor = plant_sensor(plant, point, "XS-1", "state", "1", half, 0, 0);
		plant_constant(plant, sensor, from, to, 1);
	}
	return plant;
}

static void gap(struct plant *plant, size_t sensor, int64_t first, int64_t hours)
{
	int64_t from_us = plant->the_case.from_us + first * HOUR;
	plant_drop(plant, sensor, from_us - HOUR / 4, from_us + hours * HOUR + HOUR / 4);
}

static void without_leave_or_proof_it_is_zero(void **state)
{
	(void)state;
	for (int variant = 0; variant < 2; variant++) {
		struct plant *plant = long_plant(variant == 0, variant == 1);
		int64_t whole = plant_quantify(plant)->gross_mg;
		gap(plant, FLOW, 10, 5);
		struct mrv_result *result = plant_quantify(plant);
		assert_int_equal(result->substitution_count, 0);
		assert_true(result->gross_mg < whole - 5 * INT64_C(890000000));
		plant_free(plant);
	}
}

static void short_gap_takes_the_lower_of_neighbours_and_percentile(void **state)
{
	(void)state;
	struct plant *plant = long_plant(true, true);
	gap(plant, FLOW, 10, 5);
	struct mrv_result *result = plant_quantify(plant);
	assert_int_equal(result->substitution_count, 1);
	const struct mrv_substitution *row = &result->substitutions[0];
	assert_int_equal(row->availability_ppm, 1000000);
	assert_true(strcmp(row->tier, "percentile_10") == 0 || strcmp(row->tier, "neighbours") == 0);
	assert_in_range(row->rate_per_hour, 900000000, 911000000);
	assert_true(plant_line(result, "gross")->substituted_hours >= 5);
	/* what was substituted carries the methodology's uncertainty */
	assert_true(plant_line(result, "gross")->uncertainty_mg > row->amount / 10);
	plant_free(plant);
}

static void long_gap_takes_the_fifth_percentile(void **state)
{
	(void)state;
	struct plant *plant = long_plant(true, true);
	gap(plant, FLOW, 10, 30);
	struct mrv_result *result = plant_quantify(plant);
	assert_int_equal(result->substitution_count, 1);
	assert_string_equal(result->substitutions[0].tier, "percentile_5");
	assert_in_range(result->substitutions[0].rate_per_hour, 900000000, 905500000);
	plant_free(plant);
}

static void deductions_are_mirrored(void **state)
{
	(void)state;
	struct plant *plant = long_plant(true, true);
	gap(plant, POWER, 10, 30);
	struct mrv_result *result = plant_quantify(plant);
	assert_int_equal(result->substitution_count, 1);
	assert_string_equal(result->substitutions[0].tier, "percentile_95");
	assert_in_range(result->substitutions[0].rate_per_hour, 1092000, 1100000); /* Wh */
	plant_free(plant);
}

static void availability_chooses_the_tier(void **state)
{
	(void)state;
	/* 90 %: every tenth hour of the look-back is not GOOD */
	struct plant *plant = long_plant(true, true);
	for (int64_t h = -752; h < 0; h += 10)
		gap(plant, FLOW, h, 1);
	gap(plant, FLOW, 10, 5);
	struct mrv_result *result = plant_quantify(plant);
	assert_int_equal(result->substitution_count, 0); /* fewer than 720 GOOD hours: none */
	plant_free(plant);
	plant = long_plant(true, true);
	for (int64_t h = 0; h < 5; h++)
		gap(plant, FLOW, -700 + h * 100, 6);
	gap(plant, FLOW, 10, 5);
	result = plant_quantify(plant);
	assert_int_equal(result->substitution_count, 1);
	assert_in_range(result->substitutions[0].availability_ppm, 940000, 999999);
	plant_free(plant);
}

/* An idle plant captured nothing: without the operating signal at work, nothing is filled in. */
static void an_idle_plant_is_not_filled(void **state)
{
	(void)state;
	struct plant *plant = long_plant(true, true);
	gap(plant, FLOW, 10, 5);
	for (size_t i = 0; i < plant->series[4].count; i++) {
		int64_t hour = (plant->series[4].points[i].time_us - plant->the_case.from_us) / HOUR;
		if (hour >= 9 && hour <= 16)
			plant->series[4].points[i].value = 0;
	}
	assert_int_equal(plant_quantify(plant)->substitution_count, 0);
	plant_free(plant);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_leave_or_proof_it_is_zero),
		cmocka_unit_test(short_gap_takes_the_lower_of_neighbours_and_percentile),
		cmocka_unit_test(long_gap_takes_the_fifth_percentile),
		cmocka_unit_test(deductions_are_mirrored),
		cmocka_unit_test(availability_chooses_the_tier),
		cmocka_unit_test(an_idle_plant_is_not_filled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
