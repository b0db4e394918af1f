/* RFC 6962 trees: the certificate-transparency reference roots, every proof of every tree up to 70 leaves, and that a
 * flipped bit, another index or another size fails. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "carbond/base/merkle.h"

enum { MOST = 70 };

static struct hash leaves[MOST];

/* The inputs of certificate-transparency's merkle_tree_test. */
static const struct {
	const char *data;
	size_t size;
} inputs[] = {{"", 0}, {"\x00", 1}, {"\x10", 1}, {"\x20\x21", 2}, {"\x30\x31", 2}, {"\x40\x41\x42\x43", 4},
	{"\x50\x51\x52\x53\x54\x55\x56\x57", 8},
	{"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16}};
static const char *const roots[] = {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

static void test_reference_roots(void **state)
{
	(void)state;
	struct hash hashes[8];
	struct merkle_edge edge = {.size = 0};
	char text[HASH_TEXT_SIZE];
	assert_string_equal(hash_text(merkle_root(NULL, 0), text),
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < 8; i++) {
		hashes[i] = merkle_leaf(inputs[i].data, inputs[i].size);
		merkle_add(&edge, hashes[i]);
		assert_string_equal(hash_text(merkle_edge_root(&edge), text), roots[i]);
		assert_string_equal(hash_text(merkle_root(hashes, i + 1), text), roots[i]);
	}
}

static void test_inclusion(void **state)
{
	(void)state;
	for (size_t size = 1; size <= MOST; size++) {
		struct hash root = merkle_root(leaves, size);
		for (size_t index = 0; index < size; index++) {
			struct merkle_proof proof;
			merkle_inclusion(leaves, index, size, &proof);
			assert_true(merkle_inclusion_holds(leaves[index], index, size, &proof, root));
			assert_false(merkle_inclusion_holds(leaves[index], size, size, &proof, root));
			if (size > 1) {
				assert_false(
					merkle_inclusion_holds(leaves[index], (index + 1) % size, size, &proof, root));
				assert_false(
					merkle_inclusion_holds(leaves[(index + 1) % size], index, size, &proof, root));
			}
			for (size_t i = 0; i < proof.count; i++) {
				proof.hashes[i].bytes[31] ^= 1;
				assert_false(merkle_inclusion_holds(leaves[index], index, size, &proof, root));
				proof.hashes[i].bytes[31] ^= 1;
			}
			proof.hashes[proof.count++] = root;
			assert_false(merkle_inclusion_holds(leaves[index], index, size, &proof, root));
		}
	}
}

/* A proof that stops below the root leads to a subtree's root, which is no root of the tree. */
static void test_cut_proof(void **state)
{
	(void)state;
	struct merkle_proof proof;
	merkle_inclusion(leaves, 0, 4, &proof);
	proof.count = 1;
	assert_false(merkle_inclusion_holds(leaves[0], 0, 4, &proof, merkle_root(leaves, 2)));
	proof.count = 0;
	assert_false(merkle_inclusion_holds(leaves[0], 0, 4, &proof, leaves[0]));
	merkle_consistency(leaves, 2, 8, &proof);
	proof.count--;
	assert_false(merkle_consistency_holds(2, 8, merkle_root(leaves, 2), merkle_root(leaves, 4), &proof));
}

static void test_consistency(void **state)
{
	(void)state;
	for (size_t second = 1; second <= MOST; second++) {
		struct hash second_root = merkle_root(leaves, second);
		for (size_t first = 1; first <= second; first++) {
			struct hash first_root = merkle_root(leaves, first), wrong = first_root;
			struct merkle_proof proof;
			merkle_consistency(leaves, first, second, &proof);
			assert_true(merkle_consistency_holds(first, second, first_root, second_root, &proof));
			wrong.bytes[0] ^= 1;
			assert_false(merkle_consistency_holds(first, second, wrong, second_root, &proof));
			assert_false(merkle_consistency_holds(first, second, first_root, wrong, &proof));
			for (size_t i = 0; i < proof.count; i++) {
				proof.hashes[i].bytes[0] ^= 1;
				assert_false(merkle_consistency_holds(first, second, first_root, second_root, &proof));
				proof.hashes[i].bytes[0] ^= 1;
			}
			if (proof.count) {
				proof.count--;
				assert_false(merkle_consistency_holds(first, second, first_root, second_root, &proof));
			}
		}
	}
	struct merkle_proof none = {.count = 0};
	assert_false(merkle_consistency_holds(0, 1, leaves[0], leaves[0], &none));
	assert_false(merkle_consistency_holds(2, 1, leaves[0], leaves[0], &none));
}

static int fill(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < MOST; i++)
		leaves[i] = merkle_leaf(&i, 1);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference_roots), cmocka_unit_test(test_inclusion),
		cmocka_unit_test(test_cut_proof), cmocka_unit_test(test_consistency)};
	return cmocka_run_group_tests(tests, fill, NULL);
}
