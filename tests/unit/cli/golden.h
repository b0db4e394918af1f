/* What the checks of carbonctl verify are tried on: the events of the golden journal, each of which a test may change first. */
#ifndef TESTS_CLI_GOLDEN_H
#define TESTS_CLI_GOLDEN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "../../../cli/verify.h"
#include "carbond/events.h"

static struct event_scratch scratch; /* in which an event's lists lie */

static inline enum err golden_check(void (*change)(struct event *event),
	enum err (*check)(void *context, const struct event *event, struct err_info *info), void *context)
{
	static uint8_t bytes[1 << 20];
	struct err_info info;
	FILE *file = fopen("tests/golden/journal-2.bin", "rb");
	assert_non_null(file);
	size_t size = fread(bytes, 1, sizeof bytes, file), length = 0;
	fclose(file);
	assert_true(size < sizeof bytes);
	enum err err = ERR_OK;
	for (size_t at = 0; at < size && !err; at += length) {
		struct event event;
		assert_int_equal(event_decode(bytes + at, size - at, &scratch, &event, &length, &info), ERR_OK);
		if (change)
			change(&event);
		err = check(context, &event, &info);
	}
	return err;
}

/* A change of the events of one type. */
#define CHANGE(name, TYPE, ...)                         \
	static void name(struct event *event)           \
	{                                               \
		if (event->header.type == EVENT_##TYPE) \
			__VA_ARGS__;                    \
	}

#endif
