/* POST /v1/readings: what MQTT takes, over HTTP, with a verdict for each item; and the receipts of devices that number what
 * they send. Workers: decoding and waiting for the readings writer may take long. */
#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/ingest.h"

#include "carbond/api.h"

#define DECODE_MOST       3 /* of one body, while other daemons' changes become known */
#define ANSWER_US         (10 * CLOCK_US_PER_SECOND)
#define ACCEPTED_ROWS_MAX 10000 /* verdicts listed; of a larger body only the refused ones are */

static const char *const item_states[] = {"accepted", "quarantined", NULL};
static const char *const item_lists[] = {"all", "quarantined", NULL};
enum { LIST_ALL, LIST_QUARANTINED };

struct readings_query {
	const char *org, *unit;
	int items;
};

static const struct field readings_query_fields[] = {
	FIELD(struct readings_query, org, FIELD_TEXT, .min = 1, .max = 40,
		.doc = "Organisation, slug or id; the caller's own where left out"),
	FIELD(struct readings_query, unit, FIELD_TEXT, .min = 1, .max = 40,
		.doc = "Capture unit, slug or id; or in the body: {\"unit\": …, \"items\": […]}"),
	FIELD(struct readings_query, items, FIELD_ENUM, .names = item_lists,
		.doc = "Which items the answer lists; all where left out"),
	FIELD_END};

struct item_answer {
	int64_t index, count;
	const char *tag;
	int status, reason;
	const char *detail;
	struct id quarantine_id;
};

static const struct field item_answer_fields[] = {
	FIELD(struct item_answer, index, FIELD_INT, .min = 0, .max = LIMIT_PAYLOAD_READINGS,
		.doc = "Which reading of the body, counted flat from 0 in the order sent"),
	FIELD(struct item_answer, count, FIELD_INT, .min = 1, .max = LIMIT_PAYLOAD_READINGS,
		.doc = "How many readings from there on share the verdict (neighbours of a packed column)"),
	FIELD(struct item_answer, tag, FIELD_TEXT, .doc = "The sensor's tag, where the item names one"),
	FIELD(struct item_answer, status, FIELD_ENUM, .names = item_states,
		.doc = "accepted: it is durable; or quarantined"),
	FIELD(struct item_answer, reason, FIELD_ENUM, .names = quarantine_reasons, .doc = "Why it is quarantined"),
	FIELD(struct item_answer, detail, FIELD_TEXT, .doc = "Why in words, with the allowed range"),
	FIELD(struct item_answer, quarantine_id, FIELD_ID, .doc = "Its row in /v1/quarantine"), FIELD_END};

struct readings_answer {
	int64_t accepted, quarantined;
	int listed;
	struct field_list items;
};

static const struct field readings_answer_fields[] = {
	FIELD(struct readings_answer, accepted, FIELD_INT, .min = 0, .max = LIMIT_PAYLOAD_READINGS,
		.doc = "Readings that are durable now; a repeat of one that was is one of them"),
	FIELD(struct readings_answer, quarantined, FIELD_INT, .min = 0, .max = LIMIT_PAYLOAD_READINGS,
		.doc = "Readings and items that were refused and are kept in the quarantine"),
	FIELD(struct readings_answer, listed, FIELD_ENUM, .names = item_lists,
		.doc = "Which items are listed; of a body with more than 10,000 verdicts the quarantined ones alone"),
	FIELD(struct readings_answer, items, FIELD_LIST, .table = item_answer_fields,
		.item_size = sizeof(struct item_answer), .doc = "The verdicts in the order sent"),
	FIELD_END};

static enum err answer_verdicts(struct http_request *request, const struct reading_batch *batch, int listed)
{
	struct item_answer *rows = ARENA_ARRAY(http_arena(request), struct item_answer, batch->verdict_count + 1);
	struct readings_answer answer = {.listed = listed, .items.items = rows};
	if (!rows)
		return ERR_NO_MEMORY;
	if (batch->verdict_count > ACCEPTED_ROWS_MAX)
		answer.listed = LIST_QUARANTINED;
	for (size_t i = 0; i < batch->verdict_count; i++) {
		const struct reading_verdict *verdict = &batch->verdicts[i];
		bool accepted = verdict->code == ERR_OK;
		*(accepted ? &answer.accepted : &answer.quarantined) += (int64_t)verdict->count;
		if (accepted && answer.listed == LIST_QUARANTINED)
			continue;
		rows[answer.items.count++] = (struct item_answer){.index = (int64_t)verdict->index,
			.count = (int64_t)verdict->count,
			.tag = verdict->tag,
			.status = accepted ? 0 : 1,
			.reason = accepted ? -1 : verdict->reason,
			.detail = verdict->detail,
			.quarantine_id = verdict->quarantine_id};
	}
	return http_answer_row(request, readings_answer_fields, &answer, -1);
}

/* Decodes into a batch of its own arena, which then belongs to the writer. */
static enum err decode(struct http_request *request, struct ingest_batch *batch, struct err_info *info)
{
	const struct readings_query *query = http_query(request);
	struct sensing *sensing = api_of(request)->sensing;
	size_t size = 0;
	const char *text = http_body_text(request, &size);
	struct payload_source source = {
		.source = "http", .org = query->org, .unit = query->unit, .now_us = clock_wall_us()};
	if (!api_reaches_all(request))
		source.org_id = http_actor(request)->org;
	const struct reading_batch empty = batch->batch;
	enum err err = ERR_OK;
	bool again = true;
	for (int attempt = 0; attempt < DECODE_MOST && again; attempt++) {
		const struct directory *directory = sensing_directory_ref(sensing);
		batch->batch = empty;
		err = payload_decode(directory, &source, http_body_media(request), text, size, &batch->batch, info);
		again = !err && sensing_decode_again(sensing, directory, &batch->batch, 0);
		sensing_directory_unref(&directory);
	}
	return err;
}

static enum err readings_create(struct http_request *request, struct err_info *info)
{
	const struct readings_query *query = http_query(request);
	struct ingest_batch *batch = ingest_batch_new(true);
	struct runtime_reply *reply = NULL;
	enum err err;
	if (!batch)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the readings");
	err = decode(request, batch, info);
	if (err)
		goto out; /* the sender hears of it, so nothing is kept of a body that is none */
	reply = reply_new(clock_monotonic_us() + ANSWER_US, NULL, NULL);
	if (!reply) {
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the readings");
		goto out;
	}
	/* a refusal to take it comes by the reply too */
	err = ingest_submit(api_of(request)->ingest, &batch, reply);
	err = reply_wait(reply, info);
	if (!err) {
		const struct ingest_batch *durable = reply->result;
		err = answer_verdicts(request, &durable->batch, query->items < 0 ? LIST_ALL : query->items);
	}
out:
	reply_unref(&reply);
	ingest_batch_free(&batch);
	return err;
}

/* ---- receipts ---- */

struct receipts_query {
	struct id org_id, unit_id;
};

static const struct field receipts_query_fields[] = {
	FIELD(struct receipts_query, org_id, FIELD_ID, .doc = "Organisation; the caller's own where left out"),
	FIELD(struct receipts_query, unit_id, FIELD_ID, .doc = "Of this capture unit alone"), FIELD_END};

static enum err receipts_list(struct http_request *request, struct err_info *info)
{
	const struct receipts_query *given = http_query(request);
	struct receipt low = {.unit_id = given->unit_id};
	struct store_query query = {.collection = &receipts_collection, .index = "by_org", .low = &low};
	enum err err = api_choose_org(request, given->org_id, &low.org_id, info);
	if (err)
		return err;
	query.prefix = id_is_none(given->unit_id) ? 1 : 2;
	return api_answer_found(request, &query, receipt_fields, info);
}

static const char *const readings_media[] = {
	"application/json", "application/x-ndjson", "application/senml+json", NULL};
static const enum err readings_errors[] = {ERR_INVALID_JSON, ERR_TOO_DEEP, ERR_TOO_LARGE, ERR_MISSING_FIELD,
	ERR_NO_SPACE, ERR_BUSY, ERR_DEADLINE, ERR_STORE_LATCHED, ERR_OK};

const struct http_route api_ingest_routes[] = {
	HTTP_ROUTE(HTTP_POST, "/v1/readings", "reading:write", .kind = HTTP_WORK, .body_bytes_max = LIMIT_JSON_BYTES,
		.media = readings_media, .cost = 2, .query = readings_query_fields,
		.query_size = sizeof(struct readings_query), .response = readings_answer_fields, .success = 200,
		.errors = readings_errors, .handler = readings_create, .operation = "readings.create",
		.doc = "Takes readings (our JSON, NDJSON, SenML) and says of each whether it is durable or "
		       "quarantined"),
	HTTP_ROUTE(HTTP_GET, "/v1/receipts", "reading:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 1,
		.query = receipts_query_fields, .query_size = sizeof(struct receipts_query), .response = receipt_fields,
		.success = 200, .handler = receipts_list, .operation = "receipts.list",
		.doc = "How far each device's own numbering (boot, seq) is durable without a gap"),
	{.path = NULL}};
