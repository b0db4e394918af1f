/* The claim rule on a unit's process graph (claim lock: each process path has exactly one claimable point). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "parts.h"

struct sketch {
	const char *code;
	bool claimable;
	const char *next[4]; /* codes downstream */
};

/* The verdict on a graph given as a sketch ended by code NULL. */
static enum err judge(const struct sketch *sketch, bool operating, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct metering_point points[16] = {0};
	size_t count = 0;
	enum err err;

	for (; sketch[count].code; count++) {
		const struct sketch *from = &sketch[count];
		size_t edges = 0;
		while (edges < 4 && from->next[edges])
			edges++;
		points[count] = (struct metering_point){.code = from->code,
			.claimable = from->claimable,
			.downstream = {(void *)(uintptr_t)from->next, edges}};
	}
	memset(info, 0, sizeof(*info));
	err = sensing_graph_check(points, count, operating, arena, info);
	arena_free(&arena);
	return err;
}

static void a_chain_with_one_claimable_point_is_good(void **state)
{
	struct err_info info;
	const struct sketch chain[] = {{"FAN", false, {"CAP"}}, {"CAP", true, {"COMP"}}, {"COMP", false, {"INJ"}},
		{"INJ", false, {NULL}}, {NULL}};

	(void)state;
	assert_int_equal(judge(chain, true, &info), ERR_OK);
	assert_int_equal(judge(chain, false, &info), ERR_OK);
}

static void two_claimable_points_on_a_path_are_refused_and_named(void **state)
{
	struct err_info info;
	const struct sketch chain[] = {
		{"CAP", true, {"COMP"}}, {"COMP", false, {"INJ"}}, {"INJ", true, {NULL}}, {NULL}};

	(void)state;
	for (int operating = 0; operating < 2; operating++) {
		assert_int_equal(judge(chain, operating, &info), ERR_INVALID_FIELD);
		assert_string_equal(info.pointer, "/claimable");
		assert_non_null(strstr(info.detail, "CAP → COMP → INJ"));
	}
}

static void a_path_without_a_claimable_point_waits_for_the_plan_to_end(void **state)
{
	struct err_info info;
	const struct sketch fork[] = {{"INTAKE", false, {"A", "B"}}, {"A", true, {"OUT"}}, {"B", false, {"OUT"}},
		{"OUT", false, {NULL}}, {NULL}};

	(void)state;
	assert_int_equal(judge(fork, false, &info), ERR_OK);
	assert_int_equal(judge(fork, true, &info), ERR_INVALID_FIELD);
	assert_non_null(strstr(info.detail, "INTAKE → B → OUT"));
}

static void parallel_trains_with_one_each_are_good_and_joined_ones_are_not(void **state)
{
	struct err_info info;
	const struct sketch trains[] = {{"A", true, {"OUT"}}, {"B", true, {"OUT"}}, {"OUT", false, {NULL}}, {NULL}};
	const struct sketch joined[] = {{"A", true, {"B"}}, {"B", true, {"OUT"}}, {"OUT", false, {NULL}}, {NULL}};

	(void)state;
	assert_int_equal(judge(trains, true, &info), ERR_OK);
	assert_int_equal(judge(joined, true, &info), ERR_INVALID_FIELD);
}

static void meters_without_edges_are_no_paths(void **state)
{
	struct err_info info;
	const struct sketch loose[] = {
		{"CAP", true, {NULL}}, {"POWER", false, {NULL}}, {"WIND", false, {NULL}}, {NULL}};

	(void)state;
	assert_int_equal(judge(loose, true, &info), ERR_OK);
}

static void cycles_are_refused(void **state)
{
	struct err_info info;
	const struct sketch ring[] = {{"A", true, {"B"}}, {"B", false, {"C"}}, {"C", false, {"A"}}, {NULL}};
	const struct sketch self[] = {{"A", true, {"A"}}, {NULL}};
	const struct sketch tail[] = {
		{"IN", false, {"A"}}, {"A", true, {"B"}}, {"B", false, {"A", "OUT"}}, {"OUT", false, {NULL}}, {NULL}};

	(void)state;
	assert_int_equal(judge(ring, false, &info), ERR_INVALID_FIELD);
	assert_non_null(strstr(info.detail, "cycle"));
	assert_int_equal(judge(self, false, &info), ERR_INVALID_FIELD);
	assert_int_equal(judge(tail, false, &info), ERR_INVALID_FIELD);
}

static void edges_to_strangers_and_doubled_edges_are_refused(void **state)
{
	struct err_info info;
	const struct sketch stranger[] = {{"A", true, {"NOWHERE"}}, {NULL}};
	const struct sketch doubled[] = {{"A", true, {"B", "B"}}, {"B", false, {NULL}}, {NULL}};

	(void)state;
	assert_int_equal(judge(stranger, false, &info), ERR_INVALID_FIELD);
	assert_string_equal(info.pointer, "/downstream");
	assert_non_null(strstr(info.detail, "NOWHERE"));
	assert_int_equal(judge(doubled, false, &info), ERR_INVALID_FIELD);
}

/* A ladder of diamonds has 2^n paths; the check must not walk them one by one. */
static void many_paths_take_no_time(void **state)
{
	enum { RUNGS = 160 };
	static struct metering_point points[3 * RUNGS + 1];
	static char codes[3 * RUNGS + 1][16];
	static const char *next[3 * RUNGS + 1][2];
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	size_t count = 3 * RUNGS + 1;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		snprintf(codes[i], sizeof(codes[i]), "P%zu", i);
		points[i] = (struct metering_point){.code = codes[i], .claimable = i == 0};
	}
	for (size_t i = 0; i + 3 < count; i += 3) {
		next[i][0] = codes[i + 1];
		next[i][1] = codes[i + 2];
		next[i + 1][0] = next[i + 2][0] = codes[i + 3];
		points[i].downstream = (struct field_list){next[i], 2};
		points[i + 1].downstream = points[i + 2].downstream = (struct field_list){next[i + 1], 1};
	}
	assert_int_equal(sensing_graph_check(points, count, true, arena, &info), ERR_OK);
	points[count - 1].claimable = true;
	assert_int_equal(sensing_graph_check(points, count, true, arena, &info), ERR_INVALID_FIELD);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_with_one_claimable_point_is_good),
		cmocka_unit_test(two_claimable_points_on_a_path_are_refused_and_named),
		cmocka_unit_test(a_path_without_a_claimable_point_waits_for_the_plan_to_end),
		cmocka_unit_test(parallel_trains_with_one_each_are_good_and_joined_ones_are_not),
		cmocka_unit_test(meters_without_edges_are_no_paths),
		cmocka_unit_test(cycles_are_refused),
		cmocka_unit_test(edges_to_strangers_and_doubled_edges_are_refused),
		cmocka_unit_test(many_paths_take_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
