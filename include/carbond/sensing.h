/* sensing: what is measured and by what (units, metering points, sensors, calibrations, overlays), how payloads become
 * readings, and how readings become hour buckets, roll-ups and answers to range queries; pins, quarantine and reviews.
 * Calls block on the store unless they say otherwise: callers are worker, ingest, mqtt and evidence threads. */
#ifndef CARBOND_SENSING_H
#define CARBOND_SENSING_H

#include "carbond/audit.h"
#include "carbond/runtime.h"
#include "carbond/series.h"
#include "carbond/store.h"
#include "carbond/store/members.h"

struct sensing;
struct directory;
struct reading_batch;

/* ---- resources: rows of configuration, each changed in one append with its audit record ---- */

/* A capture unit (a plant, or one train of it). `version` starts at 1 and rises with each change: it is the ETag. */
struct unit {
	struct id id, org_id;
	int64_t version;
	const char *slug; /* [a-z0-9-]{1,40}, unique within the organisation; in topics */
	const char *code; /* [A-Z0-9]{2,8}, unique; in serial numbers */
	const char *name;
	const char *country; /* ISO 3166-1 alpha-2 */
	double latitude_deg, longitude_deg;
	int64_t nameplate_kg_per_hour; /* CO2 captured at most */
	int64_t nameplate_margin_ppm;  /* the mass-balance lock's margin, e.g. 1050000 */
	int state;                     /* unit_states: planned, operating, paused, retired */
	int64_t created_us, updated_us;
};

/* Where in the process something is measured. The points and their `downstream` edges are the unit's process graph; on each
 * path from a source to a sink exactly one point is claimable (claim lock). Ids are never reused. */
struct metering_point {
	struct id id, org_id, unit_id;
	int64_t version;
	const char *code; /* [A-Z0-9-]{1,20}, unique within the unit */
	const char *name;
	int role; /* metering_roles: captured, compressed, injected, energy, loss, leak, operating, material, ambient, other */
	bool claimable;
	int64_t share_ppm;          /* of a shared energy meter that this unit bears; 1000000 where it is not shared */
	int64_t nameplate_per_hour; /* the worst an hour of this point can cost (loss, leak: kg; energy: Wh), for missing data */
	struct field_list downstream; /* const char *: codes of the next points */
	int state;                    /* point_states: active, retired */
	int64_t created_us, updated_us;
};

struct sensor {
	struct id id, org_id, unit_id, metering_point_id;
	int64_t version;
	const char *tag; /* unique within the unit; any UTF-8 text of 1..100 bytes */
	const char *name;
	const char *
		quantity; /* what is measured: mass_flow, volume_flow, mole_fraction, temperature, power, energy, state, … */
	const char *unit; /* UCUM code out of the shipped table */
	int64_t sampling_period_us;
	double range_low, range_high; /* values outside are quarantined */
	int64_t oldest_us;            /* a reading older than this against the clock is quarantined (age) */
	int64_t newest_us;            /* a reading further than this in the future is quarantined */
	int64_t lateness_us; /* a bucket closes when its end lies this far behind the newest reading; default 2 min */
	int64_t stale_after_us; /* unchanged for longer is STALE; 0: never */
	int64_t systematic_ppm; /* relative standard uncertainty, does not shrink with the number of readings */
	int64_t random_ppm;     /* relative standard uncertainty of one reading */
	bool primary; /* the one sensor of its (point, quantity) that quantification reads; others are redundant */
	const char *manufacturer;
	const char *serial_number; /* (manufacturer, serial_number) is unique */
	int64_t raw_retention_us;  /* raw columns older than this may be dropped unless pinned; 0: kept */
	int state;                 /* sensor_states: active, retired */
	int64_t created_us, updated_us;
};

/* A calibration certificate: true value = (raw + offset) × factor, in force from valid_from_us until valid_until_us. */
struct calibration {
	struct id id, org_id, sensor_id;
	int64_t version;
	const char *certificate; /* number */
	const char *laboratory;
	int64_t performed_us, valid_from_us, valid_until_us;
	const char *factor, *offset; /* decimals */
	const char
		*as_found_drift; /* decimal fraction: (as-found − true) ÷ true; re-prices back to the last good one */
	int64_t uncertainty_ppm; /* relative standard uncertainty (k = 1) */
	struct hash document_hash;
	int64_t position; /* in audit.<node>: which overlays and calibrations a run has seen */
	int64_t created_us;
};

/* A later change of quality: dated, with a log position, applied at quantification; may only lower. */
struct overlay {
	struct id id, org_id, sensor_id;
	int64_t version;
	int64_t from_us, to_us;
	int quality; /* series_quality_names: suspect or out_of_calibration */
	const char *reason;
	struct hash model_hash, feature_hash; /* where a model said so */
	int64_t position;
	int64_t created_us;
};

/* What was refused, with its raw text, until an operator re-drives or discards it. The id follows from the content (capture
 * unit, reason, source, text), so the same item delivered or replayed again is one row. */
struct quarantined {
	struct id id, org_id, unit_id, sensor_id; /* zero where unknown */
	int64_t version;
	const char *source; /* topic, or "http" */
	const char *tag;
	int64_t time_us;   /* FIELD_ABSENT where unknown */
	const char *value; /* as sent */
	const char *raw; /* the item as text that payload_decode takes again, in the sender's own digits; of what has no
				     such form the first 4 KiB as sent */
	int64_t items;   /* readings that it stands for: 1, or a run of a packed column */
	int reason;      /* enum quarantine_reason */
	const char *detail; /* names field and allowed range */
	int state;          /* enum quarantine_state */
	int64_t received_us;
	int64_t closed_us; /* when it was re-driven or discarded; FIELD_ABSENT while open */
};

#define QUARANTINE_RAW_BYTES 4096

enum quarantine_reason {
	QUARANTINE_UNKNOWN_UNIT,   /* no such capture unit, or one of another organisation */
	QUARANTINE_UNKNOWN_SENSOR, /* no such tag in the unit */
	QUARANTINE_MALFORMED,      /* not a payload of the contract */
	QUARANTINE_WRONG_UNIT,     /* the item names another unit of measurement than its sensor has */
	QUARANTINE_NOT_A_NUMBER,   /* null, text, NaN, infinity … */
	QUARANTINE_OUT_OF_RANGE,   /* outside the sensor's range, or digits that would be lost */
	QUARANTINE_TOO_OLD,
	QUARANTINE_IN_FUTURE,
	QUARANTINE_CONFLICT,        /* another value under the same key in an open bucket */
	QUARANTINE_CLOSED_CONFLICT, /* … in a closed one */
	QUARANTINE_RETIRED,         /* the sensor is retired */
	QUARANTINE_REASON_COUNT
};
enum quarantine_state { QUARANTINE_OPEN, QUARANTINE_REDRIVEN, QUARANTINE_DISCARDED };

extern const char *const unit_states[], *const metering_roles[], *const point_states[], *const sensor_states[];
extern const char *const quarantine_reasons
	[]; /* unknown_unit, unknown_sensor, malformed, wrong_unit, not_a_number, out_of_range, too_old, in_future, conflict, closed_conflict, retired */
extern const char *const quarantine_states[];

/* Records an operator's answer to a refused item (`answered` is the row as it becomes: re-driven or discarded) in the audit log.
 * The caller then carries it out: an order whose record cannot be written is not carried out. */
enum err sensing_quarantine_record(struct sensing *sensing, const struct audit_actor *actor,
	const struct quarantined *row, const struct quarantined *answered, struct err_info *info) MUST_CHECK;

extern const struct field unit_fields[], metering_point_fields[], sensor_fields[], calibration_fields[],
	overlay_fields[], quarantined_fields[];
extern const struct store_collection units_collection, metering_points_collection, sensors_collection,
	calibrations_collection, overlays_collection, quarantine_collection;
/* All collections of the room, NULL-terminated, for store_open. */
extern const struct store_collection *const sensing_collections[];

/* ---- life cycle ---- */

#define SENSING_PARTITIONS 16

struct sensing_options {
	struct store *store;
	struct audit *audit;
	const char *node;         /* [a-z0-9-]{1,24} */
	struct members *members;  /* daemons on one store: they divide SENSING_PARTITIONS shards; NULL: there is one */
	unsigned shards;          /* ingest × K: threads that own buckets; of one daemon */
	size_t shard_queue;       /* batches waiting for one shard before back-pressure */
	int64_t flush_us;         /* open buckets are flushed at most this often; default 5 min */
	int64_t memory_bytes;     /* open readings in memory before an early flush */
	int64_t log_retention_us; /* readings-log payloads older than this whose buckets are closed are pruned */
	size_t quarantine_rows_max; /* refused items kept each in full; 0: 200,000 */
	/* An active organisation by slug or UUID text, from memory, never blocking: identity's, handed in by daemon. NULL: any
	 * organisation that is named by its UUID. */
	bool (*find_org)(void *context, const char *text, struct id *ret_org);
	void *find_org_context;
	/* Waits until what other daemons had changed before the call is known here; NULL: there are none. May block a second. */
	enum err (*catch_up)(void *context);
	void *catch_up_context;
};

/* Loads the configuration, replays what the buckets have not seen of every readings log, starts the shard threads. */
enum err sensing_start(
	const struct sensing_options *options, struct sensing **ret_sensing, struct err_info *info) MUST_CHECK;
/* Takes no more, flushes open buckets, joins. */
void sensing_stop(struct sensing **sensing);

/* After a payload was decoded with `directory`, which is still held: whether something of it, from row `first` of the quarantined
 * ones on, is of a unit or sensor that is unknown there, and there is a newer directory, since another daemon's change has
 * become known: then it is to be decoded again. Blocks for up to a second, but where that was in vain, not again for two. */
bool sensing_decode_again(
	struct sensing *sensing, const struct directory *directory, const struct reading_batch *batch, size_t first);
/* As audit_each: reads units, points and sensors that another node has changed again. Blocks. */
enum err sensing_follow(
	struct sensing *sensing, const struct audit_news *news, size_t count, struct err_info *info) MUST_CHECK;

/* ---- configuration. `actor` says who; `expect` is the If-Match version (FIELD_ABSENT: any) ---- */

/* Creates: the row's id is made here unless it is set; version becomes 1. All strings are borrowed. Errors: ERR_INVALID_FIELD
 * (graph, UCUM, ranges), ERR_DUPLICATE, ERR_NOT_FOUND (parent). */
enum err sensing_unit_create(
	struct sensing *, const struct audit_actor *actor, struct unit *row, struct err_info *) MUST_CHECK;
enum err sensing_unit_update(struct sensing *, const struct audit_actor *actor, struct unit *row, int64_t expect,
	struct err_info *) MUST_CHECK;
enum err sensing_unit_delete(
	struct sensing *, const struct audit_actor *actor, struct id id, int64_t expect, struct err_info *) MUST_CHECK;
enum err sensing_point_create(
	struct sensing *, const struct audit_actor *actor, struct metering_point *row, struct err_info *) MUST_CHECK;
enum err sensing_point_update(struct sensing *, const struct audit_actor *actor, struct metering_point *row,
	int64_t expect, struct err_info *) MUST_CHECK;
enum err sensing_point_delete(
	struct sensing *, const struct audit_actor *actor, struct id id, int64_t expect, struct err_info *) MUST_CHECK;
enum err sensing_sensor_create(
	struct sensing *, const struct audit_actor *actor, struct sensor *row, struct err_info *) MUST_CHECK;
enum err sensing_sensor_update(struct sensing *, const struct audit_actor *actor, struct sensor *row, int64_t expect,
	struct err_info *) MUST_CHECK;
enum err sensing_sensor_delete(
	struct sensing *, const struct audit_actor *actor, struct id id, int64_t expect, struct err_info *) MUST_CHECK;
enum err sensing_calibration_create(
	struct sensing *, const struct audit_actor *actor, struct calibration *row, struct err_info *) MUST_CHECK;
enum err sensing_calibration_delete(
	struct sensing *, const struct audit_actor *actor, struct id id, int64_t expect, struct err_info *) MUST_CHECK;
enum err sensing_overlay_create(
	struct sensing *, const struct audit_actor *actor, struct overlay *row, struct err_info *) MUST_CHECK;
/* Reading is store_get / store_find on the collections above. */

/* The process graph rule on the points of one unit: edges lead to points of the unit, no cycle, and on each path from a
 * source to a sink exactly one claimable point (not `operating`: at most one). ERR_INVALID_FIELD names the path. Pure. */
enum err sensing_graph_check(const struct metering_point *points, size_t count, bool operating, struct arena *arena,
	struct err_info *info) MUST_CHECK;

/* True if `code` is in the shipped UCUM table; *ret_dimension (may be NULL) names its dimension ("mass/time"), and
 * value_SI = value × *ret_factor + *ret_offset in that dimension's base unit. */
bool sensing_ucum(const char *code, const char **ret_dimension, double *ret_factor, double *ret_offset);

/* ---- the directory: an immutable, counted picture of units and sensors for decoding; never blocks ---- */

struct directory_sensor {
	struct id id, org_id, unit_id;
	const char *tag, *unit;
	double range_low, range_high;
	int64_t sampling_period_us, oldest_us, newest_us, lateness_us, stale_after_us;
	uint32_t index; /* position in this directory */
	bool retired;
};
const struct directory *sensing_directory_ref(struct sensing *sensing);
void sensing_directory_unref(const struct directory **directory);
/* An active organisation by slug or UUID text; false: unknown. */
bool directory_find_org(const struct directory *, const char *org, struct id *ret_org);
/* By slug or UUID text; false: unknown, or the organisation is not active. `org` NULL: any, the unit by its UUID. */
bool directory_find_unit(
	const struct directory *, const char *org, const char *unit, struct id *ret_org, struct id *ret_unit);
const struct directory_sensor *directory_find_tag(
	const struct directory *, struct id unit, const char *tag, size_t tag_size);
const struct directory_sensor *directory_find_sensor(const struct directory *, struct id sensor);
const struct directory_sensor *directory_sensor_at(const struct directory *, uint32_t index);

/* ---- payloads → readings (decision 17). Pure but for the directory. ---- */

struct reading {
	struct id sensor;
	int64_t time_us;
	double value;
	uint8_t quality; /* SERIES_GOOD or SERIES_MANUAL */
};

/* The verdict on readings of a payload, in the order sent. Neighbours of one packed column that share it are one row. */
struct reading_verdict {
	size_t index, count; /* readings index … index + count − 1 of the payload, counted flat from 0 */
	const char *tag;     /* NULL where unknown */
	enum err code;       /* ERR_OK: accepted; ERR_INVALID_FIELD: quarantined */
	int reason;          /* enum quarantine_reason, where quarantined */
	const char *detail;
	struct id quarantine_id;
};

/* A device's own numbering, as it came. */
struct reading_receipt {
	struct id org_id, unit_id;
	const char *boot; /* the device's start-up id, ≤ 64 bytes */
	int64_t seq;      /* counts from 1 at each start-up */
};

/* Growing result of decoding one or many payloads; lives in its arena. */
struct reading_batch {
	struct arena *arena;
	struct reading *readings;
	size_t reading_count, reading_capacity;
	struct quarantined *quarantined;
	size_t quarantined_count, quarantined_capacity;
	struct reading_verdict *verdicts; /* filled when want_verdicts */
	size_t verdict_count, verdict_capacity;
	bool want_verdicts;
	size_t item_count;                /* readings judged so far: accepted and quarantined */
	struct reading_receipt *receipts; /* in the order of arrival, where devices gave them */
	size_t receipt_count, receipt_capacity;
};

struct payload_source {
	const char *source;     /* topic or "http": recorded in the quarantine */
	const char *org, *unit; /* slug or UUID; over HTTP they may come from the body */
	struct id org_id;       /* over HTTP: the actor's organisation; items of another are refused. Zero: any */
	int64_t now_us;
	int64_t received_us; /* when it first came, if that was earlier (a re-drive): ages are judged by it; 0: now_us */
};

/* Decodes one payload and judges each reading against its sensor: accepted or quarantined.
 *
 *   object   {"t": T, "v": {"<tag>": number, …}}         optional "units": {"<tag>": "<UCUM>"}
 *   packed   {"tag": "<tag>", "t0": T, "dt": µs, "v": [number, …]}   optional "unit": "<UCUM>"; reading i is at t0 + i·dt
 *   array    [object or packed, …]
 *   NDJSON   one of these a line
 *   SenML    RFC 8428 JSON: [{"bn", "bt", "bu", "bv", "n", "u", "v", "t"}, …]: name = bn + n is the sensor's tag; time is
 *            absolute; "s", "vs", "vb", "vd" are not numbers here
 *   envelope {"org": "…", "unit": "…", "items": [object or packed, …]}: where neither topic nor query name the capture unit
 *
 * T is an integer, µs UTC (decision 1), or RFC 3339 text with at most six fractional digits. Each object or packed item may
 * have "boot" (text) and "seq" (integer ≥ 1), recorded as a receipt, and "quality": "manual". Unknown members are malformed
 * (SenML: ignored unless they end in "_"). Numbers become the nearest double; integers beyond ±(2^53 − 1) are refused.
 *
 * Whole-payload faults (not JSON, too deep, too large, more than LIMIT_PAYLOAD_READINGS readings) are ERR_INVALID_JSON,
 * ERR_TOO_DEEP, ERR_TOO_LARGE with one quarantined row that holds the first 4 KiB of the text; what was judged before is taken
 * back; no row where the batch's arena is full (payload_refuse). ERR_MISSING_FIELD where no capture unit is named; ERR_NO_MEMORY; ERR_UNSUPPORTED_MEDIA. `media`: "application/json",
 * "application/x-ndjson", "application/senml+json", or NULL: found out. `data` may go after the call. */
enum err payload_decode(const struct directory *directory, const struct payload_source *source, const char *media,
	const char *data, size_t size, struct reading_batch *batch, struct err_info *info) MUST_CHECK;

/* The whole payload as one quarantined row: where payload_decode said ERR_TOO_LARGE and the batch's arena is full
 * (arena_is_full), so that it kept no row. Into a batch that has room. ERR_NO_MEMORY. */
enum err payload_refuse(const struct directory *directory, const struct payload_source *source, const char *data,
	size_t size, struct reading_batch *batch, struct err_info *info) MUST_CHECK;

/* The payload of a readings-log batch: columns by sensor, zstd. Decoding accepts any bytes (ERR_STORE_CORRUPT). */
enum err readings_encode(const struct reading *readings, size_t count, struct arena *arena, uint8_t **ret_data,
	size_t *ret_size) MUST_CHECK;
enum err readings_decode(const uint8_t *data, size_t size, struct arena *arena, struct reading **ret_readings,
	size_t *ret_count) MUST_CHECK;

/* ---- quarantine: bounded. Up to `rows_max` rows every refused item is kept with its raw text. At the bound nothing that is
 * kept goes, and ingest goes on: further items are counted in one open row per (capture unit, reason) with the newest raw text,
 * whose detail says so; metrics and an alarm in the log tell from 80 % on. Rows that were answered (re-driven, discarded) go
 * 90 days later. ---- */

/* The changes that record `rows` (class STORE_READINGS), to ride with a readings batch or to be written alone. `rows` are
 * changed in place and must live until the write. Any thread. */
enum err sensing_quarantine_changes(struct sensing *sensing, struct quarantined *rows, size_t count,
	struct arena *arena, struct store_change **ret_changes, size_t *ret_count) MUST_CHECK;
/* After the write: the rows are there (counted) or not. */
void sensing_quarantine_written(struct sensing *sensing, const struct quarantined *rows, size_t count, bool durable);
/* A row for one reading of a known sensor (found where its bucket is built): raw, value and times are made here. */
enum err sensing_quarantine_reading(const struct reading *reading, const struct directory_sensor *sensor,
	enum quarantine_reason reason, const char *detail, int64_t now_us, struct arena *arena,
	struct quarantined *ret_row) MUST_CHECK;

/* ---- readings → buckets ---- */

/* Hands durable readings (a batch of `stream` at `seq`) to the shards that own their sensors; waits for room (back-pressure)
 * until `deadline_us` (monotonic). Batches of one stream must come in order of seq. ERR_BUSY, ERR_STOPPING. */
enum err sensing_feed(struct sensing *sensing, const char *stream, uint64_t seq, const struct reading *readings,
	size_t count, int64_t deadline_us) MUST_CHECK;

/* For /readyz: ERR_OK, or why hour buckets are not written now, with one sentence in `reason`: ERR_NO_SPACE, ERR_BUSY … are
 * tried again until they pass; ERR_STORE_LATCHED and ERR_POSITION_TAKEN (another owner) never do. Does not block. */
enum err sensing_ready(struct sensing *sensing, char *reason, size_t size) MUST_CHECK;

/* Waits until all that was durable in a readings log before the call has been worked in, fed or not; with several daemons, until
 * all that any of them had made durable has been read here. */
enum err sensing_settle(struct sensing *sensing, int64_t deadline_us) MUST_CHECK;

/* Closes all open buckets of the sensors with hours in [from_us, to_us) at once, whichever daemon builds them, after all that
 * any daemon had made durable before has been worked in; waits until they are durable. ERR_DEADLINE. */
enum err sensing_close_hours(struct sensing *sensing, const struct id *sensors, size_t count, int64_t from_us,
	int64_t to_us, int64_t deadline_us, struct err_info *info) MUST_CHECK;

/* One closed hour bucket, newest revision. */
struct bucket {
	struct id sensor;
	int64_t hour_us;
	int64_t revision; /* 1, 2 … */
	struct hash content_hash;
	struct series_summary summary;
	const uint8_t *columns; /* NULL once raw is dropped */
	size_t columns_size;
};
/* The newest closed revision of each hour in [from_us, to_us), in order, in the arena. Hours without readings are left out. */
enum err sensing_buckets(struct sensing *sensing, struct id sensor, int64_t from_us, int64_t to_us, struct arena *arena,
	struct bucket **ret_buckets, size_t *ret_count, struct err_info *info) MUST_CHECK;
/* One given revision; ERR_NOT_FOUND. */
enum err sensing_bucket(struct sensing *sensing, struct id sensor, int64_t hour_us, int64_t revision,
	struct arena *arena, struct bucket *ret_bucket, struct err_info *info) MUST_CHECK;

/* Pins the raw columns of hours [from_us, to_us): refused (ERR_RAW_EXPIRED) where raw is gone. `owner` (a period's id) names
 * the pin; pinning twice is one pin. */
enum err sensing_pin(struct sensing *sensing, struct id sensor, int64_t from_us, int64_t to_us, struct id owner,
	struct err_info *info) MUST_CHECK;
enum err sensing_unpin(struct sensing *sensing, struct id sensor, struct id owner, struct err_info *info) MUST_CHECK;
/* Drops raw columns past each sensor's raw_retention_us that no pin covers, and prunes the readings log. */
enum err sensing_retain(struct sensing *sensing, int64_t now_us, struct err_info *info) MUST_CHECK;

/* The rows that sensing writes with each later revision of a pinned bucket: evidence re-quantifies and marks them done. */
struct review {
	struct id id, org_id, sensor_id;
	int64_t version;
	int64_t hour_us, revision;
	int state; /* review_states: open, done */
	int64_t created_us;
};
extern const char *const review_states[];
extern const struct field review_fields[];
extern const struct store_collection reviews_collection;

/* ---- queries ---- */

enum aggregate {
	AGGREGATE_RAW,
	AGGREGATE_MEAN,
	AGGREGATE_MIN,
	AGGREGATE_MAX,
	AGGREGATE_FIRST,
	AGGREGATE_LAST,
	AGGREGATE_SUM,
	AGGREGATE_INTEGRAL,
	AGGREGATE_COUNT,
	AGGREGATE_PERCENTILE
};
extern const char *const aggregate_names[];

struct range_query {
	struct id sensor;
	int64_t from_us, to_us; /* half-open */
	int64_t step_us; /* 0 with AGGREGATE_RAW; else ≥ 1 s; steps are aligned to from_us; whole hours are served from
				     summaries */
	bool month_steps; /* calendar months instead of step_us */
	enum aggregate aggregate;
	double fraction; /* AGGREGATE_PERCENTILE: 0..1 */
	size_t most;     /* rows at most; *ret_next_us tells where to go on */
};
struct range_row {
	int64_t time_us; /* reading's time, or the step's start */
	double value;    /* NaN: no reading in this step */
	uint64_t count;
	uint8_t quality; /* RAW */
};
/* Closed buckets and open ones alike, overlays applied to quality, calibrations not applied. ERR_RAW_EXPIRED where raw is asked and gone. */
enum err sensing_range(struct sensing *sensing, const struct range_query *query, struct arena *arena,
	struct range_row **ret_rows, size_t *ret_count, int64_t *ret_next_us, struct err_info *info) MUST_CHECK;

/* The answer of one of many sensors; everything in it lives in its arena. */
struct range_answer {
	struct id sensor;
	struct arena *arena;
	struct range_row *rows;
	size_t count;
	int64_t next_us; /* as *ret_next_us */
	enum err err;    /* private */
	struct err_info info;
};
/* The query asked of each of these sensors (its own is not used), by this thread and idle query helpers; all are answered or
 * the first one's error is given and nothing is left to free. sensing_ranges_free frees what the answers hold. */
enum err sensing_ranges(struct sensing *sensing, const struct range_query *query, const struct id *sensors,
	size_t count, struct range_answer *ret_answers, struct err_info *info) MUST_CHECK;
void sensing_ranges_free(struct range_answer *answers, size_t count);
/* How many sensors to ask of at once, so that the helpers have work and the answers fit into memory. */
size_t sensing_ranges_most(struct sensing *sensing, const struct range_query *query);

enum across { ACROSS_MEAN, ACROSS_MIN, ACROSS_MAX, ACROSS_SUM, ACROSS_COUNT };
extern const char *const across_names[];
/* One row a step over all these sensors: the query is asked of each (its own sensor is not used), then their values of a step
 * are reduced; the mean is that of the sensors' values, each with the same weight. Sensors without a reading in a step do not
 * count; the row's count is that of all readings in it. ACROSS_COUNT: how many sensors had one. ERR_INVALID_FIELD for raw. */
enum err sensing_across(struct sensing *sensing, const struct range_query *query, enum across across,
	const struct id *sensors, size_t sensor_count, struct arena *arena, struct range_row **ret_rows,
	size_t *ret_count, int64_t *ret_next_us, struct err_info *info) MUST_CHECK;

/* The newest measurement of a sensor; count 0: none yet. */
enum err sensing_latest(
	struct sensing *sensing, struct id sensor, struct range_row *ret_row, struct err_info *info) MUST_CHECK;

#endif
