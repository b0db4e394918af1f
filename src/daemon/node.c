/* What makes a data directory this node's: node.json (its name and the registry's id), seal.keys and checkpoint.key. They are
 * made once, durably, readable by the owner alone, and never replaced. Main thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"

#define NODE_FILE_BYTES_MAX 8192

static const char *const key_files[] = {"seal.keys", "checkpoint.key", NULL};

static enum err io_failed(const char *what, const char *path, struct err_info *info)
{
	return err_set(info, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, NULL, "%s %s: %s", what, path, strerror(errno));
}

static bool exists(const char *folder, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

static bool write_all(int file, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t written = write(file, text, size);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		text += written;
		size -= (size_t)written;
	}
	return true;
}

/* A new file that is there in full or not at all, also after a power cut. One that exists stays. */
static enum err write_new(const char *folder, const char *name, const char *text, struct err_info *info)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	int file, directory;
	bool good;

	if (exists(folder, name))
		return ERR_OK;
	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path) ||
		snprintf(temporary, sizeof(temporary), "%s/%s.new", folder, name) >= (int)sizeof(temporary))
		return err_set(info, ERR_INVALID_CONFIG, NULL, "the path of %s is too long", name);
	file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file < 0)
		return io_failed("cannot write", temporary, info);
	good = write_all(file, text, strlen(text)) && fsync(file) == 0;
	if (close(file) != 0 || !good || rename(temporary, path) != 0)
		return io_failed("cannot write", path, info);
	directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return io_failed("cannot open", folder, info);
	good = fsync(directory) == 0;
	close(directory);
	return good ? ERR_OK : io_failed("cannot sync", folder, info);
}

/* A whole small file into `ret_text`, NUL-terminated. `secret`: refused where anybody else may read it. */
static enum err read_small(
	const char *folder, const char *name, bool secret, char ret_text[NODE_FILE_BYTES_MAX], struct err_info *info)
{
	char path[PATH_MAX];
	struct stat status;
	ssize_t size;
	int file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (file < 0 && errno == ENOENT)
		return err_set(info, ERR_INVALID_CONFIG, NULL,
			"%s is not there: `carbond init` makes the data directory", path);
	if (file < 0)
		return io_failed("cannot read", path, info);
	if (fstat(file, &status) != 0 || (secret && (status.st_mode & 077))) {
		close(file);
		return err_set(
			info, ERR_INVALID_CONFIG, NULL, "%s must be readable by its owner alone (chmod 600)", path);
	}
	size = read(file, ret_text, NODE_FILE_BYTES_MAX - 1);
	close(file);
	if (size < 0)
		return io_failed("cannot read", path, info);
	ret_text[size] = '\0';
	return ERR_OK;
}

static enum err read_identity(const char *folder, struct node_identity *ret_identity, struct err_info *info)
{
	static const struct field fields[] = {
		FIELD_AS(struct node_identity, registry, "registry", FIELD_ID, .flags = FIELD_REQUIRED),
		FIELD_AS(struct node_identity, created_at, "created_at", FIELD_TIME, .flags = FIELD_REQUIRED),
		FIELD_END};
	char text[NODE_FILE_BYTES_MAX];
	struct arena *arena = arena_new(0);
	json_t *document;
	const char *node;
	enum err err = arena ? read_small(folder, "node.json", false, text, info) : ERR_NO_MEMORY;

	if (err)
		goto out;
	err = document_parse(arena, text, strlen(text), &document, info);
	if (err)
		goto out;
	node = json_string_value(json_object_get(document, "node"));
	if (!node || strlen(node) >= sizeof(ret_identity->node)) {
		err = err_set(info, ERR_INVALID_CONFIG, NULL, "%s/node.json has no name of the node", folder);
		goto out;
	}
	snprintf(ret_identity->node, sizeof(ret_identity->node), "%s", node);
	json_object_del(document, "node");
	err = field_read(fields, FIELD_CREATE, document, "", arena, ret_identity, info);
out:
	arena_free(&arena);
	return err;
}

/* Lines "<number> <64 hex digits>"; the first one seals. */
static enum err read_seal_keys(const char *folder, struct node_identity *ret_identity, struct err_info *info)
{
	char text[NODE_FILE_BYTES_MAX];
	enum err err = read_small(folder, "seal.keys", true, text, info);
	size_t count = 0;
	char *rest = text;

	for (char *line; !err && (line = strsep(&rest, "\n"));) {
		struct seal_key *key = &ret_identity->seal_keys[count];
		unsigned number;
		size_t size = 0;
		int at = 0;
		if (!*line || *line == '#')
			continue;
		if (count == NODE_SEAL_KEYS_MAX || sscanf(line, "%u %n", &number, &at) != 1 || at == 0 ||
			hex_parse(line + at, strlen(line + at), key->bytes, sizeof(key->bytes), &size) ||
			size != sizeof(key->bytes)) {
			err = err_set(info, ERR_INVALID_CONFIG, NULL,
				"%s/seal.keys: line %zu must be a number and 64 hex digits; %d keys at most", folder,
				count + 1, NODE_SEAL_KEYS_MAX);
			break;
		}
		key->number = number;
		count++;
	}
	explicit_bzero(text, sizeof(text));
	if (!err && count == 0)
		err = err_set(info, ERR_INVALID_CONFIG, NULL, "%s/seal.keys holds no key", folder);
	ret_identity->seal_key_count = count;
	return err;
}

static enum err read_checkpoint_key(const char *folder, struct node_identity *ret_identity, struct err_info *info)
{
	char text[NODE_FILE_BYTES_MAX];
	uint8_t seed[32];
	size_t size = 0;
	struct sign_public public;
	enum err err = read_small(folder, "checkpoint.key", true, text, info);

	if (err)
		return err;
	text[strcspn(text, "\n")] = '\0';
	if (hex_parse(text, strlen(text), seed, sizeof(seed), &size) || size != sizeof(seed))
		err = err_set(info, ERR_INVALID_CONFIG, NULL, "%s/checkpoint.key must hold 64 hex digits", folder);
	else
		sign_keypair_from_seed(seed, &public, &ret_identity->checkpoint_key);
	explicit_bzero(seed, sizeof(seed));
	explicit_bzero(text, sizeof(text));
	return err;
}

enum err node_read(const char *folder, const char *node, struct node_identity *ret_identity, struct err_info *info)
{
	enum err err;

	*ret_identity = (struct node_identity){0};
	err = read_identity(folder, ret_identity, info);
	if (!err && strcmp(ret_identity->node, node) != 0)
		err = err_set(info, ERR_INVALID_CONFIG, NULL,
			"%s belongs to node %s, not to %s: a node keeps its name for its streams", folder,
			ret_identity->node, node);
	if (!err)
		err = read_seal_keys(folder, ret_identity, info);
	if (!err)
		err = read_checkpoint_key(folder, ret_identity, info);
	if (err)
		node_wipe(ret_identity);
	return err;
}

enum err node_identity_read(const char *folder, struct node_identity *ret_identity, struct err_info *info)
{
	*ret_identity = (struct node_identity){0};
	return read_identity(folder, ret_identity, info);
}

bool node_public_key(const char *folder, struct sign_public *ret_key)
{
	struct node_identity identity;
	bool there = read_checkpoint_key(folder, &identity, NULL) == ERR_OK;

	if (there) /* seed ‖ public key */
		memcpy(ret_key, identity.checkpoint_key.bytes + sizeof(identity.checkpoint_key) - sizeof(*ret_key),
			sizeof(*ret_key));
	node_wipe(&identity);
	return there;
}

static enum err make_folder(const char *folder, struct err_info *info)
{
	char path[PATH_MAX];
	size_t length = strlen(folder);

	if (length == 0 || length >= sizeof(path))
		return err_set(info, ERR_INVALID_CONFIG, NULL, "data_dir is too long");
	memcpy(path, folder, length + 1);
	for (char *at = path + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			return io_failed("cannot make", path, info);
		*at = '/';
	}
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return io_failed("cannot make", path, info);
	return ERR_OK;
}

/* Last: with it the directory counts as made. */
static enum err write_identity(
	const char *folder, const char *node, struct id registry, int64_t made_us, struct err_info *info)
{
	char text[512], id[ID_TEXT_SIZE], made[CLOCK_TEXT_SIZE];

	snprintf(text, sizeof(text), "{\"node\": \"%s\", \"registry\": \"%s\", \"created_at\": \"%s\"}\n", node,
		id_text(registry, id), clock_text(made_us, made));
	return write_new(folder, "node.json", text, info);
}

enum err node_create(const char *folder, const char *node, int64_t now_us, struct err_info *info)
{
	char text[512], hex[65];
	uint8_t key[32];
	enum err err = make_folder(folder, info);

	if (err)
		return err;
	random_bytes(key, sizeof(key));
	snprintf(text, sizeof(text), "1 %s\n", hex_text(key, sizeof(key), hex));
	err = write_new(folder, "seal.keys", text, info);
	random_bytes(key, sizeof(key));
	snprintf(text, sizeof(text), "%s\n", hex_text(key, sizeof(key), hex));
	if (!err)
		err = write_new(folder, "checkpoint.key", text, info);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(hex, sizeof(hex));
	explicit_bzero(text, sizeof(text));
	return err ? err : write_identity(folder, node, id_new(now_us), now_us, info);
}

void node_wipe(struct node_identity *identity)
{
	explicit_bzero(identity, sizeof(*identity));
}

static enum err copy_file(const char *from, const char *to, const char *name, bool secret, struct err_info *info)
{
	char text[NODE_FILE_BYTES_MAX];
	enum err err = read_small(from, name, secret, text, info);

	if (!err)
		err = write_new(to, name, text, info);
	explicit_bzero(text, sizeof(text));
	return err;
}

enum err node_copy(const char *from, const char *to, bool keys, struct err_info *info)
{
	enum err err = copy_file(from, to, "node.json", false, info);

	for (size_t i = 0; keys && !err && key_files[i]; i++)
		err = copy_file(from, to, key_files[i], true, info);
	return err;
}

enum err node_join(const char *folder, const char *node, const char *from, struct err_info *info)
{
	struct node_identity other;
	enum err err = node_identity_read(from, &other, info);

	if (!err && strcmp(other.node, node) == 0)
		err = err_set(info, ERR_INVALID_CONFIG, NULL, "%s is node %s: a further node needs a name of its own",
			from, node);
	if (!err && exists(folder, "node.json"))
		err = err_set(info, ERR_INVALID_CONFIG, NULL, "%s has been initialised before", folder);
	if (!err)
		err = make_folder(folder, info);
	for (size_t i = 0; !err && key_files[i]; i++)
		err = copy_file(from, folder, key_files[i], true, info);
	return err ? err : write_identity(folder, node, other.registry, other.created_at, info);
}
