/* Verifiers and their public keys. Reads on workers; commands by the engine. */
#include "value.h"

#include <string.h>

static const enum err register_errors[] = {
	ERR_DUPLICATE, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};
static const enum err revoke_errors[] = {
	ERR_VERIFIER_UNKNOWN, ERR_VERIFIER_NOT_VALID, ERR_COMMAND_REUSED, ERR_COMMAND_RUNNING, ERR_OK};

static enum err verifiers_list(struct http_request *request, struct err_info *info)
{
	struct store_query query = {.collection = &verifiers_collection};
	enum err err = value_at_least(request, info);
	return err ? err : api_answer_found(request, &query, verifier_fields, info);
}

static enum err verifiers_get(struct http_request *request, struct err_info *info)
{
	struct verifier_row row;
	field_clear(verifier_fields, &row);
	enum err err = value_at_least(request, info);
	if (!err)
		err = http_path_id(request, "id", &row.id, info);
	if (!err)
		err = store_get(api_of(request)->store, &verifiers_collection, &row, http_arena(request), info);
	return err ? err : http_answer_row(request, verifier_fields, &row, row.position);
}

struct registration {
	struct id org_id;
	struct hash key;
	int64_t valid_from, valid_to;
};
static const struct field registration_fields[] = {
	FIELD(struct registration, org_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "The verifier's organisation"),
	FIELD(struct registration, key, FIELD_HASH, .flags = FIELD_REQUIRED, .doc = "Its Ed25519 public key"),
	FIELD(struct registration, valid_from, FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "Signatures count from"),
	FIELD(struct registration, valid_to, FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "And before"), FIELD_END};

static enum err verifiers_create(struct http_request *request, struct err_info *info)
{
	const struct registration *body = http_body(request);
	struct command command = value_command(request, COMMAND_VERIFIER_REGISTER);
	struct command_verifier_register *asked = &command.verifier_register;
	asked->verifier = command.id;
	asked->org = body->org_id;
	memcpy(&asked->key, body->key.bytes, sizeof asked->key);
	asked->valid_from_us = body->valid_from;
	asked->valid_to_us = body->valid_to;
	return value_submit(request, &command, NULL, 0, info);
}

static enum err verifiers_revoke(struct http_request *request, struct err_info *info)
{
	const struct value_reason *body = http_body(request);
	struct command command = value_command(request, COMMAND_VERIFIER_REVOKE);
	struct vault_row reason;
	enum err err = http_path_id(request, "id", &command.verifier_revoke.verifier, info);
	if (!err)
		err = value_text(request, command.org, "reason", body->reason, &reason, info);
	if (err)
		return err;
	command.verifier_revoke.reason_hash = reason.hash;
	return value_submit(request, &command, &reason, 1, info);
}

const struct http_route api_verifiers_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/verifiers", "verifier:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .response = verifier_fields, .success = 200, .handler = verifiers_list,
		.operation = "verifiers.list", .doc = "All verifiers"),
	HTTP_ROUTE(HTTP_POST, "/v1/verifiers", "verifier:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = registration_fields,
		.request_size = sizeof(struct registration), .response = value_result_fields, .success = 201,
		.errors = register_errors, .handler = verifiers_create, .reply = value_reply,
		.operation = "verifiers.create",
		.doc = "Registers a verifier's key; the answer's id is the verifier's"),
	HTTP_ROUTE(HTTP_GET, "/v1/verifiers/{id}", "verifier:read", .kind = HTTP_WORK, .flags = HTTP_AT_LEAST,
		.cost = 1, .response = verifier_fields, .success = 200, .handler = verifiers_get,
		.operation = "verifiers.get", .doc = "A verifier"),
	HTTP_ROUTE(HTTP_POST, "/v1/verifiers/{id}/revoke", "verifier:write", .kind = HTTP_LATER, .flags = HTTP_VALUE,
		.body_bytes_max = VALUE_BODY_BYTES, .cost = 5, .request = value_reason_fields,
		.request_size = sizeof(struct value_reason), .response = value_result_fields, .success = 200,
		.errors = revoke_errors, .handler = verifiers_revoke, .reply = value_reply,
		.operation = "verifiers.revoke", .doc = "Revokes a verifier's key"),
	{.path = NULL}};
