/* The verdict on one reading: its capture unit, sensor, unit of measurement, number, range and time; and the row that a
 * refused one becomes. Runs on the decoding thread. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "payload.h"
#include "quarantine.h"

#define TAG_BYTES_KEPT    200
#define VALUE_BYTES_KEPT  200
#define SOURCE_BYTES_KEPT 200
#define DETAIL_BYTES_KEPT 400
#define TOKEN_SHOWN       40

/* UCUM codes of the SenML units (RFC 8428 §12.1, RFC 8798) that are written otherwise in SenML. */
static const struct {
	const char *senml, *ucum;
} senml_units[] = {{"/", "1"}, {"%RH", "%"}, {"l", "L"}, {"l/s", "L/s"}, {"Wh", "W.h"}, {"kWh", "kW.h"},
	{"ppm", "[ppm]"}, {"ppb", "[ppb]"}, {"pH", "[pH]"}, {"degC", "Cel"}, {"m3/s", "m3/s"}};

void refuse_as(struct refusal *refusal, enum quarantine_reason reason, const char *format, ...)
{
	va_list arguments;
	refusal->reason = reason;
	va_start(arguments, format);
	vsnprintf(refusal->detail, sizeof refusal->detail, format, arguments);
	va_end(arguments);
}

void decoding_choose_unit(struct decoding *decoding, const char *org, const char *unit)
{
	char actor[ID_TEXT_SIZE];
	struct id found = {{0}};
	const struct id none = {{0}};
	decoding->org = org;
	decoding->unit = unit;
	decoding->unit_named = unit != NULL;
	decoding->unit_known = false;
	decoding->org_id = decoding->source->org_id;
	decoding->unit_id = none;
	if (!unit)
		return;
	if (!org)
		org = id_text(decoding->source->org_id, actor);
	if (!directory_find_unit(decoding->directory, org, unit, &found, &decoding->unit_id)) {
		/* at least its organisation sees what was refused */
		if (id_is_none(decoding->source->org_id) && directory_find_org(decoding->directory, org, &found))
			decoding->org_id = found;
		return;
	}
	if (!id_is_none(decoding->source->org_id) && !id_equal(decoding->source->org_id, found)) {
		decoding->unit_id = none;
		return;
	}
	decoding->org_id = found;
	decoding->unit_known = true;
}

const struct directory_sensor *judge_tag(
	const struct decoding *decoding, const struct tape_node *tag, enum quarantine_reason *ret_reason)
{
	const struct directory_sensor *sensor = NULL;
	*ret_reason = QUARANTINE_UNKNOWN_UNIT;
	if (!decoding->unit_known)
		return NULL;
	*ret_reason = QUARANTINE_UNKNOWN_SENSOR;
	sensor = directory_find_tag(decoding->directory, decoding->unit_id, tag->text, tag->size);
	if (sensor && sensor->retired) {
		*ret_reason = QUARANTINE_RETIRED;
		return NULL;
	}
	return sensor;
}

void refuse_tag(const struct decoding *decoding, const struct tape_node *tag, enum quarantine_reason reason,
	struct refusal *refusal)
{
	int shown = (int)(tag->size < 100 ? tag->size : 100);
	if (reason == QUARANTINE_UNKNOWN_UNIT)
		refuse_as(refusal, reason, "there is no capture unit '%.80s' in organisation '%.80s'",
			decoding->unit ? decoding->unit : "", decoding->org ? decoding->org : "of the key");
	else if (reason == QUARANTINE_RETIRED)
		refuse_as(refusal, reason, "the sensor with tag '%.*s' is retired", shown, tag->text);
	else
		refuse_as(refusal, reason, "the capture unit has no sensor with tag '%.*s'", shown, tag->text);
}

bool judge_unit(const struct directory_sensor *sensor, const struct item *item, struct refusal *refusal)
{
	const struct tape_node *unit = item->unit;
	if (!unit || unit->kind == TAPE_NULL)
		return true;
	if (tape_is(unit, sensor->unit))
		return true;
	for (size_t i = 0; item->senml && i < sizeof senml_units / sizeof *senml_units; i++) {
		if (tape_is(unit, senml_units[i].senml) && strcmp(senml_units[i].ucum, sensor->unit) == 0)
			return true;
	}
	refuse_as(refusal, QUARANTINE_WRONG_UNIT, "unit '%.*s', but the sensor measures in '%s'",
		(int)(unit->size < TOKEN_SHOWN ? unit->size : TOKEN_SHOWN), unit->text, sensor->unit);
	return false;
}

bool judge_number(const struct tape_node *node, double *ret_value, struct refusal *refusal)
{
	static const char *const kinds[] = {
		"null", "false", "true", "a number", "not a finite number", "text", "an array", "an object"};
	int64_t integer;
	bool fits = true;
	int shown = (int)(node->size < TOKEN_SHOWN ? node->size : TOKEN_SHOWN);
	if (node->kind != TAPE_NUMBER) {
		refuse_as(refusal, QUARANTINE_NOT_A_NUMBER, "the value is %s; a finite number is needed",
			kinds[node->kind]);
		return false;
	}
	if (tape_integer(node, &integer, &fits)) {
		if (fits) {
			*ret_value = (double)integer;
			return true;
		}
		refuse_as(refusal, QUARANTINE_OUT_OF_RANGE,
			"the integer %.*s%s is outside -9007199254740991..9007199254740991, where digits would be lost",
			shown, node->text, node->size > TOKEN_SHOWN ? "…" : "");
		return false;
	}
	if (!tape_real(node, ret_value)) {
		refuse_as(refusal, QUARANTINE_NOT_A_NUMBER, "%.*s%s is not a finite double of at most %d characters",
			shown, node->text, node->size > TOKEN_SHOWN ? "…" : "", TAPE_NUMBER_BYTES);
		return false;
	}
	*ret_value += 0.0; /* −0 is 0 */
	return true;
}

/* A time far outside the calendar is shown as what was sent. */
static const char *time_shown(int64_t time_us, char ret_text[CLOCK_TEXT_SIZE])
{
	if (time_us >= 0 && time_us < INT64_C(253402300800000000))
		return clock_text(time_us, ret_text);
	snprintf(ret_text, CLOCK_TEXT_SIZE, "%lld us", (long long)time_us);
	return ret_text;
}

bool judge_reading(const struct decoding *decoding, const struct directory_sensor *sensor, int64_t time_us,
	double value, struct refusal *refusal)
{
	char sent[CLOCK_TEXT_SIZE], bound[CLOCK_TEXT_SIZE];
	int64_t oldest_us = decoding->received_us - sensor->oldest_us;
	int64_t newest_us = decoding->source->now_us + sensor->newest_us;
	if (!(value >= sensor->range_low && value <= sensor->range_high)) {
		refuse_as(refusal, QUARANTINE_OUT_OF_RANGE, "%.17g is outside %.17g..%.17g %s", value,
			sensor->range_low, sensor->range_high, sensor->unit);
		return false;
	}
	if (oldest_us < 0)
		oldest_us = 0;
	if (time_us < oldest_us) {
		refuse_as(refusal, QUARANTINE_TOO_OLD, "%s is before %s, the oldest time taken from this sensor%s",
			time_shown(time_us, sent), time_shown(oldest_us, bound),
			time_us > 0 && time_us < CLOCK_US_PER_DAY * 365 ? " (integers are µs since 1970)" : "");
		return false;
	}
	if (time_us > newest_us) {
		refuse_as(refusal, QUARANTINE_IN_FUTURE, "%s is after %s, the newest time taken from this sensor",
			time_shown(time_us, sent), time_shown(newest_us, bound));
		return false;
	}
	return true;
}

/* ---- rows ---- */

/* Room for one more; the old array stays in the arena until it is freed, so it grows by doubling. */
static bool reserve(struct arena *arena, void *items, size_t count, size_t *capacity, size_t size)
{
	void *old, *grown;
	if (count < *capacity)
		return true;
	size_t more = *capacity ? *capacity * 2 : 64;
	grown = arena_alloc(arena, more * size);
	if (!grown)
		return false;
	memcpy(&old, items, sizeof old);
	if (count)
		memcpy(grown, old, count * size);
	memcpy(items, &grown, sizeof grown);
	*capacity = more;
	return true;
}

static enum err no_memory(struct decoding *decoding)
{
	return err_set(decoding->info, ERR_NO_MEMORY, NULL, "no memory for the readings");
}

static enum err count_items(struct decoding *decoding, size_t count)
{
	decoding->batch->item_count += count;
	if (decoding->batch->item_count - decoding->index_base > LIMIT_PAYLOAD_READINGS)
		return err_set(decoding->info, ERR_TOO_LARGE, NULL, "more than %d readings in one payload",
			LIMIT_PAYLOAD_READINGS);
	return ERR_OK;
}

static struct reading_verdict *add_verdict(struct decoding *decoding, size_t count)
{
	struct reading_batch *batch = decoding->batch;
	if (!reserve(batch->arena, &batch->verdicts, batch->verdict_count, &batch->verdict_capacity,
		    sizeof *batch->verdicts))
		return NULL;
	struct reading_verdict *verdict = &batch->verdicts[batch->verdict_count++];
	*verdict = (struct reading_verdict){.index = batch->item_count - decoding->index_base, .count = count};
	return verdict;
}

enum err add_reading(
	struct decoding *decoding, const struct directory_sensor *sensor, int64_t time_us, double value, bool manual)
{
	struct reading_batch *batch = decoding->batch;
	if (!reserve(batch->arena, &batch->readings, batch->reading_count, &batch->reading_capacity,
		    sizeof *batch->readings))
		return no_memory(decoding);
	batch->readings[batch->reading_count++] = (struct reading){.sensor = sensor->id,
		.time_us = time_us,
		.value = value,
		.quality = manual ? SERIES_MANUAL : SERIES_GOOD};
	return ERR_OK;
}

enum err add_accepted(struct decoding *decoding, const struct directory_sensor *sensor, size_t count)
{
	if (decoding->batch->want_verdicts) {
		struct reading_verdict *verdict = add_verdict(decoding, count);
		if (verdict)
			verdict->tag = arena_copy(decoding->batch->arena, sensor->tag, strlen(sensor->tag));
		if (!verdict || !verdict->tag)
			return no_memory(decoding);
	}
	return count_items(decoding, count);
}

/* A copy that any store takes: UTF-8, no control characters but \n and \t, at most `most` bytes. */
static char *clean_copy(struct arena *arena, const char *text, size_t size, size_t most)
{
	struct writing writing = {.arena = arena};
	for (const char *at = text, *end = text + size; at < end;) {
		size_t step = tape_utf8_size(at, end);
		unsigned char c = (unsigned char)*at;
		bool control = step == 1 && (c < 0x20 || c == 0x7f) && c != '\n' && c != '\t';
		if (writing.size + (step ? step : 1) > most)
			break;
		if (control || step == 0)
			write_text(&writing, control ? " " : "?");
		else
			write_bytes(&writing, at, step);
		at += step ? step : 1;
	}
	write_bytes(&writing, "", 1);
	return writing.failed ? NULL : writing.text;
}

enum err add_refused(struct decoding *decoding, const struct refused *refused)
{
	struct reading_batch *batch = decoding->batch;
	struct arena *arena = batch->arena;
	if (!reserve(arena, &batch->quarantined, batch->quarantined_count, &batch->quarantined_capacity,
		    sizeof *batch->quarantined))
		return no_memory(decoding);
	struct quarantined *row = &batch->quarantined[batch->quarantined_count];
	*row = (struct quarantined){.org_id = decoding->org_id,
		.unit_id = decoding->unit_id,
		.version = 1,
		.time_us = refused->time_us,
		.items = (int64_t)refused->count,
		.reason = (int)refused->refusal->reason,
		.state = QUARANTINE_OPEN,
		.received_us = decoding->source->now_us,
		.closed_us = FIELD_ABSENT};
	if (refused->sensor)
		row->sensor_id = refused->sensor->id;
	row->source = clean_copy(arena, decoding->source->source, strlen(decoding->source->source), SOURCE_BYTES_KEPT);
	if (refused->tag)
		row->tag = clean_copy(arena, refused->tag->text, refused->tag->size, TAG_BYTES_KEPT);
	if (refused->value)
		row->value = clean_copy(arena, refused->value, refused->value_size, VALUE_BYTES_KEPT);
	row->raw = clean_copy(arena, refused->raw, refused->raw_size, QUARANTINE_RAW_BYTES);
	row->detail = clean_copy(arena, refused->refusal->detail, strlen(refused->refusal->detail), DETAIL_BYTES_KEPT);
	if (!row->source || !row->raw || !row->detail || (refused->tag && !row->tag) || (refused->value && !row->value))
		return no_memory(decoding);
	row->id = quarantine_id(row);
	batch->quarantined_count++;
	if (batch->want_verdicts) {
		struct reading_verdict *verdict = add_verdict(decoding, refused->count);
		if (!verdict)
			return no_memory(decoding);
		verdict->tag = row->tag;
		verdict->code = ERR_INVALID_FIELD;
		verdict->reason = row->reason;
		verdict->detail = row->detail;
		verdict->quarantine_id = row->id;
	}
	return count_items(decoding, refused->count);
}

enum err add_malformed(struct decoding *decoding, const struct tape_node *whole, const char *format, ...)
{
	struct refusal refusal = {.reason = QUARANTINE_MALFORMED};
	struct writing writing = {.arena = decoding->batch->arena, .most = QUARANTINE_RAW_BYTES + 1};
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(refusal.detail, sizeof refusal.detail, format, arguments);
	va_end(arguments);
	write_item_start(&writing, decoding);
	write_bytes(&writing, decoding->tape.document + whole->start, whole->length);
	write_item_end(&writing, decoding);
	if (writing.failed)
		return no_memory(decoding);
	const struct refused refused = {.refusal = &refusal,
		.time_us = FIELD_ABSENT,
		.count = 1,
		.raw = writing.text,
		.raw_size = writing.size};
	return add_refused(decoding, &refused);
}

enum err add_receipt(struct decoding *decoding, const char *boot, size_t boot_size, int64_t seq)
{
	struct reading_batch *batch = decoding->batch;
	struct reading_receipt *last = batch->receipt_count ? &batch->receipts[batch->receipt_count - 1] : NULL;
	if (!decoding->unit_known)
		return ERR_OK; /* there is no unit to keep it under */
	if (!reserve(batch->arena, &batch->receipts, batch->receipt_count, &batch->receipt_capacity,
		    sizeof *batch->receipts))
		return no_memory(decoding);
	/* one device's items mostly follow each other: they share the text */
	bool same = last && strlen(last->boot) == boot_size && memcmp(last->boot, boot, boot_size) == 0;
	const char *kept = same ? last->boot : clean_copy(batch->arena, boot, boot_size, LIMIT_DEVICE_BOOT_BYTES);
	if (!kept)
		return no_memory(decoding);
	batch->receipts[batch->receipt_count++] = (struct reading_receipt){
		.org_id = decoding->org_id, .unit_id = decoding->unit_id, .boot = kept, .seq = seq};
	return ERR_OK;
}

/* ---- text that is kept ---- */

void write_bytes(struct writing *writing, const char *bytes, size_t size)
{
	if (writing->most && size > writing->most - writing->size)
		size = writing->most - writing->size;
	if (writing->size + size > writing->capacity && !writing->failed) {
		size_t capacity = writing->capacity ? writing->capacity * 2 : 256;
		while (capacity < writing->size + size)
			capacity *= 2;
		char *text = arena_alloc(writing->arena, capacity);
		if (text && writing->size)
			memcpy(text, writing->text, writing->size);
		writing->failed = !text;
		writing->text = text;
		writing->capacity = capacity;
	}
	if (writing->failed || size == 0)
		return;
	memcpy(writing->text + writing->size, bytes, size);
	writing->size += size;
}

void write_text(struct writing *writing, const char *text)
{
	write_bytes(writing, text, strlen(text));
}

void write_number(struct writing *writing, int64_t number)
{
	char text[24];
	snprintf(text, sizeof text, "%lld", (long long)number);
	write_text(writing, text);
}

void write_quoted(struct writing *writing, const char *text, size_t size)
{
	write_text(writing, "\"");
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];
		char escape[8];
		if (c == '"' || c == '\\')
			snprintf(escape, sizeof escape, "\\%c", c);
		else if (c < 0x20)
			snprintf(escape, sizeof escape, "\\u%04x", c);
		else
			snprintf(escape, sizeof escape, "%c", c);
		write_text(writing, escape);
	}
	write_text(writing, "\"");
}

void write_item_start(struct writing *writing, const struct decoding *decoding)
{
	if (decoding->unit_known || !decoding->unit)
		return;
	write_text(writing, "{");
	if (decoding->org) {
		write_text(writing, "\"org\":");
		write_quoted(writing, decoding->org, strlen(decoding->org));
		write_text(writing, ",");
	}
	write_text(writing, "\"unit\":");
	write_quoted(writing, decoding->unit, strlen(decoding->unit));
	write_text(writing, ",\"items\":[");
}

void write_item_end(struct writing *writing, const struct decoding *decoding)
{
	if (!decoding->unit_known && decoding->unit)
		write_text(writing, "]}");
}
