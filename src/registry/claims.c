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
	if (line->count + 2 > line->capacity) { /* one in the middle of another makes two more */
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

/* ---- spans that change hands ---- */

/* The first span that ends after `hour`. */
static size_t spans_until(const struct claim_line *line, uint32_t hour)
{
	size_t at = spans_before(line, hour);
	return at > 0 && span_end(&line->spans[at - 1]) > hour ? at - 1 : at;
}

uint64_t claims_at(const struct claims *claims, const struct claim_run *run, uint32_t *ret_hours)
{
	const struct claim_line *line = line_find(claims, run->point, run->slot, NULL);
	size_t at = line ? spans_until(line, run->first_hour) : 0;
	uint64_t end = (uint64_t)run->first_hour + run->hours, until = end, owner = 0;
	if (line && at < line->count) {
		bool covers = line->spans[at].first_hour <= run->first_hour;
		owner = covers ? line->spans[at].batch : 0;
		until = covers ? span_end(&line->spans[at]) : line->spans[at].first_hour;
	}
	*ret_hours = (uint32_t)((until < end ? until : end) - run->first_hour);
	return owner;
}

/* Adds a span behind the last of `count`, or to it where it goes on. */
static size_t span_append(struct claim_span *spans, size_t count, struct claim_span span)
{
	struct claim_span *last = count ? &spans[count - 1] : NULL;
	if (span.hours == 0 || span.batch == 0)
		return count;
	if (last && last->batch == span.batch && span_end(last) == span.first_hour) {
		last->hours += span.hours;
		return count;
	}
	spans[count] = span;
	return count + 1;
}

enum err claims_pass(struct claims *claims, const struct claim_run *run, uint64_t from, uint64_t to)
{
	struct claim_run rest = *run;
	if (run->hours == 0 || run->first_hour > UINT32_MAX - run->hours)
		return ERR_CLAIM_TAKEN;
	for (uint32_t hours; rest.hours > 0; rest.first_hour += hours, rest.hours -= hours)
		if (claims_at(claims, &rest, &hours) != from)
			return ERR_CLAIM_TAKEN;
	struct claim_line *line = NULL;
	enum err err = line_get(claims, run, &line);
	if (err)
		return err;
	uint32_t end = run->first_hour + run->hours;
	size_t low = spans_until(line, run->first_hour), high = low;
	while (high < line->count && line->spans[high].first_hour < end)
		high++;
	struct claim_span left = {0}, right = {0}, made[5];
	if (low < high && line->spans[low].first_hour < run->first_hour)
		left = (struct claim_span){
			line->spans[low].first_hour, run->first_hour - line->spans[low].first_hour, from};
	if (low < high && span_end(&line->spans[high - 1]) > end)
		right = (struct claim_span){end, (uint32_t)(span_end(&line->spans[high - 1]) - end), from};
	size_t first = low > 0 ? low - 1 : 0, last = high < line->count ? high + 1 : high, count = 0;
	if (first < low)
		count = span_append(made, count, line->spans[first]);
	count = span_append(made, count, left);
	count = span_append(made, count, (struct claim_span){run->first_hour, run->hours, to});
	count = span_append(made, count, right);
	if (high < last)
		count = span_append(made, count, line->spans[high]);
	assert(line->count - (last - first) + count <= line->capacity);
	memmove(&line->spans[first + count], &line->spans[last], (line->count - last) * sizeof *line->spans);
	memcpy(&line->spans[first], made, count * sizeof *made);
	line->count = line->count - (last - first) + count;
	return ERR_OK;
}

uint64_t registry_claimed_by(const struct registry *registry, struct id point, uint32_t hour, uint32_t slot)
{
	struct claim_run run = {.point = point, .first_hour = hour, .hours = 1, .slot = slot};
	return claims_overlap(&registry->claims, &run);
}
