/* The configuration is read, shown and read again while memory ends at any allocation: it is whole, or there is none. */
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
#include "sweep.h"

static char path[] = "/tmp/carbond-conf.XXXXXX";
static char *const environment[] = {"CARBOND_HTTP_PORT=2", "CARBOND_LOG_LEVEL=error", "HOME=/root", NULL};
static char *const words[] = {"--data-dir=/b", "--organisation", "acme"};
static char *const wrong_words[] = {"--http.port=x", "--log.level=loud", "--data-dir=/b"};

static enum err load(char *const *argv, struct arena *arena, struct conf **ret_conf, struct err_info *info)
{
	struct conf_report report;
	struct conf_input input = {.file = path, .environment = environment, .argc = 3, .argv = argv};
	return arena ? conf_load(&input, arena, ret_conf, &report, info) : ERR_NO_MEMORY;
}

static void reading(struct sweep *sweep)
{
	struct err_info info = {.code = ERR_OK};
	struct conf *conf = NULL;
	sweep_arm(sweep);
	struct arena *arena = arena_new(0);
	enum err err = load(words, arena, &conf, &info);
	const char *shown = err ? NULL : conf_dump(conf, arena);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	if (!err) {
		assert_int_equal(conf->http_port, 2);
		assert_int_equal(conf->http_threads, 3);
		assert_int_equal(conf->log_level, 0);
		assert_string_equal(conf->data_dir, "/b");
		assert_string_equal(conf->node, "n7");
		assert_true(shown ? strstr(shown, "n7") != NULL : sweep->reached);
	}
	arena_free(&arena);
}

/* A wrong one is refused, whatever else is missing. */
static void refusing(struct sweep *sweep)
{
	struct err_info info = {.code = ERR_OK};
	struct conf *conf = NULL;
	sweep_arm(sweep);
	struct arena *arena = arena_new(0);
	enum err err = load(wrong_words, arena, &conf, &info);
	sweep_disarm(sweep);
	assert_true(err == ERR_INVALID_CONFIG || (err == ERR_NO_MEMORY && sweep->reached));
	assert_null(conf);
	arena_free(&arena);
}

static void memory_ends(void **state)
{
	(void)state;
	sweep_allocations("reading the configuration", reading, NULL);
	sweep_allocations("refusing a wrong one", refusing, NULL);
}

int main(void)
{
	sweep_start(200);
	int file = mkstemp(path);
	static const char yaml[] =
		"# comment\ndata_dir: /a\nhttp:\n  port: 1\n  threads: 3\nnode: n7\nlog:\n  level: warn\n";
	if (file < 0 || write(file, yaml, sizeof yaml - 1) < 0)
		return 1;
	close(file);
	const struct CMUnitTest tests[] = {cmocka_unit_test(memory_ends)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
