/* room: identity */
/* Lines of the admin socket as identity answers them, over a real store: an answer, or an error with its reason; what is made is
 * there afterwards. */
#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carbond/base/log.h"
#include "carbond/base/sign.h"
#include "identity_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/carbond-admin-fuzzer.XXXXXX";
static struct store *store;
static struct audit *audit;
static struct cache *cache;
static struct identity *identity;

static void stop(void)
{
	identity_stop(&identity);
	cache_close(&cache);
	audit_stop(&audit);
	store_close(&store);
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

static void start(void)
{
	const struct store_collection *collections[128] = {NULL};
	static const uint8_t seed[32] = {7};
	struct sign_public public;
	struct sign_secret secret;
	struct err_info info = {0};
	size_t count = 0;
	char uri[96];
	for (size_t i = 0; audit_collections[i]; i++)
		collections[count++] = audit_collections[i];
	for (size_t i = 0; identity_collections[i]; i++)
		collections[count++] = identity_collections[i];
	if (crypto_start() != ERR_OK || !mkdtemp(folder))
		abort();
	log_set_level(LOG_LEVEL_ERROR);
	sign_keypair_from_seed(seed, &public, &secret);
	snprintf(uri, sizeof uri, "sqlite:%s", folder);
	const struct store_options options = {.uri = uri, .collections = collections};
	enum err err = store_open(&options, &store, &info);
	const struct audit_options audit_options = {.store = store, .node = "n1", .checkpoint_key = &secret};
	if (!err)
		err = audit_start(&audit_options, &audit, &info);
	if (!err)
		err = cache_open(&(struct cache_options){.uri = "local"}, &cache, &info);
	const struct identity_options identity_options = {.store = store, .audit = audit, .cache = cache};
	if (!err)
		err = identity_start(&identity_options, &identity, &info);
	if (err)
		abort();
	atexit(stop);
}

static void ask(const char *line, size_t size)
{
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	json_t *request = NULL, *answer = NULL;
	if (document_parse(arena, line, size, &request, &info) == ERR_OK) {
		const char *verb = json_string_value(json_object_get(request, "verb"));
		enum err err = identity_admin(identity, verb ? verb : "keys.create", request, &answer, &info);
		assert(err ? info.code == err && info.detail[0] : answer != NULL);
		json_decref(answer);
	}
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!store)
		start();
	for (const char *line = (const char *)data, *end = line + size; line < end;) {
		const char *feed = memchr(line, '\n', (size_t)(end - line));
		ask(line, (size_t)((feed ? feed : end) - line));
		line = feed ? feed + 1 : end;
	}
	return 0;
}
