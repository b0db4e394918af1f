/* Proofs from tiles: RFC 6962 §2.1.1 and §2.1.2 over the views, without reading the log. Any thread; the store's rows are the
 * only state. */
#include <string.h>

#include "audit_private.h"
#include "carbond/base/clock.h"

#define TILES_KEPT 64 /* of one proof: it reads a few hashes of each of a few tiles */

/* The tiles that one proof has read. */
struct reader {
	struct audit *audit;
	const char *stream;
	struct arena *arena;
	struct audit_tile_row tiles[TILES_KEPT];
	size_t tile_count;
	struct err_info *info;
};

static enum err missing(const struct reader *reader)
{
	return err_set(reader->info, ERR_STORE_CORRUPT, NULL, "the tree of %s lacks a tile", reader->stream);
}

static enum err read_tile(struct reader *reader, int64_t level, int64_t number, const struct audit_tile_row **ret_tile)
{
	for (size_t i = 0; i < reader->tile_count; i++)
		if (reader->tiles[i].level == level && reader->tiles[i].number == number) {
			*ret_tile = &reader->tiles[i];
			return ERR_OK;
		}
	if (reader->tile_count == TILES_KEPT)
		reader->tile_count = 0;
	struct audit_tile_row *tile = &reader->tiles[reader->tile_count];
	*tile = (struct audit_tile_row){.stream = reader->stream, .level = level, .number = number};
	enum err err = store_get(reader->audit->store, &audit_tiles_collection, tile, reader->arena, reader->info);
	if (err == ERR_NOT_FOUND)
		return missing(reader);
	if (!err)
		reader->tile_count++;
	*ret_tile = tile;
	return err;
}

/* The root of the complete subtree of 2^steps leaves that begins at leaf index × 2^steps. */
static enum err subtree(struct reader *reader, unsigned steps, uint64_t index, struct hash *ret_root)
{
	const struct audit_tile_row *tile = NULL;
	uint64_t within = UINT64_C(1) << steps % AUDIT_TILE_STEPS; /* so many hashes of one tile */
	uint64_t first = index * within;
	enum err err = read_tile(reader, steps / AUDIT_TILE_STEPS, (int64_t)(first / AUDIT_TILE), &tile);
	if (err)
		return err;
	size_t at = (size_t)(first % AUDIT_TILE);
	if ((at + within) * sizeof(struct hash) > tile->hashes.size)
		return missing(reader);
	struct hash hashes[AUDIT_TILE];
	memcpy(hashes, tile->hashes.data + at * sizeof(struct hash), (size_t)within * sizeof(struct hash));
	*ret_root = merkle_root(hashes, (size_t)within);
	return ERR_OK;
}

static uint64_t split_of(uint64_t size)
{
	return UINT64_C(1) << (63 - __builtin_clzll(size - 1));
}

/* The root over leaves low … high − 1; low is a multiple of the power of two that is not below the size. */
static enum err range(struct reader *reader, uint64_t low, uint64_t high, struct hash *ret_root)
{
	uint64_t size = high - low;
	if ((size & (size - 1)) == 0) {
		unsigned steps = (unsigned)__builtin_ctzll(size);
		return subtree(reader, steps, low >> steps, ret_root);
	}
	struct hash sides[2];
	uint64_t middle = low + split_of(size);
	enum err err = range(reader, low, middle, &sides[0]);
	if (!err)
		err = range(reader, middle, high, &sides[1]);
	if (!err)
		*ret_root = merkle_root(sides, 2);
	return err;
}

/* From the root down; the proof is written from the leaf up, so it is turned around at the end. */
static enum err inclusion(struct reader *reader, uint64_t index, uint64_t size, struct merkle_proof *proof)
{
	uint64_t low = 0, high = size;
	proof->count = 0;
	while (high - low > 1) {
		uint64_t middle = low + split_of(high - low);
		bool left = index < middle;
		enum err err = left ? range(reader, middle, high, &proof->hashes[proof->count])
				    : range(reader, low, middle, &proof->hashes[proof->count]);
		if (err)
			return err;
		proof->count++;
		if (left)
			high = middle;
		else
			low = middle;
	}
	return ERR_OK;
}

static void turn_around(struct merkle_proof *proof)
{
	for (size_t i = 0; i < proof->count / 2; i++) {
		struct hash other = proof->hashes[i];
		proof->hashes[i] = proof->hashes[proof->count - 1 - i];
		proof->hashes[proof->count - 1 - i] = other;
	}
}

/* SUBPROOF of RFC 6962: `whole` while the old tree is exactly this subtree's left edge. */
static enum err consistency(struct reader *reader, uint64_t first, uint64_t second, struct merkle_proof *proof)
{
	uint64_t low = 0, high = second;
	bool whole = true;
	proof->count = 0;
	while (first < high) {
		uint64_t middle = low + split_of(high - low);
		bool left = first <= middle;
		enum err err = left ? range(reader, middle, high, &proof->hashes[proof->count])
				    : range(reader, low, middle, &proof->hashes[proof->count]);
		if (err)
			return err;
		proof->count++;
		if (left) {
			high = middle;
		} else {
			low = middle;
			whole = false;
		}
	}
	if (whole)
		return ERR_OK;
	enum err err = range(reader, low, high, &proof->hashes[proof->count]);
	proof->count += !err;
	return err;
}

/* ---- for the other threads ---- */

static enum err tree_size(struct reader *reader, uint64_t *ret_size)
{
	struct audit_tree_row row = {.stream = reader->stream};
	enum err err = store_get(reader->audit->store, &audit_trees_collection, &row, reader->arena, reader->info);
	if (err == ERR_NOT_FOUND)
		return err_set(reader->info, err, NULL, "there is no tree of log %s", reader->stream);
	*ret_size = (uint64_t)row.size;
	return err;
}

static enum err reader_open(
	struct audit *audit, const char *stream, uint64_t size, struct reader *reader, struct err_info *info)
{
	uint64_t there = 0;
	*reader = (struct reader){.audit = audit, .stream = stream, .info = info, .arena = arena_new(0)};
	if (!reader->arena)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for a proof");
	enum err err = tree_size(reader, &there);
	if (!err && size > there)
		err = err_set(info, ERR_NOT_FOUND, NULL, "the tree of %s has %llu leaves, not %llu", stream,
			(unsigned long long)there, (unsigned long long)size);
	return err;
}

enum err audit_root_at(
	struct audit *audit, const char *stream, uint64_t size, struct hash *ret_root, struct err_info *info)
{
	struct reader reader;
	enum err err = reader_open(audit, stream, size, &reader, info);
	if (!err && size == 0)
		*ret_root = merkle_root(NULL, 0);
	else if (!err)
		err = range(&reader, 0, size, ret_root);
	arena_free(&reader.arena);
	return err;
}

/* What is not folded yet may be so in a moment. */
static enum err fold_up_to(struct audit *audit, const char *stream, uint64_t size, struct err_info *info)
{
	struct hash root;
	if (size == 0)
		return err_set(info, ERR_NOT_FOUND, NULL, "an empty tree has no proofs");
	enum err err = audit_root_at(audit, stream, size, &root, info);
	if (err != ERR_NOT_FOUND)
		return err;
	err = audit_ask_fold(audit, stream, CLOCK_US_PER_SECOND, info);
	return err == ERR_DEADLINE ? ERR_OK : err;
}

enum err audit_inclusion(struct audit *audit, const char *stream, uint64_t index, uint64_t size,
	struct merkle_proof *ret_proof, struct hash *ret_root, struct err_info *info)
{
	struct reader reader = {.arena = NULL};
	enum err err = fold_up_to(audit, stream, size, info);
	if (!err && index >= size)
		err = err_set(info, ERR_NOT_FOUND, NULL, "leaf %llu is not in a tree of %llu",
			(unsigned long long)index, (unsigned long long)size);
	if (!err)
		err = reader_open(audit, stream, size, &reader, info);
	if (!err)
		err = inclusion(&reader, index, size, ret_proof);
	if (!err) {
		turn_around(ret_proof);
		err = range(&reader, 0, size, ret_root);
	}
	arena_free(&reader.arena);
	return err;
}

enum err audit_consistency(struct audit *audit, const char *stream, uint64_t first, uint64_t second,
	struct merkle_proof *ret_proof, struct err_info *info)
{
	struct reader reader = {.arena = NULL};
	enum err err = fold_up_to(audit, stream, second, info);
	if (!err && (first < 1 || first > second))
		err = err_set(info, ERR_NOT_FOUND, NULL, "sizes must be 1 ≤ first ≤ second");
	if (!err)
		err = reader_open(audit, stream, second, &reader, info);
	if (!err)
		err = consistency(&reader, first, second, ret_proof);
	if (!err)
		turn_around(ret_proof);
	arena_free(&reader.arena);
	return err;
}
