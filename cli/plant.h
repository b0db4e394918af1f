/* A direct-air-capture plant as a pure function of (seed, time): the same second gives the same readings however often
 * and in whatever order it is asked for, so a recording can be repeated, resumed and compared. Used by `carbonctl
 * simulate`. */
#ifndef CARBOND_CLI_PLANT_H
#define CARBOND_CLI_PLANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/err.h"

enum { PLANT_SENSORS = 20, PLANT_POINTS = 9, PLANT_FAULTS_MAX = 16 };

/* One instrument of the plant, as it is registered over REST. */
struct plant_sensor {
	const char *tag, *name, *point, *quantity, *unit;
	int decimals; /* resolution of its display */
	double range_low, range_high;
	double noise; /* standard deviation of one reading, in its unit (relative where below zero) */
	int systematic_ppm, random_ppm;
	int stale_after_s; /* longest time that physics lets it stand still; 0: it may (a state) */
	bool primary;
};

struct plant_point {
	const char *code, *name, *role;
	bool claimable;
	long nameplate_per_hour; /* kg, or Wh for energy */
	const char *downstream;  /* code of the next point, or NULL */
};

extern const struct plant_sensor plant_sensors[PLANT_SENSORS];
extern const struct plant_point plant_points[PLANT_POINTS];

enum plant_fault_kind { PLANT_GAP, PLANT_DRIFT, PLANT_STUCK, PLANT_SPIKE };

/* Something that goes wrong with one instrument for a while. */
struct plant_fault {
	enum plant_fault_kind kind;
	int sensor; /* index into plant_sensors */
	int64_t from_us, to_us;
	double size; /* drift: relative per day; spike: relative */
};

struct plant {
	uint64_t seed;
	double noise; /* factor on every sensor's noise; 0: none */
	struct plant_fault faults[PLANT_FAULTS_MAX];
	size_t fault_count;
};

/* "gap:FT-101:2026-11-20T10:00:00Z:2h", "drift:AT-101:…:3d:0.01", "stuck:…", "spike:…". ERR_INVALID_FIELD says what is
 * wrong and which kinds and tags there are. */
enum err plant_fault_parse(const char *text, struct plant_fault *ret_fault, struct err_info *info) MUST_CHECK;

/* What the instruments show at `time_us`, rounded to their resolution; a sensor in a gap is NaN. */
void plant_read(const struct plant *plant, int64_t time_us, double ret_values[PLANT_SENSORS]);

#endif
