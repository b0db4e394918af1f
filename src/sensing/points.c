/* Metering points: their rules (roles, the process graph with its claim rule) and their changes. A point that was measured
 * is retired, never deleted, and its id never comes back. Worker threads. */
#include "parts.h"

enum { CAPTURED, COMPRESSED, INJECTED }; /* the roles that carry CO2 towards storage, in metering_roles */

static enum err check(const struct metering_point *row, struct err_info *info)
{
	enum err err = change_characters(
		"/code", row->code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", "A-Z, 0-9 and hyphens", info);

	if (err)
		return err;
	if (row->role < 0)
		return err_set(info, ERR_MISSING_FIELD, "/role", "/role is required");
	if (row->claimable && row->role > INJECTED)
		return err_set(info, ERR_INVALID_FIELD, "/claimable",
			"/claimable needs the role captured, compressed or injected, not %s",
			metering_roles[row->role]);
	return ERR_OK;
}

static void fill(struct metering_point *row)
{
	row->updated_us = clock_wall_us();
	if (row->share_ppm == FIELD_ABSENT)
		row->share_ppm = 1000000;
	if (row->state < 0)
		row->state = POINT_ACTIVE;
}

/* The unit's points as they will be, with `row` in its place (`gone`: without it). */
static enum err check_graph(
	struct attempt *attempt, const struct unit *unit, const struct metering_point *row, bool gone)
{
	struct metering_point *points, *all;
	size_t count, used = 0;
	enum err err = unit_points(attempt->sensing, unit, attempt->arena, &points, &count, attempt->info);

	if (err)
		return err;
	all = ARENA_ARRAY(attempt->arena, struct metering_point, count + 1);
	if (!all)
		return err_set(attempt->info, ERR_NO_MEMORY, NULL, "no memory for the process graph");
	for (size_t i = 0; i < count; i++)
		if (!id_equal(points[i].id, row->id))
			all[used++] = points[i];
	if (!gone)
		all[used++] = *row;
	return sensing_graph_check(all, used, unit->state != UNIT_PLANNED, attempt->arena, attempt->info);
}

static enum err create(struct attempt *attempt)
{
	struct metering_point *row = attempt->row;
	struct unit unit;
	struct unit_configuration guard;
	struct configuration_change change = {.action = "metering_point.create",
		.kind = "metering_point",
		.subject = row->id,
		.collection = &metering_points_collection,
		.new_row = row,
		.guard = &guard};
	enum err err = change_guard(attempt, row->unit_id, &guard); /* before all that it guards */

	if (!err)
		err = unit_get(attempt->sensing, row->unit_id, attempt->arena, &unit, "/unit_id", attempt->info);
	if (!err && !id_is_none(row->org_id) && !id_equal(row->org_id, unit.org_id))
		err = err_set(attempt->info, ERR_NOT_FOUND, "/unit_id", "/unit_id: none of the units has this id");
	if (!err && unit.state == UNIT_RETIRED)
		err = err_set(attempt->info, ERR_INVALID_FIELD, "/unit_id", "/unit_id names a retired unit");
	if (!err)
		err = check_graph(attempt, &unit, row, false);
	if (err)
		return err;
	row->org_id = change.org = unit.org_id;
	err = change_write(attempt, &change);
	return err ? err : directory_put_point(attempt->sensing, row, false);
}

enum err sensing_point_create(
	struct sensing *sensing, const struct audit_actor *actor, struct metering_point *row, struct err_info *info)
{
	struct attempt attempt = {.sensing = sensing, .actor = actor, .row = row, .expect = FIELD_ABSENT, .info = info};
	enum err err = check(row, info);

	fill(row);
	row->created_us = row->updated_us;
	row->version = 1;
	if (id_is_none(row->id))
		row->id = id_new(row->created_us);
	return err ? err : change_run(&attempt, create);
}

static enum err update(struct attempt *attempt)
{
	struct metering_point *row = attempt->row, old;
	struct unit unit;
	struct unit_configuration guard;
	struct configuration_change change = {.action = "metering_point.update",
		.kind = "metering_point",
		.subject = row->id,
		.org = row->org_id,
		.collection = &metering_points_collection,
		.old_row = &old,
		.new_row = row,
		.guard = &guard};
	enum err err = point_get(attempt->sensing, row->id, attempt->arena, &old, "", attempt->info);

	if (!err)
		err = change_expect(attempt, old.version);
	if (!err)
		err = change_fixed(metering_point_fields, &old, row, attempt->info);
	if (!err)
		err = change_guard(attempt, old.unit_id, &guard);
	if (!err)
		err = unit_get(attempt->sensing, old.unit_id, attempt->arena, &unit, "/unit_id", attempt->info);
	if (!err)
		err = check_graph(attempt, &unit, row, false);
	if (err)
		return err;
	row->version = old.version + 1;
	row->created_us = old.created_us;
	change.old_version = old.version;
	err = change_write(attempt, &change);
	return err ? err : directory_put_point(attempt->sensing, row, false);
}

enum err sensing_point_update(struct sensing *sensing, const struct audit_actor *actor, struct metering_point *row,
	int64_t expect, struct err_info *info)
{
	struct attempt attempt = {.sensing = sensing, .actor = actor, .row = row, .expect = expect, .info = info};
	enum err err = check(row, info);

	fill(row);
	return err ? err : change_run(&attempt, update);
}

static enum err count_sensors(struct attempt *attempt, const struct metering_point *point, size_t *ret_count)
{
	struct sensor low = {.org_id = point->org_id, .metering_point_id = point->id};
	struct store_query query = {.collection = &sensors_collection,
		.index = "by_point",
		.low = &low,
		.prefix = 2,
		.most = LIMIT_PAGE_ROWS};
	void *rows;

	return store_find(attempt->sensing->store, &query, attempt->arena, &rows, ret_count, attempt->info);
}

static enum err destroy(struct attempt *attempt)
{
	struct metering_point old;
	struct unit unit;
	struct unit_configuration guard;
	size_t sensor_count = 0;
	struct configuration_change change = {.action = "metering_point.delete",
		.kind = "metering_point",
		.subject = attempt->id,
		.collection = &metering_points_collection,
		.old_row = &old,
		.guard = &guard};
	enum err err = point_get(attempt->sensing, attempt->id, attempt->arena, &old, "", attempt->info);

	if (!err)
		err = change_expect(attempt, old.version);
	if (!err)
		err = change_guard(attempt, old.unit_id, &guard);
	if (!err)
		err = count_sensors(attempt, &old, &sensor_count);
	if (!err && sensor_count)
		err = err_set(attempt->info, ERR_IN_USE, NULL,
			"the metering point has %zu sensors; set its state to retired instead", sensor_count);
	if (!err)
		err = unit_get(attempt->sensing, old.unit_id, attempt->arena, &unit, "/unit_id", attempt->info);
	if (!err)
		err = check_graph(attempt, &unit, &old, true);
	if (err)
		return err;
	change.org = old.org_id;
	change.old_version = old.version;
	err = change_write(attempt, &change);
	return err ? err : directory_put_point(attempt->sensing, &old, true);
}

enum err sensing_point_delete(
	struct sensing *sensing, const struct audit_actor *actor, struct id id, int64_t expect, struct err_info *info)
{
	struct attempt attempt = {.sensing = sensing, .actor = actor, .id = id, .expect = expect, .info = info};

	return change_run(&attempt, destroy);
}
