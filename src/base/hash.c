/* SHA-256 by nettle, which uses the processor's instructions for it (1,300 MB/s where libsodium does 300), keccak-256 by its
 * permutation (neither OpenSSL 3.0 nor libsodium has it), and the two text forms of bytes. Any thread. */
#include "carbond/base/hash.h"

#include <nettle/sha2.h>
#include <nettle/sha3.h>
#include <string.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(struct sha256), "struct sha256 holds nettle's state");
_Static_assert(_Alignof(struct sha256_ctx) <= _Alignof(struct sha256), "struct sha256 is aligned for it");

static struct sha256_ctx *inner(struct sha256 *state)
{
	return (struct sha256_ctx *)(void *)state->opaque;
}

void sha256_start(struct sha256 *state, const char *domain)
{
	sha256_init(inner(state));
	if (domain)
		sha256_add(state, domain, strlen(domain) + 1);
}

void sha256_add(struct sha256 *state, const void *data, size_t size)
{
	if (size)
		sha256_update(inner(state), size, data);
}

void sha256_add_u64(struct sha256 *state, uint64_t number)
{
	uint8_t bytes[8];
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(number >> (8 * i));
	sha256_add(state, bytes, sizeof bytes);
}

struct hash sha256_end(struct sha256 *state)
{
	struct hash hash;
	sha256_digest(inner(state), sizeof hash.bytes, hash.bytes);
	return hash;
}

struct hash sha256_of(const char *domain, const void *data, size_t size)
{
	struct sha256 state;
	sha256_start(&state, domain);
	sha256_add(&state, data, size);
	return sha256_end(&state);
}

#define KECCAK_RATE 136 /* bytes absorbed between permutations: 200 − 2 × 32 */

static void absorb(struct sha3_state *state, const uint8_t *block)
{
	for (unsigned i = 0; i < KECCAK_RATE; i++)
		state->a[i / 8] ^= (uint64_t)block[i] << (8 * (i % 8));
	sha3_permute(state);
}

struct hash keccak256_of(const void *data, size_t size)
{
	struct sha3_state state = {{0}};
	const uint8_t *at = data;
	for (; size >= KECCAK_RATE; size -= KECCAK_RATE, at += KECCAK_RATE)
		absorb(&state, at);
	uint8_t last[KECCAK_RATE] = {0};
	if (size)
		memcpy(last, at, size);
	last[size] = 0x01; /* the original padding; SHA-3 has 0x06 */
	last[KECCAK_RATE - 1] |= 0x80;
	absorb(&state, last);
	struct hash hash;
	for (unsigned i = 0; i < sizeof hash.bytes; i++)
		hash.bytes[i] = (uint8_t)(state.a[i / 8] >> (8 * (i % 8)));
	return hash;
}

/* In four words and without a branch on any of them: takes as long for nearly equal hashes as for others. */
bool hash_equal(struct hash a, struct hash b)
{
	uint64_t x[4], y[4];
	_Static_assert(sizeof x == sizeof a.bytes, "a hash is four words");
	memcpy(x, a.bytes, sizeof x);
	memcpy(y, b.bytes, sizeof y);
	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}

bool hash_is_none(struct hash hash)
{
	return hash_equal(hash, (struct hash){0});
}

char *hash_text(struct hash hash, char ret_text[HASH_TEXT_SIZE])
{
	return hex_text(hash.bytes, sizeof hash.bytes, ret_text);
}

enum err hash_parse(const char *text, struct hash *ret_hash)
{
	struct hash hash;
	size_t size, length = strnlen(text, HASH_TEXT_SIZE);
	if (length != HASH_TEXT_SIZE - 1)
		return ERR_INVALID_FIELD;
	enum err err = hex_parse(text, length, hash.bytes, sizeof hash.bytes, &size);
	if (err == ERR_OK)
		*ret_hash = hash;
	return err;
}

char *hex_text(const void *data, size_t size, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = data;
	for (size_t i = 0; i < size; i++) {
		ret_text[2 * i] = digits[bytes[i] >> 4];
		ret_text[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret_text[2 * size] = 0;
	return ret_text;
}

/* Value + 1 of a hexadecimal digit, 0 for what is none. */
static const uint8_t hex_digits[256] = {['0'] = 1,
	['1'] = 2,
	['2'] = 3,
	['3'] = 4,
	['4'] = 5,
	['5'] = 6,
	['6'] = 7,
	['7'] = 8,
	['8'] = 9,
	['9'] = 10,
	['a'] = 11,
	['b'] = 12,
	['c'] = 13,
	['d'] = 14,
	['e'] = 15,
	['f'] = 16,
	['A'] = 11,
	['B'] = 12,
	['C'] = 13,
	['D'] = 14,
	['E'] = 15,
	['F'] = 16};

enum err hex_parse(const char *text, size_t length, void *ret_data, size_t capacity, size_t *ret_size)
{
	uint8_t *bytes = ret_data;
	if (length % 2 || length / 2 > capacity)
		return ERR_INVALID_FIELD;
	for (size_t i = 0; i < length / 2; i++) {
		unsigned high = hex_digits[(unsigned char)text[2 * i]],
			 low = hex_digits[(unsigned char)text[2 * i + 1]];
		if (high == 0 || low == 0)
			return ERR_INVALID_FIELD;
		bytes[i] = (uint8_t)((high - 1) << 4 | (low - 1));
	}
	*ret_size = length / 2;
	return ERR_OK;
}

char *base64url_text(const void *data, size_t size, char *ret_text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const uint8_t *bytes = data;
	char *at = ret_text;
	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t group = (uint32_t)bytes[i] << 16;
		group |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
		group |= left > 2 ? bytes[i + 2] : 0;
		*at++ = digits[group >> 18];
		*at++ = digits[group >> 12 & 63];
		if (left > 1)
			*at++ = digits[group >> 6 & 63];
		if (left > 2)
			*at++ = digits[group & 63];
	}
	*at = 0;
	return ret_text;
}

static int base64url_digit(char character)
{
	if (character >= 'A' && character <= 'Z')
		return character - 'A';
	if (character >= 'a' && character <= 'z')
		return character - 'a' + 26;
	if (character >= '0' && character <= '9')
		return character - '0' + 52;
	return character == '-' ? 62 : character == '_' ? 63 : -1;
}

enum err base64url_parse(const char *text, size_t length, void *ret_data, size_t capacity, size_t *ret_size)
{
	uint8_t *bytes = ret_data;
	size_t size = length / 4 * 3 + (length % 4 ? length % 4 - 1 : 0);
	if (length % 4 == 1 || size > capacity)
		return ERR_INVALID_FIELD;
	uint32_t group = 0;
	int bits = 0;
	size_t written = 0;
	for (size_t i = 0; i < length; i++) {
		int digit = base64url_digit(text[i]);
		if (digit < 0)
			return ERR_INVALID_FIELD;
		group = group << 6 | (uint32_t)digit;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			bytes[written++] = (uint8_t)(group >> bits);
		}
		group &= (1u << bits) - 1;
	}
	if (group) /* left-over bits that are not zero: two texts would stand for the same bytes */
		return ERR_INVALID_FIELD;
	*ret_size = written;
	return ERR_OK;
}
