/* Serial numbers, looked up by everybody: what they are of, and where their kilograms are now. Holders are not named; a
 * retired range leads to its certificate. Workers. */
#include <string.h>

#include "certificates.h"
#include "value.h"

#define PARTS_MAX 1000

static const enum err serial_errors[] = {ERR_SERIAL_INVALID, ERR_OK};

struct serial_part {
	const char *serial;
	int64_t start, length;
	int state;
	struct id certificate_id, cancellation_id;
};
struct serial_answer {
	const char *serial;
	int64_t kg, batch, vintage;
	const char *country, *unit, *methodology;
	int kind, durability;
	bool suspended;
	struct hash issuance_id, evidence_root;
	struct id period_id;
	struct field_list parts;
	bool complete;
};

static const struct field serial_part_fields[] = {
	FIELD(struct serial_part, serial, FIELD_TEXT, .max = 128, .doc = "Serial number of the part"),
	FIELD(struct serial_part, start, FIELD_INT, .doc = "First kilogram"),
	FIELD(struct serial_part, length, FIELD_INT, .unit = "kg", .doc = "How many"),
	FIELD(struct serial_part, state, FIELD_ENUM, .names = event_kg_state_names, .doc = "Where they are"),
	FIELD(struct serial_part, certificate_id, FIELD_ID, .doc = "Certificate, where retired"),
	FIELD(struct serial_part, cancellation_id, FIELD_ID, .doc = "Cancellation, where cancelled by one"), FIELD_END};

static const struct field serial_fields[] = {
	FIELD(struct serial_answer, serial, FIELD_TEXT, .max = 128, .doc = "The serial number"),
	FIELD(struct serial_answer, kg, FIELD_INT, .unit = "kg", .doc = "Its kilograms"),
	FIELD(struct serial_answer, batch, FIELD_INT, .doc = "Its batch"),
	FIELD(struct serial_answer, vintage, FIELD_INT, .doc = "Year in which it happened"),
	FIELD(struct serial_answer, country, FIELD_TEXT, .max = 2, .doc = "Where it was captured"),
	FIELD(struct serial_answer, unit, FIELD_TEXT, .max = 16, .doc = "By which unit"),
	FIELD(struct serial_answer, methodology, FIELD_TEXT, .max = 16, .doc = "By which methodology"),
	FIELD(struct serial_answer, kind, FIELD_ENUM, .names = event_credit_kind_names, .doc = "Removal or reduction"),
	FIELD(struct serial_answer, durability, FIELD_ENUM, .names = event_durability_names, .doc = "Durability class"),
	FIELD(struct serial_answer, suspended, FIELD_BOOL, .doc = "The batch is suspended, or in dispute"),
	FIELD(struct serial_answer, issuance_id, FIELD_HASH, .doc = "Issuance"),
	FIELD(struct serial_answer, evidence_root, FIELD_HASH, .doc = "Root of the evidence pack"),
	FIELD(struct serial_answer, period_id, FIELD_ID, .doc = "Monitoring period"),
	FIELD(struct serial_answer, parts, FIELD_LIST, .table = serial_part_fields,
		.item_size = sizeof(struct serial_part), .max = PARTS_MAX, .doc = "The parts and where they are"),
	FIELD(struct serial_answer, complete, FIELD_BOOL,
		.doc = "All parts are listed; false beyond the first thousand"),
	FIELD_END};

/* The batch that the text speaks of, in every part. */
static enum err batch_of(
	struct http_request *request, const struct serial *serial, struct batch_row *ret_batch, struct err_info *info)
{
	field_clear(batch_fields, ret_batch);
	ret_batch->batch = (int64_t)serial->range.batch;
	enum err err = store_get(api_of(request)->store, &batches_collection, ret_batch, http_arena(request), info);
	if (err)
		return err;
	if (strcmp(serial->country, ret_batch->country) != 0 || strcmp(serial->unit, ret_batch->unit_code) != 0 ||
		strcmp(serial->methodology, ret_batch->methodology) != 0 || serial->vintage != ret_batch->vintage ||
		serial->range.start + serial->range.length > ret_batch->kg)
		return err_set(info, ERR_NOT_FOUND, NULL, "no batch has such a serial");
	return ERR_OK;
}

/* Rows that overlap the range: the one that holds its start, and those that begin inside. */
static enum err rows_of(struct http_request *request, const struct serial_range *range,
	struct serial_range_row **ret_rows, size_t *ret_count, struct err_info *info)
{
	struct serial_range_row low, from, to, *first = NULL;
	size_t first_count = 0;
	field_clear(range_fields, &low);
	low.batch = (int64_t)range->batch;
	from = to = low;
	to.start = range->start + 1;
	struct store *store = api_of(request)->store;
	struct store_query query = {
		.collection = &ranges_collection, .low = &low, .prefix = 1, .to = &to, .descending = true, .most = 1};
	enum err err = store_find(store, &query, http_arena(request), (void **)&first, &first_count, info);
	if (err)
		return err;
	from.start = first_count ? first[0].start : range->start;
	to.start = range->start + range->length;
	query = (struct store_query){.collection = &ranges_collection,
		.low = &low,
		.prefix = 1,
		.from = &from,
		.to = &to,
		.most = PARTS_MAX + 1};
	return store_find(store, &query, http_arena(request), (void **)ret_rows, ret_count, info);
}

static enum err parts_fill(struct http_request *request, const struct batch_row *batch,
	const struct serial_range *range, struct serial_answer *answer, struct err_info *info)
{
	struct serial_range_row *rows = NULL;
	size_t count = 0;
	enum err err = rows_of(request, range, &rows, &count, info);
	struct serial_part *parts = ARENA_ARRAY(http_arena(request), struct serial_part, count + 1);
	if (!err && !parts)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the answer");
	answer->complete = count <= PARTS_MAX;
	if (count > PARTS_MAX)
		count = PARTS_MAX;
	int64_t end = range->start + range->length;
	for (size_t i = 0; i < count && !err; i++) {
		int64_t from = rows[i].start > range->start ? rows[i].start : range->start;
		int64_t to = rows[i].start + rows[i].length < end ? rows[i].start + rows[i].length : end;
		parts[i] = (struct serial_part){.start = from,
			.length = to - from,
			.state = rows[i].state,
			.certificate_id = rows[i].retirement_id,
			.cancellation_id = rows[i].cancellation_id};
		err = certificate_serial(http_arena(request), batch, from, to - from, &parts[i].serial, info);
	}
	answer->parts = (struct field_list){.items = parts, .count = count};
	return err;
}

static enum err serials_get(struct http_request *request, struct err_info *info)
{
	struct serial serial;
	struct batch_row batch;
	const char *text = http_path_text(request, "serial");
	enum err err = value_at_least(request, info);
	if (!err)
		err = serial_parse(text, &serial, info);
	if (!err)
		err = batch_of(request, &serial, &batch, info);
	if (err)
		return err;
	struct serial_answer answer = {.serial = text,
		.kg = serial.range.length,
		.batch = batch.batch,
		.vintage = batch.vintage,
		.country = batch.country,
		.unit = batch.unit_code,
		.methodology = batch.methodology,
		.kind = batch.kind,
		.durability = batch.durability,
		.suspended = batch.held || batch.disputes > 0,
		.issuance_id = batch.issuance_id,
		.evidence_root = batch.evidence_root,
		.period_id = batch.period_id};
	err = parts_fill(request, &batch, &serial.range, &answer, info);
	return err ? err : http_answer_row(request, serial_fields, &answer, -1);
}

const struct http_route api_serials_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/serials/{serial}", "public", .kind = HTTP_WORK, .flags = HTTP_PUBLIC | HTTP_AT_LEAST,
		.cost = 2, .response = serial_fields, .success = 200, .errors = serial_errors, .handler = serials_get,
		.operation = "serials.get",
		.doc = "What a serial number is of and where its kilograms are, for everybody"),
	{.path = NULL}};
