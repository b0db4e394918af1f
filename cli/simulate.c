/* carbonctl simulate: the plant of plant.c over MQTT, or as CSV. It back-fills from a moment in the past as fast as the broker
 * acknowledges, then goes on live. The plant is a pure function of seed and time, so a second run goes on where the first
 * one ended, and sending something twice is harmless. One thread. */
#include "cli.h"

#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/mqtt.h"
#include "plant.h"
#include "provision.h"
#include "text.h"

#define MESSAGE_BYTES   2048
#define PUBLISH_WAIT_US (INT64_C(600) * CLOCK_US_PER_SECOND) /* a broker may be away for minutes */
#define PROGRESS_EVERY  CLOCK_US_PER_SECOND

struct simulation {
	struct plant plant;
	int64_t from_us, to_us, step_us, live_step_us;
	bool is_live, is_csv, is_quiet, creates;
	const char *organisation, *unit, *unit_code, *country, *name, *boot;
	struct mqtt_broker broker;
	struct mqtt_publisher *publisher;
	char topic[256];
	int64_t sequence;
};

static volatile sig_atomic_t stop_asked;

static void on_stop(int number)
{
	(void)number;
	stop_asked = 1;
}

const char simulate_usage[] =
	"carbonctl simulate: a direct-air-capture plant over MQTT (or --csv to standard output)\n"
	"\n"
	"  --org SLUG --unit SLUG      whose plant it is (default: acme, dac-1)\n"
	"  --create                    first register unit, metering points, sensors and calibrations over REST\n"
	"  --code CODE --country CC    of a created unit (default: ICE1, IS)\n"
	"  --broker HOST:PORT          default 127.0.0.1:1883; --username NAME --password-file FILE --tls-ca FILE\n"
	"  --from TIME|AGE             back-fill from there (2026-11-20T00:00:00Z, or 10d, 6h, 30m); default: now\n"
	"  --to TIME|AGE               and until there (default: now)\n"
	"  --step DURATION             between the back-filled readings (default 60s)\n"
	"  --live [--live-step 1s]     then go on in real time until Ctrl-C\n"
	"  --seed N                    another plant (default 1); --noise F scales its instruments' noise (default 1)\n"
	"  --fault KIND:TAG:TIME:DURATION[:SIZE]  gap, drift, stuck or spike of one instrument; up to 16 times\n"
	"  --csv                       write time and tags as CSV instead of publishing\n"
	"  --quiet                     no progress\n"
	"\n"
	"  carbonctl simulate --create --from 10d --live\n"
	"  carbonctl simulate --csv --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z --seed 7 > day.csv\n"
	"  carbonctl simulate --from 1d --fault gap:FT-101:2026-11-23T03:00:00Z:2h\n";

/* ---- options ---- */

/* A moment: RFC 3339, or an age before now. */
static bool parse_moment(const char *text, int64_t now_us, int64_t *ret_us)
{
	int64_t age_us;
	if (clock_parse(text, ret_us) == ERR_OK)
		return true;
	if (!cli_parse_duration(text, &age_us))
		return false;
	*ret_us = now_us - age_us;
	return true;
}

static int refuse(const char *option, const char *value, const char *allowed)
{
	fprintf(stderr, "carbonctl simulate: --%s %s: %s\n", option, value, allowed);
	return CLI_USAGE;
}

enum choice {
	ORG,
	UNIT,
	CREATE,
	CODE,
	COUNTRY,
	NAME,
	BROKER,
	USERNAME,
	PASSWORD_FILE,
	TLS_CA,
	FROM,
	TO,
	STEP,
	LIVE,
	LIVE_STEP,
	SEED,
	NOISE,
	FAULT,
	CSV,
	QUIET,
	HELP,
	JSON
};

static const struct option_row {
	const char *name;
	int takes_value;
} option_rows[] = {[ORG] = {"org", 1},
	[UNIT] = {"unit", 1},
	[CREATE] = {"create", 0},
	[CODE] = {"code", 1},
	[COUNTRY] = {"country", 1},
	[NAME] = {"name", 1},
	[BROKER] = {"broker", 1},
	[USERNAME] = {"username", 1},
	[PASSWORD_FILE] = {"password-file", 1},
	[TLS_CA] = {"tls-ca", 1},
	[FROM] = {"from", 1},
	[TO] = {"to", 1},
	[STEP] = {"step", 1},
	[LIVE] = {"live", 0},
	[LIVE_STEP] = {"live-step", 1},
	[SEED] = {"seed", 1},
	[NOISE] = {"noise", 1},
	[FAULT] = {"fault", 1},
	[CSV] = {"csv", 0},
	[QUIET] = {"quiet", 0},
	[HELP] = {"help", 0},
	[JSON] = {"json", 0}};
enum { OPTIONS = sizeof option_rows / sizeof option_rows[0] };

static int take_fault(struct simulation *simulation, const char *value)
{
	struct err_info info = {0};
	if (simulation->plant.fault_count == PLANT_FAULTS_MAX)
		return refuse("fault", value, "at most 16 faults");
	struct plant_fault *fault = &simulation->plant.faults[simulation->plant.fault_count];
	if (plant_fault_parse(value, fault, &info))
		return refuse("fault", value, info.detail);
	simulation->plant.fault_count++;
	return CLI_OK;
}

/* One option; CLI_OK or the exit code. */
static int take_option(struct simulation *simulation, enum choice option, char *value, int64_t now_us)
{
	char *end = NULL;
	switch (option) {
	case ORG: simulation->organisation = value; break;
	case UNIT: simulation->unit = value; break;
	case CREATE: simulation->creates = true; break;
	case CODE: simulation->unit_code = value; break;
	case COUNTRY: simulation->country = value; break;
	case NAME: simulation->name = value; break;
	case BROKER:
		if (!cli_parse_broker(value, &simulation->broker))
			return refuse("broker", value, "write HOST:PORT, PORT from 1 to 65535");
		break;
	case USERNAME: simulation->broker.username = value; break;
	case PASSWORD_FILE: simulation->broker.password_file = value; break;
	case TLS_CA: simulation->broker.tls_ca = value; break;
	case FROM:
	case TO:
		if (!parse_moment(value, now_us, option == FROM ? &simulation->from_us : &simulation->to_us))
			return refuse(option_rows[option].name, value,
				"write a time (2026-11-20T00:00:00Z) or an age (10d, 6h, 30m)");
		break;
	case STEP:
	case LIVE_STEP:
		if (!cli_parse_duration(value, option == STEP ? &simulation->step_us : &simulation->live_step_us))
			return refuse(option_rows[option].name, value, "write a duration from 1ms on (60s, 500ms, 2m)");
		break;
	case LIVE: simulation->is_live = true; break;
	case SEED:
		simulation->plant.seed = strtoull(value, &end, 10);
		if (end == value || *end)
			return refuse("seed", value, "a whole number from 0 to 18446744073709551615");
		break;
	case NOISE:
		simulation->plant.noise = strtod(value, &end);
		if (end == value || *end || !(simulation->plant.noise >= 0 && simulation->plant.noise <= 100))
			return refuse("noise", value, "a number from 0 to 100");
		break;
	case FAULT: return take_fault(simulation, value);
	case CSV: simulation->is_csv = true; break;
	case QUIET: simulation->is_quiet = true; break;
	case JSON: break;
	case HELP: fputs(simulate_usage, stdout); return -1;
	}
	return CLI_OK;
}

static int take_options(struct simulation *simulation, int argc, char **argv, int64_t now_us)
{
	struct option long_options[OPTIONS + 1] = {0};
	for (int i = 0; i < OPTIONS; i++)
		long_options[i] = (struct option){option_rows[i].name, option_rows[i].takes_value, NULL, i};
	optind = 1;
	for (int chosen; (chosen = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
		if (chosen == '?')
			return CLI_USAGE;
		int code = take_option(simulation, (enum choice)chosen, optarg, now_us);
		if (code)
			return code;
	}
	if (optind < argc)
		return refuse("", argv[optind], "simulate takes options only; see carbonctl simulate --help");
	if (simulation->from_us > simulation->to_us)
		return refuse("from", "", "must not lie after --to");
	return CLI_OK;
}

/* ---- output ---- */

static void write_csv_head(void)
{
	fputs("time", stdout);
	for (int i = 0; i < PLANT_SENSORS; i++)
		printf(",%s", plant_sensors[i].tag);
	putchar('\n');
}

static void write_csv(const struct simulation *simulation, int64_t time_us)
{
	double values[PLANT_SENSORS];
	char time_text[CLOCK_TEXT_SIZE];
	plant_read(&simulation->plant, time_us, values);
	fputs(clock_text(time_us, time_text), stdout);
	for (int i = 0; i < PLANT_SENSORS; i++)
		if (isnan(values[i]))
			putchar(',');
		else
			printf(",%.*f", plant_sensors[i].decimals, values[i]);
	putchar('\n');
}

/* One message: all instruments at one moment (decision 17). */
static enum err publish(struct simulation *simulation, int64_t time_us, struct err_info *info)
{
	double values[PLANT_SENSORS];
	char message[MESSAGE_BYTES];
	plant_read(&simulation->plant, time_us, values);
	int size = snprintf(message, sizeof message, "{\"t\":%lld,\"boot\":\"%s\",\"seq\":%lld,\"v\":{",
		(long long)time_us, simulation->boot, (long long)++simulation->sequence);
	const char *comma = "";
	for (int i = 0; i < PLANT_SENSORS; i++) {
		if (isnan(values[i]))
			continue;
		size += snprintf(message + size, sizeof message - (size_t)size, "%s\"%s\":%.*f", comma,
			plant_sensors[i].tag, plant_sensors[i].decimals, values[i]);
		comma = ",";
	}
	size += snprintf(message + size, sizeof message - (size_t)size, "}}");
	return mqtt_publish(simulation->publisher, simulation->topic, message, (size_t)size,
		clock_monotonic_us() + PUBLISH_WAIT_US, info);
}

static void tell(const struct simulation *simulation, const char *what, int64_t time_us, int64_t readings)
{
	char time_text[CLOCK_TEXT_SIZE];
	if (!simulation->is_quiet)
		fprintf(stderr, "%s %s, %lld readings acknowledged\n", what, clock_text(time_us, time_text),
			(long long)readings);
}

static enum err back_fill(struct simulation *simulation, struct err_info *info)
{
	int64_t told_us = clock_monotonic_us();
	enum err err = ERR_OK;
	for (int64_t time_us = simulation->from_us; time_us < simulation->to_us && !stop_asked && !err;
		time_us += simulation->step_us) {
		err = publish(simulation, time_us, info);
		if (!err && clock_monotonic_us() - told_us >= PROGRESS_EVERY) {
			told_us = clock_monotonic_us();
			tell(simulation, "back-filled to", time_us,
				(int64_t)mqtt_publisher_acknowledged(simulation->publisher) * PLANT_SENSORS);
		}
	}
	if (!err)
		err = mqtt_publisher_flush(simulation->publisher, clock_monotonic_us() + PUBLISH_WAIT_US, info);
	if (!err)
		tell(simulation, "back-filled to", simulation->to_us,
			(int64_t)mqtt_publisher_acknowledged(simulation->publisher) * PLANT_SENSORS);
	return err;
}

/* Real time: readings stand on whole steps of the wall clock. */
static enum err go_live(struct simulation *simulation, struct err_info *info)
{
	enum err err = ERR_OK;
	int64_t next_us = clock_wall_us() / simulation->live_step_us * simulation->live_step_us;
	while (!stop_asked && !err) {
		int64_t wait_us = next_us - clock_wall_us();
		if (wait_us > 0) {
			mqtt_publisher_serve(simulation->publisher, clock_monotonic_us() + wait_us);
			continue;
		}
		err = publish(simulation, next_us, info);
		next_us += simulation->live_step_us;
	}
	return err;
}

static int run(struct simulation *simulation, struct err_info *info)
{
	struct mqtt_publisher_options options = {.broker = simulation->broker, .inflight = 200};
	int code = CLI_OK;
	if (simulation->creates &&
		(code = provision_plant(simulation->organisation, simulation->unit, simulation->unit_code,
			 simulation->country, simulation->name, simulation->from_us)))
		return code;
	snprintf(simulation->topic, sizeof simulation->topic, "carbond/v1/%s/%s/readings", simulation->organisation,
		simulation->unit);
	enum err err = mqtt_start();
	if (!err)
		err = mqtt_publisher_open(&options, &simulation->publisher, info);
	if (!err)
		err = back_fill(simulation, info);
	if (!err && simulation->is_live)
		err = go_live(simulation, info);
	mqtt_publisher_close(&simulation->publisher);
	mqtt_stop();
	if (err) {
		fprintf(stderr, "carbonctl simulate: %s\n", info->detail[0] ? info->detail : err_row(err)->title);
		code = CLI_UNREACHABLE;
	}
	return code;
}

int cli_simulate(int argc, char **argv)
{
	int64_t now_us = clock_wall_us() / CLOCK_US_PER_SECOND * CLOCK_US_PER_SECOND;
	char boot[24];
	snprintf(boot, sizeof boot, "sim-%lld", (long long)(now_us / CLOCK_US_PER_SECOND));
	struct simulation simulation = {.plant = {.seed = 1, .noise = 1},
		.from_us = now_us,
		.to_us = now_us,
		.step_us = CLOCK_US_PER_MINUTE,
		.live_step_us = CLOCK_US_PER_SECOND,
		.organisation = cli_settings()->org ? cli_settings()->org : "acme",
		.unit = "dac-1",
		.unit_code = "ICE1",
		.country = "IS",
		.name = "simulated direct-air-capture plant",
		.boot = boot,
		.broker = {.host = "127.0.0.1", .port = 1883}};
	struct err_info info = {0};
	int code = take_options(&simulation, argc, argv, now_us);
	if (code)
		return code < 0 ? CLI_OK : code;
	/* the same seconds at every run, so that what is sent twice is sent alike */
	simulation.from_us -= simulation.from_us % simulation.step_us;
	struct sigaction action = {.sa_handler = on_stop};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (!simulation.is_csv)
		return run(&simulation, &info);
	write_csv_head();
	for (int64_t time_us = simulation.from_us; time_us < simulation.to_us && !stop_asked;
		time_us += simulation.step_us)
		write_csv(&simulation, time_us);
	return fflush(stdout) == 0 ? CLI_OK : CLI_UNREACHABLE;
}
