/* The pauses between attempts to reach a broker, in virtual time: nothing here waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link.h"

#define MS INT64_C(1000)

static struct link *prepared(struct link *link, int64_t longest_us)
{
	const struct mqtt_broker broker = {.host = "127.0.0.1", .port = 1883, .retry_longest_us = longest_us};
	struct err_info info;
	*link = (struct link){.wake_fd = -1};
	assert_int_equal(link_prepare(link, &broker, "test", &info), ERR_OK);
	return link;
}

static void pauses_double_up_to_the_longest_and_half_is_random(void **state)
{
	struct link link;
	int64_t elapsed_us = 0, top_us = 100 * MS;
	(void)state;
	prepared(&link, 0);
	for (int attempt = 0; attempt < 100; attempt++) {
		int64_t pause_us = link_backoff_us(&link);
		assert_in_range(pause_us, top_us / 2, top_us);
		elapsed_us += pause_us;
		top_us = top_us * 2 < 30000 * MS ? top_us * 2 : 30000 * MS;
	}
	/* a broker that is gone for 35 to 46 minutes costs a hundred attempts */
	assert_in_range(elapsed_us, 35 * 60000 * MS * 9 / 10, 46 * 60000 * MS);
	link_dispose(&link);
}

static void two_that_lost_one_broker_do_not_come_back_together(void **state)
{
	struct link one, two;
	int same = 0;
	(void)state;
	prepared(&one, 400 * MS);
	prepared(&two, 400 * MS);
	for (int attempt = 0; attempt < 100; attempt++)
		same += link_backoff_us(&one) == link_backoff_us(&two);
	assert_true(same < 10);
	assert_in_range(link_backoff_us(&one), 200 * MS, 400 * MS); /* the longest pause is the configured one */
	link_dispose(&one);
	link_dispose(&two);
}

/* A broker that takes each connection and spoils it at once must not be connected to in a tight loop. */
static void only_a_connection_that_lasts_makes_the_pauses_short_again(void **state)
{
	struct link link;
	int64_t pause_us = 0;
	(void)state;
	prepared(&link, 0);
	for (int attempt = 0; attempt < 20; attempt++) {
		pause_us = link_backoff_us(&link);
		link_backoff_served(&link, 10 * MS);
	}
	assert_in_range(pause_us, 15000 * MS, 30000 * MS);
	link_backoff_served(&link, pause_us - 1);
	pause_us = link_backoff_us(&link);
	assert_in_range(pause_us, 15000 * MS, 30000 * MS);
	link_backoff_served(&link, pause_us);
	assert_in_range(link_backoff_us(&link), 50 * MS, 100 * MS);
	link_dispose(&link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses_double_up_to_the_longest_and_half_is_random),
		cmocka_unit_test(two_that_lost_one_broker_do_not_come_back_together),
		cmocka_unit_test(only_a_connection_that_lasts_makes_the_pauses_short_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
