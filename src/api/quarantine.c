/* The quarantine: what was refused, and an operator's two answers to it. Workers; sensing and ingest decide. */
#include "carbond/base/clock.h"
#include "carbond/ingest.h"

#include "carbond/api.h"

#define REDRIVE_US (10 * CLOCK_US_PER_SECOND)

struct quarantine_query {
	struct id org_id, unit_id;
	int state;
};

static const struct field quarantine_query_fields[] = {
	FIELD(struct quarantine_query, org_id, FIELD_ID,
		.doc = "Organisation; the caller's own where left out, all for a key that sees all"),
	FIELD(struct quarantine_query, unit_id, FIELD_ID, .doc = "Of this capture unit alone; needs an organisation"),
	FIELD(struct quarantine_query, state, FIELD_ENUM, .names = quarantine_states,
		.doc = "In this state alone; needs an organisation"),
	FIELD_END};

static enum err quarantine_list(struct http_request *request, struct err_info *info)
{
	const struct quarantine_query *given = http_query(request);
	struct quarantined low;
	struct store_query query = {.collection = &quarantine_collection, .low = &low};
	bool narrowed = !id_is_none(given->unit_id) || given->state >= 0;

	/* rows of no known organisation show only where all are asked for */
	if (id_is_none(given->org_id) && !narrowed && api_reaches_all(request)) {
		query.low = NULL;
		return api_answer_found(request, &query, quarantined_fields, info);
	}
	field_clear(quarantined_fields, &low);
	enum err err = api_choose_org(request, given->org_id, &low.org_id, info);
	if (err)
		return err;
	low.unit_id = given->unit_id;
	low.state = given->state;
	query.index = id_is_none(given->unit_id) ? "by_org" : "by_unit";
	query.prefix = id_is_none(given->unit_id) ? 1 : 2;
	query.prefix += given->state >= 0;
	return api_answer_found(request, &query, quarantined_fields, info);
}

/* The row of the path, if the actor may see it. */
static enum err read_row(struct http_request *request, struct quarantined *ret_row, struct err_info *info)
{
	enum err err;

	field_clear(quarantined_fields, ret_row);
	err = http_path_id(request, "id", &ret_row->id, info);
	if (!err)
		err = store_get(api_of(request)->store, &quarantine_collection, ret_row, http_arena(request), info);
	return err ? err : api_check_org(request, ret_row->org_id, info);
}

static enum err quarantine_get(struct http_request *request, struct err_info *info)
{
	struct quarantined row;
	enum err err = read_row(request, &row, info);

	return err ? err : http_answer_row(request, quarantined_fields, &row, row.version);
}

/* The version that the caller has seen, where it says so. */
static int64_t expected_version(struct http_request *request)
{
	int64_t given = http_if_match(request);

	return given < 0 ? FIELD_ABSENT : given;
}

static enum err quarantine_redrive(struct http_request *request, struct err_info *info)
{
	struct quarantined row;
	struct audit_actor actor = api_actor(request);
	enum err err = read_row(request, &row, info);

	if (!err)
		err = ingest_redrive(api_of(request)->ingest, &actor, &row, expected_version(request),
			clock_monotonic_us() + REDRIVE_US, http_arena(request), info);
	return err ? err : http_answer_row(request, quarantined_fields, &row, row.version);
}

static enum err quarantine_discard(struct http_request *request, struct err_info *info)
{
	struct quarantined row;
	struct audit_actor actor = api_actor(request);
	enum err err = read_row(request, &row, info);

	if (!err)
		err = ingest_discard(
			api_of(request)->ingest, &actor, &row, expected_version(request), http_arena(request), info);
	return err ? err : http_answer_row(request, quarantined_fields, &row, row.version);
}

static const enum err answer_errors[] = {
	ERR_NOT_FOUND, ERR_CONDITION_FAILED, ERR_INVALID_FIELD, ERR_NO_SPACE, ERR_BUSY, ERR_DEADLINE, ERR_OK};

const struct http_route api_quarantine_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/quarantine", "quarantine:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 2,
		.query = quarantine_query_fields, .query_size = sizeof(struct quarantine_query),
		.response = quarantined_fields, .success = 200, .handler = quarantine_list,
		.operation = "quarantine.list", .doc = "Refused readings with reason and raw text, open ones first"),
	HTTP_ROUTE(HTTP_GET, "/v1/quarantine/{id}", "quarantine:read", .kind = HTTP_WORK, .cost = 1,
		.response = quarantined_fields, .success = 200, .errors = answer_errors, .handler = quarantine_get,
		.operation = "quarantine.get", .doc = "One refused item"),
	HTTP_ROUTE(HTTP_POST, "/v1/quarantine/{id}/redrive", "quarantine:write", .kind = HTTP_WORK, .cost = 4,
		.response = quarantined_fields, .success = 200, .errors = answer_errors, .handler = quarantine_redrive,
		.operation = "quarantine.redrive",
		.doc = "Decodes the item again with today's configuration; if it passes, it becomes readings"),
	HTTP_ROUTE(HTTP_POST, "/v1/quarantine/{id}/discard", "quarantine:write", .kind = HTTP_WORK, .cost = 4,
		.response = quarantined_fields, .success = 200, .errors = answer_errors, .handler = quarantine_discard,
		.operation = "quarantine.discard", .doc = "Gives the item up for good"),
	{.path = NULL}};
