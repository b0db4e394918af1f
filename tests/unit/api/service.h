/* The services that identity's resources stand on, over a store in a folder of its own, with a listener: for the tests of
 * room api. */
#ifndef API_TEST_SERVICE_H
#define API_TEST_SERVICE_H

#include "../http/client.h"

#include <dirent.h>
#include <time.h>

#include "carbond/api.h"
#include "carbond/base/clock.h"
#include "carbond/base/log.h"
#include "carbond/base/sign.h"
#include "carbond/engine.h"
#include "carbond/identity.h"

static char folder[64];
static struct api api = {.node = "n1", .version = "0.0.0"};
static struct err_info info;
static struct organisation house;
static char root_key[IDENTITY_KEY_TEXT_SIZE];
static uint16_t port;
static bool service_has_engine; /* set before service_start: the resources of value are there too */

/* Starts all of it; `tables` NULL: the product's. */
static inline void service_start(const struct http_route *const *tables, const struct api_check *checks)
{
	const struct store_collection *collections[128] = {NULL};
	size_t count = 0;
	char uri[96];
	struct sign_public public;
	struct sign_secret secret;
	static const uint8_t seed[32] = {7};
	snprintf(folder, sizeof folder, "/tmp/api_test.XXXXXX");
	assert_int_equal(crypto_start(), ERR_OK);
	assert_non_null(mkdtemp(folder));
	log_set_level(LOG_LEVEL_ERROR);
	for (size_t i = 0; audit_collections[i]; i++)
		collections[count++] = audit_collections[i];
	for (size_t i = 0; identity_collections[i]; i++)
		collections[count++] = identity_collections[i];
	for (size_t i = 0; service_has_engine && engine_collections[i]; i++)
		collections[count++] = engine_collections[i];
	snprintf(uri, sizeof uri, "sqlite:%s", folder);
	sign_keypair_from_seed(seed, &public, &secret);
	static const struct seal_key seal = {.number = 1};
	const struct store_options store = {
		.uri = uri, .collections = collections, .seal_keys = &seal, .seal_key_count = 1};
	if (store_open(&store, &api.store, &info) != ERR_OK)
		fail_msg("store: %s", info.detail);
	const struct audit_options audit = {.store = api.store, .node = "n1", .checkpoint_key = &secret};
	if (audit_start(&audit, &api.audit, &info) != ERR_OK)
		fail_msg("audit: %s", info.detail);
	assert_int_equal(cache_open(&(struct cache_options){.uri = "local"}, &api.cache, &info), ERR_OK);
	const struct identity_options identity = {.store = api.store,
		.audit = api.audit,
		.cache = api.cache,
		.key_rate = {1000000, 1000},
		.peer_rate = {1000000, 1000}};
	if (identity_start(&identity, &api.identity, &info) != ERR_OK)
		fail_msg("identity: %s", info.detail);
	house = (struct organisation){.slug = "house", .name = "The house", .country = "CH"};
	if (identity_init(api.identity, &house, root_key, &info) != ERR_OK)
		fail_msg("init: %s", info.detail);
	const struct engine_options engine = {.store = api.store, .node = "n1", .registry = {{1}}};
	if (service_has_engine && engine_start(&engine, &api.engine, &info) != ERR_OK)
		fail_msg("engine: %s", info.detail);
	api.checks = checks;
	api.started_at_us = clock_wall_us();
	const struct http_options http = {.address = "127.0.0.1", .threads = 2, .workers = 2, .tables = tables};
	if (api_start(&api, &http, &info) != ERR_OK)
		fail_msg("api: %s", info.detail);
	port = http_server_port(api.http_server);
}

static inline void service_stop(void)
{
	api_stop(&api, INT64_MAX);
	engine_stop(&api.engine);
	identity_stop(&api.identity);
	cache_close(&api.cache);
	audit_stop(&api.audit);
	store_close(&api.store);
	DIR *open = opendir(folder);
	for (struct dirent *entry; open && (entry = readdir(open));) {
		char path[512];
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		unlink(path);
	}
	closedir(open);
	rmdir(folder);
}

/* A key with one role in an organisation; its text lives until the next call with the same `slot`. */
static inline const char *service_key(struct id org, const char *role, int slot)
{
	static char texts[16][IDENTITY_KEY_TEXT_SIZE];
	static const struct audit_actor actor = {.name = "test"};
	const char *roles[] = {role};
	struct api_key key = {
		.org_id = org, .label = role, .roles = {.items = roles, .count = 1}, .expires_at = FIELD_ABSENT};
	if (identity_key_create(api.identity, &actor, ~0u, &key, texts[slot], &info) != ERR_OK)
		fail_msg("key: %s", info.detail);
	return texts[slot];
}

/* A request with a key (NULL: none), further headers and a JSON body (NULL: none). */
static inline struct response call(const char *key, const char *request, const char *headers, const char *body)
{
	char authorization[256] = "", length[96] = "";
	if (key)
		snprintf(authorization, sizeof authorization, "Authorization: Bearer %s\r\n", key);
	if (body)
		snprintf(length, sizeof length, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
			strlen(body));
	return client_ask(port, "%s HTTP/1.1\r\nHost: a\r\n%s%s%s\r\n%s", request, authorization, length, headers,
		body ? body : "");
}

/* As call, but checks the status and returns the parsed body (a reference, or NULL where there is none). */
static inline json_t *call_for(int status, const char *key, const char *request, const char *headers, const char *body)
{
	struct response response = call(key, request, headers, body);
	if (response.status != status)
		fail_msg("%s: %d, wanted %d: %s", request, response.status, status, response.body ? response.body : "");
	json_t *document = response.body_size ? json_loads(response.body, 0, NULL) : NULL;
	response_free(&response);
	return document;
}

static inline const char *member(const json_t *document, const char *name)
{
	return json_string_value(json_object_get(document, name));
}

#endif
