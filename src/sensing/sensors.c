/* Sensors: their rules (UCUM unit of the quantity's dimension, ranges, one primary a point and quantity, serial number) and
 * their changes. A sensor with readings is retired, never deleted. Worker threads. */
#include <math.h>
#include <string.h>

#include "parts.h"

#define DEFAULT_OLDEST_US   (31 * CLOCK_US_PER_DAY)
#define DEFAULT_NEWEST_US   (5 * CLOCK_US_PER_MINUTE)
#define DEFAULT_LATENESS_US (2 * CLOCK_US_PER_MINUTE)

static void set_default(int64_t *member, int64_t value)
{
	if (*member == FIELD_ABSENT)
		*member = value;
}

static void fill(struct sensor *row)
{
	row->updated_us = clock_wall_us();
	set_default(&row->oldest_us, DEFAULT_OLDEST_US);
	set_default(&row->newest_us, DEFAULT_NEWEST_US);
	set_default(&row->lateness_us, DEFAULT_LATENESS_US);
	set_default(&row->stale_after_us, 0);
	set_default(&row->systematic_ppm, 0);
	set_default(&row->random_ppm, 0);
	set_default(&row->raw_retention_us, 0);
	if (!row->name)
		row->name = row->tag;
	if (row->state < 0)
		row->state = SENSOR_ACTIVE;
}

static enum err check_unit_code(const struct sensor *row, struct err_info *info)
{
	const struct quantity *quantity = row->quantity ? quantity_find(row->quantity) : NULL;
	const char *dimension;
	double offset;

	if (!quantity)
		return err_set(info, ERR_INVALID_FIELD, "/quantity",
			"/quantity must be one of mass_flow, mole_fraction, power, … "
			"as listed in the reference, or other");
	if (!row->unit || !sensing_ucum(row->unit, &dimension, NULL, &offset))
		return err_set(info, ERR_INVALID_FIELD, "/unit",
			"/unit must be one of the UCUM codes listed in the reference");
	if (*quantity->dimension && strcmp(quantity->dimension, dimension) != 0)
		return err_set(info, ERR_INVALID_FIELD, "/unit", "/unit %s has the dimension %s; %s needs %s",
			row->unit, dimension, quantity->name, quantity->dimension);
	if (strcmp(quantity->name, "temperature_difference") == 0 && offset != 0)
		return err_set(info, ERR_INVALID_FIELD, "/unit", "/unit of a temperature_difference must be K");
	return ERR_OK;
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

static enum err check(const struct sensor *row, struct err_info *info)
{
	enum err err;

	if (!row->tag || !*row->tag || has_control(row->tag))
		return err_set(
			info, ERR_INVALID_FIELD, "/tag", "/tag must be 1 to 100 bytes without control characters");
	err = check_unit_code(row, info);
	if (err)
		return err;
	if (!isfinite(row->range_low) || !isfinite(row->range_high) || row->range_low >= row->range_high)
		return err_set(info, ERR_INVALID_FIELD, "/range_low", "/range_low must be below /range_high");
	if (row->sampling_period_us < 1000)
		return err_set(
			info, ERR_INVALID_FIELD, "/sampling_period_us", "/sampling_period_us must be 1000 or more");
	if (!row->manufacturer != !row->serial_number)
		return err_set(info, ERR_INVALID_FIELD, row->manufacturer ? "/serial_number" : "/manufacturer",
			"/manufacturer and /serial_number are given together");
	return ERR_OK;
}

/* At most one active primary sensor of a point and quantity, or quantification would count a flow twice. */
static enum err check_primary(struct attempt *attempt, const struct sensor *row)
{
	struct sensor low = {.org_id = row->org_id, .metering_point_id = row->metering_point_id}, *rows;
	struct store_query query = {.collection = &sensors_collection,
		.index = "by_point",
		.low = &low,
		.prefix = 2,
		.most = UNIT_SENSORS_MAX};
	void *found;
	size_t count;
	enum err err;

	if (!row->primary || row->state != SENSOR_ACTIVE)
		return ERR_OK;
	err = store_find(attempt->sensing->store, &query, attempt->arena, &found, &count, attempt->info);
	if (err)
		return err;
	rows = found;
	for (size_t i = 0; i < count; i++) {
		if (id_equal(rows[i].id, row->id) || !rows[i].primary || rows[i].state != SENSOR_ACTIVE ||
			strcmp(rows[i].quantity, row->quantity) != 0)
			continue;
		return err_set(attempt->info, ERR_INVALID_FIELD, "/primary",
			"/primary: %s is the primary %s sensor of this metering point", rows[i].tag, row->quantity);
	}
	return ERR_OK;
}

static enum err check_room(struct attempt *attempt, const struct unit *unit)
{
	struct sensor *rows;
	size_t count;
	enum err err = unit_sensors(attempt->sensing, unit, attempt->arena, &rows, &count, attempt->info);

	if (!err && count >= UNIT_SENSORS_MAX)
		err = err_set(
			attempt->info, ERR_INVALID_FIELD, NULL, "a unit has at most %d sensors", UNIT_SENSORS_MAX);
	return err;
}

static enum err create(struct attempt *attempt)
{
	struct sensor *row = attempt->row;
	struct metering_point point;
	struct unit unit;
	struct unit_configuration guard;
	struct configuration_change change = {.action = "sensor.create",
		.kind = "sensor",
		.subject = row->id,
		.collection = &sensors_collection,
		.new_row = row,
		.guard = &guard};
	const char *pointer = "/metering_point_id";
	enum err err =
		point_get(attempt->sensing, row->metering_point_id, attempt->arena, &point, pointer, attempt->info);

	if (!err && !id_is_none(row->org_id) && !id_equal(row->org_id, point.org_id))
		err = err_set(
			attempt->info, ERR_NOT_FOUND, pointer, "%s: none of the metering_points has this id", pointer);
	if (!err)
		err = change_guard(attempt, point.unit_id, &guard);
	if (!err) /* again, now that the guard is known */
		err = point_get(
			attempt->sensing, row->metering_point_id, attempt->arena, &point, pointer, attempt->info);
	if (!err)
		err = unit_get(attempt->sensing, point.unit_id, attempt->arena, &unit, pointer, attempt->info);
	if (!err && (point.state == POINT_RETIRED || unit.state == UNIT_RETIRED))
		err = err_set(attempt->info, ERR_INVALID_FIELD, pointer, "%s names a retired metering point or unit",
			pointer);
	if (!err)
		err = check_room(attempt, &unit);
	if (err)
		return err;
	row->org_id = change.org = point.org_id;
	row->unit_id = point.unit_id;
	err = check_primary(attempt, row);
	if (!err)
		err = change_write(attempt, &change);
	return err ? err : directory_put_sensor(attempt->sensing, row, false);
}

enum err sensing_sensor_create(
	struct sensing *sensing, const struct audit_actor *actor, struct sensor *row, struct err_info *info)
{
	struct attempt attempt = {.sensing = sensing, .actor = actor, .row = row, .expect = FIELD_ABSENT, .info = info};
	enum err err;

	fill(row);
	row->created_us = row->updated_us;
	row->version = 1;
	if (id_is_none(row->id))
		row->id = id_new(row->created_us);
	err = check(row, info);
	return err ? err : change_run(&attempt, create);
}

static enum err update(struct attempt *attempt)
{
	struct sensor *row = attempt->row, old;
	struct unit_configuration guard;
	struct configuration_change change = {.action = "sensor.update",
		.kind = "sensor",
		.subject = row->id,
		.org = row->org_id,
		.collection = &sensors_collection,
		.old_row = &old,
		.new_row = row,
		.guard = &guard};
	enum err err = change_guard(attempt, row->unit_id, &guard);

	if (!err)
		err = sensor_get(attempt->sensing, row->id, attempt->arena, &old, "", attempt->info);
	if (!err)
		err = change_expect(attempt, old.version);
	if (!err && !id_equal(old.unit_id, row->unit_id))
		err = err_set(
			attempt->info, ERR_READ_ONLY_FIELD, "/unit_id", "/unit_id follows from the metering point");
	if (!err)
		err = change_fixed(sensor_fields, &old, row, attempt->info);
	if (!err)
		err = check_primary(attempt, row);
	if (err)
		return err;
	row->version = old.version + 1;
	row->created_us = old.created_us;
	change.old_version = old.version;
	err = change_write(attempt, &change);
	return err ? err : directory_put_sensor(attempt->sensing, row, false);
}

enum err sensing_sensor_update(struct sensing *sensing, const struct audit_actor *actor, struct sensor *row,
	int64_t expect, struct err_info *info)
{
	struct attempt attempt = {.sensing = sensing, .actor = actor, .row = row, .expect = expect, .info = info};
	enum err err;

	fill(row);
	err = check(row, info);
	return err ? err : change_run(&attempt, update);
}

/* Readings, certificates and overlays keep a sensor for ever. */
static enum err check_unused(struct attempt *attempt, const struct sensor *old)
{
	struct calibration calibration = {.org_id = old->org_id, .sensor_id = old->id};
	struct overlay overlay = {.org_id = old->org_id, .sensor_id = old->id};
	struct store_query queries[] = {
		{.collection = &calibrations_collection,
			.index = "by_sensor",
			.low = &calibration,
			.prefix = 2,
			.most = 1},
		{.collection = &overlays_collection, .index = "by_sensor", .low = &overlay, .prefix = 2, .most = 1},
	};
	struct range_row latest = {0};
	enum err err = sensing_latest(attempt->sensing, old->id, &latest, attempt->info);

	if (err)
		return err;
	if (latest.count)
		return err_set(
			attempt->info, ERR_IN_USE, NULL, "the sensor has readings; set its state to retired instead");
	for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
		void *rows;
		size_t count;
		err = store_find(attempt->sensing->store, &queries[i], attempt->arena, &rows, &count, attempt->info);
		if (err)
			return err;
		if (count)
			return err_set(attempt->info, ERR_IN_USE, NULL,
				"the sensor has %s; set its state to retired instead", queries[i].collection->name);
	}
	return ERR_OK;
}

static enum err destroy(struct attempt *attempt)
{
	struct sensor old;
	struct unit_configuration guard;
	struct configuration_change change = {.action = "sensor.delete",
		.kind = "sensor",
		.subject = attempt->id,
		.collection = &sensors_collection,
		.old_row = &old,
		.guard = &guard};
	enum err err = sensor_get(attempt->sensing, attempt->id, attempt->arena, &old, "", attempt->info);

	if (!err)
		err = change_expect(attempt, old.version);
	if (!err)
		err = change_guard(attempt, old.unit_id, &guard);
	if (!err)
		err = check_unused(attempt, &old);
	if (err)
		return err;
	change.org = old.org_id;
	change.old_version = old.version;
	err = change_write(attempt, &change);
	return err ? err : directory_put_sensor(attempt->sensing, &old, true);
}

enum err sensing_sensor_delete(
	struct sensing *sensing, const struct audit_actor *actor, struct id id, int64_t expect, struct err_info *info)
{
	struct attempt attempt = {.sensing = sensing, .actor = actor, .id = id, .expect = expect, .info = info};

	return change_run(&attempt, destroy);
}
