/* The table of unit codes (UCUM, case-sensitive) that sensors may use, with dimension, factor and offset to the dimension's
 * base unit. Nm3 and Sm3 are amounts of gas at 0 °C and 20 °C, 101.325 kPa (40 CFR 98.443 is at 20 °C); UCUM has no code for
 * them, so they are ours and their dimension is their own: a plain m3 never passes for one. Constant; any thread. */
#include <string.h>

#include "carbond/sensing.h"

struct ucum_row {
	const char *code;
	const char *dimension;
	double factor, offset; /* value in the base unit = value × factor + offset */
};

#define HOUR 3600.0
#define DAY  86400.0
#define YEAR 31557600.0 /* UCUM's "a": the mean Julian year */
/* 1 m3 at 0 °C holds as much gas as this many m3 at 20 °C */
#define NORMAL_PER_STANDARD (293.15 / 273.15)

static const struct ucum_row ucum_rows[] = {
	{"1", "1", 1, 0},
	{"%", "1", 0.01, 0},
	{"[ppth]", "1", 1e-3, 0},
	{"[ppm]", "1", 1e-6, 0},
	{"[ppb]", "1", 1e-9, 0},
	{"mol/mol", "1", 1, 0},
	{"mmol/mol", "1", 1e-3, 0},
	{"umol/mol", "1", 1e-6, 0},
	{"kg/kg", "1", 1, 0},
	{"g/kg", "1", 1e-3, 0},
	{"m3/m3", "1", 1, 0},
	{"[pH]", "acidity", 1, 0},
	{"s", "time", 1, 0},
	{"ms", "time", 1e-3, 0},
	{"min", "time", 60, 0},
	{"h", "time", HOUR, 0},
	{"d", "time", DAY, 0},
	{"kg", "mass", 1, 0},
	{"g", "mass", 1e-3, 0},
	{"mg", "mass", 1e-6, 0},
	{"t", "mass", 1000, 0},
	{"kg/s", "mass/time", 1, 0},
	{"kg/min", "mass/time", 1.0 / 60, 0},
	{"kg/h", "mass/time", 1 / HOUR, 0},
	{"kg/d", "mass/time", 1 / DAY, 0},
	{"g/s", "mass/time", 1e-3, 0},
	{"g/min", "mass/time", 1e-3 / 60, 0},
	{"g/h", "mass/time", 1e-3 / HOUR, 0},
	{"t/h", "mass/time", 1000 / HOUR, 0},
	{"t/d", "mass/time", 1000 / DAY, 0},
	{"t/a", "mass/time", 1000 / YEAR, 0},
	{"mol/s", "amount/time", 1, 0},
	{"mol/h", "amount/time", 1 / HOUR, 0},
	{"kmol/h", "amount/time", 1000 / HOUR, 0},
	{"mol", "amount", 1, 0},
	{"mol/L", "amount/volume", 1000, 0},
	{"mmol/L", "amount/volume", 1, 0},
	{"m3", "volume", 1, 0},
	{"L", "volume", 1e-3, 0},
	{"mL", "volume", 1e-6, 0},
	{"m3/s", "volume/time", 1, 0},
	{"m3/min", "volume/time", 1.0 / 60, 0},
	{"m3/h", "volume/time", 1 / HOUR, 0},
	{"m3/d", "volume/time", 1 / DAY, 0},
	{"L/s", "volume/time", 1e-3, 0},
	{"L/min", "volume/time", 1e-3 / 60, 0},
	{"L/h", "volume/time", 1e-3 / HOUR, 0},
	{"Sm3", "standard-volume", 1, 0},
	{"Nm3", "standard-volume", NORMAL_PER_STANDARD, 0},
	{"Sm3/s", "standard-volume/time", 1, 0},
	{"Sm3/h", "standard-volume/time", 1 / HOUR, 0},
	{"Sm3/d", "standard-volume/time", 1 / DAY, 0},
	{"Nm3/s", "standard-volume/time", NORMAL_PER_STANDARD, 0},
	{"Nm3/h", "standard-volume/time", NORMAL_PER_STANDARD / HOUR, 0},
	{"Nm3/d", "standard-volume/time", NORMAL_PER_STANDARD / DAY, 0},
	{"kg/m3", "mass/volume", 1, 0},
	{"g/m3", "mass/volume", 1e-3, 0},
	{"mg/m3", "mass/volume", 1e-6, 0},
	{"ug/m3", "mass/volume", 1e-9, 0},
	{"g/L", "mass/volume", 1, 0},
	{"mg/L", "mass/volume", 1e-3, 0},
	{"K", "temperature", 1, 0},
	{"Cel", "temperature", 1, 273.15},
	{"[degF]", "temperature", 5.0 / 9, 459.67 * 5 / 9},
	{"Pa", "pressure", 1, 0},
	{"hPa", "pressure", 100, 0},
	{"kPa", "pressure", 1e3, 0},
	{"MPa", "pressure", 1e6, 0},
	{"mbar", "pressure", 100, 0},
	{"bar", "pressure", 1e5, 0},
	{"atm", "pressure", 101325, 0},
	{"W", "power", 1, 0},
	{"kW", "power", 1e3, 0},
	{"MW", "power", 1e6, 0},
	{"kJ/h", "power", 1e3 / HOUR, 0},
	{"MJ/h", "power", 1e6 / HOUR, 0},
	{"GJ/h", "power", 1e9 / HOUR, 0},
	{"J", "energy", 1, 0},
	{"kJ", "energy", 1e3, 0},
	{"MJ", "energy", 1e6, 0},
	{"GJ", "energy", 1e9, 0},
	{"Wh", "energy", HOUR, 0},
	{"kWh", "energy", 1e3 * HOUR, 0},
	{"MWh", "energy", 1e6 * HOUR, 0},
	{"m", "length", 1, 0},
	{"mm", "length", 1e-3, 0},
	{"cm", "length", 1e-2, 0},
	{"m/s", "speed", 1, 0},
	{"km/h", "speed", 1 / 3.6, 0},
	{"V", "voltage", 1, 0},
	{"mV", "voltage", 1e-3, 0},
	{"kV", "voltage", 1e3, 0},
	{"A", "current", 1, 0},
	{"mA", "current", 1e-3, 0},
	{"Hz", "frequency", 1, 0},
	{"/min", "frequency", 1.0 / 60, 0},
	{"{rpm}", "frequency", 1.0 / 60, 0},
	{"S/m", "conductivity", 1, 0},
	{"uS/cm", "conductivity", 1e-4, 0},
	{"mS/cm", "conductivity", 0.1, 0},
};

bool sensing_ucum(const char *code, const char **ret_dimension, double *ret_factor, double *ret_offset)
{
	for (size_t i = 0; i < sizeof(ucum_rows) / sizeof(*ucum_rows); i++) {
		const struct ucum_row *row = &ucum_rows[i];
		if (strcmp(row->code, code) != 0)
			continue;
		if (ret_dimension)
			*ret_dimension = row->dimension;
		if (ret_factor)
			*ret_factor = row->factor;
		if (ret_offset)
			*ret_offset = row->offset;
		return true;
	}
	return false;
}
