/* Decides what a backup's manifest says and whether a backup is still what it says: {"format","created_us","files":[{"name",
 * "size","sha256"}],"heads":[{"file","stream","seq","hash"}],"sum"}, canonical JSON; sum = SHA-256("carbond/backup/1" ‖ 0 ‖ the
 * canonical document without it). The calling thread. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "store_private.h"

#define MANIFEST       "manifest.json"
#define MANIFEST_BYTES ((size_t)4 << 20)
#define FORMAT         "carbond/backup/1"

static enum err no_memory(struct err_info *info)
{
	return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the backup");
}

static enum err edited(struct err_info *info, const char *name, const char *why)
{
	return err_set(info, ERR_BACKUP_EDITED, NULL, "%s %s", name, why);
}

/* ---- writing ---- */

static enum err make_empty_folder(const char *folder, struct err_info *info)
{
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return err_set(info, ERR_IO, NULL, "%s: %s", folder, strerror(errno));
	DIR *listing = opendir(folder);
	if (!listing)
		return err_set(info, ERR_IO, NULL, "%s: %s", folder, strerror(errno));
	enum err err = ERR_OK;
	for (struct dirent *entry; (entry = readdir(listing)) && !err;)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			err = err_set(info, ERR_DUPLICATE, NULL, "%s is not empty", folder);
	closedir(listing);
	return err;
}

static enum err sum_file(const char *path, struct hash *ret_sum, int64_t *ret_size, struct err_info *info)
{
	FILE *stream = fopen(path, "rbe");
	if (!stream)
		return err_set(info, ERR_IO, NULL, "%s: %s", path, strerror(errno));
	struct sha256 state;
	sha256_start(&state, NULL);
	char buffer[65536];
	size_t size;
	*ret_size = 0;
	while ((size = fread(buffer, 1, sizeof buffer, stream)) > 0) {
		sha256_add(&state, buffer, size);
		*ret_size += (int64_t)size;
	}
	enum err err = ferror(stream) ? err_set(info, ERR_IO, NULL, "%s: %s", path, strerror(errno)) : ERR_OK;
	fclose(stream);
	*ret_sum = sha256_end(&state);
	return err;
}

static json_t *heads_of(const struct store_batch *heads, size_t count, const char *name, json_t *list)
{
	for (size_t i = 0; i < count; i++) {
		char text[HASH_TEXT_SIZE];
		json_t *head = json_pack("{s:s, s:s, s:I, s:s}", "file", name, "stream", heads[i].stream, "seq",
			(json_int_t)heads[i].seq, "hash", hash_text(heads[i].hash, text));
		if (json_array_append_new(list, head) != 0)
			return NULL;
	}
	return list;
}

static enum err describe_file(const struct store_engine *engine, const char *folder, const char *name,
	struct arena *arena, json_t *files, json_t *heads, struct err_info *info)
{
	struct hash sum;
	int64_t size = 0;
	char text[HASH_TEXT_SIZE];
	struct store_batch *batches = NULL;
	size_t count = 0;
	char *path = arena_print(arena, "%s/%s", folder, name);
	if (!path)
		return no_memory(info);
	enum err err = sum_file(path, &sum, &size, info);
	if (!err)
		err = engine->backup_heads(folder, name, arena, &batches, &count, info);
	if (err)
		return err;
	json_t *file =
		json_pack("{s:s, s:I, s:s}", "name", name, "size", (json_int_t)size, "sha256", hash_text(sum, text));
	if (json_array_append_new(files, file) != 0 || !heads_of(batches, count, name, heads))
		return no_memory(info);
	return ERR_OK;
}

static enum err sum_of(struct arena *arena, json_t *manifest, char ret_text[HASH_TEXT_SIZE], struct err_info *info)
{
	char *text = NULL;
	size_t size = 0;
	enum err err = document_canonical(arena, manifest, &text, &size);
	if (err)
		return err_set(info, err, NULL, "the manifest has no canonical form");
	hash_text(sha256_of(FORMAT, text, size), ret_text);
	return ERR_OK;
}

static enum err write_durably(const char *path, const char *text, size_t size, struct err_info *info)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(info, ERR_IO, NULL, "%s: %s", path, strerror(errno));
	enum err err = ERR_OK;
	if (write(fd, text, size) != (ssize_t)size || fsync(fd) != 0)
		err = err_set(info, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, NULL, "%s: %s", path, strerror(errno));
	close(fd);
	return err;
}

static enum err write_manifest(const struct store_engine *engine, const char *folder,
	const struct store_backup_list *list, struct arena *arena, struct err_info *info)
{
	json_t *files = json_array(), *heads = json_array();
	json_t *manifest = document_own(arena, json_pack("{s:s, s:I, s:o, s:o}", "format", FORMAT, "created_us",
						       (json_int_t)clock_wall_us(), "files", files, "heads", heads));
	if (!manifest)
		return no_memory(info);
	enum err err = ERR_OK;
	for (size_t i = 0; i < list->count && !err; i++)
		err = describe_file(engine, folder, list->names[i], arena, files, heads, info);
	char sum[HASH_TEXT_SIZE], *text = NULL;
	size_t size = 0;
	if (!err)
		err = sum_of(arena, manifest, sum, info);
	if (!err && json_object_set_new(manifest, "sum", json_string(sum)) != 0)
		err = no_memory(info);
	if (!err && document_canonical(arena, manifest, &text, &size))
		err = no_memory(info);
	char *path = arena_print(arena, "%s/" MANIFEST, folder);
	if (!err && !path)
		err = no_memory(info);
	return err ? err : write_durably(path, text, size, info);
}

enum err store_backup(struct store *store, const char *folder, struct err_info *info)
{
	struct store_backup_list list = {.count = 0};
	struct arena *arena = arena_new(0);
	if (!arena)
		return no_memory(info);
	enum err err = make_empty_folder(folder, info);
	if (!err)
		err = store->engine->backup(store->back, folder, &list, info);
	if (!err)
		err = write_manifest(store->engine, folder, &list, arena, info);
	arena_free(&arena);
	return err;
}

/* ---- checking and putting back ---- */

struct manifest {
	const char *folder;
	json_t *document;
	struct store_backup_list list;
	struct arena *arena;
};

static enum err read_manifest(struct manifest *manifest, struct err_info *info)
{
	char *path = arena_print(manifest->arena, "%s/" MANIFEST, manifest->folder);
	char *text = arena_alloc(manifest->arena, MANIFEST_BYTES);
	if (!path || !text)
		return no_memory(info);
	FILE *stream = fopen(path, "rbe");
	if (!stream)
		return errno == ENOENT ? edited(info, path, "is missing")
				       : err_set(info, ERR_IO, NULL, "%s: %s", path, strerror(errno));
	size_t size = fread(text, 1, MANIFEST_BYTES, stream);
	fclose(stream);
	if (size == MANIFEST_BYTES ||
		document_parse(manifest->arena, text, size, &manifest->document, NULL) != ERR_OK ||
		!json_is_object(manifest->document))
		return edited(info, MANIFEST, "is not the JSON that it was");
	return ERR_OK;
}

static enum err check_manifest(struct manifest *manifest, struct err_info *info)
{
	char sum[HASH_TEXT_SIZE];
	const char *claimed = json_string_value(json_object_get(manifest->document, "sum"));
	char *kept = claimed ? arena_copy(manifest->arena, claimed, strlen(claimed)) : NULL;
	const char *format = json_string_value(json_object_get(manifest->document, "format"));
	if (!kept || !format || strcmp(format, FORMAT) != 0 || json_object_del(manifest->document, "sum") != 0)
		return edited(info, MANIFEST, "is not one of this version");
	if (sum_of(manifest->arena, manifest->document, sum, NULL) != ERR_OK || strcmp(sum, kept) != 0)
		return edited(info, MANIFEST, "has been edited");
	size_t index;
	json_t *file;
	json_array_foreach(json_object_get(manifest->document, "files"), index, file)
	{
		const char *name = json_string_value(json_object_get(file, "name"));
		if (!name || manifest->list.count == STORE_BACKUP_FILES ||
			strlen(name) >= sizeof manifest->list.names[0])
			return edited(info, MANIFEST, "names no files of a store");
		snprintf(manifest->list.names[manifest->list.count++], sizeof manifest->list.names[0], "%s", name);
	}
	return ERR_OK;
}

static enum err check_sum(void *context, const char *name, struct hash sum, struct err_info *info)
{
	struct manifest *manifest = context;
	char text[HASH_TEXT_SIZE];
	size_t index;
	json_t *file;
	hash_text(sum, text);
	json_array_foreach(json_object_get(manifest->document, "files"), index, file)
	{
		const char *listed = json_string_value(json_object_get(file, "name"));
		const char *expected = json_string_value(json_object_get(file, "sha256"));
		if (listed && strcmp(listed, name) == 0 && expected && strcmp(expected, text) == 0)
			return ERR_OK;
	}
	return edited(info, name, "does not have the sum that the manifest gives");
}

enum err store_restore(const char *folder, const char *data_folder, struct err_info *info)
{
	struct manifest manifest = {.folder = folder, .arena = arena_new(0)};
	if (!manifest.arena)
		return no_memory(info);
	enum err err = read_manifest(&manifest, info);
	if (!err)
		err = check_manifest(&manifest, info);
	if (!err)
		err = store_sqlite.restore(folder, &manifest.list, data_folder, check_sum, &manifest, info);
	arena_free(&manifest.arena);
	return err;
}
