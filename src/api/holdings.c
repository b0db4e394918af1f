/* Who holds how many kilograms of which batch, and their serials. Workers. */
#include "value.h"

struct holdings_query {
	struct id org_id;
};
static const struct field holdings_query_fields[] = {
	FIELD(struct holdings_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD_END};

static enum err holdings_list(struct http_request *request, struct err_info *info)
{
	const struct holdings_query *given = http_query(request);
	struct holding_row low;
	field_clear(holding_fields, &low);
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &low.org_id, info);
	struct store_query query = {.collection = &holdings_collection, .low = &low, .prefix = 1};
	return err ? err : api_answer_found(request, &query, holding_fields, info);
}

struct ranges_query {
	struct id org_id;
	int64_t batch;
};
static const struct field ranges_query_fields[] = {
	FIELD(struct ranges_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD(struct ranges_query, batch, FIELD_INT, .min = 1, .doc = "Of this batch alone"), FIELD_END};

static enum err holdings_ranges(struct http_request *request, struct err_info *info)
{
	const struct ranges_query *given = http_query(request);
	struct serial_range_row low;
	field_clear(range_fields, &low);
	low.batch = given->batch;
	enum err err = value_at_least(request, info);
	if (!err)
		err = api_choose_org(request, given->org_id, &low.org_id, info);
	struct store_query query = {.collection = &ranges_collection,
		.index = "by_org",
		.low = &low,
		.prefix = given->batch == FIELD_ABSENT ? 1 : 2};
	return err ? err : api_answer_found(request, &query, range_fields, info);
}

const struct http_route api_holdings_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/holdings", "holding:read", .kind = HTTP_WORK, .flags = HTTP_PAGED | HTTP_AT_LEAST,
		.cost = 2, .query = holdings_query_fields, .query_size = sizeof(struct holdings_query),
		.response = holding_fields, .success = 200, .handler = holdings_list, .operation = "holdings.list",
		.doc = "An organisation's kilograms by batch and state"),
	HTTP_ROUTE(HTTP_GET, "/v1/holdings/ranges", "holding:read", .kind = HTTP_WORK,
		.flags = HTTP_PAGED | HTTP_AT_LEAST, .cost = 2, .query = ranges_query_fields,
		.query_size = sizeof(struct ranges_query), .response = range_fields, .success = 200,
		.handler = holdings_ranges, .operation = "holdings.ranges",
		.doc = "The serials that an organisation holds"),
	{.path = NULL}};
