/* Ed25519: keys of RFC 8032, signatures over domain ‖ 0 ‖ data as an independent signer makes them, and what must fail. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "carbond/base/hash.h"
#include "carbond/base/sign.h"

static void parse(const char *text, void *ret, size_t size)
{
	size_t parsed;
	assert_int_equal(hex_parse(text, strlen(text), ret, size, &parsed), ERR_OK);
	assert_int_equal(parsed, size);
}

/* RFC 8032 §7.1, tests 1 to 3: seed and public key. */
static const char *const keys[][2] = {{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
					      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
	{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"},
	{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
		"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"}};

static void test_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		uint8_t seed[32], wanted[32];
		struct sign_public public;
		struct sign_secret secret;
		parse(keys[i][0], seed, 32);
		parse(keys[i][1], wanted, 32);
		sign_keypair_from_seed(seed, &public, &secret);
		assert_memory_equal(public.bytes, wanted, 32);
		assert_memory_equal(secret.bytes, seed, 32);
		sign_wipe(&secret);
		assert_true(hash_is_none(*(struct hash *)secret.bytes));
	}
}

static void test_signature(void **state)
{
	(void)state;
	uint8_t seed[32];
	struct sign_public public, other_public;
	struct sign_secret secret, other_secret;
	parse(keys[0][0], seed, 32);
	sign_keypair_from_seed(seed, &public, &secret);
	/* made by Python's cryptography over b"carbond/test/1\0hello" */
	uint8_t wanted[64];
	parse("00335d6b0b90b53871bbf7263f1bc21a3e740b924bc59e5549842351f972fe7e"
	      "01c18381b77bd794d299c64245359eb9a34f1d1ccd12c9a255b3798c69919c02",
		wanted, 64);
	struct signature signature = sign_make(&secret, "carbond/test/1", "hello", 5);
	assert_memory_equal(signature.bytes, wanted, 64);
	assert_true(sign_holds(&public, "carbond/test/1", "hello", 5, &signature));
	assert_false(sign_holds(&public, "carbond/test/2", "hello", 5, &signature));
	assert_false(sign_holds(&public, "carbond/test/1", "hellp", 5, &signature));
	assert_false(sign_holds(&public, "carbond/test/1", "hell", 4, &signature));
	sign_keypair(&other_public, &other_secret);
	assert_false(sign_holds(&other_public, "carbond/test/1", "hello", 5, &signature));
	for (int i = 0; i < 64; i++) {
		signature.bytes[i] ^= 4;
		assert_false(sign_holds(&public, "carbond/test/1", "hello", 5, &signature));
		signature.bytes[i] ^= 4;
	}
	/* longer than what is put together on the stack */
	static char large[5000];
	signature = sign_make(&secret, "d", large, sizeof large);
	assert_true(sign_holds(&public, "d", large, sizeof large, &signature));
	large[4999] = 1;
	assert_false(sign_holds(&public, "d", large, sizeof large, &signature));
}

static int start(void **state)
{
	(void)state;
	return crypto_start();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys), cmocka_unit_test(test_signature)};
	return cmocka_run_group_tests(tests, start, NULL);
}
