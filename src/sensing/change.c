/* How configuration changes: read what the rules need, check, write one audit append with the row and the unit's guard, each
 * on the condition that it is as read. A change that came between is answered by trying again from the start. Worker
 * threads and the admin socket; no lock. */
#include <string.h>

#include "parts.h"

enum err change_run(struct attempt *attempt, enum err (*run)(struct attempt *attempt))
{
	enum err err = ERR_OK;

	attempt->arena = arena_new(0);
	if (!attempt->arena)
		return err_set(attempt->info, ERR_NO_MEMORY, NULL, "no memory for the change");
	for (int i = 0; i < CHANGE_RETRIES; i++) {
		attempt->raced = false;
		arena_reset(attempt->arena);
		err = run(attempt);
		if (!attempt->raced)
			break;
	}
	if (attempt->raced)
		err = err_set(attempt->info, ERR_BUSY, NULL, "others are changing this unit; try again");
	arena_free(&attempt->arena);
	return err;
}

enum err change_write(struct attempt *attempt, const struct configuration_change *change)
{
	struct unit_configuration guard = change->guard ? *change->guard : (struct unit_configuration){0};
	struct store_change changes[2] = {
		{.collection = change->collection,
			.row = change->new_row ? change->new_row : change->old_row,
			.verb = change->new_row ? STORE_PUT : STORE_DELETE,
			.condition = change->old_row ? STORE_EQUALS : STORE_ABSENT,
			.field = "version",
			.value = change->old_version},
		{.collection = &unit_configurations_collection,
			.row = &guard,
			.verb = change->guard_goes ? STORE_DELETE : STORE_PUT,
			.condition = guard.version > 0 ? STORE_EQUALS : STORE_ABSENT,
			.field = "version",
			.value = guard.version},
	};
	struct audit_change record = {.action = change->action,
		.subject_kind = change->kind,
		.subject = change->subject,
		.org = change->org,
		.fields = change->collection->fields,
		.old_row = change->old_row,
		.new_row = change->new_row,
		.changes = changes,
		.change_count = change->guard ? 2 : 1};
	struct audit *audit = attempt->sensing->audit;
	enum err err;

	guard.version++;
	if (change->guard_goes)
		changes[1].condition = guard.version > 1 ? STORE_EQUALS : STORE_ALWAYS;
	if (change->position_field)
		err = audit_write_positioned(
			audit, attempt->actor, &record, change->position_field, NULL, attempt->info);
	else
		err = audit_write(audit, attempt->actor, &record, NULL, attempt->info);
	attempt->raced = err == ERR_CONDITION_FAILED;
	return err;
}

enum err change_expect(const struct attempt *attempt, int64_t version)
{
	if (attempt->expect == FIELD_ABSENT || attempt->expect == version)
		return ERR_OK;
	return err_set(attempt->info, ERR_CONDITION_FAILED, NULL, "the row is at version %lld, not %lld",
		(long long)version, (long long)attempt->expect);
}

static bool text_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool member_equal(const struct field *field, const void *old_row, const void *new_row)
{
	const void *a = (const char *)old_row + field->offset, *b = (const char *)new_row + field->offset;

	switch (field->kind) {
	case FIELD_ID: return memcmp(a, b, sizeof(struct id)) == 0;
	case FIELD_TEXT:
	case FIELD_DECIMAL: return text_equal(*(const char *const *)a, *(const char *const *)b);
	case FIELD_ENUM: return *(const int *)a == *(const int *)b;
	case FIELD_BOOL: return *(const bool *)a == *(const bool *)b;
	case FIELD_INT:
	case FIELD_MICROS:
	case FIELD_TIME: return *(const int64_t *)a == *(const int64_t *)b;
	default: return true; /* no member of another kind is fixed */
	}
}

enum err change_fixed(const struct field *table, const void *old_row, const void *new_row, struct err_info *info)
{
	for (const struct field *field = table; field->kind != FIELD_NONE; field++) {
		char pointer[64];
		if (!(field->flags & FIELD_FIXED) || member_equal(field, old_row, new_row))
			continue;
		snprintf(pointer, sizeof(pointer), "/%s", field->name);
		return err_set(info, ERR_READ_ONLY_FIELD, pointer, "%s is set at creation and never changes", pointer);
	}
	return ERR_OK;
}

enum err change_characters(
	const char *pointer, const char *text, const char *allowed, const char *said, struct err_info *info)
{
	if (text && *text && text[strspn(text, allowed)] == '\0')
		return ERR_OK;
	return err_set(info, ERR_INVALID_FIELD, pointer, "%s may hold only %s", pointer, said);
}

enum err change_guard(const struct attempt *attempt, struct id unit, struct unit_configuration *ret_guard)
{
	enum err err;

	*ret_guard = (struct unit_configuration){.unit_id = unit};
	err = store_get(
		attempt->sensing->store, &unit_configurations_collection, ret_guard, attempt->arena, attempt->info);
	if (err != ERR_NOT_FOUND)
		return err;
	*ret_guard = (struct unit_configuration){.unit_id = unit};
	return ERR_OK;
}

static enum err get(struct sensing *sensing, const struct store_collection *collection, void *row, struct arena *arena,
	const char *pointer, struct err_info *info)
{
	enum err err = store_get(sensing->store, collection, row, arena, info);

	if (err == ERR_NOT_FOUND)
		return err_set(info, ERR_NOT_FOUND, pointer, "%s%snone of the %s has this id", pointer ? pointer : "",
			pointer && *pointer ? ": " : "", collection->name);
	return err;
}

enum err unit_get(struct sensing *sensing, struct id id, struct arena *arena, struct unit *ret_row, const char *pointer,
	struct err_info *info)
{
	field_clear(unit_fields, ret_row);
	ret_row->id = id;
	return get(sensing, &units_collection, ret_row, arena, pointer, info);
}

enum err point_get(struct sensing *sensing, struct id id, struct arena *arena, struct metering_point *ret_row,
	const char *pointer, struct err_info *info)
{
	field_clear(metering_point_fields, ret_row);
	ret_row->id = id;
	return get(sensing, &metering_points_collection, ret_row, arena, pointer, info);
}

enum err sensor_get(struct sensing *sensing, struct id id, struct arena *arena, struct sensor *ret_row,
	const char *pointer, struct err_info *info)
{
	field_clear(sensor_fields, ret_row);
	ret_row->id = id;
	return get(sensing, &sensors_collection, ret_row, arena, pointer, info);
}

enum err unit_points(struct sensing *sensing, const struct unit *unit, struct arena *arena,
	struct metering_point **ret_rows, size_t *ret_count, struct err_info *info)
{
	struct metering_point low = {.org_id = unit->org_id, .unit_id = unit->id};
	struct store_query query = {.collection = &metering_points_collection,
		.index = "by_unit",
		.low = &low,
		.prefix = 2,
		.most = UNIT_POINTS_MAX + 1};
	void *rows;
	enum err err = store_find(sensing->store, &query, arena, &rows, ret_count, info);

	*ret_rows = err ? NULL : rows;
	return err;
}

enum err unit_sensors(struct sensing *sensing, const struct unit *unit, struct arena *arena, struct sensor **ret_rows,
	size_t *ret_count, struct err_info *info)
{
	struct sensor low = {.org_id = unit->org_id, .unit_id = unit->id};
	struct store_query query = {.collection = &sensors_collection,
		.index = "by_unit",
		.low = &low,
		.prefix = 2,
		.most = UNIT_SENSORS_MAX + 1};
	void *rows;
	enum err err = store_find(sensing->store, &query, arena, &rows, ret_count, info);

	*ret_rows = err ? NULL : rows;
	return err;
}
