/* A period is submitted while memory ends or the disk fails somewhere in evidence, sensing, mrv, audit, engine or store: the
 * job says so, the period is never stuck, and once there is no fault it becomes one submission whose pack verifies. */
#include "world.h"

#include "parts.h"
#include "sweep.h"

enum { FAILED = 3, DONE = 2 };

/* The world of before, over a copy of its folder. */
static struct world *world_copy(const struct world *world)
{
	struct world *copy = malloc(sizeof *copy);
	char command[700];
	*copy = *world;
	snprintf(copy->folder, sizeof copy->folder, "%.240s.copy", world->folder);
	snprintf(copy->uri, sizeof copy->uri, "sqlite:%s", copy->folder);
	snprintf(command, sizeof command, "cp -r %s %s", world->folder, copy->folder);
	assert_int_equal(system(command), 0);
	copy->arena = arena_new(1u << 30);
	world_open(copy);
	return copy;
}

static struct period period_row(struct world *world, struct id id)
{
	struct period row;
	field_clear(period_fields, &row);
	row.id = id;
	MUST(store_get(world->store, &periods_collection, &row, world->arena, &info));
	return row;
}

/* What an operator does: looks at the period, restarts what has stopped, submits again what has failed. */
static void submit_at_last(struct world *world, struct id period)
{
	int64_t deadline_us = world_deadline();
	struct audit_actor actor = world_operator(world);
	for (;;) {
		struct err_info said = {0};
		struct job job;
		assert_true(clock_monotonic_us() < deadline_us); /* else it is stuck */
		if (!store_healthy(world->store, NULL)) {
			int64_t began_us = clock_monotonic_us();
			world_close(world); /* which waits for nothing that a dead disk holds up */
			assert_true(clock_monotonic_us() - began_us < 20 * CLOCK_US_PER_SECOND);
			world_open(world);
		}
		(void)(evidence_review(world->evidence, world_deadline(), &said) == ERR_OK);
		struct period row = period_row(world, period);
		if (row.state == DONE)
			return;
		if (row.state == FAILED)
			assert_non_null(row.failure);
		if (row.state != 1)
			MUST(evidence_submit(world->evidence, &actor, period, id_new(clock_wall_us()), &job, &info));
	}
}

static void submitting(struct sweep *sweep)
{
	struct world *world = world_copy(sweep->context);
	struct audit_actor actor = world_operator(world);
	struct id period = world_period(world, 0, 3);
	struct err_info said = {0};
	struct job job;
	sweep_arm(sweep);
	enum err err = evidence_submit(world->evidence, &actor, period, id_new(clock_wall_us()), &job, &said);
	sweep_judge(sweep, err, &said);
	if (!err) /* it may wait for a consumer that a dead disk stops */
		err = evidence_review(world->evidence, clock_monotonic_us() + CLOCK_US_PER_SECOND, &said);
	sweep_disarm(sweep);
	sweep_judge(sweep, err == ERR_DEADLINE ? ERR_OK : err, &said);
	submit_at_last(world, period);
	struct submission row = world_submission(world, period);
	assert_int_equal(row.state, 1);
	assert_in_range(row.kg, 2600, 2850);
	struct mrv_pack pack = world_verify(world, period);
	assert_true(hash_equal(pack.evidence_root, row.evidence_root));
	world_free(world);
}

static void every_fault(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_fill_all(world, 0, 4);
	world_close(world);
	sweep_allocations("submitting a period", submitting, world);
	sweep_disk("submitting a period", submitting, world);
	world_open(world);
	world_free(world);
}

int main(void)
{
	sweep_start(12);
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_fault)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
