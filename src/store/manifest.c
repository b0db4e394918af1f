/* Decides what a step's manifest says, who vouches for it, and which steps a backup's folder holds. The calling thread. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup_parts.h"

#define MANIFEST_BYTES ((size_t)16 << 20)
#define STREAMS_MAX    65536

const char *const backup_class_names[STORE_CLASS_COUNT] = {
	[STORE_VALUE] = "value", [STORE_READINGS] = "readings", [STORE_VIEWS] = NULL};

static enum err no_memory(struct err_info *info)
{
	return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the backup");
}

/* ---- streams ---- */

enum err backup_stream_add(struct backup_manifest *manifest, const struct backup_stream *stream, struct err_info *info)
{
	if (manifest->stream_count == manifest->stream_capacity) {
		size_t capacity = manifest->stream_capacity ? 2 * manifest->stream_capacity : 16;
		struct backup_stream *wider = realloc(manifest->streams, capacity * sizeof wider[0]);
		if (!wider)
			return no_memory(info);
		manifest->streams = wider;
		manifest->stream_capacity = capacity;
	}
	if (manifest->stream_count == STREAMS_MAX)
		return err_set(info, ERR_TOO_LARGE, NULL, "more than %d logs", STREAMS_MAX);
	manifest->streams[manifest->stream_count++] = *stream;
	return ERR_OK;
}

struct backup_stream *backup_stream_find(
	const struct backup_manifest *manifest, enum store_class class, const char *stream)
{
	for (size_t i = 0; i < manifest->stream_count; i++)
		if (manifest->streams[i].class == class && strcmp(manifest->streams[i].stream, stream) == 0)
			return &manifest->streams[i];
	return NULL;
}

void backup_manifest_free(struct backup_manifest *manifest)
{
	free(manifest->streams);
	*manifest = (struct backup_manifest){.streams = NULL};
}

/* ---- writing ---- */

static bool add_files(json_t *list, const struct backup_manifest *manifest)
{
	char sum[HASH_TEXT_SIZE];
	bool good = true;
	for (size_t i = 0; i < manifest->file_count && good; i++)
		good = json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "name", manifest->files[i].name, "size",
							   (json_int_t)manifest->files[i].size, "sha256",
							   hash_text(manifest->files[i].sum, sum))) == 0;
	return good;
}

static bool add_streams(json_t *list, const struct backup_manifest *manifest)
{
	char hash[HASH_TEXT_SIZE];
	bool good = true;
	for (size_t i = 0; i < manifest->stream_count && good; i++) {
		const struct backup_stream *stream = &manifest->streams[i];
		good = json_array_append_new(
			       list, json_pack("{s:s, s:s, s:I, s:I, s:s}", "class", backup_class_names[stream->class],
					     "stream", stream->stream, "from_seq", (json_int_t)stream->from_seq, "seq",
					     (json_int_t)stream->seq, "hash", hash_text(stream->hash, hash))) == 0;
	}
	return good;
}

static enum err write_durably(const char *path, const char *text, size_t size, struct err_info *info)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return backup_io_fault(path, info);
	enum err err = ERR_OK;
	errno = ENOSPC; /* of a write that is cut short */
	if (write(fd, text, size) != (ssize_t)size || fsync(fd) != 0)
		err = backup_io_fault(path, info);
	close(fd);
	return err;
}

static enum err sign_and_write(json_t *document, struct arena *arena, const char *folder,
	const struct store_backup_options *options, struct hash *ret_sum, struct err_info *info)
{
	struct signature signature;
	char hex[2 * sizeof signature + 1], path[1200], *text = NULL;
	size_t size = 0;
	enum err err = document_canonical(arena, document, &text, &size);
	if (err)
		return err_set(info, err, NULL, "the manifest has no canonical form");
	err = options->sign(options->context, text, size, &signature, info);
	if (err)
		return err;
	if (json_object_set_new(document, "signature", json_string(hex_text(&signature, sizeof signature, hex))) ||
		document_canonical(arena, document, &text, &size))
		return no_memory(info);
	*ret_sum = sha256_of(NULL, text, size);
	snprintf(path, sizeof path, "%s/" BACKUP_MANIFEST, folder);
	return write_durably(path, text, size, info);
}

enum err backup_manifest_write(struct backup_manifest *manifest, const char *folder,
	const struct store_backup_options *options, struct err_info *info)
{
	char key[2 * sizeof manifest->key + 1], previous[HASH_TEXT_SIZE] = "";
	struct arena *arena = arena_new(0);
	json_t *files = json_array(), *streams = json_array();
	enum err err = ERR_OK;
	if (manifest->step > 1)
		hash_text(manifest->previous, previous);
	json_t *document = json_pack("{s:s, s:i, s:s, s:I, s:s, s:s, s:o, s:o, s:s}", "format", BACKUP_FORMAT, "step",
		(int)manifest->step, "previous", previous, "created_us", (json_int_t)manifest->created_us, "node",
		manifest->node, "registry", manifest->registry, "files", files, "streams", streams, "key",
		hex_text(&manifest->key, sizeof manifest->key, key));
	if (!arena || !document || !add_files(files, manifest) || !add_streams(streams, manifest))
		err = no_memory(info);
	if (!err)
		err = sign_and_write(document, arena, folder, options, &manifest->sum, info);
	json_decref(document);
	arena_free(&arena);
	return err;
}

/* ---- reading ---- */

static enum err edited(const char *folder, const char *why, struct err_info *info)
{
	return err_set(info, ERR_BACKUP_EDITED, NULL, "%s/" BACKUP_MANIFEST " %s", folder, why);
}

/* The manifest's fault, unless it was memory that ended: that says nothing of the backup. */
static enum err edited_for(enum err why, const char *folder, const char *what, struct err_info *info)
{
	return why == ERR_NO_MEMORY ? no_memory(info) : edited(folder, what, info);
}

static enum err read_text(
	const char *folder, struct arena *arena, char **ret_text, size_t *ret_size, struct err_info *info)
{
	char path[1200];
	snprintf(path, sizeof path, "%s/" BACKUP_MANIFEST, folder);
	FILE *stream = fopen(path, "rbe");
	if (!stream)
		return errno == ENOENT ? edited(folder, "is missing", info) : backup_io_fault(path, info);
	struct stat status;
	size_t size = fstat(fileno(stream), &status) == 0 ? (size_t)status.st_size : 0;
	enum err err = size < 2 || size > MANIFEST_BYTES ? edited(folder, "is not one", info) : ERR_OK;
	*ret_text = err ? NULL : arena_alloc(arena, size + 1);
	if (!err && !*ret_text)
		err = no_memory(info);
	if (!err && fread(*ret_text, 1, size, stream) != size)
		err = backup_io_fault(path, info);
	fclose(stream);
	if (!err)
		(*ret_text)[size] = 0;
	*ret_size = size;
	return err;
}

static bool take_text(const json_t *object, const char *member, char *ret_text, size_t capacity)
{
	const char *text = json_string_value(json_object_get(object, member));
	return text && snprintf(ret_text, capacity, "%s", text) < (int)capacity;
}

static bool take_hash(const json_t *object, const char *member, struct hash *ret_hash)
{
	const char *text = json_string_value(json_object_get(object, member));
	return text && hash_parse(text, ret_hash) == ERR_OK;
}

static bool take_hex(const json_t *object, const char *member, void *ret_data, size_t wanted)
{
	const char *text = json_string_value(json_object_get(object, member));
	size_t size = 0;
	return text && hex_parse(text, strlen(text), ret_data, wanted, &size) == ERR_OK && size == wanted;
}

static bool is_plain(const char *name)
{
	size_t length = strlen(name);
	return length > 0 && name[0] != '.' && strcmp(name, BACKUP_MANIFEST) != 0 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == length;
}

static bool take_files(struct backup_manifest *manifest, const json_t *list)
{
	size_t index;
	json_t *item;
	json_array_foreach(list, index, item)
	{
		if (manifest->file_count == BACKUP_FILES)
			return false;
		struct backup_file *file = &manifest->files[manifest->file_count++];
		file->size = json_integer_value(json_object_get(item, "size"));
		if (!take_text(item, "name", file->name, sizeof file->name) || !is_plain(file->name) ||
			!take_hash(item, "sha256", &file->sum))
			return false;
	}
	return json_is_array(list);
}

static enum err take_streams(struct backup_manifest *manifest, const json_t *list)
{
	enum err err = json_is_array(list) ? ERR_OK : ERR_BACKUP_EDITED;
	size_t index;
	json_t *item;
	json_array_foreach(list, index, item)
	{
		struct backup_stream stream = {.class = STORE_CLASS_COUNT};
		const char *class = json_string_value(json_object_get(item, "class"));
		for (int i = 0; class && i < STORE_CLASS_COUNT; i++)
			if (backup_class_names[i] && strcmp(backup_class_names[i], class) == 0)
				stream.class = (enum store_class)i;
		stream.from_seq = (uint64_t)json_integer_value(json_object_get(item, "from_seq"));
		stream.seq = (uint64_t)json_integer_value(json_object_get(item, "seq"));
		if (stream.class == STORE_CLASS_COUNT ||
			!take_text(item, "stream", stream.stream, sizeof stream.stream) ||
			!take_hash(item, "hash", &stream.hash))
			return ERR_BACKUP_EDITED;
		err = backup_stream_add(manifest, &stream, NULL);
		if (err)
			break;
	}
	return err;
}

static enum err take_members(struct backup_manifest *manifest, const json_t *document)
{
	const char *format = json_string_value(json_object_get(document, "format"));
	manifest->step = (unsigned)json_integer_value(json_object_get(document, "step"));
	manifest->created_us = json_integer_value(json_object_get(document, "created_us"));
	bool good = format && strcmp(format, BACKUP_FORMAT) == 0 &&
		    (manifest->step <= 1 || take_hash(document, "previous", &manifest->previous)) &&
		    take_text(document, "node", manifest->node, sizeof manifest->node) &&
		    take_text(document, "registry", manifest->registry, sizeof manifest->registry) &&
		    take_hex(document, "key", &manifest->key, sizeof manifest->key) &&
		    take_files(manifest, json_object_get(document, "files"));
	return good ? take_streams(manifest, json_object_get(document, "streams")) : ERR_BACKUP_EDITED;
}

/* What is signed is the canonical form, and the file is nothing else: every byte of it counts. */
static enum err check_signature(const char *folder, json_t *document, const struct sign_public *key, const char *text,
	size_t size, struct arena *arena, struct err_info *info)
{
	struct signature signature;
	char *canonical = NULL;
	size_t canonical_size = 0;
	static const char fault[] = "has been edited: its signature does not hold";
	enum err err = document_canonical(arena, document, &canonical, &canonical_size);
	if (err || canonical_size != size || memcmp(canonical, text, size) != 0 ||
		!take_hex(document, "signature", &signature, sizeof signature))
		return edited_for(err, folder, fault, info);
	json_object_del(document, "signature");
	err = document_canonical(arena, document, &canonical, &canonical_size);
	if (err || !sign_holds(key, BACKUP_FORMAT, canonical, canonical_size, &signature))
		return edited_for(err, folder, fault, info);
	return ERR_OK;
}

static enum err check_key(
	const char *folder, const struct sign_public *said, const struct sign_public *key, struct err_info *info)
{
	char hex[2 * sizeof *said + 1];
	return !key || memcmp(said, key, sizeof *key) == 0
		       ? ERR_OK
		       : err_set(info, ERR_BACKUP_STRANGER, NULL, "%s is signed by %s, which is not this node's key",
				 folder, hex_text(said, sizeof *said, hex));
}

enum err backup_manifest_read(struct backup_manifest *manifest, const char *folder, unsigned step,
	const struct sign_public *key, struct err_info *info)
{
	char *text = NULL;
	size_t size = 0;
	json_t *document = NULL;
	*manifest = (struct backup_manifest){.streams = NULL};
	struct arena *arena = arena_new(0);
	if (!arena)
		return no_memory(info);
	enum err err = read_text(folder, arena, &text, &size, info);
	enum err fault = err ? ERR_OK : document_parse(arena, text, size, &document, NULL);
	if (fault || (!err && !json_is_object(document)))
		err = edited_for(fault, folder, "is not the JSON that it was", info);
	fault = err ? ERR_OK : take_members(manifest, document);
	if (fault)
		err = edited_for(fault, folder, "is not one of this version", info);
	if (!err)
		err = check_signature(folder, document, &manifest->key, text, size, arena, info);
	if (!err && manifest->step != step)
		err = edited(folder, "is that of another step", info);
	if (!err)
		err = check_key(folder, &manifest->key, key, info);
	if (!err)
		manifest->sum = sha256_of(NULL, text, size);
	if (err)
		backup_manifest_free(manifest);
	arena_free(&arena);
	return err;
}

/* ---- folders ---- */

void backup_step_path(const char *folder, unsigned step, const char *ending, char ret_path[1024])
{
	snprintf(ret_path, 1024, "%s/%05u%s", folder, step, ending);
}

enum err backup_sync_folder(const char *folder, struct err_info *info)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err err = fd >= 0 && fsync(fd) == 0 ? ERR_OK : backup_io_fault(folder, info);
	if (fd >= 0)
		close(fd);
	return err;
}

void backup_step_delete(const char *path)
{
	DIR *listing = opendir(path);
	for (struct dirent *entry; listing && (entry = readdir(listing));)
		if (entry->d_name[0] != '.' && unlinkat(dirfd(listing), entry->d_name, 0) != 0)
			errno = 0; /* the next step says so */
	if (listing)
		closedir(listing);
	if (rmdir(path) != 0)
		errno = 0;
}

static bool is_step(const char *name, const char *ending, unsigned *ret_step)
{
	if (strspn(name, "0123456789") != 5 || strcmp(name + 5, ending) != 0)
		return false;
	*ret_step = (unsigned)strtoul(name, NULL, 10);
	return *ret_step >= 1;
}

static enum err look_at(
	const char *folder, const char *name, bool tidies, unsigned *count, unsigned *last, struct err_info *info)
{
	unsigned step = 0;
	if (is_step(name, "", &step)) {
		++*count;
		*last = step > *last ? step : *last;
	} else if (is_step(name, ".part", &step)) {
		char path[1024];
		backup_step_path(folder, step, ".part", path);
		if (tidies)
			backup_step_delete(path);
	} else if (name[0] != '.' && strcmp(name, "lost+found") != 0) {
		return err_set(info, ERR_DUPLICATE, NULL, "%s holds %s, which is no part of a backup", folder, name);
	}
	return ERR_OK;
}

enum err backup_steps(const char *folder, bool tidies, unsigned *ret_count, struct err_info *info)
{
	unsigned count = 0, last = 0;
	DIR *listing = opendir(folder);
	if (!listing)
		return backup_io_fault(folder, info);
	enum err err = ERR_OK;
	for (struct dirent *entry; (entry = readdir(listing)) && !err;)
		err = look_at(folder, entry->d_name, tidies, &count, &last, info);
	closedir(listing);
	for (unsigned step = 1; step <= last && !err && count != last; step++) {
		char path[1024];
		struct stat status;
		backup_step_path(folder, step, "", path);
		if (stat(path, &status) != 0)
			err = err_set(
				info, ERR_BACKUP_EDITED, NULL, "%s is missing: the steps after it hang on it", path);
	}
	*ret_count = last;
	return err;
}
