/* carbonctl verify holds purchases against the records that they are made of: the golden journal's holds, and whatever is changed in what
 * it says, bought or retired is found (docs/ROUTING.md, what an explanation says). */
#include "golden.h"

static bool purchasing; /* between the first part and the last line of the purchase */
static void (*changes_one)(struct event *event);

static void change_one(struct event *event)
{
	purchasing =
		event->header.type == EVENT_PURCHASE_PART || (purchasing && event->header.type != EVENT_COMMAND_DONE);
	if (changes_one)
		changes_one(event);
}

static enum err check_event(void *context, const struct event *event, struct err_info *info)
{
	return purchases_check_event(context, event, info);
}

/* Checks the golden journal's purchases, each event changed by `change` first. */
static enum err check(void (*change)(struct event *event), int64_t *ret_count)
{
	struct purchases_check *purchases = purchases_check_new();
	purchasing = false;
	changes_one = change;
	enum err err = golden_check(change_one, check_event, purchases);
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
