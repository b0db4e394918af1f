/* Hour buckets: what the rest of the room and the files of the buckets among themselves see. sensing.c calls buckets_start
 * and buckets_stop; everything else is private to buckets.c, shard.c, rollups.c, retention.c, query.c and rows.c. */
#ifndef SENSING_BUCKETS_H
#define SENSING_BUCKETS_H

#include "carbond/sensing.h"
#include "carbond/store/members.h"

struct buckets;

/* Starts the shard threads over sensing->store and the directory, after replaying what the buckets have not seen of every
 * readings log; sets sensing->buckets. The directory must be loaded. */
enum err buckets_start(struct sensing *sensing, struct err_info *info) MUST_CHECK;
/* Takes no more, flushes, joins; sensing->buckets becomes NULL. */
void buckets_stop(struct sensing *sensing);

/* Rows of this part, to be listed in sensing_collections (reviews_collection is in the public header). */
extern const struct store_collection buckets_collection, open_buckets_collection, rollups_collection, pins_collection,
	bucket_owners_collection, reading_streams_collection, close_requests_collection;

/* Whether a submitted period cites hours of the sensor in [from_us, to_us): whether any pin reaches into them. Blocks. */
enum err buckets_cited(struct store *store, struct id sensor, int64_t from_us, int64_t to_us, struct arena *arena,
	bool *ret_cited, struct err_info *info) MUST_CHECK;

/* What the shards must know of a sensor; a copy, so that no picture is held across I/O. */
struct bucket_rules {
	struct id org_id;
	int64_t sampling_period_us, lateness_us, stale_after_us;
};

/* A reading that its bucket cannot take. */
struct refusal {
	struct reading reading;
	enum quarantine_reason reason;
	const char *detail;
};

/* The rows that quarantine refusals, and the changes that write them. */
struct refused {
	struct quarantined *rows;
	size_t row_count;
	struct store_change *changes;
	size_t change_count;
};

/* The same without a `struct sensing`: how buckets_start begins, and how tests do with rules and clocks of their own. */
struct buckets_options {
	struct store *store;
	const char *node;
	struct members *members; /* several daemons divide the shards among themselves; NULL: all are this one's */
	unsigned shards;
	size_t shard_queue;
	int64_t flush_us, memory_bytes, log_retention_us;
	/* False: no such sensor (any more). Must not block. */
	bool (*rules)(void *context, struct id sensor, struct bucket_rules *ret_rules);
	/* Makes the rows of refusals in the arena, which are then written with the bucket; and is told whether they were. */
	enum err (*refuse)(void *context, const struct refusal *refusals, size_t count, struct arena *arena,
		struct refused *ret_refused);
	void (*refused)(void *context, const struct refused *refused, bool durable);
	void *context;
	int64_t (*wall_us)(void), (*monotonic_us)(void); /* NULL: the clocks of base */
};
enum err buckets_open(
	const struct buckets_options *options, struct buckets **ret_buckets, struct err_info *info) MUST_CHECK;
void buckets_close(struct buckets **buckets);

#endif
