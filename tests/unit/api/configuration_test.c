/* The resources of configuration over HTTP: life cycle with ETags, pages and filters, the process graph, and tenancy: what is
 * another organisation's is as if it were not there. Real store, audit log, identity and listener on a free port. */
#include "../http/client.h"

#include <ftw.h>
#include <jansson.h>
#include <sys/stat.h>

#include "carbond/api.h"
#include "carbond/base/clock.h"
#include "carbond/base/log.h"
#include "carbond/cache.h"
#include "carbond/identity.h"
#include "carbond/sensing.h"

#define KEY_SIZE IDENTITY_KEY_TEXT_SIZE

static struct bench {
	char folder[64];
	struct api api;
	char admin[KEY_SIZE], ours[KEY_SIZE], theirs[KEY_SIZE], auditor[KEY_SIZE];
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

static void make_key(struct id org, const char *role, char ret_text[KEY_SIZE])
{
	struct api_key key;

	field_clear(api_key_fields, &key);
	key.org_id = org;
	key.label = role;
	key.roles = (struct field_list){&role, 1};
	assert_int_equal(identity_key_create(bench.api.identity, &actor, 1u << IDENTITY_PLATFORM_ADMIN, &key, ret_text,
				 &bench.info),
		ERR_OK);
}

static void make_people(void)
{
	struct organisation one = {.slug = "ours", .name = "Ours", .country = "IS"};
	struct organisation two = {.slug = "theirs", .name = "Theirs", .country = "DE"};

	assert_int_equal(identity_init(bench.api.identity, &one, bench.admin, &bench.info), ERR_OK);
	assert_int_equal(identity_organisation_create(bench.api.identity, &actor, &two, &bench.info), ERR_OK);
	make_key(one.id, "operator", bench.ours);
	make_key(two.id, "operator", bench.theirs);
	make_key(one.id, "auditor", bench.auditor);
}

static bool find_org(void *context, const char *text, struct id *ret_org)
{
	return identity_organisation_find(context, text, ret_org);
}

static int set_up(void **state)
{
	const struct store_collection *const *const rooms[] = {
		audit_collections, identity_collections, sensing_collections};
	const struct store_collection *all[64];
	struct seal_key seal = {.number = 1};
	struct sign_public public;
	struct sign_secret secret;
	struct http_options http = {.address = "127.0.0.1",
		.threads = 1,
		.workers = 2,
		.worker_queue = 64,
		.connections_max = 100,
		.header_deadline_us = 10 * CLOCK_US_PER_SECOND,
		.body_deadline_us = 10 * CLOCK_US_PER_SECOND,
		.idle_deadline_us = 10 * CLOCK_US_PER_SECOND,
		.answer_deadline_us = 30 * CLOCK_US_PER_SECOND};
	struct cache_options cache = {.uri = "local"};
	char uri[80];
	size_t count = 0;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(crypto_start(), ERR_OK);
	strcpy(bench.folder, "/tmp/carbond-api.XXXXXX");
	assert_non_null(mkdtemp(bench.folder));
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
	assert_int_equal(cache_open(&cache, &bench.api.cache, &bench.info), ERR_OK);
	store.context = bench.api.cache;
	assert_int_equal(store_open(&store, &bench.api.store, &bench.info), ERR_OK);
	sign_keypair(&public, &secret);
	struct audit_options audit = {
		.store = bench.api.store, .node = "t", .checkpoint_key = &secret, .checkpoint_us = CLOCK_US_PER_HOUR};
	assert_int_equal(audit_start(&audit, &bench.api.audit, &bench.info), ERR_OK);
	struct identity_options identity = {
		.store = bench.api.store, .audit = bench.api.audit, .cache = bench.api.cache};
	assert_int_equal(identity_start(&identity, &bench.api.identity, &bench.info), ERR_OK);
	struct sensing_options sensing = {.store = bench.api.store,
		.audit = bench.api.audit,
		.node = "t",
		.shards = 1,
		.shard_queue = 16,
		.flush_us = 300 * CLOCK_US_PER_SECOND,
		.memory_bytes = 64 << 20,
		.log_retention_us = CLOCK_US_PER_DAY,
		.find_org = find_org,
		.find_org_context = bench.api.identity};
	assert_int_equal(sensing_start(&sensing, &bench.api.sensing, &bench.info), ERR_OK);
	bench.api.node = "t";
	bench.api.version = "0";
	make_people();
	assert_int_equal(api_start(&bench.api, &http, &bench.info), ERR_OK);
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
	memset(&bench, 0, sizeof(bench));
	return 0;
}

/* ---- asking ---- */

struct answer {
	int status;
	json_t *body; /* NULL: none */
	char etag[32], location[128];
};

static void copy_header(const struct response *response, const char *name, char *ret_text, size_t size)
{
	const char *value = header_of(response, name);

	assert_true(!value || strlen(value) < size);
	strcpy(ret_text, value ? value : "");
}

static struct answer ask(const char *key, const char *method, const char *path, const char *if_match, const char *body)
{
	struct answer answer = {0};
	struct response response;
	char match[64] = "";

	if (if_match)
		snprintf(match, sizeof(match), "If-Match: %s\r\n", if_match);
	client_doing = path;
	response = client_ask(http_server_port(bench.api.http_server),
		"%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n%s%sContent-Length: "
		"%zu\r\n\r\n%s",
		method, path, key, match, body ? "Content-Type: application/json\r\n" : "", body ? strlen(body) : 0,
		body ? body : "");
	answer.status = response.status;
	answer.body = json_loadb(response.body ? response.body : "", response.body_size, 0, NULL);
	copy_header(&response, "ETag", answer.etag, sizeof(answer.etag));
	copy_header(&response, "Location", answer.location, sizeof(answer.location));
	response_free(&response);
	return answer;
}

static int status_of(const char *key, const char *method, const char *path, const char *if_match, const char *body)
{
	struct answer answer = ask(key, method, path, if_match, body);

	json_decref(answer.body);
	return answer.status;
}

static const char *text_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* Creates and returns the new row's path. */
static void create(
	const char *key, const char *collection, const char *body, char ret_path[128], char ret_id[ID_TEXT_SIZE])
{
	struct answer answer = ask(key, "POST", collection, NULL, body);

	if (answer.status != 201)
		fail_msg("POST %s: %d %s", collection, answer.status, text_at(answer.body, "detail"));
	snprintf(ret_path, 128, "%s", answer.location);
	snprintf(ret_id, ID_TEXT_SIZE, "%s", text_at(answer.body, "id"));
	assert_true(strlen(ret_path) > strlen(collection));
	json_decref(answer.body);
}

#define UNIT                                                                                                           \
	"{\"slug\": \"%s\", \"code\": \"%s\", \"name\": \"A plant\", \"country\": \"IS\", \"nameplate_kg_per_hour\": " \
	"500}"

static void create_unit(
	const char *key, const char *slug, const char *code, char ret_path[128], char ret_id[ID_TEXT_SIZE])
{
	char body[256];

	snprintf(body, sizeof(body), UNIT, slug, code);
	create(key, "/v1/units", body, ret_path, ret_id);
}

static void create_point(const char *key, const char *unit, const char *code, const char *more, char ret_path[128],
	char ret_id[ID_TEXT_SIZE])
{
	char body[512];

	snprintf(body, sizeof(body),
		"{\"unit_id\": \"%s\", \"code\": \"%s\", \"name\": \"%s\", \"role\": \"captured\"%s}", unit, code, code,
		more);
	create(key, "/v1/metering-points", body, ret_path, ret_id);
}

static void sensor_body(char body[512], const char *point, const char *tag)
{
	snprintf(body, 512,
		"{\"metering_point_id\": \"%s\", \"tag\": \"%s\", \"quantity\": \"mass_flow\", \"unit\": \"kg/h\", "
		"\"sampling_period_us\": 1000000, \"range_low\": 0, \"range_high\": 1000}",
		point, tag);
}

/* ---- tests ---- */

/* A row that is kept for the next reader is forgotten with its change, and seen by those alone whose it is. */
static void what_is_kept_is_the_newest(void **state)
{
	char path[128], id[ID_TEXT_SIZE], patch[64], name[32];
	int64_t kept = metric_value(METRIC_CACHE_HITS);

	(void)state;
	create_unit(bench.ours, "kept", "KEPT", path, id);
	assert_int_equal(status_of(bench.ours, "GET", path, NULL, NULL), 200);
	assert_int_equal(status_of(bench.ours, "GET", path, NULL, NULL), 200);
	assert_int_equal(metric_value(METRIC_CACHE_HITS), kept + 1);
	assert_int_equal(status_of(bench.theirs, "GET", path, NULL, NULL), 404);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "name %d", i);
		snprintf(patch, sizeof(patch), "{\"name\": \"%s\"}", name);
		assert_int_equal(status_of(bench.ours, "PATCH", path, "*", patch), 200);
		for (int read = 0; read < 2; read++) {
			struct answer answer = ask(bench.ours, "GET", path, NULL, NULL);
			assert_string_equal(text_at(answer.body, "name"), name);
			json_decref(answer.body);
		}
	}
	assert_int_equal(status_of(bench.ours, "DELETE", path, "*", NULL), 204);
	assert_int_equal(status_of(bench.ours, "GET", path, NULL, NULL), 404);
}

static void a_unit_lives_by_its_etag(void **state)
{
	char path[128], id[ID_TEXT_SIZE];
	struct answer answer;

	(void)state;
	create_unit(bench.ours, "plant", "PL1", path, id);
	answer = ask(bench.ours, "GET", path, NULL, NULL);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.etag, "\"1\"");
	assert_string_equal(text_at(answer.body, "state"), "planned");
	json_decref(answer.body);
	assert_int_equal(status_of(bench.ours, "PATCH", path, NULL, "{\"name\": \"B\"}"), 428);
	assert_int_equal(status_of(bench.ours, "PATCH", path, "\"7\"", "{\"name\": \"B\"}"), 412);
	answer = ask(bench.ours, "PATCH", path, "\"1\"", "{\"name\": \"B\"}");
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.etag, "\"2\"");
	assert_string_equal(text_at(answer.body, "name"), "B");
	json_decref(answer.body);
	assert_int_equal(status_of(bench.ours, "PATCH", path, "*", "{\"name\": \"C\"}"), 200);
	assert_int_equal(status_of(bench.ours, "DELETE", path, "\"2\"", NULL), 412);
	assert_int_equal(status_of(bench.ours, "DELETE", path, "\"3\"", NULL), 204);
	assert_int_equal(status_of(bench.ours, "GET", path, NULL, NULL), 404);
}

static void faults_name_their_field(void **state)
{
	static const struct {
		const char *body, *pointer;
		int status;
	} faults[] = {
		{"{\"slug\": \"p\"}", "/code", 422},
		{"{\"slug\": \"P\", \"code\": \"PL1\", \"name\": \"x\", \"country\": \"IS\", "
		 "\"nameplate_kg_per_hour\": 1}",
			"/slug", 422},
		{"{\"slug\": \"p\", \"code\": \"PL1\", \"name\": \"x\", \"country\": \"XX\", "
		 "\"nameplate_kg_per_hour\": 1}",
			"/country", 422},
		{"{\"slug\": \"p\", \"code\": \"PL1\", \"name\": \"x\", \"country\": \"IS\", "
		 "\"nameplate_kg_per_hour\": 0}",
			"/nameplate_kg_per_hour", 422},
		{"{\"slug\": \"p\", \"code\": \"PL1\", \"name\": \"x\", \"country\": \"IS\", "
		 "\"nameplate_kg_per_hour\": 1, \"colour\": 1}",
			"/colour", 422},
		{"{\"id\": \"0190a000-0000-7000-8000-000000000000\"}", "/id", 422},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		struct answer answer = ask(bench.ours, "POST", "/v1/units", NULL, faults[i].body);
		assert_int_equal(answer.status, faults[i].status);
		assert_string_equal(text_at(answer.body, "pointer"), faults[i].pointer);
		json_decref(answer.body);
	}
}

/* Every way to a row of another organisation answers 404, and creating below one too. */
static void what_is_anothers_is_not_there(void **state)
{
	char unit_path[128], unit[ID_TEXT_SIZE], point_path[128], point[ID_TEXT_SIZE], sensor_path[128],
		sensor[ID_TEXT_SIZE];
	char calibration_path[128], calibration[ID_TEXT_SIZE], overlay_path[128], overlay[ID_TEXT_SIZE];
	char body[512], path[256];
	const char *const rows[] = {unit_path, point_path, sensor_path, calibration_path, overlay_path};
	const char *const lists[] = {"/v1/metering-points?unit_id=", "/v1/sensors?unit_id="};
	const char *const sensor_lists[] = {"/v1/calibrations?sensor_id=", "/v1/overlays?sensor_id="};

	(void)state;
	create_unit(bench.ours, "plant", "PL1", unit_path, unit);
	create_point(bench.ours, unit, "CAP", ", \"claimable\": true", point_path, point);
	sensor_body(body, point, "FT");
	create(bench.ours, "/v1/sensors", body, sensor_path, sensor);
	snprintf(body, sizeof(body),
		"{\"sensor_id\": \"%s\", \"certificate\": \"C\", \"laboratory\": \"L\", \"performed_at\": "
		"\"2026-01-01T00:00:00Z\", "
		"\"valid_from\": \"2026-01-01T00:00:00Z\", \"valid_until\": \"2027-01-01T00:00:00Z\", "
		"\"uncertainty_ppm\": 5000}",
		sensor);
	create(bench.ours, "/v1/calibrations", body, calibration_path, calibration);
	assert_int_equal(status_of(bench.theirs, "POST", "/v1/calibrations", NULL, body), 404);
	snprintf(body, sizeof(body),
		"{\"sensor_id\": \"%s\", \"from\": \"2026-01-01T00:00:00Z\", \"to\": \"2026-01-02T00:00:00Z\", "
		"\"quality\": "
		"\"suspect\", \"reason\": \"wet\"}",
		sensor);
	create(bench.ours, "/v1/overlays", body, overlay_path, overlay);
	assert_int_equal(status_of(bench.theirs, "POST", "/v1/overlays", NULL, body), 404);
	sensor_body(body, point, "GT");
	assert_int_equal(status_of(bench.theirs, "POST", "/v1/sensors", NULL, body), 404);
	snprintf(body, sizeof(body), "{\"unit_id\": \"%s\", \"code\": \"X\", \"name\": \"x\", \"role\": \"other\"}",
		unit);
	assert_int_equal(status_of(bench.theirs, "POST", "/v1/metering-points", NULL, body), 404);

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(status_of(bench.ours, "GET", rows[i], NULL, NULL), 200);
		assert_int_equal(status_of(bench.theirs, "GET", rows[i], NULL, NULL), 404);
		if (i < 3)
			assert_int_equal(status_of(bench.theirs, "PATCH", rows[i], "*", "{\"name\": \"stolen\"}"), 404);
		if (i < 4)
			assert_int_equal(status_of(bench.theirs, "DELETE", rows[i], "*", NULL), 404);
		assert_int_equal(status_of(bench.auditor, "GET", rows[i], NULL, NULL), 200);
	}
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s%s", lists[i], unit);
		assert_int_equal(status_of(bench.theirs, "GET", path, NULL, NULL), 404);
		snprintf(path, sizeof(path), "%s%s", sensor_lists[i], sensor);
		assert_int_equal(status_of(bench.theirs, "GET", path, NULL, NULL), 404);
		assert_int_equal(status_of(bench.ours, "GET", path, NULL, NULL), 200);
	}
	snprintf(path, sizeof(path), "%s/graph", unit_path);
	assert_int_equal(status_of(bench.theirs, "GET", path, NULL, NULL), 404);
	assert_int_equal(status_of(bench.auditor, "PATCH", unit_path, "*", "{\"name\": \"x\"}"), 403);
	/* a row moves to no other organisation */
	assert_int_equal(status_of(bench.ours, "PATCH", unit_path, "*",
				 "{\"org_id\": \"0190a000-0000-7000-8000-000000000000\"}"),
		422);
}

static void lists_come_in_pages_and_only_of_ones_own(void **state)
{
	char path[256] = "/v1/units?limit=2", row[128], id[ID_TEXT_SIZE], slug[16], code[16];
	size_t seen = 0, pages = 0;

	(void)state;
	for (int i = 0; i < 5; i++) {
		snprintf(slug, sizeof(slug), "u%d", i);
		snprintf(code, sizeof(code), "U%d", i);
		create_unit(bench.ours, slug, code, row, id);
	}
	create_unit(bench.theirs, "u0", "T0", row, id);
	while (*path) {
		struct answer answer = ask(bench.ours, "GET", path, NULL, NULL);
		const char *next;
		assert_int_equal(answer.status, 200);
		seen += json_array_size(json_object_get(answer.body, "items"));
		pages++;
		next = text_at(answer.body, "next_cursor");
		if (*next)
			snprintf(path, sizeof(path), "/v1/units?limit=2&cursor=%s", next);
		else
			*path = '\0';
		json_decref(answer.body);
	}
	assert_int_equal(seen, 5);
	assert_int_equal(pages, 3);
	struct answer all = ask(bench.admin, "GET", "/v1/units", NULL, NULL);
	assert_int_equal(json_array_size(json_object_get(all.body, "items")), 6);
	json_decref(all.body);
	assert_int_equal(status_of(bench.ours, "GET", "/v1/units?cursor=nonsense", NULL, NULL), 400);
}

static void a_sensor_is_found_by_its_tag(void **state)
{
	char unit_path[128], unit[ID_TEXT_SIZE], row[128], point[ID_TEXT_SIZE], sensor[ID_TEXT_SIZE], body[512],
		path[256];
	struct answer answer;

	(void)state;
	create_unit(bench.ours, "plant", "PL1", unit_path, unit);
	create_point(bench.ours, unit, "CAP", "", row, point);
	sensor_body(body, point, "FT-1");
	create(bench.ours, "/v1/sensors", body, row, sensor);
	sensor_body(body, point, "FT-2");
	create(bench.ours, "/v1/sensors", body, row, sensor);
	snprintf(path, sizeof(path), "/v1/sensors?unit_id=%s&tag=FT-2", unit);
	answer = ask(bench.ours, "GET", path, NULL, NULL);
	assert_int_equal(answer.status, 200);
	assert_int_equal(json_array_size(json_object_get(answer.body, "items")), 1);
	assert_string_equal(text_at(json_array_get(json_object_get(answer.body, "items"), 0), "id"), sensor);
	json_decref(answer.body);
	snprintf(path, sizeof(path), "/v1/sensors?metering_point_id=%s", point);
	answer = ask(bench.ours, "GET", path, NULL, NULL);
	assert_int_equal(json_array_size(json_object_get(answer.body, "items")), 2);
	json_decref(answer.body);
	assert_int_equal(status_of(bench.ours, "GET", "/v1/sensors?tag=FT-2", NULL, NULL), 422);
}

static void the_graph_says_what_it_lacks(void **state)
{
	char unit_path[128], unit[ID_TEXT_SIZE], row[128], id[ID_TEXT_SIZE], path[256];
	struct answer answer;

	(void)state;
	create_unit(bench.ours, "plant", "PL1", unit_path, unit);
	create_point(bench.ours, unit, "OUT", "", row, id);
	create_point(bench.ours, unit, "IN", ", \"downstream\": [\"OUT\"]", row, id);
	snprintf(path, sizeof(path), "%s/graph", unit_path);
	answer = ask(bench.ours, "GET", path, NULL, NULL);
	assert_int_equal(answer.status, 200);
	assert_true(json_is_false(json_object_get(answer.body, "complete")));
	assert_non_null(strstr(text_at(answer.body, "fault"), "IN → OUT"));
	assert_int_equal(json_array_size(json_object_get(answer.body, "points")), 2);
	assert_int_equal(json_array_size(json_object_get(answer.body, "edges")), 1);
	json_decref(answer.body);
	answer = ask(bench.ours, "PATCH", unit_path, "*", "{\"state\": \"operating\"}");
	assert_int_equal(answer.status, 422);
	json_decref(answer.body);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_unit_lives_by_its_etag),
		TEST(what_is_kept_is_the_newest),
		TEST(faults_name_their_field),
		TEST(what_is_anothers_is_not_there),
		TEST(lists_come_in_pages_and_only_of_ones_own),
		TEST(a_sensor_is_found_by_its_tag),
		TEST(the_graph_says_what_it_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
