/* The map is a document of the user's: every member is looked at before it is used; what the API checks is left to it. */
#include "column_map.h"

#include <string.h>

#include "carbond/base/clock.h"
#include "text.h"

enum err column_map_parse(
	const char *text, size_t size, struct arena *arena, struct column_map *ret_map, struct err_info *info)
{
	*ret_map = (struct column_map){0};
	enum err err = document_parse(arena, text, size, &ret_map->document, info);
	if (!err && !json_is_array(json_object_get(ret_map->document, "columns")))
		err = err_set(info, ERR_MISSING_FIELD, "/columns",
			"/columns of the map must be an array of {column, tag, unit, …}");
	return err;
}

static size_t find(char *const fields[], size_t count, const char *name)
{
	size_t i = 0;
	while (i < count && strcmp(fields[i], name) != 0)
		i++;
	return i;
}

enum err column_map_match(
	struct column_map *map, char *const fields[], size_t count, struct arena *arena, struct err_info *info)
{
	const char *time_name = json_string_value(json_object_get(map->document, "time_column"));
	map->column_count = count;
	map->time_column = time_name ? find(fields, count, time_name) : 0;
	if (map->time_column == count)
		return err_set(info, ERR_INVALID_FIELD, "/time_column",
			"the file has no column '%s' (/time_column of the map)", time_name ? time_name : "");
	size_t index;
	json_t *row;
	json_array_foreach(json_object_get(map->document, "columns"), index, row)
	{
		const char *name = json_string_value(json_object_get(row, "column"));
		const char *tag = json_string_value(json_object_get(row, "tag"));
		size_t column = name ? find(fields, count, name) : count;
		if (!tag || column == count)
			return err_set(info, ERR_INVALID_FIELD, "/columns",
				"/columns/%zu of the map: the file has no column '%s', or tag is missing", index,
				name ? name : "");
		if (map->tags[column])
			return err_set(info, ERR_DUPLICATE, "/columns",
				"/columns/%zu of the map: column '%s' has a tag already", index, name);
		json_t *list = document_own(arena, json_pack("[s]", tag));
		map->tags[column] = list ? document_text(arena, list, NULL) : NULL;
		if (!map->tags[column])
			return err_set(info, ERR_NO_MEMORY, "/columns", "no memory for the map");
	}
	return ERR_OK;
}

static int64_t duration_of(const json_t *object, const char *member, int64_t otherwise_us)
{
	const char *text = json_string_value(json_object_get(object, member));
	int64_t us;
	return text && cli_parse_duration(text, &us) ? us : otherwise_us;
}

json_t *column_map_sensor(const struct column_map *map, const json_t *row)
{
	/* members that the API takes as they are */
	static const char *const taken[] = {"tag", "name", "point", "quantity", "unit", "range_low", "range_high",
		"stale_after_us", "systematic_ppm", "random_ppm", "primary", "manufacturer", "serial_number"};
	int64_t period_us = duration_of(map->document, "sampling_period", CLOCK_US_PER_MINUTE);
	int64_t oldest_us = duration_of(map->document, "oldest", 31 * CLOCK_US_PER_DAY);
	json_t *sensor = json_pack("{s:s, s:s, s:I, s:I}", "point", "PROCESS", "quantity", "other",
		"sampling_period_us", (json_int_t)duration_of(row, "sampling_period", period_us), "oldest_us",
		(json_int_t)duration_of(row, "oldest", oldest_us));
	for (size_t i = 0; sensor && i < sizeof taken / sizeof taken[0]; i++)
		if (json_object_get(row, taken[i]))
			json_object_set(sensor, taken[i], json_object_get(row, taken[i]));
	return sensor;
}
