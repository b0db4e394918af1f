/* Receipts: how far each device's numbering is durable without a gap. The writer's thread. */
#ifndef INGEST_RECEIPTS_H
#define INGEST_RECEIPTS_H

#include "carbond/ingest.h"

struct receipts;

/* `find` reads the stored row by its key (unit_id, boot) into the arena, or ERR_NOT_FOUND. NULL without memory. */
struct receipts *receipts_new(
	enum err (*find)(void *context, struct receipt *row, struct arena *arena, struct err_info *info),
	void *context);
void receipts_free(struct receipts **receipts);

/* The rows that follow from what came, as changes in the arena. Nothing is remembered before receipts_written. */
enum err receipts_changes(struct receipts *receipts, const struct reading_receipt *came, size_t count, int64_t now_us,
	struct arena *arena, struct store_change **ret_changes, size_t *ret_count, struct err_info *info) MUST_CHECK;
/* The changes are durable: what they say is remembered, so that the next batch need not read it. */
void receipts_written(struct receipts *receipts, const struct store_change *changes, size_t count);

#endif
