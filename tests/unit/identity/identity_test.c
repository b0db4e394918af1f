/* Keys and organisations over a real store: who gets in, how far, and that a secret is kept nowhere. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carbond/base/clock.h"
#include "carbond/base/sign.h"
#include "carbond/identity.h"

static char folder[64];
static struct store *store;
static struct audit *audit;
static struct cache *cache;
static struct identity *identity;
static struct arena *arena;
static struct err_info info;
static struct organisation house;
static char root_key[IDENTITY_KEY_TEXT_SIZE];
static const struct audit_actor actor = {.name = "test"};

static void open_all(void)
{
	const struct store_collection *collections[32] = {NULL};
	size_t count = 0;
	char uri[96];
	struct sign_public public;
	struct sign_secret secret;
	static const uint8_t seed[32] = {7};
	for (size_t i = 0; audit_collections[i]; i++)
		collections[count++] = audit_collections[i];
	for (size_t i = 0; identity_collections[i]; i++)
		collections[count++] = identity_collections[i];
	snprintf(uri, sizeof uri, "sqlite:%s", folder);
	sign_keypair_from_seed(seed, &public, &secret);
	const struct store_options options = {.uri = uri, .collections = collections};
	const struct audit_options audit_options = {.store = NULL, .node = "n1", .checkpoint_key = &secret};
	struct audit_options with_store = audit_options;
	if (store_open(&options, &store, &info) != ERR_OK)
		fail_msg("store: %s", info.detail);
	with_store.store = store;
	if (audit_start(&with_store, &audit, &info) != ERR_OK)
		fail_msg("audit: %s", info.detail);
	assert_int_equal(cache_open(&(struct cache_options){.uri = "local"}, &cache, &info), ERR_OK);
	const struct identity_options identity_options = {
		.store = store, .audit = audit, .cache = cache, .key_rate = {100, 1}, .peer_rate = {100000, 1}};
	if (identity_start(&identity_options, &identity, &info) != ERR_OK)
		fail_msg("identity: %s", info.detail);
}

static void close_all(void)
{
	identity_stop(&identity);
	cache_close(&cache);
	audit_stop(&audit);
	store_close(&store);
}

static void remove_folder(void)
{
	DIR *open = opendir(folder);
	for (struct dirent *entry; open && (entry = readdir(open));) {
		char path[512];
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		unlink(path);
	}
	if (open)
		closedir(open);
	rmdir(folder);
}

static int start(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/identity_test.XXXXXX");
	assert_int_equal(crypto_start(), ERR_OK);
	assert_non_null(mkdtemp(folder));
	arena = arena_new(0);
	open_all();
	house = (struct organisation){.slug = "house", .name = "The house", .country = "CH"};
	if (identity_init(identity, &house, root_key, &info) != ERR_OK)
		fail_msg("init: %s", info.detail);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	close_all();
	arena_free(&arena);
	remove_folder();
	return 0;
}

static enum err ask(const char *key, const char *permission, struct identity_actor *ret_actor)
{
	char authorization[256];
	int64_t retry_us;
	snprintf(authorization, sizeof authorization, "Bearer %s", key);
	const struct identity_check check = {
		.authorization = authorization, .permission = permission, .peer = "192.0.2.1", .cost = 0};
	return identity_authenticate(identity, &check, ret_actor, &retry_us, &info);
}

static enum err may(const char *key, const char *permission)
{
	struct identity_actor ignored;
	return ask(key, permission, &ignored);
}

static struct api_key make_key(struct id org, const char *role, char ret_text[IDENTITY_KEY_TEXT_SIZE])
{
	static const char *roles[1];
	roles[0] = role;
	struct api_key key = {
		.org_id = org, .label = "a key", .roles = {.items = roles, .count = 1}, .expires_at = FIELD_ABSENT};
	if (identity_key_create(identity, &actor, 1u << IDENTITY_PLATFORM_ADMIN, &key, ret_text, &info) != ERR_OK)
		fail_msg("key: %s", info.detail);
	return key;
}

static struct organisation make_org(const char *slug)
{
	struct organisation org = {.slug = slug, .name = "A name", .country = "NO"};
	if (identity_organisation_create(identity, &actor, &org, &info) != ERR_OK)
		fail_msg("organisation: %s", info.detail);
	return org;
}

static void the_first_start_gives_one_administrator(void **state)
{
	(void)state;
	struct identity_actor root;
	struct organisation second = {.slug = "second", .name = "Second", .country = "CH"};
	char text[IDENTITY_KEY_TEXT_SIZE];
	assert_int_equal(ask(root_key, "organisation:create", &root), ERR_OK);
	assert_int_equal(root.scope, IDENTITY_ANY);
	assert_true(id_equal(root.org, house.id));
	assert_int_equal(root.roles, 1u << IDENTITY_PLATFORM_ADMIN);
	assert_int_equal(identity_init(identity, &second, text, &info), ERR_DUPLICATE);
}

static void wrong_keys_are_all_told_the_same(void **state)
{
	(void)state;
	char key[IDENTITY_KEY_TEXT_SIZE];
	size_t size = strlen(root_key);
	/* every single character counts */
	for (size_t i = 0; i < size; i++) {
		strcpy(key, root_key);
		key[i] = key[i] == 'A' ? 'B' : 'A';
		enum err err = may(key, "organisation:read");
		bool same_id = i >= 4 && i < 40 && (root_key[i] == 'a' || root_key[i] == 'b'); /* hex of either case */
		if (err != ERR_UNAUTHENTICATED && !same_id)
			fail_msg("a key changed at %zu was taken", i);
		assert_string_equal(info.detail, "send Authorization: Bearer with a valid API key");
	}
	strcpy(key, root_key);
	key[size - 1] = 0;
	assert_int_equal(may(key, "organisation:read"), ERR_UNAUTHENTICATED);
	assert_int_equal(may("", "organisation:read"), ERR_UNAUTHENTICATED);
	assert_int_equal(may("cck_", "organisation:read"), ERR_UNAUTHENTICATED);
	struct identity_actor nobody;
	int64_t retry_us;
	const struct identity_check none = {.permission = "organisation:read", .peer = "192.0.2.1"};
	assert_int_equal(identity_authenticate(identity, &none, &nobody, &retry_us, &info), ERR_UNAUTHENTICATED);
}

static void roles_decide_what_a_key_may(void **state)
{
	(void)state;
	char text[IDENTITY_KEY_TEXT_SIZE];
	struct identity_actor found;
	struct organisation org = make_org("roles-org");
	make_key(org.id, "operator", text);
	assert_int_equal(ask(text, "unit:write", &found), ERR_OK);
	assert_int_equal(found.scope, IDENTITY_ORG);
	assert_string_equal(found.name, "a key");
	assert_int_equal(may(text, "period:attest"), ERR_FORBIDDEN);
	assert_non_null(strstr(info.detail, "period:attest"));
	assert_int_equal(may(text, "no:such"), ERR_FORBIDDEN);
}

static void revoked_and_expired_keys_and_those_of_suspended_organisations_are_refused(void **state)
{
	(void)state;
	char text[IDENTITY_KEY_TEXT_SIZE];
	static const char *roles[] = {"operator"};
	struct organisation org = make_org("ended-org");
	struct api_key key = make_key(org.id, "operator", text), revoked;
	assert_int_equal(may(text, "unit:read"), ERR_OK);
	assert_int_equal(identity_key_revoke(identity, &actor, key.id, arena, &revoked, &info), ERR_OK);
	assert_int_equal(may(text, "unit:read"), ERR_UNAUTHENTICATED);
	assert_true(revoked.revoked_at != FIELD_ABSENT);
	assert_int_equal(identity_key_revoke(identity, &actor, key.id, arena, &revoked, &info), ERR_OK);
	struct api_key past = {
		.org_id = org.id, .label = "past", .roles = {.items = roles, .count = 1}, .expires_at = 1};
	assert_int_equal(identity_key_create(identity, &actor, ~0u, &past, text, &info), ERR_INVALID_FIELD);
	past.expires_at = clock_wall_us() + 50000;
	assert_int_equal(identity_key_create(identity, &actor, ~0u, &past, text, &info), ERR_OK);
	while (clock_wall_us() <= past.expires_at)
		;
	assert_int_equal(may(text, "unit:read"), ERR_UNAUTHENTICATED);
	make_key(org.id, "operator", text);
	org.state = ORGANISATION_SUSPENDED;
	assert_int_equal(identity_organisation_update(identity, &actor, &org, 1, arena, &info), ERR_OK);
	assert_int_equal(org.version, 2);
	assert_int_equal(may(text, "unit:read"), ERR_FORBIDDEN);
	struct id id;
	assert_false(identity_organisation_find(identity, "ended-org", &id));
	org.state = ORGANISATION_ACTIVE;
	assert_int_equal(identity_organisation_update(identity, &actor, &org, 1, arena, &info), ERR_CONDITION_FAILED);
	assert_int_equal(identity_organisation_update(identity, &actor, &org, 2, arena, &info), ERR_OK);
	assert_int_equal(may(text, "unit:read"), ERR_OK);
	assert_true(identity_organisation_find(identity, "ended-org", &id) && id_equal(id, org.id));
	org.state = ORGANISATION_CLOSED;
	assert_int_equal(identity_organisation_update(identity, &actor, &org, -1, arena, &info), ERR_OK);
	org.state = ORGANISATION_ACTIVE;
	assert_int_equal(
		identity_organisation_update(identity, &actor, &org, -1, arena, &info), ERR_ORGANISATION_CLOSED);
}

static void a_narrowed_key_keeps_within_its_scopes(void **state)
{
	(void)state;
	char text[IDENTITY_KEY_TEXT_SIZE];
	static const char *roles[] = {"operator"}, *scopes[] = {"reading:write"}, *foreign[] = {"period:attest"};
	static const char *admin[] = {"org-admin"}, *keys[] = {"key:write"};
	struct api_key key = {.org_id = house.id,
		.label = "gateway",
		.roles = {.items = roles, .count = 1},
		.scopes = {.items = scopes, .count = 1},
		.expires_at = FIELD_ABSENT};
	assert_int_equal(identity_key_create(identity, &actor, ~0u, &key, text, &info), ERR_OK);
	assert_int_equal(may(text, "reading:write"), ERR_OK);
	assert_int_equal(may(text, "unit:write"), ERR_FORBIDDEN);
	key.scopes.items = foreign;
	assert_int_equal(identity_key_create(identity, &actor, ~0u, &key, text, &info), ERR_INVALID_FIELD);
	assert_string_equal(info.pointer, "/scopes/0");
	key.roles.items = admin;
	key.scopes.items = keys;
	assert_int_equal(identity_key_create(identity, &actor, ~0u, &key, text, &info), ERR_INVALID_FIELD);
}

static void only_the_platform_gives_roles_that_speak_for_the_registry(void **state)
{
	(void)state;
	static const char *const names[] = {"platform-admin", "verifier", "issuer", "compliance", "auditor"};
	char text[IDENTITY_KEY_TEXT_SIZE];
	const char *roles[1] = {NULL};
	struct api_key key = {
		.org_id = house.id, .label = "x", .roles = {.items = roles, .count = 1}, .expires_at = FIELD_ABSENT};
	for (size_t i = 0; i < 5; i++) {
		roles[0] = names[i];
		assert_int_equal(identity_key_create(identity, &actor, 1u << IDENTITY_ORG_ADMIN, &key, text, &info),
			ERR_FORBIDDEN);
	}
	roles[0] = "device";
	assert_int_equal(identity_key_create(identity, &actor, 1u << IDENTITY_ORG_ADMIN, &key, text, &info), ERR_OK);
	roles[0] = "emperor";
	assert_int_equal(identity_key_create(identity, &actor, ~0u, &key, text, &info), ERR_INVALID_FIELD);
	assert_string_equal(info.pointer, "/roles/0");
	key.org_id = (struct id){{1}};
	roles[0] = "device";
	assert_int_equal(identity_key_create(identity, &actor, ~0u, &key, text, &info), ERR_INVALID_FIELD);
	assert_string_equal(info.pointer, "/org_id");
}

static void organisations_are_checked(void **state)
{
	(void)state;
	static const struct {
		const char *slug, *country, *pointer;
		enum err err;
	} cases[] = {{"Upper", "CH", "/slug", ERR_INVALID_FIELD}, {"a/b", "CH", "/slug", ERR_INVALID_FIELD},
		{"-a", "CH", "/slug", ERR_INVALID_FIELD}, {"a+b", "CH", "/slug", ERR_INVALID_FIELD},
		{"ok", "ch", "/country", ERR_INVALID_FIELD}, {"ok", "C1", "/country", ERR_INVALID_FIELD},
		{"house", "CH", "/slug", ERR_DUPLICATE}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct organisation org = {.slug = cases[i].slug, .name = "x", .country = cases[i].country};
		enum err err = identity_organisation_create(identity, &actor, &org, &info);
		if (err != cases[i].err || strcmp(info.pointer, cases[i].pointer) != 0)
			fail_msg("%s %s: %d %s", cases[i].slug, cases[i].country, err, info.pointer);
	}
	char slug[41];
	assert_true(identity_organisation_slug(identity, house.id, slug));
	assert_string_equal(slug, "house");
}

static void a_key_and_an_address_have_their_rates(void **state)
{
	(void)state;
	char text[IDENTITY_KEY_TEXT_SIZE], authorization[256];
	struct identity_actor found;
	int64_t retry_us = 0;
	make_key(house.id, "operator", text);
	snprintf(authorization, sizeof authorization, "bearer %s", text);
	struct identity_check check = {
		.authorization = authorization, .permission = "unit:read", .peer = "192.0.2.2", .cost = 60};
	assert_int_equal(identity_authenticate(identity, &check, &found, &retry_us, &info), ERR_OK);
	assert_int_equal(identity_authenticate(identity, &check, &found, &retry_us, &info), ERR_RATE_LIMITED);
	assert_true(retry_us > 0);
	check = (struct identity_check){.peer = "192.0.2.3", .cost = 60000};
	assert_int_equal(identity_authenticate(identity, &check, &found, &retry_us, &info), ERR_OK);
	assert_int_equal(identity_authenticate(identity, &check, &found, &retry_us, &info), ERR_RATE_LIMITED);
}

/* Looks for bytes in every file of the data folder. */
static bool on_disk(const char *needle)
{
	bool found = false;
	DIR *open = opendir(folder);
	for (struct dirent *entry; open && (entry = readdir(open));) {
		char path[512];
		static char bytes[8 << 20];
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		FILE *file = fopen(path, "r");
		size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
		found = found || memmem(bytes, size, needle, strlen(needle)) != NULL;
		if (file)
			fclose(file);
	}
	closedir(open);
	return found;
}

static void keys_survive_a_restart_and_secrets_are_nowhere(void **state)
{
	(void)state;
	char text[IDENTITY_KEY_TEXT_SIZE];
	struct api_key key = make_key(house.id, "operator", text), again;
	assert_int_equal(may(text, "unit:read"), ERR_OK);
	int64_t used = identity_key_last_used(identity, key.id);
	assert_in_range(used, clock_wall_us() - 2 * CLOCK_US_PER_MINUTE, clock_wall_us());
	close_all();
	open_all();
	assert_int_equal(may(text, "unit:read"), ERR_OK);
	assert_int_equal(identity_key_get(identity, key.id, arena, &again, &info), ERR_OK);
	assert_true(again.last_used_at >= used);
	assert_true(on_disk("a key"));
	assert_false(on_disk(text + 41));
	assert_false(on_disk(root_key + 41));
	json_t *shown = field_write(api_key_fields, &again);
	assert_null(json_object_get(shown, "secret_hash"));
	assert_null(json_object_get(shown, "key"));
	json_decref(shown);
}

static json_t *admin(const char *verb, const char *request, enum err expected)
{
	json_t *answer = NULL, *document = json_loads(request, 0, NULL);
	assert_non_null(document);
	enum err err = identity_admin(identity, verb, document, &answer, &info);
	json_decref(document);
	if (err != expected)
		fail_msg("%s: %s", verb, info.detail);
	return answer;
}

static void the_admin_socket_makes_lists_and_revokes(void **state)
{
	(void)state;
	char request[256];
	json_decref(admin("organisations.create",
		"{\"verb\": \"organisations.create\", \"slug\": \"north\", \"name\": \"North\", \"country\": \"NO\"}",
		ERR_OK));
	json_t *made = admin("keys.create",
		"{\"verb\": \"keys.create\", \"org\": \"north\", \"label\": \"ops\", \"roles\": [\"operator\"]}",
		ERR_OK);
	const char *key = json_string_value(json_object_get(made, "key"));
	assert_non_null(key);
	assert_int_equal(may(key, "unit:write"), ERR_OK);
	json_t *list = admin("keys.list", "{\"verb\": \"keys.list\", \"org\": \"north\"}", ERR_OK);
	assert_int_equal(json_array_size(json_object_get(list, "items")), 1);
	assert_null(json_object_get(json_array_get(json_object_get(list, "items"), 0), "key"));
	snprintf(request, sizeof request, "{\"verb\": \"keys.revoke\", \"id\": \"%s\"}",
		json_string_value(json_object_get(made, "id")));
	json_decref(admin("keys.revoke", request, ERR_OK));
	assert_int_equal(may(key, "unit:write"), ERR_UNAUTHENTICATED);
	json_t *orgs = admin("organisations.list", "{\"verb\": \"organisations.list\"}", ERR_OK);
	assert_true(json_array_size(json_object_get(orgs, "items")) >= 2);
	json_decref(orgs);
	json_decref(list);
	json_decref(made);
	admin("keys.create",
		"{\"verb\": \"keys.create\", \"org\": \"nobody\", \"label\": \"x\", \"roles\": [\"device\"]}",
		ERR_NOT_FOUND);
	admin("keys.create", "{\"verb\": \"keys.create\", \"org\": \"north\", \"roles\": [\"device\"]}",
		ERR_MISSING_FIELD);
	admin("keys.explode", "{}", ERR_NO_ROUTE);
}

static void *keep_asking(void *argument)
{
	const char *text = argument;
	for (int i = 0; i < 3000; i++) {
		struct identity_actor found;
		struct err_info own;
		char authorization[256];
		int64_t retry_us;
		snprintf(authorization, sizeof authorization, "Bearer %s", text);
		const struct identity_check check = {
			.authorization = authorization, .permission = "unit:read", .peer = "192.0.2.9", .cost = 0};
		assert_int_equal(identity_authenticate(identity, &check, &found, &retry_us, &own), ERR_OK);
	}
	return NULL;
}

static void changes_and_requests_at_once(void **state)
{
	(void)state;
	pthread_t threads[3];
	char text[IDENTITY_KEY_TEXT_SIZE], other[IDENTITY_KEY_TEXT_SIZE];
	make_key(house.id, "operator", text);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, keep_asking, text);
	for (int i = 0; i < 20; i++) {
		struct api_key key = make_key(house.id, "device", other), revoked;
		assert_int_equal(may(other, "reading:write"), ERR_OK);
		assert_int_equal(identity_key_revoke(identity, &actor, key.id, arena, &revoked, &info), ERR_OK);
		assert_int_equal(may(other, "reading:write"), ERR_UNAUTHENTICATED);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

/* A key made, and one revoked, on another node are known here once its records have been followed. */
static void another_nodes_keys_are_followed(void **state)
{
	struct identity *here = identity, *there = NULL;
	const struct identity_options options = {.store = store, .audit = audit, .cache = cache};
	const struct audit_news news[] = {{"sensor", {{1}}}, {"key", {{2}}}};
	static const char *roles[] = {"operator"};
	struct api_key key = {.org_id = house.id,
			       .label = "made there",
			       .roles = {roles, 1},
			       .expires_at = FIELD_ABSENT},
		       row;
	char text[IDENTITY_KEY_TEXT_SIZE];
	struct identity_actor found;
	(void)state;
	assert_int_equal(identity_start(&options, &there, &info), ERR_OK);
	assert_int_equal(identity_key_create(there, &actor, 1u << IDENTITY_PLATFORM_ADMIN, &key, text, &info), ERR_OK);
	assert_int_equal(ask(text, "unit:read", &found), ERR_UNAUTHENTICATED);
	assert_int_equal(identity_follow(here, news, 1, &info), ERR_OK); /* nothing of identity's */
	assert_int_equal(ask(text, "unit:read", &found), ERR_UNAUTHENTICATED);
	assert_int_equal(identity_follow(here, news, 2, &info), ERR_OK);
	assert_int_equal(ask(text, "unit:read", &found), ERR_OK);
	assert_int_equal(identity_key_revoke(there, &actor, key.id, arena, &row, &info), ERR_OK);
	assert_int_equal(identity_follow(here, news, 2, &info), ERR_OK);
	assert_int_equal(ask(text, "unit:read", &found), ERR_UNAUTHENTICATED);
	identity_stop(&there);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_start_gives_one_administrator),
		cmocka_unit_test(wrong_keys_are_all_told_the_same),
		cmocka_unit_test(roles_decide_what_a_key_may),
		cmocka_unit_test(revoked_and_expired_keys_and_those_of_suspended_organisations_are_refused),
		cmocka_unit_test(a_narrowed_key_keeps_within_its_scopes),
		cmocka_unit_test(only_the_platform_gives_roles_that_speak_for_the_registry),
		cmocka_unit_test(organisations_are_checked),
		cmocka_unit_test(a_key_and_an_address_have_their_rates),
		cmocka_unit_test(keys_survive_a_restart_and_secrets_are_nowhere),
		cmocka_unit_test(the_admin_socket_makes_lists_and_revokes),
		cmocka_unit_test(changes_and_requests_at_once),
		cmocka_unit_test(another_nodes_keys_are_followed),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
