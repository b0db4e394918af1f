/* room: sensing. Hour buckets over a real store in a temporary folder: ten days of twelve sensors at one a minute fed as after
 * an outage, closed at once; then the range queries of decision-makers' pages: a year by the hour, a raw day at 1 Hz, minute
 * means over 200 sensors × 6 hours. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../src/sensing/shard.h"
#include "carbond/base/clock.h"

#define START_US INT64_C(1789948800000000)
#define BATCH    1000

static char folder[64];
static struct store *store;
static struct buckets *buckets;
static uint64_t seq, noise_state = 1;

static const struct store_collection *const collections[] = {&buckets_collection, &open_buckets_collection,
	&rollups_collection, &pins_collection, &bucket_owners_collection, &reading_streams_collection,
	&reviews_collection, NULL};

static bool rules_of(void *context, struct id sensor, struct bucket_rules *ret_rules)
{
	(void)context;
	(void)sensor;
	*ret_rules = (struct bucket_rules){
		.sampling_period_us = CLOCK_US_PER_MINUTE, .lateness_us = 2 * CLOCK_US_PER_MINUTE};
	return true;
}

static enum err refuse(
	void *context, const struct refusal *refusals, size_t count, struct arena *arena, struct refused *ret_refused)
{
	(void)context;
	(void)refusals;
	(void)count;
	(void)arena;
	*ret_refused = (struct refused){0};
	return ERR_OK;
}

static void refused(void *context, const struct refused *refused_rows, bool durable)
{
	(void)context;
	(void)refused_rows;
	(void)durable;
}

static void must(enum err err, const struct err_info *info)
{
	if (!err)
		return;
	fprintf(stderr, "buckets_bench: %s %s\n", err_row(err)->name, info ? info->detail : "");
	exit(1);
}

static double value_next(double *level)
{
	noise_state ^= noise_state << 13;
	noise_state ^= noise_state >> 7;
	noise_state ^= noise_state << 17;
	*level += (double)(int64_t)(noise_state % 21) / 100 - 0.1;
	return (double)(10000 + (int64_t)(*level * 100)) / 100;
}

static struct id sensor_of(unsigned number)
{
	struct id id = {{1, 2, 3, 4, 5, 6, 0x70}};
	id.bytes[14] = (uint8_t)(number >> 8);
	id.bytes[15] = (uint8_t)number;
	return id;
}

static void feed(const struct reading *readings, size_t count)
{
	must(buckets_feed(buckets, "readings.bench", ++seq, readings, count, clock_monotonic_us() + 60000000), NULL);
}

/* Readings of many sensors side by side, as a plant sends them; returns how many. */
static size_t fill(unsigned first, unsigned sensors, int64_t begin_us, int64_t end_us, int64_t step_us)
{
	static struct reading readings[BATCH];
	static double levels[1000];
	size_t count = 0, total = 0;
	for (int64_t at_us = begin_us; at_us < end_us; at_us += step_us)
		for (unsigned i = 0; i < sensors; i++) {
			readings[count++] = (struct reading){
				.sensor = sensor_of(first + i), .time_us = at_us, .value = value_next(&levels[i])};
			total++;
			if (count == BATCH) {
				feed(readings, count);
				count = 0;
			}
		}
	if (count)
		feed(readings, count);
	must(buckets_ask(buckets, SHARD_SETTLE, INT64_MAX, NULL), NULL);
	return total;
}

static void close_all(unsigned first, unsigned sensors, int64_t begin_us, int64_t end_us)
{
	struct err_info info = {0};
	for (unsigned i = 0; i < sensors; i++)
		must(buckets_close_hours(
			     buckets, (struct id[]){sensor_of(first + i)}, 1, begin_us, end_us, INT64_MAX, &info),
			&info);
}

static size_t ask(unsigned sensor, int64_t from_us, int64_t to_us, int64_t step_us, enum aggregate aggregate)
{
	struct arena *arena = arena_new(0);
	struct range_query query = {.sensor = sensor_of(sensor),
		.from_us = from_us,
		.to_us = to_us,
		.step_us = step_us,
		.aggregate = aggregate,
		.most = 100000};
	struct range_row *rows;
	size_t count;
	int64_t next_us;
	struct err_info info = {0};
	must(buckets_range(buckets, &query, NULL, 0, arena, &rows, &count, &next_us, &info), &info);
	arena_free(&arena);
	return count;
}

static int compare(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
	return (a > b) - (a < b);
}

static void measure(const char *name, unsigned first, unsigned sensors, int64_t from_us, int64_t to_us, int64_t step_us,
	enum aggregate aggregate)
{
	int64_t times_us[20];
	size_t rows = 0;
	for (size_t run = 0; run < 20; run++) {
		int64_t begin_us = clock_monotonic_us();
		rows = 0;
		for (unsigned i = 0; i < sensors; i++)
			rows += ask(first + i, from_us, to_us, step_us, aggregate);
		times_us[run] = clock_monotonic_us() - begin_us;
	}
	qsort(times_us, 20, sizeof *times_us, compare);
	printf("%-44s %8.2f ms (median of 20), %zu rows\n", name, (double)times_us[10] / 1000, rows);
}

static void back_fill(void)
{
	int64_t begin_us = clock_monotonic_us();
	size_t count = fill(0, 12, START_US, START_US + 10 * CLOCK_US_PER_DAY, CLOCK_US_PER_MINUTE);
	int64_t fed_us = clock_monotonic_us();
	must(buckets_ask(buckets, SHARD_FLUSH, INT64_MAX, NULL), NULL);
	int64_t flushed_us = clock_monotonic_us();
	close_all(0, 12, START_US, START_US + 10 * CLOCK_US_PER_DAY);
	int64_t closed_us = clock_monotonic_us();
	printf("%-44s %8.2f ms, %.2f M readings/s\n", "back-fill of 10 days × 12 sensors: added",
		(double)(fed_us - begin_us) / 1000, (double)count / (double)(fed_us - begin_us));
	printf("%-44s %8.2f ms\n", "  2,880 open hours flushed", (double)(flushed_us - fed_us) / 1000);
	printf("%-44s %8.2f ms\n", "  2,880 hours closed, with roll-ups", (double)(closed_us - flushed_us) / 1000);
}

static void remove_folder(void)
{
	static const char *const files[] = {"value.db", "readings.db", "views.db", "lock"};
	static const char *const ends[] = {"", "-wal", "-shm"};
	char path[128];
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 3; k++) {
			snprintf(path, sizeof path, "%s/%s%s", folder, files[i], ends[k]);
			(void)unlink(path);
		}
	(void)rmdir(folder);
}

int main(void)
{
	struct err_info info = {0};
	char uri[80];
	strcpy(folder, "/tmp/carbond-bench-XXXXXX");
	if (!mkdtemp(folder))
		return 1;
	snprintf(uri, sizeof uri, "sqlite:%s", folder);
	struct store_options files = {.uri = uri, .collections = collections};
	must(store_open(&files, &store, &info), &info);
	struct buckets_options options = {.store = store,
		.node = "bench",
		.shards = 2,
		.shard_queue = 256,
		.flush_us = 300 * CLOCK_US_PER_SECOND,
		.memory_bytes = 256 << 20,
		.log_retention_us = CLOCK_US_PER_DAY,
		.rules = rules_of,
		.refuse = refuse,
		.refused = refused};
	must(buckets_open(&options, &buckets, &info), &info);
	back_fill();
	fill(100, 1, START_US, START_US + 365 * CLOCK_US_PER_DAY, 10 * CLOCK_US_PER_MINUTE);
	close_all(100, 1, START_US, START_US + 366 * CLOCK_US_PER_DAY);
	measure("a year by the hour, means", 100, 1, START_US, START_US + 365 * CLOCK_US_PER_DAY, CLOCK_US_PER_HOUR,
		AGGREGATE_MEAN);
	measure("a year by the day, integrals", 100, 1, START_US, START_US + 365 * CLOCK_US_PER_DAY, CLOCK_US_PER_DAY,
		AGGREGATE_INTEGRAL);
	fill(101, 1, START_US, START_US + CLOCK_US_PER_DAY, CLOCK_US_PER_SECOND);
	close_all(101, 1, START_US, START_US + CLOCK_US_PER_DAY);
	measure("a raw day at 1 Hz", 101, 1, START_US, START_US + CLOCK_US_PER_DAY, 0, AGGREGATE_RAW);
	fill(200, 200, START_US, START_US + 6 * CLOCK_US_PER_HOUR, CLOCK_US_PER_SECOND);
	measure("the same day while 6 hours × 200 are open", 200, 1, START_US, START_US + 6 * CLOCK_US_PER_HOUR, 0,
		AGGREGATE_RAW);
	close_all(200, 200, START_US, START_US + CLOCK_US_PER_DAY);
	measure("six hours of one sensor, raw", 200, 1, START_US, START_US + 6 * CLOCK_US_PER_HOUR, 0, AGGREGATE_RAW);
	measure("six hours of one sensor, hourly means", 200, 1, START_US, START_US + 6 * CLOCK_US_PER_HOUR,
		CLOCK_US_PER_HOUR, AGGREGATE_MEAN);
	measure("minute means over 200 sensors × 6 hours", 200, 200, START_US, START_US + 6 * CLOCK_US_PER_HOUR,
		CLOCK_US_PER_MINUTE, AGGREGATE_MEAN);
	buckets_close(&buckets);
	store_close(&store);
	remove_folder();
	return 0;
}
