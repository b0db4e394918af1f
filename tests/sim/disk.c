/* Decides what a process's writes leave on the disk: a back end of store in memory, which keeps what was synced apart from what
 * was only written, and fails as the table of faults says. It lives on when the process dies. */
#include "sim.h"

#include "carbond/base/seal.h"
#include "src/store/store_private.h"

#define SOME_BATCHES 100 /* fewer than a reader's part: store then starts no thread to read ahead */

struct row {
	struct store_value *values; /* one block; NULL: none */
};

struct rows {
	struct row *items; /* by key */
	size_t count, capacity;
};

struct stream {
	enum store_class class;
	char name[STORE_STREAM_SIZE];
	struct store_batch *batches;
	size_t count, capacity;
};

struct guard {
	size_t size;
	uint8_t key[STORE_GUARD_BYTES_MAX];
};

/* How to take back one write of what is not synced. */
struct undo_step {
	uint64_t transaction;
	enum { UNDO_ROW, UNDO_APPEND, UNDO_DELETE } what;
	const struct store_table *table;
	struct row old;       /* of the row */
	struct row key;       /* a copy of the row written, for its key; NULL with `old` */
	struct stream stream; /* deleted; or the name alone */
};

struct disk {
	struct faults *faults;
	struct disk_hooks hooks;
	bool dead, latched, full;
	const struct store_tables *tables; /* of the store that is open */
	struct rows *rows;
	size_t table_count;
	struct stream *streams;
	size_t stream_count, stream_capacity;
	struct guard *guards;
	size_t guard_count, guard_capacity;
	struct map guard_map;
	struct undo_step *undo;
	size_t undo_count, undo_capacity;
	uint64_t transaction;
};

static void *grown(void *items, size_t *capacity, size_t count, size_t size)
{
	if (count < *capacity)
		return items;
	*capacity = (*capacity + 16) * 2;
	items = realloc(items, *capacity * size);
	assert_true(items != NULL);
	return items;
}

static enum err fails(struct err_info *info, enum err err, const char *why)
{
	return err_set(info, err, NULL, "simulated: %s", why);
}

static enum err dies(struct disk *disk, struct err_info *info)
{
	disk->dead = true;
	return fails(info, ERR_STORE_LATCHED, "the machine has died");
}

static bool happens(struct disk *disk, enum fault fault)
{
	return !disk->dead && fault_happens(disk->faults, fault);
}

/* ---- rows ---- */

static struct row row_copy(const struct store_table *table, const struct store_value *values)
{
	size_t size = table->column_count * sizeof *values;
	for (size_t i = 0; i < table->column_count; i++)
		size += values[i].kind >= VALUE_TEXT ? values[i].size : 0;
	struct row row = {.values = malloc(size)};
	char *at = (char *)(row.values + table->column_count);
	memcpy(row.values, values, table->column_count * sizeof *values);
	for (size_t i = 0; i < table->column_count; i++)
		if (values[i].kind >= VALUE_TEXT) {
			memcpy(at, values[i].data, values[i].size);
			row.values[i].data = at;
			at += values[i].size;
		}
	return row;
}

static int values_compare(const struct store_value *a, const struct store_value *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == VALUE_NULL)
		return 0;
	if (a->kind == VALUE_INTEGER)
		return a->integer < b->integer ? -1 : a->integer > b->integer;
	if (a->kind == VALUE_REAL)
		return a->real < b->real ? -1 : a->real > b->real;
	int order = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);
	return order ? order : a->size < b->size ? -1 : a->size > b->size;
}

/* The place of the row with this key (values by column), or where it would be. */
static size_t place_of(
	const struct rows *rows, const struct store_table *table, const struct store_value *values, bool *ret_found)
{
	size_t low = 0, high = rows->count;
	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = 0;
		for (size_t i = 0; i < table->key_count && order == 0; i++)
			order = values_compare(&rows->items[middle].values[table->key[i]], &values[table->key[i]]);
		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct row row_take_out(struct rows *rows, size_t at)
{
	struct row old = rows->items[at];
	rows->count--;
	memmove(&rows->items[at], &rows->items[at + 1], (rows->count - at) * sizeof *rows->items);
	return old;
}

/* Takes the row over; what stood there is the caller's. */
static struct row row_put(struct disk *disk, const struct store_table *table, struct row row)
{
	struct rows *rows = &disk->rows[table->number];
	bool found;
	size_t at = place_of(rows, table, row.values, &found);
	struct row old = {0};
	if (found) {
		old = rows->items[at];
	} else {
		rows->items = grown(rows->items, &rows->capacity, rows->count, sizeof *rows->items);
		memmove(&rows->items[at + 1], &rows->items[at], (rows->count - at) * sizeof *rows->items);
		rows->count++;
	}
	rows->items[at] = row;
	return old;
}

/* ---- taking back ---- */

static struct undo_step *step_new(struct disk *disk)
{
	disk->undo = grown(disk->undo, &disk->undo_capacity, disk->undo_count, sizeof *disk->undo);
	struct undo_step *step = &disk->undo[disk->undo_count++];
	*step = (struct undo_step){.transaction = disk->transaction};
	return step;
}

static void step_free(struct undo_step *step)
{
	free(step->old.values);
	free(step->key.values);
	if (step->what != UNDO_DELETE)
		return;
	for (size_t i = 0; i < step->stream.count; i++)
		free((void *)(uintptr_t)step->stream.batches[i].payload);
	free(step->stream.batches);
}

/* All is synced. */
static void sync_views(struct disk *disk)
{
	while (disk->undo_count)
		step_free(&disk->undo[--disk->undo_count]);
}

/* ---- logs ---- */

static struct stream *stream_find(struct disk *disk, enum store_class class, const char *name)
{
	for (size_t i = 0; i < disk->stream_count; i++)
		if (disk->streams[i].class == class && strcmp(disk->streams[i].name, name) == 0)
			return &disk->streams[i];
	return NULL;
}

static struct stream *stream_add(struct disk *disk)
{
	disk->streams = grown(disk->streams, &disk->stream_capacity, disk->stream_count, sizeof *disk->streams);
	return &disk->streams[disk->stream_count++];
}

static struct stream stream_take_out(struct disk *disk, struct stream *stream)
{
	struct stream old = *stream;
	*stream = disk->streams[--disk->stream_count];
	return old;
}

static void batch_keep(struct disk *disk, const struct store_job *job)
{
	const struct store_batch *batch = job->batch;
	struct stream *stream = stream_find(disk, job->class, batch->stream);
	if (!stream) {
		stream = stream_add(disk);
		*stream = (struct stream){.class = job->class};
		snprintf(stream->name, sizeof stream->name, "%s", batch->stream);
	}
	stream->batches = grown(stream->batches, &stream->capacity, stream->count, sizeof *stream->batches);
	struct store_batch *kept = &stream->batches[stream->count++];
	uint8_t *payload = malloc(batch->payload_size + 1);
	memcpy(payload, batch->payload, batch->payload_size);
	*kept = *batch;
	kept->payload = payload;
}

static void stream_pop(struct disk *disk, struct stream *stream)
{
	free((void *)(uintptr_t)stream->batches[--stream->count].payload);
	if (stream->count)
		return;
	struct stream old = stream_take_out(disk, stream);
	free(old.batches);
}

/* ---- guard keys ---- */

static bool guard_equal(const void *context, uint32_t item, const void *key)
{
	const struct guard *guard = &((const struct disk *)context)->guards[item];
	const struct store_guard *wanted = key;
	return guard->size == wanted->size && memcmp(guard->key, wanted->key, guard->size) == 0;
}

static uint64_t guard_hash(const struct store_guard *guard)
{
	uint8_t padded[STORE_GUARD_BYTES_MAX] = {0};
	memcpy(padded, guard->key, guard->size);
	return map_hash_bytes(guard->size, padded, (guard->size + 7) & ~(size_t)7);
}

static bool guard_taken(struct disk *disk, const struct store_guard *guard)
{
	return map_find(&disk->guard_map, guard_hash(guard), guard_equal, disk, guard) != MAP_NONE;
}

static void guard_take(struct disk *disk, const struct store_guard *guard)
{
	assert_true(map_reserve(&disk->guard_map, 1));
	disk->guards = grown(disk->guards, &disk->guard_capacity, disk->guard_count, sizeof *disk->guards);
	struct guard *kept = &disk->guards[disk->guard_count];
	kept->size = guard->size;
	memcpy(kept->key, guard->key, guard->size);
	map_put(&disk->guard_map, guard_hash(guard), (uint32_t)disk->guard_count++);
}

/* ---- writing ---- */

static enum err append_check(struct disk *disk, struct store_job *job, struct err_info *info)
{
	const struct stream *stream = stream_find(disk, job->class, job->batch->stream);
	struct hash none = {0};
	size_t count = stream ? stream->count : 0;
	if (job->batch->seq != count + 1)
		return err_set(info, ERR_POSITION_TAKEN, NULL, "position %llu is next", (unsigned long long)count + 1);
	store_batch_close(job->batch, count ? stream->batches[count - 1].hash : none);
	for (size_t i = 0; i < job->guard_count; i++)
		if (guard_taken(disk, &job->guards[i]))
			return err_set(info, ERR_GUARD_TAKEN, NULL, "a guard key is taken");
	return ERR_OK;
}

static bool holds(struct disk *disk, const struct store_row_change *change)
{
	bool found;
	const struct rows *rows = &disk->rows[change->table->number];
	size_t at = place_of(rows, change->table, change->values, &found);
	struct store_value none = {.kind = VALUE_NULL};
	return store_condition_holds(change, found, found ? &rows->items[at].values[change->column] : &none);
}

static bool is_skipped(struct disk *disk, const struct store_job *job, size_t i)
{
	return job->skip_below && job->changes[i].condition == STORE_BELOW && !holds(disk, &job->changes[i]);
}

static enum err rows_check(struct disk *disk, struct store_job *job, struct err_info *info)
{
	for (size_t i = 0; i < job->change_count; i++) {
		job->refused = i;
		if (!is_skipped(disk, job, i) && !holds(disk, &job->changes[i]))
			return err_set(info, ERR_CONDITION_FAILED, NULL, "a row has changed since it was read");
	}
	return ERR_OK;
}

static void row_change(struct disk *disk, const struct store_row_change *change, bool unsynced)
{
	struct row old = {0}, key = {0};
	if (change->verb == STORE_PUT) {
		struct row row = row_copy(change->table, change->values);
		old = row_put(disk, change->table, row);
		if (unsynced && !old.values)
			key = row_copy(change->table, change->values);
	} else {
		bool found;
		struct rows *rows = &disk->rows[change->table->number];
		size_t at = place_of(rows, change->table, change->values, &found);
		if (!found)
			return;
		old = row_take_out(rows, at);
	}
	if (!unsynced) {
		free(old.values);
		return;
	}
	struct undo_step *step = step_new(disk);
	step->what = UNDO_ROW;
	step->table = change->table;
	step->old = old;
	step->key = key;
}

static void carry_out(struct disk *disk, struct store_job *job)
{
	bool unsynced = job->class == STORE_VIEWS;
	disk->transaction++;
	if (job->batch) {
		batch_keep(disk, job);
		for (size_t i = 0; i < job->guard_count; i++)
			guard_take(disk, &job->guards[i]);
		if (unsynced) {
			struct undo_step *step = step_new(disk);
			step->what = UNDO_APPEND;
			memcpy(step->stream.name, job->batch->stream, sizeof step->stream.name);
		} else if (strcmp(job->batch->stream, ENGINE_STREAM) == 0) {
			disk->hooks.durable(disk->hooks.context, job->batch);
		}
	}
	for (size_t i = 0; i < job->change_count; i++)
		if (!is_skipped(disk, job, i))
			row_change(disk, &job->changes[i], unsynced);
}

static enum err latches(struct disk *disk, struct store_job *job, bool keeps, struct err_info *info)
{
	if (keeps)
		carry_out(disk, job);
	disk->latched = true;
	return fails(info, ERR_STORE_LATCHED, "a sync failed");
}

/* The journal: written, synced, answered; and what may come in between. */
static enum err append(struct disk *disk, struct store_job *job, struct err_info *info)
{
	if (happens(disk, FAULT_APPEND_CRASH_BEFORE))
		return dies(disk, info);
	if (happens(disk, FAULT_APPEND_EIO))
		return fails(info, ERR_IO, "EIO");
	if (happens(disk, FAULT_APPEND_NO_SPACE))
		return fails(info, ERR_NO_SPACE, "ENOSPC");
	if (happens(disk, FAULT_APPEND_POSITION_TAKEN))
		return fails(info, ERR_POSITION_TAKEN, "another writer");
	if (happens(disk, FAULT_APPEND_GUARD_TAKEN))
		return fails(info, ERR_GUARD_TAKEN, "a guard key");
	if (happens(disk, FAULT_APPEND_CRASH_TORN) || happens(disk, FAULT_APPEND_CRASH_UNSYNCED_LOST))
		return dies(disk, info);
	if (happens(disk, FAULT_APPEND_UNKNOWN_ABSENT))
		return fails(info, ERR_IO, "the outcome was unknown, and there is nothing");
	if (happens(disk, FAULT_APPEND_FSYNC_LOST) || happens(disk, FAULT_APPEND_UNKNOWN_UNREAD_LOST))
		return latches(disk, job, false, info);
	if (happens(disk, FAULT_APPEND_FSYNC_KEPT) || happens(disk, FAULT_APPEND_UNKNOWN_UNREAD_KEPT))
		return latches(disk, job, true, info);
	carry_out(disk, job);
	if (happens(disk, FAULT_APPEND_CRASH_UNSYNCED_KEPT) || happens(disk, FAULT_APPEND_CRASH_SYNCED))
		return dies(disk, info);
	(void)happens(disk, FAULT_APPEND_UNKNOWN_FOUND); /* it is ours: the answer is the same */
	return ERR_OK;
}

struct kind { /* of a write that is not the journal's */
	enum fault eio, no_space, before, after;
};

static enum err write_kind(struct disk *disk, struct store_job *job, const struct kind *kind, struct err_info *info)
{
	if (kind->eio != FAULT_COUNT && happens(disk, kind->eio))
		return fails(info, ERR_IO, "EIO");
	if (kind->no_space != FAULT_COUNT && happens(disk, kind->no_space))
		return fails(info, ERR_NO_SPACE, "ENOSPC");
	if (kind->before != FAULT_COUNT && happens(disk, kind->before))
		return dies(disk, info);
	carry_out(disk, job);
	return kind->after != FAULT_COUNT && happens(disk, kind->after) ? dies(disk, info) : ERR_OK;
}

static const struct kind snapshot_kind = {FAULT_SNAPSHOT_EIO, FAULT_SNAPSHOT_NO_SPACE, FAULT_SNAPSHOT_CRASH,
				 FAULT_COUNT},
			 views_kind = {FAULT_VIEWS_EIO, FAULT_VIEWS_NO_SPACE, FAULT_VIEWS_CRASH_BEFORE,
				 FAULT_VIEWS_CRASH_AFTER},
			 cursor_kind = {
				 FAULT_CURSOR_EIO, FAULT_COUNT, FAULT_CURSOR_CRASH_BEFORE, FAULT_CURSOR_CRASH_AFTER};

static enum err disk_write(void *context, struct store_job *job, struct err_info *info)
{
	struct disk *disk = context;
	bool is_journal = job->batch && job->class == STORE_VALUE;
	if (!is_journal)
		disk->hooks.during(disk->hooks.context);
	if (disk->dead || disk->latched)
		return fails(info, ERR_STORE_LATCHED, "nothing is written any more");
	if (disk->full)
		return fails(info, ERR_NO_SPACE, "ENOSPC");
	enum err err = job->batch ? append_check(disk, job, info) : ERR_OK;
	if (!err)
		err = rows_check(disk, job, info);
	if (err)
		return err;
	if (is_journal)
		return append(disk, job, info);
	if (job->class == STORE_VIEWS && disk->undo_count > 120)
		sync_views(disk);
	err = write_kind(disk, job,
		job->batch                  ? &snapshot_kind
		: job->class == STORE_VIEWS ? &views_kind
					    : &cursor_kind,
		info);
	if (!err && job->batch && happens(disk, FAULT_SNAPSHOT_ROTS)) {
		struct stream *stream = stream_find(disk, job->class, job->batch->stream);
		const struct store_batch *kept = &stream->batches[stream->count - 1];
		((uint8_t *)(uintptr_t)kept->payload)[kept->payload_size / 2] ^= 1;
	}
	return err;
}

/* ---- reading ---- */

static enum err read_fails(struct disk *disk, enum fault fault, struct err_info *info)
{
	if (disk->dead)
		return fails(info, ERR_STORE_LATCHED, "the machine has died");
	return happens(disk, fault) ? fails(info, ERR_IO, "EIO") : ERR_OK;
}

static enum fault read_fault(const struct store_table *table)
{
	return table->collection == &vault_collection ? FAULT_VAULT_READ_EIO
	       : table->collection == &cursors_collection || table->collection == &view_cursors_collection
		       ? FAULT_CURSOR_READ_EIO
		       : FAULT_VIEWS_READ_EIO;
}

static enum err disk_get(void *context, const struct store_table *table, const struct store_value *key,
	store_each_row *each, void *each_context, struct err_info *info)
{
	struct disk *disk = context;
	const struct rows *rows = &disk->rows[table->number];
	struct store_value values[200];
	bool found;
	enum err err = read_fails(disk, read_fault(table), info);
	if (err)
		return err;
	for (size_t i = 0; i < table->key_count; i++)
		values[table->key[i]] = key[i];
	size_t at = place_of(rows, table, values, &found);
	return found ? each(each_context, rows->items[at].values, info)
		     : err_set(info, ERR_NOT_FOUND, NULL, "no such row in %s", table->collection->name);
}

static int order_compare(const struct store_scan *scan, const struct store_value *row, const struct store_value *bound,
	size_t from, size_t to)
{
	int order = 0;
	for (size_t i = from; i < to && order == 0; i++)
		order = values_compare(&row[scan->order->columns[i]], &bound[i]);
	return order;
}

static size_t bounding(const struct store_scan *scan, const struct store_value *values)
{
	size_t end = scan->prefix;
	while (values && end < scan->order->indexed && values[end].kind != VALUE_NULL)
		end++;
	return end;
}

static bool is_wanted(const struct store_scan *scan, const struct store_value *row)
{
	size_t from = bounding(scan, scan->from), to = bounding(scan, scan->to);
	bool absent = (from > scan->prefix || to > scan->prefix) &&
		      row[scan->order->columns[scan->prefix]].kind == VALUE_NULL;
	if (absent || order_compare(scan, row, scan->low, 0, scan->prefix) != 0)
		return false;
	if (from > scan->prefix && order_compare(scan, row, scan->from, scan->prefix, from) < 0)
		return false;
	if (to > scan->prefix && order_compare(scan, row, scan->to, scan->prefix, to) >= 0)
		return false;
	int after = scan->after ? order_compare(scan, row, scan->after, 0, scan->order->count) : 0;
	return !scan->after || (scan->descending ? after < 0 : after > 0);
}

static const struct store_scan *sorted_scan; /* qsort has no context; one thread */

static int rows_compare(const void *a, const void *b)
{
	const struct store_value *one = *(struct store_value *const *)a, *other = *(struct store_value *const *)b;
	int order = 0;
	for (size_t i = 0; i < sorted_scan->order->count && order == 0; i++) {
		size_t column = sorted_scan->order->columns[i];
		order = values_compare(&one[column], &other[column]);
	}
	return sorted_scan->descending ? -order : order;
}

static enum err disk_scan(
	void *context, const struct store_scan *scan, store_each_row *each, void *each_context, struct err_info *info)
{
	struct disk *disk = context;
	const struct rows *rows = &disk->rows[scan->table->number];
	enum err err = read_fails(disk, read_fault(scan->table), info);
	if (err)
		return err;
	struct store_value **found = malloc((rows->count + 1) * sizeof *found);
	size_t count = 0;
	for (size_t i = 0; i < rows->count; i++)
		if (is_wanted(scan, rows->items[i].values))
			found[count++] = rows->items[i].values;
	sorted_scan = scan;
	qsort(found, count, sizeof *found, rows_compare);
	for (size_t i = 0; i < count && i < scan->most && !err; i++)
		err = each(each_context, found[i], info);
	free(found);
	return err;
}

static enum err disk_log_head(
	void *context, enum store_class class, const char *name, struct store_batch *ret_head, struct err_info *info)
{
	struct disk *disk = context;
	const struct stream *stream = stream_find(disk, class, name);
	memset(ret_head, 0, sizeof *ret_head);
	snprintf(ret_head->stream, sizeof ret_head->stream, "%s", name);
	enum err err = read_fails(disk, FAULT_JOURNAL_HEAD_EIO, info);
	if (err || !stream)
		return err;
	*ret_head = stream->batches[stream->count - 1];
	ret_head->payload = NULL;
	ret_head->payload_size = 0;
	return ERR_OK;
}

static enum err disk_log_some(void *context, enum store_class class, const char *name, uint64_t from_seq, size_t most,
	size_t bytes, struct arena *arena, struct store_batch *ret_batches, size_t *ret_count, struct err_info *info)
{
	struct disk *disk = context;
	bool is_journal = class == STORE_VALUE;
	size_t taken = 0;
	*ret_count = 0;
	disk->hooks.during(disk->hooks.context);
	enum err err = read_fails(disk, is_journal ? FAULT_JOURNAL_READ_EIO : FAULT_SNAPSHOT_READ_EIO, info);
	if (!err && is_journal && happens(disk, FAULT_JOURNAL_READ_CRASH))
		err = dies(disk, info);
	const struct stream *stream = stream_find(disk, class, name);
	if (err || !stream)
		return err;
	most = most > SOME_BATCHES ? SOME_BATCHES : most;
	if (is_journal && happens(disk, FAULT_JOURNAL_READ_SHORT))
		most = 1;
	for (size_t at = from_seq - 1; at < stream->count && *ret_count < most; at++) {
		struct store_batch *batch = &ret_batches[(*ret_count)++];
		*batch = stream->batches[at];
		if (!bytes) {
			batch->payload = NULL;
			batch->payload_size = 0;
			continue;
		}
		char *copy = arena_copy(arena, (const char *)batch->payload, batch->payload_size);
		if (!copy)
			return fails(info, ERR_NO_MEMORY, "no memory");
		batch->payload = (const uint8_t *)copy;
		taken += batch->payload_size;
		if (happens(disk, is_journal ? FAULT_JOURNAL_READ_FLIPPED : FAULT_SNAPSHOT_READ_FLIPPED))
			copy[batch->payload_size / 3] ^= 4;
		if (taken > bytes / 2)
			break;
	}
	return ERR_OK;
}

static enum err disk_log_streams(void *context, enum store_class class, const char *prefix, struct arena *arena,
	const char ***ret_names, size_t *ret_count, struct err_info *info)
{
	struct disk *disk = context;
	*ret_count = 0;
	*ret_names = ARENA_ARRAY(arena, const char *, disk->stream_count + 1);
	enum err err = read_fails(disk, FAULT_SNAPSHOT_LIST_EIO, info);
	for (size_t i = 0; i < disk->stream_count && !err; i++)
		if (disk->streams[i].class == class && strncmp(disk->streams[i].name, prefix, strlen(prefix)) == 0)
			(*ret_names)[(*ret_count)++] =
				arena_copy(arena, disk->streams[i].name, strlen(disk->streams[i].name));
	return err;
}

static enum err disk_log_delete(void *context, enum store_class class, const char *name, struct err_info *info)
{
	struct disk *disk = context;
	struct stream *stream = stream_find(disk, class, name);
	if (disk->dead || disk->latched)
		return fails(info, ERR_STORE_LATCHED, "nothing is written any more");
	if (!stream)
		return ERR_OK;
	if (happens(disk, FAULT_SNAPSHOT_DELETE_EIO))
		return fails(info, ERR_IO, "EIO");
	if (happens(disk, FAULT_SNAPSHOT_CRASH_DELETING))
		return dies(disk, info);
	disk->transaction++;
	struct undo_step *step = step_new(disk);
	step->what = UNDO_DELETE;
	step->stream = stream_take_out(disk, stream);
	return ERR_OK;
}

static enum err disk_log_prune(
	void *context, enum store_class class, const char *name, uint64_t seq, struct err_info *info)
{
	(void)context;
	(void)class;
	(void)name;
	(void)seq;
	return err_set(info, ERR_INTERNAL, NULL, "the engine prunes nothing");
}

static bool disk_healthy(void *context, enum err *ret_err)
{
	struct disk *disk = context;
	*ret_err = disk->dead || disk->latched ? ERR_STORE_LATCHED : disk->full ? ERR_NO_SPACE : ERR_OK;
	return *ret_err == ERR_OK;
}

static enum err disk_engine_open(const struct store_options *options, const char *place,
	const struct store_tables *tables, void **ret_engine, struct err_info *info)
{
	(void)place;
	(void)info;
	struct disk *disk = options->context;
	if (!disk->rows) {
		disk->rows = calloc(tables->count, sizeof *disk->rows);
		disk->table_count = tables->count;
	}
	disk->tables = tables;
	*ret_engine = disk;
	return ERR_OK;
}

static void disk_engine_close(void *context)
{
	sync_views(context); /* an orderly end, or what the crash has left */
}

static const struct store_engine disk_engine = {.schemes = {"disk:"},
	.open = disk_engine_open,
	.close = disk_engine_close,
	.healthy = disk_healthy,
	.write = disk_write,
	.get = disk_get,
	.scan = disk_scan,
	.log_head = disk_log_head,
	.log_some = disk_log_some,
	.log_streams = disk_log_streams,
	.log_prune = disk_log_prune,
	.log_delete = disk_log_delete};

/* ---- life and death ---- */

struct disk *disk_new(struct faults *faults, const struct disk_hooks *hooks)
{
	struct disk *disk = calloc(1, sizeof *disk);
	disk->faults = faults;
	disk->hooks = *hooks;
	return disk;
}

static void rows_clear(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free(rows->items[i].values);
	rows->count = 0;
}

void disk_free(struct disk **disk)
{
	struct disk *old = *disk;
	*disk = NULL;
	sync_views(old);
	for (size_t i = 0; i < old->table_count; i++) {
		rows_clear(&old->rows[i]);
		free(old->rows[i].items);
	}
	while (old->stream_count)
		stream_pop(old, &old->streams[0]);
	map_free(&old->guard_map);
	free(old->rows);
	free(old->streams);
	free(old->guards);
	free(old->undo);
	free(old);
}

enum err disk_open(struct disk *disk, struct store **ret_store, struct err_info *info)
{
	static const struct seal_key key = {.number = 1};
	struct store_options options = {
		.collections = engine_collections, .seal_keys = &key, .seal_key_count = 1, .context = disk};
	return store_open_over(&disk_engine, "", &options, ret_store, info);
}

static void step_back(struct disk *disk, struct undo_step *step)
{
	if (step->what == UNDO_APPEND) {
		stream_pop(disk, stream_find(disk, STORE_VIEWS, step->stream.name));
	} else if (step->what == UNDO_DELETE) {
		*stream_add(disk) = step->stream;
	} else if (step->old.values) {
		struct row new = row_put(disk, step->table, step->old);
		free(new.values);
	} else {
		bool found;
		struct rows *rows = &disk->rows[step->table->number];
		size_t at = place_of(rows, step->table, step->key.values, &found);
		assert_true(found);
		struct row new = row_take_out(rows, at);
		free(new.values);
		free(step->key.values);
	}
}

static void views_drop(struct disk *disk)
{
	sync_views(disk);
	for (size_t i = 0; i < disk->table_count; i++)
		if (disk->tables->items[i].collection->class == STORE_VIEWS)
			rows_clear(&disk->rows[i]);
	for (size_t i = 0; i < disk->stream_count;)
		if (disk->streams[i].class == STORE_VIEWS)
			stream_pop(disk, &disk->streams[i]);
		else
			i++;
}

void disk_die(struct disk *disk)
{
	disk->dead = true;
}

bool disk_is_dead(const struct disk *disk)
{
	return disk->dead || disk->latched;
}

void disk_crash(struct disk *disk)
{
	if (disk->undo_count && fault_happens(disk->faults, FAULT_TAIL_LOST)) {
		size_t kept = (size_t)draw_below(&disk->faults->random, (int64_t)disk->undo_count);
		uint64_t last = disk->undo[kept].transaction; /* it and all behind it are lost */
		while (disk->undo_count && disk->undo[disk->undo_count - 1].transaction >= last)
			step_back(disk, &disk->undo[--disk->undo_count]);
	}
	sync_views(disk);
	if (fault_happens(disk->faults, FAULT_VIEWS_LOST))
		views_drop(disk);
}

void disk_revive(struct disk *disk)
{
	disk->dead = disk->latched = false;
}

void disk_set_full(struct disk *disk, bool full)
{
	disk->full = full;
}
