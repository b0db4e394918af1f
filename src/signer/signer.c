/* Decides which key may sign what, and keeps the keys. Any thread; keys are added before other threads know the signer. */
#include "carbond/signer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carbond/base/hash.h"

#define SEED_SIZE     32
#define DOMAINS_MAX   4
#define KEY_TEXT_SIZE (2 * SEED_SIZE + 2) /* with a line feed and one character too many */

/* The policy: a domain that is not in a key's row is not signed. */
static const struct {
	const char *name;
	const char *domains[DOMAINS_MAX]; /* NULL-terminated unless full */
} policy[SIGNER_USE_COUNT] = {
	[SIGNER_CHECKPOINT] = {"checkpoint", {SIGNER_CHECKPOINT_DOMAIN, SIGNER_BACKUP_DOMAIN}},
};

struct key {
	bool present;
	struct sign_secret secret;
	struct sign_public public;
};

struct signer {
	struct key keys[SIGNER_USE_COUNT];
};

struct signer *signer_new(void)
{
	return calloc(1, sizeof(struct signer));
}

void signer_free(struct signer **signer)
{
	if (!*signer)
		return;
	for (size_t i = 0; i < SIGNER_USE_COUNT; i++)
		sign_wipe(&(*signer)->keys[i].secret);
	free(*signer);
	*signer = NULL;
}

enum err signer_key_add(
	struct signer *signer, enum signer_use use, const struct sign_secret *secret, struct err_info *info)
{
	struct key *key = &signer->keys[use];
	if (key->present)
		return err_set(info, ERR_DUPLICATE, NULL, "there is a %s key already", policy[use].name);
	key->secret = *secret;
	/* seed ‖ public key */
	memcpy(key->public.bytes, secret->bytes + SEED_SIZE, sizeof key->public.bytes);
	key->present = true;
	return ERR_OK;
}

/* ---- key files ---- */

static enum err file_fault(const char *path, struct err_info *info)
{
	return err_set(info, ERR_IO, NULL, "%s: %s", path, strerror(errno));
}

static enum err read_seed(int fd, const char *path, uint8_t *ret_seed, struct err_info *info)
{
	char text[KEY_TEXT_SIZE];
	struct stat status;
	size_t size = 0;
	if (fstat(fd, &status) != 0)
		return file_fault(path, info);
	if ((status.st_mode & 077) != 0)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "%s must not be readable by others (chmod 600)", path);
	ssize_t length = read(fd, text, sizeof text);
	if (length < 0)
		return file_fault(path, info);
	if (length > 0 && text[length - 1] == '\n')
		length--;
	enum err err = hex_parse(text, (size_t)length, ret_seed, SEED_SIZE, &size);
	explicit_bzero(text, sizeof text);
	if (err || size != SEED_SIZE)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "%s must hold 64 hex digits", path);
	return ERR_OK;
}

static enum err sync_parent(const char *path, struct err_info *info)
{
	char *folder = strdup(path);
	if (!folder)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for a key");
	char *slash = strrchr(folder, '/');
	if (slash)
		*slash = 0;
	int fd = open(slash ? (folder[0] ? folder : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err err = fd >= 0 && fsync(fd) == 0 ? ERR_OK : file_fault(path, info);
	if (fd >= 0)
		close(fd);
	free(folder);
	return err;
}

/* Durably, before the key is used: a key that signed something and is lost could not be checked against its file. */
static enum err make_seed(const char *path, uint8_t *ret_seed, struct err_info *info)
{
	char text[KEY_TEXT_SIZE];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return file_fault(path, info);
	random_bytes(ret_seed, SEED_SIZE);
	hex_text(ret_seed, SEED_SIZE, text);
	text[2 * SEED_SIZE] = '\n';
	ssize_t size = 2 * SEED_SIZE + 1;
	enum err err = write(fd, text, (size_t)size) == size && fsync(fd) == 0 ? ERR_OK : file_fault(path, info);
	explicit_bzero(text, sizeof text);
	close(fd);
	if (err && unlink(path) != 0)
		errno = 0; /* the first fault is the one to tell */
	return err ? err : sync_parent(path, info);
}

enum err signer_key_load(struct signer *signer, enum signer_use use, const char *path, struct err_info *info)
{
	uint8_t seed[SEED_SIZE];
	struct sign_secret secret;
	struct sign_public public;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return file_fault(path, info);
	enum err err = fd >= 0 ? read_seed(fd, path, seed, info) : make_seed(path, seed, info);
	if (fd >= 0)
		close(fd);
	if (!err) {
		sign_keypair_from_seed(seed, &public, &secret);
		err = signer_key_add(signer, use, &secret, info);
		sign_wipe(&secret);
	}
	explicit_bzero(seed, sizeof seed);
	return err;
}

/* ---- use ---- */

static enum err find_key(
	const struct signer *signer, enum signer_use use, const struct key **ret_key, struct err_info *info)
{
	*ret_key = &signer->keys[use];
	return (*ret_key)->present ? ERR_OK
				   : err_set(info, ERR_NOT_FOUND, NULL, "there is no %s key", policy[use].name);
}

enum err signer_public(
	const struct signer *signer, enum signer_use use, struct sign_public *ret_key, struct err_info *info)
{
	const struct key *key = NULL;
	enum err err = find_key(signer, use, &key, info);
	if (!err)
		*ret_key = key->public;
	return err;
}

static bool may_sign(enum signer_use use, const char *domain)
{
	for (size_t i = 0; i < DOMAINS_MAX && policy[use].domains[i]; i++)
		if (strcmp(policy[use].domains[i], domain) == 0)
			return true;
	return false;
}

enum err signer_sign(const struct signer *signer, enum signer_use use, const char *domain, const void *data,
	size_t size, struct signature *ret_signature, struct err_info *info)
{
	const struct key *key = NULL;
	if (!may_sign(use, domain))
		return err_set(
			info, ERR_SIGNING_REFUSED, NULL, "a %s key does not sign under %s", policy[use].name, domain);
	enum err err = find_key(signer, use, &key, info);
	if (!err)
		*ret_signature = sign_make(&key->secret, domain, data, size);
	return err;
}
