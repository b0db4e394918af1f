/* SHA-256 with and without domain, keccak-256, hex and base64url against published vectors. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "carbond/base/hash.h"

static void assert_hash(struct hash hash, const char *wanted)
{
	char text[HASH_TEXT_SIZE];
	assert_string_equal(hash_text(hash, text), wanted);
}

static void test_sha256_plain(void **state)
{
	(void)state; /* FIPS 180-4 examples */
	assert_hash(sha256_of(NULL, "", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_hash(sha256_of(NULL, "abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_sha256_domain(void **state)
{
	(void)state;
	struct hash with_domain = sha256_of("d", "abc", 3);
	assert_true(hash_equal(with_domain, sha256_of(NULL, "d\0abc", 5)));
	assert_false(hash_equal(with_domain, sha256_of(NULL, "dabc", 4)));
	struct sha256 parts;
	sha256_start(&parts, "d");
	sha256_add(&parts, "a", 1);
	sha256_add(&parts, NULL, 0);
	sha256_add(&parts, "bc", 2);
	assert_true(hash_equal(with_domain, sha256_end(&parts)));
	sha256_start(&parts, NULL);
	sha256_add_u64(&parts, 0x0102030405060708);
	assert_true(hash_equal(sha256_end(&parts), sha256_of(NULL, "\x08\x07\x06\x05\x04\x03\x02\x01", 8)));
}

static void test_keccak256(void **state)
{
	(void)state; /* Ethereum's; SHA-3 would give a7ffc6f8… for nothing */
	assert_hash(keccak256_of("", 0), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
	assert_hash(keccak256_of("abc", 3), "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
	assert_hash(keccak256_of("Transfer(address,address,uint256)", 33),
		"ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
	/* one byte short of a block, a whole block, one more: the padding's three shapes differ from each other */
	char block[137];
	memset(block, 'a', sizeof block);
	struct hash short_one = keccak256_of(block, 135), whole = keccak256_of(block, 136),
		    more = keccak256_of(block, 137);
	assert_hash(short_one, "34367dc248bbd832f4e3e69dfaac2f92638bd0bbd18f2912ba4ef454919cf446");
	assert_hash(whole, "a6c4d403279fe3e0af03729caada8374b5ca54d8065329a3ebcaeb4b60aa386e");
	assert_hash(more, "d869f639c7046b4929fc92a4d988a8b22c55fbadb802c0c66ebcd484f1915f39");
}

static void test_text(void **state)
{
	(void)state;
	struct hash hash, other;
	char text[HASH_TEXT_SIZE];
	for (int i = 0; i < 32; i++)
		hash.bytes[i] = (uint8_t)(i * 7);
	assert_int_equal(hash_parse(hash_text(hash, text), &other), ERR_OK);
	assert_true(hash_equal(hash, other));
	text[10] = 'A';
	text[11] = 'f';
	assert_int_equal(hash_parse(text, &other), ERR_OK);
	text[63] = 'g';
	assert_int_equal(hash_parse(text, &other), ERR_INVALID_FIELD);
	text[63] = 0;
	assert_int_equal(hash_parse(text, &other), ERR_INVALID_FIELD);
	assert_true(hash_is_none((struct hash){{0}}));
	assert_false(hash_is_none(hash));
}

static void test_base64url(void **state)
{
	(void)state; /* RFC 4648 §10, without padding, and the two characters of its §5 */
	static const struct {
		const char *data, *text;
	} cases[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"},
		{"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[16], data[16];
		size_t size = strlen(cases[i].data), parsed;
		assert_string_equal(base64url_text(cases[i].data, size, text), cases[i].text);
		assert_int_equal(base64url_parse(text, strlen(text), data, sizeof data, &parsed), ERR_OK);
		assert_int_equal(parsed, size);
		assert_memory_equal(data, cases[i].data, size);
	}
	char data[4];
	size_t size;
	static const char *const bad[] = {"Z", "Zg==", "Zh", "Z+", "Zm9", "Zm9vY"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(base64url_parse(bad[i], strlen(bad[i]), data, sizeof data, &size), ERR_INVALID_FIELD);
	assert_int_equal(base64url_parse("Zm9vYg", 6, data, 3, &size), ERR_INVALID_FIELD);
	assert_int_equal(hex_parse("0g", 2, data, 4, &size), ERR_INVALID_FIELD);
	assert_int_equal(hex_parse("012", 3, data, 4, &size), ERR_INVALID_FIELD);
	assert_int_equal(hex_parse("0102", 4, data, 1, &size), ERR_INVALID_FIELD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_sha256_plain), cmocka_unit_test(test_sha256_domain),
		cmocka_unit_test(test_keccak256), cmocka_unit_test(test_text), cmocka_unit_test(test_base64url)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
