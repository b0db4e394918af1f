/* The codec: every record of the table comes back as it was written; whatever is cut, lengthened or garbled is refused or
 * decoded, never followed out of its bytes; JSON has every field of the row. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/map.h"
#include "carbond/events.h"
#include "layout.h"

/* As many as there are rows. */
enum {
	EVENT_KINDS = 0
#define RECORD(name, NAME, type, version, lists, doc) +1
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/events.def"
};

static uint64_t seed = 1;

static uint64_t random_u64(void)
{
	seed += UINT64_C(0x9e3779b97f4a7c15);
	return map_hash_u64(0, seed);
}

/* Any value that a writer may make. */
static void random_body(const struct layout *layout, uint8_t *body)
{
	for (const struct layout_field *field = layout->fields; field->name; body += field->size, field++) {
		for (size_t i = 0; i < field->size; i++)
			body[i] = (uint8_t)random_u64();
		if (field->kind == LAYOUT_ENUM) {
			uint32_t value = (uint32_t)(random_u64() % layout_name_count(field->names));
			memcpy(body, &value, sizeof value);
		} else if (field->kind == LAYOUT_CODE8 || field->kind == LAYOUT_CODE16 ||
			   field->kind == LAYOUT_CODE32) {
			memset(body, 0, field->size);
			memset(body, 'A', random_u64() % (field->size + 1u));
		} else if (field->kind != LAYOUT_U32 && field->size == 8) {
			body[7] = 0; /* within what JSON can say */
		}
	}
}

static struct event_scratch given, taken;

static struct event random_event(const struct layout *layout)
{
	struct event event = {.header = {.type = layout->type,
				      .number = random_u64() >> 12,
				      .time_us = (int64_t)(random_u64() >> 12),
				      .actor = random_u64() >> 12}};
	random_body(layout, (uint8_t *)&event + offsetof(struct event, actor_named));
	if (layout->lists & LIST_RANGES) {
		event.lists.ranges = given.ranges;
		event.lists.range_count = random_u64() % (EVENTS_RANGES_MAX + 1);
	}
	if (layout->lists & LIST_RUNS) {
		event.lists.runs = given.runs;
		event.lists.run_count = random_u64() % 20 ? random_u64() % 30 : EVENTS_RUNS_MAX;
	}
	if (layout->lists & LIST_DELIVERIES) {
		event.lists.deliveries = given.deliveries;
		event.lists.delivery_count = random_u64() % (EVENTS_DELIVERIES_MAX + 1);
	}
	if (layout->lists & LIST_VERIFIERS) {
		event.lists.verifiers = given.verifiers;
		event.lists.verifier_count = random_u64() % (EVENTS_VERIFIERS_MAX + 1);
	}
	return event;
}

static void every_record_comes_back_as_it_was(void **state)
{
	(void)state;
	static uint8_t buffer[EVENTS_BYTES_PER_COMMAND], again[EVENTS_BYTES_PER_COMMAND];
	struct err_info info;
	int kinds = 0;
	for (size_t i = 0; i < EVENTS_RUNS_MAX; i++)
		given.runs[i] = (struct claim_run){.first_hour = (uint32_t)i, .hours = 1, .slot = 7};
	for (size_t i = 0; i < EVENTS_RANGES_MAX; i++)
		given.ranges[i] = (struct serial_range){.batch = i + 1, .start = (int64_t)i, .length = 3};
	for (size_t i = 0; i < EVENTS_DELIVERIES_MAX; i++)
		given.deliveries[i] = (struct delivery){.due_us = (int64_t)i, .kg = 1000, .price_micros = 5000};
	for (size_t i = 0; i < EVENTS_VERIFIERS_MAX; i++)
		given.verifiers[i] = (struct id){{(uint8_t)(i + 1)}};
	for (uint32_t type = 0; type < 300; type++) {
		const struct layout *layout = layout_of_event(type);
		if (!layout)
			continue;
		kinds++;
		for (int round = 0; round < 20; round++) {
			struct event event = random_event(layout), back;
			size_t size = 0, size_again = 0, length = 0;
			assert_int_equal(event_encode(&event, buffer, sizeof buffer, &size), ERR_OK);
			assert_int_equal(size % 8, 0);
			assert_int_equal(event_decode(buffer, size, &taken, &back, &length, &info), ERR_OK);
			assert_int_equal(length, size);
			assert_int_equal(back.lists.range_count, event.lists.range_count);
			assert_int_equal(back.lists.run_count, event.lists.run_count);
			assert_int_equal(back.lists.delivery_count, event.lists.delivery_count);
			assert_int_equal(back.lists.verifier_count, event.lists.verifier_count);
			assert_int_equal(event_encode(&back, again, sizeof again, &size_again), ERR_OK);
			assert_int_equal(size_again, size);
			assert_memory_equal(buffer, again, size);
			json_t *document = event_json(&back);
			const json_t *body = json_object_get(document, "body");
			for (const struct layout_field *field = layout->fields; field->name; field++)
				if (strcmp(field->name, "reserved") != 0)
					assert_non_null(json_object_get(body, field->name));
			json_decref(document);
		}
	}
	assert_int_equal(kinds, EVENT_KINDS);
}

static void a_record_that_is_cut_or_too_long_is_refused(void **state)
{
	(void)state;
	static uint8_t buffer[64 << 10];
	struct err_info info;
	struct event event = {.header = {.type = EVENT_TRANSFERRED, .number = 1},
		.transferred = {.kg = 3},
		.lists = {.ranges = given.ranges, .range_count = 2}};
	struct event back;
	size_t size = 0, length = 0;
	assert_int_equal(event_encode(&event, buffer, sizeof buffer, &size), ERR_OK);
	for (size_t cut = 0; cut < size; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);
		memcpy(exact, buffer, cut);
		assert_int_equal(event_decode(exact, cut, &taken, &back, &length, &info), ERR_RECORD_INVALID);
		free(exact);
	}
	uint32_t longer = (uint32_t)size + 8;
	memcpy(buffer, &longer, sizeof longer);
	assert_int_equal(event_decode(buffer, size + 8, &taken, &back, &length, &info), ERR_RECORD_INVALID);
	memcpy(buffer, &(uint32_t){(uint32_t)size}, 4);
	uint32_t *count = (uint32_t *)(buffer + EVENT_HEADER_SIZE + sizeof(struct event_transferred) + 4);
	assert_int_equal(*count, 2);
	*count = 3; /* a list that says more than there is */
	assert_int_equal(event_decode(buffer, size + 64, &taken, &back, &length, &info), ERR_RECORD_INVALID);
	size_t used = 0;
	assert_int_equal(event_encode(&event, buffer, size - 1, &used), ERR_TOO_LARGE);
	assert_int_equal(used, 0);
}

static void unknown_types_versions_and_values_are_refused(void **state)
{
	(void)state;
	static uint8_t buffer[4096];
	struct err_info info;
	struct event event = {.header = {.type = EVENT_RETIRED}}, back;
	size_t size = 0, length = 0;
	assert_int_equal(event_encode(&event, buffer, sizeof buffer, &size), ERR_OK);
	assert_int_equal(event_decode(buffer, size, &taken, &back, &length, &info), ERR_OK);
	buffer[4] = 199; /* type */
	assert_int_equal(event_decode(buffer, size, &taken, &back, &length, &info), ERR_RECORD_INVALID);
	buffer[4] = EVENT_RETIRED;
	buffer[6] = 3; /* version */
	assert_int_equal(event_decode(buffer, size, &taken, &back, &length, &info), ERR_RECORD_INVALID);
	buffer[6] = 0;
	assert_int_equal(event_decode(buffer, size, &taken, &back, &length, &info), ERR_RECORD_INVALID);
	buffer[6] = 2;
	size_t purpose = EVENT_HEADER_SIZE + offsetof(struct event_retired, purpose);
	buffer[purpose] = PURPOSE_COUNT;
	assert_int_equal(event_decode(buffer, size, &taken, &back, &length, &info), ERR_RECORD_INVALID);
	buffer[purpose] = 0;
	buffer[EVENT_HEADER_SIZE + offsetof(struct event_retired, country)] = '\n';
	assert_int_equal(event_decode(buffer, size, &taken, &back, &length, &info), ERR_RECORD_INVALID);
}

static void garbled_records_never_lead_out_of_their_bytes(void **state)
{
	(void)state;
	static uint8_t buffer[EVENTS_BYTES_PER_COMMAND];
	struct err_info info;
	for (uint32_t type = 0; type < 300; type++) {
		const struct layout *layout = layout_of_event(type);
		for (int round = 0; layout && round < 300; round++) {
			struct event event = random_event(layout), back;
			event.lists.run_count = event.lists.run_count > 30 ? 30 : event.lists.run_count;
			size_t size = 0, length = 0;
			assert_int_equal(event_encode(&event, buffer, sizeof buffer, &size), ERR_OK);
			uint8_t *exact = malloc(size);
			memcpy(exact, buffer, size);
			for (int i = 0; i < 4; i++)
				exact[random_u64() % size] ^= (uint8_t)(1u << (random_u64() % 8));
			if (event_decode(exact, size, &taken, &back, &length, &info) == ERR_OK)
				json_decref(event_json(&back));
			free(exact);
		}
	}
}

static void requests_differ_by_every_part(void **state)
{
	(void)state;
	struct serial_range range = {.batch = 1, .start = 0, .length = 5};
	struct command command = {.kind = COMMAND_TRANSFER, .org = {{1}}, .transfer = {.kg = 5, .batch = 1}};
	struct hash first = command_hash(&command), other;
	struct command same = command;
	same.id.bytes[0] = 1; /* neither id nor actor is part of the request */
	same.actor.bytes[0] = 1;
	other = command_hash(&same);
	assert_memory_equal(&first, &other, sizeof first);
	struct retirement_line line = {.kg = 5};
	struct command changed[5] = {command, command, command, command, command};
	changed[0].transfer.kg = 6;
	changed[1].org.bytes[0] = 2;
	changed[2].lists = (struct record_lists){.ranges = &range, .range_count = 1};
	changed[3].kind = COMMAND_BATCH_HOLD;
	changed[4].lists = (struct record_lists){.lines = &line, .line_count = 1};
	for (int i = 0; i < 5; i++) {
		other = command_hash(&changed[i]);
		assert_memory_not_equal(&first, &other, sizeof first);
	}
}

static void the_reference_has_every_record(void **state)
{
	(void)state;
	json_t *reference = events_reference();
	assert_int_equal(json_array_size(reference), EVENT_KINDS + COMMAND_KIND_COUNT - 1);
	json_decref(reference);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_record_comes_back_as_it_was),
		cmocka_unit_test(a_record_that_is_cut_or_too_long_is_refused),
		cmocka_unit_test(unknown_types_versions_and_values_are_refused),
		cmocka_unit_test(garbled_records_never_lead_out_of_their_bytes),
		cmocka_unit_test(requests_differ_by_every_part), cmocka_unit_test(the_reference_has_every_record)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
