/* signer: holds signing keys and decides what each may sign. Today it is a library in the daemon's process, behind the door
 * that a separate process will have: keys go in once, nothing but signatures and public keys comes out. Any thread. */
#ifndef CARBOND_SIGNER_H
#define CARBOND_SIGNER_H

#include "carbond/base/sign.h"

struct signer;

/* What a key is for. The policy (signer.c) lists the domains that each may sign under. */
enum signer_use {
	SIGNER_CHECKPOINT, /* the node's own word on its logs: checkpoints of the audit trees, manifests of backups */
	SIGNER_USE_COUNT
};

#define SIGNER_CHECKPOINT_DOMAIN "carbond/checkpoint/1"
#define SIGNER_BACKUP_DOMAIN     "carbond/backup/2"

/* Without keys. NULL without memory. */
struct signer *signer_new(void);
/* Wipes the keys. NULL is allowed; the pointer becomes NULL. */
void signer_free(struct signer **signer);

/* Takes a copy of a key; one for each use. ERR_DUPLICATE. Before other threads know the signer. */
enum err signer_key_add(
	struct signer *signer, enum signer_use use, const struct sign_secret *secret, struct err_info *info) MUST_CHECK;
/* Loads the key from a file (64 hex digits: the seed; mode 0600 is required), or makes file and key when there is none.
 * ERR_INVALID_CONFIG, ERR_IO, ERR_DUPLICATE. */
enum err signer_key_load(
	struct signer *signer, enum signer_use use, const char *path, struct err_info *info) MUST_CHECK;

/* The public half. ERR_NOT_FOUND without such a key. */
enum err signer_public(const struct signer *signer, enum signer_use use, struct sign_public *ret_key,
	struct err_info *info) MUST_CHECK;

/* Signs domain ‖ 0x00 ‖ data. ERR_SIGNING_REFUSED where the key may not sign under this domain, ERR_NOT_FOUND without such
 * a key. */
enum err signer_sign(const struct signer *signer, enum signer_use use, const char *domain, const void *data,
	size_t size, struct signature *ret_signature, struct err_info *info) MUST_CHECK;

#endif
