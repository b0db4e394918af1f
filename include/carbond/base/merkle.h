/* Merkle trees of RFC 6962 §2.1 with SHA-256: leaf = H(0x00 ‖ data), node = H(0x01 ‖ left ‖ right). Roots, inclusion and
 * consistency proofs (RFC 6962 §2.1.1, §2.1.2; verification as in RFC 9162 §2.1.3.2 and §2.1.4.2). Pure; any thread. */
#ifndef CARBOND_BASE_MERKLE_H
#define CARBOND_BASE_MERKLE_H

#include <stdbool.h>

#include "carbond/base/hash.h"

#define MERKLE_PROOF_MAX 64

/* The right edge of a growing tree: what is needed to add a leaf and to give the root. Persist it as it is. */
struct merkle_edge {
	uint64_t size;
	struct hash peaks[64]; /* roots of the complete subtrees, highest first; popcount(size) are in use */
};

struct merkle_proof {
	size_t count;
	struct hash hashes[MERKLE_PROOF_MAX];
};

/* The hash of a leaf's data: SHA-256(0x00 ‖ data). */
struct hash merkle_leaf(const void *data, size_t size);
/* Appends a leaf hash to the tree of `edge`; an edge of zeros is the empty tree. */
void merkle_add(struct merkle_edge *edge, struct hash leaf);
struct hash merkle_edge_root(const struct merkle_edge *edge); /* of size 0: SHA-256 of nothing */

/* The root over `count` leaf hashes; of none: SHA-256 of nothing. */
struct hash merkle_root(const struct hash *leaves, size_t count);

/* The proof that leaf `index` is in the tree of the first `size` leaves; `leaves` are leaf hashes. index < size. */
void merkle_inclusion(const struct hash *leaves, size_t index, size_t size, struct merkle_proof *ret_proof);
bool merkle_inclusion_holds(
	struct hash leaf, uint64_t index, uint64_t size, const struct merkle_proof *proof, struct hash root);

/* The proof that the tree of `first` leaves is a prefix of the tree of `second`; 0 < first ≤ second. */
void merkle_consistency(const struct hash *leaves, size_t first, size_t second, struct merkle_proof *ret_proof);
bool merkle_consistency_holds(uint64_t first, uint64_t second, struct hash first_root, struct hash second_root,
	const struct merkle_proof *proof);

#endif
