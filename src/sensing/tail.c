/* How the tail of a partition is kept: runs of readings in chains by sensor, to be found, and in lists by stream, to be let go
 * of in order. Called under the lock of the shard whose tail it is. */
#include "tail.h"

#include <stdlib.h>
#include <string.h>

#define CHAINS_FIRST 64

static size_t chain_of(struct id id, size_t chains)
{
	uint64_t a, b;
	memcpy(&a, id.bytes, 8);
	memcpy(&b, id.bytes + 8, 8);
	a = (a ^ b) * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(a >> 32) & (chains - 1);
}

static size_t run_bytes(size_t count)
{
	return sizeof(struct tail_run) + count * sizeof(struct series_point);
}

/* Twice the chains where there are as many runs; without memory they stay as they are, if there are any. */
static bool grow(struct tail *tail)
{
	if (tail->chains && tail->run_count < tail->chain_count)
		return true;
	size_t wider = tail->chain_count ? 2 * tail->chain_count : CHAINS_FIRST;
	struct tail_run **chains = calloc(wider, sizeof(*chains));
	if (!chains)
		return tail->chains;
	for (size_t i = 0; i < tail->chain_count; i++) {
		for (struct tail_run *run = tail->chains[i], *next; run; run = next) {
			next = run->next;
			struct tail_run **chain = &chains[chain_of(run->sensor, wider)];
			run->next = *chain;
			*chain = run;
		}
	}
	free(tail->chains);
	tail->chains = chains;
	tail->chain_count = wider;
	return true;
}

static bool add_run(struct tail *tail, unsigned stream, uint64_t seq, const struct reading *readings, size_t count)
{
	struct tail_run *run = grow(tail) ? malloc(run_bytes(count)) : NULL;
	if (!run)
		return false;
	*run = (struct tail_run){.sensor = readings[0].sensor, .seq = seq, .count = count};
	for (size_t i = 0; i < count; i++)
		run->points[i] = (struct series_point){.time_us = readings[i].time_us,
			.value = readings[i].value == 0 ? 0 : readings[i].value,
			.quality = readings[i].quality};
	struct tail_run **chain = &tail->chains[chain_of(run->sensor, tail->chain_count)];
	run->next = *chain;
	*chain = run;
	*(tail->newest[stream] ? &tail->newest[stream]->newer : &tail->oldest[stream]) = run;
	tail->newest[stream] = run;
	tail->run_count++;
	tail->bytes += run_bytes(count);
	return true;
}

bool tail_add(struct tail *tail, unsigned stream, uint64_t seq, const struct reading *readings, size_t count)
{
	for (size_t begin = 0, end; begin < count; begin = end) {
		for (end = begin + 1; end < count && id_equal(readings[end].sensor, readings[begin].sensor); end++)
			continue;
		if (!add_run(tail, stream, seq, readings + begin, end - begin))
			return false;
	}
	return true;
}

static void let_go_oldest(struct tail *tail, unsigned stream)
{
	struct tail_run *run = tail->oldest[stream];
	struct tail_run **link = &tail->chains[chain_of(run->sensor, tail->chain_count)];
	while (*link != run)
		link = &(*link)->next;
	*link = run->next;
	tail->oldest[stream] = run->newer;
	if (!run->newer)
		tail->newest[stream] = NULL;
	tail->run_count--;
	tail->bytes -= run_bytes(run->count);
	free(run);
}

void tail_let_go(struct tail *tail, const uint64_t positions[TAIL_STREAMS_MAX])
{
	for (unsigned stream = 0; stream < TAIL_STREAMS_MAX; stream++) {
		while (tail->oldest[stream] && tail->oldest[stream]->seq <= positions[stream])
			let_go_oldest(tail, stream);
		if (positions[stream] >= tail->dropped[stream])
			tail->dropped[stream] = 0;
	}
}

void tail_drop(struct tail *tail)
{
	for (unsigned stream = 0; stream < TAIL_STREAMS_MAX; stream++) {
		if (tail->newest[stream])
			tail->dropped[stream] = tail->newest[stream]->seq;
		while (tail->oldest[stream])
			let_go_oldest(tail, stream);
	}
}

bool tail_is_whole(const struct tail *tail, const uint64_t positions[TAIL_STREAMS_MAX])
{
	for (unsigned stream = 0; stream < TAIL_STREAMS_MAX; stream++)
		if (tail->dropped[stream] > positions[stream])
			return false;
	return true;
}

bool tail_points(const struct tail *tail, struct id sensor, int64_t from_us, int64_t to_us, struct arena *arena,
	struct series_point **ret_points, size_t *ret_count)
{
	size_t most = 0, count = 0;
	const struct tail_run *first = tail->chains ? tail->chains[chain_of(sensor, tail->chain_count)] : NULL;
	for (const struct tail_run *run = first; run; run = run->next)
		most += id_equal(run->sensor, sensor) ? run->count : 0;
	struct series_point *points = ARENA_ARRAY(arena, struct series_point, most + 1);
	if (!points)
		return false;
	for (const struct tail_run *run = first; run; run = run->next)
		for (size_t i = 0; id_equal(run->sensor, sensor) && i < run->count; i++)
			if (run->points[i].time_us >= from_us && run->points[i].time_us < to_us)
				points[count++] = run->points[i];
	*ret_points = points;
	*ret_count = count;
	return true;
}

void tail_free(struct tail *tail)
{
	for (unsigned stream = 0; stream < TAIL_STREAMS_MAX; stream++)
		while (tail->oldest[stream])
			let_go_oldest(tail, stream);
	free(tail->chains);
	*tail = (struct tail){0};
}
