/* Decides what a step of a backup holds: of the logs what came since the step before, of the primaries all rows, in a form that
 * no back end knows. It is made beside its place and renamed when it is whole. The calling thread. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup_parts.h"
#include "carbond/base/clock.h"

#define EXTRA_BYTES ((size_t)64 << 10)

struct step {
	struct store *store;
	const struct store_backup_options *options;
	struct store_backup_report *report;
	char path[1024]; /* while it is made */
	struct backup_manifest before, manifest;

	/* of the class at hand */
	enum store_class class;
	struct record_writer log, rows;
	const struct store_table *table; /* whose rows come */
};

/* ---- one class ---- */

/* The head of the step before comes again: only if it is still the same is this a further step of it. */
static uint64_t from_seq(void *context, const char *stream)
{
	const struct step *step = context;
	const struct backup_stream *before = backup_stream_find(&step->before, step->class, stream);
	return before ? before->seq : 1;
}

static enum err another_history(const struct step *step, const char *stream, struct err_info *info)
{
	return err_set(info, ERR_DUPLICATE, NULL,
		"%s holds another history of log %s (a restore came between): begin a new backup folder",
		step->options->folder, stream);
}

static enum err note_head(struct step *step, const struct store_batch *batch, bool is_new, struct err_info *info)
{
	struct backup_stream *head = backup_stream_find(&step->manifest, step->class, batch->stream);
	if (!head) {
		struct backup_stream first = {.class = step->class, .from_seq = batch->seq + !is_new};
		memcpy(first.stream, batch->stream, sizeof first.stream);
		enum err err = backup_stream_add(&step->manifest, &first, info);
		if (err)
			return err;
		head = &step->manifest.streams[step->manifest.stream_count - 1];
	}
	head->seq = batch->seq;
	head->hash = batch->hash;
	return ERR_OK;
}

static enum err take_batch(void *context, const struct store_batch *batch, const struct store_guard *guards,
	size_t guard_count, struct err_info *info)
{
	struct step *step = context;
	if (strcmp(batch->stream, STORE_RESTORE_STREAM) == 0)
		return ERR_OK; /* says how this store came about */
	const struct backup_stream *before = backup_stream_find(&step->before, step->class, batch->stream);
	bool is_known = before && batch->seq <= before->seq;
	if (is_known && !hash_equal(batch->hash, before->hash))
		return another_history(step, batch->stream, info);
	enum err err = note_head(step, batch, !is_known, info);
	if (err || is_known)
		return err;
	step->report->batches++;
	return record_write_batch(&step->log, batch, guards, guard_count, info);
}

static enum err take_row(
	void *context, const struct store_table *table, const struct store_value *values, struct err_info *info)
{
	struct step *step = context;
	enum err err = ERR_OK;
	if (step->table != table)
		err = record_write_table(&step->rows, table, info);
	step->table = table;
	if (!err)
		err = record_write_row(&step->rows, values, table->column_count, info);
	step->report->rows += !err;
	return err;
}

static void file_name(enum store_class class, const char *what, char ret_name[48])
{
	snprintf(ret_name, 48, "%s.%s", backup_class_names[class], what);
}

static enum err close_file(struct step *step, struct record_writer *writer, const char *what, struct err_info *info)
{
	struct backup_file *file = &step->manifest.files[step->manifest.file_count++];
	file_name(step->class, what, file->name);
	enum err err = record_writer_close(writer, &file->sum, info);
	file->size = writer->bytes;
	step->report->bytes += writer->bytes;
	return err;
}

/* What the step before had must still be there. */
static enum err check_streams(const struct step *step, struct err_info *info)
{
	for (size_t i = 0; i < step->before.stream_count; i++) {
		const struct backup_stream *stream = &step->before.streams[i];
		if (stream->class == step->class && !backup_stream_find(&step->manifest, stream->class, stream->stream))
			return another_history(step, stream->stream, info);
	}
	return ERR_OK;
}

static enum err write_class(struct step *step, enum store_class class, struct err_info *info)
{
	struct store_visitor visitor = {.from_seq = from_seq, .batch = take_batch, .row = take_row, .context = step};
	char name[48];
	step->class = class;
	step->table = NULL;
	file_name(class, "log", name);
	enum err err = record_writer_open(&step->log, step->path, name, info);
	if (err)
		return err;
	file_name(class, "rows", name);
	err = record_writer_open(&step->rows, step->path, name, info);
	if (!err)
		err = step->store->engine->visit(step->store->back, class, &visitor, info);
	if (!err)
		err = check_streams(step, info);
	if (!err)
		err = close_file(step, &step->log, "log", info);
	if (!err)
		err = close_file(step, &step->rows, "rows", info);
	record_writer_drop(&step->log);
	record_writer_drop(&step->rows);
	return err;
}

/* ---- the caller's small files ---- */

static enum err copy_extra(struct step *step, const struct store_backup_extra *extra, struct err_info *info)
{
	struct backup_file *file = &step->manifest.files[step->manifest.file_count++];
	char path[1200], *bytes = malloc(EXTRA_BYTES);
	size_t size = 0;
	enum err err = bytes ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the backup");
	FILE *from = err ? NULL : fopen(extra->path, "rbe");
	if (!err && !from)
		err = backup_io_fault(extra->path, info);
	if (!err) {
		size = fread(bytes, 1, EXTRA_BYTES, from);
		if (ferror(from))
			err = backup_io_fault(extra->path, info);
		else if (size == EXTRA_BYTES)
			err = err_set(info, ERR_TOO_LARGE, NULL, "%s is too long", extra->path);
	}
	snprintf(path, sizeof path, "%s/%s", step->path, extra->name);
	FILE *to = err ? NULL : fopen(path, "wbxe");
	if (!err && (!to || fchmod(fileno(to), 0600) != 0 || fwrite(bytes, 1, size, to) != size || fflush(to) != 0 ||
			    fsync(fileno(to)) != 0))
		err = backup_io_fault(path, info);
	if (!err) {
		snprintf(file->name, sizeof file->name, "%s", extra->name);
		file->size = (int64_t)size;
		file->sum = sha256_of(NULL, bytes, size);
		explicit_bzero(bytes, size);
	}
	if (to)
		fclose(to);
	if (from)
		fclose(from);
	free(bytes);
	return err;
}

/* ---- a step ---- */

static enum err begin(struct step *step, struct err_info *info)
{
	const struct store_backup_options *options = step->options;
	unsigned count = 0;
	char path[1024];
	if (strlen(options->folder) > 900)
		return err_set(info, ERR_IO, NULL, "the path of the backup is too long");
	if (mkdir(options->folder, 0700) != 0 && errno != EEXIST)
		return backup_io_fault(options->folder, info);
	enum err err = backup_steps(options->folder, true, &count, info);
	if (!err && count == STORE_BACKUP_STEPS)
		err = err_set(info, ERR_TOO_LARGE, NULL, "%s holds %u steps: begin a new backup folder",
			options->folder, count);
	if (!err && count > 0) {
		backup_step_path(options->folder, count, "", path);
		err = backup_manifest_read(&step->before, path, count, options->key, info);
	}
	if (err)
		return err;
	step->manifest.step = count + 1;
	step->manifest.previous = step->before.sum;
	step->manifest.key = *options->key;
	snprintf(step->manifest.node, sizeof step->manifest.node, "%s", options->node);
	snprintf(step->manifest.registry, sizeof step->manifest.registry, "%s", options->registry);
	backup_step_path(options->folder, count + 1, ".part", step->path);
	return mkdir(step->path, 0700) == 0 ? ERR_OK : backup_io_fault(step->path, info);
}

static enum err fill(struct step *step, struct err_info *info)
{
	enum err err = ERR_OK;
	step->manifest.created_us = clock_wall_us();
	for (int class = 0; class < STORE_CLASS_COUNT && !err; class ++)
		if (backup_class_names[class])
			err = write_class(step, (enum store_class) class, info);
	const struct store_backup_extra *extras = step->options->extras;
	for (size_t i = 0; i < STORE_BACKUP_EXTRAS && extras[i].name && !err; i++)
		err = copy_extra(step, &extras[i], info);
	if (!err)
		err = backup_manifest_write(&step->manifest, step->path, step->options, info);
	return err ? err : backup_sync_folder(step->path, info);
}

static enum err finish(struct step *step, struct err_info *info)
{
	struct store_backup_report *report = step->report;
	backup_step_path(step->options->folder, step->manifest.step, "", report->path);
	if (rename(step->path, report->path) != 0)
		return backup_io_fault(report->path, info);
	report->step = step->manifest.step;
	report->created_us = step->manifest.created_us;
	return backup_sync_folder(step->options->folder, info);
}

enum err store_backup(struct store *store, const struct store_backup_options *options,
	struct store_backup_report *ret_report, struct err_info *info)
{
	*ret_report = (struct store_backup_report){.key = *options->key};
	struct step *step = calloc(1, sizeof *step);
	if (!step)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the backup");
	step->store = store;
	step->options = options;
	step->report = ret_report;
	enum err err = begin(step, info);
	if (!err) {
		err = fill(step, info);
		if (!err)
			err = finish(step, info);
		if (err)
			backup_step_delete(step->path);
	}
	backup_manifest_free(&step->before);
	backup_manifest_free(&step->manifest);
	free(step);
	return err;
}
