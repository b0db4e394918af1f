/* Sealed values open with their key and context only, and any flipped bit is found. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "carbond/base/seal.h"
#include "carbond/base/sign.h"

static void test_seal(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	struct seal_key keys[2] = {{.number = 7}, {.number = 70000}};
	random_bytes(keys[0].bytes, 32);
	random_bytes(keys[1].bytes, 32);
	uint8_t sealed[SEAL_OVERHEAD + 5], again[SEAL_OVERHEAD + 5], *data;
	size_t size;
	seal_close(&keys[1], "vault.text/1", "hello", 5, sealed);
	seal_close(&keys[1], "vault.text/1", "hello", 5, again);
	assert_memory_not_equal(sealed, again, sizeof sealed);
	assert_int_equal(seal_open(keys, 2, "vault.text/1", sealed, sizeof sealed, arena, &data, &size), ERR_OK);
	assert_int_equal(size, 5);
	assert_string_equal((char *)data, "hello");
	assert_int_equal(seal_open(keys, 2, "vault.text/2", sealed, sizeof sealed, arena, &data, &size), ERR_BAD_SEAL);
	assert_int_equal(seal_open(keys, 1, "vault.text/1", sealed, sizeof sealed, arena, &data, &size), ERR_BAD_SEAL);
	assert_int_equal(
		seal_open(keys, 2, "vault.text/1", sealed, SEAL_OVERHEAD - 1, arena, &data, &size), ERR_BAD_SEAL);
	for (size_t i = 0; i < sizeof sealed * 8; i++) {
		sealed[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(
			seal_open(keys, 2, "vault.text/1", sealed, sizeof sealed, arena, &data, &size), ERR_BAD_SEAL);
		sealed[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	uint8_t empty[SEAL_OVERHEAD];
	seal_close(&keys[0], "", NULL, 0, empty);
	assert_int_equal(seal_open(keys, 2, "", empty, sizeof empty, arena, &data, &size), ERR_OK);
	assert_int_equal(size, 0);
	arena_free(&arena);
}

static void test_text_hash(void **state)
{
	(void)state;
	uint8_t salt[16] = {1}, other[16] = {2};
	struct hash hash = seal_text_hash(salt, "Ada");
	assert_true(hash_equal(hash, seal_text_hash(salt, "Ada")));
	assert_false(hash_equal(hash, seal_text_hash(other, "Ada")));
	assert_false(hash_equal(hash, seal_text_hash(salt, "Bob")));
	assert_true(hash_equal(hash, sha256_of("carbond/vault/1", "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0Ada", 19)));
}

static int start(void **state)
{
	(void)state;
	return crypto_start();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_seal), cmocka_unit_test(test_text_hash)};
	return cmocka_run_group_tests(tests, start, NULL);
}
