/* Units: UCUM codes read over a closed table of atoms, at most one solidus and products by '.', each atom with an optional
 * exponent ("kg/m3", "g/kWh", "mol/mol"). Sm3 and Nm3 are amounts of gas (20 °C and 0 °C, 101.325 kPa; 40 CFR 98.443 is at
 * 20 °C) with a dimension of their own, so that a plain m3 never passes for one. Pure; any thread. */
#include <string.h>

#include "carbond/mrv.h"

/* 1 m3 at 0 °C holds as much gas as this many m3 at 20 °C */
#define NORMAL_PER_STANDARD (293.15 / 273.15)

enum { CODE_SIZE_MAX = 24, EXPONENT_MAX = 4 };

struct atom {
	const char *code;
	int8_t power[MRV_DIMENSIONS]; /* kg, m, s, mol, K, A, Sm3 */
	double factor, offset;
};

static const struct atom atoms[] = {
	{"1", {0}, 1, 0},
	{"%", {0}, 0.01, 0},
	{"[ppth]", {0}, 1e-3, 0},
	{"[ppm]", {0}, 1e-6, 0},
	{"[ppb]", {0}, 1e-9, 0},
	{"kg", {1}, 1, 0},
	{"g", {1}, 1e-3, 0},
	{"mg", {1}, 1e-6, 0},
	{"ug", {1}, 1e-9, 0},
	{"t", {1}, 1000, 0},
	{"m", {0, 1}, 1, 0},
	{"cm", {0, 1}, 1e-2, 0},
	{"mm", {0, 1}, 1e-3, 0},
	{"km", {0, 1}, 1000, 0},
	{"L", {0, 3}, 1e-3, 0},
	{"mL", {0, 3}, 1e-6, 0},
	{"Sm3", {0, 0, 0, 0, 0, 0, 1}, 1, 0},
	{"Nm3", {0, 0, 0, 0, 0, 0, 1}, NORMAL_PER_STANDARD, 0},
	{"s", {0, 0, 1}, 1, 0},
	{"ms", {0, 0, 1}, 1e-3, 0},
	{"min", {0, 0, 1}, 60, 0},
	{"h", {0, 0, 1}, 3600, 0},
	{"d", {0, 0, 1}, 86400, 0},
	{"a", {0, 0, 1}, 31557600, 0},
	{"Hz", {0, 0, -1}, 1, 0},
	{"mol", {0, 0, 0, 1}, 1, 0},
	{"mmol", {0, 0, 0, 1}, 1e-3, 0},
	{"umol", {0, 0, 0, 1}, 1e-6, 0},
	{"kmol", {0, 0, 0, 1}, 1000, 0},
	{"K", {0, 0, 0, 0, 1}, 1, 0},
	{"Cel", {0, 0, 0, 0, 1}, 1, 273.15},
	{"Pa", {1, -1, -2}, 1, 0},
	{"hPa", {1, -1, -2}, 100, 0},
	{"kPa", {1, -1, -2}, 1e3, 0},
	{"MPa", {1, -1, -2}, 1e6, 0},
	{"mbar", {1, -1, -2}, 100, 0},
	{"bar", {1, -1, -2}, 1e5, 0},
	{"atm", {1, -1, -2}, 101325, 0},
	{"J", {1, 2, -2}, 1, 0},
	{"kJ", {1, 2, -2}, 1e3, 0},
	{"MJ", {1, 2, -2}, 1e6, 0},
	{"GJ", {1, 2, -2}, 1e9, 0},
	{"Wh", {1, 2, -2}, 3600, 0},
	{"kWh", {1, 2, -2}, 3.6e6, 0},
	{"MWh", {1, 2, -2}, 3.6e9, 0},
	{"W", {1, 2, -3}, 1, 0},
	{"kW", {1, 2, -3}, 1e3, 0},
	{"MW", {1, 2, -3}, 1e6, 0},
	{"A", {0, 0, 0, 0, 0, 1}, 1, 0},
	{"mA", {0, 0, 0, 0, 0, 1}, 1e-3, 0},
};

static const struct atom *find_atom(const char *code, size_t size)
{
	for (size_t i = 0; i < sizeof atoms / sizeof *atoms; i++)
		if (strlen(atoms[i].code) == size && memcmp(atoms[i].code, code, size) == 0)
			return &atoms[i];
	return NULL;
}

/* Multiplies `unit` by atom^exponent. */
static void apply(struct mrv_unit *unit, const struct atom *atom, int exponent)
{
	for (int i = 0; i < MRV_DIMENSIONS; i++)
		unit->power[i] = (int8_t)(unit->power[i] + atom->power[i] * exponent);
	for (int i = 0; i < exponent; i++)
		unit->factor *= atom->factor;
	for (int i = 0; i > exponent; i--)
		unit->factor /= atom->factor;
}

/* One atom with its exponent: "Sm3" is an atom, "m3" is m to the third. */
static bool apply_component(
	struct mrv_unit *unit, const char *text, size_t size, int sign, const struct atom **ret_atom)
{
	const struct atom *atom = find_atom(text, size);
	int exponent = 1;
	if (!atom && size >= 2 && text[size - 1] >= '2' && text[size - 1] <= '0' + EXPONENT_MAX) {
		exponent = text[size - 1] - '0';
		atom = find_atom(text, size - 1);
	}
	if (!atom)
		return false;
	apply(unit, atom, sign * exponent);
	*ret_atom = atom;
	return true;
}

bool mrv_unit_parse(const char *code, struct mrv_unit *ret_unit)
{
	size_t size = strlen(code);
	struct mrv_unit unit = {.factor = 1};
	const struct atom *atom = NULL;
	size_t components = 0, start = 0;
	int sign = 1;
	if (size == 0 || size > CODE_SIZE_MAX)
		return false;
	for (size_t i = 0; i <= size; i++) {
		if (i < size && code[i] != '/' && code[i] != '.')
			continue;
		bool unity = i == 0 && code[0] == '/'; /* "/min" */
		if (!unity && !apply_component(&unit, code + start, i - start, sign, &atom))
			return false;
		components += !unity;
		start = i + 1;
		if (i == size)
			break;
		if (code[i] == '/') {
			if (sign < 0)
				return false;
			sign = -1;
		}
	}
	/* a scale with an offset (Cel) stands alone: degrees per hour have no zero point */
	if (components == 1 && sign > 0)
		unit.offset = atom->offset;
	*ret_unit = unit;
	return true;
}

bool mrv_unit_same(const struct mrv_unit *a, const struct mrv_unit *b)
{
	return memcmp(a->power, b->power, sizeof a->power) == 0;
}
