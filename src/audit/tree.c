/* Decides how a log becomes a tree: its leaves, in order; the right edge, and tiles of hashes for proofs. State and tiles are
 * written together, after some batches, so that a restart goes on exactly where the views stand. Thread `audit-tree`.
 *
 * A leaf is a record in journal.* and audit.*, a batch hash in readings.*. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_private.h"

#define FLUSH_LEAVES  8192 /* then the views are written, at the end of a batch */
#define FLUSH_RECORDS 512
#define DROP_ROWS     256

struct level {
	uint64_t count;               /* hashes at this level */
	struct hash tile[AUDIT_TILE]; /* the last tile, count % 256 of it */
};

struct audit_tree {
	char stream[STORE_STREAM_SIZE];
	enum store_class class;
	uint64_t seq;
	struct hash head;
	struct merkle_edge edge;
	struct level levels[AUDIT_LEVELS];
};

/* What has been folded since the views were last written. */
struct folding {
	struct audit *audit;
	struct audit_tree *tree;
	uint64_t seq;        /* of the tree as it is written */
	struct arena *arena; /* rows of the next write */
	struct store_change *changes;
	size_t change_count, capacity, leaves, records;
	struct err_info info;
};

static bool is_audit(const struct audit_tree *tree)
{
	return strncmp(tree->stream, AUDIT_STREAM_PREFIX, strlen(AUDIT_STREAM_PREFIX)) == 0;
}

/* ---- rows to write ---- */

static enum err no_memory(struct err_info *info)
{
	return err_set(info, ERR_NO_MEMORY, NULL, "no memory to fold the logs");
}

static enum err add_change(struct folding *folding, const struct store_collection *collection, const void *row,
	enum store_condition condition, const char *field, int64_t value)
{
	if (folding->change_count == folding->capacity) {
		size_t capacity = folding->capacity ? 2 * folding->capacity : 64;
		struct store_change *changes = realloc(folding->changes, capacity * sizeof changes[0]);
		if (!changes)
			return no_memory(&folding->info);
		folding->changes = changes;
		folding->capacity = capacity;
	}
	folding->changes[folding->change_count++] = (struct store_change){.collection = collection,
		.row = row,
		.verb = STORE_PUT,
		.condition = condition,
		.field = field,
		.value = value};
	return ERR_OK;
}

static enum err add_tile(struct folding *folding, size_t level, uint64_t number, size_t count)
{
	struct audit_tile_row *row = ARENA_NEW(folding->arena, struct audit_tile_row);
	char *hashes = arena_copy(folding->arena, folding->tree->levels[level].tile, count * sizeof(struct hash));
	if (!row || !hashes)
		return no_memory(&folding->info);
	*row = (struct audit_tile_row){.stream = folding->tree->stream,
		.level = (int64_t)level,
		.number = (int64_t)number,
		.count = (int64_t)count,
		.hashes = {(const uint8_t *)hashes, count * sizeof(struct hash)}};
	return add_change(folding, &audit_tiles_collection, row, STORE_BELOW, "count", row->count);
}

static enum err add_tree(struct folding *folding)
{
	const struct audit_tree *tree = folding->tree;
	struct audit_tree_row *row = ARENA_NEW(folding->arena, struct audit_tree_row);
	size_t size = (size_t)__builtin_popcountll(tree->edge.size) * sizeof(struct hash);
	char *peaks = arena_copy(folding->arena, tree->edge.peaks, size);
	if (!row || !peaks)
		return no_memory(&folding->info);
	*row = (struct audit_tree_row){.stream = tree->stream,
		.seq = (int64_t)tree->seq,
		.size = (int64_t)tree->edge.size,
		.head = tree->head,
		.peaks = {(const uint8_t *)peaks, size}};
	if (!store_is_shared(folding->audit->store))
		return add_change(folding, &audit_trees_collection, row, STORE_BELOW, "seq", row->seq);
	/* all of it only where nobody has folded further: a daemon that was paused while another took the lead */
	return add_change(folding, &audit_trees_collection, row, folding->seq ? STORE_EQUALS : STORE_ABSENT, "seq",
		(int64_t)folding->seq);
}

/* Writes the state, the last tile of each level that is not full (full ones were added when they became so), and what has
 * gathered. */
static enum err flush(struct folding *folding)
{
	struct audit_tree *tree = folding->tree;
	enum err err = add_tree(folding);
	for (size_t i = 0; i < AUDIT_LEVELS && !err; i++) {
		uint64_t count = tree->levels[i].count;
		if (count % AUDIT_TILE)
			err = add_tile(folding, i, count / AUDIT_TILE, (size_t)(count % AUDIT_TILE));
	}
	if (!err)
		err = store_write_views(folding->audit->store, folding->changes, folding->change_count, &folding->info);
	if (!err) {
		metric_add(METRIC_AUDIT_LEAVES, (int64_t)folding->leaves);
		folding->seq = tree->seq;
	}
	folding->change_count = folding->leaves = folding->records = 0;
	arena_reset(folding->arena);
	return err;
}

/* ---- leaves ---- */

static enum err add_leaf(struct folding *folding, struct hash leaf)
{
	struct audit_tree *tree = folding->tree;
	merkle_add(&tree->edge, leaf);
	folding->leaves++;
	struct hash hash = leaf;
	for (size_t i = 0; i < AUDIT_LEVELS; i++) {
		struct level *level = &tree->levels[i];
		level->tile[level->count++ % AUDIT_TILE] = hash;
		if (level->count % AUDIT_TILE)
			return ERR_OK;
		enum err err = add_tile(folding, i, level->count / AUDIT_TILE - 1, AUDIT_TILE);
		if (err)
			return err;
		hash = merkle_root(level->tile, AUDIT_TILE);
	}
	return ERR_OK;
}

static const char *text_of(struct arena *arena, const json_t *record, const char *name)
{
	const char *text = json_string_value(json_object_get(record, name));
	return text ? arena_copy(arena, text, strlen(text)) : NULL;
}

static struct id id_of(const json_t *record, const char *name)
{
	struct id id = {{0}};
	const char *text = json_string_value(json_object_get(record, name));
	if (text && id_parse(text, &id) != ERR_OK)
		return (struct id){{0}};
	return id;
}

/* The record's row in the view. */
static enum err add_record(struct folding *folding, const void *data, size_t size)
{
	json_t *record = NULL;
	struct audit_record_row *row = ARENA_NEW(folding->arena, struct audit_record_row);
	char *text = arena_copy(folding->arena, data, size);
	if (!row || !text)
		return no_memory(&folding->info);
	enum err err = document_parse(folding->arena, data, size, &record, &folding->info);
	if (err)
		return err;
	*row = (struct audit_record_row){.ordinal = folding->audit->next_ordinal++,
		.stream = folding->tree->stream,
		.position = json_integer_value(json_object_get(record, "position")),
		.time_us = json_integer_value(json_object_get(record, "time_us")),
		.org_id = id_of(record, "org"),
		.subject_kind = text_of(folding->arena, record, "subject_kind"),
		.subject = id_of(record, "subject"),
		.record = text};
	folding->records++;
	enum store_condition condition = store_is_shared(folding->audit->store) ? STORE_ABSENT : STORE_ALWAYS;
	return add_change(folding, &audit_records_collection, row, condition, NULL, 0);
}

static enum err fold_record(void *context, const void *data, size_t size, struct err_info *info)
{
	struct folding *folding = context;
	(void)info; /* the folding's own */
	enum err err = add_leaf(folding, merkle_leaf(data, size));
	return !err && is_audit(folding->tree) ? add_record(folding, data, size) : err;
}

static enum err fold_batch(void *context, const struct store_batch *batch)
{
	struct folding *folding = context;
	enum err err = ERR_OK;
	if (atomic_load(&folding->audit->stopping))
		return err_set(&folding->info, ERR_STOPPING, NULL, "carbond is stopping");
	if (folding->tree->class == STORE_READINGS)
		err = add_leaf(folding, merkle_leaf(batch->hash.bytes, sizeof batch->hash.bytes));
	else
		err = audit_split(batch, fold_record, folding, &folding->info);
	folding->tree->seq = batch->seq;
	folding->tree->head = batch->hash;
	if (!err && (folding->leaves >= FLUSH_LEAVES || folding->records >= FLUSH_RECORDS))
		err = flush(folding);
	return err;
}

/* ---- what the views know ---- */

static enum err load_tile(
	struct audit *audit, struct audit_tree *tree, size_t number, struct arena *arena, struct err_info *info)
{
	struct level *level = &tree->levels[number];
	size_t count = (size_t)(level->count % AUDIT_TILE);
	if (count == 0)
		return ERR_OK;
	struct audit_tile_row row = {
		.stream = tree->stream, .level = (int64_t)number, .number = (int64_t)(level->count / AUDIT_TILE)};
	enum err err = store_get(audit->store, &audit_tiles_collection, &row, arena, info);
	if (!err && row.hashes.size != count * sizeof(struct hash))
		err = err_set(info, ERR_STORE_CORRUPT, NULL, "a tile of %s has a wrong length", tree->stream);
	if (!err)
		memcpy(level->tile, row.hashes.data, row.hashes.size);
	return err;
}

static enum err check_head(void *context, const struct store_batch *batch)
{
	const struct audit_tree *tree = context;
	/* BUSY ends the reading after the one batch that matters */
	return hash_equal(batch->hash, tree->head) ? ERR_BUSY : ERR_CONDITION_FAILED;
}

/* The tree as it was written. ERR_NOT_FOUND for a new stream, ERR_CONDITION_FAILED where the log is not the one that was
 * folded. */
static enum err load_tree(struct audit *audit, struct audit_tree *tree, struct arena *arena, struct err_info *info)
{
	struct audit_tree_row row = {.stream = tree->stream};
	enum err err = store_get(audit->store, &audit_trees_collection, &row, arena, info);
	if (err)
		return err;
	tree->seq = (uint64_t)row.seq;
	tree->head = row.head;
	tree->edge.size = (uint64_t)row.size;
	size_t size = (size_t)__builtin_popcountll(tree->edge.size) * sizeof(struct hash);
	if (row.peaks.size != size)
		return err_set(info, ERR_STORE_CORRUPT, NULL, "the tree of %s has a wrong edge", tree->stream);
	if (size)
		memcpy(tree->edge.peaks, row.peaks.data, size);
	for (size_t i = 0; i < AUDIT_LEVELS && !err; i++) {
		tree->levels[i].count = tree->edge.size >> (AUDIT_TILE_STEPS * i);
		err = load_tile(audit, tree, i, arena, info);
	}
	if (err || tree->seq == 0)
		return err;
	err = store_log_read(audit->store, tree->class, tree->stream, tree->seq, check_head, tree, info);
	return err == ERR_BUSY ? ERR_OK : err ? err : ERR_CONDITION_FAILED;
}

static enum err delete_rows(struct audit *audit, const struct store_collection *collection, void *rows, size_t count,
	bool (*of_stream)(const void *row, const char *stream), const char *stream, struct err_info *info)
{
	struct store_change changes[DROP_ROWS];
	size_t chosen = 0;
	for (size_t i = 0; i < count; i++) {
		const void *row = (const char *)rows + i * collection->row_size;
		if (of_stream(row, stream))
			changes[chosen++] =
				(struct store_change){.collection = collection, .row = row, .verb = STORE_DELETE};
	}
	return store_write(audit->store, changes, chosen, NULL, info);
}

static bool is_tile_of(const void *row, const char *stream)
{
	return strcmp(((const struct audit_tile_row *)row)->stream, stream) == 0;
}

static bool is_record_of(const void *row, const char *stream)
{
	return strcmp(((const struct audit_record_row *)row)->stream, stream) == 0;
}

/* Deletes a stream's rows of one view, which is read from end to end: this follows a restored older state alone. */
static enum err clear_view(struct audit *audit, const struct store_collection *collection,
	bool (*of_stream)(const void *row, const char *stream), const char *stream, struct arena *arena,
	struct err_info *info)
{
	_Alignas(8) char after[sizeof(struct audit_record_row) + sizeof(struct audit_tile_row)];
	char name[STORE_STREAM_SIZE];
	struct store_query query = {.collection = collection, .most = DROP_ROWS};
	enum err err = ERR_OK;
	for (size_t count = DROP_ROWS; count == DROP_ROWS && !err;) {
		void *rows = NULL;
		err = store_find(audit->store, &query, arena, &rows, &count, info);
		if (!err && count)
			err = delete_rows(audit, collection, rows, count, of_stream, stream, info);
		if (err || count == 0)
			break;
		/* the cursor outlives the page */
		memcpy(after, (char *)rows + (count - 1) * collection->row_size, collection->row_size);
		if (collection == &audit_tiles_collection) {
			struct audit_tile_row *last = (struct audit_tile_row *)(void *)after;
			snprintf(name, sizeof name, "%s", last->stream);
			last->stream = name;
		}
		query.after = after;
		arena_reset(arena);
	}
	return err;
}

/* Forgets the tree of a log that is not the one that was folded (a restored older state). */
static enum err drop_tree(struct audit *audit, struct audit_tree *tree, struct arena *arena, struct err_info *info)
{
	struct audit_tree_row row = {.stream = tree->stream};
	struct store_change change = {.collection = &audit_trees_collection, .row = &row, .verb = STORE_DELETE};
	enum err err = store_write(audit->store, &change, 1, NULL, info);
	if (!err)
		err = clear_view(audit, &audit_tiles_collection, is_tile_of, tree->stream, arena, info);
	if (!err && is_audit(tree))
		err = clear_view(audit, &audit_records_collection, is_record_of, tree->stream, arena, info);
	tree->seq = 0;
	tree->head = (struct hash){{0}};
	memset(&tree->edge, 0, sizeof tree->edge);
	memset(tree->levels, 0, sizeof tree->levels);
	return err;
}

static enum err open_tree(struct audit *audit, struct audit_tree *tree, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	if (!arena)
		return no_memory(info);
	enum err err = load_tree(audit, tree, arena, info);
	if (err == ERR_NOT_FOUND && tree->edge.size == 0)
		err = ERR_OK;
	else if (err == ERR_CONDITION_FAILED || err == ERR_NOT_FOUND)
		err = drop_tree(audit, tree, arena, info);
	arena_free(&arena);
	return err;
}

static enum err find_tree(struct audit *audit, enum store_class class, const char *stream, struct audit_tree **ret_tree,
	struct err_info *info)
{
	size_t place = 0;
	while (place < audit->tree_count && strcmp(audit->trees[place].stream, stream) < 0)
		place++;
	if (place < audit->tree_count && strcmp(audit->trees[place].stream, stream) == 0) {
		*ret_tree = &audit->trees[place];
		return ERR_OK;
	}
	if (audit->tree_count == AUDIT_STREAMS_MAX)
		return err_set(info, ERR_TOO_LARGE, NULL, "more than %d logs", AUDIT_STREAMS_MAX);
	struct audit_tree *trees = realloc(audit->trees, (audit->tree_count + 1) * sizeof trees[0]);
	if (!trees)
		return no_memory(info);
	audit->trees = trees;
	struct audit_tree *tree = &trees[place];
	memmove(tree + 1, tree, (audit->tree_count - place) * sizeof trees[0]);
	memset(tree, 0, sizeof *tree);
	memcpy(tree->stream, stream, strlen(stream) + 1);
	tree->class = class;
	audit->tree_count++;
	*ret_tree = tree;
	enum err err = open_tree(audit, tree, info);
	if (err) { /* known again when it can be opened */
		audit->tree_count--;
		memmove(tree, tree + 1, (audit->tree_count - place) * sizeof trees[0]);
	}
	return err;
}

static enum err load_ordinal(struct audit *audit, struct err_info *info)
{
	if (audit->next_ordinal > 0)
		return ERR_OK;
	struct arena *arena = arena_new(0);
	void *rows = NULL;
	size_t count = 0;
	struct store_query query = {.collection = &audit_records_collection, .descending = true, .most = 1};
	enum err err = arena ? store_find(audit->store, &query, arena, &rows, &count, info) : no_memory(info);
	if (!err)
		audit->next_ordinal = count ? ((struct audit_record_row *)rows)->ordinal + 1 : 1;
	arena_free(&arena);
	return err;
}

/* ---- folding ---- */

/* Whatever went wrong, memory goes back to what the views say: the tree is opened again next time. */
static void forget_tree(struct audit *audit, struct audit_tree *tree)
{
	size_t place = (size_t)(tree - audit->trees);
	audit->tree_count--;
	memmove(tree, tree + 1, (audit->tree_count - place) * sizeof audit->trees[0]);
	audit->next_ordinal = 0;
}

static enum err fold_stream(struct audit *audit, enum store_class class, const char *stream, struct err_info *info)
{
	struct folding folding = {.audit = audit, .info = {.code = ERR_OK}};
	enum err err = load_ordinal(audit, info);
	if (!err)
		err = find_tree(audit, class, stream, &folding.tree, info);
	if (err)
		return err;
	struct store_batch head;
	uint64_t seq = folding.seq = folding.tree->seq;
	err = store_log_head(audit->store, class, stream, &head, info);
	if (err || (head.seq == seq && hash_equal(head.hash, folding.tree->head)))
		return err;
	folding.arena = arena_new(0);
	if (!folding.arena)
		return no_memory(info);
	err = store_log_read(audit->store, class, stream, seq + 1, fold_batch, &folding, &folding.info);
	if (!err && folding.tree->seq != seq && (folding.leaves > 0 || folding.change_count > 0))
		err = flush(&folding);
	if (err) {
		*info = folding.info;
		forget_tree(audit, folding.tree);
	}
	arena_free(&folding.arena);
	free(folding.changes);
	return err;
}

static enum err fold_class(struct audit *audit, enum store_class class, const char *prefix, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	const char **names = NULL;
	size_t count = 0;
	enum err err =
		arena ? store_log_streams(audit->store, class, prefix, arena, &names, &count, info) : no_memory(info);
	for (size_t i = 0; i < count && !err; i++)
		err = fold_stream(audit, class, names[i], info);
	arena_free(&arena);
	return err;
}

enum err audit_fold(struct audit *audit, const char *prefix, struct err_info *info)
{
	static const struct {
		enum store_class class;
		const char *prefix;
	} kinds[] = {{STORE_VALUE, "audit."}, {STORE_VALUE, "journal."}, {STORE_READINGS, "readings."}};
	enum err err = ERR_OK;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && !err; i++) {
		bool narrower = strncmp(prefix, kinds[i].prefix, strlen(kinds[i].prefix)) == 0;
		if (prefix[0] == 0 || narrower)
			err = fold_class(audit, kinds[i].class, narrower ? prefix : kinds[i].prefix, info);
	}
	return err;
}

void audit_trees_free(struct audit *audit)
{
	free(audit->trees);
	audit->trees = NULL;
	audit->tree_count = 0;
}

const struct audit_tree *audit_tree_at(const struct audit *audit, size_t n)
{
	return n < audit->tree_count ? &audit->trees[n] : NULL;
}

struct audit_tree_state audit_tree_state(const struct audit_tree *tree)
{
	return (struct audit_tree_state){.stream = tree->stream,
		.seq = tree->seq,
		.size = tree->edge.size,
		.root = merkle_edge_root(&tree->edge)};
}
