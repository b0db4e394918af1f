/* Records, rows and checkpoints while memory ends or the disk fails at any place (decision 9): what was answered is in the log
 * with its row, once; what was refused is in neither; and the log goes on, in this process or the next, to a checkpoint that is
 * signed over all of it. */
#include "place.h"

#include "carbond/base/log.h"
#include "sweep.h"

#define PERSONS 4

static struct audit_query everything = {.before_position = INT64_MAX, .most = 100};

static void recording(struct sweep *sweep)
{
	void *state = NULL;
	enum err errs[PERSONS], err;
	struct err_info info = {.code = ERR_OK};
	int64_t position, next;
	json_t *records = NULL;
	assert_int_equal(bench_new(&state), 0);
	struct bench *bench = state;
	sweep_arm(sweep);
	for (unsigned i = 0; i < PERSONS; i++)
		errs[i] = create(bench, i, 100 + i, "ada", &position);
	err = audit_checkpoint(bench->audit, clock_wall_us(), &info);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	stop(bench);
	start(bench);
	size_t kept = 0;
	for (unsigned i = 0; i < PERSONS; i++) {
		struct person person = {.id = id_of(i)};
		sweep_judge(sweep, errs[i], NULL);
		err = store_get(bench->store, &persons, &person, bench->arena, &info);
		assert_int_equal(err, errs[i] ? ERR_NOT_FOUND : ERR_OK);
		kept += !errs[i];
	}
	assert_ok(audit_find(bench->audit, &everything, bench->arena, &records, &next, &bench->info), bench);
	assert_int_equal(json_array_size(records), kept);
	assert_int_equal(create(bench, 99, 99, "eve", &position), ERR_OK);
	assert_int_equal(position, kept + 1);
	assert_ok(audit_checkpoint(bench->audit, clock_wall_us(), &bench->info), bench);
	bench_free(&state);
}

static void everything_fails_once(void **state)
{
	(void)state;
	sweep_allocations("records and a checkpoint", recording, NULL);
	sweep_disk("records and a checkpoint", recording, NULL);
}

int main(void)
{
	sweep_start(20);
	if (crypto_start() != ERR_OK)
		return 1;
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {cmocka_unit_test(everything_fails_once)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
