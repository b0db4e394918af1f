/* Serial numbers (any changed character is found), the tables of states, the claim lock in itself. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "state.h"

static const struct serial sample = {.country = "IS",
	.unit = "HELLISHEIDI1",
	.methodology = "DAC1",
	.vintage = 2026,
	.range = {.batch = 17, .start = 0, .length = 833990}};

static void a_serial_reads_back_as_it_was(void **state)
{
	(void)state;
	char text[SERIAL_TEXT_SIZE], again[SERIAL_TEXT_SIZE];
	struct serial back;
	struct err_info info;
	assert_int_equal(serial_text(&sample, text), ERR_OK);
	assert_true(strncmp(text, "CCN1-IS-HELLISHEIDI1-DAC1-2026-17-0.833990-", 43) == 0);
	assert_int_equal(serial_parse(text, &back, &info), ERR_OK);
	assert_int_equal(serial_text(&back, again), ERR_OK);
	assert_string_equal(text, again);
	struct serial largest = {.country = "ZZ",
		.unit = "ABCDEFGHIJKLMNOP",
		.methodology = "0123456789ABCDEF",
		.vintage = 9999,
		.range = {.batch = INT64_MAX, .start = INT64_MAX - 1, .length = 1}};
	assert_int_equal(serial_text(&largest, text), ERR_OK);
	assert_int_equal(serial_parse(text, &back, &info), ERR_OK);
	assert_true(back.range.batch == INT64_MAX && back.range.start == INT64_MAX - 1);
}

/* The remainder as ISO 7064 defines it, over the digits written out: an independent computation. */
static void the_check_is_mod_97_10(void **state)
{
	(void)state;
	char text[SERIAL_TEXT_SIZE];
	assert_int_equal(serial_text(&sample, text), ERR_OK);
	unsigned remainder = 0;
	size_t body = strlen(text) - 3;
	for (size_t i = 0; i < body + 3; i++) {
		if (i == body) /* the last hyphen is not counted */
			continue;
		char digits[16];
		char c = text[i];
		int value = c == '-' ? 36 : c == '.' ? 37 : c >= 'A' ? c - 'A' + 10 : c - '0';
		snprintf(digits, sizeof digits, i > body ? "%d" : "%02d", value);
		for (const char *digit = digits; *digit; digit++)
			remainder = (remainder * 10 + (unsigned)(*digit - '0')) % 97;
	}
	assert_int_equal(remainder, 1);
}

static void any_changed_character_of_a_serial_is_found(void **state)
{
	(void)state;
	char text[SERIAL_TEXT_SIZE], changed[SERIAL_TEXT_SIZE];
	struct serial back;
	struct err_info info;
	assert_int_equal(serial_text(&sample, text), ERR_OK);
	size_t length = strlen(text);
	for (size_t at = 0; at < length; at++) {
		for (int c = 1; c < 256; c++) {
			if ((char)c == text[at])
				continue;
			memcpy(changed, text, sizeof changed);
			changed[at] = (char)c;
			assert_int_equal(serial_parse(changed, &back, &info), ERR_SERIAL_INVALID);
		}
		memcpy(changed, text, sizeof changed); /* and two neighbours exchanged */
		if (at + 1 < length && text[at] != text[at + 1]) {
			changed[at] = text[at + 1];
			changed[at + 1] = text[at];
			assert_int_equal(serial_parse(changed, &back, &info), ERR_SERIAL_INVALID);
		}
		memcpy(changed, text, sizeof changed); /* and cut short */
		changed[at] = 0;
		assert_int_equal(serial_parse(changed, &back, &info), ERR_SERIAL_INVALID);
	}
}

static void texts_that_are_no_serials_are_refused(void **state)
{
	(void)state;
	struct serial back;
	struct err_info info;
	static const char *const texts[] = {"", "CCN1", "CCN1-------", "ccn1-is-u-m-2026-1-0.1-00",
		"CCN1-IS-U-M-2026-1-0.1-", "CCN1-IS-U-M-2026-01-0.1-11", "CCN1-IS-U-M-2026-0-0.1-11",
		"CCN1-IS-U-M-2026-1-0.0-11", "CCN1-IS-U-M-2026-1-9223372036854775807.1-11",
		"CCN1-IS-U-M-2026-1-99999999999999999999.1-11", "CCN1-IS-U-M-2026-1-0.1-1-1",
		"CCN1-IS-U-M-2026-1-00.1-11", "CCN1-IS-U-M-2026-1-+0.1-11"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_int_equal(serial_parse(texts[i], &back, &info), ERR_SERIAL_INVALID);
	char text[SERIAL_TEXT_SIZE];
	struct serial bad = sample;
	bad.unit[0] = '-';
	assert_int_equal(serial_text(&bad, text), ERR_INVALID_FIELD);
	bad = sample;
	bad.range.length = 0;
	assert_int_equal(serial_text(&bad, text), ERR_INVALID_FIELD);
}

static void an_issuance_is_of_one_registry_and_root(void **state)
{
	(void)state;
	struct hash root = {{1}}, other_root = {{2}};
	struct hash id = registry_issuance_id((struct id){{1}}, root);
	struct hash other = registry_issuance_id((struct id){{2}}, root);
	assert_memory_not_equal(&id, &other, sizeof id);
	other = registry_issuance_id((struct id){{1}}, other_root);
	assert_memory_not_equal(&id, &other, sizeof id);
	uint8_t data[19 + 16 + 32] = "carbond/issuance/1";
	data[19] = 1;
	data[35] = 1;
	other = keccak256_of(data, sizeof data);
	assert_memory_equal(&id, &other, sizeof id);
}

static void only_the_table_s_steps_are_taken(void **state)
{
	(void)state;
	int allowed = 0;
	for (int from = 0; from < PERIOD_STATE_COUNT; from++)
		for (int verb = 0; verb < PERIOD_VERB_COUNT; verb++)
			allowed += registry_period_next((enum period_state)from, (enum period_verb)verb) !=
				   PERIOD_STATE_COUNT;
	assert_int_equal(allowed, 12);
	assert_int_equal(registry_period_next(PERIOD_SUBMITTED, PERIOD_VERB_ISSUE), PERIOD_STATE_COUNT);
	assert_int_equal(registry_period_next(PERIOD_ATTESTED, PERIOD_VERB_ISSUE), PERIOD_ISSUED);
	assert_int_equal(registry_period_next(PERIOD_ISSUED, PERIOD_VERB_WITHDRAW), PERIOD_STATE_COUNT);
	for (int state_ = 0; state_ < KG_STATE_COUNT; state_++)
		if (state_ == KG_RETIRED || state_ == KG_CANCELLED || state_ == KG_WITHDRAWN)
			for (int overlay = 0; overlay < KG_OVERLAY_COUNT; overlay++)
				assert_int_equal(registry_kg_effect((enum kg_state)state_, (enum kg_overlay)overlay),
					KG_EFFECT_NONE);
	assert_int_equal(registry_kg_effect(KG_BUFFER, KG_OVERLAY_REVERSE), KG_EFFECT_CANCEL);
}

/* ---- claims against a plain table of hours ---- */

static void the_claim_lock_is_that_of_a_plain_table(void **state)
{
	(void)state;
	enum { POINTS = 3, SLOTS = 2, HOURS = 400 };
	static uint64_t owner[POINTS][SLOTS][HOURS];
	struct claims claims = {.seed = 1};
	uint64_t random = 0, batch = 0;
	int won = 0, lost = 0;
	memset(owner, 0, sizeof owner);
	for (int round = 0; round < 3000; round++) {
		struct claim_run runs[3];
		size_t count = 1 + map_hash_u64(0, ++random) % 3;
		bool is_free = true;
		for (size_t i = 0; i < count; i++) {
			uint64_t word = map_hash_u64(0, ++random);
			runs[i] = (struct claim_run){.point = {{(uint8_t)(word % POINTS + 1)}},
				.slot = (uint32_t)(word >> 8) % SLOTS,
				.first_hour = (uint32_t)(word >> 16) % (HOURS - 8),
				.hours = 1 + (uint32_t)(word >> 32) % 8};
			uint64_t *line = owner[runs[i].point.bytes[0] - 1][runs[i].slot];
			for (uint32_t h = 0; h < runs[i].hours; h++)
				is_free = is_free && line[runs[i].first_hour + h] == 0;
			for (size_t j = 0; j < i; j++)
				if (id_equal(runs[j].point, runs[i].point) && runs[j].slot == runs[i].slot &&
					runs[j].first_hour < runs[i].first_hour + runs[i].hours &&
					runs[i].first_hour < runs[j].first_hour + runs[j].hours)
					is_free = false;
		}
		enum err err = claims_take(&claims, runs, count, ++batch);
		assert_int_equal(err, is_free ? ERR_OK : ERR_CLAIM_TAKEN);
		is_free ? won++ : lost++;
		if (is_free && map_hash_u64(0, ++random) % 4 == 0) {
			claims_give_back(&claims, runs, count); /* undone: as if never taken */
			continue;
		}
		for (size_t i = 0; is_free && i < count; i++)
			for (uint32_t h = 0; h < runs[i].hours; h++)
				owner[runs[i].point.bytes[0] - 1][runs[i].slot][runs[i].first_hour + h] = batch;
	}
	assert_true(won > 50 && lost > 500);
	for (int p = 0; p < POINTS; p++)
		for (uint32_t s = 0; s < SLOTS; s++)
			for (uint32_t h = 0; h < HOURS; h++) {
				struct claim_run hour = {
					.point = {{(uint8_t)(p + 1)}}, .slot = s, .first_hour = h, .hours = 1};
				assert_int_equal(claims_overlap(&claims, &hour), owner[p][s][h]);
				assert_int_equal(claims_covered(&claims, &hour, batch + 1), false);
				if (owner[p][s][h])
					assert_true(claims_covered(&claims, &hour, owner[p][s][h]));
			}
	claims_free(&claims);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_serial_reads_back_as_it_was),
		cmocka_unit_test(the_check_is_mod_97_10), cmocka_unit_test(any_changed_character_of_a_serial_is_found),
		cmocka_unit_test(texts_that_are_no_serials_are_refused),
		cmocka_unit_test(an_issuance_is_of_one_registry_and_root),
		cmocka_unit_test(only_the_table_s_steps_are_taken),
		cmocka_unit_test(the_claim_lock_is_that_of_a_plain_table)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
