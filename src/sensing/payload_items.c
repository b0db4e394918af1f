/* The shapes of our own payload format (decision 17): objects, packed columns, arrays of them, envelopes. Runs on the
 * decoding thread. */
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "payload.h"

#define TIME_TEXT_BYTES 40
#define UNITS_MAX       1000
#define RUN_TAIL_BYTES  800 /* what may follow a run's last value: its unit of measurement, the envelope's end */
#define NAME_BYTES      100 /* of an organisation or capture unit: a slug or a UUID is shorter */

/* The members of an item by name; NULL where absent. */
struct members {
	const struct tape_node *t, *v, *tag, *t0, *dt, *unit, *units, *boot, *seq, *quality, *org, *items;
	const struct tape_node *unknown; /* a key that is none of them */
};

static const struct {
	const char *name;
	size_t offset;
} member_names[] = {{"t", offsetof(struct members, t)}, {"v", offsetof(struct members, v)},
	{"tag", offsetof(struct members, tag)}, {"t0", offsetof(struct members, t0)},
	{"dt", offsetof(struct members, dt)}, {"unit", offsetof(struct members, unit)},
	{"units", offsetof(struct members, units)}, {"boot", offsetof(struct members, boot)},
	{"seq", offsetof(struct members, seq)}, {"quality", offsetof(struct members, quality)},
	{"org", offsetof(struct members, org)}, {"items", offsetof(struct members, items)}};

static void find_members(const struct tape *tape, const struct tape_node *object, struct members *ret_members)
{
	const struct tape_node *key = object + 1;
	*ret_members = (struct members){0};
	for (uint32_t i = 0; i < object->count; i++, key = tape_next(tape, key + 1)) {
		const struct tape_node *value = key + 1;
		size_t m = 0, count = sizeof member_names / sizeof *member_names;
		while (m < count && !tape_is(key, member_names[m].name))
			m++;
		if (m < count)
			memcpy((char *)ret_members + member_names[m].offset, &value, sizeof(value));
		else
			ret_members->unknown = key;
	}
}

/* RFC 3339 with up to nine fractional digits, those below a microsecond cut off. */
static bool parse_time_text(const struct tape_node *node, int64_t *ret_time_us)
{
	char text[TIME_TEXT_BYTES];
	size_t length = 0, fraction = 0;
	bool in_fraction = false;
	if (node->size >= sizeof text)
		return false;
	for (uint32_t i = 0; i < node->size; i++) {
		char c = node->text[i];
		in_fraction = c == '.' || (in_fraction && c >= '0' && c <= '9');
		fraction += in_fraction;
		if (in_fraction && fraction > 7 && fraction <= 10)
			continue;
		text[length++] = c;
	}
	text[length] = '\0';
	return memchr(text, '\0', length) == NULL && clock_parse(text, ret_time_us) == ERR_OK;
}

bool read_time(const struct tape_node *node, int64_t *ret_time_us, struct refusal *refusal)
{
	bool fits = false;
	if (node && node->kind == TAPE_TEXT && parse_time_text(node, ret_time_us))
		return true;
	if (node && tape_integer(node, ret_time_us, &fits) && fits)
		return true;
	refuse_as(refusal, QUARANTINE_MALFORMED, "%s%.*s%s", node ? "the time " : "there is no time",
		node ? (int)(node->size < 40 ? node->size : 40) : 0, node ? node->text : "",
		node ? " is neither an integer of µs since 1970 nor RFC 3339 text" : "");
	return false;
}

/* ---- object ---- */

/* The one reading again as an item, in the sender's own digits. */
static void write_reading(struct writing *writing, const struct decoding *decoding, const struct members *members,
	const struct item *item, const struct tape_node *tag, const struct tape_node *value)
{
	const char *document = decoding->tape.document;
	write_item_start(writing, decoding);
	write_text(writing, "{\"t\":");
	write_bytes(writing, document + members->t->start, members->t->length);
	write_text(writing, ",\"v\":{");
	write_bytes(writing, document + tag->start, tag->length);
	write_text(writing, ":");
	write_bytes(writing, document + value->start, value->length);
	write_text(writing, "}");
	if (item->unit) {
		write_text(writing, ",\"units\":{");
		write_bytes(writing, document + tag->start, tag->length);
		write_text(writing, ":");
		write_bytes(writing, document + item->unit->start, item->unit->length);
		write_text(writing, "}");
	}
	write_text(writing, item->manual ? ",\"quality\":\"manual\"}" : "}");
	write_item_end(writing, decoding);
}

static enum err refuse_reading(struct decoding *decoding, const struct members *members, const struct item *item,
	const struct tape_node *tag, const struct directory_sensor *sensor, int64_t time_us,
	const struct refusal *refusal)
{
	const struct tape_node *value = tag + 1;
	struct writing writing = {.arena = decoding->batch->arena, .most = QUARANTINE_RAW_BYTES + 1};
	write_reading(&writing, decoding, members, item, tag, value);
	if (writing.failed)
		return err_set(decoding->info, ERR_NO_MEMORY, NULL, "no memory for the readings");
	const struct refused refused = {.refusal = refusal,
		.sensor = sensor,
		.tag = tag,
		.time_us = time_us,
		.count = 1,
		.value = decoding->tape.document + value->start,
		.value_size = value->length,
		.raw = writing.text,
		.raw_size = writing.size};
	return add_refused(decoding, &refused);
}

/* The unit that the item's map names for a tag. */
static const struct tape_node *unit_of(
	const struct tape *tape, const struct tape_node *units, const struct tape_node *tag)
{
	const struct tape_node *key = units ? units + 1 : NULL;
	for (uint32_t i = 0; units && i < units->count; i++, key = tape_next(tape, key + 1)) {
		if (key->count == tag->count && key->size == tag->size && memcmp(key->text, tag->text, tag->size) == 0)
			return key + 1;
	}
	return NULL;
}

static enum err decode_reading(struct decoding *decoding, const struct members *members, struct item *item,
	const struct tape_node *tag, int64_t time_us)
{
	struct refusal refusal;
	enum quarantine_reason reason;
	double value = 0;
	const struct directory_sensor *sensor = judge_tag(decoding, tag, &reason);
	item->unit = unit_of(&decoding->tape, members->units, tag);
	if (!sensor)
		refuse_tag(decoding, tag, reason, &refusal);
	else if (judge_unit(sensor, item, &refusal) && judge_number(tag + 1, &value, &refusal) &&
		 judge_reading(decoding, sensor, time_us, value, &refusal)) {
		enum err err = add_reading(decoding, sensor, time_us, value, item->manual);
		return err ? err : add_accepted(decoding, sensor, 1);
	}
	return refuse_reading(decoding, members, item, tag, sensor, time_us, &refusal);
}

static enum err decode_object(struct decoding *decoding, const struct members *members, struct item *item)
{
	const struct tape_node *tag = members->v + 1;
	struct refusal refusal;
	int64_t time_us = 0;
	enum err err = ERR_OK;
	if (members->v->repeated)
		return add_malformed(decoding, item->whole, "a tag is in \"v\" twice");
	if (members->v->count == 0)
		return add_malformed(decoding, item->whole, "\"v\" is empty");
	if (members->units && (members->units->kind != TAPE_OBJECT || members->units->count > UNITS_MAX))
		return add_malformed(
			decoding, item->whole, "\"units\" must be an object of at most %d tags", UNITS_MAX);
	if (!read_time(members->t, &time_us, &refusal))
		return add_malformed(decoding, item->whole, "/t: %s", refusal.detail);
	for (uint32_t i = 0; i < members->v->count && !err; i++) {
		err = decode_reading(decoding, members, item, tag, time_us);
		tag = tape_next(&decoding->tape, tag + 1);
	}
	return err;
}

/* ---- packed column ---- */

/* Values of a column that follow each other and are refused for the same reason: they become one row, as far as its text
 * has room, which is a packed column itself. */
struct run {
	struct refusal refusal;
	const struct directory_sensor *sensor;
	struct writing raw;
	bool cut; /* its tag alone takes the text's room: no row of it decodes again, so one holds them all */
	const struct tape_node *first;
	int64_t first_us;
	size_t count;
};

static enum err end_run(
	struct decoding *decoding, const struct tape_node *tag, const struct item *item, struct run *run)
{
	if (run->count == 0)
		return ERR_OK;
	write_text(&run->raw, "]");
	if (item->unit) {
		write_text(&run->raw, ",\"unit\":");
		write_bytes(&run->raw, decoding->tape.document + item->unit->start, item->unit->length);
	}
	write_text(&run->raw, item->manual ? ",\"quality\":\"manual\"}" : "}");
	write_item_end(&run->raw, decoding);
	if (run->raw.failed)
		return err_set(decoding->info, ERR_NO_MEMORY, NULL, "no memory for the readings");
	const struct refused refused = {.refusal = &run->refusal,
		.sensor = run->sensor,
		.tag = tag,
		.time_us = run->first_us,
		.count = run->count,
		.value = decoding->tape.document + run->first->start,
		.value_size = run->first->length,
		.raw = run->raw.text,
		.raw_size = run->raw.size};
	run->count = 0;
	return add_refused(decoding, &refused);
}

static enum err add_to_run(struct decoding *decoding, const struct tape_node *tag, const struct item *item,
	struct run *run, const struct refusal *refusal, int64_t time_us, int64_t dt_us, const struct tape_node *value)
{
	const char *document = decoding->tape.document;
	bool full = !run->cut && run->raw.size + value->length > QUARANTINE_RAW_BYTES - RUN_TAIL_BYTES;
	if (run->count > 0 && (refusal->reason != run->refusal.reason || full)) {
		enum err err = end_run(decoding, tag, item, run);
		if (err)
			return err;
	}
	if (run->count == 0) {
		run->raw = (struct writing){.arena = decoding->batch->arena, .most = QUARANTINE_RAW_BYTES + 1};
		run->refusal = *refusal;
		run->first = value;
		run->first_us = time_us;
		write_item_start(&run->raw, decoding);
		write_text(&run->raw, "{\"tag\":");
		write_bytes(&run->raw, document + tag->start, tag->length);
		write_text(&run->raw, ",\"t0\":");
		write_number(&run->raw, time_us);
		write_text(&run->raw, ",\"dt\":");
		write_number(&run->raw, dt_us);
		write_text(&run->raw, ",\"v\":[");
		run->cut = run->raw.size > QUARANTINE_RAW_BYTES - RUN_TAIL_BYTES;
	}
	write_text(&run->raw, run->count > 0 ? "," : "");
	write_bytes(&run->raw, document + value->start, value->length);
	run->count++;
	return ERR_OK;
}

static enum err decode_column(
	struct decoding *decoding, const struct members *members, const struct item *item, int64_t t0_us, int64_t dt_us)
{
	const struct tape_node *tag = members->tag, *value = members->v + 1;
	struct run run = {.count = 0};
	struct refusal refusal, column;
	enum quarantine_reason reason;
	size_t accepted = 0;
	double real = 0;
	enum err err = ERR_OK;
	bool good = false;
	run.sensor = judge_tag(decoding, tag, &reason);
	if (run.sensor)
		good = judge_unit(run.sensor, item, &column);
	else
		refuse_tag(decoding, tag, reason, &column);
	for (uint32_t i = 0; i < members->v->count && !err; i++, value = tape_next(&decoding->tape, value)) {
		int64_t time_us = t0_us + (int64_t)i * dt_us;
		if (good && judge_number(value, &real, &refusal) &&
			judge_reading(decoding, run.sensor, time_us, real, &refusal)) {
			if (accepted == 0)
				err = end_run(decoding, tag, item, &run);
			accepted++;
			if (!err)
				err = add_reading(decoding, run.sensor, time_us, real, item->manual);
			continue;
		}
		if (accepted > 0)
			err = add_accepted(decoding, run.sensor, accepted);
		accepted = 0;
		if (!err)
			err = add_to_run(decoding, tag, item, &run, good ? &refusal : &column, time_us, dt_us, value);
	}
	if (!err && accepted > 0)
		err = add_accepted(decoding, run.sensor, accepted);
	return err ? err : end_run(decoding, tag, item, &run);
}

static enum err decode_packed(struct decoding *decoding, const struct members *members, struct item *item)
{
	struct refusal refusal;
	int64_t t0_us = 0, dt_us = 0;
	bool fits = false;
	if (!members->tag || members->tag->kind != TAPE_TEXT || members->tag->size == 0)
		return add_malformed(decoding, item->whole, "/tag: a packed column names its sensor's tag");
	if (!read_time(members->t0, &t0_us, &refusal))
		return add_malformed(decoding, item->whole, "/t0: %s", refusal.detail);
	if (!members->dt || !tape_integer(members->dt, &dt_us, &fits) || !fits || dt_us < 1 || dt_us > CLOCK_US_PER_DAY)
		return add_malformed(
			decoding, item->whole, "/dt: an integer of 1..%lld us is needed", (long long)CLOCK_US_PER_DAY);
	if (members->v->count == 0 || members->v->count > LIMIT_PAYLOAD_READINGS)
		return add_malformed(decoding, item->whole, "/v: 1..%d values are taken", LIMIT_PAYLOAD_READINGS);
	item->unit = members->unit;
	return decode_column(decoding, members, item, t0_us, dt_us);
}

/* ---- items ---- */

static enum err take_receipt(struct decoding *decoding, const struct members *members, bool *ret_good)
{
	const struct tape_node *boot = members->boot, *seq = members->seq;
	int64_t number = 0;
	bool fits = false;
	*ret_good = !boot && !seq;
	if (!boot || !seq || boot->kind != TAPE_TEXT || boot->size == 0 || boot->size > LIMIT_DEVICE_BOOT_BYTES)
		return ERR_OK;
	if (!tape_integer(seq, &number, &fits) || !fits || number < 1)
		return ERR_OK;
	*ret_good = true;
	return add_receipt(decoding, boot->text, boot->size, number);
}

/* The members that this kind of item does not have; NULL: none is there. */
static const struct tape_node *misplaced(const struct members *members, bool packed)
{
	const struct tape_node *const of_object[] = {members->t, members->units}, *const of_packed[] = {members->tag,
											  members->t0, members->dt,
											  members->unit};
	if (members->unknown || members->org || members->items)
		return members->unknown ? members->unknown : members->org ? members->org - 1 : members->items - 1;
	for (size_t i = 0; packed && i < 2; i++) {
		if (of_object[i])
			return of_object[i] - 1;
	}
	for (size_t i = 0; !packed && i < 4; i++) {
		if (of_packed[i])
			return of_packed[i] - 1;
	}
	return NULL;
}

static enum err decode_item(struct decoding *decoding, const struct tape_node *whole)
{
	struct item item = {.whole = whole};
	struct members members;
	bool good = true;
	if (whole->kind != TAPE_OBJECT)
		return add_malformed(decoding, whole, "an item must be an object");
	if (whole->repeated)
		return add_malformed(decoding, whole, "a member is there twice");
	find_members(&decoding->tape, whole, &members);
	if (!members.v || (members.v->kind != TAPE_OBJECT && members.v->kind != TAPE_ARRAY))
		return add_malformed(
			decoding, whole, "/v: an object of values by tag, or the array of a packed column, is needed");
	bool packed = members.v->kind == TAPE_ARRAY;
	const struct tape_node *extra = misplaced(&members, packed);
	if (extra)
		return add_malformed(decoding, whole, "the member \"%.*s\" does not belong into %s",
			(int)(extra->size < 60 ? extra->size : 60), extra->text,
			packed ? "a packed column" : "an object of values");
	if (members.quality && !tape_is(members.quality, "manual") && !tape_is(members.quality, "good"))
		return add_malformed(decoding, whole, "/quality: must be \"good\" or \"manual\"");
	item.manual = members.quality && tape_is(members.quality, "manual");
	enum err err = take_receipt(decoding, &members, &good);
	if (!err && !good)
		return add_malformed(decoding, whole,
			"boot (text of 1..%d bytes) and seq (an integer from 1) go together", LIMIT_DEVICE_BOOT_BYTES);
	if (err)
		return err;
	return packed ? decode_packed(decoding, &members, &item) : decode_object(decoding, &members, &item);
}

static enum err decode_items(struct decoding *decoding, const struct tape_node *array)
{
	const struct tape_node *item = array + 1;
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < array->count && !err; i++) {
		err = decode_item(decoding, item);
		item = tape_next(&decoding->tape, item);
	}
	return err;
}

/* ---- documents ---- */

static const char *name_of(struct decoding *decoding, const struct tape_node *node)
{
	if (node->kind != TAPE_TEXT || node->size == 0 || node->size > NAME_BYTES ||
		memchr(node->text, '\0', node->size))
		return NULL;
	return arena_copy(decoding->batch->arena, node->text, node->size);
}

/* An envelope names the capture unit where neither topic nor query did; where they did, it must be the same one. */
static enum err decode_envelope(struct decoding *decoding, const struct tape_node *whole)
{
	const struct payload_source *source = decoding->source;
	struct members members;
	find_members(&decoding->tape, whole, &members);
	const char *org = members.org ? name_of(decoding, members.org) : source->org;
	const char *unit = members.unit ? name_of(decoding, members.unit) : source->unit;
	bool named = source->unit != NULL;
	struct id named_id = decoding->unit_id;
	if (whole->repeated || members.unknown || members.items->kind != TAPE_ARRAY || members.v || members.t ||
		members.tag || members.t0 || members.dt || members.units || members.boot || members.seq ||
		members.quality)
		return add_malformed(
			decoding, whole, "an envelope has \"org\", \"unit\" and the array \"items\" alone");
	if ((members.org && !org) || (members.unit && !unit))
		return add_malformed(decoding, whole, "/org and /unit: a slug or a UUID is needed");
	decoding_choose_unit(decoding, org, unit);
	bool differs = named && !id_equal(named_id, decoding->unit_id);
	enum err err = ERR_OK;
	if (differs)
		decoding_choose_unit(decoding, source->org, source->unit);
	if (!unit)
		err = err_set(decoding->info, ERR_MISSING_FIELD, "/unit",
			"/unit: the capture unit must be named, in the query or in the body");
	else if (differs)
		err = add_malformed(decoding, whole, "/unit: the items came to another capture unit");
	else
		err = decode_items(decoding, members.items);
	decoding_choose_unit(decoding, source->org, source->unit);
	return err;
}

enum err decode_document(struct decoding *decoding, bool senml)
{
	const struct tape_node *top = decoding->tape.nodes;
	if (top->kind == TAPE_OBJECT && tape_member(&decoding->tape, top, "items"))
		return decode_envelope(decoding, top);
	if (!decoding->unit_named)
		return err_set(decoding->info, ERR_MISSING_FIELD, "/unit",
			"/unit: the capture unit must be named, in the query or in the body");
	if (senml || is_senml(&decoding->tape))
		return decode_senml(decoding);
	return top->kind == TAPE_ARRAY ? decode_items(decoding, top) : decode_item(decoding, top);
}
