/* In which order values are taken, what must fit together, and what a reload may change. Main thread. */
#include "parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_FILE "/etc/carbond/carbond.yaml"

static const char *from_environment(char *const *environment, const char *name)
{
	size_t length = strlen(name);
	for (; environment && *environment; environment++)
		if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
			return *environment + length + 1;
	return NULL;
}

/* ---- flags ---- */

/* "http.port" of "--http.port=…" or "--http-port"'s like: hyphens stand for underscores. Its length, 0 for no flag. */
static size_t flag_name(const char *word, char *ret_name, size_t size)
{
	if (strncmp(word, "--", 2) != 0 || !word[2])
		return 0;
	size_t length = strcspn(word + 2, "=");
	snprintf(ret_name, size, "%.*s", (int)length, word + 2);
	for (char *at = ret_name; *at; at++)
		*at = *at == '-' ? '_' : *at;
	return length;
}

/* The value of the flag at *index, which moves on if the value is the next word; NULL: there is none. */
static const char *flag_value(const struct conf_input *input, int *index, bool is_bool)
{
	const char *equals = strchr(input->argv[*index], '=');
	if (equals)
		return equals + 1;
	const char *following = *index + 1 < input->argc ? input->argv[*index + 1] : NULL;
	if (is_bool && (!following || (strcmp(following, "true") != 0 && strcmp(following, "false") != 0)))
		return "true";
	if (following)
		(*index)++;
	return following;
}

/* Takes the flags that are configuration; `loader` NULL: only looks for --config, which it returns. */
static const char *read_flags(struct loader *loader, const struct conf_input *input)
{
	const char *file = NULL;
	size_t count;
	const struct conf_row *rows = conf_rows(&count);
	for (int i = 0; i < input->argc; i++) {
		char name[80];
		size_t length = flag_name(input->argv[i], name, sizeof name);
		int index = length ? table_find(name) : -1;
		bool is_config = length && strcmp(name, "config") == 0;
		if (is_config || index >= 0) {
			const char *value = flag_value(input, &i, index >= 0 && rows[index].kind == CONF_KIND_BOOL);
			if (is_config)
				file = value;
			else if (loader && value)
				loader_set(loader, index, value, arena_print(loader->arena, "--%s", name));
			else if (loader)
				loader_problem(loader, "--%s: a value is missing", name);
		} else if (loader && length && strchr(name, '.')) {
			const char *near = table_suggest(name);
			loader_problem(loader, "--%s: there is no such key%s%s%s", name, near ? " (did you mean " : "",
				near ? near : "", near ? "?)" : "");
		} else if (loader) {
			loader->report->rest[loader->report->rest_count++] = input->argv[i];
		}
	}
	return file;
}

/* ---- environment ---- */

/* True where a variable begins with a section's name: then it is meant for us and must be a key. */
static bool names_section(const char *variable)
{
	size_t count;
	const struct conf_row *rows = conf_rows(&count);
	for (size_t i = 0; i < count; i++) {
		char name[80];
		const char *point = strchr(rows[i].key, '.');
		if (!point)
			continue;
		table_environment_name(&rows[i], name, sizeof name);
		size_t length = strlen("CARBOND_") + (size_t)(point - rows[i].key) + 1;
		if (strncmp(variable, name, length) == 0)
			return true;
	}
	return false;
}

static void read_environment(struct loader *loader, char *const *environment)
{
	size_t count;
	const struct conf_row *rows = conf_rows(&count);
	for (; environment && *environment; environment++) {
		size_t length = strcspn(*environment, "=");
		if (strncmp(*environment, "CARBOND_", 8) != 0 || !(*environment)[length])
			continue;
		char *variable = arena_copy(loader->arena, *environment, length);
		if (!variable) {
			loader->no_memory = true;
			return;
		}
		int found = -1;
		for (size_t i = 0; i < count && found < 0; i++) {
			char name[80];
			table_environment_name(&rows[i], name, sizeof name);
			found = strcmp(name, variable) == 0 ? (int)i : -1;
		}
		if (found >= 0)
			loader_set(loader, found, *environment + length + 1, variable);
		else if (names_section(variable))
			loader_problem(loader, "%s: there is no such key", variable);
	}
}

/* ---- what must fit together ---- */

static const char *origin_of(const struct loader *loader, const char *key)
{
	return loader->conf->origins[table_find(key)];
}

static bool is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 || strcmp(address, "localhost") == 0;
}

static void check_files(struct loader *loader)
{
	size_t count;
	const struct conf_row *rows = conf_rows(&count);
	for (size_t i = 0; i < count; i++) {
		const char *path = rows[i].flags & CONF_FILE ? table_value_text(&rows[i], loader->conf, NULL, 0) : "";
		if (*path && access(path, R_OK) != 0)
			loader_problem(
				loader, "%s: %s: %s: %s", loader->conf->origins[i], rows[i].key, path, strerror(errno));
	}
}

static void check_store(struct loader *loader)
{
	const struct conf *conf = loader->conf;
	const char *uri = conf->store_uri;
	bool mongo = strncmp(uri, "mongodb://", 10) == 0 || strncmp(uri, "mongodb+srv://", 14) == 0;
	if (!mongo && strncmp(uri, "sqlite:", 7) != 0)
		loader_problem(loader,
			"%s: store.uri must be sqlite:, sqlite:<folder> or mongodb://<hosts>/<database>, not "
			"\"%.100s\"",
			origin_of(loader, "store.uri"), uri);
	if (*conf->store_password_file && !(mongo && strchr(uri, '@')))
		loader_problem(loader, "%s: store.password_file needs a MongoDB user in store.uri",
			origin_of(loader, "store.password_file"));
	if (!mongo && (*conf->store_tls_ca || *conf->store_tls_certificate_key))
		loader_problem(loader, "%s: store.tls_ca and store.tls_certificate_key are for MongoDB alone",
			origin_of(loader, *conf->store_tls_ca ? "store.tls_ca" : "store.tls_certificate_key"));
}

static void check_cache(struct loader *loader)
{
	const struct conf *conf = loader->conf;
	const char *uri = conf->cache_uri;
	bool redis = strncmp(uri, "redis://", 8) == 0 || strncmp(uri, "redis+unix:///", 14) == 0;
	/* not quoted: a password may stand in it by mistake */
	if ((strcmp(uri, "local") != 0 && !redis) || strchr(uri, '@'))
		loader_problem(loader,
			"%s: cache.uri must be local, redis://host[:port][/database] or "
			"redis+unix:///path[?db=database]; the password stands in cache.password_file",
			origin_of(loader, "cache.uri"));
	if (*conf->cache_password_file && !redis)
		loader_problem(loader, "%s: cache.password_file needs a redis:// or redis+unix:// cache.uri",
			origin_of(loader, "cache.password_file"));
}

static void check_together(struct loader *loader)
{
	const struct conf *conf = loader->conf;
	if (!is_loopback(conf->http_address) && !*conf->http_tls_certificate && !conf->http_behind_proxy)
		loader_problem(loader,
			"%s: http.address %s is not loopback: set http.tls_certificate and http.tls_key, or "
			"http.behind_proxy",
			origin_of(loader, "http.address"), conf->http_address);
	if (!*conf->http_tls_certificate != !*conf->http_tls_key)
		loader_problem(loader, "%s: http.tls_certificate and http.tls_key are set together or not at all",
			origin_of(loader, *conf->http_tls_key ? "http.tls_key" : "http.tls_certificate"));
	if (!*conf->mqtt_tls_certificate != !*conf->mqtt_tls_key)
		loader_problem(loader, "%s: mqtt.tls_certificate and mqtt.tls_key are set together or not at all",
			origin_of(loader, *conf->mqtt_tls_key ? "mqtt.tls_key" : "mqtt.tls_certificate"));
	if (*conf->mqtt_tls_certificate && !*conf->mqtt_tls_ca)
		loader_problem(loader, "%s: mqtt.tls_certificate needs mqtt.tls_ca",
			origin_of(loader, "mqtt.tls_certificate"));
	if (*conf->mqtt_password_file && !*conf->mqtt_username)
		loader_problem(
			loader, "%s: mqtt.password_file needs mqtt.username", origin_of(loader, "mqtt.password_file"));
	if (conf->mqtt_connections > 1 && !*conf->mqtt_share_group)
		loader_problem(loader, "%s: mqtt.connections above 1 needs mqtt.share_group",
			origin_of(loader, "mqtt.connections"));
	check_store(loader);
	check_cache(loader);
	check_files(loader);
}

/* ---- loading ---- */

static enum err start_loading(struct loader *loader, const struct conf_input *input)
{
	size_t count;
	const struct conf_row *rows = conf_rows(&count);
	struct conf_report *report = loader->report;
	*report = (struct conf_report){0};
	report->problems = ARENA_ARRAY(loader->arena, const char *, PROBLEMS_MAX);
	report->rest = ARENA_ARRAY(loader->arena, char *, input->argc + 1);
	loader->conf = ARENA_NEW(loader->arena, struct conf);
	if (!report->problems || !report->rest || !loader->conf)
		return ERR_NO_MEMORY;
	loader->conf->origins = ARENA_ARRAY(loader->arena, const char *, count);
	if (!loader->conf->origins)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < count; i++)
		loader_set(loader, (int)i, rows[i].default_text, "default");
	return ERR_OK;
}

static const char *choose_file(const struct conf_input *input)
{
	const char *file = input->file ? input->file : read_flags(NULL, input);
	if (!file)
		file = from_environment(input->environment, "CARBOND_CONFIG");
	if (!file && access(DEFAULT_FILE, F_OK) == 0)
		file = DEFAULT_FILE;
	return file;
}

enum err conf_load(const struct conf_input *input, struct arena *arena, struct conf **ret_conf,
	struct conf_report *ret_report, struct err_info *info)
{
	*ret_conf = NULL;
	struct loader loader = {.arena = arena, .report = ret_report};
	if (start_loading(&loader, input) != ERR_OK)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the configuration");
	ret_report->file = choose_file(input);
	if (ret_report->file)
		file_read(&loader, ret_report->file);
	read_environment(&loader, input->environment);
	read_flags(&loader, input);
	if (!loader.no_memory && ret_report->problem_count == 0)
		check_together(&loader);
	if (loader.no_memory)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the configuration");
	if (ret_report->problem_count)
		return err_set(info, ERR_INVALID_CONFIG, "", "%s", ret_report->problems[0]);
	*ret_conf = loader.conf;
	return ERR_OK;
}

int conf_check(const struct conf_input *input)
{
	struct arena *arena = arena_new(0);
	struct conf *conf;
	struct conf_report report;
	struct err_info info;
	if (!arena) {
		fprintf(stderr, "no memory\n");
		return 1;
	}
	enum err err = conf_load(input, arena, &conf, &report, &info);
	if (err == ERR_OK)
		printf("configuration ok (%s)\n",
			report.file ? report.file : "defaults, environment and flags; no file");
	else if (err == ERR_INVALID_CONFIG)
		for (size_t i = 0; i < report.problem_count; i++)
			printf("%s\n", report.problems[i]);
	else
		printf("%s\n", info.detail);
	arena_free(&arena);
	return err == ERR_OK ? 0 : 1;
}

/* ---- reload ---- */

struct conf *conf_reload(const struct conf *now, const struct conf *wanted, struct arena *arena,
	const char **ret_applied, const char **ret_need_restart)
{
	size_t count;
	const struct conf_row *rows = conf_rows(&count);
	struct conf *merged = ARENA_NEW(arena, struct conf);
	const char **origins = ARENA_ARRAY(arena, const char *, count);
	if (!merged || !origins)
		return NULL;
	*merged = *now;
	merged->origins = origins;
	*ret_applied = *ret_need_restart = "";
	for (size_t i = 0; i < count; i++) {
		char before[32], after[32];
		bool reloadable = rows[i].flags & CONF_RELOADABLE;
		merged->origins[i] = reloadable ? wanted->origins[i] : now->origins[i];
		if (reloadable)
			table_copy_value(&rows[i], merged, wanted);
		if (strcmp(table_value_text(&rows[i], now, before, sizeof before),
			    table_value_text(&rows[i], wanted, after, sizeof after)) != 0) {
			const char **list = reloadable ? ret_applied : ret_need_restart;
			*list = arena_print(arena, "%s%s%s", *list, **list ? ", " : "", rows[i].key);
			if (!*list)
				return NULL;
		}
	}
	return merged;
}
