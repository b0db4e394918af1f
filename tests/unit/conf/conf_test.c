/* The order of sources, every problem with its place and range, what fits together, reload, dump, example. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carbond/conf.h"

static struct arena *arena;
static struct conf *conf;
static struct conf_report report;
static struct err_info info;
static char path[] = "/tmp/carbond-conf.XXXXXX";

static enum err load(const char *yaml, char *const *environment, int argc, char *const *argv)
{
	arena_reset(arena);
	FILE *file = fopen(path, "w");
	fputs(yaml, file);
	fclose(file);
	struct conf_input input = {.file = path, .environment = environment, .argc = argc, .argv = argv};
	return conf_load(&input, arena, &conf, &report, &info);
}

static void test_order(void **state)
{
	(void)state;
	assert_int_equal(load("", NULL, 0, NULL), ERR_OK);
	assert_int_equal(conf->http_port, 8080);
	assert_int_equal(conf->log_level, 2);
	assert_string_equal(conf->data_dir, "/var/lib/carbond");
	assert_true(conf->mqtt_enabled);

	static const char yaml[] =
		"# comment\ndata_dir: /a\nhttp:\n  port: 1\n  threads: 3\nmqtt.enabled: false\nlog:\n  level: warn\n";
	assert_int_equal(load(yaml, NULL, 0, NULL), ERR_OK);
	assert_int_equal(conf->http_port, 1);
	assert_int_equal(conf->http_threads, 3);
	assert_false(conf->mqtt_enabled);
	assert_int_equal(conf->log_level, 1);

	char *const environment[] = {
		"HOME=/root", "CARBOND_HTTP_PORT=2", "CARBOND_API_KEY=x", "CARBOND_LOG_LEVEL=error", NULL};
	assert_int_equal(load(yaml, environment, 0, NULL), ERR_OK);
	assert_int_equal(conf->http_port, 2);
	assert_int_equal(conf->log_level, 0);

	char *const flags[] = {
		"verb", "--http.port=3", "--organisation", "acme", "--data-dir", "/b", "--mqtt.enabled", "--json"};
	assert_int_equal(load(yaml, environment, 8, flags), ERR_OK);
	assert_int_equal(conf->http_port, 3);
	assert_string_equal(conf->data_dir, "/b");
	assert_true(conf->mqtt_enabled);
	assert_int_equal(report.rest_count, 4);
	assert_string_equal(report.rest[0], "verb");
	assert_string_equal(report.rest[3], "--json");

	char *const named[] = {"--config", path};
	struct conf_input input = {.argc = 2, .argv = named};
	assert_int_equal(conf_load(&input, arena, &conf, &report, &info), ERR_OK);
	assert_string_equal(report.file, path);
	assert_int_equal(conf->http_port, 1);
}

/* Each wrong file has exactly this problem, which begins with file and line. */
static void test_problems(void **state)
{
	(void)state;
	static const struct {
		const char *yaml, *problem;
	} cases[] = {
		{"http:\n  port: 70000\n", ":2: http.port must be an integer 0..65535, not \"70000\""},
		{"http:\n  port: abc\n", ":2: http.port must be an integer 0..65535, not \"abc\""},
		{"http:\n  port:\n", ":2: http.port must be an integer 0..65535, not \"\""},
		{"\n\nhttp:\n  prot: 1\n", ":4: there is no key http.prot (did you mean http.port?)"},
		{"xyz: 1\n", ":1: there is no key xyz"},
		{"http: 5\n", ":1: http is a section: its keys stand below it"},
		{"http:\n  port: [1, {a: 2}]\nmqtt:\n  enabled: maybe\n", ":2: http.port must be one value"},
		{"http:\n  port: 1\nhttp.port: 2\n", ":3: http.port stands here a second time"},
		{"mqtt:\n  enabled: yes\n", ":2: mqtt.enabled must be true or false, not \"yes\""},
		{"node: \"A b\"\n", ":1: node must be a text of 1..24 letters a-z, digits and hyphens, not \"A b\""},
		{"log:\n  level: loud\n", ":2: log.level must be one of error, warn, info, debug, not \"loud\""},
		{"http:\n\tport: 1\n", ":2: found character that cannot start any token"},
		{"- a\n", ":1: the file must be a mapping of sections"},
		{"store:\n  uri: postgres://x\n",
			":2: store.uri must be sqlite:, sqlite:<folder> or mongodb://<hosts>/<database>, not "
			"\"postgres://x\""},
		{"store:\n  password_file: /dev/null\n", ":2: store.password_file needs a MongoDB user in store.uri"},
		{"store:\n  tls_ca: /dev/null\n",
			":2: store.tls_ca and store.tls_certificate_key are for MongoDB alone"},
		{"http:\n  address: 0.0.0.0\n", ":2: http.address 0.0.0.0 is not loopback: set http.tls_certificate "
						"and http.tls_key, or http.behind_proxy"},
		{"http:\n  tls_key: /nowhere\n",
			":2: http.tls_certificate and http.tls_key are set together or not at all"},
		{"mqtt:\n  tls_ca: /nowhere\n", ":2: mqtt.tls_ca: /nowhere: No such file or directory"},
		{"mqtt:\n  connections: 2\n", ":2: mqtt.connections above 1 needs mqtt.share_group"},
		{"mqtt:\n  password_file: /dev/null\n", ":2: mqtt.password_file needs mqtt.username"},
		/* what may hold a password is not quoted */
		{"cache:\n  uri: redis://user:secret@h\n",
			":2: cache.uri must be local, redis://host[:port][/database] or "
			"redis+unix:///path[?db=database]; the password stands in cache.password_file"},
		{"cache:\n  uri: memcached:x\n",
			":2: cache.uri must be local, redis://host[:port][/database] or "
			"redis+unix:///path[?db=database]; the password stands in cache.password_file"},
		{"cache:\n  password_file: /dev/null\n",
			":2: cache.password_file needs a redis:// or redis+unix:// cache.uri"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(load(cases[i].yaml, NULL, 0, NULL), ERR_INVALID_CONFIG);
		assert_null(conf);
		assert_true(report.problem_count >= 1);
		assert_true(strncmp(report.problems[0], path, strlen(path)) == 0);
		assert_string_equal(report.problems[0] + strlen(path), cases[i].problem);
		assert_string_equal(info.detail, report.problems[0]);
	}
	assert_int_equal(load(cases[6].yaml, NULL, 0, NULL), ERR_INVALID_CONFIG);
	assert_int_equal(report.problem_count, 2); /* all of them, not only the first */

	char *const environment[] = {"CARBOND_HTTP_PROT=1", "CARBOND_HTTP_THREADS=0", NULL};
	assert_int_equal(load("", environment, 0, NULL), ERR_INVALID_CONFIG);
	assert_int_equal(report.problem_count, 2);
	assert_string_equal(report.problems[0], "CARBOND_HTTP_PROT: there is no such key");
	assert_string_equal(
		report.problems[1], "CARBOND_HTTP_THREADS: http.threads must be an integer 1..64 threads, not \"0\"");
	char *const flags[] = {"--http.prot=1", "--http.port"};
	assert_int_equal(load("", NULL, 2, flags), ERR_INVALID_CONFIG);
	assert_string_equal(report.problems[0], "--http.prot: there is no such key (did you mean http.port?)");
	assert_string_equal(report.problems[1], "--http.port: a value is missing");
	struct conf_input absent = {.file = "/nowhere.yaml"};
	assert_int_equal(conf_load(&absent, arena, &conf, &report, &info), ERR_INVALID_CONFIG);
	assert_string_equal(info.detail, "/nowhere.yaml: No such file or directory");
}

static void test_reload(void **state)
{
	(void)state;
	struct arena *kept = arena_new(0);
	struct conf *now;
	struct conf_input input = {.file = path};
	assert_int_equal(load("http:\n  drain_ms: 1\n  port: 1\n", NULL, 0, NULL), ERR_OK);
	assert_int_equal(conf_load(&input, kept, &now, &report, &info), ERR_OK);
	assert_int_equal(
		load("http:\n  drain_ms: 2\n  port: 2\n  threads: 7\nlog:\n  level: debug\n", NULL, 0, NULL), ERR_OK);
	const char *applied, *restart;
	struct conf *merged = conf_reload(now, conf, arena, &applied, &restart);
	assert_int_equal(merged->http_drain_ms, 2);
	assert_int_equal(merged->http_port, 1);
	assert_int_equal(merged->log_level, 3);
	assert_string_equal(applied, "http.drain_ms, log.level");
	assert_string_equal(restart, "http.port, http.threads");
	arena_free(&kept);
}

/* A password in the store's URI shows in no dump and in no message. */
static void test_password_is_hidden(void **state)
{
	(void)state;
	char yaml[1300], *secret = "s3cr:t/w@rd";
	snprintf(yaml, sizeof yaml, "store:\n  uri: \"mongodb://carbond:%s@a,b/house?replicaSet=r\"\n", secret);
	assert_int_equal(load(yaml, NULL, 0, NULL), ERR_OK);
	assert_non_null(strstr(conf->store_uri, secret));
	const char *dump = conf_dump(conf, arena);
	assert_non_null(strstr(dump, "mongodb://carbond:***@a,b/house?replicaSet=r"));
	assert_null(strstr(dump, "w@rd"));
	snprintf(yaml, sizeof yaml, "store:\n  uri: \"mongodb://carbond:%s@a/%01050d\"\n", secret, 7);
	assert_int_equal(load(yaml, NULL, 0, NULL), ERR_INVALID_CONFIG);
	assert_non_null(strstr(info.detail, "carbond:***@"));
	assert_null(strstr(info.detail, "w@rd"));
}

/* The dump is a file that means the same, and so is the example: the defaults. */
static void test_texts(void **state)
{
	(void)state;
	char *const environment[] = {"CARBOND_MQTT_USERNAME=a\"b\\c", NULL};
	assert_int_equal(load("http:\n  port: 1\n", environment, 0, NULL), ERR_OK);
	char *dump = conf_dump(conf, arena);
	assert_non_null(strstr(dump, "  username: \"a\\\"b\\\\c\" # CARBOND_MQTT_USERNAME\n"));
	char line[100];
	snprintf(line, sizeof line, "http:\n  address: \"127.0.0.1\" # default\n  port: 1 # %s:2\n", path);
	assert_non_null(strstr(dump, line));
	char *again = strdup(dump);
	assert_int_equal(load(again, NULL, 0, NULL), ERR_OK);
	assert_string_equal(conf->mqtt_username, "a\"b\\c");
	assert_int_equal(conf->http_port, 1);
	free(again);

	char *example = strdup(conf_example_text(arena));
	assert_int_equal(load(example, NULL, 0, NULL), ERR_OK);
	assert_int_equal(conf->http_port, 8080);
	for (char *at = example; (at = strchr(at, '#')); at++)
		if (at[1] != ' ')
			memmove(at, at + 1, strlen(at)); /* take the comment off every key */
	assert_int_equal(load(example, NULL, 0, NULL), ERR_OK);
	size_t count;
	const struct conf_row *rows = conf_rows(&count);
	char *reference = conf_reference_text(arena);
	for (size_t i = 0; i < count; i++) {
		assert_string_not_equal(conf->origins[i], "default");
		snprintf(line, sizeof line, "| `%s` | ", rows[i].key);
		assert_non_null(strstr(reference, line));
	}
	free(example);
}

static int start(void **state)
{
	(void)state;
	arena = arena_new(0);
	return close(mkstemp(path));
}

static int stop(void **state)
{
	(void)state;
	arena_free(&arena);
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_password_is_hidden), cmocka_unit_test(test_order),
		cmocka_unit_test(test_problems), cmocka_unit_test(test_reload), cmocka_unit_test(test_texts)};
	return cmocka_run_group_tests(tests, start, stop);
}
