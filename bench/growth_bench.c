/* room: sensing. Whether a reading costs the same as a plant grows: from 100 to 100,000 sensors at one a minute for an hour,
 * and ten sensors from a day to a year, through the hour buckets into a store in a temporary folder. Costs are the process's
 * processor time, so that what else the machine does disturbs them little; memory is what malloc has given out. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../src/sensing/shard.h"
#include "carbond/base/clock.h"
#include "say.h"

#define START_US     INT64_C(1789948800000000)
#define BATCH        1000
#define SENSORS_MOST 100000
#define YEAR_SENSORS 10

static char folder[64];
static struct store *store;
static struct buckets *buckets;
static uint64_t seq, noise = 1;
static double levels[SENSORS_MOST];
static _Atomic int64_t wall_us = START_US, lead_us; /* of both clocks, which the bench moves on past what it has fed */

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
	fprintf(stderr, "growth_bench: %s %s\n", err_row(err)->name, info ? info->detail : "");
	exit(1);
}

static int64_t bench_wall_us(void)
{
	return wall_us;
}

static int64_t bench_monotonic_us(void)
{
	return clock_monotonic_us() + lead_us;
}

static double cpu_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double held_bytes(void)
{
	struct mallinfo2 info = mallinfo2();
	return (double)(info.uordblks + info.hblkhd);
}

static struct id sensor_of(unsigned number)
{
	struct id id = {{1, 2, 3, 4, 5, 6, 0x70}};
	for (int i = 0; i < 4; i++)
		id.bytes[12 + i] = (uint8_t)(number >> (24 - 8 * i));
	return id;
}

static double value_next(unsigned sensor)
{
	noise ^= noise << 13;
	noise ^= noise >> 7;
	noise ^= noise << 17;
	levels[sensor] += (double)(int64_t)(noise % 21) / 100 - 0.1;
	return (double)(10000 + (int64_t)(levels[sensor] * 100)) / 100;
}

static void feed(const struct reading *readings, size_t count)
{
	must(buckets_feed(buckets, "readings.bench", ++seq, readings, count, clock_monotonic_us() + 60000000), NULL);
}

/* One a minute of all sensors side by side. */
static void fill(unsigned sensors, int64_t begin_us, int64_t end_us)
{
	wall_us = end_us;
	static struct reading readings[BATCH];
	size_t count = 0;
	for (int64_t at_us = begin_us; at_us < end_us; at_us += CLOCK_US_PER_MINUTE)
		for (unsigned i = 0; i < sensors; i++) {
			readings[count++] =
				(struct reading){.sensor = sensor_of(i), .time_us = at_us, .value = value_next(i)};
			if (count == BATCH) {
				feed(readings, count);
				count = 0;
			}
		}
	if (count)
		feed(readings, count);
	must(buckets_ask(buckets, SHARD_SETTLE, INT64_MAX, NULL), NULL);
}

/* All that is open before `end_us`, as time closes it. */
static void close_hours(int64_t end_us)
{
	wall_us = end_us + CLOCK_US_PER_HOUR;
	lead_us += CLOCK_US_PER_HOUR;
	must(buckets_ask(buckets, SHARD_TICK, INT64_MAX, NULL), NULL);
}

static void open_store(void)
{
	struct err_info info = {0};
	char uri[80];
	strcpy(folder, "/tmp/carbond-bench-XXXXXX");
	if (!mkdtemp(folder))
		exit(1);
	snprintf(uri, sizeof uri, "sqlite:%s", folder);
	struct store_options files = {.uri = uri, .collections = collections};
	must(store_open(&files, &store, &info), &info);
	struct buckets_options options = {.store = store,
		.node = "bench",
		.shards = 2,
		.shard_queue = 256,
		.flush_us = 3600 * CLOCK_US_PER_SECOND,
		.memory_bytes = INT64_C(2) << 30,
		.log_retention_us = CLOCK_US_PER_DAY,
		.rules = rules_of,
		.refuse = refuse,
		.refused = refused,
		.wall_us = bench_wall_us,
		.monotonic_us = bench_monotonic_us};
	must(buckets_open(&options, &buckets, &info), &info);
	must(buckets_ask(buckets, SHARD_CAUGHT_UP, INT64_MAX, NULL), NULL);
	seq = 0;
}

static void close_store(void)
{
	static const char *const files[] = {"value.db", "readings.db", "views.db", "lock"};
	static const char *const ends[] = {"", "-wal", "-shm"};
	char path[128];
	buckets_close(&buckets);
	store_close(&store);
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 3; k++) {
			snprintf(path, sizeof path, "%s/%s%s", folder, files[i], ends[k]);
			(void)unlink(path);
		}
	(void)rmdir(folder);
}

/* µs of processor that one range query takes: 24 hourly means of one sensor. */
static double query_us(int64_t from_us)
{
	double begin_us = cpu_us();
	for (unsigned i = 0; i < 200; i++) {
		struct arena *arena = arena_new(0);
		struct range_query query = {.sensor = sensor_of(i % YEAR_SENSORS),
			.from_us = from_us,
			.to_us = from_us + CLOCK_US_PER_DAY,
			.step_us = CLOCK_US_PER_HOUR,
			.aggregate = AGGREGATE_MEAN,
			.most = 24};
		struct range_row *rows;
		struct err_info info = {0};
		size_t count;
		int64_t next_us;
		must(buckets_range(buckets, &query, NULL, 0, arena, &rows, &count, &next_us, &info), &info);
		arena_free(&arena);
	}
	return (cpu_us() - begin_us) / 200;
}

/* From the second hour of a new store on: what comes once (compressors, statements, the first pages) is in the first. A small
 * plant is fed for more hours, so that the clock has something to measure. */
static void grow_sensors(unsigned sensors)
{
	unsigned hours = sensors < 1000 ? 20 : sensors < 10000 ? 10 : sensors < 100000 ? 3 : 1;
	double readings = 60.0 * sensors * hours, some = 0, all = 0, fed_us = 0, closed_us = 0;
	int64_t at_us = START_US + CLOCK_US_PER_HOUR;
	open_store();
	fill(sensors, START_US, at_us);
	close_hours(at_us);
	double none = held_bytes();
	for (unsigned hour = 0; hour < hours; hour++, at_us += CLOCK_US_PER_HOUR) {
		double begin_us = cpu_us();
		fill(sensors, at_us, at_us + 16 * CLOCK_US_PER_MINUTE);
		some = hour ? some : held_bytes();
		fill(sensors, at_us + 16 * CLOCK_US_PER_MINUTE, at_us + CLOCK_US_PER_HOUR);
		all = hour ? all : held_bytes();
		double middle_us = cpu_us();
		close_hours(at_us + CLOCK_US_PER_HOUR);
		fed_us += middle_us - begin_us;
		closed_us += cpu_us() - middle_us;
	}
	double reading_bytes = (all - some) / (44.0 * sensors);
	say("measured",
		"%6u sensors, %2u hours: %4.0f ns to add a reading, %5.1f us to flush and close an hour, %5.0f ns a "
		"reading in all; memory %.1f bytes an open reading and %.0f a sensor with an open hour",
		sensors, hours, fed_us * 1000 / readings, closed_us / (sensors * hours),
		(fed_us + closed_us) * 1000 / readings, reading_bytes, (all - none) / sensors - 60 * reading_bytes);
	close_store();
}

static void grow_time(void)
{
	static const int days[] = {1, 30, 90, 180, 365};
	int day = 0;
	open_store();
	for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
		double begin_us = 0, spent_us = 0;
		int from = day;
		for (; day < days[i]; day++) {
			int64_t day_us = START_US + day * CLOCK_US_PER_DAY;
			begin_us = cpu_us();
			fill(YEAR_SENSORS, day_us, day_us + CLOCK_US_PER_DAY);
			close_hours(day_us + CLOCK_US_PER_DAY);
			spent_us += cpu_us() - begin_us;
		}
		say("measured",
			"day %3d to %3d: %5.0f ns a reading, closed; 24 hourly means of the first day %4.0f us, of "
			"the last %4.0f us",
			from + 1, day, spent_us * 1000 / (1440.0 * YEAR_SENSORS * (day - from)), query_us(START_US),
			query_us(START_US + (day - 1) * CLOCK_US_PER_DAY));
	}
	close_store();
}

int main(void)
{
	say("what", "the cost of a reading from 100 to 100,000 sensors, one a minute");
	say("how", "processor time of feeding and closing hour buckets behind the first hour in a store of their own; "
		   "malloc's "
		   "count of bytes after 16 and 60 readings a sensor");
	for (unsigned sensors = 100; sensors <= SENSORS_MOST; sensors *= 10)
		grow_sensors(sensors);
	say("beside", "the row of 100 sensors");
	say("target", "flat within 20 %%; memory 8 bytes an open reading and a stated constant a sensor");
	say("what", "the cost of a reading and of a query as the store grows from a day to a year");
	say("how", "%d sensors at one a minute, each day closed before the next; processor time", YEAR_SENSORS);
	grow_time();
	say("beside", "the rows of the days before");
	say("target", "flat within 20 %%");
	return 0;
}
