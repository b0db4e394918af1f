/* Organisations, keys and the daemon's own pages over HTTP: life cycles, versions, and the walls between tenants. */
#include "service.h"

static atomic_bool store_is_ready = true;

static bool store_ready(void *context, char *reason, size_t size)
{
	(void)context;
	snprintf(reason, size, "the disk is full");
	return store_is_ready;
}

static const struct api_check checks[] = {{"store", store_ready, NULL}, {NULL, NULL, NULL}};

static struct id north;
static char north_path[128];
static const char *north_admin, *north_operator, *house_admin;

static int start(void **state)
{
	(void)state;
	service_start(NULL, checks);
	house_admin = service_key(house.id, "org-admin", 0);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	service_stop();
	return 0;
}

#define NORTH "{\"slug\": \"north\", \"name\": \"North\", \"country\": \"NO\"}"

static void an_organisation_is_created_read_changed(void **state)
{
	(void)state;
	struct response made = call(root_key, "POST /v1/organisations", "", NORTH);
	assert_int_equal(made.status, 201);
	assert_string_equal(header_of(&made, "ETag"), "\"1\"");
	snprintf(north_path, sizeof north_path, "%.127s", header_of(&made, "Location"));
	assert_int_equal(id_parse(strrchr(north_path, '/') + 1, &north), ERR_OK);
	response_free(&made);
	north_admin = service_key(north, "org-admin", 1);
	north_operator = service_key(north, "operator", 2);
	json_decref(call_for(409, root_key, "POST /v1/organisations", "", NORTH));
	json_decref(call_for(403, north_admin, "POST /v1/organisations", "", NORTH));
	json_decref(call_for(422, root_key, "POST /v1/organisations", "",
		"{\"slug\": \"No Slug\", \"name\": \"x\", \"country\": \"NO\"}"));
	char line[256];
	snprintf(line, sizeof line, "GET %s", north_path);
	json_t *found = call_for(200, north_operator, line, "", NULL);
	assert_string_equal(member(found, "slug"), "north");
	assert_string_equal(member(found, "state"), "active");
	json_decref(found);
	snprintf(line, sizeof line, "PATCH %s", north_path);
	json_decref(call_for(428, north_admin, line, "", "{\"name\": \"Northern\"}"));
	found = call_for(200, north_admin, line, "If-Match: \"1\"\r\n", "{\"name\": \"Northern\"}");
	assert_string_equal(member(found, "name"), "Northern");
	assert_int_equal(json_integer_value(json_object_get(found, "version")), 2);
	json_decref(found);
	json_decref(call_for(412, north_admin, line, "If-Match: \"1\"\r\n", "{\"name\": \"Again\"}"));
	json_decref(call_for(422, north_admin, line, "If-Match: \"2\"\r\n", "{\"slug\": \"south\"}"));
	json_decref(call_for(403, north_admin, line, "If-Match: \"2\"\r\n", "{\"state\": \"suspended\"}"));
	json_decref(call_for(403, north_operator, line, "If-Match: \"2\"\r\n", "{\"name\": \"Mine\"}"));
}

static void tenants_do_not_see_each_other(void **state)
{
	(void)state;
	char line[256];
	snprintf(line, sizeof line, "GET %s", north_path);
	json_decref(call_for(404, house_admin, line, "", NULL));
	json_decref(call_for(200, root_key, line, "", NULL));
	json_t *own = call_for(200, north_operator, "GET /v1/organisations", "", NULL);
	assert_int_equal(json_array_size(json_object_get(own, "items")), 1);
	json_decref(own);
	json_t *all = call_for(200, root_key, "GET /v1/organisations", "", NULL);
	assert_int_equal(json_array_size(json_object_get(all, "items")), 2);
	json_decref(all);
	char text[ID_TEXT_SIZE];
	snprintf(line, sizeof line, "GET /v1/keys?org_id=%s", id_text(north, text));
	json_decref(call_for(403, house_admin, line, "", NULL));
	json_decref(call_for(200, root_key, line, "", NULL));
	char body[256];
	snprintf(body, sizeof body, "{\"org_id\": \"%s\", \"label\": \"spy\", \"roles\": [\"operator\"]}", text);
	json_decref(call_for(403, house_admin, "POST /v1/keys", "", body));
}

static void a_key_is_made_shown_once_used_and_revoked(void **state)
{
	(void)state;
	char line[256];
	json_decref(call_for(403, north_admin, "POST /v1/keys", "", "{\"label\": \"v\", \"roles\": [\"verifier\"]}"));
	json_decref(call_for(422, north_admin, "POST /v1/keys", "", "{\"label\": \"v\", \"roles\": [\"king\"]}"));
	json_decref(call_for(403, north_operator, "POST /v1/keys", "", "{\"label\": \"v\", \"roles\": [\"device\"]}"));
	json_t *made =
		call_for(201, north_admin, "POST /v1/keys", "", "{\"label\": \"gateway\", \"roles\": [\"operator\"]}");
	const char *key = member(made, "key"), *id = member(made, "id");
	assert_non_null(key);
	json_t *self = call_for(200, key, "GET /v1/keys/self", "", NULL);
	assert_string_equal(member(self, "id"), id);
	assert_string_equal(member(self, "label"), "gateway");
	assert_null(member(self, "key"));
	assert_non_null(member(self, "last_used_at"));
	json_decref(self);
	json_t *own = call_for(200, key, "GET /v1/keys", "", NULL); /* an operator sees only the key it calls with */
	assert_int_equal(json_array_size(json_object_get(own, "items")), 1);
	json_decref(own);
	snprintf(line, sizeof line, "GET /v1/keys/%s", id);
	json_decref(call_for(404, house_admin, line, "", NULL));
	json_decref(call_for(404, north_operator, line, "", NULL));
	json_decref(call_for(200, north_admin, line, "", NULL));
	snprintf(line, sizeof line, "DELETE /v1/keys/%s", id);
	json_decref(call_for(404, house_admin, line, "", NULL));
	json_t *revoked = call_for(200, north_admin, line, "", NULL);
	assert_non_null(member(revoked, "revoked_at"));
	json_decref(revoked);
	json_decref(call_for(401, key, "GET /v1/keys/self", "", NULL));
	json_decref(made);
}

static void pages_go_on_behind_their_cursor(void **state)
{
	(void)state;
	size_t seen = 0;
	char line[1024] = "GET /v1/keys?limit=2", first[64] = "";
	for (int page = 0; page < 50 && line[0]; page++) {
		json_t *answer = call_for(200, north_admin, line, "", NULL);
		json_t *items = json_object_get(answer, "items");
		assert_in_range(json_array_size(items), 1, 2);
		seen += json_array_size(items);
		const char *id = member(json_array_get(items, 0), "id");
		assert_true(strcmp(first, id) < 0); /* in order, none twice */
		snprintf(first, sizeof first, "%s", id);
		const char *next = member(answer, "next_cursor");
		line[0] = 0;
		if (next)
			snprintf(line, sizeof line, "GET /v1/keys?limit=2&cursor=%s", next);
		json_decref(answer);
	}
	assert_int_equal(seen, 3);
	json_decref(call_for(400, north_admin, "GET /v1/keys?cursor=nonsense", "", NULL));
	json_t *foreign = call_for(200, root_key, "GET /v1/organisations?limit=1", "", NULL);
	snprintf(line, sizeof line, "GET /v1/keys?cursor=%s", member(foreign, "next_cursor"));
	json_decref(call_for(400, north_admin, line, "", NULL));
	json_decref(foreign);
}

static void a_closed_organisation_keeps_its_record_and_loses_its_keys(void **state)
{
	(void)state;
	char line[256];
	snprintf(line, sizeof line, "DELETE %s", north_path);
	json_decref(call_for(403, north_admin, line, "If-Match: \"2\"\r\n", NULL));
	json_t *closed = call_for(200, root_key, line, "If-Match: \"2\"\r\n", NULL);
	assert_string_equal(member(closed, "state"), "closed");
	json_decref(closed);
	json_decref(call_for(403, north_admin, "GET /v1/organisations", "", NULL));
	json_decref(call_for(409, root_key, line, "If-Match: *\r\n", NULL));
	snprintf(line, sizeof line, "GET %s", north_path);
	json_decref(call_for(200, root_key, line, "", NULL));
}

static void the_daemon_says_how_it_is(void **state)
{
	(void)state;
	json_decref(call_for(200, NULL, "GET /healthz", "", NULL));
	json_decref(call_for(200, NULL, "GET /readyz", "", NULL));
	store_is_ready = false;
	json_t *problem = call_for(503, NULL, "GET /readyz", "", NULL);
	assert_non_null(strstr(member(problem, "detail"), "store: the disk is full"));
	json_decref(problem);
	store_is_ready = true;
	json_t *version = call_for(200, NULL, "GET /version", "", NULL);
	assert_string_equal(member(version, "version"), "0.0.0");
	json_decref(version);
	struct response metrics = call(NULL, "GET /metrics", "", NULL);
	assert_non_null(strstr(metrics.body, "carbond_http_answers_2xx_total"));
	response_free(&metrics);
	json_t *kinds = call_for(200, NULL, "GET /v1/errors", "", NULL);
	assert_true(json_array_size(json_object_get(kinds, "items")) > 20);
	json_decref(kinds);
	json_t *kind = call_for(200, NULL, "GET /problems/not-found", "", NULL);
	assert_int_equal(json_integer_value(json_object_get(kind, "status")), 404);
	json_decref(kind);
	json_decref(call_for(404, NULL, "GET /problems/no-such", "", NULL));
	json_t *roles = call_for(200, NULL, "GET /v1/roles", "", NULL);
	assert_int_equal(json_array_size(json_object_get(roles, "items")), IDENTITY_ROLE_COUNT);
	json_decref(roles);
	json_t *document = call_for(200, NULL, "GET /openapi.json", "", NULL);
	assert_string_equal(member(document, "openapi"), "3.1.0");
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_organisation_is_created_read_changed),
		cmocka_unit_test(tenants_do_not_see_each_other),
		cmocka_unit_test(a_key_is_made_shown_once_used_and_revoked),
		cmocka_unit_test(pages_go_on_behind_their_cursor),
		cmocka_unit_test(a_closed_organisation_keeps_its_record_and_loses_its_keys),
		cmocka_unit_test(the_daemon_says_how_it_is),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
