/* Projects and published documents: what may be created and changed, each in one append with its audit record. Workers. */
#include <string.h>

#include "parts.h"

/* ---- published documents ---- */

static enum err published_read(struct evidence *evidence, const struct store_collection *collection, const char *code,
	int64_t version, struct arena *arena, struct published *ret_row, struct err_info *info)
{
	struct err_info fault = {0};
	field_clear(published_fields, ret_row);
	ret_row->code = code;
	ret_row->version = version;
	enum err err = store_get(evidence->store, collection, ret_row, arena, &fault);
	if (err == ERR_NOT_FOUND)
		return err_set(info, ERR_NOT_FOUND,
			collection == &methodologies_collection ? "/methodology" : "/factor_set",
			"%s version %lld is not published", code, (long long)version);
	return err ? err_set(info, err, fault.pointer, "%s", fault.detail) : ERR_OK;
}

enum err methodology_load(struct evidence *evidence, const char *code, int64_t version, struct arena *arena,
	const struct mrv_methodology **ret_methodology, struct err_info *info)
{
	struct published row;
	enum err err = published_read(evidence, &methodologies_collection, code, version, arena, &row, info);
	return err ? err : mrv_methodology_parse(row.document, arena, ret_methodology, info);
}

enum err factors_load(struct evidence *evidence, const char *code, int64_t version, struct arena *arena,
	const struct mrv_factors **ret_factors, struct err_info *info)
{
	struct published row;
	enum err err = published_read(evidence, &factor_sets_collection, code, version, arena, &row, info);
	return err ? err : mrv_factors_parse(row.document, arena, ret_factors, info);
}

/* Writes a published row; the same content again is no fault. */
static enum err publish(struct evidence *evidence, const struct audit_actor *actor,
	const struct store_collection *collection, const char *kind, struct published *row, struct arena *arena,
	struct err_info *info)
{
	struct store_change change = {
		.collection = collection, .row = row, .verb = STORE_PUT, .condition = STORE_ABSENT};
	char action[64];
	struct audit_change record = {.action = action,
		.subject_kind = kind,
		.fields = published_fields,
		.new_row = row,
		.changes = &change,
		.change_count = 1};
	struct published there;
	struct err_info fault = {0};
	snprintf(action, sizeof action, "%s.publish", kind);
	row->created_us = clock_wall_us();
	enum err err = published_read(evidence, collection, row->code, row->version, arena, &there, &fault);
	if (err == ERR_NOT_FOUND) {
		err = audit_write(evidence->audit, actor, &record, NULL, info);
		if (err != ERR_CONDITION_FAILED)
			return err;
		err = published_read(evidence, collection, row->code, row->version, arena, &there, &fault);
	}
	if (err)
		return err_set(info, err, "", "%s", fault.detail);
	if (!hash_equal(there.hash, row->hash))
		return err_set(info, ERR_DUPLICATE, "/version",
			"%s version %lld is published with another content; publish the next version", row->code,
			(long long)row->version);
	*row = there;
	return ERR_OK;
}

enum err evidence_methodology_publish(struct evidence *evidence, const struct audit_actor *actor,
	const json_t *document, struct arena *arena, struct published *ret_row, struct err_info *info)
{
	const struct mrv_methodology *methodology;
	enum err err = mrv_methodology_parse(document, arena, &methodology, info);
	if (err)
		return err;
	const struct mrv_terms *terms = mrv_methodology_terms(methodology);
	*ret_row = (struct published){.code = terms->code,
		.version = terms->version,
		.title = terms->title,
		.hash = terms->hash,
		.document = (json_t *)(uintptr_t)document};
	return publish(evidence, actor, &methodologies_collection, "methodology", ret_row, arena, info);
}

enum err evidence_factors_publish(struct evidence *evidence, const struct audit_actor *actor, const json_t *document,
	struct arena *arena, struct published *ret_row, struct err_info *info)
{
	const struct mrv_factors *factors;
	enum err err = mrv_factors_parse(document, arena, &factors, info);
	if (err)
		return err;
	const struct mrv_factors_terms *terms = mrv_factors_terms(factors);
	*ret_row = (struct published){.code = terms->code,
		.version = terms->version,
		.title = terms->title,
		.hash = terms->hash,
		.document = (json_t *)(uintptr_t)document};
	return publish(evidence, actor, &factor_sets_collection, "factor_set", ret_row, arena, info);
}

/* ---- projects ---- */

static int durability_of(const char *class)
{
	for (int i = 0; event_durability_names[i]; i++)
		if (strcmp(event_durability_names[i], class) == 0)
			return i;
	return -1;
}

static enum err check_schedules(const struct project *row, struct err_info *info)
{
	const struct mrv_schedule *schedules = row->schedules.items;
	for (size_t i = 0; i < row->schedules.count; i++) {
		char pointer[64];
		bool amortised = strcmp(mrv_bases[schedules[i].basis], "amortised") == 0;
		snprintf(pointer, sizeof pointer, "/schedules/%zu", i);
		if (amortised && (schedules[i].from_us == FIELD_ABSENT || schedules[i].to_us == FIELD_ABSENT ||
					 schedules[i].from_us >= schedules[i].to_us))
			return err_set(info, ERR_INVALID_FIELD, pointer, "%s: an amortised amount needs from before to",
				pointer);
		if (!amortised && schedules[i].amount_g > 500000)
			return err_set(
				info, ERR_INVALID_FIELD, pointer, "%s: amount_g per tonne must be 0..500000", pointer);
	}
	return ERR_OK;
}

static enum err check_terms(
	struct evidence *evidence, const struct project *row, struct arena *arena, struct err_info *info)
{
	const struct mrv_methodology *methodology;
	const struct mrv_factors *factors;
	int64_t ppm;
	enum err err =
		methodology_load(evidence, row->methodology, row->methodology_version, arena, &methodology, info);
	if (err)
		return err;
	const struct mrv_terms *terms = mrv_methodology_terms(methodology);
	bool removal = strcmp(mrv_kinds[row->kind], "removal") == 0;
	if (removal ? !terms->removal : !terms->reduction)
		return err_set(info, ERR_INVALID_FIELD, "/kind", "methodology %s does not credit a %s", terms->code,
			mrv_kinds[row->kind]);
	err = mrv_buffer_share(methodology, row->durability_class, row->risk_score, &ppm, info);
	if (err == ERR_OK && durability_of(row->durability_class) < 0)
		err = err_set(
			info, ERR_INVALID_FIELD, "/durability_class", "the registry has no such durability class");
	if (err == ERR_OK)
		err = factors_load(evidence, row->factor_set, row->factor_set_version, arena, &factors, info);
	if (err == ERR_OK && !mrv_factors_have(factors, row->electricity_factor))
		err = err_set(info, ERR_INVALID_FIELD, "/electricity_factor", "factor set %s has no factor %.60s",
			row->factor_set, row->electricity_factor);
	return err;
}

static enum err check_project(
	struct evidence *evidence, const struct project *row, struct arena *arena, struct err_info *info)
{
	struct unit unit = {.id = row->unit_id};
	enum err err = store_get(evidence->store, &units_collection, &unit, arena, info);
	if (err == ERR_NOT_FOUND || (err == ERR_OK && !id_equal(unit.org_id, row->org_id)))
		return err_set(info, ERR_NOT_FOUND, "/unit_id", "the organisation has no such unit");
	if (err)
		return err;
	if (row->atmospheric_ppm + row->biogenic_ppm + row->fossil_ppm + row->recycled_ppm != 1000000)
		return err_set(info, ERR_INVALID_FIELD, "/atmospheric_ppm",
			"atmospheric_ppm, biogenic_ppm, fossil_ppm and recycled_ppm must add up to 1000000");
	if (strcmp(mrv_storages[row->storage], "enhanced_oil_recovery") == 0)
		return err_set(
			info, ERR_INVALID_FIELD, "/storage", "CO2 used for enhanced oil recovery is never counted");
	if (row->crediting_from_us >= row->crediting_to_us)
		return err_set(info, ERR_INVALID_FIELD, "/crediting_to", "crediting_to must be after crediting_from");
	err = check_schedules(row, info);
	return err ? err : check_terms(evidence, row, arena, info);
}

static enum err write_project(struct evidence *evidence, const struct audit_actor *actor, const struct project *old_row,
	const struct project *row, struct err_info *info)
{
	struct store_change change = {.collection = &projects_collection,
		.row = row,
		.verb = STORE_PUT,
		.condition = old_row ? STORE_EQUALS : STORE_ABSENT,
		.field = "version",
		.value = old_row ? old_row->version : 0};
	struct audit_change record = {.action = old_row ? "project.update" : "project.create",
		.subject_kind = "project",
		.subject = row->id,
		.org = row->org_id,
		.fields = project_fields,
		.old_row = old_row,
		.new_row = row,
		.changes = &change,
		.change_count = 1};
	return audit_write(evidence->audit, actor, &record, NULL, info);
}

enum err evidence_project_create(
	struct evidence *evidence, const struct audit_actor *actor, struct project *row, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the project");
	row->created_us = row->updated_us = clock_wall_us();
	if (id_is_none(row->id))
		row->id = id_new(row->created_us);
	row->version = 1;
	row->state = row->state < 0 ? 0 : row->state;
	enum err err = check_project(evidence, row, arena, info);
	if (err == ERR_OK)
		err = write_project(evidence, actor, NULL, row, info);
	arena_free(&arena);
	return err;
}

/* A period between draft and submission reads the project; it must not change under it. */
static enum err check_idle(
	struct evidence *evidence, const struct project *row, struct arena *arena, struct err_info *info)
{
	struct period low = {.org_id = row->org_id, .project_id = row->id};
	struct store_query query = {
		.collection = &periods_collection, .index = "by_project", .low = &low, .prefix = 2, .most = 10000};
	void *found = NULL;
	size_t count = 0;
	enum err err = store_find(evidence->store, &query, arena, &found, &count, info);
	for (size_t i = 0; err == ERR_OK && i < count; i++)
		if (strcmp(period_states[((struct period *)found)[i].state], "submitting") == 0)
			return err_set(info, ERR_PERIOD_STATE, "", "a period of the project is being submitted");
	return err;
}

enum err evidence_project_update(struct evidence *evidence, const struct audit_actor *actor, struct project *row,
	int64_t expect, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct project old_row = {.id = row->id};
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the project");
	enum err err = store_get(evidence->store, &projects_collection, &old_row, arena, info);
	if (err == ERR_OK && expect != FIELD_ABSENT && expect != old_row.version)
		err = err_set(info, ERR_CONDITION_FAILED, "", "the row is at version %lld, not %lld",
			(long long)old_row.version, (long long)expect);
	if (err == ERR_OK)
		err = check_idle(evidence, &old_row, arena, info);
	row->org_id = old_row.org_id;
	row->unit_id = old_row.unit_id;
	if (err == ERR_OK)
		err = check_project(evidence, row, arena, info);
	row->created_us = old_row.created_us;
	row->updated_us = clock_wall_us();
	row->version = old_row.version + 1;
	if (err == ERR_OK)
		err = write_project(evidence, actor, &old_row, row, info);
	arena_free(&arena);
	return err;
}

/* ---- periods ---- */

enum err period_write(struct evidence *evidence, const struct audit_actor *actor, const struct period *old_row,
	struct period *row, const char *action, struct err_info *info)
{
	struct store_change change = {.collection = &periods_collection,
		.row = row,
		.verb = STORE_PUT,
		.condition = old_row ? STORE_EQUALS : STORE_ABSENT,
		.field = "version",
		.value = old_row ? old_row->version : 0};
	struct audit_change record = {.action = action,
		.subject_kind = "period",
		.subject = row->id,
		.org = row->org_id,
		.fields = period_fields,
		.old_row = old_row,
		.new_row = row,
		.changes = &change,
		.change_count = 1};
	row->version = old_row ? old_row->version + 1 : 1;
	row->updated_us = clock_wall_us();
	return audit_write(evidence->audit, actor, &record, NULL, info);
}

enum err evidence_period_create(
	struct evidence *evidence, const struct audit_actor *actor, struct period *row, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct project project = {.id = row->project_id};
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the period");
	enum err err = store_get(evidence->store, &projects_collection, &project, arena, info);
	if (err == ERR_NOT_FOUND)
		err = err_set(info, ERR_NOT_FOUND, "/project_id", "there is no such project");
	if (err == ERR_OK && !id_is_none(row->org_id) && !id_equal(row->org_id, project.org_id))
		err = err_set(info, ERR_NOT_FOUND, "/project_id", "the organisation has no such project");
	if (err == ERR_OK && (row->from_us % CLOCK_US_PER_HOUR || row->to_us % CLOCK_US_PER_HOUR || row->from_us < 0 ||
				     row->from_us >= row->to_us))
		err = err_set(info, ERR_INVALID_FIELD, "/to", "from and to must be whole hours (UTC), from before to");
	if (err == ERR_OK && (row->from_us < project.crediting_from_us || row->to_us > project.crediting_to_us))
		err = err_set(
			info, ERR_INVALID_FIELD, "/from", "the period must lie inside the project's crediting period");
	if (err == ERR_OK && row->to_us - row->from_us > PARTS_MAX * CLOCK_US_PER_DAY)
		err = err_set(info, ERR_INVALID_FIELD, "/to", "a period spans at most %d days", PARTS_MAX);
	row->org_id = project.org_id;
	row->unit_id = project.unit_id;
	row->created_us = clock_wall_us();
	if (id_is_none(row->id))
		row->id = id_new(row->created_us);
	row->state = 0;
	row->parts = 0;
	row->failure = NULL;
	if (err == ERR_OK)
		err = period_write(evidence, actor, NULL, row, "period.create", info);
	arena_free(&arena);
	return err;
}
