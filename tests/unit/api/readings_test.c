/* Readings over HTTP: raw and reduced ranges, pages, JSON and CSV, many sensors, the newest one, buckets; what another
 * organisation owns is as if it were not there. Real store, sensing, identity and listener on a free port. */
#include "../http/client.h"

#include <ftw.h>
#include <jansson.h>
#include <math.h>
#include <sys/stat.h>

#include "carbond/api.h"
#include "carbond/base/clock.h"
#include "carbond/base/log.h"
#include "carbond/cache.h"
#include "carbond/identity.h"
#include "carbond/sensing.h"

#define START_US   INT64_C(1789948800000000) /* 2026-09-21T00:00:00Z */
#define START_TEXT "2026-09-21T00:00:00Z"
#define READINGS   500 /* of sensor i: one a minute, value = minute + i / 10 */

static struct bench {
	char folder[64];
	struct api api;
	char admin[IDENTITY_KEY_TEXT_SIZE], ours[IDENTITY_KEY_TEXT_SIZE], theirs[IDENTITY_KEY_TEXT_SIZE],
		auditor[IDENTITY_KEY_TEXT_SIZE];
	struct id ours_org, theirs_org, unit;
	char sensors[3][ID_TEXT_SIZE]; /* two of ours, one of theirs */
	struct id sensor_ids[3];
	struct err_info info;
} bench;

static const struct audit_actor actor = {.name = "test"};

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

static bool find_org(void *context, const char *text, struct id *ret_org)
{
	return identity_organisation_find(context, text, ret_org);
}

static void must(enum err err)
{
	if (err)
		fail_msg("%s: %s %s", err_row(err)->name, bench.info.pointer, bench.info.detail);
}

static void make_key(struct id org, const char *role, char ret_text[IDENTITY_KEY_TEXT_SIZE])
{
	struct api_key key;
	field_clear(api_key_fields, &key);
	key.org_id = org;
	key.label = role;
	key.roles = (struct field_list){&role, 1};
	must(identity_key_create(
		bench.api.identity, &actor, 1u << IDENTITY_PLATFORM_ADMIN, &key, ret_text, &bench.info));
}

static void open_services(void)
{
	const struct store_collection *const *const rooms[] = {
		audit_collections, identity_collections, sensing_collections};
	const struct store_collection *all[64];
	struct seal_key seal = {.number = 1};
	struct sign_public public;
	struct sign_secret secret;
	char uri[80];
	size_t count = 0;
	snprintf(uri, sizeof(uri), "sqlite:%s", bench.folder);
	for (size_t i = 0; i < sizeof(rooms) / sizeof(*rooms); i++)
		for (const struct store_collection *const *row = rooms[i]; *row; row++)
			all[count++] = *row;
	all[count] = NULL;
	struct store_options store = {.uri = uri,
		.collections = all,
		.seal_keys = &seal,
		.seal_key_count = 1,
		.migrations_folder = "migrations",
		.changed = api_row_changed};
	struct cache_options cache = {.uri = "local"};
	must(cache_open(&cache, &bench.api.cache, &bench.info));
	store.context = bench.api.cache;
	must(store_open(&store, &bench.api.store, &bench.info));
	sign_keypair(&public, &secret);
	struct audit_options audit = {
		.store = bench.api.store, .node = "t", .checkpoint_key = &secret, .checkpoint_us = CLOCK_US_PER_HOUR};
	must(audit_start(&audit, &bench.api.audit, &bench.info));
	struct identity_options identity = {
		.store = bench.api.store, .audit = bench.api.audit, .cache = bench.api.cache};
	must(identity_start(&identity, &bench.api.identity, &bench.info));
	struct sensing_options sensing = {.store = bench.api.store,
		.audit = bench.api.audit,
		.node = "t",
		.shards = 2,
		.shard_queue = 16,
		.flush_us = 300 * CLOCK_US_PER_SECOND,
		.memory_bytes = 64 << 20,
		.log_retention_us = CLOCK_US_PER_DAY,
		.find_org = find_org,
		.find_org_context = bench.api.identity};
	must(sensing_start(&sensing, &bench.api.sensing, &bench.info));
}

static struct id make_unit(struct id org, const char *slug, const char *code, struct id *ret_point)
{
	struct unit unit;
	struct metering_point point;
	field_clear(unit_fields, &unit);
	field_clear(metering_point_fields, &point);
	unit.org_id = org;
	unit.slug = slug;
	unit.code = code;
	unit.name = "A plant";
	unit.country = "IS";
	unit.nameplate_kg_per_hour = 500;
	must(sensing_unit_create(bench.api.sensing, &actor, &unit, &bench.info));
	point.org_id = org;
	point.unit_id = unit.id;
	point.code = "P1";
	point.name = "Point";
	point.claimable = true;
	point.role = 0;
	must(sensing_point_create(bench.api.sensing, &actor, &point, &bench.info));
	*ret_point = point.id;
	return unit.id;
}

static void make_sensor(struct id org, struct id point, const char *tag, size_t index)
{
	struct sensor sensor;
	field_clear(sensor_fields, &sensor);
	sensor.org_id = org;
	sensor.metering_point_id = point;
	sensor.tag = tag;
	sensor.quantity = "mass_flow";
	sensor.unit = "kg/h";
	sensor.sampling_period_us = CLOCK_US_PER_MINUTE;
	sensor.range_low = 0;
	sensor.range_high = 10000;
	must(sensing_sensor_create(bench.api.sensing, &actor, &sensor, &bench.info));
	bench.sensor_ids[index] = sensor.id;
	id_text(sensor.id, bench.sensors[index]);
}

/* A third of the hours closed, the rest open. */
static void make_readings(void)
{
	static struct reading readings[3 * READINGS];
	size_t count = 0;
	for (size_t minute = 0; minute < READINGS; minute++)
		for (size_t i = 0; i < 3; i++)
			readings[count++] = (struct reading){.sensor = bench.sensor_ids[i],
				.time_us = START_US + (int64_t)minute * CLOCK_US_PER_MINUTE,
				.value = ((double)minute * 10 + (double)i) / 10,
				.quality = minute == 7 ? SERIES_MANUAL : SERIES_GOOD};
	int64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_US_PER_SECOND;
	must(sensing_feed(bench.api.sensing, "readings.t", 1, readings, count, deadline_us));
	for (size_t i = 0; i < 3; i++)
		must(sensing_close_hours(bench.api.sensing, &bench.sensor_ids[i], 1, START_US,
			START_US + 3 * CLOCK_US_PER_HOUR, deadline_us, &bench.info));
}

static int set_up(void **state)
{
	struct organisation one = {.slug = "ours", .name = "Ours", .country = "IS"};
	struct organisation two = {.slug = "theirs", .name = "Theirs", .country = "DE"};
	struct http_options http = {.address = "127.0.0.1",
		.threads = 1,
		.workers = 2,
		.worker_queue = 64,
		.connections_max = 100,
		.header_deadline_us = 10 * CLOCK_US_PER_SECOND,
		.body_deadline_us = 10 * CLOCK_US_PER_SECOND,
		.idle_deadline_us = 10 * CLOCK_US_PER_SECOND,
		.answer_deadline_us = 30 * CLOCK_US_PER_SECOND};
	struct id point;
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	must(crypto_start());
	strcpy(bench.folder, "/tmp/carbond-api.XXXXXX");
	assert_non_null(mkdtemp(bench.folder));
	open_services();
	must(identity_init(bench.api.identity, &one, bench.admin, &bench.info));
	must(identity_organisation_create(bench.api.identity, &actor, &two, &bench.info));
	bench.ours_org = one.id;
	bench.theirs_org = two.id;
	make_key(one.id, "operator", bench.ours);
	make_key(two.id, "operator", bench.theirs);
	make_key(one.id, "auditor", bench.auditor);
	bench.unit = make_unit(one.id, "plant", "PLANT", &point);
	make_sensor(one.id, point, "FT-1", 0);
	make_sensor(one.id, point, "FT-2", 1);
	make_unit(two.id, "other", "OTHER", &point);
	make_sensor(two.id, point, "FT-1", 2);
	make_readings();
	bench.api.node = "t";
	bench.api.version = "0";
	must(api_start(&bench.api, &http, &bench.info));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	api_stop(&bench.api, clock_monotonic_us() + 5 * CLOCK_US_PER_SECOND);
	sensing_stop(&bench.api.sensing);
	identity_stop(&bench.api.identity);
	cache_close(&bench.api.cache);
	audit_stop(&bench.api.audit);
	store_close(&bench.api.store);
	nftw(bench.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* ---- asking ---- */

__attribute__((format(printf, 3, 4))) static struct response get(
	const char *key, const char *accept, const char *format, ...)
{
	char path[4096];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(path, sizeof path, format, arguments);
	va_end(arguments);
	client_doing = path;
	return client_ask(http_server_port(bench.api.http_server),
		"GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\nAccept: %s\r\n\r\n",
		path, key, accept);
}

static json_t *body_of(struct response response, int status)
{
	json_t *body = json_loadb(response.body ? response.body : "", response.body_size, 0, NULL);
	if (response.status != status)
		fail_msg("%s: %d, expected %d: %.*s", client_doing, response.status, status, (int)response.body_size,
			response.body);
	response_free(&response);
	return body;
}

__attribute__((format(printf, 1, 2))) static json_t *good(const char *path_format, ...)
{
	char path[4096];
	va_list arguments;
	va_start(arguments, path_format);
	vsnprintf(path, sizeof path, path_format, arguments);
	va_end(arguments);
	return body_of(get(bench.ours, "application/json", "%s", path), 200);
}

static void refused(int status, const char *pointer, const char *query)
{
	json_t *body = body_of(
		get(bench.ours, "application/json", "/v1/sensors/%s/readings?%s", bench.sensors[0], query), status);
	const char *text = json_dumps(body, 0);
	if (pointer && !strstr(text, pointer))
		fail_msg("%s: no %s in %s", query, pointer, text);
	free((void *)(uintptr_t)text);
	json_decref(body);
}

static void test_raw_pages(void **state)
{
	(void)state;
	char cursor[128] = "";
	size_t minute = 0, pages = 0;
	do {
		json_t *page = good("/v1/sensors/%s/readings?from=" START_TEXT "&to=2026-09-22T00:00:00Z&limit=70%s",
			bench.sensors[0], cursor);
		json_t *items = json_object_get(page, "items"), *item;
		size_t index;
		json_array_foreach(items, index, item)
		{
			char time[CLOCK_TEXT_SIZE];
			clock_text(START_US + (int64_t)minute * CLOCK_US_PER_MINUTE, time);
			assert_string_equal(json_string_value(json_object_get(item, "time")), time);
			assert_true(json_number_value(json_object_get(item, "value")) == (double)minute);
			assert_string_equal(
				json_string_value(json_object_get(item, "quality")), minute == 7 ? "manual" : "good");
			assert_null(json_object_get(item, "count"));
			minute++;
		}
		const char *next = json_string_value(json_object_get(page, "next_cursor"));
		snprintf(cursor, sizeof cursor, "%s%s", next ? "&cursor=" : "", next ? next : "");
		json_decref(page);
		pages++;
	} while (*cursor);
	assert_int_equal(minute, READINGS);
	assert_int_equal(pages, 8);
}

static void test_steps(void **state)
{
	(void)state;
	static const struct {
		const char *query;
		double first;
	} rows[] = {{"step=1h&agg=mean", 29.5}, {"step=1h", 29.5}, {"step=60m&agg=min", 0}, {"step=3600s&agg=max", 59},
		{"step=1h&agg=first", 0}, {"step=1h&agg=last", 59}, {"step=1h&agg=sum", 1770},
		{"step=1h&agg=count", 60}, {"step=1h&agg=integral", 30 * 3600},
		{"step=1h&agg=percentile&fraction=0.5", 29.5}, {"step=5m&agg=mean", 2}, {"step=1d&agg=count", READINGS},
		{"step=month&agg=count", READINGS}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *page = good("/v1/sensors/%s/readings?from=%lld&to=%lld&%s", bench.sensors[0],
			(long long)START_US, (long long)(START_US + CLOCK_US_PER_DAY), rows[i].query);
		json_t *item = json_array_get(json_object_get(page, "items"), 0);
		double value = json_number_value(json_object_get(item, "value"));
		if (fabs(value - rows[i].first) > 1e-9 * rows[i].first)
			fail_msg("%s: %g, expected %g", rows[i].query, value, rows[i].first);
		assert_null(json_object_get(item, "quality"));
		json_decref(page);
	}
	/* a step without a reading has no value */
	json_t *page =
		good("/v1/sensors/%s/readings?from=" START_TEXT "&to=2026-09-22T00:00:00Z&step=1h", bench.sensors[0]);
	assert_int_equal(json_array_size(json_object_get(page, "items")), 24);
	json_t *item = json_array_get(json_object_get(page, "items"), 23);
	assert_null(json_object_get(item, "value"));
	assert_int_equal(json_integer_value(json_object_get(item, "count")), 0);
	json_decref(page);
}

static void test_csv(void **state)
{
	(void)state;
	static const char *const ways[][2] = {{"text/csv", ""}, {"application/json", "&format=csv"}};
	for (size_t i = 0; i < 2; i++) {
		struct response response = get(bench.ours, ways[i][0],
			"/v1/sensors/%s/readings?from=" START_TEXT "&to=2026-09-21T00:02:00Z&limit=1%s",
			bench.sensors[1], ways[i][1]);
		assert_int_equal(response.status, 200);
		assert_non_null(strstr(header_of(&response, "Content-Type"), "text/csv"));
		assert_non_null(header_of(&response, "Carbond-Next-Cursor"));
		static const char expected[] = "time,value,quality\r\n" START_TEXT ",0.1,good\r\n";
		assert_int_equal(response.body_size, strlen(expected));
		assert_memory_equal(response.body, expected, strlen(expected));
		response_free(&response);
	}
	struct response response = get(bench.ours, "text/csv",
		"/v1/readings?sensors=%s,%s&from=" START_TEXT "&to=2026-09-21T02:00:00Z&step=1h&agg=max",
		bench.sensors[0], bench.sensors[1]);
	char expected[1024];
	snprintf(expected, sizeof expected,
		"sensor_id,time,value,count\r\n%s," START_TEXT ",59,60\r\n%s,2026-09-21T01:00:00Z,119,60\r\n"
		"%s," START_TEXT ",59.1,60\r\n%s,2026-09-21T01:00:00Z,119.1,60\r\n",
		bench.sensors[0], bench.sensors[0], bench.sensors[1], bench.sensors[1]);
	assert_int_equal(response.body_size, strlen(expected));
	assert_memory_equal(response.body, expected, strlen(expected));
	response_free(&response);
}

/* Pages of a query over many sensors together give every row once, in the order asked. */
static void test_many(void **state)
{
	(void)state;
	char unit[ID_TEXT_SIZE], cursor[128] = "";
	size_t rows[2] = {0};
	id_text(bench.unit, unit);
	do {
		json_t *page = good("/v1/readings?unit_id=%s&from=" START_TEXT
				    "&to=2026-09-22T00:00:00Z&step=1m&agg=last&limit=97%s",
			unit, cursor);
		json_t *items = json_object_get(page, "items"), *item;
		size_t index;
		assert_true(json_array_size(items) <= 97);
		json_array_foreach(items, index, item)
		{
			bool second =
				strcmp(json_string_value(json_object_get(item, "sensor_id")), bench.sensors[1]) == 0;
			json_t *value = json_object_get(item, "value");
			if (value)
				assert_true(
					fabs(json_number_value(value) - (double)rows[second] - second * 0.1) < 1e-9);
			rows[second]++;
		}
		const char *next = json_string_value(json_object_get(page, "next_cursor"));
		snprintf(cursor, sizeof cursor, "%s%s", next ? "&cursor=" : "", next ? next : "");
		json_decref(page);
	} while (*cursor);
	assert_int_equal(rows[0], 1440);
	assert_int_equal(rows[1], 1440);
}

/* Issue 5: a reduction across sensors is one row a step, over the sensors that have a reading in it, whatever the page. The
 * two sensors' values of minute m are m and m + 0.1; their readings end after minute 499. */
static void test_across(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		double of_first, of_last; /* hour 0: maxima 59 and 59.1; hour 8: maxima 499 and 499.1 */
	} reductions[] = {{"mean", 59.05, 499.05}, {"min", 59, 499}, {"max", 59.1, 499.1}, {"sum", 118.1, 998.1},
		{"count", 2, 2}};
	char unit[ID_TEXT_SIZE];
	id_text(bench.unit, unit);
	for (size_t i = 0; i < sizeof reductions / sizeof *reductions; i++) {
		char cursor[128] = "";
		size_t row = 0;
		do {
			json_t *page = good("/v1/readings?unit_id=%s&from=" START_TEXT
					    "&to=2026-09-21T12:00:00Z&step=1h&agg=max&limit=5&across=%s%s",
				unit, reductions[i].name, cursor);
			json_t *items = json_object_get(page, "items"), *item;
			size_t index;
			assert_true(json_array_size(items) <= 5);
			json_array_foreach(items, index, item)
			{
				char time[32];
				snprintf(time, sizeof time, "2026-09-21T%02zu:00:00Z", row);
				assert_string_equal(json_string_value(json_object_get(item, "time")), time);
				assert_null(json_object_get(item, "sensor_id"));
				assert_int_equal(json_integer_value(json_object_get(item, "count")), row < 8    ? 120
												     : row == 8 ? 40
														: 0);
				json_t *value = json_object_get(item, "value");
				bool counts = strcmp(reductions[i].name, "count") == 0;
				if (row > 8 && !counts)
					assert_null(value);
				else if (row > 8)
					assert_true(json_number_value(value) == 0);
				else if (row == 0 || row == 8)
					assert_true(
						fabs(json_number_value(value) -
							(row ? reductions[i].of_last : reductions[i].of_first)) < 1e-9);
				row++;
			}
			const char *next = json_string_value(json_object_get(page, "next_cursor"));
			snprintf(cursor, sizeof cursor, "%s%s", next ? "&cursor=" : "", next ? next : "");
			json_decref(page);
		} while (*cursor);
		assert_int_equal(row, 12);
	}
	struct response response = get(bench.ours, "text/csv",
		"/v1/readings?unit_id=%s&from=" START_TEXT "&to=2026-09-21T01:00:00Z&step=1h&agg=max&across=max", unit);
	static const char expected[] = "time,value,count\r\n" START_TEXT ",59.1,120\r\n";
	assert_int_equal(response.status, 200);
	assert_int_equal(response.body_size, strlen(expected));
	assert_memory_equal(response.body, expected, strlen(expected));
	response_free(&response);
	json_decref(body_of(get(bench.ours, "*/*", "/v1/readings?unit_id=%s&across=mean", unit), 422));
	json_decref(body_of(get(bench.ours, "*/*", "/v1/readings?unit_id=%s&step=1h&across=median", unit), 422));
}

static void test_latest(void **state)
{
	(void)state;
	json_t *latest = good("/v1/sensors/%s/latest", bench.sensors[1]);
	assert_string_equal(json_string_value(json_object_get(latest, "time")), "2026-09-21T08:19:00Z");
	assert_true(json_number_value(json_object_get(latest, "value")) == 499.1);
	assert_string_equal(json_string_value(json_object_get(latest, "sensor_id")), bench.sensors[1]);
	json_decref(latest);
}

static void test_buckets(void **state)
{
	(void)state;
	json_t *page =
		good("/v1/sensors/%s/buckets?from=" START_TEXT "&to=2026-09-22T00:00:00Z&limit=2", bench.sensors[0]);
	json_t *items = json_object_get(page, "items"), *item = json_array_get(items, 1);
	assert_int_equal(json_array_size(items), 2);
	assert_string_equal(json_string_value(json_object_get(item, "hour")), "2026-09-21T01:00:00Z");
	assert_int_equal(json_integer_value(json_object_get(item, "revision")), 1);
	assert_int_equal(json_integer_value(json_object_get(item, "count")), 60);
	assert_true(json_is_true(json_object_get(item, "raw")));
	assert_int_equal(strlen(json_string_value(json_object_get(item, "content_hash"))), 64);
	char cursor[64];
	snprintf(cursor, sizeof cursor, "%s", json_string_value(json_object_get(page, "next_cursor")));
	json_decref(page);
	page = good("/v1/sensors/%s/buckets?from=" START_TEXT "&to=2026-09-22T00:00:00Z&limit=2&cursor=%s",
		bench.sensors[0], cursor);
	assert_int_equal(json_array_size(json_object_get(page, "items")), 1);
	assert_null(json_object_get(page, "next_cursor"));
	json_decref(page);
}

static void test_tenancy(void **state)
{
	(void)state;
	static const char *const paths[][2] = {{"/v1/sensors/", "/readings"}, {"/v1/sensors/", "/latest"},
		{"/v1/sensors/", "/buckets"}, {"/v1/readings?sensors=", ""}};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		char path[256];
		snprintf(path, sizeof path, "%s%s%s", paths[i][0], bench.sensors[2], paths[i][1]);
		json_decref(body_of(get(bench.ours, "*/*", "%s", path), 404));
		json_decref(body_of(get(bench.theirs, "*/*", "%s", path), 200));
		json_decref(body_of(get(bench.auditor, "*/*", "%s", path), 200)); /* auditors see all */
	}
	char unit[ID_TEXT_SIZE];
	json_decref(body_of(get(bench.theirs, "*/*", "/v1/readings?unit_id=%s", id_text(bench.unit, unit)), 404));
	json_decref(body_of(get("nothing", "*/*", "/v1/sensors/%s/latest", bench.sensors[0]), 401));
}

static void test_refusals(void **state)
{
	(void)state;
	refused(422, "/step", "step=1x");
	refused(422, "/step", "step=0s");
	refused(422, "/step", "step=99999999999999999999s");
	refused(422, "/step", "agg=mean");
	refused(422, "/step", "step=1h&agg=raw");
	refused(422, "/agg", "step=1h&agg=median");
	refused(422, "/fraction", "step=1h&agg=percentile");
	refused(422, "/fraction", "step=1h&agg=percentile&fraction=2");
	refused(422, "/from", "from=yesterday");
	refused(422, "/to", "to=1e9");
	refused(422, "/to", "from=2026-09-21T00:00:00Z&to=2026-09-21T00:00:00Z");
	refused(422, "/limit", "limit=0");
	refused(422, "/limit", "limit=100001");
	refused(400, "cursor", "cursor=5.5");
	refused(400, "cursor", "cursor=x");
	refused(422, "/other", "other=1");
	json_decref(body_of(get(bench.ours, "*/*", "/v1/readings"), 422));
	json_decref(body_of(get(bench.ours, "*/*", "/v1/readings?sensors=%s,", bench.sensors[0]), 200));
	json_decref(
		body_of(get(bench.ours, "*/*", "/v1/readings?sensors=%s%s", bench.sensors[0], bench.sensors[0]), 422));
	json_decref(body_of(get(bench.ours, "*/*", "/v1/sensors/00000000-0000-7000-8000-000000000000/latest"), 404));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw_pages),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_across),
		cmocka_unit_test(test_latest),
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_tenancy),
		cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
