/* The trust chain of a serial: every event that made it and moved it, as the journal has them, with the signatures among them and the
 * proofs that lead to a signed checkpoint, so that `carbonctl verify --chain` can check it without us. Workers. */
#include <stdlib.h>
#include <string.h>

#include "carbond/audit.h"
#include "carbond/base/clock.h"
#include "carbond/registry.h"

#include "certificates.h"
#include "value.h"

#define LINKS_MAX    500 /* events of one chain; beyond, it says that it is not complete */
#define RECORD_BYTES (512u << 10)
#define ROWS_READ    1000

static const enum err chain_errors[] = {ERR_SERIAL_INVALID, ERR_NOT_FOUND, ERR_OK};

/* What the answer says, for the reference; the handler prints it. */
struct chain_event_shape {
	int64_t position;
	const char *event;
	int64_t time;
	const char *record;
	json_t *proof, *json;
};
static const struct field chain_event_fields[] = {
	FIELD(struct chain_event_shape, position, FIELD_INT,
		.doc = "Position in the journal: leaf position − 1 of its tree"),
	FIELD(struct chain_event_shape, event, FIELD_TEXT, .doc = "What happened"),
	FIELD(struct chain_event_shape, time, FIELD_TIME, .doc = "When"),
	FIELD(struct chain_event_shape, record, FIELD_TEXT,
		.doc = "The record's bytes, base64url: what the tree's leaf is of"),
	FIELD(struct chain_event_shape, proof, FIELD_JSON,
		.doc = "Hashes of the inclusion proof, hex; left out where the checkpoint is older than the event"),
	FIELD(struct chain_event_shape, json, FIELD_JSON, .doc = "The same record for readers"), FIELD_END};

struct chain_shape {
	const char *format, *stream;
	struct id registry;
	const char *serial;
	bool complete;
	int64_t tree_size;
	json_t *checkpoint;
	struct field_list events;
};
static const struct field chain_fields[] = {
	FIELD(struct chain_shape, format, FIELD_TEXT, .doc = "carbond/trust-chain/1"),
	FIELD(struct chain_shape, stream, FIELD_TEXT, .doc = "The log that the events are in"),
	FIELD(struct chain_shape, registry, FIELD_ID, .doc = "The registry's id, part of every issuance id"),
	FIELD(struct chain_shape, serial, FIELD_TEXT, .doc = "The serial number"),
	FIELD(struct chain_shape, complete, FIELD_BOOL, .doc = "False: there are more events than one answer has"),
	FIELD(struct chain_shape, tree_size, FIELD_INT, .doc = "Leaves of the log's tree in the checkpoint"),
	FIELD(struct chain_shape, checkpoint, FIELD_JSON,
		.doc = "The newest signed checkpoint; left out: there is none"),
	FIELD(struct chain_shape, events, FIELD_LIST, .table = chain_event_fields,
		.item_size = sizeof(struct chain_event_shape), .max = LINKS_MAX, .doc = "By position"),
	FIELD_END};

struct chain {
	struct http_request *request;
	struct serial_range range;
	int64_t positions[LINKS_MAX];
	size_t count;
	bool complete;
	json_t *events;
	int64_t tree_size;
	uint8_t *record;
};

/* ---- which events ---- */

static void position_add(struct chain *chain, int64_t position)
{
	for (size_t i = 0; i < chain->count; i++)
		if (chain->positions[i] == position)
			return;
	if (position == FIELD_ABSENT || chain->count == LINKS_MAX) {
		chain->complete = false;
		return;
	}
	chain->positions[chain->count++] = position;
}

static int position_compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

/* Submission and signatures, and whose keys they are of. */
static enum err period_collect(struct chain *chain, struct id id, struct err_info *info)
{
	struct store *store = api_of(chain->request)->store;
	struct arena *arena = http_arena(chain->request);
	struct registry_period period;
	field_clear(registry_period_fields, &period);
	period.id = id;
	if (id_is_none(id))
		return ERR_OK;
	enum err err = store_get(store, &registry_periods_collection, &period, arena, info);
	if (err)
		return err;
	position_add(chain, period.submitted_position);
	for (size_t i = 0; i < period.attestations.count && !err; i++) {
		const struct registry_attestation *given =
			&((const struct registry_attestation *)period.attestations.items)[i];
		struct verifier_row verifier;
		field_clear(verifier_fields, &verifier);
		verifier.id = given->verifier_id;
		position_add(chain, given->position);
		err = store_get(store, &verifiers_collection, &verifier, arena, info);
		if (err)
			break;
		position_add(chain, verifier.registered_position);
		if (verifier.revoked_position != FIELD_ABSENT)
			position_add(chain, verifier.revoked_position);
	}
	return err;
}

static enum err batch_collect(struct chain *chain, struct err_info *info)
{
	struct batch_event_row low, *rows = NULL;
	size_t count = ROWS_READ;
	int64_t end = chain->range.start + chain->range.length;
	field_clear(batch_event_fields, &low);
	low.batch = (int64_t)chain->range.batch;
	struct store_query query = {
		.collection = &batch_events_collection, .low = &low, .prefix = 1, .most = ROWS_READ};
	enum err err = ERR_OK;
	while (!err && count == ROWS_READ && chain->complete) {
		err = store_find(api_of(chain->request)->store, &query, http_arena(chain->request), (void **)&rows,
			&count, info);
		for (size_t i = 0; i < count && !err; i++)
			if (rows[i].low < end && rows[i].high > chain->range.start)
				position_add(chain, rows[i].position);
		query.after = count ? &rows[count - 1] : NULL;
	}
	return err;
}

/* ---- what they say ---- */

struct reading {
	struct chain *chain;
	int64_t position;
	struct event event;
	size_t size;
	bool found, overlaps;
	json_t *json;
};

static enum err record_take(void *context, const struct event *event)
{
	struct reading *reading = context;
	const struct serial_range *wanted = &reading->chain->range;
	struct event copy = *event;
	if ((int64_t)event->header.number != reading->position)
		return ERR_NOT_FOUND;
	reading->overlaps = event->lists.range_count == 0 || event->header.type == EVENT_BATCH_REVERSED;
	for (size_t i = 0; i < event->lists.range_count; i++) {
		const struct serial_range *range = &event->lists.ranges[i];
		reading->overlaps = reading->overlaps ||
				    (range->batch == wanted->batch && range->start < wanted->start + wanted->length &&
					    range->start + range->length > wanted->start);
	}
	enum err err = event_encode(&copy, reading->chain->record, RECORD_BYTES, &reading->size);
	reading->event = copy;
	reading->json = err ? NULL : event_json(event);
	reading->found = !err;
	return err ? err : ERR_DEADLINE; /* any code ends the reading */
}

static enum err proof_of(struct chain *chain, int64_t position, json_t **ret_proof, struct err_info *info)
{
	struct merkle_proof proof;
	struct hash root;
	char text[HASH_TEXT_SIZE];
	*ret_proof = NULL;
	if (position > chain->tree_size)
		return ERR_OK;
	enum err err = audit_inclusion(api_of(chain->request)->audit, ENGINE_STREAM, (uint64_t)position - 1,
		(uint64_t)chain->tree_size, &proof, &root, info);
	json_t *list = err ? NULL : json_array();
	for (size_t i = 0; list && i < proof.count; i++)
		if (json_array_append_new(list, json_string(hash_text(proof.hashes[i], text))) != 0)
			json_array_clear(list);
	*ret_proof = list;
	return err;
}

static enum err event_add(struct chain *chain, int64_t position, struct err_info *info)
{
	struct reading reading = {.chain = chain, .position = position};
	struct err_info fault = {0};
	json_t *proof = NULL;
	enum err err = engine_journal_read(api_of(chain->request)->store, position, record_take, &reading, &fault);
	if (!reading.found)
		return err_set(info, err ? err : ERR_NOT_FOUND, NULL, "the journal's record %lld cannot be read",
			(long long)position);
	if (!reading.overlaps) { /* it lies between serials that the event is about */
		json_decref(reading.json);
		return ERR_OK;
	}
	err = proof_of(chain, position, &proof, info);
	char *text = err ? NULL : arena_alloc(http_arena(chain->request), reading.size * 4 / 3 + 5);
	char time[CLOCK_TEXT_SIZE];
	json_t *item =
		text ? json_pack("{s:I, s:s, s:s, s:s, s:o*, s:o*}", "position", (json_int_t)position, "event",
			       event_type_name(reading.event.header.type), "time",
			       clock_text(reading.event.header.time_us, time), "record",
			       base64url_text(chain->record, reading.size, text), "proof", proof, "json", reading.json)
		     : NULL;
	if (!text) {
		json_decref(reading.json);
		json_decref(proof);
	}
	if (!item && !err)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the chain");
	if (!err && json_array_append_new(chain->events, item) != 0)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the chain");
	return err;
}

/* ---- the checkpoint ---- */

/* One that reaches the last event, else the newest, else none. */
static enum err checkpoint_find(struct chain *chain, json_t **ret_checkpoint, struct err_info *info)
{
	struct audit *audit = api_of(chain->request)->audit;
	struct arena *arena = http_arena(chain->request);
	struct err_info fault = {0};
	char *text = NULL;
	int64_t last = chain->count ? chain->positions[chain->count - 1] : 0;
	*ret_checkpoint = NULL;
	enum err err = audit_checkpoint_text(audit, ENGINE_STREAM, (uint64_t)last, arena, &text, &fault);
	if (err == ERR_NOT_FOUND)
		err = audit_checkpoint_text(audit, NULL, 0, arena, &text, &fault);
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (!err)
		err = document_parse(arena, text, strlen(text), ret_checkpoint, &fault);
	if (err)
		return err_set(info, err, fault.pointer, "%s", fault.detail);
	chain->tree_size = audit_checkpoint_reach(*ret_checkpoint, ENGINE_STREAM);
	return ERR_OK;
}

/* ---- the answer ---- */

static enum err batch_of(struct chain *chain, const char *text, struct id *ret_period, struct err_info *info)
{
	struct serial serial;
	struct batch_row batch;
	const char *whole = NULL;
	enum err err = serial_parse(text, &serial, info);
	if (err)
		return err;
	field_clear(batch_fields, &batch);
	batch.batch = (int64_t)serial.range.batch;
	err = store_get(api_of(chain->request)->store, &batches_collection, &batch, http_arena(chain->request), info);
	if (!err)
		err = certificate_serial(
			http_arena(chain->request), &batch, serial.range.start, serial.range.length, &whole, info);
	if (!err && (serial.range.start > batch.kg - serial.range.length || strcmp(whole, text) != 0))
		err = err_set(info, ERR_NOT_FOUND, NULL, "no batch has this serial number");
	chain->range = serial.range;
	*ret_period = batch.period_id;
	return err;
}

static enum err chain_make(struct chain *chain, const char *serial, json_t **ret_document, struct err_info *info)
{
	struct id period;
	json_t *checkpoint = NULL;
	char registry[ID_TEXT_SIZE];
	enum err err = batch_of(chain, serial, &period, info);
	if (!err)
		err = period_collect(chain, period, info);
	if (!err)
		err = batch_collect(chain, info);
	if (err)
		return err;
	qsort(chain->positions, chain->count, sizeof *chain->positions, position_compare);
	err = checkpoint_find(chain, &checkpoint, info);
	for (size_t i = 0; i < chain->count && !err; i++)
		err = event_add(chain, chain->positions[i], info);
	if (err)
		return err;
	*ret_document = json_pack("{s:s, s:s, s:s, s:s, s:b, s:O*, s:O}", "format", "carbond/trust-chain/1", "stream",
		ENGINE_STREAM, "registry", id_text(api_of(chain->request)->registry, registry), "serial", serial,
		"complete", (int)chain->complete, "checkpoint", checkpoint, "events", chain->events);
	if (*ret_document && chain->tree_size > 0)
		json_object_set_new(*ret_document, "tree_size", json_integer(chain->tree_size));
	return *ret_document ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the chain");
}

static enum err trust_chain_get(struct http_request *request, struct err_info *info)
{
	struct chain chain = {.request = request, .complete = true};
	json_t *document = NULL;
	enum err err = value_at_least(request, info);
	if (err)
		return err;
	chain.events = json_array();
	chain.record = malloc(RECORD_BYTES);
	err = chain.events && chain.record ? chain_make(&chain, http_path_text(request, "serial"), &document, info)
					   : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the chain");
	free(chain.record);
	json_decref(chain.events);
	return err ? err : http_answer_json(request, document);
}

const struct http_route api_trust_chain_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/serials/{serial}/trust-chain", "batch:read", .kind = HTTP_WORK,
		.flags = HTTP_AT_LEAST, .cost = 20, .response = chain_fields, .success = 200, .errors = chain_errors,
		.handler = trust_chain_get, .operation = "serials.trust-chain",
		.doc = "Every event and signature that made a serial, with proofs, for carbonctl verify --chain"),
	{.path = NULL}};
