/* room: base */
/* Merkle proofs (RFC 6962): a right one holds; with any byte of leaf, proof or root changed, or a hash more or less, it does not;
 * numbers of any size are answered. */
#include <assert.h>
#include <string.h>

#include "carbond/base/merkle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LEAVES_MAX = 64, HEAD = 4 };

struct claim {
	struct hash leaf, root, first_root; /* the first root is read by consistency alone */
	struct merkle_proof proof;
};

/* Changes the claim by the input's bytes. */
static void disturb(struct claim *claim, uint8_t count, const uint8_t *data, size_t size)
{
	uint8_t *bytes = (uint8_t *)claim->proof.hashes;
	size_t place = 0;
	for (size_t i = 0; i < sizeof(struct hash); i++) {
		claim->leaf.bytes[i] ^= place < size ? data[place++] : 0;
		claim->root.bytes[i] ^= place < size ? data[place++] : 0;
		claim->first_root.bytes[i] ^= place < size ? data[place++] : 0;
	}
	while (place < size && bytes < (uint8_t *)(claim->proof.hashes + claim->proof.count))
		*bytes++ ^= data[place++];
	claim->proof.count = (claim->proof.count + count) % (MERKLE_PROOF_MAX + 1);
}

static uint64_t number(const uint8_t *data, size_t size, size_t place)
{
	uint64_t value = 0;
	if (place + sizeof value <= size)
		memcpy(&value, data + place, sizeof value);
	return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hash leaves[LEAVES_MAX];
	struct claim claim = {.proof.count = 0};
	if (size < HEAD)
		return 0;
	size_t count = 1 + data[0] % LEAVES_MAX, index = data[1] % count, first = 1 + data[2] % count;
	for (size_t i = 0; i < count; i++)
		leaves[i] = merkle_leaf(&i, sizeof i);

	claim.leaf = leaves[index];
	claim.root = merkle_root(leaves, count);
	merkle_inclusion(leaves, index, count, &claim.proof);
	assert(merkle_inclusion_holds(claim.leaf, index, count, &claim.proof, claim.root));
	struct claim right = claim;
	disturb(&claim, data[3], data + HEAD, size - HEAD);
	claim.first_root = right.first_root;
	if (count == 1)
		claim.root = right.root; /* the leaf is the root: changed alike, they stay equal */
	if (memcmp(&right, &claim, sizeof right) != 0)
		assert(!merkle_inclusion_holds(claim.leaf, index, count, &claim.proof, claim.root));

	claim = (struct claim){.root = merkle_root(leaves, count), .first_root = merkle_root(leaves, first)};
	merkle_consistency(leaves, first, count, &claim.proof);
	assert(merkle_consistency_holds(first, count, claim.first_root, claim.root, &claim.proof));
	right = claim;
	disturb(&claim, data[3], data + HEAD, size - HEAD);
	claim.leaf = right.leaf;
	if (first == count)
		claim.first_root = right.first_root;
	if (memcmp(&right, &claim, sizeof right) != 0)
		assert(!merkle_consistency_holds(first, count, claim.first_root, claim.root, &claim.proof));

	(void)merkle_inclusion_holds(
		claim.leaf, number(data, size, 0), number(data, size, 8), &claim.proof, claim.root);
	(void)merkle_consistency_holds(
		number(data, size, 0), number(data, size, 8), claim.first_root, claim.root, &claim.proof);
	return 0;
}
