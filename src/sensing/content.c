/* What of the readings that came for an hour is its content. The rules depend on the set that came, not on its order: a key
 * with two values has none while the hour is open; once it is closed, what is in it stays. Pure; any thread. */
#include <string.h>

#include "shard.h"

static uint32_t offset_of(const struct series_point *point, int64_t hour_us)
{
	return (uint32_t)(point->time_us - hour_us);
}

bool conflicts_hold(const uint32_t *conflicts, size_t count, uint32_t offset)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (conflicts[middle] < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && conflicts[low] == offset;
}

size_t content_settle(struct series_point *points, size_t count, int64_t hour_us, const uint32_t *conflicts,
	size_t conflict_count, struct series_point *ret_refused, size_t *ret_refused_count)
{
	size_t conflict, kept = 0;
	*ret_refused_count = 0;
	count = series_sort(points, count, &conflict);
	if (conflict == SIZE_MAX && conflict_count == 0)
		return count;
	for (size_t begin = 0, end; begin < count; begin = end) {
		for (end = begin + 1; end < count && points[end].time_us == points[begin].time_us; end++)
			continue;
		bool refused = end - begin > 1 ||
			       conflicts_hold(conflicts, conflict_count, offset_of(&points[begin], hour_us));
		for (size_t i = begin; i < end; i++) {
			if (refused)
				ret_refused[(*ret_refused_count)++] = points[i];
			else
				points[kept++] = points[i];
		}
	}
	return kept;
}

size_t content_join(const struct series_point *closed, size_t closed_count, const struct series_point *late,
	size_t late_count, int64_t hour_us, const uint32_t *conflicts, size_t conflict_count,
	struct series_point *ret_all, struct series_point *ret_refused, size_t *ret_refused_count)
{
	size_t count = 0, next = 0;
	*ret_refused_count = 0;
	for (size_t i = 0; i < late_count; i++) {
		while (next < closed_count && closed[next].time_us < late[i].time_us)
			ret_all[count++] = closed[next++];
		bool taken = next < closed_count && closed[next].time_us == late[i].time_us;
		if (taken && closed[next].value == late[i].value)
			continue;
		if (taken || conflicts_hold(conflicts, conflict_count, offset_of(&late[i], hour_us)))
			ret_refused[(*ret_refused_count)++] = late[i];
		else
			ret_all[count++] = late[i];
	}
	while (next < closed_count)
		ret_all[count++] = closed[next++];
	return count;
}

uint32_t *conflicts_join(const uint32_t *conflicts, size_t count, const struct series_point *refused,
	size_t refused_count, int64_t hour_us, struct arena *arena, size_t *ret_count)
{
	uint32_t *all = ARENA_ARRAY(arena, uint32_t, count + refused_count + 1);
	size_t old = 0, new = 0;
	*ret_count = 0;
	while (all && (old < count || new < refused_count)) {
		uint32_t a = old < count ? conflicts[old] : UINT32_MAX;
		uint32_t b = new < refused_count ? offset_of(&refused[new], hour_us) : UINT32_MAX;
		uint32_t least = a < b ? a : b;
		old += old < count && a == least;
		while (new < refused_count && offset_of(&refused[new], hour_us) == least)
			new ++;
		all[(*ret_count)++] = least;
	}
	return all;
}

struct bytes conflicts_bytes(const uint32_t *conflicts, size_t count, struct arena *arena)
{
	struct bytes bytes = {0};
	uint8_t *data = count ? arena_alloc(arena, 4 * count) : NULL;
	for (size_t i = 0; data && i < count; i++)
		for (size_t byte = 0; byte < 4; byte++)
			data[4 * i + byte] = (uint8_t)(conflicts[i] >> (8 * byte));
	bytes.data = data;
	bytes.size = data ? 4 * count : 0;
	return bytes;
}

enum err conflicts_read(struct bytes bytes, struct arena *arena, uint32_t **ret_conflicts, size_t *ret_count)
{
	*ret_conflicts = NULL;
	*ret_count = 0;
	if (!bytes.data)
		return ERR_OK;
	if (bytes.size % 4)
		return ERR_STORE_CORRUPT;
	uint32_t *conflicts = ARENA_ARRAY(arena, uint32_t, bytes.size / 4 + 1);
	if (!conflicts)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < bytes.size; i++)
		conflicts[i / 4] |= (uint32_t)bytes.data[i] << (8 * (i % 4));
	*ret_conflicts = conflicts;
	*ret_count = bytes.size / 4;
	return ERR_OK;
}
