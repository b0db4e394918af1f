/* Units, metering points, sensors, calibrations and overlays over a real store and audit log in a folder of their own: the
 * rules, optimistic concurrency, rules over several rows under concurrency, and the directory that follows. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <ftw.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buckets.h"
#include "parts.h"

static const struct store_collection *const own_collections[] = {&units_collection, &metering_points_collection,
	&sensors_collection, &calibrations_collection, &overlays_collection, &unit_configurations_collection,
	&pins_collection, NULL};

struct bench {
	char folder[64];
	struct store *store;
	struct sensing sensing;
	struct arena *arena;
	struct err_info info;
};

static const struct audit_actor actor = {.name = "test"};
static const struct id org_a = {{1}}, org_b = {{2}};

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	const struct store_collection *all[32];
	char uri[80];
	struct store_options options = {.uri = uri, .collections = all, .migrations_folder = "migrations"};
	uint8_t seed[32] = {7};
	struct sign_public public;
	struct sign_secret secret;
	struct audit_options audit = {.node = "test", .checkpoint_key = &secret, .checkpoint_us = CLOCK_US_PER_HOUR};
	size_t count = 0;

	for (const struct store_collection *const *row = own_collections; *row; row++)
		all[count++] = *row;
	for (const struct store_collection *const *row = audit_collections; *row; row++)
		all[count++] = *row;
	all[count] = NULL;
	assert_int_equal(crypto_start(), ERR_OK);
	sign_keypair_from_seed(seed, &public, &secret);
	strcpy(bench->folder, "/tmp/carbond-sensing.XXXXXX");
	assert_non_null(mkdtemp(bench->folder));
	snprintf(uri, sizeof(uri), "sqlite:%s", bench->folder);
	assert_int_equal(store_open(&options, &bench->store, &bench->info), ERR_OK);
	audit.store = bench->store;
	assert_int_equal(audit_start(&audit, &bench->sensing.audit, &bench->info), ERR_OK);
	bench->sensing.store = bench->store;
	pthread_mutex_init(&bench->sensing.directory_change, NULL);
	pthread_mutex_init(&bench->sensing.directory_swap, NULL);
	assert_int_equal(directory_load(&bench->sensing, &bench->info), ERR_OK);
	bench->arena = arena_new(0);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	directory_unload(&bench->sensing);
	pthread_mutex_destroy(&bench->sensing.directory_change);
	pthread_mutex_destroy(&bench->sensing.directory_swap);
	audit_stop(&bench->sensing.audit);
	store_close(&bench->store);
	arena_free(&bench->arena);
	nftw(bench->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(bench);
	return 0;
}

/* ---- rows as a client would send them ---- */

static struct unit unit_row(const char *slug, const char *code)
{
	struct unit row;

	field_clear(unit_fields, &row);
	row.org_id = org_a;
	row.slug = slug;
	row.code = code;
	row.name = "A plant";
	row.country = "IS";
	row.nameplate_kg_per_hour = 500;
	return row;
}

static struct metering_point point_row(struct id unit, const char *code, int role, bool claimable)
{
	struct metering_point row;

	field_clear(metering_point_fields, &row);
	row.unit_id = unit;
	row.code = code;
	row.name = code;
	row.role = role;
	row.claimable = claimable;
	return row;
}

static struct sensor sensor_row(struct id point, const char *tag)
{
	struct sensor row;

	field_clear(sensor_fields, &row);
	row.metering_point_id = point;
	row.tag = tag;
	row.quantity = "mass_flow";
	row.unit = "kg/h";
	row.sampling_period_us = CLOCK_US_PER_SECOND;
	row.range_low = 0;
	row.range_high = 1000;
	return row;
}

static struct unit make_unit(struct bench *bench, const char *slug, const char *code)
{
	struct unit row = unit_row(slug, code);

	assert_int_equal(sensing_unit_create(&bench->sensing, &actor, &row, &bench->info), ERR_OK);
	return row;
}

static struct metering_point make_point(struct bench *bench, struct id unit, const char *code, bool claimable)
{
	struct metering_point row = point_row(unit, code, 0, claimable);

	assert_int_equal(sensing_point_create(&bench->sensing, &actor, &row, &bench->info), ERR_OK);
	return row;
}

static struct sensor make_sensor(struct bench *bench, struct id point, const char *tag)
{
	struct sensor row = sensor_row(point, tag);

	assert_int_equal(sensing_sensor_create(&bench->sensing, &actor, &row, &bench->info), ERR_OK);
	return row;
}

static size_t audit_count(struct bench *bench)
{
	struct audit_query query = {.before_position = INT64_MAX, .most = 1000};
	json_t *records = NULL;
	int64_t next;

	assert_int_equal(audit_find(bench->sensing.audit, &query, bench->arena, &records, &next, &bench->info), ERR_OK);
	return json_array_size(records);
}

/* ---- units ---- */

static void a_unit_is_created_read_changed_and_deleted(void **state)
{
	struct bench *bench = *state;
	struct unit row = make_unit(bench, "plant-1", "PL1"), read;

	assert_int_equal(row.version, 1);
	assert_int_equal(row.state, UNIT_PLANNED);
	assert_int_equal(row.nameplate_margin_ppm, 1050000);
	assert_int_equal(unit_get(&bench->sensing, row.id, bench->arena, &read, "", &bench->info), ERR_OK);
	assert_string_equal(read.slug, "plant-1");
	assert_true(isnan(read.latitude_deg));
	read.name = "Renamed";
	assert_int_equal(sensing_unit_update(&bench->sensing, &actor, &read, 1, &bench->info), ERR_OK);
	assert_int_equal(read.version, 2);
	assert_int_equal(sensing_unit_delete(&bench->sensing, &actor, row.id, 1, &bench->info), ERR_CONDITION_FAILED);
	assert_int_equal(sensing_unit_delete(&bench->sensing, &actor, row.id, 2, &bench->info), ERR_OK);
	assert_int_equal(unit_get(&bench->sensing, row.id, bench->arena, &read, "", &bench->info), ERR_NOT_FOUND);
	assert_int_equal(audit_count(bench), 3);
}

static void a_units_fields_are_checked(void **state)
{
	struct bench *bench = *state;
	static const struct {
		const char *slug, *code, *country, *pointer;
	} wrong[] = {{"Plant", "PL1", "IS", "/slug"}, {"plant 1", "PL1", "IS", "/slug"},
		{"plant", "pl1", "IS", "/code"}, {"plant", "PL-1", "IS", "/code"}, {"plant", "PL1", "XX", "/country"}};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct unit row = unit_row(wrong[i].slug, wrong[i].code);
		row.country = wrong[i].country;
		assert_int_equal(sensing_unit_create(&bench->sensing, &actor, &row, &bench->info), ERR_INVALID_FIELD);
		assert_string_equal(bench->info.pointer, wrong[i].pointer);
	}
	assert_int_equal(audit_count(bench), 0);
}

static void slugs_are_unique_in_an_organisation_and_codes_everywhere(void **state)
{
	struct bench *bench = *state;
	struct unit row;

	make_unit(bench, "plant", "PL1");
	row = unit_row("plant", "PL2");
	assert_int_equal(sensing_unit_create(&bench->sensing, &actor, &row, &bench->info), ERR_DUPLICATE);
	row.org_id = org_b;
	row.id = (struct id){{0}};
	assert_int_equal(sensing_unit_create(&bench->sensing, &actor, &row, &bench->info), ERR_OK);
	row = unit_row("other", "PL1");
	row.org_id = org_b;
	assert_int_equal(sensing_unit_create(&bench->sensing, &actor, &row, &bench->info), ERR_DUPLICATE);
}

static void what_is_fixed_stays(void **state)
{
	struct bench *bench = *state;
	struct unit row = make_unit(bench, "plant", "PL1");

	row.code = "PL9";
	assert_int_equal(sensing_unit_update(&bench->sensing, &actor, &row, 1, &bench->info), ERR_READ_ONLY_FIELD);
	assert_string_equal(bench->info.pointer, "/code");
	row.code = "PL1";
	row.org_id = org_b;
	assert_int_equal(sensing_unit_update(&bench->sensing, &actor, &row, 1, &bench->info), ERR_READ_ONLY_FIELD);
}

static void states_follow_the_table(void **state)
{
	struct bench *bench = *state;
	struct unit row = make_unit(bench, "plant", "PL1");

	row.state = 2;
	assert_int_equal(
		sensing_unit_update(&bench->sensing, &actor, &row, FIELD_ABSENT, &bench->info), ERR_INVALID_FIELD);
	row.state = 1;
	assert_int_equal(sensing_unit_update(&bench->sensing, &actor, &row, FIELD_ABSENT, &bench->info), ERR_OK);
	row.state = 0;
	assert_int_equal(
		sensing_unit_update(&bench->sensing, &actor, &row, FIELD_ABSENT, &bench->info), ERR_INVALID_FIELD);
	row.state = UNIT_RETIRED;
	assert_int_equal(sensing_unit_update(&bench->sensing, &actor, &row, FIELD_ABSENT, &bench->info), ERR_OK);
	row.state = 1;
	assert_int_equal(
		sensing_unit_update(&bench->sensing, &actor, &row, FIELD_ABSENT, &bench->info), ERR_INVALID_FIELD);
}

/* ---- the process graph, in the store ---- */

static void an_operating_unit_keeps_one_claimable_point_on_each_path(void **state)
{
	struct bench *bench = *state;
	struct unit unit = make_unit(bench, "plant", "PL1");
	const char *to_out[] = {"OUT"};
	struct metering_point out = point_row(unit.id, "OUT", 2, false), in = point_row(unit.id, "IN", 0, false),
			      second;

	assert_int_equal(sensing_point_create(&bench->sensing, &actor, &out, &bench->info), ERR_OK);
	in.downstream = (struct field_list){to_out, 1};
	assert_int_equal(sensing_point_create(&bench->sensing, &actor, &in, &bench->info), ERR_OK);
	unit.state = 1;
	assert_int_equal(
		sensing_unit_update(&bench->sensing, &actor, &unit, FIELD_ABSENT, &bench->info), ERR_INVALID_FIELD);
	assert_non_null(strstr(bench->info.detail, "IN → OUT"));
	assert_int_equal(sensing_point_delete(&bench->sensing, &actor, in.id, 1, &bench->info), ERR_OK);
	in = point_row(unit.id, "IN", 0, true);
	in.downstream = (struct field_list){to_out, 1};
	assert_int_equal(sensing_point_create(&bench->sensing, &actor, &in, &bench->info), ERR_OK);
	assert_int_equal(sensing_unit_update(&bench->sensing, &actor, &unit, FIELD_ABSENT, &bench->info), ERR_OK);
	/* the point that makes the path whole cannot go, nor a second one come */
	assert_int_equal(sensing_point_delete(&bench->sensing, &actor, out.id, 1, &bench->info), ERR_INVALID_FIELD);
	second = point_row(unit.id, "SECOND", 0, true);
	second.downstream = (struct field_list){(const char *[]){"IN"}, 1};
	assert_int_equal(sensing_point_create(&bench->sensing, &actor, &second, &bench->info), ERR_INVALID_FIELD);
	assert_non_null(strstr(bench->info.detail, "SECOND → IN → OUT"));
}

static void only_points_that_carry_co2_are_claimable(void **state)
{
	struct bench *bench = *state;
	struct unit unit = make_unit(bench, "plant", "PL1");
	struct metering_point row = point_row(unit.id, "POWER", 3, true);

	assert_int_equal(sensing_point_create(&bench->sensing, &actor, &row, &bench->info), ERR_INVALID_FIELD);
	assert_string_equal(bench->info.pointer, "/claimable");
}

static void a_claimable_point_stays_claimable(void **state)
{
	struct bench *bench = *state;
	struct unit unit = make_unit(bench, "plant", "PL1");
	struct metering_point row = make_point(bench, unit.id, "CAP", true);

	row.claimable = false;
	assert_int_equal(sensing_point_update(&bench->sensing, &actor, &row, 1, &bench->info), ERR_READ_ONLY_FIELD);
}

/* Two threads each add a claimable point upstream of the other's: alone each is right, together they break the rule, and no
 * row that either writes is the other's. */
struct rival {
	struct bench *bench;
	struct metering_point row;
	enum err err;
	struct err_info info;
	atomic_int *gate;
};

static void *add_edge(void *argument)
{
	struct rival *rival = argument;

	atomic_fetch_sub(rival->gate, 1);
	while (atomic_load(rival->gate) > 0)
		;
	rival->err = sensing_point_update(&rival->bench->sensing, &actor, &rival->row, 1, &rival->info);
	return NULL;
}

static void rules_over_several_rows_hold_under_concurrency(void **state)
{
	struct bench *bench = *state;
	static const char *const to_a[] = {"A"}, *const to_b[] = {"B"};

	for (int round = 0; round < 20; round++) {
		char slug[16], code[16];
		struct unit unit;
		struct rival rivals[2];
		pthread_t threads[2];
		atomic_int gate = 2;
		snprintf(slug, sizeof(slug), "u%d", round);
		snprintf(code, sizeof(code), "U%d", round);
		unit = make_unit(bench, slug, code);
		rivals[0] =
			(struct rival){.bench = bench, .row = make_point(bench, unit.id, "A", false), .gate = &gate};
		rivals[1] =
			(struct rival){.bench = bench, .row = make_point(bench, unit.id, "B", false), .gate = &gate};
		rivals[0].row.downstream = (struct field_list){(void *)(uintptr_t)to_b, 1};
		rivals[1].row.downstream = (struct field_list){(void *)(uintptr_t)to_a, 1};
		for (int i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, add_edge, &rivals[i]), 0);
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		/* A → B and B → A: one wins, the other sees a cycle */
		assert_int_equal((rivals[0].err == ERR_OK) + (rivals[1].err == ERR_OK), 1);
		assert_int_equal(rivals[0].err == ERR_OK ? rivals[1].err : rivals[0].err, ERR_INVALID_FIELD);
	}
}

/* ---- If-Match ---- */

struct renaming {
	struct bench *bench;
	struct unit row;
	enum err err;
	struct err_info info;
};

static void *rename_unit(void *argument)
{
	struct renaming *renaming = argument;

	renaming->err = sensing_unit_update(&renaming->bench->sensing, &actor, &renaming->row, 1, &renaming->info);
	return NULL;
}

static void of_eight_changes_of_one_version_one_wins(void **state)
{
	struct bench *bench = *state;
	struct renaming renamings[8];
	pthread_t threads[8];
	struct unit unit = make_unit(bench, "plant", "PL1"), read;
	int won = 0, lost = 0;

	for (int i = 0; i < 8; i++) {
		renamings[i] = (struct renaming){.bench = bench, .row = unit};
		renamings[i].row.nameplate_kg_per_hour = 1000 + i;
		assert_int_equal(pthread_create(&threads[i], NULL, rename_unit, &renamings[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		won += renamings[i].err == ERR_OK;
		lost += renamings[i].err == ERR_CONDITION_FAILED;
	}
	assert_int_equal(won, 1);
	assert_int_equal(lost, 7);
	assert_int_equal(unit_get(&bench->sensing, unit.id, bench->arena, &read, "", &bench->info), ERR_OK);
	assert_int_equal(read.version, 2);
	assert_int_equal(audit_count(bench), 2);
}

/* ---- sensors ---- */

static void a_sensor_gets_its_defaults_and_its_unit(void **state)
{
	struct bench *bench = *state;
	struct unit unit = make_unit(bench, "plant", "PL1");
	struct metering_point point = make_point(bench, unit.id, "CAP", true);
	struct sensor row = make_sensor(bench, point.id, "FT-101");

	assert_memory_equal(&row.unit_id, &unit.id, sizeof(struct id));
	assert_memory_equal(&row.org_id, &org_a, sizeof(struct id));
	assert_int_equal(row.lateness_us, 2 * CLOCK_US_PER_MINUTE);
	assert_int_equal(row.newest_us, 5 * CLOCK_US_PER_MINUTE);
	assert_string_equal(row.name, "FT-101");
}

static void a_sensors_fields_are_checked(void **state)
{
	struct bench *bench = *state;
	struct metering_point point = make_point(bench, make_unit(bench, "plant", "PL1").id, "CAP", true);
	struct sensor good = sensor_row(point.id, "FT-101"), row;

#define REFUSED(change, at)                                                                                     \
	do {                                                                                                    \
		row = good;                                                                                     \
		change;                                                                                         \
		assert_int_equal(                                                                               \
			sensing_sensor_create(&bench->sensing, &actor, &row, &bench->info), ERR_INVALID_FIELD); \
		assert_string_equal(bench->info.pointer, at);                                                   \
	} while (0)
	REFUSED(row.unit = "kW", "/unit");    /* another dimension */
	REFUSED(row.unit = "kilos", "/unit"); /* no code */
	REFUSED(row.quantity = "weight", "/quantity");
	REFUSED((row.quantity = "temperature_difference", row.unit = "Cel"), "/unit");
	REFUSED(row.range_low = 1000, "/range_low");
	REFUSED(row.range_high = NAN, "/range_low");
	REFUSED(row.tag = "a\nb", "/tag");
	REFUSED(row.serial_number = "1", "/manufacturer");
	REFUSED(row.manufacturer = "Acme", "/serial_number");
#undef REFUSED
	row = good;
	row.metering_point_id = (struct id){{9}};
	assert_int_equal(sensing_sensor_create(&bench->sensing, &actor, &row, &bench->info), ERR_NOT_FOUND);
	row = good;
	row.org_id = org_b; /* a stranger's metering point is as if it were not there */
	assert_int_equal(sensing_sensor_create(&bench->sensing, &actor, &row, &bench->info), ERR_NOT_FOUND);
}

static void tags_and_serial_numbers_are_unique(void **state)
{
	struct bench *bench = *state;
	struct metering_point one = make_point(bench, make_unit(bench, "one", "ONE").id, "CAP", true);
	struct metering_point two = make_point(bench, make_unit(bench, "two", "TWO").id, "CAP", true);
	struct sensor row = sensor_row(one.id, "FT"), again;

	row.manufacturer = "Acme";
	row.serial_number = "0001";
	assert_int_equal(sensing_sensor_create(&bench->sensing, &actor, &row, &bench->info), ERR_OK);
	again = sensor_row(one.id, "FT");
	assert_int_equal(sensing_sensor_create(&bench->sensing, &actor, &again, &bench->info), ERR_DUPLICATE);
	again = sensor_row(two.id, "FT"); /* another unit may use the tag, but the same device is somewhere else */
	again.manufacturer = "Acme";
	again.serial_number = "0001";
	assert_int_equal(sensing_sensor_create(&bench->sensing, &actor, &again, &bench->info), ERR_DUPLICATE);
	again = sensor_row(two.id, "FT");
	assert_int_equal(sensing_sensor_create(&bench->sensing, &actor, &again, &bench->info), ERR_OK);
	again = sensor_row(two.id, "GT"); /* two sensors without a serial number do not collide */
	assert_int_equal(sensing_sensor_create(&bench->sensing, &actor, &again, &bench->info), ERR_OK);
}

static void a_point_has_one_primary_sensor_of_a_quantity(void **state)
{
	struct bench *bench = *state;
	struct metering_point point = make_point(bench, make_unit(bench, "plant", "PL1").id, "CAP", true);
	struct sensor first = sensor_row(point.id, "FT-1"), second = sensor_row(point.id, "FT-2"), other;

	first.primary = second.primary = true;
	assert_int_equal(sensing_sensor_create(&bench->sensing, &actor, &first, &bench->info), ERR_OK);
	assert_int_equal(sensing_sensor_create(&bench->sensing, &actor, &second, &bench->info), ERR_INVALID_FIELD);
	assert_string_equal(bench->info.pointer, "/primary");
	other = sensor_row(point.id, "AT-1");
	other.primary = true;
	other.quantity = "mole_fraction";
	other.unit = "%";
	assert_int_equal(sensing_sensor_create(&bench->sensing, &actor, &other, &bench->info), ERR_OK);
	first.state = SENSOR_RETIRED;
	assert_int_equal(sensing_sensor_update(&bench->sensing, &actor, &first, 1, &bench->info), ERR_OK);
	assert_int_equal(sensing_sensor_create(&bench->sensing, &actor, &second, &bench->info), ERR_OK);
}

static void what_others_hang_on_is_not_deleted(void **state)
{
	struct bench *bench = *state;
	struct unit unit = make_unit(bench, "plant", "PL1");
	struct metering_point point = make_point(bench, unit.id, "CAP", true);

	make_sensor(bench, point.id, "FT-101");
	assert_int_equal(sensing_unit_delete(&bench->sensing, &actor, unit.id, FIELD_ABSENT, &bench->info), ERR_IN_USE);
	assert_int_equal(
		sensing_point_delete(&bench->sensing, &actor, point.id, FIELD_ABSENT, &bench->info), ERR_IN_USE);
	point.state = POINT_RETIRED;
	assert_int_equal(sensing_point_update(&bench->sensing, &actor, &point, FIELD_ABSENT, &bench->info), ERR_OK);
}

/* ---- calibrations and overlays ---- */

static struct calibration calibration_row(struct id sensor)
{
	struct calibration row;

	field_clear(calibration_fields, &row);
	row.sensor_id = sensor;
	row.certificate = "C-1";
	row.laboratory = "PTB";
	row.performed_us = clock_wall_us() - 10 * CLOCK_US_PER_DAY;
	row.valid_from_us = row.performed_us;
	row.valid_until_us = row.performed_us + 365 * CLOCK_US_PER_DAY;
	row.factor = "1.0025";
	row.uncertainty_ppm = 5000;
	return row;
}

static void a_calibration_carries_its_position(void **state)
{
	struct bench *bench = *state;
	struct metering_point point = make_point(bench, make_unit(bench, "plant", "PL1").id, "CAP", true);
	struct sensor sensor = make_sensor(bench, point.id, "FT");
	struct calibration row = calibration_row(sensor.id), read;

	assert_int_equal(sensing_calibration_create(&bench->sensing, &actor, &row, &bench->info), ERR_OK);
	assert_true(row.position > 0);
	field_clear(calibration_fields, &read);
	read.id = row.id;
	assert_int_equal(store_get(bench->store, &calibrations_collection, &read, bench->arena, &bench->info), ERR_OK);
	assert_int_equal(read.position, row.position);
	assert_string_equal(read.factor, "1.0025");
	assert_string_equal(read.offset, "0");
	assert_memory_equal(&read.org_id, &org_a, sizeof(struct id));
	assert_int_equal(sensing_calibration_delete(&bench->sensing, &actor, row.id, 1, &bench->info), ERR_OK);
}

static void a_calibrations_fields_are_checked(void **state)
{
	struct bench *bench = *state;
	struct metering_point point = make_point(bench, make_unit(bench, "plant", "PL1").id, "CAP", true);
	struct sensor sensor = make_sensor(bench, point.id, "FT");
	struct calibration good = calibration_row(sensor.id), row;

#define REFUSED(change, at)                                                                                          \
	do {                                                                                                         \
		row = good;                                                                                          \
		change;                                                                                              \
		assert_int_equal(                                                                                    \
			sensing_calibration_create(&bench->sensing, &actor, &row, &bench->info), ERR_INVALID_FIELD); \
		assert_string_equal(bench->info.pointer, at);                                                        \
	} while (0)
	REFUSED(row.factor = "100.25", "/factor"); /* percent */
	REFUSED(row.factor = "1,5", "/factor");
	REFUSED(row.factor = "-1", "/factor");
	REFUSED(row.as_found_drift = "2", "/as_found_drift");
	REFUSED(row.valid_from_us = row.performed_us - 1, "/valid_from");
	REFUSED(row.valid_until_us = row.valid_from_us, "/valid_until");
	REFUSED(row.performed_us = clock_wall_us() + 30 * CLOCK_US_PER_DAY, "/performed_at");
#undef REFUSED
}

static void an_overlay_only_lowers(void **state)
{
	struct bench *bench = *state;
	struct metering_point point = make_point(bench, make_unit(bench, "plant", "PL1").id, "CAP", true);
	struct sensor sensor = make_sensor(bench, point.id, "FT");

	for (int quality = SERIES_GOOD; quality < SERIES_QUALITY_COUNT; quality++) {
		struct overlay row;
		bool lowers = quality == SERIES_SUSPECT || quality == SERIES_OUT_OF_CALIBRATION;
		field_clear(overlay_fields, &row);
		row.sensor_id = sensor.id;
		row.from_us = 1000;
		row.to_us = 2000;
		row.quality = quality;
		row.reason = "the filter was wet";
		assert_int_equal(sensing_overlay_create(&bench->sensing, &actor, &row, &bench->info),
			lowers ? ERR_OK : ERR_INVALID_FIELD);
		assert_int_equal(row.position > 0, lowers);
	}
}

/* ---- the directory follows ---- */

static const struct directory_sensor *look_up(const struct directory *directory, struct id unit, const char *tag)
{
	return directory_find_tag(directory, unit, tag, strlen(tag));
}

static void the_directory_follows_each_change(void **state)
{
	struct bench *bench = *state;
	const struct directory *before, *after, *reloaded;
	struct unit unit = make_unit(bench, "plant", "PL1");
	struct metering_point point = make_point(bench, unit.id, "CAP", true);
	struct sensor sensor;
	struct id org, found;
	char org_text[ID_TEXT_SIZE], unit_text[ID_TEXT_SIZE];

	before = sensing_directory_ref(&bench->sensing);
	sensor = make_sensor(bench, point.id, "FT-101");
	after = sensing_directory_ref(&bench->sensing);
	assert_null(look_up(before, unit.id, "FT-101")); /* a picture that is held does not change */
	assert_non_null(look_up(after, unit.id, "FT-101"));
	assert_null(look_up(after, unit.id, "FT-10"));
	assert_null(look_up(after, org_a, "FT-101"));
	assert_false(look_up(after, unit.id, "FT-101")->retired);
	assert_string_equal(directory_find_sensor(after, sensor.id)->unit, "kg/h");
	assert_ptr_equal(directory_sensor_at(after, directory_find_sensor(after, sensor.id)->index),
		directory_find_sensor(after, sensor.id));
	id_text(org_a, org_text);
	id_text(unit.id, unit_text);
	assert_true(directory_find_unit(after, org_text, "plant", &org, &found));
	assert_true(id_equal(found, unit.id));
	assert_true(directory_find_unit(after, org_text, unit_text, &org, &found));
	assert_true(directory_find_unit(after, NULL, unit_text, &org, &found));
	assert_false(directory_find_unit(after, id_text(org_b, org_text), "plant", &org, &found));
	assert_false(directory_find_unit(after, org_text, unit_text, &org, &found));
	sensing_directory_unref(&before);
	sensing_directory_unref(&after);

	unit.slug = "renamed";
	assert_int_equal(sensing_unit_update(&bench->sensing, &actor, &unit, FIELD_ABSENT, &bench->info), ERR_OK);
	point.state = POINT_RETIRED;
	assert_int_equal(sensing_point_update(&bench->sensing, &actor, &point, FIELD_ABSENT, &bench->info), ERR_OK);
	after = sensing_directory_ref(&bench->sensing);
	id_text(org_a, org_text);
	assert_false(directory_find_unit(after, org_text, "plant", &org, &found));
	assert_true(directory_find_unit(after, org_text, "renamed", &org, &found));
	assert_true(look_up(after, unit.id, "FT-101")->retired);
	sensing_directory_unref(&after);

	/* a restart sees the same */
	directory_unload(&bench->sensing);
	assert_int_equal(directory_load(&bench->sensing, &bench->info), ERR_OK);
	reloaded = sensing_directory_ref(&bench->sensing);
	assert_true(directory_find_unit(reloaded, org_text, "renamed", &org, &found));
	assert_true(look_up(reloaded, unit.id, "FT-101")->retired);
	sensing_directory_unref(&reloaded);
}

/* Readings are refused at a retired sensor, at each sensor of a retired point, and at all of a retired unit. */
static void retirement_shows_in_the_directory(void **state)
{
	struct bench *bench = *state;
	struct unit unit = make_unit(bench, "plant", "PL1");
	struct metering_point one = make_point(bench, unit.id, "ONE", true),
			      two = make_point(bench, unit.id, "TWO", true);
	struct sensor a = make_sensor(bench, one.id, "A");
	static const struct {
		const char *tag;
		int retired_from; /* step */
	} sensors[] = {{"A", 1}, {"B", 2}, {"C", 3}};

	make_sensor(bench, one.id, "B");
	make_sensor(bench, two.id, "C");
	for (int step = 0; step < 4; step++) {
		const struct directory *directory;
		if (step == 1) {
			a.state = SENSOR_RETIRED;
			assert_int_equal(sensing_sensor_update(&bench->sensing, &actor, &a, 1, &bench->info), ERR_OK);
		} else if (step == 2) {
			one.state = POINT_RETIRED;
			assert_int_equal(sensing_point_update(&bench->sensing, &actor, &one, 1, &bench->info), ERR_OK);
		} else if (step == 3) {
			unit.state = UNIT_RETIRED;
			assert_int_equal(sensing_unit_update(&bench->sensing, &actor, &unit, 1, &bench->info), ERR_OK);
		}
		directory = sensing_directory_ref(&bench->sensing);
		for (size_t i = 0; i < 3; i++)
			assert_int_equal(
				look_up(directory, unit.id, sensors[i].tag)->retired, step >= sensors[i].retired_from);
		sensing_directory_unref(&directory);
	}
}

/* Readers of the directory while it is swapped: run under the thread sanitizer. */
struct reader {
	struct sensing *sensing;
	struct id unit;
	atomic_bool *done;
	size_t seen;
};

static void *read_directory(void *argument)
{
	struct reader *reader = argument;

	while (!atomic_load(reader->done)) {
		const struct directory *directory = sensing_directory_ref(reader->sensing);
		char tag[16];
		for (size_t i = 0; i <= reader->seen; i++) {
			snprintf(tag, sizeof(tag), "T%zu", i);
			if (look_up(directory, reader->unit, tag) && i == reader->seen)
				reader->seen++;
			else if (i < reader->seen)
				assert_non_null(look_up(directory, reader->unit, tag)); /* what was there stays */
		}
		sensing_directory_unref(&directory);
	}
	return NULL;
}

static void the_directory_is_swapped_under_its_readers(void **state)
{
	enum { SENSORS = 60, READERS = 3 };
	struct bench *bench = *state;
	struct unit unit = make_unit(bench, "plant", "PL1");
	struct metering_point point = make_point(bench, unit.id, "CAP", true);
	struct reader readers[READERS];
	pthread_t threads[READERS];
	atomic_bool done = false;

	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.sensing = &bench->sensing, .unit = unit.id, .done = &done};
		assert_int_equal(pthread_create(&threads[i], NULL, read_directory, &readers[i]), 0);
	}
	for (int i = 0; i < SENSORS; i++) {
		char tag[16];
		snprintf(tag, sizeof(tag), "T%d", i);
		make_sensor(bench, point.id, tag);
	}
	atomic_store(&done, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
}

/* What another node has changed is read again, row by row or, of many, as a whole; a row that is newer here stays. */
static void another_nodes_changes_are_followed(void **state)
{
	struct bench *bench = *state;
	struct sensing there = {.store = bench->store, .audit = bench->sensing.audit};
	struct unit unit = make_unit(bench, "plant", "PL1");
	struct metering_point point = make_point(bench, unit.id, "ONE", true);
	struct sensor sensor = make_sensor(bench, point.id, "A");
	struct audit_news news[20] = {{"sensor", sensor.id}, {"key", sensor.id}};
	const struct directory *seen;

	pthread_mutex_init(&there.directory_change, NULL);
	pthread_mutex_init(&there.directory_swap, NULL);
	assert_int_equal(directory_load(&there, &bench->info), ERR_OK);
	sensor.range_high = 77;
	assert_int_equal(sensing_sensor_update(&there, &actor, &sensor, FIELD_ABSENT, &bench->info), ERR_OK);
	assert_int_equal(sensing_follow(&bench->sensing, news, 2, &bench->info), ERR_OK);
	seen = sensing_directory_ref(&bench->sensing);
	assert_true(look_up(seen, unit.id, "A")->range_high == 77);
	sensing_directory_unref(&seen);

	/* a put that comes late changes nothing */
	struct sensor old = sensor;
	old.version--;
	old.range_high = 1;
	assert_int_equal(directory_put_sensor(&bench->sensing, &old, false), ERR_OK);
	seen = sensing_directory_ref(&bench->sensing);
	assert_true(look_up(seen, unit.id, "A")->range_high == 77);
	sensing_directory_unref(&seen);

	/* many at once; one that is gone */
	sensor.range_high = 78;
	assert_int_equal(sensing_sensor_update(&there, &actor, &sensor, FIELD_ABSENT, &bench->info), ERR_OK);
	for (size_t i = 0; i < sizeof(news) / sizeof(*news); i++)
		news[i] = (struct audit_news){"sensor", sensor.id};
	assert_int_equal(sensing_follow(&bench->sensing, news, sizeof(news) / sizeof(*news), &bench->info), ERR_OK);
	seen = sensing_directory_ref(&bench->sensing);
	assert_true(look_up(seen, unit.id, "A")->range_high == 78);
	sensing_directory_unref(&seen);
	const struct store_change gone = {
		.collection = &sensors_collection, .row = &sensor, .verb = STORE_DELETE, .condition = STORE_ALWAYS};
	assert_int_equal(store_write(bench->store, &gone, 1, NULL, &bench->info), ERR_OK);
	assert_int_equal(sensing_follow(&bench->sensing, news, 1, &bench->info), ERR_OK);
	seen = sensing_directory_ref(&bench->sensing);
	assert_null(look_up(seen, unit.id, "A"));
	sensing_directory_unref(&seen);
	directory_unload(&there);
	pthread_mutex_destroy(&there.directory_change);
	pthread_mutex_destroy(&there.directory_swap);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(another_nodes_changes_are_followed),
		TEST(a_unit_is_created_read_changed_and_deleted),
		TEST(a_units_fields_are_checked),
		TEST(slugs_are_unique_in_an_organisation_and_codes_everywhere),
		TEST(what_is_fixed_stays),
		TEST(states_follow_the_table),
		TEST(an_operating_unit_keeps_one_claimable_point_on_each_path),
		TEST(only_points_that_carry_co2_are_claimable),
		TEST(a_claimable_point_stays_claimable),
		TEST(rules_over_several_rows_hold_under_concurrency),
		TEST(of_eight_changes_of_one_version_one_wins),
		TEST(a_sensor_gets_its_defaults_and_its_unit),
		TEST(a_sensors_fields_are_checked),
		TEST(tags_and_serial_numbers_are_unique),
		TEST(a_point_has_one_primary_sensor_of_a_quantity),
		TEST(what_others_hang_on_is_not_deleted),
		TEST(a_calibration_carries_its_position),
		TEST(a_calibrations_fields_are_checked),
		TEST(an_overlay_only_lowers),
		TEST(the_directory_follows_each_change),
		TEST(retirement_shows_in_the_directory),
		TEST(the_directory_is_swapped_under_its_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
