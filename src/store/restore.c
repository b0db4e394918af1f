/* Decides whether a backup is still what it says, and puts it into an empty store: all of it is read once before anything is
 * written, and a restore that was interrupted goes on where it stopped. The calling thread. */
#include <assert.h>
#include <string.h>

#include "backup_parts.h"

#define PLACES_MAX 512 /* members of a collection */

/* How far a log has been read. */
struct followed {
	enum store_class class;
	char stream[STORE_STREAM_SIZE];
	uint64_t seq;
	struct hash hash;
	uint64_t stored; /* what the store had of it before */
};

struct restoring {
	const struct store_restore_options *options;
	struct store_backup_report *report;
	struct store *store; /* NULL: only checked */
	struct backup_manifest manifest;
	bool is_last; /* step: its rows count */
	bool is_cut;

	struct followed *logs;
	size_t log_count, log_capacity;

	/* of the file at hand */
	enum store_class class;
	const char *name; /* for messages */
	const struct store_table *table;
	size_t places[PLACES_MAX]; /* of the file's members among the table's */

	struct gathered gathered; /* for one write */
};

static enum err no_memory(struct err_info *info)
{
	return err_set(info, ERR_NO_MEMORY, NULL, "no memory to restore");
}

static enum err edited(const struct restoring *restoring, struct err_info *info, const char *why)
{
	return err_set(info, ERR_BACKUP_EDITED, NULL, "%s %s", restoring->name, why);
}

/* ---- rows and batches to write ---- */

static enum err put_row(struct restoring *restoring, const struct record_reader *reader, struct err_info *info)
{
	const struct store_table *table = restoring->table;
	struct store_value values[PLACES_MAX];
	for (size_t i = 0; i < table->column_count; i++)
		values[i] = (struct store_value){.kind = VALUE_NULL};
	for (size_t i = 0; i < reader->column_count; i++) {
		struct store_value *value = &values[restoring->places[i]];
		*value = reader->values[i];
		if (value->kind != VALUE_NULL && value->kind != table->columns[restoring->places[i]].kind)
			return edited(restoring, info, "has a row of another form");
	}
	for (size_t i = 0; i < table->key_count; i++)
		if (values[table->key[i]].kind == VALUE_NULL)
			return edited(restoring, info, "has a row without a key");
	return gather_row(&restoring->gathered, table, values, info);
}

/* ---- logs ---- */

static enum err follow(
	struct restoring *restoring, const char *stream, struct followed **ret_log, struct err_info *info)
{
	for (size_t i = 0; i < restoring->log_count; i++) {
		*ret_log = &restoring->logs[i];
		if ((*ret_log)->class == restoring->class && strcmp((*ret_log)->stream, stream) == 0)
			return ERR_OK;
	}
	if (restoring->log_count == restoring->log_capacity) {
		size_t capacity = restoring->log_capacity ? 2 * restoring->log_capacity : 16;
		struct followed *wider = realloc(restoring->logs, capacity * sizeof wider[0]);
		if (!wider)
			return no_memory(info);
		restoring->logs = wider;
		restoring->log_capacity = capacity;
	}
	struct followed *log = &restoring->logs[restoring->log_count];
	*log = (struct followed){.class = restoring->class};
	memcpy(log->stream, stream, strlen(stream) + 1);
	if (restoring->store) {
		struct store_batch head;
		enum err err = store_log_head(restoring->store, restoring->class, stream, &head, info);
		if (err)
			return err;
		log->stored = head.seq;
	}
	restoring->log_count++;
	*ret_log = log;
	return ERR_OK;
}

static enum err check_batch(
	struct restoring *restoring, struct followed *log, const struct store_batch *batch, struct err_info *info)
{
	const char *fault = store_batch_fault(batch, log->seq + 1, &log->hash);
	if (fault)
		return err_set(info, ERR_BACKUP_EDITED, NULL, "%s: batch %llu of log %s %s", restoring->name,
			(unsigned long long)log->seq + 1, batch->stream, fault);
	log->seq = batch->seq;
	log->hash = batch->hash;
	return ERR_OK;
}

static void note_header(struct store_batch *header, const struct store_batch *batch)
{
	*header = *batch;
	header->payload = NULL;
	header->payload_size = 0;
}

/* False for what is behind the cut. */
static bool is_kept(struct restoring *restoring, const struct store_batch *batch)
{
	const struct store_restore_options *options = restoring->options;
	if (!options->cut_stream || strcmp(batch->stream, options->cut_stream) != 0)
		return true;
	if (options->keeps && !options->keeps(options->context, batch))
		restoring->is_cut = true;
	note_header(restoring->is_cut ? &restoring->report->lost : &restoring->report->kept, batch);
	return !restoring->is_cut;
}

static enum err take_batch(struct restoring *restoring, const struct record_reader *reader, struct err_info *info)
{
	struct followed *log = NULL;
	enum err err = follow(restoring, reader->batch.stream, &log, info);
	if (!err)
		err = check_batch(restoring, log, &reader->batch, info);
	if (err || !is_kept(restoring, &reader->batch))
		return err;
	restoring->report->batches++;
	return restoring->store && reader->batch.seq > log->stored
		       ? gather_batch(&restoring->gathered, &reader->batch, reader->guards, reader->guard_count, info)
		       : ERR_OK;
}

/* ---- rows ---- */

static enum err take_table(struct restoring *restoring, const struct record_reader *reader, struct err_info *info)
{
	const struct store_tables *tables = &restoring->store->tables;
	restoring->table = NULL;
	for (size_t i = 0; i < tables->count; i++)
		if (strcmp(tables->items[i].collection->name, reader->table) == 0)
			restoring->table = &tables->items[i];
	if (!restoring->table || restoring->table->collection->class != restoring->class)
		return err_set(info, ERR_SCHEMA_NEWER, NULL, "%s has a collection %s that this version does not know",
			restoring->name, reader->table);
	for (size_t i = 0; i < reader->column_count; i++) {
		size_t place = i < sizeof restoring->places / sizeof restoring->places[0]
				       ? store_column_of(restoring->table, reader->columns[i])
				       : SIZE_MAX;
		if (place == SIZE_MAX)
			return err_set(info, ERR_SCHEMA_NEWER, NULL,
				"%s: collection %s has a member %s that this version does not know", restoring->name,
				reader->table, reader->columns[i]);
		restoring->places[i] = place;
	}
	return ERR_OK;
}

/* ---- files ---- */

static enum err take_records(
	struct restoring *restoring, struct record_reader *reader, bool is_log, struct err_info *info)
{
	enum err err = record_read(reader, info);
	for (; !err && reader->kind != RECORD_END; err = err ? err : record_read(reader, info)) {
		bool counts = restoring->is_last && !is_log;
		restoring->report->rows += counts && reader->kind == RECORD_ROW;
		if (is_log != (reader->kind == RECORD_BATCH))
			err = edited(restoring, info, "holds records of another kind");
		else if (is_log)
			err = take_batch(restoring, reader, info);
		else if (restoring->store && counts)
			err = reader->kind == RECORD_TABLE ? take_table(restoring, reader, info)
							   : put_row(restoring, reader, info);
	}
	return err || !restoring->store ? err : gather_flush(&restoring->gathered, info);
}

static enum err check_sum(
	struct restoring *restoring, const struct backup_file *file, const struct hash *sum, struct err_info *info)
{
	return hash_equal(*sum, file->sum) ? ERR_OK
					   : edited(restoring, info, "does not have the sum that the manifest gives");
}

static const struct backup_file *file_of(const struct backup_manifest *manifest, const char *name)
{
	for (size_t i = 0; i < manifest->file_count; i++)
		if (strcmp(manifest->files[i].name, name) == 0)
			return &manifest->files[i];
	return NULL;
}

static enum err take_file(
	struct restoring *restoring, const char *folder, enum store_class class, bool is_log, struct err_info *info)
{
	char name[48], shown[96];
	struct record_reader reader;
	snprintf(name, sizeof name, "%s.%s", backup_class_names[class], is_log ? "log" : "rows");
	snprintf(shown, sizeof shown, "%05u/%s", restoring->manifest.step, name);
	restoring->class = restoring->gathered.class = class;
	restoring->name = shown;
	restoring->table = NULL;
	const struct backup_file *file = file_of(&restoring->manifest, name);
	if (!file)
		return edited(restoring, info, "is not in the manifest");
	enum err err = record_reader_open(&reader, folder, name, info);
	if (err)
		return err;
	reader.name = shown;
	err = take_records(restoring, &reader, is_log, info);
	restoring->report->bytes += reader.bytes;
	struct hash sum = record_reader_close(&reader);
	return err ? err : check_sum(restoring, file, &sum, info);
}

/* A file of the caller's; nothing of it is known but its sum. */
static enum err check_extra(
	struct restoring *restoring, const char *folder, const struct backup_file *file, struct err_info *info)
{
	char path[1200], shown[96], buffer[4096];
	size_t size;
	struct sha256 state;
	snprintf(path, sizeof path, "%s/%s", folder, file->name);
	snprintf(shown, sizeof shown, "%05u/%s", restoring->manifest.step, file->name);
	restoring->name = shown;
	FILE *stream = fopen(path, "rbe");
	if (!stream)
		return edited(restoring, info, "cannot be read");
	sha256_start(&state, NULL);
	while ((size = fread(buffer, 1, sizeof buffer, stream)) > 0)
		sha256_add(&state, buffer, size);
	enum err err = ferror(stream) ? backup_io_fault(path, info) : ERR_OK;
	fclose(stream);
	explicit_bzero(buffer, sizeof buffer);
	struct hash sum = sha256_end(&state);
	return err ? err : check_sum(restoring, file, &sum, info);
}

static bool is_extra(const char *name)
{
	for (int class = 0; class < STORE_CLASS_COUNT; class ++) {
		size_t length = backup_class_names[class] ? strlen(backup_class_names[class]) : 0;
		if (length && strncmp(name, backup_class_names[class], length) == 0 &&
			(strcmp(name + length, ".log") == 0 || strcmp(name + length, ".rows") == 0))
			return false;
	}
	return true;
}

/* ---- steps ---- */

/* The logs must have come to where the manifest says that they stood. */
static enum err check_heads(struct restoring *restoring, const char *folder, struct err_info *info)
{
	const struct backup_manifest *manifest = &restoring->manifest;
	restoring->name = folder;
	bool good = manifest->stream_count == restoring->log_count;
	for (size_t i = 0; i < restoring->log_count && good; i++) {
		const struct followed *log = &restoring->logs[i];
		const struct backup_stream *head = backup_stream_find(manifest, log->class, log->stream);
		good = head && head->seq == log->seq && hash_equal(head->hash, log->hash);
	}
	return good ? ERR_OK : edited(restoring, info, "does not lead to the heads that its manifest gives");
}

static enum err take_step(struct restoring *restoring, const char *folder, struct err_info *info)
{
	enum err err = ERR_OK;
	for (int class = 0; class < STORE_CLASS_COUNT && !err; class ++) {
		if (!backup_class_names[class])
			continue;
		err = take_file(restoring, folder, (enum store_class) class, true, info);
		if (!err)
			err = take_file(restoring, folder, (enum store_class) class, false, info);
	}
	for (size_t i = 0; i < restoring->manifest.file_count && !err; i++)
		if (is_extra(restoring->manifest.files[i].name))
			err = check_extra(restoring, folder, &restoring->manifest.files[i], info);
	return err ? err : check_heads(restoring, folder, info);
}

static void report_step(struct restoring *restoring, const char *folder)
{
	struct store_backup_report *report = restoring->report;
	report->step = restoring->manifest.step;
	report->created_us = restoring->manifest.created_us;
	report->key = restoring->manifest.key;
	memcpy(report->node, restoring->manifest.node, sizeof report->node);
	memcpy(report->registry, restoring->manifest.registry, sizeof report->registry);
	snprintf(report->path, sizeof report->path, "%s", folder);
}

/* Everything, once through; `ret_sum` names the backup. */
static enum err take_all(struct restoring *restoring, struct hash *ret_sum, struct err_info *info)
{
	const struct store_restore_options *options = restoring->options;
	struct sign_public key;
	unsigned count = 0;
	*restoring->report = (struct store_backup_report){.step = 0};
	enum err err = backup_steps(options->folder, false, &count, info);
	if (!err && count == 0)
		err = err_set(info, ERR_BACKUP_EDITED, NULL, "%s holds no backup", options->folder);
	*ret_sum = (struct hash){{0}};
	for (unsigned step = 1; step <= count && !err; step++) {
		char folder[1024];
		backup_step_path(options->folder, step, "", folder);
		/* all steps by one key, whoever's it is */
		const struct sign_public *wanted = options->key ? options->key : step > 1 ? &key : NULL;
		err = backup_manifest_read(&restoring->manifest, folder, step, wanted, info);
		if (err)
			break;
		key = restoring->manifest.key;
		restoring->is_last = step == count;
		restoring->name = folder;
		if (!hash_equal(restoring->manifest.previous, *ret_sum))
			err = edited(restoring, info, "does not follow the step before it");
		*ret_sum = restoring->manifest.sum;
		if (!err)
			err = take_step(restoring, folder, info);
		if (!err)
			report_step(restoring, folder);
		backup_manifest_free(&restoring->manifest);
	}
	return err;
}

static enum err run(const struct store_restore_options *options, struct store *store,
	struct store_backup_report *report, struct hash *ret_sum, struct err_info *info)
{
	struct restoring *restoring = calloc(1, sizeof *restoring);
	enum err err = restoring && strlen(options->folder) <= 900 ? ERR_OK : no_memory(info);
	if (!err) {
		restoring->options = options;
		restoring->report = report;
		restoring->store = store;
		err = gather_begin(&restoring->gathered, store, info);
		if (!err)
			err = take_all(restoring, ret_sum, info);
		gather_free(&restoring->gathered);
		free(restoring->logs);
	}
	free(restoring);
	return err;
}

enum err store_backup_check(
	const struct store_restore_options *options, struct store_backup_report *ret_report, struct err_info *info)
{
	struct hash sum;
	return run(options, NULL, ret_report, &sum, info);
}

/* ---- the place ---- */

/* Durably before anything else is written: from now on the store is refused until the restore is finished. */
static enum err begin(struct store *store, const struct hash *sum, uint64_t kept_seq, struct err_info *info)
{
	struct mark mark = {.sum = *sum, .kept_seq = kept_seq};
	enum mark_state state = MARK_NONE;
	bool empty = false;
	enum err err = mark_read(store, &mark, &state, info);
	if (!err && state == MARK_OURS)
		return ERR_OK;
	if (!err && state == MARK_OTHERS)
		return err_set(info, ERR_DUPLICATE, NULL,
			"the restore of another backup, or to another position, was interrupted here: restore into an "
			"empty "
			"data directory");
	if (!err)
		err = gather_is_empty(store, &empty, info);
	if (!err && !empty)
		err = err_set(
			info, ERR_DUPLICATE, NULL, "there is a store already: restore into an empty data directory");
	return err ? err : mark_begin(store, &mark, info);
}

enum err store_restore(const struct store_options *place, const struct store_restore_options *options,
	struct store **ret_store, struct store_backup_report *ret_report, struct err_info *info)
{
	struct hash sum, again;
	*ret_store = NULL;
	enum err err = run(options, NULL, ret_report, &sum, info);
	if (!err)
		err = gather_open(place, ret_store, info);
	if (!err)
		err = begin(*ret_store, &sum, ret_report->kept.seq, info);
	if (!err)
		err = run(options, *ret_store, ret_report, &again, info);
	if (!err && !hash_equal(sum, again))
		err = err_set(info, ERR_BACKUP_EDITED, NULL, "%s was changed while it was read", options->folder);
	if (err)
		store_close(ret_store);
	return err;
}

enum err store_restore_finish(struct store *store, struct err_info *info)
{
	return mark_end(store, info);
}

enum err store_drill_drop(const struct store_options *place, struct err_info *info)
{
	const char *rest = NULL;
	const struct store_engine *engine = store_engine_of(place->uri, &rest);
	return engine && engine->drop ? engine->drop(place, rest, info)
				      : err_set(info, ERR_INVALID_CONFIG, NULL, "this is no database of a drill");
}
