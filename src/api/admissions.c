/* Which versions of methodologies periods may be submitted under, and which projects are registered. Reads on workers; commands by the
 * engine. */
#include "value.h"

static const enum err admit_errors[] = {ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err register_errors[] = {ERR_PROJECT_NOT_REGISTERED, ERR_SEPARATION_OF_DUTIES, ERR_COMMAND_ID_INVALID,
	ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

static enum err admissions_list(struct http_request *request, struct err_info *info)
{
	struct store_query query = {.collection = &admissions_collection};
	enum err err = value_at_least(request, info);
	return err ? err : api_answer_found(request, &query, admission_fields, info);
}

struct admission {
	struct hash methodology_hash;
	int64_t valid_from, valid_to;
	const char *reason;
};
static const struct field admission_body_fields[] = {
	FIELD(struct admission, methodology_hash, FIELD_HASH, .flags = FIELD_REQUIRED,
		.doc = "Hash of the methodology's version, as it was published"),
	FIELD(struct admission, valid_from, FIELD_TIME, .flags = FIELD_REQUIRED,
		.doc = "Periods may be submitted under it from"),
	FIELD(struct admission, valid_to, FIELD_TIME, .doc = "And before; left out: without end"),
	FIELD(struct admission, reason, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = VALUE_REASON_BYTES,
		.doc = "Why; kept in the vault"),
	FIELD_END};

static enum err admissions_create(struct http_request *request, struct err_info *info)
{
	const struct admission *body = http_body(request);
	struct command command = value_command(request, COMMAND_METHODOLOGY_ADMIT);
	struct vault_row reason;
	enum err err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.methodology_admit = (struct command_methodology_admit){.methodology_hash = body->methodology_hash,
		.valid_from_us = body->valid_from,
		.valid_to_us = body->valid_to == FIELD_ABSENT ? 0 : body->valid_to,
		.reason_hash = reason.hash};
	return value_submit(request, &command, &reason, 1, info);
}

/* ---- projects ---- */

static enum err registrations_list(struct http_request *request, struct err_info *info)
{
	struct store_query query = {.collection = &registrations_collection};
	enum err err = value_at_least(request, info);
	return err ? err : api_answer_found(request, &query, project_registration_fields, info);
}

struct registration {
	struct id project_id, org_id;
	int state;
	int64_t crediting_from, crediting_to;
	const char *reason;
};
static const struct field registration_body_fields[] = {
	FIELD(struct registration, project_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "The project"),
	FIELD(struct registration, org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Its organisation"),
	FIELD(struct registration, state, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = event_project_state_names,
		.doc = "Registered, suspended, or closed for ever"),
	FIELD(struct registration, crediting_from, FIELD_TIME, .flags = FIELD_REQUIRED,
		.doc = "First moment that is credited"),
	FIELD(struct registration, crediting_to, FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "End of it, exclusive"),
	FIELD(struct registration, reason, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = VALUE_REASON_BYTES,
		.doc = "Why; kept in the vault"),
	FIELD_END};

static enum err registrations_create(struct http_request *request, struct err_info *info)
{
	const struct registration *body = http_body(request);
	struct command command = value_command(request, COMMAND_PROJECT_REGISTER);
	struct vault_row reason;
	enum err err = value_text(request, body->org_id, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.project_register = (struct command_project_register){.project = body->project_id,
		.org = body->org_id,
		.state = (uint32_t)body->state,
		.crediting_from_us = body->crediting_from,
		.crediting_to_us = body->crediting_to,
		.reason_hash = reason.hash};
	return value_submit(request, &command, &reason, 1, info);
}

const struct http_route api_admissions_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/admissions", "methodology:read", .kind = HTTP_WORK,
		.flags = HTTP_PAGED | HTTP_AT_LEAST, .cost = 2, .response = admission_fields, .success = 200,
		.handler = admissions_list, .operation = "admissions.list",
		.doc = "Versions of methodologies that periods may be submitted under; where there is none, under any"),
	HTTP_ROUTE(HTTP_POST, "/v1/admissions", "methodology:admit", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = admission_body_fields,
		.request_size = sizeof(struct admission), .response = value_result_fields, .success = 200,
		.errors = admit_errors, .handler = admissions_create, .reply = value_reply,
		.operation = "admissions.create",
		.doc = "Says when periods may be submitted under a version of a methodology; an end that is past "
		       "withdraws it"),
	HTTP_ROUTE(HTTP_GET, "/v1/registrations", "batch:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .response = project_registration_fields, .success = 200, .handler = registrations_list,
		.operation = "registrations.list",
		.doc = "Registered projects; where there is none, periods may be of any project"),
	HTTP_ROUTE(HTTP_POST, "/v1/registrations", "project:register", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = registration_body_fields,
		.request_size = sizeof(struct registration), .response = value_result_fields, .success = 200,
		.errors = register_errors, .handler = registrations_create, .reply = value_reply,
		.operation = "registrations.create",
		.doc = "Registers a project with its crediting period, suspends it, or closes it for ever"),
	{.path = NULL}};
