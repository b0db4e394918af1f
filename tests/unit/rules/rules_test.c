/* The rules of the registry, command by command: claim lock, use lock, separation of duties, chains of differences, buffer and
 * debt, holds and time, repeats; a command that fails at any of its events never was; snapshots make the same state. */
#include "world.h"

static struct world world;

static int set_up(void **state)
{
	(void)state;
	world_start(&world, 42);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_check(&world);
	world_stop(&world);
	return 0;
}

static enum err issue(struct id period)
{
	struct command command = world_command(&world, COMMAND_PERIOD_ISSUE, -1);
	command.period_issue.period = period;
	return world_execute(&world, &command);
}

/* A submitted period of organisation 0; its command for later looks. */
static struct command submitted(uint32_t hours, int64_t kg)
{
	static struct claim_run run;
	struct command command = world_submission(&world, 0, world.next_hour[0], hours, kg, &run);
	assert_int_equal(world_execute(&world, &command), ERR_OK);
	return command;
}

static enum err attest(const struct command *submission, int verifier)
{
	struct command command = world_attestation(
		&world, verifier, submission->period_submit.period, submission->period_submit.evidence_root);
	return world_execute(&world, &command);
}

/* ---- the worked fixture and the way of a period ---- */

static void a_batch_has_its_parts_to_the_kilogram(void **state)
{
	(void)state;
	assert_int_equal(world_issue(&world, 0, 24, 833990, NULL), 1);
	assert_int_equal(world_kg(&world, 0, 1, KG_BUFFER), 16680);
	assert_int_equal(world_kg(&world, 0, 1, KG_HELD), 817310);
	assert_int_equal(world.output.guard_count, 24); /* an hour each */
	assert_int_equal(rules_issued_kg(world.rules), 833990);
}

static void p4_a_meter_hour_backs_one_batch_for_ever(void **state)
{
	(void)state;
	struct command first = submitted(24, 1000), second = submitted(24, 1000);
	assert_int_equal(attest(&first, 3), ERR_OK);
	assert_int_equal(attest(&second, 3), ERR_OK);
	assert_int_equal(issue(first.period_submit.period), ERR_OK);
	assert_int_equal(issue(second.period_submit.period), ERR_CLAIM_TAKEN);
	assert_int_equal(world.output.guard_count, 0);
	/* one hour of the day is enough, whatever the dates around it */
	struct claim_run run;
	struct command later = world_submission(&world, 0, world.next_hour[0] + 23, 5, 1000, &run);
	assert_int_equal(world_execute(&world, &later), ERR_CLAIM_TAKEN);
	later = world_submission(&world, 0, world.next_hour[0] + 24, 5, 1000, &run);
	assert_int_equal(world_execute(&world, &later), ERR_OK);
	assert_int_equal(registry_claimed_by(rules_registry(world.rules), world.points[0], run.first_hour - 1, 0), 1);
	assert_int_equal(registry_claimed_by(rules_registry(world.rules), world.points[0], run.first_hour, 0), 0);
}

static void a_quorum_is_k_of_n_verifiers(void **state)
{
	(void)state;
	static struct claim_run run;
	struct command period = world_submission(&world, 0, world.next_hour[0], 2, 1000, &run);
	period.period_submit.quorum = 2;
	assert_int_equal(world_execute(&world, &period), ERR_OK);
	assert_int_equal(issue(period.period_submit.period), ERR_PERIOD_STATE);
	assert_int_equal(attest(&period, 3), ERR_OK);
	assert_int_equal(attest(&period, 3), ERR_ALREADY_ATTESTED);
	assert_int_equal(issue(period.period_submit.period), ERR_PERIOD_STATE);
	assert_int_equal(attest(&period, 4), ERR_OK);
	assert_int_equal(attest(&period, 5), ERR_OK); /* one more than needed */
	assert_int_equal(issue(period.period_submit.period), ERR_OK);
	assert_int_equal(attest(&period, 5), ERR_PERIOD_STATE);
}

static void a_signature_must_hold_and_its_key_be_valid(void **state)
{
	(void)state;
	struct command period = submitted(2, 1000);
	struct command signing =
		world_attestation(&world, 3, period.period_submit.period, period.period_submit.evidence_root);
	struct command bad = signing;
	bad.period_attest.signature.bytes[5] ^= 1;
	assert_int_equal(world_execute(&world, &bad), ERR_SIGNATURE_INVALID);
	bad = signing;
	bad.period_attest.verifier = world.verifiers[4]; /* another's key */
	bad.org = world.orgs[4];
	assert_int_equal(world_execute(&world, &bad), ERR_SIGNATURE_INVALID);
	bad = signing;
	bad.period_attest.evidence_root.bytes[0] ^= 1;
	assert_int_equal(world_execute(&world, &bad), ERR_SIGNATURE_INVALID);
	bad = signing;
	bad.org = world.orgs[4]; /* handed in by a stranger */
	assert_int_equal(world_execute(&world, &bad), ERR_FORBIDDEN);
	world.now_us += 401 * CLOCK_US_PER_DAY;
	signing.id = world_id(&world);
	assert_int_equal(world_execute(&world, &signing), ERR_VERIFIER_NOT_VALID);
	world.now_us -= 401 * CLOCK_US_PER_DAY;
	struct command revoke = world_command(&world, COMMAND_VERIFIER_REVOKE, -1);
	revoke.verifier_revoke.verifier = world.verifiers[3];
	assert_int_equal(world_execute(&world, &revoke), ERR_OK);
	signing.id = world_id(&world);
	assert_int_equal(world_execute(&world, &signing), ERR_VERIFIER_NOT_VALID);
	bad.id = world_id(&world);
	bad.period_attest.verifier = world.points[0];
	assert_int_equal(world_execute(&world, &bad), ERR_VERIFIER_UNKNOWN);
}

static void nobody_wears_two_hats(void **state)
{
	(void)state;
	/* an operator's own verifier, and a verifier who submitted */
	assert_int_equal(world_register_verifier(&world, 0), ERR_OK);
	struct command period = submitted(2, 1000);
	assert_int_equal(attest(&period, 0), ERR_SEPARATION_OF_DUTIES);
	struct command sign =
		world_attestation(&world, 3, period.period_submit.period, period.period_submit.evidence_root);
	assert_int_equal(world_execute(&world, &sign), ERR_OK);
	/* submitter and verifier neither issue nor release, not by organisation and not by actor */
	struct command give = world_command(&world, COMMAND_PERIOD_ISSUE, 0);
	give.period_issue.period = period.period_submit.period;
	assert_int_equal(world_execute(&world, &give), ERR_SEPARATION_OF_DUTIES);
	give.org = world.orgs[3];
	assert_int_equal(world_execute(&world, &give), ERR_SEPARATION_OF_DUTIES);
	struct command hold = world_command(&world, COMMAND_PERIOD_HOLD, -1);
	hold.period_hold = (struct command_period_hold){.period = period.period_submit.period,
		.reasons = PERIOD_HOLD_MASS_BALANCE,
		.reason_hash = world_hash(&world)};
	assert_int_equal(world_execute(&world, &hold), ERR_OK);
	assert_int_equal(issue(period.period_submit.period), ERR_PERIOD_HELD);
	struct command release = world_command(&world, COMMAND_PERIOD_RELEASE, 3);
	release.period_release.period = period.period_submit.period;
	assert_int_equal(world_execute(&world, &release), ERR_MISSING_FIELD); /* a reason */
	release.period_release.reason_hash = world_hash(&world);
	assert_int_equal(world_execute(&world, &release), ERR_SEPARATION_OF_DUTIES);
	release.org = world.issuer_org;
	release.actor = world.issuer;
	assert_int_equal(world_execute(&world, &release), ERR_OK);
	assert_int_equal(issue(period.period_submit.period), ERR_OK);
}

static void what_a_manifest_must_not_say(void **state)
{
	(void)state;
	struct claim_run run;
	const struct command good = world_submission(&world, 0, world.next_hour[0], 10, 1000, &run);
	struct command bad[14];
	for (size_t i = 0; i < 14; i++)
		bad[i] = good;
	bad[0].period_submit.kg = bad[0].period_submit.total_kg = 1005;
	bad[1].period_submit.kg = bad[1].period_submit.total_kg = 0;
	bad[2].period_submit.buffer_kg = 1010;
	bad[3].period_submit.vintage = 2025;
	bad[4].period_submit.quorum = 0;
	bad[5].period_submit.durability = DURABILITY_NONE;
	bad[6].period_submit.unit_code.text[0] = 'a';
	bad[7].period_submit.country.text[1] = 0;
	bad[8].period_submit.last_hour--; /* a claim outside the period */
	bad[9].period_submit.total_kg += 10;
	bad[10].period_submit.held = 1u << 20;
	bad[11].period_submit.kind = 7;
	bad[12].period_submit.previous_root = world_hash(&world);
	bad[13].period_submit.first_period = world.points[3];
	for (size_t i = 0; i < 14; i++)
		if (world_execute(&world, &bad[i]) != ERR_INVALID_FIELD)
			fail_msg("manifest %zu: %s", i, world.info.detail);
	/* runs: sorted, disjoint, one slot, not more than there are guard keys for */
	struct claim_run runs[2] = {run, run};
	struct command twice = good;
	twice.lists = (struct record_lists){.runs = runs, .run_count = 2};
	assert_int_equal(world_execute(&world, &twice), ERR_INVALID_FIELD);
	runs[0].hours = 5;
	runs[1].first_hour += 5;
	runs[1].hours = 5;
	runs[1].slot = 1;
	assert_int_equal(world_execute(&world, &twice), ERR_INVALID_FIELD);
	runs[1].slot = 0;
	assert_int_equal(world_execute(&world, &twice), ERR_OK);
	static struct claim_run year;
	struct command leap = world_submission(&world, 1, world.next_hour[1], 8760, 1000, &year);
	assert_int_equal(world_execute(&world, &leap), ERR_OK);
	struct claim_run points[2] = {year, year};
	points[1].point = world.points[2];
	points[1].hours = 25;
	if (id_compare(points[0].point, points[1].point) > 0) {
		struct claim_run other = points[0];
		points[0] = points[1];
		points[1] = other;
	}
	struct command more = world_submission(&world, 1, world.next_hour[1], 8760, 1000, &run);
	more.lists = (struct record_lists){.runs = points, .run_count = 2};
	assert_int_equal(world_execute(&world, &more), ERR_COMMAND_TOO_LARGE);
}

/* ---- differences ---- */

static struct command difference(const struct command *first, struct hash previous_root, int64_t total_kg, int64_t kg,
	uint32_t slot, struct claim_run *run)
{
	struct command command = world_submission(&world, 0, (uint32_t)first->period_submit.first_hour + 2, 3, kg, run);
	run->slot = slot;
	command.period_submit.first_period = first->period_submit.period;
	command.period_submit.previous_root = previous_root;
	command.period_submit.total_kg = total_kg;
	return command;
}

static void a_difference_is_built_on_the_newest_root(void **state)
{
	(void)state;
	struct command first;
	struct claim_run run, late;
	assert_int_equal(world_issue(&world, 0, 24, 10000, &first), 1);
	struct hash root = first.period_submit.evidence_root;
	struct command a = difference(&first, root, 10500, 500, 1, &run);
	struct command b = difference(&first, root, 10700, 700, 1, &late);
	struct command wrong = difference(&first, world_hash(&world), 10500, 500, 1, &run);
	assert_int_equal(world_execute(&world, &wrong), ERR_ROOT_OUTDATED);
	wrong = difference(&first, root, 10600, 500, 1, &run);
	assert_int_equal(world_execute(&world, &wrong), ERR_ROOT_OUTDATED); /* the kilograms do not follow */
	wrong = difference(&first, root, 10500, 500, 2, &run);
	assert_int_equal(world_execute(&world, &wrong), ERR_INVALID_FIELD); /* slot n + 1 */
	wrong = difference(&first, root, 10500, 500, 1, &run);
	run.first_hour += 23; /* hours that the first batch did not claim */
	wrong.period_submit.last_hour += 23;
	assert_int_equal(world_execute(&world, &wrong), ERR_INVALID_FIELD);
	run.first_hour -= 23;
	run.slot = 1;
	assert_int_equal(world_execute(&world, &a), ERR_OK);
	assert_int_equal(world_execute(&world, &b), ERR_OK); /* both rest on the same root */
	assert_int_equal(attest(&a, 3), ERR_OK);
	assert_int_equal(attest(&b, 3), ERR_OK);
	assert_int_equal(issue(a.period_submit.period), ERR_OK);
	assert_int_equal(issue(b.period_submit.period), ERR_ROOT_OUTDATED); /* which a has outdated */
	struct command c = difference(&first, a.period_submit.evidence_root, 10700, 200, 2, &late);
	assert_int_equal(world_execute(&world, &c), ERR_OK);
	assert_int_equal(attest(&c, 3), ERR_OK);
	assert_int_equal(issue(c.period_submit.period), ERR_OK);
	assert_int_equal(rules_issued_kg(world.rules), 10700);
	/* a negative difference is a reversal on the newest root, and is built upon in its turn */
	struct command reverse = world_command(&world, COMMAND_BATCH_REVERSE, -1);
	reverse.batch_reverse = (struct command_batch_reverse){.batch = 1,
		.kg = 100,
		.evidence_root = world_hash(&world),
		.previous_root = root,
		.reason_hash = world_hash(&world)};
	assert_int_equal(world_execute(&world, &reverse), ERR_ROOT_OUTDATED);
	reverse.batch_reverse.previous_root = c.period_submit.evidence_root;
	assert_int_equal(world_execute(&world, &reverse), ERR_OK);
	struct command d = difference(&first, reverse.batch_reverse.evidence_root, 10800, 200, 3, &late);
	assert_int_equal(world_execute(&world, &d), ERR_OK);
}

/* ---- holdings ---- */

static void kilograms_move_only_from_who_holds_them(void **state)
{
	(void)state;
	uint64_t batch = world_issue(&world, 0, 24, 10000, NULL); /* 9,800 held, 200 buffer */
	assert_int_equal(world_transfer(&world, 0, 4, batch, 9801), ERR_INSUFFICIENT_KG);
	assert_int_equal(world_transfer(&world, 0, 0, batch, 10), ERR_INVALID_FIELD);
	assert_int_equal(world_transfer(&world, 0, 4, batch + 1, 10), ERR_NOT_FOUND);
	assert_int_equal(world_transfer(&world, 0, 4, batch, 100), ERR_OK);
	assert_int_equal(world_retire(&world, 4, batch, 101), ERR_INSUFFICIENT_KG);
	assert_int_equal(world_retire(&world, 4, batch, 60), ERR_OK);
	assert_int_equal(world_transfer(&world, 4, 5, batch, 41), ERR_INSUFFICIENT_KG); /* retired is retired */
	/* named serials, all or none: the second range is not theirs */
	struct serial_range ranges[2] = {{batch, 60, 10}, {batch, 500, 10}};
	struct command named = world_command(&world, COMMAND_TRANSFER, 4);
	named.transfer.to = world.orgs[5];
	named.lists = (struct record_lists){.ranges = ranges, .range_count = 2};
	assert_int_equal(world_execute(&world, &named), ERR_INSUFFICIENT_KG);
	assert_int_equal(world_kg(&world, 4, batch, KG_HELD), 40);
	ranges[1] = (struct serial_range){batch, 65, 10}; /* the same kilograms twice */
	assert_int_equal(world_execute(&world, &named), ERR_INSUFFICIENT_KG);
	ranges[1] = (struct serial_range){batch, 80, 10};
	assert_int_equal(world_execute(&world, &named), ERR_OK);
	assert_int_equal(world_kg(&world, 5, batch, KG_HELD), 20);
}

static void a_hold_stops_what_it_holds(void **state)
{
	(void)state;
	uint64_t batch = world_issue(&world, 0, 24, 10000, NULL);
	assert_int_equal(world_transfer(&world, 0, 4, batch, 100), ERR_OK);
	struct command hold = world_command(&world, COMMAND_BATCH_HOLD, -1);
	hold.batch_hold = (struct command_batch_hold){.batch = batch, .reason_hash = world_hash(&world)};
	assert_int_equal(world_execute(&world, &hold), ERR_OK);
	assert_int_equal(world_retire(&world, 4, batch, 10), ERR_BATCH_HELD);
	struct command release = world_command(&world, COMMAND_BATCH_RELEASE, 0);
	release.batch_release = (struct command_batch_release){.batch = batch, .reason_hash = world_hash(&world)};
	assert_int_equal(world_execute(&world, &release), ERR_SEPARATION_OF_DUTIES);
	release.org = world.issuer_org;
	assert_int_equal(world_execute(&world, &release), ERR_OK);
	assert_int_equal(world_retire(&world, 4, batch, 10), ERR_OK);
	/* an account: nothing leaves it, though it may receive; it falls due in an hour */
	struct command account = world_command(&world, COMMAND_ACCOUNT_HOLD, -1);
	account.account_hold = (struct command_account_hold){
		.org = world.orgs[4], .until_us = world.now_us + CLOCK_US_PER_HOUR, .reason_hash = world_hash(&world)};
	assert_int_equal(world_execute(&world, &account), ERR_OK);
	assert_int_equal(world_transfer(&world, 4, 5, batch, 10), ERR_ACCOUNT_HELD);
	assert_int_equal(world_transfer(&world, 0, 4, batch, 10), ERR_OK);
	struct command tick = {.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
	tick.tick.due_us = world.now_us + CLOCK_US_PER_HOUR - 1;
	assert_int_equal(world_execute(&world, &tick), ERR_OK);
	assert_int_equal(world.result.events, 0);
	tick.tick.due_us++;
	assert_int_equal(world_execute(&world, &tick), ERR_OK);
	assert_int_equal(world.result.events, 1);
	assert_int_equal(world_transfer(&world, 4, 5, batch, 10), ERR_OK);
	tick.source = COMMAND_SOURCE_CLIENT;
	assert_int_equal(world_execute(&world, &tick), ERR_FORBIDDEN);
}

static void a_reversal_cancels_buffer_and_the_operator_owes(void **state)
{
	(void)state;
	uint64_t older = world_issue(&world, 1, 24, 10000, NULL); /* buffer 200 */
	uint64_t batch = world_issue(&world, 0, 24, 10000, NULL); /* buffer 200 */
	assert_int_equal(world_transfer(&world, 0, 4, batch, 3000), ERR_OK);
	struct command reverse = world_command(&world, COMMAND_BATCH_REVERSE, -1);
	reverse.batch_reverse =
		(struct command_batch_reverse){.batch = batch, .kg = 500, .reason_hash = world_hash(&world)};
	assert_int_equal(world_execute(&world, &reverse), ERR_OK);
	/* its own buffer, then the class's; one to one while there is any */
	assert_int_equal(world_kg(&world, 0, batch, KG_CANCELLED), 200);
	assert_int_equal(world_kg(&world, 1, older, KG_CANCELLED), 200);
	assert_int_equal(rules_state_kg(world.rules, KG_BUFFER), 0);
	/* unsold kilograms are suspended, sold ones are not */
	assert_int_equal(world_transfer(&world, 0, 5, batch, 10), ERR_BATCH_HELD);
	assert_int_equal(world_transfer(&world, 4, 5, batch, 10), ERR_OK);
	/* 500 are owed, 100 of them were never cancelled */
	struct command release = world_command(&world, COMMAND_BATCH_RELEASE, -1);
	release.batch_release = (struct command_batch_release){.batch = batch, .reason_hash = world_hash(&world)};
	assert_int_equal(world_execute(&world, &release), ERR_OK);
	struct command pay = world_command(&world, COMMAND_BUFFER_TOP_UP, 0);
	pay.buffer_top_up = (struct command_buffer_top_up){.batch = batch, .kg = 501};
	assert_int_equal(world_execute(&world, &pay), ERR_NO_DEBT);
	pay.buffer_top_up.kg = 150;
	assert_int_equal(world_execute(&world, &pay), ERR_OK);
	assert_int_equal(world_kg(&world, 0, batch, KG_CANCELLED), 300);
	assert_int_equal(world_kg(&world, 0, batch, KG_BUFFER), 50);
	pay.id = world_id(&world);
	pay.buffer_top_up.kg = 350;
	assert_int_equal(world_execute(&world, &pay), ERR_OK);
	assert_int_equal(rules_state_kg(world.rules, KG_BUFFER), 400);
	pay.id = world_id(&world);
	pay.buffer_top_up.kg = 1;
	assert_int_equal(world_execute(&world, &pay), ERR_NO_DEBT);
}

/* ---- repeats ---- */

static void a_repeat_answers_the_same_for_a_day(void **state)
{
	(void)state;
	uint64_t batch = world_issue(&world, 0, 24, 10000, NULL);
	struct command transfer = world_command(&world, COMMAND_TRANSFER, 0);
	transfer.transfer = (struct command_transfer){.to = world.orgs[4], .batch = batch, .kg = 10};
	assert_int_equal(world_execute(&world, &transfer), ERR_OK);
	uint64_t position = world.result.position;
	assert_int_equal(world_execute(&world, &transfer), ERR_OK);
	assert_true(world.result.repeated && world.result.position == position && world.output.size == 0);
	struct command other = transfer;
	other.transfer.kg = 11;
	assert_int_equal(world_execute(&world, &other), ERR_COMMAND_REUSED);
	other = transfer;
	other.org = world.orgs[4]; /* another organisation's command */
	other.transfer.to = world.orgs[5];
	assert_int_equal(world_execute(&world, &other), ERR_COMMAND_ID_INVALID);
	other.id = world_id(&world);
	assert_int_equal(world_execute(&world, &other), ERR_OK);
	assert_false(world.result.repeated);
	/* a day on, it is forgotten, and refused by its own time: never carried out twice */
	struct command tick = {.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
	for (int minute = 0; minute < 1440 + 5; minute += 5) {
		world.now_us += 5 * CLOCK_US_PER_MINUTE;
		tick.tick.due_us = world.now_us;
		assert_int_equal(world_execute(&world, &tick), ERR_OK);
		enum err err = world_execute(&world, &transfer);
		assert_true((err == ERR_OK && world.result.repeated) || err == ERR_COMMAND_ID_INVALID);
		if (minute < 1430)
			assert_int_equal(err, ERR_OK);
	}
	assert_int_equal(world_execute(&world, &transfer), ERR_COMMAND_ID_INVALID);
	assert_int_equal(world_kg(&world, 5, batch, KG_HELD), 10);
	struct command early = transfer;
	world.now_us += CLOCK_US_PER_HOUR;
	early.id = world_id(&world);
	world.now_us -= CLOCK_US_PER_HOUR;
	assert_int_equal(world_execute(&world, &early), ERR_COMMAND_ID_INVALID); /* from the future */
	early.id.bytes[6] = 0x40;                                                /* a version 4 */
	assert_int_equal(world_execute(&world, &early), ERR_COMMAND_ID_INVALID);
}

static void a_consumer_s_key_is_taken_for_ever(void **state)
{
	(void)state;
	uint64_t batch = world_issue(&world, 0, 24, 10000, NULL);
	struct command transfer = world_command(&world, COMMAND_TRANSFER, 0);
	transfer.transfer = (struct command_transfer){.to = world.orgs[4], .batch = batch, .kg = 10};
	transfer.source = COMMAND_SOURCE_PAYMENT;
	assert_int_equal(world_execute(&world, &transfer), ERR_MISSING_FIELD);
	transfer.natural_key = command_natural_key(transfer.source, transfer.kind, "evt_1", 5);
	assert_int_equal(world_execute(&world, &transfer), ERR_OK);
	assert_int_equal(world.output.guard_count, 1);
	world.now_us += 1000 * CLOCK_US_PER_DAY;
	assert_int_equal(world_execute(&world, &transfer), ERR_OK);
	assert_true(world.result.repeated);
	transfer.transfer.kg = 11;
	assert_int_equal(world_execute(&world, &transfer), ERR_COMMAND_REUSED);
	/* ordered: only upwards */
	transfer.source = COMMAND_SOURCE_CHAIN;
	transfer.natural_key = (struct hash){0};
	transfer.source_position = 7;
	assert_int_equal(world_execute(&world, &transfer), ERR_OK);
	assert_int_equal(world_execute(&world, &transfer), ERR_SOURCE_POSITION);
	transfer.source_position = 6;
	assert_int_equal(world_execute(&world, &transfer), ERR_SOURCE_POSITION);
	transfer.source_position = 8;
	assert_int_equal(world_execute(&world, &transfer), ERR_OK);
	assert_int_equal(world_kg(&world, 4, batch, KG_HELD), 32);
}

/* ---- undo ---- */

/* The command, failed at each of its events in turn, leaves no trace; then it is carried out. */
static void fails_without_trace(struct command *command)
{
	struct hash before = world_state(world.rules), after;
	for (uint32_t event = 1; event < 10; event++) {
		rules_fail_event(world.rules, event);
		enum err err = world_execute(&world, command);
		if (err == ERR_OK) { /* it has fewer events */
			assert_true(event > 1);
			rules_fail_event(world.rules, 0);
			return;
		}
		assert_int_equal(err, ERR_NO_MEMORY);
		assert_int_equal(world.output.guard_count, 0);
		after = world_state(world.rules);
		assert_memory_equal(&before, &after, sizeof before);
	}
	fail_msg("%s never succeeds", command_kind_name(command->kind));
}

static struct command fresh(enum command_kind kind, int org)
{
	struct command command = world_command(&world, kind, org);
	command.actor = world_id(&world); /* a new actor, whose naming is undone too */
	return command;
}

static void a_command_that_fails_at_any_event_never_was(void **state)
{
	(void)state;
	struct claim_run run;
	struct command submit = world_submission(&world, 0, world.next_hour[0], 24, 10000, &run);
	submit.actor = world_id(&world);
	fails_without_trace(&submit);
	struct command sign =
		world_attestation(&world, 3, submit.period_submit.period, submit.period_submit.evidence_root);
	sign.actor = world_id(&world);
	fails_without_trace(&sign);
	struct command command = fresh(COMMAND_PERIOD_HOLD, -1);
	command.period_hold = (struct command_period_hold){.period = submit.period_submit.period, .reasons = 1};
	fails_without_trace(&command);
	command = fresh(COMMAND_PERIOD_RELEASE, -1);
	command.period_release = (struct command_period_release){
		.period = submit.period_submit.period, .reason_hash = world_hash(&world)};
	fails_without_trace(&command);
	command = fresh(COMMAND_PERIOD_ISSUE, -1);
	command.period_issue.period = submit.period_submit.period;
	fails_without_trace(&command);
	struct command next = difference(&submit, submit.period_submit.evidence_root, 10100, 100, 1, &run);
	fails_without_trace(&next);
	assert_int_equal(attest(&next, 4), ERR_OK);
	command = fresh(COMMAND_PERIOD_ISSUE, -1);
	command.period_issue.period = next.period_submit.period;
	fails_without_trace(&command);
	command = fresh(COMMAND_TRANSFER, 0);
	command.transfer = (struct command_transfer){.to = world.orgs[4], .batch = 1, .kg = 500};
	fails_without_trace(&command);
	command = fresh(COMMAND_RETIRE, 4);
	command.retire = (struct command_retire){
		.batch = 1, .kg = 5, .beneficiary_hash = world_hash(&world), .covered_to_us = 1};
	code8_set(&command.retire.country, "DE");
	fails_without_trace(&command);
	command = fresh(COMMAND_BATCH_REVERSE, -1);
	command.batch_reverse =
		(struct command_batch_reverse){.batch = 1, .kg = 900, .reason_hash = world_hash(&world)};
	fails_without_trace(&command);
	command = fresh(COMMAND_BATCH_RELEASE, -1);
	command.batch_release = (struct command_batch_release){.batch = 1, .reason_hash = world_hash(&world)};
	fails_without_trace(&command);
	command = fresh(COMMAND_BUFFER_TOP_UP, 0);
	command.buffer_top_up = (struct command_buffer_top_up){.batch = 1, .kg = 800};
	fails_without_trace(&command);
	command = fresh(COMMAND_BATCH_HOLD, -1);
	command.batch_hold = (struct command_batch_hold){
		.batch = 2, .until_us = world.now_us + 5, .reason_hash = world_hash(&world)};
	fails_without_trace(&command);
	command = fresh(COMMAND_ACCOUNT_HOLD, -1);
	command.account_hold = (struct command_account_hold){
		.org = world.orgs[0], .until_us = world.now_us + 5, .reason_hash = world_hash(&world)};
	fails_without_trace(&command);
	command = (struct command){.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
	command.tick.due_us = world.now_us + 5;
	fails_without_trace(&command);
	command = fresh(COMMAND_VERIFIER_REVOKE, -1);
	command.verifier_revoke.verifier = world.verifiers[5];
	fails_without_trace(&command);
	world.verifiers[5] = world_id(&world);
	command = fresh(COMMAND_VERIFIER_REGISTER, -1);
	command.verifier_register = (struct command_verifier_register){
		.verifier = world.verifiers[5], .org = world.orgs[5], .valid_to_us = INT64_MAX};
	fails_without_trace(&command);
}

/* ---- snapshots ---- */

struct records {
	uint8_t *bytes;
	size_t size, capacity;
	size_t ends[100000];
	size_t count;
};

static enum err keep_record(void *context, const uint8_t *record, size_t size)
{
	struct records *records = context;
	if (records->size + size > records->capacity) {
		records->capacity = (records->size + size) * 2;
		records->bytes = realloc(records->bytes, records->capacity);
	}
	memcpy(records->bytes + records->size, record, size);
	records->size += size;
	assert_true(records->count < 100000);
	records->ends[records->count++] = records->size;
	return ERR_OK;
}

/* Restores, leaving out record `without` and flipping a bit of byte `flip`; ERR_OK where a whole state came of it. */
static enum err restore(const struct records *records, size_t without, size_t flip, struct rules **ret_rules)
{
	struct err_info info;
	struct event_state_end end = {0};
	enum err err = ERR_OK;
	*ret_rules = rules_new(registry_id(rules_registry(world.rules)), 9);
	for (size_t i = 0, at = 0; i < records->count && !err; at = records->ends[i++]) {
		size_t size = records->ends[i] - at;
		uint8_t *record = malloc(size);
		memcpy(record, records->bytes + at, size);
		if (flip >= at && flip < records->ends[i])
			record[flip - at] ^= 1;
		if (i != without)
			err = rules_restore(*ret_rules, record, size, &end, &info);
		free(record);
	}
	return err ? err : end.records ? ERR_OK : ERR_JOURNAL_INVALID;
}

static void a_snapshot_makes_the_same_state(void **state)
{
	(void)state;
	static struct records records;
	struct err_info info;
	struct hash hash, again;
	for (int i = 0; i < 3; i++) {
		uint64_t batch = world_issue(&world, i, 24, 10000, NULL);
		for (int j = 0; j < 30; j++)
			assert_int_equal(world_transfer(&world, i, 3 + j % 3, batch, 1 + j), ERR_OK);
		assert_int_equal(world_retire(&world, 4, batch, 7), ERR_OK);
	}
	struct command reverse = world_command(&world, COMMAND_BATCH_REVERSE, -1);
	reverse.batch_reverse =
		(struct command_batch_reverse){.batch = 1, .kg = 300, .reason_hash = world_hash(&world)};
	assert_int_equal(world_execute(&world, &reverse), ERR_OK);
	struct command open = submitted(5, 1000), taken = submitted(5, 1000);
	assert_int_equal(attest(&open, 3), ERR_OK);
	assert_int_equal(attest(&taken, 3), ERR_OK);
	struct command hold = world_command(&world, COMMAND_ACCOUNT_HOLD, -1);
	hold.account_hold = (struct command_account_hold){.org = world.orgs[5], .reason_hash = world_hash(&world)};
	assert_int_equal(world_execute(&world, &hold), ERR_OK);
	struct command first = world_command(&world, COMMAND_TRANSFER, 1);
	first.transfer = (struct command_transfer){.to = world.orgs[4], .batch = 2, .kg = 1};
	assert_int_equal(world_execute(&world, &first), ERR_OK);
	struct command source = first;
	source.source = COMMAND_SOURCE_PAYMENT;
	source.natural_key = command_natural_key(source.source, source.kind, "evt", 3);
	assert_int_equal(world_execute(&world, &source), ERR_OK);
	records.size = records.count = 0;
	assert_int_equal(
		rules_snapshot(world.rules, 5, (struct hash){{1}}, keep_record, &records, &hash, &info), ERR_OK);
	struct rules *copy = NULL;
	assert_int_equal(restore(&records, SIZE_MAX, SIZE_MAX, &copy), ERR_OK);
	again = world_state(copy);
	assert_memory_equal(&hash, &again, sizeof hash);
	/* and decides from there as the first does, which now only replays */
	rules_free(&world.replica);
	world.replica = world.rules;
	world.rules = copy;
	assert_int_equal(world_execute(&world, &first), ERR_OK);
	assert_true(world.result.repeated);
	assert_int_equal(world_execute(&world, &source), ERR_OK);
	assert_true(world.result.repeated);
	assert_int_equal(world_transfer(&world, 5, 4, 1, 1), ERR_ACCOUNT_HELD);
	assert_int_equal(world_transfer(&world, 0, 4, 1, 1), ERR_BATCH_HELD);
	assert_int_equal(attest(&open, 3), ERR_ALREADY_ATTESTED);
	assert_int_equal(issue(open.period_submit.period), ERR_OK);
	assert_int_equal(issue(taken.period_submit.period), ERR_CLAIM_TAKEN);
	struct command pay = world_command(&world, COMMAND_BUFFER_TOP_UP, 0);
	pay.buffer_top_up = (struct command_buffer_top_up){.batch = 4, .kg = 200};
	assert_int_equal(world_execute(&world, &pay), ERR_OK);
	struct command release = world_command(&world, COMMAND_ACCOUNT_RELEASE, -1);
	release.account_release =
		(struct command_account_release){.org = world.orgs[5], .reason_hash = world_hash(&world)};
	assert_int_equal(world_execute(&world, &release), ERR_OK);
	world_check(&world);
	/* a missing record or a flipped bit is found */
	for (size_t i = 0; i < records.count; i++) {
		assert_int_not_equal(restore(&records, i, SIZE_MAX, &copy), ERR_OK);
		rules_free(&copy);
	}
	for (size_t at = 0; at < records.size; at += 61) {
		struct rules *flipped = NULL;
		/* of the last record, its own header and the journal's batch are not state; the engine checks the batch */
		size_t last = records.ends[records.count - 2], hashed = last + EVENT_HEADER_SIZE + 40;
		bool is_state = at < last || (at >= last + EVENT_HEADER_SIZE && at < hashed);
		enum err err = restore(&records, SIZE_MAX, at, &flipped);
		if (is_state)
			assert_int_not_equal(err, ERR_OK);
		rules_free(&flipped);
	}
	free(records.bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(a_batch_has_its_parts_to_the_kilogram),
		TEST(p4_a_meter_hour_backs_one_batch_for_ever), TEST(a_quorum_is_k_of_n_verifiers),
		TEST(a_signature_must_hold_and_its_key_be_valid), TEST(nobody_wears_two_hats),
		TEST(what_a_manifest_must_not_say), TEST(a_difference_is_built_on_the_newest_root),
		TEST(kilograms_move_only_from_who_holds_them), TEST(a_hold_stops_what_it_holds),
		TEST(a_reversal_cancels_buffer_and_the_operator_owes), TEST(a_repeat_answers_the_same_for_a_day),
		TEST(a_consumer_s_key_is_taken_for_ever), TEST(a_command_that_fails_at_any_event_never_was),
		TEST(a_snapshot_makes_the_same_state)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
