/* What an operator should know of a daemon that runs, beyond whether it is ready: what has ended, gone quiet, filled up or grown
 * old, each with what to do. A table of checks; each reads metrics and rows and changes nothing. The admin thread. */
#include <assert.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "carbond/base/limits.h"
#include "carbond/engine.h"
#include "carbond/sensing.h"
#include "daemon.h"

#define SOON_US            (30 * CLOCK_US_PER_DAY)  /* what ends within it is told beforehand */
#define BACKUP_AGE_US      (26 * CLOCK_US_PER_HOUR) /* a daily backup, and two hours for it to be late */
#define SILENT_PERIODS     10                       /* sampling periods without a reading */
#define SILENT_LEAST_US    (5 * CLOCK_US_PER_MINUTE)
#define SENSORS_MAX        20000 /* sensors looked at; a look is one row by its key */
#define PAGE_ROWS          1000
#define VIEWS_BEHIND       10000 /* events */
#define QUARANTINE_WARNING 1000  /* rows */
#define BACKUP_NOTE        "last-backup"

enum verdict { GOOD, WARNING, BAD };
static const char *const verdict_names[] = {"ok", "warning", "bad"};

struct finding {
	enum verdict verdict;
	char detail[400], todo[300];
};

static void find(struct finding *finding, enum verdict verdict, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void find(struct finding *finding, enum verdict verdict, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(finding->detail, sizeof(finding->detail), format, arguments);
	va_end(arguments);
	finding->verdict = verdict;
}

static void advise(struct finding *finding, const char *todo)
{
	if (finding->verdict != GOOD)
		snprintf(finding->todo, sizeof(finding->todo), "%s", todo);
}

/* ---- the last backup: a note in the data directory, so that it outlives the process ---- */

static bool note_path(const struct daemon *daemon, char path[PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/" BACKUP_NOTE, daemon->data_folder) < PATH_MAX;
}

int64_t health_backup_read(const struct daemon *daemon)
{
	char path[PATH_MAX], text[CLOCK_TEXT_SIZE] = "";
	int64_t time_us = 0;
	int file = note_path(daemon, path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t size = file >= 0 ? read(file, text, sizeof(text) - 1) : 0;

	if (file >= 0)
		close(file);
	text[size > 0 ? size : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (clock_parse(text, &time_us) != ERR_OK)
		time_us = 0;
	metric_set(METRIC_BACKUP_TIME, time_us / CLOCK_US_PER_SECOND);
	return time_us;
}

void health_backup_note(const struct daemon *daemon, int64_t now_us)
{
	char path[PATH_MAX], text[CLOCK_TEXT_SIZE];
	int file = note_path(daemon, path) ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	clock_text(now_us, text);
	/* the backup is made whether or not it can be noted; what is not noted is told as missing */
	if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
		log_line(LOG_LEVEL_WARN, "backup_not_noted", "the time of the backup could not be written", "path",
			path, NULL);
	if (file >= 0)
		close(file);
	metric_set(METRIC_BACKUP_TIME, now_us / CLOCK_US_PER_SECOND);
}

static void check_backup(struct daemon *daemon, int64_t now_us, struct finding *finding)
{
	int64_t made_us = health_backup_read(daemon);
	char made[CLOCK_TEXT_SIZE];

	if (made_us == 0)
		find(finding, WARNING, "no backup has been made of this data directory");
	else
		find(finding, now_us - made_us > BACKUP_AGE_US ? BAD : GOOD, "the last backup was made at %s",
			clock_text(made_us, made));
	advise(finding, "carbonctl backup FOLDER on another disk, daily (docs/OPERATORS.md)");
}

/* ---- what the metrics tell ---- */

static void check_snapshot(struct daemon *daemon, int64_t now_us, struct finding *finding)
{
	int64_t behind = engine_position(daemon->engine) - metric_value(METRIC_ENGINE_SNAPSHOT_POSITION);
	int64_t each = daemon->conf->engine_snapshot_events ? daemon->conf->engine_snapshot_events
							    : LIMIT_ENGINE_SNAPSHOT_EVENTS;

	(void)now_us;
	find(finding, behind > 2 * each ? WARNING : GOOD,
		"%lld events since the newest snapshot of the state; one is due every %lld", (long long)behind,
		(long long)each);
	advise(finding, "the next start replays all of them; the log line replayer_failed says why none is written");
}

static void check_views(struct daemon *daemon, int64_t now_us, struct finding *finding)
{
	int64_t behind = engine_position(daemon->engine) - engine_views_position(daemon->engine);

	(void)now_us;
	find(finding, behind > VIEWS_BEHIND ? WARNING : GOOD, "the views are %lld events behind the journal",
		(long long)behind);
	advise(finding, "what lists show is old; if it does not catch up, the log line consumer_failed says why");
}

static void check_checkpoint(struct daemon *daemon, int64_t now_us, struct finding *finding)
{
	int64_t signed_us = metric_value(METRIC_AUDIT_CHECKPOINT_TIME) * CLOCK_US_PER_SECOND;
	int64_t each_us = daemon->conf->audit_checkpoint_minutes * CLOCK_US_PER_MINUTE;
	int64_t since_us = signed_us ? signed_us : daemon->api.started_at_us;
	char text[CLOCK_TEXT_SIZE];

	find(finding, now_us - since_us > 3 * each_us ? BAD : GOOD, "the logs' last signed checkpoint: %s",
		signed_us ? clock_text(signed_us, text) : "none since the start");
	advise(finding, "carbonctl checkpoint says why none can be signed; until then new records have no proof");
}

static void check_clock(struct daemon *daemon, int64_t now_us, struct finding *finding)
{
	bool halted = engine_clock_halted(daemon->engine);

	(void)now_us;
	find(finding, halted ? BAD : GOOD, "%s",
		halted ? "what expires by time waits: the clock jumped, or the kernel does not vouch for it"
		       : "timers run");
	advise(finding, "check the clock, then carbonctl clock confirm");
}

/* Where the store is shared: some daemon leads, and can be reached by the others. */
static void check_leader(struct daemon *daemon, int64_t now_us, struct finding *finding)
{
	struct engine_leader leader;

	(void)now_us;
	engine_leader(daemon->engine, &leader);
	if (!store_is_shared(daemon->store)) {
		find(finding, GOOD, "this daemon is alone on its store");
	} else if (!leader.node[0]) {
		find(finding, BAD, "no daemon is known to lead");
		advise(finding, "the log lines lease_failed and follow_failed say why; commands are answered 503 until "
				"one leads");
	} else if (!leader.is_self && !leader.address[0]) {
		find(finding, WARNING, "%s leads, term %lld, and says no address", leader.node, (long long)leader.term);
		advise(finding, "set relay.address and relay.key_file on every daemon; until then this one answers "
				"commands with 503");
	} else {
		find(finding, GOOD, "%s%s leads, term %lld", leader.node, leader.is_self ? " (this daemon)" : "",
			(long long)leader.term);
	}
}

static void check_quarantine(struct daemon *daemon, int64_t now_us, struct finding *finding)
{
	int64_t rows = metric_value(METRIC_QUARANTINE_ROWS), most = daemon->conf->ingest_quarantine_rows;

	(void)now_us;
	find(finding,
		rows >= most / 10 * 8        ? BAD
		: rows >= QUARANTINE_WARNING ? WARNING
					     : GOOD,
		"%lld of %lld rows of the quarantine are in use", (long long)rows, (long long)most);
	advise(finding, "carbonctl quarantine list says why; mend the sensors' settings, then redrive or discard");
}

static void check_cache(struct daemon *daemon, int64_t now_us, struct finding *finding)
{
	bool local = strcmp(daemon->conf->cache_uri, "local") == 0;
	int64_t working = metric_value(METRIC_CACHE_REDIS_CONNECTIONS);

	(void)now_us;
	find(finding, local || working == 2 ? GOOD : WARNING, "%s",
		local          ? "it is this daemon's own"
		: working == 2 ? "Redis answers"
			       : "Redis does not answer: rate limits are this daemon's own until it does");
	advise(finding,
		"the log line cache_redis says why; nothing of value is in it, and it is tried again by itself");
}

/* ---- what rows tell ---- */

typedef enum err see_row(void *context, const void *row, struct arena *arena);

/* Shows every row of a collection whose key holds no text, in pages; the arena is emptied between them. */
static enum err walk(
	struct daemon *daemon, const struct store_collection *collection, size_t most, see_row *see, void *context)
{
	_Alignas(max_align_t) char after[1024];
	struct store_query query = {.collection = collection, .most = PAGE_ROWS};
	struct arena *arena = arena_new(0);
	enum err err = arena ? ERR_OK : ERR_NO_MEMORY;
	size_t count = PAGE_ROWS;

	assert(collection->row_size <= sizeof(after));
	for (size_t seen = 0; !err && count == PAGE_ROWS && seen < most; seen += count) {
		struct err_info info;
		void *rows = NULL;
		arena_reset(arena);
		err = store_find(daemon->store, &query, arena, &rows, &count, &info);
		if (!err && count > 0)
			memcpy(after, (const char *)rows + (count - 1) * collection->row_size, collection->row_size);
		query.after = after;
		for (size_t i = 0; i < count && !err; i++)
			err = see(context, (const char *)rows + i * collection->row_size, arena);
	}
	arena_free(&arena);
	return err;
}

static enum err newest_calibration(
	struct daemon *daemon, struct id sensor, struct arena *arena, struct calibration **ret_row, size_t *ret_count)
{
	struct calibration low;
	struct store_query query = {.collection = &calibrations_collection,
		.index = "by_start",
		.low = &low,
		.prefix = 1,
		.descending = true,
		.most = 1};
	struct err_info info;
	void *rows = NULL;
	enum err err;

	field_clear(calibration_fields, &low);
	low.sensor_id = sensor;
	err = store_find(daemon->store, &query, arena, &rows, ret_count, &info);
	*ret_row = rows;
	return err;
}

/* Sensors of one kind of trouble: how many, and the first. */
struct troubled {
	size_t count;
	char first[160], since[CLOCK_TEXT_SIZE];
};

static void trouble(struct troubled *troubled, const struct sensor *sensor, int64_t since_us)
{
	char id[ID_TEXT_SIZE];

	if (troubled->count++ > 0)
		return;
	snprintf(troubled->first, sizeof(troubled->first), "%.60s (%s)", sensor->tag, id_text(sensor->id, id));
	clock_text(since_us, troubled->since);
}

struct sensors_seen {
	struct daemon *daemon;
	int64_t now_us;
	size_t count;
	struct troubled ended, ending, silent;
};

static enum err see_sensor(void *context, const void *row, struct arena *arena)
{
	struct sensors_seen *seen = context;
	const struct sensor *sensor = row;
	int64_t quiet_us = SILENT_PERIODS * sensor->sampling_period_us;
	int64_t silent_us = (quiet_us > SILENT_LEAST_US ? quiet_us : SILENT_LEAST_US) + sensor->lateness_us;
	struct calibration *calibration = NULL;
	struct range_row latest = {0};
	struct err_info info;
	size_t count = 0;
	int64_t since_us;
	enum err err;

	if (strcmp(sensor_states[sensor->state], "active") != 0)
		return ERR_OK;
	seen->count++;
	err = newest_calibration(seen->daemon, sensor->id, arena, &calibration, &count);
	if (!err)
		err = sensing_latest(seen->daemon->sensing, sensor->id, &latest, &info);
	if (err)
		return err;
	if (count && calibration->valid_until_us <= seen->now_us)
		trouble(&seen->ended, sensor, calibration->valid_until_us);
	else if (count && calibration->valid_until_us - seen->now_us < SOON_US)
		trouble(&seen->ending, sensor, calibration->valid_until_us);
	since_us = latest.count ? latest.time_us : sensor->created_us;
	if (seen->now_us - since_us > silent_us)
		trouble(&seen->silent, sensor, since_us);
	return ERR_OK;
}

static void unreadable(struct finding *finding, enum err err)
{
	find(finding, BAD, "the store does not answer: %s", err_row(err)->title);
	advise(finding, "carbonctl system ready says which part is at fault");
}

static void check_calibrations(const struct sensors_seen *seen, struct finding *finding)
{
	if (seen->ended.count)
		find(finding, BAD, "%zu of %zu sensors have no calibration in force; %s since %s", seen->ended.count,
			seen->count, seen->ended.first, seen->ended.since);
	else if (seen->ending.count)
		find(finding, WARNING, "the calibration of %zu of %zu sensors ends within 30 days; %s at %s",
			seen->ending.count, seen->count, seen->ending.first, seen->ending.since);
	else
		find(finding, GOOD, "none of %zu sensors has one that has ended or ends within 30 days", seen->count);
	advise(finding,
		"calibrate and record the certificate (carbonctl calibrations create); until then its hours do not "
		"count in full");
}

static void check_silence(const struct sensors_seen *seen, struct finding *finding)
{
	if (seen->silent.count)
		find(finding, WARNING, "%zu of %zu sensors have sent nothing for ten sampling periods; %s since %s",
			seen->silent.count, seen->count, seen->silent.first, seen->silent.since);
	else
		find(finding, GOOD, "each of %zu sensors has sent readings lately", seen->count);
	advise(finding, "look at the device and its network; missing time counts zero. Retire a sensor that is gone");
}

struct verifiers_seen {
	int64_t now_us;
	size_t count, ended, ending;
	struct id first;
	int64_t first_us;
};

static enum err see_verifier(void *context, const void *row, struct arena *arena)
{
	struct verifiers_seen *seen = context;
	const struct verifier_row *verifier = row;
	bool ended = verifier->valid_to <= seen->now_us, ending = verifier->valid_to - seen->now_us < SOON_US;

	(void)arena;
	if (verifier->revoked_at != FIELD_ABSENT)
		return ERR_OK;
	seen->count++;
	if (ending && (seen->first_us == 0 || verifier->valid_to < seen->first_us)) {
		seen->first = verifier->id;
		seen->first_us = verifier->valid_to;
	}
	seen->ended += ended;
	seen->ending += ending && !ended;
	return ERR_OK;
}

static void check_verifiers(struct daemon *daemon, int64_t now_us, struct finding *finding)
{
	struct verifiers_seen seen = {.now_us = now_us};
	enum err err = walk(daemon, &verifiers_collection, SIZE_MAX, see_verifier, &seen);
	char id[ID_TEXT_SIZE], at[CLOCK_TEXT_SIZE];

	if (err) {
		unreadable(finding, err);
	} else if (seen.ended + seen.ending) {
		find(finding, seen.ended ? BAD : WARNING,
			"of %zu verifiers' keys %zu have ended and %zu end within 30 days; %s at %s", seen.count,
			seen.ended, seen.ending, id_text(seen.first, id), clock_text(seen.first_us, at));
	} else {
		find(finding, GOOD, "none of %zu keys has ended or ends within 30 days", seen.count);
	}
	advise(finding, "its signatures do not count: carbonctl verifiers create with a new key, then revoke this one");
}

/* ---- the table ---- */

static const struct {
	const char *name;
	void (*check)(struct daemon *daemon, int64_t now_us, struct finding *finding);
} checks[] = {{"timers", check_clock}, {"snapshot", check_snapshot}, {"views", check_views}, {"leader", check_leader},
	{"checkpoint", check_checkpoint}, {"backup", check_backup}, {"quarantine", check_quarantine},
	{"cache", check_cache}, {"verifiers", check_verifiers}};

static void tell(json_t *list, const char *name, const struct finding *finding)
{
	json_array_append_new(
		list, json_pack("{s:s, s:s, s:s, s:s}", "check", name, "verdict", verdict_names[finding->verdict],
			      "detail", finding->detail, "todo", finding->todo));
}

json_t *health_findings(struct daemon *daemon, int64_t now_us)
{
	struct sensors_seen seen = {.daemon = daemon, .now_us = now_us};
	struct finding calibrations = {.verdict = GOOD}, silence = {.verdict = GOOD};
	json_t *list = json_array();
	enum err err;

	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
		struct finding finding = {.verdict = GOOD};
		checks[i].check(daemon, now_us, &finding);
		tell(list, checks[i].name, &finding);
	}
	err = walk(daemon, &sensors_collection, SENSORS_MAX, see_sensor, &seen);
	if (err) {
		unreadable(&calibrations, err);
		unreadable(&silence, err);
	} else {
		check_calibrations(&seen, &calibrations);
		check_silence(&seen, &silence);
	}
	tell(list, "calibrations", &calibrations);
	tell(list, "sensors", &silence);
	return list;
}
