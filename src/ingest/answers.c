/* An operator's answers to a refused item: re-drive it through the decoder and the readings log, or discard it. The order is
 * recorded in the audit log first, then carried out: an order whose record cannot be written is not carried out. Worker
 * threads. */
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "ingest_parts.h"

static enum err load(
	struct ingest *ingest, struct quarantined *row, int64_t expect, struct arena *arena, struct err_info *info)
{
	struct id id = row->id;
	enum err err;
	field_clear(quarantined_fields, row);
	row->id = id;
	err = store_get(ingest->store, &quarantine_collection, row, arena, info);
	if (err)
		return err;
	if (expect != FIELD_ABSENT && expect != row->version)
		return err_set(info, ERR_CONDITION_FAILED, NULL, "the row is at version %lld", (long long)row->version);
	if (row->state != QUARANTINE_OPEN)
		return err_set(
			info, ERR_CONDITION_FAILED, "/state", "the item is already %s", quarantine_states[row->state]);
	return ERR_OK;
}

/* The raw text with today's configuration. Ages are judged by when the item came. */
static enum err decode_again(
	struct ingest *ingest, const struct quarantined *row, struct reading_batch *batch, struct err_info *info)
{
	const struct directory *directory = sensing_directory_ref(ingest->sensing);
	const struct id none = {{0}};
	char unit[ID_TEXT_SIZE], org[ID_TEXT_SIZE];
	struct payload_source source = {.source = row->source,
		.org_id = row->org_id,
		.now_us = clock_wall_us(),
		.received_us = row->received_us};
	/* an unknown capture unit is named by the topic, or by the text itself */
	if (!id_equal(row->unit_id, none)) {
		source.unit = id_text(row->unit_id, unit);
		source.org = id_text(row->org_id, org);
	} else if (!ingest_topic_parts(row->source, batch->arena, &source.org, &source.unit)) {
		source.org = source.unit = NULL;
	}
	enum err err = payload_decode(directory, &source, NULL, row->raw, strlen(row->raw), batch, info);
	sensing_directory_unref(&directory);
	if (err == ERR_INVALID_JSON || err == ERR_TOO_DEEP || err == ERR_TOO_LARGE || err == ERR_MISSING_FIELD)
		return err_set(info, ERR_INVALID_FIELD, "/raw", "the text cannot be decoded again; discard it");
	if (!err && batch->quarantined_count > 0)
		return err_set(info, ERR_INVALID_FIELD, "/raw", "still refused, %s: %s",
			quarantine_reasons[batch->quarantined[0].reason], batch->quarantined[0].detail);
	return err;
}

enum err ingest_redrive(struct ingest *ingest, const struct audit_actor *actor, struct quarantined *row, int64_t expect,
	int64_t deadline_us, struct arena *arena, struct err_info *info)
{
	struct ingest_batch *batch = ingest_batch_new(false);
	struct runtime_reply *reply = NULL;
	enum err err;
	if (!batch)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the item");
	/* row and change live in the batch: after a deadline it outlives this call */
	struct quarantined *answered = ARENA_NEW(batch->batch.arena, struct quarantined);
	struct store_change *change = ARENA_NEW(batch->batch.arena, struct store_change);
	struct quarantined *stored = ARENA_NEW(batch->batch.arena, struct quarantined);
	err = answered && change && stored ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the item");
	if (err)
		goto out;
	stored->id = row->id;
	err = load(ingest, stored, expect, batch->batch.arena, info);
	if (!err)
		err = load(ingest, row, expect, arena, info);
	if (!err)
		err = decode_again(ingest, stored, &batch->batch, info);
	if (err)
		goto out;
	*answered = *stored;
	answered->state = QUARANTINE_REDRIVEN;
	answered->version++;
	answered->closed_us = clock_wall_us();
	err = sensing_quarantine_record(ingest->sensing, actor, stored, answered, info);
	if (err)
		goto out;
	*change = (struct store_change){.collection = &quarantine_collection,
		.row = answered,
		.verb = STORE_PUT,
		.condition = STORE_EQUALS,
		.field = "version",
		.value = stored->version};
	batch->changes = change;
	batch->change_count = 1;
	reply = reply_new(deadline_us, NULL, NULL);
	if (!reply) {
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the item");
		goto out;
	}
	row->state = QUARANTINE_REDRIVEN;
	row->version = answered->version;
	row->closed_us = answered->closed_us;
	err = ingest_submit(ingest, &batch, reply);
	err = reply_wait(reply, info);
out:
	reply_unref(&reply);
	ingest_batch_free(&batch);
	return err;
}

enum err ingest_discard(struct ingest *ingest, const struct audit_actor *actor, struct quarantined *row, int64_t expect,
	struct arena *arena, struct err_info *info)
{
	struct quarantined answered;
	enum err err = load(ingest, row, expect, arena, info);
	if (err)
		return err;
	answered = *row;
	answered.state = QUARANTINE_DISCARDED;
	answered.version++;
	answered.closed_us = clock_wall_us();
	err = sensing_quarantine_record(ingest->sensing, actor, row, &answered, info);
	if (err)
		return err;
	const struct store_change change = {.collection = &quarantine_collection,
		.row = &answered,
		.verb = STORE_PUT,
		.condition = STORE_EQUALS,
		.field = "version",
		.value = row->version};
	err = store_write(ingest->store, &change, 1, NULL, info);
	if (!err)
		*row = answered;
	return err;
}
