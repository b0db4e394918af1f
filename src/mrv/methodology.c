/* Methodologies: reads a versioned JSON document, checks every member, formula and unit, and hashes it. What a document may
 * say is the field tables below. Pure; any thread. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "parts.h"

#define FORMAT          "carbond/methodology/1"
#define PER_TONNE_MAX_G INT64_C(900000)

static const char *const deduction_kinds[] = {"metered", "scheduled", "share", NULL};
static const char *const quality_rules[] = {"missing", "counts", NULL};

static const struct field input_fields[] = {
	FIELD(struct input, name, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct input, quantity, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct input, unit, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 24),
	FIELD(struct input, cutoff, FIELD_DECIMAL), FIELD(struct input, counter, FIELD_BOOL), FIELD_END};

static const struct field variant_fields[] = {
	FIELD(struct variant, name, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 60),
	FIELD(struct variant, inputs, FIELD_LIST, .flags = FIELD_REQUIRED, .min = 1, .max = INPUTS_MAX,
		.table = input_fields, .item_size = sizeof(struct input)),
	FIELD(struct variant, primary, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct variant, rate, FIELD_JSON, .flags = FIELD_REQUIRED), FIELD_END};

static const struct field meter_fields[] = {
	FIELD(struct meter, code, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct meter, variants, FIELD_LIST, .flags = FIELD_REQUIRED, .min = 1, .max = VARIANTS_MAX,
		.table = variant_fields, .item_size = sizeof(struct variant)),
	FIELD_END};

static const struct field gross_fields[] = {
	FIELD(struct gross_rules, label, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 200),
	FIELD(struct gross_rules, meter, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct gross_rules, source, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 300), FIELD_END};

static const struct field deduction_fields[] = {
	FIELD(struct deduction, code, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct deduction, label, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 200),
	FIELD(struct deduction, source, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 300),
	FIELD(struct deduction, kind, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = deduction_kinds),
	FIELD(struct deduction, meter, FIELD_TEXT, .min = 1, .max = 40),
	FIELD(struct deduction, roles, FIELD_TEXTS, .min = 1, .max = 8),
	FIELD(struct deduction, category, FIELD_ENUM, .names = mrv_categories),
	FIELD(struct deduction, required, FIELD_BOOL),
	FIELD(struct deduction, share_ppm, FIELD_INT, .min = 0, .max = 500000), FIELD_END};

static const struct field balance_fields[] = {
	FIELD(struct balance_rules, meter, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct balance_rules, source, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 300),
	FIELD(struct balance_rules, order, FIELD_TEXTS, .flags = FIELD_REQUIRED, .min = 1, .max = 8),
	FIELD(struct balance_rules, k_milli, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1000, .max = 3000),
	FIELD(struct balance_rules, tolerance_max_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = 100000),
	FIELD_END};

static const struct field uncertainty_fields[] = {
	FIELD(struct uncertainty_rules, z_milli, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1000, .max = 2000),
	FIELD(struct uncertainty_rules, substituted_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = PPM),
	FIELD(struct uncertainty_rules, sensor_max_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1000, .max = 80000),
	FIELD(struct uncertainty_rules, source, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 300), FIELD_END};

static const struct field buffer_fields[] = {
	FIELD(struct buffer_row, durability_class, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct buffer_row, max_score, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = 1000),
	FIELD(struct buffer_row, share_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1000, .max = PPM), FIELD_END};

static const struct field quorum_fields[] = {
	FIELD(struct quorum_rules, k, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = 32),
	FIELD(struct quorum_rules, n, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = 32), FIELD_END};

static const struct field operating_fields[] = {
	FIELD(struct operating_rules, role, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = mrv_roles),
	FIELD(struct operating_rules, quantity, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct operating_rules, unit, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 24),
	FIELD(struct operating_rules, at_least, FIELD_DECIMAL, .flags = FIELD_REQUIRED), FIELD_END};

static const struct field substitution_fields[] = {
	FIELD(struct substitution_rules, allowed, FIELD_BOOL, .flags = FIELD_REQUIRED),
	FIELD(struct substitution_rules, lookback_hours, FIELD_INT, .flags = FIELD_REQUIRED, .min = 24, .max = 2160),
	FIELD(struct substitution_rules, good_hour_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 500000, .max = PPM),
	FIELD(struct substitution_rules, operating, FIELD_OBJECT, .flags = FIELD_REQUIRED, .table = operating_fields),
	FIELD(struct substitution_rules, source, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 300), FIELD_END};

static const struct field data_fields[] = {
	FIELD(struct data_rules, step_milli, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1100, .max = 3000),
	FIELD(struct data_rules, stale, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = quality_rules),
	FIELD(struct data_rules, manual, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = quality_rules),
	FIELD(struct data_rules, calibration_required, FIELD_BOOL, .flags = FIELD_REQUIRED), FIELD_END};

static const struct field methodology_fields[] = {
	FIELD(struct mrv_methodology, format, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct mrv_methodology, code, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 2, .max = 10),
	FIELD(struct mrv_methodology, version, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = 1000000),
	FIELD(struct mrv_methodology, title, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 200),
	FIELD(struct mrv_methodology, kinds, FIELD_TEXTS, .flags = FIELD_REQUIRED, .min = 1, .max = 2),
	FIELD(struct mrv_methodology, meters, FIELD_LIST, .flags = FIELD_REQUIRED, .min = 1, .max = METERS_MAX,
		.table = meter_fields, .item_size = sizeof(struct meter)),
	FIELD(struct mrv_methodology, gross, FIELD_OBJECT, .flags = FIELD_REQUIRED, .table = gross_fields),
	FIELD(struct mrv_methodology, deductions, FIELD_LIST, .flags = FIELD_REQUIRED, .min = 1, .max = DEDUCTIONS_MAX,
		.table = deduction_fields, .item_size = sizeof(struct deduction)),
	FIELD(struct mrv_methodology, mass_balance, FIELD_OBJECT, .flags = FIELD_REQUIRED, .table = balance_fields),
	FIELD(struct mrv_methodology, uncertainty, FIELD_OBJECT, .flags = FIELD_REQUIRED, .table = uncertainty_fields),
	FIELD(struct mrv_methodology, buffer, FIELD_LIST, .flags = FIELD_REQUIRED, .min = 1, .max = BUFFER_ROWS_MAX,
		.table = buffer_fields, .item_size = sizeof(struct buffer_row)),
	FIELD(struct mrv_methodology, quorum, FIELD_OBJECT, .flags = FIELD_REQUIRED, .table = quorum_fields),
	FIELD(struct mrv_methodology, substitution, FIELD_OBJECT, .flags = FIELD_REQUIRED,
		.table = substitution_fields),
	FIELD(struct mrv_methodology, data, FIELD_OBJECT, .flags = FIELD_REQUIRED, .table = data_fields), FIELD_END};

static enum err refuse(struct err_info *info, const char *detail, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static enum err refuse(struct err_info *info, const char *detail, const char *format, ...)
{
	char pointer[128];
	va_list list;
	va_start(list, format);
	vsnprintf(pointer, sizeof pointer, format, list);
	va_end(list);
	return err_set(info, ERR_INVALID_METHODOLOGY, pointer, "%s", detail);
}

static int name_index(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static bool is_unit(const struct mrv_unit *unit, const char *code)
{
	struct mrv_unit other;
	return mrv_unit_parse(code, &other) && mrv_unit_same(unit, &other);
}

static enum err check_input(
	struct input *input, bool primary, size_t meter, size_t variant, size_t index, struct err_info *info)
{
	struct decimal cutoff = {0};
	if (!mrv_unit_parse(input->unit, &input->dimension))
		return refuse(info, "unit must be a UCUM code out of the table, such as \"kg/h\"",
			"/meters/%zu/variants/%zu/inputs/%zu/unit", meter, variant, index);
	if (input->cutoff && (decimal_parse(input->cutoff, &cutoff) != ERR_OK || cutoff.mantissa < 0))
		return refuse(info, "cutoff must be a decimal string not below 0",
			"/meters/%zu/variants/%zu/inputs/%zu/cutoff", meter, variant, index);
	if (input->counter && !primary)
		return refuse(info, "only the primary input may be a counter",
			"/meters/%zu/variants/%zu/inputs/%zu/counter", meter, variant, index);
	if (input->counter && !is_unit(&input->dimension, "kg") && !is_unit(&input->dimension, "J") &&
		!is_unit(&input->dimension, "Sm3"))
		return refuse(info, "a counter counts mass, energy or standard volume",
			"/meters/%zu/variants/%zu/inputs/%zu/unit", meter, variant, index);
	input->cutoff_base = decimal_real(cutoff) * input->dimension.factor;
	return ERR_OK;
}

static enum err check_variant(struct meter *meter, size_t m, size_t v, struct arena *arena, struct err_info *info)
{
	struct variant *variant = (struct variant *)meter->variants.items + v;
	struct input *inputs = variant->inputs.items;
	variant->primary_index = variant->inputs.count;
	for (size_t i = 0; i < variant->inputs.count; i++) {
		bool primary = strcmp(inputs[i].name, variant->primary) == 0;
		enum err err = check_input(&inputs[i], primary, m, v, i, info);
		if (err)
			return err;
		if (primary)
			variant->primary_index = i;
		for (size_t j = 0; j < i; j++)
			if (strcmp(inputs[i].name, inputs[j].name) == 0)
				return refuse(info, "each input of a variant has its own name",
					"/meters/%zu/variants/%zu/inputs/%zu/name", m, v, i);
	}
	if (variant->primary_index == variant->inputs.count)
		return refuse(info, "primary must name one of the inputs", "/meters/%zu/variants/%zu/primary", m, v);
	char pointer[64];
	snprintf(pointer, sizeof pointer, "/meters/%zu/variants/%zu/rate", m, v);
	enum err err =
		expression_parse(variant->rate, pointer, inputs, variant->inputs.count, arena, &variant->tree, info);
	if (err)
		return err;
	bool power = is_unit(&variant->tree->unit, "W");
	if (!power && !is_unit(&variant->tree->unit, "kg/s"))
		return refuse(info, "a rate is a mass per time (kg/s) or a power (W)", "%s", pointer);
	if (v > 0 && power != meter->power)
		return refuse(info, "all variants of a meter give the same dimension", "%s", pointer);
	meter->power = power;
	variant->formula = expression_text(variant->tree, inputs, arena);
	return variant->formula ? ERR_OK : err_set(info, ERR_NO_MEMORY, pointer, "no memory for the formula");
}

static enum err check_meters(struct mrv_methodology *methodology, struct arena *arena, struct err_info *info)
{
	struct meter *meters = methodology->meters.items;
	for (size_t m = 0; m < methodology->meters.count; m++) {
		for (size_t j = 0; j < m; j++)
			if (strcmp(meters[m].code, meters[j].code) == 0)
				return refuse(info, "each meter has its own code", "/meters/%zu/code", m);
		for (size_t v = 0; v < meters[m].variants.count; v++) {
			enum err err = check_variant(&meters[m], m, v, arena, info);
			if (err)
				return err;
		}
	}
	return ERR_OK;
}

static const struct meter *find_meter(const struct mrv_methodology *methodology, const char *code)
{
	const struct meter *meters = methodology->meters.items;
	for (size_t i = 0; code && i < methodology->meters.count; i++)
		if (strcmp(meters[i].code, code) == 0)
			return &meters[i];
	return NULL;
}

static enum err check_deduction(struct mrv_methodology *methodology, size_t index, struct err_info *info)
{
	struct deduction *deduction = (struct deduction *)methodology->deductions.items + index;
	const char *const *roles = deduction->roles.items;
	for (size_t j = 0; j < index; j++)
		if (strcmp(deduction->code, ((struct deduction *)methodology->deductions.items)[j].code) == 0)
			return refuse(info, "each deduction has its own code", "/deductions/%zu/code", index);
	if (deduction->kind == DEDUCTION_SCHEDULED)
		return deduction->category >= 0 ? ERR_OK
						: refuse(info, "a scheduled deduction names its category",
							  "/deductions/%zu/category", index);
	if (deduction->kind == DEDUCTION_SHARE)
		return deduction->share_ppm != FIELD_ABSENT
			       ? ERR_OK
			       : refuse(info, "a share of gross needs share_ppm", "/deductions/%zu/share_ppm", index);
	deduction->measured = find_meter(methodology, deduction->meter);
	if (!deduction->measured)
		return refuse(info, "a metered deduction names one of the meters", "/deductions/%zu/meter", index);
	if (deduction->roles.count == 0)
		return refuse(
			info, "a metered deduction lists the roles of its points", "/deductions/%zu/roles", index);
	for (size_t i = 0; i < deduction->roles.count; i++) {
		int role = name_index(mrv_roles, roles[i]);
		if (role < 0)
			return refuse(info,
				"a role is captured, compressed, injected, energy, loss, leak, material or other",
				"/deductions/%zu/roles/%zu", index, i);
		deduction->role_mask |= 1u << role;
	}
	return ERR_OK;
}

static enum err check_balance(struct mrv_methodology *methodology, struct err_info *info)
{
	struct balance_rules *balance = &methodology->mass_balance;
	const char *const *order = balance->order.items;
	balance->measured = find_meter(methodology, balance->meter);
	if (!balance->measured || balance->measured->power)
		return refuse(info, "meter must name one of the meters of mass", "/mass_balance/meter");
	for (size_t i = 0; i < balance->order.count; i++) {
		balance->roles[i] = name_index(mrv_roles, order[i]);
		if (balance->roles[i] < 0)
			return refuse(info, "a role is captured, compressed or injected", "/mass_balance/order/%zu", i);
	}
	methodology->gross.measured = find_meter(methodology, methodology->gross.meter);
	if (!methodology->gross.measured || methodology->gross.measured->power)
		return refuse(info, "meter must name one of the meters of mass", "/gross/meter");
	return ERR_OK;
}

static enum err check_operating(struct operating_rules *operating, struct err_info *info)
{
	struct decimal at_least = {0};
	if (!mrv_unit_parse(operating->unit, &operating->input.dimension))
		return refuse(info, "unit must be a UCUM code out of the table", "/substitution/operating/unit");
	if (decimal_parse(operating->at_least, &at_least) != ERR_OK)
		return refuse(info, "at_least must be a decimal string", "/substitution/operating/at_least");
	operating->input.name = "operating";
	operating->input.quantity = operating->quantity;
	operating->input.unit = operating->unit;
	operating->at_least_base =
		decimal_real(at_least) * operating->input.dimension.factor + operating->input.dimension.offset;
	return ERR_OK;
}

static enum err check_head(struct mrv_methodology *methodology, struct err_info *info)
{
	const char *const *kinds = methodology->kinds.items;
	if (strcmp(methodology->format, FORMAT) != 0)
		return refuse(info, "format must be \"" FORMAT "\"", "/format");
	if (strspn(methodology->code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != strlen(methodology->code))
		return refuse(info, "code must be 2 to 10 of A-Z and 0-9", "/code");
	for (size_t i = 0; i < methodology->kinds.count; i++) {
		methodology->terms.removal |= strcmp(kinds[i], "removal") == 0;
		methodology->terms.reduction |= strcmp(kinds[i], "reduction") == 0;
		if (name_index(mrv_kinds, kinds[i]) < 0)
			return refuse(info, "a kind is removal or reduction", "/kinds/%zu", i);
	}
	if (methodology->quorum.k > methodology->quorum.n)
		return refuse(info, "k must not be above n", "/quorum/k");
	return ERR_OK;
}

enum err mrv_methodology_parse(const json_t *document, struct arena *arena,
	const struct mrv_methodology **ret_methodology, struct err_info *info)
{
	struct mrv_methodology *methodology = ARENA_NEW(arena, struct mrv_methodology);
	char *text;
	size_t size;
	if (!methodology)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the methodology");
	struct err_info fault = {0};
	enum err err = field_read(methodology_fields, FIELD_CREATE, document, "", arena, methodology, &fault);
	if (err)
		return err_set(
			info, err == ERR_NO_MEMORY ? err : ERR_INVALID_METHODOLOGY, fault.pointer, "%s", fault.detail);
	err = check_head(methodology, info);
	if (err == ERR_OK)
		err = check_meters(methodology, arena, info);
	for (size_t i = 0; err == ERR_OK && i < methodology->deductions.count; i++)
		err = check_deduction(methodology, i, info);
	if (err == ERR_OK)
		err = check_balance(methodology, info);
	if (err == ERR_OK)
		err = check_operating(&methodology->substitution.operating, info);
	if (err == ERR_OK)
		err = document_canonical(arena, document, &text, &size);
	if (err)
		return err;
	struct mrv_terms *terms = &methodology->terms;
	terms->code = methodology->code;
	terms->version = methodology->version;
	terms->title = methodology->title;
	terms->hash = sha256_of("carbond/methodology/1", text, size);
	terms->quorum = methodology->quorum.k;
	terms->substitution = methodology->substitution.allowed;
	terms->document = document;
	*ret_methodology = methodology;
	return ERR_OK;
}

const struct mrv_terms *mrv_methodology_terms(const struct mrv_methodology *methodology)
{
	return &methodology->terms;
}

enum err mrv_buffer_share(const struct mrv_methodology *methodology, const char *durability_class, int64_t risk_score,
	int64_t *ret_ppm, struct err_info *info)
{
	const struct buffer_row *rows = methodology->buffer.items;
	const struct buffer_row *best = NULL;
	bool known = false;
	for (size_t i = 0; i < methodology->buffer.count; i++) {
		if (strcmp(rows[i].durability_class, durability_class) != 0)
			continue;
		known = true;
		if (rows[i].max_score >= risk_score && (!best || rows[i].max_score < best->max_score))
			best = &rows[i];
	}
	if (best) {
		*ret_ppm = best->share_ppm;
		return ERR_OK;
	}
	if (known)
		return err_set(info, ERR_INVALID_FIELD, "/risk_score",
			"risk_score is above what methodology %s credits in class %s", methodology->code,
			durability_class);
	return err_set(info, ERR_INVALID_FIELD, "/durability_class",
		"methodology %s has no durability class %.40s; the first is %s", methodology->code, durability_class,
		rows[0].durability_class);
}

int64_t mrv_buffer_kg(int64_t kg, int64_t share_ppm)
{
	int64_t buffer;
	if (kg <= 0 || !muldiv_ceil(kg, share_ppm, PPM, &buffer))
		return 0;
	buffer = (buffer + CREDIT_STEP_KG - 1) / CREDIT_STEP_KG * CREDIT_STEP_KG;
	return buffer < kg ? buffer : kg;
}
