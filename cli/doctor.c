/* carbonctl doctor: what a daemon on this machine needs, one line a check, and what to do where something is wrong. It changes
 * nothing. One thread. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "call.h"
#include "carbond/base/clock.h"
#include "carbond/conf.h"
#include "carbond/mqtt.h"

enum verdict { GOOD, WARNING, BAD, SKIPPED };
static const char *const verdict_names[] = {"ok", "warning", "bad", "skipped"};

struct doctor {
	struct arena *arena;
	struct conf *conf; /* NULL: the configuration is not valid */
	struct conf_report report;
	bool reachable;
};

struct finding {
	enum verdict verdict;
	char detail[400];
	char todo[300];
};

__attribute__((format(printf, 3, 4))) static void find(
	struct finding *finding, enum verdict verdict, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(finding->detail, sizeof finding->detail, format, arguments);
	va_end(arguments);
	finding->verdict = verdict;
}

__attribute__((format(printf, 2, 3))) static void advise(struct finding *finding, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(finding->todo, sizeof finding->todo, format, arguments);
	va_end(arguments);
}

/* ---- this machine ---- */

static void check_config(struct doctor *doctor, struct finding *finding)
{
	struct conf_input input = {.environment = environ};
	struct err_info info = {0};
	if (conf_load(&input, doctor->arena, &doctor->conf, &doctor->report, &info) == ERR_OK) {
		find(finding, GOOD, "%s",
			doctor->report.file ? doctor->report.file : "no file: defaults and environment");
		return;
	}
	find(finding, BAD, "%zu problems; the first: %s", doctor->report.problem_count, info.detail);
	advise(finding, "correct it; `carbond --check-config` lists all");
}

/* The first file in the folder that is not its owner's, as after a restore by root. */
static bool foreign_file(const char *folder, const struct stat *owner, char *name, size_t size)
{
	DIR *directory = opendir(folder);
	const struct dirent *entry;
	struct stat status;
	bool found = false;
	while (directory && !found && (entry = readdir(directory))) {
		found = strcmp(entry->d_name, "..") != 0 &&
			fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
			status.st_uid != owner->st_uid;
		snprintf(name, size, "%s", entry->d_name);
	}
	if (directory)
		closedir(directory);
	return found;
}

static void check_data_folder(struct doctor *doctor, struct finding *finding)
{
	const char *folder = doctor->conf ? doctor->conf->data_dir : "";
	struct stat status;
	char name[256] = "";
	if (!doctor->conf) {
		find(finding, SKIPPED, "the configuration does not say where it is");
	} else if (stat(folder, &status) != 0) {
		find(finding, errno == ENOENT ? WARNING : BAD, "%s: %s", folder, strerror(errno));
		advise(finding, "`carbonctl init --organisation SLUG` makes it, as the user that carbond runs as");
	} else if (!S_ISDIR(status.st_mode)) {
		find(finding, BAD, "%s is not a folder", folder);
		advise(finding, "move it away, or set data_dir");
	} else if (status.st_mode & 077) {
		find(finding, BAD, "%s can be entered by others (mode %03o)", folder, (unsigned)status.st_mode & 0777);
		advise(finding, "chmod 700 %s", folder);
	} else if (geteuid() != 0 && status.st_uid != geteuid()) {
		find(finding, WARNING, "%s belongs to user %u, you are %u", folder, (unsigned)status.st_uid,
			(unsigned)geteuid());
		advise(finding, "run carbonctl as the owner, or as root, to see more");
	} else if (foreign_file(folder, &status, name, sizeof name)) {
		find(finding, BAD, "%s/%s is not its owner's (user %u)", folder, name, (unsigned)status.st_uid);
		advise(finding, "chown -R --reference=%s %s", folder, folder);
	} else {
		find(finding, GOOD, "%s, owner %u, mode %03o", folder, (unsigned)status.st_uid,
			(unsigned)status.st_mode & 0777);
	}
}

static void check_space(struct doctor *doctor, struct finding *finding)
{
	struct statvfs space;
	if (!doctor->conf || statvfs(doctor->conf->data_dir, &space) != 0) {
		find(finding, SKIPPED, "there is no data folder");
		return;
	}
	int64_t free_mb = (int64_t)(space.f_bavail * (space.f_frsize >> 10) >> 10);
	int64_t mark_mb = doctor->conf->store_low_water_mb;
	find(finding,
		free_mb <= mark_mb      ? BAD
		: free_mb < 4 * mark_mb ? WARNING
					: GOOD,
		"%lld MB free; carbond takes no data below %lld MB", (long long)free_mb, (long long)mark_mb);
	if (finding->verdict != GOOD)
		advise(finding, "make room: a larger disk, or shorter raw retention on sensors");
	if (space.f_files && space.f_favail * 50 < space.f_files) {
		find(finding, WARNING, "fewer than 2 %% of the file system's inodes are free");
		advise(finding, "delete small files on this file system");
	}
}

static void check_clock(struct doctor *doctor, struct finding *finding)
{
	(void)doctor;
	struct timex state = {0};
	int status = adjtimex(&state);
	if (status < 0) {
		find(finding, SKIPPED, "the kernel does not say: %s", strerror(errno));
	} else if (status == TIME_ERROR || (state.status & STA_UNSYNC)) {
		find(finding, WARNING, "the kernel does not call its clock synchronised");
		advise(finding, "run chrony or systemd-timesyncd; times in the journal cannot be corrected later");
	} else {
		find(finding, GOOD, "synchronised; estimated error %ld us", state.esterror);
	}
}

static void check_files(struct doctor *doctor, struct finding *finding)
{
	struct rlimit limit;
	long long wanted = doctor->conf ? doctor->conf->http_connections_max + 200 : 4200;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		find(finding, SKIPPED, "unknown: %s", strerror(errno));
	} else if (limit.rlim_max < (rlim_t)wanted) {
		find(finding, WARNING, "at most %llu here; http.connections_max needs %lld",
			(unsigned long long)limit.rlim_max, wanted);
		advise(finding, "LimitNOFILE=%lld in the service's unit, or a lower http.connections_max", wanted);
	} else {
		find(finding, GOOD, "at most %llu; %lld are needed", (unsigned long long)limit.rlim_max, wanted);
	}
}

#define WATCHDOG_LEAST_S 10 /* carbond answers it every second or so, but not while a disk hangs */

/* The seconds of a systemd time span in whole units ("30", "30s", "2min"); 0 where it is none. */
static long long span_s(const char *text)
{
	char *unit;
	long long number = strtoll(text, &unit, 10);
	unit[strcspn(unit, "\r\n")] = 0;
	if (!*unit || strcmp(unit, "s") == 0 || strcmp(unit, "sec") == 0)
		return number;
	return strcmp(unit, "min") == 0 ? number * 60 : strcmp(unit, "ms") == 0 ? number / 1000 : 0;
}

static void check_watchdog(struct doctor *doctor, struct finding *finding)
{
	static const char *const places[] = {
		"/etc/systemd/system/carbond.service", "/lib/systemd/system/carbond.service"};
	(void)doctor;
	if (access("/run/systemd/system", F_OK) != 0) {
		find(finding, SKIPPED, "systemd does not run here");
		return;
	}
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		FILE *file = fopen(places[i], "re");
		char line[512];
		long long seconds = 0;
		if (!file)
			continue;
		while (fgets(line, sizeof line, file))
			if (strncmp(line, "WatchdogSec=", 12) == 0)
				seconds = span_s(line + 12);
		fclose(file);
		find(finding,
			seconds >= WATCHDOG_LEAST_S ? GOOD
			: seconds                   ? BAD
						    : WARNING,
			"%s: WatchdogSec is %s%lld s", places[i], seconds ? "" : "missing: ", seconds);
		if (seconds < WATCHDOG_LEAST_S)
			advise(finding,
				"set WatchdogSec=30: a daemon that hangs is started again, a busy one is not killed");
		return;
	}
	find(finding, WARNING, "there is no carbond.service");
	advise(finding, "install config/systemd/carbond.service, if carbond is to run as a service");
}

/* Who listens where carbond should, when that is not carbond. */
static bool port_taken(const struct conf *conf)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
	char port[16];
	bool taken = false;
	snprintf(port, sizeof port, "%lld", (long long)conf->http_port);
	if (getaddrinfo(conf->http_address, port, &hints, &found) != 0)
		return false;
	int on = 1, file = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (file >= 0 && setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0)
		taken = bind(file, found->ai_addr, found->ai_addrlen) != 0 && errno == EADDRINUSE;
	if (file >= 0)
		close(file);
	freeaddrinfo(found);
	return taken;
}

static void check_start(struct doctor *doctor, struct finding *finding)
{
	char line[300];
	if (!doctor->conf) {
		find(finding, SKIPPED, "the configuration is not valid");
	} else if (!cli_daemon_line("check", line, sizeof line)) {
		find(finding, BAD, "%s", line);
		advise(finding,
			"carbond would not start with this: restore the file that it names, or install the version "
			"of carbond that wrote the data");
	} else {
		find(finding, GOOD, "%s", line);
	}
}

/* ---- the daemon ---- */

#define PATIENCE_US (5 * CLOCK_US_PER_SECOND)

/* The status of an answer to GET, 0 without one. */
static int ask(struct doctor *doctor, const char *path, struct net_response *ret_response, struct err_info *info)
{
	struct cli_call call = {.method = "GET", .path = path, .attempts = 1, .deadline_us = PATIENCE_US};
	*ret_response = (struct net_response){0};
	cli_send(doctor->arena, &call, ret_response, info);
	return ret_response->status;
}

static void check_daemon(struct doctor *doctor, struct finding *finding)
{
	struct net_response response;
	struct err_info info = {0};
	int status = ask(doctor, "/healthz", &response, &info);
	if (status == 0) {
		find(finding, BAD, "%s", info.detail);
		advise(finding, "start carbond, or give --url; its log says why it ended");
		if (doctor->conf && port_taken(doctor->conf)) {
			find(finding, BAD, "port %lld of %s is taken by a process that does not answer as carbond",
				(long long)doctor->conf->http_port, doctor->conf->http_address);
			advise(finding, "`ss -ltnp` names it: stop it, or set http.port");
		}
		return;
	}
	doctor->reachable = true;
	find(finding, status == 200 ? GOOD : BAD, "%s answers %d", cli_settings()->url, status);
	if (status != 200)
		advise(finding,
			"another process has the port: `ss -ltnp` names it; stop it, or set http.port or --url");
}

static void check_ready(struct doctor *doctor, struct finding *finding)
{
	struct net_response response;
	struct err_info info = {0};
	if (!doctor->reachable) {
		find(finding, SKIPPED, "the daemon is not reachable");
		return;
	}
	if (ask(doctor, "/readyz", &response, &info) == 200) {
		find(finding, GOOD, "takes traffic");
		return;
	}
	size_t size = response.body_size < 250 ? response.body_size : 250;
	find(finding, BAD, "not ready (%d): %.*s", response.status, (int)size, response.body ? response.body : "");
	advise(finding, "while it replays, wait; otherwise mend what it names");
}

static void check_key(struct doctor *doctor, struct finding *finding)
{
	struct net_response response;
	struct err_info info = {0};
	if (!doctor->reachable || !cli_settings()->key) {
		find(finding, SKIPPED,
			doctor->reachable ? "no --key and no CARBOND_API_KEY" : "the daemon is not reachable");
		return;
	}
	int status = ask(doctor, "/v1/organisations?limit=1", &response, &info);
	if (status == 401) {
		find(finding, BAD, "the key is not accepted");
		advise(finding, "`carbonctl keys create` makes a new one by the admin socket");
	} else if (status == 200 || status == 403) {
		find(finding, GOOD, "the key is accepted");
	} else {
		find(finding, WARNING, "%s", info.detail);
	}
}

static void check_socket(struct doctor *doctor, struct finding *finding)
{
	struct err_info info = {0};
	json_t *result = NULL, *request = document_own(doctor->arena, json_pack("{s:s}", "verb", "status"));
	enum err err = request ? cli_admin(doctor->arena, request, &result, &info) : ERR_NO_MEMORY;
	if (err != ERR_OK) {
		find(finding, doctor->reachable ? WARNING : SKIPPED, "%s", info.detail);
		if (doctor->reachable)
			advise(finding, "run carbonctl as the daemon's user or root, on its machine; --socket names "
					"another path");
		return;
	}
	const char *version = json_string_value(json_object_get(result, "version"));
	find(finding, GOOD, "carbond %s answers, pid %lld", version ? version : "?",
		(long long)json_integer_value(json_object_get(result, "pid")));
}

static void check_broker(struct doctor *doctor, struct finding *finding)
{
	const struct conf *conf = doctor->conf;
	if (!conf || !conf->mqtt_enabled) {
		find(finding, SKIPPED, conf ? "mqtt.enabled is false" : "the configuration is not valid");
		return;
	}
	struct mqtt_publisher_options options = {
		.broker = {.host = conf->mqtt_host,
			.port = (uint16_t)conf->mqtt_port,
			.username = *conf->mqtt_username ? conf->mqtt_username : NULL,
			.password_file = *conf->mqtt_password_file ? conf->mqtt_password_file : NULL,
			.tls_ca = *conf->mqtt_tls_ca ? conf->mqtt_tls_ca : NULL,
			.tls_certificate = *conf->mqtt_tls_certificate ? conf->mqtt_tls_certificate : NULL,
			.tls_key = *conf->mqtt_tls_key ? conf->mqtt_tls_key : NULL,
			.connect_us = 5 * CLOCK_US_PER_SECOND}};
	struct mqtt_publisher *publisher = NULL;
	struct err_info info = {0};
	enum err err = mqtt_start();
	if (err == ERR_OK)
		err = mqtt_publisher_open(&options, &publisher, &info);
	if (err == ERR_OK) {
		find(finding, GOOD, "%s:%lld takes the connection", conf->mqtt_host, (long long)conf->mqtt_port);
	} else {
		find(finding, BAD, "%s:%lld: %s", conf->mqtt_host, (long long)conf->mqtt_port, info.detail);
		advise(finding, "start the broker (config/mosquitto.conf is carbond's), or correct mqtt.*");
	}
	mqtt_publisher_close(&publisher);
	mqtt_stop();
}

/* What the daemon itself knows: a check, a verdict and an advice each, as they come. */
static void add_daemon_findings(struct doctor *doctor, json_t *list)
{
	json_t *result = NULL, *request = document_own(doctor->arena, json_pack("{s:s}", "verb", "doctor"));
	struct err_info info;
	if (request && cli_admin(doctor->arena, request, &result, &info) == ERR_OK)
		json_array_extend(list, result);
}

static const struct {
	const char *name;
	void (*check)(struct doctor *doctor, struct finding *finding);
} checks[] = {{"configuration", check_config}, {"data folder", check_data_folder}, {"disk space", check_space},
	{"clock", check_clock}, {"open files", check_files}, {"watchdog", check_watchdog}, {"start", check_start},
	{"broker", check_broker}, {"daemon", check_daemon}, {"ready", check_ready}, {"api key", check_key},
	{"admin socket", check_socket}};

static const char *member(const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));
	return text ? text : "";
}

int cli_doctor(int argc, char **argv)
{
	struct doctor doctor = {.arena = arena_new(0)};
	json_t *list = json_array();
	int bad = 0;
	(void)argc;
	(void)argv;
	if (!doctor.arena || !document_own(doctor.arena, list))
		return cli_fail(CLI_REFUSED, "out of memory");
	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
		struct finding finding = {.verdict = GOOD};
		checks[i].check(&doctor, &finding);
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s}", "check", checks[i].name, "verdict",
				      verdict_names[finding.verdict], "detail", finding.detail, "todo", finding.todo));
	}
	add_daemon_findings(&doctor, list);
	size_t index;
	const json_t *row;
	json_array_foreach(list, index, row)
	{
		const char *verdict = member(row, "verdict"), *todo = member(row, "todo");
		bad += strcmp(verdict, verdict_names[BAD]) == 0;
		if (cli_settings()->json)
			continue;
		printf("%-8s %-14s %s\n", verdict, member(row, "check"), member(row, "detail"));
		if (*todo)
			printf("%24s→ %s\n", "", todo);
	}
	if (cli_settings()->json)
		cli_print(doctor.arena, list, NULL);
	arena_free(&doctor.arena);
	return bad ? CLI_REFUSED : CLI_OK;
}
