/* Notices of reversals: who had kilograms of a batch when some of it were reversed. Workers. */
#include "value.h"

struct notices_query {
	struct id org_id;
};
static const struct field notices_query_fields[] = {
	FIELD(struct notices_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD_END};

static enum err notices_list(struct http_request *request, struct err_info *info)
{
	const struct notices_query *given = http_query(request);
	struct notice_row low;
	field_clear(notice_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &low.org_id, info);
	struct store_query query = {
		.collection = &notices_collection, .index = "by_org", .low = &low, .prefix = 1, .descending = true};
	return err ? err : api_answer_found(request, &query, notice_fields, info);
}

static enum err notices_of_batch(struct http_request *request, struct err_info *info)
{
	struct notice_row low;
	field_clear(notice_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = value_path_number(request, "batch", &low.batch, info);
	if (!err && !api_reaches_all(request))
		err = err_set(info, ERR_FORBIDDEN, NULL, "the list is for those who see every organisation");
	struct store_query query = {.collection = &notices_collection, .index = "by_batch", .low = &low, .prefix = 1};
	return err ? err : api_answer_found(request, &query, notice_fields, info);
}

const struct http_route api_notices_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/notices", "holding:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .query = notices_query_fields, .query_size = sizeof(struct notices_query),
		.response = notice_fields, .success = 200, .handler = notices_list, .operation = "notices.list",
		.doc = "Reversals of batches of which an organisation had kilograms, newest first"),
	HTTP_ROUTE(HTTP_GET, "/v1/batches/{batch}/notices", "holding:read", .kind = HTTP_WORK,
		.flags = HTTP_PAGED | HTTP_AT_LEAST, .cost = 2, .response = notice_fields, .success = 200,
		.handler = notices_of_batch, .operation = "notices.batch",
		.doc = "Everybody who had kilograms of a batch when some were reversed"),
	{.path = NULL}};
