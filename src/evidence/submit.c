/* From a period to submissions: cut, close, quantify, pin, keep the manifest, submit to the engine. Every step can be taken
 * again under the period's id: a submission whose row is there is not quantified anew, and the engine knows it by its
 * natural key. Evidence thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/log.h"
#include "parts.h"

enum { HOURS_OF_A_BATCH = EVENTS_CLAIM_HOURS_MAX };

/* What of a submission goes into the audit log: its manifest and inputs are under the evidence root anyway. */
static const struct field audited_fields[] = {FIELD(struct submission, id, FIELD_ID),
	FIELD(struct submission, period_id, FIELD_ID), FIELD(struct submission, first_id, FIELD_ID),
	FIELD(struct submission, kg, FIELD_INT), FIELD(struct submission, buffer_kg, FIELD_INT),
	FIELD(struct submission, evidence_root, FIELD_HASH),
	FIELD(struct submission, state, FIELD_ENUM, .names = submission_states),
	FIELD(struct submission, batch, FIELD_INT), FIELD_END};

struct id derived_id(struct id base, const char *what, int64_t number)
{
	struct sha256 sha;
	struct id id = base;
	sha256_start(&sha, "carbond/derived/1");
	sha256_add(&sha, base.bytes, sizeof base.bytes);
	sha256_add(&sha, what, strlen(what) + 1);
	sha256_add_u64(&sha, (uint64_t)number);
	struct hash hash = sha256_end(&sha);
	memcpy(id.bytes + 6, hash.bytes, sizeof id.bytes - 6);
	id.bytes[6] = (uint8_t)(0x70 | (id.bytes[6] & 0x0f));
	id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
	return id;
}

enum err cut_period(int64_t from_us, int64_t to_us, size_t claimable_points, struct span *ret_spans, size_t capacity,
	size_t *ret_count, struct err_info *info)
{
	int64_t most_us = HOURS_OF_A_BATCH / (int64_t)(claimable_points ? claimable_points : 1) * CLOCK_US_PER_HOUR;
	size_t count = 0;
	if (most_us == 0)
		return err_set(info, ERR_TOO_LARGE, "", "a unit with more than %d claimable points cannot be credited",
			HOURS_OF_A_BATCH);
	while (from_us < to_us) {
		int64_t end_us = from_us + most_us < to_us ? from_us + most_us : to_us;
		/* a vintage is one calendar year */
		for (int64_t month = clock_next_month(from_us); month < end_us; month = clock_next_month(month))
			if (clock_year(month) != clock_year(from_us))
				end_us = month;
		if (count == capacity)
			return err_set(info, ERR_TOO_LARGE, "", "the period would be cut into more than %zu batches",
				capacity);
		ret_spans[count++] = (struct span){from_us, end_us};
		from_us = end_us;
	}
	*ret_count = count;
	return ERR_OK;
}

/* ---- rows ---- */

enum err submission_read(
	struct evidence *evidence, struct id id, struct arena *arena, struct submission *ret_row, struct err_info *info)
{
	field_clear(submission_fields, ret_row);
	ret_row->id = id;
	return store_get(evidence->store, &submissions_collection, ret_row, arena, info);
}

enum err submission_write(struct evidence *evidence, const struct submission *old_row, struct submission *row,
	const char *action, struct err_info *info)
{
	struct audit_actor daemon = {.name = "evidence"};
	struct store_change change = {.collection = &submissions_collection,
		.row = row,
		.verb = STORE_PUT,
		.condition = old_row ? STORE_EQUALS : STORE_ABSENT,
		.field = "version",
		.value = old_row ? old_row->version : 0};
	struct audit_change record = {.action = action,
		.subject_kind = "submission",
		.subject = row->id,
		.org = row->org_id,
		.fields = audited_fields,
		.old_row = old_row,
		.new_row = row,
		.changes = &change,
		.change_count = 1};
	row->version = old_row ? old_row->version + 1 : 1;
	row->updated_us = clock_wall_us();
	return audit_write(evidence->audit, &daemon, &record, NULL, info);
}

/* ---- close and pin ---- */

enum err submission_close_hours(struct evidence *evidence, const struct picture *picture, struct err_info *info)
{
	const struct mrv_case *the_case = &picture->the_case;
	int64_t deadline_us = clock_monotonic_us() + CLOSE_DEADLINE_US;
	struct id *sensors = malloc((the_case->sensor_count + 1) * sizeof *sensors);
	if (!sensors)
		return err_set(info, ERR_NO_MEMORY, "", "no memory to close the period's hours");
	for (size_t i = 0; i < the_case->sensor_count; i++)
		sensors[i] = the_case->sensors[i].id;
	enum err err = sensing_close_hours(evidence->sensing, sensors, the_case->sensor_count,
		the_case->from_us - CLOCK_US_PER_HOUR, the_case->to_us, deadline_us, info);
	free(sensors);
	return err;
}

/* Hours that a sensor is pinned for: what was read of it, and all of the period, where late data may still come. */
static void pinned_span(
	const struct mrv_case *the_case, const struct mrv_result *result, size_t sensor, struct span *ret)
{
	*ret = (struct span){the_case->from_us - CLOCK_US_PER_HOUR, the_case->to_us + CLOCK_US_PER_HOUR};
	for (size_t i = 0; i < result->read_count; i++) {
		int64_t hour_us = result->reads[i].hour_us;
		if (result->reads[i].sensor != sensor)
			continue;
		ret->from_us = hour_us < ret->from_us ? hour_us : ret->from_us;
		ret->to_us = hour_us + CLOCK_US_PER_HOUR > ret->to_us ? hour_us + CLOCK_US_PER_HOUR : ret->to_us;
	}
}

static bool is_read(const struct mrv_result *result, size_t sensor)
{
	for (size_t i = 0; i < result->read_count; i++)
		if (result->reads[i].sensor == sensor)
			return true;
	return false;
}

static enum err pin(struct evidence *evidence, const struct mrv_case *the_case, const struct mrv_result *result,
	struct id owner, struct err_info *info)
{
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < the_case->sensor_count; i++) {
		struct span span;
		if (!is_read(result, i))
			continue;
		pinned_span(the_case, result, i, &span);
		err = sensing_pin(evidence->sensing, the_case->sensors[i].id, span.from_us, span.to_us, owner, info);
	}
	return err;
}

enum err submission_unpin(
	struct evidence *evidence, const struct submission *row, struct arena *arena, struct err_info *info)
{
	struct picture *picture = NULL;
	enum err err = picture_stored(evidence, row, arena, &picture, info);
	for (size_t i = 0; err == ERR_OK && i < picture->the_case.sensor_count; i++) {
		struct err_info fault = {0};
		err = sensing_unpin(evidence->sensing, picture->the_case.sensors[i].id, row->id, &fault);
		if (err == ERR_NOT_FOUND) /* it was not read, or has been unpinned */
			err = ERR_OK;
		if (err)
			return err_set(info, err, fault.pointer, "%s", fault.detail);
	}
	return err;
}

/* ---- the manifest row ---- */

static enum err evidence_root(const struct picture *picture, const struct mrv_result *result,
	const struct mrv_manifest *manifest, struct hash *ret_root, struct err_info *info)
{
	struct mrv_pack_writer *writer = mrv_pack_writer_new(NULL, NULL);
	if (!writer)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the pack");
	enum err err = mrv_pack_core(writer, &picture->the_case, result, manifest, &picture->source, info);
	*ret_root = mrv_pack_root(writer);
	mrv_pack_writer_free(&writer);
	return err;
}

enum err submission_prepare(struct evidence *evidence, struct picture *picture, struct mrv_result *result,
	struct mrv_manifest *manifest, int state, struct arena *arena, struct submission *ret_row,
	struct err_info *info)
{
	struct hash root;
	json_t *inputs;
	enum err err = mrv_manifest_fill(&picture->the_case, result, manifest, info);
	if (err == ERR_OK)
		err = pin(evidence, &picture->the_case, result, manifest->id, info);
	if (err == ERR_OK)
		err = evidence_root(picture, result, manifest, &root, info);
	if (err == ERR_OK)
		err = picture_inputs(picture, result, arena, &inputs, info);
	if (err)
		return err;
	field_clear(submission_fields, ret_row);
	ret_row->id = manifest->id;
	ret_row->org_id = manifest->org_id;
	ret_row->project_id = manifest->project_id;
	ret_row->period_id = manifest->period_id;
	ret_row->first_id = manifest->first_id;
	ret_row->part = manifest->part;
	ret_row->slot = manifest->slot;
	ret_row->from_us = manifest->from_us;
	ret_row->to_us = manifest->to_us;
	ret_row->quantity_kg = manifest->quantity_kg;
	ret_row->kg = manifest->kg;
	ret_row->buffer_kg = manifest->buffer_kg;
	ret_row->evidence_root = root;
	ret_row->inputs = inputs;
	ret_row->state = state;
	ret_row->created_us = clock_wall_us();
	ret_row->manifest = document_own(arena, field_write(mrv_manifest_fields, manifest));
	if (!ret_row->manifest)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the manifest");
	return submission_write(evidence, NULL, ret_row, "submission.prepare", info);
}

/* ---- to the engine ---- */

static uint32_t hold_bits(const struct mrv_manifest *manifest)
{
	const char *const *held = manifest->held.items;
	uint32_t bits = 0;
	for (size_t i = 0; i < manifest->held.count; i++)
		bits |= strncmp(held[i], "nameplate", 9) == 0 ? PERIOD_HOLD_NAMEPLATE : PERIOD_HOLD_MASS_BALANCE;
	return bits;
}

static int compare_claims(const struct mrv_claim *a, const struct mrv_claim *b)
{
	int order = id_compare(a->point_id, b->point_id);
	return order ? order : a->first_hour < b->first_hour ? -1 : a->first_hour > b->first_hour;
}

/* The runs in the engine's order: by point and hour. */
static struct claim_run *claim_runs(const struct mrv_manifest *manifest, struct arena *arena)
{
	const struct mrv_claim *claims = manifest->claims.items;
	size_t count = manifest->claims.count;
	struct claim_run *runs = ARENA_ARRAY(arena, struct claim_run, count + 1);
	for (size_t i = 0; runs && i < count; i++) {
		size_t rank = 0;
		for (size_t j = 0; j < count; j++)
			rank += compare_claims(&claims[j], &claims[i]) < 0;
		runs[rank] = (struct claim_run){.point = claims[i].point_id,
			.first_hour = (uint32_t)claims[i].first_hour,
			.hours = (uint32_t)claims[i].hours,
			.slot = (uint32_t)claims[i].slot};
	}
	return runs;
}

static enum err fill_command(const struct submission *row, const struct mrv_manifest *manifest, struct command *command,
	struct err_info *info)
{
	struct command_period_submit *body = &command->period_submit;
	const struct mrv_earlier *earlier = manifest->earlier.items;
	int durability = 0;
	while (event_durability_names[durability] &&
		strcmp(event_durability_names[durability], manifest->durability_class) != 0)
		durability++;
	*body = (struct command_period_submit){.period = row->id,
		.org = manifest->org_id,
		.unit = manifest->unit_id,
		.project = manifest->project_id,
		.methodology_hash = manifest->methodology_hash,
		.evidence_root = row->evidence_root,
		.kind = strcmp(mrv_kinds[manifest->kind], "removal") == 0 ? CREDIT_REMOVAL : CREDIT_REDUCTION,
		.durability = (uint32_t)durability,
		.vintage = (uint32_t)manifest->vintage,
		.quorum = (uint32_t)manifest->quorum,
		.first_hour = manifest->from_us / CLOCK_US_PER_HOUR,
		.last_hour = manifest->to_us / CLOCK_US_PER_HOUR - 1,
		.kg = manifest->kg,
		.buffer_kg = manifest->buffer_kg,
		.total_kg = manifest->quantity_kg,
		.held = hold_bits(manifest)};
	if (manifest->slot > 0) {
		body->first_period = manifest->first_id;
		body->previous_root = earlier[manifest->earlier.count - 1].evidence_root;
	}
	if (!event_durability_names[durability] || !code16_set(&body->unit_code, manifest->unit_code) ||
		!code16_set(&body->methodology, manifest->methodology) || !code8_set(&body->country, manifest->country))
		return err_set(info, ERR_INVALID_FIELD, "", "a code of the manifest does not fit the journal");
	return ERR_OK;
}

enum err submission_send(struct evidence *evidence, const struct submission *row, struct id actor, struct arena *arena,
	struct err_info *info)
{
	struct mrv_manifest manifest;
	struct engine_result result;
	struct command command = {.kind = COMMAND_PERIOD_SUBMIT,
		.source = COMMAND_SOURCE_EVIDENCE,
		.id = derived_id(row->id, "period_submit", 0),
		.actor = actor,
		.org = row->org_id};
	enum err err = field_read(mrv_manifest_fields, FIELD_TRUSTED, row->manifest, "", arena, &manifest, info);
	if (err == ERR_OK)
		err = fill_command(row, &manifest, &command, info);
	if (err)
		return err;
	command.natural_key = command_natural_key(
		COMMAND_SOURCE_EVIDENCE, COMMAND_PERIOD_SUBMIT, row->id.bytes, sizeof row->id.bytes);
	command.lists.runs = claim_runs(&manifest, arena);
	command.lists.run_count = manifest.claims.count;
	if (!command.lists.runs)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the claims");
	err = engine_command(
		evidence->engine, &command, NULL, 0, clock_monotonic_us() + COMMAND_DEADLINE_US, &result, info);
	if (err)
		return err;
	/* who is told that it is submitted shall find it in the views; where they lag far, at-least finds it */
	struct err_info fault = {0};
	if (engine_wait_position(evidence->engine, result.position, clock_monotonic_us() + VIEWS_DEADLINE_US) != ERR_OK)
		log_line(LOG_LEVEL_INFO, "views_late", "a submission is not in the views yet", NULL);
	/* the journal's consumer says the same; whoever comes first */
	struct submission submitted = *row;
	submitted.state = 1;
	if (row->state == 0 && submission_write(evidence, row, &submitted, "submission.submit", &fault) != ERR_OK &&
		fault.code != ERR_CONDITION_FAILED)
		return err_set(info, fault.code, fault.pointer, "%s", fault.detail);
	return ERR_OK;
}

enum err submission_resend(
	struct evidence *evidence, const struct submission *row, struct arena *arena, struct err_info *info)
{
	struct period period = {.id = row->period_id};
	enum err err = store_get(evidence->store, &periods_collection, &period, arena, info);
	return err ? err : submission_send(evidence, row, period.submitted_by, arena, info);
}

/* ---- a period ---- */

/* Refused for good: the row goes, so that the period can be corrected and submitted again. */
static void take_back(struct evidence *evidence, const struct submission *row, struct arena *arena)
{
	struct err_info fault = {0};
	struct audit_actor daemon = {.name = "evidence"};
	struct store_change change = {.collection = &submissions_collection,
		.row = row,
		.verb = STORE_DELETE,
		.condition = STORE_EQUALS,
		.field = "version",
		.value = row->version};
	struct audit_change record = {.action = "submission.take_back",
		.subject_kind = "submission",
		.subject = row->id,
		.org = row->org_id,
		.fields = audited_fields,
		.old_row = row,
		.changes = &change,
		.change_count = 1};
	if (submission_unpin(evidence, row, arena, &fault) != ERR_OK ||
		audit_write(evidence->audit, &daemon, &record, NULL, &fault) != ERR_OK)
		log_failure("submission_take_back", &fault, NULL);
}

static bool may_be_tried_again(enum err err)
{
	return err == ERR_BUSY || err == ERR_STOPPING || err == ERR_DEADLINE || err == ERR_NO_SPACE ||
	       err == ERR_NO_MEMORY || err == ERR_POSITION_TAKEN || err == ERR_STORE_LATCHED || err == ERR_NOT_LEADER;
}

/* One part; *ret_kg is 0 where it has nothing to credit. */
static enum err run_part(struct evidence *evidence, const struct period *period, const struct project *project,
	struct span span, size_t part, struct id job, int64_t *ret_kg, struct err_info *info)
{
	struct arena *arena = arena_new(EVIDENCE_ARENA_BYTES);
	struct submission row;
	struct picture *picture = NULL;
	struct mrv_result *result = NULL;
	struct err_info fault = {0};
	struct id id = part == 0 ? period->id : derived_id(period->id, "part", (int64_t)part);
	struct mrv_manifest manifest = {.id = id, .period_id = period->id, .first_id = id, .part = (int64_t)part};
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the submission");
	enum err err = submission_read(evidence, id, arena, &row, &fault);
	if (err == ERR_NOT_FOUND) {
		err = picture_now(evidence, project, span.from_us, span.to_us, arena, &picture, info);
		job_step(evidence, job, "closing buckets");
		if (err == ERR_OK)
			err = submission_close_hours(evidence, picture, info);
		job_step(evidence, job, "quantifying");
		if (err == ERR_OK)
			err = mrv_quantify(&picture->the_case, &picture->source, arena, &result, info);
		if (err || result->kg == 0) {
			*ret_kg = 0;
			goto out;
		}
		job_step(evidence, job, "pinning the evidence and writing the manifest");
		err = submission_prepare(evidence, picture, result, &manifest, 0, arena, &row, info);
	} else if (err) {
		err_set(info, err, fault.pointer, "%s", fault.detail);
	}
	job_step(evidence, job, "submitting");
	if (err == ERR_OK && row.state == 0) {
		err = submission_send(evidence, &row, period->submitted_by, arena, info);
		if (err && !may_be_tried_again(err))
			take_back(evidence, &row, arena);
	}
	*ret_kg = row.kg;
out:
	arena_free(&arena);
	return err;
}

static enum err run_parts(struct evidence *evidence, struct period *period, const struct project *project,
	struct id job, struct arena *arena, struct err_info *info)
{
	struct picture *picture = NULL;
	struct span *spans = ARENA_ARRAY(arena, struct span, PARTS_MAX);
	size_t count = 0, claimable = 0, made = 0;
	enum err err = spans ? picture_now(evidence, project, period->from_us, period->to_us, arena, &picture, info)
			     : ERR_NO_MEMORY;
	for (size_t i = 0; err == ERR_OK && i < picture->the_case.point_count; i++)
		claimable += picture->the_case.points[i].claimable;
	if (err == ERR_OK)
		err = cut_period(period->from_us, period->to_us, claimable, spans, PARTS_MAX, &count, info);
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		int64_t kg = 0;
		err = run_part(evidence, period, project, spans[i], i, job, &kg, info);
		made += kg > 0;
	}
	if (err == ERR_OK && made == 0)
		err = err_set(
			info, ERR_NOTHING_TO_CREDIT, "", "after deductions and uncertainty no kilograms are left");
	period->parts = (int64_t)count;
	return err;
}

enum err period_run(struct evidence *evidence, struct id id, struct id job, bool *ret_ran, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct audit_actor daemon = {.name = "evidence"};
	struct period old_row = {.id = id};
	struct err_info fault = {0};
	*ret_ran = true;
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the period");
	enum err err = store_get(evidence->store, &periods_collection, &old_row, arena, info);
	struct period row = old_row;
	struct project project = {.id = old_row.project_id};
	*ret_ran = err || old_row.state == 1;
	if (!*ret_ran)
		goto out; /* done by an earlier run of the same job */
	if (err == ERR_OK)
		err = store_get(evidence->store, &projects_collection, &project, arena, info);
	if (err)
		goto out;
	err = run_parts(evidence, &row, &project, job, arena, info);
	if (err == ERR_STOPPING || err == ERR_STORE_LATCHED || err == ERR_POSITION_TAKEN || err == ERR_NOT_LEADER)
		goto out; /* the next start goes on, or the daemon that leads now */
	row.state = err ? 3 : 2;
	row.failure = err ? arena_print(arena, "%s: %s", err_row(err)->slug, info->detail) : NULL;
	if (period_write(evidence, &daemon, &old_row, &row, err ? "period.fail" : "period.submit", &fault) != ERR_OK &&
		err == ERR_OK)
		err = err_set(info, fault.code, fault.pointer, "%s", fault.detail);
out:
	arena_free(&arena);
	return err;
}
