/* Monitoring periods: from the dry run to the pack, and the registry's commands on what was submitted. A period is one
 * submission, under the period's id, unless it was cut into parts or later data made a difference: each of those has an
 * id of its own, and every path below takes any of them. Reads and evidence's work on workers; commands by the engine. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/evidence.h"
#include "carbond/sensing.h"

#include "parents.h"
#include "spool.h"
#include "value.h"

#define DRY_RUN_ARENA_BYTES (1u << 30)
#define MONTE_CARLO_RUNS    2000
#define MONTE_CARLO_SEED    1

static const enum err period_errors[] = {ERR_NOT_FOUND, ERR_PERIOD_STATE, ERR_OK};
static const enum err quantify_errors[] = {
	ERR_NOT_FOUND, ERR_METER_MISSING, ERR_FACTOR_MISSING, ERR_RAW_EXPIRED, ERR_OK};
static const enum err pack_errors[] = {ERR_NOT_FOUND, ERR_EVIDENCE_CHANGED, ERR_OK};
static const enum err command_errors[] = {ERR_NOT_FOUND, ERR_PERIOD_STATE, ERR_PERIOD_HELD, ERR_SEPARATION_OF_DUTIES,
	ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err attest_errors[] = {ERR_NOT_FOUND, ERR_PERIOD_STATE, ERR_VERIFIER_UNKNOWN, ERR_VERIFIER_NOT_VALID,
	ERR_SIGNATURE_INVALID, ERR_ALREADY_ATTESTED, ERR_SEPARATION_OF_DUTIES, ERR_COMMAND_ID_INVALID,
	ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err issue_errors[] = {ERR_NOT_FOUND, ERR_PERIOD_STATE, ERR_PERIOD_HELD, ERR_CLAIM_TAKEN,
	ERR_ROOT_OUTDATED, ERR_SEPARATION_OF_DUTIES, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING,
	ERR_OK};

/* ---- rows ---- */

static enum err read_period(struct http_request *request, struct period *ret_row, struct err_info *info)
{
	field_clear(period_fields, ret_row);
	enum err err = http_path_id(request, "id", &ret_row->id, info);
	if (!err)
		err = store_get(api_of(request)->store, &periods_collection, ret_row, http_arena(request), info);
	return err ? err : api_check_org(request, ret_row->org_id, info);
}

static enum err read_submission(struct http_request *request, struct submission *ret_row, struct err_info *info)
{
	field_clear(submission_fields, ret_row);
	enum err err = http_path_id(request, "id", &ret_row->id, info);
	if (!err)
		err = store_get(api_of(request)->store, &submissions_collection, ret_row, http_arena(request), info);
	return err ? err : api_check_org(request, ret_row->org_id, info);
}

struct periods_query {
	struct id org_id, project_id;
};
static const struct field periods_query_fields[] = {
	FIELD(struct periods_query, org_id, FIELD_ID,
		.doc = "Organisation; the caller's own where left out, all for a key that sees all"),
	FIELD(struct periods_query, project_id, FIELD_ID, .doc = "Periods of this project"), FIELD_END};

static enum err periods_list(struct http_request *request, struct err_info *info)
{
	const struct periods_query *given = http_query(request);
	struct period low = {.org_id = given->org_id, .project_id = given->project_id};
	struct store_query query = {.collection = &periods_collection, .low = &low};
	enum err err = ERR_OK;
	if (!id_is_none(given->project_id)) {
		struct project project = {.id = given->project_id};
		err = store_get(api_of(request)->store, &projects_collection, &project, http_arena(request), info);
		if (!err)
			err = api_check_org(request, project.org_id, info);
		low.org_id = project.org_id;
		query.index = "by_project";
		query.prefix = 2;
	} else if (!id_is_none(given->org_id) || !api_reaches_all(request)) {
		err = api_choose_org(request, given->org_id, &low.org_id, info);
		query.index = "by_org";
		query.prefix = 1;
	}
	return err ? err : api_answer_found(request, &query, period_fields, info);
}

static enum err periods_get(struct http_request *request, struct err_info *info)
{
	struct period row;
	enum err err = read_period(request, &row, info);
	return err ? err : http_answer_row(request, period_fields, &row, row.version);
}

static enum err periods_create(struct http_request *request, struct err_info *info)
{
	struct period row = *(const struct period *)http_body(request);
	struct audit_actor actor = api_actor(request);
	struct project project = {.id = row.project_id};
	enum err err = store_get(api_of(request)->store, &projects_collection, &project, http_arena(request), info);
	if (!err)
		err = api_check_org(request, project.org_id, info);
	row.id = row.org_id = (struct id){{0}};
	if (!err)
		err = evidence_period_create(api_of(request)->evidence, &actor, &row, info);
	if (err)
		return err;
	api_set_location(request, "/v1/periods/", row.id);
	return http_answer_row(request, period_fields, &row, row.version);
}

/* ---- dry run ---- */

enum dry_run_format { DRY_RUN_JSON, DRY_RUN_CSV, DRY_RUN_HOURS };
static const char *const dry_run_formats[] = {"json", "csv", "hours", NULL};

struct dry_run_query {
	int format;
};
static const struct field dry_run_query_fields[] = {
	FIELD(struct dry_run_query, format, FIELD_ENUM, .names = dry_run_formats,
		.doc = "json: every line explained; csv: the same lines; hours: one CSV row a meter-hour"),
	FIELD_END};

static void release_arena(void *object)
{
	struct arena *arena = object;
	arena_free(&arena);
}

/* A part's result with the cross-check of its uncertainty, which is for the eye and in no hash. */
static json_t *part_document(const struct mrv_case *the_case, const struct mrv_result *result)
{
	json_t *document = mrv_result_document(the_case, result);
	int64_t drawn_mg = mrv_monte_carlo(&result->budget, MONTE_CARLO_SEED, MONTE_CARLO_RUNS);
	if (document && json_object_set_new(document, "monte_carlo",
				json_pack("{s:I, s:i, s:i}", "uncertainty_mg", (json_int_t)drawn_mg, "runs",
					MONTE_CARLO_RUNS, "seed", MONTE_CARLO_SEED)) != 0) {
		json_decref(document);
		document = NULL;
	}
	return document;
}

static enum err answer_dry_run_json(struct http_request *request, const struct mrv_case *cases,
	struct mrv_result *const *results, size_t count, struct err_info *info)
{
	json_t *parts = json_array();
	int64_t kg = 0;
	for (size_t i = 0; i < count; i++) {
		kg += results[i]->kg;
		if (json_array_append_new(parts, part_document(&cases[i], results[i])) != 0) {
			json_decref(parts);
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the dry run");
		}
	}
	json_t *document = json_pack("{s:I, s:o}", "kg", (json_int_t)kg, "parts", parts);
	return document ? http_answer_json(request, document)
			: err_set(info, ERR_NO_MEMORY, NULL, "no memory for the dry run");
}

/* The parts' tables one below the other, the header once. */
static enum err answer_dry_run_csv(struct http_request *request, const struct mrv_case *cases,
	struct mrv_result *const *results, size_t count, bool hours, struct arena *arena, struct err_info *info)
{
	char *whole = arena_print(arena, "%s", "");
	for (size_t i = 0; whole && i < count; i++) {
		size_t size;
		char *text = hours ? mrv_hours_csv(&cases[i], results[i], arena, &size)
				   : mrv_result_csv(results[i], arena, &size);
		const char *from = text && i > 0 ? strchr(text, '\n') + 1 : text;
		whole = text ? arena_print(arena, "%s%s", whole, from) : NULL;
	}
	return whole ? http_answer_text(request, "text/csv; charset=utf-8", whole, strlen(whole))
		     : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the dry run");
}

static enum err periods_dry_run(struct http_request *request, struct err_info *info)
{
	const struct dry_run_query *given = http_query(request);
	struct period row;
	struct mrv_case *cases = NULL;
	struct mrv_result **results = NULL;
	size_t count = 0;
	/* a year of meter-hours is more than a request's arena may hold */
	struct arena *arena = arena_new(DRY_RUN_ARENA_BYTES);
	if (!arena || arena_own(http_arena(request), release_arena, arena) != ERR_OK)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the dry run");
	enum err err = read_period(request, &row, info);
	if (!err)
		err = evidence_dry_run(api_of(request)->evidence, row.id, arena, &cases, &results, &count, info);
	if (err)
		return err;
	if (given->format == DRY_RUN_CSV || given->format == DRY_RUN_HOURS)
		return answer_dry_run_csv(request, cases, results, count, given->format == DRY_RUN_HOURS, arena, info);
	return answer_dry_run_json(request, cases, results, count, info);
}

/* ---- submitting: a job ---- */

static enum err periods_submit(struct http_request *request, struct err_info *info)
{
	struct audit_actor actor = api_actor(request);
	struct period row;
	struct job job;
	enum err err = read_period(request, &row, info);
	if (!err)
		err = evidence_submit(
			api_of(request)->evidence, &actor, row.id, http_idempotency_key(request), &job, info);
	if (err)
		return err;
	api_set_location(request, "/v1/jobs/", job.id);
	return http_answer_row(request, job_fields, &job, -1);
}

static enum err jobs_get(struct http_request *request, struct err_info *info)
{
	struct job job;
	struct id id;
	enum err err = http_path_id(request, "id", &id, info);
	if (!err)
		err = evidence_job(api_of(request)->evidence, id, http_arena(request), &job, info);
	if (!err)
		err = api_check_org(request, job.org_id, info);
	return err ? err : http_answer_row(request, job_fields, &job, -1);
}

/* ---- what was submitted ---- */

/* A submission with what the registry says of it. */
struct submission_view {
	struct id id, org_id, project_id, period_id, first_id;
	int64_t part, slot, from_us, to_us, quantity_kg, kg, buffer_kg;
	struct hash evidence_root;
	const char *state;
	int64_t quorum, attestations;
	struct field_list held; /* const char * */
	int64_t batch, position;
};

static const struct field submission_view_fields[] = {
	FIELD(struct submission_view, id, FIELD_ID, .doc = "Its id; the period's for the first part"),
	FIELD(struct submission_view, org_id, FIELD_ID, .doc = "Organisation"),
	FIELD(struct submission_view, project_id, FIELD_ID, .doc = "Project"),
	FIELD(struct submission_view, period_id, FIELD_ID, .doc = "Monitoring period"),
	FIELD(struct submission_view, first_id, FIELD_ID, .doc = "First submission of these hours"),
	FIELD(struct submission_view, part, FIELD_INT, .min = 0, .max = 1000, .doc = "Part of the period"),
	FIELD(struct submission_view, slot, FIELD_INT, .min = 0, .max = MRV_EARLIER_MAX,
		.doc = "How many batches were issued from these hours before"),
	FIELD_AS(struct submission_view, from_us, "from", FIELD_TIME, .doc = "First hour"),
	FIELD_AS(struct submission_view, to_us, "to", FIELD_TIME, .doc = "End"),
	FIELD(struct submission_view, quantity_kg, FIELD_INT, .unit = "kg", .doc = "Quantity of all its hours"),
	FIELD(struct submission_view, kg, FIELD_INT, .unit = "kg", .doc = "Kilograms of this batch, buffer included"),
	FIELD(struct submission_view, buffer_kg, FIELD_INT, .unit = "kg", .doc = "Of which to the buffer"),
	FIELD(struct submission_view, evidence_root, FIELD_HASH, .doc = "What verifiers sign"),
	FIELD(struct submission_view, state, FIELD_TEXT, .max = 20,
		.doc = "prepared, submitted, attested, issued, withdrawn, refused or reversal"),
	FIELD(struct submission_view, quorum, FIELD_INT, .min = 0, .max = 32, .doc = "Verifiers that must attest"),
	FIELD(struct submission_view, attestations, FIELD_INT, .min = 0, .max = 64, .doc = "How many have"),
	FIELD(struct submission_view, held, FIELD_TEXTS, .max = 8, .doc = "Reasons for which it is held"),
	FIELD(struct submission_view, batch, FIELD_INT, .min = 1, .doc = "Batch, once issued"),
	FIELD(struct submission_view, position, FIELD_INT, .min = 0, .doc = "Journal position of this state"),
	FIELD_END};

static const char *const hold_names[] = {"mass_balance", "nameplate", "difference", "review", "calibration"};

static enum err add_registry(struct http_request *request, struct submission_view *view, struct err_info *info)
{
	struct registry_period period;
	struct err_info fault = {0};
	const char **held = ARENA_ARRAY(http_arena(request), const char *, sizeof hold_names / sizeof *hold_names);
	field_clear(registry_period_fields, &period);
	period.id = view->id;
	enum err err = held ? store_get(api_of(request)->store, &registry_periods_collection, &period,
				      http_arena(request), &fault)
			    : ERR_NO_MEMORY;
	if (err == ERR_NOT_FOUND)
		return ERR_OK; /* the engine has not taken it yet */
	if (err)
		return err_set(info, err, fault.pointer, "%s", fault.detail);
	view->state = event_period_state_names[period.state];
	view->quorum = period.quorum;
	view->attestations = (int64_t)period.attestations.count;
	view->batch = period.batch;
	view->position = period.position;
	view->held = (struct field_list){held, 0};
	for (size_t i = 0; i < sizeof hold_names / sizeof *hold_names; i++)
		if (period.held & 1 << i)
			held[view->held.count++] = hold_names[i];
	return ERR_OK;
}

static enum err make_view(struct http_request *request, const struct submission *row, struct submission_view *ret_view,
	struct err_info *info)
{
	*ret_view = (struct submission_view){.id = row->id,
		.org_id = row->org_id,
		.project_id = row->project_id,
		.period_id = row->period_id,
		.first_id = row->first_id,
		.part = row->part,
		.slot = row->slot,
		.from_us = row->from_us,
		.to_us = row->to_us,
		.quantity_kg = row->quantity_kg,
		.kg = row->kg,
		.buffer_kg = row->buffer_kg,
		.evidence_root = row->evidence_root,
		.state = submission_states[row->state],
		.quorum = FIELD_ABSENT,
		.attestations = FIELD_ABSENT,
		.batch = row->batch,
		.position = FIELD_ABSENT};
	return add_registry(request, ret_view, info);
}

static enum err answer_views(struct http_request *request, struct store_query *query, struct err_info *info)
{
	void *found = NULL;
	size_t count = 0;
	const char *next = NULL;
	enum err err = api_find_page(request, query, &found, &count, &next, info);
	struct submission_view *views =
		err ? NULL : ARENA_ARRAY(http_arena(request), struct submission_view, count + 1);
	if (!err && !views)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the submissions");
	for (size_t i = 0; !err && i < count; i++)
		err = make_view(request, (const struct submission *)found + i, &views[i], info);
	return err ? err : http_answer_page(request, submission_view_fields, views, sizeof *views, count, next);
}

static enum err periods_submissions(struct http_request *request, struct err_info *info)
{
	struct period row;
	enum err err = value_at_least(request, info);
	if (!err)
		err = read_period(request, &row, info);
	struct submission low = {.period_id = row.id};
	struct store_query query = {
		.collection = &submissions_collection, .index = "by_period", .low = &low, .prefix = 1};
	return err ? err : answer_views(request, &query, info);
}

struct submissions_query {
	struct id org_id;
};
static const struct field submissions_query_fields[] = {
	FIELD(struct submissions_query, org_id, FIELD_ID,
		.doc = "Organisation; the caller's own where left out, all for a key that sees all"),
	FIELD_END};

static enum err submissions_list(struct http_request *request, struct err_info *info)
{
	const struct submissions_query *given = http_query(request);
	struct submission low = {.org_id = given->org_id};
	struct store_query query = {.collection = &submissions_collection, .low = &low};
	enum err err = value_at_least(request, info);
	if (!err && (!id_is_none(given->org_id) || !api_reaches_all(request))) {
		err = api_choose_org(request, given->org_id, &low.org_id, info);
		query.index = "by_org";
		query.prefix = 1;
	}
	return err ? err : answer_views(request, &query, info);
}

static enum err submissions_get(struct http_request *request, struct err_info *info)
{
	struct submission row;
	struct submission_view view;
	enum err err = value_at_least(request, info);
	if (!err)
		err = read_submission(request, &row, info);
	if (!err)
		err = make_view(request, &row, &view, info);
	return err ? err : http_answer_row(request, submission_view_fields, &view, row.version);
}

static enum err periods_manifest(struct http_request *request, struct err_info *info)
{
	struct submission row;
	enum err err = read_submission(request, &row, info);
	return err ? err : http_answer_json(request, json_incref(row.manifest));
}

static enum err requantifications_list(struct http_request *request, struct err_info *info)
{
	struct submission row;
	enum err err = read_submission(request, &row, info);
	struct requantification low = {.submission_id = row.first_id};
	struct store_query query = {
		.collection = &requantifications_collection, .index = "by_submission", .low = &low, .prefix = 1};
	return err ? err : api_answer_found(request, &query, requantification_fields, info);
}

/* ---- the pack ---- */

static enum err periods_pack(struct http_request *request, struct err_info *info)
{
	struct submission row;
	char id[ID_TEXT_SIZE];
	enum err err = read_submission(request, &row, info);
	if (err)
		return err;
	FILE *spool = NULL;
	err = spool_open(&spool, info);
	if (err)
		return err;
	err = evidence_pack(api_of(request)->evidence, row.id, spool_write, spool, info);
	http_set_header(request, "Content-Disposition",
		arena_print(http_arena(request), "attachment; filename=\"%s.tar\"", id_text(row.id, id)));
	return spool_answer(request, "application/x-tar", spool, err, info);
}

/* ---- the registry's commands ---- */

struct attestation {
	struct id verifier_id;
	struct hash evidence_root;
	struct bytes signature;
	const char *scheme;
};
static const struct field attestation_fields[] = {
	FIELD(struct attestation, verifier_id, FIELD_ID, .flags = FIELD_REQUIRED,
		.doc = "The verifier whose key signed"),
	FIELD(struct attestation, evidence_root, FIELD_HASH, .flags = FIELD_REQUIRED, .doc = "What was signed"),
	FIELD(struct attestation, signature, FIELD_BYTES, .flags = FIELD_REQUIRED, .min = 64, .max = 64,
		.doc = "Ed25519 over the evidence root, as carbonctl sign prints it"),
	FIELD(struct attestation, scheme, FIELD_TEXT, .min = 1, .max = 20, .doc = "ed25519"), FIELD_END};

static enum err periods_attest(struct http_request *request, struct err_info *info)
{
	const struct attestation *body = http_body(request);
	struct command command = value_command(request, COMMAND_PERIOD_ATTEST);
	enum err err = http_path_id(request, "id", &command.period_attest.period, info);
	if (!err && body->scheme && strcmp(body->scheme, "ed25519") != 0)
		err = err_set(info, ERR_INVALID_FIELD, "/scheme", "/scheme must be \"ed25519\"");
	if (err)
		return err;
	command.period_attest.verifier = body->verifier_id;
	command.period_attest.evidence_root = body->evidence_root;
	memcpy(command.period_attest.signature.bytes, body->signature.data,
		sizeof command.period_attest.signature.bytes);
	return value_submit(request, &command, NULL, 0, info);
}

static enum err periods_withdraw(struct http_request *request, struct err_info *info)
{
	const struct value_reason *body = http_body(request);
	struct command command = value_command(request, COMMAND_PERIOD_WITHDRAW);
	struct vault_row reason;
	enum err err = http_path_id(request, "id", &command.period_withdraw.period, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.period_withdraw.reason_hash = reason.hash;
	return value_submit(request, &command, &reason, 1, info);
}

static enum err periods_refuse(struct http_request *request, struct err_info *info)
{
	const struct value_reason *body = http_body(request);
	struct command command = value_command(request, COMMAND_PERIOD_REFUSE);
	struct vault_row reason;
	enum err err = http_path_id(request, "id", &command.period_refuse.period, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.period_refuse.reason_hash = reason.hash;
	return value_submit(request, &command, &reason, 1, info);
}

static enum err periods_hold(struct http_request *request, struct err_info *info)
{
	const struct value_reason *body = http_body(request);
	struct command command = value_command(request, COMMAND_PERIOD_HOLD);
	struct vault_row reason;
	enum err err = http_path_id(request, "id", &command.period_hold.period, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.period_hold.reasons = PERIOD_HOLD_REVIEW;
	command.period_hold.reason_hash = reason.hash;
	return value_submit(request, &command, &reason, 1, info);
}

static enum err periods_release(struct http_request *request, struct err_info *info)
{
	const struct value_reason *body = http_body(request);
	struct command command = value_command(request, COMMAND_PERIOD_RELEASE);
	struct vault_row reason;
	enum err err = http_path_id(request, "id", &command.period_release.period, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.period_release.reason_hash = reason.hash;
	return value_submit(request, &command, &reason, 1, info);
}

static enum err periods_issue(struct http_request *request, struct err_info *info)
{
	struct command command = value_command(request, COMMAND_PERIOD_ISSUE);
	enum err err = http_path_id(request, "id", &command.period_issue.period, info);
	return err ? err : value_submit(request, &command, NULL, 0, info);
}

/* A command with a reason in its body. */
#define REASON_ROUTE(verb, permission_, handler_, doc_)                                                              \
	HTTP_ROUTE(HTTP_POST, "/v1/periods/{id}/" verb, permission_, .kind = HTTP_LATER, .flags = HTTP_VALUE,        \
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = value_reason_fields,                       \
		.request_size = sizeof(struct value_reason), .response = value_result_fields, .success = 200,        \
		.errors = command_errors, .handler = (handler_), .reply = value_reply, .operation = "periods." verb, \
		.doc = (doc_))

const struct http_route api_periods_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/periods", "period:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 2,
		.query = periods_query_fields, .query_size = sizeof(struct periods_query), .response = period_fields,
		.success = 200, .handler = periods_list, .operation = "periods.list",
		.doc = "The monitoring periods of an organisation"),
	HTTP_ROUTE(HTTP_POST, "/v1/periods", "period:write", .kind = HTTP_WORK, .body_bytes_max = 64 << 10, .cost = 4,
		.request = period_fields, .request_size = sizeof(struct period), .response = period_fields,
		.success = 201, .errors = period_errors, .handler = periods_create, .operation = "periods.create",
		.doc = "Creates a monitoring period as a draft"),
	HTTP_ROUTE(HTTP_GET, "/v1/periods/{id}", "period:read", .kind = HTTP_WORK, .cost = 1, .response = period_fields,
		.success = 200, .errors = period_errors, .handler = periods_get, .operation = "periods.get",
		.doc = "One monitoring period"),
	HTTP_ROUTE(HTTP_GET, "/v1/periods/{id}/dry-run", "period:read", .kind = HTTP_WORK, .cost = 50,
		.query = dry_run_query_fields, .query_size = sizeof(struct dry_run_query), .success = 200,
		.errors = quantify_errors, .handler = periods_dry_run, .operation = "periods.dry-run",
		.doc = "Quantifies the period as it is now, every line explained, and changes nothing"),
	HTTP_ROUTE(HTTP_POST, "/v1/periods/{id}/submit", "period:write", .kind = HTTP_WORK, .flags = HTTP_VALUE,
		.cost = 20, .response = job_fields, .success = 202, .errors = period_errors, .handler = periods_submit,
		.operation = "periods.submit",
		.doc = "Closes its hours, quantifies, pins the evidence and submits it: a job, whose id is the "
		       "Idempotency-Key"),
	HTTP_ROUTE(HTTP_GET, "/v1/jobs/{id}", "period:read", .kind = HTTP_WORK, .cost = 1, .response = job_fields,
		.success = 200, .errors = period_errors, .handler = jobs_get, .operation = "jobs.get",
		.doc = "How far a job is"),
	HTTP_ROUTE(HTTP_GET, "/v1/periods/{id}/submissions", "period:read", .kind = HTTP_WORK,
		.flags = HTTP_PAGED | HTTP_AT_LEAST, .cost = 3, .response = submission_view_fields, .success = 200,
		.errors = period_errors, .handler = periods_submissions, .operation = "periods.submissions",
		.doc = "What was submitted of a period: its parts, and the differences that later data made"),
	HTTP_ROUTE(HTTP_GET, "/v1/submissions", "period:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 3, .query = submissions_query_fields, .query_size = sizeof(struct submissions_query),
		.response = submission_view_fields, .success = 200, .handler = submissions_list,
		.operation = "submissions.list",
		.doc = "Submissions of an organisation, for its verifiers and issuers"),
	HTTP_ROUTE(HTTP_GET, "/v1/submissions/{id}", "period:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST,
		.cost = 1, .response = submission_view_fields, .success = 200, .errors = period_errors,
		.handler = submissions_get, .operation = "submissions.get",
		.doc = "One submission with what the registry says of it"),
	HTTP_ROUTE(HTTP_GET, "/v1/periods/{id}/manifest", "pack:read", .kind = HTTP_WORK, .cost = 1, .success = 200,
		.errors = pack_errors, .handler = periods_manifest, .operation = "periods.manifest",
		.doc = "The manifest of a submission: what verifiers vouch for"),
	HTTP_ROUTE(HTTP_GET, "/v1/periods/{id}/pack", "pack:read", .kind = HTTP_WORK, .flags = HTTP_STREAM_BODY,
		.cost = 50, .response_media = "application/x-tar", .success = 200, .errors = pack_errors,
		.handler = periods_pack, .operation = "periods.pack",
		.doc = "The evidence pack of a submission, for carbonctl verify"),
	HTTP_ROUTE(HTTP_GET, "/v1/periods/{id}/requantifications", "period:read", .kind = HTTP_WORK,
		.flags = HTTP_PAGED, .cost = 2, .response = requantification_fields, .success = 200,
		.errors = period_errors, .handler = requantifications_list, .operation = "periods.requantifications",
		.doc = "What later data, calibrations and overlays changed"),
	HTTP_ROUTE(HTTP_POST, "/v1/periods/{id}/attestations", "period:attest", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = attestation_fields,
		.request_size = sizeof(struct attestation), .response = value_result_fields, .success = 201,
		.errors = attest_errors, .handler = periods_attest, .reply = value_reply, .operation = "periods.attest",
		.doc = "Hands in a verifier's signature of the evidence root, made with carbonctl sign"),
	REASON_ROUTE("withdraw", "period:write", periods_withdraw, "Withdraws a submission before issue"),
	REASON_ROUTE("refuse", "period:refuse", periods_refuse, "Refuses a submission before issue"),
	REASON_ROUTE("hold", "period:hold", periods_hold, "Holds a submission for review: it cannot be issued"),
	REASON_ROUTE("release", "period:release", periods_release, "Releases a held submission"),
	HTTP_ROUTE(HTTP_POST, "/v1/periods/{id}/issue", "period:issue", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.cost = 5, .response = value_result_fields, .success = 201, .errors = issue_errors,
		.handler = periods_issue, .reply = value_reply, .operation = "periods.issue",
		.doc = "Issues an attested submission: claims, batch, serials, supplier and buffer kilograms"),
	{.path = NULL}};
