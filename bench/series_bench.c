/* room: series. Bytes a reading and nanoseconds a reading of the hour codec: the signals of signals.py (1 Hz, two decimals, a random walk
 * of σ 0.05 a second under noise of σ 0.2; made here with a seed of our own) and every column of a CSV of plant data cut
 * into hours.
 *
 *	series_bench [CSV]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "carbond/series.h"

#define HOUR_US     INT64_C(3600000000)
#define START_US    INT64_C(1789999200000000)
#define SENSORS     20
#define HOURS       24
#define COLUMNS_MAX 128
#define HOUR_ROWS   30
#define KEY_BYTES   32 /* sensor id, hour, revision */

static uint64_t state = 0x9e3779b97f4a7c15;

static double uniform(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}

static double gauss(void)
{
	return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct result {
	size_t readings, columns, summaries, hours;
	double encode_s, decode_s;
};

static void hour_measure(
	const struct series_point *points, size_t count, int64_t period_us, struct arena *arena, struct result *result)
{
	uint8_t *data = NULL, summary_bytes[256];
	size_t size = 0, summary_size = 0, decoded = 0;
	struct series_point *back = NULL;
	struct series_summary summary;
	double begin = seconds();
	enum err err = series_encode(points, count, arena, &data, &size);
	double middle = seconds();
	if (!err)
		err = series_decode(data, size, count, arena, &back, &decoded);
	double end = seconds();
	if (err || decoded != count) {
		fprintf(stderr, "series_bench: round trip failed (%d)\n", err);
		exit(1);
	}
	for (size_t i = 0; i < count; i++) {
		if (back[i].time_us == points[i].time_us && back[i].value == points[i].value)
			continue;
		fprintf(stderr, "series_bench: point %zu differs\n", i);
		exit(1);
	}
	series_summarise(points, count, points[0].time_us / HOUR_US * HOUR_US,
		points[0].time_us / HOUR_US * HOUR_US + HOUR_US, period_us, &summary);
	if (series_summary_encode(&summary, summary_bytes, sizeof summary_bytes, &summary_size))
		exit(1);
	result->readings += count;
	result->columns += size;
	result->summaries += summary_size;
	result->hours++;
	result->encode_s += middle - begin;
	result->decode_s += end - middle;
}

static void result_print(const char *name, const struct result *result)
{
	double readings = (double)result->readings, overhead = (double)(result->hours * (32 + KEY_BYTES));
	printf("%-28s %.4f bytes/reading in columns, %.4f with two summaries, hash and key; encode %.1f ns, decode "
	       "%.1f ns "
	       "(%zu readings in %zu hours)\n",
		name, (double)result->columns / readings,
		((double)(result->columns + 2 * result->summaries) + overhead) / readings,
		result->encode_s * 1e9 / readings, result->decode_s * 1e9 / readings, result->readings, result->hours);
}

static void measure_signals(struct arena *arena)
{
	static struct series_point points[3600];
	struct result result = {0};
	for (int sensor = 0; sensor < SENSORS; sensor++) {
		double level = 400 + sensor;
		for (int hour = 0; hour < HOURS; hour++) {
			for (int second = 0; second < 3600; second++) {
				level += 0.05 * gauss();
				points[second].time_us = START_US + hour * HOUR_US + second * INT64_C(1000000);
				points[second].value = rint((level + 0.2 * gauss()) * 100) / 100;
			}
			hour_measure(points, 3600, 1000000, arena, &result);
			arena_reset(arena);
		}
	}
	result_print("1 Hz, two decimals, noisy", &result);
}

static size_t row_read(char *line, double *values)
{
	size_t count = 0;
	char *rest = strchr(line, ',');
	while (rest && count < COLUMNS_MAX) {
		char *end;
		values[count] = strtod(rest + 1, &end);
		rest = *end == ',' ? end : NULL;
		count++;
	}
	return count;
}

static void measure_plant(const char *path, struct arena *arena)
{
	static struct series_point hours[COLUMNS_MAX][HOUR_ROWS];
	static char line[65536];
	double values[COLUMNS_MAX];
	struct result all = {0};
	FILE *file = fopen(path, "r");
	if (!file || !fgets(line, sizeof line, file)) {
		fprintf(stderr, "series_bench: cannot read %s\n", path);
		exit(1);
	}
	size_t rows = 0, times = 0, columns = 0;
	for (; fgets(line, sizeof line, file); rows++) {
		columns = row_read(line, values);
		for (size_t i = 0; i < columns; i++) {
			hours[i][rows % HOUR_ROWS].time_us = START_US + (int64_t)rows * INT64_C(120000000);
			hours[i][rows % HOUR_ROWS].value = values[i];
		}
		if (rows % HOUR_ROWS != HOUR_ROWS - 1)
			continue;
		for (size_t i = 0; i < columns; i++) {
			hour_measure(hours[i], HOUR_ROWS, 120000000, arena, &all);
			uint8_t *data;
			size_t size;
			struct series_point zeros[HOUR_ROWS];
			memcpy(zeros, hours[i], sizeof zeros);
			for (size_t k = 0; k < HOUR_ROWS; k++)
				zeros[k].value = 0;
			if (series_encode(zeros, HOUR_ROWS, arena, &data, &size))
				exit(1);
			times += size - 2; /* a column of zeros is two bytes */
			arena_reset(arena);
		}
	}
	fclose(file);
	result_print("plant, 30 an hour", &all);
	printf("%-28s %.4f bytes/reading in value columns alone\n", "",
		(double)(all.columns - times) / (double)all.readings);
}

int main(int argc, char **argv)
{
	struct arena *arena = arena_new(0);
	if (!arena)
		return 1;
	measure_signals(arena);
	if (argc > 1)
		measure_plant(argv[1], arena);
	arena_free(&arena);
	return 0;
}
