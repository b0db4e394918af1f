/* Which (boot, seq) of a device are durable: the receipt moves on only without a gap, because a device forgets what lies
 * below it. Runs on the readings writer. */
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "receipts.h"

#define REMEMBERED 1024 /* devices whose receipt is not read again for each batch; direct-mapped */
#define KEPT_US    (30 * CLOCK_US_PER_DAY)

const struct field receipt_fields[] = {
	FIELD(struct receipt, org_id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "Organisation"),
	FIELD(struct receipt, unit_id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "Capture unit"),
	FIELD(struct receipt, boot, FIELD_TEXT, .flags = FIELD_READ_ONLY, .min = 1, .max = LIMIT_DEVICE_BOOT_BYTES,
		.doc = "The device's start-up id"),
	FIELD(struct receipt, seq, FIELD_INT, .flags = FIELD_READ_ONLY, .min = 0, .max = LIMIT_JSON_INTEGER,
		.doc = "Everything from 1 to this number is durable: the device may forget it"),
	FIELD(struct receipt, highest_seq, FIELD_INT, .flags = FIELD_READ_ONLY, .min = 0, .max = LIMIT_JSON_INTEGER,
		.doc = "The highest number that came; above seq: send again from seq + 1"),
	FIELD_AS(struct receipt, received_us, "received_at", FIELD_TIME, .flags = FIELD_READ_ONLY,
		.doc = "When the last one came"),
	FIELD_END,
};

static const struct store_index receipt_indexes[] = {
	{.name = "by_org", .fields = {"org_id", "unit_id", "received_at"}},
	{0},
};

const struct store_collection receipts_collection = {
	.name = "receipts",
	.class = STORE_READINGS,
	.fields = receipt_fields,
	.row_size = sizeof(struct receipt),
	.key = {"unit_id", "boot"},
	.indexes = receipt_indexes,
	.retention_field = "received_at",
	.retention_us = KEPT_US,
	.shard_key = "org_id",
	.doc = "How far each device's own numbering is durable",
};

const struct store_collection *const ingest_collections[] = {&receipts_collection, NULL};

struct remembered {
	struct receipt row;
	char boot[LIMIT_DEVICE_BOOT_BYTES + 1];
};

struct receipts {
	enum err (*find)(void *context, struct receipt *row, struct arena *arena, struct err_info *info);
	void *context;
	struct remembered slots[REMEMBERED];
};

struct receipts *receipts_new(
	enum err (*find)(void *context, struct receipt *row, struct arena *arena, struct err_info *info), void *context)
{
	struct receipts *receipts = calloc(1, sizeof *receipts);
	if (receipts) {
		receipts->find = find;
		receipts->context = context;
	}
	return receipts;
}

void receipts_free(struct receipts **receipts)
{
	free(*receipts);
	*receipts = NULL;
}

static struct remembered *slot_of(struct receipts *receipts, struct id unit, const char *boot)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < sizeof unit.bytes; i++)
		hash = (hash ^ unit.bytes[i]) * 16777619u;
	for (const char *c = boot; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	return &receipts->slots[(hash ^ hash >> 16) % REMEMBERED];
}

static bool is_of(const struct receipt *row, struct id unit, const char *boot)
{
	return row->boot && id_equal(row->unit_id, unit) && strcmp(row->boot, boot) == 0;
}

static enum err known(struct receipts *receipts, const struct reading_receipt *came, struct arena *arena,
	struct receipt *ret_row, struct err_info *info)
{
	const struct remembered *slot = slot_of(receipts, came->unit_id, came->boot);
	enum err err;
	if (is_of(&slot->row, came->unit_id, came->boot)) {
		*ret_row = slot->row;
		ret_row->boot = came->boot; /* the slot may be reused before the write */
		return ERR_OK;
	}
	field_clear(receipt_fields, ret_row);
	ret_row->unit_id = came->unit_id;
	ret_row->boot = came->boot;
	err = receipts->find(receipts->context, ret_row, arena, info);
	if (err != ERR_NOT_FOUND)
		return err;
	*ret_row = (struct receipt){.org_id = came->org_id, .unit_id = came->unit_id, .boot = came->boot};
	return ERR_OK;
}

enum err receipts_changes(struct receipts *receipts, const struct reading_receipt *came, size_t count, int64_t now_us,
	struct arena *arena, struct store_change **ret_changes, size_t *ret_count, struct err_info *info)
{
	struct receipt *rows = ARENA_ARRAY(arena, struct receipt, count ? count : 1);
	struct store_change *changes = ARENA_ARRAY(arena, struct store_change, count ? count : 1);
	size_t devices = 0;
	*ret_changes = changes;
	*ret_count = 0;
	if (!rows || !changes)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the receipts");
	for (size_t i = 0; i < count; i++) {
		size_t d = devices; /* a device's items mostly follow each other */
		while (d > 0 && !is_of(&rows[d - 1], came[i].unit_id, came[i].boot))
			d--;
		if (d == 0) {
			enum err err = known(receipts, &came[i], arena, &rows[devices], info);
			if (err)
				return err;
			rows[devices].received_us = now_us;
			changes[devices] = (struct store_change){.collection = &receipts_collection,
				.row = &rows[devices],
				.verb = STORE_PUT,
				.condition = STORE_ALWAYS};
			d = ++devices;
		}
		struct receipt *row = &rows[d - 1];
		if (came[i].seq == row->seq + 1)
			row->seq++;
		if (came[i].seq > row->highest_seq)
			row->highest_seq = came[i].seq;
	}
	*ret_count = devices;
	return ERR_OK;
}

void receipts_written(struct receipts *receipts, const struct store_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct receipt *row = changes[i].row;
		struct remembered *slot = slot_of(receipts, row->unit_id, row->boot);
		slot->row = *row;
		strncpy(slot->boot, row->boot, LIMIT_DEVICE_BOOT_BYTES);
		slot->boot[LIMIT_DEVICE_BOOT_BYTES] = '\0';
		slot->row.boot = slot->boot;
	}
}
