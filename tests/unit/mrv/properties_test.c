/* P6: dropping readings never raises the kilograms (tiers off). P7: raising any uncertainty never raises the quantity before
 * holds. Both over seeded random plants with adversarial values; the seed is printed. */
#include "plant.h"

static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static int64_t random_below(uint64_t *state, int64_t most)
{
	return (int64_t)(random_next(state) % (uint64_t)most);
}

static uint64_t seed_of_run(void)
{
	const char *text = getenv("CARBOND_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 10) : 20261123;
	print_message("seed %llu\n", (unsigned long long)seed);
	return seed;
}

/* A plant of a few hours with jumping values, zeros, jittered times (±20 %) and gaps. */
static struct plant *random_plant(uint64_t *seed)
{
	int64_t hours = 1 + random_below(seed, 5), period_us = (1 + random_below(seed, 10)) * CLOCK_US_PER_MINUTE;
	static const double most[] = {[FLOW] = 20000, [PURITY] = 1, [LOSS] = 50, [POWER] = 2000};
	struct plant *plant = plant_fixture(hours, 1000 + random_below(seed, 646), false, period_us);
	for (size_t i = 0; i < 4; i++) {
		plant->sensors[i].systematic_ppm = random_below(seed, 40000);
		plant->sensors[i].random_ppm = random_below(seed, 40000);
	}
	plant->the_case.project.nameplate_kg_per_hour = 100000;
	for (size_t i = 0; i < 4; i++)
		for (int64_t at = plant->the_case.from_us - period_us; at <= plant->the_case.to_us + period_us;
			at += period_us) {
			double value = most[i] * (double)random_below(seed, 1001) / 1000;
			int64_t jitter = i == PURITY ? 0 : random_below(seed, period_us * 4 / 10) - period_us / 5;
			if (random_below(seed, 4) == 0)
				value = random_below(seed, 2) ? 0 : most[i];
			if (random_below(seed, 20) != 0)
				plant_read(plant, i, at + jitter, value);
		}
	return plant;
}

static void p6_dropping_readings_never_raises_kg(void **state)
{
	(void)state;
	uint64_t seed = seed_of_run();
	for (int run = 0; run < 400; run++) {
		struct plant *plant = random_plant(&seed);
		struct mrv_result *before = plant_quantify(plant);
		for (int drop = 0; drop < 12; drop++) {
			size_t sensor = (size_t)random_below(&seed, 4);
			struct plant_series *series = &plant->series[sensor];
			if (series->count == 0)
				continue;
			int64_t at = random_below(&seed, (int64_t)series->count), from_us = series->points[at].time_us;
			int64_t span = random_below(&seed, 3) ? 1 : random_below(&seed, HOUR);
			plant_drop(plant, sensor, from_us, from_us + span);
			struct mrv_result *after = plant_quantify(plant);
			if (after->kg > before->kg || after->gross_mg > before->gross_mg)
				fail_msg("run %d: dropping %s raised %lld kg to %lld kg", run,
					plant->sensors[sensor].tag, (long long)before->kg, (long long)after->kg);
			before = after;
		}
		plant_free(plant);
	}
}

/* The worst that an operator can do: leave out exactly the lowest reading. */
static void p6_leaving_out_the_low_reading_does_not_pay(void **state)
{
	(void)state;
	struct plant *plant = plant_fixture(2, 1000, false, CLOCK_US_PER_MINUTE);
	plant_fixture_readings(plant);
	plant->series[FLOW].points[30].value = 0;
	int64_t honest = plant_quantify(plant)->gross_mg;
	int64_t at_us = plant->series[FLOW].points[30].time_us;
	plant_drop(plant, FLOW, at_us, at_us + 1);
	assert_true(plant_quantify(plant)->gross_mg <= honest);
	plant_free(plant);
}

static void raise_one(struct plant *plant, uint64_t *seed)
{
	int64_t more = 1 + random_below(seed, 30000);
	switch (random_below(seed, 4)) {
	case 0: plant->sensors[random_below(seed, 4)].systematic_ppm += more; break;
	case 1: plant->sensors[random_below(seed, 4)].random_ppm += more; break;
	case 2: plant->schedules[random_below(seed, 2)].uncertainty_ppm += more; break;
	default: plant->calibrations[0].uncertainty_ppm += more; break;
	}
}

static void p7_raising_uncertainty_never_raises_quantity(void **state)
{
	(void)state;
	uint64_t seed = seed_of_run();
	for (int run = 0; run < 400; run++) {
		struct plant *plant = random_plant(&seed);
		plant->calibrations[0] = (struct mrv_calibration){.id = plant_id(7, 0),
			.sensor_id = plant->sensors[random_below(&seed, 4)].id,
			.performed_us = plant->the_case.from_us - HOUR,
			.valid_from_us = plant->the_case.from_us - HOUR,
			.valid_until_us = FIELD_ABSENT,
			.factor = "1.01",
			.uncertainty_ppm = random_below(&seed, 30000)};
		plant->the_case.calibration_count = 1;
		struct mrv_result *before = plant_quantify(plant);
		for (int step = 0; step < 10; step++) {
			raise_one(plant, &seed);
			struct mrv_result *after = plant_quantify(plant);
			if (after->kg > before->kg ||
				after->net_mg - after->deduction_mg > before->net_mg - before->deduction_mg)
				fail_msg("run %d: more uncertainty raised %lld kg to %lld kg", run,
					(long long)before->kg, (long long)after->kg);
			before = after;
		}
		plant_free(plant);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(p6_dropping_readings_never_raises_kg),
		cmocka_unit_test(p6_leaving_out_the_low_reading_does_not_pay),
		cmocka_unit_test(p7_raising_uncertainty_never_raises_quantity),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
