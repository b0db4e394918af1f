/* Hours of one sensor as quantification sees them: decoded, in base units, calibrated by the certificate in force at the
 * reading's time, re-priced for drift found later, and only what counts (integrity.md, "Data quality"). A window holds the
 * hour before, the hour and the hour after; every hour that is asked for is recorded, for those are the evidence. Pure. */
#include <stdlib.h>
#include <string.h>

#include "parts.h"

enum { HOUR_ARENA_BYTES = 64 << 20, SLOTS = 3 };

/* ---- what was read ---- */

struct reads {
	struct mrv_read *rows;
	size_t count, capacity;
	bool failed;
};

struct reads *reads_new(void)
{
	return calloc(1, sizeof(struct reads));
}

void reads_free(struct reads **reads)
{
	if (*reads)
		free((*reads)->rows);
	free(*reads);
	*reads = NULL;
}

static void reads_add(struct reads *reads, size_t sensor, int64_t hour_us, const struct mrv_hour *hour)
{
	if (reads->count == reads->capacity) {
		size_t capacity = reads->capacity ? reads->capacity * 2 : 256;
		struct mrv_read *rows = realloc(reads->rows, capacity * sizeof *rows);
		if (!rows) {
			reads->failed = true;
			return;
		}
		reads->rows = rows;
		reads->capacity = capacity;
	}
	reads->rows[reads->count++] = (struct mrv_read){.sensor = (uint32_t)sensor,
		.hour_us = hour_us,
		.revision = hour->revision,
		.content_hash = hour->content_hash};
}

enum err reads_cite(struct reads *reads, const struct mrv_case *the_case, const struct mrv_source *source,
	size_t sensor, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	enum err err = arena ? ERR_OK : err_set(info, ERR_NO_MEMORY, "", "no memory for an hour of readings");
	for (int64_t hour_us = the_case->from_us; err == ERR_OK && hour_us < the_case->to_us;
		hour_us += CLOCK_US_PER_HOUR) {
		struct mrv_hour hour = {0};
		arena_reset(arena);
		err = source->hour(source->context, &the_case->sensors[sensor], hour_us, arena, &hour, info);
		if (err == ERR_OK && hour.revision != 0)
			reads_add(reads, sensor, hour_us, &hour);
	}
	arena_free(&arena);
	return err;
}

static int compare_reads(const void *a, const void *b)
{
	const struct mrv_read *left = a, *right = b;
	if (left->sensor != right->sensor)
		return left->sensor < right->sensor ? -1 : 1;
	return left->hour_us < right->hour_us ? -1 : left->hour_us > right->hour_us;
}

enum err reads_list(struct reads *reads, struct arena *arena, struct mrv_read **ret_reads, size_t *ret_count)
{
	if (reads->failed)
		return ERR_NO_MEMORY;
	if (reads->count)
		qsort(reads->rows, reads->count, sizeof *reads->rows, compare_reads);
	size_t count = 0;
	for (size_t i = 0; i < reads->count; i++)
		if (i == 0 || compare_reads(&reads->rows[i], &reads->rows[i - 1]) != 0)
			reads->rows[count++] = reads->rows[i];
	reads->count = count;
	struct mrv_read *rows = ARENA_ARRAY(arena, struct mrv_read, count ? count : 1);
	if (!rows)
		return ERR_NO_MEMORY;
	if (count)
		memcpy(rows, reads->rows, count * sizeof *rows);
	*ret_reads = rows;
	*ret_count = count;
	return ERR_OK;
}

/* ---- a window on one sensor ---- */

/* A calibration with its decimals as reals. */
struct certificate {
	const struct mrv_calibration *row;
	double factor, offset, drift;
};

struct slot {
	struct arena *arena;
	int64_t hour_us; /* INT64_MIN: empty */
	struct sample *samples;
	size_t count;
};

struct window {
	const struct mrv_case *the_case;
	const struct mrv_source *source;
	struct reads *reads;
	size_t sensor_index;
	const struct mrv_sensor *sensor;
	const struct input *input;
	struct mrv_unit unit; /* the sensor's */
	bool credit;
	struct certificate *certificates; /* of this sensor, by (valid_from, position) */
	size_t certificate_count;
	const struct mrv_overlay **overlays; /* of this sensor */
	size_t overlay_count;
	int64_t first_valid_us, systematic_ppm;
	struct slot slots[SLOTS];
	struct sample *joined;
	size_t joined_count, joined_capacity;
};

static double real_or(const char *text, double fallback)
{
	struct decimal decimal;
	return text && decimal_parse(text, &decimal) == ERR_OK ? decimal_real(decimal) : fallback;
}

static bool certificates_load(struct window *window)
{
	const struct mrv_case *the_case = window->the_case;
	window->certificates = calloc(the_case->calibration_count + 1, sizeof *window->certificates);
	window->first_valid_us = INT64_MAX;
	window->systematic_ppm = window->sensor->systematic_ppm;
	for (size_t i = 0; window->certificates && i < the_case->calibration_count; i++) {
		const struct mrv_calibration *row = &the_case->calibrations[i];
		if (!id_equal(row->sensor_id, window->sensor->id))
			continue;
		window->certificates[window->certificate_count++] = (struct certificate){.row = row,
			.factor = real_or(row->factor, 1),
			.offset = real_or(row->offset, 0),
			.drift = real_or(row->as_found_drift, 0)};
		if (row->valid_from_us < window->first_valid_us)
			window->first_valid_us = row->valid_from_us;
		/* the worst certificate's, for all hours: systematic errors do not average out */
		if (row->uncertainty_ppm != FIELD_ABSENT && row->uncertainty_ppm > window->systematic_ppm)
			window->systematic_ppm = row->uncertainty_ppm;
	}
	return window->certificates != NULL;
}

static bool overlays_load(struct window *window)
{
	const struct mrv_case *the_case = window->the_case;
	window->overlays = calloc(the_case->overlay_count + 1, sizeof *window->overlays);
	for (size_t i = 0; window->overlays && i < the_case->overlay_count; i++)
		if (id_equal(the_case->overlays[i].sensor_id, window->sensor->id))
			window->overlays[window->overlay_count++] = &the_case->overlays[i];
	return window->overlays != NULL;
}

struct window *window_new(const struct mrv_case *the_case, const struct mrv_source *source, struct reads *reads,
	size_t sensor, const struct input *input, bool credit)
{
	struct window *window = calloc(1, sizeof *window);
	bool complete = window != NULL;
	if (!window)
		return NULL;
	window->the_case = the_case;
	window->source = source;
	window->reads = reads;
	window->sensor_index = sensor;
	window->sensor = &the_case->sensors[sensor];
	window->input = input;
	window->credit = credit;
	complete = mrv_unit_parse(window->sensor->unit, &window->unit) && certificates_load(window) &&
		   overlays_load(window);
	for (int i = 0; i < SLOTS; i++) {
		window->slots[i].hour_us = INT64_MIN;
		window->slots[i].arena = arena_new(HOUR_ARENA_BYTES);
		complete = complete && window->slots[i].arena;
	}
	if (!complete)
		window_free(&window);
	return window;
}

void window_free(struct window **window)
{
	if (!*window)
		return;
	for (int i = 0; i < SLOTS; i++)
		arena_free(&(*window)->slots[i].arena);
	free((*window)->certificates);
	free((*window)->overlays);
	free((*window)->joined);
	free(*window);
	*window = NULL;
}

const struct mrv_sensor *window_sensor(const struct window *window)
{
	return window->sensor;
}

size_t window_sensor_index(const struct window *window)
{
	return window->sensor_index;
}

int64_t window_systematic_ppm(const struct window *window)
{
	return window->systematic_ppm;
}

int64_t window_random_ppm(const struct window *window)
{
	return window->sensor->random_ppm;
}

int64_t window_step_max_us(const struct window *window)
{
	return window->sensor->sampling_period_us / 1000 * window->the_case->methodology->data.step_milli;
}

/* ---- from stored readings to samples ---- */

/* The certificate in force at `time_us`: the one that began last; the later record where two began at once. */
static const struct certificate *in_force(const struct window *window, int64_t time_us)
{
	const struct certificate *best = NULL;
	for (size_t i = 0; i < window->certificate_count; i++) {
		const struct mrv_calibration *row = window->certificates[i].row;
		if (row->valid_from_us > time_us ||
			(row->valid_until_us != FIELD_ABSENT && row->valid_until_us <= time_us))
			continue;
		if (!best || row->valid_from_us > best->row->valid_from_us ||
			(row->valid_from_us == best->row->valid_from_us && row->position > best->row->position))
			best = &window->certificates[i];
	}
	return best;
}

/* Drift that the next certificate found: it re-prices the hours back to the last good calibration, which is the certificate
 * before it. */
static double drift_at(const struct window *window, int64_t time_us)
{
	const struct certificate *next = NULL;
	for (size_t i = 0; i < window->certificate_count; i++) {
		const struct certificate *certificate = &window->certificates[i];
		if (certificate->row->performed_us <= time_us)
			continue;
		if (!next || certificate->row->performed_us < next->row->performed_us ||
			(certificate->row->performed_us == next->row->performed_us &&
				certificate->row->position > next->row->position))
			next = certificate;
	}
	return next ? next->drift : 0;
}

static bool is_overlaid(const struct window *window, int64_t time_us)
{
	for (size_t i = 0; i < window->overlay_count; i++)
		if (window->overlays[i]->from_us <= time_us && time_us < window->overlays[i]->to_us)
			return true;
	return false;
}

static bool counts(const struct window *window, uint8_t quality)
{
	const struct data_rules *rules = &window->the_case->methodology->data;
	return quality == SERIES_GOOD || (quality == SERIES_STALE && rules->stale == QUALITY_COUNTS) ||
	       (quality == SERIES_MANUAL && rules->manual == QUALITY_COUNTS);
}

/* Calibrates one reading; false where it does not count. */
static bool convert(const struct window *window, const struct series_point *point, struct sample *ret_sample)
{
	const struct certificate *certificate = NULL;
	double value = point->value;
	if (!counts(window, point->quality) || is_overlaid(window, point->time_us))
		return false;
	if (window->certificate_count) {
		certificate = in_force(window, point->time_us);
		double drift = drift_at(window, point->time_us);
		/* between two certificates without one in force: OUT_OF_CALIBRATION */
		if (!certificate && point->time_us >= window->first_valid_us)
			return false;
		if (certificate)
			value = (value + certificate->offset) * certificate->factor;
		if (!(1 + drift > 0.1))
			return false;
		value /= 1 + drift;
	}
	if (!certificate && window->the_case->methodology->data.calibration_required)
		return false;
	value = value * window->unit.factor + window->unit.offset;
	if (window->credit && window->input->cutoff_base > 0 && value < window->input->cutoff_base)
		value = 0;
	*ret_sample = (struct sample){.time_us = point->time_us, .value = value};
	return true;
}

/* A sensor whose uncertainty is above the methodology's limit measures nothing that can be credited. */
static bool too_uncertain(const struct window *window)
{
	int64_t most = window->the_case->methodology->uncertainty.sensor_max_ppm;
	return window->credit && (window->systematic_ppm > most || window->sensor->random_ppm > most);
}

static enum err load(struct window *window, struct slot *slot, int64_t hour_us, struct err_info *info)
{
	struct mrv_hour hour = {0};
	struct series_point *points = NULL;
	size_t count = 0;
	arena_reset(slot->arena);
	slot->count = 0;
	slot->hour_us = hour_us;
	enum err err = window->source->hour(window->source->context, window->sensor, hour_us, slot->arena, &hour, info);
	if (err || hour.revision == 0)
		return err;
	reads_add(window->reads, window->sensor_index, hour_us, &hour);
	err = series_decode(hour.columns, hour.columns_size, HOUR_POINTS_MAX, slot->arena, &points, &count);
	if (err)
		return err_set(info, err, "", "the columns of sensor %.60s cannot be read", window->sensor->tag);
	slot->samples = ARENA_ARRAY(slot->arena, struct sample, count ? count : 1);
	if (!slot->samples)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for an hour of readings");
	if (too_uncertain(window))
		return ERR_OK;
	int64_t last_us = INT64_MIN;
	for (size_t i = 0; i < count; i++) {
		if (points[i].time_us < hour_us || points[i].time_us >= hour_us + CLOCK_US_PER_HOUR ||
			points[i].time_us <= last_us)
			continue;
		last_us = points[i].time_us;
		if (convert(window, &points[i], &slot->samples[slot->count]))
			slot->count++;
	}
	return ERR_OK;
}

static struct slot *find_slot(struct window *window, int64_t hour_us)
{
	for (int i = 0; i < SLOTS; i++)
		if (window->slots[i].hour_us == hour_us)
			return &window->slots[i];
	return NULL;
}

/* A slot that none of the three hours uses. */
static struct slot *spare_slot(struct window *window, int64_t hour_us)
{
	for (int i = 0; i < SLOTS; i++) {
		int64_t held = window->slots[i].hour_us;
		if (held == INT64_MIN || held < hour_us - CLOCK_US_PER_HOUR || held > hour_us + CLOCK_US_PER_HOUR)
			return &window->slots[i];
	}
	return NULL;
}

static enum err join(struct window *window, int64_t hour_us, struct err_info *info)
{
	window->joined_count = 0;
	for (int64_t at = hour_us - CLOCK_US_PER_HOUR; at <= hour_us + CLOCK_US_PER_HOUR; at += CLOCK_US_PER_HOUR) {
		const struct slot *slot = find_slot(window, at);
		if (!slot || slot->count == 0)
			continue;
		if (window->joined_count + slot->count > window->joined_capacity) {
			size_t capacity = (window->joined_count + slot->count) * 2;
			struct sample *joined = realloc(window->joined, capacity * sizeof *joined);
			if (!joined)
				return err_set(info, ERR_NO_MEMORY, "", "no memory for an hour of readings");
			window->joined = joined;
			window->joined_capacity = capacity;
		}
		memcpy(window->joined + window->joined_count, slot->samples, slot->count * sizeof *slot->samples);
		window->joined_count += slot->count;
	}
	return ERR_OK;
}

enum err window_seek(struct window *window, int64_t hour_us, struct err_info *info)
{
	for (int64_t at = hour_us - CLOCK_US_PER_HOUR; at <= hour_us + CLOCK_US_PER_HOUR; at += CLOCK_US_PER_HOUR) {
		if (find_slot(window, at))
			continue;
		enum err err = load(window, spare_slot(window, hour_us), at, info);
		if (err)
			return err;
	}
	return join(window, hour_us, info);
}

const struct sample *window_samples(const struct window *window, size_t *ret_count)
{
	*ret_count = window->joined_count;
	return window->joined;
}
