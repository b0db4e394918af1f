/* Open readings in memory come back as they went in; what is content depends on the set that came, not on its order. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shard.h"

#define HOUR INT64_C(1789948800000000)
#define MOST 3000

static uint64_t noise_state = 3;

static uint64_t noise(uint64_t below)
{
	noise_state ^= noise_state << 13;
	noise_state ^= noise_state >> 7;
	noise_state ^= noise_state << 17;
	return (noise_state * UINT64_C(0x2545f4914f6cdd1d) >> 11) % below;
}

static double value_of(int kind)
{
	uint64_t bits = noise(UINT64_C(1) << 52) << 11;
	double value;
	switch (kind) {
	case 0: return (double)noise(1000);
	case 1: return (double)(int64_t)noise(1000000) / 100 - 5000;
	case 2: return noise(100) ? (double)noise(100) : (double)noise(100) / 1e9;
	case 3: return (double)noise(100000) * 1e7;
	default: memcpy(&value, &bits, sizeof value); return isfinite(value) ? value : 1;
	}
}

static void test_compact_round_trip(void **state)
{
	(void)state;
	static struct series_point expected[MOST];
	for (int run = 0; run < 300; run++) {
		struct compact compact = {0};
		size_t count = 1 + noise(run % 10 == 0 ? MOST : 200);
		uint32_t offset = (uint32_t)noise(1000), step = (uint32_t)(1 + noise(1000000));
		bool ordered = true;
		for (size_t i = 0; i < count; i++) {
			int kind = run % 6 == 5 ? (int)noise(5) : run % 6;
			expected[i] = (struct series_point){.time_us = HOUR + offset,
				.value = value_of(kind),
				.quality = noise(run % 4 ? 1000000 : 20) ? SERIES_GOOD : SERIES_MANUAL};
			assert_true(
				compact_add(&compact, offset, expected[i].value, expected[i].quality == SERIES_MANUAL));
			uint32_t before = offset;
			offset = noise(200) || run % 3 ? offset + step : (uint32_t)noise(3600000000);
			offset %= 3600000000u;
			ordered = ordered && (i + 1 == count || offset > before);
		}
		assert_int_equal(compact.count, count);
		assert_true(compact.unsorted == !ordered);
		for (size_t i = 0; i < count; i++) {
			struct series_point point;
			compact_get(&compact, HOUR, i, &point);
			assert_memory_equal(&point.value, &expected[i].value, sizeof(double));
			assert_int_equal(point.time_us, expected[i].time_us);
			assert_int_equal(point.quality, expected[i].quality);
		}
		compact_free(&compact);
		assert_int_equal(compact_bytes(&compact), 0);
	}
}

/* Any order, any repeats, and any division into parts that were settled before: the same content, the same refusals. */
static void test_content_is_a_set(void **state)
{
	(void)state;
	for (int run = 0; run < 200; run++) {
		struct series_point came[200], first[200], second[200], aside[200];
		size_t count = 2 + noise(100), a_refused, b_refused, total;
		for (size_t i = 0; i < count; i++)
			came[i] = (struct series_point){HOUR + (int64_t)noise(60), (double)noise(3), SERIES_GOOD};
		memcpy(first, came, sizeof came);
		size_t a = content_settle(first, count, HOUR, NULL, 0, aside, &a_refused);
		for (size_t i = 1; i < a; i++)
			assert_true(first[i - 1].time_us < first[i].time_us);
		for (size_t i = count; i > 1; i--) {
			size_t other = noise(i);
			struct series_point swap = came[i - 1];
			came[i - 1] = came[other];
			came[other] = swap;
		}
		/* half of it settled (a flush), its conflicts kept, the rest after it */
		struct arena *arena = arena_new(0);
		size_t half = count / 2, kept, conflict_count;
		memcpy(second, came, half * sizeof *second);
		kept = content_settle(second, half, HOUR, NULL, 0, aside, &b_refused);
		uint32_t *conflicts = conflicts_join(NULL, 0, aside, b_refused, HOUR, arena, &conflict_count);
		memcpy(second + kept, came + half, (count - half) * sizeof *second);
		total = content_settle(second, kept + count - half, HOUR, conflicts, conflict_count, aside, &b_refused);
		assert_int_equal(total, a);
		assert_memory_equal(first, second, a * sizeof *first);
		arena_free(&arena);
	}
}

static void test_conflicts_as_bytes(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	uint32_t conflicts[] = {0, 1, 70000, 3599999999u}, *back;
	size_t count;
	struct bytes bytes = conflicts_bytes(conflicts, 4, arena);
	assert_int_equal(bytes.size, 16);
	assert_int_equal(conflicts_read(bytes, arena, &back, &count), ERR_OK);
	assert_int_equal(count, 4);
	assert_memory_equal(back, conflicts, sizeof conflicts);
	assert_true(
		conflicts_hold(back, 4, 70000) && conflicts_hold(back, 4, 3599999999u) && conflicts_hold(back, 4, 0));
	assert_false(conflicts_hold(back, 4, 2) || conflicts_hold(back, 4, UINT32_MAX) || conflicts_hold(NULL, 0, 0));
	bytes.size = 15;
	assert_int_equal(conflicts_read(bytes, arena, &back, &count), ERR_STORE_CORRUPT);
	assert_null(conflicts_bytes(NULL, 0, arena).data);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compact_round_trip),
		cmocka_unit_test(test_content_is_a_set),
		cmocka_unit_test(test_conflicts_as_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
