/* Units: their rules (slug, code, country, states) and their changes. Worker threads. */
#include <math.h>
#include <stdio.h>

#include "parts.h"

enum { PLANNED, OPERATING, PAUSED, RETIRED, UNIT_STATE_COUNT };

/* from → to: a retired unit stays so, and an operating one is never planned again, as its graph backs claims */
static const bool may_become[UNIT_STATE_COUNT][UNIT_STATE_COUNT] = {
	[PLANNED] = {[PLANNED] = true, [OPERATING] = true, [RETIRED] = true},
	[OPERATING] = {[OPERATING] = true, [PAUSED] = true, [RETIRED] = true},
	[PAUSED] = {[PAUSED] = true, [OPERATING] = true, [RETIRED] = true},
	[RETIRED] = {[RETIRED] = true},
};

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static enum err check(const struct unit *row, struct err_info *info)
{
	enum err err;

	if (id_is_none(row->org_id))
		return err_set(info, ERR_MISSING_FIELD, "/org_id", "/org_id is required");
	err = change_characters("/slug", row->slug, LOWER "0123456789-", "a-z, 0-9 and hyphens", info);
	if (!err)
		err = change_characters("/code", row->code, UPPER "0123456789", "A-Z and 0-9", info);
	if (err)
		return err;
	if (!row->country || !country_is_known(row->country))
		return err_set(info, ERR_INVALID_FIELD, "/country", "/country must be an ISO 3166-1 alpha-2 code");
	if (row->nameplate_kg_per_hour < 1)
		return err_set(
			info, ERR_INVALID_FIELD, "/nameplate_kg_per_hour", "/nameplate_kg_per_hour must be 1 or more");
	if (isnan(row->latitude_deg) != isnan(row->longitude_deg))
		return err_set(info, ERR_INVALID_FIELD, "/longitude_deg", "latitude and longitude are given together");
	return ERR_OK;
}

static enum err create(struct attempt *attempt)
{
	struct unit *row = attempt->row;
	struct unit_configuration guard = {.unit_id = row->id};
	struct configuration_change change = {.action = "unit.create",
		.kind = "unit",
		.subject = row->id,
		.org = row->org_id,
		.collection = &units_collection,
		.new_row = row,
		.guard = &guard};

	/* an id or guard that exists cannot be waited for: it is another unit's */
	enum err err = change_write(attempt, &change);
	if (err == ERR_CONDITION_FAILED) {
		attempt->raced = false;
		err = err_set(attempt->info, ERR_DUPLICATE, "/id", "/id is in use");
	}
	return err ? err : directory_put_unit(attempt->sensing, row, false);
}

enum err sensing_unit_create(
	struct sensing *sensing, const struct audit_actor *actor, struct unit *row, struct err_info *info)
{
	struct attempt attempt = {.sensing = sensing, .actor = actor, .row = row, .expect = FIELD_ABSENT, .info = info};
	enum err err;

	row->created_us = row->updated_us = clock_wall_us();
	row->version = 1;
	if (id_is_none(row->id))
		row->id = id_new(row->created_us);
	if (row->state < 0)
		row->state = PLANNED;
	if (row->nameplate_margin_ppm == FIELD_ABSENT)
		row->nameplate_margin_ppm = 1050000;
	err = check(row, info);
	if (!err && row->state != PLANNED && row->state != OPERATING)
		err = err_set(info, ERR_INVALID_FIELD, "/state", "/state must be planned or operating at first");
	return err ? err : change_run(&attempt, create);
}

static enum err update(struct attempt *attempt)
{
	struct unit *row = attempt->row, old;
	struct unit_configuration guard;
	struct metering_point *points;
	size_t point_count;
	struct configuration_change change = {.action = "unit.update",
		.kind = "unit",
		.subject = row->id,
		.org = row->org_id,
		.collection = &units_collection,
		.old_row = &old,
		.new_row = row};
	enum err err = change_guard(attempt, row->id, &guard); /* before all that it guards */

	if (!err)
		err = unit_get(attempt->sensing, row->id, attempt->arena, &old, "", attempt->info);
	if (!err)
		err = change_expect(attempt, old.version);
	if (!err)
		err = change_fixed(unit_fields, &old, row, attempt->info);
	if (!err && (row->state < 0 || !may_become[old.state][row->state]))
		err = err_set(attempt->info, ERR_INVALID_FIELD, "/state", "/state cannot go from %s to %s",
			unit_states[old.state], row->state < 0 ? "none" : unit_states[row->state]);
	if (!err && old.state != row->state)
		change.guard = &guard; /* points and sensors are checked against the state */
	if (!err && old.state == PLANNED && row->state == OPERATING) {
		err = unit_points(attempt->sensing, &old, attempt->arena, &points, &point_count, attempt->info);
		if (!err)
			err = sensing_graph_check(points, point_count, true, attempt->arena, attempt->info);
	}
	if (err)
		return err;
	row->version = old.version + 1;
	row->created_us = old.created_us;
	change.old_version = old.version;
	err = change_write(attempt, &change);
	return err ? err : directory_put_unit(attempt->sensing, row, false);
}

enum err sensing_unit_update(struct sensing *sensing, const struct audit_actor *actor, struct unit *row, int64_t expect,
	struct err_info *info)
{
	struct attempt attempt = {.sensing = sensing, .actor = actor, .row = row, .expect = expect, .info = info};
	enum err err;

	row->updated_us = clock_wall_us();
	if (row->nameplate_margin_ppm == FIELD_ABSENT)
		row->nameplate_margin_ppm = 1050000;
	err = check(row, info);
	return err ? err : change_run(&attempt, update);
}

static enum err destroy(struct attempt *attempt)
{
	struct unit old;
	struct unit_configuration guard;
	struct metering_point *points;
	size_t point_count = 0;
	struct configuration_change change = {.action = "unit.delete",
		.kind = "unit",
		.subject = attempt->id,
		.collection = &units_collection,
		.old_row = &old,
		.guard = &guard,
		.guard_goes = true};
	enum err err = change_guard(attempt, attempt->id, &guard);

	if (!err)
		err = unit_get(attempt->sensing, attempt->id, attempt->arena, &old, "", attempt->info);
	if (!err)
		err = change_expect(attempt, old.version);
	if (!err)
		err = unit_points(attempt->sensing, &old, attempt->arena, &points, &point_count, attempt->info);
	if (err)
		return err;
	if (point_count)
		return err_set(attempt->info, ERR_IN_USE, NULL,
			"the unit has %zu metering points; set its state to retired instead", point_count);
	change.org = old.org_id;
	change.old_version = old.version;
	err = change_write(attempt, &change);
	return err ? err : directory_put_unit(attempt->sensing, &old, true);
}

enum err sensing_unit_delete(
	struct sensing *sensing, const struct audit_actor *actor, struct id id, int64_t expect, struct err_info *info)
{
	struct attempt attempt = {.sensing = sensing, .actor = actor, .id = id, .expect = expect, .info = info};

	return change_run(&attempt, destroy);
}
