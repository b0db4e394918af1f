/* The access matrix: every route with every role. The rows of roles.def say who passes; each route stands here with its
 * own method, path and permission, but with a handler that does nothing. */
#include "service.h"

#define ROUTES_MAX 512

static struct http_route open_routes[ROUTES_MAX + 1];
static const struct http_route *open_tables[] = {open_routes, NULL};
static size_t route_count;

static enum err pass(struct http_request *request, struct err_info *ret_info)
{
	(void)ret_info;
	return http_answer_empty(request);
}

static int start(void **state)
{
	(void)state;
	for (size_t i = 0; api_tables[i]; i++) {
		for (const struct http_route *route = api_tables[i]; route->path; route++) {
			assert_true(route_count < ROUTES_MAX);
			open_routes[route_count] = *route;
			open_routes[route_count].kind = HTTP_INLINE;
			open_routes[route_count].flags &= HTTP_PUBLIC;
			open_routes[route_count].query = open_routes[route_count].request = NULL;
			open_routes[route_count++].handler = pass;
		}
	}
	service_start(open_tables, NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	service_stop();
	return 0;
}

static const char *method_of(const struct http_route *route)
{
	static const char *const texts[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
	return texts[route->method];
}

/* "GET /v1/units/0192…" from the row's pattern. */
static void request_line(const struct http_route *route, char *ret_line, size_t size)
{
	size_t length = (size_t)snprintf(ret_line, size, "%s ", method_of(route));
	for (const char *at = route->path; *at; at++) {
		if (*at == '{') {
			length += (size_t)snprintf(
				ret_line + length, size - length, "0192f5e0-0000-7000-8000-000000000001");
			at = strchr(at, '}');
		} else {
			ret_line[length++] = *at;
		}
	}
	ret_line[length] = 0;
}

static void every_permission_of_a_route_is_in_the_matrix(void **state)
{
	(void)state;
	for (size_t i = 0; i < route_count; i++) {
		const struct http_route *route = &open_routes[i];
		if (!(route->flags & HTTP_PUBLIC) && !identity_permission_exists(route->permission))
			fail_msg("%s %s: roles.def has no permission %s", method_of(route), route->path,
				route->permission);
	}
}

static void without_a_key_only_public_routes_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < route_count; i++) {
		char line[512];
		request_line(&open_routes[i], line, sizeof line);
		struct response response = call(NULL, line, "", NULL);
		int wanted = open_routes[i].flags & HTTP_PUBLIC ? 204 : 401;
		if (response.status != wanted)
			fail_msg("%s: %d, wanted %d", line, response.status, wanted);
		response_free(&response);
	}
}

static void each_role_passes_where_the_matrix_says(void **state)
{
	(void)state;
	size_t passed = 0, refused = 0;
	for (unsigned role = 0; role < IDENTITY_ROLE_COUNT; role++) {
		const char *name = identity_role_text((enum identity_role)role);
		const char *key = service_key(house.id, name, 0);
		for (size_t i = 0; i < route_count; i++) {
			const struct http_route *route = &open_routes[i];
			char line[512];
			request_line(route, line, sizeof line);
			bool may = (route->flags & HTTP_PUBLIC) ||
				   identity_scope_of(1u << role, route->permission) != IDENTITY_NO;
			struct response response = call(key, line, "", NULL);
			if (response.status != (may ? 204 : 403))
				fail_msg("%s as %s: %d, wanted %d", line, name, response.status, may ? 204 : 403);
			response_free(&response);
			*(may ? &passed : &refused) += 1;
		}
	}
	assert_true(passed > 0 && refused > 0);
}

/* The rows that separate duties; a change of the table must be meant. */
static void duties_are_separate(void **state)
{
	(void)state;
	static const struct {
		const char *permission;
		unsigned roles;
	} rows[] = {{"period:attest", 1u << IDENTITY_VERIFIER}, {"period:issue", 1u << IDENTITY_ISSUER},
		{"period:write", 1u << IDENTITY_ORG_ADMIN | 1u << IDENTITY_OPERATOR},
		{"verifier:write", 1u << IDENTITY_PLATFORM_ADMIN},
		{"organisation:create", 1u << IDENTITY_PLATFORM_ADMIN}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (unsigned role = 0; role < IDENTITY_ROLE_COUNT; role++) {
			bool may = identity_scope_of(1u << role, rows[i].permission) != IDENTITY_NO;
			if (may != ((rows[i].roles & 1u << role) != 0))
				fail_msg("%s and %s", rows[i].permission, identity_role_text((enum identity_role)role));
		}
	}
	size_t count;
	const struct identity_permission *all = identity_permissions(&count);
	for (size_t i = 0; i < count; i++) {
		const char *verb = strchr(all[i].name, ':') + 1;
		if (strcmp(verb, "read") != 0 && all[i].reach[IDENTITY_AUDITOR] != IDENTITY_NO)
			fail_msg("an auditor may %s", all[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_permission_of_a_route_is_in_the_matrix),
		cmocka_unit_test(without_a_key_only_public_routes_answer),
		cmocka_unit_test(each_role_passes_where_the_matrix_says),
		cmocka_unit_test(duties_are_separate),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
