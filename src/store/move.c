/* Decides how a whole store comes to another place, on the same or another back end, and when both hold the same: positions, hashes
 * and sealed members stay as they are, so nothing forks; views are left out and rebuilt. The calling thread.
 *
 * The mark in the target names the heads of all logs of the source. A move that was interrupted goes on behind what the target
 * has of each log, and puts all rows again. It has ended when a second reading of both places gave the same digests: of each log
 * over its batches with their guard keys and payloads, of each collection over its rows, in whatever order they come. */
#include <string.h>

#include "backup_parts.h"
#include "carbond/base/clock.h"

/* Rows that may go within a day are moved, and not compared: either place may let them go in between. */
#define RETENTION_MARGIN_US (INT64_C(86400) * CLOCK_US_PER_SECOND)

static enum err no_memory(struct err_info *info)
{
	return err_set(info, ERR_NO_MEMORY, NULL, "no memory to move the store");
}

/* ---- what a store holds, as digests ---- */

struct log_digest {
	enum store_class class;
	char stream[STORE_STREAM_SIZE];
	uint64_t seq;
	struct hash head;
	struct sha256 state;
	struct hash sum;
};

/* Sums of the rows' hashes as four numbers: whatever order they come in. */
struct rows_digest {
	int64_t count;
	uint64_t sums[4];
};

struct digest {
	struct store *store;
	enum store_class class; /* at hand */
	int64_t compared_until_us;
	struct log_digest *logs;
	size_t log_count, log_capacity;
	struct rows_digest *rows; /* one a table of the store */
	int64_t batches, row_count, bytes;
};

static enum err digest_begin(struct digest *digest, struct store *store, int64_t now_us, struct err_info *info)
{
	*digest = (struct digest){.store = store, .compared_until_us = now_us + RETENTION_MARGIN_US};
	digest->rows = calloc(store->tables.count + 1, sizeof digest->rows[0]);
	return digest->rows ? ERR_OK : no_memory(info);
}

static void digest_free(struct digest *digest)
{
	free(digest->logs);
	free(digest->rows);
}

static enum err log_of(struct digest *digest, const char *stream, struct log_digest **ret_log, struct err_info *info)
{
	for (size_t i = digest->log_count; i-- > 0;) { /* the last one, but for the first batch of another */
		*ret_log = &digest->logs[i];
		if ((*ret_log)->class == digest->class && strcmp((*ret_log)->stream, stream) == 0)
			return ERR_OK;
	}
	if (digest->log_count == digest->log_capacity) {
		size_t capacity = digest->log_capacity ? 2 * digest->log_capacity : 16;
		struct log_digest *wider = realloc(digest->logs, capacity * sizeof wider[0]);
		if (!wider)
			return no_memory(info);
		digest->logs = wider;
		digest->log_capacity = capacity;
	}
	struct log_digest *log = &digest->logs[digest->log_count++];
	*log = (struct log_digest){.class = digest->class};
	memcpy(log->stream, stream, strlen(stream) + 1);
	sha256_start(&log->state, NULL);
	*ret_log = log;
	return ERR_OK;
}

static enum err check_link(const struct log_digest *log, const struct store_batch *batch, struct err_info *info)
{
	const char *fault = store_batch_fault(batch, log->seq + 1, &log->head);
	return fault ? err_set(info, ERR_STORE_CORRUPT, NULL, "log %s: batch %llu %s", log->stream,
			       (unsigned long long)log->seq + 1, fault)
		     : ERR_OK;
}

static enum err digest_batch(void *context, const struct store_batch *batch, const struct store_guard *guards,
	size_t guard_count, struct err_info *info)
{
	struct digest *digest = context;
	struct log_digest *log = NULL;
	bool pruned = !batch->payload;
	if (strcmp(batch->stream, STORE_RESTORE_STREAM) == 0)
		return ERR_OK; /* says how this store came about */
	enum err err = log_of(digest, batch->stream, &log, info);
	if (!err)
		err = check_link(log, batch, info);
	if (err)
		return err;
	log->seq = batch->seq;
	log->head = batch->hash;
	sha256_add(&log->state, &batch->hash, sizeof batch->hash);
	sha256_add(&log->state, &pruned, sizeof pruned);
	for (size_t i = 0; i < guard_count; i++) {
		sha256_add(&log->state, &guards[i].size, sizeof guards[i].size);
		sha256_add(&log->state, guards[i].key, guards[i].size);
	}
	digest->batches++;
	digest->bytes += (int64_t)batch->payload_size;
	return ERR_OK;
}

static bool may_go(const struct digest *digest, const struct store_table *table, const struct store_value *values)
{
	if (table->retention_column == SIZE_MAX || values[table->retention_column].kind != VALUE_INTEGER)
		return false;
	int64_t at_us = values[table->retention_column].integer, kept_us = table->collection->retention_us;
	return at_us < digest->compared_until_us - kept_us;
}

static enum err digest_row(
	void *context, const struct store_table *table, const struct store_value *values, struct err_info *info)
{
	struct digest *digest = context;
	struct sha256 state;
	(void)info;
	digest->row_count++;
	if (may_go(digest, table, values))
		return ERR_OK;
	sha256_start(&state, NULL);
	for (size_t i = 0; i < table->column_count; i++) {
		const struct store_value *value = &values[i];
		sha256_add(&state, &value->kind, sizeof value->kind);
		if (value->kind == VALUE_INTEGER)
			sha256_add(&state, &value->integer, sizeof value->integer);
		else if (value->kind == VALUE_REAL)
			sha256_add(&state, &value->real, sizeof value->real);
		else if (value->kind != VALUE_NULL) {
			sha256_add(&state, &value->size, sizeof value->size);
			sha256_add(&state, value->size ? value->data : "", value->size);
			digest->bytes += (int64_t)value->size;
		}
	}
	struct hash hash = sha256_end(&state);
	struct rows_digest *rows = &digest->rows[table->number];
	rows->count++;
	for (size_t i = 0; i < 4; i++) {
		uint64_t part;
		memcpy(&part, hash.bytes + 8 * i, sizeof part);
		rows->sums[i] += part;
	}
	return ERR_OK;
}

static uint64_t from_first(void *context, const char *stream)
{
	(void)context;
	(void)stream;
	return 1;
}

/* Reads all of it, checking every hash. */
static enum err digest_store(struct digest *digest, struct err_info *info)
{
	struct store_visitor visitor = {
		.from_seq = from_first, .batch = digest_batch, .row = digest_row, .context = digest};
	enum err err = ERR_OK;
	for (int class = 0; class < STORE_CLASS_COUNT && !err; class ++) {
		digest->class = (enum store_class) class;
		if (backup_class_names[class])
			err = digest->store->engine->visit(digest->store->back, digest->class, &visitor, info);
	}
	for (size_t i = 0; i < digest->log_count && !err; i++)
		digest->logs[i].sum = sha256_end(&digest->logs[i].state);
	return err;
}

static enum err compare_logs(const struct digest *from, struct digest *to, struct err_info *info)
{
	for (size_t i = 0; i < from->log_count; i++) {
		const struct log_digest *source = &from->logs[i], *target = NULL;
		for (size_t j = 0; j < to->log_count && !target; j++)
			if (to->logs[j].class == source->class && strcmp(to->logs[j].stream, source->stream) == 0)
				target = &to->logs[j];
		if (!target || target->seq != source->seq || !hash_equal(target->sum, source->sum))
			return err_set(info, ERR_STORE_CORRUPT, NULL,
				"log %s differs after the move: %llu batches there, %llu here", source->stream,
				(unsigned long long)source->seq, target ? (unsigned long long)target->seq : 0);
	}
	return from->log_count == to->log_count
		       ? ERR_OK
		       : err_set(info, ERR_STORE_CORRUPT, NULL, "there are more logs after the move than before it");
}

/* Both were opened with the same collections, so that their tables have the same numbers. */
static enum err compare(const struct digest *from, struct digest *to, struct err_info *info)
{
	enum err err = compare_logs(from, to, info);
	for (size_t i = 0; i < from->store->tables.count && !err; i++)
		if (from->rows[i].count != to->rows[i].count ||
			memcmp(from->rows[i].sums, to->rows[i].sums, sizeof from->rows[i].sums) != 0)
			err = err_set(info, ERR_STORE_CORRUPT, NULL,
				"collection %s differs after the move: %lld rows there, %lld here",
				from->store->tables.items[i].collection->name, (long long)from->rows[i].count,
				(long long)to->rows[i].count);
	return err;
}

/* ---- copying ---- */

struct mover {
	struct gathered gathered;
	struct err_info fault; /* of from_seq, which cannot fail */
	enum err err;
};

static uint64_t from_seq(void *context, const char *stream)
{
	struct mover *mover = context;
	struct store_batch head = {.seq = 0};
	if (!mover->err)
		mover->err = store_log_head(mover->gathered.store, mover->gathered.class, stream, &head, &mover->fault);
	return head.seq + 1;
}

static enum err move_batch(void *context, const struct store_batch *batch, const struct store_guard *guards,
	size_t guard_count, struct err_info *info)
{
	struct mover *mover = context;
	if (mover->err) {
		*info = mover->fault;
		return mover->err;
	}
	return strcmp(batch->stream, STORE_RESTORE_STREAM) == 0
		       ? ERR_OK
		       : gather_batch(&mover->gathered, batch, guards, guard_count, info);
}

static enum err move_row(
	void *context, const struct store_table *table, const struct store_value *values, struct err_info *info)
{
	struct mover *mover = context;
	const struct store_table *there = &mover->gathered.store->tables.items[table->number];
	return gather_row(&mover->gathered, there, values, info);
}

static enum err copy(struct store *from, struct store *to, struct err_info *info)
{
	struct mover *mover = calloc(1, sizeof *mover);
	if (!mover)
		return no_memory(info);
	struct store_visitor visitor = {.from_seq = from_seq, .batch = move_batch, .row = move_row, .context = mover};
	enum err err = gather_begin(&mover->gathered, to, info);
	for (int class = 0; class < STORE_CLASS_COUNT && !err; class ++) {
		mover->gathered.class = (enum store_class) class;
		if (!backup_class_names[class])
			continue;
		err = from->engine->visit(from->back, mover->gathered.class, &visitor, info);
		if (!err)
			err = gather_flush(&mover->gathered, info);
	}
	gather_free(&mover->gathered);
	free(mover);
	return err;
}

/* ---- the move ---- */

/* The heads of all logs name a history; an empty store has none. */
static struct mark mark_of(const struct digest *digest)
{
	struct mark mark = {.kept_seq = 0};
	struct sha256 state;
	sha256_start(&state, "carbond/move/1");
	for (size_t i = 0; i < digest->log_count; i++) {
		const struct log_digest *log = &digest->logs[i];
		sha256_add(&state, &log->class, sizeof log->class);
		sha256_add(&state, log->stream, strlen(log->stream) + 1);
		sha256_add(&state, &log->seq, sizeof log->seq);
		sha256_add(&state, &log->head, sizeof log->head);
	}
	mark.sum = sha256_end(&state);
	return mark;
}

/* `*ret_there`: it has all been moved before. */
static enum err begin(struct store *to, const struct mark *mark, bool *ret_there, struct err_info *info)
{
	enum mark_state state = MARK_NONE;
	bool empty = false;
	enum err err = mark_read(to, mark, &state, info);
	*ret_there = state == MARK_OURS_ENDED;
	if (err || state == MARK_OURS || state == MARK_OURS_ENDED)
		return err;
	if (state == MARK_OTHERS)
		return err_set(info, ERR_DUPLICATE, NULL,
			"a restore, or the move of another state of the data, was interrupted in the target: empty it "
			"first");
	err = gather_is_empty(to, &empty, info);
	if (!err && !empty)
		err = err_set(info, ERR_DUPLICATE, NULL, "the target holds data of its own: move into an empty place");
	return err ? err : mark_begin(to, mark, info);
}

static enum err run(struct store *from, struct store *to, struct digest *source, struct digest *target,
	struct store_move_report *ret_report, struct err_info *info)
{
	int64_t now_us = clock_wall_us();
	enum err err = digest_begin(source, from, now_us, info);
	if (!err)
		err = digest_begin(target, to, now_us, info);
	if (!err)
		err = digest_store(source, info);
	if (!err && source->log_count == 0)
		err = err_set(info, ERR_NOT_FOUND, NULL, "there is nothing to move: the source is empty");
	struct mark mark = mark_of(source);
	if (!err)
		err = begin(to, &mark, &ret_report->was_there, info);
	if (!err && !ret_report->was_there)
		err = copy(from, to, info);
	if (!err)
		err = digest_store(target, info);
	if (!err)
		err = compare(source, target, info);
	if (!err && !ret_report->was_there)
		err = mark_end(to, info);
	ret_report->logs = source->log_count;
	ret_report->batches = source->batches;
	ret_report->rows = source->row_count;
	ret_report->bytes = source->bytes;
	ret_report->sum = mark.sum;
	return err;
}

enum err store_move(const struct store_options *from, const struct store_options *to,
	struct store_move_report *ret_report, struct err_info *info)
{
	struct store *source = NULL, *target = NULL;
	struct digest digests[2] = {{.store = NULL}};
	*ret_report = (struct store_move_report){.logs = 0};
	if (strcmp(from->uri, to->uri) == 0)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "source and target are one place");
	enum err err = gather_open(from, &source, info);
	if (!err)
		err = store_check_filled(source, info);
	if (!err)
		err = gather_open(to, &target, info);
	if (!err)
		err = run(source, target, &digests[0], &digests[1], ret_report, info);
	digest_free(&digests[0]);
	digest_free(&digests[1]);
	store_close(&target);
	store_close(&source);
	return err;
}
