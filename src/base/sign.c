/* Ed25519 by libsodium over domain ‖ 0x00 ‖ data, so that a signature for one purpose never serves another. Any thread. */
#include "carbond/base/sign.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_MESSAGE_BYTES \
	1024 /* roots, checkpoints and attestations fit; longer messages are put together on the heap */

enum err crypto_start(void)
{
	return sodium_init() < 0 ? ERR_INTERNAL : ERR_OK;
}

void sign_keypair(struct sign_public *ret_public, struct sign_secret *ret_secret)
{
	crypto_sign_keypair(ret_public->bytes, ret_secret->bytes);
}

void sign_keypair_from_seed(const uint8_t seed[32], struct sign_public *ret_public, struct sign_secret *ret_secret)
{
	crypto_sign_seed_keypair(ret_public->bytes, ret_secret->bytes, seed);
}

/* domain ‖ 0x00 ‖ data in `small` or on the heap; NULL without memory. */
static uint8_t *message_new(
	const char *domain, const void *data, size_t size, uint8_t small[SMALL_MESSAGE_BYTES], size_t *ret_size)
{
	size_t prefix = strlen(domain) + 1;
	*ret_size = prefix + size;
	uint8_t *message = *ret_size <= SMALL_MESSAGE_BYTES ? small : malloc(*ret_size);
	if (!message)
		return NULL;
	memcpy(message, domain, prefix);
	if (size)
		memcpy(message + prefix, data, size);
	return message;
}

static void message_free(uint8_t *message, const uint8_t *small)
{
	if (message != small)
		free(message);
}

struct signature sign_make(const struct sign_secret *secret, const char *domain, const void *data, size_t size)
{
	uint8_t small[SMALL_MESSAGE_BYTES];
	size_t message_size;
	uint8_t *message = message_new(domain, data, size, small, &message_size);
	if (!message)
		abort(); /* only for messages beyond SMALL_MESSAGE_BYTES; a wrong signature would be worse */
	struct signature signature;
	crypto_sign_detached(signature.bytes, NULL, message, message_size, secret->bytes);
	message_free(message, small);
	return signature;
}

bool sign_holds(const struct sign_public *key, const char *domain, const void *data, size_t size,
	const struct signature *signature)
{
	uint8_t small[SMALL_MESSAGE_BYTES];
	size_t message_size;
	uint8_t *message = message_new(domain, data, size, small, &message_size);
	if (!message)
		return false;
	bool holds = crypto_sign_verify_detached(signature->bytes, message, message_size, key->bytes) == 0;
	message_free(message, small);
	return holds;
}

void sign_wipe(struct sign_secret *secret)
{
	sodium_memzero(secret->bytes, sizeof secret->bytes);
}

void random_bytes(void *ret_data, size_t size)
{
	randombytes_buf(ret_data, size);
}
