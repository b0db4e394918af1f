/* room: cli */
/* A column map of carbonctl replay and, behind a zero byte, the head of the CSV that it is for: refused with a reason, or tags
 * of columns that are in the file, and sensors for the API. */
#include <assert.h>
#include <string.h>

#include "../../cli/column_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct column_map *map)
{
	size_t index;
	json_t *row;
	assert(map->time_column < map->column_count);
	for (size_t i = 0; i < map->column_count; i++)
		assert(!map->tags[i] || (map->tags[i][0] == '[' && map->tags[i][1] == '"'));
	json_array_foreach(json_object_get(map->document, "columns"), index, row)
	{
		json_t *sensor = column_map_sensor(map, row);
		assert(sensor && json_integer_value(json_object_get(sensor, "sampling_period_us")) > 0);
		json_decref(sensor);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct csv csv;
	const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
	size_t map_size = zero ? (size_t)(zero - data) : size;
	char *fields[CSV_COLUMNS_MAX];
	static struct column_map map;
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	if (column_map_parse((const char *)data, map_size, arena, &map, &info) != ERR_OK) {
		assert(info.detail[0]);
	} else if (zero && map_size + 1 < size) {
		csv = (struct csv){
			.file = fmemopen((void *)(uintptr_t)(zero + 1), size - map_size - 1, "r"), .path = "x"};
		assert(csv.file);
		long count = csv_read(&csv, fields, &info);
		if (count > 0 && column_map_match(&map, fields, (size_t)count, arena, &info) == ERR_OK)
			use(&map);
		else
			assert(count == 0 || info.detail[0]);
		fclose(csv.file);
	}
	arena_free(&arena);
	return 0;
}
