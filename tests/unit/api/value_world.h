/* What tests of the resources of value begin with: an engine with a verifier, two organisations that trade, issued batches. */
#ifndef API_TEST_VALUE_WORLD_H
#define API_TEST_VALUE_WORLD_H

#include "service.h"

#include "carbond/engine.h"
#include "carbond/registry.h"

static struct id seller, buyer, checker;
static struct sign_secret verifier_secret;
static struct id verifier, admin_actor;
static uint32_t next_hour = 490896; /* 2026-01-01T00Z */

static inline struct id organisation(const char *slug)
{
	static const struct audit_actor actor = {.name = "test"};
	struct organisation row = {.slug = slug, .name = slug, .country = "DE"};
	assert_int_equal(identity_organisation_create(api.identity, &actor, &row, &info), ERR_OK);
	return row.id;
}

/* "Idempotency-Key: <a new UUIDv7>\r\n" */
static inline const char *new_key(void)
{
	static char text[8][96];
	static int slot;
	char id[ID_TEXT_SIZE];
	slot = (slot + 1) % 8;
	snprintf(text[slot], sizeof text[slot], "Idempotency-Key: %s\r\n", id_text(id_new(clock_wall_us()), id));
	return text[slot];
}

static inline void command_ok(struct command *command, struct engine_result *ret_result)
{
	command->id = id_new(clock_wall_us());
	if (engine_command(api.engine, command, NULL, 0, clock_monotonic_us() + 30 * CLOCK_US_PER_SECOND, ret_result,
		    &info) != ERR_OK)
		fail_msg("%s: %s", command_kind_name(command->kind), info.detail);
}

/* A period of `hours` hours, submitted, attested and issued by the engine's commands; the batch's number. */
static inline int64_t issue(int64_t kg, uint32_t hours)
{
	struct engine_result result;
	struct claim_run run = {.point = {{9}}, .first_hour = next_hour, .hours = hours};
	struct command submit = {.kind = COMMAND_PERIOD_SUBMIT, .actor = {{1}}, .org = seller};
	struct id now = id_new(clock_wall_us());
	submit.period_submit = (struct command_period_submit){.period = now,
		.org = seller,
		.unit = {{2}},
		.project = {{3}},
		.methodology_hash = {{4}},
		.evidence_root = sha256_of(NULL, &now, sizeof now),
		.vintage = 2026,
		.quorum = 1,
		.first_hour = next_hour,
		.last_hour = next_hour + hours - 1,
		.kg = kg,
		.buffer_kg = kg / 500 * 10,
		.total_kg = kg};
	code16_set(&submit.period_submit.unit_code, "HELLISHEIDI1");
	code16_set(&submit.period_submit.methodology, "DAC1");
	code8_set(&submit.period_submit.country, "IS");
	submit.lists = (struct record_lists){.runs = &run, .run_count = 1};
	command_ok(&submit, &result);
	next_hour += hours;
	struct command attest = {.kind = COMMAND_PERIOD_ATTEST, .actor = {{5}}, .org = checker};
	attest.period_attest = (struct command_period_attest){.period = now,
		.verifier = verifier,
		.evidence_root = submit.period_submit.evidence_root,
		.signature = sign_make(&verifier_secret, REGISTRY_ATTESTATION_DOMAIN,
			&submit.period_submit.evidence_root, sizeof(struct hash))};
	command_ok(&attest, &result);
	struct command issue = {.kind = COMMAND_PERIOD_ISSUE, .actor = admin_actor, .org = house.id};
	issue.period_issue.period = now;
	command_ok(&issue, &result);
	return (int64_t)result.number;
}

static inline int set_up(void **state)
{
	(void)state;
	struct sign_public public;
	char key[HASH_TEXT_SIZE], body[512];
	service_has_engine = true;
	service_start(NULL, NULL);
	seller = organisation("seller");
	buyer = organisation("buyer");
	checker = organisation("checker");
	admin_actor.bytes[0] = 8;
	sign_keypair(&public, &verifier_secret);
	char org[ID_TEXT_SIZE];
	snprintf(body, sizeof body,
		"{\"org_id\":\"%s\",\"key\":\"%s\",\"valid_from\":\"2020-01-01T00:00:00Z\",\"valid_to\":\"2099-01-"
		"01T00:"
		"00:00Z\"}",
		id_text(checker, org), hex_text(&public, sizeof public, key));
	json_t *made = call_for(201, root_key, "POST /v1/verifiers", new_key(), body);
	assert_int_equal(id_parse(member(made, "id"), &verifier), ERR_OK);
	json_decref(made);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	service_stop();
	return 0;
}

static inline int64_t integer(const json_t *document, const char *name)
{
	return json_integer_value(json_object_get(document, name));
}

static inline json_t *post(int status, const char *key, const char *path, const char *idempotency, const char *body)
{
	char request[512];
	snprintf(request, sizeof request, "POST %s", path);
	return call_for(status, key, request, idempotency, body);
}

static inline json_t *get(int status, const char *key, const char *path, int64_t at_least)
{
	char request[512];
	if (at_least)
		snprintf(request, sizeof request, "GET %s%cat-least=%lld", path, strchr(path, '?') ? '&' : '?',
			(long long)at_least);
	else
		snprintf(request, sizeof request, "GET %s", path);
	return call_for(status, key, request, "", NULL);
}

/* ---- streams ---- */

static inline int watch(const char *path, const char *headers, const char *key)
{
	char request[512];
	int sock = client_open(port);
	int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n%sAuthorization: Bearer %s\r\n\r\n",
		path, headers, key);
	assert_true(client_send(sock, request, (size_t)size));
	return sock;
}

/* Reads until `text` has come; what came before it stays in `all`. */
static inline void watch_until(int sock, char *all, size_t size, const char *text)
{
	size_t used = strlen(all);
	while (!strstr(all, text)) {
		size_t got = client_read(sock, all + used, size - 1 - used);
		if (got == 0)
			fail_msg("the stream ended before %s: %s", text, all);
		used += got;
		all[used] = 0;
	}
}

#endif
