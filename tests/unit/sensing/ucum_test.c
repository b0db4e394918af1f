/* The table of unit codes: dimensions, factors and offsets against values worked out by hand, and the tables around it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "parts.h"

static double in_base(const char *code, double value, const char *dimension)
{
	const char *found = NULL;
	double factor = 0, offset = 0;

	assert_true(sensing_ucum(code, &found, &factor, &offset));
	assert_string_equal(found, dimension);
	return value * factor + offset;
}

static void assert_near(double value, double expected)
{
	assert_true(fabs(value - expected) <= 1e-12 * fmax(1, fabs(expected)));
}

static void values_convert_to_the_base_unit(void **state)
{
	(void)state;
	assert_near(in_base("kg/h", 3600, "mass/time"), 1);
	assert_near(in_base("t/d", 86.4, "mass/time"), 1);
	assert_near(in_base("g/s", 1000, "mass/time"), 1);
	assert_near(in_base("m3/h", 7200, "volume/time"), 2);
	assert_near(in_base("%", 42, "1"), 0.42);
	assert_near(in_base("[ppm]", 420, "1"), 420e-6);
	assert_near(in_base("Cel", 25, "temperature"), 298.15);
	assert_near(in_base("[degF]", 212, "temperature"), 373.15);
	assert_near(in_base("kWh", 1, "energy"), 3.6e6);
	assert_near(in_base("MJ", 3.6, "energy"), 3.6e6);
	assert_near(in_base("mbar", 1013.25, "pressure"), 101325);
	assert_near(in_base("/min", 60, "frequency"), 1);
}

/* 1 Nm3 (0 °C) is more gas than 1 Sm3 (20 °C), in the ratio of the temperatures. */
static void normal_and_standard_volumes_are_a_dimension_of_their_own(void **state)
{
	(void)state;
	assert_near(in_base("Sm3/h", 3600, "standard-volume/time"), 1);
	assert_near(in_base("Nm3/h", 3600, "standard-volume/time"), 293.15 / 273.15);
}

static void unknown_codes_and_other_cases_are_refused(void **state)
{
	static const char *const wrong[] = {"", "KG/H", "kg/hr", "kwh", "C", "ppm", "degC", "m3/h ", NULL};

	(void)state;
	for (const char *const *code = wrong; *code; code++)
		assert_false(sensing_ucum(*code, NULL, NULL, NULL));
	assert_true(sensing_ucum("kg/h", NULL, NULL, NULL));
}

/* A quantity whose dimension no unit has could never be entered. */
static void every_quantity_has_a_unit(void **state)
{
	static const char *const codes[] = {"1", "kg/h", "m3/h", "Nm3/h", "mol/s", "kg", "m3", "Nm3", "mol", "mg/m3",
		"mol/L", "Cel", "Pa", "W", "Wh", "h", "m", "[pH]", "m/s", "Hz", "V", "A", "S/m", NULL};

	(void)state;
	for (const struct quantity *row = quantities; row->name; row++) {
		bool found = *row->dimension == '\0';
		for (const char *const *code = codes; *code && !found; code++) {
			const char *dimension;
			assert_true(sensing_ucum(*code, &dimension, NULL, NULL));
			found = strcmp(dimension, row->dimension) == 0;
		}
		assert_true(found);
		assert_ptr_equal(quantity_find(row->name), row);
	}
	assert_null(quantity_find("weight"));
}

static void countries_are_iso_3166(void **state)
{
	(void)state;
	assert_true(country_is_known("DE"));
	assert_true(country_is_known("AD"));
	assert_true(country_is_known("ZW"));
	assert_false(country_is_known("de"));
	assert_false(country_is_known("UK"));
	assert_false(country_is_known("XX"));
	assert_false(country_is_known(""));
	assert_false(country_is_known("E "));
	assert_false(country_is_known("DEU"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_convert_to_the_base_unit),
		cmocka_unit_test(normal_and_standard_volumes_are_a_dimension_of_their_own),
		cmocka_unit_test(unknown_codes_and_other_cases_are_refused),
		cmocka_unit_test(every_quantity_has_a_unit),
		cmocka_unit_test(countries_are_iso_3166),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
