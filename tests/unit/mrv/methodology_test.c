/* Methodologies and factor sets: what ships is valid; every fault is named by pointer with what is allowed; units are checked;
 * the hash covers the whole document. */
#include "plant.h"

static void shipped_documents_are_valid(void **state)
{
	(void)state;
	static const char *const paths[] = {
		"config/methodologies/dac-1.json", "config/methodologies/point-source-1.json"};
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	for (size_t i = 0; i < 2; i++) {
		const struct mrv_methodology *methodology;
		if (mrv_methodology_parse(plant_document(arena, paths[i]), arena, &methodology, &info) != ERR_OK)
			fail_msg("%s: %s %s", paths[i], info.pointer, info.detail);
		assert_int_equal(mrv_methodology_terms(methodology)->quorum, 2);
		assert_true(mrv_methodology_terms(methodology)->removal);
		assert_int_equal(mrv_methodology_terms(methodology)->reduction, i == 1);
	}
	const struct mrv_factors *factors;
	if (mrv_factors_parse(plant_document(arena, "config/factors/ember-1.json"), arena, &factors, &info) != ERR_OK)
		fail_msg("%s %s", info.pointer, info.detail);
	assert_true(mrv_factors_have(factors, "grid-is"));
	assert_false(mrv_factors_have(factors, "grid-xx"));
	assert_non_null(strstr(mrv_factors_terms(factors)->licence, "CC BY 4.0"));
	arena_free(&arena);
}

/* Sets the member at a pointer of the shipped document and expects a refusal that names it. */
static void refuse(const char *pointer, json_t *value, const char *expected, const char *says)
{
	struct arena *arena = arena_new(0);
	json_t *document = plant_document(arena, "config/methodologies/dac-1.json"), *at = document;
	struct err_info info = {0};
	const struct mrv_methodology *methodology;
	char path[128];
	snprintf(path, sizeof path, "%s", pointer);
	char *part = strtok(path + 1, "/");
	for (char *next; (next = strtok(NULL, "/")); part = next)
		at = json_is_array(at) ? json_array_get(at, strtoul(part, NULL, 10)) : json_object_get(at, part);
	if (json_is_array(at))
		json_array_set_new(at, strtoul(part, NULL, 10), value);
	else if (value)
		json_object_set_new(at, part, value);
	else
		json_object_del(at, part);
	assert_int_equal(mrv_methodology_parse(document, arena, &methodology, &info), ERR_INVALID_METHODOLOGY);
	assert_string_equal(info.pointer, expected);
	if (!strstr(info.detail, says))
		fail_msg("\"%s\" does not say \"%s\"", info.detail, says);
	arena_free(&arena);
}

static void faults_are_named(void **state)
{
	(void)state;
	refuse("/code", NULL, "/code", "required");
	refuse("/code", json_string("dac-1"), "/code", "A-Z");
	refuse("/format", json_string("other"), "/format", "carbond/methodology/1");
	refuse("/surprise", json_true(), "/surprise", "");
	refuse("/kinds/0", json_string("avoidance"), "/kinds/0", "removal or reduction");
	refuse("/uncertainty/z_milli", json_integer(900), "/uncertainty/z_milli", "1000..2000");
	refuse("/quorum/k", json_integer(4), "/quorum/k", "n");
	refuse("/gross/meter", json_string("electricity"), "/gross/meter", "mass");
	refuse("/deductions/0/roles/0", json_string("nowhere"), "/deductions/0/roles/0", "role");
	refuse("/deductions/0/meter", json_string("none"), "/deductions/0/meter", "meters");
	refuse("/meters/0/variants/0/primary", json_string("x"), "/meters/0/variants/0/primary", "inputs");
	refuse("/meters/0/variants/0/inputs/0/unit", json_string("kg/fortnight"), "/meters/0/variants/0/inputs/0/unit",
		"UCUM");
	refuse("/meters/0/variants/0/inputs/0/counter", json_true(), "/meters/0/variants/0/inputs/0/unit", "counter");
}

static json_t *tree(const char *text)
{
	return json_loads(text, 0, NULL);
}

static void formulas_are_unit_checked(void **state)
{
	(void)state;
	static const char rate[] = "/meters/0/variants/0/rate";
	refuse(rate, tree("{\"input\":\"purity\"}"), rate, "mass per time");
	refuse(rate, tree("{\"input\":\"pressure\"}"), rate, "inputs");
	refuse(rate, tree("{\"power\":[{\"input\":\"flow\"}]}"), rate, "add, subtract, multiply");
	refuse(rate, tree("{\"add\":[{\"input\":\"flow\"},{\"input\":\"purity\"}]}"), rate, "dimension");
	refuse(rate, tree("{\"multiply\":[{\"input\":\"flow\"}]}"), rate, "2 to 8");
	refuse(rate, tree("{\"multiply\":[{\"input\":\"flow\"},{\"constant\":1.5,\"unit\":\"1\"}]}"),
		"/meters/0/variants/0/rate/multiply/1", "decimal string");
	refuse(rate, tree("{\"multiply\":[{\"input\":\"flow\"},{\"constant\":\"1.5\"}]}"),
		"/meters/0/variants/0/rate/multiply/1", "UCUM");
}

static void units(void **state)
{
	(void)state;
	struct mrv_unit unit, other;
	assert_true(mrv_unit_parse("kg/h", &unit) && mrv_unit_parse("t/d", &other) && mrv_unit_same(&unit, &other));
	assert_true(mrv_unit_parse("Nm3/h", &unit) && mrv_unit_parse("Sm3/s", &other) && mrv_unit_same(&unit, &other));
	assert_true(mrv_unit_parse("m3/h", &other) && !mrv_unit_same(&unit, &other)); /* never for a standard volume */
	assert_true(mrv_unit_parse("J/s", &unit) && mrv_unit_parse("kW", &other) && mrv_unit_same(&unit, &other));
	assert_true(mrv_unit_parse("g/kWh", &unit) && mrv_unit_parse("kg/J", &other) && mrv_unit_same(&unit, &other));
	assert_true(mrv_unit_parse("Cel", &unit) && unit.offset == 273.15);
	assert_true(mrv_unit_parse("mol/mol", &unit) && mrv_unit_parse("%", &other) && mrv_unit_same(&unit, &other));
	assert_true(mrv_unit_parse("/min", &unit) && mrv_unit_parse("Hz", &other) && mrv_unit_same(&unit, &other));
	static const char *const bad[] = {"", "/", "kg//h", "kg/h/s", "furlong", "kg h", "m9", "kg/", "."};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(mrv_unit_parse(bad[i], &unit));
}

static void hash_covers_everything(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	const struct mrv_methodology *first, *second;
	json_t *document = plant_document(arena, "config/methodologies/dac-1.json");
	assert_int_equal(mrv_methodology_parse(document, arena, &first, &info), ERR_OK);
	struct hash before = mrv_methodology_terms(first)->hash;
	json_object_set_new(json_object_get(document, "gross"), "source", json_string("another"));
	assert_int_equal(mrv_methodology_parse(document, arena, &second, &info), ERR_OK);
	assert_false(hash_equal(before, mrv_methodology_terms(second)->hash));
	arena_free(&arena);
}

static void buffer_shares(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	const struct mrv_methodology *methodology;
	int64_t ppm;
	json_t *document = plant_document(arena, "config/methodologies/dac-1.json");
	assert_int_equal(mrv_methodology_parse(document, arena, &methodology, &info), ERR_OK);
	assert_int_equal(mrv_buffer_share(methodology, "geological", 0, &ppm, &info), ERR_OK);
	assert_int_equal(ppm, 20000);
	assert_int_equal(mrv_buffer_share(methodology, "geological", 11, &ppm, &info), ERR_OK);
	assert_int_equal(ppm, 50000);
	assert_int_equal(mrv_buffer_share(methodology, "geological", 61, &ppm, &info), ERR_INVALID_FIELD);
	assert_string_equal(info.pointer, "/risk_score");
	assert_int_equal(mrv_buffer_share(methodology, "biomass", 1, &ppm, &info), ERR_INVALID_FIELD);
	assert_string_equal(info.pointer, "/durability_class");
	/* rounded up to 10 kg, never more than the whole */
	assert_int_equal(mrv_buffer_kg(833990, 20000), 16680);
	assert_int_equal(mrv_buffer_kg(500, 20000), 10);
	assert_int_equal(mrv_buffer_kg(10, 20000), 10);
	assert_int_equal(mrv_buffer_kg(0, 20000), 0);
	arena_free(&arena);
}

static void factor_faults_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *text, *pointer;
	} bad[] = {
		{"{\"id\":\"x\",\"unit\":\"g/kWh\",\"value\":\"-1\",\"source\":\"s\"}", "/factors/0/value"},
		{"{\"id\":\"x\",\"unit\":\"g/kg\",\"value\":\"1\",\"source\":\"s\"}", "/factors/0/value"},
		{"{\"id\":\"x\",\"unit\":\"g/kWh\",\"source\":\"s\"}", "/factors/0/value"},
		{"{\"id\":\"x\",\"unit\":\"g/kWh\",\"value\":\"1\",\"values\":[\"1\"],\"source\":\"s\"}",
			"/factors/0/from"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct arena *arena = arena_new(0);
		struct err_info info = {0};
		const struct mrv_factors *factors;
		json_t *row = json_loads(bad[i].text, 0, NULL);
		json_t *document = document_own(
			arena, json_pack("{s:s,s:s,s:i,s:s,s:s,s:s,s:[o]}", "format", "carbond/factors/1", "code", "c",
				       "version", 1, "title", "t", "licence", "l", "source", "s", "factors", row));
		assert_int_equal(mrv_factors_parse(document, arena, &factors, &info), ERR_INVALID_FACTORS);
		assert_string_equal(info.pointer, bad[i].pointer);
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shipped_documents_are_valid),
		cmocka_unit_test(faults_are_named),
		cmocka_unit_test(formulas_are_unit_checked),
		cmocka_unit_test(units),
		cmocka_unit_test(hash_covers_everything),
		cmocka_unit_test(buffer_shares),
		cmocka_unit_test(factor_faults_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
