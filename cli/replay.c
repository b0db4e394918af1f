/* carbonctl replay: a CSV of real plant data over MQTT. A column map says which column is which tag and with what unit, range
 * and ages, so that it can register the plant too. One message a row, values as they stand in the file, so that what is stored
 * can be compared with it digit by digit. One thread. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/mqtt.h"
#include "cli.h"
#include "column_map.h"
#include "provision.h"
#include "text.h"

enum { MESSAGE_BYTES = 128 << 10, MAP_BYTES = 1 << 20 };
#define PUBLISH_WAIT_US (INT64_C(600) * CLOCK_US_PER_SECOND) /* a broker may be away for minutes */
#define PROGRESS_EVERY  CLOCK_US_PER_SECOND

struct replay {
	struct arena *arena;
	const char *path, *organisation, *unit;
	struct column_map map;
	struct csv csv;
	double rows_per_second, speed; /* one of them, or neither: as fast as the broker acknowledges */
	bool is_quiet;
	struct mqtt_publisher *publisher;
	char topic[256];
	char message[MESSAGE_BYTES];
	int64_t rows, values, first_us, begun_us, told_us;
};

static volatile sig_atomic_t stop_asked;

static void on_stop(int number)
{
	(void)number;
	stop_asked = 1;
}

/* ---- the column map ---- */

static int read_map(struct replay *replay, const char *path)
{
	char *text;
	size_t size;
	struct err_info info = {0};
	enum err err = cli_read_file(replay->arena, path, MAP_BYTES, &text, &size, &info);
	if (!err)
		err = column_map_parse(text, size, replay->arena, &replay->map, &info);
	return err ? cli_fail_info(CLI_REFUSED, &info) : CLI_OK;
}

/* Reads the head of the file and finds each mapped column in it. */
static int match_columns(struct replay *replay)
{
	char *fields[CSV_COLUMNS_MAX];
	struct err_info info = {0};
	long count = csv_read(&replay->csv, fields, &info);
	if (count == 0)
		return cli_fail(CLI_REFUSED, "%s is empty", replay->path);
	if (count < 0 || column_map_match(&replay->map, fields, (size_t)count, replay->arena, &info))
		return cli_fail_info(CLI_REFUSED, &info);
	return CLI_OK;
}

/* ---- registration ---- */

static int create_plant(struct replay *replay)
{
	struct provision provision;
	json_t *unit = json_deep_copy(json_object_get(replay->map.document, "plant")), *row;
	size_t index;
	if (!unit)
		return cli_fail(
			CLI_REFUSED, "--create needs /plant in the map: {code, name, country, nameplate_kg_per_hour}");
	json_object_set_new(unit, "slug", json_string(replay->unit));
	int code = provision_unit(&provision, replay->arena, replay->organisation, unit);
	json_array_foreach(json_object_get(replay->map.document, "points"), index, row) code =
		code ? code : provision_point(&provision, json_deep_copy(row));
	if (!code && !json_object_get(replay->map.document, "points"))
		code = provision_point(&provision,
			json_pack("{s:s, s:s, s:s}", "code", "PROCESS", "name", "process signals", "role", "other"));
	json_array_foreach(json_object_get(replay->map.document, "columns"), index, row) code =
		code ? code : provision_sensor(&provision, column_map_sensor(&replay->map, row), NULL);
	return code;
}

/* ---- sending ---- */

/* One row as one message (decision 17). Empty fields are left out. */
static int write_message(struct replay *replay, char *const fields[], long count, int64_t time_us, size_t *ret_size)
{
	size_t size = (size_t)snprintf(replay->message, MESSAGE_BYTES, "{\"t\":%lld,\"v\":{", (long long)time_us);
	const char *comma = "";
	for (long i = 0; i < count; i++) {
		const char *tag = replay->map.tags[i];
		if (!tag || !*fields[i])
			continue;
		if (!csv_is_number(fields[i]))
			return cli_fail(CLI_REFUSED, "%s:%zu: '%s' in column %ld is no number", replay->path,
				replay->csv.line_number, fields[i], i + 1);
		size += (size_t)snprintf(replay->message + size, MESSAGE_BYTES - size, "%s%.*s:%s", comma,
			(int)strlen(tag) - 2, tag + 1, fields[i]);
		comma = ",";
		replay->values++;
		if (size >= MESSAGE_BYTES - 4)
			return cli_fail(CLI_REFUSED, "%s:%zu: the message is longer than %d bytes", replay->path,
				replay->csv.line_number, MESSAGE_BYTES);
	}
	memcpy(replay->message + size, "}}", 3);
	*ret_size = size + 2;
	return CLI_OK;
}

/* Waits until the row's turn has come, serving the connection. */
static void keep_pace(struct replay *replay, int64_t time_us)
{
	double due_us = 0;
	if (replay->rows_per_second > 0)
		due_us = (double)replay->rows / replay->rows_per_second * 1e6;
	else if (replay->speed > 0)
		due_us = (double)(time_us - replay->first_us) / replay->speed;
	int64_t due = replay->begun_us + (int64_t)due_us;
	while (!stop_asked && clock_monotonic_us() < due)
		mqtt_publisher_serve(replay->publisher, due);
}

static void tell(struct replay *replay, int64_t time_us, bool is_last)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t now_us = clock_monotonic_us();
	if (replay->is_quiet || (!is_last && now_us - replay->told_us < PROGRESS_EVERY))
		return;
	replay->told_us = now_us;
	fprintf(stderr, "%s: %lld rows, %lld readings, %llu messages acknowledged\n", clock_text(time_us, text),
		(long long)replay->rows, (long long)replay->values,
		(unsigned long long)mqtt_publisher_acknowledged(replay->publisher));
}

static int send_rows(struct replay *replay)
{
	char *fields[CSV_COLUMNS_MAX];
	struct err_info info = {0};
	enum err err = ERR_OK;
	int64_t time_us = 0;
	long count;
	while (!stop_asked && !err && (count = csv_read(&replay->csv, fields, &info)) != 0) {
		size_t size = 0;
		if (count < 0)
			return cli_fail_info(CLI_REFUSED, &info);
		if ((size_t)count != replay->map.column_count || !csv_time(fields[replay->map.time_column], &time_us))
			return cli_fail(CLI_REFUSED, "%s:%zu: needs %zu columns and a time in column %zu", replay->path,
				replay->csv.line_number, replay->map.column_count, replay->map.time_column + 1);
		if (replay->rows == 0)
			replay->first_us = time_us;
		keep_pace(replay, time_us);
		int code = write_message(replay, fields, count, time_us, &size);
		if (code)
			return code;
		err = mqtt_publish(replay->publisher, replay->topic, replay->message, size,
			clock_monotonic_us() + PUBLISH_WAIT_US, &info);
		replay->rows++;
		tell(replay, time_us, false);
	}
	if (!err)
		err = mqtt_publisher_flush(replay->publisher, clock_monotonic_us() + PUBLISH_WAIT_US, &info);
	tell(replay, time_us, true);
	return err ? cli_fail_info(CLI_UNREACHABLE, &info) : CLI_OK;
}

static int run(struct replay *replay, const struct mqtt_broker *broker)
{
	struct mqtt_publisher_options options = {.broker = *broker, .inflight = 100};
	struct err_info info = {0};
	snprintf(replay->topic, sizeof replay->topic, "carbond/v1/%s/%s/readings", replay->organisation, replay->unit);
	enum err err = mqtt_start();
	if (!err)
		err = mqtt_publisher_open(&options, &replay->publisher, &info);
	replay->begun_us = replay->told_us = clock_monotonic_us();
	int code = err ? cli_fail_info(CLI_UNREACHABLE, &info) : send_rows(replay);
	mqtt_publisher_close(&replay->publisher);
	mqtt_stop();
	return code;
}

static int take_pace(const char *option, const char *value, double *ret_pace)
{
	char *end;
	if (!value)
		return CLI_OK;
	*ret_pace = strtod(value, &end);
	if (end == value || *end || !(*ret_pace > 0 && *ret_pace <= 1e9))
		return cli_fail(CLI_USAGE, "--%s must be a number above 0, at most 1e9", option);
	return CLI_OK;
}

int cli_replay(int argc, char **argv)
{
	static struct replay replay; /* too large for the stack */
	const struct cli_command *command = cli_command_find("replay", NULL);
	const char *map = cli_option(argc, argv, "map"), *at = cli_option(argc, argv, "broker");
	struct mqtt_broker broker = {.host = "127.0.0.1",
		.port = 1883,
		.username = cli_option(argc, argv, "username"),
		.password_file = cli_option(argc, argv, "password-file"),
		.tls_ca = cli_option(argc, argv, "tls-ca")};
	replay = (struct replay){.arena = arena_new(0),
		.path = cli_positional(argc, argv, command->options, 0),
		.organisation = cli_settings()->org ? cli_settings()->org : "acme",
		.unit = cli_option(argc, argv, "unit"),
		.is_quiet = cli_flag(argc, argv, "quiet")};
	if (!replay.arena)
		return cli_fail(CLI_REFUSED, "out of memory");
	if (!replay.path || !map || !replay.unit)
		return cli_fail(
			CLI_USAGE, "replay needs a FILE, --map FILE and --unit SLUG; see carbonctl replay --help");
	if (at && !cli_parse_broker(at, &broker))
		return cli_fail(CLI_USAGE, "--broker must be HOST:PORT, PORT from 1 to 65535");
	int code = take_pace("rows-per-second", cli_option(argc, argv, "rows-per-second"), &replay.rows_per_second);
	if (!code)
		code = take_pace("speed", cli_option(argc, argv, "speed"), &replay.speed);
	if (!code)
		code = read_map(&replay, map);
	if (!code) {
		replay.csv.path = replay.path;
		replay.csv.file = fopen(replay.path, "r");
		code = replay.csv.file ? match_columns(&replay)
				       : cli_fail(CLI_REFUSED, "%s: %s", replay.path, strerror(errno));
	}
	if (!code && cli_flag(argc, argv, "create"))
		code = create_plant(&replay);
	struct sigaction action = {.sa_handler = on_stop};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (!code)
		code = run(&replay, &broker);
	if (replay.csv.file)
		fclose(replay.csv.file);
	arena_free(&replay.arena);
	return code;
}
