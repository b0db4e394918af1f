/* A decoded batch on its way to the writer: it owns its arena. Any thread, one at a time. */
#include "carbond/base/limits.h"
#include "writer.h"

struct ingest_batch *ingest_batch_new(bool want_verdicts)
{
	struct arena *arena = arena_new(LIMIT_BATCH_ARENA_BYTES);
	struct ingest_batch *batch = arena ? ARENA_NEW(arena, struct ingest_batch) : NULL;
	if (!batch) {
		arena_free(&arena);
		return NULL;
	}
	batch->batch.arena = arena;
	batch->batch.want_verdicts = want_verdicts;
	return batch;
}

void ingest_batch_free(struct ingest_batch **batch)
{
	struct arena *arena = *batch ? (*batch)->batch.arena : NULL;
	*batch = NULL;
	arena_free(&arena);
}

void ingest_batch_release(void *batch)
{
	struct ingest_batch *mine = batch;
	ingest_batch_free(&mine);
}
