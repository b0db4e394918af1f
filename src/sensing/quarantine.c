/* The quarantine: its rows, its bound, what is counted of it. The bound's rule is in the public header: what is kept stays,
 * further items are counted in one open row per (capture unit, reason). Any thread; the lock guards the few overflow rows
 * and is never held across I/O. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/base/log.h"
#include "carbond/runtime.h"
#include "parts.h"
#include "quarantine.h"

#define ROWS_MAX      200000
#define OVERFLOW_ROWS 256 /* (capture unit, reason) pairs told apart beyond the bound; further ones share the last */
#define ANSWERED_US   (90 * CLOCK_US_PER_DAY)
#define RETAIN_PAGE   1000
#define COUNT_PAGE    10000
#define RECOUNT_US    (10 * CLOCK_US_PER_MINUTE)

const char *const quarantine_reasons[] = {"unknown_unit", "unknown_sensor", "malformed", "wrong_unit", "not_a_number",
	"out_of_range", "too_old", "in_future", "conflict", "closed_conflict", "retired", NULL};
const char *const quarantine_states[] = {"open", "redriven", "discarded", NULL};

const struct field quarantined_fields[] = {
	FIELD(struct quarantined, id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "The row's id"),
	FIELD(struct quarantined, org_id, FIELD_ID, .flags = FIELD_READ_ONLY,
		.doc = "Organisation; absent where the topic names none that is known"),
	FIELD(struct quarantined, unit_id, FIELD_ID, .flags = FIELD_READ_ONLY,
		.doc = "Capture unit; absent where unknown"),
	FIELD(struct quarantined, sensor_id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "Sensor; absent where unknown"),
	FIELD(struct quarantined, version, FIELD_INT, .flags = FIELD_READ_ONLY, .min = 1, .max = INT64_MAX,
		.doc = "Rises with each change; the ETag"),
	FIELD(struct quarantined, source, FIELD_TEXT, .flags = FIELD_READ_ONLY, .doc = "Topic, or \"http\""),
	FIELD(struct quarantined, tag, FIELD_TEXT, .flags = FIELD_READ_ONLY, .doc = "Tag as sent"),
	FIELD_AS(struct quarantined, time_us, "time", FIELD_TIME, .flags = FIELD_READ_ONLY,
		.doc = "Time of the (first) reading; absent where unknown"),
	FIELD(struct quarantined, value, FIELD_TEXT, .flags = FIELD_READ_ONLY, .doc = "The (first) value as sent"),
	FIELD(struct quarantined, raw, FIELD_TEXT, .flags = FIELD_READ_ONLY, .max = QUARANTINE_RAW_BYTES,
		.doc = "The item as it can be decoded again; of what is no item the first 4 KiB as sent"),
	FIELD(struct quarantined, items, FIELD_INT, .flags = FIELD_READ_ONLY, .min = 1, .max = INT64_MAX,
		.doc = "Readings that the row stands for"),
	FIELD(struct quarantined, reason, FIELD_ENUM, .flags = FIELD_READ_ONLY, .names = quarantine_reasons,
		.doc = "Why"),
	FIELD(struct quarantined, detail, FIELD_TEXT, .flags = FIELD_READ_ONLY,
		.doc = "Why in words, with the allowed range"),
	FIELD(struct quarantined, state, FIELD_ENUM, .flags = FIELD_READ_ONLY, .names = quarantine_states,
		.doc = "open until it is re-driven or discarded"),
	FIELD_AS(struct quarantined, received_us, "received_at", FIELD_TIME, .flags = FIELD_READ_ONLY,
		.doc = "When it came"),
	FIELD_AS(struct quarantined, closed_us, "closed_at", FIELD_TIME, .flags = FIELD_READ_ONLY,
		.doc = "When it was answered"),
	FIELD_END,
};

static const struct store_index quarantine_indexes[] = {
	{.name = "by_org", .fields = {"org_id", "state", "received_at"}},
	{.name = "by_unit", .fields = {"org_id", "unit_id", "state", "received_at"}},
	{.name = "by_state", .fields = {"state", "closed_at"}},
	{0},
};

const struct store_collection quarantine_collection = {
	.name = "quarantine",
	.class = STORE_READINGS,
	.fields = quarantined_fields,
	.row_size = sizeof(struct quarantined),
	.key = {"id"},
	.indexes = quarantine_indexes,
	.retention_field = "closed_at",
	.retention_us = ANSWERED_US,
	.shard_key = "org_id",
	.doc = "What was refused, with its raw text, until an operator re-drives or discards it",
};

/* One row beyond the bound: how much it stands for. */
struct overflow {
	struct id id, org_id, unit_id;
	int reason;
	int64_t items, since_us;
};

struct quarantine {
	/* constant */
	struct store *store;
	size_t rows_max;

	/* any thread */
	atomic_llong rows;
	atomic_bool warned, full;
	atomic_llong by_reason[QUARANTINE_REASON_COUNT];

	pthread_mutex_t lock;
	struct overflow overflows[OVERFLOW_ROWS];
	size_t overflow_count;
	int64_t counted_us; /* monotonic */
};

static void hash_text_member(struct sha256 *state, const char *text)
{
	size_t size = text ? strlen(text) : 0;
	sha256_add_u64(state, size);
	sha256_add(state, text ? text : "", size);
}

struct id quarantine_id(const struct quarantined *row)
{
	struct sha256 state;
	struct id id;
	sha256_start(&state, "carbond/quarantine/1");
	sha256_add(&state, row->org_id.bytes, sizeof row->org_id.bytes);
	sha256_add(&state, row->unit_id.bytes, sizeof row->unit_id.bytes);
	sha256_add_u64(&state, (uint64_t)row->reason);
	hash_text_member(&state, row->source);
	hash_text_member(&state, row->raw);
	struct hash hash = sha256_end(&state);
	memcpy(id.bytes, hash.bytes, sizeof id.bytes);
	id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x80); /* UUIDv8: RFC 9562 leaves its content to us */
	id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
	return id;
}

static enum err count_rows(struct quarantine *quarantine, struct err_info *info);

/* ---- the bound ---- */

static struct overflow *overflow_of(struct quarantine *quarantine, const struct quarantined *row)
{
	size_t i = 0;
	while (i < quarantine->overflow_count && (quarantine->overflows[i].reason != row->reason ||
							 !id_equal(quarantine->overflows[i].unit_id, row->unit_id) ||
							 !id_equal(quarantine->overflows[i].org_id, row->org_id)))
		i++;
	if (i == quarantine->overflow_count && i < OVERFLOW_ROWS) {
		quarantine->overflows[i] = (struct overflow){.id = id_new(row->received_us),
			.org_id = row->org_id,
			.unit_id = row->unit_id,
			.reason = row->reason,
			.since_us = row->received_us};
		quarantine->overflow_count++;
	}
	return &quarantine->overflows[i < OVERFLOW_ROWS ? i : OVERFLOW_ROWS - 1];
}

/* Turns a row into the counting row of its kind. */
static enum err fold(struct quarantine *quarantine, struct quarantined *row, struct arena *arena)
{
	char since[CLOCK_TEXT_SIZE];
	pthread_mutex_lock(&quarantine->lock);
	struct overflow *overflow = overflow_of(quarantine, row);
	overflow->items += row->items;
	row->id = overflow->id;
	row->items = overflow->items;
	int64_t since_us = overflow->since_us;
	pthread_mutex_unlock(&quarantine->lock);
	row->detail = arena_print(arena,
		"the quarantine is full: %lld readings refused for this reason since %s, this is the last; %.200s",
		(long long)row->items, clock_text(since_us, since), row->detail);
	return row->detail ? ERR_OK : ERR_NO_MEMORY;
}

/* Several of one batch may fold into one row: the last one says it all, and a key may be in a write once. */
static bool superseded(const struct quarantined *rows, size_t count, size_t i)
{
	for (size_t j = i + 1; j < count; j++) {
		if (rows[j].reason == rows[i].reason && id_equal(rows[j].id, rows[i].id))
			return true;
	}
	return false;
}

/* Rows that came again are counted twice, so a count that reaches the bound is looked at again before it is believed. */
static void recount(struct quarantine *quarantine)
{
	int64_t now_us = clock_monotonic_us();
	pthread_mutex_lock(&quarantine->lock);
	bool due = now_us - quarantine->counted_us >= RECOUNT_US;
	if (due)
		quarantine->counted_us = now_us;
	pthread_mutex_unlock(&quarantine->lock);
	if (due && count_rows(quarantine, NULL) != ERR_OK)
		log_line(LOG_LEVEL_WARN, "quarantine_count", "the rows of the quarantine could not be counted", NULL);
}

enum err quarantine_changes(struct quarantine *quarantine, struct quarantined *rows, size_t count, struct arena *arena,
	struct store_change **ret_changes, size_t *ret_count)
{
	struct store_change *changes = ARENA_ARRAY(arena, struct store_change, count ? count : 1);
	if (atomic_load(&quarantine->rows) + (long long)count > (long long)quarantine->rows_max)
		recount(quarantine);
	long long room = (long long)quarantine->rows_max - atomic_load(&quarantine->rows);
	size_t kept = room <= 0 ? 0 : (size_t)room < count ? (size_t)room : count, changed = 0;
	*ret_changes = changes;
	*ret_count = 0;
	if (!changes)
		return ERR_NO_MEMORY;
	for (size_t i = kept; i < count; i++) {
		enum err err = fold(quarantine, &rows[i], arena);
		if (err)
			return err;
	}
	for (size_t i = 0; i < count; i++) {
		/* beyond the bound at most OVERFLOW_ROWS different ids follow, so the search ends soon */
		if (i >= kept && superseded(rows, count, i))
			continue;
		changes[changed++] = (struct store_change){.collection = &quarantine_collection,
			.row = &rows[i],
			.verb = STORE_PUT,
			.condition = STORE_ALWAYS};
	}
	*ret_count = changed;
	return ERR_OK;
}

static void warn_of_bound(struct quarantine *quarantine, long long rows)
{
	char most[24];
	snprintf(most, sizeof most, "%zu", quarantine->rows_max);
	if (rows >= (long long)quarantine->rows_max && !atomic_exchange(&quarantine->full, true))
		log_line(LOG_LEVEL_ERROR, "quarantine_full",
			"the quarantine is full: further refused items are counted, no longer kept; re-drive or "
			"discard rows",
			"rows_max", most, NULL);
	else if (rows >= (long long)(quarantine->rows_max / 5 * 4) && !atomic_exchange(&quarantine->warned, true))
		log_line(LOG_LEVEL_WARN, "quarantine_filling", "the quarantine is 80 % full: re-drive or discard rows",
			"rows_max", most, NULL);
	if (rows < (long long)(quarantine->rows_max / 2)) {
		atomic_store(&quarantine->warned, false);
		atomic_store(&quarantine->full, false);
	}
}

static bool folded(struct quarantine *quarantine, const struct quarantined *row)
{
	bool found = false;
	pthread_mutex_lock(&quarantine->lock);
	for (size_t i = 0; i < quarantine->overflow_count && !found; i++)
		found = id_equal(quarantine->overflows[i].id, row->id);
	pthread_mutex_unlock(&quarantine->lock);
	return found;
}

void quarantine_written(struct quarantine *quarantine, const struct quarantined *rows, size_t count, bool durable)
{
	long long added = 0;
	for (size_t i = 0; durable && i < count; i++) {
		bool counts = !folded(quarantine, &rows[i]);
		added += counts;
		atomic_fetch_add(&quarantine->by_reason[rows[i].reason], counts ? rows[i].items : 1);
	}
	long long rows_now = atomic_fetch_add(&quarantine->rows, added) + added;
	metric_set(METRIC_QUARANTINE_ROWS, rows_now);
	warn_of_bound(quarantine, rows_now);
}

/* ---- metrics ---- */

static void write_metrics(void *context, void (*emit)(void *sink, const char *line), void *sink)
{
	struct quarantine *quarantine = context;
	metric_family_head(METRIC_FAMILY_QUARANTINED_READINGS, emit, sink);
	for (int i = 0; i < QUARANTINE_REASON_COUNT; i++)
		metric_family_value(METRIC_FAMILY_QUARANTINED_READINGS, quarantine_reasons[i],
			atomic_load(&quarantine->by_reason[i]), emit, sink);
}

/* ---- life cycle ---- */

static enum err count_rows(struct quarantine *quarantine, struct err_info *info)
{
	struct arena *arena = arena_new(LIMIT_BATCH_ARENA_BYTES);
	struct quarantined last;
	struct store_query query = {.collection = &quarantine_collection, .most = COUNT_PAGE};
	size_t count = COUNT_PAGE;
	long long rows = 0;
	enum err err = arena ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the quarantine");
	while (!err && count == COUNT_PAGE) {
		void *found = NULL;
		arena_reset(arena);
		query.after = rows > 0 ? &last : NULL;
		err = store_find(quarantine->store, &query, arena, &found, &count, info);
		if (err || count == 0)
			break;
		field_clear(quarantined_fields, &last);
		last.id = ((const struct quarantined *)found)[count - 1].id;
		rows += (long long)count;
	}
	if (!err)
		atomic_store(&quarantine->rows, rows);
	metric_set(METRIC_QUARANTINE_ROWS, rows);
	arena_free(&arena);
	return err;
}

enum err quarantine_open(
	struct store *store, size_t rows_max, struct quarantine **ret_quarantine, struct err_info *info)
{
	struct quarantine *quarantine = calloc(1, sizeof *quarantine);
	enum err err;
	*ret_quarantine = NULL;
	if (!quarantine)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the quarantine");
	quarantine->store = store;
	quarantine->rows_max = rows_max ? rows_max : ROWS_MAX;
	pthread_mutex_init(&quarantine->lock, NULL);
	err = count_rows(quarantine, info);
	if (!err && metric_source_add(write_metrics, quarantine) != ERR_OK)
		err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the quarantine's metrics");
	*ret_quarantine = quarantine;
	if (err)
		quarantine_close(ret_quarantine);
	return err;
}

void quarantine_close(struct quarantine **quarantine)
{
	if (!*quarantine)
		return;
	metric_source_remove(*quarantine);
	pthread_mutex_destroy(&(*quarantine)->lock);
	free(*quarantine);
	*quarantine = NULL;
}

static enum err delete_answered(struct quarantine *quarantine, enum quarantine_state state, int64_t before_us,
	struct arena *arena, struct err_info *info)
{
	struct quarantined low, to;
	field_clear(quarantined_fields, &low);
	low.state = (int)state;
	to = low;
	to.closed_us = before_us;
	struct store_query query = {.collection = &quarantine_collection,
		.index = "by_state",
		.low = &low,
		.prefix = 1,
		.to = &to,
		.most = RETAIN_PAGE};
	size_t count = RETAIN_PAGE;
	while (count == RETAIN_PAGE) {
		void *found = NULL;
		struct store_change changes[RETAIN_PAGE];
		arena_reset(arena);
		enum err err = store_find(quarantine->store, &query, arena, &found, &count, info);
		if (err || count == 0)
			return err;
		for (size_t i = 0; i < count; i++)
			changes[i] = (struct store_change){.collection = &quarantine_collection,
				.row = (const struct quarantined *)found + i,
				.verb = STORE_DELETE};
		err = store_write(quarantine->store, changes, count, NULL, info);
		if (err)
			return err;
		metric_set(METRIC_QUARANTINE_ROWS,
			atomic_fetch_sub(&quarantine->rows, (long long)count) - (long long)count);
	}
	return ERR_OK;
}

enum err quarantine_retain(struct quarantine *quarantine, int64_t now_us, struct err_info *info)
{
	struct arena *arena = arena_new(LIMIT_BATCH_ARENA_BYTES);
	enum err err = arena ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for the quarantine");
	if (!err)
		err = delete_answered(quarantine, QUARANTINE_REDRIVEN, now_us - ANSWERED_US, arena, info);
	if (!err)
		err = delete_answered(quarantine, QUARANTINE_DISCARDED, now_us - ANSWERED_US, arena, info);
	arena_free(&arena);
	return err;
}

/* ---- the public face ---- */

enum err sensing_quarantine_changes(struct sensing *sensing, struct quarantined *rows, size_t count,
	struct arena *arena, struct store_change **ret_changes, size_t *ret_count)
{
	return quarantine_changes(sensing->quarantine, rows, count, arena, ret_changes, ret_count);
}

void sensing_quarantine_written(struct sensing *sensing, const struct quarantined *rows, size_t count, bool durable)
{
	quarantine_written(sensing->quarantine, rows, count, durable);
}

enum err sensing_quarantine_reading(const struct reading *reading, const struct directory_sensor *sensor,
	enum quarantine_reason reason, const char *detail, int64_t now_us, struct arena *arena,
	struct quarantined *ret_row)
{
	json_t *item =
		json_pack("{s: I, s: {s: f}}", "t", (json_int_t)reading->time_us, "v", sensor->tag, reading->value);
	size_t size = 0;
	if (item && reading->quality == SERIES_MANUAL &&
		json_object_set_new(item, "quality", json_string("manual")) != 0) {
		json_decref(item);
		item = NULL;
	}
	json_t *owned = document_own(arena, item);
	*ret_row = (struct quarantined){.org_id = sensor->org_id,
		.unit_id = sensor->unit_id,
		.sensor_id = sensor->id,
		.version = 1,
		.source = "readings",
		.tag = arena_copy(arena, sensor->tag, strlen(sensor->tag)),
		.time_us = reading->time_us,
		.value = arena_print(arena, "%.17g", reading->value),
		.raw = owned ? document_text(arena, owned, &size) : NULL,
		.items = 1,
		.reason = (int)reason,
		.detail = arena_copy(arena, detail, strlen(detail)),
		.state = QUARANTINE_OPEN,
		.received_us = now_us,
		.closed_us = FIELD_ABSENT};
	if (!ret_row->tag || !ret_row->value || !ret_row->raw || !ret_row->detail)
		return ERR_NO_MEMORY;
	ret_row->id = quarantine_id(ret_row);
	return ERR_OK;
}

enum err sensing_quarantine_record(struct sensing *sensing, const struct audit_actor *actor,
	const struct quarantined *row, const struct quarantined *answered, struct err_info *info)
{
	const struct audit_change change = {
		.action = answered->state == QUARANTINE_REDRIVEN ? "quarantine.redrive" : "quarantine.discard",
		.subject_kind = "quarantine",
		.subject = row->id,
		.org = row->org_id,
		.fields = quarantined_fields,
		.old_row = row,
		.new_row = answered};
	return audit_write(sensing->audit, actor, &change, NULL, info);
}
