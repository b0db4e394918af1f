/* Calibration certificates and quality overlays: dated facts about a sensor that quantification applies, each with its
 * position in the audit log. A certificate is never edited, an overlay never taken back. Worker threads. */
#include <string.h>

#include "carbond/base/decimal.h"

#include "buckets.h"
#include "parts.h"

/* A sensor's gain is near one; these bounds catch a factor entered as percent. */
#define FACTOR_LOW    0.1
#define FACTOR_HIGH   10.0
#define DRIFT_MOST    0.5
#define VALID_MOST_US (INT64_C(31557600000000) * 20)

/* Certificates and overlays of a sensor change under its unit's guard, so that deleting the sensor sees them. */
static enum err sensor_of(struct attempt *attempt, struct id *org, struct id sensor_id, struct sensor *ret_sensor,
	struct unit_configuration *ret_guard)
{
	enum err err = sensor_get(attempt->sensing, sensor_id, attempt->arena, ret_sensor, "/sensor_id", attempt->info);

	if (!err && !id_is_none(*org) && !id_equal(*org, ret_sensor->org_id))
		err = err_set(
			attempt->info, ERR_NOT_FOUND, "/sensor_id", "/sensor_id: none of the sensors has this id");
	if (!err)
		err = change_guard(attempt, ret_sensor->unit_id, ret_guard);
	if (!err) /* again, now that the guard is known */
		err = sensor_get(attempt->sensing, sensor_id, attempt->arena, ret_sensor, "/sensor_id", attempt->info);
	if (!err)
		*org = ret_sensor->org_id;
	return err;
}

static enum err check_decimal(const char *pointer, const char *text, double low, double high, struct err_info *info)
{
	struct decimal decimal;
	double real;

	if (decimal_parse(text, &decimal))
		return err_set(info, ERR_INVALID_FIELD, pointer,
			"%s must be a decimal with at most 12 digits after the point", pointer);
	real = decimal_real(decimal);
	if (real < low || real > high)
		return err_set(info, ERR_INVALID_FIELD, pointer, "%s must be %g..%g", pointer, low, high);
	return ERR_OK;
}

static enum err check_calibration(const struct calibration *row, int64_t now_us, struct err_info *info)
{
	enum err err = check_decimal("/factor", row->factor, FACTOR_LOW, FACTOR_HIGH, info);

	if (!err)
		err = check_decimal("/offset", row->offset, -1e12, 1e12, info);
	if (!err)
		err = check_decimal("/as_found_drift", row->as_found_drift, -DRIFT_MOST, DRIFT_MOST, info);
	if (err)
		return err;
	if (!row->certificate || !row->laboratory)
		return err_set(info, ERR_MISSING_FIELD, "/certificate", "/certificate and /laboratory are required");
	if (row->performed_us > now_us + CLOCK_US_PER_DAY)
		return err_set(info, ERR_INVALID_FIELD, "/performed_at", "/performed_at must not lie in the future");
	if (row->valid_from_us < row->performed_us)
		return err_set(info, ERR_INVALID_FIELD, "/valid_from", "/valid_from must not be before /performed_at");
	if (row->valid_until_us <= row->valid_from_us || row->valid_until_us - row->valid_from_us > VALID_MOST_US)
		return err_set(info, ERR_INVALID_FIELD, "/valid_until",
			"/valid_until must be after /valid_from, by 20 years at most");
	if (row->uncertainty_ppm < 0)
		return err_set(info, ERR_MISSING_FIELD, "/uncertainty_ppm", "/uncertainty_ppm is required");
	return ERR_OK;
}

static enum err create_calibration(struct attempt *attempt)
{
	struct calibration *row = attempt->row;
	struct sensor sensor;
	struct unit_configuration guard;
	struct configuration_change change = {.action = "calibration.create",
		.kind = "calibration",
		.subject = row->id,
		.collection = &calibrations_collection,
		.new_row = row,
		.guard = &guard,
		.position_field = &row->position};
	enum err err = sensor_of(attempt, &row->org_id, row->sensor_id, &sensor, &guard);

	if (err)
		return err;
	change.org = row->org_id;
	return change_write(attempt, &change);
}

enum err sensing_calibration_create(
	struct sensing *sensing, const struct audit_actor *actor, struct calibration *row, struct err_info *info)
{
	struct attempt attempt = {.sensing = sensing, .actor = actor, .row = row, .expect = FIELD_ABSENT, .info = info};
	enum err err;

	row->created_us = clock_wall_us();
	row->version = 1;
	row->position = 0;
	if (id_is_none(row->id))
		row->id = id_new(row->created_us);
	if (!row->factor)
		row->factor = "1";
	if (!row->offset)
		row->offset = "0";
	if (!row->as_found_drift)
		row->as_found_drift = "0";
	err = check_calibration(row, row->created_us, info);
	return err ? err : change_run(&attempt, create_calibration);
}

/* What a batch was quantified with stays: a later certificate can supersede it, and is reviewed. With as-found drift it priced
 * the hours before it too. */
static enum err check_not_cited(struct attempt *attempt, const struct calibration *row)
{
	struct decimal drift = {0};
	bool is_cited = false;
	enum err err = decimal_parse(row->as_found_drift, &drift);

	if (!err)
		err = buckets_cited(attempt->sensing->store, row->sensor_id,
			drift.mantissa ? INT64_MIN : row->valid_from_us, row->valid_until_us, attempt->arena, &is_cited,
			attempt->info);
	if (!err && is_cited)
		err = err_set(attempt->info, ERR_IN_USE, NULL,
			"a submitted period cites hours that the certificate covers; record a further certificate "
			"instead");
	return err;
}

static enum err delete_calibration(struct attempt *attempt)
{
	struct calibration old;
	struct sensor sensor;
	struct unit_configuration guard;
	struct configuration_change change = {.action = "calibration.delete",
		.kind = "calibration",
		.subject = attempt->id,
		.collection = &calibrations_collection,
		.old_row = &old,
		.guard = &guard};
	enum err err;

	field_clear(calibration_fields, &old);
	old.id = attempt->id;
	err = store_get(attempt->sensing->store, &calibrations_collection, &old, attempt->arena, attempt->info);
	if (!err)
		err = change_expect(attempt, old.version);
	if (!err)
		err = sensor_of(attempt, &old.org_id, old.sensor_id, &sensor, &guard);
	if (!err)
		err = check_not_cited(attempt, &old);
	if (err)
		return err;
	change.org = old.org_id;
	change.old_version = old.version;
	return change_write(attempt, &change);
}

enum err sensing_calibration_delete(
	struct sensing *sensing, const struct audit_actor *actor, struct id id, int64_t expect, struct err_info *info)
{
	struct attempt attempt = {.sensing = sensing, .actor = actor, .id = id, .expect = expect, .info = info};

	return change_run(&attempt, delete_calibration);
}

static enum err create_overlay(struct attempt *attempt)
{
	struct overlay *row = attempt->row;
	struct sensor sensor;
	struct unit_configuration guard;
	struct configuration_change change = {.action = "overlay.create",
		.kind = "overlay",
		.subject = row->id,
		.collection = &overlays_collection,
		.new_row = row,
		.guard = &guard,
		.position_field = &row->position};
	enum err err = sensor_of(attempt, &row->org_id, row->sensor_id, &sensor, &guard);

	if (err)
		return err;
	change.org = row->org_id;
	return change_write(attempt, &change);
}

enum err sensing_overlay_create(
	struct sensing *sensing, const struct audit_actor *actor, struct overlay *row, struct err_info *info)
{
	struct attempt attempt = {.sensing = sensing, .actor = actor, .row = row, .expect = FIELD_ABSENT, .info = info};

	row->created_us = clock_wall_us();
	row->version = 1;
	row->position = 0;
	if (id_is_none(row->id))
		row->id = id_new(row->created_us);
	if (row->quality != SERIES_SUSPECT && row->quality != SERIES_OUT_OF_CALIBRATION)
		return err_set(info, ERR_INVALID_FIELD, "/quality", "/quality must be suspect or out_of_calibration");
	if (row->to_us <= row->from_us)
		return err_set(info, ERR_INVALID_FIELD, "/to", "/to must be after /from");
	if (!row->reason || !*row->reason)
		return err_set(info, ERR_MISSING_FIELD, "/reason", "/reason is required");
	return change_run(&attempt, create_overlay);
}
