/* Private face of mrv: what a parsed methodology is, expressions, and the steps of quantification. */
#ifndef MRV_PARTS_H
#define MRV_PARTS_H

#include "carbond/base/clock.h"
#include "carbond/base/decimal.h"
#include "carbond/base/limits.h"
#include "carbond/mrv.h"

enum {
	INPUTS_MAX = 6,   /* of one formula */
	VARIANTS_MAX = 6, /* ways to instrument one meter */
	METERS_MAX = 8,
	DEDUCTIONS_MAX = 24,
	BUFFER_ROWS_MAX = 64,
	EXPRESSION_DEPTH_MAX = 12,
	EXPRESSION_ARGS_MAX = 8,
	HOUR_POINTS_MAX = 400000, /* readings in one hour: 100 Hz and some */
	SENSORS_MAX = 1024,
	POINTS_MAX = 256,
	CALIBRATIONS_MAX = 16384,
	OVERLAYS_MAX = 65536,
};

#define MG_PER_KG      INT64_C(1000000)
#define PPM            INT64_C(1000000)
#define CREDIT_STEP_KG INT64_C(10)
#define HOURS_MAX      INT64_C(8784) /* a leap year: decision 8 */
#define SEARCH_HOURS   INT64_C(2208) /* look-back at most: three months of hours */

/* ---- expressions ---- */

enum operator{ OP_CONSTANT, OP_INPUT, OP_ADD, OP_SUBTRACT, OP_MULTIPLY, OP_DIVIDE, OP_MINIMUM, OP_MAXIMUM };

struct expression {
	enum operator op;
	double constant;  /* in base units */
	const char *text; /* of a constant, as written */
	unsigned input;
	size_t count;
	const struct expression *args[EXPRESSION_ARGS_MAX];
	struct mrv_unit unit;
};

struct input {
	const char *name, *quantity, *unit;
	const char *cutoff; /* decimal in `unit`; below it counts as zero */
	bool counter;       /* a register: its differences are the flow */
	double cutoff_base;
	struct mrv_unit dimension;
};

/* A value with its sensitivity to each input: |xᵢ·∂f/∂xᵢ|, what a relative error of xᵢ moves. */
struct sensed {
	double value;
	double weight[INPUTS_MAX];
};

/* Reads a tree and checks the units at each node. ERR_INVALID_METHODOLOGY. */
enum err expression_parse(const json_t *document, const char *pointer, const struct input *inputs, size_t input_count,
	struct arena *arena, const struct expression **ret_expression, struct err_info *info) MUST_CHECK;
/* Evaluates; the result is not finite where a division has no value. */
void expression_evaluate(
	const struct expression *expression, const double *values, size_t input_count, struct sensed *ret_sensed);
/* The tree as text in the arena: "flow × purity". NULL without memory. */
const char *expression_text(const struct expression *expression, const struct input *inputs, struct arena *arena);

/* ---- a parsed methodology ---- */

struct variant {
	const char *name;
	struct field_list inputs; /* struct input */
	const char *primary;
	json_t *rate;
	size_t primary_index;
	const struct expression *tree;
	const char *formula;
};

struct meter {
	const char *code;
	struct field_list variants; /* struct variant */
	bool power;                 /* gives J/s instead of kg/s */
};

enum deduction_kind { DEDUCTION_METERED, DEDUCTION_SCHEDULED, DEDUCTION_SHARE };

struct deduction {
	const char *code, *label, *source;
	int kind;
	const char *meter; /* metered: code */
	const struct meter *measured;
	struct field_list roles; /* const char * */
	unsigned role_mask;
	int category; /* scheduled */
	bool required;
	int64_t share_ppm; /* of gross */
};

struct gross_rules {
	const char *label, *meter, *source;
	const struct meter *measured;
};

struct balance_rules {
	const char *meter, *source;
	const struct meter *measured;
	struct field_list order; /* const char *: roles, upstream first */
	int roles[8];
	int64_t k_milli, tolerance_max_ppm;
};

struct uncertainty_rules {
	int64_t z_milli, substituted_ppm, sensor_max_ppm;
	const char *source;
};

struct buffer_row {
	const char *durability_class;
	int64_t max_score, share_ppm;
};

struct quorum_rules {
	int64_t k, n;
};

struct operating_rules {
	int role;
	const char *quantity, *unit, *at_least;
	struct input input;
	double at_least_base;
};

struct substitution_rules {
	bool allowed;
	int64_t lookback_hours, good_hour_ppm;
	struct operating_rules operating;
	const char *source;
};

struct data_rules {
	int64_t step_milli; /* a step between readings longer than this share of the period is missing time */
	int stale, manual;  /* quality_rule */
	bool calibration_required;
};

struct mrv_methodology {
	const char *format, *code, *title;
	int64_t version;
	struct field_list kinds; /* const char * */
	struct field_list meters;
	struct gross_rules gross;
	struct field_list deductions;
	struct balance_rules mass_balance;
	struct uncertainty_rules uncertainty;
	struct field_list buffer;
	struct quorum_rules quorum;
	struct substitution_rules substitution;
	struct data_rules data;
	struct mrv_terms terms;
};

enum quality_rule { QUALITY_MISSING, QUALITY_COUNTS };

/* ---- factors ---- */

/* Micrograms CO2e per Wh (= mg/kWh) of `id` in force in the hour; the highest value of the id where no row covers it. */
enum err factors_at(const struct mrv_factors *factors, const char *id, int64_t hour_us, int64_t *ret_ug_per_wh,
	int64_t *ret_uncertainty_ppm, struct err_info *info) MUST_CHECK;

/* ---- hours of one sensor: decoded, calibrated, only what counts ---- */

struct sample {
	int64_t time_us;
	double value; /* base units */
};

struct reads;  /* what was read, in order */
struct window; /* the hour before, the hour, the hour after */

struct reads *reads_new(void);
void reads_free(struct reads **reads);
/* Sorted, each once, in the arena. */
/* Cites what a sensor showed over the case's hours without reading it: a redundant sensor of a claimed point. */
enum err reads_cite(struct reads *reads, const struct mrv_case *the_case, const struct mrv_source *source,
	size_t sensor, struct err_info *info) MUST_CHECK;
enum err reads_list(
	struct reads *reads, struct arena *arena, struct mrv_read **ret_reads, size_t *ret_count) MUST_CHECK;

/* A window on one sensor as `input` reads it. `credit`: cut-off and uncertainty limit apply. NULL without memory. */
struct window *window_new(const struct mrv_case *the_case, const struct mrv_source *source, struct reads *reads,
	size_t sensor, const struct input *input, bool credit);
void window_free(struct window **window);
enum err window_seek(struct window *window, int64_t hour_us, struct err_info *info) MUST_CHECK;
/* Samples of the three hours, rising. */
const struct sample *window_samples(const struct window *window, size_t *ret_count);
const struct mrv_sensor *window_sensor(const struct window *window);
size_t window_sensor_index(const struct window *window);
/* Relative standard uncertainties of the sensor over the case: its own or its worst certificate's. */
int64_t window_systematic_ppm(const struct window *window);
int64_t window_random_ppm(const struct window *window);
/* The longest step between two readings that is no gap. */
int64_t window_step_max_us(const struct window *window);

/* ---- one meter at one point, hour by hour ---- */

struct gauge {
	const struct meter *meter;
	const struct variant *variant;
	const struct mrv_point *point;
	size_t point_index;
	struct window *windows[INPUTS_MAX];
	size_t input_count;
	bool credit;
};

struct amount {
	double value; /* kg, or J, of the covered time */
	double weight[INPUTS_MAX];
	int64_t covered_us;
};

/* Finds the first variant whose inputs all have a primary sensor at the point. ERR_METER_MISSING. */
enum err gauge_open(struct gauge *gauge, const struct mrv_case *the_case, const struct mrv_source *source,
	struct reads *reads, const struct meter *meter, size_t point, bool credit, struct err_info *info) MUST_CHECK;
void gauge_close(struct gauge *gauge);
enum err gauge_hour(struct gauge *gauge, int64_t hour_us, struct amount *ret_amount, struct err_info *info) MUST_CHECK;

/* Rounded once: down for credit, up for deductions. False past MRV_HOUR_MG_MAX. */
bool round_down(double value, int64_t *ret);
bool round_up(double value, int64_t *ret);

/* ---- a series of meter-hours ---- */

struct meter_hour {
	int64_t amount;   /* mg, or Wh: measured and, for deductions, filled at nameplate */
	int64_t measured; /* without any fill */
	int64_t missing_us;
	bool good, substituted;
};

struct meter_series {
	struct gauge gauge;
	int64_t from_us;
	size_t count;
	struct meter_hour *hours;
	int64_t weight[INPUTS_MAX]; /* Σ over the hours, mg or Wh, rounded up */
	bool exceeded;              /* an hour above the point's nameplate */
};

enum err meter_series_read(struct meter_series *series, const struct mrv_case *the_case, struct arena *arena,
	struct err_info *info) MUST_CHECK;

/* The plant's own statement that it ran. */
struct operating {
	struct window *window;
	double at_least;
	int64_t good_hour_ppm;
	size_t point;
};
enum err operating_open(struct operating *operating, const struct mrv_case *the_case, const struct mrv_source *source,
	struct reads *reads, struct err_info *info) MUST_CHECK;
enum err operating_hour(struct operating *operating, int64_t hour_us, bool *ret_ran, struct err_info *info) MUST_CHECK;

struct substitutions {
	struct mrv_substitution *rows;
	size_t count, capacity;
};

/* Fills the missing time of a series by the tiers of 40 CFR 75.33 where the plant provably ran. */
enum err substitute(struct meter_series *series, struct operating *operating, const struct mrv_case *the_case,
	const char *line, struct substitutions *substitutions, struct arena *arena, struct err_info *info) MUST_CHECK;

/* ---- ustar ---- */

enum { TAR_BLOCK = 512, TAR_PATH_MAX = 100 };

void tar_header(const char *path, uint64_t size, uint8_t ret_block[TAR_BLOCK]);

struct tar_entry {
	char path[TAR_PATH_MAX + 1];
	const uint8_t *data;
	size_t size;
};
/* Reads a whole archive and compares it with what tar_header would have written, byte for byte. ERR_PACK_INVALID: info's
 * pointer is the entry's path. */
enum err tar_read(const uint8_t *data, size_t size, struct arena *arena, struct tar_entry **ret_entries,
	size_t *ret_count, struct err_info *info) MUST_CHECK;

/* ---- pack ---- */

#define BUCKET_MAGIC "carbkt1"
enum { BUCKET_HEADER = 72 };
struct hash pack_leaf(const char *path, struct hash content);
void bucket_path(struct id sensor, int64_t hour_us, char ret_path[TAR_PATH_MAX + 1]);

/* Claims of a whole period: slot 0, every hour of every claimable point of a balance role. */
enum err claims_of(const struct mrv_case *the_case, struct arena *arena, struct mrv_claim **ret_claims,
	size_t *ret_count, struct err_info *info) MUST_CHECK;

/* The documents of a case, as the pack holds them. New references; NULL without memory. */
json_t *case_project(const struct mrv_case *the_case);
json_t *case_sensors(const struct mrv_case *the_case);
json_t *case_calibrations(const struct mrv_case *the_case);
json_t *case_overlays(const struct mrv_case *the_case);

#endif
