/* Decides the form of a backup's files (backup_parts.h describes it). The calling thread. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "backup_parts.h"

#define STREAM_BYTES ((size_t)1 << 20)
#define RECORD_MAX   ((size_t)64 << 20) /* a batch, a row with its documents, 70,000 guard keys: all are far below */

enum err backup_io_fault(const char *path, struct err_info *info)
{
	bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
	return err_set(info, full ? ERR_NO_SPACE : ERR_IO, NULL, "%s: %s", path, strerror(errno));
}

/* ---- putting a record together ---- */

static void put(struct record_writer *writer, const void *data, size_t size)
{
	if (writer->failed || size == 0)
		return;
	if (writer->size + size > writer->capacity) {
		size_t capacity = 2 * (writer->size + size);
		uint8_t *wider = realloc(writer->buffer, capacity);
		if (!wider) {
			writer->failed = true;
			return;
		}
		writer->buffer = wider;
		writer->capacity = capacity;
	}
	memcpy(writer->buffer + writer->size, data, size);
	writer->size += size;
}

static void put_number(struct record_writer *writer, uint64_t number, size_t size)
{
	uint8_t bytes[8];
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(number >> (8 * i));
	put(writer, bytes, size);
}

/* Behind its length of `width` bytes. */
static void put_bytes(struct record_writer *writer, const void *data, size_t size, size_t width)
{
	put_number(writer, size, width);
	put(writer, data, size);
}

static void put_text(struct record_writer *writer, const char *text)
{
	put_bytes(writer, text, strlen(text), 1);
}

static void begin(struct record_writer *writer, enum record_kind kind)
{
	writer->size = 0;
	put_number(writer, 0, 4);
	put_number(writer, (uint64_t)kind, 1);
}

static enum err finish(struct record_writer *writer, struct err_info *info)
{
	if (writer->failed)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the backup");
	if (writer->size > RECORD_MAX)
		return err_set(info, ERR_TOO_LARGE, NULL, "%s: a record of %zu bytes", writer->path, writer->size);
	for (size_t i = 0; i < 4; i++)
		writer->buffer[i] = (uint8_t)((writer->size - 4) >> (8 * i));
	if (fwrite(writer->buffer, 1, writer->size, writer->stream) != writer->size)
		return backup_io_fault(writer->path, info);
	sha256_add(&writer->state, writer->buffer, writer->size);
	writer->bytes += (int64_t)writer->size;
	writer->records++;
	return ERR_OK;
}

/* ---- writing ---- */

enum err record_writer_open(struct record_writer *writer, const char *folder, const char *name, struct err_info *info)
{
	*writer = (struct record_writer){.stream = NULL};
	snprintf(writer->path, sizeof writer->path, "%s/%s", folder, name);
	writer->stream = fopen(writer->path, "wbxe");
	if (!writer->stream)
		return backup_io_fault(writer->path, info);
	if (setvbuf(writer->stream, NULL, _IOFBF, STREAM_BYTES) != 0)
		errno = 0; /* slower, not wrong */
	sha256_start(&writer->state, NULL);
	return ERR_OK;
}

enum err record_write_batch(struct record_writer *writer, const struct store_batch *batch,
	const struct store_guard *guards, size_t guard_count, struct err_info *info)
{
	begin(writer, RECORD_BATCH);
	put_text(writer, batch->stream);
	put_number(writer, batch->seq, 8);
	put_number(writer, batch->term, 8);
	put_number(writer, batch->count, 4);
	put(writer, &batch->prev_hash, sizeof batch->prev_hash);
	put(writer, &batch->payload_hash, sizeof batch->payload_hash);
	put(writer, &batch->hash, sizeof batch->hash);
	put_number(writer, (uint64_t)batch->written_at_us, 8);
	put_text(writer, batch->node);
	put_number(writer, guard_count, 4);
	for (size_t i = 0; i < guard_count; i++)
		put_bytes(writer, guards[i].key, guards[i].size, 1);
	put_number(writer, !batch->payload, 1);
	put_bytes(writer, batch->payload, batch->payload ? batch->payload_size : 0, 4);
	return finish(writer, info);
}

enum err record_write_table(struct record_writer *writer, const struct store_table *table, struct err_info *info)
{
	begin(writer, RECORD_TABLE);
	put_text(writer, table->collection->name);
	put_number(writer, table->column_count, 2);
	for (size_t i = 0; i < table->column_count; i++)
		put_text(writer, table->columns[i].name);
	return finish(writer, info);
}

enum err record_write_row(
	struct record_writer *writer, const struct store_value *values, size_t count, struct err_info *info)
{
	begin(writer, RECORD_ROW);
	for (size_t i = 0; i < count; i++) {
		uint64_t bits = 0;
		put_number(writer, values[i].kind, 1);
		switch (values[i].kind) {
		case VALUE_NULL: break;
		case VALUE_INTEGER: put_number(writer, (uint64_t)values[i].integer, 8); break;
		case VALUE_REAL:
			memcpy(&bits, &values[i].real, sizeof bits);
			put_number(writer, bits, 8);
			break;
		case VALUE_TEXT:
		case VALUE_BLOB: put_bytes(writer, values[i].data, values[i].size, 4); break;
		}
	}
	return finish(writer, info);
}

enum err record_writer_close(struct record_writer *writer, struct hash *ret_sum, struct err_info *info)
{
	uint64_t records = (uint64_t)writer->records;
	begin(writer, RECORD_END);
	put_number(writer, records, 8);
	enum err err = finish(writer, info);
	if (!err && (fflush(writer->stream) != 0 || fsync(fileno(writer->stream)) != 0))
		err = backup_io_fault(writer->path, info);
	if (fclose(writer->stream) != 0 && !err)
		err = backup_io_fault(writer->path, info);
	writer->stream = NULL;
	writer->records--; /* the end is none of what is counted */
	*ret_sum = sha256_end(&writer->state);
	record_writer_drop(writer);
	return err;
}

void record_writer_drop(struct record_writer *writer)
{
	if (writer->stream)
		fclose(writer->stream);
	writer->stream = NULL;
	free(writer->buffer);
	writer->buffer = NULL;
	writer->capacity = 0;
}

/* ---- taking a record apart ---- */

static enum err edited(const struct record_reader *reader, struct err_info *info)
{
	return err_set(info, ERR_BACKUP_EDITED, NULL, "%s: record %lld is not one", reader->name,
		(long long)reader->records + 1);
}

static const uint8_t *get(struct record_reader *reader, size_t size)
{
	if (reader->size - reader->at < size)
		return NULL;
	const uint8_t *data = reader->buffer + reader->at;
	reader->at += size;
	return data;
}

static bool get_number(struct record_reader *reader, size_t size, uint64_t *ret_number)
{
	const uint8_t *data = get(reader, size);
	*ret_number = 0;
	for (size_t i = 0; data && i < size; i++)
		*ret_number |= (uint64_t)data[i] << (8 * i);
	return data != NULL;
}

static bool get_bytes(struct record_reader *reader, size_t width, const uint8_t **ret_data, size_t *ret_size)
{
	uint64_t size = 0;
	*ret_data = get_number(reader, width, &size) ? get(reader, (size_t)size) : NULL;
	*ret_size = (size_t)size;
	return *ret_data != NULL;
}

static bool get_text(struct record_reader *reader, char *ret_text, size_t capacity)
{
	const uint8_t *data;
	size_t size;
	if (!get_bytes(reader, 1, &data, &size) || size == 0 || size >= capacity || memchr(data, 0, size))
		return false;
	memcpy(ret_text, data, size);
	ret_text[size] = 0;
	return true;
}

static bool get_hash(struct record_reader *reader, struct hash *ret_hash)
{
	const uint8_t *data = get(reader, sizeof *ret_hash);
	if (data)
		memcpy(ret_hash, data, sizeof *ret_hash);
	return data != NULL;
}

static bool get_guards(struct record_reader *reader)
{
	uint64_t count = 0;
	if (!get_number(reader, 4, &count) || count > STORE_GUARDS_MAX)
		return false;
	if (count > reader->guard_capacity) {
		struct store_guard *wider = realloc(reader->guards, count * sizeof wider[0]);
		reader->memory_ended = !wider;
		if (!wider)
			return false;
		reader->guards = wider;
		reader->guard_capacity = count;
	}
	for (size_t i = 0; i < count; i++) {
		const uint8_t *key;
		size_t size;
		if (!get_bytes(reader, 1, &key, &size) || size < 1 || size > STORE_GUARD_BYTES_MAX)
			return false;
		reader->guards[i] = (struct store_guard){.key = key, .size = size};
	}
	reader->guard_count = count;
	return true;
}

static bool get_batch(struct record_reader *reader)
{
	struct store_batch *batch = &reader->batch;
	uint64_t count = 0, written = 0, pruned = 0;
	memset(batch, 0, sizeof *batch);
	if (!get_text(reader, batch->stream, sizeof batch->stream) || !get_number(reader, 8, &batch->seq) ||
		!get_number(reader, 8, &batch->term) || !get_number(reader, 4, &count) ||
		!get_hash(reader, &batch->prev_hash) || !get_hash(reader, &batch->payload_hash) ||
		!get_hash(reader, &batch->hash) || !get_number(reader, 8, &written) ||
		!get_text(reader, batch->node, sizeof batch->node) || !get_guards(reader) ||
		!get_number(reader, 1, &pruned) || !get_bytes(reader, 4, &batch->payload, &batch->payload_size))
		return false;
	batch->count = (uint32_t)count;
	batch->written_at_us = (int64_t)written;
	if (pruned)
		batch->payload = NULL;
	return pruned <= 1 && !(pruned && batch->payload_size) && batch->payload_size <= STORE_BATCH_BYTES_MAX &&
	       batch->seq >= 1 && batch->seq <= INT64_MAX;
}

static bool get_table(struct record_reader *reader)
{
	uint64_t count = 0;
	if (!get_text(reader, reader->table, sizeof reader->table) || !get_number(reader, 2, &count) || count < 1)
		return false;
	if (count > reader->column_capacity) {
		char(*columns)[64] = realloc(reader->columns, count * sizeof columns[0]);
		if (columns)
			reader->columns = columns;
		struct store_value *values = realloc(reader->values, count * sizeof values[0]);
		if (values)
			reader->values = values;
		reader->memory_ended = !columns || !values;
		if (reader->memory_ended)
			return false;
		reader->column_capacity = count;
	}
	reader->column_count = count;
	for (size_t i = 0; i < count; i++)
		if (!get_text(reader, reader->columns[i], sizeof reader->columns[i]))
			return false;
	return true;
}

static bool get_value(struct record_reader *reader, struct store_value *ret_value)
{
	uint64_t kind = 0, number = 0;
	const uint8_t *data;
	*ret_value = (struct store_value){.kind = VALUE_NULL};
	if (!get_number(reader, 1, &kind) || kind > VALUE_BLOB)
		return false;
	ret_value->kind = (enum value_kind)kind;
	if (kind == VALUE_NULL)
		return true;
	if (kind == VALUE_TEXT || kind == VALUE_BLOB) {
		if (!get_bytes(reader, 4, &data, &ret_value->size))
			return false;
		ret_value->data = data;
		return true;
	}
	if (!get_number(reader, 8, &number))
		return false;
	if (kind == VALUE_INTEGER)
		ret_value->integer = (int64_t)number;
	else
		memcpy(&ret_value->real, &number, sizeof number);
	return true;
}

static bool get_row(struct record_reader *reader)
{
	for (size_t i = 0; i < reader->column_count; i++)
		if (!get_value(reader, &reader->values[i]))
			return false;
	return reader->column_count > 0;
}

static bool get_end(struct record_reader *reader)
{
	uint64_t records = 0;
	reader->ended = true;
	return get_number(reader, 8, &records) && records == (uint64_t)reader->records;
}

static bool take_apart(struct record_reader *reader)
{
	uint64_t kind = 0;
	reader->at = 0;
	if (!get_number(reader, 1, &kind))
		return false;
	reader->kind = (enum record_kind)kind;
	bool good = false;
	switch (reader->kind) {
	case RECORD_BATCH: good = get_batch(reader); break;
	case RECORD_TABLE: good = get_table(reader); break;
	case RECORD_ROW: good = get_row(reader); break;
	case RECORD_END: good = get_end(reader); break;
	}
	return good && reader->at == reader->size;
}

/* ---- reading ---- */

void record_reader_begin(struct record_reader *reader, FILE *stream, const char *name)
{
	*reader = (struct record_reader){.stream = stream, .name = name};
	sha256_start(&reader->state, NULL);
}

enum err record_reader_open(struct record_reader *reader, const char *folder, const char *name, struct err_info *info)
{
	char path[1200];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *stream = fopen(path, "rbe");
	if (!stream)
		return errno == ENOENT ? err_set(info, ERR_BACKUP_EDITED, NULL, "%s is missing", path)
				       : backup_io_fault(path, info);
	record_reader_begin(reader, stream, name);
	return ERR_OK;
}

static enum err read_bytes(struct record_reader *reader, void *ret_data, size_t size, struct err_info *info)
{
	if (fread(ret_data, 1, size, reader->stream) != size)
		return ferror(reader->stream) ? backup_io_fault(reader->name, info) : edited(reader, info);
	sha256_add(&reader->state, ret_data, size);
	reader->bytes += (int64_t)size;
	return ERR_OK;
}

enum err record_read(struct record_reader *reader, struct err_info *info)
{
	uint8_t length[4];
	enum err err = read_bytes(reader, length, sizeof length, info);
	if (err)
		return err;
	reader->size = (size_t)length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
	if (reader->size < 1 || reader->size > RECORD_MAX)
		return edited(reader, info);
	if (reader->size > reader->capacity) {
		uint8_t *wider = realloc(reader->buffer, reader->size);
		if (!wider)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory to read %s", reader->name);
		reader->buffer = wider;
		reader->capacity = reader->size;
	}
	err = read_bytes(reader, reader->buffer, reader->size, info);
	if (!err && (!take_apart(reader) || (reader->ended && fgetc(reader->stream) != EOF)))
		err = reader->memory_ended ? err_set(info, ERR_NO_MEMORY, NULL, "no memory to read %s", reader->name)
					   : edited(reader, info);
	reader->records++;
	return err;
}

struct hash record_reader_close(struct record_reader *reader)
{
	if (reader->stream)
		fclose(reader->stream);
	free(reader->buffer);
	free(reader->guards);
	free(reader->columns);
	free(reader->values);
	struct hash sum = sha256_end(&reader->state);
	*reader = (struct record_reader){.name = reader->name};
	return sum;
}
