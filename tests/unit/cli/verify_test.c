/* carbonctl verify: exit codes of packs (PASS, FAIL, SIGNERS UNTRUSTED) and the replay of a journal's export. The packs are the
 * fuzzer's corpus: signed by test keys; one of them with an issue record that is no record. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../cli/verify.h"
#include "carbond/base/sign.h"
#include "carbond/events.h"

#define CORPUS "tests/fuzz/corpus/pack_fuzzer/"

static uint8_t *read_file(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(1 << 20);
	assert_non_null(file);
	*ret_size = fread(data, 1, 1 << 20, file);
	fclose(file);
	return data;
}

static struct mrv_trust_key key_of(uint8_t number)
{
	struct mrv_trust_key key = {.role = 0, .name = "k", .from_us = FIELD_ABSENT, .until_us = FIELD_ABSENT};
	uint8_t seed[32] = {number, 7};
	struct sign_secret secret;
	sign_keypair_from_seed(seed, &key.key, &secret);
	return key;
}

/* Runs and gives what was printed. */
static int run(const char *path, const struct mrv_trust_key *keys, size_t count, bool json, long flip, char **ret_text)
{
	size_t size, printed;
	uint8_t *data = read_file(path, &size);
	char *text = NULL;
	struct verify_options options = {
		.trust = keys, .trust_count = count, .json = json, .out = open_memstream(&text, &printed)};
	if (flip >= 0)
		data[(size_t)flip] ^= 1;
	int code = verify_pack(data, size, &options);
	fclose(options.out);
	free(data);
	*ret_text = text;
	return code;
}

static void exit_codes(void **state)
{
	(void)state;
	struct mrv_trust_key keys[] = {key_of(1), key_of(2), key_of(3)};
	char *text;
	assert_int_equal(run(CORPUS "pack-2.tar", NULL, 0, false, -1, &text), CLI_SIGNERS_UNTRUSTED);
	assert_non_null(strstr(text, "CONSISTENT, SIGNERS UNTRUSTED"));
	free(text);
	assert_int_equal(run(CORPUS "pack-2.tar", keys, 2, false, -1, &text), CLI_OK);
	assert_non_null(strstr(text, "\nPASS\n"));
	free(text);
	/* one of two is not a quorum; a stranger's key counts for nothing */
	assert_int_equal(run(CORPUS "pack-2.tar", keys, 1, false, -1, &text), CLI_SIGNERS_UNTRUSTED);
	free(text);
	assert_int_equal(run(CORPUS "pack-2.tar", keys + 1, 2, false, -1, &text), CLI_SIGNERS_UNTRUSTED);
	free(text);
	assert_int_equal(run(CORPUS "pack-2.tar", keys, 2, false, 600, &text), CLI_VERIFY_FAILED);
	assert_non_null(strstr(text, "FAIL  sums"));
	assert_non_null(strstr(text, "core/buckets/"));
	free(text);
}

static void a_false_issue_record_fails(void **state)
{
	(void)state;
	struct mrv_trust_key keys[] = {key_of(1), key_of(2)};
	char *text;
	assert_int_equal(run(CORPUS "pack-1.tar", keys, 2, false, -1, &text), CLI_VERIFY_FAILED);
	assert_non_null(strstr(text, "PASS  issue"));
	assert_non_null(strstr(text, "FAIL  record"));
	free(text);
}

static void json_lists_the_steps(void **state)
{
	(void)state;
	char *text;
	assert_int_equal(run(CORPUS "pack-0.tar", NULL, 0, true, -1, &text), CLI_SIGNERS_UNTRUSTED);
	json_t *document = json_loads(text, 0, NULL);
	assert_non_null(document);
	assert_int_equal(json_integer_value(json_object_get(document, "exit_code")), CLI_SIGNERS_UNTRUSTED);
	assert_int_equal(json_array_size(json_object_get(document, "steps")), 15);
	json_decref(document);
	free(text);
}

/* ---- the journal ---- */

static void add_text(struct sha256 *state, const char *text)
{
	sha256_add_u64(state, strlen(text));
	sha256_add(state, text, strlen(text));
}

/* An export of one batch with one record; `wrong` says what does not hold, 0: nothing. */
static char *export_one(uint64_t number, int wrong)
{
	struct event event = {.header = {.type = EVENT_ACTOR_NAMED, .number = number, .time_us = 1000},
		.actor_named = {.number = 1, .actor = {{1}}, .org = {{2}}}};
	uint8_t buffer[1024];
	size_t size = 0;
	struct sha256 sha;
	struct hash zero = {{0}}, payload_hash, hash;
	char zero_hex[HASH_TEXT_SIZE], payload_hex[HASH_TEXT_SIZE], hash_hex[HASH_TEXT_SIZE], payload[2048], *text;
	assert_int_equal(event_encode(&event, buffer, sizeof buffer, &size), ERR_OK);
	payload_hash = sha256_of("carbond/payload/1", buffer, size);
	sha256_start(&sha, "carbond/batch/1");
	add_text(&sha, "journal.0");
	sha256_add_u64(&sha, 1);
	sha256_add_u64(&sha, 1);
	sha256_add_u64(&sha, 1);
	sha256_add(&sha, zero.bytes, 32);
	sha256_add(&sha, payload_hash.bytes, 32);
	sha256_add_u64(&sha, 1000);
	add_text(&sha, "n1");
	hash = sha256_end(&sha);
	if (wrong == 1)
		hash.bytes[0] ^= 1;
	if (wrong == 2)
		buffer[size - 1] ^= 1;
	assert_true(asprintf(&text,
			    "{\"format\":\"carbond/journal/1\",\"stream\":\"journal.0\",\"registry\":"
			    "\"07000000-0000-0000-0000-000000000000\"}\n{\"seq\":1,\"term\":1,\"count\":%d,"
			    "\"written_at_us\":1000,\"node\":\"n1\",\"prev_hash\":\"%s\",\"payload_hash\":\"%s\","
			    "\"hash\":\"%s\",\"payload\":\"%s\"}\n",
			    wrong == 3 ? 2 : 1, hash_text(zero, zero_hex), hash_text(payload_hash, payload_hex),
			    hash_text(hash, hash_hex), base64url_text(buffer, size, payload)) > 0);
	return text;
}

static int run_journal(char *text, struct hash expected, char **ret_printed)
{
	size_t printed;
	struct verify_options options = {.out = open_memstream(ret_printed, &printed)};
	int code = verify_journal(text, strlen(text), expected, &options);
	fclose(options.out);
	free(text);
	return code;
}

static void journal_replays(void **state)
{
	(void)state;
	char *printed;
	struct hash none = {{0}}, other = {{1}};
	assert_int_equal(run_journal(export_one(1, 0), none, &printed), CLI_OK);
	assert_non_null(strstr(printed, "after record 1"));
	free(printed);
	assert_int_equal(run_journal(export_one(1, 0), other, &printed), CLI_VERIFY_FAILED);
	assert_non_null(strstr(printed, "FAIL  state"));
	free(printed);
	for (int wrong = 1; wrong <= 3; wrong++) {
		assert_int_equal(run_journal(export_one(1, wrong), none, &printed), CLI_VERIFY_FAILED);
		assert_non_null(strstr(printed, "FAIL  chain"));
		assert_non_null(strstr(printed, "batch 1"));
		free(printed);
	}
	assert_int_equal(run_journal(export_one(2, 0), none, &printed), CLI_VERIFY_FAILED); /* a gap */
	free(printed);
	assert_int_equal(run_journal(strdup(""), none, &printed), CLI_VERIFY_FAILED);
	free(printed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_codes),
		cmocka_unit_test(a_false_issue_record_fails),
		cmocka_unit_test(json_lists_the_steps),
		cmocka_unit_test(journal_replays),
	};
	if (crypto_start() != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
