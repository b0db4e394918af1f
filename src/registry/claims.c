/* Decides who has claimed a meter-hour: per metering point and slot a sorted list of disjoint spans, for ever (claim lock).
 * The state's thread. */
#include "state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct line_key {
	struct id point;
	uint64_t slot;
};

static bool line_equal(const void *context, uint32_t item, const void *key)
{
	const struct claim_line *line = &((const struct claims *)context)->lines[item];
	const struct line_key *wanted = key;
	return line->slot == wanted->slot && id_equal(line->point, wanted->point);
}

static struct claim_line *line_find(const struct claims *claims, struct id point, uint32_t slot, uint64_t *ret_hash)
{
	struct line_key key = {.point = point, .slot = slot};
	uint64_t hash = map_hash_bytes(claims->seed, &key, sizeof key);
	if (ret_hash)
		*ret_hash = hash;
	uint32_t item = map_find(&claims->map, hash, line_equal, claims, &key);
	return item == MAP_NONE ? NULL : &claims->lines[item];
}

void claims_free(struct claims *claims)
{
	for (uint32_t i = 0; i < claims->count; i++)
		free(claims->lines[i].spans);
	free(claims->lines);
	map_free(&claims->map);
	*claims = (struct claims){0};
}

/* The number of spans that begin before `hour`. */
static size_t spans_before(const struct claim_line *line, uint32_t hour)
{
	size_t low = 0, high = line->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (line->spans[middle].first_hour < hour)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint64_t span_end(const struct claim_span *span)
{
	return (uint64_t)span->first_hour + span->hours;
}

static uint64_t line_overlap(const struct claim_line *line, const struct claim_run *run)
{
	size_t at = spans_before(line, run->first_hour);
	if (at > 0 && span_end(&line->spans[at - 1]) > run->first_hour)
		return line->spans[at - 1].batch;
	if (at < line->count && line->spans[at].first_hour < (uint64_t)run->first_hour + run->hours)
		return line->spans[at].batch;
	return 0;
}

uint64_t claims_overlap(const struct claims *claims, const struct claim_run *run)
{
	const struct claim_line *line = line_find(claims, run->point, run->slot, NULL);
	return line ? line_overlap(line, run) : 0;
}

bool claims_covered(const struct claims *claims, const struct claim_run *run, uint64_t batch)
{
	const struct claim_line *line = line_find(claims, run->point, run->slot, NULL);
	if (!line)
		return false;
	uint64_t hour = run->first_hour, end = hour + run->hours;
	size_t at = spans_before(line, run->first_hour);
	if (at > 0 && span_end(&line->spans[at - 1]) > hour)
		at--;
	for (; hour < end; at++) {
		if (at == line->count || line->spans[at].first_hour > hour || line->spans[at].batch != batch)
			return false;
		hour = span_end(&line->spans[at]);
	}
	return true;
}

static enum err line_get(struct claims *claims, const struct claim_run *run, struct claim_line **ret_line)
{
	uint64_t hash;
	struct claim_line *line = line_find(claims, run->point, run->slot, &hash);
	if (!line) {
		void *lines = claims->lines;
		bool room = array_room(&lines, &claims->capacity, claims->count, sizeof *claims->lines) &&
			    map_reserve(&claims->map, 1);
		claims->lines = lines;
		if (!room)
			return ERR_NO_MEMORY;
		map_put(&claims->map, hash, claims->count);
		line = &claims->lines[claims->count++];
		*line = (struct claim_line){.point = run->point, .slot = run->slot};
	}
	if (line->count == line->capacity) {
		size_t capacity = (line->capacity + 4) * 2;
		struct claim_span *spans = realloc(line->spans, capacity * sizeof *spans);
		if (!spans)
			return ERR_NO_MEMORY;
		line->spans = spans;
		line->capacity = capacity;
	}
	*ret_line = line;
	return ERR_OK;
}

enum err claims_take(struct claims *claims, const struct claim_run *runs, size_t count, uint64_t batch)
{
	for (size_t i = 0; i < count; i++) {
		const struct claim_run *run = &runs[i];
		struct claim_line *line = NULL;
		enum err err = line_get(claims, run, &line);
		if (!err && (run->hours == 0 || run->first_hour > UINT32_MAX - run->hours || line_overlap(line, run)))
			err = ERR_CLAIM_TAKEN;
		if (err) {
			claims_give_back(claims, runs, i);
			return err;
		}
		size_t at = spans_before(line, run->first_hour);
		memmove(&line->spans[at + 1], &line->spans[at], (line->count - at) * sizeof *line->spans);
		line->spans[at] =
			(struct claim_span){.first_hour = run->first_hour, .hours = run->hours, .batch = batch};
		line->count++;
	}
	return ERR_OK;
}

void claims_give_back(struct claims *claims, const struct claim_run *runs, size_t count)
{
	for (size_t i = count; i-- > 0;) {
		struct claim_line *line = line_find(claims, runs[i].point, runs[i].slot, NULL);
		assert(line);
		size_t at = spans_before(line, runs[i].first_hour);
		assert(at < line->count && line->spans[at].first_hour == runs[i].first_hour);
		line->count--;
		memmove(&line->spans[at], &line->spans[at + 1], (line->count - at) * sizeof *line->spans);
	}
}

uint64_t registry_claimed_by(const struct registry *registry, struct id point, uint32_t hour, uint32_t slot)
{
	struct claim_run run = {.point = point, .first_hour = hour, .hours = 1, .slot = slot};
	return claims_overlap(&registry->claims, &run);
}
