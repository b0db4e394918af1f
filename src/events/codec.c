/* Decides how a record lies in bytes: header ‖ body ‖ lists, each list {u16 kind, u16 item size, u32 count} ‖ items, all
 * little-endian and multiples of eight. Decoding takes any bytes. Any thread. */
#include "layout.h"

#include <assert.h>
#include <string.h>

struct list_header {
	uint16_t kind, item_size;
	uint32_t count;
};
_Static_assert(sizeof(struct list_header) == 8, "list headers have no padding");

/* Where the body of every event lies in struct event: the union begins it. */
#define EVENT_BODY(pointer) ((uint8_t *)(pointer) + offsetof(struct event, actor_named))

static uint8_t *list_put(uint8_t *out, uint16_t kind, size_t item_size, const void *items, size_t count)
{
	if (count == 0)
		return out;
	struct list_header header = {.kind = kind, .item_size = (uint16_t)item_size, .count = (uint32_t)count};
	memcpy(out, &header, sizeof header);
	memcpy(out + sizeof header, items, item_size * count);
	return out + sizeof header + item_size * count;
}

static size_t list_size(size_t item_size, size_t count)
{
	return count ? sizeof(struct list_header) + item_size * count : 0;
}

enum err event_encode(struct event *event, uint8_t *buffer, size_t capacity, size_t *size)
{
	const struct layout *layout = layout_of_event(event->header.type);
	assert(layout);
	const struct record_lists *lists = &event->lists;
	assert(lists->range_count <= EVENTS_RANGES_MAX && lists->run_count <= EVENTS_RUNS_MAX);
	assert(lists->range_count == 0 || layout->lists & LIST_RANGES);
	assert(lists->run_count == 0 || layout->lists & LIST_RUNS);
	assert(lists->delivery_count == 0 ||
		(layout->lists & LIST_DELIVERIES && lists->delivery_count <= EVENTS_DELIVERIES_MAX));
	assert(lists->verifier_count == 0 ||
		(layout->lists & LIST_VERIFIERS && lists->verifier_count <= EVENTS_VERIFIERS_MAX));
	size_t length = EVENT_HEADER_SIZE + layout->size + list_size(sizeof(struct serial_range), lists->range_count) +
			list_size(sizeof(struct claim_run), lists->run_count) +
			list_size(sizeof(struct delivery), lists->delivery_count) +
			list_size(sizeof(struct id), lists->verifier_count);
	if (length > capacity - *size)
		return ERR_TOO_LARGE;
	event->header.length = (uint32_t)length;
	event->header.version = layout->version;
	uint8_t *out = buffer + *size;
	memcpy(out, &event->header, EVENT_HEADER_SIZE);
	memcpy(out + EVENT_HEADER_SIZE, EVENT_BODY(event), layout->size);
	out += EVENT_HEADER_SIZE + layout->size;
	out = list_put(out, LIST_RANGES, sizeof(struct serial_range), lists->ranges, lists->range_count);
	out = list_put(out, LIST_RUNS, sizeof(struct claim_run), lists->runs, lists->run_count);
	out = list_put(out, LIST_DELIVERIES, sizeof(struct delivery), lists->deliveries, lists->delivery_count);
	out = list_put(out, LIST_VERIFIERS, sizeof(struct id), lists->verifiers, lists->verifier_count);
	assert(out == buffer + *size + length);
	*size += length;
	return ERR_OK;
}

/* ---- decoding ---- */

static enum err invalid(struct err_info *info, const char *reason)
{
	return err_set(info, ERR_RECORD_INVALID, "", "%s", reason);
}

static bool code_is_clean(const uint8_t *text, size_t size)
{
	size_t i = 0;
	while (i < size && text[i] > ' ' && text[i] < 0x7f)
		i++;
	while (i < size && text[i] == 0)
		i++;
	return i == size;
}

/* Values that no writer makes: enumerations beyond their names, codes that are not printable. */
static enum err body_check(const struct layout *layout, const uint8_t *body, struct err_info *info)
{
	for (const struct layout_field *field = layout->fields; field->name; body += field->size, field++) {
		if (field->kind == LAYOUT_ENUM) {
			uint32_t value;
			memcpy(&value, body, sizeof value);
			if (value >= layout_name_count(field->names))
				return err_set(info, ERR_RECORD_INVALID, "", "%s of %s has no value %u", field->name,
					layout->name, value);
		} else if (field->kind == LAYOUT_CODE8 || field->kind == LAYOUT_CODE16 ||
			   field->kind == LAYOUT_CODE32) {
			if (!code_is_clean(body, field->size))
				return err_set(info, ERR_RECORD_INVALID, "", "%s of %s is not printable", field->name,
					layout->name);
		}
	}
	return ERR_OK;
}

/* Size of an item, and how many there may be. */
static size_t list_bounds(unsigned kind, size_t *ret_most)
{
	switch (kind) {
	case LIST_RANGES: *ret_most = EVENTS_RANGES_MAX; return sizeof(struct serial_range);
	case LIST_RUNS: *ret_most = EVENTS_RUNS_MAX; return sizeof(struct claim_run);
	case LIST_VERIFIERS: *ret_most = EVENTS_VERIFIERS_MAX; return sizeof(struct id);
	default: *ret_most = EVENTS_DELIVERIES_MAX; return sizeof(struct delivery);
	}
}

/* Reads one list at data; *ret_size is what it takes. */
static enum err list_get(const uint8_t *data, size_t size, unsigned *allowed, struct event_scratch *scratch,
	struct record_lists *lists, size_t *ret_size, struct err_info *info)
{
	struct list_header header;
	if (size < sizeof header)
		return invalid(info, "a list is cut short");
	memcpy(&header, data, sizeof header);
	if (header.kind == 0 || (header.kind & (header.kind - 1)) || !(*allowed & header.kind))
		return invalid(info, "a list is not one that the record has");
	*allowed &= ~(unsigned)header.kind;
	size_t most, item_size = list_bounds(header.kind, &most);
	if (header.item_size != item_size || header.count == 0 || header.count > most)
		return invalid(info, "a list has a wrong item size or count");
	size_t bytes = item_size * header.count;
	if (bytes > size - sizeof header)
		return invalid(info, "a list is cut short");
	const uint8_t *items = data + sizeof header;
	if (header.kind == LIST_RANGES) {
		lists->range_count = header.count;
		if (scratch)
			lists->ranges = memcpy(scratch->ranges, items, bytes);
	} else if (header.kind == LIST_RUNS) {
		lists->run_count = header.count;
		if (scratch)
			lists->runs = memcpy(scratch->runs, items, bytes);
	} else if (header.kind == LIST_VERIFIERS) {
		lists->verifier_count = header.count;
		if (scratch)
			lists->verifiers = memcpy(scratch->verifiers, items, bytes);
	} else {
		lists->delivery_count = header.count;
		if (scratch)
			lists->deliveries = memcpy(scratch->deliveries, items, bytes);
	}
	*ret_size = sizeof header + bytes;
	return ERR_OK;
}

enum err event_decode(const uint8_t *data, size_t size, struct event_scratch *scratch, struct event *ret_event,
	size_t *ret_length, struct err_info *info)
{
	if (size < EVENT_HEADER_SIZE)
		return invalid(info, "the header is cut short");
	struct event_header header;
	memcpy(&header, data, sizeof header);
	const struct layout *layout = layout_of_event(header.type);
	if (!layout)
		return err_set(info, ERR_RECORD_INVALID, "", "there is no record type %u", header.type);
	if (header.version == 0 || header.version > layout->version)
		return err_set(
			info, ERR_RECORD_INVALID, "", "version %u of %s is not known", header.version, layout->name);
	size_t body_size = layout_size(layout, header.version);
	if (header.length > size || header.length % 8 || header.length < EVENT_HEADER_SIZE + body_size)
		return invalid(info, "the length is wrong");
	memset(ret_event, 0, sizeof *ret_event);
	ret_event->header = header;
	memcpy(EVENT_BODY(ret_event), data + EVENT_HEADER_SIZE, body_size);
	enum err err = body_check(layout, EVENT_BODY(ret_event), info);
	unsigned allowed = layout->lists;
	size_t at = EVENT_HEADER_SIZE + body_size;
	while (!err && at < header.length) {
		size_t used = 0;
		err = list_get(data + at, header.length - at, &allowed, scratch, &ret_event->lists, &used, info);
		at += used;
	}
	if (!err)
		*ret_length = header.length;
	return err;
}

/* ---- codes ---- */

static bool code_set(char *ret_text, size_t size, const char *text)
{
	size_t length = strlen(text);
	if (length > size)
		return false;
	memset(ret_text, 0, size);
	memcpy(ret_text, text, length);
	return true;
}

bool code8_set(struct code8 *ret_code, const char *text)
{
	return code_set(ret_code->text, sizeof ret_code->text, text);
}

bool code16_set(struct code16 *ret_code, const char *text)
{
	return code_set(ret_code->text, sizeof ret_code->text, text);
}

bool code32_set(struct code32 *ret_code, const char *text)
{
	return code_set(ret_code->text, sizeof ret_code->text, text);
}

char *code8_text(struct code8 code, char ret_text[9])
{
	memcpy(ret_text, code.text, sizeof code.text);
	ret_text[8] = 0;
	return ret_text;
}

char *code16_text(struct code16 code, char ret_text[17])
{
	memcpy(ret_text, code.text, sizeof code.text);
	ret_text[16] = 0;
	return ret_text;
}

char *code32_text(struct code32 code, char ret_text[33])
{
	memcpy(ret_text, code.text, sizeof code.text);
	ret_text[32] = 0;
	return ret_text;
}

/* ---- sets of verifiers ---- */

bool verifiers_are_sorted(const struct id *orgs, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (memcmp(&orgs[i - 1], &orgs[i], sizeof *orgs) >= 0)
			return false;
	return count <= EVENTS_VERIFIERS_MAX;
}

bool verifier_set_add(struct verifier_set *set, struct id org)
{
	uint32_t at = 0;
	while (at < set->count && memcmp(&set->orgs[at], &org, sizeof org) < 0)
		at++;
	if (at < set->count && id_equal(set->orgs[at], org))
		return true;
	if (set->count == EVENTS_VERIFIERS_MAX)
		return false;
	memmove(&set->orgs[at + 1], &set->orgs[at], (set->count - at) * sizeof org);
	set->orgs[at] = org;
	set->count++;
	return true;
}
