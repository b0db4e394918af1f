/* The rows of configuration as tables: fields, ranges, words, collections, quantities. JSON, storage, messages and the API
 * reference are made from them. Constant; any thread. */
#include <string.h>

#include "parts.h"

#define YEARS_US(n) (INT64_C(31557600000000) * (n))

const char *const unit_states[] = {"planned", "operating", "paused", "retired", NULL};
const char *const metering_roles[] = {"captured", "compressed", "injected", "energy", "loss", "leak", "operating",
	"material", "ambient", "other", NULL};
const char *const point_states[] = {"active", "retired", NULL};
const char *const sensor_states[] = {"active", "retired", NULL};

const struct quantity quantities[] = {
	{"mass_flow", "mass/time", "mass per time"},
	{"volume_flow", "volume/time", "volume per time at operating conditions"},
	{"standard_volume_flow", "standard-volume/time", "gas volume per time at standard or normal conditions"},
	{"molar_flow", "amount/time", "amount of substance per time"},
	{"mass", "mass", "mass, also of a counter"},
	{"volume", "volume", "volume, also of a counter"},
	{"standard_volume", "standard-volume", "gas volume at standard or normal conditions"},
	{"amount", "amount", "amount of substance"},
	{"mole_fraction", "1", "amount of a substance in a mixture"},
	{"mass_fraction", "1", "mass of a substance in a mixture"},
	{"volume_fraction", "1", "volume of a substance in a mixture"},
	{"mass_concentration", "mass/volume", "mass of a substance in a volume"},
	{"molar_concentration", "amount/volume", "amount of a substance in a volume"},
	{"density", "mass/volume", "mass in a volume"},
	{"temperature", "temperature", "temperature"},
	{"temperature_difference", "temperature", "difference of two temperatures; not in Cel"},
	{"pressure", "pressure", "pressure"},
	{"relative_humidity", "1", "relative humidity"},
	{"power", "power", "electrical or thermal power"},
	{"energy", "energy", "energy, also of a counter"},
	{"time", "time", "a duration, also of a counter"},
	{"state", "1", "an operating state; 0 is off"},
	{"valve_position", "1", "opening of a valve"},
	{"level_fraction", "1", "filling of a vessel"},
	{"level", "length", "height of a liquid"},
	{"loading", "1", "amount of CO2 per amount of sorbent"},
	{"ratio", "1", "ratio of two like quantities"},
	{"acidity", "acidity", "pH"},
	{"speed", "speed", "speed of a gas, a liquid or the wind"},
	{"rotation", "frequency", "revolutions per time"},
	{"frequency", "frequency", "cycles per time"},
	{"voltage", "voltage", "voltage"},
	{"current", "current", "electrical current"},
	{"conductivity", "conductivity", "electrical conductivity"},
	{"residual", "", "difference from a mean, a trend or a model"},
	{"other", "", "anything else; never quantified"},
	{NULL, NULL, NULL},
};

const struct quantity *quantity_find(const char *name)
{
	for (const struct quantity *row = quantities; row->name; row++)
		if (strcmp(row->name, name) == 0)
			return row;
	return NULL;
}

#define ROW_HEAD(type, noun)                                                                                  \
	FIELD(struct type, id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "Id of the " noun),                 \
		FIELD(struct type, org_id, FIELD_ID, .flags = FIELD_FIXED,                                    \
			.doc = "Organisation that the " noun " belongs to; the caller's own where left out"), \
		FIELD(struct type, version, FIELD_INT, .flags = FIELD_READ_ONLY, .min = 1, .max = INT64_MAX,  \
			.doc = "Rises by one with each change; the ETag")

#define ROW_TIMES(type)                                                                               \
	FIELD_AS(struct type, created_us, "created_at", FIELD_TIME, .flags = FIELD_READ_ONLY,         \
		.doc = "When it was created"),                                                        \
		FIELD_AS(struct type, updated_us, "updated_at", FIELD_TIME, .flags = FIELD_READ_ONLY, \
			.doc = "When it last changed")

const struct field unit_fields[] = {
	ROW_HEAD(unit, "unit"),
	FIELD(struct unit, slug, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40,
		.doc = "Name in topics: a-z, 0-9 and hyphens; unique within the organisation"),
	FIELD(struct unit, code, FIELD_TEXT, .flags = FIELD_REQUIRED | FIELD_FIXED, .min = 2, .max = 8,
		.doc = "Code in serial numbers: A-Z and 0-9; unique"),
	FIELD(struct unit, name, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 100, .doc = "Name for people"),
	FIELD(struct unit, country, FIELD_TEXT, .flags = FIELD_REQUIRED | FIELD_FIXED, .min = 2, .max = 2,
		.doc = "Country where it stands, ISO 3166-1 alpha-2"),
	FIELD(struct unit, latitude_deg, FIELD_REAL, .min_real = -90, .max_real = 90, .unit = "deg",
		.doc = "Latitude, WGS 84"),
	FIELD(struct unit, longitude_deg, FIELD_REAL, .min_real = -180, .max_real = 180, .unit = "deg",
		.doc = "Longitude, WGS 84"),
	FIELD(struct unit, nameplate_kg_per_hour, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = 100000000,
		.unit = "kg/h", .doc = "CO2 that it can capture at most"),
	FIELD(struct unit, nameplate_margin_ppm, FIELD_INT, .min = 1000000, .max = 1500000, .unit = "ppm",
		.doc = "Captured CO2 above nameplate × this is held; 1050000 where left out"),
	FIELD(struct unit, state, FIELD_ENUM, .names = unit_states,
		.doc = "planned where left out; while planned, the process graph may be incomplete"),
	ROW_TIMES(unit),
	FIELD_END,
};

const struct field metering_point_fields[] = {
	ROW_HEAD(metering_point, "metering point"),
	FIELD(struct metering_point, unit_id, FIELD_ID, .flags = FIELD_REQUIRED | FIELD_FIXED, .doc = "Unit"),
	FIELD(struct metering_point, code, FIELD_TEXT, .flags = FIELD_REQUIRED | FIELD_FIXED, .min = 1, .max = 20,
		.doc = "A-Z, 0-9 and hyphens; unique within the unit"),
	FIELD(struct metering_point, name, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 100,
		.doc = "Name for people"),
	FIELD(struct metering_point, role, FIELD_ENUM, .flags = FIELD_REQUIRED | FIELD_FIXED, .names = metering_roles,
		.doc = "What is metered here"),
	FIELD(struct metering_point, claimable, FIELD_BOOL, .flags = FIELD_FIXED,
		.doc = "Its hours back credits; exactly one point on each path of the process is claimable"),
	FIELD(struct metering_point, share_ppm, FIELD_INT, .min = 0, .max = 1000000, .unit = "ppm",
		.doc = "Share of a shared meter that this unit bears; 1000000 where left out"),
	FIELD(struct metering_point, nameplate_per_hour, FIELD_INT, .min = 0, .max = INT64_C(1000000000000),
		.doc = "The most that an hour can cost (kg of a loss or leak, Wh of energy); counted where data is "
		       "missing"),
	FIELD(struct metering_point, downstream, FIELD_TEXTS, .max = 50,
		.doc = "Codes of the next points of the process"),
	FIELD(struct metering_point, state, FIELD_ENUM, .names = point_states, .doc = "active where left out"),
	ROW_TIMES(metering_point),
	FIELD_END,
};

const struct field sensor_fields[] = {
	ROW_HEAD(sensor, "sensor"),
	FIELD(struct sensor, unit_id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "Unit of its metering point"),
	FIELD(struct sensor, metering_point_id, FIELD_ID, .flags = FIELD_REQUIRED | FIELD_FIXED,
		.doc = "Metering point"),
	FIELD(struct sensor, tag, FIELD_TEXT, .flags = FIELD_REQUIRED | FIELD_FIXED, .min = 1, .max = 100,
		.doc = "Name in payloads; unique within the unit"),
	FIELD(struct sensor, name, FIELD_TEXT, .min = 1, .max = 100, .doc = "Name for people; the tag where left out"),
	FIELD(struct sensor, quantity, FIELD_TEXT, .flags = FIELD_REQUIRED | FIELD_FIXED, .min = 1, .max = 40,
		.doc = "What is measured: mass_flow, mole_fraction, power, energy, temperature, pressure, state, …, "
		       "other"),
	FIELD(struct sensor, unit, FIELD_TEXT, .flags = FIELD_REQUIRED | FIELD_FIXED, .min = 1, .max = 20,
		.doc = "UCUM code of the unit of its readings, of the quantity's dimension"),
	FIELD(struct sensor, sampling_period_us, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1000,
		.max = CLOCK_US_PER_DAY, .unit = "us",
		.doc = "Time between two readings; three of them missed are a gap"),
	FIELD(struct sensor, range_low, FIELD_REAL, .flags = FIELD_REQUIRED, .doc = "Readings below are quarantined"),
	FIELD(struct sensor, range_high, FIELD_REAL, .flags = FIELD_REQUIRED, .doc = "Readings above are quarantined"),
	FIELD(struct sensor, oldest_us, FIELD_INT, .min = CLOCK_US_PER_HOUR, .max = YEARS_US(100), .unit = "us",
		.doc = "Readings older than this against the clock are quarantined; 31 days where left out"),
	FIELD(struct sensor, newest_us, FIELD_INT, .min = 0, .max = CLOCK_US_PER_DAY, .unit = "us",
		.doc = "Readings further than this ahead of the clock are quarantined; 5 minutes where left out"),
	FIELD(struct sensor, lateness_us, FIELD_INT, .min = 0, .max = CLOCK_US_PER_DAY, .unit = "us",
		.doc = "An hour closes when its end lies this far behind the newest reading; 2 minutes where left out"),
	FIELD(struct sensor, stale_after_us, FIELD_INT, .min = 0, .max = YEARS_US(1), .unit = "us",
		.doc = "A value unchanged for longer is stale; 0, as where left out: never"),
	FIELD(struct sensor, systematic_ppm, FIELD_INT, .min = 0, .max = 1000000, .unit = "ppm",
		.doc = "Relative standard uncertainty that does not shrink with the number of readings; 0 where left "
		       "out"),
	FIELD(struct sensor, random_ppm, FIELD_INT, .min = 0, .max = 1000000, .unit = "ppm",
		.doc = "Relative standard uncertainty of one reading; 0 where left out"),
	FIELD(struct sensor, primary, FIELD_BOOL,
		.doc = "The one sensor of its point and quantity that quantification reads; others are redundant"),
	FIELD(struct sensor, manufacturer, FIELD_TEXT, .min = 1, .max = 100,
		.doc = "Manufacturer; given with the serial number"),
	FIELD(struct sensor, serial_number, FIELD_TEXT, .min = 1, .max = 100,
		.doc = "Serial number; unique for the manufacturer"),
	FIELD(struct sensor, raw_retention_us, FIELD_INT, .min = 0, .max = YEARS_US(100), .unit = "us",
		.doc = "Raw readings older than this are dropped unless a period cites them; 0, as where left out: "
		       "kept"),
	FIELD(struct sensor, state, FIELD_ENUM, .names = sensor_states, .doc = "active where left out"),
	ROW_TIMES(sensor),
	FIELD_END,
};

const struct field calibration_fields[] = {
	ROW_HEAD(calibration, "calibration"),
	FIELD(struct calibration, sensor_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Sensor"),
	FIELD(struct calibration, certificate, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 100,
		.doc = "Number of the certificate"),
	FIELD(struct calibration, laboratory, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 200,
		.doc = "Laboratory"),
	FIELD_AS(struct calibration, performed_us, "performed_at", FIELD_TIME, .flags = FIELD_REQUIRED,
		.doc = "When it was performed"),
	FIELD_AS(struct calibration, valid_from_us, "valid_from", FIELD_TIME, .flags = FIELD_REQUIRED,
		.doc = "In force from"),
	FIELD_AS(struct calibration, valid_until_us, "valid_until", FIELD_TIME, .flags = FIELD_REQUIRED,
		.doc = "In force until (exclusive)"),
	FIELD(struct calibration, factor, FIELD_DECIMAL, .doc = "true = (raw + offset) × factor; 1 where left out"),
	FIELD(struct calibration, offset, FIELD_DECIMAL, .doc = "In the sensor's unit; 0 where left out"),
	FIELD(struct calibration, as_found_drift, FIELD_DECIMAL,
		.doc = "(as found − true) ÷ true, −0.5 to 0.5; re-prices the hours back to the last good calibration; "
		       "0 where left out"),
	FIELD(struct calibration, uncertainty_ppm, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = 1000000,
		.unit = "ppm", .doc = "Relative standard uncertainty (k = 1)"),
	FIELD(struct calibration, document_hash, FIELD_HASH, .doc = "SHA-256 of the certificate's document"),
	FIELD(struct calibration, position, FIELD_INT, .flags = FIELD_READ_ONLY, .min = 0, .max = INT64_MAX,
		.doc = "Position of its record in the audit log"),
	FIELD_AS(struct calibration, created_us, "created_at", FIELD_TIME, .flags = FIELD_READ_ONLY,
		.doc = "When it was entered"),
	FIELD_END,
};

const struct field overlay_fields[] = {
	ROW_HEAD(overlay, "overlay"),
	FIELD(struct overlay, sensor_id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "Sensor"),
	FIELD_AS(struct overlay, from_us, "from", FIELD_TIME, .flags = FIELD_REQUIRED,
		.doc = "First moment that it covers"),
	FIELD_AS(struct overlay, to_us, "to", FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "End of it (exclusive)"),
	FIELD(struct overlay, quality, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = series_quality_names,
		.doc = "suspect or out_of_calibration: an overlay can only lower"),
	FIELD(struct overlay, reason, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 500, .doc = "Why"),
	FIELD(struct overlay, model_hash, FIELD_HASH, .doc = "Hash of the model that said so"),
	FIELD(struct overlay, feature_hash, FIELD_HASH, .doc = "Hash of what the model was given"),
	FIELD(struct overlay, position, FIELD_INT, .flags = FIELD_READ_ONLY, .min = 0, .max = INT64_MAX,
		.doc = "Position of its record in the audit log"),
	FIELD_AS(struct overlay, created_us, "created_at", FIELD_TIME, .flags = FIELD_READ_ONLY,
		.doc = "When it was entered"),
	FIELD_END,
};

static const struct field unit_configuration_fields[] = {
	FIELD(struct unit_configuration, unit_id, FIELD_ID, .doc = "Unit"),
	FIELD(struct unit_configuration, version, FIELD_INT, .min = 1, .max = INT64_MAX,
		.doc = "Rises with every change of the unit's points and sensors"),
	FIELD_END,
};

static const struct store_index unit_indexes[] = {
	{"by_org", {"org_id"}, false},
	{"by_slug", {"org_id", "slug"}, true},
	{"by_code", {"code"}, true},
	{0},
};
static const struct store_index metering_point_indexes[] = {
	{"by_org", {"org_id"}, false},
	{"by_unit", {"org_id", "unit_id"}, false},
	{"by_code", {"unit_id", "code"}, true},
	{0},
};
static const struct store_index sensor_indexes[] = {
	{"by_org", {"org_id"}, false},
	{"by_unit", {"org_id", "unit_id"}, false},
	{"by_point", {"org_id", "metering_point_id"}, false},
	{"by_tag", {"unit_id", "tag"}, true},
	{"by_serial_number", {"manufacturer", "serial_number"}, true},
	{0},
};
static const struct store_index calibration_indexes[] = {
	{"by_org", {"org_id"}, false},
	{"by_sensor", {"org_id", "sensor_id", "valid_from"}, false},
	{"by_certificate", {"sensor_id", "certificate"}, true},
	{"by_start", {"sensor_id", "valid_from"}, true},
	{0},
};
static const struct store_index overlay_indexes[] = {
	{"by_org", {"org_id"}, false},
	{"by_sensor", {"org_id", "sensor_id", "from"}, false},
	{0},
};

const struct store_collection units_collection = {.name = "units",
	.class = STORE_VALUE,
	.fields = unit_fields,
	.row_size = sizeof(struct unit),
	.key = {"id"},
	.indexes = unit_indexes,
	.shard_key = "org_id",
	.watched = true,
	.doc = "Capture units"};
const struct store_collection metering_points_collection = {.name = "metering_points",
	.class = STORE_VALUE,
	.fields = metering_point_fields,
	.row_size = sizeof(struct metering_point),
	.key = {"id"},
	.indexes = metering_point_indexes,
	.shard_key = "org_id",
	.watched = true,
	.doc = "Metering points and the process graph"};
const struct store_collection sensors_collection = {.name = "sensors",
	.class = STORE_VALUE,
	.fields = sensor_fields,
	.row_size = sizeof(struct sensor),
	.key = {"id"},
	.indexes = sensor_indexes,
	.shard_key = "org_id",
	.watched = true,
	.doc = "Sensors with their limits"};
const struct store_collection calibrations_collection = {.name = "calibrations",
	.class = STORE_VALUE,
	.fields = calibration_fields,
	.row_size = sizeof(struct calibration),
	.key = {"id"},
	.indexes = calibration_indexes,
	.shard_key = "org_id",
	.watched = true,
	.doc = "Calibration certificates"};
const struct store_collection overlays_collection = {.name = "overlays",
	.class = STORE_VALUE,
	.fields = overlay_fields,
	.row_size = sizeof(struct overlay),
	.key = {"id"},
	.indexes = overlay_indexes,
	.shard_key = "org_id",
	.watched = true,
	.doc = "Later changes of quality, which only lower"};
const struct store_collection unit_configurations_collection = {.name = "unit_configurations",
	.class = STORE_VALUE,
	.fields = unit_configuration_fields,
	.row_size = sizeof(struct unit_configuration),
	.key = {"unit_id"},
	.shard_key = "unit_id",
	.doc = "One counter a unit that makes checks over several rows safe against concurrent changes"};
