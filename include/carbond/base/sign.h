/* Ed25519 (RFC 8032) by libsodium: keys of verifiers, operators and checkpoints. Any thread, after crypto_start. */
#ifndef CARBOND_BASE_SIGN_H
#define CARBOND_BASE_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/err.h"

struct sign_public {
	uint8_t bytes[32];
};
struct sign_secret {
	uint8_t bytes[64]; /* seed ‖ public key; wipe with sign_wipe */
};
struct signature {
	uint8_t bytes[64];
};

/* Initialises libsodium; call once at the start of each program. */
enum err crypto_start(void) MUST_CHECK;

/* A new key pair from the kernel's randomness. */
void sign_keypair(struct sign_public *ret_public, struct sign_secret *ret_secret);
/* From a 32-byte seed, so that tests and key files are repeatable. */
void sign_keypair_from_seed(const uint8_t seed[32], struct sign_public *ret_public, struct sign_secret *ret_secret);
/* Signs domain ‖ 0x00 ‖ data. */
struct signature sign_make(const struct sign_secret *secret, const char *domain, const void *data, size_t size);
bool sign_holds(const struct sign_public *key, const char *domain, const void *data, size_t size,
	const struct signature *signature);
void sign_wipe(struct sign_secret *secret);

void random_bytes(void *ret_data, size_t size); /* from the kernel */

#endif
