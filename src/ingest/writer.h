/* The readings writer: the one thread that appends to `readings.<node>`. What it calls down to is handed in, so that it can
 * be tried against a store that fails. */
#ifndef INGEST_WRITER_H
#define INGEST_WRITER_H

#include "carbond/ingest.h"
#include "receipts.h"

/* What the writer calls down to; on its thread, may block. */
struct writer_doors {
	enum err (*head)(void *context, const char *stream, struct store_batch *ret_head, struct err_info *info);
	enum err (*append)(void *context, const struct store_append *append, struct err_info *info);
	enum err (*feed)(void *context, const char *stream, uint64_t seq, const struct reading *readings, size_t count,
		int64_t deadline_us);
	/* As sensing_quarantine_changes and sensing_quarantine_written. */
	enum err (*quarantine)(void *context, struct quarantined *rows, size_t count, struct arena *arena,
		struct store_change **ret_changes, size_t *ret_count);
	void (*quarantined)(void *context, const struct quarantined *rows, size_t count, bool durable);
	enum err (*find_receipt)(void *context, struct receipt *row, struct arena *arena, struct err_info *info);
};

struct writer_options {
	const struct writer_doors *doors;
	void *doors_context;
	const char *node;
	bool shared; /* other nodes write receipts too: they are read again for each batch */
	size_t queue;
	void (*fatal)(void *context, enum err code, const char *detail);
	void *context;
};

struct writer;

enum err writer_start(
	const struct writer_options *options, struct writer **ret_writer, struct err_info *info) MUST_CHECK;
/* Writes what is queued, then joins. */
void writer_stop(struct writer **writer);

/* As ingest_submit; waits for room in the queue until `deadline_us` (monotonic, 0: not at all). */
enum err writer_submit(struct writer *writer, struct ingest_batch **batch, struct runtime_reply *reply,
	int64_t deadline_us) MUST_CHECK;

/* ingest_batch_free as a reply's release. */
void ingest_batch_release(void *batch);

/* ERR_OK, or why nothing can be written any more. Any thread. */
enum err writer_fault(const struct writer *writer);

#endif
