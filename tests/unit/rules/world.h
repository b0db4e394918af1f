/* A small deterministic world for tests of rules: organisations, actors, verifiers with keys, a state that executes and
 * one that only replays what the first has written. Everything comes from a seed. */
#ifndef TEST_RULES_WORLD_H
#define TEST_RULES_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/map.h"
#include "carbond/rules.h"

#define WORLD_ORGS      6                         /* 0..2 operators, 3..5 verifiers; all trade */
#define WORLD_FIRST_DAY INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */

struct world {
	uint64_t random;
	int64_t now_us;
	struct rules *rules, *replica;
	struct rules_output output;
	struct rules_result result;
	struct err_info info;
	struct event_scratch *scratch;
	struct id orgs[WORLD_ORGS], actors[WORLD_ORGS];
	struct id issuer_org, issuer, verifiers[WORLD_ORGS];
	struct sign_secret secrets[WORLD_ORGS];
	struct sign_public keys[WORLD_ORGS];
	struct id points[WORLD_ORGS];
	uint32_t next_hour[WORLD_ORGS];
};

static inline uint64_t world_random(struct world *world)
{
	world->random += UINT64_C(0x9e3779b97f4a7c15);
	return map_hash_u64(0, world->random);
}

static inline int64_t world_below(struct world *world, int64_t limit)
{
	return (int64_t)(world_random(world) % (uint64_t)limit);
}

/* A UUIDv7 for the world's time. */
static inline struct id world_id(struct world *world)
{
	struct id id;
	uint64_t ms = (uint64_t)(world->now_us / 1000), low = world_random(world), high = world_random(world);
	for (int i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
	memcpy(id.bytes + 6, &low, 2);
	memcpy(id.bytes + 8, &high, 8);
	id.bytes[6] = (uint8_t)(0x70 | (id.bytes[6] & 0x0f));
	id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
	return id;
}

static inline struct hash world_hash(struct world *world)
{
	struct hash hash;
	for (int i = 0; i < 32; i += 8) {
		uint64_t word = world_random(world);
		memcpy(hash.bytes + i, &word, 8);
	}
	return hash;
}

static inline struct command world_command(struct world *world, enum command_kind kind, int org)
{
	struct command command = {.kind = kind, .id = world_id(world)};
	command.org = org < 0 ? world->issuer_org : world->orgs[org];
	command.actor = org < 0 ? world->issuer : world->actors[org];
	return command;
}

/* The replica applies what the state has just written. */
static inline void world_replay(struct world *world, size_t from)
{
	while (from < world->output.size) {
		struct event event;
		size_t length = 0;
		assert_int_equal(event_decode(world->output.bytes + from, world->output.size - from, world->scratch,
					 &event, &length, &world->info),
			ERR_OK);
		enum err err = rules_apply(world->replica, &event, &world->info);
		if (err)
			printf("replay: %s: %s\n", event_type_name(event.header.type), world->info.detail);
		assert_int_equal(err, ERR_OK);
		from += length;
	}
}

static inline enum err world_execute(struct world *world, const struct command *command)
{
	world->output.size = 0;
	world->output.guard_count = 0;
	memset(&world->info, 0, sizeof world->info);
	enum err err =
		rules_execute(world->rules, command, world->now_us, &world->output, &world->result, &world->info);
	if (err)
		assert_int_equal(world->output.size, 0);
	world_replay(world, 0);
	return err;
}

static inline struct hash world_state(const struct rules *rules)
{
	struct hash hash;
	struct err_info info;
	assert_int_equal(rules_state_hash(rules, &hash, &info), ERR_OK);
	return hash;
}

static inline void world_check(struct world *world)
{
	struct hash mine = world_state(world->rules), theirs = world_state(world->replica);
	assert_memory_equal(&mine, &theirs, sizeof mine); /* P8 */
	if (rules_check(world->rules, &world->info))
		fail_msg("%s", world->info.detail);
}

/* The same a second later, with an id of its own; first with a fault at each of its events, which must leave nothing behind. */
static inline enum err world_give(struct world *world, struct command *command)
{
	world->now_us += CLOCK_US_PER_SECOND;
	if (command->source == COMMAND_SOURCE_CLIENT)
		command->id = world_id(world);
	struct hash before = world_state(world->rules);
	for (uint32_t event = 1;; event++) {
		rules_fail_event(world->rules, event);
		enum err err = world_execute(world, command);
		rules_fail_event(world->rules, 0);
		if (err != ERR_NO_MEMORY) {
			world_check(world);
			return err;
		}
		struct hash after = world_state(world->rules);
		assert_memory_equal(&before, &after, sizeof before); /* undone without a trace */
	}
}

static inline enum err world_register_verifier(struct world *world, int org)
{
	struct command command = world_command(world, COMMAND_VERIFIER_REGISTER, -1);
	command.verifier_register = (struct command_verifier_register){.verifier = world->verifiers[org],
		.org = world->orgs[org],
		.key = world->keys[org],
		.valid_from_us = world->now_us,
		.valid_to_us = world->now_us + 400 * CLOCK_US_PER_DAY};
	return world_execute(world, &command);
}

/* Who lives in it. */
static inline void world_people(struct world *world)
{
	world->issuer_org = world_id(world);
	world->issuer = world_id(world);
	for (int i = 0; i < WORLD_ORGS; i++) {
		struct hash key_seed = world_hash(world);
		world->orgs[i] = world_id(world);
		world->actors[i] = world_id(world);
		world->verifiers[i] = world_id(world);
		world->points[i] = world_id(world);
		world->next_hour[i] = (uint32_t)(WORLD_FIRST_DAY / CLOCK_US_PER_HOUR);
		sign_keypair_from_seed(key_seed.bytes, &world->keys[i], &world->secrets[i]);
	}
}

static inline void world_start(struct world *world, uint64_t seed)
{
	memset(world, 0, sizeof *world);
	assert_int_equal(crypto_start(), ERR_OK);
	world->random = seed;
	world->now_us = WORLD_FIRST_DAY;
	struct id registry = world_id(world);
	world->rules = rules_new(registry, 1);
	world->replica = rules_new(registry, 2); /* another seed: the order of hash indexes must not show */
	world->output.capacity = 2 * EVENTS_BYTES_PER_COMMAND;
	world->output.bytes = malloc(world->output.capacity);
	world->output.guard_capacity = RULES_GUARDS_MAX;
	world->output.guards = malloc(sizeof *world->output.guards * RULES_GUARDS_MAX);
	world->scratch = malloc(sizeof *world->scratch);
	world_people(world);
	for (int i = 3; i < WORLD_ORGS; i++)
		assert_int_equal(world_register_verifier(world, i), ERR_OK);
}

static inline void world_stop(struct world *world)
{
	rules_free(&world->rules);
	rules_free(&world->replica);
	free(world->output.bytes);
	free(world->output.guards);
	free(world->scratch);
}

/* A submission of `hours` hours from `first_hour` on, of organisation `org`; run is the caller's. */
static inline struct command world_submission(
	struct world *world, int org, uint32_t first_hour, uint32_t hours, int64_t kg, struct claim_run *run)
{
	*run = (struct claim_run){.point = world->points[org], .first_hour = first_hour, .hours = hours};
	struct command command = world_command(world, COMMAND_PERIOD_SUBMIT, org);
	command.period_submit = (struct command_period_submit){.period = world_id(world),
		.org = world->orgs[org],
		.unit = world->points[org],
		.project = world->points[org],
		.methodology_hash = world_hash(world),
		.evidence_root = world_hash(world),
		.kind = CREDIT_REMOVAL,
		.durability = DURABILITY_GEOLOGICAL,
		.vintage = 2026,
		.quorum = 1,
		.first_hour = first_hour,
		.last_hour = (int64_t)first_hour + hours - 1,
		.kg = kg,
		.buffer_kg = (kg / 50 + 9) / 10 * 10,
		.total_kg = kg};
	code16_set(&command.period_submit.unit_code, "DAC1");
	code16_set(&command.period_submit.methodology, "DAC");
	code8_set(&command.period_submit.country, "IS");
	command.lists.runs = run;
	command.lists.run_count = 1;
	return command;
}

static inline struct command world_attestation(
	struct world *world, int verifier, struct id period, struct hash evidence_root)
{
	struct command command = world_command(world, COMMAND_PERIOD_ATTEST, verifier);
	command.period_attest = (struct command_period_attest){.period = period,
		.verifier = world->verifiers[verifier],
		.evidence_root = evidence_root,
		.signature = sign_make(
			&world->secrets[verifier], REGISTRY_ATTESTATION_DOMAIN, &evidence_root, sizeof evidence_root)};
	return command;
}

/* Submits, attests and issues; returns the batch's number. `ret_submission` may be NULL. */
static inline uint64_t world_issue(
	struct world *world, int org, uint32_t hours, int64_t kg, struct command *ret_submission)
{
	struct claim_run run;
	struct command submission = world_submission(world, org, world->next_hour[org], hours, kg, &run);
	assert_int_equal(world_execute(world, &submission), ERR_OK);
	world->next_hour[org] += hours;
	struct command attestation =
		world_attestation(world, 3, submission.period_submit.period, submission.period_submit.evidence_root);
	assert_int_equal(world_execute(world, &attestation), ERR_OK);
	struct command issue = world_command(world, COMMAND_PERIOD_ISSUE, -1);
	issue.period_issue.period = submission.period_submit.period;
	assert_int_equal(world_execute(world, &issue), ERR_OK);
	if (ret_submission)
		*ret_submission = submission;
	return world->result.number;
}

static inline enum err world_transfer(struct world *world, int from, int to, uint64_t batch, int64_t kg)
{
	struct command command = world_command(world, COMMAND_TRANSFER, from);
	command.transfer = (struct command_transfer){.to = world->orgs[to], .batch = batch, .kg = kg};
	return world_execute(world, &command);
}

static inline enum err world_retire(struct world *world, int org, uint64_t batch, int64_t kg)
{
	struct command command = world_command(world, COMMAND_RETIRE, org);
	command.retire = (struct command_retire){.batch = batch,
		.kg = kg,
		.beneficiary_hash = world_hash(world),
		.covered_from_us = WORLD_FIRST_DAY,
		.covered_to_us = world->now_us + 1,
		.purpose = PURPOSE_VOLUNTARY,
		.consent = 1};
	code8_set(&command.retire.country, "DE");
	return world_execute(world, &command);
}

static inline int64_t world_kg(struct world *world, int org, uint64_t batch, enum kg_state state)
{
	struct ledger_place place = {.org = world->orgs[org], .state = state};
	return ledger_amount(rules_ledger(world->rules), batch, place);
}

#endif
