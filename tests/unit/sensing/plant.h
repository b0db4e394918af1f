/* A store in a temporary folder, shards over it with clocks and rules of the test's own, and a feeder that writes the
 * readings log as ingest does. */
#ifndef SENSING_PLANT_H
#define SENSING_PLANT_H

#include <dirent.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carbond/base/clock.h"
#include "shard.h"

#define HOUR_US      CLOCK_US_PER_HOUR
#define DAY_US       CLOCK_US_PER_DAY
#define REFUSALS_MAX 4096

static inline int64_t soon(void)
{
	return clock_monotonic_us() + 30 * CLOCK_US_PER_SECOND;
}

/* 2026-09-21T00:00:00Z, a Monday; the plant's clocks begin 60 days later so that nothing is in the future */
#define PLANT_START_US INT64_C(1789948800000000)

static _Atomic int64_t plant_wall_us = PLANT_START_US, plant_monotonic_us = 1000000;

static int64_t plant_wall(void)
{
	return atomic_load(&plant_wall_us);
}

static int64_t plant_monotonic(void)
{
	return atomic_load(&plant_monotonic_us);
}

static inline void plant_pass(int64_t us)
{
	atomic_fetch_add(&plant_wall_us, us);
	atomic_fetch_add(&plant_monotonic_us, us);
}

struct plant {
	char folder[64];
	struct store *store;
	struct buckets *buckets;
	struct buckets_options options;
	uint64_t seq;
	struct hash prev_hash;
	struct bucket_rules rules;
	pthread_mutex_t lock;
	struct refusal refusals[REFUSALS_MAX];
	size_t refusal_count;
};

static const struct store_collection *const plant_collections[] = {&buckets_collection, &open_buckets_collection,
	&rollups_collection, &pins_collection, &bucket_owners_collection, &reading_streams_collection,
	&close_requests_collection, &leases_collection, &reviews_collection, NULL};

static bool plant_rules(void *context, struct id sensor, struct bucket_rules *ret_rules)
{
	struct plant *plant = context;
	(void)sensor;
	*ret_rules = plant->rules;
	return true;
}

static enum err plant_refuse(
	void *context, const struct refusal *refusals, size_t count, struct arena *arena, struct refused *ret_refused)
{
	(void)context;
	ret_refused->rows = (struct quarantined *)arena_copy(arena, refusals, count * sizeof *refusals);
	ret_refused->row_count = count;
	return ret_refused->rows ? ERR_OK : ERR_NO_MEMORY;
}

static void plant_refused(void *context, const struct refused *refused, bool durable)
{
	struct plant *plant = context;
	if (!durable)
		return;
	pthread_mutex_lock(&plant->lock);
	assert_true(plant->refusal_count + refused->row_count <= REFUSALS_MAX);
	memcpy(plant->refusals + plant->refusal_count, refused->rows, refused->row_count * sizeof(struct refusal));
	plant->refusal_count += refused->row_count;
	pthread_mutex_unlock(&plant->lock);
}

static void plant_stop(struct plant *plant)
{
	buckets_close(&plant->buckets);
	store_close(&plant->store);
}

static void plant_options(struct plant *plant, unsigned shards)
{
	plant->options = (struct buckets_options){.store = plant->store,
		.node = "n1",
		.shards = shards,
		.shard_queue = 64,
		.flush_us = 300 * CLOCK_US_PER_SECOND,
		.memory_bytes = 64 << 20,
		.log_retention_us = 7 * DAY_US,
		.rules = plant_rules,
		.refuse = plant_refuse,
		.refused = plant_refused,
		.context = plant,
		.wall_us = plant_wall,
		.monotonic_us = plant_monotonic};
}

/* Opens store and buckets; the store's handle goes into the options between the two. */
static void plant_open(struct plant *plant)
{
	struct err_info info = {0};
	char uri[96];
	snprintf(uri, sizeof uri, "sqlite:%s", plant->folder);
	struct store_options store = {.uri = uri, .collections = plant_collections};
	if (store_open(&store, &plant->store, &info))
		fail_msg("store: %s", info.detail);
	plant->options.store = plant->store;
	if (buckets_open(&plant->options, &plant->buckets, &info))
		fail_msg("buckets: %s", info.detail);
	struct store_batch head;
	assert_int_equal(store_log_head(plant->store, STORE_READINGS, "readings.n1", &head, &info), ERR_OK);
	plant->seq = head.seq;
	plant->prev_hash = head.hash;
}

static struct plant *plant_new(unsigned shards)
{
	struct plant *plant = calloc(1, sizeof *plant);
	assert_non_null(plant);
	strcpy(plant->folder, "/tmp/carbond-buckets-XXXXXX");
	assert_non_null(mkdtemp(plant->folder));
	pthread_mutex_init(&plant->lock, NULL);
	plant->rules = (struct bucket_rules){
		.sampling_period_us = CLOCK_US_PER_MINUTE, .lateness_us = 2 * CLOCK_US_PER_MINUTE};
	plant->rules.org_id.bytes[0] = 7;
	atomic_store(&plant_wall_us, PLANT_START_US + 60 * DAY_US);
	plant_options(plant, shards);
	plant_open(plant);
	return plant;
}

static inline void plant_reopen(struct plant *plant)
{
	plant_stop(plant);
	plant_open(plant);
}

static void plant_free(struct plant *plant)
{
	plant_stop(plant);
	DIR *folder = opendir(plant->folder);
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		char path[512];
		snprintf(path, sizeof path, "%s/%s", plant->folder, entry->d_name);
		unlink(path);
	}
	if (folder)
		closedir(folder);
	rmdir(plant->folder);
	pthread_mutex_destroy(&plant->lock);
	free(plant);
}

/* As ingest does: the log first, then the shards. */
static inline void plant_log_as(struct plant *plant, const char *stream, const struct reading *readings, size_t count)
{
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	uint8_t *payload;
	size_t size;
	assert_int_equal(readings_encode(readings, count, arena, &payload, &size), ERR_OK);
	struct store_batch batch = {.seq = plant->seq + 1,
		.term = 1,
		.count = (uint32_t)count,
		.prev_hash = plant->prev_hash,
		.written_at_us = plant_wall(),
		.node = "n1",
		.payload = payload,
		.payload_size = size};
	struct store_append append = {.class = STORE_READINGS, .batch = &batch};
	snprintf(batch.stream, sizeof batch.stream, "%s", stream);
	if (store_log_append(plant->store, &append, NULL, &info))
		fail_msg("log: %s", info.detail);
	plant->seq++;
	plant->prev_hash = batch.hash;
	arena_free(&arena);
}

static inline void plant_log(struct plant *plant, const struct reading *readings, size_t count)
{
	plant_log_as(plant, "readings.n1", readings, count);
}

static inline void plant_send(struct plant *plant, const struct reading *readings, size_t count)
{
	plant_log(plant, readings, count);
	assert_int_equal(buckets_feed(plant->buckets, "readings.n1", plant->seq, readings, count, soon()), ERR_OK);
}

static inline void plant_ask(struct plant *plant, enum shard_verb verb)
{
	struct err_info info = {0};
	if (buckets_ask(plant->buckets, verb, soon(), &info))
		fail_msg("ask: %s", info.detail);
}

/* Two quiet minutes pass, and what is due closes. */
static inline void plant_quiet(struct plant *plant)
{
	plant_ask(plant, SHARD_SETTLE);
	plant_pass(121 * CLOCK_US_PER_SECOND);
	plant_ask(plant, SHARD_TICK);
}

static inline void plant_close(struct plant *plant, struct id sensor, int64_t from_us, int64_t to_us)
{
	struct err_info info = {0};
	if (buckets_close_hours(plant->buckets, &sensor, 1, from_us, to_us, soon(), &info))
		fail_msg("close: %s", info.detail);
}

static struct id plant_sensor(unsigned number)
{
	struct id id = {{0xaa, 1, 2, 3, 4, 5, 6, 7, 8, 9}};
	id.bytes[15] = (uint8_t)number;
	id.bytes[6] = 0x70;
	return id;
}

#endif
