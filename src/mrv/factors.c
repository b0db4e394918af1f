/* Emission factor sets: immutable documents of factors with spans of validity, by the hour where the source gives hours.
 * Values become integers (mg CO2e per kWh = µg per Wh), rounded up, once. Pure; any thread. */
#include <stdio.h>
#include <string.h>

#include "parts.h"

#define FORMAT "carbond/factors/1"

enum { FACTORS_MAX = 20000, VALUES_MAX = 8784 };

/* One factor over one span; `values`, where given, are hourly from from_us on and come before `value`. */
struct factor {
	const char *id, *unit, *value, *source;
	int64_t from_us, to_us, uncertainty_ppm;
	struct field_list values; /* const char *: decimals */
	int64_t ug_per_wh;
	int64_t *hourly;
};

struct mrv_factors {
	const char *format, *code, *title, *licence, *source;
	int64_t version;
	struct field_list factors;
	struct mrv_factors_terms terms;
};

static const struct field factor_fields[] = {
	FIELD(struct factor, id, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 64),
	FIELD(struct factor, unit, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 24),
	FIELD(struct factor, value, FIELD_DECIMAL, .flags = FIELD_REQUIRED),
	FIELD(struct factor, source, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 300),
	FIELD_AS(struct factor, from_us, "from", FIELD_TIME), FIELD_AS(struct factor, to_us, "to", FIELD_TIME),
	FIELD(struct factor, uncertainty_ppm, FIELD_INT, .min = 0, .max = PPM),
	FIELD(struct factor, values, FIELD_TEXTS, .min = 1, .max = VALUES_MAX), FIELD_END};

static const struct field factors_fields[] = {
	FIELD(struct mrv_factors, format, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct mrv_factors, code, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct mrv_factors, version, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = 1000000),
	FIELD(struct mrv_factors, title, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 200),
	FIELD(struct mrv_factors, licence, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 200),
	FIELD(struct mrv_factors, source, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 300),
	FIELD(struct mrv_factors, factors, FIELD_LIST, .flags = FIELD_REQUIRED, .min = 1, .max = FACTORS_MAX,
		.table = factor_fields, .item_size = sizeof(struct factor)),
	FIELD_END};

/* Decimal g/kWh and the like → µg per Wh, up. False: not a factor of energy, negative or too large. */
static bool read_value(const char *text, const char *unit_code, int64_t *ret_ug_per_wh)
{
	struct decimal decimal;
	struct mrv_unit unit, energy;
	if (decimal_parse(text, &decimal) != ERR_OK || decimal.mantissa < 0 || !mrv_unit_parse(unit_code, &unit) ||
		!mrv_unit_parse("kg/J", &energy) || !mrv_unit_same(&unit, &energy))
		return false;
	/* g/kWh is exact in integers; other units go through kg/J */
	if (strcmp(unit_code, "g/kWh") == 0 || strcmp(unit_code, "kg/MWh") == 0) {
		int64_t scale = 1;
		for (int i = 0; i < decimal.scale; i++)
			scale *= 10;
		return muldiv_ceil(decimal.mantissa, 1000, scale, ret_ug_per_wh) &&
		       *ret_ug_per_wh < INT64_C(1000000000);
	}
	double ug_per_wh = decimal_real(decimal) * unit.factor * 3600 * 1e9;
	return ug_per_wh < 1e9 && round_up(ug_per_wh, ret_ug_per_wh);
}

static enum err refuse(struct err_info *info, size_t index, const char *member, const char *detail)
{
	char pointer[64];
	snprintf(pointer, sizeof pointer, "/factors/%zu/%s", index, member);
	return err_set(info, ERR_INVALID_FACTORS, pointer, "%s", detail);
}

static enum err check_factor(struct factor *factor, size_t index, struct arena *arena, struct err_info *info)
{
	static const char what[] =
		"a factor is a decimal string not below 0 in a unit of mass per energy such as g/kWh";
	const char *const *values = factor->values.items;
	if (!read_value(factor->value, factor->unit, &factor->ug_per_wh))
		return refuse(info, index, "value", what);
	if (factor->uncertainty_ppm == FIELD_ABSENT)
		factor->uncertainty_ppm = 0;
	if (factor->from_us != FIELD_ABSENT && factor->to_us != FIELD_ABSENT && factor->from_us >= factor->to_us)
		return refuse(info, index, "to", "to must be after from");
	if (factor->values.count == 0)
		return ERR_OK;
	if (factor->from_us == FIELD_ABSENT || factor->from_us % CLOCK_US_PER_HOUR != 0)
		return refuse(info, index, "from", "hourly values begin at a whole hour, from");
	factor->hourly = ARENA_ARRAY(arena, int64_t, factor->values.count);
	if (!factor->hourly)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the factors");
	for (size_t i = 0; i < factor->values.count; i++)
		if (!read_value(values[i], factor->unit, &factor->hourly[i]))
			return refuse(info, index, "values", what);
	return ERR_OK;
}

enum err mrv_factors_parse(
	const json_t *document, struct arena *arena, const struct mrv_factors **ret_factors, struct err_info *info)
{
	struct mrv_factors *factors = ARENA_NEW(arena, struct mrv_factors);
	struct err_info fault = {0};
	char *text;
	size_t size;
	if (!factors)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the factors");
	enum err err = field_read(factors_fields, FIELD_CREATE, document, "", arena, factors, &fault);
	if (err)
		return err_set(
			info, err == ERR_NO_MEMORY ? err : ERR_INVALID_FACTORS, fault.pointer, "%s", fault.detail);
	if (strcmp(factors->format, FORMAT) != 0)
		return err_set(info, ERR_INVALID_FACTORS, "/format", "format must be \"" FORMAT "\"");
	for (size_t i = 0; err == ERR_OK && i < factors->factors.count; i++)
		err = check_factor((struct factor *)factors->factors.items + i, i, arena, info);
	if (err == ERR_OK)
		err = document_canonical(arena, document, &text, &size);
	if (err)
		return err;
	factors->terms = (struct mrv_factors_terms){.code = factors->code,
		.version = factors->version,
		.title = factors->title,
		.licence = factors->licence,
		.source = factors->source,
		.hash = sha256_of("carbond/factors/1", text, size),
		.document = document};
	*ret_factors = factors;
	return ERR_OK;
}

const struct mrv_factors_terms *mrv_factors_terms(const struct mrv_factors *factors)
{
	return &factors->terms;
}

bool mrv_factors_have(const struct mrv_factors *factors, const char *id)
{
	const struct factor *rows = factors->factors.items;
	for (size_t i = 0; i < factors->factors.count; i++)
		if (strcmp(rows[i].id, id) == 0)
			return true;
	return false;
}

/* The row's value in the hour; false where it does not cover it. */
static bool value_at(const struct factor *row, int64_t hour_us, int64_t *ret_value)
{
	if (row->hourly) {
		if (hour_us < row->from_us ||
			(hour_us - row->from_us) / CLOCK_US_PER_HOUR >= (int64_t)row->values.count)
			return false;
		*ret_value = row->hourly[(hour_us - row->from_us) / CLOCK_US_PER_HOUR];
		return true;
	}
	*ret_value = row->ug_per_wh;
	return (row->from_us == FIELD_ABSENT || hour_us >= row->from_us) &&
	       (row->to_us == FIELD_ABSENT || hour_us < row->to_us);
}

enum err factors_at(const struct mrv_factors *factors, const char *id, int64_t hour_us, int64_t *ret_ug_per_wh,
	int64_t *ret_uncertainty_ppm, struct err_info *info)
{
	const struct factor *rows = factors->factors.items;
	int64_t highest = -1, uncertainty = 0, found = -1;
	for (size_t i = 0; i < factors->factors.count; i++) {
		const struct factor *row = &rows[i];
		int64_t value;
		if (strcmp(row->id, id) != 0)
			continue;
		if (value_at(row, hour_us, &value))
			found = value > found ? value : found;
		highest = row->ug_per_wh > highest ? row->ug_per_wh : highest;
		for (size_t v = 0; row->hourly && v < row->values.count; v++)
			highest = row->hourly[v] > highest ? row->hourly[v] : highest;
		uncertainty = row->uncertainty_ppm > uncertainty ? row->uncertainty_ppm : uncertainty;
	}
	if (highest < 0)
		return err_set(info, ERR_FACTOR_MISSING, "/electricity_factor", "factor set %s has no factor %.60s",
			factors->code, id);
	/* missing data always costs: outside its spans a factor counts at its highest */
	*ret_ug_per_wh = found >= 0 ? found : highest;
	*ret_uncertainty_ppm = uncertainty;
	return ERR_OK;
}
