/* Reading readings: ranges of one sensor or of many, as JSON or CSV, the newest one, and the hour buckets that they are
 * kept in. Workers; sensing answers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/api.h"
#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/base/text.h"
#include "carbond/sensing.h"

#define ROWS_MAX     100000 /* one answer: a raw day at 1 Hz */
#define SENSORS_MAX  1000   /* one query: a unit's */
#define BUCKETS_SPAN 720    /* hours read at once */

/* ---- what is asked ---- */

struct range_ask {
	const char *from, *to, *step;
	int agg;
	double fraction;
	int format;
	const char *sensors; /* of many */
	struct id unit_id;
	int across;
};

static const char *const formats[] = {"json", "csv", NULL};

#define RANGE_ROWS                                                                                                  \
	FIELD(struct range_ask, from, FIELD_TEXT, .min = 1, .max = 40,                                              \
		.doc = "First moment: RFC 3339 or µs since 1970; a day before `to` where left out"),                \
		FIELD(struct range_ask, to, FIELD_TEXT, .min = 1, .max = 40,                                        \
			.doc = "End (exclusive): RFC 3339 or µs since 1970; now where left out"),                   \
		FIELD(struct range_ask, step, FIELD_TEXT, .min = 2, .max = 12,                                      \
			.doc = "Length of a step, aligned to `from`: a number with s, m, h or d, or `month`; none " \
			       "for "                                                                               \
			       "raw readings"),                                                                     \
		FIELD(struct range_ask, agg, FIELD_ENUM, .names = aggregate_names,                                  \
			.doc = "What a step is reduced to; raw without a step and mean with one where left out"),   \
		FIELD(struct range_ask, fraction, FIELD_REAL, .min_real = 0, .max_real = 1,                         \
			.doc = "Of agg=percentile: 0.5 is the median"),                                             \
		FIELD(struct range_ask, format, FIELD_ENUM, .names = formats,                                       \
			.doc = "json or csv; else by the Accept header")

static const struct field range_fields[] = {RANGE_ROWS, FIELD_END};

static const struct field many_fields[] = {
	FIELD(struct range_ask, sensors, FIELD_TEXT, .min = 36, .max = LIMIT_HTTP_TARGET_BYTES,
		.doc = "Ids of sensors, separated by commas; or unit_id"),
	FIELD(struct range_ask, unit_id, FIELD_ID, .doc = "All sensors of this unit"),
	FIELD(struct range_ask, across, FIELD_ENUM, .names = across_names,
		.doc = "One row a step over all sensors: the mean, min, max or sum of the sensors' values of the step, "
		       "or the count of sensors; those without a reading in it do not count. Where left out, each "
		       "sensor has rows of its own"),
	RANGE_ROWS, FIELD_END};

/* "2026-11-23T10:00:00Z" or "1795428000000000". */
static enum err moment_read(
	const char *text, const char *pointer, int64_t absent_us, int64_t *ret_us, struct err_info *info)
{
	char *end;
	*ret_us = absent_us;
	if (!text || clock_parse(text, ret_us) == ERR_OK)
		return ERR_OK;
	*ret_us = strtoll(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == 0 && *ret_us <= LIMIT_JSON_INTEGER)
		return ERR_OK;
	return err_set(info, ERR_INVALID_FIELD, pointer, "%s must be RFC 3339 or 0..2^53 - 1 µs since 1970", pointer);
}

static enum err step_read(const char *text, struct range_query *query, struct err_info *info)
{
	static const struct {
		char unit;
		int64_t us;
	} units[] = {{'s', CLOCK_US_PER_SECOND}, {'m', CLOCK_US_PER_MINUTE}, {'h', CLOCK_US_PER_HOUR},
		{'d', CLOCK_US_PER_DAY}};
	if (!text)
		return ERR_OK;
	query->month_steps = strcmp(text, "month") == 0;
	if (query->month_steps)
		return ERR_OK;
	char *end;
	int64_t count = strtoll(text, &end, 10);
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (end != text && end[0] == units[i].unit && end[1] == 0 && count > 0 && count <= 1000000) {
			query->step_us = count * units[i].us;
			return ERR_OK;
		}
	return err_set(info, ERR_INVALID_FIELD, "/step", "/step must be 1..1000000 with s, m, h or d, or \"month\"");
}

static enum err ask_read(const struct range_ask *ask, struct range_query *ret_query, struct err_info *info)
{
	int64_t now_us = clock_wall_us();
	*ret_query = (struct range_query){.fraction = isnan(ask->fraction) ? 0 : ask->fraction};
	enum err err = moment_read(ask->to, "/to", now_us, &ret_query->to_us, info);
	if (!err)
		err = moment_read(ask->from, "/from", ret_query->to_us - CLOCK_US_PER_DAY, &ret_query->from_us, info);
	if (!err)
		err = step_read(ask->step, ret_query, info);
	if (err)
		return err;
	ret_query->aggregate = ask->agg >= 0 ? (enum aggregate)ask->agg : ask->step ? AGGREGATE_MEAN : AGGREGATE_RAW;
	if (ret_query->aggregate != AGGREGATE_RAW && !ask->step)
		return err_set(info, ERR_MISSING_FIELD, "/step", "/step is needed with this aggregate");
	if (ret_query->aggregate == AGGREGATE_PERCENTILE && isnan(ask->fraction))
		return err_set(info, ERR_MISSING_FIELD, "/fraction", "/fraction is needed with agg=percentile");
	return ERR_OK;
}

/* The sensor must exist and be within the actor's reach; the directory knows, no store is asked. */
static enum err sensor_check(struct http_request *request, struct id sensor, struct err_info *info)
{
	const struct directory *directory = sensing_directory_ref(api_of(request)->sensing);
	const struct directory_sensor *row = directory ? directory_find_sensor(directory, sensor) : NULL;
	struct id org = row ? row->org_id : (struct id){{0}};
	sensing_directory_unref(&directory);
	if (!row)
		return err_set(info, ERR_NOT_FOUND, NULL, "there is no such sensor");
	return api_check_org(request, org, info);
}

/* ---- what is answered ---- */

struct reading_row {
	struct id sensor_id;
	int64_t time;
	double value;
	int64_t count;
	int quality;
};

#define READING_ROWS                                                                                            \
	FIELD(struct reading_row, time, FIELD_TIME, .doc = "Of the reading, or the start of the step"),         \
		FIELD(struct reading_row, value, FIELD_REAL,                                                    \
			.doc = "In the sensor's unit (integral: unit × second); left out where a step has no " \
			       "reading"),                                                                      \
		FIELD(struct reading_row, count, FIELD_INT, .min = 0, .max = INT64_MAX,                         \
			.doc = "Readings in the step; left out of raw readings"),                               \
		FIELD(struct reading_row, quality, FIELD_ENUM, .names = series_quality_names,                   \
			.doc = "Of a raw reading, quality overlays applied")

static const struct field reading_fields[] = {READING_ROWS, FIELD_END};
static const struct field many_reading_fields[] = {
	FIELD(struct reading_row, sensor_id, FIELD_ID, .doc = "Sensor; left out with `across`"), READING_ROWS,
	FIELD_END};

static void row_fill(struct reading_row *row, struct id sensor, const struct range_row *from, bool raw)
{
	*row = (struct reading_row){.sensor_id = sensor,
		.time = from->time_us,
		.value = from->value,
		.count = raw ? FIELD_ABSENT : (int64_t)from->count,
		.quality = raw ? from->quality : -1};
}

/* Rows being written as the answer's JSON or CSV. */
struct rows {
	bool csv, many, raw; /* many: each row names its sensor */
	struct http_page page;
	struct text table;
};

static struct rows rows_begin(struct http_request *request, const struct range_ask *ask, bool many, bool raw)
{
	struct rows rows = {.many = many, .raw = raw};
	rows.csv = ask->format >= 0 ? ask->format == 1
				    : !http_accepts(request, "application/json") && http_accepts(request, "text/csv");
	if (rows.csv) {
		text_add_word(&rows.table, many ? "sensor_id,time,value," : "time,value,");
		text_add_word(&rows.table, raw ? "quality\r\n" : "count\r\n");
	}
	return rows;
}

static void csv_line(struct text *text, const struct reading_row *row, bool many, bool raw)
{
	char sensor[ID_TEXT_SIZE];
	if (many) {
		text_add(text, id_text(row->sensor_id, sensor), ID_TEXT_SIZE - 1);
		text_add(text, ",", 1);
	}
	text_add_time(text, row->time);
	text_add(text, ",", 1);
	if (!isnan(row->value))
		text_add_number(text, row->value);
	text_add(text, ",", 1);
	if (raw)
		text_add_word(text, series_quality_names[row->quality]);
	else
		text_add_integer(text, row->count);
	text_add(text, "\r\n", 2);
}

static void rows_add(struct rows *rows, struct id sensor, const struct range_row *found, size_t count)
{
	struct reading_row row;
	for (size_t i = 0; i < count; i++) {
		row_fill(&row, sensor, &found[i], rows->raw);
		if (rows->csv)
			csv_line(&rows->table, &row, rows->many, rows->raw);
		else
			http_page_add(&rows->page, rows->many ? many_reading_fields : reading_fields, &row);
	}
}

/* CSV is RFC 4180's; its cursor goes into a header, for a table has no place for it. */
static enum err rows_answer(
	struct http_request *request, struct rows *rows, const char *next_cursor, struct err_info *info)
{
	size_t size;
	if (!rows->csv)
		return http_answer_written_page(request, &rows->page, next_cursor);
	const char *table = text_take(&rows->table, http_arena(request), &size);
	if (!table)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the table; ask for fewer rows");
	if (next_cursor)
		http_set_header(request, "Carbond-Next-Cursor", next_cursor);
	return http_answer_text(request, "text/csv; charset=utf-8; header=present", table, size);
}

static void rows_drop(struct rows *rows)
{
	text_free(&rows->page.text);
	text_free(&rows->table);
}

/* A cursor is "<place of the sensor>.<µs>": where the next page begins. */
static enum err cursor_read(
	const char *text, size_t sensors, size_t *ret_sensor, struct range_query *query, struct err_info *info)
{
	char *end;
	*ret_sensor = 0;
	if (!text)
		return ERR_OK;
	unsigned long long sensor = strtoull(text, &end, 10);
	int64_t at_us = *end == '.' ? strtoll(end + 1, &end, 10) : INT64_MIN;
	if (*end || sensor >= sensors || at_us < query->from_us || at_us >= query->to_us)
		return err_set(info, ERR_INVALID_CURSOR, NULL, "take the cursor from next_cursor of the same query");
	*ret_sensor = (size_t)sensor;
	query->from_us = at_us;
	return ERR_OK;
}

/* Where the next page begins; where it stays NULL and `err` OK, there is none. */
static enum err cursor_write(
	struct http_request *request, size_t sensor, int64_t at_us, const char **ret_cursor, struct err_info *info)
{
	*ret_cursor = arena_print(http_arena(request), "%zu.%lld", sensor, (long long)at_us);
	return *ret_cursor ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the cursor");
}

/* Some sensors' rows, as many as the page still takes. */
static enum err answers_add(struct http_request *request, struct rows *rows, const struct range_answer *answers,
	size_t count, size_t first, size_t *left, const char **ret_next, struct err_info *info)
{
	for (size_t i = 0; i < count; i++) {
		const struct range_answer *answer = &answers[i];
		size_t taken = answer->count < *left ? answer->count : *left;
		rows_add(rows, answer->sensor, answer->rows, taken);
		*left -= taken;
		if (taken < answer->count)
			return cursor_write(request, first + i, answer->rows[taken].time_us, ret_next, info);
		if (answer->next_us != FIELD_ABSENT)
			return cursor_write(request, first + i, answer->next_us, ret_next, info);
	}
	return ERR_OK;
}

/* One sensor after the other until the page is full. */
static enum err sensors_walk(struct http_request *request, const struct range_ask *ask, const struct id *sensors,
	size_t sensor_count, bool many, struct err_info *info)
{
	struct sensing *sensing = api_of(request)->sensing;
	struct range_query query;
	size_t left = http_page_limit(request), sensor = 0, count;
	const char *next = NULL;
	enum err err = ask_read(ask, &query, info);
	int64_t from_us = query.from_us;
	if (!err)
		err = cursor_read(http_page_cursor(request), sensor_count, &sensor, &query, info);
	if (err)
		return err;
	struct rows rows = rows_begin(request, ask, many, query.aggregate == AGGREGATE_RAW);
	query.most = left;
	size_t most = sensing_ranges_most(sensing, &query);
	most = most < sensor_count ? most : sensor_count;
	struct range_answer *answers = ARENA_ARRAY(http_arena(request), struct range_answer, most + 1);
	if (!answers)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the rows; ask for fewer");
	for (; !err && sensor < sensor_count && !next; sensor += count) {
		count = sensor_count - sensor < most ? sensor_count - sensor : most;
		if (query.from_us != from_us) /* the rest of one that the page before began */
			count = 1;
		query.most = left;
		if (left == 0) {
			err = cursor_write(request, sensor, from_us, &next, info);
			break;
		}
		err = sensing_ranges(sensing, &query, sensors + sensor, count, answers, info);
		if (err)
			break;
		err = answers_add(request, &rows, answers, count, sensor, &left, &next, info);
		sensing_ranges_free(answers, count);
		query.from_us = from_us;
	}
	if (!err)
		return rows_answer(request, &rows, next, info);
	rows_drop(&rows);
	return err;
}

/* One row a step over all sensors. */
static enum err sensors_reduce(struct http_request *request, const struct range_ask *ask, const struct id *sensors,
	size_t sensor_count, struct err_info *info)
{
	struct range_query query;
	struct range_row *found = NULL;
	size_t count = 0, first;
	int64_t next_us = FIELD_ABSENT;
	const char *next = NULL;
	enum err err = ask_read(ask, &query, info);
	if (!err)
		err = cursor_read(http_page_cursor(request), 1, &first, &query, info);
	query.most = http_page_limit(request);
	if (!err)
		err = sensing_across(api_of(request)->sensing, &query, (enum across)ask->across, sensors, sensor_count,
			http_arena(request), &found, &count, &next_us, info);
	if (!err && next_us != FIELD_ABSENT)
		err = cursor_write(request, 0, next_us, &next, info);
	if (err)
		return err;
	struct rows rows = rows_begin(request, ask, false, false);
	rows_add(&rows, (struct id){{0}}, found, count);
	return rows_answer(request, &rows, next, info);
}

/* ---- routes ---- */

static enum err readings_range(struct http_request *request, struct err_info *info)
{
	struct id sensor;
	enum err err = http_path_id(request, "id", &sensor, info);
	if (!err)
		err = sensor_check(request, sensor, info);
	return err ? err : sensors_walk(request, http_query(request), &sensor, 1, false, info);
}

static enum err sensors_parse(struct http_request *request, const char *text, struct id *ret_sensors, size_t *ret_count,
	struct err_info *info)
{
	char one[ID_TEXT_SIZE];
	enum err err = ERR_OK;
	*ret_count = 0;
	while (text && *text && !err) {
		size_t length = strcspn(text, ",");
		if (length != ID_TEXT_SIZE - 1 || *ret_count == SENSORS_MAX)
			return err_set(info, ERR_INVALID_FIELD, "/sensors",
				"/sensors must be 1..%d ids with commas between", SENSORS_MAX);
		memcpy(one, text, length);
		one[length] = 0;
		if (id_parse(one, &ret_sensors[*ret_count]))
			return err_set(info, ERR_INVALID_FIELD, "/sensors", "\"%s\" in /sensors is not a UUID", one);
		err = sensor_check(request, ret_sensors[(*ret_count)++], info);
		text += length + (text[length] == ',');
	}
	return err;
}

static enum err unit_sensors_find(struct http_request *request, struct id unit_id, struct id *ret_sensors,
	size_t *ret_count, struct err_info *info)
{
	struct unit unit = {.id = unit_id};
	void *rows;
	enum err err = store_get(api_of(request)->store, &units_collection, &unit, http_arena(request), info);
	if (!err)
		err = api_check_org(request, unit.org_id, info);
	struct sensor low = {.org_id = unit.org_id, .unit_id = unit_id};
	struct store_query query = {
		.collection = &sensors_collection, .index = "by_unit", .low = &low, .prefix = 2, .most = SENSORS_MAX};
	if (!err)
		err = store_find(api_of(request)->store, &query, http_arena(request), &rows, ret_count, info);
	for (size_t i = 0; !err && i < *ret_count; i++)
		ret_sensors[i] = ((const struct sensor *)rows)[i].id;
	return err;
}

static enum err readings_many(struct http_request *request, struct err_info *info)
{
	const struct range_ask *ask = http_query(request);
	struct id *sensors = ARENA_ARRAY(http_arena(request), struct id, SENSORS_MAX);
	size_t count = 0;
	if (!sensors)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the sensors");
	if (!ask->sensors == id_is_none(ask->unit_id))
		return err_set(info, ERR_MISSING_FIELD, "/sensors", "one of /sensors and /unit_id is needed, not both");
	enum err err = ask->sensors ? sensors_parse(request, ask->sensors, sensors, &count, info)
				    : unit_sensors_find(request, ask->unit_id, sensors, &count, info);
	if (err)
		return err;
	return ask->across < 0 ? sensors_walk(request, ask, sensors, count, true, info)
			       : sensors_reduce(request, ask, sensors, count, info);
}

static enum err readings_latest(struct http_request *request, struct err_info *info)
{
	struct id sensor;
	struct range_row found;
	struct reading_row row;
	enum err err = http_path_id(request, "id", &sensor, info);
	if (!err)
		err = sensor_check(request, sensor, info);
	if (!err)
		err = sensing_latest(api_of(request)->sensing, sensor, &found, info);
	if (err)
		return err;
	if (found.count == 0)
		return err_set(info, ERR_NOT_FOUND, NULL, "the sensor has no reading yet");
	row_fill(&row, sensor, &found, true);
	return http_answer_row(request, many_reading_fields, &row, -1);
}

/* ---- buckets ---- */

struct bucket_ask {
	const char *from, *to;
};

struct bucket_item {
	int64_t hour, revision, count, good_count, manual_count, stale_count;
	struct hash content_hash;
	double min, max, sum, integral;
	bool raw;
};

static const struct field bucket_ask_fields[] = {
	FIELD(struct bucket_ask, from, FIELD_TEXT, .min = 1, .max = 40,
		.doc = "First hour: RFC 3339 or µs since 1970; a day before `to` where left out"),
	FIELD(struct bucket_ask, to, FIELD_TEXT, .min = 1, .max = 40,
		.doc = "End (exclusive): RFC 3339 or µs since 1970; now where left out"),
	FIELD_END};

static const struct field bucket_item_fields[] = {
	FIELD(struct bucket_item, hour, FIELD_TIME, .doc = "Start of the hour"),
	FIELD(struct bucket_item, revision, FIELD_INT, .min = 1, .max = INT64_MAX, .doc = "Newest closed revision"),
	FIELD(struct bucket_item, content_hash, FIELD_HASH,
		.doc = "SHA-256 over sensor, hour and the sorted readings; does not depend on how they came"),
	FIELD(struct bucket_item, count, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "Readings"),
	FIELD(struct bucket_item, good_count, FIELD_INT, .min = 0, .max = INT64_MAX,
		.doc = "Of these good, before overlays"),
	FIELD(struct bucket_item, manual_count, FIELD_INT, .min = 0, .max = INT64_MAX,
		.doc = "Of these entered by hand"),
	FIELD(struct bucket_item, stale_count, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "Of these stale"),
	FIELD(struct bucket_item, min, FIELD_REAL, .doc = "Least value"),
	FIELD(struct bucket_item, max, FIELD_REAL, .doc = "Greatest value"),
	FIELD(struct bucket_item, sum, FIELD_REAL, .doc = "Exact sum, as the nearest double"),
	FIELD(struct bucket_item, integral, FIELD_REAL, .doc = "Inside the hour, unit × second"),
	FIELD(struct bucket_item, raw, FIELD_BOOL, .doc = "False once retention has dropped the raw readings"),
	FIELD_END};

static void bucket_fill(struct bucket_item *item, const struct bucket *bucket)
{
	const struct series_summary *summary = &bucket->summary;
	*item = (struct bucket_item){.hour = bucket->hour_us,
		.revision = bucket->revision,
		.count = (int64_t)summary->count,
		.good_count = (int64_t)summary->good_count,
		.manual_count = (int64_t)summary->manual_count,
		.stale_count = (int64_t)summary->stale_count,
		.content_hash = bucket->content_hash,
		.min = summary->min,
		.max = summary->max,
		.sum = summary->sum,
		.integral = summary->integral,
		.raw = bucket->columns};
}

/* Up to limit + 1 closed hours, read in spans so that a long range costs no more memory than a page. */
static enum err buckets_page(struct http_request *request, struct id sensor, int64_t from_us, int64_t to_us,
	struct bucket_item *items, size_t most, size_t *ret_count, struct err_info *info)
{
	enum err err = ERR_OK;
	for (int64_t at_us = from_us, end_us; at_us < to_us && *ret_count < most && !err; at_us = end_us) {
		struct arena *arena = arena_new(0);
		struct bucket *buckets;
		size_t count = 0;
		end_us = at_us + BUCKETS_SPAN * CLOCK_US_PER_HOUR;
		end_us = end_us < to_us ? end_us : to_us;
		err = arena ? sensing_buckets(
				      api_of(request)->sensing, sensor, at_us, end_us, arena, &buckets, &count, info)
			    : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the buckets");
		for (size_t i = 0; !err && i < count && *ret_count < most; i++)
			bucket_fill(&items[(*ret_count)++], &buckets[i]);
		arena_free(&arena);
	}
	return err;
}

static enum err buckets_list(struct http_request *request, struct err_info *info)
{
	const struct bucket_ask *ask = http_query(request);
	size_t limit = http_page_limit(request), count = 0;
	const char *next = NULL, *cursor = http_page_cursor(request);
	struct id sensor;
	int64_t from_us = 0, to_us = 0;
	enum err err = http_path_id(request, "id", &sensor, info);
	if (!err)
		err = sensor_check(request, sensor, info);
	if (!err)
		err = moment_read(ask->to, "/to", clock_wall_us(), &to_us, info);
	if (!err)
		err = moment_read(ask->from, "/from", to_us - CLOCK_US_PER_DAY, &from_us, info);
	if (!err && cursor && (clock_parse(cursor, &from_us) || from_us >= to_us))
		err = err_set(info, ERR_INVALID_CURSOR, NULL, "take the cursor from next_cursor of the same query");
	/* nothing was measured before 1970, and a span of ten thousand years is not walked */
	from_us = from_us > 0 ? from_us : 0;
	to_us = to_us < clock_wall_us() + CLOCK_US_PER_DAY ? to_us : clock_wall_us() + CLOCK_US_PER_DAY;
	struct bucket_item *items = ARENA_ARRAY(http_arena(request), struct bucket_item, limit + 1);
	if (!err && !items)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the buckets");
	if (!err)
		err = buckets_page(request, sensor, from_us, to_us, items, limit + 1, &count, info);
	if (!err && count > limit) {
		char text[CLOCK_TEXT_SIZE];
		count = limit;
		next = arena_print(http_arena(request), "%s", clock_text(items[limit].hour, text));
	}
	return err ? err : http_answer_page(request, bucket_item_fields, items, sizeof *items, count, next);
}

static const enum err range_errors[] = {ERR_NOT_FOUND, ERR_RAW_EXPIRED, ERR_INVALID_CURSOR, ERR_OK};

const struct http_route api_readings_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/sensors/{id}/readings", "reading:read", .kind = HTTP_WORK, .cost = 5,
		.flags = HTTP_PAGED, .page_rows_max = ROWS_MAX, .query = range_fields,
		.query_size = sizeof(struct range_ask), .response = reading_fields, .success = 200,
		.errors = range_errors, .handler = readings_range, .operation = "readings.range",
		.doc = "Readings of a sensor, raw or reduced to steps"),
	HTTP_ROUTE(HTTP_GET, "/v1/readings", "reading:read", .kind = HTTP_WORK, .flags = HTTP_PAGED,
		.page_rows_max = ROWS_MAX, .cost = 10, .query = many_fields, .query_size = sizeof(struct range_ask),
		.response = many_reading_fields, .success = 200, .errors = range_errors, .handler = readings_many,
		.operation = "readings.many",
		.doc = "Readings of many sensors in one query, sensor by sensor or reduced across them"),
	HTTP_ROUTE(HTTP_GET, "/v1/sensors/{id}/latest", "reading:read", .kind = HTTP_WORK, .cost = 1,
		.response = many_reading_fields, .success = 200, .errors = range_errors, .handler = readings_latest,
		.operation = "readings.latest", .doc = "The newest measurement of a sensor"),
	HTTP_ROUTE(HTTP_GET, "/v1/sensors/{id}/buckets", "reading:read", .kind = HTTP_WORK, .flags = HTTP_PAGED,
		.cost = 5, .query = bucket_ask_fields, .query_size = sizeof(struct bucket_ask),
		.response = bucket_item_fields, .success = 200, .errors = range_errors, .handler = buckets_list,
		.operation = "buckets.list", .doc = "Closed hours of a sensor: revision, hash and summary"),
	{.path = NULL}};
