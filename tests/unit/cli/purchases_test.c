/* carbonctl verify holds purchases against the records that they are made of: the golden journal's holds, and whatever is changed in what
 * it says, bought or retired is found (docs/ROUTING.md, what an explanation says). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../../cli/verify.h"
#include "carbond/events.h"

static struct event_scratch scratch; /* in which an event's ranges lie */
static bool purchasing;              /* between the first part and the last line of the purchase */

/* Checks the golden journal's purchases, each event changed by `change` first. */
static enum err check(void (*change)(struct event *event), int64_t *ret_count)
{
	static uint8_t bytes[1 << 20];
	struct err_info info;
	FILE *file = fopen("tests/golden/journal-2.bin", "rb");
	assert_non_null(file);
	size_t size = fread(bytes, 1, sizeof bytes, file), length = 0;
	fclose(file);
	struct purchases_check *purchases = purchases_check_new();
	enum err err = ERR_OK;
	purchasing = false;
	for (size_t at = 0; at < size && !err; at += length) {
		struct event event;
		assert_int_equal(event_decode(bytes + at, size - at, &scratch, &event, &length, &info), ERR_OK);
		purchasing = event.header.type == EVENT_PURCHASE_PART ||
			     (purchasing && event.header.type != EVENT_COMMAND_DONE);
		if (change)
			change(&event);
		err = purchases_check_event(purchases, &event, &info);
	}
	if (ret_count)
		*ret_count = purchases_check_count(purchases);
	purchases_check_free(&purchases);
	return err;
}

static void the_golden_purchase_is_what_it_says(void **state)
{
	(void)state;
	int64_t count = 0;
	assert_int_equal(check(NULL, &count), ERR_OK);
	assert_int_equal(count, 1);
}

#define CHANGE(name, TYPE, ...)                         \
	static void name(struct event *event)           \
	{                                               \
		if (event->header.type == EVENT_##TYPE) \
			__VA_ARGS__;                    \
	}
CHANGE(a_part_of_more, PURCHASE_PART, event->purchase_part.kg++)
CHANGE(a_cheaper_part, PURCHASE_PART, event->purchase_part.micros--)
CHANGE(another_fee, PURCHASE_PART, event->purchase_part.fee_micros++)
CHANGE(another_place, PURCHASE_PART, event->purchase_part.part++)
CHANGE(dearer_than_the_margin, PURCHASE_PART, event->purchase_part.unit_micros = INT64_MAX)
CHANGE(more_in_all, PURCHASED, event->purchased.kg++)
CHANGE(less_paid, PURCHASED, event->purchased.micros--)
CHANGE(one_part_fewer, PURCHASED, event->purchased.parts--)
CHANGE(beyond_its_maximum, PURCHASED, event->purchased.maximum_micros = 1)
CHANGE(beyond_its_limit, PURCHASED, event->purchased.limit_micros = 1)
CHANGE(more_lines, PURCHASED, event->purchased.lines++)
CHANGE(pooled_serials, POOL_BOUGHT, scratch.ranges[0].start++)

static void another_serial_is_retired(struct event *event)
{
	if (purchasing && event->header.type == EVENT_RETIRED)
		scratch.ranges[0].start++;
}

static void less_is_retired(struct event *event)
{
	if (purchasing && event->header.type == EVENT_RETIRED)
		scratch.ranges[0].length--;
}

static void whatever_is_changed_is_found(void **state)
{
	(void)state;
	static void (*const changes[])(struct event *) = {a_part_of_more, a_cheaper_part, another_fee, another_place,
		dearer_than_the_margin, more_in_all, less_paid, one_part_fewer, beyond_its_maximum, beyond_its_limit,
		more_lines, pooled_serials, another_serial_is_retired, less_is_retired};
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
		if (check(changes[i], NULL) != ERR_JOURNAL_INVALID)
			fail_msg("change %zu is not found", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_golden_purchase_is_what_it_says), cmocka_unit_test(whatever_is_changed_is_found)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
