/* Which packets of a broker are let through to libmosquitto: every one that a broker may send, in pieces of every size; none
 * with a property that MQTT 5 does not know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gate.h"

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* A copy of exactly `size` bytes, so that a look beyond them is seen by the sanitizer. */
static enum gate judge(const uint8_t *bytes, size_t size, size_t *ret_packet)
{
	uint8_t *copy = malloc(size ? size : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, size);
	enum gate gate = gate_judge(copy, size, ret_packet);
	free(copy);
	return gate;
}

static void passes(const uint8_t *bytes, size_t size)
{
	size_t packet = 0;
	assert_int_equal(judge(bytes, size, &packet), GATE_PASS);
	assert_int_equal(packet, size);
	for (size_t part = 0; part < size; part++) {
		enum gate gate = judge(bytes, part, &packet);
		assert_true(gate == GATE_MORE || (gate == GATE_PASS && packet == size && bytes[0] >> 4 == 3));
	}
}

static void fails(const uint8_t *bytes, size_t size)
{
	size_t packet = 0;
	assert_int_equal(judge(bytes, size, &packet), GATE_WRONG);
	for (size_t part = 0; part < size; part++)
		(void)judge(bytes, part, &packet);
}

static void what_a_broker_sends_passes(void **state)
{
	(void)state;
	passes(BYTES(0x20, 3, 0, 0, 0));
	passes(BYTES(0x20, 11, 0, 0, 8, 0x21, 0, 20, 0x22, 0, 10, 0x25, 0));
	passes(BYTES(0x20, 9, 0, 0, 6, 0x12, 0, 3, 'a', 'b', 'c'));
	passes(BYTES(0x20, 2, 0, 0)); /* the library judges a CONNACK of MQTT 3 */
	passes(BYTES(0x90, 5, 0, 1, 0, 1, 1));
	passes(BYTES(0x40, 2, 0, 1));
	passes(BYTES(0x40, 3, 0, 1, 0));
	passes(BYTES(0xd0, 0));
	passes(BYTES(0xe0, 0));
	passes(BYTES(0xe0, 1, 0x8b));
	passes(BYTES(0x30, 4, 0, 1, 'a', 0));
	passes(BYTES(0x32, 8, 0, 1, 'a', 0, 1, 0, '{', '}'));
	passes(BYTES(0x32, 17, 0, 1, 'a', 0, 1, 9, 0x26, 0, 1, 'k', 0, 1, 'v', 0x01, 1, '{', '}'));
	passes(BYTES(0x32, 11, 0, 1, 'a', 0, 1, 3, 0x0b, 0x80, 0x01, '{', '}'));
}

static void what_the_library_refuses_itself_passes(void **state)
{
	(void)state;
	size_t packet;
	assert_int_equal(judge(BYTES(0x20, 1, 0), &packet), GATE_PASS);
	assert_int_equal(judge(BYTES(0x32, 2, 0, 200), &packet), GATE_PASS);
	assert_int_equal(judge(BYTES(0x00, 2, 0, 0), &packet), GATE_PASS);
	assert_int_equal(judge(BYTES(0x20, 6, 0, 0, 3, 0x12, 0, 9), &packet), GATE_PASS); /* a text that is cut short */
}

static void only_known_properties_pass(void **state)
{
	static const uint8_t known[] = {0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x11, 0x12, 0x13, 0x15, 0x16, 0x17, 0x18,
		0x19, 0x1a, 0x1c, 0x1f, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a};
	(void)state;
	for (unsigned identifier = 0; identifier < 0x80; identifier++) {
		uint8_t packet[] = {0x20, 8, 0, 0, 5, (uint8_t)identifier, 0, 0, 0, 0};
		size_t size;
		enum gate gate = judge(packet, sizeof packet, &size);
		bool is_known = memchr(known, (int)identifier, sizeof known) != NULL;
		/* after a value of one byte comes a property 0, which is unknown */
		if (!is_known)
			assert_int_equal(gate, GATE_WRONG);
		packet[1] = 4, packet[4] = 1;
		assert_int_equal(judge(packet, 6, &size), is_known ? GATE_PASS : GATE_WRONG);
	}
	fails(BYTES(0x20, 6, 0, 0, 3, 0xfe, 0x01, 0)); /* an identifier of two bytes */
	fails(BYTES(0x32, 10, 0, 1, 'a', 0, 1, 2, 0x7f, 0, '{', '}'));
	fails(BYTES(0x32, 12, 0, 1, 'a', 0, 1, 4, 0x01, 1, 0x05, 0, '{', '}')); /* the second one */
	fails(BYTES(0x40, 6, 0, 1, 0, 2, 0x00, 0));
	fails(BYTES(0x90, 6, 0, 1, 2, 0x50, 0, 1));
	fails(BYTES(0xe0, 4, 0x8b, 2, 0x40, 0));
	fails(BYTES(0xf0, 4, 0x18, 2, 0x40, 0));
	fails(BYTES(0x20, 4, 0, 0, 9, 0x40)); /* and where the length of all of them lies */
}

static void frames_that_no_broker_sends_fail(void **state)
{
	(void)state;
	fails(BYTES(0x20, 0xff, 0xff, 0xff, 0xff, 0xff));
	fails(BYTES(0x20, 0xff, 0xff, 0xff, 0x7f, 0));
	fails(BYTES(0x34, 8, 0, 1, 'a', 0, 1, 0, '{', '}')); /* QoS 2 */
	fails(BYTES(0x36, 8, 0, 1, 'a', 0, 1, 0, '{', '}')); /* QoS 3 */
}

/* A message that is larger than what is looked at passes by its head; one whose properties are, too. */
static void large_messages_pass(void **state)
{
	size_t packet = 0;
	uint8_t *bytes = calloc(1, GATE_BYTES);
	(void)state;
	assert_non_null(bytes);
	memcpy(bytes, (const uint8_t[]){0x32, 0x80, 0x80, 0x40, 0, 1, 'a', 0, 1, 0, '{'}, 11);
	assert_int_equal(judge(bytes, 9, &packet), GATE_MORE);
	assert_int_equal(judge(bytes, 11, &packet), GATE_PASS);
	assert_int_equal(packet, (1u << 20) + 4);
	memcpy(bytes + 9, (const uint8_t[]){0x80, 0x80, 0x08, 0x26}, 4);
	assert_int_equal(judge(bytes, GATE_BYTES - 1, &packet), GATE_MORE);
	assert_int_equal(judge(bytes, GATE_BYTES, &packet), GATE_PASS);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_broker_sends_passes),
		cmocka_unit_test(what_the_library_refuses_itself_passes),
		cmocka_unit_test(only_known_properties_pass),
		cmocka_unit_test(frames_that_no_broker_sends_fail),
		cmocka_unit_test(large_messages_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
