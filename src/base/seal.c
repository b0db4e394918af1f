/* The layout of a sealed value and what is authenticated with it: its own head and the context. Any thread. */
#include "carbond/base/seal.h"

#include <sodium.h>
#include <string.h>

#define VERSION    1
#define HEAD_BYTES 5 /* version, key number */
#define NONCE_AT   HEAD_BYTES
#define DATA_AT    (NONCE_AT + crypto_aead_xchacha20poly1305_ietf_NPUBBYTES)

_Static_assert(DATA_AT + crypto_aead_xchacha20poly1305_ietf_ABYTES == SEAL_OVERHEAD, "the layout in seal.h");

/* One hash stands for head and context, so that contexts of any length need no memory. */
static struct hash additional_data(const uint8_t *head, const char *context)
{
	struct sha256 state;
	sha256_start(&state, "carbond/seal/1");
	sha256_add(&state, head, HEAD_BYTES);
	sha256_add(&state, context, strlen(context));
	return sha256_end(&state);
}

void seal_close(const struct seal_key *key, const char *context, const void *data, size_t size, uint8_t *ret_sealed)
{
	ret_sealed[0] = VERSION;
	for (int i = 0; i < 4; i++)
		ret_sealed[1 + i] = (uint8_t)(key->number >> (8 * i));
	randombytes_buf(ret_sealed + NONCE_AT, DATA_AT - NONCE_AT);
	struct hash extra = additional_data(ret_sealed, context);
	crypto_aead_xchacha20poly1305_ietf_encrypt(ret_sealed + DATA_AT, NULL, data, size, extra.bytes,
		sizeof extra.bytes, NULL, ret_sealed + NONCE_AT, key->bytes);
}

static const struct seal_key *find_key(const struct seal_key *keys, size_t key_count, const uint8_t *sealed)
{
	uint32_t number = 0;
	for (int i = 0; i < 4; i++)
		number |= (uint32_t)sealed[1 + i] << (8 * i);
	for (size_t i = 0; i < key_count; i++)
		if (keys[i].number == number)
			return &keys[i];
	return NULL;
}

enum err seal_open(const struct seal_key *keys, size_t key_count, const char *context, const uint8_t *sealed,
	size_t size, struct arena *arena, uint8_t **ret_data, size_t *ret_size)
{
	if (size < SEAL_OVERHEAD || sealed[0] != VERSION)
		return ERR_BAD_SEAL;
	const struct seal_key *key = find_key(keys, key_count, sealed);
	if (!key)
		return ERR_BAD_SEAL;
	/* one byte more, so that a text is closed by a zero */
	uint8_t *data = arena_alloc(arena, size - SEAL_OVERHEAD + 1);
	if (!data)
		return ERR_NO_MEMORY;
	struct hash extra = additional_data(sealed, context);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(data, NULL, NULL, sealed + DATA_AT, size - DATA_AT, extra.bytes,
		    sizeof extra.bytes, sealed + NONCE_AT, key->bytes) != 0)
		return ERR_BAD_SEAL;
	*ret_data = data;
	*ret_size = size - SEAL_OVERHEAD;
	return ERR_OK;
}

struct hash seal_text_hash(const uint8_t salt[16], const char *text)
{
	struct sha256 state;
	sha256_start(&state, "carbond/vault/1");
	sha256_add(&state, salt, 16);
	sha256_add(&state, text, strlen(text));
	return sha256_end(&state);
}
