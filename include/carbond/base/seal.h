/* Sealing: XChaCha20-Poly1305 (libsodium) for the vault and other fields marked SEALED. A sealed value is
 * version(1) ‖ key number(4, LE) ‖ nonce(24) ‖ ciphertext ‖ tag(16). Any thread. */
#ifndef CARBOND_BASE_SEAL_H
#define CARBOND_BASE_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "carbond/base/arena.h"
#include "carbond/base/hash.h"

#define SEAL_OVERHEAD 45

struct seal_key {
	uint32_t number; /* which key of the key file, so that keys can be rotated */
	uint8_t bytes[32];
};

/* Seals `size` bytes; `context` (collection, field and row key as text) is authenticated with them, so a value cannot be
 * moved to another row. ret_sealed needs size + SEAL_OVERHEAD bytes. */
void seal_close(const struct seal_key *key, const char *context, const void *data, size_t size, uint8_t *ret_sealed);

/* Opens into the arena; ERR_BAD_SEAL for another key, context or any flipped bit. */
enum err seal_open(const struct seal_key *keys, size_t key_count, const char *context, const uint8_t *sealed,
	size_t size, struct arena *arena, uint8_t **ret_data, size_t *ret_size) MUST_CHECK;

/* A salted hash of personal text for the logs: SHA-256("carbond/vault/1" ‖ 0 ‖ salt ‖ text). Destroying the salt erases
 * the text (decision 7). */
struct hash seal_text_hash(const uint8_t salt[16], const char *text);

#endif
