/* Merkle trees of RFC 6962. Proofs are made from an array of leaf hashes; growing trees keep only their right edge. Pure;
 * any thread. */
#include "carbond/base/merkle.h"

#include <assert.h>

struct hash merkle_leaf(const void *data, size_t size)
{
	struct sha256 state;
	sha256_start(&state, NULL);
	sha256_add(&state, "\0", 1);
	sha256_add(&state, data, size);
	return sha256_end(&state);
}

static struct hash node(struct hash left, struct hash right)
{
	struct sha256 state;
	sha256_start(&state, NULL);
	sha256_add(&state, "\1", 1);
	sha256_add(&state, left.bytes, sizeof left.bytes);
	sha256_add(&state, right.bytes, sizeof right.bytes);
	return sha256_end(&state);
}

void merkle_add(struct merkle_edge *edge, struct hash leaf)
{
	int count = __builtin_popcountll(edge->size);
	assert(edge->size < UINT64_MAX);
	for (uint64_t size = edge->size; size & 1; size >>= 1)
		leaf = node(edge->peaks[--count], leaf);
	edge->peaks[count] = leaf;
	edge->size++;
}

struct hash merkle_edge_root(const struct merkle_edge *edge)
{
	int count = __builtin_popcountll(edge->size);
	if (count == 0)
		return sha256_of(NULL, NULL, 0);
	struct hash root = edge->peaks[--count];
	while (count > 0)
		root = node(edge->peaks[--count], root);
	return root;
}

struct hash merkle_root(const struct hash *leaves, size_t count)
{
	struct merkle_edge edge = {.size = 0};
	for (size_t i = 0; i < count; i++)
		merkle_add(&edge, leaves[i]);
	return merkle_edge_root(&edge);
}

/* The largest power of two below `size`; size > 1. */
static size_t split_of(size_t size)
{
	size_t split = 1;
	while (split < size - split)
		split *= 2;
	return split;
}

static void push(struct merkle_proof *proof, struct hash hash)
{
	assert(proof->count < MERKLE_PROOF_MAX);
	proof->hashes[proof->count++] = hash;
}

static void reverse(struct merkle_proof *proof)
{
	for (size_t i = 0; i < proof->count / 2; i++) {
		struct hash other = proof->hashes[proof->count - 1 - i];
		proof->hashes[proof->count - 1 - i] = proof->hashes[i];
		proof->hashes[i] = other;
	}
}

void merkle_inclusion(const struct hash *leaves, size_t index, size_t size, struct merkle_proof *ret_proof)
{
	assert(index < size);
	ret_proof->count = 0;
	/* from the root down; RFC 6962 lists from the leaf up */
	while (size > 1) {
		size_t split = split_of(size);
		if (index < split) {
			push(ret_proof, merkle_root(leaves + split, size - split));
			size = split;
		} else {
			push(ret_proof, merkle_root(leaves, split));
			leaves += split;
			index -= split;
			size -= split;
		}
	}
	reverse(ret_proof);
}

bool merkle_inclusion_holds(
	struct hash leaf, uint64_t index, uint64_t size, const struct merkle_proof *proof, struct hash root)
{
	if (index >= size || proof->count > MERKLE_PROOF_MAX)
		return false;
	uint64_t at = index, last = size - 1;
	struct hash hash = leaf;
	for (size_t i = 0; i < proof->count; i++) {
		if (last == 0)
			return false;
		if ((at & 1) || at == last) {
			hash = node(proof->hashes[i], hash);
			while (!(at & 1) && at != 0) {
				at >>= 1;
				last >>= 1;
			}
		} else {
			hash = node(hash, proof->hashes[i]);
		}
		at >>= 1;
		last >>= 1;
	}
	return last == 0 && hash_equal(hash, root);
}

void merkle_consistency(const struct hash *leaves, size_t first, size_t second, struct merkle_proof *ret_proof)
{
	assert(first > 0 && first <= second);
	ret_proof->count = 0;
	bool whole = true; /* the first tree is a complete subtree of what is left: its root is known to the asker */
	while (first != second) {
		size_t split = split_of(second);
		if (first <= split) {
			push(ret_proof, merkle_root(leaves + split, second - split));
			second = split;
		} else {
			push(ret_proof, merkle_root(leaves, split));
			leaves += split;
			first -= split;
			second -= split;
			whole = false;
		}
	}
	if (!whole)
		push(ret_proof, merkle_root(leaves, second));
	reverse(ret_proof);
}

bool merkle_consistency_holds(uint64_t first, uint64_t second, struct hash first_root, struct hash second_root,
	const struct merkle_proof *proof)
{
	if (first == 0 || first > second || proof->count > MERKLE_PROOF_MAX)
		return false;
	if (first == second)
		return proof->count == 0 && hash_equal(first_root, second_root);
	size_t next = 0;
	struct hash seed = first_root;
	if (first & (first - 1)) { /* not a power of two: the proof begins with the seed */
		if (proof->count == 0)
			return false;
		seed = proof->hashes[next++];
	}
	uint64_t at = first - 1, last = second - 1;
	while (at & 1) {
		at >>= 1;
		last >>= 1;
	}
	struct hash of_first = seed, of_second = seed;
	for (; next < proof->count; next++) {
		if (last == 0)
			return false;
		struct hash hash = proof->hashes[next];
		if ((at & 1) || at == last) {
			of_first = node(hash, of_first);
			of_second = node(hash, of_second);
			while (!(at & 1) && at != 0) {
				at >>= 1;
				last >>= 1;
			}
		} else {
			of_second = node(of_second, hash);
		}
		at >>= 1;
		last >>= 1;
	}
	return last == 0 && hash_equal(of_first, first_root) && hash_equal(of_second, second_root);
}
