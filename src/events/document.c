/* Decides how a record reads as JSON, and describes all records for the generated reference. Any thread. */
#include "layout.h"

#include <string.h>

#include "carbond/base/clock.h"

static json_t *hex_json(const void *data, size_t size)
{
	char text[2 * 64 + 1];
	return json_string(hex_text(data, size, text));
}

static json_t *id_json(const void *data)
{
	struct id id;
	char text[ID_TEXT_SIZE];
	memcpy(&id, data, sizeof id);
	return id_is_none(id) ? json_null() : json_string(id_text(id, text));
}

static json_t *field_json(const struct layout_field *field, const uint8_t *data)
{
	int64_t number = 0;
	uint32_t small = 0;
	char text[33];
	switch (field->kind) {
	case LAYOUT_U64:
	case LAYOUT_I64:
	case LAYOUT_TIME: memcpy(&number, data, sizeof number); return json_integer(number);
	case LAYOUT_U32: memcpy(&small, data, sizeof small); return json_integer(small);
	case LAYOUT_ENUM:
		memcpy(&small, data, sizeof small);
		return small < layout_name_count(field->names) ? json_string(field->names[small]) : json_integer(small);
	case LAYOUT_ID: return id_json(data);
	case LAYOUT_HASH:
	case LAYOUT_KEY:
	case LAYOUT_SIGNATURE: return hex_json(data, field->size);
	case LAYOUT_CODE8:
	case LAYOUT_CODE16:
	case LAYOUT_CODE32:
		memcpy(text, data, field->size);
		text[field->size] = 0;
		return json_string(text);
	}
	return json_null();
}

static json_t *ranges_json(const struct record_lists *lists)
{
	json_t *array = json_array();
	for (size_t i = 0; i < lists->range_count; i++)
		json_array_append_new(array,
			json_pack("{s:I,s:I,s:I}", "batch", (json_int_t)lists->ranges[i].batch, "start",
				(json_int_t)lists->ranges[i].start, "length", (json_int_t)lists->ranges[i].length));
	return array;
}

static json_t *runs_json(const struct record_lists *lists)
{
	json_t *array = json_array();
	for (size_t i = 0; i < lists->run_count; i++) {
		const struct claim_run *run = &lists->runs[i];
		json_t *row = json_pack("{s:o,s:I,s:I,s:I}", "point", id_json(&run->point), "first_hour",
			(json_int_t)run->first_hour, "hours", (json_int_t)run->hours, "slot", (json_int_t)run->slot);
		if (row && run->previous)
			json_object_set_new(row, "previous", json_integer(run->previous));
		json_array_append_new(array, row);
	}
	return array;
}

static json_t *deliveries_json(const struct record_lists *lists)
{
	json_t *array = json_array();
	for (size_t i = 0; i < lists->delivery_count; i++) {
		const struct delivery *row = &lists->deliveries[i];
		const char *state = row->state < DELIVERY_STATE_COUNT ? event_delivery_state_names[row->state] : NULL;
		json_array_append_new(
			array, json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:s?}", "from_us", (json_int_t)row->from_us,
				       "due_us", (json_int_t)row->due_us, "kg", (json_int_t)row->kg, "price_micros",
				       (json_int_t)row->price_micros, "delivered_kg", (json_int_t)row->delivered_kg,
				       "tendered_kg", (json_int_t)row->tendered_kg, "state", state));
	}
	return array;
}

static json_t *verifiers_json(const struct record_lists *lists)
{
	json_t *array = json_array();
	for (size_t i = 0; i < lists->verifier_count; i++)
		json_array_append_new(array, id_json(&lists->verifiers[i]));
	return array;
}

json_t *event_json(const struct event *event)
{
	const struct layout *layout = layout_of_event(event->header.type);
	if (!layout)
		return NULL;
	char time[CLOCK_TEXT_SIZE];
	json_t *object = json_pack("{s:s,s:I,s:s,s:I,s:I,s:I,s:o,s:o}", "event", layout->name, "number",
		(json_int_t)event->header.number, "time", clock_text(event->header.time_us, time), "time_us",
		(json_int_t)event->header.time_us, "version", (json_int_t)event->header.version, "actor",
		(json_int_t)event->header.actor, "command", id_json(&event->header.command), "organisation",
		id_json(&event->header.org));
	if (!object)
		return NULL;
	json_t *body = json_object();
	const uint8_t *data = (const uint8_t *)event + offsetof(struct event, actor_named);
	for (const struct layout_field *field = layout->fields; field->name; data += field->size, field++)
		if (strcmp(field->name, "reserved") != 0 && field->since <= event->header.version)
			json_object_set_new(body, field->name, field_json(field, data));
	if (event->lists.ranges)
		json_object_set_new(body, "ranges", ranges_json(&event->lists));
	if (event->lists.runs)
		json_object_set_new(body, "runs", runs_json(&event->lists));
	if (event->lists.deliveries)
		json_object_set_new(body, "deliveries", deliveries_json(&event->lists));
	if (event->lists.verifiers)
		json_object_set_new(body, "verifiers", verifiers_json(&event->lists));
	json_object_set_new(object, "body", body);
	return object;
}

const char *event_type_name(uint16_t type)
{
	const struct layout *layout = layout_of_event(type);
	return layout ? layout->name : NULL;
}

/* ---- the reference ---- */

static const char *const kind_names[] = {[LAYOUT_U64] = "u64",
	[LAYOUT_I64] = "i64",
	[LAYOUT_TIME] = "time µs",
	[LAYOUT_U32] = "u32",
	[LAYOUT_ENUM] = "enum u32",
	[LAYOUT_ID] = "uuid",
	[LAYOUT_HASH] = "hash",
	[LAYOUT_KEY] = "ed25519 key",
	[LAYOUT_SIGNATURE] = "ed25519 signature",
	[LAYOUT_CODE8] = "code 8",
	[LAYOUT_CODE16] = "code 16",
	[LAYOUT_CODE32] = "code 32"};

static json_t *layout_json(const char *group, const struct layout *layout)
{
	json_t *fields = json_array();
	size_t offset = 0;
	for (const struct layout_field *field = layout->fields; field->name; offset += field->size, field++) {
		json_t *row = json_pack("{s:s,s:s,s:I,s:I,s:I,s:s}", "name", field->name, "kind",
			kind_names[field->kind], "offset", (json_int_t)offset, "size", (json_int_t)field->size, "since",
			(json_int_t)field->since, "doc", field->doc);
		if (row && field->names) {
			json_t *names = json_array();
			for (const char *const *name = field->names; *name; name++)
				json_array_append_new(names, json_string(*name));
			json_object_set_new(row, "names", names);
		}
		json_array_append_new(fields, row);
	}
	return json_pack("{s:s,s:s,s:I,s:I,s:b,s:b,s:b,s:b,s:b,s:b,s:s,s:o}", "group", group, "name", layout->name,
		"type", (json_int_t)layout->type, "version", (json_int_t)layout->version, "ranges",
		(layout->lists & LIST_RANGES) != 0, "runs", (layout->lists & LIST_RUNS) != 0, "linked",
		(layout->lists & LIST_LINKED) != 0, "deliveries", (layout->lists & LIST_DELIVERIES) != 0, "verifiers",
		(layout->lists & LIST_VERIFIERS) != 0, "lines", (layout->lists & LIST_LINES) != 0, "doc", layout->doc,
		"fields", fields);
}

json_t *events_reference(void)
{
	json_t *array = json_array();
	for (uint32_t type = 0; type <= UINT16_MAX; type++)
		if (layout_of_event(type))
			json_array_append_new(array, layout_json("event", layout_of_event(type)));
	for (uint32_t kind = 0; kind < COMMAND_KIND_COUNT; kind++)
		if (layout_of_command(kind))
			json_array_append_new(array, layout_json("command", layout_of_command(kind)));
	return array;
}
