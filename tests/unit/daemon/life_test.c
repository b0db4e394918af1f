/* The daemon's order of start and stop, what it refuses to listen on, its reload, and its admin socket, over a data directory
 * of their own and on free ports. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "carbond/identity.h"
#include "daemon.h"

struct bench {
	char folder[32], file[64], flags[5][96];
	char *argv[5];
	struct conf_input input;
	struct daemon daemon;
	struct err_info info;
};

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

static void write_config(struct bench *bench, const char *text)
{
	FILE *file = fopen(bench->file, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct conf_report report;

	strcpy(bench->folder, "/tmp/carbond-life.XXXXXX");
	assert_non_null(mkdtemp(bench->folder));
	snprintf(bench->file, sizeof(bench->file), "%s/carbond.yaml", bench->folder);
	write_config(bench, "log:\n  level: error\n");
	snprintf(bench->flags[0], sizeof(bench->flags[0]), "--config=%s", bench->file);
	snprintf(bench->flags[1], sizeof(bench->flags[1]), "--data_dir=%s/data", bench->folder);
	strcpy(bench->flags[2], "--mqtt.enabled=false");
	strcpy(bench->flags[3], "--http.port=0");
	strcpy(bench->flags[4], "--store.low_water_mb=0");
	for (int i = 0; i < 5; i++)
		bench->argv[i] = bench->flags[i];
	bench->input = (struct conf_input){.argc = 5, .argv = bench->argv};
	bench->daemon.input = &bench->input;
	bench->daemon.arena = arena_new(0);
	assert_int_equal(
		conf_load(&bench->input, bench->daemon.arena, &bench->daemon.conf, &report, &bench->info), ERR_OK);
	log_set_level(LOG_LEVEL_ERROR);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	arena_free(&bench->daemon.arena);
	nftw(bench->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(bench);
	return 0;
}

static void make_data(struct bench *bench)
{
	assert_int_equal(crypto_start(), ERR_OK);
	assert_int_equal(node_create(bench->daemon.conf->data_dir, "a", clock_wall_us(), &bench->info), ERR_OK);
}

static void start(struct bench *bench, const char *through)
{
	enum err err = daemon_start(&bench->daemon, daemon_stages_through(through), &bench->info);

	if (err)
		print_error("%s\n", bench->info.detail);
	assert_int_equal(err, ERR_OK);
}

static size_t place(const char *stage)
{
	size_t place = daemon_stages_through(stage);

	assert_true(place > 0);
	return place;
}

/* ---- the list ---- */

static void stages_stand_behind_what_they_need(void **state)
{
	static const char *const pairs[][2] = {{"node", "store"}, {"cache", "store"}, {"store", "audit"},
		{"audit", "identity"}, {"cache", "identity"}, {"audit", "sensing"}, {"identity", "sensing"},
		{"store", "engine"}, {"sensing", "evidence"}, {"engine", "evidence"}, {"evidence", "retention"},
		{"sensing", "ingest"}, {"engine", "admin"}, {"ingest", "http"}, {"evidence", "http"},
		{"admin", "http"}};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		assert_true(place(pairs[i][0]) < place(pairs[i][1]));
	assert_int_equal(place("http"), daemon_stage_count);
	for (size_t i = 0; i < daemon_stage_count; i++) {
		assert_true(strlen(daemon_stages[i].reason) > 20);
		assert_non_null(daemon_stages[i].stop);
	}
	assert_int_equal(daemon_stages_through("nothing"), 0);
}

static void it_does_not_start_without_init(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(daemon_start(&bench->daemon, daemon_stage_count, &bench->info), ERR_INVALID_CONFIG);
	assert_non_null(strstr(bench->info.detail, "carbond init"));
	assert_int_equal(bench->daemon.started, 0);
}

static void a_second_daemon_is_refused(void **state)
{
	struct bench *bench = *state;
	struct daemon second = {.input = bench->daemon.input, .arena = bench->daemon.arena, .conf = bench->daemon.conf};

	make_data(bench);
	start(bench, "store");
	assert_int_equal(daemon_start(&second, daemon_stages_through("store"), &bench->info), ERR_STORE_LOCKED);
	daemon_stop(&bench->daemon);
	assert_int_equal(daemon_start(&second, daemon_stages_through("store"), &bench->info), ERR_OK);
	daemon_stop(&second);
}

static void all_stages_start_and_stop_and_start_again(void **state)
{
	struct bench *bench = *state;

	make_data(bench);
	for (int round = 0; round < 2; round++) {
		char reason[256];
		start(bench, "http");
		assert_int_equal(bench->daemon.started, daemon_stage_count);
		assert_true(http_server_port(bench->daemon.api.http_server) > 0);
		for (const struct api_check *check = bench->daemon.api.checks; check->name; check++)
			if (!check->ready(check->context, reason, sizeof(reason)))
				fail_msg("%s: %s", check->name, reason);
		daemon_stop(&bench->daemon);
		assert_int_equal(bench->daemon.started, 0);
		atomic_store(&bench->daemon.draining, false);
	}
}

/* ---- the listener ---- */

static void an_open_address_needs_tls_or_a_proxy(void **state)
{
	struct bench *bench = *state;
	struct conf *conf = bench->daemon.conf;
	static const struct {
		const char *address;
		bool open;
	} addresses[] = {{"127.0.0.1", false}, {"127.9.9.9", false}, {"::1", false}, {"localhost", false},
		{"0.0.0.0", true}, {"::", true}, {"10.0.0.1", true}, {"::ffff:10.0.0.1", true}, {"example.org", true},
		{"1270.0.0.1", true}};

	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		conf->http_address = addresses[i].address;
		conf->http_behind_proxy = false;
		conf->http_tls_certificate = conf->http_tls_key = "";
		assert_int_equal(
			daemon_check_listener(conf, &bench->info), addresses[i].open ? ERR_INVALID_CONFIG : ERR_OK);
		conf->http_behind_proxy = true;
		assert_int_equal(daemon_check_listener(conf, &bench->info), ERR_OK);
		conf->http_behind_proxy = false;
		conf->http_tls_certificate = "/c.pem";
		assert_int_equal(daemon_check_listener(conf, &bench->info), ERR_INVALID_CONFIG); /* half of a pair */
		conf->http_tls_key = "/k.pem";
		assert_int_equal(daemon_check_listener(conf, &bench->info), ERR_OK);
	}
}

/* ---- reload ---- */

static void a_reload_applies_what_it_can_and_keeps_the_rest(void **state)
{
	struct bench *bench = *state;
	const char *data_dir = bench->daemon.conf->data_dir;

	write_config(bench, "log:\n  level: warn\nhttp:\n  drain_ms: 77\n  workers: 9\n");
	assert_true(daemon_reload(&bench->daemon));
	assert_int_equal(bench->daemon.conf->log_level, LOG_LEVEL_WARN);
	assert_int_equal(bench->daemon.conf->http_drain_ms, 77);
	assert_int_not_equal(bench->daemon.conf->http_workers, 9);
	assert_string_equal(data_dir, bench->daemon.conf->data_dir); /* the first one's texts are still there */
	assert_false(daemon_reload(&bench->daemon));
	log_set_level(LOG_LEVEL_ERROR);
}

static void a_faulty_reload_changes_nothing(void **state)
{
	struct bench *bench = *state;
	const struct conf *before = bench->daemon.conf;

	write_config(bench, "http:\n  drain_ms: many\n");
	assert_false(daemon_reload(&bench->daemon));
	assert_ptr_equal(bench->daemon.conf, before);
	write_config(bench, "http: [\n");
	assert_false(daemon_reload(&bench->daemon));
	assert_ptr_equal(bench->daemon.conf, before);
}

/* ---- why it stops ---- */

static void the_first_reason_to_stop_wins(void **state)
{
	struct bench *bench = *state;

	signals_block();
	daemon_fatal(&bench->daemon, ERR_POSITION_TAKEN, "another writer leads");
	daemon_fatal(&bench->daemon, ERR_STORE_LATCHED, "later");
	assert_int_equal(atomic_load(&bench->daemon.fatal), ERR_POSITION_TAKEN);
	assert_string_equal(bench->daemon.fatal_detail, "another writer leads");
	assert_int_equal(signals_wait(clock_monotonic_us() + 30 * CLOCK_US_PER_SECOND), RUNTIME_STOP);
}

/* ---- a whole life, in a process of its own, as a service manager sees it ---- */

struct manager {
	int socket;
	char path[64];
	pid_t child;
};

static void hire(struct manager *manager, struct bench *bench)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 30};

	snprintf(manager->path, sizeof(manager->path), "%s/notify", bench->folder);
	strcpy(address.sun_path, manager->path);
	manager->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(manager->socket >= 0);
	assert_int_equal(bind(manager->socket, (const struct sockaddr *)&address, sizeof(address)), 0);
	setsockopt(manager->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	make_data(bench);
}

static void bear(struct manager *manager, struct bench *bench)
{
	manager->child = fork();
	assert_true(manager->child >= 0);
	if (manager->child > 0)
		return;
	setenv("NOTIFY_SOCKET", manager->path, 1);
	setenv("WATCHDOG_USEC", "300000", 1);
	_exit(daemon_run(&bench->daemon));
}

/* Waits until the manager is told `state`; other states on the way are passed over. */
static void is_told(struct manager *manager, const char *state)
{
	char text[512];
	ssize_t size;

	do {
		size = recv(manager->socket, text, sizeof(text) - 1, 0);
		if (size < 0)
			fail_msg("the manager was not told %s", state);
		text[size] = '\0';
	} while (!strstr(text, state));
}

static int buried(struct manager *manager)
{
	int status = 0;

	assert_int_equal(waitpid(manager->child, &status, 0), manager->child);
	close(manager->socket);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void the_manager_hears_of_ready_watchdog_reload_and_stop(void **state)
{
	struct bench *bench = *state;
	struct manager manager;

	hire(&manager, bench);
	bear(&manager, bench);
	is_told(&manager, "READY=1");
	is_told(&manager, "WATCHDOG=1");
	kill(manager.child, SIGHUP);
	is_told(&manager, "RELOADING=1");
	is_told(&manager, "READY=1");
	is_told(&manager, "WATCHDOG=1");
	kill(manager.child, SIGTERM);
	is_told(&manager, "STOPPING=1");
	assert_int_equal(buried(&manager), DAEMON_EXIT_OK);
}

static void a_fatal_reason_ends_it_in_order_with_a_code_of_its_own(void **state)
{
	struct bench *bench = *state;
	struct manager manager;

	hire(&manager, bench);
	atomic_store(&bench->daemon.fatal, ERR_STORE_LATCHED); /* as if it had come while starting */
	bear(&manager, bench);
	is_told(&manager, "STOPPING=1");
	assert_int_equal(buried(&manager), DAEMON_EXIT_STOPPED);
}

static void a_start_that_fails_is_told_by_its_code(void **state)
{
	struct bench *bench = *state;
	struct manager manager;

	hire(&manager, bench);
	bench->daemon.conf->http_address = "0.0.0.0";
	bear(&manager, bench);
	assert_int_equal(buried(&manager), DAEMON_EXIT_FAILED);
}

/* ---- the admin socket ---- */

static int dial(struct bench *bench)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/data/admin.sock", bench->folder);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* One answer line as an object. */
static json_t *hear(FILE *stream)
{
	char *line = NULL;
	size_t size = 0;
	json_t *answer;

	assert_true(getline(&line, &size, stream) > 0);
	answer = json_loads(line, 0, NULL);
	assert_non_null(answer);
	free(line);
	return answer;
}

static json_t *ask(FILE *stream, const char *request)
{
	fprintf(stream, "%s\n", request);
	fflush(stream);
	return hear(stream);
}

static const char *string_at(const json_t *object, const char *outer, const char *inner)
{
	const char *text = json_string_value(json_object_get(json_object_get(object, outer), inner));

	return text ? text : "";
}

static void start_admin(struct bench *bench)
{
	make_data(bench);
	start(bench, "admin");
}

static void its_verbs_answer_a_line_for_a_line(void **state)
{
	struct bench *bench = *state;
	struct stat status;
	char path[512];
	json_t *answer;
	FILE *stream;

	start_admin(bench);
	snprintf(path, sizeof(path), "%s/data/admin.sock", bench->folder);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	stream = fdopen(dial(bench), "r+");
	assert_non_null(stream);

	answer = ask(stream, "{\"verb\": \"status\"}");
	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_string_equal(string_at(answer, "result", "node"), "a");
	json_decref(answer);

	answer = ask(stream,
		"{\"verb\": \"organisations.create\", \"slug\": \"acme\", \"name\": \"Acme\", \"country\": \"IS\"}");
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	answer = ask(stream, "{\"verb\": \"organisations.list\"}");
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);

	answer = ask(stream, "{\"verb\": \"checkpoint\"}");
	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_true(strlen(string_at(answer, "result", "signature")) > 0);
	json_decref(answer);

	answer = ask(stream, "{\"verb\": \"nonsense\"}");
	assert_true(json_is_false(json_object_get(answer, "ok")));
	json_decref(answer);
	answer = ask(stream, "not json");
	assert_string_equal(string_at(answer, "error", "slug"), "invalid-json");
	json_decref(answer);
	answer = ask(stream, "{\"verb\": \"backup\", \"folder\": \"relative\"}");
	assert_string_equal(string_at(answer, "error", "pointer"), "/folder");
	json_decref(answer);

	/* two requests at once are answered in order */
	fputs("{\"verb\": \"status\"}\n{\"verb\": \"nonsense\"}\n", stream);
	fflush(stream);
	answer = hear(stream);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	answer = hear(stream);
	assert_true(json_is_false(json_object_get(answer, "ok")));
	json_decref(answer);
	fclose(stream);
	daemon_stop(&bench->daemon);
	assert_int_not_equal(stat(path, &status), 0);
}

static void a_backup_is_made_on_the_live_daemon_and_restores(void **state)
{
	struct bench *bench = *state;
	char request[256], backup[160];
	char *words[] = {backup, "--drill"};
	json_t *answer;
	FILE *stream;

	start_admin(bench);
	snprintf(backup, sizeof(backup), "%s/backup", bench->folder);
	snprintf(request, sizeof(request), "{\"verb\": \"backup\", \"folder\": \"%s\", \"with_keys\": true}", backup);
	stream = fdopen(dial(bench), "r+");
	assert_non_null(stream);
	answer = ask(stream, request);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	fclose(stream);
	daemon_stop(&bench->daemon);
	atomic_store(&bench->daemon.draining, false);
	assert_int_equal(verb_restore(&bench->daemon, 2, words), DAEMON_EXIT_OK);
}

static void an_endless_line_is_cut_off(void **state)
{
	struct bench *bench = *state;
	static char noise[256 << 10];
	char byte;
	int fd;

	start_admin(bench);
	fd = dial(bench);
	memset(noise, 'x', sizeof(noise));
	for (size_t sent = 0; sent < sizeof(noise);) {
		ssize_t part = send(fd, noise + sent, sizeof(noise) - sent, MSG_NOSIGNAL);
		if (part <= 0)
			break;
		sent += (size_t)part;
	}
	assert_true(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
	daemon_stop(&bench->daemon);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(stages_stand_behind_what_they_need),
		TEST(it_does_not_start_without_init),
		TEST(a_second_daemon_is_refused),
		TEST(all_stages_start_and_stop_and_start_again),
		TEST(an_open_address_needs_tls_or_a_proxy),
		TEST(a_reload_applies_what_it_can_and_keeps_the_rest),
		TEST(a_faulty_reload_changes_nothing),
		TEST(the_first_reason_to_stop_wins),
		TEST(the_manager_hears_of_ready_watchdog_reload_and_stop),
		TEST(a_fatal_reason_ends_it_in_order_with_a_code_of_its_own),
		TEST(a_start_that_fails_is_told_by_its_code),
		TEST(its_verbs_answer_a_line_for_a_line),
		TEST(a_backup_is_made_on_the_live_daemon_and_restores),
		TEST(an_endless_line_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
