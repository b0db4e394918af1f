/* The audit log: records, signed checkpoints, and the proofs by which anyone holds the logs against them. Workers; audit
 * decides. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/api.h"
#include "carbond/base/limits.h"

/* ---- records ---- */

struct records_query {
	struct id org_id, subject;
	const char *subject_kind;
};

static const struct field records_query_fields[] = {
	FIELD(struct records_query, org_id, FIELD_ID,
		.doc = "Organisation; the caller's own where left out, all for a key that sees all"),
	FIELD(struct records_query, subject_kind, FIELD_TEXT, .min = 1, .max = 64,
		.doc = "Only of this kind: \"unit\""),
	FIELD(struct records_query, subject, FIELD_ID, .doc = "Only of this resource"), FIELD_END};

/* What a record says, for the reference; audit writes it. */
struct record_shape {
	const char *action, *node, *request_id, *subject_kind;
	json_t *actor, *old, *new;
	struct id org, subject;
	int64_t position, time_us;
};

static const struct field record_shape_fields[] = {
	FIELD(struct record_shape, action, FIELD_TEXT, .doc = "What was done: \"unit.create\""),
	FIELD(struct record_shape, actor, FIELD_JSON, .doc = "Who did it: id, org, name; empty for the daemon itself"),
	FIELD(struct record_shape, node, FIELD_TEXT, .doc = "The node whose log it is in"),
	FIELD(struct record_shape, position, FIELD_INT, .doc = "Place in that log: leaf position − 1 of its tree"),
	FIELD(struct record_shape, time_us, FIELD_INT, .unit = "µs", .doc = "When, since 1970"),
	FIELD(struct record_shape, request_id, FIELD_TEXT, .doc = "The request's id"),
	FIELD(struct record_shape, org, FIELD_ID, .doc = "Whose resource"),
	FIELD(struct record_shape, subject_kind, FIELD_TEXT, .doc = "Kind of resource"),
	FIELD(struct record_shape, subject, FIELD_ID, .doc = "The resource"),
	FIELD(struct record_shape, old, FIELD_JSON, .doc = "The resource before; personal data as salted hashes"),
	FIELD(struct record_shape, new, FIELD_JSON, .doc = "The resource after"), FIELD_END};

static enum err read_cursor(struct http_request *request, int64_t *ret_position, struct err_info *info)
{
	const char *text = http_page_cursor(request);
	char *end = NULL;
	*ret_position = INT64_MAX;
	if (!text)
		return ERR_OK;
	errno = 0;
	*ret_position = strtoll(text, &end, 10);
	if (errno || *text < '1' || *text > '9' || *end)
		return err_set(info, ERR_INVALID_CURSOR, NULL, "take the cursor from next_cursor of this collection");
	return ERR_OK;
}

static enum err records_list(struct http_request *request, struct err_info *info)
{
	const struct records_query *given = http_query(request);
	struct audit_query query = {.org = given->org_id,
		.subject_kind = given->subject_kind,
		.subject = given->subject,
		.most = http_page_limit(request)};
	json_t *records = NULL;
	int64_t next = 0;
	enum err err = read_cursor(request, &query.before_position, info);
	if (!err && (!id_is_none(given->org_id) || !api_reaches_all(request)))
		err = api_choose_org(request, given->org_id, &query.org, info);
	if (!err)
		err = audit_find(api_of(request)->audit, &query, http_arena(request), &records, &next, info);
	if (err)
		return err;
	const char *cursor = next ? arena_print(http_arena(request), "%lld", (long long)next) : NULL;
	return http_answer_json(request, cursor ? json_pack("{s:O, s:s}", "items", records, "next_cursor", cursor)
						: json_pack("{s:O}", "items", records));
}

/* ---- checkpoints ---- */

struct checkpoint_shape {
	const char *key, *node, *signature;
	json_t *streams;
	int64_t time_us;
};

static const struct field checkpoint_shape_fields[] = {
	FIELD(struct checkpoint_shape, key, FIELD_TEXT, .doc = "Ed25519 public key, hex"),
	FIELD(struct checkpoint_shape, node, FIELD_TEXT, .doc = "The node that signed"),
	FIELD(struct checkpoint_shape, signature, FIELD_TEXT,
		.doc = "Over \"carbond/checkpoint/1\", a zero byte and the canonical document without this member, "
		       "hex"),
	FIELD(struct checkpoint_shape, streams, FIELD_JSON,
		.doc = "Sorted by name: stream, seq (last batch), tree_size, root (hex)"),
	FIELD(struct checkpoint_shape, time_us, FIELD_INT, .unit = "µs", .doc = "When, since 1970"), FIELD_END};

static enum err checkpoint_latest(struct http_request *request, struct err_info *info)
{
	char *text = NULL;
	enum err err = audit_checkpoint_text(api_of(request)->audit, NULL, 0, http_arena(request), &text, info);
	/* byte for byte what was signed, but for the signature */
	return err ? err : http_answer_text(request, "application/json", text, strlen(text));
}

/* ---- proofs ---- */

struct inclusion_query {
	int64_t index, tree_size;
};

static const struct field inclusion_query_fields[] = {
	FIELD(struct inclusion_query, index, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = LIMIT_JSON_INTEGER,
		.doc = "The leaf, counted from 0"),
	FIELD(struct inclusion_query, tree_size, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1,
		.max = LIMIT_JSON_INTEGER, .doc = "Leaves of the tree: a checkpoint's tree_size"),
	FIELD_END};

struct consistency_query {
	int64_t first, second;
};

static const struct field consistency_query_fields[] = {
	FIELD(struct consistency_query, first, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = LIMIT_JSON_INTEGER,
		.doc = "Leaves of the earlier tree"),
	FIELD(struct consistency_query, second, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = LIMIT_JSON_INTEGER,
		.doc = "Leaves of the later tree"),
	FIELD_END};

struct proof_shape {
	const char *stream;
	int64_t index, tree_size, first, second;
	struct hash root;
	struct field_list hashes;
};

static const struct field inclusion_shape_fields[] = {FIELD(struct proof_shape, stream, FIELD_TEXT, .doc = "The log"),
	FIELD(struct proof_shape, index, FIELD_INT, .doc = "The leaf"),
	FIELD(struct proof_shape, tree_size, FIELD_INT, .doc = "Leaves of the tree"),
	FIELD(struct proof_shape, root, FIELD_HASH, .doc = "The tree's root"),
	FIELD(struct proof_shape, hashes, FIELD_TEXTS, .doc = "The path from the leaf up (RFC 6962 §2.1.1), hex"),
	FIELD_END};

static const struct field consistency_shape_fields[] = {FIELD(struct proof_shape, stream, FIELD_TEXT, .doc = "The log"),
	FIELD(struct proof_shape, first, FIELD_INT, .doc = "Leaves of the earlier tree"),
	FIELD(struct proof_shape, second, FIELD_INT, .doc = "Leaves of the later tree"),
	FIELD(struct proof_shape, hashes, FIELD_TEXTS, .doc = "The proof (RFC 6962 §2.1.2), hex"), FIELD_END};

static json_t *hashes_json(const struct merkle_proof *proof)
{
	json_t *list = json_array();
	char text[HASH_TEXT_SIZE];
	for (size_t i = 0; i < proof->count; i++)
		if (json_array_append_new(list, json_string(hash_text(proof->hashes[i], text))) != 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static enum err inclusion_get(struct http_request *request, struct err_info *info)
{
	const struct inclusion_query *given = http_query(request);
	const char *stream = http_path_text(request, "stream");
	struct merkle_proof proof;
	struct hash root;
	char text[HASH_TEXT_SIZE];
	enum err err = audit_inclusion(api_of(request)->audit, stream, (uint64_t)given->index,
		(uint64_t)given->tree_size, &proof, &root, info);
	if (err)
		return err;
	return http_answer_json(request,
		json_pack("{s:s, s:I, s:I, s:s, s:o}", "stream", stream, "index", (json_int_t)given->index, "tree_size",
			(json_int_t)given->tree_size, "root", hash_text(root, text), "hashes", hashes_json(&proof)));
}

static enum err consistency_get(struct http_request *request, struct err_info *info)
{
	const struct consistency_query *given = http_query(request);
	const char *stream = http_path_text(request, "stream");
	struct merkle_proof proof;
	enum err err = audit_consistency(
		api_of(request)->audit, stream, (uint64_t)given->first, (uint64_t)given->second, &proof, info);
	if (err)
		return err;
	return http_answer_json(
		request, json_pack("{s:s, s:I, s:I, s:o}", "stream", stream, "first", (json_int_t)given->first,
				 "second", (json_int_t)given->second, "hashes", hashes_json(&proof)));
}

static const enum err cursor_errors[] = {ERR_INVALID_CURSOR, ERR_OK};
static const enum err proof_errors[] = {ERR_NOT_FOUND, ERR_OK};

const struct http_route api_audit_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/audit/records", "audit:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 4,
		.query = records_query_fields, .query_size = sizeof(struct records_query),
		.response = record_shape_fields, .success = 200, .errors = cursor_errors, .handler = records_list,
		.operation = "audit.records", .doc = "Who changed what that moved no value, newest first"),
	HTTP_ROUTE(HTTP_GET, "/v1/audit/checkpoints/latest", "journal:read", .kind = HTTP_WORK, .cost = 1,
		.response = checkpoint_shape_fields, .success = 200, .errors = proof_errors,
		.handler = checkpoint_latest, .operation = "audit.checkpoint",
		.doc = "The newest signed checkpoint of all logs' trees"),
	HTTP_ROUTE(HTTP_GET, "/v1/audit/streams/{stream}/inclusion", "journal:read", .kind = HTTP_WORK, .cost = 2,
		.query = inclusion_query_fields, .query_size = sizeof(struct inclusion_query),
		.response = inclusion_shape_fields, .success = 200, .errors = proof_errors, .handler = inclusion_get,
		.operation = "audit.inclusion", .doc = "Proof that a leaf is in a log's tree"),
	HTTP_ROUTE(HTTP_GET, "/v1/audit/streams/{stream}/consistency", "journal:read", .kind = HTTP_WORK, .cost = 2,
		.query = consistency_query_fields, .query_size = sizeof(struct consistency_query),
		.response = consistency_shape_fields, .success = 200, .errors = proof_errors,
		.handler = consistency_get, .operation = "audit.consistency",
		.doc = "Proof that a log's earlier tree is the beginning of a later one"),
	{.path = NULL}};
