/* What the simulated plant's instruments show at a moment. Four contactors of solid amine sorbent run staggered cycles
 * of three hours of adsorption and one of desorption; every quantity follows in closed form from the weather at the
 * cycle's start, so no state is carried. Loading: Toth isotherm of Lewatit VP OC 1065 (Young et al., Energy Environ.
 * Sci. 14, 2021, 5377: q 4.86 mol/kg, b0 2.85e-21 1/Pa, 117.798 kJ/mol, t0 0.209, alpha 0.523, T0 296 K) with a linear
 * driving force of 2e-4 1/s. Pure; any thread. */
#include "plant.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"

#define SECONDS_PER_CYCLE 14400
#define SECONDS_OF_DESORB 3600
#define CONTACTORS        4
#define SORBENT_KG        1180.0 /* of one contactor */
#define CO2_KG_PER_MOL    0.0440095
#define GAS_CONSTANT      8.314462618
#define DESORB_TIME_S     600.0
#define FAN_FLOW_M3_PER_H 160000.0
#define TWO_PI            6.283185307179586

enum sensor {
	FT_101,
	AT_101,
	FT_102,
	FT_201,
	PT_201,
	FT_301,
	JT_401,
	JT_402,
	JT_403,
	FT_501,
	XS_601,
	TT_001,
	MT_001,
	PT_001,
	AT_001,
	AT_002,
	FT_001,
	TT_101,
	TT_102,
	PT_101
};

const struct plant_sensor plant_sensors[PLANT_SENSORS] = {
	[FT_101] = {"FT-101", "captured CO2, Coriolis meter", "CAPTURED", "mass_flow", "kg/h", 3, 0, 400, -0.002, 2500,
		2000, 43200, true},
	[AT_101] = {"AT-101", "captured CO2, purity", "CAPTURED", "mole_fraction", "mol/mol", 5, 0, 1, 0.0003, 1500,
		300, 43200, true},
	[FT_102] = {"FT-102", "captured CO2, second meter", "CAPTURED", "mass_flow", "kg/h", 3, 0, 400, -0.004, 5000,
		4000, 43200, false},
	[FT_201] = {"FT-201", "compressed CO2", "COMPRESSED", "mass_flow", "kg/h", 3, 0, 400, -0.002, 2500, 2000, 43200,
		true},
	[PT_201] = {"PT-201", "compressor discharge pressure", "COMPRESSED", "pressure", "bar", 2, 0, 200, 0.2, 1000,
		1000, 43200, true},
	[FT_301] = {"FT-301", "injected CO2", "INJECTED", "mass_flow", "kg/h", 3, 0, 400, -0.002, 2500, 2000, 43200,
		true},
	[JT_401] = {"JT-401", "fans, electric power", "FANS", "power", "kW", 2, 0, 100, 0.15, 5000, 2000, 43200, true},
	[JT_402] = {"JT-402", "heat pump, electric power", "HEAT", "power", "kW", 2, 0, 400, 0.4, 5000, 2000, 43200,
		true},
	[JT_403] = {"JT-403", "compressor, electric power", "COMPRESSOR", "power", "kW", 2, 0, 100, 0.1, 5000, 2000,
		7200, true},
	[FT_501] = {"FT-501", "vented CO2", "VENT", "mass_flow", "kg/h", 4, 0, 50, -0.01, 10000, 10000, 43200, true},
	[XS_601] = {"XS-601", "plant is running", "RUNNING", "state", "1", 0, 0, 1, 0, 0, 0, 0, true},
	[TT_001] = {"TT-001", "ambient temperature", "AMBIENT", "temperature", "Cel", 2, -50, 60, 0.05, 1000, 1000, 0,
		true},
	[MT_001] = {"MT-001", "ambient relative humidity", "AMBIENT", "relative_humidity", "%", 1, 0, 100, 0.3, 10000,
		5000, 0, true},
	[PT_001] = {"PT-001", "ambient pressure", "AMBIENT", "pressure", "mbar", 1, 850, 1100, 0.1, 500, 500, 0, true},
	[AT_001] = {"AT-001", "CO2 in inlet air", "AMBIENT", "mole_fraction", "[ppm]", 1, 300, 700, 0.8, 5000, 2000, 0,
		true},
	[AT_002] = {"AT-002", "CO2 in outlet air", "AMBIENT", "mole_fraction", "[ppm]", 1, 0, 700, 1.0, 5000, 4000, 0,
		false},
	[FT_001] = {"FT-001", "air flow", "AMBIENT", "volume_flow", "m3/h", 0, 0, 300000, 350, 10000, 5000, 0, true},
	[TT_101] = {"TT-101", "contactor bed temperature", "AMBIENT", "temperature", "Cel", 2, -50, 150, 0.1, 1000,
		1000, 0, false},
	[TT_102] = {"TT-102", "desorption temperature", "AMBIENT", "temperature", "Cel", 2, -50, 150, 0.1, 1000, 1000,
		0, false},
	[PT_101] = {"PT-101", "desorption pressure", "AMBIENT", "pressure", "mbar", 1, 0, 1200, 0.5, 2000, 2000, 0,
		false},
};

const struct plant_point plant_points[PLANT_POINTS] = {
	{"INJECTED", "CO2 injected into storage", "injected", false, 60, NULL},
	{"COMPRESSED", "CO2 after the compressor", "compressed", false, 60, "INJECTED"},
	{"CAPTURED", "CO2 out of the contactors", "captured", true, 60, "COMPRESSED"},
	{"VENT", "CO2 vented", "loss", false, 6, NULL},
	{"FANS", "fans", "energy", false, 30000, NULL},
	{"HEAT", "heat pump", "energy", false, 150000, NULL},
	{"COMPRESSOR", "compressor", "energy", false, 15000, NULL},
	{"RUNNING", "operating signal", "operating", false, 0, NULL},
	{"AMBIENT", "weather and process", "ambient", false, 0, NULL},
};

/* ---- repeatable noise ---- */

static uint64_t mix(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t z =
		a * UINT64_C(0x9e3779b97f4a7c15) + b * UINT64_C(0xbf58476d1ce4e5b9) + c * UINT64_C(0x94d049bb133111eb);
	for (int round = 0; round < 2; round++) {
		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		z ^= z >> 31;
	}
	return z;
}

/* Uniform in (0, 1). */
static double uniform(uint64_t a, uint64_t b, uint64_t c)
{
	return ((double)(mix(a, b, c) >> 11) + 0.5) / 9007199254740992.0;
}

static double gaussian(uint64_t a, uint64_t b, uint64_t c)
{
	return sqrt(-2.0 * log(uniform(a, b, c))) * cos(TWO_PI * uniform(a, b, c ^ UINT64_C(0x5851f42d4c957f2d)));
}

/* A slow, smooth wander around 0 with deviation about 1 and the given correlation time. */
static double wander(uint64_t seed, uint64_t channel, double time_s, double scale_s)
{
	double knot = floor(time_s / scale_s), part = time_s / scale_s - knot;
	double smooth = part * part * (3.0 - 2.0 * part);
	double left = gaussian(seed, channel, (uint64_t)(int64_t)knot),
	       right = gaussian(seed, channel, (uint64_t)(int64_t)knot + 1);
	return left + (right - left) * smooth;
}

/* ---- weather and operation ---- */

struct weather {
	double temperature_c, humidity_percent, pressure_mbar, co2_ppm;
};

static struct weather weather_at(uint64_t seed, double time_s)
{
	double day = time_s / 86400.0, year = day / 365.2425;
	struct weather weather;
	double sun = -cos(TWO_PI * (day - floor(day)) - 0.8);
	weather.temperature_c =
		9.0 - 8.0 * cos(TWO_PI * (year - 0.07)) + 3.5 * sun + 2.5 * wander(seed, 1, time_s, 43200);
	weather.humidity_percent = fmin(98.0, fmax(25.0, 74.0 - 9.0 * sun + 7.0 * wander(seed, 2, time_s, 36000)));
	weather.pressure_mbar = 1011.0 + 6.0 * wander(seed, 3, time_s, 86400);
	/* Mauna Loa's mean and growth: 424.6 ppm in 2024, about 2.6 ppm a year; season ± 3 ppm */
	weather.co2_ppm = 424.6 + 2.6 * (year - 54.5) + 3.0 * cos(TWO_PI * (year - 0.37)) +
			  4.0 * fabs(wander(seed, 4, time_s, 10800));
	return weather;
}

/* About one day in six has an outage of two to five hours. */
static bool is_running(uint64_t seed, int64_t time_s)
{
	int64_t day = time_s / 86400, second = time_s % 86400;
	if (uniform(seed, 11, (uint64_t)day) > 1.0 / 6)
		return true;
	int64_t begin = 6 * 3600 + (int64_t)(uniform(seed, 12, (uint64_t)day) * 10 * 3600);
	int64_t length = 2 * 3600 + (int64_t)(uniform(seed, 13, (uint64_t)day) * 3 * 3600);
	return second < begin || second >= begin + length;
}

/* ---- sorbent ---- */

/* Equilibrium loading in mol/kg at a partial pressure of CO2 in Pa. */
static double toth_loading(double pressure_pa, double temperature_k)
{
	double affinity = 2.85e-21 * exp(117798.0 / (GAS_CONSTANT * temperature_k)) * pressure_pa;
	double heterogeneity = 0.209 + 0.523 * (1.0 - 296.0 / temperature_k);
	return 4.86 * affinity / pow(1.0 + pow(affinity, heterogeneity), 1.0 / heterogeneity);
}

struct contactor {
	double uptake_kg_per_h;  /* while adsorbing */
	double release_kg_per_h; /* while desorbing */
	double into_desorb_s;    /* < 0: adsorbing */
};

static struct contactor contactor_at(uint64_t seed, int index, int64_t time_s)
{
	int64_t shifted = time_s + (int64_t)index * SECONDS_OF_DESORB;
	int64_t start = shifted - shifted % SECONDS_PER_CYCLE - (int64_t)index * SECONDS_OF_DESORB;
	double into = (double)(time_s - start), adsorb_s = SECONDS_PER_CYCLE - SECONDS_OF_DESORB, rate = 2e-4;
	struct weather weather = weather_at(seed, (double)start + adsorb_s / 2);
	double partial_pa = weather.co2_ppm * 1e-6 * weather.pressure_mbar * 100.0;
	double loading = toth_loading(partial_pa, weather.temperature_c + 273.15 + 4.0);
	/* moist air helps amines a little; sorbent ages by a percent a year */
	loading *= (0.96 + 0.0009 * weather.humidity_percent) * (1.0 - 0.01 * fmod((double)start / 31556952.0, 3.0));
	double cycle_kg = SORBENT_KG * loading * (1.0 - exp(-rate * adsorb_s)) * CO2_KG_PER_MOL;
	struct contactor contactor = {.into_desorb_s = into - adsorb_s};
	if (into < adsorb_s) {
		contactor.uptake_kg_per_h = SORBENT_KG * loading * rate * exp(-rate * into) * CO2_KG_PER_MOL * 3600.0;
	} else {
		double x = contactor.into_desorb_s / DESORB_TIME_S, end = SECONDS_OF_DESORB / DESORB_TIME_S;
		double all = 1.0 - (1.0 + end) * exp(-end);
		contactor.release_kg_per_h = cycle_kg * x * exp(-x) / (DESORB_TIME_S * all) * 3600.0;
	}
	return contactor;
}

/* ---- instruments ---- */

static void true_values(uint64_t seed, int64_t time_s, double ret_values[PLANT_SENSORS])
{
	struct weather weather = weather_at(seed, (double)time_s);
	bool running = is_running(seed, time_s);
	double uptake = 0, release = 0, into_desorb_s = 0;
	for (int i = 0; running && i < CONTACTORS; i++) {
		struct contactor contactor = contactor_at(seed, i, time_s);
		uptake += contactor.uptake_kg_per_h;
		release += contactor.release_kg_per_h;
		if (contactor.into_desorb_s >= 0)
			into_desorb_s = contactor.into_desorb_s;
	}
	/* the product buffer is never quite empty while the plant runs */
	double purity = running ? 0.9935 + 0.0012 * wander(seed, 5, (double)time_s, 7200) : 0.0;
	double flow = running ? release / 0.9935 + 0.4 : 0.0, vent = 0.004 * flow;
	double air_flow = running ? FAN_FLOW_M3_PER_H * (1.0 + 0.01 * wander(seed, 6, (double)time_s, 1800)) : 0.0;
	double air_co2_kg_per_h = air_flow * weather.co2_ppm * 1e-6 * 1.842;
	double warm = running ? 1.0 - exp(-into_desorb_s / 500.0) : 0.0;
	ret_values[FT_101] = ret_values[FT_102] = flow;
	ret_values[AT_101] = fmin(0.9999, purity);
	ret_values[FT_201] = flow * purity - vent; /* dried: what was not CO2 has gone */
	ret_values[PT_201] = running ? 78.0 + 2.0 * wander(seed, 7, (double)time_s, 3600) : 1.0;
	ret_values[FT_301] = (flow * purity - vent) * 0.9992;
	ret_values[JT_401] = running ? 15.5 * pow(air_flow / FAN_FLOW_M3_PER_H, 3) : 0.4;
	ret_values[JT_402] = running ? 34.0 + 46.0 * exp(-into_desorb_s / 1500.0) : 0.8;
	ret_values[JT_403] = running ? 0.6 + 0.095 * flow : 0.1;
	ret_values[FT_501] = vent;
	ret_values[XS_601] = running;
	ret_values[TT_001] = weather.temperature_c;
	ret_values[MT_001] = weather.humidity_percent;
	ret_values[PT_001] = weather.pressure_mbar;
	ret_values[AT_001] = weather.co2_ppm;
	ret_values[AT_002] =
		air_co2_kg_per_h > 0 ? weather.co2_ppm * fmax(0.1, 1.0 - uptake / air_co2_kg_per_h) : weather.co2_ppm;
	ret_values[FT_001] = air_flow;
	ret_values[TT_101] = weather.temperature_c + (running ? 4.0 : 0.0);
	ret_values[TT_102] = weather.temperature_c + (95.0 - weather.temperature_c) * warm;
	ret_values[PT_101] =
		running ? 120.0 + (weather.pressure_mbar - 120.0) * exp(-into_desorb_s / 90.0) : weather.pressure_mbar;
}

static double displayed(const struct plant *plant, int sensor, double value, int64_t time_us)
{
	const struct plant_sensor *row = &plant_sensors[sensor];
	double deviation = row->noise < 0 ? -row->noise * fabs(value) : row->noise;
	value += plant->noise * deviation * gaussian(plant->seed, 100 + (uint64_t)sensor, (uint64_t)time_us);
	value = fmin(row->range_high, fmax(row->range_low, value));
	double scale = pow(10.0, row->decimals);
	return nearbyint(value * scale) / scale;
}

void plant_read(const struct plant *plant, int64_t time_us, double ret_values[PLANT_SENSORS])
{
	double values[PLANT_SENSORS];
	true_values(plant->seed, time_us / CLOCK_US_PER_SECOND, values);
	for (int i = 0; i < PLANT_SENSORS; i++)
		ret_values[i] = displayed(plant, i, values[i], time_us);
	for (size_t i = 0; i < plant->fault_count; i++) {
		const struct plant_fault *fault = &plant->faults[i];
		if (time_us < fault->from_us || time_us >= fault->to_us)
			continue;
		double *value = &ret_values[fault->sensor];
		switch (fault->kind) {
		case PLANT_GAP: *value = NAN; break;
		case PLANT_DRIFT:
			*value = displayed(plant, fault->sensor,
				*value * (1.0 + fault->size * (double)(time_us - fault->from_us) /
							 (double)CLOCK_US_PER_DAY),
				time_us);
			break;
		case PLANT_STUCK:
			true_values(plant->seed, fault->from_us / CLOCK_US_PER_SECOND, values);
			*value = displayed(plant, fault->sensor, values[fault->sensor], fault->from_us);
			break;
		case PLANT_SPIKE: *value *= 1.0 + fault->size; break;
		}
	}
}

/* ---- faults as text ---- */

static const char *const fault_names[] = {"gap", "drift", "stuck", "spike"};

static bool parse_duration(const char *text, int64_t *ret_us)
{
	char *end;
	long amount = strtol(text, &end, 10);
	int64_t unit = *end == 's'   ? CLOCK_US_PER_SECOND
		       : *end == 'm' ? CLOCK_US_PER_MINUTE
		       : *end == 'h' ? CLOCK_US_PER_HOUR
		       : *end == 'd' ? CLOCK_US_PER_DAY
				     : 0;
	if (amount <= 0 || amount > 100000 || !unit || end[1])
		return false;
	*ret_us = amount * unit;
	return true;
}

enum err plant_fault_parse(const char *text, struct plant_fault *ret_fault, struct err_info *info)
{
	/* the time has colons of its own: kind and tag are cut off the front, size and duration off the back */
	char copy[128], *parts[5] = {NULL};
	if (strlen(text) >= sizeof copy)
		return err_set(info, ERR_INVALID_FIELD, "/fault", "a fault is at most %zu characters", sizeof copy - 1);
	memcpy(copy, text, strlen(text) + 1);
	*ret_fault = (struct plant_fault){.kind = (enum plant_fault_kind) - 1, .sensor = -1};
	parts[0] = copy;
	for (int i = 1; i < 3 && parts[i - 1]; i++) {
		parts[i] = strchr(parts[i - 1], ':');
		if (parts[i])
			*parts[i]++ = 0;
	}
	for (int i = 0; i < 4; i++)
		ret_fault->kind = strcmp(copy, fault_names[i]) == 0 ? (enum plant_fault_kind)i : ret_fault->kind;
	for (int i = 0; parts[1] && i < PLANT_SENSORS; i++)
		ret_fault->sensor = strcmp(parts[1], plant_sensors[i].tag) == 0 ? i : ret_fault->sensor;
	bool is_sized = ret_fault->kind == PLANT_DRIFT || ret_fault->kind == PLANT_SPIKE;
	for (int i = is_sized ? 4 : 3; parts[2] && i >= 3; i--) {
		parts[i] = strrchr(parts[2], ':');
		if (parts[i])
			*parts[i]++ = 0;
	}
	char *end = NULL;
	ret_fault->size = is_sized && parts[4] ? strtod(parts[4], &end) : 0;
	int64_t duration_us = 0;
	if ((int)ret_fault->kind < 0 || ret_fault->sensor < 0 || !parts[2] || !parts[3] ||
		!parse_duration(parts[3], &duration_us) || clock_parse(parts[2], &ret_fault->from_us) != ERR_OK ||
		(is_sized && (!end || *end || !isfinite(ret_fault->size))))
		return err_set(info, ERR_INVALID_FIELD, "/fault",
			"'%s' is no fault; write KIND:TAG:TIME:DURATION[:SIZE] with KIND gap, drift, stuck or spike, "
			"TAG FT-101 … "
			"PT-101, TIME as RFC 3339, DURATION as 90s, 30m, 2h or 3d, SIZE (drift, spike) as a fraction",
			text);
	ret_fault->to_us = ret_fault->from_us + duration_us;
	return ERR_OK;
}
