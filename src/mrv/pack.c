/* Packs, the writing side: the core's entries in rising order of path, each under the evidence root; then attachments; then
 * SHA256SUMS over all of them, so that a reader can name the entry that differs. Bytes leave as they are made. Pure but for
 * the function that takes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

enum { PACK_ARENA_BYTES = 256 << 20 };

struct mrv_pack_writer {
	enum err (*write)(void *context, const void *data, size_t size, struct err_info *info);
	void *context;
	struct merkle_edge edge;
	char last_path[TAR_PATH_MAX + 1];
	char *sums;
	size_t sums_size, sums_capacity;
	struct arena *arena; /* of one entry at a time */
};

struct mrv_pack_writer *mrv_pack_writer_new(
	enum err (*write)(void *context, const void *data, size_t size, struct err_info *info), void *context)
{
	struct mrv_pack_writer *writer = calloc(1, sizeof *writer);
	if (!writer)
		return NULL;
	writer->write = write;
	writer->context = context;
	writer->arena = arena_new(PACK_ARENA_BYTES);
	if (!writer->arena)
		mrv_pack_writer_free(&writer);
	return writer;
}

void mrv_pack_writer_free(struct mrv_pack_writer **writer)
{
	if (!*writer)
		return;
	arena_free(&(*writer)->arena);
	free((*writer)->sums);
	free(*writer);
	*writer = NULL;
}

struct hash mrv_pack_root(const struct mrv_pack_writer *writer)
{
	return merkle_edge_root(&writer->edge);
}

struct hash pack_leaf(const char *path, struct hash content)
{
	uint8_t data[TAR_PATH_MAX + 1 + sizeof content.bytes];
	size_t size = strlen(path);
	memcpy(data, path, size);
	data[size] = 0;
	memcpy(data + size + 1, content.bytes, sizeof content.bytes);
	return merkle_leaf(data, size + 1 + sizeof content.bytes);
}

void bucket_path(struct id sensor, int64_t hour_us, char ret_path[TAR_PATH_MAX + 1])
{
	char id[ID_TEXT_SIZE], hour[CLOCK_TEXT_SIZE];
	clock_text(hour_us, hour);
	hour[13] = 0; /* 2026-11-23T10 */
	snprintf(ret_path, TAR_PATH_MAX + 1, "core/buckets/%s/%s.bin", id_text(sensor, id), hour);
}

static enum err emit(struct mrv_pack_writer *writer, const void *data, size_t size, struct err_info *info)
{
	return writer->write && size ? writer->write(writer->context, data, size, info) : ERR_OK;
}

static enum err add_sum(struct mrv_pack_writer *writer, const char *path, struct hash content, struct err_info *info)
{
	size_t needed = writer->sums_size + HASH_TEXT_SIZE + TAR_PATH_MAX + 4;
	char hex[HASH_TEXT_SIZE];
	if (needed > writer->sums_capacity) {
		size_t capacity = needed * 2;
		char *sums = realloc(writer->sums, capacity);
		if (!sums)
			return err_set(info, ERR_NO_MEMORY, "", "no memory for the pack");
		writer->sums = sums;
		writer->sums_capacity = capacity;
	}
	writer->sums_size += (size_t)snprintf(writer->sums + writer->sums_size,
		writer->sums_capacity - writer->sums_size, "%s  %s\n", hash_text(content, hex), path);
	return ERR_OK;
}

static enum err add_tar(
	struct mrv_pack_writer *writer, const char *path, const void *data, size_t size, struct err_info *info)
{
	static const uint8_t zeros[TAR_BLOCK];
	uint8_t header[TAR_BLOCK];
	tar_header(path, size, header);
	enum err err = emit(writer, header, sizeof header, info);
	if (err == ERR_OK)
		err = emit(writer, data, size, info);
	if (err == ERR_OK)
		err = emit(writer, zeros, (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK, info);
	return err;
}

/* Adds an entry and its sum; core entries go under the root. */
static enum err add_entry(struct mrv_pack_writer *writer, bool core, const char *path, const void *data, size_t size,
	struct err_info *info)
{
	struct hash content = sha256_of(NULL, data, size);
	bool first_attachment = !core && strncmp(writer->last_path, "core/", 5) == 0;
	if (!first_attachment && strcmp(path, writer->last_path) <= 0)
		return err_set(info, ERR_INTERNAL, path, "entries of a pack come in rising order");
	snprintf(writer->last_path, sizeof writer->last_path, "%s", path);
	if (core)
		merkle_add(&writer->edge, pack_leaf(path, content));
	enum err err = add_sum(writer, path, content, info);
	return err ? err : add_tar(writer, path, data, size, info);
}

/* Takes the reference. */
static enum err add_document(
	struct mrv_pack_writer *writer, bool core, const char *path, json_t *document, struct err_info *info)
{
	char *text;
	size_t size;
	arena_reset(writer->arena);
	enum err err = document_own(writer->arena, document) ? ERR_OK : ERR_NO_MEMORY;
	if (err == ERR_OK)
		err = document_canonical(writer->arena, document, &text, &size);
	if (err)
		return err_set(info, err, path, "the document cannot be written");
	return add_entry(writer, core, path, text, size, info);
}

static void put_u64(uint8_t *at, uint64_t number)
{
	for (int i = 0; i < 8; i++, number >>= 8)
		at[i] = (uint8_t)number;
}

/* One hour: magic(8) ‖ sensor(16) ‖ hour_us(8) ‖ revision(8) ‖ content hash(32) ‖ columns, little-endian. */
static enum err add_bucket(struct mrv_pack_writer *writer, const struct mrv_case *the_case, const struct mrv_read *read,
	const struct mrv_source *source, struct err_info *info)
{
	const struct mrv_sensor *sensor = &the_case->sensors[read->sensor];
	struct mrv_hour hour = {0};
	char path[TAR_PATH_MAX + 1];
	bucket_path(sensor->id, read->hour_us, path);
	arena_reset(writer->arena);
	enum err err = source->hour(source->context, sensor, read->hour_us, writer->arena, &hour, info);
	if (err)
		return err;
	if (hour.revision != read->revision || !hash_equal(hour.content_hash, read->content_hash))
		return err_set(info, ERR_EVIDENCE_CHANGED, path, "the hour has changed since it was quantified");
	uint8_t *data = arena_alloc(writer->arena, BUCKET_HEADER + hour.columns_size);
	if (!data)
		return err_set(info, ERR_NO_MEMORY, path, "no memory for the pack");
	memcpy(data, BUCKET_MAGIC, 8);
	memcpy(data + 8, sensor->id.bytes, 16);
	put_u64(data + 24, (uint64_t)read->hour_us);
	put_u64(data + 32, (uint64_t)read->revision);
	memcpy(data + 40, read->content_hash.bytes, 32);
	if (hour.columns_size)
		memcpy(data + BUCKET_HEADER, hour.columns, hour.columns_size);
	return add_entry(writer, true, path, data, BUCKET_HEADER + hour.columns_size, info);
}

static enum err add_hours(struct mrv_pack_writer *writer, const struct mrv_case *the_case,
	const struct mrv_result *result, struct err_info *info)
{
	size_t size;
	arena_reset(writer->arena);
	char *text = mrv_hours_csv(the_case, result, writer->arena, &size);
	if (!text)
		return err_set(info, ERR_NO_MEMORY, "core/hours.csv", "no memory for the pack");
	return add_entry(writer, true, "core/hours.csv", text, size, info);
}

static json_t *document_ref(const json_t *document)
{
	return json_incref((json_t *)(uintptr_t)document);
}

enum err mrv_pack_core(struct mrv_pack_writer *writer, const struct mrv_case *the_case, const struct mrv_result *result,
	const struct mrv_manifest *manifest, const struct mrv_source *source, struct err_info *info)
{
	enum err err = ERR_OK;
	char root[HASH_TEXT_SIZE];
	for (size_t i = 0; err == ERR_OK && i < result->read_count; i++)
		err = add_bucket(writer, the_case, &result->reads[i], source, info);
	if (err == ERR_OK)
		err = add_document(writer, true, "core/calibrations.json", case_calibrations(the_case), info);
	if (err == ERR_OK)
		err = add_document(writer, true, "core/factors.json",
			document_ref(mrv_factors_terms(the_case->factors)->document), info);
	if (err == ERR_OK)
		err = add_hours(writer, the_case, result, info);
	if (err == ERR_OK)
		err = add_document(
			writer, true, "core/manifest.json", field_write(mrv_manifest_fields, manifest), info);
	if (err == ERR_OK)
		err = add_document(writer, true, "core/methodology.json",
			document_ref(mrv_methodology_terms(the_case->methodology)->document), info);
	if (err == ERR_OK)
		err = add_document(writer, true, "core/overlays.json", case_overlays(the_case), info);
	if (err == ERR_OK)
		err = add_document(writer, true, "core/project.json", case_project(the_case), info);
	if (err == ERR_OK)
		err = add_document(writer, true, "core/result.json", mrv_result_document(the_case, result), info);
	if (err == ERR_OK)
		err = add_document(writer, true, "core/sensors.json", case_sensors(the_case), info);
	if (err)
		return err;
	return add_document(writer, false, "attachments/evidence-root.json",
		json_pack("{s:s}", "evidence_root", hash_text(mrv_pack_root(writer), root)), info);
}

enum err mrv_pack_attach(
	struct mrv_pack_writer *writer, const char *name, const json_t *document, struct err_info *info)
{
	char path[TAR_PATH_MAX + 1];
	snprintf(path, sizeof path, "attachments/%s.json", name);
	return add_document(writer, false, path, document_ref(document), info);
}

enum err mrv_pack_close(struct mrv_pack_writer *writer, struct err_info *info)
{
	static const uint8_t zeros[2 * TAR_BLOCK];
	enum err err = add_tar(writer, "SHA256SUMS", writer->sums, writer->sums_size, info);
	return err ? err : emit(writer, zeros, sizeof zeros, info);
}
