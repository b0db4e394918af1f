/* The rooms below evidence, real ones, over a store in a folder of its own: a unit with four instruments, an organisation that
 * runs it, two verifiers and an issuer. Hours lie a few days back, so that nothing waits for the clock. */
#ifndef TEST_EVIDENCE_WORLD_H
#define TEST_EVIDENCE_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carbond/base/clock.h"
#include "carbond/base/sign.h"
#include "carbond/engine.h"
#include "carbond/evidence.h"
#include "carbond/sensing.h"

/* no test uses all of it */
#pragma GCC diagnostic ignored "-Wunused-function"

#define HOUR CLOCK_US_PER_HOUR
#define STEP CLOCK_US_PER_MINUTE

enum { WORLD_FLOW, WORLD_PURITY, WORLD_VENT, WORLD_POWER, WORLD_SENSORS, VERIFIERS = 2 };

struct world {
	char folder[256], uri[280];
	struct seal_key seal;
	struct sign_secret checkpoint;
	struct sign_public checkpoint_public;
	struct store *store;
	struct audit *audit;
	struct sensing *sensing;
	struct engine *engine;
	struct evidence *evidence;
	struct arena *arena;
	struct id org, operator, issuer_org, issuer, verifier_orgs[VERIFIERS], verifiers[VERIFIERS],
		verifier_actors[VERIFIERS];
	struct sign_secret keys[VERIFIERS];
	struct sign_public publics[VERIFIERS];
	struct id unit, points[3], sensors[WORLD_SENSORS], project;
	int64_t start_us; /* first hour of the plant's readings */
	uint64_t seq;
	struct hash prev_hash;
};

static int64_t world_deadline(void)
{
	return clock_monotonic_us() + 30 * CLOCK_US_PER_SECOND;
}

#define MUST(call)                                                                                              \
	do {                                                                                                    \
		struct err_info info = {0};                                                                     \
		enum err must_err = (call);                                                                     \
		if (must_err)                                                                                   \
			fail_msg("%s:%d: %s: %s %s", __FILE__, __LINE__, err_row(must_err)->name, info.pointer, \
				info.detail);                                                                   \
	} while (0)

static int world_drop_one(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
	(void)status;
	(void)flag;
	(void)walk;
	return remove(path);
}

static void world_on_stop(void *context, enum err reason, const struct err_info *info)
{
	(void)context;
	print_message("engine stopped: %s %s\n", err_row(reason)->name, info ? info->detail : "");
}

static void world_open(struct world *world)
{
	static const struct store_collection *list[128];
	const struct store_collection *const *const rooms[] = {
		audit_collections, sensing_collections, engine_collections, evidence_collections};
	size_t count = 0;
	for (size_t r = 0; r < 4; r++)
		for (const struct store_collection *const *at = rooms[r]; *at; at++)
			list[count++] = *at;
	list[count] = NULL;
	struct store_options store = {
		.uri = world->uri, .collections = list, .seal_keys = &world->seal, .seal_key_count = 1};
	MUST(store_open(&store, &world->store, &info));
	struct audit_options audit = {
		.store = world->store, .node = "n1", .checkpoint_key = &world->checkpoint, .checkpoint_us = HOUR};
	MUST(audit_start(&audit, &world->audit, &info));
	struct sensing_options sensing = {.store = world->store,
		.audit = world->audit,
		.node = "n1",
		.shards = 1,
		.shard_queue = 64,
		.flush_us = 300 * CLOCK_US_PER_SECOND,
		.memory_bytes = 64 << 20,
		.log_retention_us = 7 * CLOCK_US_PER_DAY};
	MUST(sensing_start(&sensing, &world->sensing, &info));
	struct engine_options engine = {
		.store = world->store, .node = "n1", .registry = {{7}}, .on_stop = world_on_stop, .context = world};
	MUST(engine_start(&engine, &world->engine, &info));
	struct evidence_options evidence = {.store = world->store,
		.audit = world->audit,
		.sensing = world->sensing,
		.engine = world->engine,
		.node = "n1",
		.config_folder = "config"};
	MUST(evidence_start(&evidence, &world->evidence, &info));
}

static void world_close(struct world *world)
{
	evidence_stop(&world->evidence);
	engine_stop(&world->engine);
	sensing_stop(&world->sensing);
	audit_stop(&world->audit);
	store_close(&world->store);
}

static struct audit_actor world_operator(const struct world *world)
{
	return (struct audit_actor){.user = world->operator, .org = world->org, .name = "operator"};
}

static void world_point(
	struct world *world, size_t index, const char *code, const char *role, bool claimable, int64_t nameplate)
{
	struct audit_actor actor = world_operator(world);
	struct metering_point row;
	field_clear(metering_point_fields, &row);
	row.org_id = world->org;
	row.unit_id = world->unit;
	row.code = row.name = code;
	row.claimable = claimable;
	row.share_ppm = 1000000;
	row.nameplate_per_hour = nameplate;
	for (row.role = 0; strcmp(metering_roles[row.role], role) != 0;)
		row.role++;
	row.state = 0;
	MUST(sensing_point_create(world->sensing, &actor, &row, &info));
	world->points[index] = row.id;
}

static void world_sensor(
	struct world *world, size_t index, size_t point, const char *tag, const char *quantity, const char *unit)
{
	struct audit_actor actor = world_operator(world);
	struct sensor row;
	field_clear(sensor_fields, &row);
	row.org_id = world->org;
	row.unit_id = world->unit;
	row.metering_point_id = world->points[point];
	row.tag = row.name = row.serial_number = tag;
	row.manufacturer = "test";
	row.quantity = quantity;
	row.unit = unit;
	row.sampling_period_us = STEP;
	row.range_low = 0;
	row.range_high = 100000;
	row.oldest_us = 400 * CLOCK_US_PER_DAY;
	row.newest_us = HOUR;
	row.lateness_us = 2 * CLOCK_US_PER_MINUTE;
	row.stale_after_us = 0;
	row.systematic_ppm = 2000;
	row.random_ppm = 1000;
	row.primary = true;
	row.raw_retention_us = 0;
	row.state = 0;
	MUST(sensing_sensor_create(world->sensing, &actor, &row, &info));
	world->sensors[index] = row.id;
}

static void world_unit(struct world *world)
{
	struct audit_actor actor = world_operator(world);
	struct unit row;
	field_clear(unit_fields, &row);
	row.org_id = world->org;
	row.slug = "plant";
	row.code = "PLANT1";
	row.name = "Plant";
	row.country = "IS";
	row.latitude_deg = 64;
	row.longitude_deg = -21;
	row.nameplate_kg_per_hour = 2000;
	row.nameplate_margin_ppm = 1050000;
	row.state = 1;
	MUST(sensing_unit_create(world->sensing, &actor, &row, &info));
	world->unit = row.id;
	world_point(world, 0, "CAPTURED", "captured", true, 2000);
	world_point(world, 1, "VENT", "loss", false, 50);
	world_point(world, 2, "FANS", "energy", false, 2000000);
	world_sensor(world, WORLD_FLOW, 0, "FT-1", "mass_flow", "kg/h");
	world_sensor(world, WORLD_PURITY, 0, "AT-1", "mole_fraction", "mol/mol");
	world_sensor(world, WORLD_VENT, 1, "FT-2", "mass_flow", "kg/h");
	world_sensor(world, WORLD_POWER, 2, "JT-1", "power", "kW");
}

static void world_project(struct world *world)
{
	struct audit_actor actor = world_operator(world);
	static struct mrv_schedule schedules[2];
	schedules[0] = (struct mrv_schedule){.category = 0,
		.basis = 1,
		.label = "sorbent",
		.amount_g = 18000,
		.uncertainty_ppm = 150000,
		.from_us = FIELD_ABSENT,
		.to_us = FIELD_ABSENT,
		.source = "test"};
	schedules[1] = schedules[0];
	schedules[1].category = 1;
	schedules[1].label = "plant";
	struct project row;
	field_clear(project_fields, &row);
	row.org_id = world->org;
	row.unit_id = world->unit;
	row.name = "Project";
	row.methodology = "DAC1";
	row.methodology_version = 1;
	row.kind = row.storage = 0;
	row.atmospheric_ppm = 1000000;
	row.biogenic_ppm = row.fossil_ppm = row.recycled_ppm = 0;
	row.durability_class = "geological";
	row.risk_score = 5;
	row.factor_set = "ember";
	row.factor_set_version = 1;
	row.electricity_factor = "grid-is";
	row.crediting_from_us = world->start_us - 400 * CLOCK_US_PER_DAY;
	row.crediting_to_us = world->start_us + 4000 * CLOCK_US_PER_DAY;
	row.schedules = (struct field_list){schedules, 2};
	MUST(evidence_project_create(world->evidence, &actor, &row, &info));
	world->project = row.id;
}

/* Sends a command of an actor and waits for it. */
static enum err world_command(struct world *world, struct id actor, struct id org, struct command *command,
	struct vault_row *rows, size_t count, struct engine_result *ret_result)
{
	struct err_info info = {0};
	command->source = COMMAND_SOURCE_CLIENT;
	command->id = id_new(clock_wall_us());
	command->actor = actor;
	command->org = org;
	return engine_command(world->engine, command, rows, count, world_deadline(), ret_result, &info);
}

static void world_verifiers(struct world *world)
{
	for (size_t i = 0; i < VERIFIERS; i++) {
		struct engine_result result;
		world->verifiers[i] = id_new(clock_wall_us());
		struct command command = {.kind = COMMAND_VERIFIER_REGISTER,
			.verifier_register = {.verifier = world->verifiers[i],
				.org = world->verifier_orgs[i],
				.key = world->publics[i],
				.valid_from_us = world->start_us - 1000 * HOUR,
				.valid_to_us = world->start_us + 100000 * HOUR}};
		assert_int_equal(
			world_command(world, world->issuer, world->issuer_org, &command, NULL, 0, &result), ERR_OK);
	}
}

static struct world *world_new(void)
{
	struct world *world = calloc(1, sizeof *world);
	struct sign_public none;
	uint8_t seed[32] = {1};
	int64_t now_us = clock_wall_us();
	const char *top = getenv("TMPDIR");
	assert_int_equal(crypto_start(), ERR_OK);
	snprintf(world->folder, sizeof world->folder, "%s/carbond-evidence-XXXXXX", top ? top : "/tmp");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->uri, sizeof world->uri, "sqlite:%s", world->folder);
	world->seal.number = 1;
	sign_keypair_from_seed(seed, &world->checkpoint_public, &world->checkpoint);
	for (size_t i = 0; i < VERIFIERS; i++) {
		seed[1] = (uint8_t)(i + 1);
		sign_keypair_from_seed(seed, &world->publics[i], &world->keys[i]);
		world->verifier_orgs[i] = id_new(now_us);
		world->verifier_actors[i] = id_new(now_us);
	}
	(void)none;
	world->arena = arena_new(1u << 30);
	world->org = id_new(now_us);
	world->operator= id_new(now_us);
	world->issuer_org = id_new(now_us);
	world->issuer = id_new(now_us);
	/* four days back, and never across a year's end */
	world->start_us = clock_day_start(now_us) - 4 * CLOCK_US_PER_DAY;
	if (clock_year(world->start_us) != clock_year(world->start_us + 2 * CLOCK_US_PER_DAY))
		world->start_us -= 4 * CLOCK_US_PER_DAY;
	world_open(world);
	world_unit(world);
	world_project(world);
	world_verifiers(world);
	return world;
}

static void world_free(struct world *world)
{
	world_close(world);
	arena_free(&world->arena);
	nftw(world->folder, world_drop_one, 16, FTW_DEPTH | FTW_PHYS);
	free(world);
}

/* As ingest does: the log first, then the shards. */
static void world_send(struct world *world, const struct reading *readings, size_t count)
{
	struct arena *arena = arena_new(0);
	uint8_t *payload;
	size_t size;
	assert_int_equal(readings_encode(readings, count, arena, &payload, &size), ERR_OK);
	struct store_batch batch = {.stream = "readings.n1",
		.seq = ++world->seq,
		.term = 1,
		.count = (uint32_t)count,
		.prev_hash = world->prev_hash,
		.written_at_us = clock_wall_us(),
		.node = "n1",
		.payload = payload,
		.payload_size = size};
	struct store_append append = {.class = STORE_READINGS, .batch = &batch};
	MUST(store_log_append(world->store, &append, NULL, &info));
	world->prev_hash = batch.hash;
	assert_int_equal(
		sensing_feed(world->sensing, "readings.n1", world->seq, readings, count, world_deadline()), ERR_OK);
	assert_int_equal(sensing_settle(world->sensing, world_deadline()), ERR_OK);
	arena_free(&arena);
}

/* Readings of one sensor each minute of [from, to), in hours from the start. */
static void world_fill(struct world *world, size_t sensor, int64_t from, int64_t to, double value)
{
	size_t count = (size_t)((to - from) * 60);
	struct reading *readings = calloc(count, sizeof *readings);
	for (size_t i = 0; i < count; i++)
		readings[i] = (struct reading){.sensor = world->sensors[sensor],
			.time_us = world->start_us + from * HOUR + (int64_t)i * STEP,
			.value = value,
			.quality = SERIES_GOOD};
	world_send(world, readings, count);
	free(readings);
}

static void world_fill_all(struct world *world, int64_t from, int64_t to)
{
	static const double values[] = {
		[WORLD_FLOW] = 1000, [WORLD_PURITY] = 0.99, [WORLD_VENT] = 4, [WORLD_POWER] = 1000};
	for (size_t i = 0; i < WORLD_SENSORS; i++)
		world_fill(world, i, from, to, values[i]);
}

static struct id world_period(struct world *world, int64_t from, int64_t to)
{
	struct audit_actor actor = world_operator(world);
	struct period row;
	field_clear(period_fields, &row);
	row.project_id = world->project;
	row.from_us = world->start_us + from * HOUR;
	row.to_us = world->start_us + to * HOUR;
	MUST(evidence_period_create(world->evidence, &actor, &row, &info));
	return row.id;
}

/* Submits and waits: the thread's queue is in order, so a review behind it is a barrier. */
static struct job world_submit(struct world *world, struct id period, struct id command)
{
	struct audit_actor actor = world_operator(world);
	struct job job;
	MUST(evidence_submit(world->evidence, &actor, period, command, &job, &info));
	MUST(evidence_review(world->evidence, world_deadline(), &info));
	MUST(evidence_job(world->evidence, command, world->arena, &job, &info));
	return job;
}

static struct submission world_submission(struct world *world, struct id id)
{
	struct submission row;
	field_clear(submission_fields, &row);
	row.id = id;
	MUST(store_get(world->store, &submissions_collection, &row, world->arena, &info));
	return row;
}

static void world_attest_and_issue(struct world *world, struct id submission)
{
	struct hash root = world_submission(world, submission).evidence_root;
	struct engine_result result;
	for (size_t i = 0; i < VERIFIERS; i++) {
		struct command attest = {.kind = COMMAND_PERIOD_ATTEST,
			.period_attest = {.period = submission,
				.verifier = world->verifiers[i],
				.evidence_root = root,
				.signature =
					sign_make(&world->keys[i], MRV_SIGN_DOMAIN, root.bytes, sizeof root.bytes)}};
		assert_int_equal(world_command(world, world->verifier_actors[i], world->verifier_orgs[i], &attest, NULL,
					 0, &result),
			ERR_OK);
	}
	struct command issue = {.kind = COMMAND_PERIOD_ISSUE, .period_issue = {.period = submission}};
	assert_int_equal(world_command(world, world->issuer, world->issuer_org, &issue, NULL, 0, &result), ERR_OK);
}

struct world_bytes {
	uint8_t *data;
	size_t size, capacity;
};

static enum err world_grow(void *context, const void *data, size_t size, struct err_info *info)
{
	struct world_bytes *bytes = context;
	(void)info;
	if (bytes->size + size > bytes->capacity) {
		bytes->capacity = (bytes->size + size) * 2;
		bytes->data = realloc(bytes->data, bytes->capacity);
	}
	memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
	return ERR_OK;
}

/* Writes the pack, verifies it with all keys trusted, and gives what it says. */
static struct mrv_pack world_verify(struct world *world, struct id submission)
{
	struct world_bytes bytes = {0};
	struct mrv_pack pack;
	struct mrv_trust_key keys[VERIFIERS + 1];
	for (size_t i = 0; i <= VERIFIERS; i++)
		keys[i] = (struct mrv_trust_key){.role = i < VERIFIERS ? 0 : 2,
			.name = "k",
			.key = i < VERIFIERS ? world->publics[i] : world->checkpoint_public,
			.from_us = FIELD_ABSENT,
			.until_us = FIELD_ABSENT};
	struct mrv_check_options options = {.trust = keys, .trust_count = VERIFIERS + 1};
	MUST(evidence_pack(world->evidence, submission, world_grow, &bytes, &info));
	MUST(mrv_verify_pack(bytes.data, bytes.size, &options, world->arena, &pack, &info));
	free(bytes.data);
	return pack;
}

static struct batch_row world_batch(struct world *world, int64_t number)
{
	struct batch_row row;
	field_clear(batch_fields, &row);
	row.batch = number;
	assert_int_equal(engine_wait_position(world->engine, engine_position(world->engine), world_deadline()), ERR_OK);
	MUST(store_get(world->store, &batches_collection, &row, world->arena, &info));
	return row;
}

/* The chain's submissions in order of creation. */
static size_t world_links(struct world *world, struct id first, struct submission **ret_rows)
{
	struct submission low = {.first_id = first};
	struct store_query query = {
		.collection = &submissions_collection, .index = "by_first", .low = &low, .prefix = 1, .most = 100};
	void *found = NULL;
	size_t count = 0;
	MUST(store_find(world->store, &query, world->arena, &found, &count, &info));
	*ret_rows = found;
	return count;
}

#endif
