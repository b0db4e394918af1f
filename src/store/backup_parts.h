/* What a backup is made of, for the files that write and read it. One thread at a time. */
#ifndef STORE_BACKUP_PARTS_H
#define STORE_BACKUP_PARTS_H

#include <stdio.h>

#include "store_private.h"

#define BACKUP_FORMAT   "carbond/backup/2" /* also the domain that manifests are signed under */
#define BACKUP_MANIFEST "manifest.json"
#define BACKUP_FILES    (4 + STORE_BACKUP_EXTRAS)

/* ---- records.c: a file of records ---- */

/* A file is a sequence of records {u32 size of what follows; u8 kind; body}, numbers little-endian, texts and bytes behind their
 * length:
 *   batch  u8 text stream, u64 seq, u64 term, u32 count, prev_hash, payload_hash, hash, i64 written_at_us, u8 text node,
 *          u32 guard keys, each u8 bytes; u8 1: the payload was pruned; u32 bytes payload
 *   table  u8 text collection, u16 members, each u8 text; the rows that follow are of it
 *   row    for each member: u8 kind (0 absent, 1 i64, 2 IEEE double, 3 text, 4 bytes), then 8 bytes or u32 bytes; sealed
 *          members are bytes, sealed as they are in the store
 *   end    u64 records before it */
enum record_kind { RECORD_BATCH = 1, RECORD_TABLE, RECORD_ROW, RECORD_END };

struct record_writer {
	FILE *stream;
	char path[1200];
	struct sha256 state;
	int64_t bytes, records;
	uint8_t *buffer;
	size_t size, capacity;
	bool failed; /* no memory: told at the end of the record */
};

enum err record_writer_open(
	struct record_writer *writer, const char *folder, const char *name, struct err_info *info) MUST_CHECK;
enum err record_write_batch(struct record_writer *writer, const struct store_batch *batch,
	const struct store_guard *guards, size_t guard_count, struct err_info *info) MUST_CHECK;
enum err record_write_table(
	struct record_writer *writer, const struct store_table *table, struct err_info *info) MUST_CHECK;
enum err record_write_row(
	struct record_writer *writer, const struct store_value *values, size_t count, struct err_info *info) MUST_CHECK;
/* Writes the end, syncs and closes. `ret_sum` is of the whole file. */
enum err record_writer_close(struct record_writer *writer, struct hash *ret_sum, struct err_info *info) MUST_CHECK;
/* Lets go of what is open. */
void record_writer_drop(struct record_writer *writer);

struct record_reader {
	FILE *stream;
	const char *name; /* for messages; borrowed */
	struct sha256 state;
	int64_t bytes, records;
	uint8_t *buffer;
	size_t size, capacity, at;
	bool ended;
	bool memory_ended; /* while the record was taken apart: nothing is said of it */

	/* the record at hand; borrowed until the next */
	enum record_kind kind;
	struct store_batch batch; /* payload NULL: pruned */
	struct store_guard *guards;
	size_t guard_count, guard_capacity;
	char table[64];
	char (*columns)[64];
	size_t column_count, column_capacity;
	struct store_value *values; /* column_count */
};

/* Takes the stream. */
void record_reader_begin(struct record_reader *reader, FILE *stream, const char *name);
enum err record_reader_open(
	struct record_reader *reader, const char *folder, const char *name, struct err_info *info) MUST_CHECK;
/* The next record; RECORD_END is the last. ERR_BACKUP_EDITED. */
enum err record_read(struct record_reader *reader, struct err_info *info) MUST_CHECK;
struct hash record_reader_close(struct record_reader *reader);

/* ---- manifest.c ---- */

struct backup_file {
	char name[48];
	int64_t size;
	struct hash sum;
};

struct backup_stream {
	enum store_class class;
	char stream[STORE_STREAM_SIZE];
	uint64_t from_seq, seq; /* of the step: from_seq > seq: nothing new */
	struct hash hash;       /* of batch seq */
};

struct backup_manifest {
	unsigned step;
	struct hash previous; /* sum of the manifest before; zero for step 1 */
	int64_t created_us;
	char node[32], registry[40];
	struct sign_public key;
	size_t file_count;
	struct backup_file files[BACKUP_FILES];
	size_t stream_count, stream_capacity;
	struct backup_stream *streams;
	struct hash sum; /* of the manifest's own file */
};

extern const char *const backup_class_names[STORE_CLASS_COUNT]; /* NULL: not backed up */

void backup_manifest_free(struct backup_manifest *manifest);
enum err backup_stream_add(
	struct backup_manifest *manifest, const struct backup_stream *stream, struct err_info *info) MUST_CHECK;
struct backup_stream *backup_stream_find(
	const struct backup_manifest *manifest, enum store_class class, const char *stream);
/* Signs it and writes it durably into the step's folder. */
enum err backup_manifest_write(struct backup_manifest *manifest, const char *folder,
	const struct store_backup_options *options, struct err_info *info) MUST_CHECK;
/* Reads it and checks form and signature. `key`: whose it must be; NULL: whose it says. ERR_BACKUP_EDITED,
 * ERR_BACKUP_STRANGER. */
enum err backup_manifest_read(struct backup_manifest *manifest, const char *folder, unsigned step,
	const struct sign_public *key, struct err_info *info) MUST_CHECK;

/* Steps in a backup's folder: 0 where there are none. `tidies`: deletes what an interrupted step left. ERR_DUPLICATE: it holds
 * something else. ERR_BACKUP_EDITED: a step is missing. */
enum err backup_steps(const char *folder, bool tidies, unsigned *ret_count, struct err_info *info) MUST_CHECK;
void backup_step_path(const char *folder, unsigned step, const char *ending, char ret_path[1024]);
enum err backup_sync_folder(const char *folder, struct err_info *info) MUST_CHECK;
/* Deletes a folder with the files in it. */
void backup_step_delete(const char *path);
enum err backup_io_fault(const char *path, struct err_info *info);

/* ---- gather.c: a store that is filled from elsewhere ---- */

#define GATHER_JOBS 512

/* What is to be written next, all of one class, which the caller sets and flushes before it sets another. */
struct gathered {
	struct store *store;
	enum store_class class;
	struct arena *arena;
	struct store_job jobs[GATHER_JOBS];
	size_t count, bytes;
};

enum err gather_begin(struct gathered *gathered, struct store *store, struct err_info *info) MUST_CHECK;
void gather_free(struct gathered *gathered);
/* Both copy what they are given, and write when enough has come together. payload NULL: pruned. */
enum err gather_batch(struct gathered *gathered, const struct store_batch *batch, const struct store_guard *guards,
	size_t guard_count, struct err_info *info) MUST_CHECK;
enum err gather_row(struct gathered *gathered, const struct store_table *table, const struct store_value *values,
	struct err_info *info) MUST_CHECK;
enum err gather_flush(struct gathered *gathered, struct err_info *info) MUST_CHECK;

/* Opens it, also where an earlier filling was interrupted; sealed members are put as they are, without any key. */
enum err gather_open(const struct store_options *place, struct store **ret_store, struct err_info *info) MUST_CHECK;
enum err gather_is_empty(struct store *store, bool *ret_empty, struct err_info *info) MUST_CHECK;

/* What the store is filled from: while it stands without its end, store_open refuses the store. */
struct mark {
	struct hash sum;
	uint64_t kept_seq; /* where a stream is cut */
};
enum mark_state { MARK_NONE, MARK_OURS, MARK_OTHERS, MARK_OURS_ENDED }; /* MARK_NONE also behind another one's end */

enum err mark_read(
	struct store *store, const struct mark *mark, enum mark_state *ret_state, struct err_info *info) MUST_CHECK;
enum err mark_begin(struct store *store, const struct mark *mark, struct err_info *info) MUST_CHECK;
enum err mark_end(struct store *store, struct err_info *info) MUST_CHECK;

#endif
