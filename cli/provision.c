/* How a plant is registered over REST: look first, create what is missing, leave the rest. One thread. */
#include "provision.h"

#include <string.h>

#include "carbond/base/clock.h"
#include "cli.h"
#include "plant.h"

static const char *text_of(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));
	return text ? text : "";
}

/* Every item of a paged list, as one array in the arena. */
static int list_all(struct arena *arena, const char *path, json_t **ret_items)
{
	json_t *items = document_own(arena, json_array());
	const char *cursor = NULL;
	do {
		json_t *page = NULL;
		const char *separator = strchr(path, '?') ? "&" : "?";
		const char *whole = cursor ? arena_print(arena, "%s%slimit=500&cursor=%s", path, separator, cursor)
					   : arena_print(arena, "%s%slimit=500", path, separator);
		int code = whole && items ? cli_call(arena, "GET", whole, NULL, &page)
					  : cli_fail(CLI_REFUSED, "out of memory");
		if (code)
			return code;
		json_array_extend(items, json_object_get(page, "items"));
		cursor = json_string_value(json_object_get(page, "next_cursor"));
	} while (cursor);
	*ret_items = items;
	return CLI_OK;
}

static const json_t *find_by(const json_t *items, const char *member, const char *value)
{
	size_t index;
	json_t *item;
	json_array_foreach(items, index, item) if (strcmp(text_of(item, member), value) == 0) return item;
	return NULL;
}

/* member → id of all items, for look-ups by name. */
static int index_by(struct arena *arena, const char *path, const char *member, json_t **ret_index)
{
	json_t *items = NULL, *item;
	size_t index;
	int code = list_all(arena, path, &items);
	*ret_index = document_own(arena, json_object());
	json_array_foreach(items, index, item)
		json_object_set(*ret_index, text_of(item, member), json_object_get(item, "id"));
	return code;
}

/* POSTs and takes over `row`; the new row's id. */
static int create(struct provision *provision, const char *path, json_t *row, const char **ret_id)
{
	json_t *made = NULL;
	document_own(provision->arena, row);
	json_object_set_new(row, "org_id", json_string(provision->org_id));
	int code = cli_call(provision->arena, "POST", path, row, &made);
	*ret_id = code ? NULL : text_of(made, "id");
	return code;
}

int provision_unit(struct provision *provision, struct arena *arena, const char *organisation, json_t *unit)
{
	json_t *items = NULL;
	*provision = (struct provision){.arena = arena};
	document_own(arena, unit);
	int code = list_all(arena, "/v1/organisations", &items);
	if (code)
		return code;
	const json_t *found = find_by(items, "slug", organisation);
	if (!found)
		return cli_fail(CLI_REFUSED, "there is no organisation '%s' that this key can see", organisation);
	provision->org_id = text_of(found, "id");
	code = list_all(arena, arena_print(arena, "/v1/units?org_id=%s", provision->org_id), &items);
	if (code)
		return code;
	found = find_by(items, "slug", text_of(unit, "slug"));
	if (found)
		provision->unit_id = text_of(found, "id");
	else
		code = create(provision, "/v1/units", json_incref(unit), &provision->unit_id);
	const char *filter = arena_print(
		arena, "org_id=%s&unit_id=%s", provision->org_id, provision->unit_id ? provision->unit_id : "");
	if (!code)
		code = index_by(
			arena, arena_print(arena, "/v1/metering-points?%s", filter), "code", &provision->points);
	if (!code)
		code = index_by(arena, arena_print(arena, "/v1/sensors?%s", filter), "tag", &provision->sensors);
	return code;
}

int provision_point(struct provision *provision, json_t *row)
{
	const char *code_text = text_of(row, "code"), *id = NULL;
	if (json_object_get(provision->points, code_text)) {
		document_own(provision->arena, row);
		return CLI_OK;
	}
	json_object_set_new(row, "unit_id", json_string(provision->unit_id));
	int code = create(provision, "/v1/metering-points", row, &id);
	if (!code)
		json_object_set_new(provision->points, code_text, json_string(id));
	return code;
}

int provision_sensor(struct provision *provision, json_t *row, const char **ret_id)
{
	const char *tag = text_of(row, "tag"), *id = NULL;
	if (ret_id)
		*ret_id = NULL;
	if (json_object_get(provision->sensors, tag)) {
		document_own(provision->arena, row);
		return CLI_OK;
	}
	json_object_set(row, "metering_point_id", json_object_get(provision->points, text_of(row, "point")));
	json_object_del(row, "point");
	int code = create(provision, "/v1/sensors", row, &id);
	if (!code)
		json_object_set_new(provision->sensors, tag, json_string(id));
	if (ret_id)
		*ret_id = id;
	return code;
}

int provision_operate(struct provision *provision)
{
	json_t *unit = NULL;
	const char *path = arena_print(provision->arena, "/v1/units/%s", provision->unit_id);
	int code = cli_call(provision->arena, "GET", path, NULL, &unit);
	if (code || strcmp(text_of(unit, "state"), "planned") != 0)
		return code;
	json_t *change = document_own(provision->arena, json_pack("{s:s}", "state", "operating"));
	return cli_change(
		provision->arena, "PATCH", path, json_integer_value(json_object_get(unit, "version")), change, &unit);
}

/* ---- the simulated plant ---- */

static json_t *point_row(const struct plant_point *point)
{
	json_t *row =
		json_pack("{s:s, s:s, s:s, s:b, s:I}", "code", point->code, "name", point->name, "role", point->role,
			"claimable", point->claimable, "nameplate_per_hour", (json_int_t)point->nameplate_per_hour);
	if (point->downstream)
		json_object_set_new(row, "downstream", json_pack("[s]", point->downstream));
	return row;
}

static json_t *sensor_row(const struct plant_sensor *sensor, const char *unit, const char *code)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:b, s:s, s:o}", "tag",
		sensor->tag, "name", sensor->name, "point", sensor->point, "quantity", sensor->quantity, "unit",
		sensor->unit, "sampling_period_us", (json_int_t)CLOCK_US_PER_MINUTE, "range_low", sensor->range_low,
		"range_high", sensor->range_high, "oldest_us", (json_int_t)(366 * CLOCK_US_PER_DAY), "stale_after_us",
		(json_int_t)(sensor->stale_after_s * CLOCK_US_PER_SECOND), "systematic_ppm",
		(json_int_t)sensor->systematic_ppm, "random_ppm", (json_int_t)sensor->random_ppm, "primary",
		sensor->primary, "manufacturer", "carbond simulator", "serial_number",
		json_sprintf("%s/%s/%s", unit, code, sensor->tag));
}

static int calibrate(
	struct provision *provision, const struct plant_sensor *sensor, const char *sensor_id, int64_t from_us)
{
	char performed[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE];
	const char *id;
	clock_text(clock_day_start(from_us) - 365 * CLOCK_US_PER_DAY, performed);
	clock_text(clock_day_start(from_us) + 365 * CLOCK_US_PER_DAY, until);
	json_t *row = json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:I}", "sensor_id", sensor_id, "certificate",
		json_sprintf("SIM-%s", sensor->tag), "laboratory", "carbond simulator", "performed_at", performed,
		"valid_from", performed, "valid_until", until, "uncertainty_ppm", (json_int_t)sensor->systematic_ppm);
	return create(provision, "/v1/calibrations", row, &id);
}

static int provision_instruments(struct provision *provision, const char *unit, const char *code_text, int64_t from_us)
{
	int code = CLI_OK;
	for (int i = 0; !code && i < PLANT_POINTS; i++)
		code = provision_point(provision, point_row(&plant_points[i]));
	for (int i = 0; !code && i < PLANT_SENSORS; i++) {
		const char *created = NULL;
		code = provision_sensor(provision, sensor_row(&plant_sensors[i], unit, code_text), &created);
		if (!code && created)
			code = calibrate(provision, &plant_sensors[i], created, from_us);
	}
	return code ? code : provision_operate(provision);
}

int provision_plant(const char *organisation, const char *unit, const char *code_text, const char *country,
	const char *name, int64_t from_us)
{
	struct arena *arena = arena_new(0);
	struct provision provision;
	if (!arena)
		return cli_fail(CLI_REFUSED, "out of memory");
	int code = provision_unit(&provision, arena, organisation,
		json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:i}", "slug", unit, "code", code_text, "name", name,
			"country", country, "latitude_deg", 64.04, "longitude_deg", -21.4, "nameplate_kg_per_hour",
			62));
	if (!code)
		code = provision_instruments(&provision, unit, code_text, from_us);
	arena_free(&arena);
	return code;
}
