/* A shard: the thread that owns the open hours of its sensors, and what its files share. Private to the room. */
#ifndef SENSING_SHARD_H
#define SENSING_SHARD_H

#include <pthread.h>

#include "bucket_rows.h"
#include "compact.h"
#include "tail.h"

#define SHARD_STREAMS_MAX TAIL_STREAMS_MAX /* readings logs: one a node that ever wrote here */

struct shard;

/* ---- what a shard keeps in memory: changed by the shard's thread under `lock`, read by others under it ---- */

struct sensor_state {
	struct sensor_state *next; /* in its chain */
	struct id id;
	int64_t newest_us; /* INT64_MIN: no reading yet */
	double newest_value;
	uint8_t newest_quality;
	int64_t closed_hour_us; /* newest hour with a closed revision; INT64_MIN: none */
};

struct open_bucket {
	struct open_bucket *next; /* in its chain */
	struct open_bucket *previous_open, *next_open;
	struct open_bucket *previous_dirty, *next_dirty; /* in the order in which they became dirty */
	struct sensor_state *sensor;
	int64_t hour_us, revision;
	int64_t touched_us; /* monotonic: the last arrival */
	int64_t dirty_us;   /* monotonic: the first arrival since the last flush */
	uint64_t dirty_epoch;
	int64_t opened_us;     /* wall: no log batch written before feeds it */
	uint64_t *seen;        /* while logs are replayed: what the stored row has seen; NULL: nothing */
	struct compact points; /* of a later revision: only what came late */
	uint32_t *conflicts;   /* sorted offsets of keys that came with two values */
	uint32_t conflict_count;
	bool dirty, loaded, stored; /* changed since the flush; points are in memory; a row exists */
};

/* Positions applied when an epoch began: what was dirtied in it comes from later batches. */
struct epoch {
	uint64_t number;
	uint64_t positions[SHARD_STREAMS_MAX];
};

enum shard_verb { SHARD_FEED, SHARD_CAUGHT_UP, SHARD_SETTLE, SHARD_TICK, SHARD_FLUSH, SHARD_CLOSE };

struct shard_message {
	enum shard_verb verb;
	unsigned stream;
	uint64_t seq;
	int64_t written_us; /* FEED: when the batch was written, or a little before */
	struct id sensor;   /* CLOSE */
	int64_t from_us, to_us;
	struct runtime_reply *reply; /* all but FEED */
	size_t count;
	struct reading readings[];
};

struct shard {
	struct buckets *buckets;
	unsigned index;
	struct thread *thread;
	struct mailbox *mailbox;
	atomic_bool lost; /* another owner, or a latched store: nothing is written any more */
	atomic_int fault; /* enum err of the last write or of a batch that cannot be applied: said once, tried again */

	/* the shard's thread alone */
	bool caught_up;
	bool failing; /* the last write failed: said once */
	uint64_t epoch;
	struct epoch *epochs; /* of all that is dirty, oldest first */
	size_t epoch_count, epoch_capacity;
	struct open_bucket *first_dirty, *last_dirty;
	int64_t term;
	int64_t next_tick_us; /* monotonic of base: when the next tick is due */
	int64_t positions_us; /* monotonic: when positions were last written */

	pthread_mutex_t lock; /* rank: below none; held for memory only, never across the store */
	struct sensor_state **sensors;
	size_t sensor_count, sensor_chains;
	struct open_bucket **table;
	size_t open_count, open_chains;
	struct open_bucket *first_open, *last_open;
	size_t bytes; /* of open readings */
	uint64_t applied[SHARD_STREAMS_MAX], durable[SHARD_STREAMS_MAX];

	/* where several daemons share the partitions: changed by the thread `partitions` alone, under the lock */
	bool owned;                                /* what is open is in memory here; with one daemon always */
	struct tail tail;                          /* while another owns it */
	bool behind;                               /* handed nothing until it has caught up, and not to be read from */
	uint64_t row_positions[SHARD_STREAMS_MAX]; /* of the owner's row, as last read: what is in rows of the store */

	/* the thread `partitions` alone */
	uint64_t given[SHARD_STREAMS_MAX]; /* batches handed to the mailbox or the tail */
	bool taking;  /* being taken: what is read goes to its mailbox, and the tail stays as it is */
	bool filling; /* catching up */
};

struct stream {
	char name[STORE_STREAM_SIZE];
	pthread_mutex_t feeding; /* one feeder at a time, across the shards' mailboxes; rank: outermost */
	uint64_t fed;            /* last batch handed to all shards */
};

struct buckets {
	struct buckets_options options;
	char node[32];
	unsigned shard_count;
	struct shard *shards;
	pthread_mutex_t lock; /* streams' names; rank: above a shard's, never held with one */
	struct stream streams[SHARD_STREAMS_MAX];
	unsigned stream_count;
	_Atomic int64_t closed_floor_us; /* oldest hour closed since retention last looked; INT64_MIN: unknown */
	struct partitions *partitions;   /* NULL: all shards are this daemon's */
};

/* ---- buckets.c ---- */
int64_t buckets_wall_us(const struct buckets *buckets);
int64_t buckets_monotonic_us(const struct buckets *buckets);
struct shard *buckets_shard_of(struct buckets *buckets, struct id sensor);
/* The index of a stream, made on first sight; SHARD_STREAMS_MAX when there are too many. */
unsigned buckets_stream(struct buckets *buckets, const char *name);
/* "stream:position,…" in the arena, and back into positions (unknown streams are left out). */
const char *buckets_seen_text(struct buckets *buckets, const uint64_t *positions, struct arena *arena);
void buckets_seen_parse(struct buckets *buckets, const char *text, uint64_t *ret_positions);
struct bucket_rules buckets_rules(const struct buckets *buckets, struct id sensor);

/* Reads every shard's row, in order of the partition, in the arena. ERR_NOT_FOUND where there are not as many as shards. */
enum err buckets_owner_rows(
	struct buckets *buckets, struct arena *arena, struct owner_row **ret_rows, struct err_info *info) MUST_CHECK;
void buckets_row_positions(
	struct buckets *buckets, const struct owner_row *row, uint64_t ret_positions[SHARD_STREAMS_MAX]);
/* Takes every shard's row, or makes the rows anew where there are fewer or more than shards; in one write. `node` NULL: they
 * are nobody's then. */
enum err buckets_owners_take(
	struct buckets *buckets, const char *node, struct arena *arena, struct err_info *info) MUST_CHECK;
/* Puts what was flushed of the open hours of those shards that `wanted` (may be NULL: all) back into their memory. */
enum err buckets_restore(
	struct buckets *buckets, bool (*wanted)(const struct shard *shard), struct err_info *info) MUST_CHECK;
/* Hands batches of a log, from the first that a shard lacks, up to `until`; deadline_us 0: as long as it takes. */
enum err buckets_replay(struct buckets *buckets, unsigned stream, uint64_t from, uint64_t until, int64_t deadline_us,
	struct err_info *info) MUST_CHECK;
/* Sends a request to one shard; its answer comes by the reply. */
enum err buckets_send(struct shard *shard, enum shard_verb verb, struct id sensor, int64_t from_us, int64_t to_us,
	int64_t deadline_us, struct runtime_reply **ret_reply) MUST_CHECK;

/* ---- partitions.c ---- */
enum err partitions_start(struct buckets *buckets, struct err_info *info) MUST_CHECK;
/* Gives all partitions back. */
void partitions_stop(struct buckets *buckets);
/* Something was appended here: it is read at once. */
void partitions_nudge(struct buckets *buckets);
/* Waits until all that any node had appended before `since_us` (monotonic of base) has been read. ERR_DEADLINE. */
enum err partitions_wait(struct buckets *buckets, int64_t since_us, int64_t deadline_us) MUST_CHECK;
/* Before a read: what was appended anywhere more than a second ago has been read, after a wait of up to ten. ERR_BUSY. */
enum err partitions_current(struct buckets *buckets, struct err_info *info) MUST_CHECK;
/* How long ago everything had been read. */
int64_t partitions_age_us(const struct buckets *buckets);
/* Asks the owners to close; waits until they have. ERR_DEADLINE. */
enum err partitions_close_hours(struct buckets *buckets, const struct id *sensors, size_t count, int64_t from_us,
	int64_t to_us, int64_t deadline_us, struct err_info *info) MUST_CHECK;

/* ---- shard.c ---- */
enum err shard_init(struct shard *shard, struct buckets *buckets, unsigned index) MUST_CHECK;
void shard_run(void *shard);
void shard_destroy(struct shard *shard);
/* An empty mailbox, and what the thread begins with: a term and positions are the caller's. */
enum err shard_prepare(struct shard *shard) MUST_CHECK;
/* Frees everything in memory, the mailbox too; its thread has ended. Under no lock. */
void shard_clear(struct shard *shard);
/* The oldest batch that still open hours may need was not written before this; INT64_MAX: there are none. */
int64_t shard_opened_floor(const struct shard *shard);
struct sensor_state *shard_sensor(struct shard *shard, struct id sensor); /* NULL: not in memory */
struct open_bucket *shard_open(struct shard *shard, struct id sensor, int64_t hour_us);
/* An open hour as it was flushed, before the thread runs. */
enum err shard_restore(struct shard *shard, const struct open_row *row, struct err_info *info) MUST_CHECK;
/* Under the lock: takes a bucket out of every list and frees it. */
void shard_forget(struct shard *shard, struct open_bucket *bucket);
void shard_clean(struct shard *shard, struct open_bucket *bucket); /* not dirty any more */
void shard_dirty(struct shard *shard, struct open_bucket *bucket); /* dirty as of its dirty_epoch */
/* What every dirty bucket leaves unseen at most: positions that are surely in rows. */
void shard_positions(const struct shard *shard, uint64_t ret_positions[SHARD_STREAMS_MAX]);
/* Out of the store: the newest closed hour and the reading that ends it; INT64_MIN where there is none. Any thread. */
enum err sensor_newest_closed(struct store *store, struct id sensor, struct arena *arena, int64_t *ret_hour_us,
	struct series_point *ret_point, struct err_info *info) MUST_CHECK;
/* Reads the points of an evicted bucket back. */
enum err shard_load(struct shard *shard, struct open_bucket *bucket, struct err_info *info) MUST_CHECK;

/* ---- closing.c: the shard's thread ---- */
/* Writes dirty buckets that became dirty up to `until_us` (monotonic). */
enum err shard_flush(struct shard *shard, int64_t until_us, struct err_info *info) MUST_CHECK;
/* Closes the given open buckets; the pointers are dead afterwards where it succeeded. */
enum err shard_close(struct shard *shard, struct open_bucket **buckets, size_t count, struct err_info *info) MUST_CHECK;
/* Writes the positions alone, where they have moved. */
enum err shard_write_positions(struct shard *shard, struct err_info *info) MUST_CHECK;

/* ---- content.c: pure ---- */
/* Sorts in place, drops repeats, and takes out every reading whose key came with two values now or before (`conflicts`,
 * sorted offsets). ret_refused has room for `count`. Returns what is left. */
size_t content_settle(struct series_point *points, size_t count, int64_t hour_us, const uint32_t *conflicts,
	size_t conflict_count, struct series_point *ret_refused, size_t *ret_refused_count);
/* Joins late readings with the closed ones into `ret_all` (room for both): a key that is there keeps its value. Returns the
 * number of points; refused ones are late readings with another value under a closed key or on one of its conflicts. */
size_t content_join(const struct series_point *closed, size_t closed_count, const struct series_point *late,
	size_t late_count, int64_t hour_us, const uint32_t *conflicts, size_t conflict_count,
	struct series_point *ret_all, struct series_point *ret_refused, size_t *ret_refused_count);
bool conflicts_hold(const uint32_t *conflicts, size_t count, uint32_t offset);
/* The sorted union in the arena; NULL without memory. */
uint32_t *conflicts_join(const uint32_t *conflicts, size_t count, const struct series_point *refused,
	size_t refused_count, int64_t hour_us, struct arena *arena, size_t *ret_count);
struct bytes conflicts_bytes(const uint32_t *conflicts, size_t count, struct arena *arena);
enum err conflicts_read(
	struct bytes bytes, struct arena *arena, uint32_t **ret_conflicts, size_t *ret_count) MUST_CHECK;

/* ---- rollups.c ---- */
/* The day's hours or the month's days, as stored; none where there is no row. */
#define ROLLUP_PARTS_MAX 31
struct rollup {
	struct id sensor;
	enum rollup_level level;
	int64_t start_us;
	struct series_summary parts[ROLLUP_PARTS_MAX];
	size_t count;
};
enum err rollup_read(struct store *store, struct id sensor, enum rollup_level level, int64_t start_us,
	struct arena *arena, struct rollup *ret_rollup, struct err_info *info) MUST_CHECK;
enum err rollup_decode(const struct rollup_row *row, struct rollup *ret_rollup) MUST_CHECK;
enum err rollup_encode(const struct rollup *rollup, struct arena *arena, struct rollup_row *ret_row) MUST_CHECK;
/* Replaces or adds the part that begins at part->from_us; one without readings is taken out. */
void rollup_put(struct rollup *rollup, const struct series_summary *part);
/* All parts as one summary, seams between them included (series_join). */
void summaries_fold(
	const struct series_summary *parts, size_t count, int64_t period_us, struct series_summary *ret_total);

/* ---- pins.c ---- */
/* The sensor's pins; version 0 where there is no row yet. */
enum err pins_read(struct store *store, struct id sensor, struct arena *arena, struct pin_row *ret_row,
	struct err_info *info) MUST_CHECK;
bool pins_hold(const struct pin_row *row, int64_t hour_us);
/* The compare-and-set of a pins row: raises its version. `row` must live until the write. */
struct store_change pins_change(struct pin_row *row);
enum err buckets_pin(struct buckets *buckets, struct id sensor, int64_t from_us, int64_t to_us, struct id owner,
	struct err_info *info) MUST_CHECK;
enum err buckets_unpin(struct buckets *buckets, struct id sensor, struct id owner, struct err_info *info) MUST_CHECK;

/* ---- retention.c ---- */
/* Drops raw of one sensor that is older than `keep_us` and not pinned; looks again at hours from `floor_us` on. */
enum err buckets_retain_sensor(struct buckets *buckets, struct id sensor, int64_t keep_us, int64_t floor_us,
	int64_t now_us, struct err_info *info) MUST_CHECK;
/* Prunes payloads of the readings logs that no open bucket needs. */
enum err buckets_prune(struct buckets *buckets, int64_t now_us, struct err_info *info) MUST_CHECK;

/* ---- buckets.c: what the public functions stand on ---- */
enum err buckets_feed(struct buckets *buckets, const char *stream, uint64_t seq, const struct reading *readings,
	size_t count, int64_t deadline_us) MUST_CHECK;
/* Sends to every shard and waits for all: SHARD_SETTLE, SHARD_TICK (closes what is due), SHARD_FLUSH. */
enum err buckets_ask(
	struct buckets *buckets, enum shard_verb verb, int64_t deadline_us, struct err_info *info) MUST_CHECK;
/* ERR_OK, or why hours are not written now, with one sentence. Does not block. */
enum err buckets_ready(struct buckets *buckets, char *reason, size_t size) MUST_CHECK;
/* Waits until all that was durable in a readings log before the call has been worked in. */
enum err buckets_settle(struct buckets *buckets, int64_t deadline_us) MUST_CHECK;
enum err buckets_close_hours(struct buckets *buckets, const struct id *sensors, size_t count, int64_t from_us,
	int64_t to_us, int64_t deadline_us, struct err_info *info) MUST_CHECK;

/* ---- query.c ---- */
enum err buckets_find(struct buckets *buckets, struct id sensor, int64_t from_us, int64_t to_us, struct arena *arena,
	struct bucket **ret_buckets, size_t *ret_count, struct err_info *info) MUST_CHECK;
enum err buckets_get(struct buckets *buckets, struct id sensor, int64_t hour_us, int64_t revision, struct arena *arena,
	struct bucket *ret_bucket, struct err_info *info) MUST_CHECK;
enum err buckets_range(struct buckets *buckets, const struct range_query *query, const struct overlay *overlays,
	size_t overlay_count, struct arena *arena, struct range_row **ret_rows, size_t *ret_count, int64_t *ret_next_us,
	struct err_info *info) MUST_CHECK;
enum err buckets_latest(
	struct buckets *buckets, struct id sensor, struct range_row *ret_row, struct err_info *info) MUST_CHECK;

#endif
