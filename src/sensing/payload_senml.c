/* SenML JSON (RFC 8428): resolves the base fields and makes readings of the records. Runs on the decoding thread. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "payload.h"

#define SENML_VERSION    10
#define SENML_NAME_BYTES 200
/* A time below 2^28 s is relative to now (RFC 8428 §4.5.3): it is not the source's own clock, so it is no evidence. */
#define SENML_RELATIVE_NS (INT64_C(268435456) * 1000000000)

struct senml {
	/* base fields, in force until the next one */
	const struct tape_node *base_unit;
	char base_name[SENML_NAME_BYTES];
	size_t base_name_size;
	int64_t base_ns;
	double base_value;
};

/* One record's own fields. */
struct record {
	const struct tape_node *n, *u, *v, *t, *other; /* other: a value that is no number (vs, vb, vd) */
	bool sum;
	bool has_base_value;
};

bool is_senml(const struct tape *tape)
{
	const struct tape_node *top = tape->nodes, *first = top + 1;
	if (top->kind != TAPE_ARRAY || top->count == 0 || first->kind != TAPE_OBJECT)
		return false;
	return tape_member(tape, first, "n") || tape_member(tape, first, "bn");
}

/* Takes one member; NULL, or what is wrong with it. */
static const char *take_member(struct senml *senml, struct record *record, const struct tape_node *key)
{
	const struct tape_node *value = key + 1;
	int64_t integer = 0;
	bool fits = false;
	if (tape_is(key, "bn")) {
		if (value->kind != TAPE_TEXT || value->size > sizeof senml->base_name)
			return "bn must be a short text";
		memcpy(senml->base_name, value->text, value->size);
		senml->base_name_size = value->size;
	} else if (tape_is(key, "bt")) {
		if (!tape_seconds_ns(value, &senml->base_ns))
			return "bt must be a number of seconds";
	} else if (tape_is(key, "bu")) {
		if (value->kind != TAPE_TEXT)
			return "bu must be a text";
		senml->base_unit = value;
	} else if (tape_is(key, "bv")) {
		if (!tape_real(value, &senml->base_value))
			return "bv must be a finite number";
		record->has_base_value = true;
	} else if (tape_is(key, "bs") || tape_is(key, "s")) {
		record->sum = true;
	} else if (tape_is(key, "bver")) {
		if (!tape_integer(value, &integer, &fits) || !fits || integer > SENML_VERSION || integer < 1)
			return "bver is a later version than 10";
	} else if (tape_is(key, "n")) {
		record->n = value;
	} else if (tape_is(key, "u")) {
		record->u = value;
	} else if (tape_is(key, "v")) {
		record->v = value;
	} else if (tape_is(key, "t")) {
		record->t = value;
	} else if (tape_is(key, "vs") || tape_is(key, "vb") || tape_is(key, "vd")) {
		record->other = value;
	} else if (key->size > 0 && key->text[key->size - 1] == '_') {
		return "a member that ends in \"_\" must be understood, and is not";
	}
	return NULL;
}

/* The record's absolute time in µs. NULL, or what is wrong with it. */
static const char *resolve_time(const struct senml *senml, const struct record *record, int64_t *ret_time_us)
{
	int64_t own_ns = 0, ns = 0;
	if (record->t && !tape_seconds_ns(record->t, &own_ns))
		return "t must be a number of seconds";
	if (__builtin_add_overflow(senml->base_ns, own_ns, &ns))
		return "bt + t is out of range";
	if (ns < SENML_RELATIVE_NS)
		return "the time (bt + t) must be absolute: a reading carries its source's own time";
	*ret_time_us = (ns + 500) / 1000;
	return NULL;
}

static const char *resolve_name(
	const struct senml *senml, const struct record *record, char *name, struct tape_node *ret_tag)
{
	size_t own = record->n ? record->n->size : 0, size = senml->base_name_size + own;
	if (record->n && record->n->kind != TAPE_TEXT)
		return "n must be a text";
	if (size == 0 || size > SENML_NAME_BYTES)
		return "the name (bn + n) must have 1..200 bytes";
	memcpy(name, senml->base_name, senml->base_name_size);
	if (own)
		memcpy(name + senml->base_name_size, record->n->text, own);
	*ret_tag = (struct tape_node){.text = name, .size = (uint32_t)size, .kind = TAPE_TEXT};
	return NULL;
}

/* The reading as an object of our own format, so that it stands without the pack's base fields. */
static enum err refuse_record(struct decoding *decoding, const struct item *item, const struct tape_node *tag,
	const struct directory_sensor *sensor, int64_t time_us, const char *value, size_t value_size,
	const struct refusal *refusal)
{
	struct writing writing = {.arena = decoding->batch->arena, .most = QUARANTINE_RAW_BYTES + 1};
	write_item_start(&writing, decoding);
	write_text(&writing, "{\"t\":");
	write_number(&writing, time_us);
	write_text(&writing, ",\"v\":{");
	write_quoted(&writing, tag->text, tag->size);
	write_text(&writing, ":");
	write_bytes(&writing, value, value_size);
	write_text(&writing, "}");
	/* a unit that is the sensor's under its SenML name would be foreign in our format */
	if (item->unit && refusal->reason == QUARANTINE_WRONG_UNIT) {
		write_text(&writing, ",\"units\":{");
		write_quoted(&writing, tag->text, tag->size);
		write_text(&writing, ":");
		write_bytes(&writing, decoding->tape.document + item->unit->start, item->unit->length);
		write_text(&writing, "}");
	}
	write_text(&writing, "}");
	write_item_end(&writing, decoding);
	if (writing.failed)
		return err_set(decoding->info, ERR_NO_MEMORY, NULL, "no memory for the readings");
	const struct refused refused = {.refusal = refusal,
		.sensor = sensor,
		.tag = tag,
		.time_us = time_us,
		.count = 1,
		.value = value,
		.value_size = value_size,
		.raw = writing.text,
		.raw_size = writing.size};
	return add_refused(decoding, &refused);
}

static enum err decode_value(struct decoding *decoding, const struct senml *senml, const struct record *record,
	const struct item *item, const struct tape_node *tag, int64_t time_us)
{
	const struct tape_node *node = record->v ? record->v : record->other;
	struct refusal refusal;
	enum quarantine_reason reason;
	double value = 0;
	char sum[40];
	const char *shown = sum;
	size_t shown_size = 0;
	const struct directory_sensor *sensor = judge_tag(decoding, tag, &reason);
	bool good = !node || judge_number(node, &value, &refusal);
	value += senml->base_value;
	if (good && !isfinite(value)) {
		refuse_as(&refusal, QUARANTINE_NOT_A_NUMBER, "bv + v is not finite");
		good = false;
	}
	if (node && (senml->base_value == 0 || !good)) {
		shown = decoding->tape.document + node->start;
		shown_size = node->length;
	} else {
		shown_size = (size_t)snprintf(sum, sizeof sum, "%.17g", value);
	}
	if (!sensor)
		refuse_tag(decoding, tag, reason, &refusal);
	else if (judge_unit(sensor, item, good ? &refusal : &(struct refusal){0}) && good &&
		 judge_reading(decoding, sensor, time_us, value, &refusal)) {
		enum err err = add_reading(decoding, sensor, time_us, value, false);
		return err ? err : add_accepted(decoding, sensor, 1);
	}
	return refuse_record(decoding, item, tag, sensor, time_us, shown, shown_size, &refusal);
}

static enum err decode_record(struct decoding *decoding, struct senml *senml, const struct tape_node *whole)
{
	const struct tape_node *key = whole + 1;
	struct item item = {.whole = whole, .senml = true};
	struct record record = {0};
	struct tape_node tag;
	char name[SENML_NAME_BYTES];
	int64_t time_us = 0;
	const char *fault = NULL;
	if (whole->kind != TAPE_OBJECT)
		return add_malformed(decoding, whole, "a SenML record must be an object");
	if (whole->repeated)
		return add_malformed(decoding, whole, "a member is there twice");
	for (uint32_t i = 0; i < whole->count && !fault; i++, key = tape_next(&decoding->tape, key + 1))
		fault = take_member(senml, &record, key);
	if (!fault && record.sum)
		fault = "sums (s, bs) are not taken; send values";
	if (!fault && !record.v && !record.other && !record.has_base_value) {
		if (!record.n && !record.t && !record.u)
			return ERR_OK; /* base fields alone */
		fault = "there is no value";
	}
	if (!fault && record.u && record.u->kind != TAPE_TEXT)
		fault = "u must be a text";
	if (!fault)
		fault = resolve_name(senml, &record, name, &tag);
	if (!fault)
		fault = resolve_time(senml, &record, &time_us);
	if (fault)
		return add_malformed(decoding, whole, "%s", fault);
	item.unit = record.u ? record.u : senml->base_unit;
	return decode_value(decoding, senml, &record, &item, &tag, time_us);
}

enum err decode_senml(struct decoding *decoding)
{
	const struct tape_node *top = decoding->tape.nodes, *record = top + 1;
	struct senml senml = {0};
	enum err err = ERR_OK;
	if (top->kind != TAPE_ARRAY)
		return add_malformed(decoding, top, "a SenML pack must be an array of records");
	for (uint32_t i = 0; i < top->count && !err; i++) {
		err = decode_record(decoding, &senml, record);
		record = tape_next(&decoding->tape, record);
	}
	return err;
}
