/* Hashes: SHA-256 with a domain prefix everywhere (decision 3); keccak-256 only for what the chain reads. Hex text.
 * Any thread. */
#ifndef CARBOND_BASE_HASH_H
#define CARBOND_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/err.h"

struct hash {
	uint8_t bytes[32];
};

#define HASH_TEXT_SIZE 65

/* An incremental SHA-256 (nettle's state, sized here so that it can live on the stack). */
struct sha256 {
	uint64_t opaque[16];
};

/* Starts with `domain`, a NUL-terminated constant such as "carbond/bucket/1": the hash input begins with its bytes and one
 * zero byte. domain NULL: plain SHA-256. */
void sha256_start(struct sha256 *state, const char *domain);
void sha256_add(struct sha256 *state, const void *data, size_t size);
void sha256_add_u64(struct sha256 *state, uint64_t number); /* 8 bytes, little-endian */
struct hash sha256_end(struct sha256 *state);
struct hash sha256_of(const char *domain, const void *data, size_t size);

struct hash keccak256_of(const void *data, size_t size); /* Ethereum's padding, not SHA-3's */

bool hash_equal(struct hash a, struct hash b); /* constant time */
bool hash_is_none(struct hash hash);           /* all zero: absent */
char *hash_text(struct hash hash, char ret_text[HASH_TEXT_SIZE]);
enum err hash_parse(const char *text, struct hash *ret_hash) MUST_CHECK; /* 64 hex digits; ERR_INVALID_FIELD */

/* Hex and base64url (RFC 4648 §5, without padding) of any bytes. The writers need 2n+1 and 4⌈n/3⌉+1 characters; the
 * parsers return ERR_INVALID_FIELD for any other character, a bad length, or more than `capacity` bytes. */
char *hex_text(const void *data, size_t size, char *ret_text);
enum err hex_parse(const char *text, size_t length, void *ret_data, size_t capacity, size_t *ret_size) MUST_CHECK;
char *base64url_text(const void *data, size_t size, char *ret_text);
enum err base64url_parse(const char *text, size_t length, void *ret_data, size_t capacity, size_t *ret_size) MUST_CHECK;

#endif
