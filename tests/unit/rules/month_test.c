/* A seeded month of random commands: after each, P1, P2 and P3 hold by counters (asserted inside), now and then from the
 * ground; a state that only replays the journal has the same hash (P8). */
#include "world.h"

#define COMMANDS 20000

static void random_step(struct world *world, struct hash *roots, struct id *periods, size_t *period_count)
{
	int org = (int)world_below(world, WORLD_ORGS);
	uint64_t batches = registry_batch_count(rules_registry(world->rules));
	uint64_t batch = batches ? 1 + (uint64_t)world_below(world, (int64_t)batches) : 1;
	struct command command;
	struct claim_run run;
	size_t which = *period_count ? (size_t)world_below(world, (int64_t)*period_count) : 0;
	switch (world_below(world, 40)) {
	case 0: {
		uint32_t hours = 1 + (uint32_t)world_below(world, 48);
		bool again = world_below(world, 4) == 0; /* hours that may be claimed already */
		uint32_t first = world->next_hour[org] - (again ? (uint32_t)world_below(world, 24) : 0);
		if (first < WORLD_FIRST_DAY / CLOCK_US_PER_HOUR)
			first = world->next_hour[org];
		command = world_submission(world, org % 3, first, hours, 10 * (1 + world_below(world, 100000)), &run);
		command.period_submit.quorum = 1 + (uint32_t)world_below(world, 2);
		command.period_submit.held = world_below(world, 5) == 0 ? PERIOD_HOLD_REVIEW : 0;
		if (world_execute(world, &command) == ERR_OK && *period_count < 1000) {
			world->next_hour[org % 3] = first + hours;
			periods[*period_count] = command.period_submit.period;
			roots[(*period_count)++] = command.period_submit.evidence_root;
		}
		return;
	}
	case 1:
	case 2:
	case 3: command = world_attestation(world, 3 + (int)world_below(world, 3), periods[which], roots[which]); break;
	case 4:
	case 5:
		command = world_command(world, COMMAND_PERIOD_ISSUE, -1);
		command.period_issue.period = periods[which];
		break;
	case 6:
		command = world_command(world, COMMAND_PERIOD_RELEASE, -1);
		command.period_release.period = periods[which];
		command.period_release.reason_hash = world_hash(world);
		break;
	case 7:
		command = world_command(world, COMMAND_BATCH_HOLD, -1);
		command.batch_hold.batch = batch;
		command.batch_hold.reason_hash = world_hash(world);
		command.batch_hold.until_us = world_below(world, 2) ? world->now_us + CLOCK_US_PER_HOUR : 0;
		break;
	case 8:
	case 9:
		command = world_command(world, COMMAND_BATCH_RELEASE, -1);
		command.batch_release.batch = batch;
		command.batch_release.reason_hash = world_hash(world);
		break;
	case 10:
		command = world_command(world, COMMAND_ACCOUNT_HOLD, -1);
		command.account_hold.org = world->orgs[org];
		command.account_hold.until_us = world->now_us + CLOCK_US_PER_HOUR;
		command.account_hold.reason_hash = world_hash(world);
		break;
	case 11:
		if (world_below(world, 4))
			return;
		command = world_command(world, COMMAND_BATCH_REVERSE, -1);
		command.batch_reverse.batch = batch;
		command.batch_reverse.kg = 1 + world_below(world, 2000);
		command.batch_reverse.reason_hash = world_hash(world);
		break;
	case 12:
		command = world_command(world, COMMAND_BUFFER_TOP_UP, org % 3);
		command.buffer_top_up.batch = batch;
		command.buffer_top_up.kg = 1 + world_below(world, 500);
		break;
	case 13:
		command = (struct command){.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
		command.tick.due_us = world->now_us;
		break;
	case 14:
	case 15:
	case 16: (void)world_retire(world, org, batch, 1 + world_below(world, 300)); return;
	case 17: {
		struct serial_range ranges[3];
		command = world_command(world, COMMAND_TRANSFER, org);
		command.transfer.to = world->orgs[(org + 1) % WORLD_ORGS];
		for (int i = 0; i < 3; i++)
			ranges[i] = (struct serial_range){.batch = batch,
				.start = world_below(world, 20000),
				.length = 1 + world_below(world, 50)};
		command.lists.ranges = ranges;
		command.lists.range_count = 1 + (size_t)world_below(world, 3);
		(void)world_execute(world, &command);
		return;
	}
	default:
		(void)world_transfer(
			world, org, (int)world_below(world, WORLD_ORGS), batch, 1 + world_below(world, 900));
		return;
	}
	(void)world_execute(world, &command);
}

static void month(uint64_t seed)
{
	static struct hash roots[1000];
	static struct id periods[1000];
	struct world world;
	size_t period_count = 0;
	world_start(&world, seed);
	memset(periods, 0, sizeof periods);
	for (int i = 0; i < COMMANDS; i++) {
		world.now_us += world_below(&world, 2 * 30 * CLOCK_US_PER_DAY / COMMANDS);
		random_step(&world, roots, periods, &period_count);
		if (i % 2000 == 0)
			world_check(&world);
	}
	world_check(&world);
	const struct rules *rules = world.rules;
	printf("seed %llu: %llu events, %llu batches, %llu retirements, kg: issued %lld held %lld buffer %lld retired "
	       "%lld "
	       "cancelled %lld\n",
		(unsigned long long)seed, (unsigned long long)rules_position(rules),
		(unsigned long long)registry_batch_count(rules_registry(rules)),
		(unsigned long long)registry_retirement_count(rules_registry(rules)), (long long)rules_issued_kg(rules),
		(long long)rules_state_kg(rules, KG_HELD), (long long)rules_state_kg(rules, KG_BUFFER),
		(long long)rules_state_kg(rules, KG_RETIRED), (long long)rules_state_kg(rules, KG_CANCELLED));
	/* the month reached what it is about */
	assert_true(registry_batch_count(rules_registry(rules)) > 5);
	assert_true(rules_state_kg(rules, KG_RETIRED) > 0 && rules_state_kg(rules, KG_CANCELLED) > 0);
	world_stop(&world);
}

static void p1_p2_p3_p8_hold_through_a_random_month(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++)
		month(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(p1_p2_p3_p8_hold_through_a_random_month)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
