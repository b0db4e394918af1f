/* Pictures: a unit as it is quantified: points, sensors, certificates and overlays as they are now, or as a submission saw
 * them, and the hour buckets behind them. What was seen is kept as JSON beside the manifest; buckets are named by revision,
 * for revisions never change. Evidence thread and workers, one thread a picture. */
#include <stdlib.h>
#include <string.h>

#include "parts.h"

enum { OPEN_READINGS_MAX = 400000, ROWS_MAX = 20000, CHUNK_HOURS = 24, SENSORS_MOST = 1024 };

#define CHUNK_US (CHUNK_HOURS * CLOCK_US_PER_HOUR)

/* Hours with one revision in a row. */
struct read_run {
	struct id sensor;
	int64_t first_hour, hours, revision;
};

/* A day of one sensor's buckets; one for each sensor. An empty day is known as well: a look-back over months of them asks
 * once a day. */
struct chunk {
	struct arena *arena;
	int64_t from_us;
	struct bucket *buckets;
	size_t count;
	bool is_read, may_be_open; /* some hour of the day has readings that are not closed, if open ones count */
};

struct picture_hours {
	struct chunk chunks[SENSORS_MOST];
};

static void hours_free(void *object)
{
	struct picture_hours *hours = object;
	for (size_t i = 0; i < SENSORS_MOST; i++)
		arena_free(&hours->chunks[i].arena);
	free(hours);
}

static enum err hours_new(struct picture *picture, struct err_info *info)
{
	picture->hours = calloc(1, sizeof *picture->hours);
	if (!picture->hours || arena_own(picture->arena, hours_free, picture->hours) != ERR_OK)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the hours");
	return ERR_OK;
}

static size_t sensor_index(const struct picture *picture, const struct mrv_sensor *sensor)
{
	return (size_t)(sensor - picture->the_case.sensors);
}

static enum err fill_hour(
	const struct bucket *bucket, const struct mrv_sensor *sensor, struct mrv_hour *ret_hour, struct err_info *info)
{
	if (!bucket->columns)
		return err_set(info, ERR_RAW_EXPIRED, "", "raw readings of sensor %.60s were dropped", sensor->tag);
	*ret_hour = (struct mrv_hour){.revision = bucket->revision,
		.content_hash = bucket->content_hash,
		.columns = bucket->columns,
		.columns_size = bucket->columns_size};
	return ERR_OK;
}

/* ---- newest revisions, read a day at a time ---- */

/* Readings of an hour that is not closed yet, as if it were: for dry runs alone, nothing is kept of it. */
static enum err open_hour(struct picture *picture, const struct mrv_sensor *sensor, int64_t hour_us,
	struct arena *arena, struct mrv_hour *ret_hour, struct err_info *info)
{
	struct range_query query = {.sensor = sensor->id,
		.from_us = hour_us,
		.to_us = hour_us + CLOCK_US_PER_HOUR,
		.aggregate = AGGREGATE_RAW,
		.most = OPEN_READINGS_MAX};
	struct range_row *rows = NULL;
	size_t count = 0;
	int64_t next_us = 0;
	uint8_t *columns;
	enum err err = sensing_range(picture->evidence->sensing, &query, arena, &rows, &count, &next_us, info);
	if (err || count == 0)
		return err;
	struct series_point *points = ARENA_ARRAY(arena, struct series_point, count);
	if (!points)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the hours");
	for (size_t i = 0; i < count; i++)
		points[i] = (struct series_point){
			.time_us = rows[i].time_us, .value = rows[i].value, .quality = rows[i].quality};
	err = series_encode(points, count, arena, &columns, &ret_hour->columns_size);
	if (err)
		return err_set(info, err, "", "no memory for the hours");
	ret_hour->revision = 1;
	ret_hour->columns = columns;
	ret_hour->content_hash = series_content_hash(sensor->id, hour_us, points, count);
	return ERR_OK;
}

/* Whether anything was measured in the day that has no closed hour. */
static enum err look_for_open(
	struct picture *picture, const struct mrv_sensor *sensor, struct chunk *chunk, struct err_info *info)
{
	struct range_query query = {.sensor = sensor->id,
		.from_us = chunk->from_us,
		.to_us = chunk->from_us + CHUNK_US,
		.aggregate = AGGREGATE_RAW,
		.most = 1};
	struct range_row *rows = NULL;
	size_t count = 0;
	int64_t next_us = 0;
	enum err err = sensing_range(picture->evidence->sensing, &query, chunk->arena, &rows, &count, &next_us, info);
	chunk->may_be_open = count > 0;
	return err;
}

static enum err read_chunk(struct picture *picture, const struct mrv_sensor *sensor, int64_t from_us,
	struct chunk *chunk, struct err_info *info)
{
	if (chunk->is_read && chunk->from_us == from_us)
		return ERR_OK;
	if (!chunk->arena && !(chunk->arena = arena_new(EVIDENCE_ARENA_BYTES)))
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the hours");
	arena_reset(chunk->arena);
	*chunk = (struct chunk){.arena = chunk->arena, .from_us = from_us, .may_be_open = picture->with_open};
	enum err err = sensing_buckets(picture->evidence->sensing, sensor->id, from_us, from_us + CHUNK_US,
		chunk->arena, &chunk->buckets, &chunk->count, info);
	if (err == ERR_OK && picture->with_open && chunk->count == 0)
		err = look_for_open(picture, sensor, chunk, info);
	chunk->is_read = err == ERR_OK;
	return err;
}

static enum err newest_hour(void *context, const struct mrv_sensor *sensor, int64_t hour_us, struct arena *arena,
	struct mrv_hour *ret_hour, struct err_info *info)
{
	struct picture *picture = context;
	struct chunk *chunk = &picture->hours->chunks[sensor_index(picture, sensor)];
	enum err err = read_chunk(picture, sensor, hour_us / CHUNK_US * CHUNK_US, chunk, info);
	*ret_hour = (struct mrv_hour){0};
	for (size_t i = 0; err == ERR_OK && i < chunk->count; i++)
		if (chunk->buckets[i].hour_us == hour_us)
			return fill_hour(&chunk->buckets[i], sensor, ret_hour, info);
	/* the hour behind the period is not closed for its sake, so it does not count before it is */
	if (err || !chunk->may_be_open || hour_us >= picture->the_case.to_us)
		return err;
	return open_hour(picture, sensor, hour_us, arena, ret_hour, info);
}

/* ---- given revisions ---- */

int64_t picture_revision(const struct picture *picture, struct id sensor, int64_t hour_us)
{
	int64_t hour = hour_us / CLOCK_US_PER_HOUR;
	size_t low = 0, high = picture->run_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct read_run *run = &picture->runs[middle];
		int order = id_compare(run->sensor, sensor);
		if (order == 0 && hour >= run->first_hour && hour < run->first_hour + run->hours)
			return run->revision;
		if (order < 0 || (order == 0 && run->first_hour < hour))
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

/* What was seen is mostly what is newest still, and comes a day at a time as well; a revision that has a later one comes alone. */
static enum err stored_hour(void *context, const struct mrv_sensor *sensor, int64_t hour_us, struct arena *arena,
	struct mrv_hour *ret_hour, struct err_info *info)
{
	struct picture *picture = context;
	struct chunk *chunk = &picture->hours->chunks[sensor_index(picture, sensor)];
	int64_t revision = picture_revision(picture, sensor->id, hour_us);
	struct bucket bucket = {0};
	*ret_hour = (struct mrv_hour){0};
	if (revision == 0)
		return ERR_OK;
	enum err err = read_chunk(picture, sensor, hour_us / CHUNK_US * CHUNK_US, chunk, info);
	for (size_t i = 0; err == ERR_OK && i < chunk->count; i++)
		if (chunk->buckets[i].hour_us == hour_us && chunk->buckets[i].revision == revision)
			return fill_hour(&chunk->buckets[i], sensor, ret_hour, info);
	if (err == ERR_OK)
		err = sensing_bucket(picture->evidence->sensing, sensor->id, hour_us, revision, arena, &bucket, info);
	return err ? err : fill_hour(&bucket, sensor, ret_hour, info);
}

/* ---- as configured now ---- */

static enum err find_rows(struct evidence *evidence, const struct store_collection *collection, const char *index,
	const void *low, size_t prefix, struct arena *arena, void **ret_rows, size_t *ret_count, struct err_info *info)
{
	struct store_query query = {
		.collection = collection, .index = index, .low = low, .prefix = prefix, .most = ROWS_MAX};
	return store_find(evidence->store, &query, arena, ret_rows, ret_count, info);
}

/* Retired during or after the span: it was there, and what it does not show counts as missing. */
static bool was_there(bool active, int64_t updated_us, int64_t from_us)
{
	return active || updated_us > from_us;
}

static int role_of(int sensing_role)
{
	for (int i = 0; mrv_roles[i]; i++)
		if (strcmp(mrv_roles[i], metering_roles[sensing_role]) == 0)
			return i;
	return -1;
}

static enum err gather_points(struct picture *picture, const struct project *project, struct err_info *info)
{
	struct mrv_case *the_case = &picture->the_case;
	struct metering_point low = {.org_id = project->org_id, .unit_id = project->unit_id};
	void *found = NULL;
	size_t count = 0;
	enum err err = find_rows(picture->evidence, &metering_points_collection, "by_unit", &low, 2, picture->arena,
		&found, &count, info);
	if (err)
		return err;
	const struct metering_point *rows = found;
	the_case->points = ARENA_ARRAY(picture->arena, struct mrv_point, count + 1);
	if (!the_case->points)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the metering points");
	for (size_t i = 0; i < count; i++) {
		if (!was_there(rows[i].state == 0, rows[i].updated_us, the_case->from_us))
			continue;
		the_case->points[the_case->point_count++] = (struct mrv_point){.id = rows[i].id,
			.code = rows[i].code,
			.role = role_of(rows[i].role),
			.claimable = rows[i].claimable,
			.share_ppm = rows[i].share_ppm == FIELD_ABSENT ? 1000000 : rows[i].share_ppm,
			.nameplate_per_hour =
				rows[i].nameplate_per_hour == FIELD_ABSENT ? 0 : rows[i].nameplate_per_hour};
	}
	return ERR_OK;
}

/* A retired sensor gives way to the active one that took its place. */
static bool is_replaced(const struct sensor *rows, size_t count, const struct sensor *row)
{
	for (size_t i = 0; row->state != 0 && i < count; i++)
		if (rows[i].state == 0 && rows[i].primary &&
			id_equal(rows[i].metering_point_id, row->metering_point_id) &&
			strcmp(rows[i].quantity, row->quantity) == 0)
			return true;
	return false;
}

static enum err gather_sensors(struct picture *picture, const struct project *project, struct err_info *info)
{
	struct mrv_case *the_case = &picture->the_case;
	struct sensor low = {.org_id = project->org_id, .unit_id = project->unit_id};
	void *found = NULL;
	size_t count = 0;
	enum err err = find_rows(
		picture->evidence, &sensors_collection, "by_unit", &low, 2, picture->arena, &found, &count, info);
	if (err)
		return err;
	const struct sensor *rows = found;
	if (count > SENSORS_MOST)
		return err_set(
			info, ERR_TOO_LARGE, "", "a unit with more than %d sensors cannot be quantified", SENSORS_MOST);
	the_case->sensors = ARENA_ARRAY(picture->arena, struct mrv_sensor, count + 1);
	if (!the_case->sensors)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the sensors");
	for (size_t i = 0; i < count; i++) {
		if (!was_there(rows[i].state == 0, rows[i].updated_us, the_case->from_us))
			continue;
		the_case->sensors[the_case->sensor_count++] = (struct mrv_sensor){.id = rows[i].id,
			.point_id = rows[i].metering_point_id,
			.tag = rows[i].tag,
			.quantity = rows[i].quantity,
			.unit = rows[i].unit,
			.sampling_period_us = rows[i].sampling_period_us,
			.systematic_ppm = rows[i].systematic_ppm == FIELD_ABSENT ? 0 : rows[i].systematic_ppm,
			.random_ppm = rows[i].random_ppm == FIELD_ABSENT ? 0 : rows[i].random_ppm,
			.primary = rows[i].primary && !is_replaced(rows, count, &rows[i]),
			.manufacturer = rows[i].manufacturer,
			.serial_number = rows[i].serial_number};
	}
	return ERR_OK;
}

static enum err add_calibrations(
	struct picture *picture, const struct mrv_sensor *sensor, struct id org, struct err_info *info)
{
	struct mrv_case *the_case = &picture->the_case;
	struct calibration low = {.org_id = org, .sensor_id = sensor->id};
	void *found = NULL;
	size_t count = 0;
	enum err err = find_rows(picture->evidence, &calibrations_collection, "by_sensor", &low, 2, picture->arena,
		&found, &count, info);
	if (err || count == 0)
		return err;
	const struct calibration *rows = found;
	struct mrv_calibration *grown =
		ARENA_ARRAY(picture->arena, struct mrv_calibration, the_case->calibration_count + count);
	if (!grown)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the calibrations");
	if (the_case->calibration_count)
		memcpy(grown, the_case->calibrations, the_case->calibration_count * sizeof *grown);
	the_case->calibrations = grown;
	for (size_t i = 0; i < count; i++)
		grown[the_case->calibration_count++] = (struct mrv_calibration){.id = rows[i].id,
			.sensor_id = rows[i].sensor_id,
			.certificate = rows[i].certificate,
			.laboratory = rows[i].laboratory,
			.performed_us = rows[i].performed_us,
			.valid_from_us = rows[i].valid_from_us,
			.valid_until_us = rows[i].valid_until_us,
			.factor = rows[i].factor,
			.offset = rows[i].offset,
			.as_found_drift = rows[i].as_found_drift,
			.uncertainty_ppm = rows[i].uncertainty_ppm,
			.document_hash = rows[i].document_hash,
			.position = rows[i].position};
	return ERR_OK;
}

static enum err add_overlays(
	struct picture *picture, const struct mrv_sensor *sensor, struct id org, struct err_info *info)
{
	struct mrv_case *the_case = &picture->the_case;
	struct overlay low = {.org_id = org, .sensor_id = sensor->id};
	void *found = NULL;
	size_t count = 0;
	enum err err = find_rows(
		picture->evidence, &overlays_collection, "by_sensor", &low, 2, picture->arena, &found, &count, info);
	if (err || count == 0)
		return err;
	const struct overlay *rows = found;
	struct mrv_overlay *grown = ARENA_ARRAY(picture->arena, struct mrv_overlay, the_case->overlay_count + count);
	if (!grown)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the overlays");
	if (the_case->overlay_count)
		memcpy(grown, the_case->overlays, the_case->overlay_count * sizeof *grown);
	the_case->overlays = grown;
	for (size_t i = 0; i < count; i++)
		grown[the_case->overlay_count++] = (struct mrv_overlay){.id = rows[i].id,
			.sensor_id = rows[i].sensor_id,
			.from_us = rows[i].from_us,
			.to_us = rows[i].to_us,
			.quality = rows[i].quality,
			.reason = rows[i].reason,
			.model_hash = rows[i].model_hash,
			.feature_hash = rows[i].feature_hash,
			.position = rows[i].position};
	return ERR_OK;
}

static enum err gather_project(struct picture *picture, const struct project *project, struct err_info *info)
{
	struct unit unit = {.id = project->unit_id};
	enum err err = store_get(picture->evidence->store, &units_collection, &unit, picture->arena, info);
	if (err)
		return err;
	picture->the_case.project = (struct mrv_project){.id = project->id,
		.org_id = project->org_id,
		.unit_id = project->unit_id,
		.unit_code = unit.code,
		.country = unit.country,
		.methodology = project->methodology,
		.methodology_version = project->methodology_version,
		.kind = project->kind,
		.storage = project->storage,
		.atmospheric_ppm = project->atmospheric_ppm,
		.biogenic_ppm = project->biogenic_ppm,
		.fossil_ppm = project->fossil_ppm,
		.recycled_ppm = project->recycled_ppm,
		.durability_class = project->durability_class,
		.risk_score = project->risk_score,
		.factor_set = project->factor_set,
		.factor_set_version = project->factor_set_version,
		.electricity_factor = project->electricity_factor,
		.nameplate_kg_per_hour = unit.nameplate_kg_per_hour,
		.nameplate_margin_ppm = unit.nameplate_margin_ppm == FIELD_ABSENT ? 1000000 : unit.nameplate_margin_ppm,
		.schedules = project->schedules};
	return ERR_OK;
}

static enum err picture_new(
	struct evidence *evidence, struct arena *arena, struct picture **ret_picture, struct err_info *info)
{
	struct picture *picture = ARENA_NEW(arena, struct picture);
	if (!picture)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the quantification");
	picture->evidence = evidence;
	picture->arena = arena;
	picture->source.context = picture;
	*ret_picture = picture;
	return hours_new(picture, info);
}

static enum err load_documents(struct picture *picture, struct err_info *info)
{
	const struct mrv_project *project = &picture->the_case.project;
	enum err err = methodology_load(picture->evidence, project->methodology, project->methodology_version,
		picture->arena, &picture->the_case.methodology, info);
	return err ? err
		   : factors_load(picture->evidence, project->factor_set, project->factor_set_version, picture->arena,
			     &picture->the_case.factors, info);
}

enum err picture_now(struct evidence *evidence, const struct project *project, int64_t from_us, int64_t to_us,
	struct arena *arena, struct picture **ret_picture, struct err_info *info)
{
	struct picture *picture = NULL;
	enum err err = picture_new(evidence, arena, &picture, info);
	if (err)
		return err;
	struct mrv_case *the_case = &picture->the_case;
	the_case->from_us = from_us;
	the_case->to_us = to_us;
	picture->source.hour = newest_hour;
	err = gather_project(picture, project, info);
	if (err == ERR_OK)
		err = load_documents(picture, info);
	if (err == ERR_OK)
		err = gather_points(picture, project, info);
	if (err == ERR_OK)
		err = gather_sensors(picture, project, info);
	for (size_t i = 0; err == ERR_OK && i < the_case->sensor_count; i++) {
		err = add_calibrations(picture, &the_case->sensors[i], project->org_id, info);
		if (err == ERR_OK)
			err = add_overlays(picture, &the_case->sensors[i], project->org_id, info);
	}
	if (err)
		return err;
	mrv_case_sort(the_case);
	*ret_picture = picture;
	return ERR_OK;
}

enum err picture_refresh(struct picture *picture, struct err_info *info)
{
	struct mrv_case *the_case = &picture->the_case;
	enum err err = ERR_OK;
	picture->source.hour = newest_hour;
	the_case->calibration_count = the_case->overlay_count = 0;
	for (size_t i = 0; err == ERR_OK && i < the_case->sensor_count; i++) {
		err = add_calibrations(picture, &the_case->sensors[i], the_case->project.org_id, info);
		if (err == ERR_OK)
			err = add_overlays(picture, &the_case->sensors[i], the_case->project.org_id, info);
	}
	mrv_case_sort(the_case);
	return err;
}

/* ---- what was seen, as JSON and back ---- */

struct stored_run {
	struct id sensor_id;
	int64_t first_hour, hours, revision;
};

struct stored_inputs {
	struct mrv_project project;
	struct field_list points, sensors, calibrations, overlays, reads;
};

static const struct field run_fields[] = {FIELD(struct stored_run, sensor_id, FIELD_ID),
	FIELD(struct stored_run, first_hour, FIELD_INT, .min = 0, .max = 100000000),
	FIELD(struct stored_run, hours, FIELD_INT, .min = 1, .max = 100000000),
	FIELD(struct stored_run, revision, FIELD_INT, .min = 1, .max = LIMIT_JSON_INTEGER), FIELD_END};

static const struct field inputs_fields[] = {
	FIELD(struct stored_inputs, project, FIELD_OBJECT, .table = mrv_project_fields),
	FIELD(struct stored_inputs, points, FIELD_LIST, .max = ROWS_MAX, .table = mrv_point_fields,
		.item_size = sizeof(struct mrv_point)),
	FIELD(struct stored_inputs, sensors, FIELD_LIST, .max = SENSORS_MOST, .table = mrv_sensor_fields,
		.item_size = sizeof(struct mrv_sensor)),
	FIELD(struct stored_inputs, calibrations, FIELD_LIST, .max = 100000, .table = mrv_calibration_fields,
		.item_size = sizeof(struct mrv_calibration)),
	FIELD(struct stored_inputs, overlays, FIELD_LIST, .max = 100000, .table = mrv_overlay_fields,
		.item_size = sizeof(struct mrv_overlay)),
	FIELD(struct stored_inputs, reads, FIELD_LIST, .max = 200000, .table = run_fields,
		.item_size = sizeof(struct stored_run)),
	FIELD_END};

static struct field_list list(void *items, size_t count)
{
	return (struct field_list){count ? items : NULL, count};
}

enum err picture_inputs(const struct picture *picture, const struct mrv_result *result, struct arena *arena,
	json_t **ret_inputs, struct err_info *info)
{
	const struct mrv_case *the_case = &picture->the_case;
	struct stored_run *runs = ARENA_ARRAY(arena, struct stored_run, result->read_count + 1);
	size_t count = 0;
	if (!runs)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the inputs");
	for (size_t i = 0; i < result->read_count; i++) {
		const struct mrv_read *read = &result->reads[i];
		struct id sensor = the_case->sensors[read->sensor].id;
		int64_t hour = read->hour_us / CLOCK_US_PER_HOUR;
		struct stored_run *last = count ? &runs[count - 1] : NULL;
		if (last && id_equal(last->sensor_id, sensor) && last->first_hour + last->hours == hour &&
			last->revision == read->revision)
			last->hours++;
		else
			runs[count++] = (struct stored_run){
				.sensor_id = sensor, .first_hour = hour, .hours = 1, .revision = read->revision};
	}
	struct stored_inputs inputs = {.project = the_case->project,
		.points = list(the_case->points, the_case->point_count),
		.sensors = list(the_case->sensors, the_case->sensor_count),
		.calibrations = list(the_case->calibrations, the_case->calibration_count),
		.overlays = list(the_case->overlays, the_case->overlay_count),
		.reads = list(runs, count)};
	*ret_inputs = document_own(arena, field_write(inputs_fields, &inputs));
	return *ret_inputs ? ERR_OK : err_set(info, ERR_NO_MEMORY, "", "no memory for the inputs");
}

enum err picture_stored(struct evidence *evidence, const struct submission *submission, struct arena *arena,
	struct picture **ret_picture, struct err_info *info)
{
	struct picture *picture = NULL;
	struct stored_inputs inputs;
	enum err err = picture_new(evidence, arena, &picture, info);
	if (err == ERR_OK)
		err = field_read(inputs_fields, FIELD_TRUSTED, submission->inputs, "", arena, &inputs, info);
	if (err)
		return err;
	struct mrv_case *the_case = &picture->the_case;
	*the_case = (struct mrv_case){.project = inputs.project,
		.points = inputs.points.items,
		.point_count = inputs.points.count,
		.sensors = inputs.sensors.items,
		.sensor_count = inputs.sensors.count,
		.calibrations = inputs.calibrations.items,
		.calibration_count = inputs.calibrations.count,
		.overlays = inputs.overlays.items,
		.overlay_count = inputs.overlays.count,
		.from_us = submission->from_us,
		.to_us = submission->to_us};
	picture->source.hour = stored_hour;
	picture->run_count = inputs.reads.count;
	picture->runs = ARENA_ARRAY(arena, struct read_run, inputs.reads.count + 1);
	if (!picture->runs)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the inputs");
	const struct stored_run *stored = inputs.reads.items;
	/* in the order of the sensors' ids and hours, as they were written */
	for (size_t i = 0; i < inputs.reads.count; i++)
		picture->runs[i] = (struct read_run){
			stored[i].sensor_id, stored[i].first_hour, stored[i].hours, stored[i].revision};
	err = load_documents(picture, info);
	*ret_picture = picture;
	return err;
}
