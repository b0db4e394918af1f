/* From methodology to verified pack when memory ends at any allocation: no line, root or verdict is ever made of less than all
 * of the data; "no memory" is not "the pack is wrong". */
#include "plant.h"

#include "sweep.h"

struct grown {
	uint8_t *data;
	size_t size, capacity;
};

static enum err grow(void *context, const void *data, size_t size, struct err_info *info)
{
	struct grown *bytes = context;
	if (bytes->size + size > bytes->capacity) {
		uint8_t *larger = realloc(bytes->data, (bytes->size + size) * 2);
		if (!larger)
			return err_set(info, ERR_NO_MEMORY, "", "no memory for the test's pack");
		bytes->data = larger;
		bytes->capacity = (bytes->size + size) * 2;
	}
	memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
	return ERR_OK;
}

static enum err pack_write(struct plant *plant, struct arena *arena, struct grown *bytes, struct err_info *info)
{
	struct mrv_result *result = NULL;
	struct mrv_pack_writer *writer = NULL;
	struct mrv_manifest manifest = {
		.id = plant_id(10, 1), .period_id = plant_id(10, 1), .first_id = plant_id(10, 1)};
	enum err err = mrv_quantify(&plant->the_case, &plant->source, arena, &result, info);
	if (!err)
		err = mrv_manifest_fill(&plant->the_case, result, &manifest, info);
	if (err)
		return err;
	writer = mrv_pack_writer_new(grow, bytes);
	err = writer ? mrv_pack_core(writer, &plant->the_case, result, &manifest, &plant->source, info) : ERR_NO_MEMORY;
	if (!err)
		err = mrv_pack_close(writer, info);
	mrv_pack_writer_free(&writer);
	return err;
}

static struct grown whole; /* what is written where nothing fails */

static struct plant *plant_ready(void)
{
	struct plant *plant = plant_fixture(3, 1000, false, CLOCK_US_PER_HOUR / 4);
	plant_fixture_readings(plant);
	mrv_case_sort(&plant->the_case);
	return plant;
}

static void writing(struct sweep *sweep)
{
	struct plant *plant = plant_ready();
	struct arena *arena = arena_new(1u << 30);
	struct grown bytes = {0};
	struct err_info info = {0};
	sweep_arm(sweep);
	enum err err = pack_write(plant, arena, &bytes, &info);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	if (err) {
		bytes.size = 0;
		assert_int_equal(pack_write(plant, arena, &bytes, &info), ERR_OK);
	}
	assert_int_equal(bytes.size, whole.size);
	assert_memory_equal(bytes.data, whole.data, whole.size);
	free(bytes.data);
	arena_free(&arena);
	plant_free(plant);
}

static void verifying(struct sweep *sweep)
{
	struct mrv_check_options options = {0};
	struct mrv_pack pack;
	struct err_info info = {0};
	sweep_arm(sweep);
	struct arena *arena = arena_new(1u << 30);
	enum err err = arena ? mrv_verify_pack(whole.data, whole.size, &options, arena, &pack, &info) : ERR_NO_MEMORY;
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	arena_free(&arena);
}

static void parsing(struct sweep *sweep)
{
	struct arena *arena = arena_new(0), *kept = arena_new(0);
	struct err_info info = {0};
	const struct mrv_methodology *methodology = NULL;
	json_t *document = plant_document(kept, "config/methodologies/dac-1.json");
	sweep_arm(sweep);
	enum err err = mrv_methodology_parse(document, arena, &methodology, &info);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	if (err)
		assert_int_equal(mrv_methodology_parse(document, arena, &methodology, &info), ERR_OK);
	assert_non_null(mrv_methodology_terms(methodology));
	arena_free(&arena);
	arena_free(&kept);
}

static void memory_ends(void **state)
{
	(void)state;
	struct plant *plant = plant_ready();
	struct err_info info = {0};
	assert_int_equal(pack_write(plant, plant->arena, &whole, &info), ERR_OK);
	sweep_allocations("a methodology", parsing, NULL);
	sweep_allocations("quantifying and packing", writing, NULL);
	sweep_allocations("verifying a pack", verifying, NULL);
	plant_free(plant);
	free(whole.data);
}

int main(void)
{
	sweep_start(60);
	const struct CMUnitTest tests[] = {cmocka_unit_test(memory_ends)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
