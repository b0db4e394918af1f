/* The rows of buckets, roll-ups, pins, owners and reviews as tables. Constant; any thread. */
#include "bucket_rows.h"

#define COLUMNS_MAX (48 << 20)

const char *const rollup_levels[] = {"day", "month", NULL};
const char *const review_states[] = {"open", "done", NULL};

static const struct field bucket_fields[] = {
	FIELD(struct bucket_row, sensor_id, FIELD_ID, .doc = "Sensor"),
	FIELD(struct bucket_row, hour_us, FIELD_TIME, .doc = "Start of the hour"),
	FIELD(struct bucket_row, revision, FIELD_INT, .min = 1, .max = INT64_MAX,
		.doc = "1, then one more for each time that late readings came"),
	FIELD(struct bucket_row, count, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "Readings in it"),
	FIELD(struct bucket_row, content_hash, FIELD_HASH, .doc = "Hash of the sorted readings"),
	FIELD(struct bucket_row, columns, FIELD_BYTES, .max = COLUMNS_MAX,
		.doc = "Compressed readings; absent once dropped"),
	FIELD(struct bucket_row, summary, FIELD_BYTES, .max = HOUR_SUMMARY_BYTES, .doc = "Its summary"),
	FIELD(struct bucket_row, conflicts, FIELD_BYTES, .max = COLUMNS_MAX, .doc = "Times that came with two values"),
	FIELD(struct bucket_row, seen, FIELD_TEXT, .max = 4096,
		.doc = "Positions of the readings logs that it has seen"),
	FIELD_END,
};

static const struct field open_bucket_fields[] = {
	FIELD(struct open_row, sensor_id, FIELD_ID, .doc = "Sensor"),
	FIELD(struct open_row, hour_us, FIELD_TIME, .doc = "Start of the hour"),
	FIELD(struct open_row, revision, FIELD_INT, .min = 1, .max = INT64_MAX, .doc = "The revision that it will be"),
	FIELD(struct open_row, count, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "Readings in it"),
	FIELD(struct open_row, columns, FIELD_BYTES, .max = COLUMNS_MAX, .doc = "Compressed readings"),
	FIELD(struct open_row, conflicts, FIELD_BYTES, .max = COLUMNS_MAX, .doc = "Times that came with two values"),
	FIELD(struct open_row, seen, FIELD_TEXT, .max = 4096, .doc = "Positions of the readings logs that it has seen"),
	FIELD(struct open_row, opened_us, FIELD_TIME, .doc = "No batch written before this feeds it"),
	FIELD_END,
};

static const struct field rollup_fields[] = {
	FIELD(struct rollup_row, sensor_id, FIELD_ID, .doc = "Sensor"),
	FIELD(struct rollup_row, level, FIELD_ENUM, .names = rollup_levels,
		.doc = "Day (hourly summaries) or month (daily ones)"),
	FIELD(struct rollup_row, start_us, FIELD_TIME, .doc = "Start of the day or month"),
	FIELD(struct rollup_row, summaries, FIELD_BYTES, .max = 32 * HOUR_SUMMARY_BYTES,
		.doc = "Summaries in order of time"),
	FIELD_END,
};

static const struct field pin_run_fields[] = {
	FIELD(struct pin_run, owner, FIELD_ID, .doc = "Period that pins"),
	FIELD(struct pin_run, from_us, FIELD_TIME, .doc = "First hour"),
	FIELD(struct pin_run, to_us, FIELD_TIME, .doc = "End of the last hour"),
	FIELD_END,
};

static const struct field pin_fields[] = {
	FIELD(struct pin_row, sensor_id, FIELD_ID, .doc = "Sensor"),
	FIELD(struct pin_row, version, FIELD_INT, .min = 1, .max = INT64_MAX, .doc = "Rises with each change"),
	FIELD(struct pin_row, dropped_before_us, FIELD_TIME,
		.doc = "Raw readings before this may be gone unless pinned"),
	FIELD(struct pin_row, swept_before_us, FIELD_TIME, .doc = "Raw readings before this are gone unless pinned"),
	FIELD(struct pin_row, runs, FIELD_LIST, .table = pin_run_fields, .item_size = sizeof(struct pin_run),
		.max = 100000, .doc = "Pinned runs of hours"),
	FIELD_END,
};

static const struct field stream_position_fields[] = {
	FIELD(struct stream_position, stream, FIELD_TEXT, .max = STORE_STREAM_SIZE, .doc = "Readings log"),
	FIELD(struct stream_position, seq, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "Position"),
	FIELD_END,
};

static const struct field bucket_owner_fields[] = {
	FIELD(struct owner_row, partition, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "Shard"),
	FIELD(struct owner_row, term, FIELD_INT, .min = 1, .max = INT64_MAX, .doc = "Rises with each owner"),
	FIELD(struct owner_row, node, FIELD_TEXT, .max = 32, .doc = "Node that owns it"),
	FIELD(struct owner_row, positions, FIELD_LIST, .table = stream_position_fields,
		.item_size = sizeof(struct stream_position), .max = 1000,
		.doc = "What is in bucket rows of every readings log"),
	FIELD(struct owner_row, opened_us, FIELD_INT, .min = INT64_MIN + 1, .max = INT64_MAX,
		.doc = "Batches up to there that were written before this feed no open hour"),
	FIELD_END,
};

static const struct field asked_sensor_fields[] = {
	FIELD(struct asked_sensor, id, FIELD_ID, .doc = "Sensor"),
	FIELD_END,
};

static const struct field close_request_fields[] = {
	FIELD(struct close_request, id, FIELD_ID, .doc = "The request"),
	FIELD(struct close_request, partition, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "Shard of its sensors"),
	FIELD(struct close_request, from_us, FIELD_TIME, .doc = "First hour"),
	FIELD(struct close_request, to_us, FIELD_TIME, .doc = "End of the last hour"),
	FIELD(struct close_request, sensors, FIELD_LIST, .table = asked_sensor_fields,
		.item_size = sizeof(struct asked_sensor), .max = 100000, .doc = "Whose hours"),
	FIELD_END,
};

static const struct field reading_stream_fields[] = {
	FIELD(struct stream_row, stream, FIELD_TEXT, .max = STORE_STREAM_SIZE, .doc = "Readings log"),
	FIELD(struct stream_row, pruned_before, FIELD_INT, .min = 0, .max = INT64_MAX,
		.doc = "Payloads below are gone"),
	FIELD_END,
};

const struct field review_fields[] = {
	FIELD(struct review, id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "Id of the review"),
	FIELD(struct review, org_id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "Organisation of the sensor"),
	FIELD(struct review, sensor_id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "Sensor"),
	FIELD(struct review, version, FIELD_INT, .flags = FIELD_READ_ONLY, .min = 1, .max = INT64_MAX,
		.doc = "Rises with each change"),
	FIELD(struct review, hour_us, FIELD_TIME, .flags = FIELD_READ_ONLY, .doc = "Hour that has a new revision"),
	FIELD(struct review, revision, FIELD_INT, .flags = FIELD_READ_ONLY, .min = 1, .max = INT64_MAX,
		.doc = "The new revision"),
	FIELD(struct review, state, FIELD_ENUM, .names = review_states,
		.doc = "Open until the evidence has been quantified again"),
	FIELD(struct review, created_us, FIELD_TIME, .flags = FIELD_READ_ONLY, .doc = "When the revision closed"),
	FIELD_END,
};

static const struct store_index review_indexes[] = {
	{"by_org", {"org_id"}, false},
	{"by_state", {"state", "created_us"}, false},
	{"by_hour", {"sensor_id", "hour_us", "revision"}, true},
	{0},
};

const struct store_collection buckets_collection = {.name = "buckets",
	.class = STORE_READINGS,
	.fields = bucket_fields,
	.row_size = sizeof(struct bucket_row),
	.key = {"sensor_id", "hour_us", "revision"},
	.shard_key = "sensor_id",
	.doc = "Closed hours of sensors: primary evidence"};
const struct store_collection open_buckets_collection = {.name = "open_buckets",
	.class = STORE_READINGS,
	.fields = open_bucket_fields,
	.row_size = sizeof(struct open_row),
	.key = {"sensor_id", "hour_us"},
	.shard_key = "sensor_id",
	.doc = "Hours of sensors that are still filling, as last flushed"};
const struct store_collection rollups_collection = {.name = "rollups",
	.class = STORE_READINGS,
	.fields = rollup_fields,
	.row_size = sizeof(struct rollup_row),
	.key = {"sensor_id", "level", "start_us"},
	.shard_key = "sensor_id",
	.doc = "Summaries of the newest revisions by day and month"};
const struct store_collection pins_collection = {.name = "pins",
	.class = STORE_READINGS,
	.fields = pin_fields,
	.row_size = sizeof(struct pin_row),
	.key = {"sensor_id"},
	.shard_key = "sensor_id",
	.doc = "Runs of hours whose raw readings must stay, and how far raw has been dropped"};
const struct store_collection bucket_owners_collection = {.name = "bucket_owners",
	.class = STORE_READINGS,
	.fields = bucket_owner_fields,
	.row_size = sizeof(struct owner_row),
	.key = {"partition"},
	.shard_key = "partition",
	.momentary = true,
	.doc = "Who builds the buckets of a shard, and what of the readings logs they hold"};
const struct store_collection close_requests_collection = {.name = "close_requests",
	.class = STORE_READINGS,
	.fields = close_request_fields,
	.row_size = sizeof(struct close_request),
	.key = {"id"},
	.shard_key = "id",
	.doc = "Hours that the owner of their shard is asked to close"};
const struct store_collection reading_streams_collection = {.name = "reading_streams",
	.class = STORE_READINGS,
	.fields = reading_stream_fields,
	.row_size = sizeof(struct stream_row),
	.key = {"stream"},
	.shard_key = "stream",
	.doc = "How far the payloads of the readings logs have been pruned"};
const struct store_collection reviews_collection = {.name = "reviews",
	.class = STORE_READINGS,
	.fields = review_fields,
	.row_size = sizeof(struct review),
	.key = {"id"},
	.indexes = review_indexes,
	.shard_key = "sensor_id",
	.doc = "Later revisions of pinned hours that evidence must look at"};
