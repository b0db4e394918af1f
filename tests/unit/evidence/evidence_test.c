/* Evidence over real rooms: a period becomes a submission, a batch and a pack that verifies; what comes later makes a
 * difference, a reversal, or nothing; every step can be taken again. */
#include "world.h"

#include "parts.h"

enum { SUBMITTED = 1, ISSUED = 2, WITHDRAWN = 3, REVERSAL = 5 };

static void period_to_batch_to_pack(void **state)
{
	(void)state;
	struct world *world = world_new();
	struct mrv_case *cases;
	struct mrv_result **results;
	size_t parts;
	world_fill_all(world, 0, 25);
	struct id period = world_period(world, 0, 24), command = id_new(clock_wall_us());
	MUST(evidence_dry_run(world->evidence, period, world->arena, &cases, &results, &parts, &info));
	assert_int_equal(parts, 1);
	struct job job = world_submit(world, period, command);
	if (job.state != 2)
		fail_msg("%s", job.error ? job.error : "no error");
	struct submission row = world_submission(world, period);
	assert_int_equal(row.state, SUBMITTED);
	assert_int_equal(row.kg, results[0]->kg); /* the dry run says what the submission says */
	assert_in_range(row.kg, 21500, 22500);
	struct mrv_pack pack = world_verify(world, period);
	assert_false(pack.issued);
	world_attest_and_issue(world, period);
	pack = world_verify(world, period);
	assert_true(pack.issued && pack.checkpoint_trusted);
	assert_int_equal(pack.trusted_verifiers, 2);
	assert_int_equal(pack.manifest.kg, row.kg);
	assert_true(hash_equal(pack.evidence_root, row.evidence_root));
	assert_int_equal(world_batch(world, 1).kg, row.kg);
	/* the same command again is the same job; another one is refused */
	assert_int_equal(world_submit(world, period, command).state, 2);
	struct audit_actor actor = world_operator(world);
	struct err_info fault = {0};
	assert_int_equal(evidence_submit(world->evidence, &actor, period, id_new(clock_wall_us()), &job, &fault),
		ERR_PERIOD_STATE);
	world_free(world);
}

/* Late data of empty hours: slot 1 of just those hours, built on the first root; the whole again after it. */
static void late_data_is_a_difference(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_fill_all(world, 0, 10);
	for (size_t i = 0; i < WORLD_SENSORS; i++)
		if (i != WORLD_FLOW)
			world_fill(world, i, 10, 25, i == WORLD_PURITY ? 0.99 : i == WORLD_VENT ? 4 : 1000);
	world_fill(world, WORLD_FLOW, 14, 25, 1000);
	struct id period = world_period(world, 0, 24);
	assert_int_equal(world_submit(world, period, id_new(clock_wall_us())).state, 2);
	world_attest_and_issue(world, period);
	int64_t first_kg = world_batch(world, 1).kg;
	world_fill(world, WORLD_FLOW, 10, 14, 1000);
	MUST(sensing_close_hours(world->sensing, &world->sensors[WORLD_FLOW], 1, world->start_us,
		world->start_us + 25 * HOUR, world_deadline(), &info));
	MUST(evidence_review(world->evidence, world_deadline(), &info));
	struct submission *links;
	assert_int_equal(world_links(world, period, &links), 2);
	struct submission *difference = id_equal(links[0].id, period) ? &links[1] : &links[0];
	assert_int_equal(difference->state, SUBMITTED);
	assert_int_equal(difference->slot, 1);
	assert_int_equal(difference->kg + first_kg, difference->quantity_kg);
	struct mrv_manifest manifest;
	MUST(field_read(mrv_manifest_fields, FIELD_TRUSTED, difference->manifest, "", world->arena, &manifest, &info));
	const struct mrv_claim *claims = manifest.claims.items;
	assert_int_equal(manifest.claims.count, 1);
	assert_int_equal(claims[0].first_hour, world->start_us / HOUR + 10);
	assert_int_equal(claims[0].hours, 4);
	assert_int_equal(claims[0].slot, 1);
	/* looked at again, nothing more comes of it */
	MUST(evidence_review(world->evidence, world_deadline(), &info));
	assert_int_equal(world_links(world, period, &links), 2);
	difference = id_equal(links[0].id, period) ? &links[1] : &links[0];
	world_attest_and_issue(world, difference->id);
	struct mrv_pack pack = world_verify(world, difference->id);
	assert_true(pack.issued);
	struct batch_row first = world_batch(world, 1);
	assert_int_equal(first.chain_kg, pack.manifest.quantity_kg);
	assert_int_equal(first.chain_slot, 1);
	MUST(evidence_review(world->evidence, world_deadline(), &info));
	assert_int_equal(world_links(world, period, &links), 2);
	world_free(world);
}

static void overlay_after_issue_reverses(void **state)
{
	(void)state;
	struct world *world = world_new();
	struct audit_actor actor = world_operator(world);
	world_fill_all(world, 0, 25);
	struct id period = world_period(world, 0, 24);
	assert_int_equal(world_submit(world, period, id_new(clock_wall_us())).state, 2);
	world_attest_and_issue(world, period);
	int64_t issued_kg = world_batch(world, 1).kg;
	struct overlay row;
	field_clear(overlay_fields, &row);
	row.org_id = world->org;
	row.sensor_id = world->sensors[WORLD_FLOW];
	row.from_us = world->start_us + 2 * HOUR;
	row.to_us = world->start_us + 5 * HOUR;
	row.quality = SERIES_SUSPECT;
	row.reason = "it stood still";
	MUST(sensing_overlay_create(world->sensing, &actor, &row, &info));
	MUST(evidence_review(world->evidence, world_deadline(), &info));
	struct batch_row batch = world_batch(world, 1);
	assert_true(batch.held);
	assert_in_range(issued_kg - batch.chain_kg, 2700, 3100);
	assert_int_equal(batch.reversed_kg, issued_kg - batch.chain_kg);
	struct submission *links;
	assert_int_equal(world_links(world, period, &links), 2);
	struct submission *reversal = id_equal(links[0].id, period) ? &links[1] : &links[0];
	assert_int_equal(reversal->state, REVERSAL);
	assert_true(hash_equal(reversal->evidence_root, batch.chain_root));
	world_verify(world, reversal->id); /* its ground can be checked by anyone */
	MUST(evidence_review(world->evidence, world_deadline(), &info));
	assert_int_equal(world_batch(world, 1).reversed_kg, batch.reversed_kg); /* once */
	world_free(world);
}

static void calibration_that_raises_earns_nothing(void **state)
{
	(void)state;
	struct world *world = world_new();
	struct audit_actor actor = world_operator(world);
	world_fill_all(world, 0, 10);
	for (size_t i = 0; i < WORLD_SENSORS; i++)
		if (i != WORLD_FLOW)
			world_fill(world, i, 10, 25, i == WORLD_PURITY ? 0.99 : i == WORLD_VENT ? 4 : 1000);
	world_fill(world, WORLD_FLOW, 12, 25, 1000);
	struct id period = world_period(world, 0, 24);
	assert_int_equal(world_submit(world, period, id_new(clock_wall_us())).state, 2);
	world_attest_and_issue(world, period);
	struct calibration row;
	field_clear(calibration_fields, &row);
	row.org_id = world->org;
	row.sensor_id = world->sensors[WORLD_FLOW];
	row.certificate = "C-1";
	row.laboratory = "Lab";
	row.performed_us = row.valid_from_us = world->start_us;
	row.valid_until_us = world->start_us + 365 * CLOCK_US_PER_DAY;
	row.factor = "1.05";
	row.offset = "0";
	row.as_found_drift = "0";
	row.uncertainty_ppm = 1000;
	MUST(sensing_calibration_create(world->sensing, &actor, &row, &info));
	MUST(evidence_review(world->evidence, world_deadline(), &info));
	struct requantification found;
	field_clear(requantification_fields, &found);
	found.id = row.id;
	found.submission_id = period;
	MUST(store_get(world->store, &requantifications_collection, &found, world->arena, &info));
	assert_string_equal(requantification_outcomes[found.outcome], "recorded");
	assert_true(found.after_kg > found.before_kg);
	struct submission *links;
	assert_int_equal(world_links(world, period, &links), 1);
	assert_false(world_batch(world, 1).held);
	/* late data afterwards do not smuggle it in: two hours more, at the old factor */
	world_fill(world, WORLD_FLOW, 10, 12, 1000);
	MUST(sensing_close_hours(world->sensing, &world->sensors[WORLD_FLOW], 1, world->start_us,
		world->start_us + 25 * HOUR, world_deadline(), &info));
	MUST(evidence_review(world->evidence, world_deadline(), &info));
	assert_int_equal(world_links(world, period, &links), 2);
	struct submission *difference = id_equal(links[0].id, period) ? &links[1] : &links[0];
	assert_in_range(difference->kg, 1800, 2000);
	world_free(world);
}

static void withdrawal_frees_the_hours(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_fill_all(world, 0, 25);
	struct id period = world_period(world, 0, 24);
	assert_int_equal(world_submit(world, period, id_new(clock_wall_us())).state, 2);
	struct vault_row reason;
	struct engine_result result;
	assert_int_equal(vault_make(world->org, "reason", "wrong", clock_wall_us(), world->arena, &reason), ERR_OK);
	struct command withdraw = {
		.kind = COMMAND_PERIOD_WITHDRAW, .period_withdraw = {.period = period, .reason_hash = reason.hash}};
	assert_int_equal(world_command(world, world->operator, world->org, &withdraw, &reason, 1, &result), ERR_OK);
	world_verify(world, period); /* waits for the consumer */
	assert_int_equal(world_submission(world, period).state, WITHDRAWN);
	struct id again = world_period(world, 0, 24);
	assert_int_equal(world_submit(world, again, id_new(clock_wall_us())).state, 2);
	world_attest_and_issue(world, again);
	/* claim lock: a third period over the same hours is refused, and its row is taken back */
	struct id third = world_period(world, 0, 24);
	struct job job = world_submit(world, third, id_new(clock_wall_us()));
	assert_int_equal(job.state, 3);
	assert_non_null(strstr(job.error, "claim-taken"));
	struct submission row = {.id = third};
	struct err_info fault = {0};
	assert_int_equal(store_get(world->store, &submissions_collection, &row, world->arena, &fault), ERR_NOT_FOUND);
	world_free(world);
}

static void a_restart_goes_on(void **state)
{
	(void)state;
	struct world *world = world_new();
	struct audit_actor actor = world_operator(world);
	world_fill_all(world, 0, 25);
	struct id period = world_period(world, 0, 24), command = id_new(clock_wall_us());
	/* as a crash leaves it: asked for, not done */
	struct period row = {.id = period}, submitting;
	MUST(store_get(world->store, &periods_collection, &row, world->arena, &info));
	submitting = row;
	submitting.state = 1;
	submitting.job_id = command;
	submitting.submitted_by = world->operator;
	MUST(period_write(world->evidence, &actor, &row, &submitting, "period.submitting", &info));
	world_close(world);
	world_open(world);
	MUST(evidence_review(world->evidence, world_deadline(), &info));
	struct job job;
	MUST(evidence_job(world->evidence, command, world->arena, &job, &info));
	assert_string_equal(job_states[job.state], "done");
	assert_int_equal(world_submission(world, period).state, SUBMITTED);
	world_attest_and_issue(world, period);
	assert_true(world_verify(world, period).issued);
	world_free(world);
}

static void nothing_to_credit_is_said(void **state)
{
	(void)state;
	struct world *world = world_new();
	struct id period = world_period(world, 0, 24); /* no readings at all */
	struct job job = world_submit(world, period, id_new(clock_wall_us()));
	assert_int_equal(job.state, 3);
	assert_non_null(strstr(job.error, "nothing-to-credit"));
	/* after a correction it is submitted again */
	world_fill_all(world, 0, 25);
	assert_int_equal(world_submit(world, period, id_new(clock_wall_us())).state, 2);
	world_free(world);
}

static void periods_are_cut(void **state)
{
	(void)state;
	struct span spans[16];
	size_t count;
	struct err_info info = {0};
	int64_t from, to;
	assert_int_equal(clock_parse("2026-06-01T00:00:00Z", &from), ERR_OK);
	assert_int_equal(clock_parse("2028-03-01T00:00:00Z", &to), ERR_OK);
	assert_int_equal(cut_period(from, to, 1, spans, 16, &count, &info), ERR_OK);
	assert_int_equal(count, 3); /* three vintages */
	assert_int_equal(clock_year(spans[1].from_us), 2027);
	assert_int_equal(spans[1].from_us, spans[0].to_us);
	assert_int_equal(spans[2].to_us, to);
	/* two claimable points: at most 4,392 hours a batch */
	assert_int_equal(cut_period(from, from + 5000 * HOUR, 2, spans, 16, &count, &info), ERR_OK);
	assert_int_equal(count, 2);
	assert_int_equal(spans[0].to_us - spans[0].from_us, 4392 * HOUR);
	assert_int_equal(cut_period(from, to, 1, spans, 2, &count, &info), ERR_TOO_LARGE);
}

static void projects_must_fit_their_methodology(void **state)
{
	(void)state;
	struct world *world = world_new();
	struct audit_actor actor = world_operator(world);
	struct project row = {.id = world->project};
	struct err_info fault = {0};
	MUST(store_get(world->store, &projects_collection, &row, world->arena, &info));
	struct project bad = row;
	bad.kind = 1;
	assert_int_equal(
		evidence_project_update(world->evidence, &actor, &bad, FIELD_ABSENT, &fault), ERR_INVALID_FIELD);
	assert_string_equal(fault.pointer, "/kind");
	bad = row;
	bad.fossil_ppm = 1;
	assert_int_equal(
		evidence_project_update(world->evidence, &actor, &bad, FIELD_ABSENT, &fault), ERR_INVALID_FIELD);
	bad = row;
	bad.methodology_version = 9;
	assert_int_equal(evidence_project_update(world->evidence, &actor, &bad, FIELD_ABSENT, &fault), ERR_NOT_FOUND);
	bad = row;
	bad.storage = 5;
	assert_int_equal(
		evidence_project_update(world->evidence, &actor, &bad, FIELD_ABSENT, &fault), ERR_INVALID_FIELD);
	assert_string_equal(fault.pointer, "/storage");
	bad = row;
	assert_int_equal(evidence_project_update(world->evidence, &actor, &bad, 7, &fault), ERR_CONDITION_FAILED);
	bad = row;
	bad.name = "Renamed";
	MUST(evidence_project_update(world->evidence, &actor, &bad, 1, &info));
	assert_int_equal(bad.version, 2);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(period_to_batch_to_pack),
		cmocka_unit_test(late_data_is_a_difference),
		cmocka_unit_test(overlay_after_issue_reverses),
		cmocka_unit_test(calibration_that_raises_earns_nothing),
		cmocka_unit_test(withdrawal_frees_the_hours),
		cmocka_unit_test(a_restart_goes_on),
		cmocka_unit_test(nothing_to_credit_is_said),
		cmocka_unit_test(periods_are_cut),
		cmocka_unit_test(projects_must_fit_their_methodology),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
