/* The column map of `carbonctl replay`: which column of a CSV is which tag. Pure; documents live in the arena. */
#ifndef CARBONCTL_COLUMN_MAP_H
#define CARBONCTL_COLUMN_MAP_H

#include "carbond/base/json.h"
#include "csv.h"

struct column_map {
	json_t *document; /* {"time_column", "columns": [{"column", "tag", …}], "plant", "points", …} */
	const char *tags[CSV_COLUMNS_MAX]; /* of each column of the file, as the JSON text ["tag"]; NULL: not sent */
	size_t column_count, time_column;
};

/* Reads the document. ERR_MISSING_FIELD and what document_parse refuses. */
enum err column_map_parse(const char *text, size_t size, struct arena *arena, struct column_map *ret_map,
	struct err_info *info) MUST_CHECK;
/* Finds each mapped column, and that of the time (without /time_column the first), in the head of the file.
 * ERR_INVALID_FIELD, ERR_DUPLICATE (two rows of one column). */
enum err column_map_match(struct column_map *map, char *const fields[], size_t count, struct arena *arena,
	struct err_info *info) MUST_CHECK;
/* A sensor as POST /v1/sensors takes it, of row `row` of /columns; without its unit. A new reference; NULL without memory. */
json_t *column_map_sensor(const struct column_map *map, const json_t *row);

#endif
